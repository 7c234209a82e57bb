//! The durable subscribers: who must not miss an event, one file each.
//!
//! What has to happen together with a change is done in the change's own transaction and is no subscriber; these do what may
//! happen a moment later, and must not fail the change. A new subscriber is a variant here and a file beside this one.
//!
//! **Invariant:** a subscriber decides and writes nothing by itself: [`crate::deliver_event`] commits what it decided together
//! with the delivery.

mod default_plan;
mod new_payment_method;
mod webhooks;

use store::{Event, Store, Tenant};

use crate::{BillingError, Change, EventType, TenantTime};

/// Somebody to whom events are delivered by jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subscriber {
    /// Subscribes new customers to the tenant's default plan.
    DefaultPlan,
    /// Delivers events to the tenant's webhook endpoints.
    Webhooks,
    /// Collects what a customer owes, when it has a new payment method.
    NewPaymentMethod,
}

impl Subscriber {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::DefaultPlan, Self::Webhooks, Self::NewPaymentMethod];

    /// The name in ids and logs; for ever.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DefaultPlan => "default_plan",
            Self::Webhooks => "webhooks",
            Self::NewPaymentMethod => "new_payment_method",
        }
    }

    /// The subscriber of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subscriber| subscriber.name() == name)
    }

    /// Whether it is to be given a tenant's events of this type.
    pub(crate) fn wants(self, event: EventType, tenant: &Tenant) -> bool {
        match self {
            Self::DefaultPlan => event == EventType::CustomerCreated && tenant.default_plan.is_some(),
            Self::Webhooks => tenant.has_webhooks,
            Self::NewPaymentMethod => event == EventType::CustomerUpdated,
        }
    }

    /// Decides what follows from an event; nothing, as often as not.
    ///
    /// # Errors
    /// Those of the subscriber; the event is delivered again, and a rule's violation makes a dead letter.
    pub(crate) async fn decide(
        self,
        store: &Store,
        event: &Event,
        time: &TenantTime,
    ) -> Result<Option<Change<()>>, BillingError> {
        match self {
            Self::DefaultPlan => default_plan::decide(store, event, time).await,
            Self::Webhooks => webhooks::decide(store, event, time).await,
            Self::NewPaymentMethod => new_payment_method::decide(store, event, time).await,
        }
    }
}
