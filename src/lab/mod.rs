//! Throwaway hosts for a configuration, reached by real SSH on the same path as production. Built out of Linux namespaces
//! and the machine's own programs, or as containers of Docker or Podman. Everything of a lab lives in one directory, and
//! `down` finds all of it from there, whatever was killed when.
//! A lab is not a border of security: root of a lab host is root of the machine's kernel.

mod boot;
mod dev;
mod engine;
mod lock;
mod loops;
mod namespace;
mod network;
mod process;
mod run;
mod ssh;
mod tree;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::host::Ssh;
use crate::model::{Connection, HostName, Problem, Reach, Size};
use run::{file_problem, not_started};

/// What the hosts are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// Namespaces where that is possible, because they need neither an engine nor an image, start fastest and give each
    /// host a disk and a /dev of its own; else Docker, else Podman, whichever engine answers.
    #[default]
    Auto,
    Namespace,
    Docker,
    Podman,
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Runtime::Auto => "auto",
            Runtime::Namespace => "namespace",
            Runtime::Docker => "docker",
            Runtime::Podman => "podman",
        })
    }
}

impl FromStr for Runtime {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match text {
            "auto" => Ok(Runtime::Auto),
            "namespace" => Ok(Runtime::Namespace),
            "docker" => Ok(Runtime::Docker),
            "podman" => Ok(Runtime::Podman),
            _ => Err(Problem::error(
                "lab-runtime",
                format!("`{text}` is not a runtime of lab hosts"),
                "Write `auto`, `namespace`, `docker` or `podman`.",
            )),
        }
    }
}

/// A host that a lab is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabHost {
    pub name: HostName,
    /// A user beside root, who logs in with the lab's key and may use sudo without a password.
    pub user: Option<String>,
}

/// A host of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Running {
    pub name: HostName,
    /// The host's own short name and its alias in the lab's ssh_config: the name, less what a host name cannot hold.
    pub label: String,
    pub address: String,
    /// `None` is the port of SSH.
    pub port: Option<u16>,
    pub user: Option<String>,
    pub runtime: Runtime,
    /// False for a host that stopped or was killed; `up` starts it again with its disk.
    pub is_up: bool,
}

/// The hosts whose files are in one directory.
#[derive(Debug, Clone)]
pub struct Lab {
    /// Absolute, without symbolic links as far as it exists.
    pub dir: PathBuf,
    /// For Docker and Podman: an image that has sshd, instead of this machine's own programs.
    pub image: Option<String>,
    /// The lock on the lab while this command is at work on it. Every program that it starts holds it too, so that
    /// nothing of a command that was killed is still under way when `down` gets the lock.
    held: Option<Arc<File>>,
}

impl Lab {
    /// The lab of this directory, whether it exists or not.
    pub fn at(dir: impl AsRef<Path>) -> Self {
        Lab { dir: canonical(dir.as_ref()), image: None, held: None }
    }

    /// Brings up those of the hosts that are not up, each with the disk that it had, and gives all of them.
    pub async fn up(&self, hosts: &[LabHost], runtime: Runtime) -> Result<Vec<Running>, Problem> {
        let (lab, hosts) = (self.clone(), hosts.to_vec());
        blocking(move || lab.bring_up(&hosts, runtime)).await
    }

    /// Ends all hosts and removes everything of the lab. What is not there is no error.
    pub async fn down(&self) -> Result<(), Problem> {
        let lab = self.clone();
        blocking(move || lab.take_down()).await
    }

    /// The hosts of the lab, up or not; none if there is no lab.
    pub async fn list(&self) -> Result<Vec<Running>, Problem> {
        let lab = self.clone();
        blocking(move || match lab.record()? {
            Some(record) => record.hosts.iter().map(|host| lab.running(&record, host)).collect(),
            None => Ok(Vec::new()),
        })
        .await
    }

    /// Reboots one host, or boots it if it was down: its processes end, its mounts and loop devices go, its disk stays, and
    /// what fstab says is mounted again.
    pub async fn restart(&self, host: &HostName) -> Result<(), Problem> {
        let (lab, host) = (self.clone(), host.clone());
        blocking(move || {
            let (lab, mut record) = lab.locked()?;
            let runs = record.runs();
            let index = record.index(&host)?;
            runs.stop(&lab, &record.hosts[index])?;
            record.hosts[index].port = runs.start(&lab, &record, &record.hosts[index])?;
            lab.save(&record)?;
            lab.write_ssh_config(&record)
        })
        .await
    }

    /// Switches one host off as if by pulling the plug; `up` or `restart` boots it again.
    pub async fn stop(&self, host: &HostName) -> Result<(), Problem> {
        let (lab, host) = (self.clone(), host.clone());
        blocking(move || {
            let (lab, record) = lab.locked()?;
            record.runs().stop(&lab, record.host(&host)?)
        })
        .await
    }

    /// What `ssh -F` wants.
    pub fn ssh_config(&self) -> PathBuf {
        self.dir.join("ssh_config")
    }

    /// How to reach a host of this lab instead of the real one; `None` if the lab has no such host.
    pub fn connection(&self, host: &HostName, user: Option<&str>) -> Option<Connection> {
        let record = self.record().ok()??;
        let host = record.host(host).ok()?;
        let user = user.unwrap_or("root");
        Some(Connection {
            reach: Reach::Ssh(Ssh {
                address: host.label.clone(),
                user: Some(user.to_owned()),
                ssh_config: Some(self.ssh_config().to_string_lossy().into_owned()),
                known_hosts: Some(self.dir.join("known_hosts").to_string_lossy().into_owned()),
                ..Ssh::default()
            }),
            becomes_root: user != "root",
            connect_timeout: Duration::from_secs(10),
        })
    }

    /// The host's root directory as this machine sees it, while the host is up; for root only. Absolute symbolic links
    /// below it lead to this machine's files, not the host's.
    pub fn root_of(&self, host: &HostName) -> Option<PathBuf> {
        let record = self.record().ok()??;
        let pid = record.runs().pid(self, record.host(host).ok()?).ok()??;
        Some(PathBuf::from(format!("/proc/{pid}/root")))
    }

    /// Runs a command inside a host as root, not through SSH.
    pub async fn exec(&self, host: &HostName, argv: &[&str]) -> Result<Output, Problem> {
        self.exec_with_input(host, argv, b"").await
    }

    /// The same with this on its standard input.
    pub async fn exec_with_input(&self, host: &HostName, argv: &[&str], input: &[u8]) -> Result<Output, Problem> {
        let (lab, host, input) = (self.clone(), host.clone(), input.to_vec());
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        blocking(move || {
            let record = lab.record()?.ok_or_else(|| no_lab(&lab.dir))?;
            exec(record.runs(), &lab, record.host(&host)?, &argv, &input)
        })
        .await
    }

    /// What the host's sshd has written since the host was made, LogLevel VERBOSE: a line for each connection and session.
    pub fn sshd_log(&self, host: &HostName) -> PathBuf {
        let label = self.record().ok().flatten().and_then(|record| Some(record.host(host).ok()?.label.clone()));
        self.dir.join("hosts").join(label.unwrap_or_else(|| label_of(host))).join("sshd.log")
    }

    /// Gives a host a block device of zeroes under a path below /dev, `/dev/disk/by-id/wwn-0x5000c500a1b2c3d4` for
    /// example: a loop device that stays through restarts and ends with the lab.
    pub async fn attach_device(&self, host: &HostName, path: &str, size: Size) -> Result<(), Problem> {
        self.attach_shared_device(std::slice::from_ref(host), path, size).await
    }

    /// Gives several hosts one and the same device, like a LUN that they share.
    pub async fn attach_shared_device(&self, hosts: &[HostName], path: &str, size: Size) -> Result<(), Problem> {
        let (lab, hosts, path) = (self.clone(), hosts.to_vec(), path.to_owned());
        blocking(move || {
            let (lab, mut record) = lab.locked()?;
            dev::check_path(&path)?;
            let labels = hosts.iter().map(|host| Ok(record.host(host)?.label.clone()));
            let labels = labels.collect::<Result<BTreeSet<String>, Problem>>()?;
            let taken = record.devices.iter().any(|device| device.path == path && !device.labels.is_disjoint(&labels));
            if taken {
                return Err(Problem::error(
                    "lab-device",
                    format!("a device {path} is there already"),
                    "Attach it under another path.",
                ));
            }
            let file = lab.dir.join("devices").join(format!("{}.img", record.devices.len()));
            dev::make_file(&file, size)?;
            record.devices.push(DeviceRecord { path, labels: labels.clone(), file });
            lab.save(&record)?;
            for host in record.hosts.iter().filter(|host| labels.contains(&host.label)) {
                link_devices(&lab, &record, host)?;
            }
            Ok(())
        })
        .await
    }
}

/// What a lab knows of itself between commands. Written before what it names is made, so that `down` finds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    version: u32,
    runtime: Runtime,
    /// First address of the range of namespace hosts, once there is one.
    range: Option<std::net::Ipv4Addr>,
    hosts: Vec<HostRecord>,
    devices: Vec<DeviceRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HostRecord {
    name: HostName,
    label: String,
    /// The last number of its address.
    number: u8,
    user: Option<String>,
    address: String,
    port: Option<u16>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct DeviceRecord {
    /// Below /dev, as the hosts see it.
    path: String,
    labels: BTreeSet<String>,
    /// The sparse file behind it.
    file: PathBuf,
}

const RECORD_VERSION: u32 = 1;

impl Record {
    fn runs(&self) -> &'static dyn Runs {
        match self.runtime {
            Runtime::Docker => &engine::DOCKER,
            Runtime::Podman => &engine::PODMAN,
            // What is recorded was chosen before.
            Runtime::Namespace | Runtime::Auto => &namespace::Namespace,
        }
    }

    fn host(&self, name: &HostName) -> Result<&HostRecord, Problem> {
        self.index(name).map(|index| &self.hosts[index])
    }

    fn index(&self, name: &HostName) -> Result<usize, Problem> {
        self.hosts.iter().position(|host| host.name == *name).ok_or_else(|| {
            let known: Vec<_> = self.hosts.iter().map(|host| host.name.as_str()).collect();
            Problem::error(
                "lab-no-such-host",
                format!("the lab has no host `{name}`"),
                format!("It has: {}. `larder lab up` adds those of the configuration.", known.join(", ")),
            )
        })
    }

    /// Adds the hosts that are new and the users of those that are not.
    fn take_in(&mut self, hosts: &[LabHost]) -> Result<(), Problem> {
        for host in hosts {
            let user = host.user.clone().filter(|user| user != "root");
            if let Some(user) = &user {
                check_user(user)?;
            }
            if let Some(known) = self.hosts.iter_mut().find(|known| known.name == host.name) {
                known.user = user;
                continue;
            }
            let taken: BTreeSet<u8> = self.hosts.iter().map(|host| host.number).collect();
            let number = (network::FIRST_HOST..u8::MAX).find(|number| !taken.contains(number)).ok_or_else(|| {
                Problem::error(
                    "lab-too-large",
                    "a lab has at most 253 hosts",
                    "Use several labs, each in its directory.",
                )
            })?;
            let wanted = label_of(&host.name);
            let is_free = |label: &str| self.hosts.iter().all(|host| host.label != label);
            let label = match is_free(&wanted) {
                true => wanted,
                false => format!("{wanted}-{number}"),
            };
            if !is_free(&label) {
                return Err(Problem::error(
                    "lab-host-name",
                    format!("the host `{}` would have the name `{label}` of another host", host.name),
                    "Give one of the two another name.",
                ));
            }
            let address = String::new();
            self.hosts.push(HostRecord { name: host.name.clone(), label, number, user, address, port: None });
        }
        Ok(())
    }
}

impl Lab {
    fn bring_up(&self, hosts: &[LabHost], runtime: Runtime) -> Result<Vec<Running>, Problem> {
        check_dir(&self.dir)?;
        let old = self.record()?;
        let runtime = match (&old, runtime) {
            (Some(record), Runtime::Auto) => record.runtime,
            (Some(record), wanted) if record.runtime != wanted => {
                return Err(Problem::error(
                    "lab-runtime",
                    format!("this lab is made of {} hosts, not {wanted}", record.runtime),
                    "Run `larder lab down` first.",
                ));
            }
            (_, Runtime::Auto) => choose(self)?,
            (_, wanted) => wanted,
        };
        match runtime {
            Runtime::Docker => engine::DOCKER.check_machine(self)?,
            Runtime::Podman => engine::PODMAN.check_machine(self)?,
            Runtime::Namespace | Runtime::Auto => namespace::check_machine(hosts)?,
        }
        if old.is_none() {
            refuse_foreign(&self.dir)?;
        }
        make_dirs(&self.dir)?;
        let lab = self.holding_lock()?;
        let fresh = || Record { version: RECORD_VERSION, runtime, range: None, hosts: Vec::new(), devices: Vec::new() };
        let mut record = lab.record()?.unwrap_or_else(fresh);
        record.take_in(hosts)?;
        lab.save(&record)?;
        ssh::make_key(&lab, &lab.dir.join("id_ed25519"), "larder-lab")?;
        record.runs().up(&lab, &mut record, hosts)?;
        lab.save(&record)?;
        lab.write_ssh_config(&record)?;
        record.hosts.iter().map(|host| lab.running(&record, host)).collect()
    }

    fn holding_lock(&self) -> Result<Lab, Problem> {
        let held = lock::exclusive(&self.dir.join("lock"))?;
        Ok(Lab { held: Some(Arc::new(held)), ..self.clone() })
    }

    /// A command of this lab, which holds the lab's lock if this does.
    fn command<I, S>(&self, program: &str, arguments: I) -> Result<Command, Problem>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = run::command(program, arguments);
        if let Some(held) = &self.held {
            let lock = held.try_clone().map_err(|error| file_problem("share", &self.dir.join("lock"), &error))?;
            command.stdin(lock);
        }
        Ok(command)
    }

    /// Runs such a command to its end and gives what it wrote to standard output.
    fn run<I, S>(&self, program: &str, arguments: I) -> Result<String, Problem>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        run::finish(self.command(program, arguments)?)
    }

    fn write_ssh_config(&self, record: &Record) -> Result<(), Problem> {
        ssh::write_config(&self.dir, record)?;
        let files = ["ssh_config", "known_hosts", "id_ed25519", "id_ed25519.pub"];
        files.iter().try_for_each(|name| give_to_caller(&self.dir.join(name)))
    }

    fn take_down(&self) -> Result<(), Problem> {
        // Without lock and record there is no lab here, or `down` was killed when only the empty directory was left.
        if !self.dir.join("lock").exists() && !self.dir.join("lab.json").exists() {
            return Ok(());
        }
        let lab = self.holding_lock()?;
        if let Some(record) = lab.record()? {
            record.runs().down(&lab, &record)?;
        }
        for name in ["hosts", "devices", "dev", "dev.new"] {
            remove(&self.dir.join(name), fs::remove_dir_all)?;
        }
        let files = ["ssh_config", "known_hosts", "id_ed25519", "id_ed25519.pub", "namespace.sh", "lab.json.new"];
        // The record goes after what it stands for, the lock last.
        for name in files.into_iter().chain(["lab.json", "lock"]) {
            remove(&self.dir.join(name), fs::remove_file)?;
        }
        // Stays if somebody else keeps files in it.
        let _ = fs::remove_dir(&self.dir);
        Ok(())
    }

    fn running(&self, record: &Record, host: &HostRecord) -> Result<Running, Problem> {
        Ok(Running {
            name: host.name.clone(),
            label: host.label.clone(),
            address: host.address.clone(),
            port: host.port,
            user: host.user.clone(),
            runtime: record.runtime,
            is_up: record.runs().pid(self, host)?.is_some(),
        })
    }

    fn record(&self) -> Result<Option<Record>, Problem> {
        let path = self.dir.join("lab.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file_problem("read", &path, &error)),
        };
        match serde_json::from_slice::<Record>(&text) {
            Ok(record) if record.version == RECORD_VERSION => Ok(Some(record)),
            Ok(record) => Err(Problem::error(
                "lab-record",
                format!("{} is of version {}, this is version {RECORD_VERSION}", path.display(), record.version),
                "Run `larder lab down` with the version of Larder that made the lab.",
            )),
            Err(error) => Err(Problem::error(
                "lab-record",
                format!("{} is not the record of a lab: {error}", path.display()),
                "Somebody changed it. Without it Larder does not know what to end.",
            )),
        }
    }

    fn save(&self, record: &Record) -> Result<(), Problem> {
        let (path, new) = (self.dir.join("lab.json"), self.dir.join("lab.json.new"));
        let text = serde_json::to_vec_pretty(record).expect("a record has text keys only");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|error| file_problem("write", &path, &error))
    }

    /// The lab's record, with nobody else at work on the lab.
    fn locked(&self) -> Result<(Lab, Record), Problem> {
        if self.record()?.is_none() {
            return Err(no_lab(&self.dir));
        }
        let lab = self.holding_lock()?;
        let record = lab.record()?.ok_or_else(|| no_lab(&lab.dir))?;
        Ok((lab, record))
    }

    /// Eight digits that are the lab's own.
    fn id(&self) -> String {
        let hash = Sha256::digest(self.dir.as_os_str().as_encoded_bytes());
        hash[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The lab's interface on the machine; the kernel allows 15 characters.
    fn interface(&self) -> String {
        format!("larder{}", self.id())
    }
}

fn host_dir(dir: &Path, host: &HostRecord) -> PathBuf {
    dir.join("hosts").join(&host.label)
}

/// The text of the functions that hosts run inside of them.
const SCRIPT: &str = include_str!("namespace.sh");

/// A way to make hosts.
trait Runs: Sync {
    /// Brings up the wanted hosts of the record that are not up, and notes their addresses in it.
    fn up(&self, lab: &Lab, record: &mut Record, wanted: &[LabHost]) -> Result<(), Problem>;
    /// Boots a host that is down; gives its port, if that is not the port of SSH.
    fn start(&self, lab: &Lab, record: &Record, host: &HostRecord) -> Result<Option<u16>, Problem>;
    /// Switches a host off, if it is up. Its disk stays.
    fn stop(&self, lab: &Lab, host: &HostRecord) -> Result<(), Problem>;
    /// Ends all hosts and takes away what is not a file of the lab's directory.
    fn down(&self, lab: &Lab, record: &Record) -> Result<(), Problem>;
    /// The first process of a host that is up, by the number that it has on this machine.
    fn pid(&self, lab: &Lab, host: &HostRecord) -> Result<Option<i32>, Problem>;
    /// What to put before a command for it to run inside a host that is up.
    fn inside(&self, lab: &Lab, host: &HostRecord) -> Result<Command, Problem>;
}

/// The first runtime that works here, or why none does.
fn choose(lab: &Lab) -> Result<Runtime, Problem> {
    let Err(mut problem) = namespace::check_machine(&[]) else { return Ok(Runtime::Namespace) };
    for (runtime, engine) in [(Runtime::Docker, &engine::DOCKER), (Runtime::Podman, &engine::PODMAN)] {
        match engine.check_machine(lab) {
            Ok(()) => return Ok(runtime),
            Err(other) => problem.detail.push_str(&format!("\nNor by {runtime}: {}", other.summary)),
        }
    }
    Err(problem)
}

/// Starting is mostly waiting for the kernel: more at once than processors, but not so many that all become slow.
const STARTS_AT_ONCE: usize = 8;

/// Does the work for all hosts, several at once, and gives the first problem in the order of hosts.
fn each(hosts: &[&HostRecord], work: impl Fn(&HostRecord) -> Result<(), Problem> + Sync) -> Result<(), Problem> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut problems = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(host) = hosts.get(index) else { return problems };
            if let Err(problem) = work(host) {
                problems.push((index, problem));
            }
        }
    };
    let mut problems: Vec<(usize, Problem)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..STARTS_AT_ONCE.min(hosts.len())).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no worker panics")).collect()
    });
    problems.sort_by_key(|(index, _)| *index);
    problems.into_iter().next().map_or(Ok(()), |(_, problem)| Err(problem))
}

/// Writes the root file system of a host, with its keys, into a new directory.
fn write_tree(lab: &Lab, record: &Record, host: &HostRecord, tree: &Path) -> Result<(), Problem> {
    let key = host_dir(&lab.dir, host).join("host_key");
    ssh::make_key(lab, &key, &host.label)?;
    let (private, public) = (ssh::read_key(&key)?, ssh::read_key(&key.with_extension("pub"))?);
    let has_address = record.hosts.iter().filter(|host| !host.address.is_empty());
    let neighbours: Vec<String> = has_address.map(|host| format!("{} {}", host.address, host.label)).collect();
    let spec = tree::Spec {
        label: &host.label,
        authorized_key: &ssh::read_key(&lab.dir.join("id_ed25519.pub"))?,
        host_key: (&private, &public),
        neighbours: &neighbours,
    };
    tree::write(tree, &spec).map_err(|error| file_problem("write", tree, &error))
}

/// Runs a command inside a host.
fn exec(runs: &dyn Runs, lab: &Lab, host: &HostRecord, argv: &[String], input: &[u8]) -> Result<Output, Problem> {
    let mut inside = runs.inside(lab, host)?;
    inside.args(["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]);
    inside.arg("LC_ALL=C.UTF-8").args(argv).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = inside.spawn().map_err(|error| not_started(&inside, &error))?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A command that does not read its input closes the pipe; that is its right.
            let _ = stdin.map(|mut stdin| stdin.write_all(input));
        });
        child.wait_with_output()
    });
    output.map_err(|error| not_started(&inside, &error))
}

/// Runs a function of the script inside a host.
fn run_inside(runs: &dyn Runs, lab: &Lab, host: &HostRecord, words: &[&str]) -> Result<(), Problem> {
    let argv: Vec<String> =
        ["sh", "-c", SCRIPT, "namespace.sh"].iter().chain(words).map(|word| (*word).to_owned()).collect();
    let output = exec(runs, lab, host, &argv, b"")?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Problem::error(
            "lab-host-failed",
            format!("`{}` failed inside the lab host `{}`", words.join(" "), host.name),
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        )),
    }
}

/// Attaches the devices of a host and lists them for its next boot.
fn write_devices(lab: &Lab, record: &Record, host: &HostRecord) -> Result<Vec<(String, String)>, Problem> {
    let mut links = Vec::new();
    for device in record.devices.iter().filter(|device| device.labels.contains(&host.label)) {
        links.push((device.path.clone(), dev::attach(lab, &device.file)?));
    }
    let path = host_dir(&lab.dir, host).join("devices");
    let text: String = links.iter().map(|(path, device)| format!("{path} {device}\n")).collect();
    fs::write(&path, text).map_err(|error| file_problem("write", &path, &error))?;
    Ok(links)
}

/// Makes the devices of a host reachable in it, now and after each boot.
fn link_devices(lab: &Lab, record: &Record, host: &HostRecord) -> Result<(), Problem> {
    let links = write_devices(lab, record, host)?;
    if record.runs().pid(lab, host)?.is_none() {
        return Ok(());
    }
    links.iter().try_for_each(|(path, device)| run_inside(record.runs(), lab, host, &["link", path, device]))
}

fn is_down(host: &HostRecord) -> Problem {
    Problem::error("lab-host-down", format!("the lab host `{}` is not up", host.name), "Boot it with `larder lab up`.")
}

fn no_lab(dir: &Path) -> Problem {
    Problem::error("no-lab", format!("there is no lab in {}", dir.display()), "Bring one up with `larder lab up`.")
}

/// A host name out of the name of a block: `hv["a b"]` becomes `hv-a-b`.
fn label_of(name: &HostName) -> String {
    let mut label = String::new();
    for c in name.as_str().chars() {
        match c {
            c if c.is_ascii_alphanumeric() || c == '_' => label.push(c),
            _ if label.is_empty() || label.ends_with('-') => {}
            _ => label.push('-'),
        }
        if label.len() == 60 {
            break;
        }
    }
    let label = label.trim_end_matches('-');
    if label.is_empty() { "host".to_owned() } else { label.to_owned() }
}

/// The names that useradd(8) of Debian takes without complaint.
fn check_user(user: &str) -> Result<(), Problem> {
    let mut characters = user.chars();
    let is_name = characters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
        && user.len() <= 32;
    match is_name {
        true => Ok(()),
        false => Err(Problem::error(
            "lab-user",
            format!("`{user}` is not a user that a lab host can have"),
            "Lower-case letters, digits, `_` and `-`, at most 32.",
        )),
    }
}

/// Refuses directories whose path cannot be written into ssh_config.
fn check_dir(dir: &Path) -> Result<(), Problem> {
    let is_plain = dir.to_str().is_some_and(|text| !text.chars().any(|c| c.is_control() || "\"$\\".contains(c)));
    match is_plain {
        true => Ok(()),
        false => Err(Problem::error(
            "lab-directory",
            format!("a lab cannot live in {}", dir.display()),
            "OpenSSH has no way to write a path with quotes, dollar signs, backslashes or control characters in its \
             configuration. Use another directory.",
        )),
    }
}

/// Refuses a directory that holds something other than a lab, because `down` empties it.
fn refuse_foreign(dir: &Path) -> Result<(), Problem> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file_problem("read", dir, &error)),
    };
    let foreign = entries.filter_map(Result::ok).map(|entry| entry.file_name()).find(|name| {
        // What an `up` that was killed before its record was written leaves behind.
        !["lock", "lab.json.new", "hosts", "devices"].iter().any(|own| name == own)
    });
    match foreign {
        None => Ok(()),
        Some(name) => Err(Problem::error(
            "lab-directory",
            format!("{} is not a lab: it contains `{}`", dir.display(), name.to_string_lossy()),
            "Give the lab a directory of its own, one that does not exist yet.",
        )),
    }
}

/// Makes the lab's directories; those of the hosts' disks are for root alone.
fn make_dirs(dir: &Path) -> Result<(), Problem> {
    let missing: Vec<_> = dir.ancestors().take_while(|path| !path.exists()).collect();
    fs::create_dir_all(dir).map_err(|error| file_problem("make", dir, &error))?;
    for made in missing {
        give_to_caller(made)?;
    }
    for name in ["hosts", "devices"] {
        let path = dir.join(name);
        fs::create_dir_all(&path)
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o700)))
            .map_err(|error| file_problem("make", &path, &error))?;
    }
    Ok(())
}

/// Under sudo, what the caller needs without sudo (to log in, to remove the empty directory) becomes the caller's.
fn give_to_caller(path: &Path) -> Result<(), Problem> {
    let number = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    match (number("SUDO_UID"), number("SUDO_GID")) {
        (Some(user), Some(group)) if rustix::process::geteuid().is_root() => {
            chown(path, Some(user), Some(group)).map_err(|error| file_problem("change the owner of", path, &error))
        }
        _ => Ok(()),
    }
}

fn remove(path: &Path, how: fn(PathBuf) -> std::io::Result<()>) -> Result<(), Problem> {
    match how(path.to_owned()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_problem("remove", path, &error)),
        _ => Ok(()),
    }
}

/// The path without symbolic links as far as it exists, so that a lab has one id by whichever way it is reached.
fn canonical(dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    for ancestor in absolute.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), absolute.strip_prefix(ancestor)) {
            return real.join(rest).components().collect();
        }
    }
    absolute
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Problem::error(
            "lab-internal",
            format!("work on the lab broke off: {error}"),
            "This is a mistake in Larder. Run `larder lab down`, and report it with this message.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_host_names() {
        for (name, label) in [
            ("hv1", "hv1"),
            ("kvm_a", "kvm_a"),
            ("hv[0]", "hv-0"),
            ("hv[\"a b\"]", "hv-a-b"),
            ("-oProxyCommand=x", "oProxyCommand-x"),
            ("ä", "host"),
            ("../../etc", "etc"),
        ] {
            assert_eq!(label_of(&HostName::from(name)), label, "{name}");
        }
    }

    #[test]
    fn hosts_of_one_record_never_share_a_label_or_a_number() {
        let mut record =
            Record { version: 1, runtime: Runtime::Namespace, range: None, hosts: Vec::new(), devices: Vec::new() };
        let host = |name: &str| LabHost { name: name.into(), user: None };
        record.take_in(&[host("hv[0]"), host("hv-0"), host("b")]).expect("three hosts");
        record.take_in(&[host("b"), host("c")]).expect("one more");
        let labels: Vec<_> = record.hosts.iter().map(|host| (host.label.as_str(), host.number)).collect();
        assert_eq!(labels, [("hv-0", 2), ("hv-0-3", 3), ("b", 4), ("c", 5)]);
    }

    #[test]
    fn users_are_names() {
        for user in ["larder-admin", "_x", "a1"] {
            assert!(check_user(user).is_ok(), "{user}");
        }
        for user in ["", "Root", "a b", "a:b", "1a", "-a", "../x", "a\nb"] {
            assert!(check_user(user).is_err(), "{user}");
        }
    }

    #[test]
    fn paths_that_ssh_config_cannot_hold_are_refused() {
        assert!(check_dir(Path::new("/tmp/a lab, 100%")).is_ok());
        for path in ["/tmp/a\"b", "/tmp/$HOME", "/tmp/a\nb", "/tmp/a\\b"] {
            assert!(check_dir(Path::new(path)).is_err(), "{path}");
        }
    }
}
