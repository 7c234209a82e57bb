//! Cron on the civil calendar.
//!
//! The `cron` crate steps civil times as if they were UTC; each is then mapped to one instant, so that a time in a DST gap
//! still happens once (after the gap) and one in an overlap happens once (the first time). Asked for local times directly the
//! crate skips the former and repeats the latter.

use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike, Utc};
use jiff::{Timestamp, civil, tz::TimeZone};

/// Names of the days of the week, Sunday first, as the crate understands them.
const WEEKDAYS: [&str; 8] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub struct CivilCron {
    schedule: cron::Schedule,
    zone: TimeZone,
}

/// Why an expression is refused.
#[derive(Debug, thiserror::Error)]
#[error("`{expression}` is not a schedule: {reason}")]
pub struct CronError {
    /// The expression.
    pub expression: String,
    /// The rule it breaks.
    pub reason: String,
}

impl CivilCron {
    /// Parses five fields (minute first) or six (second first); days of the week as names or 0-7, Sunday being 0 and 7.
    ///
    /// # Errors
    /// When the number of fields or one of them is wrong.
    pub fn parse(expression: &str, zone: TimeZone) -> Result<Self, CronError> {
        let refuse = |reason: String| CronError { expression: expression.to_owned(), reason };
        let mut fields: Vec<String> = expression.split_whitespace().map(ToOwned::to_owned).collect();
        match fields.len() {
            5 => fields.insert(0, "0".to_owned()),
            6 => {}
            count => return Err(refuse(format!("it has {count} fields, not 5 or 6"))),
        }
        fields[5] = name_weekdays(&fields[5]).map_err(refuse)?;
        let schedule = cron::Schedule::from_str(&fields.join(" ")).map_err(|error| refuse(error.to_string()))?;
        Ok(Self { schedule, zone })
    }

    /// The latest `limit` instants in `(after, until]`, oldest first.
    #[must_use]
    pub fn between(&self, after: Timestamp, until: Timestamp, limit: usize) -> Vec<Timestamp> {
        // A civil day back: the civil time of an instant may repeat or be skipped around `after`.
        let Some(start) = to_chrono(self.zone.to_datetime(after).saturating_sub(jiff::Span::new().days(1))) else {
            return Vec::new();
        };
        let mut instants = std::collections::VecDeque::new();
        for civil_time in self.schedule.after(&start) {
            let Some(instant) = self.instant(&civil_time) else { break };
            if instant > until {
                break;
            }
            if instant > after && instants.back() != Some(&instant) {
                instants.push_back(instant);
                if instants.len() > limit {
                    instants.pop_front();
                }
            }
        }
        instants.into()
    }

    /// The first instant after another; none when there is none any more.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let start = to_chrono(self.zone.to_datetime(after).saturating_sub(jiff::Span::new().days(1)))?;
        self.schedule.after(&start).map_while(|civil_time| self.instant(&civil_time)).find(|instant| *instant > after)
    }

    fn instant(&self, at: &DateTime<Utc>) -> Option<Timestamp> {
        let at = at.naive_utc();
        let part = |value: u32| i8::try_from(value).ok();
        let civil_time = civil::DateTime::new(
            i16::try_from(at.year()).ok()?,
            part(at.month())?,
            part(at.day())?,
            part(at.hour())?,
            part(at.minute())?,
            part(at.second())?,
            0,
        )
        .ok()?;
        self.zone.to_ambiguous_timestamp(civil_time).compatible().ok()
    }
}

fn to_chrono(at: civil::DateTime) -> Option<DateTime<Utc>> {
    let part = |value: i8| u32::try_from(value).ok();
    let date = NaiveDate::from_ymd_opt(i32::from(at.year()), part(at.month())?, part(at.day())?)?;
    let time = date.and_hms_opt(part(at.hour())?, part(at.minute())?, part(at.second())?)?;
    Some(NaiveDateTime::and_utc(&time))
}

/// The crate counts Sunday as 1; everybody else writes 0 or 7. So numbers become names, except in steps.
fn name_weekdays(field: &str) -> Result<String, String> {
    let items: Result<Vec<String>, String> = field.split(',').map(name_item).collect();
    Ok(items?.join(","))
}

fn name_item(item: &str) -> Result<String, String> {
    let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
    let days: Result<Vec<&str>, String> = range.split('-').map(name_day).collect();
    let days = days?;
    if let ["SUN", rest] = days.as_slice()
        && range.ends_with('7')
    {
        return Err(format!("`{item}`: the range from Sunday to {rest} is the whole week; write *"));
    }
    let named = days.join("-");
    Ok(step.map_or(named.clone(), |step| format!("{named}/{step}")))
}

fn name_day(day: &str) -> Result<&str, String> {
    match day.parse::<usize>() {
        Ok(number) => {
            WEEKDAYS.get(number).copied().ok_or_else(|| format!("day of the week {number} is not between 0 and 7"))
        }
        Err(_) => Ok(day),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instants(expression: &str, zone: &str, (after, until): (&str, &str)) -> Vec<String> {
        let cron = CivilCron::parse(expression, TimeZone::get(zone).unwrap()).unwrap();
        let between = cron.between(after.parse().unwrap(), until.parse().unwrap(), 100);
        between.into_iter().map(|instant| instant.to_string()).collect()
    }

    #[test]
    fn a_time_in_a_dst_gap_happens_once_after_the_gap() {
        let days = ("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z");
        let expected = ["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"];
        assert_eq!(instants("30 2 * * *", "Europe/Berlin", days), expected);
    }

    #[test]
    fn a_time_in_a_dst_overlap_happens_once() {
        let days = ("2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
        let expected = ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        assert_eq!(instants("30 2 * * *", "Europe/Berlin", days), expected);
    }

    #[test]
    fn years_end_and_begin() {
        let days = ("2025-12-31T22:30:00Z", "2026-01-01T01:00:00Z");
        let expected = ["2025-12-31T23:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"];
        assert_eq!(instants("0 * * * *", "UTC", days), expected);
    }

    #[test]
    fn five_and_six_fields_mean_the_same() {
        let days = ("2026-05-01T00:00:00Z", "2026-05-03T00:00:00Z");
        assert_eq!(instants("15 6 * * *", "UTC", days), instants("0 15 6 * * *", "UTC", days));
        assert_eq!(instants("15 6 * * *", "UTC", days).len(), 2);
    }

    #[test]
    fn sunday_is_0_and_7_and_monday_is_1() {
        let week = ("2026-05-01T12:00:00Z", "2026-05-08T12:00:00Z");
        assert_eq!(instants("0 0 * * 0", "UTC", week), ["2026-05-03T00:00:00Z"]);
        assert_eq!(instants("0 0 * * 7", "UTC", week), ["2026-05-03T00:00:00Z"]);
        assert_eq!(instants("0 0 * * 1-2", "UTC", week), ["2026-05-04T00:00:00Z", "2026-05-05T00:00:00Z"]);
        assert_eq!(instants("0 0 * * MON", "UTC", week), ["2026-05-04T00:00:00Z"]);
    }

    #[test]
    fn only_the_latest_are_kept_when_many_were_missed() {
        let cron = CivilCron::parse("0 * * * *", TimeZone::UTC).unwrap();
        let ticks = cron.between("2026-01-01T00:00:00Z".parse().unwrap(), "2026-03-01T00:30:00Z".parse().unwrap(), 1);
        assert_eq!(ticks, ["2026-03-01T00:00:00Z".parse().unwrap()]);
    }

    #[test]
    fn bad_expressions_are_refused_with_the_rule() {
        let refused = |expression: &str| CivilCron::parse(expression, TimeZone::UTC).unwrap_err().to_string();
        assert!(refused("* * *").contains("3 fields"));
        assert!(refused("0 0 * * 8").contains("not between 0 and 7"));
        assert!(refused("61 0 * * *").contains("61 0 * * *"));
    }
}
