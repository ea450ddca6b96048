//! The template's permissions are those of the registry: nothing missing, and nothing that loosens.

use crate::lab::root;
use cordon::{
    cli::patterns::template,
    detect::{Detector, patterns},
    permissions,
};
use std::collections::BTreeSet;

#[test]
fn the_template_grants_what_the_actions_need_and_nothing_that_loosens() {
    // Lambda polls the queues with the function's role, and the events that it could not deliver go out with it.
    let mut needed = permissions::responder();
    needed.extend(POLLING);
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let granted = ["ResponderRole", "SetRightPolicy", "SurveyPolicy"].map(|name| section(&template, name)).join("\n");
    compare("the responder's role", &granted, &needed);
}

#[test]
fn the_operator_functions_role_puts_back_and_contains_nothing() {
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let granted = ["OperatorRole", "SurveyPolicy"].map(|name| section(&template, name)).join("\n");
    compare("the operator function's role", &granted, &permissions::operator_function());
}

/// Whatever either role changes, it changes by the code of its own function alone.
#[test]
fn every_change_is_bound_to_the_code_of_its_function() {
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    for (role, function) in
        [("ResponderRole", "-responder"), ("SetRightPolicy", "-responder"), ("OperatorRole", "-operator")]
    {
        let text = section(&template, role);
        for statement in text.split("- Sid: ").skip(1) {
            let name = statement.lines().next().unwrap();
            let unbound = ["WriteOwnLog", "TellPeople", "KeepFailedEvents", "TakeRechecks"];
            let bound = format!("function:${{AWS::StackName}}{function}\"");
            // Only what EC2 does for the function: KMS is asked by EC2, and snapshots are tagged as they are made.
            let by_ec2 =
                ["MarkSnapshots", "SnapshotEncryptedVolumes", "StartInstancesWithVolumesUnderKeysOfTheAccount"];
            let is_open = unbound.contains(&name) || by_ec2.contains(&name);
            assert!(is_open || statement.contains(&bound), "{role}: {name} can be used by others");
        }
    }
}

/// Names of functions and of rules have 64 characters at most (CreateFunction; PutRule), and begin with the name of the stack.
#[test]
fn the_name_of_a_stack_that_is_allowed_leaves_room_for_all_names() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let template = read("template.yaml");
    let names = template.lines().filter_map(|line| line.trim_start().split_once("Name: !Sub \"${AWS::StackName}"));
    let longest = names.map(|(_, rest)| rest.trim_end_matches('"').len()).max().unwrap();
    let most = 64 - longest;
    assert!(template.contains(&format!("the name of the stack may have {most} characters at most")), "{most}");
    assert!(read("deploy/operator.yaml").contains(&format!("'^[A-Za-z][A-Za-z0-9-]{{0,{}}}$'", most - 1)), "{most}");
}

/// Each rule gets the events that it looks at. UPDATE_TEMPLATE=1 writes them anew.
#[test]
fn the_templates_patterns_are_those_of_the_rules() {
    let path = root().join("template.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("  # patterns: begin\n", "  # patterns: end\n");
    let (before, rest) = text.split_once(begin).unwrap();
    let (there, after) = rest.split_once(end).unwrap();
    let made = template(&patterns(Detector::ours().rules()).unwrap());
    if std::env::var_os("UPDATE_TEMPLATE").is_some() {
        std::fs::write(&path, [before, begin, &made, end, after].concat()).unwrap();
    } else {
        assert!(
            there == made,
            "template.yaml is not what the rules need: UPDATE_TEMPLATE=1 cargo test --test it template::"
        );
    }
}

/// A resource of the template, to the next.
fn section(template: &str, name: &str) -> String {
    let start = format!("  {name}:");
    let lines = template.lines().skip_while(|line| *line != start).skip(1);
    let own = lines.take_while(|line| line.starts_with("   ") || line.is_empty());
    let text = own.collect::<Vec<_>>().join("\n");
    assert!(!text.is_empty(), "there is no {name}");
    text
}

#[test]
fn the_operators_policy_grants_what_release_needs() {
    let template = std::fs::read_to_string(root().join("deploy/operator.yaml")).unwrap();
    compare("deploy/operator.yaml", &template, &permissions::operator());
}

/// A message that could not be treated goes back alone, and after its tries to a dead-letter queue; what lies there pages.
#[test]
fn what_is_never_treated_lies_in_a_queue_that_pages() {
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let says = |name: &str, texts: &[&str]| {
        let section = section(&template, name);
        for text in texts {
            assert!(section.contains(text), "{name} has no `{text}`");
        }
    };
    for queue in ["Rechecks", "Events"] {
        says(queue, &["deadLetterTargetArn: !GetAtt DeadRechecks.Arn", "maxReceiveCount: "]);
    }
    let function = section(&template, "ResponderFunction");
    says("ResponderFunction", &["OnFailure:\n            Type: SQS\n            Destination: !GetAtt DeadLetters.Arn"]);
    let (sources, rules) =
        (function.split("\n          Type: SQS\n").skip(1), function.matches("Type: EventBridgeRule"));
    let mut polled = 0;
    for source in sources {
        polled += 1;
        let properties: Vec<&str> = source.lines().take_while(|line| line.starts_with("          ")).collect();
        assert!(properties.concat().contains("FunctionResponseTypes: [ReportBatchItemFailures]"), "{properties:?}");
    }
    assert_eq!(polled, 2, "the queues of rechecks and of events");
    assert_eq!(
        function.matches("DeadLetterConfig:\n              Arn: !GetAtt DeadLetters.Arn").count(),
        rules.count()
    );
    for queue in ["DeadLetters", "DeadRechecks"] {
        let name = format!("Value: !GetAtt {queue}.QueueName");
        says(&format!("{queue}Alarm"), &[&name, "MetricName: ApproximateNumberOfMessagesVisible", "Threshold: 0"]);
        says(&format!("{queue}Alarm"), &["ComparisonOperator: GreaterThanThreshold", "AlarmActions: [!Ref Alarms]"]);
    }
}

const POLLING: [&str; 4] =
    ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"];

fn compare(file: &str, template: &str, needed: &BTreeSet<&str>) {
    let granted = granted(template);
    let missing: Vec<_> = needed.difference(&granted).collect();
    assert!(missing.is_empty(), "{file} does not grant {missing:?}");
    let unused: Vec<_> = granted.difference(needed).collect();
    assert!(unused.is_empty(), "{file} grants {unused:?}, which nothing declares");
}

/// The actions of the Allow statements. Condition keys look alike and are left out.
fn granted(template: &str) -> BTreeSet<&str> {
    let mut allows = false;
    let mut found = BTreeSet::new();
    for line in template.lines().map(|line| line.split('#').next().unwrap_or_default()) {
        if let Some((_, effect)) = line.split_once("Effect: ") {
            allows = effect.trim() == "Allow";
        }
        let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != ':');
        let action = |word: &&str| {
            word.split_once(':').is_some_and(|(service, name)| {
                service.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                    && !["aws", "lambda", "xray"].contains(&service)
                    && !["CreateLogStream", "PutLogEvents"].contains(&name)
                    && name.starts_with(|c: char| c.is_ascii_uppercase())
            })
        };
        found.extend(words.filter(action).filter(|word| allows && !word.ends_with(':') && *word != "sts:AssumeRole"));
    }
    found
}
