//! Laws of rating: what holds for any model and any usage.

use domain::{ChargedEvents, Exact, ModelSpec, PriceModel, Rated, rate};
use proptest::{collection::vec, prelude::*};
use rust_decimal::Decimal;

use crate::models::{amount, anything, graduated_percentage, model, monotone_model, percentage, tiered, usage_model};

fn cost(model: &PriceModel, quantity: impl Into<Exact>) -> Exact {
    rate(model, &Rated::quantity(quantity.into())).amount
}

/// What events of these values cost together.
fn cost_of_events(model: &PriceModel, values: &[Exact]) -> Exact {
    let quantity = values.iter().cloned().sum();
    rate(model, &Rated { quantity, charged_events: ChargedEvents::of(model, values.iter()) }).amount
}

fn spec(model: PriceModel) -> ModelSpec {
    model.into()
}

/// Event by event what a percentage costs, without refunds, as its rule is told.
fn event_by_event(spec: &ModelSpec, values: &[Exact]) -> Exact {
    let number = |number: Option<Decimal>| number.map(Exact::from);
    let mut used = Exact::zero();
    let mut broken = spec.free_events.is_none() && spec.free_amount.is_none();
    let mut total = Exact::zero();
    for (nth, value) in (0_u64..).zip(values) {
        let mut charged = value.clone();
        if !broken && spec.free_events.is_none_or(|events| nth < events) {
            let left = number(spec.free_amount).map_or(value.clone(), |most| most - used.clone());
            used = used + value.clone();
            if *value <= left {
                continue;
            }
            charged = value.clone() - left;
        }
        broken = true;
        let percent = number(spec.percent).unwrap() * Exact::ratio(1, 100).unwrap();
        let fee = percent * charged + number(spec.fixed_amount).unwrap();
        let fee = number(spec.min_amount_per_event).map_or(fee.clone(), |least| fee.max(least));
        total = total + number(spec.max_amount_per_event).map_or(fee.clone(), |most| fee.min(most));
    }
    total
}

fn values(value: impl Strategy<Value = Decimal>) -> impl Strategy<Value = Vec<Exact>> {
    vec(value.prop_map(Exact::from), 0..12)
}

proptest! {
    #[test]
    fn each_unit_costs_what_its_tier_says(model in tiered("graduated"), quantity in 0_i64..150) {
        let tiers = spec(model.clone()).tiers.unwrap();
        let mut expected = tiers[0].flat_amount.unwrap();
        for unit in 1..=quantity {
            let at = tiers.iter().position(|tier| tier.up_to.is_none_or(|up_to| Decimal::from(unit) <= up_to)).unwrap();
            let enters = at > 0 && tiers[at - 1].up_to == Some(Decimal::from(unit - 1));
            expected += tiers[at].unit_amount.unwrap();
            expected += tiers[at].flat_amount.filter(|_| enters).unwrap_or_default();
        }
        prop_assert_eq!(cost(&model, quantity), Exact::from(expected));
    }

    /// By volume, as much is paid as if the tier that is reached were the only one.
    #[test]
    fn all_units_cost_what_the_reached_tier_says(model in tiered("volume"), thousandths in 0_i64..150_000) {
        let quantity = Decimal::new(thousandths, 3);
        let tiers = spec(model.clone()).tiers.unwrap();
        let reached = tiers.iter().find(|tier| tier.up_to.is_none_or(|up_to| quantity <= up_to)).unwrap();
        let expected = quantity * reached.unit_amount.unwrap() + reached.flat_amount.unwrap();
        prop_assert_eq!(cost(&model, quantity), Exact::from(expected));
    }

    /// Parts of a value pay their tiers' percentages: a hundredth of what units would at these prices.
    #[test]
    fn percentages_by_tier_are_units_by_tier(model in graduated_percentage(), value in amount()) {
        let mut units = spec(model.clone());
        units.r#type = domain::ModelType::Graduated;
        for tier in units.tiers.iter_mut().flatten() {
            tier.unit_amount = tier.percent.take().map(|percent| percent / Decimal::ONE_HUNDRED);
        }
        prop_assert_eq!(cost(&model, value), cost(&units.try_into().unwrap(), value));
    }

    /// "Rating usage in several steps costs exactly what rating it once does."
    #[test]
    fn rating_in_steps_costs_what_rating_once_does(model in model(), parts in vec(0_i64..1_000_000, 1..8)) {
        let at = |thousandths: i64| cost(&model, Decimal::new(thousandths, 3));
        let mut billed = at(0);
        let mut used = 0;
        for part in &parts {
            billed = billed + at(used + part) - at(used);
            used += part;
        }
        prop_assert_eq!(billed, at(used));
    }

    #[test]
    fn more_never_costs_less(model in prop_oneof![monotone_model(), usage_model()], less in amount(), more in amount()) {
        prop_assert!(cost(&model, less) <= cost(&model, less + more));
    }

    #[test]
    fn a_percentage_costs_what_its_events_do(model in percentage(), values in values(amount())) {
        prop_assert_eq!(cost_of_events(&model, &values), event_by_event(&spec(model), &values));
    }

    /// Whatever came before it, an event costs something or nothing, and a refund gives back at most what was paid.
    #[test]
    fn an_event_never_costs_less_than_nothing(
        model in percentage(), before in values((-500_i64..500).prop_map(Decimal::from)), value in amount()
    ) {
        let mut after = before.clone();
        after.push(value.into());
        let paid = cost_of_events(&model, &before);
        prop_assert!(!paid.is_negative());
        prop_assert!(cost_of_events(&model, &after) >= paid);
        after.push(-Exact::from(value));
        prop_assert!(!cost_of_events(&model, &after).is_negative());
    }

    /// No event and no value is lost in the summary, which is all that is frozen of the events.
    #[test]
    fn a_summary_counts_every_event_and_is_read_as_it_was_written(model in percentage(), values in values(anything())) {
        let summary = ChargedEvents::of(&model, values.iter()).unwrap();
        let events = values.iter().filter(|value| !value.is_negative()).count();
        let counted = summary.free_events + summary.charged_events + summary.at_minimum + summary.at_maximum;
        prop_assert_eq!(counted, u64::try_from(events).unwrap());
        let spec = spec(model);
        if spec.min_amount_per_event.or(spec.max_amount_per_event).is_none() {
            let sum: Exact = values.into_iter().sum();
            prop_assert_eq!(summary.free_value.clone() + summary.charged_value.clone(), sum);
        }
        let written = serde_json::to_string(&summary).unwrap();
        prop_assert_eq!(serde_json::from_str::<ChargedEvents>(&written).unwrap(), summary);
    }

    #[test]
    fn a_model_is_read_as_it_was_written(model in prop_oneof![model(), usage_model()]) {
        let written = serde_json::to_string(&model).unwrap();
        prop_assert_eq!(&serde_json::from_str::<PriceModel>(&written).unwrap(), &model);
        prop_assert_eq!(written, serde_json::to_string(&spec(model)).unwrap());
    }

    /// Whatever the number, rating answers, and shows the terms of its answer.
    #[test]
    fn no_quantity_makes_rating_panic(model in prop_oneof![model(), usage_model()], quantities in vec(anything(), 1..4)) {
        let values: Vec<Exact> = quantities.into_iter().map(Exact::from).collect();
        let quantity = values.iter().cloned().sum();
        for charged_events in [None, ChargedEvents::of(&model, values.iter())] {
            let rating = rate(&model, &Rated { quantity: Exact::clone(&quantity), charged_events });
            prop_assert!(!rating.amount.is_negative());
            prop_assert_eq!(rating.steps.iter().map(domain::Step::amount).sum::<Exact>(), rating.amount);
            prop_assert!(rating.steps.iter().all(|step| !step.to_string().is_empty()) && !rating.steps.is_empty());
        }
    }

    /// All digits that a decimal has, in every number of a model.
    #[test]
    fn no_price_makes_rating_panic(numbers in vec(anything(), 3)) {
        let [a, b, c] = [numbers[0].abs(), numbers[1].abs(), numbers[2].abs()];
        let tier = |up_to| domain::Tier { up_to, unit_amount: b, flat_amount: c };
        let models = [
            PriceModel::PerUnit { unit_amount: a },
            PriceModel::Dynamic { multiplier: a },
            PriceModel::Graduated { tiers: vec![tier(Some(a)), tier(None)] },
            PriceModel::Volume { tiers: vec![tier(Some(a)), tier(None)] },
        ];
        for model in models {
            prop_assert!(!cost(&model, c).is_negative());
        }
    }
}
