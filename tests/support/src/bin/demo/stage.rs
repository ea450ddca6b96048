//! All that the demo starts, and the one way to give the function an event. Nothing is shown here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cordon_support::{
    Answer, Function, FunctionOptions, Log, Match, Moto, Proxy, REGION, TestClock, When, World, clock, next_account,
    samples,
};
use serde_json::{Value, json};

use crate::report::{Figures, Report};
use crate::watch::{Move, Watch};

/// The calls after which the attacker has nothing left, by the kind of target.
const CUTS: [&str; 3] = ["ModifyNetworkInterfaceAttribute", "AttachUserPolicy", "UpdateAccessKey"];
/// Where Cordon keeps what is its own: journal, rechecks, mails.
const OWN: [&str; 3] = ["dynamodb", "sqs", "sns"];
pub const TABLE: &str = "cordon";
/// A lease lasts 4 s, and the first recheck comes after 5.
const UNTIL_RECHECK: Duration = Duration::from_secs(5);
const INTERFACES: usize = 3;
/// In which the other calls of a round come, and the longest that they may take.
const ROUND: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(30);

/// One account, with the function in front of it.
pub struct Stage {
    function: Option<Function>,
    proxy: Proxy,
    watch: Watch,
    world: World,
    moto: Moto,
    clock: TestClock,
    responder: PathBuf,
    account: String,
    pub ids: Value,
    rechecks: String,
    sequence: u64,
}

/// Whom an event names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    Victim,
    /// The instance that is a bystander until then.
    Second,
}

/// How a command line ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Stage {
    /// Builds the account, Cordon's own table and queue in it, and puts the proxy before moto. No function runs yet.
    pub async fn set(moto: Moto, responder: PathBuf) -> Result<Stage> {
        let world = World::start(moto.endpoint()).await?;
        let account = next_account();
        let ids = build(&world, &account).await?;
        world.call(&account, "dynamodb", "create_table", cordon_support::journal_table(TABLE)).await?;
        let queue = world.call(&account, "sqs", "create_queue", json!({"QueueName": "cordon-rechecks"})).await?;
        let rechecks = queue["QueueUrl"].as_str().context("the recheck queue has no URL")?.to_owned();
        let watch = Watch::start(moto.endpoint()).await?;
        let (proxy, clock) = (Proxy::start(watch.endpoint()).await?, TestClock::new()?);
        Ok(Stage { function: None, proxy, watch, world, moto, clock, responder, account, ids, rechecks, sequence: 0 })
    }

    /// Another process of the function; it knows only what the table says.
    pub async fn start_function(&mut self, mode: &str) -> Result<()> {
        if let Some(former) = self.function.take() {
            former.kill().await;
        }
        let mut env = self.environment()?;
        let topic = self.id("/topic")?.to_owned();
        env.extend([("CORDON_TOPIC_ARN".to_owned(), topic), ("CORDON_MODE".to_owned(), mode.to_owned())]);
        let options = FunctionOptions { binary: self.responder.clone(), env, log: Log::Capture };
        self.function = Some(Function::start(options).await?);
        Ok(())
    }

    /// The operator's command line on this deployment.
    pub async fn cordon(&self, arguments: &[&str]) -> Result<(Ended, Figures)> {
        let mut command = tokio::process::Command::new(self.responder.with_file_name("cordon"));
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).envs(self.environment()?);
        // No operator function runs here: the table's own rights decide.
        command.env("CORDON_DIRECT", "true");
        self.proxy.clear();
        let output = command.args(arguments).kill_on_drop(true).output().await.context("run `cordon`")?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let ended = Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
        Ok((ended, self.figures()))
    }

    /// What the journal knows of an incident.
    pub async fn record(&self, incident: &str) -> Result<Value> {
        let (ended, _) = self.cordon(&["show", incident, "--json"]).await?;
        serde_json::from_str(&ended.stdout).with_context(|| format!("cordon show {incident}: {}", ended.stderr))
    }

    /// The incidents that the journal knows, the oldest first.
    pub async fn incidents(&self) -> Result<Vec<String>> {
        let (ended, _) = self.cordon(&["incidents", "--json"]).await?;
        let id = |line: &str| {
            let record: Value =
                serde_json::from_str(line).with_context(|| format!("cordon incidents: {}", ended.stderr))?;
            record["id"].as_str().map(str::to_owned).context("an incident without id")
        };
        ended.stdout.lines().rev().map(id).collect()
    }

    /// A copy of `events/guardduty/SAMPLE.json` as if it had just been found here.
    pub fn event(&mut self, sample: &str, whom: Whom) -> Result<Value> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../events/guardduty/{sample}.json"));
        let text = std::fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
        let template: Value = serde_json::from_str(&text).with_context(|| format!("read `{}`", path.display()))?;
        let mut world = self.ids.clone();
        if whom == Whom::Second
            && let Some(victim) = world.get_mut("victim")
        {
            *victim = self.ids["bystander"].clone();
        }
        self.sequence += 1;
        let mut event = samples::fresh(&template, &world, samples::now_ms(), self.sequence);
        retitle(&template, &mut event);
        Ok(event)
    }

    /// Gives the function the event and waits until it has answered.
    pub async fn deliver(&self, event: &Value) -> Result<(Report, Figures)> {
        let report = self.invoke(event).await?;
        Ok((serde_json::from_value(report).context("read the report of the function")?, self.figures()))
    }

    /// What the recheck queue delivers after 5 s; what came of it is in the journal.
    pub async fn recheck(&self, incident: &str) -> Result<(Report, Figures)> {
        self.clock.advance(UNTIL_RECHECK)?;
        let record = json!({"messageId": "m1", "eventSource": "aws:sqs", "body": incident});
        let answer = self.invoke(&json!({"Records": [record]})).await?;
        if answer != json!({"batchItemFailures": []}) {
            bail!("the recheck goes back to the queue: {answer}");
        }
        let figures = self.figures();
        let report = self.record(incident).await?["incident"]["report"].take();
        Ok((serde_json::from_value(report).context("read the report in the journal")?, figures))
    }

    /// Gives the function the event and kills it where its nth call of an operation is about to reach AWS. The calls that
    /// went out beside that one do reach it.
    pub async fn kill_before(&mut self, event: &Value, operation: &str, nth: u32) -> Result<Figures> {
        let function = self.function.take().context("kill the function: none runs")?;
        self.clear();
        let at = Match { operation: operation.to_owned(), resource: None, occurrence: Some(nth) };
        let reached = self.proxy.stop_at(at, When::Before);
        let stopped = tokio::select! {
            answer = function.invoke(event) => bail!("the function never came to its call {nth} of {operation}: {answer:?}"),
            stopped = reached => stopped.context("stop the function")?.position(),
        };
        let others_answered = async {
            loop {
                tokio::time::sleep(ROUND).await;
                if self.proxy.calls().iter().all(|call| call.status.is_some() || call.position() == stopped) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, others_answered).await.context("the calls beside the stopped one end")?;
        function.kill().await;
        self.proxy.heal();
        Ok(self.figures())
    }

    /// Of the last delivery.
    pub fn round_of(&self, operation: &str) -> Option<usize> {
        self.proxy.round_of(|call| call.operation == operation)
    }

    /// Into which groups AWS put interfaces since the last delivery began, in that order.
    pub fn moves(&self) -> Vec<Move> {
        self.watch.moves()
    }

    /// How many rechecks lie in their queue, most of them for later.
    pub async fn rechecks(&self) -> Result<usize> {
        let names = json!({"QueueUrl": self.rechecks, "AttributeNames": ["All"]});
        let all = self.world.call(&self.account, "sqs", "get_queue_attributes", names).await?;
        let count = |name: &str| all["Attributes"][name].as_str().and_then(|count| count.parse::<usize>().ok());
        let (delayed, due) = (count("ApproximateNumberOfMessagesDelayed"), count("ApproximateNumberOfMessages"));
        delayed.zip(due).map(|(delayed, due)| delayed + due).context("count the messages of the recheck queue")
    }

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
        if let Some(function) = &self.function {
            function.kill().await;
        }
        drop((self.proxy, self.watch, self.world, self.moto));
    }

    async fn invoke(&self, event: &Value) -> Result<Value> {
        let function = self.function.as_ref().context("deliver an event: no function runs")?;
        self.clear();
        match function.invoke(event).await? {
            Answer::Response(response) => Ok(response),
            Answer::Error(error) => bail!("the function failed: {error}\n{}", function.logs().join("\n")),
        }
    }

    fn clear(&self) {
        self.proxy.clear();
        self.watch.clear();
    }

    /// Function and command line get the same but for mode and topic.
    fn environment(&self) -> Result<Vec<(String, String)>> {
        let clock = self.clock.path().to_string_lossy();
        let env = [
            ("AWS_ENDPOINT_URL", self.proxy.endpoint()),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", self.id("/credentials/access_key_id")?),
            ("AWS_SECRET_ACCESS_KEY", self.id("/credentials/secret_access_key")?),
            ("CORDON_TABLE", TABLE),
            ("CORDON_RECHECK_QUEUE_URL", &self.rechecks),
            (clock::VARIABLE, &clock),
        ];
        Ok(env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Of the last delivery or command.
    pub fn figures(&self) -> Figures {
        let (calls, mutations) = (self.proxy.calls(), self.proxy.mutations());
        Figures {
            calls: calls.len(),
            changes: mutations.iter().filter(|call| !OWN.contains(&call.service.as_str())).count(),
            mails: mutations.iter().filter(|call| call.operation == "Publish").count(),
            rounds: self.proxy.rounds(),
            // An interface is taken off the network by the first call; later ones are about its old connections.
            cut: self.proxy.round_of(|call| CUTS.contains(&call.operation.as_str()) && call.occurrence == 1),
        }
    }
}

/// The victim is the only member of an Auto Scaling group, and it and the bystander are targets of a load balancer.
async fn build(world: &World, account: &str) -> Result<Value> {
    let wanted = json!({"op": "build", "account": account, "region": REGION, "interfaces": INTERFACES, "scaling": true, "targets": true});
    let mut ids = world.request(wanted).await?;
    let groups =
        json!({"AutoScalingGroupName": ids["scaling_group"], "TargetGroupARNs": [ids["target_groups"]["instance"]]});
    world.call(account, "autoscaling", "attach_load_balancer_target_groups", groups).await?;
    for whose in ["victim", "bystander"] {
        let primary = json!({"NetworkInterfaceIds": [ids[whose]["interfaces"][0]]});
        let mut answer = world.call(account, "ec2", "describe_network_interfaces", primary).await?;
        ids[whose]["address"] = answer["NetworkInterfaces"][0]["PrivateIpAddress"].take();
    }
    Ok(ids)
}

/// Puts the new names into what the finding says of itself, so that nobody looks for a second instance.
fn retitle(template: &Value, event: &mut Value) {
    const NAMES: [&str; 3] =
        ["instanceDetails/instanceId", "accessKeyDetails/userName", "accessKeyDetails/principalId"];
    let name = |of: &Value, name: &str| {
        let text = of.pointer(&format!("/detail/resource/{name}"))?.as_str()?;
        // Of `AROA…:session` people know the session.
        Some(text.rsplit(':').next().unwrap_or(text).to_owned())
    };
    let names: Vec<_> = NAMES.iter().filter_map(|key| Some((name(template, key)?, name(event, key)?))).collect();
    for key in ["title", "description"] {
        if let Some(Value::String(text)) = event.pointer_mut(&format!("/detail/{key}")) {
            *text = names.iter().fold(text.clone(), |text, (old, new)| text.replace(old, new));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_title_speaks_of_what_the_event_names() {
        let event = |instance: &str, principal: &str| {
            let resource =
                json!({"instanceDetails": {"instanceId": instance}, "accessKeyDetails": {"principalId": principal}});
            json!({"detail": {"title": "i-1 and s-1", "description": null, "resource": resource}})
        };
        let mut new = event("i-2", "AROA2:s-2");
        retitle(&event("i-1", "AROA1:s-1"), &mut new);
        assert_eq!(new["detail"]["title"], "i-2 and s-2");
        assert_eq!(new["detail"]["description"], Value::Null);
    }
}
