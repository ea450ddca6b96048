//! Whether Cordon cries wolf: what it makes of what an account does all day.

use cordon::{
    decision::{Decision, decide},
    domain::Severity,
    ingest,
    journal::MemoryTallies,
    policy::{Mode, Policy, Rules},
    watch::{NamesOnly, Watch, own_time},
};
use cordon_support::ordinary;
use futures::FutureExt;
use std::collections::{BTreeMap, BTreeSet};

/// What a policy makes of so many ordinary records, counted by incident: of each, people hear once.
#[derive(Debug, Default)]
struct Noise {
    /// Would ask for approval, with every playbook there.
    asks: BTreeMap<String, usize>,
    /// Would be contained.
    acts: BTreeMap<String, usize>,
    /// Would send a message: whatever is asked, contained, or High.
    tells: BTreeMap<String, usize>,
    findings: usize,
}

fn noise(count: usize, policy: &str) -> Noise {
    let (watch, tallies) = (Watch::new(None), MemoryTallies::default());
    let rules = Rules::of(Policy::parse(policy).unwrap());
    let (mut noise, mut known) = (Noise::default(), BTreeSet::new());
    for record in ordinary::records(count, 1) {
        let ingest::Ingested::Record(record) = ingest::cloudtrail::record(record) else { panic!("no record") };
        let sensed =
            watch.sense(ingest::Ingested::Record(record), &tallies, &NamesOnly).now_or_never().unwrap().unwrap();
        let now = sensed.as_ref().map_or(cordon::domain::Timestamp::from_millis(0), |(finding, _)| own_time(finding));
        let (Decision::Ended { judged: Some(judged), .. } | Decision::Treat { judged, .. }) =
            decide(sensed, &rules, Mode::Contain, now)
        else {
            continue;
        };
        noise.findings += 1;
        let rule = judged.finding.type_shown.to_string();
        let assessment = &judged.assessment;
        let tells = assessment.mode > Mode::Observe || assessment.severity >= Severity::High && !assessment.is_expected;
        for (is, kind, list) in [
            (assessment.mode == Mode::Approve, 'a', &mut noise.asks),
            (assessment.mode == Mode::Contain, 'c', &mut noise.acts),
            (tells, 't', &mut noise.tells),
        ] {
            if is && known.insert(format!("{kind}{}", judged.incident)) {
                *list.entry(rule.clone()).or_default() += 1;
            }
        }
    }
    noise
}

#[test]
fn ten_thousand_ordinary_records_ask_and_tell_hardly_anything() {
    let noise = noise(10_000, "version: 1");
    println!("{noise:#?}");
    assert!(noise.findings > 100, "the digest has something to say: {}", noise.findings);
    assert!(noise.asks.values().sum::<usize>() <= 5, "{noise:#?}");
    assert!(noise.tells.values().sum::<usize>() <= 10, "{noise:#?}");
}

/// With more seeds than the test has, for whoever changes a rule.
#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_ordinary_records() {
    println!("{:#?}", noise(100_000, "version: 1"));
}
