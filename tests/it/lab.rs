//! A world of its own for each test: an account in moto, a proxy in front of it, and the real function binary.

use anyhow::{Context, Result, anyhow};
use cordon::{detect::Detector, ingest::Ingested};
use cordon_support::{
    Answer, Function, FunctionOptions, Log, Match, Moto, Proxy, ProxyOptions, TestClock, When, World, clock,
    next_account, samples,
};
use futures::future::Either;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::OnceCell;

/// Moto and its builder each keep one core busy, so worlds take turns on two of them; they know nothing of each other. The third holds
/// little else than what it is copied for.
static SERVERS: [OnceCell<(Moto, World)>; 3] = [const { OnceCell::const_new() }; 3];
static NEXT: AtomicUsize = AtomicUsize::new(0);
static SEQUENCE: AtomicU64 = AtomicU64::new(1);

pub const HOUR: Duration = Duration::from_secs(3_600);

/// Where a world is built.
#[derive(Clone, Copy, Default)]
pub enum Server {
    #[default]
    Shared,
    OfCopies,
}

impl Server {
    /// A moto and its boto3 worker, started once and ended with the test process.
    pub async fn start(self) -> Result<&'static (Moto, World)> {
        let [.., of_copies] = &SERVERS;
        let server = match self {
            Self::Shared => &SERVERS[NEXT.fetch_add(1, Ordering::Relaxed) % 2],
            Self::OfCopies => of_copies,
        };
        server
            .get_or_try_init(|| async {
                let moto = Moto::start().await?;
                let world = World::start(moto.endpoint()).await?;
                Ok((moto, world))
            })
            .await
    }
}

pub struct Lab {
    pub account: String,
    /// Table and queue, where it is durable.
    pub durable: Option<Durable>,
    /// Ids of what was built.
    pub ids: Value,
    pub proxy: Proxy,
    pub function: Function,
    pub clock: TestClock,
    pub boto3: World,
}

#[derive(Clone)]
pub struct Durable {
    pub table: String,
    pub queue: String,
}

#[derive(Default)]
pub struct Setup {
    /// `contain` unless set.
    pub mode: Option<&'static str>,
    /// Three unless set.
    pub interfaces: Option<usize>,
    pub ipv6: bool,
    /// Further flags of the world (tests/support/aws/world_extras.py).
    pub world: &'static [&'static str],
    /// With table and recheck queue.
    pub durable: bool,
    /// Sigma rules beside the built-in ones, as YAML.
    pub rules: Option<&'static str>,
    /// Rounds are measured, which makes every call wait.
    pub rounds: bool,
    pub server: Server,
}

impl Lab {
    pub async fn contain() -> Result<Self> {
        Self::new(Setup::default()).await
    }

    pub async fn new(setup: Setup) -> Result<Self> {
        let (moto, boto3) = setup.server.start().await?;
        let account = next_account();
        let mut request =
            json!({"op": "build", "account": account, "interfaces": setup.interfaces.unwrap_or(3), "ipv6": setup.ipv6});
        for flag in setup.world {
            request[*flag] = json!(true);
        }
        let ids = boto3.request(request).await.context("cannot build the world")?;
        // As long as two processes on a busy machine may take to ask side by side, and longer than the cut waits for what is about to come.
        let hold = setup.rounds.then_some(Duration::from_millis(600));
        let proxy = Proxy::start_with(moto.endpoint(), ProxyOptions { hold, ..ProxyOptions::default() }).await?;
        let clock = TestClock::new()?;
        let durable = if setup.durable { Some(Durable::make(boto3, &account).await?) } else { None };
        let mode = setup.mode.unwrap_or("contain");
        let function = start(&ids, &proxy, &clock, durable.as_ref(), mode, None, setup.rules).await?;
        Ok(Self { account, durable, ids, proxy, function, clock, boto3: boto3.clone() })
    }

    /// Another process of the function on the same account: its memory journal is empty.
    pub async fn restart(&mut self, mode: &str) -> Result<()> {
        self.restart_with(mode, None).await
    }

    /// The same with a policy document in YAML.
    pub async fn restart_with(&mut self, mode: &str, policy: Option<&str>) -> Result<()> {
        self.function = self.another(mode, policy).await?;
        self.proxy.clear();
        Ok(())
    }

    /// One more process of the function on the same account.
    pub async fn another(&self, mode: &str, policy: Option<&str>) -> Result<Function> {
        start(&self.ids, &self.proxy, &self.clock, self.durable.as_ref(), mode, policy, None).await
    }

    pub async fn durable() -> Result<Self> {
        Self::new(Setup { durable: true, ..Setup::default() }).await
    }

    /// What the recheck queue would deliver: the incident's id, after the lease has ended.
    pub async fn recheck(&self, incident: &str) -> Result<()> {
        self.clock.advance(Duration::from_secs(5))?;
        let answer = self.deliver(&self.batch(incident)).await?;
        anyhow::ensure!(
            answer == json!({"batchItemFailures": []}),
            "the recheck goes back to the queue: {answer}\n{}",
            self.function.logs().join("\n")
        );
        Ok(())
    }

    /// The tick of the schedule: what the sweep says that it did.
    pub async fn sweep(&self) -> Result<Value> {
        self.clock.advance(Duration::from_secs(5))?;
        let at = cordon::domain::Timestamp::from_millis(self.clock.now_ms()).to_string();
        let tick = json!({"version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event",
            "source": "aws.events", "account": self.account, "time": at, "region": cordon_support::REGION,
            "resources": ["arn:aws:events:us-east-1:123456789012:rule/cordon-sweep"], "detail": {}});
        self.deliver(&tick).await
    }

    /// One message of the recheck queue.
    pub fn batch(&self, incident: &str) -> Value {
        json!({"Records": [{"messageId": "m1", "eventSource": "aws:sqs", "body": incident}]})
    }

    /// Ids of all incidents, by the command line.
    pub async fn incidents(&self) -> Result<Vec<String>> {
        let listed = self.cordon(&["incidents"]).await?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        Ok(listed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
    }

    /// CloudTrail says that the user's first key made a session of a role.
    pub async fn handed_on(&self, role: &str, session: &str) -> Result<()> {
        self.handed_on_by(self.id("/user/keys/0"), role, session).await
    }

    /// The same of any key.
    pub async fn handed_on_by(&self, key: &str, role: &str, session: &str) -> Result<()> {
        self.assumed(key, self.id(&format!("{role}/arn")), self.id(&format!("{role}/id")), session).await
    }

    /// The same of any role, of whatever account.
    pub async fn assumed(&self, key: &str, arn: &str, id: &str, session: &str) -> Result<()> {
        let record = json!({"eventName": "AssumeRole", "eventSource": "sts.amazonaws.com",
            "userIdentity": {"accessKeyId": key},
            "requestParameters": {"roleArn": arn, "roleSessionName": session},
            "responseElements": {"assumedRoleUser": {"assumedRoleId": format!("{id}:{session}"), "arn": arn}}});
        let event = json!({"EventName": "AssumeRole", "EventSource": "sts.amazonaws.com", "AccessKeyId": key,
            "EventTime": samples::now_ms() / 1000 - 600, "CloudTrailEvent": record});
        self.recorded(event).await
    }

    /// CloudTrail knows this event.
    pub async fn recorded(&self, event: Value) -> Result<()> {
        self.boto3.request(json!({"op": "trail", "account": self.account, "events": [event]})).await.map(drop)
    }

    /// CloudTrail knows that the account's user of that name changed something some minutes ago.
    pub async fn changed_by(
        &self,
        author: &str,
        (service, call): (&str, &str),
        resource: &str,
        parameters: Value,
    ) -> Result<()> {
        let source = format!("{service}.amazonaws.com");
        let record = json!({"eventName": call, "eventSource": source, "readOnly": false, "eventTime": "2026-11-20T09:15:04Z",
            "userIdentity": {"type": "IAMUser", "principalId": "AIDACKCEVSQ6C2EXAMPLE", "accountId": self.account,
                "arn": format!("arn:aws:iam::{}:user/{author}", self.account)},
            "requestParameters": parameters});
        self.recorded(json!({"EventName": call, "EventSource": source, "Resources": [{"ResourceName": resource}],
            "EventTime": samples::now_ms() / 1000 - 60, "CloudTrailEvent": record}))
            .await
    }

    /// The time of its clock, so many seconds ago, as events write it.
    pub fn ago(&self, seconds: i64) -> Value {
        json!(cordon::domain::Timestamp::from_millis(self.clock.now_ms() - seconds * 1000).to_string())
    }

    /// The command line with the account's credentials.
    fn cli(&self) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cordon"));
        command.envs(credentials(&self.ids, &self.proxy, &self.clock)).env_remove("SSL_CERT_DIR");
        command
    }

    /// A command that needs the account's credentials and no deployment.
    pub async fn command(&self, arguments: &[&str]) -> Result<std::process::Output> {
        let mut command = self.cli();
        command.args(arguments);
        Ok(tokio::task::spawn_blocking(move || command.output()).await??)
    }

    /// The operator's command line on this deployment.
    pub async fn cordon(&self, arguments: &[&str]) -> Result<std::process::Output> {
        let durable = self.durable.as_ref().context("it has no table")?;
        let mut command = self.cli();
        command.args(arguments).args(["--table", &durable.table, "--queue", &durable.queue]);
        // Without an operator function.
        command.env("CORDON_DIRECT", "true");
        Ok(tokio::task::spawn_blocking(move || command.output()).await??)
    }

    /// Makes an IAM user who may command by the operator function.
    pub async fn person(&self, name: &str) -> Result<Person> {
        let user = self.call("iam", "create_user", json!({"UserName": name, "Path": "/people/"})).await?;
        let key = self.call("iam", "create_access_key", json!({"UserName": name})).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Person {
            arn: text(&user["User"]["Arn"]),
            id: text(&user["User"]["UserId"]),
            key: text(&key["AccessKey"]["AccessKeyId"]),
            secret: text(&key["AccessKey"]["SecretAccessKey"]),
            token: None,
        })
    }

    /// Starts the operator function, which Lambda's Invoke finds as `cordon-operator`.
    pub async fn start_operator(&self) -> Result<()> {
        let durable = self.durable.as_ref().context("it has no table")?;
        let mut env = credentials(&self.ids, &self.proxy, &self.clock);
        env.push(("CORDON_ENTRY".to_owned(), "operator".to_owned()));
        env.push(("CORDON_TABLE".to_owned(), durable.table.clone()));
        env.push(("CORDON_RECHECK_QUEUE_URL".to_owned(), durable.queue.clone()));
        let function = Function::start(FunctionOptions { binary: responder(), env, log: Log::Capture }).await?;
        self.proxy.serve_function("cordon-operator", &self.account, std::sync::Arc::new(function));
        Ok(())
    }

    /// The command line in the hands of a person, through the operator function.
    pub async fn cordon_as(&self, person: &Person, arguments: &[&str]) -> Result<std::process::Output> {
        let durable = self.durable.as_ref().context("it has no table")?;
        let mut command = self.cli();
        command.args(arguments).args(["--table", &durable.table, "--function", "cordon-operator"]);
        command.env("AWS_ACCESS_KEY_ID", &person.key).env("AWS_SECRET_ACCESS_KEY", &person.secret);
        if let Some(token) = &person.token {
            command.env("AWS_SESSION_TOKEN", token);
        }
        Ok(tokio::task::spawn_blocking(move || command.output()).await??)
    }

    /// What the operator function answers to a payload.
    pub async fn invoke_operator(&self, payload: &str) -> Result<Value> {
        let url = format!("{}/2015-03-31/functions/cordon-operator/invocations", self.proxy.endpoint());
        let payload = payload.to_owned();
        let answer = tokio::task::spawn_blocking(move || post(&url, &payload)).await??;
        serde_json::from_str(&answer).with_context(|| answer.clone())
    }

    /// Puts a policy into the table by the command line.
    pub async fn put_policy(&self, yaml: &str) -> Result<()> {
        let path = scratch().join(format!("policy-{}.yaml", SEQUENCE.fetch_add(1, Ordering::Relaxed)));
        std::fs::write(&path, yaml)?;
        let output = self.cordon(&["policy", "put", path.to_str().context("path")?]).await?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// A fresh copy of `events/guardduty/NAME.json` for this account.
    pub fn event(&self, name: &str) -> Result<Value> {
        let sample = read(&root().join("events/guardduty").join(format!("{name}.json")))?;
        Ok(samples::fresh(&sample, &self.ids, samples::now_ms(), SEQUENCE.fetch_add(1, Ordering::Relaxed)))
    }

    /// A fresh copy of `events/cloudtrail/NAME.json`, as if the call had been made just now.
    pub fn record(&self, name: &str) -> Result<Value> {
        let sample = read(&root().join("events/cloudtrail").join(format!("{name}.json")))?;
        Ok(samples::fresh_record(&sample, &self.ids, samples::now_ms(), SEQUENCE.fetch_add(1, Ordering::Relaxed)))
    }

    /// A copy of `events/config/NAME.json` about this account.
    pub fn config(&self, name: &str) -> Result<Value> {
        let mut event = read(&root().join("events/config").join(format!("{name}.json")))?;
        event["detail"]["awsAccountId"] = json!(self.account);
        Ok(event)
    }

    /// Delivers the event; the report that the function answers.
    pub async fn deliver(&self, event: &Value) -> Result<Value> {
        match self.function.invoke(event).await? {
            Answer::Response(report) => Ok(report),
            Answer::Error(error) => Err(anyhow!("the function failed: {error}\n{}", self.function.logs().join("\n"))),
        }
    }

    /// The id that the incident of an event has, answered or not.
    pub fn incident_of(&self, event: &Value) -> Result<String> {
        static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::ours);
        let finding = match cordon::ingest::event(&event.to_string()) {
            Ingested::Finding(finding) => finding.id,
            Ingested::Record(record) => match DETECTOR.look(&record).conclude(&[]) {
                Ok(finding) => finding.id,
                Err(outcome) => return Err(anyhow!("no finding: {outcome:?}")),
            },
            Ingested::Health(health) => match cordon::detect::leaked(&health) {
                Ok(finding) => finding.id,
                Err(outcome) => return Err(anyhow!("no finding: {outcome:?}")),
            },
            Ingested::Scan(scan) => match cordon::detect::scanned(&scan) {
                Ok(finding) => finding.id,
                Err(outcome) => return Err(anyhow!("no finding: {outcome:?}")),
            },
            other => return Err(anyhow!("no finding: {other:?}")),
        };
        Ok(cordon::domain::IncidentId::of(&self.account, &finding).to_string())
    }

    /// Delivers the event and kills the function with SIGKILL at one of its calls.
    pub async fn kill_at(&self, event: &Value, at: Match, when: When) -> Result<()> {
        match self.kill_if_at(event, at, when).await? {
            None => Ok(()),
            Some(answer) => anyhow::bail!("it never came there, and answered {answer:?}"),
        }
    }

    /// The same, or the answer of a function that did not come there.
    pub async fn kill_if_at(&self, event: &Value, at: Match, when: When) -> Result<Option<Answer>> {
        let stopped = std::pin::pin!(self.proxy.stop_at(at, when));
        let invoked = std::pin::pin!(self.function.invoke(event));
        let invoked = match futures::future::select(stopped, invoked).await {
            Either::Left((stopped, invoked)) => {
                stopped.context("it never came there")?;
                self.function.kill().await;
                invoked.await
            }
            Either::Right((answer, _)) => return answer.map(Some),
        };
        anyhow::ensure!(invoked.is_err(), "it answered {invoked:?}");
        Ok(None)
    }

    /// Delivers the event to that function, which stands still at one of its calls while something else happens: however long that
    /// takes, its lease lasts. `meanwhile` gets the time at which it stands, for [`TestClock::set`].
    pub async fn while_it_stands<T>(
        &self,
        (function, event): (&Function, &Value),
        (at, when): (Match, When),
        meanwhile: impl AsyncFnOnce(i64) -> Result<T>,
    ) -> Result<(Answer, T)> {
        let stopped = std::pin::pin!(self.proxy.stop_at(at, when));
        let invoked = std::pin::pin!(function.invoke(event));
        let invoked = match futures::future::select(stopped, invoked).await {
            Either::Left((stopped, invoked)) => {
                stopped.context("it never came there")?;
                invoked
            }
            Either::Right((answer, _)) => anyhow::bail!("it never came there, and answered {answer:?}"),
        };
        function.stand_still()?;
        let stands = self.clock.now_ms();
        let done = meanwhile(stands).await;
        self.clock.set(stands)?;
        function.go_on()?;
        Ok((invoked.await?, done?))
    }

    /// What follows is not to meet the end of an hour, or of five minutes: the clock goes past it in the last tenth of such a period.
    pub fn away_from_the_end_of(&self, period: Duration) -> Result<()> {
        let period = i64::try_from(period.as_millis())?;
        let left = period - self.clock.now_ms().rem_euclid(period);
        if left >= period / 10 {
            return Ok(());
        }
        self.clock.advance(Duration::from_millis(u64::try_from(left)?))
    }

    /// What `cordon show` says of an incident.
    pub async fn shown(&self, incident: &str) -> Result<Value> {
        let output = self.cordon(&["show", incident, "--json"]).await?;
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{incident}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// The event as GuardDuty publishes it again, with evidence from after all that was done so far.
    pub fn newer(&self, event: &Value) -> Result<Value> {
        self.clock.advance(Duration::from_secs(60))?;
        let mut event = event.clone();
        let seen = cordon::domain::Timestamp::from_millis(self.clock.now_ms());
        event["detail"]["service"]["eventLastSeen"] = json!(seen.to_string());
        event["detail"]["updatedAt"] = json!(seen.to_string());
        self.clock.advance(Duration::from_secs(1))?;
        Ok(event)
    }

    pub async fn call(&self, service: &str, method: &str, params: Value) -> Result<Value> {
        self.boto3.call(&self.account, service, method, params).await
    }

    /// Ends this world, so that many of them do not fill the memory of moto.
    pub async fn forget(self) -> Result<()> {
        self.boto3.forget(&self.account).await
    }

    /// The same account once more, as it stands now, with a function of its own: what happens in one does not happen in the other.
    pub async fn copy(&self) -> Result<Self> {
        let (boto3, endpoint) = self.boto3.copy(&self.account).await?;
        let (account, durable, ids) = (self.account.clone(), self.durable.clone(), self.ids.clone());
        let proxy = Proxy::start_with(&endpoint, ProxyOptions { hold: None, ..ProxyOptions::default() }).await?;
        let clock = TestClock::new()?;
        clock.set(self.clock.now_ms())?;
        let function = start(&ids, &proxy, &clock, durable.as_ref(), "contain", None, None).await?;
        Ok(Self { account, durable, ids, proxy, function, clock, boto3 })
    }

    /// The names of an interface's groups.
    pub async fn group_of(&self, interface: &str) -> Result<String> {
        let dump = self.dump().await?;
        let groups = dump["network_interfaces"][interface]["groups"].as_array().context("no such interface")?;
        let name = |group: &Value| dump["security_groups"][group.as_str()?]["name"].as_str();
        Ok(groups.iter().filter_map(name).collect::<Vec<_>>().join(", "))
    }

    pub async fn dump(&self) -> Result<Value> {
        self.boto3.dump(&self.account).await
    }

    /// How many rechecks were ever sent: nobody takes them out of the queue. moto's queue knows the true time only, so on
    /// a slow machine the first of them is due before anybody counts.
    pub async fn rechecks(&self) -> Result<usize> {
        let queue = &self.durable.as_ref().context("it has no queue")?.queue;
        let names = json!({"QueueUrl": queue, "AttributeNames": ["All"]});
        let attributes = &self.call("sqs", "get_queue_attributes", names).await?["Attributes"];
        let mut sent = 0;
        for name in ["ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessages"] {
            sent += attributes[name].as_str().context(name)?.parse::<usize>()?;
        }
        Ok(sent)
    }

    pub async fn messages(&self) -> Result<Vec<Value>> {
        self.boto3.messages(&self.account, self.id("/queue")).await
    }

    /// An id of the world by JSON pointer.
    pub fn id(&self, pointer: &str) -> &str {
        self.ids.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("the world has no {pointer}"))
    }

    pub fn interfaces(&self, whose: &str) -> Vec<String> {
        let list = self.ids.pointer(&format!("/{whose}/interfaces")).and_then(Value::as_array).unwrap();
        list.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    }

    /// Mutating calls outside of Cordon's own table, queue and topic.
    pub fn changes(&self) -> Vec<String> {
        let own = ["dynamodb", "sqs", "sns"];
        let calls = self.proxy.mutations().into_iter().filter(|call| !own.contains(&call.service.as_str()));
        calls.map(|call| format!("{} {}", call.operation, call.resource)).collect()
    }
}

/// Somebody with a key of his own.
pub struct Person {
    pub arn: String,
    pub id: String,
    pub key: String,
    pub secret: String,
    pub token: Option<String>,
}

/// The body that comes back; one request, one connection.
fn post(url: &str, body: &str) -> Result<String> {
    use std::io::{Read, Write};
    let rest = url.strip_prefix("http://").context("url")?;
    let (host, path) = rest.split_once('/').context("url")?;
    let mut stream = std::net::TcpStream::connect(host)?;
    let length = body.len();
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").context("no answer")?.1.to_owned())
}

impl Durable {
    async fn make(boto3: &World, account: &str) -> Result<Self> {
        boto3.call(account, "dynamodb", "create_table", cordon_support::journal_table("cordon")).await?;
        let queue = boto3.call(account, "sqs", "create_queue", json!({"QueueName": "cordon-rechecks"})).await?;
        let queue = queue["QueueUrl"].as_str().context("no queue")?.to_owned();
        Ok(Self { table: "cordon".to_owned(), queue })
    }
}

fn credentials(ids: &Value, proxy: &Proxy, clock: &TestClock) -> Vec<(String, String)> {
    let text = |pointer: &str| ids.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    vec![
        ("AWS_ENDPOINT_URL".to_owned(), proxy.endpoint().to_owned()),
        ("AWS_REGION".to_owned(), cordon_support::REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID".to_owned(), text("/credentials/access_key_id")),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), text("/credentials/secret_access_key")),
        (clock::VARIABLE.to_owned(), clock.path().to_string_lossy().into_owned()),
        // Nobody speaks TLS here; reading all roots of the system takes each process tens of milliseconds.
        ("SSL_CERT_FILE".to_owned(), root().join("tests/support/root.pem").to_string_lossy().into_owned()),
    ]
}

async fn start(
    ids: &Value,
    proxy: &Proxy,
    clock: &TestClock,
    durable: Option<&Durable>,
    mode: &str,
    policy: Option<&str>,
    rules: Option<&str>,
) -> Result<Function> {
    let topic = ids.pointer("/topic").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut env = credentials(ids, proxy, clock);
    env.push(("CORDON_TOPIC_ARN".to_owned(), topic));
    env.push(("CORDON_MODE".to_owned(), mode.to_owned()));
    env.push(("CORDON_EVENT_RULES".to_owned(), "cordon-".to_owned()));
    if let Some(durable) = durable {
        env.push(("CORDON_TABLE".to_owned(), durable.table.clone()));
        env.push(("CORDON_RECHECK_QUEUE_URL".to_owned(), durable.queue.clone()));
    }
    if let Some(policy) = policy {
        let path = scratch().join(format!("policy-{}.yaml", SEQUENCE.fetch_add(1, Ordering::Relaxed)));
        std::fs::write(&path, policy)?;
        env.push(("CORDON_POLICY".to_owned(), path.to_string_lossy().into_owned()));
    }
    if let Some(rules) = rules {
        let folder = scratch().join(format!("rules-{}", SEQUENCE.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("mine.yml"), rules)?;
        env.push(("CORDON_RULES".to_owned(), folder.to_string_lossy().into_owned()));
    }
    Function::start(FunctionOptions { binary: responder(), env, log: Log::Capture }).await
}

/// The function under test: this build's, or one that was broken on purpose (tests/broken).
pub fn responder() -> PathBuf {
    std::env::var_os("CORDON_RESPONDER").map_or_else(|| env!("CARGO_BIN_EXE_responder").into(), PathBuf::from)
}

/// A folder for files of this run, under cargo's own.
pub fn scratch() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("it-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// Every difference of two dumps as `pointer: before -> after`, sorted.
pub fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(before, after, "", &mut found);
    found.sort();
    found
}

/// The differences that no action declares to keep: prepared groups, evidence, ended sessions, and EC2's default timeouts, which cannot be unset.
pub fn undeclared(before: &Value, after: &Value) -> Vec<String> {
    let mut found = differences(before, after);
    found.retain(|difference| {
        let is_kept = ["/sessions/", "/tags/sg-", "/snapshots/snap-", "/tags/snap-"]
            .iter()
            .any(|start| difference.starts_with(start));
        let is_prepared = difference.starts_with("/security_groups/sg-") && difference.contains(": null -> ");
        let is_default = difference.contains("/connection_tracking: null -> ")
            && difference.contains("{\"TcpEstablishedTimeout\":432000,\"UdpStreamTimeout\":180,\"UdpTimeout\":30}");
        !is_kept && !is_prepared && !is_default
    });
    found
}

/// What EnterStandby leaves behind by declaration: the instance that took the place, and the capacity.
pub fn without_replacement(lab: &Lab, before: &Value, mut after: Value) -> Vec<String> {
    for section in ["instances", "network_interfaces", "tags"] {
        let known = before[section].as_object().unwrap();
        let is_known = |id: &String| known.contains_key(id) || !(id.starts_with("i-") || id.starts_with("eni-"));
        after[section].as_object_mut().unwrap().retain(|id, _| is_known(id));
    }
    if let Some(group) = after["scaling_groups"].get_mut("web") {
        group["desired"] = before["scaling_groups"]["web"]["desired"].clone();
        group["members"].as_object_mut().unwrap().retain(|id, _| id == lab.id("/victim/instance"));
    }
    let known = before["target_groups"].clone();
    for (group, targets) in after["target_groups"].as_object_mut().unwrap() {
        targets.as_object_mut().unwrap().retain(|target, _| known[group].get(target).is_some());
    }
    undeclared(before, &after)
}

fn collect(before: &Value, after: &Value, at: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(b), Value::Object(a)) => {
            for key in b.keys().chain(a.keys().filter(|key| !b.contains_key(*key))) {
                let (b, a) = (b.get(key).unwrap_or(&Value::Null), a.get(key).unwrap_or(&Value::Null));
                collect(b, a, &format!("{at}/{key}"), found);
            }
        }
        _ if before != after => found.push(format!("{at}: {before} -> {after}")),
        _ => {}
    }
}

/// Of a policy: a situation is contained however bad it is.
pub const CONTAIN: &str = "{critical: contain, high: contain, medium: contain, low: contain}";

/// The outcome of a report.
pub fn kind(report: &Value) -> &str {
    report.pointer("/outcome/kind").and_then(Value::as_str).unwrap_or_else(|| panic!("no outcome in {report}"))
}

/// The codes of the outcome's reasons.
pub fn codes(report: &Value) -> Vec<&str> {
    let reasons = report.pointer("/outcome/reasons").and_then(Value::as_array).unwrap();
    reasons.iter().map(|reason| reason["code"].as_str().unwrap()).collect()
}

/// `action target -> after` of each step, sorted.
pub fn lines(report: &Value) -> Vec<String> {
    let step = |s: &Value| {
        format!(
            "{} {} -> {}",
            s["action"].as_str().unwrap(),
            s["target"].as_str().unwrap(),
            s["after"].as_str().unwrap()
        )
    };
    let mut lines: Vec<String> = report["steps"].as_array().unwrap().iter().map(step).collect();
    lines.sort();
    lines
}
