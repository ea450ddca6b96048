//! The template's permissions are those of the registry: nothing missing, and nothing that loosens.

use crate::lab::root;
use cordon::permissions;
use std::collections::BTreeSet;

#[test]
fn the_template_grants_what_the_actions_need_and_nothing_that_loosens() {
    // Lambda polls the queues with the function's role, and the events that it could not deliver go out with it.
    let mut needed = permissions::responder();
    needed.extend(POLLING);
    compare("template.yaml", &needed);
}

#[test]
fn the_operators_policy_grants_what_release_needs() {
    compare("deploy/operator.yaml", &permissions::operator());
}

const POLLING: [&str; 4] =
    ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"];

fn compare(file: &str, needed: &BTreeSet<&str>) {
    let template = std::fs::read_to_string(root().join(file)).unwrap();
    let granted = granted(&template);
    let missing: Vec<_> = needed.difference(&granted).collect();
    assert!(missing.is_empty(), "{file} does not grant {missing:?}");
    let unused: Vec<_> = granted.difference(needed).collect();
    assert!(unused.is_empty(), "{file} grants {unused:?}, which nothing declares");
}

/// The actions of the Allow statements. Condition keys look alike and are left out.
fn granted(template: &str) -> BTreeSet<&str> {
    let mut allows = false;
    let mut found = BTreeSet::new();
    for line in template.lines().map(|line| line.split('#').next().unwrap_or_default()) {
        if let Some((_, effect)) = line.split_once("Effect: ") {
            allows = effect.trim() == "Allow";
        }
        let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != ':');
        let action = |word: &&str| {
            word.split_once(':').is_some_and(|(service, name)| {
                service.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                    && !["aws", "lambda", "logs", "xray"].contains(&service)
                    && name.starts_with(|c: char| c.is_ascii_uppercase())
            })
        };
        found.extend(words.filter(action).filter(|word| allows && !word.ends_with(':') && *word != "sts:AssumeRole"));
    }
    found
}
