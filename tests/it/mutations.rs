//! Events that somebody has bent: whatever comes in, ingest, detection and triage come to one outcome with a reason, and never to a panic.
//! `CORDON_MUTATIONS` says how many; `make mutations` runs ten million.

use crate::lab::root;
use cordon::{
    decision::{Decision, decide},
    detect::Detector,
    domain::Timestamp,
    ingest,
    journal::MemoryTallies,
    policy::{Mode, Rules},
    watch::{NamesOnly, Watch, own_time},
};
use futures::FutureExt;
use serde_json::{Value, json};
use std::{panic::AssertUnwindSafe, path::Path};

/// In `make test`.
const FEW: usize = 20_000;

#[test]
fn no_event_however_bent_makes_triage_panic() {
    let count = std::env::var("CORDON_MUTATIONS").map_or(FEW, |n| n.parse().unwrap());
    let mut samples = Vec::new();
    collect(&root().join("events"), &mut samples);
    let samples: Vec<Value> = samples.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    assert!(samples.len() > 30, "{} samples", samples.len());
    let threads = 2;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let samples = &samples;
            scope.spawn(move || run(samples, count / threads, 0x9E37_79B9_7F4A_7C15 ^ (thread as u64 + 1)));
        }
    });
}

fn run(samples: &[Value], count: usize, seed: u64) {
    let (watch, tallies, rules) = (Watch::new(None), MemoryTallies::default(), Rules::default());
    let mut random = Random(seed);
    let before = resident();
    for n in 0..count {
        let text = bent(samples, &mut random);
        let judged = std::panic::catch_unwind(AssertUnwindSafe(|| judge(&text, &watch, &tallies, &rules)));
        match judged {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => panic!("{problem} in {}", cut(&text)),
            Err(_) => panic!("panicked at {}", cut(&text)),
        }
        if n % 100_000 == 99_999 {
            let grown = resident().saturating_sub(before);
            eprintln!("{} of {count} bent events, {grown} KiB more", n + 1);
            assert!(grown < 400_000, "{grown} KiB more after {n} events");
        }
    }
}

fn judge(text: &str, watch: &Watch, tallies: &MemoryTallies, rules: &Rules) -> Result<(), String> {
    let sensed = watch
        .sense(ingest::event(text), tallies, &NamesOnly)
        .now_or_never()
        .ok_or("waits")?
        .map_err(|e| e.to_string())?;
    let now = sensed.as_ref().map_or(Timestamp::from_millis(0), |(finding, _)| own_time(finding));
    match decide(sensed, rules, Mode::Contain, now) {
        Decision::Ended { outcome, .. } if outcome.reasons.is_empty() => Err("an outcome without a reason".to_owned()),
        Decision::Ended { judged: Some(judged), .. } | Decision::Treat { judged, .. } => {
            let finding = &judged.finding;
            let texts = finding.resources.len() + finding.remote.len() + finding.detections.len();
            (texts < 2_000).then_some(()).ok_or_else(|| format!("{texts} texts are kept"))
        }
        Decision::Ended { .. } => Ok(()),
    }
}

/// A sample with up to four things wrong with it, and one in ten with bytes wrong.
fn bent(samples: &[Value], random: &mut Random) -> String {
    let mut event = samples[random.below(samples.len())].clone();
    for _ in 0..=random.below(4) {
        let other = &samples[random.below(samples.len())];
        bend(&mut event, other, random, 0);
    }
    let mut text = event.to_string().into_bytes();
    if random.below(10) == 0 {
        for _ in 0..=random.below(3) {
            let at = random.below(text.len().max(1));
            match random.below(3) {
                0 => text.truncate(at),
                1 => text.insert(at.min(text.len()), random.below(256) as u8),
                _ => {
                    if let Some(byte) = text.get_mut(at) {
                        *byte ^= 1 << random.below(8);
                    }
                }
            }
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Goes down to some member and does something to it.
fn bend(value: &mut Value, other: &Value, random: &mut Random, depth: usize) {
    let children = match value {
        Value::Object(object) => object.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    if children > 0 && depth < 12 && random.below(4) > 0 {
        let at = random.below(children);
        match value {
            Value::Object(object) => {
                let name = object.keys().nth(at).unwrap().clone();
                if random.below(8) == 0 {
                    object.remove(&name);
                } else {
                    bend(&mut object[&name], other, random, depth + 1);
                }
            }
            Value::Array(items) if random.below(8) == 0 => drop(items.remove(at)),
            Value::Array(items) => bend(&mut items[at], other, random, depth + 1),
            _ => {}
        }
        return;
    }
    *value = match random.below(12) {
        0 => Value::Null,
        1 => json!(random.next() as i64),
        2 => json!(random.next() as f64 * 1e300),
        3 => json!(random.below(2) == 0),
        4 => json!(SPECIALS[random.below(SPECIALS.len())]),
        5 => json!(SPECIALS[random.below(SPECIALS.len())].repeat(1 + random.below(2_000))),
        6 => json!([value.clone(), value.clone(), value.clone()]),
        7 => (0..random.below(60)).fold(value.clone(), |inner, _| json!([inner])),
        8 => (0..random.below(60)).fold(value.clone(), |inner, _| json!({"items": inner})),
        9 => json!(value.to_string()),
        10 => some(other, random),
        _ => json!({"cidrIp": "0.0.0.0/0", "policyDocument": value.to_string(), "userName": value.clone()}),
    };
}

/// Some part of another sample.
fn some(other: &Value, random: &mut Random) -> Value {
    let mut at = other;
    for _ in 0..random.below(8) {
        let next = match at {
            Value::Object(object) if !object.is_empty() => object.values().nth(random.below(object.len())),
            Value::Array(items) if !items.is_empty() => items.get(random.below(items.len())),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    at.clone()
}

const SPECIALS: [&str; 20] = [
    "",
    "0.0.0.0/0",
    "::/0",
    "0.0.0.0/33",
    "999999999999999999999999",
    "-1",
    "\"; DROP TABLE",
    "<script>",
    "a\nb\r\u{0}",
    "\u{202e}\u{2066}",
    "é\u{301}\u{1f980}",
    "true",
    "null",
    "*",
    "%7B%22Statement%22%3A%5B%7B%7D%5D%7D",
    "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Principal\":\"*\"}]}",
    "arn:aws:iam::444455556666:role/x",
    "20150331v2",
    "2026-11-20T09:15:04Z",
    "1",
];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// KiB.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4
}

fn collect(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, found),
            false => found.push(std::fs::read_to_string(path).unwrap()),
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(4_000).collect()
}

/// All of them are judged in the same thread pool, so each must be quick by itself too.
#[test]
fn the_longest_parameters_are_read_in_bounded_time() {
    let detector = Detector::ours();
    let long = "x".repeat(100_000);
    let many: Vec<Value> = (0..5_000)
        .map(|n| json!({"cidrIp": format!("10.{}.{}.0/24", n / 250, n % 250), "ipProtocol": "tcp"}))
        .collect();
    for parameters in [
        json!({"a": long}),
        json!({"ipPermissions": {"items": many}}),
        json!({"policyDocument": format!("{{\"Statement\":[{}]}}", vec!["{\"Effect\":\"Allow\",\"Action\":\"a*b*c*d*e*f\",\"Resource\":\"*\"}"; 500].join(","))}),
    ] {
        let detail = json!({"eventName": "AuthorizeSecurityGroupIngress", "eventSource": "ec2.amazonaws.com", "requestParameters": parameters});
        let ingest::Ingested::Record(record) = ingest::cloudtrail::record(detail) else { panic!("no record") };
        // It ends, and sees what it would see in a short one.
        assert!(detector.look(&record).rules().any(|rule| rule == "security-group-changed"));
    }
}
