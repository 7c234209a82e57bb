//! Parts of a change of an object: what is left as it is, what is set and what is taken away; and of which revision.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::BillingError;

/// Entries of an object's metadata: notes of the client's, not a database.
pub const MAX_METADATA_ENTRIES: usize = 50;

/// What becomes of a field that an object may be without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// It stays as it is.
    #[default]
    Keep,
    Set(T),
    /// It is taken away.
    Clear,
}

impl<T> Patch<T> {
    /// The same with another kind of value.
    ///
    /// # Errors
    /// Those of `parse`.
    pub fn try_map<U, E>(self, parse: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Self::Keep => Patch::Keep,
            Self::Set(value) => Patch::Set(parse(value)?),
            Self::Clear => Patch::Clear,
        })
    }

    /// Carries it out.
    pub(crate) fn apply(self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Set(value) => *field = Some(value),
            Self::Clear => *field = None,
        }
    }
}

/// A field that is there is set, or cleared by null; one that is left out takes the default.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

/// Keys whose values are set, or taken away where there is none (RFC 7396).
pub type MetadataPatch = BTreeMap<String, Option<String>>;

/// Changes an object's metadata.
///
/// # Errors
/// `Rule` when it would have more than 50 entries.
pub(crate) fn patch_metadata(
    metadata: &mut BTreeMap<String, String>,
    patch: MetadataPatch,
) -> Result<(), BillingError> {
    for (key, value) in patch {
        match value {
            Some(value) => drop(metadata.insert(key, value)),
            None => drop(metadata.remove(&key)),
        }
    }
    if metadata.len() > MAX_METADATA_ENTRIES {
        let detail = format!("would have more than {MAX_METADATA_ENTRIES} entries");
        return Err(BillingError::rule("too_many_entries", "/metadata", detail));
    }
    Ok(())
}

/// Which object is changed, and at which revisions the client would have it so.
#[derive(Clone, Debug)]
pub struct Target {
    pub id: String,
    /// None for whatever there is.
    pub expected: Option<Vec<i64>>,
}

impl Target {
    /// An object as it is.
    #[must_use]
    pub fn any(id: &str) -> Self {
        Self { id: id.to_owned(), expected: None }
    }

    /// Passes if the object is at a revision that the client expects.
    ///
    /// # Errors
    /// `Stale`.
    pub(crate) fn check(&self, revision: i64) -> Result<(), BillingError> {
        match &self.expected {
            Some(expected) if !expected.contains(&revision) => Err(BillingError::Stale),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_merged_and_null_takes_a_key_away() {
        let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let mut metadata = text(&[("a", "1"), ("b", "2")]);
        let patch = MetadataPatch::from([("a".to_owned(), None), ("c".to_owned(), Some("3".to_owned()))]);
        patch_metadata(&mut metadata, patch).unwrap();
        assert_eq!(metadata, text(&[("b", "2"), ("c", "3")]));
        let many = (0..50).map(|number| (number.to_string(), Some(String::new()))).collect();
        assert!(matches!(patch_metadata(&mut metadata, many), Err(BillingError::Rule { .. })));
    }

    #[test]
    fn a_field_is_kept_set_or_cleared() {
        #[derive(Deserialize)]
        struct Body {
            #[serde(default)]
            field: Patch<u8>,
        }
        let read = |body: &str| serde_json::from_str::<Body>(body).unwrap().field;
        assert_eq!(read("{}"), Patch::Keep);
        assert_eq!(read(r#"{"field":1}"#), Patch::Set(1));
        assert_eq!(read(r#"{"field":null}"#), Patch::Clear);
    }
}
