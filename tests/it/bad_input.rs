//! Whatever comes in ends in one outcome with its reason: never a panic, never a repeat, nothing changed.

use crate::lab::{Lab, codes, kind, read, responder, root};
use anyhow::Result;
use cordon_support::{Answer, Function, FunctionOptions, InvokeOptions, Log};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn every_bad_event_ends_in_one_outcome_and_the_function_lives_on() -> Result<()> {
    let lab = Lab::contain().await?;
    for (file, expected, code) in [
        ("no-event.json", "Ignored", "no-event"),
        ("other-detail-type.json", "Ignored", "other-detail-type"),
        ("empty-detail.json", "Declined", "finding-without-id"),
        ("missing-resource.json", "Declined", "no-instance"),
        ("bad-ids.json", "Declined", "no-instance"),
        ("bad-account.json", "Declined", "no-account"),
        ("unknown-account.json", "Declined", "foreign-account"),
    ] {
        let report = lab.deliver(&read(&root().join("events/bad").join(file))?).await?;
        assert_eq!((kind(&report), codes(&report)), (expected, vec![code]), "{file}");
    }
    for file in ["absurd-strings.json", "numbers-as-strings.json", "null-arrays.json"] {
        let report = lab.deliver(&read(&root().join("events/bad").join(file))?).await?;
        assert!(report.to_string().len() < 20_000, "{file}: what is too long is cut");
        assert!(!matches!(kind(&report), "Contained" | "PartiallyContained"), "{file}: {report:#}");
    }
    assert_eq!(lab.changes(), Vec::<String>::new());
    let counted = lab.function.logs().iter().filter(|line| line.contains("CloudWatchMetrics")).count();
    assert_eq!(counted, 10, "each event is counted once");
    assert_eq!(kind(&lab.deliver(&lab.event("key-used-from-outside")?).await?), "Contained", "and it still works");
    Ok(())
}

/// At and just above what EventBridge and Lambda have as limits (256 KiB, 1 MiB, 6 MB): whatever comes through is judged, and what is kept of it is small.
#[tokio::test]
async fn an_event_of_any_size_that_can_come_is_judged() -> Result<()> {
    for size in [
        256 * 1024,
        256 * 1024 + 1,
        1024 * 1024,
        1024 * 1024 + 1,
        6 * 1024 * 1024 - 1,
        6 * 1024 * 1024,
        6 * 1024 * 1024 + 1,
    ] {
        let lab = Lab::durable().await?;
        let mut event = lab.event("key-used-from-outside")?;
        event["detail"]["title"] = json!("t".repeat(10_000));
        event["detail"]["service"]["additionalInfo"] = json!({"padding": ""});
        let padding = size - event.to_string().len();
        event["detail"]["service"]["additionalInfo"]["padding"] = json!("x".repeat(padding));
        assert_eq!(event.to_string().len(), size);
        let report = lab.deliver(&event).await?;
        assert_eq!(kind(&report), "Contained", "{size}");
        assert!(report.to_string().len() < 20_000, "{size}: what is too long is cut");
        let [mail] = lab.messages().await?.try_into().unwrap();
        assert!(mail.to_string().len() < 20_000, "{size}");
    }
    Ok(())
}

/// SQS takes 1 MiB, EventBridge and CloudTrail put 256 KiB at most into it: whatever comes through is judged, and blocks nothing.
#[tokio::test]
async fn a_message_of_any_size_that_can_come_is_judged() -> Result<()> {
    let lab = Lab::durable().await?;
    let sizes = [256 * 1024, 256 * 1024 + 1, 1024 * 1024, 1024 * 1024 + 1];
    let mut batch = Vec::new();
    for (n, size) in sizes.into_iter().enumerate() {
        let mut event = lab.record("silencing/trail-stopped")?;
        event["detail"]["requestParameters"]["padding"] = json!("");
        let padding = size - event.to_string().len();
        event["detail"]["requestParameters"]["padding"] = json!("x".repeat(padding));
        assert_eq!(event.to_string().len(), size);
        let arn = "arn:aws:sqs:us-east-1:111122223333:cordon-Events";
        batch.push(json!({"messageId": format!("m{n}"), "eventSource": "aws:sqs", "eventSourceARN": arn, "body": event.to_string()}));
    }
    let answer = lab.deliver(&json!({"Records": batch})).await?;
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let judged = lab.function.logs().iter().filter(|line| line.contains("event judged")).count();
    assert_eq!(judged, sizes.len());
    Ok(())
}

/// What there is no time for goes back as it came, with nothing done of it.
#[tokio::test]
async fn without_time_a_batch_goes_back_and_a_sweep_leaves_the_rest_to_the_next() -> Result<()> {
    let lab = Lab::durable().await?;
    let within = |seconds| InvokeOptions { deadline: Duration::from_secs(seconds), ..InvokeOptions::default() };
    let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    let incident = report["incident"].as_str().unwrap();
    let deny = json!({"UserName": lab.id("/user/name"), "PolicyArn": "arn:aws:iam::aws:policy/AWSDenyAll"});
    lab.call("iam", "detach_user_policy", deny).await?;
    lab.proxy.clear();
    let message = |n: usize| json!({"messageId": format!("m{n}"), "eventSource": "aws:sqs", "body": incident});
    let batch = json!({"Records": [message(1), message(2), message(3)]});
    let Answer::Response(answer) = lab.function.invoke_with(&batch, within(8)).await? else { panic!("it failed") };
    let back: Vec<&str> = answer["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["itemIdentifier"].as_str().unwrap())
        .collect();
    assert_eq!((back, lab.changes()), (vec!["m1", "m2", "m3"], Vec::new()));
    let schedule = json!({"source": "aws.events", "detail-type": "Scheduled Event"});
    let Answer::Response(swept) = lab.function.invoke_with(&schedule, within(12)).await? else { panic!("it failed") };
    assert_eq!((&swept["looked"], &swept["left"]), (&json!(0), &json!(1)), "{swept}");
    assert!(!lab.changes().iter().any(|change| change.starts_with("AttachUserPolicy")), "{:?}", lab.changes());
    let Answer::Response(answer) = lab.function.invoke_with(&batch, within(60)).await? else { panic!("it failed") };
    assert_eq!(answer, json!({"batchItemFailures": []}));
    assert!(lab.changes().iter().any(|change| change.starts_with("AttachUserPolicy")), "{:?}", lab.changes());
    Ok(())
}

#[tokio::test]
async fn a_batch_is_answered_message_by_message() -> Result<()> {
    let lab = Lab::contain().await?;
    let bodies = [
        std::fs::read_to_string(root().join("events/bad/not-json.txt"))?,
        "[]".to_owned(),
        "{}".to_owned(),
        "\"text\"".to_owned(),
        String::new(),
        lab.event("key-used-from-outside")?.to_string(),
    ];
    let record =
        |(n, body): (usize, String)| json!({"messageId": format!("m{n}"), "eventSource": "aws:sqs", "body": body});
    let batch: Vec<Value> = bodies.into_iter().enumerate().map(record).collect();
    let answer = lab.deliver(&json!({"Records": batch})).await?;
    assert_eq!(answer, json!({"batchItemFailures": []}), "nothing of this gets better by a repeat");
    // Not even the event: from a queue comes an incident's id or nothing.
    assert_eq!(lab.changes(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn wrong_settings_fail_every_invocation_with_all_that_is_wrong() -> Result<()> {
    let env = vec![
        ("CORDON_MODE".to_owned(), "kontain".to_owned()),
        ("CORDON_MEMBER_ROLE".to_owned(), "t".to_owned()),
        ("AWS_REGION".to_owned(), "us-east-1".to_owned()),
    ];
    let function = Function::start(FunctionOptions { binary: responder(), env, log: Log::Capture }).await?;
    for _ in 0..2 {
        let Answer::Error(error) = function.invoke(&json!({"detail-type": "x"})).await? else { panic!("it answered") };
        for part in ["CORDON_MODE is `kontain`", "CORDON_MEMBER_ROLE", "CORDON_TOPIC_ARN is missing"] {
            assert!(error.to_string().contains(part), "{part} is missing in {error}");
        }
    }
    Ok(())
}
