//! `POST /v1/invoices/preview`: what the creation of a subscription would bill, for a customer or a prospect. Nothing comes of
//! it.

use std::collections::BTreeMap;

use axum::{extract::State, http::StatusCode, response::Response};
use billing::{BillingError, Change, NewSubscription, Prospect, preview_invoice as look_ahead};
use domain::{BillingCycle, Currency, TaxRateSpec, TaxRounding, Taxes, Zone};
use serde::Deserialize;
use store::UnitOfWork;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    super::{
        customers::TaxRate,
        fields::{self, Instant, Quantity},
    },
    bodies::{anchor_day, decimals},
    outlook::InvoicePreview,
};
use crate::{
    access::PreviewInvoice,
    http::{headers::ETag, json::StrictJson, openapi::WriteProblems, problem::Problem},
    problems::rule_of_spec,
    state::GatewayState,
    write::{Ground, Write, Writer},
};

/// A subscription that might be created, of a customer or of somebody who is none.
#[derive(Debug, Deserialize, ToSchema)]
struct PreviewRequest {
    /// Id of the customer; a prospect if left out.
    #[schema(example = "cus_0198f3")]
    customer: Option<String>,
    /// What a prospect pays in; the plan's if left out.
    #[schema(value_type = Option<String>, example = "usd")]
    currency: Option<Currency>,
    /// A prospect's IANA time zone; `UTC` if left out.
    #[schema(value_type = Option<String>, example = "Europe/Berlin")]
    timezone: Option<Zone>,
    /// A prospect's taxes, at most ten.
    #[schema(value_type = Option<Vec<TaxRate>>)]
    tax_rates: Option<Vec<TaxRateSpec>>,
    /// Where a prospect's tax is rounded: once per `invoice` (if left out), or per `line` and rate.
    #[schema(value_type = Option<String>, example = "invoice", pattern = "^(invoice|line)$")]
    tax_rounding: Option<TaxRounding>,
    /// Id or key of the plan.
    #[schema(example = "pro")]
    plan: String,
    /// `anniversary` of the start (if left out), or `calendar`.
    #[serde(default)]
    #[schema(value_type = String, required = false, example = "anniversary", pattern = "^(anniversary|calendar)$")]
    billing_cycle: BillingCycle,
    /// Day of the month that periods begin on.
    #[schema(minimum = 1, maximum = 31)]
    anchor_day: Option<i64>,
    /// Price key -> quantity, for each licensed price of the plan.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    quantities: BTreeMap<String, Quantity>,
    /// Days of trial; the plan's if left out.
    #[schema(minimum = 0, maximum = 3660)]
    trial_days: Option<u16>,
    /// Ids or keys of coupons, in the order they apply.
    #[serde(default)]
    #[schema(example = json!(["welcome"]))]
    coupons: Vec<String>,
    /// Now if left out.
    #[serde(default)]
    #[schema(value_type = Option<Timestamp>)]
    start_at: Option<Instant>,
    /// Never if left out.
    #[serde(default)]
    #[schema(value_type = Option<Timestamp>)]
    end_at: Option<Instant>,
}

impl PreviewRequest {
    fn parse(mut self) -> Result<Preview, Problem> {
        let prospect = self.prospect()?;
        let new = NewSubscription {
            customer: self.customer.unwrap_or_default(),
            plan: self.plan,
            billing_cycle: self.billing_cycle,
            anchor_day: self.anchor_day.map(anchor_day).transpose()?,
            trial_days: self.trial_days,
            coupons: self.coupons,
            quantities: decimals(self.quantities),
            start_at: self.start_at.map(|at| at.0),
            end_at: self.end_at.map(|at| at.0),
            ..NewSubscription::default()
        };
        Ok(Preview { prospect, new })
    }

    /// None where there is a customer, who has these fields already.
    fn prospect(&mut self) -> Result<Option<Prospect>, Problem> {
        if self.customer.is_none() {
            let rates = self.tax_rates.take().unwrap_or_default();
            let rates = domain::tax_rates("tax_rates", rates).map_err(|error| rule_of_spec("", &error))?;
            let taxes = Taxes { rates, rounding: self.tax_rounding.unwrap_or_default() };
            let timezone = self.timezone.take().unwrap_or_default();
            return Ok(Some(Prospect { currency: self.currency, timezone, taxes }));
        }
        let given = [
            ("/currency", self.currency.is_some()),
            ("/timezone", self.timezone.is_some()),
            ("/tax_rates", self.tax_rates.is_some()),
            ("/tax_rounding", self.tax_rounding.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((pointer, _)) => Err(fields::refused(pointer, "invalid_value", "is the customer's if there is one")),
            None => Ok(None),
        }
    }
}

struct Preview {
    prospect: Option<Prospect>,
    new: NewSubscription,
}

impl Write for Preview {
    type Made = InvoicePreview;
    type Shown = InvoicePreview;
    const STATUS: StatusCode = StatusCode::OK;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        let place = (ground.actor.tenant.as_str(), &ground.time);
        let upcoming = look_ahead(&ground.store, place, self.prospect.clone(), &self.new).await?;
        let result = InvoicePreview::of(upcoming, false).map_err(|error| BillingError::Rule {
            code: "not_billable",
            pointer: "",
            detail: error.to_string(),
        })?;
        Ok(Change { result, unit: UnitOfWork::default(), follow_up: Vec::new() })
    }

    fn etag(_: &Self::Made) -> Option<ETag> {
        None
    }

    fn show(made: Self::Made, livemode: bool) -> InvoicePreview {
        made.in_mode(livemode)
    }
}

/// The route of the preview.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(preview_invoice))
}

/// Previews what the creation of a subscription would bill at its start. Nothing is created.
#[utoipa::path(post, path = "/v1/invoices/preview", tag = "invoices", request_body = PreviewRequest,
    responses((status = 200, body = InvoicePreview), WriteProblems))]
async fn preview_invoice(
    State(gateway): State<GatewayState>,
    writer: Writer<PreviewInvoice>,
    body: StrictJson<PreviewRequest>,
) -> Result<Response, Problem> {
    let preview = body.value.parse()?;
    writer.run(&gateway, (body.body_hash, preview)).await
}
