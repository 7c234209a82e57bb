//! Explains lines: how every cent came to be, as text rendered from the frozen inputs when it is read.

use crate::{AmountError, Currency, Exact, LineInputs, LineItem, Money, PriceModel, Step, rating::rate};

impl LineItem {
    /// The computation of its amount: "1 x 20.00 x 15/30 = 10.00".
    ///
    /// # Errors
    /// `Overflow` when the amount cannot be computed exactly; an issued line's can.
    pub fn explain(&self, currency: Currency) -> Result<String, AmountError> {
        match &self.inputs {
            LineInputs::Price { model, max_amount_minor } => {
                let amount = self.model_amount(model, currency)?;
                let formula = format!("{}{}", self.model_formula(model)?, result(&amount, currency)?);
                match max_amount_minor {
                    Some(most) if amount.round_half_up()? > self.amount_minor => {
                        Ok(format!("{formula}; at most {}", self.limit_formula(*most, currency)?))
                    }
                    _ => Ok(formula),
                }
            }
            LineInputs::Minimum { min_amount_minor, billed_minor } => {
                let least = self.limit_formula(*min_amount_minor, currency)?;
                let [billed, rest] =
                    [*billed_minor, self.amount_minor].map(|minor| Money::new(minor, currency).major());
                Ok(format!("at least {least}; less {billed} = {rest}"))
            }
        }
    }

    fn model_formula(&self, model: &PriceModel) -> Result<String, AmountError> {
        let steps = rate(model, self.quantity).steps;
        let sum = steps.iter().map(Step::to_string).collect::<Vec<_>>().join(" + ");
        Ok(match self.amount_proration() {
            None => sum,
            Some(part) if steps.len() == 1 => format!("{sum} x {part}"),
            Some(part) => format!("({sum}) x {part}"),
        })
    }

    fn limit_formula(&self, minor: i64, currency: Currency) -> Result<String, AmountError> {
        let limit = Money::new(minor, currency).major();
        let Some(part) = self.proration else { return Ok(limit.to_string()) };
        Ok(format!("{limit} x {part}{}", result(&self.limit(minor)?, currency)?))
    }
}

/// " = 10.00", or ", rounded to 10.00" where something was rounded away.
fn result(exact: &Exact, currency: Currency) -> Result<String, AmountError> {
    let rounded = Money::new(exact.round_half_up()?, currency).major();
    Ok(if exact.is_whole() { format!(" = {rounded}") } else { format!(", rounded to {rounded}") })
}
