//! Builds again when a rule changes: the rules are embedded by folder, which Cargo does not watch by itself.

fn main() {
    println!("cargo::rerun-if-changed=config/rules");
}
