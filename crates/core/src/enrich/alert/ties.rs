//! Finds what ties a call to others that somebody else makes: what it changed, handed on, or came through.

use std::collections::BTreeSet;

use super::super::actor::Actor;
use super::super::arn::Arn;
use super::super::catalogue::Access;
use super::super::context::Context;
use super::super::remembered::RememberedActor;
use super::plain::{beginning, plain};
use super::resource_key::canonical;
use crate::record::Record;

/// The most ties of one record. A call that hands on more roles than these is no call of SageMaker's API.
const MOST_TIES: usize = 16;

/// What ties the record to what others do: the sessions that its credentials came through, and of a call that succeeded
/// the resource that it changed and the roles that it passed on. All are keys as [`tie_key`] makes them.
pub fn ties(
    record: &Record<'_>,
    actor: &Actor<'_>,
    lineage: &RememberedActor,
    context: &Context<'_>,
    resource: &str,
) -> BTreeSet<String> {
    let mut ties: BTreeSet<String> = lineage
        .chain
        .iter()
        .filter(|link| Some(link.as_str()) != actor.arn && Some(*link) != lineage.origin.as_ref())
        .filter(|link| is_one_thing(link))
        .map(|link| tie_key(link))
        .collect();
    let only_looked =
        context.access_level.map_or_else(|| record.at(&["readOnly"]).as_bool() != Some(false), Access::reads);
    if record.text(&["errorCode"]).is_none() && !only_looked {
        if is_one_thing(resource) {
            ties.insert(tie_key(resource));
        }
        ties.extend(context.execution_role.arn.iter().map(|role| tie_key(role)).take(MOST_TIES));
    }
    ties
}

/// A name alone is not one thing: somebody else may have chosen it for theirs, and a service works for everybody.
fn is_one_thing(key: &str) -> bool {
    key.starts_with("arn:")
}

/// The keys by which others can be tied to whoever has these names.
pub fn selves<'n>(names: impl IntoIterator<Item = &'n str>) -> BTreeSet<String> {
    names.into_iter().map(tie_key).collect()
}

/// The form in which keys of origins, principals and resources are compared: in lower case and without the path of a
/// role, because not every call writes it.
pub fn tie_key(text: &str) -> String {
    let text = beginning(text);
    let key = Arn::parse(text).map_or_else(|| text.into(), |arn| canonical(&arn));
    plain(&key).to_lowercase()
}
