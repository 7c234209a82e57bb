//! Who may do what: the one table of actions, scopes and roles.
//!
//! An action is one operation of the API. A handler gets its caller only as [`Allowed`] of its action (or inside a `Reader` or
//! `Writer` of it), and an action exists only as a row of the table: **a route that is missing from the table does not
//! compile**, and what the table does not grant is refused. The OpenAPI document shows each row at its operation, and the
//! sweep tests are generated from the document.
//!
//! **Invariant:** deny by default. A caller needs the action's scope, and a user also one of its roles; an API key has no role
//! and goes by its scopes alone. Which *objects* a caller reaches is [`crate::reach`]'s.

use std::{collections::BTreeSet, marker::PhantomData, ops::Deref};

use axum::{extract::FromRequestParts, http::request::Parts};
use serde_json::json;
use utoipa::openapi::{OpenApi, extensions::ExtensionsBuilder, path::Operation, security::SecurityRequirement};

use crate::{
    auth::{
        caller::{Authenticates, Caller},
        role::{Role, Scopes},
    },
    http::{
        openapi::{BEARER, operations_mut},
        problem::Problem,
    },
};

/// Owns the tenant, or runs it for the owner.
const ADMINS: &[Role] = &[Role::Owner, Role::Admin];
/// Works with money: invoices, balances, runs.
const MONEY: &[Role] = &[Role::Owner, Role::Admin, Role::Finance];
/// Works with customers and what they bought.
const DESK: &[Role] = &[Role::Owner, Role::Admin, Role::Finance, Role::Support];
/// Those and the customers, whose handlers narrow down what they may ask for.
const DESK_AND_CUSTOMERS: &[Role] = &[Role::Owner, Role::Admin, Role::Finance, Role::Support, Role::Customer];
/// Everybody who works for the tenant.
const STAFF: &[Role] = &[Role::Owner, Role::Admin, Role::Finance, Role::Support, Role::Viewer];
/// Those and the tenant's customers, who reach their own objects alone.
const EVERYONE: &[Role] = &[Role::Owner, Role::Admin, Role::Finance, Role::Support, Role::Viewer, Role::Customer];

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Name of the action; in snake case the operation's `operationId`.
    action: &'static str,
    /// The scope that the caller's token or key must have.
    scope: &'static str,
    /// The roles that a user must have one of.
    roles: &'static [Role],
}

/// An action of the table.
pub(crate) trait Action: Send + Sync + 'static {
    /// Its row.
    const RULE: Rule;
}

macro_rules! actions {
    ($($(#[$heading:meta])* $action:ident: $scope:literal, $roles:ident;)*) => {
        $(
            #[derive(Debug)]
            pub(crate) struct $action;

            impl Action for $action {
                const RULE: Rule = Rule { action: stringify!($action), scope: $scope, roles: $roles };
            }
        )*

        const TABLE: &[Rule] = &[$($action::RULE),*];
    };
}

actions! {
    // Accounts
    GetMe: "account:read", EVERYONE;
    Logout: "account:write", EVERYONE;
    InviteUser: "users:write", ADMINS;
    ListUsers: "users:read", ADMINS;
    GetUser: "users:read", ADMINS;
    UpdateUser: "users:write", ADMINS;
    DeleteUser: "users:write", ADMINS;
    CreateApiKey: "api_keys:write", ADMINS;
    ListApiKeys: "api_keys:read", ADMINS;
    GetApiKey: "api_keys:read", ADMINS;
    RollApiKey: "api_keys:write", ADMINS;
    RevokeApiKey: "api_keys:write", ADMINS;

    // Customers
    CreateCustomer: "customers:write", DESK;
    ListCustomers: "customers:read", STAFF;
    GetCustomer: "customers:read", EVERYONE;
    UpdateCustomer: "customers:write", DESK;
    DeleteCustomer: "customers:write", ADMINS;
    AttachPaymentMethod: "customers:write", DESK_AND_CUSTOMERS;
    GetBalance: "customers:read", EVERYONE;
    ListBalanceEntries: "customers:read", EVERYONE;
    AdjustBalance: "balances:write", MONEY;
    CreateWallet: "balances:write", MONEY;
    ListWallets: "customers:read", EVERYONE;
    GetWallet: "customers:read", EVERYONE;

    // Catalogue
    CreateMeter: "meters:write", ADMINS;
    ListMeters: "meters:read", STAFF;
    GetMeter: "meters:read", STAFF;
    CreatePlan: "plans:write", ADMINS;
    ListPlans: "plans:read", EVERYONE;
    GetPlan: "plans:read", EVERYONE;
    UpdatePlan: "plans:write", ADMINS;
    DeprecatePlan: "plans:write", ADMINS;
    CreateCoupon: "coupons:write", ADMINS;
    ListCoupons: "coupons:read", STAFF;
    GetCoupon: "coupons:read", STAFF;
    ArchiveCoupon: "coupons:write", ADMINS;
    CreateTaxRate: "tax_rates:write", ADMINS;
    ListTaxRates: "tax_rates:read", STAFF;
    GetTaxRate: "tax_rates:read", STAFF;
    ArchiveTaxRate: "tax_rates:write", ADMINS;
    CreateSimulation: "plans:read", STAFF;

    // Subscriptions
    CreateSubscription: "subscriptions:write", DESK_AND_CUSTOMERS;
    ListSubscriptions: "subscriptions:read", EVERYONE;
    GetSubscription: "subscriptions:read", EVERYONE;
    GetUpcomingInvoice: "subscriptions:read", EVERYONE;
    GetSubscriptionUsage: "subscriptions:read", EVERYONE;
    UpdateSubscription: "subscriptions:write", DESK;
    ChangeSubscription: "subscriptions:write", DESK_AND_CUSTOMERS;
    PauseSubscription: "subscriptions:write", DESK;
    ResumeSubscription: "subscriptions:write", DESK;
    CancelSubscription: "subscriptions:write", DESK_AND_CUSTOMERS;
    ApplyCoupon: "subscriptions:write", DESK;

    // Usage
    ReportUsage: "usage:write", ADMINS;

    // Invoices and payments
    CreateInvoice: "invoices:write", MONEY;
    PreviewInvoice: "invoices:read", STAFF;
    ListInvoices: "invoices:read", EVERYONE;
    GetInvoice: "invoices:read", EVERYONE;
    ExplainInvoice: "invoices:read", EVERYONE;
    FinalizeInvoice: "invoices:write", MONEY;
    VoidInvoice: "invoices:write", MONEY;
    MarkInvoiceUncollectible: "invoices:write", MONEY;
    PayInvoice: "payments:write", MONEY;
    SendInvoice: "invoices:write", DESK;
    CreateCreditNote: "invoices:write", MONEY;
    ListCreditNotes: "invoices:read", EVERYONE;
    GetCreditNote: "invoices:read", EVERYONE;
    ListPayments: "payments:read", EVERYONE;
    GetPayment: "payments:read", EVERYONE;
    CreateRefund: "payments:write", MONEY;
    ListRefunds: "payments:read", EVERYONE;
    GetRefund: "payments:read", EVERYONE;

    // Webhooks
    CreateWebhookEndpoint: "webhooks:write", ADMINS;
    ListWebhookEndpoints: "webhooks:read", STAFF;
    GetWebhookEndpoint: "webhooks:read", STAFF;
    UpdateWebhookEndpoint: "webhooks:write", ADMINS;
    DeleteWebhookEndpoint: "webhooks:write", ADMINS;
    RotateWebhookSecret: "webhooks:write", ADMINS;
    TestWebhookEndpoint: "webhooks:write", ADMINS;
    ListWebhookDeliveries: "webhooks:read", STAFF;
    GetWebhookDelivery: "webhooks:read", STAFF;
    ReplayWebhookDelivery: "webhooks:write", ADMINS;
    ReplayWebhookDeliveries: "webhooks:write", ADMINS;

    // Billing runs
    CreateBillingRun: "billing_runs:write", MONEY;
    ListBillingRuns: "billing_runs:read", STAFF;
    GetBillingRun: "billing_runs:read", STAFF;
    ListBillingRunItems: "billing_runs:read", STAFF;
    PauseBillingRun: "billing_runs:write", MONEY;
    ResumeBillingRun: "billing_runs:write", MONEY;
    CancelBillingRun: "billing_runs:write", MONEY;
    RetryFailedOfBillingRun: "billing_runs:write", MONEY;

    // Operations
    CreateTestClock: "test_clocks:write", ADMINS;
    ListTestClocks: "test_clocks:read", STAFF;
    GetTestClock: "test_clocks:read", STAFF;
    AdvanceTestClock: "test_clocks:write", ADMINS;
    ListQueues: "operations:read", ADMINS;
    GetQueue: "operations:read", ADMINS;
    PauseQueue: "operations:write", ADMINS;
    ResumeQueue: "operations:write", ADMINS;
    LimitQueue: "operations:write", ADMINS;
    ListSchedules: "operations:read", ADMINS;
    RunSchedule: "operations:write", ADMINS;
    PauseSchedule: "operations:write", ADMINS;
    ResumeSchedule: "operations:write", ADMINS;
    GetJob: "operations:read", ADMINS;
    ListDeadLetters: "operations:read", ADMINS;
    GroupDeadLetters: "operations:read", ADMINS;
    GetDeadLetter: "operations:read", ADMINS;
    EditDeadLetter: "operations:write", ADMINS;
    RetryDeadLetter: "operations:write", ADMINS;
    DiscardDeadLetter: "operations:write", ADMINS;
    RetryDeadLetters: "operations:write", ADMINS;
    DiscardDeadLetters: "operations:write", ADMINS;
    ListOperations: "operations:read", ADMINS;
    GetTenant: "tenant:read", STAFF;
    UpdateTenant: "tenant:write", ADMINS;
    ListEvents: "events:read", STAFF;
    GetEvent: "events:read", STAFF;
    ListAuditEntries: "audit:read", ADMINS;
    VerifyAuditEntries: "audit:read", ADMINS;
    GetAuditEntry: "audit:read", ADMINS;
    GetOperation: "operations:read", ADMINS;
}

/// The scopes of a role's tokens: those of all its actions.
#[must_use]
pub fn scopes_of(role: Role) -> Scopes {
    TABLE.iter().filter(|rule| rule.roles.contains(&role)).map(|rule| rule.scope).collect()
}

/// Whether an API key may have this scope: all but those by which a key that leaked would make itself at home.
pub(crate) fn is_for_programs(scope: &str) -> bool {
    let about_accounts = ["account:", "users:", "api_keys:"].iter().any(|accounts| scope.starts_with(accounts));
    !about_accounts && TABLE.iter().any(|rule| rule.scope == scope)
}

/// The caller of a request, who may do `A`. Rejections: 401; 403 `missing_scope`, `role_not_allowed`; 503 when it cannot be
/// told who calls.
#[derive(Debug)]
pub(crate) struct Allowed<A> {
    caller: Caller,
    action: PhantomData<fn() -> A>,
}

impl<A> Deref for Allowed<A> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<A: Action> Allowed<A> {
    /// Refuses a caller that may not do `A`.
    fn decide(caller: Caller) -> Result<Self, Problem> {
        let Rule { scope, roles, .. } = A::RULE;
        if !caller.scopes.contains(scope) {
            return Err(Problem::forbidden("missing_scope", format!("the scope {scope} is required")));
        }
        if caller.role.is_some_and(|role| !roles.contains(&role)) {
            let detail = format!("this takes one of the roles {}", names(roles).join(", "));
            return Err(Problem::forbidden("role_not_allowed", detail));
        }
        Ok(Self { caller, action: PhantomData })
    }
}

impl<A: Action, S: Authenticates> FromRequestParts<S> for Allowed<A> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Self::decide(Caller::of_request(&parts.extensions, &parts.headers, state).await?)
    }
}

fn names(roles: &[Role]) -> Vec<&'static str> {
    roles.iter().map(|role| role.as_str()).collect()
}

/// `CreateCustomer` is the operation `create_customer`.
fn operation_id(action: &str) -> String {
    let mut id = String::with_capacity(action.len() + 4);
    for letter in action.chars() {
        if letter.is_ascii_uppercase() && !id.is_empty() {
            id.push('_');
        }
        id.push(letter.to_ascii_lowercase());
    }
    id
}

/// Shows at every operation of the table which scope it takes and whose it is: as its security requirement, as `x-roles`,
/// and in words.
pub(crate) fn annotate(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations_mut(item) {
            let id = operation.operation_id.as_deref();
            if let Some(rule) = TABLE.iter().find(|rule| Some(&*operation_id(rule.action)) == id) {
                show(rule, operation);
            }
        }
    }
}

fn show(rule: &Rule, operation: &mut Operation) {
    let roles = names(rule.roles);
    let words = format!("Scope `{}`; roles {}.", rule.scope, roles.join(", "));
    let described = operation.description.take().filter(|text| !text.is_empty());
    operation.description = Some(described.map_or(words.clone(), |text| format!("{text}\n\n{words}")));
    operation.security = Some(vec![SecurityRequirement::new(BEARER, [rule.scope])]);
    operation.extensions = Some(ExtensionsBuilder::new().add("x-roles", json!(roles)).build());
}

/// What table and document disagree about, one line each.
#[must_use]
pub fn gaps(document: &OpenApi) -> Vec<String> {
    let mut rows: BTreeSet<String> = TABLE.iter().map(|rule| operation_id(rule.action)).collect();
    let mut gaps = Vec::new();
    let mut document = document.clone();
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations_mut(item) {
            let id = operation.operation_id.clone().unwrap_or_default();
            let public = operation.security.iter().flatten().any(|need| *need == SecurityRequirement::default());
            if rows.remove(&id) == public {
                gaps.push(format!("{id}: must be either in the table or open to everybody"));
            }
        }
    }
    gaps.extend(rows.into_iter().map(|id| format!("{id}: no such operation")));
    gaps
}

#[cfg(test)]
mod tests {
    use super::{Allowed, CreateCustomer, GetCustomer, TABLE, scopes_of};
    use crate::auth::{
        caller::{Caller, Reach},
        role::Role,
    };

    fn caller(role: Option<Role>, scopes: &str) -> Caller {
        Caller {
            tenant: "ten_1".to_owned(),
            id: "usr_1".to_owned(),
            role,
            session: None,
            scopes: scopes.parse().expect("scopes"),
            reach: Reach::Tenant,
        }
    }

    #[test]
    fn a_caller_needs_the_scope_and_a_user_also_the_role() {
        let decide = |role, scopes| Allowed::<CreateCustomer>::decide(caller(role, scopes)).map(|_| ());
        assert!(decide(Some(Role::Support), "customers:read customers:write").is_ok());
        assert!(decide(None, "customers:write").is_ok());
        let code = |role, scopes| decide(role, scopes).expect_err("refused").code().to_owned();
        assert_eq!(code(Some(Role::Owner), "customers:read"), "missing_scope");
        assert_eq!(code(None, "customers:read"), "missing_scope");
        // A token from before the user's role was changed.
        assert_eq!(code(Some(Role::Viewer), "customers:write"), "role_not_allowed");
        assert!(Allowed::<GetCustomer>::decide(caller(Some(Role::Viewer), "customers:read")).is_ok());
    }

    #[test]
    fn an_owner_may_do_everything_and_a_viewer_only_look() {
        assert!(TABLE.iter().all(|rule| scopes_of(Role::Owner).contains(rule.scope)));
        assert!(TABLE.iter().all(|rule| rule.roles.contains(&Role::Owner)));
        let looking = scopes_of(Role::Viewer).to_string();
        assert!(looking.split(' ').all(|scope| scope.ends_with(":read") || scope == "account:write"), "{looking}");
        assert_eq!(
            scopes_of(Role::Customer).to_string(),
            "account:read account:write customers:read customers:write invoices:read payments:read plans:read subscriptions:read \
             subscriptions:write"
        );
    }

    #[test]
    fn a_scope_is_a_resource_and_a_way() {
        let fits = |scope: &str| scope.split_once(':').is_some_and(|(_, way)| way == "read" || way == "write");
        assert!(TABLE.iter().all(|rule| fits(rule.scope)));
    }
}
