//! An incident's item: what it is about, as the event with the newest evidence says.

use super::{DynamoJournal, SCHEMA, V, key, millis, record, text};
use crate::{
    aws::{AwsError, classify},
    decision::Treatment,
    domain::{IncidentId, Target, Text, Timestamp},
    journal::{IncidentRecord, JournalError},
};
use aws_sdk_dynamodb::{operation::update_item::builders::UpdateItemFluentBuilder, types::ReturnValue};

/// How often another worker may come between.
const MOST_TRIES: usize = 3;

/// The item of an incident.
enum Entered {
    Written(IncidentRecord),
    /// As it was: it did not meet the condition.
    Known(IncidentRecord),
}

impl DynamoJournal {
    pub(super) async fn open_incident(
        &self,
        id: &IncidentId,
        treatment: Option<&Treatment>,
        now: Timestamp,
    ) -> Result<IncidentRecord, JournalError> {
        let Some(treatment) = treatment else {
            let call = self.head(id, now).update_expression("SET #schema = :schema, opened = :now");
            let (Entered::Written(record) | Entered::Known(record)) =
                self.or_known(id, call.condition_expression("attribute_not_exists(pk)")).await?;
            return Ok(record);
        };
        // A finding is published again with more evidence, and more may be allowed for it then.
        let call = self.treat(id, treatment, now)?.condition_expression(
            "(attribute_not_exists(#schema) OR #schema = :schema) AND (attribute_not_exists(evidence) OR (evidence <= :evidence AND targets = :targets))",
        );
        let mut opened = self.or_known(id, call).await?;
        for _ in 0..MOST_TRIES {
            // It names others than it did, or is older than what is known.
            let Entered::Known(record) = opened else { break };
            let Some(known) = &record.treatment else { return Ok(record) };
            let merged = treatment.joined_with(known);
            if keys(&merged) == keys(known) && known.evidence_from > treatment.evidence_from {
                return Ok(record);
            }
            let call = self
                .treat(id, &merged, now)?
                .expression_attribute_values(":known", V::S(keys(known)))
                .condition_expression("#schema = :schema AND evidence <= :evidence AND (attribute_not_exists(targets) OR targets = :known)");
            opened = self.or_known(id, call).await?;
        }
        match opened {
            Entered::Written(record) => Ok(record),
            // Others come between each time: nothing may be done for what is not recorded, and a repeat can help.
            Entered::Known(_) => Err(AwsError::Conflict {
                operation: "dynamodb:UpdateItem",
                message: Text::new("other events of the incident came between"),
            }
            .into()),
        }
    }

    fn head(&self, id: &IncidentId, now: Timestamp) -> UpdateItemFluentBuilder {
        let call = self.client.update_item().table_name(&self.table).return_values(ReturnValue::AllNew);
        call.set_key(Some(key(format!("I#{id}"), "HEAD")))
            .expression_attribute_names("#schema", "schema")
            .expression_attribute_values(":schema", V::N(SCHEMA.to_owned()))
            .expression_attribute_values(":now", millis(now))
    }

    fn treat(
        &self,
        id: &IncidentId,
        treatment: &Treatment,
        now: Timestamp,
    ) -> Result<UpdateItemFluentBuilder, JournalError> {
        let evidence = treatment.evidence_from.unwrap_or(Timestamp::from_millis(0));
        let set = "SET #schema = :schema, opened = if_not_exists(opened, :now), treatment = :treatment, evidence = :evidence, targets = :targets";
        let call = self.head(id, now).update_expression(set);
        Ok(call
            .expression_attribute_values(":treatment", text(treatment)?)
            .expression_attribute_values(":evidence", millis(evidence))
            .expression_attribute_values(":targets", V::S(keys(treatment))))
    }

    /// The item as it is now. Where it is known already and nothing was written: as it was. Where there is none, something else stood in
    /// the way, and a repeat can help.
    async fn or_known(&self, id: &IncidentId, call: UpdateItemFluentBuilder) -> Result<Entered, JournalError> {
        match call.send().await.map_err(classify("dynamodb:UpdateItem")) {
            Ok(answer) => record(&answer.attributes.unwrap_or_default()).map(Entered::Written),
            Err(error @ AwsError::Conflict { .. }) => match self.get(format!("I#{id}")).await? {
                Some(item) => record(&item).map(Entered::Known),
                None => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }
}

/// Which targets it has, in any order.
fn keys(treatment: &Treatment) -> String {
    let mut keys: Vec<String> = treatment.targets().map(Target::key).collect();
    keys.sort();
    keys.join(" ")
}
