//! `ratchet simulate`.

use std::{
    io::{Read as _, Write as _},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_ratchet");

fn scenario() -> Value {
    json!({
        "customer": { "currency": "usd" },
        "plans": [{ "key": "pro", "currency": "usd", "interval": "month", "prices": [
            { "key": "base", "kind": "fixed", "timing": "advance", "model": { "type": "flat", "amount": "49.00" } },
        ] }],
        "timeline": [{ "at": "2024-01-31T05:00:00Z", "do": "subscribe", "subscription": "s1", "plan": "pro" }],
        "until": "2024-02-01T00:00:00Z",
    })
}

/// Runs the command with a scenario on standard input.
fn simulate(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(BINARY);
    command.arg("simulate").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("read by the command");
    drop(stdin);
    child.wait_with_output().expect("its end")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// The one line of a refused scenario.
fn refused(output: &Output) -> &str {
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""));
    let line = text(&output.stderr).strip_suffix('\n').expect("a line");
    assert!(!line.contains('\n'), "{line}");
    line
}

#[test]
fn a_scenario_gives_its_invoices_as_json_and_as_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.json");
    std::fs::write(&file, scenario().to_string()).expect("a file");
    let from_file = simulate(&[file.to_str().expect("UTF-8")], "");
    let from_input = simulate(&["-"], &scenario().to_string());
    assert_eq!((from_file.status.code(), text(&from_file.stderr)), (Some(0), ""));
    assert_eq!(text(&from_file.stdout), text(&from_input.stdout));
    let output: Value = serde_json::from_slice(&from_file.stdout).expect("JSON");
    assert_eq!(
        (&output["invoices"][0]["total_minor"], &output["invoices"][0]["status"]),
        (&json!(4900), &json!("open"))
    );

    let shown = simulate(&["-", "--format", "text"], &scenario().to_string());
    let page = text(&shown.stdout);
    assert!(page.starts_with("Invoice 1 ") && page.contains("usd 49.00") && !page.contains('\u{1b}'), "{page}");
}

#[test]
fn a_bad_scenario_is_one_line_with_the_place() {
    let mut bad = scenario();
    bad["plans"][0]["prices"][0]["model"] = json!({ "type": "graduated", "tiers": [
        { "up_to": "1000", "unit_amount": "1" },
        { "up_to": "1000", "unit_amount": "2" },
        { "up_to": null, "unit_amount": "3" },
    ] });
    let place = "plans[0].prices[0].model.tiers[1].up_to must be above 1000";
    assert_eq!(refused(&simulate(&["-"], &bad.to_string())), format!("ratchet: standard input: {place}"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad.json");
    std::fs::write(&file, bad.to_string()).expect("a file");
    let file = file.to_str().expect("UTF-8");
    assert_eq!(refused(&simulate(&[file], "")), format!("ratchet: {file}: {place}"));
    assert!(refused(&simulate(&["-"], "")).contains("scenario is not JSON"));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("missing.json");
    let missing = missing.to_str().expect("UTF-8");
    let output = simulate(&[missing], "");
    assert!(refused(&output).starts_with(&format!("ratchet: {missing}: cannot be read: ")));
}

#[test]
fn whoever_has_seen_enough_may_stop_reading() {
    let mut long = scenario();
    long["until"] = json!("2064-01-01T00:00:00Z");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("long.json");
    std::fs::write(&file, long.to_string()).expect("a file");
    let mut command = Command::new(BINARY);
    command.arg("simulate").arg(&file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    // The result is far longer than a pipe holds.
    let mut first = [0; 1];
    child.stdout.take().expect("piped").read_exact(&mut first).expect("a byte");
    let output = child.wait_with_output().expect("its end");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}
