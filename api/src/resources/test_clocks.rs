//! `/v1/test_clocks`: the time of a tenant in test mode.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, create_test_clock as decide_creation, start_advance};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::ListFilter;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::Instant;
use crate::{
    access::{AdvanceTestClock, Allowed, CreateTestClock, GetTestClock, ListTestClocks},
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::{ListQuery, NoFilter},
    },
    read::{self, Reader, Resource},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

/// A test clock to create.
#[derive(Debug, Deserialize, ToSchema)]
struct TestClockRequest {
    /// The time that it shows.
    #[schema(value_type = Timestamp)]
    now: Instant,
}

/// A clock that stands still. The tenant's time is read on it, by whatever bills.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestClock {
    #[schema(example = "clk_0198f3")]
    id: String,
    /// Always `test_clock`.
    #[schema(value_type = String, example = "test_clock")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    /// The time that it shows.
    now: Timestamp,
    /// `advancing` while it goes on; writes to what stands on it are refused then.
    status: ClockStatus,
    /// The last advance, or the one under way; null before the first.
    advance: Option<ClockAdvance>,
}

/// What a test clock does.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ClockStatus {
    /// It stands still.
    Ready,
    /// It goes from one instant at which something is due to the next.
    Advancing,
}

/// How far an advance is: `now` lies between its ends.
#[derive(Debug, Serialize, ToSchema)]
struct ClockAdvance {
    /// Where it began.
    from: Timestamp,
    /// Where it ends.
    to: Timestamp,
    /// Instants at which it has stopped so far, because something was due.
    stops: i64,
}

/// Where a test clock goes.
#[derive(Debug, Deserialize, ToSchema)]
struct AdvanceRequest {
    /// Later than the time that it shows, by two years at most.
    #[schema(value_type = Timestamp)]
    to: Instant,
}

impl TestClock {
    fn of(clock: store::TestClock, livemode: bool) -> Self {
        let to = clock.target.unwrap_or(clock.now);
        Self {
            id: clock.id,
            object: "test_clock",
            created: clock.created,
            livemode,
            now: clock.now,
            status: if clock.target.is_some() { ClockStatus::Advancing } else { ClockStatus::Ready },
            advance: clock.advanced_from.map(|from| ClockAdvance { from, to, stops: clock.stops }),
        }
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

struct Advancing {
    id: String,
    to: Timestamp,
}

impl Write for Advancing {
    type Made = store::TestClock;
    type Shown = TestClock;
    const STATUS: StatusCode = StatusCode::ACCEPTED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        start_advance(&ground.store, &ground.actor, ground.time.wall, (&self.id, self.to)).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> TestClock {
        TestClock::of(made, livemode)
    }
}

impl Resource for store::TestClock {
    type Shown = TestClock;
    const OBJECT: &'static str = "test_clock";
    const URL: &'static str = "/v1/test_clocks";

    fn show(self, livemode: bool) -> Result<TestClock, Problem> {
        Ok(TestClock::of(self, livemode))
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(create_test_clock, list_test_clocks))
        .routes(routes!(get_test_clock))
        .routes(routes!(advance_test_clock))
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
    read::list::<store::TestClock>(&gateway, &caller, (&query.page, ListFilter::default())).await
}

/// Gets a test clock.
#[utoipa::path(get, path = "/v1/test_clocks/{id}", tag = "operations", params(("id" = String, Path)),
    responses((status = 200, body = TestClock), ReadProblems))]
async fn get_test_clock(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetTestClock>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<TestClock>), Problem> {
    read::get::<store::TestClock>(&gateway, &caller, &id).await
}

/// Advances a test clock: from one instant at which something is due to the next, letting all that follows happen in between.
#[utoipa::path(post, path = "/v1/test_clocks/{id}/advance", tag = "operations", params(("id" = String, Path)),
    request_body = AdvanceRequest, responses((status = 202, body = TestClock), WriteProblems))]
async fn advance_test_clock(
    State(gateway): State<GatewayState>,
    writer: Writer<AdvanceTestClock>,
    Path(id): Path<String>,
    body: StrictJson<AdvanceRequest>,
) -> Result<Response, Problem> {
    writer.run(&gateway, (body.body_hash, Advancing { id, to: body.value.to.0 })).await
}
