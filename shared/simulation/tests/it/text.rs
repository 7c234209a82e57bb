//! The result as text.

use domain::{BillingPeriod, CreditOutcome, InvoiceReason, InvoiceStatus, LineKind, SubscriptionStatus};
use simulation::{
    CreditNoteOutput, CreditedLineOutput, CustomerOutput, InvoiceOutput, LineOutput, Output, Style, SubscriptionOutput,
    text,
};

fn period(start: &str, end: &str) -> BillingPeriod {
    BillingPeriod { start: start.parse().unwrap(), end: end.parse().unwrap() }
}

fn line(description: &str, quantity: &str, amount_minor: i64, explain: &str) -> LineOutput {
    LineOutput {
        price: Some("price".to_owned()),
        kind: LineKind::Licensed,
        description: description.to_owned(),
        period: period("2024-01-31", "2024-02-29"),
        quantity: quantity.to_owned(),
        proration: None,
        amount_minor,
        discount_minor: 0,
        tax_minor: 0,
        explain: explain.to_owned(),
    }
}

fn invoice(number: u32, currency: &str, lines: Vec<LineOutput>) -> InvoiceOutput {
    let sum = |of: fn(&LineOutput) -> i64| lines.iter().map(of).sum::<i64>();
    let (subtotal_minor, discount_minor) = (sum(|line| line.amount_minor), sum(|line| line.discount_minor));
    let tax_minor = sum(|line| line.tax_minor);
    let total_minor = subtotal_minor - discount_minor + tax_minor;
    InvoiceOutput {
        invoice: number,
        subscription: Some("s1".to_owned()),
        reason: InvoiceReason::SubscriptionCreate,
        status: InvoiceStatus::Open,
        issued_at: "2024-01-31T05:00:00Z".parse().unwrap(),
        currency: currency.parse().unwrap(),
        lines,
        subtotal_minor,
        discount_minor,
        tax_minor,
        total_minor,
        credit_applied_minor: 0,
        wallet_applied_minor: 0,
        amount_due_minor: total_minor,
        coupons: Vec::new(),
        taxes: Vec::new(),
    }
}

fn output(currency: &str, invoices: Vec<InvoiceOutput>) -> Output {
    let (currency, timezone) = (currency.parse().unwrap(), "America/Bogota".parse().unwrap());
    let customer = CustomerOutput { balance_minor: 0, wallet_minor: 0, currency, timezone };
    Output { invoices, credit_notes: Vec::new(), subscriptions: Vec::new(), customer }
}

fn story() -> Output {
    let base = LineOutput { discount_minor: 490, tax_minor: 882, ..line("Pro, Base", "1", 4900, "1 x 49.00 = 49.00") };
    let seats =
        LineOutput { discount_minor: 500, tax_minor: 900, ..line("Pro, Seats", "5", 5000, "5 x 10.00 = 50.00") };
    let unused = LineOutput {
        kind: LineKind::Proration,
        proration: Some("14/29".to_owned()),
        period: period("2024-02-15", "2024-02-29"),
        ..line(
            "Pro, Seats, unused",
            "5",
            -2172,
            "5 x 10.00 x 14/29 = 24.137931034482..., less 2.41 discount, rounded to -21.72",
        )
    };
    let calls = line(
        "Pro, Api calls",
        "1234567.5",
        617_284,
        "1000 x 0.01 + 10 + 1233567.5 x 0.005 = 6187.8375, of which the price takes at most 6172.84 in a period of 29 days",
    );
    let mut second = invoice(2, "usd", vec![unused, calls]);
    second.reason = InvoiceReason::Period;
    second.status = InvoiceStatus::Paid;
    (second.wallet_applied_minor, second.credit_applied_minor, second.amount_due_minor) = (100_000, 515_112, 0);
    let mut first = invoice(1, "usd", vec![base, seats]);
    (first.coupons, first.taxes) = (vec!["Welcome, 10%".to_owned()], vec!["VAT 20%".to_owned()]);
    let mut output = output("usd", vec![first, second]);
    output.credit_notes.push(CreditNoteOutput {
        credit_note: 1,
        invoice: 1,
        lines: vec![CreditedLineOutput { line: 2, amount_minor: 5000, discount_minor: 500, tax_minor: 900 }],
        amount_minor: 5000,
        discount_minor: 500,
        tax_minor: 900,
        total_minor: 5400,
        outcome: CreditOutcome::Balance,
        offset_minor: 5000,
        balance_minor: 400,
        refund_minor: 0,
    });
    output.subscriptions.push(SubscriptionOutput {
        subscription: "s1".to_owned(),
        plan: "pro".to_owned(),
        status: SubscriptionStatus::Active,
        current_period: period("2024-12-31", "2025-01-31"),
        trial_end: Some("2024-01-31".parse().unwrap()),
    });
    output.customer.balance_minor = 400;
    output
}

fn snapshot(name: &str, shown: &str) {
    for line in shown.lines() {
        assert!(unicode_width::UnicodeWidthStr::width(line) <= 80 || shown.contains('\u{1b}'), "{line}");
        assert!(!line.ends_with(' '), "{line:?}");
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

#[test]
fn a_story_is_told_by_its_invoices() {
    snapshot("story", &text(&story(), Style::Plain));
}

#[test]
fn a_terminal_shows_what_matters_less_dimmed() {
    snapshot("story_on_a_terminal", &text(&story(), Style::Ansi));
}

#[test]
fn nothing_billed_is_said() {
    snapshot("nothing", &text(&output("kwd", Vec::new()), Style::Plain));
}

#[test]
fn names_of_any_length_and_script_keep_the_columns() {
    let lines = vec![
        line(
            "プロプラン、アカウント数、東京リージョン、専用サポート付き、年間契約",
            "12",
            1_200_000,
            "12 x 100000 = 1200000",
        ),
        line("Équipe, sièges", "3", -5, "3 x 1 = 3"),
        line(&"word ".repeat(30), "123456789012345.123456789012", 1, &"9".repeat(300)),
        line("evil\u{1b}[31m", "1", i64::MAX, "1"),
    ];
    let mut invoice = invoice(1, "jpy", Vec::new());
    (invoice.lines, invoice.subscription, invoice.status) = (lines, None, InvoiceStatus::Draft);
    (invoice.discount_minor, invoice.tax_minor) = (1, 1);
    (invoice.coupons, invoice.taxes) = (vec!["日本語のクーポン, 10%".to_owned()], vec!["long ".repeat(20)]);
    snapshot("names", &text(&output("jpy", vec![invoice]), Style::Plain));
}
