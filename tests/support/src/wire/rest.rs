//! The operations of S3 and GuardDuty, whose protocols have no word for them: they are method, path and parameters.
//!
//! The tables are botocore's models, as far as a responder to incidents comes near them.

use hyper::Method;
use hyper::http::request::Parts;

/// Operation and resource; None of what the tables do not know. S3's resource is the bucket, or `bucket/key`, and GuardDuty's the detector.
pub(super) fn known(service: &str, parts: &Parts) -> Option<(String, String)> {
    let path = parts.uri.path().trim_matches('/');
    let query = parts.uri.query().unwrap_or_default();
    match service {
        "s3" => {
            // The SDKs say it where method and path leave it open, and at times where they do not.
            let operation = match parameter(query, "x-id") {
                Some(operation) if !operation.is_empty() => operation,
                _ => find(S3, &parts.method, path, query)?,
            };
            Some((operation.to_owned(), path.to_owned()))
        }
        "guardduty" => {
            let operation = find(GUARDDUTY, &parts.method, path, "")?;
            let detector = path.strip_prefix("detector/").and_then(|rest| rest.split('/').next());
            Some((operation.to_owned(), detector.unwrap_or_default().to_owned()))
        }
        _ => None,
    }
}

/// The sub-resource that S3 names by a parameter without a value.
pub(super) fn aspect(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| match pair.split_once('=') {
        None | Some((_, "")) => pair.split('=').next().filter(|key| !key.is_empty()),
        Some(_) => None,
    })
}

fn parameter<'a>(query: &'a str, key: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == key).map(|(_, value)| value))
}

/// Method, path and operation. In a path `*` is one segment and `**` all the rest; what follows `?` must be in the query, and without
/// one no sub-resource may be.
type Known = (&'static str, &'static str, &'static str);

fn find(table: &[Known], method: &Method, path: &str, query: &str) -> Option<&'static str> {
    let is_asked = |(verb, pattern, _): &&Known| {
        let (segments, wanted) =
            pattern.split_once('?').map_or((*pattern, None), |(path, wanted)| (path, Some(wanted)));
        let names_it = match wanted {
            Some(wanted) => query.split('&').any(|pair| pair.trim_end_matches('=') == wanted),
            None => aspect(query).is_none(),
        };
        *verb == method.as_str() && names_it && matches(segments, path)
    };
    table.iter().find(is_asked).map(|(.., operation)| *operation)
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some("**"), Some(rest)) => return !rest.is_empty(),
            (Some("*"), Some(segment)) if !segment.is_empty() => {}
            (Some(wanted), Some(segment)) if wanted == segment => {}
            _ => return false,
        }
    }
}

const S3: &[Known] = &[
    ("GET", "", "ListBuckets"),
    ("PUT", "*?publicAccessBlock", "PutPublicAccessBlock"),
    ("GET", "*?publicAccessBlock", "GetPublicAccessBlock"),
    ("DELETE", "*?publicAccessBlock", "DeletePublicAccessBlock"),
    ("PUT", "*?policy", "PutBucketPolicy"),
    ("GET", "*?policy", "GetBucketPolicy"),
    ("DELETE", "*?policy", "DeleteBucketPolicy"),
    ("GET", "*?policyStatus", "GetBucketPolicyStatus"),
    ("PUT", "*?website", "PutBucketWebsite"),
    ("GET", "*?website", "GetBucketWebsite"),
    ("DELETE", "*?website", "DeleteBucketWebsite"),
    ("PUT", "*?tagging", "PutBucketTagging"),
    ("GET", "*?tagging", "GetBucketTagging"),
    ("DELETE", "*?tagging", "DeleteBucketTagging"),
    ("PUT", "*?acl", "PutBucketAcl"),
    ("GET", "*?acl", "GetBucketAcl"),
    ("PUT", "*?ownershipControls", "PutBucketOwnershipControls"),
    ("GET", "*?ownershipControls", "GetBucketOwnershipControls"),
    ("DELETE", "*?ownershipControls", "DeleteBucketOwnershipControls"),
    ("PUT", "*?encryption", "PutBucketEncryption"),
    ("GET", "*?encryption", "GetBucketEncryption"),
    ("DELETE", "*?encryption", "DeleteBucketEncryption"),
    ("PUT", "*?versioning", "PutBucketVersioning"),
    ("GET", "*?versioning", "GetBucketVersioning"),
    ("PUT", "*?lifecycle", "PutBucketLifecycleConfiguration"),
    ("GET", "*?lifecycle", "GetBucketLifecycleConfiguration"),
    ("DELETE", "*?lifecycle", "DeleteBucketLifecycle"),
    ("PUT", "*?logging", "PutBucketLogging"),
    ("GET", "*?logging", "GetBucketLogging"),
    ("GET", "*?location", "GetBucketLocation"),
    ("GET", "*?list-type=2", "ListObjectsV2"),
    ("GET", "*?versions", "ListObjectVersions"),
    ("POST", "*?delete", "DeleteObjects"),
    ("PUT", "*", "CreateBucket"),
    ("HEAD", "*", "HeadBucket"),
    ("DELETE", "*", "DeleteBucket"),
    ("GET", "*", "ListObjects"),
    ("PUT", "*/**?tagging", "PutObjectTagging"),
    ("GET", "*/**?tagging", "GetObjectTagging"),
    ("DELETE", "*/**?tagging", "DeleteObjectTagging"),
    ("PUT", "*/**?acl", "PutObjectAcl"),
    ("GET", "*/**?acl", "GetObjectAcl"),
    ("GET", "*/**?attributes", "GetObjectAttributes"),
    ("PUT", "*/**", "PutObject"),
    ("GET", "*/**", "GetObject"),
    ("HEAD", "*/**", "HeadObject"),
    ("DELETE", "*/**", "DeleteObject"),
];

const GUARDDUTY: &[Known] = &[
    ("GET", "detector", "ListDetectors"),
    ("POST", "detector", "CreateDetector"),
    ("GET", "detector/*", "GetDetector"),
    ("POST", "detector/*", "UpdateDetector"),
    ("DELETE", "detector/*", "DeleteDetector"),
    ("GET", "detector/*/administrator", "GetAdministratorAccount"),
    ("POST", "detector/*/administrator/disassociate", "DisassociateFromAdministratorAccount"),
    ("GET", "detector/*/admin", "DescribeOrganizationConfiguration"),
    ("GET", "detector/*/member", "ListMembers"),
    ("POST", "detector/*/member/get", "GetMembers"),
    ("POST", "detector/*/member/detector/get", "GetMemberDetectors"),
    ("POST", "detector/*/member/detector/update", "UpdateMemberDetectors"),
    ("POST", "detector/*/member/start", "StartMonitoringMembers"),
    ("POST", "detector/*/findings", "ListFindings"),
    ("POST", "detector/*/findings/get", "GetFindings"),
    ("POST", "detector/*/findings/statistics", "GetFindingsStatistics"),
    ("POST", "detector/*/findings/archive", "ArchiveFindings"),
    ("POST", "detector/*/findings/unarchive", "UnarchiveFindings"),
    ("POST", "detector/*/findings/feedback", "UpdateFindingsFeedback"),
    ("POST", "detector/*/findings/create", "CreateSampleFindings"),
    ("GET", "detector/*/filter", "ListFilters"),
    ("POST", "detector/*/filter", "CreateFilter"),
    ("GET", "detector/*/filter/*", "GetFilter"),
    ("POST", "detector/*/filter/*", "UpdateFilter"),
    ("DELETE", "detector/*/filter/*", "DeleteFilter"),
    ("GET", "detector/*/ipset", "ListIPSets"),
    ("GET", "detector/*/ipset/*", "GetIPSet"),
    ("GET", "detector/*/publishingDestination", "ListPublishingDestinations"),
    ("GET", "admin", "ListOrganizationAdminAccounts"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn asked(service: &str, method: &str, uri: &str) -> Option<(String, String)> {
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        known(service, &request.into_parts().0)
    }

    #[test]
    fn an_operation_is_method_path_and_sub_resource() {
        for (service, method, uri, operation, resource) in [
            ("s3", "GET", "/?x-id=ListBuckets", "ListBuckets", ""),
            ("s3", "GET", "/?prefix=assets-1&x-id=ListBuckets", "ListBuckets", ""),
            ("s3", "GET", "/?prefix=assets-1", "ListBuckets", ""),
            ("s3", "PUT", "/assets?publicAccessBlock", "PutPublicAccessBlock", "assets"),
            ("s3", "GET", "/assets/?publicAccessBlock=", "GetPublicAccessBlock", "assets"),
            ("s3", "DELETE", "/assets?publicAccessBlock", "DeletePublicAccessBlock", "assets"),
            ("s3", "GET", "/assets?website", "GetBucketWebsite", "assets"),
            ("s3", "GET", "/assets?policy", "GetBucketPolicy", "assets"),
            ("s3", "GET", "/assets?policyStatus", "GetBucketPolicyStatus", "assets"),
            ("s3", "GET", "/assets?list-type=2&prefix=a", "ListObjectsV2", "assets"),
            ("s3", "GET", "/assets?prefix=a", "ListObjects", "assets"),
            ("s3", "PUT", "/assets", "CreateBucket", "assets"),
            ("s3", "HEAD", "/assets", "HeadBucket", "assets"),
            ("s3", "GET", "/assets?tagging", "GetBucketTagging", "assets"),
            ("s3", "GET", "/assets/a/b.csv?tagging", "GetObjectTagging", "assets/a/b.csv"),
            ("s3", "PUT", "/assets/a/b.csv?tagging&versionId=7", "PutObjectTagging", "assets/a/b.csv"),
            ("s3", "GET", "/assets/a/b.csv?x-id=GetObject", "GetObject", "assets/a/b.csv"),
            ("s3", "PUT", "/assets/a?x-id=UploadPart&partNumber=1&uploadId=u", "UploadPart", "assets/a"),
            ("guardduty", "GET", "/detector", "ListDetectors", ""),
            ("guardduty", "GET", "/detector?maxResults=50&nextToken=", "ListDetectors", ""),
            ("guardduty", "GET", "/detector/d1", "GetDetector", "d1"),
            ("guardduty", "POST", "/detector/d1", "UpdateDetector", "d1"),
            ("guardduty", "GET", "/detector/d1/administrator", "GetAdministratorAccount", "d1"),
            ("guardduty", "POST", "/detector/d1/findings/get", "GetFindings", "d1"),
            ("guardduty", "DELETE", "/detector/d1/filter/noise", "DeleteFilter", "d1"),
        ] {
            let found = asked(service, method, uri);
            assert_eq!(found, Some((operation.to_owned(), resource.to_owned())), "{service} {method} {uri}");
        }
    }

    #[test]
    fn what_the_tables_lack_has_no_name() {
        for (service, method, uri) in [
            ("s3", "GET", "/assets?inventory&id=daily"),
            ("s3", "POST", "/assets"),
            ("s3", "PUT", "/"),
            ("guardduty", "GET", "/detector/d1/nothing"),
            ("guardduty", "PUT", "/detector/d1"),
            ("guardduty", "POST", "/detector/d1/member/detector"),
            ("lambda", "GET", "/detector/d1"),
        ] {
            assert_eq!(asked(service, method, uri), None, "{service} {method} {uri}");
        }
    }
}
