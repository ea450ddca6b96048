//! The rules that records are held against, ours and those of a folder, and what has to be counted before they speak. Loaded with the
//! first record that needs them: a GuardDuty finding waits for no rule.

use crate::{
    aws::AwsError,
    decision::Sensed,
    detect::{Detector, Identified, OURS, RuleError, alarmed, changed, evaluated, leaked, scanned},
    domain::{Finding, Timestamp},
    ingest::{Compliance, Evaluation, Ingested},
    journal::{JournalError, Tallies},
    triage::Context,
};
use futures::{
    FutureExt,
    future::{BoxFuture, ready},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// Rule files of a folder; more are no rules for one function.
const MOST_FILES: usize = 2_000;

pub struct Watch {
    /// CORDON_RULES.
    folder: Option<PathBuf>,
    detector: OnceLock<Detector>,
}

impl Watch {
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, detector: OnceLock::new() }
    }

    pub fn detector(&self) -> &Detector {
        self.detector.get_or_init(|| load(self.folder.as_deref()))
    }

    /// What was skipped because it is no rule; nothing as long as no record has asked for rules.
    pub fn errors(&self) -> &[RuleError] {
        self.detector.get().map(|detector| detector.errors.as_slice()).unwrap_or_default()
    }

    /// Brings an event to a finding, or to its end.
    ///
    /// # Errors
    /// Where what must be known beside the event cannot be read, and a repeat can help.
    pub async fn sense(
        &self,
        ingested: Ingested,
        tallies: &dyn Tallies,
        sources: &dyn RuleSources,
    ) -> Result<Sensed, SenseError> {
        let finding = match ingested {
            Ingested::Ended(outcome) => return Ok(Err(outcome)),
            Ingested::Finding(finding) => Ok(finding),
            Ingested::Record(record) => {
                let sighting = self.detector().look(&record);
                let counted = sighting.tallies().into_iter().map(|tally| tallies.tally(tally));
                let counted = futures::future::try_join_all(counted).await?;
                sighting.conclude(&counted)
            }
            // What complies is no finding, whatever rule says so.
            Ingested::Evaluation(evaluation) if evaluation.now != Compliance::NonCompliant => {
                evaluated(&evaluation, Identified::ByNameOnly)
            }
            Ingested::Evaluation(evaluation) => match sources.identifier(&evaluation).await? {
                Some(identifier) => evaluated(&evaluation, Identified::As(&identifier)),
                None => evaluated(&evaluation, Identified::ByNameOnly),
            },
            Ingested::Change(change) => changed(&change),
            Ingested::Alarm(alarm) => alarmed(&alarm),
            Ingested::Health(health) => leaked(&health),
            Ingested::Scan(scan) => scanned(&scan),
        };
        Ok(finding.map(|finding| (finding, Context::default())))
    }
}

/// What an event means could not be found out yet.
#[derive(Debug, thiserror::Error)]
pub enum SenseError {
    #[error("cannot count it: {0}")]
    Journal(#[from] JournalError),
    #[error("cannot find out which rule of AWS Config it is: {0}")]
    Aws(#[from] AwsError),
}

/// Who knows what the rules of AWS Config are behind their names.
pub trait RuleSources: Sync {
    /// The source identifier; `None` where nobody can be asked, or the rule is gone.
    fn identifier<'a>(&'a self, evaluation: &'a Evaluation) -> BoxFuture<'a, Result<Option<String>, AwsError>>;
}

/// Nobody can be asked.
pub struct NamesOnly;

impl RuleSources for NamesOnly {
    fn identifier<'a>(&'a self, _: &'a Evaluation) -> BoxFuture<'a, Result<Option<String>, AwsError>> {
        ready(Ok(None)).boxed()
    }
}

/// The time at which a finding was news.
pub fn own_time(finding: &Finding) -> Timestamp {
    finding.updated.or(finding.last_seen).or(finding.created).unwrap_or(Timestamp::from_millis(0))
}

fn load(folder: Option<&Path>) -> Detector {
    let (files, error) = match folder.map(read_folder) {
        None => (Vec::new(), None),
        Some(Ok(files)) => (files, None),
        Some(Err(error)) => (Vec::new(), Some(error)),
    };
    let ours = OURS.iter().map(|(file, text)| (*file, *text, true));
    let others = files.iter().map(|(file, text)| (file.as_str(), text.as_str(), false));
    let mut detector = Detector::of(ours.chain(others));
    if let Some(error) = error {
        let file = folder.map(|folder| folder.display().to_string()).unwrap_or_default();
        detector.errors.push(RuleError { file, line: 0, problem: format!("the folder cannot be read: {error}") });
    }
    for error in &detector.errors {
        tracing::error!(%error, "skipped, it is no rule");
    }
    detector
}

/// Names and texts of the rule files of a folder and those below it; tests beside rules are none.
///
/// # Errors
/// Where the folder or a file cannot be read.
pub fn read_folder(folder: &Path) -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut paths =
            fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
        paths.sort();
        for path in paths {
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if (name.ends_with(".yml") || name.ends_with(".yaml"))
                && !name.contains(".test.")
                && found.len() < MOST_FILES
            {
                found.push((name, String::from_utf8_lossy(&fs::read(&path)?).into_owned()));
            }
        }
    }
    Ok(found)
}
