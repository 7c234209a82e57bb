//! `ratchet queues`.

use serde_json::json;

use crate::harness::{Charge, Platform};

#[tokio::test]
async fn queues_are_shown_as_a_table_and_as_the_api_shows_them() {
    let platform = Platform::start().await;
    platform.bury(vec![Charge::of("ten_1", "inv_1")]).await;
    platform.enqueue(vec![Charge::of("ten_1", "inv_2"), Charge::of("ten_2", "inv_3")]).await;
    let list = platform.ratchet(&["queues", "--json"]).json();
    let rows = list["data"].as_array().expect("a list");
    let row = rows.iter().find(|row| row["name"] == "payments").expect("the queue");
    assert_eq!((&list["object"], rows.len()), (&json!("list"), billing::jobs::queues::ALL.len()));
    assert_eq!((&row["ready"], &row["dead"], &row["paused"]), (&json!(2), &json!(1), &json!(null)));
    let mut one = platform.ratchet(&["queues", "payments", "--json"]).json();
    assert_eq!(one["history"].as_array().map(Vec::len), Some(60));
    let fields = one.as_object_mut().expect("an object");
    fields.retain(|name, _| name != "history" && name != "limits");
    assert!(fields.keys().eq(row.as_object().expect("an object").keys()), "{one}");

    let table = platform.ratchet(&["queues"]).ok();
    let line = table.lines().find(|line| line.contains("payments")).expect("a line");
    let words: Vec<_> = line.split_whitespace().collect();
    // No colour where there is no terminal; what it would say stands there as a word.
    assert_eq!(words[..7], ["payments", "no", "workers", "2", "0", "0", "0"], "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
    let detail = platform.ratchet(&["queues", "payments"]).ok();
    assert!(detail.contains("last 60 minutes") && detail.contains("failed"), "{detail}");
}

#[tokio::test]
async fn a_pause_says_who_and_why_and_ends() {
    let platform = Platform::start().await;
    platform.ratchet(&["queues", "pause", "payments", "--reason", "the gateway is down"]).ok();
    platform.ratchet(&["queues", "pause", "payments", "--job", "charge", "--reason", "r", "--by", "bob"]).ok();
    let table = platform.ratchet(&["queues"]).ok();
    assert!(table.contains("queue payments was paused by ada") && table.contains("the gateway is down"), "{table}");
    assert!(table.contains("job charge of queue payments was paused by bob"), "{table}");
    let queue = platform.ratchet(&["queues", "payments", "--json"]).json();
    assert_eq!((&queue["paused"]["by"], &queue["paused_jobs"][0]["job"]), (&json!("ada"), &json!("charge")));
    platform.ratchet(&["queues", "resume", "payments"]).ok();
    platform.ratchet(&["queues", "resume", "payments", "--job", "charge"]).ok();
    let again = platform.ratchet(&["queues", "resume", "payments"]).refused();
    assert!(again.contains("queue payments is not paused"), "{again}");
    let unknown = platform.ratchet(&["queues", "pause", "paymants", "--reason", "r"]).refused();
    assert!(unknown.contains("there is no such queue") && unknown.contains("payments"), "{unknown}");
    let silent = platform.ratchet(&["queues", "pause", "payments"]).refused();
    assert!(silent.contains("--reason"), "{silent}");
}

#[tokio::test]
async fn a_limit_is_set_shown_and_removed() {
    let platform = Platform::start().await;
    let limit = |arguments: &[&str]| {
        platform.ratchet(&[&["queues", "limit", "payments", "gateway:stripe"], arguments].concat())
    };
    limit(&["--concurrency", "3", "--rate", "100/60", "--burst", "5"]).ok();
    let shown = platform.ratchet(&["queues", "payments", "--json"]).json();
    let rate = json!({ "units": 100, "per_seconds": 60, "burst": 5 });
    let expected = json!([{ "key": "gateway:stripe", "concurrency": 3, "rate": rate, "in_use": 0, "parked": 0 }]);
    assert_eq!(shown["limits"], expected);
    let table = platform.ratchet(&["queues", "payments"]).ok();
    assert!(table.contains("100 per 60 s"), "{table}");
    limit(&["--remove"]).ok();
    assert!(limit(&["--remove"]).refused().contains("no limit is set"));
    assert!(limit(&[]).refused().contains("--concurrency"));
    assert!(limit(&["--rate", "fast"]).refused().contains("100/60"));
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_ends_the_watching() {
    let platform = Platform::start().await;
    let watched = platform.shell("ratchet queues --watch --json | head -n 1");
    assert_eq!(watched.err, "");
    let line: serde_json::Value = serde_json::from_str(&watched.ok()).expect("one line of JSON");
    assert_eq!(line["object"], "list");
}
