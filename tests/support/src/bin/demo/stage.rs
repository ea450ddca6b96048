//! All that the demo starts, and the one way to give the function an event. Nothing is shown here.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cordon_support::{Answer, Function, FunctionOptions, Log, Moto, Proxy, REGION, World, next_account, samples};
use serde::Deserialize;
use serde_json::Value;

/// The calls after which the attacker has nothing left, by the kind of target.
const CUTS: [&str; 3] = ["ModifyNetworkInterfaceAttribute", "AttachUserPolicy", "UpdateAccessKey"];

/// One account, with the function in front of it.
pub struct Stage {
    function: Option<Function>,
    proxy: Proxy,
    world: World,
    moto: Moto,
    responder: PathBuf,
    account: String,
    pub ids: Value,
    sequence: u64,
}

/// Whom an event names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    Victim,
    /// The instance that is a bystander until then.
    Second,
}

/// What the function answered, as far as it is shown.
#[derive(Debug, Deserialize)]
pub struct Report {
    pub incident: Option<String>,
    pub outcome: Outcome,
    pub finding_type: String,
    pub title: String,
    pub remote: Vec<String>,
    pub decision: Vec<Reason>,
    pub plan: Option<String>,
    pub steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
pub struct Outcome {
    pub kind: String,
    pub reasons: Vec<Reason>,
}

#[derive(Debug, Deserialize)]
pub struct Reason {
    pub code: String,
    pub text: String,
}

#[derive(Debug, Deserialize)]
pub struct Step {
    pub action: String,
    pub target: String,
    pub before: String,
    pub after: String,
    pub state: String,
}

/// What one event cost, as the proxy saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    pub calls: usize,
    /// Calls that change something, beside mails.
    pub changes: usize,
    pub mails: usize,
    pub rounds: usize,
    /// The round of the last call that takes something from the attacker.
    pub cut: Option<usize>,
    pub group: Group,
}

/// Whether the quarantine group of the VPC had to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Made,
    NotMade,
}

impl Stage {
    /// Builds the account and puts the proxy before moto. No function runs yet.
    pub async fn set(moto: Moto, responder: PathBuf) -> Result<Stage> {
        let world = World::start(moto.endpoint()).await?;
        let account = next_account();
        let ids = world.build(&account, 3).await?;
        let proxy = Proxy::start(moto.endpoint()).await?;
        Ok(Stage { function: None, proxy, world, moto, responder, account, ids, sequence: 0 })
    }

    /// Another process of the function; its memory is empty.
    pub async fn start_function(&mut self, mode: &str) -> Result<()> {
        if let Some(former) = self.function.take() {
            former.kill().await;
        }
        let env = [
            ("AWS_ENDPOINT_URL", self.proxy.endpoint()),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", self.id("/credentials/access_key_id")?),
            ("AWS_SECRET_ACCESS_KEY", self.id("/credentials/secret_access_key")?),
            ("CORDON_TOPIC_ARN", self.id("/topic")?),
            ("CORDON_MODE", mode),
        ];
        let env = env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let options = FunctionOptions { binary: self.responder.clone(), env, log: Log::Capture };
        self.function = Some(Function::start(options).await?);
        Ok(())
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
        let function = self.function.as_ref().context("deliver an event: no function runs")?;
        self.proxy.clear();
        match function.invoke(event).await? {
            Answer::Response(report) => {
                let report = serde_json::from_value(report).context("read the report of the function")?;
                Ok((report, self.figures()))
            }
            Answer::Error(error) => bail!("the function failed: {error}\n{}", function.logs().join("\n")),
        }
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
        drop((self.proxy, self.world, self.moto));
    }

    fn figures(&self) -> Figures {
        let (calls, mutations) = (self.proxy.calls(), self.proxy.mutations());
        let mails = mutations.iter().filter(|call| call.operation == "Publish").count();
        let made = mutations.iter().any(|call| call.operation == "CreateSecurityGroup");
        Figures {
            calls: calls.len(),
            changes: mutations.len() - mails,
            mails,
            rounds: self.proxy.rounds(),
            cut: self.proxy.round_of(|call| CUTS.contains(&call.operation.as_str())),
            group: if made { Group::Made } else { Group::NotMade },
        }
    }
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
