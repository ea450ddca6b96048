//! The journal in one DynamoDB table, for all accounts and regions: what survives a crash.
//!
//! | pk | sk | what |
//! | --- | --- | --- |
//! | `T#account#region\|global#kind#uid` | `HEAD` | lease, inbox and the whole containment, so that one write keeps them true together |
//! | `I#incident` | `HEAD` | the incident, its last report, what was told, approvals |
//! | `S#thing` | `HEAD` | the targets that may hold a thing that several may hold; their own items say whether they do |
//! | `REG#account#region` | `GROUP#vpc`, `PASSAGE#vpc` | our own groups |
//! | `SENSORS#account#region` | `HEAD` | the sensors that were on when the baseline was taken |
//! | `POLICY` | `V#version`, `~PAUSE` | the policy as it was put, and the pause switch |
//! | `BUDGET#kind#period`, `MARK#what` | `HEAD` | who took a place, and what was done once |
//! | `D#hour` | what was seen | how often, for the digest |
//! | `COUNT#what#time` | `HEAD` | what is a finding only if it goes on |
//!
//! The sparse index `due` (`due`, `due_at`) has what the sweep looks for.
//!
//! Every item has `schema`. Writes are conditional on the fence; each is the same when repeated, so the SDK may repeat it.

mod due;
mod groups;
mod item;
mod open;
mod rules;
mod tallies;

use super::{
    AllIncidents, Approval, Claim, Containment, Counts, Entry, GivenBack, Inbox, IncidentRecord, Journal, JournalError,
    LEASE, Lease, Question, Rejected, UnreadSince, unique,
};
use crate::{
    aws::{AwsError, classify},
    decision::Treatment,
    domain::{IncidentId, Report, Text, Timestamp},
};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{AttributeValue as V, ReturnValue};
use futures::{FutureExt, future::BoxFuture};
use item::{checked, json, key, millis, record, set, string, text, unreadable};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

/// Of the items' form; one with another is refused, and not written to.
const SCHEMA: &str = "1";
/// The condition of a write that may make an item.
const OURS: &str = "attribute_not_exists(#schema) OR #schema = :schema";
/// Of one that makes none.
const OURS_IF_THERE: &str = "attribute_exists(pk) AND (attribute_not_exists(#schema) OR #schema = :schema)";

/// No lease lasts so long, whatever the clocks.
const NEVER: Duration = Duration::from_secs(60);

type Item = HashMap<String, V>;

pub struct DynamoJournal {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl DynamoJournal {
    pub fn new(configuration: &SdkConfig, table: String) -> Self {
        Self { client: aws_sdk_dynamodb::Client::new(configuration), table }
    }

    async fn get(&self, pk: String) -> Result<Option<Item>, JournalError> {
        let call = self.client.get_item().table_name(&self.table).set_key(Some(key(pk, "HEAD"))).consistent_read(true);
        let item = call.send().await.map_err(classify("dynamodb:GetItem"))?.item;
        item.map(checked).transpose()
    }

    async fn try_claim(&self, target: &str, now: Timestamp) -> Result<Option<Claim>, JournalError> {
        let lease = Lease { target: target.to_owned(), fence: unique() };
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(format!("T#{target}"), "HEAD")))
            .update_expression("SET fence = :fence, lease_until = :until, #schema = :schema, due_at = :now")
            // Repeated after a lost answer it finds its own fence.
            .condition_expression(
                // A lease that is no time, or ends later than any can, was written by hand: nobody would look after what it holds.
                "(attribute_not_exists(lease_until) OR NOT attribute_type(lease_until, :number) OR NOT (lease_until BETWEEN :next AND :never) OR fence = :fence) AND (attribute_not_exists(#schema) OR #schema = :schema)",
            )
            .expression_attribute_names("#schema", "schema")
            .expression_attribute_values(":fence", V::S(lease.fence.clone()))
            .expression_attribute_values(":until", millis(now.plus(LEASE)))
            .expression_attribute_values(":now", millis(now))
            .expression_attribute_values(":next", millis(now.plus(Duration::from_millis(1))))
            .expression_attribute_values(":never", millis(now.plus(NEVER)))
            .expression_attribute_values(":number", V::S("N".to_owned()))
            .expression_attribute_values(":schema", V::N(SCHEMA.to_owned()))
            .return_values(ReturnValue::AllNew);
        match call.send().await.map_err(classify("dynamodb:UpdateItem")) {
            Ok(answer) => {
                let item = checked(answer.attributes.unwrap_or_default())?;
                let containment = json::<Containment>(&item, "containment")?.map(Box::new);
                Ok(Some(Claim::Held { lease, containment, inbox: set(&item, "inbox")? }))
            }
            Err(AwsError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// How many are in the inbox then; `None` where the lease ended meanwhile, and nobody would look into it.
    async fn leave(&self, target: &str, incident: &IncidentId, now: Timestamp) -> Result<Option<usize>, JournalError> {
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(format!("T#{target}"), "HEAD")))
            .update_expression("ADD inbox :mark")
            .condition_expression("lease_until > :now AND #schema = :schema")
            .expression_attribute_names("#schema", "schema")
            .expression_attribute_values(":mark", V::Ss(vec![format!("{incident}#{}", unique())]))
            .expression_attribute_values(":now", millis(now))
            .expression_attribute_values(":schema", V::N(SCHEMA.to_owned()))
            .return_values(ReturnValue::UpdatedNew);
        match call.send().await.map_err(classify("dynamodb:UpdateItem")) {
            Ok(answer) => Ok(Some(set(&answer.attributes.unwrap_or_default(), "inbox")?.len())),
            Err(AwsError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds a target to a thing's set, or takes it away.
    async fn mark(&self, update: &str, thing: &str, target: &str) -> Result<(), JournalError> {
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(format!("S#{thing}"), "HEAD")))
            .update_expression(update)
            .condition_expression(OURS)
            .expression_attribute_names("#schema", "schema")
            .expression_attribute_values(":target", V::Ss(vec![target.to_owned()]))
            .expression_attribute_values(":schema", V::N(SCHEMA.to_owned()));
        match call.send().await.map_err(classify("dynamodb:UpdateItem")) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.refused(format!("S#{thing}"), "HEAD", error).await),
        }
    }

    /// Puts an item in place of the one that was, unless that is of another version.
    async fn put(&self, pk: String, sk: &str, name: &str, value: V) -> Result<(), JournalError> {
        let mut item = key(pk.clone(), sk);
        item.insert("schema".to_owned(), V::N(SCHEMA.to_owned()));
        item.insert(name.to_owned(), value);
        let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let call = call
            .condition_expression(OURS)
            .expression_attribute_names("#schema", "schema")
            .expression_attribute_values(":schema", V::N(SCHEMA.to_owned()));
        match call.send().await.map_err(classify("dynamodb:PutItem")) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.refused(pk, sk, error).await),
        }
    }

    /// Why an item did not take a write: it is of another version, if that is so.
    async fn refused(&self, pk: String, sk: &str, error: AwsError) -> JournalError {
        let AwsError::Conflict { .. } = &error else { return error.into() };
        let call = self.client.get_item().table_name(&self.table).set_key(Some(key(pk, sk))).consistent_read(true);
        match call.send().await.map_err(classify("dynamodb:GetItem")) {
            Ok(answer) => answer.item.map(checked).and_then(Result::err).unwrap_or_else(|| error.into()),
            Err(unread) => unread.into(),
        }
    }

    /// Of an incident that did not take a write: it is not there, or of another version.
    async fn refused_by(&self, id: &IncidentId, error: AwsError) -> JournalError {
        match self.refused(format!("I#{id}"), "HEAD", error).await {
            JournalError::Aws(AwsError::Conflict { .. }) => JournalError::NoIncident(id.clone()),
            other => other,
        }
    }

    /// Sets attributes of an incident that is there.
    async fn set(&self, id: &IncidentId, values: Vec<(&'static str, Option<V>)>) -> Result<(), JournalError> {
        let mut call = self.client.update_item().table_name(&self.table).set_key(Some(key(format!("I#{id}"), "HEAD")));
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        for (n, (name, value)) in values.into_iter().enumerate() {
            call = call.expression_attribute_names(format!("#n{n}"), name);
            match value {
                Some(value) => {
                    set.push(format!("#n{n} = :v{n}"));
                    call = call.expression_attribute_values(format!(":v{n}"), value);
                }
                None => remove.push(format!("#n{n}")),
            }
        }
        let part = |verb: &str, parts: Vec<String>| match parts.is_empty() {
            true => String::new(),
            false => format!("{verb} {} ", parts.join(", ")),
        };
        let expression = part("SET", set) + &part("REMOVE", remove);
        let call = call
            .update_expression(expression.trim())
            .condition_expression(OURS_IF_THERE)
            .expression_attribute_names("#schema", "schema")
            .expression_attribute_values(":schema", V::N(SCHEMA.to_owned()));
        match call.send().await.map_err(classify("dynamodb:UpdateItem")) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.refused_by(id, error).await),
        }
    }
}

impl Journal for DynamoJournal {
    fn is_durable(&self) -> bool {
        true
    }

    fn claim<'a>(
        &'a self,
        target: &'a str,
        incident: &'a IncidentId,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Claim, JournalError>> {
        async move {
            // The lease can end between the two writes; after that the claim succeeds, unless a third was quicker.
            for _ in 0..5 {
                if let Some(claim) = self.try_claim(target, now).await? {
                    return Ok(claim);
                }
                if let Some(waiting) = self.leave(target, incident, now).await? {
                    return Ok(Claim::Joined { waiting });
                }
            }
            // An item of another version takes neither, and says so.
            self.get(format!("T#{target}")).await?;
            let message = Text::new("neither claimed nor joined");
            Err(AwsError::Conflict { operation: "dynamodb:UpdateItem", message }.into())
        }
        .boxed()
    }

    fn read<'a>(&'a self, target: &'a str) -> BoxFuture<'a, Result<Option<Containment>, JournalError>> {
        async move {
            let item = self.get(format!("T#{target}")).await?;
            item.map_or(Ok(None), |item| json(&item, "containment"))
        }
        .boxed()
    }

    fn write<'a>(
        &'a self,
        lease: &'a Lease,
        containment: &'a Containment,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), JournalError>> {
        async move {
            let call = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key(format!("T#{}", lease.target), "HEAD")))
                .update_expression(match containment.is_held() {
                    true => "SET containment = :containment, lease_until = :until, due = :target, due_at = :now",
                    false => "SET containment = :containment, lease_until = :until REMOVE due, due_at",
                })
                .condition_expression("fence = :fence")
                .expression_attribute_values(":containment", text(containment)?)
                .expression_attribute_values(":until", millis(now.plus(LEASE)))
                .expression_attribute_values(":fence", V::S(lease.fence.clone()));
            let call = match containment.is_held() {
                true => call
                    .expression_attribute_values(":target", V::S(due::TARGET.to_owned()))
                    .expression_attribute_values(":now", millis(now)),
                false => call,
            };
            match call.send().await.map_err(classify("dynamodb:UpdateItem")) {
                Ok(_) => Ok(()),
                Err(AwsError::Conflict { .. }) => Err(JournalError::LeaseLost(lease.target.clone())),
                Err(error) => Err(error.into()),
            }
        }
        .boxed()
    }

    fn give_back<'a>(&'a self, lease: &'a Lease, seen: &'a Inbox) -> BoxFuture<'a, Result<GivenBack, JournalError>> {
        async move {
            let call = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key(format!("T#{}", lease.target), "HEAD")))
                .update_expression("REMOVE lease_until, inbox")
                .expression_attribute_values(":fence", V::S(lease.fence.clone()));
            // An empty set is no set in DynamoDB.
            let call = match seen.is_empty() {
                true => call.condition_expression("fence = :fence AND attribute_not_exists(inbox)"),
                false => call
                    .condition_expression("fence = :fence AND inbox = :seen")
                    .expression_attribute_values(":seen", V::Ss(seen.iter().cloned().collect())),
            };
            match call.send().await.map_err(classify("dynamodb:UpdateItem")) {
                Ok(_) => return Ok(GivenBack::Yes),
                Err(AwsError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            let item = self.get(format!("T#{}", lease.target)).await?.unwrap_or_default();
            if item.get("fence") != Some(&V::S(lease.fence.clone())) {
                return Err(JournalError::LeaseLost(lease.target.clone()));
            }
            // No lease and no inbox: it was given back, and the answer was lost.
            match item.contains_key("lease_until") {
                true => Ok(GivenBack::NotYet { inbox: set(&item, "inbox")? }),
                false => Ok(GivenBack::Yes),
            }
        }
        .boxed()
    }

    fn share<'a>(&'a self, thing: &'a str, target: &'a str) -> BoxFuture<'a, Result<(), JournalError>> {
        self.mark("ADD targets :target SET #schema = :schema", thing, target).boxed()
    }

    fn unshare<'a>(&'a self, thing: &'a str, target: &'a str) -> BoxFuture<'a, Result<(), JournalError>> {
        self.mark("DELETE targets :target SET #schema = :schema", thing, target).boxed()
    }

    fn sharers<'a>(&'a self, thing: &'a str) -> BoxFuture<'a, Result<BTreeSet<String>, JournalError>> {
        async move {
            let item = self.get(format!("S#{thing}")).await?;
            item.map_or_else(|| Ok(BTreeSet::new()), |item| set(&item, "targets"))
        }
        .boxed()
    }

    fn open<'a>(
        &'a self,
        id: &'a IncidentId,
        treatment: Option<&'a Treatment>,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<IncidentRecord, JournalError>> {
        self.open_incident(id, treatment, now).boxed()
    }

    fn incident<'a>(&'a self, id: &'a IncidentId) -> BoxFuture<'a, Result<Option<IncidentRecord>, JournalError>> {
        async move { self.get(format!("I#{id}")).await?.map(|item| record(&item)).transpose() }.boxed()
    }

    fn incidents(&self) -> BoxFuture<'_, Result<AllIncidents, JournalError>> {
        async move {
            let call = self
                .client
                .scan()
                .table_name(&self.table)
                .filter_expression("begins_with(pk, :incident)")
                .expression_attribute_values(":incident", V::S("I#".to_owned()));
            let mut pages = call.into_paginator().items().send();
            let mut found = AllIncidents::default();
            while let Some(item) = pages.try_next().await.map_err(classify("dynamodb:Scan"))? {
                match checked(item).and_then(|item| record(&item)) {
                    Ok(record) => found.records.push(record),
                    Err(error) => found.unreadable.push(error),
                }
            }
            Ok(found)
        }
        .boxed()
    }

    fn keep_first<'a>(&'a self, id: &'a IncidentId, report: &'a Report) -> BoxFuture<'a, Result<(), JournalError>> {
        async move {
            let call = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key(format!("I#{id}"), "HEAD")))
                .update_expression("SET report = if_not_exists(report, :report)")
                .condition_expression(OURS_IF_THERE)
                .expression_attribute_names("#schema", "schema")
                .expression_attribute_values(":report", text(report)?)
                .expression_attribute_values(":schema", V::N(SCHEMA.to_owned()));
            match call.send().await.map_err(classify("dynamodb:UpdateItem")) {
                Ok(_) => Ok(()),
                Err(error) => Err(self.refused_by(id, error).await),
            }
        }
        .boxed()
    }

    fn conclude<'a>(
        &'a self,
        id: &'a IncidentId,
        report: &'a Report,
        told: Option<&'a str>,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), JournalError>> {
        async move {
            let due = match (told, report.is_waiting()) {
                (None, _) => Some(due::UNTOLD),
                (_, true) => Some(due::WAITING),
                _ => None,
            };
            let is_due = due.is_some();
            let due = due.map(|group| V::S(group.to_owned()));
            let told = told.map(|told| V::S(told.to_owned()));
            let (report, now) = (Some(text(report)?), millis(now));
            let due_at = is_due.then(|| now.clone());
            let values = vec![("report", report), ("told", told), ("at", Some(now)), ("due", due), ("due_at", due_at)];
            self.set(id, values).await
        }
        .boxed()
    }

    fn ask<'a>(
        &'a self,
        target: &'a str,
        question: &'a Question,
        instead_of: Option<&'a IncidentId>,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<IncidentId>, JournalError>> {
        self.ask_once(target, question, instead_of, now).boxed()
    }

    fn held(&self, most: usize) -> BoxFuture<'_, Result<Vec<Containment>, JournalError>> {
        self.held_now(most).boxed()
    }

    fn unanswered(&self, most: usize) -> BoxFuture<'_, Result<Vec<IncidentRecord>, JournalError>> {
        self.unanswered_now(most).boxed()
    }

    fn count<'a>(&'a self, hour: i64, what: &'a str) -> BoxFuture<'a, Result<(), JournalError>> {
        self.count_one(hour, what).boxed()
    }

    fn counted(&self, hour: i64) -> BoxFuture<'_, Result<Option<Counts>, JournalError>> {
        self.counted_in(hour).boxed()
    }

    fn counts_told(&self, hour: i64) -> BoxFuture<'_, Result<(), JournalError>> {
        self.told_of_counts(hour).boxed()
    }

    fn approve<'a>(&'a self, id: &'a IncidentId, approval: &'a Approval) -> BoxFuture<'a, Result<(), JournalError>> {
        async move { self.set(id, vec![("approval", Some(text(approval)?))]).await }.boxed()
    }

    fn set_unread<'a>(
        &'a self,
        id: &'a IncidentId,
        unread: Option<&'a UnreadSince>,
    ) -> BoxFuture<'a, Result<(), JournalError>> {
        async move { self.set(id, vec![("unread", unread.map(text).transpose()?)]).await }.boxed()
    }

    fn reject<'a>(&'a self, id: &'a IncidentId, rejected: &'a Rejected) -> BoxFuture<'a, Result<(), JournalError>> {
        async move { self.set(id, vec![("rejected", Some(text(rejected)?))]).await }.boxed()
    }

    fn log<'a>(&'a self, id: &'a IncidentId, entry: &'a Entry) -> BoxFuture<'a, Result<(), JournalError>> {
        self.add_to_log(id, entry).boxed()
    }
}
