//! The table: one line for each measured value, with its goal where it has one.

pub fn begin() {
    println!("{:<52} {:>10} {:<9} {:>8}", "", "measured", "", "goal");
}

pub fn note(text: &str) {
    println!("\n{text}");
}

pub fn speed(name: &str, value: f64, unit: &str) {
    println!("{name:<52} {value:>10.2} {unit}");
}

/// A value without a unit, which is not to fall below its goal.
pub fn ratio(name: &str, value: f64, least: Option<f64>) {
    match least {
        Some(least) => {
            println!("{name:<52} {value:>10.2} {:<9} ≥ {least:<6} {}", "times", verdict(value >= least));
        }
        None => speed(name, value, "times"),
    }
}

/// A value that is not to rise above its goal.
pub fn most(name: &str, value: f64, unit: &str, most: f64) {
    println!("{name:<52} {value:>10.2} {unit:<9} ≤ {most:<6} {}", verdict(value <= most));
}

fn verdict(is_reached: bool) -> &'static str {
    if is_reached { "reached" } else { "not reached" }
}
