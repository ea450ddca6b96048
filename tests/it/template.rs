//! The template's permissions are those of the registry: nothing missing, and nothing that loosens.

use crate::lab::root;
use cordon::actions::ALL;
use std::collections::BTreeSet;

/// Reads of the survey beside those of the actions.
const SURVEY: [&str; 7] = [
    "iam:GetAccountSummary",
    "iam:GetInstanceProfile",
    "iam:GetRolePolicy",
    "iam:GetUserPolicy",
    "iam:ListUserPolicies",
    "iam:ListUsers",
    "sns:Publish",
];

/// What only release needs: it runs with other credentials.
const LOOSENS: [&str; 4] = ["ec2:DeleteTags", "iam:DeleteRolePolicy", "iam:DeleteUserPolicy", "iam:DetachUserPolicy"];

#[test]
fn the_template_grants_what_the_actions_need_and_nothing_that_loosens() {
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let granted = granted(&template);
    let needed: BTreeSet<&str> = ALL
        .iter()
        .flat_map(|entry| entry.permissions)
        .copied()
        .chain(SURVEY)
        .filter(|p| !LOOSENS.contains(p))
        .collect();
    let missing: Vec<_> = needed.difference(&granted).collect();
    assert!(missing.is_empty(), "template.yaml does not grant {missing:?}");
    let unused: Vec<_> = granted.difference(&needed).collect();
    assert!(unused.is_empty(), "template.yaml grants {unused:?}, which nothing declares");
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
                ["ec2", "iam", "sns", "sts"].contains(&service) && name.starts_with(|c: char| c.is_ascii_uppercase())
            })
        };
        found.extend(words.filter(action).filter(|word| allows && !word.ends_with(':') && *word != "sts:AssumeRole"));
    }
    found
}
