//! Drives the real program over a real Redis, with amounts that take a moment. No assertion on speed: that is for the
//! table to show.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ratchet-bench");

fn bench(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

#[test]
fn quick_queue_prints_a_table_and_writes_json_and_a_chart() {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(&["queue", "--quick", "--out", folder.path().to_str().unwrap()]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let json: Value = serde_json::from_slice(&fs::read(folder.path().join("queue.json")).unwrap()).unwrap();
    let svg = fs::read_to_string(folder.path().join("queue.svg")).unwrap();
    let chart = roxmltree::Document::parse(&svg).unwrap();
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    for row in rows {
        let name = row["name"].as_str().unwrap();
        assert!(table.contains(name), "{name} is missing in\n{table}");
        assert!(chart.descendants().any(|node| node.text() == Some(name)), "{name} is missing in the chart");
    }
    for row in &rows[..3] {
        for side in ["ratchet", "floor", "stock", "times_floor", "stock_times_ratchet"] {
            assert!(row[side].as_f64().unwrap() > 0.0, "{side} of {row}");
        }
    }
    let verdicts = table.matches("holds").count() + table.matches("missed").count();
    assert_eq!(verdicts, rows.len(), "{table}");
}

#[test]
fn the_sides_can_be_driven_alone_and_say_in_their_last_line_how_long_it_took() {
    let folder = tempfile::tempdir().unwrap();
    let redis = services::Redis::start(&folder.path().canonicalize().unwrap()).unwrap();
    let last_line = |arguments: &[&str]| {
        let output = Command::new(PROGRAM).args(arguments).env("REDIS_URL", redis.url()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().next_back().unwrap().to_owned()
    };
    let enqueued = last_line(&["enqueue", "1200"]);
    assert!(enqueued.strip_suffix(" s").unwrap().parse::<f64>().unwrap() > 0.0, "{enqueued}");
    let worked = last_line(&["work", "1200", "10"]);
    let (seconds, jobs) = worked.split_once(" s ").unwrap();
    assert!(seconds.parse::<f64>().unwrap() > 0.0, "{worked}");
    assert_eq!(jobs, "1200 jobs");
}

#[test]
fn without_redis_it_says_so_and_fails() {
    // Port 1 (tcpmux) is served nowhere.
    for arguments in [&["enqueue", "1"][..], &["work", "1", "1"]] {
        let output = Command::new(PROGRAM).args(arguments).env("REDIS_URL", "redis://127.0.0.1:1").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("error: ") && said.contains("Redis"), "{said}");
    }
}
