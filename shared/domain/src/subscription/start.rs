//! How a subscription starts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Span, Timestamp, civil::Date};
use rust_decimal::Decimal;

use crate::{
    Anchor, AnchorDay, AppliedCoupon, BillingCycle, BillingPeriod, Coupon, Plan, Price, SpecError, Subscription,
    SubscriptionStatus, Zone,
    subscription::{Moment, Standing},
};

/// Years in which a subscription may start: anything else is a typing error, and would be billed for centuries.
const START_YEARS: std::ops::RangeInclusive<i16> = 1970..=2199;

/// Coupons of a subscription: more would not fit an invoice that a person reads.
pub(super) const MAX_COUPONS: usize = 20;

/// Longest trial, in days: ten years, beyond which nobody bills.
const MAX_TRIAL_DAYS: u16 = 3_660;

/// When and how a subscription starts.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// The instant.
    pub at: Timestamp,
    /// The customer's zone; the local day of the instant is the first day billed.
    pub zone: &'a Zone,
    /// Where boundaries lie.
    pub cycle: BillingCycle,
    /// The day of the month that periods begin on; the start's, or the trial's end's, if left out.
    pub anchor_day: Option<AnchorDay>,
    /// Days of trial; the plan's if left out.
    pub trial_days: Option<u16>,
    /// Price key -> quantity: one for each licensed price.
    pub quantities: BTreeMap<String, Decimal>,
    /// In the order they apply.
    pub coupons: Vec<Coupon>,
    /// The first instant at which it is over.
    pub end_at: Option<Timestamp>,
}

impl<'a> Start<'a> {
    /// A start at an instant, with everything else left out.
    #[must_use]
    pub fn at(at: Timestamp, zone: &'a Zone) -> Self {
        Self {
            at,
            zone,
            cycle: BillingCycle::default(),
            anchor_day: None,
            trial_days: None,
            quantities: BTreeMap::new(),
            coupons: Vec::new(),
            end_at: None,
        }
    }
}

impl Subscription {
    /// A new subscription to the plan version with id `plan_id`; its first boundary is its start.
    ///
    /// # Errors
    /// A [`SpecError`] at `start_at` outside the years 1970 to 2199; at `billing_cycle` or `anchor_day` where the plan's
    /// interval has no such thing; at `trial_days`, `coupons` or `end_at` beyond their limits; or at `quantities.{key}` when a
    /// licensed price has no quantity, a quantity no licensed price, or one is negative.
    pub fn start(plan_id: &str, plan: &Plan, start: Start<'_>) -> Result<Self, SpecError> {
        let day = start.zone.date_of(start.at);
        check_start(plan, &start, day)?;
        check_quantities(plan, &start.quantities)?;
        let trial_end = trial_end(day, start.trial_days.unwrap_or(plan.trial_days()))?;
        let moment = Moment { date: day, at: start.at };
        let mut subscription = Self {
            plan: plan_id.to_owned(),
            quantities: start.quantities,
            cycle: start.cycle,
            anchor_day: start.anchor_day,
            anchor: Anchor::new(trial_end.unwrap_or(day), start.cycle, start.anchor_day),
            start: moment,
            own_trial_days: start.trial_days,
            trial_end,
            plan_since: moment,
            zone: start.zone.clone(),
            former_zones: Vec::new(),
            end: start.end_at.map(|at| Moment { date: start.zone.date_of(at), at }),
            scheduled: None,
            pauses: Vec::new(),
            coupons: start.coupons.into_iter().map(AppliedCoupon::unused).collect(),
            accounts: BTreeMap::new(),
            period_billed_minor: 0,
            credits: Vec::new(),
            period: BillingPeriod { start: day, end: day },
            billed_to: day,
            next_boundary: Some(day),
            status: if trial_end.is_some() { SubscriptionStatus::Trialing } else { SubscriptionStatus::Active },
            standing: Standing::Good,
        };
        subscription.period = subscription.period_under_way(plan);
        Ok(subscription)
    }
}

/// The first day after a trial of so many days from the start; none without a trial.
pub(super) fn trial_end(start: Date, days: u16) -> Result<Option<Date>, SpecError> {
    if days == 0 {
        return Ok(None);
    }
    let too_long = || SpecError::new("trial_days", format!("must be at most {MAX_TRIAL_DAYS}"));
    if days > MAX_TRIAL_DAYS {
        return Err(too_long());
    }
    start.checked_add(Span::new().days(days)).map(Some).map_err(|_| too_long())
}

fn check_start(plan: &Plan, start: &Start<'_>, day: Date) -> Result<(), SpecError> {
    if !START_YEARS.contains(&day.year()) {
        let rule = format!("must be in the years {} to {}", START_YEARS.start(), START_YEARS.end());
        return Err(SpecError::new("start_at", rule));
    }
    if start.end_at.is_some_and(|end| start.zone.date_of(end) <= day) {
        return Err(SpecError::new("end_at", "must be on a later day than the start"));
    }
    if start.coupons.len() > MAX_COUPONS {
        return Err(SpecError::new("coupons", format!("must be at most {MAX_COUPONS}")));
    }
    Anchor::check(start.cycle, start.anchor_day, plan.every())
}

/// Whether there is a quantity for each licensed price, and none for any other.
pub(crate) fn check_quantities(plan: &Plan, quantities: &BTreeMap<String, Decimal>) -> Result<(), SpecError> {
    let licensed: BTreeSet<&str> =
        plan.prices().iter().filter(|price| price.is_licensed()).map(|price: &Price| price.key.as_str()).collect();
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
