//! Two schedulers at once, on a real database and a real Redis: every tick is made once and starts each run once, and what
//! dies is mirrored.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, time::Duration};

use app::{App, AppConfig, Shutdown};
use billing::{
    Actor, NewCustomer, NewPlan, NewSubscription, NewTenant, TenantTime,
    jobs::{CalculateUsage, queues},
};
use clap::Parser;
use jiff::{Timestamp, ToSpan};
use queue::NewJob;
use services::{Mongo, Redis};
use store::{BillingRun, CatchUp, ListFilter, PageRequest, Schedule, ScheduleDefinition, UnitOfWork};
use tempfile::TempDir;

const TENANT: &str = "ten_1";
const PLAN: &str = r#"{ "key": "base", "name": "Base", "currency": "usd", "interval": "month", "prices": [
    { "key": "base", "kind": "fixed", "timing": "advance", "model": { "type": "flat", "amount": "20.00" } } ] }"#;

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    app: AppConfig,
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schedulers_make_each_tick_and_run_once() {
    let folder = TempDir::with_prefix("ratchet-scheduler-").unwrap();
    let service = |name: &str| {
        let path = folder.path().canonicalize().unwrap().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let (mongo, redis) = (Mongo::start(&service("mongo")).unwrap(), Redis::start(&service("redis")).unwrap());
    app::init_tls();
    let settings = Settings::parse_from(["test", "--mongodb-uri", &mongo.uri(), "--redis-url", &redis.url()]);
    let app = App::connect(settings.app).await.unwrap();
    app.billing.store.migrate().await.unwrap();
    let now = app.clock.now();
    subscribe(&app, now - 1_000.hours()).await;
    // As if no scheduler had run for three hours: one tick is made up for, not three.
    let mut missed = UnitOfWork::default();
    let definition =
        ScheduleDefinition { cron: "0 * * * *".to_owned(), zone: "UTC".to_owned(), catch_up: CatchUp::Latest };
    let schedule = Schedule {
        id: "billing_cycle".to_owned(),
        revision: 1,
        created: now - 4.hours(),
        definition,
        cursor: now - 3.hours(),
        last_at: None,
        next_at: None,
        missed: 0,
        paused_at: None,
    };
    missed.insert(&schedule).unwrap();
    app.billing.store.commit(missed).await.unwrap();

    let shutdown = Shutdown::new();
    let schedulers = [0, 1].map(|_| tokio::spawn(scheduler::run(app.clone(), shutdown.clone())));
    let worker = tokio::spawn(workers::run(app.clone(), vec![queues::USAGE.to_owned()], shutdown.clone()));
    let fatal = CalculateUsage { tenant: TENANT.to_owned(), chunk: "chk_unknown".to_owned(), pass: 1 };
    app.billing.queue.enqueue(NewJob::of(&fatal).unwrap()).await.unwrap();
    let started = async {
        while runs(&app).await.is_empty() || app.billing.queue.generation().await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        while app.billing.store.lost_dead_letters(None, 10).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), started).await.unwrap();
    shutdown.cancel();
    for role in schedulers.into_iter().chain([worker]) {
        role.await.unwrap().unwrap();
    }

    assert_eq!(runs(&app).await.len(), 1);
    let schedule = app.billing.store.schedule("billing_cycle").await.unwrap().unwrap();
    assert!(schedule.cursor > now - 1.hours(), "the cursor has moved to the last full hour: {schedule:?}");
    assert_eq!((schedule.last_at, schedule.missed), (Some(schedule.cursor), 2));
    assert!(schedule.next_at.is_some_and(|next| next > now), "{schedule:?}");
    let jobs = app.billing.queue.depth("billing_cycle").await.unwrap();
    assert_eq!(jobs.ready, 1, "the run's job is there, once");
}

async fn runs(app: &App) -> Vec<BillingRun> {
    let request = PageRequest { limit: 100, starting_after: None, ending_before: None };
    let page = app.billing.store.list::<BillingRun>(TENANT, ListFilter::default(), &request).await.unwrap();
    page.unwrap().data
}

/// A tenant on the wall clock with one subscription that has missed a boundary.
async fn subscribe(app: &App, start: Timestamp) {
    let (billing, store) = (&app.billing, &app.billing.store);
    let wall = app.clock.now();
    let new = NewTenant {
        tenant_id: TENANT.to_owned(),
        user_id: "usr_1".to_owned(),
        organization: "Acme".to_owned(),
        name: "Ada".to_owned(),
        email: "ada@example.com".to_owned(),
        password_hash: "none".to_owned(),
        token: billing::MailedToken { hash: "none".to_owned(), link: "https://example.com".to_owned().into() },
    };
    billing
        .commit(billing::register_tenant(store, new, &billing::Request { wall, request_id: None }).await.unwrap())
        .await
        .unwrap();
    let actor = Actor::system(TENANT);
    let time = TenantTime::read(store, TENANT, wall).await.unwrap();
    let plan = serde_json::from_str(PLAN).unwrap();
    let plan = NewPlan { id: "pln_1".to_owned(), plan, metadata: BTreeMap::new() };
    billing.commit(billing::create_plan(store, &actor, &time, plan).await.unwrap()).await.unwrap();
    let customer = NewCustomer {
        address: None,
        name: "Customer".to_owned(),
        email: "customer@example.com".to_owned(),
        currency: "usd".parse().unwrap(),
        timezone: "UTC".parse().unwrap(),
        locale: domain::Locale::default(),
        tax_rates: Vec::new(),
        tax_rounding: domain::TaxRounding::default(),
        invoice_grace_days: 0,
        payment_method: None,
        metadata: BTreeMap::new(),
    };
    let customer = billing::create_customer(&actor, &time, "cus_1".to_owned(), customer).unwrap();
    billing.commit(customer).await.unwrap();
    let subscription = NewSubscription {
        customer: "cus_1".to_owned(),
        plan: "pln_1".to_owned(),
        billing_cycle: domain::BillingCycle::Calendar,
        start_at: Some(start),
        ..NewSubscription::default()
    };
    let change = billing::create_subscription(store, &actor, &time, ("sub_1".to_owned(), subscription)).await.unwrap();
    billing.commit(change).await.unwrap();
}
