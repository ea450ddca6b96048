//! A compromised account on this machine, and Cordon in it: the real function binary against moto, told for somebody who sees it
//! for the first time. Nothing printed is made up: reports are the function's, figures the proxy's, the account boto3's.
//!
//! The exit code is 0 only if all that was shown is what was expected, so that the demo is a test too.

mod account;
mod acts;
mod dump;
mod report;
mod rows;
mod scenes;
mod screen;
mod shown;
mod stage;
mod story;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::screen::Screen;
use crate::story::{IfWrong, Options, Wrong};

const USAGE: &str = "\
Shows what Cordon does, on this machine and without an AWS account.

usage: demo [--responder PATH] [--keep-going]

  --responder PATH  the function to run, with the command line `cordon` beside it; those beside this program unless given
  --keep-going      go on to the end when something is not as expected
  --help            this text

Colours are for terminals; NO_COLOR turns them off, FORCE_COLOR on.
Exit code: 0 all was as expected, 1 it was not, 2 wrong usage, 130 interrupted.";

enum Asked {
    Help,
    Show(Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match read(std::env::args().skip(1)).and_then(built) {
        Ok(Asked::Show(options)) => options,
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
        told = story::tell(&screen, &options) => match told {
            Ok(Wrong(wrong)) if wrong.is_empty() => ExitCode::SUCCESS,
            Ok(Wrong(wrong)) => failure(&format!("not as expected:\n  {}", wrong.join("\n  "))),
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
    let mut if_wrong = IfWrong::Stop;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--responder" => responder = Some(PathBuf::from(arguments.next().context("--responder needs a path")?)),
            "--keep-going" => if_wrong = IfWrong::KeepGoing,
            "--help" | "-h" => return Ok(Asked::Help),
            other => bail!("`{other}` is no argument"),
        }
    }
    let responder = match responder {
        Some(given) => given,
        None => std::env::current_exe().context("find the function")?.with_file_name("responder"),
    };
    Ok(Asked::Show(Options { responder, if_wrong }))
}

/// Refuses what has not been built.
fn built(asked: Asked) -> Result<Asked> {
    if let Asked::Show(Options { responder, .. }) = &asked {
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
        let here = here.to_str().unwrap();
        assert!(matches!(asked(&["--help"]), Ok(Asked::Help)));
        let Ok(Asked::Show(options)) = asked(&["--responder", here, "--keep-going"]) else { panic!("refused") };
        assert_eq!((options.responder, options.if_wrong), (PathBuf::from(here), IfWrong::KeepGoing));
        for wrong in [&["--responder"][..], &["--responder", "/nowhere"], &["--fast"]] {
            assert!(asked(wrong).and_then(built).is_err(), "{wrong:?}");
        }
    }
}
