//! Answers what rules ask of the settings of a call, without writing them as a document has them first.

#![expect(
    clippy::option_option,
    reason = "whether rules ask for a name, and then whether the document has it"
)]

use std::borrow::Cow;

use rsigma_eval::EventValue;

use super::context::Context;

/// What a document states under this name. None of a name that built-in rules do not ask for.
pub fn setting<'c>(context: &'c Context<'_>, name: &str) -> Option<Option<EventValue<'c>>> {
    let Context { s3, image, execution_role, foreign, instance, lifecycle, network, .. } = context;
    let all = match name.strip_prefix("sagemaker.")? {
        "s3.input_buckets" => &s3.input_buckets,
        "s3.output_buckets" => &s3.output_buckets,
        "s3.model_buckets" => &s3.model_buckets,
        "s3.code_buckets" => &s3.code_buckets,
        "s3.buckets" => &s3.buckets,
        "image.uri" => &image.uri,
        "image.account_id" => &image.account_id,
        "image.registry" => &image.registry,
        "image.owner" => &image.owner,
        "execution_role.arn" => &execution_role.arn,
        "foreign.role" => &foreign.role,
        "foreign.key" => &foreign.key,
        "foreign.output_bucket" => &foreign.output_bucket,
        "foreign.arn" => &foreign.arn,
        "foreign.account_id" => &foreign.account_id,
        "instance.type" => &instance.kinds,
        "lifecycle.hook" => &lifecycle.hook,
        "lifecycle.name" => &lifecycle.name,
        "network.subnets" => &network.subnets,
        "network.security_groups" => &network.security_groups,
        "code_repository.url" => &context.code_repository.url,
        other => return single(context, other).or_else(|| of_policy(context, other)),
    };
    Some(texts(all.iter().copied()))
}

/// Truth values, numbers and single texts.
fn single<'c>(context: &'c Context<'_>, fact: &str) -> Option<Option<EventValue<'c>>> {
    let Context { instance, timeouts, .. } = context;
    let truth = |truth: Option<bool>| truth.map(EventValue::Bool);
    let number = |number: Option<u64>| {
        number.map(|number| EventValue::Int(i64::try_from(number).expect("each is kept within a long")))
    };
    Some(match fact {
        "instance.accelerated" => truth(instance.accelerated),
        "remote_access" => truth(context.remote_access),
        "docker_access" => truth(context.docker_access),
        "model.remote_code" => truth(context.model.remote_code),
        "instance.total" => number(instance.total),
        "instance.vcpus" => number(instance.vcpus),
        "instance.accelerators" => number(instance.accelerators),
        "timeouts.run" => number(timeouts.run),
        "timeouts.keep_alive" => number(timeouts.keep_alive),
        "approval_status" => context.approval_status.map(text),
        _ => return None,
    })
}

fn of_policy<'c>(context: &'c Context<'_>, fact: &str) -> Option<Option<EventValue<'c>>> {
    let policy = &context.policy;
    let said = match fact {
        "policy.foreign_accounts" => texts(policy.foreign_accounts.iter().map(String::as_str)),
        "policy.open_providers" => texts(policy.open_providers.iter().map(String::as_str)),
        "policy.rights" => texts(policy.rights.iter().copied()),
        _ => return None,
    };
    // A document has none of it then.
    Some(said.filter(|_| !policy.says_nothing()))
}

/// None of a list without texts, which no document has.
fn texts<'v>(texts: impl ExactSizeIterator<Item = &'v str>) -> Option<EventValue<'v>> {
    (texts.len() > 0).then(|| EventValue::Array(texts.map(text).collect()))
}

fn text(text: &str) -> EventValue<'_> {
    EventValue::Str(Cow::Borrowed(text))
}
