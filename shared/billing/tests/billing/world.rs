//! One installation with one tenant in test mode, and what its owner does: plans, customers, subscriptions, usage.

use std::collections::BTreeMap;

use billing::{
    Actor, Billing, BillingError, Ingestion, MailedToken, NewBillingRun, NewCustomer, NewPlan, NewSubscription,
    NewTenant, NewUsageEvent, Request, TenantTime, UsageSubject,
};
use domain::{BillingCycle, Meter, Plan};
use jiff::Timestamp;
use store::{BillingRun, Customer, SubscriptionRecord, TestClock, UnitOfWork};

use crate::servers::Gateway;

pub(crate) const TENANT: &str = "ten_1";
/// The wall clock: before any gateway's, which runs on the machine's.
pub(crate) const WALL: Timestamp = Timestamp::constant(1_577_836_800, 0);
/// Where the tenant's test clock stands.
pub(crate) const NOW: &str = "2026-08-01T12:00:00Z";

pub(crate) struct World {
    pub(crate) billing: Billing,
    /// The same database, for looking at it behind the product's back.
    pub(crate) database: mongodb::Database,
    pub(crate) gateway: Gateway,
}

/// An event of the meter `calls`.
pub(crate) fn event(id: &str, subject: UsageSubject, timestamp: &str) -> NewUsageEvent {
    NewUsageEvent {
        id: id.to_owned(),
        subject,
        meter: "calls".to_owned(),
        timestamp: timestamp.parse().unwrap(),
        properties: BTreeMap::new(),
        replaces: None,
    }
}

/// The report of a batch, which is tried again under the same id.
pub(crate) fn report_id(events: &[NewUsageEvent]) -> String {
    format!("urp_{}", events.first().map_or("", |event| &event.id))
}

pub(crate) fn actor() -> Actor {
    Actor { tenant: TENANT.to_owned(), id: "usr_1".to_owned(), request_id: None }
}

impl World {
    /// Registers the tenant, puts it on its clock and makes the meters `calls` and `lines` and the plans `dev` (20.00 in
    /// advance, usage in arrears) and `base` (20.00 in advance).
    pub(crate) async fn set_up(&self) {
        let store = &self.billing.store;
        let new = NewTenant {
            tenant_id: TENANT.to_owned(),
            user_id: "usr_1".to_owned(),
            organization: "Acme".to_owned(),
            name: "Ada".to_owned(),
            email: "ada@example.com".to_owned(),
            password_hash: "none".to_owned(),
            token: MailedToken { hash: "none".to_owned(), link: "https://example.com".to_owned().into() },
        };
        let tenant = billing::register_tenant(store, new, &Request { wall: WALL, request_id: None }).await.unwrap();
        self.billing.commit(tenant).await.unwrap();
        // The tests count mails about bills.
        let welcome = [store::notification_id("none", "verify_email")];
        store.notifications_sent(TENANT, &welcome, WALL).await.unwrap();
        let clock = ("clk_1".to_owned(), NOW.parse().unwrap());
        let clock = billing::create_test_clock(store, &actor(), WALL, clock).await.unwrap();
        self.billing.commit(clock).await.unwrap();
        self.meter("mtr_1", r#"{"key":"calls","aggregation":"count"}"#).await;
        self.meter("mtr_2", r#"{"key":"lines","aggregation":"sum","value_property":"lines"}"#).await;
        let base = r#"{"key":"base","kind":"fixed","timing":"advance","model":{"type":"flat","amount":"20.00"}}"#;
        let usage = |meter: &str| {
            format!(
                r#"{{"key":"{meter}","kind":"usage","timing":"arrears","meter":"{meter}",
                    "model":{{"type":"per_unit","unit_amount":"0.10"}}}}"#
            )
        };
        self.plan("pln_dev", "dev", &[base, &usage("calls"), &usage("lines")].join(",")).await;
        self.plan("pln_base", "base", base).await;
    }

    pub(crate) async fn time(&self) -> TenantTime {
        TenantTime::read(&self.billing.store, TENANT, WALL).await.unwrap()
    }

    /// Adds a meter.
    pub(crate) async fn meter(&self, id: &str, spec: &str) {
        let meter: Meter = serde_json::from_str(spec).unwrap();
        let (store, time) = (&self.billing.store, self.time().await);
        let change =
            billing::create_meter(store, &actor(), &time, (id.to_owned(), meter, BTreeMap::new())).await.unwrap();
        self.billing.commit(change).await.unwrap();
    }

    pub(crate) async fn plan(&self, id: &str, key: &str, prices: &str) {
        let spec = format!(r#"{{"key":"{key}","currency":"usd","interval":"month","prices":[{prices}]}}"#);
        self.plan_of(id, &spec).await;
    }

    /// Adds a plan of any kind.
    pub(crate) async fn plan_of(&self, id: &str, spec: &str) {
        let plan: Plan = serde_json::from_str(spec).unwrap();
        let (store, time) = (&self.billing.store, self.time().await);
        let new = NewPlan { id: id.to_owned(), plan, metadata: BTreeMap::new() };
        let change = billing::create_plan(store, &actor(), &time, new).await.unwrap();
        self.billing.commit(change).await.unwrap();
    }

    /// A customer in UTC who pays with `token`.
    pub(crate) async fn customer(&self, id: &str, token: &str) -> Customer {
        self.customer_with_grace(id, token, 0).await
    }

    /// The same, whose periodic invoices stay drafts for some days.
    pub(crate) async fn customer_with_grace(&self, id: &str, token: &str, invoice_grace_days: u16) -> Customer {
        let new = NewCustomer {
            name: format!("Customer {id}"),
            email: format!("{id}@example.com"),
            address: None,
            currency: "usd".parse().unwrap(),
            timezone: "UTC".parse().unwrap(),
            locale: domain::Locale::default(),
            tax_rates: Vec::new(),
            tax_rounding: domain::TaxRounding::default(),
            payment_method: Some(token.to_owned()),
            invoice_grace_days,
            metadata: BTreeMap::new(),
        };
        let change = billing::create_customer(&actor(), &self.time().await, id.to_owned(), new).unwrap();
        self.billing.commit(change).await.unwrap()
    }

    /// Creates a subscription; its initial invoice is issued with it.
    pub(crate) async fn subscribe(
        &self,
        id: &str,
        (customer, plan): (&str, &str),
        start: &str,
    ) -> Result<SubscriptionRecord, BillingError> {
        let new = NewSubscription {
            customer: customer.to_owned(),
            plan: plan.to_owned(),
            billing_cycle: BillingCycle::Calendar,
            quantities: BTreeMap::new(),
            start_at: Some(start.parse().unwrap()),
            ..NewSubscription::default()
        };
        let (store, time) = (&self.billing.store, self.time().await);
        let change = billing::create_subscription(store, &actor(), &time, (id.to_owned(), new)).await?;
        self.billing.commit(change).await
    }

    /// A customer `cus_{name}` with a subscription `sub_{name}` to a plan since a start.
    pub(crate) async fn subscriber(&self, name: &str, (plan, token): (&str, &str), start: &str) {
        let customer = self.customer(&format!("cus_{name}"), token).await;
        while let Err(error) = self.subscribe(&format!("sub_{name}"), (&customer.id, plan), start).await {
            assert!(error.is_conflict(), "{error}");
        }
    }

    /// Reports `lines` lines by a customer at an instant.
    pub(crate) async fn lines(&self, id: &str, customer: &str, (timestamp, lines): (&str, &str)) {
        let properties = BTreeMap::from([("lines".to_owned(), lines.to_owned())]);
        let event = NewUsageEvent {
            meter: "lines".to_owned(),
            properties,
            ..event(id, UsageSubject::Customer(customer.to_owned()), timestamp)
        };
        let outcome = self.report(&[event]).await;
        assert_eq!(outcome.accepted, 1, "{outcome:?}");
    }

    /// Reports events.
    pub(crate) async fn report(&self, events: &[NewUsageEvent]) -> Ingestion {
        billing::ingest_usage(&self.billing.store, (TENANT, &report_id(events)), events, WALL).await.unwrap()
    }

    /// Moves the tenant's clock to an instant.
    pub(crate) async fn move_clock(&self, to: Timestamp) {
        let mut clock: TestClock = self.billing.store.find(TENANT, "clk_1").await.unwrap().unwrap();
        clock.now = to;
        let mut unit = UnitOfWork::default();
        unit.replace(&mut clock).unwrap();
        self.billing.store.commit(unit).await.unwrap();
    }

    /// Creates a run up to now.
    pub(crate) async fn run(&self, id: &str) -> BillingRun {
        let new = NewBillingRun { id: id.to_owned(), as_of: None };
        let change = billing::create_billing_run(&actor(), &self.time().await, new).unwrap();
        self.billing.commit(change).await.unwrap()
    }

    /// Copies `cus_000` and `sub_000` until there are `count` of each.
    pub(crate) async fn multiply(&self, count: usize) {
        for (collection, prefix) in [("customers", "cus"), ("subscriptions", "sub")] {
            let documents = self.database.collection::<bson::Document>(collection);
            let first = documents.find_one(bson::doc! { "_id": format!("{prefix}_000") }).await.unwrap().unwrap();
            let copy = |index: usize| {
                let mut copy = first.clone();
                copy.insert("_id", format!("{prefix}_{index:03}"));
                if collection == "subscriptions" {
                    copy.insert("customer", format!("cus_{index:03}"));
                }
                copy
            };
            documents.insert_many((1..count).map(copy)).await.unwrap();
        }
    }
}
