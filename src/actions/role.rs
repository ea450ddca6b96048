//! The inline policies of a role, which is its unique id: one that was made anew under its name is a stranger's.

use super::policy_document::decoded;
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{RoleId, RoleName, Text},
};

/// # Errors
/// NotFound where it is gone, or another one has its name.
pub async fn same_role(aws: &Aws, role: &RoleName, id: &RoleId) -> Result<(), AwsError> {
    const OPERATION: &str = "iam:GetRole";
    let answer = aws.iam().get_role().role_name(role.as_str()).send().await.map_err(classify(OPERATION))?;
    match answer.role().is_some_and(|role| role.role_id() == id.as_str()) {
        true => Ok(()),
        false => Err(AwsError::NotFound { operation: OPERATION, message: Text::new("another role has this name now") }),
    }
}

/// The document that stands under that name, whoever's role it is.
pub async fn role_policy(aws: &Aws, role: &RoleName, name: &str) -> Result<Option<String>, AwsError> {
    let call = aws.iam().get_role_policy().role_name(role.as_str()).policy_name(name);
    match call.send().await.map_err(classify("iam:GetRolePolicy")) {
        Ok(answer) => Ok(Some(decoded(answer.policy_document()))),
        Err(AwsError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts the document under that name, or deletes what stands there.
pub async fn set_role_policy(aws: &Aws, role: &RoleName, name: &str, document: Option<String>) -> Result<(), AwsError> {
    let (iam, role) = (aws.iam(), role.as_str());
    match document {
        Some(document) => {
            let call = iam.put_role_policy().role_name(role).policy_name(name).policy_document(document);
            call.send().await.map(drop).map_err(classify("iam:PutRolePolicy"))
        }
        None => {
            let call = iam.delete_role_policy().role_name(role).policy_name(name);
            match call.send().await.map_err(classify("iam:DeleteRolePolicy")) {
                Ok(_) | Err(AwsError::NotFound { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        }
    }
}
