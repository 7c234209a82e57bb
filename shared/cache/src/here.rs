//! What this process keeps.

use std::{collections::HashMap, sync::Arc, time::Instant};

use crate::Key;

/// Most entries: objects of a few hundred bytes, some megabytes together.
const MAX_ENTRIES: usize = 10_000;

/// A revision, and its value; none where only the revision is known, because it was announced.
pub(crate) type Revision = (i64, Option<Arc<str>>);

#[derive(Default)]
pub(crate) struct Here(HashMap<String, (Revision, Instant)>);

impl Here {
    pub(crate) fn get(&self, key: Key<'_>, now: Instant) -> Option<Arc<str>> {
        let ((_, value), ends) = self.0.get(&name(key))?;
        value.clone().filter(|_| now < *ends)
    }

    /// Keeps an entry unless a later revision is known; one that is announced does not take the value of the same revision
    /// away.
    pub(crate) fn keep(&mut self, key: Key<'_>, (revision, value): Revision, ends: Instant) {
        let name = name(key);
        let now = Instant::now();
        let known = self.0.get(&name).filter(|(_, ends)| now < *ends).map(|((revision, _), _)| *revision);
        if known.is_some_and(|known| known > revision || (known == revision && value.is_none())) {
            return;
        }
        self.make_room(now);
        self.0.insert(name, ((revision, value), ends));
    }

    /// Forgets everything: what was announced meanwhile was not heard.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn make_room(&mut self, now: Instant) {
        if self.0.len() >= MAX_ENTRIES {
            self.0.retain(|_, (_, ends)| now < *ends);
        }
        // All of them fresh: reading some again is cheaper than an order of age.
        if self.0.len() >= MAX_ENTRIES {
            self.0.clear();
        }
    }
}

fn name(Key { tenant, id }: Key<'_>) -> String {
    format!("{tenant}:{id}")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Here, MAX_ENTRIES};
    use crate::Key;

    const KEY: Key<'_> = Key { tenant: "ten_1", id: "pln_1" };

    #[test]
    fn an_older_revision_never_comes_back() {
        let (mut here, now) = (Here::default(), Instant::now());
        let ends = now + Duration::from_secs(60);
        here.keep(KEY, (1, Some("one".into())), ends);
        assert_eq!(here.get(KEY, now).as_deref(), Some("one"));
        assert_eq!(here.get(KEY, ends), None, "its life is over");
        here.keep(KEY, (2, None), ends);
        assert_eq!(here.get(KEY, now), None);
        here.keep(KEY, (1, Some("one".into())), ends);
        assert_eq!(here.get(KEY, now), None, "loaded before the change, kept after it");
        here.keep(KEY, (2, Some("two".into())), ends);
        here.keep(KEY, (2, None), ends);
        assert_eq!(here.get(KEY, now).as_deref(), Some("two"), "announced late");
        assert_eq!(here.get(Key { tenant: "ten_2", ..KEY }, now), None);
    }

    #[test]
    fn only_so_much_is_kept() {
        let mut here = Here::default();
        let ends = Instant::now() + Duration::from_secs(60);
        for number in 0..MAX_ENTRIES + 5 {
            here.keep(Key { tenant: "ten_1", id: &number.to_string() }, (1, Some("x".into())), ends);
        }
        assert!(here.0.len() <= MAX_ENTRIES);
    }
}
