//! The operator's command line.

// The futures of the whole story are nested deeper than the compiler looks by itself.
#![recursion_limit = "256"]

use clap::Parser;
use cordon::cli::{Arguments, run};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cordon: {error:#}");
            ExitCode::FAILURE
        }
    }
}
