//! What is mounted, from /proc/self/mountinfo (proc_pid_mountinfo(5)): the kernel's own words, which no dead server delays.

use crate::model::{Guard, HostFacts, Question};

use super::{Known, failure, path};

/// One line of mountinfo, unescaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub id: u64,
    /// The id of the mount that it lies on.
    pub parent: u64,
    /// `MAJOR:MINOR` of the file system.
    pub device: String,
    /// The directory of the file system that is mounted; `/` but for bind mounts and subvolumes.
    pub root: String,
    pub target: String,
    /// Options of this mount.
    pub options: String,
    pub fstype: String,
    pub source: String,
    /// Options of the file system.
    pub super_options: String,
    /// The line without the numbers that the kernel gives out anew (mount ids, peer groups), for guards.
    stable: String,
}

impl Mount {
    /// Whether an option, such as `noatime` or `size=64k`, is in force for the mount or its file system.
    pub fn has_option(&self, option: &str) -> bool {
        self.options.split(',').chain(self.super_options.split(',')).any(|one| one == option)
    }

    /// Whether the option is one of this mount, not of its file system.
    pub fn has_option_of_mount(&self, option: &str) -> bool {
        self.options.split(',').any(|one| one == option)
    }

    /// File systems whose storage is another machine or a program; `fuse.NAME` is one too.
    pub const TYPES_OF_OTHERS: [&str; 12] =
        ["nfs", "nfs4", "cifs", "smb3", "fuse", "ocfs2", "gfs2", "ceph", "lustre", "9p", "afs", "autofs"];

    /// Whether its storage may not answer: those that [`super::network_mounts`] asks.
    pub fn depends_on_others(&self) -> bool {
        Self::TYPES_OF_OTHERS.contains(&self.fstype.as_str()) || self.fstype.starts_with("fuse.")
    }

    /// The value of `NAME=VALUE` among the options.
    pub fn option(&self, name: &str) -> Option<&str> {
        let all = self.options.split(',').chain(self.super_options.split(','));
        all.filter_map(|one| one.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// All mounts of a host, in the order in which the kernel lists them: the last at a path is on top.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mounts(pub Vec<Mount>);

impl Mounts {
    /// What is mounted exactly at a path, bottom first.
    pub fn at(&self, path: &str) -> Vec<&Mount> {
        self.0.iter().filter(|mount| mount.target == path).collect()
    }

    /// A mount at a path that nobody can reach, because something else was mounted above it later: what covers it.
    pub fn covered(&self, path: &str) -> Option<&Mount> {
        let hidden = self.at(path).into_iter().find(|mount| !self.is_reachable(mount))?;
        self.0
            .iter()
            .rev()
            .find(|mount| mount.target != path && is_within(path, &mount.target) && mount.id != hidden.parent)
    }

    /// Whether a walk along the path of a mount arrives at it: at each directory the walk enters what is mounted there on what
    /// it has come from.
    fn is_reachable(&self, wanted: &Mount) -> bool {
        let Some(mut at) =
            self.0.iter().find(|mount| mount.target == "/" && !self.0.iter().any(|other| other.id == mount.parent))
        else {
            return true; // a mount table without a root shows only part of the tree
        };
        for directory in path::with_ancestors(&wanted.target) {
            while let Some(next) =
                self.0.iter().find(|mount| mount.target == directory && mount.parent == at.id && mount.id != at.id)
            {
                at = next;
                if at.id == wanted.id {
                    return true;
                }
            }
        }
        at.id == wanted.id
    }

    /// The mount that a path lies in.
    pub fn containing(&self, path: &str) -> Option<&Mount> {
        let inside = self.0.iter().filter(|mount| is_within(path, &mount.target));
        inside.max_by_key(|mount| mount.target.len())
    }

    /// Mounts below a path, not at it.
    pub fn below(&self, path: &str) -> Vec<&Mount> {
        self.0.iter().filter(|mount| mount.target != path && is_within(&mount.target, path)).collect()
    }

    /// What a path is within its file system: the device and the directory inside it.
    pub fn locate(&self, path: &str) -> Option<(String, String)> {
        let mount = self.containing(path)?;
        let rest = path[mount.target.trim_end_matches('/').len()..].to_owned();
        let root = format!("{}{rest}", mount.root.trim_end_matches('/'));
        Some((mount.device.clone(), if root.is_empty() { "/".to_owned() } else { root }))
    }

    /// A guard that holds while the mounts at a path are what they are now.
    pub fn guard(&self, path: &str) -> Guard {
        let out: String = self.at(path).iter().map(|mount| format!("{}\n", mount.stable)).collect();
        Guard { what: format!("what is mounted at {path}"), ask: at_question(path), status: 0, out }
    }
}

/// Whether `path` is `directory` or lies below it.
pub fn is_within(path: &str, directory: &str) -> bool {
    let directory = directory.trim_end_matches('/');
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub fn question() -> Question {
    Question::new(["cat", "/proc/self/mountinfo"])
}

/// The question of a guard: the mounts at one path. The path goes in as the kernel writes it.
pub fn at_question(path: &str) -> Question {
    Question::new(["mounts_at", &escape(path)])
}

/// The mounts of a host. A line that makes no sense makes the whole answer unknown.
pub fn read(facts: &HostFacts) -> Known<Mounts> {
    let reply = facts.said(&question())?;
    if reply.status != 0 || reply.out.is_empty() {
        return Err(failure(&reply));
    }
    let mounts = reply
        .out
        .lines()
        .map(|line| parse(line).ok_or_else(|| format!("mountinfo has a line that makes no sense: {line:?}")));
    mounts.collect::<Result<Vec<_>, _>>().map(Mounts)
}

fn parse(line: &str) -> Option<Mount> {
    let mut words = line.split(' ');
    let id = words.next()?.parse().ok()?;
    let parent = words.next()?.parse().ok()?;
    let (device, root, target, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
    // Optional fields end at a lone dash.
    let mut words = words.skip_while(|word| *word != "-");
    words.next()?;
    let (fstype, source) = (words.next()?, words.next()?);
    let super_options = words.next().unwrap_or("");
    Some(Mount {
        id,
        parent,
        device: device.to_owned(),
        root: unescape(root),
        target: unescape(target),
        options: options.to_owned(),
        fstype: unescape(fstype),
        source: unescape(source),
        super_options: unescape(super_options),
        stable: format!("{device} {root} {options} {fstype} {source} {super_options}"),
    })
}

/// Undoes the octal escapes of mountinfo and fstab: `\040` is a space.
pub fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes a text as the kernel does in mountinfo and as fstab(5) wants it.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' | '\t' | '\n' | '\\' => escaped.push_str(&format!("\\{:03o}", c as u32)),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEEN: &str = r"864 762 0:331 / /w/mnt/my\040images rw,relatime - tmpfs my\040src rw,size=64k
865 762 0:332 / /w/mnt/tab\011x rw,relatime shared:12 master:3 - tmpfs t2 rw
866 762 8:1 /data/in /w/mnt/back\134slash ro,noatime - ext4 /dev/sda1 rw
869 864 0:336 / /w/mnt/my\040images rw,relatime - tmpfs over rw
28 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw";

    fn seen() -> Mounts {
        Mounts(SEEN.lines().map(|line| parse(line).expect(line)).collect())
    }

    #[test]
    fn names_with_spaces_and_backslashes_come_back() {
        let targets: Vec<_> = seen().0.iter().map(|mount| mount.target.clone()).collect();
        assert_eq!(targets, ["/w/mnt/my images", "/w/mnt/tab\tx", "/w/mnt/back\\slash", "/w/mnt/my images", "/"]);
        assert_eq!(seen().at("/w/mnt/my images").last().map(|mount| mount.source.as_str()), Some("over"));
        assert_eq!(seen().at("/w/mnt/my images")[0].option("size"), Some("64k"));
    }

    #[test]
    fn a_bind_mount_is_found_by_device_and_directory() {
        assert_eq!(seen().locate("/data/in"), Some(("8:1".into(), "/data/in".into())));
        assert_eq!(seen().locate("/w/mnt/back\\slash/x"), Some(("8:1".into(), "/data/in/x".into())));
        assert_eq!(seen().locate("/"), Some(("8:1".into(), "/".into())));
    }

    #[test]
    fn a_guard_leaves_out_what_changes_by_itself() {
        assert_eq!(seen().guard("/w/mnt/tab\tx").out, "0:332 / rw,relatime tmpfs t2 rw\n");
        assert_eq!(seen().guard("/elsewhere").out, "");
    }

    proptest! {
        #[test]
        fn escaping_comes_back(text in "[^\0]*") {
            prop_assert_eq!(unescape(&escape(&text)), text);
        }

        #[test]
        fn any_line_is_a_mount_or_nothing(line in any::<String>()) {
            let _ = parse(&line);
        }
    }
}
