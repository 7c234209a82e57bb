//! The one binary: every role of the product is a subcommand, and `all` runs them in one process.

mod demo;
mod dlq;
mod healthcheck;
mod jobs;
mod operator;
mod queues;
mod roles;
mod runs;
mod schedules;
mod simulate;
mod terminal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Jobs are many short lives of small things, across threads: it saves a sixth of the time of a worker.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Status of a command whose input is wrong, as of one whose arguments are.
const BAD_INPUT: u8 = 2;

/// Ratchet: billing for SaaS companies, driven by a job queue.
#[derive(Debug, Parser)]
#[command(name = "ratchet", version, about)]
struct Cli {
    /// Shuts down when standard input closes: for a parent that must not leave anything running, even if it is killed.
    #[arg(long, global = true, hide = true)]
    until_stdin_closes: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the HTTP API (port 3000).
    Api(roles::ApiArgs),
    /// Serves log-in, tokens and the signing keys' public half (port 3005).
    Auth(roles::AuthArgs),
    /// Executes jobs; run as many as there is work for.
    Worker(roles::WorkerArgs),
    /// Makes ticks, starts billing runs, sweeps up lost work; one is enough, two do no harm.
    Scheduler(roles::SchedulerArgs),
    /// All of the above in one process, for a laptop.
    All(roles::AllArgs),
    /// A payment gateway for testing that speaks Stripe's API and charges nobody.
    SandboxGateway(roles::SandboxGatewayArgs),
    /// Creates indexes; run once before the other roles start. Idempotent.
    Migrate(roles::MigrateArgs),
    /// Exits 0 if the role whose plumbing or API address is given says it is ready.
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Shows how the queues fare; pauses, resumes and limits them. Needs Redis alone.
    Queues(queues::QueuesArgs),
    /// Shows the jobs that wait or run, and the story of one. Needs Redis alone.
    Jobs(jobs::JobsArgs),
    /// Shows, groups, edits, retries and discards dead letters. Needs Redis alone.
    Dlq(dlq::DlqArgs),
    /// Shows, follows, starts and steers a tenant's billing runs.
    Runs(runs::RunsArgs),
    /// Shows what ticks by itself; has it tick now, pauses and resumes it. Needs MongoDB alone.
    Schedules(schedules::SchedulesArgs),
    /// Prints the OpenAPI document.
    Openapi,
    /// Prints the invoices of a scenario, a story in JSON, without any server.
    Simulate(simulate::SimulateArgs),
    /// Runs nineteen months of billing on real usage data, through every part of the product, and checks the result.
    Demo(demo::DemoArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if terminal::is_unread(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ratchet: {error:#}");
            if error.is::<simulate::BadScenario>() { ExitCode::from(BAD_INPUT) } else { ExitCode::FAILURE }
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    if cli.until_stdin_closes {
        app::follow_stdin();
    }
    match cli.command {
        Command::Api(args) => roles::api(args).await,
        Command::Auth(args) => roles::auth(args).await,
        Command::Worker(args) => roles::worker(args).await,
        Command::Scheduler(args) => roles::scheduler(args).await,
        Command::All(args) => roles::all(args).await,
        Command::SandboxGateway(args) => roles::sandbox_gateway(args).await,
        Command::Migrate(args) => roles::migrate(args).await,
        Command::Healthcheck(args) => healthcheck::run(args).await,
        Command::Queues(args) => queues::run(args).await,
        Command::Jobs(args) => jobs::run(args).await,
        Command::Dlq(args) => dlq::run(args).await,
        Command::Runs(args) => runs::run(args).await,
        Command::Schedules(args) => schedules::run(args).await,
        Command::Openapi => {
            println!("{}", api::openapi_json()?);
            Ok(())
        }
        Command::Simulate(args) => simulate::run(&args),
        Command::Demo(args) => demo::run(args).await,
    }
}
