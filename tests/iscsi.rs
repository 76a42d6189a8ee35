//! Who uses the disks of a session, asked in every shell: the kernel's own mounts and loop devices in a mount and process namespace of
//! their own, beneath a directory that stands for what a session has in sysfs.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use larder::kinds::ask::{self, iscsi};
use tempfile::TempDir;

const SHELLS: [&[&str]; 2] = [&["dash"], &["bash", "--posix"]];

const IQN: &str = "iqn.2026-01.lab.example:array";

/// A directory that stands for parts of sysfs and configfs, with programs beside it.
struct Stage(TempDir);

impl Stage {
    fn new() -> Self {
        let stage = Stage(TempDir::new().expect("a directory"));
        for name in ["bin", "session", "block", "config", "module", "numbers", "records"] {
            std::fs::create_dir_all(stage.at(name)).expect("a directory");
        }
        stage
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("text").to_owned()
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(path, format!("{text}\n")).expect("a file");
    }

    fn program(&self, name: &str, script: &str) {
        self.file(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}"));
        let mode = PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(self.at(&format!("bin/{name}")), mode).expect("a mode");
    }

    /// A session with one disk, whose directory in sysfs is given.
    fn session(&self, number: u32, address: &str, disk: &str) {
        let at = format!("session/session{number}");
        let connection = format!("{at}/device/connection{number}:0/iscsi_connection/connection{number}:0");
        self.file(&format!("{at}/targetname"), IQN);
        self.file(&format!("{connection}/address"), address);
        self.file(&format!("{connection}/port"), "3260");
        let unit = format!("{at}/device/target{number}:0:0/{number}:0:0:0");
        std::fs::create_dir_all(self.at(&format!("{unit}/block"))).expect("a directory");
        let name = disk.rsplit('/').next().expect("a name");
        symlink(disk, self.at(&format!("{unit}/block/{name}"))).expect("a link");
    }

    /// What a function says after a script, both in a namespace of their own, or what it complains of.
    fn call(&self, shell: &[&str], before: &str, words: &[&str]) -> Result<String, String> {
        let mut script = format!("set -e\n{before}\nset +e -f\n");
        let open_files = ask::FUNCTIONS.iter().filter(|(name, _)| *name == "open_files_below");
        for (name, body) in iscsi::FUNCTIONS.iter().chain(&iscsi::STEP_FUNCTIONS).chain(open_files) {
            let mut body = (*body).to_owned();
            for (real, own) in [
                ("/sys/class/iscsi_session", "session"),
                ("/sys/class/block", "block"),
                ("/sys/dev/block", "numbers"),
                ("/sys/kernel/config", "config"),
                ("/sys/module", "module"),
                ("/etc/iscsi/nodes", "records"),
                ("/var/lib/iscsi", "none"),
                ("/etc/iscsi/", ""),
            ] {
                body = body.replace(real, &self.at(own));
            }
            script.push_str(&format!("{name}() {{\n{body}\n}}\n"));
        }
        script.push_str("\"$@\"\n");
        let path = format!("{}:{}", self.at("bin"), std::env::var("PATH").expect("a path"));
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]).args(shell);
        let said = command.args(["-c", &script, "sh"]).args(words).env("PATH", path).current_dir(&self.0).output();
        let said = said.expect("a shell");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if said.status.success() { Ok(text(&said.stdout)) } else { Err(text(&said.stderr)) }
    }
}

/// A loop device, which goes with its value.
struct Loop(String);

impl Loop {
    fn of(stage: &Stage, name: &str) -> Self {
        let path = stage.at(name);
        std::fs::File::create(&path).and_then(|file| file.set_len(128 << 20)).expect("a file");
        let said = Command::new("losetup").args(["--find", "--show", &path]).output().expect("losetup");
        let device = String::from_utf8(said.stdout).expect("text").trim().to_owned();
        assert!(device.starts_with("/dev/loop"), "{}", String::from_utf8_lossy(&said.stderr));
        let name = device.trim_start_matches("/dev/");
        symlink(format!("/sys/class/block/{name}"), stage.at(&format!("block/{name}"))).expect("a link");
        Loop(device)
    }

    fn name(&self) -> &str {
        self.0.trim_start_matches("/dev/")
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

/// Waits until a process of its own has made a mount, and goes on without it.
const ELSEWHERE: &str = "mkfifo ready-$$; unshare -m --propagation private sh -c \"$mount; echo >ready-$$; exec sleep 60\" & read -r _ <ready-$$; rm ready-$$";

#[test]
fn a_disk_is_in_use_wherever_it_is_mounted_and_whoever_in_the_kernel_has_it() {
    let stage = Stage::new();
    let (other, disk) = (Loop::of(&stage, "other"), Loop::of(&stage, "disk"));
    stage.session(1, "10.0.0.5", &stage.at(&format!("block/{}", disk.name())));
    let (a, b, name) = (&other.0, &disk.0, disk.name());
    let number = std::fs::read_to_string(format!("/sys/class/block/{name}/dev")).expect("a number");
    let number = number.trim().replace(':', " Minor: ");
    let core = "config/target/core/iblock_0/disk";
    let backstore = |path: &str, major: &str| {
        format!(
            "mkdir -p {core}; echo '{path}' >{core}/udev_path; echo 1 >{core}/enable; echo 'Status: ACTIVATED  iBlock device: x\n   Major: {major}  CLAIMED: IBLOCK' >{core}/info"
        )
    };
    let space = "config/nvmet/subsystems/s/namespaces/1";
    let region = "config/cluster/c/heartbeat/R";
    let ext4 = format!("mkfs.ext4 -q -F {b}; mkdir -p m");
    let btrfs = format!("mkfs.btrfs -q -f -d raid1 -m raid1 {a} {b} >/dev/null 2>&1; mkdir -p m");
    let own_space = "mount --bind . .; mount --make-private .; touch kept; n=0; until unshare --mount=kept true 2>/dev/null || [ $((n += 1)) -gt 500 ]; do :; done";
    let table: Vec<(&str, String, Result<String, &str>)> = vec![
        ("nobody", ext4.clone(), Ok(String::new())),
        ("here", format!("{ext4}; mount {b} m"), Ok("mounted M\n".to_owned())),
        (
            "in another namespace",
            format!("{ext4}; mount='mount {b} m'; {ELSEWHERE}"),
            Ok("elsewhere PID M\n".to_owned()),
        ),
        ("a namespace without a process", format!("{ext4}; {own_space}"), Err("is not known: mnt:[")),
        ("the second of a btrfs", format!("{btrfs}; mount {a} m"), Ok("mounted M\n".to_owned())),
        (
            "the second of a btrfs in another namespace",
            format!("{btrfs}; mount='mount {a} m'; {ELSEWHERE}"),
            Ok("elsewhere PID M\n".to_owned()),
        ),
        ("a btrfs that is not mounted", btrfs, Ok(String::new())),
        (
            "a node of the SCSI generic driver",
            "mkdir -p session/session1/device/target1:0:0/1:0:0:0/scsi_generic/loop-control; exec 3<>/dev/loop-control"
                .to_owned(),
            Ok("open PID sh\n".to_owned()),
        ),
        (
            "the disk of a target",
            backstore("/gone", &number),
            Ok("kernel the backstore iblock_0/disk of this host as a target\n".to_owned()),
        ),
        (
            "the path of a target",
            backstore(b, "0 Minor: 0"),
            Ok("kernel the backstore iblock_0/disk of this host as a target\n".to_owned()),
        ),
        ("a target of nobody knows what", backstore("/gone", "0 Minor: 0"), Err("/gone leads nowhere")),
        ("a target of another disk", backstore(a, "0 Minor: 0"), Ok(String::new())),
        (
            "an NVMe namespace",
            format!("mkdir -p {space}; ln -s {b} link; echo $PWD/link >{space}/device_path; echo 1 >{space}/enable"),
            Ok("kernel the NVMe namespace s/namespaces/1 of this host as a target\n".to_owned()),
        ),
        (
            "a heartbeat",
            format!("mkdir -p {region}; echo {name} >{region}/dev"),
            Ok(format!("kernel the heartbeat of a cluster, which is on {name}\n")),
        ),
        (
            "a heartbeat of another disk",
            format!("mkdir -p {region}; echo {} >{region}/dev", other.name()),
            Ok(String::new()),
        ),
        ("configfs that is not mounted", "mkdir module/nvmet".to_owned(), Err("configfs is not mounted")),
    ];
    for shell in SHELLS {
        for (title, before, expected) in &table {
            let clean = "rm -rf config/* module/* link kept session/session1/device/target1:0:0/1:0:0:0/scsi_generic";
            let said = stage.call(shell, &format!("{clean}\n{before}"), &["iscsi_use", IQN, "3260", "10.0.0.5"]);
            match (said, expected) {
                (Ok(said), Ok(expected)) => {
                    let said = said.replace(&stage.at("m"), "M");
                    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
                    let said = said.split_inclusive('\n').map(|line| {
                        let mut words = words(line);
                        if ["elsewhere", "open"].contains(&words[0].as_str()) {
                            "PID".clone_into(&mut words[1]);
                        }
                        if words[0] == "open" {
                            "sh\n".clone_into(&mut words[2]);
                        }
                        words.join(" ")
                    });
                    // The shell and what it starts have the same open.
                    let mut said: Vec<_> = said.collect();
                    said.dedup();
                    assert_eq!(said.concat(), format!("{expected}end\n"), "{title} in {shell:?}");
                }
                (Err(said), Err(expected)) => assert!(said.contains(expected), "{title} in {shell:?}: {said}"),
                (said, expected) => panic!("{title} in {shell:?}: {said:?}, expected {expected:?}"),
            }
        }
    }
}

#[test]
fn a_path_may_go_while_the_device_mapper_uses_one_that_stays() {
    let stage = Stage::new();
    for (number, address, disk, dev) in
        [(1, "10.0.0.5", "sdy", "8:384"), (2, "10.0.1.5", "sdz", "8:400"), (3, "10.0.2.5", "sdx", "8:368")]
    {
        stage.file(&format!("block/{disk}/dev"), dev);
        stage.file(&format!("numbers/{dev}/device/state"), "running");
        let map = format!("block/{disk}/holders/dm-77");
        for (name, text) in [("dm/uuid", "mpath-3600"), ("dm/name", "mpathz"), ("dev", "253:77")] {
            stage.file(&format!("{map}/{name}"), text);
            stage.file(&format!("block/dm-77/{name}"), text);
        }
        stage.session(number, address, &stage.at(&format!("block/{disk}")));
    }
    let status = |second: &str, third: &str| {
        format!(
            "0 2097152 multipath 2 0 0 0 3 1 A 0 1 2 8:384 A 0 0 1 E 0 1 2 8:400 {second} 0 0 1 E 0 1 2 8:368 {third} 0 0 1"
        )
    };
    let leaving = |more: &[&'static str]| [&["iscsi_use", IQN, "3260", "10.0.0.5"], more].concat();
    let with_second = ["--", "3260", "10.0.1.5"];
    let with_both = ["--", "3260", "10.0.1.5", "--", "3260", "10.0.2.5"];
    let last = "last-path mpathz\nend\n";
    let table = [
        (status("A", "A"), leaving(&[]), "running", Some("end\n")),
        (status("A", "F"), leaving(&[]), "running", Some("end\n")),
        (status("F", "F"), leaving(&[]), "running", Some(last)),
        (status("A", "F"), leaving(&with_second), "running", Some(last)),
        (status("F", "A"), leaving(&with_second), "running", Some("end\n")),
        (status("A", "A"), leaving(&with_both), "running", Some(last)),
        (status("A", "F"), leaving(&[]), "blocked", Some(last)),
        (String::new(), leaving(&[]), "running", Some(last)),
        ("exit 1".to_owned(), leaving(&[]), "running", None),
    ];
    for shell in SHELLS {
        for (status, words, state, expected) in &table {
            let answer = if status == "exit 1" { status.clone() } else { format!("echo '{status}'") };
            stage.program("dmsetup", &answer);
            stage.file("numbers/8:400/device/state", state);
            let said = stage.call(shell, "", words);
            match expected {
                Some(expected) => assert_eq!(said.as_deref(), Ok(*expected), "{status} {words:?} {state} in {shell:?}"),
                None => assert!(said.expect_err("unknown").contains("is not known"), "{status}"),
            }
        }
    }
}

#[test]
fn a_record_is_not_deleted_under_a_session() {
    let stage = Stage::new();
    let record = format!("records/{IQN}/10.0.0.5,3260,1/default");
    stage.program("iscsiadm", "case \"$*\" in *\" -o delete \"*) echo deleted ;; *) exit 8 ;; esac >>asked");
    for shell in SHELLS {
        for has_session in [false, true] {
            let _ = std::fs::remove_dir_all(stage.at("session"));
            let _ = std::fs::remove_file(stage.at("asked"));
            stage.file(&record, "node.startup = automatic");
            stage.file("block/sdy/dev", "8:384");
            if has_session {
                stage.session(1, "10.0.0.5", &stage.at("block/sdy"));
            }
            let said = stage.call(shell, "", &["iscsi_forget", IQN, "3260", "10.0.0.5"]);
            let deleted = std::fs::read_to_string(stage.at("asked")).is_ok();
            assert_eq!((said.is_ok(), deleted), (!has_session, !has_session), "{said:?} in {shell:?}");
        }
    }
}

#[test]
fn a_login_that_fails_leaves_the_record_of_a_session_that_came_meanwhile() {
    for shell in SHELLS {
        for has_session in [false, true] {
            let stage = Stage::new();
            let record = stage.at(&format!("records/{IQN}/10.0.0.5,3260,1"));
            // Making the record finds somebody else logged in; the login itself fails.
            let other = if has_session { "mv later session/session1;" } else { "" };
            stage.program(
                "iscsiadm",
                &format!(
                    "case \"$*\" in *discovery*) exit 5 ;; *' -o new '*) mkdir -p {record}; echo a = b >{record}/default; {other} ;; *' -o delete '*) rm -r {record} ;; *) exit 24 ;; esac"
                ),
            );
            stage.file("block/sdy/dev", "8:384");
            stage.session(1, "10.0.0.5", &stage.at("block/sdy"));
            std::fs::rename(stage.at("session/session1"), stage.at("later")).expect("renamed");
            let said = stage.call(shell, "exec </dev/null", &["iscsi_login", IQN, "3260", "10.0.0.5"]);
            let said = said.expect_err("a login that fails");
            let is_left = std::fs::exists(&record).expect("known");
            assert_eq!(is_left, has_session, "{said} in {shell:?}");
            assert!(said.contains("refuses the login"), "{said}");
        }
    }
}
