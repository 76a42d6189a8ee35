//! Lab hosts out of namespaces, for real: they come up, are apart from the machine and from each other, and leave nothing.
//! These tests need root, and fail without it.
#![allow(clippy::print_stderr, reason = "figures to look at")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use larder::lab::{Lab, LabHost, Runtime};
use larder::model::{HostName, Size};

/// A lab in a directory of its own, taken down at the end of the test, also when it fails.
struct Stand {
    lab: Lab,
    _dir: tempfile::TempDir,
}

impl Stand {
    async fn up(hosts: &[(&str, Option<&str>)]) -> Stand {
        let dir = tempfile::Builder::new().prefix("lab test, 100%").tempdir().expect("a directory for the lab");
        let stand = Stand { lab: Lab::at(dir.path().join(".larder/lab")), _dir: dir };
        stand.bring_up(hosts).await;
        stand
    }

    async fn bring_up(&self, hosts: &[(&str, Option<&str>)]) {
        self.bring_up_by(Runtime::Namespace, hosts).await;
    }

    async fn bring_up_by(&self, runtime: Runtime, hosts: &[(&str, Option<&str>)]) {
        let hosts: Vec<_> =
            hosts.iter().map(|(name, user)| LabHost { name: (*name).into(), user: user.map(str::to_owned) }).collect();
        if let Err(problem) = self.lab.up(&hosts, runtime).await {
            panic!(
                "these tests make lab hosts, which needs root and some packages (`make test` sees to both)\n{problem}"
            );
        }
    }

    /// What a shell script prints on a host through SSH as this user.
    fn ssh(&self, user: &str, host: &str, script: &str) -> Output {
        let config = self.lab.ssh_config();
        let mut ssh = Command::new("timeout");
        ssh.args(["60", "ssh", "-F"]).arg(config).args(["-l", user, host, script]).stdin(std::process::Stdio::null());
        ssh.output().expect("ssh starts")
    }

    /// The same as root, where the script must succeed.
    fn said(&self, host: &str, script: &str) -> String {
        let output = self.ssh("root", host, script);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{host}: {script}\n{}: {error}", output.status);
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    }
}

/// Every file that backs a loop device of this machine, by the path that it has where it was attached.
fn backing_files() -> String {
    let devices = fs::read_dir("/sys/block").expect("block devices").filter_map(Result::ok);
    devices.filter_map(|entry| fs::read_to_string(entry.path().join("loop/backing_file")).ok()).collect()
}

/// A word that no other lab of this machine uses.
fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

impl Drop for Stand {
    fn drop(&mut self) {
        let lab = self.lab.clone();
        let down = std::thread::spawn(move || {
            tokio::runtime::Runtime::new().expect("a runtime").block_on(lab.down()).expect("the lab goes down")
        });
        if down.join().is_err() && !std::thread::panicking() {
            panic!("the lab did not go down");
        }
    }
}

/// What a lab could leave behind on the machine.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    mounts: Vec<String>,
    interfaces: BTreeSet<String>,
    loops: Vec<String>,
    processes: Vec<String>,
}

/// The traces of the labs below a directory.
fn traces(dir: &Path, interface: &str) -> Traces {
    let dir = dir.to_string_lossy().into_owned();
    let mentions = |text: &str| text.replace("\\040", " ").contains(&dir);
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let interfaces = fs::read_dir("/sys/class/net").expect("interfaces");
    let processes = fs::read_dir("/proc").expect("processes").filter_map(Result::ok).filter(|entry| {
        entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit())
            // A host's processes see its disk, a half-made one the lab's directory; this one sees the latter in no mount.
            && fs::read_to_string(entry.path().join("mountinfo")).is_ok_and(|text| mentions(&text))
    });
    Traces {
        mounts: mounts.lines().filter(|line| mentions(line)).map(str::to_owned).collect(),
        interfaces: interfaces
            .filter_map(Result::ok)
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name == interface)
            .collect(),
        loops: backing_files().lines().filter(|file| file.contains(&dir)).map(str::to_owned).collect(),
        processes: processes.map(|entry| entry.path().display().to_string()).collect(),
    }
}

fn nothing() -> Traces {
    Traces { mounts: vec![], interfaces: BTreeSet::new(), loops: vec![], processes: vec![] }
}

/// The machine's interface of a lab: the one that has the first address of the hosts' range.
fn interface(address: &str) -> String {
    let machine = format!("{}.1/24", address.rsplit_once('.').expect("an address").0);
    let output = Command::new("ip").args(["-4", "-o", "address"]).output().expect("ip starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let line = text.lines().find(|line| line.contains(&machine)).expect("an interface of the lab");
    line.split_whitespace().nth(1).expect("a name").to_owned()
}

#[tokio::test]
async fn hosts_are_apart_from_the_machine_and_from_each_other() {
    let stand = Stand::up(&[("hv1", None), ("hv2", Some("larder-admin")), ("hv[\"a\"]", None)]).await;
    let machine = |path: &str| fs::read_link(path).expect(path).to_string_lossy().into_owned();

    for host in ["hv1", "hv2", "hv-a"] {
        assert_eq!(stand.said(host, "hostname; cat /etc/hostname"), format!("{host}\n{host}"));
        let spaces = ["mnt", "pid", "net", "ipc", "uts"].map(|space| format!("/proc/self/ns/{space}"));
        let theirs = stand.said(host, &format!("for space in {}; do readlink $space; done", spaces.join(" ")));
        assert_eq!(theirs.lines().count(), spaces.len());
        for (space, theirs) in spaces.iter().zip(theirs.lines()) {
            assert_ne!(theirs, machine(space));
        }
        assert_eq!(stand.said(host, "ls -A /home /mnt /srv /tmp | grep -v -e : -e larder-admin"), "");
        assert_eq!(stand.said(host, "ls -A /root"), ".profile\n.ssh");
        assert_eq!(stand.said(host, "grep -v '^[^:]*:\\*:' /etc/shadow || true"), "", "nobody has a password");
        assert_eq!(stand.said(host, "findmnt --noheadings --output FSTYPE --target /var/lib"), "ext4");
        assert!(!stand.said(host, "ls -A /").contains("work"));
        // No mount of the machine is left in the table.
        let mounts = stand.said(host, "findmnt --noheadings --list --output TARGET | grep -v sysrq-trigger | sort");
        let expected = "/\n/dev\n/dev/pts\n/dev/shm\n/proc\n/proc/sys\n/run\n/sys\n/usr".to_owned();
        assert_eq!(mounts, expected);
    }

    stand.said("hv1", "mkdir /srv/images; echo one > /srv/images/x; touch /usr/local/bin/mine; useradd someone");
    stand.said("hv2", "! test -e /srv/images && ! test -e /usr/local/bin/mine && ! id someone 2>/dev/null");
    assert!(!Path::new("/usr/local/bin/mine").exists());
    assert_ne!(
        stand.said("hv1", "findmnt --noheadings --output MAJ:MIN /"),
        stand.said("hv2", "findmnt --noheadings --output MAJ:MIN /"),
        "each host has a disk of its own"
    );

    // The user of the qemu process as Debian has it.
    assert_eq!(stand.said("hv1", "id -u libvirt-qemu; id -gn libvirt-qemu"), "64055\nkvm");
    assert_eq!(stand.said("hv1", "runuser -u libvirt-qemu -- id -u"), "64055");
    assert_eq!(stand.said("hv1", "getent group libvirt-qemu kvm | cut -d: -f1"), "libvirt-qemu\nkvm");

    // Hosts reach each other.
    stand.said("hv1", "timeout 5 bash -c 'head -c4 < /dev/tcp/hv2/22'");

    // The user exists only where it was asked for.
    let output = stand.ssh("larder-admin", "hv2", "id -un; sudo -n id -un; sudo -n cat /etc/shadow | wc -l");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("larder-admin\nroot\n"), "{output:?}");
    assert!(!stand.ssh("larder-admin", "hv1", "true").status.success());
    stand.bring_up(&[("hv1", Some("larder-admin"))]).await;
    assert!(stand.ssh("larder-admin", "hv1", "sudo -n true").status.success());
}

#[tokio::test]
async fn mounts_and_attributes_work_inside() {
    let stand = Stand::up(&[("hv1", None)]).await;

    stand.said("hv1", "mkdir -p /srv/i && chattr +i /srv/i && ! touch /srv/i/x 2>/dev/null && chattr -i /srv/i");
    stand.said("hv1", "mkdir -p /srv/a /srv/b && touch /srv/a/f && mount --bind /srv/a /srv/b && test -e /srv/b/f");
    stand.said("hv1", "mount -o remount,bind,ro /srv/b && ! touch /srv/b/g 2>/dev/null && umount /srv/b");
    stand.said("hv1", "mkdir -p /srv/t && mount -t tmpfs tmpfs /srv/t && umount /srv/t");
    stand.said("hv1", "touch /srv/f && setfacl -m u:libvirt-qemu:rw /srv/f && getfacl /srv/f | grep -q libvirt-qemu");
    for (kind, make) in [("ext4", "mkfs.ext4 -q"), ("xfs", "mkfs.xfs -q"), ("btrfs", "mkfs.btrfs -q")] {
        let image = format!("/srv/{kind}.img");
        stand.said("hv1", &format!("truncate -s 320M {image} && {make} {image} && mkdir /srv/{kind}"));
        stand.said("hv1", &format!("mount -o loop {image} /srv/{kind}"));
        assert_eq!(stand.said("hv1", &format!("findmnt --noheadings --output FSTYPE /srv/{kind}")), kind);
        stand.said("hv1", &format!("fallocate -l 1M /srv/{kind}/x && umount /srv/{kind}"));
    }
    stand.said("hv1", "echo '/srv/a /srv/b none bind 0 0' >> /etc/fstab && findmnt --verify && mount -a");
    assert_eq!(stand.said("hv1", "findmnt --noheadings --output FSROOT /srv/b"), "/srv/a");
    let settings = stand.said("hv1", "echo 1 2>&1 > /proc/sys/kernel/panic || echo refused");
    assert!(settings.contains("refused"), "settings of the machine's kernel are out of reach: {settings}");
}

#[tokio::test]
async fn a_restart_keeps_the_disk_and_mounts_what_fstab_says() {
    let stand = Stand::up(&[("hv1", None)]).await;
    let host = HostName::from("hv1");
    let id = "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4";

    stand.lab.attach_device(&host, id, Size(64 << 20)).await.expect("a device");
    assert_eq!(stand.said("hv1", &format!("blockdev --getsize64 {id}")), (64 << 20).to_string());
    stand.said("hv1", &format!("mkfs.ext4 -q {id} && mkdir -p /srv/disk /srv/a /srv/b && touch /srv/a/f"));
    stand.said("hv1", &format!("echo '/srv/a /srv/b none bind 0 0\n{id} /srv/disk ext4 defaults 0 2' >> /etc/fstab"));
    stand.said("hv1", "mount -a && touch /srv/disk/kept && echo gone > /run/gone && chattr +i /srv/a/f");
    // A process and a loop device that would outlive a host which is not really ended.
    let word = unique();
    stand.said("hv1", &format!("truncate -s 1M /srv/{word} && losetup --find /srv/{word}"));
    stand.said("hv1", "setsid sleep 1000 >/dev/null 2>&1 </dev/null &");
    let before = stand.said("hv1", "cut -d' ' -f22 /proc/1/stat; cat /etc/machine-id");
    let addresses = stand.lab.list().await.expect("a list");

    stand.lab.restart(&host).await.expect("a restart");

    let after = stand.said("hv1", "cut -d' ' -f22 /proc/1/stat; cat /etc/machine-id");
    assert_ne!(before.lines().next(), after.lines().next(), "other processes");
    assert_eq!(before.lines().nth(1), after.lines().nth(1), "the same disk");
    assert_eq!(stand.lab.list().await.expect("a list"), addresses);
    stand.said("hv1", "test -e /srv/b/f && test -e /srv/disk/kept && ! test -e /run/gone && ! pgrep -x sleep");
    assert_eq!(stand.said("hv1", "lsattr /srv/a/f | cut -c5"), "i");
    assert_eq!(backing_files().matches(&word).count(), 0);

    stand.lab.stop(&host).await.expect("a stop");
    assert!(!stand.lab.list().await.expect("a list")[0].is_up);
    assert!(!stand.ssh("root", "hv1", "true").status.success());
    assert_eq!(stand.lab.root_of(&host), None);
    let problem = stand.lab.exec(&host, &["true"]).await.expect_err("the host is down");
    assert_eq!(problem.code, "lab-host-down");
    stand.bring_up(&[("hv1", None)]).await;
    stand.said("hv1", "test -e /srv/disk/kept");
}

#[tokio::test]
async fn two_hosts_can_share_one_device() {
    let stand = Stand::up(&[("hv1", None), ("hv2", None)]).await;
    let id = "/dev/disk/by-id/wwn-0x5000c500a1b2c3d5";
    let hosts = [HostName::from("hv1"), HostName::from("hv2")];
    stand.lab.attach_shared_device(&hosts, id, Size(1 << 20)).await.expect("a device");
    stand.said("hv1", &format!("printf hello | dd of={id} conv=fsync status=none"));
    assert_eq!(stand.said("hv2", &format!("head -c5 {id}")), "hello");
    let problem = stand.lab.attach_device(&hosts[0], id, Size(1 << 20)).await.expect_err("the path is taken");
    assert_eq!(problem.code, "lab-device");
}

#[tokio::test]
async fn commands_run_inside_without_ssh() {
    let stand = Stand::up(&[("hv1", None)]).await;
    let host = HostName::from("hv1");
    let connections =
        || fs::read_to_string(stand.lab.sshd_log(&host)).expect("the log of sshd").matches("Connection from").count();

    let output =
        stand.lab.exec(&host, &["sh", "-c", "echo \"$1\"; hostname; exit 3", "sh", "a  b"]).await.expect("it ran");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b"a  b\nhv1\n"[..]));
    let text = vec![b'x'; 1 << 20];
    stand.lab.exec_with_input(&host, &["tee", "/srv/big"], &text).await.expect("it ran");
    let root = stand.lab.root_of(&host).expect("the host is up");
    assert_eq!(fs::read(root.join("srv/big")).expect("the file"), text);

    assert_eq!(connections(), 0, "nothing of this went through SSH");
    stand.said("hv1", "true");
    assert_eq!(connections(), 1);
    let connection = stand.lab.connection(&host, Some("larder-admin")).expect("a host of the lab");
    assert!(connection.becomes_root);
    assert_eq!(stand.lab.connection(&HostName::from("hv9"), None), None);
}

#[tokio::test]
async fn down_leaves_nothing_and_up_twice_changes_nothing() {
    let stand = Stand::up(&[("hv1", None), ("hv2", None)]).await;
    let hosts = stand.lab.list().await.expect("a list");
    let of_lab = interface(&hosts[0].address);
    let boot = stand.said("hv1", "cut -d' ' -f22 /proc/1/stat");
    stand.bring_up(&[("hv1", None), ("hv2", None)]).await;
    assert_eq!(stand.said("hv1", "cut -d' ' -f22 /proc/1/stat"), boot);
    assert_eq!(stand.lab.list().await.expect("a list"), hosts);

    // Everything that holds on to something: loop devices on the disk, on a tmpfs and on each other, mounts, a process.
    stand.lab.attach_device(&HostName::from("hv1"), "/dev/sdb", Size(1 << 20)).await.expect("a device");
    let word = unique();
    let attach = format!("truncate -s 64M /srv/{word} && losetup --show --find /srv/{word} > /run/name");
    stand.said(
        "hv1",
        &format!("{attach} && mkfs.ext4 -q $(cat /run/name) && mkdir /srv/m && mount $(cat /run/name) /srv/m"),
    );
    stand.said("hv1", &format!("truncate -s 1M /srv/m/{word} && losetup --find /srv/m/{word}"));
    stand.said("hv1", &format!("truncate -s 1M /dev/shm/{word} && losetup --find /dev/shm/{word}"));
    stand.said("hv1", "cd /srv/m; setsid sleep 1000 >/dev/null 2>&1 </dev/null &");
    assert_eq!(backing_files().matches(&word).count(), 3);
    let dir = stand.lab.dir.clone();
    assert_ne!(traces(&dir, &of_lab), nothing(), "the traces of a lab that is up are seen");

    stand.lab.down().await.expect("the lab goes down");

    assert_eq!(traces(&dir, &of_lab), nothing());
    assert!(!dir.exists());
    assert_eq!(backing_files().matches(&word).count(), 0);
    stand.lab.down().await.expect("nothing to do is no error");
}

/// Run by the test below in a process of its own, which is killed in the midst of it.
#[tokio::test]
#[ignore = "part of another test"]
async fn bring_up_two_hosts_in_the_directory_that_the_environment_names() {
    let dir = std::env::var_os("LARDER_TEST_LAB").expect("run by the test below");
    let hosts = ["hv1", "hv2"].map(|name| LabHost { name: name.into(), user: None });
    Lab::at(dir).up(&hosts, Runtime::Namespace).await.expect("two hosts");
}

#[tokio::test]
async fn down_is_complete_wherever_up_was_killed() {
    // Files that show how far `up` has come.
    for reached in
        ["lock", "lab.json", "netns", "hosts/hv1", "hosts/hv1/disk.new", "hosts/hv1/recorded", "hosts/hv2/pid"]
    {
        let dir = tempfile::tempdir().expect("a directory");
        let lab = Lab::at(dir.path().join("lab"));
        let mut up = Command::new(std::env::current_exe().expect("this test"))
            .args(["--ignored", "--exact", "bring_up_two_hosts_in_the_directory_that_the_environment_names"])
            .env("LARDER_TEST_LAB", &lab.dir)
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("the test binary starts");
        while !lab.dir.join(reached).exists() && up.try_wait().expect("a child").is_none() {
            std::thread::yield_now();
        }
        up.kill().expect("it can be killed");
        up.wait().expect("a child");

        lab.down().await.expect(reached);
        assert!(!lab.dir.exists(), "{reached}");
        // No process is left that has the lab's disks or its network, whether it got as far as being recorded or not.
        assert_eq!(traces(&lab.dir, ""), nothing(), "{reached}");
        let words = fs::read_dir("/proc").expect("processes").filter_map(Result::ok);
        let words = words.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
        let named: Vec<_> = words.filter(|words| words.contains(&*lab.dir.to_string_lossy())).collect();
        assert!(named.is_empty(), "{reached}: {named:?}");
    }
}

#[tokio::test]
async fn two_labs_do_not_meet() {
    let (one, two) = tokio::join!(Stand::up(&[("hv1", None)]), Stand::up(&[("hv1", None)]));
    let addresses = [one.lab.list().await.expect("a list"), two.lab.list().await.expect("a list")];
    assert_ne!(addresses[0][0].address, addresses[1][0].address);
    one.said("hv1", "touch /srv/one");
    assert_eq!(two.said("hv1", "ls /srv"), "");
    one.lab.down().await.expect("one goes down");
    assert_eq!(two.said("hv1", "hostname"), "hv1");
}

#[tokio::test]
async fn a_foreign_directory_is_neither_used_nor_emptied() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("precious"), "x").expect("a file");
    let lab = Lab::at(dir.path());
    let problem =
        lab.up(&[LabHost { name: "hv1".into(), user: None }], Runtime::Namespace).await.expect_err("not a lab");
    assert_eq!(problem.code, "lab-directory", "{problem}");
    lab.down().await.expect("no lab, nothing to do");
    assert_eq!(fs::read_to_string(dir.path().join("precious")).expect("it is still there"), "x");
}

async fn containers_are_hosts(runtime: Runtime) {
    let dir = tempfile::tempdir().expect("a directory for the lab");
    let stand = Stand { lab: Lab::at(dir.path().join("lab")), _dir: dir };
    let hosts = [("hv1", None), ("hv2", Some("larder-admin"))];
    let host = HostName::from("hv1");
    let id = "/dev/disk/by-id/wwn-0x5000c500a1b2c3d6";
    let start = Instant::now();
    stand.bring_up_by(runtime, &hosts).await;
    eprintln!("2 hosts of {runtime} up in {:.2?}", start.elapsed());
    stand.bring_up_by(Runtime::Auto, &hosts).await;

    assert_eq!(stand.said("hv1", "hostname"), "hv1");
    assert_eq!(stand.said("hv1", "ls -A /home /mnt /srv | grep -v :"), "");
    assert_eq!(stand.said("hv1", "id -u libvirt-qemu; id -gn libvirt-qemu"), "64055\nkvm");
    assert!(stand.ssh("larder-admin", "hv2", "sudo -n true").status.success());
    stand.said("hv1", "mkdir -p /srv/i && chattr +i /srv/i && ! touch /srv/i/x 2>/dev/null && chattr -i /srv/i");
    stand.said("hv1", "truncate -s 64M /srv/e && mkfs.ext4 -q /srv/e && mkdir /srv/m && mount -o loop /srv/e /srv/m");
    stand.lab.attach_device(&host, id, Size(1 << 20)).await.expect("a device");
    stand.said("hv1", "mkdir -p /srv/a /srv/b && touch /srv/a/f && echo '/srv/a /srv/b none bind 0 0' >> /etc/fstab");
    let word = unique();
    stand.said("hv1", &format!("truncate -s 1M /srv/{word} && losetup --find /srv/{word}"));
    assert_eq!(backing_files().matches(&word).count(), 1);

    stand.lab.restart(&host).await.expect("a restart");

    assert_eq!(stand.said("hv1", &format!("ls /srv/b; blockdev --getsize64 {id}; ls /srv/m")), "f\n1048576");
    assert_eq!(backing_files().matches(&word).count(), 0);
    let output = stand.lab.exec(&host, &["sh", "-c", "hostname; exit 3"]).await.expect("it ran");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b"hv1\n"[..]));
    assert!(stand.lab.root_of(&host).expect("the host is up").join("srv/b/f").exists());
    stand.lab.stop(&host).await.expect("a stop");
    assert!(!stand.lab.list().await.expect("a list")[0].is_up);

    stand.lab.down().await.expect("the lab goes down");
    assert!(!stand.lab.dir.exists());
    let left =
        Command::new(runtime.to_string()).args(["ps", "--all", "--filter", "label=larder.lab", "--quiet"]).output();
    let left = left.expect("the engine's program");
    assert!(left.status.success() && left.stdout.is_empty(), "{left:?}");
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn containers_of_docker_are_hosts() {
    containers_are_hosts(Runtime::Docker).await;
}

#[tokio::test]
#[ignore = "needs Podman"]
async fn containers_of_podman_are_hosts() {
    containers_are_hosts(Runtime::Podman).await;
}

/// How long hosts take to start is a figure to look at, not a promise to keep on any machine.
#[tokio::test]
async fn eight_hosts_come_up_together() {
    let names: Vec<String> = (1..=8).map(|number| format!("hv{number}")).collect();
    let hosts: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
    let start = Instant::now();
    let stand = Stand::up(&hosts).await;
    let up = start.elapsed();
    for name in &names {
        assert_eq!(stand.said(name, "hostname"), *name);
    }
    let logins = start.elapsed() - up;
    let start = Instant::now();
    stand.lab.down().await.expect("the lab goes down");
    eprintln!("8 hosts: up in {up:.2?}, one login to each in {logins:.2?}, down in {:.2?}", start.elapsed());
}
