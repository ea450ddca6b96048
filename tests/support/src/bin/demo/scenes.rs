//! The events of the demo, and what must come of each.

use crate::stage::{Figures, Group, Report, Whom};

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
    /// The group of the VPC has to be made first.
    AfterTheGroup,
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

pub const ALL: [Scene; 8] = [
    Scene {
        says: "Somebody lets GuardDuty generate sample findings.",
        sample: "sample-finding",
        event: Event::Fresh(Whom::Victim),
        outcome: "Ignored",
        because: "sample",
        changes: Changes::No,
        cut: Cut::No,
    },
    Scene {
        says: "The instance is attacked; that is no reason to take it off the network.",
        sample: "brute-force-inbound",
        event: Event::Fresh(Whom::Victim),
        outcome: "Observed",
        because: "attacked-only",
        changes: Changes::No,
        cut: Cut::No,
    },
    Scene {
        says: "The event of the dry run, now in earnest.",
        sample: "instance-c2-network",
        event: Event::DryRun,
        outcome: "Contained",
        because: "family-means-compromised",
        changes: Changes::Some,
        cut: Cut::AfterTheGroup,
    },
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
        says: "An access key of a user copies data from a network where it was never seen.",
        sample: "key-used-from-outside",
        event: Event::Fresh(Whom::Victim),
        outcome: "Contained",
        because: "credentials-misused",
        changes: Changes::Some,
        cut: Cut::InRound(2),
    },
    Scene {
        says: "Credentials of the contained instance turn up outside AWS. They are denied already.",
        sample: "role-session-exfiltrated",
        event: Event::Fresh(Whom::Victim),
        outcome: "Contained",
        because: "credentials-misused",
        changes: Changes::No,
        cut: Cut::No,
    },
    Scene {
        says: "A second instance resolves a bad name, which any stranger can make it do: a person decides.",
        sample: "instance-c2-dns",
        event: Event::Fresh(Whom::Second),
        outcome: "AwaitingApproval",
        because: "dns-evidence",
        changes: Changes::No,
        cut: Cut::No,
    },
    Scene {
        says: "A finding of a type that this version does not know: told, never guessed at.",
        sample: "unknown-type",
        event: Event::Fresh(Whom::Victim),
        outcome: "Observed",
        because: "no-playbook",
        changes: Changes::No,
        cut: Cut::No,
    },
];

pub const SECOND: Scene = Scene {
    says: "The second instance, a bystander so far, now talks to such a server itself.",
    sample: "instance-c2-network",
    event: Event::Fresh(Whom::Second),
    outcome: "Contained",
    because: "family-means-compromised",
    changes: Changes::Some,
    cut: Cut::InRound(2),
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
        let (in_time, group) = match self.cut {
            Cut::No => (figures.cut.is_none(), Group::NotMade),
            Cut::InRound(round) => (figures.cut == Some(round), Group::NotMade),
            Cut::AfterTheGroup => (figures.cut.is_some_and(|round| round > 2), Group::Made),
        };
        if !in_time {
            unexpected.push(format!("the round of the cut is {:?}, not {:?}", figures.cut, self.cut));
        }
        if figures.group != group {
            unexpected.push(format!("the group of the VPC is {:?}, not {group:?}", figures.group));
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
    use crate::stage::{Outcome, Reason};

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
        let right = Figures { calls: 9, changes: 3, mails: 1, rounds: 5, cut: Some(2), group: Group::NotMade };
        let (kind, code) = (SECOND.outcome, SECOND.because);
        assert_eq!(SECOND.unexpected(&report(kind, code), right), Vec::<String>::new());
        for (kind, code, figures) in [
            ("Observed", code, right),
            (kind, "sample", right),
            (kind, code, Figures { changes: 0, ..right }),
            (kind, code, Figures { cut: Some(3), ..right }),
            (kind, code, Figures { cut: None, ..right }),
            (kind, code, Figures { group: Group::Made, ..right }),
        ] {
            assert_eq!(SECOND.unexpected(&report(kind, code), figures).len(), 1, "{kind} {code} {figures:?}");
        }
    }
}
