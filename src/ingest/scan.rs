//! GuardDuty's scans of objects for malware: `detail` of "GuardDuty Malware Protection Object Scan Result"; members after the GuardDuty user
//! guide, "Monitoring S3 object scans with Amazon EventBridge".
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Ingested, cursor::Cursor, ended};
use crate::domain::{
    AccountId, BucketName, ObjectKey, ObjectResource, OutcomeKind, Region, Text, Timestamp, VersionId,
};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub struct ObjectScan {
    pub object: ObjectResource,
    pub threats: Vec<Text>,
    pub account: Option<AccountId>,
    pub account_shown: Text,
    pub region: Option<Region>,
    pub at: Option<Timestamp>,
}

/// Names of threats that people are told of.
const MOST_THREATS: usize = 10;

/// `account` and `region` are the envelope's: the detail has none.
pub fn event(detail: &Value, account: &str, region: &str, time: &str) -> Ingested {
    let at = Cursor::new(detail);
    let result = at.path("scanResultDetails.scanResultStatus").str();
    if result != Some("THREATS_FOUND") {
        let shown = Text::new(result.unwrap_or("no result"));
        return ended(OutcomeKind::Ignored, "no-threat-found", format!("the scan says `{shown}`"));
    }
    let Some(object) = object(at.get("s3ObjectDetails"), "bucketName", "objectKey") else {
        return ended(OutcomeKind::Declined, "no-object", "the scan names no usable object");
    };
    let threats = at.path("scanResultDetails.threats").items().filter_map(|threat| threat.get("name").text());
    Ingested::Scan(Box::new(ObjectScan {
        object,
        threats: threats.take(MOST_THREATS).collect(),
        account: AccountId::parse(account).ok(),
        account_shown: Text::new(account),
        region: Region::parse(region).ok(),
        at: Timestamp::parse(time),
    }))
}

/// An object by bucket and key, with its version where it has one.
pub fn object(at: Cursor<'_>, bucket: &str, key: &str) -> Option<ObjectResource> {
    let bucket = BucketName::parse(at.get(bucket).str()?).ok()?;
    let key = ObjectKey::parse(at.get(key).str()?).ok()?;
    // A bucket without versions says null, in words or not.
    let version = at.get("versionId").str().filter(|version| *version != "null");
    Some(ObjectResource { bucket, key, version: version.and_then(|version| VersionId::parse(version).ok()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_scan_without_a_threat_or_an_object_is_no_finding() {
        let of = |status: &str, object: Value| {
            let detail = json!({"scanResultDetails": {"scanResultStatus": status, "threats": [{"name": "EICAR"}]}, "s3ObjectDetails": object});
            match event(&detail, "111122223333", "us-east-1", "2026-11-20T12:00:00Z") {
                Ingested::Scan(scan) => Ok(scan.object),
                Ingested::Ended(outcome) => Err(outcome.reasons[0].code.to_string()),
                other => panic!("{other:?}"),
            }
        };
        let object = json!({"bucketName": "uploads", "objectKey": "a b/ü.zip", "versionId": "null"});
        let found = of("THREATS_FOUND", object.clone()).unwrap();
        assert_eq!((found.bucket.as_str(), found.key.as_str(), found.version), ("uploads", "a b/ü.zip", None));
        assert_eq!(of("NO_THREATS_FOUND", object), Err("no-threat-found".into()));
        assert_eq!(of("THREATS_FOUND", json!({"bucketName": "UP", "objectKey": "x"})), Err("no-object".into()));
        assert_eq!(
            of("THREATS_FOUND", json!({"bucketName": "uploads", "objectKey": "a\u{7}b"})),
            Err("no-object".into())
        );
    }
}
