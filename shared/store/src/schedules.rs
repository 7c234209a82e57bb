//! Schedules and their ticks.

use bson::doc;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Due, Store, StoreError, instant, record::record};

/// A schedule of the cron table, and how far its ticks have been made. It belongs to the deployment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Schedule {
    /// Its name in the cron table.
    #[serde(rename = "_id")]
    pub id: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// As the cron table has it.
    pub definition: ScheduleDefinition,
    /// All ticks up to here exist, or never will.
    #[serde(with = "instant")]
    pub cursor: Timestamp,
    /// The last tick that was made.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
    /// The next tick; absent when there is none any more.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// Ticks that were never made: their policy passed them over, or the schedule was paused.
    pub missed: i64,
    /// Since when no tick is made.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Timestamp>,
}
record!(Schedule, "schedules", revised);

/// When a schedule ticks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleDefinition {
    /// Five cron fields.
    pub cron: String,
    /// IANA time zone.
    pub zone: String,
    pub catch_up: CatchUp,
}

/// What becomes of ticks that nobody was there to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// Every one is made up for: each has work of its own.
    All,
    /// The latest is made up for: its work covers the earlier ones.
    Latest,
    /// None is: the work is only worth doing at its time.
    Skip,
}

impl CatchUp {
    /// The wire name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Latest => "latest",
            Self::Skip => "skip",
        }
    }
}

/// One due moment of a schedule: made once, due until its work has been started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tick {
    /// `tck_` + schedule + instant.
    #[serde(rename = "_id")]
    pub id: String,
    /// Ticks belong to the deployment; empty.
    pub tenant: String,
    pub revision: i64,
    pub schedule: String,
    #[serde(with = "instant")]
    pub at: Timestamp,
    #[serde(flatten)]
    pub due: Due,
}
record!(Tick, "ticks", revised);

impl Store {
    /// A schedule by its name.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn schedule(&self, name: &str) -> Result<Option<Schedule>, StoreError> {
        Ok(self.collection::<Schedule>().find_one(doc! { "_id": name }).await?)
    }

    /// Every schedule that a scheduler has seen, by name; a cron table has a handful.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn schedules(&self) -> Result<Vec<Schedule>, StoreError> {
        Ok(self.collection::<Schedule>().find(doc! {}).sort(doc! { "_id": 1 }).await?.try_collect().await?)
    }

    /// A tick by id.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn tick(&self, id: &str) -> Result<Option<Tick>, StoreError> {
        Ok(self.collection::<Tick>().find_one(doc! { "_id": id }).await?)
    }
}
