//! Checks which identity AWS sees, and whether the clocks of AWS and this host agree.

use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_sdk_sts::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::BoxError;
use time::format_description::well_known::Rfc2822;
use time::{Duration, OffsetDateTime};

use super::finding::Finding;
use crate::aws;

/// AWS refuses signatures that are five minutes off.
const REFUSED: Duration = Duration::minutes(5);
/// A clock that is kept by NTP is far closer than this, and freshness is measured in seconds.
const NOTABLE: Duration = Duration::seconds(30);

pub(super) struct Identity {
    /// None when AWS does not accept the credentials; then it answers no other question.
    pub(super) account: Option<String>,
    pub(super) findings: Vec<Finding>,
}

pub(super) async fn examine(aws: &SdkConfig) -> Identity {
    let date = DateOfAnswer::default();
    let config = aws_sdk_sts::config::Builder::from(aws).interceptor(date.clone()).build();
    let answer = aws_sdk_sts::Client::from_conf(config).get_caller_identity().send().await;
    let mut findings = Vec::new();
    let account = match answer {
        Ok(identity) => {
            findings.push(Finding::fine("identity", identity.arn().unwrap_or("without an ARN")));
            identity.account
        }
        Err(error) => {
            findings.push(Finding::broken(
                "identity",
                format!("GetCallerIdentity failed: {}", aws::cause(&error)),
                aws::GIVE_IDENTITY,
            ));
            None
        }
    };
    findings.extend(date.get().map(|theirs| judge_clock("clock", "AWS", OffsetDateTime::now_utc() - theirs)));
    Identity { account, findings }
}

/// Judges a difference between two clocks.
pub(super) fn judge_clock(subject: &str, whose: &str, ahead: Duration) -> Finding {
    let off = format!(
        "this host's clock is {} s {} {whose}'s",
        ahead.whole_seconds().abs(),
        if ahead.is_negative() { "behind" } else { "ahead of" }
    );
    let fix = "let NTP keep this host's clock";
    if ahead.abs() >= REFUSED {
        Finding::broken(subject, format!("{off}: AWS refuses signed requests"), fix)
    } else if ahead.abs() >= NOTABLE {
        Finding::warning(subject, format!("{off}: measured freshness is wrong by as much"), fix)
    } else {
        Finding::fine(subject, format!("it agrees with {whose}'s within {} s", NOTABLE.whole_seconds()))
    }
}

/// Keeps the `Date` of the last answer, which the SDK does not hand out.
#[derive(Debug, Clone, Default)]
struct DateOfAnswer(Arc<Mutex<Option<OffsetDateTime>>>);

impl DateOfAnswer {
    fn get(&self) -> Option<OffsetDateTime> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for DateOfAnswer {
    fn name(&self) -> &'static str {
        "DateOfAnswer"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            date.and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_clock_is_judged_by_what_its_error_leads_to_in_either_direction() {
        for (seconds, state) in [
            (0, State::Fine),
            (-29, State::Fine),
            (30, State::Warning),
            (-299, State::Warning),
            (300, State::Broken),
            (-4000, State::Broken),
        ] {
            assert_eq!(judge_clock("clock", "AWS", Duration::seconds(seconds)).state, state, "{seconds} s");
        }
        assert!(judge_clock("clock", "AWS", Duration::seconds(-90)).text.contains("90 s behind AWS's"));
    }
}
