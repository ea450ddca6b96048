//! The operator's commands. Exit codes: 0 done, 1 not done, 2 wrong usage, 3 partly done.

mod baseline;
mod command;
pub mod coverage;
mod deployment;
mod explain;
mod incident;
mod judging;
pub mod patterns;
mod permissions;
mod playbooks;
mod policy;
mod replay;
mod rules;
mod shadow;
mod source;

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
    /// List the incidents of a deployment, the newest first
    Incidents(incident::Incidents),
    /// Show all that is known of one incident
    Show(incident::Show),
    /// Put back what an incident changed
    Release(command::Release),
    /// Let the responder carry out the plan that waits for approval
    Approve(command::Approve),
    /// Say no to the plan that waits for approval
    Reject(command::Reject),
    /// Contain a target that you name
    Contain(command::Contain),
    /// Contain nothing new unattended for a while
    Pause(command::PauseCommand),
    /// End a pause
    Resume(command::Resume),
    /// Make the quarantine groups of all VPCs ahead
    Prepare(incident::Prepare),
    /// Show and take what Cordon switches on again
    Baseline(baseline::BaselineCommand),
    /// Print the IAM policy that the event function's code needs, or people with `--direct`
    Permissions(permissions::Permissions),
    /// Check, put, show and compare what Cordon may do
    Policy(policy::PolicyCommand),
    /// Tell what one event is to Cordon, and what would change the decision
    Explain(explain::Explain),
    /// List what the sensors can report, and what is done about it
    Coverage(coverage::Coverage),
    /// Print the event patterns that the rules need
    Patterns(patterns::Patterns),
    /// Judge an account's past, before Cordon may act
    Shadow(shadow::Shadow),
    /// List, show and test the rules by which CloudTrail's records are judged
    Rules(rules::Rules),
    /// List the playbooks, or show the page of one
    Playbooks(playbooks::Playbooks),
}

/// # Errors
/// What a person can act on: a file that cannot be read, credentials that are missing.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Replay(replay) => replay.run().await,
        Command::Incidents(incidents) => incidents.run().await,
        Command::Show(show) => show.run().await,
        Command::Release(release) => release.run().await,
        Command::Approve(approve) => approve.run().await,
        Command::Reject(reject) => reject.run().await,
        Command::Contain(contain) => contain.run().await,
        Command::Pause(pause) => pause.run().await,
        Command::Resume(resume) => resume.run().await,
        Command::Prepare(prepare) => prepare.run().await,
        Command::Baseline(baseline) => baseline.run().await,
        Command::Permissions(permissions) => permissions.run(),
        Command::Policy(policy) => policy.run().await,
        Command::Explain(explain) => explain.run().await,
        Command::Coverage(coverage) => coverage.run(),
        Command::Patterns(patterns) => patterns.run(),
        Command::Shadow(shadow) => shadow.run().await,
        Command::Rules(rules) => rules.run(),
        Command::Playbooks(playbooks) => playbooks.run(),
    }
}
