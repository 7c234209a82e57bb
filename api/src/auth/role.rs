//! Roles and scopes: what a token says its bearer may do.
//!
//! Owns their wire names. Which role may do what is decided where the actions are.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Most scopes of a token; more means that something else was put there.
const MAX_SCOPES: usize = 64;

/// What a user is in its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May do everything, also to the tenant itself.
    Owner,
    /// May do everything but end the tenant.
    Admin,
    /// Money: invoices, payments, runs.
    Finance,
    /// Customers and their subscriptions.
    Support,
    /// Reads.
    Viewer,
    /// A customer of the tenant: its own objects alone.
    Customer,
}

impl Role {
    /// The wire name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Finance => "finance",
            Self::Support => "support",
            Self::Viewer => "viewer",
            Self::Customer => "customer",
        }
    }
}

/// A name that is no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such role")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        let roles = [Self::Owner, Self::Admin, Self::Finance, Self::Support, Self::Viewer, Self::Customer];
        roles.into_iter().find(|role| role.as_str() == name).ok_or(UnknownRole)
    }
}

/// What a token may be used for; on the wire one string, separated by spaces (RFC 6749, 3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scopes(BTreeSet<String>);

/// A text that is no list of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no list of scopes")]
pub struct InvalidScopes;

impl Scopes {
    /// Whether this scope is among them.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }
}

/// The union of some scopes.
impl<'a> FromIterator<&'a str> for Scopes {
    fn from_iter<I: IntoIterator<Item = &'a str>>(scopes: I) -> Self {
        Self(scopes.into_iter().map(str::to_owned).collect())
    }
}

impl FromStr for Scopes {
    type Err = InvalidScopes;

    fn from_str(text: &str) -> Result<Self, InvalidScopes> {
        let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        let scopes: BTreeSet<_> = text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
        let fits = scopes.len() <= MAX_SCOPES && scopes.iter().all(|scope| scope.bytes().all(allowed));
        if fits { Ok(Self(scopes)) } else { Err(InvalidScopes) }
    }
}

impl TryFrom<String> for Scopes {
    type Error = InvalidScopes;

    fn try_from(text: String) -> Result<Self, InvalidScopes> {
        text.parse()
    }
}

impl From<Scopes> for String {
    fn from(scopes: Scopes) -> Self {
        scopes.to_string()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            write!(f, "{}{scope}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidScopes, Role, Scopes};

    #[test]
    fn roles_have_one_wire_name() {
        for role in [Role::Owner, Role::Finance, Role::Customer] {
            let json = serde_json::to_value(role).expect("a role");
            assert_eq!(json, role.as_str());
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
        assert!("Owner".parse::<Role>().is_err());
    }

    #[test]
    fn scopes_are_a_set() {
        let scopes: Scopes = "invoices:read  customers:write invoices:read".parse().expect("scopes");
        assert_eq!(scopes.to_string(), "customers:write invoices:read");
        assert!(scopes.contains("invoices:read") && !scopes.contains("invoices"));
        assert_eq!("a\nb".parse::<Scopes>(), Err(InvalidScopes));
        let many: String = (0..65).map(|n| format!("s{n} ")).collect();
        assert_eq!(many.parse::<Scopes>(), Err(InvalidScopes));
    }
}
