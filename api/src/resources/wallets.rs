//! `/v1/wallets`: prepaid credit of customers.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, NewWallet, create_wallet as decide_creation};
use domain::Currency;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{ListFilter, WalletRecord};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::{self, Instant};
use crate::{
    access::{Allowed, CreateWallet, GetWallet, ListWallets},
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::ListQuery,
    },
    read::{self, Reader, Resource},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

/// Keys that a wallet is limited to: as many as a plan may have prices.
const MAX_KEYS: usize = 100;

/// Longest key, as in a plan.
const MAX_KEY_BYTES: usize = 64;

/// Prepaid credit to top up.
#[derive(Debug, Deserialize, ToSchema)]
struct WalletRequest {
    /// Id of the customer.
    #[schema(example = "cus_0198f3")]
    customer: String,
    /// Above zero, in the customer's currency.
    #[schema(example = 10_000)]
    amount_minor: i64,
    /// Keys of the prices that it may pay, up to 100; everything if left out.
    #[serde(default)]
    applies_to: Vec<String>,
    /// First instant at which it pays nothing any more; never if left out.
    #[serde(default)]
    #[schema(value_type = Option<Timestamp>)]
    expires_at: Option<Instant>,
    /// Shown to people.
    #[serde(default)]
    #[schema(example = "Welcome credit")]
    name: Option<String>,
}

/// Prepaid credit. It pays invoices when they are issued: the wallet that expires first pays first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Wallet {
    #[schema(example = "wal_0198f3")]
    id: String,
    /// Always `wallet`.
    #[schema(value_type = String, example = "wallet")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    customer: String,
    name: Option<String>,
    #[schema(value_type = String, example = "usd")]
    currency: Currency,
    /// What was paid in.
    amount_minor: i64,
    /// What is left.
    balance_minor: i64,
    /// Keys of the prices that it may pay; none for everything.
    applies_to: Vec<String>,
    expires_at: Option<Timestamp>,
}

/// Which wallets are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WalletFilter {
    /// Id of the customer.
    customer: Option<String>,
}

impl WalletRequest {
    fn parse(self) -> Result<NewWallet, Problem> {
        Ok(NewWallet {
            customer: self.customer,
            amount_minor: self.amount_minor,
            applies_to: keys(self.applies_to)?,
            expires_at: self.expires_at.map(|at| at.0),
            name: self.name.map(|name| fields::name("/name", name)).transpose()?,
        })
    }
}

/// Keys of prices, which may come later than the wallet.
fn keys(keys: Vec<String>) -> Result<Vec<String>, Problem> {
    if keys.len() > MAX_KEYS {
        return Err(fields::refused("/applies_to", "too_many_keys", "must be at most 100 keys"));
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    let fits = |key: &String| (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(allowed);
    match keys.iter().position(|key| !fits(key)) {
        None => Ok(keys),
        Some(index) => {
            let rule = "must be 1 to 64 lower-case letters, digits, `_` or `-`";
            Err(fields::refused(&format!("/applies_to/{index}"), "invalid_key", rule))
        }
    }
}

impl Wallet {
    fn of(record: WalletRecord, livemode: bool) -> Self {
        Self {
            id: record.id,
            object: "wallet",
            created: record.created,
            livemode,
            customer: record.customer,
            name: record.name,
            currency: record.currency,
            amount_minor: record.amount_minor,
            balance_minor: record.balance_minor,
            applies_to: record.applies_to,
            expires_at: record.expires_at,
        }
    }
}

struct Creation {
    id: String,
    new: NewWallet,
}

impl Write for Creation {
    type Made = WalletRecord;
    type Shown = Wallet;
    const STATUS: StatusCode = StatusCode::CREATED;
    const ON_CLOCK: bool = true;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_creation(&ground.store, &ground.actor, &ground.time, (self.id.clone(), self.new.clone())).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Wallet {
        Wallet::of(made, livemode)
    }
}

impl Resource for WalletRecord {
    type Shown = Wallet;
    const OBJECT: &'static str = "wallet";
    const URL: &'static str = "/v1/wallets";

    fn show(self, livemode: bool) -> Result<Wallet, Problem> {
        Ok(Wallet::of(self, livemode))
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(create_wallet, list_wallets)).routes(routes!(get_wallet))
}

/// Tops up prepaid credit of a customer.
#[utoipa::path(post, path = "/v1/wallets", tag = "customers", request_body = WalletRequest,
    responses((status = 201, body = Wallet), WriteProblems))]
async fn create_wallet(
    State(gateway): State<GatewayState>,
    writer: Writer<CreateWallet>,
    body: StrictJson<WalletRequest>,
) -> Result<Response, Problem> {
    let creation = Creation { id: gateway.app.ids.new_id("wal"), new: body.value.parse()? };
    writer.run(&gateway, (body.body_hash, creation)).await
}

/// Lists wallets, newest first.
#[utoipa::path(get, path = "/v1/wallets", tag = "customers", params(PageParams, WalletFilter),
    responses((status = 200, body = List<Wallet>), ReadProblems))]
async fn list_wallets(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListWallets>,
    query: ListQuery<WalletFilter>,
) -> Result<Json<List<Wallet>>, Problem> {
    let filter = ListFilter::default().field("customer", query.filter.customer);
    read::list::<WalletRecord>(&gateway, &caller, (&query.page, filter)).await
}

/// Gets a wallet.
#[utoipa::path(get, path = "/v1/wallets/{id}", tag = "customers", params(("id" = String, Path)),
    responses((status = 200, body = Wallet), ReadProblems))]
async fn get_wallet(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetWallet>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<Wallet>), Problem> {
    read::get::<WalletRecord>(&gateway, &caller, &id).await
}
