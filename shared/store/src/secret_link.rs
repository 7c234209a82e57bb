//! Links that are secrets themselves.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A link with a one-time token: whoever has it may do what it is for. Stored only until its mail is sent, empty afterwards.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretLink(String);

impl SecretLink {
    /// The address; keep it out of logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretLink {
    fn from(link: String) -> Self {
        Self(link)
    }
}

impl fmt::Debug for SecretLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
