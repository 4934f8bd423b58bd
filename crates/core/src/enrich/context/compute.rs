//! Counts the instances that a call asks for.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json_borrow::{ObjectAsVec, Value};
use serde_with::skip_serializing_none;

use super::texts::{self, Texts};
use super::values::{MAX_LONG, add, any_case, whole};

/// The instances that a call asks for, and what they come to together.
#[skip_serializing_none]
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct Instance<'r> {
    #[serde(rename = "type", skip_serializing_if = "Texts::is_empty")]
    pub kinds: Texts<'r>,
    /// Summed over everything that the call names.
    pub count: Option<u64>,
    /// How many can run at the same time, with the jobs that run beside each other and what an endpoint may grow to.
    pub total: Option<u64>,
    pub accelerated: Option<bool>,
    /// GPUs and other accelerators of all instances together. A type without a count stands for one instance.
    pub accelerators: Option<u64>,
    /// Virtual CPUs of all instances together, in the same way.
    pub vcpus: Option<u64>,
}

impl<'r> Instance<'r> {
    /// Takes types and counts. What a model would also run on, or a portal hides, is not asked for.
    pub fn take(&mut self, name: &str, value: &'r Value<'_>) {
        match name {
            "instancecount" | "initialinstancecount" | "desiredinstancecount" | "incrementtargetcountby" => {
                add(&mut self.count, value);
            }
            _ if name.ends_with("instancetype") || name == "instancetypes" => {
                texts::of(value).for_each(|kind| self.kinds.take(kind));
            }
            _ => {}
        }
    }

    /// Decides what the types and the fleet that they make up come to.
    pub fn judge(&mut self, fleet: Fleet) {
        self.accelerated =
            (!self.kinds.is_empty()).then(|| self.kinds.iter().any(|kind| is_accelerated(kind)));
        self.total = (fleet.instances > 0).then_some(fleet.instances.min(MAX_LONG));
        self.accelerators = (fleet.accelerators > 0).then_some(fleet.accelerators.min(MAX_LONG));
        self.vcpus = (fleet.vcpus > 0).then_some(fleet.vcpus.min(MAX_LONG));
    }
}

fn ends_with(name: &str, ending: &str) -> bool {
    let start = name.len().checked_sub(ending.len());
    start.and_then(|start| name.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(ending))
}

/// What can run at the same time.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Fleet {
    instances: u64,
    accelerators: u64,
    vcpus: u64,
}

impl Fleet {
    /// Together with another that runs beside it.
    pub fn and(self, other: Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    /// Either of them, whichever is larger.
    pub fn or(self, other: Self) -> Self {
        self.each(other, u64::max)
    }

    fn times(self, count: u64) -> Self {
        self.each(Self { instances: count, accelerators: count, vcpus: count }, u64::saturating_mul)
    }

    fn each(self, other: Self, join: fn(u64, u64) -> u64) -> Self {
        Self {
            instances: join(self.instances, other.instances),
            accelerators: join(self.accelerators, other.accelerators),
            vcpus: join(self.vcpus, other.vcpus),
        }
    }

    /// Whether the elements of a list are alternatives or run one after the other, by the list's name in lower case.
    pub fn are_alternatives(list: &str) -> bool {
        matches!(list, "trainingjobdefinitions" | "instanceconfigs" | "instancepreferences")
    }

    /// Whether the object of that name belongs to the group around it.
    pub fn is_of_group(name: &str) -> bool {
        name.eq_ignore_ascii_case(SCALING)
    }

    /// What an object asks for by its own members, beside `inner`, which is what those in it ask for.
    pub fn of(object: &ObjectAsVec<'_>, inner: Self) -> Self {
        let mut group = Group::default();
        for (name, value) in object.iter() {
            group.take(name, value);
        }
        // The definition of a pipeline writes the same members with a capital letter.
        let config =
            object.iter().find(|(name, _)| name.eq_ignore_ascii_case("hyperParameterTuningJobConfig"));
        let parallel = config.map_or(1, |(_, config)| {
            let limits = any_case(config, "resourceLimits");
            whole(any_case(limits, "maxParallelTrainingJobs")).unwrap_or(1).max(1)
        });
        group.fleet().and(inner).times(parallel)
    }
}

/// Instances of one type, as one object names them.
#[derive(Default)]
struct Group<'v> {
    kinds: Vec<&'v str>,
    count: Option<u64>,
}

impl<'v> Group<'v> {
    fn take(&mut self, name: &str, value: &'v Value<'_>) {
        if ends_with(name, "instanceType") || name.eq_ignore_ascii_case("instanceTypes") {
            self.kinds.extend(texts::of(value));
        } else if COUNTS.iter().any(|count| count.eq_ignore_ascii_case(name)) {
            self.count = self.count.max(whole(value));
        } else if name.eq_ignore_ascii_case(SCALING) {
            self.count = self.count.max(whole(any_case(value, "maxInstanceCount")));
        }
    }

    fn fleet(self) -> Fleet {
        let of_one = self.kinds.iter().map(|kind| Fleet {
            instances: 0,
            accelerators: accelerators(kind),
            vcpus: vcpus(kind),
        });
        let of_one = of_one.fold(Fleet::default(), Fleet::or);
        let fleet = of_one.times(self.count.unwrap_or(1));
        Fleet { instances: self.count.unwrap_or(0), ..fleet }
    }
}

const COUNTS: [&str; 5] = [
    "instanceCount",
    "initialInstanceCount",
    "desiredInstanceCount",
    "incrementTargetCountBy",
    "maxInstanceCount",
];
/// What a variant may grow to, which is no further group beside the one that it starts with.
const SCALING: &str = "managedInstanceScaling";

/// Instance families with GPUs, Trainium or Inferentia: the ones worth hijacking.
fn is_accelerated(instance_type: &str) -> bool {
    let (family, _) = family_and_size(instance_type);
    // The class is what stands before the first digit: `p4de` and `p6-b200` are both of class `p`.
    let class = family.split(|character: char| character.is_ascii_digit()).next().unwrap_or(family);
    matches!(class, "p" | "g" | "gr" | "trn" | "inf" | "dl")
}

fn accelerators(instance_type: &str) -> u64 {
    if !is_accelerated(instance_type) {
        return 0;
    }
    let (family, size) = family_and_size(instance_type);
    SIZES.accelerators.get(family).and_then(|sizes| sizes.get(size)).copied().unwrap_or(1)
}

/// Four for each `xlarge`, and two for what is smaller. Of `metal` nothing is known.
fn vcpus(instance_type: &str) -> u64 {
    let (_, size) = family_and_size(instance_type);
    match size.strip_suffix("xlarge") {
        Some("") => 4,
        Some(times) => times.parse::<u64>().map_or(0, |times| times.saturating_mul(4)),
        None if matches!(size, "large" | "medium" | "small") => 2,
        None => 0,
    }
}

fn family_and_size(instance_type: &str) -> (&str, &str) {
    let text = instance_type.strip_prefix("ml.").unwrap_or(instance_type);
    text.split_once('.').unwrap_or((text, ""))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sizes {
    accelerators: HashMap<String, HashMap<String, u64>>,
}

static SIZES: LazyLock<Sizes> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../../../config/instances.toml"))
        .expect("the sizes of instances are checked in as valid TOML")
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accelerated_instances_are_told_by_their_family() {
        for accelerated in [
            "ml.p3.2xlarge",
            "ml.p4de.24xlarge",
            "ml.p6-b200.48xlarge",
            "ml.g5.xlarge",
            "ml.trn1n.32xlarge",
            "ml.inf2.xlarge",
        ] {
            assert!(is_accelerated(accelerated), "{accelerated}");
        }
        for plain in ["ml.t3.medium", "ml.c5.xlarge", "ml.m6gd.large", "ml.r5.large", "system", ""] {
            assert!(!is_accelerated(plain), "{plain}");
        }
    }

    #[test]
    fn the_size_of_an_instance_says_what_is_in_it() {
        for (kind, expected) in [
            ("ml.p4d.24xlarge", (8, 96)),
            ("ml.p6-b200.48xlarge", (8, 192)),
            ("ml.g5.xlarge", (1, 4)),
            ("ml.g9.48xlarge", (1, 192)),
            ("ml.t3.medium", (0, 2)),
            ("ml.c6i.32xlarge", (0, 128)),
            ("ml.m7i.metal", (0, 0)),
            ("ml.x.99999999999999999999xlarge", (0, 0)),
            ("system", (0, 0)),
        ] {
            assert_eq!((accelerators(kind), vcpus(kind)), expected, "{kind}");
        }
    }
}
