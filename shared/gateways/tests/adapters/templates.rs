//! The mails as they are read. The snapshots are the review: a change of words or looks shows.

use gateways::mail::templates::{
    Collection, InvoiceIssued, InvoiceLine, NextStep, OneLine, PaymentFailed, Rendered, format_amount,
};

fn line(description: &str, details: (&str, &str), minor: i64) -> InvoiceLine {
    InvoiceLine {
        description: description.into(),
        period: details.0.into(),
        quantity: details.1.into(),
        amount: format_amount(minor, 2, "usd").into(),
    }
}

pub(crate) fn invoice() -> InvoiceIssued {
    InvoiceIssued {
        tenant_name: "Northwind Developer Tools".into(),
        customer_name: "Zoë Lindqvist".into(),
        invoice_number: "NWD-000142".into(),
        issued_on: "1 August 2026".into(),
        lines: vec![
            line("Commits", ("1 Jul – 31 Jul 2026", "1,204 commits"), 12_040),
            line("Lines changed", ("1 Jul – 31 Jul 2026", "61,480 lines"), 19_296),
            line("Base fee", ("1 Aug – 31 Aug 2026", ""), 2_000),
        ],
        subtotal: format_amount(33_336, 2, "usd").into(),
        taxes: vec![("VAT 19%".into(), format_amount(6_334, 2, "usd").into())],
        total: format_amount(39_670, 2, "usd").into(),
        collection: Collection::Automatic,
    }
}

fn failed() -> PaymentFailed {
    PaymentFailed {
        tenant_name: "Northwind Developer Tools".into(),
        customer_name: "Zoë Lindqvist".into(),
        invoice_number: "NWD-000142".into(),
        amount_due: format_amount(39_670, 2, "usd").into(),
        attempted_on: "1 August 2026".into(),
        reason: "Your card has insufficient funds.".into(),
        next_step: NextStep::CustomerMustAct,
    }
}

fn assert_readable(mail: &Rendered) {
    assert!(!mail.subject.contains('\n'));
    for line in mail.text.lines() {
        assert!(line.chars().count() <= 64, "too wide: {line}");
    }
    for part in [&mail.text, &mail.html] {
        assert!(!part.contains("{{") && !part.contains("{%"), "{part}");
    }
    for outside in ["http://", "https://", "<img", "<script", "<link"] {
        assert!(!mail.html.contains(outside), "{outside} in a self-contained mail");
    }
}

#[test]
fn invoice_issued_text_and_html() {
    let mail = invoice().render().unwrap();
    assert_readable(&mail);
    insta::assert_snapshot!("invoice_issued_subject", mail.subject);
    insta::assert_snapshot!("invoice_issued_text", mail.text);
    insta::assert_snapshot!("invoice_issued_html", mail.html);
}

#[test]
fn payment_failed_text_and_html() {
    let mail = failed().render().unwrap();
    assert_readable(&mail);
    insta::assert_snapshot!("payment_failed_subject", mail.subject);
    insta::assert_snapshot!("payment_failed_text", mail.text);
    insta::assert_snapshot!("payment_failed_html", mail.html);
}

#[test]
fn what_now_follows_from_how_it_is_paid() {
    let mut mail = invoice();
    mail.collection = Collection::DueBy("15 August 2026".into());
    assert!(mail.render().unwrap().text.contains("Please pay by 15 August 2026."));
    mail.collection = Collection::NothingDue;
    assert!(mail.render().unwrap().html.contains("There is nothing to pay."));

    let mut mail = failed();
    mail.next_step = NextStep::RetryOn("4 August 2026".into());
    assert!(mail.render().unwrap().text.contains("We try again on 4 August 2026."));
}

#[test]
fn names_can_carry_neither_markup_nor_lines() {
    let mut mail = invoice();
    mail.customer_name = "<b>Mallory</b>\n\nPay to DE00 1234".into();
    mail.lines[0].description = "</td><script>alert(1)</script>".into();
    let rendered = mail.render().unwrap();
    assert!(!rendered.html.contains("<b>") && !rendered.html.contains("<script"));
    assert!(rendered.html.contains("&#60;script&#62;"));
    assert!(!rendered.text.contains("\nPay to"));
}

#[test]
fn a_long_invoice_shows_its_first_lines_and_says_how_many_are_left() {
    let mut mail = invoice();
    mail.lines = (1..=100).map(|number| line(&format!("Item {number}"), ("", ""), number)).collect();
    let rendered = mail.render().unwrap();
    for part in [&rendered.text, &rendered.html] {
        assert!(part.contains("Item 40") && !part.contains("Item 41"));
        assert!(part.contains("and 60 more lines on the invoice"));
    }
    assert!(rendered.html.len() < 100_000, "mail programs cut longer ones off");
}

#[test]
fn amounts_stay_aligned_beside_a_very_long_description() {
    let mut mail = invoice();
    mail.lines[0].description = OneLine::from("Very long ".repeat(5));
    let text = mail.render().unwrap().text;
    let amount = text.lines().find(|line| line.ends_with("USD 120.40"));
    assert_eq!(amount.unwrap().chars().count(), 64);
}
