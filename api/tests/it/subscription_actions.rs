//! Stories of subscriptions: trials, changes, pauses, cancellations and coupons, and what each of them bills.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Platform};

/// A plan of a month: a base fee and seats at 10.00, both in advance, and calls in arrears.
fn plan(key: &str, base: &str, call: &str) -> Value {
    json!({
        "key": key, "currency": "usd", "interval": "month",
        "prices": [
            { "key": "base", "kind": "fixed", "timing": "advance", "model": { "type": "flat", "amount": base } },
            { "key": "seats", "kind": "licensed", "timing": "advance",
              "model": { "type": "per_unit", "unit_amount": "10.00" } },
            { "key": "calls", "kind": "usage", "meter": "calls", "timing": "arrears",
              "model": { "type": "per_unit", "unit_amount": call } },
        ],
    })
}

/// Plans `team` (20.00) and `max` (50.00) on June 1, 2026, at noon.
async fn in_june<'a>(platform: &'a Platform, name: &str) -> Client<'a> {
    let client = platform.client(name).await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-06-01T12:00:00Z" })).await;
    client.create("/v1/meters", &json!({ "key": "calls", "aggregation": "count" })).await;
    client.create("/v1/plans", &plan("team", "20.00", "0.10")).await;
    client.create("/v1/plans", &plan("max", "50.00", "0.05")).await;
    client
}

/// What to say for three seats of `team`.
fn team(customer: &str) -> Value {
    json!({ "customer": customer, "plan": "team", "quantities": { "seats": "3" } })
}

/// A customer `ada` with three seats of `team`.
async fn subscribed(client: &Client<'_>) -> String {
    let customer = client.customer("ada").await;
    client.create("/v1/subscriptions", &team(&customer)).await
}

async fn act(client: &Client<'_>, id: &str, action: &str, body: Value) -> Answer {
    client.post(&format!("/v1/subscriptions/{id}/{action}"), &body).await
}

/// Bills what is due, and does nothing else.
async fn catch_up(client: &Client<'_>, id: &str) -> Value {
    act(client, id, "change", json!({ "quantities": {}, "plan": "team" })).await.ok()
}

/// Reason and total of each invoice, oldest first.
async fn billed(client: &Client<'_>) -> Vec<(String, i64)> {
    let rows = invoices(client).await;
    rows.iter().map(|row| (text(&row["reason"]), row["total_minor"].as_i64().expect("an amount"))).collect()
}

/// Oldest first.
async fn invoices(client: &Client<'_>) -> Vec<Value> {
    let list = client.get("/v1/invoices?limit=100").await.ok();
    let mut rows = list["data"].as_array().expect("a list").clone();
    rows.reverse();
    rows
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// Price, kind, proration and amount of each line.
fn lines(invoice: &Value) -> Vec<String> {
    let shown = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |line: &Value| {
        let [price, kind, part] = ["price", "kind", "proration"].map(|field| shown(&line[field]));
        format!("{price} {kind} {part} {}", line["amount_minor"])
    };
    invoice["lines"].as_array().expect("lines").iter().map(line).collect()
}

fn reasons(billed: &[(&str, i64)]) -> Vec<(String, i64)> {
    billed.iter().map(|(reason, total)| ((*reason).to_owned(), *total)).collect()
}

#[tokio::test]
async fn a_trial_bills_nothing_until_it_ends() {
    let platform = Platform::start().await;
    let client = in_june(&platform, "ada").await;
    let customer = client.customer("ada").await;
    let mut body = team(&customer);
    body["trial_days"] = json!(14);
    let created = client.post("/v1/subscriptions", &body).await.ok();
    assert_eq!((&created["status"], &created["trial_end"]), (&json!("trialing"), &json!("2026-06-15")));
    assert_eq!(created["current_period"], json!({ "start": "2026-06-01", "end": "2026-06-15" }));
    assert_eq!((&created["end_at"], &created["scheduled_plan"]), (&json!(null), &json!(null)));
    assert_eq!((&created["anchor_day"], &created["coupons"]), (&json!(null), &json!([])));
    assert_eq!(billed(&client).await, []);

    // Periods are anchored at the trial's end, which is billed before the change is.
    client.advance("2026-06-20T12:00:00Z").await;
    let id = text(&created["id"]);
    let answer = act(&client, &id, "change", json!({ "quantities": { "seats": "5" } })).await;
    assert_eq!(answer.header("etag"), Some("\"r2\""));
    let changed = answer.ok();
    assert_eq!((&changed["status"], &changed["quantities"]["seats"]), (&json!("active"), &json!("5")));
    assert_eq!(changed["current_period"], json!({ "start": "2026-06-15", "end": "2026-07-15" }));
    assert_eq!(client.get(&format!("/v1/subscriptions/{id}")).await.ok(), changed);
    assert_eq!(billed(&client).await, reasons(&[("period", 5000), ("change", 1667)]));
    let change = &invoices(&client).await[1];
    assert_eq!(lines(change), ["seats proration 25/30 -2500", "seats licensed 25/30 4167"]);
}

#[tokio::test]
async fn an_upgrade_is_now_and_a_downgrade_waits_for_the_periods_end() {
    let platform = Platform::start().await;
    let client = in_june(&platform, "ada").await;
    let id = subscribed(&client).await;
    let event = |number: u32| {
        json!({ "id": format!("e{number}"), "subscription": id, "meter": "calls",
            "timestamp": "2026-06-10T10:00:00Z" })
    };
    let events: Vec<Value> = (0..10).map(event).collect();
    assert_eq!(client.post("/v1/usage_events", &json!({ "events": events })).await.ok()["accepted"], 10);

    client.advance("2026-06-16T12:00:00Z").await;
    let upgraded = act(&client, &id, "change", json!({ "plan": "max" })).await.ok();
    let max = upgraded["plan"].clone();
    let upgrade = &invoices(&client).await[1];
    let expected = [
        "calls usage 15/30 100",
        "base proration 15/30 -1000",
        "seats proration 15/30 -1500",
        "base fixed 15/30 2500",
        "seats licensed 15/30 1500",
    ];
    assert_eq!(lines(upgrade), expected);
    assert_eq!((&upgrade["reason"], &upgrade["total_minor"]), (&json!("change"), &json!(1600)));
    assert_eq!(upgrade["issued_at"], "2026-06-16T12:00:00Z");

    // Another one on the same day has an invoice of its own; one without proration has none.
    act(&client, &id, "change", json!({ "quantities": { "seats": "4" }, "when": "now" })).await.ok();
    assert_eq!(billed(&client).await, reasons(&[("subscription_create", 5000), ("change", 1600), ("change", 500)]));
    let silent = json!({ "quantities": { "seats": "6" }, "when": "now", "proration": "none" });
    assert_eq!(act(&client, &id, "change", silent).await.ok()["quantities"]["seats"], "6");
    assert_eq!(billed(&client).await.len(), 3);

    let waiting = act(&client, &id, "change", json!({ "plan": "team", "quantities": { "seats": "4" } })).await.ok();
    assert_eq!((&waiting["plan"], &waiting["quantities"]["seats"]), (&max, &json!("6")));
    let team = waiting["scheduled_plan"].clone();
    assert_eq!(billed(&client).await.len(), 3);
    client.advance("2026-07-02T12:00:00Z").await;
    let after = catch_up(&client, &id).await;
    assert_eq!((&after["plan"], &after["scheduled_plan"]), (&team, &json!(null)));
    assert_eq!(after["quantities"]["seats"], "4");
    assert_eq!(billed(&client).await[3..], reasons(&[("period", 6000)]));
}

#[tokio::test]
async fn a_change_that_was_scheduled_can_be_taken_back() {
    let platform = Platform::start().await;
    let client = in_june(&platform, "ada").await;
    let id = subscribed(&client).await;
    let later = act(&client, &id, "change", json!({ "plan": "max", "when": "period_end" })).await.ok();
    assert_ne!(later["scheduled_plan"], json!(null));
    assert_eq!(catch_up(&client, &id).await["scheduled_plan"], json!(null));
    client.advance("2026-07-01T00:00:00Z").await;
    catch_up(&client, &id).await;
    assert_eq!(billed(&client).await, reasons(&[("subscription_create", 5000), ("period", 5000)]));

    act(&client, &id, "cancel", json!({ "when": "period_end" })).await.ok();
    act(&client, &id, "change", json!({ "plan": "max", "when": "period_end" })).await.problem(409, "ending");
}

#[tokio::test]
async fn paused_days_are_not_billed() {
    let platform = Platform::start().await;
    let client = in_june(&platform, "ada").await;
    let id = subscribed(&client).await;
    client.advance("2026-06-11T12:00:00Z").await;
    act(&client, &id, "resume", json!({})).await.problem(409, "invalid_state");
    let paused = act(&client, &id, "pause", json!({})).await.ok();
    assert_eq!(paused["status"], "paused");
    act(&client, &id, "pause", json!({})).await.problem(409, "invalid_state");

    // The boundary in between credits the days from the 11th on; the rest of July is billed on resumption.
    client.advance("2026-07-05T12:00:00Z").await;
    let resumed = Answer::of(client.request(reqwest::Method::POST, &format!("/v1/subscriptions/{id}/resume"))).await;
    let resumed = resumed.ok();
    assert_eq!(resumed["status"], "active");
    assert_eq!(resumed["current_period"], json!({ "start": "2026-07-01", "end": "2026-08-01" }));
    let rows = invoices(&client).await;
    assert_eq!(lines(&rows[1]), ["base proration 20/30 -1333", "seats proration 20/30 -2000"]);
    assert_eq!((&rows[1]["total_minor"], &rows[1]["status"]), (&json!(0), &json!("paid")));
    assert_eq!(lines(&rows[2]), ["base fixed 27/31 1742", "seats licensed 27/31 2613"]);
    assert_eq!(rows.len(), 3);

    // Paused and resumed on one day: billed.
    client.advance("2026-07-20T12:00:00Z").await;
    act(&client, &id, "pause", json!({})).await.ok();
    act(&client, &id, "resume", json!({})).await.ok();
    client.advance("2026-08-01T00:00:00Z").await;
    catch_up(&client, &id).await;
    assert_eq!(billed(&client).await[3..], reasons(&[("period", 5000)]));
}

#[tokio::test]
async fn a_cancellation_now_credits_and_ends_everything() {
    let platform = Platform::start().await;
    let client = in_june(&platform, "ada").await;
    let id = subscribed(&client).await;
    client.advance("2026-06-10T12:00:00Z").await;
    act(&client, &id, "cancel", json!({})).await.problem(400, "invalid_body");
    let cancelled = act(&client, &id, "cancel", json!({ "when": "now" })).await.ok();
    assert_eq!((&cancelled["status"], &cancelled["end_at"]), (&json!("cancelled"), &json!("2026-06-10T12:00:00Z")));
    assert_eq!((&cancelled["next_boundary"], &cancelled["next_billing_at"]), (&json!(null), &json!(null)));
    // The day of the cancellation is a used one.
    assert_eq!(cancelled["current_period"], json!({ "start": "2026-06-01", "end": "2026-06-11" }));
    let last = &invoices(&client).await[1];
    assert_eq!(lines(last), ["base proration 20/30 -1333", "seats proration 20/30 -2000"]);
    assert_eq!((&last["reason"], &last["total_minor"]), (&json!("cancel"), &json!(0)));

    client.create("/v1/coupons", &json!({ "key": "ten", "percent_off": "10", "duration": "once" })).await;
    let traces = platform.traces(&client.tenant).await;
    for (action, body) in actions() {
        act(&client, &id, action, body).await.problem(409, "invalid_state");
    }
    assert_eq!(platform.traces(&client.tenant).await, traces);

    // The meter is free for another subscription.
    let customer = text(&cancelled["customer"]);
    client.create("/v1/subscriptions", &team(&customer)).await;
}

/// Every action with a body that is right.
fn actions() -> [(&'static str, Value); 6] {
    [
        ("change", json!({ "plan": "max" })),
        ("change", json!({ "quantities": { "seats": "1" }, "when": "period_end" })),
        ("pause", json!({})),
        ("resume", json!({})),
        ("cancel", json!({ "when": "period_end" })),
        ("apply_coupon", json!({ "coupon": "ten" })),
    ]
}

#[tokio::test]
async fn a_cancellation_at_the_periods_end_bills_what_was_used() {
    let platform = Platform::start().await;
    let client = in_june(&platform, "ada").await;
    let id = subscribed(&client).await;
    let ending = act(&client, &id, "cancel", json!({ "when": "period_end" })).await.ok();
    assert_eq!((&ending["status"], &ending["end_at"]), (&json!("active"), &json!("2026-07-01T00:00:00Z")));
    let event = json!({ "id": "e1", "subscription": id, "meter": "calls", "timestamp": "2026-06-30T10:00:00Z" });
    client.post("/v1/usage_events", &event).await.ok();
    let upcoming = client.get(&format!("/v1/subscriptions/{id}/upcoming_invoice")).await.ok();
    assert_eq!(lines(&upcoming), ["calls usage - 10"]);
    client.advance("2026-07-01T00:00:00Z").await;
    act(&client, &id, "pause", json!({})).await.problem(409, "invalid_state");
}

#[tokio::test]
async fn a_subscription_that_has_not_started_bills_nothing() {
    let platform = Platform::start().await;
    let client = in_june(&platform, "ada").await;
    let mut body = team(&client.customer("ada").await);
    body["start_at"] = json!("2026-06-15T00:00:00Z");
    let id = client.create("/v1/subscriptions", &body).await;
    let now = json!({ "quantities": { "seats": "4" }, "when": "now" });
    act(&client, &id, "change", now).await.problem(409, "not_started");
    let cancelled = act(&client, &id, "cancel", json!({ "when": "now" })).await.ok();
    assert_eq!((&cancelled["status"], &cancelled["next_boundary"]), (&json!("cancelled"), &json!(null)));
    assert_eq!(cancelled["current_period"], json!({ "start": "2026-06-15", "end": "2026-06-15" }));
    assert_eq!(billed(&client).await, []);
}

#[tokio::test]
async fn coupons_last_as_long_as_they_say() {
    let platform = Platform::start().await;
    let client = in_june(&platform, "ada").await;
    let once = json!({ "key": "welcome", "percent_off": "10", "duration": "once" });
    let five = json!({ "key": "five", "amount_off_minor": 500, "duration": "repeating", "duration_periods": 2 });
    let euros = json!({ "key": "euros", "amount_off_minor": 500, "currency": "eur", "duration": "forever" });
    for coupon in [once, euros] {
        client.create("/v1/coupons", &coupon).await;
    }
    let five = client.create("/v1/coupons", &five).await;
    let mut body = team(&client.customer("ada").await);
    for (coupons, code, pointer) in [
        (json!(["welcome", "none"]), "unknown_coupon", "/coupons/1"),
        (json!(["euros"]), "currency_mismatch", "/coupons/0"),
        (json!([five, "five"]), "rule_violated", "/coupons/1"),
    ] {
        body["coupons"] = coupons;
        let problem = client.post("/v1/subscriptions", &body).await.problem(422, code);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    body["coupons"] = json!(["welcome"]);
    let created = client.post("/v1/subscriptions", &body).await.ok();
    assert_eq!(created["coupons"], json!([{ "coupon": "welcome", "uses": 1 }]));
    let id = text(&created["id"]);

    let applied = act(&client, &id, "apply_coupon", json!({ "coupon": five })).await.ok();
    assert_eq!(applied["coupons"], json!([{ "coupon": "five", "uses": 0 }]));
    act(&client, &id, "apply_coupon", json!({ "coupon": "five" })).await.problem(409, "coupon_in_force");
    let unknown = act(&client, &id, "apply_coupon", json!({ "coupon": "none" })).await;
    assert_eq!(unknown.problem(422, "unknown_coupon")["errors"][0]["pointer"], "/coupon");
    for (to, uses) in [("2026-07-01T00:00:00Z", 1), ("2026-08-01T00:00:00Z", 2), ("2026-09-01T00:00:00Z", 2)] {
        client.advance(to).await;
        assert_eq!(catch_up(&client, &id).await["coupons"], json!([{ "coupon": "five", "uses": uses }]));
    }
    let expected = reasons(&[("subscription_create", 4500), ("period", 4500), ("period", 4500), ("period", 5000)]);
    assert_eq!(billed(&client).await, expected);
}

#[tokio::test]
async fn one_key_has_one_effect_on_one_subscription() {
    let platform = Platform::start().await;
    let client = in_june(&platform, "ada").await;
    let id = subscribed(&client).await;
    let other = client.create("/v1/subscriptions", &team(&client.customer("bob").await)).await;
    client.advance("2026-06-16T12:00:00Z").await;
    let path = |id: &str| format!("/v1/subscriptions/{id}/change");
    let (body, change) = (json!({ "quantities": { "seats": "5" } }), path(&id));
    let answers = join_all((0..20).map(|_| client.post_with_key(&change, "once", &body))).await;
    let mut bodies = BTreeSet::new();
    for answer in &answers {
        match answer.status {
            200 => drop(bodies.insert(answer.text.clone())),
            _ => drop(answer.problem(409, "idempotency_key_in_flight")),
        }
    }
    assert_eq!(bodies.len(), 1, "{answers:?}");
    assert_eq!(billed(&client).await[2..], reasons(&[("change", 1000)]));

    // The key is another one for another subscription.
    let answer = client.post_with_key(&path(&other), "once", &body).await;
    assert_eq!(answer.header("idempotent-replayed"), None);
    assert_eq!(answer.ok()["id"], json!(other));

    // Without keys each has its effect, one after the other.
    let seats = |seats: u32| json!({ "quantities": { "seats": seats.to_string() }, "when": "now" });
    let bodies: Vec<Value> = (6..10).map(seats).collect();
    let answers = join_all(bodies.iter().map(|body| client.post(&change, body))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let rows = invoices(&client).await;
    assert_eq!(rows.len(), 8);
    let numbers: BTreeSet<_> = rows.iter().map(|row| text(&row["number"])).collect();
    assert_eq!(numbers.len(), 8);
    // Whatever the order, the amounts telescope to the seats it has now: half a month of 10.00 each.
    let subscription = client.get(&format!("/v1/subscriptions/{id}")).await.ok();
    let seats: i64 = text(&subscription["quantities"]["seats"]).parse().expect("a number");
    let of_it = rows.iter().filter(|row| row["subscription"] == json!(id) && row["reason"] == "change");
    let subtotal: i64 = of_it.map(|row| row["subtotal_minor"].as_i64().expect("an amount")).sum();
    assert_eq!(subtotal, (seats - 3) * 500);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_its_place() {
    let platform = Platform::start().await;
    let client = in_june(&platform, "ada").await;
    let customer = client.customer("ada").await;
    let mut euros = plan("euros", "20.00", "0.10");
    euros["currency"] = json!("eur");
    client.create("/v1/plans", &euros).await;
    let mut weekly = plan("weekly", "20.00", "0.10");
    weekly["interval"] = json!("week");
    client.create("/v1/plans", &weekly).await;
    for (fields, pointer) in [
        (json!({ "anchor_day": 32 }), "/anchor_day"),
        (json!({ "anchor_day": 0 }), "/anchor_day"),
        (json!({ "anchor_day": 1, "billing_cycle": "calendar" }), "/anchor_day"),
        (json!({ "anchor_day": 1, "plan": "weekly" }), "/anchor_day"),
        (json!({ "trial_days": 4000 }), "/trial_days"),
        (json!({ "end_at": "2026-06-01T23:00:00Z" }), "/end_at"),
        (json!({ "quantities": {} }), "/quantities/seats"),
        (json!({ "quantities": { "seats": "1", "a/b": "1" } }), "/quantities/a~1b"),
        (json!({ "start_at": "1066-10-14T09:00:00Z" }), "/start_at"),
    ] {
        let mut body = team(&customer);
        body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        let problem = client.post("/v1/subscriptions", &body).await.problem(422, "rule_violated");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let mut body = team(&customer);
    body["anchor_day"] = json!(31);
    body["end_at"] = json!("2026-12-01T00:00:00Z");
    let created = client.post("/v1/subscriptions", &body).await.ok();
    assert_eq!((&created["anchor_day"], &created["end_at"]), (&json!(31), &json!("2026-12-01T00:00:00Z")));
    assert_eq!(created["next_boundary"], "2026-06-30");

    let id = text(&created["id"]);
    let traces = platform.traces(&client.tenant).await;
    for (body, code, pointer) in [
        (json!({ "plan": "none" }), "unknown_plan", Some("/plan")),
        (json!({ "plan": "euros" }), "currency_mismatch", Some("/plan")),
        (json!({ "quantities": { "desks": "1" } }), "rule_violated", Some("/quantities/desks")),
        (json!({ "quantities": { "seats": "-1" } }), "rule_violated", Some("/quantities/seats")),
        (json!({ "quantities": { "desks": "1" }, "when": "period_end" }), "rule_violated", Some("/quantities/desks")),
        (json!({}), "nothing_to_change", None),
    ] {
        let problem = act(&client, &id, "change", body).await.problem(422, code);
        assert_eq!(problem["errors"][0]["pointer"].as_str(), pointer, "{problem}");
    }
    assert_eq!(platform.traces(&client.tenant).await, traces);
}

#[tokio::test]
async fn nobody_acts_on_another_tenants_subscription() {
    let platform = Platform::start().await;
    let client = in_june(&platform, "ada").await;
    let id = subscribed(&client).await;
    let bob = in_june(&platform, "bob").await;
    bob.create("/v1/coupons", &json!({ "key": "ten", "percent_off": "10", "duration": "once" })).await;
    let traces = (platform.traces(&client.tenant).await, platform.traces(&bob.tenant).await);
    for (action, body) in actions() {
        act(&bob, &id, action, body.clone()).await.problem(404, "not_found");
        act(&client, "sub_none", action, body).await.problem(404, "not_found");
    }
    for read in ["usage", "upcoming_invoice"] {
        bob.get(&format!("/v1/subscriptions/{id}/{read}")).await.problem(404, "not_found");
    }
    // Nor does bob's coupon fit ada's subscription.
    act(&client, &id, "apply_coupon", json!({ "coupon": "ten" })).await.problem(422, "unknown_coupon");
    assert_eq!((platform.traces(&client.tenant).await, platform.traces(&bob.tenant).await), traces);
}
