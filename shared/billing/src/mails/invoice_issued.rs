//! "Your invoice": sent once for every invoice that is issued, with its lines and what happens now.

use domain::{InvoiceContent, InvoiceStatus, LineItem, LineKind, Money, TaxRate};
use gateways::mail::letter::{Letter, OneLine, Statement, StatementLine};
use store::Invoice;

use super::writer::Writer;

pub(super) fn letter(writer: &Writer<'_>, invoice: &Invoice) -> Letter {
    let content = &invoice.content;
    let total = writer.amount(Money::new(content.amount_due_minor, content.currency));
    Letter {
        label: "Invoice total".into(),
        headline: total.clone(),
        paragraphs: vec![writer.greeting(&format!("this is your invoice from {}.", writer.tenant()))],
        facts: vec![
            ("Invoice".into(), invoice.number.as_str().into()),
            ("Issued".into(), writer.day(content.issued_at)),
        ],
        statement: Some(Statement { lines: lines(writer, content), sums: sums(writer, content), total }),
        note: Some(OneLine::paragraph(what_now(writer, invoice))),
        ..writer.letter(&format!("invoice {}", invoice.number), "an invoice was issued to you")
    }
}

fn what_now(writer: &Writer<'_>, invoice: &Invoice) -> String {
    if invoice.content.amount_due_minor == 0 || invoice.status == InvoiceStatus::Void {
        "There is nothing to pay.".to_owned()
    } else if invoice.collectible {
        "Your saved payment method will be charged. No action is needed.".to_owned()
    } else {
        format!("Please pay by {}.", writer.day(invoice.content.issued_at))
    }
}

fn lines(writer: &Writer<'_>, content: &InvoiceContent) -> Vec<StatementLine> {
    let line = |item: &LineItem| StatementLine {
        description: item.description.as_str().into(),
        details: details(writer, item),
        amount: writer.amount(Money::new(item.amount_minor, content.currency)),
    };
    content.lines.iter().map(line).collect()
}

/// When, and how much of it or which part of the period.
fn details(writer: &Writer<'_>, item: &LineItem) -> OneLine {
    let part = item.proration.map(|part| format!("{part} days"));
    let quantity = (item.kind != LineKind::Fixed).then(|| writer.number(&item.quantity.to_string()).to_string());
    let period = writer.period(item.period);
    match quantity.or(part) {
        Some(much) => format!("{period} · {much}").into(),
        None => period,
    }
}

/// From the sum of the lines to what is to be paid: label and amount, below zero where it is taken off.
fn sums(writer: &Writer<'_>, content: &InvoiceContent) -> Vec<(OneLine, OneLine)> {
    let between = [
        ("Discount".to_owned(), -content.discount_minor),
        (tax_label(writer, content), content.tax_minor),
        ("Credited to your balance".to_owned(), content.credited_minor),
        ("Prepaid credit".to_owned(), -content.wallet_applied_minor),
        ("Your balance".to_owned(), -content.credit_applied_minor),
    ];
    let between = between.into_iter().filter(|(_, minor)| *minor != 0);
    std::iter::once(("Subtotal".to_owned(), content.subtotal_minor))
        .chain(between)
        .map(|(label, minor)| (label.into(), writer.amount(Money::new(minor, content.currency))))
        .collect()
}

/// The rates, where all lines have the same.
fn tax_label(writer: &Writer<'_>, content: &InvoiceContent) -> String {
    if content.lines.iter().any(|line| line.tax_rates.is_some()) {
        return "Tax".to_owned();
    }
    let percent = |rate: &TaxRate| writer.reader.locale.percent(&rate.percent().normalize().to_string());
    let label = |rate: &TaxRate| format!("{} {}", rate.name(), percent(rate));
    content.tax_rates.iter().map(label).collect::<Vec<_>>().join(", ")
}
