//! The policy in the table: put, in force at once, broken by hand, paused; and limits that count.

use crate::{
    guards::as_severe,
    lab::{HOUR, Lab, Setup, codes, differences, kind},
};
use anyhow::{Context, Result};
use cordon_support::{Fault, How, Match};
use serde_json::{Value, json};

rows!("policy": the_newest_policy_is_in_force_with_the_next_event_and_keeps_its_history, a_policy_that_was_broken_by_hand_leaves_the_last_good_one_in_force_and_pages, where_no_version_was_ever_whole_nothing_is_done_and_people_are_paged, rules_that_cannot_be_read_hold_back, an_hour_has_so_many_places_and_a_quarter_is_kept_for_critical, a_group_that_replaces_what_is_contained_is_asked_about_in_the_end, limits_that_cannot_be_read_hold_back, a_tag_has_a_person_asked_and_refuses_nothing);

const SAMPLE: &str = "key-used-from-outside";

/// A finding about a new user of this name.
async fn about_user(lab: &Lab, name: &str) -> Result<Value> {
    let user = lab.call("iam", "create_user", json!({"UserName": name})).await?;
    lab.call("iam", "create_access_key", json!({"UserName": name})).await?;
    let mut event = lab.event(SAMPLE)?;
    let details = &mut event["detail"]["resource"]["accessKeyDetails"];
    details["userName"] = json!(name);
    details["principalId"] = user["User"]["UserId"].clone();
    Ok(event)
}

/// The text of the newest version is made something else by hand.
async fn edit_by_hand(lab: &Lab, version: u32, text: Value) -> Result<()> {
    let table = &lab.durable.as_ref().context("durable")?.table;
    let item = json!({"version": version, "text": text, "by": "somebody", "at": "2026-11-20T12:00:00Z"});
    let item = json!({"pk": {"S": "POLICY"}, "sk": {"S": format!("V#{version:08}")}, "schema": {"N": "1"},
        "version": {"S": item.to_string()}});
    lab.call("dynamodb", "put_item", json!({"TableName": table, "Item": item})).await.map(drop)
}

async fn the_newest_policy_is_in_force_with_the_next_event_and_keeps_its_history() -> Result<()> {
    let lab = Lab::durable().await?;
    let outcome = async |name: &str| {
        let event = about_user(&lab, name).await?;
        anyhow::Ok(kind(&lab.deliver(&event).await?).to_owned())
    };
    assert_eq!(outcome("one").await?, "Contained", "the embedded default");
    let modes = |mode: &str| {
        format!("modes:\n  compromised-access-key: {{critical: {mode}, high: {mode}, medium: {mode}, low: {mode}}}\n")
    };
    lab.put_policy(&modes("approve")).await?;
    // The same process, which had judged by other rules just before.
    lab.proxy.clear();
    assert_eq!(outcome("two").await?, "AwaitingApproval");
    assert_eq!(lab.changes(), Vec::<String>::new());
    lab.put_policy(&modes("observe")).await?;
    assert_eq!(outcome("three").await?, "Observed");
    lab.put_policy(&modes("contain")).await?;
    assert_eq!(outcome("four").await?, "Contained");

    let history = lab.cordon(&["policy", "history", "--json"]).await?;
    let lines = String::from_utf8(history.stdout)?;
    let versions: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<_> = versions.iter().map(|version| version["version"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert!(versions[0]["by"].as_str().unwrap().starts_with("arn:aws:"), "{versions:?}");
    let shown = lab.cordon(&["policy", "show", "--version", "1"]).await?;
    assert_eq!(String::from_utf8(shown.stdout)?, modes("approve"));
    let diff = lab.cordon(&["policy", "diff"]).await?;
    let diff_text = String::from_utf8(diff.stdout)?;
    assert!(diff_text.contains("-  compromised-access-key: {critical: observe"), "{diff_text}");
    assert_eq!(diff.status.code(), Some(1));
    Ok(())
}

async fn a_policy_that_was_broken_by_hand_leaves_the_last_good_one_in_force_and_pages() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.put_policy(
        "modes:\n  compromised-access-key: {critical: approve, high: approve, medium: approve, low: approve}\n",
    )
    .await?;
    for (n, broken) in [json!("modes: {compromised-access-key: contain}"), Value::Null, json!("")].iter().enumerate() {
        edit_by_hand(&lab, u32::try_from(n)? + 2, broken.clone()).await?;
        lab.messages().await?;
        let event = about_user(&lab, &format!("user-{n}")).await?;
        let report = lab.deliver(&event).await?;
        assert_eq!(kind(&report), "AwaitingApproval", "not the default, which would contain: {report:#}");
        let messages = lab.messages().await?;
        let pages: Vec<_> =
            messages.iter().filter(|m| m["Subject"].as_str().unwrap_or_default().contains("policy")).collect();
        assert_eq!(pages.len(), 1, "{messages:#?}");
        let told = pages[0]["Message"].as_str().unwrap();
        assert!(told.contains(&format!("version {} is broken", n + 2)) && told.contains("version 1 stays"), "{told}");
        let again = lab.deliver(&about_user(&lab, &format!("again-{n}")).await?).await?;
        assert_eq!(kind(&again), "AwaitingApproval");
        let more = lab.messages().await?;
        assert!(!more.iter().any(|m| m["Subject"].as_str().unwrap_or_default().contains("policy")), "told twice");
    }
    // The next that is whole is in force.
    lab.put_policy("max-finding-age-minutes: 30\n").await?;
    assert_eq!(kind(&lab.deliver(&about_user(&lab, "whole").await?).await?), "Contained");
    Ok(())
}

async fn where_no_version_was_ever_whole_nothing_is_done_and_people_are_paged() -> Result<()> {
    let lab = Lab::durable().await?;
    edit_by_hand(&lab, 1, json!("nonsense: 1")).await?;
    let before = lab.dump().await?;
    let report = lab.deliver(&lab.event(SAMPLE)?).await?;
    assert_eq!(kind(&report), "Observed", "{report:#}");
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    assert!(lab.messages().await?.iter().any(|m| m["Message"].as_str().unwrap_or_default().contains("all before it")));
    Ok(())
}

/// What cannot be read is forbidden: for a moment where that passes, and with a person where it does not.
async fn rules_that_cannot_be_read_hold_back() -> Result<()> {
    for (how, expected) in [(How::Throttled, None), (How::Denied, Some("AwaitingApproval"))] {
        let lab = Lab::durable().await?;
        let at = Match::operation("Query");
        let before = lab.dump().await?;
        lab.proxy.fail(Fault::throughout(at, how));
        let answer = lab.function.invoke(&lab.event(SAMPLE)?).await?;
        match (expected, answer) {
            (Some(expected), cordon_support::Answer::Response(report)) => {
                assert_eq!(kind(&report), expected, "{report:#}");
                let paged = lab.messages().await?;
                assert!(paged.iter().any(|m| m["Message"].as_str().unwrap_or_default().contains("cannot be read")));
            }
            (None, cordon_support::Answer::Error(_)) => {
                assert_eq!(lab.rechecks().await?, 3, "Lambda's own repeat comes after a minute");
            }
            (_, other) => panic!("{how:?}: {other:?}"),
        }
        assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new(), "{how:?}");
    }
    Ok(())
}

/// A quarter of an hour's places is kept for Critical; the next hour has places again.
async fn an_hour_has_so_many_places_and_a_quarter_is_kept_for_critical() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.put_policy("limits: {credentials-per-hour: 50}").await?;
    lab.away_from_the_end_of(HOUR)?;
    let mut outcomes = Vec::new();
    for n in 0..60 {
        let mut event = about_user(&lab, &format!("user-{n}")).await?;
        as_severe(&lab, &mut event, if n < 45 { 8.0 } else { 9.5 });
        let report = lab.deliver(&event).await?;
        outcomes.push((kind(&report).to_owned(), codes(&report).join(",")));
    }
    let waits = outcomes.iter().filter(|(kind, _)| kind == "AwaitingApproval").count();
    // 38 of 45 High ones (50 less a quarter), then 12 of 15 Critical ones.
    assert_eq!(waits, 7 + 3, "{outcomes:?}");
    assert!(outcomes[37].0 == "Contained" && outcomes[38].0 == "AwaitingApproval", "{outcomes:?}");
    assert!(outcomes[56].0 == "Contained" && outcomes[57].0 == "AwaitingApproval", "{outcomes:?}");
    assert_eq!(outcomes[38].1, "credentials-per-hour");
    lab.clock.advance(HOUR)?;
    let mut event = about_user(&lab, "next-hour").await?;
    as_severe(&lab, &mut event, 8.0);
    assert_eq!(kind(&lab.deliver(&event).await?), "Contained");
    Ok(())
}

/// An Auto Scaling group that is told to have used up its replacements is asked about.
async fn a_group_that_replaces_what_is_contained_is_asked_about_in_the_end() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, world: &["scaling"], ..Setup::default() }).await?;
    lab.put_policy("limits: {replacements-per-day: 0}").await?;
    let before = lab.dump().await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    assert_eq!((kind(&report), codes(&report)), ("AwaitingApproval", vec!["replacements-per-day"]), "{report:#}");
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    lab.put_policy("limits: {replacements-per-day: 1}").await?;
    let again = lab.newer(&lab.event("instance-c2-network")?)?;
    assert_eq!(kind(&lab.deliver(&again).await?), "Contained");
    Ok(())
}

/// A limit that cannot be read is reached; one that is throttled is tried again.
async fn limits_that_cannot_be_read_hold_back() -> Result<()> {
    for (how, expected) in [(How::Denied, Some("AwaitingApproval")), (How::Throttled, None)] {
        let lab = Lab::durable().await?;
        lab.away_from_the_end_of(HOUR)?;
        let event = lab.event(SAMPLE)?;
        let budget = format!("cordon/BUDGET#credentials#{}", lab.clock.now_ms().div_euclid(3_600_000));
        let at = Match { operation: "UpdateItem".to_owned(), resource: Some(budget), occurrence: None };
        lab.proxy.fail(Fault::throughout(at, how));
        let before = lab.dump().await?;
        match (expected, lab.function.invoke(&event).await?) {
            (Some(expected), cordon_support::Answer::Response(report)) => {
                assert_eq!((kind(&report), codes(&report)), (expected, vec!["limit-unreadable"]), "{report:#}");
            }
            (None, cordon_support::Answer::Error(_)) => {}
            (_, other) => panic!("{how:?}: {other:?}"),
        }
        assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new(), "{how:?}");
        lab.proxy.heal();
        lab.recheck(&lab.incident_of(&event)?).await?;
        let now = lab.shown(&lab.incident_of(&event)?).await?;
        let outcome = now["incident"]["report"]["outcome"]["kind"].as_str().unwrap_or("none");
        assert_eq!(outcome, "Contained", "it can be read now: {how:?}: {now:#}");
    }
    Ok(())
}

async fn a_tag_has_a_person_asked_and_refuses_nothing() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.put_policy("protections: [{tag: {key: tier, value: core}, because: customers notice}]").await?;
    let instance = lab.id("/victim/instance").to_owned();
    let tags = json!({"Resources": [instance], "Tags": [{"Key": "tier", "Value": "core"}]});
    lab.call("ec2", "create_tags", tags).await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    assert_eq!((kind(&report), codes(&report)), ("AwaitingApproval", vec!["protected-by-tag"]), "{report:#}");
    let user = lab.id("/user/name").to_owned();
    lab.call("iam", "tag_user", json!({"UserName": user, "Tags": [{"Key": "tier", "Value": "core"}]})).await?;
    let report = lab.deliver(&lab.event(SAMPLE)?).await?;
    assert_eq!((kind(&report), codes(&report)), ("AwaitingApproval", vec!["protected-by-tag"]), "{report:#}");
    Ok(())
}
