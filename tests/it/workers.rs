//! Several workers on one account, some of whom die: what Lambda's concurrency and its repeats make of a burst.

use crate::lab::Lab;
use anyhow::Result;
use cordon_support::{Answer, Function, Match, When};
use serde_json::Value;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

/// More than Lambda's own three, because here somebody dies all the time.
const MOST_TRIES: usize = 20;

/// Whom it is about, and the event.
type Delivery = (String, Value);

pub struct Done {
    /// How many deliveries were answered, each in the end.
    pub answered: usize,
    /// Whom those workers were at work on who died; who was killed between two deliveries is left out.
    pub died_on: Vec<String>,
}

#[derive(Default)]
struct Seat {
    function: Option<Arc<Function>>,
    /// Whom the delivery is about that it is at work on.
    about: Option<String>,
}

/// Delivers all events, so many at a time. Kills who comes to the first such call, right before it, and then one worker after another, each
/// after such a while.
pub async fn run(lab: &Lab, deliveries: Vec<Delivery>, workers: usize, first: Match, each: Duration) -> Result<Done> {
    let queue = Mutex::new(VecDeque::from(deliveries));
    let crew: Vec<Mutex<Seat>> = (0..workers).map(|_| Mutex::default()).collect();
    let (later, died_on) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let stopped = lab.proxy.stop_at(first, When::Before);
    let at_work = async {
        let mut answered = 0;
        for _ in 0..MOST_TRIES {
            let wave = crew.iter().map(|seat| work(lab, &queue, &later, &died_on, seat));
            answered += futures::future::try_join_all(wave).await?.into_iter().sum::<usize>();
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
        // However soon all is over, somebody has died at work. Of those who are at work on him, one stands still at the call.
        if let Ok(call) = stopped.await {
            let whom = call.resource.split('/').next();
            for seat in &crew {
                if seat.lock().unwrap().about.as_deref() == whom {
                    kill(seat).await;
                }
            }
        }
        for turn in 0.. {
            tokio::time::sleep(each).await;
            kill(&crew[turn % crew.len()]).await;
        }
    };
    let answered = tokio::select! {
        answered = at_work => answered?,
        () = killer => unreachable!("it never ends"),
    };
    Ok(Done { answered, died_on: died_on.into_inner().unwrap() })
}

/// Whoever sits there; another takes the seat.
async fn kill(seat: &Mutex<Seat>) {
    let victim = seat.lock().unwrap().function.take();
    if let Some(victim) = victim {
        victim.kill().await;
    }
}

async fn work(
    lab: &Lab,
    queue: &Mutex<VecDeque<Delivery>>,
    later: &Mutex<Vec<Delivery>>,
    died_on: &Mutex<Vec<String>>,
    seat: &Mutex<Seat>,
) -> Result<usize> {
    let mut answered = 0;
    loop {
        let Some((about, event)) = queue.lock().unwrap().pop_front() else { return Ok(answered) };
        let sitting = seat.lock().unwrap().function.clone();
        let function = match sitting {
            Some(function) => function,
            None => {
                let function = Arc::new(lab.another("contain", None).await?);
                seat.lock().unwrap().function = Some(function.clone());
                function
            }
        };
        seat.lock().unwrap().about = Some(about.clone());
        let answer = function.invoke(&event).await;
        seat.lock().unwrap().about = None;
        match answer {
            Ok(Answer::Response(_)) => answered += 1,
            // Lambda comes again a minute later, whether it failed or died: by then its lease has ended, given back or not.
            failed => {
                if failed.is_err() {
                    seat.lock().unwrap().function = None;
                    died_on.lock().unwrap().push(about.clone());
                }
                later.lock().unwrap().push((about, event));
            }
        }
    }
}
