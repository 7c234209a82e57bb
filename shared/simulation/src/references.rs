//! Rules between the parts of a scenario: what is named exists, in time; amounts and lists keep to their limits.
//!
//! What depends on what has been billed by then (an invoice's number, a licensed price's quantity) comes up in the simulation.

use std::{collections::BTreeSet, ops::RangeInclusive};

use domain::{OneOffLine, SpecError};

use crate::{
    Scenario, SimulationError,
    error::element,
    timeline::{Action, CreditNote, Entry, OneOff, Subscribe, TopUpWallet, Usage},
};

/// Amounts in minor units: ten trillions of a currency with cents; more is a typing error.
const AMOUNTS: RangeInclusive<i64> = 1..=999_999_999_999_999;

/// Longest trial: ten years, as the longest period.
const MAX_TRIAL_DAYS: u16 = 3_650;

/// Elements of a list in an entry: as many as an invoice has lines.
const MAX_LIST: usize = 100;

/// Longest name: it is part of a line.
const MAX_NAME_CHARS: usize = 200;

/// Checks everything that can be known before the story is told.
///
/// # Errors
/// The first violation: of prices and coupons as written, then of the timeline as processed.
pub(crate) fn check_references(scenario: &Scenario) -> Result<(), SimulationError> {
    check_plans(scenario)?;
    let lines = line_keys(scenario);
    check_coupons(scenario, &lines)?;
    let ever: BTreeSet<&str> = scenario.timeline.iter().filter_map(subscribed).collect();
    let mut known = BTreeSet::new();
    for entry in &scenario.timeline {
        if let Some(name) = subscribed(entry) {
            check_name(entry, "subscription", name)?;
            if !known.insert(name) {
                return Err(entry.error("subscription", format!("`{name}` is subscribed already")));
            }
        } else if let Some(name) = entry.subscription() {
            // Usage may come first: it is kept until somebody covers it.
            let is_known = known.contains(name) || (matches!(entry.action, Action::Usage(_)) && ever.contains(name));
            if !is_known {
                return Err(entry.error("subscription", format!("`{name}` has not been subscribed by then")));
            }
        }
        Check { scenario, entry, lines: &lines }.action()?;
    }
    Ok(())
}

fn subscribed(entry: &Entry) -> Option<&str> {
    match &entry.action {
        Action::Subscribe(Subscribe { subscription, .. }) => Some(subscription),
        _ => None,
    }
}

fn check_plans(scenario: &Scenario) -> Result<(), SimulationError> {
    let currency = scenario.customer.currency;
    for (index, plan) in scenario.plans.iter().enumerate() {
        let path = element("plans", index);
        if plan.currency() != currency {
            return Err(SimulationError::new(
                format!("{path}.currency"),
                format!("must be the customer's, {currency}"),
            ));
        }
        let below = |SpecError { path: inner, rule }: SpecError| SimulationError::new(format!("{path}.{inner}"), rule);
        plan.check_meters(|key| scenario.meters.get(key)).map_err(below)?;
    }
    Ok(())
}

/// Keys that a line may have: of the plans' prices and the one-off lines.
fn line_keys(scenario: &Scenario) -> BTreeSet<&str> {
    let prices = scenario.plans.iter().flat_map(|plan| plan.prices()).map(|price| price.key.as_str());
    let one_off = scenario.timeline.iter().filter_map(|entry| match &entry.action {
        Action::OneOff(OneOff { lines }) => Some(lines),
        _ => None,
    });
    prices.chain(one_off.flatten().map(|line| line.key.as_str())).collect()
}

fn check_coupons(scenario: &Scenario, lines: &BTreeSet<&str>) -> Result<(), SimulationError> {
    for (index, coupon) in scenario.coupons.iter().enumerate() {
        let error = |list: &str, at: usize, what: &str, key: &str| {
            let path = format!("{}.{}", element("coupons", index), element(list, at));
            SimulationError::new(path, format!("is no {what} of the scenario: `{key}`"))
        };
        if let Some(at) = coupon.prices().iter().position(|key| !lines.contains(key.as_str())) {
            return Err(error("applies_to", at, "price", &coupon.prices()[at]));
        }
        if let Some(at) = coupon.plans().iter().position(|key| scenario.plans.get(key).is_none()) {
            return Err(error("applies_to_plans", at, "plan", &coupon.plans()[at]));
        }
    }
    Ok(())
}

fn check_name(entry: &Entry, field: &str, name: &str) -> Result<(), SimulationError> {
    if name.trim().is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(entry.error(field, format!("must be one line of 1 to {MAX_NAME_CHARS} characters")));
    }
    Ok(())
}

fn check_list(entry: &Entry, field: &str, length: usize) -> Result<(), SimulationError> {
    if length > MAX_LIST { Err(entry.error(field, format!("must be at most {MAX_LIST}"))) } else { Ok(()) }
}

fn check_amount(entry: &Entry, field: &str, minor: i64) -> Result<(), SimulationError> {
    if AMOUNTS.contains(&minor) {
        return Ok(());
    }
    Err(entry.error(field, format!("must be between {} and {}", AMOUNTS.start(), AMOUNTS.end())))
}

/// One entry, with what it may name.
struct Check<'a> {
    scenario: &'a Scenario,
    entry: &'a Entry,
    lines: &'a BTreeSet<&'a str>,
}

impl Check<'_> {
    fn action(&self) -> Result<(), SimulationError> {
        let entry = self.entry;
        match &entry.action {
            Action::Subscribe(subscribe) => self.subscribe(subscribe),
            Action::Change(change) => {
                if change.plan.is_none() && change.quantities.is_none() {
                    return Err(SimulationError::new(entry.path(), "must have a plan or quantities to change to"));
                }
                change.plan.as_deref().map_or(Ok(()), |plan| self.plan(plan))
            }
            Action::Usage(usage) => self.usage(usage),
            Action::ApplyCoupon(apply) => self.coupon("coupon", &apply.coupon),
            Action::CreditBalance(credit) => check_amount(entry, "amount_minor", credit.amount_minor),
            Action::TopUpWallet(top_up) => self.top_up(top_up),
            Action::OneOff(one_off) => self.one_off(one_off),
            Action::CreditNote(note) => self.credit_note(note),
            Action::Pause(_)
            | Action::Resume(_)
            | Action::Cancel(_)
            | Action::Void(_)
            | Action::Pay(_)
            | Action::Finalize(_) => Ok(()),
        }
    }

    fn plan(&self, key: &str) -> Result<(), SimulationError> {
        if self.scenario.plans.get(key).is_some() {
            return Ok(());
        }
        Err(self.entry.error("plan", format!("is no plan of the scenario: `{key}`")))
    }

    fn coupon(&self, field: &str, key: &str) -> Result<(), SimulationError> {
        if self.scenario.coupons.get(key).is_some() {
            return Ok(());
        }
        Err(self.entry.error(field, format!("is no coupon of the scenario: `{key}`")))
    }

    fn subscribe(&self, subscribe: &Subscribe) -> Result<(), SimulationError> {
        let entry = self.entry;
        self.plan(&subscribe.plan)?;
        check_list(entry, "coupons", subscribe.coupons.len())?;
        for (index, coupon) in subscribe.coupons.iter().enumerate() {
            self.coupon(&element("coupons", index), coupon)?;
        }
        if subscribe.trial_days.is_some_and(|days| days > MAX_TRIAL_DAYS) {
            return Err(entry.error("trial_days", format!("must be between 0 and {MAX_TRIAL_DAYS}")));
        }
        if subscribe.end_at.is_some_and(|end_at| end_at <= entry.time) {
            return Err(entry.error("end_at", "must be after at"));
        }
        Ok(())
    }

    fn usage(&self, usage: &Usage) -> Result<(), SimulationError> {
        let entry = self.entry;
        if self.scenario.meters.get(&usage.meter).is_none() {
            return Err(entry.error("meter", format!("is no meter of the scenario: `{}`", usage.meter)));
        }
        usage.id.as_deref().map_or(Ok(()), |id| check_name(entry, "id", id))
    }

    fn top_up(&self, top_up: &TopUpWallet) -> Result<(), SimulationError> {
        let entry = self.entry;
        check_amount(entry, "amount_minor", top_up.amount_minor)?;
        check_list(entry, "applies_to", top_up.applies_to.len())?;
        if let Some(at) = top_up.applies_to.iter().position(|key| !self.lines.contains(key.as_str())) {
            let rule = format!("is no price of the scenario: `{}`", top_up.applies_to[at]);
            return Err(entry.error(&element("applies_to", at), rule));
        }
        if top_up.expires_at.is_some_and(|expires_at| expires_at <= entry.time) {
            return Err(entry.error("expires_at", "must be after at"));
        }
        Ok(())
    }

    fn one_off(&self, one_off: &OneOff) -> Result<(), SimulationError> {
        let entry = self.entry;
        if one_off.lines.is_empty() {
            return Err(entry.error("lines", "must have at least one line"));
        }
        check_list(entry, "lines", one_off.lines.len())?;
        for (index, spec) in one_off.lines.iter().enumerate() {
            let below =
                |SpecError { path, rule }: SpecError| entry.error(&format!("{}.{path}", element("lines", index)), rule);
            OneOffLine::try_from(spec.clone()).map_err(below)?;
        }
        Ok(())
    }

    fn credit_note(&self, note: &CreditNote) -> Result<(), SimulationError> {
        let entry = self.entry;
        let lines = match (&note.lines, note.all) {
            (Some(lines), None | Some(false)) if !lines.is_empty() => lines,
            (None, Some(true)) => return Ok(()),
            (Some(_), Some(true)) => return Err(entry.error("lines", "means nothing where all is true")),
            _ => return Err(entry.error("lines", "must name at least one line, unless all is true")),
        };
        let mut seen = BTreeSet::new();
        for (index, credited) in lines.iter().enumerate() {
            let field = |name: &str| format!("{}.{name}", element("lines", index));
            check_amount(entry, &field("amount_minor"), credited.amount_minor)?;
            if !seen.insert(credited.line) {
                return Err(entry.error(&field("line"), format!("{} is credited twice", credited.line)));
            }
        }
        Ok(())
    }
}
