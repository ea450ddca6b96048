//! What was silenced speaks again: seen by boto3, and kept as each page says.

use crate::{
    exposed::{bucket_opened, port_opened},
    lab::{Lab, Setup, differences, kind},
};
use anyhow::Result;
use cordon_support::{Fault, How, Match};
use serde_json::{Value, json};
use std::time::Duration;

/// A world with what is to be silenced or opened, and the baseline taken.
pub async fn lab(world: &'static [&'static str]) -> Result<Lab> {
    let lab = Lab::new(Setup { durable: true, interfaces: Some(1), world, ..Setup::default() }).await?;
    assert_eq!(lab.sweep().await?["failed"], 0, "{:#?}", lab.function.logs());
    lab.proxy.clear();
    Ok(lab)
}

/// The sample of a rule, with these members of its detail set.
pub fn record(lab: &Lab, name: &str, members: &[(&str, Value)]) -> Result<Value> {
    let mut event = lab.record(name)?;
    for (pointer, value) in members {
        *event["detail"].pointer_mut(pointer).unwrap_or_else(|| panic!("{name} has no {pointer}")) = value.clone();
    }
    Ok(event)
}

pub async fn contained(lab: &Lab, event: &Value) -> Result<String> {
    let report = lab.deliver(event).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    Ok(report["incident"].as_str().unwrap().to_owned())
}

pub async fn released(lab: &Lab, incident: &str) -> Result<()> {
    let output = lab.cordon(&["release", incident]).await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    Ok(())
}

async fn is_logging(lab: &Lab) -> Result<bool> {
    Ok(lab.call("cloudtrail", "get_trail_status", json!({"Name": "audit"})).await?["IsLogging"] == true)
}

fn trail_stopped(lab: &Lab) -> Result<Value> {
    record(lab, "silencing/trail-stopped", &[("/requestParameters/name", json!("audit"))])
}

#[tokio::test]
async fn a_trail_that_was_stopped_logs_again_and_goes_on_after_the_release() -> Result<()> {
    let lab = lab(&["trail"]).await?;
    lab.call("cloudtrail", "stop_logging", json!({"Name": "audit"})).await?;
    let incident = contained(&lab, &trail_stopped(&lab)?).await?;
    assert!(is_logging(&lab).await?);
    assert_eq!(lab.changes(), ["StartLogging audit"]);
    let mail = lab.messages().await?.remove(0);
    let text = mail["Message"].as_str().unwrap();
    assert!(text.contains("cloudtrail.trail.logging") && text.contains("aws cloudtrail get-trail-status"), "{text}");
    released(&lab, &incident).await?;
    assert!(is_logging(&lab).await?);
    Ok(())
}

/// By its ARN, in a region that only sees its shadow, narrowed and with other selectors.
#[tokio::test]
async fn a_trail_is_set_back_whole_where_it_is_at_home() -> Result<()> {
    let lab = lab(&["trail"]).await?;
    let before = lab.dump().await?;
    lab.call("cloudtrail", "stop_logging", json!({"Name": "audit"})).await?;
    let narrowed = json!({"Name": "audit", "IsMultiRegionTrail": false, "IncludeGlobalServiceEvents": false, "EnableLogFileValidation": false});
    lab.call("cloudtrail", "update_trail", narrowed).await?;
    let selectors = json!({"TrailName": "audit", "EventSelectors": [{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": false, "DataResources": []}]});
    lab.call("cloudtrail", "put_event_selectors", selectors).await?;
    let mut event =
        record(&lab, "silencing/trail-stopped", &[("/requestParameters/name", json!(lab.id("/trail/arn")))])?;
    event["region"] = json!("eu-west-1");
    event["detail"]["awsRegion"] = json!("eu-west-1");
    contained(&lab, &event).await?;
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn detectors_recorders_rules_and_flow_logs_are_on_again() -> Result<()> {
    let lab = lab(&["detector", "recorder", "event_rule", "flow_logs"]).await?;
    let before = lab.dump().await?;
    let detector = lab.id("/detector").to_owned();
    let off = json!({"DetectorId": detector, "Enable": false, "Features": [{"Name": "S3_DATA_EVENTS", "Status": "DISABLED"}]});
    lab.call("guardduty", "update_detector", off).await?;
    lab.call("config", "stop_configuration_recorder", json!({"ConfigurationRecorderName": "default"})).await?;
    lab.call("events", "disable_rule", json!({"Name": "cordon-findings"})).await?;
    lab.call("ec2", "delete_flow_logs", json!({"FlowLogIds": [lab.id("/flow_log")]})).await?;
    let named = |rule: &str, pointer: &str, name: &str| record(&lab, rule, &[(pointer, json!(name))]);
    let mut incidents = Vec::new();
    for event in [
        named("silencing/detector-disabled", "/requestParameters/detectorId", &detector)?,
        named("silencing/config-recorder-stopped", "/requestParameters/configurationRecorderName", "default")?,
        named("silencing/event-rule-silenced", "/requestParameters/name", "cordon-findings")?,
        named(
            "silencing/flow-logs-deleted",
            "/requestParameters/DeleteFlowLogsRequest/FlowLogId/content",
            lab.id("/flow_log"),
        )?,
    ] {
        incidents.push(contained(&lab, &event).await?);
    }
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    for incident in incidents {
        released(&lab, &incident).await?;
    }
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

/// The benign twin of each.
#[tokio::test]
async fn what_is_meant_to_be_so_is_left_alone() -> Result<()> {
    let world = &["open_group", "website", "trail", "recorder"];
    let lab = Lab::new(Setup { durable: true, interfaces: Some(1), world, ..Setup::default() }).await?;
    // The baseline knows a trail, and a recorder that is not on.
    lab.call("config", "stop_configuration_recorder", json!({"ConfigurationRecorderName": "default"})).await?;
    assert_eq!(lab.sweep().await?["failed"], 0, "{:#?}", lab.function.logs());
    lab.call("cloudtrail", "stop_logging", json!({"Name": "audit"})).await?;
    let policy = format!("public-ports: [22, 80, 443]\npublic-buckets: [{}]", lab.id("/website_bucket"));
    lab.put_policy(&format!("{policy}\nbreak-glass: [{{unique-id: {}}}]", lab.id("/user/id"))).await?;
    let before = lab.dump().await?;
    lab.proxy.clear();
    for event in [port_opened(&lab)?, bucket_opened(&lab, "/website_bucket")?, trail_stopped(&lab)?] {
        let report = lab.deliver(&event).await?;
        assert_eq!(kind(&report), "Observed", "{report:#}");
        assert!(report["decision"].to_string().contains("by-break-glass"), "{report:#}");
    }
    lab.put_policy(&policy).await?;
    lab.clock.advance(Duration::from_secs(86_400))?;
    let later = |event: Value| -> Value {
        let mut event = event;
        event["detail"]["eventTime"] = lab.ago(0);
        event
    };
    let recorder = record(
        &lab,
        "silencing/config-recorder-stopped",
        &[("/requestParameters/configurationRecorderName", json!("default"))],
    )?;
    for (event, expected, code) in [
        (later(port_opened(&lab)?), "Observed", "not-open"),
        (later(bucket_opened(&lab, "/website_bucket")?), "AwaitingApproval", "public-on-purpose"),
        (later(recorder), "Observed", "not-in-baseline"),
    ] {
        let report = lab.deliver(&event).await?;
        assert_eq!(kind(&report), expected, "{report:#}");
        assert!(report["outcome"].to_string().contains(code), "{code}: {report:#}");
    }
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    assert_eq!(lab.changes(), Vec::<String>::new());
    // What the baseline knows is on, whatever else of it was changed: nothing was set right, and nothing is said to be.
    lab.call("cloudtrail", "start_logging", json!({"Name": "audit"})).await?;
    let report = lab.deliver(&later(trail_stopped(&lab)?)).await?;
    assert_eq!(kind(&report), "Observed", "{report:#}");
    assert!(report["outcome"].to_string().contains("as-in-baseline"), "{report:#}");
    Ok(())
}

/// A trail that records more than it did is no less a sensor; a flow log that was made again has another name.
#[tokio::test]
async fn what_watches_more_is_not_silent() -> Result<()> {
    let lab = lab(&["trail", "flow_logs"]).await?;
    let selectors = json!({"TrailName": "audit", "EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": true,
        "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::a/"]}]}]});
    lab.call("cloudtrail", "put_event_selectors", selectors).await?;
    let log = lab.id("/flow_log").to_owned();
    lab.call("ec2", "delete_flow_logs", json!({"FlowLogIds": [log]})).await?;
    let named = "/requestParameters/DeleteFlowLogsRequest/FlowLogId/content";
    let incident = contained(&lab, &record(&lab, "silencing/flow-logs-deleted", &[(named, json!(log))])?).await?;
    released(&lab, &incident).await?;
    lab.sweep().await?;
    lab.messages().await?;
    let before = lab.dump().await?;
    for _ in 0..4 {
        lab.clock.advance(Duration::from_secs(600))?;
        lab.sweep().await?;
    }
    assert!(lab.messages().await?.is_empty());
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

/// One kind that may not be read takes nothing from the others, and people hear of it once a day.
#[tokio::test]
async fn a_kind_of_sensors_that_cannot_be_read_takes_no_other_with_it() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, interfaces: Some(1), world: &["trail", "detector"], ..Setup::default() })
        .await?;
    let at = Match::operation("ListDetectors");
    lab.proxy.fail(Fault::throughout(at, How::Denied));
    lab.sweep().await?;
    lab.sweep().await?;
    let told = lab.messages().await?;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0]["Message"].as_str().unwrap().contains("Whether each detector of this region is on cannot be read"));
    assert_eq!(lab.cordon(&["baseline", "accept"]).await?.status.code(), Some(1));
    lab.call("cloudtrail", "stop_logging", json!({"Name": "audit"})).await?;
    contained(&lab, &trail_stopped(&lab)?).await?;
    assert!(is_logging(&lab).await?);
    // Once it can be read, what of it is on is known too.
    lab.proxy.heal();
    lab.sweep().await?;
    let detector = lab.id("/detector").to_owned();
    lab.call("guardduty", "update_detector", json!({"DetectorId": detector, "Enable": false})).await?;
    let off = record(&lab, "silencing/detector-disabled", &[("/requestParameters/detectorId", json!(detector))])?;
    contained(&lab, &off).await?;
    let now = lab.call("guardduty", "get_detector", json!({"DetectorId": detector})).await?;
    assert_eq!(now["Status"], "ENABLED", "{now:#}");
    Ok(())
}

/// Nobody is known to have done it: it may be an operator's doing of a moment ago. Once CloudTrail would have said so, people are asked.
#[tokio::test]
async fn about_what_nobody_is_known_to_have_silenced_people_are_asked_after_a_while() -> Result<()> {
    let lab = lab(&["trail"]).await?;
    lab.call("cloudtrail", "stop_logging", json!({"Name": "audit"})).await?;
    let mut told = Vec::new();
    for minute in 0..=25 {
        if minute % 5 == 0 {
            lab.sweep().await?;
            told.extend(lab.messages().await?);
        }
        assert!(minute >= 15 || told.is_empty(), "after {minute} minutes: {told:#?}");
        lab.clock.advance(Duration::from_secs(60))?;
    }
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0]["Message"].as_str().unwrap().starts_with("WAITS FOR APPROVAL: trail audit"), "{told:#?}");
    assert!(!is_logging(&lab).await?);
    Ok(())
}

/// What a person takes as right is what is switched on again from then on.
#[tokio::test]
async fn an_operator_accepts_what_is_on_as_the_baseline() -> Result<()> {
    let lab = lab(&["trail", "recorder"]).await?;
    lab.call("config", "stop_configuration_recorder", json!({"ConfigurationRecorderName": "default"})).await?;
    let shown = lab.cordon(&["baseline", "show"]).await?;
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("trail audit: all regions") && text.contains("- recorder default: is off or gone"), "{text}");
    let accepted = lab.cordon(&["baseline", "accept"]).await?;
    assert!(accepted.status.success(), "{accepted:?}");
    let shown: Value = serde_json::from_slice(&lab.cordon(&["baseline", "show", "--json"]).await?.stdout)?;
    assert!(shown["baseline"]["sensors"]["recorder default"].is_null() && shown["changes"] == json!([]), "{shown:#}");
    assert!(shown["baseline"]["by"].as_str().unwrap().starts_with("arn:aws:"), "{shown:#}");
    lab.proxy.clear();
    let name = ("/requestParameters/configurationRecorderName", json!("default"));
    let report = lab.deliver(&record(&lab, "silencing/config-recorder-stopped", &[name])?).await?;
    assert_eq!((kind(&report), lab.changes()), ("Observed", Vec::new()), "{report:#}");
    Ok(())
}

/// Its event was lost: the sweep sees that it is silent, and once CloudTrail says who did it, it is set right.
#[tokio::test]
async fn a_sweep_finds_what_is_silent_and_respects_whose_doing_it_is() -> Result<()> {
    for (author, speaks) in [("eve", true), ("ann", false)] {
        let lab = lab(&["trail"]).await?;
        lab.put_policy(&format!("break-glass: [{{arn: 'arn:aws:iam::{}:user/ann'}}]", lab.account)).await?;
        lab.call("cloudtrail", "stop_logging", json!({"Name": "audit"})).await?;
        // CloudTrail does not know it yet: nobody acts on what may be an operator's doing.
        assert_eq!(lab.sweep().await?["failed"], 0, "{:#?}", lab.function.logs());
        assert!(!is_logging(&lab).await? && lab.messages().await?.is_empty());
        stopped_by(&lab, author).await?;
        lab.sweep().await?;
        assert_eq!(is_logging(&lab).await?, speaks, "{author}: {:#?}", lab.function.logs());
        assert_eq!(lab.messages().await?.len(), 1, "{author}");
        // Told once, whoever it was.
        lab.sweep().await?;
        assert_eq!(lab.messages().await?.len(), 0, "{author}");
    }
    Ok(())
}

/// A rule of AWS Config about the account names no trail: what the baseline knows is looked at, without waiting for the sweep.
#[tokio::test]
async fn a_rule_about_the_account_leads_to_the_trail_that_is_silent() -> Result<()> {
    let lab = lab(&["trail"]).await?;
    lab.away_from_the_end_of(Duration::from_secs(300))?;
    lab.call("cloudtrail", "stop_logging", json!({"Name": "audit"})).await?;
    stopped_by(&lab, "eve").await?;
    let mut event = lab.config("trail-off")?;
    event["detail"]["resourceId"] = json!(lab.account);
    let report = lab.deliver(&event).await?;
    assert_eq!((kind(&report), &report["situation"]), ("Observed", &json!("audit-trail-silenced")), "{report:#}");
    assert!(is_logging(&lab).await?, "{:#?}", lab.function.logs());
    assert_eq!(lab.changes(), ["StartLogging audit"]);
    let mails = lab.messages().await?;
    assert!(
        mails.iter().any(|mail| mail["Message"].as_str().unwrap().contains("cloudtrail.trail.logging")),
        "{mails:#?}"
    );
    // One look serves five minutes, and only what happens here.
    for seconds in [0, 600] {
        lab.clock.advance(Duration::from_secs(seconds))?;
        lab.proxy.clear();
        let region = if seconds > 0 { "eu-west-1" } else { "us-east-1" };
        event["region"] = json!(region);
        event["detail"]["awsRegion"] = json!(region);
        event["detail"]["newEvaluationResult"]["resultRecordedTime"] = lab.ago(0);
        lab.deliver(&event).await?;
        let calls = lab.proxy.calls();
        assert!(!calls.iter().any(|call| call.operation == "DescribeTrails"), "{seconds}: {calls:#?}");
    }
    Ok(())
}

async fn stopped_by(lab: &Lab, author: &str) -> Result<()> {
    lab.changed_by(author, ("cloudtrail", "StopLogging"), "audit", json!({"name": "audit"})).await
}

/// Whoever stops it every second is followed three times within the hour; then people are woken, and told that it is off.
#[tokio::test]
async fn a_correction_that_is_fought_stops_at_the_bound_and_pages() -> Result<()> {
    let lab = lab(&["trail"]).await?;
    lab.call("cloudtrail", "stop_logging", json!({"Name": "audit"})).await?;
    let incident = contained(&lab, &trail_stopped(&lab)?).await?;
    let (mut kept_on, mut pages) = (0, Vec::new());
    for _ in 0..8 {
        for _ in 0..5 {
            lab.clock.advance(Duration::from_secs(1))?;
            lab.call("cloudtrail", "stop_logging", json!({"Name": "audit"})).await?;
        }
        lab.recheck(&incident).await?;
        kept_on += usize::from(is_logging(&lab).await?);
        pages.extend(lab.messages().await?);
    }
    assert_eq!(kept_on, 3);
    let last = pages.pop().unwrap();
    assert_eq!(last["MessageAttributes"]["urgency"]["Value"], "page");
    let text = last["Message"].as_str().unwrap();
    assert!(text.contains("contained again 3 times within an hour") && text.contains("trail audit: now off"), "{text}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_set_right_is_refused_with_a_reason_and_nothing_else_is_touched() -> Result<()> {
    let lab = lab(&["trail", "open_group", "bucket", "detector"]).await?;
    let off = json!({"DetectorId": lab.id("/detector"), "Enable": false});
    lab.call("guardduty", "update_detector", off).await?;
    lab.boto3.request(json!({"op": "administer", "account": lab.account, "administrator": "999988887777"})).await?;
    lab.boto3
        .request(json!({"op": "trail_of_organization", "account": lab.account, "owner": "999988887777", "name": "org"}))
        .await?;
    lab.call("cloudtrail", "delete_trail", json!({"Name": "audit"})).await?;
    let others = lab.boto3.call("300000000001", "s3", "create_bucket", json!({"Bucket": "somebody-elses"})).await;
    drop(others);
    lab.proxy.clear();
    let named = |rule: &str, pointer: &str, name: &str| record(&lab, rule, &[(pointer, json!(name))]);
    let group = "/requestParameters/groupId";
    for (event, expected, code) in [
        (named("exposure/port-opened-to-the-world", group, "sg-0000000000000dead")?, "Declined", "vanished"),
        (named("exposure/port-opened-to-the-world", group, "default")?, "Declined", "no-group-id"),
        (
            named("exposure/bucket-policy-public", "/requestParameters/bucketName", "somebody-elses")?,
            "Declined",
            "vanished",
        ),
        (named("exposure/bucket-policy-public", "/requestParameters/bucketName", "../etc")?, "Declined", "no-bucket"),
        (named("silencing/trail-deleted", "/requestParameters/name", "audit")?, "NotContained", "sensor-gone"),
        (
            named(
                "silencing/trail-stopped",
                "/requestParameters/name",
                "arn:aws:cloudtrail:us-east-1:999988887777:trail/org",
            )?,
            "Declined",
            "organization-trail",
        ),
        // A member sees it by its ARN alone.
        (named("silencing/trail-stopped", "/requestParameters/name", "org")?, "Observed", "not-in-baseline"),
        (
            named("silencing/detector-disabled", "/requestParameters/detectorId", lab.id("/detector"))?,
            "Declined",
            "managed-by-administrator",
        ),
        (named("silencing/trail-stopped", "/requestParameters/name", "not in the baseline")?, "Declined", "no-sensor"),
    ] {
        let report = lab.deliver(&event).await?;
        assert_eq!(kind(&report), expected, "{code}: {report:#}");
        assert!(report["outcome"].to_string().contains(code), "{code}: {report:#}");
        if code == "sensor-gone" {
            let mail = lab.messages().await?.pop().unwrap();
            assert!(mail["Message"].as_str().unwrap().contains("aws cloudtrail create-trail"), "{mail:#}");
            assert_eq!(mail["MessageAttributes"]["urgency"]["Value"], "page");
        }
    }
    assert_eq!(lab.changes(), Vec::<String>::new());
    Ok(())
}
