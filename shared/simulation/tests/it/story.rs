//! Small words for writing scenarios in tests, and for reading what they result in.
//!
//! Knows the scenario format and no rule: what a story should result in is what each test says.

use serde_json::{Map, Value, json};
use simulation::{InvoiceOutput, LineOutput, Output, Scenario, simulate};

/// A customer billed in a currency, with nothing else.
pub(crate) fn customer(currency: &str) -> Value {
    json!({ "currency": currency })
}

/// One customer's story of plans, over the meter `units`, the sum of the property `value`.
pub(crate) fn scenario(plans: Vec<Value>, timeline: Vec<Value>, until: &str) -> Value {
    json!({
        "customer": customer("usd"),
        "meters": [{ "key": "units", "aggregation": "sum", "value_property": "value" }],
        "plans": plans,
        "timeline": timeline,
        "until": at(until),
    })
}

/// The same object with other members.
pub(crate) fn with(mut object: Value, members: Value) -> Value {
    let (Some(own), Value::Object(members)) = (object.as_object_mut(), members) else { panic!("no objects") };
    own.extend(members);
    object
}

/// A plan in dollars.
pub(crate) fn plan(key: &str, interval: &str, prices: Vec<Value>) -> Value {
    json!({ "key": key, "currency": "usd", "interval": interval, "prices": prices })
}

/// A fixed price: an amount each period.
pub(crate) fn fixed(key: &str, timing: &str, amount: &str) -> Value {
    json!({ "key": key, "kind": "fixed", "timing": timing, "model": { "type": "flat", "amount": amount } })
}

/// A price for the meter `units`.
pub(crate) fn usage_price(key: &str, model: Value) -> Value {
    json!({ "key": key, "kind": "usage", "timing": "arrears", "meter": "units", "model": model })
}

/// A date is its midnight in UTC.
pub(crate) fn at(instant: &str) -> String {
    if instant.contains('T') { instant.to_owned() } else { format!("{instant}T00:00:00Z") }
}

/// An entry of a timeline.
pub(crate) fn act(instant: &str, verb: &str, members: Value) -> Value {
    with(json!({ "at": at(instant), "do": verb }), members)
}

/// `subscribe`: `s1` to a plan.
pub(crate) fn subscribe(instant: &str, plan: &str) -> Value {
    act(instant, "subscribe", json!({ "subscription": "s1", "plan": plan }))
}

/// `usage` of `s1`: an event of the meter `units`.
pub(crate) fn usage(instant: &str, value: &str) -> Value {
    let event = json!({ "subscription": "s1", "meter": "units", "properties": { "value": value } });
    act(instant, "usage", event)
}

/// Several subscriptions `s1`, `s2`, ... to the same plan, each of which uses so much of `units` two days later.
pub(crate) fn users(instant: &str, plan: &str, quantities: &[&str]) -> Vec<Value> {
    let mut timeline = Vec::new();
    for (number, quantity) in (1..).zip(quantities) {
        let own = json!({ "subscription": format!("s{number}") });
        timeline.push(with(subscribe(instant, plan), own.clone()));
        timeline.push(with(usage(instant, quantity), own));
    }
    timeline
}

/// What a story results in.
pub(crate) fn told(scenario: &Value) -> Output {
    result(scenario).unwrap_or_else(|error| panic!("{error}"))
}

/// What a story results in, or the line that says why it cannot be.
pub(crate) fn result(scenario: &Value) -> Result<Output, String> {
    let scenario = Scenario::parse(scenario.to_string().as_bytes()).map_err(|error| error.to_string())?;
    simulate(&scenario).map_err(|error| error.to_string())
}

/// The days on which invoices were issued, in UTC.
pub(crate) fn issue_days(output: &Output) -> Vec<String> {
    let day = |invoice: &InvoiceOutput| invoice.issued_at.to_string()[..10].to_owned();
    output.invoices.iter().map(day).collect()
}

/// What each invoice comes to.
pub(crate) fn totals(output: &Output) -> Vec<i64> {
    output.invoices.iter().map(|invoice| invoice.total_minor).collect()
}

/// All lines of a price, over all invoices.
pub(crate) fn lines_of<'o>(output: &'o Output, price: &str) -> Vec<&'o LineOutput> {
    let lines = output.invoices.iter().flat_map(|invoice| &invoice.lines);
    lines.filter(|line| line.price.as_deref() == Some(price)).collect()
}

/// The amounts of all lines of a price, over all invoices.
pub(crate) fn amounts_of(output: &Output, price: &str) -> Vec<i64> {
    lines_of(output, price).iter().map(|line| line.amount_minor).collect()
}

/// The invoice with a number, counted from 1.
pub(crate) fn invoice(output: &Output, number: usize) -> &InvoiceOutput {
    &output.invoices[number - 1]
}

/// A line in brief: its price, kind, days, part of a full period and amount.
pub(crate) fn brief(line: &LineOutput) -> String {
    let kind = serde_json::to_value(line.kind).expect("JSON");
    let price = line.price.as_deref().unwrap_or("-");
    let days = format!("{}..{}", line.period.start, line.period.end);
    let part = line.proration.as_deref().map(|part| format!(" {part}")).unwrap_or_default();
    format!("{price} {} {days}{part} {}", kind.as_str().unwrap_or_default(), line.amount_minor)
}

/// The lines of an invoice, counted from 1, in brief.
pub(crate) fn briefs(output: &Output, number: usize) -> Vec<String> {
    invoice(output, number).lines.iter().map(brief).collect()
}

/// No members.
pub(crate) fn nothing() -> Value {
    Value::Object(Map::new())
}
