//! The /dev of lab hosts: the nodes that every host has, and block devices that a test gives to some of them.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::run::file_problem;
use super::{Lab, loops};
use crate::model::{Problem, Size};

/// Name, major and minor number, mode.
const CHARACTER: [(&str, u32, u32, u32); 9] = [
    ("null", 1, 3, 0o666),
    ("zero", 1, 5, 0o666),
    ("full", 1, 7, 0o666),
    ("random", 1, 8, 0o666),
    ("urandom", 1, 9, 0o666),
    ("tty", 5, 0, 0o666),
    ("fuse", 10, 229, 0o666),
    ("btrfs-control", 10, 234, 0o660),
    ("loop-control", 10, 237, 0o660),
];

const LOOPS: u32 = 64;

/// The group `disk` of the hosts.
const DISK: u32 = 6;

/// Makes a directory that every host copies its /dev from.
pub(super) fn make_template(path: &Path) -> Result<(), Problem> {
    if path.exists() {
        return Ok(());
    }
    let new = path.with_extension("new");
    let made = || -> std::io::Result<()> {
        if new.exists() {
            fs::remove_dir_all(&new)?;
        }
        for name in ["pts", "shm", "mapper", "disk/by-id", "disk/by-path", "disk/by-uuid"] {
            fs::create_dir_all(new.join(name))?;
        }
        for (name, major, minor, mode) in CHARACTER {
            node(&new.join(name), FileType::CharacterDevice, (major, minor), mode)?;
        }
        for minor in 0..LOOPS {
            let path = new.join(format!("loop{minor}"));
            node(&path, FileType::BlockDevice, (7, minor), 0o660)?;
            chown(&path, None, Some(DISK))?;
        }
        for (name, target) in [
            ("ptmx", "pts/ptmx"),
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
        ] {
            symlink(target, new.join(name))?;
        }
        fs::rename(&new, path)
    };
    made().map_err(|error| file_problem("make device nodes in", path, &error))
}

fn node(path: &Path, kind: FileType, (major, minor): (u32, u32), mode: u32) -> std::io::Result<()> {
    mknodat(CWD, path, kind, Mode::from_raw_mode(mode), makedev(major, minor))?;
    // Once more, because mknod applies the umask.
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Only paths below /dev whose text is plain enough for a list of lines.
pub(super) fn check_path(path: &str) -> Result<(), Problem> {
    let is_plain = path.strip_prefix("/dev/").is_some_and(|rest| {
        let parts_are = rest.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        parts_are && rest.chars().all(|c| c.is_ascii_alphanumeric() || "._:+-/@".contains(c))
    });
    match is_plain {
        true => Ok(()),
        false => Err(Problem::error(
            "lab-device",
            format!("`{path}` is not a path for a device of a lab host"),
            "Write one below /dev, like `/dev/disk/by-id/wwn-0x5000c500a1b2c3d4`.",
        )),
    }
}

/// A sparse file of this size.
pub(super) fn make_file(path: &Path, size: Size) -> Result<(), Problem> {
    File::create(path).and_then(|file| file.set_len(size.0)).map_err(|error| file_problem("make", path, &error))
}

/// The loop device of a file, `loop3`, attached if it is not yet.
pub(super) fn attach(lab: &Lab, file: &Path) -> Result<String, Problem> {
    let attached = loops::attached(lab)?;
    let name = match attached.into_iter().find(|device| device.has_file(file)) {
        Some(device) => device.name,
        None => loops::losetup(lab, &["--find".as_ref(), "--show".as_ref(), file.as_os_str()])?.trim().to_owned(),
    };
    match name.strip_prefix("/dev/") {
        Some(short) => Ok(short.to_owned()),
        None => Err(Problem::error(
            "lab-command-failed",
            format!("losetup gave `{name}`, which is no loop device"),
            "Which version of util-linux is this? (`losetup --version`)",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_plain_paths_below_dev() {
        for path in ["/dev/sdb", "/dev/disk/by-id/wwn-0x5000", "/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-x"] {
            assert!(check_path(path).is_ok(), "{path}");
        }
        for path in ["/dev/", "/dev/../etc/x", "/etc/x", "dev/x", "/dev/a b", "/dev//x", "/dev/x\ny", "/dev/./x"] {
            assert!(check_path(path).is_err(), "{path}");
        }
    }
}
