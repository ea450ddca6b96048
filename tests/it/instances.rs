//! What is around an instance: its Auto Scaling group, its load balancers, who routes through it, which way its connections take.

use crate::lab::{Lab, Setup, codes, differences, kind, undeclared, without_replacement};
use anyhow::Result;
use serde_json::{Value, json};

const SAMPLE: &str = "instance-c2-network";

async fn world(flags: &'static [&'static str]) -> Result<Lab> {
    Lab::new(Setup { durable: true, world: flags, ..Setup::default() }).await
}

async fn release(lab: &Lab, report: &Value) -> Result<String> {
    let output = lab.cordon(&["release", report["incident"].as_str().unwrap()]).await?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    Ok(said)
}

#[tokio::test]
async fn a_member_of_a_group_behind_a_balancer_is_set_aside_with_its_evidence_and_goes_back() -> Result<()> {
    let lab = world(&["scaling", "targets"]).await?;
    let before = lab.dump().await?;
    let report = lab.deliver(&lab.event(SAMPLE)?).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let (after, victim) = (lab.dump().await?, lab.id("/victim/instance"));
    assert_eq!(after["scaling_groups"]["web"]["members"][victim]["state"], "Standby");
    let kept = &after["instances"][victim];
    assert_eq!(kept["attributes"]["disableApiTermination"], true);
    assert_eq!(kept["attributes"]["disableApiStop"], true);
    assert_eq!(kept["attributes"]["instanceInitiatedShutdownBehavior"], "stop");
    assert!(kept["volumes"].as_object().unwrap().values().all(|volume| volume["delete_on_termination"] == false));
    // The instance group knows it by id, the address group by address; the bystander stays in both.
    for (group, ours) in before["target_groups"].as_object().unwrap() {
        let still: Vec<&String> = after["target_groups"][group].as_object().unwrap().keys().collect();
        let left = ours.as_object().unwrap().keys().filter(|target| still.contains(target)).count();
        assert_eq!(left, ours.as_object().unwrap().len() - 1, "{group}: {still:?}");
    }
    let contained = lab.changes().len();
    release(&lab, &report).await?;
    assert_eq!(without_replacement(&lab, &before, lab.dump().await?), Vec::<String>::new());
    // It is reached again before anything sends it traffic, and its evidence is kept until all that is done.
    let order =
        ["ModifyNetworkInterfaceAttribute", "RegisterTargets", "ExitStandby", "ModifyInstanceAttribute", "DeleteTags"];
    let calls = lab.changes().split_off(contained);
    let mut came: Vec<&str> = calls.iter().map(|call| call.split(' ').next().unwrap()).collect();
    came.retain(|operation| order.contains(operation));
    came.dedup();
    assert_eq!(came, order, "{calls:?}");
    Ok(())
}

/// UpdateAccessKey and the like have one name for a thing; a target group has two.
#[tokio::test]
async fn a_target_is_deregistered_as_it_was_registered() -> Result<()> {
    let lab = world(&["targets"]).await?;
    lab.deliver(&lab.event(SAMPLE)?).await?;
    let calls = lab.proxy.mutations();
    let calls: Vec<_> = calls.iter().filter(|call| call.operation == "DeregisterTargets").collect();
    assert_eq!(calls.len(), 2, "{calls:#?}");
    let dump = lab.dump().await?;
    for (group, targets) in dump["target_groups"].as_object().unwrap() {
        let targets: Vec<_> = targets.as_object().unwrap().keys().collect();
        assert_eq!(targets.len(), 1, "{group}: {targets:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_cut_comes_in_the_third_round_whatever_is_around() -> Result<()> {
    for interfaces in [1, 3, 8] {
        for flags in [&[][..], &["scaling", "targets"][..]] {
            let setup =
                Setup { durable: true, rounds: true, interfaces: Some(interfaces), world: flags, ..Setup::default() };
            let lab = Lab::new(setup).await?;
            assert!(lab.cordon(&["prepare"]).await?.status.success());
            lab.proxy.clear();
            let report = lab.deliver(&lab.event(SAMPLE)?).await?;
            assert_eq!(kind(&report), "Contained", "{report:#}");
            let calls = lab.proxy.calls();
            let shown =
                || calls.iter().map(|c| format!("{} {} {}", c.round, c.operation, c.resource)).collect::<Vec<_>>();
            let rounds = |operation: &str, most: usize| -> Vec<usize> {
                calls.iter().filter(|call| call.operation == operation).map(|call| call.round).take(most).collect()
            };
            assert_eq!(rounds("ModifyNetworkInterfaceAttribute", interfaces), vec![3; interfaces], "{:#?}", shown());
            assert_eq!(rounds("PutRolePolicy", 9), [4], "{:#?}", shown());
            let standby = if flags.is_empty() { vec![] } else { vec![3] };
            assert_eq!(rounds("EnterStandby", 9), standby, "{:#?}", shown());
        }
    }
    Ok(())
}

#[tokio::test]
async fn where_others_depend_on_it_a_person_is_asked_and_may_say_yes() -> Result<()> {
    for (flags, code) in [
        (&["eks"][..], "container-node"),
        (&["router"], "router"),
        (&["route_target"], "route-target"),
        (&["targets", "lonely"], "only-healthy-target"),
    ] {
        let lab = world(flags).await?;
        let before = lab.dump().await?;
        let report = lab.deliver(&lab.event(SAMPLE)?).await?;
        assert_eq!(kind(&report), "AwaitingApproval", "{flags:?}: {report:#}");
        assert!(codes(&report).contains(&code), "{flags:?}: {:?}", codes(&report));
        assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new(), "{flags:?}");
        assert!(!report["residual"].to_string().contains("passage"), "{flags:?}: nothing was to pass");
        let incident = report["incident"].as_str().unwrap();
        // A look meanwhile asks no second time and changes nothing.
        assert_eq!(lab.messages().await?.len(), 1);
        lab.recheck(incident).await?;
        assert_eq!(lab.messages().await?.len(), 0);
        assert_eq!(differences(&before, &lab.dump().await?), Vec::<String>::new(), "{flags:?}");

        let output = lab.cordon(&["approve", incident]).await?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        lab.recheck(incident).await?;
        let shown = lab.cordon(&["show", incident, "--json"]).await?;
        let shown: Value = serde_json::from_slice(&shown.stdout)?;
        assert_eq!(shown["incident"]["report"]["outcome"]["kind"], "Contained", "{flags:?}: {shown:#}");
        // Another delivery finds it held and asks nobody again.
        let again = lab.deliver(&lab.event("instance-mining")?).await?;
        assert_eq!(kind(&again), "Joined", "{flags:?}: {again:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_way_that_stays_open_is_named() -> Result<()> {
    for (flags, way) in [(&["nat"][..], "/nat_gateway"), (&["endpoint"], "sqs"), (&["nlb"], "/target_groups/network")] {
        let lab = world(flags).await?;
        let report = lab.deliver(&lab.event(SAMPLE)?).await?;
        assert_eq!(kind(&report), "PartiallyContained", "{flags:?}: {report:#}");
        let open = report["residual"].as_array().unwrap().iter().filter(|risk| risk["way"] == "open");
        let open: Vec<&str> = open.map(|risk| risk["text"].as_str().unwrap()).collect();
        let named = if way.starts_with('/') { lab.id(way) } else { way };
        assert!(open.iter().any(|text| text.contains(named)), "{flags:?}: {open:#?}");
        let steps = report["steps"].as_array().unwrap();
        assert!(
            steps.iter().all(|step| step["state"] == "done" || step["state"] == "already so"),
            "{flags:?}: {report:#}"
        );
    }
    Ok(())
}

/// A group or a table that cannot be read asks; it neither stops the rest nor is taken for none.
#[tokio::test]
async fn what_cannot_be_read_around_it_asks_or_is_said() -> Result<()> {
    use cordon_support::{Fault, How, Match};
    for (operation, expected, code) in [
        ("DescribeTargetGroups", "AwaitingApproval", "capacity-unknown"),
        ("DescribeTargetHealth", "AwaitingApproval", "capacity-unknown"),
        ("DescribeRouteTables", "AwaitingApproval", "routes-unreadable"),
        ("DescribeAutoScalingInstances", "PartiallyContained", ""),
        ("DescribeInstanceAttribute", "PartiallyContained", ""),
        ("DescribeSnapshots", "PartiallyContained", ""),
        ("DescribeVpcEndpoints", "Contained", ""),
        ("DescribeInstanceTypes", "PartiallyContained", ""),
    ] {
        let lab = world(&["targets"]).await?;
        let fault = Fault::throughout(Match::operation(operation), How::Denied);
        lab.proxy.fail(fault);
        let report = lab.deliver(&lab.event(SAMPLE)?).await?;
        assert_eq!(kind(&report), expected, "{operation}: {report:#}");
        assert!(code.is_empty() || codes(&report).contains(&code), "{operation}: {:?}", codes(&report));
    }
    Ok(())
}

/// Where reading is throttled for good, the delivery comes again, and nothing is cut by guess.
#[tokio::test]
async fn what_is_throttled_around_it_is_tried_again() -> Result<()> {
    use cordon_support::{Answer, Fault, How, Match};
    for operation in ["DescribeTargetHealth", "DescribeInstances"] {
        let lab = world(&["targets"]).await?;
        let at = Match::operation(operation);
        lab.proxy.fail(Fault::throughout(at, How::Throttled));
        let mut event = lab.event(SAMPLE)?;
        // What counts for the age of a finding is when it was published, also at the recheck.
        event["detail"]["service"]["eventLastSeen"] =
            json!(cordon::domain::Timestamp::from_millis(lab.clock.now_ms() - 24 * 3_600_000).to_string());
        let Answer::Error(error) = lab.function.invoke(&event).await? else { panic!("it answered") };
        assert!(error.to_string().contains("throttled"), "{error}");
        assert_eq!(lab.changes(), Vec::<String>::new());
        lab.proxy.heal();
        lab.recheck(&lab.incident_of(&event)?).await?;
        assert_eq!(lab.group_of(&lab.interfaces("victim")[0]).await?, "cordon-quarantine", "the recheck contains it");
    }
    Ok(())
}

/// What nobody could do in time has become old: a person decides.
#[tokio::test]
async fn a_recheck_of_what_is_old_by_now_asks() -> Result<()> {
    use cordon_support::{Answer, Fault, How, Match};
    let lab = world(&[]).await?;
    let at = Match::operation("DescribeInstances");
    lab.proxy.fail(Fault::throughout(at, How::Throttled));
    let event = lab.event(SAMPLE)?;
    let Answer::Error(_) = lab.function.invoke(&event).await? else { panic!("it answered") };
    lab.proxy.heal();
    // The policy's own age is an hour.
    lab.clock.advance(std::time::Duration::from_secs(62 * 60))?;
    lab.recheck(&lab.incident_of(&event)?).await?;
    assert_eq!(lab.changes(), Vec::<String>::new());
    let [mail] = lab.messages().await?.try_into().unwrap();
    assert_eq!(mail["MessageAttributes"]["outcome"]["Value"], "AwaitingApproval", "{mail:#}");
    Ok(())
}

#[tokio::test]
async fn every_credential_of_a_user_is_switched_off_and_on_again_if_asked_for() -> Result<()> {
    let lab = world(&["credentials"]).await?;
    let before = lab.dump().await?;
    let report = lab.deliver(&lab.event("key-used-from-outside")?).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let after = lab.dump().await?;
    let user = &after["users"][lab.id("/user/id")];
    for kind in ["keys", "ssh_keys", "signing_certificates", "service_credentials"] {
        let statuses = user[kind].as_object().unwrap();
        assert!(!statuses.is_empty() && statuses.values().all(|status| status == "Inactive"), "{kind}: {statuses:?}");
    }
    assert_eq!(user["login_profile"], true);
    let said = report["residual"].to_string();
    assert!(said.contains("he has a password and 1 MFA devices"), "{said}");
    let output = lab.cordon(&["release", report["incident"].as_str().unwrap(), "--reactivate-keys"]).await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

/// The name of an instance as the session's name proves nothing where somebody else may choose it.
#[tokio::test]
async fn a_session_that_calls_itself_like_an_instance_is_not_taken_for_one() -> Result<()> {
    let lab = world(&[]).await?;
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"AWS": lab.id("/user/arn")}, "Action": "sts:AssumeRole"}]});
    let policy = json!({"RoleName": lab.id("/victim/role/name"), "PolicyDocument": trust.to_string()});
    lab.call("iam", "update_assume_role_policy", policy).await?;
    let report = lab.deliver(&lab.event("role-session-exfiltrated")?).await?;
    assert_eq!(kind(&report), "PartiallyContained", "{report:#}");
    assert!(report["residual"].to_string().contains(lab.id("/user/arn")), "{report:#}");
    Ok(())
}

/// Prepared, acknowledged and in time: every interface is in quarantine first, passes the open group once, and ends in quarantine.
#[tokio::test]
async fn connections_are_cut_by_a_passage_that_begins_and_ends_in_quarantine() -> Result<()> {
    let lab = world(&[]).await?;
    assert!(lab.cordon(&["prepare"]).await?.status.success());
    let before = lab.dump().await?;
    lab.proxy.clear();
    let report = lab.deliver(&lab.event(SAMPLE)?).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    assert!(report["residual"].to_string().contains("cut by a passage"), "{report:#}");
    let after = lab.dump().await?;
    for interface in lab.interfaces("victim") {
        let [group] = after["network_interfaces"][&interface]["groups"].as_array().unwrap().as_slice() else {
            panic!()
        };
        assert_eq!(after["security_groups"][group.as_str().unwrap()]["name"], "cordon-quarantine");
        // Quarantine, open, quarantine, timeouts.
        let changes = lab.changes().into_iter().filter(|change| change.ends_with(&interface)).count();
        assert_eq!(changes, 4, "{:#?}", lab.changes());
    }
    let shown = lab.cordon(&["show", report["incident"].as_str().unwrap()]).await?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("opened by sg-") && shown.contains("back in quarantine"), "{shown}");
    release(&lab, &report).await?;
    assert_eq!(undeclared(&before, &lab.dump().await?), Vec::<String>::new());
    Ok(())
}

/// Nothing is opened where nobody would look again, where the policy says no, or behind a NAT gateway, where it would not help.
#[tokio::test]
async fn nothing_is_opened_where_it_would_not_be_safe_or_of_use() -> Result<()> {
    use cordon_support::{Fault, How, Match};
    for (case, why) in [
        ("policy", "the policy does not allow"),
        ("queue", "no recheck is under way"),
        ("nat", ""),
        ("unprepared", "cordon prepare"),
    ] {
        let mut lab = world(if case == "nat" { &["nat"] } else { &[] }).await?;
        if case != "unprepared" {
            assert!(lab.cordon(&["prepare"]).await?.status.success());
        }
        if case == "policy" {
            lab.restart_with("contain", Some("open-passage: false\n")).await?;
        }
        if case == "queue" {
            let at = Match::operation("SendMessageBatch");
            lab.proxy.fail(Fault::throughout(at, How::Denied));
        }
        lab.proxy.clear();
        let report = lab.deliver(&lab.event(SAMPLE)?).await?;
        let said = report["residual"].to_string();
        assert!(said.contains(why) && !said.contains("cut by a passage"), "{case}: {said}");
        let cuts =
            lab.changes().into_iter().filter(|change| change.starts_with("ModifyNetworkInterfaceAttribute")).count();
        assert_eq!(cuts, 6, "{case}: groups and timeouts of three interfaces");
    }
    Ok(())
}

/// The open call is the one after which a death would hurt most.
#[tokio::test]
async fn a_death_right_after_an_open_call_is_mended_by_the_recheck() -> Result<()> {
    use cordon_support::{Match, When};
    for when in [When::Before, When::After] {
        let mut lab = world(&[]).await?;
        assert!(lab.cordon(&["prepare"]).await?.status.success());
        lab.proxy.clear();
        let event = lab.event(SAMPLE)?;
        let at = Match {
            operation: "ModifyNetworkInterfaceAttribute".to_owned(),
            resource: Some(lab.interfaces("victim").remove(0)),
            occurrence: Some(2),
        };
        let victim = lab.interfaces("victim").remove(0);
        lab.kill_at(&event, at, when).await?;
        let (died, is_open) = (lab.clock.now_ms(), lab.group_of(&victim).await? == "cordon-passage");
        assert_eq!(is_open, when == When::After, "the second call for its groups is the one that opens it");
        lab.proxy.heal();
        lab.restart("contain").await?;
        lab.recheck(&lab.incident_of(&event)?).await?;
        for interface in lab.interfaces("victim") {
            assert_eq!(lab.group_of(&interface).await?, "cordon-quarantine", "{when:?} {interface}");
        }
        let took = lab.clock.now_ms() - died;
        assert!(took < 25_000, "{took} ms of virtual time");
    }
    Ok(())
}

/// The worker stands still with an interface open, and holds the lease.
#[tokio::test]
async fn a_recheck_closes_what_it_sees_open_under_a_live_lease() -> Result<()> {
    use cordon_support::{Match, When};
    let lab = world(&[]).await?;
    assert!(lab.cordon(&["prepare"]).await?.status.success());
    lab.proxy.clear();
    let event = lab.event(SAMPLE)?;
    let victim = lab.interfaces("victim").remove(0);
    let at = Match {
        operation: "ModifyNetworkInterfaceAttribute".to_owned(),
        resource: Some(victim.clone()),
        occurrence: Some(2),
    };
    let other = lab.another("contain", None).await?;
    let id = lab.incident_of(&event)?;
    let look = async |stands| {
        assert_eq!(lab.group_of(&victim).await?, "cordon-passage");
        let recheck = async || {
            lab.clock.set(stands)?;
            other.invoke(&lab.batch(&id)).await
        };
        recheck().await?;
        assert_eq!(lab.group_of(&victim).await?, "cordon-quarantine");
        // It looks again once the lease has ended, but not for ever.
        let put_back = || lab.proxy.calls().iter().filter(|call| call.operation == "SendMessage").count();
        assert_eq!(put_back(), 1);
        for _ in 0..9 {
            recheck().await?;
        }
        assert_eq!(put_back(), 5);
        anyhow::Ok(())
    };
    let (answer, ()) = lab.while_it_stands((&lab.function, &event), (at, When::After), look).await?;
    let cordon_support::Answer::Response(report) = answer else { panic!("it failed") };
    assert_eq!(kind(&report), "Contained", "{report:#}");
    assert_eq!(lab.group_of(&victim).await?, "cordon-quarantine");
    Ok(())
}

/// From role to role: the deny of the first session does not end the second.
#[tokio::test]
async fn sessions_that_a_session_handed_on_are_denied_too() -> Result<()> {
    let lab = world(&[]).await?;
    let event = lab.event("role-session-exfiltrated")?;
    let key = event["detail"]["resource"]["accessKeyDetails"]["accessKeyId"].as_str().unwrap();
    lab.handed_on_by(key, "/role_app", "hop").await?;
    let report = lab.deliver(&event).await?;
    assert_eq!(kind(&report), "Contained", "{report:#}");
    let steps = report["steps"].as_array().unwrap();
    let denied: Vec<&str> = steps.iter().map(|step| step["target"].as_str().unwrap()).collect();
    assert_eq!(denied.len(), 2, "{denied:?}");
    assert!(
        denied.iter().any(|target| target.contains(lab.id("/role_app/id")) && target.ends_with(":hop")),
        "{denied:?}"
    );
    release(&lab, &report).await?;
    assert!(!lab.dump().await?["roles"].to_string().contains("CordonDenySession"));
    Ok(())
}
