//! What people and machines see: data in, text or JSON out. Nothing here prints, reads a file, asks a host or the time;
//! only `progress` writes, through the writer that it is given.

pub mod json;
pub mod plan;
pub mod problems;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod schema;
mod shell;
pub mod status;
pub mod style;
pub mod tmp_stub;
pub use tmp_stub::{graph, progress, report, values};

pub use style::Style;
