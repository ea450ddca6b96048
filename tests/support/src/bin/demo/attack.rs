//! The attack: what is done with the key, by boto3, and the three events that tell of it, each in its own time and words.

use std::path::Path;

use anyhow::{Context, Result};
use cordon_support::samples;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::stage::Stage;

const TRAIL: &str = "audit";
const RULE: &str = "restricted-ssh";
/// The group that the servers have: everybody may come to 443, by the policy that Cordon brings, and the office to 22.
const GROUP: &str = "/web_group";
const OFFICE: &str = "203.0.113.0/24";

/// What the three sources deliver of one attack.
pub struct Told {
    pub guardduty: Value,
    pub config: Value,
    /// The record of CloudTrail's history that says who opened the port.
    pub opened: Value,
    pub cloudtrail: Value,
}

/// What the account has before anybody attacks it, beyond what every world has.
pub async fn prepare(stage: &Stage) -> Result<()> {
    stage.call("ec2", "authorize_security_group_ingress", port_22(stage.id(GROUP)?, OFFICE)).await?;
    let source = json!({"Owner": "AWS", "SourceIdentifier": "INCOMING_SSH_DISABLED"});
    let rule = json!({"ConfigRuleName": RULE, "Source": source});
    stage.call("config", "put_config_rule", json!({"ConfigRule": rule})).await.map(drop)
}

/// All that the attacker does. He is done before anybody hears of it, as CloudTrail and Config take minutes.
pub async fn happens(stage: &Stage) -> Result<Told> {
    let group = stage.id(GROUP)?;
    stage.call("ec2", "authorize_security_group_ingress", port_22(group, "0.0.0.0/0")).await?;
    stage.call("cloudtrail", "stop_logging", json!({"Name": TRAIL})).await?;

    let now = samples::now_ms();
    let mut opened = call(stage, "exposure/port-opened-to-the-world", now, 1)?;
    opened["detail"]["requestParameters"]["groupId"] = json!(group);
    let mut stopped = call(stage, "silencing/trail-stopped", now, 2)?;
    stopped["detail"]["requestParameters"]["name"] = json!(TRAIL);
    // What CloudTrail says of the first is not delivered: it is found where it is looked for.
    stage.recorded(&opened["detail"], group).await?;
    stage.recorded(&stopped["detail"], TRAIL).await?;

    let found = sample("guardduty/key-used-from-outside")?;
    let mut guardduty = samples::fresh(&found, &stage.ids, now, 3);
    rename(&found, &mut guardduty);
    Ok(Told { guardduty, config: evaluation(stage, group, now)?, opened: opened["detail"].take(), cloudtrail: stopped })
}

/// The schedule's tick, at which Cordon sweeps.
pub fn tick(stage: &Stage) -> Result<Value> {
    Ok(json!({"version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event",
        "source": "aws.events", "account": stage.id("/account")?, "region": cordon_support::REGION,
        "time": moment(samples::now_ms())?, "resources": [], "detail": {}}))
}

fn port_22(group: &str, from: &str) -> Value {
    let range = json!([{"CidrIp": from}]);
    json!({"GroupId": group, "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": range}]})
}

/// EventBridge's event of a call that the user's key has made.
fn call(stage: &Stage, name: &str, now: i64, sequence: u64) -> Result<Value> {
    let mut event = samples::fresh_record(&sample(&format!("cloudtrail/{name}"))?, &stage.ids, now, sequence);
    event["detail"]["userIdentity"]["arn"] = stage.ids["user"]["arn"].clone();
    Ok(event)
}

/// Config's rule has changed its mind about the group.
fn evaluation(stage: &Stage, group: &str, now: i64) -> Result<Value> {
    let mut event = sample("config/ssh-opened")?;
    let account = json!(stage.id("/account")?);
    event["account"] = account.clone();
    event["time"] = json!(moment(now)?);
    let detail = &mut event["detail"];
    detail["awsAccountId"] = account;
    detail["configRuleName"] = json!(RULE);
    detail["resourceId"] = json!(group);
    detail["notificationCreationTime"] = json!(moment(now)?);
    detail["newEvaluationResult"]["resultRecordedTime"] = json!(moment(now)?);
    for result in ["newEvaluationResult", "oldEvaluationResult"] {
        let qualifier = &mut detail[result]["evaluationResultIdentifier"]["evaluationResultQualifier"];
        qualifier["resourceId"] = json!(group);
    }
    Ok(event)
}

/// Puts the user's name into what the finding says of itself, so that nobody looks for a second user.
fn rename(found: &Value, event: &mut Value) {
    let name = |of: &Value| {
        of.pointer("/detail/resource/accessKeyDetails/userName").and_then(Value::as_str).map(str::to_owned)
    };
    let (Some(old), Some(new)) = (name(found), name(event)) else { return };
    for part in ["title", "description"] {
        if let Value::String(text) = &mut event["detail"][part] {
            *text = text.replace(&old, &new);
        }
    }
}

fn sample(name: &str) -> Result<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../events/{name}.json"));
    let text = std::fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("read `{}`", path.display()))
}

fn moment(ms: i64) -> Result<String> {
    Ok(OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000))?.format(&Rfc3339)?)
}
