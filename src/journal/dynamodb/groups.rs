//! The registry of our own groups: `REG#account#region`, `GROUP#vpc` or `PASSAGE#vpc`.

use super::{DynamoJournal, SCHEMA, V, key, string};
use crate::{
    aws::classify,
    domain::{AccountId, GroupId, Region, VpcId},
    journal::{JournalError, OwnGroups, Purpose, Registry},
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
                let sort = string(&item, "sk").and_then(|sort| sort.split_once('#'));
                let purpose = match sort {
                    Some(("GROUP", vpc)) => Some((vpc, Purpose::Quarantine)),
                    Some(("PASSAGE", vpc)) => Some((vpc, Purpose::Passage)),
                    _ => None,
                };
                let key = purpose.and_then(|(vpc, purpose)| Some((VpcId::parse(vpc).ok()?, purpose)));
                let group = string(&item, "group").and_then(|group| GroupId::parse(group).ok());
                let (Some(key), Some(group)) = (key, group) else {
                    return Err(JournalError::Unreadable("an entry of the registry of groups".to_owned()));
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
            let mut item = key(format!("REG#{account}#{region}"), &format!("{kind}#{vpc}"));
            item.insert("schema".to_owned(), V::N(SCHEMA.to_owned()));
            item.insert("group".to_owned(), V::S(group.to_string()));
            let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
            call.send().await.map_err(classify("dynamodb:PutItem"))?;
            Ok(())
        }
        .boxed()
    }
}
