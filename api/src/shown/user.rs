//! A user as clients see it: never the password's hash.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Somebody who signs in.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    #[schema(example = "usr_0198f3")]
    id: String,
    /// Always `user`.
    #[schema(value_type = String, example = "user")]
    object: &'static str,
    created: Timestamp,
    /// Whether the user's tenant bills real money.
    livemode: bool,
    name: String,
    email: String,
    /// Whether the address was proved.
    email_verified: bool,
    /// What the user is in its tenant.
    #[schema(example = "owner")]
    role: String,
    /// The customer that a user of the role `customer` signs in for.
    customer: Option<String>,
    /// Whether it may not sign in.
    disabled: bool,
}

impl User {
    /// A user of a tenant in live or in test mode.
    #[must_use]
    pub fn of(user: store::User, livemode: bool) -> Self {
        Self {
            id: user.id,
            object: "user",
            created: user.created,
            livemode,
            name: user.name,
            email: user.email,
            email_verified: user.email_verified_at.is_some(),
            role: user.role,
            customer: user.customer,
            disabled: user.disabled_at.is_some(),
        }
    }
}
