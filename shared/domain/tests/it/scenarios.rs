//! Scenarios: a story in JSON each, and the invoices that result, as snapshots beside them.

use std::{fs, path::Path};

use crate::simulation::{Scenario, Simulation};

/// Every scenario file, by name.
fn scenarios() -> Vec<(String, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            let scenario = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
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
            insta::assert_json_snapshot!(name, Simulation::run(&scenario).output());
        }
    });
}

#[test]
fn recomputing_an_invoice_from_its_frozen_inputs_gives_the_same_bytes() {
    for (name, scenario) in scenarios() {
        for content in Simulation::run(&scenario).invoices() {
            let bytes = serde_json::to_string(content).unwrap();
            let frozen: domain::InvoiceContent = serde_json::from_str(&bytes).unwrap();
            let recomputed = serde_json::to_string(&frozen.recompute().unwrap()).unwrap();
            assert_eq!(recomputed, bytes, "{name}");
        }
    }
}
