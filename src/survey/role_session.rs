//! Facts of one session of a role.

use super::{HandedOn, SurveyError, handed_on, user::tags};
use crate::policy::Tags;
use crate::{
    actions::{Cutoff, PolicyState, RoleCutoff, SessionDeny},
    aws::{Aws, AwsError, classify},
    domain::{AccessKeyId, AccountId, Arn, IncidentId, RoleId, RoleName, SessionName, Timestamp},
};
use percent_encoding::percent_decode_str;

pub const READS: &[&str] = &["cloudtrail:LookupEvents", "iam:GetRole", "iam:GetRolePolicy"];

#[derive(Clone, Debug, PartialEq)]
pub struct RoleSession {
    pub role: Role,
    pub deny: SessionDeny,
    /// What stands under the name of our deny.
    pub state: PolicyState,
    pub key: Option<AccessKeyId>,
    /// When it was read.
    pub at: Timestamp,
    /// What stands under the name of this incident's cutoff; `None` until it was looked up.
    pub cutoff: Option<(RoleCutoff, Result<Cutoff, AwsError>)>,
    /// What was made with the session's key; `None` until it was looked up.
    pub handed_on: Option<HandedOn>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    pub arn: Arn,
    /// `/aws-service-role/…` and `/aws-reserved/…` cannot be changed from within the account.
    pub path: String,
    /// `None` where it is no JSON.
    pub trust: Option<serde_json::Value>,
    pub tags: Tags,
}

impl RoleSession {
    /// One round.
    pub async fn read(
        aws: &Aws,
        account: &AccountId,
        role: &RoleName,
        id: &RoleId,
        session: &SessionName,
        key: Option<&AccessKeyId>,
    ) -> Result<Self, SurveyError> {
        const OPERATION: &str = "iam:GetRole";
        let deny =
            SessionDeny { account: account.clone(), role: role.clone(), role_id: id.clone(), session: session.clone() };
        let (answer, state) =
            futures::join!(aws.iam().get_role().role_name(role.as_str()).send(), deny.read_policy(aws));
        let answer = match answer.map_err(classify(OPERATION)) {
            Ok(answer) => answer,
            Err(AwsError::NotFound { .. }) => return Err(SurveyError::Vanished(format!("role {role} is not there"))),
            Err(error) => return Err(error.into()),
        };
        let found = answer.role().ok_or_else(|| AwsError::incomplete(OPERATION, "no role"))?;
        if found.role_id() != id.as_str() {
            return Err(SurveyError::Vanished(format!("role {role} is another role now: its id is not {id}")));
        }
        let arn = Arn::parse(found.arn()).map_err(|error| AwsError::incomplete(OPERATION, &error.to_string()))?;
        if arn.account().as_ref() != Some(account) {
            return Err(SurveyError::Vanished(format!("role {role} belongs to another account than the finding says")));
        }
        // IAM answers documents percent-encoded (IAM API reference, GetRole).
        let trust =
            found.assume_role_policy_document().map(|document| percent_decode_str(document).decode_utf8_lossy());
        let trust = trust.and_then(|document| serde_json::from_str(&document).ok());
        Ok(Self {
            role: Role { arn, path: found.path().to_owned(), trust, tags: tags(found.tags()) },
            deny,
            state: state?,
            key: key.cloned(),
            at: aws.now(),
            cutoff: None,
            handed_on: None,
        })
    }

    /// One look at what the session handed on. A failure here is a fact, not an error: the cut stands without it.
    pub async fn advance(&mut self, aws: &Aws, incident: &IncidentId) {
        let SessionDeny { account, role, role_id, .. } = self.deny.clone();
        let cutoff = RoleCutoff { account, role, role_id, incident: incident.clone() };
        let (handed_on, found) =
            futures::join!(handed_on(aws, &self.deny.account, self.key.as_slice()), cutoff.read_policy(aws));
        self.handed_on = Some(handed_on);
        self.cutoff = Some((cutoff, found));
    }
}
