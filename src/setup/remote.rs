//! Reads, writes and removes each kind of object, through OpenSearch or through Dashboards.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{SetupError, accepted};
use super::dashboards::Dashboards;
use super::object::{Kind, Object, Server};
use crate::opensearch::{Method, OpenSearch};

/// The servers that objects are installed into.
pub struct Remote {
    pub opensearch: OpenSearch,
    dashboards: Result<Dashboards, Lack>,
    /// The plugins that OpenSearch lists; none where it does not tell, and then each is tried.
    plugins: Option<Vec<String>>,
}

/// What is missing to install a kind of objects.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display)]
pub enum Lack {
    #[strum(to_string = "the plugin {0}, which the cluster does not have")]
    Plugin(&'static str),
    /// The configuration leaves Dashboards out.
    #[strum(to_string = "dashboards.url in the configuration")]
    DashboardsUrl,
    /// A server that does not answer as it should.
    #[strum(to_string = "a server that answers: {problem}")]
    Server { problem: String },
}

/// An object as it is there.
pub struct Found {
    pub body: Value,
    /// The id that a request names; the server's where it does not take ours.
    pub address: String,
    /// The sequence number and the primary term. A write names them, so that it overwrites no change.
    version: Option<(u64, u64)>,
}

impl Found {
    /// The sequence number of this version; none for objects that have no versions.
    pub fn sequence(&self) -> Option<u64> {
        self.version.map(|(sequence, _)| sequence)
    }
}

impl Remote {
    /// Asks which plugins the cluster has, and whether Dashboards accepts the credentials.
    pub async fn connect(opensearch: OpenSearch, dashboards: Option<Dashboards>) -> Result<Self, SetupError> {
        let answer = opensearch.request(Method::GET, "_cat/plugins?format=json", None).await?;
        let listed = serde_json::from_slice::<Vec<Value>>(&answer.body).ok().filter(|_| answer.status == 200);
        let plugins = listed.map(|plugins| {
            plugins.iter().filter_map(|plugin| plugin["component"].as_str().map(str::to_owned)).collect()
        });
        let dashboards = match dashboards {
            None => Err(Lack::DashboardsUrl),
            Some(dashboards) => match dashboards.probe().await {
                Ok(()) => Ok(dashboards),
                Err(error) => Err(Lack::Server { problem: error.to_string() }),
            },
        };
        Ok(Self { opensearch, dashboards, plugins })
    }

    /// What is missing to install a kind of objects.
    pub fn lacks(&self, kind: Kind) -> Option<Lack> {
        match kind.server() {
            Server::OpenSearch => None,
            Server::Plugin(name) => {
                let plugins = self.plugins.as_ref()?;
                // A cluster lists a plugin once for each node that has it.
                (!plugins.iter().any(|plugin| plugin == name)).then_some(Lack::Plugin(name))
            }
            Server::Dashboards => self.dashboards.as_ref().err().cloned(),
        }
    }

    /// Looks an object up. What was remembered of it helps where the server chose the id.
    pub async fn find(&self, object: &Object, address: Option<&str>) -> Result<Option<Found>, SetupError> {
        let id = &object.id;
        let found = |body: Value| Found { body, address: id.clone(), version: None };
        let path = object.kind.path(id);
        match object.kind {
            Kind::ComponentTemplate => {
                let part = "/component_templates/0/component_template";
                Ok(self.get(object, &path).await?.map(|answer| found(part_of(answer, part))))
            }
            Kind::IndexTemplate => {
                let part = "/index_templates/0/index_template";
                Ok(self.get(object, &path).await?.map(|answer| found(part_of(answer, part))))
            }
            Kind::Script => Ok(self
                .get(object, &path)
                .await?
                .map(|answer| found(json!({"script": part_of(answer, "/script")})))),
            Kind::Policy => Ok(self.get(object, &path).await?.map(|answer| Found {
                version: version(&answer),
                ..found(json!({"policy": answer["policy"]}))
            })),
            Kind::Channel => {
                let answer =
                    self.get(object, &path).await?.filter(|answer| answer["config_list"][0].is_object());
                let config = |answer| json!({"config": part_of(answer, "/config_list/0/config")});
                Ok(answer.map(|answer| found(config(answer))))
            }
            Kind::Monitor => self.find_monitor(object, address).await,
            Kind::Index => Ok(self.get(object, &path).await?.map(found)),
            Kind::IndexPattern | Kind::Search | Kind::Visualization | Kind::Dashboard => {
                let one = std::slice::from_ref(object);
                Ok(self.find_saved(one).await?.pop().flatten())
            }
        }
    }

    /// Looks saved objects of Dashboards up, all with one request.
    pub async fn find_saved(&self, objects: &[Object]) -> Result<Vec<Option<Found>>, SetupError> {
        let Some(first) = objects.first() else { return Ok(Vec::new()) };
        let there = self.dashboards(first)?.find(objects).await?;
        let found = |(object, body): (&Object, Option<Value>)| body.map(|body| saved(object, body));
        Ok(objects.iter().zip(there).map(found).collect())
    }

    /// Writes saved objects of Dashboards with few requests. Those behind a refusal that would meet them as well have
    /// no answer.
    pub async fn write_saved(&self, objects: &[&Object]) -> Vec<Result<Found, SetupError>> {
        let Some(first) = objects.first() else { return Vec::new() };
        let written = match self.dashboards(first) {
            Ok(dashboards) => dashboards.write(objects).await,
            Err(error) => vec![Err(error)],
        };
        let found = |(object, body): (&&Object, Result<Value, SetupError>)| Ok(saved(object, body?));
        objects.iter().zip(written).map(found).collect()
    }

    /// Removes saved objects of Dashboards, several at a time.
    pub async fn remove_saved(&self, objects: &[Object]) -> Result<Vec<Result<(), SetupError>>, SetupError> {
        let Some(first) = objects.first() else { return Ok(Vec::new()) };
        Ok(self.dashboards(first)?.remove(objects).await)
    }

    /// Finds a monitor, whose id the plugin chose, by the remembered id or else by its name.
    async fn find_monitor(
        &self,
        object: &Object,
        address: Option<&str>,
    ) -> Result<Option<Found>, SetupError> {
        if let Some(id) = address
            && let Some(found) = self.monitor(object, id).await?
        {
            return Ok(Some(found));
        }
        if object.body["name"].is_null() {
            return Ok(None);
        }
        let query = json!({"size": 1, "query": {"term": {"monitor.name.keyword": object.body["name"]}}});
        let body = Some(Bytes::from(query.to_string()));
        let path = "_plugins/_alerting/monitors/_search";
        let answer = self.opensearch.request(Method::POST, path, body).await?;
        // Before the first monitor there is no index to search.
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = accepted(object, &answer)?;
        match answer["hits"]["hits"][0]["_id"].as_str() {
            Some(id) => self.monitor(object, id).await,
            None => Ok(None),
        }
    }

    async fn monitor(&self, object: &Object, id: &str) -> Result<Option<Found>, SetupError> {
        let answer = self.get(object, &Kind::Monitor.path(id)).await?;
        Ok(answer.map(|mut answer| Found {
            version: version(&answer),
            body: answer["monitor"].take(),
            address: id.to_owned(),
        }))
    }

    /// Whether a run of this monitor that failed has left alerts in error. The plugin never takes them out of it again,
    /// and lets nobody acknowledge them, so they would page until their incidents are closed. Who may not look sees
    /// none.
    pub async fn is_stuck(&self, monitor: &Found) -> Result<bool, SetupError> {
        let api = Kind::Monitor.api();
        let path = format!("{api}/alerts?alertState=ERROR&size=1&monitorId={}", monitor.address);
        let answer = self.opensearch.request(Method::GET, &path, None).await?;
        let told: Option<Value> = serde_json::from_slice(&answer.body).ok().filter(|_| answer.status == 200);
        Ok(told.is_some_and(|told| told["totalAlerts"].as_u64().is_some_and(|alerts| alerts > 0)))
    }

    /// Writes an object that is not there, or over the one that was found, and reads it back.
    pub async fn write(&self, object: &Object, over: Option<&Found>) -> Result<Found, SetupError> {
        let id = &object.id;
        let condition = over
            .and_then(|found| found.version)
            .map_or_else(String::new, |(number, term)| format!("?if_seq_no={number}&if_primary_term={term}"));
        let mut body = object.body.clone();
        let (method, path) = match (object.kind, over) {
            (Kind::Channel, None) => {
                body["config_id"] = json!(id);
                (Method::POST, object.kind.api().to_owned())
            }
            (Kind::Monitor, None) => (Method::POST, object.kind.api().to_owned()),
            (Kind::Monitor, Some(found)) => {
                (Method::PUT, format!("{}{condition}", object.kind.path(&found.address)))
            }
            (Kind::Policy, _) => (Method::PUT, format!("{}{condition}", object.kind.path(id))),
            // With the context a script that does not compile is refused.
            (Kind::Script, _) => (Method::PUT, format!("{}/update", object.kind.path(id))),
            (Kind::ComponentTemplate | Kind::IndexTemplate | Kind::Index | Kind::Channel, _) => {
                (Method::PUT, object.kind.path(id))
            }
            (Kind::IndexPattern | Kind::Search | Kind::Visualization | Kind::Dashboard, _) => {
                let lost = || Err(SetupError::Lost { object: object.to_string() });
                return self.write_saved(&[object]).await.pop().unwrap_or_else(lost);
            }
        };
        let body = Some(Bytes::from(body.to_string()));
        let answer = accepted(object, &self.opensearch.request(method, &path, body).await?)?;
        self.read_back(object, answer["_id"].as_str()).await
    }

    async fn read_back(&self, object: &Object, address: Option<&str>) -> Result<Found, SetupError> {
        let found = self.find(object, address).await?;
        found.ok_or_else(|| SetupError::Lost { object: object.to_string() })
    }

    /// Removes an object that was found.
    pub async fn remove(&self, object: &Object, found: &Found) -> Result<(), SetupError> {
        let id = &found.address;
        if object.kind.server() == Server::Dashboards {
            return self.remove_saved(std::slice::from_ref(object)).await?.pop().unwrap_or(Ok(()));
        }
        // Data is never removed.
        if object.kind == Kind::Index {
            return Ok(());
        }
        let path = object.kind.path(id);
        accepted(object, &self.opensearch.request(Method::DELETE, &path, None).await?).map(|_| ())
    }

    async fn get(&self, object: &Object, path: &str) -> Result<Option<Value>, SetupError> {
        let answer = self.opensearch.request(Method::GET, path, None).await?;
        if answer.status == 404 { Ok(None) } else { accepted(object, &answer).map(Some) }
    }

    fn dashboards(&self, object: &Object) -> Result<&Dashboards, SetupError> {
        self.dashboards
            .as_ref()
            .map_err(|lack| SetupError::Dashboards { problem: format!("{object} needs {lack}") })
    }
}

fn saved(object: &Object, body: Value) -> Found {
    Found { body, address: object.id.clone(), version: None }
}

fn part_of(mut answer: Value, pointer: &str) -> Value {
    answer.pointer_mut(pointer).map(Value::take).unwrap_or_default()
}

fn version(answer: &Value) -> Option<(u64, u64)> {
    answer["_seq_no"].as_u64().zip(answer["_primary_term"].as_u64())
}
