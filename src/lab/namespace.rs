//! Hosts out of Linux namespaces: each has a disk of its own (ext4 in a sparse file), the machine's programs below a
//! writable layer, and its own mounts, processes, network, name and /dev. When its first process ends, the kernel takes
//! away all of that, so nothing needs to be undone in order.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::process::FirstProcess;
use super::run::{NAMESPACE_TOOLS, command, file_problem, find, missing, not_started, run};
use super::{HostRecord, Lab, LabHost, Record, Runs, SCRIPT, boot, dev, each, host_dir, is_down, loops, network};
use crate::model::{Problem, Size};

/// Large enough for guest images of tests; the file is sparse.
const DISK: Size = Size(32 << 30);

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

/// The runtime of this file.
pub(super) struct Namespace;

impl Runs for Namespace {
    fn up(&self, lab: &Lab, record: &mut Record, wanted: &[LabHost]) -> Result<(), Problem> {
        up(lab, record, wanted)
    }

    fn start(&self, lab: &Lab, record: &Record, host: &HostRecord) -> Result<Option<u16>, Problem> {
        start(lab, record, host).map(|()| None)
    }

    fn stop(&self, lab: &Lab, host: &HostRecord) -> Result<(), Problem> {
        stop(lab, host)
    }

    fn down(&self, lab: &Lab, record: &Record) -> Result<(), Problem> {
        let hosts: Vec<&HostRecord> = record.hosts.iter().collect();
        each(&hosts, |host| stop(lab, host))?;
        loops::detach(lab, &loops::belonging(&loops::attached(lab)?, &lab.dir, &Default::default()))?;
        network::remove(lab)
    }

    fn pid(&self, lab: &Lab, host: &HostRecord) -> Result<Option<i32>, Problem> {
        Ok(first_process(lab, host)?.map(|first| first.pid))
    }

    fn inside(&self, lab: &Lab, host: &HostRecord) -> Result<Command, Problem> {
        let pid = self.pid(lab, host)?.ok_or_else(|| is_down(host))?.to_string();
        let words = ["--target", &pid, "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd", "--"];
        Ok(command("nsenter", words))
    }
}

/// Brings up the wanted hosts of the record that are not up.
fn up(lab: &Lab, record: &mut Record, wanted: &[LabHost]) -> Result<(), Problem> {
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
        dev::attach(lab, &device.file)?;
    }

    let hosts: Vec<&HostRecord> =
        record.hosts.iter().filter(|host| wanted.iter().any(|wanted| wanted.name == host.name)).collect();
    each(&hosts, |host| bring_up(lab, record, host))
}

/// The range that a lab tries first, so that it mostly keeps its addresses.
fn first_choice(lab: &Lab) -> u8 {
    lab.id().bytes().fold(0, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(byte))
}

fn bring_up(lab: &Lab, record: &Record, host: &HostRecord) -> Result<(), Problem> {
    if first_process(lab, host)?.is_some() {
        return match &host.user {
            Some(user) => super::run_inside(&Namespace, lab, host, &["user", user]),
            None => Ok(()),
        };
    }
    make_disk(lab, record, host)?;
    // One that was killed a moment ago may still hold its disk and its interface.
    stop(lab, host)?;
    start(lab, record, host)
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

    super::write_tree(lab, record, host, &tree)?;

    // The tables of inodes need not be written, since a new sparse file reads as zeroes.
    let options = ["-q", "-F", "-E", "nodiscard,lazy_itable_init=1", "-N", "65536", "-J", "size=16", "-d"];
    lab.run("mkfs.ext4", options.map(AsRef::as_ref).into_iter().chain([tree.as_os_str(), new.as_os_str()]))?;
    fs::remove_dir_all(&tree)
        .and_then(|()| fs::rename(&new, &disk))
        .map_err(|error| file_problem("make", &disk, &error))
}

/// Boots a host that is down.
fn start(lab: &Lab, record: &Record, host: &HostRecord) -> Result<(), Problem> {
    let dir = host_dir(&lab.dir, host);
    super::write_devices(lab, record, host)?;
    let sshd = find("sshd")
        .ok_or_else(|| missing(&[("sshd", "openssh-server")]).unwrap_or_else(|| boot::failed(host, &dir)))?;
    let before = boot::log(&dir, "sshd.log")?.metadata().map_or(0, |metadata| metadata.len());

    let mut starting =
        lab.command("sh", [lab.dir.join("namespace.sh").as_os_str(), "start".as_ref(), lab.dir.as_os_str()])?;
    starting.args([&host.label, &host.number.to_string(), &host.address]).arg(sshd).args(&host.user);
    starting.stdout(Stdio::null()).stderr(boot::log(&dir, "boot.log")?);
    // Ctrl-C on the terminal is for the command, not for hosts that are half-way up.
    starting.process_group(0);
    let status = starting.status().map_err(|error| not_started(&starting, &error))?;
    if !status.success() {
        return Err(boot::failed(host, &dir));
    }
    boot::wait(host, &dir, before, || Ok(first_process(lab, host)?.is_some()))
}

/// Ends a host, if it runs, and waits until the kernel has let go of its disk. Its disk stays.
fn stop(lab: &Lab, host: &HostRecord) -> Result<(), Problem> {
    let dir = host_dir(&lab.dir, host);
    let running = first_process(lab, host)?;
    let private = match &running {
        Some(first) => loops::private_file_systems(first.pid)?,
        None => Default::default(),
    };
    let ours = loops::belonging(&loops::attached(lab)?, &dir, &private);
    if let Some(first) = running {
        first.end()?;
    }
    loops::detach(lab, &ours)?;
    network::remove_host(lab, host);
    Ok(())
}

/// The host's first process, if it is up.
fn first_process(lab: &Lab, host: &HostRecord) -> Result<Option<FirstProcess>, Problem> {
    FirstProcess::recorded(&host_dir(&lab.dir, host).join("pid"))
}
