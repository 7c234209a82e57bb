//! Any price model there is, for laws.

use domain::{ModelSpec, PriceModel, TierSpec};
use proptest::{collection::vec, option::of, prelude::*};
use rust_decimal::Decimal;
use serde_json::json;

/// Below a million, with four decimals.
pub(crate) fn amount() -> impl Strategy<Value = Decimal> {
    (0_i64..10_000_000_000).prop_map(|mantissa| Decimal::new(mantissa, 4))
}

/// Any decimal there is.
pub(crate) fn anything() -> impl Strategy<Value = Decimal> {
    (any::<i64>(), any::<u32>(), 0_u32..=28).prop_map(|(high, low, scale)| {
        let mantissa = (i128::from(high) << 32) + i128::from(low);
        Decimal::try_from_i128_with_scale(mantissa, scale).unwrap()
    })
}

/// From 0 to 100, with three decimals.
fn percent() -> impl Strategy<Value = Decimal> {
    (0_i64..=100_000).prop_map(|thousandths| Decimal::new(thousandths, 3))
}

/// Ends of tiers, whole units apart so that units can be counted one by one, with a price and a flat amount each.
fn tiers(price: impl Strategy<Value = Decimal>) -> impl Strategy<Value = Vec<(Option<Decimal>, Decimal, Decimal)>> {
    vec((1_i64..30, price, amount()), 1..5).prop_map(|parts| {
        let last = parts.len() - 1;
        let mut end = 0;
        let tier = |(index, (width, price, flat_amount)): (usize, (i64, Decimal, Decimal))| {
            end += width;
            ((index < last).then(|| Decimal::from(end)), price, flat_amount)
        };
        parts.into_iter().enumerate().map(tier).collect()
    })
}

/// A model of tiers with a price per unit.
pub(crate) fn tiered(r#type: &'static str) -> impl Strategy<Value = PriceModel> {
    tiers(amount()).prop_map(move |tiers| {
        let tier = |(up_to, unit_amount, flat_amount)| TierSpec {
            up_to,
            unit_amount: Some(unit_amount),
            percent: None,
            flat_amount: Some(flat_amount),
        };
        of_tiers(r#type, tiers.into_iter().map(tier).collect())
    })
}

/// A model of tiers with a percentage each.
pub(crate) fn graduated_percentage() -> impl Strategy<Value = PriceModel> {
    tiers(percent()).prop_map(|tiers| {
        let tier = |(up_to, percent, flat_amount)| TierSpec {
            up_to,
            unit_amount: None,
            percent: Some(percent),
            flat_amount: Some(flat_amount),
        };
        of_tiers("graduated_percentage", tiers.into_iter().map(tier).collect())
    })
}

fn of_tiers(r#type: &str, tiers: Vec<TierSpec>) -> PriceModel {
    let empty: ModelSpec = serde_json::from_value(json!({ "type": r#type })).unwrap();
    ModelSpec { tiers: Some(tiers), ..empty }.try_into().unwrap()
}

/// A fee per event, with any allowances and limits.
pub(crate) fn percentage() -> impl Strategy<Value = PriceModel> {
    (percent(), amount(), of(0_u64..6), of(amount()), (of(amount()), of(amount()))).prop_map(
        |(percent, fixed_amount, free_events, free_amount, (one, other))| {
            // A limit drawn without the other is a maximum.
            let (least, most) = (one.and_then(|one| other.map(|other| one.min(other))), one.max(other));
            let body = json!({ "type": "percentage", "percent": percent, "fixed_amount": fixed_amount,
                "free_events": free_events, "free_amount": free_amount,
                "min_amount_per_event": least, "max_amount_per_event": most });
            serde_json::from_value(body).unwrap()
        },
    )
}

fn package() -> impl Strategy<Value = PriceModel> {
    (1_i64..10_000_000, amount(), amount()).prop_map(|(size, package_amount, free_units)| {
        let body = json!({ "type": "package", "package_size": Decimal::new(size, 3),
            "package_amount": package_amount, "free_units": free_units });
        serde_json::from_value(body).unwrap()
    })
}

/// A model that any kind of price can have.
pub(crate) fn model() -> impl Strategy<Value = PriceModel> {
    prop_oneof![monotone_model(), tiered("volume")]
}

/// One of those under which more units never cost less; by volume they may.
pub(crate) fn monotone_model() -> impl Strategy<Value = PriceModel> {
    prop_oneof![
        amount().prop_map(|amount| PriceModel::Flat { amount }),
        amount().prop_map(|unit_amount| PriceModel::PerUnit { unit_amount }),
        tiered("graduated"),
        package(),
    ]
}

/// A model that rates a meter's value.
pub(crate) fn usage_model() -> impl Strategy<Value = PriceModel> {
    prop_oneof![
        percentage(),
        graduated_percentage(),
        amount().prop_map(|multiplier| PriceModel::Dynamic { multiplier })
    ]
}
