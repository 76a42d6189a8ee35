//! `larder fmt`: configuration files in the canonical layout. Each file is taken for itself: one that cannot be read, parsed
//! or written keeps no other from being formatted.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::cli::{Formatting, Global};
use crate::config::{self, Unformatted};
use crate::model::{Problem, Problems, escape_line};
use crate::state::file;
use crate::view;

use super::terminal::Terminal;
use super::workspace::directory;
use super::{Exit, Failure, Outcome};

/// What standard input is called.
const INPUT: &str = "<stdin>";

pub(super) fn run(global: &Global, wanted: &Formatting, terminal: &Terminal) -> Outcome {
    let mut formatter = Formatter {
        base: directory(global),
        wanted,
        terminal,
        is_changed: false,
        problems: Problems::new(),
        sources: BTreeMap::new(),
    };
    match wanted.paths.as_slice() {
        [] => formatter.directory(Path::new(".")),
        [only] if only == Path::new("-") => formatter.input(),
        paths if paths.iter().any(|path| path == Path::new("-")) => {
            let problem = Problem::error(
                "invalid-option",
                "`-` stands beside other paths",
                "Standard input is formatted alone: leave the other paths out, or the `-`.",
            );
            return Err(Failure::new(Exit::Usage, problem));
        }
        paths => paths.iter().for_each(|path| formatter.path(path)),
    }
    let Formatter { is_changed, problems, sources, .. } = formatter;
    match problems.is_empty() {
        false => Err(Failure { exit: Exit::Error, problems, sources }),
        true if wanted.check && is_changed => Ok(Exit::Changes),
        true => Ok(Exit::Done),
    }
}

struct Formatter<'a> {
    /// What paths are relative to.
    base: PathBuf,
    wanted: &'a Formatting,
    terminal: &'a Terminal,
    is_changed: bool,
    problems: Problems,
    /// The texts that the problems are in, by name.
    sources: BTreeMap<String, String>,
}

impl Formatter<'_> {
    /// What somebody named: a directory, or a file, which must be one of a configuration.
    fn path(&mut self, path: &Path) {
        match std::fs::metadata(self.base.join(path)) {
            Ok(found) if found.is_dir() => self.directory(path),
            Ok(_) if path.extension().is_none_or(|extension| extension != "hcl") => self.problem(
                "not-a-configuration",
                format!("{} is no configuration file", shown(path)),
                "Only files whose names end in `.hcl` are formatted. Name one, or a directory of them.",
            ),
            Ok(_) => self.file(path),
            Err(error) => self.problem(
                "unreadable-file",
                format!("{} cannot be read", shown(path)),
                &format!("{error}. Name a file or a directory that exists."),
            ),
        }
    }

    /// The configuration files of a directory and, if they are wanted, of those below it. Links to directories are not
    /// followed: they could lead anywhere, also back.
    fn directory(&mut self, path: &Path) {
        let listed = std::fs::read_dir(self.base.join(path)).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                let summary = format!("The directory {} cannot be read", shown(&self.base.join(path)));
                return self.problem("unreadable-directory", summary, &format!("{error}. Check its permissions."));
            }
        };
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            // As where a configuration is read, a name that is no text is none of ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let below = path.join(&name);
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if self.wanted.recursive && !name.starts_with('.') {
                    self.directory(&below);
                }
            } else if config::is_file_name(&name) && !entry.path().is_dir() {
                self.file(&below);
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let name = shown(path);
        let path = self.base.join(path);
        let bytes = match config::read_file(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let detail = format!("{error}. Check what it is, and its permissions.");
                return self.problem("unreadable-file", format!("{name} cannot be read"), &detail);
            }
        };
        let Some(formatted) = self.format(&name, bytes.clone()) else { return };
        let wanted = self.wanted;
        let is_changed = formatted.as_bytes() != bytes;
        self.is_changed |= is_changed;
        if is_changed
            && wanted.write
            && !wanted.check
            && let Err(error) = file::rewrite(&path, &bytes, formatted.as_bytes())
        {
            let detail = format!("{error}. It is left as it was; check its permissions and those of its directory.");
            return self.problem("unwritable-file", format!("{name} cannot be written"), &detail);
        }
        if is_changed && wanted.list {
            self.terminal.say(&name);
        }
        if is_changed && wanted.diff {
            self.show_diff(&name, &bytes, &formatted);
        }
        if !(wanted.list || wanted.write || wanted.diff || wanted.check) {
            self.deliver(&formatted);
        }
    }

    fn input(&mut self) {
        let bytes = match config::read_bounded(io::stdin()) {
            Ok(bytes) => bytes,
            Err(error) => {
                let summary = "Standard input cannot be read".to_owned();
                return self.problem("unreadable-file", summary, &format!("{error}."));
            }
        };
        let Some(formatted) = self.format(INPUT, bytes.clone()) else { return };
        self.is_changed = formatted.as_bytes() != bytes;
        if self.is_changed && self.wanted.diff {
            self.show_diff(INPUT, &bytes, &formatted);
        }
        if !(self.wanted.diff || self.wanted.check) {
            self.deliver(&formatted);
        }
    }

    fn format(&mut self, name: &str, bytes: Vec<u8>) -> Option<String> {
        match config::format(name, bytes) {
            Ok(formatted) => Some(formatted),
            Err(Unformatted { problems, source }) => {
                self.problems.extend(problems);
                self.sources.insert(name.to_owned(), source);
                None
            }
        }
    }

    fn show_diff(&mut self, name: &str, before: &[u8], after: &str) {
        self.deliver(&view::diff::unified(name, &String::from_utf8_lossy(before), after));
    }

    fn deliver(&mut self, text: &str) {
        if let Err(error) = self.terminal.deliver(text) {
            let detail = format!("{error}. What was written is not whole.");
            self.problem("unwritable-file", "Standard output cannot be written".to_owned(), &detail);
        }
    }

    fn problem(&mut self, code: &str, summary: String, detail: &str) {
        self.problems.push(Problem::error(code, summary, detail));
    }
}

/// The path as people write it.
fn shown(path: &Path) -> String {
    let path: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    match path.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => escape_line(&path.to_string_lossy()),
    }
}
