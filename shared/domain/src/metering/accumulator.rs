//! The fold over a window's events.

use std::collections::BTreeMap;

use super::{EventView, Group, MeasureError, Measured, MeterWindow, Selection, tally::Tally};
use crate::{AmountError, Exact, Meter};

/// Folds the events of a window into what they come to.
#[derive(Clone, Debug)]
pub struct Accumulator<'a> {
    meter: &'a Meter,
    selection: Selection<'a>,
    window: MeterWindow,
    groups: BTreeMap<Option<Group>, Running>,
}

#[derive(Clone, Debug)]
struct Running {
    tally: Tally,
    values: Vec<Exact>,
}

impl<'a> Accumulator<'a> {
    /// Nothing yet.
    #[must_use]
    pub fn new(meter: &'a Meter, selection: Selection<'a>, window: MeterWindow) -> Self {
        let mut accumulator = Self { meter, selection, window, groups: BTreeMap::new() };
        if selection.group_by.is_empty() {
            let nothing = accumulator.nothing();
            accumulator.groups.insert(None, nothing);
        }
        accumulator
    }

    fn nothing(&self) -> Running {
        Running { tally: Tally::new(self.meter.aggregation(), &self.window), values: Vec::new() }
    }

    /// Whether an event at an instant matters: one in the window, or one whose value is carried into it.
    #[must_use]
    pub fn sees(&self, at: jiff::Timestamp) -> bool {
        let from =
            if self.meter.is_recurring() { self.window.carried_from.min(self.window.from) } else { self.window.from };
        from <= at && at < self.window.to
    }

    /// Adds an event. They come in the order of their own time, ties in the order of receipt and then of ids; what does not
    /// matter is passed over.
    ///
    /// # Errors
    /// [`MeasureError`] for an event that gives no quantity.
    pub fn add(&mut self, event: EventView<'_>) -> Result<(), MeasureError> {
        let passes = self.selection.filters.iter().all(|filter| filter.passes(event.properties));
        if !passes || !self.sees(event.at) || !self.meter.counts(event.properties) {
            return Ok(());
        }
        let failed = |source| MeasureError { event: event.id.to_owned(), source };
        let value = Exact::from(self.meter.quantity(event.properties).map_err(failed)?);
        let text = self.meter.text(event.properties);
        let group = self.group(event.properties);
        let nothing = self.nothing();
        let running = self.groups.entry(group).or_insert(nothing);
        if self.selection.each_event && event.at >= self.window.from {
            running.values.push(value.clone());
        }
        running.tally.add(event.at, value, text);
        Ok(())
    }

    fn group(&self, properties: &BTreeMap<String, String>) -> Option<Group> {
        if self.selection.group_by.is_empty() {
            return None;
        }
        let value = |name: &String| (name.clone(), properties.get(name).cloned().unwrap_or_default());
        Some(Group(self.selection.group_by.iter().map(value).collect()))
    }

    /// What the events come to: one result, or one for each group in the order of its values.
    ///
    /// # Errors
    /// `Overflow` beyond 64 bits of different values.
    pub fn finish(self) -> Result<Vec<Measured>, AmountError> {
        let window = self.window;
        let measured = |(group, running): (Option<Group>, Running)| {
            Ok(Measured { group, quantity: running.tally.value(&window)?, values: running.values })
        };
        self.groups.into_iter().map(measured).collect()
    }
}
