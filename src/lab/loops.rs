//! Loop devices of a lab: which are its own, and how they are let go. Loop devices belong to the machine's kernel, so one
//! that was set up inside a host outlives it unless somebody detaches it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::run::file_problem;
use super::{Lab, SCRIPT};
use crate::model::Problem;

/// An attached loop device, as `losetup --list` tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Loop {
    /// `/dev/loop3`
    pub(super) name: String,
    /// The file system that the backing file lies on, `MAJOR:MINOR`.
    #[serde(rename = "back-maj:min")]
    device: Option<String>,
    #[serde(rename = "back-ino")]
    inode: Option<u64>,
    /// The path of the backing file as the kernel tells it here; inside a host the same path may be another file.
    #[serde(rename = "back-file")]
    file: Option<String>,
    autoclear: bool,
}

impl Loop {
    fn backing_device(&self) -> &str {
        self.device.as_deref().unwrap_or_default().trim()
    }

    /// Its own number, `7:3`, as the device of a file system mounted from it.
    fn number(&self) -> Option<String> {
        Some(format!("7:{}", self.name.strip_prefix("/dev/loop")?))
    }

    /// Whether it stands for this file of the machine.
    pub(super) fn has_file(&self, file: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Ok(metadata) = fs::metadata(file) else { return false };
        let device = format!("{}:{}", rustix::fs::major(metadata.dev()), rustix::fs::minor(metadata.dev()));
        self.inode == Some(metadata.ino()) && self.backing_device() == device
    }

    /// Whether it is the same attachment, not a later one under the same name.
    fn is(&self, other: &Loop) -> bool {
        self.name == other.name && self.device == other.device && self.inode == other.inode
    }
}

#[derive(Deserialize)]
struct Listing {
    loopdevices: Vec<Loop>,
}

/// All attached loop devices of the machine.
pub(super) fn attached(lab: &Lab) -> Result<Vec<Loop>, Problem> {
    let words = ["--list", "--json", "--output", "NAME,BACK-MAJ:MIN,BACK-INO,BACK-FILE,AUTOCLEAR"];
    let text = losetup(lab, &words.map(OsStr::new))?;
    parse(&text).map_err(|error| {
        Problem::error(
            "lab-command-failed",
            format!("the output of `losetup --list --json` is not understood: {error}"),
            "A lab cannot tell which loop devices are its own. Which version of util-linux is this? (`losetup --version`)",
        )
    })
}

fn parse(text: &str) -> Result<Vec<Loop>, serde_json::Error> {
    // Nothing at all is said when no device is attached.
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str::<Listing>(text).map(|listing| listing.loopdevices)
}

/// The devices whose backing file lies below `dir`, or on a file system of `devices`, or on one mounted from such a device.
pub(super) fn belonging(all: &[Loop], dir: &Path, devices: &BTreeSet<String>) -> Vec<Loop> {
    let mut devices = devices.clone();
    let mut found: Vec<Loop> = Vec::new();
    loop {
        let next = all.iter().find(|device| {
            let ours = device.file.as_deref().is_some_and(|file| Path::new(file).starts_with(dir));
            (ours || devices.contains(device.backing_device())) && !found.contains(device)
        });
        let Some(next) = next else { return found };
        devices.extend(next.number());
        found.push(next.clone());
    }
}

/// The file systems that are a host's own, as `MAJOR:MINOR`: those that its first process sees and this one does not, and
/// its root where that is an overlay, which engines mount on the machine too.
pub(super) fn private_file_systems(pid: i32) -> Result<BTreeSet<String>, Problem> {
    let read = |path: String| {
        let path = Path::new(&path);
        fs::read_to_string(path).map_err(|error| file_problem("read", path, &error))
    };
    let theirs = read(format!("/proc/{pid}/mountinfo"))?;
    Ok(private(&theirs, &read("/proc/self/mountinfo".to_owned())?))
}

fn private(theirs: &str, ours: &str) -> BTreeSet<String> {
    let devices = |text: &str| -> BTreeSet<String> {
        text.lines().filter_map(|line| line.split(' ').nth(2)).map(str::to_owned).collect()
    };
    let is_own_root = |line: &&str| line.split(' ').nth(4) == Some("/") && line.contains(" - overlay ");
    let root: String = theirs.lines().filter(is_own_root).map(|line| format!("{line}\n")).collect();
    let roots_of_ours: String = ours.lines().filter(is_own_root).map(|line| format!("{line}\n")).collect();
    let mut private: BTreeSet<String> = devices(theirs).difference(&devices(ours)).cloned().collect();
    private.extend(devices(&root).difference(&devices(&roots_of_ours)).cloned());
    private
}

/// Runs `losetup` with nodes for all loop devices. A container's /dev has none for those that were made later, and what
/// has no node `losetup` does not even list.
pub(super) fn losetup(lab: &Lab, words: &[&OsStr]) -> Result<String, Problem> {
    let table = Path::new("/proc/self/mounts");
    let mounts = fs::read_to_string(table).map_err(|error| file_problem("read", table, &error))?;
    if mounts.contains(" /dev devtmpfs ") {
        return lab.run("losetup", words);
    }
    super::dev::make_template(&lab.dir.join("dev"))?;
    let own = ["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "namespace.sh", "with_nodes"];
    let own = own.into_iter().map(OsStr::new).chain([lab.dir.as_os_str(), OsStr::new("losetup")]);
    lab.run("unshare", own.chain(words.iter().copied()))
}

/// Detaches devices of a lab and waits until they are gone: at once, or when the last mount of them goes.
pub(super) fn detach(lab: &Lab, devices: &[Loop]) -> Result<(), Problem> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let now = attached(lab)?;
        let left: Vec<&Loop> = now.iter().filter(|device| devices.iter().any(|ours| ours.is(device))).collect();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > end {
            let names: Vec<_> = left.iter().map(|device| device.name.as_str()).collect();
            return Err(Problem::error(
                "lab-loop-busy",
                format!("loop devices of the lab are still in use: {}", names.join(", ")),
                "Something holds a file or a mount of the lab open (a shell in it, or a mount of the machine). \
                 End that, then run `larder lab down` again.",
            ));
        }
        for device in left.iter().filter(|device| !device.autoclear) {
            // An error means that it is gone already, or is tried again until the time is over.
            let _ = losetup(lab, &["--detach".as_ref(), device.name.as_ref()]);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = r#"{"loopdevices": [
        {"name":"/dev/loop0", "back-maj:min":"     254:0  ", "back-ino":17, "back-file":"/lab/hosts/a/disk.img", "autoclear":true},
        {"name":"/dev/loop1", "back-maj:min":"7:0", "back-ino":12, "back-file":"/srv/x.img", "autoclear":false},
        {"name":"/dev/loop2", "back-maj:min":"7:1", "back-ino":13, "back-file":"/nested.img", "autoclear":false},
        {"name":"/dev/loop3", "back-maj:min":"0:99", "back-ino":2, "back-file":"/t.img", "autoclear":false},
        {"name":"/dev/loop4", "back-maj:min":"254:0", "back-ino":5, "back-file":"/labour/d.img", "autoclear":false}
    ]}"#;

    #[test]
    fn a_lab_owns_what_is_backed_by_its_files_however_deep() {
        let names = |dir: &str, devices: &[&str]| -> Vec<String> {
            let devices = devices.iter().map(|device| (*device).to_owned()).collect();
            let all = parse(LISTING).expect("a listing");
            belonging(&all, Path::new(dir), &devices).into_iter().map(|device| device.name).collect()
        };
        assert_eq!(names("/lab", &[]), ["/dev/loop0", "/dev/loop1", "/dev/loop2"]);
        assert_eq!(names("/lab", &["0:99"]), ["/dev/loop0", "/dev/loop1", "/dev/loop2", "/dev/loop3"]);
        assert_eq!(names("/other", &[]), [""; 0]);
    }

    #[test]
    fn a_host_owns_what_the_machine_does_not_see_and_its_overlay() {
        let machine =
            "1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:39 / /var/lib/docker/x/merged rw - overlay overlay rw\n";
        let container = "3 0 0:39 / / rw - overlay overlay rw\n4 3 0:50 / /run rw - tmpfs tmpfs rw\n\
                         5 3 254:0 /usr /usr ro - ext4 /dev/vda rw\n";
        assert_eq!(private(container, machine).into_iter().collect::<Vec<_>>(), ["0:39", "0:50"]);
        // A machine that is itself a container: while a host boots, it still sees the machine's root.
        let machine = "1 0 0:20 / / rw - overlay overlay rw\n";
        let host = "3 0 0:20 / / rw - overlay overlay rw\n4 3 7:1 / /x rw - ext4 /dev/loop1 rw\n";
        assert_eq!(private(host, machine).into_iter().collect::<Vec<_>>(), ["7:1"]);
    }

    #[test]
    fn no_device_is_no_text() {
        assert_eq!(parse("").expect("empty"), []);
        assert!(parse("losetup: broken").is_err());
    }
}
