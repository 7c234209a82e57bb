//! The road of every read: a caller, one of its objects or a page of them.
//!
//! **Invariant:** the tenant comes from the verified caller, so an id of another tenant finds nothing; a customer finds
//! nothing but its own.

use axum::{Json, extract::FromRequestParts, http::request::Parts};
use serde::{Serialize, de::DeserializeOwned};
use store::{ListFilter, PageRequest, Revised};

use crate::{
    access::{Action, Allowed},
    auth::caller::Caller,
    cached,
    http::{
        headers::ETag,
        page::{Created, Cursor, List, Page},
        problem::Problem,
        query::{NoFilter, StrictQuery},
    },
    reach::{Reached, reaches, within_reach},
    state::{Gateway, GatewayState},
};

/// Who does `A` and reads one object; the request has no query. Rejections: those of [`Allowed`] and [`StrictQuery`].
pub(crate) struct Reader<A>(pub Allowed<A>);

impl<A: Action> FromRequestParts<GatewayState> for Reader<A> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &GatewayState) -> Result<Self, Problem> {
        let caller = Allowed::from_request_parts(parts, gateway).await?;
        StrictQuery::<NoFilter>::from_request_parts(parts, gateway).await?;
        Ok(Self(caller))
    }
}

/// Something that is stored, and read by clients: by its id, and in a list of its kind.
pub(crate) trait Resource: Reached {
    /// What clients see of it.
    type Shown: Serialize;
    /// Its wire name.
    const OBJECT: &'static str;
    /// Path of the list of all of them.
    const URL: &'static str;

    /// What clients of a tenant in live or in test mode see of it.
    ///
    /// # Errors
    /// 500 when what is stored cannot be shown.
    fn show(self, livemode: bool) -> Result<Self::Shown, Problem>;
}

/// Answers with one object and its entity tag.
///
/// # Errors
/// 404 when the tenant has no such object; those of the store.
pub(crate) async fn get<R: Resource + Revised>(
    gateway: &Gateway,
    caller: &Caller,
    id: &str,
) -> Result<(ETag, Json<R::Shown>), Problem> {
    let object: R = find(gateway, caller, (R::OBJECT, id)).await?;
    let livemode = livemode(gateway, &caller.tenant).await?;
    Ok((ETag::of_revision(object.revision()), Json(object.show(livemode)?)))
}

/// Answers with a page of the tenant's objects.
///
/// # Errors
/// 400 when the cursor is no object of the tenant; those of the store.
pub(crate) async fn list<R: Resource>(
    gateway: &Gateway,
    caller: &Caller,
    part: (&Page, ListFilter),
) -> Result<Json<List<R::Shown>>, Problem> {
    list_at::<R>(gateway, caller, R::URL, part).await
}

/// Answers with a page of a list that is a part of another object's, at the path `url`.
///
/// # Errors
/// Those of [`list`].
pub(crate) async fn list_at<R: Resource>(
    gateway: &Gateway,
    caller: &Caller,
    url: &str,
    (wanted, filter): (&Page, ListFilter),
) -> Result<Json<List<R::Shown>>, Problem> {
    let livemode = livemode(gateway, &caller.tenant).await?;
    let page = page::<R>(gateway, caller, wanted, filter).await?;
    let rows = page.data.into_iter().map(|object| object.show(livemode)).collect::<Result<_, _>>()?;
    Ok(Json(List::new(url, page.has_more, rows)))
}

/// Loads the object that a path names; `object` is its wire name.
///
/// # Errors
/// 404 when the caller reaches no such object; those of the store.
pub(crate) async fn find<R: Reached>(
    gateway: &Gateway,
    caller: &Caller,
    (object, id): (&str, &str),
) -> Result<R, Problem> {
    let found: Option<R> = gateway.app.billing.store.find(&caller.tenant, id).await?;
    found.filter(|found| reaches(caller, found)).ok_or_else(|| Problem::not_found(object))
}

/// [`find`] for a kind of object that is kept in the cache.
///
/// # Errors
/// As [`find`].
pub(crate) async fn find_cached<R>(gateway: &Gateway, caller: &Caller, (object, id): (&str, &str)) -> Result<R, Problem>
where
    R: Reached + Revised + Serialize + DeserializeOwned,
{
    let found: Option<R> = cached::find(gateway, &caller.tenant, id).await?;
    found.filter(|found| reaches(caller, found)).ok_or_else(|| Problem::not_found(object))
}

/// The part of a list that a client wants, as the store is asked for it.
pub(crate) fn page_request(page: &Page) -> PageRequest {
    let (starting_after, ending_before) = match page.cursor() {
        Cursor::Newest => (None, None),
        Cursor::After(id) => (Some(id.clone()), None),
        Cursor::Before(id) => (None, Some(id.clone())),
    };
    PageRequest { limit: page.limit().into(), starting_after, ending_before }
}

/// Loads a page of the objects that the caller reaches.
///
/// # Errors
/// 400 when the cursor is no object of the list; those of the store.
pub(crate) async fn page<R: Reached>(
    gateway: &Gateway,
    caller: &Caller,
    page: &Page,
    filter: ListFilter,
) -> Result<store::Page<R>, Problem> {
    let request = page_request(page);
    let cursor = match page.cursor() {
        Cursor::Newest => "",
        Cursor::After(_) => "starting_after",
        Cursor::Before(_) => "ending_before",
    };
    let Created { from, until } = page.created();
    let Some(filter) = within_reach::<R>(caller, filter.created(from, until)) else {
        return Ok(store::Page { data: Vec::new(), has_more: false });
    };
    gateway.app.billing.store.list(&caller.tenant, filter, &request).await?.ok_or_else(|| {
        let problem = Problem::malformed("invalid_query", "the query does not fit this route");
        problem.at(cursor, "unknown_object", "it is the id of no object of this list")
    })
}

/// Whether a tenant bills real money; every object says so.
///
/// # Errors
/// 404 for a tenant that is gone; those of the store.
pub(crate) async fn livemode(gateway: &Gateway, tenant: &str) -> Result<bool, Problem> {
    Ok(cached::tenant(gateway, tenant).await?.livemode)
}
