//! Enhanced logging: what flows in the network of a contained instance is recorded from then on, where the policy names a bucket for it.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Draft;
use crate::{
    actions::{Change, FlowLog, Network, Switch},
    domain::{Arn, VpcId},
    playbooks::EVIDENCE,
    survey::Aside,
};
use std::collections::BTreeSet;

impl Draft<'_> {
    /// A network that has a flow log already keeps it, wherever it goes.
    pub(super) fn log_flows(&mut self, aside: &Aside, to: &Arn) {
        let logs = match &aside.flow_logs {
            Ok(logs) => logs,
            Err(error) => {
                let why = format!("whether its network has flow logs could not be read: {error}");
                return self.unread("flow-logs-unreadable", why, error.is_passing());
            }
        };
        let vpcs: BTreeSet<VpcId> = self.instance.interfaces.iter().map(|interface| interface.vpc.clone()).collect();
        for vpc in vpcs {
            let of = Network::Vpc(vpc);
            let mut there = logs.iter().filter(|log| log.of == of).peekable();
            let has_none = there.peek().is_none();
            let is_ours = there.any(|log| log.to.as_ref() == Some(to));
            if has_none || is_ours {
                let (account, region) = (self.instance.account.clone(), self.instance.region.clone());
                let target = FlowLog { account, region, of, to: to.clone() };
                self.step(EVIDENCE, Change { target, before: Switch::of(is_ours), after: Switch::On });
            }
        }
    }
}
