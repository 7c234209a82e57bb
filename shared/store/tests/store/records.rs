//! Documents to store, with what a test does not care about filled in.

use std::collections::BTreeMap;

use domain::{CreditNote, CreditOutcome, InvoiceContent, InvoiceReason, InvoiceStatus, Settlement};
use jiff::Timestamp;
use store::{CreditNoteRecord, Customer, Due, Invoice, Message, Notification, Recipient};

pub(crate) const TENANT: &str = "ten_1";

/// Far ahead of the server's clock, so that its expiry never takes part in a test.
pub(crate) fn at(text: &str) -> Timestamp {
    format!("2100-{text}Z").parse().unwrap()
}

pub(crate) fn customer(id: &str) -> Customer {
    Customer {
        id: id.to_owned(),
        tenant: TENANT.to_owned(),
        revision: 1,
        created: at("01-01T00:00:00"),
        name: "Ada".to_owned(),
        email: "ada@example.com".to_owned(),
        address: None,
        currency: "usd".parse().unwrap(),
        timezone: "UTC".parse().unwrap(),
        locale: domain::Locale::default(),
        tax_rates: Vec::new(),
        tax_rounding: domain::TaxRounding::default(),
        payment_method: None,
        balance_minor: 0,
        invoice_grace_days: 0,
        metadata: BTreeMap::new(),
        deleted_at: None,
    }
}

pub(crate) fn invoice(id: &str) -> Invoice {
    let issued_at = at("01-01T00:00:00");
    Invoice {
        id: id.to_owned(),
        tenant: TENANT.to_owned(),
        revision: 1,
        created: issued_at,
        number: String::new(),
        customer: "cus_1".to_owned(),
        subscription: Some("sub_1".to_owned()),
        boundary: "2100-01-01".parse().unwrap(),
        billing_run: None,
        chunk: None,
        status: InvoiceStatus::Open,
        content: InvoiceContent {
            reason: InvoiceReason::Period,
            issued_at,
            currency: "usd".parse().unwrap(),
            plan: None,
            tax_rates: Vec::new(),
            tax_rounding: domain::TaxRounding::default(),
            coupons: Vec::new(),
            lines: Vec::new(),
            subtotal_minor: 100,
            discount_minor: 0,
            tax_minor: 0,
            total_minor: 100,
            credited_minor: 0,
            wallet_applied: Vec::new(),
            wallet_applied_minor: 0,
            credit_applied_minor: 0,
            amount_due_minor: 100,
            engine_version: 1,
        },
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

pub(crate) fn notification(id: &str, due: Due) -> Notification {
    let to = Recipient::Customer("cus_1".to_owned());
    let message = Message::InvoiceIssued { invoice: "inv_1".to_owned() };
    let new = Notification::new((TENANT, "inv_1"), to, message, at("01-01T00:00:00"));
    Notification { id: id.to_owned(), due, ..new }
}

pub(crate) fn credit_note(id: &str) -> CreditNoteRecord {
    CreditNoteRecord {
        id: id.to_owned(),
        tenant: TENANT.to_owned(),
        revision: 1,
        created: at("01-01T00:00:00"),
        number: String::new(),
        invoice: "inv_1".to_owned(),
        customer: "cus_1".to_owned(),
        currency: "usd".parse().unwrap(),
        reason: "outage".to_owned(),
        issued_at: at("01-01T00:00:00"),
        outcome: CreditOutcome::Balance,
        note: CreditNote { lines: Vec::new(), amount_minor: 1, discount_minor: 0, tax_minor: 0, total_minor: 1 },
        settlement: Settlement { offset_minor: 1, balance_minor: 0, refund_minor: 0 },
    }
}
