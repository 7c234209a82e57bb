//! How the bodies of meters and plans are documented.
//!
//! Requests are read by the domain's own types, which know nothing of OpenAPI; these mirror them for the document alone, and
//! a test compares the two.

use utoipa::ToSchema;

/// What usage is measured by.
#[derive(Debug, ToSchema)]
pub(super) struct MeterBody {
    /// Unique in the tenant: 1 to 64 lower-case letters, digits, `_` or `-`.
    #[schema(example = "api_calls")]
    key: String,
    /// Shown to people; the key if left out.
    name: Option<String>,
    /// `count` counts events, `sum` adds up a property of theirs.
    #[schema(example = "sum", pattern = "^(count|sum)$")]
    aggregation: String,
    /// The property that is added up; for `sum` only.
    value_property: Option<String>,
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
    /// Unit of a period: `month` or `year`.
    #[schema(example = "month", pattern = "^(month|year)$")]
    interval: String,
    /// Intervals in a period; 1 if left out.
    #[schema(minimum = 1, maximum = 120, default = 1, required = false)]
    interval_count: u16,
    /// 1 to 100, in the order of an invoice's lines.
    prices: Vec<PriceBody>,
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
    /// Key of the meter; for usage only.
    meter: Option<String>,
    /// Least amount a period, in minor units; in proportion in a part of one.
    min_amount_minor: Option<i64>,
    /// Most amount a period, in minor units; in proportion in a part of one.
    max_amount_minor: Option<i64>,
    model: ModelBody,
}

/// How a quantity becomes an amount: `flat` has `amount`, `per_unit` has `unit_amount`, `graduated` has `tiers`.
#[derive(Debug, ToSchema)]
pub(super) struct ModelBody {
    #[schema(example = "per_unit", pattern = "^(flat|per_unit|graduated)$")]
    r#type: String,
    /// In major units, as a decimal string.
    amount: Option<String>,
    /// In major units, as a decimal string.
    #[schema(example = "0.10")]
    unit_amount: Option<String>,
    /// 1 to 100, ascending; the last one is open-ended.
    tiers: Option<Vec<TierBody>>,
}

/// A range of quantities with its price.
#[derive(Debug, ToSchema)]
pub(super) struct TierBody {
    /// The last unit in it, as a decimal string; null in the last tier.
    #[schema(required = true, example = "1000")]
    up_to: Option<String>,
    /// Price of each unit in it, in major units; 0 if left out.
    #[schema(required = false, example = "0.01")]
    unit_amount: String,
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

    use super::{MeterBody, ModelBody, PlanBody, PriceBody, TierBody};

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

    #[test]
    fn the_document_names_the_fields_that_the_domain_reads() {
        let meter = json!({ "key": "m", "name": "M", "aggregation": "sum", "value_property": "v" });
        assert_eq!(keys(&read::<MeterSpec>(&meter)), documented::<MeterBody>());

        let price = |model: Value| {
            json!({ "key": "p", "name": "P", "kind": "usage", "timing": "arrears", "meter": "m",
                "min_amount_minor": 1, "max_amount_minor": 2, "model": model })
        };
        let tier = json!({ "up_to": null, "unit_amount": "1", "flat_amount": "0" });
        let models = [
            json!({ "type": "flat", "amount": "1" }),
            json!({ "type": "per_unit", "unit_amount": "1" }),
            json!({ "type": "graduated", "tiers": [tier] }),
        ];
        let plan = json!({ "key": "p", "name": "P", "currency": "usd", "interval": "month", "interval_count": 1,
            "prices": models.map(price) });
        let plan = read::<PlanSpec>(&plan);
        assert_eq!(keys(&plan), documented::<PlanBody>());
        let prices = plan["prices"].as_array().expect("prices");
        assert!(prices.iter().all(|price| keys(price) == documented::<PriceBody>()));
        let models: BTreeSet<String> = prices.iter().flat_map(|price| keys(&price["model"])).collect();
        assert_eq!(models, documented::<ModelBody>());
        assert_eq!(keys(&prices[2]["model"]["tiers"][0]), documented::<TierBody>());
    }
}
