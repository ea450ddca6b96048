//! Which deployment a command works on, and what it needs of it. Works with the operator's own credentials.

use crate::{
    aws::{self, Aws, classify},
    clock::Clock,
    domain::{IncidentId, Region},
    journal::{AllIncidents, DynamoJournal, IncidentRecord, Journal},
    recheck::Rechecks,
};
use anyhow::{Context, anyhow, bail};
use clap::Args;
use std::{collections::HashMap, sync::Arc};

#[derive(Clone, Debug, Args)]
pub struct Place {
    /// The journal's DynamoDB table
    #[arg(long, env = "CORDON_TABLE", value_name = "NAME")]
    table: Option<String>,
    /// The CloudFormation stack of the deployment, instead of its table
    #[arg(long, env = "CORDON_STACK", value_name = "NAME", conflicts_with = "table")]
    stack: Option<String>,
    /// The recheck queue; with --stack it is known
    #[arg(long, env = "CORDON_RECHECK_QUEUE_URL", value_name = "URL")]
    queue: Option<String>,
    /// The operator function; with --stack it is known
    #[arg(long, env = "CORDON_OPERATOR_FUNCTION", value_name = "NAME")]
    function: Option<String>,
    /// Carry commands out with rights of your own on the table, for the day on which the function is broken
    #[arg(long, env = "CORDON_DIRECT")]
    direct: bool,
}

pub struct Deployment {
    pub aws: Arc<Aws>,
    pub journal: Arc<dyn Journal>,
    pub rechecks: Rechecks,
    pub clock: Clock,
    /// The operator function.
    pub function: Option<String>,
    pub is_direct: bool,
}

impl Place {
    pub fn stack(&self) -> Option<&str> {
        self.stack.as_deref()
    }

    pub async fn open(&self) -> anyhow::Result<Deployment> {
        let configuration = aws::configuration().await;
        let (table, queue, function) = match (&self.table, &self.stack) {
            (Some(table), None) => (table.clone(), self.queue.clone(), self.function.clone()),
            (None, Some(stack)) => {
                let outputs = outputs(&configuration, stack).await?;
                let table =
                    outputs.get("TableName").ok_or_else(|| anyhow!("stack `{stack}` has no output TableName"))?;
                let or = |given: &Option<String>, output: &str| given.clone().or_else(|| outputs.get(output).cloned());
                let function = or(&self.function, "OperatorFunctionName");
                (table.clone(), or(&self.queue, "RecheckQueueUrl"), function)
            }
            _ => bail!("which deployment? name it with --stack NAME or --table NAME, or set CORDON_STACK"),
        };
        let journal: Arc<dyn Journal> = Arc::new(DynamoJournal::new(&configuration, table));
        let aws = Arc::new(Aws::new(configuration, journal.clone()));
        let rechecks = Rechecks { aws: aws.clone(), queue };
        Ok(Deployment { aws, journal, rechecks, clock: Clock::system(), function, is_direct: self.direct })
    }
}

async fn outputs(configuration: &aws_config::SdkConfig, stack: &str) -> anyhow::Result<HashMap<String, String>> {
    let client = aws_sdk_cloudformation::Client::new(configuration);
    let answer = client.describe_stacks().stack_name(stack).send().await;
    let answer = answer.map_err(classify("cloudformation:DescribeStacks"))?;
    let stack = answer.stacks().first().with_context(|| format!("there is no stack `{stack}`"))?;
    let pair = |output: &aws_sdk_cloudformation::types::Output| {
        Some((output.output_key()?.to_owned(), output.output_value()?.to_owned()))
    };
    Ok(stack.outputs().iter().filter_map(pair).collect())
}

impl Deployment {
    /// That region, or the one that the SDK goes by.
    pub fn region(&self, given: Option<&str>) -> anyhow::Result<Region> {
        match given {
            Some(region) => Ok(Region::parse(region)?),
            None => self.aws.home().context("which region? name it with --region"),
        }
    }

    /// All incidents; those that cannot be read are named on standard error.
    pub async fn incidents(&self) -> anyhow::Result<AllIncidents> {
        let found = self.journal.incidents().await?;
        found.unreadable.iter().for_each(|error| eprintln!("cordon: left out: {error}"));
        Ok(found)
    }

    /// The incident of that id, which may be cut as long as it names only one.
    pub async fn incident(&self, given: &str) -> anyhow::Result<IncidentRecord> {
        if let Ok(id) = IncidentId::parse(given) {
            return self.journal.incident(&id).await?.with_context(|| format!("there is no incident `{given}`"));
        }
        let mut found = self.incidents().await?.records;
        found.retain(|record| !given.is_empty() && record.id.as_str().starts_with(given));
        let names: Vec<String> = found.iter().map(|record| record.id.to_string()).collect();
        match (found.pop(), names.len()) {
            (Some(record), 1) => Ok(record),
            (None, _) => bail!("there is no incident `{given}`"),
            _ => bail!("`{given}` may be any of {}", names.join(", ")),
        }
    }
}
