//! What would want a disk at the next boot, although nobody has it now: lines of fstab and crypttab, mount units. What a line means is
//! never guessed from there being no such device now.

use super::Look;
use crate::kinds::ask::device_names::{self, DeviceNames};
use crate::kinds::ask::fstab::normalised;
use crate::kinds::ask::iscsi::{Decrypted, Disk, Session};

/// Whether a source is one of some disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    Yes,
    No,
    /// No device is called so now; one that is, later, may be one of them.
    Unknown,
}

/// What udev makes of a label in the name of a link.
fn encoded(label: &str) -> String {
    let mut name = String::new();
    for character in label.chars() {
        match character {
            _ if character.is_ascii_alphanumeric() || !character.is_ascii() => name.push(character),
            '#' | '+' | '-' | '.' | ':' | '=' | '@' | '_' => name.push(character),
            _ => name.push_str(&format!("\\x{:02x}", u32::from(character))),
        }
    }
    name
}

/// The path that a source stands for, if it stands for a device.
fn path_of(source: &str) -> Option<String> {
    let Some((tag @ ("UUID" | "PARTUUID" | "LABEL" | "PARTLABEL" | "ID"), value)) = source.split_once('=') else {
        return source.starts_with("/dev/").then(|| source.to_owned());
    };
    Some(format!("/dev/disk/by-{}/{}", tag.to_lowercase(), encoded(value.trim_matches('"'))))
}

/// Whether the kernel's name is that of a disk or of a partition of it.
fn is_part(name: &str, disk: &str) -> bool {
    let Some(rest) = name.strip_prefix(disk) else { return false };
    let digits = rest.strip_prefix('p').filter(|_| disk.ends_with(|last: char| last.is_ascii_digit())).unwrap_or(rest);
    digits.bytes().all(|byte| byte.is_ascii_digit()) && !rest.ends_with('p')
}

fn compare(source: &str, disks: &[&Disk], names: &DeviceNames, decrypted: &[Decrypted]) -> Match {
    let Some(path) = path_of(source) else { return Match::No };
    let name = path.trim_start_matches("/dev/");
    let is_called = |disk: &&Disk| {
        is_part(name, &disk.name)
            || disk.map.as_ref().is_some_and(|map| path == map.path() || path == format!("/dev/mapper/{}", map.name))
    };
    if disks.iter().any(is_called) {
        return Match::Yes;
    }
    if let Some(number) = names.number(&path) {
        let is_it = disks.iter().any(|disk| disk.number == number || disk.above.iter().any(|above| above == number));
        return if is_it { Match::Yes } else { Match::No };
    }
    // It is not open now; of what it is made its line says.
    if path.strip_prefix("/dev/mapper/").is_some_and(|name| decrypted.iter().any(|line| line.name == name)) {
        return Match::No;
    }
    Match::Unknown
}

impl Look<'_> {
    /// Why a disk of these sessions would be wanted at the next boot, or may be, and what to do about it.
    pub(super) fn wanted_at_boot(&self, sessions: &[&Session]) -> Result<Option<(String, &'static str)>, String> {
        let names = device_names::read(self.facts())?;
        let disks: Vec<_> = sessions.iter().flat_map(|session| &session.disks).collect();
        if disks.is_empty() {
            return Ok(None);
        }
        let lines = self.ground.fstab.lines.iter().filter_map(|line| Some(("/etc/fstab", line.entry.as_ref()?)));
        let units = self.ground.units.all_lasting().filter_map(|unit| Some((unit.path.as_str(), unit.entry.as_ref()?)));
        let entries = lines.chain(units).filter(|(_, entry)| !self.goes(&normalised(&entry.target)));
        let mounts = entries.map(|(file, entry)| {
            let found = match compare(&entry.source, &disks, &names, &self.initiator.crypttab) {
                // What nobody mounts at boot does not keep a host from it.
                Match::Unknown if entry.options.iter().any(|option| option == "noauto") => Match::No,
                found => found,
            };
            (found, file, entry.source.as_str(), format!("{file} mounts {} on {}", entry.source, entry.target))
        });
        let crypttab = self.initiator.crypttab.iter().map(|line| {
            let found = compare(&line.source, &disks, &names, &[]);
            (
                found,
                "/etc/crypttab",
                line.source.as_str(),
                format!("/etc/crypttab opens {} as {}", line.source, line.name),
            )
        });
        let mut all: Vec<_> = mounts.chain(crypttab).collect();
        // What is known says more.
        all.sort_by_key(|(found, ..)| *found != Match::Yes);
        Ok(all.into_iter().find_map(|(found, file, source, why)| match found {
            Match::Yes => {
                Some((why, "Remove that first, if nobody needs it: the host would wait for the disk at the next boot."))
            }
            Match::Unknown => Some((
                format!("{file} names {source}, no device is called so now, and the disk may be it"),
                "Remove that line or unit if nobody needs it, or attach what it names, then plan again.",
            )),
            Match::No => None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::ask::device::Map;
    use crate::model::{Answer, HostFacts, Reply};

    #[test]
    fn a_disk_is_known_by_each_of_its_names() {
        let out = "block special file|8:11 /dev/disk/by-uuid/77\nblock special file|8:10 /dev/disk/by-label/my\\x20disk\n\
            block special file|8:11 /dev/disk/by-partlabel/data\nblock special file|8:1 /dev/disk/by-label/root\n\
            block special file|8:10 /dev/san\nblock special file|fe:3 /dev/vg/lv\n";
        let reply = Reply { status: 0, out: out.to_owned(), err: String::new() };
        let facts = HostFacts::Reached([(device_names::question(), Answer::Said(reply))].into());
        let names = device_names::read(&facts).expect("names");
        let map = Map { name: "mpatha".to_owned(), wwid: "3600".to_owned() };
        let above = vec!["8:17".to_owned(), "253:0".to_owned()];
        let disk = Disk { name: "sdb".to_owned(), number: "8:16".to_owned(), above, map: Some(map), ..Disk::default() };
        let decrypted = [Decrypted { name: "closed".to_owned(), source: "UUID=5".to_owned() }];
        let table = [
            ("UUID=77", Match::Yes),
            ("UUID=\"77\"", Match::Yes),
            ("LABEL=my disk", Match::Yes),
            ("PARTLABEL=data", Match::Yes),
            ("LABEL=root", Match::No),
            ("LABEL=elsewhere", Match::Unknown),
            ("UUID=78", Match::Unknown),
            ("ID=wwn-0x7", Match::Unknown),
            ("/dev/sdb", Match::Yes),
            ("/dev/sdb1", Match::Yes),
            ("/dev/san", Match::Yes),
            ("/dev/mapper/mpatha", Match::Yes),
            ("/dev/vg/lv", Match::No),
            ("/dev/vg/other", Match::Unknown),
            ("/dev/mapper/closed", Match::No),
            ("/dev/sdba", Match::Unknown),
            ("tmpfs", Match::No),
            ("10.0.0.5:/export", Match::No),
            ("/srv/images", Match::No),
            ("//server/share=x", Match::No),
        ];
        for (source, expected) in table {
            assert_eq!(compare(source, &[&disk], &names, &decrypted), expected, "{source}");
        }
        for (name, disk, expected) in
            [("sdb12", "sdb", true), ("sdbp1", "sdb", false), ("sdbc", "sdb", false), ("nvme0n1p2", "nvme0n1", true)]
        {
            assert_eq!(is_part(name, disk), expected, "{name} of {disk}");
        }
    }
}
