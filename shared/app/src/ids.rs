//! Random ids and secrets, made here and nowhere else.

use uuid::Uuid;

/// Makes ids that begin with a type prefix and sort by the time they were made.
#[derive(Clone, Copy, Debug)]
pub struct IdSource;

impl IdSource {
    /// Bytes that nobody can guess, from the operating system.
    ///
    /// # Errors
    /// When the system has none.
    pub fn secret<const BYTES: usize>(self) -> Result<[u8; BYTES], getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A new id, for example `cus_0198f3...` for the prefix `cus`.
    #[must_use]
    pub fn new_id(self, prefix: &str) -> String {
        format!("{prefix}_{}", Uuid::now_v7().simple())
    }
}
