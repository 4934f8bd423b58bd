//! A trial: a command with its role, and without each of its privileges.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::tenant::{PASSWORD, Tenant, Who};
use crate::support::Stack;
use crate::support::secured::Secured;

/// So many attempts run side by side.
const AT_ONCE: usize = 4;
/// Commands that need the script of memory, which setup installs.
const REMEMBERING: [&str; 7] =
    ["run", "replay", "replay --retag", "verify", "whois", "contain", "investigate"];

/// Where a command is tried.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Where {
    /// In indices that the cluster has not seen, for each who tries it.
    Fresh,
    /// In the same indices, which are only read.
    Shared,
}

/// A command, where it is tried, and the privileges that are not taken away from its role.
pub(super) struct Trial<'t> {
    pub(super) command: &'t str,
    pub(super) place: Where,
    pub(super) untried: &'t [&'t str],
}

/// Users with these roles alone, each called as its role. The plugin's own mapping gives every user one more, which is
/// taken away.
pub(super) async fn grant(cluster: &Secured, roles: &[(&Tenant<'_>, Value)]) {
    cluster.ask("DELETE", "_plugins/_security/api/rolesmapping/own_index", None).await;
    let all = |value: &dyn Fn(&str, &Value) -> Value| {
        let added = roles.iter().map(|(tenant, role)| {
            json!({"op": "add", "path": format!("/{}", tenant.user), "value": value(&tenant.user, role)})
        });
        added.collect::<Value>()
    };
    cluster.secure("PATCH", "roles", all(&|_, role| role.clone())).await;
    cluster.secure("PATCH", "internalusers", all(&|_, _| json!({"password": PASSWORD}))).await;
    cluster.secure("PATCH", "rolesmapping", all(&|name, _| json!({"users": [name]}))).await;
}

/// The role without each of its privileges, and what is missing there.
pub(super) fn narrower(role: &Value) -> Vec<(String, Value)> {
    let mut narrower = Vec::new();
    let mut without = |pointer: &str, place: usize| {
        let mut role = role.clone();
        let missing = role.pointer_mut(pointer).unwrap().as_array_mut().unwrap().remove(place);
        narrower.push((format!("{pointer} {missing}"), role));
    };
    for place in 0..role["cluster_permissions"].as_array().unwrap().len() {
        without("/cluster_permissions", place);
    }
    for (number, granted) in role["index_permissions"].as_array().unwrap().iter().enumerate() {
        for place in 0..granted["allowed_actions"].as_array().unwrap().len() {
            without(&format!("/index_permissions/{number}/allowed_actions"), place);
        }
    }
    narrower
}

/// Tries a command with its role, and without each of its privileges, after an administrator has prepared where.
pub(super) async fn try_out(
    servers: &(Stack, Secured),
    Trial { command, place, untried }: Trial<'_>,
    prepare: impl AsyncFn(&Tenant<'_>),
    attempt: impl AsyncFn(&Tenant<'_>) -> Result<(), String>,
) {
    let whole = Tenant::new(servers, command, 0);
    let role = whole.printed(command).await;
    let mut cases = vec![(String::new(), role.clone())];
    let is_tried = |missing: &str| !untried.iter().any(|untried| missing.contains(untried));
    cases.extend(narrower(&role).into_iter().filter(|(missing, _)| is_tried(missing)));
    let tenants = (0..cases.len()).map(|number| {
        let own = Tenant::new(servers, command, number);
        if place == Where::Shared { whole.beside(own.user) } else { own }
    });
    let tenants: Vec<Tenant<'_>> = tenants.collect();
    let roles: Vec<(&Tenant<'_>, Value)> = tenants
        .iter()
        .zip(&cases)
        .map(|(tenant, (_, role))| {
            let role = role.to_string().replace(&whole.prefix, &tenant.prefix);
            (tenant, serde_json::from_str(&role).unwrap())
        })
        .collect();
    grant(&servers.1, &roles).await;
    let prepare = async |tenant: &Tenant<'_>| {
        // What a verification finds is read by every daemon, so somebody has verified something.
        tenant.cluster.ask("PUT", &tenant.index("verified"), None).await;
        if REMEMBERING.contains(&command) {
            let (code, said) = tenant.run(Who::Admin, &["setup"], &[]).await;
            // The plugins that page and that remove old indices are not there.
            assert!(matches!(code, Some(0 | 4)), "{said}");
        }
        prepare(tenant).await;
    };

    if place == Where::Shared {
        prepare(&whole).await;
    }
    let next = AtomicUsize::new(0);
    let worker = async || {
        let mut outcomes = Vec::new();
        while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|it| *it < tenants.len()) {
            let tenant = &tenants[number];
            if place == Where::Fresh {
                prepare(tenant).await;
            }
            outcomes.push((number, attempt(tenant).await));
            if place == Where::Fresh {
                tenant.remove().await;
            }
        }
        outcomes
    };
    let outcomes: [_; AT_ONCE] = tokio::join!(worker(), worker(), worker(), worker()).into();
    if place == Where::Shared {
        whole.remove().await;
    }
    let mut superfluous = Vec::new();
    for (number, outcome) in outcomes.into_iter().flatten() {
        match (number, outcome) {
            (0, Err(problem)) => panic!("{command} with its whole role: {problem}"),
            (0, Ok(())) | (_, Err(_)) => {}
            (_, Ok(())) => superfluous.push(cases[number].0.as_str()),
        }
    }
    assert_eq!(superfluous, [""; 0], "{command} works without these");
}
