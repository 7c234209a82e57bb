//! The usage that was received: whose, of what, when.
//!
//! **Invariant:** an event's id counts once, the first time; a corrected event does not count any more.

use std::{collections::BTreeMap, ops::Range};

use domain::{Accumulator, AmountError, BillingError, EventView, Meter, Plan, Price, Usage, UsageWindow, Used};
use jiff::Timestamp;

use crate::{
    Scenario, SimulationError,
    timeline::{Entry, Usage as Reported},
};

/// An event that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    /// When it happened.
    pub(crate) at: Timestamp,
    /// What a meter reads.
    pub(crate) properties: &'a BTreeMap<String, String>,
    /// The order in which it was received.
    number: usize,
}

/// The events of one subscription and meter: by time, those of one instant as received.
type Series<'a> = Vec<Event<'a>>;

/// Where an event is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) subscription: &'a str,
    pub(crate) meter: &'a str,
    pub(crate) at: Timestamp,
    number: usize,
}

/// What an event that was taken in has changed: itself, and what it corrects.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    pub(crate) changed: Vec<Place<'a>>,
}

/// Everything that was received so far.
#[derive(Debug, Default)]
pub(crate) struct EventLog<'a> {
    /// By subscription and meter.
    series: BTreeMap<&'a str, BTreeMap<&'a str, Series<'a>>>,
    ids: BTreeMap<&'a str, Place<'a>>,
    received: usize,
}

impl<'a> EventLog<'a> {
    /// Takes an event in; one whose id was there before is left out. Returns what counts differently from here on.
    ///
    /// # Errors
    /// When it corrects an event that was never received.
    pub(crate) fn receive(&mut self, entry: &Entry, usage: &'a Reported) -> Result<Received<'a>, SimulationError> {
        if usage.id.as_deref().is_some_and(|id| self.ids.contains_key(id)) {
            return Ok(Received { changed: Vec::new() });
        }
        let mut changed = Vec::new();
        if let Some(corrected) = usage.replaces.as_deref() {
            let withdrawn = self.withdraw(corrected);
            let unknown = || entry.error("replaces", format!("is no event that counts: `{corrected}`"));
            changed.push(withdrawn.ok_or_else(unknown)?);
        }
        let number = self.received;
        self.received += 1;
        let (subscription, meter) = (usage.subscription.as_str(), usage.meter.as_str());
        let place = Place { subscription, meter, at: usage.at, number };
        if let Some(id) = usage.id.as_deref() {
            self.ids.insert(id, place);
        }
        changed.push(place);
        let events = self.series.entry(subscription).or_default().entry(meter).or_default();
        let place = events.partition_point(|event| event.at <= usage.at);
        events.insert(place, Event { at: usage.at, properties: &usage.properties, number });
        Ok(Received { changed })
    }

    /// Takes an event back, if it was received and not taken back before.
    fn withdraw(&mut self, id: &str) -> Option<Place<'a>> {
        let found = *self.ids.get(id)?;
        let Place { subscription, meter, at, number } = found;
        let events = self.series.get_mut(subscription)?.get_mut(meter)?;
        let first = events.partition_point(|event| event.at < at);
        let index = events[first..].iter().position(|event| event.number == number)?;
        events.remove(first + index);
        Some(found)
    }

    /// Measures the usage of windows of a plan's prices.
    ///
    /// # Errors
    /// When a value does not come out.
    pub(crate) fn measure(
        &self,
        scenario: &Scenario,
        subscription: &str,
        (plan, windows): (&Plan, &[UsageWindow]),
    ) -> Result<Usage, BillingError> {
        let mut usage = Usage::new();
        for window in windows {
            let found = plan.price(&window.price).zip(scenario.meters.get(&window.meter));
            let Some((price, meter)) = found else { continue };
            usage.insert(window.price.clone(), self.used(subscription, (price, meter), window)?);
        }
        Ok(usage)
    }

    fn used(
        &self,
        subscription: &str,
        (price, meter): (&Price, &Meter),
        window: &UsageWindow,
    ) -> Result<Vec<Used>, BillingError> {
        // What the scenario reports was checked when it was received, so only amounts can fail.
        let failed = |source: AmountError| BillingError::Price { price: price.key.clone(), source };
        let mut accumulator = Accumulator::new(meter, price.selection(), window.window);
        let from = window.window.reaches_back_to(meter);
        for event in self.within(subscription, meter.key(), from..window.window.to) {
            if !window.is_paused(event.at) {
                let view = EventView { id: "", at: event.at, properties: event.properties };
                accumulator.add(view).map_err(|_| failed(AmountError::Overflow))?;
            }
        }
        let measured = accumulator.finish().map_err(failed)?;
        Ok(measured.into_iter().map(|one| Used::measured(price, one)).collect())
    }

    /// What counts of a series in a half-open range of instants, by time.
    fn within(&self, subscription: &str, meter: &str, instants: Range<Timestamp>) -> &[Event<'a>] {
        let Some(events) = self.series.get(subscription).and_then(|series| series.get(meter)) else { return &[] };
        let first = events.partition_point(|event| event.at < instants.start);
        let end = events.partition_point(|event| event.at < instants.end);
        events.get(first..end).unwrap_or_default()
    }
}
