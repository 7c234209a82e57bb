//! Which usage an occasion bills: for each price, the instants whose events count.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Billable, BillingError, Draft, Metered, Occasion};
use crate::{BillingPeriod, ChargedEvents, Exact, Group, Measured, MeterWindow, Price, PriceKind, Proration};

/// What was used of a price, by one group if it has groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The values of the price's `group_by` properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// The meter's value.
    pub quantity: Exact,
    /// What is charged for single events, where the model does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged_events: Option<ChargedEvents>,
}

impl Used {
    /// Nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::quantity(Exact::zero())
    }

    /// A quantity, without groups.
    #[must_use]
    pub fn quantity(quantity: Exact) -> Self {
        Self { group: None, quantity, charged_events: None }
    }

    /// What was measured for a price.
    #[must_use]
    pub fn measured(price: &Price, measured: Measured) -> Self {
        let charged_events = ChargedEvents::of(&price.model, measured.values.iter());
        Self { group: measured.group, quantity: measured.quantity, charged_events }
    }
}

/// The usage that a price is billed for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageWindow {
    /// Key of the price.
    pub price: String,
    /// Key of its meter.
    pub meter: String,
    /// Half-open, like every period. The first one begins at the instant of the start, and a change splits it at its
    /// instant, although fees count whole days.
    pub window: MeterWindow,
    /// The local days that a line for it covers.
    pub period: BillingPeriod,
    /// The part that these are of a full period.
    pub proration: Option<Proration>,
    /// Half-open spans of pauses, in which events do not count.
    pub paused: Vec<(Timestamp, Timestamp)>,
}

impl UsageWindow {
    /// Whether an event at an instant does not count since the subscription was paused on its day.
    #[must_use]
    pub fn is_paused(&self, at: Timestamp) -> bool {
        self.paused.iter().any(|(from, to)| (*from..*to).contains(&at))
    }
}

/// The windows whose usage an occasion bills, by price, in the plan's order.
///
/// # Errors
/// [`BillingError::Over`] when there is no boundary, `State` when the subscription is over.
pub fn usage_windows(billable: &Billable<'_>, occasion: &Occasion<'_>) -> Result<Vec<UsageWindow>, BillingError> {
    let nothing = Metered::default();
    let mut draft = Draft::new(billable, occasion, &nothing)?;
    let day = draft.now.date;
    if matches!(occasion, Occasion::Cancel { .. }) {
        draft.end_tomorrow();
    }
    let ends = |price: &Price| match occasion {
        Occasion::Boundary { .. } => draft.window_ends(price, day),
        Occasion::Change { to, .. } => to.0 != billable.subscription.plan(),
        Occasion::Cancel { .. } => true,
        Occasion::Resume { .. } => false,
    };
    let prices = billable.plan.prices().iter().filter(|price| price.kind == PriceKind::Usage && ends(price));
    Ok(prices.filter_map(|price| draft.usage_window(price)).collect())
}

impl Draft<'_> {
    pub(super) fn usage_window(&self, price: &Price) -> Option<UsageWindow> {
        let (part, full) = self.ended_part(price)?;
        let subscription = &self.subscription;
        let since = subscription.plan_since;
        let from = if part.start == since.date { since.at } else { subscription.turns_at(part.start) };
        let (full_from, full_to) = (subscription.start_of_day(full.start), subscription.start_of_day(full.end));
        let window = MeterWindow {
            from: from.min(self.now.at),
            to: self.now.at,
            full_from,
            full_to,
            carried_from: subscription.start_at(),
        };
        Some(UsageWindow {
            period: part,
            proration: Proration::of_days(subscription.billed_days(part), full),
            price: price.key.clone(),
            meter: price.meter.clone()?,
            window,
            paused: subscription.paused_in(&window),
        })
    }
}
