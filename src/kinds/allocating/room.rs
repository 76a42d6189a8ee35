//! How much room an image takes, and when.

use std::time::Duration;

use crate::model::{HazardCode, Size};

use super::super::Scene;
use super::super::ask::space;
use super::super::scene::RoomState;
use super::super::verdict::{Need, Verdict};
use super::Wanted;

/// What a network of 1 Gbit/s carries of an image in a second, rounded down.
const NETWORK_RATE: u64 = 100 << 20;

/// No allocation that writes less than this is worth a finding: it is over in a second.
const WORTH_TELLING: u64 = NETWORK_RATE;

impl Wanted<'_> {
    /// How the image is really allocated, with the finding where that writes every byte and takes long: what the file system cannot
    /// reserve is written, never only said to be there.
    pub(super) fn way_to_allocate(&self, verdict: &mut Verdict, more: Size) -> &str {
        let Some(why) = self.room.cannot_reserve.as_ref().filter(|_| matches!(self.allocation(), "falloc" | "full"))
        else {
            return self.allocation();
        };
        let why = if self.allocation() == "full" { "`allocation` wants it so" } else { why.as_str() };
        if more.0 >= WORTH_TELLING {
            let time = Duration::from_secs(more.0.div_ceil(NETWORK_RATE));
            verdict.hazards.push(self.hazard(
                HazardCode::SlowAllocation,
                format!(
                    "{} on {} is allocated by writing {}: {why}. At {} a second, what a network of 1 Gbit/s carries, that takes {}",
                    self.path,
                    self.host,
                    more.rounded(),
                    Size(NETWORK_RATE).rounded(),
                    lasting(time)
                ),
                "Nothing has to be accepted. allocation = \"sparse\" takes no time, and no room beforehand.",
            ));
        }
        "full"
    }

    pub(super) fn need(&self, scene: &Scene, bytes: u64, size: Size, inodes: u64) -> Result<Need, String> {
        let promised = size.0.saturating_sub(bytes);
        let at = self.room.directory.clone();
        Ok(match &self.room.state {
            RoomState::New { filesystem, size } => Need {
                filesystem: filesystem.clone(),
                at,
                free: Some(*size),
                free_inodes: None,
                bytes,
                promised,
                inodes,
                shared: self.room.shared,
            },
            RoomState::Open { look_in } => {
                let space = space::read(scene.host(self.host), look_in)?;
                Need {
                    filesystem: space.filesystem,
                    at,
                    free: Some(space.free),
                    free_inodes: space.free_inodes,
                    bytes,
                    promised,
                    inodes,
                    shared: self.room.shared,
                }
            }
            RoomState::Later(why) | RoomState::Unknown(why) => return Err(why.clone()),
        })
    }
}

/// `3 min 20 s`.
fn lasting(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Bytes that an image of that size takes at once. qcow2 with 64 KiB clusters: an L2 entry of 8 bytes and a refcount of 2 bytes
/// for each, and a few clusters of its own (QEMU's docs/interop/qcow2.txt).
pub(super) fn reserved(format: &str, size: Size, allocation: &str) -> u64 {
    const CLUSTER: u64 = 64 << 10;
    let tables = (size.0 / CLUSTER + 1) * 10 + 5 * CLUSTER;
    match (format, allocation) {
        ("raw", "sparse") => 0,
        ("raw", _) => size.0,
        (_, "sparse") => 4 * CLUSTER,
        (_, "metadata") => tables,
        _ => size.0.saturating_add(tables),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_takes_at_once_follows_format_and_allocation() {
        let gib = Size(1 << 30);
        assert_eq!(reserved("raw", gib, "sparse"), 0);
        assert_eq!(reserved("raw", gib, "full"), 1 << 30);
        assert_eq!(reserved("qcow2", gib, "sparse"), 256 << 10);
        // `qemu-img measure` says 1 074 135 040 bytes for a fully allocated qcow2 of 1 GiB.
        assert!((1_074_135_040..1_074_400_000).contains(&reserved("qcow2", gib, "full")));
    }
}
