//! Which rules are in force: the newest policy of the table that can be read, else the last good one. Must not decide about findings.

use crate::{
    domain::{Timestamp, fingerprint},
    journal::{Journal, JournalError, PolicyVersion, Standing},
    policy::{Mode, Pause, Policy, Rules, Trouble},
};
use std::sync::{Arc, Mutex, PoisonError};

/// So many versions back a good one is looked for.
const MOST_BACK: usize = 20;

pub struct RuleBook {
    /// A policy of a file, which the table does not change.
    fixed: Option<Policy>,
    journal: Arc<dyn Journal>,
    known: Mutex<Option<Known>>,
}

#[derive(Clone)]
struct Known {
    rules: Arc<Rules>,
    /// The last policy that could be read from the table, and its version.
    good: Option<(u32, Policy)>,
    /// Of the newest version when it was parsed.
    text: Option<String>,
}

impl RuleBook {
    pub fn new(fixed: Option<Policy>, journal: Arc<dyn Journal>) -> Self {
        Self { fixed, journal, known: Mutex::default() }
    }

    /// What held when it was read last; before that what would hold if nobody had put anything. To be held against what is read, before
    /// anything is changed by it.
    pub fn last(&self) -> Arc<Rules> {
        let known = self.known().map(|known| known.rules);
        known.unwrap_or_else(|| Arc::new(self.fixed.clone().map(Rules::of).unwrap_or_default()))
    }

    /// # Errors
    /// Only where a repeat can help. What is denied or broken is in the rules themselves, as trouble.
    pub async fn read(&self) -> Result<Arc<Rules>, JournalError> {
        let before = self.known();
        let (rules, good, text) = match self.journal.standing().await {
            Ok(standing) => self.judge(standing, before.as_ref()).await?,
            Err(JournalError::Aws(error)) if error.is_passing() => {
                // Whoever must go on without an answer goes on blind where nothing is known.
                if before.is_none() && self.fixed.is_none() {
                    let what = format!("the policy could not be read yet: {error}");
                    let trouble = Trouble { about: "unread".to_owned(), what, at_most: Mode::Approve };
                    let rules = Arc::new(Rules { is_blind: true, trouble: Some(trouble), ..Rules::default() });
                    self.know(Known { rules, good: None, text: None });
                }
                return Err(error.into());
            }
            Err(error) => {
                let what = format!("the policy cannot be read, so nothing is contained unattended: {error}");
                let trouble = Trouble { about: "unreadable".to_owned(), what, at_most: Mode::Approve };
                let good = before.as_ref().and_then(|known| known.good.clone());
                let rules = match (&good, &self.fixed) {
                    (_, Some(fixed)) => Rules::of(fixed.clone()),
                    (Some((version, policy)), None) => Rules { version: Some(*version), ..Rules::of(policy.clone()) },
                    (None, None) => Rules { is_blind: true, ..Rules::default() },
                };
                (Rules { trouble: Some(trouble), ..rules }, good, None)
            }
        };
        let rules = match before {
            // The same allocation, so that who holds it sees that nothing has changed.
            Some(known) if *known.rules == rules => known.rules,
            _ => Arc::new(rules),
        };
        self.know(Known { rules: rules.clone(), good, text });
        Ok(rules)
    }

    fn know(&self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    fn known(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn judge(
        &self,
        standing: Standing,
        before: Option<&Known>,
    ) -> Result<(Rules, Option<(u32, Policy)>, Option<String>), JournalError> {
        let (pause, pause_trouble) = pause(standing.pause);
        let (mut rules, good, text) = match (&self.fixed, standing.newest) {
            (Some(fixed), _) => (Rules::of(fixed.clone()), None, None),
            // INVARIANT: once one was put, the embedded default does not come back by itself: versions are never deleted, and the function
            // could not.
            (None, None) => (Rules::default(), None, None),
            (None, Some(newest)) => self.of_table(newest, before).await?,
        };
        rules.pause = pause;
        rules.trouble = match (rules.trouble, pause_trouble) {
            (Some(one), Some(other)) => Some(one.and(other)),
            (one, other) => one.or(other),
        };
        Ok((rules, good, text))
    }

    async fn of_table(
        &self,
        newest: PolicyVersion,
        before: Option<&Known>,
    ) -> Result<(Rules, Option<(u32, Policy)>, Option<String>), JournalError> {
        let PolicyVersion { version, text, unreadable, .. } = newest;
        // Parsed once, not with every claim.
        if let Some(Known { good: Some((known, policy)), text: parsed, .. }) = before
            && *known == version
            && text.is_some()
            && *parsed == text
        {
            let rules = Rules { version: Some(version), ..Rules::of(policy.clone()) };
            return Ok((rules, Some((version, policy.clone())), text));
        }
        let problem = match parse(text.as_deref(), unreadable) {
            Ok(policy) => {
                let rules = Rules { version: Some(version), ..Rules::of(policy.clone()) };
                return Ok((rules, Some((version, policy)), text));
            }
            Err(problem) => problem,
        };
        let about = format!("version {version} {}", fingerprint(text.as_deref().unwrap_or(&problem)));
        // INVARIANT: a broken policy leaves the last good one in force: the one that was seen last, else the newest of the history.
        if let Some((good, policy)) = before.and_then(|known| known.good.clone()) {
            let what = format!("policy version {version} is broken ({problem}); version {good} stays in force");
            let trouble = Trouble { about, what, at_most: Mode::Contain };
            let rules = Rules { version: Some(good), trouble: Some(trouble), ..Rules::of(policy.clone()) };
            return Ok((rules, Some((good, policy)), None));
        }
        for older in self.journal.policies(MOST_BACK).await? {
            if let Ok(policy) = parse(older.text.as_deref(), None) {
                let good = older.version;
                let what = format!("policy version {version} is broken ({problem}); version {good} stays in force");
                let trouble = Trouble { about, what, at_most: Mode::Contain };
                let rules = Rules { version: Some(good), trouble: Some(trouble), ..Rules::of(policy.clone()) };
                return Ok((rules, Some((good, policy)), None));
            }
        }
        let what = format!(
            "policy version {version} is broken ({problem}), and so are all before it: nothing new is contained or asked about until one is put"
        );
        let trouble = Trouble { about, what, at_most: Mode::Observe };
        Ok((Rules { is_blind: true, trouble: Some(trouble), ..Rules::default() }, None, None))
    }
}

fn parse(text: Option<&str>, unreadable: Option<String>) -> Result<Policy, String> {
    let text = text.ok_or_else(|| unreadable.unwrap_or_else(|| "the item holds no text".to_owned()))?;
    Policy::parse(text).map_err(|error| error.to_string())
}

/// A pause that cannot be read is not taken for none.
fn pause(stored: Option<Result<Pause, String>>) -> (Option<Pause>, Option<Trouble>) {
    match stored {
        None => (None, None),
        Some(Ok(pause)) => (Some(pause), None),
        Some(Err(problem)) => {
            let what = format!(
                "the pause switch cannot be read ({problem}), so nothing is contained unattended: `cordon resume` writes it anew"
            );
            (None, Some(Trouble { about: format!("pause {problem}"), what, at_most: Mode::Approve }))
        }
    }
}

/// Who is told of trouble is told once a day, as long as it lasts.
pub fn trouble_mark(trouble: &Trouble, now: Timestamp) -> String {
    format!("trouble#{}#{}", fingerprint(&trouble.about), now.millis().div_euclid(24 * 60 * 60 * 1_000))
}
