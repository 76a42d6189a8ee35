//! A file in a repository of installation media: whether it is there, and which content it has.

use crate::model::{Guard, HostFacts, Question};

use super::{Known, failure};

/// A file that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    pub is_regular: bool,
    pub mode: u32,
    pub owner: u32,
    pub inode: u64,
    pub size: u64,
    /// When it was written, and when anything of it was changed: seconds with nine digits behind the point.
    pub written: String,
    pub changed: String,
    /// Asked only of a regular file of the size that is wanted.
    pub sha256: Option<String>,
}

/// Asks for a file, and for its digest if it has so many bytes; no host is asked for one while the size is not known.
pub fn question(path: &str, size: Option<u64>) -> Question {
    Question::new(["media_facts".to_owned(), path.to_owned(), size.map(|size| size.to_string()).unwrap_or_default()])
}

impl Medium {
    /// A guard that holds while the file at the path is the one that was seen, with the content that it had.
    pub fn guard(&self, path: &str) -> Guard {
        let ask = Question::new(["stat", "-c", "inode %i, %s bytes, written %.Y", "--", path]);
        let out = format!("inode {}, {} bytes, written {}\n", self.inode, self.size, self.written);
        Guard { what: format!("the content of {path}"), ask, status: 0, out }
    }

    /// The same as words of a command.
    pub fn words(&self) -> [String; 4] {
        [self.inode.to_string(), self.size.to_string(), self.written.clone(), self.changed.clone()]
    }
}

/// The file at a path; `None` where there is none.
pub fn read(facts: &HostFacts, path: &str, size: Option<u64>) -> Known<Option<Medium>> {
    let reply = facts.said(&question(path, size))?;
    if reply.status == 0 {
        let medium = parse(&reply.out).ok_or("the answer about the file makes no sense")?;
        return match medium.is_regular && Some(medium.size) == size && medium.sha256.is_none() {
            true => Err(format!("the digest of {path} was not told")),
            false => Ok(Some(medium)),
        };
    }
    let absent = ["No such file or directory", "Not a directory"];
    match reply.out.is_empty() && absent.iter().any(|text| reply.err.trim_end().ends_with(text)) {
        true => Ok(None),
        false => Err(failure(&reply)),
    }
}

fn parse(text: &str) -> Option<Medium> {
    let mut lines = text.lines();
    let words: Vec<_> = lines.next()?.split(' ').collect();
    let [mode, owner, _device, inode, size, written, changed] = words.as_slice() else { return None };
    let sha256 = match lines.next() {
        None => None,
        Some(line) => Some(line.strip_prefix("sha256 ").filter(|digest| is_digest(digest))?.to_owned()),
    };
    let mode = u32::from_str_radix(mode, 16).ok()?;
    let is_time = |text: &&str| !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
    let time = |text: &str| Some(text).filter(is_time).map(str::to_owned);
    Some(Medium {
        // The type bits of inode(7).
        is_regular: mode & 0o170000 == 0o100000,
        mode: mode & 0o7777,
        owner: owner.parse().ok()?,
        inode: inode.parse().ok()?,
        size: size.parse().ok()?,
        written: time(written)?,
        changed: time(changed)?,
        sha256,
    })
}

/// Whether a text is a SHA-256 as sha256sum(1) prints it.
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Answer, Reply};

    fn told(status: i32, out: &str, err: &str) -> Known<Option<Medium>> {
        let reply = Reply { status, out: out.to_owned(), err: err.to_owned() };
        read(&HostFacts::Reached([(question("/m/a", Some(5)), Answer::Said(reply))].into()), "/m/a", Some(5))
    }

    #[test]
    fn a_file_is_there_or_absent_or_unknown() {
        let digest = "a".repeat(64);
        let whole = told(0, &format!("81a4 0 64769 12 5 7.000000008 9.100000000\nsha256 {digest}\n"), "")
            .expect("known")
            .expect("a file");
        let (written, changed) = ("7.000000008".to_owned(), "9.100000000".to_owned());
        assert_eq!(
            whole,
            Medium {
                is_regular: true,
                mode: 0o644,
                owner: 0,
                inode: 12,
                size: 5,
                written,
                changed,
                sha256: Some(digest.clone())
            }
        );
        assert_eq!(whole.guard("/m/a").out, "inode 12, 5 bytes, written 7.000000008\n");
        let other = told(0, "81a4 0 64769 12 6 7.000000008 9.100000000\n", "").expect("known").expect("a file");
        assert_eq!((other.size, other.sha256), (6, None));
        assert!(
            !told(0, "41ed 0 64769 12 5 7.000000008 9.100000000\n", "")
                .expect("known")
                .expect("a directory")
                .is_regular
        );
        assert_eq!(told(1, "", "stat: cannot statx '/m/a': No such file or directory\n"), Ok(None));
        for (status, out, err) in [
            (0, "81a4 0 64769 12 5 7.000000008 9.100000000\n", ""),
            (0, "", ""),
            (0, "81a4 0 64769 12 6\n", ""),
            (0, "81a4 0 64769 12 5 7.000000008 9.100000000\nsha256 abc\n", ""),
            (1, "", "stat: cannot statx '/m/a': Input/output error\n"),
            (1, "81a4 0 64769 12 5 7.000000008 9.100000000\n", "/m/a changes while it is read\n"),
            (1, "81a4 0 64769 12 5 7.000000008 9.100000000\n", "sha256sum: /m/a: No such file or directory\n"),
            (137, "", ""),
        ] {
            assert!(told(status, out, err).is_err(), "{status} {out:?} {err:?}");
        }
    }
}
