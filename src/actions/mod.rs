//! What an action is, and the registry. A new action costs its file, its `mod` line and its line in `actions!`.
//!
//! The types in here are the vocabulary of plans, so pure modules may name them; only the shell can call them, because
//! only the shell can name [`Aws`].

mod access_key_status;
mod acl_entry;
mod bucket_access;
mod connection_tracking;
mod detector;
mod event_rule;
mod flow_log;
mod group_rule;
mod instance_attribute;
mod instance_power;
mod instance_profile;
mod instance_tag;
mod interface_groups;
mod ip_set_address;
mod object_tags;
mod policy_document;
mod quarantine;
mod recorded;
mod recorder;
mod role;
mod role_cutoff;
mod scaling_standby;
mod session_deny;
mod snapshots;
mod ssm_session;
mod target_registration;
mod trail_logging;
mod trail_selectors;
mod trail_settings;
mod user;
mod user_attachment;
mod user_credential;
mod user_inline_deny;
mod volume_retention;

pub use access_key_status::{AccessKeyStatus, KeyStatus, access_keys};
pub use acl_entry::{AclEntry, AclState, OWN_NUMBERS, denies};
pub use bucket_access::{AccessBlock, BucketAccess, access_block, made};
pub use connection_tracking::{ConnectionTracking, Timeouts};
pub use detector::{Detector, DetectorFeatures, detector, features_on};
pub use event_rule::EventRule;
pub use flow_log::{FlowLog, Logged, Network, flow_logs};
pub use group_rule::{GroupRule, LetsIn, RuleState, rules_of};
pub use instance_attribute::{Attribute, AttributeState, InstanceAttribute};
pub use instance_power::{InstancePower, Power};
pub use instance_profile::{Association, InstanceProfile};
pub use instance_tag::{InstanceTag, TagValue};
pub use interface_groups::{Group, Groups, InterfaceGroups, PASSING};
pub use ip_set_address::{IpSetAddress, Member};
pub use object_tags::{ObjectTags, TagSet};
pub use policy_document::{PolicyState, inline_size};
pub use quarantine::{OwnGroup, OwnGroups, PERMISSIONS as QUARANTINE_PERMISSIONS, QuarantineCache};
pub use recorded::Recorded;
use recorded::{Called, DENIES_ONLY, OWN_GROUP, canonical};
pub use recorder::{Recorder, recorders};
pub use role_cutoff::{Cutoff, RoleCutoff};
pub use scaling_standby::{Lifecycle, ScalingStandby, membership};
pub use session_deny::SessionDeny;
pub use snapshots::{Snapshots, Taken};
pub use ssm_session::{SessionState, SsmSession, open_sessions};
pub use target_registration::{Registration, TargetRegistration};
pub use trail_logging::{Switch, TrailLogging};
pub use trail_selectors::{Selectors, TrailSelectors};
pub use trail_settings::{Coverage, TrailSettings, described};
pub use user::{UserNames, user_by_id};
pub use user_attachment::{Attachment, UserAttachment, attached_policies};
pub use user_credential::{CredentialKind, UserCredential};
pub use user_inline_deny::UserInlineDeny;
pub use volume_retention::{OnTermination, VolumeRetention};

use crate::aws::{Aws, AwsError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeSet,
    fmt::{Debug, Display},
    time::Duration,
};

/// One aspect of one resource that Cordon can read and set; the implementing value itself is the target.
///
/// `Display` of the target names account and unique id: approvals bind to it.
pub trait Action: Data + Display {
    /// `service.object.aspect`.
    const NAME: &'static str;
    const PERMISSIONS: Permissions;
    const RELEASE: Release;
    /// When release gets to it: what carries traffic first, what only explains last.
    const UNDO_ORDER: u8;
    /// Whether targets other than the one that is contained may be held by the same thing; then the last to let go puts it back.
    const SHARED: bool = false;
    /// How often it is applied in one run, where reads show that it is not so yet.
    const MOST_TRIES: u8 = 3;
    /// CloudTrail's names of the calls by which others set it.
    const SET_BY: &'static [&'static str];
    type State: Data + Display + PartialEq;

    /// The thing itself, whatever it is called now: a renamed user is the same. Journal and approvals know it by this.
    fn identity(&self) -> String {
        self.to_string()
    }

    /// The id or name by which such a call names the thing.
    fn resource(&self) -> &str;

    /// What such a call must say besides, as a value or as the name of a parameter: it may set other things of the same resource.
    fn details(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether what is there is something else of ours than `after`, so that a release may put back what was before.
    fn is_ours(_now: &Self::State) -> bool {
        false
    }

    /// Whether that is nobody's doing, so long after the containment began, and is only to be set once more.
    fn is_due(now: &Self::State, _since: Duration) -> bool {
        Self::is_ours(now)
    }

    /// Whether setting `after` takes that off for a moment: it is read again before it is said to be in place.
    fn unsettles(&self, _other: &AnyChange) -> bool {
        false
    }

    /// What is there now. NotFound means that the target, by its unique id, is gone.
    fn read(&self, aws: &Aws) -> impl Future<Output = Result<Self::State, AwsError>> + Send;
    /// The AWS CLI command that sets a state by hand; `None` where a state cannot be written on one safe line.
    fn command(&self, to: &Self::State) -> Option<String>;
    /// The calls by which that state is set, as CloudTrail shows them.
    fn calls(&self, to: &Self::State) -> Vec<Called>;
    /// Makes it so; harmless when repeated.
    fn apply(&self, aws: &Aws, to: &Self::State) -> impl Future<Output = Result<(), AwsError>> + Send;
}

pub trait Data: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static {}
impl<T: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static> Data for T {}

/// IAM actions that a step needs, as `service:Operation`, with those that AWS asks for on the way.
#[derive(Clone, Copy, Debug)]
pub struct Permissions {
    pub reads: &'static [&'static str],
    /// To set `after`: the responder's.
    pub contains: &'static [&'static str],
    /// To set `before`: the operator's. Empty where release keeps it.
    pub releases: &'static [&'static str],
}

/// What release does with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Applies `before`, only where `after` is still there.
    Restores,
    /// Leaves it, and says why.
    Keeps(&'static str),
    /// Leaves it unless the operator asks for it by name.
    KeepsUnlessAsked(&'static str),
}

impl Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Restores => f.write_str("restored by release"),
            Self::Keeps(why) | Self::KeepsUnlessAsked(why) => write!(f, "stays: {why}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

/// Target, before, after: a plan is made of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Change<A: Action> {
    pub target: A,
    pub before: A::State,
    pub after: A::State,
}

/// What a read proves: all that the engine ever learns of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub before: bool,
    pub after: bool,
    /// `after`, or something else of ours that is to be set once more.
    pub ours: bool,
    pub shown: String,
}

/// A change in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub action: &'static str,
    pub target: String,
    pub identity: String,
    pub before: String,
    pub after: String,
}

impl Shown {
    /// The thing that is changed, whatever the change.
    pub fn key(&self) -> String {
        format!("{} {}", self.action, self.identity)
    }

    /// The line that an approver reads, and the bytes that the approval binds to. `before` is not in it: it may be read again.
    pub fn line(&self) -> String {
        format!("{} {} -> {}", self.action, self.identity, self.after)
    }
}

impl<A: Action> Change<A> {
    fn state(&self, side: Side) -> &A::State {
        match side {
            Side::Before => &self.before,
            Side::After => &self.after,
        }
    }

    async fn read(&self, aws: &Aws) -> Result<Seen, AwsError> {
        let now = self.target.read(aws).await?;
        let after = now == self.after;
        Ok(Seen { before: now == self.before, after, ours: after || A::is_ours(&now), shown: now.to_string() })
    }

    fn shown(&self) -> Shown {
        Shown {
            action: A::NAME,
            target: self.target.to_string(),
            identity: self.target.identity(),
            before: self.before.to_string(),
            after: self.after.to_string(),
        }
    }
}

/// What the registry knows of an action, for the manual and the permission tests.
pub struct Entry {
    pub name: &'static str,
    pub permissions: Permissions,
    pub release: Release,
    /// The source of the action; its `//!` lines are its page.
    pub source: &'static str,
}

/// The journal's form of a change: the action by name, so that a later version knows what it does not know.
#[derive(Serialize, Deserialize)]
pub struct Wire {
    action: String,
    change: serde_json::Value,
}

macro_rules! actions { ($($Action:ident => $file:literal),* $(,)?) => {
    /// A change of any registered action.
    #[derive(Clone, Debug, PartialEq, Deserialize)]
    #[serde(try_from = "Wire")]
    pub enum AnyChange {
        $($Action(Change<$Action>)),*
    }

    /// Every action there is.
    pub const ALL: &[Entry] = &[$(Entry {
        name: <$Action as Action>::NAME,
        permissions: <$Action as Action>::PERMISSIONS,
        release: <$Action as Action>::RELEASE,
        source: include_str!($file),
    }),*];

    impl AnyChange {
        pub async fn read(&self, aws: &Aws) -> Result<Seen, AwsError> {
            match self { $(Self::$Action(change) => change.read(aws).await),* }
        }

        pub async fn apply(&self, aws: &Aws, side: Side) -> Result<(), AwsError> {
            match self { $(Self::$Action(change) => change.target.apply(aws, change.state(side)).await),* }
        }

        pub fn shown(&self) -> Shown {
            match self { $(Self::$Action(change) => change.shown()),* }
        }

        /// [`Action::unsettles`].
        pub fn unsettles(&self, other: &Self) -> bool {
            match self { $(Self::$Action(change) => change.target.unsettles(other)),* }
        }

        /// What a person types to put it back.
        pub fn undo_command(&self) -> Option<String> {
            match self { $(Self::$Action(change) => change.target.command(&change.before)),* }
        }

        pub fn undo_order(&self) -> u8 {
            match self { $(Self::$Action(_) => <$Action as Action>::UNDO_ORDER),* }
        }

        pub fn most_tries(&self) -> u8 {
            match self { $(Self::$Action(_) => <$Action as Action>::MOST_TRIES),* }
        }

        /// Whether this change, known to the journal, is in place by what a fresh one of the same thing has seen.
        pub fn is_met_by(&self, fresh: &Self) -> bool {
            match (self, fresh) {
                $((Self::$Action(known), Self::$Action(fresh)) => known.after == fresh.before,)*
                _ => false,
            }
        }

        /// Whether what a fresh change has seen there is ours, and to be set once more.
        pub fn is_due(&self, since: Duration) -> bool {
            match self { $(Self::$Action(change) => <$Action as Action>::is_due(&change.before, since)),* }
        }

        /// Whether a call of that name, by CloudTrail, sets such things.
        pub fn is_set_by(&self, call: &str) -> bool {
            match self { $(Self::$Action(_) => <$Action as Action>::SET_BY.contains(&call)),* }
        }

        /// Whether that call sets what this change sets; `also_back` also what was before.
        pub fn is_call(&self, recorded: &Recorded, own_groups: &BTreeSet<String>, also_back: bool) -> bool {
            match self { $(Self::$Action(Change { target, before, after }) => {
                let details = target.details();
                let back = if also_back { target.calls(before) } else { Vec::new() };
                let calls = [target.calls(after), back].concat();
                // Of a call that was refused CloudTrail does not say what it said.
                if recorded.is_silent() {
                    return calls.iter().any(|(name, _)| recorded.is_called(name));
                }
                calls.iter().any(|called| recorded.is(called, target.resource(), &details, own_groups))
            }),* }
        }

        /// What such a call must say besides.
        pub fn details(&self) -> Vec<String> {
            match self { $(Self::$Action(change) => change.target.details()),* }
        }

        /// The id or name by which such a call names the thing.
        pub fn resource(&self) -> &str {
            match self { $(Self::$Action(change) => change.target.resource()),* }
        }

        pub fn is_shared(&self) -> bool {
            match self { $(Self::$Action(_) => <$Action as Action>::SHARED),* }
        }

        /// The same change from what was there before the other one; `None` where they are different actions.
        pub fn since(&self, other: &Self) -> Option<Self> {
            match (self, other) {
                $((Self::$Action(change), Self::$Action(other)) => {
                    Some(Change { before: other.before.clone(), ..change.clone() }.into())
                })*
                _ => None,
            }
        }

        pub fn release(&self) -> Release {
            match self { $(Self::$Action(_) => <$Action as Action>::RELEASE),* }
        }

        /// Whether it was so before: such a step is never applied.
        pub fn is_already_so(&self) -> bool {
            match self { $(Self::$Action(change) => change.before == change.after),* }
        }
    }

    $(impl From<Change<$Action>> for AnyChange {
        fn from(change: Change<$Action>) -> Self {
            Self::$Action(change)
        }
    })*

    impl Serialize for AnyChange {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let wire = match self {
                $(Self::$Action(change) => serde_json::to_value(change).map(|change| Wire {
                    action: <$Action as Action>::NAME.to_owned(),
                    change,
                })),*
            };
            wire.map_err(serde::ser::Error::custom)?.serialize(to)
        }
    }

    impl TryFrom<Wire> for AnyChange {
        type Error = String;
        fn try_from(wire: Wire) -> Result<Self, String> {
            match wire.action.as_str() {
                $(<$Action as Action>::NAME => {
                    serde_json::from_value(wire.change).map(Self::$Action).map_err(|error| error.to_string())
                })*
                other => Err(format!("action `{other}` is unknown to this version")),
            }
        }
    }
}}

actions! {
    InterfaceGroups => "interface_groups.rs",
    InstanceTag => "instance_tag.rs",
    ConnectionTracking => "connection_tracking.rs",
    InstanceAttribute => "instance_attribute.rs",
    VolumeRetention => "volume_retention.rs",
    Snapshots => "snapshots.rs",
    ScalingStandby => "scaling_standby.rs",
    TargetRegistration => "target_registration.rs",
    SessionDeny => "session_deny.rs",
    UserAttachment => "user_attachment.rs",
    UserInlineDeny => "user_inline_deny.rs",
    AccessKeyStatus => "access_key_status.rs",
    UserCredential => "user_credential.rs",
    InstancePower => "instance_power.rs",
    InstanceProfile => "instance_profile.rs",
    SsmSession => "ssm_session.rs",
    RoleCutoff => "role_cutoff.rs",
    GroupRule => "group_rule.rs",
    BucketAccess => "bucket_access.rs",
    TrailLogging => "trail_logging.rs",
    TrailSettings => "trail_settings.rs",
    TrailSelectors => "trail_selectors.rs",
    Detector => "detector.rs",
    DetectorFeatures => "detector.rs",
    Recorder => "recorder.rs",
    EventRule => "event_rule.rs",
    FlowLog => "flow_log.rs",
    ObjectTags => "object_tags.rs",
    AclEntry => "acl_entry.rs",
    IpSetAddress => "ip_set_address.rs",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_name_of_its_own_a_page_and_permissions() {
        let mut names: Vec<_> = ALL.iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "two actions share a name: {names:?}");
        for entry in ALL {
            assert_eq!(entry.name.split('.').count(), 3, "{} is no service.object.aspect", entry.name);
            assert!(entry.source.starts_with("//! "), "{} has no page", entry.name);
            let Permissions { reads, contains, releases } = entry.permissions;
            assert!(!reads.is_empty() && !contains.is_empty(), "{} needs no permission?", entry.name);
            assert_eq!(releases.is_empty(), matches!(entry.release, Release::Keeps(_)), "{}", entry.name);
        }
    }
}
