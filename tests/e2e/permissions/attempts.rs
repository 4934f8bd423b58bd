//! What processes that go on for ever are tried with.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ACCOUNT;
use super::tenant::{PATIENCE, REFUSED, Tenant, Who};
use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::Daemon;
use crate::support::{eventually, trail};

/// The daemon ships one object, and can read what verifications have found, or its log says what is refused.
pub(super) async fn ship(tenant: &Tenant<'_>) -> Result<(), String> {
    let cloud = Cloud::create(&tenant.stack, &tenant.prefix, QueueSettings::default()).await;
    let mut daemon = Daemon::start(&tenant.stack, &cloud, &tenant.settings(Who::Tried));
    cloud.upload(&trail::key(ACCOUNT, 1), trail::file(&[trail::record(ACCOUNT, 1)])).await;
    let outcome = eventually(Duration::from_mins(1), async || {
        let log = daemon.log();
        if let Some(refusal) = log.lines().find(|line| REFUSED.is_match(line)) {
            return Ok(Err(refusal.to_owned()));
        }
        if daemon.get("readyz").await.map(|(status, _)| status).ok() != Some(200) {
            return Err(log);
        }
        let indexed = daemon.count("sagetrail_records_indexed_total").await;
        // A message is in flight until what its records tell memory is stored, too.
        match daemon.count("sagetrail_messages_in_flight").await {
            0 if indexed > 0 => Ok(Ok(())),
            _ => Err(log),
        }
    })
    .await;
    daemon.kill();
    outcome
}

/// The correlator makes an incident of a finding and removes what is too old, or its log says what is refused.
pub(super) async fn correlate(tenant: &Tenant<'_>) -> Result<(), String> {
    let old = json!({"@timestamp": "2020-01-01T00:00:00Z"});
    let path = tenant.index("correlated/_doc/old?refresh=true");
    assert_eq!(tenant.cluster.ask("PUT", &path, Some(old)).await.0, 201);
    let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
    command.arg("correlate");
    let settings = [tenant.settings(Who::Tried), vec![("correlate.period", "1s")]].concat();
    let mut correlator = Daemon::spawn(command, &tenant.stack, &settings);
    let mut is_told = false;
    let outcome = eventually(PATIENCE, async || {
        let log = correlator.log();
        if let Some(refusal) = log.lines().find(|line| REFUSED.is_match(line)) {
            return Ok(Err(refusal.to_owned()));
        }
        if correlator.get("readyz").await.map(|(status, _)| status).ok() != Some(200) {
            return Err(log);
        }
        if !std::mem::replace(&mut is_told, true) {
            let now = OffsetDateTime::now_utc();
            let (month, at) = (u8::from(now.month()), now.format(&Rfc3339).unwrap());
            let finding = json!({"id": "1", "title": "Key stolen", "level": "critical"});
            let signal = json!({"@timestamp": at, "event": {"ingested": at}, "sagemaker": {
                "severity": "critical", "findings": [finding],
                "alert": {"origin": "role/a", "principal": "role/a", "resource": "notebook/b"}}});
            let path = tenant.index(&format!("events-{}.{month:02}/_doc/1?refresh=true", now.year()));
            assert_eq!(tenant.cluster.ask("PUT", &path, Some(signal)).await.0, 201);
        }
        let is_gone = tenant.cluster.ask("GET", &tenant.index("correlated/_doc/old"), None).await.0 == 404;
        match correlator.count(r#"sagetrail_incidents_written_total{state="open"}"#).await {
            1.. if is_gone => Ok(Ok(())),
            _ => Err(log),
        }
    })
    .await;
    correlator.kill();
    outcome
}
