//! The demo's input: a real, pseudonymous stream of usage events, and what it says of each account.
//!
//! `data/usage-events.csv.gz` holds 24,105 events of 1,106 accounts from January 2025 to July 2026, with the columns
//! event_id, account, timestamp, lines_changed, files_changed.

use std::{collections::BTreeMap, io::Read as _};

use anyhow::Context as _;
use flate2::read::GzDecoder;
use jiff::Timestamp;
use serde::Deserialize;

const EVENTS: &[u8] = include_bytes!("../../data/usage-events.csv.gz");

/// Time zones, by the account's last hexadecimal digit modulo 6.
const ZONES: [&str; 6] =
    ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Asia/Tokyo", "America/Sao_Paulo"];

/// One usage event as it stands in the file.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Event {
    pub event_id: String,
    pub account: String,
    pub timestamp: Timestamp,
    pub lines_changed: i64,
}

/// How an account's charges end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Every charge is declined.
    Declines,
    /// The gateway fails on the first try of each charge, before executing it.
    FailsOnce,
    /// Every charge succeeds at once.
    Pays,
}

/// An account of the file: a customer of the demo's tenant.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub name: String,
    pub zone: &'static str,
    pub behaviour: Behaviour,
    pub first_event: Timestamp,
}

/// Everything the demo is given.
pub(super) struct Input {
    /// In the order of the file.
    pub events: Vec<Event>,
    /// By name.
    pub accounts: BTreeMap<String, Account>,
}

impl Behaviour {
    /// The sandbox gateway's token with this behaviour.
    pub(super) fn token(self) -> &'static str {
        match self {
            Self::Declines => "pm_sandbox_decline",
            Self::FailsOnce => "pm_sandbox_fail_once",
            Self::Pays => "pm_sandbox_ok",
        }
    }
}

/// Reads the file that is part of the binary; only its first `limit` accounts, in the order of their names, if one is given.
pub(super) fn read(limit: Option<usize>) -> anyhow::Result<Input> {
    let mut text = String::new();
    GzDecoder::new(EVENTS).read_to_string(&mut text).context("the demo's data is damaged")?;
    let mut events: Vec<Event> = csv::Reader::from_reader(text.as_bytes()).deserialize().collect::<Result<_, _>>()?;
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    for event in &events {
        match accounts.get_mut(&event.account) {
            Some(account) => account.first_event = account.first_event.min(event.timestamp),
            None => {
                accounts.insert(event.account.clone(), account(event)?);
            }
        }
    }
    if let Some(last) = limit.and_then(|limit| accounts.keys().nth(limit).cloned()) {
        accounts.split_off(&last);
        events.retain(|event| accounts.contains_key(&event.account));
    }
    Ok(Input { events, accounts })
}

fn account(event: &Event) -> anyhow::Result<Account> {
    let name = event.account.clone();
    let digits = name.get(name.len().saturating_sub(2)..).unwrap_or_default();
    let number = usize::from_str_radix(digits, 16).with_context(|| format!("account {name} ends in no digits"))?;
    Ok(Account {
        zone: ZONES[number % 16 % ZONES.len()],
        behaviour: match number {
            0..=7 => Behaviour::Declines,
            8..=9 => Behaviour::FailsOnce,
            _ => Behaviour::Pays,
        },
        first_event: event.timestamp,
        name,
    })
}
