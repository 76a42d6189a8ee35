//! The nouns of Larder: plain data that every other module speaks about.
//! Nothing here reads a file, asks a host or prints.

pub mod address;
pub mod block;
pub mod escape;
pub mod facts;
pub mod hazard;
pub mod host;
pub mod mode;
pub mod moved;
pub mod problem;
pub mod secret;
pub mod selector;
pub mod size;
pub mod step;

pub use address::{Address, Key, quoted};
pub use block::{Attribute, Block, Blocks, Datum, Lifecycle, NestedBlock};
pub use escape::{escape, escape_line};
pub use facts::{Answer, Facts, HostFacts, Question, Reply};
pub use hazard::{Hazard, HazardCode};
pub use host::{Connection, HostName, Reach};
pub use mode::Mode;
pub use moved::Moved;
pub use problem::{Place, Position, Problem, Problems, Severity};
pub use secret::Secrets;
pub use selector::Selector;
pub use size::Size;
pub use step::{Command, Guard, Impact, Inverse, Step, StepId};
