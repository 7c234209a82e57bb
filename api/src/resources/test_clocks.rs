//! `/v1/test_clocks`: the time of a tenant in test mode.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, create_test_clock as decide_creation};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::ListFilter;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::Instant;
use crate::{
    access::{Allowed, CreateTestClock, GetTestClock, ListTestClocks},
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::{ListQuery, NoFilter},
    },
    read::{self, Reader},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

const URL: &str = "/v1/test_clocks";

/// A test clock to create.
#[derive(Debug, Deserialize, ToSchema)]
struct TestClockRequest {
    /// The time that it shows.
    #[schema(value_type = Timestamp)]
    now: Instant,
}

/// A clock that stands still. The tenant's time is read on it, by whatever bills.
#[derive(Debug, Serialize, ToSchema)]
struct TestClock {
    #[schema(example = "clk_0198f3")]
    id: String,
    /// Always `test_clock`.
    #[schema(value_type = String, example = "test_clock")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    /// The time that it shows.
    now: Timestamp,
}

impl TestClock {
    fn of(clock: store::TestClock, livemode: bool) -> Self {
        Self { id: clock.id, object: "test_clock", created: clock.created, livemode, now: clock.now }
    }
}

struct Creation {
    id: String,
    now: Timestamp,
}

impl Write for Creation {
    type Made = store::TestClock;
    type Shown = TestClock;
    const STATUS: StatusCode = StatusCode::CREATED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_creation(&ground.store, &ground.actor, ground.time.wall, (self.id.clone(), self.now)).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> TestClock {
        TestClock::of(made, livemode)
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(create_test_clock, list_test_clocks)).routes(routes!(get_test_clock))
}

/// Creates a test clock and puts the tenant, which is in test mode, on it.
#[utoipa::path(post, path = "/v1/test_clocks", tag = "operations", request_body = TestClockRequest,
    responses((status = 201, body = TestClock), WriteProblems))]
async fn create_test_clock(
    State(gateway): State<GatewayState>,
    writer: Writer<CreateTestClock>,
    body: StrictJson<TestClockRequest>,
) -> Result<Response, Problem> {
    let creation = Creation { id: gateway.app.ids.new_id("clk"), now: body.value.now.0 };
    writer.run(&gateway, (body.body_hash, creation)).await
}

/// Lists test clocks, newest first.
#[utoipa::path(get, path = "/v1/test_clocks", tag = "operations", params(PageParams),
    responses((status = 200, body = List<TestClock>), ReadProblems))]
async fn list_test_clocks(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListTestClocks>,
    query: ListQuery<NoFilter>,
) -> Result<Json<List<TestClock>>, Problem> {
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let page = read::page(&gateway, &caller, &query.page, ListFilter::default()).await?;
    let rows = page.data.into_iter().map(|clock| TestClock::of(clock, livemode)).collect();
    Ok(Json(List::new(URL, page.has_more, rows)))
}

/// Gets a test clock.
#[utoipa::path(get, path = "/v1/test_clocks/{id}", tag = "operations", params(("id" = String, Path)),
    responses((status = 200, body = TestClock), ReadProblems))]
async fn get_test_clock(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetTestClock>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<TestClock>), Problem> {
    let clock: store::TestClock = read::find(&gateway, &caller, ("test_clock", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    Ok((ETag::of_revision(clock.revision), Json(TestClock::of(clock, livemode))))
}
