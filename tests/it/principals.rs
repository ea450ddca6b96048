//! Who is behind a call, keys that AWS itself found, root, and malware in objects.

use crate::lab::{Lab, Setup, differences, kind, read, root, undeclared};
use anyhow::Result;
use serde_json::{Value, json};

/// An event of AWS Health about the user's first key.
fn exposed(lab: &Lab) -> Result<Value> {
    let mut event = read(&root().join("events/health/key-exposed.json"))?;
    event["account"] = json!(lab.account);
    event["time"] = lab.ago(0);
    event["detail"]["affectedAccount"] = json!(lab.account);
    event["detail"]["affectedEntities"][0]["entityValue"] = json!(lab.id("/user/keys/0"));
    Ok(event)
}

pub async fn is_denied(lab: &Lab) -> Result<bool> {
    let attached = lab.call("iam", "list_attached_user_policies", json!({"UserName": lab.id("/user/name")})).await?;
    Ok(attached.to_string().contains("AWSDenyAll"))
}

#[tokio::test]
async fn a_key_that_aws_names_is_contained_with_its_user() -> Result<()> {
    let lab = Lab::durable().await?;
    let before = lab.dump().await?;
    let report = lab.deliver(&exposed(&lab)?).await?;
    assert_eq!((kind(&report), &report["playbook"]), ("Contained", &json!("leaked-key")), "{report:#}");
    assert!(is_denied(&lab).await?);
    let incident = report["incident"].as_str().unwrap();
    assert!(lab.cordon(&["release", incident, "--reactivate-keys"]).await?.status.success());
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    // A key of nobody, no key at all, and an event of another kind.
    let lab = Lab::durable().await?;
    let mut stranger = exposed(&lab)?;
    stranger["detail"]["affectedEntities"][0]["entityValue"] = json!("AKIAOTHEROTHEROTHER1");
    let mut nobody = exposed(&lab)?;
    nobody["detail"]["affectedEntities"] = json!([]);
    nobody["detail"]["eventArn"] = json!("arn:aws:health:us-east-1::event/RISK/x/2");
    let other = read(&root().join("events/health/key-exposed.benign.json"))?;
    for (event, expected) in [(stranger, "Observed"), (nobody, "Observed"), (other, "Ignored")] {
        let report = lab.deliver(&event).await?;
        assert_eq!(kind(&report), expected, "{report:#}");
    }
    assert_eq!(lab.changes(), Vec::<String>::new());
    // Nor does it count from a queue, to which more may send.
    let arn = "arn:aws:sqs:us-east-1:111122223333:cordon-Events";
    let message =
        json!({"messageId": "m1", "eventSource": "aws:sqs", "eventSourceARN": arn, "body": exposed(&lab)?.to_string()});
    lab.deliver(&json!({"Records": [message]})).await?;
    assert_eq!(lab.changes(), Vec::<String>::new());
    Ok(())
}

/// Whoever may attach a policy could have Cordon shut out anybody: only AWS itself is believed.
#[tokio::test]
async fn a_quarantine_is_believed_where_aws_attached_it() -> Result<()> {
    // Whoever may send to the queue can write a record, but not make it so in the account.
    for (by_aws, is_attached, expected) in
        [(true, true, "Contained"), (true, false, "AwaitingApproval"), (false, true, "AwaitingApproval")]
    {
        let lab = Lab::durable().await?;
        let mut event = lab.record("iam/key-quarantined")?;
        event["detail"]["requestParameters"]["userName"] = json!(lab.id("/user/name"));
        if is_attached {
            let policy = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3";
            lab.call("iam", "attach_user_policy", json!({"UserName": lab.id("/user/name"), "PolicyArn": policy}))
                .await?;
        }
        event["detail"]["userIdentity"] = match by_aws {
            true => json!({"type": "AWSService", "invokedBy": "support.amazonaws.com"}),
            false => {
                json!({"type": "IAMUser", "principalId": "AIDAEVEEVEEVEEVEEVE11", "userName": "eve", "accountId": lab.account,
                "arn": format!("arn:aws:iam::{}:user/eve", lab.account)})
            }
        };
        let report = lab.deliver(&event).await?;
        assert_eq!(kind(&report), expected, "{report:#}");
        assert!(report["target"].as_str().unwrap().contains(lab.id("/user/id")), "{report:#}");
        assert_eq!(is_denied(&lab).await?, by_aws && is_attached);
    }
    Ok(())
}

#[tokio::test]
async fn root_is_told_with_what_a_person_can_do() -> Result<()> {
    let lab = Lab::durable().await?;
    let mut event = lab.record("access/root-used")?;
    event["detail"]["userIdentity"]["accountId"] = json!(lab.account);
    let report = lab.deliver(&event).await?;
    assert_eq!((kind(&report), &report["playbook"]), ("NotContained", &json!("root-used")), "{report:#}");
    let [mail] = lab.messages().await?.try_into().unwrap();
    assert_eq!(mail["MessageAttributes"]["urgency"]["Value"], "page");
    let text = mail["Message"].as_str().unwrap();
    assert!(text.contains(&format!("aws sts assume-root --target-principal {}", lab.account)), "{text}");
    assert_eq!(lab.changes(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn an_object_with_malware_is_blocked_where_the_buckets_policy_blocks_by_tag() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, interfaces: Some(1), world: &["bucket"], ..Setup::default() }).await?;
    let bucket = lab.id("/bucket").to_owned();
    let mut event = read(&root().join("events/guardduty/object-scan-threat.json"))?;
    event["account"] = json!(lab.account);
    event["time"] = lab.ago(0);
    let object = &mut event["detail"]["s3ObjectDetails"];
    object["bucketName"] = json!(bucket);
    object["objectKey"] = json!(lab.id("/object"));
    object["versionId"] = json!("null");
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "NotContained", "{report:#}");
    assert!(report["outcome"].to_string().contains("no-block-by-tag"), "{report:#}");
    assert_eq!((lab.changes(), lab.messages().await?.len()), (Vec::new(), 1));

    let blocks = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{bucket}/*"),
        "Condition": {"StringNotEquals": {"s3:ExistingObjectTag/GuardDutyMalwareScanStatus": "NO_THREATS_FOUND"}}}]});
    lab.call("s3", "put_bucket_policy", json!({"Bucket": bucket, "Policy": blocks.to_string()})).await?;
    let before = lab.dump().await?;
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let tags = lab.call("s3", "get_object_tagging", json!({"Bucket": bucket, "Key": lab.id("/object")})).await?;
    assert!(tags.to_string().contains("THREATS_FOUND") && tags.to_string().contains("confidential"), "{tags}");
    let incident = report["incident"].as_str().unwrap();
    assert!(lab.cordon(&["release", incident]).await?.status.success());
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

/// CloudTrail knows a call of half a minute ago.
pub async fn did(lab: &Lab, (name, id): (&str, &str), call: &str, parameters: Value, answer: Value) -> Result<()> {
    let record = json!({"eventName": call, "eventSource": "iam.amazonaws.com", "sourceIPAddress": "198.51.100.23",
        "userIdentity": {"principalId": id, "type": "IAMUser"}, "requestParameters": parameters, "responseElements": answer});
    lab.recorded(json!({"EventName": call, "EventSource": "iam.amazonaws.com", "Username": name,
        "EventTime": cordon_support::samples::now_ms() / 1000 - 30, "CloudTrailEvent": record}))
        .await
}

/// What he did before stands in the message and in `show`; who was made by him is counted in a pool of its own.
#[tokio::test]
async fn what_he_did_before_is_told_and_what_he_made_has_a_pool_of_its_own() -> Result<()> {
    let lab = Lab::durable().await?;
    let bob = lab.call("iam", "create_user", json!({"UserName": "bob"})).await?["User"]["UserId"].clone();
    let key = lab.call("iam", "create_access_key", json!({"UserName": "bob"})).await?;
    let (name, id) = (lab.id("/user/name").to_owned(), lab.id("/user/id").to_owned());
    for (call, parameters, answer) in [
        ("ListBuckets", json!(null), json!(null)),
        ("CreateUser", json!({"userName": "bob"}), json!({"user": {"userId": bob}})),
        (
            "CreateAccessKey",
            json!({"userName": "bob"}),
            json!({"accessKey": {"accessKeyId": key["AccessKey"]["AccessKeyId"], "userName": "bob"}}),
        ),
    ] {
        did(&lab, (&name, &id), call, parameters, answer).await?;
    }
    let finding = lab.event("key-used-from-outside")?;
    let report = lab.deliver(&finding).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let [mail] = lab.messages().await?.try_into().unwrap();
    let text = mail["Message"].as_str().unwrap();
    for part in ["3 calls since", "from 198.51.100.23", "made access key …", "user bob", "cordon contain user bob"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let incident = report["incident"].as_str().unwrap();
    lab.recheck(incident).await?;
    let shown = lab.cordon(&["show", incident]).await?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("user bob") && shown.contains("1 ListBuckets"), "{shown}");

    let mut about_bob = lab.event("key-used-from-outside")?;
    about_bob["detail"]["resource"]["accessKeyDetails"]["userName"] = json!("bob");
    about_bob["detail"]["resource"]["accessKeyDetails"]["principalId"] = bob;
    let report = lab.deliver(&about_bob).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let items = lab.call("dynamodb", "scan", json!({"TableName": "cordon"})).await?;
    let pools: Vec<&str> =
        items["Items"].as_array().unwrap().iter().filter_map(|item| item["pk"]["S"].as_str()).collect();
    let taken = |pool: &str| pools.iter().filter(|pk| pk.starts_with(&format!("BUDGET#{pool}#"))).count();
    assert_eq!((taken("credentials"), taken("made")), (1, 1), "{pools:?}");
    Ok(())
}

/// Where the policy names a bucket, what flows around a contained instance is recorded from then on.
#[tokio::test]
async fn a_network_without_a_flow_log_gets_one_where_the_policy_says_so() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, interfaces: Some(1), ..Setup::default() }).await?;
    lab.call("s3", "create_bucket", json!({"Bucket": format!("evidence-{}", lab.account)})).await?;
    lab.put_policy(&format!("flow-logs-to: arn:aws:s3:::evidence-{}", lab.account)).await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let logs = lab.call("ec2", "describe_flow_logs", json!({})).await?;
    assert_eq!(logs["FlowLogs"].as_array().unwrap().len(), 1, "{logs:#}");
    assert_eq!(logs["FlowLogs"][0]["ResourceId"], lab.id("/vpc"));
    let incident = report["incident"].as_str().unwrap();
    lab.recheck(incident).await?;
    assert!(lab.cordon(&["release", incident]).await?.status.success());
    // It stays, by declaration.
    let logs = lab.call("ec2", "describe_flow_logs", json!({})).await?;
    assert_eq!(logs["FlowLogs"].as_array().unwrap().len(), 1, "{logs:#}");
    Ok(())
}
