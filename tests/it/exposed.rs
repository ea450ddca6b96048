//! What was opened is closed: seen by boto3, and opened again by the release as each page says.

use crate::{
    corrections::{contained, lab, record, released},
    lab::{CONTAIN, Lab, differences, kind, undeclared},
};
use anyhow::Result;
use cordon_support::{Answer, Match, When};
use serde_json::{Value, json};
use std::time::Duration;

pub fn port_opened(lab: &Lab) -> Result<Value> {
    record(lab, "exposure/port-opened-to-the-world", &[("/requestParameters/groupId", json!(lab.id("/open_group/id")))])
}

async fn rules_of(lab: &Lab) -> Result<Vec<String>> {
    let of_group = json!({"Filters": [{"Name": "group-id", "Values": [lab.id("/open_group/id")]}]});
    let rules = lab.call("ec2", "describe_security_group_rules", of_group).await?;
    let rules = rules["SecurityGroupRules"].as_array().unwrap().iter().filter(|rule| rule["IsEgress"] == false);
    let shown = |rule: &Value| {
        let from = ["CidrIpv4", "CidrIpv6", "PrefixListId"].into_iter().find_map(|name| rule[name].as_str());
        let from = from.or_else(|| rule["ReferencedGroupInfo"]["GroupId"].as_str()).unwrap_or_default();
        format!("{} {from}", rule["FromPort"])
    };
    let mut rules: Vec<String> = rules.map(shown).collect();
    rules.sort();
    Ok(rules)
}

#[tokio::test]
async fn only_the_rules_that_let_the_world_in_go_and_come_back() -> Result<()> {
    let lab = lab(&["open_group"]).await?;
    let before = lab.dump().await?;
    let all = rules_of(&lab).await?;
    let incident = contained(&lab, &port_opened(&lab)?).await?;
    let closed = ["22 0.0.0.0/0", "22 ::/0"];
    let left: Vec<String> = all.iter().filter(|rule| !closed.contains(&rule.as_str())).cloned().collect();
    assert_eq!(rules_of(&lab).await?, left);
    assert_eq!(all.len() - left.len(), 2);
    released(&lab, &incident).await?;
    assert_eq!(rules_of(&lab).await?, all);
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

/// What somebody opened who is contained himself is his trap: it goes back only if an operator insists.
#[tokio::test]
async fn what_an_attacker_opened_is_not_opened_again_without_a_word() -> Result<()> {
    let lab = lab(&["open_group"]).await?;
    contained(&lab, &lab.event("key-used-from-outside")?).await?;
    let group = lab.id("/open_group/id").to_owned();
    let record = json!({"eventName": "AuthorizeSecurityGroupIngress", "eventSource": "ec2.amazonaws.com", "readOnly": false,
        "userIdentity": {"type": "IAMUser", "principalId": lab.id("/user/id"), "accountId": lab.account}, "requestParameters": {"groupId": group}});
    lab.recorded(json!({"EventName": "AuthorizeSecurityGroupIngress", "EventSource": "ec2.amazonaws.com",
        "Resources": [{"ResourceName": group}], "EventTime": cordon_support::samples::now_ms() / 1000 - 300, "CloudTrailEvent": record})).await?;
    let incident = contained(&lab, &port_opened(&lab)?).await?;
    let output = lab.cordon(&["release", &incident]).await?;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("--force"), "{output:?}");
    assert!(!rules_of(&lab).await?.contains(&"22 0.0.0.0/0".to_owned()));
    let output = lab.cordon(&["release", &incident, "--force"]).await?;
    assert!(output.status.success(), "{output:?}");
    assert!(rules_of(&lab).await?.contains(&"22 0.0.0.0/0".to_owned()));
    Ok(())
}

/// AWS Config says that it is so: contained only if somebody was seen to change it, and it was no operator.
#[tokio::test]
async fn what_config_says_is_closed_only_where_the_change_was_seen() -> Result<()> {
    for (author, expected) in
        [(None, "AwaitingApproval"), (Some("eve"), "Contained"), (Some("ann"), "AwaitingApproval")]
    {
        let lab = lab(&["open_group"]).await?;
        lab.put_policy(&format!("operators: [{{arn: 'arn:aws:iam::{}:user/ann'}}]", lab.account)).await?;
        let group = lab.id("/open_group/id").to_owned();
        if let Some(author) = author {
            let call = ("ec2", "AuthorizeSecurityGroupIngress");
            lab.changed_by(author, call, &group, json!({"groupId": group})).await?;
        }
        let mut event = lab.config("ssh-opened")?;
        event["detail"]["resourceId"] = json!(group);
        event["detail"]["newEvaluationResult"]["resultRecordedTime"] = lab.ago(0);
        let report = lab.deliver(&event).await?;
        assert_eq!(kind(&report), expected, "{author:?}: {report:#}");
        // All ports are meant: the rule does not say which, and the policy declares 80 and 443.
        assert_eq!(rules_of(&lab).await?.len(), if expected == "Contained" { 4 } else { 8 }, "{author:?}");
    }
    Ok(())
}

pub fn bucket_opened(lab: &Lab, bucket: &str) -> Result<Value> {
    record(lab, "exposure/bucket-policy-public", &[("/requestParameters/bucketName", json!(lab.id(bucket)))])
}

#[tokio::test]
async fn a_bucket_that_was_opened_is_blocked_and_its_settings_come_back() -> Result<()> {
    let lab = lab(&["bucket"]).await?;
    let before = lab.dump().await?;
    let incident = contained(&lab, &bucket_opened(&lab, "/bucket")?).await?;
    assert!(is_blocked(&lab, lab.id("/bucket")).await?);
    released(&lab, &incident).await?;
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    // A person may name it.
    let named =
        lab.cordon(&["contain", "bucket", lab.id("/bucket"), "--region", "us-east-1", "--because", "a test"]).await?;
    assert!(named.status.success(), "{}", String::from_utf8_lossy(&named.stderr));
    let incidents = lab.incidents().await?;
    let named = incidents.iter().find(|id| **id != incident).unwrap();
    lab.recheck(named).await?;
    assert!(is_blocked(&lab, lab.id("/bucket")).await?);
    Ok(())
}

async fn is_blocked(lab: &Lab, bucket: &str) -> Result<bool> {
    let blocks = lab.call("s3", "get_public_access_block", json!({"Bucket": bucket})).await;
    let Ok(blocks) = blocks else { return Ok(false) };
    let settings = blocks["PublicAccessBlockConfiguration"].as_object().cloned().unwrap_or_default();
    Ok(settings.len() == 4 && settings.values().all(|setting| setting == true))
}

/// Whichever of the three sources has it, and whichever way it was opened.
#[tokio::test]
async fn a_bucket_is_blocked_whoever_tells_of_it() -> Result<()> {
    for source in ["guardduty", "acl", "guard-lifted", "config"] {
        let lab = lab(&["bucket"]).await?;
        lab.put_policy(&format!("modes: {{exposed-bucket: {CONTAIN}}}")).await?;
        let bucket = lab.id("/bucket").to_owned();
        let before = lab.dump().await?;
        let event = match source {
            "guardduty" => {
                let mut event = lab.event("bucket-public")?;
                event["detail"]["resource"]["s3BucketDetails"][0]["name"] = json!(bucket);
                event["detail"]["resource"]["s3BucketDetails"][0]["arn"] = json!(format!("arn:aws:s3:::{bucket}"));
                event
            }
            "acl" => record(&lab, "exposure/bucket-acl-public", &[("/requestParameters/bucketName", json!(bucket))])?,
            "guard-lifted" => {
                record(&lab, "exposure/bucket-guard-lifted", &[("/requestParameters/bucketName", json!(bucket))])?
            }
            _ => {
                let call = ("s3", "PutBucketPolicy");
                lab.changed_by("eve", call, &bucket, json!({"bucketName": bucket})).await?;
                let mut event = lab.config("bucket-public")?;
                event["detail"]["resourceId"] = json!(bucket);
                event["detail"]["newEvaluationResult"]["resultRecordedTime"] = lab.ago(0);
                event
            }
        };
        let report = lab.deliver(&event).await?;
        assert_eq!(
            (kind(&report), &report["playbook"]),
            ("Contained", &json!("exposed-bucket")),
            "{source}: {report:#}"
        );
        assert!(is_blocked(&lab, &bucket).await?, "{source}");
        released(&lab, report["incident"].as_str().unwrap()).await?;
        assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new(), "{source}");
    }
    Ok(())
}

/// Rules that refer to a group, however open the group is by its other rules.
#[tokio::test]
async fn a_rule_for_a_group_is_no_exposure() -> Result<()> {
    let lab = lab(&["open_group"]).await?;
    let mut event = port_opened(&lab)?;
    let permission = &mut event["detail"]["requestParameters"]["ipPermissions"]["items"][0];
    permission["ipRanges"] = json!({});
    permission["ipv6Ranges"] = json!({});
    permission["groups"] = json!({"items": [{"groupId": "sg-0a1b2c3d4e5f60719", "userId": lab.account}]});
    let before = lab.dump().await?;
    let report = lab.deliver(&event).await?;
    assert!(["Observed", "Ignored"].contains(&kind(&report)), "{report:#}");
    assert_ne!(report["situation"], "exposed-port", "{report:#}");
    assert_eq!(lab.changes(), Vec::<String>::new());
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

/// Somebody else takes one of the rules away between the look and the cut: that one is done, the others go, and a release opens what
/// Cordon closed and no more.
#[tokio::test]
async fn a_rule_that_goes_by_itself_is_no_failure() -> Result<()> {
    let mut lab = lab(&["open_group"]).await?;
    let all = rules_of(&lab).await?;
    let event = port_opened(&lab)?;
    // Both rules are revoked at once: each call stands still, so that none of them comes through before the kill.
    let revoke = || Match::operation("RevokeSecurityGroupIngress");
    drop(lab.proxy.stop_at(revoke(), When::Before));
    lab.kill_at(&event, revoke(), When::Before).await?;
    assert_eq!(rules_of(&lab).await?, all);
    let revoke = json!({"GroupId": lab.id("/open_group/id"), "IpPermissions": [
        {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]});
    lab.call("ec2", "revoke_security_group_ingress", revoke).await?;
    lab.restart("contain").await?;
    lab.clock.advance(Duration::from_secs(5))?;
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let left = rules_of(&lab).await?;
    assert!(!left.iter().any(|rule| rule.starts_with("22 0.0.0.0/0") || rule.starts_with("22 ::/0")), "{left:?}");
    assert_eq!(all.len() - left.len(), 2);
    Ok(())
}

/// Between the look and the cut somebody takes the rule out, or makes it again: then it has another id, and goes all the same.
#[tokio::test]
async fn a_rule_is_known_by_what_it_lets_in() -> Result<()> {
    let ssh = |group: &str, ranges: &str, cidr: Value| json!({"GroupId": group, "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, ranges: [cidr]}]});
    for made_again in [false, true] {
        let lab = lab(&["open_group"]).await?;
        let group = lab.id("/open_group/id");
        // One rule, and so one call.
        let v6 = ssh(group, "Ipv6Ranges", json!({"CidrIpv6": "::/0"}));
        lab.call("ec2", "revoke_security_group_ingress", v6).await?;
        let all = rules_of(&lab).await?;
        let v4 = ssh(group, "IpRanges", json!({"CidrIp": "0.0.0.0/0"}));
        let meanwhile = async |_| {
            lab.call("ec2", "revoke_security_group_ingress", v4.clone()).await?;
            if made_again {
                lab.call("ec2", "authorize_security_group_ingress", v4.clone()).await?;
                assert_eq!(rules_of(&lab).await?, all);
            }
            anyhow::Ok(())
        };
        let at = (Match::operation("RevokeSecurityGroupIngress"), When::Before);
        let event = port_opened(&lab)?;
        let (answer, ()) = lab.while_it_stands((&lab.function, &event), at, meanwhile).await?;
        let Answer::Response(report) = answer else { panic!("an error") };
        assert_eq!(kind(&report), "Contained", "{report:#}");
        let left: Vec<String> = all.iter().filter(|rule| *rule != "22 0.0.0.0/0").cloned().collect();
        assert_eq!(all.len() - left.len(), 1);
        assert_eq!(rules_of(&lab).await?, left);
    }
    Ok(())
}

/// A bucket of that name is somebody else's, or was made since.
#[tokio::test]
async fn a_bucket_of_another_is_not_touched() -> Result<()> {
    let lab = lab(&["bucket"]).await?;
    let other = format!("others-{}", lab.account);
    let stranger = format!("9{}", &lab.account[1..]);
    lab.boto3.call(&stranger, "s3", "create_bucket", json!({"Bucket": other})).await?;
    let event = record(&lab, "exposure/bucket-policy-public", &[("/requestParameters/bucketName", json!(other))])?;
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "Declined", "{report:#}");
    assert!(report["outcome"].to_string().contains("vanished"), "{report:#}");
    assert_eq!(lab.changes(), Vec::<String>::new());
    let block = lab.boto3.call(&stranger, "s3", "get_public_access_block", json!({"Bucket": other})).await;
    assert!(block.is_err(), "{block:?}");
    lab.boto3.call(&stranger, "s3", "delete_bucket", json!({"Bucket": other})).await?;

    // One that was made after it was seen has only the name.
    let mut earlier = bucket_opened(&lab, "/bucket")?;
    earlier["detail"]["eventTime"] = lab.ago(600);
    let report = lab.deliver(&earlier).await?;
    assert_eq!(kind(&report), "Declined", "{report:#}");
    assert!(report["outcome"].to_string().contains("it is another one"), "{report:#}");
    assert_eq!(lab.changes(), Vec::<String>::new());
    assert!(!is_blocked(&lab, lab.id("/bucket")).await?);
    Ok(())
}

/// In a shared VPC one sees groups that one does not own.
#[tokio::test]
async fn a_group_of_another_account_is_declined() -> Result<()> {
    let lab = lab(&["open_group"]).await?;
    let group = lab.id("/open_group/id");
    lab.boto3
        .request(json!({"op": "share_group", "account": lab.account, "group": group, "owner": "999988887777"}))
        .await?;
    let report = lab.deliver(&port_opened(&lab)?).await?;
    assert_eq!(kind(&report), "Declined", "{report:#}");
    let said = report["outcome"].to_string();
    assert!(said.contains("foreign-group") && said.contains("belongs to account 999988887777"), "{report:#}");
    assert_eq!(lab.changes(), Vec::<String>::new());
    Ok(())
}
