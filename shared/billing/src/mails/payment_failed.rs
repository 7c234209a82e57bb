//! "Your payment failed": sent when an invoice could not be collected, with the gateway's reason and what to do.

use gateways::mail::letter::{Letter, OneLine, Tone};
use store::{Invoice, PaymentAttempt};

use super::writer::Writer;

pub(super) fn letter(writer: &Writer<'_>, invoice: &Invoice, attempt: &PaymentAttempt) -> Letter {
    let reason = attempt.failure_message.as_deref().unwrap_or("The payment was declined.");
    Letter {
        tone: Tone::Alarm,
        label: "Payment failed".into(),
        headline: writer.amount(attempt.amount.minor(), attempt.amount.currency()),
        paragraphs: vec![writer.greeting("we could not collect the payment for this invoice.")],
        facts: vec![
            ("Invoice".into(), invoice.number.as_str().into()),
            ("Tried on".into(), writer.day(attempt.settled_at.unwrap_or(attempt.created))),
            ("Reason".into(), reason.into()),
        ],
        note: Some(OneLine::paragraph(
            "Please update your payment method or contact us. The invoice stays open until it is paid.",
        )),
        ..writer.letter(&format!("payment for invoice {} failed", invoice.number), "a payment of yours failed")
    }
}
