//! What the function answers and what it cost, and how both are said in a few words. Pure.

use serde::Deserialize;

use crate::rows::target_group;

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

/// A line of a list of steps.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub state: String,
    pub what: String,
    pub change: String,
}

/// Steps in few lines: those of one action that came to the same state may share one. `named` makes ids readable.
pub fn lines(steps: &[Step], named: impl Fn(&str) -> String) -> Vec<Line> {
    let mut groups: Vec<Vec<&Step>> = Vec::new();
    for step in steps {
        let together = groups.iter_mut().find(|group| {
            group.first().is_some_and(|first| (&first.action, state(first)) == (&step.action, state(step)))
                && plural(&step.action, &[]).is_some()
        });
        match together {
            Some(group) => group.push(step),
            None => groups.push(vec![step]),
        }
    }
    groups.iter().filter_map(|group| line(group, &named)).collect()
}

fn line(steps: &[&Step], named: impl Fn(&str) -> String) -> Option<Line> {
    let (first, others) = steps.split_first()?;
    let what = match others {
        [] => target(first),
        _ => plural(&first.action, steps)?,
    };
    let mut befores: Vec<&str> = steps.iter().map(|step| step.before.as_str()).collect();
    befores.dedup();
    let same = steps.iter().all(|step| step.after == first.after);
    let change = match befores.as_slice() {
        [before] if same => change(before, &first.after),
        befores if same => format!("{} → {}", befores.join("; "), first.after),
        _ => steps.iter().map(|step| change(&step.before, &step.after)).collect::<Vec<_>>().join("; "),
    };
    Some(Line { state: state(first).to_owned(), what, change: named(&change) })
}

/// Without its reasons.
fn state(step: &Step) -> &str {
    step.state.split(':').next().unwrap_or_default()
}

/// Only what becomes other, of a list with commas too: `tcp 60 s, udp 30 s` → `tcp 90 s, udp 30 s` is `tcp 60 → 90 s`.
fn change(before: &str, after: &str) -> String {
    let (befores, afters): (Vec<&str>, Vec<&str>) = (before.split(", ").collect(), after.split(", ").collect());
    if before == after {
        return after.to_owned();
    }
    if befores.len() == 1 || befores.len() != afters.len() {
        return format!("{before} → {after}");
    }
    let other = befores.iter().zip(&afters).filter(|(before, after)| before != after);
    other.map(|(before, after)| part(before, after)).collect::<Vec<_>>().join(", ")
}

fn part(before: &str, after: &str) -> String {
    let words: Vec<(&str, &str)> = before.split(' ').zip(after.split(' ')).collect();
    let as_many = before.split(' ').count() == after.split(' ').count();
    if !as_many || words.iter().filter(|(before, after)| before == after).count() + 1 != words.len() {
        return format!("{before} → {after}");
    }
    let word = |(before, after): (&str, &str)| {
        if before == after { after.to_owned() } else { format!("{before} → {after}") }
    };
    words.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Many targets of one action in few words; None where each is worth a line of its own.
fn plural(action: &str, steps: &[&Step]) -> Option<String> {
    const PROTECTION: &str = " protection";
    let count = steps.len();
    let names = |of: fn(&Step) -> &str| steps.iter().map(|step| of(step)).collect::<Vec<_>>();
    Some(match action {
        "ec2.interface.groups" => format!("groups of {count} interfaces"),
        "ec2.interface.connection-tracking" => format!("idle flows of {count} interfaces"),
        "ec2.volume.on-termination" => format!("{count} volumes"),
        "ec2.instance.attribute" => names(attribute).join(" + ").replace(&format!("{PROTECTION} + "), " + "),
        "elbv2.target.registration" => format!("targets {}", names(group).join(", ")),
        _ => return None,
    })
}

/// `termination protection` of `ACCOUNT/REGION/i-1 termination protection`.
fn attribute(step: &Step) -> &str {
    step.target.split_once(' ').map_or(step.target.as_str(), |(_, attribute)| attribute)
}

/// `web` of `arn:…:targetgroup/web/0123 i-1:80`.
fn group(step: &Step) -> &str {
    target_group(step.target.split(' ').next().unwrap_or_default())
}

/// A step's target without what is the same everywhere: account, region, VPC, unique ids.
fn target(step: &Step) -> String {
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
        ("ec2.instance.attribute", _) => attribute(step).to_owned(),
        ("ec2.interface.connection-tracking", _) => format!("idle flows of {last}"),
        ("ec2.volume.on-termination", _) => format!("volume {of}"),
        ("ec2.instance.snapshots", _) => format!("snapshots of {of}"),
        ("autoscaling.instance.lifecycle", _) => {
            format!("scaling group {}", parts.get(2).copied().unwrap_or_default())
        }
        ("elbv2.target.registration", _) => format!("target {of} of {}", group(step)),
        _ => last.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(action: &str, target: &str, before: &str, after: &str, state: &str) -> Step {
        let [action, target, before, after, state] = [action, target, before, after, state].map(str::to_owned);
        Step { action, target, before, after, state }
    }

    #[test]
    fn a_target_is_shown_without_what_is_the_same_everywhere() {
        for (action, long, short) in [
            ("ec2.interface.groups", "200000000001/us-east-1/vpc-1/eni-1", "eni-1"),
            ("ec2.interface.connection-tracking", "200000000001/us-east-1/eni-1", "idle flows of eni-1"),
            ("ec2.instance.tag", "200000000001/us-east-1/i-1", "tag of i-1"),
            ("ec2.instance.attribute", "200000000001/us-east-1/i-1 stop protection", "stop protection"),
            ("ec2.volume.on-termination", "200000000001/us-east-1/i-1//dev/sda1 vol-1", "volume vol-1"),
            ("ec2.instance.snapshots", "200000000001/us-east-1/i-1 vol-1 vol-2", "snapshots of vol-1 vol-2"),
            ("autoscaling.instance.lifecycle", "200000000001/us-east-1/web/i-1", "scaling group web"),
            ("elbv2.target.registration", "arn:aws:x:targetgroup/web/01 10.0.0.1:80", "target 10.0.0.1:80 of web"),
            ("iam.role.session-deny", "200000000001/web/AROA1:i-1", "role web session i-1"),
            (
                "iam.user.attachment",
                "200000000001/bob/AIDA1 arn:aws:iam::aws:policy/AWSDenyAll",
                "user bob: AWSDenyAll",
            ),
            ("iam.access-key.status", "200000000001/bob/AIDA1 key …0001 (ee4bc20f)", "user bob: key …0001"),
            ("new.kind", "odd", "odd"),
        ] {
            assert_eq!(target(&step(action, long, "", "", "")), short);
        }
    }

    #[test]
    fn steps_of_one_action_and_state_share_a_line() {
        let (groups, attribute) = ("ec2.interface.groups", "ec2.instance.attribute");
        let (tracking, targets) = ("ec2.interface.connection-tracking", "elbv2.target.registration");
        let (long, short) = ("tcp 432000 s, udp stream 180 s, udp 30 s", "tcp 60 s, udp stream 60 s, udp 30 s");
        let steps = [
            step(groups, "1/r/v/eni-1", "sg-1", "quarantine", "done"),
            step(groups, "1/r/v/eni-2", "sg-1+sg-2", "quarantine", "done"),
            step(groups, "1/r/v/eni-3", "sg-1", "quarantine", "failed: denied"),
            step(attribute, "1/r/i-1 termination protection", "off", "on", "done"),
            step(attribute, "1/r/i-1 stop protection", "off", "on", "done"),
            step(attribute, "1/r/i-1 shutdown behaviour", "stop", "stop", "already so"),
            step(tracking, "1/r/eni-1", long, short, "done"),
            step(tracking, "1/r/eni-2", long, short, "done"),
            step(targets, "arn:x:targetgroup/a/01 i-1:80", "registered", "deregistered", "done"),
            step(targets, "arn:x:targetgroup/b/02 i-1:80", "registered", "deregistered", "done"),
            step("iam.access-key.status", "1/bob/AIDA1 key …1", "Active", "Inactive", "done"),
            step("iam.access-key.status", "1/bob/AIDA1 key …2", "Active", "Inactive", "done"),
        ];
        let shown = |line: Line| format!("{} | {} | {}", line.state, line.what, line.change);
        let named = |text: &str| text.replace("sg-", "group ");
        assert_eq!(
            lines(&steps, named).into_iter().map(shown).collect::<Vec<_>>(),
            [
                "done | groups of 2 interfaces | group 1; group 1+group 2 → quarantine",
                "failed | eni-3 | group 1 → quarantine",
                "done | termination + stop protection | off → on",
                "already so | shutdown behaviour | stop",
                "done | idle flows of 2 interfaces | tcp 432000 → 60 s, udp stream 180 → 60 s",
                "done | targets a, b | registered → deregistered",
                "done | user bob: key …1 | Active → Inactive",
                "done | user bob: key …2 | Active → Inactive",
            ]
        );
    }

    #[test]
    fn of_a_change_only_what_is_other_is_said() {
        for (before, after, said) in [
            ("off", "on", "off → on"),
            ("stop", "stop", "stop"),
            ("tcp 2 s, udp 3 s", "tcp 1 s, udp 3 s", "tcp 2 → 1 s"),
            ("a b, c", "a b, d", "c → d"),
            ("a b, c", "x y, c", "a b → x y"),
            ("a, b", "c", "a, b → c"),
        ] {
            assert_eq!(change(before, after), said);
        }
    }
}
