//! `cordon policy …`: what Cordon may do, put into the deployment's table with its history.

use super::deployment::{Deployment, Place};
use crate::{
    domain::Timestamp,
    journal::PolicyVersion,
    policy::{EXAMPLES, Policy},
};
use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use similar::TextDiff;
use std::{io::Read, path::PathBuf, process::ExitCode};

#[derive(Debug, Args)]
#[command(after_help = "\
The policy is a YAML document. The newest version in the table is in force with the next event; versions are never changed or deleted.
One that is broken is refused here; one that was broken in the table leaves the last good one in force, and people are paged.

Examples:
  cordon policy example usual > policy.yaml
  cordon policy check policy.yaml
  cordon policy diff --stack cordon policy.yaml
  cordon policy put --stack cordon policy.yaml --because 'first version'
  cordon policy show --stack cordon
  cordon policy history --stack cordon

Exit codes: 0 done (diff: no difference), 1 not done (diff: there are differences), 2 wrong usage.")]
pub struct PolicyCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a document and say what is wrong with it, with line and column
    Check {
        /// A file, or - for standard input
        file: PathBuf,
    },
    /// Put a document into force
    Put {
        /// A file, or - for standard input
        file: PathBuf,
        /// Why, for the history
        #[arg(long, value_name = "TEXT", default_value = "")]
        because: String,
        #[command(flatten)]
        place: Place,
    },
    /// Print the document in force, or an older version
    Show {
        /// Of the history
        #[arg(long, value_name = "N")]
        version: Option<u32>,
        #[command(flatten)]
        place: Place,
    },
    /// List the versions, the newest first
    History {
        #[command(flatten)]
        place: Place,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Compare the document in force with a file, or two versions
    Diff {
        /// A file, or - for standard input; without it, the newest version is compared with the one before
        file: Option<PathBuf>,
        /// Compare with this version instead of the newest
        #[arg(long, value_name = "N")]
        version: Option<u32>,
        #[command(flatten)]
        place: Place,
    },
    /// Print a document to begin with: careful, usual or strict
    Example {
        #[arg(default_value = "usual")]
        name: String,
    },
    /// Print the JSON schema of the document, for editors
    Schema,
}

/// Versions that are looked through for one.
const MOST: usize = 1_000;

impl PolicyCommand {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Check { file } => {
                let (policy, _) = read(&file)?;
                println!("the document can be used");
                warn(&policy);
                Ok(ExitCode::SUCCESS)
            }
            Command::Put { file, because, place } => put(&file, because, &place.open().await?).await,
            Command::Show { version, place } => show(version, &place.open().await?).await,
            Command::History { place, json } => history(json, &place.open().await?).await,
            Command::Diff { file, version, place } => diff(file, version, &place.open().await?).await,
            Command::Example { name } => {
                let names = || EXAMPLES.map(|example| example.name).join(", ");
                let example = EXAMPLES.iter().find(|example| example.name == name);
                print!(
                    "{}",
                    example.ok_or_else(|| anyhow!("no example is called `{name}`; there are {}", names()))?.text
                );
                Ok(ExitCode::SUCCESS)
            }
            Command::Schema => {
                println!("{}", serde_json::to_string_pretty(&Policy::schema())?);
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn read(file: &PathBuf) -> anyhow::Result<(Policy, String)> {
    let name = file.display();
    let text = match file.to_str() {
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        }
        _ => std::fs::read_to_string(file),
    };
    let text = text.with_context(|| format!("cannot read `{name}`"))?;
    let policy = Policy::parse(&text).map_err(|error| anyhow!("`{name}`: {error}"))?;
    Ok((policy, text))
}

/// What can be used and is hardly meant.
fn warn(policy: &Policy) {
    if policy.operators.is_empty() {
        eprintln!("cordon: it names no operators: commands through the operator function will be refused to everybody");
    }
    if policy.break_glass.is_empty() {
        eprintln!(
            "cordon: it names no break-glass principal: on the worst day there may be none that is not contained"
        );
    }
}

async fn put(file: &PathBuf, because: String, deployment: &Deployment) -> anyhow::Result<ExitCode> {
    let (policy, text) = read(file)?;
    let newest = deployment.journal.policies(1).await?.into_iter().next();
    if newest.as_ref().is_some_and(|newest| newest.text.as_ref() == Some(&text)) {
        println!("version {} is this document already", newest.map_or(0, |newest| newest.version));
        return Ok(ExitCode::SUCCESS);
    }
    let last = newest.map_or(0, |newest| newest.version);
    let version = last.checked_add(1).with_context(|| format!("version {last} is the last that there can be"))?;
    let by = deployment.aws.identity().await?.arn.to_string();
    let at = Timestamp::from_millis(deployment.clock.now_millis());
    let put = PolicyVersion { version, text: Some(text), unreadable: None, by: by.clone(), at, because };
    if !deployment.journal.put_policy(&put).await? {
        bail!("somebody else has put version {version} just now: look at it with `cordon policy diff`, and put again");
    }
    println!("version {version} is in force with the next event; put by {by}");
    warn(&policy);
    Ok(ExitCode::SUCCESS)
}

async fn show(version: Option<u32>, deployment: &Deployment) -> anyhow::Result<ExitCode> {
    let found = deployment.journal.policies(if version.is_some() { MOST } else { 1 }).await?;
    match found.into_iter().find(|known| version.is_none_or(|version| known.version == version)) {
        Some(known) => print!("{}", whole(&known)?),
        None if version.is_some() => bail!("there is no such version; `cordon policy history` lists them"),
        None => println!(
            "# nobody has put a policy: the embedded default is in force, which `version: 1` alone is too\nversion: 1"
        ),
    }
    Ok(ExitCode::SUCCESS)
}

fn whole(version: &PolicyVersion) -> anyhow::Result<&str> {
    let text = version.text.as_deref();
    let why = || version.unreadable.as_deref().unwrap_or("it holds no text");
    text.with_context(|| format!("version {} cannot be read: {}", version.version, why()))
}

async fn history(as_json: bool, deployment: &Deployment) -> anyhow::Result<ExitCode> {
    for known in deployment.journal.policies(MOST).await? {
        let problem = match known.text.as_deref().map(Policy::parse) {
            Some(Ok(_)) => None,
            Some(Err(error)) => Some(error.to_string()),
            None => Some(known.unreadable.clone().unwrap_or_else(|| "it holds no text".to_owned())),
        };
        if as_json {
            println!(
                "{}",
                json!({"version": known.version, "at": known.at, "by": known.by, "because": known.because, "problem": problem})
            );
        } else {
            let problem = problem.map(|problem| format!("  BROKEN: {problem}")).unwrap_or_default();
            println!("{:>5}  {}  {}  {}{problem}", known.version, known.at, known.by, known.because);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn diff(file: Option<PathBuf>, version: Option<u32>, deployment: &Deployment) -> anyhow::Result<ExitCode> {
    let versions = deployment.journal.policies(MOST).await?;
    let named = |version: u32| versions.iter().find(|known| known.version == version);
    let old = match version {
        Some(version) => Some(named(version).with_context(|| format!("there is no version {version}"))?),
        None if file.is_some() => versions.first(),
        None => versions.get(1),
    };
    let (old_name, old_text) = match old {
        Some(known) => (format!("version {}", known.version), whole(known)?),
        None => ("nothing".to_owned(), ""),
    };
    let (new_name, new_text) = match file {
        Some(file) => (file.display().to_string(), read(&file)?.1),
        None => {
            let newest = versions.first().context("nobody has put a policy")?;
            (format!("version {}", newest.version), whole(newest)?.to_owned())
        }
    };
    let diff = TextDiff::from_lines(old_text, &new_text);
    print!("{}", diff.unified_diff().header(&old_name, &new_name));
    Ok(if old_text == new_text { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
