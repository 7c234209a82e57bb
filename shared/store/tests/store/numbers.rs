//! Numbers have no gaps, whatever is aborted in between, and each series counts by itself.

use std::collections::BTreeSet;

use domain::InvoiceStatus;
use futures::future::join_all;
use store::{CreditNoteRecord, Customer, Invoice, ListFilter, PageRequest, Store, StoreError, UnitOfWork};

use crate::{
    records::{TENANT, credit_note, customer, invoice},
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

#[tokio::test(flavor = "multi_thread")]
async fn drafts_are_numbered_when_they_are_finalised_and_credit_notes_by_themselves() {
    let server = Server::start();
    let store = server.store("series").await;
    let mut draft = Invoice { status: InvoiceStatus::Draft, ..invoice("inv_draft") };
    let mut unit = UnitOfWork::default();
    unit.insert(&draft).unwrap();
    unit.insert_invoice(&invoice("inv_1")).unwrap();
    store.commit(unit).await.unwrap();
    let number = async |id: &str| store.find::<Invoice>(TENANT, id).await.unwrap().unwrap().number;
    assert_eq!((number("inv_draft").await.as_str(), number("inv_1").await.as_str()), ("", "INV-000001"));

    let next = store.next_invoice_number(TENANT).await.unwrap();
    assert_eq!(next.to_string(), "INV-000002");
    let mut stale = draft.clone();
    let mut unit = UnitOfWork::default();
    unit.expect_number(next);
    unit.finalise_invoice(&mut draft).unwrap();
    store.commit(unit).await.unwrap();
    assert_eq!(number("inv_draft").await, "INV-000002");

    // Somebody has taken the number that was promised, or finalised the draft: neither takes a number.
    let mut unit = UnitOfWork::default();
    unit.expect_number(next);
    unit.insert_invoice(&invoice("inv_2")).unwrap();
    assert!(store.commit(unit).await.unwrap_err().is_conflict());
    let mut unit = UnitOfWork::default();
    unit.finalise_invoice(&mut stale).unwrap();
    assert!(store.commit(unit).await.unwrap_err().is_conflict());
    assert_eq!(store.next_invoice_number(TENANT).await.unwrap().to_string(), "INV-000003");

    let mut unit = UnitOfWork::default();
    unit.expect_number(store.next_credit_note_number(TENANT).await.unwrap());
    for id in ["cn_a", "cn_b"] {
        unit.insert_credit_note(&credit_note(id)).unwrap();
    }
    store.commit(unit).await.unwrap();
    let notes: Vec<CreditNoteRecord> = store.credit_notes_of(TENANT, "inv_1").await.unwrap();
    assert_eq!(notes.iter().map(|note| note.number.as_str()).collect::<Vec<_>>(), ["CN-000001", "CN-000002"]);
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
