//! The operator's commands. Exit codes: 0 done, 1 something could not be done, 2 wrong usage.

mod playbooks;
mod replay;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// First responder for AWS accounts: see what it would do, and why.
#[derive(Debug, Parser)]
#[command(name = "cordon", version, about, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Judge events from files without changing anything
    Replay(replay::Replay),
    /// List the playbooks, or show the page of one
    Playbooks(playbooks::Playbooks),
}

/// # Errors
/// What a person can act on: a file that cannot be read, credentials that are missing.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Replay(replay) => replay.run().await,
        Command::Playbooks(playbooks) => playbooks.run(),
    }
}
