//! A schedule: when it ticks, and how its ticks fare.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A schedule of the deployment. It serves all tenants.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Schedule {
    /// Its name.
    #[schema(example = "billing_cycle")]
    pub id: String,
    /// Always `schedule`.
    #[schema(value_type = String, example = "schedule")]
    pub object: &'static str,
    /// When a scheduler saw it first.
    pub created: Timestamp,
    /// Minute, hour, day of month, month, day of week.
    #[schema(example = "0 * * * *")]
    pub cron: String,
    /// IANA name of the zone that this is read in.
    #[schema(example = "UTC")]
    pub timezone: String,
    /// What becomes of ticks that nobody was there to make: `all` are made up for, the `latest` is, or all are `skip`ped.
    #[schema(example = "latest")]
    pub catch_up: String,
    /// The last tick that was made; null before the first.
    pub last_tick_at: Option<Timestamp>,
    /// The next tick; null when there is none any more.
    pub next_tick_at: Option<Timestamp>,
    /// Ticks that were never made: their policy passed them over, or the schedule was paused.
    pub missed_ticks: i64,
    /// Since when no tick is made; null while they are.
    pub paused_at: Option<Timestamp>,
}

impl From<store::Schedule> for Schedule {
    fn from(schedule: store::Schedule) -> Self {
        Self {
            id: schedule.id,
            object: "schedule",
            created: schedule.created,
            cron: schedule.definition.cron,
            timezone: schedule.definition.zone,
            catch_up: schedule.definition.catch_up.as_str().to_owned(),
            last_tick_at: schedule.last_at,
            next_tick_at: schedule.next_at,
            missed_ticks: schedule.missed,
            paused_at: schedule.paused_at,
        }
    }
}
