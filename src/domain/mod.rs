//! Plain data that everything speaks of: ids, findings, targets, outcomes. Must not know AWS SDKs, clocks or the network.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod finding;
mod ids;
mod incident;
mod outcome;
mod severity;
mod situation;
mod text;
mod timestamp;

pub use text::fingerprint;

pub use finding::{
    AccessKeyResource, Action, Call, Detection, Direction, Finding, Gap, InstanceResource, Lifecycle, Resource, Role,
    Source, UserType,
};
pub use ids::{
    AccessKeyId, AccountId, Arn, ConfigRuleName, CredentialId, DeviceName, FindingId, FindingType, GroupId, IdError,
    InstanceId, InterfaceId, Partition, ProfileId, ProfileName, Region, RoleId, RoleName, ScalingGroupName,
    SessionName, SsmSessionId, SubnetId, TargetId, UserId, UserName, VolumeId, VpcId,
};
pub use incident::{IncidentId, Target};
pub use outcome::{OfferReport, Outcome, OutcomeKind, Reason, Report, ResidualRisk, StepReport, WAITS, Way};
pub use severity::{Score, Severity};
pub use situation::{Confidence, Evidence, Impact, Situation, Standing};
pub use text::Text;
pub use timestamp::Timestamp;
