//! Ids, each with its own grammar. What an event calls an id becomes one here or nowhere: nothing else names a thing in a call.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Text;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What was given is not an id of that kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no {kind}")]
pub struct IdError {
    pub kind: &'static str,
    /// Cut and cleaned: it may be shown.
    pub given: Text,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $Id:ident, $kind:literal, $valid:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $Id(String);

        impl $Id {
            pub fn parse(given: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(given) {
                    Ok(Self(given.to_owned()))
                } else {
                    Err(IdError { kind: $kind, given: Text::new(given) })
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $Id {
            type Error = IdError;
            fn try_from(given: String) -> Result<Self, IdError> {
                Self::parse(&given)
            }
        }

        impl fmt::Display for $Id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// Twelve digits.
    AccountId, "account id", |s| s.len() == 12 && s.bytes().all(|b| b.is_ascii_digit());
    /// `us-east-1`, `us-gov-west-1`, `ap-southeast-2`.
    Region, "region", is_region;
    /// `aws`, `aws-cn`, `aws-us-gov` and their like.
    Partition, "partition", |s| s == "aws" || (s.starts_with("aws-") && s.len() <= 20 && s.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
    /// An ARN of letters, digits and `:/_+=,.@-`: what else AWS allows in some could do something on a command line.
    Arn, "ARN", is_arn;
    /// `i-` and 8 or 17 hexadecimal digits.
    InstanceId, "instance id", |s| is_hex_id(s, "i-");
    /// `eni-` and 8 or 17 hexadecimal digits.
    InterfaceId, "network interface id", |s| is_hex_id(s, "eni-");
    /// `sg-` and 8 or 17 hexadecimal digits.
    GroupId, "security group id", |s| is_hex_id(s, "sg-");
    /// `vpc-` and 8 or 17 hexadecimal digits.
    VpcId, "VPC id", |s| is_hex_id(s, "vpc-");
    /// `vol-` and 8 or 17 hexadecimal digits.
    VolumeId, "volume id", |s| is_hex_id(s, "vol-");
    /// `subnet-` and 8 or 17 hexadecimal digits.
    SubnetId, "subnet id", |s| is_hex_id(s, "subnet-");
    /// `/dev/xvda`, `xvdb`: up to 64 letters, digits, `/`, `_`, `-` and `.`.
    DeviceName, "device name", |s| (1..=64).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_-.".contains(&b));
    /// An Auto Scaling group's name, as far as it can stand on a command line without quoting: AWS allows more, up to 255 characters.
    ScalingGroupName, "Auto Scaling group name", |s| (1..=255).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_-.:+=@,".contains(&b));
    /// An instance or an IP address, as target groups name what they send to.
    TargetId, "target id", |s| InstanceId::parse(s).is_ok() || s.parse::<std::net::IpAddr>().is_ok();
    /// The id of a credential of an IAM user that is no access key: `APKA…`, `ACCA…`, or a certificate's; 20 to 128 of `\w` (IAM API reference).
    CredentialId, "credential id", |s| (20..=128).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    /// An id of a session of SSM's Session Manager: a person's name, a dash and digits, at most 96 characters.
    SsmSessionId, "SSM session id", |s| (1..=96).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
    /// `AKIA…` (long term) or `ASIA…` (temporary) and 16 more (IAM API reference: 16 to 128 characters in all).
    AccessKeyId, "access key id", |s| (s.starts_with("AKIA") || s.starts_with("ASIA")) && s.len() == 20 && s.bytes().all(is_upper_or_digit);
    /// The unique id of an IAM user: `AIDA…`. A user made again under the same name has another.
    UserId, "IAM user id", |s| is_unique_id(s, "AIDA");
    /// The unique id of an IAM role: `AROA…`.
    RoleId, "IAM role id", |s| is_unique_id(s, "AROA");
    /// The unique id of an instance profile: `AIPA…`.
    ProfileId, "instance profile id", |s| is_unique_id(s, "AIPA");
    /// 1 to 64 characters `[\w+=,.@-]` (IAM API reference, CreateUser).
    UserName, "IAM user name", |s| is_iam_name(s, 1, 64);
    /// 1 to 64 characters `[\w+=,.@-]` (IAM API reference, CreateRole).
    RoleName, "IAM role name", |s| is_iam_name(s, 1, 64);
    /// 2 to 64 characters `[\w+=,.@-]` (STS API reference, AssumeRole).
    SessionName, "role session name", |s| is_iam_name(s, 2, 64);
    /// 1 to 128 characters `[\w+=,.@-]` (IAM API reference, CreateInstanceProfile).
    ProfileName, "instance profile name", |s| is_iam_name(s, 1, 128);
    /// The id of a GuardDuty finding: 32 hexadecimal digits, of which only the alphabet and the length (1 to 300) are relied on.
    FindingId, "finding id", |s| (1..=300).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b));
    /// `sgr-` and 8 or 17 hexadecimal digits.
    GroupRuleId, "security group rule id", |s| is_hex_id(s, "sgr-");
    /// `acl-` and 8 or 17 hexadecimal digits.
    NetworkAclId, "network ACL id", |s| is_hex_id(s, "acl-");
    /// 3 to 63 lower case letters, digits, dots and hyphens, of a general purpose bucket (S3 user guide, "Bucket naming rules").
    BucketName, "bucket name", is_bucket_name;
    /// 3 to 128 letters, digits, `.`, `_` and `-` (CloudTrail API reference, CreateTrail).
    TrailName, "trail name", |s| (3..=128).contains(&s.len()) && s.bytes().all(is_plain);
    /// Up to 300 letters and digits (GuardDuty API reference, DetectorId); AWS makes 32 hexadecimal digits.
    DetectorId, "detector id", |s| (1..=300).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric());
    /// 1 to 256 letters, digits, `.`, `_` and `-`: Config allows more, and the console calls it `default`.
    RecorderName, "name of a recorder", |s| (1..=256).contains(&s.len()) && s.bytes().all(is_plain);
    /// 1 to 64 letters, digits, `.`, `_` and `-` (EventBridge API reference, RuleName).
    EventRuleName, "name of an event rule", |s| (1..=64).contains(&s.len()) && s.bytes().all(is_plain);
    /// 1 to 1,024 bytes without control characters (S3 user guide, "Naming Amazon S3 objects"); a stranger's text.
    ObjectKey, "object key", |s| (1..=1024).contains(&s.len()) && !s.chars().any(char::is_control);
    /// Of an object: up to 1,024 characters that are URL-ready (S3 user guide, "Versioning").
    VersionId, "version id", |s| (1..=1024).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    /// `fl-` and 8 or 17 hexadecimal digits.
    FlowLogId, "flow log id", |s| is_hex_id(s, "fl-");
    /// The name of a rule of AWS Config: 1 to 128 characters, of which Config itself asks only that one is no white space (ConfigRuleName); here none that
    /// cannot be printed.
    ConfigRuleName, "name of a Config rule", |s| (1..=128).contains(&s.chars().count()) && !s.trim().is_empty() && !s.chars().any(char::is_control);
    /// `ThreatPurpose:ResourceTypeAffected/ThreatFamilyName.DetectionMechanism!Artifact`, 1 to 100 characters (GuardDuty API reference, FindingType).
    FindingType, "finding type", |s| (1..=100).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b":/.!&-_".contains(&b));
}

impl AccessKeyId {
    /// Whether the key belongs to a session; such a key cannot be made inactive (IAM API reference, UpdateAccessKey).
    pub fn is_temporary(&self) -> bool {
        self.0.starts_with("ASIA")
    }

    /// What logs and messages may show of it.
    pub fn tail(&self) -> String {
        format!("…{}", self.0.chars().skip(self.0.len() - 4).collect::<String>())
    }
}

impl Arn {
    /// The resource part of an ARN: everything behind the fifth colon.
    pub fn resource(&self) -> &str {
        self.0.splitn(6, ':').nth(5).unwrap_or_default()
    }

    /// The account part; `None` where the ARN has none.
    pub fn account(&self) -> Option<AccountId> {
        self.0.split(':').nth(4).and_then(|account| AccountId::parse(account).ok())
    }

    /// `NAME` of `…:instance-profile/path/NAME`.
    pub fn profile_name(&self) -> Option<ProfileName> {
        let path = self.resource().strip_prefix("instance-profile/")?;
        ProfileName::parse(path.rsplit('/').next()?).ok()
    }
}

impl Partition {
    pub fn standard() -> Self {
        Self("aws".to_owned())
    }
}

fn is_upper_or_digit(b: u8) -> bool {
    b.is_ascii_uppercase() || b.is_ascii_digit()
}

fn is_plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"._-".contains(&b)
}

fn is_bucket_name(s: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (3..=63).contains(&s.len())
        && ends(s.as_bytes().first())
        && ends(s.as_bytes().last())
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b))
        && !s.contains("..")
}

fn is_hex_id(s: &str, prefix: &str) -> bool {
    s.strip_prefix(prefix).is_some_and(|hex| {
        matches!(hex.len(), 8 | 17) && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

fn is_unique_id(s: &str, prefix: &str) -> bool {
    (16..=128).contains(&s.len()) && s.starts_with(prefix) && s.bytes().all(is_upper_or_digit)
}

fn is_iam_name(s: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

fn is_region(s: &str) -> bool {
    let mut parts = s.split('-').rev();
    let number = parts.next().is_some_and(|n| (1..=2).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()));
    let words: Vec<&str> = parts.collect();
    number
        && (2..=4).contains(&words.len())
        && s.len() <= 25
        && words.iter().all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase()))
}

fn is_arn(s: &str) -> bool {
    s.len() <= 2048
        && s.starts_with("arn:aws")
        && s.splitn(6, ':').count() == 6
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b":/_+=,.@-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_takes_its_own_grammar_and_nothing_else() {
        type Parses = fn(&str) -> bool;
        let table: [(&str, Parses, &[&str], &[&str]); 13] = [
            (
                "bucket",
                |s| BucketName::parse(s).is_ok(),
                &["a-bucket", "logs.example.com", "abc"],
                &["", "ab", "A-bucket", "-x-", "a..b", "a/b", "a b", "x?policy"],
            ),
            (
                "trail",
                |s| TrailName::parse(s).is_ok(),
                &["audit", "org.trail_1-x"],
                &["", "ab", "a b", "a/../b", "arn:aws:cloudtrail:x"],
            ),
            (
                "account",
                |s| AccountId::parse(s).is_ok(),
                &["111122223333"],
                &["", "11112222333", "1111222233334", "11112222333a"],
            ),
            (
                "region",
                |s| Region::parse(s).is_ok(),
                &["us-east-1", "us-gov-west-1", "ap-southeast-2"],
                &["", "us-east", "US-EAST-1", "us-east-1;", "a-1"],
            ),
            (
                "instance",
                |s| InstanceId::parse(s).is_ok(),
                &["i-0a1b2c3d", "i-0a1b2c3d4e5f60718"],
                &["i-", "i-0; rm -rf", "i-0A1B2C3D", "x-0a1b2c3d", "i-0a1b2c3d4"],
            ),
            ("interface", |s| InterfaceId::parse(s).is_ok(), &["eni-abcdef00"], &["eni-abcdef0g", "i-abcdef00"]),
            (
                "key",
                |s| AccessKeyId::parse(s).is_ok(),
                &["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"],
                &["", "AKIA", "AIDAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPL*"],
            ),
            (
                "user id",
                |s| UserId::parse(s).is_ok(),
                &["AIDACKCEVSQ6C2EXAMPLE"],
                &["AROACKCEVSQ6C2EXAMPLE", "AIDA", "AIDACKCEVSQ6C2EXAMPLE:x"],
            ),
            (
                "role id",
                |s| RoleId::parse(s).is_ok(),
                &["AROACKCEVSQ6C2EXAMPLE"],
                &["AIDACKCEVSQ6C2EXAMPLE", "AROACKCEVSQ6C2EXAMPLE:s"],
            ),
            (
                "session",
                |s| SessionName::parse(s).is_ok(),
                &["i-0a1b2c3d", "me@example.com"],
                &["x", "a b", "x\"}]", ""],
            ),
            (
                "arn",
                |s| Arn::parse(s).is_ok(),
                &["arn:aws:iam::111122223333:user/deploy"],
                &["arn:aws:iam", "arn:aws:iam::1:user/*", "user/deploy", "arn:aws:iam::1:user/a b"],
            ),
            ("finding", |s| FindingId::parse(s).is_ok(), &["16afba5c5c43e07c9e3e5e2e544e95df"], &["", "a b", "\n"]),
            ("type", |s| FindingType::parse(s).is_ok(), &["Backdoor:EC2/C&CActivity.B!DNS"], &["", "a b", "<x>"]),
        ];
        for (kind, parses, good, bad) in table {
            for id in good {
                assert!(parses(id), "{kind} `{id}`");
            }
            for id in bad {
                assert!(!parses(id), "{kind} `{id}`");
            }
        }
    }

    #[test]
    fn a_key_shows_its_tail_only() {
        assert_eq!(AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap().tail(), "…MPLE");
    }

    #[test]
    fn the_profile_is_the_last_part_of_its_arn() {
        let arn = Arn::parse("arn:aws:iam::111122223333:instance-profile/team/web/app").unwrap();
        assert_eq!(arn.profile_name().unwrap().as_str(), "app");
        assert_eq!(arn.account().unwrap().as_str(), "111122223333");
        assert_eq!(Arn::parse("arn:aws:iam::111122223333:role/app").unwrap().profile_name(), None);
    }
}
