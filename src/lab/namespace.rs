//! Hosts out of Linux namespaces: each has a disk of its own (ext4 in a sparse file), the machine's programs below a
//! writable layer, and its own mounts, processes, network, name and /dev. When its first process ends, the kernel takes
//! away all of that, so nothing needs to be undone in order.

use std::fs::File;
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::process::FirstProcess;
use super::run::{NAMESPACE_TOOLS, command, file_problem, find, missing, not_started, run};
use super::{HostRecord, Lab, LabHost, Record, dev, host_dir, loops, network, ssh, tree};
use crate::model::{Problem, Size};

const SCRIPT: &str = include_str!("namespace.sh");

/// Large enough for guest images of tests; the file is sparse.
const DISK: Size = Size(32 << 30);

/// Starting is mostly waiting for the kernel: more at once than processors, but not so many that all become slow.
const STARTS_AT_ONCE: usize = 8;

/// Longer than `mount -a` may take in a booting host.
const BOOT_PATIENCE: Duration = Duration::from_secs(90);

/// Why namespace hosts cannot run here, if so.
pub(super) fn check_machine(hosts: &[LabHost]) -> Result<(), Problem> {
    if !cfg!(target_os = "linux") {
        return Err(Problem::error(
            "lab-needs-linux",
            "hosts out of namespaces need Linux",
            "Run the lab on a Linux machine.",
        ));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Problem::error(
            "lab-needs-root",
            "hosts out of namespaces need root: they mount, make devices and interfaces",
            "Run the command as root or with sudo.",
        ));
    }
    missing(&NAMESPACE_TOOLS).map_or(Ok(()), Err)?;
    if hosts.iter().any(|host| host.user.as_deref().is_some_and(|user| user != "root")) {
        missing(&[("sudo", "sudo")]).map_or(Ok(()), Err)?;
    }
    run("unshare", ["--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "true"]).map(drop).map_err(|problem| {
        Problem::error(
            "lab-no-namespaces",
            format!("the kernel does not let root make namespaces here: {}", problem.summary),
            "A container needs to be privileged for that (docker run --privileged).",
        )
    })?;
    if !Path::new("/dev/loop-control").exists() {
        return Err(Problem::error(
            "lab-no-loop-devices",
            "this machine has no loop devices (/dev/loop-control is missing), and each host's disk is one",
            "Load the module (`modprobe loop`), or give the container the machine's devices (docker run --privileged).",
        ));
    }
    Ok(())
}

/// Brings up the wanted hosts of the record that are not up.
pub(super) fn up(lab: &Lab, record: &mut Record, wanted: &[LabHost], held: &File) -> Result<(), Problem> {
    ssh::make_key(&lab.dir.join("id_ed25519"), "larder-lab")?;
    dev::make_template(&lab.dir.join("dev"))?;
    let script = lab.dir.join("namespace.sh");
    fs::write(&script, SCRIPT).map_err(|error| file_problem("write", &script, &error))?;

    if !record.range.is_some_and(|range| network::is_up(lab, range)) {
        // Hosts without their network are no hosts; they boot again on the new one.
        for host in &record.hosts {
            stop(lab, host)?;
        }
        let wanted = record.range.map_or_else(|| first_choice(lab), |range| range.octets()[2]);
        record.range = Some(network::make(lab, wanted)?);
    }
    let range = record.range.expect("it was set just above");
    for host in &mut record.hosts {
        host.address = network::address(range, host.number).to_string();
    }
    lab.save(record)?;
    // One after the other and before any host starts, so that hosts that share a device find it attached once.
    for device in &record.devices {
        dev::attach(&device.file)?;
    }

    let hosts: Vec<&HostRecord> =
        record.hosts.iter().filter(|host| wanted.iter().any(|wanted| wanted.name == host.name)).collect();
    each(&hosts, |host| bring_up(lab, record, host, held))
}

/// The range that a lab tries first, so that it mostly keeps its addresses.
fn first_choice(lab: &Lab) -> u8 {
    lab.id().bytes().fold(0, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(byte))
}

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

fn bring_up(lab: &Lab, record: &Record, host: &HostRecord, held: &File) -> Result<(), Problem> {
    if first_process(lab, host)?.is_some() {
        return match &host.user {
            Some(user) => inside(lab, host, &["user", user]),
            None => Ok(()),
        };
    }
    make_disk(lab, record, host)?;
    // One that was killed a moment ago may still hold its disk and its interface.
    stop(lab, host)?;
    start(lab, record, host, held)
}

/// Makes the host's disk, unless it has one.
fn make_disk(lab: &Lab, record: &Record, host: &HostRecord) -> Result<(), Problem> {
    let dir = host_dir(&lab.dir, host);
    let disk = dir.join("disk.img");
    if disk.exists() {
        return Ok(());
    }
    let (tree, new) = (dir.join("tree"), dir.join("disk.new"));
    let prepared = || -> std::io::Result<()> {
        if tree.exists() {
            fs::remove_dir_all(&tree)?;
        }
        fs::create_dir_all(&tree)?;
        for name in ["root", "dev"] {
            fs::create_dir_all(dir.join(name))?;
        }
        File::create(&new)?.set_len(DISK.0)
    };
    prepared().map_err(|error| file_problem("make", &dir, &error))?;

    let key = dir.join("host_key");
    ssh::make_key(&key, &host.label)?;
    let (private, public) = (ssh::read_key(&key)?, ssh::read_key(&key.with_extension("pub"))?);
    let neighbours: Vec<String> = record.hosts.iter().map(|host| format!("{} {}", host.address, host.label)).collect();
    let spec = tree::Spec {
        label: &host.label,
        authorized_key: &ssh::read_key(&lab.dir.join("id_ed25519.pub"))?,
        host_key: (&private, &public),
        neighbours: &neighbours,
    };
    tree::write(&tree, &spec).map_err(|error| file_problem("write", &tree, &error))?;

    // The tables of inodes need not be written, since a new sparse file reads as zeroes.
    let options = ["-q", "-F", "-E", "nodiscard,lazy_itable_init=1", "-N", "65536", "-J", "size=16", "-d"];
    run("mkfs.ext4", options.map(AsRef::as_ref).into_iter().chain([tree.as_os_str(), new.as_os_str()]))?;
    fs::remove_dir_all(&tree)
        .and_then(|()| fs::rename(&new, &disk))
        .map_err(|error| file_problem("make", &disk, &error))
}

/// Boots a host that is down.
pub(super) fn start(lab: &Lab, record: &Record, host: &HostRecord, held: &File) -> Result<(), Problem> {
    let dir = host_dir(&lab.dir, host);
    write_devices(lab, record, host)?;
    let sshd =
        find("sshd").ok_or_else(|| missing(&[("sshd", "openssh-server")]).unwrap_or_else(|| no_start(host, &dir)))?;
    let log = |name: &str| {
        let path = dir.join(name);
        OpenOptions::new().create(true).append(true).open(&path).map_err(|error| file_problem("open", &path, &error))
    };
    let before = log("sshd.log")?.metadata().map_or(0, |metadata| metadata.len());
    let lock = held.try_clone().map_err(|error| file_problem("share", &lab.dir.join("lock"), &error))?;

    let mut starting = command("sh", [lab.dir.join("namespace.sh").as_os_str(), "start".as_ref(), lab.dir.as_os_str()]);
    starting.args([&host.label, &host.number.to_string(), &host.address]).arg(sshd).args(&host.user);
    starting.stdin(lock).stdout(Stdio::null()).stderr(log("boot.log")?);
    // Ctrl-C on the terminal is for the command, not for hosts that are half-way up.
    starting.process_group(0);
    let status = starting.status().map_err(|error| not_started(&starting, &error))?;
    if !status.success() {
        return Err(no_start(host, &dir));
    }
    let end = Instant::now() + BOOT_PATIENCE;
    while !is_listening(&dir.join("sshd.log"), before)? {
        if Instant::now() > end || first_process(lab, host)?.is_none() {
            return Err(no_start(host, &dir));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Whether sshd has said so since the log had this length. Asked of the log rather than by a connection, because tests
/// count connections.
fn is_listening(log: &Path, since: u64) -> Result<bool, Problem> {
    let read = || {
        let mut text = Vec::new();
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(since))?;
        file.read_to_end(&mut text)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&text).contains("Server listening on "))
    };
    read().map_err(|error| file_problem("read", log, &error))
}

fn no_start(host: &HostRecord, dir: &Path) -> Problem {
    let last_lines = |name: &str| {
        let text = fs::read(dir.join(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    };
    let said = format!("{}\n{}", last_lines("boot.log"), last_lines("sshd.log"));
    Problem::error(
        "lab-host-failed",
        format!("the lab host `{}` did not come up", host.name),
        format!("Last words:\n{}\nAll of them: {}", said.trim(), dir.display()),
    )
}

/// Ends a host, if it runs, and waits until the kernel has let go of its disk. Its disk stays.
pub(super) fn stop(lab: &Lab, host: &HostRecord) -> Result<(), Problem> {
    let dir = host_dir(&lab.dir, host);
    let running = first_process(lab, host)?;
    let private = match &running {
        Some(first) => loops::private_file_systems(first.pid)?,
        None => Default::default(),
    };
    let ours = loops::belonging(&loops::attached()?, &dir, &private);
    if let Some(first) = running {
        first.end()?;
    }
    loops::detach(&ours)?;
    network::remove_host(lab, host);
    Ok(())
}

/// Ends all hosts and takes away what is not a file.
pub(super) fn down(lab: &Lab, record: &Record) -> Result<(), Problem> {
    let hosts: Vec<&HostRecord> = record.hosts.iter().collect();
    each(&hosts, |host| stop(lab, host))?;
    loops::detach(&loops::belonging(&loops::attached()?, &lab.dir, &Default::default()))?;
    network::remove(lab)
}

/// The host's first process, if it is up.
pub(super) fn first_process(lab: &Lab, host: &HostRecord) -> Result<Option<FirstProcess>, Problem> {
    FirstProcess::recorded(&host_dir(&lab.dir, host).join("pid"))
}

/// Runs a command in all namespaces of a host.
pub(super) fn exec(lab: &Lab, host: &HostRecord, argv: &[String], input: &[u8]) -> Result<Output, Problem> {
    let first = first_process(lab, host)?.ok_or_else(|| {
        Problem::error(
            "lab-host-down",
            format!("the lab host `{}` is not up", host.name),
            "Boot it with `larder lab up`.",
        )
    })?;
    let target = first.pid.to_string();
    let words = ["--target", &target, "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd", "--"];
    let environment = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"];
    let mut inside = command("nsenter", words.into_iter().chain(environment).chain(["LC_ALL=C.UTF-8"]));
    inside.args(argv).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
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

/// Runs a function of the script inside a running host.
fn inside(lab: &Lab, host: &HostRecord, words: &[&str]) -> Result<(), Problem> {
    let argv: Vec<String> =
        ["sh", "-c", SCRIPT, "namespace.sh"].iter().chain(words).map(|word| (*word).to_owned()).collect();
    let output = exec(lab, host, &argv, b"")?;
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
        links.push((device.path.clone(), dev::attach(&device.file)?));
    }
    let path = host_dir(&lab.dir, host).join("devices");
    let text: String = links.iter().map(|(path, device)| format!("{path} {device}\n")).collect();
    fs::write(&path, text).map_err(|error| file_problem("write", &path, &error))?;
    Ok(links)
}

/// Makes the devices of a host reachable in it, now and after each boot.
pub(super) fn link_devices(lab: &Lab, record: &Record, host: &HostRecord) -> Result<(), Problem> {
    let links = write_devices(lab, record, host)?;
    if first_process(lab, host)?.is_none() {
        return Ok(());
    }
    links.iter().try_for_each(|(path, device)| inside(lab, host, &["link", path, device]))
}
