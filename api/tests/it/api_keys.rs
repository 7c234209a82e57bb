//! API keys: shown once, good for their scopes, until they are replaced, revoked or over.

use api::auth::role::Role;
use serde_json::{Value, json};

use crate::{
    harness::{Client, Platform},
    sessions::until_refused,
};

fn with_key<'a>(client: &Client<'a>, key: &Value) -> Client<'a> {
    let token = key["secret"].as_str().expect("a secret").to_owned();
    Client { platform: client.platform, tenant: client.tenant.clone(), token }
}

#[tokio::test]
async fn a_key_works_for_its_scopes_and_is_shown_once() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    let body = json!({ "name": "crm", "scopes": ["customers:write", "customers:read"] });
    let key = ada.post_with_key("/v1/api_keys", "k1", &body).await.ok();
    let secret = key["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("sk_test_") && secret.ends_with(key["last_four"].as_str().expect("text")), "{key}");
    assert_eq!(key["scopes"], json!(["customers:read", "customers:write"]));

    // Neither a repeat of the request, nor a list, nor the database has it.
    let replayed = ada.post_with_key("/v1/api_keys", "k1", &body).await;
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    let replayed = replayed.ok();
    assert_eq!((&replayed["id"], &replayed["secret"]), (&key["id"], &Value::Null));
    assert_eq!(ada.get("/v1/api_keys").await.ok()["data"][0]["secret"], Value::Null);
    let stored = format!("{:?}", platform.traces(&ada.tenant).await);
    assert!(stored.contains(key["id"].as_str().expect("an id")) && !stored.contains(secret));

    let crm = with_key(&ada, &key);
    let customer = crm.customer("eve").await;
    crm.get(&format!("/v1/customers/{customer}")).await.ok();
    crm.get("/v1/invoices").await.problem(403, "missing_scope");
    crm.get("/v1/users").await.problem(403, "missing_scope");
    // Who did it stands in the audit entry.
    let entries = format!("{:?}", platform.traces(&ada.tenant).await["audit_entries"]);
    assert!(entries.contains(key["id"].as_str().expect("an id")), "{entries}");
    let bob = platform.client("bob").await;
    let foreign = bob.customer("carl").await;
    crm.get(&format!("/v1/customers/{foreign}")).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_key_gets_no_scope_that_its_maker_lacks_and_none_about_accounts() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    for scope in ["users:write", "api_keys:write", "api_keys:read", "account:read", "everything", "", "customers"] {
        let refused = ada.post("/v1/api_keys", &json!({ "name": "k", "scopes": ["plans:read", scope] })).await;
        assert_eq!(refused.problem(422, "rule_violated")["errors"][0]["pointer"], "/scopes/1", "{scope}");
    }
    ada.post("/v1/api_keys", &json!({ "name": "k", "scopes": [] })).await.problem(422, "rule_violated");
    let past = json!({ "name": "k", "scopes": ["plans:read"], "expires_at": "2020-01-01T00:00:00Z" });
    ada.post("/v1/api_keys", &past).await.problem(422, "rule_violated");
    let narrow = platform.narrowed(&ada, "api_keys:write plans:read");
    let narrow = Client { platform: &platform, tenant: ada.tenant.clone(), token: narrow };
    let more = json!({ "name": "k", "scopes": ["plans:write"] });
    narrow.post("/v1/api_keys", &more).await.problem(422, "rule_violated");
    narrow.post("/v1/api_keys", &json!({ "name": "k", "scopes": ["plans:read"] })).await.ok();
    let viewer = platform.member(&ada, Role::Viewer).await;
    viewer.post("/v1/api_keys", &json!({ "name": "k", "scopes": ["plans:read"] })).await.problem(403, "missing_scope");
}

#[tokio::test]
async fn a_key_that_is_replaced_revoked_or_mistyped_is_refused() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    let key = ada.post("/v1/api_keys", &json!({ "name": "crm", "scopes": ["customers:read"] })).await.ok();
    let (id, old) = (key["id"].as_str().expect("an id"), with_key(&ada, &key));
    old.get("/v1/customers").await.ok();
    let rolled = ada.post(&format!("/v1/api_keys/{id}/roll"), &json!({})).await.ok();
    let new = with_key(&ada, &rolled);
    new.get("/v1/customers").await.ok();
    until_refused(&old).await;

    let revoked = ada.post(&format!("/v1/api_keys/{id}/revoke"), &json!({})).await.ok();
    assert!(revoked["revoked_at"].is_string() && revoked["secret"].is_null(), "{revoked}");
    until_refused(&new).await;
    ada.post(&format!("/v1/api_keys/{id}/revoke"), &json!({})).await.problem(409, "key_revoked");
    ada.post(&format!("/v1/api_keys/{id}/roll"), &json!({})).await.problem(409, "key_revoked");

    let mistyped = format!("{}x", &new.token[..new.token.len() - 1]);
    for token in [&*mistyped, "sk_test_", "sk_live_abc", &new.token.replace("sk_test_", "sk_live_")] {
        let stranger = Client { platform: &platform, tenant: ada.tenant.clone(), token: token.to_owned() };
        stranger.get("/v1/customers").await.problem(401, "invalid_token");
    }
    let soon = platform.app.clock.now() + jiff::SignedDuration::from_secs(2);
    let body = json!({ "name": "short", "scopes": ["customers:read"], "expires_at": soon });
    let short = with_key(&ada, &ada.post("/v1/api_keys", &body).await.ok());
    until_refused(&short).await;
}
