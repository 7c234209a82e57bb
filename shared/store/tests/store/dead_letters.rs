//! The mirror of dead letters: changes applied in order, once, by any number of schedulers, and what is read back.

use bson::doc;
use futures::future::join_all;
use store::{
    ChangeId, DeadLetterChange, DeadLetterContent, DeadLetterEvent, DeadLetterRecord, DeadLetterState, Handled, Store,
};

use crate::{
    records::{TENANT, at},
    server::Server,
};

fn content(entry: &str) -> DeadLetterContent {
    DeadLetterContent {
        tenant: Some(TENANT.to_owned()),
        job: "collect_payment".to_owned(),
        code: "not_found".to_owned(),
        fingerprint: "0123456789ab".to_owned(),
        died_at: at("01-01T00:00:00"),
        entry: entry.to_owned(),
    }
}

fn handled(by: &str) -> Handled {
    Handled { by: by.to_owned(), reason: "because".to_owned(), at: at("01-02T00:00:00") }
}

fn change(sequence: u64, event: DeadLetterEvent, entry: Option<&str>) -> DeadLetterChange {
    DeadLetterChange {
        queue: "payments".to_owned(),
        id: "job".to_owned(),
        change: ChangeId::parse(&format!("4102444800000-{sequence}")).unwrap(),
        event,
        content: entry.map(content),
    }
}

async fn read(store: &Store) -> DeadLetterRecord {
    store.find(TENANT, "payments:job").await.unwrap().unwrap()
}

async fn lost(store: &Store) -> Vec<(String, String)> {
    let found = store.lost_dead_letters(None, 100).await.unwrap();
    found.into_iter().map(|letter| (letter.id, letter.entry)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_mirrored_in_order_and_once() {
    let server = Server::start();
    a_letter_lives_dies_and_is_handled(&server.store("life").await).await;
    a_letter_that_was_gone_at_once(&server, &server.store("gone").await).await;
    many_schedulers_do_no_harm(&server).await;
    pages_go_through_everything_that_is_dead(&server.store("pages").await).await;
}

async fn a_letter_lives_dies_and_is_handled(store: &Store) {
    let died = change(9, DeadLetterEvent::Died, Some("first"));
    store.mirror_dead_letters(vec![died.clone()]).await.unwrap();
    assert_eq!(lost(store).await, [("job".to_owned(), "first".to_owned())]);
    // Ten comes after nine, although not as text.
    store.mirror_dead_letters(vec![change(10, DeadLetterEvent::Edited(handled("eve")), Some("second"))]).await.unwrap();
    store.mirror_dead_letters(vec![died.clone()]).await.unwrap();
    let edited = read(store).await;
    assert_eq!((edited.state, edited.resolved), (DeadLetterState::Dead, None));
    assert_eq!((edited.content.unwrap().entry.as_str(), edited.edited), ("second", Some(handled("eve"))));

    store.mirror_dead_letters(vec![change(11, DeadLetterEvent::Requeued(handled("bob")), None)]).await.unwrap();
    store.mirror_dead_letters(vec![died]).await.unwrap();
    let requeued = read(store).await;
    assert_eq!((requeued.state, requeued.resolved), (DeadLetterState::Requeued, Some(handled("bob"))));
    assert_eq!(requeued.content.unwrap().entry, "second", "what it was is kept");
    assert_eq!(lost(store).await, []);

    store.mirror_dead_letters(vec![change(12, DeadLetterEvent::Died, Some("third"))]).await.unwrap();
    let again = read(store).await;
    assert_eq!((again.state, again.resolved, again.edited), (DeadLetterState::Dead, None, Some(handled("eve"))));
    store.mirror_dead_letters(vec![change(13, DeadLetterEvent::Discarded(handled("ann")), None)]).await.unwrap();
    let discarded = read(store).await;
    assert_eq!((discarded.state, discarded.resolved), (DeadLetterState::Discarded, Some(handled("ann"))));
    assert_eq!(lost(store).await, []);
}

async fn a_letter_that_was_gone_at_once(server: &Server, store: &Store) {
    let changes = vec![
        change(1, DeadLetterEvent::Died, None),
        change(2, DeadLetterEvent::Requeued(handled("bob")), None),
        change(3, DeadLetterEvent::Died, None),
        change(4, DeadLetterEvent::Discarded(handled("ann")), None),
    ];
    store.mirror_dead_letters(changes).await.unwrap();
    assert_eq!(lost(store).await, []);
    // What it was could not be read; who did what is known all the same.
    let client = mongodb::Client::with_uri_str(server.mongo.uri()).await.unwrap();
    let letters = client.database("gone").collection::<DeadLetterRecord>("dead_letters");
    let discarded = letters.find_one(doc! { "_id": "payments:job" }).await.unwrap().unwrap();
    assert_eq!((discarded.state, discarded.resolved), (DeadLetterState::Discarded, Some(handled("ann"))));
    assert_eq!(discarded.content, None);
}

/// Each has read a different part of the journal, and all write at once.
async fn many_schedulers_do_no_harm(server: &Server) {
    let journal = [
        change(1, DeadLetterEvent::Died, Some("first")),
        change(2, DeadLetterEvent::Edited(handled("eve")), Some("second")),
        change(3, DeadLetterEvent::Requeued(handled("bob")), None),
        change(4, DeadLetterEvent::Died, Some("third")),
        change(5, DeadLetterEvent::Edited(handled("eve")), Some("fourth")),
    ];
    for round in 0..10 {
        let store = server.store(&format!("many_{round}")).await;
        let read_up_to = [1, 2, 3, 4, 5, 5, 3];
        let schedulers = read_up_to.map(|count| store.mirror_dead_letters(journal[..count].to_vec()));
        for outcome in join_all(schedulers).await {
            outcome.unwrap();
        }
        let letter = read(&store).await;
        assert_eq!((letter.state, letter.resolved), (DeadLetterState::Dead, None));
        assert_eq!(letter.content.unwrap().entry, "fourth");
    }
}

async fn pages_go_through_everything_that_is_dead(store: &Store) {
    let mut expected = Vec::new();
    for index in 0..25 {
        let queue = if index % 2 == 0 { "payments" } else { "usage" };
        let died = DeadLetterChange {
            queue: queue.to_owned(),
            id: format!("job:{index:02}"),
            ..change(1, DeadLetterEvent::Died, Some("entry"))
        };
        expected.push((queue.to_owned(), died.id.clone()));
        store.mirror_dead_letters(vec![died]).await.unwrap();
    }
    expected.sort();
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.lost_dead_letters(after.as_deref(), 4).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.mirror_id.clone());
        found.extend(page.into_iter().map(|letter| (letter.queue, letter.id)));
    }
    assert_eq!(found, expected);
}
