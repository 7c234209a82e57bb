//! `ratchet dlq`.

use std::process::Stdio;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::harness::{Charge, LOOK_EVERY, Platform, Printed};

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().expect("a list").iter().map(|row| row["id"].as_str().expect("an id")).collect()
}

/// Twenty of one cause, of two tenants, and one of another.
async fn letters(platform: &Platform) -> Vec<String> {
    let of = |number: usize| Charge::of(["ten_1", "ten_2"][number % 2], &format!("inv_{number}"));
    let mut letters = platform.bury((0..20).map(of).collect()).await;
    letters.append(&mut platform.bury(vec![Charge::of("ten_gone", "inv_20")]).await);
    letters
}

#[tokio::test]
async fn dead_letters_are_listed_filtered_and_grouped() {
    let platform = Platform::start().await;
    assert_eq!(platform.ratchet(&["dlq", "list"]).ok(), "no dead letters\n");
    let all = letters(&platform).await;
    let page = platform.ratchet(&["dlq", "list", "--json", "--limit", "15"]).json();
    assert_eq!((ids(&page).len(), ids(&page)[0], &page["has_more"]), (15, &*all[20], &json!(true)));
    let rest = platform.ratchet(&["dlq", "list", "--json", "--starting-after", ids(&page)[14]]).json();
    assert_eq!((ids(&rest).len(), &rest["has_more"]), (6, &json!(false)));
    for (arguments, count) in [
        (&["--tenant", "ten_1"][..], 10),
        (&["--tenant", "ten_1", "--code", "gateway_gone"], 0),
        (&["--code", "gateway_gone"], 1),
        (&["--queue", "invoices"], 0),
        (&["--since", "1h"], 20),
        (&["--until", "1h"], 0),
    ] {
        let list = platform.ratchet(&[&["dlq", "list", "--json"], arguments].concat()).json();
        assert_eq!(ids(&list).len(), count, "{arguments:?}");
    }
    let groups = platform.ratchet(&["dlq", "groups", "--json"]).json();
    let seen: Vec<_> =
        groups["data"].as_array().expect("a list").iter().map(|g| (&g["count"], &g["tenants"])).collect();
    assert_eq!(seen, [(&json!(20), &json!(2)), (&json!(1), &json!(1))]);
    let table = platform.ratchet(&["dlq", "groups"]).ok();
    assert!(table.contains("card_refused") && table.contains("the gateway is gone"), "{table}");
    let table = platform.ratchet(&["dlq", "list", "--limit", "1"]).ok();
    assert!(table.contains(&format!("more with --starting-after {}", all[20])), "{table}");
}

#[tokio::test]
async fn a_dead_letter_is_shown_and_edited_without_its_secrets() {
    let platform = Platform::start().await;
    let id = platform.bury(vec![Charge::of("ten_1", "inv_1")]).await.remove(0);
    let shown = platform.ratchet(&["dlq", "show", &id]).ok();
    assert!(shown.contains("attempt 1 failed") && shown.contains("***") && !shown.contains("pm_1"), "{shown}");
    let payload = r#"{ "tenant": "ten_fine", "invoice": "inv_1", "payment_method": "***" }"#;
    let edit = ["dlq", "edit", &id, "--payload", payload, "--reason", "the wrong tenant"];
    let change = platform.ratchet(&edit).ok();
    assert!(
        change.contains("-   \"tenant\": \"ten_1\"") && change.contains("+   \"tenant\": \"ten_fine\""),
        "{change}"
    );
    let letter = platform.client.dead_letter("payments", id.trim_start_matches("job_")).await.expect("Redis");
    let stored: Value = serde_json::from_str(&letter.expect("the letter").payload).expect("JSON");
    assert_eq!(stored, json!({ "tenant": "ten_fine", "invoice": "inv_1", "payment_method": "pm_1" }));
    let broken = platform.ratchet(&["dlq", "edit", &id, "--payload", "{", "--reason", "r"]).refused();
    assert!(broken.contains("not JSON"), "{broken}");

    platform.ratchet(&["dlq", "retry", &id, "--reason", "set right"]).ok();
    platform.work().await;
    assert_eq!(platform.dead().await, 0);
}

#[tokio::test]
async fn letters_are_handled_by_their_ids() {
    let platform = Platform::start().await;
    let all = letters(&platform).await;
    let outcomes = platform.ratchet(&["dlq", "discard", &all[0], &all[1], "--reason", "paid", "--json"]).json();
    let discarded = |id: &str| json!({ "id": id, "outcome": "discarded" });
    assert_eq!(outcomes, json!([discarded(&all[0]), discarded(&all[1])]));
    let again = platform.ratchet(&["dlq", "retry", &all[1], &all[2], "--reason", "r"]);
    assert!(again.out.contains(&format!("{} is no dead letter", all[1])), "{again:?}");
    assert!(again.out.contains(&format!("{} is back in its queue", all[2])), "{again:?}");
    assert!(again.refused().contains("1 of 2 were left"));
    assert_eq!(platform.dead().await, 18);
    let changes = platform.client.dead_changes("payments", 100).await.expect("the journal");
    let last = changes.last().and_then(|change| change.by.clone()).expect("somebody");
    assert_eq!((&*last.who, &*last.reason), ("ada", "r"));

    for (arguments, said) in [
        (&["dlq", "retry", "--reason", "r"][..], "--matching"),
        (&["dlq", "retry", "--matching"], "--reason"),
        (&["dlq", "discard", "--matching", "--reason", " "], "--reason"),
        (&["dlq", "retry", &all[3], "--matching", "--reason", "r"], "--matching"),
        (&["dlq", "retry", &all[3], "--code", "x", "--reason", "r"], "--matching"),
    ] {
        let refused = platform.ratchet(arguments).refused();
        assert!(refused.contains(said), "{arguments:?}: {refused}");
    }
    assert_eq!(platform.dead().await, 18);
}

#[tokio::test]
async fn all_that_match_are_handled_and_a_dry_run_does_nothing() {
    let platform = Platform::start().await;
    letters(&platform).await;
    let matching = ["dlq", "discard", "--matching", "--tenant", "ten_2", "--reason", "closed", "--pace", "1000"];
    let dry = platform.ratchet(&[&matching[..], &["--dry-run"]].concat()).ok();
    assert!(dry.contains("10 dead letters match; nothing was done"), "{dry}");
    assert_eq!(platform.dead().await, 21);
    let done = platform.ratchet(&[&matching[..], &["--json"]].concat()).json();
    let expected = json!({ "object": "operation", "kind": "discard_dead_letters", "dry_run": false,
        "state": "completed", "expected": 10, "matched": 10, "done": 10, "skipped": 0 });
    assert_eq!((done, platform.dead().await), (expected, 11));
    let none = platform.ratchet(&matching).ok();
    assert!(none.contains("0 of 0 dead letters are given up"), "{none}");
}

#[tokio::test]
async fn what_was_interrupted_goes_on_with_the_command_that_it_prints() {
    let platform = Platform::start().await;
    letters(&platform).await;
    let mut command = platform.command(&["dlq", "retry", "--matching", "--code", "card_refused"]);
    command.args(["--reason", "the gateway's back", "--pace", "1"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = command.spawn().expect("the binary");
    while platform.dead().await == 21 {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let id = i32::try_from(running.id()).expect("a process id");
    kill(Pid::from_raw(id), Signal::SIGINT).expect("a signal");
    let interrupted = Printed::of(running.wait_with_output().expect("an end"));
    let left = platform.dead().await;
    assert!(left > 1, "{left} are left");
    let said = interrupted.refused();
    let line = said.lines().find(|line| line.starts_with("ratchet dlq retry")).expect("a command");
    assert!(line.contains("--until 20") && line.contains("--pace 1"), "{line}");

    let done = platform.shell(&line.replace("--pace 1", "--pace 1000")).ok();
    assert!(done.contains(&format!("{0} of {0} dead letters are back in their queues", left - 1)), "{done}");
    assert_eq!(platform.dead().await, 1);
}
