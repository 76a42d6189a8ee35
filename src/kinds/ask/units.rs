//! Mount units of systemd (systemd.mount(5)): the files that define them, what overrides and enables them. They are read as
//! files, because systemd itself shows what the kernel has mounted and not what it would mount at boot.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{HostFacts, Question};

use super::fstab::{Entry, normalised};
use super::{Known, failure};

/// Where Larder's units lie.
pub const DIRECTORY: &str = "/etc/systemd/system";

/// Directories of units that outlive a boot, the first goes before the others (systemd.unit(5)).
const LASTING: [&str; 5] = [
    "/etc/systemd/system.control",
    DIRECTORY,
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// What systemd has made of fstab.
const GENERATED: &str = "/run/systemd/generator";

/// A file that defines a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub path: String,
    /// Where a symbolic link leads.
    pub link: Option<String>,
    /// `None` where it is no text, or no file.
    pub text: Option<String>,
    /// What it mounts, as fstab would say it.
    pub entry: Option<Entry>,
}

impl Unit {
    /// `srv-images.mount`.
    pub fn name(&self) -> &str {
        name_of(&self.path)
    }

    fn directory(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(directory, _)| directory)
    }

    /// Whether it says that nothing may start the unit.
    pub fn is_masked(&self) -> bool {
        self.link.as_deref() == Some("/dev/null") || self.text.as_deref() == Some("")
    }

    /// Whether Larder could have written it, by its place.
    pub fn is_the_administrators(&self) -> bool {
        self.directory() == DIRECTORY
    }

    /// The address of the resource whose unit this is, if it is one of Larder's.
    pub fn id(&self) -> Option<String> {
        self.entry.as_ref()?.id()
    }
}

/// Settings that are added to a unit by a file in a directory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DropIn {
    path: String,
    text: Option<String>,
}

/// All mount units of a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Units {
    /// Those that go before others of their name first.
    units: Vec<Unit>,
    drop_ins: Vec<DropIn>,
    /// Links that enable a unit, as in `remote-fs.target.wants`.
    links: Vec<String>,
    /// Units whose files are not what systemd has read; `None` where systemd did not say.
    outdated: Option<BTreeSet<String>>,
}

impl Units {
    /// The file that defines a unit at the next boot, where fstab does not.
    pub fn lasting(&self, name: &str) -> Option<&Unit> {
        self.all_lasting().find(|unit| unit.name() == name)
    }

    /// Every such unit, whatever fstab says.
    pub fn all_lasting(&self) -> impl Iterator<Item = &Unit> {
        let mut seen = BTreeSet::new();
        self.units.iter().filter(move |unit| LASTING.contains(&unit.directory()) && seen.insert(unit.name()))
    }

    /// Those that carry the mark of one of these addresses and that Larder could have written.
    pub fn marked<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a Unit> {
        self.all_lasting()
            .filter(|unit| unit.is_the_administrators() && unit.id().is_some_and(|id| names.contains(&id)))
    }

    /// What systemd has made of a line of fstab.
    pub fn generated(&self, name: &str) -> Option<&Unit> {
        self.units.iter().find(|unit| unit.directory() == GENERATED && unit.name() == name)
    }

    /// The links that enable a unit at boot.
    pub fn enabled_by<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.links.iter().map(String::as_str).filter(move |link| name_of(link) == name)
    }

    /// The first file that is added to a unit and may change what it mounts, or whether it does.
    pub fn overridden_by(&self, name: &str) -> Option<&str> {
        let adds_to_it = |drop_in: &&DropIn| {
            let directory = drop_in.path.rsplit('/').nth(1).and_then(|directory| directory.strip_suffix(".d"));
            directory.is_some_and(|directory| directory == "mount" || is_prefix(directory, name))
        };
        let mut all = self.drop_ins.iter().filter(adds_to_it);
        all.find(|drop_in| drop_in.text.as_deref().is_none_or(changes_the_mount)).map(|drop_in| drop_in.path.as_str())
    }

    /// Whether systemd has read something else of a unit than what its files say; where it did not say, it may have.
    pub fn is_outdated(&self, name: &str) -> bool {
        self.outdated.as_ref().is_none_or(|outdated| outdated.contains(name))
    }
}

/// Whether files in `DIRECTORY.d` are added to a unit: those of its own name, and of `a-.mount` for `a-b.mount`.
fn is_prefix(directory: &str, name: &str) -> bool {
    directory == name
        || directory.strip_suffix(".mount").is_some_and(|stem| stem.ends_with('-') && name.starts_with(stem))
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether settings do more than to describe a unit or to give it a place in an order.
fn changes_the_mount(text: &str) -> bool {
    const HARMLESS: [&str; 7] =
        ["After", "Before", "Wants", "Description", "Documentation", "PartOf", "RequiresMountsFor"];
    settings(text).iter().any(|(section, key, _)| section != "Unit" || !HARMLESS.contains(&key.as_str()))
}

/// The settings of a unit file: section, key, value.
fn settings(text: &str) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    let mut section = String::new();
    let mut begun = String::new();
    for line in text.lines() {
        let is_comment = line.trim_start().starts_with(['#', ';']);
        if is_comment || line.trim().is_empty() && begun.is_empty() {
            continue;
        }
        if let Some(part) = line.strip_suffix('\\') {
            begun.push_str(part);
            begun.push(' ');
            continue;
        }
        let whole = format!("{}{line}", std::mem::take(&mut begun));
        let whole = whole.trim();
        if let Some(name) = whole.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, value)) = whole.split_once('=') {
            all.push((section.clone(), key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    all
}

/// What a unit mounts, as a line of fstab would say it.
fn entry(text: &str) -> Option<Entry> {
    let mount: BTreeMap<String, String> = settings(text)
        .into_iter()
        .filter(|(section, ..)| section == "Mount")
        .map(|(_, key, value)| (key, value.replace("%%", "%")))
        .collect();
    let options = mount.get("Options").filter(|options| !options.is_empty());
    Some(Entry {
        source: mount.get("What")?.clone(),
        target: normalised(mount.get("Where")?),
        fstype: mount.get("Type").filter(|fstype| !fstype.is_empty()).map_or("auto", String::as_str).to_owned(),
        options: options.map_or("defaults", String::as_str).split(',').map(str::to_owned).collect(),
        dump: 0,
        pass: 0,
    })
}

/// The name that systemd gives to the mount unit of an absolute path: `systemd-escape --path --suffix=mount`.
pub fn unit_name(path: &str) -> String {
    format!("{}.mount", escape_path(path))
}

/// A path as part of the name of a unit (systemd.unit(5), "String escaping for inclusion in unit names").
pub fn escape_path(path: &str) -> String {
    let path = normalised(path);
    let inside = path.trim_start_matches('/');
    if inside.is_empty() {
        return "-".to_owned();
    }
    let mut name = String::with_capacity(path.len());
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if at == 0 => name.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => name.push(byte as char),
            _ => name.push_str(&format!("\\x{byte:02x}")),
        }
    }
    name
}

pub fn question() -> Question {
    Question::new(["mount_units"])
}

/// The mount units of a host.
pub fn read(facts: &HostFacts) -> Known<Units> {
    let reply = facts.said(&question())?;
    if reply.status != 0 || !reply.out.ends_with("end\n") {
        return Err(failure(&reply));
    }
    parse(&reply.out).ok_or_else(|| "the list of mount units makes no sense".to_owned())
}

/// A file of which the lines are being read.
#[derive(Default)]
struct Reading {
    is_drop_in: bool,
    path: String,
    link: Option<String>,
    size: Option<usize>,
    text: String,
}

impl Reading {
    /// The bytes of the file, if its lines are all of them.
    fn whole(&self) -> Option<String> {
        let size = self.size?;
        match self.text.len().checked_sub(size)? {
            0 => Some(self.text.clone()),
            // The last line has no end.
            1 => self.text.strip_suffix('\n').map(str::to_owned),
            _ => None,
        }
    }

    fn close(self, units: &mut Units) {
        if self.path.is_empty() {
            return;
        }
        let text = self.whole();
        match self.is_drop_in {
            true => units.drop_ins.push(DropIn { path: self.path, text }),
            false => {
                let entry = text.as_deref().and_then(entry);
                units.units.push(Unit { path: self.path, link: self.link, text, entry });
            }
        }
    }
}

fn parse(said: &str) -> Option<Units> {
    let mut units = Units::default();
    let mut open = Reading::default();
    // What systemd said of one unit so far; an empty line ends it.
    let (mut id, mut is_outdated) = (String::new(), false);
    for line in said.split_terminator('\n') {
        let (word, value) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "unit" | "drop-in" => {
                let next = Reading { is_drop_in: word == "drop-in", path: value.to_owned(), ..Reading::default() };
                std::mem::replace(&mut open, next).close(&mut units);
            }
            "link" => open.link = Some(value.to_owned()),
            "size" => open.size = Some(value.parse().ok()?),
            "text" => {
                open.text.push_str(value);
                open.text.push('\n');
            }
            "enabled" => units.links.push(value.to_owned()),
            "loaded" => {
                let outdated = units.outdated.get_or_insert_default();
                match value.split_once('=') {
                    Some(("Id", name)) => id = name.to_owned(),
                    Some(("NeedDaemonReload", answer)) => is_outdated = answer == "yes",
                    _ => {
                        let name = std::mem::take(&mut id);
                        let _ = std::mem::take(&mut is_outdated) && outdated.insert(name);
                    }
                }
            }
            "end" => {}
            _ => return None,
        }
    }
    open.close(&mut units);
    Some(units)
}

/// The remote functions that write and remove a unit; steps use them by name.
pub const STEP_FUNCTIONS: [(&str, &str); 2] = [
    ("write_mount_unit", include_str!("write_mount_unit.sh")),
    ("remove_mount_unit", include_str!("remove_mount_unit.sh")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAID: &str = "unit /etc/systemd/system/srv-nfs.mount\nsize 110\ntext [Mount]\ntext What=nas:/a%%b\ntext Where=/srv/nfs\ntext Type=nfs\ntext Options=hard,\\\ntext # why\ntext   noatime,x-larder.id=external_volume.nfs\nunit /etc/systemd/system/srv-off.mount\nlink /dev/null\nunit /run/systemd/generator/srv-gen.mount\nsize 9\ntext x=y\nunit /usr/lib/systemd/system/srv-nfs.mount\nsize 9\ntext [Mount]\ntext\ndrop-in /etc/systemd/system/srv-.mount.d/order.conf\nsize 23\ntext [Unit]\ntext After=x.service\ndrop-in /etc/systemd/system/srv-nfs.mount.d/what.conf\nsize 15\ntext [Mount]\ntext What=x\nenabled /etc/systemd/system/remote-fs.target.wants/srv-nfs.mount\nloaded NeedDaemonReload=no\nloaded Id=-.mount\nloaded \nloaded Id=srv-gen.mount\nloaded NeedDaemonReload=yes\nloaded \nend\n";

    #[test]
    fn the_files_of_a_host_are_understood() {
        let units = parse(SAID).expect("units");
        let nfs = units.lasting("srv-nfs.mount").expect("a unit");
        let entry = nfs.entry.as_ref().expect("a mount");
        assert_eq!(
            (entry.source.as_str(), entry.target.as_str(), entry.fstype.as_str()),
            ("nas:/a%b", "/srv/nfs", "nfs")
        );
        assert_eq!(nfs.id().as_deref(), Some("external_volume.nfs"));
        assert_eq!(units.marked(&["external_volume.nfs".to_owned()]).count(), 1);
        assert!(units.lasting("srv-off.mount").expect("a unit").is_masked());
        assert_eq!(units.lasting("srv-gen.mount"), None);
        // Bytes that no line shows.
        assert_eq!(units.generated("srv-gen.mount").expect("a unit").text, None);
        assert_eq!(units.overridden_by("srv-nfs.mount"), Some("/etc/systemd/system/srv-nfs.mount.d/what.conf"));
        assert_eq!(units.overridden_by("srv-other.mount"), None);
        assert_eq!(units.enabled_by("srv-nfs.mount").count(), 1);
        assert_eq!(["-.mount", "srv-gen.mount"].map(|name| units.is_outdated(name)), [false, true]);
    }

    #[test]
    fn what_nobody_said_is_not_nothing() {
        for (status, out, is_known) in
            [(0, "end\n", true), (0, "", false), (0, "unit /x.mount\n", false), (1, "end\n", false)]
        {
            let reply = crate::model::Reply { status, out: out.to_owned(), err: String::new() };
            let facts = HostFacts::Reached([(question(), crate::model::Answer::Said(reply))].into());
            assert_eq!(read(&facts).is_ok(), is_known, "{status} {out:?}");
        }
        assert!(parse("end\n").expect("units").is_outdated("srv.mount"), "systemd did not say");
    }

    #[test]
    fn a_path_becomes_the_name_of_a_unit() {
        let table = [
            ("/srv/vm-images/v1", "srv-vm\\x2dimages-v1"),
            ("/srv/my images", "srv-my\\x20images"),
            ("/srv//caf\u{e9}/", "srv-caf\\xc3\\xa9"),
            ("/.hidden/.x", "\\x2ehidden-.x"),
            ("/a\\b@c:d_e.f", "a\\x5cb\\x40c:d_e.f"),
            ("/", "-"),
        ];
        for (path, name) in table {
            assert_eq!(escape_path(path), name);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        /// Where systemd is not installed there is nothing to compare with.
        #[test]
        fn names_are_those_of_systemd(parts in prop::collection::vec("[^/\0]{1,6}", 1..4)) {
            prop_assume!(!parts.iter().any(|part| matches!(part.as_str(), "." | "..")));
            let path = format!("/{}", parts.join("/"));
            let output = std::process::Command::new("systemd-escape").args(["--path", "--", &path]).output();
            if let Ok(output) = output {
                prop_assert!(output.status.success(), "{path:?}");
                let theirs = String::from_utf8_lossy(&output.stdout).into_owned();
                prop_assert_eq!(theirs, format!("{}\n", escape_path(&path)));
            }
        }

        #[test]
        fn any_text_is_settings_or_nothing(text in any::<String>()) {
            let _ = entry(&text);
            let _ = parse(&text);
        }
    }
}
