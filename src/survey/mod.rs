//! The facts of a target, read from the account. What an event says of a resource was true once; this is true now.
//! Reads only. Facts are data: playbooks take them and know nothing of how they were read.

mod address;
mod bucket;
mod config_rule;
mod group;
mod handed_on;
mod instance;
mod investigation;
mod object;
mod role_session;
mod sensor;
mod surroundings;
pub mod trail;
mod user;

pub use address::Address;
pub use bucket::Bucket;
pub use config_rule::{Known as KnownConfigRules, READS as EVENT_READS};
pub use group::Group;
pub use handed_on::{Found, HandedOn, HandedSession, handed_on};
pub use instance::{Hints, Instance, Interface, ProfileRole};
pub use investigation::investigate;
pub use object::Object;
pub use role_session::{Role, RoleSession};
pub use sensor::{Baseline, Known, Now, On, Sensor, Watches, all_on};
pub use surroundings::{Around, Aside, DefaultRoute, Registered, Routes, Surroundings, TargetGroup, target_groups};
pub use user::{InlineRoom, KeyOwner, NamedUser, SignIn, User, key_owner, named_user};

use crate::{
    aws::{Aws, AwsError},
    domain::{IncidentId, Target},
};

/// IAM actions that reading each kind of target needs.
pub const READS: [&[&str]; 8] = [
    instance::READS,
    user::READS,
    role_session::READS,
    group::READS,
    bucket::READS,
    sensor::READS,
    object::READS,
    address::READS,
];

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    pub why: String,
    /// Asking again may give it.
    pub is_passing: bool,
}

impl Unread {
    /// Of what is wrong with the thing and not with the look.
    pub fn for_good(why: String) -> Self {
        Self { why, is_passing: false }
    }
}

impl From<&AwsError> for Unread {
    fn from(error: &AwsError) -> Self {
        Self { why: error.to_string(), is_passing: error.is_passing() }
    }
}

/// What was read of a target.
#[derive(Clone, Debug, PartialEq)]
pub enum Facts {
    Instance(Box<Instance>),
    User(Box<User>),
    RoleSession(Box<RoleSession>),
    Group(Box<Group>),
    Bucket(Box<Bucket>),
    Sensor(Box<Sensor>),
    Object(Box<Object>),
    Address(Box<Address>),
    /// Of a target of which nothing is read.
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SurveyError {
    /// The target, by its unique id, is not there, or not in that account.
    #[error("{0}")]
    Vanished(String),
    /// It is there, and nobody may change it from here; with a code.
    #[error("{1}")]
    Refused(&'static str, String),
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl Facts {
    /// One round of reads: all that the cut needs.
    pub async fn read(aws: &Aws, target: &Target) -> Result<Self, SurveyError> {
        match target {
            Target::Instance { account, region, id, profile_hint, vpc_hint } => {
                let hints = Hints { profile: profile_hint.as_ref(), vpc: vpc_hint.as_ref() };
                Instance::read(aws, account, region, id, hints).await.map(Box::new).map(Self::Instance)
            }
            Target::User { account, partition, name, id } => {
                User::read(aws, account, partition, name, id).await.map(Box::new).map(Self::User)
            }
            Target::RoleSession { account, role, id, session, key, .. } => {
                RoleSession::read(aws, account, role, id, session, key.as_ref())
                    .await
                    .map(Box::new)
                    .map(Self::RoleSession)
            }
            Target::SecurityGroup { account, region, id, .. } => {
                Group::read(aws, account, region, id).await.map(Box::new).map(Self::Group)
            }
            Target::Bucket { account, region, name } => {
                Bucket::read(aws, account, region, name).await.map(Box::new).map(Self::Bucket)
            }
            Target::Sensor { account, region, sensor } => {
                Sensor::read(aws, account, region, sensor).await.map(Box::new).map(Self::Sensor)
            }
            Target::Object { account, region, object } => {
                Object::read(aws, account, region, object).await.map(Box::new).map(Self::Object)
            }
            Target::Address { account, region, address, subnets, sets, .. } => {
                Address::read(aws, account, region, *address, subnets, sets).await.map(Box::new).map(Self::Address)
            }
            Target::Account { .. } => Ok(Self::Nothing),
        }
    }

    /// One more round of what must not delay the cut.
    pub async fn advance(&mut self, aws: &Aws, incident: &IncidentId) {
        match self {
            Self::Instance(instance) => instance.advance(aws, incident).await,
            Self::User(user) => user.advance(aws).await,
            Self::RoleSession(session) => session.advance(aws, incident).await,
            Self::Group(_) | Self::Bucket(_) | Self::Sensor(_) | Self::Object(_) | Self::Address(_) | Self::Nothing => {
            }
        }
    }

    /// All that is owed, however many rounds it takes.
    pub async fn complete(&mut self, aws: &Aws, incident: &IncidentId) {
        if let Some(around) = self.around() {
            self.put(around.look(aws).await);
        }
        self.follow(aws, incident).await;
    }

    /// All that need not be known before the cut.
    pub async fn follow(&mut self, aws: &Aws, incident: &IncidentId) {
        while !self.is_followed() {
            self.advance(aws, incident).await;
        }
    }

    /// What guards must know before the cut and takes a round of its own; `None` where nothing is owed.
    pub fn around(&self) -> Option<Around> {
        match self {
            Self::Instance(instance) => instance.around(),
            _ => None,
        }
    }

    /// What could not be read around the target, and asking again may give.
    pub fn passing(&self) -> Option<&AwsError> {
        match self {
            Self::Instance(instance) => instance.around.as_ref().and_then(Surroundings::passing),
            _ => None,
        }
    }

    pub fn put(&mut self, around: Surroundings) {
        if let Self::Instance(instance) = self {
            instance.around = Some(around);
        }
    }

    fn is_followed(&self) -> bool {
        match self {
            Self::Instance(instance) => {
                !matches!(instance.role, ProfileRole::Pending { .. }) && instance.aside.is_some()
            }
            Self::User(user) => user.handed_on.is_some(),
            Self::RoleSession(session) => session.handed_on.is_some(),
            Self::Group(_) | Self::Bucket(_) | Self::Sensor(_) | Self::Object(_) | Self::Address(_) | Self::Nothing => {
                true
            }
        }
    }

    /// The reads by name, for `replay` without an account. `sts:GetCallerIdentity` beside them needs no permission.
    pub fn reads(target: &Target) -> &'static [&'static str] {
        match target {
            Target::Instance { .. } => instance::READS,
            Target::User { .. } => user::READS,
            Target::RoleSession { .. } => role_session::READS,
            Target::SecurityGroup { .. } => group::READS,
            Target::Bucket { .. } => bucket::READS,
            Target::Sensor { .. } => sensor::READS,
            Target::Object { .. } => object::READS,
            Target::Address { .. } => address::READS,
            Target::Account { .. } => &[],
        }
    }
}
