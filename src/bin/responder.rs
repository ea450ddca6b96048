//! The Lambda function: settings, clients, run.

// The futures of the whole story are nested deeper than the compiler looks by itself.
#![recursion_limit = "256"]

use cordon::{
    analyst::Analyst,
    aws::{self, Aws},
    clock::Clock,
    domain::Timestamp,
    entry::{self, Reply},
    journal::{DynamoJournal, Journal, MemoryJournal},
    notify::SnsNotifier,
    recheck::Rechecks,
    responder::Responder,
    settings::{Settings, SettingsError},
};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::value::RawValue;
use std::sync::Arc;
use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,cordon=info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_current_span(false)
        .with_target(false)
        .init();
    let responder = start().await;
    let responder = &responder;
    run(service_fn(move |event: LambdaEvent<Box<RawValue>>| handle(responder, event))).await
}

/// Wrong settings do not stop the process: every invocation fails with them, so that the events reach the dead-letter queue.
async fn start() -> Result<Responder, SettingsError> {
    let settings = Settings::from_environment().inspect_err(|error| tracing::error!(%error, "settings"))?;
    let configuration = aws::configuration().await;
    let journal: Arc<dyn Journal> = match settings.table {
        Some(table) => Arc::new(DynamoJournal::new(&configuration, table)),
        None => Arc::new(MemoryJournal::default()),
    };
    let aws = Arc::new(Aws::new(configuration, journal.clone()));
    let notifier = Arc::new(SnsNotifier { aws: aws.clone(), topic: settings.topic });
    let rechecks = Rechecks { aws: aws.clone(), queue: settings.recheck_queue };
    let analyst = Analyst { aws, journal, policy: settings.policy, ceiling: settings.mode };
    Ok(Responder { analyst, notifier, rechecks, clock: Clock::system() })
}

async fn handle(
    responder: &Result<Responder, SettingsError>,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Reply, Error> {
    let responder = responder.as_ref().map_err(Clone::clone)?;
    // The platform's clock is the real one, whatever a test makes of ours.
    let left = i64::try_from(event.context.deadline).unwrap_or(i64::MAX).saturating_sub(Clock::default().now_millis());
    let deadline = Some(Timestamp::from_millis(responder.clock.now_millis().saturating_add(left)));
    Ok(entry::invoke(responder, event.payload.get(), deadline).await?)
}
