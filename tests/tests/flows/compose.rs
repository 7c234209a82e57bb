//! docker-compose.yml and Dockerfile against the binary: commands and variables that they use exist, and what
//! production relies on is set. Images cannot be run everywhere; this is what can be checked without them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use flows::{printed_by, root};
use serde::Deserialize;
use serde_json::Value;

/// The one service that is reached from outside, and its port.
const PUBLISHED: (&str, &str) = ("api", "3000:3000");

/// Runs once and ends.
const ONE_SHOT: &str = "migrate";

const SECRETS_FOLDER: &str = "/run/secrets/";

#[derive(Deserialize)]
struct Compose {
    services: BTreeMap<String, Service>,
    networks: BTreeMap<String, Option<Network>>,
    secrets: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Network {
    #[serde(default)]
    internal: bool,
}

#[derive(Deserialize)]
struct Service {
    image: String,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    networks: Vec<String>,
    #[serde(default)]
    depends_on: BTreeMap<String, Condition>,
    #[serde(default)]
    cap_drop: Vec<String>,
    healthcheck: Option<Healthcheck>,
    user: Option<String>,
    read_only: Option<bool>,
}

#[derive(Deserialize)]
struct Condition {
    condition: String,
}

#[derive(Deserialize)]
struct Healthcheck {
    #[serde(default)]
    test: Vec<String>,
}

impl Compose {
    fn read() -> Self {
        let text = fs::read_to_string(root().join("docker-compose.yml")).unwrap();
        serde_saphyr::from_str(&text).unwrap()
    }

    /// The roles of the product, by name.
    fn roles(&self) -> impl Iterator<Item = (&str, &Service)> {
        let ours = |service: &Service| service.image.starts_with("ratchet:");
        self.services.iter().filter(move |(_, service)| ours(service)).map(|(name, service)| (name.as_str(), service))
    }
}

/// The commands that `ratchet --help` lists.
fn commands() -> BTreeSet<String> {
    let help = printed_by(&["--help"]).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A command stands two spaces in; a continued description further.
    let names = listed.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// The environment variables in the help of a command, as clap writes them: `[env: NAME=]`.
fn variables(command: &str) -> BTreeSet<String> {
    let help = printed_by(&[command, "--help"]).unwrap();
    let after = help.split("[env: ").skip(1);
    after.filter_map(|rest| rest.split(['=', ']']).next()).map(str::to_owned).collect()
}

#[test]
fn every_command_is_a_role_of_the_binary_and_every_role_is_there() {
    let commands = commands();
    let compose = Compose::read();
    for (name, role) in compose.roles() {
        assert_eq!(role.command, [name], "a role is run by its own name");
        assert!(commands.contains(name), "`ratchet --help` does not list {name}: {commands:?}");
    }
    let roles: Vec<&str> = compose.roles().map(|(name, _)| name).collect();
    assert_eq!(roles, ["api", "auth", "migrate", "scheduler", "worker"]);
}

#[test]
fn every_variable_is_read_by_its_role() {
    for (name, role) in Compose::read().roles() {
        let known = variables(name);
        let unknown: Vec<_> = role.environment.keys().filter(|variable| !known.contains(*variable)).collect();
        assert!(unknown.is_empty(), "`ratchet {name} --help` does not know {unknown:?}, only {known:?}");
        assert_eq!(role.environment["RATCHET_ENV"], "production");
    }
}

#[test]
fn everything_that_keeps_running_has_a_health_check_that_exists() {
    let compose = Compose::read();
    assert!(commands().contains("healthcheck"));
    for (name, service) in compose.services.iter().filter(|(name, _)| *name != ONE_SHOT) {
        let test = &service.healthcheck.as_ref().unwrap_or_else(|| panic!("{name} has no health check")).test;
        assert_eq!(test[0], "CMD", "{name}: the image may have no shell");
    }
    for (name, role) in compose.roles().filter(|(name, _)| *name != ONE_SHOT) {
        assert_eq!(role.healthcheck.as_ref().unwrap().test, ["CMD", "ratchet", "healthcheck"], "{name}");
        // The command finds the role's address where the role does.
        let shared = variables("healthcheck");
        assert!(shared.contains("METRICS_LISTEN") && role.environment.contains_key("METRICS_LISTEN"), "{name}");
    }
}

#[test]
fn only_the_gateway_is_published_and_the_databases_have_no_way_out() {
    let compose = Compose::read();
    for (name, service) in &compose.services {
        let expected: &[&str] = if name == PUBLISHED.0 { &[PUBLISHED.1] } else { &[] };
        assert_eq!(service.ports, expected, "{name}");
    }
    for name in ["redis", "mongo", "mail"] {
        for network in &compose.services[name].networks {
            assert!(compose.networks[network].as_ref().is_some_and(|network| network.internal), "{name} on {network}");
        }
        assert!(!compose.services[name].networks.is_empty(), "{name} would be on the default network");
    }
}

#[test]
fn redis_loses_no_job_and_mongo_has_transactions() {
    let compose = Compose::read();
    let redis = compose.services["redis"].command.join(" ");
    assert!(redis.contains("--appendonly yes"), "{redis}");
    assert!(redis.contains("--maxmemory-policy noeviction"), "{redis}");

    let mongo = &compose.services["mongo"];
    let set = mongo.command.iter().skip_while(|word| *word != "--replSet").nth(1).unwrap();
    let check = mongo.healthcheck.as_ref().unwrap().test.join(" ");
    assert!(check.contains("rs.initiate") && check.contains(&format!("_id: '{set}'")), "{check}");
    for (name, role) in compose.roles() {
        assert!(role.environment["MONGODB_URI"].ends_with(&format!("replicaSet={set}")), "{name}");
    }
}

#[test]
fn roles_start_after_the_migration_with_the_least_rights() {
    for (name, role) in Compose::read().roles() {
        let user = role.user.as_deref().unwrap();
        assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{name} runs as {user}");
        assert_eq!(role.read_only, Some(true), "{name}");
        assert_eq!(role.cap_drop, ["ALL"], "{name}");
        for database in ["redis", "mongo"] {
            assert_eq!(role.depends_on[database].condition, "service_healthy", "{name}");
        }
        if name != ONE_SHOT {
            assert_eq!(role.depends_on[ONE_SHOT].condition, "service_completed_successfully", "{name}");
        }
    }
}

#[test]
fn secrets_come_from_files_and_the_signing_key_goes_to_auth_alone() {
    let compose = Compose::read();
    for (name, role) in compose.roles() {
        for secret in &role.secrets {
            assert!(compose.secrets[secret]["file"].is_string(), "{name}: {secret}");
        }
        for variable in ["AUTH_SIGNING_KEY", "STRIPE_SECRET_KEY"] {
            assert!(!role.environment.contains_key(variable), "{name} has {variable} in the open");
        }
        let files = role.environment.iter().filter(|(variable, _)| variable.ends_with("_FILE"));
        for (variable, path) in files {
            let secret = path.strip_prefix(SECRETS_FOLDER).unwrap_or_else(|| panic!("{name}: {variable}={path}"));
            assert!(role.secrets.iter().any(|given| given == secret), "{name} is not given {secret}");
        }
        let signs = role.secrets.iter().any(|secret| secret == "auth_signing_key");
        assert_eq!(signs, name == "auth", "{name}");
    }
}

#[test]
fn the_image_runs_the_binary_without_root() {
    let text = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let runtime = text.rsplit("\nFROM ").next().unwrap();
    assert!(runtime.contains("\nUSER 65532:65532\n"), "{runtime}");
    assert!(runtime.trim_end().ends_with("ENTRYPOINT [\"ratchet\"]"), "{runtime}");
    assert!(text.contains("cargo build --release --locked --package ratchet"), "{text}");
}
