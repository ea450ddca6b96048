//! Wakes people because root was used, and says what can be done.
//!
//! # What it does
//! Changes nothing: IAM's policies do not bind root, and sessions that root has made cannot be ended. It says what a person can do, from where.
//! # Fires on
//! GuardDuty's RootCredentialUsage and any other finding about root; any call, sign-in or change of password by root in CloudTrail.
//! # Blast radius
//! None.
//! # Undo
//! Nothing to undo.
//! # Limits
//! Whether the organisation manages root centrally is known only in its management account: both ways are printed.
//! # References
//! IAM user guide, "AWS account root user" and "Centrally manage root access for member accounts"; MITRE ATT&CK T1078.004.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Advice, Case, Plan, Playbook, Refusal};
use crate::{
    domain::{Outcome, OutcomeKind, Situation, Target},
    survey::Facts,
};

pub struct RootUsed;

/// The reason by which people are woken.
pub const CODE: &str = "root-cannot-be-contained";

impl Playbook for RootUsed {
    fn id(&self) -> &'static str {
        "root-used"
    }

    fn situations(&self) -> &'static [Situation] {
        &[Situation::RootUsed]
    }

    fn source(&self) -> &'static str {
        include_str!("root_used.rs")
    }

    fn plan(&self, _facts: &Facts, case: &Case<'_>) -> Result<Plan, Outcome> {
        let Target::Account { account, partition } = case.target else {
            return Err(Outcome::because(OutcomeKind::Declined, "other-target", "the target is no account"));
        };
        let why = "IAM cannot limit root, and what root's session does goes on: change its password, its MFA devices and its keys by hand, now";
        let task = format!("arn:{partition}:iam::aws:policy/root-task/IAMDeleteRootUserCredentials");
        Ok(Plan {
            refused: vec![Refusal::new(CODE, why)],
            advice: vec![
                Advice::new(
                    "in the management account: whether root of member accounts is managed centrally",
                    "aws iam list-organizations-features".to_owned(),
                ),
                Advice::new(
                    "if RootCredentialsManagement is on: a session that may take root's credentials away",
                    format!("aws sts assume-root --target-principal {account} --task-policy-arn arn={task}"),
                ),
                Advice::new(
                    "what root did",
                    "aws cloudtrail lookup-events --lookup-attributes AttributeKey=Username,AttributeValue=root"
                        .to_owned(),
                ),
                Advice::new(
                    "whether root has keys",
                    "aws iam get-account-summary --query SummaryMap.AccountAccessKeysPresent".to_owned(),
                ),
            ],
            ..Plan::default()
        })
    }
}
