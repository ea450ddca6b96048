//! An IAM user is his unique id: names are given anew, and to others.

use crate::{
    aws::{Aws, AwsError, classify},
    domain::{Text, UserId, UserName},
};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Names are not ids: a user who was deleted and made again is a stranger.
pub async fn same_user(aws: &Aws, user: &UserName, id: &UserId) -> Result<(), AwsError> {
    const OPERATION: &str = "iam:GetUser";
    let answer = aws.iam().get_user().user_name(user.as_str()).send().await.map_err(classify(OPERATION))?;
    if answer.user().is_some_and(|user| user.user_id() == id.as_str()) {
        Ok(())
    } else {
        Err(AwsError::NotFound { operation: OPERATION, message: Text::new("another user has this name now") })
    }
}

/// Who has which name since, as it was last looked up. Every change follows a look in the same invocation, and must not go to whoever has
/// the old name by then.
#[derive(Default)]
pub struct UserNames(Mutex<HashMap<UserId, UserName>>);

impl UserNames {
    fn of(&self, id: &UserId) -> Option<UserName> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    pub fn learn(&self, id: &UserId, name: &UserName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), name.clone());
    }
}

/// Calls under the name that is known, and where he is not found under it, under the one that he has now.
pub async fn under_his_name<T, F: Future<Output = Result<T, AwsError>>>(
    aws: &Aws,
    known: &UserName,
    id: &UserId,
    call: impl Fn(UserName) -> F,
) -> Result<T, AwsError> {
    let known = aws.user_names.of(id).unwrap_or_else(|| known.clone());
    match call(known.clone()).await {
        Err(AwsError::NotFound { .. }) => {
            let now = renamed(aws, &known, id).await?;
            aws.user_names.learn(id, &now);
            call(now).await
        }
        other => other,
    }
}

/// The name that somebody has now who is not to be found under the one that is known.
///
/// # Errors
/// NotFound where there is no such user, by his unique id, or where it was something else that was missing.
async fn renamed(aws: &Aws, known: &UserName, id: &UserId) -> Result<UserName, AwsError> {
    let now = user_by_id(aws, id).await?.filter(|now| now != known);
    now.ok_or_else(|| AwsError::NotFound { operation: "iam:ListUsers", message: Text::new("he has no other name") })
}

/// The name that the user has now; IAM has no look-up by unique id.
pub async fn user_by_id(aws: &Aws, id: &UserId) -> Result<Option<UserName>, AwsError> {
    let mut pages = aws.iam().list_users().into_paginator().items().send();
    while let Some(user) = pages.try_next().await.map_err(classify("iam:ListUsers"))? {
        if user.user_id() == id.as_str() {
            return Ok(UserName::parse(user.user_name()).ok());
        }
    }
    Ok(None)
}
