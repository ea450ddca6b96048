//! What is treated, and what is contained.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{
    AccessKeyId, AccountId, Arn, BucketName, FindingId, GroupId, IdError, InstanceId, ObjectResource, Partition,
    Region, RoleId, RoleName, SensorId, SessionName, SubnetId, UserId, UserName, VpcId, fingerprint,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, net::IpAddr};

/// One resource or principal to contain. Principals carry their unique id: a name alone is no identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Target {
    Instance {
        account: AccountId,
        region: Region,
        id: InstanceId,
        /// The profile that the event names, so that its role can be looked up beside the instance. A hint, never a fact.
        #[serde(default)]
        profile_hint: Option<Arn>,
        /// The VPC that the event names, for its route tables. A hint too.
        #[serde(default)]
        vpc_hint: Option<VpcId>,
    },
    User {
        account: AccountId,
        partition: Partition,
        name: UserName,
        id: UserId,
    },
    RoleSession {
        account: AccountId,
        partition: Partition,
        role: RoleName,
        id: RoleId,
        session: SessionName,
        /// The session's key, by which CloudTrail finds what it handed on.
        #[serde(default)]
        key: Option<AccessKeyId>,
    },
    SecurityGroup {
        account: AccountId,
        region: Region,
        id: GroupId,
        /// The ports that the event opens, as `22`, `8000-8100`, `all`; none where it does not say. A hint: what is open is read.
        #[serde(default)]
        ports: Vec<String>,
    },
    /// A bucket has no unique id; when it was made is read with it.
    Bucket {
        account: AccountId,
        region: Region,
        name: BucketName,
    },
    Sensor {
        account: AccountId,
        region: Region,
        sensor: SensorId,
    },
    Object {
        account: AccountId,
        region: Region,
        object: ObjectResource,
    },
    /// An address that attacks, with the lists that the policy allows to put it on.
    Address {
        account: AccountId,
        region: Region,
        address: IpAddr,
        #[serde(default)]
        subnets: Vec<SubnetId>,
        #[serde(default)]
        sets: Vec<Arn>,
        #[serde(default)]
        is_amazons: bool,
    },
    /// The account itself, where nothing smaller can be named: its root user.
    Account {
        account: AccountId,
        partition: Partition,
    },
}

impl Target {
    /// `account#region#kind#uid`: the same however the finding arrives. IAM is global.
    pub fn key(&self) -> String {
        match self {
            Self::Instance { account, region, id, .. } => format!("{account}#{region}#instance#{id}"),
            Self::User { account, id, .. } => format!("{account}#global#user#{id}"),
            Self::RoleSession { account, id, session, .. } => format!("{account}#global#role-session#{id}:{session}"),
            Self::SecurityGroup { account, region, id, .. } => format!("{account}#{region}#security-group#{id}"),
            Self::Bucket { account, name, .. } => format!("{account}#global#bucket#{name}"),
            Self::Sensor { account, region, sensor } => format!("{account}#{region}#sensor#{sensor}"),
            Self::Address { account, region, address, .. } => format!("{account}#{region}#address#{address}"),
            // A key may be as long as a key of the table.
            Self::Object { account, object, .. } => {
                format!("{account}#global#object#{}#{}", object.bucket, fingerprint(&format!("{object:?}")))
            }
            Self::Account { account, .. } => format!("{account}#global#account"),
        }
    }

    pub fn account(&self) -> &AccountId {
        match self {
            Self::Instance { account, .. }
            | Self::User { account, .. }
            | Self::RoleSession { account, .. }
            | Self::SecurityGroup { account, .. }
            | Self::Bucket { account, .. }
            | Self::Sensor { account, .. }
            | Self::Object { account, .. }
            | Self::Address { account, .. }
            | Self::Account { account, .. } => account,
        }
    }

    /// Where it is; principals and accounts are everywhere.
    pub fn region(&self) -> Option<&Region> {
        match self {
            Self::Instance { region, .. }
            | Self::SecurityGroup { region, .. }
            | Self::Bucket { region, .. }
            | Self::Sensor { region, .. }
            | Self::Object { region, .. }
            | Self::Address { region, .. } => Some(region),
            Self::User { .. } | Self::RoleSession { .. } | Self::Account { .. } => None,
        }
    }

    /// Of a thing that is not compromised itself but was changed: what CloudTrail's event history calls it.
    pub fn resource_name(&self) -> Option<&str> {
        match self {
            Self::SecurityGroup { id, .. } => Some(id.as_str()),
            Self::Bucket { name, .. } => Some(name.as_str()),
            Self::Sensor { sensor, .. } => Some(sensor.name()),
            _ => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance { account, region, id, .. } => write!(f, "instance {id} ({account}, {region})"),
            Self::User { account, name, id, .. } => write!(f, "IAM user {name} ({account}, {id})"),
            Self::RoleSession { account, role, id, session, .. } => {
                write!(f, "session {session} of role {role} ({account}, {id})")
            }
            Self::SecurityGroup { account, region, id, .. } => write!(f, "security group {id} ({account}, {region})"),
            Self::Bucket { account, region, name } => write!(f, "bucket {name} ({account}, {region})"),
            Self::Sensor { account, region, sensor } => write!(f, "{sensor} ({account}, {region})"),
            Self::Address { account, region, address, .. } => write!(f, "address {address} ({account}, {region})"),
            Self::Object { account, region, object } => write!(f, "object {object} ({account}, {region})"),
            Self::Account { account, .. } => write!(f, "root of account {account}"),
        }
    }
}

/// The name of an incident that a person can read aloud: `amber-otter-k7m2q`.
///
/// It is a readable form of a hash of account and finding id, so deliveries agree on it without talking.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct IncidentId(String);

impl IncidentId {
    pub fn of(account: &str, finding: &FindingId) -> Self {
        let digest: [u8; 32] = Sha256::digest(format!("{account}\n{finding}")).into();
        let [a, b, c, d, e, f, g, ..] = digest;
        let word = |list: &[&'static str; 64], n: u8| list.get(usize::from(n % 64)).copied().unwrap_or_default();
        let tail: String = [c, d, e, f, g].iter().map(|n| char::from(letter(*n))).collect();
        Self(format!("{}-{}-{tail}", word(&ADJECTIVES, a), word(&ANIMALS, b)))
    }

    pub fn parse(given: &str) -> Result<Self, IdError> {
        let parts: Vec<&str> = given.split('-').collect();
        match parts.as_slice() {
            [adjective, animal, tail]
                if ADJECTIVES.contains(adjective)
                    && ANIMALS.contains(animal)
                    && tail.len() == 5
                    && tail.bytes().all(|b| LETTERS.contains(&b)) =>
            {
                Ok(Self(given.to_owned()))
            }
            _ => Err(IdError { kind: "incident id", given: super::Text::new(given) }),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IncidentId {
    type Error = IdError;
    fn try_from(given: String) -> Result<Self, IdError> {
        Self::parse(&given)
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Without letters that are heard or read as another.
const LETTERS: &[u8; 31] = b"23456789abcdefghjkmnpqrstuvwxyz";

fn letter(n: u8) -> u8 {
    LETTERS.get(usize::from(n % 31)).copied().unwrap_or(b'2')
}

#[rustfmt::skip]
const ADJECTIVES: [&str; 64] = [
    "amber", "ashen", "azure", "bold", "brave", "brisk", "bronze", "calm", "candid", "cedar", "clear", "cobalt", "copper", "coral", "crisp", "dapper",
    "dusky", "eager", "early", "fabled", "fern", "fleet", "frosty", "gentle", "gilded", "golden", "grand", "happy", "hazel", "humble", "indigo", "iron",
    "ivory", "jade", "jolly", "keen", "lively", "lucid", "lunar", "mellow", "merry", "misty", "mossy", "noble", "olive", "opal", "pearl", "plain",
    "polar", "proud", "quiet", "rapid", "royal", "ruby", "rustic", "sandy", "silver", "sober", "solar", "steady", "sunny", "tidal", "velvet", "vivid",
];

#[rustfmt::skip]
const ANIMALS: [&str; 64] = [
    "adder", "badger", "bear", "beaver", "bison", "bobcat", "camel", "civet", "cobra", "condor", "coyote", "crane", "crow", "curlew", "dingo", "dove",
    "eagle", "egret", "eland", "falcon", "ferret", "finch", "fox", "gecko", "gibbon", "goose", "hare", "hawk", "heron", "hornet", "hyena", "ibex",
    "iguana", "impala", "jackal", "jaguar", "kestrel", "kiwi", "koala", "lemur", "lion", "lizard", "lynx", "magpie", "marten", "mole", "moose", "newt",
    "ocelot", "osprey", "otter", "owl", "panda", "parrot", "puma", "quail", "raven", "robin", "seal", "stork", "tapir", "tiger", "walrus", "wolf",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_id_is_the_same_for_the_same_finding_and_reads_back() {
        let finding = FindingId::parse("16afba5c5c43e07c9e3e5e2e544e95df").unwrap();
        let id = IncidentId::of("111122223333", &finding);
        assert_eq!(id, IncidentId::of("111122223333", &finding));
        assert_ne!(id, IncidentId::of("111122223334", &finding));
        assert_eq!(IncidentId::parse(id.as_str()), Ok(id));
    }

    #[test]
    fn what_is_no_incident_id_is_refused() {
        for text in
            ["", "amber-otter", "amber-otter-1111", "amber-otter-aaaaaa", "blah-otter-aaaaa", "amber-otter-aaaa!"]
        {
            assert!(IncidentId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_words_are_all_different() {
        for list in [ADJECTIVES, ANIMALS] {
            let mut words = list.to_vec();
            words.sort_unstable();
            words.dedup();
            assert_eq!(words.len(), 64);
        }
    }

    #[test]
    fn a_user_and_a_role_of_one_name_are_two_targets() {
        let (account, partition) = (AccountId::parse("111122223333").unwrap(), Partition::standard());
        let user = Target::User {
            account: account.clone(),
            partition: partition.clone(),
            name: UserName::parse("deploy").unwrap(),
            id: UserId::parse("AIDACKCEVSQ6C2EXAMPLE").unwrap(),
        };
        let session = Target::RoleSession {
            account,
            partition,
            role: RoleName::parse("deploy").unwrap(),
            id: RoleId::parse("AROACKCEVSQ6C2EXAMPLE").unwrap(),
            session: SessionName::parse("me").unwrap(),
            key: None,
        };
        assert_ne!(user.key(), session.key());
    }
}
