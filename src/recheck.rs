//! The dead man's switch: messages to ourselves that come after the lease has ended. Each carries an incident id, nothing else.

use crate::{
    aws::{Aws, AwsError, classify},
    domain::IncidentId,
};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use std::sync::Arc;

/// Seconds until each look.
pub const DELAYS: [i32; 3] = [5, 15, 60];

#[derive(Clone)]
pub struct Rechecks {
    pub aws: Arc<Aws>,
    /// `None`: nobody looks again, which is told.
    pub queue: Option<String>,
}

/// What came of sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    All,
    /// Fewer than all will come, or none; why.
    NotAll(String),
}

impl Rechecks {
    /// Whether a message came through the recheck queue; what says nothing of where it is from did.
    pub fn is_from(&self, source: Option<&str>) -> bool {
        let name = |text: &str| text.rsplit(['/', ':']).next().map(str::to_owned);
        match (source, &self.queue) {
            (Some(arn), Some(url)) => name(arn) == name(url),
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    /// All looks in one call. A queue that does not take them stops nothing: it is told.
    pub async fn send(&self, incident: &IncidentId) -> Sent {
        let Some(queue) = &self.queue else { return Sent::NotAll("this deployment has no recheck queue".to_owned()) };
        match self.try_send(queue, incident).await {
            Ok(0) => Sent::All,
            Ok(refused) => Sent::NotAll(format!("the queue did not take {refused} of {} messages", DELAYS.len())),
            Err(error) => Sent::NotAll(error.to_string()),
        }
    }

    /// How many messages were refused.
    async fn try_send(&self, queue: &str, incident: &IncidentId) -> Result<usize, AwsError> {
        const OPERATION: &str = "sqs:SendMessageBatch";
        let mut call = self.aws.sqs().send_message_batch().queue_url(queue);
        for seconds in DELAYS {
            let entry = SendMessageBatchRequestEntry::builder().id(format!("in-{seconds}"));
            let entry = entry.message_body(incident.as_str()).delay_seconds(seconds).build();
            call = call.entries(entry.map_err(|error| AwsError::incomplete(OPERATION, &error.to_string()))?);
        }
        Ok(call.send().await.map_err(classify(OPERATION))?.failed().len())
    }

    /// One look as soon as possible: after an approval.
    pub async fn send_now(&self, incident: &IncidentId) -> Result<(), AwsError> {
        self.send_after(incident, 0).await
    }

    /// One look once a lease that lives now has ended.
    pub async fn send_later(&self, incident: &IncidentId) -> Result<(), AwsError> {
        let [first, ..] = DELAYS;
        self.send_after(incident, first).await
    }

    async fn send_after(&self, incident: &IncidentId, seconds: i32) -> Result<(), AwsError> {
        const OPERATION: &str = "sqs:SendMessage";
        let queue = self
            .queue
            .as_deref()
            .ok_or_else(|| AwsError::incomplete(OPERATION, "this deployment has no recheck queue"))?;
        let call = self.aws.sqs().send_message().queue_url(queue).message_body(incident.as_str());
        call.delay_seconds(seconds).send().await.map_err(classify(OPERATION)).map(drop)
    }
}
