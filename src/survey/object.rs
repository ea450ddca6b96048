//! Facts of an object in which malware was found: its tags, and whether its bucket's policy blocks by tag.

use super::SurveyError;
use crate::{
    actions::{ObjectTags, TagSet, made},
    aws::{Aws, AwsError, classify},
    domain::{AccountId, ObjectResource, Region},
};
use serde_json::Value;

pub const READS: &[&str] =
    &["s3:GetBucketPolicy", "s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:ListAllMyBuckets"];

#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub target: ObjectTags,
    pub tags: TagSet,
    /// The tag by which the bucket's policy denies reading, and a value of it that does.
    pub blocked_by: Option<(String, String)>,
}

impl Object {
    /// One round.
    pub async fn read(
        aws: &Aws,
        account: &AccountId,
        region: &Region,
        object: &ObjectResource,
    ) -> Result<Self, SurveyError> {
        let target = ObjectTags { account: account.clone(), region: region.clone(), object: object.clone() };
        let policy = aws.s3(region).get_bucket_policy().bucket(object.bucket.as_str());
        let (created, tags, policy) = futures::join!(
            made(aws, region, &object.bucket),
            target.tags(aws),
            policy.expected_bucket_owner(account.as_str()).send()
        );
        if created?.is_none() {
            return Err(SurveyError::Vanished(format!("account {account} has no bucket {}", object.bucket)));
        }
        let tags = match tags {
            Ok(tags) => tags,
            Err(AwsError::NotFound { .. }) => return Err(SurveyError::Vanished(format!("{object} is not there"))),
            Err(error) => return Err(error.into()),
        };
        let policy = match policy.map_err(classify("s3:GetBucketPolicy")) {
            Ok(answer) => answer.policy().and_then(|policy| serde_json::from_str(policy).ok()),
            Err(AwsError::Rejected { code, .. }) if code == "NoSuchBucketPolicy" => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            target,
            tags,
            blocked_by: policy.as_ref().and_then(|policy| blocked_by(policy, object.bucket.as_str())),
        })
    }
}

const TAG: &str = "s3:existingobjecttag/";

/// Of a statement that denies everybody to read objects by one of their tags: the tag, and a value that is denied.
fn blocked_by(policy: &Value, bucket: &str) -> Option<(String, String)> {
    let statements = policy.get("Statement")?;
    let statements: Vec<&Value> = statements.as_array().map_or_else(|| vec![statements], |all| all.iter().collect());
    statements.into_iter().find_map(|statement| {
        let list = |name: &str| match statement.get(name) {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        // Whom it lets through, and which objects it leaves out, is not blocked.
        let everybody = statement
            .get("Principal")
            .is_some_and(|whom| *whom == "*" || whom.get("AWS").is_some_and(|aws| *aws == "*"));
        let all = format!("{bucket}/*");
        let every_object =
            list("Resource").iter().any(|resource| *resource == "*" || resource.rsplit(":::").next() == Some(&all));
        if !everybody || !every_object {
            return None;
        }
        let denies = statement.get("Effect").and_then(Value::as_str) == Some("Deny");
        let reads = ["*", "s3:*", "s3:GetObject", "s3:Get*", "s3:GetObject*"];
        if !denies || !list("Action").iter().any(|action| reads.contains(action)) {
            return None;
        }
        let conditions = statement.get("Condition")?.as_object()?;
        // With a second condition it denies only some.
        let (operator, keys) = conditions.iter().next().filter(|_| conditions.len() == 1)?;
        let keys = keys.as_object()?;
        let (key, value) = keys.iter().next().filter(|_| keys.len() == 1)?;
        let tag = key.get(TAG.len()..).filter(|_| key.to_lowercase().starts_with(TAG))?.to_owned();
        let value = value.as_str().or_else(|| value.as_array()?.first()?.as_str())?;
        match operator.as_str() {
            "StringEquals" => Some((tag, value.to_owned())),
            "StringNotEquals" if value != THREATS => Some((tag, THREATS.to_owned())),
            _ => None,
        }
    })
}

/// As GuardDuty writes it.
const THREATS: &str = "THREATS_FOUND";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_statement_that_denies_by_one_tag_alone_blocks() {
        let of = |effect: &str, action: Value, condition: Value| {
            let mut statement = json!({"Effect": effect, "Principal": "*", "Action": action, "Condition": condition,
                "Resource": "arn:aws:s3:::uploads/*"});
            let whole = blocked_by(&json!({"Statement": [statement]}), "uploads");
            let some = json!({"AWS": "arn:aws:iam::111122223333:role/x"});
            for (name, value) in [("Principal", some), ("Resource", json!("arn:aws:s3:::uploads/in/*"))] {
                let before = statement[name].take();
                statement[name] = value;
                assert_eq!(blocked_by(&json!({"Statement": [statement]}), "uploads"), None, "{name}");
                statement[name] = before;
            }
            whole
        };
        let clean = json!({"StringNotEquals": {"s3:ExistingObjectTag/GuardDutyMalwareScanStatus": "NO_THREATS_FOUND"}});
        let bad = json!({"StringEquals": {"s3:ExistingObjectTag/quarantine": ["yes"]}});
        let tag = |key: &str, value: &str| Some((key.to_owned(), value.to_owned()));
        assert_eq!(
            of("Deny", json!("s3:GetObject"), clean.clone()),
            tag("GuardDutyMalwareScanStatus", "THREATS_FOUND")
        );
        assert_eq!(of("Deny", json!(["s3:GetObject", "s3:PutObject"]), bad.clone()), tag("quarantine", "yes"));
        assert_eq!(of("Allow", json!("s3:GetObject"), bad.clone()), None);
        assert_eq!(of("Deny", json!("s3:PutObject"), bad), None);
        let two = json!({"StringEquals": {"s3:ExistingObjectTag/a": "b"}, "Bool": {"aws:SecureTransport": "false"}});
        assert_eq!(of("Deny", json!("s3:GetObject"), two), None);
        assert_eq!(of("Deny", json!("s3:GetObject"), json!(null)), None);
    }
}
