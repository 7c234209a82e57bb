//! The one road of every write: claim the idempotency key, decide, commit the change with its reply.
//!
//! **Invariant:** the reply is stored in the transaction of its effect, so whoever repeats a request gets the answer of the
//! one that took effect, and fifty requests at once with one key have one effect. **Invariant:** a write that has begun is
//! carried to its end, also when its client goes away.

use std::{panic::resume_unwind, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts, Path},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use billing::{Actor, BillingError, Change, Target, TenantTime};
use serde::{Serialize, de::DeserializeOwned};
use store::{Claim, Store, StoreError, StoredReply};
use tracing::Instrument;

use crate::{
    access::{Action, Allowed},
    auth::caller::Caller,
    cached,
    http::{
        headers::{ETag, IDEMPOTENT_REPLAYED, IdempotencyKey, IfMatch},
        json::BodyHash,
        problem::Problem,
        query::{NoFilter, StrictQuery},
        request_id::RequestId,
    },
    read,
    state::{Gateway, GatewayState},
};

/// How often a write is decided again after a concurrent change came first.
const TRIES: u32 = 8;

/// Pause before the second try; it doubles with every further one, from about one transaction to many: those who are still
/// in the way are in other processes.
const FIRST_PAUSE: Duration = Duration::from_millis(4);

/// What a use case decides on.
pub(crate) struct Ground {
    pub store: Store,
    pub actor: Actor,
    pub time: TenantTime,
}

/// One kind of write: the use case that decides it, and how what it made is shown.
pub(crate) trait Write: Send + Sync + 'static {
    /// What the use case makes.
    type Made: Send;
    /// The body of the answer.
    type Shown: Serialize + Send;
    /// Status of the answer.
    const STATUS: StatusCode;

    /// Whether it changes what stands on the tenant's clock, and so has to wait while that is being advanced.
    const ON_CLOCK: bool = false;

    /// Decides anew; called again after a lost race.
    fn decide(&self, ground: &Ground) -> impl Future<Output = Result<Change<Self::Made>, BillingError>> + Send;

    /// The entity tag of what was made, if it is one object.
    fn etag(made: &Self::Made) -> Option<ETag>;

    /// What the client sees of it.
    fn show(made: Self::Made, livemode: bool) -> Self::Shown;

    /// What is kept of that for a repeat of the request: all but what is shown once.
    fn kept(shown: &Self::Shown) -> impl Serialize {
        shown
    }
}

/// Who does `A`, by which route, and under which idempotency key. Rejections: those of [`Allowed`], [`StrictQuery`] and
/// [`IdempotencyKey`].
pub(crate) struct Writer<A> {
    caller: Allowed<A>,
    request_id: RequestId,
    key: Option<IdempotencyKey>,
    /// Method, path and query.
    route: String,
}

impl<A: Action> FromRequestParts<GatewayState> for Writer<A> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &GatewayState) -> Result<Self, Problem> {
        let Asked(writer, NoFilter {}) = Asked::from_request_parts(parts, gateway).await?;
        Ok(writer)
    }
}

/// Who does `A` and writes, and what the query says besides. Rejections: those of [`Writer`].
pub(crate) struct Asked<A, Q>(pub Writer<A>, pub Q);

impl<A: Action, Q: DeserializeOwned + Send> FromRequestParts<GatewayState> for Asked<A, Q> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &GatewayState) -> Result<Self, Problem> {
        let caller = Allowed::from_request_parts(parts, gateway).await?;
        let StrictQuery(query) = StrictQuery::from_request_parts(parts, gateway).await?;
        let key = <IdempotencyKey as OptionalFromRequestParts<_>>::from_request_parts(parts, gateway).await?;
        let request_id = RequestId::from_request_parts(parts, gateway).await?;
        // The path as it came: the same key and body for another object is another request.
        let route = format!("{} {}", parts.method, parts.uri);
        Ok(Self(Writer { caller, request_id, key, route }, query))
    }
}

/// The object that a path names, at the revisions that `If-Match` names. Rejections: those of [`Path`] and [`IfMatch`].
pub(crate) struct Aim(pub Target);

impl FromRequestParts<GatewayState> for Aim {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, gateway: &GatewayState) -> Result<Self, Response> {
        let id = <Path<String> as FromRequestParts<_>>::from_request_parts(parts, gateway).await;
        let Path(id) = id.map_err(IntoResponse::into_response)?;
        let if_match = IfMatch::from_request_parts(parts, gateway).await.map_err(IntoResponse::into_response)?;
        Ok(Self(Target { id, expected: if_match.revisions() }))
    }
}

/// Where a request with a key stands.
enum Standing {
    /// It runs now; with a claim if it has a key.
    Ours(Option<store::IdempotencyKey>),
    /// It was answered before.
    Answered(StoredReply),
}

impl<A: Action> Writer<A> {
    /// Who writes.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The caller's tenant.
    pub(crate) fn tenant(&self) -> &str {
        &self.caller.tenant
    }

    /// Carries a write out, or replays its answer.
    ///
    /// # Errors
    /// Those of the use case; 422 for a key that came with another body, 409 for one whose first request still runs.
    pub(crate) async fn run<W: Write>(
        self,
        gateway: &GatewayState,
        (body_hash, write): (BodyHash, W),
    ) -> Result<Response, Problem> {
        let gateway = Arc::clone(gateway);
        // A task of its own: dropped half-way, the request would leave its claim in the way of the client's next try.
        let task = async move { self.answer(&gateway, body_hash, &write).await };
        match tokio::spawn(task.in_current_span()).await {
            Ok(answer) => answer,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(Problem::unavailable("shutting_down", "the service is shutting down")),
            },
        }
    }

    /// The id of the request, for what it causes.
    pub(crate) fn request_id(&self) -> &str {
        self.request_id.as_str()
    }

    /// Claims the key of a payment, if there is one; it may name the attempt that it was bound to.
    ///
    /// # Errors
    /// As for [`Writer::run`].
    pub(crate) async fn claim_charge(
        &self,
        gateway: &Gateway,
        body_hash: BodyHash,
    ) -> Result<Option<store::IdempotencyKey>, Problem> {
        match self.claim(gateway, body_hash).await? {
            Standing::Ours(claim) => Ok(claim),
            Standing::Answered(_) => Err(Problem::conflict("idempotency_key_reused", "the key has another answer")),
        }
    }

    async fn answer<W: Write>(&self, gateway: &Gateway, body_hash: BodyHash, write: &W) -> Result<Response, Problem> {
        let claim = match self.claim(gateway, body_hash).await? {
            Standing::Answered(reply) => return Ok(replay(reply)),
            Standing::Ours(claim) => claim,
        };
        let answer = self.commit(gateway, claim.as_ref(), write).await;
        if let (Err(_), Some(claim)) = (&answer, &claim)
            && let Err(error) = gateway.app.billing.store.release_idempotency_key(claim).await
        {
            tracing::warn!(%error, "an idempotency key stays claimed until it expires");
        }
        answer
    }

    async fn claim(&self, gateway: &Gateway, body_hash: BodyHash) -> Result<Standing, Problem> {
        let Some(key) = &self.key else { return Ok(Standing::Ours(None)) };
        let Caller { tenant, id: caller, .. } = &*self.caller;
        // The client's part comes last, so that no two scopes give one id.
        let id = format!("{tenant}:{caller}:{}:{}", self.route, key.as_str());
        let store = &gateway.app.billing.store;
        match store.claim_idempotency_key(tenant, &id, &body_hash.to_string(), gateway.app.clock.now()).await? {
            Claim::Ours(claim) => Ok(Standing::Ours(Some(claim))),
            Claim::Replay(reply) => Ok(Standing::Answered(reply)),
            Claim::OtherRequest => {
                let detail = "the Idempotency-Key was used with another body";
                Err(Problem::rule_violated("idempotency_key_reused", detail))
            }
            Claim::InFlight => {
                let detail = "the first request with this Idempotency-Key is still running";
                Err(Problem::conflict("idempotency_key_in_flight", detail))
            }
        }
    }

    async fn commit<W: Write>(
        &self,
        gateway: &Gateway,
        claim: Option<&store::IdempotencyKey>,
        write: &W,
    ) -> Result<Response, Problem> {
        let livemode = read::livemode(gateway, &self.caller.tenant).await?;
        let mut tries = 1;
        let mut turn = None;
        loop {
            match self.attempt(gateway, (claim, livemode), write).await {
                // A name that was taken meanwhile is the use case's to refuse, once it sees it.
                Err(BillingError::Store(StoreError::Conflict(_) | StoreError::Duplicate(_))) if tries < TRIES => {
                    if turn.is_none() {
                        turn = Some(gateway.turns.take(&self.caller.tenant).await);
                    }
                    tokio::time::sleep(pause(tries)).await;
                    tries += 1;
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    async fn attempt<W: Write>(
        &self,
        gateway: &Gateway,
        (claim, livemode): (Option<&store::IdempotencyKey>, bool),
        write: &W,
    ) -> Result<Response, BillingError> {
        let billing = &gateway.app.billing;
        let ground = Ground {
            store: billing.store.clone(),
            actor: self.actor(),
            time: TenantTime::read(&billing.store, &self.caller.tenant, gateway.app.clock.now()).await?,
        };
        if W::ON_CLOCK && ground.time.advancing {
            return Err(billing::advancing());
        }
        let Change { result, mut unit, follow_up } = write.decide(&ground).await?;
        let etag = W::etag(&result);
        let shown = W::show(result, livemode);
        let body = written(&shown)?;
        if let Some(claim) = claim {
            let reply = StoredReply { status: W::STATUS.as_u16(), body: written(&W::kept(&shown))? };
            unit.replace(&mut store::IdempotencyKey { reply: Some(reply), ..claim.clone() })?;
        }
        let announced = unit.announced().to_vec();
        billing.caused_by(Some(self.request_id.as_str())).commit(Change { result: (), unit, follow_up }).await?;
        cached::changed(gateway, &announced).await;
        Ok((etag, json(W::STATUS, body)).into_response())
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor {
            tenant: self.caller.tenant.clone(),
            id: self.caller.id.clone(),
            request_id: Some(self.request_id.to_string()),
        }
    }
}

fn written(shown: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(shown).map_err(|error| StoreError::Corrupt(format!("the answer cannot be written: {error}")))
}

/// Between half and all of what doubles with every try: those who collided once must not collide again.
fn pause(tries: u32) -> Duration {
    let longest = FIRST_PAUSE * 2_u32.saturating_pow(tries - 1);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

fn replay(reply: StoredReply) -> Response {
    // Only statuses of ours are stored.
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let replayed = [(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"))];
    (replayed, json(status, reply.body)).into_response()
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}
