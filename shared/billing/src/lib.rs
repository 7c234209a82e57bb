//! The use cases: one file per action, each of which loads, decides with `domain` and commits; and the catalogue of jobs.
//!
//! Called by the API, the workers and the scheduler, which add nothing of their own. Time, ids and the acting user are
//! arguments. Forward through a month: [`start_due_runs`] -> [`plan_billing_run`] -> [`calculate_usage`] ->
//! [`generate_invoices`] -> [`collect_chunk`] -> [`send_chunk_notifications`].

mod actor;
mod advance_operation;
mod apply_coupon;
mod calculate_usage;
mod cancel_subscription;
mod change_subscription;
mod chunk_stage;
mod collect_payments;
mod context;
mod create_billing_run;
mod create_coupon;
mod create_customer;
mod create_meter;
mod create_plan;
mod create_subscription;
mod create_test_clock;
mod dispatch_events;
mod error;
mod generate_invoices;
mod ingest_usage;
mod issue_invoice;
pub mod jobs;
mod loaded_subscription;
mod mail_content;
mod measure_usage;
mod mirror_dead_letters;
mod pause_subscription;
mod plan_billing_run;
mod preview_invoice;
mod register_tenant;
mod send_notifications;
mod settle_payment;
mod start_due_runs;
mod start_operation;
mod subscription_desk;
mod sweep;
mod tenant_time;
mod upcoming_invoice;

pub use actor::Actor;
pub use advance_operation::{Advance, advance_operation};
pub use apply_coupon::apply_coupon;
pub use calculate_usage::calculate_usage;
pub use cancel_subscription::cancel_subscription;
pub use change_subscription::{SubscriptionChange, When, change_subscription};
pub use collect_payments::{collect_chunk, collect_invoice};
pub use context::{Billing, Change, Progress};
pub use create_billing_run::{NewBillingRun, create_billing_run};
pub use create_coupon::create_coupon;
pub use create_customer::{NewCustomer, create_customer};
pub use create_meter::create_meter;
pub use create_plan::create_plan;
pub use create_subscription::{NewSubscription, create_subscription};
pub use create_test_clock::create_test_clock;
pub use dispatch_events::{dispatch_events, event_channel};
pub use error::BillingError;
pub use generate_invoices::generate_invoices;
pub use ingest_usage::{Ingestion, NewUsageEvent, Rejection, UsageSubject, ingest_usage};
pub use mirror_dead_letters::mirror_dead_letters;
pub use pause_subscription::{pause_subscription, resume_subscription};
pub use plan_billing_run::plan_billing_run;
pub use preview_invoice::{Prospect, preview_invoice};
pub use register_tenant::{NewTenant, register_tenant};
pub use send_notifications::{send_chunk_notifications, send_notification};
pub use start_due_runs::start_due_runs;
pub use start_operation::{DEFAULT_PACE, NewOperation, count_dead_letters, start_operation};
pub use sweep::{Sweep, rebuild_deliveries, sweep_overdue};
pub use tenant_time::TenantTime;
pub use upcoming_invoice::{PriceUsage, UpcomingInvoice, upcoming_invoice, usage_so_far};
