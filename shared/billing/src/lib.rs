//! The use cases: one file per action, each of which loads, decides with `domain` and commits; and the catalogue of jobs.
//!
//! Called by the API, the workers and the scheduler, which add nothing of their own. Time, ids and the acting user are
//! arguments. Forward through a month: [`start_due_runs`] -> [`plan_billing_run`] -> [`calculate_usage`] ->
//! [`generate_invoices`] -> [`collect_chunk`] -> [`send_chunk_notifications`].

mod accounts;
mod actor;
mod adjust_balance;
mod adjust_usage;
mod advance_operation;
mod advance_test_clock;
mod apply_coupon;
mod archive;
mod ask_gateway;
mod audit_chain;
mod bill_occasion;
mod calculate_usage;
mod cancel_subscription;
mod change_subscription;
mod chunk_stage;
mod close_usage;
mod collect_payments;
mod context;
mod create_billing_run;
mod create_coupon;
mod create_credit_note;
mod create_customer;
mod create_meter;
mod create_one_off_invoice;
mod create_plan;
mod create_subscription;
mod create_tax_rate;
mod create_test_clock;
mod create_wallet;
mod delete_customer;
mod deliver_event;
mod dispatch_events;
mod dunning;
mod error;
mod event_type;
mod finalize_invoice;
mod find_customer;
mod generate_invoices;
mod ingest_usage;
mod invoice_state;
mod issue_invoice;
pub mod jobs;
mod ledger;
mod loaded_subscription;
mod mails;
mod mark_uncollectible;
mod measure_usage;
mod mirror_dead_letters;
mod open_attempts;
mod patch;
mod pause_subscription;
mod pay_invoice;
mod payment_gateway;
mod plan_billing_run;
mod preview_invoice;
mod purse;
mod receive_webhook;
mod refresh_draft;
mod refund_payment;
mod seal_audit;
mod send_invoice;
mod send_notifications;
mod settle_payment;
mod standing;
mod start_due_runs;
mod start_operation;
mod steer_billing_run;
mod steer_schedule;
mod subscribers;
mod subscription_desk;
mod sweep;
mod tenant_time;
mod upcoming_invoice;
mod update_customer;
mod update_plan;
mod update_subscription;
mod update_tenant;
mod usage_subjects;
mod verify_audit;
mod void_invoice;
mod webhooks;

pub use accounts::{
    MailedToken, Manager, NewAccount, NewApiKey, NewMember, NewSession, NewTenant, Refreshed, Request, UserChange,
    change_user, create_api_key, delete_user, end_session, invite_user, onboard_customer, open_session,
    refresh_session, register_tenant, request_password_reset, resend_verification, reset_password, revoke_api_key,
    roll_api_key, verify_email,
};
pub use actor::Actor;
pub use adjust_balance::{BalanceAdjustment, adjust_balance};
pub use advance_operation::{Advance, advance_operation};
pub use advance_test_clock::{advance_test_clock, advancing, start_advance};
pub use apply_coupon::apply_coupon;
pub use archive::{Archivable, archive};
pub use calculate_usage::calculate_usage;
pub use cancel_subscription::cancel_subscription;
pub use change_subscription::{SubscriptionChange, When, change_subscription};
pub use chunk_stage::run_channel;
pub use collect_payments::{collect_chunk, collect_invoice};
pub use context::{Billing, Change, Progress};
pub use create_billing_run::{NewBillingRun, create_billing_run};
pub use create_coupon::create_coupon;
pub use create_credit_note::{NewCreditNote, create_credit_note};
pub use create_customer::{NewCustomer, create_customer};
pub use create_meter::create_meter;
pub use create_one_off_invoice::{NewOneOffInvoice, create_one_off_invoice};
pub use create_plan::{NewPlan, create_plan};
pub use create_subscription::{NewSubscription, create_subscription};
pub use create_tax_rate::create_tax_rate;
pub use create_test_clock::create_test_clock;
pub use create_wallet::{NewWallet, create_wallet};
pub use delete_customer::{OpenInvoices, delete_customer};
pub use deliver_event::deliver_event;
pub use dispatch_events::{dispatch_events, event_channel};
pub use error::BillingError;
pub use event_type::{EventType, UnknownEventType};
pub use finalize_invoice::finalize_invoice;
pub use generate_invoices::generate_invoices;
pub use ingest_usage::{Ingestion, NewUsageEvent, Rejection, UsageSubject, finish_usage_report, ingest_usage};
pub use mark_uncollectible::mark_uncollectible;
pub use mirror_dead_letters::mirror_dead_letters;
pub use patch::{MAX_METADATA_ENTRIES, MetadataPatch, Patch, Target};
pub use pause_subscription::{pause_subscription, resume_subscription};
pub use pay_invoice::{PaymentAnswer, RecordedPayment, Wanted, open_payment, record_payment, resume_payment};
pub use plan_billing_run::plan_billing_run;
pub use preview_invoice::{Prospect, preview_invoice};
pub use receive_webhook::{Inbound, Received, process_gateway_event, receive_webhook};
pub use refresh_draft::current_invoice;
pub use refund_payment::{NewRefund, create_refund, send_refund};
pub use seal_audit::seal_audit;
pub use send_invoice::send_invoice;
pub use send_notifications::{send_chunk_notifications, send_notification};
pub use start_due_runs::start_due_runs;
pub use start_operation::{DEFAULT_PACE, NewOperation, count_dead_letters, start_operation};
pub use steer_billing_run::{Steering, steer_billing_run};
pub use steer_schedule::{ScheduleAct, steer_schedule};
pub use sweep::{Sweep, rebuild_deliveries, sweep_overdue};
pub use tenant_time::TenantTime;
pub use upcoming_invoice::{PriceUsage, UpcomingInvoice, UsageSoFar, upcoming_invoice, usage_so_far};
pub use update_customer::{CustomerPatch, update_customer};
pub use update_plan::{PlanPatch, PlanSpecPatch, deprecate_plan, update_plan};
pub use update_subscription::{SubscriptionPatch, update_subscription};
pub use update_tenant::{TenantPatch, update_tenant};
pub use verify_audit::{AuditVerification, BrokenLink, Damage, verify_audit};
pub use void_invoice::void_invoice;
pub use webhooks::{
    Delivering, NewReplay, NewWebhookEndpoint, SecretRotation, WebhookEndpointPatch, create_webhook_endpoint,
    delete_webhook_endpoint, deliver_webhook, replay_webhook_deliveries, replay_webhook_delivery,
    rotate_webhook_secret, test_webhook_endpoint, update_webhook_endpoint,
};
