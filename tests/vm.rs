//! The built binary on virtual machines: real kernels, real servers. `make test-vm` installs what they need.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "vm/media.rs"]
mod media;
