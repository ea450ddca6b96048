//! Runs the real function binary as Lambda does: a Runtime API on loopback, and the process that polls it.
//!
//! One process is one sandbox: one invocation at a time, others wait. The driver knows nothing of what events or answers mean.
//! Unlike Lambda it does not kill at the deadline, which is only told to the function; it gives up after two minutes.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

const NAME: &str = "cordon";
const DEADLINE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(120);
/// How long an ended process may keep its output open, through a child of its own.
const LAST_WORDS: Duration = Duration::from_secs(1);
const TAIL_LINES: usize = 30;

#[derive(Clone, Debug)]
pub struct FunctionOptions {
    pub binary: PathBuf,
    /// All that the function sees besides what Lambda itself sets and `PATH`.
    pub env: Vec<(String, String)>,
    pub log: Log,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// The function writes to our own stdout and stderr.
    Inherit,
    /// What it writes is kept for [`Function::logs`] and for error messages.
    Capture,
}

#[derive(Clone, Debug)]
pub struct InvokeOptions {
    /// How much time the function is told to have.
    pub deadline: Duration,
    /// The ARN by which it was invoked.
    pub arn: String,
}

/// An event as it goes over the wire, which need not be JSON.
#[derive(Clone, Debug)]
pub struct Payload(String);

/// What the function said. That it died or said nothing is an `Err` of [`Function::invoke`].
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Response(Value),
    /// `{"errorType": …, "errorMessage": …}`; Lambda would invoke an asynchronous event again.
    Error(Value),
}

/// A running function; killed on drop. It belongs to the async runtime that started it.
pub struct Function {
    pid: u32,
    api: Arc<Api>,
    turn: tokio::sync::Mutex<()>,
    invocations: mpsc::UnboundedSender<Invocation>,
    kill: Arc<Notify>,
    exit: watch::Receiver<Option<ExitStatus>>,
    logs: Logs,
    tasks: [AbortHandle; 2],
}

impl Default for InvokeOptions {
    fn default() -> InvokeOptions {
        InvokeOptions { deadline: DEADLINE, arn: format!("arn:aws:lambda:us-east-1:123456789012:function:{NAME}") }
    }
}

impl From<&Value> for Payload {
    fn from(event: &Value) -> Payload {
        Payload(event.to_string())
    }
}

impl From<&str> for Payload {
    fn from(raw: &str) -> Payload {
        Payload(raw.to_owned())
    }
}

impl Function {
    /// Starts the binary. That it comes up shows only in the first invocation, as in Lambda.
    pub async fn start(options: FunctionOptions) -> Result<Function> {
        let FunctionOptions { binary, env, log } = options;
        let mut command = Command::new(&binary);
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("AWS_LAMBDA_FUNCTION_NAME", NAME)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{NAME}"))
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "2025/01/02/[$LATEST]0123456789abcdef")
            .envs(env);
        Function::run(command, log).await.with_context(|| format!("start the function `{}`", binary.display()))
    }

    async fn run(mut command: Command, log: Log) -> Result<Function> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (invocations, queue) = mpsc::unbounded_channel();
        let api = Arc::new(Api {
            queue: tokio::sync::Mutex::new(queue),
            pending: Mutex::default(),
            init_error: watch::Sender::new(None),
        });
        let output = || match log {
            Log::Inherit => Stdio::inherit(),
            Log::Capture => Stdio::piped(),
        };
        let mut child = command
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().context("ended at once")?;
        let logs = Logs::default();
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(logs.clone().read(stdout));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(logs.clone().read(stderr));
        }
        let kill = Arc::new(Notify::new());
        let (ended, exit) = watch::channel(None);
        let router = router(api.clone());
        let tasks = [
            tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle(),
            tokio::spawn(watch_over(child, readers, kill.clone(), ended)).abort_handle(),
        ];
        Ok(Function { pid, api, turn: tokio::sync::Mutex::new(()), invocations, kill, exit, logs, tasks })
    }

    /// Invokes with the default deadline of 60 s. The event is a [`Value`] or raw text.
    pub async fn invoke(&self, event: impl Into<Payload>) -> Result<Answer> {
        self.invoke_with(event, InvokeOptions::default()).await
    }

    /// Waits its turn, then for the answer. An error if the process fails to start or dies, with the end of its log, or if it has not
    /// answered after 120 s; the process is killed then, as it could not be told from one that answers the next event late.
    pub async fn invoke_with(&self, event: impl Into<Payload>, options: InvokeOptions) -> Result<Answer> {
        let Payload(event) = event.into();
        let _turn = self.turn.lock().await;
        let id = request_id();
        let (sender, answer) = oneshot::channel();
        *self.api.pending() = Some((id.clone(), sender));
        let _ = self.invocations.send(Invocation { id, event, options });

        let mut exit = self.exit.clone();
        let mut init_error = self.api.init_error.subscribe();
        tokio::select! {
            biased;
            answer = answer => answer.context("the invocation was forgotten"),
            Ok(error) = init_error.wait_for(Option::is_some) => {
                let error = error.clone().unwrap_or_default();
                bail!("the function failed to start: {error}{}", self.logs.tail())
            }
            Ok(status) = exit.wait_for(Option::is_some) => {
                let status = status.map(|status| status.to_string()).unwrap_or_default();
                bail!("the function died: {status}{}", self.logs.tail())
            }
            () = tokio::time::sleep(PATIENCE) => {
                self.kill.notify_one();
                bail!("the function did not answer within {PATIENCE:?}{}", self.logs.tail())
            }
        }
    }

    /// The lines of stdout and stderr so far, in the order in which they came; none with [`Log::Inherit`].
    pub fn logs(&self) -> Vec<String> {
        self.logs.lines().clone()
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The process stands still until [`Function::go_on`], whatever time passes.
    pub fn stand_still(&self) -> Result<()> {
        self.signal("STOP")
    }

    pub fn go_on(&self) -> Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> Result<()> {
        // The shell's own, as not every machine has the program.
        let kill = format!("kill -s {name} {}", self.pid);
        let ended = std::process::Command::new("sh").args(["-c", &kill]).status().context("run `sh`")?;
        anyhow::ensure!(ended.success(), "`{kill}`: {ended}");
        Ok(())
    }

    /// SIGKILL, and waits for the end: afterwards nothing of the function runs any more.
    pub async fn kill(&self) {
        self.kill.notify_one();
        let mut exit = self.exit.clone();
        // Fails only if the watching task has ended, and the process with it.
        let _ = exit.wait_for(Option::is_some).await;
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // The watching task owns the process, which is killed when the task is dropped.
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// The state of the Runtime API.
struct Api {
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    pending: Mutex<Option<(String, oneshot::Sender<Answer>)>>,
    init_error: watch::Sender<Option<Value>>,
}

struct Invocation {
    id: String,
    event: String,
    options: InvokeOptions,
}

#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<String>>>);

impl Api {
    fn pending(&self) -> MutexGuard<'_, Option<(String, oneshot::Sender<Answer>)>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands an answer to whoever invoked. An answer to another invocation than the pending one is refused, as Lambda does.
    fn answer(&self, id: &str, answer: Answer) -> Response<Body> {
        let pending = self.pending().take_if(|(pending, _)| pending == id);
        match pending {
            Some((_, waiting)) => {
                // The test may have lost interest; the function did its part.
                let _ = waiting.send(answer);
                reply(StatusCode::ACCEPTED, "{\"status\":\"OK\"}")
            }
            None => reply(
                StatusCode::BAD_REQUEST,
                "{\"errorType\":\"InvalidRequestID\",\"errorMessage\":\"Invalid request ID\"}",
            ),
        }
    }
}

impl Logs {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tail(&self) -> String {
        let lines = self.lines();
        let tail = lines.iter().skip(lines.len().saturating_sub(TAIL_LINES));
        tail.map(|line| format!("\n  {line}")).collect()
    }

    async fn read(self, from: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(from).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            let line = String::from_utf8_lossy(&line).into_owned();
            self.lines().push(line);
        }
    }
}

/// Owns the process until its end, and tells of it only after the last of its output is in.
async fn watch_over(
    mut child: Child,
    mut readers: JoinSet<()>,
    kill: Arc<Notify>,
    ended: watch::Sender<Option<ExitStatus>>,
) {
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            // Fails only if the process has ended, which the next turn sees.
            () = kill.notified() => { let _ = child.start_kill(); }
        }
    };
    let _ = tokio::time::timeout(LAST_WORDS, async { while readers.join_next().await.is_some() {} }).await;
    ended.send_replace(Some(status.unwrap_or_default()));
}

fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .layer(DefaultBodyLimit::disable())
        .with_state(api)
}

/// Waits for the next invocation as long as it takes.
async fn next(State(api): State<Arc<Api>>) -> Response<Body> {
    // The sender lives as long as the server, so there is no end to the queue but that of both.
    let Some(Invocation { id, event, options }) = api.queue.lock().await.recv().await else {
        return reply(StatusCode::INTERNAL_SERVER_ERROR, "{}");
    };
    let deadline = since_epoch().saturating_add(options.deadline).as_millis();
    let answer = Response::builder()
        .header("content-type", "application/json")
        .header("Lambda-Runtime-Trace-Id", trace_id(&id))
        .header("Lambda-Runtime-Aws-Request-Id", id)
        .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", options.arn)
        .body(Body::from(event));
    // The one part that a caller chooses is the ARN; a line break in it is no header.
    answer.unwrap_or_else(|_| reply(StatusCode::INTERNAL_SERVER_ERROR, "{}"))
}

async fn response(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> Response<Body> {
    api.answer(&id, Answer::Response(json_or_text(&body)))
}

async fn error(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> Response<Body> {
    api.answer(&id, Answer::Error(json_or_text(&body)))
}

async fn init_error(State(api): State<Arc<Api>>, body: Bytes) -> Response<Body> {
    api.init_error.send_replace(Some(json_or_text(&body)));
    reply(StatusCode::ACCEPTED, "{\"status\":\"OK\"}")
}

fn reply(status: StatusCode, body: &'static str) -> Response<Body> {
    let mut reply = Response::new(Body::from(body));
    *reply.status_mut() = status;
    reply
}

fn json_or_text(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
}

/// Looks like Lambda's UUID; unique among the functions of this process.
fn request_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let (process, nth) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    format!("{process:08x}-0000-4000-8000-{nth:012x}")
}

fn trace_id(id: &str) -> String {
    let (seconds, unique) = (since_epoch().as_secs(), id.replace('-', ""));
    format!("Root=1-{seconds:08x}-{};Sampled=0", unique.get(8..).unwrap_or_default())
}

fn since_epoch() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

#[cfg(test)]
mod tests;
