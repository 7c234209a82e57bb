//! A scenario: who is billed, at which prices, and what happens when.
//!
//! Owns the reading of the whole document and the rules between its parts: keys are unique and name something. What a plan, a
//! meter, a coupon or a tax rate must be is the domain's.

use domain::{Coupon, Currency, InvoiceContent, Meter, Plan, TaxRate, TaxRounding, Zone, grace_end};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    SimulationError,
    catalog::Catalog,
    document::{decode, read},
    instant,
    references::check_references,
    timeline::{Entry, entries},
};

/// Longest scenario: a hundred thousand events fit, and it is read at once.
pub const MAX_SCENARIO_BYTES: usize = 5 * 1024 * 1024;

/// Entries of a timeline: some minutes of usage or some decades of changes; the rest is for the API.
const MAX_ENTRIES: usize = 100_000;

/// Tax rates of a customer, on the same base: no country has more.
const MAX_TAX_RATES: usize = 10;

/// Longest time in which invoices stay drafts: a quarter.
const MAX_GRACE_DAYS: u16 = 90;

/// Longest story, in days, from its first entry to its end: a hundred years.
const MAX_SPAN_DAYS: i64 = 36_525;

/// Who is billed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Customer {
    pub(crate) currency: Currency,
    #[serde(default)]
    pub(crate) timezone: Zone,
    #[serde(default)]
    pub(crate) tax_rates: Vec<TaxRate>,
    #[serde(default)]
    pub(crate) tax_rounding: TaxRounding,
    /// Days in which a periodic invoice stays a draft.
    #[serde(default)]
    pub(crate) invoice_grace_days: u16,
}

impl Customer {
    /// Until when an invoice is a draft, if it is one.
    pub(crate) fn grace_end(&self, content: &InvoiceContent) -> Option<Timestamp> {
        grace_end(content, self.invoice_grace_days, &self.timezone)
    }
}

/// The parts of the document, each still to be read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    customer: Value,
    #[serde(default)]
    meters: Vec<Value>,
    #[serde(default)]
    coupons: Vec<Value>,
    #[serde(default)]
    plans: Vec<Value>,
    #[serde(default)]
    timeline: Vec<Value>,
    #[serde(with = "instant")]
    until: Timestamp,
}

/// A story that can be simulated.
#[derive(Debug)]
pub struct Scenario {
    pub(crate) customer: Customer,
    pub(crate) meters: Catalog<Meter>,
    pub(crate) coupons: Catalog<Coupon>,
    pub(crate) plans: Catalog<Plan>,
    /// In the order in which it is processed.
    pub(crate) timeline: Vec<Entry>,
    /// The last instant that is simulated.
    pub(crate) until: Timestamp,
}

impl Scenario {
    /// Reads a scenario, at most [`MAX_SCENARIO_BYTES`] of JSON.
    ///
    /// # Errors
    /// The first thing that is wrong with it, and where.
    pub fn parse(json: &[u8]) -> Result<Self, SimulationError> {
        if json.len() > MAX_SCENARIO_BYTES {
            return Err(SimulationError::whole(format!("must be at most {MAX_SCENARIO_BYTES} bytes long")));
        }
        let value = read(json)?;
        if !value.is_object() {
            return Err(SimulationError::whole("must be an object"));
        }
        let document: Document = decode(&value, "")?;
        let customer = customer(&document.customer)?;
        let meters = Catalog::read("meters", &document.meters, Meter::key)?;
        let coupons = Catalog::read("coupons", &document.coupons, Coupon::key)?;
        let plans = Catalog::read("plans", &document.plans, Plan::key)?;
        if document.timeline.len() > MAX_ENTRIES {
            return Err(SimulationError::new("timeline", format!("must be at most {MAX_ENTRIES} entries")));
        }
        let timeline = entries(document.timeline)?;
        let scenario = Self { customer, meters, coupons, plans, timeline, until: document.until };
        scenario.check_span()?;
        check_references(&scenario)?;
        Ok(scenario)
    }

    fn check_span(&self) -> Result<(), SimulationError> {
        let Some(first) = self.timeline.first() else { return Ok(()) };
        let days = self.until.duration_since(first.time).as_hours() / 24;
        if days > MAX_SPAN_DAYS {
            return Err(SimulationError::new("until", "must be within a hundred years of the first entry"));
        }
        Ok(())
    }
}

fn customer(value: &Value) -> Result<Customer, SimulationError> {
    let customer: Customer = decode(value, "customer")?;
    if customer.tax_rates.len() > MAX_TAX_RATES {
        return Err(SimulationError::new("customer.tax_rates", format!("must be at most {MAX_TAX_RATES} rates")));
    }
    if customer.invoice_grace_days > MAX_GRACE_DAYS {
        let rule = format!("must be between 0 and {MAX_GRACE_DAYS}");
        return Err(SimulationError::new("customer.invoice_grace_days", rule));
    }
    Ok(customer)
}
