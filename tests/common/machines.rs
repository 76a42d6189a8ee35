//! Virtual machines for tests that need a real kernel: mounts of NFS and CIFS, OCFS2, iSCSI. Debian under QEMU's software
//! emulation, so no KVM is needed; root is, to make their disk.
//!
//! Each test restores the machines it names from one golden state in seconds, and leaves nothing: what they write goes into
//! overlays of its own. The golden state is made when it is first asked for, and again when what it is made of changes.
//! `LARDER_VM_DIR` says where it is kept (target/vm); about 1.5 GB.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The machines there are, with the last byte of the address 10.99.0.N on the segment that they share.
const MACHINES: [(&str, u8); 4] = [("hv1", 11), ("hv2", 12), ("hv3", 13), ("san", 21)];

/// Memory of each, in MiB.
const MEMORY: u32 = 512;

/// What the emulator can do of this processor, so that it does not warn of the rest.
const PROCESSOR: &str = "EPYC,-svm,-fxsr-opt,-misalignsse,-osvw,-topoext,-xsavec";

/// How long a start may take before it counts as failed. Generous: machines are shared.
const PATIENCE: Duration = Duration::from_secs(300);

/// Running machines; they end with this value.
#[derive(Debug)]
pub struct Machines {
    directory: tempfile::TempDir,
    running: Vec<Machine>,
    /// Address and port of the multicast group that is their network.
    segment: String,
}

#[derive(Debug)]
struct Machine {
    name: &'static str,
    /// Port of the loopback that leads to its sshd.
    port: u16,
    directory: PathBuf,
    process: Child,
}

impl Machines {
    /// Restores machines from the golden state; ready for ssh when this returns.
    #[track_caller]
    pub fn up(names: &[&str]) -> Self {
        let golden = golden();
        let mut machines = Machines::new();
        for name in names {
            machines.start(name, Some(&golden));
        }
        machines.ready();
        machines
    }

    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("larder-vm-").tempdir().expect("a directory");
        let port = free_port();
        Machines { directory, running: Vec::new(), segment: format!("230.0.0.1:{port}") }
    }

    /// Address on the segment that the machines share.
    pub fn address(name: &str) -> String {
        format!("10.99.0.{}", number(name).1)
    }

    /// Lines of a `host` block that lead to a machine.
    pub fn connection(&self, name: &str) -> String {
        let machine = self.machine(name);
        format!(
            "  address       = \"127.0.0.1\"\n  port          = {}\n  user          = \"root\"\n  identity_file = \"{}\"\n  known_hosts   = \"{}\"\n",
            machine.port,
            base().join("user_key").display(),
            self.known_hosts().display()
        )
    }

    /// Runs a command on a machine as root.
    pub fn run(&self, name: &str, argv: &[&str]) -> Output {
        let line = shlex::try_join(argv.iter().copied()).expect("no NUL");
        self.ssh(name).arg(line).stdin(Stdio::null()).output().expect("ssh runs")
    }

    /// Stops a machine's processor, with everything in it: to others it is dead, and drops every packet.
    pub fn freeze(&self, name: &str) {
        Monitor::of(&self.machine(name).directory).tell("stop", json!({}));
    }

    /// Lets a frozen machine go on.
    pub fn thaw(&self, name: &str) {
        Monitor::of(&self.machine(name).directory).tell("cont", json!({}));
    }

    /// Restarts a machine as a power cut does, and waits until it has booted.
    pub fn power_cycle(&self, name: &str) {
        let before = self.boot_id(name);
        Monitor::of(&self.machine(name).directory).tell("system_reset", json!({}));
        self.booted_after(name, &before);
    }

    /// Restarts a machine in order, and waits until it has booted.
    pub fn reboot(&self, name: &str) {
        let before = self.boot_id(name);
        self.run(name, &["systemctl", "reboot"]);
        self.booted_after(name, &before);
    }

    fn boot_id(&self, name: &str) -> String {
        text(&self.run(name, &["cat", "/proc/sys/kernel/random/boot_id"]).stdout)
    }

    fn booted_after(&self, name: &str, before: &str) {
        // Control connections of the machine that was are dead.
        let _ = self.ssh(name).args(["-O", "exit"]).stderr(Stdio::null()).status();
        eventually(&format!("{name} boots"), || {
            let now = self.boot_id(name);
            let state = text(&self.run(name, &["systemctl", "is-system-running"]).stdout);
            !now.is_empty() && now != before && matches!(state.trim(), "running" | "degraded")
        });
    }

    fn machine(&self, name: &str) -> &Machine {
        self.running.iter().find(|machine| machine.name == name).unwrap_or_else(|| panic!("{name} does not run"))
    }

    fn known_hosts(&self) -> PathBuf {
        self.directory.path().join("known_hosts")
    }

    fn ssh(&self, name: &str) -> Command {
        let machine = self.machine(name);
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=5"]);
        command.args(["-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", "LogLevel=ERROR"]);
        command.arg("-o").arg(format!("ControlPath={}/ssh", machine.directory.display()));
        command.arg("-o").arg(format!("UserKnownHostsFile={}", self.known_hosts().display()));
        command.arg("-i").arg(base().join("user_key")).arg("-p").arg(machine.port.to_string()).arg("root@127.0.0.1");
        command
    }

    /// Starts QEMU for a machine: from a golden state, or cold with an empty overlay of the base disk.
    fn start(&mut self, name: &str, golden: Option<&Path>) {
        let (name, number) = number(name);
        let directory = self.directory.path().join(name);
        std::fs::create_dir(&directory).expect("a directory");
        let port = free_port();
        let below = golden.map(|golden| golden.join(name));
        for disk in ["disk", "data"] {
            let mut create = Command::new("qemu-img");
            create.args(["create", "-q", "-f", "qcow2"]);
            match &below {
                Some(below) => create.args(["-F", "qcow2", "-b"]).arg(below.join(disk).with_extension("qcow2")),
                None if disk == "disk" => create.args(["-F", "raw", "-b"]).arg(base().join("base.raw")),
                None => &mut create,
            };
            create.arg(directory.join(disk).with_extension("qcow2"));
            if below.is_none() && disk == "data" {
                create.arg("4G");
            }
            success(&mut create);
        }
        let shared = self.directory.path().join("shared");
        for disk in ["0", "1"] {
            let file = shared.with_extension(disk);
            if !file.exists() {
                File::create(file).and_then(|file| file.set_len(2 << 30)).expect("a disk");
            }
        }
        // The memory is a file: written through when it becomes golden, copied on write when it is restored.
        let (memory, share) = match &below {
            Some(below) => (below.join("memory"), "off"),
            None => (directory.join("memory"), "on"),
        };
        let mac = |segment: u8| format!("52:54:00:99:{segment:02x}:{number:02x}");
        // `setpriv`: a test that is killed leaves no machine.
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "qemu-system-x86_64",
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
        ]);
        command.args(["-name", name, "-machine", "pc,usb=off,memory-backend=ram", "-accel", "tcg,thread=multi"]);
        command.args(["-cpu", PROCESSOR, "-smp", "1", "-m", &MEMORY.to_string()]);
        command
            .arg("-object")
            .arg(format!("memory-backend-file,id=ram,size={MEMORY}M,share={share},mem-path={}", memory.display()));
        command.args(["-serial", "file:console.log", "-qmp", "unix:qmp,server=on,wait=off"]);
        command.arg("-kernel").arg(base().join("vmlinuz")).arg("-initrd").arg(base().join("initrd"));
        command.arg("-append").arg(format!(
            "console=ttyS0 quiet root=/dev/vda net.ifnames=0 mitigations=off nokaslr audit=0 random.trust_cpu=on \
             rcupdate.rcu_expedited=1 no_timer_check larder.name={name} larder.address=10.99.0.{number}"
        ));
        for (disk, slot, serial) in [("disk", "0x04", "root".to_owned()), ("data", "0x05", format!("data-{name}"))] {
            let drive = format!("file={disk}.qcow2,format=qcow2,if=none,id={disk},cache=unsafe,discard=unmap");
            command.args(["-drive", &drive]);
            command.args(["-device", &format!("virtio-blk-pci,drive={disk},serial={serial},addr={slot}")]);
        }
        let user = format!("user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22");
        command.args(["-netdev", &user]);
        command.args(["-device", &format!("virtio-net-pci,netdev=n0,mac={},romfile=,addr=0x06", mac(0))]);
        command.args(["-netdev", &format!("socket,id=n1,mcast={},localaddr=127.0.0.1", self.segment)]);
        command.args(["-device", &format!("virtio-net-pci,netdev=n1,mac={},romfile=,addr=0x07", mac(1))]);
        command.args(["-device", "virtio-rng-pci,addr=0x0a"]);
        if name != "san" {
            // Two disks of one array, seen by all hypervisors: one by serial, one by a World Wide Name.
            for disk in ["0", "1"] {
                let file = shared.with_extension(disk);
                let options = "format=raw,if=none,file.locking=off,discard=unmap";
                command.args(["-drive", &format!("file={},id=shared{disk},{options}", file.display())]);
            }
            command.args(["-device", "virtio-blk-pci,drive=shared0,serial=shared-0,share-rw=on,addr=0x08"]);
            command.args(["-device", "virtio-scsi-pci,id=scsi,addr=0x09"]);
            command.args([
                "-device",
                "scsi-hd,bus=scsi.0,drive=shared1,serial=shared-1,wwn=0x5000c500000000a1,share-rw=on",
            ]);
        }
        if below.is_some() {
            command.args(["-incoming", "defer"]);
        }
        let log = File::create(directory.join("qemu.log")).expect("a file");
        command.current_dir(&directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().expect("qemu-system-x86_64 starts; `make test-vm` installs it");
        self.running.push(Machine { name, port, directory: directory.clone(), process });
        if let Some(below) = below {
            let mut monitor = Monitor::of(&directory);
            monitor.tell(
                "migrate-set-capabilities",
                json!({"capabilities": [{"capability": "x-ignore-shared", "state": true}]}),
            );
            std::os::unix::fs::symlink(below.join("state"), directory.join("state")).expect("a link");
            monitor.tell("migrate-incoming", json!({"uri": "exec:cat state"}));
            // It was saved paused, so it comes back paused.
            eventually(&format!("{name} is restored"), || {
                monitor.tell("query-status", json!({}))["status"] != "inmigrate"
            });
            monitor.tell("cont", json!({}));
        }
    }

    /// Waits until every machine lets root in; sets their clocks, which a restore leaves in the past.
    fn ready(&mut self) {
        let key = std::fs::read_to_string(base().join("host_key.pub")).expect("a host key");
        let key = key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        let known: String = self.running.iter().map(|one| format!("[127.0.0.1]:{} {key}\n", one.port)).collect();
        std::fs::write(self.known_hosts(), known).expect("a file");
        for machine in &self.running {
            let now = format!("@{}", jiff::Timestamp::now().as_millisecond() as f64 / 1000.0);
            eventually(&format!("{} lets root in", machine.name), || {
                self.run(machine.name, &["date", "-s", &now]).status.success()
            });
        }
    }

    /// Stops the machines and keeps what they are as a golden state.
    fn save(mut self, golden: &Path) {
        for machine in &self.running {
            success(self.ssh(machine.name).arg("sync"));
            let _ = self.ssh(machine.name).args(["-O", "exit"]).stderr(Stdio::null()).status();
        }
        // All stand still before the first is saved, so that connections between them live on.
        let mut monitors: Vec<_> = self.running.iter().map(|machine| Monitor::of(&machine.directory)).collect();
        for monitor in &mut monitors {
            monitor.tell("stop", json!({}));
        }
        for (machine, monitor) in self.running.iter_mut().zip(&mut monitors) {
            monitor.tell(
                "migrate-set-capabilities",
                json!({"capabilities": [{"capability": "x-ignore-shared", "state": true}]}),
            );
            monitor.tell("migrate", json!({"uri": "exec:cat >state"}));
            eventually(&format!("{} is saved", machine.name), || {
                let status = monitor.tell("query-migrate", json!({}));
                assert_ne!(status["status"], "failed", "{status}");
                status["status"] == "completed"
            });
            monitor.tell("quit", json!({}));
            machine.process.wait().expect("QEMU ends");
            let kept = golden.join(machine.name);
            std::fs::create_dir_all(&kept).expect("a directory");
            for file in ["memory", "state", "disk.qcow2", "data.qcow2"] {
                success(Command::new("cp").arg("--sparse=always").arg(machine.directory.join(file)).arg(&kept));
            }
        }
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for machine in &mut self.running {
            if std::thread::panicking() {
                let console = std::fs::read(machine.directory.join("console.log")).unwrap_or_default();
                let console = text(&console);
                let last: Vec<_> = console.lines().rev().take(20).collect();
                eprintln!("-- console of {}:", machine.name);
                last.iter().rev().for_each(|line| eprintln!("{line}"));
            }
            let _ = machine.process.kill();
            let _ = machine.process.wait();
        }
    }
}

/// QEMU's control connection to one machine (QMP, docs/interop/qmp-spec of QEMU).
struct Monitor {
    lines: BufReader<UnixStream>,
}

impl Monitor {
    fn of(directory: &Path) -> Self {
        // The path of a socket may be 108 bytes long, so it is named from its directory.
        let stream = eventually_some("QEMU's monitor", || {
            let socket = File::open(directory).ok()?;
            let near = format!("/proc/self/fd/{}/qmp", std::os::fd::AsRawFd::as_raw_fd(&socket));
            UnixStream::connect(near).ok()
        });
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut monitor = Monitor { lines: BufReader::new(stream) };
        monitor.line();
        monitor.tell("qmp_capabilities", json!({}));
        monitor
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("an answer of QEMU");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn tell(&mut self, command: &str, arguments: Value) -> Value {
        let request = json!({"execute": command, "arguments": arguments});
        self.lines.get_mut().write_all(format!("{request}\n").as_bytes()).expect("QEMU listens");
        loop {
            let mut answer = self.line();
            assert!(answer.get("error").is_none(), "{command}: {answer}");
            if let Some(result) = answer.get_mut("return") {
                return result.take();
            }
        }
    }
}

/// The directory of the golden state of all machines, which is made where it is missing.
fn golden() -> PathBuf {
    let lock = {
        std::fs::create_dir_all(home()).expect("a directory");
        File::create(home().join("lock")).expect("a file")
    };
    flock(&lock, FlockOperation::LockExclusive).expect("a lock");
    let mut emulator = Command::new("qemu-system-x86_64");
    let emulator = emulator.arg("--version").output().expect("qemu-system-x86_64 is there; `make test-vm` installs it");
    let here = include_str!("machines.rs");
    let golden = home().join(format!("golden-{}", stamp(&[IMAGE, here, &text(&emulator.stdout)])));
    if golden.is_dir() {
        return golden;
    }
    // States of other machines than these are of no use any more.
    for entry in std::fs::read_dir(home()).expect("a directory").flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("golden-") || (name.starts_with("base-") && entry.path() != base()) {
            std::fs::remove_dir_all(entry.path()).expect("an old state goes");
        }
    }
    if !base().join("base.raw").exists() {
        assert!(rustix::process::geteuid().is_root(), "building the machines' disk needs root: run `make test-vm`");
        let making = home().join("making");
        let _ = std::fs::remove_dir_all(&making);
        success(Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/build-image")).arg(&making));
        std::fs::rename(making, base()).expect("a directory");
    }
    let making = home().join("saving");
    let _ = std::fs::remove_dir_all(&making);
    let mut machines = Machines::new();
    for (name, _) in MACHINES {
        machines.start(name, None);
    }
    machines.ready();
    for (name, _) in MACHINES {
        eventually(&format!("{name} has booted"), || {
            let state = text(&machines.run(name, &["systemctl", "is-system-running"]).stdout);
            matches!(state.trim(), "running" | "degraded")
        });
    }
    machines.save(&making);
    std::fs::rename(making, &golden).expect("a directory");
    golden
}

/// What the base disk is made of.
const IMAGE: &str =
    concat!(include_str!("../vm/build-image"), include_str!("../vm/customize"), include_str!("../vm/init"));

fn home() -> PathBuf {
    match std::env::var_os("LARDER_VM_DIR") {
        Some(directory) => directory.into(),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).join("vm"),
    }
}

/// The directory with disk, kernel and keys.
fn base() -> PathBuf {
    home().join(format!("base-{}", stamp(&[IMAGE])))
}

fn stamp(of: &[&str]) -> String {
    let digest = of.iter().fold(Sha256::new(), |digest, part| digest.chain_update(part));
    digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn number(name: &str) -> (&'static str, u8) {
    *MACHINES.iter().find(|(one, _)| *one == name).unwrap_or_else(|| panic!("no machine {name}"))
}

/// A port that nobody has now.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    listener.expect("a free port").port()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn success(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
}

/// Asks until it is so.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    eventually_some(what, || holds().then_some(()));
}

#[track_caller]
fn eventually_some<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(100));
    }
}
