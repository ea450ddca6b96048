//! What boto3, not our code, sees in the account after an event.

use crate::lab::{Lab, Setup, codes, differences, kind, undeclared};
use anyhow::Result;
use serde_json::{Value, json};

/// The one group of the interface, or a panic that shows what it has.
fn only_group<'a>(dump: &'a Value, interface: &str) -> &'a str {
    let groups = dump["network_interfaces"][interface]["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 1, "{interface}: {groups:?}");
    groups[0].as_str().unwrap()
}

#[tokio::test]
async fn an_instance_is_off_the_network_and_its_session_denied_and_nothing_else_is_touched() -> Result<()> {
    for ipv6 in [false, true] {
        let lab = Lab::new(Setup { ipv6, ..Setup::default() }).await?;
        let before = lab.dump().await?;
        let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
        assert_eq!(kind(&report), "Contained", "{report:#}");

        let after = lab.dump().await?;
        let group = only_group(&after, &lab.interfaces("victim")[0]).to_owned();
        assert_eq!(after["security_groups"][&group]["rules"], json!([]), "the group has no rule at all");
        assert_eq!(after["security_groups"][&group]["vpc"], lab.id("/vpc"));
        let incident = report["incident"].as_str().unwrap();
        let (instance, role) = (lab.id("/victim/instance"), lab.id("/victim/role/id"));
        let mut expected = vec![
            "/security_groups/".to_owned() + &group,
            format!("/instances/{instance}/tags/cordon:incident: null -> \"{incident}\""),
        ];
        expected.extend(lab.interfaces("victim").iter().map(|id| {
            assert_eq!(only_group(&after, id), group);
            format!("/network_interfaces/{id}/groups:")
        }));
        expected
            .extend(lab.interfaces("victim").iter().map(|id| format!("/network_interfaces/{id}/connection_tracking:")));
        expected.push(format!("/instances/{instance}/groups:"));
        for kept in
            ["attributes/disableApiStop: false -> true", "attributes/disableApiTermination: false -> true", "volumes/"]
        {
            expected.push(format!("/instances/{instance}/{kept}"));
        }
        let snapshots = after["snapshots"].as_object().unwrap();
        assert_eq!(snapshots.len(), after["instances"][instance]["volumes"].as_object().unwrap().len());
        assert!(snapshots.values().all(|snapshot| snapshot["tags"]["cordon:incident"] == incident));
        expected.extend(snapshots.keys().flat_map(|id| [format!("/snapshots/{id}:"), format!("/tags/{id}:")]));
        expected.push(format!("/roles/{role}/inline/CordonDeny-"));
        expected.push(format!("/tags/{group}"));
        expected.push(format!("/tags/{instance}/cordon:incident"));
        let mut undeclared = differences(&before, &after);
        undeclared.retain(|difference| !expected.iter().any(|start| difference.starts_with(start)));
        assert_eq!(undeclared, Vec::<String>::new(), "ipv6 {ipv6}");

        let policies = lab.call("iam", "list_role_policies", json!({"RoleName": lab.id("/victim/role/name")})).await?;
        let name = policies["PolicyNames"]
            .as_array()
            .unwrap()
            .iter()
            .find_map(|n| n.as_str().filter(|n| n.starts_with("CordonDeny-")))
            .unwrap();
        let policy = lab
            .call("iam", "get_role_policy", json!({"RoleName": lab.id("/victim/role/name"), "PolicyName": name}))
            .await?;
        assert_eq!(
            policy["PolicyDocument"]["Statement"],
            json!([{"Sid": "CordonDenySession", "Effect": "Deny", "Action": "*", "Resource": "*",
                "Condition": {"StringEquals": {"aws:userid": format!("{role}:{instance}")}}}]),
            "that session, and nobody else"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_user_is_denied_with_all_his_keys_and_the_role_of_his_name_is_not() -> Result<()> {
    let lab = Lab::contain().await?;
    let before = lab.dump().await?;
    let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let (user, after) = (lab.id("/user/id"), lab.dump().await?);
    let keys: Vec<String> =
        lab.ids["user"]["keys"].as_array().unwrap().iter().map(|k| k.as_str().unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 2);
    let mut expected: Vec<String> =
        keys.iter().map(|key| format!("/users/{user}/keys/{key}: \"Active\" -> \"Inactive\"")).collect();
    let attached = &before["users"][user]["attached"];
    let mut more: Vec<Value> = attached.as_array().unwrap().clone();
    more.push(json!("arn:aws:iam::aws:policy/AWSDenyAll"));
    more.sort_by_key(ToString::to_string);
    expected.push(format!("/users/{user}/attached: {attached} -> {}", Value::from(more)));
    expected.sort();
    assert_eq!(differences(&before, &after), expected);
    // What a log or a mail may show of a key is its tail.
    for key in keys {
        assert!(!report.to_string().contains(&key) && !lab.function.logs().iter().any(|line| line.contains(&key)));
        assert!(!lab.messages().await?.iter().any(|message| message.to_string().contains(&key)));
    }
    Ok(())
}

#[tokio::test]
async fn a_session_of_a_role_is_denied_and_the_user_of_its_name_is_not() -> Result<()> {
    let lab = Lab::contain().await?;
    let before = lab.dump().await?;
    let mut event = lab.event("role-session-exfiltrated")?;
    event["detail"]["resource"]["accessKeyDetails"]["userName"] = json!("deploy");
    event["detail"]["resource"]["accessKeyDetails"]["principalId"] =
        json!(format!("{}:ci-run-17", lab.id("/role_deploy/id")));
    let report = lab.deliver(&event).await?;
    // The caller chose that name and can choose another: not whole.
    assert_eq!(kind(&report), "PartiallyContained", "{report:#}");
    let found = differences(&before, &lab.dump().await?);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(&format!("/roles/{}/inline/CordonDeny-", lab.id("/role_deploy/id"))), "{found:?}");

    let report = lab.deliver(&lab.event("role-session-exfiltrated")?).await?;
    assert_eq!(kind(&report), "Contained", "an instance's session has a name that nobody chooses: {report:#}");
    Ok(())
}

#[tokio::test]
async fn an_instance_that_is_only_attacked_is_isolated_by_nobody() -> Result<()> {
    let lab = Lab::contain().await?;
    for sample in ["brute-force-inbound", "port-probe"] {
        let report = lab.deliver(&lab.event(sample)?).await?;
        assert_eq!((kind(&report), codes(&report)), ("Observed", vec!["attacked-only"]), "{sample}");
    }
    let report = lab.deliver(&lab.event("brute-force-outbound")?).await?;
    assert_eq!(kind(&report), "Contained", "the twin that attacks: {report:#}");
    Ok(())
}

#[tokio::test]
async fn the_same_event_again_joins_and_nobody_is_told_twice() -> Result<()> {
    let lab = Lab::contain().await?;
    let event = lab.event("instance-c2-network")?;
    assert_eq!(kind(&lab.deliver(&event).await?), "Contained");
    lab.proxy.clear();
    for _ in 0..2 {
        assert_eq!(kind(&lab.deliver(&event).await?), "Joined");
    }
    // Another finding about the same instance joins as well.
    let report = lab.deliver(&lab.event("instance-mining")?).await?;
    assert_eq!(kind(&report), "Joined", "{report:#}");
    assert_eq!(lab.changes(), Vec::<String>::new());
    assert_eq!(lab.messages().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_an_attacker_undid_is_contained_again_by_the_next_delivery() -> Result<()> {
    let lab = Lab::contain().await?;
    let event = lab.event("instance-c2-network")?;
    lab.deliver(&event).await?;
    let before = lab.dump().await?;
    let interface = lab.interfaces("victim").remove(1);
    lab.call(
        "ec2",
        "modify_network_interface_attribute",
        json!({"NetworkInterfaceId": interface, "Groups": [lab.id("/web_group")]}),
    )
    .await?;
    // A rule in our own group makes it no quarantine any more.
    let group = only_group(&before, &lab.interfaces("victim")[0]).to_owned();
    let open = json!([{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]);
    for direction in ["authorize_security_group_egress", "authorize_security_group_ingress"] {
        lab.call("ec2", direction, json!({"GroupId": group, "IpPermissions": open})).await?;
    }
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new());
    let step = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["target"].as_str().unwrap().ends_with(&interface))
        .unwrap();
    assert_ne!(step["before"], lab.id("/web_group"), "`before` is what was there first, not what the attacker set");
    Ok(())
}

#[tokio::test]
async fn a_group_that_a_stranger_made_under_our_name_is_not_trusted() -> Result<()> {
    let lab = Lab::contain().await?;
    let trap = json!({"GroupName": "cordon-quarantine", "Description": "Cordon: no rules, on purpose.", "VpcId": lab.id("/vpc")});
    let trap = lab.call("ec2", "create_security_group", trap).await?["GroupId"].as_str().unwrap().to_owned();
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let after = lab.dump().await?;
    for interface in lab.interfaces("victim") {
        let group = only_group(&after, &interface);
        assert_ne!(group, trap);
        assert_eq!(after["security_groups"][group]["rules"], json!([]));
    }
    assert_ne!(after["security_groups"][&trap]["rules"], json!([]), "the stranger's group is left as it is");
    Ok(())
}

#[tokio::test]
async fn a_user_without_room_for_an_attachment_is_denied_inline_and_one_without_any_room_is_reported() -> Result<()> {
    let full = |padding: usize| json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{}/*", "b".repeat(padding))}]});
    for (padding, expected, inline) in [(10, "Contained", true), (1_780, "PartiallyContained", false)] {
        let lab = Lab::contain().await?;
        for n in 0..9 {
            let policy = json!({"PolicyName": format!("p{n}"), "PolicyDocument": full(1).to_string()});
            let arn = lab.call("iam", "create_policy", policy).await?["Policy"]["Arn"].clone();
            lab.call("iam", "attach_user_policy", json!({"UserName": "deploy", "PolicyArn": arn})).await?;
        }
        lab.call(
            "iam",
            "put_user_policy",
            json!({"UserName": "deploy", "PolicyName": "big", "PolicyDocument": full(padding).to_string()}),
        )
        .await?;
        let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
        assert_eq!(kind(&report), expected, "{report:#}");
        let user = &lab.dump().await?["users"][lab.id("/user/id")];
        assert_eq!(user["inline"]["CordonDenyAll"].is_object(), inline, "{user:#}");
        assert!(user["keys"].as_object().unwrap().values().all(|status| status == "Inactive"), "{user:#}");
        assert_eq!(report.to_string().contains("no room for one more policy"), !inline);
    }
    Ok(())
}

#[tokio::test]
async fn a_user_is_his_unique_id_renamed_or_made_again() -> Result<()> {
    let lab = Lab::contain().await?;
    let event = lab.event("key-used-from-outside")?;
    lab.call("iam", "update_user", json!({"UserName": "deploy", "NewUserName": "innocent"})).await?;
    lab.call("iam", "create_user", json!({"UserName": "deploy"})).await?;
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let after = lab.dump().await?;
    let users = after["users"].as_object().unwrap();
    let by_name = |name: &str| users.values().find(|user| user["name"] == name).unwrap();
    assert_eq!(by_name("deploy")["attached"], json!([]), "the namesake is a stranger");
    assert!(by_name("innocent")["attached"].to_string().contains("AWSDenyAll"));

    let mut gone = lab.event("key-used-from-outside")?;
    gone["detail"]["resource"]["accessKeyDetails"]["principalId"] = json!("AIDAGONEGONEGONEGONE1");
    let report = lab.deliver(&gone).await?;
    assert_eq!((kind(&report), codes(&report)), ("Declined", vec!["vanished"]), "{report:#}");
    Ok(())
}

#[tokio::test]
async fn roles_that_cannot_be_changed_and_accounts_that_are_not_ours_are_declined() -> Result<()> {
    let lab = Lab::contain().await?;
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "autoscaling.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
    let role = json!({"RoleName": "AWSServiceRoleForAutoScaling", "Path": "/aws-service-role/autoscaling.amazonaws.com/", "AssumeRolePolicyDocument": trust.to_string()});
    let role = lab.call("iam", "create_role", role).await?;
    let mut event = lab.event("service-linked-role")?;
    let details = &mut event["detail"]["resource"]["accessKeyDetails"];
    details["userName"] = json!("AWSServiceRoleForAutoScaling");
    details["principalId"] = json!(format!("{}:AutoScaling", role["Role"]["RoleId"].as_str().unwrap()));
    let report = lab.deliver(&event).await?;
    assert_eq!((kind(&report), codes(&report)), ("Declined", vec!["service-linked-role"]), "{report:#}");

    let mut foreign = lab.event("instance-c2-network")?;
    foreign["detail"]["accountId"] = json!("999988887777");
    let report = lab.deliver(&foreign).await?;
    assert_eq!((kind(&report), codes(&report)), ("Declined", vec!["foreign-account"]), "{report:#}");
    assert_eq!(lab.changes(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn the_mail_says_what_a_tired_person_needs_and_can_be_filtered() -> Result<()> {
    let lab = Lab::contain().await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    let [mail] = lab.messages().await?.try_into().unwrap();
    let (subject, body) = (mail["Subject"].as_str().unwrap(), mail["Message"].as_str().unwrap());
    assert!(
        subject.starts_with(&format!("[Cordon] High CONTAINED: instance {} in ", lab.id("/victim/instance"))),
        "{subject}"
    );
    for part in [
        "WHAT HAPPENED",
        "WHAT WAS DONE",
        "WHAT IS STILL OPEN",
        "HOW TO UNDO IT",
        "aws ec2 modify-network-interface-attribute",
    ] {
        assert!(body.contains(part), "{part} is missing in\n{body}");
    }
    let attribute = |name: &str| mail["MessageAttributes"][name]["Value"].as_str().unwrap_or_default().to_owned();
    assert_eq!(attribute("outcome"), "Contained");
    assert_eq!(attribute("severity"), "High");
    assert_eq!(attribute("playbook"), "compromised-instance");
    assert_eq!(attribute("account"), lab.account);
    assert_eq!(attribute("urgency"), "page");
    assert_eq!(attribute("incident"), report["incident"]);
    Ok(())
}

#[tokio::test]
async fn the_undo_commands_of_the_mail_undo_it() -> Result<()> {
    let lab = Lab::contain().await?;
    let before = lab.dump().await?;
    let report = lab.deliver(&lab.event("instance-c2-network")?).await?;
    for step in report["steps"].as_array().unwrap() {
        let undo = step["undo"].as_str().unwrap();
        match undo.strip_prefix("aws ") {
            Some(command) => run_aws(&lab, command).await?,
            None => assert!(undo.starts_with("stays: "), "{step}"),
        }
    }
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

/// Runs the few AWS CLI commands that messages print, by boto3: `SERVICE OPERATION --key value …`.
async fn run_aws(lab: &Lab, command: &str) -> Result<()> {
    let words: Vec<&str> = command.split(' ').collect();
    let (service, method) = (words[0], words[1].replace('-', "_"));
    let mut params = serde_json::Map::new();
    for part in command.split(" --").skip(1) {
        let Some((key, values)) = part.split_once(' ') else {
            let attribute = part.strip_prefix("no-").unwrap();
            let name: String = attribute.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
            params.insert(name, json!({"Value": false}));
            continue;
        };
        let key: String = key.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        let values: Vec<&str> = values.split(' ').collect();
        let pairs = |list: &str| -> serde_json::Map<String, Value> {
            let pair = |pair: &str| pair.split_once('=').map(|(k, v)| (k.to_owned(), json!(v.parse::<i64>().unwrap())));
            list.split(',').filter_map(pair).collect()
        };
        match key.as_str() {
            "Region" => {}
            "InstanceInitiatedShutdownBehavior" => {
                params.insert(key, json!({"Value": values[0].strip_prefix("Value=").unwrap()}));
            }
            "BlockDeviceMappings" => {
                let device = values[0].strip_prefix("DeviceName=").unwrap().split(',').next().unwrap();
                let deleted = values[0].ends_with("Ebs={DeleteOnTermination=true}");
                params.insert(key, json!([{"DeviceName": device, "Ebs": {"DeleteOnTermination": deleted}}]));
            }
            "ConnectionTrackingSpecification" => drop(params.insert(key, json!(pairs(values[0])))),
            "Groups" | "Resources" => drop(params.insert(key, json!(values))),
            "Tags" => drop(params.insert(key, json!([{"Key": values[0].strip_prefix("Key=").unwrap()}]))),
            _ => drop(params.insert(key, json!(values[0]))),
        }
    }
    lab.call(service, &method, Value::Object(params)).await.map(drop)
}
