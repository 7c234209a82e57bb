//! A database server of the test's own, ended with it.

use services::Mongo;
use store::{Store, StoreConfig};
use tempfile::TempDir;

pub(crate) struct Server {
    // Before the folder: fields are dropped in order, and the server ends before its files go.
    pub(crate) mongo: Mongo,
    _folder: TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = TempDir::with_prefix("ratchet-store-").unwrap();
        let mongo = Mongo::start(&folder.path().canonicalize().unwrap()).unwrap();
        Self { mongo, _folder: folder }
    }

    /// A migrated database of that name.
    pub(crate) async fn store(&self, database: &str) -> Store {
        let config = StoreConfig { uri: self.mongo.uri(), database: database.to_owned() };
        let store = Store::connect(&config).await.unwrap();
        store.migrate().await.unwrap();
        store
    }
}
