//! Random stories: whole scenarios made of bytes, so that any engine that makes bytes makes scenarios, and shrinks them.
//!
//! **Invariant:** a [`Story`] can be told. An entry that cannot happen where it was drawn (a pause of what is over, a payment
//! of what is paid) is left out, and its error kept.

use std::fmt;

use jiff::{Span, Timestamp};
use serde_json::{Value, json};
use simulation::{Output, Scenario, SimulationError, simulate};

use crate::story::with;

/// Entries of a timeline: enough for verbs to meet, few enough for thousands of stories.
const MAX_ENTRIES: usize = 24;

/// Zones whose calendars are odd, and one whose is not.
const ZONES: [&str; 8] = [
    "UTC",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Asia/Beirut",
];

/// Days on which stories begin: the end of a leap January, before a day that Apia never had, before clocks change.
const BEGINNINGS: [&str; 5] = [
    "2024-01-31T00:00:00Z",
    "2011-12-20T11:00:00Z",
    "2017-10-01T03:00:00Z",
    "2023-08-30T21:15:00Z",
    "2020-02-29T12:00:00Z",
];

/// Numbers in major units; the last ones are as large as anyone may write.
const AMOUNTS: [&str; 10] =
    ["10.00", "0", "0.01", "0.005", "7", "49.99", "33.333333", "1000.5", "0.0000001", "999999999999"];

const QUANTITIES: [&str; 9] = ["1", "3", "0", "10", "12.5", "100", "100.5", "-4", "250"];

/// Bytes, read as choices; when they are used up, every choice is the first.
pub(crate) struct Choices<'b> {
    bytes: &'b [u8],
}

impl<'b> Choices<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    fn is_over(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A number from 0 to below a bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if bound <= 1 {
            return 0;
        }
        let number = if bound <= 256 {
            usize::from(self.next())
        } else {
            usize::from(self.next()) << 8 | usize::from(self.next())
        };
        number % bound
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// One time in so many.
    fn rarely(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    fn maybe(&mut self, times: usize, value: impl FnOnce(&mut Self) -> Value) -> Value {
        if self.rarely(times) { value(self) } else { Value::Null }
    }
}

/// A scenario that can be told.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) scenario: Value,
    /// What it results in.
    pub(crate) output: Output,
    /// Why entries were left out.
    pub(crate) refused: Vec<SimulationError>,
}

/// Shown as the document that tells it.
impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.scenario)
    }
}

/// The story that bytes are.
pub(crate) fn story(bytes: &[u8]) -> Story {
    let mut choices = Choices::new(bytes);
    let mut now: Timestamp = choices.one_of(&BEGINNINGS).parse().expect("an instant");
    let plans = (0..3).map(|number| plan(&mut choices, number)).collect::<Vec<_>>();
    let currency = choices.one_of(&["usd", "jpy", "kwd"]);
    let plans = plans.into_iter().map(|plan| with(plan, json!({ "currency": currency }))).collect::<Vec<_>>();
    let mut scenario = json!({
        "customer": customer(&mut choices, currency),
        "meters": meters(&mut choices),
        "coupons": coupons(&mut choices),
        "plans": plans,
        "timeline": [],
        "until": now.to_string(),
    });
    let mut output = tell(&scenario).unwrap_or_else(|error| panic!("{error} in {scenario}"));
    let mut refused = Vec::new();
    for number in 0..MAX_ENTRIES {
        now = later(&mut choices, now);
        let entry = entry(&mut choices, Drawn { now, number, plans: &plans, output: &output });
        let at_once = entry.get("received_at").is_none_or(Value::is_null);
        let mut longer = scenario.clone();
        longer["timeline"].as_array_mut().expect("a list").push(entry);
        // What is received later has to be told then.
        longer["until"] = json!((if at_once { now } else { plus(now, 40, 0) }).to_string());
        match tell(&longer) {
            Ok(told) => (scenario, output) = (longer, told),
            Err(error) => refused.push(error),
        }
        if choices.is_over() {
            break;
        }
    }
    let days = choices.below(100);
    let mut longer = scenario.clone();
    longer["until"] = json!(plus(now, i64::try_from(days + 41).expect("a few days"), 0).to_string());
    match tell(&longer) {
        Ok(told) => (scenario, output) = (longer, told),
        Err(error) => refused.push(error),
    }
    Story { scenario, output, refused }
}

/// Reads a scenario and tells it.
pub(crate) fn tell(scenario: &Value) -> Result<Output, SimulationError> {
    simulate(&Scenario::parse(scenario.to_string().as_bytes())?)
}

fn plus(instant: Timestamp, days: i64, seconds: i64) -> Timestamp {
    instant + Span::new().hours(days * 24).seconds(seconds)
}

/// A moment not before another: the same one, a midnight somewhere, any second.
fn later(choices: &mut Choices<'_>, now: Timestamp) -> Timestamp {
    let days = choices.one_of(&[1_i64, 0, 3, 9, 14, 31]);
    match choices.below(4) {
        0 => plus(now, days, 0),
        1 => plus(now, days, 3_600 * i64::try_from(choices.below(24)).expect("hours")),
        2 => plus(now, days, i64::try_from(choices.below(65_536)).expect("seconds")),
        _ => plus(now, days, 0).round(jiff::Unit::Hour).map_or(now, |hour| hour.max(now)),
    }
}

fn tax_rates(choices: &mut Choices<'_>) -> Value {
    let percents = ["20", "0", "8.25", "7.7", "100", "0.000001"];
    let count = choices.below(4);
    (0..count).map(|_| json!({ "name": "VAT", "percent": choices.one_of(&percents) })).collect()
}

fn customer(choices: &mut Choices<'_>, currency: &str) -> Value {
    json!({
        "currency": currency,
        "timezone": choices.one_of(&ZONES),
        "tax_rates": tax_rates(choices),
        "tax_rounding": choices.one_of(&["invoice", "line"]),
        "invoice_grace_days": choices.one_of(&[0, 0, 3, 10]),
    })
}

fn meters(choices: &mut Choices<'_>) -> Value {
    let mut meter = |key: &str| {
        let aggregation = choices.one_of(&["sum", "count", "max", "latest", "unique_count", "weighted_sum"]);
        let aggregation = if key == "total" { "sum" } else { aggregation };
        json!({
            "key": key,
            "aggregation": aggregation,
            "value_property": if aggregation == "count" { Value::Null } else { json!("value") },
            "filters": if choices.rarely(4) { json!([{ "property": "region", "values": ["eu", "us"] }]) } else { json!([]) },
            "recurring": choices.rarely(3),
            "late_policy": choices.one_of(&["adjust", "ignore"]),
        })
    };
    // What percentages and the like are taken of is a sum.
    json!([meter("total"), meter("any")])
}

fn coupons(choices: &mut Choices<'_>) -> Value {
    let mut coupon = |key: &str| {
        let percent = choices.rarely(2);
        let duration = choices.one_of(&["once", "repeating", "forever"]);
        json!({
            "key": key,
            "percent_off": if percent { json!(choices.one_of(&["10", "33.333333", "100"])) } else { Value::Null },
            "amount_off_minor": if percent { Value::Null } else { json!(choices.one_of(&[500, 1, 999_999])) },
            "duration": duration,
            "duration_periods": if duration == "repeating" { json!(choices.below(3) + 1) } else { Value::Null },
            "applies_to": if choices.rarely(3) { json!(["k0"]) } else { json!([]) },
            "applies_to_plans": if choices.rarely(4) { json!(["p0", "p1"]) } else { json!([]) },
        })
    };
    json!([coupon("c0"), coupon("c1")])
}

fn plan(choices: &mut Choices<'_>, number: usize) -> Value {
    // A unit, how many of it, and what prices may have instead.
    let (interval, count, shorter) = choices.one_of(&[
        ("month", 1, "week"),
        ("month", 3, "month"),
        ("quarter", 1, "month"),
        ("year", 1, "quarter"),
        ("week", 2, "week"),
        ("day", 10, "day"),
    ]);
    let prices: Vec<Value> = (0..=choices.below(4)).map(|price_number| price(choices, price_number, shorter)).collect();
    json!({
        "key": format!("p{number}"),
        "interval": interval,
        "interval_count": count,
        "trial_days": choices.one_of(&[0, 0, 7, 45]),
        "trial_usage": choices.one_of(&["free", "billed"]),
        "minimum_commitment_minor": choices.one_of(&[0, 0, 20_000]),
        "prices": prices,
    })
}

/// Prices of one number have one key in all plans.
fn price(choices: &mut Choices<'_>, number: usize, shorter: &str) -> Value {
    let kind = choices.one_of(&["fixed", "usage", "licensed"]);
    let is_usage = kind == "usage";
    let (least, most) =
        choices.one_of(&[(None, None), (Some(1_000), None), (None, Some(3_000)), (Some(500), Some(2_500))]);
    let timing = if is_usage { "arrears" } else { choices.one_of(&["advance", "arrears"]) };
    let interval = choices.maybe(3, |_| json!(shorter));
    let own_rates = choices.maybe(4, tax_rates);
    let model = if is_usage { usage_model(choices) } else { model(choices) };
    let common = json!({
        "key": format!("k{number}"), "kind": kind, "timing": timing, "interval": interval, "tax_rates": own_rates,
        "min_amount_minor": least, "max_amount_minor": most, "model": model,
    });
    if !is_usage {
        return common;
    }
    let is_of_a_sum =
        matches!(common["model"]["type"].as_str(), Some("percentage" | "graduated_percentage" | "dynamic"));
    let group_by = choices.one_of(&[&[][..], &[], &["region"], &["region", "value"]]);
    let filters = if choices.rarely(4) { json!([{ "property": "region", "values": ["eu"] }]) } else { json!([]) };
    let meter = if is_of_a_sum { "total" } else { choices.one_of(&["any", "total"]) };
    with(common, json!({ "meter": meter, "group_by": group_by, "filters": filters }))
}

fn amount(choices: &mut Choices<'_>) -> &'static str {
    // Amounts that are too large end a story early.
    let last = if choices.rarely(40) { 0 } else { 1 };
    choices.one_of(&AMOUNTS[..AMOUNTS.len() - last])
}

fn tiers(choices: &mut Choices<'_>, field: &str) -> Value {
    let ends: &[&[Option<&str>]] =
        &[&[None], &[Some("5"), None], &[Some("10"), Some("100"), None], &[Some("0.5"), Some("3"), Some("12.5"), None]];
    let ends = choices.one_of(ends);
    let percents = field == "percent";
    let tier = |up_to: &Option<&str>| {
        let each = if percents { choices.one_of(&["1.3", "0", "100"]) } else { amount(choices) };
        json!({ "up_to": up_to, field: each, "flat_amount": amount(choices) })
    };
    ends.iter().map(tier).collect()
}

pub(crate) fn model(choices: &mut Choices<'_>) -> Value {
    match choices.below(5) {
        0 => json!({ "type": "flat", "amount": amount(choices) }),
        1 => json!({ "type": "per_unit", "unit_amount": amount(choices) }),
        2 => json!({ "type": "graduated", "tiers": tiers(choices, "unit_amount") }),
        3 => json!({ "type": "volume", "tiers": tiers(choices, "unit_amount") }),
        _ => json!({ "type": "package", "package_size": choices.one_of(&["1", "10", "0.3"]),
                     "package_amount": amount(choices), "free_units": choices.maybe(2, |own| json!(own.one_of(&["0", "5"]))) }),
    }
}

pub(crate) fn usage_model(choices: &mut Choices<'_>) -> Value {
    match choices.below(6) {
        0 => json!({ "type": "percentage", "percent": choices.one_of(&["1.3", "0", "100"]),
                     "fixed_amount": amount(choices),
                     "free_events": choices.maybe(2, |own| json!(own.below(3))),
                     "free_amount": choices.maybe(2, |own| json!(amount(own))),
                     "min_amount_per_event": choices.maybe(3, |_| json!("0.05")),
                     "max_amount_per_event": choices.maybe(3, |_| json!("5")) }),
        1 => json!({ "type": "graduated_percentage", "tiers": tiers(choices, "percent") }),
        2 => json!({ "type": "dynamic", "multiplier": choices.one_of(&["1.33333", "0", "2"]) }),
        _ => model(choices),
    }
}

/// Where an entry is drawn.
#[derive(Clone, Copy)]
struct Drawn<'a> {
    now: Timestamp,
    number: usize,
    plans: &'a [Value],
    /// As the story stands before.
    output: &'a Output,
}

impl Drawn<'_> {
    fn plan(&self, choices: &mut Choices<'_>) -> Value {
        let plan = &self.plans[choices.below(self.plans.len())];
        let licensed = plan["prices"].as_array().into_iter().flatten().filter(|price| price["kind"] == "licensed");
        let keys: Vec<&str> = licensed.filter_map(|price| price["key"].as_str()).collect();
        let quantities: Value = keys
            .into_iter()
            .map(|key| (key.to_owned(), json!(choices.one_of(&["1", "0", "7", "2.5", "12"]))))
            .collect::<serde_json::Map<_, _>>()
            .into();
        json!({ "plan": plan["key"], "quantities": quantities })
    }

    /// One of those that there are, mostly one that is not over.
    fn subscription(&self, choices: &mut Choices<'_>) -> Value {
        let all = &self.output.subscriptions;
        json!(all.get(choices.below(all.len())).map(|one| one.subscription.clone()))
    }

    fn invoice(&self, choices: &mut Choices<'_>) -> Value {
        json!(self.output.invoices.len() - choices.below(self.output.invoices.len().min(4)))
    }
}

fn entry(choices: &mut Choices<'_>, drawn: Drawn<'_>) -> Value {
    let (now, subscription) = (drawn.now, drawn.subscription(choices));
    let verbs = [
        "usage",
        "usage",
        "usage",
        "change",
        "pay",
        "pause",
        "resume",
        "credit_note",
        "void",
        "cancel",
        "apply_coupon",
        "credit_balance",
        "top_up_wallet",
        "one_off",
        "finalize",
        "subscribe",
    ];
    let is_first = drawn.output.subscriptions.is_empty();
    let verb = if is_first { "subscribe" } else { choices.one_of(&verbs) };
    let of_it = json!({ "at": now.to_string(), "do": verb, "subscription": subscription });
    let of_invoice =
        |choices: &mut Choices<'_>| json!({ "at": now.to_string(), "do": verb, "invoice": drawn.invoice(choices) });
    match verb {
        "subscribe" => with(with(of_it, drawn.plan(choices)), begin(choices, drawn)),
        "usage" => with(of_it, event(choices, drawn)),
        "change" => {
            let to = drawn.plan(choices);
            let when = choices.one_of(&[Some("now"), None, Some("period_end")]);
            with(with(of_it, to), json!({ "when": when, "proration": choices.one_of(&["day", "day", "none"]) }))
        }
        "cancel" => {
            let when = choices.one_of(&["now", "period_end"]);
            with(of_it, json!({ "when": when, "proration": choices.one_of(&["day", "none"]) }))
        }
        "apply_coupon" => with(of_it, json!({ "coupon": choices.one_of(&["c0", "c1"]) })),
        "pay" => with(of_invoice(choices), json!({ "outcome": choices.one_of(&["succeeded", "declined"]) })),
        "void" | "finalize" => of_invoice(choices),
        "credit_note" => with(of_invoice(choices), note(choices)),
        "credit_balance" => json!({ "at": now.to_string(), "do": verb, "amount_minor": choices.below(9_000) + 1 }),
        "top_up_wallet" => json!({
            "at": now.to_string(), "do": verb, "amount_minor": choices.below(9_000) + 1,
            "applies_to": choices.one_of(&[&[][..], &["k0"], &["k0", "k1"]]),
            "expires_at": choices.maybe(3, |own| json!(plus(now, 5 + own.below(60) as i64, 0).to_string())),
        }),
        "one_off" => json!({ "at": now.to_string(), "do": verb, "lines": [
            { "key": "k0", "unit_amount": amount(choices), "quantity": choices.one_of(&["1", "2.5", "0"]) },
            { "key": "hours", "unit_amount": amount(choices), "tax_rates": choices.maybe(2, tax_rates) },
        ] }),
        _ => of_it,
    }
}

fn begin(choices: &mut Choices<'_>, drawn: Drawn<'_>) -> Value {
    let cycle = choices.one_of(&["anniversary", "calendar"]);
    json!({
        "subscription": format!("s{}", drawn.number),
        "billing_cycle": cycle,
        "anchor_day": choices.maybe(4, |own| json!(own.one_of(&[1, 15, 31]))),
        "trial_days": choices.maybe(4, |own| json!(own.one_of(&[0, 3, 20]))),
        "coupons": choices.one_of(&[&[][..], &["c0"], &["c0", "c1"]]),
        "end_at": choices.maybe(8, |own| json!(plus(drawn.now, 2 + own.below(90) as i64, 3_600).to_string())),
    })
}

fn event(choices: &mut Choices<'_>, drawn: Drawn<'_>) -> Value {
    let replaced = choices.below(drawn.number.max(1));
    let days_ago = choices.one_of(&[0, 0, 0, 2, 20]);
    let received_at = choices.maybe(4, |own| json!(plus(drawn.now, own.below(40) as i64, 0).to_string()));
    json!({
        "at": plus(drawn.now, -days_ago, 0).to_string(),
        "received_at": if days_ago > 0 { json!(drawn.now.to_string()) } else { received_at },
        "meter": choices.one_of(&["total", "any"]),
        "id": format!("e{}", drawn.number),
        "replaces": choices.maybe(6, |_| json!(format!("e{replaced}"))),
        "properties": { "value": choices.one_of(&QUANTITIES), "region": choices.one_of(&["eu", "us", "asia"]) },
    })
}

fn note(choices: &mut Choices<'_>) -> Value {
    let outcome = choices.one_of(&["balance", "refund"]);
    if choices.rarely(2) {
        return json!({ "all": true, "outcome": outcome });
    }
    let amount_minor = choices.one_of(&[1, 7, 100, 333]);
    json!({ "lines": [{ "line": choices.below(3) + 1, "amount_minor": amount_minor }], "outcome": outcome })
}
