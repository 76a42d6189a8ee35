//! The super block of OCFS2, read from the disk itself: the tools that would tell the same load the cluster stack into the kernel.

use crate::model::{HostFacts, Question, Size};

use super::{Known, failure};

/// What an OCFS2 says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Super {
    /// In small letters with dashes, as blkid(8) tells it.
    pub uuid: String,
    pub label: String,
    pub slots: u16,
    pub cluster_size: u64,
    /// How many clusters of bytes the file system has.
    pub clusters: u32,
    /// `o2cb`, `pcmk`, `cman`; `None` for a file system of old that names none ("classic").
    pub stack: Option<String>,
    /// Of the cluster that it was made for; empty where it names none.
    pub cluster: String,
    pub is_global: bool,
}

impl Super {
    pub fn size(&self) -> Size {
        Size(self.cluster_size.saturating_mul(u64::from(self.clusters)))
    }
}

pub fn question(device: &str) -> Question {
    Question::new(["ocfs2_super", device])
}

pub const FUNCTION: (&str, &str) = ("ocfs2_super", include_str!("ocfs2.sh"));

/// `None` where the device holds no OCFS2.
pub fn read(facts: &HostFacts, device: &str) -> Known<Option<Super>> {
    let reply = facts.said(&question(device))?;
    let text = reply.out.strip_suffix("end\n").filter(|_| reply.status == 0).ok_or_else(|| failure(&reply))?;
    // A block of that size tells that it is one; elsewhere are backups and what was there before.
    for line in text.lines() {
        let (size, hex) = line.split_once(' ').ok_or("the super block makes no sense")?;
        let bytes: Option<Vec<u8>> = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
        let found = bytes.and_then(|bytes| parse(&bytes)).ok_or("the super block makes no sense")?;
        if found.0 == size.parse::<u64>().unwrap_or_default() {
            return Ok(Some(found.1));
        }
    }
    Ok(None)
}

/// The beginning of `struct ocfs2_dinode` and the `struct ocfs2_super_block` within it (fs/ocfs2/ocfs2_fs.h of Linux), with the size of
/// a block.
fn parse(bytes: &[u8]) -> Option<(u64, Super)> {
    const SUPER: usize = 0xc0;
    /// `OCFS2_FEATURE_INCOMPAT_CLUSTERINFO` and `..._USERSPACE_STACK`.
    const NAMES_A_STACK: u32 = 0x4000 | 0x0080;
    let part = |at: usize, length: usize| bytes.get(at..at + length);
    let number = |at: usize, length: usize| {
        Some(part(at, length)?.iter().rev().fold(0u64, |all, byte| all << 8 | u64::from(*byte)))
    };
    let text = |at: usize, length: usize| {
        let bytes = part(at, length)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(length);
        Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
    };
    if part(0, 6)? != b"OCFSV2" {
        return None;
    }
    let power = |at: usize| number(at, 4).filter(|bits| *bits < 40).map(|bits| 1u64 << bits);
    let incompat = u32::try_from(number(SUPER + 0x20, 4)?).ok()?;
    let uuid: [u8; 16] = part(SUPER + 0x90, 16)?.try_into().ok()?;
    let names_a_stack = incompat & NAMES_A_STACK != 0;
    let found = Super {
        uuid: uuid::Uuid::from_bytes(uuid).to_string(),
        label: text(SUPER + 0x50, 64)?,
        slots: u16::try_from(number(SUPER + 0x40, 2)?).ok()?,
        cluster_size: power(SUPER + 0x3c)?,
        clusters: u32::try_from(number(0x14, 4)?).ok()?,
        stack: if names_a_stack { Some(text(SUPER + 0xa0, 4)?) } else { None },
        cluster: if names_a_stack { text(SUPER + 0xa8, 16)? } else { String::new() },
        // OCFS2_CLUSTER_O2CB_GLOBAL_HEARTBEAT
        is_global: names_a_stack && number(SUPER + 0xa4, 1)? & 1 != 0,
    };
    Some((power(SUPER + 0x38)?, found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Answer, Reply};
    use proptest::prelude::*;

    fn said(status: i32, out: &str) -> Known<Option<Super>> {
        let reply = Reply { status, out: out.to_owned(), err: String::new() };
        read(&HostFacts::Reached([(question("/dev/x"), Answer::Said(reply))].into()), "/dev/x")
    }

    #[test]
    fn silence_is_no_blank_device() {
        assert_eq!(said(0, "end\n"), Ok(None));
        for (status, out) in [(0, ""), (1, "end\n"), (0, "4096 4f 43\nend\n"), (0, "4096\nend\n")] {
            assert!(said(status, out).is_err(), "{status} {out:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_super_block_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = parse(&bytes);
        }
    }
}
