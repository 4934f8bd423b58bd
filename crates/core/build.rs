//! Builds again when a rule is added, which Cargo does not see by itself in an embedded folder.

fn main() {
    println!("cargo::rerun-if-changed=../../config/rules");
}
