//! The closed catalogue of events: everything that can have happened, by the name that is stored and sent.
//!
//! **Invariant:** names are for ever: clients filter by them. A new event is a new line here, and a new row in
//! `docs/events.md`.

use std::{fmt, str::FromStr};

macro_rules! event_types {
    ($($variant:ident $name:literal $meaning:literal)*) => {
        /// What happened, past tense.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventType {
            $(#[doc = $meaning] $variant,)*
        }

        impl EventType {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name, `object.past_tense`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What it says, for people.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)*
                }
            }
        }
    };
}

event_types! {
    TenantCreated "tenant.created" "an organisation signed up"
    TenantUpdated "tenant.updated" "its settings were changed"
    UserCreated "user.created" "somebody signed up, or was invited"
    UserVerified "user.verified" "a user showed that its e-mail address is its own"
    UserUpdated "user.updated" "a user's role or standing was changed"
    UserPasswordChanged "user.password_changed" "a user chose another password"
    UserDeleted "user.deleted" "a user was removed"
    ApiKeyCreated "api_key.created" "a key for programs was made"
    ApiKeyRolled "api_key.rolled" "a key was replaced by another one"
    ApiKeyRevoked "api_key.revoked" "a key stopped being good"
    TestClockCreated "test_clock.created" "a tenant in test mode was put on a clock of its own"
    TestClockAdvancing "test_clock.advancing" "a test clock goes on to a later time"
    TestClockAdvanced "test_clock.advanced" "a test clock stands, and all that was due has happened"
    CustomerCreated "customer.created" "a customer was registered"
    CustomerUpdated "customer.updated" "a customer's particulars were changed"
    CustomerDeleted "customer.deleted" "a customer was made a pseudonym"
    CustomerBalanceAdjusted "customer.balance_adjusted" "somebody changed a customer's balance"
    WalletCreated "wallet.created" "a customer was granted a wallet"
    MeterCreated "meter.created" "a meter was added"
    PlanCreated "plan.created" "a plan was added"
    PlanUpdated "plan.updated" "a plan got a new version"
    PlanDeprecated "plan.deprecated" "a plan takes no new subscriptions any more"
    CouponCreated "coupon.created" "a coupon was added"
    CouponArchived "coupon.archived" "a coupon may not be applied any more"
    TaxRateCreated "tax_rate.created" "a tax rate was added"
    TaxRateArchived "tax_rate.archived" "a tax rate may not be named any more"
    SubscriptionCreated "subscription.created" "a customer subscribed"
    SubscriptionUpdated "subscription.updated" "plan or quantities were changed, or a change was scheduled"
    SubscriptionPaused "subscription.paused" "a subscription was paused"
    SubscriptionResumed "subscription.resumed" "a paused subscription goes on"
    SubscriptionCouponApplied "subscription.coupon_applied" "a coupon was applied to a subscription"
    SubscriptionCancellationScheduled "subscription.cancellation_scheduled" "a subscription ends with its period"
    SubscriptionCancelled "subscription.cancelled" "a subscription is over"
    SubscriptionPastDue "subscription.past_due" "a payment of a subscription has failed and is still owed"
    SubscriptionUnpaid "subscription.unpaid" "a payment of a subscription has failed for the last time; it is billed as drafts"
    SubscriptionRecovered "subscription.recovered" "of a subscription no payment is owed any more that has failed"
    UsageIgnored "usage.ignored" "usage came after its period was billed, and its meter bills none that does"
    InvoiceDrafted "invoice.drafted" "an invoice was made and is kept as a draft"
    InvoiceGenerated "invoice.generated" "an invoice was issued"
    InvoiceSent "invoice.sent" "an issued invoice was mailed once more"
    InvoicePaid "invoice.paid" "nothing is left to pay of an invoice"
    InvoiceFailed "invoice.failed" "a payment of an invoice was declined"
    InvoiceVoided "invoice.voided" "an invoice was declared void"
    InvoiceMarkedUncollectible "invoice.marked_uncollectible" "an invoice was written off"
    CreditNoteCreated "credit_note.created" "a credit note was issued"
    InvoiceDunningEnded "invoice.dunning_ended" "an invoice was tried in vain for the last time"
    PaymentCreated "payment.created" "somebody pays an invoice, or records that it was paid"
    PaymentReceived "payment.received" "a payment arrived that pays an invoice in part, or more than it needs"
    PaymentActionRequired "payment.action_required" "a payment waits until its customer confirms it"
    PaymentUnknown "payment.unknown" "the gateway did not say what became of a payment; it is asked again"
    PaymentDisputed "payment.disputed" "a customer's bank has called a payment back, or decided about that"
    RefundCreated "refund.created" "somebody refunds a payment"
    RefundSucceeded "refund.succeeded" "a refund went back to its customer"
    RefundFailed "refund.failed" "a refund did not go back"
    GatewayContradicts "gateway.contradicts" "the gateway has told us something that our own records contradict"
    BillingRunCreated "billing_run.created" "a billing run was asked for"
    BillingRunCompleted "billing_run.completed" "a billing run is through"
    BillingRunPaused "billing_run.paused" "a billing run holds still"
    BillingRunResumed "billing_run.resumed" "a paused billing run goes on"
    BillingRunCancelled "billing_run.cancelled" "a billing run bills nothing more"
    BillingRunRetried "billing_run.retried" "what failed in a billing run is tried again"
    BillingRunFailed "billing_run.failed" "a billing run could not be planned"
    ChunkCompleted "chunk.completed" "some hundred customers of a run are through"
    WebhookEndpointCreated "webhook_endpoint.created" "somebody wants to hear of events"
    WebhookEndpointUpdated "webhook_endpoint.updated" "a webhook endpoint was changed"
    WebhookEndpointDeleted "webhook_endpoint.deleted" "a webhook endpoint was taken away"
    WebhookEndpointDisabled "webhook_endpoint.disabled" "a webhook endpoint said that it is gone"
    WebhookEndpointSecretRotated "webhook_endpoint.secret_rotated" "a webhook endpoint got a new secret"
    WebhookDeliveryReplayed "webhook_delivery.replayed" "somebody had a webhook sent again"
    ScheduleRun "schedule.run" "somebody had a schedule tick at once"
    SchedulePaused "schedule.paused" "a schedule makes no ticks any more"
    ScheduleResumed "schedule.resumed" "a paused schedule goes on"
    OperationCreated "operation.created" "somebody asked for an act on many dead letters"
    OperationCompleted "operation.completed" "an act on many dead letters is through"
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is not in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such event")]
pub struct UnknownEventType;

impl FromStr for EventType {
    type Err = UnknownEventType;

    fn from_str(name: &str) -> Result<Self, UnknownEventType> {
        Self::ALL.iter().copied().find(|event| event.as_str() == name).ok_or(UnknownEventType)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::EventType;

    /// The page that clients read.
    const PAGE: &str = include_str!("../../../docs/events.md");

    #[test]
    fn names_are_unique_and_lead_back() {
        let names: BTreeSet<_> = EventType::ALL.iter().map(|event| event.as_str()).collect();
        assert_eq!(names.len(), EventType::ALL.len());
        for event in EventType::ALL {
            assert_eq!(event.as_str().parse(), Ok(*event));
        }
    }

    #[test]
    fn the_page_lists_every_event_and_no_other() {
        let row = |event: &EventType| format!("| `{event}` | {} |", event.meaning());
        let (_, table) = PAGE.split_once("## All events").expect("a heading");
        let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(rows, EventType::ALL.iter().map(row).collect::<Vec<_>>());
    }
}
