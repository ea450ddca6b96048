//! `cordon rules`: which rules there are, what one says, and whether rules do as their tests say.

use crate::{
    detect::{DERIVED, Detector, Rule, check},
    watch::{Watch, read_folder},
};
use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cordon rules list
  cordon rules show trail-stopped
  cordon rules fields
  cordon rules test ./my-rules          each rule needs records in which it fires and records in which it keeps quiet

Exit codes: 0 all is well, 1 a rule is broken or does not do as its test says, 2 wrong usage.")]
pub struct Rules {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All rules, those of a folder too
    List {
        /// A folder of further rules
        #[arg(long, env = "CORDON_RULES")]
        rules: Option<PathBuf>,
        #[arg(long)]
        json: bool,
    },
    /// One rule, whole
    Show {
        id: String,
        #[arg(long, env = "CORDON_RULES")]
        rules: Option<PathBuf>,
    },
    /// What rules can ask of a record beyond its own members
    Fields,
    /// Hold the rules of a folder against the tests beside them (NAME.test.yml)
    Test { folder: PathBuf },
}

impl Rules {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::List { rules, json } => list(rules, json),
            Command::Show { id, rules } => show(&id, rules),
            Command::Fields => {
                for (field, says) in DERIVED {
                    println!("{field:<30} {says}");
                }
                Ok(ExitCode::SUCCESS)
            }
            Command::Test { folder } => test(&folder),
        }
    }
}

fn list(folder: Option<PathBuf>, as_json: bool) -> anyhow::Result<ExitCode> {
    let watch = Watch::new(folder);
    let detector = watch.detector();
    let mut rules: Vec<&Rule> = detector.rules().iter().collect();
    rules.sort_by_key(|rule| {
        (rule.meta.cordon.situation, std::cmp::Reverse(rule.meta.level.severity()), rule.meta.id.clone())
    });
    for rule in rules {
        let meta = &rule.meta;
        if as_json {
            println!("{}", json!({"is_ours": rule.is_ours, "rule": meta}));
        } else {
            let level = meta.level.severity().to_string();
            println!("{:<40} {level:<13} {:<26} {}", meta.id, meta.cordon.situation.to_string(), meta.title);
        }
    }
    for error in &detector.errors {
        eprintln!("skipped: {error}");
    }
    Ok(if detector.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(id: &str, folder: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let watch = Watch::new(folder);
    let Some(rule) = watch.detector().rules().iter().find(|rule| rule.meta.id == id) else {
        anyhow::bail!("there is no rule `{id}`; `cordon rules list` shows all");
    };
    println!("{}", rule.text.trim_end());
    Ok(ExitCode::SUCCESS)
}

fn test(folder: &Path) -> anyhow::Result<ExitCode> {
    let files = read_folder(folder).with_context(|| format!("cannot read folder `{}`", folder.display()))?;
    let detector = Detector::of(files.iter().map(|(file, text)| (file.as_str(), text.as_str(), false)));
    let mut tests = Vec::new();
    for (file, _) in &files {
        let (name, end) = file.rsplit_once('.').unwrap_or((file, "yml"));
        let beside = PathBuf::from(format!("{name}.test.{end}"));
        if beside.exists() {
            let text =
                std::fs::read_to_string(&beside).with_context(|| format!("cannot read `{}`", beside.display()))?;
            tests.push((beside.to_string_lossy().into_owned(), text));
        }
    }
    let checked = check(&detector, tests.iter().map(|(file, text)| (file.as_str(), text.as_str())));
    for wrong in &checked.wrong {
        println!("WRONG  {wrong}");
    }
    let tried: usize = checked.tried.values().sum();
    println!("{} rules, {tried} records, {} wrong", detector.rules().len(), checked.wrong.len());
    Ok(if checked.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
