//! What notifications say: every kind of message there is, with the objects and facts that its words are made from.

use std::collections::BTreeMap;

use domain::{DunningOutcome, Money};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{SecretText, instant};

/// A message, and what it is about.
///
/// A new kind is a variant here, its line in `Message::line`, and its words in `billing::mails`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// Welcome: the address is to be confirmed.
    VerifyEmail {
        #[serde(default)]
        secret_link: SecretText,
    },
    /// Somebody, probably the reader, signs up with an address that signs in already.
    AlreadyRegistered,
    /// Somebody asks the reader to join a tenant's users.
    Invitation {
        /// Name of who invites.
        by: String,
        #[serde(default)]
        secret_link: SecretText,
    },
    /// Somebody, probably the reader, has forgotten the password.
    PasswordReset {
        #[serde(default)]
        secret_link: SecretText,
    },
    InvoiceIssued {
        invoice: String,
    },
    PaymentFailed {
        invoice: String,
        attempt: String,
        /// When it is tried again by itself; absent where the customer has to act.
        #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    /// The customer's bank wants the customer to confirm.
    PaymentActionRequired {
        invoice: String,
        attempt: String,
        /// Where that is done.
        link: String,
    },
    PaymentReceived {
        invoice: String,
        attempt: String,
    },
    /// An invoice was tried for the last time.
    FinalNotice {
        invoice: String,
        /// What became of the subscription.
        outcome: DunningOutcome,
    },
    RefundIssued {
        invoice: String,
        amount: Money,
        #[serde(with = "instant")]
        at: Timestamp,
    },
    SubscriptionChanged {
        subscription: String,
        /// Name of the plan that it follows from then on.
        plan: String,
        /// Units of its licensed prices from then on, by key.
        quantities: BTreeMap<String, String>,
        #[serde(with = "instant")]
        effective_at: Timestamp,
    },
    SubscriptionCancelled {
        subscription: String,
        plan: String,
        #[serde(with = "instant")]
        ends_at: Timestamp,
    },
    TrialEnding {
        subscription: String,
        plan: String,
        /// The first day that is billed, where the customer is.
        ends_on: Date,
    },
    /// An endpoint has said that it is gone.
    WebhookEndpointDisabled {
        endpoint: String,
        url: String,
    },
    /// A delivery was given up; one a day and endpoint.
    WebhookDeliveryFailed {
        endpoint: String,
        url: String,
        event_type: String,
        /// What came of the last attempt.
        error: String,
    },
}

impl Message {
    /// The kind's name in ids and on the wire, and whether a reader may do without it.
    fn line(&self) -> (&'static str, Importance) {
        use Importance::{Essential, Optional};
        match self {
            Self::VerifyEmail { .. } => ("verify_email", Essential),
            Self::AlreadyRegistered => ("already_registered", Essential),
            Self::Invitation { .. } => ("invitation", Essential),
            Self::PasswordReset { .. } => ("password_reset", Essential),
            Self::InvoiceIssued { .. } => ("invoice_issued", Essential),
            Self::PaymentFailed { .. } => ("payment_failed", Essential),
            Self::PaymentActionRequired { .. } => ("payment_action_required", Essential),
            Self::PaymentReceived { .. } => ("payment_received", Optional),
            Self::FinalNotice { .. } => ("final_notice", Essential),
            Self::RefundIssued { .. } => ("refund_issued", Optional),
            Self::SubscriptionChanged { .. } => ("subscription_changed", Optional),
            Self::SubscriptionCancelled { .. } => ("subscription_cancelled", Essential),
            Self::TrialEnding { .. } => ("trial_ending", Optional),
            Self::WebhookEndpointDisabled { .. } => ("webhook_endpoint_disabled", Essential),
            Self::WebhookDeliveryFailed { .. } => ("webhook_delivery_failed", Essential),
        }
    }

    /// The kind's name in ids and on the wire.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.line().0
    }

    /// Whether a reader may ask not to get it.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.line().1 == Importance::Optional
    }

    /// The invoice it is about.
    #[must_use]
    pub fn invoice(&self) -> Option<&str> {
        match self {
            Self::InvoiceIssued { invoice }
            | Self::PaymentFailed { invoice, .. }
            | Self::PaymentActionRequired { invoice, .. }
            | Self::PaymentReceived { invoice, .. }
            | Self::FinalNotice { invoice, .. }
            | Self::RefundIssued { invoice, .. } => Some(invoice),
            _ => None,
        }
    }

    /// The subscription whose trial it announces the end of.
    #[must_use]
    pub fn trial(&self) -> Option<&str> {
        match self {
            Self::TrialEnding { subscription, .. } => Some(subscription),
            _ => None,
        }
    }

    /// The payment attempt it is about.
    #[must_use]
    pub fn attempt(&self) -> Option<&str> {
        match self {
            Self::PaymentFailed { attempt, .. }
            | Self::PaymentActionRequired { attempt, .. }
            | Self::PaymentReceived { attempt, .. } => Some(attempt),
            _ => None,
        }
    }
}

/// Whether a reader may do without a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Importance {
    /// Nobody may miss it.
    Essential,
    /// Who does not want it unsubscribes.
    Optional,
}
