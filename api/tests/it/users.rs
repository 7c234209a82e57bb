//! Users of a tenant: invited, promoted, disabled, removed.

use api::auth::role::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, PASSWORD, Platform},
    sessions::until_refused,
};

async fn patch(client: &Client<'_>, id: &Value, body: &Value) -> Answer {
    let path = format!("/v1/users/{}", id.as_str().expect("an id"));
    Answer::of(client.request(Method::PATCH, &path).json(body)).await
}

async fn remove(client: &Client<'_>, id: &Value) -> Answer {
    let path = format!("/v1/users/{}", id.as_str().expect("an id"));
    Answer::of(client.request(Method::DELETE, &path)).await
}

async fn my_id(client: &Client<'_>) -> Value {
    client.get("/v1/auth/me").await.ok()["user"]["id"].clone()
}

#[tokio::test]
async fn an_invited_user_chooses_a_password_and_works_in_its_role() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    let body = json!({ "name": "Grace", "email": "Grace@acme.example", "role": "viewer" });
    let invited = ada.post("/v1/users", &body).await.ok();
    assert_eq!((&invited["email"], &invited["email_verified"]), (&json!("grace@acme.example"), &json!(false)));
    ada.post("/v1/users", &body).await.problem(409, "email_taken");
    // Without a password of its own nothing opens the account, an empty one neither.
    platform.log_in("grace@acme.example", "").await.problem(401, "invalid_credentials");

    let mails = platform.mails_to("grace@acme.example").await;
    assert!(mails[0].1.contains("ada invites you"), "{mails:?}");
    let token = platform.mailed_token("grace@acme.example").await;
    platform.verify_email(&token).await.problem(422, "invalid_token");
    platform.reset_password(&token, PASSWORD).await.ok();
    let session = platform.log_in("grace@acme.example", PASSWORD).await.ok();
    let token = session["access_token"].as_str().expect("a token").to_owned();
    let grace = Client { platform: &platform, tenant: ada.tenant.clone(), token };
    grace.get("/v1/customers").await.ok();
    let customer = json!({ "name": "Eve", "email": "eve@customers.example" });
    grace.post("/v1/customers", &customer).await.problem(403, "missing_scope");

    let listed = ada.get("/v1/users?role=viewer").await.ok();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
    assert!(!listed.to_string().contains("argon2"), "{listed}");
    patch(&ada, &invited["id"], &json!({ "role": "support" })).await.ok();
    // The token says what was true when it was signed; the next one says more.
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    let renewed = Answer::of(platform.request(Method::POST, "/v1/auth/refresh").json(&refresh)).await.ok();
    let token = renewed["access_token"].as_str().expect("a token").to_owned();
    let grace = Client { platform: &platform, tenant: ada.tenant.clone(), token };
    grace.post("/v1/customers", &customer).await.ok();
}

#[tokio::test]
async fn a_disabled_user_is_out_until_it_is_enabled() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    let viewer = platform.member(&ada, Role::Viewer).await;
    let id = my_id(&viewer).await;
    viewer.get("/v1/customers").await.ok();
    let disabled = patch(&ada, &id, &json!({ "disabled": true })).await.ok();
    let email = disabled["email"].as_str().expect("text");
    until_refused(&viewer).await;
    platform.log_in(email, PASSWORD).await.problem(403, "user_disabled");
    patch(&ada, &id, &json!({ "disabled": false })).await.ok();
    platform.log_in(email, PASSWORD).await.ok();
    // The old session does not come back.
    viewer.get("/v1/customers").await.problem(401, "invalid_token");
}

#[tokio::test]
async fn a_demoted_user_loses_what_its_token_still_names() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    let admin = platform.member(&ada, Role::Admin).await;
    let id = my_id(&admin).await;
    patch(&ada, &id, &json!({ "role": "viewer" })).await.ok();
    let meter = json!({ "key": "calls", "aggregation": "count" });
    let started = std::time::Instant::now();
    while admin.post("/v1/meters", &meter).await.status != 403 {
        assert!(started.elapsed().as_secs() < 30, "still an admin");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    admin.post("/v1/meters", &meter).await.problem(403, "role_not_allowed");
}

#[tokio::test]
async fn the_last_owner_stays_and_only_owners_manage_owners() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    let owner = my_id(&ada).await;
    for change in [json!({ "role": "admin" }), json!({ "disabled": true })] {
        patch(&ada, &owner, &change).await.problem(409, "last_owner");
    }
    remove(&ada, &owner).await.problem(409, "last_owner");
    // One who has never signed in does not count.
    let body = json!({ "name": "Grace", "email": "grace@acme.example", "role": "owner" });
    let grace = ada.post("/v1/users", &body).await.ok();
    remove(&ada, &owner).await.problem(409, "last_owner");

    let admin = platform.member(&ada, Role::Admin).await;
    let me = my_id(&admin).await;
    patch(&admin, &me, &json!({ "role": "owner" })).await.problem(409, "owners_only");
    patch(&admin, &owner, &json!({ "disabled": true })).await.problem(409, "owners_only");
    remove(&admin, &grace["id"]).await.problem(409, "owners_only");
    let body = json!({ "name": "Eve", "email": "eve@acme.example", "role": "owner" });
    admin.post("/v1/users", &body).await.problem(409, "owners_only");
    let body = json!({ "name": "Eve", "email": "eve@acme.example", "role": "customer" });
    admin.post("/v1/users", &body).await.problem(422, "rule_violated");

    platform.reset_password(&platform.mailed_token("grace@acme.example").await, PASSWORD).await.ok();
    let second = platform.log_in("grace@acme.example", PASSWORD).await.ok();
    let token = second["access_token"].as_str().expect("a token").to_owned();
    let grace_client = Client { platform: &platform, tenant: ada.tenant.clone(), token };
    // Two owners who remove each other at once: one stays.
    let (first, second) = tokio::join!(remove(&ada, &grace["id"]), remove(&grace_client, &owner));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert!(statuses == [200, 409] || statuses == [200, 401], "{first:?} {second:?}");
}

#[tokio::test]
async fn a_removed_user_is_gone_and_a_change_of_another_revision_is_refused() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    let viewer = platform.member(&ada, Role::Viewer).await;
    let id = my_id(&viewer).await;
    let path = format!("/v1/users/{}", id.as_str().expect("an id"));
    let tag = ada.get(&path).await.header("etag").expect("a tag").to_owned();
    let change = |tag: &str| {
        let request = ada.request(Method::PATCH, &path).header("if-match", tag.to_owned());
        request.json(&json!({ "name": "Barbara" }))
    };
    Answer::of(change("\"r99\"")).await.problem(412, "precondition_failed");
    assert_eq!(Answer::of(change(&tag)).await.ok()["name"], "Barbara");
    Answer::of(change(&tag)).await.problem(412, "precondition_failed");

    let removed = remove(&ada, &id).await.ok();
    ada.get(&path).await.problem(404, "not_found");
    until_refused(&viewer).await;
    platform.log_in(removed["email"].as_str().expect("text"), PASSWORD).await.problem(401, "invalid_credentials");
    // Its address is free again.
    let body = json!({ "name": "Viewer", "email": removed["email"], "role": "admin" });
    ada.post("/v1/users", &body).await.ok();
}
