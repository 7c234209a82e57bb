//! Bills a customer for something outside any subscription: an invoice of its own, issued and collected at once.

use domain::{AmountError, BillingPeriod, InvoiceContent, InvoiceHead, InvoiceReason, OneOffLine};
use serde_json::json;
use store::{Collection, Customer, Invoice, Store, UnitOfWork};

use crate::{
    Actor, BillingError, Change, EventType, TenantTime,
    actor::Fact,
    find_customer::find_customer,
    issue_invoice::{self, Issue, Source},
    purse::load_wallets,
};

/// A one-off invoice to issue, already parsed.
#[derive(Clone, Debug)]
pub struct NewOneOffInvoice {
    /// `cus_...`
    pub customer: String,
    /// At least one.
    pub lines: Vec<OneOffLine>,
}

/// Decides a one-off invoice; `id` makes its id its own.
///
/// # Errors
/// `Rule` when the customer is unknown or an amount too large; store errors.
pub async fn create_one_off_invoice(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, new): (&str, &NewOneOffInvoice),
) -> Result<Change<Invoice>, BillingError> {
    let mut customer = find_customer(store, &actor.tenant, &new.customer).await?;
    let mut wallets = load_wallets(store, &customer, time).await?;
    let content = content(&customer, time, &new.lines)
        .map_err(|error| BillingError::rule("not_billable", "/lines", error.to_string()))?;
    let mut unit = UnitOfWork::default();
    let issue = Issue {
        boundary: customer.timezone.date_of(time.now),
        customer: &mut customer,
        wallets: &mut wallets,
        source: Source::OneOff(id),
        revision: None,
        content,
        collection: Collection::default(),
        chunk: None,
        is_held: false,
        recipe: None,
    };
    let number = store.next_invoice_number(&actor.tenant).await?;
    unit.expect_number(number);
    let mut invoice = issue_invoice::issue_invoice(&mut unit, actor, time, issue)?;
    invoice.number = number.to_string();
    let data = json!({ "customer": invoice.customer, "total_minor": invoice.content.total_minor });
    let fact = Fact { name: EventType::InvoiceGenerated, subject: &invoice.id, revision: invoice.revision, data };
    actor.audit(&mut unit, time.wall, &fact)?;
    let follow_up = issue_invoice::follow_up(&invoice)?;
    Ok(Change { result: invoice, unit, follow_up })
}

/// The lines cover the customer's day; taxes are the customer's, unless a line has its own.
fn content(customer: &Customer, time: &TenantTime, lines: &[OneOffLine]) -> Result<InvoiceContent, AmountError> {
    let day = customer.timezone.date_of(time.now);
    // The last day there is has no day after it; nobody is billed there.
    let period = BillingPeriod { start: day, end: day.tomorrow().map_err(|_| AmountError::Overflow)? };
    let head = InvoiceHead {
        reason: InvoiceReason::OneOff,
        issued_at: time.now,
        currency: customer.currency,
        plan: None,
        tax_rates: customer.tax_rates.clone(),
        tax_rounding: customer.tax_rounding,
        coupons: Vec::new(),
    };
    let lines = lines.iter().map(|line| line.line(period, customer.currency)).collect::<Result<_, _>>()?;
    InvoiceContent::of_lines(head, lines)
}
