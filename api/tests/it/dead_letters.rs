//! Dead letters: shown to their tenant alone, by cause, edited, retried and discarded, one by one and all that match.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, Platform},
    queues::audited,
    work::{Charge, Failing, bury, enqueue},
};

const URL: &str = "/v1/dead_letters";

async fn ids(client: &Client<'_>, query: &str) -> Vec<String> {
    let list = client.get(&format!("{URL}{query}")).await.ok();
    assert_eq!(list["url"], URL);
    let rows = list["data"].as_array().expect("a list").iter();
    rows.map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

/// Two letters of a refused card and one of a gone gateway, oldest first, and one of another tenant.
async fn letters(client: &Client<'_>, other: &Client<'_>) -> (Vec<String>, String) {
    let charge = |invoice: &str, fails| Charge::of(&client.tenant, invoice, fails);
    let mut ids = bury(
        &client.platform.app,
        &[
            charge("inv_1", Failing::CardRefused),
            charge("inv_2", Failing::CardRefused),
            charge("inv_3", Failing::GatewayGone),
            Charge::of(&other.tenant, "inv_4", Failing::CardRefused),
        ],
    )
    .await;
    let foreign = ids.pop().expect("four");
    (ids, foreign)
}

#[tokio::test]
async fn dead_letters_are_listed_filtered_and_grouped_for_their_tenant() {
    let platform = Platform::start().await;
    let (client, bob) = (platform.client("ada").await, platform.client("bob").await);
    let (mine, foreign) = letters(&client, &bob).await;
    let [first, second, third] = &mine[..] else { panic!("three") };
    let newest_first = [third, second, first].map(String::clone);
    assert_eq!(ids(&client, "").await, newest_first);
    assert_eq!(ids(&bob, "").await, std::slice::from_ref(&foreign));

    let page = client.get(&format!("{URL}?limit=2")).await.ok();
    assert_eq!(page["has_more"], true);
    assert_eq!(ids(&client, &format!("?limit=2&starting_after={second}")).await, std::slice::from_ref(first));
    let letter = client.get(&format!("{URL}/{second}")).await.ok();
    assert_eq!(&page["data"][1], &letter);
    let died = letter["created"].as_str().expect("an instant");
    let fingerprint = letter["fingerprint"].as_str().expect("text");
    for (query, expected) in [
        ("?queue=payments".to_owned(), &newest_first[..]),
        ("?queue=invoices".to_owned(), &[]),
        ("?job=charge&code=gateway_gone".to_owned(), &newest_first[..1]),
        ("?job=other".to_owned(), &[]),
        (format!("?fingerprint={fingerprint}"), &newest_first[1..]),
        (format!("?created[gte]={died}"), &newest_first[..2]),
        (format!("?created[lt]={died}"), &newest_first[2..]),
    ] {
        assert_eq!(ids(&client, &query).await, expected, "{query}");
    }
    for (query, parameter) in [
        ("?queue=nothing".to_owned(), "queue"),
        ("?created[gte]=today".to_owned(), "created[gte]"),
        ("?tenant=x".to_owned(), "tenant"),
        (format!("?ending_before={first}"), "ending_before"),
        (format!("?starting_after={foreign}"), "starting_after"),
    ] {
        let problem = client.get(&format!("{URL}{query}")).await.problem(400, "invalid_query");
        assert_eq!(problem["errors"][0]["pointer"], parameter, "{problem}");
    }

    let groups = client.get(&format!("{URL}/groups")).await.ok();
    let seen: Vec<_> =
        groups["data"].as_array().expect("a list").iter().map(|group| (&group["code"], &group["count"])).collect();
    assert_eq!(seen, [(&json!("card_refused"), &json!(2)), (&json!("gateway_gone"), &json!(1))]);
    assert_eq!((&groups["data"][0]["latest"], &groups["data"][0]["tenants"]), (&json!(second), &json!(1)));
    assert_eq!(groups["data"][0]["fingerprint"], letter["fingerprint"]);
    assert_eq!(client.get(&format!("{URL}/groups?limit=1")).await.ok()["has_more"], true);
    client.get(&format!("{URL}/groups?starting_after=x")).await.problem(400, "invalid_query");
}

#[tokio::test]
async fn a_dead_letter_of_another_tenant_does_not_exist() {
    let platform = Platform::start().await;
    let (client, bob) = (platform.client("ada").await, platform.client("bob").await);
    let (_, foreign) = letters(&client, &bob).await;
    let reason = json!({ "reason": "it is mine" });
    client.get(&format!("{URL}/{foreign}")).await.problem(404, "not_found");
    client.post(&format!("{URL}/{foreign}/retry"), &reason).await.problem(404, "not_found");
    client.post(&format!("{URL}/{foreign}/discard"), &reason).await.problem(404, "not_found");
    let edit = json!({ "reason": "it is mine", "payload": {} });
    let patch = client.request(Method::PATCH, &format!("{URL}/{foreign}")).json(&edit);
    Answer::of(patch).await.problem(404, "not_found");
    let all = json!({ "filter": {}, "reason": "it is mine", "dry_run": true });
    assert_eq!(client.post(&format!("{URL}/discard"), &all).await.ok()["matched"], 3);
    assert_eq!(ids(&bob, "").await, [foreign]);
    assert_eq!(audited(&client, "dead_letter.").await, []);
}

#[tokio::test]
async fn an_edit_keeps_what_is_hidden_and_its_place_in_time() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let id = bury(&platform.app, &[Charge::of(&client.tenant, "inv_1", Failing::CardRefused)]).await.remove(0);
    let path = format!("{URL}/{id}");
    let patch = async |payload: &Value, tag: Option<&str>| {
        let body = json!({ "payload": payload, "reason": "the wrong invoice" });
        let request = client.request(Method::PATCH, &path).json(&body);
        Answer::of(if let Some(tag) = tag { request.header("if-match", tag) } else { request }).await
    };
    let before = client.get(&path).await;
    let tag = before.header("etag").expect("a tag").to_owned();
    let before = before.ok();
    assert_eq!(before["payload"]["payment_method"], "***");
    let mut payload = before["payload"].clone();
    payload["invoice"] = json!("inv_9");
    let edited = patch(&payload, Some(&tag)).await;
    assert_ne!(edited.header("etag"), Some(&*tag));
    let new_tag = edited.header("etag").map(str::to_owned);
    let edited = edited.ok();
    assert_eq!((&edited["payload"], &edited["created"]), (&payload, &before["created"]));
    let after = client.get(&path).await;
    assert_eq!(after.header("etag").map(str::to_owned), new_tag);
    assert_eq!(after.ok(), edited);
    let bare = id.trim_start_matches("job_");
    let stored = platform.app.billing.queue.dead_letter("payments", bare).await.expect("Redis").expect("the letter");
    let stored: Value = serde_json::from_str(&stored.payload).expect("JSON");
    assert_eq!((&stored["payment_method"], &stored["invoice"]), (&json!("pm_of_inv_1"), &json!("inv_9")));

    patch(&payload, Some(&tag)).await.problem(412, "precondition_failed");
    payload["client_secret"] = json!("***");
    let problem = patch(&payload, None).await.problem(422, "unknown_secret");
    assert_eq!(problem["errors"][0]["pointer"], "/payload");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("/client_secret")), "{problem}");
    let huge = json!({ "x": "y".repeat(300 * 1024) });
    patch(&huge, None).await.problem(422, "rule_violated");
    let expected = [("dead_letter.edited".to_owned(), id, json!({ "reason": "the wrong invoice" }))];
    assert_eq!(audited(&client, "dead_letter.").await, expected);
}

#[tokio::test]
async fn a_dead_letter_is_retried_or_discarded_once() {
    let platform = Platform::start().await;
    let (client, bob) = (platform.client("ada").await, platform.client("bob").await);
    let (mine, _) = letters(&client, &bob).await;
    let retry = format!("{URL}/{}/retry", mine[0]);
    let retried = client.post_with_key(&retry, "k", &json!({})).await.ok();
    assert_eq!((&retried["id"], &retried["state"]), (&json!(mine[0]), &json!("requeued")));
    let replayed = client.post_with_key(&retry, "k", &json!({})).await;
    assert_eq!((replayed.header("idempotent-replayed"), replayed.json()), (Some("true"), retried));
    client.post(&retry, &json!({})).await.problem(404, "not_found");
    assert_eq!(client.get(&format!("/v1/jobs/{}", mine[0])).await.ok()["state"], "ready");

    // Other work of the same invoice waits.
    enqueue(&platform.app, &[Charge::of(&client.tenant, "inv_2", Failing::CardRefused)]).await;
    client.post(&format!("{URL}/{}/retry", mine[1]), &json!({ "reason": "r" })).await.problem(409, "duplicate_job");
    let discard = format!("{URL}/{}/discard", mine[1]);
    client.post(&discard, &json!({})).await.problem(400, "invalid_body");
    let problem = client.post(&discard, &json!({ "reason": "" })).await.problem(422, "reason_required");
    assert_eq!(problem["errors"][0]["pointer"], "/reason");
    let discarded = client.post(&discard, &json!({ "reason": "paid by cheque" })).await.ok();
    assert_eq!(discarded["state"], "discarded");
    client.get(&format!("/v1/jobs/{}", mine[1])).await.problem(404, "not_found");
    assert_eq!(ids(&client, "").await, std::slice::from_ref(&mine[2]));
    let expected = [
        ("dead_letter.requeued".to_owned(), mine[0].clone(), json!({ "reason": "" })),
        ("dead_letter.discarded".to_owned(), mine[1].clone(), json!({ "reason": "paid by cheque" })),
    ];
    assert_eq!(audited(&client, "dead_letter.").await, expected);
}

#[tokio::test]
async fn all_that_match_are_handled_by_an_operation() {
    let platform = Platform::start().await;
    let (client, bob) = (platform.client("ada").await, platform.client("bob").await);
    let (mine, foreign) = letters(&client, &bob).await;
    let path = format!("{URL}/discard");
    let mut body = json!({ "filter": { "code": "card_refused" }, "reason": "cards expired", "dry_run": true });
    let tried = client.post(&path, &body).await;
    assert_eq!(tried.status, 200);
    let tried = tried.json();
    assert_eq!((&tried["id"], &tried["dry_run"], &tried["matched"]), (&json!(null), &json!(true), &json!(2)));
    assert_eq!(ids(&client, "").await.len(), 3);
    assert_eq!(client.get("/v1/operations").await.ok()["data"], json!([]));

    body["dry_run"] = json!(false);
    let started = client.post(&path, &body).await;
    assert_eq!(started.status, 202);
    let started = started.json();
    let id = started["id"].as_str().expect("an id");
    assert!(id.starts_with("op_"), "{started}");
    for (field, value) in [
        ("object", json!("operation")),
        ("kind", json!("discard_dead_letters")),
        ("state", json!("running")),
        ("reason", json!("cards expired")),
        ("pace", json!(100)),
        ("matched", json!(0)),
    ] {
        assert_eq!(started[field], value, "{started}");
    }
    assert_eq!(started["filter"]["code"], "card_refused");
    assert!(started["filter"]["created"]["lt"].is_string(), "{started}");

    let app = &platform.app;
    let advance = async || {
        let advanced = billing::advance_operation(&app.billing, (&client.tenant, id), app.clock.now()).await;
        advanced.expect("a step")
    };
    while advance().await != billing::Advance::Completed {}
    let completed = client.get(&format!("/v1/operations/{id}")).await.ok();
    let counts = ["expected", "matched", "done", "skipped"].map(|field| completed[field].clone());
    assert_eq!((&completed["state"], counts), (&json!("completed"), [json!(2), json!(2), json!(2), json!(0)]));
    assert_eq!(client.get("/v1/operations").await.ok()["data"], json!([completed]));
    assert_eq!((ids(&client, "").await, ids(&bob, "").await), (vec![mine[2].clone()], vec![foreign]));
    bob.get(&format!("/v1/operations/{id}")).await.problem(404, "not_found");
}

#[tokio::test]
async fn an_operation_that_makes_no_sense_is_refused() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let created = json!({ "gte": "2026-08-02T00:00:00Z", "lt": "2026-08-01T00:00:00Z" });
    for (body, status, pointer) in [
        (json!({ "reason": "r" }), 400, "/filter"),
        (json!({ "filter": { "tenant": "ten_1" }, "reason": "r" }), 400, "/filter/tenant"),
        (json!({ "filter": { "queue": "nothing" }, "reason": "r" }), 422, "/filter/queue"),
        (json!({ "filter": { "created": created }, "reason": "r" }), 422, "/filter"),
        (json!({ "filter": {}, "reason": " " }), 422, "/reason"),
        (json!({ "filter": {}, "reason": "r", "pace": 0 }), 422, "/pace"),
    ] {
        for kind in ["retry", "discard"] {
            let answer = client.post(&format!("{URL}/{kind}"), &body).await;
            assert_eq!(
                (answer.status, &answer.json()["errors"][0]["pointer"]),
                (status, &json!(pointer)),
                "{answer:?}"
            );
        }
    }
    assert_eq!(client.get("/v1/operations").await.ok()["data"], json!([]));
}
