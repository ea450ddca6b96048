//! What one invocation of the responder may carry: an EventBridge event, the tick of a schedule, or an SQS batch: of rechecks, or of events
//! of CloudTrail, Config and alarms, whose bursts a queue holds off.

use crate::{
    domain::{Report, Timestamp},
    responder::{Responder, Retry, Swept},
};
use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use std::{panic::AssertUnwindSafe, time::Duration};

/// The answer of one invocation.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Reply {
    Report(Box<Report>),
    Batch(SqsBatchResponse),
    Swept(Swept),
}

/// Enough of a payload to see that it is a batch.
#[derive(Deserialize)]
struct Peek {
    #[serde(rename = "Records")]
    records: Option<serde::de::IgnoredAny>,
    source: Option<String>,
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
}

/// # Errors
/// Only where a repeat can help; of a batch, the messages that need a repeat are in the answer instead.
pub async fn invoke(responder: &Responder, payload: &str, deadline: Option<Timestamp>) -> Result<Reply, Retry> {
    let peek = serde_json::from_str::<Peek>(payload).ok().filter(|_| payload.trim_start().starts_with('{'));
    let is_batch = peek.as_ref().is_some_and(|peek| peek.records.is_some());
    // A schedule says nothing but that time has passed: whoever forges one has what is held looked after sooner.
    let is = |part: &Option<String>, text: &str| part.as_deref() == Some(text);
    if peek.is_some_and(|peek| is(&peek.source, "aws.events") && is(&peek.detail_type, "Scheduled Event")) {
        return responder.sweep(deadline).await.map(Reply::Swept);
    }
    match serde_json::from_str::<SqsEvent>(payload) {
        Ok(batch) if is_batch => Ok(Reply::Batch(answer_batch(responder, batch, deadline).await)),
        _ => responder.handle(payload, deadline).await.map(Box::new).map(Reply::Report),
    }
}

/// Of an invocation, what one message needs.
const ENOUGH: Duration = Duration::from_secs(10);

/// One poisonous message never takes the others with it.
async fn answer_batch(responder: &Responder, batch: SqsEvent, deadline: Option<Timestamp>) -> SqsBatchResponse {
    let mut answer = SqsBatchResponse::default();
    let mut messages = batch.records.into_iter();
    while let Some(message) = messages.next() {
        // What there is no time for goes back untouched; else all ten would, with what was done of them unsaid.
        if deadline.is_some_and(|end| responder.is_past(end, ENOUGH)) {
            for message in std::iter::once(message).chain(messages.by_ref()) {
                answer.batch_item_failures.push(failed(message.message_id));
            }
            break;
        }
        let body = message.body.unwrap_or_default();
        // INVARIANT: the queue decides what a message may be, never its shape. More people may send to one than may invoke the function: from the
        // recheck queue comes an incident's id and nothing else, from another an event that by itself contains no instance and no principal.
        let work = async {
            match responder.rechecks.is_from(message.event_source_arn.as_deref()) {
                true => responder.recheck(&body, deadline).await,
                false => responder.handle_queued(&body, deadline).await,
            }
        };
        let result = AssertUnwindSafe(work).catch_unwind().await;
        let error = match result {
            Ok(Ok(_)) => continue,
            Ok(Err(retry)) => retry.to_string(),
            Err(_) => "panicked".to_owned(),
        };
        tracing::error!(
            error,
            message = message.message_id.as_deref().unwrap_or_default(),
            "message goes back to the queue"
        );
        answer.batch_item_failures.push(failed(message.message_id));
    }
    answer
}

fn failed(message: Option<String>) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = message.unwrap_or_default();
    failure
}
