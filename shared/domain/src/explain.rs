//! Explains lines: how every cent came to be, as text rendered from the frozen inputs when it is read.

use crate::{AmountError, Currency, Exact, LineInputs, LineItem, Money, PriceModel, Rated, Rating, rating::rate};

impl LineItem {
    /// The computation of its amount: inputs, formula and rounding, as in "1 x 20.00 x 15/30 = 10.00".
    ///
    /// # Errors
    /// `Overflow` when the amount cannot be computed; an issued line's can.
    pub fn explain(&self, currency: Currency) -> Result<String, AmountError> {
        let major = |minor: i64| Money::new(minor, currency).major();
        match &self.inputs {
            LineInputs::Price { model, charged_events, max } => {
                let rated = Rated { quantity: self.quantity.clone(), charged_events: charged_events.clone() };
                let rating = rate(model, &rated);
                let exact = self.model_amount(&rating, currency)?;
                let formula = format!("{}{}", self.model_formula(&rating), result(&exact, currency)?);
                match max {
                    Some(max) if exact.round_half_up()? > self.amount_minor => {
                        let most = self.limit_formula(max.max_amount_minor, currency)?;
                        let used = if max.used_minor == 0 {
                            String::new()
                        } else {
                            format!(", of which {} are used", major(max.used_minor))
                        };
                        Ok(format!("{formula}; at most {most}{used}"))
                    }
                    _ => Ok(formula),
                }
            }
            LineInputs::Credit { model, creditable_minor, .. } => {
                self.credit_formula(model, *creditable_minor, currency)
            }
            LineInputs::Minimum { min_amount_minor: minimum, billed_minor }
            | LineInputs::Commitment { minimum_commitment_minor: minimum, billed_minor } => {
                let least = self.limit_formula(*minimum, currency)?;
                Ok(format!("at least {least}; less {} = {}", major(*billed_minor), major(self.amount_minor)))
            }
            LineInputs::Adjustment { model, quantity, charged_events, billed_minor, .. } => {
                let rated = Rated { quantity: quantity.clone(), charged_events: charged_events.clone() };
                let rating = rate(model, &rated);
                let exact = self.model_amount(&rating, currency)?;
                let mut text = format!("{}{} for the period", self.model_formula(&rating), result(&exact, currency)?);
                let period_minor = self.period_minor(currency)?;
                if exact.round_half_up()? != period_minor {
                    text.push_str(&format!(", within its limits {}", major(period_minor)));
                }
                let [billed, rest] = [*billed_minor, self.amount_minor].map(major);
                Ok(format!("{text}; less {billed} billed = {rest}"))
            }
            LineInputs::Shortfall { minimum_minor, counted_minor, billed_minor } => {
                let least = self.limit_formula(*minimum_minor, currency)?;
                let missing = major(self.missing_minor(*minimum_minor, *counted_minor)?);
                let [counted, billed, rest] = [*counted_minor, *billed_minor, self.amount_minor].map(major);
                Ok(format!("at least {least}; less {counted} = {missing} missing; less {billed} billed = {rest}"))
            }
            LineInputs::OneOff { unit_amount } => {
                let exact = self.one_off_amount(*unit_amount, currency);
                Ok(format!("{} x {unit_amount}{}", self.quantity, result(&exact, currency)?))
            }
        }
    }

    fn credit_formula(
        &self,
        model: &PriceModel,
        creditable_minor: i64,
        currency: Currency,
    ) -> Result<String, AmountError> {
        let rating = rate(model, &Rated::quantity(self.quantity.clone()));
        let list = self.list_minor(currency)?;
        let exact = self.model_amount(&rating, currency)?;
        let mut text = format!("unused: {}{}", self.model_formula(&rating), result(&exact, currency)?);
        let major = |minor: i64| Money::new(minor, currency).major();
        if exact.round_half_up()? != list {
            text.push_str(&format!("; within its limits {}", major(list)));
        }
        if list > creditable_minor {
            text.push_str(&format!("; of it {} were billed and not credited yet", major(creditable_minor)));
        }
        Ok(text)
    }

    fn model_formula(&self, rating: &Rating) -> String {
        let sum = rating.steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(" + ");
        match self.amount_proration() {
            None => sum,
            Some(part) if rating.steps.len() == 1 => format!("{sum} x {part}"),
            Some(part) => format!("({sum}) x {part}"),
        }
    }

    fn limit_formula(&self, minor: i64, currency: Currency) -> Result<String, AmountError> {
        let limit = Money::new(minor, currency).major();
        let Some(part) = self.proration else { return Ok(limit.to_string()) };
        Ok(format!("{limit} x {part}{}", result(&self.limit(minor)?, currency)?))
    }
}

/// " = 10.00", or " = 10.004, rounded to 10.00" where something was rounded away.
fn result(exact_minor: &Exact, currency: Currency) -> Result<String, AmountError> {
    let rounded = Money::new(exact_minor.round_half_up()?, currency).major();
    if exact_minor.is_whole() {
        return Ok(format!(" = {rounded}"));
    }
    let major = exact_minor.divided_by(&Exact::from(1).in_minor(currency.exponent()))?;
    Ok(format!(" = {}, rounded to {rounded}", major.leading_digits()))
}
