//! The road of a payment through the gateway: commit its attempt with the idempotency key, then resume it.
//!
//! A call to the gateway cannot be part of a transaction. So the key is bound to the attempt in the transaction that stores
//! it, and the answer is made of what has become of the attempt: whoever repeats the request resumes or reads the same one.
//!
//! **Invariant:** a key pays once, for ever: it is kept without end, and never opens a second attempt.

use std::{panic::resume_unwind, sync::Arc};

use axum::response::{IntoResponse, Response};
use billing::{Change, PaymentAnswer, TenantTime, Wanted, open_payment, resume_payment};
use store::{Charged, PaymentAttempt, StoreError};
use tracing::Instrument;

use crate::{
    access::Action,
    http::{json::BodyHash, problem::Problem},
    state::{Gateway, GatewayState},
    write::Writer,
};

/// How often an attempt is opened again after a concurrent change came first.
const TRIES: u32 = 8;

/// Pays for whoever writes; `show` makes the answer of what came of it.
///
/// # Errors
/// Those of [`open_payment`] and of the key; whatever `show` makes of a payment that has not succeeded.
pub(crate) async fn pay<A: Action>(
    gateway: &GatewayState,
    writer: Writer<A>,
    (body_hash, wanted): (BodyHash, Wanted),
    show: fn(PaymentAnswer, bool) -> Result<Response, Problem>,
) -> Result<Response, Problem> {
    let gateway = Arc::clone(gateway);
    // A task of its own: a client that goes away does not leave its payment half made.
    let task = async move { answer(&gateway, writer, (body_hash, wanted), show).await };
    match tokio::spawn(task.in_current_span()).await {
        Ok(answer) => answer,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Err(Problem::unavailable("shutting_down", "the service is shutting down")),
        },
    }
}

async fn answer<A: Action>(
    gateway: &Gateway,
    writer: Writer<A>,
    (body_hash, wanted): (BodyHash, Wanted),
    show: fn(PaymentAnswer, bool) -> Result<Response, Problem>,
) -> Result<Response, Problem> {
    let livemode = crate::read::livemode(gateway, writer.tenant()).await?;
    let claim = writer.claim_charge(gateway, body_hash).await?;
    let attempt = match claim.as_ref().and_then(|claim| claim.charge.clone()) {
        Some(attempt) => attempt,
        None => match open(gateway, &writer, (claim.as_ref(), &wanted)).await {
            Ok(attempt) => attempt.id,
            Err(problem) => {
                if let Some(claim) = &claim {
                    gateway.app.billing.store.release_idempotency_key(claim).await?;
                }
                return Err(problem);
            }
        },
    };
    let billing = gateway.app.billing.caused_by(Some(writer.request_id()));
    let answered = resume_payment(&billing, (writer.tenant(), &attempt), gateway.app.clock.now()).await;
    if let Some(claim) = &claim {
        billing.store.charge_answered(&Charged { key: &claim.id, tenant: writer.tenant() }).await?;
    }
    show(answered?, livemode).map(IntoResponse::into_response)
}

/// Opens the attempt, bound to the key.
async fn open<A: Action>(
    gateway: &Gateway,
    writer: &Writer<A>,
    (claim, wanted): (Option<&store::IdempotencyKey>, &Wanted),
) -> Result<PaymentAttempt, Problem> {
    let billing = gateway.app.billing.caused_by(Some(writer.request_id()));
    let actor = writer.actor();
    let mut tries = 0;
    loop {
        tries += 1;
        let time = TenantTime::read(&billing.store, writer.tenant(), gateway.app.clock.now()).await?;
        let Change { result, mut unit, follow_up } = open_payment(&billing.store, &actor, &time, wanted).await?;
        if let Some(claim) = claim {
            unit.replace(&mut claim.clone().bound_to(&result.id))?;
        }
        match billing.commit(Change { result, unit, follow_up }).await {
            Err(billing::BillingError::Store(StoreError::Conflict(_) | StoreError::Duplicate(_))) if tries < TRIES => {}
            outcome => return Ok(outcome?),
        }
    }
}
