//! The result as text: invoices that a person reads with pleasure, on a terminal of 80 columns.
//!
//! **Invariant:** nothing is wider than [`WIDTH`] but a single word that is; amounts stand below each other with all digits of
//! their currency. Names are the client's and may hold anything: control characters are not passed on to a terminal.

use std::fmt::Write as _;

use domain::{BillingPeriod, CreditOutcome, InvoiceReason, InvoiceStatus, Zone};
use jiff::{Timestamp, civil::Date};

use crate::{
    CreditNoteOutput, InvoiceOutput, LineOutput, Output, SubscriptionOutput,
    page::{Ink, Page, WIDTH, amount, printable},
};

pub use crate::page::Style;

/// Columns of a line: what it is, how much of it, which part of a period.
const QUANTITY_END: usize = 58;
const PART_END: usize = 66;

/// Shows the result of a simulation.
#[must_use]
pub fn text(output: &Output, style: Style) -> String {
    let mut page = Page::new(style);
    if output.invoices.is_empty() {
        page.line("No invoices.", Ink::Plain);
        page.blank();
    }
    for invoice in &output.invoices {
        show_invoice(&mut page, invoice, &output.customer.timezone);
    }
    for note in &output.credit_notes {
        let invoice = output.invoices.iter().find(|invoice| invoice.invoice == note.invoice);
        show_credit_note(&mut page, note, invoice.map(|invoice| &invoice.lines[..]).unwrap_or_default(), output);
    }
    show_subscriptions(&mut page, &output.subscriptions);
    show_customer(&mut page, output);
    page.finish()
}

fn show_invoice(page: &mut Page, invoice: &InvoiceOutput, zone: &Zone) {
    page.heading(&format!("Invoice {}", invoice.invoice), status(invoice));
    let subject = invoice.subscription.as_deref().map_or_else(String::new, |name| format!("{}, ", printable(name)));
    let issued = instant(invoice.issued_at, zone);
    page.paragraph(&format!("{subject}{}, issued {issued}", reason(invoice.reason)), 2, Ink::Dim);
    page.blank();
    page.row("", &[("quantity", QUANTITY_END), ("part", PART_END), ("amount", WIDTH)], Ink::Dim);
    for line in &invoice.lines {
        show_line(page, line, invoice);
    }
    page.rule();
    show_totals(page, invoice);
    page.blank();
}

fn show_line(page: &mut Page, line: &LineOutput, invoice: &InvoiceOutput) {
    let shown = amount(line.amount_minor, invoice.currency);
    let part = line.proration.as_deref().unwrap_or_default();
    page.row(
        &printable(&line.description),
        &[(&line.quantity, QUANTITY_END), (part, PART_END), (&shown, WIDTH)],
        Ink::Plain,
    );
    page.paragraph(&period(line.period), 4, Ink::Dim);
    page.paragraph(&printable(&line.explain), 4, Ink::Dim);
    let mut shares = Vec::new();
    if line.discount_minor != 0 {
        shares.push(format!("discount {}", amount(line.discount_minor, invoice.currency)));
    }
    if line.tax_minor != 0 {
        shares.push(format!("tax {}", amount(line.tax_minor, invoice.currency)));
    }
    if !shares.is_empty() {
        page.paragraph(&shares.join(", "), 4, Ink::Dim);
    }
}

fn show_totals(page: &mut Page, invoice: &InvoiceOutput) {
    let shown = |minor| amount(minor, invoice.currency);
    page.total("Subtotal", &shown(invoice.subtotal_minor), Ink::Plain);
    if invoice.discount_minor != 0 {
        page.detailed_total("Discount", &printed(&invoice.coupons), &shown(-invoice.discount_minor));
    }
    if invoice.tax_minor != 0 {
        page.detailed_total("Tax", &printed(&invoice.taxes), &shown(invoice.tax_minor));
    }
    page.total("Total", &shown(invoice.total_minor), Ink::Plain);
    let paid_minor = invoice.wallet_applied_minor.saturating_add(invoice.credit_applied_minor);
    let below_zero = invoice.subtotal_minor.saturating_sub(invoice.discount_minor).saturating_add(invoice.tax_minor);
    let movements = [
        ("To the balance", below_zero.min(0).saturating_neg()),
        ("From wallets", -invoice.wallet_applied_minor),
        ("From the balance", -invoice.credit_applied_minor),
        ("Taken off by credit notes", invoice.amount_due_minor + paid_minor - invoice.total_minor),
    ];
    for (name, minor) in movements.into_iter().filter(|(_, minor)| *minor != 0) {
        page.total(name, &shown(minor), Ink::Plain);
    }
    let is_paid = invoice.status == InvoiceStatus::Paid && invoice.amount_due_minor != 0;
    let due = format!("{} {}", invoice.currency, shown(invoice.amount_due_minor));
    page.total(if is_paid { "Paid" } else { "Amount due" }, &due, Ink::Bold);
}

fn printed(names: &[String]) -> Vec<String> {
    names.iter().map(|name| printable(name)).collect()
}

fn show_credit_note(page: &mut Page, note: &CreditNoteOutput, lines: &[LineOutput], output: &Output) {
    let currency = output.customer.currency;
    page.heading(&format!("Credit note {}", note.credit_note), &format!("to invoice {}", note.invoice));
    for credited in &note.lines {
        let index = usize::try_from(credited.line).ok().and_then(|number| number.checked_sub(1));
        let line = index.and_then(|index| lines.get(index));
        let what = line.map_or_else(|| format!("Line {}", credited.line), |line| printable(&line.description));
        page.row(&what, &[(&amount(credited.amount_minor, currency), WIDTH)], Ink::Plain);
    }
    page.rule();
    let refund = if note.outcome == CreditOutcome::Refund { "Refunded" } else { "To refund" };
    let rows = [
        ("Amount", note.amount_minor, true),
        ("Discount", -note.discount_minor, false),
        ("Tax", note.tax_minor, false),
        ("Total", note.total_minor, true),
        ("Off the open amount", note.offset_minor, false),
        ("To the balance", note.balance_minor, false),
        (refund, note.refund_minor, false),
    ];
    for (name, minor, always) in rows {
        if always || minor != 0 {
            let ink = if name == "Total" { Ink::Bold } else { Ink::Plain };
            page.total(name, &amount(minor, currency), ink);
        }
    }
    page.blank();
}

fn show_subscriptions(page: &mut Page, subscriptions: &[SubscriptionOutput]) {
    if subscriptions.is_empty() {
        return;
    }
    page.heading("Subscriptions", "");
    for one in subscriptions {
        page.row(&printable(&one.subscription), &[(one.status.as_str(), WIDTH)], Ink::Plain);
        let mut about = format!("{}, {}", printable(&one.plan), period(one.current_period));
        if let Some(end) = one.trial_end {
            // Writing to a string cannot fail.
            let _ = write!(about, ", trial until {}", date(end.yesterday().unwrap_or(end)));
        }
        page.paragraph(&about, 4, Ink::Dim);
    }
    page.blank();
}

fn show_customer(page: &mut Page, output: &Output) {
    let customer = &output.customer;
    page.heading("Customer", &customer.currency.to_string());
    page.row("Balance", &[(&amount(customer.balance_minor, customer.currency), WIDTH)], Ink::Plain);
    page.row("Wallets", &[(&amount(customer.wallet_minor, customer.currency), WIDTH)], Ink::Plain);
}

fn status(invoice: &InvoiceOutput) -> &'static str {
    match invoice.status {
        InvoiceStatus::Draft => "draft",
        InvoiceStatus::Open => "open",
        InvoiceStatus::Paid => "paid",
        InvoiceStatus::Void => "void",
        InvoiceStatus::Uncollectible => "uncollectible",
    }
}

fn reason(reason: InvoiceReason) -> &'static str {
    match reason {
        InvoiceReason::SubscriptionCreate => "new subscription",
        InvoiceReason::Period => "new period",
        InvoiceReason::Change => "change",
        InvoiceReason::Cancel => "cancellation",
        InvoiceReason::OneOff => "one-off",
    }
}

/// An instant by the customer's clock: "31 Jan 2024, 00:00 America/Bogota".
fn instant(at: Timestamp, zone: &Zone) -> String {
    let clock = zone.clock_at(at);
    let seconds = if clock.second() == 0 { String::new() } else { format!(":{:02}", clock.second()) };
    format!("{}, {:02}:{:02}{seconds} {zone}", date(clock.date()), clock.hour(), clock.minute())
}

/// The days of a period, the last one included, as invoices do: "1 Feb to 29 Feb 2024".
fn period(period: BillingPeriod) -> String {
    let last = period.end.yesterday().unwrap_or(period.end);
    match period.days() {
        ..=0 => format!("{}, no days", date(period.start)),
        1 => format!("{}, 1 day", date(period.start)),
        days if period.start.year() == last.year() => {
            format!("{} to {}, {days} days", day_and_month(period.start), date(last))
        }
        days => format!("{} to {}, {days} days", date(period.start), date(last)),
    }
}

fn date(date: Date) -> String {
    format!("{} {}", day_and_month(date), date.year())
}

fn day_and_month(date: Date) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // Months are numbered from 1 to 12.
    let month = usize::try_from(date.month() - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"");
    format!("{} {month}", date.day())
}
