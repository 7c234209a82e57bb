//! The published document as tests read it: which operations there are, what they need, whose they are.

use reqwest::Method;
use serde_json::Value;

/// An operation of the document.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub id: String,
    pub method: Method,
    pub path: String,
    /// The scope that it needs; none if it is open to everybody.
    pub scope: Option<String>,
    /// The roles that may do it.
    pub roles: Vec<String>,
    pub takes_body: bool,
}

impl Operation {
    /// Whether it needs a caller, and the gateway serves it itself.
    pub(crate) fn of_the_gateway(&self) -> bool {
        self.scope.is_some() && !self.path.starts_with("/v1/auth/")
    }

    /// Whether it is about one object.
    pub(crate) fn names_an_object(&self) -> bool {
        self.path.contains("{id}")
    }
}

/// The document of the gateway.
pub(crate) fn document() -> Value {
    serde_json::from_str(&api::openapi_json().expect("a document")).expect("JSON")
}

/// Its operations.
pub(crate) fn operations() -> Vec<Operation> {
    let document = document();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let roles = operation["x-roles"].as_array().map(Vec::as_slice).unwrap_or_default();
            operations.push(Operation {
                id: text(&operation["operationId"]),
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                scope: operation["security"][0]["bearer"][0].as_str().map(ToOwned::to_owned),
                roles: roles.iter().map(text).collect(),
                takes_body: operation.get("requestBody").is_some(),
            });
        }
    }
    operations
}
