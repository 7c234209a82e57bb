//! Measures usage: what was used in the windows that an occasion bills, for many subscriptions at once.
//!
//! Counts and sums are added up by the database; everything else folds the events one by one as they stream by, in time
//! order, so that memory holds accumulators and no events.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Accumulator, Aggregation, EventView, Exact, Meter, Plan, Price, PriceModel, Usage, UsageWindow, Used};
use futures::TryStreamExt;
use jiff::Timestamp;
use store::{Store, Unclaimed, UsageEvent, UsageQuery, UsageSums};

use crate::BillingError;

/// The windows of one subscription.
pub(crate) struct Wanted<'a> {
    pub customer: &'a str,
    pub subscription: &'a str,
    pub plan: &'a Plan,
    pub windows: Vec<UsageWindow>,
}

/// What could be measured, or why not, in the order of what was wanted.
pub(crate) type Outcomes = Vec<Result<Usage, String>>;

/// A tenant's meters, by key.
pub(crate) type Meters = BTreeMap<String, Meter>;

/// # Errors
/// Store errors.
pub(crate) async fn load_meters(store: &Store, tenant: &str) -> Result<Meters, BillingError> {
    let meters = store.meters(tenant).await?;
    Ok(meters.into_iter().map(|record| (record.meter.key().to_owned(), record.meter)).collect())
}

/// Measures all that is wanted. What cannot be measured is an error of its own, so that it keeps nobody else from being
/// billed.
///
/// # Errors
/// Store errors.
pub(crate) async fn measure_usage(
    store: &Store,
    (tenant, meters): (&str, &Meters),
    wanted: &[Wanted<'_>],
    unclaimed: Unclaimed,
) -> Result<Outcomes, BillingError> {
    let mut outcomes: Outcomes = wanted.iter().map(|_| Ok(Usage::new())).collect();
    if wanted.iter().all(|one| one.windows.is_empty()) {
        return Ok(outcomes);
    }
    let (summed, folded) = split(wanted, meters, &mut outcomes);
    let sums = store.usage(tenant, &queries(&summed), unclaimed).await?;
    for one in &summed {
        note(&mut outcomes[one.index], one.window, read_sum(one, &sums));
    }
    for (one, measured) in fold(store, tenant, folded, unclaimed).await? {
        note(&mut outcomes[one.index], one.window, measured);
    }
    Ok(outcomes)
}

/// One window, with all that it takes to measure it.
#[derive(Clone, Copy)]
struct Measuring<'a> {
    /// Whose it is: position in what was wanted.
    index: usize,
    customer: &'a str,
    subscription: &'a str,
    price: &'a Price,
    meter: &'a Meter,
    window: &'a UsageWindow,
}

impl Measuring<'_> {
    /// The first instant whose events matter.
    fn from(&self) -> Timestamp {
        self.window.window.reaches_back_to(self.meter)
    }

    /// Whether the quantity stored with each event can be added up as it is.
    fn adds_up(&self) -> bool {
        matches!(self.meter.aggregation(), Aggregation::Count | Aggregation::Sum)
            && !self.meter.is_recurring()
            && self.price.filters.is_empty()
            && self.price.group_by.is_empty()
            && !matches!(self.price.model, PriceModel::Percentage(_))
            && self.window.paused.is_empty()
    }
}

/// The windows that the database adds up, each subscription and meter once, and the others.
fn split<'a>(
    wanted: &'a [Wanted<'_>],
    meters: &'a Meters,
    outcomes: &mut Outcomes,
) -> (Vec<Measuring<'a>>, Vec<Measuring<'a>>) {
    let mut seen = BTreeSet::new();
    let (mut summed, mut folded) = (Vec::new(), Vec::new());
    for (index, one) in wanted.iter().enumerate() {
        for window in &one.windows {
            let found = one.plan.price(&window.price).zip(meters.get(&window.meter));
            let Some((price, meter)) = found else {
                outcomes[index] = Err(format!("meter `{}`: there is none", window.meter));
                continue;
            };
            let (customer, subscription) = (one.customer, one.subscription);
            let measuring = Measuring { index, customer, subscription, price, meter, window };
            let adds_up = measuring.adds_up() && seen.insert((one.subscription, window.meter.as_str()));
            if adds_up { summed.push(measuring) } else { folded.push(measuring) }
        }
    }
    (summed, folded)
}

fn queries(measuring: &[Measuring<'_>]) -> Vec<UsageQuery> {
    let query = |one: &Measuring<'_>| UsageQuery {
        customer: one.customer.to_owned(),
        subscription: one.subscription.to_owned(),
        meter: one.window.meter.clone(),
        from: one.from(),
        to: one.window.window.to,
    };
    measuring.iter().map(query).collect()
}

fn read_sum(one: &Measuring<'_>, sums: &UsageSums) -> Result<Vec<Used>, String> {
    match sums.get(&(one.subscription.to_owned(), one.window.meter.clone())) {
        Some(Ok(quantity)) => Ok(vec![Used::quantity(Exact::from(*quantity))]),
        Some(Err(error)) => Err(error.to_string()),
        None => Ok(Vec::new()),
    }
}

fn note(outcome: &mut Result<Usage, String>, window: &UsageWindow, measured: Result<Vec<Used>, String>) {
    match measured {
        Ok(used) => {
            if let Ok(usage) = outcome {
                usage.insert(window.price.clone(), used);
            }
        }
        Err(error) => *outcome = Err(format!("meter `{}`: {error}", window.meter)),
    }
}

/// Folds the events of windows as they stream by.
async fn fold<'a>(
    store: &Store,
    tenant: &str,
    measuring: Vec<Measuring<'a>>,
    unclaimed: Unclaimed,
) -> Result<Vec<(Measuring<'a>, Result<Vec<Used>, String>)>, BillingError> {
    if measuring.is_empty() {
        return Ok(Vec::new());
    }
    // By subscription and meter.
    let mut running: BTreeMap<&str, BTreeMap<&str, Vec<Fold<'a>>>> = BTreeMap::new();
    for one in &measuring {
        let meters = running.entry(one.subscription).or_default();
        meters.entry(one.window.meter.as_str()).or_default().push(Fold::begin(*one));
    }
    let mut events = std::pin::pin!(store.usage_events(tenant, &queries(&measuring), unclaimed).await?);
    while let Some(event) = events.try_next().await? {
        // What nobody has claimed is counted for the only one that is asked about.
        let meters = match &event.subscription {
            Some(subscription) => running.get_mut(subscription.as_str()),
            None => running.values_mut().next(),
        };
        for one in meters.and_then(|meters| meters.get_mut(event.meter.as_str())).into_iter().flatten() {
            one.add(&event);
        }
    }
    Ok(running.into_values().flatten().flat_map(|(_, folds)| folds).map(Fold::finish).collect())
}

struct Fold<'a> {
    measuring: Measuring<'a>,
    accumulator: Accumulator<'a>,
    failed: Option<String>,
}

impl<'a> Fold<'a> {
    fn begin(measuring: Measuring<'a>) -> Self {
        let accumulator = Accumulator::new(measuring.meter, measuring.price.selection(), measuring.window.window);
        Self { measuring, accumulator, failed: None }
    }

    fn add(&mut self, event: &UsageEvent) {
        if self.failed.is_some() || self.measuring.window.is_paused(event.timestamp) {
            return;
        }
        let view = EventView { id: &event.id, at: event.timestamp, properties: &event.properties };
        self.failed = self.accumulator.add(view).err().map(|error| error.to_string());
    }

    fn finish(self) -> (Measuring<'a>, Result<Vec<Used>, String>) {
        let Self { measuring, accumulator, failed } = self;
        let used = match failed {
            Some(error) => Err(error),
            None => match accumulator.finish() {
                Ok(measured) => Ok(measured.into_iter().map(|one| Used::measured(measuring.price, one)).collect()),
                Err(error) => Err(error.to_string()),
            },
        };
        (measuring, used)
    }
}
