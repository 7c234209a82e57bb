//! From bytes to JSON to types, with the exact place of whatever does not fit.
//!
//! JSON that says a thing twice, or writes a list where an object belongs (serde would take its elements for the fields, in
//! order), is refused. Serde's words are put into the sentence "{path} {rule}".
//!
//! The rules of a body itself (a plan's, a meter's) arrive as text of a [`domain::SpecError`], which begins with the path inside
//! the body: it is the only error that domain types built from objects have, and the two paths are joined.

use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, error::Category};
use serde_path_to_error::{Path, Segment, Track};

use crate::{
    SimulationError,
    error::{member, push_key},
};

/// Reads JSON.
///
/// # Errors
/// What is no JSON, nests too deep, has a key twice in an object or a list in a list.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, SimulationError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let read = Tree::Alone.deserialize(tracked).and_then(|value| json.end().map(|()| value));
    read.map_err(|error| match error.classify() {
        Category::Data => {
            let message = error.to_string();
            SimulationError::new(path_below("", &track.path()), without_position(&message))
        }
        _ => SimulationError::whole(format!("is not JSON: {error}")),
    })
}

/// Decodes the part of a scenario at `path`.
///
/// # Errors
/// The first misfit, with its path in the scenario.
pub(crate) fn decode<T: DeserializeOwned>(value: &Value, path: &str) -> Result<T, SimulationError> {
    if value.is_array() {
        return Err(SimulationError::new(path, "must be an object"));
    }
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    T::deserialize(tracked).map_err(|error| {
        let inner = track.path();
        let misfit = Misfit { path: path_below(path, &inner), message: error.to_string() };
        misfit.at(found(value, &inner))
    })
}

/// The value at a path, as far as there is one.
fn found<'v>(value: &'v Value, path: &Path) -> Option<&'v Value> {
    let step = |value: &'v Value, segment: &Segment| match segment {
        Segment::Seq { index } => value.get(index),
        Segment::Map { key } => value.get(key),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().try_fold(value, step)
}

fn path_below(base: &str, inner: &Path) -> String {
    let mut path = base.to_owned();
    for segment in inner.iter() {
        match segment {
            Segment::Seq { index } => path.push_str(&format!("[{index}]")),
            Segment::Map { key } => push_key(&mut path, key),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    path
}

fn without_position(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(text, _)| text)
}

/// What serde says, and where.
struct Misfit {
    path: String,
    message: String,
}

impl Misfit {
    /// The error, given the value that it is about, if there is one.
    fn at(self, value: Option<&Value>) -> SimulationError {
        let Self { path, message } = self;
        if let Some(field) = quoted(&message, "missing field ") {
            return SimulationError::new(member(&path, field), "is required");
        }
        if let Some(field) = quoted(&message, "unknown field ") {
            // Where the type was not read at once, the path ends at the object.
            let ends_at_it = path.ends_with(&member("", field));
            return SimulationError::new(if ends_at_it { path } else { member(&path, field) }, UNKNOWN_FIELD);
        }
        if let Some((expected, what)) = expectation(&message) {
            return SimulationError::new(path, format!("must be {}{what}", in_our_words(expected)));
        }
        match message.split_once(' ') {
            Some((inner, rule)) if value.is_some_and(Value::is_object) && is_path(inner) => {
                SimulationError::new(member_path(&path, inner), rule)
            }
            _ => SimulationError::new(path, message),
        }
    }
}

/// The rule that fields which nobody knows violate.
pub(crate) const UNKNOWN_FIELD: &str = "is not a known field";

/// The name in backticks after `start`.
fn quoted<'m>(message: &'m str, start: &str) -> Option<&'m str> {
    message.strip_prefix(start)?.strip_prefix('`')?.split_once('`').map(|(name, _)| name)
}

/// What was expected, and ", not a number" where a number came instead.
fn expectation(message: &str) -> Option<(&str, &'static str)> {
    let (found, expected) = message.rsplit_once(", expected ")?;
    let came = found.strip_prefix("invalid type: ");
    let number = came.is_some_and(|came| came.starts_with("floating point") || came.starts_with("integer"));
    let is_serde = came.is_some() || found.starts_with("invalid value: ") || found.starts_with("unknown variant ");
    is_serde.then_some((expected, if number && expected == "a string" { ", not a number" } else { "" }))
}

fn in_our_words(expected: &str) -> String {
    match expected {
        "string or map" | "variant identifier" => "a string".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a map" => "an object".to_owned(),
        "i64" => "a whole number".to_owned(),
        "u8" => format!("a whole number from 0 to {}", u8::MAX),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" | "u64" | "usize" => "a whole number from 0".to_owned(),
        _ if expected.starts_with("a nonzero ") => "a whole number from 1".to_owned(),
        _ if expected.starts_with("struct ") || expected.starts_with("internally tagged ") => "an object".to_owned(),
        // Of an enum: "`now` or `period_end`", "one of `a`, `b`, `c`".
        _ => expected.to_owned(),
    }
}

/// Whether a word is a path inside a body: `key`, `prices[1].model`.
fn is_path(word: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']');
    word.starts_with(|first: char| first.is_ascii_lowercase())
        && word.bytes().all(sign)
        && !matches!(word, "must" | "is")
}

/// A path inside the body at `parent`.
fn member_path(parent: &str, inner: &str) -> String {
    if parent.is_empty() { inner.to_owned() } else { format!("{parent}.{inner}") }
}

/// Reads a value; knows whether it stands in a list.
#[derive(Clone, Copy)]
enum Tree {
    Alone,
    InList,
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        if matches!(self, Self::InList) {
            return Err(A::Error::custom("must not be a list: a list holds no lists"));
        }
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(Self::InList)? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return members.next_value_seed(Twice);
            }
            object.insert(key, members.next_value_seed(Self::Alone)?);
        }
        Ok(Value::Object(object))
    }
}

/// Stands for a member whose key is there already: an error at its path.
struct Twice;

impl<'de> DeserializeSeed<'de> for Twice {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, _: D) -> Result<Value, D::Error> {
        Err(D::Error::custom("is given twice"))
    }
}
