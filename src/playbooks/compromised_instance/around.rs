//! What is around the instance: who depends on it, which ways stay open, and what more a person may want done.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Draft;
use crate::{
    actions::{Association, Change, InstancePower, InstanceProfile, Power, SessionState, SsmSession},
    domain::Way,
    playbooks::{BEYOND, Offer, PlannedStep, SETTLE},
    survey::{Aside, DefaultRoute, Interface, Surroundings},
};

impl Draft<'_> {
    pub(super) fn ask_where_others_depend(&mut self) {
        if let Some(tag) = &self.instance.node_of {
            self.ask(
                "container-node",
                format!("by its tag `{tag}` it is a node of a container cluster: its pods or tasks stop with it"),
            );
        }
        for interface in &self.instance.interfaces {
            if !interface.checks_destination {
                self.ask("router", format!("interface {} passes on what is not for it (source/destination check off): others reach the network through it", interface.id));
            }
            if interface.is_trunk {
                self.ask(
                    "branch-interfaces",
                    format!("branch interfaces of containers hang on {}, with groups of their own", interface.id),
                );
            }
        }
    }

    pub(super) fn ask_where_others_route(&mut self, around: &Surroundings) {
        match &around.routes {
            Ok(routes) if !routes.through_it.is_empty() => {
                let tables: Vec<&str> = routes.through_it.iter().map(String::as_str).collect();
                self.ask("route-target", format!("route tables send through it: {}", tables.join(", ")));
            }
            Ok(_) => {}
            Err(error) => self.ask("routes-unreadable", format!("who routes through it could not be read: {error}")),
        }
        match &around.registrations {
            Ok(registrations) => {
                for registered in registrations.iter().filter(|registered| registered.is_only_healthy) {
                    let group = &registered.target.group;
                    self.ask("only-healthy-target", format!("it is the only healthy target of {group}"));
                }
            }
            Err(error) => {
                self.ask(
                    "capacity-unknown",
                    format!("whether it is the only healthy target of a group could not be read: {error}"),
                );
            }
        }
    }

    pub(super) fn name_what_stays_open(&mut self, around: &Surroundings) {
        for (interface, way) in around.routes.iter().flat_map(|routes| &routes.ways) {
            let is_ours = |known: &Interface| known.id == *interface && known.managed_by.is_none();
            if *way == DefaultRoute::Internet && self.instance.interfaces.iter().any(is_ours) {
                self.plan.passages.push(interface.clone());
            }
            if let DefaultRoute::Tracked(through) = way {
                self.risk(Way::Open, format!("connections of {interface} that were established before go on through {through}, which tracks them; stop the instance if that must not be"));
            }
        }
        for registered in around.registrations.iter().flatten().filter(|registered| registered.by_network_balancer) {
            let group = &registered.target.group;
            self.risk(
                Way::Open,
                format!("flows through the network load balancer of {group} that were established before go on"),
            );
        }
    }

    pub(super) fn name_endpoints(&mut self, aside: &Aside) {
        match &aside.endpoints {
            Ok(endpoints) if !endpoints.is_empty() => {
                let mut shown: Vec<&str> = endpoints.iter().map(String::as_str).take(5).collect();
                if endpoints.len() > shown.len() {
                    shown.push("…");
                }
                self.risk(
                    Way::Open,
                    format!(
                        "connections to interface endpoints of its VPC that were established before go on: {}",
                        shown.join(", ")
                    ),
                );
            }
            Ok(_) => {}
            Err(error) => {
                self.risk(Way::Unseen, format!("whether its VPC has interface endpoints could not be read: {error}"))
            }
        }
    }

    fn offer(&mut self, name: &'static str, why: &str, steps: Vec<PlannedStep>) {
        self.plan.offers.push(Offer { name, why: why.to_owned(), steps });
    }

    pub(super) fn offer_to_end_sessions(&mut self, aside: &Aside) {
        match &aside.sessions {
            Ok(sessions) if !sessions.is_empty() => {
                let end = |session: &SsmSession| {
                    let change =
                        Change { target: session.clone(), before: SessionState::Open, after: SessionState::Terminated };
                    PlannedStep::new(SETTLE, change, &self.subject)
                };
                let steps = sessions.iter().map(end).collect();
                self.offer("terminate-sessions", "shells that are open by SSM's Session Manager go on under quarantine; one may be of whoever investigates", steps);
            }
            Ok(_) => {}
            Err(error) => {
                let text = format!(
                    "whether somebody has a session of SSM's Session Manager open on it could not be read: {error}"
                );
                self.risk(Way::Unseen, text);
            }
        }
    }

    pub(super) fn offer_to_stop(&mut self) {
        // EC2 user guide: a Spot instance of a one-time request cannot be stopped.
        if self.instance.is_spot {
            return;
        }
        let target = InstancePower {
            account: self.instance.account.clone(),
            region: self.instance.region.clone(),
            instance: self.instance.id.clone(),
        };
        let change = Change { target, before: Power::folded(&self.instance.state), after: Power::Stopped };
        let step = PlannedStep::new(BEYOND, change, &self.subject);
        self.offer("stop-instance", "ends every connection and process; memory and instance-store volumes are lost, and a public address that is no Elastic IP", vec![step]);
    }

    pub(super) fn offer_to_take_the_profile(&mut self) {
        let Ok(before @ Association::Profile { .. }) = &self.instance.profile else { return };
        let target = InstanceProfile {
            account: self.instance.account.clone(),
            region: self.instance.region.clone(),
            instance: self.instance.id.clone(),
        };
        let change = Change { target, before: before.clone(), after: Association::Nothing };
        let step = PlannedStep::new(BEYOND, change, &self.subject);
        self.offer("disassociate-instance-profile", "it gets no new credentials; without them SSM's agent and log shippers stop, by which people would look at it", vec![step]);
    }
}
