//! One-off lines: what is billed by itself, outside any subscription.
//!
//! [`OneOffLineSpec`] is the body that clients write; a [`OneOffLine`] is one whose rules hold. **Invariant:** it is never
//! below zero: money goes back by a credit note.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    AmountError, BillingPeriod, Currency, LineInputs, LineItem, LineKind, SpecError, TaxRate, TaxRateSpec, decimal,
    plan::title,
    spec::{check_key, check_name},
    tax::tax_rates,
};

/// The body of a one-off line, as clients write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneOffLineSpec {
    /// What is sold; stands on the line in place of a price's key, so wallets may be limited to it.
    pub key: String,
    /// Shown on the invoice; the key if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Units, not below zero.
    #[serde(default = "one", with = "decimal")]
    pub quantity: Decimal,
    /// Price of one, in major units, not below zero.
    #[serde(with = "decimal")]
    pub unit_amount: Decimal,
    /// In place of the customer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_rates: Option<Vec<TaxRateSpec>>,
}

fn one() -> Decimal {
    Decimal::ONE
}

/// A one-off line whose rules hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOffLine {
    key: String,
    description: String,
    quantity: Decimal,
    unit_amount: Decimal,
    tax_rates: Option<Vec<TaxRate>>,
}

impl TryFrom<OneOffLineSpec> for OneOffLine {
    type Error = SpecError;

    fn try_from(spec: OneOffLineSpec) -> Result<Self, SpecError> {
        check_key("key", &spec.key)?;
        check_name("description", spec.description.as_deref())?;
        for (path, number) in [("quantity", spec.quantity), ("unit_amount", spec.unit_amount)] {
            if number < Decimal::ZERO {
                return Err(SpecError::new(path, "must not be negative"));
            }
        }
        let OneOffLineSpec { key, description, quantity, unit_amount, tax_rates: rates } = spec;
        let description = description.unwrap_or_else(|| title(&key));
        let tax_rates = rates.map(|rates| tax_rates("tax_rates", rates)).transpose()?;
        Ok(Self { key, description, quantity, unit_amount, tax_rates })
    }
}

impl OneOffLine {
    /// The line of an invoice: the quantity at its price, rounded once. The period is the day of the invoice, in the
    /// customer's zone.
    ///
    /// # Errors
    /// `Overflow` beyond 64 bits of minor units.
    pub fn line(&self, period: BillingPeriod, currency: Currency) -> Result<LineItem, AmountError> {
        let line = LineItem {
            price: Some(self.key.clone()),
            kind: LineKind::OneOff,
            description: self.description.clone(),
            period,
            quantity: self.quantity.into(),
            group: None,
            proration: None,
            amount_minor: 0,
            discount_minor: 0,
            tax_minor: 0,
            tax_rates: self.tax_rates.clone(),
            inputs: LineInputs::OneOff { unit_amount: self.unit_amount },
        };
        line.priced(currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<OneOffLine, SpecError> {
        serde_json::from_str::<OneOffLineSpec>(body).unwrap().try_into()
    }

    fn line(body: &str, currency: &str) -> LineItem {
        let day = "2024-02-29".parse().unwrap();
        let period = BillingPeriod { start: day, end: day.tomorrow().unwrap() };
        parse(body).unwrap().line(period, currency.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_amount_is_rounded_once() {
        let amount = |body: &str, currency: &str| line(body, currency).amount_minor;
        assert_eq!(amount(r#"{ "key": "hours", "quantity": "2.5", "unit_amount": "33.33" }"#, "usd"), 8_333);
        assert_eq!(amount(r#"{ "key": "hours", "quantity": "3", "unit_amount": "0.005" }"#, "usd"), 2);
        assert_eq!(amount(r#"{ "key": "setup", "unit_amount": "1000.5" }"#, "jpy"), 1_001);
        assert_eq!(amount(r#"{ "key": "setup", "quantity": "0", "unit_amount": "5" }"#, "usd"), 0);
    }

    #[test]
    fn a_line_explains_itself_and_has_a_name() {
        let setup = line(r#"{ "key": "set_up", "unit_amount": "99.00", "tax_rates": [] }"#, "usd");
        assert_eq!(
            (setup.kind, setup.description.as_str(), setup.price.as_deref()),
            (LineKind::OneOff, "Set up", Some("set_up"))
        );
        assert_eq!(setup.explain("usd".parse().unwrap()).unwrap(), "1 x 99.00 = 99.00");
        assert_eq!(setup.tax_rates, Some(Vec::new()));
        let named = line(r#"{ "key": "set_up", "description": "Set-up fee", "unit_amount": "99.00" }"#, "usd");
        assert_eq!((named.description.as_str(), named.tax_rates), ("Set-up fee", None));
    }

    #[test]
    fn a_broken_rule_is_named_by_its_path() {
        let path = |body: &str| parse(body).unwrap_err().path;
        assert_eq!(path(r#"{ "key": "", "unit_amount": "1" }"#), "key");
        assert_eq!(path(r#"{ "key": "a", "description": "", "unit_amount": "1" }"#), "description");
        assert_eq!(path(r#"{ "key": "a", "unit_amount": "-0.01" }"#), "unit_amount");
        assert_eq!(path(r#"{ "key": "a", "quantity": "-1", "unit_amount": "1" }"#), "quantity");
        let taxed = r#"{ "key": "a", "unit_amount": "1", "tax_rates": [{ "name": "VAT", "percent": "101" }] }"#;
        assert_eq!(path(taxed), "tax_rates[0].percent");
    }
}
