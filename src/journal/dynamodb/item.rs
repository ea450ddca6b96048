//! Items, read and written.

use super::{Item, SCHEMA, V};
use crate::{
    domain::{IncidentId, Text, Timestamp},
    journal::{IncidentRecord, JournalError},
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeSet, HashMap};

pub(super) fn key(pk: String, sk: &str) -> Item {
    HashMap::from([("pk".to_owned(), V::S(pk)), ("sk".to_owned(), V::S(sk.to_owned()))])
}

pub(super) fn millis(at: Timestamp) -> V {
    V::N(at.millis().to_string())
}

pub(super) fn text<T: Serialize>(value: &T) -> Result<V, JournalError> {
    serde_json::to_string(value).map(V::S).map_err(|error| JournalError::Unreadable(error.to_string()))
}

pub(super) fn string<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str)
}

/// By name, so that a person finds it.
pub(super) fn unreadable(item: &Item, why: impl std::fmt::Display) -> JournalError {
    let [pk, sk] = ["pk", "sk"].map(|name| string(item, name).unwrap_or_default());
    // Whoever damaged it may have chosen what stands there.
    JournalError::Unreadable(Text::new(&format!("item `{pk}` `{sk}`: {why}")).to_string())
}

/// What is there and cannot be read is not taken for nothing: it would be written anew, and what it held be lost.
pub(super) fn json<T: DeserializeOwned>(item: &Item, name: &str) -> Result<Option<T>, JournalError> {
    let Some(value) = item.get(name) else { return Ok(None) };
    let text = value.as_s().map_err(|_| unreadable(item, format!("`{name}` is no text")))?;
    serde_json::from_str(text).map(Some).map_err(|error| unreadable(item, format!("`{name}`: {error}")))
}

pub(super) fn set(item: &Item, name: &str) -> Result<BTreeSet<String>, JournalError> {
    let Some(value) = item.get(name) else { return Ok(BTreeSet::new()) };
    let set = value.as_ss().map_err(|_| unreadable(item, format!("`{name}` is no set of texts")))?;
    Ok(set.iter().cloned().collect())
}

/// An item of another version is not guessed at.
pub(super) fn checked(item: Item) -> Result<Item, JournalError> {
    match item.get("schema").and_then(|value| value.as_n().ok()) {
        Some(schema) if schema != SCHEMA => {
            Err(unreadable(&item, format!("it has schema {schema}; this version knows {SCHEMA}")))
        }
        _ => Ok(item),
    }
}

pub(super) fn record(item: &Item) -> Result<IncidentRecord, JournalError> {
    // What has lost its date would never be asked about again.
    let moment = |name: &str| match item.get(name) {
        None => Ok(None),
        Some(V::N(millis)) if let Ok(millis) = millis.parse() => Ok(Some(Timestamp::from_millis(millis))),
        Some(_) => Err(unreadable(item, format!("`{name}` is no time"))),
    };
    let id = string(item, "pk").and_then(|pk| pk.strip_prefix("I#")).and_then(|id| IncidentId::parse(id).ok());
    let (Some(id), Some(opened)) = (id, moment("opened")?) else {
        return Err(unreadable(item, "an incident without id or time"));
    };
    let told = item.get("told").map(|told| told.as_s().cloned().map_err(|_| unreadable(item, "`told` is no text")));
    Ok(IncidentRecord {
        id,
        opened,
        treatment: json(item, "treatment")?,
        report: json(item, "report")?,
        told: told.transpose()?,
        at: moment("at")?,
        approval: json(item, "approval")?.unwrap_or_default(),
        rejected: json(item, "rejected")?,
        unread: json(item, "unread")?,
        // For people to read; what cannot be read of it stops nothing.
        log: set(item, "log").unwrap_or_default(),
    })
}
