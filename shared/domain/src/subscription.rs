//! Subscriptions: which plan, how much of it, since when, and how far it has been billed.
//!
//! **Invariant:** `next_boundary` is the oldest boundary not billed yet; only billing moves it, one period at a time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{BillingCycle, BillingPeriod, Cadence, ForbiddenTransition, Plan, PriceKind, Proration, SpecError, Zone};

/// Years in which a subscription may start: anything else is a typing error, and would be billed for centuries.
const START_YEARS: std::ops::RangeInclusive<i16> = 1970..=2199;

/// Where a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// Not charged for yet.
    Trialing,
    /// Billed and paid.
    Active,
    /// Billed, but a payment failed for good.
    PastDue,
    /// Billed as drafts only.
    Unpaid,
    /// Not billed until resumed.
    Paused,
    /// Over.
    Cancelled,
}

impl SubscriptionStatus {
    /// Its wire name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
        }
    }

    /// The states that this one can become.
    #[must_use]
    pub fn successors(self) -> &'static [Self] {
        match self {
            Self::Trialing => &[Self::Active, Self::PastDue, Self::Paused, Self::Cancelled],
            Self::Active => &[Self::PastDue, Self::Unpaid, Self::Paused, Self::Cancelled],
            Self::PastDue => &[Self::Active, Self::Unpaid, Self::Paused, Self::Cancelled],
            Self::Unpaid => &[Self::Active, Self::Cancelled],
            Self::Paused => &[Self::Trialing, Self::Active, Self::PastDue, Self::Cancelled],
            Self::Cancelled => &[],
        }
    }
}

/// When and how a subscription starts.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// The instant.
    pub at: Timestamp,
    /// The customer's zone; the local day of the instant is the first day billed.
    pub zone: &'a Zone,
    /// Where boundaries lie.
    pub cycle: BillingCycle,
    /// Price key -> quantity: one for each licensed price.
    pub quantities: BTreeMap<String, Decimal>,
}

/// A customer's use of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    plan: String,
    quantities: BTreeMap<String, Decimal>,
    cadence: Cadence,
    start_at: Timestamp,
    start: Date,
    next_boundary: Date,
    status: SubscriptionStatus,
}

/// A period that is billed, and which part of a full one it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portion {
    pub period: BillingPeriod,
    pub proration: Option<Proration>,
}

impl Subscription {
    /// A new subscription to the plan version with id `plan_id`; its first boundary is its start.
    ///
    /// # Errors
    /// A [`SpecError`] at `start_at` outside the years 1970 to 2199, or at `quantities.{key}` when a licensed price has no
    /// quantity, a quantity no licensed price, or one is negative.
    pub fn start(plan_id: &str, plan: &Plan, start: Start<'_>) -> Result<Self, SpecError> {
        let day = start.zone.date_of(start.at);
        if !START_YEARS.contains(&day.year()) {
            let rule = format!("must be in the years {} to {}", START_YEARS.start(), START_YEARS.end());
            return Err(SpecError::new("start_at", rule));
        }
        check_quantities(plan, &start.quantities)?;
        Ok(Self {
            plan: plan_id.to_owned(),
            quantities: start.quantities,
            cadence: plan.cadence(day, start.cycle),
            start_at: start.at,
            start: day,
            next_boundary: day,
            status: SubscriptionStatus::Active,
        })
    }

    /// Id of the plan version.
    #[must_use]
    pub fn plan(&self) -> &str {
        &self.plan
    }

    /// Price key -> quantity, of the licensed prices.
    #[must_use]
    pub fn quantities(&self) -> &BTreeMap<String, Decimal> {
        &self.quantities
    }

    /// Where its boundaries lie.
    #[must_use]
    pub fn billing_cycle(&self) -> BillingCycle {
        self.cadence.cycle()
    }

    /// When it started; usage counts from here on.
    #[must_use]
    pub fn start_at(&self) -> Timestamp {
        self.start_at
    }

    /// The local day of the start; fees count from here on.
    #[must_use]
    pub fn start_date(&self) -> Date {
        self.start
    }

    /// The oldest boundary not billed yet.
    #[must_use]
    pub fn next_boundary(&self) -> Date {
        self.next_boundary
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> SubscriptionStatus {
        self.status
    }

    /// The instant of the next boundary: the start, and after it the local midnight at which a period turns.
    #[must_use]
    pub fn due_at(&self, zone: &Zone) -> Timestamp {
        self.turns_at(self.next_boundary, zone)
    }

    /// The instant at which a boundary's day begins for this subscription, which is never before its start.
    pub(crate) fn turns_at(&self, boundary: Date, zone: &Zone) -> Timestamp {
        zone.start_of_day(boundary).max(self.start_at)
    }

    /// The period that ends at the next boundary, or the first one while nothing has been billed.
    #[must_use]
    pub fn current_period(&self) -> BillingPeriod {
        self.ended_portion().unwrap_or_else(|| self.next_portion()).period
    }

    /// Moves it to another state.
    ///
    /// # Errors
    /// [`ForbiddenTransition`] for a change that does not exist; it then stays as it is.
    pub fn transition_to(&mut self, status: SubscriptionStatus) -> Result<(), ForbiddenTransition> {
        if !self.status.successors().contains(&status) {
            let (from, to) = (self.status.as_str(), status.as_str());
            return Err(ForbiddenTransition { subject: "a subscription", from, to });
        }
        self.status = status;
        Ok(())
    }

    /// What ends at the next boundary; nothing does at the start.
    pub(crate) fn ended_portion(&self) -> Option<Portion> {
        if self.next_boundary == self.start {
            return None;
        }
        let full = self.cadence.period_containing(self.next_boundary.yesterday().unwrap_or(Date::MIN));
        Some(self.portion(full))
    }

    /// What begins at the next boundary.
    pub(crate) fn next_portion(&self) -> Portion {
        self.portion(self.cadence.period_containing(self.next_boundary))
    }

    /// The part of a full period in which it exists.
    fn portion(&self, full: BillingPeriod) -> Portion {
        let period = BillingPeriod { start: full.start.max(self.start), end: full.end };
        Portion { period, proration: Proration::of(period, full) }
    }

    /// The same, billed up to and including the next boundary.
    pub(crate) fn billed(&self) -> Self {
        Self { next_boundary: self.next_portion().period.end, ..self.clone() }
    }
}

fn check_quantities(plan: &Plan, quantities: &BTreeMap<String, Decimal>) -> Result<(), SpecError> {
    let licensed = plan.prices().iter().filter(|price| price.kind == PriceKind::Licensed);
    let licensed: BTreeSet<&str> = licensed.map(|price| price.key.as_str()).collect();
    let path = |key: &str| format!("quantities.{key}");
    if let Some(missing) = licensed.iter().find(|key| !quantities.contains_key(**key)) {
        return Err(SpecError::new(path(missing), "is required: the price is charged by quantity"));
    }
    for (key, quantity) in quantities {
        if !licensed.contains(key.as_str()) {
            return Err(SpecError::new(path(key), "is no licensed price of the plan"));
        }
        if quantity.is_sign_negative() && !quantity.is_zero() {
            return Err(SpecError::new(path(key), "must not be negative"));
        }
    }
    Ok(())
}
