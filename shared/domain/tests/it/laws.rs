//! Laws of billing: what holds for any plan, any quantity, any day and any zone.

use std::{collections::BTreeMap, num::NonZeroU16};

use domain::{
    Bill, Billable, BillingCycle, Interval, InvoiceContent, Money, Plan, PlanSpec, PriceKind, PriceModel, PriceSpec,
    Start, Subscription, TaxRate, TaxRateSpec, Timing, TrialUsage, Zone, bill, usage_window,
};
use jiff::{Timestamp, ToSpan};
use proptest::{collection::vec, prelude::*, sample::select};
use rust_decimal::Decimal;

use crate::models::{amount, anything, model, usage_model};

/// Zones whose calendars are odd: no midnight, two midnights, a day that never was, a half-hour change.
const ZONES: [&str; 10] = [
    "UTC",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "Africa/Cairo",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
];

fn zone() -> impl Strategy<Value = Zone> {
    select(&ZONES[..]).prop_map(|name| name.parse().unwrap())
}

/// From 1985 to 2035, to the second.
fn instant() -> impl Strategy<Value = Timestamp> {
    (473_385_600_i64..2_051_222_400).prop_map(|second| Timestamp::from_second(second).unwrap())
}

/// A price without key; its meter or quantity is named like it.
fn price() -> impl Strategy<Value = PriceSpec> {
    let kind = select(&[PriceKind::Fixed, PriceKind::Licensed, PriceKind::Usage][..]);
    let limit = || proptest::option::of(0_i64..100_000);
    (kind, any::<bool>(), (model(), usage_model()), limit(), limit()).prop_map(
        |(kind, advance, (any_model, usage_model), one, other)| PriceSpec {
            timing: if advance && kind != PriceKind::Usage { Timing::Advance } else { Timing::Arrears },
            meter: (kind == PriceKind::Usage).then(String::new),
            // A limit drawn without the other is a maximum.
            min_amount_minor: one.and_then(|one| other.map(|other| one.min(other))),
            max_amount_minor: one.max(other),
            ..price_of(kind, if kind == PriceKind::Usage && advance { usage_model } else { any_model })
        },
    )
}

/// A price of a model, and nothing else.
fn price_of(kind: PriceKind, model: PriceModel) -> PriceSpec {
    PriceSpec {
        key: "base".to_owned(),
        name: None,
        kind,
        timing: Timing::Advance,
        interval: None,
        meter: None,
        filters: Vec::new(),
        group_by: Vec::new(),
        tax_rates: None,
        min_amount_minor: None,
        max_amount_minor: None,
        model: model.into(),
    }
}

/// A plan of prices, and nothing else.
fn plan_of(prices: Vec<PriceSpec>, (interval, count): (Interval, u16)) -> PlanSpec {
    PlanSpec {
        key: "any".to_owned(),
        name: None,
        currency: "usd".parse().unwrap(),
        interval,
        interval_count: NonZeroU16::new(count).unwrap(),
        trial_days: 0,
        trial_usage: TrialUsage::Free,
        minimum_commitment_minor: 0,
        prices,
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let interval = select(&[Interval::Month, Interval::Year][..]);
    let currency = select(&["usd", "jpy", "kwd"][..]);
    (vec(price(), 1..6), interval, 1_u16..=6, currency).prop_map(|(mut prices, interval, count, currency)| {
        for (index, price) in prices.iter_mut().enumerate() {
            price.key = format!("p{index}");
            price.meter = price.meter.is_some().then(|| price.key.clone());
        }
        PlanSpec { currency: currency.parse().unwrap(), ..plan_of(prices, (interval, count)) }.try_into().unwrap()
    })
}

fn cycle() -> impl Strategy<Value = BillingCycle> {
    select(&[BillingCycle::Anniversary, BillingCycle::Calendar][..])
}

fn tax_rate() -> impl Strategy<Value = Option<TaxRate>> {
    let percent = (0_i64..=100_000).prop_map(|thousandths| Decimal::new(thousandths, 3));
    proptest::option::of(percent)
        .prop_map(|percent| percent.map(|percent| TaxRateSpec { name: "VAT".to_owned(), percent }.try_into().unwrap()))
}

/// Somebody who is billed, with the same quantities in every period.
#[derive(Clone, Debug)]
struct Payer {
    plan: Plan,
    zone: Zone,
    tax_rate: Option<TaxRate>,
    quantities: BTreeMap<String, Decimal>,
    subscription: Subscription,
}

fn payer(quantity: impl Strategy<Value = Decimal>) -> impl Strategy<Value = Payer> {
    (plan(), zone(), tax_rate(), (instant(), cycle()), vec(quantity, 6)).prop_map(
        |(plan, zone, tax_rate, (at, cycle), all)| {
            let quantities: BTreeMap<String, Decimal> =
                plan.prices().iter().zip(all).map(|(price, quantity)| (price.key.clone(), quantity)).collect();
            let licensed =
                |key: &String| plan.prices().iter().any(|price| price.key == *key && price.kind == PriceKind::Licensed);
            let seats = quantities
                .iter()
                .filter(|(key, _)| licensed(key))
                .map(|(key, count)| (key.clone(), count.abs()))
                .collect();
            let subscription =
                Subscription::start("pln", &plan, Start { at, zone: &zone, cycle, quantities: seats }).unwrap();
            Payer { plan, zone, tax_rate, quantities, subscription }
        },
    )
}

impl Payer {
    fn bill(&self, subscription: &Subscription) -> Result<Bill, domain::BillingError> {
        let Self { plan, zone, tax_rate, quantities: usage, .. } = self;
        bill(&Billable { plan, subscription, zone, tax_rate: tax_rate.as_ref(), usage })
    }

    /// Bills so many boundaries and returns the invoices.
    fn invoices(&self, boundaries: usize) -> Vec<InvoiceContent> {
        let mut subscription = self.subscription.clone();
        let mut invoices = Vec::new();
        for _ in 0..boundaries {
            let bill = self.bill(&subscription).unwrap();
            invoices.extend(bill.invoice);
            subscription = bill.subscription;
        }
        invoices
    }
}

/// A whole period of a plan with one fixed price, to follow its boundaries.
fn follower(start: Timestamp, zone: &Zone, every: (Interval, u16), cycle: BillingCycle) -> Payer {
    let price = price_of(PriceKind::Fixed, PriceModel::Flat { amount: Decimal::from(30) });
    let plan: Plan = plan_of(vec![price], every).try_into().unwrap();
    let start = Start { at: start, zone, cycle, quantities: BTreeMap::new() };
    let subscription = Subscription::start("pln", &plan, start).unwrap();
    Payer { plan, zone: zone.clone(), tax_rate: None, quantities: BTreeMap::new(), subscription }
}

proptest! {
    /// Twenty years and more of periods, in local dates and in instants.
    #[test]
    fn periods_tile_time(start in instant(), zone in zone(), month in any::<bool>(), count in 1_u16..=6, cycle in cycle()) {
        let every = (if month { Interval::Month } else { Interval::Year }, count);
        let payer = follower(start, &zone, every, cycle);
        let mut subscription = payer.subscription.clone();
        let (mut day, mut instant) = (subscription.start_date(), subscription.start_at());
        for _ in 0..20 * 12 / count {
            let Bill { invoice, subscription: next } = payer.bill(&subscription).unwrap();
            let invoice = invoice.unwrap();
            let period = invoice.lines[0].period;
            prop_assert_eq!(period.start, day);
            prop_assert!(period.days() > 0);
            prop_assert_eq!(period.end, next.next_boundary());
            prop_assert_eq!(next.current_period(), period);
            prop_assert_eq!(invoice.issued_at, subscription.due_at(&zone));
            let window = usage_window(&next, &zone).unwrap();
            prop_assert_eq!(window.from, instant);
            prop_assert!(window.to >= window.from);
            (day, instant, subscription) = (period.end, window.to, next);
        }
    }

    /// Boundary n of an anniversary is n periods after the start, whatever happened in between.
    #[test]
    fn an_anniversary_never_drifts(start in instant(), zone in zone(), count in 1_u16..=6) {
        let payer = follower(start, &zone, (Interval::Month, count), BillingCycle::Anniversary);
        let first = payer.subscription.start_date();
        for (number, invoice) in payer.invoices(60).iter().enumerate() {
            let months = i64::from(count) * i64::try_from(number).unwrap();
            prop_assert_eq!(invoice.lines[0].period.start, first.checked_add(months.months()).unwrap());
            prop_assert_eq!(invoice.lines[0].proration, None);
            prop_assert_eq!(invoice.total_minor, 3000);
        }
    }

    /// Only the first period of a calendar cycle is a part, and it ends on a first of the month.
    #[test]
    fn a_calendar_cycle_has_one_stub(start in instant(), zone in zone(), count in 1_u16..=6) {
        let payer = follower(start, &zone, (Interval::Month, count), BillingCycle::Calendar);
        for (number, invoice) in payer.invoices(30).iter().enumerate() {
            let line = &invoice.lines[0];
            prop_assert_eq!(line.period.end.day(), 1);
            prop_assert!(number == 0 || line.proration.is_none());
            let (days, of_days) = line.proration.map_or((1, 1), |part| part.days());
            prop_assert!((line.amount_minor * of_days - 3000 * days).abs() * 2 <= of_days);
        }
    }

    #[test]
    fn lines_sum_to_totals_and_inputs_give_the_same_invoice(payer in payer(amount())) {
        for invoice in payer.invoices(4) {
            let sum = |of: fn(&domain::LineItem) -> i64| invoice.lines.iter().map(of).sum::<i64>();
            prop_assert_eq!(sum(|line| line.amount_minor), invoice.subtotal_minor);
            prop_assert_eq!(sum(|line| line.discount_minor), invoice.discount_minor);
            prop_assert_eq!(sum(|line| line.tax_minor), invoice.tax_minor);
            prop_assert_eq!(invoice.subtotal_minor - invoice.discount_minor + invoice.tax_minor, invoice.total_minor);
            prop_assert_eq!(invoice.amount_due(), Money::new(invoice.total_minor, invoice.currency));
            let percent = payer.tax_rate.as_ref().map_or(Decimal::ZERO, TaxRate::percent);
            let exact = |minor: i64| Decimal::from(minor) * percent / Decimal::ONE_HUNDRED;
            let half = Decimal::new(5, 1);
            prop_assert!((exact(invoice.subtotal_minor) - Decimal::from(invoice.tax_minor)).abs() <= half);
            for line in &invoice.lines {
                prop_assert!((exact(line.amount_minor) - Decimal::from(line.tax_minor)).abs() < Decimal::ONE);
            }
            prop_assert_eq!(invoice.recompute().unwrap(), invoice);
        }
    }

    /// A subscription that is stored and loaded between any two boundaries is billed alike.
    #[test]
    fn boundaries_are_billed_alike_however_one_gets_there(payer in payer(amount()), restarts in vec(any::<bool>(), 6)) {
        let mut subscription = payer.subscription.clone();
        let mut invoices = Vec::new();
        for restart in &restarts {
            if *restart {
                subscription = serde_json::from_str(&serde_json::to_string(&subscription).unwrap()).unwrap();
            }
            // Asking twice changes nothing.
            prop_assert_eq!(payer.bill(&subscription), payer.bill(&subscription));
            let bill = payer.bill(&subscription).unwrap();
            invoices.extend(bill.invoice);
            subscription = bill.subscription;
        }
        prop_assert_eq!(invoices, payer.invoices(restarts.len()));
    }

    /// Whatever the numbers, billing answers: with an invoice that explains itself, or with an error.
    #[test]
    fn no_quantity_makes_billing_panic(payer in payer(anything())) {
        let mut subscription = payer.subscription.clone();
        for _ in 0..3 {
            let Ok(bill) = payer.bill(&subscription) else { return Ok(()) };
            for line in bill.invoice.iter().flat_map(|invoice| &invoice.lines) {
                prop_assert!(!line.explain(payer.plan.currency()).unwrap().is_empty());
            }
            subscription = bill.subscription;
        }
    }

    #[test]
    fn rounding_is_half_up_and_never_further_than_a_half(minor in any::<i32>(), rest in -5_000_i64..=5_000) {
        let usd = "usd".parse().unwrap();
        let exact = Decimal::from(minor) + Decimal::new(rest, 4);
        let rounded = Money::round_half_up(exact / Decimal::ONE_HUNDRED, usd).unwrap().minor();
        let expected = match rest {
            5_000 if minor >= 0 => i64::from(minor) + 1,
            -5_000 if minor <= 0 => i64::from(minor) - 1,
            _ => i64::from(minor),
        };
        prop_assert_eq!(rounded, expected);
    }
}
