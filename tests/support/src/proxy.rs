//! A loopback HTTP proxy in front of moto: records every call, measures rounds, injects faults. It changes nothing else.
//!
//! # Rounds
//! A round is what a client sends without waiting for an answer. It is measured: answers are held until every request of the
//! batch has its own from upstream and no new request has come for a while (50 ms); then the batch is released as a whole. A request
//! that comes while others are in flight, or held, belongs to their batch, so a slow upstream never makes two rounds of one.
//! Hence only one client at a time, and no long polls through a holding proxy: they would stretch the round they fall into.
//!
//! # Faults
//! A call is addressed by its [`crate::Position`], never by its number: calls that run side by side come in any order. What was forwarded is
//! always finished, even if the client is gone by then, as AWS would.

mod functions;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, EXPECT, HeaderMap, TRANSFER_ENCODING, USER_AGENT};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::call::Call;
use crate::errors;
use crate::faults::{Fault, How, Lasting, Match, When};
use crate::runtime::Function;
use crate::wire::{self, Asked};

const HOLD: Duration = Duration::from_millis(50);

/// A running proxy. It belongs to the async runtime that started it and ends on drop.
pub struct Proxy {
    endpoint: String,
    shared: Arc<Shared>,
    tasks: [AbortHandle; 2],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyOptions {
    /// How long no request must come until a batch is a round. None passes answers straight through and measures no rounds.
    pub hold: Option<Duration>,
    /// Added to each answer, after the hold: what a round costs in reality.
    pub latency: Duration,
}

impl Default for ProxyOptions {
    fn default() -> ProxyOptions {
        ProxyOptions { hold: Some(HOLD), latency: Duration::ZERO }
    }
}

impl Proxy {
    /// A proxy that measures rounds and adds no latency.
    pub async fn start(upstream: &str) -> Result<Proxy> {
        Proxy::start_with(upstream, ProxyOptions::default()).await
    }

    /// Listens on a free loopback port in front of `upstream`, which is like `http://127.0.0.1:5000`.
    pub async fn start_with(upstream: &str, options: ProxyOptions) -> Result<Proxy> {
        let upstream: Uri = upstream.parse().context("upstream of the proxy")?;
        let authority = upstream.authority().context("upstream of the proxy: no host")?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            upstream: authority.to_string(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            options,
            state: Mutex::default(),
            answered: Notify::new(),
            released: watch::Sender::new(0),
        });
        let tasks = [
            tokio::spawn(accept(listener, shared.clone())).abort_handle(),
            tokio::spawn(release(shared.clone())).abort_handle(),
        ];
        Ok(Proxy { endpoint, shared, tasks })
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// All calls since the last [`Proxy::clear`], in the order in which they came.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.state().calls.clone()
    }

    /// The calls that change something.
    pub fn mutations(&self) -> Vec<Call> {
        let state = self.shared.state();
        let calls = state.calls.iter().filter(|call| call.mutating);
        calls.cloned().collect()
    }

    /// How many rounds there were since the last [`Proxy::clear`].
    pub fn rounds(&self) -> usize {
        let state = self.shared.state();
        let rounds = state.calls.iter().map(|call| call.round);
        rounds.max().unwrap_or(0)
    }

    /// The round, from 1, of the last call that is `wanted`: after so many round trips the last of them was made.
    pub fn round_of(&self, wanted: impl Fn(&Call) -> bool) -> Option<usize> {
        let state = self.shared.state();
        let last = state.calls.iter().rev().find(|call| wanted(call))?;
        Some(last.round).filter(|round| *round > 0)
    }

    /// Forgets the calls; rounds and occurrences count anew. Faults stay.
    pub fn clear(&self) {
        let mut state = self.shared.state();
        state.forgotten += state.calls.len() as u64;
        state.calls.clear();
        state.of_position.clear();
        state.of_operation.clear();
        state.first_batch = state.batch;
    }

    /// Lets calls fail from now on. Of several faults for one call the first given acts.
    pub fn fail(&self, fault: Fault) {
        let Fault { at, when, how, lasting } = fault;
        let effect = Effect::Fail(how, lasting);
        self.shared.state().traps.push(Trap { at, when, effect });
    }

    /// Waits until all that clients sent has come to its end; they must have ended, or a connection stays open.
    pub async fn idle(&self) -> Result<()> {
        // Besides connections and calls, itself and its tasks have a part in the state.
        let at_rest = 2 + usize::from(self.shared.options.hold.is_some());
        for _ in 0..6_000 {
            if Arc::strong_count(&self.shared) == at_rest {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("a client of the proxy goes on")
    }

    /// Answers Lambda's Invoke of that name with the function.
    pub fn serve_function(&self, name: &str, account: &str, function: Arc<Function>) {
        self.shared.state().functions.insert(name.to_owned(), (account.to_owned(), function));
    }

    /// Throttles every nth call, whatever it is.
    pub fn throttle_one_in(&self, n: u64) {
        self.shared.state().throttles_one_in = Some(n);
    }

    /// Stops the first such call for good, before AWS sees it or after it was applied: it never gets an answer. The
    /// receiver has the call as soon as it stands, which is the moment to kill the client.
    pub fn stop_at(&self, at: impl Into<Match>, when: When) -> oneshot::Receiver<Call> {
        let (stopped, reached) = oneshot::channel();
        let effect = Effect::Stop(stopped);
        let at = at.into();
        self.shared.state().traps.push(Trap { at, when, effect });
        reached
    }

    /// Removes all faults, and stops that were not reached.
    pub fn heal(&self) {
        let mut state = self.shared.state();
        state.traps.clear();
        state.throttles_one_in = None;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

struct Shared {
    upstream: String,
    client: Client<HttpConnector, Full<Bytes>>,
    options: ProxyOptions,
    state: Mutex<State>,
    /// A call has its answer: the batch may be complete.
    answered: Notify,
    /// How many batches were released; a call of batch n waits until this is above n.
    released: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    /// Calls cleared away, so that a call still under way finds its record or learns that it is gone.
    forgotten: u64,
    of_position: HashMap<(String, String), u32>,
    of_operation: HashMap<String, u32>,
    traps: Vec<Trap>,
    throttles_one_in: Option<u64>,
    /// What Lambda's Invoke finds, by name, with its account.
    functions: HashMap<String, (String, Arc<Function>)>,
    /// The open batch, counted from the start.
    batch: u64,
    /// The batch that is round 1.
    first_batch: u64,
    in_flight: usize,
    held: usize,
    last_arrival: Option<Instant>,
}

struct Trap {
    at: Match,
    when: When,
    effect: Effect,
}

enum Effect {
    Fail(How, Lasting),
    Stop(oneshot::Sender<Call>),
}

/// A call under way.
struct Ticket {
    number: u64,
    batch: u64,
    call: Call,
    trap: Option<Trap>,
}

enum Verdict {
    Answer(Response<Bytes>),
    Cut,
    Stopped,
}

/// Makes the server close the connection without an answer.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection cut by the tests")
    }
}

impl std::error::Error for Cut {}

async fn accept(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    // Owns the connections, so that they end with the proxy.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(converse(stream, shared.clone()));
            }
            // Out of file descriptors, mostly: others will close theirs.
            Err(_) => tokio::time::sleep(HOLD).await,
        }
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    // Without it the kernel may hold back small answers for 40 ms, which would look like a round trip's cost.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| serve(shared.clone(), request));
    // Ends with an error when the client leaves or we cut; both are part of the game.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    // In a task of its own: this future is dropped when the client leaves, and what was forwarded must be finished.
    let pass = tokio::spawn(async move { shared.pass(parts, body).await });
    match pass.await.map_err(|_| Cut)? {
        Verdict::Answer(answer) => Ok(answer.map(Full::new)),
        Verdict::Cut => Err(Cut),
        Verdict::Stopped => std::future::pending().await,
    }
}

/// Releases batch after batch.
async fn release(shared: Arc<Shared>) {
    let Some(hold) = shared.options.hold else {
        return;
    };
    loop {
        shared.answered.notified().await;
        while let Some(due) = shared.release_if_due(hold) {
            tokio::time::sleep_until(due).await;
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass(&self, parts: Parts, body: Bytes) -> Verdict {
        let asked = wire::read(&parts, &body);
        let mut ticket = self.arrive(&asked, &parts.headers);
        let verdict = match ticket.trap.take() {
            None => Verdict::Answer(self.forward(parts, body).await),
            Some(trap) => {
                if trap.when == When::After {
                    self.forward(parts, body).await;
                }
                match trap.effect {
                    Effect::Fail(how, _) => match errors::error(&asked, how) {
                        Some(answer) => Verdict::Answer(answer),
                        None => Verdict::Cut,
                    },
                    Effect::Stop(stopped) => {
                        // A test that does not look only wanted the call to stand still.
                        let _ = stopped.send(ticket.call.clone());
                        Verdict::Stopped
                    }
                }
            }
        };
        self.settle(&ticket, &verdict).await;
        verdict
    }

    /// Enters a call into the record and the open batch, and takes the trap that it meets.
    fn arrive(&self, asked: &Asked, headers: &HeaderMap) -> Ticket {
        let mut state = self.state();
        let agent = headers.get(USER_AGENT).and_then(|it| it.to_str().ok());
        let mut call = Call {
            service: asked.service.clone(),
            operation: asked.operation.clone(),
            resource: asked.resource.clone(),
            user_agent: agent.unwrap_or_default().to_owned(),
            mutating: asked.mutating,
            ..Call::default()
        };
        let position = (call.operation.clone(), call.resource.clone());
        call.occurrence = next(&mut state.of_position, position);
        let nth_of_operation = next(&mut state.of_operation, call.operation.clone());
        if self.options.hold.is_some() {
            call.round = usize::try_from(state.batch - state.first_batch).unwrap_or(0) + 1;
            state.in_flight += 1;
            state.last_arrival = Some(Instant::now());
        }
        let number = state.forgotten + state.calls.len() as u64 + 1;
        let is_nth = state.throttles_one_in.is_some_and(|n| number.is_multiple_of(n));
        let throttled = || Trap {
            at: Match::operation(call.operation.clone()),
            when: When::Before,
            effect: Effect::Fail(How::Throttled, Lasting::Once),
        };
        let trap = state.spring(&call, nth_of_operation).or_else(|| is_nth.then(throttled));
        if let Some(Effect::Fail(how, _)) = trap.as_ref().map(|trap| &trap.effect) {
            call.fault = Some(*how);
        }
        state.calls.push(call.clone());
        Ticket { number: state.forgotten + state.calls.len() as u64 - 1, batch: state.batch, call, trap }
    }

    async fn forward(&self, mut parts: Parts, body: Bytes) -> Response<Bytes> {
        if let Some(name) = functions::invoked(&parts) {
            return self.invoke(name, &body).await;
        }
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let uri = format!("http://{}{path}", self.upstream);
        if let Ok(uri) = uri.parse() {
            parts.uri = uri;
        }
        drop_hop_by_hop(&mut parts.headers);
        let answer = async {
            let request = Request::from_parts(parts, Full::new(body));
            let (mut head, body) = self.client.request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            drop_hop_by_hop(&mut head.headers);
            anyhow::Ok(Response::from_parts(head, body))
        };
        answer.await.unwrap_or_else(|error| {
            let mut answer = Response::new(Bytes::from(format!("upstream: {error:#}")));
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            answer
        })
    }

    /// Records the answer and holds it as long as the round lasts.
    async fn settle(&self, ticket: &Ticket, verdict: &Verdict) {
        {
            let mut state = self.state();
            let index = ticket.number.checked_sub(state.forgotten);
            let index = index.and_then(|index| usize::try_from(index).ok());
            if let Verdict::Answer(answer) = verdict
                && let Some(call) = index.and_then(|index| state.calls.get_mut(index))
            {
                call.status = Some(answer.status().as_u16());
                call.answered = Some(std::time::Instant::now());
                call.error = errors::error_code(answer.status(), answer.headers(), answer.body());
            }
            if self.options.hold.is_some() {
                state.in_flight -= 1;
                state.held += 1;
            }
        }
        if self.options.hold.is_some() {
            self.answered.notify_one();
            let mut released = self.released.subscribe();
            // Fails only if the sender is gone, which we hold.
            let _ = released.wait_for(|batches| *batches > ticket.batch).await;
        }
        if !self.options.latency.is_zero() {
            tokio::time::sleep(self.options.latency).await;
        }
    }

    /// Releases the open batch if it is a round by now. Otherwise the time to look again, or None to wait for another answer.
    fn release_if_due(&self, hold: Duration) -> Option<Instant> {
        let mut state = self.state();
        if state.in_flight > 0 || state.held == 0 {
            return None;
        }
        let due = state.last_arrival? + hold;
        if Instant::now() < due {
            return Some(due);
        }
        state.held = 0;
        state.batch += 1;
        // Under the lock: a request that comes now must find the next batch open.
        self.released.send_replace(state.batch);
        None
    }
}

impl State {
    /// The first trap that this call meets. One that acts once is gone from then on.
    fn spring(&mut self, call: &Call, nth_of_operation: u32) -> Option<Trap> {
        let hit = |trap: &Trap| trap.at.hits(call, nth_of_operation, trap.effect.lasting());
        let index = self.traps.iter().position(hit)?;
        let trap = self.traps.get(index)?;
        match trap.effect {
            Effect::Fail(how, Lasting::Throughout) => {
                Some(Trap { at: trap.at.clone(), when: trap.when, effect: Effect::Fail(how, Lasting::Throughout) })
            }
            Effect::Fail(_, Lasting::Once) | Effect::Stop(_) => Some(self.traps.remove(index)),
        }
    }
}

impl Effect {
    fn lasting(&self) -> Lasting {
        match self {
            Effect::Fail(_, lasting) => *lasting,
            Effect::Stop(_) => Lasting::Once,
        }
    }
}

fn next<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, u32>, key: K) -> u32 {
    let count = counts.entry(key).or_insert(0);
    *count += 1;
    *count
}

/// What belongs to one connection and not to the message. Bodies are passed on whole, with their length.
fn drop_hop_by_hop(headers: &mut HeaderMap) {
    for name in [CONNECTION, TRANSFER_ENCODING, EXPECT] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests;
