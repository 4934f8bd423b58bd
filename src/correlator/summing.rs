//! Asks what signals say together, and who else may belong to an incident. One question that OpenSearch refuses keeps
//! nobody else waiting: it is left out, and the round is made again.

use sagetrail_core::incident::{self, Incident};
use time::OffsetDateTime;

use super::asking::{AT_ONCE, Asking, SMALL_AT_ONCE};
use super::matters::Matter;
use super::round::{Current, Rounds};
use super::{tally, tied};
use crate::opensearch::QueryError;

impl Rounds {
    /// Asks what the signals say of each matter of which that is not known yet. It stays unknown where that is refused.
    pub(super) async fn sum_up(
        &self,
        asking: &Asking,
        current: &mut Current,
        matters: &mut [Matter],
    ) -> Result<(), QueryError> {
        let mut open: Vec<&mut Matter> = matters.iter_mut().filter(|matter| matter.tally.is_none()).collect();
        let questions: Vec<_> = open.iter().map(|matter| matter.question(&self.weights)).collect();
        let answers = asking.search_apart(&self.indices(), &questions, &mut current.refused).await?;
        let assets = &self.weights.assets;
        let (mut cut, mut more) = (Vec::new(), Vec::new());
        for (place, (matter, answer)) in open.iter_mut().zip(&answers).enumerate() {
            let Some(answer) = answer else { continue };
            matter.tally = Some(tally::read(answer, assets));
            if let Some(question) = matter.question_of_assets(answer, &self.weights) {
                cut.push(place);
                more.push(question);
            }
        }
        let answers = asking.search_apart(&self.indices(), &more, &mut current.refused).await?;
        for (place, answer) in cut.into_iter().zip(answers.iter()) {
            let Some(answer) = answer else { continue };
            open[place].tally.iter_mut().for_each(|tally| tally::read_assets(answer, assets, tally));
        }
        Ok(())
    }

    /// Asks what those did of whom no page has told.
    pub(super) async fn sum_up_untold(
        &self,
        asking: &Asking,
        current: &mut Current,
        matters: &mut [Matter],
        now: OffsetDateTime,
    ) -> Result<(), QueryError> {
        let question = |matter: &Matter| matter.question_of_untold(&self.weights, now);
        let (places, questions): (Vec<usize>, Vec<_>) =
            matters.iter().enumerate().filter_map(|(place, matter)| Some((place, question(matter)?))).unzip();
        for (places, questions) in places.chunks(AT_ONCE).zip(questions.chunks(AT_ONCE)) {
            let answers = asking.search_apart(&self.indices(), questions, &mut current.refused).await?;
            for (place, answer) in places.iter().zip(&answers) {
                let read = |answer| tally::read(answer, &self.weights.assets);
                matters[*place].untold = answer.as_ref().map(read);
            }
        }
        Ok(())
    }

    /// Asks who acted before anybody of the incidents did to which they may be tied. What is refused is asked again.
    pub(super) async fn find_tied(
        &self,
        asking: &Asking,
        current: &mut Current,
        now: OffsetDateTime,
    ) -> Result<(), QueryError> {
        let from = incident::counts_from(None, &self.weights, now);
        let question = |incident: &Incident| {
            // Who belongs to what came late did something when it happened.
            let late = Some(incident.event.start.0).filter(|_| incident.is_late(&self.weights));
            tied::question(incident, late.map_or(from, |late| from.min(late)))
        };
        let questions: Vec<_> = current.tying.iter().map(question).collect();
        let mut answers = Vec::with_capacity(questions.len());
        for questions in questions.chunks(SMALL_AT_ONCE) {
            answers.extend(asking.search_apart(&self.indices(), questions, &mut current.refused).await?);
        }
        for (incident, answer) in std::mem::take(&mut current.tying).into_iter().zip(answers) {
            match answer {
                Some(answer) => current.tied.extend(tied::read(&answer, &incident)),
                None => current.untied.push(incident),
            }
        }
        Ok(())
    }
}
