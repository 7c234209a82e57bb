//! Simulations: the billing core over HTTP, without a trace.

use serde_json::{Value, json};

use crate::harness::Platform;

fn scenario() -> Value {
    json!({
        "customer": { "currency": "usd" },
        "plans": [{ "key": "pro", "currency": "usd", "interval": "month", "prices": [
            { "key": "base", "kind": "fixed", "timing": "advance", "model": { "type": "flat", "amount": "49.00" } },
        ] }],
        "timeline": [{ "at": "2024-01-31T00:00:00Z", "do": "subscribe", "subscription": "s1", "plan": "pro" }],
        "until": "2024-03-31T00:00:00Z",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scenario_is_simulated_and_leaves_no_trace() {
    let platform = Platform::start().await;
    let client = platform.client("sim").await;
    let before = platform.traces(&client.tenant).await;
    let output = client.post("/v1/simulations", &scenario()).await.ok();
    let issued: Vec<_> = output["invoices"].as_array().expect("invoices").iter().map(|one| &one["issued_at"]).collect();
    assert_eq!(issued, ["2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z"]);
    assert_eq!(output["object"], "simulation");
    assert_eq!(platform.traces(&client.tenant).await, before);

    let mut bad = scenario();
    bad["plans"][0]["prices"][0]["model"]["amount"] = json!(49.0);
    let refused = client.post("/v1/simulations", &bad).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/plans/0/prices/0/model/amount");
    let mut impossible = scenario();
    let resume = json!({ "at": "2024-02-01T00:00:00Z", "do": "resume", "subscription": "s1" });
    impossible["timeline"].as_array_mut().expect("a list").push(resume);
    let refused = client.post("/v1/simulations", &impossible).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/timeline/1/subscription");
}
