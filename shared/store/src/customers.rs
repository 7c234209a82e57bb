//! Customers: who is billed.

use std::collections::BTreeMap;

use domain::{Currency, Locale, TaxRate, TaxRounding, Taxes, Zone};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{instant, record::record};

/// Somebody a tenant bills.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Customer {
    /// `cus_...`
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub name: String,
    pub email: String,
    /// Where it is at home, for its invoices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    pub currency: Currency,
    pub timezone: Zone,
    /// How its mails write dates and amounts.
    #[serde(default)]
    pub locale: Locale,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tax_rates: Vec<TaxRate>,
    #[serde(default)]
    pub tax_rounding: TaxRounding,
    /// The gateway's token for the customer's payment method; without one nothing is collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
    /// Above zero in the customer's favour; changed only together with a balance entry.
    #[serde(default)]
    pub balance_minor: i64,
    /// Days for which periodic invoices stay drafts; none if zero.
    #[serde(default)]
    pub invoice_grace_days: u16,
    pub metadata: BTreeMap<String, String>,
    /// When it was deleted: nothing names a person any more, and nothing new is done with it.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// A postal address; every part may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line1: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// ISO 3166-1, two upper-case letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

record!(Customer, "customers", revised);

impl Customer {
    /// How its invoices are taxed.
    #[must_use]
    pub fn taxes(&self) -> Taxes {
        Taxes { rates: self.tax_rates.clone(), rounding: self.tax_rounding }
    }
}
