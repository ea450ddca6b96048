//! `cordon patterns`: the rules of EventBridge that the rules need.

use crate::{
    detect::{Pattern, patterns},
    watch::Watch,
};
use clap::Args;
use serde_json::json;
use std::{fmt::Write, path::PathBuf, process::ExitCode};

#[derive(Debug, Args)]
#[command(after_help = "\
`template.yaml` holds those of the built-in rules; with rules of your own, print and add the ones that they need.

Examples:
  cordon patterns
  cordon patterns --rules ./my-rules --template

Exit codes: 0 printed, 1 a rule names no call and says no pattern (`cordon.pattern`), 2 wrong usage.")]
pub struct Patterns {
    /// A folder of further rules
    #[arg(long, env = "CORDON_RULES")]
    rules: Option<PathBuf>,
    /// As resources of a CloudFormation template
    #[arg(long)]
    template: bool,
}

impl Patterns {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let watch = Watch::new(self.rules);
        let found = match patterns(watch.detector().rules()) {
            Ok(found) => found,
            Err(silent) => {
                anyhow::bail!("these rules name no call and say no pattern (`cordon.pattern`): {}", silent.join(", "))
            }
        };
        if self.template {
            print!("{}", template(&found));
        } else {
            for pattern in &found {
                let state = if pattern.all_management_events {
                    "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
                } else {
                    "ENABLED"
                };
                println!("{}", json!({"name": pattern.name, "state": state, "pattern": pattern.pattern}));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Resources of `template.yaml`, which sends all of it to one queue.
pub fn template(patterns: &[Pattern]) -> String {
    let mut text = String::new();
    for pattern in patterns {
        let state =
            if pattern.all_management_events { "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" } else { "ENABLED" };
        // Writing into a string does not fail.
        let _ = write!(
            text,
            "  {}Rule:\n    Type: AWS::Events::Rule\n    Properties:\n      # The queue's policy lets in rules of this name.\n      Name: !Sub \"${{AWS::StackName}}-{}\"\n      State: {state}\n      EventPattern: {}\n      Targets:\n        - {{Id: queue, Arn: !GetAtt Events.Arn, DeadLetterConfig: {{Arn: !GetAtt DeadLetters.Arn}}}}\n",
            pattern.name, pattern.name, pattern.pattern
        );
    }
    text
}
