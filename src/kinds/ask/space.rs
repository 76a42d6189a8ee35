//! Room in a file system: bytes and inodes that are free for users, from statfs(2).

use crate::model::{HostFacts, Question};

use super::Known;
use super::path::with_ancestors;

/// The room of the file system that a path lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// Tells file systems of one host apart.
    pub filesystem: String,
    pub free: u64,
    pub size: u64,
    /// `None` where the file system makes inodes as it needs them (btrfs).
    pub free_inodes: Option<u64>,
}

/// Asks for the room at a path, or at the nearest directory above it that exists.
pub fn question(path: &str) -> Question {
    let words = ["stat", "-f", "-c", "%i %S %b %a %c %d", "--"].map(str::to_owned);
    Question::new(words.into_iter().chain(with_ancestors(path)))
}

pub fn read(facts: &HostFacts, path: &str) -> Known<Space> {
    let reply = facts.said(&question(path))?;
    let line = reply.out.lines().last().ok_or_else(|| super::failure(&reply))?;
    if !reply.err.lines().all(|line| line.ends_with("No such file or directory")) {
        return Err(super::failure(&reply));
    }
    parse(line).ok_or_else(|| format!("stat -f printed something unexpected: {line:?}"))
}

fn parse(line: &str) -> Option<Space> {
    let mut words = line.split(' ');
    let filesystem = words.next()?.to_owned();
    let mut number = || words.next()?.parse::<u64>().ok();
    let (block, blocks, available, inodes, free_inodes) = (number()?, number()?, number()?, number()?, number()?);
    Some(Space {
        filesystem,
        free: available.checked_mul(block)?,
        size: blocks.checked_mul(block)?,
        free_inodes: (inodes > 0).then_some(free_inodes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_in_bytes() {
        assert_eq!(
            parse("8d0b2b1c 4096 66053021 17089961 100 7"),
            Some(Space {
                filesystem: "8d0b2b1c".into(),
                free: 17089961 * 4096,
                size: 66053021 * 4096,
                free_inodes: Some(7)
            })
        );
        assert_eq!(parse("x 4096 1 1 0 0").and_then(|space| space.free_inodes), None);
        assert_eq!(parse("x 4096 18446744073709551615 1 0 0"), None);
    }
}
