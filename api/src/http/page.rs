//! Lists: which part a client wants, and the envelope that it gets.
//!
//! Owns the parameters and the envelope of every list. The rows and their order are the store's.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::problem::FieldError;

/// Rows of a page when the client does not say.
pub const DEFAULT_LIMIT: u32 = 20;

/// Most rows of a page: keeps the answer small and the query short.
pub const MAX_LIMIT: u32 = 100;

/// Instants are stored in whole milliseconds.
const NANOS_PER_MILLI: i32 = 1_000_000;

/// The parameters of every list, for the document; requests are read by
/// [`ListQuery`](super::query::ListQuery).
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// Rows wanted.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<u32>,
    /// Id of an object: the rows after (older than) it. Not together with `ending_before`.
    pub starting_after: Option<String>,
    /// Id of an object: the rows before (newer than) it. Not together with `starting_after`.
    pub ending_before: Option<String>,
    /// Only what was created at this instant or later.
    #[param(rename = "created[gte]")]
    pub created_gte: Option<Timestamp>,
    /// Only what was created after this instant.
    #[param(rename = "created[gt]")]
    pub created_gt: Option<Timestamp>,
    /// Only what was created at this instant or earlier.
    #[param(rename = "created[lte]")]
    pub created_lte: Option<Timestamp>,
    /// Only what was created before this instant.
    #[param(rename = "created[lt]")]
    pub created_lt: Option<Timestamp>,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// At the newest row.
    Newest,
    /// After (older than) the object with this id.
    After(String),
    /// Before (newer than) the object with this id.
    Before(String),
}

/// When what is wanted was created: a half-open range of the milliseconds that are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Created {
    /// The first instant in it, if it begins.
    pub from: Option<Timestamp>,
    /// The first instant after it, if it ends.
    pub until: Option<Timestamp>,
}

/// The part of a list that a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    limit: u32,
    cursor: Cursor,
    created: Created,
}

impl Page {
    /// Rows wanted, 1 to [`MAX_LIMIT`].
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Where it begins.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// When its rows were created.
    #[must_use]
    pub fn created(&self) -> Created {
        self.created
    }

    /// Whether a query parameter of this name belongs to the page and not to the filters.
    pub(super) fn names(parameter: &str) -> bool {
        matches!(parameter, "limit" | "starting_after" | "ending_before") || Edge::of(parameter).is_some()
    }

    /// Reads the page from its parameters, each of which occurs once at most.
    pub(super) fn of_parameters(pairs: &[(String, String)]) -> Result<Self, FieldError> {
        let mut page = Self { limit: DEFAULT_LIMIT, cursor: Cursor::Newest, created: Created::default() };
        for (name, value) in pairs {
            if let Some(edge) = Edge::of(name) {
                page.created.cut(edge, instant(name, value)?);
                continue;
            }
            match name.as_str() {
                "limit" => page.limit = limit(value)?,
                _ if value.is_empty() => return Err(invalid(name, "it is the id of an object")),
                _ if page.cursor != Cursor::Newest => {
                    return Err(invalid(name, "starting_after and ending_before exclude each other"));
                }
                "starting_after" => page.cursor = Cursor::After(value.clone()),
                _ => page.cursor = Cursor::Before(value.clone()),
            }
        }
        Ok(page)
    }
}

/// One side of a range of creation times, as its parameter names it.
#[derive(Clone, Copy)]
enum Edge {
    AtOrAfter,
    After,
    AtOrBefore,
    Before,
}

impl Edge {
    fn of(parameter: &str) -> Option<Self> {
        match parameter {
            "created[gte]" => Some(Self::AtOrAfter),
            "created[gt]" => Some(Self::After),
            "created[lte]" => Some(Self::AtOrBefore),
            "created[lt]" => Some(Self::Before),
            _ => None,
        }
    }
}

impl Created {
    fn cut(&mut self, edge: Edge, at: Timestamp) {
        match edge {
            Edge::AtOrAfter => self.from = self.from.max(Some(not_before(at))),
            Edge::After => self.from = self.from.max(Some(after(at))),
            Edge::AtOrBefore => self.end(after(at)),
            Edge::Before => self.end(not_before(at)),
        }
    }

    fn end(&mut self, until: Timestamp) {
        self.until = Some(self.until.map_or(until, |earlier| earlier.min(until)));
    }
}

/// The first whole millisecond at or after an instant; the last there is, at the end of time.
fn not_before(at: Timestamp) -> Timestamp {
    let whole = at.subsec_nanosecond().rem_euclid(NANOS_PER_MILLI) == 0;
    if whole { at } else { after(at) }
}

/// The first whole millisecond after an instant; the last there is, at the end of time.
fn after(at: Timestamp) -> Timestamp {
    let millis = at.as_nanosecond().div_euclid(i128::from(NANOS_PER_MILLI)) + 1;
    let at = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    at.unwrap_or(Timestamp::MAX)
}

fn instant(name: &str, value: &str) -> Result<Timestamp, FieldError> {
    value.parse().map_err(|_| invalid(name, "expected an instant such as 2026-08-01T00:00:00Z"))
}

fn limit(value: &str) -> Result<u32, FieldError> {
    value
        .parse()
        .ok()
        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
        .ok_or_else(|| invalid("limit", "expected a number from 1 to 100"))
}

fn invalid(name: &str, detail: &str) -> FieldError {
    FieldError { pointer: name.to_owned(), code: "invalid_value".to_owned(), detail: detail.to_owned() }
}

/// A page of objects, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// Always `list`.
    #[schema(value_type = String, example = "list")]
    object: &'static str,
    /// Path of the list.
    #[schema(example = "/v1/customers")]
    pub url: String,
    /// Whether more rows follow in the direction that was asked for.
    pub has_more: bool,
    /// The rows.
    pub data: Vec<T>,
}

impl<T> List<T> {
    /// A page of the list at the path `url`.
    #[must_use]
    pub fn new(url: &str, has_more: bool, data: Vec<T>) -> Self {
        Self { object: "list", url: url.to_owned(), has_more, data }
    }
}

#[cfg(test)]
mod tests {
    use super::{Created, Page};

    fn created(parameters: &[(&str, &str)]) -> Created {
        let pairs: Vec<_> = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Page::of_parameters(&pairs).expect("a page").created()
    }

    #[test]
    fn creation_times_become_a_half_open_range_of_milliseconds() {
        let shown = |parameters: &[(&str, &str)]| {
            let Created { from, until } = created(parameters);
            [from, until].map(|edge| edge.map_or_else(String::new, |at| at.to_string()))
        };
        assert_eq!(shown(&[]), ["", ""]);
        assert_eq!(
            shown(&[("created[gte]", "2026-08-01T00:00:00.5Z"), ("created[lt]", "2026-08-02T02:00:00+02:00")]),
            ["2026-08-01T00:00:00.5Z", "2026-08-02T00:00:00Z"]
        );
        // Between two milliseconds there is nothing.
        assert_eq!(
            shown(&[("created[gte]", "2026-08-01T00:00:00.0000001Z"), ("created[lt]", "2026-08-02T00:00:00.0000001Z")]),
            ["2026-08-01T00:00:00.001Z", "2026-08-02T00:00:00.001Z"]
        );
        assert_eq!(
            shown(&[("created[gt]", "2026-08-01T00:00:00Z"), ("created[lte]", "2026-08-02T00:00:00Z")]),
            ["2026-08-01T00:00:00.001Z", "2026-08-02T00:00:00.001Z"]
        );
        assert_eq!(
            shown(&[("created[gte]", "1969-12-31T23:59:59.9999Z"), ("created[gt]", "2026-08-01T00:00:00Z")]),
            ["2026-08-01T00:00:00.001Z", ""]
        );
    }
}
