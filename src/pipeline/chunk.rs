//! Puts together the documents and facts that are handed to the sink as one chunk.

use time::OffsetDateTime;

use crate::document::Document;
use crate::memory::{Fact, Memory, Telling};
use crate::names::Names;
use crate::sink::{Producer, SinkClosed, StoreError, Stored, Submission};

/// Bytes of documents that are handed to the sink together: small enough to bound what a decoder holds, large enough
/// that handing over costs nothing, and that most of what its records tell of one identity is sent once.
const BYTES: usize = 256 * 1024;

pub(super) struct Chunk {
    documents: Vec<Document>,
    facts: Telling,
    bytes: usize,
}

/// A chunk whose storage is not proven yet.
pub(super) struct Submitted {
    submission: Submission,
    facts: Telling,
}

impl Chunk {
    pub(super) fn new(memory: &Memory) -> Self {
        Self { documents: Vec::new(), facts: memory.telling(), bytes: 0 }
    }

    pub(super) fn push(&mut self, document: Document) {
        self.bytes += document.source.len();
        self.documents.push(document);
    }

    pub(super) fn tell(&mut self, facts: Vec<Fact>, time: OffsetDateTime) {
        self.bytes += self.facts.tell(facts, time);
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    #[cfg(test)]
    pub(super) fn documents(&self) -> &[Document] {
        &self.documents
    }

    pub(super) fn facts(&self) -> &Telling {
        &self.facts
    }

    #[cfg(test)]
    pub(super) fn prove(self) {
        self.facts.prove();
    }

    /// Hands the documents over, with their facts beside them.
    pub(super) async fn submit(self, producer: &Producer, names: &Names) -> Result<Submitted, SinkClosed> {
        let Self { mut documents, facts, .. } = self;
        documents.extend(facts.documents(names));
        let submission = producer.submit(documents).await?;
        Ok(Submitted { submission, facts })
    }
}

impl Submitted {
    /// Waits until every document and fact has an outcome.
    pub(super) async fn stored(self) -> Result<Stored, StoreError> {
        let stored = self.submission.stored().await?;
        // One that was refused is not known to memory.
        if stored.facts == self.facts.len() as u64 {
            self.facts.prove();
        }
        Ok(stored)
    }
}
