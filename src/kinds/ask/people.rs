//! Users and groups: their numbers, and who the qemu user of a host is.

use crate::model::{HostFacts, Question};

use super::path::{FileType, Lineage};
use super::{Known, failure};

/// A numeric user and group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// The user that guests run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QemuUser {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    /// All groups, the primary one included.
    pub groups: Vec<u32>,
}

/// Asks for a user's number; a name that is a number needs no question.
pub fn user_question(name: &str) -> Option<Question> {
    name.parse::<u32>().is_err().then(|| Question::new(["getent", "--", "passwd", name]))
}

/// Asks for a group's number; a name that is a number needs no question.
pub fn group_question(name: &str) -> Option<Question> {
    name.parse::<u32>().is_err().then(|| Question::new(["getent", "--", "group", name]))
}

/// The number of a user; `None` if the host has no such user.
pub fn read_user(facts: &HostFacts, name: &str) -> Known<Option<u32>> {
    read_number(facts, name, user_question(name))
}

/// The number of a group; `None` if the host has no such group.
pub fn read_group(facts: &HostFacts, name: &str) -> Known<Option<u32>> {
    read_number(facts, name, group_question(name))
}

fn read_number(facts: &HostFacts, name: &str, question: Option<Question>) -> Known<Option<u32>> {
    let Some(question) = question else {
        return Ok(name.parse().ok());
    };
    let reply = facts.said(&question)?;
    match reply.status {
        0 => {
            let number = reply.out.lines().next().and_then(|line| line.split(':').nth(2)?.parse().ok());
            number.map(Some).ok_or_else(|| format!("getent printed something unexpected for {name}"))
        }
        // getent(1): "One or more supplied key could not be found in the database."
        2 => Ok(None),
        _ => Err(failure(&reply)),
    }
}

/// Asks, as the qemu user, whether a directory can be entered and written; or entered and listed, where it is only read.
pub fn access_question(user: &str, path: &str, reads_only: bool) -> Question {
    Question::new([if reads_only { "can_read" } else { "can_use" }, user, path])
}

/// Who may not pass where: the first directory above a path that a user cannot enter, judged by permission bits.
pub fn blocked_at<'a>(lineage: &'a Lineage, user: &QemuUser) -> Option<(&'a str, String)> {
    let above = lineage.paths.iter().zip(&lineage.inodes).take(lineage.paths.len() - 1);
    let mut closed = above.filter(|(_, inode)| {
        inode.file_type == FileType::Directory && !may(user, inode.uid, inode.gid, inode.mode.bits(), 0o1)
    });
    closed.next().map(|(path, inode)| (path.as_str(), format!("{} {}:{}", inode.mode, inode.uid, inode.gid)))
}

/// Whether the permission bits grant `wanted` (1 enter, 2 write, 4 read; added up) to a user.
pub fn may(user: &QemuUser, uid: u32, gid: u32, mode: u16, wanted: u16) -> bool {
    if user.uid == 0 {
        return true;
    }
    let shift = if user.uid == uid {
        6
    } else if user.groups.contains(&gid) {
        3
    } else {
        0
    };
    (mode >> shift) & wanted == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_class_that_matches_decides() {
        let qemu = QemuUser { name: "libvirt-qemu".into(), uid: 64055, gid: 104, groups: vec![104, 64055] };
        let table = [
            (64055, 104, 0o770, true),
            (0, 104, 0o770, true),
            (0, 0, 0o750, false),
            (0, 0, 0o753, true),
            // The owner has less than the group: the owner's bits count.
            (64055, 104, 0o070, false),
        ];
        for (uid, gid, mode, expected) in table {
            assert_eq!(may(&qemu, uid, gid, mode, 0o3), expected, "{uid}:{gid} {mode:o}");
        }
    }
}
