//! The events of the demo, and what must come of each.

use crate::report::{Figures, Report};
use crate::stage::Whom;

/// One event, and what must come of it.
pub struct Scene {
    pub says: &'static str,
    pub sample: &'static str,
    pub event: Event,
    pub outcome: &'static str,
    /// A code among the reasons of decision and outcome.
    pub because: &'static str,
    pub changes: Changes,
    pub cut: Cut,
}

#[derive(Clone, Copy)]
pub enum Event {
    /// That of the dry run.
    DryRun,
    Fresh(Whom),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    No,
    Some,
}

/// How many rounds it may take until the attacker has nothing left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    No,
    InRound(usize),
    /// After what others left was looked at, or the whole plan made anew; nobody promises a round.
    Some,
}

pub const DRY_RUN: Scene = Scene {
    says: "An instance talks to a command and control server. In mode observe Cordon only plans.",
    sample: "instance-c2-network",
    event: Event::DryRun,
    outcome: "Observed",
    because: "ceiling",
    changes: Changes::No,
    cut: Cut::No,
};

pub const ATTACKED: Scene = Scene {
    says: "The instance is attacked; that is no reason to take it off the network.",
    sample: "brute-force-inbound",
    event: Event::Fresh(Whom::Victim),
    outcome: "Observed",
    because: "attacked-only",
    changes: Changes::No,
    cut: Cut::No,
};

pub const INSTANCE: Scene = Scene {
    says: "The event of the dry run, now in earnest.",
    sample: "instance-c2-network",
    event: Event::DryRun,
    outcome: "Contained",
    because: "family-means-compromised",
    changes: Changes::Some,
    cut: Cut::InRound(3),
};

pub const NOTHING_NEW: [Scene; 2] = [
    Scene {
        says: "EventBridge delivers at least once: the same event again.",
        sample: "instance-c2-network",
        event: Event::DryRun,
        outcome: "Joined",
        because: "nothing-new",
        changes: Changes::No,
        cut: Cut::No,
    },
    Scene {
        says: "Another finding about this instance. It is contained already, and now for two reasons.",
        sample: "instance-mining",
        event: Event::Fresh(Whom::Victim),
        outcome: "Joined",
        because: "nothing-new",
        changes: Changes::No,
        cut: Cut::No,
    },
];

/// What comes of the recheck, after the function was killed.
pub const KILLED: Scene = Scene {
    says: "An access key of a user copies data from a network where it was never seen. In the middle of it the function dies.",
    sample: "key-used-from-outside",
    event: Event::Fresh(Whom::Victim),
    outcome: "Contained",
    because: "credentials-misused",
    changes: Changes::Some,
    cut: Cut::Some,
};

pub const DENIED_ALREADY: Scene = Scene {
    says: "Credentials of the contained instance turn up outside AWS. They are denied already; from now on two incidents hold that deny.",
    sample: "role-session-exfiltrated",
    event: Event::Fresh(Whom::Victim),
    outcome: "Contained",
    because: "credentials-misused",
    changes: Changes::No,
    cut: Cut::No,
};

pub const WAITS: Scene = Scene {
    says: "A second instance resolves a bad name, which any stranger can make it do, and others depend on it: a person decides.",
    sample: "instance-c2-dns",
    event: Event::Fresh(Whom::Second),
    outcome: "AwaitingApproval",
    because: "only-healthy-target",
    changes: Changes::No,
    cut: Cut::No,
};

/// What comes of the recheck, after somebody approved.
pub const APPROVED: Scene = Scene {
    says: "The person has looked and approves; the plan that was shown is carried out, and no other.",
    sample: "instance-c2-dns",
    event: Event::Fresh(Whom::Second),
    outcome: "Contained",
    because: "dns-evidence",
    changes: Changes::Some,
    cut: Cut::Some,
};

impl Scene {
    /// Whatever did not come as it must.
    pub fn unexpected(&self, report: &Report, figures: Figures) -> Vec<String> {
        let mut unexpected = Vec::new();
        let outcome = &report.outcome.kind;
        if outcome != self.outcome {
            unexpected.push(format!("the outcome is {outcome}, not {}", self.outcome));
        }
        let codes: Vec<&str> =
            report.decision.iter().chain(&report.outcome.reasons).map(|reason| reason.code.as_str()).collect();
        if !codes.contains(&self.because) {
            unexpected.push(format!("the reasons are {}, and `{}` is none of them", codes.join(", "), self.because));
        }
        let changes = if figures.changes == 0 { Changes::No } else { Changes::Some };
        if changes != self.changes {
            unexpected.push(format!("there were {} changes, not {}", figures.changes, self.changes.shown()));
        }
        let in_time = match self.cut {
            Cut::No => figures.cut.is_none(),
            Cut::InRound(round) => figures.cut == Some(round),
            Cut::Some => figures.cut.is_some(),
        };
        if !in_time {
            unexpected.push(format!("the round of the cut is {:?}, not {:?}", figures.cut, self.cut));
        }
        unexpected
    }
}

impl Changes {
    fn shown(self) -> &'static str {
        match self {
            Changes::No => "none",
            Changes::Some => "some",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Outcome, Reason};

    fn report(kind: &str, code: &str) -> Report {
        let reason = Reason { code: code.to_owned(), text: String::new() };
        Report {
            incident: None,
            outcome: Outcome { kind: kind.to_owned(), reasons: vec![reason] },
            finding_type: String::new(),
            title: String::new(),
            remote: Vec::new(),
            decision: Vec::new(),
            plan: None,
            steps: Vec::new(),
        }
    }

    #[test]
    fn each_departure_from_a_scene_is_found() {
        let right = Figures { calls: 9, changes: 3, mails: 1, rounds: 5, cut: Some(3) };
        let (kind, code) = (INSTANCE.outcome, INSTANCE.because);
        assert_eq!(INSTANCE.unexpected(&report(kind, code), right), Vec::<String>::new());
        for (kind, code, figures) in [
            ("Observed", code, right),
            (kind, "sample", right),
            (kind, code, Figures { changes: 0, ..right }),
            (kind, code, Figures { cut: Some(4), ..right }),
            (kind, code, Figures { cut: None, ..right }),
        ] {
            assert_eq!(INSTANCE.unexpected(&report(kind, code), figures).len(), 1, "{kind} {code} {figures:?}");
        }
    }
}
