//! The OpenAPI document: complete, and about the routes that there are.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::{
    contract::document,
    harness::{Answer, Platform},
};

#[test]
fn every_operation_says_all_there_is_to_say() {
    let text = api::openapi_json().expect("a document");
    let document: utoipa::openapi::OpenApi = serde_json::from_str(&text).expect("an OpenAPI document");
    assert_eq!(api::http::openapi::gaps(&document), Vec::<String>::new());
    assert_eq!(api::access::gaps(&document), Vec::<String>::new());
    assert!(document.paths.paths.len() > 20);
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut rest = vec![&document];
    let mut references = 0;
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(fields) => rest.extend(fields.values()),
            Value::Array(items) => rest.extend(items),
            Value::String(text) => {
                if let Some(pointer) = text.strip_prefix("#/") {
                    references += 1;
                    assert!(document.pointer(&format!("/{pointer}")).is_some(), "{text}");
                }
            }
            _ => {}
        }
    }
    assert!(references > 100, "{references}");
}

#[tokio::test]
async fn router_and_document_list_the_same_routes() {
    let platform = Platform::start().await;
    let served = Answer::of(platform.request(Method::GET, "/openapi.json")).await.ok();
    assert_eq!(served, document());
    for (path, item) in served["paths"].as_object().expect("paths") {
        let mut methods: BTreeSet<String> =
            item.as_object().expect("methods").keys().map(|m| m.to_uppercase()).collect();
        // axum answers HEAD wherever there is a GET.
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        let answer = Answer::of(platform.request(Method::PUT, &path.replace("{id}", "x"))).await;
        answer.problem(405, "method_not_allowed");
        let allowed = answer.header("allow").expect("Allow").split(',').map(|method| method.trim().to_owned());
        assert_eq!(allowed.collect::<BTreeSet<_>>(), methods, "{path}");
    }
}
