//! From a finding and its situation to the one thing to contain. Every part of a target is parsed by its own grammar.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Situation, Triage};
use crate::domain::{
    AccessKeyResource, AccountId, Finding, Outcome, OutcomeKind, RoleId, RoleName, SessionName, Target, UserId,
    UserName,
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
            Ok(Target::Instance { account, region, id: instance.id.clone(), profile_hint: instance.profile.clone() })
        }
        Situation::CompromisedAccessKey => user(finding, account),
        Situation::CompromisedRoleSession => role_session(finding, account),
        other => Err(Outcome::because(
            OutcomeKind::Observed,
            "no-playbook",
            format!("no playbook for the situation `{other}`"),
        )),
    }
}

fn user(finding: &Finding, account: AccountId) -> Result<Target, Outcome> {
    let key = credentials(finding)?;
    let name = UserName::parse(key.name.as_str()).map_err(|e| declined("no-user-name", e.to_string()))?;
    let id = UserId::parse(key.principal_id.as_str())
        .map_err(|e| declined("no-unique-id", format!("{e}; a user is contained by unique id, never by name alone")))?;
    Ok(Target::User { account, partition: finding.partition.clone(), name, id })
}

fn role_session(finding: &Finding, account: AccountId) -> Result<Target, Outcome> {
    let key = credentials(finding)?;
    let role = RoleName::parse(key.name.as_str()).map_err(|e| declined("no-role-name", e.to_string()))?;
    let no_session = || {
        let shown = &key.principal_id;
        declined(
            "no-unique-id",
            format!("`{shown}` is no `AROA…:session`; a session is contained by the role's unique id and its name"),
        )
    };
    let (id, session) = key.principal_id.as_str().split_once(':').ok_or_else(no_session)?;
    let id = RoleId::parse(id).map_err(|_| no_session())?;
    let session = SessionName::parse(session).map_err(|_| no_session())?;
    Ok(Target::RoleSession { account, partition: finding.partition.clone(), role, id, session })
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
