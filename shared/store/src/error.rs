//! Store errors, classified once: what a caller may do about each is in its name.

use mongodb::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, WriteFailure};

/// The server's code for a unique index violation.
pub(crate) const DUPLICATE_KEY: i32 = 11000;
/// The server's codes for a transaction that it has given up: another one wrote the same document first, or the server does
/// not know it any more. In a bulk write they come without the driver's label.
const ABORTED: [i32; 2] = [112, 251];

/// Why a read or a commit failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else changed a document between load and commit: load and decide again, at once.
    #[error("a concurrent change came first ({0})")]
    Conflict(String),
    /// A document with this unique key exists already: the work was done before, or the name is taken.
    #[error("exists already ({0})")]
    Duplicate(String),
    /// The database cannot be reached or did not answer: retry later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// A stored document or a reply cannot be understood: retrying does not help.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// Whether loading and deciding again may succeed at once.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        let aborted =
            error.contains_label(TRANSIENT_TRANSACTION_ERROR) || any_code(&error, |code| ABORTED.contains(&code));
        if aborted && !is_network(&error) {
            return Self::Conflict(text);
        }
        if any_code(&error, |code| code == DUPLICATE_KEY) {
            return Self::Duplicate(text);
        }
        match *error.kind {
            ErrorKind::Bson(_) | ErrorKind::InvalidArgument { .. } | ErrorKind::InvalidResponse { .. } => {
                Self::Corrupt(text)
            }
            _ => Self::Unavailable(text),
        }
    }
}

impl From<bson::error::Error> for StoreError {
    fn from(error: bson::error::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}

fn is_network(error: &Error) -> bool {
    matches!(
        *error.kind,
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } | ErrorKind::ServerSelection { .. }
    )
}

/// Whether the server answered with such a code, for the command or for one of its writes.
fn any_code(error: &Error, is: impl Fn(i32) -> bool) -> bool {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(write)) => is(write.code),
        ErrorKind::InsertMany(many) => many.write_errors.iter().flatten().any(|write| is(write.code)),
        ErrorKind::BulkWrite(bulk) => bulk.write_errors.values().any(|write| is(write.code)),
        ErrorKind::Command(command) => is(command.code),
        _ => false,
    }
}
