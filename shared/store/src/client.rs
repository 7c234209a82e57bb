//! The connection: one client setting for everything, and typed access to collections.

use std::time::Duration;

use bson::doc;
use mongodb::{
    Client, Collection, Database,
    options::{ClientOptions, DatabaseOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern},
};

use crate::{Record, StoreError};

/// How long an operation waits for a reachable primary before it fails as unavailable; jobs then retry with back-off.
const SERVER_SELECTION_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections of one process: more than its workers can use at once.
const MAX_POOL_SIZE: u32 = 64;

/// Where the truth lives.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// `mongodb://` address of the replica set.
    pub uri: String,
    /// Database name.
    pub database: String,
}

/// A handle on the database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    database: Database,
}

impl Store {
    /// Prepares a client with primary reads, majority reads and journalled majority writes. Connects on first use.
    ///
    /// # Errors
    /// `Corrupt` when the address cannot be parsed.
    pub async fn connect(config: &StoreConfig) -> Result<Self, StoreError> {
        let mut options = ClientOptions::parse(&config.uri).await?;
        options.app_name = Some("ratchet".to_owned());
        options.server_selection_timeout = Some(SERVER_SELECTION_TIMEOUT);
        options.connect_timeout = Some(CONNECT_TIMEOUT);
        options.max_pool_size = Some(MAX_POOL_SIZE);
        options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        let mut majority = WriteConcern::majority();
        majority.journal = Some(true);
        options.write_concern = Some(majority);
        let client = Client::with_options(options)?;
        // Not on the client: a transaction would pass it on to its first command, and bulk writes do not take one.
        let reads = DatabaseOptions::builder().read_concern(ReadConcern::majority()).build();
        let database = client.database_with_options(&config.database, reads);
        Ok(Self { client, database })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// `Unavailable` when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.database.run_command(doc! { "ping": 1 }).await?;
        Ok(())
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn collection<R: Record>(&self) -> Collection<R> {
        self.database.collection(R::COLLECTION)
    }

    /// Loads one object of a tenant.
    ///
    /// # Errors
    /// `Unavailable`, or `Corrupt` when the stored document no longer decodes.
    pub async fn find<R: Record>(&self, tenant: &str, id: &str) -> Result<Option<R>, StoreError> {
        Ok(self.collection::<R>().find_one(doc! { "_id": id, "tenant": tenant }).await?)
    }

    /// Loads many objects of a tenant as [`Store::find_all`] does, and leaves out those that no longer decode: for work on many
    /// that one damaged document must not stop.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn find_sound<R: Record>(&self, tenant: &str, ids: &[String]) -> Result<Vec<R>, StoreError> {
        use futures::TryStreamExt;
        let documents = self.collection::<R>().clone_with_type::<bson::Document>();
        let mut found = documents.find(doc! { "_id": { "$in": ids }, "tenant": tenant }).await?;
        let mut sound = Vec::new();
        while let Some(document) = found.try_next().await? {
            sound.extend(bson::deserialize_from_document(document).ok());
        }
        Ok(sound)
    }

    /// Loads many objects of a tenant in one round trip, in no particular order; missing ones are left out.
    ///
    /// # Errors
    /// `Unavailable`, or `Corrupt` when a stored document no longer decodes.
    pub async fn find_all<R: Record>(&self, tenant: &str, ids: &[String]) -> Result<Vec<R>, StoreError> {
        use futures::TryStreamExt;
        let filter = doc! { "_id": { "$in": ids }, "tenant": tenant };
        Ok(self.collection::<R>().find(filter).await?.try_collect().await?)
    }
}
