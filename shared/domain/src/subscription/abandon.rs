//! The end of a subscription that bills nothing more.

use jiff::Timestamp;

use super::{Moment, Subscription, SubscriptionStatus};
use crate::ForbiddenTransition;

impl Subscription {
    /// Ends it now, without another invoice: what has not been billed is given up, and nothing is credited.
    ///
    /// # Errors
    /// [`ForbiddenTransition`] when it is over already.
    pub fn abandon(&mut self, at: Timestamp) -> Result<(), ForbiddenTransition> {
        self.transition_to(SubscriptionStatus::Cancelled)?;
        let at = at.max(self.start.at);
        let end = Moment { date: self.date_of(at), at };
        self.end = Some(self.end.filter(|known| known.at < end.at).unwrap_or(end));
        self.period.end = self.period.end.min(end.date).max(self.period.start);
        self.next_boundary = None;
        self.scheduled = None;
        self.accounts.clear();
        self.pauses.clear();
        self.credits.clear();
        Ok(())
    }
}
