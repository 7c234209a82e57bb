//! `/v1/refunds`: money on its way back, never more than was taken.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;

use crate::auth::SecretKey;
use crate::errors::ApiError;
use crate::execution::{Executed, charge_refunded, event};
use crate::form::Fields;
use crate::gateway::{Books, Gateway};
use crate::objects::{IntentStatus, Metadata, Object, PaymentIntent, Refund, RefundStatus, new_id};
use crate::payment_intents::parse_amount;
use crate::requests::{Post, page, selection};
use crate::tokens::{Behaves, behaviour_of};

/// The reasons that Stripe knows.
const REASONS: [&str; 3] = ["duplicate", "fraudulent", "requested_by_customer"];

pub(crate) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/v1/refunds", post(create).get(list)).route("/v1/refunds/{id}", get(read))
}

/// A refund that was understood.
struct Wanted {
    intent: String,
    /// All that is left, if none.
    amount: Option<i64>,
    reason: Option<String>,
    metadata: Metadata,
}

async fn create(post: Post) -> Result<Response, ApiError> {
    post.run(|fields, _| {
        let wanted = parse(fields)?;
        Ok(move |books: &mut Books, now: Timestamp| wanted.execute(books, now))
    })
    .await
}

fn parse(fields: &mut Fields) -> Result<Wanted, ApiError> {
    let intent = fields.required("payment_intent")?;
    let reason = fields.optional("reason");
    if let Some(unknown) = reason.as_deref().filter(|reason| !REASONS.contains(reason)) {
        let message = format!("Invalid reason: must be one of {}, not {unknown}", REASONS.join(", "));
        return Err(ApiError::parameter("parameter_invalid", "reason", message));
    }
    let amount = if fields.has("amount") { Some(parse_amount(fields)?) } else { None };
    Ok(Wanted { intent, amount, reason, metadata: fields.metadata()? })
}

impl Wanted {
    fn execute(self, books: &mut Books, now: Timestamp) -> Result<Executed, ApiError> {
        let found = books.ledger.intents.get(&self.intent).cloned();
        let intent = found.ok_or_else(|| ApiError::missing("payment_intent", &self.intent, "payment_intent"))?;
        let left = intent.amount_received - books.ledger.refunded(&intent.id);
        if intent.status != IntentStatus::Succeeded || left == 0 {
            let message = "This PaymentIntent has no charge that is left to be refunded.";
            return Err(ApiError::state("charge_already_refunded", message));
        }
        let amount = self.amount.unwrap_or(left);
        if amount > left {
            let message = format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})");
            return Err(ApiError::parameter("amount_too_large", "amount", message));
        }
        let status = status_by_token(books, &intent);
        let refund = Refund {
            id: new_id("re_"),
            object: "refund".to_owned(),
            amount,
            currency: intent.currency.clone(),
            payment_intent: intent.id.clone(),
            charge: intent.latest_charge.clone(),
            failure_reason: (status == RefundStatus::Failed).then(|| "lost_or_stolen_card".to_owned()),
            status,
            reason: self.reason,
            metadata: self.metadata,
            created: now.as_second(),
        };
        answered(&intent, books.ledger.refunded(&intent.id), refund, now)
    }
}

/// A new refund with what happens by it.
fn answered(
    intent: &PaymentIntent,
    refunded_before: i64,
    refund: Refund,
    now: Timestamp,
) -> Result<Executed, ApiError> {
    let mut executed = Executed::answered(&refund)?.event(event("refund.created", &refund, now)?);
    executed = match refund.status {
        RefundStatus::Failed => executed.event(event("refund.failed", &refund, now)?),
        RefundStatus::Pending | RefundStatus::Succeeded => {
            executed.event(charge_refunded(intent, refunded_before + refund.amount, now)?)
        }
    };
    Ok(executed.change(Object::Refund(refund)))
}

fn status_by_token(books: &Books, intent: &PaymentIntent) -> RefundStatus {
    let token = intent.payment_method.as_deref().map(|method| books.ledger.token_of(method));
    match token.and_then(behaviour_of) {
        Some(Behaves::RefundFails) => RefundStatus::Failed,
        Some(Behaves::RefundPends) => RefundStatus::Pending,
        _ => RefundStatus::Succeeded,
    }
}

/// A pending refund ends, by an admin call.
pub(crate) fn settled(books: &mut Books, id: &str, succeeds: bool, now: Timestamp) -> Result<Executed, ApiError> {
    let found = books.ledger.refunds.get(id).cloned();
    let refund = found.ok_or_else(|| ApiError::missing("refund", id, "id"))?;
    if refund.status != RefundStatus::Pending {
        return Err(ApiError::state("refund_unexpected_state", "The refund is settled already."));
    }
    let (status, failure_reason, kind) = if succeeds {
        (RefundStatus::Succeeded, None, "refund.updated")
    } else {
        (RefundStatus::Failed, Some("lost_or_stolen_card".to_owned()), "refund.failed")
    };
    let refund = Refund { status, failure_reason, ..refund };
    let happened = event(kind, &refund, now)?;
    Ok(Executed::answered(&refund)?.change(Object::Refund(refund)).event(happened))
}

async fn read(State(gateway): State<Arc<Gateway>>, _: SecretKey, Path(id): Path<String>) -> Result<Response, ApiError> {
    gateway.behaviour.admit()?;
    let found = gateway.books().ledger.refunds.get(&id).cloned();
    Ok(axum::Json(found.ok_or_else(|| ApiError::missing("refund", &id, "id"))?).into_response())
}

async fn list(State(gateway): State<Arc<Gateway>>, _: SecretKey, fields: Fields) -> Result<Response, ApiError> {
    gateway.behaviour.admit()?;
    let selection = selection(fields, Some("payment_intent"))?;
    page("/v1/refunds", gateway.books().ledger.refunds.newest_first(&selection))
}
