//! Mails about the payment of an invoice.

use domain::{DunningOutcome, Money};
use gateways::mail::letter::{Action, Letter, Link, OneLine, Tone};
use jiff::Timestamp;
use store::{Invoice, PaymentAttempt};

use super::writer::Writer;

/// It could not be collected: the gateway's reason, and what to do.
pub(super) fn failed(
    writer: &Writer<'_>,
    (invoice, attempt): (&Invoice, &PaymentAttempt),
    retry_at: Option<Timestamp>,
) -> Letter {
    let reason = attempt.failure.as_ref().map_or("The payment was declined.", |failure| failure.message.as_str());
    let note = match retry_at {
        Some(at) => format!(
            "We try again on {}. If your payment method has changed, please update it before then.",
            writer.day(at)
        ),
        None => "Please update your payment method or contact us. The invoice stays open until it is paid.".to_owned(),
    };
    Letter {
        tone: Tone::Alarm,
        label: "Payment failed".into(),
        headline: writer.amount(attempt.amount),
        paragraphs: vec![writer.greeting("we could not collect the payment for this invoice.")],
        facts: vec![
            number(invoice),
            ("Tried on".into(), writer.day(tried_at(attempt))),
            ("Reason".into(), reason.into()),
        ],
        note: Some(OneLine::paragraph(note)),
        ..writer.letter(&format!("payment for invoice {} failed", invoice.number), "a payment of yours failed")
    }
}

/// The bank wants the customer to confirm it.
pub(super) fn action_required(
    writer: &Writer<'_>,
    (invoice, attempt): (&Invoice, &PaymentAttempt),
    link: Link,
) -> Letter {
    Letter {
        label: "Payment needs your confirmation".into(),
        headline: writer.amount(attempt.amount),
        paragraphs: vec![writer.greeting("your bank wants you to confirm the payment for this invoice.")],
        facts: vec![number(invoice), ("Asked for on".into(), writer.day(tried_at(attempt)))],
        action: Some(Action { label: "Confirm payment".into(), link }),
        note: Some("Until you confirm it, the payment is not made and the invoice stays open.".into()),
        ..writer
            .letter(&format!("please confirm the payment for invoice {}", invoice.number), "a payment waits for you")
    }
}

/// Thank you.
pub(super) fn received(writer: &Writer<'_>, invoice: &Invoice, attempt: &PaymentAttempt) -> Letter {
    Letter {
        label: "Payment received".into(),
        headline: writer.amount(attempt.amount),
        paragraphs: vec![writer.greeting("thank you. We have received your payment for this invoice.")],
        facts: vec![number(invoice), ("Paid on".into(), writer.day(tried_at(attempt)))],
        ..writer.letter(&format!("payment for invoice {} received", invoice.number), "you paid an invoice")
    }
}

/// It was tried for the last time.
pub(super) fn final_notice(writer: &Writer<'_>, invoice: &Invoice, outcome: DunningOutcome) -> Letter {
    let note = match outcome {
        DunningOutcome::PastDue => "Your subscription goes on. Please update your payment method or contact us.",
        DunningOutcome::Unpaid => {
            "Your subscription is unpaid: what comes due from now on waits until this invoice is paid. Please update \
             your payment method or contact us."
        }
        DunningOutcome::Cancel => {
            "Your subscription is cancelled because of it. The invoice stays open; please contact us to settle it."
        }
    };
    Letter {
        tone: Tone::Alarm,
        label: "Still unpaid".into(),
        headline: writer.amount(invoice.amount_open()),
        paragraphs: vec![writer.greeting("we have tried to collect this invoice several times, and do not try again.")],
        facts: vec![number(invoice), ("Issued".into(), writer.day(invoice.content.issued_at))],
        note: Some(OneLine::paragraph(note)),
        ..writer.letter(&format!("invoice {} is still unpaid", invoice.number), "an invoice of yours is unpaid")
    }
}

/// Money goes back.
pub(super) fn refund(writer: &Writer<'_>, invoice: &Invoice, (amount, at): (Money, Timestamp)) -> Letter {
    Letter {
        label: "Refund".into(),
        headline: writer.amount(amount),
        paragraphs: vec![writer.greeting("we have refunded this amount to your payment method.")],
        facts: vec![number(invoice), ("Refunded on".into(), writer.day(at))],
        note: Some("It takes banks some days until a refund shows on your statement.".into()),
        ..writer.letter(&format!("refund for invoice {}", invoice.number), "a payment of yours was refunded")
    }
}

fn number(invoice: &Invoice) -> (OneLine, OneLine) {
    ("Invoice".into(), invoice.number.as_str().into())
}

fn tried_at(attempt: &PaymentAttempt) -> Timestamp {
    attempt.settled_at.unwrap_or(attempt.created)
}
