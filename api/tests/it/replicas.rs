//! Two replicas of the gateway: what one changes the other shows.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Platform, Quotas, plan};

async fn patch(client: &Client<'_>, path: &str, body: &Value) -> Answer {
    Answer::of(client.request(Method::PATCH, path).json(body)).await
}

/// What the other replica says the tenant is called.
async fn name_at(client: &Client<'_>, api: &str) -> Value {
    let request = client.platform.http.get(format!("{api}/v1/tenant")).bearer_auth(&client.token);
    Answer::of(request).await.ok()["name"].clone()
}

#[tokio::test]
async fn a_change_at_one_replica_is_seen_at_the_other_long_before_its_life_ends() {
    let platform = Platform::start().await;
    let other = platform.replica(&Quotas::default()).await;
    let client = platform.client("ada").await;
    assert_eq!(name_at(&client, &other).await, "ada Inc.");
    let changed = patch(&client, "/v1/tenant", &json!({ "name": "Acme" })).await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"r2\"")));
    assert_eq!(name_at(&client, &platform.api).await, "Acme", "whoever changed it sees it at once");
    // The worker's part: events go out. The other replica may not have listened yet, so they may have to go out again.
    let soon = async {
        let billing = &platform.app.billing;
        billing::dispatch_events(billing, &client.tenant, platform.app.clock.now()).await.expect("a dispatch");
        while name_at(&client, &other).await != "Acme" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), soon).await.expect("the change is seen");
}

#[tokio::test]
async fn settings_are_checked_kept_and_recorded() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let settings = client.get("/v1/tenant").await;
    assert_eq!(settings.header("etag"), Some("\"r1\""));
    let settings = settings.ok();
    assert_eq!((&settings["object"], &settings["default_plan"]), (&json!("tenant"), &Value::Null));
    assert_eq!(settings["dunning"], json!({ "retry_days": [1, 3, 5, 7], "outcome": "past_due" }));
    for (body, pointer) in [
        (json!({ "default_plan": "pro" }), "/default_plan"),
        (json!({ "name": " " }), "/name"),
        (json!({ "dunning": { "retry_days": [3, 1], "outcome": "cancel" } }), "/dunning/retry_days/1"),
        (json!({ "brand": { "colour": "green" } }), "/brand/colour"),
        (json!({ "brand": { "support_email": "help" } }), "/brand/support_email"),
    ] {
        let refused = patch(&client, "/v1/tenant", &body).await;
        assert_eq!(refused.status, 422, "{refused:?}");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{refused:?}");
    }
    client.create("/v1/meters", &json!({ "key": "calls", "aggregation": "count" })).await;
    client.create("/v1/plans", &plan()).await;
    let body = json!({
        "default_plan": "pro", "dunning": { "retry_days": [2], "outcome": "unpaid" },
        "brand": { "colour": "#ABCDEF", "support_email": "help@acme.example" },
    });
    let changed = patch(&client, "/v1/tenant", &body).await.ok();
    assert_eq!((&changed["default_plan"], &changed["brand"]["colour"]), (&json!("pro"), &json!("#abcdef")));
    let stale = client.request(Method::PATCH, "/v1/tenant").header("if-match", "\"r1\"").json(&json!({ "name": "B" }));
    Answer::of(stale).await.problem(412, "precondition_failed");
    let cleared = patch(&client, "/v1/tenant", &json!({ "default_plan": null })).await.ok();
    assert_eq!((&cleared["default_plan"], &cleared["dunning"]["outcome"]), (&Value::Null, &json!("unpaid")));

    let entries = client.get("/v1/audit_entries?action=tenant.updated").await.ok();
    let last = &entries["data"][0];
    assert_eq!((&last["before"]["default_plan"], &last["after"]["default_plan"]), (&json!("pro"), &Value::Null));
}
