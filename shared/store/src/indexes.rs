//! Indexes and migrations: what `ratchet migrate` makes true, as often as it is run.

use std::time::Duration;

use bson::{Document, doc};
use mongodb::{
    IndexModel,
    error::{Error, ErrorKind},
    options::IndexOptions,
};

use crate::{Record, Store, StoreError};
use crate::{api_keys::ApiKey, one_time_tokens::OneTimeToken, sessions::Session, throttles::Throttle};
use crate::{
    audit_chains::AuditChain, audit_entries::AuditEntry, balance_entries::BalanceEntry, billing_runs::BillingRun,
    chunks::Chunk, counters::Counter, coupons::CouponRecord, credit_notes::CreditNoteRecord, customers::Customer,
    dead_letters::DeadLetterRecord, event_deliveries::EventDelivery, events::Event, gateway_accounts::GatewayAccount,
    gateway_customers::GatewayCustomer, gateway_events::GatewayEventRecord, idempotency_keys::IdempotencyKey,
    invoices::Invoice, late_marks::LateMark, ledger_entries::LedgerEntry, meters::MeterRecord,
    notifications::Notification, operations::Operation, payment_attempts::PaymentAttempt, plans::PlanRecord,
    plans::PlanVersion, refunds::Refund, schedules::Schedule, schedules::Tick, subscriptions::SubscriptionRecord,
    tax_rates::TaxRateRecord, tenants::Tenant, test_clocks::TestClock, usage_closings::UsageClosing,
    usage_events::UsageEvent, usage_fences::UsageFence, usage_passes::UsagePass, usage_reports::UsageReport,
    users::User, wallets::WalletRecord, webhook_deliveries::WebhookDelivery, webhook_endpoints::WebhookEndpoint,
};

/// The server's code for creating a collection that exists.
const NAMESPACE_EXISTS: i32 = 48;

fn index(keys: Document) -> IndexModel {
    IndexModel::builder().keys(keys).build()
}

fn unique(keys: Document) -> IndexModel {
    IndexModel::builder().keys(keys).options(IndexOptions::builder().unique(true).build()).build()
}

/// The sweep's index, in the order of its pages: only documents about which something remains to be done are in it.
fn sweep() -> IndexModel {
    let options = IndexOptions::builder().partial_filter_expression(doc! { "due_at": { "$exists": true } }).build();
    IndexModel::builder().keys(doc! { "due_clock": 1, "due_at": 1, "_id": 1 }).options(options).build()
}

/// Events that no subscription has claimed; few, since most are claimed as they come.
fn unclaimed() -> IndexModel {
    let options = IndexOptions::builder().partial_filter_expression(doc! { "unclaimed": { "$exists": true } }).build();
    let keys = doc! { "tenant": 1, "unclaimed": 1, "customer": 1, "meter": 1, "timestamp": 1 };
    IndexModel::builder().keys(keys).options(options).build()
}

/// Newest first, for clients.
fn list() -> IndexModel {
    index(doc! { "tenant": 1, "created": -1, "_id": -1 })
}

fn expires() -> IndexModel {
    let options = IndexOptions::builder().expire_after(Duration::ZERO).build();
    IndexModel::builder().keys(doc! { "expires_at": 1 }).options(options).build()
}

impl Store {
    /// Creates every collection and index that is missing. Idempotent; safe to run from several processes.
    ///
    /// # Errors
    /// `Unavailable`, or `Duplicate` when stored data violates a unique index.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.ensure_collection::<Tenant>().await?;
        self.ensure_collection::<Counter>().await?;
        self.ensure_collection::<UsagePass>().await?;
        self.ensure_collection::<Schedule>().await?;
        self.ensure_collection::<GatewayAccount>().await?;
        self.ensure_collection::<GatewayCustomer>().await?;
        self.ensure::<User>([unique(doc! { "email": 1 }), list()]).await?;
        self.ensure::<OneTimeToken>([index(doc! { "tenant": 1, "user": 1 }), expires()]).await?;
        self.ensure::<Session>([unique(doc! { "family_hash": 1 }), index(doc! { "tenant": 1, "user": 1 }), expires()])
            .await?;
        self.ensure::<ApiKey>([unique(doc! { "hash": 1 }), list()]).await?;
        self.ensure::<Throttle>([expires()]).await?;
        self.ensure::<Customer>([list()]).await?;
        self.ensure::<BalanceEntry>([index(doc! { "tenant": 1, "customer": 1, "created": -1, "_id": -1 })]).await?;
        self.ensure::<WalletRecord>([list(), index(doc! { "tenant": 1, "customer": 1, "balance_minor": 1 })]).await?;
        self.ensure::<CreditNoteRecord>([
            list(),
            index(doc! { "tenant": 1, "invoice": 1, "created": -1 }),
            index(doc! { "tenant": 1, "customer": 1, "created": -1 }),
        ])
        .await?;
        self.ensure::<MeterRecord>([unique(doc! { "tenant": 1, "meter.key": 1 }), list()]).await?;
        self.ensure::<PlanRecord>([unique(doc! { "tenant": 1, "plan.key": 1 }), list()]).await?;
        self.ensure_collection::<PlanVersion>().await?;
        self.ensure::<TaxRateRecord>([list()]).await?;
        self.ensure::<CouponRecord>([unique(doc! { "tenant": 1, "coupon.key": 1 }), list()]).await?;
        self.ensure::<SubscriptionRecord>([sweep(), list(), index(doc! { "tenant": 1, "customer": 1, "due_at": 1 })])
            .await?;
        let by_time = index(doc! { "tenant": 1, "customer": 1, "meter": 1, "timestamp": 1 });
        self.ensure::<UsageEvent>([by_time, unclaimed()]).await?;
        self.ensure::<UsageReport>([sweep()]).await?;
        self.ensure::<UsageFence>([index(doc! { "tenant": 1, "customer": 1 })]).await?;
        self.ensure::<LateMark>([index(doc! { "tenant": 1, "subscription": 1 })]).await?;
        self.ensure::<UsageClosing>([index(doc! { "tenant": 1, "subscription": 1, "to": 1 })]).await?;
        self.ensure::<Invoice>([
            sweep(),
            list(),
            index(doc! { "tenant": 1, "chunk": 1, "status": 1 }),
            index(doc! { "tenant": 1, "billing_run": 1, "created": -1, "_id": -1 }),
            index(doc! { "tenant": 1, "customer": 1, "created": -1 }),
            index(doc! { "tenant": 1, "subscription": 1, "created": -1 }),
            index(doc! { "tenant": 1, "number": 1 }),
        ])
        .await?;
        self.ensure::<LedgerEntry>([
            index(doc! { "tenant": 1, "_id": 1 }),
            index(doc! { "tenant": 1, "customer": 1 }),
            index(doc! { "tenant": 1, "invoice": 1 }),
        ])
        .await?;
        self.ensure::<PaymentAttempt>([
            list(),
            index(doc! { "tenant": 1, "invoice": 1 }),
            index(doc! { "tenant": 1, "gateway_payment": 1 }),
        ])
        .await?;
        self.ensure::<Refund>([sweep(), list(), index(doc! { "tenant": 1, "payment": 1 })]).await?;
        self.ensure::<GatewayEventRecord>([sweep(), list()]).await?;
        self.ensure::<BillingRun>([sweep(), list()]).await?;
        self.ensure::<Chunk>([sweep(), index(doc! { "tenant": 1, "run": 1, "state": 1 })]).await?;
        self.ensure::<Notification>([sweep(), index(doc! { "tenant": 1, "chunk": 1, "state": 1 })]).await?;
        self.ensure::<Event>([
            sweep(),
            list(),
            index(doc! { "tenant": 1, "type": 1, "created": -1, "_id": -1 }),
            index(doc! { "tenant": 1, "related": 1, "created": -1, "_id": -1 }),
        ])
        .await?;
        self.ensure::<EventDelivery>([sweep(), expires()]).await?;
        self.ensure::<Operation>([sweep(), list()]).await?;
        self.ensure::<WebhookEndpoint>([list()]).await?;
        self.ensure::<WebhookDelivery>([
            sweep(),
            list(),
            expires(),
            index(doc! { "tenant": 1, "endpoint": 1, "created": -1, "_id": -1 }),
        ])
        .await?;
        self.ensure::<DeadLetterRecord>([index(doc! { "state": 1, "_id": 1 })]).await?;
        self.ensure::<AuditEntry>([
            sweep(),
            list(),
            index(doc! { "tenant": 1, "seal.number": 1, "_id": 1 }),
            index(doc! { "tenant": 1, "subject": 1, "created": -1, "_id": -1 }),
        ])
        .await?;
        self.ensure_collection::<AuditChain>().await?;
        self.ensure::<Tick>([sweep()]).await?;
        self.ensure::<TestClock>([sweep(), list()]).await?;
        self.ensure::<IdempotencyKey>([expires()]).await
    }

    async fn ensure<R: Record>(&self, indexes: impl IntoIterator<Item = IndexModel>) -> Result<(), StoreError> {
        self.collection::<R>().create_indexes(indexes).await?;
        Ok(())
    }

    /// Creates a collection without indexes of its own, if it is missing: created by the first transaction that writes to it,
    /// it would abort every other one that does.
    async fn ensure_collection<R: Record>(&self) -> Result<(), StoreError> {
        match self.database().create_collection(R::COLLECTION).await.map_err(|error| *error.kind) {
            Err(ErrorKind::Command(error)) if error.code == NAMESPACE_EXISTS => Ok(()),
            outcome => Ok(outcome.map_err(Error::from)?),
        }
    }
}
