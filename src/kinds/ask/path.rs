//! A path and the directories above it: which of them exist, what they are, whose they are.

use crate::model::{HostFacts, Mode, Question, Reply};

use super::{Known, failure};

/// What stat(1) tells about one path, symbolic links not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    pub file_type: FileType,
    pub mode: Mode,
    pub uid: u32,
    pub gid: u32,
    pub device: u64,
    pub inode: u64,
}

impl Inode {
    /// The number of the inode, for commands; empty for one that does not exist yet.
    pub fn number(&self) -> String {
        if self.inode == 0 { String::new() } else { self.inode.to_string() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    Directory,
    Regular,
    Symlink,
    Block,
    Other,
}

/// A path with its ancestors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// `/`, `/srv`, `/srv/images`: the root first, the path itself last.
    pub paths: Vec<String>,
    /// What exists of them, in the same order; shorter than `paths` where the path does not exist.
    pub inodes: Vec<Inode>,
}

impl Lineage {
    /// The path itself, if it exists.
    pub fn last(&self) -> Option<&Inode> {
        (self.inodes.len() == self.paths.len()).then(|| self.inodes.last()).flatten()
    }

    pub fn exists(&self) -> bool {
        self.last().is_some()
    }

    /// The directories that `mkdir -p` would make, outermost first.
    pub fn missing(&self) -> &[String] {
        &self.paths[self.inodes.len()..]
    }

    /// The nearest directory above that exists (the path itself, if it does).
    pub fn nearest(&self) -> &str {
        self.inodes.len().checked_sub(1).map_or("/", |last| &self.paths[last])
    }

    /// The first part of the path that is no directory: a symbolic link or a file.
    pub fn obstacle(&self) -> Option<(&str, FileType)> {
        let parts = self.paths.iter().zip(&self.inodes);
        parts
            .filter(|(_, inode)| inode.file_type != FileType::Directory)
            .map(|(path, inode)| (path.as_str(), inode.file_type))
            .next()
    }
}

/// `/srv/images` as `/`, `/srv`, `/srv/images`.
pub fn with_ancestors(path: &str) -> Vec<String> {
    let mut all = vec!["/".to_owned()];
    let ends = path.char_indices().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| at).chain([path.len()]);
    all.extend(ends.filter(|end| *end > 1).map(|end| path[..end].to_owned()));
    all
}

/// Asks for an absolute, normalised path and everything above it.
pub fn question(path: &str) -> Question {
    let words = ["stat", "-c", "%f %u %g %d %i", "--"].map(str::to_owned);
    Question::new(words.into_iter().chain(with_ancestors(path)))
}

/// What the host said about a path.
pub fn read(facts: &HostFacts, path: &str) -> Known<Lineage> {
    let reply = facts.said(&question(path))?;
    let paths = with_ancestors(path);
    let inodes = reply.out.lines().map(parse_inode).collect::<Option<Vec<_>>>().ok_or_else(|| unreadable(&reply))?;
    // Each ancestor exists where its child does, so what is missing is a tail; anything else is no answer.
    let absent = |line: &str| line.ends_with("No such file or directory") || line.ends_with("Not a directory");
    let plausible = inodes.len() <= paths.len()
        && reply.err.lines().count() == paths.len() - inodes.len()
        && reply.err.lines().all(absent)
        && (reply.status == 0) == (inodes.len() == paths.len());
    match plausible {
        true => Ok(Lineage { paths, inodes }),
        false => Err(failure(&reply)),
    }
}

fn unreadable(reply: &Reply) -> String {
    format!("stat printed something unexpected: {:?}", reply.out.chars().take(80).collect::<String>())
}

/// Reads one line of `stat -c "%f %u %g %d %i"`.
pub(super) fn parse_inode(line: &str) -> Option<Inode> {
    let mut words = line.split(' ');
    let raw = u32::from_str_radix(words.next()?, 16).ok()?;
    let uid = words.next()?.parse().ok()?;
    let gid = words.next()?.parse().ok()?;
    let device = words.next()?.parse().ok()?;
    let inode = words.next()?.parse().ok()?;
    // The type bits of inode(7).
    let file_type = match raw & 0o170000 {
        0o040000 => FileType::Directory,
        0o100000 => FileType::Regular,
        0o120000 => FileType::Symlink,
        0o060000 => FileType::Block,
        _ => FileType::Other,
    };
    let mode = Mode::new((raw & 0o7777) as u16)?;
    words.next().is_none().then_some(Inode { file_type, mode, uid, gid, device, inode })
}

/// Asks for the names in a directory, the first few dozen.
pub fn entries_question(path: &str) -> Question {
    Question::new(["directory_entries", path])
}

/// What is said of a directory in which nothing lies.
pub const NO_ENTRIES: &str = "/\n";

/// The most lines that are told of a directory.
const MOST_ENTRIES: usize = 33;

/// The names in a directory, sorted; none where the directory does not exist. Of many names only some are known.
pub fn read_entries(facts: &HostFacts, path: &str) -> Known<Vec<String>> {
    let reply = facts.said(&entries_question(path))?;
    if reply.err.trim_end().ends_with("No such file or directory") {
        return Ok(Vec::new());
    }
    let mut names: Vec<_> = reply.out.lines().map(str::to_owned).collect();
    // No name has a slash. A listing that was cut off without reaching the limit is no answer.
    let is_whole = names.pop_if(|last| last == "/").is_some();
    if reply.status != 0 || !reply.err.is_empty() || !(is_whole || names.len() == MOST_ENTRIES) {
        return Err(failure(&reply));
    }
    names.sort();
    Ok(names)
}

/// Asks for the file attributes (chattr(1)) of a path and everything above it.
pub fn attributes_question(path: &str) -> Question {
    Question::new(["lsattr", "-d", "--"].map(str::to_owned).into_iter().chain(with_ancestors(path)))
}

/// Whether the last of the existing paths can be made immutable (`None` if not) and is so already.
pub fn read_immutable(facts: &HostFacts, lineage: &Lineage) -> Option<bool> {
    let path = lineage.paths.last().map_or("/", String::as_str);
    let reply = facts.said(&attributes_question(path)).ok()?;
    let nearest = lineage.nearest();
    let flags = reply.out.lines().find_map(|line| line.split_once(' ').filter(|(_, path)| *path == nearest))?.0;
    Some(flags.contains('i'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Answer;

    fn host(question: Question, status: i32, out: &str, err: &str) -> HostFacts {
        let reply = Reply { status, out: out.to_owned(), err: err.to_owned() };
        HostFacts::Reached([(question, Answer::Said(reply))].into())
    }

    #[test]
    fn a_path_is_asked_with_everything_above_it() {
        assert_eq!(with_ancestors("/srv/my images"), ["/", "/srv", "/srv/my images"]);
        assert_eq!(with_ancestors("/"), ["/"]);
    }

    #[test]
    fn what_is_missing_is_the_tail() {
        let facts = host(
            question("/srv/a/b"),
            1,
            "41ed 0 0 2049 2\n41ed 0 0 2049 77\n",
            "stat: cannot statx '/srv/a': No such file or directory\nstat: cannot statx '/srv/a/b': No such file or directory\n",
        );
        let lineage = read(&facts, "/srv/a/b").expect("an answer");
        assert_eq!(lineage.missing(), ["/srv/a", "/srv/a/b"]);
        assert_eq!(lineage.nearest(), "/srv");
        assert!(!lineage.exists());
    }

    #[test]
    fn a_failure_is_never_an_absent_path() {
        for (status, err) in [
            (1, "stat: cannot statx '/srv/a': Permission denied\n"),
            (1, "stat: cannot statx '/srv/a': Stale file handle\n"),
            (0, ""),
            (127, "sh: stat: not found\n"),
            (1, ""),
        ] {
            let facts = host(question("/srv/a"), status, "41ed 0 0 2049 2\n41ed 0 0 2049 77\n", err);
            assert!(read(&facts, "/srv/a").is_err(), "{err}");
        }
    }

    #[test]
    fn a_directory_is_empty_only_where_the_listing_came_to_its_end() {
        let many = "x\n".repeat(33);
        let table: [(i32, &str, &str, Option<usize>); 8] = [
            (0, NO_ENTRIES, "", Some(0)),
            (0, "b\na\n/\n", "", Some(2)),
            (0, &many, "", Some(33)),
            (0, "", "ls: cannot access '/x': No such file or directory\n", Some(0)),
            (0, "", "", None),
            (0, "b\na\n", "", None),
            (0, "", "ls: cannot open directory '/x': Permission denied\n", None),
            (137, NO_ENTRIES, "", None),
        ];
        for (status, out, err, count) in table {
            let facts = host(entries_question("/x"), status, out, err);
            assert_eq!(read_entries(&facts, "/x").ok().map(|names| names.len()), count, "{status} {out:?} {err:?}");
        }
    }

    #[test]
    fn a_symbolic_link_on_the_way_is_an_obstacle() {
        let facts = host(question("/var/run/x"), 0, "41ed 0 0 1 2\n41ed 0 0 1 3\na1ff 0 0 1 4\n41c0 1 2 1 5\n", "");
        let lineage = read(&facts, "/var/run/x").expect("an answer");
        assert_eq!(lineage.obstacle(), Some(("/var/run", FileType::Symlink)));
        assert_eq!(
            lineage.last().map(|inode| (inode.mode.to_string(), inode.uid, inode.gid)),
            Some(("0700".into(), 1, 2))
        );
    }
}
