//! Sensors that were silenced are set back to what the baseline knows: what both playbooks of sensors do.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Advice, CUT, Case, Plan, PlannedStep, Refusal};
use crate::{
    actions::{
        AnyChange, Change, Detector, DetectorFeatures, EventRule, FlowLog, Recorder, Switch, TrailLogging,
        TrailSelectors, TrailSettings,
    },
    domain::{Arn, Outcome, OutcomeKind, Partition, Reason, ResidualRisk, SensorId, TrailName, Way},
    policy::Subject,
    survey::{Facts, Now, Sensor, Watches},
};

/// A sensor was changed, and not in what the baseline knows of it.
pub const AS_IN_BASELINE: &str = "as-in-baseline";

/// # Errors
/// An Observed outcome of what the baseline does not know, a Declined one of what somebody else alone may change.
pub fn restore(facts: &Facts, case: &Case<'_>) -> Result<Plan, Outcome> {
    let Facts::Sensor(sensor) = facts else {
        return Err(Outcome::because(OutcomeKind::Declined, "other-target", "the target is no sensor"));
    };
    let id = &sensor.id;
    let Some(known) = &sensor.known else {
        let why = match sensor.baseline {
            None => {
                "no baseline of sensors was taken yet: the first sweep does, or `cordon baseline accept`".to_owned()
            }
            Some(taken) => format!(
                "{id} was not on when the baseline was taken, at {taken}; what it does not know is never switched on, `cordon baseline accept` takes in what is on now"
            ),
        };
        return Err(Outcome::because(OutcomeKind::Observed, "not-in-baseline", why));
    };
    let changes = match (&sensor.now, known) {
        (None, Watches::FlowLog { of, to: Some(to) }) => {
            let (account, region) = (sensor.account.clone(), sensor.region.clone());
            let target = FlowLog { account, region, of: of.clone(), to: to.clone() };
            vec![Change { target, before: Switch::Off, after: Switch::On }.into()]
        }
        (None, _) => {
            let why = format!("{id} is gone, and was on at {}: only a person can make it again", at(sensor));
            let refused = vec![Refusal::new("sensor-gone", why)];
            return Ok(Plan { refused, advice: advice(sensor), ..Plan::default() });
        }
        (Some(now), known) => changes(sensor, now, known),
    };
    if let Some(administrator) = &sensor.managed_by
        && changes.iter().any(|change| !change.is_already_so())
    {
        let why = format!("{id} is managed by account {administrator}, which alone may change it: switch it on there");
        return Err(Outcome::because(OutcomeKind::Declined, "managed-by-administrator", why));
    }
    // What is as the baseline knows it is no step: nothing would be done, and the next look sees it again.
    let changes: Vec<AnyChange> = changes.into_iter().filter(|change| !change.is_already_so()).collect();
    let idle = format!("{id} is as the baseline knows it: what was changed is none of it, look at it by hand");
    let arn = sensor.arn.clone().or_else(|| arn(sensor, case.partition));
    let subject = Subject::new(&sensor.account, arn, id.name()).tagged(&Default::default());
    let text = "what happened while it was off is not in its records".to_owned();
    Ok(Plan {
        steps: changes.into_iter().map(|change| PlannedStep::new(CUT, change, &subject)).collect(),
        residual: vec![ResidualRisk { way: Way::Unseen, text }],
        idle: Some(Reason::new(AS_IN_BASELINE, idle)),
        advice: advice(sensor),
        ..Plan::default()
    })
}

/// As IAM names it, so that protections by ARN can be compared (service authorization reference).
fn arn(sensor: &Sensor, partition: &Partition) -> Option<Arn> {
    let Sensor { account, region, id, .. } = sensor;
    let (service, kind) = match id {
        SensorId::Trail(_) => ("cloudtrail", "trail"),
        SensorId::Detector(_) => ("guardduty", "detector"),
        SensorId::Recorder(_) => ("config", "configuration-recorder"),
        SensorId::EventRule(_) => ("events", "rule"),
        SensorId::FlowLog(_) => ("ec2", "vpc-flow-log"),
    };
    Arn::parse(&format!("arn:{partition}:{service}:{region}:{account}:{kind}/{}", id.name())).ok()
}

fn at(sensor: &Sensor) -> String {
    sensor.baseline.map_or_else(String::new, |at| at.to_string())
}

/// From how it is to what the baseline knows; what is more than that is left alone.
fn changes(sensor: &Sensor, now: &Now, known: &Watches) -> Vec<AnyChange> {
    let (account, region) = (sensor.account.clone(), sensor.region.clone());
    match (&sensor.id, now, known) {
        (
            SensorId::Trail(trail),
            Now::Trail { logging, coverage, selectors },
            Watches::Trail { coverage: c, selectors: s },
        ) => {
            let (of, again, which) = of_trail(sensor, trail);
            let mut found = vec![Change { target: of, before: *logging, after: Switch::On }.into()];
            // Who sees more than the baseline knows is no less a sensor.
            if !coverage.covers(c) {
                found.push(Change { target: again, before: coverage.clone(), after: c.clone() }.into());
            }
            if !selectors.covers(s) {
                found.push(Change { target: which, before: selectors.clone(), after: s.clone() }.into());
            }
            found
        }
        (SensorId::Detector(detector), Now::Detector { status, features }, Watches::Detector { features: on }) => {
            let detector = detector.clone();
            let target = Detector { account: account.clone(), region: region.clone(), detector: detector.clone() };
            let status = Change { target, before: *status, after: Switch::On }.into();
            let feature = |feature: &String| {
                let (account, region, detector) = (account.clone(), region.clone(), detector.clone());
                let target = DetectorFeatures { account, region, detector, feature: feature.clone() };
                Change { target, before: Switch::of(features.contains(feature)), after: Switch::On }.into()
            };
            std::iter::once(status).chain(on.iter().map(feature)).collect()
        }
        (SensorId::Recorder(recorder), Now::Switch(now), Watches::Recorder) => {
            let target = Recorder { account, region, recorder: recorder.clone() };
            vec![Change { target, before: *now, after: Switch::On }.into()]
        }
        (SensorId::EventRule(rule), Now::Switch(now), Watches::EventRule) => {
            let target = EventRule { account, region, rule: rule.clone() };
            vec![Change { target, before: *now, after: Switch::On }.into()]
        }
        (SensorId::FlowLog(_), Now::Switch(now), Watches::FlowLog { of, to: Some(to) }) => {
            let target = FlowLog { account, region, of: of.clone(), to: to.clone() };
            vec![Change { target, before: *now, after: Switch::On }.into()]
        }
        _ => Vec::new(),
    }
}

fn of_trail(sensor: &Sensor, trail: &TrailName) -> (TrailLogging, TrailSettings, TrailSelectors) {
    let (account, region, trail) = (sensor.account.clone(), sensor.region.clone(), trail.clone());
    (
        TrailLogging { account: account.clone(), region: region.clone(), trail: trail.clone() },
        TrailSettings { account: account.clone(), region: region.clone(), trail: trail.clone() },
        TrailSelectors { account, region, trail },
    )
}

/// How it is made sure, and what a person makes again.
pub fn advice(sensor: &Sensor) -> Vec<Advice> {
    let (region, name) = (&sensor.region, sensor.id.name());
    let why = "see that it works";
    match (&sensor.id, &sensor.now, &sensor.known) {
        (SensorId::Trail(_), None, Some(Watches::Trail { coverage, .. })) => {
            let regions = if coverage.all_regions { " --is-multi-region-trail" } else { "" };
            let validates = if coverage.validates { " --enable-log-file-validation" } else { "" };
            vec![Advice::new(
                "make the trail again",
                format!(
                    "aws cloudtrail create-trail --region {region} --name {name} --s3-bucket-name {}{regions}{validates} && aws cloudtrail start-logging --region {region} --name {name}",
                    coverage.bucket
                ),
            )]
        }
        (SensorId::Detector(_), None, _) => {
            vec![Advice::new(
                "make a detector again",
                format!("aws guardduty create-detector --region {region} --enable"),
            )]
        }
        (SensorId::FlowLog(_), None, Some(Watches::FlowLog { of, to: None })) => vec![Advice::new(
            "make the flow log again, with the role and the log group that it had",
            format!(
                "aws ec2 create-flow-logs --region {region} --resource-ids {} --resource-type VPC --traffic-type ALL --log-group-name GROUP --deliver-logs-permission-arn ROLE",
                of.id()
            ),
        )],
        (SensorId::Trail(_), ..) => {
            vec![Advice::new(why, format!("aws cloudtrail get-trail-status --region {region} --name {name}"))]
        }
        (SensorId::Detector(_), ..) => {
            vec![Advice::new(why, format!("aws guardduty get-detector --region {region} --detector-id {name}"))]
        }
        (SensorId::Recorder(_), ..) => {
            vec![Advice::new(
                why,
                format!("aws configservice describe-configuration-recorder-status --region {region}"),
            )]
        }
        (SensorId::EventRule(_), ..) => {
            vec![Advice::new(why, format!("aws events describe-rule --region {region} --name {name}"))]
        }
        (SensorId::FlowLog(_), ..) => vec![Advice::new(why, format!("aws ec2 describe-flow-logs --region {region}"))],
    }
}
