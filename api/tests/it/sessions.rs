//! The life of tokens: log-in, refresh, reuse, log-out, another password.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, PASSWORD, Platform};

/// Far above the second for which the gateway of these tests believes that a session is alive.
const WITHIN: Duration = Duration::from_secs(30);

async fn refresh(platform: &Platform, token: &Value) -> Answer {
    let body = json!({ "refresh_token": token });
    Answer::of(platform.request(Method::POST, "/v1/auth/refresh").json(&body)).await
}

fn client<'a>(platform: &'a Platform, session: &Value) -> Client<'a> {
    let token = session["access_token"].as_str().expect("a token").to_owned();
    Client { platform, tenant: String::new(), token }
}

/// Waits until a client's credentials are refused.
pub(crate) async fn until_refused(client: &Client<'_>) {
    let started = Instant::now();
    loop {
        let answer = client.get("/v1/customers").await;
        if answer.status == 401 {
            answer.problem(401, "invalid_token");
            return;
        }
        assert!(started.elapsed() < WITHIN, "still let in: {answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_a_second_use_ends_the_session() {
    let platform = Platform::start().await;
    platform.client("ada").await;
    let first = platform.log_in("ada@acme.example", PASSWORD).await.ok();
    let bystander = platform.log_in("ada@acme.example", PASSWORD).await.ok();
    let answer = refresh(&platform, &first["refresh_token"]).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let second = answer.ok();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    client(&platform, &second).get("/v1/auth/me").await.ok();
    let third = refresh(&platform, &second["refresh_token"]).await.ok();

    // Somebody else comes with the first one.
    refresh(&platform, &first["refresh_token"]).await.problem(401, "invalid_refresh_token");
    refresh(&platform, &third["refresh_token"]).await.problem(401, "invalid_refresh_token");
    client(&platform, &third).get("/v1/auth/me").await.problem(401, "invalid_token");
    until_refused(&client(&platform, &third)).await;
    // Another session of the same user goes on.
    refresh(&platform, &bystander["refresh_token"]).await.ok();

    for wrong in [json!(""), json!("rt_x"), third["access_token"].clone()] {
        refresh(&platform, &wrong).await.problem(401, "invalid_refresh_token");
    }
    // A refresh token is no access token.
    let token = bystander["refresh_token"].as_str().expect("a token").to_owned();
    let thief = Client { platform: &platform, tenant: String::new(), token };
    thief.get("/v1/customers").await.problem(401, "invalid_token");
}

#[tokio::test]
async fn of_many_uses_at_once_one_succeeds() {
    let platform = Platform::start().await;
    platform.client("ada").await;
    let session = platform.log_in("ada@acme.example", PASSWORD).await.ok();
    let token = &session["refresh_token"];
    let answers = futures::future::join_all((0..8).map(|_| refresh(&platform, token))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.status == 200 || answer.status == 401), "{answers:?}");
}

#[tokio::test]
async fn who_logs_out_is_out() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    ada.get("/v1/customers").await.ok();
    let session = platform.log_in("ada@acme.example", PASSWORD).await.ok();
    let other = client(&platform, &session);
    other.get("/v1/customers").await.ok();
    let out = Answer::of(other.request(Method::POST, "/v1/auth/logout")).await;
    assert_eq!((out.status, &*out.text), (204, ""));
    refresh(&platform, &session["refresh_token"]).await.problem(401, "invalid_refresh_token");
    other.get("/v1/auth/me").await.problem(401, "invalid_token");
    until_refused(&other).await;
    ada.get("/v1/customers").await.ok();
}

#[tokio::test]
async fn a_forgotten_password_is_set_with_the_link_in_the_mail_and_ends_every_session() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    let session = platform.log_in("ada@acme.example", PASSWORD).await.ok();
    let forgot =
        || platform.request(Method::POST, "/v1/auth/password/forgot").json(&json!({ "email": "ada@acme.example" }));
    assert_eq!(Answer::of(forgot()).await.status, 202);
    let older = platform.mailed_token("ada@acme.example").await;
    assert_eq!(Answer::of(forgot()).await.status, 202);
    let token = platform.mailed_token("ada@acme.example").await;

    let refused = platform.reset_password(&token, "password1").await.problem(422, "password_refused");
    assert_eq!(refused["errors"][0]["pointer"], "/password");
    platform.reset_password(&token, "a new password").await.ok();
    for used in [&token, &older] {
        platform.reset_password(used, "another password").await.problem(422, "invalid_token");
    }
    platform.log_in("ada@acme.example", PASSWORD).await.problem(401, "invalid_credentials");
    platform.log_in("ada@acme.example", "a new password").await.ok();
    refresh(&platform, &session["refresh_token"]).await.problem(401, "invalid_refresh_token");
    until_refused(&ada).await;
}
