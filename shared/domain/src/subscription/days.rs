//! The days of a subscription: in which zone they begin.
//!
//! A customer may move. The subscription's next boundary still turns by the zone that it had, and its days are the new one's
//! from there on. **Invariant:** what has turned stays where it was, so that windows of instants tile time across a move, and
//! no event counts twice or never; a later day never begins before an earlier one.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{Plan, Subscription, Zone};

/// A zone that it had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FormerZone {
    pub zone: Zone,
    /// The boundary that turned by it last.
    pub until: Date,
}

impl FormerZone {
    fn ends_at(&self) -> Timestamp {
        self.zone.start_of_day(self.until)
    }
}

impl Subscription {
    /// The zone in which its days begin from its last boundary on.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The day that an instant falls in.
    #[must_use]
    pub fn date_of(&self, at: Timestamp) -> Date {
        let last = self.former_zones.last().map_or(Date::MIN, |former| former.until);
        match self.former_zones.iter().find(|former| at < former.ends_at()) {
            Some(former) => former.zone.date_of(at),
            None => self.zone.date_of(at).max(last),
        }
    }

    /// The instant at which a day begins.
    #[must_use]
    pub fn start_of_day(&self, date: Date) -> Timestamp {
        let mut begun = Timestamp::MIN;
        for former in &self.former_zones {
            if date <= former.until {
                return former.zone.start_of_day(date).max(begun);
            }
            begun = begun.max(former.ends_at());
        }
        self.zone.start_of_day(date).max(begun)
    }

    /// Takes on the customer's zone at a boundary.
    pub(crate) fn move_to_zone(&mut self, boundary: Date, zone: &Zone) {
        if self.zone != *zone {
            let zone = std::mem::replace(&mut self.zone, zone.clone());
            self.former_zones.push(FormerZone { zone, until: boundary });
        }
    }

    /// Forgets zones in which no day of a window under way began.
    pub(crate) fn forget_zones(&mut self, day: Date, plan: &Plan) {
        if let Some(first) = self.first_day_under_way(day, plan) {
            self.former_zones.retain(|former| former.until >= first);
        }
    }

    /// The first day of all windows under way on a day.
    pub(crate) fn first_day_under_way(&self, day: Date, plan: &Plan) -> Option<Date> {
        let windows = plan.prices().iter().map(|price| price.every(plan)).chain([plan.every()]);
        windows.map(|every| self.window(every, day).full.start).min()
    }
}
