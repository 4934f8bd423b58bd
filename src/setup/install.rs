//! Installs, updates and removes objects one by one, and reports what it did with each.

use serde_json::Value;
use time::OffsetDateTime;

use super::answer::{SetupError, accepted, exists_already};
use super::inventory::Inventory;
use super::object::{Kind, Object, Server};
use super::outcome::Outcome;
use super::plan::{Edits, Entry, Step, plan};
use super::remote::{Found, Lack, Remote};
use super::retention;
use super::saved::{Saved, look};
use super::work::Work;
use crate::document::IndexName;
use crate::opensearch::{Method, OpenSearch};

/// Installs everything, in order, removes what is no longer wanted, and reports each object when it is done.
///
/// A server that refuses stops its own objects only: without Dashboards, monitors still have to page.
pub async fn install(
    remote: &Remote,
    objects: &[Object],
    edits: Edits,
    mut tell: impl FnMut(&str, &Outcome),
) -> Result<(), SetupError> {
    let inventory = Inventory::read(&remote.opensearch).await?;
    inventory.prepare().await?;
    let mut work = Work::new(remote, &inventory, edits);
    let (mut remembered, mut forgotten) = (Vec::new(), Vec::new());
    let mut done = work.bring_all(objects, &mut remembered, &mut tell).await;
    if done.is_ok() {
        done = work.clear_leftovers(objects, &mut forgotten, &mut tell).await;
    }
    inventory.write(&remembered, &forgotten).await?;
    done
}

impl Work<'_> {
    async fn bring_all(
        &mut self,
        objects: &[Object],
        remembered: &mut Vec<Entry>,
        tell: &mut impl FnMut(&str, &Outcome),
    ) -> Result<(), SetupError> {
        let mut data_is_ready = false;
        for some in objects.chunk_by(|left, right| left.kind.server() == right.kind.server()) {
            // Monitors ask indices, so those are made once their templates and their retention are there.
            if some[0].kind > Kind::Index && !data_is_ready {
                make_indices(&self.remote.opensearch, tell).await?;
                data_is_ready = true;
            }
            if some[0].kind.server() == Server::Dashboards && self.lack(some[0].kind).is_none() {
                self.bring_saved(some, remembered, tell).await;
                continue;
            }
            for object in some {
                let name = object.to_string();
                if let Some(needs) = self.lack(object.kind) {
                    tell(&name, &Outcome::Skipped { needs });
                    continue;
                }
                match self.bring(object, remembered).await {
                    Ok(outcomes) => outcomes.iter().for_each(|outcome| tell(&name, outcome)),
                    Err(error) if is_hopeless(&error, object.kind.server()) => return Err(error),
                    Err(error) => self.fail(object, &error, tell),
                }
            }
        }
        Ok(())
    }

    /// Brings saved objects of Dashboards to what they should be, all with few requests: each waits there until
    /// searches see what it changed, which for hundreds of objects would take minutes.
    async fn bring_saved(
        &mut self,
        objects: &[Object],
        remembered: &mut Vec<Entry>,
        tell: &mut impl FnMut(&str, &Outcome),
    ) {
        let found = match self.remote.find_saved(objects).await {
            Ok(found) => found,
            Err(error) => {
                self.fail(&objects[0], &error, tell);
                let problem = error.to_string();
                let skipped = Outcome::Skipped { needs: Lack::Server { problem } };
                for object in &objects[1..] {
                    tell(&object.to_string(), &skipped);
                }
                return;
            }
        };
        let mut to_write = Vec::new();
        for (object, found) in objects.iter().zip(found) {
            let step = plan(object, found.as_ref().map(|found| &found.body), self.inventory.entry(object));
            let outcome = Outcome::of(step, self.edits);
            if outcome.writes() {
                to_write.push((object, outcome));
                continue;
            }
            if let (Step::Remember, Some(found)) = (step, &found) {
                remembered.push(Entry::of(object, &found.body, &found.address));
            }
            tell(&object.to_string(), &outcome);
        }
        let bodies: Vec<&Object> = to_write.iter().map(|(object, _)| *object).collect();
        let mut written = self.remote.write_saved(&bodies).await.into_iter();
        for (object, outcome) in to_write {
            match (written.next(), self.lack(object.kind)) {
                (Some(Ok(found)), _) => {
                    remembered.push(Entry::of(object, &found.body, &found.address));
                    tell(&object.to_string(), &outcome);
                }
                (Some(Err(error)), _) => self.fail(object, &error, tell),
                (None, needs) => {
                    let unknown = || Lack::Server { problem: "an answer is missing".to_owned() };
                    let needs = needs.unwrap_or_else(unknown);
                    tell(&object.to_string(), &Outcome::Skipped { needs });
                }
            }
        }
    }

    /// Brings one object to what it should be.
    async fn bring(
        &mut self,
        object: &Object,
        remembered: &mut Vec<Entry>,
    ) -> Result<Vec<Outcome>, SetupError> {
        let (step, mut found) = look(self.remote, self.inventory, object, &mut Saved::default()).await?;
        let outcome = Outcome::of(step, self.edits);
        let writes = outcome.writes();
        if writes {
            // Only with a monitor itself go its alerts.
            if outcome == Outcome::Renewed
                && let Some(stuck) = found.take()
            {
                self.remote.remove(object, &stuck).await?;
            }
            found = Some(self.remote.write(object, found.as_ref()).await?);
        }
        let Some(found) = found else { return Ok(vec![outcome]) };
        if writes || step == Step::Remember {
            remembered.push(Entry::of(object, &found.body, &found.address));
        }
        let governs = match object.kind {
            Kind::Policy => govern(&self.remote.opensearch, object, &found).await?,
            _ => None,
        };
        if matches!(outcome, Outcome::KeptEdited | Outcome::KeptNewer) {
            self.kept.push(found.body);
        }
        Ok([Some(outcome), governs].into_iter().flatten().collect())
    }
}

async fn govern(
    opensearch: &OpenSearch,
    policy: &Object,
    found: &Found,
) -> Result<Option<Outcome>, SetupError> {
    let ungoverned = retention::ungoverned(opensearch, policy, Some(found)).await?;
    if ungoverned.is_empty() {
        return Ok(None);
    }
    let refused = retention::govern(opensearch, policy, &ungoverned).await?;
    Ok(Some(Outcome::Governs { indices: ungoverned.indices().count() - refused, refused }))
}

/// Makes the indices that monitors ask, where they are not there yet: this month's, which brings the alias, that of
/// rejected records, and those of verifications and incidents.
async fn make_indices(
    opensearch: &OpenSearch,
    tell: &mut impl FnMut(&str, &Outcome),
) -> Result<(), SetupError> {
    let names = opensearch.names();
    let month = IndexName::of_event(names, Some(OffsetDateTime::now_utc()));
    for (known_as, index) in [
        (names.events(), month.as_str().to_owned()),
        (names.resources(), names.resources()),
        (names.rejected(), names.rejected()),
        (names.verification(), names.verification()),
        (names.verified(), names.verified()),
        (names.incidents(), names.incidents()),
        (names.correlated(), names.correlated()),
        (names.correlator(), names.correlator()),
    ] {
        if opensearch.request(Method::GET, &format!("{known_as}/_settings"), None).await?.status != 404 {
            continue;
        }
        let answer = opensearch.request(Method::PUT, &index, None).await?;
        // A daemon may have made it meanwhile.
        if !exists_already(&answer) {
            let index = Object { kind: Kind::Index, id: index, body: Value::Null };
            accepted(&index, &answer)?;
            tell(&index.to_string(), &Outcome::Created);
        }
    }
    Ok(())
}

/// Whether the setup has to stop, because OpenSearch does not answer or refuses the templates.
fn is_hopeless(error: &SetupError, server: Server) -> bool {
    server == Server::OpenSearch || (server != Server::Dashboards && matches!(error, SetupError::Request(_)))
}
