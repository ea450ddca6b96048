//! A property test of the pure part: two workers, an operator and an attacker, crashes and lost answers, in a hundred thousand random
//! orders. The journal, the account and the clock are models; courses, tasks and transitions are the real ones.

use super::{Answer, Asked, Course, Looks, Next, Owed, Sight, State, next};
use crate::{
    actions::{AnyChange, Change, InstanceTag, Seen, Side, TagValue},
    domain::{AccountId, IncidentId, InstanceId, Region, Target, Timestamp},
    journal::Containment,
};

const HISTORIES: u64 = 100_000;
const THINGS: usize = 2;
/// Of virtual time, in milliseconds.
const LEASE: i64 = 4_000;
const END: i64 = 60_000;

/// xorshift64*: the same histories every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}

/// What a thing's tag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Before,
    After,
    Strange,
}

impl Value {
    fn tag(self) -> TagValue {
        TagValue(match self {
            Self::Before => None,
            Self::After => Some("ours".to_owned()),
            Self::Strange => Some("strange".to_owned()),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    Contain,
    Release,
}

/// Where a worker stands; what it knows is gone when it dies.
#[derive(Debug)]
enum At {
    Idle,
    /// Has claimed and surveyed: what it saw.
    Planned {
        course: Course,
        seen: [Value; THINGS],
    },
    /// Its plan is journalled.
    Acting {
        course: Course,
    },
    /// It has sent these, and not heard.
    Sent {
        course: Course,
        due: Vec<usize>,
    },
}

struct Worker {
    job: Job,
    at: At,
    fence: u64,
    held_until: i64,
    /// Whether each thing was contained by its last look that came to something.
    saw: [Option<bool>; THINGS],
}

struct Model {
    dice: Dice,
    now: i64,
    account: [Value; THINGS],
    /// What it was when the journal first took it in.
    first: [Option<Value>; THINGS],
    /// Whether a stranger has set it since.
    strangers: [bool; THINGS],
    journal: Option<Containment>,
    lease: (u64, i64),
    fences: u64,
    incident: IncidentId,
    target: Target,
    log: Vec<String>,
}

fn change(n: usize, before: Value) -> AnyChange {
    let id = if n == 0 { "i-0000000a" } else { "i-0000000b" };
    let target = InstanceTag {
        account: AccountId::parse("111122223333").unwrap(),
        region: Region::parse("us-east-1").unwrap(),
        instance: InstanceId::parse(id).unwrap(),
    };
    Change { target, before: before.tag(), after: Value::After.tag() }.into()
}

/// The value that a side of the change stands for.
fn value_of(change: &AnyChange, side: Side) -> Value {
    let AnyChange::InstanceTag(change) = change else { panic!("another action") };
    let tag = if side == Side::After { &change.after } else { &change.before };
    [Value::Before, Value::After, Value::Strange].into_iter().find(|value| value.tag() == *tag).unwrap()
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        // One of them may have been so before.
        let first = if dice.roll(8) == 0 { Value::After } else { Value::Before };
        Self {
            dice,
            now: 1_000,
            account: [first, Value::Before],
            first: [None; THINGS],
            strangers: [false; THINGS],
            journal: None,
            lease: (0, 0),
            fences: 0,
            incident: IncidentId::parse("amber-otter-k7m2q").unwrap(),
            target: Target::Instance {
                account: AccountId::parse("111122223333").unwrap(),
                region: Region::parse("us-east-1").unwrap(),
                id: InstanceId::parse("i-0000000a").unwrap(),
                profile_hint: None,
                vpc_hint: None,
            },
            log: Vec::new(),
        }
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn seen(&self, course: &Course, n: usize) -> Seen {
        let now = self.account[n].tag();
        let (known, _) = &course.work[n];
        let AnyChange::InstanceTag(known) = known else { panic!("another action") };
        let after = known.after == now;
        Seen { before: known.before == now, after, ours: after, shown: now.to_string() }
    }

    /// Fenced, and extends the lease.
    fn write(&mut self, worker: &mut Worker, course: &Course) -> bool {
        if self.lease.0 != worker.fence {
            return false;
        }
        self.lease.1 = self.now + LEASE;
        worker.held_until = self.lease.1;
        self.journal = Some(course.containment());
        true
    }

    fn step(&mut self, worker: &mut Worker) {
        match std::mem::replace(&mut worker.at, At::Idle) {
            At::Idle => self.claim(worker),
            At::Planned { course, seen } => self.plan(worker, course, seen),
            At::Acting { course } => self.act(worker, course),
            At::Sent { course, due } => self.hear(worker, course, due),
        }
    }

    fn claim(&mut self, worker: &mut Worker) {
        if self.lease.1 > self.now {
            return;
        }
        self.fences += 1;
        worker.fence = self.fences;
        self.lease = (worker.fence, self.now + LEASE);
        worker.held_until = self.lease.1;
        let known = self.journal.clone();
        match worker.job {
            Job::Contain => {
                // A recheck: it never holds again what was let go.
                if known.as_ref().is_some_and(|known| known.released.is_some()) {
                    self.lease.1 = self.now;
                    return;
                }
                let course = Course::of(&self.target, &self.incident, known.map(Box::new), Looks::Again);
                worker.at = At::Planned { course, seen: self.account };
            }
            Job::Release => {
                let Some(known) = known else {
                    self.lease.1 = self.now;
                    return;
                };
                let mut course = Course::resume(known);
                course.let_go(&self.incident.clone(), self.time());
                let sights = (0..course.work.len()).map(|n| Sight::Seen(self.seen(&course, n))).collect();
                let others = vec![None; course.work.len()];
                course.release(sights, others, |_| None, Asked::No).unwrap();
                worker.at = if self.write(worker, &course) { At::Acting { course } } else { At::Idle };
            }
        }
    }

    fn plan(&mut self, worker: &mut Worker, mut course: Course, seen: [Value; THINGS]) {
        let fresh: Vec<AnyChange> = (0..THINGS).map(|n| change(n, seen[n])).collect();
        course.renew(fresh.iter().map(|change| (0, change)), self.time(), None).unwrap();
        course.add(fresh.iter().map(|change| (0, change.clone())));
        worker.saw = seen.map(|value| Some(value == Value::After));
        if self.write(worker, &course) {
            for n in (0..THINGS).filter(|n| self.first[*n].is_none()).collect::<Vec<_>>() {
                self.first[n] = Some(seen[n]);
                // Between survey and journal he may have come again.
                self.strangers[n] = self.account[n] != seen[n];
            }
            worker.at = At::Acting { course };
        }
    }

    fn act(&mut self, worker: &mut Worker, mut course: Course) {
        match next(&course.tasks()) {
            Next::Rest => {
                // INVARIANT 6: what is said to be done was seen so by the last read that came.
                for n in (0..THINGS).filter(|n| course.work.get(*n).is_some_and(|(_, task)| task.state == State::Done))
                {
                    assert!(worker.job == Job::Release || worker.saw[n] == Some(true), "{n}: {:#?}", self.log);
                }
                if self.write(worker, &course) {
                    self.lease.1 = self.now;
                }
            }
            Next::Apply(due) => {
                if worker.held_until <= self.now {
                    return;
                }
                for n in &due {
                    self.apply(worker, &course, *n);
                }
                worker.at = At::Sent { course, due };
            }
            Next::Read(due) => {
                for n in due {
                    let sight = match self.dice.roll(12) {
                        0 => Sight::Unreadable { why: "throttled".to_owned() },
                        _ => Sight::Seen(self.seen(&course, n)),
                    };
                    let was = sight.clone();
                    course.work[n].1.saw(sight).unwrap();
                    // INVARIANT 6.
                    let state = &course.work[n].1.state;
                    if let Sight::Seen(seen) = was {
                        worker.saw[n] = Some(seen.after);
                        assert!(*state != State::Done || seen.after, "{:#?}", self.log);
                        assert!(*state != State::Undone || seen.before, "{:#?}", self.log);
                    }
                }
                if self.write(worker, &course) {
                    worker.at = At::Acting { course };
                }
            }
        }
    }

    fn apply(&mut self, worker: &Worker, course: &Course, n: usize) {
        let (known, task) = &course.work[n];
        let side = task.side();
        // INVARIANT 1: the journal holds this step, and what was there before is nothing of ours.
        let journalled = self.journal.as_ref().and_then(|journal| journal.steps.get(n)).expect("not journalled");
        assert_eq!(journalled.change, *known, "{:#?}", self.log);
        assert_eq!(Some(value_of(&journalled.change, Side::Before)), self.first[n], "{:#?}", self.log);
        // INVARIANT 3: only a release puts back.
        assert!(side == Side::After || worker.job == Job::Release, "{:#?}", self.log);
        self.log.push(format!("{} {:?} sets {n} to {side:?}", self.now, worker.job));
        // Refused, lost on the way, or done.
        if self.dice.roll(10) < 8 {
            self.account[n] = value_of(known, side);
            self.strangers[n] = false;
        }
    }

    fn hear(&mut self, worker: &mut Worker, mut course: Course, due: Vec<usize>) {
        for n in due {
            let answer = match self.dice.roll(10) {
                0 => Answer::Unclear { why: "timeout".to_owned() },
                1 => Answer::Refused { why: "denied".to_owned() },
                _ => Answer::Accepted,
            };
            course.work[n].1.answered(answer).unwrap();
            assert_eq!(course.work[n].1.owed, Owed::Read, "whatever was answered, the account is read");
        }
        worker.at = At::Acting { course };
    }

    fn attack(&mut self) {
        let n = usize::from(self.dice.roll(2) == 1);
        let value = if self.dice.roll(3) == 0 { Value::Strange } else { Value::Before };
        if self.account[n] != value {
            self.log.push(format!("{} somebody sets {n} to {value:?}", self.now));
            self.account[n] = value;
            self.strangers[n] = true;
        }
    }

    /// Nobody interferes any more: runs one worker to the end of its work.
    fn settle(&mut self, job: Job) {
        self.now += LEASE + 3_600_000;
        let mut worker = Worker { job, at: At::Idle, fence: 0, held_until: 0, saw: [None; THINGS] };
        self.step(&mut worker);
        for _ in 0..100 {
            if matches!(worker.at, At::Idle) {
                return;
            }
            self.now += 10;
            self.step(&mut worker);
        }
        panic!("it never ends: {:#?}", self.log);
    }
}

fn history(seed: u64) {
    let mut model = Model::new(seed);
    let mut workers = [Job::Contain, Job::Contain].map(|job| Worker {
        job,
        at: At::Idle,
        fence: 0,
        held_until: 0,
        saw: [None; THINGS],
    });
    let releases = model.dice.roll(4) == 0;
    while model.now < END {
        model.now += i64::try_from(model.dice.roll(1_500)).unwrap();
        match model.dice.roll(10) {
            0 => model.attack(),
            1 => {
                // It dies; what it has sent has happened or not.
                let n = usize::from(model.dice.roll(2) == 1);
                model.log.push(format!("{} worker {n} dies", model.now));
                workers[n].at = At::Idle;
            }
            2 if releases && model.now > END / 2 && matches!(workers[1].at, At::Idle) => workers[1].job = Job::Release,
            roll => {
                let n = usize::from(roll % 2 == 0);
                model.step(&mut workers[n]);
            }
        }
    }
    let released = model.journal.as_ref().is_some_and(|journal| journal.released.is_some());
    if !released {
        // Calls are not lost any more: the dice say otherwise now and then, so it is looked at as often as the sweep would.
        for _ in 0..20 {
            model.settle(Job::Contain);
        }
        for (n, step) in model.journal.as_ref().unwrap().steps.iter().enumerate() {
            let done = matches!(step.state, State::Done | State::Already);
            assert!(
                done && model.account[n] == Value::After,
                "{n} {:?} {:?}: {:#?}",
                step.state,
                model.account,
                model.log
            );
        }
    }
    // What a stranger set after all that is his; the rest goes back.
    model.attack();
    let (strange, values) = (model.strangers, model.account);
    for _ in 0..20 {
        model.settle(Job::Release);
    }
    // INVARIANT 7.
    for n in 0..THINGS {
        let expected = if strange[n] { values[n] } else { model.first[n].expect("it was never journalled") };
        let found = model.account[n];
        assert!(found == expected, "{seed} {n}: {found:?}, not {expected:?}: {:#?}", model.log);
    }
}

#[test]
fn whatever_the_order_nothing_is_lost_and_nothing_undone_that_is_not_ours() {
    let halves =
        [0, 1].map(|half| std::thread::spawn(move || (0..HISTORIES).filter(|seed| seed % 2 == half).for_each(history)));
    for half in halves {
        half.join().unwrap();
    }
}
