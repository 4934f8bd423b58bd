//! Reads what AWS's message says of a denied call, whose record leaves out parameters and caller.

use crate::record::Record;

/// What the message of a denial names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied<'r> {
    /// The ARN of the caller.
    pub principal: Option<&'r str>,
    /// Such as `iam:PassRole`.
    pub action: &'r str,
    /// An ARN, or `role NAME` in older messages; none where every resource is meant.
    pub resource: Option<&'r str>,
}

/// What stands between the caller and the action in AWS's messages.
const DENIAL: &str = " is not authorized to perform: ";

impl<'r> Denied<'r> {
    /// Reads the message of a failed call; None where it does not say that somebody lacks a permission.
    pub fn of(record: &'r Record<'_>) -> Option<Self> {
        record.text(&["errorCode"])?;
        Self::read(record.text(&["errorMessage"])?)
    }

    fn read(message: &'r str) -> Option<Self> {
        let (before, after) = message.split_once(DENIAL)?;
        let principal = before.rsplit_once("User: ").map_or(before, |(_, principal)| principal);
        let (action, rest) = after.split_once(' ').unwrap_or((after, ""));
        let resource = rest.strip_prefix("on resource: ").map(|rest| {
            let end = ENDS.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
            rest[..end].trim_end_matches('.')
        });
        Some(Self {
            principal: Some(principal).filter(|principal| principal.starts_with("arn:")),
            action: action.trim_end_matches('.'),
            resource: resource.filter(|resource| !resource.is_empty() && !resource.contains('*')),
        })
    }

    /// The role that the call would have handed to a service.
    pub fn passed_role(&self) -> Option<&'r str> {
        self.resource
            .filter(|role| self.action.eq_ignore_ascii_case("iam:PassRole") && role.contains(":role/"))
    }
}

/// What follows the resource.
const ENDS: [&str; 3] = [" because ", " with an explicit deny", " as there "];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_caller_the_action_and_the_resource() {
        let caller = "arn:aws:sts::111122223333:assumed-role/Exec/SageMaker";
        let notebook = "arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/n";
        let denied = |action, resource| Some(Denied { principal: Some(caller), action, resource });
        for (said, expected) in [
            ("sagemaker:ListDomains", denied("sagemaker:ListDomains", None)),
            ("sagemaker:ListDomains on resource: *", denied("sagemaker:ListDomains", None)),
            (
                "sagemaker:ListDomains on resource: arn:aws:sagemaker:eu-west-1:111122223333:domain/* because no",
                denied("sagemaker:ListDomains", None),
            ),
            (
                "sagemaker:DeleteNotebookInstance on resource: arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/n \
                 with an explicit deny in a service control policy",
                denied("sagemaker:DeleteNotebookInstance", Some(notebook)),
            ),
            (
                "iam:AttachRolePolicy on resource: role Exec because no identity-based policy allows it",
                denied("iam:AttachRolePolicy", Some("role Exec")),
            ),
        ] {
            assert_eq!(
                Denied::read(&format!("User: {caller} is not authorized to perform: {said}")),
                expected
            );
        }
        assert_eq!(Denied::read("User: alice is not authorized to perform: a:B").unwrap().principal, None);
        for other in ["", "Access Denied", "User: x is not authorized"] {
            assert_eq!(Denied::read(other), None, "{other}");
        }
    }

    #[test]
    fn only_the_denied_passing_of_a_role_names_the_role_of_the_call() {
        let role = "arn:aws:iam::111122223333:role/Admin";
        for (action, passed) in [("iam:PassRole", Some(role)), ("iam:DeleteRole", None)] {
            let message = format!(
                "User: arn:aws:iam::1:user/a is not authorized to perform: {action} on resource: {role}"
            );
            assert_eq!(Denied::read(&message).unwrap().passed_role(), passed);
        }
    }
}
