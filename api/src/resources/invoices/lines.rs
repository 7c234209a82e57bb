//! Lines of an invoice, as clients see them: what is charged, for which days, and how the amount came to be.

use domain::{AmountError, Currency, Exact, Group, LineItem, LineKind, Proration};
use serde::Serialize;
use utoipa::ToSchema;

use crate::resources::{customers::TaxRate, fields::Period};

/// A line of an invoice.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::resources) struct InvoiceLine {
    /// Key of the price; null for a minimum commitment.
    #[schema(example = "base")]
    price: Option<String>,
    /// What it is for: `fixed`, `licensed`, `usage`, `proration` (a credit), `minimum`, `commitment`, `adjustment` or
    /// `one_off`.
    #[schema(value_type = String, example = "fixed")]
    kind: LineKind,
    #[schema(example = "Pro, Base")]
    description: String,
    period: Period,
    #[schema(example = "1")]
    #[schema(value_type = String)]
    quantity: Exact,
    /// The part of a full period, in days; null for a full one.
    #[schema(value_type = Option<String>, example = "15/30")]
    proration: Option<Proration>,
    /// The values of the properties that its usage is grouped by; null where it is not.
    #[schema(value_type = Option<Vec<Vec<String>>>)]
    group: Option<Group>,
    /// Before discount and tax.
    amount_minor: i64,
    discount_minor: i64,
    tax_minor: i64,
    /// Rates of its own; null where the invoice's apply.
    tax_rates: Option<Vec<TaxRate>>,
    /// How the amount came to be.
    #[schema(example = "1 x 49.00 = 49.00")]
    explain: String,
}

/// A line with the inputs that its amount was computed from, frozen when it was issued.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExplainedLine {
    #[serde(flatten)]
    line: InvoiceLine,
    /// The price's model and limits at the time.
    #[schema(value_type = Object)]
    inputs: domain::LineInputs,
}

impl InvoiceLine {
    /// # Errors
    /// When the line cannot be computed again, which an issued one can.
    pub(in crate::resources) fn of(line: &LineItem, currency: Currency) -> Result<Self, AmountError> {
        Ok(Self {
            price: line.price.clone(),
            kind: line.kind,
            description: line.description.clone(),
            period: line.period.into(),
            quantity: line.quantity.clone(),
            proration: line.proration,
            group: line.group.clone(),
            amount_minor: line.amount_minor,
            discount_minor: line.discount_minor,
            tax_minor: line.tax_minor,
            tax_rates: line.tax_rates.as_ref().map(|rates| rates.iter().map(TaxRate::of).collect()),
            explain: line.explain(currency)?,
        })
    }
}

impl ExplainedLine {
    /// # Errors
    /// Those of [`InvoiceLine::of`].
    pub(super) fn of(line: &LineItem, currency: Currency) -> Result<Self, AmountError> {
        Ok(Self { line: InvoiceLine::of(line, currency)?, inputs: line.inputs.clone() })
    }
}
