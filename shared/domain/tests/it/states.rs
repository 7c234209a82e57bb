//! States of invoices and subscriptions: which changes exist, and what failed payments make of a subscription.

use domain::{DunningOutcome, InvoiceStatus, ProrationBehavior, Subscription, SubscriptionStatus, Zone};
use jiff::civil::Date;
use proptest::prelude::*;
use serde_json::json;

use crate::story::{Story, at, flat, plan, with};

use SubscriptionStatus::{Active, Cancelled, PastDue, Paused, Trialing, Unpaid};

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// A monthly subscription from 1 January on, with a trial of so many days if it is not the plan's, which is none.
fn subscribed(trial_days: Option<u16>) -> Story {
    let monthly = plan("pro", "month", &[flat("base", "advance", "10.00")]);
    let longer = with(plan("longer", "month", &[flat("base", "advance", "10.00")]), json!({ "trial_days": 60 }));
    let mut story = Story::start(&[monthly, longer], "2024-01-01", json!({ "trial_days": trial_days }));
    story.until("2024-01-01");
    story
}

/// "Subscription states: trialing, active, past_due, unpaid, paused, cancelled; only listed transitions exist."
///
/// Every pair of states of a subscription: a `+` for a change that exists, by row from, by column to.
#[test]
fn subscription_states_only_listed_transitions_exist() {
    let table = [
        //           trialing active past_due unpaid paused cancelled
        (Trialing, [" ", "+", "+", " ", "+", "+"]),
        (Active, ["+", " ", "+", " ", "+", "+"]),
        (PastDue, ["+", "+", " ", "+", "+", "+"]),
        (Unpaid, ["+", "+", " ", " ", " ", "+"]),
        (Paused, ["+", "+", "+", "+", " ", "+"]),
        (Cancelled, [" ", " ", " ", " ", " ", " "]),
    ];
    assert_eq!(table.map(|(from, _)| from), SubscriptionStatus::ALL);
    for (from, row) in table {
        assert_eq!(serde_json::to_value(from).unwrap(), from.as_str());
        for (to, cell) in SubscriptionStatus::ALL.into_iter().zip(row) {
            let mut one = in_state(from);
            let moved = one.transition_to(to);
            assert_eq!(moved.is_ok(), cell == "+", "{} to {}", from.as_str(), to.as_str());
            assert_eq!(one.status(), if moved.is_ok() { to } else { from });
            if let Err(error) = moved {
                let (from, to) = (from.as_str(), to.as_str());
                assert_eq!(error.to_string(), format!("a subscription that is {from} cannot become {to}"));
            }
        }
    }
}

/// A subscription that has come to a state as subscriptions do.
fn in_state(status: SubscriptionStatus) -> Subscription {
    let mut story = subscribed((status == Trialing).then_some(10));
    let today = day("2024-01-02");
    match status {
        Trialing | Active => {}
        PastDue => story.subscription.payment_failed(today).unwrap(),
        Unpaid => story.subscription.left_unpaid(today).unwrap(),
        Paused => story.pause("2024-01-02"),
        Cancelled => drop(story.cancel("2024-01-02", ProrationBehavior::Day)),
    }
    assert_eq!(story.subscription.status(), status);
    story.subscription
}

/// "Invoice states: draft, open, then paid, void or uncollectible."
///
/// Every pair of states of an invoice.
#[test]
fn invoice_states_draft_open_paid_void_uncollectible() {
    use InvoiceStatus::{Draft, Open, Paid, Uncollectible, Void};
    let table = [
        //                draft open paid void uncollectible
        (Draft, [" ", "+", " ", " ", " "]),
        (Open, [" ", " ", "+", "+", "+"]),
        (Paid, [" ", " ", " ", " ", " "]),
        (Void, [" ", " ", " ", " ", " "]),
        (Uncollectible, [" ", " ", " ", " ", " "]),
    ];
    for (from, row) in table {
        assert_eq!(serde_json::to_value(from).unwrap(), from.as_str());
        for ((to, _), cell) in table.into_iter().zip(row) {
            let moved = from.transition_to(to).map_err(|error| error.to_string());
            let refused = format!("an invoice that is {} cannot become {}", from.as_str(), to.as_str());
            assert_eq!(moved, if cell == "+" { Ok(to) } else { Err(refused) });
        }
    }
}

/// "From the first failure a subscription is past_due, and goes on being billed and collected, until nothing is owed
/// whose payment has failed."
#[test]
fn from_the_first_failure_on_a_subscription_is_past_due_until_nothing_is_owed() {
    let mut story = subscribed(None);
    story.subscription.payment_failed(day("2024-01-01")).unwrap();
    story.subscription.payment_failed(day("2024-01-02")).unwrap();
    assert_eq!((story.subscription.status(), story.subscription.is_billed_as_drafts()), (PastDue, false));
    // It goes on being billed.
    story.until("2024-02-01");
    assert_eq!((story.invoices.len(), story.subscription.status()), (2, PastDue));
    story.subscription.payments_recovered(day("2024-02-01")).unwrap();
    assert_eq!((story.subscription.status(), story.subscription.is_in_arrears()), (Active, false));
}

/// "Unpaid is billed as drafts, and left by paying or cancelling only."
#[test]
fn unpaid_is_billed_as_drafts_and_left_only_by_paying_or_cancelling() {
    let mut story = subscribed(None);
    story.subscription.left_unpaid(day("2024-01-08")).unwrap();
    story.until("2024-02-01");
    story.subscription.payment_failed(day("2024-02-01")).unwrap();
    story.change("2024-02-02", json!({ "plan": "longer" }));
    assert!(story.subscription.pause(at("2024-02-03")).is_err());
    assert_eq!((story.subscription.status(), story.subscription.is_billed_as_drafts()), (Unpaid, true));
    let mut paid = story.clone();
    paid.subscription.payments_recovered(day("2024-02-04")).unwrap();
    // The plan that it was changed to has a trial until 1 March.
    assert_eq!((paid.subscription.status(), paid.subscription.is_billed_as_drafts()), (Trialing, false));
    story.cancel("2024-02-04", ProrationBehavior::Day);
    story.subscription.payments_recovered(day("2024-02-05")).unwrap();
    assert_eq!(story.subscription.status(), Cancelled);
}

/// "A pause outlasts failures: what is paused shows how it stands when it resumes."
#[test]
fn a_pause_outlasts_failures() {
    let mut story = subscribed(None);
    story.pause("2024-01-05");
    story.subscription.payment_failed(day("2024-01-06")).unwrap();
    assert_eq!((story.subscription.status(), story.subscription.is_in_arrears()), (Paused, true));
    let mut unpaid = story.clone();
    unpaid.subscription.left_unpaid(day("2024-01-10")).unwrap();
    assert_eq!(unpaid.subscription.status(), Paused);
    unpaid.resume("2024-01-20");
    assert_eq!(unpaid.subscription.status(), Unpaid);
    story.resume("2024-01-20");
    assert_eq!(story.subscription.status(), PastDue);
    story.pause("2024-01-25");
    story.subscription.payments_recovered(day("2024-01-26")).unwrap();
    assert_eq!(story.subscription.status(), Paused);
    story.resume("2024-01-27");
    assert_eq!(story.subscription.status(), Active);
}

#[test]
fn what_is_paid_within_a_trial_goes_on_with_it_and_a_failure_outlasts_its_end() {
    let mut story = subscribed(Some(20));
    story.subscription.payment_failed(day("2024-01-02")).unwrap();
    assert_eq!(story.subscription.status(), PastDue);
    let mut owing = story.clone();
    story.subscription.payments_recovered(day("2024-01-03")).unwrap();
    assert_eq!(story.subscription.status(), Trialing);
    story.until("2024-01-21");
    assert_eq!(story.subscription.status(), Active);
    owing.until("2024-01-21");
    assert_eq!(owing.subscription.status(), PastDue);
}

/// What may happen to a subscription, day by day.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Fails,
    Ends(DunningOutcome),
    Recovers,
    Pauses,
    Resumes,
    Changes,
}

fn happens() -> impl Strategy<Value = Happens> {
    use Happens::{Changes, Ends, Fails, Pauses, Recovers, Resumes};
    let outcomes = [DunningOutcome::PastDue, DunningOutcome::Unpaid, DunningOutcome::Cancel].map(Ends);
    let all = [vec![Fails, Recovers, Pauses, Resumes, Changes], outcomes.to_vec()].concat();
    // A cancellation ends the story, so it is rare.
    prop::sample::select(all).prop_filter("rare", |one| !matches!(one, Ends(DunningOutcome::Cancel)))
}

/// Does it where it is allowed; whether it was.
fn apply(story: &mut Story, one: Happens, today: Date) -> bool {
    let at = Zone::UTC.start_of_day(today).to_string();
    story.until(&at);
    let status = story.subscription.status();
    let subscription = &mut story.subscription;
    match one {
        Happens::Fails => subscription.payment_failed(today).unwrap(),
        Happens::Ends(DunningOutcome::PastDue) => {}
        Happens::Ends(DunningOutcome::Unpaid) => subscription.left_unpaid(today).unwrap(),
        Happens::Ends(DunningOutcome::Cancel) => drop(story.cancel(&at, ProrationBehavior::Day)),
        Happens::Recovers => subscription.payments_recovered(today).unwrap(),
        Happens::Pauses if status == Paused || status == Unpaid => return false,
        Happens::Pauses => story.pause(&at),
        Happens::Resumes if status != Paused => return false,
        Happens::Resumes => drop(story.resume(&at)),
        Happens::Changes => {
            let to = if story.subscription.plan() == "pro" { "longer" } else { "pro" };
            drop(story.change(&at, json!({ "plan": to })));
        }
    }
    true
}

proptest! {
    /// Whatever fails, pauses and changes: every state follows from the one before by a listed change, or by several on one
    /// day; and it says how the subscription stands, unless it is paused.
    #[test]
    fn no_state_is_reached_that_is_not_listed(
        trial_days in prop::sample::select(vec![None, Some(20)]),
        story in prop::collection::vec((1..20_i8, happens()), 1..25),
        cancelled in any::<bool>(),
    ) {
        let mut subscribed = subscribed(trial_days);
        let mut today = day("2024-01-01");
        let (mut fails, mut unpaid, mut paused) = (false, false, false);
        for (days, one) in story {
            today += jiff::Span::new().days(days);
            let before = subscribed.subscription.status();
            if !apply(&mut subscribed, one, today) {
                continue;
            }
            match one {
                Happens::Fails => fails = true,
                Happens::Ends(outcome) => {
                    unpaid |= outcome == DunningOutcome::Unpaid;
                    fails |= unpaid;
                }
                Happens::Recovers => (fails, unpaid) = (false, false),
                Happens::Pauses => paused = true,
                Happens::Resumes => paused = false,
                Happens::Changes => {}
            }
            let after = subscribed.subscription.status();
            match (paused, unpaid, fails) {
                (true, _, _) => prop_assert_eq!(after, Paused),
                (_, true, _) => prop_assert_eq!(after, Unpaid),
                (_, _, true) => prop_assert_eq!(after, PastDue),
                _ => prop_assert!(matches!(after, Active | Trialing)),
            }
            if before == Unpaid && after != Unpaid {
                prop_assert!(matches!(one, Happens::Recovers), "unpaid was left by {:?}", one);
            }
        }
        if cancelled {
            apply(&mut subscribed, Happens::Ends(DunningOutcome::Cancel), today);
            subscribed.subscription.payment_failed(today).unwrap();
            prop_assert_eq!(subscribed.subscription.status(), Cancelled);
        }
    }
}
