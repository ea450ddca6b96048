//! All integration tests in one binary: it links the SDKs once.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that meets the unexpected has failed"
)]

/// Tests that are rows of `make faults` too.
macro_rules! rows {
    ($kind:literal: $($name:ident),* $(,)?) => {
        mod tests {
            $(#[tokio::test]
            async fn $name() -> anyhow::Result<()> {
                super::$name().await
            })*
        }

        /// By name.
        pub fn rows() -> Vec<(String, futures::future::LocalBoxFuture<'static, anyhow::Result<()>>)> {
            vec![$((format!("{}: {}", $kind, stringify!($name).replace('_', " ")), Box::pin($name()) as _)),*]
        }
    };
}

mod addresses;
mod afterwards;
mod alerts;
mod alike;
mod architecture;
mod bad_input;
mod cli;
mod contain;
mod corrections;
mod correlation;
mod decisions;
mod detection;
mod detectives;
mod drift;
mod durable;
mod evasions;
mod exposed;
mod faults;
mod gone;
mod grants;
mod guards;
mod handed_on;
mod history;
mod identities;
mod instances;
mod journal;
mod lab;
mod manual;
mod matrix;
mod modes;
mod mutations;
mod noise;
mod offers;
mod operator;
mod principals;
mod records;
mod registry;
mod rounds;
mod rules;
mod schemas;
mod sequences;
mod states;
mod suite;
mod sweep;
mod tally;
mod template;
mod workers;
mod wrong_ways;
