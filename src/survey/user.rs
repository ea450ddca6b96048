//! Facts of an IAM user: his keys, and where a deny finds room.

use super::{HandedOn, SurveyError, handed_on};
use crate::policy::Tags;
use crate::{
    actions::{
        AccessKeyStatus, Attachment, CredentialKind, KeyStatus, PolicyState, UserAttachment, UserCredential,
        UserInlineDeny, access_keys, attached_policies, inline_size, user_by_id,
    },
    aws::{Aws, AwsError, classify},
    domain::{AccessKeyId, AccountId, Arn, CredentialId, Partition, Timestamp, UserId, UserName},
};
use aws_sdk_iam::types::{SummaryKeyType, Tag};
use futures::future::try_join_all;

pub const READS: &[&str] = &[
    "cloudtrail:LookupEvents",
    "iam:GetAccessKeyLastUsed",
    "iam:GetAccountSummary",
    "iam:GetLoginProfile",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:GetUser",
    "iam:GetUserPolicy",
    "iam:ListAccessKeys",
    "iam:ListAttachedUserPolicies",
    "iam:ListMFADevices",
    "iam:ListSSHPublicKeys",
    "iam:ListServiceSpecificCredentials",
    "iam:ListSigningCertificates",
    "iam:ListUserPolicies",
    "iam:ListUsers",
];

#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub arn: Arn,
    pub id: UserId,
    pub tags: Tags,
    pub keys: Vec<(AccessKeyStatus, KeyStatus)>,
    /// SSH keys, certificates, service passwords.
    pub credentials: Result<Vec<(UserCredential, KeyStatus)>, AwsError>,
    /// What he can sign in with and has no status: named for people.
    pub sign_in: Result<SignIn, AwsError>,
    pub deny: UserAttachment,
    pub attachment: Attachment,
    /// AWS's quarantine of leaked keys is attached.
    pub is_quarantined: bool,
    /// Whether one more managed policy can be attached.
    pub attachable: bool,
    /// What was made with his keys; `None` until it was looked up.
    pub handed_on: Option<HandedOn>,
    /// Read only where nothing more can be attached.
    pub inline: Option<InlineRoom>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignIn {
    pub has_password: bool,
    pub mfa_devices: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct InlineRoom {
    pub deny: UserInlineDeny,
    pub state: PolicyState,
    /// Characters of all other inline policies of the user, white space not counted.
    pub used: usize,
}

/// IAM user guide, "IAM and AWS STS quotas": in force where GetAccountSummary does not say otherwise.
const ATTACHED_BY_DEFAULT: i32 = 10;

impl User {
    /// One round; two more where there is no room for an attachment, one more where the user was renamed.
    pub async fn read(
        aws: &Aws,
        account: &AccountId,
        partition: &Partition,
        name: &UserName,
        id: &UserId,
    ) -> Result<Self, SurveyError> {
        match Self::read_named(aws, account, partition, name, id).await {
            // Renaming a user is the cheapest way to get out of the sight of a responder that goes by names.
            Err(SurveyError::Vanished(why)) => match user_by_id(aws, id).await? {
                Some(renamed) if renamed != *name => {
                    aws.user_names.learn(id, &renamed);
                    Self::read_named(aws, account, partition, &renamed, id).await
                }
                _ => Err(SurveyError::Vanished(why)),
            },
            other => {
                aws.user_names.learn(id, name);
                other
            }
        }
    }

    async fn read_named(
        aws: &Aws,
        account: &AccountId,
        partition: &Partition,
        name: &UserName,
        id: &UserId,
    ) -> Result<Self, SurveyError> {
        const OPERATION: &str = "iam:GetUser";
        let (user, keys, attached, most, credentials, sign_in) = futures::join!(
            aws.iam().get_user().user_name(name.as_str()).send(),
            access_keys(aws, name),
            attached_policies(aws, name),
            most_attached(aws),
            credentials(aws, name),
            sign_in(aws, name),
        );
        let user = match user.map_err(classify(OPERATION)) {
            Ok(answer) => answer.user().cloned().ok_or_else(|| AwsError::incomplete(OPERATION, "no user"))?,
            Err(AwsError::NotFound { .. }) => return Err(SurveyError::Vanished(format!("user {name} is not there"))),
            Err(error) => return Err(error.into()),
        };
        if user.user_id() != id.as_str() {
            return Err(SurveyError::Vanished(format!("user {name} is another user now: his id is not {id}")));
        }
        let arn = Arn::parse(user.arn()).map_err(|error| AwsError::incomplete(OPERATION, &error.to_string()))?;
        if arn.account().as_ref() != Some(account) {
            return Err(SurveyError::Vanished(format!("user {name} belongs to another account than the finding says")));
        }
        let (keys, attached) = (keys?, attached?);
        let policy = Arn::parse(&format!("arn:{partition}:iam::aws:policy/AWSDenyAll"));
        let policy = policy.map_err(|error| AwsError::incomplete("AWSDenyAll", &error.to_string()))?;
        let attachment = Attachment::of(&policy, &attached);
        let is_quarantined = attached.iter().any(|arn| arn.contains(":aws:policy/AWSCompromisedKeyQuarantine"));
        // A quota that cannot be read is the default one: too low a guess only costs the longer way.
        let attachable =
            attachment == Attachment::Attached || attached.len() < most.unwrap_or(ATTACHED_BY_DEFAULT as usize);
        let own = |key| AccessKeyStatus { account: account.clone(), user: name.clone(), user_id: id.clone(), key };
        Ok(Self {
            arn,
            id: id.clone(),
            tags: tags(user.tags()),
            keys: keys.into_iter().map(|(key, status)| (own(key), status)).collect(),
            credentials: credentials.map(|found| {
                let own = |(kind, credential, status)| {
                    let target = UserCredential {
                        account: account.clone(),
                        user: name.clone(),
                        user_id: id.clone(),
                        kind,
                        id: credential,
                    };
                    (target, status)
                };
                found.into_iter().map(own).collect()
            }),
            sign_in,
            deny: UserAttachment { account: account.clone(), user: name.clone(), user_id: id.clone(), policy },
            attachment,
            is_quarantined,
            attachable,
            handed_on: None,
            inline: if attachable { None } else { Some(InlineRoom::read(aws, account, name, id).await?) },
        })
    }
}

async fn credentials(aws: &Aws, name: &UserName) -> Result<Vec<(CredentialKind, CredentialId, KeyStatus)>, AwsError> {
    let of_kind = async |kind: CredentialKind| {
        let found = kind.list(aws, name).await?;
        Ok(found.into_iter().map(|(id, status)| (kind, id, status)).collect::<Vec<_>>())
    };
    let found: Vec<Vec<_>> = try_join_all(CredentialKind::ALL.map(of_kind)).await?;
    Ok(found.into_iter().flatten().collect())
}

async fn sign_in(aws: &Aws, name: &UserName) -> Result<SignIn, AwsError> {
    let (profile, devices) = futures::join!(
        aws.iam().get_login_profile().user_name(name.as_str()).send(),
        aws.iam()
            .list_mfa_devices()
            .user_name(name.as_str())
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>(),
    );
    let has_password = match profile.map_err(classify("iam:GetLoginProfile")) {
        Ok(_) => true,
        Err(AwsError::NotFound { .. }) => false,
        Err(error) => return Err(error),
    };
    Ok(SignIn { has_password, mfa_devices: devices.map_err(classify("iam:ListMFADevices"))?.len() })
}

impl User {
    /// One look at what his keys handed on; the cut stands without it.
    pub async fn advance(&mut self, aws: &Aws) {
        let keys: Vec<_> = self.keys.iter().map(|(key, _)| key.key.clone()).collect();
        self.handed_on = Some(handed_on(aws, &self.deny.account, &keys).await);
    }
}

impl InlineRoom {
    async fn read(aws: &Aws, account: &AccountId, name: &UserName, id: &UserId) -> Result<Self, AwsError> {
        let deny = UserInlineDeny { account: account.clone(), user: name.clone(), user_id: id.clone() };
        let mut pages = aws.iam().list_user_policies().user_name(name.as_str()).into_paginator().items().send();
        let mut names = Vec::new();
        while let Some(policy) = pages.try_next().await.map_err(classify("iam:ListUserPolicies"))? {
            if policy != UserInlineDeny::POLICY {
                names.push(policy);
            }
        }
        let others = names.iter().map(|policy| async move {
            let call = aws.iam().get_user_policy().user_name(name.as_str()).policy_name(policy);
            match call.send().await.map_err(classify("iam:GetUserPolicy")) {
                Ok(answer) => Ok(inline_size(answer.policy_document())),
                // It went away while it was counted.
                Err(AwsError::NotFound { .. }) => Ok(0),
                Err(error) => Err(error),
            }
        });
        let (state, sizes) = futures::join!(deny.read_policy(aws), try_join_all(others));
        Ok(Self { state: state?, used: sizes?.into_iter().sum(), deny })
    }
}

/// Whose a long-term key is, and how it is.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyOwner {
    pub status: AccessKeyStatus,
    pub now: KeyStatus,
    pub arn: Arn,
}

/// `None` where no user of this account has the key.
pub async fn key_owner(aws: &Aws, key: &AccessKeyId) -> Result<Option<KeyOwner>, AwsError> {
    const OPERATION: &str = "iam:GetAccessKeyLastUsed";
    let answer = aws.iam().get_access_key_last_used().access_key_id(key.as_str()).send().await;
    let answer = match answer.map_err(classify(OPERATION)) {
        Ok(answer) => answer,
        // IAM denies it for keys of other accounts.
        Err(AwsError::NotFound { .. } | AwsError::Denied { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(name) = answer.user_name().and_then(|name| UserName::parse(name).ok()) else { return Ok(None) };
    let (user, keys) = futures::join!(named_user(aws, &name), access_keys(aws, &name));
    let Some(NamedUser { arn, id, .. }) = user? else { return Ok(None) };
    let now = keys?.into_iter().find(|(found, _)| found == key).map(|(_, status)| status);
    let account = arn.account().ok_or_else(|| AwsError::incomplete("iam:GetUser", "no account"))?;
    let status = AccessKeyStatus { account, user: name, user_id: id, key: key.clone() };
    Ok(now.map(|now| KeyOwner { status, now, arn }))
}

/// A user as he is called now.
pub struct NamedUser {
    pub arn: Arn,
    pub id: UserId,
    pub made: Option<Timestamp>,
}

/// `None` where there is no such user.
pub async fn named_user(aws: &Aws, name: &UserName) -> Result<Option<NamedUser>, AwsError> {
    const OPERATION: &str = "iam:GetUser";
    let answer = match aws.iam().get_user().user_name(name.as_str()).send().await.map_err(classify(OPERATION)) {
        Ok(answer) => answer,
        Err(AwsError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let user = answer.user().ok_or_else(|| AwsError::incomplete(OPERATION, "no user"))?;
    let lacks = |error: crate::domain::IdError| AwsError::incomplete(OPERATION, &error.to_string());
    Ok(Some(NamedUser {
        arn: Arn::parse(user.arn()).map_err(lacks)?,
        id: UserId::parse(user.user_id()).map_err(lacks)?,
        made: user.create_date().to_millis().ok().map(Timestamp::from_millis),
    }))
}

/// Of a user or a role.
pub fn tags(wire: &[Tag]) -> Tags {
    wire.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}

async fn most_attached(aws: &Aws) -> Option<usize> {
    let answer = aws.iam().get_account_summary().send().await.ok()?;
    let quota = answer.summary_map()?.get(&SummaryKeyType::AttachedPoliciesPerUserQuota)?;
    usize::try_from(*quota).ok()
}
