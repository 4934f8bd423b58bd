//! Says what to do first about an incident, with the names filled in.

use std::sync::LazyLock;

use serde::Deserialize;

use super::tally::Tally;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Steps {
    caller: Vec<CallerStep>,
    deed: Vec<DeedStep>,
    /// What to read and run, whatever happened.
    commands: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallerStep {
    /// A part of the principal's name.
    contains: String,
    step: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeedStep {
    category: String,
    step: String,
}

static STEPS: LazyLock<Steps> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../../config/next-steps.toml"))
        .expect("the file is part of the binary, and a test reads it")
});

/// Digits of an incident's id that its commands take: enough for a site, and short enough for a phone.
const DIGITS: usize = 8;

/// The first steps: one about the caller of the worst finding, one about what was done, and the commands that do both.
pub fn next_steps(tally: &Tally, id: &str) -> Vec<String> {
    let Some(worst) = tally.newest_of_worst() else { return Vec::new() };
    let principal = worst.first.principal.as_str();
    let name = principal.rsplit(['/', ':']).next().unwrap_or(principal);
    let resource = worst.first.resource.as_deref().map_or("what it reached", without_place);
    let account = tally.accounts.by_time().into_iter().next();
    let filled = |step: &str| {
        step.replace("{account}", account.as_deref().unwrap_or("unknown"))
            .replace("{name}", name)
            .replace("{role}", without_place(principal).split('/').nth(1).unwrap_or(name))
            .replace("{resource}", resource)
            .replace("{principal}", without_place(principal))
    };
    let caller = STEPS.caller.iter().find(|step| principal.contains(&step.contains)).map(|step| &step.step);
    let deed =
        STEPS.deed.iter().find(|step| worst.first.categories.contains(&step.category)).map(|step| &step.step);
    let commands = STEPS.commands.replace("{incident}", id.get(..DIGITS).unwrap_or(id));
    caller.into_iter().chain(deed).map(|step| filled(step)).chain([commands]).collect()
}

/// A name without the partition, service, region and account before it, which a page says elsewhere.
fn without_place(name: &str) -> &str {
    if name.starts_with("arn:") { name.splitn(6, ':').nth(5).unwrap_or(name) } else { name }
}
