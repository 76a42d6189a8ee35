//! Which mounts answer whose storage is another machine or a program of the host: NFS, CIFS, FUSE, cluster file systems. Each is
//! asked for its size (statfs(2)), which no cache of the client answers, in a process that can be killed.

use std::collections::BTreeMap;

use crate::model::{HostFacts, Question};

use super::mounts::{is_within, unescape};
use super::{Known, failure};

/// How a mount answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    Answers,
    /// Not within four seconds.
    Silent,
    /// With an error: `Stale file handle`.
    Fails(String),
}

/// The mounts of a host that were asked, by mount point.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkMounts(BTreeMap<String, Reach>);

impl NetworkMounts {
    /// How the mount exactly at a path answers; `None` where it was not asked.
    pub fn at(&self, path: &str) -> Option<&Reach> {
        self.0.get(path)
    }

    /// Whether the server has forgotten the mount exactly at a path (ESTALE of errno(3)).
    pub fn is_stale(&self, path: &str) -> bool {
        matches!(self.at(path), Some(Reach::Fails(why)) if why == "Stale file handle")
    }

    /// The mount point at or above a path that does not answer.
    pub fn silent_above(&self, path: &str) -> Option<&str> {
        let mut silent = self.0.iter().filter(|(_, reach)| **reach == Reach::Silent);
        silent.find(|(target, _)| is_within(path, target)).map(|(target, _)| target.as_str())
    }
}

pub fn question() -> Question {
    Question::new(["network_mounts"])
}

pub fn read(facts: &HostFacts) -> Known<NetworkMounts> {
    let reply = facts.said(&question())?;
    let lines: Vec<_> = reply.out.lines().collect();
    let Some((&"end", lines)) = lines.split_last() else { return Err(failure(&reply)) };
    let mounts: Option<_> = lines.iter().map(|line| parse(line)).collect();
    mounts.map(NetworkMounts).ok_or_else(|| "what the host says of its network mounts makes no sense".to_owned())
}

fn parse(line: &str) -> Option<(String, Reach)> {
    let mut words = line.splitn(3, ' ');
    let status: i32 = words.next()?.parse().ok()?;
    let target = unescape(words.next().filter(|target| target.starts_with('/'))?);
    let text = words.next().unwrap_or_default();
    let reach = match status {
        0 => Reach::Answers,
        // What timeout(1) gives for a process that it had to end.
        124 | 137 => Reach::Silent,
        // The words of strerror(3) stand after the last colon.
        _ => Reach::Fails(text.rsplit(": ").next().unwrap_or_default().to_owned()),
    };
    Some((target, reach))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Answer, Reply};

    fn said(out: &str) -> Known<NetworkMounts> {
        let reply = Reply { status: 0, out: out.to_owned(), err: String::new() };
        read(&HostFacts::Reached([(question(), Answer::Said(reply))].into()))
    }

    #[test]
    fn each_mount_says_how_it_answers() {
        let stale =
            "1 /srv/my\\040nfs stat: cannot read file system information for '/srv/my nfs': Stale file handle\n";
        let mounts = said(&format!("0 /srv/a \n137 /srv/dead \n{stale}end\n")).expect("an answer");
        assert_eq!(mounts.at("/srv/a"), Some(&Reach::Answers));
        assert_eq!(mounts.at("/srv/my nfs"), Some(&Reach::Fails("Stale file handle".into())));
        assert_eq!(mounts.silent_above("/srv/dead/images"), Some("/srv/dead"));
        assert_eq!(mounts.silent_above("/srv/deader"), None);
        assert_eq!(mounts.at("/srv/b"), None);
    }

    #[test]
    fn each_type_that_depends_on_others_is_one_that_the_host_asks() {
        let asked = include_str!("../../transport/executor.sh");
        let list =
            asked.lines().find_map(|line| line.trim().strip_suffix(") ;;").filter(|list| list.starts_with("nfs |")));
        let asked: Vec<_> = list.expect("the list of the executor").split(" | ").collect();
        for fstype in asked.iter().map(|one| one.replace('*', "sshfs")) {
            let line = format!("1 2 0:30 / /x rw - {fstype} source rw\n");
            let reply = Reply { status: 0, out: line, err: String::new() };
            let facts = HostFacts::Reached([(super::super::mounts::question(), Answer::Said(reply))].into());
            let mounts = super::super::mounts::read(&facts).expect("one mount");
            assert!(mounts.0[0].depends_on_others(), "{fstype}");
        }
        let types = super::super::mounts::Mount::TYPES_OF_OTHERS;
        assert!(types.iter().all(|one| asked.contains(one)), "{types:?} against {asked:?}");
    }

    #[test]
    fn an_answer_without_its_end_is_no_answer() {
        for text in ["", "0 /srv/a \n", "x /srv/a\nend\n", "0\nend\n", "0 srv\nend\n"] {
            assert!(said(text).is_err(), "{text:?}");
        }
        assert_eq!(said("end\n"), Ok(NetworkMounts::default()));
    }
}
