//! The road of every read: a caller, one of its objects or a page of them.
//!
//! **Invariant:** the tenant comes from the verified caller, so an id of another tenant finds nothing.

use axum::{extract::FromRequestParts, http::request::Parts};
use store::{ListFilter, PageRequest, Record, Tenant};

use crate::{
    auth::caller::Caller,
    http::{
        page::{Cursor, Page},
        problem::Problem,
        query::{NoFilter, StrictQuery},
    },
    state::{Gateway, GatewayState},
};

/// Who reads one object; the request has no query. Rejections: those of [`Caller`] and [`StrictQuery`].
pub(crate) struct Reader(pub Caller);

impl FromRequestParts<GatewayState> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &GatewayState) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, gateway).await?;
        StrictQuery::<NoFilter>::from_request_parts(parts, gateway).await?;
        Ok(Self(caller))
    }
}

/// Loads the object that a path names; `object` is its wire name.
///
/// # Errors
/// 404 when the tenant has no such object; those of the store.
pub(crate) async fn find<R: Record>(gateway: &Gateway, tenant: &str, (object, id): (&str, &str)) -> Result<R, Problem> {
    gateway.app.billing.store.find(tenant, id).await?.ok_or_else(|| Problem::not_found(object))
}

/// Loads a page of a tenant's objects.
///
/// # Errors
/// 400 when the cursor is no object of the tenant; those of the store.
pub(crate) async fn page<R: Record>(
    gateway: &Gateway,
    tenant: &str,
    page: &Page,
    filter: ListFilter,
) -> Result<store::Page<R>, Problem> {
    let mut request = PageRequest { limit: page.limit().into(), starting_after: None, ending_before: None };
    let cursor = match page.cursor() {
        Cursor::Newest => "",
        Cursor::After(id) => {
            request.starting_after = Some(id.clone());
            "starting_after"
        }
        Cursor::Before(id) => {
            request.ending_before = Some(id.clone());
            "ending_before"
        }
    };
    gateway.app.billing.store.list(tenant, filter, &request).await?.ok_or_else(|| {
        let problem = Problem::malformed("invalid_query", "the query does not fit this route");
        problem.at(cursor, "unknown_object", "it is the id of no object of this list")
    })
}

/// Whether a tenant bills real money; every object says so.
///
/// # Errors
/// 404 for a tenant that is gone; those of the store.
pub(crate) async fn livemode(gateway: &Gateway, tenant: &str) -> Result<bool, Problem> {
    let tenant: Tenant = find(gateway, tenant, ("tenant", tenant)).await?;
    Ok(tenant.livemode)
}
