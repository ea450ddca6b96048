//! The AWS of the tests: a moto server, started through `tests/support/aws/server.py`, which mends what would hide a wrong
//! containment. This module only starts and stops it.

use std::io::{self, BufRead};
use std::process::ChildStdin;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::python::{Pipes, Script};

const START: Duration = Duration::from_secs(60);

/// A running moto server; killed on drop, and at the latest when this process ends.
pub struct Moto {
    endpoint: String,
    // Dropped first, so that the server may leave by itself before it is killed.
    _stdin: ChildStdin,
    _script: Script,
}

#[derive(Deserialize)]
struct Greeting {
    endpoint: String,
}

impl Moto {
    /// Starts a server on a free loopback port and waits, up to a minute, until it listens.
    pub async fn start() -> Result<Moto> {
        let (script, pipes) = Script::start("server.py", &["--port", "0"])?;
        let Pipes { stdin, mut stdout } = pipes;
        let (sender, greeting) = oneshot::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = sender.send(stdout.read_line(&mut line).map(|_| line));
            // Whatever else the server prints must not fill the pipe, or it would stand still.
            let _ = io::copy(&mut stdout, &mut io::sink());
        });
        let start = async {
            let line = tokio::time::timeout(START, greeting).await???;
            anyhow::Ok(serde_json::from_str::<Greeting>(&line)?)
        };
        let Greeting { endpoint } =
            start.await.with_context(|| format!("start moto, which said:{}", script.errors.text()))?;
        Ok(Moto { endpoint, _stdin: stdin, _script: script })
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}
