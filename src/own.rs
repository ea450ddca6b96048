//! Which recorded calls are Cordon's own: who called *and* what was journalled must agree. Any other use of its role is an incident.

use crate::{
    actions::Recorded,
    analyst::Analyst,
    domain::{IncidentId, Outcome, OutcomeKind},
    ingest::{CallResult, Record},
    permissions,
    policy::PrincipalRef,
    watch::SenseError,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Whose call it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Whose {
    /// Somebody else's: rules say what it is.
    Others,
    /// Ours, and why that is known.
    Ours(&'static str),
    /// Made with our role, and not by us.
    Misused,
}

impl Whose {
    /// The end of an event that our own call caused.
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Ours(why) => {
                Some(Outcome::because(OutcomeKind::Ignored, "own-call", format!("Cordon's own call: {why}")))
            }
            Self::Others | Self::Misused => None,
        }
    }
}

/// Calls by which groups of ours are made and emptied.
const GROUPS: [&str; 4] =
    ["CreateSecurityGroup", "CreateTags", "RevokeSecurityGroupEgress", "RevokeSecurityGroupIngress"];

impl Analyst {
    /// # Errors
    /// Where who we are, or what we did, cannot be read, and a repeat can help.
    pub async fn whose(&self, record: &Record) -> Result<Whose, SenseError> {
        let unique_id = record.caller.principal_id.as_str();
        let unique_id = unique_id.split_once(':').map_or(unique_id, |(role, _)| role);
        if unique_id.is_empty() || record.account.is_none() {
            return Ok(Whose::Others);
        }
        let rules = self.rules.last();
        let is_named = |list: &[PrincipalRef]| {
            list.iter().any(|principal| match principal {
                PrincipalRef::UniqueId(id) => id == unique_id,
                PrincipalRef::Arn(arn) => record.caller.arn.as_ref() == Some(arn),
            })
        };
        let is_operator = is_named(&rules.policy.operators) || is_named(&rules.policy.break_glass);
        let is_ours = is_named(&rules.policy.own_principals);
        let identity = match self.aws.identity().await {
            Ok(identity) => identity,
            Err(error) if error.is_passing() => return Err(error.into()),
            // Who cannot know who he is takes nothing for his own.
            Err(_) => return Ok(Whose::Others),
        };
        let is_function = identity.unique_id == unique_id;
        if record.account.as_ref() != Some(&identity.account) || !(is_function || is_ours || is_operator) {
            return Ok(Whose::Others);
        }
        if let Some(why) = self.known(record, is_function || is_ours, !is_function).await? {
            return Ok(Whose::Ours(why));
        }
        // An operator does other things too, and rules judge them.
        Ok(if is_function || is_ours { Whose::Misused } else { Whose::Others })
    }

    /// Why it is known to be ours.
    async fn known(
        &self,
        record: &Record,
        is_cordon: bool,
        may_release: bool,
    ) -> Result<Option<&'static str>, SenseError> {
        let null = Value::Null;
        let of = |name: &str| record.raw.get(name).unwrap_or(&null);
        let service = record.service.as_str().split('.').next().unwrap_or_default();
        // Some of S3's permissions have other names than its calls.
        let name = if record.name.as_str() == "ListBuckets" { "ListAllMyBuckets" } else { record.name.as_str() };
        let call = format!("{service}:{name}");
        let for_us = of("userIdentity")
            .get("invokedBy")
            .and_then(Value::as_str)
            .is_some_and(|by| by.ends_with(".amazonaws.com"));
        if is_cordon && for_us && service == "kms" {
            return Ok(Some("a service of AWS uses a key for Cordon"));
        }
        // Journal, queue and topic are data; who reads or writes data with the role is not seen here, or every answer would be a question.
        if is_cordon && of("managementEvent") == &Value::Bool(false) {
            return Ok(Some("a data event"));
        }
        let reads = permissions::responder().contains(call.as_str())
            || permissions::operator_function().contains(call.as_str());
        if is_cordon && of("readOnly") == &Value::Bool(true) && (reads || call == "sts:GetCallerIdentity") {
            return Ok(Some("it reads what it needs"));
        }
        if is_cordon && call == "logs:CreateLogStream" {
            return Ok(Some("it writes its log"));
        }
        let is_refused = record.result == CallResult::Denied;
        let recorded = Recorded::of(record.name.as_str(), of("requestParameters"), of("responseElements"), is_refused);
        let own_groups: BTreeSet<String> = match (&record.account, &record.region) {
            (Some(account), Some(region)) => {
                self.journal.groups(account, region).await?.into_values().map(|group| group.to_string()).collect()
            }
            _ => BTreeSet::new(),
        };
        let makes_group = recorded.says("cordon-quarantine") || recorded.says("cordon-passage");
        if is_cordon
            && GROUPS.contains(&record.name.as_str())
            && (recorded.is_about(&own_groups) || record.name.as_str() == "CreateSecurityGroup" && makes_group)
        {
            return Ok(Some("it makes and empties its own groups"));
        }
        let Some(incident) = incident_of(of("userAgent")) else { return Ok(None) };
        let Some(treatment) = self.journal.incident(&incident).await?.and_then(|record| record.treatment) else {
            return Ok(None);
        };
        for target in treatment.targets() {
            let Some(known) = self.journal.read(&target.key()).await? else { continue };
            if known.steps.iter().any(|step| step.change.is_call(&recorded, &own_groups, may_release)) {
                return Ok(Some("a step of the journal"));
            }
        }
        Ok(None)
    }
}

/// Every call says for which incident it is made.
fn incident_of(agent: &Value) -> Option<IncidentId> {
    let said = agent.as_str()?.split("cordon/").nth(1)?;
    IncidentId::parse(said.split([' ', ']']).next()?).ok()
}
