//! `/v1/payment_intents`: charge off session and at once, read, list.
//! Owns the reading of parameters and the effect of a token; idempotency is `gateway`'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::auth::SecretKey;
use crate::errors::{ApiError, ErrorBody};
use crate::form::Fields;
use crate::gateway::{Books, Executed, Execution, Gateway, stored, stored_error};
use crate::ledger::{IntentStatus, Page, PaymentFailure, PaymentIntent, Selection};
use crate::tokens::{Behaves, Decline, behaviour_of};

/// Stripe takes amounts of up to eight digits.
const MAX_AMOUNT_MINOR: i64 = 99_999_999;
/// Stripe takes keys of up to 255 characters.
const MAX_KEY_CHARS: usize = 255;
/// Stripe's page sizes.
const DEFAULT_LIMIT: i64 = 10;
const MAX_LIMIT: i64 = 100;
/// Ids are the client's own here; longer ones are a mistake.
const MAX_CUSTOMER_CHARS: usize = 255;
/// Stripe's limit on descriptions.
const MAX_DESCRIPTION_CHARS: usize = 1000;

/// A list as Stripe shows it.
#[derive(Serialize)]
pub(crate) struct List {
    object: &'static str,
    url: &'static str,
    has_more: bool,
    data: Vec<PaymentIntent>,
}

impl List {
    pub(crate) fn new(url: &'static str, page: Page) -> Self {
        Self { object: "list", url, has_more: page.has_more, data: page.data }
    }
}

pub(crate) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/v1/payment_intents", post(create).get(list)).route("/v1/payment_intents/{id}", get(read))
}

/// A charge that was understood.
#[derive(Debug)]
struct Charge {
    amount: i64,
    currency: String,
    customer: String,
    token: String,
    behaves: Behaves,
    description: Option<String>,
    metadata: BTreeMap<String, String>,
}

async fn create(
    State(gateway): State<Arc<Gateway>>,
    _: SecretKey,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, ApiError> {
    gateway.behaviour.admit()?;
    let execution = Execution { key: idempotency_key(&headers)?, fingerprint: fields.fingerprint() };
    let charge = Charge::parse(fields)?;
    let key = execution.key.clone();
    let execute = move |books: &mut Books, now: Timestamp| charge.execute(books, key.as_deref(), now);
    Ok(gateway.once(execution, execute).await)
}

async fn read(State(gateway): State<Arc<Gateway>>, _: SecretKey, Path(id): Path<String>) -> Result<Response, ApiError> {
    gateway.behaviour.admit()?;
    let found = gateway.books().ledger.get(&id).cloned();
    let intent = found.ok_or_else(|| ApiError::no_such_payment_intent(&id))?;
    Ok(Json(intent).into_response())
}

async fn list(State(gateway): State<Arc<Gateway>>, _: SecretKey, mut fields: Fields) -> Result<Response, ApiError> {
    gateway.behaviour.admit()?;
    let selection = Selection {
        customer: fields.optional("customer"),
        created_gte: fields.integer("created[gte]")?,
        starting_after: fields.optional("starting_after"),
        limit: limit(&mut fields, DEFAULT_LIMIT, MAX_LIMIT)?,
    };
    fields.finish()?;
    let found = gateway.books().ledger.newest_first(&selection);
    let page = found.map_err(|id| ApiError::no_such_payment_intent(&id))?;
    Ok(Json(List::new("/v1/payment_intents", page)).into_response())
}

/// Takes the page size.
pub(crate) fn limit(fields: &mut Fields, default: i64, max: i64) -> Result<usize, ApiError> {
    let limit = fields.integer("limit")?.unwrap_or(default);
    match usize::try_from(limit) {
        Ok(size) if (1..=max).contains(&limit) => Ok(size),
        _ => {
            let message = format!("The limit must be between 1 and {max}.");
            Err(ApiError::parameter("parameter_invalid_integer", "limit", message))
        }
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= MAX_KEY_CHARS => Ok(Some(key.to_owned())),
        _ => Err(ApiError::malformed(format!("An idempotency key has 1 to {MAX_KEY_CHARS} visible characters."))),
    }
}

impl Charge {
    fn parse(mut fields: Fields) -> Result<Self, ApiError> {
        let amount = parse_amount(&mut fields)?;
        let currency = fields.required("currency")?;
        if currency.len() != 3 || !currency.bytes().all(|c| c.is_ascii_lowercase()) {
            let message = format!("Invalid currency: {currency}.");
            return Err(ApiError::parameter("parameter_invalid", "currency", message));
        }
        let customer = within(fields.required("customer")?, "customer", MAX_CUSTOMER_CHARS)?;
        let token = fields.required("payment_method")?;
        let Some(behaves) = behaviour_of(&token) else {
            let message = format!("No such PaymentMethod: '{token}'");
            return Err(ApiError::parameter("resource_missing", "payment_method", message));
        };
        let description = match fields.optional("description") {
            None => None,
            Some(text) => Some(within(text, "description", MAX_DESCRIPTION_CHARS)?),
        };
        fields.exactly("confirm", "true")?;
        fields.exactly("off_session", "true")?;
        fields.exactly("payment_method_types[]", "card")?;
        let metadata = fields.metadata()?;
        fields.finish()?;
        Ok(Self { amount, currency, customer, token, behaves, description, metadata })
    }

    fn execute(self, books: &mut Books, key: Option<&str>, now: Timestamp) -> Result<Executed, ApiError> {
        match self.behaves {
            Behaves::Declines(decline) => self.declined(decline, now),
            Behaves::FailsOnce if key.is_some_and(|key| books.fails_this_time(key)) => {
                Err(ApiError::internal(StatusCode::INTERNAL_SERVER_ERROR))
            }
            Behaves::Succeeds | Behaves::FailsOnce => {
                let intent = self.succeeded(now);
                let answer = stored(StatusCode::OK, &intent)?;
                Ok(Executed { intent, answer })
            }
            Behaves::FailsAfterCharging => {
                let intent = self.succeeded(now);
                let failure = ApiError::internal(StatusCode::INTERNAL_SERVER_ERROR);
                let answer = stored_error(&failure)?;
                Ok(Executed { intent, answer })
            }
        }
    }

    fn succeeded(self, now: Timestamp) -> PaymentIntent {
        PaymentIntent {
            amount_received: self.amount,
            status: IntentStatus::Succeeded,
            latest_charge: Some(new_id("ch_")),
            payment_method: Some(self.token.clone()),
            last_payment_error: None,
            ..self.intent(now)
        }
    }

    fn declined(self, decline: Decline, now: Timestamp) -> Result<Executed, ApiError> {
        let kind = "card_error";
        let intent = PaymentIntent {
            last_payment_error: Some(PaymentFailure {
                kind: kind.to_owned(),
                code: decline.code.to_owned(),
                decline_code: decline.decline_code.to_owned(),
                message: decline.message.to_owned(),
            }),
            ..self.intent(now)
        };
        let error = ApiError {
            status: StatusCode::PAYMENT_REQUIRED,
            body: Box::new(ErrorBody {
                kind,
                code: Some(decline.code),
                decline_code: Some(decline.decline_code),
                message: decline.message.to_owned(),
                param: None,
                payment_intent: Some(intent.clone()),
            }),
        };
        let answer = stored_error(&error)?;
        Ok(Executed { intent, answer })
    }

    /// The intent before its outcome: nothing received, no method attached.
    fn intent(self, now: Timestamp) -> PaymentIntent {
        PaymentIntent {
            id: new_id("pi_"),
            object: "payment_intent".to_owned(),
            amount: self.amount,
            amount_received: 0,
            currency: self.currency,
            customer: self.customer,
            payment_method: None,
            status: IntentStatus::RequiresPaymentMethod,
            latest_charge: None,
            last_payment_error: None,
            description: self.description,
            metadata: self.metadata,
            created: now.as_second(),
            livemode: false,
        }
    }
}

fn parse_amount(fields: &mut Fields) -> Result<i64, ApiError> {
    match fields.integer("amount")? {
        Some(amount) if (1..=MAX_AMOUNT_MINOR).contains(&amount) => Ok(amount),
        Some(amount) if amount > MAX_AMOUNT_MINOR => {
            let message = format!("Amount must be no more than {MAX_AMOUNT_MINOR}.");
            Err(ApiError::parameter("amount_too_large", "amount", message))
        }
        Some(_) => {
            let message = "This value must be greater than or equal to 1.";
            Err(ApiError::parameter("parameter_invalid_integer", "amount", message))
        }
        None => {
            let message = "Missing required param: amount.";
            Err(ApiError::parameter("parameter_missing", "amount", message))
        }
    }
}

fn within(text: String, name: &str, max: usize) -> Result<String, ApiError> {
    if text.chars().count() <= max {
        return Ok(text);
    }
    let message = format!("Invalid string: it must have at most {max} characters.");
    Err(ApiError::parameter("parameter_invalid_string", name, message))
}

fn new_id(prefix: &str) -> String {
    format!("{prefix}{}", Uuid::new_v4().simple())
}
