//! Finds environment variables that set an option, and names that look like one but set nothing.

use figment::Figment;
use figment::error::Kind;

use super::sections::Config;

/// What every variable of an option begins with.
pub(super) const PREFIX: &str = "SAGETRAIL__";

/// A variable that sets nothing, and the one that its author probably meant.
pub(super) struct Misspelt {
    pub(super) name: String,
    pub(super) meant: String,
}

/// The first of these names that is an option's but for the number of its underscores.
///
/// Others that begin alike belong to somebody: our own switches, such as `SAGETRAIL_CONFIG`, and what Kubernetes sets
/// for a service, such as `SAGETRAIL_SERVICE_PORT`. So only what an option is called is refused.
pub(super) fn find_misspelt(names: impl Iterator<Item = String>) -> Option<Misspelt> {
    let mut suspects = names.filter(|name| may_be_meant(name)).peekable();
    // Building the list of options takes time, and correct names do not need it.
    suspects.peek()?;
    let options = options();
    suspects.find_map(|name| {
        let meant = meant_by(&name, &options)?;
        Some(Misspelt { name, meant })
    })
}

/// Whether a name begins with our prefix, in capitals or not, because the environment provider takes both.
fn may_be_meant(name: &str) -> bool {
    let prefix = PREFIX.trim_end_matches('_');
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        && name[prefix.len()..].starts_with('_')
}

/// What a name must be instead, if it is not right as it is.
fn meant_by(name: &str, options: &[String]) -> Option<String> {
    if let Some(right) = options.iter().find(|option| joined(option) == joined(name)) {
        return (!right.eq_ignore_ascii_case(name)).then(|| right.clone());
    }
    // Options whose names the operator chooses are in no list, but only such a variable has two underscores after one.
    let rest = name[PREFIX.trim_end_matches('_').len()..].strip_prefix('_')?;
    (!rest.starts_with('_') && rest.contains("__")).then(|| format!("{PREFIX}{rest}"))
}

/// A name in capitals, with each run of underscores as one.
fn joined(name: &str) -> String {
    let words = name.split('_').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_ascii_uppercase()
}

/// The variable of each option.
fn options() -> Vec<String> {
    let named = |section: &'static str| {
        let keys = keys_of(section).iter();
        keys.map(move |key| format!("{PREFIX}{section}__{key}").to_ascii_uppercase())
    };
    keys_of("").iter().copied().flat_map(named).collect()
}

/// The keys of a section, or the sections themselves, as the type lists them when it meets one that it does not know. A
/// section whose keys the operator chooses has none.
pub(super) fn keys_of(section: &str) -> &'static [&'static str] {
    const UNKNOWN: &str = "no_such_key";
    let key = if section.is_empty() { UNKNOWN.to_owned() } else { format!("{section}.{UNKNOWN}") };
    match Figment::new().merge((key, true)).extract::<Config>().map_err(|error| error.kind) {
        Err(Kind::UnknownField(_, allowed)) => allowed,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_by_another_number_of_underscores_is_named_right_and_others_are_left_alone() {
        let cases = [
            ("SAGETRAIL_SINK_URL", Some("SAGETRAIL__SINK__URL")),
            ("SAGETRAIL_SINK__URL", Some("SAGETRAIL__SINK__URL")),
            ("SAGETRAIL__SINK_URL", Some("SAGETRAIL__SINK__URL")),
            ("SAGETRAIL___SINK__URL", Some("SAGETRAIL__SINK__URL")),
            ("sagetrail_sink_url", Some("SAGETRAIL__SINK__URL")),
            ("SAGETRAIL_SOURCE_QUEUE_URL", Some("SAGETRAIL__SOURCE__QUEUE_URL")),
            ("SAGETRAIL__SOURCE__QUEUE__URL", Some("SAGETRAIL__SOURCE__QUEUE_URL")),
            ("SAGETRAIL_CHANNELS__SOC__URL", Some("SAGETRAIL__CHANNELS__SOC__URL")),
            ("SAGETRAIL__SINK__URL", None),
            ("sagetrail__sink__url", None),
            ("SAGETRAIL__SOURCE__QUEUE_URL", None),
            ("SAGETRAIL__CHANNELS__SOC__URL", None),
            ("SAGETRAIL_CONFIG", None),
            ("SAGETRAIL_SERVICE_PORT", None),
            ("SAGETRAIL_ADMIN_PORT_9600_TCP_ADDR", None),
            ("SAGETRAILER_SINK_URL", None),
            ("SINK_URL", None),
        ];
        for (name, meant) in cases {
            let found =
                find_misspelt(["PATH", "SAGETRAIL__LOG__FORMAT", name].map(str::to_owned).into_iter());
            assert_eq!(found.map(|found| found.meant).as_deref(), meant, "{name}");
        }
    }

    #[test]
    fn no_two_options_are_alike_but_for_their_underscores() {
        let mut all: Vec<String> = options().iter().map(|option| joined(option)).collect();
        assert!(all.len() > 50, "{all:?}");
        all.sort_unstable();
        let listed = all.len();
        all.dedup();
        assert_eq!(all.len(), listed);
    }
}
