//! Items of another version of Cordon, older or newer, or changed by hand: refused by name, and never overwritten.

use crate::lab::{HOUR, Lab, Setup, differences, kind};
use anyhow::Result;
use cordon_support::Answer;
use serde_json::{Value, json};

async fn item(lab: &Lab, pk: &str) -> Result<Value> {
    let key = json!({"TableName": "cordon", "Key": {"pk": {"S": pk}, "sk": {"S": "HEAD"}}, "ConsistentRead": true});
    Ok(lab.call("dynamodb", "get_item", key).await?["Item"].clone())
}

async fn set(lab: &Lab, pk: &str, name: &str, value: Value) -> Result<()> {
    let set = json!({"TableName": "cordon", "Key": {"pk": {"S": pk}, "sk": {"S": "HEAD"}}, "UpdateExpression": "SET #n = :v",
        "ExpressionAttributeNames": {"#n": name}, "ExpressionAttributeValues": {":v": value}});
    lab.call("dynamodb", "update_item", set).await.map(drop)
}

/// The items whose name begins so.
async fn all(lab: &Lab, prefix: &str) -> Result<Vec<Value>> {
    let mut items = lab.call("dynamodb", "scan", json!({"TableName": "cordon"})).await?["Items"].take();
    let items = items.as_array_mut().unwrap();
    items.retain(|item| item["pk"]["S"].as_str().unwrap().starts_with(prefix));
    Ok(std::mem::take(items))
}

/// Makes all items whose name begins so those of another version.
async fn make_of(lab: &Lab, prefix: &str, schema: &str) -> Result<()> {
    let items = all(lab, prefix).await?;
    assert!(!items.is_empty(), "there is no {prefix}");
    for mut item in items {
        item["schema"] = json!({"N": schema});
        lab.call("dynamodb", "put_item", json!({"TableName": "cordon", "Item": item})).await?;
    }
    Ok(())
}

/// What the function writes comes by a pipe, at times after its answer.
async fn is_logged(lab: &Lab, text: &str) -> bool {
    for _ in 0..50 {
        if lab.function.logs().iter().any(|line| line.contains(text)) {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test]
async fn items_of_another_schema_are_refused_by_name_and_never_overwritten() -> Result<()> {
    for schema in ["0", "2"] {
        for whose in ["target", "incident", "sensors"] {
            let mut lab = Lab::durable().await?;
            let event = lab.event("key-used-from-outside")?;
            lab.sweep().await?;
            let report = lab.deliver(&event).await?;
            assert_eq!(kind(&report), "Contained", "{report:#}");
            let incident = report["incident"].as_str().unwrap();
            let pk = match whose {
                "target" => format!("T#{}#global#user#{}", lab.account, lab.id("/user/id")),
                "incident" => format!("I#{incident}"),
                _ => format!("SENSORS#{}#us-east-1", lab.account),
            };
            set(&lab, &pk, "schema", json!({"N": schema})).await?;
            let before = item(&lab, &pk).await?;
            lab.proxy.clear();
            lab.clock.advance(std::time::Duration::from_secs(10))?;
            let names = format!("schema {schema}; this version knows 1");
            if whose != "sensors" {
                let Answer::Error(error) = lab.function.invoke(&lab.newer(&event)?).await? else { panic!("{whose}") };
                assert!(
                    error.to_string().contains(&names) || lab.function.logs().join("\n").contains(&names),
                    "{whose}: {error}"
                );
                let released = lab.cordon(&["release", incident]).await?;
                let said = String::from_utf8_lossy(&released.stderr).into_owned();
                assert!(released.status.code() == Some(1) && said.contains(&names), "{whose}: {said}");
            }
            assert_eq!(lab.changes(), Vec::<String>::new(), "{whose} {schema}");
            lab.restart("contain").await?;
            lab.sweep().await?;
            // An incident that people were told of and that waits for nobody is not looked at.
            assert!(
                whose == "incident" || is_logged(&lab, &names).await,
                "{whose} {schema}: the sweep says nothing of it"
            );
            assert_eq!(item(&lab, &pk).await?, before, "{whose} {schema}");
        }
    }
    Ok(())
}

/// What is not of one target or incident: our own groups, and the counts of the digest.
#[tokio::test]
async fn what_belongs_to_no_incident_is_not_overwritten_either() -> Result<()> {
    for schema in ["0", "2"] {
        let names = format!("schema {schema}; this version knows 1");
        let lab = Lab::durable().await?;
        assert!(lab.cordon(&["prepare"]).await?.status.success());
        lab.away_from_the_end_of(HOUR)?;
        lab.deliver(&lab.event("port-probe")?).await?;
        for wanted in ["REG#", "D#"] {
            make_of(&lab, wanted, schema).await?;
        }
        let before = [all(&lab, "REG#").await?, all(&lab, "D#").await?];
        lab.proxy.clear();
        // Without knowing which groups are ours no interface is put into one, and people hear why.
        let report = lab.deliver(&lab.event("instance-c2-network")?).await;
        let said = format!("{report:?}\n{}", lab.function.logs().join("\n"));
        assert!(said.contains("REG#") && said.contains(&names), "{said}");
        assert!(
            !lab.changes().iter().any(|change| change.starts_with("ModifyNetworkInterface")),
            "{:?}",
            lab.changes()
        );
        lab.deliver(&lab.event("port-probe")?).await?;
        assert!(is_logged(&lab, "D#").await, "{}", lab.function.logs().join("\n"));
        lab.clock.advance(HOUR)?;
        lab.messages().await?;
        // What is there besides is done all the same.
        lab.sweep().await?;
        assert_eq!([all(&lab, "REG#").await?, all(&lab, "D#").await?], before, "{schema}");
    }
    Ok(())
}

/// What targets and incidents share: who holds a thing that several may hold, who took a place of an hour, and what is counted.
#[tokio::test]
async fn what_several_share_is_not_overwritten_either() -> Result<()> {
    for schema in ["0", "2"] {
        for shared in ["S#", "BUDGET#", "COUNT#"] {
            let lab = Lab::durable().await?;
            lab.away_from_the_end_of(HOUR)?;
            let event = match shared {
                "COUNT#" => lab.record("access/calls-denied")?,
                _ => lab.event("instance-c2-network")?,
            };
            let report = lab.deliver(&event).await?;
            let again = match shared {
                "COUNT#" => lab.record("access/calls-denied")?,
                _ => {
                    assert_eq!(kind(&report), "Contained", "{report:#}");
                    let released = lab.cordon(&["release", report["incident"].as_str().unwrap()]).await?;
                    assert!(released.status.success(), "{}", String::from_utf8_lossy(&released.stderr));
                    lab.newer(&event)?
                }
            };
            make_of(&lab, shared, schema).await?;
            let (before, world) = (all(&lab, shared).await?, lab.dump().await?);
            lab.messages().await?;
            let answer = lab.function.invoke(&again).await?;
            // A guard that cannot be read asks a person; for the others the event goes back.
            match (shared, &answer) {
                ("BUDGET#", Answer::Response(report)) => {
                    assert_eq!(kind(report), "AwaitingApproval", "{report:#}");
                    assert!(!lab.messages().await?.is_empty(), "nobody was told");
                }
                ("S#" | "COUNT#", Answer::Error(_)) => {}
                _ => panic!("{shared} {schema}: {answer:?}"),
            }
            let names = format!("schema {schema}; this version knows 1");
            let is_named = format!("{answer:?}").contains(&names) || is_logged(&lab, &names).await;
            assert!(is_named, "{shared}: {answer:?}\n{}", lab.function.logs().join("\n"));
            // The cut holds, as after any failure; the step on the thing that nobody may hold now is not taken.
            let done = differences(&world, &lab.dump().await?);
            let is_cut = done.iter().any(|change| change.starts_with("/network_interfaces/"));
            assert_eq!(is_cut, shared == "S#", "{shared} {schema}: {done:#?}");
            assert!(done.is_empty() || shared == "S#", "{shared} {schema}: {done:#?}");
            assert!(!done.iter().any(|change| change.starts_with("/roles/")), "{shared} {schema}: {done:#?}");
            assert_eq!(all(&lab, shared).await?, before, "{shared} {schema}");
        }
    }
    Ok(())
}

/// A containment that cannot be read would be taken for none, planned anew and written over, and with it what was there before the cut.
#[tokio::test]
async fn what_somebody_damaged_by_hand_is_named_and_kept() -> Result<()> {
    for damage in [json!({"N": "1"}), json!({"S": "{"}), json!({"S": "{\"target\": 1}"}), json!({"SS": ["a"]})] {
        let lab = Lab::durable().await?;
        let event = lab.event("key-used-from-outside")?;
        let report = lab.deliver(&event).await?;
        let incident = report["incident"].as_str().unwrap();
        let pk = format!("T#{}#global#user#{}", lab.account, lab.id("/user/id"));
        set(&lab, &pk, "containment", damage.clone()).await?;
        lab.proxy.clear();
        lab.clock.advance(std::time::Duration::from_secs(10))?;
        let answer = lab.function.invoke(&lab.newer(&event)?).await?;
        assert!(matches!(answer, Answer::Error(_)), "{damage}: {answer:?}");
        let said = format!("{answer:?}\n{}", lab.function.logs().join("\n"));
        assert!(said.contains(&format!("item `{pk}`")) && said.contains("`containment`"), "{damage}: {said}");
        let released = lab.cordon(&["release", incident]).await?;
        let said = String::from_utf8_lossy(&released.stderr).into_owned();
        assert!(released.status.code() == Some(1) && said.contains(&pk), "{damage}: {said}");
        assert_eq!(lab.changes(), Vec::<String>::new(), "{damage}");
        lab.sweep().await?;
        let denied = lab.call("iam", "list_attached_user_policies", json!({"UserName": lab.id("/user/name")})).await?;
        assert!(denied.to_string().contains("AWSDenyAll"), "{damage}: {denied}");
        assert_eq!(item(&lab, &pk).await?["containment"], damage);
    }
    Ok(())
}

/// One that cannot be read hides no others.
#[tokio::test]
async fn a_damaged_incident_or_count_hides_no_others() -> Result<()> {
    let lab = Lab::durable().await?;
    let first = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    let second = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let [first, second] = [&first, &second].map(|report| report["incident"].as_str().unwrap());
    set(&lab, &format!("I#{first}"), "report", json!({"N": "1"})).await?;
    let listed = lab.cordon(&["incidents"]).await?;
    let [said, complaint] = [&listed.stdout, &listed.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(said.contains(second) && !said.contains(first), "{said}");
    assert!(complaint.contains(&format!("item `I#{first}`")) && listed.status.code() == Some(1), "{complaint}");

    lab.away_from_the_end_of(HOUR)?;
    for _ in 0..3 {
        assert_eq!(kind(&lab.deliver(&lab.event("port-probe")?).await?), "Observed");
    }
    let hour = lab.clock.now_ms().div_euclid(3_600_000);
    let item =
        json!({"pk": {"S": format!("D#{hour}")}, "sk": {"S": "damaged"}, "times": {"S": "many"}, "schema": {"N": "1"}});
    lab.call("dynamodb", "put_item", json!({"TableName": "cordon", "Item": item})).await?;
    lab.clock.advance(HOUR)?;
    lab.messages().await?;
    lab.sweep().await?;
    let mails = lab.messages().await?;
    let digest = mails.iter().find(|mail| mail["MessageAttributes"]["urgency"]["Value"] == "digest");
    assert_eq!(digest.unwrap()["Subject"], "[Cordon] digest: 3 events observed, nothing changed");
    assert!(is_logged(&lab, "damaged").await, "nobody says what was left out");
    Ok(())
}

/// Ten messages of the recheck queue, one of them about an item that this version cannot read: that one goes back, and nine are looked at.
#[tokio::test]
async fn one_poisonous_message_of_ten_goes_back_alone() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, ..Setup::default() }).await?;
    let poison = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let poison = poison["incident"].as_str().unwrap();
    set(&lab, &format!("I#{poison}"), "schema", json!({"N": "2"})).await?;
    let template = lab.event("key-used-from-outside")?;
    let (mut incidents, mut users) = (vec![poison.to_owned()], Vec::new());
    for n in 0..9 {
        let name = format!("user-{n}");
        let user = lab.call("iam", "create_user", json!({"UserName": name})).await?["User"].take();
        let mut event = template.clone();
        event["detail"]["id"] = json!(format!("{n:032x}"));
        event["detail"]["resource"]["accessKeyDetails"]["userName"] = json!(name);
        event["detail"]["resource"]["accessKeyDetails"]["principalId"] = user["UserId"].clone();
        let report = lab.deliver(&event).await?;
        assert_eq!(kind(&report), "Contained", "{report:#}");
        incidents.push(report["incident"].as_str().unwrap().to_owned());
        // He undoes it, so that each look has something to do.
        let deny = json!({"UserName": name, "PolicyArn": "arn:aws:iam::aws:policy/AWSDenyAll"});
        lab.call("iam", "detach_user_policy", deny).await?;
        users.push(name);
    }
    lab.clock.advance(std::time::Duration::from_secs(10))?;
    incidents.swap(0, 4);
    let message =
        |(n, id): (usize, &String)| json!({"messageId": format!("m{n}"), "eventSource": "aws:sqs", "body": id});
    let batch: Vec<Value> = incidents.iter().enumerate().map(message).collect();
    let answer = lab.deliver(&json!({"Records": batch})).await?;
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "m4"}]}));
    for name in users {
        let attached = lab.call("iam", "list_attached_user_policies", json!({"UserName": name})).await?;
        assert!(attached.to_string().contains("AWSDenyAll"), "{name}: {attached}");
    }
    Ok(())
}

/// What operators put is refused by name too, and a pause of another version is not written over.
#[tokio::test]
async fn a_policy_and_a_pause_of_another_schema_are_refused_by_name() -> Result<()> {
    let lab = Lab::durable().await?;
    let names = "schema 2; this version knows 1";
    lab.put_policy("max-finding-age-minutes: 30\n").await?;
    let put = async |sk: &str, name: &str| {
        let item = json!({"pk": {"S": "POLICY"}, "sk": {"S": sk}, "schema": {"N": "2"}, name: {"S": "{}"}});
        lab.call("dynamodb", "put_item", json!({"TableName": "cordon", "Item": item})).await.map(drop)
    };
    put("V#00000002", "version").await?;
    put("~PAUSE", "pause").await?;
    let shown = lab.cordon(&["policy", "show"]).await?;
    let said = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert!(shown.status.code() == Some(1) && said.contains(names), "{said}");
    for command in [&["pause", "--minutes", "5", "--because", "x"][..], &["resume", "--because", "x"]] {
        let paused = lab.cordon(command).await?;
        let said = format!("{}{}", String::from_utf8_lossy(&paused.stdout), String::from_utf8_lossy(&paused.stderr));
        assert!(!paused.status.success() && said.contains(names), "{command:?}: {said}");
    }
    let key =
        json!({"TableName": "cordon", "Key": {"pk": {"S": "POLICY"}, "sk": {"S": "~PAUSE"}}, "ConsistentRead": true});
    assert_eq!(lab.call("dynamodb", "get_item", key).await?["Item"]["schema"], json!({"N": "2"}));
    // Nothing unattended meanwhile, and people hear why.
    let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    assert_eq!((kind(&report), lab.changes()), ("AwaitingApproval", Vec::new()), "{report:#}");
    let mails = lab.messages().await?;
    assert!(mails.iter().any(|mail| mail["Message"].as_str().unwrap().contains(names)), "{mails:#?}");
    Ok(())
}

/// An incident without its date would never be asked about again, and a lease without end would keep everybody off its target.
#[tokio::test]
async fn a_damaged_date_is_named_and_a_lease_without_end_is_none() -> Result<()> {
    let lab = Lab::new(Setup { durable: true, mode: Some("approve"), ..Setup::default() }).await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let pk = format!("I#{}", report["incident"].as_str().unwrap());
    for (name, damage) in [("at", json!({"S": "x"})), ("told", json!({"N": "1"}))] {
        let was = item(&lab, &pk).await?[name].clone();
        set(&lab, &pk, name, damage).await?;
        let shown = lab.cordon(&["show", report["incident"].as_str().unwrap()]).await?;
        let said = String::from_utf8_lossy(&shown.stderr).into_owned();
        assert!(!shown.status.success() && said.contains(&pk) && said.contains(&format!("`{name}`")), "{said}");
        set(&lab, &pk, name, was).await?;
    }

    let year_3000 = 32_503_680_000_000_i64;
    for damage in [json!({"N": year_3000.to_string()}), json!({"S": "for ever"})] {
        let lab = Lab::durable().await?;
        let event = lab.event("key-used-from-outside")?;
        assert_eq!(kind(&lab.deliver(&event).await?), "Contained");
        set(&lab, &format!("T#{}#global#user#{}", lab.account, lab.id("/user/id")), "lease_until", damage.clone())
            .await?;
        let deny = json!({"UserName": lab.id("/user/name"), "PolicyArn": "arn:aws:iam::aws:policy/AWSDenyAll"});
        lab.call("iam", "detach_user_policy", deny).await?;
        lab.sweep().await?;
        assert!(lab.dump().await?["users"].to_string().contains("AWSDenyAll"), "{damage}");
    }
    Ok(())
}
