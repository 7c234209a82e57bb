//! The timeline: what happens, when, in which order.
//!
//! Each verb is a struct of exactly its fields, so that a field which means nothing for it is refused. Whether what it names
//! exists is not decided here.

use std::{collections::BTreeMap, num::NonZeroU32};

use domain::{AnchorDay, BillingCycle, CreditOutcome, OneOffLineSpec, ProrationBehavior, decimal};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    SimulationError,
    document::{UNKNOWN_FIELD, decode},
    error::{element, member},
    instant,
};

/// One thing that happens.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its place in the document's timeline.
    pub(crate) index: usize,
    /// When it is processed: when it happens, or for usage when it is received.
    pub(crate) time: Timestamp,
    pub(crate) action: Action,
}

impl Entry {
    /// Its path in the scenario.
    pub(crate) fn path(&self) -> String {
        element("timeline", self.index)
    }

    /// An error in one of its fields; `.plan` and the like.
    pub(crate) fn error(&self, field: &str, rule: impl AsRef<str>) -> SimulationError {
        SimulationError::new(format!("{}.{field}", self.path()), rule)
    }

    /// The name of the subscription that it is about.
    pub(crate) fn subscription(&self) -> Option<&str> {
        match &self.action {
            Action::Subscribe(Subscribe { subscription, .. })
            | Action::Change(Change { subscription, .. })
            | Action::Pause(OfSubscription { subscription })
            | Action::Resume(OfSubscription { subscription })
            | Action::Cancel(Cancel { subscription, .. })
            | Action::Usage(Usage { subscription, .. })
            | Action::ApplyCoupon(ApplyCoupon { subscription, .. }) => Some(subscription),
            Action::CreditBalance(_)
            | Action::TopUpWallet(_)
            | Action::OneOff(_)
            | Action::CreditNote(_)
            | Action::Void(_)
            | Action::Pay(_)
            | Action::Finalize(_) => None,
        }
    }
}

/// What an entry does.
#[derive(Debug)]
pub(crate) enum Action {
    Subscribe(Subscribe),
    Change(Change),
    Pause(OfSubscription),
    Resume(OfSubscription),
    Cancel(Cancel),
    Usage(Usage),
    ApplyCoupon(ApplyCoupon),
    CreditBalance(CreditBalance),
    TopUpWallet(TopUpWallet),
    OneOff(OneOff),
    CreditNote(CreditNote),
    Void(OfInvoice),
    Pay(Pay),
    Finalize(OfInvoice),
}

/// The verbs of `do`, as they are written.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    Subscribe,
    Change,
    Pause,
    Resume,
    Cancel,
    Usage,
    ApplyCoupon,
    CreditBalance,
    TopUpWallet,
    OneOff,
    CreditNote,
    Void,
    Pay,
    Finalize,
}

/// A number of units, by the key of a price.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Quantity(#[serde(with = "decimal")] pub(crate) Decimal);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subscribe {
    pub(crate) subscription: String,
    pub(crate) plan: String,
    #[serde(default)]
    pub(crate) billing_cycle: BillingCycle,
    pub(crate) anchor_day: Option<AnchorDay>,
    pub(crate) trial_days: Option<u16>,
    #[serde(default)]
    pub(crate) quantities: BTreeMap<String, Quantity>,
    #[serde(default)]
    pub(crate) coupons: Vec<String>,
    #[serde(default, with = "instant::option")]
    pub(crate) end_at: Option<Timestamp>,
}

/// When a change or a cancellation takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    Now,
    PeriodEnd,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    pub(crate) subscription: String,
    pub(crate) plan: Option<String>,
    pub(crate) quantities: Option<BTreeMap<String, Quantity>>,
    /// An upgrade is now, a downgrade at the period's end, if left out.
    pub(crate) when: Option<When>,
    #[serde(default)]
    pub(crate) proration: ProrationBehavior,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfSubscription {
    pub(crate) subscription: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cancel {
    pub(crate) subscription: String,
    pub(crate) when: When,
    #[serde(default)]
    pub(crate) proration: ProrationBehavior,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Usage {
    pub(crate) subscription: String,
    pub(crate) meter: String,
    /// Unlike any other's if left out.
    pub(crate) id: Option<String>,
    pub(crate) properties: BTreeMap<String, String>,
    /// Id of the event that it corrects.
    pub(crate) replaces: Option<String>,
    #[serde(default, with = "instant::option")]
    pub(crate) received_at: Option<Timestamp>,
    /// When it happened: the entry's `at`.
    #[serde(skip)]
    pub(crate) at: Timestamp,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplyCoupon {
    pub(crate) subscription: String,
    pub(crate) coupon: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreditBalance {
    pub(crate) amount_minor: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopUpWallet {
    pub(crate) amount_minor: i64,
    #[serde(default)]
    pub(crate) applies_to: Vec<String>,
    #[serde(default, with = "instant::option")]
    pub(crate) expires_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneOff {
    pub(crate) lines: Vec<OneOffLineSpec>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreditNote {
    pub(crate) invoice: NonZeroU32,
    pub(crate) lines: Option<Vec<CreditedLine>>,
    pub(crate) all: Option<bool>,
    #[serde(default)]
    pub(crate) outcome: CreditOutcome,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreditedLine {
    /// Counted from 1.
    pub(crate) line: NonZeroU32,
    pub(crate) amount_minor: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfInvoice {
    /// Counted from 1.
    pub(crate) invoice: NonZeroU32,
}

/// How an attempt to collect ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PaymentOutcome {
    Succeeded,
    Declined,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pay {
    pub(crate) invoice: NonZeroU32,
    pub(crate) outcome: PaymentOutcome,
}

/// What all entries have.
#[derive(Deserialize)]
struct Head {
    #[serde(with = "instant")]
    at: Timestamp,
    r#do: Verb,
}

/// Reads the timeline and puts it in the order in which it is processed: by time, equal ones as written.
///
/// # Errors
/// The first entry, as written, that does not fit its verb.
pub(crate) fn entries(values: Vec<Value>) -> Result<Vec<Entry>, SimulationError> {
    let mut entries = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        entries.push(entry(index, value)?);
    }
    entries.sort_by_key(|entry| entry.time);
    Ok(entries)
}

fn entry(index: usize, mut value: Value) -> Result<Entry, SimulationError> {
    let path = element("timeline", index);
    let Head { at, r#do: verb } = decode(&value, &path)?;
    let verb_name = value.get("do").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("at");
        fields.remove("do");
    }
    let rest = Fields { value: &value, path: &path, verb: &verb_name };
    let mut action = rest.action(verb)?;
    let time = match &mut action {
        Action::Usage(usage) => {
            usage.at = at;
            usage.received_at.unwrap_or(at)
        }
        _ => at,
    };
    if time < at {
        return Err(SimulationError::new(member(&path, "received_at"), "must not be before at"));
    }
    Ok(Entry { index, time, action })
}

/// An entry's fields besides `at` and `do`.
struct Fields<'a> {
    value: &'a Value,
    path: &'a str,
    verb: &'a str,
}

impl Fields<'_> {
    fn action(&self, verb: Verb) -> Result<Action, SimulationError> {
        Ok(match verb {
            Verb::Subscribe => Action::Subscribe(self.read()?),
            Verb::Change => Action::Change(self.read()?),
            Verb::Pause => Action::Pause(self.read()?),
            Verb::Resume => Action::Resume(self.read()?),
            Verb::Cancel => Action::Cancel(self.read()?),
            Verb::Usage => Action::Usage(self.read()?),
            Verb::ApplyCoupon => Action::ApplyCoupon(self.read()?),
            Verb::CreditBalance => Action::CreditBalance(self.read()?),
            Verb::TopUpWallet => Action::TopUpWallet(self.read()?),
            Verb::OneOff => Action::OneOff(self.read()?),
            Verb::CreditNote => Action::CreditNote(self.read()?),
            Verb::Void => Action::Void(self.read()?),
            Verb::Pay => Action::Pay(self.read()?),
            Verb::Finalize => Action::Finalize(self.read()?),
        })
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, SimulationError> {
        decode(self.value, self.path).map_err(|error| {
            let own = self.value.as_object().into_iter().flatten().any(|(key, _)| member(self.path, key) == error.path);
            if error.rule == UNKNOWN_FIELD && own {
                return SimulationError::new(error.path, format!("means nothing for `{}`", self.verb));
            }
            error
        })
    }
}
