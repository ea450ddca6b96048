//! What events of files are judged by: the same for `replay`, `explain` and `shadow`.

use crate::{
    decision::{Decision, Sensed, decide},
    domain::Timestamp,
    ingest::{self, Piece},
    journal::MemoryTallies,
    policy::{Mode, Policy, Rules},
    settings::read_policy,
    watch::{NamesOnly, SenseError, Watch, own_time},
};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Judging {
    /// The ceiling, as CORDON_MODE would set it
    #[arg(long, value_enum, default_value_t = Ceiling::Contain)]
    mode: Ceiling,
    /// A policy document instead of the embedded default
    #[arg(long, env = "CORDON_POLICY")]
    policy: Option<PathBuf>,
    /// A folder of further Sigma rules
    #[arg(long, env = "CORDON_RULES")]
    rules: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Ceiling {
    Observe,
    Approve,
    Contain,
}

pub struct Judges {
    pub policy: Policy,
    pub watch: Watch,
    pub ceiling: Mode,
    rules: Rules,
    tallies: MemoryTallies,
}

impl Judging {
    /// # Errors
    /// Where the policy is none.
    pub fn judges(&self) -> anyhow::Result<Judges> {
        let policy = match &self.policy {
            Some(path) => read_policy(&path.to_string_lossy()).map_err(anyhow::Error::msg)?,
            None => Policy::default(),
        };
        let ceiling = match self.mode {
            Ceiling::Observe => Mode::Observe,
            Ceiling::Approve => Mode::Approve,
            Ceiling::Contain => Mode::Contain,
        };
        let (watch, tallies) = (Watch::new(self.rules.clone()), MemoryTallies::default());
        Ok(Judges { rules: Rules::of(policy.clone()), policy, watch, ceiling, tallies })
    }
}

impl Judges {
    /// What comes often is counted from one piece to the next.
    ///
    /// # Errors
    /// None that can happen here.
    pub async fn sense(&self, piece: &Piece) -> Result<Sensed, SenseError> {
        self.watch.sense(ingest::replayed(piece), &self.tallies, &NamesOnly).await
    }

    /// Its age is judged at that moment; else at the time at which it was news.
    pub fn decide(&self, sensed: Sensed, now: Option<Timestamp>) -> (Decision, Timestamp) {
        let own = || sensed.as_ref().map_or(Timestamp::from_millis(0), |(finding, _)| own_time(finding));
        let now = now.unwrap_or_else(own);
        (decide(sensed, &self.rules, self.ceiling, now), now)
    }
}
