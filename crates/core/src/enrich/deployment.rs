//! What stands behind an endpoint: its configuration and models, before a call and after it.

use super::lineage::Person;
use crate::memory::{Key, Known, State};

/// Kinds of resources that models stand behind.
const KINDS: [&str; 3] = ["endpoint", "endpoint-config", "inference-component"];

/// What memory has of configurations and models.
#[derive(Debug, Default, PartialEq)]
pub struct Deployed<'k> {
    pub configurations: Vec<&'k State>,
    pub models: Vec<&'k State>,
}

/// The names of configurations and models, which are of the account and region of an ARN.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    place: String,
    configurations: Vec<String>,
    models: Vec<String>,
}

impl Named {
    /// None of a resource that no models stand behind.
    pub fn at<'n>(
        arn: &str,
        configurations: impl IntoIterator<Item = &'n str>,
        models: impl IntoIterator<Item = &'n str>,
    ) -> Option<Self> {
        let (end, _) = arn.match_indices(':').nth(4)?;
        let (place, resource) = arn.split_at(end + 1);
        let (kind, _) = resource.split_once('/')?;
        let owned = |name: &str| name.to_owned();
        KINDS.contains(&kind).then(|| Self {
            place: place.to_owned(),
            configurations: configurations.into_iter().map(owned).collect(),
            models: models.into_iter().map(owned).collect(),
        })
    }

    /// Whether no configuration and no model is named.
    pub fn is_empty(&self) -> bool {
        self.configurations.is_empty() && self.models.is_empty()
    }

    /// The keys of all, as far as what is known already tells them.
    pub fn keys(&self, known: &Known) -> Vec<Key> {
        let configurations = self.configurations();
        let named_there = configurations.iter().filter_map(|key| known.get(key).found());
        let models: Vec<Key> = named_there.flat_map(|state| self.models_of(state)).collect();
        configurations
            .into_iter()
            .chain(self.models.iter().map(|name| self.model(name)))
            .chain(models)
            .collect()
    }

    /// What is known of them.
    pub fn deployed<'k>(&self, known: &'k Known) -> Deployed<'k> {
        let configurations: Vec<&State> =
            self.configurations().iter().filter_map(|key| known.get(key).found()).collect();
        let mut keys: Vec<Key> = self.models.iter().map(|name| self.model(name)).collect();
        keys.extend(configurations.iter().flat_map(|state| self.models_of(state)));
        Deployed { models: keys.iter().filter_map(|key| known.get(key).found()).collect(), configurations }
    }

    fn configurations(&self) -> Vec<Key> {
        let arn = |name: &String| Key::resource(&format!("{}endpoint-config/{name}", self.place));
        self.configurations.iter().map(arn).collect()
    }

    fn models_of(&self, configuration: &State) -> Vec<Key> {
        let names = configuration.values("configuration.model").unwrap_or_default();
        names.iter().map(|name| self.model(name)).collect()
    }

    fn model(&self, name: &str) -> Key {
        Key::resource(&format!("{}model/{name}", self.place))
    }
}

/// What of the models now is from elsewhere than all that stood there before: `image`, `model_bucket`, `model_creator`.
/// Whoever made the endpoint is no stranger to it.
pub fn other_origin(before: &Deployed<'_>, now: &Deployed<'_>, endpoint: &State) -> Vec<&'static str> {
    let mut other = Vec::new();
    for (name, field, origin) in [
        ("image", "configuration.image", repository as fn(&str) -> &str),
        ("model_bucket", "configuration.model_data", bucket),
    ] {
        let known: Vec<&str> = origins(&before.models, field, origin).collect();
        if !known.is_empty() && origins(&now.models, field, origin).any(|it| !known.contains(&it)) {
            other.push(name);
        }
    }
    let creators = before.models.iter().copied().chain([endpoint]);
    let known: Vec<Creator<'_>> = creators.filter_map(creator).collect();
    let mut makers = now.models.iter().copied().filter_map(creator);
    if !before.models.is_empty()
        && makers.any(|maker| !known.is_empty() && known.iter().all(|known| known.is_other_than(&maker)))
    {
        other.push("model_creator");
    }
    other
}

/// Who made a resource: a person, or else the role or user, of which sessions cannot be told apart.
#[derive(Debug, Clone, Copy)]
enum Creator<'s> {
    Person(Person<'s>),
    Identity(&'s str),
}

impl Creator<'_> {
    /// A person may be behind a role, so that the two cannot be compared.
    fn is_other_than(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Person(one), Self::Person(other)) => !one.is_same(*other),
            (Self::Identity(one), Self::Identity(other)) => one != other,
            (Self::Person(_), Self::Identity(_)) | (Self::Identity(_), Self::Person(_)) => false,
        }
    }
}

fn creator(state: &State) -> Option<Creator<'_>> {
    let account = state.value("cloud.account.id");
    let person = state.value("created.person").map(|name| Creator::Person(Person { name, account }));
    person.or_else(|| state.value("created.principal")?.split(':').next().map(Creator::Identity))
}

fn origins<'k>(
    states: &[&'k State],
    field: &'static str,
    origin: fn(&str) -> &str,
) -> impl Iterator<Item = &'k str> {
    states.iter().flat_map(move |state| state.values(field).unwrap_or_default()).map(move |it| origin(it))
}

fn repository(image: &str) -> &str {
    // A registry may have a port.
    let name = image.rfind('/').map_or(0, |slash| slash + 1);
    let end = image[name..].find([':', '@']).map_or(image.len(), |end| name + end);
    &image[..end]
}

fn bucket(uri: &str) -> &str {
    let path = uri.strip_prefix("s3://").unwrap_or(uri);
    path.split('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Stamp;

    fn model(image: &str, data: &str, person: Option<&str>, principal: &str) -> State {
        let mut state = State::default();
        for (field, value) in [
            ("configuration.image", Some(image)),
            ("configuration.model_data", Some(data)),
            ("created.person", person),
            ("created.principal", Some(principal)),
        ] {
            state.say(field, &Stamp::ALWAYS, value);
        }
        state
    }

    #[test]
    fn a_new_version_of_the_same_origin_is_no_other_and_each_part_from_elsewhere_is_named() {
        const IMAGE: &str = "1.dkr.ecr.eu-west-1.amazonaws.com/serve";
        let was = model(&format!("{IMAGE}:1"), "s3://team/a", Some("alice"), "AROA1:alice");
        let endpoint = model("", "", Some("bob"), "AROA1:bob");
        let elsewhere = "9.dkr.ecr.eu-west-1.amazonaws.com/serve:1";
        let same_image = format!("{IMAGE}@sha256:00");
        let cases: [(State, &[&str]); 6] = [
            (model(&same_image, "s3://team/b", Some("alice"), "AROA1:alice"), &[]),
            (model(&same_image, "s3://team/b", Some("Bob"), "AROA1:bob"), &[]),
            (model(&same_image, "s3://team/b", None, "AROA2:x"), &[]),
            (model(&same_image, "s3://team/b", Some("eve"), "AROA1:eve"), &["model_creator"]),
            (model(&same_image, "s3://loot/b", Some("alice"), "AROA1:alice"), &["model_bucket"]),
            (model(elsewhere, "s3://team/b", Some("alice"), "AROA1:alice"), &["image"]),
        ];
        for (now, expected) in cases {
            let before = Deployed { models: vec![&was], ..Deployed::default() };
            let after = Deployed { models: vec![&now], ..Deployed::default() };
            assert_eq!(other_origin(&before, &after, &endpoint), expected, "{now:?}");
            // Of what stood there before nothing is known.
            assert_eq!(other_origin(&Deployed::default(), &after, &endpoint), [""; 0], "{now:?}");
        }
    }

    #[test]
    fn models_are_found_by_way_of_the_configuration_at_the_place_of_the_endpoint() {
        let endpoint = "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/e";
        let named = Named::at(endpoint, ["C"], []).unwrap();
        let mut known = Known::to_be_asked(crate::memory::KnownNames::None);
        let configuration = Key::resource("arn:aws:sagemaker:eu-west-1:111122223333:endpoint-config/c");
        assert_eq!(named.keys(&known), std::slice::from_ref(&configuration));
        let mut state = State::default();
        state.say("configuration.model", &Stamp::ALWAYS, ["M"]);
        known.recall(configuration.clone(), Some(state.into()));
        let model = Key::resource("arn:aws:sagemaker:eu-west-1:111122223333:model/m");
        assert_eq!(named.keys(&known), [configuration, model]);
        assert_eq!(
            Named::at("arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/n", ["c"], []),
            None
        );
    }
}
