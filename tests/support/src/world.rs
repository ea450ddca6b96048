//! The account as another client sees it: boto3 in `tests/support/aws/world.py`, driven by one JSON line a request.
//!
//! What Cordon did is judged here and never by Cordon's own reads. The worker talks to moto directly, past the proxy, so that
//! its calls are neither counted nor made to fail.

use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::python::{Pipes, Script};

/// The region of every world.
pub const REGION: &str = "us-east-1";

// An account with the managed policies loaded and eight interfaces takes seconds on a busy machine, never minutes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A worker that builds, reads and dumps accounts. Its clones share it: it takes one request at a time, in order.
#[derive(Clone)]
pub struct World {
    jobs: mpsc::Sender<Job>,
    script: Arc<Script>,
    /// The copy of the server that is meant, if it is not the server.
    copy: Option<Arc<Copied>>,
}

/// A copy of the server; it ends on drop.
struct Copied {
    endpoint: String,
    account: String,
    jobs: mpsc::Sender<Job>,
}

impl Drop for Copied {
    fn drop(&mut self) {
        // Nobody waits for it, and the copy ends with the worker at the latest.
        let request = json!({"op": "end", "account": self.account, "at": self.endpoint});
        let _ = self.jobs.send(Job { request, answer: oneshot::channel().0 });
    }
}

struct Job {
    request: Value,
    answer: oneshot::Sender<Result<Value>>,
}

/// An account id that no other world of this process has.
pub fn next_account() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(200_000_000_001);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

impl World {
    /// Starts a worker for the moto server at `endpoint`.
    pub async fn start(endpoint: &str) -> Result<World> {
        let (script, pipes) = Script::start("world.py", &[endpoint])?;
        let Pipes { mut stdin, mut stdout } = pipes;
        let (jobs, queue) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for Job { request, answer } in queue {
                // Nobody may be waiting any more; the exchange has still to be finished to stay in step.
                let _ = answer.send(exchange(&mut stdin, &mut stdout, &request));
            }
        });
        Ok(World { jobs, script: Arc::new(script), copy: None })
    }

    /// The same worker, on a copy that is made now of the server: with all that it holds, and on its own from here on. With the endpoint.
    pub async fn copy(&self, account: &str) -> Result<(World, String)> {
        let made = self.request(json!({"op": "copy", "account": account})).await?;
        let endpoint = made["endpoint"].as_str().context("no endpoint")?.to_owned();
        let copied = Copied { endpoint: endpoint.clone(), account: account.to_owned(), jobs: self.jobs.clone() };
        Ok((World { copy: Some(Arc::new(copied)), ..self.clone() }, endpoint))
    }

    /// Drops all that an account holds.
    pub async fn forget(&self, account: &str) -> Result<()> {
        self.request(json!({"op": "forget", "account": account})).await.map(drop)
    }

    /// Sends one request as it is. A Python exception becomes an error whose text holds its code.
    pub async fn request(&self, mut request: Value) -> Result<Value> {
        if let Some(copy) = &self.copy {
            request["at"] = json!(copy.endpoint);
        }
        let what = format!("world `{}`", request["op"].as_str().unwrap_or("without op"));
        let (answer, answered) = oneshot::channel();
        self.jobs
            .send(Job { request, answer })
            .map_err(|_| anyhow!("{what}: the worker has ended:{}", self.script.errors.text()))?;
        tokio::time::timeout(PATIENCE, answered)
            .await
            .with_context(|| format!("{what}, waiting:{}", self.script.errors.text()))?
            .with_context(|| format!("{what}: the worker has ended"))?
            .map_err(|error| match error.downcast::<std::io::Error>() {
                Ok(gone) => anyhow!(gone).context(format!("{what}:{}", self.script.errors.text())),
                Err(error) => error.context(what),
            })
    }

    /// One boto3 call, such as `("ec2", "describe_instances", {"InstanceIds": […]})`.
    pub async fn call(&self, account: &str, service: &str, method: &str, params: Value) -> Result<Value> {
        self.request(json!({
            "op": "call", "account": account, "region": REGION,
            "service": service, "method": method, "params": params,
        }))
        .await
        .with_context(|| format!("{service} {method}"))
    }

    /// Builds the account's victim (an instance with this many interfaces, its role and profile), user and network, and says their ids.
    pub async fn build(&self, account: &str, interfaces: usize) -> Result<Value> {
        self.request(json!({"op": "build", "account": account, "region": REGION, "interfaces": interfaces})).await
    }

    /// Everything in the account that a containment could change, in an order that two dumps share.
    pub async fn dump(&self, account: &str) -> Result<Value> {
        self.request(json!({"op": "dump", "account": account, "region": REGION})).await
    }

    /// Takes the messages that wait in a queue out of it.
    pub async fn messages(&self, account: &str, queue: &str) -> Result<Vec<Value>> {
        let answer =
            self.request(json!({"op": "messages", "account": account, "region": REGION, "queue": queue})).await?;
        match answer {
            Value::Array(messages) => Ok(messages),
            other => bail!("world `messages`: not a list: {other}"),
        }
    }
}

/// One line there, one line back. The worker's end shows as an `io::Error`, its refusal as any other error.
fn exchange(stdin: &mut impl Write, stdout: &mut impl BufRead, request: &Value) -> Result<Value> {
    writeln!(stdin, "{request}")?;
    stdin.flush()?;
    let mut line = String::new();
    if stdout.read_line(&mut line)? == 0 {
        bail!(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
    }
    let mut answer: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: `{}`", line.trim_end()))?;
    if let Some(error) = answer.get("error") {
        let text = |key: &str| error[key].as_str().unwrap_or("?").to_owned();
        bail!("{}: {}", text("code"), text("message"));
    }
    match answer.get_mut("ok") {
        Some(value) => Ok(value.take()),
        None => bail!("neither ok nor error: `{}`", line.trim_end()),
    }
}

/// The table of `template.yaml`, as boto3 makes it.
pub fn journal_table(name: &str) -> Value {
    let attribute = |name: &str, kind: &str| json!({"AttributeName": name, "AttributeType": kind});
    let keys = |partition: &str, sort: &str| json!([{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]);
    json!({"TableName": name, "BillingMode": "PAY_PER_REQUEST", "KeySchema": keys("pk", "sk"),
        "AttributeDefinitions":
            [attribute("pk", "S"), attribute("sk", "S"), attribute("due", "S"), attribute("due_at", "N")],
        "GlobalSecondaryIndexes": [
            {"IndexName": "due", "KeySchema": keys("due", "due_at"), "Projection": {"ProjectionType": "KEYS_ONLY"}}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(line: &str) -> Result<Value> {
        exchange(&mut Vec::new(), &mut line.as_bytes(), &json!({"op": "x"}))
    }

    #[test]
    fn an_answer_is_the_value_or_an_error_with_its_code() {
        assert_eq!(answer("{\"ok\":null}\n").unwrap(), Value::Null);
        assert_eq!(answer("{\"ok\":[1]}\n").unwrap(), json!([1]));
        let refused = answer("{\"error\":{\"code\":\"NoSuchEntity\",\"message\":\"no bob\"}}\n");
        assert_eq!(refused.unwrap_err().to_string(), "NoSuchEntity: no bob");
        assert!(answer("{}\n").is_err());
        assert!(answer("Traceback\n").is_err());
        assert!(answer("").unwrap_err().is::<std::io::Error>());
    }

    #[test]
    fn a_request_is_one_line() {
        let mut sent = Vec::new();
        exchange(&mut sent, &mut "{\"ok\":1}\n".as_bytes(), &json!({"op": "a\nb"})).unwrap();
        assert_eq!(sent, b"{\"op\":\"a\\nb\"}\n");
    }

    #[test]
    fn accounts_are_fresh_and_have_twelve_digits() {
        let (one, two) = (next_account(), next_account());
        assert_ne!(one, two);
        assert!(one.len() == 12 && one.bytes().all(|byte| byte.is_ascii_digit()));
    }
}
