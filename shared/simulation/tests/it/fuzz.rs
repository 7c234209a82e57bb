//! Fuzzing: no bytes make the parser panic, no story breaks a law or the simulation.
//!
//! Two seconds each by default. For ten minutes each:
//! `BOLERO_RANDOM_TEST_TIME_MS=600000 cargo nextest run -p simulation -E 'test(fuzz)'`. A failure names its seed;
//! `BOLERO_RANDOM_SEED=<seed>` tells it again, first of all.

use std::{fs, path::Path, time::Duration};

use bolero::check;
use serde_json::{Value, json};
use simulation::{Scenario, simulate};

use crate::{
    laws::{assert_laws, assert_names_a_path},
    random::{Choices, story},
};

/// How long a target runs unless the environment says otherwise.
const TEST_TIME: Duration = Duration::from_secs(2);

/// Most bytes of an input: those of a story with a couple of dozen entries, and as long as the shorter scenarios.
const MAX_BYTES: usize = 2_048;

/// Mutations of one scenario.
const MAX_MUTATIONS: usize = 6;

/// Last year of a mutated scenario: what it may bill is limited, but that limit takes a while to reach.
const LAST_YEAR: i16 = 2_026;

/// Values that do not fit, or only just.
const ODD: [&str; 34] = [
    "null",
    "true",
    "0",
    "-1",
    "1",
    "2",
    "31",
    "32",
    "255",
    "65535",
    "4294967295",
    "9223372036854775807",
    "1.5",
    "1e400",
    "[]",
    "{}",
    "[[]]",
    "\"\"",
    "\"0\"",
    "\"-0\"",
    "\"-1\"",
    "\"0.0000000000000000000000000001\"",
    "\"79228162514264337593543950335\"",
    "\"999999999999\"",
    "\"1e5\"",
    "\"\u{0}\n\u{1b}[2J\"",
    "\"usd\"",
    "\"jpy\"",
    "\"Pacific/Apia\"",
    "\"s1\"",
    "\"2024-02-29T23:59:60Z\"",
    "\"-009999-01-02T01:59:59Z\"",
    "\"9999-12-30T22:00:00.999999999Z\"",
    "\"2011-12-30T09:59:59+14:00\"",
];

/// The scenarios of the snapshots.
fn seeds() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let paths = fs::read_dir(folder).expect("the folder of scenarios").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    // A seed of the engine gives the same input everywhere.
    paths.sort();
    paths.iter().map(|path| serde_json::from_slice(&fs::read(path).expect("a scenario")).expect("JSON")).collect()
}

/// Reads bytes, which may be refused, but only in one line that names a path.
fn read(bytes: &[u8]) -> Option<Scenario> {
    match Scenario::parse(bytes) {
        Ok(scenario) => Some(scenario),
        Err(error) => {
            assert_names_a_path(&error);
            None
        }
    }
}

/// Puts something odd, or something from elsewhere, somewhere into a document.
fn mutate(document: &mut Value, choices: &mut Choices<'_>) {
    let paths = pointers(document);
    let target = &paths[choices.below(paths.len())];
    let other = document.pointer(&paths[choices.below(paths.len())]).cloned().unwrap_or_default();
    let odd = ODD[choices.below(ODD.len())];
    let kind = choices.below(4);
    let Some((parent, last)) = target.rsplit_once('/') else { return };
    let Some(parent) = document.pointer_mut(parent) else { return };
    match (kind, parent) {
        (0, Value::Object(members)) => drop(members.remove(last)),
        (0, Value::Array(elements)) => drop(elements.pop()),
        (1, Value::Array(elements)) => elements.push(other),
        (1, Value::Object(members)) => drop(members.insert("unknown".to_owned(), other)),
        (2, parent) => replace(parent, last, other),
        // Text that is no JSON (a number out of range) is put in as text.
        (_, parent) => replace(parent, last, serde_json::from_str(odd).unwrap_or_else(|_| json!(odd))),
    }
}

fn replace(parent: &mut Value, key: &str, value: Value) {
    match parent {
        Value::Object(members) => drop(members.insert(key.to_owned(), value)),
        Value::Array(elements) => elements[key.parse::<usize>().expect("an index")] = value,
        _ => {}
    }
}

/// Pointers to everything in a document.
fn pointers(document: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut next = 0;
    while let Some(pointer) = found.get(next).cloned() {
        next += 1;
        match document.pointer(&pointer) {
            Some(Value::Object(members)) => found.extend(members.keys().map(|key| format!("{pointer}/{key}"))),
            Some(Value::Array(elements)) => found.extend((0..elements.len()).map(|index| format!("{pointer}/{index}"))),
            _ => {}
        }
    }
    found
}

/// Whether a story ends soon enough to be told here.
fn ends_soon(document: &Value) -> bool {
    let until = document["until"].as_str().and_then(|until| until.parse::<jiff::Timestamp>().ok());
    until.is_some_and(|until| until.to_zoned(jiff::tz::TimeZone::UTC).year() <= LAST_YEAR)
}

#[test]
fn fuzz_the_parser_with_bytes() {
    let fragments = seeds().iter().map(ToString::to_string).collect::<Vec<_>>();
    check!().with_max_len(MAX_BYTES).with_test_time(TEST_TIME).for_each(|bytes: &[u8]| {
        read(bytes);
        // Bytes in the middle of a good scenario.
        let (mut choices, rest) = (Choices::new(bytes), bytes.get(4..).unwrap_or_default());
        let scenario = fragments[choices.below(fragments.len())].as_bytes();
        let place = choices.below(scenario.len());
        let patch = &rest[..rest.len().min(1 + choices.below(8))];
        let end = scenario.len().min(place + patch.len());
        read(&[&scenario[..place], patch, &scenario[end..]].concat());
    });
}

#[test]
fn fuzz_mutated_scenarios() {
    let seeds = seeds();
    check!().with_max_len(MAX_BYTES).with_test_time(TEST_TIME).for_each(|bytes: &[u8]| {
        let mut choices = Choices::new(bytes);
        let mut document = seeds[choices.below(seeds.len())].clone();
        for _ in 0..=choices.below(MAX_MUTATIONS) {
            mutate(&mut document, &mut choices);
        }
        let Some(scenario) = read(document.to_string().as_bytes()).filter(|_| ends_soon(&document)) else { return };
        if let Err(error) = simulate(&scenario) {
            assert_names_a_path(&error);
        }
    });
}

#[test]
fn fuzz_stories() {
    check!().with_max_len(MAX_BYTES).with_test_time(TEST_TIME).for_each(|bytes: &[u8]| assert_laws(&story(bytes)));
}
