//! A unit of work is written as a whole or not at all, and says why not.

use futures::future::join_all;
use store::{Customer, Due, Invoice, Store, StoreError, UnitOfWork};

use crate::{
    records::{TENANT, customer, invoice, notification},
    server::Server,
};

async fn insert(store: &Store, id: &str) {
    let mut unit = UnitOfWork::default();
    unit.insert(&customer(id)).unwrap();
    store.commit(unit).await.unwrap();
}

async fn stored(store: &Store, id: &str) -> Option<Customer> {
    store.find(TENANT, id).await.unwrap()
}

fn renamed(mut customer: Customer, name: &str) -> UnitOfWork {
    customer.name = name.to_owned();
    let mut unit = UnitOfWork::default();
    unit.replace(&mut customer).unwrap();
    unit
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_of_work_is_written_as_a_whole_or_not_at_all() {
    let server = Server::start();
    a_conflict_writes_nothing(&server.store("conflict").await).await;
    a_duplicate_writes_nothing(&server.store("duplicate").await).await;
    a_conflict_is_told_from_the_duplicate_it_brings(&server.store("both").await).await;
    of_many_changes_at_once_none_is_lost(&server.store("many").await).await;
    a_tenant_sees_only_itself(&server.store("tenants").await).await;
}

async fn a_conflict_writes_nothing(store: &Store) {
    insert(store, "cus_1").await;
    let stale = stored(store, "cus_1").await.unwrap();
    store.commit(renamed(stale.clone(), "first")).await.unwrap();

    let mut unit = renamed(stale, "second");
    unit.insert(&customer("cus_2")).unwrap();
    unit.insert_invoice(&invoice("inv_1")).unwrap();
    unit.delete::<Customer>("cus_1");
    let error = store.commit(unit).await.unwrap_err();

    assert!(error.is_conflict(), "{error}");
    let kept = stored(store, "cus_1").await.unwrap();
    assert_eq!((kept.name.as_str(), kept.revision), ("first", 2));
    assert!(stored(store, "cus_2").await.is_none());
    assert!(store.find::<Invoice>(TENANT, "inv_1").await.unwrap().is_none());
}

async fn a_duplicate_writes_nothing(store: &Store) {
    insert(store, "cus_1").await;
    insert(store, "cus_2").await;
    let mut unit = renamed(stored(store, "cus_1").await.unwrap(), "changed");
    unit.insert(&customer("cus_3")).unwrap();
    unit.insert(&customer("cus_2")).unwrap();
    let error = store.commit(unit).await.unwrap_err();

    assert!(matches!(error, StoreError::Duplicate(_)), "{error}");
    assert_eq!(stored(store, "cus_1").await.unwrap().revision, 1);
    assert!(stored(store, "cus_3").await.is_none());
}

/// Two workers on the same work change and insert the same documents: the second one has to decide again, and must not
/// take the first one's inserts for poison.
async fn a_conflict_is_told_from_the_duplicate_it_brings(store: &Store) {
    insert(store, "cus_1").await;
    let loaded = stored(store, "cus_1").await.unwrap();
    let work = || {
        let mut unit = renamed(loaded.clone(), "worked on");
        unit.insert(&customer("cus_2")).unwrap();
        unit.insert(&notification("ntf_1", Due::never())).unwrap();
        unit.insert_invoice(&invoice("inv_1")).unwrap();
        unit
    };
    store.commit(work()).await.unwrap();
    let error = store.commit(work()).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
}

async fn of_many_changes_at_once_none_is_lost(store: &Store) {
    insert(store, "cus_1").await;
    let change = |writer: usize| async move {
        loop {
            let loaded = stored(store, "cus_1").await.unwrap();
            let name = format!("{},{writer}", loaded.name);
            match store.commit(renamed(loaded, &name)).await {
                Ok(()) => return,
                Err(error) => assert!(error.is_conflict(), "{error}"),
            }
        }
    };
    join_all((0..8).map(change)).await;

    let last = stored(store, "cus_1").await.unwrap();
    assert_eq!(last.revision, 9);
    assert_eq!(last.name.split(',').count(), 9, "{}", last.name);
}

async fn a_tenant_sees_only_itself(store: &Store) {
    insert(store, "cus_1").await;
    assert!(store.find::<Customer>("ten_2", "cus_1").await.unwrap().is_none());
    assert!(store.find_all::<Customer>("ten_2", &["cus_1".to_owned()]).await.unwrap().is_empty());
}
