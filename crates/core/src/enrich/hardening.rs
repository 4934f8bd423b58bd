//! The hardening that memory knows of a resource and that a call takes away.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::context::Context;
use super::deployment::Deployed;
use crate::memory::State;

/// What a call says of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// All of it, because it makes the resource: what it leaves out is not there.
    Everything,
    /// What changes.
    Changes,
}

/// The settings that were hardened before the call and are not after it, by their names in the configuration.
pub fn taken_away(
    before: &BTreeMap<String, Arc<[String]>>,
    context: &Context<'_>,
    says: Says,
) -> Vec<&'static str> {
    let Context { network, kms_key, .. } = context;
    let flags = [
        ("network_isolation", "true", network.isolated == Some(false)),
        ("inter_container_encryption", "true", network.encrypted == Some(false)),
        ("direct_internet_access", "false", network.direct_internet == Some(true)),
        ("root_access", "false", context.root_access == Some(true)),
        ("remote_access", "false", context.remote_access == Some(true)),
        ("docker_access", "false", context.docker_access == Some(true)),
        ("metadata_service_version", "2", context.metadata_service_version == Some("1")),
    ];
    let lost_flags = flags.into_iter().filter(|(field, hardened, is_weak)| {
        *is_weak && before.get(*field).is_some_and(|values| values.iter().all(|value| value == hardened))
    });
    let settings = [("kms_key", kms_key.is_empty()), ("subnet", network.subnets.is_empty())];
    let lost_settings = settings
        .into_iter()
        .filter(|(field, is_absent)| says == Says::Everything && *is_absent && before.contains_key(*field));
    lost_flags.map(|(field, ..)| field).chain(lost_settings.map(|(field, _)| field)).collect()
}

/// The same of an endpoint that is moved to another configuration: of the configuration and its models.
pub fn lost_by_move(before: &Deployed<'_>, now: &Deployed<'_>) -> Vec<&'static str> {
    let mut lost = Vec::new();
    let has = |states: &[&State], field: &str| {
        !states.is_empty()
            && states.iter().all(|state| state.values(field).is_some_and(|values| !values.is_empty()))
    };
    let lacks = |states: &[&State], field: &str| {
        states.iter().any(|state| state.values(field).is_some_and(<[String]>::is_empty))
    };
    if has(&before.configurations, "configuration.kms_key")
        && lacks(&now.configurations, "configuration.kms_key")
    {
        lost.push("kms_key");
    }
    if has(&before.models, "configuration.subnet") && lacks(&now.models, "configuration.subnet") {
        lost.push("subnet");
    }
    let isolated = |states: &[&State], value: &str| {
        states.iter().filter(|state| state.value("configuration.network_isolation") == Some(value)).count()
    };
    if !before.models.is_empty()
        && isolated(&before.models, "true") == before.models.len()
        && isolated(&now.models, "false") > 0
    {
        lost.push("network_isolation");
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::context::Network;

    /// Settings and their values.
    type Settings<'s> = &'s [(&'s str, &'s str)];

    fn before(fields: Settings<'_>) -> BTreeMap<String, Arc<[String]>> {
        fields.iter().map(|(field, value)| ((*field).to_owned(), [(*value).to_owned()].into())).collect()
    }

    #[test]
    fn what_was_hardened_and_is_switched_off_is_named_and_what_never_was_is_not() {
        let opened = Context {
            root_access: Some(true),
            network: Network { isolated: Some(false), encrypted: Some(true), ..Network::default() },
            ..Context::default()
        };
        let cases: [(Settings<'_>, Says, &[&str]); 6] = [
            (&[("root_access", "false")], Says::Changes, &["root_access"]),
            (&[("root_access", "true")], Says::Changes, &[]),
            (&[], Says::Changes, &[]),
            (
                &[("network_isolation", "true"), ("inter_container_encryption", "true")],
                Says::Changes,
                &["network_isolation"],
            ),
            // A change that does not name the key leaves it; a resource made anew without it has none.
            (&[("kms_key", "key"), ("subnet", "subnet-1")], Says::Changes, &[]),
            (&[("kms_key", "key"), ("subnet", "subnet-1")], Says::Everything, &["kms_key", "subnet"]),
        ];
        for (fields, says, expected) in cases {
            assert_eq!(taken_away(&before(fields), &opened, says), expected, "{fields:?}");
        }
    }
}
