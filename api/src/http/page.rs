//! Lists: which part a client wants, and the envelope that it gets.
//!
//! Owns the parameters and the envelope of every list. The rows and their order are the store's.

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::problem::FieldError;

/// Rows of a page when the client does not say.
pub const DEFAULT_LIMIT: u32 = 20;

/// Most rows of a page: keeps the answer small and the query short.
pub const MAX_LIMIT: u32 = 100;

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

/// The part of a list that a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    limit: u32,
    cursor: Cursor,
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

    /// Whether a query parameter of this name belongs to the page and not to the filters.
    pub(super) fn names(parameter: &str) -> bool {
        matches!(parameter, "limit" | "starting_after" | "ending_before")
    }

    /// Reads the page from its parameters, each of which occurs once at most.
    pub(super) fn of_parameters(pairs: &[(String, String)]) -> Result<Self, FieldError> {
        let mut page = Self { limit: DEFAULT_LIMIT, cursor: Cursor::Newest };
        for (name, value) in pairs {
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
