//! /etc/fstab (fstab(5)): read as lines, so that an edit names the lines that it takes out and everything else stays
//! byte for byte.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use regex::Regex;

use crate::model::{HostFacts, Question};

use super::mounts::{escape, unescape};
use super::{Known, failure};

/// The option that marks a line as Larder's: `x-larder.id=ADDRESS`. mount(8) ignores options that begin with `x-`.
pub const ID_OPTION: &str = "x-larder.id";

/// A password among mount options (mount.cifs(8)), wherever they stand; a comma in it is doubled.
static PASSWORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(?m)(^|[\s,="])(pass(?:word|wd)?2?=)((?:[^,\s"]|,,)+)"#).expect("a pattern"));

/// The text without the passwords that somebody wrote into mount options.
pub fn without_passwords(text: &str) -> Cow<'_, str> {
    PASSWORD.replace_all(text, "$1$2(sensitive value)")
}

/// Whether it has a password among mount options. What shows it to a plan would show it to everybody.
pub fn holds_password(text: &str) -> bool {
    PASSWORD.is_match(text)
}

/// An entry of fstab, unescaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub source: String,
    pub target: String,
    pub fstype: String,
    pub options: Vec<String>,
    /// The fifth and sixth field: dump(8) and the pass of fsck(8).
    pub dump: u8,
    pub pass: u8,
}

impl Entry {
    /// The line as Larder writes it.
    pub fn line(&self) -> String {
        let fields = [&self.source, &self.target, &self.fstype].map(|field| escape(field));
        format!("{} {} {} {}", fields.join(" "), escape(&self.options.join(",")), self.dump, self.pass)
    }

    /// The address of the resource whose line this is, if it is one of Larder's.
    pub fn id(&self) -> Option<String> {
        let id = self.options.iter().find_map(|option| option.strip_prefix(ID_OPTION)?.strip_prefix('='))?;
        Some(decode_id(id))
    }
}

/// One line with its exact bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub text: String,
    pub entry: Option<Entry>,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fstab {
    pub lines: Vec<Line>,
    /// The text as it was read; empty where the file is missing.
    pub text: String,
}

impl Fstab {
    pub fn parse(text: &str) -> Self {
        let lines = text.lines_exact().map(|line| Line { text: line.to_owned(), entry: parse_line(line) }).collect();
        Fstab { lines, text: text.to_owned() }
    }

    /// The lines that belong to a resource by its mark, or that mount something at one of its paths. `names` are the addresses
    /// that the mark may hold.
    pub fn lines_for(&self, names: &[String], paths: &[&str]) -> Vec<&Line> {
        let concerns = |entry: &Entry| match entry.id() {
            Some(id) => names.contains(&id),
            None => paths.contains(&normalised(&entry.target).as_str()),
        };
        self.lines.iter().filter(|line| line.entry.as_ref().is_some_and(concerns)).collect()
    }

    /// The lines of other resources that mount something at a path.
    pub fn claimed_by_others(&self, names: &[String], path: &str) -> Option<String> {
        let entries = self.lines.iter().filter_map(|line| line.entry.as_ref());
        let mut at_path = entries.filter(|entry| normalised(&entry.target) == path);
        at_path.find_map(|entry| entry.id().filter(|id| !names.contains(id)))
    }

    /// The text after an edit: the first of the old lines becomes the new one, the others go; with no old line the new one
    /// is appended. The same rule as in the remote function, so that the diff shown is the edit made.
    pub fn edited(&self, old: &[String], new: Option<&str>) -> String {
        let mut written = false;
        let mut text = String::with_capacity(self.text.len() + 128);
        let lines = self.text.split_inclusive('\n');
        for line in lines {
            if !old.iter().any(|one| one == line.trim_end_matches('\n')) {
                text.push_str(line);
                continue;
            }
            if let (false, Some(new)) = (written, new) {
                text.push_str(new);
                text.push('\n');
            }
            written = true;
        }
        if let (false, Some(new)) = (written, new) {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(new);
            text.push('\n');
        }
        text
    }
}

/// A text that is edited many times over, by the rule of [`Fstab::edited`].
#[derive(Debug, Default)]
pub struct Edited {
    /// With their newlines; `None` where one went.
    lines: Vec<Option<String>>,
    places: HashMap<String, BTreeSet<usize>>,
}

impl Edited {
    pub fn of(text: &str) -> Self {
        let mut edited = Edited::default();
        text.split_inclusive('\n').for_each(|line| edited.push(line.to_owned()));
        edited
    }

    fn push(&mut self, line: String) {
        self.places.entry(line.trim_end_matches('\n').to_owned()).or_default().insert(self.lines.len());
        self.lines.push(Some(line));
    }

    pub fn edit(&mut self, old: &[String], new: Option<&str>) {
        let found: BTreeSet<usize> = old.iter().filter_map(|line| self.places.remove(line)).flatten().collect();
        found.iter().for_each(|at| self.lines[*at] = None);
        let Some(new) = new else { return };
        let line = format!("{new}\n");
        if let Some(first) = found.first() {
            self.lines[*first] = Some(line);
            self.places.entry(new.to_owned()).or_default().insert(*first);
            return;
        }
        if let Some(last) = self.lines.iter_mut().rev().flatten().next().filter(|last| !last.ends_with('\n')) {
            last.push('\n');
        }
        self.push(line);
    }

    pub fn text(self) -> String {
        self.lines.into_iter().flatten().collect()
    }
}

/// Lines without their newline; unlike [`str::lines`] a carriage return stays part of the line.
trait LinesExact {
    fn lines_exact(&self) -> impl Iterator<Item = &str>;
}

impl LinesExact for str {
    fn lines_exact(&self) -> impl Iterator<Item = &str> {
        self.split_inclusive('\n').map(|line| line.strip_suffix('\n').unwrap_or(line))
    }
}

fn parse_line(line: &str) -> Option<Entry> {
    let line = line.trim_matches([' ', '\t', '\r']);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let mut fields = line.split([' ', '\t']).filter(|field| !field.is_empty());
    let (source, target, fstype) = (fields.next()?, fields.next()?, fields.next()?);
    let options = fields.next().map_or_else(|| "defaults".to_owned(), unescape);
    let mut number = || fields.next().and_then(|field| field.parse().ok()).unwrap_or(0);
    Some(Entry {
        source: unescape(source),
        target: unescape(target),
        fstype: unescape(fstype),
        options: options.split(',').map(str::to_owned).collect(),
        dump: number(),
        pass: number(),
    })
}

/// A path without doubled and trailing slashes, as people write it in fstab in many ways.
pub fn normalised(path: &str) -> String {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    format!("/{}", parts.join("/"))
}

/// An address as the value of an option: what would end the option or the field is written as `%XX`.
pub fn encode_id(address: &str) -> String {
    let mut id = String::with_capacity(address.len());
    for byte in address.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'[' | b']' => id.push(byte as char),
            _ => id.push_str(&format!("%{byte:02X}")),
        }
    }
    id
}

fn decode_id(id: &str) -> String {
    let mut bytes = Vec::with_capacity(id.len());
    let mut rest = id.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub fn question() -> Question {
    Question::new(["cat", "/etc/fstab"])
}

/// The fstab of a host; a missing file is an empty one.
pub fn read(facts: &HostFacts) -> Known<Fstab> {
    let reply = facts.said(&question())?;
    match reply.status {
        0 => Ok(Fstab::parse(&reply.out)),
        _ if reply.err.trim_end().ends_with("No such file or directory") => Ok(Fstab::default()),
        _ => Err(failure(&reply)),
    }
}

/// The remote function that edits fstab; steps use it by name.
pub const EDIT: (&str, &str) = ("edit_fstab", include_str!("fstab.sh"));

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &str = "# hand-made; keep # this\nUUID=6f1c / ext4 defaults 0 1\n\n/dev/sdb1\t/srv//my\\040iso#1/\tiso9660\tro 0 0\r\nLABEL=x /data xfs noatime,x-larder.id=external_volume.a%22 0 0";

    const BEFORE: &str =
        "# a\n/dev/sda1 / ext4 defaults 0 1\n10.0.0.5:/x /dead nfs hard 0 0\ntmpfs /x tmpfs size=1M 0 0\n";
    const OLD: &str = "tmpfs /x tmpfs size=1M 0 0";

    /// The edit in a shell, where `first` was said before it: whether it was done, what it said, and the file behind it.
    fn edit_in(shell: &[&str], first: &str, new: &str) -> Option<(bool, String, String)> {
        let directory = tempfile::tempdir().expect("a directory");
        let table = directory.path().join("fstab");
        std::fs::write(&table, BEFORE).expect("a file");
        let body = include_str!("fstab.sh")
            .replace("table=/etc/fstab", "table=$TABLE")
            .replace("-- /etc/fstab", "-- \"$TABLE\"")
            .replace("systemctl daemon-reload", "true");
        let run = format!("{first}\nedit_fstab() {{\n{body}\n}}\nset -f\nedit_fstab \"$@\"");
        let mut command = std::process::Command::new(shell[0]);
        command.args(&shell[1..]).args(["-c", &run, "sh", new, OLD]).env("TABLE", &table);
        let output = command.output().ok()?;
        let left: Vec<_> = std::fs::read_dir(directory.path()).expect("a directory").collect();
        assert_eq!(left.len(), 1, "{shell:?} leaves files: {left:?}");
        let text = std::fs::read_to_string(&table).expect("a file");
        Some((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned(), text))
    }

    #[test]
    fn an_edit_is_the_same_in_every_shell() {
        let new = "tmpfs /x tmpfs size=2M 0 0";
        for shell in [&["sh"][..], &["dash"], &["bash"], &["bash", "--posix"], &["busybox", "sh"]] {
            let Some((is_done, said, text)) = edit_in(shell, "", new) else { continue };
            assert!(is_done, "{shell:?}: {said}");
            assert_eq!(text, BEFORE.replace(OLD, new), "{shell:?}: {said}");
        }
    }

    #[test]
    fn only_the_new_line_is_verified_and_for_a_bounded_time() {
        let new = "tmpfs /x tmpfs size=2M 0 0";
        // `timeout -s KILL 30 findmnt --verify --tab-file FILE`
        let table = [
            ("timeout() { cat -- \"$7\" >&3; echo 'Success, no errors'; }", true, ""),
            ("timeout() { echo '0 parse errors, 1 error, 3 warnings'; return 1; }", true, ""),
            ("timeout() { return 137; }", false, "did not come back within 30 s"),
            (
                "timeout() { echo '1 parse error, 0 errors, 0 warnings'; return 1; }",
                false,
                "does not accept the new line",
            ),
            ("timeout() { return 127; }", false, "does not accept the new line"),
        ];
        for (stub, is_accepted, words) in table {
            let (is_done, said, text) = edit_in(&["sh"], &format!("exec 3>&2\n{stub}"), new).expect("a shell");
            assert_eq!(is_done, is_accepted, "{stub}: {said}");
            assert_eq!(text, if is_accepted { BEFORE.replace(OLD, new) } else { BEFORE.to_owned() }, "{stub}");
            assert!(said.contains(words) && !said.contains("/dead"), "{stub}: {said}");
        }
    }

    #[test]
    fn a_line_that_mount_could_not_read_is_not_written() {
        let (is_done, said, text) = edit_in(&["sh"], "", "tmpfs /y").expect("a shell");
        assert!(!is_done && said.contains("/etc/fstab was left alone"), "{said}");
        assert_eq!(text, BEFORE);
    }

    #[test]
    fn a_password_among_options_is_not_shown() {
        let table = [
            (
                "//s/x /m cifs username=u,password=hun,,ter2,ro 0 0",
                "//s/x /m cifs username=u,password=(sensitive value),ro 0 0",
            ),
            ("Options=pass=hunter2\nWhere=/x", "Options=pass=(sensitive value)\nWhere=/x"),
            ("a b c password2=hunter2 0 0", "a b c password2=(sensitive value) 0 0"),
            ("//s/x /m cifs credentials=/etc/c,bypass=no 0 0", "//s/x /m cifs credentials=/etc/c,bypass=no 0 0"),
        ];
        for (text, shown) in table {
            assert_eq!(without_passwords(text), shown);
            assert_eq!(holds_password(text), text != shown);
        }
    }

    proptest! {
        #[test]
        fn many_edits_at_once_are_the_edits_one_by_one(
            text in "([abc]{0,2}\n){0,6}[abc]{0,2}",
            edits in prop::collection::vec((prop::collection::vec("[abc]{1,2}", 0..3), prop::option::of("[abc]{1,2}")), 0..6),
        ) {
            let mut one_by_one = Fstab::parse(&text);
            let mut at_once = Edited::of(&text);
            for (old, new) in &edits {
                one_by_one = Fstab::parse(&one_by_one.edited(old, new.as_deref()));
                at_once.edit(old, new.as_deref());
            }
            prop_assert_eq!(at_once.text(), one_by_one.text);
        }
    }

    #[test]
    fn entries_are_found_however_they_are_written() {
        let fstab = Fstab::parse(TABLE);
        let names = |text: &str| vec![text.to_owned()];
        let lines = fstab.lines_for(&names("external_volume.iso"), &["/srv/my iso#1"]);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].entry.as_ref().map(|entry| entry.source.as_str()), Some("/dev/sdb1"));
        assert_eq!(fstab.lines_for(&names("external_volume.a\""), &[]).len(), 1);
        let claimed = |names: &[String]| fstab.claimed_by_others(names, "/data");
        assert_eq!(claimed(&names("external_volume.b")), Some("external_volume.a\"".into()));
        assert_eq!(claimed(&[names("external_volume.b"), names("external_volume.a\"")].concat()), None);
    }

    #[test]
    fn an_edit_leaves_every_other_byte() {
        let fstab = Fstab::parse(TABLE);
        let old = vec![fstab.lines[3].text.clone()];
        assert_eq!(
            fstab.edited(&old, Some("NEW")),
            TABLE.replace("/dev/sdb1\t/srv//my\\040iso#1/\tiso9660\tro 0 0\r\n", "NEW\n")
        );
        assert_eq!(fstab.edited(&old, None), TABLE.replace("/dev/sdb1\t/srv//my\\040iso#1/\tiso9660\tro 0 0\r\n", ""));
        assert_eq!(fstab.edited(&[], Some("NEW")), format!("{TABLE}\nNEW\n"));
        assert_eq!(fstab.edited(&[], None), TABLE);
    }

    proptest! {
        #[test]
        fn parsing_loses_nothing(text in "[^\0]*") {
            let fstab = Fstab::parse(&text);
            prop_assert_eq!(fstab.edited(&[], None), text);
        }

        #[test]
        fn a_line_comes_back_as_its_entry(source in "[^\0\n ]+", target in "/[^\0]*", id in "[^\0]+") {
            let entry = Entry {
                source: format!("/{source}"),
                target,
                fstype: "none".into(),
                options: vec!["bind".into(), format!("{ID_OPTION}={}", encode_id(&id))],
                dump: 0,
                pass: 2,
            };
            let line = entry.line();
            prop_assert!(!line.contains('\n'));
            let parsed = parse_line(&line).expect("a line that was just written");
            prop_assert_eq!(parsed.id(), Some(id));
            prop_assert_eq!(parsed, entry);
        }
    }
}
