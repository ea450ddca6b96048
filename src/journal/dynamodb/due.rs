//! What the sweep looks for, by the sparse index `due`, and what is counted for the digest: `D#hour`, each thing by its name.

use super::{DynamoJournal, Item, OURS, OURS_IF_THERE, SCHEMA, V, checked, json, key, record, string, unreadable};
use crate::{
    aws::{AwsError, classify},
    domain::{IncidentId, Timestamp},
    journal::{ASKED_FOR, Containment, Counts, Entry, IncidentRecord, JournalError, Question},
};

/// Of the index; the items of a group are in the order in which they were written to.
const INDEX: &str = "due";
/// In the attribute `due`: of a target that is held, of an incident that people were not told of, of one that they have not answered.
pub const TARGET: &str = "target";
pub const UNTOLD: &str = "untold";
pub const WAITING: &str = "waiting";

/// Counts are of no interest any more after so many seconds.
const KEPT: i64 = 14 * 24 * 60 * 60;
/// Stands beside the counts of an hour that people were told of.
const TOLD: &str = "#told";

impl DynamoJournal {
    /// Keys by the index, then the items themselves: the index is a little behind.
    async fn due(&self, group: &str, most: usize) -> Result<Vec<Item>, JournalError> {
        let call = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(INDEX)
            .key_condition_expression("due = :group")
            .expression_attribute_values(":group", V::S(group.to_owned()))
            .limit(i32::try_from(most).unwrap_or(i32::MAX));
        let answer = call.send().await.map_err(classify("dynamodb:Query"))?;
        let mut found = Vec::new();
        for item in answer.items() {
            let Some(pk) = string(item, "pk") else { continue };
            // One that cannot be read does not hide the others.
            match self.get(pk.to_owned()).await {
                Ok(item) => found.extend(item),
                Err(error) => tracing::error!(item = pk, %error, "left out"),
            }
        }
        Ok(found)
    }

    /// One conditional write; a read more where another incident asks.
    pub(super) async fn ask_once(
        &self,
        target: &str,
        question: &Question,
        instead_of: Option<&IncidentId>,
        now: Timestamp,
    ) -> Result<Option<IncidentId>, JournalError> {
        let head = key(format!("T#{target}"), "HEAD");
        let number = |n: i64| V::N(n.to_string());
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(head))
            .update_expression("SET #schema = :schema, asked_by = :by, asked_things = :things, asked_severity = :severity, asked_at = :now")
            .condition_expression(
                "(attribute_not_exists(#schema) OR #schema = :schema) AND (attribute_not_exists(asked_by) OR asked_by = :by OR asked_by = :instead OR asked_things <> :things OR asked_severity < :severity OR asked_at < :long_ago)",
            )
            .expression_attribute_names("#schema", "schema")
            .expression_attribute_values(":schema", V::N(SCHEMA.to_owned()))
            .expression_attribute_values(":by", V::S(question.incident.to_string()))
            .expression_attribute_values(":instead", V::S(instead_of.map_or_else(|| "nobody".to_owned(), ToString::to_string)))
            .expression_attribute_values(":things", V::S(question.things.clone()))
            .expression_attribute_values(":severity", number(question.severity.into()))
            .expression_attribute_values(":now", number(now.millis()))
            .expression_attribute_values(":long_ago", number(now.minus(ASKED_FOR).millis()));
        match call.send().await.map_err(classify("dynamodb:UpdateItem")) {
            Ok(_) => Ok(None),
            Err(AwsError::Conflict { .. }) => {
                let item = self.get(format!("T#{target}")).await?.unwrap_or_default();
                Ok(string(&item, "asked_by").and_then(|id| IncidentId::parse(id).ok()))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn held_now(&self, most: usize) -> Result<Vec<Containment>, JournalError> {
        let mut found = Vec::new();
        for item in self.due(TARGET, most).await? {
            match json::<Containment>(&item, "containment") {
                Ok(known) => found.extend(known.filter(Containment::is_held)),
                Err(error) => tracing::error!(item = string(&item, "pk"), %error, "left out"),
            }
        }
        Ok(found)
    }

    pub(super) async fn unanswered_now(&self, most: usize) -> Result<Vec<IncidentRecord>, JournalError> {
        let mut found = Vec::new();
        // Each by itself, so that a storm of questions hides no message.
        let (untold, waiting) = futures::try_join!(self.due(UNTOLD, most), self.due(WAITING, most))?;
        for item in untold.into_iter().chain(waiting) {
            match record(&item) {
                Ok(record) => found.extend(Some(record).filter(IncidentRecord::is_unanswered)),
                Err(error) => tracing::error!(item = string(&item, "pk"), %error, "left out"),
            }
        }
        Ok(found)
    }

    pub(super) async fn count_one(&self, hour: i64, what: &str) -> Result<(), JournalError> {
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(format!("D#{hour}"), what)))
            .update_expression("ADD times :one SET #schema = :schema, expires = :expires")
            .condition_expression(OURS)
            .expression_attribute_names("#schema", "schema")
            .expression_attribute_values(":one", V::N("1".to_owned()))
            .expression_attribute_values(":expires", expires(hour))
            .expression_attribute_values(":schema", V::N(SCHEMA.to_owned()));
        match call.send().await.map_err(classify("dynamodb:UpdateItem")) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.refused(format!("D#{hour}"), what, error).await),
        }
    }

    /// A set, so that a repeated write adds nothing.
    pub(super) async fn add_to_log(&self, id: &IncidentId, entry: &Entry) -> Result<(), JournalError> {
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(format!("I#{id}"), "HEAD")))
            .update_expression("ADD #log :entry")
            .condition_expression(OURS_IF_THERE)
            .expression_attribute_names("#schema", "schema")
            .expression_attribute_values(":schema", V::N(SCHEMA.to_owned()))
            .expression_attribute_names("#log", "log")
            .expression_attribute_values(":entry", V::Ss(vec![entry.to_string()]));
        match call.send().await.map_err(classify("dynamodb:UpdateItem")) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.refused_by(id, error).await),
        }
    }

    pub(super) async fn counted_in(&self, hour: i64) -> Result<Option<Counts>, JournalError> {
        let call = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", V::S(format!("D#{hour}")))
            .consistent_read(true);
        let mut pages = call.into_paginator().items().send();
        let mut found = Counts::new();
        while let Some(item) = pages.try_next().await.map_err(classify("dynamodb:Query"))? {
            let what = string(&item, "sk").unwrap_or_default().to_owned();
            if what == TOLD {
                return Ok(None);
            }
            let times = item.get("times").and_then(|times| times.as_n().ok()).and_then(|times| times.parse().ok());
            match checked(item).and_then(|item| times.ok_or_else(|| unreadable(&item, "it counts nothing"))) {
                Ok(times) => drop(found.insert(what, times)),
                // A count that cannot be read does not keep the others from people, nor the sweep from the rest of its work.
                Err(error) => tracing::error!(%error, "left out"),
            }
        }
        Ok(Some(found).filter(|found| !found.is_empty()))
    }

    pub(super) async fn told_of_counts(&self, hour: i64) -> Result<(), JournalError> {
        let mut item = key(format!("D#{hour}"), TOLD);
        item.insert("schema".to_owned(), V::N(SCHEMA.to_owned()));
        item.insert("expires".to_owned(), expires(hour));
        let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
        call.send().await.map_err(classify("dynamodb:PutItem"))?;
        Ok(())
    }
}

/// In seconds, as DynamoDB's time to live wants it.
fn expires(hour: i64) -> V {
    V::N(hour.saturating_mul(3_600).saturating_add(KEPT).to_string())
}
