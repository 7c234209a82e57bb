//! The fold over a window's events.

use std::collections::{BTreeMap, btree_map::Entry};

use jiff::Timestamp;

use super::{EventView, Group, MeasureError, Measured, MeterWindow, Selection, tally::Tally};
use crate::{AmountError, Exact, Meter};

/// Groups of a window: each has a line, and an invoice is one document.
const MAX_GROUPS: usize = 5_000;

/// Values that are kept of a window, over all groups: the different ones of a `unique_count`, and those of single events if
/// they are wanted. Some 100 bytes each; more is no usage of one customer.
const MAX_KEPT: usize = 1_000_000;

/// Folds the events of a window into what they come to.
#[derive(Clone, Debug)]
pub struct Accumulator<'a> {
    meter: &'a Meter,
    selection: Selection<'a>,
    window: MeterWindow,
    /// The first instant whose events matter.
    from: Timestamp,
    groups: BTreeMap<Option<Group>, Running>,
    /// Values kept so far, over all groups.
    kept: usize,
}

#[derive(Clone, Debug)]
struct Running {
    tally: Tally,
    /// With their times, in the order in which they were added.
    values: Vec<(Timestamp, Exact)>,
}

impl Running {
    fn kept(&self) -> usize {
        self.tally.kept() + self.values.len()
    }
}

impl<'a> Accumulator<'a> {
    /// Nothing yet.
    #[must_use]
    pub fn new(meter: &'a Meter, selection: Selection<'a>, window: MeterWindow) -> Self {
        let mut groups = BTreeMap::new();
        if selection.group_by.is_empty() {
            groups.insert(None, nothing(meter));
        }
        Self { meter, selection, window, from: window.reaches_back_to(meter), groups, kept: 0 }
    }

    /// Whether an event at an instant matters: one in the window, or one whose value is carried into it.
    #[must_use]
    pub fn sees(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.window.to
    }

    /// Adds an event; what does not matter is passed over. They may come in any order, except that those of one instant come
    /// in the order of receipt, and then of ids.
    ///
    /// # Errors
    /// [`MeasureError`] for an event that gives no quantity, or exceeds what can be kept.
    pub fn add(&mut self, event: EventView<'_>) -> Result<(), MeasureError> {
        let passes = self.selection.filters.iter().all(|filter| filter.passes(event.properties));
        if !passes || !self.sees(event.at) || !self.meter.counts(event.properties) {
            return Ok(());
        }
        let failed = |source| MeasureError::Event { event: event.id.to_owned(), source };
        let value = Exact::from(self.meter.quantity(event.properties).map_err(failed)?);
        let too_many = |what, limit| MeasureError::TooMany { event: event.id.to_owned(), what, limit };
        let room_for_groups = self.groups.len() < MAX_GROUPS;
        let running = match self.groups.entry(group(self.selection.group_by, event.properties)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) if room_for_groups => new.insert(nothing(self.meter)),
            Entry::Vacant(_) => return Err(too_many("groups", MAX_GROUPS)),
        };
        let before = running.kept();
        if self.selection.each_event && event.at >= self.window.from {
            running.values.push((event.at, value.clone()));
        }
        running.tally.add(event.at, (value, self.meter.text(event.properties)), &self.window);
        self.kept += running.kept() - before;
        if self.kept > MAX_KEPT { Err(too_many("values", MAX_KEPT)) } else { Ok(()) }
    }

    /// What the events come to: one result, or one for each group in the order of its values.
    ///
    /// # Errors
    /// `Overflow` beyond 64 bits of different values.
    pub fn finish(self) -> Result<Vec<Measured>, AmountError> {
        let window = self.window;
        let measured = |(group, running): (Option<Group>, Running)| {
            let Running { tally, mut values } = running;
            values.sort_by_key(|(at, _)| *at);
            let values = values.into_iter().map(|(_, value)| value).collect();
            Ok(Measured { group, quantity: tally.value(&window)?, values })
        };
        self.groups.into_iter().map(measured).collect()
    }
}

fn nothing(meter: &Meter) -> Running {
    Running { tally: Tally::new(meter.aggregation()), values: Vec::new() }
}

fn group(group_by: &[String], properties: &BTreeMap<String, String>) -> Option<Group> {
    let value = |name: &String| (name.clone(), properties.get(name).cloned().unwrap_or_default());
    (!group_by.is_empty()).then(|| Group(group_by.iter().map(value).collect()))
}
