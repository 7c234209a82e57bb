//! The demo's own arithmetic: what the usage lines must sum to, recomputed from the file without the product's code.
//!
//! Works in tenths of a cent, the smallest unit that the demo's prices produce, and rounds half up once per line, as the
//! billing rules say. A first, partial month has a proportional maximum, itself rounded half up to the cent.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::{ToSpan as _, civil::Date, tz::TimeZone};

use super::data::Input;

/// What one account used in one local month.
#[derive(Clone, Copy, Default)]
struct Month {
    commits: i64,
    lines: i64,
}

/// What the usage lines of all invoices must sum to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// Events in periods that have ended by the last boundary.
    pub billed_events: i64,
    /// Cents.
    pub usage_minor: i64,
}

/// Recomputes all usage up to (not including) the local day `until`.
pub(super) fn expected(input: &Input, until: Date) -> anyhow::Result<Expected> {
    let mut months: BTreeMap<(&str, Date), Month> = BTreeMap::new();
    let mut expected = Expected::default();
    for event in &input.events {
        let day = local_date(input, &event.account, event.timestamp)?;
        if day >= until {
            continue;
        }
        let month = months.entry((&event.account, day.first_of_month())).or_default();
        month.commits += 1;
        month.lines += event.lines_changed;
        expected.billed_events += 1;
    }
    for ((account, month), used) in months {
        let start = local_date(input, account, input.accounts[account].first_event)?;
        expected.usage_minor += commits_minor(used.commits) + lines_minor(used.lines, maximum_minor(month, start));
    }
    Ok(expected)
}

fn local_date(input: &Input, account: &str, at: jiff::Timestamp) -> anyhow::Result<Date> {
    let account = input.accounts.get(account).context("an event of no account")?;
    Ok(at.to_zoned(TimeZone::get(account.zone)?).date())
}

/// 0.10 a commit.
fn commits_minor(commits: i64) -> i64 {
    commits * 10
}

/// The first 1,000 lines free, up to 10,000 at 0.01, above at 0.002.
fn lines_minor(lines: i64, maximum_minor: i64) -> i64 {
    let second_tier = lines.clamp(1_000, 10_000) - 1_000;
    let third_tier = lines.max(10_000) - 10_000;
    let tenths_of_a_cent = second_tier * 10 + third_tier * 2;
    half_up(tenths_of_a_cent, 10).min(maximum_minor)
}

/// 500.00 for a full month; in the month of the start, in proportion to the days that are left of it.
fn maximum_minor(month: Date, start: Date) -> i64 {
    const FULL: i64 = 50_000;
    let days = i64::from(month.days_in_month());
    let next_month = month.saturating_add(1.month());
    let part = if start > month { i64::from((next_month - start).get_days()) } else { days };
    half_up(FULL * part, days)
}

/// A quotient of whole numbers that are not negative, rounded half up.
fn half_up(dividend: i64, divisor: i64) -> i64 {
    (2 * dividend + divisor) / (2 * divisor)
}
