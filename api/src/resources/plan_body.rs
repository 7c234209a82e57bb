//! How the bodies of meters and plans are documented.
//!
//! Requests are read by the domain's own types, which know nothing of OpenAPI; these mirror them for the document alone, and
//! a test compares the two.

use utoipa::ToSchema;

use super::{
    fields::{Metadata, MetadataPatch},
    tax_rates::TaxRateChoice,
};

/// What usage is measured by.
#[derive(Debug, ToSchema)]
pub(super) struct MeterBody {
    /// Unique in the tenant: 1 to 64 lower-case letters, digits, `_` or `-`.
    #[schema(example = "api_calls")]
    key: String,
    /// Shown to people; the key if left out.
    name: Option<String>,
    /// How events become a quantity: `count` counts them; the others look at a property of theirs: its `sum`, its `max`, its
    /// `latest` value, its `unique_count`, or its running sum averaged over the period's time, `weighted_sum`.
    #[schema(example = "sum", pattern = "^(count|sum|max|latest|unique_count|weighted_sum)$")]
    aggregation: String,
    /// The property that is looked at; for anything but `count`.
    value_property: Option<String>,
    /// At most 20; an event counts if it passes all.
    #[schema(required = false)]
    filters: Vec<FilterBody>,
    /// Whether the value is carried into the next period; false if left out.
    #[schema(required = false)]
    recurring: bool,
    /// What becomes of an event that is reported after its period was billed: an `adjust`ment on the next invoice (if left
    /// out), or `ignore`.
    #[schema(required = false, example = "adjust", pattern = "^(adjust|ignore)$")]
    late_policy: String,
}

/// Events whose property has one of some values.
#[derive(Debug, ToSchema)]
pub(super) struct FilterBody {
    #[schema(example = "region")]
    property: String,
    /// 1 to 100.
    #[schema(example = json!(["eu", "us"]))]
    values: Vec<String>,
}

/// What is charged.
#[derive(Debug, ToSchema)]
pub(super) struct PlanBody {
    /// Unique in the tenant: 1 to 64 lower-case letters, digits, `_` or `-`.
    #[schema(example = "pro")]
    key: String,
    /// Shown on invoices; the key if left out.
    name: Option<String>,
    /// Of all prices; ISO 4217, lower case.
    #[schema(example = "usd")]
    currency: String,
    /// Unit of a period.
    #[schema(example = "month", pattern = "^(day|week|month|quarter|year)$")]
    interval: String,
    /// Intervals in a period, of ten years at most; 1 if left out.
    #[schema(minimum = 1, maximum = 3650, default = 1, required = false)]
    interval_count: u16,
    /// Days before fixed fees and commitment begin; 0 if left out.
    #[schema(minimum = 0, maximum = 3650, default = 0, required = false)]
    trial_days: u16,
    /// What usage in a trial costs: nothing, `free` (if left out), or what it costs after it, `billed`.
    #[schema(required = false, example = "free", pattern = "^(free|billed)$")]
    trial_usage: String,
    /// Least amount of a period's lines, in minor units, in proportion in a part of one; 0, which is none, if left out.
    #[schema(minimum = 0, default = 0, required = false)]
    minimum_commitment_minor: i64,
    /// 1 to 100, in the order of an invoice's lines.
    prices: Vec<PriceBody>,
}

/// A plan to create.
#[derive(Debug, ToSchema)]
pub(super) struct PlanRequest {
    #[serde(flatten)]
    plan: PlanBody,
    /// Up to 50 strings of the client's.
    #[schema(required = false)]
    metadata: Metadata,
}

/// A new version of a plan: what is left out is as in the version before. Key and currency stay for ever.
#[derive(Debug, ToSchema)]
#[schema(example = json!({ "name": "Pro 2027", "trial_days": 14 }))]
pub(super) struct PlanUpdate {
    /// Shown on invoices.
    name: Option<String>,
    #[schema(pattern = "^(day|week|month|quarter|year)$")]
    interval: Option<String>,
    #[schema(minimum = 1, maximum = 3650)]
    interval_count: Option<u16>,
    #[schema(minimum = 0, maximum = 3650)]
    trial_days: Option<u16>,
    #[schema(pattern = "^(free|billed)$")]
    trial_usage: Option<String>,
    #[schema(minimum = 0)]
    minimum_commitment_minor: Option<i64>,
    /// All of them.
    prices: Option<Vec<PriceBody>>,
    /// Keys to set; null takes a key away. Metadata alone makes no version.
    #[schema(required = false)]
    metadata: MetadataPatch,
}

/// One price of a plan.
#[derive(Debug, ToSchema)]
pub(super) struct PriceBody {
    /// Unique in the plan.
    #[schema(example = "base")]
    key: String,
    /// Shown on invoices; the key if left out.
    name: Option<String>,
    /// What it is charged for: `fixed` once a period, `licensed` by the subscription's quantity, `usage` by a meter.
    #[schema(example = "fixed", pattern = "^(fixed|licensed|usage)$")]
    kind: String,
    /// When it is billed: in `advance` or in `arrears` (usage always).
    #[schema(example = "advance", pattern = "^(advance|arrears)$")]
    timing: String,
    /// Its own period, of one interval and not longer than the plan's; the plan's if left out.
    #[schema(pattern = "^(day|week|month|quarter|year)$")]
    interval: Option<String>,
    /// Key of the meter; for usage only.
    meter: Option<String>,
    /// At most 20, on top of the meter's own: the price sees events that pass all; for usage only.
    #[schema(required = false)]
    filters: Vec<FilterBody>,
    /// At most 3 properties of events: each combination of their values is rated apart and has a line; for usage only.
    #[schema(required = false, example = json!(["region"]))]
    group_by: Vec<String>,
    /// In place of the customer's: ids of tax rates or bodies. An empty list is no tax.
    tax_rates: Option<Vec<TaxRateChoice>>,
    /// Least amount a period, in minor units; in proportion in a part of one.
    min_amount_minor: Option<i64>,
    /// Most amount a period, in minor units; in proportion in a part of one.
    max_amount_minor: Option<i64>,
    model: ModelBody,
}

/// A tax rate.
#[derive(Debug, ToSchema)]
pub(super) struct TaxRateBody {
    /// Shown on invoices.
    #[schema(example = "VAT")]
    name: String,
    /// 0 to 100, with at most six digits after the point, as a decimal string.
    #[schema(example = "19")]
    percent: String,
}

/// How a quantity becomes an amount. Which fields belong to which type: `flat` has `amount`; `per_unit` has `unit_amount`;
/// `graduated`, `volume` and `graduated_percentage` have `tiers`; `package` has `package_size`, `package_amount` and
/// `free_units`; `percentage` has `percent`, `fixed_amount`, `free_events`, `free_amount`, `min_amount_per_event` and
/// `max_amount_per_event`; `dynamic` has `multiplier`. Numbers are decimal strings, amounts in major units.
#[derive(Debug, ToSchema)]
pub(super) struct ModelBody {
    #[schema(
        example = "per_unit",
        pattern = "^(flat|per_unit|graduated|volume|package|percentage|graduated_percentage|dynamic)$"
    )]
    r#type: String,
    /// Whatever the quantity.
    amount: Option<String>,
    /// Of each unit.
    #[schema(example = "0.10")]
    unit_amount: Option<String>,
    /// 1 to 100, ascending; the last one is open-ended.
    tiers: Option<Vec<TierBody>>,
    /// Units in a package; they are sold by whole packages.
    package_size: Option<String>,
    /// Of a package.
    package_amount: Option<String>,
    /// Units before the first package; 0 if left out.
    free_units: Option<String>,
    /// Of the value of an event; 0 to 1000.
    percent: Option<String>,
    /// Of each event; 0 if left out.
    fixed_amount: Option<String>,
    /// Events that may be free.
    free_events: Option<u64>,
    /// Value that may be free.
    free_amount: Option<String>,
    /// Least that an event costs, the fixed amount included.
    min_amount_per_event: Option<String>,
    /// Most that an event costs, the fixed amount included.
    max_amount_per_event: Option<String>,
    /// The meter's value times this is the amount.
    multiplier: Option<String>,
}

/// A range of quantities with its price.
#[derive(Debug, ToSchema)]
pub(super) struct TierBody {
    /// The last unit in it, as a decimal string; null in the last tier.
    #[schema(required = true, example = "1000")]
    up_to: Option<String>,
    /// Price of each unit in it, in major units; 0 if left out. Not in a `graduated_percentage`.
    #[schema(example = "0.01")]
    unit_amount: Option<String>,
    /// Of the value in it; in a `graduated_percentage` only, and required there.
    percent: Option<String>,
    /// Charged once when the tier is entered, in major units; 0 if left out.
    #[schema(required = false)]
    flat_amount: String,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::{MeterSpec, PlanSpec};
    use serde::{Serialize, de::DeserializeOwned};
    use serde_json::{Value, json};
    use utoipa::PartialSchema;

    use super::{FilterBody, MeterBody, ModelBody, PlanBody, PlanUpdate, PriceBody, TaxRateBody, TierBody};

    fn documented<T: PartialSchema>() -> BTreeSet<String> {
        let schema = serde_json::to_value(T::schema()).expect("a schema");
        schema["properties"].as_object().expect("an object").keys().cloned().collect()
    }

    fn keys(object: &Value) -> BTreeSet<String> {
        object.as_object().expect("an object").keys().cloned().collect()
    }

    /// What the domain makes of a body that has every field.
    fn read<T: DeserializeOwned + Serialize>(body: &Value) -> Value {
        serde_json::to_value(T::deserialize(body).expect("a body")).expect("JSON")
    }

    /// A model of each type, with every field it has.
    fn models() -> [Value; 8] {
        let tier = json!({ "up_to": null, "unit_amount": "1", "flat_amount": "0" });
        let percent_tier = json!({ "up_to": null, "percent": "1", "flat_amount": "0" });
        [
            json!({ "type": "flat", "amount": "1" }),
            json!({ "type": "per_unit", "unit_amount": "1" }),
            json!({ "type": "graduated", "tiers": [tier] }),
            json!({ "type": "volume", "tiers": [tier] }),
            json!({ "type": "package", "package_size": "10", "package_amount": "1", "free_units": "1" }),
            json!({ "type": "percentage", "percent": "1", "fixed_amount": "1", "free_events": 1, "free_amount": "1",
                "min_amount_per_event": "1", "max_amount_per_event": "2" }),
            json!({ "type": "graduated_percentage", "tiers": [percent_tier] }),
            json!({ "type": "dynamic", "multiplier": "1" }),
        ]
    }

    #[test]
    fn the_document_names_the_fields_that_the_domain_reads() {
        let filters = json!([{ "property": "p", "values": ["v"] }]);
        let meter = json!({ "key": "m", "name": "M", "aggregation": "sum", "value_property": "v", "filters": filters,
            "recurring": true, "late_policy": "ignore" });
        let meter = read::<MeterSpec>(&meter);
        assert_eq!(keys(&meter), documented::<MeterBody>());
        assert_eq!(keys(&meter["filters"][0]), documented::<FilterBody>());

        let price = |(index, model): (usize, Value)| {
            json!({ "key": format!("p{index}"), "name": "P", "kind": "usage", "timing": "arrears", "interval": "day",
                "meter": "m", "filters": filters, "group_by": ["g"], "tax_rates": [{ "name": "VAT", "percent": "1" }],
                "min_amount_minor": 1, "max_amount_minor": 2, "model": model })
        };
        let prices: Vec<_> = models().into_iter().enumerate().map(price).collect();
        let plan = json!({ "key": "p", "name": "P", "currency": "usd", "interval": "month", "interval_count": 1,
            "trial_days": 1, "trial_usage": "billed", "minimum_commitment_minor": 1, "prices": prices });
        let plan = read::<PlanSpec>(&plan);
        // It is a valid plan, so no model has a field that is not its own.
        domain::Plan::try_from(serde_json::from_value::<PlanSpec>(plan.clone()).expect("a body")).expect("a plan");
        assert_eq!(keys(&plan), documented::<PlanBody>());
        let mut versioned = documented::<PlanBody>();
        versioned.retain(|field| field != "key" && field != "currency");
        versioned.insert("metadata".to_owned());
        assert_eq!(documented::<PlanUpdate>(), versioned);
        let prices = plan["prices"].as_array().expect("prices");
        assert!(prices.iter().all(|price| keys(price) == documented::<PriceBody>()));
        assert_eq!(keys(&prices[0]["tax_rates"][0]), documented::<TaxRateBody>());
        let models: BTreeSet<String> = prices.iter().flat_map(|price| keys(&price["model"])).collect();
        assert_eq!(models, documented::<ModelBody>());
        let tiers = [2, 6].map(|index: usize| keys(&prices[index]["model"]["tiers"][0]));
        assert_eq!(&tiers[0] | &tiers[1], documented::<TierBody>());
    }
}
