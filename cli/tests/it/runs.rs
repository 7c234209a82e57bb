//! `ratchet runs`, on a database of the test's own and with real workers.

use std::{collections::BTreeMap, process::Command};

use app::{App, AppConfig, Shutdown};
use billing::{Actor, NewBillingRun, NewCustomer, NewPlan, NewSubscription, NewTenant, TenantTime};
use clap::Parser;
use serde_json::{Value, json};
use services::{Mongo, Redis};
use tempfile::TempDir;

use crate::harness::{BINARY, Printed};

const TENANT: &str = "ten_1";
const PLAN: &str = r#"{"key":"base","currency":"usd","interval":"month","prices":[
    {"key":"base","kind":"fixed","timing":"advance","model":{"type":"flat","amount":"20.00"}}]}"#;

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    app: AppConfig,
}

/// An installation without payment gateway and mail server: a customer that pays by invoice needs none, and its mails wait.
struct Installation {
    app: App,
    mongo: Mongo,
    redis: Redis,
    _folder: TempDir,
}

impl Installation {
    async fn start() -> Self {
        app::init_tls();
        let folder = TempDir::with_prefix("ratchet-runs-").expect("a folder");
        let service = |name: &str| {
            let path = folder.path().canonicalize().expect("a path").join(name);
            std::fs::create_dir(&path).expect("a folder");
            path
        };
        let mongo = Mongo::start(&service("mongo")).expect("MongoDB");
        let redis = Redis::start(&service("redis")).expect("Redis");
        let (mongo_uri, redis_url) = (mongo.uri(), redis.url());
        let arguments = ["test", "--mongodb-uri", &mongo_uri, "--redis-url", &redis_url];
        let app = App::connect(Settings::parse_from(arguments).app).await.expect("connected");
        app.billing.store.migrate().await.expect("migrated");
        Self { app, mongo, redis, _folder: folder }
    }

    fn ratchet(&self, arguments: &[&str]) -> Printed {
        let mut command = Command::new(BINARY);
        command.env_clear().env("MONGODB_URI", self.mongo.uri()).env("REDIS_URL", self.redis.url());
        command.env("RATCHET_TENANT", TENANT).env("USER", "ada").args(arguments);
        Printed::of(command.output().expect("the binary"))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        self.ratchet(&[&["runs", "--json"], arguments].concat()).json()
    }

    async fn time(&self) -> TenantTime {
        TenantTime::read(&self.app.billing.store, TENANT, self.app.clock.now()).await.expect("a time")
    }

    /// A tenant on a test clock with one subscriber, of whom two months are due.
    async fn subscriber(&self) {
        let (billing, wall) = (&self.app.billing, self.app.clock.now());
        let new = NewTenant {
            tenant_id: TENANT.to_owned(),
            user_id: "usr_1".to_owned(),
            organization: "Acme".to_owned(),
            name: "Ada".to_owned(),
            email: "ada@example.com".to_owned(),
            password_hash: "none".to_owned(),
            token: billing::MailedToken { hash: "none".to_owned(), link: "https://example.com".to_owned().into() },
        };
        let actor = Actor::system(TENANT);
        let tenant = billing::register_tenant(&billing.store, new, &billing::Request { wall, request_id: None })
            .await
            .expect("decided");
        billing.commit(tenant).await.expect("committed");
        let clock = ("clk_1".to_owned(), "2026-08-01T12:00:00Z".parse().expect("a time"));
        let clock = billing::create_test_clock(&billing.store, &actor, wall, clock).await.expect("decided");
        billing.commit(clock).await.expect("committed");
        let time = self.time().await;
        let plan = serde_json::from_str(PLAN).expect("a plan");
        let plan = NewPlan { id: "pln_1".to_owned(), plan, metadata: BTreeMap::new() };
        let plan = billing::create_plan(&billing.store, &actor, &time, plan).await.expect("decided");
        billing.commit(plan).await.expect("committed");
        let customer = NewCustomer {
            name: "Bob".to_owned(),
            email: "bob@example.com".to_owned(),
            address: None,
            currency: "usd".parse().expect("a currency"),
            timezone: "UTC".parse().expect("a zone"),
            locale: domain::Locale::default(),
            tax_rates: Vec::new(),
            tax_rounding: domain::TaxRounding::default(),
            payment_method: None,
            invoice_grace_days: 0,
            metadata: BTreeMap::new(),
        };
        let customer = billing::create_customer(&actor, &time, "cus_1".to_owned(), customer).expect("decided");
        billing.commit(customer).await.expect("committed");
        let new = NewSubscription {
            customer: "cus_1".to_owned(),
            plan: "pln_1".to_owned(),
            billing_cycle: domain::BillingCycle::Calendar,
            start_at: Some("2026-06-10T00:00:00Z".parse().expect("a time")),
            ..NewSubscription::default()
        };
        let new = ("sub_1".to_owned(), new);
        let subscription = billing::create_subscription(&billing.store, &actor, &time, new).await.expect("decided");
        billing.commit(subscription).await.expect("committed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_started_steered_and_followed_to_its_end() {
    let installation = Installation::start().await;
    let nobody = installation.ratchet(&["runs", "list"]).refused();
    assert!(nobody.contains("there is no tenant ten_1"), "{nobody}");
    installation.subscriber().await;

    let late = installation.ratchet(&["runs", "start", "--as-of", "2026-08-01T12:00:01Z"]).refused();
    assert!(late.contains("as_of must not be later"), "{late}");
    let run = installation.json(&["start"]);
    let id = run["id"].as_str().expect("an id");
    assert_eq!((&run["state"], &run["percent_done"]), (&json!("planning"), &json!(null)));
    assert_eq!(installation.json(&["pause", id])["state"], "paused");
    let again = installation.ratchet(&["runs", "pause", id]).refused();
    assert!(again.contains("a billing run that is paused cannot become paused"), "{again}");
    assert!(installation.ratchet(&["runs", "watch", id]).ok().contains("paused  still planning"));
    assert_eq!(installation.json(&["resume", id])["state"], "planning");

    let stop = Shutdown::new();
    let working = tokio::spawn(workers::run(installation.app.clone(), workers::all_queues(), stop.clone()));
    let watched = installation.ratchet(&["runs", "watch", id, "--json"]).ok();
    let last: Value = serde_json::from_str(watched.lines().last().expect("a line")).expect("JSON");
    assert_eq!((&last["state"], &last["percent_done"]), (&json!("completed"), &json!(100)));
    assert_eq!((&last["totals"]["subscriptions"], &last["totals"]["invoiced"]), (&json!(1), &json!(2)));
    assert_eq!(last["amounts"], json!([{ "currency": "usd", "invoiced_minor": 4_000, "collected_minor": 0 }]));
    stop.cancel();
    working.await.expect("no panic").expect("workers");

    assert_eq!(installation.json(&["show", id]), last);
    let table = installation.ratchet(&["runs", "list"]).ok();
    assert!(table.contains(id) && table.contains("completed") && table.contains("100 %"), "{table}");
    let nothing = installation.ratchet(&["runs", "retry-failed", id]).refused();
    assert!(nothing.contains("nothing failed"), "{nothing}");
    let unknown = installation.ratchet(&["runs", "cancel", "run_none"]).refused();
    assert!(unknown.contains("the tenant has no billing run run_none"), "{unknown}");
    let new = NewBillingRun { id: "run_2".to_owned(), as_of: None };
    let change = billing::create_billing_run(&Actor::system(TENANT), &installation.time().await, new);
    installation.app.billing.commit(change.expect("decided")).await.expect("committed");
    assert_eq!(installation.json(&["cancel", "run_2"])["state"], "cancelled");
}
