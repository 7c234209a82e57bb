//! Instants as BSON dates (milliseconds), so that indexes, comparisons and TTL work on them.

use bson::DateTime;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    DateTime::from_jiff(*at).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    DateTime::deserialize(deserializer).map(DateTime::to_jiff)
}

/// The same for an instant that may be absent; use with `default` and `skip_serializing_if`, so that partial indexes on
/// its existence hold.
pub(crate) mod option {
    use super::{DateTime, Deserialize, Deserializer, Serialize, Serializer, Timestamp};

    pub(crate) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        at.map(DateTime::from_jiff).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<DateTime>::deserialize(deserializer)?.map(DateTime::to_jiff))
    }
}
