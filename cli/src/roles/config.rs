//! The arguments of each role; every one can be given in the environment.

use app::{AppConfig, LogFormat};
use clap::Args;

#[derive(Clone, Debug, Args)]
pub(crate) struct ApiArgs {
    #[command(flatten)]
    pub app: AppConfig,
    #[command(flatten)]
    pub api: api::ApiConfig,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AuthArgs {
    #[command(flatten)]
    pub app: AppConfig,
    #[command(flatten)]
    pub auth: api::AuthConfig,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    pub app: AppConfig,
    /// Queues to work on, separated by commas; all of them if left out.
    #[arg(long, env = "WORKER_QUEUES", value_delimiter = ',')]
    pub queues: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SchedulerArgs {
    #[command(flatten)]
    pub app: AppConfig,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AllArgs {
    #[command(flatten)]
    pub app: AppConfig,
    #[command(flatten)]
    pub api: api::ApiConfig,
    #[command(flatten)]
    pub auth: api::AuthConfig,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub app: AppConfig,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SandboxGatewayArgs {
    /// Address to listen on.
    #[arg(long, env = "SANDBOX_LISTEN", default_value = "127.0.0.1:12111")]
    pub listen: String,
    #[command(flatten)]
    pub gateway: sandbox_gateway::Config,
    /// How logs are written.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
}
