//! Strict decoding: what does not fit a type is named by its place, its rule, and nothing else.
//!
//! Shared by bodies and queries. What serde repeats of a client's value is cut (it may be a secret
//! in the wrong field); the message says what was expected.
//!
//! Fields that a type ignores are refused here for every type. Serde hides what happens inside
//! internally tagged and untagged enums and flattened structs: those must say
//! `#[serde(deny_unknown_fields)]` themselves.

use serde::{Deserialize, Deserializer};
use serde_ignored::Path;
use serde_path_to_error::{Segment, Track};

use super::problem::FieldError;

/// Longest explanation that is passed on, in characters; enough for a list of enum variants.
const MAX_DETAIL_CHARS: usize = 300;

/// Most unknown fields that are reported at once.
const MAX_UNKNOWN: usize = 10;

/// One part of the input that does not fit.
#[derive(Debug)]
pub(super) struct Misfit {
    /// Keys and indexes that lead to it, outermost first.
    pub(super) path: Vec<String>,
    code: &'static str,
    detail: String,
}

impl Misfit {
    fn unknown(path: Vec<String>) -> Self {
        Self { path, code: "unknown_field", detail: "there is no such field".to_owned() }
    }

    /// What went wrong at `path`, from what serde says about it.
    fn from_message(mut path: Vec<String>, message: &str) -> Self {
        let message = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
        if message.starts_with("unknown field") {
            return Self::unknown(path);
        }
        if let Some(field) = message.strip_prefix("missing field ") {
            path.push(field.trim_matches('`').to_owned());
            return Self { path, code: "missing_field", detail: "it is required".to_owned() };
        }
        let expectation = message.rsplit_once(", expected ").map(|(_, what)| what);
        let detail = expectation.map_or(message.to_owned(), |what| format!("expected {what}"));
        let detail = detail.chars().take(MAX_DETAIL_CHARS).collect();
        Self { path, code: "invalid_value", detail }
    }

    /// The misfit as an entry of a problem, at a place in the notation of body or query.
    pub(super) fn at(self, pointer: String) -> FieldError {
        FieldError { pointer, code: self.code.to_owned(), detail: self.detail }
    }
}

/// Decodes a whole value.
///
/// # Errors
/// Every field that the type does not know, up to a limit, and the first that does not fit.
pub(super) fn decode<'de, T, D>(deserializer: D) -> Result<T, Vec<Misfit>>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let mut misfits = Vec::new();
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(deserializer, &mut track);
    let decoded = serde_ignored::deserialize(tracked, |path| {
        if misfits.len() < MAX_UNKNOWN {
            misfits.push(Misfit::unknown(ignored_segments(&path)));
        }
    });
    match decoded {
        Ok(value) if misfits.is_empty() => Ok(value),
        Ok(_) => Err(misfits),
        Err(error) => {
            let path = track.path().iter().filter_map(segment).collect();
            misfits.push(Misfit::from_message(path, &error.to_string()));
            Err(misfits)
        }
    }
}

fn segment(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    }
}

fn ignored_segments(path: &Path<'_>) -> Vec<String> {
    let (parent, segment) = match path {
        Path::Root => return Vec::new(),
        Path::Seq { parent, index } => (parent, Some(index.to_string())),
        Path::Map { parent, key } => (parent, Some(key.clone())),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => (parent, None),
    };
    let mut segments = ignored_segments(parent);
    segments.extend(segment);
    segments
}
