//! Several workers on one account, some of whom die: what Lambda's concurrency and its repeats make of a burst.

use crate::lab::Lab;
use anyhow::Result;
use cordon_support::{Answer, Function};
use serde_json::Value;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// More than Lambda's own three, because here somebody dies all the time.
const MOST_TRIES: usize = 20;

/// Delivers all events, so many at a time, and kills one worker after another, each after such a while. Returns how many deliveries were
/// answered, each in the end, and how many workers were killed.
pub async fn run(lab: &Lab, events: Vec<Value>, workers: usize, each: Duration) -> Result<(usize, usize)> {
    let died = AtomicUsize::new(0);
    let queue = Mutex::new(VecDeque::from(events));
    let crew: Vec<Mutex<Option<Arc<Function>>>> = (0..workers).map(|_| Mutex::new(None)).collect();
    let later = Mutex::new(Vec::new());
    let at_work = async {
        let mut answered = 0;
        for _ in 0..MOST_TRIES {
            let wave = futures::future::try_join_all(crew.iter().map(|seat| work(lab, &queue, &later, seat))).await?;
            answered += wave.into_iter().sum::<usize>();
            let again = std::mem::take(&mut *later.lock().unwrap());
            if again.is_empty() {
                return anyhow::Ok(answered);
            }
            // Lambda repeats what died a minute later, when the leases of the dead have ended.
            lab.clock.advance(Duration::from_secs(60))?;
            queue.lock().unwrap().extend(again);
        }
        anyhow::bail!("some died {MOST_TRIES} times")
    };
    let killer = async {
        for turn in 0.. {
            tokio::time::sleep(each).await;
            let victim = crew[turn % crew.len()].lock().unwrap().clone();
            if let Some(victim) = victim {
                victim.kill().await;
                died.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    tokio::select! {
        answered = at_work => Ok((answered?, died.load(Ordering::Relaxed))),
        () = killer => unreachable!("it never ends"),
    }
}

async fn work(
    lab: &Lab,
    queue: &Mutex<VecDeque<Value>>,
    later: &Mutex<Vec<Value>>,
    seat: &Mutex<Option<Arc<Function>>>,
) -> Result<usize> {
    let mut answered = 0;
    loop {
        let Some(event) = queue.lock().unwrap().pop_front() else { return Ok(answered) };
        let sitting = seat.lock().unwrap().clone();
        let function = match sitting {
            Some(function) => function,
            None => {
                let function = Arc::new(lab.another("contain", None).await?);
                *seat.lock().unwrap() = Some(function.clone());
                function
            }
        };
        match function.invoke(&event).await {
            Ok(Answer::Response(_)) => answered += 1,
            // Lambda comes again a minute later, whether it failed or died: by then its lease has ended, given back or not.
            failed => {
                if failed.is_err() {
                    *seat.lock().unwrap() = None;
                }
                later.lock().unwrap().push(event);
            }
        }
    }
}
