//! Discounts: what an invoice's coupons take off its lines, exactly.
//!
//! Coupons count in the order they were applied, each spread pro rata over what is left of the lines it covers. Lines below
//! zero are credits, which are net of their discount already, so nothing is taken off them.
//!
//! **Invariant:** no more is taken off a line than its amount: the rest of a fixed coupon is lost.

use rust_decimal::Decimal;

use crate::{AmountError, Coupon, CouponOff, Exact, InvoiceHead, LineItem};

/// What coupons take off.
#[derive(Debug)]
pub(crate) struct Discounts {
    /// Of each line, in minor units.
    pub lines: Vec<Exact>,
    /// Of each coupon, whether it took anything off.
    pub used: Vec<bool>,
}

/// What the head's coupons take off the lines.
///
/// # Errors
/// None with lines whose amounts are known: divisors are above zero.
pub(crate) fn discounts(head: &InvoiceHead, lines: &[LineItem]) -> Result<Discounts, AmountError> {
    let mut left: Vec<Exact> = lines.iter().map(|line| Exact::from(line.amount_minor)).collect();
    let mut used = Vec::with_capacity(head.coupons.len());
    for coupon in &head.coupons {
        let covers =
            |line: &LineItem| line.amount_minor > 0 && coupon.covers(head.plan.as_deref(), line.price.as_deref());
        let covered: Vec<usize> = (0..lines.len()).filter(|index| covers(&lines[*index])).collect();
        let total: Exact = covered.iter().map(|index| left[*index].clone()).sum();
        let part = part_off(coupon, head, &total)?;
        used.push(!part.is_zero());
        let kept = Exact::from(1) - part;
        for index in covered {
            left[index] = left[index].clone() * kept.clone();
        }
    }
    let taken = |(line, left): (&LineItem, Exact)| Exact::from(line.amount_minor) - left;
    Ok(Discounts { lines: lines.iter().zip(left).map(taken).collect(), used })
}

/// The part, from 0 to 1, that a coupon takes off each line it covers, of which so much is left in all: pro rata, it is the
/// same for all of them.
fn part_off(coupon: &Coupon, head: &InvoiceHead, total: &Exact) -> Result<Exact, AmountError> {
    if total.is_zero() {
        return Ok(Exact::zero());
    }
    match coupon.off() {
        CouponOff::Percent(percent) => Ok(Exact::from(percent) * Exact::from(Decimal::new(1, 2))),
        CouponOff::Amount { currency: Some(currency), .. } if currency != head.currency => Ok(Exact::zero()),
        CouponOff::Amount { minor, .. } => Exact::from(minor).min(total.clone()).divided_by(total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invoice::fixtures::{coupon, head, line};

    /// What is taken off lines of the prices `a`, `b`, `c`, and by which coupons.
    fn taken(bodies: &[&str], amounts: &[i64]) -> (Vec<String>, Vec<bool>) {
        let lines: Vec<_> = ["a", "b", "c"].iter().zip(amounts).map(|(price, minor)| line(price, *minor)).collect();
        let coupons = bodies.iter().map(|body| coupon(body)).collect();
        let discounts = discounts(&InvoiceHead { coupons, ..head() }, &lines).unwrap();
        (discounts.lines.iter().map(ToString::to_string).collect(), discounts.used)
    }

    const TENTH: &str = r#"{ "key": "t", "percent_off": "10", "duration": "forever" }"#;

    /// "Coupons (percentage or fixed; limited to plans or prices) apply in the order they were applied, each spread
    /// pro rata over what is left of the lines it covers."
    #[test]
    fn each_coupon_counts_from_what_the_one_before_left() {
        assert_eq!(taken(&[TENTH, TENTH], &[10_000]).0, ["1900"]);
        let five = r#"{ "key": "f", "amount_off_minor": 500, "duration": "forever", "applies_to": ["a", "b"] }"#;
        assert_eq!(taken(&[five, TENTH], &[3_000, 1_000, 100]).0, ["637.5", "212.5", "10"]);
        assert_eq!(taken(&[TENTH, five], &[3_000, 1_000, 100]).0, ["675", "225", "10"]);
    }

    /// "No coupon takes a line below zero; the rest of a fixed one is lost."
    #[test]
    fn the_rest_of_a_fixed_coupon_is_lost_and_later_ones_are_not_used() {
        let large = r#"{ "key": "l", "amount_off_minor": 5000, "duration": "forever", "applies_to": ["a"] }"#;
        assert_eq!(taken(&[large, large], &[3_000, 1_000]), (vec!["3000".into(), "0".into()], vec![true, false]));
    }

    /// "Credit lines are already net of their discount."
    #[test]
    fn credits_are_net_already() {
        let (lines, used) = taken(&[TENTH], &[-3_000, 1_000, 0]);
        assert_eq!((lines, used), (vec!["0".into(), "100".into(), "0".into()], vec![true]));
        assert_eq!(taken(&[TENTH], &[-3_000]).1, [false]);
    }

    #[test]
    fn an_amount_of_another_currency_takes_nothing_off() {
        let euros = r#"{ "key": "e", "amount_off_minor": 500, "currency": "eur", "duration": "forever" }"#;
        assert_eq!(taken(&[euros], &[1_000]), (vec!["0".into()], vec![false]));
    }
}
