//! Every `userIdentity` of the public records beside the repository resolves to one row of the table of principals.

use crate::lab::root;
use anyhow::{Context, Result};
use cordon::{
    ingest::Caller,
    principal::{Principal, whose},
};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

#[test]
#[ignore = "needs the public records: make check-data"]
fn every_identity_of_the_public_records_resolves() -> Result<()> {
    let shared = std::env::var_os("CORDON_SHARED").context("CORDON_SHARED names the folder with the public data")?;
    let mut found = Vec::new();
    walk(&root().join(shared).join("data"), &mut found)?;
    let mut rows: BTreeMap<(String, String), usize> = BTreeMap::new();
    for identity in &found {
        let text = |name: &str| identity.get(name).and_then(Value::as_str).unwrap_or_default();
        let caller = Caller::of(identity);
        let row = match whose(&caller.identity()) {
            Ok(Principal::User { id, .. }) => {
                let issuer = identity.pointer("/sessionContext/sessionIssuer/principalId").and_then(Value::as_str);
                assert!([Some(text("principalId")), issuer].contains(&Some(id.as_str())), "{identity}");
                "user"
            }
            Ok(Principal::Session { id, session, .. }) => {
                assert_eq!(format!("{id}:{session}"), text("principalId"));
                "session"
            }
            Err(cannot) => cannot.code,
        };
        // Where the record names a user or a session by unique id, nothing keeps us from containing it.
        match text("type") {
            "IAMUser" if text("principalId").starts_with("AIDA") => assert_eq!(row, "user", "{identity}"),
            "AssumedRole" if text("principalId").starts_with("AROA") && text("principalId").contains(':') => {
                assert_eq!(row, "session", "{identity}");
            }
            "Root" => assert_eq!(row, "root"),
            _ => {}
        }
        *rows.entry((text("type").to_owned(), row.to_owned())).or_default() += 1;
    }
    assert!(found.len() > 500, "only {} identities", found.len());
    println!("{} identities of public records:", found.len());
    for ((kind, row), count) in rows {
        println!("{count:>6}  {kind:<20} {row}");
    }
    Ok(())
}

fn walk(folder: &Path, found: &mut Vec<Value>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else if let Ok(text) = fs::read_to_string(&path) {
            match serde_json::from_str::<Value>(&text) {
                Ok(document) => collect(&document, found),
                Err(_) => text
                    .lines()
                    .filter_map(|line| serde_json::from_str(line).ok())
                    .for_each(|line| collect(&line, found)),
            }
        }
    }
    Ok(())
}

fn collect(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("userIdentity").filter(|identity| identity.is_object()).cloned());
            members.values().for_each(|member| collect(member, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}
