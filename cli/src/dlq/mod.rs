//! `ratchet dlq`: dead letters, one by one, by their cause, and all that match.

mod act;
mod filter;
mod look;
mod sweep;

use clap::{Args, Subcommand};

use crate::operator::RedisArgs;

#[derive(Debug, Args)]
pub(crate) struct DlqArgs {
    #[command(flatten)]
    redis: RedisArgs,
    #[command(subcommand)]
    command: DlqCommand,
}

#[derive(Debug, Subcommand)]
enum DlqCommand {
    /// Lists dead letters, those that died last first.
    List(look::ListArgs),
    /// Groups dead letters by their cause, the largest groups first.
    Groups(look::GroupsArgs),
    /// Shows one dead letter with its attempts and its payload.
    Show(look::ShowArgs),
    /// Puts another payload in place of a dead letter's.
    Edit(act::EditArgs),
    /// Puts dead letters back into their queues, with all attempts ahead of them.
    Retry(act::HandleArgs),
    /// Gives dead letters up for good.
    Discard(act::HandleArgs),
}

pub(crate) async fn run(args: DlqArgs) -> anyhow::Result<()> {
    let client = args.redis.connect().await?;
    match args.command {
        DlqCommand::List(args) => look::list(&client, args).await,
        DlqCommand::Groups(args) => look::groups(&client, args).await,
        DlqCommand::Show(args) => look::show(&client, args).await,
        DlqCommand::Edit(args) => act::edit(&client, args).await,
        DlqCommand::Retry(args) => act::handle(&client, act::Kind::Retry, args).await,
        DlqCommand::Discard(args) => act::handle(&client, act::Kind::Discard, args).await,
    }
}
