//! Starting the roles: configuration in, running role out. What a role does is in its own crate.

mod config;

use anyhow::Context as _;
use app::{App, AppConfig, Shutdown};
use tokio::{net::TcpListener, task::JoinSet};

pub use config::{AllArgs, ApiArgs, AuthArgs, MigrateArgs, SandboxGatewayArgs, SchedulerArgs, WorkerArgs};

/// Whatever one role is made of, running until shutdown.
type Role = std::pin::Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

pub async fn api(args: ApiArgs) -> anyhow::Result<()> {
    let config = args.api.clone();
    run(args.app, |app, shutdown| Ok(vec![serve_api(app, config, shutdown)])).await
}

pub async fn auth(args: AuthArgs) -> anyhow::Result<()> {
    let config = args.auth.clone();
    run(args.app, |app, shutdown| Ok(vec![serve_auth(app, config, shutdown)])).await
}

pub async fn worker(args: WorkerArgs) -> anyhow::Result<()> {
    let queues = if args.queues.is_empty() { workers::all_queues() } else { args.queues };
    run(args.app, |app, shutdown| Ok(vec![Box::pin(workers::run(app, queues, shutdown)) as Role])).await
}

pub async fn scheduler(args: SchedulerArgs) -> anyhow::Result<()> {
    run(args.app, |app, shutdown| Ok(vec![Box::pin(scheduler::run(app, shutdown)) as Role])).await
}

pub async fn all(args: AllArgs) -> anyhow::Result<()> {
    let (api, auth) = (args.api.clone(), args.auth.clone());
    run(args.app, |app, shutdown| {
        Ok(vec![
            serve_auth(app.clone(), auth, shutdown.clone()),
            serve_api(app.clone(), api, shutdown.clone()),
            Box::pin(workers::run(app.clone(), workers::all_queues(), shutdown.clone())),
            Box::pin(scheduler::run(app, shutdown)),
        ])
    })
    .await
}

pub async fn migrate(args: MigrateArgs) -> anyhow::Result<()> {
    app::init_telemetry(args.app.log_format)?;
    let app = App::connect(args.app).await?;
    app.billing.store.migrate().await.context("cannot create the indexes")?;
    tracing::info!("the database is up to date");
    Ok(())
}

pub async fn sandbox_gateway(args: SandboxGatewayArgs) -> anyhow::Result<()> {
    app::init_telemetry(args.log_format)?;
    let shutdown = app::on_signal()?;
    let listener = bind(&args.listen).await?;
    sandbox_gateway::run(listener, args.gateway, shutdown).await
}

fn serve_api(app: App, config: api::ApiConfig, shutdown: Shutdown) -> Role {
    Box::pin(async move {
        let listener = bind(&config.api_listen).await?;
        api::run(listener, app, config, shutdown).await
    })
}

fn serve_auth(app: App, config: api::AuthConfig, shutdown: Shutdown) -> Role {
    Box::pin(async move {
        let listener = bind(&config.auth_listen).await?;
        api::run_auth(listener, app, config, shutdown).await
    })
}

/// Runs roles and the plumbing port in this process until a signal, or until one of them fails.
async fn run(
    config: AppConfig,
    roles: impl FnOnce(App, Shutdown) -> anyhow::Result<Vec<Role>>,
) -> anyhow::Result<()> {
    let metrics = app::init_telemetry(config.log_format)?;
    let shutdown = app::on_signal()?;
    let plumbing = bind(&config.metrics_listen).await?;
    let app = App::connect(config).await?;
    let mut running = JoinSet::new();
    running.spawn(app::serve_plumbing(plumbing, app.clone(), metrics, shutdown.clone()));
    for role in roles(app, shutdown.clone())? {
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
