//! The cron table: every schedule there is.

use jiff::tz::TimeZone;
use store::{CatchUp, ScheduleDefinition};

use crate::civil_cron::{CivilCron, CronError};

/// A schedule as written in the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Stable name; part of every tick's id.
    pub name: &'static str,
    /// Five cron fields: minute, hour, day of month, month, day of week (0 and 7 are Sunday).
    pub cron: &'static str,
    /// IANA time zone; schedules that run every hour or oftener are in UTC.
    pub zone: &'static str,
    pub catch_up: CatchUp,
}

impl Entry {
    /// What is stored of it.
    pub(crate) fn definition(&self) -> ScheduleDefinition {
        ScheduleDefinition { cron: self.cron.to_owned(), zone: self.zone.to_owned(), catch_up: self.catch_up }
    }
}

/// Bills every tenant with something due. Hourly, because local midnights fall on every hour somewhere.
pub(crate) const BILLING_CYCLE: &str = "billing_cycle";

/// The cron table.
pub const TABLE: [Entry; 1] =
    [Entry { name: BILLING_CYCLE, cron: "0 * * * *", zone: "UTC", catch_up: CatchUp::Latest }];

/// A parsed entry.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub entry: Entry,
    pub cron: CivilCron,
}

/// Parses the table.
pub(crate) fn parse() -> Result<Vec<Schedule>, CronError> {
    TABLE
        .iter()
        .map(|entry| Ok(Schedule { entry: *entry, cron: CivilCron::parse(entry.cron, zone(entry.zone)?)? }))
        .collect()
}

fn zone(name: &str) -> Result<TimeZone, CronError> {
    TimeZone::get(name).map_err(|error| CronError { expression: name.to_owned(), reason: error.to_string() })
}
