//! The status of one of an IAM user's credentials that are no access keys: SSH keys, signing certificates, service-specific passwords.
//!
//! # What it does
//! Makes it Inactive: an SSH key or a service password opens repositories and tables without any access key.
//! # Undo
//! Stays Inactive after release, like access keys, unless the operator asks for keys by name.
//! # Limits
//! The password of the console and MFA devices have no such status; they are named, not changed.

use super::{
    Action, Called, KeyStatus, Permissions, Release,
    user::{same_user, under_his_name},
};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{AccountId, CredentialId, Text, UserId, UserName},
};
use aws_sdk_iam::types::StatusType;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserCredential {
    pub account: AccountId,
    pub user: UserName,
    pub user_id: UserId,
    pub kind: CredentialKind,
    pub id: CredentialId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    SshKey,
    SigningCertificate,
    ServiceSpecific,
}

impl CredentialKind {
    pub const ALL: [Self; 3] = [Self::SshKey, Self::SigningCertificate, Self::ServiceSpecific];
}

impl Action for UserCredential {
    const NAME: &'static str = "iam.user.credential";
    const PERMISSIONS: Permissions = Permissions {
        reads: &[
            "iam:GetUser",
            "iam:ListSSHPublicKeys",
            "iam:ListServiceSpecificCredentials",
            "iam:ListSigningCertificates",
            "iam:ListUsers",
        ],
        contains: &["iam:UpdateSSHPublicKey", "iam:UpdateServiceSpecificCredential", "iam:UpdateSigningCertificate"],
        releases: &["iam:UpdateSSHPublicKey", "iam:UpdateServiceSpecificCredential", "iam:UpdateSigningCertificate"],
    };
    const RELEASE: Release = Release::KeepsUnlessAsked("a credential that leaked once is known; reactivate it by name");
    const UNDO_ORDER: u8 = 2;
    const SET_BY: &'static [&'static str] = &[
        "CreateServiceSpecificCredential",
        "UpdateSSHPublicKey",
        "UpdateServiceSpecificCredential",
        "UpdateSigningCertificate",
        "UploadSSHPublicKey",
        "UploadSigningCertificate",
    ];
    type State = KeyStatus;

    fn resource(&self) -> &str {
        self.id.as_str()
    }

    /// Credentials stay out of messages, so a person takes the id from IAM.
    fn command(&self, _to: &KeyStatus) -> Option<String> {
        None
    }

    fn identity(&self) -> String {
        format!("{}/{} {} {}", self.account, self.user_id, self.kind, self.id)
    }

    fn calls(&self, to: &KeyStatus) -> Vec<Called> {
        let name = match self.kind {
            CredentialKind::SshKey => "UpdateSSHPublicKey",
            CredentialKind::SigningCertificate => "UpdateSigningCertificate",
            CredentialKind::ServiceSpecific => "UpdateServiceSpecificCredential",
        };
        let status = if *to == KeyStatus::Active { "Active" } else { "Inactive" };
        vec![(name, vec![status.to_owned()])]
    }

    async fn read(&self, aws: &Aws) -> Result<KeyStatus, AwsError> {
        under_his_name(aws, &self.user, &self.user_id, |user| self.read_as(aws, user)).await
    }

    async fn apply(&self, aws: &Aws, to: &KeyStatus) -> Result<(), AwsError> {
        under_his_name(aws, &self.user, &self.user_id, |user| self.apply_as(aws, user, *to)).await
    }
}

impl UserCredential {
    async fn read_as(&self, aws: &Aws, user: UserName) -> Result<KeyStatus, AwsError> {
        let (same, found) = futures::join!(same_user(aws, &user, &self.user_id), self.kind.list(aws, &user));
        same?;
        let found = found?.into_iter().find(|(id, _)| *id == self.id);
        found.map(|(_, status)| status).ok_or_else(|| AwsError::NotFound {
            operation: "iam:ListServiceSpecificCredentials",
            message: Text::new("the user has no such credential"),
        })
    }

    async fn apply_as(&self, aws: &Aws, user: UserName, to: KeyStatus) -> Result<(), AwsError> {
        let (iam, user, id) = (aws.iam(), user.as_str(), self.id.as_str());
        let status = match to {
            KeyStatus::Active => StatusType::Active,
            KeyStatus::Inactive => StatusType::Inactive,
        };
        match self.kind {
            CredentialKind::SshKey => {
                let call = iam.update_ssh_public_key().user_name(user).ssh_public_key_id(id).status(status);
                call.send().await.map(drop).map_err(classify("iam:UpdateSSHPublicKey"))
            }
            CredentialKind::SigningCertificate => {
                let call = iam.update_signing_certificate().user_name(user).certificate_id(id).status(status);
                call.send().await.map(drop).map_err(classify("iam:UpdateSigningCertificate"))
            }
            CredentialKind::ServiceSpecific => {
                let call = iam.update_service_specific_credential().user_name(user);
                let call = call.service_specific_credential_id(id).status(status);
                call.send().await.map(drop).map_err(classify("iam:UpdateServiceSpecificCredential"))
            }
        }
    }
}

impl CredentialKind {
    /// All credentials of that kind; those with an id of another form cannot be named and are an error.
    pub async fn list(self, aws: &Aws, user: &UserName) -> Result<Vec<(CredentialId, KeyStatus)>, AwsError> {
        let (iam, user) = (aws.iam(), user.as_str());
        let mut found = Vec::new();
        let mut take = |operation: &'static str, id: &str, status: &StatusType| {
            let id = CredentialId::parse(id).map_err(|error| AwsError::incomplete(operation, &error.to_string()))?;
            found.push((id, if *status == StatusType::Inactive { KeyStatus::Inactive } else { KeyStatus::Active }));
            Ok::<_, AwsError>(())
        };
        match self {
            Self::SshKey => {
                const OPERATION: &str = "iam:ListSSHPublicKeys";
                let mut pages = iam.list_ssh_public_keys().user_name(user).into_paginator().items().send();
                while let Some(key) = pages.try_next().await.map_err(classify(OPERATION))? {
                    take(OPERATION, key.ssh_public_key_id(), key.status())?;
                }
            }
            Self::SigningCertificate => {
                const OPERATION: &str = "iam:ListSigningCertificates";
                let mut pages = iam.list_signing_certificates().user_name(user).into_paginator().items().send();
                while let Some(certificate) = pages.try_next().await.map_err(classify(OPERATION))? {
                    take(OPERATION, certificate.certificate_id(), certificate.status())?;
                }
            }
            Self::ServiceSpecific => {
                const OPERATION: &str = "iam:ListServiceSpecificCredentials";
                let mut marker = None;
                loop {
                    let call = iam.list_service_specific_credentials().user_name(user).set_marker(marker);
                    let page = call.send().await.map_err(classify(OPERATION))?;
                    for credential in page.service_specific_credentials() {
                        take(OPERATION, credential.service_specific_credential_id(), credential.status())?;
                    }
                    marker = page.marker().filter(|_| page.is_truncated()).map(str::to_owned);
                    if marker.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(found)
    }
}

impl fmt::Display for UserCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{} {} {}", self.account, self.user, self.user_id, self.kind, self.id)
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SshKey => "SSH key",
            Self::SigningCertificate => "signing certificate",
            Self::ServiceSpecific => "service credential",
        })
    }
}
