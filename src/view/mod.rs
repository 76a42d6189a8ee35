//! What people and machines see: data in, text or JSON out. Nothing here prints, reads a file, asks a host or the time;
//! only `progress` writes, through the writer that it is given.

pub mod plan;
pub mod tmp_stub;
pub use tmp_stub::{json, values, graph, report, progress, status};
pub mod problems;
#[cfg(test)]
mod sample;
mod shell;
pub mod style;

pub use style::Style;
