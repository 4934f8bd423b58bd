//! The configuration of a resource as a call told it, and the other resources that it names.

use std::borrow::Cow;

use crate::enrich::arn::Arn;
use crate::enrich::context::{Context, Studio};
use crate::enrich::kind::{Kinds, Place};

/// The fields of a configuration with their values; what a call does not say is empty.
pub fn configuration<'c>(context: &'c Context<'_>) -> Vec<(&'static str, Vec<Cow<'c, str>>)> {
    let texts = |texts: &[&'c str]| texts.iter().map(|text| Cow::Borrowed(*text)).collect::<Vec<_>>();
    let truth = |truth: Option<bool>| truth.map(|truth| truth.to_string().into()).into_iter().collect();
    let number = |number: Option<u64>| number.map(|number| number.to_string().into()).into_iter().collect();
    let Context { execution_role, image, s3, kms_key, network, instance, lifecycle, .. } = context;
    vec![
        ("configuration.role", texts(&execution_role.arn)),
        ("configuration.image", texts(&image.uri)),
        ("configuration.model_data", texts(&s3.models)),
        ("configuration.output", texts(&s3.outputs)),
        ("configuration.kms_key", texts(kms_key)),
        ("configuration.subnet", texts(&network.subnets)),
        ("configuration.security_group", texts(&network.security_groups)),
        ("configuration.network_isolation", truth(network.isolated)),
        ("configuration.inter_container_encryption", truth(network.encrypted)),
        ("configuration.direct_internet_access", truth(network.direct_internet)),
        ("configuration.app_access", texts(network.app_access.as_slice())),
        ("configuration.root_access", truth(context.root_access)),
        ("configuration.remote_access", truth(context.remote_access)),
        ("configuration.docker_access", truth(context.docker_access)),
        ("configuration.metadata_service_version", texts(context.metadata_service_version.as_slice())),
        ("configuration.instance_type", texts(&instance.kinds)),
        ("configuration.instance_count", number(instance.count)),
        ("configuration.volume_gb", number(context.volume_gb)),
        (
            "configuration.lifecycle",
            texts(&lifecycle.name).into_iter().chain(texts(&lifecycle.arn)).collect(),
        ),
        ("configuration.model", texts(&context.model.name)),
        ("configuration.endpoint_config", texts(&context.endpoint_config.name)),
        ("configuration.code_repository", texts(&context.code_repository.url)),
    ]
}

/// The ARNs of SageMaker's own resources that a resource at a place is made of, in lower case as memory keeps them.
pub fn uses(context: &Context<'_>, kinds: &Kinds, place: &Arn<'_>) -> Vec<String> {
    let place = Place { region: place.region, account: place.account };
    let named = |kind: &str, name: &str| {
        let kind = kinds.get(kind)?;
        kinds.arn(kind, place, |_| Some(Cow::Owned(name.to_owned())))
    };
    let is_studio = context.studio.domain.is_some();
    let scripts = if is_studio { "studio-lifecycle-config" } else { "notebook-instance-lifecycle-config" };
    let own = context.resource.as_ref().and_then(|resource| resource.arn.as_deref()).unwrap_or_default();
    let scripts = context.lifecycle.name.iter().filter_map(|name| named(scripts, name));
    let models = context.model.name.iter().filter_map(|name| named("model", name));
    let configurations =
        context.endpoint_config.name.iter().filter_map(|name| named("endpoint-config", name));
    let parent = context.resource.as_ref().and_then(|resource| resource.parent.as_ref()?.arn.as_deref());
    let homes = homes(context, own);
    let mut uses: Vec<String> = scripts
        .chain(context.lifecycle.arn.iter().map(|arn| (*arn).to_owned()))
        .chain(models)
        .chain(configurations)
        .chain(parent.map(str::to_owned))
        .chain(homes)
        .map(|arn| arn.to_ascii_lowercase())
        .filter(|arn| !arn.eq_ignore_ascii_case(own))
        .collect();
    uses.sort_unstable();
    uses.dedup();
    uses
}

/// The space, user profile and domain of Studio that a resource at an ARN lies in. An app starts with the scripts of
/// all.
pub fn homes(context: &Context<'_>, arn: &str) -> Vec<String> {
    let Some(domain) = &context.studio.domain else { return Vec::new() };
    let Some((end, _)) = arn.match_indices(':').nth(4) else { return Vec::new() };
    let (place, resource) = arn.split_at(end + 1);
    if !["app/", "space/", "user-profile/"].iter().any(|kind| resource.starts_with(kind)) {
        return Vec::new();
    }
    let within = |kind: &str, name: &str| format!("{place}{kind}/{}/{name}", domain.id).to_ascii_lowercase();
    let Studio { space, user_profile, .. } = &context.studio;
    space
        .map(|name| within("space", name))
        .into_iter()
        .chain(user_profile.map(|name| within("user-profile", name)))
        .chain([format!("{place}domain/{}", domain.id).to_ascii_lowercase()])
        .filter(|home| !home.eq_ignore_ascii_case(arn))
        .collect()
}

/// The repository of an image in a private registry of ECR.
pub(super) fn repository(uri: &str) -> Option<String> {
    let (registry, path) = uri.split_once('/')?;
    let mut parts = registry.split('.');
    let (account, service, region) = (parts.next()?, (parts.next()?, parts.next()?), parts.next()?);
    let name = path.split(['@', ':']).next()?;
    (service == ("dkr", "ecr")).then(|| format!("arn:aws:ecr:{region}:{account}:repository/{name}"))
}

/// The ARN of a function, whichever of its versions is called.
pub(super) fn function(arn: &str) -> Option<String> {
    let arn: Vec<&str> = arn.split(':').take(7).collect();
    (arn.len() == 7 && arn[2] == "lambda").then(|| arn.join(":"))
}
