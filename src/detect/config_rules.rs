//! The managed rules of AWS Config that are answered: what one of them says of a resource means, and what a person should do. Pure data;
//! identifiers after the Config developer guide, "List of AWS Config managed rules".
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::domain::{
    Impact,
    Severity::{self, High, Low, Medium},
    Situation,
};

pub struct ConfigRule {
    /// `Source.SourceIdentifier`: names change, it does not.
    pub identifier: &'static str,
    /// The name that it has where nobody gave it another.
    pub name: &'static str,
    pub situation: Situation,
    pub severity: Severity,
    pub impact: Impact,
    /// What a person should do, where Cordon does not correct it.
    pub advice: &'static str,
}

const fn rule(
    identifier: &'static str,
    name: &'static str,
    situation: Situation,
    severity: Severity,
    impact: Impact,
    advice: &'static str,
) -> ConfigRule {
    ConfigRule { identifier, name, situation, severity, impact, advice }
}

use Impact::{DataBreach, EvidenceTampering, ServiceDisruption, UnauthorisedAccess};
use Situation::{
    AuditTrailSilenced, ExposedBucket, ExposedPort, KeyDestruction, NonCompliant, ThreatDetectionSilenced,
};

#[rustfmt::skip]
pub const CONFIG_RULES: &[ConfigRule] = &[
    rule("INCOMING_SSH_DISABLED", "restricted-ssh", ExposedPort, High, UnauthorisedAccess, "Take the rule that lets the world in out of the group; use Session Manager or a fixed network instead."),
    rule("RESTRICTED_INCOMING_TRAFFIC", "restricted-common-ports", ExposedPort, High, UnauthorisedAccess, "Take the rule that lets the world in out of the group."),
    rule("VPC_SG_OPEN_ONLY_TO_AUTHORIZED_PORTS", "vpc-sg-open-only-to-authorized-ports", ExposedPort, High, UnauthorisedAccess, "Close the port, or name it among the rule's authorised ports and the policy's public-ports."),
    rule("VPC_DEFAULT_SECURITY_GROUP_CLOSED", "vpc-default-security-group-closed", NonCompliant, Medium, UnauthorisedAccess, "Take all rules out of the default group; what uses it should have a group of its own."),
    rule("NACL_NO_UNRESTRICTED_SSH_RDP", "nacl-no-unrestricted-ssh-rdp", NonCompliant, Medium, UnauthorisedAccess, "Narrow the entry of the network ACL; the security groups still hold."),
    rule("S3_BUCKET_PUBLIC_READ_PROHIBITED", "s3-bucket-public-read-prohibited", ExposedBucket, Medium, DataBreach, "Block public access of the bucket; a website belongs behind CloudFront."),
    rule("S3_BUCKET_PUBLIC_WRITE_PROHIBITED", "s3-bucket-public-write-prohibited", ExposedBucket, Medium, DataBreach, "Block public access of the bucket and look at what was written into it."),
    rule("S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED", "s3-bucket-level-public-access-prohibited", ExposedBucket, Medium, DataBreach, "Block public access of the bucket."),
    rule("S3_ACCOUNT_LEVEL_PUBLIC_ACCESS_BLOCKS", "s3-account-level-public-access-blocks", NonCompliant, High, DataBreach, "Switch the account's public access block on again, once no bucket needs to be public."),
    rule("S3_ACCOUNT_LEVEL_PUBLIC_ACCESS_BLOCKS_PERIODIC", "s3-account-level-public-access-blocks-periodic", NonCompliant, High, DataBreach, "Switch the account's public access block on again, once no bucket needs to be public."),
    rule("S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED", "s3-bucket-server-side-encryption-enabled", NonCompliant, Low, DataBreach, "Set default encryption; objects that are there keep what they have."),
    rule("S3_BUCKET_SSL_REQUESTS_ONLY", "s3-bucket-ssl-requests-only", NonCompliant, Low, DataBreach, "Deny requests without TLS in the bucket's policy."),
    rule("S3_BUCKET_LOGGING_ENABLED", "s3-bucket-logging-enabled", NonCompliant, Low, EvidenceTampering, "Switch access logging on again."),
    rule("S3_BUCKET_VERSIONING_ENABLED", "s3-bucket-versioning-enabled", NonCompliant, Low, DataBreach, "Switch versioning on again, and find out who suspended it."),
    rule("ENCRYPTED_VOLUMES", "encrypted-volumes", NonCompliant, Low, DataBreach, "A volume cannot be encrypted in place: copy its snapshot with encryption and replace it."),
    rule("EC2_EBS_ENCRYPTION_BY_DEFAULT", "ec2-ebs-encryption-by-default", NonCompliant, Medium, DataBreach, "Switch encryption by default on in this region."),
    rule("RDS_STORAGE_ENCRYPTED", "rds-storage-encrypted", NonCompliant, Low, DataBreach, "A database cannot be encrypted in place: restore it from an encrypted copy of a snapshot."),
    rule("RDS_INSTANCE_PUBLIC_ACCESS_CHECK", "rds-instance-public-access-check", NonCompliant, High, DataBreach, "Make the database not publicly accessible; who connects from outside loses the connection."),
    rule("RDS_SNAPSHOTS_PUBLIC_PROHIBITED", "rds-snapshots-public-prohibited", Situation::DataShared, High, DataBreach, "Take `all` from the snapshot's restore attribute, and assume that it was copied."),
    rule("EBS_SNAPSHOT_PUBLIC_RESTORABLE_CHECK", "ebs-snapshot-public-restorable-check", Situation::DataShared, High, DataBreach, "Take `all` from the snapshot's permissions, and assume that it was copied."),
    rule("CLOUD_TRAIL_ENABLED", "cloudtrail-enabled", AuditTrailSilenced, High, EvidenceTampering, "Start the trail again and find out in the event history who stopped it."),
    rule("MULTI_REGION_CLOUD_TRAIL_ENABLED", "multi-region-cloudtrail-enabled", AuditTrailSilenced, High, EvidenceTampering, "Make the trail one of all regions again."),
    rule("CLOUDTRAIL_SECURITY_TRAIL_ENABLED", "cloudtrail-security-trail-enabled", AuditTrailSilenced, High, EvidenceTampering, "Put the trail back to what the rule asks for."),
    rule("CLOUD_TRAIL_LOG_FILE_VALIDATION_ENABLED", "cloud-trail-log-file-validation-enabled", NonCompliant, Medium, EvidenceTampering, "Switch log file validation on again."),
    rule("CLOUD_TRAIL_ENCRYPTION_ENABLED", "cloud-trail-encryption-enabled", NonCompliant, Low, EvidenceTampering, "Encrypt the trail's files with a key of yours."),
    rule("GUARDDUTY_ENABLED_CENTRALIZED", "guardduty-enabled-centralized", ThreatDetectionSilenced, High, EvidenceTampering, "Switch the detector on again in this region."),
    rule("SECURITYHUB_ENABLED", "securityhub-enabled", ThreatDetectionSilenced, High, EvidenceTampering, "Switch Security Hub on again."),
    rule("VPC_FLOW_LOGS_ENABLED", "vpc-flow-logs-enabled", ThreatDetectionSilenced, High, EvidenceTampering, "Make the flow log again."),
    rule("IAM_ROOT_ACCESS_KEY_CHECK", "iam-root-access-key-check", Situation::RootUsed, High, UnauthorisedAccess, "Delete root's access keys, and find out who made them."),
    rule("ROOT_ACCOUNT_MFA_ENABLED", "root-account-mfa-enabled", NonCompliant, High, UnauthorisedAccess, "Give root a second factor, or remove its credentials centrally."),
    rule("ROOT_ACCOUNT_HARDWARE_MFA_ENABLED", "root-account-hardware-mfa-enabled", NonCompliant, Medium, UnauthorisedAccess, "Give root a hardware key."),
    rule("IAM_USER_MFA_ENABLED", "iam-user-mfa-enabled", NonCompliant, Low, UnauthorisedAccess, "Ask the user for a second factor, or delete the password."),
    rule("MFA_ENABLED_FOR_IAM_CONSOLE_ACCESS", "mfa-enabled-for-iam-console-access", NonCompliant, Medium, UnauthorisedAccess, "Ask the user for a second factor, or delete the password."),
    rule("ACCESS_KEYS_ROTATED", "access-keys-rotated", NonCompliant, Low, UnauthorisedAccess, "Make a new key, switch, make the old one inactive."),
    rule("IAM_USER_UNUSED_CREDENTIALS_CHECK", "iam-user-unused-credentials-check", NonCompliant, Low, UnauthorisedAccess, "Make what nobody uses inactive."),
    rule("IAM_POLICY_NO_STATEMENTS_WITH_ADMIN_ACCESS", "iam-policy-no-statements-with-admin-access", NonCompliant, Medium, UnauthorisedAccess, "Narrow the policy; find out who wrote it."),
    rule("IAM_USER_NO_POLICIES_CHECK", "iam-user-no-policies-check", NonCompliant, Low, UnauthorisedAccess, "Give policies to groups or roles, not to users."),
    rule("IAM_PASSWORD_POLICY", "iam-password-policy", NonCompliant, Low, UnauthorisedAccess, "Put the password policy back."),
    rule("KMS_CMK_NOT_SCHEDULED_FOR_DELETION", "kms-cmk-not-scheduled-for-deletion", KeyDestruction, High, ServiceDisruption, "Cancel the deletion with `aws kms cancel-key-deletion`, unless everybody who encrypted with it agrees."),
    rule("CMK_BACKING_KEY_ROTATION_ENABLED", "cmk-backing-key-rotation-enabled", NonCompliant, Low, DataBreach, "Switch rotation on again."),
    rule("EC2_IMDSV2_CHECK", "ec2-imdsv2-check", NonCompliant, Medium, UnauthorisedAccess, "Demand tokens of the metadata service, once the instance's software can."),
    rule("EC2_INSTANCE_NO_PUBLIC_IP", "ec2-instance-no-public-ip", NonCompliant, Low, UnauthorisedAccess, "Put the instance behind a load balancer or into a private subnet."),
    rule("LAMBDA_FUNCTION_PUBLIC_ACCESS_PROHIBITED", "lambda-function-public-access-prohibited", NonCompliant, High, UnauthorisedAccess, "Take the statement that lets everybody in out of the function's policy."),
    rule("EKS_ENDPOINT_NO_PUBLIC_ACCESS", "eks-endpoint-no-public-access", NonCompliant, Medium, UnauthorisedAccess, "Make the cluster's endpoint private, or narrow who may reach it."),
    rule("SECRETSMANAGER_ROTATION_ENABLED_CHECK", "secretsmanager-rotation-enabled-check", NonCompliant, Low, DataBreach, "Switch rotation on again."),
];

pub fn by_identifier(identifier: &str) -> Option<&'static ConfigRule> {
    CONFIG_RULES.iter().find(|rule| rule.identifier == identifier)
}

/// A guess, where nobody can be asked: names carry the rule's own, with something before or behind it (Security Hub: `securityhub-NAME-HEX`;
/// conformance packs: `NAME-conformance-pack-ID`).
pub fn by_name(name: &str) -> Option<&'static ConfigRule> {
    let bare = name.strip_prefix("securityhub-").unwrap_or(name);
    let bare = bare.split("-conformance-pack-").next().unwrap_or(bare);
    let without_hex = bare.rsplit_once('-').filter(|_| hex_like(bare)).map_or(bare, |(before, _)| before);
    CONFIG_RULES.iter().find(|rule| [bare, without_hex].iter().any(|name| name.eq_ignore_ascii_case(rule.name)))
}

/// Whether what follows the last dash is no word of a name but eight hexadecimal digits.
fn hex_like(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(_, hex)| hex.len() == 8 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_of_packs_and_of_security_hub_are_seen_through() {
        for (name, identifier) in [
            ("restricted-ssh", Some("INCOMING_SSH_DISABLED")),
            ("securityhub-restricted-ssh-1a2b3c4d", Some("INCOMING_SSH_DISABLED")),
            ("restricted-ssh-conformance-pack-abc123def", Some("INCOMING_SSH_DISABLED")),
            ("Encrypted-Volumes", Some("ENCRYPTED_VOLUMES")),
            ("our-own-rule", None),
            ("restricted-ssh-of-team-x", None),
            ("", None),
        ] {
            assert_eq!(by_name(name).map(|rule| rule.identifier), identifier, "{name}");
        }
    }

    #[test]
    fn no_rule_is_there_twice() {
        let names: BTreeSet<&str> = CONFIG_RULES.iter().flat_map(|rule| [rule.identifier, rule.name]).collect();
        assert_eq!(names.len(), CONFIG_RULES.len() * 2);
    }
}
