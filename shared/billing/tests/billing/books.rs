//! Looks at what is stored.

use std::collections::BTreeMap;

use bson::{Bson, Document};
use futures::TryStreamExt;
use store::{Invoice, ListFilter, PageRequest, PaymentAttempt, Record};

use crate::world::{TENANT, World};

impl World {
    /// Every document of a type, in the order of ids.
    pub(crate) async fn all<R: Record>(&self) -> Vec<R> {
        let request = PageRequest { limit: 10_000, starting_after: None, ending_before: None };
        let page = self.billing.store.list::<R>(TENANT, ListFilter::default(), &request).await.unwrap().unwrap();
        let mut records = page.data;
        records.sort_by(|one, other| one.id().cmp(other.id()));
        records
    }

    pub(crate) async fn invoice(&self, id: &str) -> Invoice {
        self.billing.store.find(TENANT, id).await.unwrap().unwrap()
    }

    pub(crate) async fn attempts(&self, invoice: &str) -> Vec<PaymentAttempt> {
        let mut attempts = self.all::<PaymentAttempt>().await;
        attempts.retain(|attempt| attempt.invoice == invoice);
        attempts
    }

    /// "boundary status amount" of every invoice of a subscription, oldest first.
    pub(crate) async fn billed(&self, subscription: &str) -> Vec<String> {
        let mut invoices = self.all::<Invoice>().await;
        invoices.retain(|invoice| invoice.subscription.as_deref() == Some(subscription));
        let text = |invoice: &Invoice| {
            format!("{} {} {}", invoice.boundary, invoice.status.as_str(), invoice.content.total_minor)
        };
        invoices.iter().map(text).collect()
    }

    /// The whole database: "collection/id" -> document, without what the gateway made up.
    pub(crate) async fn dump(&self) -> BTreeMap<String, Document> {
        let mut dump = BTreeMap::new();
        for collection in self.database.list_collection_names().await.unwrap() {
            let documents = self.database.collection::<Document>(&collection);
            let mut documents = documents.find(Document::new()).await.unwrap();
            while let Some(mut document) = documents.try_next().await.unwrap() {
                let id = document.get("_id").and_then(Bson::as_str).unwrap().to_owned();
                document.remove("gateway_payment");
                forget_names(&mut document);
                dump.insert(format!("{collection}/{id}"), document);
            }
        }
        dump
    }
}

/// Drops the names that the gateway has given to a customer and its payment methods.
fn forget_names(document: &mut Document) {
    if document.remove("known_as").is_none() {
        return;
    }
    for method in document.get_array_mut("methods").unwrap() {
        method.as_document_mut().unwrap().remove("known_as").unwrap();
    }
}

/// Fails with the differing documents alone.
pub(crate) fn assert_same(one: &BTreeMap<String, Document>, other: &BTreeMap<String, Document>) {
    let differing: Vec<_> = one
        .keys()
        .chain(other.keys())
        .filter(|key| one.get(*key) != other.get(*key))
        .map(|key| format!("{key}\n  {:?}\n  {:?}", one.get(key), other.get(key)))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
