//! What people and machines see: data in, text or JSON out. Nothing here prints, reads a file, asks a host or the time;
//! only `progress` writes, for it draws while others work.

pub mod diff;
pub mod discovery;
pub mod explain;
pub mod graph;
pub mod hcl;
pub mod json;
pub mod plan;
pub mod problems;
pub mod progress;
pub mod report;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod schema;
mod shell;
pub mod status;
pub mod style;
pub mod targets;
pub mod values;

pub use style::Style;
