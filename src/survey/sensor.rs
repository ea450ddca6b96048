//! Sensors: what is on, and what the baseline says of one of them.

use super::SurveyError;
use crate::{
    actions::{
        Action, Coverage, EventRule, Logged, Network, Selectors, Switch, TrailLogging, TrailSelectors, described,
        detector, features_on, flow_logs, recorders,
    },
    aws::{Aws, AwsError, classify},
    domain::{AccountId, Arn, DetectorId, EventRuleName, Region, SensorId, Timestamp, TrailName},
};
use aws_sdk_eventbridge::types::RuleState;
use aws_sdk_guardduty::types::DetectorStatus;
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

pub const READS: &[&str] = &[
    "cloudtrail:DescribeTrails",
    "cloudtrail:GetEventSelectors",
    "cloudtrail:GetTrailStatus",
    "config:DescribeConfigurationRecorderStatus",
    "ec2:DescribeFlowLogs",
    "events:DescribeRule",
    "events:ListRules",
    "guardduty:GetAdministratorAccount",
    "guardduty:GetDetector",
    "guardduty:ListDetectors",
];

/// What was on in one account and region when a person, or the first sweep, took it as right. What is not in it is never switched on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    pub taken: Timestamp,
    /// The first sweep, or the ARN of whoever accepted it.
    pub by: String,
    /// By the sensor's name in words.
    pub sensors: BTreeMap<String, Known>,
    /// Kinds that could not be read then; the first sweep that can takes what of them is on.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unread: BTreeSet<String>,
}

/// A sensor that was on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    pub id: SensorId,
    pub watches: Watches,
    /// Who changed it last before that, as far as CloudTrail knew.
    #[serde(default)]
    pub changed_by: Option<String>,
}

/// What a sensor that is on looks at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "sensor")]
pub enum Watches {
    Trail { coverage: Coverage, selectors: Selectors },
    Detector { features: BTreeSet<String> },
    Recorder,
    EventRule,
    FlowLog { of: Network, to: Option<Arn> },
}

impl fmt::Display for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trail { coverage, selectors } => write!(f, "{coverage}; {selectors}"),
            Self::Detector { features } if features.is_empty() => f.write_str("no features"),
            Self::Detector { features } => {
                write!(f, "{}", features.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
            }
            Self::Recorder => f.write_str("records"),
            Self::EventRule => f.write_str("enabled"),
            Self::FlowLog { of, to: Some(to) } => write!(f, "{} to {to}", of.id()),
            Self::FlowLog { of, to: None } => write!(f, "{} to a log group", of.id()),
        }
    }
}

/// Facts of one sensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensor {
    pub account: AccountId,
    /// Where it is at home.
    pub region: Region,
    pub id: SensorId,
    /// Where the account says it.
    pub arn: Option<Arn>,
    /// `None` where it is gone.
    pub now: Option<Now>,
    /// What the baseline says of it; `None` where it was not on.
    pub known: Option<Watches>,
    /// When the baseline was taken; `None` where there is none.
    pub baseline: Option<Timestamp>,
    /// The administrator who alone may change it.
    pub managed_by: Option<AccountId>,
}

/// How it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Now {
    Trail {
        logging: Switch,
        coverage: Coverage,
        selectors: Selectors,
    },
    Detector {
        status: Switch,
        features: BTreeSet<String>,
    },
    /// Of what is on or off and nothing more.
    Switch(Switch),
}

impl Sensor {
    /// Two rounds: the sensor beside the baseline; a trail's state where it is at home.
    pub async fn read(aws: &Aws, account: &AccountId, region: &Region, id: &SensorId) -> Result<Self, SurveyError> {
        let plain = |now| Self {
            account: account.clone(),
            region: region.clone(),
            id: id.clone(),
            arn: None,
            now,
            known: None,
            baseline: None,
            managed_by: None,
        };
        let read = async {
            Ok::<_, SurveyError>(match id {
                SensorId::Trail(name) => trail(aws, plain(None), name).await?,
                SensorId::Detector(id) => by_detector(aws, plain(None), id).await?,
                SensorId::Recorder(name) => {
                    let found = recorders(aws, region).await?.into_iter().find(|(found, _)| found == name);
                    plain(found.map(|(_, switch)| Now::Switch(switch)))
                }
                SensorId::EventRule(rule) => {
                    let rule = EventRule { account: account.clone(), region: region.clone(), rule: rule.clone() };
                    plain(unless_gone(rule.read(aws).await)?.map(Now::Switch))
                }
                SensorId::FlowLog(log) => {
                    let there = flow_logs(aws, region, None).await?.iter().any(|found| found.id == *log);
                    plain(there.then_some(Now::Switch(Switch::On)))
                }
            })
        };
        let (sensor, baseline) = futures::join!(read, aws.registry.baseline(account, region));
        let mut sensor = sensor?;
        // A shadow is looked up where the trail is at home.
        let baseline = match sensor.region == *region {
            true => baseline,
            false => aws.registry.baseline(account, &sensor.region).await,
        };
        let baseline = baseline.map_err(|error| AwsError::incomplete("baseline", &error.to_string()))?;
        sensor.baseline = baseline.as_ref().map(|baseline| baseline.taken);
        sensor.known = baseline.and_then(|mut known| known.sensors.remove(&sensor.id.to_string())).map(|k| k.watches);
        // A flow log that is gone may have been made again by another name.
        if let (None, Some(Watches::FlowLog { of, to: Some(to) })) = (&sensor.now, &sensor.known) {
            let again = flow_logs(aws, &sensor.region, Some(of)).await?;
            if again.iter().any(|log| log.of == *of && log.to.as_ref() == Some(to)) {
                sensor.now = Some(Now::Switch(Switch::On));
            }
        }
        Ok(sensor)
    }
}

fn unless_gone<T>(read: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(AwsError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn trail(aws: &Aws, sensor: Sensor, name: &TrailName) -> Result<Sensor, SurveyError> {
    const OPERATION: &str = "cloudtrail:DescribeTrails";
    let Some(found) = described(aws, &sensor.region, name.as_str()).await? else { return Ok(sensor) };
    let arn = found.trail_arn().and_then(|arn| Arn::parse(arn).ok());
    let owner = arn.as_ref().and_then(Arn::account);
    if owner.as_ref() != Some(&sensor.account) {
        let owner = owner.map_or_else(|| "another account".to_owned(), |owner| format!("account {owner}"));
        let why = format!("trail {name} is the organisation's and belongs to {owner}: start it there");
        return Err(SurveyError::Refused("organization-trail", why));
    }
    let home = found.home_region().and_then(|home| Region::parse(home).ok());
    let region = home.ok_or_else(|| AwsError::incomplete(OPERATION, "a trail without a home"))?;
    let coverage =
        Coverage::folded(&found).ok_or_else(|| AwsError::incomplete(OPERATION, "a trail without a bucket"))?;
    let logging = TrailLogging { account: sensor.account.clone(), region: region.clone(), trail: name.clone() };
    let selectors = TrailSelectors { account: sensor.account.clone(), region: region.clone(), trail: name.clone() };
    let (logging, selectors) = futures::join!(logging.read(aws), selectors.read(aws));
    let now = Now::Trail { logging: logging?, coverage, selectors: selectors? };
    Ok(Sensor { region, arn, now: Some(now), ..sensor })
}

async fn by_detector(aws: &Aws, sensor: Sensor, id: &DetectorId) -> Result<Sensor, SurveyError> {
    let (found, administrator) = futures::join!(
        detector(aws, &sensor.region, id),
        aws.guardduty(&sensor.region).get_administrator_account().detector_id(id.as_str()).send()
    );
    let Some(found) = unless_gone(found)? else { return Ok(sensor) };
    let administrator = administrator.map_err(classify("guardduty:GetAdministratorAccount"))?;
    let managed_by = administrator
        .administrator()
        .filter(|by| by.relationship_status().is_none_or(|status| status.eq_ignore_ascii_case("enabled")))
        .and_then(|by| AccountId::parse(by.account_id()?).ok());
    let status = Switch::of(found.status() == Some(&DetectorStatus::Enabled));
    let now = Now::Detector { status, features: features_on(&found) };
    Ok(Sensor { now: Some(now), managed_by, ..sensor })
}

/// What is on in a region.
#[derive(Debug, Default)]
pub struct On {
    /// By the sensor's name in words.
    pub sensors: BTreeMap<String, (SensorId, Watches)>,
    /// Kinds of which it could not be read; of those nothing can be said.
    pub unread: Vec<(&'static str, AwsError)>,
}

/// All that is on in a region. `rules` is how the names of Cordon's own event rules begin.
pub async fn all_on(aws: &Aws, account: &AccountId, region: &Region, rules: Option<&str>) -> On {
    let (trails, detectors, recorders, rules, logs) = futures::join!(
        trails_on(aws, account, region),
        detectors_on(aws, region),
        recorders(aws, region),
        rules_on(aws, region, rules),
        flow_logs(aws, region, None)
    );
    let recorders = recorders.map(|found| {
        let on = found.into_iter().filter(|(_, switch)| *switch == Switch::On);
        on.map(|(name, _)| (SensorId::Recorder(name), Watches::Recorder)).collect::<Vec<_>>()
    });
    let rules =
        rules.map(|found| found.into_iter().map(|rule| (SensorId::EventRule(rule), Watches::EventRule)).collect());
    let logs = logs.map(|found| {
        let one = |Logged { id, of, to }| (SensorId::FlowLog(id), Watches::FlowLog { of, to });
        found.into_iter().map(one).collect()
    });
    let mut on = On::default();
    for (kind, read) in
        [("trail", trails), ("detector", detectors), ("recorder", recorders), ("event rule", rules), ("flow log", logs)]
    {
        match read {
            Ok(found) => on.sensors.extend(found.into_iter().map(|(id, watches)| (id.to_string(), (id, watches)))),
            Err(error) => on.unread.push((kind, error)),
        }
    }
    on
}

async fn trails_on(aws: &Aws, account: &AccountId, region: &Region) -> Result<Vec<(SensorId, Watches)>, AwsError> {
    let answer = aws.cloudtrail(region).describe_trails().include_shadow_trails(false).send().await;
    let answer = answer.map_err(classify("cloudtrail:DescribeTrails"))?;
    let own = answer.trail_list().iter().filter_map(|trail| {
        let arn = Arn::parse(trail.trail_arn()?).ok()?;
        let is_here = arn.account().as_ref() == Some(account) && trail.home_region() == Some(region.as_str());
        let name = TrailName::parse(trail.name()?).ok()?;
        is_here.then_some(())?;
        Some((name, Coverage::folded(trail)?))
    });
    let one = async |(name, coverage): (TrailName, Coverage)| {
        let logging = TrailLogging { account: account.clone(), region: region.clone(), trail: name.clone() };
        let selectors = TrailSelectors { account: account.clone(), region: region.clone(), trail: name.clone() };
        let (logging, selectors) = futures::try_join!(logging.read(aws), selectors.read(aws))?;
        let watches = Watches::Trail { coverage, selectors };
        Ok((logging == Switch::On).then_some((SensorId::Trail(name), watches)))
    };
    Ok(try_join_all(own.map(one)).await?.into_iter().flatten().collect())
}

async fn detectors_on(aws: &Aws, region: &Region) -> Result<Vec<(SensorId, Watches)>, AwsError> {
    let pages = aws.guardduty(region).list_detectors().into_paginator().items().send();
    let ids = pages.collect::<Result<Vec<_>, _>>().await.map_err(classify("guardduty:ListDetectors"))?;
    let one = async |id: DetectorId| {
        let found = detector(aws, region, &id).await?;
        let is_on = found.status() == Some(&DetectorStatus::Enabled);
        Ok(is_on.then(|| (SensorId::Detector(id), Watches::Detector { features: features_on(&found) })))
    };
    let ids = ids.iter().filter_map(|id| DetectorId::parse(id).ok());
    Ok(try_join_all(ids.map(one)).await?.into_iter().flatten().collect())
}

async fn rules_on(aws: &Aws, region: &Region, prefix: Option<&str>) -> Result<Vec<EventRuleName>, AwsError> {
    let Some(prefix) = prefix else { return Ok(Vec::new()) };
    let (mut found, mut token) = (Vec::new(), None);
    loop {
        let call = aws.events(region).list_rules().name_prefix(prefix).set_next_token(token);
        let page = call.send().await.map_err(classify("events:ListRules"))?;
        let on = page.rules().iter().filter(|rule| rule.state() != Some(&RuleState::Disabled));
        found.extend(on.filter_map(|rule| EventRuleName::parse(rule.name()?).ok()));
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return Ok(found);
        }
    }
}
