//! A letter with every section, as it is read. The snapshots are the review: a change of looks shows.

use gateways::mail::letter::{Action, Brand, Letter, Link, OneLine, Rendered, Statement, StatementLine, Tone};

fn line(description: &str, details: &str, minor: i64) -> StatementLine {
    StatementLine { description: description.into(), details: details.into(), amount: amount(minor) }
}

fn amount(minor: i64) -> OneLine {
    format!("USD {}.{:02}", minor / 100, minor % 100).into()
}

pub(crate) fn invoice() -> Letter {
    Letter {
        brand: Brand {
            name: "Northwind Developer Tools".into(),
            colour: "#2f5bd7".parse().unwrap(),
            support: Some("help@northwind.example".into()),
        },
        subject: "Northwind Developer Tools: invoice NWD-000142".into(),
        tone: Tone::Calm,
        label: "Invoice total".into(),
        headline: amount(39_670),
        paragraphs: vec!["Hello Zoë Lindqvist, this is your invoice.".into(), "It is for July.".into()],
        facts: vec![("Invoice".into(), "NWD-000142".into()), ("Issued".into(), "1 Aug 2026".into())],
        statement: Some(Statement {
            lines: vec![
                line("Commits", "1 Jul – 31 Jul 2026 · 1,204", 12_040),
                line("Lines changed", "1 Jul – 31 Jul 2026 · 61,480", 19_296),
                line("Base fee", "", 2_000),
            ],
            sums: vec![("Subtotal".into(), amount(33_336)), ("VAT 19 %".into(), amount(6_334))],
            total: amount(39_670),
        }),
        action: Some(Action {
            label: "Pay invoice".into(),
            link: Link::parse("https://pay.northwind.example/i?token=abc&next=1").unwrap(),
        }),
        note: Some("Your saved payment method will be charged. No action is needed.".into()),
        reason: OneLine::paragraph(
            "Northwind Developer Tools sent you this mail because an invoice was issued to you.",
        ),
        unsubscribe: Link::parse("https://northwind.example/unsubscribe?t=1"),
    }
}

fn render(letter: &Letter) -> Rendered {
    letter.render().unwrap()
}

#[test]
fn a_letter_with_everything_in_text_and_html() {
    let mail = render(&invoice());
    let written = mail.text.lines().filter(|line| !line.starts_with("https://"));
    for line in written {
        assert!(line.chars().count() <= 64, "too wide: {line}");
    }
    for outside in ["<img", "<script", "<link", "src=", "url(", "@import"] {
        assert!(!mail.html.contains(outside), "{outside} in a self-contained mail");
    }
    insta::assert_snapshot!("letter_text", mail.text);
    insta::assert_snapshot!("letter_html", mail.html);
}

#[test]
fn what_is_absent_leaves_no_trace() {
    let bare = Letter {
        tone: Tone::Alarm,
        paragraphs: Vec::new(),
        facts: Vec::new(),
        statement: None,
        action: None,
        note: None,
        unsubscribe: None,
        ..invoice()
    };
    let mail = render(&bare);
    for part in [&mail.text, &mail.html] {
        assert!(!part.contains("{{") && !part.contains("{%") && !part.contains("\n\n\n"), "{part}");
        assert!(!part.contains("Subtotal") && !part.contains("of this kind"));
    }
    assert!(mail.html.contains("class=\"alarm\""));
}

#[test]
fn names_can_carry_neither_markup_nor_lines() {
    let mut letter = invoice();
    letter.paragraphs = vec![OneLine::paragraph("Hello <b>Mallory</b>\n\nPay to DE00 1234")];
    letter.statement.as_mut().unwrap().lines[0].description = "</td><script>alert(1)</script>".into();
    let rendered = render(&letter);
    assert!(!rendered.html.contains("<b>") && !rendered.html.contains("<script"));
    assert!(rendered.html.contains("&#60;script&#62;"));
    assert!(!rendered.text.contains("\nPay to"));
}

#[test]
fn a_long_invoice_shows_its_first_lines_and_says_how_many_are_left() {
    let mut letter = invoice();
    letter.statement.as_mut().unwrap().lines = (1..=100).map(|n| line(&format!("Item {n}"), "", n)).collect();
    let rendered = render(&letter);
    for part in [&rendered.text, &rendered.html] {
        assert!(part.contains("Item 40") && !part.contains("Item 41"));
        assert!(part.contains("and 60 more lines on the invoice"));
    }
    assert!(rendered.html.len() < 100_000, "mail programs cut longer ones off");
}

#[test]
fn amounts_stay_aligned_beside_a_very_long_description() {
    let mut letter = invoice();
    letter.statement.as_mut().unwrap().lines[0].description = "Very long ".repeat(5).into();
    let text = render(&letter).text;
    let amount = text.lines().find(|line| line.ends_with("USD 120.40"));
    assert_eq!(amount.unwrap().chars().count(), 64);
}
