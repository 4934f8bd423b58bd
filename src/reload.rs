//! Exchanges the rules and the secrets of a running daemon without losing a message.
//!
//! A new set of rules is used only when it loads; otherwise the old one stays. A message keeps the rules that it began
//! with, because the pipeline takes them once for each message. Files with secrets are checked all the time, because
//! the tools that exchange them, such as Kubernetes, send no signal.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::config::{self, ConfigError, EnrichConfig};
use crate::enrich::Enricher;
use crate::enrich::catalogue::Catalogue;
use crate::enrich::networks::Networks;
use crate::enrich::rules::{BrokenRules, RuleSet, RulesError};
use crate::labels::Reload;
use crate::metrics::Metrics;
use crate::networks;
use crate::opensearch::OpenSearch;

/// Where a running daemon loads its rules from.
#[derive(Debug, Clone)]
pub struct RuleSource {
    /// The configuration file, of which only the section `[rules]` is read again.
    pub config_file: Option<PathBuf>,
    pub broken: BrokenRules,
    /// The files about networks.
    pub enrich: EnrichConfig,
}

/// Why the old rules stay.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error("loading the rules panicked; this is a bug, please report it")]
    Panicked,
}

/// How often files with secrets are checked. The old secrets mostly work for minutes after new ones are written, and
/// reading some kilobytes costs nothing.
const LOOK: Duration = Duration::from_secs(10);

/// Loads the rules again at each signal, and secrets also when their files change, for as long as it is polled.
pub async fn reload_at(
    mut hangups: Signal,
    source: RuleSource,
    current: watch::Sender<Arc<Enricher>>,
    opensearch: OpenSearch,
    metrics: Arc<Metrics>,
) {
    let mut versions = networks::versions(&source.enrich);
    loop {
        match timeout(LOOK, hangups.recv()).await {
            Err(_elapsed) => {
                renew(&opensearch, &metrics).await;
                let found = networks::versions(&source.enrich);
                if found != versions {
                    versions = found;
                    read_networks(&source.enrich, &current).await;
                }
                continue;
            }
            Ok(None) => return,
            Ok(Some(())) => renew(&opensearch, &metrics).await,
        }
        versions = networks::versions(&source.enrich);
        read_networks(&source.enrich, &current).await;
        let in_use = Arc::clone(&current.borrow());
        let source = source.clone();
        let loading = tokio::task::spawn_blocking(move || load(&source, &in_use));
        let loaded = loading.await.unwrap_or(Err(ReloadError::Panicked));
        exchange(loaded, &current, &metrics);
    }
}

async fn renew(opensearch: &OpenSearch, metrics: &Metrics) {
    opensearch.renew().await;
    metrics.secrets_refused.set(i64::from(opensearch.refuses_files()));
}

/// Logs which rules are in use from now on.
pub fn announce(rules: &RuleSet, metrics: &Metrics) {
    metrics.know_categories(rules.categories());
    metrics.rules_in_use(rules.rules().len(), rules.broken().len());
    for broken in rules.broken() {
        warn!(rule = %broken, "skipped a broken rule");
    }
    for (id, change) in rules.tuning().expired(OffsetDateTime::now_utc()) {
        warn!(rule = id, until = %change.until, "an override has ended and applies no longer; renew or remove it");
    }
    for filter in rules.tuning().filters().iter().filter(|filter| !filter.missing.is_empty()) {
        warn!(
            filter = filter.title,
            missing = filter.missing.join(", "),
            "a filter mutes nothing without its placeholders"
        );
    }
}

/// Reads the files about networks, and says which of them cannot be used.
pub fn load_networks(config: &EnrichConfig, known: &Networks) -> Networks {
    let (networks, problems) = networks::load(config, known);
    for problem in problems {
        warn!(%problem, "a file about networks is not used");
    }
    networks
}

async fn read_networks(config: &EnrichConfig, current: &watch::Sender<Arc<Enricher>>) {
    let (config, known) = (config.clone(), current.borrow().networks.clone());
    let loading = tokio::task::spawn_blocking(move || load_networks(&config, &known));
    let Ok(networks) = loading.await else { return };
    current.send_modify(|in_use| {
        let Enricher { rules, scope, fingerprint_key, names, arrival, catalogue: _, networks: _ } = &**in_use;
        *in_use = Arc::new(Enricher {
            rules: Arc::clone(rules),
            catalogue: Catalogue::built_in(),
            scope: *scope,
            fingerprint_key: fingerprint_key.clone(),
            networks,
            names: names.clone(),
            arrival: *arrival,
        });
    });
}

/// Loads the rules and keeps everything else: a new redaction key would break the links between fingerprints.
fn load(source: &RuleSource, in_use: &Enricher) -> Result<Enricher, ReloadError> {
    let config = config::load(source.config_file.as_deref())?;
    let (key, names) = (in_use.fingerprint_key.clone(), in_use.names.clone());
    let enricher =
        Enricher::load(&source.enrich.rules(config.rules), source.broken, in_use.scope, key, names)?;
    Ok(Enricher { networks: in_use.networks.clone(), ..enricher })
}

fn exchange(
    loaded: Result<Enricher, ReloadError>,
    current: &watch::Sender<Arc<Enricher>>,
    metrics: &Metrics,
) {
    match loaded {
        Ok(enricher) => {
            announce(&enricher.rules, metrics);
            info!(rules = enricher.rules.rules().len(), "the rules were loaded again");
            current.send_replace(Arc::new(enricher));
            metrics.rules_reloads.count(Reload::Reloaded);
        }
        Err(error) => {
            error!(%error, "cannot load the new rules; the old ones stay in use");
            metrics.rules_reloads.count(Reload::Refused);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Scope;

    const RULE: &str = "title: Site rule\nid: 7c4a7c6e-6c3a-4a9a-9a53-2b1a2f0c6a11\nlogsource:\n  product: aws\n\
        detection:\n  s:\n    eventName|expand: '%site_calls%'\n  condition: s\ntags:\n  - sagetrail.of-the-site\n";

    /// A site with one rule, its configuration, and the daemon's knowledge before that rule came.
    fn site(folder: &Path) -> (RuleSource, watch::Sender<Arc<Enricher>>, Metrics) {
        let rules = folder.join("rules");
        std::fs::create_dir(&rules).unwrap();
        std::fs::write(rules.join("site.yml"), RULE).unwrap();
        let config = folder.join("sagetrail.toml");
        let text = format!(
            "[rules]\nfolder = {rules:?}\nplaceholders.site_calls = ['CreateApp']\n[select]\nscope = 'all'"
        );
        std::fs::write(&config, text).unwrap();
        let source = RuleSource {
            config_file: Some(config),
            broken: BrokenRules::Refuse,
            enrich: EnrichConfig::default(),
        };
        let enricher = Enricher::built_in(Scope::Related);
        (source, watch::channel(Arc::new(enricher)).0, Metrics::new())
    }

    fn reload(source: &RuleSource, current: &watch::Sender<Arc<Enricher>>, metrics: &Metrics) {
        let loaded = load(source, &current.borrow());
        exchange(loaded, current, metrics);
    }

    fn has_site_rule(enricher: &Enricher) -> bool {
        enricher.rules.rules().iter().any(|rule| rule.title == "Site rule")
    }

    fn shows(metrics: &Metrics, line: &str) -> bool {
        metrics.expose().lines().any(|exposed| exposed == line)
    }

    #[test]
    fn the_rules_and_their_placeholders_are_exchanged_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let (source, current, metrics) = site(folder.path());
        let in_flight = Arc::clone(&current.borrow());
        reload(&source, &current, &metrics);
        assert!(has_site_rule(&current.borrow()));
        assert!(!has_site_rule(&in_flight), "what is in flight keeps its rules");
        assert_eq!(current.borrow().scope, Scope::Related, "only [rules] is read again");
        let loaded = current.borrow().rules.rules().len();
        assert!(shows(&metrics, &format!("sagetrail_rules_loaded {loaded}")));
        assert!(shows(&metrics, r#"sagetrail_rules_reloads_total{outcome="reloaded"} 1"#));
        assert!(shows(&metrics, r#"sagetrail_records_by_category_total{category="of-the-site"} 0"#));
    }

    #[test]
    fn a_set_that_cannot_be_loaded_leaves_the_old_one_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let (source, current, metrics) = site(folder.path());
        reload(&source, &current, &metrics);
        std::fs::write(folder.path().join("rules/site.yml"), "title: [").unwrap();
        reload(&source, &current, &metrics);
        assert!(has_site_rule(&current.borrow()));
        std::fs::write(folder.path().join("sagetrail.toml"), "[ruls]").unwrap();
        reload(&source, &current, &metrics);
        assert!(has_site_rule(&current.borrow()));
        assert!(shows(&metrics, r#"sagetrail_rules_reloads_total{outcome="refused"} 2"#));
    }

    #[test]
    fn broken_rules_that_are_skipped_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (source, current, metrics) = site(folder.path());
        std::fs::write(folder.path().join("rules/broken.yml"), "title: [").unwrap();
        reload(&RuleSource { broken: BrokenRules::Skip, ..source }, &current, &metrics);
        assert!(has_site_rule(&current.borrow()));
        assert!(shows(&metrics, "sagetrail_rules_broken 1"));
    }
}
