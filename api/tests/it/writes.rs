//! A right body for every route that takes one, for tests that go through all of them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::plan;

/// A route that takes a body.
pub(crate) struct Write {
    pub method: Method,
    /// As the document writes it.
    pub path: &'static str,
    /// One that is right.
    pub body: Value,
    /// A field of it whose type can be wrong; empty if it has none.
    pub field: &'static str,
}

fn post(path: &'static str, body: Value, field: &'static str) -> Write {
    Write { method: Method::POST, path, body, field }
}

fn patch(path: &'static str, body: Value, field: &'static str) -> Write {
    Write { method: Method::PATCH, path, body, field }
}

/// All of them, about this customer.
pub(crate) fn writes(customer: &str) -> Vec<Write> {
    vec![
        post("/v1/users", json!({ "name": "Grace", "email": "grace@acme.example", "role": "viewer" }), "role"),
        patch("/v1/users/{id}", json!({ "name": "Grace", "role": "viewer", "disabled": false }), "disabled"),
        post("/v1/api_keys", json!({ "name": "usage", "scopes": ["usage:write"] }), "scopes"),
        post("/v1/api_keys/{id}/roll", json!({}), ""),
        post("/v1/api_keys/{id}/revoke", json!({}), ""),
        post("/v1/customers", json!({ "name": "Ada", "email": "ada@customers.example" }), "name"),
        post("/v1/meters", json!({ "key": "bytes", "aggregation": "count" }), "aggregation"),
        post(
            "/v1/plans",
            {
                let mut plan = plan();
                plan["key"] = json!("max");
                plan
            },
            "prices",
        ),
        post("/v1/subscriptions", json!({ "customer": customer, "plan": "pro" }), "start_at"),
        post("/v1/coupons", json!({ "key": "ten", "percent_off": "10", "duration": "once" }), "applies_to"),
        post("/v1/coupons/{id}/archive", json!({}), ""),
        post("/v1/tax_rates", json!({ "name": "VAT", "percent": "19" }), "percent"),
        post("/v1/tax_rates/{id}/archive", json!({}), ""),
        patch("/v1/plans/{id}", json!({ "name": "Pro" }), "prices"),
        post("/v1/plans/{id}/deprecate", json!({}), ""),
        patch("/v1/customers/{id}", json!({ "name": "Ada" }), "address"),
        post("/v1/customers/{id}/payment_methods", json!({ "token": "pm_1" }), "token"),
        patch("/v1/subscriptions/{id}", json!({ "metadata": {} }), "metadata"),
        post("/v1/subscriptions/{id}/change", json!({ "plan": "pro" }), "quantities"),
        // These take no field, so this one is unknown.
        post("/v1/subscriptions/{id}/pause", json!({}), "at"),
        post("/v1/subscriptions/{id}/resume", json!({}), "at"),
        post("/v1/subscriptions/{id}/cancel", json!({ "when": "period_end" }), "when"),
        post("/v1/subscriptions/{id}/apply_coupon", json!({ "coupon": "ten" }), "coupon"),
        post("/v1/invoices/preview", json!({ "plan": "pro" }), "quantities"),
        post(
            "/v1/simulations",
            json!({ "customer": { "currency": "usd" }, "until": "2024-01-01T00:00:00Z" }),
            "customer",
        ),
        post("/v1/usage_events", json!({ "events": [] }), "events"),
        post("/v1/billing_runs", json!({}), "as_of"),
        post("/v1/billing_runs/{id}/pause", json!({}), ""),
        post("/v1/billing_runs/{id}/resume", json!({}), ""),
        post("/v1/billing_runs/{id}/cancel", json!({}), ""),
        post("/v1/billing_runs/{id}/retry_failed", json!({}), ""),
        post("/v1/test_clocks", json!({ "now": "2026-08-01T12:00:00Z" }), "now"),
        post("/v1/test_clocks/{id}/advance", json!({ "to": "2026-08-01T12:00:00Z" }), "to"),
        post("/v1/customers/{id}/balance_adjustments", json!({ "amount_minor": 1, "reason": "r" }), "amount_minor"),
        post("/v1/wallets", json!({ "customer": customer, "amount_minor": 1 }), "amount_minor"),
        post("/v1/invoices", json!({ "customer": customer, "lines": [{ "key": "a", "unit_amount": "1" }] }), "lines"),
        post("/v1/invoices/{id}/send", json!({}), ""),
        post("/v1/invoices/{id}/void", json!({}), ""),
        post("/v1/invoices/{id}/mark_uncollectible", json!({}), ""),
        post("/v1/invoices/{id}/finalize", json!({}), ""),
        post("/v1/invoices/{id}/pay", json!({ "amount_minor": 1 }), "amount_minor"),
        post("/v1/refunds", json!({ "payment": "pay_none", "reason": "r" }), "payment"),
        post("/v1/credit_notes", json!({ "invoice": "inv_none", "all": true, "reason": "r" }), "lines"),
        post("/v1/webhook_endpoints", json!({ "url": "https://hooks.acme.example/" }), "events"),
        patch("/v1/webhook_endpoints/{id}", json!({ "enabled": false }), "enabled"),
        post("/v1/webhook_endpoints/{id}/rotate_secret", json!({ "overlap_hours": 1 }), "overlap_hours"),
        post(
            "/v1/webhook_deliveries/replay",
            json!({ "endpoint": "whe_none", "created": { "gte": "2026-08-01T12:00:00Z", "lt": "2026-08-02T12:00:00Z" }, "reason": "r" }),
            "created",
        ),
        patch("/v1/tenant", json!({ "name": "Acme" }), "name"),
        post("/v1/queues/{name}/pause", json!({ "reason": "r" }), "reason"),
        post("/v1/queues/{name}/resume", json!({ "job": "charge" }), "job"),
        post("/v1/queues/{name}/limits", json!({ "key": "smtp", "concurrency": 1 }), "concurrency"),
        post("/v1/schedules/{name}/run", json!({}), ""),
        post("/v1/schedules/{name}/pause", json!({}), ""),
        post("/v1/schedules/{name}/resume", json!({}), ""),
        patch("/v1/dead_letters/{id}", json!({ "payload": {}, "reason": "r" }), "reason"),
        post("/v1/dead_letters/{id}/retry", json!({ "reason": "r" }), "reason"),
        post("/v1/dead_letters/{id}/discard", json!({ "reason": "r" }), "reason"),
        post("/v1/dead_letters/retry", json!({ "filter": {}, "reason": "r" }), "filter"),
        post("/v1/dead_letters/discard", json!({ "filter": {}, "reason": "r" }), "filter"),
    ]
}

/// A path of the document with a queue that there is and an id that there is not.
pub(crate) fn concrete(path: &str) -> String {
    path.replace("{name}", "payments").replace("{id}", "job_none")
}
