//! Queues: how they fare, pauses, limits; and single jobs.

use reqwest::Method;
use serde_json::{Value, json};
use store::{AuditEntry, ListFilter, PageRequest};

use crate::{
    harness::{Answer, Client, Platform},
    work::{Charge, Failing, bury, enqueue},
};

/// Audit entries of a tenant: action, subject and changes, oldest first.
pub(crate) async fn audited(client: &Client<'_>, action_prefix: &str) -> Vec<(String, String, Value)> {
    let all = PageRequest { limit: 100, starting_after: None, ending_before: None };
    let store = &client.platform.app.billing.store;
    let page = store.list::<AuditEntry>(&client.tenant, ListFilter::default(), &all).await.expect("a list");
    let entries = page.expect("no cursor").data.into_iter().rev();
    let entries = entries.filter(|entry| entry.action.starts_with(action_prefix));
    entries.map(|entry| (entry.action, entry.subject, entry.after)).collect()
}

#[tokio::test]
async fn a_queue_tells_how_it_fares() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let gone = |invoice: &str| Charge::of(&client.tenant, invoice, Failing::GatewayGone);
    bury(&platform.app, &[gone("inv_1")]).await;
    enqueue(&platform.app, &[gone("inv_2"), gone("inv_3")]).await;

    let payments = client.get("/v1/queues/payments").await.ok();
    let counts = ["ready", "limited", "scheduled", "running", "dead"].map(|state| payments[state].clone());
    assert_eq!(counts, [json!(2), json!(0), json!(0), json!(0), json!(1)]);
    assert_eq!((&payments["name"], &payments["object"]), (&json!("payments"), &json!("queue")));
    assert!(payments["oldest_ready_seconds"].is_u64() && payments["time_to_drain_seconds"].is_u64(), "{payments}");
    assert_eq!((&payments["paused"], &payments["paused_jobs"]), (&json!(null), &json!([])));
    let added: f64 = payments["rates"]["added_per_second"].as_str().expect("text").parse().expect("a decimal");
    assert!(added > 0.0, "{payments}");
    for percentiles in ["wait_ms", "run_ms"] {
        assert!(payments[percentiles]["p50"].is_u64() && payments[percentiles]["p95"].is_u64(), "{payments}");
    }
    let history = payments["history"].as_array().expect("a list");
    let sum = |of: &str| history.iter().map(|minute| minute[of].as_u64().expect("a count")).sum::<u64>();
    assert_eq!((history.len(), sum("added"), sum("failed")), (60, 3, 1));
    assert_eq!(payments["limits"], json!([]), "none is set, and nothing runs");

    let list = client.get("/v1/queues").await.ok();
    let row = list["data"].as_array().expect("a list").iter().find(|row| row["name"] == "payments");
    let row = row.expect("the queue");
    assert_eq!(row["dead"], 1);
    assert!(row["workers"].is_array() && row.get("history").is_none(), "{row}");
    client.get("/v1/queues/nothing").await.problem(404, "not_found");
}

#[tokio::test]
async fn a_queue_and_a_job_type_are_paused_with_a_reason_and_resumed() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let (pause, resume) = ("/v1/queues/payments/pause", "/v1/queues/payments/resume");
    client.post(resume, &json!({})).await.problem(409, "not_paused");
    let whole = json!({ "reason": "the gateway is down" });
    let paused = client.post_with_key(pause, "k1", &whole).await.ok();
    assert_eq!(paused["paused"]["reason"], "the gateway is down");
    assert!(paused["paused"]["by"].as_str().is_some_and(|by| by.starts_with("usr_")), "{paused}");
    let again = client.post_with_key(pause, "k1", &whole).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.ok(), paused);
    let job = json!({ "reason": "cards only", "job": "charge" });
    assert_eq!(client.post(pause, &job).await.ok()["paused_jobs"][0]["job"], "charge");
    assert_eq!(client.get("/v1/queues/payments").await.ok()["paused"], paused["paused"]);

    let resumed = client.post(resume, &json!({})).await.ok();
    assert_eq!((&resumed["paused"], &resumed["paused_jobs"][0]["reason"]), (&json!(null), &json!("cards only")));
    assert_eq!(client.post(resume, &json!({ "job": "charge" })).await.ok()["paused_jobs"], json!([]));
    client.post("/v1/queues/nothing/pause", &whole).await.problem(404, "not_found");
    for (body, pointer) in [
        (json!({ "reason": " " }), "/reason"),
        (json!({ "reason": "x".repeat(501) }), "/reason"),
        (json!({ "reason": "r", "job": "no such name" }), "/job"),
    ] {
        let problem = client.post(pause, &body).await;
        assert_eq!((problem.status, &problem.json()["errors"][0]["pointer"]), (422, &json!(pointer)), "{problem:?}");
    }
    let payments = |action: &str, changes| (action.to_owned(), "payments".to_owned(), changes);
    let expected = [
        payments("queue.paused", json!({ "job": null, "reason": "the gateway is down" })),
        payments("queue.paused", json!({ "job": "charge", "reason": "cards only" })),
        payments("queue.resumed", json!({ "job": null })),
        payments("queue.resumed", json!({ "job": "charge" })),
    ];
    assert_eq!(audited(&client, "queue.").await, expected);
}

#[tokio::test]
async fn a_limit_is_set_changed_and_removed() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    const URL: &str = "/v1/queues/payments/limits";
    let limits = async |body: Value| client.post(URL, &body).await.ok()["limits"].clone();
    let set = limits(json!({ "key": "gateway:stripe", "concurrency": 2 })).await;
    let shown = |concurrency: Value, rate: Value| json!([{ "key": "gateway:stripe", "concurrency": concurrency, "rate": rate, "in_use": 0, "parked": 0 }]);
    assert_eq!(set, shown(json!(2), json!(null)));
    let rate = json!({ "units": 100, "per_seconds": 60 });
    let changed = limits(json!({ "key": "gateway:stripe", "rate": rate })).await;
    assert_eq!(changed, shown(json!(null), json!({ "units": 100, "per_seconds": 60, "burst": 100 })));
    assert_eq!(limits(json!({ "key": "gateway:stripe" })).await, json!([]));
    client.post(URL, &json!({ "key": "gateway:stripe" })).await.problem(409, "no_limit");
    for (body, pointer) in [
        (json!({ "key": "a b", "concurrency": 1 }), "/key"),
        (json!({ "key": "k", "rate": { "units": 0, "per_seconds": 1 } }), "/rate/units"),
        (json!({ "key": "k", "rate": { "units": 1, "per_seconds": 86_401 } }), "/rate/per_seconds"),
        (json!({ "key": "k", "rate": { "units": 1, "per_seconds": 1, "burst": 0 } }), "/rate/burst"),
    ] {
        let problem = client.post(URL, &body).await.problem(422, "rule_violated");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    assert_eq!(audited(&client, "queue.limited").await.len(), 3);
}

#[tokio::test]
async fn a_job_is_shown_to_its_tenant_until_it_is_finished() {
    let platform = Platform::start().await;
    let (client, bob) = (platform.client("ada").await, platform.client("bob").await);
    let charge = |invoice: &str| Charge::of(&client.tenant, invoice, Failing::CardRefused);
    let dead = bury(&platform.app, &[charge("inv_1")]).await.remove(0);
    let ready = enqueue(&platform.app, &[charge("inv_2")]).await.remove(0);

    let job = client.get(&format!("/v1/jobs/{ready}")).await.ok();
    let payload =
        json!({ "tenant": client.tenant, "invoice": "inv_2", "payment_method": "***", "fails": "CardRefused" });
    for (field, value) in [
        ("id", json!(ready)),
        ("object", json!("job")),
        ("livemode", json!(false)),
        ("queue", json!("payments")),
        ("job", json!("charge")),
        ("tenant", json!(client.tenant)),
        ("state", json!("ready")),
        ("priority", json!("normal")),
        ("attempt", json!(0)),
        ("unique_key", json!("inv_2")),
        ("limits", json!([{ "key": "gateway:stripe", "cost": 1 }])),
        ("request_id", json!("req_of_the_test")),
        ("payload", payload),
        ("history", json!([])),
    ] {
        assert_eq!(job[field], value, "{field}: {job}");
    }
    let job = client.get(&format!("/v1/jobs/{dead}")).await.ok();
    assert_eq!((&job["state"], &job["attempt"]), (&json!("dead"), &json!(1)));
    assert_eq!((&job["history"][0]["code"], &job["history"][0]["attempt"]), (&json!("card_refused"), &json!(1)));
    assert!(job["died_at"].is_string() && job["running"].is_null(), "{job}");

    for id in [&*ready, "job_finished", ready.trim_start_matches("job_")] {
        let path = format!("/v1/jobs/{id}");
        let problem = bob.get(&path).await.problem(404, "not_found");
        assert_eq!(problem["detail"], "no such job; one that is finished leaves nothing behind");
    }
    Answer::of(platform.request(Method::GET, &format!("/v1/jobs/{ready}"))).await.problem(401, "unauthenticated");
}
