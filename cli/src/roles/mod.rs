//! Starting the roles: configuration in, running role out. What a role does is in its own crate.

mod config;

use anyhow::Context as _;
use app::{App, AppConfig, Shutdown};
use tokio::{net::TcpListener, task::JoinSet};

pub(crate) use config::{AllArgs, ApiArgs, AuthArgs, MigrateArgs, SandboxGatewayArgs, SchedulerArgs, WorkerArgs};

/// Whatever one role is made of, running until shutdown.
type Role = std::pin::Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

pub(crate) async fn api(args: ApiArgs) -> anyhow::Result<()> {
    let listener = bind(&args.api.api_listen).await?;
    run(args.app, |app, shutdown| vec![Box::pin(api::run(listener, app, args.api, shutdown))]).await
}

pub(crate) async fn auth(args: AuthArgs) -> anyhow::Result<()> {
    let listener = bind(&args.auth.auth_listen).await?;
    run(args.app, |app, shutdown| vec![Box::pin(api::run_auth(listener, app, args.auth, shutdown))]).await
}

pub(crate) async fn worker(args: WorkerArgs) -> anyhow::Result<()> {
    let queues = if args.queues.is_empty() { workers::all_queues() } else { args.queues };
    run(args.app, |app, shutdown| vec![Box::pin(workers::run(app, queues, shutdown))]).await
}

pub(crate) async fn scheduler(args: SchedulerArgs) -> anyhow::Result<()> {
    run(args.app, |app, shutdown| vec![Box::pin(scheduler::run(app, shutdown))]).await
}

pub(crate) async fn all(args: AllArgs) -> anyhow::Result<()> {
    let api_listener = bind(&args.api.api_listen).await?;
    let auth_listener = bind(&args.auth.auth_listen).await?;
    run(args.app, |app, shutdown| {
        vec![
            Box::pin(api::run_auth(auth_listener, app.clone(), args.auth, shutdown.clone())),
            Box::pin(api::run(api_listener, app.clone(), args.api, shutdown.clone())),
            Box::pin(workers::run(app.clone(), workers::all_queues(), shutdown.clone())),
            Box::pin(scheduler::run(app, shutdown)),
        ]
    })
    .await
}

pub(crate) async fn migrate(args: MigrateArgs) -> anyhow::Result<()> {
    app::init_telemetry(args.app.log_format)?;
    let app = App::connect(args.app).await?;
    app.billing.store.migrate().await.context("cannot create the indexes")?;
    tracing::info!("the database is up to date");
    Ok(())
}

pub(crate) async fn sandbox_gateway(args: SandboxGatewayArgs) -> anyhow::Result<()> {
    app::init_telemetry(args.log_format)?;
    let shutdown = app::on_signal()?;
    let listener = bind(&args.listen).await?;
    sandbox_gateway::run(listener, args.gateway, shutdown).await
}

/// Runs roles and the plumbing port in this process until a signal, or until one of them fails. Listeners are bound before,
/// so that a role that says it is ready can be reached.
async fn run(config: AppConfig, roles: impl FnOnce(App, Shutdown) -> Vec<Role>) -> anyhow::Result<()> {
    let metrics = app::init_telemetry(config.log_format)?;
    let shutdown = app::on_signal()?;
    let plumbing = bind(&config.metrics_listen).await?;
    let app = App::connect(config).await?;
    let mut running = JoinSet::new();
    running.spawn(app::serve_plumbing(plumbing, app.clone(), metrics, shutdown.clone()));
    for role in roles(app, shutdown.clone()) {
        running.spawn(role);
    }
    let mut outcome = Ok(());
    while let Some(ended) = running.join_next().await {
        let ended = ended.map_err(anyhow::Error::from).flatten();
        shutdown.cancel();
        if outcome.is_ok() {
            outcome = ended;
        }
    }
    outcome
}

async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}
