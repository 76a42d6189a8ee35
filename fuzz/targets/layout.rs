//! Any bytes as a file to format: what comes out is formatted, stays as it is, and says the same.

#![no_main]

#[path = "../../tests/fuzz/body.rs"]
#[allow(dead_code, reason = "the other target runs the rest")]
mod body;

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    match bytes.len() <= body::LONGEST {
        true => {
            drop(body::survive_layout(bytes));
            Corpus::Keep
        }
        false => Corpus::Reject,
    }
});
