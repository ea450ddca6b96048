//! `cordon playbooks [show NAME]`.

use crate::playbooks::ALL;
use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cordon playbooks\n  cordon playbooks --json\n  cordon playbooks show compromised-instance"
)]
pub struct Playbooks {
    #[command(subcommand)]
    command: Option<Command>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the page of one playbook: what it does, on what, how it is undone, its limits
    Show { name: String },
}

impl Playbooks {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Some(Command::Show { name }) => show(&name),
            None => {
                for playbook in ALL {
                    let page = playbook.page();
                    let summary = page.lines().next().unwrap_or_default();
                    if self.json {
                        println!("{}", json!({"id": playbook.id(), "summary": summary, "page": page}));
                    } else {
                        println!("{:<26} {summary}", playbook.id());
                    }
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn show(name: &str) -> anyhow::Result<ExitCode> {
    let Some(playbook) = ALL.iter().find(|playbook| playbook.id() == name) else {
        let known: Vec<&str> = ALL.iter().map(|playbook| playbook.id()).collect();
        bail!("no playbook is called `{name}`; there are {}", known.join(", "));
    };
    println!("{}\n\n{}", playbook.id(), playbook.page());
    Ok(ExitCode::SUCCESS)
}
