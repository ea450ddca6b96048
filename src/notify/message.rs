//! A mail that a tired person understands in ten seconds: what happened, what was done, what is still open, how to undo it.
//! Pure: made of the report alone.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::domain::{OutcomeKind, Report, Severity, StepReport, TOO_OFTEN, Text, Timestamp};
use crate::{playbooks::ROOT_USED, policy::Pause};
use std::{collections::BTreeMap, fmt::Write};

/// SNS: a subject has fewer than 100 characters, no line breaks; mail wants ASCII.
const MOST_SUBJECT: usize = 99;
/// SNS: 256 KiB a message; far less is read.
const MOST_BODY: usize = 60_000;
/// Of a digest.
const MOST_LINES: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    pub subject: String,
    pub body: String,
    /// Message attributes to filter by; no value is empty.
    pub attributes: BTreeMap<&'static str, String>,
}

impl Notification {
    pub fn of(report: &Report) -> Self {
        Self { subject: subject(report), body: body(report), attributes: attributes(report) }
    }

    /// What was seen in an hour since 1970, and told nobody.
    pub fn digest_of(hour: i64, counts: &BTreeMap<String, u64>) -> Self {
        let from = Timestamp::from_millis(hour.saturating_mul(3_600_000));
        let events: u64 = counts.values().sum();
        let mut text = String::new();
        line(
            &mut text,
            &format!("Observed from {from} for an hour, as routine: {events} events. Nothing was changed."),
        );
        text.push('\n');
        let mut by_count: Vec<(&String, &u64)> = counts.iter().collect();
        by_count.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
        for (what, times) in by_count.iter().take(MOST_LINES) {
            line(&mut text, &format!("  {times:>6}  {what}"));
        }
        if by_count.len() > MOST_LINES {
            line(&mut text, &format!("  … and {} more kinds", by_count.len() - MOST_LINES));
        }
        Self {
            subject: format!("[Cordon] digest: {events} events observed, nothing changed"),
            body: text,
            attributes: BTreeMap::from([("outcome", "Observed".to_owned()), ("urgency", "digest".to_owned())]),
        }
    }

    /// Something is wrong with the rules by which Cordon acts.
    pub fn of_trouble(what: &str) -> Self {
        let body = format!(
            "{what}\n\nWhat is held already is looked after as before. Look at it with `cordon policy show` and `cordon policy history`,\nand put one that is whole with `cordon policy put FILE`.\n"
        );
        Self {
            subject: "[Cordon] its policy needs a person".to_owned(),
            body,
            attributes: BTreeMap::from([("outcome", "PolicyTrouble".to_owned()), ("urgency", "page".to_owned())]),
        }
    }

    /// Whether sensors are on is not known.
    pub fn of_unread(what: &str) -> Self {
        let body = format!("{what}\n\nThe other kinds are compared as before. It is told once a day.\n");
        let attributes = BTreeMap::from([("outcome", "SensorTrouble".to_owned()), ("urgency", "notice".to_owned())]);
        Self { subject: "[Cordon] cannot see whether sensors are on".to_owned(), body, attributes }
    }

    /// An address is blocked for longer than the policy means it to be.
    pub fn of_expired(target: &str, incident: &str, hours: u32) -> Self {
        let body = format!(
            "{target} is blocked for more than {hours} hours. Whoever has the address now is shut out too.\n\nTake it off again with\n  cordon release {incident}\n"
        );
        let attributes = BTreeMap::from([("outcome", "Expired".to_owned()), ("urgency", "notice".to_owned())]);
        Self { subject: format!("[Cordon] still blocked: incident {incident}"), body, attributes }
    }

    /// Rules that were skipped because they are none.
    pub fn of_broken_rules(errors: &[String]) -> Self {
        let mut body =
            "These rules for CloudTrail's records are broken and were skipped; all others hold.\n\n".to_owned();
        for error in errors.iter().take(MOST_LINES) {
            // Writing into a string does not fail.
            let _ = writeln!(body, "  {}", Text::new(error));
        }
        body.push_str("\nMend them, and try them with `cordon rules test FOLDER`.\n");
        let attributes = BTreeMap::from([("outcome", "RuleTrouble".to_owned()), ("urgency", "page".to_owned())]);
        Self { subject: "[Cordon] some of its rules are broken".to_owned(), body, attributes }
    }

    pub fn of_pause(pause: &Pause) -> Self {
        let (subject, what) = match &pause.resumed_by {
            Some(by) => ("[Cordon] goes on", format!("The pause is over before its time, by {by}.")),
            None => (
                "[Cordon] PAUSED: nothing new is contained unattended",
                format!("Paused by {} until {}: {}", pause.by, pause.end(), pause.because),
            ),
        };
        let body = format!(
            "{what}\n\nWhile it is paused, people are asked about all that would be contained. What is held or half done is looked after\nas before. End it with `cordon resume`.\n"
        );
        let attributes = BTreeMap::from([("outcome", "Pause".to_owned()), ("urgency", "page".to_owned())]);
        Self { subject: subject.to_owned(), body, attributes }
    }
}

fn subject(report: &Report) -> String {
    let severity = report.severity.map(|s| format!(" {s}")).unwrap_or_default();
    // The unique ids in brackets are for the body.
    let target = report.target.as_deref().and_then(|target| target.split(" (").next());
    let what = target.unwrap_or(report.finding_type.as_str());
    let text = format!("[Cordon]{severity} {}: {what} in {}", verdict(report.outcome.kind), report.account);
    text.chars()
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .take(MOST_SUBJECT)
        .collect::<String>()
        .trim_end()
        .to_owned()
}

fn verdict(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Contained => "CONTAINED",
        OutcomeKind::PartiallyContained => "ONLY PARTLY CONTAINED",
        OutcomeKind::NotContained => "NOT CONTAINED",
        OutcomeKind::AwaitingApproval => "WAITS FOR APPROVAL",
        OutcomeKind::Observed => "observed, nothing changed",
        OutcomeKind::Declined => "DECLINED, nothing changed",
        OutcomeKind::Joined => "joined",
        OutcomeKind::Ignored => "ignored",
        OutcomeKind::Released => "released",
        OutcomeKind::PartiallyReleased => "ONLY PARTLY RELEASED",
    }
}

fn body(report: &Report) -> String {
    let mut text = String::new();
    let target = report.target.as_deref().unwrap_or("no target");
    line(&mut text, &format!("{}: {target}", verdict(report.outcome.kind)));
    for reason in &report.outcome.reasons {
        line(&mut text, &format!("  {reason}"));
    }

    if let (Some(incident), true) = (&report.incident, report.is_waiting()) {
        heading(&mut text, "WHAT YOU DECIDE");
        line(&mut text, &format!("  cordon approve {incident}"));
        line(&mut text, &format!("  cordon reject {incident} --because '…'"));
    }

    heading(&mut text, "WHAT HAPPENED");
    let severity = report.severity.map(|s| format!("{s}  ")).unwrap_or_default();
    line(&mut text, &format!("  {severity}{}", report.finding_type));
    line(&mut text, &format!("  {}", report.title));
    if !report.description.as_str().is_empty() && report.description != report.title {
        line(&mut text, &format!("  {}", report.description));
    }
    line(&mut text, &format!("  account {}  region {}", report.account, report.region));
    for about in &report.scope {
        line(&mut text, &format!("  about {about}"));
    }
    if !report.remote.is_empty() {
        let remote: Vec<&str> = report.remote.iter().map(|r| r.as_str()).collect();
        line(&mut text, &format!("  other side: {}", remote.join(", ")));
    }
    if let Some(seen) = report.seen {
        line(&mut text, &format!("  last seen {seen}"));
    }

    let acted = matches!(
        report.outcome.kind,
        OutcomeKind::Contained | OutcomeKind::PartiallyContained | OutcomeKind::NotContained
    );
    if !report.steps.is_empty() {
        let went_back = matches!(report.outcome.kind, OutcomeKind::Released | OutcomeKind::PartiallyReleased);
        heading(
            &mut text,
            match (acted, went_back) {
                (true, _) => "WHAT WAS DONE",
                (_, true) => "WHAT WENT BACK, AND WHAT STAYS",
                _ => "WHAT WOULD BE DONE (nothing was changed)",
            },
        );
        for step in &report.steps {
            line(&mut text, &format!("  {}", step_line(step)));
        }
    }

    let (open, unseen): (Vec<_>, Vec<_>) = report.residual.iter().partition(|risk| risk.way.is_open());
    if !report.residual.is_empty() {
        heading(&mut text, if acted { "WHAT IS STILL OPEN" } else { "WHAT WOULD STAY OPEN" });
        for risk in open {
            line(&mut text, &format!("  OPEN: {}", risk.text));
        }
        for risk in unseen {
            line(&mut text, &format!("  {}", risk.text));
        }
    }

    let mut done: Vec<&StepReport> = report.steps.iter().filter(|step| step.state == "done").collect();
    done.sort_by_key(|step| step.undo_order);
    if acted && !done.is_empty() {
        heading(&mut text, "HOW TO UNDO IT (after the incident is understood)");
        if let Some(command) = &report.release {
            line(&mut text, &format!("  {command}"));
            line(&mut text, "  or by hand:");
        }
        for step in done {
            match step.undo.starts_with("aws ") {
                true => line(&mut text, &format!("  {}", step.undo)),
                false => line(&mut text, &format!("  {} {}: {}", step.action, step.target, step.undo)),
            }
        }
    }

    if let (Some(incident), false) = (&report.incident, report.offers.is_empty()) {
        heading(&mut text, "WHAT MORE CAN BE DONE (only if you say so)");
        for offer in &report.offers {
            line(&mut text, &format!("  cordon approve {incident} --with {}", offer.name));
            line(&mut text, &format!("    {}", offer.why));
        }
    }

    if let Some(found) = &report.investigation {
        heading(&mut text, "WHAT HE DID BEFORE (by CloudTrail, whose last minutes come late)");
        for said in found.lines() {
            line(&mut text, &format!("  {said}"));
        }
        for command in &found.suggests {
            line(&mut text, &format!("    {command}"));
        }
    }

    if !report.advice.is_empty() {
        heading(&mut text, "WHAT TO DO NEXT (nobody has run these)");
        for (why, command) in &report.advice {
            line(&mut text, &format!("  {why}:"));
            line(&mut text, &format!("    {command}"));
        }
    }

    heading(&mut text, "WHY");
    for reason in &report.decision {
        line(&mut text, &format!("  {reason}"));
    }
    for gap in &report.gaps {
        line(&mut text, &format!("  not readable in the event: {gap}"));
    }
    if let Some(incident) = &report.incident {
        heading(&mut text, &format!("incident {incident}"));
    }
    if let Some(plan) = &report.plan {
        line(&mut text, &format!("plan {plan}"));
    }
    cut(text, report)
}

fn step_line(step: &StepReport) -> String {
    format!("[{}] {step}", step.state)
}

fn heading(text: &mut String, title: &str) {
    text.push('\n');
    line(text, title);
}

fn line(text: &mut String, content: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{content}");
}

fn cut(mut text: String, report: &Report) -> String {
    if text.len() > MOST_BODY {
        let end = (0..=MOST_BODY).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        let rest = report.incident.as_ref().map_or_else(String::new, |id| format!("; `cordon show {id}` has the rest"));
        let _ = write!(text, "\n… cut here{rest}\n");
    }
    text
}

fn attributes(report: &Report) -> BTreeMap<&'static str, String> {
    let severity = report.severity.map(|severity| severity.to_string());
    let all = [
        ("outcome", Some(report.outcome.kind.to_string())),
        ("severity", severity),
        ("situation", report.situation.clone()),
        ("playbook", report.playbook.clone()),
        ("account", Some(report.account.to_string())),
        ("region", Some(report.region.to_string())),
        ("incident", report.incident.as_ref().map(ToString::to_string)),
        ("urgency", Some(urgency(report).to_owned())),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value.filter(|v| !v.is_empty())?))).collect()
}

/// `page` wakes somebody.
fn urgency(report: &Report) -> &'static str {
    let severe = report.severity >= Some(Severity::High);
    let needs_a_person = !matches!(
        report.outcome.kind,
        OutcomeKind::Observed | OutcomeKind::Ignored | OutcomeKind::Joined | OutcomeKind::Released
    );
    let own = report
        .outcome
        .reasons
        .iter()
        .any(|reason| matches!(reason.code.as_ref(), "own-principal" | "break-glass" | ROOT_USED | TOO_OFTEN));
    // What is Critical and contained by nobody, a person must act upon.
    let left_to_people = report.outcome.kind == OutcomeKind::Observed
        && report.severity == Some(Severity::Critical)
        && report.steps.is_empty();
    if own || left_to_people || (severe && needs_a_person) { "page" } else { "notice" }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::{IncidentId, Outcome, Reason, ResidualRisk, Text, WAITS, Way};

    pub fn report(kind: OutcomeKind) -> Report {
        Report {
            incident: Some(IncidentId::parse("amber-otter-k7m2q").unwrap()),
            finding_type: Text::new("Backdoor:EC2/C&CActivity.B"),
            title: Text::new("EC2 instance talks to\nhttps://evil.example"),
            severity: Some(Severity::High),
            account: Text::new("111122223333"),
            region: Text::new("us-east-1"),
            situation: Some("compromised-instance".into()),
            playbook: Some("compromised-instance".into()),
            target: Some("instance i-0a1b2c3d (111122223333, us-east-1)".into()),
            steps: vec![StepReport {
                stage: 0,
                action: "ec2.interface.groups".into(),
                target: "eni-0000000a".into(),
                before: "sg-0000000a".into(),
                after: "quarantine".into(),
                state: "done".into(),
                undo: "aws ec2 modify-network-interface-attribute …".into(),
                undo_order: 0,
            }],
            residual: vec![
                ResidualRisk { way: Way::Unseen, text: "DNS goes on".into() },
                ResidualRisk { way: Way::Open, text: "interface eni-2 is managed".into() },
            ],
            decision: vec![Reason::new("severity", "severity 8 is High")],
            ..Report::without_finding(Outcome::new(kind, Vec::new()))
        }
    }

    #[test]
    fn what_is_too_long_for_sns_is_cut_with_a_hint_and_says_the_first_things_first() {
        let mut long = report(OutcomeKind::PartiallyContained);
        let risk = |n: usize| ResidualRisk { way: Way::Open, text: format!("interface ø{n} is managed") };
        long.residual = (0..5_000).map(risk).collect();
        let body = Notification::of(&long).body;
        assert!((MOST_BODY..MOST_BODY + 200).contains(&body.len()), "{}", body.len());
        assert!(body.starts_with("ONLY PARTLY CONTAINED: instance i-0a1b2c3d"), "{}", body.lines().next().unwrap());
        assert!(body.ends_with("\n… cut here; `cordon show amber-otter-k7m2q` has the rest\n"), "the hint is missing");
        // As long as it may be, it is whole.
        let fits = cut("x".repeat(MOST_BODY), &long);
        assert_eq!(fits.len(), MOST_BODY);
        assert!(cut("x".repeat(MOST_BODY + 1), &long).contains("… cut here"));
    }

    #[test]
    fn the_mail_says_first_what_came_of_it_and_then_the_rest_in_order() {
        let body = Notification::of(&report(OutcomeKind::PartiallyContained)).body;
        let at = |text: &str| body.find(text).unwrap_or_else(|| panic!("{text} is missing in\n{body}"));
        assert_eq!(at("ONLY PARTLY CONTAINED: instance i-0a1b2c3d"), 0);
        let order = [
            "WHAT HAPPENED",
            "WHAT WAS DONE",
            "[done] ec2.interface.groups eni-0000000a: sg-0000000a -> quarantine",
            "WHAT IS STILL OPEN",
            "OPEN: interface",
            "DNS goes on",
            "HOW TO UNDO IT",
            "aws ec2",
            "WHY",
            "amber-otter",
        ];
        assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{body}");
        assert!(!body.contains("https://"), "a link of the attacker's is not a link: {body}");
    }

    #[test]
    fn whoever_is_asked_reads_how_to_answer() {
        let mut partly = report(OutcomeKind::PartiallyContained);
        partly.steps[0].state = format!("{WAITS}: only healthy target");
        for (report, is_asked) in [
            (report(OutcomeKind::AwaitingApproval), true),
            (partly, true),
            (report(OutcomeKind::Contained), false),
            (report(OutcomeKind::Observed), false),
        ] {
            let body = Notification::of(&report).body;
            for command in ["  cordon approve amber-otter-k7m2q\n", "  cordon reject amber-otter-k7m2q --because"] {
                assert_eq!(body.contains(command), is_asked, "{} {body}", report.outcome.kind);
            }
        }
    }

    #[test]
    fn a_dry_run_says_that_nothing_was_changed() {
        let notification = Notification::of(&report(OutcomeKind::Observed));
        assert!(notification.body.contains("WHAT WOULD BE DONE (nothing was changed)"));
        assert!(!notification.body.contains("WHAT WAS DONE") && !notification.body.contains("HOW TO UNDO"));
    }

    #[test]
    fn a_subject_is_short_ascii_and_one_line() {
        let mut long = report(OutcomeKind::Contained);
        long.target = Some(format!("session é{}\n of role x", "y".repeat(300)));
        for report in [
            report(OutcomeKind::Contained),
            long,
            Report::without_finding(Outcome::because(OutcomeKind::Declined, "x", "y")),
        ] {
            let subject = Notification::of(&report).subject;
            assert!(subject.len() < 100 && subject.bytes().all(|b| b.is_ascii_graphic() || b == b' '), "{subject}");
            assert!(subject.starts_with("[Cordon]"));
        }
    }

    #[test]
    fn people_are_woken_for_what_needs_them() {
        for (kind, severity, urgency) in [
            (OutcomeKind::Contained, Severity::High, "page"),
            (OutcomeKind::NotContained, Severity::Critical, "page"),
            (OutcomeKind::AwaitingApproval, Severity::High, "page"),
            (OutcomeKind::AwaitingApproval, Severity::Medium, "notice"),
            (OutcomeKind::Observed, Severity::High, "notice"),
        ] {
            let report = Report { severity: Some(severity), ..report(kind) };
            assert_eq!(Notification::of(&report).attributes["urgency"], urgency, "{kind} {severity}");
        }
        // Somebody is in there, and undoes it.
        let mut fought = Report { severity: Some(Severity::Medium), ..report(OutcomeKind::PartiallyContained) };
        assert_eq!(Notification::of(&fought).attributes["urgency"], "notice");
        fought.outcome.reasons.push(Reason::new(TOO_OFTEN, "eni-0000000a: now sg-1"));
        assert_eq!(Notification::of(&fought).attributes["urgency"], "page");
        let own = Outcome::because(OutcomeKind::Declined, "own-principal", "ours");
        assert_eq!(
            Notification::of(&Report { outcome: own, severity: Some(Severity::Low), ..report(OutcomeKind::Declined) })
                .attributes["urgency"],
            "page"
        );
    }

    #[test]
    fn no_attribute_is_empty() {
        let report = Report::without_finding(Outcome::because(OutcomeKind::Declined, "x", "y"));
        assert!(Notification::of(&report).attributes.values().all(|value| !value.is_empty()));
    }
}
