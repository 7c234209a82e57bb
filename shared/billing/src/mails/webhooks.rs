//! Mails to those who run a tenant's webhook endpoints.

use gateways::mail::letter::{Letter, OneLine, Tone};

use super::writer::Writer;

/// The endpoint has answered that it is gone.
pub(super) fn endpoint_disabled(writer: &Writer<'_>, url: &str) -> Letter {
    Letter {
        tone: Tone::Alarm,
        label: "Webhooks".into(),
        headline: "An endpoint is disabled".into(),
        paragraphs: vec![writer.greeting("a webhook endpoint answered 410 Gone, so nothing more is sent to it.")],
        facts: vec![("Endpoint".into(), url.into())],
        note: Some(OneLine::paragraph(
            "If that was a mistake, enable the endpoint again and replay the deliveries since then.",
        )),
        ..writer.letter("a webhook endpoint is disabled", "you look after its webhooks")
    }
}

/// All attempts of a delivery failed.
pub(super) fn delivery_failed(writer: &Writer<'_>, url: &str, (event_type, error): (&str, &str)) -> Letter {
    Letter {
        tone: Tone::Alarm,
        label: "Webhooks".into(),
        headline: "A delivery was given up".into(),
        paragraphs: vec![writer.greeting(
            "a webhook endpoint did not take an event, over three days and ten attempts. Others may follow today.",
        )],
        facts: vec![
            ("Endpoint".into(), url.into()),
            ("Event".into(), event_type.into()),
            ("Last attempt".into(), error.into()),
        ],
        note: Some("Once the endpoint works again, replay the deliveries that failed.".into()),
        ..writer.letter("webhook deliveries fail", "you look after its webhooks")
    }
}
