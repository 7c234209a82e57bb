//! What the mails say: documents turned into the display strings of the templates, dates in the customer's zone.

use domain::{BillingPeriod, Currency, InvoiceContent, InvoiceStatus, LineItem, LineKind, TaxRate};
use gateways::mail::{
    MailError,
    templates::{Collection, InvoiceIssued, InvoiceLine, NextStep, OneLine, PaymentFailed, Rendered, format_amount},
};
use jiff::civil::Date;
use store::{Customer, Invoice, PaymentAttempt, Tenant};

/// "Your invoice".
pub(crate) fn invoice_issued(tenant: &Tenant, customer: &Customer, invoice: &Invoice) -> Result<Rendered, MailError> {
    let content = &invoice.content;
    let amount = |minor: i64| amount(minor, content.currency);
    let mail = InvoiceIssued {
        tenant_name: tenant.name.as_str().into(),
        customer_name: customer.name.as_str().into(),
        invoice_number: invoice.number.as_str().into(),
        issued_on: day(customer.timezone.date_of(content.issued_at)),
        lines: content.lines.iter().map(|item| line(item, content.currency)).collect(),
        subtotal: amount(content.subtotal_minor),
        taxes: between(content).into_iter().map(|(label, minor)| (OneLine::from(label), amount(minor))).collect(),
        total: amount(content.amount_due_minor),
        collection: collection(invoice, customer),
    };
    mail.render()
}

/// "Your payment failed".
pub(crate) fn payment_failed(
    tenant: &Tenant,
    customer: &Customer,
    (invoice, attempt): (&Invoice, Option<&PaymentAttempt>),
) -> Result<Rendered, MailError> {
    let settled = attempt.and_then(|attempt| attempt.settled_at).unwrap_or(invoice.content.issued_at);
    let reason = attempt.and_then(|attempt| attempt.failure_message.as_deref()).unwrap_or("The payment was declined.");
    let due_minor = attempt.map_or(invoice.content.amount_due_minor, |attempt| attempt.amount.minor());
    let mail = PaymentFailed {
        tenant_name: tenant.name.as_str().into(),
        customer_name: customer.name.as_str().into(),
        invoice_number: invoice.number.as_str().into(),
        amount_due: amount(due_minor, invoice.content.currency),
        attempted_on: day(customer.timezone.date_of(settled)),
        reason: reason.into(),
        next_step: NextStep::CustomerMustAct,
    };
    mail.render()
}

/// What lies between the sum of the lines and what is to be paid: label and amount, below zero where it is taken off.
fn between(content: &InvoiceContent) -> Vec<(String, i64)> {
    let rows = [
        ("Discount".to_owned(), -content.discount_minor),
        (tax_label(content), content.tax_minor),
        ("Credited to your balance".to_owned(), content.credited_minor),
        ("Prepaid credit".to_owned(), -content.wallet_applied_minor),
        ("Your balance".to_owned(), -content.credit_applied_minor),
    ];
    rows.into_iter().filter(|(_, minor)| *minor != 0).collect()
}

/// The rates, where all lines have the same.
fn tax_label(content: &InvoiceContent) -> String {
    if content.lines.iter().any(|line| line.tax_rates.is_some()) {
        return "Tax".to_owned();
    }
    let label = |rate: &TaxRate| format!("{} {} %", rate.name(), rate.percent().normalize());
    content.tax_rates.iter().map(label).collect::<Vec<_>>().join(", ")
}

fn collection(invoice: &Invoice, customer: &Customer) -> Collection {
    if invoice.content.amount_due_minor == 0 || invoice.status == InvoiceStatus::Void {
        Collection::NothingDue
    } else if invoice.collectible {
        Collection::Automatic
    } else {
        Collection::DueBy(day(customer.timezone.date_of(invoice.content.issued_at)))
    }
}

fn line(item: &LineItem, currency: Currency) -> InvoiceLine {
    let part = item.proration.map(|part| format!("{part} days"));
    let quantity = (item.kind != LineKind::Fixed).then(|| item.quantity.to_string());
    InvoiceLine {
        description: item.description.as_str().into(),
        period: period(item.period),
        quantity: quantity.or(part).unwrap_or_default().into(),
        amount: amount(item.amount_minor, currency),
    }
}

fn amount(minor: i64, currency: Currency) -> OneLine {
    format_amount(minor, currency.exponent(), &currency.to_string()).into()
}

fn day(date: Date) -> OneLine {
    date.strftime("%-d %b %Y").to_string().into()
}

/// The days of a period as people write them: the first to the last.
fn period(period: BillingPeriod) -> OneLine {
    let last = period.end.yesterday().unwrap_or(period.end);
    format!("{} – {}", period.start.strftime("%-d %b %Y"), last.strftime("%-d %b %Y")).into()
}
