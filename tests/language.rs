//! The configuration language, from text to resources. The expressions of `language/expressions.jsonl` have the values,
//! types and errors of Terraform 1.11.

#[path = "language/configurations.rs"]
mod configurations;
#[path = "language/conformance.rs"]
mod conformance;
#[path = "language/expected.rs"]
mod expected;
#[path = "language/hostile.rs"]
mod hostile;
#[path = "language/kinds.rs"]
mod kinds;
#[path = "language/modules.rs"]
mod modules;
#[path = "language/recovery.rs"]
mod recovery;
