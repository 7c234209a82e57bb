//! kill -9 of the database loses nothing that was acknowledged, and tears nothing apart.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use store::{Customer, Invoice, ListFilter, PageRequest, Store, StoreError, UnitOfWork};

use crate::{
    records::{TENANT, customer, invoice},
    server::Server,
};

/// Units to be acknowledged before the server is killed.
const ENOUGH: usize = 20;
/// Far beyond what any machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the writers have in common.
#[derive(Default)]
struct Progress {
    acknowledged: AtomicUsize,
    killed: AtomicBool,
}

#[tokio::test(flavor = "multi_thread")]
async fn kill9_in_the_middle_of_writing_loses_nothing_acknowledged() {
    let mut server = Server::start();
    let store = server.store("durable").await;
    let progress = Progress::default();
    let kill = async {
        while progress.acknowledged.load(Ordering::SeqCst) < ENOUGH {
            tokio::task::yield_now().await;
        }
        progress.killed.store(true, Ordering::SeqCst);
        tokio::task::block_in_place(|| {
            server.mongo.kill9().unwrap();
            server.mongo.restart().unwrap();
        });
    };
    let writers = join_all((0..3).map(|writer| write(&store, writer, &progress)));
    let (acknowledged, ()) = tokio::time::timeout(PATIENCE, futures::future::join(writers, kill)).await.unwrap();

    let store = server.store("durable").await;
    let request = PageRequest { limit: 10_000, starting_after: None, ending_before: None };
    let invoices = store.list::<Invoice>(TENANT, ListFilter::default(), &request).await.unwrap().unwrap().data;
    for id in acknowledged.into_iter().flatten() {
        assert!(invoices.iter().any(|invoice| invoice.id == id), "{id} was acknowledged and is lost");
    }
    let mut numbers: Vec<&str> = invoices.iter().map(|invoice| invoice.number.as_str()).collect();
    numbers.sort_unstable();
    let expected: Vec<String> = (1..=numbers.len()).map(|number| domain::invoice_number(number as u64)).collect();
    assert_eq!(numbers, expected);
    // Each unit wrote an invoice and a customer of the same name.
    let customers = store.list::<Customer>(TENANT, ListFilter::default(), &request).await.unwrap().unwrap().data;
    let names = |ids: Vec<&str>| ids.iter().map(|id| id[4..].to_owned()).collect::<std::collections::BTreeSet<_>>();
    let of_invoices = names(invoices.iter().map(|invoice| invoice.id.as_str()).collect());
    assert_eq!(names(customers.iter().map(|customer| customer.id.as_str()).collect()), of_invoices);
}

/// Writes until the server is killed, the last unit across its death; returns the invoices whose commit was acknowledged.
async fn write(store: &Store, writer: usize, progress: &Progress) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        if progress.killed.load(Ordering::SeqCst) {
            break;
        }
        let id = format!("inv_{writer}_{number}");
        let mut unit = UnitOfWork::default();
        unit.insert_invoice(&invoice(&id)).unwrap();
        unit.insert(&customer(&format!("cus_{writer}_{number}"))).unwrap();
        match store.commit(unit).await {
            Ok(()) => {
                acknowledged.push(id);
                progress.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            Err(StoreError::Conflict(_)) => {}
            // Whether it was written is not known: then either all of it was or nothing.
            Err(StoreError::Unavailable(_)) if progress.killed.load(Ordering::SeqCst) => {}
            Err(error) => panic!("{error}"),
        }
    }
    acknowledged
}
