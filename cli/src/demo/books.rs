//! What the demo has brought about, read from outside: the API's invoices, the gateway's ledger, the mail catcher, the queues.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{EMAIL, client::Client, processes::Addresses};

/// How long mails that are still on their way may take to arrive, counted from the last one.
const QUIET_FOR: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(500);
/// Largest page of the gateway's charges and of the catcher's mails.
const PAGE: usize = 1_000;

/// An invoice as the API shows it, as far as the demo looks at it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Invoice {
    pub id: String,
    pub subscription: String,
    pub reason: String,
    pub status: String,
    pub boundary: String,
    pub amount_due_minor: i64,
    pub lines: Vec<Line>,
    pub payment_attempts: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Line {
    pub kind: String,
    pub amount_minor: i64,
}

/// What the gateway says it has charged.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub succeeded: usize,
    pub amount_minor: i64,
    /// Invoice id -> successful charges.
    pub per_invoice: BTreeMap<String, usize>,
}

/// Numbers of the outside world at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub charges: usize,
    pub mails: Option<Mails>,
}

/// Mails in the catcher. One Message-ID is one mail; a second copy comes from a worker killed between the server's
/// acceptance and its own commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mails {
    pub distinct: usize,
    pub copies: usize,
}

/// Everything that the report and the checks need.
pub(super) struct Books {
    pub invoices: Vec<Invoice>,
    pub ledger: Ledger,
    /// None when there is no catcher to ask.
    pub mails: Option<Mails>,
    pub dead_letters: u64,
}

/// The witnesses outside the product.
pub(super) struct External {
    http: reqwest::Client,
    gateway: String,
    mail_catcher: Option<String>,
}

#[derive(Deserialize)]
struct Charge {
    id: String,
    amount: i64,
    metadata: BTreeMap<String, String>,
}

impl External {
    pub(super) fn new(addresses: &Addresses, mail_catcher: Option<String>) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(QUIET_FOR).build()?;
        Ok(Self { http, gateway: format!("http://{}", addresses.gateway), mail_catcher })
    }

    /// Charges and mails so far.
    pub(super) async fn count(&self) -> anyhow::Result<Counts> {
        Ok(Counts { charges: self.ledger().await?.succeeded, mails: self.mails().await? })
    }

    async fn mails(&self) -> anyhow::Result<Option<Mails>> {
        let Some(base) = &self.mail_catcher else { return Ok(None) };
        let mut ids = BTreeSet::new();
        let (mut read, mut received) = (0, 0);
        loop {
            let page: Value = self.get(&format!("{base}/api/v1/messages?start={read}&limit={PAGE}")).await?;
            let messages = page["messages"].as_array().context("the mail catcher gave no messages")?;
            if messages.is_empty() {
                return Ok(Some(Mails { distinct: ids.len(), copies: received - ids.len() }));
            }
            read += messages.len();
            // What the owner gets is about the account, not about invoices.
            let to_customers = messages.iter().filter(|message| message["To"][0]["Address"] != EMAIL);
            let to_customers: Vec<_> = to_customers.filter_map(|message| message["MessageID"].as_str()).collect();
            received += to_customers.len();
            ids.extend(to_customers.into_iter().map(ToOwned::to_owned));
        }
    }

    async fn ledger(&self) -> anyhow::Result<Ledger> {
        let mut ledger = Ledger { succeeded: 0, amount_minor: 0, per_invoice: BTreeMap::new() };
        let mut cursor = String::new();
        loop {
            let page: Value = self.get(&format!("{}/_sandbox/charges?limit={PAGE}{cursor}", self.gateway)).await?;
            let charges = Vec::<Charge>::deserialize(&page["data"])?;
            for charge in &charges {
                ledger.succeeded += 1;
                ledger.amount_minor += charge.amount;
                let invoice = charge.metadata.get("invoice").cloned().unwrap_or_default();
                *ledger.per_invoice.entry(invoice).or_default() += 1;
            }
            match charges.last() {
                Some(last) if page["has_more"] == Value::Bool(true) => cursor = format!("&starting_after={}", last.id),
                _ => return Ok(ledger),
            }
        }
    }

    /// Waits until as many mails have arrived as were to be sent, or none has come for a while.
    async fn await_mails(&self, wanted: usize) -> anyhow::Result<Option<Mails>> {
        let mut last_change = Instant::now();
        let mut seen = self.mails().await?;
        while seen.is_some_and(|mails| mails.distinct < wanted) && last_change.elapsed() < QUIET_FOR {
            tokio::time::sleep(POLL).await;
            let now = self.mails().await?;
            if now != seen {
                last_change = Instant::now();
                seen = now;
            }
        }
        Ok(seen)
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> anyhow::Result<T> {
        let answer = self.http.get(url).send().await.with_context(|| format!("{url} does not answer"))?;
        Ok(answer.error_for_status()?.json().await?)
    }
}

impl Invoice {
    /// Whether the one attempt that its dunning policy grants was declined.
    pub(super) fn is_declined(&self) -> bool {
        self.status == "open" && self.payment_attempts > 0
    }
}

/// Reads everything, once every payment is settled and every mail has arrived.
pub(super) async fn collect(client: &Client, external: &External) -> anyhow::Result<Books> {
    let invoices = settled_invoices(client).await?;
    let declined = invoices.iter().filter(|invoice| invoice.is_declined()).count();
    let mails = external.await_mails(invoices.len() + declined).await?;
    let queues: Value = client.get("/v1/queues").await?;
    let dead = |queue: &Value| queue["dead"].as_u64().unwrap_or_default();
    Ok(Books {
        dead_letters: queues["data"].as_array().context("no list of queues")?.iter().map(dead).sum(),
        ledger: external.ledger().await?,
        mails,
        invoices,
    })
}

/// All invoices, once no payment's outcome is open.
async fn settled_invoices(client: &Client) -> anyhow::Result<Vec<Invoice>> {
    loop {
        let pending: Vec<Value> = client.list("/v1/payments?status=pending").await?;
        let unattempted: Vec<Invoice> = client.list("/v1/invoices?status=open").await?;
        if pending.is_empty() && unattempted.iter().all(|invoice| invoice.payment_attempts > 0) {
            return client.list("/v1/invoices").await;
        }
        tokio::time::sleep(POLL * 5).await;
    }
}
