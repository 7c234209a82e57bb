//! The sandbox gateway as a process of its own on a free port, without the rest of the product:
//! `cargo run -p sandbox-gateway --example serve -- --data-dir DIR`. Prints its base URL.

use clap::Parser;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    config: sandbox_gateway::Config,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}", listener.local_addr()?);
    sandbox_gateway::run(listener, arguments.config, CancellationToken::new()).await
}
