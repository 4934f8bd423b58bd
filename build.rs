//! Builds again when an embedded folder changes, which Cargo does not watch by itself.

fn main() {
    println!("cargo::rerun-if-changed=config/rules");
    println!("cargo::rerun-if-changed=dashboards");
}
