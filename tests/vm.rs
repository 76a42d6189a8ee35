//! The built binary on virtual machines: real kernels, real servers. `make test-vm` installs what they need.

#![allow(clippy::unwrap_used)]

#[path = "vm/changes.rs"]
mod changes;
#[path = "vm/cifs.rs"]
mod cifs;
mod common;
#[path = "vm/iscsi.rs"]
mod iscsi;
#[path = "vm/media.rs"]
mod media;
#[path = "vm/nfs.rs"]
mod nfs;
#[path = "vm/ocfs2.rs"]
mod ocfs2;
#[path = "vm/secrets.rs"]
mod secrets;
#[path = "vm/share.rs"]
mod share;
#[path = "vm/site.rs"]
mod site;
#[path = "vm/units.rs"]
mod units;
