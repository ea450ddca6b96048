//! The registry of our own groups: `REG#account#region`, `GROUP#vpc` or `PASSAGE#vpc`; and the baseline of sensors: `SENSORS#account#region`.

use super::{DynamoJournal, SCHEMA, V, checked, json, key, millis, string, text, unreadable};
use crate::{
    aws::{AwsError, classify},
    domain::{AccountId, GroupId, Region, VpcId},
    journal::{JournalError, OwnGroups, Purpose, Registry},
    survey::Baseline,
};
use futures::{FutureExt, future::BoxFuture};
use std::collections::HashMap;

impl Registry for DynamoJournal {
    fn groups<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
    ) -> BoxFuture<'a, Result<OwnGroups, JournalError>> {
        async move {
            let call = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", V::S(format!("REG#{account}#{region}")))
                .consistent_read(true);
            let mut pages = call.into_paginator().items().send();
            let mut found = HashMap::new();
            while let Some(item) = pages.try_next().await.map_err(classify("dynamodb:Query"))? {
                let item = checked(item)?;
                let sort = string(&item, "sk").and_then(|sort| sort.split_once('#'));
                let purpose = match sort {
                    Some(("GROUP", vpc)) => Some((vpc, Purpose::Quarantine)),
                    Some(("PASSAGE", vpc)) => Some((vpc, Purpose::Passage)),
                    _ => None,
                };
                let key = purpose.and_then(|(vpc, purpose)| Some((VpcId::parse(vpc).ok()?, purpose)));
                let group = string(&item, "group").and_then(|group| GroupId::parse(group).ok());
                let (Some(key), Some(group)) = (key, group) else {
                    return Err(unreadable(&item, "it names no group of ours"));
                };
                found.insert(key, group);
            }
            Ok(found)
        }
        .boxed()
    }

    fn enter<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
        vpc: &'a VpcId,
        purpose: Purpose,
        group: &'a GroupId,
    ) -> BoxFuture<'a, Result<(), JournalError>> {
        async move {
            let kind = match purpose {
                Purpose::Quarantine => "GROUP",
                Purpose::Passage => "PASSAGE",
            };
            let pk = format!("REG#{account}#{region}");
            self.put(pk, &format!("{kind}#{vpc}"), "group", V::S(group.to_string())).await
        }
        .boxed()
    }

    fn baseline<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
    ) -> BoxFuture<'a, Result<Option<Baseline>, JournalError>> {
        async move {
            let item = self.get(format!("SENSORS#{account}#{region}")).await?;
            item.map_or(Ok(None), |item| json(&item, "baseline"))
        }
        .boxed()
    }

    fn keep_baseline<'a>(
        &'a self,
        account: &'a AccountId,
        region: &'a Region,
        baseline: &'a Baseline,
        instead_of: Option<&'a Baseline>,
    ) -> BoxFuture<'a, Result<bool, JournalError>> {
        async move {
            let mut item = key(format!("SENSORS#{account}#{region}"), "HEAD");
            item.insert("schema".to_owned(), V::N(SCHEMA.to_owned()));
            item.insert("taken".to_owned(), millis(baseline.taken));
            item.insert("baseline".to_owned(), text(baseline)?);
            let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
            let call = match instead_of {
                None => call.condition_expression("attribute_not_exists(pk)"),
                Some(known) => call
                    .condition_expression("taken = :taken")
                    .expression_attribute_values(":taken", millis(known.taken)),
            };
            match call.send().await.map_err(classify("dynamodb:PutItem")) {
                Ok(_) => Ok(true),
                // Repeated after a lost answer it meets itself.
                Err(AwsError::Conflict { .. }) => Ok(self.baseline(account, region).await?.as_ref() == Some(baseline)),
                Err(error) => Err(error.into()),
            }
        }
        .boxed()
    }
}
