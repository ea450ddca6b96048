//! The loop: ask the machine, do it all at once, journal what was learnt.

use super::{
    Answer, Course, Illegal, Next, Sight, State, next,
    shared::{self, Whose},
};
use crate::{
    actions::{AnyChange, Seen, Side},
    aws::{Aws, AwsError},
    clock::Clock,
    domain::{GroupId, InterfaceId, Text, Timestamp},
    journal::{Containment, Journal, JournalError, LEASE, Lease},
};
use futures::future::join_all;
use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

/// What journal and notification need of an invocation; nothing is begun with less left.
const RESERVE: Duration = Duration::from_secs(5);

/// EC2 and IAM answer reads from copies that lag behind; a second look waits this long, a third twice.
const READ_AGAIN: Duration = Duration::from_millis(400);

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Illegal(#[from] Illegal),
    #[error("the invocation has no time left for another stage")]
    Deadline,
}

/// Everything that working on one target needs.
pub struct Worker<'a> {
    pub aws: &'a Aws,
    pub journal: &'a dyn Journal,
    pub lease: Lease,
    pub clock: &'a Clock,
    /// When the invocation ends; `None` where nothing ends it.
    pub deadline: Option<Timestamp>,
    may: May,
    /// In milliseconds.
    held_until: AtomicI64,
}

/// What a worker may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    Tighten,
    PutBack,
}

/// Of a lease, what a change needs at least.
const ENOUGH: Duration = Duration::from_millis(1_500);

impl<'a> Worker<'a> {
    /// `since` is when the lease was taken.
    pub fn new(
        aws: &'a Aws,
        journal: &'a dyn Journal,
        clock: &'a Clock,
        lease: Lease,
        since: Timestamp,
        deadline: Option<Timestamp>,
        may: May,
    ) -> Self {
        Self { aws, journal, lease, clock, deadline, may, held_until: AtomicI64::new(since.plus(LEASE).millis()) }
    }

    /// Journals every `before`; nothing is applied before this has been answered.
    pub async fn write(&self, course: &Course) -> Result<(), EngineError> {
        self.write_down(&course.containment()).await
    }

    /// The same of a course as it was.
    pub async fn write_down(&self, containment: &Containment) -> Result<(), EngineError> {
        let now = self.now();
        let (written, shared) = futures::join!(
            self.journal.write(&self.lease, containment, now),
            shared::enter(self.journal, &self.lease.target, containment)
        );
        written?;
        self.held_until.store(now.plus(LEASE).millis(), Ordering::Relaxed);
        Ok(shared?)
    }

    /// Takes over what was so already because the containment of another target had made it so.
    pub async fn adopt(&self, course: &mut Course) -> Result<(), EngineError> {
        let already =
            (0..).zip(course.steps()).filter(|(_, (change, task))| change.is_shared() && task.state == State::Already);
        let already: Vec<(usize, AnyChange)> = already.map(|(n, (change, _))| (n, change.clone())).collect();
        for (n, change) in already {
            if let Some(other) = shared::elsewhere(self.journal, &self.lease.target, &change, Whose::Before).await? {
                course.note(self.now(), format!("{}: is held for {} too", change.shown().key(), other.target));
                course.adopt(n, &other.change);
            }
        }
        Ok(())
    }

    /// Of each step, by whom else its thing is held.
    pub async fn others(&self, course: &Course) -> Result<Vec<Option<String>>, EngineError> {
        let one = async |change: &AnyChange| match change.is_shared() {
            true => shared::elsewhere(self.journal, &self.lease.target, change, Whose::Hold).await,
            false => Ok(None),
        };
        let held = join_all(course.steps().map(|(change, _)| one(change))).await;
        let why = |other: shared::Elsewhere| {
            format!("it is held for {} too, and goes back when that is released", other.target)
        };
        held.into_iter().map(|other| Ok(other?.map(why))).collect()
    }

    /// Forgets what is no longer held.
    pub async fn leave(&self, course: &Course) -> Result<(), EngineError> {
        for (change, task) in course.steps() {
            if change.is_shared() && task.state.is_over() {
                self.journal.unshare(&change.shown().key(), &self.lease.target).await?;
            }
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now_millis())
    }

    /// What is to be changed first, all at once; empty where nothing is. It must be journalled before it is sent.
    pub fn due(&self, course: &Course) -> Vec<usize> {
        match next(&course.tasks()) {
            Next::Apply(due) => due,
            Next::Read(_) | Next::Rest => Vec::new(),
        }
    }

    /// One round. What came of it is for [`Self::learn`].
    pub async fn send(&self, course: &Course, due: &[usize]) -> Vec<Result<(), AwsError>> {
        // A call that outlives the lease could land on what another worker, or a release, has set meanwhile.
        let left = self.lease_left();
        let apply = |n: &usize| course.work.get(*n).map(|(change, task)| self.apply(change, task.side(), left));
        join_all(due.iter().filter_map(apply)).await
    }

    async fn apply(&self, change: &AnyChange, side: Side, left: Duration) -> Result<(), AwsError> {
        const OPERATION: &str = "change";
        // INVARIANT: only a release puts back.
        if side == Side::Before && self.may == May::Tighten {
            return Err(AwsError::incomplete(OPERATION, "only a release puts back"));
        }
        let late =
            |_| AwsError::Ambiguous { operation: OPERATION, message: Text::new("no answer before the lease ends") };
        tokio::time::timeout(left, change.apply(self.aws, side)).await.map_err(late)?
    }

    fn lease_left(&self) -> Duration {
        let left = self.held_until.load(Ordering::Relaxed) - self.now().millis();
        Duration::from_millis(u64::try_from(left).unwrap_or_default())
    }

    /// The lease as it must be before anything is sent: extended where little of it is left.
    pub async fn hold(&self, course: &Course) -> Result<(), EngineError> {
        match self.lease_left() < ENOUGH {
            true => self.write(course).await,
            false => Ok(()),
        }
    }

    /// What is there now of these steps.
    pub async fn look_at(&self, course: &Course, these: &[usize]) -> Vec<Sight> {
        let read = |n: &usize| course.work.get(*n).map(|(change, _)| change.read(self.aws));
        join_all(these.iter().filter_map(read)).await.into_iter().map(sight).collect()
    }

    /// Takes in the answers, in the order of `due`.
    pub fn learn(&self, course: &mut Course, due: &[usize], answers: Vec<Result<(), AwsError>>) -> Result<(), Illegal> {
        for (n, answer) in due.iter().zip(answers) {
            let Some((change, task)) = course.work.get_mut(*n) else { continue };
            let shown = change.shown();
            let answer = match answer {
                Ok(()) => Answer::Accepted,
                Err(error) => {
                    tracing::warn!(step = shown.action, target = shown.target, %error, "change was not taken");
                    match error.is_passing() {
                        true => Answer::Unclear { why: error.to_string() },
                        false => Answer::Refused { why: error.to_string() },
                    }
                }
            };
            let text = match &answer {
                Answer::Accepted => format!("{}: sent", shown.key()),
                Answer::Unclear { why } | Answer::Refused { why } => format!("{}: {why}", shown.key()),
            };
            task.answered(answer)?;
            course.note(self.now(), text);
        }
        Ok(())
    }

    /// Lets interfaces that are in quarantine pass the open group. Returns those that did; of the others the timeline says why.
    pub async fn pass(&self, course: &mut Course, through: &[(InterfaceId, GroupId)]) -> Vec<InterfaceId> {
        let held = course.steps().filter(|(_, task)| task.state == State::Done);
        let interfaces: Vec<_> = held
            .filter_map(|(change, _)| match change {
                AnyChange::InterfaceGroups(change) => {
                    let open = through.iter().find(|(interface, _)| *interface == change.target.interface);
                    open.map(|(_, open)| (change.target.clone(), open.clone()))
                }
                _ => None,
            })
            .collect();
        let now = self.now();
        let passes = join_all(interfaces.iter().map(|(interface, open)| interface.pass(self.aws, open))).await;
        let mut passed = Vec::new();
        for ((target, open), result) in interfaces.into_iter().zip(passes) {
            match result {
                Ok(()) => {
                    course.note(now, format!("{}: opened by {open} for a moment", target.interface));
                    course.note(self.now(), format!("{}: back in quarantine", target.interface));
                    passed.push(target.interface);
                }
                Err(error) => {
                    tracing::warn!(interface = %target.interface, %error, "passage failed");
                    course
                        .note(self.now(), format!("{}: the passage through {open} failed: {error}", target.interface));
                }
            }
        }
        passed
    }

    /// Goes on until nothing is owed, and keeps what was learnt.
    pub async fn finish(&self, course: &mut Course) -> Result<(), EngineError> {
        self.finish_through(course, u8::MAX).await
    }

    /// The same for the stages up to the last one.
    pub async fn finish_through(&self, course: &mut Course, last: u8) -> Result<(), EngineError> {
        let mut looks = 0;
        loop {
            if let Some(end) = self.deadline
                && end < self.now().plus(RESERVE)
            {
                self.write(course).await?;
                return Err(EngineError::Deadline);
            }
            let tasks: Vec<_> = course.tasks().into_iter().map(|task| task.beyond(last)).collect();
            match next(&tasks) {
                Next::Rest => return self.write(course).await,
                Next::Apply(due) => {
                    self.hold(course).await?;
                    let answers = self.send(course, &due).await;
                    self.learn(course, &due, answers)?;
                    looks = 0;
                }
                Next::Read(due) => {
                    tokio::time::sleep(READ_AGAIN * looks).await;
                    looks += 1;
                    self.read_these(course, &due).await?;
                    // More is to come, so what was learnt is kept and the lease extended; else the end does it.
                    if next(&course.tasks()) != Next::Rest {
                        self.write(course).await?;
                    }
                }
            }
        }
    }

    /// What is there now of every step.
    pub async fn look(&self, course: &Course) -> Vec<Sight> {
        self.aws.quarantine.forget();
        let reads = course.steps().map(|(change, _)| change.read(self.aws));
        join_all(reads).await.into_iter().map(sight).collect()
    }

    async fn read_these(&self, course: &mut Course, due: &[usize]) -> Result<(), EngineError> {
        self.aws.quarantine.forget();
        let sights = {
            let read = |n: &usize| course.work.get(*n).map(|(change, _)| change.read(self.aws));
            join_all(due.iter().filter_map(read)).await
        };
        for (n, sight) in due.iter().zip(sights) {
            let Some((change, task)) = course.work.get_mut(*n) else { continue };
            task.saw(self::sight(sight))?;
            if task.state == State::Done {
                task.seen = Some(self.now());
            }
            let (shown, state) = (change.shown(), task.state.to_string());
            tracing::info!(step = shown.action, target = shown.target, state, "read back");
            course.note(self.now(), format!("{}: {state}", shown.key()));
        }
        Ok(())
    }
}

/// Only a read says that a target is gone.
fn sight(read: Result<Seen, AwsError>) -> Sight {
    match read {
        Ok(seen) => Sight::Seen(seen),
        Err(AwsError::NotFound { .. }) => Sight::Gone,
        Err(error) => Sight::Unreadable { why: error.to_string() },
    }
}
