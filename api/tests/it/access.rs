//! Who may do what, swept: every operation of the document by nobody, by every scope, by every role, by another tenant and
//! by another customer. A new operation is swept without a line here.

use std::collections::BTreeSet;

use api::{access::scopes_of, auth::role::Role};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    contract::{Operation, document, operations},
    harness::{Answer, Client, Platform, plan},
    world::{Account, account, account_of, catalogue, world},
    writes::{concrete, writes},
};

const STAFF: [Role; 5] = [Role::Owner, Role::Admin, Role::Finance, Role::Support, Role::Viewer];

fn protected() -> Vec<Operation> {
    let operations: Vec<_> = operations().into_iter().filter(|operation| operation.scope.is_some()).collect();
    assert!(operations.len() > 60);
    operations
}

fn with_body(request: RequestBuilder, operation: &Operation, body: &Value) -> RequestBuilder {
    if operation.takes_body { request.json(body) } else { request }
}

/// An operation by a caller of whom only the credentials count: the body is empty and the object does not exist.
async fn knock(client: &Client<'_>, operation: &Operation) -> Answer {
    let request = client.request(operation.method.clone(), &concrete(&operation.path));
    Answer::of(with_body(request, operation, &json!({}))).await
}

fn is_let_in(answer: &Answer) -> bool {
    assert_ne!(answer.status, 401, "{answer:?}");
    assert!(answer.status < 500, "{answer:?}");
    if answer.status != 403 {
        return true;
    }
    let code = answer.json()["code"].clone();
    assert!(code == "missing_scope" || code == "role_not_allowed", "{answer:?}");
    false
}

#[tokio::test]
async fn nobody_gets_in_without_a_token() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    let traces = platform.traces(&ada.tenant).await;
    for operation in protected() {
        let request = || platform.request(operation.method.clone(), &concrete(&operation.path));
        let send = async |request| Answer::of(with_body(request, &operation, &json!({}))).await;
        send(request()).await.problem(401, "unauthenticated");
        send(request().bearer_auth(format!("{}x", ada.token))).await.problem(401, "invalid_token");
        send(request().header("authorization", format!("Basic {}", ada.token))).await.problem(401, "invalid_token");
    }
    assert_eq!(platform.traces(&ada.tenant).await, traces);
}

#[tokio::test]
async fn every_role_does_what_the_table_says_and_nothing_else() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    let mut members = vec![(Role::Customer, platform.customer(&ada, "eve").await.0)];
    for role in STAFF {
        members.push((role, platform.member(&ada, role).await));
    }
    let listed = |role: &Role, operation: &Operation| operation.roles.iter().any(|name| name == role.as_str());
    let traces = platform.traces(&ada.tenant).await;
    for operation in protected() {
        for (role, member) in members.iter().filter(|(role, _)| !listed(role, &operation)) {
            let answer = knock(member, &operation).await;
            assert!(!is_let_in(&answer), "{role:?} {}: {answer:?}", operation.id);
        }
    }
    assert_eq!(platform.traces(&ada.tenant).await, traces);
    // Logging out is good for everybody, and would be the end of it.
    for operation in protected().into_iter().filter(|operation| operation.id != "logout") {
        for (role, member) in members.iter().filter(|(role, _)| listed(role, &operation)) {
            let answer = knock(member, &operation).await;
            assert!(is_let_in(&answer), "{role:?} {}: {answer:?}", operation.id);
        }
    }
}

#[tokio::test]
async fn a_token_is_good_for_its_scopes_alone() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    let me = ada.get("/v1/auth/me").await.ok();
    let operations = protected();
    let scopes: BTreeSet<_> = operations.iter().filter_map(|operation| operation.scope.clone()).collect();
    assert_eq!(me["scope"], scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
    assert_eq!(scopes_of(Role::Owner).to_string(), me["scope"].as_str().expect("text"));
    for scope in &scopes {
        let token = platform.narrowed(&ada, scope);
        let narrow = Client { platform: &platform, tenant: ada.tenant.clone(), token };
        for operation in operations.iter().filter(|operation| operation.id != "logout") {
            let answer = knock(&narrow, operation).await;
            assert_eq!(is_let_in(&answer), operation.scope.as_ref() == Some(scope), "{}: {answer:?}", operation.id);
        }
    }
}

/// A right body for an operation, from a tenant that has a catalogue and this customer.
fn right_body(operation: &Operation, customer: &str) -> Value {
    let found = writes(customer).into_iter().find(|w| w.path == operation.path && w.method == operation.method);
    found.map_or(json!({}), |write| write.body)
}

/// What is said must name none of these ids but the one that was asked for, nor their customers.
fn assert_says_nothing(answer: &Answer, (asked, secret): (&str, &BTreeSet<String>), context: &str) {
    let named = secret.iter().filter(|id| !asked.contains(&**id) && answer.text.contains(&**id)).collect::<Vec<_>>();
    assert!(named.is_empty() && !answer.text.contains("Customer of"), "{context} {asked}: {named:?} {answer:?}");
}

#[tokio::test]
async fn no_id_of_another_tenant_is_good_for_anything() {
    let platform = Platform::start().await;
    let (ada, _, secret) = world(&platform, "ada").await;
    let bob = platform.client("bob").await;
    catalogue(&bob).await;
    let customer = bob.customer("carl").await;
    let before = (platform.traces(&ada.tenant).await, platform.traces(&bob.tenant).await);
    let mut asked = 0;
    for operation in protected().into_iter().filter(Operation::names_an_object) {
        let body = right_body(&operation, &customer);
        for id in &secret {
            let request = bob.request(operation.method.clone(), &operation.path.replace("{id}", id));
            let answer = Answer::of(with_body(request, &operation, &body)).await;
            answer.problem(404, "not_found");
            assert_says_nothing(&answer, (id, &secret), &operation.id);
            asked += 1;
        }
    }
    assert!(asked > 500, "{asked}");
    assert_eq!((platform.traces(&ada.tenant).await, platform.traces(&bob.tenant).await), before);
}

#[tokio::test]
async fn no_list_shows_another_tenant() {
    let platform = Platform::start().await;
    let (ada, account, secret) = world(&platform, "ada").await;
    let bob = platform.client("bob").await;
    let is_list = |operation: &Operation| operation.method == Method::GET && !operation.names_an_object();
    for operation in protected().into_iter().filter(is_list) {
        let path = concrete(&operation.path);
        let answer = bob.get(&path).await;
        assert_says_nothing(&answer, ("", &secret), &operation.id);
        for query in ["customer", "subscription", "invoice", "starting_after", "ending_before"] {
            let foreign = if query == "invoice" { &account.invoice } else { &account.customer };
            let answer = bob.get(&format!("{path}?{query}={foreign}")).await;
            assert_says_nothing(&answer, (foreign, &secret), &operation.id);
        }
    }
    assert!(ada.get("/v1/invoices").await.text.contains(&account.invoice));
}

/// Names of body fields that name another object.
const REFERENCES: [&str; 7] = ["customer", "subscription", "plan", "meter", "invoice", "coupon", "coupons"];

/// Writes of `own` whose body names one object of `foreign` each: path, name of the field, body.
fn with_foreign_ids(own: &Account, foreign: &Account, catalogue: &Value) -> Vec<(&'static str, &'static str, Value)> {
    let [customer, invoice] = [&own.customer, &own.invoice];
    let subscribe = |field: &'static str, value: &Value| {
        let mut body = json!({ "customer": customer, "plan": "pro" });
        body[field] = value.clone();
        body
    };
    let preview = |field, value| (("/v1/invoices/preview"), field, subscribe(field, value));
    let mut priced = plan();
    priced["key"] = json!("stolen");
    priced["prices"][1]["meter"] = catalogue["meter"].clone();
    let event = |field: &str, value: &Value| {
        let mut event =
            json!({ "id": "e1", "meter": "calls", "customer": customer, "timestamp": "2026-08-01T11:00:00Z" });
        if field == "subscription" {
            event.as_object_mut().expect("an object").remove("customer");
        }
        event[field] = value.clone();
        json!({ "events": [event] })
    };
    let foreign_customer = json!(foreign.customer);
    let line = json!([{ "key": "a", "unit_amount": "1" }]);
    vec![
        ("/v1/subscriptions", "customer", subscribe("customer", &foreign_customer)),
        ("/v1/subscriptions", "plan", subscribe("plan", &catalogue["plan"])),
        ("/v1/subscriptions", "coupons", subscribe("coupons", &json!([catalogue["coupon"]]))),
        preview("customer", &foreign_customer),
        preview("plan", &catalogue["plan"]),
        preview("coupons", &json!([catalogue["coupon"]])),
        ("/v1/subscriptions/{id}/change", "plan", json!({ "plan": catalogue["plan"] })),
        ("/v1/subscriptions/{id}/apply_coupon", "coupon", json!({ "coupon": catalogue["coupon"] })),
        ("/v1/plans/{id}", "meter", json!({ "prices": priced["prices"] })),
        ("/v1/plans", "meter", priced),
        ("/v1/wallets", "customer", json!({ "customer": foreign.customer, "amount_minor": 1 })),
        ("/v1/invoices", "customer", json!({ "customer": foreign.customer, "lines": line })),
        ("/v1/credit_notes", "invoice", json!({ "invoice": foreign.invoice, "all": true, "reason": invoice })),
        ("/v1/usage_events", "customer", event("customer", &foreign_customer)),
        ("/v1/usage_events", "subscription", event("subscription", &json!(foreign.subscription))),
        ("/v1/usage_events", "meter", event("meter", &catalogue["meter"])),
    ]
}

/// The reference fields of every body in the document, at any depth.
fn documented_references() -> BTreeSet<(String, String)> {
    let document = document();
    let mut found = BTreeSet::new();
    for operation in operations().into_iter().filter(|operation| operation.of_the_gateway() && operation.takes_body) {
        let method = operation.method.as_str().to_lowercase();
        let mut rest = vec![&document["paths"][&operation.path][&method]["requestBody"]];
        while let Some(value) = rest.pop() {
            match value {
                Value::Object(fields) => {
                    if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                        rest.push(document.pointer(&reference[1..]).expect("a schema"));
                    }
                    let properties = fields.get("properties").and_then(Value::as_object);
                    let names = properties.into_iter().flat_map(|properties| properties.keys());
                    let references = names.filter(|name| REFERENCES.contains(&name.as_str()));
                    found.extend(references.map(|name| (operation.path.clone(), name.clone())));
                    rest.extend(fields.values());
                }
                Value::Array(items) => rest.extend(items),
                _ => {}
            }
        }
    }
    found
}

#[tokio::test]
async fn no_body_reaches_into_another_tenant() {
    let platform = Platform::start().await;
    let (ada, foreign, secret) = world(&platform, "ada").await;
    let bob = platform.client("bob").await;
    catalogue(&bob).await;
    let own = account(&bob, "Carl").await;
    let first = async |path: &str| ada.get(path).await.ok()["data"][0]["id"].clone();
    let catalogue = json!({ "plan": first("/v1/plans").await, "meter": first("/v1/meters").await,
        "coupon": first("/v1/coupons").await });
    let plan = &bob.get("/v1/plans").await.ok()["data"][0]["id"];
    let plan = plan.as_str().expect("an id");
    let writes = with_foreign_ids(&own, &foreign, &catalogue);
    let covered: BTreeSet<_> =
        writes.iter().map(|(path, field, _)| ((*path).to_owned(), (*field).to_owned())).collect();
    assert_eq!(documented_references().difference(&covered).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
    let before = (platform.traces(&ada.tenant).await, platform.traces(&bob.tenant).await);
    for (path, field, body) in writes {
        let answer = match path {
            "/v1/plans/{id}" => Answer::of(bob.request(Method::PATCH, &path.replace("{id}", plan)).json(&body)).await,
            _ => bob.post(&path.replace("{id}", &own.subscription), &body).await,
        };
        if path == "/v1/usage_events" {
            let receipt = answer.json();
            assert_eq!((&receipt["accepted"], &receipt["rejected"][0]["index"]), (&json!(0), &json!(0)), "{receipt}");
        } else {
            assert!(answer.status == 404 || answer.status == 422, "{path} {field}: {answer:?}");
        }
        let asked = if field == "invoice" { &foreign.invoice } else { &foreign.customer };
        let sent: BTreeSet<_> = secret.iter().filter(|id| !body.to_string().contains(&**id)).cloned().collect();
        assert_says_nothing(&answer, (asked, &sent), path);
    }
    assert_eq!((platform.traces(&ada.tenant).await, platform.traces(&bob.tenant).await), before);
}

#[tokio::test]
async fn a_customer_sees_its_own_and_nothing_of_its_neighbours() {
    let platform = Platform::start().await;
    let ada = platform.client("ada").await;
    catalogue(&ada).await;
    let (eve, customer) = platform.customer(&ada, "eve").await;
    let own = account_of(&ada, customer).await;
    let neighbour = account(&ada, "Customer of ada").await;
    let allowed = |operation: &Operation| operation.roles.iter().any(|role| role == "customer");
    let before = platform.traces(&ada.tenant).await;
    let mut seen = 0;
    for operation in protected().into_iter().filter(allowed).filter(|operation| operation.id != "logout") {
        let request = |id: &str| {
            let request = eve.request(operation.method.clone(), &operation.path.replace("{id}", id));
            with_body(request, &operation, &right_body(&operation, &neighbour.customer))
        };
        if !operation.names_an_object() {
            let answer = Answer::of(request("")).await;
            assert_says_nothing(&answer, (&neighbour.customer, &neighbour.ids), &operation.id);
            continue;
        }
        for id in &neighbour.ids {
            let answer = Answer::of(request(id)).await;
            answer.problem(404, "not_found");
            assert_says_nothing(&answer, (id, &neighbour.ids), &operation.id);
        }
        if operation.method == Method::GET && operation.path != "/v1/plans/{id}" {
            let mut visible = 0;
            for id in &own.ids {
                visible += usize::from(Answer::of(request(id)).await.status == 200);
            }
            assert!(visible > 0, "{}: a customer sees none of its own", operation.id);
            seen += visible;
        }
    }
    assert!(seen > 10, "{seen}");
    for query in ["customer", "starting_after"] {
        let answer = eve.get(&format!("/v1/invoices?{query}={}", neighbour.customer)).await;
        assert_says_nothing(&answer, (&neighbour.customer, &neighbour.ids), query);
    }
    assert_eq!(eve.get("/v1/invoices").await.ok()["data"].as_array().map(Vec::len), Some(3));
    assert_eq!(platform.traces(&ada.tenant).await, before);
}
