//! One file per job of the catalogue.

mod advance_operation;
mod advance_test_clock;
mod calculate_usage;
mod collect_payment;
mod deliver_event;
mod deliver_webhook;
mod dispatch_events;
mod finish_usage_report;
mod generate_invoices;
mod process_gateway_event;
mod refund_payment;
mod seal_audit;
mod send_notification;
mod trigger_billing_cycle;
