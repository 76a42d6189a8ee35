//! Any bytes as a configuration: parser, evaluator, and everything that shows what is wrong.

#![no_main]

#[path = "../../tests/fuzz/body.rs"]
mod body;

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};

static DIRECTORY: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::Builder::new().prefix("larder-fuzz-").tempdir().expect("a directory"));

fuzz_target!(|bytes: &[u8]| -> Corpus {
    match body::is_harmless(bytes) {
        true => {
            body::survive(bytes, DIRECTORY.path());
            Corpus::Keep
        }
        false => Corpus::Reject,
    }
});
