//! What an apply was about to do and what became of it, on disk before the next thing happens: an apply that is killed
//! anywhere leaves here which steps nobody knows the end of. Decides nothing, and is read back only to tell people and
//! to probe again.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::{Problem, StepId};
use crate::state::file::open_private;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Entry {
    Begin(Begin),
    /// The step may start at any time from now on.
    Intent {
        step: StepId,
    },
    Outcome {
        step: StepId,
        result: StepResult,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
    },
    /// Every step that was started has its outcome.
    End {},
}

/// What an apply sets out to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// The hash of the plan.
    pub plan: String,
    /// `apply`, `destroy`, `undo`, ...
    pub operation: String,
    /// RFC 3339.
    pub at: String,
    pub steps: Vec<StepId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepResult {
    Done,
    Failed,
    /// Not run: the host had changed since the plan.
    Changed,
    /// Nobody knows whether it ran.
    Unknown,
    /// It ran, and its inverse took it back.
    RolledBack,
}

/// The journal of one apply at a time, open for writing. Whoever opens it holds the lock of the state.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// The length of all whole lines.
    length: u64,
}

impl Journal {
    /// Opens the journal, and makes it if there is none. What a crash left of a line that was never acknowledged is cut.
    pub fn open(path: &Path) -> Result<Journal, Problem> {
        let failed = |error| unwritable(path, &error);
        let mut file = open_private(path).map_err(failed)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        entries(path, &text)?;
        let length = whole_lines(&text).len() as u64;
        if length < text.len() as u64 {
            file.set_len(length).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        Ok(Journal { path: path.to_owned(), file, length })
    }

    pub fn begin(&mut self, begin: Begin) -> Result<(), Problem> {
        self.append(&[Entry::Begin(begin)])
    }

    /// The steps must not start before this returns. Steps that start together share one write to disk (which takes the
    /// time of one fsync: about 0.2 ms on flash, far more on a turning disk).
    pub fn intent<'a>(&mut self, steps: impl IntoIterator<Item = &'a StepId>) -> Result<(), Problem> {
        let entries: Vec<Entry> = steps.into_iter().map(|step| Entry::Intent { step: step.clone() }).collect();
        self.append(&entries)
    }

    pub fn outcome(&mut self, step: &StepId, result: StepResult, message: &str) -> Result<(), Problem> {
        self.append(&[Entry::Outcome { step: step.clone(), result, message: message.to_owned() }])
    }

    /// Ends the apply. If all that was planned was done and verified, nothing needs to be remembered, and the journal is
    /// emptied.
    pub fn end(mut self, successful: bool) -> Result<(), Problem> {
        self.append(&[Entry::End {}])?;
        if successful {
            let emptied = self.file.set_len(0).and_then(|()| self.file.sync_all());
            emptied.map_err(|error| unwritable(&self.path, &error))?;
        }
        Ok(())
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), Problem> {
        let mut lines = Vec::new();
        for entry in entries {
            let written = serde_json::to_writer(&mut lines, entry);
            written.map_err(|error| unwritable(&self.path, &error.into()))?;
            lines.push(b'\n');
        }
        if lines.is_empty() {
            return Ok(());
        }
        let start = SeekFrom::Start(self.length);
        let appended =
            self.file.seek(start).and_then(|_| self.file.write_all(&lines)).and_then(|()| self.file.sync_data());
        if let Err(error) = appended {
            // Half a line must not run into the next one. If even this fails, the next write starts at the same place.
            let _ = self.file.set_len(self.length);
            return Err(unwritable(&self.path, &error));
        }
        self.length += lines.len() as u64;
        Ok(())
    }
}

/// Forgets what an interrupted apply left, when a plan has shown that nothing is left to do.
pub fn settle(path: &Path) -> Result<(), Problem> {
    match std::fs::metadata(path) {
        Ok(file) if file.len() > 0 => Journal::open(path)?.end(true),
        _ => Ok(()),
    }
}

/// The entries of the journal; none if there is no journal. The rest of a line that a crash cut short was never
/// acknowledged to anybody and counts as not written.
pub fn read(path: &Path) -> Result<Vec<Entry>, Problem> {
    match std::fs::read(path) {
        Ok(text) => entries(path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Problem::error(
            "journal-unreadable",
            format!("the journal in {} cannot be read: {error}", path.display()),
            "Without it nobody knows whether the last apply was interrupted. Run as the user that owns it.",
        )),
    }
}

/// The steps that were about to run when their apply was interrupted, in the order in which they were started: nobody
/// knows whether they ran. A later apply that has an outcome for a step settles it.
pub fn unfinished(entries: &[Entry]) -> Vec<StepId> {
    let mut open: Vec<&StepId> = Vec::new();
    let mut started_since_begin: BTreeSet<&StepId> = BTreeSet::new();
    for entry in entries {
        match entry {
            Entry::Begin(_) => started_since_begin.clear(),
            Entry::Intent { step } => {
                open.retain(|other| *other != step);
                open.push(step);
                started_since_begin.insert(step);
            }
            Entry::Outcome { step, .. } => open.retain(|other| *other != step),
            Entry::End {} => open.retain(|step| !started_since_begin.contains(step)),
        }
    }
    open.into_iter().cloned().collect()
}

/// The apply that has a beginning and no end, if the last one was interrupted.
pub fn interrupted(entries: &[Entry]) -> Option<&Begin> {
    entries.iter().rev().find_map(|entry| match entry {
        Entry::Begin(begin) => Some(Some(begin)),
        Entry::End {} => Some(None),
        Entry::Intent { .. } | Entry::Outcome { .. } => None,
    })?
}

fn whole_lines(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    &text[..end]
}

fn entries(path: &Path, text: &[u8]) -> Result<Vec<Entry>, Problem> {
    let lines = whole_lines(text).split_inclusive(|byte| *byte == b'\n');
    let entries = lines.enumerate().map(|(index, line)| {
        serde_json::from_slice(line).map_err(|error| {
            Problem::error(
                "journal-invalid",
                format!("line {} of the journal in {} cannot be read: {error}", index + 1, path.display()),
                "Move the file away and plan again: the hosts are asked what is really there.",
            )
        })
    });
    entries.collect()
}

fn unwritable(path: &Path, error: &io::Error) -> Problem {
    Problem::error(
        "journal-not-written",
        format!("the journal in {} cannot be written: {error}", path.display()),
        "No step is started without its line in the journal. Make the place writable, with room, and run again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn begin() -> Begin {
        Begin {
            plan: "sha256:9b0e".into(),
            operation: "apply".into(),
            at: "2026-11-22T15:00:00Z".into(),
            steps: vec!["a".into(), "b".into()],
        }
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("larder.state.journal");
        (directory, path)
    }

    fn steps(names: &[&str]) -> Vec<StepId> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn an_interrupted_apply_leaves_the_steps_that_nobody_knows_of() {
        let (_directory, path) = place();
        assert_eq!(read(&path).expect("nothing"), []);
        let mut journal = Journal::open(&path).expect("open");
        journal.begin(begin()).expect("written");
        journal.intent(&steps(&["a", "b", "c"])).expect("written");
        journal.outcome(&"b".to_owned(), StepResult::Failed, "two\nlines").expect("written");
        drop(journal);
        let entries = read(&path).expect("entries");
        assert_eq!(unfinished(&entries), steps(&["a", "c"]));
        assert_eq!(interrupted(&entries), Some(&begin()));

        let mut journal = Journal::open(&path).expect("open");
        journal.begin(begin()).expect("written");
        journal.intent(&steps(&["a", "d"])).expect("written");
        journal.outcome(&"a".to_owned(), StepResult::Done, "").expect("written");
        journal.outcome(&"d".to_owned(), StepResult::Unknown, "lost").expect("written");
        journal.end(false).expect("written");
        let entries = read(&path).expect("entries");
        assert_eq!(unfinished(&entries), steps(&["c"]), "an outcome settles a step of an earlier apply");
        assert_eq!(interrupted(&entries), None);

        let mut journal = Journal::open(&path).expect("open");
        journal.begin(begin()).expect("written");
        journal.end(true).expect("written");
        assert_eq!(std::fs::read(&path).expect("there"), b"");
    }

    #[test]
    fn a_line_that_is_no_entry_is_a_problem() {
        let (_directory, path) = place();
        for text in [
            "garbage\n",
            "{\"entry\":\"end\"}\n\n",
            "{\"entry\":\"intent\"}\n",
            "{\"entry\":\"intent\",\"step\":\"a\",\"x\":1}\n",
        ] {
            std::fs::write(&path, text).expect("written");
            assert_eq!(read(&path).expect_err(text).code, "journal-invalid");
            assert_eq!(Journal::open(&path).expect_err(text).code, "journal-invalid");
        }
    }

    #[test]
    fn a_journal_that_cannot_be_written_says_so() {
        let (_directory, path) = place();
        drop(Journal::open(&path).expect("open"));
        let read_only = File::open(&path).expect("open");
        let mut journal = Journal { path, file: read_only, length: 0 };
        assert_eq!(journal.begin(begin()).expect_err("read-only").code, "journal-not-written");
        assert_eq!(journal.length, 0);
        assert_eq!(Journal::open(Path::new("/dev/null")).expect_err("not a file").code, "journal-not-written");
    }

    proptest! {
        #[test]
        fn a_journal_cut_anywhere_keeps_its_whole_lines_and_goes_on(cut in 0..10_000usize, tail in prop::collection::vec(any::<u8>(), 0..20)) {
            let (_directory, path) = place();
            let mut journal = Journal::open(&path).expect("open");
            journal.begin(begin()).expect("written");
            for step in ["a", "b", "c"] {
                journal.intent(&steps(&[step])).expect("written");
                journal.outcome(&step.to_owned(), StepResult::Done, "é").expect("written");
            }
            drop(journal);
            let whole = read(&path).expect("entries");
            let text = std::fs::read(&path).expect("text");
            let cut = cut % (text.len() + 1);
            let tail: Vec<u8> = tail.into_iter().filter(|byte| *byte != b'\n').collect();
            std::fs::write(&path, [&text[..cut], &tail].concat()).expect("written");

            let kept = text[..cut].iter().filter(|byte| **byte == b'\n').count();
            prop_assert_eq!(read(&path).expect("entries"), &whole[..kept]);
            let mut journal = Journal::open(&path).expect("open");
            journal.intent(&steps(&["d"])).expect("written");
            let mut expected = whole[..kept].to_vec();
            expected.push(Entry::Intent { step: "d".into() });
            prop_assert_eq!(read(&path).expect("entries"), expected);
        }
    }
}
