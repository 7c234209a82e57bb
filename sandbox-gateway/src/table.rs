//! Rows of one kind in the order in which they were made, found by id and by what they belong to.
//!
//! **Invariant:** rows are appended in the order of `created` and replaced in place: lists stop looking at the first one
//! that is too old, and a page never skips or repeats.

use std::collections::HashMap;

use crate::objects::{Customer, Dispute, Event, PaymentIntent, PaymentMethod, Refund};

/// What every kind of row has.
pub(crate) trait Row: Clone {
    fn id(&self) -> &str;
    /// Seconds since the epoch.
    fn created(&self) -> i64;
    /// The id of what it belongs to, by which lists are narrowed.
    fn parent(&self) -> Option<&str>;
}

macro_rules! row {
    ($type:ty, $parent:expr) => {
        impl Row for $type {
            fn id(&self) -> &str {
                &self.id
            }
            fn created(&self) -> i64 {
                self.created
            }
            fn parent(&self) -> Option<&str> {
                let parent: fn(&$type) -> Option<&str> = $parent;
                parent(self)
            }
        }
    };
}

row!(Customer, |_| None);
row!(PaymentMethod, |row| Some(&row.customer));
row!(PaymentIntent, |row| Some(&row.customer));
row!(Refund, |row| Some(&row.payment_intent));
row!(Dispute, |row| Some(&row.payment_intent));
row!(Event, |_| None);

/// The rows and the ways to find them.
#[derive(Debug)]
pub(crate) struct Table<R> {
    rows: Vec<R>,
    by_id: HashMap<String, usize>,
    by_parent: HashMap<String, Vec<usize>>,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self { rows: Vec::new(), by_id: HashMap::new(), by_parent: HashMap::new() }
    }
}

/// One page of a list, and whether it goes on.
#[derive(Debug)]
pub(crate) struct Page<R> {
    pub(crate) data: Vec<R>,
    pub(crate) has_more: bool,
}

/// Which rows a list shows.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) parent: Option<String>,
    /// Earliest `created`, in seconds since the epoch.
    pub(crate) created_gte: Option<i64>,
    /// Latest `created`.
    pub(crate) created_lte: Option<i64>,
    /// The id the page goes on after.
    pub(crate) starting_after: Option<String>,
    pub(crate) limit: usize,
}

impl<R: Row> Table<R> {
    /// Enters a row, or replaces the one of its id; gives the place and the row that was there.
    pub(crate) fn put(&mut self, row: R) -> (usize, Option<R>) {
        if let Some(&at) = self.by_id.get(row.id()) {
            return (at, Some(std::mem::replace(&mut self.rows[at], row)));
        }
        let at = self.rows.len();
        self.by_id.insert(row.id().to_owned(), at);
        if let Some(parent) = row.parent() {
            self.by_parent.entry(parent.to_owned()).or_default().push(at);
        }
        self.rows.push(row);
        (at, None)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&R> {
        self.place(id).map(|at| &self.rows[at])
    }

    pub(crate) fn place(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The newest `created`.
    pub(crate) fn latest(&self) -> Option<i64> {
        self.rows.last().map(Row::created)
    }

    /// Everything that belongs to something, oldest first.
    pub(crate) fn of<'a>(&'a self, parent: &str) -> impl Iterator<Item = &'a R> {
        self.by_parent.get(parent).into_iter().flatten().map(|&at| &self.rows[at])
    }

    /// Lists rows newest first. `Err` carries a `starting_after` that does not exist.
    pub(crate) fn newest_first(&self, selection: &Selection) -> Result<Page<R>, String> {
        let end = match &selection.starting_after {
            None => self.rows.len(),
            Some(id) => self.place(id).ok_or_else(|| id.clone())?,
        };
        let earliest = selection.created_gte.unwrap_or(i64::MIN);
        let latest = selection.created_lte.unwrap_or(i64::MAX);
        let recent = |at: &usize| self.rows[*at].created() >= earliest;
        let early = |at: &usize| self.rows[*at].created() <= latest;
        let wanted = selection.limit + 1;
        let found: Vec<usize> = match &selection.parent {
            None => (0..end).rev().take_while(recent).filter(early).take(wanted).collect(),
            Some(parent) => {
                let all = self.by_parent.get(parent).map_or(&[][..], Vec::as_slice);
                let before = &all[..all.partition_point(|&at| at < end)];
                before.iter().rev().copied().take_while(recent).filter(early).take(wanted).collect()
            }
        };
        Ok(self.page(found, selection.limit))
    }

    /// A page of at most `limit` of the places found, of which there may be one more.
    pub(crate) fn page(&self, mut found: Vec<usize>, limit: usize) -> Page<R> {
        let has_more = found.len() > limit;
        found.truncate(limit);
        let data = found.into_iter().map(|at| self.rows[at].clone()).collect();
        Page { data, has_more }
    }
}
