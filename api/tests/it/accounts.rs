//! Signing up, by mail: organisations and customers, and what strangers learn from it.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    harness::{Answer, PASSWORD, Platform, plan},
    world::catalogue,
};

async fn post(platform: &Platform, path: &str, body: &Value) -> Answer {
    Answer::of(platform.request(Method::POST, path).json(body)).await
}

#[tokio::test]
async fn an_organisation_signs_up_with_the_link_in_its_mail() {
    let platform = Platform::start().await;
    platform.register("ada").await.ok();
    platform.log_in("ada@acme.example", PASSWORD).await.problem(403, "email_not_verified");
    // The right password shows who asks; a wrong one must not show that the address waits.
    platform.log_in("ada@acme.example", "correct horse batterx").await.problem(401, "invalid_credentials");

    let mails = platform.mails_to("ada@acme.example").await;
    let [(subject, text)] = &mails[..] else { panic!("one mail: {mails:?}") };
    assert_eq!(subject, "ada Inc.: confirm your address");
    assert!(text.contains("https://ratchet.example/account/verify_email#token="), "{text}");
    let first = platform.mailed_token("ada@acme.example").await;
    let again = json!({ "email": "Ada@acme.example" });
    assert_eq!(post(&platform, "/v1/auth/resend_verification", &again).await.status, 202);
    let second = platform.mailed_token("ada@acme.example").await;
    assert_ne!(first, second);

    platform.verify_email(&first[1..]).await.problem(422, "invalid_token");
    // A token that proves an address is good for no password.
    platform.reset_password(&first, PASSWORD).await.problem(422, "invalid_token");
    let user = platform.verify_email(&first).await.ok();
    assert_eq!(user["email_verified"], true);
    for used in [&first, &second] {
        platform.verify_email(used).await.problem(422, "invalid_token");
    }
    platform.log_in("ada@acme.example", PASSWORD).await.ok();
}

#[tokio::test]
async fn a_token_used_by_many_at_once_is_used_once() {
    let platform = Platform::start().await;
    platform.register("ada").await.ok();
    let token = platform.mailed_token("ada@acme.example").await;
    let answers = futures::future::join_all((0..8).map(|_| platform.verify_email(&token))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422, 422, 422, 422, 422, 422, 422]);
}

/// What is the same in two answers that must be alike: all but ids and instants.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let secret = |name: &str| matches!(name, "id" | "created" | "customer" | "request_id");
            fields.iter().filter(|(name, _)| !secret(name)).map(|(name, value)| (name.clone(), shape(value))).collect()
        }
        other => other.clone(),
    }
}

#[tokio::test]
async fn a_stranger_learns_from_no_answer_who_has_an_account() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    let register = async |email: &str| {
        let body = json!({ "organization": "Acme", "name": "Eve", "email": email, "password": "another password" });
        post(&platform, "/v1/auth/register", &body).await
    };
    let onboard = async |email: &str| {
        let body = json!({ "tenant": ada.tenant, "name": "Eve", "email": email, "password": "another password" });
        post(&platform, "/v1/onboarding/register", &body).await
    };
    for (known, unknown) in [
        (register("ada@acme.example").await, register("eve@acme.example").await),
        (onboard("ada@acme.example").await, onboard("mallory@acme.example").await),
    ] {
        assert_eq!((known.status, unknown.status), (201, 201), "{known:?} {unknown:?}");
        let (mut known, mut unknown) = (shape(&known.json()), shape(&unknown.json()));
        (known["user"]["email"], unknown["user"]["email"]) = (json!(""), json!(""));
        assert_eq!(known, unknown);
    }
    // The mail tells, and the password stays.
    let mails = platform.mails_to("ada@acme.example").await;
    let subjects: Vec<_> = mails.iter().map(|(subject, _)| subject.as_str()).collect();
    let already = "ada Inc.: you are signed up already";
    assert_eq!(subjects, ["ada Inc.: confirm your address", already, already]);
    platform.log_in("ada@acme.example", PASSWORD).await.ok();
    platform.log_in("ada@acme.example", "another password").await.problem(401, "invalid_credentials");

    for path in ["/v1/auth/password/forgot", "/v1/auth/resend_verification"] {
        let ask = async |email: &str| {
            let answer = post(&platform, path, &json!({ "email": email })).await;
            (answer.status, answer.text)
        };
        assert_eq!(ask("ada@acme.example").await, ask("nobody@acme.example").await);
        assert_eq!(ask("nobody@acme.example").await.0, 202);
    }
}

/// The middle of the times that two ways of asking take, asked in turns: what else the machine does slows both.
async fn typical(mut known: impl AsyncFnMut(), mut unknown: impl AsyncFnMut()) -> [Duration; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        let started = Instant::now();
        known().await;
        times[0].push(started.elapsed());
        let started = Instant::now();
        unknown().await;
        times[1].push(started.elapsed());
    }
    times.map(|mut times| {
        times.sort_unstable();
        times[2]
    })
}

#[tokio::test]
async fn a_stranger_learns_from_no_clock_who_has_an_account() {
    let platform = Platform::start().await;
    platform.client("ada").await;
    let mut number = 0;
    for path in ["/v1/auth/login", "/v1/auth/password/forgot", "/v1/auth/register"] {
        let ask = async |email: &str| {
            let mut body = json!({ "email": email });
            if path.ends_with("login") || path.ends_with("register") {
                body["password"] = json!("another password");
            }
            if path.ends_with("register") {
                (body["organization"], body["name"]) = (json!("Acme"), json!("Eve"));
            }
            let status = post(&platform, path, &body).await.status;
            assert!([201, 202, 401].contains(&status), "{path}: {status}");
        };
        let nobody = async || {
            number += 1;
            ask(&format!("nobody{number}@acme.example")).await;
        };
        let [known, unknown] = typical(async || ask("ada@acme.example").await, nobody).await;
        // What differs without the precautions is a hash of many milliseconds; what must not is noise.
        let ratio = known.as_secs_f64() / unknown.as_secs_f64();
        assert!((0.4..2.5).contains(&ratio), "{path}: {known:?} for a user, {unknown:?} for nobody");
    }
}

#[tokio::test]
async fn mails_to_one_address_end_before_they_are_a_nuisance() {
    let platform = Platform::start().await;
    platform.client("ada").await;
    for _ in 0..8 {
        let body = json!({ "email": "ada@acme.example" });
        assert_eq!(post(&platform, "/v1/auth/password/forgot", &body).await.status, 202);
    }
    let mails = platform.mails_to("ada@acme.example").await;
    assert_eq!(mails.iter().filter(|(subject, _)| subject.ends_with("choose a new password")).count(), 5);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn guesses_at_a_password_are_slowed_down_and_the_account_stays_reachable_by_mail() {
    let platform = Platform::start().await;
    platform.client("ada").await;
    let guess = async |number: usize| platform.log_in("ada@acme.example", &format!("guess number {number}")).await;
    let answers = futures::future::join_all((0..20).map(guess)).await;
    let checked = answers.iter().filter(|answer| answer.status == 401).count();
    // Five are free; a machine so slow that seconds pass meanwhile lets one or two more through.
    assert!((5..=8).contains(&checked), "{checked}");
    for answer in answers.iter().filter(|answer| answer.status != 401) {
        answer.problem(429, "rate_limited");
        assert!(answer.header("retry-after").is_some_and(|after| after.parse::<u64>().is_ok_and(|s| s > 0)));
    }
    // Nobody is treated like somebody.
    let nobody = async |_: usize| platform.log_in("nobody@acme.example", PASSWORD).await.status;
    let statuses = futures::future::join_all((0..20).map(nobody)).await;
    assert!(statuses.contains(&429), "{statuses:?}");

    // After some more the wait is longer than this test, and the right password is not heard either.
    let id = format!("account:{}", hex(&Sha256::digest("ada@acme.example")));
    let mut counted = platform.app.billing.store.throttle(&id).await.expect("a store").expect("a count");
    (counted.tries, counted.not_before) = (14, platform.app.clock.now());
    let mut unit = store::UnitOfWork::default();
    unit.replace(&mut counted).expect("a document");
    platform.app.billing.store.commit(unit).await.expect("a commit");
    guess(99).await.problem(401, "invalid_credentials");
    let wait = platform.log_in("ada@acme.example", PASSWORD).await;
    wait.problem(429, "rate_limited");
    let seconds: u64 = wait.header("retry-after").expect("a wait").parse().expect("a number");
    assert!((400..=512).contains(&seconds), "{seconds}");
    let body = json!({ "email": "ada@acme.example" });
    post(&platform, "/v1/auth/password/forgot", &body).await;
    platform.reset_password(&platform.mailed_token("ada@acme.example").await, "a new password").await.ok();
}

#[tokio::test]
async fn a_customer_registers_chooses_a_plan_and_is_billed() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    catalogue(&ada).await;
    let (eve, customer) = platform.customer(&ada, "eve").await;
    let me = eve.get("/v1/auth/me").await.ok();
    assert_eq!((&me["user"]["role"], &me["user"]["customer"]), (&json!("customer"), &json!(customer)));

    let plans = eve.get("/v1/plans").await.ok();
    let chosen = plans["data"][0]["id"].clone();
    let body = json!({ "customer": customer, "plan": chosen });
    for (field, value) in [
        ("trial_days", json!(30)),
        ("coupons", json!(["ten"])),
        ("start_at", json!("2026-09-01T00:00:00Z")),
        ("end_at", json!("2027-09-01T00:00:00Z")),
    ] {
        let mut body = body.clone();
        body[field] = value;
        let problem = eve.post("/v1/subscriptions", &body).await.problem(422, "rule_violated");
        assert_eq!(problem["errors"][0]["code"], "not_for_customers", "{problem}");
    }
    let other = ada.customer("other").await;
    let of_another = json!({ "customer": other, "plan": chosen });
    eve.post("/v1/subscriptions", &of_another).await.problem(422, "unknown_customer");
    let subscription = eve.post("/v1/subscriptions", &body).await.ok();
    let id = subscription["id"].as_str().expect("an id");

    let invoice = eve.get("/v1/invoices").await.ok()["data"][0].clone();
    assert_eq!((&invoice["customer"], &invoice["reason"]), (&json!(customer), &json!("subscription_create")));
    let mails = platform.mails_to("eve@customers.example").await;
    assert!(mails.iter().any(|(_, text)| text.contains(invoice["number"].as_str().expect("text"))), "{mails:?}");

    let cancel = format!("/v1/subscriptions/{id}/cancel");
    eve.post(&cancel, &json!({ "when": "now" })).await.problem(422, "rule_violated");
    eve.post(&cancel, &json!({ "when": "period_end" })).await.ok();
    let mut priced = plan();
    priced["key"] = json!("free");
    eve.post("/v1/plans", &priced).await.problem(403, "missing_scope");
}

#[tokio::test]
async fn what_is_no_onboarding_is_refused() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    let body = json!({ "tenant": ada.tenant, "name": "Eve", "email": "eve@customers.example", "password": PASSWORD });
    for (field, value, status, pointer) in [
        ("tenant", json!("ten_none"), 422, "/tenant"),
        ("currency", json!("doubloon"), 400, "/currency"),
        ("timezone", json!("Mars/Olympus"), 400, "/timezone"),
        ("password", json!("short"), 422, "/password"),
        ("role", json!("owner"), 400, "/role"),
        ("balance_minor", json!(1_000), 400, "/balance_minor"),
    ] {
        let mut body = body.clone();
        body[field] = value;
        let answer = post(&platform, "/v1/onboarding/register", &body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{answer:?}");
    }
    assert_eq!(ada.get("/v1/customers").await.ok()["data"], json!([]));
}
