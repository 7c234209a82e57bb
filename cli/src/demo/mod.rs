//! `ratchet demo`: nineteen months of billing for 1,106 accounts on real usage data, through every part of the product.
//!
//! Starts the roles as processes, sets a tenant up over HTTP as a client would, bills everything with one run, and compares
//! the result with a recomputation from the input and with the gateway's own ledger.

mod books;
mod checks;
mod client;
mod data;
mod processes;
mod progress;
mod recompute;
mod report;
mod run;
mod setup;

use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use jiff::{Timestamp, civil::date};

use client::{Client, Credentials};
use processes::{Fleet, Processes};

/// Where the tenant's clock stands, and up to when everything is billed.
const NOW: &str = "2026-08-01T12:00:00Z";
/// Who signs in to look around. The demo holds no secrets.
const EMAIL: &str = "owner@demo.example";
const PASSWORD: &str = "correct horse battery staple";

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Stop when the result has been printed; otherwise everything keeps serving until Ctrl-C.
    #[arg(long)]
    once: bool,
    /// Worker processes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    workers: u16,
    /// Scheduler processes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4))]
    schedulers: u16,
    /// Listen on any free ports rather than on 3000, 3005 and 12111; for demos that run side by side.
    #[arg(long)]
    free_ports: bool,
    /// Bill only the first so many accounts of the data; all of them if left out.
    #[arg(long)]
    accounts: Option<usize>,
    /// Folder of logs, gateway ledger and environment.
    #[arg(long, env = "RATCHET_DEMO_DATA", default_value = ".ratchet/demo")]
    data_dir: PathBuf,
    /// The mail catcher's web address, to count what arrived.
    #[arg(long, env = "MAIL_CATCHER_URL")]
    mail_catcher_url: Option<String>,
}

/// Runs the demo; an error if one of its checks does not hold.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    app::init_tls();
    let shutdown = app::on_signal()?;
    let notices = ProgressBar::new_spinner();
    let fleet = Fleet { workers: args.workers, schedulers: args.schedulers, free_ports: args.free_ports };
    eprintln!("Starting gateway, auth, api, {} worker(s), {} scheduler(s)", args.workers, args.schedulers);
    let mut processes = Processes::start(&args.data_dir, fleet, notices).await?;
    let addresses = processes.addresses.clone();
    let outcome = tokio::select! {
        outcome = bill_and_check(&args, &addresses) => outcome,
        error = processes.failure() => Err(error),
        () = shutdown.cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    if outcome.is_ok() && !args.once {
        report::where_to_look(&args, &addresses, (EMAIL, PASSWORD));
        tokio::select! {
            () = shutdown.cancelled() => {}
            error = processes.failure() => eprintln!("{error}"),
        }
    }
    processes.stop().await;
    outcome
}

async fn bill_and_check(args: &DemoArgs, addresses: &processes::Addresses) -> anyhow::Result<()> {
    let input = data::read(args.accounts)?;
    let now: Timestamp = NOW.parse()?;
    let credentials = Credentials { email: EMAIL.to_owned(), password: PASSWORD.to_owned() };
    let (base, catcher) = (format!("http://{}", addresses.api), args.mail_catcher_url.as_deref());
    let client = Client::sign_in(&base, ("Ratchet Demo", credentials), catcher).await?;
    let external = books::External::new(addresses, args.mail_catcher_url.clone())?;
    let before = external.count().await?;

    eprintln!("Setting up the tenant over HTTP");
    let changed = setup::set_up(&client, &input, now).await?;
    eprintln!("Billing everything up to {NOW}");
    let run = run::bill(&client, now).await?;
    let books = books::collect(&client, &external).await?;

    let expected = recompute::expected(&input, date(2026, 8, 1))?;
    report::print(&books, &run, &changed, &before);
    let checks = checks::all(&books, &expected);
    report::print_checks(&checks);
    let failed = checks.iter().filter(|check| !check.holds).count();
    anyhow::ensure!(failed == 0, "{failed} check(s) do not hold");
    Ok(())
}
