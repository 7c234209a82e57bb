//! The catalogue: every job there is, with its payload, name, queue, retry policy, time-out and unique key.
//!
//! **Invariant:** a job's payload only names a durable parent in the store; the job loads it first and is done if nothing is
//! left to do. Names and fields are for ever: add an alias, never rename.

use std::time::Duration;

use queue::{Handler, Job, LimitUse, Registry, RetryPolicy, UniqueKey};
use serde::{Deserialize, Serialize};

/// Queues, in the order in which work flows through them.
pub mod queues {
    pub const BILLING_CYCLE: &str = "billing_cycle";
    pub const USAGE: &str = "usage";
    pub const INVOICES: &str = "invoices";
    pub const PAYMENTS: &str = "payments";
    pub const NOTIFICATIONS: &str = "notifications";
    pub const EVENTS: &str = "events";
    pub const WEBHOOKS: &str = "webhooks";
    /// What persons asked to be done to many things at once.
    pub const OPERATIONS: &str = "operations";
    /// All of them.
    pub const ALL: [&str; 8] = [BILLING_CYCLE, USAGE, INVOICES, PAYMENTS, NOTIFICATIONS, EVENTS, WEBHOOKS, OPERATIONS];

    /// The names under which the jobs of one queue, or of all, are looked at: a split queue has one for each partition.
    #[must_use]
    pub fn partitions(client: &queue::QueueClient, queue: Option<&str>) -> Vec<String> {
        match queue {
            Some(queue) => client.partitions(queue),
            None => ALL.iter().flat_map(|queue| client.partitions(queue)).collect(),
        }
    }
}

/// Keys of what is limited across the fleet. An operator sets the limits; until then runs are only counted.
mod limits {
    /// Calls to the payment gateway.
    pub(super) const GATEWAY: &str = "gateway:stripe";
    /// Mails to the mail server.
    pub(super) const SMTP: &str = "smtp";
}

/// For work whose failures come from a component that is away: two seconds to half an hour, over about a day (with full
/// jitter 22 hours on average, 45 at most). What has failed for so long is dead and waits for a person, since the sweep does
/// not offer it again; so this is the longest absence that heals by itself, a night's included.
const PATIENT: RetryPolicy = RetryPolicy::exponential(100, Duration::from_secs(2), Duration::from_secs(30 * 60));

/// One step of bulk work takes seconds; this is what a stuck one may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(120);

/// Cuts a billing run into chunks and completes it when all are done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TriggerBillingCycle {
    pub tenant: String,
    pub run: String,
}

impl Job for TriggerBillingCycle {
    const NAME: &'static str = "trigger_billing_cycle";
    const QUEUE: &'static str = queues::BILLING_CYCLE;
    const RETRY: RetryPolicy = PATIENT;
    const TIMEOUT: Duration = STEP_TIMEOUT;

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant)
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        // Waiting only: a chunk that finishes while the run is being looked at must be able to ask for another look.
        Some(UniqueKey::waiting(&self.run))
    }
}

/// Freezes the usage of the next pass of a chunk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CalculateUsage {
    pub tenant: String,
    pub chunk: String,
    pub pass: i32,
}

impl Job for CalculateUsage {
    const NAME: &'static str = "calculate_usage";
    const QUEUE: &'static str = queues::USAGE;
    const RETRY: RetryPolicy = PATIENT;
    const TIMEOUT: Duration = STEP_TIMEOUT;

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant)
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(UniqueKey::waiting_or_running(format!("{}:{}", self.chunk, self.pass)))
    }
}

/// Issues the invoices of one pass of a chunk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GenerateInvoices {
    pub tenant: String,
    pub chunk: String,
    pub pass: i32,
}

impl Job for GenerateInvoices {
    const NAME: &'static str = "generate_invoices";
    const QUEUE: &'static str = queues::INVOICES;
    const RETRY: RetryPolicy = PATIENT;
    const TIMEOUT: Duration = STEP_TIMEOUT;

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant)
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(UniqueKey::waiting_or_running(format!("{}:{}", self.chunk, self.pass)))
    }
}

/// Finds out which usage of a report came too late to be counted, after the process that took it in has died.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FinishUsageReport {
    pub tenant: String,
    pub report: String,
}

impl Job for FinishUsageReport {
    const NAME: &'static str = "finish_usage_report";
    const QUEUE: &'static str = queues::USAGE;
    const RETRY: RetryPolicy = PATIENT;
    const TIMEOUT: Duration = STEP_TIMEOUT;

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant)
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(UniqueKey::waiting_or_running(&self.report))
    }
}

/// Charges the invoices of a chunk, or one invoice that goes on alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CollectPayment {
    Chunk { tenant: String, chunk: String },
    Invoice { tenant: String, invoice: String },
}

impl Job for CollectPayment {
    const NAME: &'static str = "collect_payment";
    const QUEUE: &'static str = queues::PAYMENTS;
    const RETRY: RetryPolicy = PATIENT;
    const TIMEOUT: Duration = STEP_TIMEOUT;

    fn tenant(&self) -> Option<&str> {
        let (Self::Chunk { tenant, .. } | Self::Invoice { tenant, .. }) = self;
        Some(tenant)
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        let (Self::Chunk { chunk: parent, .. } | Self::Invoice { invoice: parent, .. }) = self;
        Some(UniqueKey::waiting_or_running(parent))
    }

    fn limits(&self) -> Vec<LimitUse> {
        vec![LimitUse::new(limits::GATEWAY)]
    }
}

/// Sends the mails of a chunk, or one mail that goes on alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendNotification {
    Chunk { tenant: String, chunk: String },
    Notification { tenant: String, notification: String },
}

impl Job for SendNotification {
    const NAME: &'static str = "send_notification";
    const QUEUE: &'static str = queues::NOTIFICATIONS;
    const RETRY: RetryPolicy = PATIENT;
    const TIMEOUT: Duration = STEP_TIMEOUT;

    fn tenant(&self) -> Option<&str> {
        let (Self::Chunk { tenant, .. } | Self::Notification { tenant, .. }) = self;
        Some(tenant)
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        let (Self::Chunk { chunk: parent, .. } | Self::Notification { notification: parent, .. }) = self;
        Some(UniqueKey::waiting_or_running(parent))
    }

    fn limits(&self) -> Vec<LimitUse> {
        vec![LimitUse::new(limits::SMTP)]
    }
}

/// Publishes a tenant's recorded events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DispatchEvents {
    pub tenant: String,
}

impl Job for DispatchEvents {
    const NAME: &'static str = "dispatch_events";
    const QUEUE: &'static str = queues::EVENTS;
    const RETRY: RetryPolicy = PATIENT;
    const TIMEOUT: Duration = STEP_TIMEOUT;

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant)
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        // Waiting only: an event committed while the last batch is being published needs another look.
        Some(UniqueKey::waiting(&self.tenant))
    }
}

/// Gives one event to one of its durable subscribers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliverEvent {
    pub tenant: String,
    pub delivery: String,
}

impl Job for DeliverEvent {
    const NAME: &'static str = "deliver_event";
    const QUEUE: &'static str = queues::EVENTS;
    const RETRY: RetryPolicy = PATIENT;
    const TIMEOUT: Duration = STEP_TIMEOUT;

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant)
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(UniqueKey::waiting_or_running(&self.delivery))
    }
}

/// Seals a tenant's audit entries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealAudit {
    pub tenant: String,
}

impl Job for SealAudit {
    const NAME: &'static str = "seal_audit";
    const QUEUE: &'static str = queues::EVENTS;
    const RETRY: RetryPolicy = PATIENT;
    const TIMEOUT: Duration = STEP_TIMEOUT;

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant)
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        // Waiting only: an entry committed while the last batch is being sealed needs another look.
        Some(UniqueKey::waiting(&self.tenant))
    }
}

/// Attempts one webhook delivery; snoozes until its next attempt is due.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliverWebhook {
    pub tenant: String,
    pub delivery: String,
}

impl Job for DeliverWebhook {
    const NAME: &'static str = "deliver_webhook";
    const QUEUE: &'static str = queues::WEBHOOKS;
    const RETRY: RetryPolicy = PATIENT;
    const TIMEOUT: Duration = STEP_TIMEOUT;

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant)
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(UniqueKey::waiting_or_running(&self.delivery))
    }
}

/// Takes an operation one bounded step further.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdvanceOperation {
    pub tenant: String,
    pub operation: String,
}

impl Job for AdvanceOperation {
    const NAME: &'static str = "advance_operation";
    const QUEUE: &'static str = queues::OPERATIONS;
    const RETRY: RetryPolicy = PATIENT;
    const TIMEOUT: Duration = STEP_TIMEOUT;

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant)
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(UniqueKey::waiting_or_running(&self.operation))
    }
}

/// Takes the advance of a test clock one step further.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdvanceTestClock {
    pub tenant: String,
    pub clock: String,
}

impl Job for AdvanceTestClock {
    const NAME: &'static str = "advance_test_clock";
    const QUEUE: &'static str = queues::OPERATIONS;
    const RETRY: RetryPolicy = PATIENT;
    const TIMEOUT: Duration = STEP_TIMEOUT;

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant)
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(UniqueKey::waiting_or_running(&self.clock))
    }
}

/// Gives a payment's money back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefundPayment {
    pub tenant: String,
    pub refund: String,
}

impl Job for RefundPayment {
    const NAME: &'static str = "refund_payment";
    const QUEUE: &'static str = queues::PAYMENTS;
    const RETRY: RetryPolicy = PATIENT;
    const TIMEOUT: Duration = STEP_TIMEOUT;

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant)
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(UniqueKey::waiting_or_running(&self.refund))
    }

    fn limits(&self) -> Vec<LimitUse> {
        vec![LimitUse::new(limits::GATEWAY)]
    }
}

/// Settles what a gateway has told us.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProcessGatewayEvent {
    pub tenant: String,
    pub event: String,
}

impl Job for ProcessGatewayEvent {
    const NAME: &'static str = "process_gateway_event";
    const QUEUE: &'static str = queues::EVENTS;
    const RETRY: RetryPolicy = PATIENT;
    const TIMEOUT: Duration = STEP_TIMEOUT;

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant)
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(UniqueKey::waiting_or_running(&self.event))
    }
}

/// A registry of every job of the catalogue. Does not compile while one of them has no handler for `C`.
#[must_use]
pub fn registry<C>() -> Registry<C>
where
    C: Send + Sync + 'static,
    TriggerBillingCycle: Handler<C>,
    CalculateUsage: Handler<C>,
    GenerateInvoices: Handler<C>,
    FinishUsageReport: Handler<C>,
    CollectPayment: Handler<C>,
    SendNotification: Handler<C>,
    DispatchEvents: Handler<C>,
    DeliverEvent: Handler<C>,
    SealAudit: Handler<C>,
    DeliverWebhook: Handler<C>,
    AdvanceOperation: Handler<C>,
    RefundPayment: Handler<C>,
    ProcessGatewayEvent: Handler<C>,
    AdvanceTestClock: Handler<C>,
{
    Registry::new()
        .register::<TriggerBillingCycle>()
        .register::<CalculateUsage>()
        .register::<GenerateInvoices>()
        .register::<FinishUsageReport>()
        .register::<CollectPayment>()
        .register::<SendNotification>()
        .register::<DispatchEvents>()
        .register::<DeliverEvent>()
        .register::<SealAudit>()
        .register::<DeliverWebhook>()
        .register::<AdvanceOperation>()
        .register::<RefundPayment>()
        .register::<ProcessGatewayEvent>()
        .register::<AdvanceTestClock>()
}
