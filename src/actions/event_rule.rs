//! Whether a rule of EventBridge by which Cordon gets its events is enabled.
//!
//! # What it does
//! Enables it again: the one thing of its own that Cordon changes.
//! # Undo
//! None: releasing an incident silences no sensor. `cordon baseline accept` says that it is to stay off.
//! # Limits
//! A rule or a target that was deleted is not made again; deploying the stack anew does that.

use super::{Action, Called, Permissions, Release, Switch, trail_logging::STAYS};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, EventRuleName, Region},
};
use aws_sdk_eventbridge::types::RuleState;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRule {
    pub account: AccountId,
    pub region: Region,
    pub rule: EventRuleName,
}

impl Action for EventRule {
    const NAME: &'static str = "events.rule.state";
    const PERMISSIONS: Permissions =
        Permissions { reads: &["events:DescribeRule"], contains: &["events:EnableRule"], releases: &[] };
    const RELEASE: Release = Release::Keeps(STAYS);
    const UNDO_ORDER: u8 = 0;
    const SET_BY: &'static [&'static str] = &["DisableRule", "EnableRule", "PutRule"];
    type State = Switch;

    fn resource(&self) -> &str {
        self.rule.as_str()
    }

    fn command(&self, to: &Switch) -> Option<String> {
        let verb = if *to == Switch::On { "enable" } else { "disable" };
        Some(format!("aws events {verb}-rule --region {} --name {}", self.region, self.rule))
    }

    fn calls(&self, to: &Switch) -> Vec<Called> {
        vec![(if *to == Switch::On { "EnableRule" } else { "DisableRule" }, Vec::new())]
    }

    async fn read(&self, aws: &Aws) -> Result<Switch, AwsError> {
        let call = aws.events(&self.region).describe_rule().name(self.rule.as_str());
        let rule = call.send().await.map_err(classify("events:DescribeRule"))?;
        Ok(Switch::of(rule.state().is_some_and(|state| *state != RuleState::Disabled)))
    }

    async fn apply(&self, aws: &Aws, to: &Switch) -> Result<(), AwsError> {
        const OPERATION: &str = "events:EnableRule";
        to.only_on(OPERATION)?;
        aws.events(&self.region)
            .enable_rule()
            .name(self.rule.as_str())
            .send()
            .await
            .map(drop)
            .map_err(classify(OPERATION))
    }
}

impl fmt::Display for EventRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/event rule {}", self.account, self.region, self.rule)
    }
}
