//! Invoices: lines, totals and the inputs they came from.
//!
//! Totals are computed in one order: lines, coupons, tax. Discounts and taxes are exact until each is rounded once for the
//! invoice (taxes also by line and rate, if the customer wants that) and allotted to the lines. What pays the total, wallets
//! and balance, is in `wallet`; it does not change the tax.
//!
//! **Invariant:** the lines' amounts, discounts and taxes sum to the invoice's. **Invariant:** no total is below zero.
//! **Invariant:** content follows from its own frozen inputs: recomputing it gives the same bytes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    AmountError, Coupon, Currency, Exact, ForbiddenTransition, LineItem, Money, TaxRate, TaxRounding, WalletUse,
    allot::allot, discount::discounts, tax::tax,
};

/// Version of the rules that computed an invoice; raised when one changes what the same inputs cost.
pub const ENGINE_VERSION: u16 = 1;

/// Where an invoice stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    /// Not issued yet.
    Draft,
    /// Issued; something is owed.
    Open,
    /// Nothing is owed any more.
    Paid,
    /// Withdrawn.
    Void,
    /// Written off.
    Uncollectible,
}

impl InvoiceStatus {
    /// Its wire name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Void => "void",
            Self::Uncollectible => "uncollectible",
        }
    }

    /// The states that this one can become.
    #[must_use]
    pub fn successors(self) -> &'static [Self] {
        match self {
            Self::Draft => &[Self::Open],
            Self::Open => &[Self::Paid, Self::Void, Self::Uncollectible],
            Self::Paid | Self::Void | Self::Uncollectible => &[],
        }
    }

    /// The state `to`, if this one can become it.
    ///
    /// # Errors
    /// [`ForbiddenTransition`] for a change that does not exist.
    pub fn transition_to(self, to: Self) -> Result<Self, ForbiddenTransition> {
        if self.successors().contains(&to) {
            return Ok(to);
        }
        Err(ForbiddenTransition { subject: "an invoice", from: self.as_str(), to: to.as_str() })
    }
}

/// Why an invoice was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceReason {
    /// A subscription has started.
    SubscriptionCreate,
    /// A period has turned, or a trial has ended.
    Period,
    /// A plan or a quantity has changed within a period.
    Change,
    /// A subscription has ended within a period.
    Cancel,
    /// Lines of its own, outside any subscription.
    OneOff,
}

impl InvoiceReason {
    /// Whether it is one of a subscription's regular invoices, by which repeating coupons count.
    #[must_use]
    pub fn is_periodic(self) -> bool {
        matches!(self, Self::SubscriptionCreate | Self::Period)
    }
}

/// What an invoice's totals are computed from, besides its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceHead {
    /// Why it is issued.
    pub reason: InvoiceReason,
    /// The action's instant, or the boundary's.
    pub issued_at: Timestamp,
    /// Of all amounts.
    pub currency: Currency,
    /// Key of the plan, for coupons that are limited to plans; none without subscription.
    pub plan: Option<String>,
    /// The customer's taxes, on lines that have none of their own.
    pub tax_rates: Vec<TaxRate>,
    /// Where the tax is rounded.
    pub tax_rounding: TaxRounding,
    /// Those that are not used up, in the order they were applied.
    pub coupons: Vec<Coupon>,
}

/// What an invoice says; amounts in minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceContent {
    /// Why it was issued.
    pub reason: InvoiceReason,
    /// The action's instant, or the boundary's.
    pub issued_at: Timestamp,
    /// Of all amounts.
    pub currency: Currency,
    /// Key of the plan, for coupons that are limited to plans; none without subscription.
    pub plan: Option<String>,
    /// The customer's taxes, on lines that have none of their own.
    pub tax_rates: Vec<TaxRate>,
    /// Where the tax was rounded.
    pub tax_rounding: TaxRounding,
    /// Those that were not used up, in the order they were applied.
    pub coupons: Vec<Coupon>,
    /// At least one.
    pub lines: Vec<LineItem>,
    /// Sum of the lines' amounts.
    pub subtotal_minor: i64,
    /// Sum of the lines' discounts: the rounded sum of the exact ones.
    pub discount_minor: i64,
    /// Sum of the lines' taxes.
    pub tax_minor: i64,
    /// Subtotal less discount plus tax, or zero where that is below.
    pub total_minor: i64,
    /// What that is below zero, given to the customer's balance.
    pub credited_minor: i64,
    /// What each wallet paid, in the order they were used.
    pub wallet_applied: Vec<WalletUse>,
    /// Sum of what wallets paid.
    pub wallet_applied_minor: i64,
    /// What the customer's balance paid.
    pub credit_applied_minor: i64,
    /// What is left to pay: the total less what wallets and balance paid.
    pub amount_due_minor: i64,
    /// [`ENGINE_VERSION`] at the time.
    pub engine_version: u16,
}

/// A sum of an invoice that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the invoice does not add up: {0}")]
pub struct Imbalance(&'static str);

impl InvoiceContent {
    /// Takes the coupons off the lines, taxes them and adds them up. Nothing has paid for it yet.
    ///
    /// # Errors
    /// `Overflow` beyond 64 bits.
    pub fn of_lines(head: InvoiceHead, mut lines: Vec<LineItem>) -> Result<Self, AmountError> {
        discount_and_tax(&head, &mut lines)?;
        let subtotal_minor = sum(&lines, |line| line.amount_minor)?;
        let discount_minor = sum(&lines, |line| line.discount_minor)?;
        let tax_minor = sum(&lines, |line| line.tax_minor)?;
        let net_minor = subtotal_minor.checked_sub(discount_minor);
        let balance_minor = net_minor.and_then(|net| net.checked_add(tax_minor)).ok_or(AmountError::Overflow)?;
        let total_minor = balance_minor.max(0);
        let InvoiceHead { reason, issued_at, currency, plan, tax_rates, tax_rounding, coupons } = head;
        Ok(Self {
            reason,
            issued_at,
            currency,
            plan,
            tax_rates,
            tax_rounding,
            coupons,
            lines,
            subtotal_minor,
            discount_minor,
            tax_minor,
            total_minor,
            credited_minor: total_minor.checked_sub(balance_minor).ok_or(AmountError::Overflow)?,
            wallet_applied: Vec::new(),
            wallet_applied_minor: 0,
            credit_applied_minor: 0,
            amount_due_minor: total_minor,
            engine_version: ENGINE_VERSION,
        })
    }

    /// What its totals were computed from, besides its lines.
    #[must_use]
    pub fn head(&self) -> InvoiceHead {
        let Self { reason, issued_at, currency, plan, tax_rates, tax_rounding, coupons, .. } = self.clone();
        InvoiceHead { reason, issued_at, currency, plan, tax_rates, tax_rounding, coupons }
    }

    /// Computes it again from its frozen inputs; the result is the same, byte by byte. What wallets and balance paid is an
    /// input: they had what they had.
    ///
    /// # Errors
    /// `Overflow` when the inputs cannot be computed exactly; an issued invoice's can.
    pub fn recompute(&self) -> Result<Self, AmountError> {
        let lines = self.lines.iter().map(|line| line.clone().priced(self.currency)).collect::<Result<_, _>>()?;
        let content = Self::of_lines(self.head(), lines)?;
        content.paid_by(self.wallet_applied.clone(), self.credit_applied_minor)
    }

    /// The same content, paid by wallets and balance, which have paid nothing so far.
    pub(crate) fn paid_by(self, wallets: Vec<WalletUse>, credit_applied_minor: i64) -> Result<Self, AmountError> {
        let used = wallets.iter().try_fold(0_i64, |sum, used| sum.checked_add(used.amount_minor));
        let wallet_applied_minor = used.ok_or(AmountError::Overflow)?;
        let paid_minor = wallet_applied_minor.checked_add(credit_applied_minor).ok_or(AmountError::Overflow)?;
        let amount_due_minor = self.total_minor.checked_sub(paid_minor).ok_or(AmountError::Overflow)?;
        Ok(Self { wallet_applied: wallets, wallet_applied_minor, credit_applied_minor, amount_due_minor, ..self })
    }

    /// Whether every sum is what it should be.
    ///
    /// # Errors
    /// [`Imbalance`] names the first one that is not.
    pub fn check(&self) -> Result<(), Imbalance> {
        let sum_is = |of: fn(&LineItem) -> i64, total: i64| sum(&self.lines, of) == Ok(total);
        let paid: i128 = self.wallet_applied.iter().map(|used| i128::from(used.amount_minor)).sum();
        let [subtotal, discount, tax] = [self.subtotal_minor, self.discount_minor, self.tax_minor].map(i128::from);
        let [total, credited] = [self.total_minor, self.credited_minor].map(i128::from);
        let [wallet, credit, due] =
            [self.wallet_applied_minor, self.credit_applied_minor, self.amount_due_minor].map(i128::from);
        let laws = [
            (sum_is(|line| line.amount_minor, self.subtotal_minor), "lines and subtotal"),
            (sum_is(|line| line.discount_minor, self.discount_minor), "lines and discount"),
            (sum_is(|line| line.tax_minor, self.tax_minor), "lines and tax"),
            (subtotal - discount + tax == total - credited, "subtotal, discount, tax and total"),
            (total >= 0 && credited >= 0 && (total == 0 || credited == 0), "total and what is credited"),
            (paid == wallet && self.wallet_applied.iter().all(|used| used.amount_minor > 0), "what wallets paid"),
            (credit >= 0 && due >= 0 && total - wallet - credit == due, "what is left to pay"),
        ];
        laws.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, law)| Err(Imbalance(law)))
    }

    /// The coupons that took something off, in the order they were applied.
    ///
    /// # Errors
    /// `Overflow` when the discounts cannot be computed; an issued invoice's can.
    pub fn used_coupons(&self) -> Result<Vec<&Coupon>, AmountError> {
        let used = discounts(&self.head(), &self.lines)?.used;
        Ok(self.coupons.iter().zip(used).filter(|(_, used)| *used).map(|(coupon, _)| coupon).collect())
    }

    /// What is left to pay.
    #[must_use]
    pub fn amount_due(&self) -> Money {
        Money::new(self.amount_due_minor, self.currency)
    }
}

/// Computes the lines' discounts and taxes exactly, rounds each sum once, and allots it.
fn discount_and_tax(head: &InvoiceHead, lines: &mut [LineItem]) -> Result<(), AmountError> {
    let exact = discounts(head, lines)?.lines;
    for (line, discount_minor) in lines.iter_mut().zip(allot(&exact)?) {
        line.discount_minor = discount_minor;
    }
    let taxed = |(line, discount): (&LineItem, Exact)| {
        let rates = line.tax_rates.as_ref().unwrap_or(&head.tax_rates);
        tax(&(Exact::from(line.amount_minor) - discount), rates, head.tax_rounding)
    };
    let taxes = lines.iter().zip(exact).map(taxed).collect::<Result<Vec<_>, _>>()?;
    for (line, tax_minor) in lines.iter_mut().zip(allot(&taxes)?) {
        line.tax_minor = tax_minor;
    }
    Ok(())
}

fn sum(lines: &[LineItem], of: impl Fn(&LineItem) -> i64) -> Result<i64, AmountError> {
    lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(of(line))).ok_or(AmountError::Overflow)
}

/// An invoice's number, from the tenant's counter: `INV-000001`. Beyond six digits it grows.
#[must_use]
pub fn invoice_number(counter: u64) -> String {
    format!("INV-{counter:06}")
}

/// Invoices of dollars for tests: lines and heads with what matters said, the rest left out.
#[cfg(test)]
pub(crate) mod fixtures {
    use rust_decimal::Decimal;

    use super::{InvoiceContent, InvoiceHead, InvoiceReason};
    use crate::{
        BillingPeriod, Coupon, LineInputs, LineItem, LineKind, OneOffLine, OneOffLineSpec, PriceModel, TaxRate,
        TaxRounding,
    };

    /// A line of a price; of minor units below zero, a credit.
    pub(crate) fn line(price: &str, minor: i64) -> LineItem {
        let spec = OneOffLineSpec {
            key: price.to_owned(),
            description: None,
            quantity: Decimal::ONE,
            unit_amount: Decimal::new(minor.max(0), 2),
            tax_rates: None,
        };
        let day = "2024-01-31".parse().unwrap();
        let period = BillingPeriod { start: day, end: day.tomorrow().unwrap() };
        let usd = "usd".parse().unwrap();
        let line = OneOffLine::try_from(spec).unwrap().line(period, usd).unwrap();
        if minor >= 0 {
            return line;
        }
        let model = PriceModel::Flat { amount: Decimal::new(-minor, 2) };
        let (min_amount_minor, max_amount_minor) = (None, None);
        let inputs = LineInputs::Credit { model, min_amount_minor, max_amount_minor, creditable_minor: -minor };
        LineItem { kind: LineKind::Proration, inputs, ..line }.priced(usd).unwrap()
    }

    /// A line with tax rates of its own.
    pub(crate) fn taxed(price: &str, minor: i64, percents: &[&str]) -> LineItem {
        LineItem { tax_rates: Some(rates(percents)), ..line(price, minor) }
    }

    pub(crate) fn rates(percents: &[&str]) -> Vec<TaxRate> {
        let rate = |percent: &&str| serde_json::json!({ "name": "VAT", "percent": percent });
        percents.iter().map(|percent| serde_json::from_value(rate(percent)).unwrap()).collect()
    }

    pub(crate) fn coupon(body: &str) -> Coupon {
        serde_json::from_str(body).unwrap()
    }

    /// Neither taxes nor coupons.
    pub(crate) fn head() -> InvoiceHead {
        InvoiceHead {
            reason: InvoiceReason::Period,
            issued_at: "2024-01-31T00:00:00Z".parse().unwrap(),
            currency: "usd".parse().unwrap(),
            plan: Some("pro".to_owned()),
            tax_rates: Vec::new(),
            tax_rounding: TaxRounding::Invoice,
            coupons: Vec::new(),
        }
    }

    /// An invoice that adds up and can be recomputed.
    pub(crate) fn content(head: InvoiceHead, lines: Vec<LineItem>) -> InvoiceContent {
        let content = InvoiceContent::of_lines(head, lines).unwrap();
        assert_eq!(content.check(), Ok(()));
        assert_eq!(content.recompute().as_ref(), Ok(&content));
        content
    }
}

#[cfg(test)]
mod tests {
    use super::{
        fixtures::{content, coupon, head, line, rates, taxed},
        *,
    };

    fn each(content: &InvoiceContent, of: fn(&LineItem) -> i64) -> Vec<i64> {
        content.lines.iter().map(of).collect()
    }

    /// "A price's own tax rates replace the customer's."
    #[test]
    fn tax_001_a_coupon_is_spread_before_lines_are_taxed_at_their_own_rates() {
        let ten = coupon(r#"{ "key": "ten", "amount_off_minor": 1000, "duration": "once" }"#);
        let lines = vec![
            taxed("plan", 10_000, &["10"]),
            taxed("fx", 5_000, &["0"]),
            taxed("cards", 3_000, &["20"]),
            taxed("cards", 2_000, &["20"]),
        ];
        // The customer's own rate is replaced.
        let invoice = content(InvoiceHead { coupons: vec![ten], tax_rates: rates(&["50"]), ..head() }, lines);
        assert_eq!(each(&invoice, |line| line.discount_minor), [500, 250, 150, 100]);
        assert_eq!(each(&invoice, |line| line.tax_minor), [950, 0, 570, 380]);
        assert_eq!((invoice.subtotal_minor, invoice.discount_minor), (20_000, 1_000));
        assert_eq!((invoice.tax_minor, invoice.total_minor), (1_900, 20_900));
    }

    /// "Invoice tax is the rounded sum of the exact line taxes (`tax_rounding: "invoice"`, default) or the sum of
    /// taxes rounded per line and rate (`"line"`)."
    #[test]
    fn tax_002_taxes_may_be_rounded_by_line() {
        let by_line = |percents: &[&str], minors: [i64; 2]| {
            let head = InvoiceHead { tax_rates: rates(percents), tax_rounding: TaxRounding::Line, ..head() };
            let invoice = content(head, vec![line("a", minors[0]), line("b", minors[1])]);
            (each(&invoice, |line| line.tax_minor), invoice.total_minor)
        };
        assert_eq!(by_line(&["15"], [43, 484]), (vec![6, 73], 606));
        // Twice 4.5 is 5 + 5 by line; once for the invoice it is 9.
        assert_eq!(by_line(&["15"], [30, 30]).0, [5, 5]);
        let head = InvoiceHead { tax_rates: rates(&["15"]), ..head() };
        assert_eq!(each(&content(head, vec![line("a", 30), line("b", 30)]), |line| line.tax_minor), [5, 4]);
    }

    #[test]
    fn coupon_003_the_tax_is_on_what_two_coupons_leave() {
        let usage = r#"{ "key": "usage", "percent_off": "25", "duration": "forever", "applies_to": ["usage"] }"#;
        let ten = r#"{ "key": "ten", "amount_off_minor": 1000, "duration": "forever" }"#;
        let head = InvoiceHead { coupons: vec![coupon(usage), coupon(ten)], tax_rates: rates(&["8.25"]), ..head() };
        let invoice = content(head, vec![line("usage", 8_000), line("flat", 2_000)]);
        assert_eq!(each(&invoice, |line| line.discount_minor), [2_750, 250]);
        // 5.775 is rounded up.
        assert_eq!((invoice.tax_minor, invoice.total_minor), (578, 7_578));
    }

    #[test]
    fn coupon_004_coupons_follow_each_other_and_rates_do_not_compound() {
        let tenth = || coupon(r#"{ "key": "tenth", "percent_off": "10", "duration": "forever" }"#);
        let twice = InvoiceHead { coupons: vec![tenth(), tenth()], tax_rates: rates(&["5", "10"]), ..head() };
        let invoice = content(twice, vec![line("base", 10_000)]);
        assert_eq!((invoice.discount_minor, invoice.tax_minor, invoice.total_minor), (1_900, 1_215, 9_315));
        let free = coupon(r#"{ "key": "free", "amount_off_minor": 20000, "duration": "forever" }"#);
        let free = InvoiceHead { coupons: vec![free, tenth()], tax_rates: rates(&["5"]), ..head() };
        let invoice = content(free, vec![line("base", 10_000)]);
        assert_eq!((invoice.discount_minor, invoice.tax_minor, invoice.total_minor), (10_000, 0, 0));
    }

    #[test]
    fn commit_003_a_true_up_is_added_before_discounts_and_taxes() {
        let tenth = coupon(r#"{ "key": "tenth", "percent_off": "10", "duration": "forever" }"#);
        let taxed = InvoiceHead { coupons: vec![tenth], tax_rates: rates(&["20"]), ..head() };
        let true_up = LineItem { kind: crate::LineKind::Commitment, ..line("usage", 20_000) };
        let invoice = content(taxed, vec![line("usage", 80_000), true_up]);
        assert_eq!((invoice.subtotal_minor, invoice.discount_minor), (100_000, 10_000));
        assert_eq!((invoice.tax_minor, invoice.total_minor), (18_000, 108_000));
        assert_eq!(content(head(), vec![line("usage", 130_000)]).subtotal_minor, 130_000);
    }

    /// "A total below zero is issued as zero and the rest goes to the customer's balance."
    #[test]
    fn a_total_below_zero_is_issued_as_zero_and_the_rest_is_credited() {
        let head = InvoiceHead { tax_rates: rates(&["25"]), ..head() };
        let invoice = content(head, vec![line("old", -19_333), line("new", 1_000)]);
        assert_eq!((invoice.subtotal_minor, invoice.tax_minor), (-18_333, -4_583));
        assert_eq!((invoice.total_minor, invoice.credited_minor, invoice.amount_due_minor), (0, 22_916, 0));
    }

    #[test]
    fn a_sum_that_is_not_what_it_should_be_is_named() {
        let sound = content(head(), vec![line("a", 100)]);
        let broken = |change: fn(&mut InvoiceContent)| {
            let mut content = sound.clone();
            change(&mut content);
            content.check().unwrap_err().to_string()
        };
        assert_eq!(broken(|content| content.lines[0].tax_minor = 1), "the invoice does not add up: lines and tax");
        assert!(broken(|content| content.total_minor = 99).ends_with("subtotal, discount, tax and total"));
        assert!(broken(|content| content.amount_due_minor = 99).ends_with("what is left to pay"));
        assert!(broken(|content| content.wallet_applied_minor = 1).ends_with("what wallets paid"));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let lines = vec![line("a", i64::MAX), line("b", 1)];
        assert_eq!(InvoiceContent::of_lines(head(), lines), Err(AmountError::Overflow));
        let head = InvoiceHead { tax_rates: rates(&["1"]), ..head() };
        assert_eq!(InvoiceContent::of_lines(head, vec![line("a", i64::MAX)]), Err(AmountError::Overflow));
    }

    #[test]
    fn an_invoice_ends_paid_void_or_uncollectible() {
        let open = InvoiceStatus::Draft.transition_to(InvoiceStatus::Open).unwrap();
        assert_eq!(open.transition_to(InvoiceStatus::Paid), Ok(InvoiceStatus::Paid));
        assert_eq!(open.transition_to(InvoiceStatus::Void), Ok(InvoiceStatus::Void));
        let error = InvoiceStatus::Paid.transition_to(InvoiceStatus::Void).unwrap_err();
        assert_eq!(error.to_string(), "an invoice that is paid cannot become void");
        assert!(InvoiceStatus::Draft.transition_to(InvoiceStatus::Paid).is_err());
    }

    #[test]
    fn numbers_have_six_digits_and_grow() {
        assert_eq!((invoice_number(1).as_str(), invoice_number(1_234_567).as_str()), ("INV-000001", "INV-1234567"));
    }
}
