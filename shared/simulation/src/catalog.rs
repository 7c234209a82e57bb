//! Resources of a scenario by their keys: meters, coupons, plans.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    SimulationError,
    document::decode,
    error::{element, member},
};

/// Most resources of one kind: more than anyone tries at once.
const MAX_RESOURCES: usize = 1_000;

/// Resources of one kind, in the document's order, each with a key of its own.
#[derive(Debug)]
pub(crate) struct Catalog<T> {
    resources: Vec<T>,
    places: BTreeMap<String, usize>,
}

impl<T: DeserializeOwned> Catalog<T> {
    /// Reads the scenario's list of that name.
    ///
    /// # Errors
    /// The first resource that does not fit, or whose key another one has.
    pub(crate) fn read(list: &str, values: &[Value], key: impl Fn(&T) -> &str) -> Result<Self, SimulationError> {
        if values.len() > MAX_RESOURCES {
            return Err(SimulationError::new(list, format!("must be at most {MAX_RESOURCES}")));
        }
        let mut catalog = Self { resources: Vec::with_capacity(values.len()), places: BTreeMap::new() };
        for (index, value) in values.iter().enumerate() {
            let path = element(list, index);
            let resource: T = decode(value, &path)?;
            let own = key(&resource).to_owned();
            if catalog.places.contains_key(&own) {
                return Err(SimulationError::new(member(&path, "key"), format!("`{own}` is used twice")));
            }
            catalog.places.insert(own, index);
            catalog.resources.push(resource);
        }
        Ok(catalog)
    }
}

impl<T> Catalog<T> {
    /// The resource with a key.
    pub(crate) fn get(&self, key: &str) -> Option<&T> {
        self.places.get(key).map(|place| &self.resources[*place])
    }

    /// All resources, in the document's order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.resources.iter()
    }
}
