//! Plain data that everything speaks of: ids, findings, targets, outcomes. Must not know AWS SDKs, clocks or the network.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod finding;
mod ids;
mod incident;
mod outcome;
mod sensor;
mod severity;
mod situation;
mod text;
mod timestamp;

pub use text::fingerprint;

pub use finding::{
    AccessKeyResource, Action, Call, Detection, Direction, Finding, Gap, InstanceResource, Lifecycle, ObjectResource,
    Resource, Role, Source, UserType,
};
pub use ids::{
    AccessKeyId, AccountId, Arn, BucketName, ConfigRuleName, CredentialId, DetectorId, DeviceName, EventRuleName,
    FindingId, FindingType, FlowLogId, GroupId, GroupRuleId, IdError, InstanceId, InterfaceId, NetworkAclId, ObjectKey,
    Partition, ProfileId, ProfileName, RecorderName, Region, RoleId, RoleName, ScalingGroupName, SessionName,
    SsmSessionId, SubnetId, TargetId, TrailName, UserId, UserName, VersionId, VolumeId, VpcId,
};
pub use incident::{IncidentId, Target};
pub use outcome::{
    HELD_BACK, Investigation, OfferReport, Outcome, OutcomeKind, PLAN_CHANGED, Reason, Report, ResidualRisk,
    StepReport, TOO_OFTEN, WAITS, Way,
};
pub use sensor::SensorId;
pub use severity::{Score, Severity};
pub use situation::{Confidence, Evidence, Impact, Situation, Standing};
pub use text::Text;
pub use timestamp::Timestamp;
