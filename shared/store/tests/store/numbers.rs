//! Invoice numbers have no gaps, whatever is aborted in between.

use std::collections::BTreeSet;

use futures::future::join_all;
use store::{Customer, Invoice, ListFilter, PageRequest, Store, StoreError, UnitOfWork};

use crate::{
    records::{TENANT, customer, invoice},
    server::Server,
};

const WRITERS: usize = 4;
const UNITS: usize = 12;
const INVOICES_PER_UNIT: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn numbers_have_no_gaps_with_four_writers_of_which_some_abort() {
    let server = Server::start();
    let store = server.store("numbers").await;
    let mut unit = UnitOfWork::default();
    unit.insert(&customer("cus_taken")).unwrap();
    store.commit(unit).await.unwrap();

    let aborted: usize = join_all((0..WRITERS).map(|writer| write(&store, writer))).await.into_iter().sum();

    assert_eq!(aborted, WRITERS * UNITS / 3);
    let numbers = numbers(&store).await;
    assert_eq!(numbers.len(), (WRITERS * UNITS - aborted) * INVOICES_PER_UNIT);
    let expected: Vec<String> = (1..=numbers.len()).map(|number| domain::invoice_number(number as u64)).collect();
    assert_eq!(Vec::from_iter(numbers), expected);
}

/// Writes its units, every third of which is refused after it has taken numbers; returns how many were.
async fn write(store: &Store, writer: usize) -> usize {
    let mut aborted = 0;
    for number in 0..UNITS {
        loop {
            match store.commit(unit(writer, number)).await {
                Ok(()) => assert_ne!(number % 3, 2),
                Err(StoreError::Conflict(_)) => continue,
                Err(StoreError::Duplicate(_)) => aborted += 1,
                Err(error) => panic!("{error}"),
            }
            break;
        }
    }
    aborted
}

fn unit(writer: usize, number: usize) -> UnitOfWork {
    let mut unit = UnitOfWork::default();
    for position in 0..INVOICES_PER_UNIT {
        unit.insert_invoice(&invoice(&format!("inv_{writer}_{number}_{position}"))).unwrap();
    }
    if number % 3 == 2 {
        unit.insert(&customer("cus_taken")).unwrap();
    }
    unit
}

async fn numbers(store: &Store) -> BTreeSet<String> {
    let request = PageRequest { limit: 1_000, starting_after: None, ending_before: None };
    let page = store.list::<Invoice>(TENANT, ListFilter::default(), &request).await.unwrap().unwrap();
    assert!(!page.has_more);
    assert!(store.find::<Customer>(TENANT, "cus_taken").await.unwrap().is_some());
    let count = page.data.len();
    let numbers: BTreeSet<String> = page.data.into_iter().map(|invoice| invoice.number).collect();
    assert_eq!(numbers.len(), count, "no number is given twice");
    numbers
}
