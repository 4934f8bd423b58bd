//! Builds again when a dashboard is added, which Cargo does not see by itself in an embedded folder.

fn main() {
    println!("cargo::rerun-if-changed=dashboards");
}
