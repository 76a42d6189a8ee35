//! The cluster stack of OCFS2 on a host: what is installed, what starts it, and the clusters that the kernel knows
//! (o2cb(7), /sys/kernel/config/cluster).

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Guard, HostFacts, Question};

use super::cluster_conf::Node;
use super::{Known, failure, samba};

/// Programs of ocfs2-tools.
const PROGRAMS: [&str; 4] = ["mkfs.ocfs2", "mount.ocfs2", "o2cb", "tunefs.ocfs2"];

/// What a host has of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct O2cb {
    pub programs: BTreeSet<String>,
    pub modules: BTreeSet<String>,
    /// The file with what the service is to do.
    pub settings: String,
    /// What systemd says of the unit: `loaded`, `masked`, `not-found`; empty without systemd.
    pub unit: String,
    /// `enabled`, `disabled`, ...
    pub enabled: String,
    pub panic_on_oops: Option<u64>,
    pub panic: Option<i64>,
    /// IPv4 addresses of the host; empty where it did not tell them.
    pub addresses: BTreeSet<String>,
    /// The clusters that the kernel knows, by name.
    pub online: BTreeMap<String, Online>,
    /// How long storage below may be silent before that is told, in seconds (`None` is without end), with what says so.
    pub patience: Vec<(Option<u64>, String)>,
    /// Multipath maps that wait without end.
    pub queues: Vec<String>,
}

/// A cluster in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Online {
    /// By number.
    pub nodes: Vec<Node>,
    /// The name of the node that is this host.
    pub own: Option<String>,
    /// `heartbeat/dead_threshold`, `idle_timeout_ms`, ...
    pub values: BTreeMap<String, String>,
    /// The UUIDs of what is mounted, in capitals and without dashes.
    pub regions: Vec<String>,
}

impl O2cb {
    /// The package that has a program.
    pub const PACKAGE: &'static str = "ocfs2-tools";
}

pub fn question() -> Question {
    Question::new(std::iter::once("o2cb_facts").chain(PROGRAMS))
}

pub fn read(facts: &HostFacts) -> Known<O2cb> {
    let reply = facts.said(&question())?;
    let text = reply.out.strip_suffix("end\n").filter(|_| reply.status == 0).ok_or_else(|| failure(&reply))?;
    parse(text).ok_or_else(|| "what the host says of o2cb makes no sense".to_owned())
}

fn parse(text: &str) -> Option<O2cb> {
    let mut all = O2cb::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["program", name] => drop(all.programs.insert((*name).to_owned())),
            ["module", name] => drop(all.modules.insert((*name).to_owned())),
            ["settings", path] => all.settings = (*path).to_owned(),
            ["unit", state] => all.unit = (*state).to_owned(),
            ["enabled", state] => all.enabled = (*state).to_owned(),
            ["sysctl", "panic_on_oops", value] => all.panic_on_oops = value.parse().ok(),
            ["sysctl", "panic", value] => all.panic = value.parse().ok(),
            ["address", address] => drop(all.addresses.insert((*address).to_owned())),
            ["cluster", name] => drop(all.online.entry((*name).to_owned()).or_default()),
            ["value", cluster, name, value] => {
                all.online.get_mut(*cluster)?.values.insert((*name).to_owned(), (*value).to_owned());
            }
            ["node", cluster, name, number, address, port, local] => {
                let cluster = all.online.get_mut(*cluster)?;
                if *local == "1" {
                    cluster.own = Some((*name).to_owned());
                }
                let (number, port) = (number.parse().ok()?, port.parse().ok()?);
                let (name, address) = ((*name).to_owned(), (*address).to_owned());
                cluster.nodes.push(Node { number, name, address, port });
            }
            ["region", cluster, uuid] => all.online.get_mut(*cluster)?.regions.push((*uuid).to_owned()),
            ["patience", what, seconds] => {
                let name = if *what == "fc" { "dev_loss_tmo of Fibre Channel" } else { "recovery_tmo of iSCSI" };
                all.patience.push((patience(seconds)?, name.to_owned()));
            }
            ["queues", map] => all.queues.push((*map).to_owned()),
            _ => return None,
        }
    }
    all.online.values_mut().for_each(|cluster| cluster.nodes.sort());
    all.patience.sort();
    all.patience.dedup();
    (!all.settings.is_empty()).then_some(all)
}

/// Seconds; `None` within is without end: a number below zero, `off`, or the largest number, with which "infinity" is written.
fn patience(told: &str) -> Option<Option<u64>> {
    if told == "off" {
        return Some(None);
    }
    let seconds = told.parse::<i64>().ok()?;
    Some(u64::try_from(seconds).ok().filter(|seconds| *seconds < 0x7fff_ffff))
}

// ---- what the service is to do at boot -------------------------------------------------------------------------------

/// Where the settings may lie. Both are asked for: which one counts is known only then.
pub const SETTINGS: [&str; 2] = ["/etc/default/o2cb", "/etc/sysconfig/o2cb"];

/// The text of the settings; `None` where there is no file.
pub fn read_settings(facts: &HostFacts, path: &str) -> Known<Option<String>> {
    samba::read_file(facts, path)
}

/// The value that the shell would have of a name: the last one counts.
pub fn setting<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().rev().find_map(|line| assignment(line, name))
}

fn assignment<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let value = line.strip_prefix(name)?.strip_prefix('=')?.trim_end();
    let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.split_once(*quote));
    Some(quoted.map_or_else(|| value.split([' ', '\t', '#', ';']).next().unwrap_or_default(), |(value, _)| value))
}

/// The text with these settings; every other line stays as it is.
pub fn with_settings(text: &str, wanted: &[(&str, String)]) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for (name, value) in wanted {
        if setting(text, name) == Some(value) {
            continue;
        }
        let written = format!("{name}={value}\n");
        match lines.iter().rposition(|line| assignment(line, name).is_some()) {
            Some(at) => lines[at] = written,
            None => {
                if let Some(last) = lines.last_mut().filter(|last| !last.ends_with('\n')) {
                    last.push('\n');
                }
                lines.push(written);
            }
        }
    }
    lines.concat()
}

// ---- who can be reached ----------------------------------------------------------------------------------------------

/// Whether the port of another node takes a connection. Where this host has a file system of the cluster mounted, it is
/// connected already and nobody tries.
pub fn port_question(address: &str, port: u16) -> Question {
    Question::new(["o2cb_port", address, &port.to_string()])
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    Open,
    NotTried,
    /// Nobody listens there, or a firewall says so.
    Refused(String),
    /// Nothing comes back.
    Silent,
}

pub fn read_port(facts: &HostFacts, address: &str, port: u16) -> Known<Port> {
    let reply = facts.said(&port_question(address, port))?;
    match (reply.status, reply.out.trim_end()) {
        (0, "open") => Ok(Port::Open),
        (0, "not tried") => Ok(Port::NotTried),
        (0, "silent") => Ok(Port::Silent),
        (0, text) if text.starts_with("refused ") => Ok(Port::Refused(text["refused ".len()..].to_owned())),
        _ => Err(failure(&reply)),
    }
}

/// A guard that holds while nothing of a cluster is mounted on the host.
pub fn nothing_mounted(cluster: &str) -> Guard {
    Guard {
        what: format!("what is mounted of the cluster {cluster}"),
        ask: Question::new(["o2cb_regions", cluster]),
        status: 0,
        out: "end\n".to_owned(),
    }
}

/// Remote functions of questions.
pub const FUNCTIONS: [(&str, &str); 3] = [
    ("o2cb_facts", include_str!("o2cb_facts.sh")),
    ("o2cb_port", include_str!("o2cb_port.sh")),
    ("o2cb_regions", include_str!("o2cb_regions.sh")),
];

/// Remote functions of steps.
pub const STEP_FUNCTIONS: [(&str, &str); 6] = [
    ("write_o2cb_file", include_str!("write_o2cb_file.sh")),
    ("start_o2cb", include_str!("start_o2cb.sh")),
    ("register_o2cb", include_str!("register_o2cb.sh")),
    ("unregister_o2cb", include_str!("unregister_o2cb.sh")),
    ("enable_o2cb", include_str!("enable_o2cb.sh")),
    ("reach_o2cb_nodes", include_str!("reach_o2cb_nodes.sh")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_a_cluster_in_its_kernel_is_understood() {
        let text = "program mkfs.ocfs2\nprogram o2cb\nmodule ocfs2\nsettings /etc/default/o2cb\nunit loaded\nenabled enabled\nsysctl panic_on_oops 0\nsysctl panic 5\naddress 127.0.0.1\naddress 10.99.0.11\ncluster vms\nvalue vms idle_timeout_ms 30000\nvalue vms heartbeat/dead_threshold 31\nnode vms hv2 1 10.99.0.12 7777 0\nnode vms hv1 0 10.99.0.11 7777 1\nregion vms E98E6F7257244 2EF\n";
        assert_eq!(parse(text), None, "a UUID is one word");
        let all = parse(&text.replace(" 2EF", "")).expect("facts");
        let online = &all.online["vms"];
        assert_eq!(online.own.as_deref(), Some("hv1"));
        assert_eq!(online.nodes.iter().map(|node| node.number).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(online.values["heartbeat/dead_threshold"], "31");
        assert_eq!((all.panic_on_oops, all.panic, online.regions.len()), (Some(0), Some(5), 1));
    }

    #[test]
    fn a_patience_without_end_is_none_of_seconds() {
        let table = [
            ("0", Some(Some(0))),
            ("120", Some(Some(120))),
            ("-1", Some(None)),
            ("off", Some(None)),
            ("2147483647", Some(None)),
            ("4294967295", Some(None)),
            ("soon", None),
        ];
        for (told, expected) in table {
            assert_eq!(patience(told), expected, "{told}");
            let facts = parse(&format!("settings /etc/default/o2cb\npatience fc {told}\n"));
            assert_eq!(facts.map(|all| all.patience[0].0), expected, "{told}");
        }
    }

    #[test]
    fn settings_are_changed_line_by_line() {
        let text = "# This is a configuration file\nO2CB_ENABLED=false\n\nO2CB_BOOTCLUSTER=ocfs2\n# O2CB_IDLE_TIMEOUT_MS=1\nO2CB_HEARTBEAT_THRESHOLD=\"31\" # dead\nother=1";
        let wanted = [
            ("O2CB_ENABLED", "true".to_owned()),
            ("O2CB_BOOTCLUSTER", "vms".to_owned()),
            ("O2CB_HEARTBEAT_THRESHOLD", "31".to_owned()),
            ("O2CB_IDLE_TIMEOUT_MS", "60000".to_owned()),
        ];
        let expected = "# This is a configuration file\nO2CB_ENABLED=true\n\nO2CB_BOOTCLUSTER=vms\n# O2CB_IDLE_TIMEOUT_MS=1\nO2CB_HEARTBEAT_THRESHOLD=\"31\" # dead\nother=1\nO2CB_IDLE_TIMEOUT_MS=60000\n";
        assert_eq!(with_settings(text, &wanted), expected);
        assert_eq!(with_settings(expected, &wanted), expected);
        for (line, value) in [("A=1", "1"), ("export A='x y' # z", "x y"), (" A=1;B=2", "1"), ("A=", "")] {
            assert_eq!(setting(line, "A"), Some(value), "{line}");
        }
        assert_eq!(setting("A=1\nA=2\n", "A"), Some("2"));
        assert_eq!(setting("AB=1\n#A=2\n", "A"), None);
    }
}
