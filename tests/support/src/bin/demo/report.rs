//! What the function answers and what it cost, and how both are said in a few words. Pure.

use serde::Deserialize;

/// A report, as far as it is shown.
#[derive(Debug, Deserialize)]
pub struct Report {
    pub incident: Option<String>,
    pub outcome: Outcome,
    pub finding_type: String,
    pub title: String,
    pub remote: Vec<String>,
    pub decision: Vec<Reason>,
    pub plan: Option<String>,
    pub steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
pub struct Outcome {
    pub kind: String,
    pub reasons: Vec<Reason>,
}

#[derive(Debug, Deserialize)]
pub struct Reason {
    pub code: String,
    pub text: String,
}

#[derive(Debug, Deserialize)]
pub struct Step {
    pub action: String,
    pub target: String,
    pub before: String,
    pub after: String,
    pub state: String,
}

/// What one event, recheck or command cost, as the proxy saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    pub calls: usize,
    /// Calls that change something outside of Cordon's own table, queue and topic.
    pub changes: usize,
    pub mails: usize,
    pub rounds: usize,
    /// The round of the last call that takes something from the attacker.
    pub cut: Option<usize>,
}

/// Rounds until the cut, and all that was called.
pub fn cost(report: &Report, figures: Figures) -> String {
    let Figures { calls, changes, mails, rounds, cut } = figures;
    if calls == 0 {
        return "no call to AWS".to_owned();
    }
    let network = report.steps.iter().any(|step| step.action == "ec2.interface.groups");
    let what = if network { "off the network" } else { "cut off" };
    let cut = cut.map(|round| format!("{what} in round {round}; ")).unwrap_or_default();
    let many = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    format!(
        "{cut}{} in {}, {}, {}",
        many(calls, "call"),
        many(rounds, "round"),
        many(changes, "change"),
        many(mails, "mail")
    )
}

/// A step's target without what is the same everywhere: account, region, VPC, unique ids.
pub fn target(step: &Step) -> String {
    let (path, of) = step.target.split_once(' ').unwrap_or((&step.target, ""));
    let parts: Vec<&str> = path.split('/').collect();
    let last = parts.last().copied().unwrap_or_default();
    match (step.action.as_str(), parts.get(1)) {
        ("iam.role.session-deny", Some(role)) => {
            format!("role {role} session {}", last.rsplit(':').next().unwrap_or_default())
        }
        ("iam.user.attachment", Some(user)) => format!("user {user}: {}", of.rsplit('/').next().unwrap_or_default()),
        ("iam.access-key.status", Some(user)) => format!("user {user}: {}", of.split(" (").next().unwrap_or_default()),
        ("ec2.instance.tag", _) => format!("tag of {last}"),
        _ => last.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_shown_without_what_is_the_same_everywhere() {
        for (action, long, short) in [
            ("ec2.interface.groups", "200000000001/us-east-1/vpc-1/eni-1", "eni-1"),
            ("ec2.instance.tag", "200000000001/us-east-1/i-1", "tag of i-1"),
            ("iam.role.session-deny", "200000000001/web/AROA1:i-1", "role web session i-1"),
            (
                "iam.user.attachment",
                "200000000001/bob/AIDA1 arn:aws:iam::aws:policy/AWSDenyAll",
                "user bob: AWSDenyAll",
            ),
            ("iam.access-key.status", "200000000001/bob/AIDA1 key …0001 (ee4bc20f)", "user bob: key …0001"),
            ("new.kind", "odd", "odd"),
        ] {
            let step = Step {
                action: action.to_owned(),
                target: long.to_owned(),
                before: String::new(),
                after: String::new(),
                state: String::new(),
            };
            assert_eq!(target(&step), short);
        }
    }
}
