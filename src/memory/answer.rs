//! Reads what OpenSearch answers to a recall (pure).

use std::borrow::Cow;

use sagetrail_core::memory::State;
use serde::Deserialize;

/// The parts of the answer that are read.
pub(super) const FILTER: &str = "filter_path=docs._index,docs._id,docs.found,docs._source,docs.error.type";

/// The error of an index that is made with the first fact.
const NO_INDEX: &str = "index_not_found_exception";

/// A document that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) index: String,
    pub(super) id: String,
}

/// Why an answer is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("it is no answer to a recall: {0}")]
    Form(String),
    #[error("it has {found} documents, and {asked} were asked for")]
    Count { asked: usize, found: usize },
    #[error("its document {0} is another than was asked for")]
    Another(usize),
    #[error("its document {0} does not say whether it was found")]
    Unsaid(usize),
    #[error("its document {position} is an error ({kind})")]
    Failed { position: usize, kind: String },
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    docs: Vec<Doc<'a>>,
}

#[derive(Deserialize)]
struct Doc<'a> {
    #[serde(rename = "_index", borrow)]
    index: Cow<'a, str>,
    #[serde(rename = "_id", borrow)]
    id: Cow<'a, str>,
    found: Option<bool>,
    #[serde(rename = "_source")]
    source: Option<Source>,
    error: Option<DocError>,
}

#[derive(Deserialize)]
struct Source {
    memory: State,
}

#[derive(Deserialize)]
struct DocError {
    #[serde(rename = "type")]
    kind: String,
}

/// What is known under each document that was asked for, in their order.
pub(super) fn read(body: &[u8], asked: &[Asked]) -> Result<Vec<Option<State>>, AnswerError> {
    let Answer { docs } =
        serde_json::from_slice(body).map_err(|error| AnswerError::Form(error.to_string()))?;
    if docs.len() != asked.len() {
        return Err(AnswerError::Count { asked: asked.len(), found: docs.len() });
    }
    let read_one = |(position, (doc, asked)): (usize, (Doc<'_>, &Asked))| {
        if doc.index != asked.index || doc.id != asked.id {
            return Err(AnswerError::Another(position));
        }
        match (doc.error, doc.found, doc.source) {
            (Some(DocError { kind }), ..) if kind == NO_INDEX => Ok(None),
            (Some(DocError { kind }), ..) => Err(AnswerError::Failed { position, kind }),
            (None, Some(false), None) => Ok(None),
            (None, Some(true), Some(Source { memory })) => Ok(Some(memory)),
            _ => Err(AnswerError::Unsaid(position)),
        }
    };
    docs.into_iter().zip(asked).enumerate().map(read_one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use sagetrail_core::memory::Stamp;

    fn state(text: &str) -> State {
        let mut state = State::default();
        state.say("key", &Stamp::ALWAYS, [text]);
        state
    }

    fn found(id: &str) -> Value {
        json!({"_index": "i", "_id": id, "found": true, "_source": {"memory": state(id)}})
    }

    fn missing(id: &str) -> Value {
        json!({"_index": "i", "_id": id, "found": false})
    }

    fn read_two(answer: &[u8]) -> Result<Vec<Option<State>>, AnswerError> {
        let asked = ["a", "b"].map(|id| Asked { index: "i".to_owned(), id: id.to_owned() });
        read(answer, &asked)
    }

    #[test]
    fn each_document_is_found_or_known_not_to_be_there() {
        let no_index = json!({"_index": "i", "_id": "b", "error": {"type": NO_INDEX}});
        let cases = [
            (json!([found("a"), missing("b")]), vec![Some(state("a")), None]),
            (json!([missing("a"), found("b")]), vec![None, Some(state("b"))]),
            (json!([missing("a"), no_index]), vec![None, None]),
        ];
        for (docs, expected) in cases {
            assert_eq!(read_two(json!({"docs": docs}).to_string().as_bytes()), Ok(expected));
        }
    }

    #[test]
    fn an_answer_that_is_cut_or_lies_about_order_or_lacks_items_is_not_believed() {
        let whole = json!({"docs": [found("a"), found("b")]}).to_string();
        for length in 0..whole.len() {
            assert!(read_two(&whole.as_bytes()[..length]).is_err(), "{length}");
        }
        let elsewhere = json!({"_index": "other", "_id": "b", "found": false});
        let failed = json!({"_index": "i", "_id": "b", "error": {"type": "es_rejected_execution_exception"}});
        let unsaid = json!({"_index": "i", "_id": "b"});
        let empty = json!({"_index": "i", "_id": "b", "found": true, "_source": {}});
        let sourceless = json!({"_index": "i", "_id": "b", "found": true});
        let lies = json!({"_index": "i", "_id": "b", "found": false, "_source": {"memory": state("b")}});
        let odd = json!({"_index": "i", "_id": "b", "found": true, "_source": {"memory": {"latest": [1]}}});
        let another = |position| Err(AnswerError::Another(position));
        let table = [
            (json!([found("b"), found("a")]), another(0), "order"),
            (json!([found("a"), elsewhere]), another(1), "index"),
            (json!([found("a")]), Err(AnswerError::Count { asked: 2, found: 1 }), "too few"),
            (
                json!([found("a"), found("b"), found("b")]),
                Err(AnswerError::Count { asked: 2, found: 3 }),
                "too many",
            ),
            (
                json!([found("a"), failed]),
                Err(AnswerError::Failed { position: 1, kind: "es_rejected_execution_exception".to_owned() }),
                "an error",
            ),
            (json!([found("a"), unsaid]), Err(AnswerError::Unsaid(1)), "neither"),
            (json!([found("a"), sourceless]), Err(AnswerError::Unsaid(1)), "no source"),
            (json!([found("a"), lies]), Err(AnswerError::Unsaid(1)), "both"),
        ];
        for (docs, expected, what) in table {
            assert_eq!(read_two(json!({"docs": docs}).to_string().as_bytes()), expected, "{what}");
        }
        for odd in [odd, empty] {
            let answer = json!({"docs": [found("a"), odd]}).to_string();
            assert!(matches!(read_two(answer.as_bytes()), Err(AnswerError::Form(_))), "{answer}");
        }
        for other in ["", "{}", "[]", "<html>ok</html>", r#"{"docs":null}"#] {
            assert!(matches!(read_two(other.as_bytes()), Err(AnswerError::Form(_))), "{other}");
        }
    }
}
