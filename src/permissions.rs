//! What IAM must allow, put together from what actions and surveys declare; `template.yaml` is held against it.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::{actions, survey};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Of the function: it reads, contains and tells. It cannot loosen.
pub fn responder() -> BTreeSet<&'static str> {
    let own = [
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "ec2:DescribeVpcs",
        "sns:Publish",
        "sqs:SendMessage",
    ];
    let actions =
        actions::ALL.iter().flat_map(|entry| entry.permissions.reads.iter().chain(entry.permissions.contains));
    actions.copied().chain(survey::READS.concat()).chain(survey::EVENT_READS.iter().copied()).chain(own).collect()
}

/// Of the operator function: it keeps what is commanded, and puts back.
pub fn operator_function() -> BTreeSet<&'static str> {
    let own = [
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        // Both functions read by one policy.
        "config:DescribeConfigRules",
        "ec2:DescribeSecurityGroupRules",
        "ec2:DescribeVpcs",
        "iam:GetAccessKeyLastUsed",
        "sqs:SendMessage",
    ];
    let actions =
        actions::ALL.iter().flat_map(|entry| entry.permissions.reads.iter().chain(entry.permissions.releases));
    actions.copied().chain(survey::READS.concat()).chain(own).collect()
}

/// Of people who do by themselves what the operator function does for others, who put policies and prepare VPCs.
pub fn operator() -> BTreeSet<&'static str> {
    let own = [
        "cloudformation:DescribeStacks",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "dynamodb:UpdateItem",
        "ec2:AuthorizeSecurityGroupEgress",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:DescribeVpcs",
        "iam:GetAccessKeyLastUsed",
        "sqs:SendMessage",
    ];
    // A quarantine group is made or emptied by `cordon prepare` too.
    let groups = actions::QUARANTINE_PERMISSIONS;
    let actions =
        actions::ALL.iter().flat_map(|entry| entry.permissions.reads.iter().chain(entry.permissions.releases));
    actions.chain(groups).copied().chain(survey::READS.concat()).chain(own).collect()
}

/// As a policy document, without the scopes that a deployment adds.
pub fn policy(actions: &BTreeSet<&'static str>) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_function_may_not_do_is_what_puts_things_back() {
        let (responder, operator) = (responder(), operator());
        for (permission, ours, theirs) in [
            ("ec2:ModifyNetworkInterfaceAttribute", true, true),
            ("iam:PutRolePolicy", true, true),
            ("iam:DeleteRolePolicy", false, true),
            ("iam:DetachUserPolicy", false, true),
            ("iam:AttachUserPolicy", true, false),
            ("autoscaling:ExitStandby", false, true),
            ("autoscaling:EnterStandby", true, false),
            ("ec2:CreateSnapshots", true, false),
            // Nothing that the function may do opens a group.
            ("ec2:AuthorizeSecurityGroupIngress", false, true),
            ("ec2:DeleteTags", false, true),
        ] {
            assert_eq!((responder.contains(permission), operator.contains(permission)), (ours, theirs), "{permission}");
        }
    }
}
