//! What a role may do: the scopes that its tokens carry.
//!
//! **Invariant:** deny by default. A scope that is not in the table is in no token, and every handler asks for one.

use crate::auth::role::{InvalidScopes, Role, Scopes};

/// Every scope, separated by spaces as on the wire.
const EVERYTHING: &str = "billing_runs:read billing_runs:write coupons:read coupons:write customers:read customers:write \
    invoices:read invoices:write meters:read meters:write operations:read operations:write payments:read plans:read plans:write \
    subscriptions:read subscriptions:write test_clocks:read test_clocks:write usage:write";

/// The scopes of a role. Only owners exist so far; whoever else may do what comes with the management of users.
///
/// # Errors
/// Never for the table as it stands.
pub(crate) fn scopes_of(role: Role) -> Result<Scopes, InvalidScopes> {
    match role {
        Role::Owner => EVERYTHING.parse(),
        Role::Admin | Role::Finance | Role::Support | Role::Viewer | Role::Customer => Ok(Scopes::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::{EVERYTHING, scopes_of};
    use crate::auth::role::Role;

    #[test]
    fn an_owner_may_do_everything_and_nobody_else_anything() {
        let owner = scopes_of(Role::Owner).expect("scopes");
        assert_eq!(owner.to_string(), EVERYTHING);
        assert_eq!(scopes_of(Role::Viewer).expect("scopes").to_string(), "");
    }
}
