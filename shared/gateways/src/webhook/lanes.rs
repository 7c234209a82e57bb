//! How many attempts an endpoint may have under way in this process: so few that one which does not answer leaves the others
//! their room.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Attempts of one endpoint at once.
const WIDTH: usize = 4;

/// The attempts that are under way, by endpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes(Arc<Mutex<HashMap<String, usize>>>);

/// Room for one attempt; given back when dropped.
#[derive(Debug)]
#[must_use = "the room is given back at once"]
pub struct Lane {
    lanes: Lanes,
    endpoint: String,
}

impl Lanes {
    /// Room for an attempt, unless the endpoint has all that it may have.
    pub(super) fn enter(&self, endpoint: &str) -> Option<Lane> {
        let mut under_way = self.lock();
        let count = under_way.entry(endpoint.to_owned()).or_default();
        if *count == WIDTH {
            return None;
        }
        *count += 1;
        Some(Lane { lanes: self.clone(), endpoint: endpoint.to_owned() })
    }

    /// The counts are whole at every moment, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut under_way = self.lanes.lock();
        if let Some(count) = under_way.get_mut(&self.endpoint) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.endpoint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_endpoint_leaves_the_others_their_room() {
        let lanes = Lanes::default();
        let mut slow: Vec<Lane> = (0..WIDTH).filter_map(|_| lanes.enter("slow")).collect();
        assert_eq!((slow.len(), lanes.enter("slow").is_none()), (WIDTH, true));
        assert!(lanes.enter("quick").is_some());
        slow.pop();
        assert!(lanes.enter("slow").is_some());
        slow.clear();
        assert!(lanes.lock().is_empty(), "nothing is remembered of who has nothing under way");
    }
}
