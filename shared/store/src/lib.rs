//! MongoDB, the truth: one file per collection, the unit of work that commits them, indexes and migrations.
//!
//! Owns every document's stored shape and every query. Decides nothing about billing, and is the only crate that names
//! `mongodb` or `bson`.
//!
//! **Invariant:** every query carries the tenant, which comes from the verified caller or from a job; only the sweep, the
//! log-in (a token or key that is brought names its tenant), the scheduler and the mirror of dead letters, which serve
//! all tenants, do without. **Invariant:** a document that exists is changed through
//! [`UnitOfWork`] alone, by compare-and-set on its `revision`, or by a state filter that makes a repeat harmless.

mod api_keys;
mod audit_chains;
mod audit_entries;
mod balance_entries;
mod billing_runs;
mod chunks;
mod client;
mod collection;
mod counters;
mod coupons;
mod credit_notes;
mod customers;
mod dead_letters;
mod due;
mod error;
mod event_deliveries;
mod events;
mod gateway_accounts;
mod gateway_customers;
mod gateway_events;
mod idempotency_keys;
mod ids;
mod indexes;
mod instant;
mod invoices;
mod late_marks;
mod ledger_entries;
mod list;
mod messages;
mod meters;
mod notifications;
mod one_time_tokens;
mod operations;
mod payment_attempts;
mod plans;
mod quantity;
mod record;
mod refunds;
mod run_items;
mod schedules;
mod secret_text;
mod sessions;
mod settings;
mod subscriptions;
mod tax_rates;
mod tenants;
mod test_clocks;
mod throttles;
mod unit_of_work;
mod usage_closings;
mod usage_events;
mod usage_fences;
mod usage_passes;
mod usage_reports;
mod users;
mod wallets;
mod webhook_deliveries;
mod webhook_endpoints;

pub use api_keys::ApiKey;
pub use audit_chains::AuditChain;
pub use audit_entries::{AuditEntry, Seal};
pub use balance_entries::{BalanceEntry, BalanceEntryKind};
pub use billing_runs::{BillingRun, RunAmount, RunError, RunTotals};
pub use chunks::{Chunk, ChunkCounts, ChunkState, ChunkSummary, FailedItem};
pub use client::{Store, StoreConfig};
pub use collection::Collection;
pub use counters::NextNumber;
pub use coupons::CouponRecord;
pub use credit_notes::CreditNoteRecord;
pub use customers::{Address, Customer};
pub use dead_letters::{
    ChangeId, DeadLetterChange, DeadLetterContent, DeadLetterEvent, DeadLetterRecord, DeadLetterState, Handled,
    LostDeadLetter,
};
pub use due::{Due, DueRef};
pub use error::StoreError;
pub use event_deliveries::EventDelivery;
pub use events::Event;
pub use gateway_accounts::{GatewayAccount, StoredSecret, gateway_account_id};
pub use gateway_customers::{GatewayCustomer, GatewayMethod, MAX_GATEWAY_METHODS, gateway_customer_id};
pub use gateway_events::{GatewayEventRecord, GatewayEventResult, gateway_event_id};
pub use idempotency_keys::{Charged, Claim, IdempotencyKey, StoredReply};
pub use ids::{
    balance_entry_id, chunk_id, clock_run_id, default_subscription_id, event_delivery_id, event_id, invoice_id,
    late_mark_id, ledger_entry_id, notification_id, payment_attempt_id, plan_of_version, plan_version_id,
    scheduled_run_id, tick_id, usage_closing_id, usage_pass_id, webhook_delivery_id,
};
pub use invoices::{DraftRecipe, DunningWait, Invoice, InvoiceDunning};
pub use late_marks::LateMark;
pub use ledger_entries::LedgerEntry;
pub use list::{ListFilter, Page, PageRequest};
pub use messages::Message;
pub use meters::MeterRecord;
pub use notifications::{Notification, NotificationState, Recipient};
pub use one_time_tokens::{OneTimeToken, TokenPurpose};
pub use operations::{Operation, OperationCounts, OperationFilter, OperationKind, OperationState, QueueProgress};
pub use payment_attempts::{AttemptFailure, AttemptGateway, AttemptState, Dispute, DisputeState, PaymentAttempt};
pub use plans::{PlanRecord, PlanVersion};
pub use record::{Record, Revised};
pub use refunds::{Refund, RefundState};
pub use run_items::ItemState;
pub use schedules::{CatchUp, Schedule, ScheduleDefinition, Tick};
pub use secret_text::SecretText;
pub use sessions::Session;
pub use subscriptions::{DueSubscriptions, MeteredSpan, MeteredSubscription, SubscriptionRecord};
pub use tax_rates::TaxRateRecord;
pub use tenants::{Brand, Tenant};
pub use test_clocks::{TestClock, UnderWay};
pub use throttles::Throttle;
pub use unit_of_work::{Announced, UnitOfWork};
pub use usage_closings::UsageClosing;
pub use usage_events::{Insertion, Unclaimed, UsageEvent, UsageQuery, UsageSums};
pub use usage_fences::UsageFence;
pub use usage_passes::{IgnoredUsage, LateUsage, RemeasuredWindow, ReopenedClosing, UsagePass, UsagePassEntry};
pub use usage_reports::{TouchedUsage, UsageReport};
pub use users::User;
pub use wallets::WalletRecord;
pub use webhook_deliveries::{DeliveryAttempt, DeliveryState, ReplayScope, WebhookDelivery};
pub use webhook_endpoints::{EndpointState, PreviousSecret, WebhookEndpoint};
