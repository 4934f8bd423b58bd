//! Which groups a point belongs to.

use std::collections::BTreeSet;

use serde::Serialize;

use super::point::Point;
use super::{Base, Correlation};

/// The values by which the points of a group belong together, one for each name that the correlation groups by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct GroupKey(pub Vec<String>);

/// Base rules, and the fields of their documents that hold the values of a group's key, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub rules: Vec<String>,
    pub fields: Vec<String>,
}

/// Groups that one point can belong to. A field with more values than this is no key.
pub const MAX_GROUPS: usize = 64;

impl Correlation {
    /// The groups of a point: none where its document lacks a field, several where a field has several values.
    pub fn keys(&self, point: &Point) -> Vec<GroupKey> {
        let mut keys = BTreeSet::new();
        for base in self.base_of(point) {
            let fields = self.fields_of(base);
            let values: Vec<&[String]> = fields.iter().map(|field| point.values(field)).collect();
            keys.extend(combinations(&values).into_iter().map(GroupKey));
        }
        keys.into_iter().take(MAX_GROUPS).collect()
    }

    /// Where to look for the points of a group: rules whose documents hold the key in the same fields together.
    pub fn sources(&self) -> Vec<Source> {
        let mut sources: Vec<Source> = Vec::new();
        for base in &self.base {
            let fields: Vec<String> = self.fields_of(base).into_iter().map(str::to_owned).collect();
            match sources.iter_mut().find(|source| source.fields == fields) {
                Some(source) => source.rules.push(base.id.clone()),
                None => sources.push(Source { rules: vec![base.id.clone()], fields }),
            }
        }
        sources
    }

    /// Whether a point belongs to a group by the match of this base rule.
    pub(super) fn is_in(&self, key: &GroupKey, point: &Point, base: &Base) -> bool {
        let fields = self.fields_of(base);
        fields.len() == key.0.len()
            && fields.iter().zip(&key.0).all(|(field, value)| point.values(field).contains(value))
    }

    fn base_of(&self, point: &Point) -> impl Iterator<Item = &Base> {
        self.base.iter().filter(|base| point.rules.contains(&base.id))
    }

    /// The fields that hold the key in the documents of a base rule.
    fn fields_of(&self, base: &Base) -> Vec<&str> {
        let names: Vec<&str> =
            [Some(&base.id), base.name.as_ref()].into_iter().flatten().map(String::as_str).collect();
        self.compiled.group_by.iter().map(|field| field.resolve(&names)).collect()
    }
}

/// Every way to take one value of each list, as many as are looked at.
pub fn combinations(lists: &[&[String]]) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    for values in lists {
        all = all
            .iter()
            .flat_map(|begun| {
                values.iter().map(move |value| {
                    let mut longer: Vec<String> = begun.clone();
                    longer.push(value.clone());
                    longer
                })
            })
            .take(MAX_GROUPS)
            .collect();
    }
    all
}
