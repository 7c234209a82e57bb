//! `ratchet jobs`.

use serde_json::json;

use crate::harness::{Charge, Platform};

#[tokio::test]
async fn a_job_tells_its_story_until_it_is_finished() {
    let platform = Platform::start().await;
    let gone = platform.bury(vec![Charge::of("ten_gone", "inv_1")]).await.remove(0);
    let story = platform.ratchet(&["jobs", &gone]).ok();
    let place = |what: &str| story.find(what).unwrap_or_else(|| panic!("{what}: {story}"));
    let places = ["enqueued", "attempt 1 failed", "attempt 2 failed", "now dead", "payload"].map(place);
    assert!(places.is_sorted(), "{story}");
    assert!(story.contains("gateway_gone: the gateway is gone (on test-worker"), "{story}");
    assert!(story.contains("\"payment_method\": \"***\"") && !story.contains("pm_1"), "{story}");
    let shown = platform.ratchet(&["jobs", gone.trim_start_matches("job_"), "--json"]).json();
    assert_eq!((&shown["id"], &shown["state"], &shown["attempt"]), (&json!(gone), &json!("dead"), &json!(2)));
    assert_eq!(shown["payload"]["payment_method"], "***");

    let fine = platform.bury(vec![Charge::of("ten_fine", "inv_2")]).await.remove(0);
    let missing = platform.ratchet(&["jobs", &fine]).refused();
    assert!(missing.contains("no such job") && missing.contains("leaves nothing behind"), "{missing}");
}

#[tokio::test]
async fn jobs_are_listed_by_queue_and_state() {
    let platform = Platform::start().await;
    assert_eq!(platform.ratchet(&["jobs"]).ok(), "no jobs\n");
    let dead = platform.bury(vec![Charge::of("ten_1", "inv_1")]).await;
    let ready = platform.enqueue(vec![Charge::of("ten_1", "inv_2")]).await;
    let ids = |arguments: &[&str]| {
        let list = platform.ratchet(&[&["jobs", "--json"], arguments].concat()).json();
        let rows = list["data"].as_array().expect("a list").iter();
        rows.map(|row| row["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[]), [&ready[..], &dead[..]].concat());
    assert_eq!(ids(&["--state", "dead"]), dead);
    assert_eq!(ids(&["--queue", "payments", "--state", "ready"]), ready);
    assert_eq!(ids(&["--queue", "invoices"]), [""; 0]);
    let table = platform.ratchet(&["jobs"]).ok();
    assert!(table.contains("card_refused: invoice \"inv_1\" was refused"), "{table}");
}
