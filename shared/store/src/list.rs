//! Lists for clients: newest first, by cursor.
//!
//! Objects are ordered by (`created`, `_id`), both immutable, so pages neither skip nor repeat while rows come and go.

use bson::{Bson, Document, doc};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::Deserialize;

use crate::{Record, Store, StoreError, instant};

/// Which part of a list is wanted.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// Rows wanted, 1 to 100.
    pub limit: i64,
    /// Rows after (older than) this id.
    pub starting_after: Option<String>,
    /// Rows before (newer than) this id.
    pub ending_before: Option<String>,
}

/// Rows of a list, newest first.
#[derive(Clone, Debug)]
pub struct Page<R> {
    /// The rows.
    pub data: Vec<R>,
    /// Whether more follow in the direction asked for.
    pub has_more: bool,
}

/// Which rows of a list are wanted: equality on named fields, and when they were created, within what whoever asks may see.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    pub(crate) wanted: Document,
    /// Whoever asks sees no other rows, whatever is wanted, and no cursor among them.
    seen: Document,
}

impl ListFilter {
    /// Only rows whose `field` has this value, if one is given.
    #[must_use]
    pub fn field(mut self, field: &'static str, value: Option<String>) -> Self {
        if let Some(value) = value {
            self.wanted.insert(field, value);
        }
        self
    }

    /// Only rows without this field.
    #[must_use]
    pub fn without(mut self, field: &'static str) -> Self {
        self.wanted.insert(field, doc! { "$exists": false });
        self
    }

    /// Only rows created at or after `from` and before `until`, as far as these are given.
    #[must_use]
    pub fn created(mut self, from: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        let edges = [("$gte", from), ("$lt", until)].into_iter().filter_map(|(edge, at)| Some((edge, at?)));
        let range: Document = edges.map(|(edge, at)| (edge.to_owned(), Bson::from(at))).collect();
        if !range.is_empty() {
            self.wanted.insert("created", range);
        }
        self
    }

    /// As if there were no rows but those whose `field` names this owner.
    #[must_use]
    pub fn owned_by(mut self, field: &'static str, owner: &str) -> Self {
        self.seen.insert(field, owner);
        self
    }
}

#[derive(Deserialize)]
struct Position {
    #[serde(with = "instant")]
    created: Timestamp,
}

impl Store {
    /// A page of a tenant's objects that match `filter`. A cursor that names no object that may be seen gives `None`.
    ///
    /// # Errors
    /// `Unavailable`, or `Corrupt` when a stored document no longer decodes.
    pub async fn list<R: Record>(
        &self,
        tenant: &str,
        filter: ListFilter,
        request: &PageRequest,
    ) -> Result<Option<Page<R>>, StoreError> {
        let ListFilter { wanted: mut filter, seen } = filter;
        filter.insert("tenant", tenant);
        let backwards = request.ending_before.is_some();
        if let Some(cursor) = request.starting_after.as_ref().or(request.ending_before.as_ref()) {
            let Some(position) = self.position::<R>((tenant, &seen), cursor).await? else { return Ok(None) };
            filter.insert("$or", beyond(position, cursor, backwards));
        }
        if !seen.is_empty() {
            filter.insert("$and", [seen]);
        }
        let order = if backwards { 1 } else { -1 };
        let mut data: Vec<R> = self
            .collection::<R>()
            .find(filter)
            .sort(doc! { "created": order, "_id": order })
            .limit(request.limit + 1)
            .await?
            .try_collect()
            .await?;
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let has_more = data.len() > limit;
        data.truncate(limit);
        if backwards {
            data.reverse();
        }
        Ok(Some(Page { data, has_more }))
    }

    async fn position<R: Record>(
        &self,
        (tenant, seen): (&str, &Document),
        id: &str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let filter = doc! { "_id": id, "tenant": tenant, "$and": [seen] };
        let found: Option<Position> =
            self.collection::<R>().clone_with_type().find_one(filter).projection(doc! { "created": 1 }).await?;
        Ok(found.map(|position| position.created))
    }
}

fn beyond(position: Timestamp, id: &str, backwards: bool) -> Bson {
    let operator = if backwards { "$gt" } else { "$lt" };
    Bson::Array(vec![
        Bson::Document(doc! { "created": { operator: position } }),
        Bson::Document(doc! { "created": position, "_id": { operator: id } }),
    ])
}
