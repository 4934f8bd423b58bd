//! Parses ARNs, AWS's names for resources, such as
//! `arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/research`.

/// An ARN in its parts. They borrow from its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'r> {
    pub text: &'r str,
    pub partition: &'r str,
    pub service: &'r str,
    /// Empty for the resources of global services.
    pub region: &'r str,
    pub account: &'r str,
    /// Everything after the account.
    pub resource: &'r str,
}

impl<'r> Arn<'r> {
    /// Reads an ARN of any partition; none for any other text.
    pub fn parse(text: &'r str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next();
        let (scheme, partition, service) = (next()?, next()?, next()?);
        let (region, account, resource) = (next()?, next()?, next()?);
        let is_arn = scheme == "arn" && !partition.is_empty() && !service.is_empty() && !resource.is_empty();
        is_arn.then_some(Self { text, partition, service, region, account, resource })
    }

    /// Whether a service of the SageMaker family owns the resource: `sagemaker` or, say, `sagemaker-geospatial`.
    pub fn is_sagemaker(&self) -> bool {
        self.service.starts_with("sagemaker")
    }

    /// The type and name that most services write: `role/name`, `log-group:name`. S3's ARNs have neither an account
    /// nor a type.
    pub fn type_and_name(&self) -> (Option<&'r str>, &'r str) {
        match self.resource.split_once(['/', ':']) {
            Some((kind, name)) if !self.account.is_empty() => (Some(kind), name),
            Some(_) | None => (None, self.resource),
        }
    }
}

/// The name at the end of an ARN. Names of roles and policies may have a path before them, which says little.
pub fn name_in_arn(text: &str) -> &str {
    let mut parts = text.splitn(6, ':');
    let (Some("arn"), Some(service), Some(resource)) = (parts.next(), parts.nth(1), parts.nth(2)) else {
        return text;
    };
    match resource.split_once('/') {
        Some((_, name)) if service == "iam" => name.rsplit('/').next().unwrap_or(name),
        Some((_, name)) => name,
        None => resource.rsplit(':').next().unwrap_or(resource),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_of_any_partition_is_read_into_its_parts() {
        for (text, expected) in [
            (
                "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/churn",
                ("aws", "sagemaker", "eu-west-1", "endpoint/churn"),
            ),
            (
                "arn:aws-cn:sagemaker:cn-north-1:111122223333:pipeline/p/execution/e",
                ("aws-cn", "sagemaker", "cn-north-1", "pipeline/p/execution/e"),
            ),
            (
                "arn:aws:sagemaker-geospatial:us-west-2:111122223333:earth-observation-job/a1",
                ("aws", "sagemaker-geospatial", "us-west-2", "earth-observation-job/a1"),
            ),
            (
                "arn:aws-us-gov:logs:us-gov-west-1:111122223333:log-group:/aws/sagemaker/Endpoints/x:*",
                ("aws-us-gov", "logs", "us-gov-west-1", "log-group:/aws/sagemaker/Endpoints/x:*"),
            ),
        ] {
            let arn = Arn::parse(text).unwrap();
            assert_eq!((arn.partition, arn.service, arn.region, arn.resource), expected);
        }
    }

    #[test]
    fn type_and_name_are_told_apart_as_each_service_writes_them() {
        for (text, expected) in [
            ("arn:aws:iam::aws:policy/AdministratorAccess", (Some("policy"), "AdministratorAccess")),
            ("arn:aws:logs:eu-west-1:111122223333:log-group:/aws/x", (Some("log-group"), "/aws/x")),
            ("arn:aws:sqs:eu-west-1:111122223333:queue", (None, "queue")),
            ("arn:aws:s3:::bucket/key", (None, "bucket/key")),
        ] {
            assert_eq!(Arn::parse(text).unwrap().type_and_name(), expected);
        }
    }

    #[test]
    fn what_is_no_arn_is_none() {
        for text in ["", "churn", "arn:aws:sagemaker", "arn:aws:sagemaker:r:1:", "urn:a:b:c:d:e", "arn::::::"]
        {
            assert_eq!(Arn::parse(text), None, "{text}");
        }
    }
}
