//! `ratchet runs`: the billing runs of a tenant, watched and steered from the terminal.
//!
//! Reads and changes the database as the API does, through the same use cases; the workers do the work.

use std::time::Duration;

use anyhow::{Context as _, bail};
use api::{
    http::page::List,
    shown::{BillingRun, Watched},
};
use app::{App, AppConfig};
use billing::{Actor, BillingError, Change, NewBillingRun, Steering, TenantTime};
use clap::{Args, Subcommand};
use domain::RunState;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use store::{ListFilter, PageRequest, Tenant};

use crate::terminal::{Last, Tone, figure, fit, instant, print_json, say, span, table, text, when, word};

/// How often a watched run is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(500);
/// Runs of a list.
const LIST_LIMIT: i64 = 20;
/// How often a change is decided again after the workers came first.
const TRIES: u32 = 20;
/// Columns of the list that go where there is little room: rate, as of, paid.
const MAY_GO: [usize; 3] = [8, 2, 6];

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    #[command(flatten)]
    app: AppConfig,
    /// The tenant whose runs they are.
    #[arg(long, env = "RATCHET_TENANT", global = true)]
    tenant: Option<String>,
    /// Who steers.
    #[arg(long, env = "USER", default_value = "operator", global = true)]
    by: String,
    /// Prints what the API answers; one line each time when watching.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: RunsCommand,
}

#[derive(Debug, Subcommand)]
enum RunsCommand {
    /// Lists the latest runs.
    List,
    /// Shows a run: totals, money, what failed most.
    Show { run: String },
    /// Follows a run until it is over or paused.
    Watch { run: String },
    /// Starts a run over everything that is due.
    Start {
        /// Up to and including this moment; the tenant's now if left out.
        #[arg(long)]
        as_of: Option<Timestamp>,
    },
    /// Holds every stage still until it is resumed.
    Pause { run: String },
    /// Lets a paused run go on.
    Resume { run: String },
    /// Ends a run for good; what it has invoiced is collected outside it.
    Cancel { run: String },
    /// Tries the subscriptions again that could not be billed.
    RetryFailed { run: String },
}

/// One tenant's runs.
struct Desk {
    app: App,
    tenant: Tenant,
    by: String,
    json: bool,
}

pub(crate) async fn run(args: RunsArgs) -> anyhow::Result<()> {
    let RunsArgs { app, tenant, by, json, command } = args;
    app::init_tls();
    let app = App::connect(app).await?;
    let id = tenant.context("say whose runs: --tenant or RATCHET_TENANT")?;
    let tenant = app.billing.store.find(&id, &id).await?.with_context(|| format!("there is no tenant {id}"))?;
    let desk = Desk { app, tenant, by, json };
    match command {
        RunsCommand::List => desk.list().await,
        RunsCommand::Show { run } => desk.print(&desk.look(&run).await?),
        RunsCommand::Watch { run } => desk.watch(&run).await,
        RunsCommand::Start { as_of } => desk.start(as_of).await,
        RunsCommand::Pause { run } => desk.steer(&run, Steering::Pause).await,
        RunsCommand::Resume { run } => desk.steer(&run, Steering::Resume).await,
        RunsCommand::Cancel { run } => desk.steer(&run, Steering::Cancel).await,
        RunsCommand::RetryFailed { run } => desk.steer(&run, Steering::RetryFailed).await,
    }
}

impl Desk {
    fn actor(&self) -> Actor {
        Actor { tenant: self.tenant.id.clone(), id: self.by.clone(), request_id: None }
    }

    async fn shown(&self, run: &store::BillingRun) -> anyhow::Result<BillingRun> {
        let chunks = self.app.billing.store.chunks_of_run(&run.tenant, &run.id).await?;
        Ok(Watched { run, chunks: &chunks, wall: self.app.clock.now() }.show(self.tenant.livemode))
    }

    async fn look(&self, id: &str) -> anyhow::Result<BillingRun> {
        let run = self.app.billing.store.find(&self.tenant.id, id).await?;
        self.shown(&run.with_context(|| format!("the tenant has no billing run {id}"))?).await
    }

    async fn list(&self) -> anyhow::Result<()> {
        let request = PageRequest { limit: LIST_LIMIT, starting_after: None, ending_before: None };
        let page = self.app.billing.store.list(&self.tenant.id, ListFilter::default(), &request).await?;
        let page = page.context("a list without a cursor has rows")?;
        let mut rows = Vec::with_capacity(page.data.len());
        for run in &page.data {
            rows.push(self.shown(run).await?);
        }
        if self.json {
            return print_json(&List::new("/v1/billing_runs", page.has_more, rows));
        }
        let header = ["run", "state", "as of", "done", "due", "invoiced", "paid", "failed", "per s", "started"];
        let mut list = table(header);
        for run in &rows {
            list.add_row([
                text(&run.id),
                word(run.state.as_str(), tone(run)),
                text(instant(run.as_of)),
                figure(run.percent_done.map(|percent| format!("{percent} %"))),
                figure(Some(run.totals.subscriptions)),
                figure(Some(run.totals.invoiced)),
                figure(Some(run.totals.paid)),
                figure(Some(run.totals.failed)),
                figure(run.rate_per_second),
                text(when(run.started_at, self.app.clock.now())),
            ]);
        }
        say(fit(list, Last::Text, &MAY_GO))
    }

    fn print(&self, run: &BillingRun) -> anyhow::Result<()> {
        if self.json {
            return print_json(run);
        }
        let totals = run.totals;
        say(format!("{}  {}  {}", run.id, run.state.as_str(), progress(run)))?;
        say(format!("  as of          {}", instant(run.as_of)))?;
        say(format!("  started        {}", instant(run.started_at)))?;
        if let Some(at) = run.finished_at {
            say(format!("  finished       {}", instant(at)))?;
        }
        if let Some(error) = &run.error {
            say(format!("  failed for     {error}"))?;
        }
        say(format!("  subscriptions  {} due, {} failed", totals.subscriptions, totals.failed))?;
        say(format!("  invoices       {} issued, {} skipped", totals.invoiced, totals.skipped))?;
        say(format!("  payments       {} paid, {} declined", totals.paid, totals.payment_failed))?;
        say(format!("  mails          {} sent", totals.notified))?;
        for amount in &run.amounts {
            let (invoiced, collected) = (amount.invoiced_minor, amount.collected_minor);
            say(format!(
                "  {}            {invoiced} invoiced, {collected} collected, in minor units",
                amount.currency
            ))?;
        }
        if run.top_errors.is_empty() {
            return Ok(());
        }
        let mut errors = table(["error", "count", "for example", "detail"]);
        for error in &run.top_errors {
            let row = [text(&error.code), figure(Some(error.count)), text(&error.subscription), text(&error.detail)];
            errors.add_row(row);
        }
        say(format!("\n{}", fit(errors, Last::Text, &[])))
    }

    async fn start(&self, as_of: Option<Timestamp>) -> anyhow::Result<()> {
        let billing = &self.app.billing;
        let time = TenantTime::read(&billing.store, &self.tenant.id, self.app.clock.now()).await?;
        let new = NewBillingRun { id: self.app.ids.new_id("run"), as_of };
        let run = billing.commit(billing::create_billing_run(&self.actor(), &time, new)?).await?;
        self.print(&self.shown(&run).await?)
    }

    async fn steer(&self, id: &str, steering: Steering) -> anyhow::Result<()> {
        let billing = &self.app.billing;
        let mut tries = 0;
        let run = loop {
            tries += 1;
            let time = TenantTime::read(&billing.store, &self.tenant.id, self.app.clock.now()).await?;
            match billing::steer_billing_run(&billing.store, &self.actor(), &time, (id, steering)).await {
                Ok(change) => match self.commit(change).await {
                    Err(error) if error.is_conflict() && tries < TRIES => {}
                    outcome => break outcome?,
                },
                Err(BillingError::NotFound { .. }) => bail!("the tenant has no billing run {id}"),
                Err(error) => return Err(error.into()),
            }
        };
        self.print(&self.shown(&run).await?)
    }

    async fn commit(&self, change: Change<store::BillingRun>) -> Result<store::BillingRun, BillingError> {
        self.app.billing.commit(change).await
    }

    async fn watch(&self, id: &str) -> anyhow::Result<()> {
        let template = "  {prefix} {bar:40.cyan/dim} {percent:>3} %  {msg}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = if self.json { ProgressBar::hidden() } else { ProgressBar::new(100).with_style(style) };
        let mut ticks = tokio::time::interval(WATCH_EVERY);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                stopped = tokio::signal::ctrl_c() => {
                    bar.abandon();
                    return Ok(stopped?);
                }
            }
            let run = self.look(id).await?;
            if self.json {
                say(serde_json::to_string(&run)?)?;
            }
            bar.set_prefix(run.state.as_str());
            bar.set_position(run.percent_done.unwrap_or_default().into());
            bar.set_message(self.told(&run));
            if run.finished_at.is_some() || matches!(run.state, RunState::Paused | RunState::Failed) {
                bar.finish_and_clear();
                return if self.json { Ok(()) } else { self.print(&run) };
            }
        }
    }

    /// What stands beside the bar.
    fn told(&self, run: &BillingRun) -> String {
        let totals = run.totals;
        let mut told = format!("{} invoiced, {} paid, {} failed", totals.invoiced, totals.paid, totals.failed);
        if let Some(rate) = run.rate_per_second {
            told.push_str(&format!(", {rate} a second"));
        }
        if let Some(eta) = run.eta {
            let left = eta.duration_since(self.app.clock.now()).unsigned_abs();
            told.push_str(&format!(", {} left", span(left)));
        }
        told
    }
}

fn progress(run: &BillingRun) -> String {
    match (run.percent_done, run.rate_per_second) {
        (Some(percent), Some(rate)) => format!("{percent} % done, {rate} invoices a second"),
        (Some(percent), None) => format!("{percent} % done"),
        (None, _) => "still planning".to_owned(),
    }
}

fn tone(run: &BillingRun) -> Tone {
    match run.state {
        RunState::Failed => Tone::Bad,
        RunState::Paused => Tone::Attention,
        RunState::Completed if run.totals.failed > 0 => Tone::Attention,
        RunState::Completed => Tone::Good,
        RunState::Planning | RunState::Running | RunState::Cancelled => Tone::Plain,
    }
}
