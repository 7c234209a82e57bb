//! Rate limits over HTTP: two replicas, one quota.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Platform, Quotas};

/// `"default";q=100;w=60` as numbers.
fn numbers(header: Option<&str>) -> Vec<u32> {
    let header = header.expect("a rate limit header");
    let parts = header.strip_prefix("\"default\";").expect(header).split(';');
    parts.map(|part| part.split_once('=').expect(header).1.parse().expect(header)).collect()
}

#[tokio::test]
async fn replicas_refuse_together_what_is_beyond_the_quota() {
    let quotas = Quotas { caller: "12/60", ..Quotas::default() };
    let platform = Platform::start_with(&quotas).await;
    let other = platform.replica(&quotas).await;
    let ada = platform.client("ada").await;
    let bob = platform.client("bob").await;
    let ask = |api: &str| Answer::of(platform.http.get(format!("{api}/v1/customers")).bearer_auth(&ada.token));
    for number in 1..=12 {
        let answer = ask(if number % 2 == 0 { &other } else { &platform.api }).await;
        assert_eq!(numbers(answer.header("ratelimit-policy")), [12, 60]);
        let [remaining, resets_in] = numbers(answer.header("ratelimit"))[..] else { panic!("{answer:?}") };
        assert_eq!(remaining, 12 - number);
        assert!((1..=60).contains(&resets_in));
        answer.ok();
    }
    for api in [&platform.api, &other] {
        let refused = ask(api).await;
        refused.problem(429, "rate_limited");
        let after: u32 = refused.header("retry-after").expect("Retry-After").parse().expect("seconds");
        assert!((1..=60).contains(&after));
        assert_eq!(numbers(refused.header("ratelimit"))[0], 0);
    }
    let write = ada.post("/v1/customers", &json!({ "name": "A", "email": "a@customers.example" })).await;
    write.problem(429, "rate_limited");
    // Somebody else of another tenant is not concerned, nor are probes.
    bob.get("/v1/customers").await.ok();
    for _ in 0..20 {
        assert_eq!(Answer::of(platform.request(Method::GET, "/livez")).await.status, 200);
    }
}

#[tokio::test]
async fn a_tenant_is_limited_over_all_its_callers() {
    let platform = Platform::start_with(&Quotas { tenant: "10/60", ..Quotas::default() }).await;
    let ada = platform.client("ada").await;
    for _ in 0..10 {
        ada.get("/v1/customers").await.ok();
    }
    ada.get("/v1/customers").await.problem(429, "rate_limited");
    assert_eq!(numbers(ada.get("/v1/customers").await.header("ratelimit-policy")), [10, 60]);
}

#[tokio::test]
async fn whoever_has_no_accepted_credentials_is_limited_by_address() {
    let quotas = Quotas { address: "8/60", trusted: "127.0.0.1", ..Quotas::default() };
    let platform = Platform::start_with(&quotas).await;
    let ask = |method: Method, path: &str, from: &'static str| {
        Answer::of(platform.request(method, path).header("x-forwarded-for", from).bearer_auth("guess"))
    };
    let routes = ["/v1/customers", "/no/such/route", "/v1/auth/login", "/v1/customers/cus_1"];
    for number in 0..8 {
        let answer = ask(Method::GET, routes[number % 4], "203.0.113.1").await;
        assert!([401, 404, 405].contains(&answer.status), "{answer:?}");
        assert_eq!(numbers(answer.header("ratelimit-policy")), [8, 60], "{answer:?}");
    }
    for path in routes {
        ask(Method::GET, path, "203.0.113.1").await.problem(429, "rate_limited");
        // What the client itself adds changes nothing; another client is another one.
        ask(Method::GET, path, "198.51.100.7, 203.0.113.1").await.problem(429, "rate_limited");
    }
    ask(Method::GET, "/no/such/route", "203.0.113.2").await.problem(404, "route_not_found");
}
