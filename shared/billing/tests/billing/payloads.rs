//! Payloads wait in Redis while versions change: every one that was ever stored decodes, for ever.
//!
//! `tests/payloads` holds what a version wrote, as `<job>.<variant>.json`. When an encoding changes, the old file stays and the
//! new bytes go into `<job>.<variant>.2.json`, and so on; all of them hold the same values.

use std::{any::type_name, collections::BTreeMap, fs, path::Path};

use billing::jobs::{
    AdvanceOperation, AdvanceTestClock, CalculateUsage, CollectPayment, DeliverEvent, DeliverWebhook, DispatchEvents,
    FinishUsageReport, GenerateInvoices, ProcessGatewayEvent, RefundPayment, SealAudit, SendNotification,
    TriggerBillingCycle,
};
use queue::Job;

/// One variant of a payload as it is written today.
struct Sample {
    job: &'static str,
    /// The payload's type.
    of: &'static str,
    variant: &'static str,
    written: String,
    /// Decodes stored bytes and writes them again.
    rewrite: fn(&str) -> Result<String, serde_json::Error>,
}

fn sample<J: Job>(job: &J, variant: &'static str) -> Sample {
    let rewrite = |stored: &str| serde_json::to_string(&serde_json::from_str::<J>(stored)?);
    Sample { job: J::NAME, of: type_name::<J>(), variant, written: serde_json::to_string(job).unwrap(), rewrite }
}

fn collect_payment(payload: CollectPayment) -> Sample {
    // A new variant does not compile until it is named here.
    let variant = match &payload {
        CollectPayment::Chunk { .. } => "chunk",
        CollectPayment::Invoice { .. } => "invoice",
    };
    sample(&payload, variant)
}

fn send_notification(payload: SendNotification) -> Sample {
    let variant = match &payload {
        SendNotification::Chunk { .. } => "chunk",
        SendNotification::Notification { .. } => "notification",
    };
    sample(&payload, variant)
}

fn samples() -> Vec<Sample> {
    let (tenant, chunk) = (|| "ten_1".to_owned(), || "chk_1".to_owned());
    vec![
        sample(&TriggerBillingCycle { tenant: tenant(), run: "run_1".to_owned() }, "run"),
        sample(&CalculateUsage { tenant: tenant(), chunk: chunk(), pass: 2 }, "pass"),
        sample(&GenerateInvoices { tenant: tenant(), chunk: chunk(), pass: 2 }, "pass"),
        sample(&FinishUsageReport { tenant: tenant(), report: "urp_1".to_owned() }, "report"),
        collect_payment(CollectPayment::Chunk { tenant: tenant(), chunk: chunk() }),
        collect_payment(CollectPayment::Invoice { tenant: tenant(), invoice: "inv_1".to_owned() }),
        send_notification(SendNotification::Chunk { tenant: tenant(), chunk: chunk() }),
        send_notification(SendNotification::Notification { tenant: tenant(), notification: "ntf_1".to_owned() }),
        sample(&DispatchEvents { tenant: tenant() }, "tenant"),
        sample(&DeliverEvent { tenant: tenant(), delivery: "dlv_1".to_owned() }, "delivery"),
        sample(&SealAudit { tenant: tenant() }, "tenant"),
        sample(&DeliverWebhook { tenant: tenant(), delivery: "whd_1".to_owned() }, "delivery"),
        sample(&RefundPayment { tenant: tenant(), refund: "re_1".to_owned() }, "refund"),
        sample(&ProcessGatewayEvent { tenant: tenant(), event: "gev_1_evt_1".to_owned() }, "event"),
        sample(&AdvanceOperation { tenant: tenant(), operation: "op_1".to_owned() }, "operation"),
        sample(&AdvanceTestClock { tenant: tenant(), clock: "clk_1".to_owned() }, "clock"),
    ]
}

/// (job, variant) -> generation -> stored bytes.
fn golden_files() -> BTreeMap<(String, String), BTreeMap<u32, String>> {
    let mut files: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/payloads");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let (job, variant, generation) = match name.split('.').collect::<Vec<_>>()[..] {
            [job, variant, "json"] => (job, variant, 1),
            [job, variant, generation, "json"] => (job, variant, generation.parse().unwrap()),
            _ => panic!("{name} is not <job>.<variant>.json"),
        };
        let stored = fs::read_to_string(&path).unwrap().trim_end().to_owned();
        files.entry((job.to_owned(), variant.to_owned())).or_default().insert(generation, stored);
    }
    files
}

#[test]
fn every_payload_ever_stored_decodes() {
    let mut files = golden_files();
    for Sample { job, variant, written, rewrite, .. } in samples() {
        let generations = files.remove(&(job.to_owned(), variant.to_owned()));
        let generations = generations.unwrap_or_else(|| panic!("{job}.{variant}.json is missing: {written}"));
        for (generation, stored) in &generations {
            let again = rewrite(stored).unwrap_or_else(|error| panic!("{job}.{variant} {generation}: {error}"));
            assert_eq!(again, written, "{job}.{variant}, generation {generation}, has lost something");
        }
        let (newest, stored) = generations.last_key_value().unwrap();
        let next = newest + 1;
        assert_eq!(&written, stored, "the encoding has changed: keep the old files, add {job}.{variant}.{next}.json");
    }
    assert!(files.is_empty(), "stored payloads of jobs or variants that are gone: {:?}", files.keys());
}

#[test]
fn every_job_has_a_name_of_its_own_and_a_stored_payload() {
    let mut types = BTreeMap::new();
    for Sample { job, of, .. } in samples() {
        // Two types under one name would decode each other's payloads.
        assert_eq!(*types.entry(job).or_insert(of), of, "{job}");
    }
    assert_eq!(types.into_keys().collect::<Vec<_>>(), workers::job_names());
}
