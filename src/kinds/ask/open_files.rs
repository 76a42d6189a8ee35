//! Who uses what: processes that have a file open below a path, with the guest that a QEMU process runs, and loop devices that are
//! made of one.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Guard, HostFacts, Question};

use super::mounts::is_within;
use super::path;
use super::{Known, failure};

/// One open file, working directory, program or mapping.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// `None` for a loop device: the kernel has the file open itself.
    pub pid: Option<u32>,
    /// The name of the program, or of the loop device.
    pub program: String,
    /// The guest, where the process is a QEMU with a name.
    pub guest: Option<String>,
    pub path: String,
    /// Whether it may write there; true where that was not said.
    pub writes: bool,
}

impl std::fmt::Display for Use {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(pid) = self.pid else {
            return write!(f, "the loop device /dev/{} has {} open", self.program, self.path);
        };
        write!(f, "{} (pid {pid}", self.program)?;
        if let Some(guest) = &self.guest {
            write!(f, ", guest {guest}")?;
        }
        write!(f, ") has {} open", self.path)
    }
}

/// Asks who uses anything at or below these paths.
pub fn question(paths: &[String]) -> Question {
    Question::new(std::iter::once("open_files_below".to_owned()).chain(paths.iter().map(|path| quote_glob(path))))
}

/// find(1) takes patterns: what would match more than itself is quoted.
fn quote_glob(path: &str) -> String {
    let mut quoted = String::with_capacity(path.len());
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

/// Who uses what on a host, read once out of all that it was asked.
#[derive(Debug)]
pub struct Users {
    answers: Vec<(BTreeSet<String>, Known<ByPath>)>,
}

type ByPath = BTreeMap<String, Vec<Use>>;

impl Users {
    pub fn read(facts: &HostFacts) -> Self {
        let answer = |question: &Question| {
            let said = facts.said(question).and_then(|reply| match reply.status == 0 && reply.out.ends_with("end\n") {
                true => Ok(by_path(parse(&reply.out))),
                false => Err(failure(&reply)),
            });
            (question.0[1..].iter().cloned().collect(), said)
        };
        Users { answers: asked(facts).map(answer).collect() }
    }

    /// The uses at and below one path, in order.
    pub fn below(&self, path: &str) -> Known<Vec<Use>> {
        let pattern = quote_glob(path);
        let above = path::with_ancestors(&pattern);
        let covering = self.answers.iter().find(|(asked, _)| above.iter().any(|one| asked.contains(one)));
        let (_, said) = covering.ok_or_else(|| format!("the host was not asked who uses {path}"))?;
        let near = said.as_ref().map_err(Clone::clone)?.range(path.to_owned()..);
        let near = near.take_while(|(used, _)| used.starts_with(path)).filter(|(used, _)| is_within(used, path));
        let mut uses: Vec<Use> = near.flat_map(|(_, uses)| uses).cloned().collect();
        uses.sort();
        uses.dedup();
        Ok(uses)
    }
}

fn by_path(uses: Vec<Use>) -> ByPath {
    let mut all = ByPath::new();
    for one in uses {
        all.entry(one.path.trim_end_matches(" (deleted)").to_owned()).or_default().push(one);
    }
    all
}

/// The uses below one path, out of the answer about several.
pub fn read(facts: &HostFacts, path: &str) -> Known<Vec<Use>> {
    Users::read(facts).below(path)
}

/// Whether everything that this question asks was asked by others already.
pub fn is_covered(facts: &HostFacts, asked: &Question) -> bool {
    let is_of_this_kind = asked.0.first() == question(&[]).0.first();
    is_of_this_kind && asked.0[1..].iter().all(|path| covering_pattern(facts, path).is_some())
}

// Quoting leaves the slashes where they are, so a pattern has the patterns of the directories above it.
fn covering_pattern<'a>(facts: &'a HostFacts, pattern: &str) -> Option<&'a Question> {
    let covers =
        |question: &&Question| path::with_ancestors(pattern).iter().any(|above| question.0[1..].contains(above));
    asked(facts).find(covers)
}

/// Every question about users that a host was asked.
fn asked(facts: &HostFacts) -> impl Iterator<Item = &Question> {
    let first = question(&[]);
    let answers = match facts {
        HostFacts::Reached(answers) => Some(answers),
        HostFacts::Unreachable(_) => None,
    };
    let all = answers.into_iter().flat_map(move |answers| answers.range(first.clone()..)).map(|(question, _)| question);
    let word = question(&[]).0;
    all.take_while(move |question| question.0.first() == word.first())
}

/// A guard that holds while nobody uses anything at or below the paths, which are one place by several names.
pub fn nobody(paths: &[String]) -> Guard {
    let what = format!("who has files open below {}", paths.join(" and "));
    Guard { what, ask: question(paths), status: 0, out: "end\n".to_owned() }
}

/// A guard that holds while nobody has the file open for writing, by any of its names.
pub fn nobody_writes(paths: &[String]) -> Guard {
    let words = std::iter::once("writers_below".to_owned()).chain(paths.iter().map(|path| quote_glob(path)));
    let what = format!("who has {} open for writing", paths.join(" or "));
    Guard { what, ask: Question::new(words), status: 0, out: "end\n".to_owned() }
}

// Lines `read PID PATH` and `write PID PATH`, then for each process `name PID COMM` and, for a guest, `guest PID NAME`. In place of
// a PID stands the name of a loop device. `file` is how facts were recorded that do not tell the two apart.
fn parse(text: &str) -> Vec<Use> {
    let words = |line: &str| -> Option<(String, String, String)> {
        let (word, rest) = line.split_once(' ')?;
        let (user, value) = rest.split_once(' ')?;
        Some((word.to_owned(), user.to_owned(), value.to_owned()))
    };
    let lines: Vec<_> = text.lines().filter_map(words).collect();
    let mut told: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (word, user, value) in &lines {
        told.entry((word, user)).or_insert(value);
    }
    let said = |wanted: &str, user: &str| told.get(&(wanted, user)).map(|value| (*value).to_owned());
    let files = lines.iter().filter(|(word, _, _)| matches!(word.as_str(), "read" | "write" | "file"));
    let use_of = |(word, user, path): &(String, String, String)| {
        let pid: Option<u32> = user.parse().ok();
        let nameless = || if pid.is_some() { "a process that has ended".to_owned() } else { user.clone() };
        Use {
            pid,
            program: said("name", user).unwrap_or_else(nameless),
            guest: said("guest", user),
            path: path.clone(),
            writes: word != "read",
        }
    };
    files.map(use_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_named_with_its_process_and_path() {
        let uses = parse(
            "write 77 /srv/a/web 1.qcow2\nread 78 /srv/a\nname 77 qemu-system-x86\nguest 77 web1\nname 78 sleep\nfile 79 /srv/b\n",
        );
        assert_eq!(uses.iter().map(|one| one.writes).collect::<Vec<_>>(), [true, false, true], "not told is a writer");
        let uses = &uses[..2];
        let said: Vec<_> = uses.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            ["qemu-system-x86 (pid 77, guest web1) has /srv/a/web 1.qcow2 open", "sleep (pid 78) has /srv/a open"]
        );
    }

    #[test]
    fn a_loop_device_is_named_and_writes_unless_it_cannot() {
        let uses = parse("write loop3 /srv/a/web.raw\nread loop4 /srv/a/iso (deleted)\n");
        let said: Vec<_> = uses.iter().map(|one| (one.writes, one.to_string())).collect();
        let expected = [
            (true, "the loop device /dev/loop3 has /srv/a/web.raw open".to_owned()),
            (false, "the loop device /dev/loop4 has /srv/a/iso (deleted) open".to_owned()),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn patterns_in_a_path_stand_for_themselves() {
        assert_eq!(quote_glob("/srv/a[1]*\\"), "/srv/a\\[1\\]\\*\\\\");
    }
}
