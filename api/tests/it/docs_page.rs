//! `/docs`: the rendered document, which loads nothing from elsewhere.

use reqwest::Method;

use crate::harness::{Answer, Platform};

#[tokio::test]
async fn the_page_is_drawn_from_this_server_alone() {
    let platform = Platform::start().await;
    let page = Answer::of(platform.request(Method::GET, "/docs")).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!page.text.contains("//"), "an address of somebody else: {}", page.text);
    assert!(page.text.contains("spec-url=\"/openapi.json\"") && page.text.contains("src=\"/docs/redoc.js\""));
    let script = Answer::of(platform.request(Method::GET, "/docs/redoc.js")).await;
    assert_eq!((script.status, script.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
    assert!(script.text.len() > 1_000_000 && !script.text.contains("cdn."));
}
