//! AWS's wire protocols as far as a bystander must know them: which operation a request asks for, and on what.
//!
//! Pure functions over requests. Nothing here is validated; what cannot be read is an empty string.

mod rest;

use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Form in, XML out; EC2 has errors of its own shape.
    Ec2,
    /// Form in, XML out: IAM, STS, SNS, Auto Scaling …
    Query,
    /// JSON with `x-amz-target`: DynamoDB, SQS, CloudTrail …
    Json,
    /// The operation is method and path: Lambda, GuardDuty …; what `rest.rs` knows is called by its name.
    RestJson,
    /// The same with XML: S3.
    RestXml,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub protocol: Protocol,
    /// As in the credential scope: `ec2`, `iam`, `dynamodb`.
    pub service: String,
    pub operation: String,
    /// The most telling id in the request, or nothing.
    pub resource: String,
    pub mutating: bool,
    /// How many items a transaction has; the answer to it lists as many reasons.
    pub(crate) items: usize,
}

const READS: &[&str] = &["Describe", "Get", "List", "Lookup", "BatchGet", "TransactGet", "Query", "Scan"];

/// Parameters that name what a query call is about, the most telling first.
const QUERY_IDS: &[&str] = &[
    "NetworkInterfaceId",
    "InstanceId",
    "GroupId",
    "AccessKeyId",
    "UserName",
    "RoleName",
    "ResourceId",
    "PolicyName",
    "PolicyArn",
    "InstanceProfileName",
    "VolumeId",
    "SnapshotId",
    "AssociationId",
    "NetworkAclId",
    "SecurityGroupRuleId",
    "GroupName",
    "TopicArn",
    "RoleArn",
    "VpcId",
    "Filter.1.Value",
];

const JSON_IDS: &[&str] = &[
    "QueueUrl",
    "TopicArn",
    "SecretId",
    "KeyId",
    "InstanceId",
    "SessionId",
    "ConfigurationRecorderName",
    "TrailName",
    "trailNameList",
    "Name",
    "NamePrefix",
];

/// Reads a request in whatever protocol it is.
pub fn read(parts: &Parts, body: &[u8]) -> Asked {
    let service = service(&parts.headers);
    if let Some(target) = header(&parts.headers, "x-amz-target") {
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        let operation = target.rsplit('.').next().unwrap_or(target);
        return Asked {
            protocol: Protocol::Json,
            resource: json_resource(&body),
            mutating: !is_read(operation),
            operation: operation.to_owned(),
            items: body["TransactItems"].as_array().map_or(0, Vec::len),
            service,
        };
    }
    if header(&parts.headers, CONTENT_TYPE.as_str())
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
    {
        let form = form(body);
        let operation = value(&form, "Action").unwrap_or_default();
        return Asked {
            protocol: if service == "ec2" { Protocol::Ec2 } else { Protocol::Query },
            resource: query_resource(&form),
            mutating: !is_read(operation),
            operation: operation.to_owned(),
            items: 0,
            service,
        };
    }
    let (operation, resource) = rest::known(&service, parts).unwrap_or_else(|| (method_and_path(parts), String::new()));
    Asked {
        protocol: match service.as_str() {
            "s3" | "route53" | "cloudfront" => Protocol::RestXml,
            _ => Protocol::RestJson,
        },
        // GuardDuty reads by POST what takes a body to ask for.
        mutating: parts.method != Method::GET && parts.method != Method::HEAD && !is_read(&operation),
        operation,
        resource,
        items: 0,
        service,
    }
}

fn is_read(operation: &str) -> bool {
    READS.iter().any(|read| operation.starts_with(read))
}

/// `Credential=AKIA…/20250102/us-east-1/ec2/aws4_request`
fn service(headers: &HeaderMap) -> String {
    let scope = header(headers, AUTHORIZATION.as_str())
        .and_then(|value| value.split_once("Credential="))
        .and_then(|(_, scope)| scope.split('/').nth(3));
    scope.unwrap_or_default().to_owned()
}

/// With the sub-resource that S3 names by a parameter without a value (`PUT /bucket?inventory`).
fn method_and_path(parts: &Parts) -> String {
    let operation = format!("{} {}", parts.method, parts.uri.path());
    match rest::aspect(parts.uri.query().unwrap_or_default()) {
        Some(aspect) => format!("{operation}?{aspect}"),
        None => operation,
    }
}

fn query_resource(form: &[(String, String)]) -> String {
    let found = QUERY_IDS.iter().find_map(|key| {
        let value = value(form, key)
            .or_else(|| value(form, &format!("{key}.1")))
            .or_else(|| value(form, &format!("{key}.member.1")))?;
        Some((*key, value))
    });
    let Some((key, id)) = found else {
        return String::new();
    };
    let policy = value(form, "PolicyName").or_else(|| value(form, "PolicyArn"));
    match (key, policy) {
        ("UserName" | "RoleName", Some(policy)) => format!("{id}/{policy}"),
        _ => id.to_owned(),
    }
}

fn json_resource(body: &Value) -> String {
    if let Some(table) = table(body) {
        // The item by its partition, so that a script can mean one item of the table.
        let item = body["Key"]["pk"]["S"].as_str().or_else(|| body["Item"]["pk"]["S"].as_str());
        return item.map_or_else(|| table.to_owned(), |item| format!("{table}/{item}"));
    }
    // Of a list the first.
    let text = |key: &str| body[key].as_str().or_else(|| body[key][0].as_str());
    let id = JSON_IDS.iter().find_map(|key| match (*key, text(key)?) {
        ("QueueUrl", url) => url.rsplit('/').next(),
        (_, id) => Some(id),
    });
    id.unwrap_or_default().to_owned()
}

/// A DynamoDB table: at the top, in a transaction's first item, or as the key of a batch.
fn table(body: &Value) -> Option<&str> {
    if let Some(table) = body["TableName"].as_str() {
        return Some(table);
    }
    if let Some(tables) = body["RequestItems"].as_object() {
        return tables.keys().next().map(String::as_str);
    }
    let item = body["TransactItems"].get(0)?.as_object()?;
    item.values().find_map(|write| write["TableName"].as_str())
}

pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn value<'a>(form: &'a [(String, String)], key: &str) -> Option<&'a str> {
    let pair = form.iter().find(|(name, _)| name == key)?;
    Some(pair.1.as_str())
}

fn form(body: &[u8]) -> Vec<(String, String)> {
    let body = String::from_utf8_lossy(body);
    body.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (decode(key), decode(value))).collect()
}

fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let digits = || Some([bytes.next()?, bytes.next()?]);
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex(digits).unwrap_or(b'%'),
            other => other,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex(digits: impl FnOnce() -> Option<[u8; 2]>) -> Option<u8> {
    let [high, low] = digits()?.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;
    use serde_json::json;

    fn signed(service: &str) -> hyper::http::request::Builder {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20250102/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        Request::builder().method("POST").uri("/").header("authorization", scope)
    }

    fn parts(request: hyper::http::request::Builder) -> Parts {
        request.body(()).unwrap().into_parts().0
    }

    fn query(service: &str, body: &str) -> Asked {
        let kind = "application/x-www-form-urlencoded";
        read(&parts(signed(service).header("content-type", kind)), body.as_bytes())
    }

    fn json_call(service: &str, target: &str, body: Value) -> Asked {
        read(&parts(signed(service).header("x-amz-target", target)), body.to_string().as_bytes())
    }

    fn rest(service: &str, method: &str, uri: &str) -> Asked {
        read(&parts(signed(service).method(method).uri(uri)), b"")
    }

    #[test]
    fn a_request_tells_its_operation_and_resource() {
        let table = json!({"TableName": "cordon", "Key": {"pk": {"S": "T#1"}}});
        let transaction =
            json!({"TransactItems": [{"Put": {"TableName": "cordon"}}, {"Update": {"TableName": "cordon"}}]});
        let queue = json!({"QueueUrl": "http://127.0.0.1:1/200000000001/recheck"});
        use Protocol::{Ec2, Json, Query, RestJson, RestXml};
        for (asked, protocol, service, operation, resource, mutating) in [
            (
                query(
                    "ec2",
                    "Action=ModifyNetworkInterfaceAttribute&Version=2016-11-15&SecurityGroupId.1=sg-1&NetworkInterfaceId=eni-1",
                ),
                Ec2,
                "ec2",
                "ModifyNetworkInterfaceAttribute",
                "eni-1",
                true,
            ),
            (
                query("ec2", "Action=DescribeInstances&InstanceId.1=i-1&InstanceId.2=i-2"),
                Ec2,
                "ec2",
                "DescribeInstances",
                "i-1",
                false,
            ),
            (
                query(
                    "ec2",
                    "Action=DescribeNetworkInterfaces&Filter.1.Name=attachment.instance-id&Filter.1.Value.1=i-1",
                ),
                Ec2,
                "ec2",
                "DescribeNetworkInterfaces",
                "i-1",
                false,
            ),
            (query("ec2", "Action=CreateTags&ResourceId.1=sg-1&Tag.1.Key=a"), Ec2, "ec2", "CreateTags", "sg-1", true),
            (query("ec2", "Action=DescribeRegions"), Ec2, "ec2", "DescribeRegions", "", false),
            (
                query("iam", "Action=UpdateAccessKey&UserName=alice&AccessKeyId=AKIA1&Status=Inactive"),
                Query,
                "iam",
                "UpdateAccessKey",
                "AKIA1",
                true,
            ),
            (
                query(
                    "iam",
                    "Action=PutRolePolicy&RoleName=web&PolicyName=CordonDeny%2Dall&PolicyDocument=%7B%22a%22%3A+1%7D",
                ),
                Query,
                "iam",
                "PutRolePolicy",
                "web/CordonDeny-all",
                true,
            ),
            (
                query(
                    "iam",
                    "Action=AttachUserPolicy&UserName=alice&PolicyArn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FAWSDenyAll",
                ),
                Query,
                "iam",
                "AttachUserPolicy",
                "alice/arn:aws:iam::aws:policy/AWSDenyAll",
                true,
            ),
            (query("iam", "Action=ListAccessKeys&UserName=alice"), Query, "iam", "ListAccessKeys", "alice", false),
            (
                query("sns", "Action=Publish&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A1%3At"),
                Query,
                "sns",
                "Publish",
                "arn:aws:sns:us-east-1:1:t",
                true,
            ),
            (
                json_call("dynamodb", "DynamoDB_20120810.GetItem", table),
                Json,
                "dynamodb",
                "GetItem",
                "cordon/T#1",
                false,
            ),
            (
                json_call("dynamodb", "DynamoDB_20120810.TransactWriteItems", transaction),
                Json,
                "dynamodb",
                "TransactWriteItems",
                "cordon",
                true,
            ),
            (json_call("sqs", "AmazonSQS.SendMessageBatch", queue), Json, "sqs", "SendMessageBatch", "recheck", true),
            (
                json_call("cloudtrail", "CloudTrail_20131101.StartLogging", json!({"Name": "audit"})),
                Json,
                "cloudtrail",
                "StartLogging",
                "audit",
                true,
            ),
            (
                json_call("cloudtrail", "CloudTrail_20131101.DescribeTrails", json!({"trailNameList": ["audit"]})),
                Json,
                "cloudtrail",
                "DescribeTrails",
                "audit",
                false,
            ),
            (
                query("ec2", "Action=RevokeSecurityGroupIngress&GroupId=sg-1&SecurityGroupRuleId.1=sgr-1"),
                Ec2,
                "ec2",
                "RevokeSecurityGroupIngress",
                "sg-1",
                true,
            ),
            (rest("s3", "PUT", "/bucket?publicAccessBlock"), RestXml, "s3", "PutPublicAccessBlock", "bucket", true),
            (
                rest("s3", "GET", "/bucket?policy=&x-id=GetBucketPolicy"),
                RestXml,
                "s3",
                "GetBucketPolicy",
                "bucket",
                false,
            ),
            (rest("s3", "GET", "/?x-id=ListBuckets"), RestXml, "s3", "ListBuckets", "", false),
            (rest("s3", "HEAD", "/bucket"), RestXml, "s3", "HeadBucket", "bucket", false),
            (rest("s3", "PUT", "/bucket?inventory&id=1"), RestXml, "s3", "PUT /bucket?inventory", "", true),
            (rest("guardduty", "GET", "/detector/d1"), RestJson, "guardduty", "GetDetector", "d1", false),
            (rest("guardduty", "POST", "/detector/d1"), RestJson, "guardduty", "UpdateDetector", "d1", true),
            (rest("guardduty", "POST", "/detector/d1/findings"), RestJson, "guardduty", "ListFindings", "d1", false),
            (rest("lambda", "PUT", "/functions/f/code"), RestJson, "lambda", "PUT /functions/f/code", "", true),
        ] {
            assert_eq!(asked.protocol, protocol, "{operation}");
            assert_eq!(asked.service, service, "{operation}");
            assert_eq!(asked.operation, operation);
            assert_eq!(asked.resource, resource, "{operation}");
            assert_eq!(asked.mutating, mutating, "{operation}");
        }
    }

    #[test]
    fn a_request_that_cannot_be_read_is_nothing_in_particular() {
        let asked = read(&parts(Request::builder().uri("/moto-api")), b"\xff%");
        assert_eq!((asked.service.as_str(), asked.resource.as_str()), ("", ""));
        assert_eq!(query("ec2", "Action=%zz&%").operation, "%");
        assert_eq!(json_call("sqs", "AmazonSQS.Purge", json!("x")).resource, "");
    }
}
