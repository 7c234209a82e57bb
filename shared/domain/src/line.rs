//! Lines of an invoice, each with the inputs its amount is computed from.
//!
//! **Invariant:** a line's amount follows from the line itself: its frozen inputs, quantity and proration. It is rounded once.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    AmountError, BillingPeriod, ChargedEvents, Currency, Exact, Group, PriceKind, PriceModel, Proration, Rated, Rating,
    TaxRate, rating::rate,
};

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

/// A maximum a period, and how much of it other lines of the price have used up; both in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Most that a full period costs.
    pub max_amount_minor: i64,
    /// What lines before this one have used of it.
    pub used_minor: i64,
}

/// What a line's amount is computed from, besides its quantity and proration; frozen when the invoice is issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LineInputs {
    /// The model's amount: in proportion in a part of a period, unless it is usage; at most the maximum in proportion.
    Price {
        /// The price's model.
        model: PriceModel,
        /// What is charged for single events.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charged_events: Option<ChargedEvents>,
        /// The price's maximum.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<Limit>,
    },
    /// Less the list price of the unused days, at most what may still be credited.
    Credit {
        /// The price's model.
        model: PriceModel,
        /// Least that a full period costs, in minor units.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_amount_minor: Option<i64>,
        /// Most that a full period costs, in minor units.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_amount_minor: Option<i64>,
        /// What was billed net of discount, less credits given before, in minor units.
        creditable_minor: i64,
    },
    /// The minimum in proportion, less what was billed.
    Minimum {
        /// Least that a full period costs, in minor units.
        min_amount_minor: i64,
        /// Amount of the price's own lines, in minor units.
        billed_minor: i64,
    },
    /// The commitment in proportion, less what was billed.
    Commitment {
        /// Least that a full period of the plan costs, in minor units.
        minimum_commitment_minor: i64,
        /// Amount of the period's lines, in minor units.
        billed_minor: i64,
    },
    /// The usage of a period rated again, less what was billed.
    Adjustment {
        /// The price's model.
        model: PriceModel,
        /// What was used in all of the period.
        quantity: Exact,
        /// What is charged for single events.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charged_events: Option<ChargedEvents>,
        /// The price's maximum.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<Limit>,
        /// Least that a full period costs, in minor units.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_amount_minor: Option<i64>,
        /// What has been billed for the period, in minor units.
        billed_minor: i64,
    },
    /// What is missing now to a minimum of a period billed before, in proportion, less what was billed since it was missing.
    Shortfall {
        /// Least that a full period costs, in minor units.
        minimum_minor: i64,
        /// What the period's lines come to, in minor units.
        counted_minor: i64,
        /// What was billed before, in minor units.
        billed_minor: i64,
    },
    /// The quantity times an amount.
    OneOff {
        /// In major units.
        #[serde(with = "crate::decimal")]
        unit_amount: Decimal,
    },
}

/// One line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineItem {
    /// Key of the price; a commitment has none.
    pub price: Option<String>,
    /// What it is for.
    pub kind: LineKind,
    /// Shown to the customer: "Pro, Base".
    pub description: String,
    /// Local dates that it covers.
    pub period: BillingPeriod,
    /// Units; 1 for a fixed price.
    pub quantity: Exact,
    /// The part of a full period, unless it is a full one.
    pub proration: Option<Proration>,
    /// The values of the price's `group_by` properties, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
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
    /// `Overflow` beyond 64 bits.
    pub(crate) fn priced(self, currency: Currency) -> Result<Self, AmountError> {
        let amount_minor = self.computed(currency)?;
        Ok(Self { amount_minor, ..self })
    }

    fn computed(&self, currency: Currency) -> Result<i64, AmountError> {
        match &self.inputs {
            LineInputs::Price { model, charged_events, max } => {
                let rating = rate(model, &self.rated(&self.quantity, charged_events.as_ref()));
                self.capped(self.model_amount(&rating, currency)?.round_half_up()?, *max)
            }
            LineInputs::Credit { creditable_minor, .. } => Ok(-self.list_minor(currency)?.min(*creditable_minor)),
            LineInputs::Minimum { min_amount_minor: minimum, billed_minor }
            | LineInputs::Commitment { minimum_commitment_minor: minimum, billed_minor } => {
                let least = self.limit(*minimum)?.round_half_up()?;
                least.checked_sub(*billed_minor).ok_or(AmountError::Overflow)
            }
            LineInputs::Adjustment { billed_minor, .. } => {
                self.period_minor(currency)?.checked_sub(*billed_minor).ok_or(AmountError::Overflow)
            }
            LineInputs::Shortfall { minimum_minor, counted_minor, billed_minor } => {
                let missing = self.missing_minor(*minimum_minor, *counted_minor)?;
                missing.checked_sub(*billed_minor).ok_or(AmountError::Overflow)
            }
            LineInputs::OneOff { unit_amount } => self.one_off_amount(*unit_amount, currency).round_half_up(),
        }
    }

    /// What a one-off line comes to before rounding, in minor units.
    pub(crate) fn one_off_amount(&self, unit_amount: Decimal, currency: Currency) -> Exact {
        (self.quantity.clone() * Exact::from(unit_amount)).in_minor(currency.exponent())
    }

    /// What the unused days cost by the list, in minor units.
    pub(crate) fn list_minor(&self, currency: Currency) -> Result<i64, AmountError> {
        let LineInputs::Credit { model, min_amount_minor, max_amount_minor, .. } = &self.inputs else { return Ok(0) };
        let rating = rate(model, &Rated::quantity(self.quantity.clone()));
        let mut amount = self.model_amount(&rating, currency)?.round_half_up()?;
        if let Some(most) = max_amount_minor {
            amount = amount.min(self.limit(*most)?.round_half_up()?);
        }
        if let Some(least) = min_amount_minor {
            amount = amount.max(self.limit(*least)?.round_half_up()?);
        }
        Ok(amount)
    }

    /// What an adjusted period comes to when it is rated again, in minor units.
    pub(crate) fn period_minor(&self, currency: Currency) -> Result<i64, AmountError> {
        let LineInputs::Adjustment { model, quantity, charged_events, max, min_amount_minor, .. } = &self.inputs else {
            return Ok(0);
        };
        let rating = rate(model, &self.rated(quantity, charged_events.as_ref()));
        let amount = self.capped(rating.amount.in_minor(currency.exponent()).round_half_up()?, *max)?;
        match min_amount_minor {
            Some(least) => Ok(amount.max(self.limit(*least)?.round_half_up()?)),
            None => Ok(amount),
        }
    }

    /// What lines lack to a minimum per period, in minor units.
    pub(crate) fn missing_minor(&self, minimum_minor: i64, counted_minor: i64) -> Result<i64, AmountError> {
        let least = self.limit(minimum_minor)?.round_half_up()?;
        Ok(least.checked_sub(counted_minor).ok_or(AmountError::Overflow)?.max(0))
    }

    fn rated(&self, quantity: &Exact, charged_events: Option<&ChargedEvents>) -> Rated {
        Rated { quantity: quantity.clone(), charged_events: charged_events.cloned() }
    }

    fn capped(&self, amount_minor: i64, max: Option<Limit>) -> Result<i64, AmountError> {
        let Some(Limit { max_amount_minor, used_minor }) = max else { return Ok(amount_minor) };
        let most = self.limit(max_amount_minor)?.round_half_up()?;
        Ok(amount_minor.min(most.saturating_sub(used_minor).max(0)))
    }

    /// The model's amount before rounding and maximum, in minor units.
    pub(crate) fn model_amount(&self, rating: &Rating, currency: Currency) -> Result<Exact, AmountError> {
        let amount = rating.amount.clone().in_minor(currency.exponent());
        match self.amount_proration() {
            Some(part) => Ok(amount * part.ratio()?),
            None => Ok(amount),
        }
    }

    /// A limit per period, in proportion, in minor units.
    pub(crate) fn limit(&self, minor: i64) -> Result<Exact, AmountError> {
        match self.proration {
            Some(part) => Ok(Exact::from(minor) * part.ratio()?),
            None => Ok(Exact::from(minor)),
        }
    }

    /// What the model's amount is in proportion to: usage is counted, so it is what it is.
    pub(crate) fn amount_proration(&self) -> Option<Proration> {
        self.proration.filter(|_| self.kind != LineKind::Usage && self.kind != LineKind::Adjustment)
    }
}
