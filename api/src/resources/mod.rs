//! One file per resource: what clients send and see of it, its handlers and its routes.
//!
//! **Invariant:** stored documents never leave: each is shown by a type of its own. **Invariant:** strings become domain
//! types here, before a use case sees them.

mod address;
mod api_keys;
mod audit_entries;
mod balances;
mod billing_runs;
mod coupons;
mod credit_notes;
pub(crate) mod customers;
mod dead_letters;
mod described;
mod events;
pub(crate) mod fields;
mod gateway_webhooks;
mod invoices;
mod jobs;
mod meters;
mod operations;
mod payments;
#[expect(dead_code, reason = "only documents bodies that the domain reads")]
mod plan_body;
mod plans;
mod queues;
mod refunds;
mod schedules;
mod simulations;
mod subscriptions;
mod tax_rates;
mod tenant;
mod test_clocks;
mod usage_events;
mod users;
mod wallets;
mod webhook_deliveries;
mod webhook_endpoints;

use utoipa_axum::router::OpenApiRouter;

use crate::state::GatewayState;

/// The routes of all resources.
pub(crate) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .merge(users::routes())
        .merge(api_keys::routes())
        .merge(customers::routes())
        .merge(balances::routes())
        .merge(wallets::routes())
        .merge(meters::routes())
        .merge(plans::routes())
        .merge(coupons::routes())
        .merge(tax_rates::routes())
        .merge(subscriptions::routes())
        .merge(usage_events::routes())
        .merge(invoices::routes())
        .merge(credit_notes::routes())
        .merge(payments::routes())
        .merge(refunds::routes())
        .merge(gateway_webhooks::routes())
        .merge(billing_runs::routes())
        .merge(test_clocks::routes())
        .merge(simulations::routes())
        .merge(queues::routes())
        .merge(schedules::routes())
        .merge(jobs::routes())
        .merge(dead_letters::routes())
        .merge(operations::routes())
        .merge(webhook_endpoints::routes())
        .merge(webhook_deliveries::routes())
        .merge(tenant::routes())
        .merge(events::routes())
        .merge(audit_entries::routes())
}
