//! Schedules over HTTP: what ticks, and how it is steered.

use jiff::Timestamp;
use serde_json::json;
use store::{CatchUp, Schedule, ScheduleDefinition, UnitOfWork};

use crate::harness::Platform;

#[tokio::test]
async fn a_schedule_is_shown_run_paused_and_resumed() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    assert_eq!(client.get("/v1/schedules").await.ok()["data"], json!([]), "no scheduler has run yet");
    let store = &platform.app.billing.store;
    let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
    let schedule = Schedule {
        id: "billing_cycle".to_owned(),
        revision: 1,
        created: at("2026-08-01T00:00:00Z"),
        definition: ScheduleDefinition {
            cron: "0 * * * *".to_owned(),
            zone: "UTC".to_owned(),
            catch_up: CatchUp::Latest,
        },
        cursor: at("2026-08-01T12:00:00Z"),
        last_at: Some(at("2026-08-01T12:00:00Z")),
        next_at: Some(at("2026-08-01T13:00:00Z")),
        missed: 3,
        paused_at: None,
    };
    let mut unit = UnitOfWork::default();
    unit.insert(&schedule).expect("a document");
    store.commit(unit).await.expect("a commit");
    let list = client.get("/v1/schedules").await.ok();
    let shown = json!([{ "id": "billing_cycle", "object": "schedule", "created": "2026-08-01T00:00:00Z",
        "cron": "0 * * * *", "timezone": "UTC", "catch_up": "latest", "last_tick_at": "2026-08-01T12:00:00Z",
        "next_tick_at": "2026-08-01T13:00:00Z", "missed_ticks": 3, "paused_at": null }]);
    assert_eq!(list["data"], shown);

    let act = async |act: &str| client.post(&format!("/v1/schedules/billing_cycle/{act}"), &json!({})).await.ok();
    let paused = act("pause").await;
    assert!(paused["paused_at"].is_string(), "{paused}");
    assert_eq!(act("pause").await["paused_at"], paused["paused_at"], "paused once");
    let due = async || store.due::<store::Tick>(Timestamp::MAX, None, 10).await.expect("ticks").len();
    assert_eq!(due().await, 0);
    let ran = act("run").await;
    assert_eq!(due().await, 1, "also while it is paused");
    assert_ne!(ran["last_tick_at"], list["data"][0]["last_tick_at"]);
    assert_eq!(act("resume").await["paused_at"], json!(null));
    client.post("/v1/schedules/nothing/run", &json!({})).await.problem(404, "not_found");
}
