//! Deployment-wide settings; one so far: the generation of the work delivered through Redis.

use bson::doc;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, record::record};

const DELIVERY: &str = "delivery";

#[derive(Debug, Serialize, Deserialize)]
struct Delivery {
    #[serde(rename = "_id")]
    id: String,
    generation: String,
}
record!(Delivery, "settings");

impl Store {
    /// The generation id that Redis must hold too; when it does not, Redis has lost its data.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn delivery_generation(&self) -> Result<Option<String>, StoreError> {
        let found = self.collection::<Delivery>().find_one(doc! { "_id": DELIVERY }).await?;
        Ok(found.map(|delivery| delivery.generation))
    }

    /// Stores a new generation id.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn set_delivery_generation(&self, generation: &str) -> Result<(), StoreError> {
        self.collection::<Delivery>()
            .update_one(doc! { "_id": DELIVERY }, doc! { "$set": { "generation": generation } })
            .upsert(true)
            .await?;
        Ok(())
    }
}
