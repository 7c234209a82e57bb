//! Laws of simulation: what holds for any story.

use std::collections::{BTreeMap, BTreeSet};

use domain::{InvoiceStatus, LineKind};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};
use simulation::{InvoiceOutput, Output, Scenario, SimulationError};

use crate::{
    random::{Choices, Story, model, story, tell, usage_model},
    story::{at, plan, scenario, subscribe, usage, usage_price, with},
};

/// Bytes enough for some plans and a couple of dozen entries.
const BYTES: std::ops::Range<usize> = 0..600;

/// Stories of a run: each is told some dozen times while it is drawn.
const CASES: u32 = 48;

/// Stories of which every verb is a part.
const STORIES: u64 = 24;

fn stories() -> impl Strategy<Value = Story> {
    vec(any::<u8>(), BYTES).prop_map(|bytes| story(&bytes))
}

/// What holds for every story.
pub(crate) fn assert_laws(story: &Story) {
    let Story { scenario, output, refused } = story;
    assert_eq!(tell(scenario).as_ref(), Ok(output), "told again it is another one");
    refused.iter().for_each(assert_names_a_part);
    for (number, invoice) in (1..).zip(&output.invoices) {
        assert_eq!(invoice.invoice, number);
        assert_adds_up(invoice, output);
        assert_notes(invoice, output);
    }
    assert!(output.invoices.is_sorted_by_key(|invoice| invoice.issued_at), "invoices are in order");
    assert_credits(output);
    assert_balance(scenario, output);
}

/// An error is one line that begins with a path.
pub(crate) fn assert_names_a_path(error: &SimulationError) {
    assert!(!error.path.is_empty() && !error.path.contains(' ') || error.path.contains("[\""), "{error}");
    assert!(!error.rule.is_empty() && !error.to_string().contains(['\n', '\r']), "{error}");
}

/// The error of an entry that was left out names a part of the story that can be wrong there.
fn assert_names_a_part(error: &SimulationError) {
    assert_names_a_path(error);
    assert!(error.path.starts_with("timeline[") || error.path == "until", "{error}");
}

fn assert_adds_up(invoice: &InvoiceOutput, output: &Output) {
    let sum = |of: fn(&simulation::LineOutput) -> i64| invoice.lines.iter().map(of).sum::<i64>();
    assert!(!invoice.lines.is_empty(), "an invoice without lines");
    assert_eq!(invoice.subtotal_minor, sum(|line| line.amount_minor));
    assert_eq!(invoice.discount_minor, sum(|line| line.discount_minor));
    assert_eq!(invoice.tax_minor, sum(|line| line.tax_minor));
    assert_eq!(invoice.total_minor, balance_of(invoice).max(0));
    let notes = output.credit_notes.iter().filter(|note| note.invoice == invoice.invoice);
    let offset: i64 = notes.map(|note| note.offset_minor).sum();
    let paid = invoice.wallet_applied_minor + invoice.credit_applied_minor;
    assert_eq!(invoice.amount_due_minor, invoice.total_minor - paid - offset);
    let parts = [invoice.wallet_applied_minor, invoice.credit_applied_minor, invoice.amount_due_minor, offset];
    assert!(parts.iter().all(|part| *part >= 0), "{parts:?}");
    for line in &invoice.lines {
        let most = line.amount_minor.max(0);
        assert!((0..=most).contains(&line.discount_minor), "{line:?}");
        assert!(!line.explain.is_empty(), "{line:?}");
        assert!(line.period.start <= line.period.end, "{line:?}");
    }
}

/// Subtotal less discount plus tax, which may be below zero.
fn balance_of(invoice: &InvoiceOutput) -> i64 {
    invoice.subtotal_minor - invoice.discount_minor + invoice.tax_minor
}

/// The notes of an invoice credit no more than it, nor more of a line than its amount; all of their money goes somewhere.
fn assert_notes(invoice: &InvoiceOutput, output: &Output) {
    let mut credited = BTreeMap::<u32, i64>::new();
    let mut total_minor = 0;
    for note in output.credit_notes.iter().filter(|note| note.invoice == invoice.invoice) {
        total_minor += note.total_minor;
        assert_eq!(note.total_minor, note.amount_minor - note.discount_minor + note.tax_minor);
        assert_eq!(note.total_minor, note.offset_minor + note.balance_minor + note.refund_minor);
        for line in &note.lines {
            *credited.entry(line.line).or_default() += line.amount_minor;
        }
    }
    assert!(total_minor <= invoice.total_minor, "invoice {}", invoice.invoice);
    for (number, amount_minor) in credited {
        let line = &invoice.lines[usize::try_from(number).expect("a number") - 1];
        assert!(amount_minor.abs() <= line.amount_minor.abs(), "{line:?}");
    }
}

/// Nobody gets back more for unused days than was billed.
fn assert_credits(output: &Output) {
    let mut left = BTreeMap::<(&Option<String>, &Option<String>), i64>::new();
    for invoice in &output.invoices {
        for line in invoice.lines.iter().filter(|line| line.price.is_some()) {
            let is_credit = line.kind == LineKind::Proration;
            let own = left.entry((&invoice.subscription, &line.price)).or_default();
            *own += line.amount_minor - line.discount_minor;
            assert!(!is_credit || *own >= 0, "{line:?}");
        }
    }
}

/// The balance is what was put in and what invoices and notes gave, less what invoices took; void invoices did neither.
fn assert_balance(scenario: &Value, output: &Output) {
    let entries = scenario["timeline"].as_array().into_iter().flatten();
    let given: i64 = entries
        .filter(|entry| entry["do"] == "credit_balance")
        .filter_map(|entry| entry["amount_minor"].as_i64())
        .sum();
    let status = |invoice: &InvoiceOutput| json!(invoice.status);
    let counts = output.invoices.iter().filter(|invoice| !["draft", "void"].iter().any(|one| status(invoice) == *one));
    let moved: i64 = counts.map(|invoice| (-balance_of(invoice)).max(0) - invoice.credit_applied_minor).sum();
    let noted: i64 = output.credit_notes.iter().map(|note| note.balance_minor).sum();
    assert_eq!(output.customer.balance_minor, given + moved + noted);
}

/// The invoices of a shorter telling, as far as no later event may change them.
fn settled(invoice: &InvoiceOutput) -> Value {
    let mut settled = json!(invoice);
    let fields = settled.as_object_mut().expect("an object");
    // Payments and credit notes come later.
    fields.remove("status");
    fields.remove("amount_due_minor");
    if invoice.status == InvoiceStatus::Draft {
        fields.retain(|key, _| ["invoice", "subscription", "reason", "issued_at"].contains(&key.as_str()));
    }
    settled
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_story_keeps_the_laws(story in stories()) {
        assert_laws(&story);
    }

    #[test]
    fn an_earlier_end_gives_the_first_of_the_invoices(story in stories(), place in 0_usize..64) {
        let Story { scenario, output, .. } = story;
        // Ends where something happens are the ones that matter.
        let entries = scenario["timeline"].as_array().expect("a list");
        let issued = output.invoices.iter().map(|invoice| invoice.issued_at.to_string());
        let acted = entries.iter().filter_map(|entry| entry["at"].as_str().map(ToOwned::to_owned));
        let ends: Vec<String> = issued.chain(acted).collect::<BTreeSet<_>>().into_iter().collect();
        prop_assume!(!ends.is_empty());
        let until = ends[place % ends.len()].clone();
        let told = tell(&with(scenario, json!({ "until": until }))).expect("a shorter story can be told");
        prop_assert!(told.invoices.len() <= output.invoices.len());
        for (shorter, longer) in told.invoices.iter().zip(&output.invoices) {
            let expected = settled(shorter);
            let mut longer = json!(longer);
            longer.as_object_mut().expect("an object").retain(|key, _| expected.get(key).is_some());
            prop_assert_eq!(expected, longer);
        }
    }

    #[test]
    fn usage_costs_the_same_however_late_it_is_reported(
        bytes in vec(any::<u8>(), 0..40),
        aggregation in select(&["sum", "max", "latest", "weighted_sum"][..]),
        recurring in any::<bool>(),
        // A minimum is the price's, and stays as it is where groups have lines of their own.
        limits in select(vec![
            json!({}),
            json!({ "min_amount_minor": 2_000 }),
            json!({ "max_amount_minor": 2_000 }),
            json!({ "max_amount_minor": 2_000, "group_by": ["value"] }),
        ]),
        events in vec((1..32_u32, 0..50_i32, 0..3_usize), 0..12),
    ) {
        let model = if aggregation == "sum" { usage_model(&mut Choices::new(&bytes)) } else { model(&mut Choices::new(&bytes)) };
        let meter = json!({ "key": "units", "aggregation": aggregation, "value_property": "value", "recurring": recurring });
        let billed = |delays: &[&str; 3]| {
            // No two at one instant: there the one that was received later comes later.
            let event = |(minute, (day, value, delay)): (usize, &(u32, i32, usize))| {
                let happened = format!("2024-01-{day:02}T00:{minute:02}:00Z");
                let received_at = if delays[*delay].is_empty() { happened.clone() } else { at(delays[*delay]) };
                with(usage(&happened, &value.to_string()), json!({ "received_at": received_at }))
            };
            let events = events.iter().enumerate().map(event);
            let timeline = [subscribe("2024-01-01", "p")].into_iter().chain(events).collect();
            let plan = plan("p", "month", vec![with(usage_price("use", model.clone()), limits.clone())]);
            let output = tell(&with(scenario(vec![plan], timeline, "2024-05-01"), json!({ "meters": [meter] })));
            output.map(|output| output.invoices.iter().map(|invoice| invoice.subtotal_minor).sum::<i64>())
        };
        // Reported at once, in the next month, after two months.
        prop_assert_eq!(billed(&["", "2024-02-15", "2024-03-15"]), billed(&["", "", ""]));
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in vec(any::<u8>(), 0..200)) {
        if let Err(error) = Scenario::parse(&bytes) {
            assert_names_a_path(&error);
        }
    }
}

/// The stories are worth telling: what can happen does, and what can stand on an invoice is there.
#[test]
fn random_stories_have_every_verb_and_every_kind_of_line() {
    let mut seen = BTreeSet::new();
    for number in 0..STORIES {
        // Bytes without pattern, and the same ones in every run.
        let bytes: Vec<u8> = (0..BYTES.end as u64).map(|place| mixed(number * 1_000 + place)).collect();
        let Story { scenario, output, .. } = story(&bytes);
        let verbs = scenario["timeline"].as_array().expect("a list").iter().map(|entry| entry["do"].clone());
        let lines = output.invoices.iter().flat_map(|invoice| &invoice.lines).map(|line| json!(line.kind));
        let invoices = output.invoices.iter().flat_map(|invoice| [json!(invoice.reason), json!(invoice.status)]);
        let subscriptions = output.subscriptions.iter().map(|one| json!(one.status));
        let words = verbs.chain(lines).chain(invoices).chain(subscriptions);
        seen.extend(words.filter_map(|word| word.as_str().map(ToOwned::to_owned)));
    }
    let verbs = "subscribe change pause resume cancel usage apply_coupon credit_balance top_up_wallet one_off credit_note void \
                 pay finalize";
    let lines = "fixed licensed usage proration minimum commitment adjustment one_off";
    let invoices = "subscription_create period change cancel one_off draft open paid void";
    let subscriptions = "active paused cancelled";
    let expected = [verbs, lines, invoices, subscriptions].into_iter().flat_map(str::split_whitespace);
    let missing: Vec<&str> = expected.filter(|word| !seen.contains(*word)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

/// A byte that looks nothing like that of the next number (the finaliser of SplitMix64).
fn mixed(number: u64) -> u8 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9).wrapping_add(number << 17);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed.to_le_bytes()[7]
}
