//! `make faults`: all cells of the matrix, a storm, an attacker, a queue that doubles and delays, and nobody to be told; one table at the end.

use crate::{
    guards,
    lab::{Lab, Setup, differences, kind, undeclared},
    matrix, operator, rules, states,
    tally::{Tally, caught},
    workers,
};
use anyhow::{Result, bail, ensure};
use cordon_support::{Answer, Call, Fault, How, Match, When};
use serde_json::{Value, json};
use std::{collections::BTreeSet, future::Future, time::Duration};

#[tokio::test]
#[ignore = "takes long: make faults"]
async fn faults() -> Result<()> {
    let mut tally = Tally::default();
    // A share is spread evenly over calls and faults; a run that was broken off goes on in the matrix, which comes last.
    let number = |name: &str, or: usize| std::env::var(name).map_or(Ok(or), |n| n.parse());
    let (one_in, from) = (number("CORDON_FAULTS_ONE_IN", 1)?.max(1), number("CORDON_FAULTS_FROM", 0)?);
    if from == 0 {
        rows(&mut tally).await;
        storm_of(200, &mut tally).await;
        eprintln!("guards and budgets");
        guards::rows(&mut tally).await;
        guards::budgets(&mut tally).await;
        for (name, cell) in rules::rows().into_iter().chain(operator::rows()) {
            row(&mut tally, &name, cell).await;
        }
    }
    eprintln!("the matrix");
    let cells = matrix::all().await?.into_iter().step_by(one_in).skip(from).collect();
    tally.add(states::search(cells).await);
    if (one_in, from) == (1, 0) {
        tally.wrong.extend(matrix::missing(&tally).into_iter().map(|row| format!("nobody came to `{row}`")));
    } else {
        println!(
            "a share of the matrix: every {one_in}th call with what happens at it, after the first {from} of them"
        );
    }
    println!("{tally}");
    ensure!(tally.wrong.is_empty(), "{} cells are wrong:\n{}", tally.wrong.len(), tally.wrong.join("\n"));
    Ok(())
}

/// The same rows with less of each; the matrix has a test of its own.
#[tokio::test]
async fn every_row_of_the_suite_in_short() -> Result<()> {
    let mut tally = Tally::default();
    rows(&mut tally).await;
    storm_of(8, &mut tally).await;
    guards::rows(&mut tally).await;
    println!("{tally}");
    ensure!(tally.wrong.is_empty(), "{}", tally.wrong.join("\n"));
    Ok(())
}

async fn rows(tally: &mut Tally) {
    tally.add(matrix::run(matrix::deaths_at_the_cut()).await);
    row(tally, "attacker: undoes all he sees until before the last recheck", attacker(Undoes::UntilTheLastRecheck))
        .await;
    row(tally, "attacker: undoes once more than the bound", attacker(Undoes::OnceMore)).await;
    row(tally, "workers: two at once on one target", two_at_once()).await;
    row(tally, "queue: rechecks doubled, late, reordered", queue()).await;
    row(tally, "people: nobody can be told during the whole containment", people()).await;
}

async fn row(tally: &mut Tally, name: &str, cell: impl Future<Output = Result<()>>) {
    eprintln!("{name}");
    tally.count(name.to_owned(), name, caught(cell).await);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Undoes {
    UntilTheLastRecheck,
    OnceMore,
}

/// Every half second of virtual time he looks at what he can see and undoes it.
async fn attacker(undoes: Undoes) -> Result<()> {
    let lab = Lab::durable().await?;
    // He has made groups of our names ahead, open to the world; ours must take other names.
    let mut his = BTreeSet::new();
    for name in ["cordon-quarantine", "cordon-passage"] {
        let group = json!({"GroupName": name, "Description": "mine", "VpcId": lab.id("/vpc")});
        let group = lab.call("ec2", "create_security_group", group).await?["GroupId"].as_str().unwrap().to_owned();
        let rule =
            json!({"GroupId": group, "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]});
        lab.call("ec2", "authorize_security_group_ingress", rule).await?;
        his.insert(group);
    }
    let is_his_group = |group: &&str| his.contains(*group);
    ensure!(lab.cordon(&["prepare"]).await?.status.success(), "cannot prepare");
    let (instance, user) = (lab.event("instance-c2-network")?, lab.event("key-used-from-outside")?);
    let reports = [lab.deliver(&instance).await?, lab.deliver(&user).await?];
    let incidents: Vec<&str> = reports.iter().map(|report| report["incident"].as_str().unwrap()).collect();
    let contained = lab.dump().await?;
    let ours = groups_of_victim(&lab, &contained);
    ensure!(ours.len() == 1 && !ours.iter().any(is_his_group), "contained in {ours:?}, of which {his:?} are his");
    let mut keys = 0;
    for (wait, is_last) in [(5, false), (10, false), (45, true)] {
        let steps = wait * 2 - 1;
        for step in 0..steps {
            lab.clock.advance(Duration::from_millis(500))?;
            // What he does twice between two looks is seen once; so he need not be run each time.
            if step == 0 || step == steps - 1 {
                let opened = undo(&lab, &mut keys).await?;
                ensure!(step > 0 || opened == ours.len(), "he opened {opened} groups of ours");
            }
        }
        lab.clock.advance(Duration::from_millis(500))?;
        for incident in &incidents {
            lab.function.invoke(&lab.batch(incident)).await?;
        }
        let after = lab.dump().await?;
        let groups = groups_of_victim(&lab, &after);
        ensure!(!groups.iter().any(is_his_group), "after {wait} s it is in {groups:?}, of which {his:?} are his");
        let left = differences(&contained, &after);
        // The key that he deleted is gone, and the one that he made is Inactive.
        let is_his = |what: &String| what.ends_with("null -> \"Inactive\"") || what.ends_with("\"Inactive\" -> null");
        let left: Vec<_> = left.into_iter().filter(|what| !is_his(what)).collect();
        ensure!(left.is_empty(), "after {wait} s, last: {is_last}: {left:#?}");
    }
    lab.messages().await?;
    if undoes == Undoes::OnceMore {
        undo(&lab, &mut keys).await?;
        for incident in &incidents {
            lab.recheck(incident).await?;
        }
        let interface = lab.interfaces("victim").remove(0);
        let after = lab.dump().await?;
        let groups = groups_of_victim(&lab, &after);
        ensure!(groups.is_disjoint(&ours), "the bound did not hold");
        ensure!(!groups.iter().any(is_his_group), "in the end it is in {groups:?}, of which {his:?} are his");
        let pages = lab.messages().await?;
        let told = |what: &str| {
            pages.iter().any(|page| {
                let text = page["Message"].as_str().unwrap_or_default();
                let is_said = |line: &str| line.contains(what) && line.contains("contained again 3 times");
                page["MessageAttributes"]["urgency"]["Value"] == "page" && text.lines().any(is_said)
            })
        };
        for what in [format!("{interface}: now {}", lab.id("/web_group")), "AWSDenyAll: now not attached".to_owned()] {
            ensure!(told(&what), "nobody was paged with what is open, `{what}`: {pages:#?}");
        }
    }
    Ok(())
}

/// Whatever groups the victim's interfaces are in.
fn groups_of_victim<'d>(lab: &Lab, dump: &'d Value) -> BTreeSet<&'d str> {
    let mut groups = BTreeSet::new();
    for interface in lab.interfaces("victim") {
        let of_interface = dump["network_interfaces"][interface.as_str()]["groups"].as_array().unwrap();
        groups.extend(of_interface.iter().map(|group| group.as_str().unwrap()));
    }
    groups
}

/// What an attacker can see and set back: groups of interfaces, a rule in our group, the deny on the user, his keys, and a new one.
/// Returns how many groups of ours he opened.
async fn undo(lab: &Lab, keys: &mut usize) -> Result<usize> {
    let web = lab.id("/web_group").to_owned();
    let of_victim = json!({"NetworkInterfaceIds": lab.interfaces("victim")});
    let seen = lab.call("ec2", "describe_network_interfaces", of_victim).await?;
    for interface in lab.interfaces("victim") {
        let groups = json!({"NetworkInterfaceId": interface, "Groups": [web]});
        lab.call("ec2", "modify_network_interface_attribute", groups).await?;
    }
    // Whatever its name is: the group that they were in until now.
    let groups = seen["NetworkInterfaces"].as_array().unwrap().iter().flat_map(|it| it["Groups"].as_array().unwrap());
    let groups: BTreeSet<&str> = groups.map(|group| group["GroupId"].as_str().unwrap()).collect();
    let mut opened = 0;
    for group in groups.into_iter().filter(|group| *group != web) {
        let rule =
            json!({"GroupId": group, "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]});
        opened += usize::from(lab.call("ec2", "authorize_security_group_egress", rule).await.is_ok());
    }
    let user = lab.id("/user/name").to_owned();
    let deny = json!({"UserName": user, "PolicyArn": "arn:aws:iam::aws:policy/AWSDenyAll"});
    let _ = lab.call("iam", "detach_user_policy", deny).await;
    let found = lab.call("iam", "list_access_keys", json!({"UserName": user})).await?;
    for key in found["AccessKeyMetadata"].as_array().unwrap() {
        let active = json!({"UserName": user, "AccessKeyId": key["AccessKeyId"], "Status": "Active"});
        lab.call("iam", "update_access_key", active).await?;
    }
    // A user has two at most: one goes, one comes.
    if *keys == 0 {
        *keys += 1;
        let old = json!({"UserName": user, "AccessKeyId": lab.id("/user/keys/1")});
        lab.call("iam", "delete_access_key", old).await?;
        lab.call("iam", "create_access_key", json!({"UserName": user})).await?;
    }
    Ok(opened)
}

/// One stands still right before the cut, another gets the same event: it joins, and touches nothing.
async fn two_at_once() -> Result<()> {
    let lab = Lab::durable().await?;
    let event = lab.event("key-used-from-outside")?;
    let stopped = lab.proxy.stop_at(Match::operation("AttachUserPolicy"), When::Before);
    let other = lab.another("contain", None).await?;
    let look = async {
        stopped.await?;
        // Or the SDK would send the call anew in time.
        lab.function.stand_still()?;
        let answer = other.invoke(&event).await;
        lab.function.kill().await;
        let Answer::Response(report) = answer? else { anyhow::bail!("the other failed") };
        ensure!(kind(&report) == "Joined", "{report:#}");
        // The first one's other steps left with the one that stands still.
        let denies = lab.proxy.calls().into_iter().filter(|call| call.operation == "AttachUserPolicy").count();
        ensure!(denies == 1, "{denies} denies");
        anyhow::Ok(())
    };
    let (died, looked) = futures::join!(lab.function.invoke(&event), look);
    looked?;
    ensure!(died.is_err(), "it answered {died:?}");
    Ok(())
}

/// The queue delivers at least once, in no order, and late.
async fn queue() -> Result<()> {
    let lab = Lab::durable().await?;
    let before = lab.dump().await?;
    let first = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let second = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    let (one, two) = (first["incident"].as_str().unwrap(), second["incident"].as_str().unwrap());
    let contained = lab.dump().await?;
    ensure!(lab.rechecks().await? == 6, "three looks for each are not under way");
    lab.messages().await?;
    lab.proxy.clear();
    lab.clock.advance(Duration::from_secs(5))?;
    let record = |n: usize, id: &str| json!({"messageId": format!("m{n}"), "eventSource": "aws:sqs", "body": id});
    let ids = [two, one, two, two, one, one, one, two];
    let batch: Vec<Value> = ids.iter().enumerate().map(|(n, id)| record(n, id)).collect();
    let answer = lab.deliver(&json!({"Records": batch})).await?;
    ensure!(answer == json!({"batchItemFailures": []}), "{answer}");
    lab.recheck(two).await?;
    ensure!(lab.changes().is_empty(), "{:?}", lab.changes());
    ensure!(lab.messages().await?.is_empty(), "people were told of nothing");
    ensure!(differences(&contained, &lab.dump().await?).is_empty(), "something changed");
    // Where there is something to do, one of so many does it, and one of its three tries is spent.
    let interface = lab.interfaces("victim").remove(0);
    let groups = json!({"NetworkInterfaceId": interface, "Groups": [lab.id("/web_group")]});
    lab.call("ec2", "modify_network_interface_attribute", groups).await?;
    let answer = lab.deliver(&json!({"Records": batch})).await?;
    ensure!(answer == json!({"batchItemFailures": []}), "{answer}");
    ensure!(lab.changes() == [format!("ModifyNetworkInterfaceAttribute {interface}")], "{:?}", lab.changes());
    ensure!(differences(&contained, &lab.dump().await?).is_empty(), "it stays open");
    let steps = lab.shown(one).await?["containment"]["steps"].take();
    let tries =
        steps.as_array().unwrap().iter().filter_map(|step| step["again"].as_array()).map(Vec::len).sum::<usize>();
    ensure!(tries == 1, "{tries} tries: {steps:#}");
    ensure!(lab.messages().await?.len() == 1, "people hear of it once");
    for id in [one, two] {
        let output = lab.cordon(&["release", id, "--reactivate-keys"]).await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // Hours late, after the release.
    let released = lab.dump().await?;
    lab.clock.advance(Duration::from_secs(4 * 3_600))?;
    let answer = lab.deliver(&json!({"Records": batch})).await?;
    ensure!(answer == json!({"batchItemFailures": []}), "{answer}");
    ensure!(differences(&released, &lab.dump().await?).is_empty(), "a late recheck changed something");
    ensure!(undeclared(&before, &released).is_empty(), "not as before");
    Ok(())
}

/// SNS is down from the first call to the last recheck.
async fn people() -> Result<()> {
    let lab = Lab::durable().await?;
    let at = Match::operation("Publish");
    lab.proxy.fail(Fault::throughout(at, How::ServerError));
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    ensure!(kind(&report) == "Contained", "{report:#}");
    let incident = report["incident"].as_str().unwrap();
    for _ in 0..3 {
        lab.recheck(incident).await?;
    }
    ensure!(lab.messages().await?.is_empty(), "it was not down");
    lab.proxy.heal();
    let swept = lab.sweep().await?;
    let mails = lab.messages().await?;
    ensure!(mails.len() == 1, "{swept}: {} messages", mails.len());
    ensure!(mails[0]["Subject"].as_str().unwrap_or_default().contains("CONTAINED"), "{mails:#?}");
    lab.sweep().await?;
    ensure!(lab.messages().await?.is_empty(), "told twice");
    Ok(())
}

async fn storm_of(targets: usize, tally: &mut Tally) {
    row(tally, &format!("storm: {} deliveries for {targets} targets", targets * 5), storm(targets)).await;
}

/// Five copies of a finding for each of so many users, shuffled, eight at a time; a tenth of all calls throttled, a worker killed right
/// before the first cut and then one every second.
async fn storm(targets: usize) -> Result<()> {
    let lab = Lab::new(Setup { durable: true, ..Setup::default() }).await?;
    let template = lab.event("key-used-from-outside")?;
    let (mut users, mut events) = (Vec::new(), Vec::new());
    for n in 0..targets {
        let name = format!("storm-{n}");
        let user = lab.call("iam", "create_user", json!({"UserName": name})).await?;
        let key = lab.call("iam", "create_access_key", json!({"UserName": name})).await?;
        let key = key["AccessKey"]["AccessKeyId"].as_str().unwrap().to_owned();
        let mut event = template.clone();
        event["detail"]["id"] = json!(format!("{n:032x}"));
        let details = &mut event["detail"]["resource"]["accessKeyDetails"];
        details["userName"] = json!(name);
        details["principalId"] = user["User"]["UserId"].clone();
        events.push((name.clone(), event));
        users.push((name, key));
    }
    // More in an hour than the default allows unattended; a quarter of it is kept for what is Critical.
    lab.put_policy("limits: {credentials-per-hour: 334}").await?;
    let before = lab.dump().await?;
    lab.proxy.throttle_one_in(10);
    let mut deliveries: Vec<(String, Value)> = (0..5).flat_map(|_| events.clone()).collect();
    shuffle(&mut deliveries);
    let count = deliveries.len();
    let first = Match::operation("AttachUserPolicy");
    let workers::Done { answered, died_on } = workers::run(&lab, deliveries, 8, first, Duration::from_secs(1)).await?;
    ensure!(answered == count, "{answered} of {count} deliveries were answered");
    // The first one for sure; of a long storm one every second, of whom some die between two deliveries.
    let least = (targets / 40).max(1);
    ensure!(died_on.len() >= least, "only {} workers died at work", died_on.len());
    let calls = lab.proxy.calls();
    let throttled = calls.iter().filter(|call| call.fault == Some(How::Throttled)).count();
    ensure!(throttled * 20 > calls.len(), "{throttled} of {} calls were throttled", calls.len());
    lab.proxy.heal();
    // What a killed worker left is finished by rechecks and sweeps.
    for _ in 0..3 {
        lab.sweep().await?;
    }
    let incidents = lab.incidents().await?;
    ensure!(incidents.len() == targets, "{} incidents for {targets} targets", incidents.len());
    let contained = lab.dump().await?;
    for (_, user) in contained["users"].as_object().unwrap() {
        if user["name"].as_str().is_some_and(|name| name.starts_with("storm-")) {
            let is_denied = user["attached"].to_string().contains("AWSDenyAll");
            if !is_denied || user["keys"].to_string().contains("\"Active\"") {
                let name = user["name"].as_str().unwrap_or_default();
                bail!("{name} is not contained: {user:#}\n{}", told_of(&lab, &incidents, name).await?);
            }
        }
    }
    changed_once(&lab.proxy.mutations(), &users, &died_on)?;
    // Nobody is forgotten. Told twice is whose worker died, or failed, between the message and the journal; that has no bound here.
    let mails = lab.messages().await?;
    for incident in &incidents {
        let is_about = |mail: &Value| mail["MessageAttributes"]["incident"]["Value"] == *incident;
        ensure!(mails.iter().any(is_about), "nobody was told of {incident}, by {} messages", mails.len());
    }
    for incident in &incidents {
        let output = lab.cordon(&["release", incident, "--reactivate-keys"]).await?;
        let said = [output.stdout, output.stderr].concat();
        ensure!(output.status.success(), "{incident}: {}", String::from_utf8_lossy(&said));
    }
    let left = undeclared(&before, &lab.dump().await?);
    ensure!(left.is_empty(), "{left:#?}");
    lab.forget().await
}

/// Every user is denied and loses his key once, and once more at most for each worker that died on him: what is not undone is never done
/// again. What was throttled, or stood still before AWS saw it, was not carried out.
fn changed_once(calls: &[Call], users: &[(String, String)], died_on: &[String]) -> Result<()> {
    let carried_out = |call: &&Call| call.status.is_some_and(|status| status < 300);
    let done: Vec<&Call> = calls.iter().filter(carried_out).collect();
    for (name, key) in users {
        let deaths = died_on.iter().filter(|died| *died == name).count();
        let is_deny = |call: &Call| {
            matches!(call.operation.as_str(), "AttachUserPolicy" | "PutUserPolicy")
                && call.resource.split('/').next() == Some(name.as_str())
        };
        let is_switch = |call: &Call| call.operation == "UpdateAccessKey" && call.resource == *key;
        let denied = done.iter().filter(|call| is_deny(call)).count();
        let switched = done.iter().filter(|call| is_switch(call)).count();
        for (what, times) in [("was denied", denied), ("lost his key", switched)] {
            ensure!((1..=1 + deaths).contains(&times), "{name} {what} {times} times, and {deaths} workers died on him");
        }
    }
    Ok(())
}

/// What Cordon says of whose incident it is, for whoever looks for the reason.
async fn told_of(lab: &Lab, incidents: &[String], name: &str) -> Result<String> {
    let mut told = String::new();
    for incident in incidents {
        let shown = String::from_utf8(lab.cordon(&["show", incident, "--json"]).await?.stdout)?;
        if shown.contains(&format!("IAM user {name} ")) {
            told.push_str(&shown);
        }
    }
    Ok(told)
}

/// The same order every time.
fn shuffle<T>(events: &mut [T]) {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    for n in (1..events.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        events.swap(n, usize::try_from(state % (n as u64 + 1)).unwrap());
    }
}
