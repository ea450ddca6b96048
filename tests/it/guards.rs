//! Every guard x allowed, forbidden, unreadable by throttling, unreadable by denial; and budgets of an hour. Rows of `make faults`.

use crate::{
    lab::{HOUR, Lab, Setup, codes, differences, kind},
    tally::Tally,
};
use anyhow::{Context, Result, ensure};
use cordon_support::{Answer, Fault, How, Match};
use serde_json::{Value, json};

const INSTANCE: &str = "instance-c2-network";
const USER: &str = "key-used-from-outside";

/// What holds back, and where it is read.
#[derive(Clone, Copy)]
struct Guard {
    name: &'static str,
    sample: &'static str,
    world: &'static [&'static str],
    /// A policy under which it would allow, if it had something to compare.
    allows: &'static str,
    /// Makes it forbid.
    forbid: Forbid,
    /// Outcome and code then.
    forbidden: (&'static str, &'static str),
    /// The read that it rests on; `{account}`, `{hour}` and `{day}` are put in.
    read: (&'static str, Option<&'static str>),
    /// Outcome where that read is denied.
    denied: &'static str,
}

#[derive(Clone, Copy)]
enum Forbid {
    /// `{user}`, `{instance}` and `{own}` are put in.
    Policy(&'static str),
    Tag,
    Pause,
    OnlyHealthy,
}

const GUARDS: [Guard; 8] = [
    Guard {
        name: "protection",
        sample: USER,
        world: &[],
        allows: "protections: [{unique-id: AIDAAAAAAAAAAAAAAAAAA, because: another}]",
        forbid: Forbid::Policy("protections: [{unique-id: '{user}', because: the till}]"),
        forbidden: ("Declined", "protected"),
        read: ("Query", None),
        denied: "AwaitingApproval",
    },
    Guard {
        name: "break-glass",
        sample: USER,
        world: &[],
        allows: "break-glass: [{unique-id: AIDAAAAAAAAAAAAAAAAAA}]",
        forbid: Forbid::Policy("break-glass: [{unique-id: '{user}'}]"),
        forbidden: ("Declined", "break-glass"),
        read: ("Query", None),
        denied: "AwaitingApproval",
    },
    Guard {
        name: "operator",
        sample: USER,
        world: &[],
        allows: "operators: [{unique-id: AIDAAAAAAAAAAAAAAAAAA}]",
        forbid: Forbid::Policy("operators: [{unique-id: '{user}'}]"),
        forbidden: ("AwaitingApproval", "operator"),
        read: ("Query", None),
        denied: "AwaitingApproval",
    },
    Guard {
        name: "tag",
        sample: INSTANCE,
        world: &[],
        allows: "protections: [{tag: {key: tier, value: core}, because: customers notice}]",
        forbid: Forbid::Tag,
        forbidden: ("AwaitingApproval", "protected-by-tag"),
        read: ("DescribeInstances", None),
        denied: "NotContained",
    },
    Guard {
        name: "pause",
        sample: USER,
        world: &[],
        allows: "version: 1",
        forbid: Forbid::Pause,
        forbidden: ("AwaitingApproval", "mode"),
        read: ("Query", None),
        denied: "AwaitingApproval",
    },
    Guard {
        name: "limit of an hour",
        sample: INSTANCE,
        world: &[],
        allows: "limits: {instances-per-hour: 4}",
        // One place, of which a quarter is nothing; it is taken below.
        forbid: Forbid::Policy("limits: {instances-per-hour: 1}"),
        forbidden: ("AwaitingApproval", "instances-per-hour"),
        read: ("UpdateItem", Some("cordon/BUDGET#instances#{hour}")),
        denied: "AwaitingApproval",
    },
    Guard {
        name: "replacements of a day",
        sample: INSTANCE,
        world: &["scaling"],
        allows: "limits: {replacements-per-day: 1}",
        forbid: Forbid::Policy("limits: {replacements-per-day: 0}"),
        forbidden: ("AwaitingApproval", "replacements-per-day"),
        read: ("UpdateItem", Some("cordon/BUDGET#replacements#{account}#us-east-1#web#{day}")),
        denied: "AwaitingApproval",
    },
    Guard {
        name: "capacity",
        sample: INSTANCE,
        world: &["targets"],
        allows: "version: 1",
        forbid: Forbid::OnlyHealthy,
        forbidden: ("AwaitingApproval", "only-healthy-target"),
        read: ("DescribeTargetHealth", None),
        denied: "AwaitingApproval",
    },
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Allowed,
    Forbidden,
    Throttled,
    Denied,
}

const STATES: [(State, &str); 4] = [
    (State::Allowed, "allowed"),
    (State::Forbidden, "forbidden"),
    (State::Throttled, "unreadable by throttling"),
    (State::Denied, "unreadable by denial"),
];

/// All of them: 32 cells.
pub async fn rows(tally: &mut Tally) {
    for guard in GUARDS {
        for (state, name) in STATES {
            let result = cell(guard, state).await.with_context(|| format!("{}, {name}", guard.name));
            tally.count(format!("guards: {name}"), guard.name, result);
        }
    }
}

async fn cell(guard: Guard, state: State) -> Result<()> {
    let lonely = matches!(guard.forbid, Forbid::OnlyHealthy) && state == State::Forbidden;
    let world: &[&str] = if lonely { &["targets", "lonely"] } else { guard.world };
    let lab = Lab::new(Setup { durable: true, world, ..Setup::default() }).await?;
    lab.away_from_the_end_of(HOUR)?;
    lab.put_policy(guard.allows).await?;
    if state == State::Forbidden {
        forbid(&lab, guard).await?;
    }
    lab.messages().await?;
    let event = lab.event(guard.sample)?;
    let before = lab.dump().await?;
    if let State::Throttled | State::Denied = state {
        let how = if state == State::Denied { How::Denied } else { How::Throttled };
        let now = lab.clock.now_ms();
        let fill = |text: &str| {
            text.replace("{account}", &lab.account)
                .replace("{hour}", &now.div_euclid(3_600_000).to_string())
                .replace("{day}", &now.div_euclid(86_400_000).to_string())
        };
        let (operation, resource) = (guard.read.0.to_owned(), guard.read.1.map(fill));
        let at = Match { operation, resource, occurrence: None };
        lab.proxy.fail(Fault::throughout(at, how));
    }
    let answer = lab.function.invoke(&event).await?;
    let changed = differences(&before, &lab.dump().await?);
    match (state, answer) {
        (State::Allowed, Answer::Response(report)) => ensure!(kind(&report).ends_with("Contained"), "{report:#}"),
        (State::Throttled, Answer::Error(_)) => ensure!(changed.is_empty(), "{changed:#?}"),
        (State::Forbidden, Answer::Response(report)) => {
            let is_right = kind(&report) == guard.forbidden.0 && codes(&report).contains(&guard.forbidden.1);
            ensure!(is_right && changed.is_empty(), "{changed:#?} {report:#}");
        }
        (State::Denied, Answer::Response(report)) => {
            ensure!(kind(&report) == guard.denied && changed.is_empty(), "{changed:#?} {report:#}");
            ensure!(!lab.messages().await?.is_empty(), "nobody was told");
        }
        (_, other) => anyhow::bail!("{other:?}"),
    }
    lab.forget().await
}

async fn forbid(lab: &Lab, guard: Guard) -> Result<()> {
    match guard.forbid {
        Forbid::Policy(yaml) => {
            lab.put_policy(&yaml.replace("{user}", lab.id("/user/id"))).await?;
            if guard.forbidden.1 == "instances-per-hour" {
                // Somebody else has the place.
                let budget = format!("BUDGET#instances#{}", lab.clock.now_ms().div_euclid(3_600_000));
                let item = json!({"pk": {"S": budget}, "sk": {"S": "HEAD"}, "schema": {"N": "1"},
                    "members": {"SS": ["0123456789abcdef"]}});
                lab.call("dynamodb", "put_item", json!({"TableName": "cordon", "Item": item})).await?;
            }
        }
        Forbid::Tag => {
            let tags = json!({"Resources": [lab.id("/victim/instance")], "Tags": [{"Key": "tier", "Value": "core"}]});
            lab.call("ec2", "create_tags", tags).await?;
        }
        Forbid::Pause => {
            let output = lab.cordon(&["pause", "--because", "a drill"]).await?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        // The world is made so.
        Forbid::OnlyHealthy => {}
    }
    Ok(())
}

#[tokio::test]
async fn a_few_instances_take_the_places_of_an_hour() -> Result<()> {
    instances(6, 4).await
}

#[tokio::test]
#[ignore = "takes minutes: make faults"]
async fn sixty_of_a_kind_take_the_places_of_an_hour() -> Result<()> {
    let mut tally = Tally::default();
    budgets(&mut tally).await;
    println!("{tally}");
    ensure!(tally.wrong.is_empty(), "{}", tally.wrong.join("\n"));
    Ok(())
}

/// Sixty of a kind in an hour, under the default's limits; the last ones are Critical.
pub async fn budgets(tally: &mut Tally) {
    tally.count("budgets: 60 instances in an hour".to_owned(), "instances", instances(60, 20).await);
    tally.count("budgets: 60 credentials in an hour".to_owned(), "credentials", credentials().await);
}

/// High ones until three quarters of the limit are taken, then one more; Critical ones until all is taken, then the rest.
async fn instances(count: usize, limit: usize) -> Result<()> {
    let lab = Lab::durable().await?;
    lab.put_policy(&format!("limits: {{instances-per-hour: {limit}}}")).await?;
    lab.away_from_the_end_of(HOUR)?;
    let group = lab.id("/web_group").to_owned();
    let image = json!({"ImageId": "ami-12c6146b", "MinCount": count, "MaxCount": count, "InstanceType": "t3.micro",
        "SubnetId": lab.id("/subnet"), "SecurityGroupIds": [group]});
    let made = lab.call("ec2", "run_instances", image).await?;
    let ids: Vec<&str> =
        made["Instances"].as_array().unwrap().iter().map(|i| i["InstanceId"].as_str().unwrap()).collect();
    let mut outcomes = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        let mut event = lab.event(INSTANCE)?;
        event["detail"]["id"] = json!(format!("{n:032x}"));
        event["detail"]["resource"]["instanceDetails"]["instanceId"] = json!(id);
        as_severe(&lab, &mut event, if n * 2 < count { 8.0 } else { 9.5 });
        outcomes.push(kind(&lab.deliver(&event).await?).to_owned());
    }
    let contained =
        |range: std::ops::Range<usize>| outcomes[range].iter().filter(|kind| kind.ends_with("Contained")).count();
    let high = (limit - limit / 4).min(count / 2);
    ensure!(contained(0..count / 2) == high, "{outcomes:?}");
    ensure!(contained(count / 2..count) == (limit - high).min(count / 2), "{outcomes:?}");
    let rest = outcomes.iter().filter(|kind| !kind.ends_with("Contained"));
    ensure!(rest.clone().all(|kind| kind == "AwaitingApproval"), "{outcomes:?}");
    lab.forget().await
}

/// Credentials are not capped below 50 an hour: under the default all 60 go.
async fn credentials() -> Result<()> {
    let lab = Lab::durable().await?;
    lab.away_from_the_end_of(HOUR)?;
    for n in 0..60 {
        let name = format!("user-{n}");
        let user = lab.call("iam", "create_user", json!({"UserName": name})).await?;
        lab.call("iam", "create_access_key", json!({"UserName": name})).await?;
        let mut event = lab.event(USER)?;
        let details = &mut event["detail"]["resource"]["accessKeyDetails"];
        (details["userName"], details["principalId"]) = (json!(name), user["User"]["UserId"].clone());
        as_severe(&lab, &mut event, 8.0);
        let report = lab.deliver(&event).await?;
        ensure!(kind(&report) == "Contained", "{n}: {report:#}");
    }
    lab.forget().await
}

/// By the clock of the test.
pub fn as_severe(lab: &Lab, event: &mut Value, severity: f64) {
    let now = cordon::domain::Timestamp::from_millis(lab.clock.now_ms()).to_string();
    event["detail"]["severity"] = json!(severity);
    event["detail"]["updatedAt"] = json!(now);
    event["detail"]["service"]["eventLastSeen"] = json!(now);
}
