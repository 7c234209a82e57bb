//! Pauses: days that are not billed.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{BillingPeriod, ForbiddenTransition, MeterWindow, Plan, Subscription, SubscriptionStatus};

/// Days that are not billed: those on which the subscription is paused, but not the day on which it resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pause {
    pub from: Date,
    /// None while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// The day up to which what was billed in advance has been credited.
    pub settled_to: Date,
}

impl Pause {
    fn days_in(&self, period: BillingPeriod) -> i64 {
        let until = self.until.map_or(period.end, |until| until.min(period.end));
        BillingPeriod { start: self.from.max(period.start), end: until }.days().max(0)
    }
}

impl Subscription {
    /// Pauses it: from this local day on, nothing is billed. Periods do not move.
    ///
    /// # Errors
    /// [`ForbiddenTransition`] unless it is trialing, active or past due.
    pub fn pause(&mut self, at: Timestamp) -> Result<(), ForbiddenTransition> {
        self.transition_to(SubscriptionStatus::Paused)?;
        // Never a day that has been billed, as the clock may show it again, nor one of the pause before.
        let from = self.date_of(at).max(self.billed_to);
        let from = self.pauses.last().and_then(|pause| pause.until).map_or(from, |until| from.max(until));
        self.pauses.push(Pause { from, until: None, settled_to: from });
        Ok(())
    }

    /// Whether a pause lasts.
    pub(crate) fn is_paused(&self) -> bool {
        self.pauses.last().is_some_and(|pause| pause.until.is_none())
    }

    /// Days of a period on which it is billed.
    pub(crate) fn billed_days(&self, period: BillingPeriod) -> i64 {
        let paused: i64 = self.pauses.iter().map(|pause| pause.days_in(period)).sum();
        period.days().max(0) - paused
    }

    /// The spans of pauses within a window, for leaving out their usage.
    pub(crate) fn paused_in(&self, window: &MeterWindow) -> Vec<(Timestamp, Timestamp)> {
        let span = |pause: &Pause| {
            let until = pause.until.map_or(window.to, |until| self.start_of_day(until));
            (self.start_of_day(pause.from).max(window.from), until.min(window.to))
        };
        self.pauses.iter().map(span).filter(|(from, to)| from < to).collect()
    }

    /// Forgets pauses that ended before every window under way on a day.
    pub(crate) fn forget_pauses(&mut self, day: Date, plan: &Plan) {
        if let Some(first) = self.first_day_under_way(day, plan) {
            self.pauses.retain(|pause| pause.until.is_none_or(|until| until > first));
        }
    }
}
