//! The remote: how each kind of object is read, written and removed, through OpenSearch or through Dashboards.

use bytes::Bytes;
use serde_json::{Value, json};

use super::SetupError;
use super::dashboards::Dashboards;
use super::object::{Kind, Object, Server};
use crate::sink::{Answer, Method, OpenSearch};

/// The servers that objects are installed into.
pub struct Remote {
    pub opensearch: OpenSearch,
    /// None where the configuration has no address of it.
    pub dashboards: Option<Dashboards>,
    /// The plugins that OpenSearch lists; none where it does not tell.
    plugins: Option<Vec<String>>,
}

/// An object as it is there.
pub struct Found {
    pub body: Value,
    /// What a request that changes it has to name: the id that the server chose, and the version that was read.
    address: Address,
}

struct Address {
    id: String,
    sequence: Option<(u64, u64)>,
}

impl Remote {
    pub async fn connect(opensearch: OpenSearch, dashboards: Option<Dashboards>) -> Result<Self, SetupError> {
        let answer = opensearch.request(Method::Get, "_cat/plugins?format=json", None).await?;
        let listed = serde_json::from_slice::<Vec<Value>>(&answer.body).ok().filter(|_| answer.status == 200);
        let plugins = listed.map(|plugins| {
            plugins.iter().filter_map(|plugin| plugin["component"].as_str().map(str::to_owned)).collect()
        });
        Ok(Self { opensearch, dashboards, plugins })
    }

    /// What is missing to install a kind of objects, in the words of whoever can add it.
    pub fn lacks(&self, kind: Kind) -> Option<String> {
        match kind.server() {
            Server::OpenSearch => None,
            Server::Plugin(name) => {
                let plugins = self.plugins.as_ref()?;
                // A cluster of one node lists each once, one of many once for each node.
                (!plugins.iter().any(|plugin| plugin == name)).then(|| format!("the plugin {name}"))
            }
            Server::Dashboards => {
                self.dashboards.is_none().then(|| "dashboards.url in the configuration".to_owned())
            }
        }
    }

    /// Looks an object up.
    pub async fn find(&self, object: &Object) -> Result<Option<Found>, SetupError> {
        let id = &object.id;
        match object.kind {
            Kind::ComponentTemplate => {
                let answer = self.get(object, &format!("_component_template/{id}")).await?;
                Ok(answer.map(|answer| found(id, &answer["component_templates"][0]["component_template"])))
            }
            Kind::IndexTemplate => {
                let answer = self.get(object, &format!("_index_template/{id}")).await?;
                Ok(answer.map(|answer| found(id, &answer["index_templates"][0]["index_template"])))
            }
            Kind::Policy => {
                let answer = self.get(object, &format!("_plugins/_ism/policies/{id}")).await?;
                Ok(answer.map(|answer| Found {
                    body: json!({"policy": answer["policy"]}),
                    address: Address { id: id.clone(), sequence: sequence(&answer) },
                }))
            }
            Kind::Channel => {
                let answer = self.get(object, &format!("_plugins/_notifications/configs/{id}")).await?;
                let config = answer
                    .and_then(|answer| answer["config_list"].get(0).map(|found| found["config"].clone()));
                Ok(config.map(|config| found(id, &json!({ "config": config }))))
            }
            Kind::Monitor => self.find_monitor(object).await,
            Kind::IndexPattern | Kind::Visualization | Kind::Search | Kind::Dashboard => {
                let answer = self.dashboards(object)?.find(object).await?;
                Ok(answer.map(|answer| found(id, &answer)))
            }
        }
    }

    /// Monitors have ids of the server's choosing; ours is in a member that the plugin keeps for whoever made it.
    async fn find_monitor(&self, object: &Object) -> Result<Option<Found>, SetupError> {
        let query = json!({"size": 100, "query": {"match_phrase_prefix": {"monitor.name": "sagetrail"}}});
        let body = Some(Bytes::from(query.to_string()));
        let answer =
            self.opensearch.request(Method::Post, "_plugins/_alerting/monitors/_search", body).await?;
        // Before the first monitor there is no index to search.
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = accepted(object, &answer)?;
        let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
        let ours = hits.into_iter().find_map(|hit| {
            let monitor = hit["_source"].get("monitor").unwrap_or(&hit["_source"]);
            let is_ours = monitor["ui_metadata"]["sagetrail"]["id"] == *object.id;
            hit["_id"].as_str().filter(|_| is_ours).map(str::to_owned)
        });
        let Some(id) = ours else { return Ok(None) };
        let answer = self.get(object, &format!("_plugins/_alerting/monitors/{id}")).await?;
        Ok(answer.map(|answer| Found {
            body: answer["monitor"].clone(),
            address: Address { id, sequence: sequence(&answer) },
        }))
    }

    /// Writes an object that is not there, or over the one that was found.
    pub async fn write(&self, object: &Object, over: Option<&Found>) -> Result<(), SetupError> {
        let id = &object.id;
        let condition = over
            .and_then(|found| found.address.sequence)
            .map_or_else(String::new, |(number, term)| format!("?if_seq_no={number}&if_primary_term={term}"));
        let (method, path, body) = match (object.kind, over) {
            (Kind::ComponentTemplate, _) => {
                (Method::Put, format!("_component_template/{id}"), object.body.clone())
            }
            (Kind::IndexTemplate, _) => (Method::Put, format!("_index_template/{id}"), object.body.clone()),
            (Kind::Policy, _) => {
                (Method::Put, format!("_plugins/_ism/policies/{id}{condition}"), object.body.clone())
            }
            (Kind::Channel, None) => {
                let mut body = object.body.clone();
                body["config_id"] = json!(id);
                (Method::Post, "_plugins/_notifications/configs".to_owned(), body)
            }
            (Kind::Channel, Some(_)) => {
                (Method::Put, format!("_plugins/_notifications/configs/{id}"), object.body.clone())
            }
            (Kind::Monitor, None) => {
                (Method::Post, "_plugins/_alerting/monitors".to_owned(), object.body.clone())
            }
            (Kind::Monitor, Some(found)) => {
                let path = format!("_plugins/_alerting/monitors/{}{condition}", found.address.id);
                (Method::Put, path, object.body.clone())
            }
            (Kind::IndexPattern | Kind::Visualization | Kind::Search | Kind::Dashboard, _) => {
                return self.dashboards(object)?.write(object).await;
            }
        };
        let body = Some(Bytes::from(body.to_string()));
        accepted(object, &self.opensearch.request(method, &path, body).await?).map(|_| ())
    }

    /// Removes an object that was found.
    pub async fn remove(&self, object: &Object, found: &Found) -> Result<(), SetupError> {
        let id = &found.address.id;
        let path = match object.kind {
            Kind::ComponentTemplate => format!("_component_template/{id}"),
            Kind::IndexTemplate => format!("_index_template/{id}"),
            Kind::Policy => format!("_plugins/_ism/policies/{id}"),
            Kind::Channel => format!("_plugins/_notifications/configs/{id}"),
            Kind::Monitor => format!("_plugins/_alerting/monitors/{id}"),
            Kind::IndexPattern | Kind::Visualization | Kind::Search | Kind::Dashboard => {
                return self.dashboards(object)?.remove(object).await;
            }
        };
        accepted(object, &self.opensearch.request(Method::Delete, &path, None).await?).map(|_| ())
    }

    async fn get(&self, object: &Object, path: &str) -> Result<Option<Value>, SetupError> {
        let answer = self.opensearch.request(Method::Get, path, None).await?;
        if answer.status == 404 { Ok(None) } else { accepted(object, &answer).map(Some) }
    }

    fn dashboards(&self, object: &Object) -> Result<&Dashboards, SetupError> {
        self.dashboards.as_ref().ok_or_else(|| SetupError::Object {
            object: object.to_string(),
            status: 0,
            body: "dashboards.url is not set".to_owned(),
        })
    }
}

/// The answer's JSON, or the refusal with what to do about it.
pub(super) fn accepted(object: &Object, answer: &Answer) -> Result<Value, SetupError> {
    /// Characters of an answer that an error shows: enough for the reason, which comes first.
    const SHOWN: usize = 500;
    if matches!(answer.status, 200 | 201) {
        return Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null));
    }
    let body = String::from_utf8_lossy(&answer.body).chars().take(SHOWN).collect();
    Err(SetupError::Object { object: object.to_string(), status: answer.status, body })
}

fn found(id: &str, body: &Value) -> Found {
    Found { body: body.clone(), address: Address { id: id.to_owned(), sequence: None } }
}

fn sequence(answer: &Value) -> Option<(u64, u64)> {
    answer["_seq_no"].as_u64().zip(answer["_primary_term"].as_u64())
}
