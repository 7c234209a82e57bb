//! Laws of billing: what holds for any plan, any quantity, any day, any zone and any story. What holds for each invoice by
//! itself is asserted by [`Story`].

use std::{collections::BTreeMap, num::NonZeroU16};

use domain::{
    Anchor, AnchorDay, BillingCycle, BillingError, Coupon, Every, Exact, Interval, LineKind, Money, Occasion, Plan,
    PlanSpec, PriceKind, PriceModel, PriceSpec, ProrationBehavior, Start, Subscription, TaxRate, TaxRounding, Taxes,
    Timing, TrialUsage, Zone,
};
use jiff::{SignedDuration, Timestamp, civil::Date};
use proptest::{collection::vec, option::of, prelude::*, sample::select};
use rust_decimal::Decimal;
use serde_json::json;

use crate::{
    models::{anything, model, usage_model},
    story::{Story, shown},
};

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

pub(crate) fn zone() -> impl Strategy<Value = Zone> {
    select(&ZONES[..]).prop_map(|name| name.parse().unwrap())
}

/// From 1985 to 2035, to the second.
pub(crate) fn instant() -> impl Strategy<Value = Timestamp> {
    (473_385_600_i64..2_051_222_400).prop_map(|second| Timestamp::from_second(second).unwrap())
}

pub(crate) fn interval() -> impl Strategy<Value = Interval> {
    select(&[Interval::Day, Interval::Week, Interval::Month, Interval::Quarter, Interval::Year][..])
}

/// Intervals, some of them several: days not so few that a story has thousands of boundaries.
fn every() -> impl Strategy<Value = Every> {
    (interval(), 1_u16..=3).prop_map(|(interval, count)| {
        let count = if interval == Interval::Day { count * 5 } else { count };
        Every { interval, count: NonZeroU16::new(count).unwrap() }
    })
}

/// A price of a model, and nothing else.
fn price_of(key: &str, kind: PriceKind, timing: Timing, model: PriceModel) -> PriceSpec {
    PriceSpec {
        key: key.to_owned(),
        name: None,
        kind,
        timing,
        interval: None,
        meter: (kind == PriceKind::Usage).then(|| "calls".to_owned()),
        filters: Vec::new(),
        group_by: Vec::new(),
        tax_rates: None,
        min_amount_minor: None,
        max_amount_minor: None,
        model: model.into(),
    }
}

/// Any price but for its key.
fn price() -> impl Strategy<Value = PriceSpec> {
    let kind = select(&[PriceKind::Fixed, PriceKind::Licensed, PriceKind::Usage][..]);
    let limit = || of(0_i64..100_000);
    let parts = (of(interval()), any::<bool>(), any::<bool>());
    (kind, any::<bool>(), (model(), usage_model()), (limit(), limit()), parts).prop_map(
        |(kind, flag, (any_model, usage_model), (one, other), (interval, grouped, filtered))| {
            let usage = kind == PriceKind::Usage;
            let timing = if flag && !usage { Timing::Advance } else { Timing::Arrears };
            let filter = || json!({ "property": "region", "values": ["eu"] });
            PriceSpec {
                interval,
                group_by: if usage && grouped { vec!["region".to_owned()] } else { Vec::new() },
                filters: if usage && filtered {
                    serde_json::from_value(json!([filter()])).unwrap()
                } else {
                    Vec::new()
                },
                // A limit drawn without the other is a maximum.
                min_amount_minor: one.and_then(|one| other.map(|other| one.min(other))),
                max_amount_minor: one.max(other),
                ..price_of("", kind, timing, if usage && flag { usage_model } else { any_model })
            }
        },
    )
}

/// A plan of prices, and nothing else. Own intervals that are too long are left out.
fn plan_of(key: &str, mut prices: Vec<PriceSpec>, every: Every) -> PlanSpec {
    for price in &mut prices {
        price.interval = price.interval.filter(|own| every.covers(Every::one(*own)));
    }
    PlanSpec {
        key: key.to_owned(),
        name: None,
        currency: "usd".parse().unwrap(),
        interval: every.interval,
        interval_count: every.count,
        trial_days: 0,
        trial_usage: TrialUsage::Free,
        minimum_commitment_minor: 0,
        prices,
    }
}

/// Any plan; the keys of its prices are its own, so that lines tell which plan they are of.
fn plan(key: &'static str) -> impl Strategy<Value = PlanSpec> {
    let trial = (prop_oneof![2 => Just(0_u16), 1 => 1_u16..50], any::<bool>());
    let commitment = prop_oneof![Just(0_i64), 0_i64..1_000_000];
    (vec(price(), 1..5), every(), trial, commitment).prop_map(
        move |(mut prices, every, (trial_days, billed), least)| {
            for (index, price) in prices.iter_mut().enumerate() {
                price.key = format!("{key}{index}");
            }
            let trial_usage = if billed { TrialUsage::Billed } else { TrialUsage::Free };
            PlanSpec { trial_days, trial_usage, minimum_commitment_minor: least, ..plan_of(key, prices, every) }
        },
    )
}

/// Two plans of one currency.
fn plans() -> impl Strategy<Value = [Plan; 2]> {
    (plan("a"), plan("b"), select(&["usd", "jpy", "kwd"][..])).prop_map(|(a, b, currency)| {
        [a, b].map(|spec| PlanSpec { currency: currency.parse().unwrap(), ..spec }.try_into().unwrap())
    })
}

fn cycle() -> impl Strategy<Value = BillingCycle> {
    select(&[BillingCycle::Anniversary, BillingCycle::Calendar][..])
}

fn taxes() -> impl Strategy<Value = Taxes> {
    let rate = |thousandths: i64| -> TaxRate {
        let percent = Decimal::new(thousandths, 3).to_string();
        serde_json::from_value(json!({ "name": "VAT", "percent": percent })).unwrap()
    };
    let rounding = select(&[TaxRounding::Invoice, TaxRounding::Line][..]);
    (vec((0_i64..=100_000).prop_map(rate), 0..3), rounding).prop_map(|(rates, rounding)| Taxes { rates, rounding })
}

fn coupon() -> impl Strategy<Value = Coupon> {
    let off = prop_oneof![
        (1_i64..=100_000).prop_map(|thousandths| json!({ "percent_off": Decimal::new(thousandths, 3).to_string() })),
        (1_i64..100_000).prop_map(|minor| json!({ "amount_off_minor": minor })),
    ];
    (off, 0_u32..4, any::<bool>()).prop_map(|(mut body, periods, limited)| {
        body["key"] = json!("c");
        body["duration"] = json!(["once", "forever", "repeating", "repeating"][periods as usize]);
        if periods > 1 {
            body["duration_periods"] = json!(periods);
        }
        if limited {
            body["applies_to"] = json!(["a0", "a1", "b0"]);
        }
        serde_json::from_value(body).unwrap()
    })
}

/// What happens to a subscription.
#[derive(Clone, Debug)]
enum Deed {
    Use { units: i64, region: &'static str },
    Quantities { units: i64, proration: ProrationBehavior },
    QuantitiesAtPeriodEnd { units: i64 },
    Plan { units: i64, proration: ProrationBehavior },
    PlanAtPeriodEnd { units: i64 },
    Pause,
    Resume,
    Coupon(Coupon),
    Moves(Zone),
    CancelAtPeriodEnd,
    Cancel(ProrationBehavior),
}

fn deed(proration: impl Strategy<Value = ProrationBehavior> + Clone + 'static) -> impl Strategy<Value = Deed> {
    let units = || prop_oneof![Just(0_i64), 1_i64..20];
    prop_oneof![
        8 => (-5_i64..100, select(&["eu", "us", ""][..])).prop_map(|(units, region)| Deed::Use { units, region }),
        3 => (units(), proration.clone()).prop_map(|(units, proration)| Deed::Quantities { units, proration }),
        1 => units().prop_map(|units| Deed::QuantitiesAtPeriodEnd { units }),
        2 => (units(), proration.clone()).prop_map(|(units, proration)| Deed::Plan { units, proration }),
        1 => units().prop_map(|units| Deed::PlanAtPeriodEnd { units }),
        3 => Just(Deed::Pause),
        3 => Just(Deed::Resume),
        1 => coupon().prop_map(Deed::Coupon),
        1 => zone().prop_map(Deed::Moves),
        1 => Just(Deed::CancelAtPeriodEnd),
        1 => proration.prop_map(Deed::Cancel),
    ]
}

/// What happens after how many minutes: often on the same day, rarely much later.
fn deeds(
    proration: impl Strategy<Value = ProrationBehavior> + Clone + 'static,
) -> impl Strategy<Value = Vec<(i64, Deed)>> {
    let minutes = prop_oneof![2 => 0_i64..1_440, 3 => 0_i64..15 * 1_440, 1 => 0_i64..70 * 1_440];
    vec((minutes, deed(proration)), 1..12)
}

/// Quantities for all licensed prices of a plan.
fn licensed(plan: &Plan, units: i64) -> BTreeMap<String, Decimal> {
    let prices = plan.prices().iter().filter(|price| price.is_licensed());
    prices.map(|price| (price.key.clone(), Decimal::from(units))).collect()
}

/// The same, some units more for every further price: so that not all of them change at once.
fn mixed(plan: &Plan, units: i64) -> BTreeMap<String, Decimal> {
    let mut all = licensed(plan, 3);
    if let Some(mut first) = all.first_entry() {
        first.insert(Decimal::from(units));
    }
    all
}

#[derive(Clone, Debug)]
struct World {
    plans: [Plan; 2],
    story: Story,
    now: Timestamp,
}

impl World {
    /// Starts a subscription to the first plan; on its anniversaries where there is no such cycle for both.
    fn start(plans: [Plan; 2], zone: Zone, taxes: Taxes, mut start: Start<'_>) -> Self {
        let fits = |plan: &Plan| Anchor::check(start.cycle, start.anchor_day, plan.every()).is_ok();
        if !plans.iter().all(fits) {
            (start.cycle, start.anchor_day) = (BillingCycle::Anniversary, None);
        }
        let now = start.at;
        let subscription = Subscription::start(plans[0].key(), &plans[0], start).unwrap();
        let story = Story::of(plans.to_vec(), zone, taxes, subscription);
        Self { plans, story, now }
    }

    fn plan(&self) -> &Plan {
        self.story.billable().plan
    }

    fn other_plan(&self) -> Plan {
        self.plans.iter().find(|plan| plan.key() != self.plan().key()).unwrap().clone()
    }

    /// Lets a time pass and does something, unless the subscription's state forbids it. Whether it was done.
    fn run(&mut self, minutes: i64, deed: &Deed) -> bool {
        self.now += SignedDuration::from_mins(minutes);
        let at = self.now;
        self.story.catch_up(at).unwrap();
        let status = self.story.subscription.status();
        let done = self.act(at, deed);
        let after = self.story.subscription.status();
        assert!(status == after || status.successors().contains(&after), "{status:?} became {after:?}");
        done
    }

    fn act(&mut self, at: Timestamp, deed: &Deed) -> bool {
        let id = self.plan().key().to_owned();
        let (plan, other) = (self.plan().clone(), self.other_plan());
        let story = &mut self.story;
        let is_over = story.subscription.next_boundary().is_none();
        match deed {
            Deed::Use { units, region } => {
                story.reports("calls", at, &[("value", units.to_string().as_str()), ("region", region)]);
                true
            }
            Deed::Coupon(coupon) => story.subscription.apply_coupon(coupon.clone()).is_ok(),
            Deed::Moves(zone) => {
                story.moves_to(zone.clone());
                true
            }
            Deed::Pause => story.subscription.pause(at).is_ok(),
            Deed::CancelAtPeriodEnd => story.subscription.cancel_at_period_end().is_ok(),
            Deed::QuantitiesAtPeriodEnd { .. } | Deed::PlanAtPeriodEnd { .. } if is_over => false,
            Deed::QuantitiesAtPeriodEnd { units } => {
                story.subscription.change_at_period_end((&id, &plan), &mixed(&plan, *units)).is_ok()
            }
            Deed::PlanAtPeriodEnd { units } => {
                story.subscription.change_at_period_end((other.key(), &other), &licensed(&other, *units)).is_ok()
            }
            Deed::Quantities { units, proration } => {
                let (to, quantities) = ((id.as_str(), &plan), mixed(&plan, *units));
                was_done(story.bill(&Occasion::Change { at, to, quantities: &quantities, proration: *proration }))
            }
            Deed::Plan { units, proration } => {
                let (to, quantities) = ((other.key(), &other), licensed(&other, *units));
                was_done(story.bill(&Occasion::Change { at, to, quantities: &quantities, proration: *proration }))
            }
            Deed::Resume => was_done(story.bill(&Occasion::Resume { at })),
            Deed::Cancel(proration) => was_done(story.bill(&Occasion::Cancel { at, proration: *proration })),
        }
    }
}

impl World {
    fn today(&self) -> Date {
        self.story.billable().zone.date_of(self.now)
    }

    /// Whether midnight happens twice and this is in between: by the clock it is the day before.
    fn is_midnight_over(&self) -> bool {
        self.story.billable().zone.start_of_day(self.today().tomorrow().unwrap()) <= self.now
    }

    /// The days of a price that were billed and not credited, each times its quantity, or its units; what all of that came to
    /// in minor units, and on how many lines.
    fn billed(&self, price: &domain::Price) -> (Exact, i64, i64) {
        let (mut days, mut minor, mut lines) = (Exact::zero(), 0, 0);
        let all = self.story.invoices.iter().flat_map(|invoice| &invoice.lines);
        for line in all.filter(|line| line.price.as_deref() == Some(&price.key)) {
            let length = line.proration.map_or(line.period.days(), |part| part.days().0);
            let times = match line.kind {
                LineKind::Usage => 1,
                LineKind::Proration => -length,
                _ => length,
            };
            days = days + line.quantity.clone() * times.into();
            (minor, lines) = (minor + line.amount_minor, lines + 1);
        }
        (days, minor, lines)
    }
}

/// Only a state may keep something from being done.
fn was_done<T: std::fmt::Debug>(result: Result<T, BillingError>) -> bool {
    assert!(matches!(result, Ok(_) | Err(BillingError::State(_))), "{result:?}");
    result.is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens to a subscription, its invoices add up and explain themselves, nothing is billed twice, and nobody is
    /// credited more than was billed.
    #[test]
    fn any_story_adds_up(
        plans in plans(), zone in zone(), taxes in taxes(),
        (at, cycle, day, trial_days) in (instant(), cycle(), of(1_u8..=31), of(0_u16..40)),
        (coupons, end) in (vec(coupon(), 0..3), of(24_i64..2_000)),
        deeds in deeds(select(&[ProrationBehavior::Day, ProrationBehavior::None][..])),
    ) {
        let anchor_day = day.map(|day| AnchorDay::try_from(day).unwrap());
        let quantities = licensed(&plans[0], 3);
        let end_at = end.map(|hours| at + SignedDuration::from_hours(hours + 24));
        let start =
            Start { cycle, anchor_day, trial_days, coupons, end_at, quantities, ..Start::at(at, &zone) };
        let mut world = World::start(plans, zone.clone(), taxes, start);
        for (minutes, deed) in &deeds {
            world.run(*minutes, deed);
        }
        world.run(100 * 1_440, &Deed::Use { units: 1, region: "" });
        let mut left: BTreeMap<&str, i64> = BTreeMap::new();
        for line in world.story.invoices.iter().flat_map(|invoice| &invoice.lines) {
            let price = line.price.as_deref();
            let timing = world.plans.iter().find_map(|plan| plan.price(price?)).map(|price| price.timing);
            if timing == Some(Timing::Advance) {
                let left = left.entry(price.unwrap()).or_default();
                *left += line.amount_minor - line.discount_minor;
                prop_assert!(*left >= 0, "more is credited than was billed: {}", shown(line));
            }
        }
    }

    /// Days and units are conserved: whatever happens, each day is billed once for what was subscribed on it, at the price of
    /// its full window, and each unit once; what is billed differs from that by the rounding of its lines at most.
    #[test]
    fn days_and_units_are_conserved(
        a in simple_plan("a"), b in simple_plan("b"), zone in zone(),
        (at, cycle, day, trial_days) in (instant(), cycle(), of(1_u8..=31), prop_oneof![Just(0_u16), 1_u16..40]),
        deeds in deeds(Just(ProrationBehavior::Day)),
    ) {
        let anchor_day = day.map(|day| AnchorDay::try_from(day).unwrap());
        let plans = [a, b];
        let quantities = licensed(&plans[0], 3);
        let start = Start {
            cycle, anchor_day, trial_days: Some(trial_days), quantities: quantities.clone(), ..Start::at(at, &zone)
        };
        let mut world = World::start(plans, zone.clone(), Taxes::default(), start);
        let mut diary = Diary::new(&world, quantities);
        for (minutes, deed) in &deeds {
            match deed {
                // Coupons take off what is credited, negative usage is no credit, and a move makes days longer or shorter:
                // then nothing could be counted.
                Deed::Coupon(_) | Deed::Moves(_) => {}
                Deed::Use { units, region } => {
                    diary.run(&mut world, *minutes, &Deed::Use { units: units.abs(), region });
                }
                deed => diary.run(&mut world, *minutes, deed),
            }
            if world.is_midnight_over() {
                return Ok(());
            }
        }
        diary.run(&mut world, 1_440, &Deed::Cancel(ProrationBehavior::Day));
        if world.is_midnight_over() || diary.is_muddled(&world) {
            return Ok(());
        }
        let subscription = &world.story.subscription;
        let fees_from = subscription.trial_end().unwrap_or(subscription.start_date());
        let anchor = Anchor::new(fees_from, subscription.billing_cycle(), subscription.anchor_day());
        for plan in &world.plans {
            for price in plan.prices() {
                let (days, minor, lines) = world.billed(price);
                let length = |day| anchor.cadence(price.every(plan)).window_containing(day).days();
                let (owed_days, owed) = if price.kind == PriceKind::Usage {
                    let units = diary.units(&world, plan.key(), fees_from);
                    (units.clone(), units * 10_000.into())
                } else {
                    diary.owed(price, fees_from, length)
                };
                prop_assert_eq!(days, owed_days, "{}", &price.key);
                let twice_off = (Exact::from(minor) - owed.clone()) * 2.into();
                prop_assert!(twice_off.clone().max(-twice_off) <= Exact::from(lines), "{}: {minor}, not {owed}", &price.key);
            }
        }
    }

    /// Whatever the numbers, billing answers: with an invoice that explains itself, or with an error.
    #[test]
    fn no_quantity_makes_billing_panic(
        plans in plans(), zone in zone(), at in instant(), units in vec(anything(), 6), coupons in vec(coupon(), 0..2),
    ) {
        let mut units = units.iter().cycle();
        let mut quantities = licensed(&plans[0], 0);
        quantities.values_mut().for_each(|quantity| *quantity = units.next().unwrap().abs());
        let start = Start { coupons, quantities, ..Start::at(at, &zone) };
        let mut world = World::start(plans, zone.clone(), Taxes::default(), start);
        for _ in 0..3 {
            // What a client may report has fewer digits; a change brings credits and charges of the rest of a period.
            world.story.reports("calls", world.now, &[("value", "999999999999999.999999999999")]);
            if world.story.bill_boundary().is_err() {
                return Ok(());
            }
            let due = world.story.subscription.due_at();
            world.now = due.map_or(world.now, |due| due - SignedDuration::from_hours(30)).max(world.now);
            let quantities: BTreeMap<_, _> =
                licensed(world.plan(), 0).into_keys().map(|key| (key, units.next().unwrap().abs())).collect();
            let (plan, id, at) = (world.plan().clone(), world.plan().key().to_owned(), world.now);
            let proration = ProrationBehavior::Day;
            if world.story.bill(&Occasion::Change { at, to: (&id, &plan), quantities: &quantities, proration }).is_err() {
                return Ok(());
            }
        }
    }
}

proptest! {
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

/// A plan of prices that never round to nothing: 100.00 a period or unit.
fn simple_plan(key: &'static str) -> impl Strategy<Value = Plan> {
    let timing = || select(&[Timing::Advance, Timing::Arrears][..]);
    let price = move |name: &str, kind, timing, interval| {
        let unit_amount = Decimal::ONE_HUNDRED;
        let model = PriceModel::PerUnit { unit_amount };
        PriceSpec { interval, ..price_of(&format!("{key}_{name}"), kind, timing, model) }
    };
    let own = || of(interval());
    (every(), (timing(), own()), (timing(), own()), (timing(), own()), own()).prop_map(
        move |(every, base, seats, rooms, calls)| {
            let prices = vec![
                price("base", PriceKind::Fixed, base.0, base.1),
                price("rooms", PriceKind::Licensed, rooms.0, rooms.1),
                price("seats", PriceKind::Licensed, seats.0, seats.1),
                price("calls", PriceKind::Usage, Timing::Arrears, calls),
            ];
            plan_of(key, prices, every).try_into().unwrap()
        },
    )
}

/// What was subscribed from a day on.
#[derive(Clone, Debug)]
struct Terms {
    plan: String,
    quantities: BTreeMap<String, Decimal>,
}

/// What happened, day by day, written down without any billing.
#[derive(Clone, Debug)]
struct Diary {
    terms: Vec<(Date, Terms)>,
    /// At which instants the plan changed.
    plans: Vec<(Timestamp, String)>,
    pauses: Vec<(Date, Option<Date>)>,
    scheduled: Option<(Date, Terms)>,
    used: Vec<(Timestamp, i64)>,
    /// The first day after the last one.
    end: Date,
}

impl Diary {
    fn new(world: &World, quantities: BTreeMap<String, Decimal>) -> Self {
        let subscription = &world.story.subscription;
        let terms = Terms { plan: subscription.plan().to_owned(), quantities };
        let plans = vec![(subscription.start_at(), terms.plan.clone())];
        let terms = vec![(subscription.start_date(), terms)];
        Self { terms, plans, pauses: Vec::new(), scheduled: None, used: Vec::new(), end: Date::MAX }
    }

    /// Does something, and notes it down.
    fn run(&mut self, world: &mut World, minutes: i64, deed: &Deed) {
        if !world.run(minutes, deed) {
            return;
        }
        let (at, day) = (world.now, world.today());
        self.turn(world, day);
        let plan = self.terms.last().unwrap().1.plan.clone();
        let [same, other] =
            [true, false].map(|same| world.plans.iter().find(|one| (one.key() == plan) == same).unwrap());
        let quantities = |units: i64| Terms { plan: same.key().to_owned(), quantities: mixed(same, units) };
        let changed = |units: i64| Terms { plan: other.key().to_owned(), quantities: licensed(other, units) };
        let period_end = world.story.subscription.current_period().end;
        match deed {
            Deed::Use { units, .. } => self.used.push((at, *units)),
            Deed::Quantities { units, .. } => self.change(day, quantities(*units)),
            Deed::Plan { units, .. } => {
                self.plans.push((at, other.key().to_owned()));
                self.change(day, changed(*units));
            }
            Deed::QuantitiesAtPeriodEnd { units } => self.scheduled = Some((period_end, quantities(*units))),
            Deed::PlanAtPeriodEnd { units } => self.scheduled = Some((period_end, changed(*units))),
            Deed::Pause => self.pauses.push((day, None)),
            Deed::Resume => self.pauses.last_mut().unwrap().1 = Some(day),
            Deed::CancelAtPeriodEnd => {
                self.scheduled = None;
                self.end = self.end.min(period_end);
            }
            Deed::Cancel(_) => self.end = self.end.min(day.tomorrow().unwrap()),
            Deed::Coupon(_) | Deed::Moves(_) => {}
        }
    }

    fn change(&mut self, day: Date, terms: Terms) {
        self.terms.push((day, terms));
        self.scheduled = None;
    }

    /// What was to change up to a day has changed.
    fn turn(&mut self, world: &World, day: Date) {
        if let Some((since, terms)) = self.scheduled.take_if(|(since, _)| *since <= day) {
            let at = world.story.billable().zone.start_of_day(since);
            if self.terms.last().unwrap().1.plan != terms.plan {
                self.plans.push((at, terms.plan.clone()));
            }
            self.terms.push((since, terms));
        }
    }

    fn is_paused(&self, day: Date) -> bool {
        self.pauses.iter().any(|(from, until)| *from <= day && until.is_none_or(|until| day < until))
    }

    /// The days of a price, each times its quantity, and what they cost in minor units.
    fn owed(&self, price: &domain::Price, fees_from: Date, days_in_window: impl Fn(Date) -> i64) -> (Exact, Exact) {
        let (mut days, mut minor) = (Exact::zero(), Exact::zero());
        let mut day = fees_from;
        while day < self.end {
            let terms = &self.terms.iter().rev().find(|(since, _)| *since <= day).unwrap().1;
            if !self.is_paused(day) && price.key.starts_with(&terms.plan) {
                let quantity = terms.quantities.get(&price.key).copied().unwrap_or(Decimal::ONE);
                days = days + quantity.into();
                minor = minor + Exact::from(quantity) * Exact::ratio(10_000, days_in_window(day)).unwrap();
            }
            day = day.tomorrow().unwrap();
        }
        (days, minor)
    }

    /// The units used under a plan, from the day on which its fees begin.
    fn units(&self, world: &World, plan: &str, fees_from: Date) -> Exact {
        let zone = world.story.billable().zone;
        let end = world.story.subscription.end_at().unwrap();
        let counts = |(at, _): &&(Timestamp, i64)| {
            let current = self.plans.iter().rev().find(|(since, _)| since <= at);
            let day = zone.date_of(*at);
            current.is_some_and(|(_, key)| key == plan) && day >= fees_from && !self.is_paused(day) && *at < end
        };
        Exact::from(self.used.iter().filter(counts).map(|(_, units)| units).sum::<i64>())
    }

    /// Whether a day was paused in part and its plan changed: by then its usage may have been billed, or left out.
    fn is_muddled(&self, world: &World) -> bool {
        let zone = world.story.billable().zone;
        let changed = |day: Date| self.plans[1..].iter().any(|(at, _)| zone.date_of(*at) == day);
        self.pauses.iter().any(|(from, until)| changed(*from) || until.is_some_and(changed))
    }
}
