//! The world of Cordon's tests: everything that stands where AWS would, and nothing of Cordon itself.
//!
//! ```text
//! test, demo, bench
//!    │ World    builds, dumps and reads an account with another client (boto3)
//!    │ Function runs the real function binary on a Lambda Runtime API ─┐
//!    │ TestClock moves its time; samples::fresh gives it an event      │ AWS_ENDPOINT_URL
//!    ▼                                                                 ▼
//!   Moto  ◄──────────────────────────────────────────────────────── Proxy   records calls, measures rounds, injects faults
//! ```
//!
//! One world is one account id ([`next_account`]), so tests share a [`Moto`] and never meet. [`Moto`] and [`World`] use no async
//! runtime of their own and may live in a `static`; [`Proxy`] and [`Function`] spawn tasks and belong to the runtime of the test that
//! started them. Everything dies with its owner: processes are killed on drop, and the Python side also exits at the end of its stdin.
//!
//! Only loopback is ever spoken to. This crate must not depend on `cordon`: what it says about the account or the calls is
//! evidence only as long as the code under test had no part in it.

pub mod call;
pub mod clock;
pub mod errors;
pub mod faults;
pub mod moto;
pub mod ordinary;
pub mod proxy;
pub mod python;
pub mod runtime;
pub mod samples;
pub mod wire;
pub mod world;

pub use call::{Call, Position};
pub use clock::TestClock;
pub use faults::{Fault, How, Lasting, Match, When};
pub use moto::Moto;
pub use proxy::{Proxy, ProxyOptions};
pub use runtime::{Answer, Function, FunctionOptions, InvokeOptions, Log, Payload};
pub use world::{REGION, World, journal_table, next_account};
