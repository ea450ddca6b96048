//! Starts the Python side of the tests (`tests/support/aws/*.py`) and keeps what it says on stderr for error messages.
//!
//! Plain `std::process` and threads on purpose: a process that one test starts may serve tests on other async runtimes.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};

const TAIL_LINES: usize = 30;

/// A running script; killed and reaped on drop.
pub(crate) struct Script {
    child: Child,
    pub(crate) errors: Tail,
}

/// The last lines that a process wrote to its stderr.
#[derive(Clone, Default)]
pub(crate) struct Tail(Arc<Mutex<VecDeque<String>>>);

/// The pipes of a script. Whoever holds `stdin` keeps the script alive: it exits at the end of it.
pub(crate) struct Pipes {
    pub(crate) stdin: ChildStdin,
    pub(crate) stdout: BufReader<ChildStdout>,
}

impl Script {
    /// Runs `tests/support/aws/NAME ARGS`.
    pub(crate) fn start(name: &str, args: &[&str]) -> Result<(Script, Pipes)> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("aws").join(name);
        let mut child = Command::new(interpreter()?)
            .arg(&path)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start `{}`", path.display()))?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            bail!("start `{}`: a pipe is missing", path.display());
        };
        let errors = Tail::default();
        let tail = errors.clone();
        thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                tail.push(String::from_utf8_lossy(&line).into_owned());
            }
        });
        let stdout = BufReader::new(stdout);
        Ok((Script { child, errors }, Pipes { stdin, stdout }))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Fails only if the script is gone already, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Tail {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(crate) fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("\n  {line}")).collect()
    }
}

/// Gives a script JSON on its stdin and takes what it prints.
pub fn ask(name: &str, given: &serde_json::Value) -> Result<serde_json::Value> {
    let (script, Pipes { mut stdin, stdout }) = Script::start(name, &[])?;
    serde_json::to_writer(&mut stdin, given)?;
    drop(stdin);
    serde_json::from_reader(stdout).with_context(|| format!("`{name}` gave no JSON:{}", script.errors.text()))
}

fn interpreter() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CORDON_PYTHON") {
        return Ok(path.into());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/venv/bin/python");
    if !path.exists() {
        bail!("no Python for the tests at `{}`: run `make venv`, or set CORDON_PYTHON", path.display());
    }
    Ok(path)
}
