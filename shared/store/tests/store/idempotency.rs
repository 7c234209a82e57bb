//! Claims of idempotency keys.

use futures::future::join_all;
use jiff::Timestamp;
use store::{Claim, Customer, Store, StoredReply, UnitOfWork};

use crate::{
    records::{TENANT, at, customer},
    server::Server,
};

/// Repeats of one request at once.
const CLAIMANTS: usize = 16;
const KEY: &str = "ten_1:usr_1:POST /v1/customers:k1";

async fn claim(store: &Store, hash: &str, now: Timestamp) -> Claim {
    store.claim_idempotency_key(TENANT, KEY, hash, now).await.unwrap()
}

fn ours(claim: Claim) -> store::IdempotencyKey {
    match claim {
        Claim::Ours(key) => key,
        other => panic!("{other:?}"),
    }
}

/// The effect of a request together with its reply.
fn effect(mut key: store::IdempotencyKey, id: &str) -> UnitOfWork {
    key.reply = Some(StoredReply { status: 201, body: format!("{{\"id\":\"{id}\"}}") });
    let mut unit = UnitOfWork::default();
    unit.insert(&customer(id)).unwrap();
    unit.replace(&mut key).unwrap();
    unit
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_one_request_and_its_reply() {
    let server = Server::start();
    a_request_is_answered_once(&server.store("once").await).await;
    a_dead_claim_is_taken_over_by_one(&server.store("dead").await).await;
    a_failed_request_may_be_tried_again_at_once(&server.store("failed").await).await;
}

async fn a_request_is_answered_once(store: &Store) {
    let key = ours(claim(store, "h1", at("01-01T00:00:00")).await);
    assert!(matches!(claim(store, "h1", at("01-01T00:00:59")).await, Claim::InFlight));
    assert!(matches!(claim(store, "h2", at("01-01T00:00:59")).await, Claim::OtherRequest));

    store.commit(effect(key, "cus_1")).await.unwrap();
    let Claim::Replay(reply) = claim(store, "h1", at("01-01T23:59:59")).await else { panic!("no replay") };
    assert_eq!((reply.status, reply.body.as_str()), (201, "{\"id\":\"cus_1\"}"));
    assert!(matches!(claim(store, "h2", at("01-01T23:59:59")).await, Claim::OtherRequest));
    // After a day the key is free again, whether the server has removed it yet or not.
    assert!(matches!(claim(store, "h2", at("01-02T00:00:00")).await, Claim::Ours(_)));
}

async fn a_dead_claim_is_taken_over_by_one(store: &Store) {
    let dead = ours(claim(store, "h1", at("01-01T00:00:00")).await);
    let now = at("01-01T00:01:00");
    let (mut won, mut lost) = (Vec::new(), 0);
    for claim in join_all((0..CLAIMANTS).map(|_| claim(store, "h1", now))).await {
        match claim {
            Claim::Ours(key) => won.push(key),
            Claim::InFlight => lost += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((won.len(), lost), (1, CLAIMANTS - 1));

    // The first process was not dead, only slow: its effect must not be written beside the other's.
    let error = store.commit(effect(dead.clone(), "cus_late")).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert!(store.find::<Customer>(TENANT, "cus_late").await.unwrap().is_none());
    store.release_idempotency_key(&dead).await.unwrap();
    store.commit(effect(won.remove(0), "cus_1")).await.unwrap();
    assert!(matches!(claim(store, "h1", at("01-01T00:02:00")).await, Claim::Replay(_)));
}

async fn a_failed_request_may_be_tried_again_at_once(store: &Store) {
    let key = ours(claim(store, "h1", at("01-01T00:00:00")).await);
    store.release_idempotency_key(&key).await.unwrap();
    ours(claim(store, "h2", at("01-01T00:00:01")).await);
}
