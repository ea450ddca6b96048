//! From a finding and its situation to the one thing to contain. Every part of a target is parsed by its own grammar.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::Triage;
use crate::{
    domain::{AccessKeyResource, AccountId, Finding, Outcome, OutcomeKind, Situation, Target},
    principal::{self, Identity, Principal},
};

/// The target of a finding whose situation has one.
///
/// # Errors
/// A Declined outcome that says which id is missing or malformed: what cannot be named for certain is not touched.
pub fn target(finding: &Finding, triage: &Triage) -> Result<Target, Outcome> {
    let account = finding.account.clone().ok_or_else(|| {
        declined("no-account", format!("`{}` is no account id, so it is unknown where to act", finding.account_shown))
    })?;
    match triage.situation {
        Situation::CompromisedInstance => {
            let instance =
                finding.instance().ok_or_else(|| declined("no-instance", "the finding names no usable instance id"))?;
            let region =
                finding.region.clone().ok_or_else(|| declined("no-region", "the finding names no usable region"))?;
            let (profile_hint, vpc_hint) = (instance.profile.clone(), instance.vpc.clone());
            Ok(Target::Instance { account, region, id: instance.id.clone(), profile_hint, vpc_hint })
        }
        Situation::CompromisedAccessKey | Situation::CompromisedRoleSession => principal(finding, account),
        other => Err(Outcome::because(
            OutcomeKind::Observed,
            "no-playbook",
            format!("no playbook for the situation `{other}`"),
        )),
    }
}

/// Who is behind a finding, if he can be named for certain.
pub fn actor(finding: &Finding) -> Option<Target> {
    principal(finding, finding.account.clone()?).ok()
}

fn principal(finding: &Finding, account: AccountId) -> Result<Target, Outcome> {
    let key = credentials(finding)?;
    let identity = Identity {
        kind: &key.user_type,
        principal_id: key.principal_id.as_str(),
        name: key.name.as_str(),
        key: key.key.as_ref(),
        issuer: None,
    };
    let partition = finding.partition.clone();
    match principal::whose(&identity) {
        Ok(Principal::User { name, id }) => Ok(Target::User { account, partition, name, id }),
        Ok(Principal::Session { role, id, session }) => {
            Ok(Target::RoleSession { account, partition, role, id, session, key: key.key.clone() })
        }
        Err(cannot) => Err(declined(cannot.code, cannot.why)),
    }
}

fn credentials(finding: &Finding) -> Result<&AccessKeyResource, Outcome> {
    finding.access_key().ok_or_else(|| declined("no-credentials", "the finding names no credentials"))
}

fn declined(code: &'static str, text: impl Into<String>) -> Outcome {
    Outcome::because(OutcomeKind::Declined, code, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ingest, triage::classify};
    use serde_json::json;

    fn of(user_type: &str, name: &str, principal: &str) -> Result<String, String> {
        let raw = json!({"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": {
            "id": "f1", "type": "Impact:IAMUser/AnomalousBehavior", "severity": 8, "accountId": "111122223333", "region": "us-east-1",
            "resource": {"accessKeyDetails": {"userType": user_type, "userName": name, "principalId": principal}}}});
        let ingest::Ingested::Finding(finding) = ingest::event(&raw.to_string()) else { panic!("no finding") };
        target(&finding, &classify(&finding)).map(|t| t.key()).map_err(|o| o.reasons[0].code.to_string())
    }

    #[test]
    fn a_principal_is_its_unique_id_or_nothing() {
        for (user_type, name, principal, expected) in [
            ("IAMUser", "deploy", "AIDACKCEVSQ6C2EXAMPLE", Ok("111122223333#global#user#AIDACKCEVSQ6C2EXAMPLE")),
            ("IAMUser", "deploy", "", Err("no-unique-id")),
            ("IAMUser", "deploy", "AROACKCEVSQ6C2EXAMPLE", Err("no-unique-id")),
            ("IAMUser", "a/../b", "AIDACKCEVSQ6C2EXAMPLE", Err("no-user-name")),
            (
                "AssumedRole",
                "web",
                "AROACKCEVSQ6C2EXAMPLE:i-0a1b2c3d",
                Ok("111122223333#global#role-session#AROACKCEVSQ6C2EXAMPLE:i-0a1b2c3d"),
            ),
            ("AssumedRole", "web", "AROACKCEVSQ6C2EXAMPLE", Err("no-unique-id")),
            ("AssumedRole", "web", "AROACKCEVSQ6C2EXAMPLE:a\"b", Err("no-unique-id")),
            ("AssumedRole", "web", "AIDACKCEVSQ6C2EXAMPLE:me", Err("no-unique-id")),
            ("AssumedRole", "", "AROACKCEVSQ6C2EXAMPLE:me", Err("no-role-name")),
            ("Root", "root", "111122223333", Err("no-playbook")),
        ] {
            assert_eq!(
                of(user_type, name, principal),
                expected.map(String::from).map_err(String::from),
                "{user_type} {name} {principal}"
            );
        }
    }
}
