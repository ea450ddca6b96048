//! From the wire to a [`Finding`]: tolerant of what is odd, strict with what names a thing. Must not decide anything.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod alarm;
pub mod cloudtrail;
pub mod config;
mod cursor;
mod envelope;
mod guardduty;
mod health;
mod identity;
mod replay;
mod scan;
mod sequence;

pub use alarm::Alarm;
pub use cloudtrail::{CallResult, Record};
pub use config::{About, Compliance, Evaluation, ItemChange};
pub use cursor::Cursor;
pub use health::Health;
pub use identity::Caller;
pub use replay::{Piece, is_whole, pieces, pieces_of_line};
pub use scan::ObjectScan;

use crate::domain::{Finding, Outcome, OutcomeKind};

/// What an event turned out to be.
#[derive(Debug)]
pub enum Ingested {
    Finding(Box<Finding>),
    /// A call that CloudTrail recorded: rules say whether it is a finding.
    Record(Box<Record>),
    /// What a rule of AWS Config says of a resource.
    Evaluation(Box<Evaluation>),
    /// What changed in a resource.
    Change(Box<ItemChange>),
    /// An alarm that went off, or a cost that is unusual.
    Alarm(Box<Alarm>),
    /// AWS itself says that a credential leaked.
    Health(Box<Health>),
    /// Malware was found in an object.
    Scan(Box<ObjectScan>),
    /// The event ends here, with its reason.
    Ended(Outcome),
}

/// Takes one EventBridge event as the function receives it: an envelope, nothing else.
pub fn event(raw: &str) -> Ingested {
    // A derived struct would accept an array as well, so what is no object is sorted out first.
    let value = match serde_json::from_str::<serde_json::Value>(raw) {
        Ok(value) if value.is_object() => value,
        Ok(_) => return ended(OutcomeKind::Ignored, "no-event", "JSON, but no object and so no event"),
        Err(error) => return ended(OutcomeKind::Ignored, "no-json", format!("no JSON: {error}")),
    };
    envelope::open(value)
}

/// Takes one piece of a file: an envelope, or a bare finding as an export or GetFindings gives it.
pub fn replayed(piece: &Piece) -> Ingested {
    match &piece.value {
        Err(problem) => ended(OutcomeKind::Ignored, "no-json", problem.clone()),
        Ok(value) if !value.is_object() => {
            ended(OutcomeKind::Ignored, "no-event", "JSON, but no object and so no event")
        }
        Ok(value) => match replay::bare_finding(value) {
            Some(finding) => guardduty::finding(finding),
            None if config::is_message(value) => config::message(value),
            None if cloudtrail::is_record(value) => cloudtrail::record(value.clone()),
            None => envelope::open(value.clone()),
        },
    }
}

fn ended(kind: OutcomeKind, code: &'static str, text: impl Into<String>) -> Ingested {
    Ingested::Ended(Outcome::because(kind, code, text))
}
