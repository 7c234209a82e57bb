//! Lines of an invoice, each with the inputs its amount is computed from.
//!
//! **Invariant:** a line's amount follows from the line itself: its frozen inputs, quantity and proration. It is rounded once.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{AmountError, BillingPeriod, Currency, Exact, PriceKind, PriceModel, Proration, TaxRate, rating::rate};

/// All of a full period.
const WHOLE: (i64, i64) = (1, 1);

/// What a line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// A fixed price.
    Fixed,
    /// A price by quantity.
    Licensed,
    /// A price by usage.
    Usage,
    /// A credit for what was billed in advance and is not used: negative.
    Proration,
    /// What a price's line lacks to its minimum amount.
    Minimum,
    /// What a period's lines lack to the plan's minimum commitment.
    Commitment,
    /// What late or corrected usage changes in a period that was billed before.
    Adjustment,
    /// Billed by itself, outside any subscription.
    OneOff,
}

impl From<PriceKind> for LineKind {
    fn from(kind: PriceKind) -> Self {
        match kind {
            PriceKind::Fixed => Self::Fixed,
            PriceKind::Licensed => Self::Licensed,
            PriceKind::Usage => Self::Usage,
        }
    }
}

/// What a line's amount is computed from, besides its quantity and proration; frozen when the invoice is issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LineInputs {
    /// The model's amount: in proportion in a part of a period, unless it is usage; at most the maximum in proportion.
    Price {
        /// The price's model.
        model: PriceModel,
        /// Most that a full period costs, in minor units.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_amount_minor: Option<i64>,
    },
    /// The minimum in proportion, less what was billed.
    Minimum {
        /// Least that a full period costs, in minor units.
        min_amount_minor: i64,
        /// Amount of the price's own line, in minor units.
        billed_minor: i64,
    },
}

/// One line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineItem {
    /// Key of the price.
    pub price: String,
    /// What it is for.
    pub kind: LineKind,
    /// Shown to the customer: "Pro, Base".
    pub description: String,
    /// Local dates that it covers.
    pub period: BillingPeriod,
    /// Units; 1 for a fixed price.
    pub quantity: Decimal,
    /// The part of a full period, unless it is a full one.
    pub proration: Option<Proration>,
    /// Before discount and tax, in minor units.
    pub amount_minor: i64,
    /// Its share of the invoice's discount.
    pub discount_minor: i64,
    /// Its share of the invoice's tax.
    pub tax_minor: i64,
    /// Tax rates of its own, in place of the customer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_rates: Option<Vec<TaxRate>>,
    /// What the amount is computed from.
    pub inputs: LineInputs,
}

impl LineItem {
    /// The same line with its amount computed from its inputs.
    ///
    /// # Errors
    /// `Overflow` when the amount cannot be computed exactly.
    pub(crate) fn priced(self, currency: Currency) -> Result<Self, AmountError> {
        let amount_minor = match &self.inputs {
            LineInputs::Price { model, max_amount_minor } => {
                let amount = self.model_amount(model, currency)?.round_half_up()?;
                match max_amount_minor {
                    Some(most) => amount.min(self.limit(*most)?.round_half_up()?),
                    None => amount,
                }
            }
            LineInputs::Minimum { min_amount_minor, billed_minor } => {
                let least = self.limit(*min_amount_minor)?.round_half_up()?;
                least.checked_sub(*billed_minor).ok_or(AmountError::Overflow)?
            }
        };
        Ok(Self { amount_minor, ..self })
    }

    /// The model's amount before rounding and maximum.
    pub(crate) fn model_amount(&self, model: &PriceModel, currency: Currency) -> Result<Exact, AmountError> {
        let days = self.amount_proration().map_or(WHOLE, Proration::days);
        Ok(rate(model, self.quantity).amount.in_minor(currency.exponent()) * Exact::ratio(days.0, days.1)?)
    }

    /// A limit per period, in proportion.
    pub(crate) fn limit(&self, minor: i64) -> Result<Exact, AmountError> {
        let days = self.proration.map_or(WHOLE, Proration::days);
        Ok(Exact::from(minor) * Exact::ratio(days.0, days.1)?)
    }

    /// What the model's amount is in proportion to: usage is counted, so it is what it is.
    pub(crate) fn amount_proration(&self) -> Option<Proration> {
        self.proration.filter(|_| self.kind != LineKind::Usage)
    }
}
