//! The Lambda functions: settings, clients, run. CORDON_ENTRY says which of the two this is.

// The futures of the whole story are nested deeper than the compiler looks by itself.
#![recursion_limit = "256"]

use cordon::{
    analyst::Analyst,
    aws::{self, Aws},
    clock::Clock,
    domain::Timestamp,
    entry,
    journal::{DynamoJournal, Journal, MemoryJournal},
    notify::SnsNotifier,
    operator::Desk,
    recheck::Rechecks,
    responder::Responder,
    rulebook::RuleBook,
    settings::{Entry, Settings, SettingsError},
    watch::Watch,
};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;
use tracing_subscriber::EnvFilter;

enum Function {
    Responder(Box<Responder>),
    Operator(Box<Desk>),
}

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
    let function = start().await;
    let function = &function;
    run(service_fn(move |event: LambdaEvent<Box<RawValue>>| handle(function, event))).await
}

/// Wrong settings do not stop the process: every invocation fails with them, so that the events reach the dead-letter queue.
async fn start() -> Result<Function, SettingsError> {
    let settings = Settings::from_environment().inspect_err(|error| tracing::error!(%error, "settings"))?;
    let configuration = aws::configuration().await;
    let journal: Arc<dyn Journal> = match settings.table {
        Some(table) => Arc::new(DynamoJournal::new(&configuration, table)),
        None => Arc::new(MemoryJournal::default()),
    };
    let aws = Arc::new(Aws::new(configuration, journal.clone()));
    let rechecks = Rechecks { aws: aws.clone(), queue: settings.recheck_queue };
    let rules = RuleBook::new(settings.policy, journal.clone());
    let clock = Clock::system();
    Ok(match (settings.entry, settings.topic) {
        (Entry::Events, Some(topic)) => {
            let event_rules = settings.event_rules;
            let notifier = Arc::new(SnsNotifier { aws: aws.clone(), topic });
            let watch = Watch::new(settings.rules);
            let analyst = Analyst { aws, journal, rules, watch, ceiling: settings.mode };
            Function::Responder(Box::new(Responder { analyst, notifier, rechecks, clock, event_rules }))
        }
        (Entry::Operator, _) => Function::Operator(Box::new(Desk { aws, journal, rules, rechecks, clock })),
        (Entry::Events, None) => return Err(SettingsError(vec!["CORDON_TOPIC_ARN is missing".to_owned()])),
    })
}

async fn handle(
    function: &Result<Function, SettingsError>,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, Error> {
    let payload = event.payload.get();
    match function.as_ref().map_err(Clone::clone)? {
        Function::Operator(desk) => Ok(to_raw_value(&desk.serve(payload, &event.context.invoked_function_arn).await?)?),
        Function::Responder(responder) => {
            // The platform's clock is the real one, whatever a test makes of ours.
            let deadline = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
            let left = deadline.saturating_sub(Clock::default().now_millis());
            let deadline = Some(Timestamp::from_millis(responder.clock.now_millis().saturating_add(left)));
            Ok(to_raw_value(&entry::invoke(responder, payload, deadline).await?)?)
        }
    }
}
