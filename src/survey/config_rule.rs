//! What a rule of AWS Config is behind its name, which anybody may give it.

use crate::{
    aws::{Aws, AwsError, classify},
    ingest::Evaluation,
    watch::RuleSources,
};
use aws_sdk_config::operation::describe_config_rules::DescribeConfigRulesError;
use futures::{FutureExt, future::BoxFuture};
use std::collections::HashMap;

pub const READS: &[&str] = &["config:DescribeConfigRules"];

/// By rule's name and region; a rule's source cannot be changed.
pub type Known = HashMap<String, Option<String>>;

/// More are not remembered.
const MOST_KNOWN: usize = 5_000;

impl RuleSources for Aws {
    fn identifier<'a>(&'a self, evaluation: &'a Evaluation) -> BoxFuture<'a, Result<Option<String>, AwsError>> {
        const OPERATION: &str = "config:DescribeConfigRules";
        async move {
            let Some(region) = evaluation.about.region.as_ref() else { return Ok(None) };
            // A namesake of our own account says nothing about another's rule.
            if self.identity().await.ok().map(|identity| &identity.account) != evaluation.about.account.as_ref() {
                return Ok(None);
            }
            let key = format!("{region}#{}", evaluation.rule);
            if let Some(known) = self.config_rules().get(&key) {
                return Ok(known.clone());
            }
            let call = self.config_service(region).describe_config_rules().config_rule_names(evaluation.rule.as_str());
            let found = match call.send().await {
                Ok(answer) => {
                    let rule = answer.config_rules().first();
                    rule.and_then(|rule| rule.source()).and_then(|source| source.source_identifier()).map(str::to_owned)
                }
                Err(error) => match error.as_service_error() {
                    Some(DescribeConfigRulesError::NoSuchConfigRuleException(_)) => None,
                    _ => match classify(OPERATION)(error) {
                        passing if passing.is_passing() => return Err(passing),
                        // Its name must do, which the finding says.
                        denied => {
                            tracing::warn!(error = %denied, "a rule of AWS Config is judged by its name");
                            return Ok(None);
                        }
                    },
                },
            };
            let mut known = self.config_rules();
            if known.len() < MOST_KNOWN {
                known.insert(key, found.clone());
            }
            Ok(found)
        }
        .boxed()
    }
}
