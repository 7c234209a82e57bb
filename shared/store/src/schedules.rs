//! Schedules and their ticks.

use bson::doc;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Due, Store, StoreError, instant, record::record};

/// How far a schedule's ticks have been made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Schedule {
    /// Name of the schedule in the cron table.
    #[serde(rename = "_id")]
    pub id: String,
    pub revision: i64,
    /// All ticks up to here exist.
    #[serde(with = "instant")]
    pub cursor: Timestamp,
}
record!(Schedule, "schedules", revised);

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
    /// A schedule's stored cursor.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn schedule(&self, name: &str) -> Result<Option<Schedule>, StoreError> {
        Ok(self.collection::<Schedule>().find_one(doc! { "_id": name }).await?)
    }

    /// A tick by id.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn tick(&self, id: &str) -> Result<Option<Tick>, StoreError> {
        Ok(self.collection::<Tick>().find_one(doc! { "_id": id }).await?)
    }
}
