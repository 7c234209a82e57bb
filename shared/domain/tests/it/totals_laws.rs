//! What holds for the totals of any invoice, what pays it and what is credited of it.

use domain::{
    AmountError, BillingPeriod, Coupon, CouponSpec, CreditNote, CreditOutcome, CreditRequest, CreditRequestLine,
    InvoiceContent, InvoiceHead, InvoiceReason, LineInputs, LineItem, LineKind, OneOffLine, OneOffLineSpec, Settlement,
    TaxRate, TaxRounding, Wallet, apply_credits, credit_note, restore_credits, settle_credit_note,
};
use jiff::{Timestamp, civil::date};
use proptest::{collection::vec, option, prelude::*, sample::select};
use rust_decimal::Decimal;
use serde_json::json;

/// Keys of prices, so few that coupons and wallets meet them.
const PRICES: [&str; 4] = ["a", "b", "c", "d"];

fn price() -> impl Strategy<Value = &'static str> {
    select(&PRICES[..])
}

fn prices() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![
        Just(Vec::new()),
        proptest::sample::subsequence(&PRICES[..], 1..=3)
            .prop_map(|keys| keys.into_iter().map(str::to_owned).collect())
    ]
}

/// A line of a price; below zero it is a credit.
fn line(price: &str, minor: i64, tax_rates: Option<Vec<TaxRate>>) -> LineItem {
    let spec = OneOffLineSpec {
        key: price.to_owned(),
        description: None,
        quantity: Decimal::ONE,
        unit_amount: Decimal::new(minor.max(0), 2),
        tax_rates: None,
    };
    let period = BillingPeriod { start: date(2024, 1, 31), end: date(2024, 2, 1) };
    let line = OneOffLine::try_from(spec).unwrap().line(period, "usd".parse().unwrap()).unwrap();
    let line = LineItem { tax_rates, ..line };
    if minor >= 0 {
        return line;
    }
    let inputs = LineInputs::Minimum { min_amount_minor: minor, billed_minor: 0 };
    LineItem { kind: LineKind::Proration, inputs, amount_minor: minor, ..line }
}

fn rates() -> impl Strategy<Value = Vec<TaxRate>> {
    let rate = |thousandths: i64| {
        let percent = Decimal::new(thousandths, 3).to_string();
        serde_json::from_value(json!({ "name": "VAT", "percent": percent })).unwrap()
    };
    vec((0_i64..=100_000).prop_map(rate), 0..3)
}

fn lines(amount: impl Strategy<Value = i64>) -> impl Strategy<Value = Vec<LineItem>> {
    let line = (price(), amount, option::of(rates())).prop_map(|(price, minor, rates)| line(price, minor, rates));
    vec(line, 1..8)
}

/// Mostly charges, some credits, from nothing to a million.
fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 0_i64..500, 4 => 0_i64..100_000_000, 1 => -500_i64..0, 1 => -100_000_000_i64..0]
}

fn coupon() -> impl Strategy<Value = Coupon> {
    let off = prop_oneof![
        (1_i64..=100_000).prop_map(|thousandths| json!({ "percent_off": Decimal::new(thousandths, 3).to_string() })),
        (1_i64..2_000).prop_map(|minor| json!({ "amount_off_minor": minor })),
        (1_i64..100_000_000).prop_map(|minor| json!({ "amount_off_minor": minor })),
    ];
    let plans = select(vec![vec![], vec!["pro"], vec!["other"]]);
    (off, prices(), plans).prop_map(|(mut body, prices, plans)| {
        body["key"] = json!("c");
        body["duration"] = json!("forever");
        body["applies_to"] = json!(prices);
        body["applies_to_plans"] = json!(plans);
        serde_json::from_value::<CouponSpec>(body).unwrap().try_into().unwrap()
    })
}

fn head() -> impl Strategy<Value = InvoiceHead> {
    let rounding = select(&[TaxRounding::Invoice, TaxRounding::Line][..]);
    (rates(), rounding, vec(coupon(), 0..5)).prop_map(|(tax_rates, tax_rounding, coupons)| InvoiceHead {
        reason: InvoiceReason::Period,
        issued_at: instant(0),
        currency: "usd".parse().unwrap(),
        plan: Some("pro".to_owned()),
        tax_rates,
        tax_rounding,
        coupons,
    })
}

fn invoice() -> impl Strategy<Value = InvoiceContent> {
    (head(), lines(amount())).prop_map(|(head, lines)| InvoiceContent::of_lines(head, lines).unwrap())
}

fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn wallets() -> impl Strategy<Value = Vec<Wallet>> {
    let balance = prop_oneof![0_i64..1_000, 0_i64..200_000_000];
    let wallet = (balance, prices(), option::of(-2_i64..5));
    vec(wallet, 0..5).prop_map(|all| {
        let wallet = |(index, (balance_minor, applies_to, expires)): (usize, (i64, Vec<String>, Option<i64>))| Wallet {
            id: format!("w{index}"),
            balance_minor,
            applies_to,
            expires_at: expires.map(instant),
        };
        all.into_iter().enumerate().map(wallet).collect()
    })
}

/// What the lines that a wallet may pay come to, with tax.
fn share(content: &InvoiceContent, wallet: &Wallet) -> i64 {
    let covers = |line: &&LineItem| {
        wallet.applies_to.is_empty()
            || line.price.as_deref().is_some_and(|key| wallet.applies_to.iter().any(|one| one == key))
    };
    content.lines.iter().filter(covers).map(|line| line.amount_minor - line.discount_minor + line.tax_minor).sum()
}

fn bytes(content: &InvoiceContent) -> String {
    serde_json::to_string(content).unwrap()
}

proptest! {
    #[test]
    fn lines_sum_to_totals_that_are_never_below_zero(content in invoice()) {
        prop_assert_eq!(content.check(), Ok(()));
        prop_assert!(content.total_minor >= 0);
        for line in &content.lines {
            prop_assert!(line.discount_minor >= 0);
            prop_assert!(line.discount_minor <= line.amount_minor.max(0));
        }
    }

    /// The invoice's discount is at most a half away from the exact one, each line's less than one.
    #[test]
    fn a_single_percentage_is_rounded_once(lines in lines(0_i64..100_000), thousandths in 1_i64..=100_000, mut head in head()) {
        let percent = Decimal::new(thousandths, 3);
        let body = json!({ "key": "c", "percent_off": percent.to_string(), "duration": "once" });
        head.coupons = vec![serde_json::from_value(body).unwrap()];
        let content = InvoiceContent::of_lines(head, lines).unwrap();
        let exact = |minor: i64| Decimal::from(minor) * percent / Decimal::ONE_HUNDRED;
        let away = |minor: i64, of: i64| (Decimal::from(minor) - exact(of)).abs();
        prop_assert!(away(content.discount_minor, content.subtotal_minor) <= Decimal::new(5, 1));
        for line in &content.lines {
            prop_assert!(away(line.discount_minor, line.amount_minor) < Decimal::ONE);
        }
    }

    /// Computed here in whole hundredths of a minor unit.
    #[test]
    fn coupons_follow_each_other_in_their_order(minor in 1_i64..1_000_000, fixed in 1_i64..1_000_000, percent in 1_i64..=100, swapped in any::<bool>(), mut head in head()) {
        let mut bodies = vec![json!({ "amount_off_minor": fixed }), json!({ "percent_off": percent.to_string() })];
        if swapped {
            bodies.reverse();
        }
        let coupon = |mut body: serde_json::Value| {
            body["key"] = json!("c");
            body["duration"] = json!("once");
            serde_json::from_value(body).unwrap()
        };
        head.coupons = bodies.into_iter().map(coupon).collect();
        let content = InvoiceContent::of_lines(head, vec![line("a", minor, None)]).unwrap();
        let left = if swapped { (minor * (100 - percent) - fixed * 100).max(0) } else { (minor - fixed).max(0) * (100 - percent) };
        let discount = minor * 100 - left;
        prop_assert_eq!(content.discount_minor, (discount + 50) / 100);
    }

    /// Computed here in ten-millionths of a minor unit, with integers alone.
    #[test]
    fn an_invoices_tax_is_rounded_once(parts in vec((0_i64..100_000, 0_i64..=100_000, option::of(0_i64..=100_000)), 1..8), off in 1_i64..=100) {
        let rate = |thousandths: &i64| {
            let percent = Decimal::new(*thousandths, 3).to_string();
            serde_json::from_value::<TaxRate>(json!({ "name": "VAT", "percent": percent })).unwrap()
        };
        let customers = parts[0].1;
        let of = |(minor, first, second): &(i64, i64, Option<i64>)| {
            let own = second.map(|second| vec![rate(first), rate(&second)]);
            line("a", *minor, own)
        };
        let thousandths = |(_, first, second): &(i64, i64, Option<i64>)| second.map_or(customers, |second| first + second);
        let body = json!({ "key": "c", "percent_off": off.to_string(), "duration": "once" });
        let head = InvoiceHead {
            reason: InvoiceReason::Period,
            issued_at: instant(0),
            currency: "usd".parse().unwrap(),
            plan: None,
            tax_rates: vec![rate(&customers)],
            tax_rounding: TaxRounding::Invoice,
            coupons: vec![serde_json::from_value(body).unwrap()],
        };
        let content = InvoiceContent::of_lines(head, parts.iter().map(of).collect()).unwrap();
        let exact: i64 = parts.iter().map(|part| part.0 * (100 - off) * thousandths(part)).sum();
        let whole = 100 * 100_000;
        prop_assert_eq!(content.tax_minor, (2 * exact + whole) / (2 * whole));
        for (part, line) in parts.iter().zip(&content.lines) {
            let tax = part.0 * (100 - off) * thousandths(part);
            prop_assert!((line.tax_minor * whole - tax).abs() < whole);
        }
    }

    #[test]
    fn taxes_by_line_are_what_each_line_is_taxed_alone(content in invoice()) {
        let mut head = content.head();
        head.tax_rounding = TaxRounding::Line;
        head.coupons.clear();
        let together = InvoiceContent::of_lines(head.clone(), content.lines.clone()).unwrap();
        for line in together.lines {
            let alone = InvoiceContent::of_lines(head.clone(), vec![line.clone()]).unwrap();
            prop_assert_eq!(alone.lines[0].tax_minor, line.tax_minor);
        }
    }

    /// "A finalised invoice keeps its inputs: a recomputation from them gives the same bytes, and `explain` shows how
    /// every cent came to be."
    #[test]
    fn frozen_inputs_give_the_same_bytes(content in invoice(), mut wallets in wallets(), mut balance in -1_000_i64..1_000_000) {
        let content = apply_credits(content, &mut wallets, &mut balance, instant(0)).unwrap();
        let stored: InvoiceContent = serde_json::from_str(&bytes(&content)).unwrap();
        prop_assert_eq!(bytes(&stored.recompute().unwrap()), bytes(&content));
    }

    #[test]
    fn what_pays_an_invoice_is_taken_from_somewhere_and_voiding_gives_it_back(content in invoice(), before in wallets(), balance in -1_000_i64..1_000_000) {
        let (mut wallets, mut left) = (before.clone(), balance);
        let paid = apply_credits(content.clone(), &mut wallets, &mut left, instant(0)).unwrap();
        prop_assert_eq!(paid.check(), Ok(()));
        prop_assert_eq!(left, balance + content.credited_minor - paid.credit_applied_minor);
        for (before, after) in before.iter().zip(&wallets) {
            let used: i64 =
                paid.wallet_applied.iter().filter(|used| used.wallet == after.id).map(|used| used.amount_minor).sum();
            prop_assert_eq!(before.balance_minor - used, after.balance_minor);
            prop_assert!(after.balance_minor >= 0);
            prop_assert!(used == 0 || (before.is_usable(instant(0)) && used <= share(&content, before)));
            // Whoever may pay everything has nothing left while something is due.
            prop_assert!(paid.amount_due_minor == 0 || !after.applies_to.is_empty() || !after.is_usable(instant(0)));
        }
        prop_assert!(paid.amount_due_minor == 0 || left <= 0);
        restore_credits(&paid, &mut wallets, &mut left).unwrap();
        prop_assert_eq!((wallets, left), (before, balance));
    }

    /// Wallets for the same prices pay no more together than these come to.
    #[test]
    fn wallets_for_one_price_share_its_lines(content in invoice(), balances in vec(0_i64..100_000_000, 1..4), other in 0_i64..100_000_000) {
        let wallet = |(index, balance_minor): (usize, &i64)| Wallet {
            id: format!("w{index}"),
            balance_minor: *balance_minor,
            applies_to: vec!["a".to_owned()],
            expires_at: None,
        };
        let mut wallets: Vec<Wallet> = balances.iter().enumerate().map(wallet).collect();
        wallets.push(Wallet { id: "other".to_owned(), balance_minor: other, applies_to: Vec::new(), expires_at: Some(instant(1)) });
        let most = share(&content, &wallets[0]).max(0);
        let paid = apply_credits(content, &mut wallets, &mut 0, instant(0)).unwrap();
        let used: i64 = paid.wallet_applied.iter().filter(|used| used.wallet != "other").map(|used| used.amount_minor).sum();
        prop_assert!(used <= most);
        // Money that may pay for everything does not keep the others from paying.
        let left: i64 = wallets.iter().map(|wallet| wallet.balance_minor).sum();
        prop_assert!(paid.amount_due_minor == 0 || left == 0 || used == most || wallets[balances.len()].balance_minor == 0);
    }

    /// However an invoice is credited, what is credited is the invoice when all of it is.
    #[test]
    fn partial_notes_sum_to_exactly_the_invoice(head in head(), lines in lines(0_i64..10_000), steps in vec((any::<u16>(), any::<u16>()), 0..12)) {
        let content = InvoiceContent::of_lines(head, lines).unwrap();
        let mut notes: Vec<CreditNote> = Vec::new();
        for (line, part) in steps {
            let index = usize::from(line) % content.lines.len();
            let credited = |index: usize| notes.iter().flat_map(|note| &note.lines).filter(|line| line.line == index).map(|line| line.amount_minor).sum::<i64>();
            let left = content.lines[index].amount_minor - credited(index);
            let amount_minor = left * i64::from(part) / i64::from(u16::MAX);
            let request = CreditRequest::Lines(vec![CreditRequestLine { line: index, amount_minor }]);
            let note = credit_note(&content, &notes, &request);
            prop_assert_eq!(note.is_ok(), amount_minor > 0);
            let beyond = CreditRequest::Lines(vec![CreditRequestLine { line: index, amount_minor: left + 1 }]);
            prop_assert!(credit_note(&content, &notes, &beyond).is_err());
            notes.extend(note);
        }
        let sum = |notes: &[CreditNote], of: fn(&CreditNote) -> i64| notes.iter().map(of).sum::<i64>();
        let left = content.total_minor - sum(&notes, |note| note.total_minor);
        prop_assert!(left >= 0);
        let last = credit_note(&content, &notes, &CreditRequest::All);
        prop_assert_eq!(last.is_ok(), left > 0);
        if let Ok(last) = last {
            notes.push(last);
            prop_assert_eq!(sum(&notes, |note| note.amount_minor), content.subtotal_minor);
            prop_assert_eq!(sum(&notes, |note| note.discount_minor), content.discount_minor);
            prop_assert_eq!(sum(&notes, |note| note.tax_minor), content.tax_minor);
        }
        prop_assert_eq!(sum(&notes, |note| note.total_minor), content.total_minor);
        for note in &notes {
            let totals = [note.amount_minor, note.discount_minor, note.tax_minor, note.total_minor];
            prop_assert!(totals.iter().all(|total| *total >= 0));
            prop_assert_eq!(note.amount_minor - note.discount_minor + note.tax_minor, note.total_minor);
        }
        prop_assert!(credit_note(&content, &notes, &CreditRequest::All).is_err());
    }

    /// Credits among the lines do not let more be credited than was asked for.
    #[test]
    fn notes_sum_to_the_total_also_with_credits_among_the_lines(content in invoice(), steps in vec((any::<u16>(), any::<u16>()), 0..12)) {
        let mut notes: Vec<CreditNote> = Vec::new();
        for (line, part) in steps {
            let line = usize::from(line) % content.lines.len();
            let amount_minor = content.lines[line].amount_minor * i64::from(part) / i64::from(u16::MAX);
            let request = CreditRequest::Lines(vec![CreditRequestLine { line, amount_minor }]);
            notes.extend(credit_note(&content, &notes, &request));
        }
        notes.extend(credit_note(&content, &notes, &CreditRequest::All));
        let credited: i64 = notes.iter().map(|note| note.total_minor).sum();
        prop_assert_eq!(credited, content.total_minor);
    }

    #[test]
    fn a_settlement_is_all_of_the_note(total in 0_i64.., open in any::<i64>(), refund in any::<bool>(), refundable in any::<i64>()) {
        let outcome = if refund { CreditOutcome::Refund } else { CreditOutcome::Balance };
        let Settlement { offset_minor, balance_minor, refund_minor } = settle_credit_note(total, open, outcome, refundable);
        prop_assert_eq!(offset_minor + balance_minor + refund_minor, total);
        prop_assert!(offset_minor >= 0 && balance_minor >= 0 && refund_minor >= 0);
        prop_assert!(offset_minor <= open.max(0) && refund_minor <= refundable.max(0));
        prop_assert!(offset_minor == total || offset_minor == open.max(0));
    }

    /// Whatever the numbers: an invoice that adds up, or an error.
    #[test]
    fn no_amount_makes_totals_panic(head in head(), lines in lines(prop_oneof![any::<i64>(), select(&[i64::MIN, i64::MAX, -1, 0, 1][..])]), mut wallets in wallets(), mut balance in any::<i64>()) {
        let content = match InvoiceContent::of_lines(head, lines) {
            Ok(content) => content,
            Err(error) => {
                prop_assert_eq!(error, AmountError::Overflow);
                return Ok(());
            }
        };
        prop_assert_eq!(content.check(), Ok(()));
        let request = CreditRequest::Lines(vec![CreditRequestLine { line: 0, amount_minor: i64::MAX }]);
        let notes: Vec<CreditNote> = credit_note(&content, &[], &request).into_iter().collect();
if let Ok(note) = credit_note(&content, &notes, &CreditRequest::All) {
            prop_assert!(note.total_minor <= content.total_minor);
        }
        if let Ok(paid) = apply_credits(content, &mut wallets, &mut balance, instant(0)) {
            prop_assert_eq!(paid.check(), Ok(()));
        }
    }
}
