//! Which gateway a tenant is charged through, and how it calls its customers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt, stream};
use gateways::payment::{Account, Enrolment, Payer, PaymentError, PaymentGateway};
use jiff::Timestamp;
use store::{
    GatewayAccount, GatewayCustomer, GatewayMethod, MAX_GATEWAY_METHODS, StoreError, UnitOfWork, gateway_account_id,
    gateway_customer_id,
};

use crate::{Billing, BillingError, context::retry_conflicts};

/// Customers made known at once, of one job.
const ENROLMENTS_AT_ONCE: usize = 32;

/// A tenant's gateway.
#[derive(Clone)]
pub(crate) struct TenantGateway {
    pub gateway: Arc<dyn PaymentGateway>,
    /// Of the tenant's own account; 0 for the deployment's.
    pub generation: i64,
}

/// Somebody who pays with something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Holder {
    pub customer: String,
    /// The token of its payment method.
    pub token: String,
}

/// What the gateway said of a holder.
pub(crate) enum Known {
    /// The gateway's ids of customer and payment method.
    As(Names),
    /// The payment method is no good.
    Refused(domain::Decline, String),
}

/// The gateway's ids of a customer and a payment method.
#[derive(Clone)]
pub(crate) struct Names {
    pub customer: String,
    pub method: String,
}

/// What the gateway said of many holders, or that it did not answer.
pub(crate) type Register = BTreeMap<Holder, Result<Known, PaymentError>>;

impl TenantGateway {
    /// The gateway of a tenant.
    ///
    /// # Errors
    /// `State` when its account is not usable; store errors.
    pub(crate) async fn load(billing: &Billing, tenant: &str) -> Result<Self, BillingError> {
        let stored: Option<GatewayAccount> = billing.store.find(tenant, &gateway_account_id(tenant)).await?;
        let own = stored.as_ref().and_then(own_account);
        let gateway = billing
            .payments
            .online(own.as_ref())
            .map_err(|error| BillingError::state("gateway_misconfigured", error.to_string()))?;
        let generation = own.and(stored).map_or(0, |account| account.generation);
        Ok(Self { gateway, generation })
    }

    /// The names of a holder that has been made known before.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub(crate) async fn names(
        &self,
        billing: &Billing,
        (tenant, holder): (&str, &Holder),
    ) -> Result<Option<Names>, BillingError> {
        let id = gateway_customer_id(&holder.customer, self.generation);
        let known: Option<GatewayCustomer> = billing.store.find(tenant, &id).await?;
        Ok(known.and_then(|known| names(&known, &holder.token)))
    }

    /// Makes many holders known, those that are not yet: one round trip for all that are. A customer's methods take turns,
    /// since a gateway refuses to hear of one customer twice at once.
    ///
    /// # Errors
    /// Store errors; the gateway's are in the register.
    pub(crate) async fn register(
        &self,
        billing: &Billing,
        (tenant, holders): (&str, BTreeSet<Holder>),
        wall: Timestamp,
    ) -> Result<Register, BillingError> {
        let ids: BTreeSet<String> =
            holders.iter().map(|holder| gateway_customer_id(&holder.customer, self.generation)).collect();
        let found: Vec<GatewayCustomer> = billing.store.find_all(tenant, &Vec::from_iter(ids)).await?;
        let found: BTreeMap<&str, &GatewayCustomer> =
            found.iter().map(|known| (known.customer.as_str(), known)).collect();
        let mut register = Register::new();
        let mut strangers: BTreeMap<String, Vec<Holder>> = BTreeMap::new();
        for holder in holders {
            match found.get(holder.customer.as_str()).and_then(|known| names(known, &holder.token)) {
                Some(names) => drop(register.insert(holder, Ok(Known::As(names)))),
                None => strangers.entry(holder.customer.clone()).or_default().push(holder),
            }
        }
        let enrolments: Vec<_> =
            strangers.into_values().map(|holders| self.enrol_all(billing, (tenant, holders), wall)).collect();
        let mut enrolled = stream::iter(enrolments).buffer_unordered(ENROLMENTS_AT_ONCE);
        while let Some(outcome) = enrolled.next().await {
            register.extend(outcome?);
        }
        Ok(register)
    }

    async fn enrol_all(
        &self,
        billing: &Billing,
        (tenant, holders): (&str, Vec<Holder>),
        wall: Timestamp,
    ) -> Result<Register, BillingError> {
        let mut register = Register::new();
        for holder in holders {
            let known = self.enrol(billing, (tenant, &holder), wall).await?;
            register.insert(holder, known);
        }
        Ok(register)
    }

    /// Makes a holder known; what was stored first counts.
    async fn enrol(
        &self,
        billing: &Billing,
        (tenant, holder): (&str, &Holder),
        wall: Timestamp,
    ) -> Result<Result<Known, PaymentError>, BillingError> {
        let id = gateway_customer_id(&holder.customer, self.generation);
        let known: Option<GatewayCustomer> = billing.store.find(tenant, &id).await?;
        let payer = Payer {
            customer: holder.customer.clone(),
            tenant: tenant.to_owned(),
            token: holder.token.clone(),
            known_as: known.map(|known| known.known_as),
        };
        let names = match self.gateway.enrol(&payer).await {
            Ok(Enrolment::Enrolled { customer, method }) => Names { customer, method },
            Ok(Enrolment::Refused { decline, message }) => return Ok(Ok(Known::Refused(decline, message))),
            Err(error) => return Ok(Err(error)),
        };
        let stored = retry_conflicts(|| write(billing, (&id, tenant, holder), &names, wall)).await?;
        Ok(Ok(Known::As(stored)))
    }
}

/// The names of a token, if it has been given one.
fn names(known: &GatewayCustomer, token: &str) -> Option<Names> {
    let method = known.method(token)?.to_owned();
    Some(Names { customer: known.known_as.clone(), method })
}

/// Stores names, unless somebody else was first: theirs are returned.
async fn write(
    billing: &Billing,
    (id, tenant, holder): (&str, &str, &Holder),
    given: &Names,
    wall: Timestamp,
) -> Result<Names, BillingError> {
    let mut unit = UnitOfWork::default();
    let method = GatewayMethod { token: holder.token.clone(), known_as: given.method.clone() };
    match billing.store.find::<GatewayCustomer>(tenant, id).await? {
        Some(known) if known.method(&holder.token).is_some() || known.known_as != given.customer => {
            return names(&known, &holder.token).ok_or_else(|| {
                BillingError::state("gateway_customer_changed", "the customer has another name by now")
            });
        }
        Some(mut known) => {
            if known.methods.len() >= MAX_GATEWAY_METHODS {
                known.methods.remove(0);
            }
            known.methods.push(method);
            unit.replace(&mut known)?;
        }
        None => unit.insert(&GatewayCustomer {
            id: id.to_owned(),
            tenant: tenant.to_owned(),
            revision: 1,
            created: wall,
            customer: holder.customer.clone(),
            known_as: given.customer.clone(),
            methods: vec![method],
        })?,
    }
    match billing.store.commit(unit).await {
        Ok(()) => Ok(given.clone()),
        // Somebody else has inserted it: look again.
        Err(StoreError::Duplicate(text)) => Err(StoreError::Conflict(text).into()),
        Err(error) => Err(error.into()),
    }
}

fn own_account(stored: &GatewayAccount) -> Option<Account> {
    let secret_key = stored.secret_key.as_ref()?.expose().to_owned().into();
    Some(Account { base_url: stored.base_url.clone(), secret_key, return_url: stored.return_url.clone() })
}
