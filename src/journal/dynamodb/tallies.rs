//! What is counted within a while, in the table.

use super::{DynamoJournal, OURS, SCHEMA, key, set};
use crate::{
    aws::{AwsError, classify},
    detect::Tally,
    journal::{
        JournalError,
        tallies::{MOST_MEMBERS, Tallies, buckets},
    },
};
use aws_sdk_dynamodb::types::{AttributeValue as V, ReturnValue};
use futures::{FutureExt, future::BoxFuture};
use std::collections::BTreeSet;

impl Tallies for DynamoJournal {
    fn tally<'a>(&'a self, tally: &'a Tally) -> BoxFuture<'a, Result<u32, JournalError>> {
        async move {
            let [now, before, long_before] = buckets(tally).map(|bucket| format!("COUNT#{bucket}"));
            let (now, before, long_before) =
                futures::try_join!(self.add_member(now, tally), self.members(before), self.members(long_before))?;
            let all: BTreeSet<String> = [now, before, long_before].into_iter().flatten().collect();
            Ok(u32::try_from(all.len()).unwrap_or(u32::MAX))
        }
        .boxed()
    }
}

impl DynamoJournal {
    /// All that are in it then.
    async fn add_member(&self, bucket: String, tally: &Tally) -> Result<BTreeSet<String>, JournalError> {
        let window = i64::try_from(tally.window.as_secs()).unwrap_or(i64::MAX);
        let expires =
            tally.at.millis().div_euclid(1_000).saturating_add(window.saturating_mul(4)).saturating_add(86_400);
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(bucket.clone(), "HEAD")))
            .update_expression("ADD members :member SET #schema = :schema, expires = :expires")
            .condition_expression(format!("({OURS}) AND (attribute_not_exists(members) OR size(members) < :most)"))
            .expression_attribute_values(":member", V::Ss(vec![tally.member.clone()]))
            .expression_attribute_values(":expires", V::N(expires.to_string()))
            .expression_attribute_values(":most", V::N(MOST_MEMBERS.to_string()))
            .expression_attribute_names("#schema", "schema")
            .expression_attribute_values(":schema", V::N(SCHEMA.to_owned()))
            .return_values(ReturnValue::AllNew);
        match call.send().await.map_err(classify("dynamodb:UpdateItem")) {
            Ok(answer) => set(&answer.attributes.unwrap_or_default(), "members"),
            // It is full, which is enough; or of another version, which is said.
            Err(AwsError::Conflict { .. }) => self.members(bucket).await,
            Err(error) => Err(error.into()),
        }
    }

    async fn members(&self, bucket: String) -> Result<BTreeSet<String>, JournalError> {
        self.get(bucket).await?.map_or_else(|| Ok(BTreeSet::new()), |item| set(&item, "members"))
    }
}
