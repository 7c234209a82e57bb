//! Registers an organisation and its first user, who owns it.

use domain::DunningPolicy;
use jiff::Timestamp;
use serde_json::json;
use store::{Brand, Store, Tenant, UnitOfWork, User};

use crate::{Actor, BillingError, Change, EventType, actor::Fact};

/// An organisation to register, already parsed.
#[derive(Clone)]
pub struct NewTenant {
    /// `ten_...`
    pub tenant_id: String,
    /// `usr_...`
    pub user_id: String,
    pub organization: String,
    pub name: String,
    /// Lower case.
    pub email: String,
    /// PHC string.
    pub password_hash: String,
}

/// Decides the registration. The tenant starts in test mode.
///
/// # Errors
/// `State` when the e-mail address is taken; store errors.
pub async fn register_tenant(
    store: &Store,
    new: NewTenant,
    wall: Timestamp,
    request_id: Option<String>,
) -> Result<Change<(Tenant, User)>, BillingError> {
    if store.user_by_email(&new.email).await?.is_some() {
        let detail = "this e-mail address is registered already".to_owned();
        return Err(BillingError::State { code: "email_taken", detail });
    }
    let tenant = Tenant {
        id: new.tenant_id.clone(),
        tenant: new.tenant_id.clone(),
        revision: 1,
        created: wall,
        name: new.organization,
        livemode: false,
        test_clock: None,
        default_plan: None,
        dunning: DunningPolicy::default(),
        brand: Brand::default(),
        has_webhooks: false,
    };
    let user = User {
        id: new.user_id,
        tenant: new.tenant_id,
        revision: 1,
        created: wall,
        name: new.name,
        email: new.email,
        password_hash: new.password_hash,
        role: "owner".to_owned(),
        customer: None,
    };
    let actor = Actor { tenant: tenant.id.clone(), id: user.id.clone(), request_id };
    let mut unit = UnitOfWork::default();
    unit.insert(&tenant)?;
    unit.insert(&user)?;
    let data = json!({ "organization": tenant.name });
    actor.record(&mut unit, wall, Fact { name: EventType::TenantCreated, subject: &tenant.id, revision: 1, data })?;
    Ok(Change { result: (tenant, user), unit, follow_up: Vec::new() })
}
