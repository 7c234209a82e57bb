//! Webhooks from the event to a real endpoint: signed, tried by the schedule, given up aloud, and never the endpoint of another
//! tenant's trouble.

use std::time::Duration;

use billing::{Actor, Delivering, EventType, NewWebhookEndpoint, SecretRotation, TenantTime};
use domain::WEBHOOK_ATTEMPTS;
use gateways::webhook::{new_secret, sign};
use jiff::{SignedDuration, Timestamp};
use mongodb::bson::{Document, doc};
use services::{ReceivedWebhook, WebhookReceiver, WebhookReply};
use store::{DeliveryState, EndpointState, WebhookDelivery, WebhookEndpoint};

use crate::{
    servers::Servers,
    world::{TENANT, WALL, World},
};

const ENDPOINT: &str = "whe_1";

fn actor() -> Actor {
    Actor { tenant: TENANT.to_owned(), id: "usr_1".to_owned(), request_id: None }
}

fn secret(seed: u8) -> String {
    new_secret([seed; 32])
}

impl World {
    async fn endpoint(&self, url: &str, events: &[&str]) {
        let new = NewWebhookEndpoint {
            id: ENDPOINT.to_owned(),
            url: url.to_owned(),
            description: None,
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            secret: secret(1).into(),
            metadata: Default::default(),
        };
        let (store, time) = (&self.billing.store, self.time().await);
        let change = billing::create_webhook_endpoint(store, &actor(), &time, new).await.unwrap();
        self.billing.commit(change).await.unwrap();
    }

    /// Has every event of the tenant given to its subscribers; returns the webhook deliveries.
    async fn webhooks(&self) -> Vec<String> {
        while billing::dispatch_events(&self.billing, TENANT, WALL).await.unwrap() == billing::Progress::More {}
        for id in self.ids("event_deliveries").await {
            billing::deliver_event(&self.billing, (TENANT, &id), WALL).await.unwrap();
        }
        self.ids("webhook_deliveries").await
    }

    async fn ids(&self, collection: &str) -> Vec<String> {
        let mut rows = self.database.collection::<Document>(collection).find(doc! {}).await.unwrap();
        let mut ids = Vec::new();
        while rows.advance().await.unwrap() {
            ids.push(rows.current().get_str("_id").unwrap().to_owned());
        }
        ids
    }

    async fn attempt(&self, id: &str, wall: Timestamp) -> Delivering {
        billing::deliver_webhook(&self.billing, (TENANT, id), wall).await.unwrap()
    }

    async fn delivery(&self, id: &str) -> WebhookDelivery {
        self.billing.store.find(TENANT, id).await.unwrap().unwrap()
    }

    async fn endpoint_now(&self) -> WebhookEndpoint {
        self.billing.store.find(TENANT, ENDPOINT).await.unwrap().unwrap()
    }

    /// Sends the mails that are due; returns the subjects of all that were sent.
    async fn mails(&self, servers: &Servers, wall: Timestamp) -> Vec<String> {
        for due in self.billing.store.due::<store::Notification>(wall, None, 100).await.unwrap() {
            billing::send_notification(&self.billing, (TENANT, &due.id), wall).await.unwrap();
        }
        servers.mail.mails().into_iter().map(|mail| mail.subject).collect()
    }
}

fn is_signed_with(webhook: &ReceivedWebhook, secrets: &[&str]) -> bool {
    let header = |name| webhook.header(name).unwrap();
    let seconds = header("webhook-timestamp").parse().unwrap();
    sign(secrets, (header("webhook-id"), seconds), &webhook.body).unwrap() == header("webhook-signature")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_the_endpoints_that_want_it_once_and_signed() {
    let servers = Servers::start();
    let world = servers.world("webhooks").await;
    let endpoint = WebhookReceiver::start().unwrap();
    world.set_up().await;
    world.endpoint(&endpoint.url(), &["customer.*"]).await;
    world.customer("cus_ada", "pm_sandbox_ok").await;
    let deliveries = world.webhooks().await;
    assert_eq!(deliveries.len(), 1, "of all that happened only the customer is wanted: {deliveries:?}");
    assert_eq!(world.webhooks().await, deliveries, "whatever is repeated");
    let id = &deliveries[0];

    assert_eq!(world.attempt(id, WALL).await, Delivering::Over);
    assert_eq!(world.attempt(id, WALL).await, Delivering::Over, "delivered is delivered");
    let [webhook] = &endpoint.received()[..] else { panic!("one request: {:?}", endpoint.received()) };
    assert!(is_signed_with(webhook, &[&secret(1)]), "{webhook:?}");
    assert_eq!(webhook.header("webhook-id"), Some(id.as_str()));
    let body: serde_json::Value = serde_json::from_str(&webhook.body).unwrap();
    assert_eq!((body["type"].as_str(), body["data"]["id"].as_str()), (Some("customer.created"), Some("cus_ada")));
    let delivery = world.delivery(id).await;
    assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::Delivered, 1));

    // Rotated: both secrets sign for a while, then the new one alone. Replayed: the same id.
    let rotation = SecretRotation { secret: secret(2).into(), overlap_hours: 24 };
    let (store, time) = (&world.billing.store, world.time().await);
    let change = billing::rotate_webhook_secret(store, &actor(), &time, (ENDPOINT, rotation)).await.unwrap();
    world.billing.commit(change).await.unwrap();
    for (hours, secrets) in [(1, vec![secret(2), secret(1)]), (25, vec![secret(2)])] {
        let wall = WALL + SignedDuration::from_hours(hours);
        let time = TenantTime { wall, ..time.clone() };
        let change = billing::replay_webhook_delivery(store, &actor(), &time, id).await.unwrap();
        world.billing.commit(change).await.unwrap();
        assert_eq!(world.attempt(id, wall).await, Delivering::Over);
        let last = endpoint.received().pop().unwrap();
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        assert!(is_signed_with(&last, &secrets), "{hours}: {last:?}");
        assert_eq!((last.header("webhook-id"), &last.body), (Some(id.as_str()), &webhook.body));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_tried_by_the_schedule_and_given_up_aloud() {
    let servers = Servers::start();
    let world = servers.world("webhooks_dead").await;
    let endpoint = WebhookReceiver::start().unwrap();
    world.set_up().await;
    world.endpoint(&endpoint.url(), &["customer.created"]).await;
    world.customer("cus_ada", "pm_sandbox_ok").await;
    world.customer("cus_bob", "pm_sandbox_ok").await;
    let deliveries = world.webhooks().await;
    endpoint.answer(WebhookReply { body: "no".to_owned(), ..WebhookReply::status(500) });
    let mut wall = WALL;
    for id in &deliveries {
        wall = WALL;
        while let Delivering::After(wait) = world.attempt(id, wall).await {
            assert_eq!(world.delivery(id).await.due.at, Some(wall + wait), "the store says when, not Redis");
            assert_eq!(world.attempt(id, wall).await, Delivering::After(wait), "and nothing happens before");
            wall += SignedDuration::try_from(wait).unwrap();
        }
        let delivery = world.delivery(id).await;
        assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::Dead, WEBHOOK_ATTEMPTS));
        assert_eq!((delivery.attempts[9].status, delivery.attempts[9].detail.as_str()), (Some(500), "no"));
        assert_eq!(delivery.due.at, None);
    }
    let seconds = (wall - WALL).get_seconds();
    assert!((272_105..=299_316).contains(&seconds), "three days and a little jitter: {seconds}");
    let subjects = world.mails(&servers, wall + SignedDuration::from_hours(24)).await;
    assert_eq!(subjects, ["Acme: webhook deliveries fail"], "one mail a day, however many deliveries");
    assert_eq!(endpoint.received().len(), 2 * WEBHOOK_ATTEMPTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_says_when_to_come_back_and_when_never() {
    let servers = Servers::start();
    let world = servers.world("webhooks_gone").await;
    let endpoint = WebhookReceiver::start().unwrap();
    world.set_up().await;
    world.endpoint(&endpoint.url(), &["*"]).await;
    world.customer("cus_ada", "pm_sandbox_ok").await;
    let deliveries = world.webhooks().await;
    assert!(deliveries.len() > 3, "everything since the endpoint was there: {deliveries:?}");

    endpoint.answer(WebhookReply::status(503).with_header("Retry-After", "3600"));
    assert_eq!(world.attempt(&deliveries[0], WALL).await, Delivering::After(Duration::from_secs(3_600)));
    endpoint.answer(WebhookReply::status(302).with_header("Location", endpoint.url()));
    assert!(matches!(world.attempt(&deliveries[1], WALL).await, Delivering::After(_)), "a redirect is a failure");
    endpoint.answer(WebhookReply::status(410));
    assert_eq!(world.attempt(&deliveries[2], WALL).await, Delivering::Over);
    assert_eq!(world.endpoint_now().await.state, EndpointState::Gone);
    for id in &deliveries[3..] {
        assert_eq!(world.attempt(id, WALL).await, Delivering::Over);
        assert_eq!(world.delivery(id).await.state, DeliveryState::Cancelled);
    }
    assert_eq!(endpoint.received().len(), 3, "nothing is sent to who is gone");
    assert_eq!(world.mails(&servers, WALL).await, ["Acme: a webhook endpoint is disabled"]);
    let disabled = doc! { "type": EventType::WebhookEndpointDisabled.as_str() };
    assert_eq!(world.database.collection::<Document>("events").count_documents(disabled).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_does_not_answer_takes_no_room_of_others() {
    let servers = Servers::start();
    let world = servers.world("webhooks_slow").await;
    let endpoint = WebhookReceiver::start().unwrap();
    world.set_up().await;
    world.endpoint(&endpoint.url(), &["customer.created"]).await;
    for index in 0..5 {
        world.customer(&format!("cus_{index}"), "pm_sandbox_ok").await;
    }
    let deliveries = world.webhooks().await;
    endpoint.keep_waiting();
    let slow: Vec<_> = deliveries[..4]
        .iter()
        .map(|id| {
            let (billing, id) = (world.billing.clone(), id.clone());
            tokio::spawn(async move { billing::deliver_webhook(&billing, (TENANT, &id), WALL).await.unwrap() })
        })
        .collect();
    let patience = Duration::from_secs(20);
    assert!(tokio::task::block_in_place(|| endpoint.wait_for(4, patience)), "four attempts are under way");
    // The fifth gives its slot back at once, and no attempt is counted.
    assert!(matches!(world.attempt(&deliveries[4], WALL).await, Delivering::After(_)));
    assert_eq!(world.delivery(&deliveries[4]).await.tries, 0);
    endpoint.answer(WebhookReply::status(200));
    for attempt in slow {
        assert_eq!(attempt.await.unwrap(), Delivering::Over);
    }
    assert_eq!(world.attempt(&deliveries[4], WALL).await, Delivering::Over);
    assert_eq!(world.delivery(&deliveries[4]).await.state, DeliveryState::Delivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_inside_is_an_attempt_that_fails_without_a_word_of_why() {
    let servers = Servers::start();
    let world = servers.world("webhooks_inside").await;
    world.set_up().await;
    world.endpoint("http://169.254.169.254/latest/meta-data/", &["customer.created"]).await;
    world.customer("cus_ada", "pm_sandbox_ok").await;
    let deliveries = world.webhooks().await;
    assert!(matches!(world.attempt(&deliveries[0], WALL).await, Delivering::After(_)));
    let attempt = world.delivery(&deliveries[0]).await.attempts.remove(0);
    assert_eq!((attempt.status, attempt.detail.as_str()), (None, "the host leads to an address that is not public"));
}
