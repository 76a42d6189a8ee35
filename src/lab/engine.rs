//! Hosts as containers of Docker or Podman, out of an image without programs: the machine's /usr is mounted into it,
//! read-only, so nothing is downloaded. With an image of the user's own, the programs are the image's.
//! Loop devices, /dev and the kernel are the machine's; a container gives less of a machine of its own than namespaces do.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Resource, getrlimit};

use super::run::{command, file_problem, find, finish, not_started, run};
use super::{HostRecord, Lab, LabHost, Record, Runs, SCRIPT, boot, each, host_dir, is_down, link_devices, loops};
use crate::model::Problem;

/// A container engine, by the name of its program.
#[derive(Debug)]
pub(super) struct Engine {
    program: &'static str,
    /// What lifts the engine's own guards over /proc and /sys.
    unmask: &'static str,
    /// Whether containers start from the limits of this process, raised to what the engine finds usual.
    raises_limits: bool,
}

pub(super) const DOCKER: Engine = Engine { program: "docker", unmask: "systempaths=unconfined", raises_limits: false };
pub(super) const PODMAN: Engine = Engine { program: "podman", unmask: "unmask=ALL", raises_limits: true };

/// What a host of storage needs beyond an engine's defaults. Not `--privileged`: that asks for every capability there is,
/// and fails where the machine itself lacks one.
const CAPABILITIES: [&str; 8] = [
    "SYS_ADMIN",
    "LINUX_IMMUTABLE",
    "MKNOD",
    "NET_ADMIN",
    "SYS_PTRACE",
    "SYS_CHROOT",
    "DAC_READ_SEARCH",
    "AUDIT_WRITE",
];

/// Files and processes of a container whose engine would raise the limits.
const LIMIT: u64 = 4096;

impl Engine {
    /// Why this engine cannot be used here, if so.
    pub(super) fn check_machine(&self, lab: &Lab) -> Result<(), Problem> {
        let program = self.program;
        if find(program).is_none() {
            return Err(Problem::error(
                "lab-no-engine",
                format!("`{program}` is not installed"),
                "Install it, or use another runtime: `namespace` needs no engine (as root or with sudo, on Linux).",
            ));
        }
        run(program, ["info"]).map_err(|problem| {
            Problem::error(
                "lab-no-engine",
                format!("{program} does not answer: {}", problem.summary),
                "Start its daemon, or see that you may speak to it (for Docker: the group `docker`, or sudo).",
            )
        })?;
        if lab.image.is_none() && find("sshd").is_none() {
            return Err(Problem::error(
                "lab-tool-missing",
                "containers run this machine's own sshd, and it has none",
                "Install the package openssh-server, or name an image that has sshd.",
            ));
        }
        Ok(())
    }

    fn name(&self, lab: &Lab, host: &HostRecord) -> String {
        format!("{}-{}", lab.interface(), host.label)
    }

    fn label(&self, lab: &Lab) -> String {
        format!("larder.lab={}", lab.id())
    }

    fn own_image(&self, lab: &Lab) -> String {
        format!("larder-lab:{}", lab.id())
    }

    /// One value out of what the engine knows of a container; `None` if there is no such container.
    fn inspect(&self, lab: &Lab, host: &HostRecord, what: &str) -> Result<Option<String>, Problem> {
        let name = self.name(lab, host);
        let filter = format!("name=^{name}$");
        let found = lab.run(self.program, ["ps", "--all", "--quiet", "--filter", &filter])?;
        if found.trim().is_empty() {
            return Ok(None);
        }
        lab.run(self.program, ["inspect", "--format", what, &name]).map(|text| Some(text.trim().to_owned()))
    }

    /// Makes the container of a host, not yet started, with its own files in it.
    fn create(&self, lab: &Lab, record: &Record, host: &HostRecord) -> Result<(), Problem> {
        let dir = host_dir(&lab.dir, host);
        fs::create_dir_all(&dir).map_err(|error| file_problem("make", &dir, &error))?;
        boot::log(&dir, "sshd.log")?;
        let tree = dir.join("tree");
        if tree.exists() {
            fs::remove_dir_all(&tree).map_err(|error| file_problem("remove", &tree, &error))?;
        }
        fs::create_dir_all(&tree).map_err(|error| file_problem("make", &tree, &error))?;
        super::write_tree(lab, record, host, &tree)?;

        let name = self.name(lab, host);
        let log = format!("type=bind,source={},target=/var/log/sshd.log", dir.join("sshd.log").display());
        let mut create = lab.command(self.program, ["create", "--name", &name, "--hostname", &host.label])?;
        create.args(["--label", &self.label(lab), "--publish", "127.0.0.1::22", "--tmpfs", "/run", "--mount", &log]);
        create.args(["--device-cgroup-rule", "a *:* rwm", "--security-opt", self.unmask]);
        if self.raises_limits {
            // Root may lack the right to raise them, so they are set to what is enough for a test and less than usual.
            for (name, resource) in [("nofile", Resource::Nofile), ("nproc", Resource::Nproc)] {
                let most = getrlimit(resource).maximum.map_or(LIMIT, |most| most.min(LIMIT));
                create.args(["--ulimit", &format!("{name}={most}:{most}")]);
            }
        }
        create.args(["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]);
        create.args(CAPABILITIES.iter().flat_map(|capability| ["--cap-add", capability]));
        let (image, sshd) = match &lab.image {
            Some(image) => (image.clone(), "/usr/sbin/sshd".into()),
            None => {
                create.args(["--mount", "type=bind,source=/usr,target=/usr,readonly"]);
                (self.own_image(lab), find("sshd").unwrap_or_else(|| "/usr/sbin/sshd".into()))
            }
        };
        create.args([&image, "/bin/sh", "-c", SCRIPT, "namespace.sh", "container"]).arg(sshd).arg("/var/log/sshd.log");
        create.args(&host.user);
        finish(create)?;

        // An image of the user's own keeps its /etc, but for what lets the lab's key in.
        let files: &[&str] = match lab.image {
            Some(_) => &["etc/ssh/sshd_config", "etc/ssh/ssh_host_ed25519_key", "root/.ssh"],
            None => &["etc/ssh", "etc/machine-id", "root/.ssh"],
        };
        let target = format!("{name}:/");
        self.send(&tree, files, &["cp", "-", &target])?;
        fs::remove_dir_all(&tree).map_err(|error| file_problem("remove", &tree, &error))
    }

    /// Gives files of a tree to the engine as an archive, with root as their owner.
    fn send(&self, tree: &Path, files: &[&str], words: &[&str]) -> Result<(), Problem> {
        let mut tar = command("tar", ["--numeric-owner", "--owner=0", "--group=0", "-C"]);
        tar.arg(tree).arg("-c").args(files).stdout(Stdio::piped());
        let mut packing = tar.spawn().map_err(|error| not_started(&tar, &error))?;
        let archive = packing.stdout.take().map_or_else(Stdio::null, Stdio::from);
        let mut sending = command(self.program, words);
        sending.stdin(archive);
        let sent = finish(sending);
        let packed = packing.wait().map_err(|error| not_started(&tar, &error))?;
        sent?;
        match packed.success() {
            true => Ok(()),
            false => Err(Problem::error(
                "lab-command-failed",
                format!("`tar` failed ({packed})"),
                "Look whether there is room in the directory of the lab, then run it again.",
            )),
        }
    }

    /// Makes the image of this lab, a root file system without programs.
    fn make_image(&self, lab: &Lab, record: &Record, host: &HostRecord) -> Result<(), Problem> {
        let image = self.own_image(lab);
        if lab.run(self.program, ["image", "inspect", &image]).is_ok() {
            return Ok(());
        }
        let tree = lab.dir.join("hosts/.image");
        if tree.exists() {
            fs::remove_dir_all(&tree).map_err(|error| file_problem("remove", &tree, &error))?;
        }
        fs::create_dir_all(&tree).map_err(|error| file_problem("make", &tree, &error))?;
        super::write_tree(lab, record, host, &tree)?;
        self.send(&tree, &["."], &["import", "-", &image])?;
        fs::remove_dir_all(&tree).map_err(|error| file_problem("remove", &tree, &error))
    }

    fn bring_up(&self, lab: &Lab, record: &Record, host: &HostRecord) -> Result<(), Problem> {
        if self.pid(lab, host)?.is_some() {
            return match &host.user {
                Some(user) => super::run_inside(self, lab, host, &["user", user]),
                None => Ok(()),
            };
        }
        // A container whose files are not in it yet is made anew; `tree` goes when all is in it.
        let half_made = host_dir(&lab.dir, host).join("tree").exists();
        if half_made || self.inspect(lab, host, "{{.Id}}")?.is_none() {
            // An error means that there is none.
            let _ = lab.run(self.program, ["rm", "--force", &self.name(lab, host)]);
            self.create(lab, record, host)?;
        }
        self.start(lab, record, host).map(drop)
    }

    fn port(&self, lab: &Lab, host: &HostRecord) -> Result<u16, Problem> {
        let text = lab.run(self.program, ["port", &self.name(lab, host), "22/tcp"])?;
        let port = text.lines().next().and_then(|line| line.trim().rsplit_once(':')?.1.parse().ok());
        port.ok_or_else(|| {
            let program = self.program;
            Problem::error(
                "lab-no-engine",
                format!("{program} tells no port of `{}`: {}", host.name, text.trim()),
                "Run `larder lab down`, then `larder lab up`.",
            )
        })
    }
}

impl Runs for Engine {
    fn up(&self, lab: &Lab, record: &mut Record, wanted: &[LabHost]) -> Result<(), Problem> {
        for host in &mut record.hosts {
            host.address = "127.0.0.1".to_owned();
        }
        let is_wanted = |host: &&HostRecord| wanted.iter().any(|wanted| wanted.name == host.name);
        let hosts: Vec<&HostRecord> = record.hosts.iter().filter(is_wanted).collect();
        if let (None, Some(host)) = (&lab.image, hosts.first()) {
            let dir = host_dir(&lab.dir, host);
            fs::create_dir_all(&dir).map_err(|error| file_problem("make", &dir, &error))?;
            self.make_image(lab, record, host)?;
        }
        each(&hosts, |host| self.bring_up(lab, record, host))?;
        for host in &mut record.hosts {
            if self.pid(lab, host)?.is_some() {
                host.port = Some(self.port(lab, host)?);
            }
        }
        Ok(())
    }

    fn start(&self, lab: &Lab, record: &Record, host: &HostRecord) -> Result<Option<u16>, Problem> {
        let dir = host_dir(&lab.dir, host);
        let before = boot::log(&dir, "sshd.log")?.metadata().map_or(0, |metadata| metadata.len());
        lab.run(self.program, ["start", &self.name(lab, host)])?;
        boot::wait(host, &dir, before, || Ok(self.pid(lab, host)?.is_some()))?;
        link_devices(lab, record, host)?;
        // As at any boot: what fstab says comes back, and a mount that fails does not keep the host from coming up.
        let argv = ["timeout", "60", "mount", "-a"].map(str::to_owned);
        super::exec(self, lab, host, &argv, b"")?;
        self.port(lab, host).map(Some)
    }

    fn stop(&self, lab: &Lab, host: &HostRecord) -> Result<(), Problem> {
        let Some(pid) = self.pid(lab, host)? else { return Ok(()) };
        // Only root may look into the container's mounts, and only root could have made loop devices there.
        let ours = match loops::private_file_systems(pid) {
            Ok(private) => loops::belonging(&loops::attached(lab)?, &host_dir(&lab.dir, host), &private),
            Err(_) => Vec::new(),
        };
        lab.run(self.program, ["kill", &self.name(lab, host)])?;
        lab.run(self.program, ["wait", &self.name(lab, host)])?;
        loops::detach(lab, &ours)
    }

    fn down(&self, lab: &Lab, record: &Record) -> Result<(), Problem> {
        let hosts: Vec<&HostRecord> = record.hosts.iter().collect();
        each(&hosts, |host| self.stop(lab, host))?;
        let filter = format!("label={}", self.label(lab));
        let containers = lab.run(self.program, ["ps", "--all", "--quiet", "--filter", &filter])?;
        for container in containers.split_whitespace() {
            lab.run(self.program, ["rm", "--force", "--volumes", container])?;
        }
        let image = self.own_image(lab);
        if lab.run(self.program, ["image", "inspect", &image]).is_ok() {
            lab.run(self.program, ["rmi", &image])?;
        }
        loops::detach(lab, &loops::belonging(&loops::attached(lab)?, &lab.dir, &Default::default()))
    }

    fn pid(&self, lab: &Lab, host: &HostRecord) -> Result<Option<i32>, Problem> {
        let pid = self.inspect(lab, host, "{{.State.Pid}}")?;
        Ok(pid.and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 0))
    }

    fn inside(&self, lab: &Lab, host: &HostRecord) -> Result<Command, Problem> {
        self.pid(lab, host)?.ok_or_else(|| is_down(host))?;
        Ok(command(self.program, ["exec", "--interactive", &self.name(lab, host)]))
    }
}
