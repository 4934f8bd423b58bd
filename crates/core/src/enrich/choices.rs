//! Chooses entries of a list by what was understood of a record. A record meets the few of their conditions that could
//! hold for it.

use std::collections::HashMap;

use super::analysis::Analysis;
use super::selector::Selector;

/// The conditions of entries, of which one of each has to hold.
#[derive(Debug, Default)]
pub struct Choices {
    /// Each with the number of its entry.
    all: Vec<(usize, Selector)>,
    /// The places of those that ask for a kind of resource.
    by_resource: HashMap<String, Vec<usize>>,
    /// Of the others, those that ask for calls whose names begin with the byte.
    by_letter: HashMap<u8, Vec<usize>>,
    any: Vec<usize>,
}

impl Choices {
    /// Takes the conditions of each entry, in their order.
    pub fn of(entries: impl IntoIterator<Item = Vec<Selector>>) -> Self {
        let mut choices = Self::default();
        for (entry, selectors) in entries.into_iter().enumerate() {
            for selector in selectors {
                choices.sort(choices.all.len(), &selector);
                choices.all.push((entry, selector));
            }
        }
        choices
    }

    fn sort(&mut self, place: usize, selector: &Selector) {
        if !selector.resources().is_empty() {
            for kind in selector.resources() {
                self.by_resource.entry(kind.clone()).or_default().push(place);
            }
            return;
        }
        match selector.first_letters() {
            None => self.any.push(place),
            Some(letters) => {
                for letter in letters {
                    self.by_letter.entry(letter).or_default().push(place);
                }
            }
        }
    }

    /// The numbers of the entries that fit a record, in their order.
    pub fn chosen(&self, analysis: &Analysis<'_, '_>) -> Vec<usize> {
        let kind = analysis.context.resource.as_ref().and_then(|resource| resource.kind.as_deref());
        let letter = analysis.record.event_name().as_bytes().first();
        let of_resource = kind.and_then(|kind| self.by_resource.get(kind)).into_iter().flatten();
        let of_letter = letter.and_then(|letter| self.by_letter.get(letter)).into_iter().flatten();
        let could_hold = of_resource.chain(of_letter).chain(&self.any).map(|place| &self.all[*place]);
        let holding = could_hold.filter(|(_, selector)| selector.holds(analysis));
        let mut entries: Vec<usize> = holding.map(|(entry, _)| *entry).collect();
        entries.sort_unstable();
        entries.dedup();
        entries
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::enrich::analysis::tests::{read, rule};

    fn selectors(text: &str) -> Vec<Selector> {
        #[derive(serde::Deserialize)]
        struct File {
            any: Vec<Selector>,
        }
        toml::from_str::<File>(text).unwrap().any
    }

    #[test]
    fn the_entries_that_fit_are_those_of_which_a_condition_holds() {
        let entries = [
            r#"any = [{ resources = ["model"] }, { resources = ["endpoint", "app"], calls = ["Create*"] }]"#,
            r#"any = [{ calls = ["*"], read_only = false }]"#,
            r#"any = [{ calls = ["Delete*", "CreateEndpoint"] }, { levels = ["high"] }]"#,
            r#"any = [{ agents = ["attack-tool"] }, { calls = ["Stop*"] }, { resources = ["endpoint"], calls = ["Delete*"] }]"#,
            "any = [{}]",
        ];
        let choices = Choices::of(entries.map(selectors));
        let calls = ["CreateEndpoint", "DeleteEndpoint", "CreateModel", "StopTrainingJob", "ListApps", ""];
        for (call, read_only, level) in
            calls.iter().flat_map(|call| [(call, true, "low"), (call, false, "low"), (call, false, "high")])
        {
            let record = json!({
                "eventSource": "sagemaker.amazonaws.com", "eventName": call, "readOnly": read_only,
                "requestParameters": {"endpointName": "x", "modelName": "x"}
            });
            let rules = [rule("A title", level, &[])];
            let chosen = read(&record, &rules, |analysis| choices.chosen(analysis));
            let one_by_one: Vec<usize> = read(&record, &rules, |analysis| {
                let fits = |entry: &str| selectors(entry).iter().any(|selector| selector.holds(analysis));
                entries
                    .iter()
                    .enumerate()
                    .filter(|(_, entry)| fits(entry))
                    .map(|(number, _)| number)
                    .collect()
            });
            assert_eq!(chosen, one_by_one, "{call} {read_only} {level}");
            assert!(chosen.contains(&4));
        }
    }
}
