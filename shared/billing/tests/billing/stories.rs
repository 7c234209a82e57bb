//! Random stories of usage, told to the product and to the simulation: both bill the same, whatever is late, corrected,
//! repeated, run at once or killed.
//!
//! Each story is one customer with a plan of its own. They share a tenant and its clock, so that one run bills all of them.

use std::collections::{BTreeMap, BTreeSet};

use billing::{NewUsageEvent, UsageSubject};
use domain::InvoiceContent;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::{Invoice, UsageReport};

use crate::{
    killed::killed_after,
    pipeline::Repeat,
    servers::Servers,
    world::{TENANT, WALL, World, report_id},
};

const STORIES: u64 = 14;
const EVENTS: u64 = 30;
const START: &str = "2026-01-01T00:00:00Z";
const END: &str = "2026-06-20T00:00:00Z";

/// A generator of its own, so that a seed tells the same story for ever (xorshift64*).
struct Dice(u64);

impl Dice {
    fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    fn pick(&mut self, values: &[Value]) -> Value {
        values[usize::try_from(self.below(values.len() as u64)).unwrap()].clone()
    }
}

/// One customer's usage, as reported.
struct Story {
    name: String,
    meter: Value,
    plan: Value,
    grace_days: u16,
    /// In the order of receipt.
    reports: Vec<Report>,
}

#[derive(Clone)]
struct Report {
    id: String,
    at: Timestamp,
    received_at: Timestamp,
    properties: BTreeMap<String, String>,
    replaces: Option<String>,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl Story {
    fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed);
        let key = format!("m{seed}");
        let aggregation =
            dice.pick(&[json!("sum"), json!("max"), json!("latest"), json!("unique_count"), json!("weighted_sum")]);
        let recurring = aggregation != "max" && dice.below(4) == 0;
        let meter = json!({ "key": key, "aggregation": aggregation, "value_property": "value", "recurring": recurring,
            "late_policy": dice.pick(&[json!("adjust"), json!("adjust"), json!("adjust"), json!("ignore")]) });
        let tiers = json!([{ "up_to": "10", "unit_amount": "1.00", "flat_amount": "0.50" }, { "up_to": null, "unit_amount": "0.35" }]);
        let model = dice.pick(&[
            json!({ "type": "per_unit", "unit_amount": "0.17" }),
            json!({ "type": "graduated", "tiers": tiers }),
            json!({ "type": "volume", "tiers": tiers }),
            json!({ "type": "package", "package_size": "7", "package_amount": "2.00" }),
        ]);
        let mut price = json!({ "key": "used", "kind": "usage", "timing": "arrears", "meter": key, "model": model });
        let limits =
            [("group_by", json!(["region"])), ("min_amount_minor", json!(900)), ("max_amount_minor", json!(2500))];
        for (field, value) in limits {
            if dice.below(3) == 0 {
                price[field] = value;
            }
        }
        let commitment = dice.pick(&[json!(0), json!(0), json!(4000)]);
        let interval = dice.pick(&[json!("month"), json!("month"), json!("quarter")]);
        if interval == "quarter" && dice.below(2) == 0 {
            price["interval"] = json!("month");
        }
        let base = json!({ "key": "base", "kind": "fixed", "timing": "advance", "model": { "type": "flat", "amount": "3.00" } });
        let plan = json!({ "key": format!("p{seed}"), "currency": "usd", "interval": interval,
            "minimum_commitment_minor": commitment, "prices": [base, price] });
        let grace_days = if dice.below(3) == 0 { 5 } else { 0 };
        let reports = reports(&mut dice);
        Self { name: seed.to_string(), meter, plan, grace_days, reports }
    }

    /// What the simulation makes of it: the invoices that it issues.
    fn simulated(&self) -> Vec<String> {
        let mut timeline = vec![json!({ "at": START, "do": "subscribe", "subscription": "s", "plan": self.plan["key"],
            "billing_cycle": "calendar" })];
        for report in &self.reports {
            let mut entry = json!({ "at": report.at, "do": "usage", "subscription": "s", "meter": self.meter["key"],
                "id": report.id, "properties": report.properties, "received_at": report.received_at });
            if let Some(replaced) = &report.replaces {
                entry["replaces"] = json!(replaced);
            }
            timeline.push(entry);
        }
        let customer = json!({ "currency": "usd", "invoice_grace_days": self.grace_days });
        let scenario = json!({ "customer": customer, "meters": [self.meter], "plans": [self.plan], "timeline": timeline,
            "until": END });
        let scenario = simulation::Scenario::parse(scenario.to_string().as_bytes()).unwrap();
        let output = serde_json::to_value(simulation::simulate(&scenario).unwrap()).unwrap();
        output["invoices"].as_array().unwrap().iter().map(shown).collect()
    }
}

/// Reports in the order of receipt; some are late, some correct an earlier one. No two instants are the same, so that it does
/// not count in which order they came.
fn reports(dice: &mut Dice) -> Vec<Report> {
    let (start, days) = (at(START), 165);
    let mut reports: Vec<Report> = Vec::new();
    for number in 0..EVENTS {
        let minutes = i64::try_from(dice.below(days * 24 * 60)).unwrap();
        let at =
            start + SignedDuration::from_mins(minutes) + SignedDuration::from_millis(i64::try_from(number).unwrap());
        let delay = match dice.below(3) {
            0 => SignedDuration::ZERO,
            1 => SignedDuration::from_hours(i64::try_from(dice.below(24 * 8)).unwrap()),
            _ => SignedDuration::from_hours(i64::try_from(dice.below(24 * 90)).unwrap()),
        };
        let properties = BTreeMap::from([
            ("value".to_owned(), dice.below(12).to_string()),
            ("region".to_owned(), format!("r{}", dice.below(3))),
        ]);
        reports.push(Report { id: format!("e{number}"), at, received_at: at + delay, properties, replaces: None });
    }
    reports.sort_by_key(|report| (report.received_at, report.id.clone()));
    let mut counts: Vec<String> = Vec::new();
    for report in &mut reports {
        if !counts.is_empty() && dice.below(4) == 0 {
            let index = usize::try_from(dice.below(counts.len() as u64)).unwrap();
            report.replaces = Some(counts.remove(index));
        }
        counts.push(report.id.clone());
    }
    reports.retain(|report| report.received_at <= at(END));
    reports
}

/// An invoice for comparing: when, which lines, what it comes to.
fn shown(invoice: &Value) -> String {
    let line = |line: &Value| {
        let [kind, quantity] = ["kind", "quantity"].map(|field| line[field].as_str().unwrap());
        format!("{kind} {} {quantity} {}", line["price"], line["amount_minor"])
    };
    let lines: Vec<String> = invoice["lines"].as_array().unwrap().iter().map(line).collect();
    format!("{} {} = {}", invoice["issued_at"].as_str().unwrap(), lines.join(", "), invoice["total_minor"])
}

/// The same of the product's, which stores quantities as ratios.
fn shown_content(content: &InvoiceContent) -> String {
    let mut invoice = serde_json::to_value(content).unwrap();
    for (line, written) in content.lines.iter().zip(invoice["lines"].as_array_mut().unwrap()) {
        written["quantity"] = json!(line.quantity.to_string());
    }
    shown(&invoice)
}

/// What befalls the product's work.
#[derive(Clone, Copy)]
enum Mishap {
    Repeated(Repeat),
    /// Everything is killed after so many turns, a few more each time, and then done again.
    Killed,
}

impl World {
    async fn tell_all(&self, stories: &[Story], mishap: Mishap) {
        self.set_up().await;
        self.move_clock(at(START)).await;
        for story in stories {
            let name = &story.name;
            self.meter(&format!("mtr_s{name}"), &story.meter.to_string()).await;
            self.plan_of(&format!("pln_s{name}"), &story.plan.to_string()).await;
            let customer = self.customer_with_grace(&format!("cus_s{name}"), "pm_sandbox_ok", story.grace_days).await;
            let plan = story.plan["key"].as_str().unwrap();
            self.subscribe(&format!("sub_s{name}"), (&customer.id, plan), START).await.unwrap();
        }
        let mut before = Timestamp::MIN;
        for (number, instant) in instants().into_iter().enumerate() {
            self.receive(stories, (before, instant), (mishap, number)).await;
            self.move_clock(instant).await;
            self.finalise_drafts(instant).await;
            let run = format!("run_{number}");
            self.run(&run).await;
            match mishap {
                Mishap::Repeated(repeat) => drop(self.drive(&run, repeat).await),
                Mishap::Killed => self.drive_killed(&run, 1 + 3 * number).await,
            }
            before = instant;
        }
    }

    /// Takes in what was reported in a span of time.
    async fn receive(&self, stories: &[Story], (from, to): (Timestamp, Timestamp), (mishap, number): (Mishap, usize)) {
        for story in stories {
            let reported = story.reports.iter().filter(|report| (from..to).contains(&report.received_at));
            let events: Vec<NewUsageEvent> = reported.map(|report| story.event(report)).collect();
            for (index, event) in events.iter().enumerate() {
                let batch = std::slice::from_ref(event);
                if matches!(mishap, Mishap::Killed) && index % 3 == 0 {
                    let report = report_id(batch);
                    let killed = billing::ingest_usage(&self.billing.store, (TENANT, &report), batch, WALL);
                    killed_after(1 + 5 * number % 60, killed).await;
                }
                let outcome = self.report(batch).await;
                assert_eq!(outcome.rejected.len(), 0, "{outcome:?}");
            }
        }
        for report in self.billing.store.due::<UsageReport>(WALL, None, 1_000).await.unwrap() {
            billing::finish_usage_report(&self.billing, (TENANT, &report.id)).await.unwrap();
        }
    }

    async fn finalise_drafts(&self, now: Timestamp) {
        for draft in self.billing.store.due_on::<Invoice>(("clk_1", now), 1_000).await.unwrap() {
            self.collect(&draft.id, WALL).await.unwrap();
        }
    }

    /// Drives a run each of whose steps is killed first.
    async fn drive_killed(&self, run: &str, turns: usize) {
        for _ in 0..3 {
            killed_after(turns, billing::plan_billing_run(&self.billing, (TENANT, run), WALL)).await;
            for chunk in self.chunks(run).await {
                killed_after(turns, self.step(&chunk)).await;
            }
            billing::plan_billing_run(&self.billing, (TENANT, run), WALL).await.unwrap();
            for chunk in self.chunks(run).await {
                killed_after(turns, self.step(&chunk)).await;
                self.step(&chunk).await.unwrap();
            }
        }
        self.drive(run, Repeat::Once).await;
    }

    async fn billed_of(&self, story: &Story) -> Vec<String> {
        let subscription = format!("sub_s{}", story.name);
        let mut invoices = self.all::<Invoice>().await;
        invoices.retain(|invoice| invoice.subscription.as_deref() == Some(&subscription));
        let mut shown_invoices = Vec::new();
        for invoice in invoices {
            let invoice = billing::current_invoice(&self.billing.store, invoice).await.unwrap();
            shown_invoices.push(shown_content(&invoice.content));
        }
        shown_invoices
    }
}

impl Story {
    fn event(&self, report: &Report) -> NewUsageEvent {
        let id = |id: &str| format!("{}-{id}", self.name);
        let subject = if report.id.len().is_multiple_of(2) {
            UsageSubject::Customer(format!("cus_s{}", self.name))
        } else {
            UsageSubject::Subscription(format!("sub_s{}", self.name))
        };
        NewUsageEvent {
            id: id(&report.id),
            subject,
            meter: self.meter["key"].as_str().unwrap().to_owned(),
            timestamp: report.at,
            properties: report.properties.clone(),
            replaces: report.replaces.as_deref().map(id),
        }
    }
}

/// When something may be due: where a month turns, and where a draft is final.
fn instants() -> BTreeSet<Timestamp> {
    let months = (2..=6).map(|month| at(&format!("2026-{month:02}-01T00:00:00Z")));
    let instants = months.flat_map(|month| [month, month + SignedDuration::from_hours(24 * 5)]);
    instants.chain([at(END)]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_product_bills_what_the_simulation_says() {
    let stories: Vec<Story> = (1..=STORIES).map(Story::of).collect();
    let expected: Vec<Vec<String>> = stories.iter().map(Story::simulated).collect();
    let all = expected.concat().join("\n");
    for kind in ["usage", "adjustment", "minimum", "commitment"] {
        assert!(all.contains(kind), "no story has a line of {kind}");
    }
    let servers = Servers::start();
    let mishaps = [
        ("repeated", Mishap::Repeated(Repeat::Twice)),
        ("at_once", Mishap::Repeated(Repeat::AtOnce)),
        ("killed", Mishap::Killed),
    ];
    for (name, mishap) in mishaps {
        let world = servers.world(name).await;
        world.tell_all(&stories, mishap).await;
        for (story, expected) in stories.iter().zip(&expected) {
            assert_eq!(
                &world.billed_of(story).await,
                expected,
                "{name}, story {}: {} {}",
                story.name,
                story.meter,
                story.plan
            );
        }
    }
}
