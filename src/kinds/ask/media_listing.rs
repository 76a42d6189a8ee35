//! The files of a repository of installation media.

use crate::model::{HostFacts, Question};

use super::{Known, failure};

/// No more files are told of one repository.
const MOST: usize = 2000;

/// What a file is, by its suffix; case does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Medium {
    Iso,
    /// A package of flexVDI's with tools for guests.
    Fvm,
    Other,
}

impl Medium {
    pub fn of(name: &str) -> Self {
        let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix.to_ascii_lowercase());
        match suffix.as_deref() {
            Some("iso") => Medium::Iso,
            Some("fvm") => Medium::Fvm,
            _ => Medium::Other,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Medium::Iso => "iso",
            Medium::Fvm => "fvm",
            Medium::Other => "other",
        }
    }
}

/// Files by path below the directory, with their sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    pub files: Vec<(String, u64)>,
    /// Those are all that there are.
    pub is_whole: bool,
}

pub fn question(directory: &str) -> Question {
    Question::new(["media_listing".to_owned(), directory.to_owned(), MOST.to_string()])
}

pub fn read(facts: &HostFacts, directory: &str) -> Known<Listing> {
    let reply = facts.said(&question(directory))?;
    let mut words: Vec<&str> = reply.out.split_terminator('\0').collect();
    let is_whole = words.pop_if(|last| *last == "end").is_some();
    // A listing that was cut short without reaching the limit is no answer.
    if !words.len().is_multiple_of(2) && words.len() < 2 * MOST
        || !is_whole && words.len() < 2 * MOST
        || !reply.err.is_empty()
    {
        return Err(failure(&reply));
    }
    let files = words.chunks_exact(2).map(|pair| Some((pair[1].to_owned(), pair[0].parse().ok()?)));
    let mut files: Vec<_> = files.collect::<Option<_>>().ok_or("the listing makes no sense")?;
    files.sort();
    Ok(Listing { files, is_whole })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Answer, Reply};

    fn listed(out: &str, err: &str) -> Known<Listing> {
        let reply = Reply { status: 0, out: out.to_owned(), err: err.to_owned() };
        read(&HostFacts::Reached([(question("/m"), Answer::Said(reply))].into()), "/m")
    }

    #[test]
    fn media_are_told_by_their_suffix() {
        let table = [("a.iso", "iso"), ("B.ISO", "iso"), ("x/y.FVM", "fvm"), ("c.txt", "other"), ("iso", "other")];
        for (name, kind) in table {
            assert_eq!(Medium::of(name).as_str(), kind, "{name}");
        }
    }

    #[test]
    fn a_listing_is_whole_or_full_or_no_answer() {
        let found = listed("5\0b.iso\x007\0a b\nc.txt\0end\0", "").expect("a listing");
        assert_eq!(found.files, [("a b\nc.txt".to_owned(), 7), ("b.iso".to_owned(), 5)]);
        assert!(found.is_whole);
        let full = "1\0x\0".repeat(MOST);
        assert!(!listed(&full, "").expect("a listing").is_whole);
        for (out, err) in
            [("5\0b.iso\0", ""), ("", ""), ("5\0b.iso\0end\0", "find: ...: Permission denied\n"), ("x\0b\0end\0", "")]
        {
            assert!(listed(out, err).is_err(), "{out:?}");
        }
    }
}
