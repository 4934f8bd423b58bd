//! Tells calls that remove a resource from those that remove a part of one that stays.

/// How the names of calls end that remove a part: a policy, tags, a record, a stage or a link.
const PARTS: [&str; 5] = ["Policy", "Tags", "Record", "Stage", "Association"];

/// Whether a call removes the resource that it is about.
pub fn removes(call: &str) -> bool {
    ["Delete", "Deregister"].iter().any(|verb| call.starts_with(verb))
        && !PARTS.iter().any(|part| call.ends_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls that remove what they are about, and name it with another word than the catalogue.
    const OTHER_WORDS: [&str; 2] = ["DeleteEdgeDeploymentPlan", "DeleteHubContentReference"];

    #[test]
    fn each_call_of_the_catalogue_removes_what_it_is_about_only_where_it_names_that() {
        let catalogue = include_str!("../../../../config/catalogue.toml");
        let mut counts = [0, 0];
        for line in
            catalogue.lines().filter(|line| line.starts_with("Delete") || line.starts_with("Deregister"))
        {
            let (call, rest) = line.split_once(" = {").unwrap();
            let kind = rest.split_once("resource = \"").unwrap().1.split_once('"').unwrap().0;
            let last = call.rfind(char::is_uppercase).map(|at| call[at..].to_lowercase()).unwrap();
            let names_it = kind.rsplit('-').next() == Some(last.trim_end_matches('s'));
            let expected = names_it || OTHER_WORDS.contains(&call);
            assert_eq!(removes(call), expected, "{call} of {kind}");
            counts[usize::from(expected)] += 1;
        }
        assert!(counts[0] >= 5 && counts[1] > 50, "{counts:?}");
    }
}
