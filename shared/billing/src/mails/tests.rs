//! Every kind of mail as it is read. The snapshots are the review: a change of words shows.

use std::collections::BTreeMap;

use bson::doc;
use domain::{
    BillingPeriod, Currency, DunningOutcome, InvoiceContent, InvoiceHead, InvoiceReason, InvoiceStatus, Locale, Money,
    OneOffLine, OneOffLineSpec, TaxRounding,
};
use gateways::mail::{Mail, MailError};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use store::{Due, Invoice, Message, Notification, Recipient, SecretText};

use super::Sources;

const FROM: &str = "billing@ratchet.example";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn link() -> SecretText {
    "https://app.example/verify?token=abc".to_owned().into()
}

/// One of every kind. The compiler asks for a new one through [`super::Sources::letter`]; this list is what is looked at.
fn messages() -> Vec<Message> {
    let (invoice, attempt) = (|| "inv_1".to_owned(), || "pay_1".to_owned());
    let url = || "https://hooks.northwind.example/billing".to_owned();
    vec![
        Message::VerifyEmail { secret_link: link() },
        Message::AlreadyRegistered,
        Message::Invitation { by: "Ada".to_owned(), secret_link: link() },
        Message::PasswordReset { secret_link: link() },
        Message::InvoiceIssued { invoice: invoice() },
        Message::PaymentFailed { invoice: invoice(), attempt: attempt(), retry_at: None },
        Message::PaymentActionRequired {
            invoice: invoice(),
            attempt: attempt(),
            link: "https://gateway.example/confirm/pi_1".to_owned(),
        },
        Message::PaymentReceived { invoice: invoice(), attempt: attempt() },
        Message::FinalNotice { invoice: invoice(), outcome: DunningOutcome::Unpaid },
        Message::RefundIssued {
            invoice: invoice(),
            amount: Money::new(5_000, "usd".parse().unwrap()),
            at: at("2026-08-03T10:00:00Z"),
        },
        Message::SubscriptionChanged {
            subscription: "sub_1".to_owned(),
            plan: "Team".to_owned(),
            quantities: BTreeMap::from([("seats".to_owned(), "12".to_owned())]),
            effective_at: at("2026-08-03T10:00:00Z"),
        },
        Message::SubscriptionCancelled {
            subscription: "sub_1".to_owned(),
            plan: "Team".to_owned(),
            ends_at: at("2026-08-31T15:00:00Z"),
        },
        Message::TrialEnding {
            subscription: "sub_1".to_owned(),
            plan: "Team".to_owned(),
            ends_on: "2026-08-15".parse().unwrap(),
        },
        Message::WebhookEndpointDisabled { endpoint: "whe_1".to_owned(), url: url() },
        Message::WebhookDeliveryFailed {
            endpoint: "whe_1".to_owned(),
            url: url(),
            event_type: "invoice.paid".to_owned(),
            error: "503 Service Unavailable".to_owned(),
        },
    ]
}

fn notification(message: Message) -> Notification {
    let to = match message {
        Message::VerifyEmail { .. }
        | Message::AlreadyRegistered
        | Message::Invitation { .. }
        | Message::PasswordReset { .. }
        | Message::WebhookEndpointDisabled { .. }
        | Message::WebhookDeliveryFailed { .. } => Recipient::User("usr_1".to_owned()),
        _ => Recipient::Customer("cus_1".to_owned()),
    };
    Notification::new(("ten_1", "x_1"), to, message, at("2026-08-01T10:00:00Z"))
}

fn by_id<T: DeserializeOwned>(document: bson::Document) -> BTreeMap<String, T> {
    let id = document.get_str("_id").unwrap().to_owned();
    BTreeMap::from([(id, bson::deserialize_from_document(document).unwrap())])
}

fn sources() -> Sources {
    let created = at("2026-07-01T00:00:00Z");
    let invoice = bson::serialize_to_document(&invoice()).unwrap();
    Sources {
        tenant: bson::deserialize_from_document(doc! {
            "_id": "ten_1", "tenant": "ten_1", "revision": 1_i64, "created": created, "livemode": false,
            "name": "Northwind Developer Tools",
        })
        .unwrap(),
        customers: by_id(doc! {
            "_id": "cus_1", "tenant": "ten_1", "revision": 1_i64, "created": created, "name": "Zoë Lindqvist",
            "email": "zoe@example.com", "currency": "usd", "timezone": "Asia/Tokyo", "metadata": {},
        }),
        users: by_id(doc! {
            "_id": "usr_1", "tenant": "ten_1", "revision": 1_i64, "created": created, "name": "Grace",
            "email": "grace@northwind.example", "password_hash": "", "role": "owner",
        }),
        invoices: by_id(invoice),
        subscriptions: BTreeMap::new(),
        attempts: by_id(doc! {
            "_id": "pay_1", "tenant": "ten_1", "revision": 1_i64, "created": created, "invoice": "inv_1",
            "customer": "cus_1", "number": 1, "amount": { "minor": 39_670_i64, "currency": "usd" },
            "gateway": "online", "payment_method": "pm_1", "state": "failed", "first_sent_at": created,
            "failure": {
                "decline": { "code": "card_declined", "decline_code": "insufficient_funds" },
                "message": "Your card has insufficient funds.",
            },
            "settled_at": at("2026-07-31T20:00:00Z"),
        }),
    }
}

/// An invoice of three lines with tax, issued on 1 August in Tokyo.
fn invoice() -> Invoice {
    let period = BillingPeriod { start: "2026-07-01".parse().unwrap(), end: "2026-08-01".parse().unwrap() };
    let usd: Currency = "usd".parse().unwrap();
    let line = |body: &str| {
        let line: OneOffLine = serde_json::from_str::<OneOffLineSpec>(body).unwrap().try_into().unwrap();
        line.line(period, usd).unwrap()
    };
    let head = InvoiceHead {
        reason: InvoiceReason::Period,
        issued_at: at("2026-07-31T20:00:00Z"),
        currency: usd,
        plan: None,
        tax_rates: serde_json::from_str(r#"[{ "name": "VAT", "percent": "19" }]"#).unwrap(),
        tax_rounding: TaxRounding::default(),
        coupons: Vec::new(),
    };
    let lines = vec![
        line(r#"{ "key": "commits", "quantity": "1204", "unit_amount": "0.10" }"#),
        line(r#"{ "key": "lines_changed", "quantity": "61480", "unit_amount": "0.003" }"#),
        line(r#"{ "key": "base", "description": "Base fee", "unit_amount": "20" }"#),
    ];
    Invoice {
        id: "inv_1".to_owned(),
        tenant: "ten_1".to_owned(),
        revision: 1,
        created: at("2026-07-31T20:00:00Z"),
        number: "NWD-000142".to_owned(),
        customer: "cus_1".to_owned(),
        subscription: None,
        boundary: period.end,
        billing_run: None,
        chunk: None,
        status: InvoiceStatus::Open,
        content: InvoiceContent::of_lines(head, lines).unwrap(),
        credited_by_notes_minor: 0,
        offset_by_notes_minor: 0,
        paid_minor: 0,
        dunning: None,
        collection: store::Collection::default(),
        payable_until: None,
        collectible: true,
        attempts: 0,
        open_attempt: None,
        paid_at: None,
        recipe: None,
        due: Due::never(),
    }
}

fn mail(message: Message) -> Mail {
    sources().mail(&notification(message), FROM).unwrap()
}

#[test]
fn every_kind_of_mail_as_it_is_read() {
    for message in messages() {
        let (kind, mail) = (message.kind(), mail(message));
        assert_eq!(mail.id, format!("ntf_1_{kind}"));
        assert_eq!(mail.from.email, FROM);
        assert!(mail.text.contains(&format!("Hello {}", mail.to.name.clone().unwrap())), "{kind}: {}", mail.text);
        insta::assert_snapshot!(kind, format!("Subject: {}\n\n{}", mail.subject, mail.text));
    }
}

#[test]
fn dates_and_amounts_are_the_readers_own() {
    let text = |locale: Locale| {
        let mut sources = sources();
        sources.customers.get_mut("cus_1").unwrap().locale = locale;
        let message = Message::InvoiceIssued { invoice: "inv_1".to_owned() };
        sources.mail(&notification(message), FROM).unwrap().text
    };
    let english = text(Locale::En);
    assert!(english.contains("Aug 1, 2026"), "in Tokyo, where it is issued, it is morning already: {english}");
    let german = text(Locale::De);
    for part in ["01.08.2026", "01.07.2026 – 31.07.2026 · 61.480", "VAT 19 %", "386,56 USD"] {
        assert!(german.contains(part), "{part}: {german}");
    }
}

#[test]
fn a_mail_looks_as_its_tenant_does() {
    let mut sources = sources();
    sources.tenant.brand.colour = Some("#2f5bd7".to_owned());
    sources.tenant.brand.support_email = Some("help@northwind.example".to_owned());
    let message = Message::InvoiceIssued { invoice: "inv_1".to_owned() };
    let mail = sources.mail(&notification(message), FROM).unwrap();
    assert!(mail.html.contains("#2f5bd7") && mail.html.contains("mailto:help@northwind.example"));
    assert!(mail.text.contains("Questions? Write to help@northwind.example."));
    assert_eq!(mail.from.name.as_deref(), Some("Northwind Developer Tools"));
}

#[test]
fn a_trial_that_ended_otherwise_is_not_announced() {
    let message = messages().into_iter().find(|message| message.kind() == "trial_ending").unwrap();
    assert!(sources().is_moot(&notification(message)), "there is no such subscription any more");
    assert!(!sources().is_moot(&notification(Message::InvoiceIssued { invoice: "inv_1".to_owned() })));
}

#[test]
fn what_is_to_be_done_follows_from_how_it_is_paid() {
    let note = |change: fn(&mut Invoice)| {
        let mut sources = sources();
        change(sources.invoices.get_mut("inv_1").unwrap());
        let message = Message::InvoiceIssued { invoice: "inv_1".to_owned() };
        sources.mail(&notification(message), FROM).unwrap().text
    };
    assert!(note(|_| {}).contains("No action is needed."));
    assert!(note(|invoice| invoice.collectible = false).contains("Please pay by Aug 1, 2026."));
    assert!(note(|invoice| invoice.content.amount_due_minor = 0).contains("There is nothing to pay."));
}

#[test]
fn without_its_reader_its_matter_or_its_link_a_mail_is_never_sent() {
    let mut unread = notification(Message::InvoiceIssued { invoice: "inv_1".to_owned() });
    unread.recipient = Recipient::Customer("cus_2".to_owned());
    let lost = notification(Message::InvoiceIssued { invoice: "inv_2".to_owned() });
    let sent_before = notification(Message::PasswordReset { secret_link: SecretText::default() });
    for (notification, missing) in [(unread, "customer cus_2"), (lost, "invoice inv_2"), (sent_before, "no link")] {
        let error = sources().mail(&notification, FROM).unwrap_err();
        assert!(matches!(&error, MailError::Permanent { detail } if detail.contains(missing)), "{error}");
    }
}
