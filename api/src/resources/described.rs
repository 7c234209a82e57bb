//! Bodies that the domain reads, with what only the API knows of beside their fields: the client's metadata.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::fields::{self, Metadata, MetadataPatch};
use crate::http::{json::decode_part, problem::Problem};

/// A body as it came.
pub(super) type Fields = Map<String, Value>;

/// A body of the domain's, and the metadata beside it.
#[derive(Debug)]
pub(super) struct Described<T, M = Metadata> {
    pub spec: T,
    pub metadata: M,
}

impl<T: DeserializeOwned> Described<T> {
    /// Reads a body that creates something.
    ///
    /// # Errors
    /// 400 where it does not fit; 422 for metadata out of bounds.
    pub(super) fn parse(body: Fields) -> Result<Self, Problem> {
        let Described { spec, metadata } = split::<T, Metadata>(body)?;
        Ok(Self { spec, metadata: fields::metadata(metadata)? })
    }
}

impl<T: DeserializeOwned> Described<T, MetadataPatch> {
    /// Reads a body that changes something.
    ///
    /// # Errors
    /// 400 where it does not fit; 422 for metadata out of bounds.
    pub(super) fn parse_patch(body: Fields) -> Result<Self, Problem> {
        let Described { spec, metadata } = split::<T, MetadataPatch>(body)?;
        Ok(Self { spec, metadata: fields::metadata_patch(metadata)? })
    }
}

fn split<T: DeserializeOwned, M: DeserializeOwned>(mut body: Fields) -> Result<Described<T, M>, Problem> {
    let metadata = body.remove("metadata").unwrap_or_else(|| json!({}));
    Ok(Described { spec: read("", Value::Object(body))?, metadata: read("/metadata", metadata)? })
}

/// Reads the part of a body at a pointer.
fn read<T: DeserializeOwned>(parent: &str, part: Value) -> Result<T, Problem> {
    decode_part(part).map_err(|errors| {
        let problem = Problem::malformed("invalid_body", "the body does not fit this route");
        errors.into_iter().fold(problem, |problem, mut error| {
            error.pointer.insert_str(0, parent);
            problem.with_error(error)
        })
    })
}
