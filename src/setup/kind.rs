//! The kinds of things that are installed, and who serves each.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// What kind of thing it is, in the order in which one kind needs another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Kind {
    ComponentTemplate,
    IndexTemplate,
    /// A script that updates run, which daemons need and may not install.
    Script,
    /// A policy of index state management.
    Policy,
    /// An index of data, which is made once and never changed or removed.
    Index,
    IndexPattern,
    Search,
    Visualization,
    Dashboard,
    Channel,
    Monitor,
}

/// What serves a kind of objects, and may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    OpenSearch,
    /// A plugin of OpenSearch, by the name that it is listed under.
    Plugin(&'static str),
    Dashboards,
}

impl Kind {
    /// Which server or plugin takes objects of this kind.
    pub fn server(self) -> Server {
        match self {
            Self::ComponentTemplate | Self::IndexTemplate | Self::Script | Self::Index => Server::OpenSearch,
            Self::Policy => Server::Plugin("opensearch-index-management"),
            Self::IndexPattern | Self::Search | Self::Visualization | Self::Dashboard => Server::Dashboards,
            Self::Channel => Server::Plugin("opensearch-notifications"),
            Self::Monitor => Server::Plugin("opensearch-alerting"),
        }
    }

    /// The kind as Dashboards' API, exports and the inventory write it, such as `index-pattern`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Where its API is; saved objects have one of Dashboards.
    pub fn api(self) -> &'static str {
        match self {
            Self::ComponentTemplate => "_component_template",
            Self::IndexTemplate => "_index_template",
            Self::Script => "_scripts",
            Self::Policy => "_plugins/_ism/policies",
            Self::Channel => "_plugins/_notifications/configs",
            Self::Monitor => "_plugins/_alerting/monitors",
            Self::Index | Self::IndexPattern | Self::Search | Self::Visualization | Self::Dashboard => "",
        }
    }

    /// The path of one of its objects.
    pub fn path(self, id: &str) -> String {
        format!("{}/{id}", self.api())
    }

    /// Whether daemons need it.
    pub fn is_template(self) -> bool {
        matches!(self, Self::ComponentTemplate | Self::IndexTemplate | Self::Index)
    }

    /// The kind of a saved object of Dashboards, by its type.
    pub fn of_saved_object(name: &str) -> Option<Self> {
        [Self::IndexPattern, Self::Search, Self::Visualization, Self::Dashboard]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}
