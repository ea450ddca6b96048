//! Facts of an IAM user: his keys, and where a deny finds room.

use super::SurveyError;
use crate::{
    actions::{
        AccessKeyStatus, Attachment, KeyStatus, PolicyState, UserAttachment, UserInlineDeny, access_keys,
        attached_policies, inline_size,
    },
    aws::{Aws, AwsError, classify},
    domain::{AccountId, Arn, Partition, UserId, UserName},
};
use aws_sdk_iam::types::SummaryKeyType;
use futures::future::try_join_all;

#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub arn: Arn,
    pub id: UserId,
    pub keys: Vec<(AccessKeyStatus, KeyStatus)>,
    pub deny: UserAttachment,
    pub attachment: Attachment,
    /// Whether one more managed policy can be attached.
    pub attachable: bool,
    /// Read only where nothing more can be attached.
    pub inline: Option<InlineRoom>,
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
            Err(SurveyError::Vanished(why)) => match find_by_id(aws, id).await? {
                Some(renamed) if renamed != *name => Self::read_named(aws, account, partition, &renamed, id).await,
                _ => Err(SurveyError::Vanished(why)),
            },
            other => other,
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
        let (user, keys, attached, most) = futures::join!(
            aws.iam().get_user().user_name(name.as_str()).send(),
            access_keys(aws, name),
            attached_policies(aws, name),
            most_attached(aws),
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
        // A quota that cannot be read is the default one: too low a guess only costs the longer way.
        let attachable =
            attachment == Attachment::Attached || attached.len() < most.unwrap_or(ATTACHED_BY_DEFAULT as usize);
        let own = |key| AccessKeyStatus { account: account.clone(), user: name.clone(), user_id: id.clone(), key };
        Ok(Self {
            arn,
            id: id.clone(),
            keys: keys.into_iter().map(|(key, status)| (own(key), status)).collect(),
            deny: UserAttachment { account: account.clone(), user: name.clone(), user_id: id.clone(), policy },
            attachment,
            attachable,
            inline: if attachable { None } else { Some(InlineRoom::read(aws, account, name, id).await?) },
        })
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
            call.send().await.map(|answer| inline_size(answer.policy_document())).map_err(classify("iam:GetUserPolicy"))
        });
        let (state, sizes) = futures::join!(deny.read_policy(aws), try_join_all(others));
        Ok(Self { state: state?, used: sizes?.into_iter().sum(), deny })
    }
}

async fn most_attached(aws: &Aws) -> Option<usize> {
    let answer = aws.iam().get_account_summary().send().await.ok()?;
    let quota = answer.summary_map()?.get(&SummaryKeyType::AttachedPoliciesPerUserQuota)?;
    usize::try_from(*quota).ok()
}

/// The name that the user has now; IAM has no look-up by unique id.
async fn find_by_id(aws: &Aws, id: &UserId) -> Result<Option<UserName>, AwsError> {
    let mut pages = aws.iam().list_users().into_paginator().items().send();
    while let Some(user) = pages.try_next().await.map_err(classify("iam:ListUsers"))? {
        if user.user_id() == id.as_str() {
            return Ok(UserName::parse(user.user_name()).ok());
        }
    }
    Ok(None)
}
