//! Coupons: what they take off, what they cover and how long they last.
//!
//! [`CouponSpec`] is the body that clients write; a [`Coupon`] is one whose rules hold, stored and frozen in the same shape.
//! Owns no arithmetic: how a coupon is spread over lines is in `discount`. **Invariant:** a use, once counted, stays counted;
//! voiding an invoice does not give it back.

use std::{collections::BTreeSet, ops::RangeInclusive};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    AmountError, Currency, InvoiceContent, InvoiceReason, SpecError, decimal,
    discount::discounts,
    spec::{check_key, check_name},
};

/// Invoices that a repeating coupon lasts: a thousand weeks are a contract, more is a mistake.
const DURATION_PERIODS: RangeInclusive<u32> = 1..=1_000;
/// Keys that a coupon is limited to: as many as a plan may have prices.
const MAX_KEYS: usize = 100;
/// Digits after the point of a percentage: 33.333333 exists, finer is a mistake.
const MAX_PERCENT_DECIMALS: u32 = 6;

/// How long a coupon lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CouponDuration {
    /// Until it has taken something off one invoice.
    Once,
    /// Until it has taken something off so many periodic invoices.
    Repeating,
    /// Without end.
    Forever,
}

/// The body of a coupon, as clients write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CouponSpec {
    /// Unique per tenant.
    pub key: String,
    /// Shown on invoices; the key if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Above 0, at most 100; this or an amount.
    #[serde(default, with = "decimal::option", skip_serializing_if = "Option::is_none")]
    pub percent_off: Option<Decimal>,
    /// Above 0, off each invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_off_minor: Option<i64>,
    /// Of the amount; an invoice's own if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// How long it lasts.
    pub duration: CouponDuration,
    /// How many invoices a repeating one lasts, 1 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_periods: Option<u32>,
    /// Keys of the prices that it is limited to; none for all lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applies_to: Vec<String>,
    /// Keys of the plans that it is limited to; none for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applies_to_plans: Vec<String>,
}

/// What a coupon takes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CouponOff {
    /// So many hundredths of what is left of each line.
    Percent(Decimal),
    /// An amount per invoice, spread over its lines.
    Amount {
        /// Above 0, in minor units.
        minor: i64,
        /// None for the invoice's own.
        currency: Option<Currency>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lasting {
    Once,
    Periods(u32),
    Forever,
}

/// A coupon whose rules hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "CouponSpec", into = "CouponSpec")]
pub struct Coupon {
    key: String,
    name: Option<String>,
    off: CouponOff,
    lasting: Lasting,
    prices: Vec<String>,
    plans: Vec<String>,
}

impl Coupon {
    /// Its key, unique per tenant.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Shown on invoices: its name, or its key.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.key)
    }

    /// Keys of the prices that it is limited to; none for all lines.
    #[must_use]
    pub fn prices(&self) -> &[String] {
        &self.prices
    }

    /// Keys of the plans that it is limited to; none for all.
    #[must_use]
    pub fn plans(&self) -> &[String] {
        &self.plans
    }

    /// What it takes off.
    #[must_use]
    pub fn off(&self) -> CouponOff {
        self.off
    }

    /// Whether it covers a price's line on an invoice of a plan. A line of no price (a minimum commitment's) is covered unless
    /// the coupon is limited to prices, an invoice of no plan (a one-off) unless it is limited to plans. Both limits hold.
    #[must_use]
    pub fn covers(&self, plan: Option<&str>, price: Option<&str>) -> bool {
        let within = |keys: &[String], key: Option<&str>| {
            keys.is_empty() || key.is_some_and(|key| keys.iter().any(|one| one == key))
        };
        within(&self.plans, plan) && within(&self.prices, price)
    }
}

impl TryFrom<CouponSpec> for Coupon {
    type Error = SpecError;

    fn try_from(spec: CouponSpec) -> Result<Self, SpecError> {
        check_key("key", &spec.key)?;
        check_name("name", spec.name.as_deref())?;
        let (off, lasting) = (off(&spec)?, lasting(&spec)?);
        check_keys("applies_to", &spec.applies_to)?;
        check_keys("applies_to_plans", &spec.applies_to_plans)?;
        let CouponSpec { key, name, applies_to: prices, applies_to_plans: plans, .. } = spec;
        Ok(Self { key, name, off, lasting, prices, plans })
    }
}

impl From<Coupon> for CouponSpec {
    fn from(coupon: Coupon) -> Self {
        let (percent_off, amount_off_minor, currency) = match coupon.off {
            CouponOff::Percent(percent) => (Some(percent), None, None),
            CouponOff::Amount { minor, currency } => (None, Some(minor), currency),
        };
        let (duration, duration_periods) = match coupon.lasting {
            Lasting::Once => (CouponDuration::Once, None),
            Lasting::Periods(periods) => (CouponDuration::Repeating, Some(periods)),
            Lasting::Forever => (CouponDuration::Forever, None),
        };
        Self {
            key: coupon.key,
            name: coupon.name,
            percent_off,
            amount_off_minor,
            currency,
            duration,
            duration_periods,
            applies_to: coupon.prices,
            applies_to_plans: coupon.plans,
        }
    }
}

fn off(spec: &CouponSpec) -> Result<CouponOff, SpecError> {
    match (spec.percent_off, spec.amount_off_minor) {
        (Some(_), Some(_)) => Err(SpecError::new("amount_off_minor", "must be left out where percent_off is given")),
        (None, None) => Err(SpecError::new("percent_off", "is required, or amount_off_minor")),
        (None, Some(minor)) if minor <= 0 => Err(SpecError::new("amount_off_minor", "must be above 0")),
        (None, Some(minor)) => Ok(CouponOff::Amount { minor, currency: spec.currency }),
        (Some(_), None) if spec.currency.is_some() => {
            Err(SpecError::new("currency", "means nothing unless amount_off_minor is given"))
        }
        (Some(percent), None) => {
            let in_range = percent > Decimal::ZERO && percent <= Decimal::ONE_HUNDRED;
            if !in_range || percent.normalize().scale() > MAX_PERCENT_DECIMALS {
                let digits = format!("with at most {MAX_PERCENT_DECIMALS} digits after the point");
                return Err(SpecError::new("percent_off", format!("must be above 0 and at most 100, {digits}")));
            }
            Ok(CouponOff::Percent(percent))
        }
    }
}

fn lasting(spec: &CouponSpec) -> Result<Lasting, SpecError> {
    match (spec.duration, spec.duration_periods) {
        (CouponDuration::Once, None) => Ok(Lasting::Once),
        (CouponDuration::Forever, None) => Ok(Lasting::Forever),
        (CouponDuration::Repeating, Some(periods)) if DURATION_PERIODS.contains(&periods) => {
            Ok(Lasting::Periods(periods))
        }
        (CouponDuration::Repeating, None) => {
            Err(SpecError::new("duration_periods", "is required where the duration is repeating"))
        }
        (CouponDuration::Repeating, Some(_)) => {
            let (least, most) = (DURATION_PERIODS.start(), DURATION_PERIODS.end());
            Err(SpecError::new("duration_periods", format!("must be between {least} and {most}")))
        }
        (CouponDuration::Once | CouponDuration::Forever, Some(_)) => {
            Err(SpecError::new("duration_periods", "means nothing unless the duration is repeating"))
        }
    }
}

fn check_keys(path: &str, keys: &[String]) -> Result<(), SpecError> {
    if keys.len() > MAX_KEYS {
        return Err(SpecError::new(path, format!("must be at most {MAX_KEYS} keys")));
    }
    let mut seen = BTreeSet::new();
    for (index, key) in keys.iter().enumerate() {
        let path = format!("{path}[{index}]");
        check_key(&path, key)?;
        if !seen.insert(key) {
            return Err(SpecError::new(path, format!("`{key}` is named twice")));
        }
    }
    Ok(())
}

/// A coupon that somebody was given, and what is used up of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedCoupon {
    /// As it was when it was applied.
    pub coupon: Coupon,
    /// Invoices that count: those it took something off, all for a coupon that lasts once, periodic ones otherwise.
    pub uses: u32,
}

impl AppliedCoupon {
    /// One that has not been used.
    #[must_use]
    pub fn unused(coupon: Coupon) -> Self {
        Self { coupon, uses: 0 }
    }

    /// Whether it is not used up.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        match self.coupon.lasting {
            Lasting::Once => self.uses == 0,
            Lasting::Periods(periods) => self.uses < periods,
            Lasting::Forever => true,
        }
    }

    /// The coupons that are not used up, in the order they were applied: those of an invoice's head.
    #[must_use]
    pub fn in_force(applied: &[Self]) -> Vec<Coupon> {
        applied.iter().filter(|one| one.is_in_force()).map(|one| one.coupon.clone()).collect()
    }

    /// The same coupons after an invoice: a use is counted for each that took something off it. A coupon for so many periodic
    /// invoices also takes off others meanwhile, uncounted. Coupons that were applied after the invoice was made, or were used
    /// up by another one since, are as they are.
    ///
    /// # Errors
    /// `Overflow` when the discounts cannot be computed; an issued invoice's can.
    pub fn after(applied: &[Self], invoice: &InvoiceContent) -> Result<Vec<Self>, AmountError> {
        let used = discounts(&invoice.head(), &invoice.lines)?.used;
        let mut next = 0;
        let mut took_off = |one: &Self| {
            // The invoice's coupons are in the order they were applied.
            let found = (next..used.len()).find(|index| invoice.coupons[*index] == one.coupon);
            next = found.map_or(next, |index| index + 1);
            found.is_some_and(|index| used[index])
        };
        let after = |one: &Self| {
            let counts = one.is_in_force() && took_off(one) && one.counts(invoice.reason);
            Self { coupon: one.coupon.clone(), uses: one.uses.saturating_add(u32::from(counts)) }
        };
        Ok(applied.iter().map(after).collect())
    }

    fn counts(&self, reason: InvoiceReason) -> bool {
        self.coupon.lasting == Lasting::Once || reason.is_periodic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invoice::fixtures::{content, coupon, head, line};

    fn refused(body: &str) -> (String, String) {
        let spec: CouponSpec = serde_json::from_str(body).unwrap();
        let error = Coupon::try_from(spec).unwrap_err();
        (error.path, error.rule)
    }

    fn path(rest: &str) -> String {
        refused(&format!(r#"{{ "key": "c", {rest} }}"#)).0
    }

    #[test]
    fn a_broken_rule_is_named_by_its_path() {
        assert_eq!(refused(r#"{ "key": "C", "percent_off": "1", "duration": "once" }"#).0, "key");
        assert_eq!(path(r#""duration": "once""#), "percent_off");
        assert_eq!(path(r#""percent_off": "5", "amount_off_minor": 5, "duration": "once""#), "amount_off_minor");
        for percent in ["0", "-1", "100.01", "0.1234567"] {
            assert_eq!(path(&format!(r#""percent_off": "{percent}", "duration": "once""#)), "percent_off");
        }
        assert_eq!(path(r#""amount_off_minor": 0, "duration": "once""#), "amount_off_minor");
        assert_eq!(path(r#""percent_off": "5", "currency": "usd", "duration": "once""#), "currency");
        assert_eq!(path(r#""percent_off": "5", "name": " ", "duration": "once""#), "name");
        for periods in ["0", "1001", "null"] {
            let body = format!(r#""percent_off": "5", "duration": "repeating", "duration_periods": {periods}"#);
            assert_eq!(path(&body), "duration_periods");
        }
        assert_eq!(path(r#""percent_off": "5", "duration": "once", "duration_periods": 2"#), "duration_periods");
        assert_eq!(path(r#""percent_off": "5", "duration": "once", "applies_to": ["a", "A"]"#), "applies_to[1]");
        assert_eq!(
            path(r#""percent_off": "5", "duration": "once", "applies_to_plans": ["a", "a"]"#),
            "applies_to_plans[1]"
        );
        let unknown = r#"{ "key": "c", "percent_off": "5", "duration": "once", "x": 1 }"#;
        assert!(serde_json::from_str::<CouponSpec>(unknown).is_err());
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for body in [
            r#"{"key":"welcome","percent_off":"10","duration":"once"}"#,
            r#"{"key":"five","name":"Five","amount_off_minor":500,"currency":"usd","duration":"forever","applies_to":["seats"]}"#,
            r#"{"key":"three","percent_off":"12.50","duration":"repeating","duration_periods":3,"applies_to_plans":["pro"]}"#,
        ] {
            let coupon: Coupon = serde_json::from_str(body).unwrap();
            assert_eq!(serde_json::to_string(&coupon).unwrap(), body);
        }
    }

    #[test]
    fn a_coupon_covers_what_both_its_limits_allow() {
        let any = coupon(r#"{ "key": "c", "percent_off": "10", "duration": "once" }"#);
        assert!(any.covers(Some("pro"), Some("seats")) && any.covers(None, None));
        let limited = coupon(
            r#"{ "key": "c", "percent_off": "10", "duration": "once", "applies_to": ["seats"], "applies_to_plans": ["pro"] }"#,
        );
        assert!(limited.covers(Some("pro"), Some("seats")));
        assert!(!limited.covers(Some("pro"), Some("base")) && !limited.covers(Some("team"), Some("seats")));
        // The line of a minimum commitment has no price, a one-off invoice no plan.
        assert!(!limited.covers(Some("pro"), None) && !limited.covers(None, Some("seats")));
    }

    /// Uses after invoices for these reasons, with a line of this amount.
    fn uses(body: &str, amount_minor: i64, reasons: &[InvoiceReason]) -> u32 {
        let mut applied = vec![AppliedCoupon::unused(coupon(body))];
        for reason in reasons {
            let head = crate::InvoiceHead { reason: *reason, coupons: AppliedCoupon::in_force(&applied), ..head() };
            applied = AppliedCoupon::after(&applied, &content(head, vec![line("seats", amount_minor)])).unwrap();
        }
        applied[0].uses
    }

    /// "A coupon lasts once, for n periodic invoices, or for ever; one that lasts once is used up by the first
    /// invoice on which it takes something off."
    #[test]
    fn a_coupon_is_used_up_by_invoices_that_it_takes_something_off() {
        use InvoiceReason::{Cancel, Change, Period, SubscriptionCreate};
        let once = r#"{ "key": "c", "percent_off": "10", "duration": "once", "applies_to": ["seats"] }"#;
        assert_eq!(uses(once, 100, &[Change]), 1);
        assert_eq!(uses(once, 100, &[SubscriptionCreate, Period]), 1);
        assert_eq!(uses(once, 0, &[SubscriptionCreate, Period]), 0);
        let other = r#"{ "key": "c", "amount_off_minor": 5, "duration": "once", "applies_to": ["base"] }"#;
        assert_eq!(uses(other, 100, &[SubscriptionCreate]), 0);
        let twice = r#"{ "key": "c", "percent_off": "10", "duration": "repeating", "duration_periods": 2 }"#;
        assert_eq!(uses(twice, 100, &[SubscriptionCreate, Change, Cancel]), 1);
        assert_eq!(uses(twice, 100, &[SubscriptionCreate, Change, Period, Period]), 2);
        let forever = r#"{ "key": "c", "percent_off": "10", "duration": "forever" }"#;
        assert_eq!(uses(forever, 100, &[SubscriptionCreate, Period, Change]), 2);
    }

    #[test]
    fn a_used_up_coupon_takes_nothing_off_and_the_next_one_keeps_its_own_count() {
        let [once, forever] = ["once", "forever"]
            .map(|lasting| coupon(&format!(r#"{{ "key": "c", "percent_off": "10", "duration": "{lasting}" }}"#)));
        let applied = vec![AppliedCoupon { coupon: once, uses: 1 }, AppliedCoupon::unused(forever)];
        let head = crate::InvoiceHead { coupons: AppliedCoupon::in_force(&applied), ..head() };
        let invoice = content(head, vec![line("seats", 1_000)]);
        assert_eq!(invoice.discount_minor, 100);
        let after = AppliedCoupon::after(&applied, &invoice).unwrap();
        assert_eq!([after[0].uses, after[1].uses], [1, 1]);
        // A draft was made while the first one was in force, and another invoice has used it up since.
        let draft = content(
            crate::InvoiceHead { coupons: applied.iter().map(|one| one.coupon.clone()).collect(), ..invoice.head() },
            vec![line("seats", 1_000)],
        );
        let after = AppliedCoupon::after(&applied, &draft).unwrap();
        assert_eq!([after[0].uses, after[1].uses], [1, 1]);
    }
}
