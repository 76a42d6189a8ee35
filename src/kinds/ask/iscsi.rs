//! A host as an initiator of iSCSI: its name and services, the records by which it logs in (iscsiadm(8)), and the sessions that its kernel
//! has. Records and sysfs are read as files, which no target delays. No password is ever in an answer.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use crate::model::{Guard, HostFacts, Question, Size};

use super::device::Map;
use super::{Known, device, failure};

/// The constant functions that questions use on the host.
pub const FUNCTIONS: [(&str, &str); 8] = [
    ("iscsi_host", include_str!("iscsi_host.sh")),
    ("iscsi_files", include_str!("iscsi_files.sh")),
    ("iscsi_record", include_str!("iscsi_record.sh")),
    ("iscsi_passwords", include_str!("iscsi_passwords.sh")),
    ("iscsi_sessions", include_str!("iscsi_sessions.sh")),
    ("iscsi_sids", include_str!("iscsi_sids.sh")),
    ("iscsi_above", include_str!("iscsi_above.sh")),
    ("iscsi_use", include_str!("iscsi_use.sh")),
];

/// The constant functions that steps use on the host.
pub const STEP_FUNCTIONS: [(&str, &str); 4] = [
    ("iscsi_set", include_str!("iscsi_set.sh")),
    ("iscsi_forget", include_str!("iscsi_forget.sh")),
    ("iscsi_login", include_str!("iscsi_login.sh")),
    ("iscsi_logout", include_str!("iscsi_logout.sh")),
];

// ---- portals ---------------------------------------------------------------------------------------------------------

/// Where a target answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Portal {
    pub address: IpAddr,
    pub port: u16,
}

impl Portal {
    /// The port that the IANA gave to iSCSI.
    const PORT: u16 = 3260;

    /// `10.0.0.5`, `10.0.0.5:3260`, `fd00::1`, `[fd00::1]`, `[fd00::1]:3260`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Portal { address, port: Self::PORT });
        }
        let (address, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                let port = if port.is_empty() { None } else { Some(port.strip_prefix(':')?) };
                (IpAddr::V6(address.parse().ok()?), port)
            }
            None => {
                let (address, port) = text.split_once(':')?;
                (IpAddr::V4(address.parse().ok()?), Some(port))
            }
        };
        let port = match port {
            None => Self::PORT,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        (port != 0).then_some(Portal { address, port })
    }

    /// The words by which remote functions know the portal of a target. The kernel writes an IPv6 address in full, records are
    /// called by the short form.
    pub fn words(&self, iqn: &str) -> Vec<String> {
        let mut words = vec![iqn.to_owned(), self.port.to_string(), self.address.to_string()];
        if let IpAddr::V6(address) = self.address {
            words.push(address.segments().map(|part| format!("{part:04x}")).join(":"));
        }
        words
    }
}

impl fmt::Display for Portal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::net::SocketAddr::new(self.address, self.port).fmt(f)
    }
}

// ---- the host --------------------------------------------------------------------------------------------------------

/// What systemd says of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    pub id: String,
    pub loaded: String,
    pub enabled: String,
    pub active: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Initiator {
    pub has_iscsiadm: bool,
    /// `iqn.1993-08.org.debian:01:6a1c2f`; `None` where the host has given itself none yet.
    pub name: Option<String>,
    pub units: Vec<Unit>,
}

impl Initiator {
    /// What logs in at boot: Debian calls it open-iscsi, others iscsi.
    pub fn boot(&self) -> Option<&Unit> {
        ["open-iscsi.service", "iscsi.service"].into_iter().find_map(|name| self.unit(name))
    }

    /// Whether iscsid(8) runs, or starts when it is spoken to.
    pub fn runs(&self) -> bool {
        ["iscsid.service", "iscsid.socket"]
            .into_iter()
            .filter_map(|name| self.unit(name))
            .any(|unit| unit.active == "active")
    }

    /// A unit that the host has.
    pub fn unit(&self, name: &str) -> Option<&Unit> {
        self.units.iter().find(|unit| unit.id == name && unit.loaded != "not-found")
    }
}

pub fn host_question() -> Question {
    Question::new(["iscsi_host"])
}

pub fn read_host(facts: &HostFacts) -> Known<Initiator> {
    let text = whole(facts, &host_question())?;
    let mut initiator = Initiator::default();
    let mut unit = Unit::default();
    for line in text.lines() {
        let (word, value) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "program" => initiator.has_iscsiadm |= value == "iscsiadm",
            "name" => {
                if let Some(("InitiatorName", name)) =
                    value.split_once('=').map(|(key, name)| (key.trim(), name.trim()))
                    && !name.is_empty()
                {
                    initiator.name.get_or_insert(name.to_owned());
                }
            }
            "unit" => match value.split_once('=') {
                Some(("Id", id)) => unit.id = id.to_owned(),
                Some(("LoadState", loaded)) => unit.loaded = loaded.to_owned(),
                Some(("UnitFileState", enabled)) => unit.enabled = enabled.to_owned(),
                Some(("ActiveState", active)) => unit.active = active.to_owned(),
                _ => initiator.units.push(std::mem::take(&mut unit)),
            },
            _ => return Err(format!("what the host says of iSCSI makes no sense: {line:?}")),
        }
    }
    initiator.units.push(unit);
    initiator.units.retain(|unit| !unit.id.is_empty());
    Ok(initiator)
}

// ---- records ---------------------------------------------------------------------------------------------------------

/// By what a host logs in to a portal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    pub file: String,
    /// Nobody but root can read or write it.
    pub is_private: bool,
    /// `automatic`, `manual`, `onboot`.
    pub startup: String,
    /// `CHAP` or `None`.
    pub method: String,
    pub username: String,
    /// The user by which the target shows who it is.
    pub username_in: String,
}

pub fn record_question(iqn: &str, portal: &Portal) -> Question {
    function("iscsi_record", &portal.words(iqn)[..3])
}

/// The records of a portal: mostly one, one for each interface where somebody has made more.
pub fn read_records(facts: &HostFacts, iqn: &str, portal: &Portal) -> Known<Vec<Record>> {
    let text = whole(facts, &record_question(iqn, portal))?;
    let nonsense = |line: &str| format!("what the host says of the record of {portal} makes no sense: {line:?}");
    let mut records: Vec<Record> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("record ") {
            let mut words = rest.splitn(3, ' ');
            let (Some(mode), Some(owner), Some(file)) = (words.next(), words.next(), words.next()) else {
                return Err(nonsense(line));
            };
            let mode = u32::from_str_radix(mode, 8).map_err(|_| nonsense(line))?;
            records.push(Record {
                file: file.to_owned(),
                is_private: mode & 0o077 == 0 && owner == "0",
                ..Record::default()
            });
            continue;
        }
        let setting = line.strip_prefix("set ").and_then(|rest| rest.split_once(" = "));
        let (Some((name, value)), Some(record)) = (setting, records.last_mut()) else { return Err(nonsense(line)) };
        let place = match name {
            "node.startup" => &mut record.startup,
            "node.session.auth.authmethod" => &mut record.method,
            "node.session.auth.username" => &mut record.username,
            "node.session.auth.username_in" => &mut record.username_in,
            _ => return Err(nonsense(line)),
        };
        value.clone_into(place);
    }
    Ok(records)
}

/// A guard that holds while the records of a portal say what they said.
pub fn record_guard(facts: &HostFacts, iqn: &str, portal: &Portal) -> Known<Guard> {
    let ask = record_question(iqn, portal);
    let reply = facts.said(&ask)?;
    Ok(Guard { what: format!("the record of {iqn} at {portal}"), ask, status: reply.status, out: reply.out })
}

/// Asks whether the records of a portal hold these passwords; marks of them are enough.
pub fn password_question(iqn: &str, portal: &Portal, passwords: &[String; 2]) -> Question {
    let words = &portal.words(iqn)[..3];
    function("iscsi_passwords", &[words, passwords].concat())
}

/// The files of the records that hold other passwords.
pub fn read_passwords(
    facts: &HostFacts,
    iqn: &str,
    portal: &Portal,
    passwords: &[String; 2],
) -> Known<BTreeSet<String>> {
    let text = whole(facts, &password_question(iqn, portal, passwords))?;
    let mut differ = BTreeSet::new();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("same", _)) => {}
            Some(("differ", file)) => drop(differ.insert(file.to_owned())),
            _ => return Err("what the host says of its passwords makes no sense".to_owned()),
        }
    }
    Ok(differ)
}

// ---- sessions --------------------------------------------------------------------------------------------------------

/// A connection of the kernel to a target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    pub number: u32,
    /// `LOGGED_IN`, `FAILED`, `FREE`.
    pub state: String,
    /// The portal that it was made to, and the one that the target sent it to.
    pub portals: Vec<Portal>,
    pub disks: Vec<Disk>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Disk {
    /// The kernel's name; another one after the next boot.
    pub name: String,
    /// `MAJOR:MINOR`.
    pub number: String,
    pub size: Size,
    /// `running`, `blocked`, `transport-offline`, ...
    pub state: String,
    /// What the disk calls itself: `naa.6001405...`.
    pub wwid: Option<String>,
    /// Numbers of its partitions and of the multipath device that it is a path of.
    pub above: Vec<String>,
    pub map: Option<Map>,
}

impl Session {
    pub fn is_logged_in(&self) -> bool {
        self.state == "LOGGED_IN"
    }
}

impl Disk {
    /// The name that is the same on every host and after each boot; the kernel's where the disk tells none.
    pub fn lasting_name(&self) -> String {
        match (&self.map, self.wwn()) {
            (Some(map), _) => map.path(),
            (None, Some(wwn)) if !wwn.starts_with("eui.") => format!("/dev/disk/by-id/wwn-0x{wwn}"),
            _ => format!("/dev/{}", self.name),
        }
    }

    pub fn wwn(&self) -> Option<String> {
        self.wwid.as_deref().and_then(device::wwn)
    }
}

pub fn sessions_question(iqn: &str) -> Question {
    Question::new(["iscsi_sessions", iqn])
}

pub fn read_sessions(facts: &HostFacts, iqn: &str) -> Known<Vec<Session>> {
    let text = whole(facts, &sessions_question(iqn))?;
    sessions(&text).ok_or_else(|| format!("what the host says of its sessions with {iqn} makes no sense"))
}

fn sessions(text: &str) -> Option<Vec<Session>> {
    let mut all: Vec<Session> = Vec::new();
    for line in text.lines() {
        let (word, rest) = line.split_once(' ')?;
        if word == "session" {
            let (number, state) = rest.split_once(' ')?;
            all.push(Session { number: number.parse().ok()?, state: state.to_owned(), ..Session::default() });
            continue;
        }
        let session = all.last_mut()?;
        match word {
            "portal" => {
                let (port, address) = rest.split_once(' ')?;
                // A connection that is being made anew may tell no address.
                let portal = address.parse().ok().zip(port.parse().ok());
                session.portals.extend(portal.map(|(address, port)| Portal { address, port }));
                continue;
            }
            "disk" => {
                let words: Vec<_> = rest.splitn(4, ' ').collect();
                let [name, number, sectors, state] = words.as_slice() else { return None };
                // sysfs counts in sectors of 512 bytes, whatever the disk does.
                let size = Size(sectors.parse::<u64>().ok()?.checked_mul(512)?);
                let (name, number, state) = ((*name).to_owned(), (*number).to_owned(), (*state).to_owned());
                session.disks.push(Disk { name, number, size, state, ..Disk::default() });
                continue;
            }
            _ => {}
        }
        let disk = session.disks.last_mut()?;
        match word {
            "wwid" => disk.wwid = Some(rest.trim().to_owned()).filter(|wwid| !wwid.is_empty()),
            "part" => disk.above.push(rest.split_once(' ')?.0.to_owned()),
            "map" => {
                let (number, rest) = rest.split_once(' ')?;
                let (uuid, name) = rest.split_once(' ')?;
                disk.above.push(number.to_owned());
                disk.map = Some(Map { name: name.to_owned(), wwid: uuid.strip_prefix("mpath-")?.to_owned() });
            }
            _ => return None,
        }
    }
    Some(all)
}

/// Who keeps a session from being ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    Mounted(String),
    /// A device made of the disk: a logical volume, an array.
    Holder(String),
    /// A multipath device that would lose its last path that works.
    LastPath(String),
    Swap(String),
    /// A process, with its name.
    Open(String, String),
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Use::Mounted(target) => write!(f, "it is mounted on {target}"),
            Use::Holder(name) => write!(f, "the device {name} is made of it"),
            Use::LastPath(map) => write!(f, "it is the last path of the multipath device {map}"),
            Use::Swap(path) => write!(f, "{path} is in use as swap"),
            Use::Open(pid, name) => write!(f, "{name} (process {pid}) has it open"),
        }
    }
}

pub fn use_question(iqn: &str, portal: &Portal) -> Question {
    function("iscsi_use", &portal.words(iqn))
}

/// Who uses the disks of the sessions with a portal.
pub fn read_use(facts: &HostFacts, iqn: &str, portal: &Portal) -> Known<Vec<Use>> {
    let text = whole(facts, &use_question(iqn, portal))?;
    let uses = text.lines().map(|line| {
        let (word, rest) = line.split_once(' ')?;
        Some(match word {
            "mounted" => Use::Mounted(super::mounts::unescape(rest)),
            "holder" => Use::Holder(rest.to_owned()),
            "last-path" => Use::LastPath(rest.to_owned()),
            "swap" => Use::Swap(rest.to_owned()),
            "open" => rest.split_once(' ').map(|(pid, name)| Use::Open(pid.to_owned(), name.to_owned()))?,
            _ => return None,
        })
    });
    uses.collect::<Option<_>>().ok_or_else(|| format!("who uses the disks of {iqn} at {portal} makes no sense"))
}

/// A guard that holds while nobody uses the disks of the sessions with a portal.
pub fn nobody(iqn: &str, portal: &Portal) -> Guard {
    let what = format!("who uses the disks of {iqn} at {portal}");
    Guard { what, ask: use_question(iqn, portal), status: 0, out: "end\n".to_owned() }
}

fn function(name: &str, words: &[String]) -> Question {
    Question::new(std::iter::once(name).chain(words.iter().map(String::as_str)))
}

/// An answer that came to its end, without that mark.
fn whole(facts: &HostFacts, question: &Question) -> Known<String> {
    let reply = facts.said(question)?;
    match reply.out.strip_suffix("end\n").filter(|text| reply.status == 0 && (text.is_empty() || text.ends_with('\n')))
    {
        Some(text) => Ok(text.to_owned()),
        None => Err(failure(&reply)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Answer, Reply};

    const IQN: &str = "iqn.2026-01.lab.example:array";

    fn portal(text: &str) -> Portal {
        Portal::parse(text).expect("a portal")
    }

    fn said(question: Question, status: i32, out: &str) -> HostFacts {
        let reply = Reply { status, out: out.to_owned(), err: String::new() };
        HostFacts::Reached([(question, Answer::Said(reply))].into())
    }

    #[test]
    fn a_portal_has_one_spelling() {
        let table = [
            ("10.0.0.5", Some("10.0.0.5:3260")),
            ("10.0.0.5:3260", Some("10.0.0.5:3260")),
            ("10.0.0.5:860", Some("10.0.0.5:860")),
            ("[fd00:0:0::1]:3261", Some("[fd00::1]:3261")),
            ("[fd00::1]", Some("[fd00::1]:3260")),
            ("FD00::1", Some("[fd00::1]:3260")),
            ("10.0.0.5:0", None),
            ("10.0.0.5:+1", None),
            ("10.0.0.5:", None),
            ("10.0.0.5:65536", None),
            ("10.0.0.5:3260,1", None),
            ("[10.0.0.5]:3260", None),
            ("san:3260", None),
            ("fd00::1]:3260", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(Portal::parse(text).map(|portal| portal.to_string()).as_deref(), expected, "{text}");
        }
        assert_eq!(portal("[fd00::1]").words(IQN)[2..], ["fd00::1", "fd00:0000:0000:0000:0000:0000:0000:0001"]);
        assert_eq!(portal("10.0.0.5").words(IQN), [IQN, "3260", "10.0.0.5"]);
    }

    #[test]
    fn a_debian_host_is_understood() {
        let out = "program iscsiadm\nname ## why\nname InitiatorName=iqn.1993-08.org.debian:01:6a1c\nunit Id=open-iscsi.service\nunit LoadState=loaded\nunit ActiveState=inactive\nunit UnitFileState=disabled\nunit \nunit Id=iscsi.service\nunit LoadState=not-found\nunit ActiveState=inactive\nunit UnitFileState=\nunit \nunit Id=iscsid.socket\nunit LoadState=loaded\nunit ActiveState=active\nunit UnitFileState=enabled\nend\n";
        let initiator = read_host(&said(host_question(), 0, out)).expect("an initiator");
        assert!(initiator.has_iscsiadm && initiator.runs());
        assert_eq!(initiator.name.as_deref(), Some("iqn.1993-08.org.debian:01:6a1c"));
        assert_eq!(
            initiator.boot().map(|unit| (unit.id.as_str(), unit.enabled.as_str())),
            Some(("open-iscsi.service", "disabled"))
        );
        assert_eq!(initiator.unit("iscsi.service"), None);
        let fresh = read_host(&said(host_question(), 0, "name GenerateName=yes\nend\n")).expect("an initiator");
        assert_eq!((fresh.name, fresh.has_iscsiadm), (None, false));
    }

    #[test]
    fn records_are_read_by_what_they_say() {
        let at = portal("10.0.0.5");
        let out = format!(
            "record 600 0 /etc/iscsi/nodes/{IQN}/10.0.0.5,3260,1/default\nset node.startup = automatic\nset node.session.auth.authmethod = CHAP\nset node.session.auth.username = la = rder\nrecord 644 0 /etc/iscsi/nodes/{IQN}/10.0.0.5,3260,1/eth1\nset node.startup = manual\nset node.session.auth.authmethod = None\nend\n"
        );
        let records = read_records(&said(record_question(IQN, &at), 0, &out), IQN, &at).expect("records");
        let [first, second] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!(
            (first.startup.as_str(), first.method.as_str(), first.username.as_str()),
            ("automatic", "CHAP", "la = rder")
        );
        assert!(first.is_private && !second.is_private);
        for out in
            ["set node.startup = x\nend\n", "record 600 0\nend\n", "record x 0 /f\nend\n", "record 600 0 /f\n", ""]
        {
            assert!(read_records(&said(record_question(IQN, &at), 0, out), IQN, &at).is_err(), "{out:?}");
        }
    }

    #[test]
    fn sessions_are_read_with_their_disks() {
        let text = "session 1 LOGGED_IN\nportal 3260 10.99.0.21\nportal 3260 10.99.0.21\ndisk sdb 8:16 2097152 running\nwwid naa.600140587b6144a139142cd8fae5f23c\npart 8:17 sdb1\nmap 253:0 mpath-3600140587b6144a139142cd8fae5f23c my map\ndisk sdc 8:32 8 blocked\nsession 2 FAILED\nportal 3260 fd00:0000:0000:0000:0000:0000:0000:0001\n";
        let all = sessions(text).expect("sessions");
        assert_eq!(all.iter().map(|one| (one.number, one.is_logged_in())).collect::<Vec<_>>(), [(1, true), (2, false)]);
        let disk = &all[0].disks[0];
        assert_eq!(
            (disk.size, disk.above.as_slice()),
            (Size(1 << 30), ["8:17".to_owned(), "253:0".to_owned()].as_slice())
        );
        assert_eq!(disk.lasting_name(), "/dev/disk/by-id/dm-uuid-mpath-3600140587b6144a139142cd8fae5f23c");
        let alone = Disk { map: None, ..disk.clone() };
        assert_eq!(alone.lasting_name(), "/dev/disk/by-id/wwn-0x600140587b6144a139142cd8fae5f23c");
        assert_eq!(all[0].disks[1].lasting_name(), "/dev/sdc");
        assert_eq!(all[1].portals, [portal("fd00::1")]);
        for broken in
            ["disk sdb 8:16 1 running\n", "session x LOGGED_IN\n", "session 1 UP\nwwid x\n", "session 1 UP\nmore\n"]
        {
            assert_eq!(sessions(broken), None, "{broken}");
        }
    }

    #[test]
    fn silence_is_never_nobody_and_no_session() {
        let at = portal("10.0.0.5");
        for (status, out, is_known) in
            [(0, "end\n", true), (0, "", false), (1, "end\n", false), (0, "open 7 qemuend\n", false)]
        {
            assert_eq!(read_use(&said(use_question(IQN, &at), status, out), IQN, &at).is_ok(), is_known, "{out:?}");
            assert_eq!(read_sessions(&said(sessions_question(IQN), status, out), IQN).is_ok(), is_known, "{out:?}");
        }
        let out = "holder vg-data\nlast-path mpatha\nmounted /srv/my\\040disk\nswap /dev/sdb2\nopen 77 qemu-system-x86\nend\n";
        let uses = read_use(&said(use_question(IQN, &at), 0, out), IQN, &at).expect("uses");
        let told = uses.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(told.len(), 5);
        assert_eq!(
            (told[2].as_str(), told[4].as_str()),
            ("it is mounted on /srv/my disk", "qemu-system-x86 (process 77) has it open")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer_or_unknown(text in any::<String>()) {
            let _ = sessions(&text);
            let _ = Portal::parse(&text);
            let _ = read_host(&said(host_question(), 0, &text));
        }
    }
}
