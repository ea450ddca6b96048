//! All that the demo starts, and the ways to speak with it. Nothing is shown here.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cordon_support::{
    Answer, Function, FunctionOptions, Log, Moto, Proxy, ProxyOptions, REGION, World, journal_table, next_account,
};
use serde_json::{Value, json};
use tokio::process::Command;

/// Cordon's journal.
const TABLE: &str = "cordon";

/// One account, with the function in front of it.
pub struct Stage {
    function: Function,
    proxy: Proxy,
    world: World,
    moto: Moto,
    cordon: PathBuf,
    environment: Vec<(String, String)>,
    account: String,
    pub ids: Value,
}

/// How a command line ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// What the function answered, and since when it had the event.
pub struct Delivered {
    pub report: Value,
    since: Instant,
}

impl Stage {
    /// Builds an account with what the attack will be about, and starts the function before it.
    pub async fn set(responder: PathBuf) -> Result<Stage> {
        let moto = Moto::start().await?;
        let world = World::start(moto.endpoint()).await?;
        let account = next_account();
        let wanted = json!({"op": "build", "account": account, "region": REGION, "interfaces": 1,
            "trail": true, "detector": true, "recorder": true});
        let ids = world.request(wanted).await?;
        world.call(&account, "dynamodb", "create_table", journal_table(TABLE)).await?;
        let queue = world.call(&account, "sqs", "create_queue", json!({"QueueName": "cordon-rechecks"})).await?;
        // Rounds are not measured: each would wait, and the milliseconds would be the proxy's.
        let options = ProxyOptions { hold: None, ..ProxyOptions::default() };
        let proxy = Proxy::start_with(moto.endpoint(), options).await?;
        let text = |of: &Value, pointer: &str| {
            of.pointer(pointer).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("no {pointer}"))
        };
        let environment = vec![
            ("AWS_ENDPOINT_URL".to_owned(), proxy.endpoint().to_owned()),
            ("AWS_REGION".to_owned(), REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID".to_owned(), text(&ids, "/credentials/access_key_id")?),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), text(&ids, "/credentials/secret_access_key")?),
            ("CORDON_TABLE".to_owned(), TABLE.to_owned()),
            ("CORDON_RECHECK_QUEUE_URL".to_owned(), text(&queue, "/QueueUrl")?),
        ];
        let of_the_function =
            [("CORDON_TOPIC_ARN".to_owned(), text(&ids, "/topic")?), ("CORDON_MODE".to_owned(), "contain".to_owned())];
        let env = environment.iter().cloned().chain(of_the_function).collect();
        let cordon = responder.with_file_name("cordon");
        let function = Function::start(FunctionOptions { binary: responder, env, log: Log::Capture }).await?;
        Ok(Stage { function, proxy, world, moto, cordon, environment, account, ids })
    }

    /// Gives the function the event and waits until it has answered.
    pub async fn deliver(&self, event: &Value) -> Result<Delivered> {
        self.proxy.clear();
        let since = Instant::now();
        match self.function.invoke(event).await? {
            Answer::Response(report) => Ok(Delivered { report, since }),
            Answer::Error(error) => bail!("the function failed: {error}\n{}", self.function.logs().join("\n")),
        }
    }

    /// How long after its delivery AWS had answered the last such call; `None` where it was not made.
    pub fn after(&self, delivered: &Delivered, operation: &str, resource: &str) -> Option<Duration> {
        let calls = self.proxy.calls();
        let of = calls.iter().rev().find(|call| call.operation == operation && call.resource.starts_with(resource))?;
        Some(of.answered?.saturating_duration_since(delivered.since))
    }

    /// The operator's command line. No operator function runs here: the rights on the table decide.
    pub async fn cordon(&self, arguments: &[&str]) -> Result<Ended> {
        let mut command = Command::new(&self.cordon);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.envs(self.environment.iter().cloned()).env("CORDON_DIRECT", "true");
        let output = command.args(arguments).kill_on_drop(true).output().await.context("run `cordon`")?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) })
    }

    /// By boto3, past the proxy.
    pub async fn call(&self, service: &str, method: &str, params: Value) -> Result<Value> {
        self.world.call(&self.account, service, method, params).await
    }

    /// CloudTrail knows of this call from now on. In moto nothing is recorded by itself.
    pub async fn recorded(&self, record: &Value, resource: &str) -> Result<()> {
        let event = json!({"Resources": [{"ResourceName": resource}], "CloudTrailEvent": record});
        let request = json!({"op": "trail", "account": self.account, "region": REGION, "events": [event]});
        self.world.request(request).await.map(drop)
    }

    /// All of the account that Cordon could touch, as boto3 reads it.
    pub async fn dump(&self) -> Result<Value> {
        self.world.dump(&self.account).await
    }

    /// Takes the mails out of their queue.
    pub async fn mails(&self) -> Result<Vec<Value>> {
        self.world.messages(&self.account, self.id("/queue")?).await
    }

    pub fn id(&self, pointer: &str) -> Result<&str> {
        self.ids.pointer(pointer).and_then(Value::as_str).with_context(|| format!("the world has no {pointer}"))
    }

    /// Afterwards nothing runs any more.
    pub async fn stop(self) {
        self.function.kill().await;
        drop((self.proxy, self.world, self.moto));
    }
}
