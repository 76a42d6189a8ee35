//! Laws that hold for any configuration, tried on generated ones: the same each time, or with `LARDER_PROPERTY_CASES` more and
//! others.

#![allow(clippy::unwrap_used)]

mod common;

#[path = "properties/expressions.rs"]
mod expressions;
#[path = "properties/laws.rs"]
mod laws;
#[path = "properties/order.rs"]
mod order;
#[path = "properties/secrets.rs"]
mod secrets;
#[path = "properties/unknowns.rs"]
mod unknowns;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

/// Tries a law on so many cases.
#[track_caller]
fn check<T: std::fmt::Debug>(cases: u32, of: impl Strategy<Value = T>, law: impl Fn(T) -> Result<(), TestCaseError>) {
    let wanted = std::env::var("LARDER_PROPERTY_CASES").ok().and_then(|text| text.parse().ok());
    let config = ProptestConfig {
        cases: wanted.unwrap_or(cases),
        failure_persistence: None,
        // Where a case takes long, so does making it smaller.
        max_shrink_iters: if cases < 10 { 0 } else { 4_000 },
        ..ProptestConfig::default()
    };
    let mut runner = match wanted {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    if let Err(error) = runner.run(&of, law) {
        panic!("{error}");
    }
}
