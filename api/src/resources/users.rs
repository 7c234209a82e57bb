//! `/v1/users`: who works for the tenant, and who signs in for its customers.
//!
//! **Invariant:** only an owner makes owners, changes one or removes one. **Invariant:** the last owner stays.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{
    BillingError, Change, Manager, NewMember, Target, UserChange, change_user, delete_user as decide_removal,
    invite_user as decide_invitation,
};
use serde::Deserialize;
use store::ListFilter;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields;
use crate::{
    access::{Action, Allowed, DeleteUser, GetUser, InviteUser, ListUsers, UpdateUser},
    auth::role::Role,
    http::{
        headers::ETag,
        json::{BodyHash, StrictJson},
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::ListQuery,
    },
    mailed_token::mailed_token,
    read::{self, Reader},
    shown::User,
    state::GatewayState,
    write::{Aim, Ground, Write, Writer},
};

const URL: &str = "/v1/users";

/// Somebody to invite.
#[derive(Debug, Deserialize, ToSchema)]
struct InvitationRequest {
    #[schema(example = "Grace Hopper")]
    name: String,
    /// Gets the invitation, and signs in; letter case does not matter.
    #[schema(example = "grace@acme.example")]
    email: String,
    /// `owner`, `admin`, `finance`, `support` or `viewer`.
    #[schema(value_type = String, example = "finance", pattern = "^(owner|admin|finance|support|viewer)$")]
    role: Role,
}

/// What to change about a user; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
struct UserUpdate {
    #[schema(example = "Grace Hopper")]
    name: Option<String>,
    /// `owner`, `admin`, `finance`, `support` or `viewer`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "admin", pattern = "^(owner|admin|finance|support|viewer)$")]
    role: Option<Role>,
    /// A disabled user is signed out and cannot sign in.
    disabled: Option<bool>,
}

/// Which users to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct UserFilter {
    /// What they are in the tenant.
    #[param(value_type = Option<String>)]
    role: Option<Role>,
}

/// A role of somebody who works for the tenant.
fn staff_role(role: Role) -> Result<&'static str, Problem> {
    match role {
        Role::Customer => {
            Err(fields::refused("/role", "customer_role", "must be another one: customers register themselves"))
        }
        role => Ok(role.as_str()),
    }
}

struct Invitation {
    by_owner: bool,
    new: NewMember,
}

impl Write for Invitation {
    type Made = store::User;
    type Shown = User;
    const STATUS: StatusCode = StatusCode::CREATED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        let manager = Manager { actor: &ground.actor, is_owner: self.by_owner };
        decide_invitation(&ground.store, &manager, &ground.time, self.new.clone()).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> User {
        User::of(made, livemode)
    }
}

/// What is done to a user that there is.
enum Deed {
    Update(UserChange),
    Delete,
}

struct Step {
    by_owner: bool,
    target: Target,
    deed: Deed,
}

impl Write for Step {
    type Made = store::User;
    type Shown = User;
    const STATUS: StatusCode = StatusCode::OK;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        let Ground { store, actor, time } = ground;
        let manager = Manager { actor, is_owner: self.by_owner };
        match &self.deed {
            Deed::Update(change) => change_user(store, &manager, time, (&self.target, change)).await,
            Deed::Delete => decide_removal(store, &manager, time, &self.target).await,
        }
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> User {
        User::of(made, livemode)
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(invite_user, list_users)).routes(routes!(get_user, update_user, delete_user))
}

/// Invites somebody by mail: the link in it sets the password, with `POST /v1/auth/password/reset`. Only owners invite owners.
#[utoipa::path(post, path = "/v1/users", tag = "auth", request_body = InvitationRequest,
    responses((status = 201, body = User), WriteProblems))]
async fn invite_user(
    State(gateway): State<GatewayState>,
    writer: Writer<InviteUser>,
    body: StrictJson<InvitationRequest>,
) -> Result<Response, Problem> {
    let InvitationRequest { name, email, role } = body.value;
    let new = NewMember {
        id: gateway.app.ids.new_id("usr"),
        name: fields::name("/name", name)?,
        email: fields::email("/email", email)?.to_lowercase(),
        role: staff_role(role)?,
        token: mailed_token(&gateway.app, "reset_password")?,
    };
    let by_owner = is_owner(&writer);
    writer.run(&gateway, (body.body_hash, Invitation { by_owner, new })).await
}

/// Lists users, newest first.
#[utoipa::path(get, path = "/v1/users", tag = "auth", params(PageParams, UserFilter),
    responses((status = 200, body = List<User>), ReadProblems))]
async fn list_users(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListUsers>,
    query: ListQuery<UserFilter>,
) -> Result<Json<List<User>>, Problem> {
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let filter = ListFilter::default().field("role", query.filter.role.map(|role| role.as_str().to_owned()));
    let page = read::page(&gateway, &caller, &query.page, filter).await?;
    let rows = page.data.into_iter().map(|user| User::of(user, livemode)).collect();
    Ok(Json(List::new(URL, page.has_more, rows)))
}

/// Gets a user.
#[utoipa::path(get, path = "/v1/users/{id}", tag = "auth", params(("id" = String, Path)),
    responses((status = 200, body = User), ReadProblems))]
async fn get_user(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetUser>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<User>), Problem> {
    let user: store::User = read::find(&gateway, &caller, ("user", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    Ok((ETag::of_revision(user.revision), Json(User::of(user, livemode))))
}

/// Changes a user's name or role, or disables it: it is signed out within half a minute. Only owners change owners.
#[utoipa::path(patch, path = "/v1/users/{id}", tag = "auth", params(("id" = String, Path)), request_body = UserUpdate,
    responses((status = 200, body = User), WriteProblems))]
async fn update_user(
    State(gateway): State<GatewayState>,
    writer: Writer<UpdateUser>,
    Aim(target): Aim,
    body: StrictJson<UserUpdate>,
) -> Result<Response, Problem> {
    let UserUpdate { name, role, disabled } = body.value;
    let name = name.map(|name| fields::name("/name", name)).transpose()?;
    let role = role.map(staff_role).transpose()?;
    let (by_owner, deed) = (is_owner(&writer), Deed::Update(UserChange { name, role, disabled }));
    writer.run(&gateway, (body.body_hash, Step { by_owner, target, deed })).await
}

/// Removes a user: it is signed out, and its address is free again. Answers with the user as it was.
#[utoipa::path(delete, path = "/v1/users/{id}", tag = "auth", params(("id" = String, Path)),
    responses((status = 200, body = User), WriteProblems))]
async fn delete_user(
    State(gateway): State<GatewayState>,
    writer: Writer<DeleteUser>,
    Aim(target): Aim,
) -> Result<Response, Problem> {
    let step = Step { by_owner: is_owner(&writer), target, deed: Deed::Delete };
    writer.run(&gateway, (BodyHash::of(&[]), step)).await
}

fn is_owner<A: Action>(writer: &Writer<A>) -> bool {
    writer.caller().role == Some(Role::Owner)
}
