//! Mails about what becomes of a subscription.

use std::collections::BTreeMap;

use gateways::mail::letter::Letter;
use jiff::{Timestamp, civil::Date};

use super::writer::Writer;

/// It follows another plan, or has other quantities.
pub(super) fn changed(
    writer: &Writer<'_>,
    (plan, quantities): (&str, &BTreeMap<String, String>),
    effective_at: Timestamp,
) -> Letter {
    let mut facts = vec![("Plan".into(), plan.into())];
    facts.extend(quantities.iter().map(|(key, units)| (key.into(), writer.number(units))));
    facts.push(("From".into(), writer.day(effective_at)));
    Letter {
        label: "Subscription changed".into(),
        headline: plan.into(),
        paragraphs: vec![writer.greeting("your subscription has changed. This is how it is from then on.")],
        facts,
        note: Some("What the change costs or gives back is on the next invoice.".into()),
        ..writer.letter("your subscription has changed", "your subscription was changed")
    }
}

/// It ends.
pub(super) fn cancelled(writer: &Writer<'_>, plan: &str, ends_at: Timestamp) -> Letter {
    Letter {
        label: "Subscription cancelled".into(),
        headline: plan.into(),
        paragraphs: vec![writer.greeting("your subscription is cancelled.")],
        facts: vec![("Plan".into(), plan.into()), ("Ends".into(), writer.day(ends_at))],
        note: Some("It does not renew. Invoices that were issued before stay as they are.".into()),
        ..writer.letter("your subscription is cancelled", "your subscription was cancelled")
    }
}

/// The trial is over soon.
pub(super) fn trial_ending(writer: &Writer<'_>, plan: &str, ends_on: Date) -> Letter {
    let day = writer.date(ends_on);
    Letter {
        label: "Your trial ends".into(),
        headline: day.clone(),
        paragraphs: vec![writer.greeting("your trial ends soon.")],
        facts: vec![("Plan".into(), plan.into()), ("First day that is billed".into(), day.clone())],
        note: Some(
            format!("Your subscription goes on by itself. If you do not want that, cancel it before {day}.").into(),
        ),
        ..writer.letter("your trial ends soon", "your trial ends soon")
    }
}
