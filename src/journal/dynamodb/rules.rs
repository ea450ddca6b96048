//! `POLICY`: `V#version` and `~PAUSE`, which sorts after all versions, so that one query finds what holds. `BUDGET#kind#period` with
//! the set of members. `MARK#what`.

use super::{DynamoJournal, Item, OURS, OURS_IF_THERE, SCHEMA, V, checked, json, key, set, string, text};
use crate::{
    aws::{AwsError, classify},
    domain::Timestamp,
    journal::{JournalError, PolicyVersion, RuleStore, Standing, unique},
    policy::{Budget, Pause},
};
use futures::{FutureExt, future::BoxFuture};
use std::time::Duration;

const POLICY: &str = "POLICY";
const PAUSE: &str = "~PAUSE";
/// Budgets and marks are of no use after so many seconds more.
const KEPT: i64 = 24 * 60 * 60;

impl DynamoJournal {
    async fn newest(&self, most: usize) -> Result<Vec<Item>, JournalError> {
        let call = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", V::S(POLICY.to_owned()))
            .scan_index_forward(false)
            .limit(i32::try_from(most).unwrap_or(i32::MAX))
            .consistent_read(true);
        Ok(call.send().await.map_err(classify("dynamodb:Query"))?.items.unwrap_or_default())
    }

    /// Puts an item that is not there yet.
    async fn put_new(&self, mut item: Item) -> Result<bool, JournalError> {
        // Repeated after a lost answer it finds its own token.
        item.insert("token".to_owned(), V::S(unique()));
        let token = item.get("token").cloned().unwrap_or(V::Null(true));
        let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let call = call
            .condition_expression("attribute_not_exists(pk) OR #token = :token")
            .expression_attribute_names("#token", "token")
            .expression_attribute_values(":token", token);
        match call.send().await.map_err(classify("dynamodb:PutItem")) {
            Ok(_) => Ok(true),
            Err(AwsError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn mark_once(&self, what: &str, lasts: Duration, now: Timestamp) -> Result<bool, JournalError> {
        let mut item = key(format!("MARK#{what}"), "HEAD");
        item.insert("schema".to_owned(), V::N(SCHEMA.to_owned()));
        item.insert("expires".to_owned(), expires(now.plus(lasts)));
        self.put_new(item).await
    }

    async fn take_once(&self, budget: &Budget) -> Result<bool, JournalError> {
        if budget.most == 0 {
            return Ok(false);
        }
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(format!("BUDGET#{}", budget.key), "HEAD")))
            .update_expression("ADD members :members SET #schema = :schema, expires = :expires")
            .condition_expression(format!(
                "({OURS}) AND (attribute_not_exists(members) OR size(members) < :most OR contains(members, :member))"
            ))
            .expression_attribute_names("#schema", "schema")
            .expression_attribute_values(":members", V::Ss(vec![budget.member.clone()]))
            .expression_attribute_values(":member", V::S(budget.member.clone()))
            .expression_attribute_values(":most", V::N(budget.most.to_string()))
            .expression_attribute_values(":expires", expires(budget.ends))
            .expression_attribute_values(":schema", V::N(SCHEMA.to_owned()));
        match call.send().await.map_err(classify("dynamodb:UpdateItem")) {
            Ok(_) => Ok(true),
            Err(error @ AwsError::Conflict { .. }) => {
                // Another write came between, or there is no place left: the set itself says which.
                let item = self.get(format!("BUDGET#{}", budget.key)).await?.unwrap_or_default();
                match set(&item, "members")?.len() >= budget.most as usize {
                    true => Ok(false),
                    false => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl RuleStore for DynamoJournal {
    fn standing(&self) -> BoxFuture<'_, Result<Standing, JournalError>> {
        async move {
            let mut standing = Standing::default();
            for item in self.newest(2).await? {
                match string(&item, "sk") {
                    Some(PAUSE) => standing.pause = pause(item),
                    _ if standing.newest.is_none() => standing.newest = Some(version(item)),
                    _ => {}
                }
            }
            Ok(standing)
        }
        .boxed()
    }

    fn policies(&self, most: usize) -> BoxFuture<'_, Result<Vec<PolicyVersion>, JournalError>> {
        async move {
            let items = self.newest(most.saturating_add(1)).await?.into_iter();
            Ok(items.filter(|item| string(item, "sk") != Some(PAUSE)).map(version).take(most).collect())
        }
        .boxed()
    }

    fn put_policy<'a>(&'a self, version: &'a PolicyVersion) -> BoxFuture<'a, Result<bool, JournalError>> {
        async move {
            let mut item = key(POLICY.to_owned(), &format!("V#{:08}", version.version));
            item.insert("schema".to_owned(), V::N(SCHEMA.to_owned()));
            item.insert("version".to_owned(), text(version)?);
            self.put_new(item).await
        }
        .boxed()
    }

    fn set_pause<'a>(&'a self, pause: &'a Pause) -> BoxFuture<'a, Result<(), JournalError>> {
        async move {
            // One that was damaged is written anew; one of another version is not ours to write.
            self.put(POLICY.to_owned(), PAUSE, "pause", text(pause)?).await
        }
        .boxed()
    }

    fn take<'a>(&'a self, budget: &'a Budget) -> BoxFuture<'a, Result<bool, JournalError>> {
        self.take_once(budget).boxed()
    }

    fn give<'a>(&'a self, budget: &'a Budget) -> BoxFuture<'a, Result<(), JournalError>> {
        async move {
            let call = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key(format!("BUDGET#{}", budget.key), "HEAD")))
                .update_expression("DELETE members :members")
                .condition_expression(OURS_IF_THERE)
                .expression_attribute_names("#schema", "schema")
                .expression_attribute_values(":members", V::Ss(vec![budget.member.clone()]))
                .expression_attribute_values(":schema", V::N(SCHEMA.to_owned()));
            match call.send().await.map_err(classify("dynamodb:UpdateItem")) {
                // Nobody took a place there.
                Ok(_) | Err(AwsError::Conflict { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        .boxed()
    }

    fn mark<'a>(&'a self, what: &'a str, lasts: Duration, now: Timestamp) -> BoxFuture<'a, Result<bool, JournalError>> {
        self.mark_once(what, lasts, now).boxed()
    }

    fn is_marked<'a>(&'a self, what: &'a str) -> BoxFuture<'a, Result<bool, JournalError>> {
        async move { Ok(self.get(format!("MARK#{what}")).await?.is_some()) }.boxed()
    }
}

/// Whatever stands there is a version: one that cannot be read must not look as if there were none.
fn version(item: Item) -> PolicyVersion {
    let sort = string(&item, "sk").unwrap_or_default().to_owned();
    let number = sort.strip_prefix("V#").and_then(|n| n.parse().ok()).unwrap_or(u32::MAX);
    let why = match checked(item).and_then(|item| json::<PolicyVersion>(&item, "version")) {
        Ok(Some(known)) if known.version == number => return known,
        Ok(_) => "the item holds no version of that number".to_owned(),
        Err(error) => error.to_string(),
    };
    PolicyVersion {
        version: number,
        text: None,
        unreadable: Some(why),
        by: String::new(),
        at: Timestamp::from_millis(0),
        because: String::new(),
    }
}

fn pause(item: Item) -> Option<Result<Pause, String>> {
    match checked(item).and_then(|item| json::<Pause>(&item, "pause")) {
        Ok(Some(pause)) => Some(Ok(pause)),
        Ok(None) => Some(Err("it holds nothing".to_owned())),
        Err(error) => Some(Err(error.to_string())),
    }
}

/// In seconds, as DynamoDB's time to live wants it.
fn expires(at: Timestamp) -> V {
    V::N(at.millis().div_euclid(1_000).saturating_add(KEPT).to_string())
}
