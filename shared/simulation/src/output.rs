//! What a simulation results in: the document of the scenario format.
//!
//! Every field is always there. Amounts are minor units of the customer's currency; dates are local dates of the customer.

use domain::{
    BillingPeriod, CreditOutcome, Currency, InvoiceReason, InvoiceStatus, LineKind, SubscriptionStatus, Zone,
};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;

/// The whole result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    /// In the order they were issued.
    pub invoices: Vec<InvoiceOutput>,
    /// In the order they were issued.
    pub credit_notes: Vec<CreditNoteOutput>,
    /// In the order they were subscribed.
    pub subscriptions: Vec<SubscriptionOutput>,
    /// What is left of the customer's credit.
    pub customer: CustomerOutput,
}

/// An invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InvoiceOutput {
    /// Counted from 1.
    pub invoice: u32,
    /// Name of the subscription; none for a one-off.
    pub subscription: Option<String>,
    /// Why it was issued.
    pub reason: InvoiceReason,
    /// Where it stands at the end.
    pub status: InvoiceStatus,
    /// The action's instant, or the boundary's.
    pub issued_at: Timestamp,
    /// Of all amounts.
    pub currency: Currency,
    /// At least one.
    pub lines: Vec<LineOutput>,
    /// Sum of the lines' amounts.
    pub subtotal_minor: i64,
    /// Sum of the lines' discounts.
    pub discount_minor: i64,
    /// Sum of the lines' taxes.
    pub tax_minor: i64,
    /// Never below zero.
    pub total_minor: i64,
    /// Paid out of the customer's balance.
    pub credit_applied_minor: i64,
    /// Paid out of wallets.
    pub wallet_applied_minor: i64,
    /// What was left to pay when it was issued, less what credit notes have taken off since.
    pub amount_due_minor: i64,
    /// The coupons that took something off: "Welcome, 10%"; for people.
    #[serde(skip)]
    pub coupons: Vec<String>,
    /// The taxes, if all lines have the same: "VAT 20%"; for people.
    #[serde(skip)]
    pub taxes: Vec<String>,
}

/// A line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineOutput {
    /// Key of the price; none for a commitment's.
    pub price: Option<String>,
    /// What it is for.
    pub kind: LineKind,
    /// Shown to the customer.
    pub description: String,
    /// Days that it covers.
    pub period: BillingPeriod,
    /// A decimal.
    pub quantity: String,
    /// The part of a full period, such as "14/31"; none for a full one.
    pub proration: Option<String>,
    /// Before discount and tax.
    pub amount_minor: i64,
    /// Its share of the invoice's discount.
    pub discount_minor: i64,
    /// Its share of the invoice's tax.
    pub tax_minor: i64,
    /// How the amount came to be.
    pub explain: String,
}

/// A credit note; amounts are positive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CreditNoteOutput {
    /// Counted from 1.
    pub credit_note: u32,
    /// Number of the invoice that it corrects.
    pub invoice: u32,
    /// What it credits.
    pub lines: Vec<CreditedLineOutput>,
    /// Sum of the lines' amounts, before discount and tax.
    pub amount_minor: i64,
    /// The discount that went with them.
    pub discount_minor: i64,
    /// The tax that went with them.
    pub tax_minor: i64,
    /// Amount less discount plus tax.
    pub total_minor: i64,
    /// What was asked for beyond the open amount: "balance" or "refund".
    pub outcome: CreditOutcome,
    /// Taken off what was still to pay.
    pub offset_minor: i64,
    /// Added to the customer's balance.
    pub balance_minor: i64,
    /// Paid back.
    pub refund_minor: i64,
}

/// A line of a credit note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CreditedLineOutput {
    /// Number of the invoice's line, from 1.
    pub line: u32,
    /// Before discount and tax.
    pub amount_minor: i64,
    /// Its share of the discount.
    pub discount_minor: i64,
    /// Its share of the tax.
    pub tax_minor: i64,
}

/// A subscription at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubscriptionOutput {
    /// Its name.
    pub subscription: String,
    /// Key of its plan.
    pub plan: String,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// The period that it is in.
    pub current_period: BillingPeriod,
    /// First day after its trial, if it has one.
    pub trial_end: Option<Date>,
}

/// What is left of the customer's credit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CustomerOutput {
    /// Positive is in the customer's favour.
    pub balance_minor: i64,
    /// In all wallets.
    pub wallet_minor: i64,
    /// Of both; for people.
    #[serde(skip)]
    pub currency: Currency,
    /// Where the customer is; for people.
    #[serde(skip)]
    pub timezone: Zone,
}
