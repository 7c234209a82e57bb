//! Who pays, and with what.

use sandbox_gateway::Config;
use serde_json::json;

use crate::server::{Server, with};

#[tokio::test]
async fn a_token_becomes_a_method_of_one_customer_and_pays_for_nobody_else() {
    let server = Server::start(Config::default()).await;
    let fields = [("name", "Ada"), ("email", "ada@example.com"), ("metadata[customer]", "cus_ours")];
    let customer = server.post("/v1/customers", &fields).await.ok();
    let id = customer["id"].as_str().unwrap();
    assert_eq!((&customer["object"], &customer["metadata"]["customer"]), (&json!("customer"), &json!("cus_ours")));
    assert_eq!(server.get(&format!("/v1/customers/{id}")).await.ok(), customer);

    let attach = async |token: &str, to: &str| {
        server.post(&format!("/v1/payment_methods/{token}/attach"), &[("customer", to)]).await
    };
    let method = attach("pm_sandbox_ok", id).await.ok();
    let card = method["id"].as_str().unwrap();
    assert_ne!(card, "pm_sandbox_ok");
    assert_ne!(attach("pm_sandbox_ok", id).await.ok()["id"], method["id"], "another one each time");
    assert_eq!(attach(card, id).await.ok(), method, "attached once more");
    assert_eq!(attach(card, "cus_1").await.refused(400), "payment_method_unexpected_state");
    assert_eq!(attach("pm_nobody", id).await.refused(404), "resource_missing");
    assert_eq!(attach("pm_sandbox_ok", "cus_nobody").await.refused(404), "resource_missing");

    let mut own = with(card, "customer", id);
    assert_eq!(server.charge("own", &own).await.ok()["payment_method"], card);
    own = with(card, "customer", "cus_1");
    assert_eq!(server.charge("foreign", &own).await.refused(400), "payment_method_unexpected_state");

    let methods = server.get(&format!("/v1/payment_methods?customer={id}")).await.ok();
    assert_eq!(methods["data"].as_array().unwrap().len(), 2);
    assert_eq!(methods["data"][1], method);
    server.stop().await;
}

#[tokio::test]
async fn a_card_behaves_as_it_is_told_to() {
    let server = Server::start(Config::default()).await;
    let attached = server.post("/v1/payment_methods/pm_sandbox_ok/attach", &[("customer", "cus_1")]).await.ok();
    let card = attached["id"].as_str().unwrap();
    let disguise = json!({ "payment_method": card, "behaves_as": "pm_sandbox_decline_insufficient_funds" });
    server.admin("/payment_methods", disguise).await;
    let declined = server.charge("k1", &with(card, "amount", "100")).await;
    let error = &declined.json()["error"];
    assert_eq!(
        (&error["decline_code"], &error["advice_code"]),
        (&json!("insufficient_funds"), &json!("try_again_later"))
    );
    server.admin("/payment_methods", json!({ "payment_method": card, "behaves_as": "pm_sandbox_ok" })).await;
    server.charge("k2", &with(card, "amount", "100")).await.ok();
    let other = server.charge("k3", &with("pm_sandbox_ok", "amount", "100")).await;
    other.ok();
    server.stop().await;
}
