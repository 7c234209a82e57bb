//! Scenarios: a story in JSON each, and the invoices that result, as snapshots beside them.

use std::{fs, path::Path};

use simulation::{Scenario, simulate};

/// Every scenario file, by name.
fn scenarios() -> Vec<(String, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder of scenarios") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = fs::read(&path).expect("a scenario");
            let scenario = Scenario::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            found.push((name, scenario));
        }
    }
    assert!(!found.is_empty(), "no scenario found");
    found
}

#[test]
fn scenarios_give_the_invoices_of_their_snapshots() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../scenarios");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, scenario) in scenarios() {
            let output = simulate(&scenario).unwrap_or_else(|error| panic!("{name}: {error}"));
            insta::assert_json_snapshot!(name, output);
        }
    });
}
