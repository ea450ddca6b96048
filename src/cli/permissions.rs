//! `cordon permissions`.

use crate::permissions;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(after_help = "\
Prints an IAM policy document without scopes; template.yaml and deploy/operator.yaml have them.

Examples:
  cordon permissions
  cordon permissions --operator > operator-policy.json")]
pub struct Permissions {
    /// What the people need who approve and release, instead of the function
    #[arg(long)]
    operator: bool,
}

impl Permissions {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let actions = if self.operator { permissions::operator() } else { permissions::responder() };
        println!("{}", serde_json::to_string_pretty(&permissions::policy(&actions))?);
        Ok(ExitCode::SUCCESS)
    }
}
