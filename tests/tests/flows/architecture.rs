//! The architecture's dependency directions, read from `cargo metadata`. Dependencies of tests are not looked at: a
//! test may use whatever shows that the code is right.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use flows::root;

/// Each package of the workspace, with those of the workspace it may depend on.
const ALLOWED: [(&str, &[&str]); 18] = [
    ("domain", &[]),
    ("simulation", &["domain"]),
    ("queue", &[]),
    ("cache", &["queue"]),
    ("rate-limit", &["queue"]),
    ("store", &["domain"]),
    ("gateways", &["domain"]),
    ("billing", &["domain", "store", "gateways", "queue"]),
    ("app", &["domain", "store", "gateways", "queue", "billing"]),
    ("api", &["domain", "simulation", "store", "gateways", "queue", "cache", "rate-limit", "billing", "app"]),
    ("workers", &["domain", "store", "gateways", "queue", "billing", "app"]),
    ("scheduler", &["domain", "store", "gateways", "queue", "billing", "app"]),
    ("sandbox-gateway", &[]),
    (
        "ratchet",
        &[
            "domain",
            "simulation",
            "store",
            "gateways",
            "queue",
            "billing",
            "app",
            "api",
            "workers",
            "scheduler",
            "sandbox-gateway",
        ],
    ),
    ("bench", &["queue", "services"]),
    ("services", &[]),
    ("xtask", &["services"]),
    ("flows", &["services"]),
];

/// Crates that only these packages of the product may name, and the benchmarks, which measure against them.
const CONFINED: [(&str, &[&str]); 5] = [
    ("apalis", &["queue", "bench"]),
    ("apalis-core", &["queue", "bench"]),
    ("mongodb", &["store"]),
    ("bson", &["store"]),
    ("redis", &["queue", "cache", "rate-limit", "app", "bench"]),
];

/// What the pure core must not reach, not even through others.
const IMPURE: [&str; 5] = ["tokio", "mongodb", "redis", "reqwest", "rand"];

/// Dependencies by package; both by name.
type Graph = BTreeMap<String, BTreeSet<String>>;

fn metadata() -> Metadata {
    // What the manifests declare is all that is asked, so nothing needs to be resolved or fetched.
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap()
}

/// What each package of the workspace declares for its product code.
fn declared(metadata: &Metadata) -> Graph {
    let names = |package: &cargo_metadata::Package| {
        let product = |kind: DependencyKind| kind != DependencyKind::Development;
        let dependencies = package.dependencies.iter().filter(|dependency| product(dependency.kind));
        dependencies.map(|dependency| dependency.name.clone()).collect()
    };
    metadata.workspace_packages().into_iter().map(|package| (package.name.to_string(), names(package))).collect()
}

/// Where `graph` leaves the architecture, in words.
fn violations(graph: &Graph) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let mut found = Vec::new();
    for (package, dependencies) in graph {
        let Some(allowed) = allowed.get(package.as_str()) else {
            found.push(format!("{package} has no place in the architecture: give it one in ALLOWED"));
            continue;
        };
        for dependency in dependencies {
            if graph.contains_key(dependency) && !allowed.contains(&dependency.as_str()) {
                found.push(format!("{package} must not depend on {dependency}"));
            }
            let confined = CONFINED.iter().find(|(name, _)| name == dependency);
            if confined.is_some_and(|(_, owners)| !owners.contains(&package.as_str())) {
                found.push(format!("{package} must not name {dependency}"));
            }
        }
    }
    found
}

/// Names of everything that `package` is built from. `cargo metadata` would not do: it resolves the features of the whole
/// workspace and its tests at once, and so shows optional dependencies that this package does not switch on.
fn built_from(package: &str) -> BTreeSet<String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["tree", "--offline", "--edges", "normal,build", "--prefix", "none", "--package", package]);
    let output = cargo.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn dependencies_point_one_way() {
    let graph = declared(&metadata());
    assert_eq!(violations(&graph), Vec::<String>::new());
    let missing: Vec<_> = ALLOWED.iter().filter(|(package, _)| !graph.contains_key(*package)).collect();
    assert!(missing.is_empty(), "no longer in the workspace: {missing:?}");
}

#[test]
fn the_core_is_pure() {
    let built_from = built_from("domain");
    assert!(built_from.contains("jiff"), "the tree shows what is there: {built_from:?}");
    let impure: Vec<_> = IMPURE.iter().filter(|name| built_from.contains(**name)).collect();
    assert!(impure.is_empty(), "domain is built from {impure:?}");
}

#[test]
fn a_dependency_in_the_wrong_direction_is_found() {
    let graph = |edges: &[(&str, &str)]| -> Graph {
        let mut graph: Graph = ALLOWED.iter().map(|(package, _)| ((*package).to_owned(), BTreeSet::new())).collect();
        for (package, dependency) in edges {
            graph.entry((*package).to_owned()).or_default().insert((*dependency).to_owned());
        }
        graph
    };
    assert_eq!(violations(&graph(&[("billing", "domain"), ("store", "mongodb"), ("app", "redis")])), [""; 0]);
    for (package, dependency) in [
        ("domain", "store"),
        ("queue", "domain"),
        ("billing", "app"),
        ("api", "workers"),
        ("app", "services"),
        ("ratchet", "xtask"),
        ("billing", "mongodb"),
        ("api", "apalis"),
        ("workers", "redis"),
    ] {
        assert_eq!(violations(&graph(&[(package, dependency)])).len(), 1, "{package} -> {dependency}");
    }
    assert_eq!(violations(&graph(&[("newcomer", "domain")])).len(), 1);
}
