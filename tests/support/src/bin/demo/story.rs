//! What is shown, in its order, and what boto3 must read after each part.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use serde_json::Value;

use crate::account::{Row, Thing, contained, differences, with};
use crate::attack::{self, Told};
use crate::screen::{Screen, Style};
use crate::stage::Stage;

/// Reasons that repeat what came in.
const REPEATS: &str = "rule";

/// What one source tells, and what must come of it.
struct Chapter {
    source: String,
    seen: String,
    event: Value,
    thing: Thing,
    severity: &'static str,
    /// How the thing must be then, as boto3 dumps it.
    contained: Value,
    /// What whoever releases it says besides.
    says: &'static [&'static str],
    released: Value,
}

struct Story<'a> {
    screen: &'a Screen,
    stage: Stage,
    /// How the account is, as far as the story has come.
    now: Value,
    wrong: usize,
}

/// How many things were not as expected; each is marked.
pub async fn tell(screen: &Screen, responder: PathBuf) -> Result<usize> {
    let started = Instant::now();
    eprintln!("… starting moto, a little account in it, and the function before it");
    let stage = Stage::set(responder).await?;
    attack::prepare(&stage).await?;
    screen.line(&screen.paint(Style::Bold, "Cordon: one attack on an AWS account, told by three sources"));
    let how = "The real function binary (a debug build), and moto in place of AWS. How the account is, boto3 has read. Milliseconds \
               count from the delivery of an event until AWS had taken the change; for its first record Cordon loads its rules.";
    screen.labelled("", Style::Dim, how);

    stage.deliver(&attack::tick(&stage)?).await?;
    let clean = stage.dump().await?;
    let told = attack::happens(&stage).await?;
    let attacked = stage.dump().await?;
    let mut story = Story { screen, stage, now: attacked.clone(), wrong: 0 };
    story.attack(&clean).await?;
    let chapters = chapters(&story.stage.ids, told, &clean, &attacked);
    let mut incidents = Vec::new();
    for (number, chapter) in chapters.iter().enumerate() {
        screen.heading(&format!("{}  {}", number + 1, chapter.source));
        incidents.push(story.contain(chapter).await?);
    }
    screen.heading("All is understood: each incident is released. What it changed goes back; only a sensor stays on");
    for (chapter, incident) in chapters.iter().zip(&incidents) {
        if let Some(incident) = incident {
            story.release(chapter, incident).await?;
        }
    }
    story.sweep(incidents.iter().flatten().count()).await?;
    let Story { stage, wrong, .. } = story;
    stage.stop().await;
    let verdict = match wrong {
        0 => screen.paint(Style::Good, "all was as expected"),
        many => screen.paint(Style::Bad, &format!("{many} things were not as expected")),
    };
    screen.line(&format!("\n{:.1} s; everything is stopped; {verdict}.", started.elapsed().as_secs_f64()));
    Ok(wrong)
}

fn chapters(ids: &Value, told: Told, clean: &Value, attacked: &Value) -> [Chapter; 3] {
    let of = |dump: &Value, thing: Thing| dump.pointer(&thing.place(ids)).cloned().unwrap_or_default();
    let text = |of: &Value, pointer: &str| of.pointer(pointer).and_then(Value::as_str).unwrap_or("?").to_owned();
    let Told { guardduty, config, opened, cloudtrail } = told;
    let finding = &guardduty["detail"];
    let from = "/service/action/awsApiCallAction/remoteIpDetails/ipAddressV4";
    let seen = format!("{}: {} [{}]", text(finding, "/type"), text(finding, "/title"), text(finding, from));
    let user = Chapter {
        source: "GuardDuty finds that a key is used from outside".to_owned(),
        seen,
        event: guardduty,
        thing: Thing::User,
        severity: "High",
        contained: contained(&of(attacked, Thing::User)),
        says: &["--reactivate-keys"],
        released: of(clean, Thing::User),
    };
    let (evaluation, call) = (&config["detail"], &cloudtrail["detail"]);
    let group = Chapter {
        source: format!(
            "AWS Config finds a port open to the world; CloudTrail's history has {} by user {}",
            text(&opened, "/eventName"),
            text(&opened, "/userIdentity/userName")
        ),
        seen: format!(
            "{}: {} → {}: {}",
            text(evaluation, "/configRuleName"),
            text(evaluation, "/oldEvaluationResult/complianceType"),
            text(evaluation, "/newEvaluationResult/complianceType"),
            text(evaluation, "/resourceId")
        ),
        event: config.clone(),
        thing: Thing::Group,
        severity: "High",
        contained: of(clean, Thing::Group),
        // What somebody opened who is contained himself goes back only so.
        says: &["--force"],
        released: of(attacked, Thing::Group),
    };
    let trail = Chapter {
        source: "CloudTrail records that the trail was stopped".to_owned(),
        seen: format!(
            "{} of trail {} by user {} [{}]",
            text(call, "/eventName"),
            text(call, "/requestParameters/name"),
            text(call, "/userIdentity/userName"),
            text(call, "/sourceIPAddress")
        ),
        event: cloudtrail.clone(),
        thing: Thing::Trail,
        // One worse, because whoever did it is held by the first incident.
        severity: "Critical",
        contained: of(clean, Thing::Trail),
        says: &[],
        // A release silences nothing.
        released: of(clean, Thing::Trail),
    };
    [user, group, trail]
}

impl Story<'_> {
    /// What was there before, and what the attacker has made of it.
    async fn attack(&mut self, clean: &Value) -> Result<()> {
        let shown = self.stage.cordon(&["baseline", "show", "--json"]).await?;
        let baseline: Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
        let sensors = baseline["baseline"]["sensors"].as_object().into_iter().flatten();
        let sensors: Vec<&str> = sensors.map(|(name, _)| name.as_str()).collect();
        let seen = format!("Cordon's first sweep has seen what watches the account: {}", sensors.join(", "));
        self.screen.labelled("before", Style::Plain, &seen);
        let (mut expected, mut found, mut label) = (clean.clone(), Vec::new(), "attack");
        for thing in [Thing::Group, Thing::Trail] {
            self.rows(label, thing, clean, |_| String::new());
            let place = thing.place(&self.stage.ids);
            let attacked = self.now.pointer(&place).unwrap_or(&Value::Null);
            if clean.pointer(&place) == Some(attacked) {
                found.push(format!("{place} is as before"));
            }
            expected = with(&expected, &place, attacked);
            label = "";
        }
        found.extend(differences(&expected, &self.now));
        self.check("this is the attack, and nothing else", &found);
        Ok(())
    }

    /// Delivers the event; the incident, if people were told of one.
    async fn contain(&mut self, chapter: &Chapter) -> Result<Option<String>> {
        self.screen.labelled("seen", Style::Plain, &chapter.seen);
        let delivered = self.stage.deliver(&chapter.event).await?;
        self.screen.labelled("judged", Style::Plain, &judged(&delivered.report));
        let (before, mails) = (self.look().await?, self.stage.mails().await?);
        self.rows("changed", chapter.thing, &before, |row| {
            let after = self.stage.after(&delivered, row.operation, &row.resource);
            after.map_or_else(|| "by no call".to_owned(), |after| format!("after {} ms", after.as_millis()))
        });
        let subject = |mail: &Value| mail["Subject"].as_str().unwrap_or("none").to_owned();
        self.screen.labelled("mail", Style::Plain, &mails.iter().map(subject).collect::<Vec<_>>().join(" "));

        let mut found = self.others(chapter, &before, &chapter.contained);
        let says = |mail: &Value, name: &str| mail["MessageAttributes"][name]["Value"].as_str().map(str::to_owned);
        let incident = match mails.as_slice() {
            [mail] => {
                for (name, expected) in [("outcome", "Contained"), ("severity", chapter.severity)] {
                    let said = says(mail, name).unwrap_or_default();
                    if said != expected {
                        found.push(format!("the mail's {name} must be {expected}, is {said}"));
                    }
                }
                says(mail, "incident")
            }
            mails => {
                found.push(format!("{} mails came, not one", mails.len()));
                None
            }
        };
        self.check("this is so, and nothing else in the account has changed", &found);
        Ok(incident)
    }

    async fn release(&mut self, chapter: &Chapter, incident: &str) -> Result<()> {
        let mut arguments = vec!["release", incident];
        arguments.extend(chapter.says);
        self.screen.labelled("", Style::Bold, &format!("$ cordon {}", arguments.join(" ")));
        let ended = self.stage.cordon(&arguments).await?;
        let before = self.look().await?;
        let kept = ended.stdout.lines().find_map(|line| line.trim().strip_prefix("[kept: ")?.split_once(']'));
        let kept = kept.map(|(why, _)| format!("kept: {why}")).unwrap_or_default();
        self.rows("released", chapter.thing, &before, |_| kept.clone());
        let mut found = self.others(chapter, &before, &chapter.released);
        if ended.code != Some(0) {
            found.push(format!("exit code {:?}: {}", ended.code, (ended.stdout + &ended.stderr).trim()));
        }
        self.check("this is so, and nothing else in the account has changed", &found);
        Ok(())
    }

    /// What was released is left alone, and people hear of it.
    async fn sweep(&mut self, incidents: usize) -> Result<()> {
        self.stage.deliver(&attack::tick(&self.stage)?).await?;
        let (before, mails) = (self.look().await?, self.stage.mails().await?);
        let mut found = differences(&before, &self.now);
        let released = mails.iter().filter(|mail| mail["MessageAttributes"]["outcome"]["Value"] == "Released").count();
        if (released, mails.len()) != (incidents, incidents) {
            found.push(format!("{} mails, {released} of a release", mails.len()));
        }
        self.check("the next sweep has changed nothing, and told people of each release", &found);
        Ok(())
    }

    /// Reads the account; how it was before.
    async fn look(&mut self) -> Result<Value> {
        let now = self.stage.dump().await?;
        Ok(std::mem::replace(&mut self.now, now))
    }

    /// Where the account is other than before with this in the chapter's place.
    fn others(&self, chapter: &Chapter, before: &Value, thing: &Value) -> Vec<String> {
        differences(&with(before, &chapter.thing.place(&self.stage.ids), thing), &self.now)
    }

    /// A line for each part of a thing: what it was, what it is, and a word about it.
    fn rows(&self, label: &str, thing: Thing, before: &Value, word: impl Fn(&Row) -> String) {
        let (mut label, ids) = (label, &self.stage.ids);
        for (was, row) in thing.rows(ids, before).iter().zip(thing.rows(ids, &self.now)) {
            let change = if was.is == row.is { row.is.to_owned() } else { format!("{} → {}", was.is, row.is) };
            self.screen.labelled(label, Style::Plain, &format!("{:<36} {change:<28} {}", row.what, word(&row)));
            label = "";
        }
    }

    fn check(&mut self, claim: &str, found: &[String]) {
        if found.is_empty() {
            self.screen.labelled("boto3", Style::Good, &format!("✓ {claim}"));
            return;
        }
        self.wrong += found.len();
        self.screen.labelled("boto3", Style::Bad, &format!("NOT SO: {claim}"));
        for found in found {
            self.screen.labelled("", Style::Bad, &format!("✗ {found}"));
        }
    }
}

/// The reasons of the decision, and what came of it where it is no containment.
fn judged(report: &Value) -> String {
    let texts = |reasons: &Value| -> Vec<String> {
        let reasons = reasons.as_array().into_iter().flatten().filter(|reason| reason["code"] != REPEATS);
        reasons.filter_map(|reason| reason["text"].as_str().map(str::to_owned)).collect()
    };
    let mut judged = texts(&report["decision"]);
    let outcome = &report["outcome"];
    if outcome["kind"] != "Contained" {
        judged.push(outcome["kind"].as_str().unwrap_or("no outcome").to_owned());
        judged.extend(texts(&outcome["reasons"]));
    }
    judged.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_no_containment_says_so() {
        let reason = |code: &str, text: &str| json!({"code": code, "text": text});
        let mut report = json!({"decision": [reason("rule", "a trail was stopped"), reason("policy-mode", "contain")],
            "outcome": {"kind": "Contained", "reasons": []}});
        assert_eq!(judged(&report), "contain");
        report["outcome"] = json!({"kind": "Declined", "reasons": [reason("vanished", "it is gone")]});
        assert_eq!(judged(&report), "contain; Declined; it is gone");
    }
}
