//! One attack on an account on this machine, told by three sources, and Cordon's answers: the real function binary against moto.
//! Nothing printed is made up: decisions are the function's, milliseconds the proxy's, and how the account is, boto3 has read.
//!
//! The exit code is 0 only if boto3 read all that was expected, so that the demo is a test too.

mod account;
mod attack;
mod screen;
mod stage;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::screen::Screen;

const USAGE: &str = "\
Shows what Cordon does about one attack, on this machine and without an AWS account.

usage: demo [--responder PATH]

  --responder PATH  the function to run, with the command line `cordon` beside it; those beside this program unless given
  --help            this text

Colours are for terminals; NO_COLOR turns them off, FORCE_COLOR on. What is under way is said on stderr.
Exit code: 0 all was as expected, 1 it was not, 2 wrong usage, 130 interrupted.";

#[derive(Debug)]
enum Asked {
    Help,
    /// With the function at this path.
    Show(PathBuf),
}

#[tokio::main]
async fn main() -> ExitCode {
    let responder = match read(std::env::args().skip(1)).and_then(built) {
        Ok(Asked::Show(responder)) => responder,
        Ok(Asked::Help) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("demo: {error:#} (--help tells how it is used)");
            return ExitCode::from(2);
        }
    };
    let screen = Screen::new();
    // Whichever ends first drops the other, and with it all that was started.
    tokio::select! {
        told = story::tell(&screen, responder) => match told {
            Ok(0) => ExitCode::SUCCESS,
            Ok(many) => failure(&format!("{many} things were not as expected; on the page each is marked with ✗")),
            Err(error) => failure(&format!("{error:#}")),
        },
        interrupted = interruption() => match interrupted {
            Ok(()) => {
                eprintln!("\ninterrupted; everything is stopped");
                ExitCode::from(130)
            }
            Err(error) => failure(&format!("{error:#}")),
        },
    }
}

fn failure(what: &str) -> ExitCode {
    eprintln!("\ndemo: {what}");
    ExitCode::FAILURE
}

async fn interruption() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut hang_up = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("listen for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
    }
}

fn read(mut arguments: impl Iterator<Item = String>) -> Result<Asked> {
    let mut responder = None;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--responder" => responder = Some(PathBuf::from(arguments.next().context("--responder needs a path")?)),
            "--help" | "-h" => return Ok(Asked::Help),
            other => bail!("`{other}` is no argument"),
        }
    }
    Ok(Asked::Show(match responder {
        Some(given) => given,
        None => std::env::current_exe().context("find the function")?.with_file_name("responder"),
    }))
}

/// Refuses what has not been built.
fn built(asked: Asked) -> Result<Asked> {
    if let Asked::Show(responder) = &asked {
        for program in [responder.clone(), responder.with_file_name("cordon")] {
            if !program.is_file() {
                let build = "cargo build --features test-clock --bin responder --bin cordon";
                bail!("there is no program `{}`: build it with `{build}`", program.display());
            }
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Result<Asked> {
        read(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn arguments_are_understood_or_refused() {
        let here = std::env::current_exe().unwrap();
        assert!(matches!(asked(&["--help"]), Ok(Asked::Help)));
        let Ok(Asked::Show(responder)) = asked(&["--responder", here.to_str().unwrap()]) else { panic!("refused") };
        assert_eq!(responder, here);
        for wrong in [&["--responder"][..], &["--responder", "/nowhere"], &["--fast"]] {
            assert!(asked(wrong).and_then(built).is_err(), "{wrong:?}");
        }
    }
}
