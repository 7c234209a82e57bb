//! What every stored document has in common.

use serde::{Serialize, de::DeserializeOwned};

/// A document of a collection, with a string `_id`.
pub trait Record: Serialize + DeserializeOwned + Unpin + Send + Sync + 'static {
    /// The collection's name.
    const COLLECTION: &'static str;

    /// The document's `_id`.
    fn id(&self) -> &str;
}

/// A mutable document: every change is a compare-and-set on `revision`, which begins at 1 and grows by one a change.
pub trait Revised: Record {
    /// The revision that was loaded, or 1 for a new document.
    fn revision(&self) -> i64;
    /// Sets the revision that the commit will write.
    fn set_revision(&mut self, revision: i64);
}

/// Implements [`Record`] for a struct with a field `id`, and [`Revised`] when it also has `revision`.
macro_rules! record {
    ($type:ty, $collection:literal) => {
        impl $crate::Record for $type {
            const COLLECTION: &'static str = $collection;
            fn id(&self) -> &str {
                &self.id
            }
        }
    };
    ($type:ty, $collection:literal, revised) => {
        $crate::record::record!($type, $collection);
        impl $crate::Revised for $type {
            fn revision(&self) -> i64 {
                self.revision
            }
            fn set_revision(&mut self, revision: i64) {
                self.revision = revision;
            }
        }
    };
}
pub(crate) use record;
