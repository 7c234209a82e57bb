//! What it costs to bill a period: `cargo bench -p domain`.
//!
//! Each bill is the second one of a monthly subscription, so that a month's arrears and the next one's advance are on it.

use std::collections::BTreeMap;

use divan::{Bencher, black_box};
use domain::{
    Billable, Metered, Occasion, Plan, Start, Subscription, TaxRounding, Taxes, Usage, Used, Zone, bill, usage_windows,
};
use serde_json::{Value, json};

fn main() {
    divan::main();
}

/// A subscription whose first month has ended.
struct Month {
    plan: Plan,
    subscription: Subscription,
    zone: Zone,
    taxes: Taxes,
    metered: Metered,
}

const BOUNDARY: Occasion<'_> = Occasion::Boundary { next_plan: None };

impl Month {
    /// Of a plan of such prices, each of which has used so many units.
    fn new(prices: Vec<Value>, units: &str) -> Self {
        let plan = json!({ "key": "pro", "currency": "usd", "interval": "month", "prices": prices });
        let plan: Plan = serde_json::from_value(plan).expect("a plan");
        let zone: Zone = "America/Bogota".parse().expect("a zone");
        let rates = json!([{ "name": "State", "percent": "6.5" }, { "name": "City", "percent": "1.75" }]);
        let taxes = Taxes { rates: serde_json::from_value(rates).expect("rates"), rounding: TaxRounding::Invoice };
        let coupon = json!({ "key": "tenth", "percent_off": "10", "duration": "forever" });
        let start = Start {
            coupons: vec![serde_json::from_value(coupon).expect("a coupon")],
            ..Start::at("2024-01-31T05:00:00Z".parse().expect("an instant"), &zone)
        };
        let first = Subscription::start("pro", &plan, start).expect("a subscription");
        let billable = Billable { plan: &plan, subscription: &first, zone: &zone, taxes: &taxes };
        let subscription = bill(&billable, &BOUNDARY, &Metered::default()).expect("a bill").subscription;
        let used = Used::quantity(units.parse::<rust_decimal::Decimal>().expect("a number").into());
        let keys = plan.prices().iter().filter(|price| price.meter.is_some()).map(|price| price.key.clone());
        let usage: Usage = keys.map(|key| (key, vec![used.clone()])).collect::<BTreeMap<_, _>>();
        Self { metered: Metered { usage, ..Metered::default() }, plan, subscription, zone, taxes }
    }

    fn billable(&self) -> Billable<'_> {
        Billable { plan: &self.plan, subscription: &self.subscription, zone: &self.zone, taxes: &self.taxes }
    }

    /// Bills it again and again, having checked that the bill is the one that is meant.
    fn bench(&self, bencher: Bencher<'_, '_>, lines: usize) {
        let once = bill(&self.billable(), &BOUNDARY, &self.metered).expect("a bill");
        assert_eq!(once.invoice.map(|invoice| invoice.lines.len()), Some(lines));
        bencher.bench_local(|| bill(black_box(&self.billable()), &BOUNDARY, black_box(&self.metered)));
    }
}

fn fixed(key: &str) -> Value {
    json!({ "key": key, "kind": "fixed", "timing": "advance", "model": { "type": "flat", "amount": "49.99" } })
}

fn graduated(key: &str) -> Value {
    json!({ "key": key, "kind": "usage", "timing": "arrears", "meter": "units", "model": { "type": "graduated", "tiers": [
        { "up_to": "1000", "unit_amount": "0.01", "flat_amount": "1" },
        { "up_to": "10000", "unit_amount": "0.005" },
        { "up_to": "100000", "unit_amount": "0.0025" },
        { "up_to": null, "unit_amount": "0.00125" },
    ] } })
}

#[divan::bench]
fn one_flat_price(bencher: Bencher<'_, '_>) {
    Month::new(vec![fixed("base")], "0").bench(bencher, 1);
}

#[divan::bench]
fn graduated_usage(bencher: Bencher<'_, '_>) {
    Month::new(vec![graduated("calls")], "123456.789").bench(bencher, 1);
}

#[divan::bench]
fn twenty_lines(bencher: Bencher<'_, '_>) {
    let fixed = (0..10).map(|number| fixed(&format!("fixed_{number}")));
    let usage = (0..10).map(|number| graduated(&format!("usage_{number}")));
    Month::new(fixed.chain(usage).collect(), "123456.789").bench(bencher, 20);
}

/// Which usage to measure is asked before every bill.
#[divan::bench]
fn windows_of_twenty_lines(bencher: Bencher<'_, '_>) {
    let month = Month::new((0..20).map(|number| graduated(&format!("usage_{number}"))).collect(), "1");
    bencher.bench_local(|| usage_windows(black_box(&month.billable()), &BOUNDARY));
}
