//! All integration tests in one binary: it links the SDKs once.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that meets the unexpected has failed"
)]

mod afterwards;
mod architecture;
mod bad_input;
mod cli;
mod contain;
mod correlation;
mod decisions;
mod drift;
mod durable;
mod faults;
mod gone;
mod history;
mod identities;
mod instances;
mod journal;
mod lab;
mod manual;
mod matrix;
mod modes;
mod offers;
mod operator;
mod registry;
mod rounds;
mod rules;
mod suite;
mod sweep;
mod template;
mod workers;
mod wrong_ways;
