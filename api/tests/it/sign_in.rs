//! Registering, signing in, and what a token is good for.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, PASSWORD, Platform};

#[tokio::test]
async fn an_organisation_registers_signs_in_and_sees_itself() {
    let platform = Platform::start().await;
    let registered = platform.register("ada").await;
    assert_eq!(registered.status, 201);
    assert!(!registered.text.contains(PASSWORD) && !registered.text.contains("argon2"), "{registered:?}");
    let registered = registered.json();
    assert_eq!(registered["tenant"]["livemode"], false);
    assert_eq!(registered["user"]["role"], "owner");
    platform.verify_email(&platform.mailed_token("ada@acme.example").await).await.ok();

    let session = platform.log_in("Ada@ACME.example", PASSWORD).await;
    assert_eq!(session.header("cache-control"), Some("no-store"));
    let session = session.ok();
    assert_eq!((&session["token_type"], &session["expires_in"]), (&json!("Bearer"), &json!(600)));
    let token = session["access_token"].as_str().expect("a token");

    let me = |base: &str| platform.http.get(format!("{base}/v1/auth/me")).bearer_auth(token);
    for base in [&platform.api, &platform.auth] {
        let me = Answer::of(me(base)).await.ok();
        assert_eq!(me["user"]["id"], registered["user"]["id"]);
        assert_eq!((&me["user"]["email_verified"], &me["user"]["disabled"]), (&json!(true), &json!(false)));
        assert_eq!(me["tenant"], registered["tenant"]);
        assert_eq!(me["scope"], session["scope"]);
    }

    let wrong = platform.log_in("ada@acme.example", "correct horse batterx").await;
    let unknown = platform.log_in("nobody@acme.example", PASSWORD).await;
    let [wrong, unknown] = [wrong, unknown].map(|answer| answer.problem(401, "invalid_credentials")["detail"].clone());
    assert_eq!(wrong, unknown);
}

#[tokio::test]
async fn registrations_at_once_make_one_tenant() {
    let platform = Platform::start().await;
    let answers = futures::future::join_all((0..6).map(|_| platform.register("ada"))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201; 6]);
    platform.log_in("ada@acme.example", PASSWORD).await.problem(403, "email_not_verified");
    let ids: Vec<_> = answers.iter().map(|answer| answer.json()["tenant"]["id"].clone()).collect();
    let mut made = 0;
    for id in &ids {
        made += platform.traces(id.as_str().expect("an id")).await["tenants"].len();
    }
    assert_eq!(made, 1);
}

#[tokio::test]
async fn what_is_no_registration_is_refused() {
    let platform = Platform::start().await;
    let body = json!({ "organization": "Acme", "name": "Ada", "email": "ada@acme.example", "password": PASSWORD });
    let cases = [
        ("password", json!("short"), 422, "password_refused", "password_too_short"),
        ("password", json!("password1"), 422, "password_refused", "password_too_common"),
        ("email", json!("ada"), 422, "rule_violated", "invalid_email"),
        ("organization", json!(""), 422, "rule_violated", "invalid_name"),
        ("name", json!(7), 400, "invalid_body", "invalid_value"),
        ("role", json!("owner"), 400, "invalid_body", "unknown_field"),
    ];
    for (field, value, status, code, rule) in cases {
        let mut body = body.clone();
        body[field] = value;
        let answer = Answer::of(platform.request(Method::POST, "/v1/auth/register").json(&body)).await;
        let problem = answer.problem(status, code);
        assert_eq!(problem["errors"][0]["pointer"], format!("/{field}"), "{problem}");
        assert_eq!(problem["errors"][0]["code"], rule, "{problem}");
    }
    platform.log_in("ada@acme.example", PASSWORD).await.problem(401, "invalid_credentials");
}

#[tokio::test]
async fn the_gateway_outlives_the_auth_service() {
    let mut platform = Platform::start().await;
    let token = platform.client("ada").await.token;
    let ready = Answer::of(platform.request(Method::GET, "/readyz")).await;
    assert_eq!((ready.status, &*ready.text), (200, "ok"));
    let keys = Answer::of(platform.request(Method::GET, "/.well-known/jwks.json")).await.ok();
    assert_eq!(keys["keys"][0]["crv"], "Ed25519");

    platform.auth_shutdown.cancel();
    (&mut platform.auth_server).await.expect("no panic").expect("a clean end");
    let body = json!({ "email": "ada@acme.example", "password": PASSWORD });
    let log_in = platform.request(Method::POST, "/v1/auth/login").header("request-id", "mine-1").json(&body);
    let away = Answer::of(log_in).await;
    away.problem(503, "auth_unavailable");
    assert_eq!(away.header("request-id"), Some("mine-1"));
    // Tokens are checked with the keys that the gateway has.
    let list = platform.request(Method::GET, "/v1/customers").bearer_auth(token);
    assert_eq!(Answer::of(list).await.status, 200);
    let unknown = Answer::of(platform.request(Method::GET, "/v1/auth/secrets")).await;
    unknown.problem(404, "route_not_found");
}
