//! The file systems of NFS servers as the kernel's client knows them: /proc/fs/nfsfs/volumes. No server delays it.

use std::collections::BTreeMap;

use crate::model::{HostFacts, Question};

/// By which its server tells a file system from its others: the same for all clients of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// `v3`, `v4`.
    pub version: String,
    pub fsid: String,
}

pub fn question() -> Question {
    Question::new(["cat", "/proc/fs/nfsfs/volumes"])
}

/// The volumes by the device of their mounts, `MAJOR:MINOR`. Where there is no such file, or nobody asked, nothing is known of any.
pub fn read(facts: &HostFacts) -> BTreeMap<String, Volume> {
    let Ok(reply) = facts.said(&question()) else { return BTreeMap::new() };
    reply.out.lines().filter_map(parse).collect()
}

/// `v4 0a630015  801 0:45         3c5a2b1e:0                        no `; the first line has the names of the columns.
fn parse(line: &str) -> Option<(String, Volume)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [version, _, _, device, fsid, ..] = words.as_slice() else { return None };
    let is_row = version.starts_with('v') && device.contains(':') && fsid.contains(':') && *fsid != "0:0";
    is_row.then(|| ((*device).to_owned(), Volume { version: (*version).to_owned(), fsid: (*fsid).to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Answer, Reply};

    #[test]
    fn each_volume_has_the_device_of_its_mounts() {
        let out = "NV SERVER   PORT DEV          FSID                              FSC\n\
                   v4 0a630015  801 0:45         3c5a2b1e:77                       no \n\
                   v3 0a630015  801 0:46         a1:0                              no \n\
                   v4 0a630016  801 0:47         0:0                               no \n";
        let reply = Reply { status: 0, out: out.into(), err: String::new() };
        let volumes = read(&HostFacts::Reached([(question(), Answer::Said(reply))].into()));
        let told: Vec<_> = volumes.iter().map(|(at, one)| format!("{at} {} {}", one.version, one.fsid)).collect();
        assert_eq!(told, ["0:45 v4 3c5a2b1e:77", "0:46 v3 a1:0"], "0:0 is no number of its own");
    }

    #[test]
    fn without_the_file_nothing_is_known() {
        let reply = Reply {
            status: 1,
            out: String::new(),
            err: "cat: /proc/fs/nfsfs/volumes: No such file or directory\n".into(),
        };
        assert!(read(&HostFacts::Reached([(question(), Answer::Said(reply))].into())).is_empty());
        assert!(read(&HostFacts::Unreachable("down".into())).is_empty());
    }
}
