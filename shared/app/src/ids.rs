//! Random ids, made here and nowhere else.

use uuid::Uuid;

/// Makes ids that begin with a type prefix and sort by the time they were made.
#[derive(Clone, Copy, Debug)]
pub struct IdSource;

impl IdSource {
    /// A new id, for example `cus_0198f3...` for the prefix `cus`.
    #[must_use]
    pub fn new_id(self, prefix: &str) -> String {
        format!("{prefix}_{}", Uuid::now_v7().simple())
    }
}
