//! The operator's command line.

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
