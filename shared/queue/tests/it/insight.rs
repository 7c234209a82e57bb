//! Stories of looking on: what a queue, its workers and a single job say of themselves.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use queue::{
    DURATION_BUCKETS, Depth, JobState, JobStateKind, Limit, PauseTarget, Priority, QueueClient, QueueStatus,
    WorkerState, describe_metrics,
};

use crate::harness::{Act, Cameo, Lab, QUEUE, Scope, Step, until, worker};
use crate::proxy::Proxy;
use crate::server::{PREFIX, Redis};

/// Waits until the status is as told.
async fn status_when(client: &QueueClient, what: &str, is: impl Fn(&QueueStatus) -> bool) -> QueueStatus {
    let mut status = client.status(QUEUE).await.unwrap();
    until(what, async || {
        status = client.status(QUEUE).await.unwrap();
        is(&status)
    })
    .await;
    status
}

/// Redis's time in milliseconds.
async fn redis_now(server: &Redis) -> i64 {
    let (seconds, micros): (i64, i64) = server.ask(&["TIME"]).await;
    seconds * 1_000 + micros / 1_000
}

#[tokio::test]
async fn an_empty_queue_says_so() {
    let server = Redis::start().await;
    let client = server.client().await;
    let status = client.status(QUEUE).await.unwrap();
    assert_eq!((status.depth, status.oldest_ready, status.time_to_drain), Default::default());
    assert_eq!((status.rates, status.wait, status.run), Default::default());
    assert!(status.paused.is_empty() && status.limits.is_empty() && status.workers.is_empty());
    assert_eq!(status.history.len(), 60);
    assert!(status.history.iter().all(|minute| minute.added + minute.finished + minute.failed == 0));
    assert_eq!(server.all_keys().await, [""; 0], "looking leaves nothing");
}

#[tokio::test]
async fn rates_durations_and_history_tell_what_happened() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let mut jobs: Vec<_> = (0..20).map(|index| Act::new(&format!("slow-{index}"), &[Step::Block(30)]).job()).collect();
    jobs.push(Act::new("fails", &[Step::Fatal]).job());
    jobs.push(Act::new("again", &[Step::Retry, Step::Done]).job());
    jobs.push(Act::new("cancelled", &[Step::Cancel]).job());
    client.enqueue_many(jobs).await.unwrap();
    let working = lab.work(&client, worker(1));
    until("the queue is empty", async || {
        let depth = client.depth(QUEUE).await.unwrap();
        depth.ready + depth.scheduled + depth.running == 0
    })
    .await;
    // The last figures are handed in at the end.
    working.stop().await.unwrap();
    client.enqueue(Act::new("waits", &[Step::Done]).job()).await.unwrap();
    let status = client.status(QUEUE).await.unwrap();
    let total = |of: fn(&queue::Minute) -> u64| status.history.iter().map(of).sum::<u64>();
    assert_eq!(total(|minute| minute.added), 24);
    assert_eq!(total(|minute| minute.finished), 22);
    assert_eq!(total(|minute| minute.failed), 2);
    assert_eq!(status.history.last().unwrap().at_ms % 60_000, 0);
    let rates = status.rates;
    assert!(rates.added_per_second > rates.finished_per_second, "{rates:?}");
    assert!(rates.finished_per_second > rates.failed_per_second && rates.failed_per_second > 0.0, "{rates:?}");
    let p50 = status.run.p50.unwrap();
    assert!((Duration::from_millis(30)..Duration::from_millis(300)).contains(&p50), "{p50:?}");
    assert!(status.run.p95.unwrap() >= p50);
    assert!(status.wait.p95.unwrap() >= Duration::from_millis(20 * 30 / 2), "they waited for one another");
    // One job at some twenty-two a minute or more.
    let drain = status.time_to_drain.unwrap();
    assert!(drain > Duration::ZERO && drain < Duration::from_secs(20), "{drain:?}");
}

#[tokio::test]
async fn a_run_that_was_lost_with_its_worker_counts_as_failed() {
    let server = Redis::start().await;
    let client = server.client().await;
    let proxy = Proxy::to(&server).await;
    let lab = Lab::new();
    let through = QueueClient::connect(&proxy.url(), PREFIX).await.unwrap();
    let lease = Duration::from_millis(600);
    let _victim = lab.work(&through, worker(1).lease(lease));
    client.enqueue(Act::new("lost", &[Step::Hang, Step::Done]).job()).await.unwrap();
    lab.began("lost", 1).await;
    proxy.cut();
    let heir = lab.work(&client, worker(1).lease(lease));
    until("it is done", async || client.depth(QUEUE).await.unwrap() == Depth::default()).await;
    heir.stop().await.unwrap();
    let history = client.status(QUEUE).await.unwrap().history;
    assert_eq!(history.iter().map(|minute| minute.failed).sum::<u64>(), 1);
}

#[tokio::test]
async fn the_oldest_waiting_job_is_found_among_tenants_and_priorities_and_among_what_is_overdue() {
    let server = Redis::start().await;
    let client = server.client().await;
    for tenant in 0..350 {
        let act = Act::new("x", &[Step::Done]).tenant(&format!("tenant-{tenant}"));
        client.enqueue(act.job().priority(Priority::Low)).await.unwrap();
    }
    // The last tenant of the ring is the oldest: its entry says that it was enqueued an hour earlier.
    let key = Redis::key(QUEUE, "jobs");
    let id: String = server.ask(&["LINDEX", &Redis::key(QUEUE, "ready/l/tenant-349"), "0"]).await;
    let entry: String = server.ask(&["HGET", &key, &id]).await;
    let hour_ago = redis_now(&server).await - 3_600_000;
    let (flags, rest) = entry.split_once('+').unwrap();
    let flags = flags.rsplit_once(' ').unwrap().0;
    let _: u64 = server.ask(&["HSET", &key, &id, &format!("{flags} {hour_ago}+{rest}")]).await;
    let oldest = client.status(QUEUE).await.unwrap().oldest_ready.unwrap();
    assert!((3_600..3_700).contains(&oldest.as_secs()), "{oldest:?}");

    let delayed = Act::new("overdue", &[Step::Done]).job().after(Duration::from_secs(60));
    let id = delayed.id().to_owned();
    client.enqueue(delayed).await.unwrap();
    assert_eq!(client.status(QUEUE).await.unwrap().oldest_ready.unwrap().as_secs() / 100, 36, "not due yet");
    let due = (hour_ago - 3_600_000).to_string();
    let _: u64 = server.ask(&["ZADD", &Redis::key(QUEUE, "scheduled"), &due, &id]).await;
    let oldest = client.status(QUEUE).await.unwrap().oldest_ready.unwrap();
    assert!((7_200..7_300).contains(&oldest.as_secs()), "{oldest:?}");
}

#[tokio::test]
async fn a_worker_tells_what_it_does_and_is_not_listed_after_it_ended() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let working = lab.work(&client, worker(3));
    let idle = status_when(&client, "the worker is there", |status| status.workers.len() == 1).await;
    let told = &idle.workers[0];
    assert!(told.name.starts_with("tester-"), "{told:?}");
    assert_eq!((told.running, told.capacity, told.last_claim_ms_ago), (0, 3, None));
    client.enqueue(Act::new("runs", &[Step::Gate(1)]).job()).await.unwrap();
    let busy = status_when(&client, "it runs a job", |status| status.workers[0].running == 1).await;
    assert_eq!(busy.workers[0].health, WorkerState::Working);
    assert!(busy.workers[0].last_claim_ms_ago.unwrap() < 10_000);
    assert!(busy.workers[0].seen_ms_ago < 10_000);
    lab.open_gate(1);
    working.stop().await.unwrap();
    assert_eq!(client.status(QUEUE).await.unwrap().workers, []);
}

#[tokio::test]
async fn workers_that_fell_silent_or_take_nothing_while_work_waits_are_called_so() {
    let server = Redis::start().await;
    let client = server.client().await;
    client.enqueue(Act::new("waits", &[Step::Done]).job()).await.unwrap();
    let now = redis_now(&server).await;
    let (workers, beats) = (Redis::key(QUEUE, "workers"), Redis::key(QUEUE, "beats"));
    let told = async |name: &str, seen_ago: i64, beat: String| {
        let _: u64 = server.ask(&["ZADD", &workers, &(now - seen_ago).to_string(), name]).await;
        let _: u64 = server.ask(&["HSET", &beats, name, &beat]).await;
    };
    let long_ago = now - 40_000;
    told("full", 0, format!(r#"{{"running":2,"capacity":2,"last_claim_ms":{long_ago},"started_ms":{long_ago}}}"#))
        .await;
    told("gone", 100_000, format!(r#"{{"running":0,"capacity":2,"last_claim_ms":null,"started_ms":{long_ago}}}"#))
        .await;
    told("lazy", 0, format!(r#"{{"running":1,"capacity":2,"last_claim_ms":{long_ago},"started_ms":{long_ago}}}"#))
        .await;
    told("never", 0, format!(r#"{{"running":0,"capacity":2,"last_claim_ms":null,"started_ms":{long_ago}}}"#)).await;
    told("new", 0, r#"{"running":0,"capacity":2,"last_claim_ms":null,"started_ms":0}"#.to_owned()).await;
    told("silent", 20_000, "not a beat".to_owned()).await;
    let healths = async || {
        let workers = client.status(QUEUE).await.unwrap().workers;
        workers.into_iter().map(|worker| (worker.name, worker.health)).collect::<Vec<_>>()
    };
    let named = |healths: [WorkerState; 5]| {
        let names = ["full", "lazy", "never", "new", "silent"].map(str::to_owned);
        names.into_iter().zip(healths).collect::<Vec<_>>()
    };
    use WorkerState::{Silent, Starving, Working};
    assert_eq!(healths().await, named([Working, Working, Working, Working, Silent]), "the work has only just come");

    // As if it had waited for a minute.
    let key = Redis::key(QUEUE, "jobs");
    let entries: Vec<(String, String)> = server.ask(&["HGETALL", &key]).await;
    let (id, entry) = &entries[0];
    let aged = entry.replacen(&format!(" {}", now / 10_000), &format!(" {}", (now - 60_000) / 10_000), 1);
    assert_ne!(&aged, entry);
    let _: u64 = server.ask(&["HSET", &key, id, &aged]).await;
    assert_eq!(healths().await, named([Working, Starving, Starving, Working, Silent]));

    client.pause(QUEUE, PauseTarget::Queue, "ada", "maintenance").await.unwrap();
    assert_eq!(healths().await, named([Working, Working, Working, Working, Silent]), "nobody is to take it");
}

#[tokio::test]
async fn a_job_can_be_looked_up_in_every_state() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let act = |name: &str, step| Act::new(name, &[step]);
    let running = act("running", Step::Gate(1)).unique("key 1", Scope::WaitingOrRunning).job();
    let dies = act("dies", Step::Fatal).job();
    let later = act("later", Step::Done).job().after(Duration::from_secs(600));
    let limited = act("limited", Step::Done).limit("gateway", 7).job();
    let ids = [&running, &dies, &later, &limited].map(|job| job.id().to_owned());
    client.set_limit(QUEUE, "gateway", &Limit { concurrency: Some(0), rate: None }).await.unwrap();
    client.pause(QUEUE, PauseTarget::Job("cameo"), "ada", "a bad release").await.unwrap();
    client.enqueue_many(vec![dies, later, limited]).await.unwrap();
    let paused = Cameo::job("paused").request_id("req-1").trace_parent("00-aa-bb-01").parent("p1");
    let paused_id = paused.id().to_owned();
    client.enqueue(paused).await.unwrap();
    let _worker = lab.work(&client, worker(1));
    until("one died", async || client.depth(QUEUE).await.unwrap().dead == 1).await;
    until("two are set aside", async || client.depth(QUEUE).await.unwrap().limited == 2).await;
    client.enqueue(running).await.unwrap();
    lab.began("running", 1).await;
    // Or the worker, which has only seen short jobs, would claim it ahead.
    client.pause(QUEUE, PauseTarget::Queue, "ada", "to look around").await.unwrap();
    let ready = act("ready", Step::Done).job().priority(Priority::High);
    let ready_id = ready.id().to_owned();
    client.enqueue(ready).await.unwrap();

    let look = async |id: &str| client.job(QUEUE, id).await.unwrap().unwrap();
    let now = redis_now(&server).await;
    let record = look(&ids[0]).await;
    let JobState::Running { worker, since_ms, expires_ms, attempt } = &record.state else { panic!("{record:?}") };
    assert!(worker.starts_with("tester-") && *attempt == 1 && record.attempt == 1);
    assert!((now - 20_000..=now).contains(since_ms) && *expires_ms > now);
    assert_eq!(record.unique_key.as_deref(), Some("key 1"));

    let record = look(&ids[1]).await;
    assert!(matches!(record.state, JobState::Dead { at_ms } if at_ms <= now && at_ms > now - 20_000));
    assert_eq!((record.attempt, record.history.len(), record.history[0].code.as_str()), (1, 1, "hopeless"));

    let record = look(&ids[2]).await;
    assert!(matches!(record.state, JobState::Scheduled { due_ms } if due_ms == record.run_at_ms && due_ms > now));
    assert_eq!(record.run_at_ms - record.enqueued_at_ms, 600_000);

    let record = look(&ids[3]).await;
    assert_eq!(record.state, JobState::Limited { gate: "limit:gateway".into() });
    assert_eq!((record.limits[0].key.as_str(), record.limits[0].cost), ("gateway", 7));

    let record = look(&paused_id).await;
    assert_eq!(record.state, JobState::Limited { gate: "job:cameo".into() });
    assert_eq!((record.request_id.as_deref(), record.parent.as_deref()), (Some("req-1"), Some("p1")));
    assert_eq!(record.trace_parent.as_deref(), Some("00-aa-bb-01"));
    assert_eq!((record.job.as_str(), record.payload.as_str()), ("cameo", r#"{"name":"paused"}"#));

    let record = look(&ready_id).await;
    assert_eq!((record.state, record.priority, record.attempt), (JobState::Ready, Priority::High, 0));
    assert_eq!((record.queue.as_str(), record.tenant.as_deref()), (QUEUE, Some("acme")));

    for kind in JobStateKind::ALL {
        let records = client.jobs(QUEUE, kind, 100).await.unwrap();
        let expected = if kind == JobStateKind::Limited { 2 } else { 1 };
        assert_eq!(records.len(), expected, "{kind:?}");
        for record in records {
            assert_eq!(record.state.kind(), kind);
            assert_eq!(look(&record.id).await, record);
        }
    }
    assert_eq!(client.job(QUEUE, "nobody").await.unwrap(), None);
}

#[tokio::test]
async fn a_list_is_bounded_and_shows_what_comes_next_in_turns() {
    let server = Redis::start().await;
    let client = server.client().await;
    for tenant in ["a", "b"] {
        let jobs = (0..150).map(|index| Act::new(&format!("{tenant}{index}"), &[]).tenant(tenant).job()).collect();
        client.enqueue_many(jobs).await.unwrap();
    }
    let listed = client.jobs(QUEUE, JobStateKind::Ready, 1_000).await.unwrap();
    assert_eq!(listed.len(), 100);
    let tenants: Vec<_> = listed[..4].iter().map(|record| record.tenant.as_deref().unwrap()).collect();
    assert_eq!(tenants, ["a", "b", "a", "b"]);
    assert_eq!(client.jobs(QUEUE, JobStateKind::Ready, 3).await.unwrap().len(), 3);
    assert!(client.jobs(QUEUE, JobStateKind::Ready, 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn bytes_that_are_no_job_are_shown_as_they_are() {
    let server = Redis::start().await;
    let client = server.client().await;
    let _: u64 = server.ask(&["HSET", &Redis::key(QUEUE, "jobs"), "odd", "no job at all"]).await;
    let _: u64 = server.ask(&["ZADD", &Redis::key(QUEUE, "scheduled"), "5", "odd"]).await;
    let record = client.job(QUEUE, "odd").await.unwrap().unwrap();
    assert_eq!((record.job.as_str(), record.payload.as_str()), ("", "no job at all"));
    assert_eq!(record.state, JobState::Scheduled { due_ms: 5 });
}

/// The recorder of this test process; there can be only one.
fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let seconds = Matcher::Suffix("_seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, &DURATION_BUCKETS).unwrap();
        let handle = builder.install_recorder().unwrap();
        describe_metrics();
        handle
    })
}

#[tokio::test]
async fn every_metric_says_what_it_is_and_the_gauges_follow_the_queue() {
    let recorder = recorder();
    let mut server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    client.enqueue(Act::new("again", &[Step::Retry, Step::Done]).job()).await.unwrap();
    let working = lab.work(&client, worker(1));
    lab.began("again", 2).await;
    working.stop().await.unwrap();
    client.enqueue(Act::new("waits", &[Step::Done]).job()).await.unwrap();
    client.pause(QUEUE, PauseTarget::Queue, "ada", "maintenance").await.unwrap();
    client.export(&[QUEUE]).await.unwrap();

    let text = recorder.render();
    for metric in ["queue_jobs_enqueued_total", "queue_jobs_claimed_total", "queue_jobs_settled_total"] {
        assert!(text.contains(&format!("# TYPE {metric} counter")), "{metric}\n{text}");
    }
    for metric in ["queue_job_wait_seconds", "queue_job_run_seconds"] {
        assert!(text.contains(&format!("# TYPE {metric} histogram")), "{metric}\n{text}");
    }
    for gauge in [
        r#"queue_jobs{queue="acts",state="ready"} 1"#,
        r#"queue_jobs{queue="acts",state="dead"} 0"#,
        r#"queue_paused{queue="acts"} 1"#,
        r#"queue_workers{queue="acts",state="starving"} 0"#,
        "queue_redis_up 1",
    ] {
        assert!(text.contains(gauge), "{gauge}\n{text}");
    }
    assert!(text.contains(r#"queue_oldest_ready_seconds{queue="acts"}"#));
    let mut samples = 0;
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        assert!(text.contains(&format!("# HELP {family} ")), "no help for {family}");
        assert!(text.contains(&format!("# TYPE {family} ")), "no type for {family}");
        samples += 1;
    }
    assert!(samples > 20);

    server.kill();
    assert!(client.export(&[QUEUE]).await.is_err());
    assert!(recorder.render().contains("queue_redis_up 0"), "what is not of this moment must not look so");
}
