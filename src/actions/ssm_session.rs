//! A session that somebody has open on an instance by SSM's Session Manager.
//!
//! # What it does
//! Terminates the session: a shell that was open before goes on under quarantine, because the agent keeps its connection.
//! # Undo
//! Stays: who had it open can open another.
//! # Limits
//! Sessions that are opened later are not ended by it; the session's deny and the quarantine keep new ones off. Offered, never done unasked,
//! because it may be the session of whoever investigates.

use super::{Action, Called, Permissions, Release};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, InstanceId, Region, SsmSessionId},
};
use aws_sdk_ssm::types::{SessionFilter, SessionFilterKey, SessionState as Wire};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SsmSession {
    pub account: AccountId,
    pub region: Region,
    pub instance: InstanceId,
    pub session: SsmSessionId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionState {
    Open,
    Terminated,
}

impl Action for SsmSession {
    const NAME: &'static str = "ssm.session.state";
    const PERMISSIONS: Permissions =
        Permissions { reads: &["ssm:DescribeSessions"], contains: &["ssm:TerminateSession"], releases: &[] };
    const RELEASE: Release = Release::Keeps("who had the session open can open another");
    const UNDO_ORDER: u8 = 9;
    const SET_BY: &'static [&'static str] = &["StartSession", "ResumeSession", "TerminateSession"];
    type State = SessionState;

    fn resource(&self) -> &str {
        self.session.as_str()
    }

    fn command(&self, _to: &SessionState) -> Option<String> {
        None
    }

    fn calls(&self, to: &SessionState) -> Vec<Called> {
        match to {
            SessionState::Open => Vec::new(),
            SessionState::Terminated => vec![("TerminateSession", Vec::new())],
        }
    }

    async fn read(&self, aws: &Aws) -> Result<SessionState, AwsError> {
        let open = open_sessions(aws, &self.account, &self.region, &self.instance).await?;
        Ok(if open.contains(self) { SessionState::Open } else { SessionState::Terminated })
    }

    async fn apply(&self, aws: &Aws, to: &SessionState) -> Result<(), AwsError> {
        const OPERATION: &str = "ssm:TerminateSession";
        match to {
            SessionState::Terminated => {
                let call = aws.ssm(&self.region).terminate_session().session_id(self.session.as_str());
                call.send().await.map(drop).map_err(classify(OPERATION))
            }
            SessionState::Open => Err(AwsError::incomplete(OPERATION, "a session cannot be opened again")),
        }
    }
}

/// All sessions that are open on the instance. One whose id is odd cannot be named in a call and is an error.
pub async fn open_sessions(
    aws: &Aws,
    account: &AccountId,
    region: &Region,
    instance: &InstanceId,
) -> Result<Vec<SsmSession>, AwsError> {
    const OPERATION: &str = "ssm:DescribeSessions";
    let on_it = SessionFilter::builder().key(SessionFilterKey::TargetId).value(instance.as_str()).build();
    let on_it = on_it.map_err(|error| AwsError::incomplete(OPERATION, &error.to_string()))?;
    let call = aws.ssm(region).describe_sessions().state(Wire::Active).filters(on_it);
    let mut pages = call.into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(session) = pages.try_next().await.map_err(classify(OPERATION))? {
        let session = SsmSessionId::parse(session.session_id().unwrap_or_default());
        let session = session.map_err(|error| AwsError::incomplete(OPERATION, &error.to_string()))?;
        found.push(SsmSession {
            account: account.clone(),
            region: region.clone(),
            instance: instance.clone(),
            session,
        });
    }
    Ok(found)
}

impl fmt::Display for SsmSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.account, self.region, self.instance, self.session)
    }
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Terminated => "terminated",
        })
    }
}
