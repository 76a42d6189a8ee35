//! A site of hosts with a configuration, on which tests run the built binary as an administrator would: container hosts, or
//! virtual machines where a real kernel is needed.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)] // each test binary uses its own part

pub mod machines;
mod media;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use larder::lab::{Lab, LabHost, Runtime};
use larder::model::HostName;
use serde_json::Value;

use machines::Machines;

/// A directory with a configuration, and a running host for each name.
pub struct Site {
    directory: tempfile::TempDir,
    hosts: Hosts,
}

/// What the hosts of a site are made of.
enum Hosts {
    Containers { lab: Lab, runtime: tokio::runtime::Runtime },
    Machines(Machines),
}

/// How a run of the binary ended.
#[derive(Debug)]
pub struct Run {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    #[track_caller]
    pub fn expect(self, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.out, self.err))
    }

    /// Whether the text stands in what was printed, on either stream.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.out.contains(text) || self.err.contains(text),
            "no {text:?} in stdout:\n{}\nstderr:\n{}",
            self.out,
            self.err
        );
        self
    }
}

/// A `host` block for each name; the lab replaces the address.
pub fn hosts(names: &[&str]) -> String {
    names.iter().map(|name| format!("host \"{name}\" {{\n  address = \"192.0.2.1\"\n}}\n")).collect()
}

/// Hosts and an image storage `main` over all of them, whose volumes belong to the qemu user.
pub fn storage(names: &[&str]) -> String {
    let members = names.iter().map(|name| format!("host.{name}")).collect::<Vec<_>>().join(", ");
    format!(
        "{}image_storage \"main\" {{\n  hosts = [{members}]\n  owner = \"libvirt-qemu\"\n  group = \"kvm\"\n  mode  = \"0770\"\n}}\n",
        hosts(names)
    )
}

impl Site {
    /// Starts the hosts. Needs root: container hosts are made of namespaces and mounts.
    #[track_caller]
    pub fn up(names: &[&str]) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "tests on container hosts need root: run `make test`, which uses sudo"
        );
        let directory = tempfile::Builder::new().prefix("larder-test-").tempdir().expect("a directory");
        let lab = Lab::at(directory.path().join(".larder/lab"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let hosts: Vec<_> = names.iter().map(|name| LabHost { name: HostName::from(*name), user: None }).collect();
        runtime.block_on(lab.up(&hosts, Runtime::Namespace)).unwrap_or_else(|problem| panic!("{problem}"));
        Site { directory, hosts: Hosts::Containers { lab, runtime } }
    }

    /// Starts virtual machines.
    #[track_caller]
    pub fn of_machines(names: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("larder-test-").tempdir().expect("a directory");
        Site { directory, hosts: Hosts::Machines(Machines::up(names)) }
    }

    /// The virtual machines of this site.
    pub fn machines(&self) -> &Machines {
        match &self.hosts {
            Hosts::Machines(machines) => machines,
            Hosts::Containers { .. } => panic!("a site of container hosts"),
        }
    }

    fn containers(&self) -> (&Lab, &tokio::runtime::Runtime) {
        match &self.hosts {
            Hosts::Containers { lab, runtime } => (lab, runtime),
            Hosts::Machines(_) => panic!("a site of virtual machines"),
        }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn state(&self) -> PathBuf {
        self.path().join("state/larder.state.json")
    }

    pub fn lab(&self) -> &Lab {
        self.containers().0
    }

    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.containers().1.block_on(future)
    }

    /// Replaces the configuration.
    pub fn write(&self, configuration: &str) -> &Self {
        std::fs::write(self.path().join("main.hcl"), configuration).expect("a file");
        self
    }

    /// The command that runs the binary on the hosts, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.current_dir(self.path()).env("NO_COLOR", "1").stdin(Stdio::null());
        if let Hosts::Containers { .. } = self.hosts {
            command.arg("-lab");
        }
        command.args(arguments);
        command
    }

    pub fn larder(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().expect("the binary runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Run { exit: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// `plan -json`, whatever its exit code.
    #[track_caller]
    pub fn plan(&self) -> Value {
        self.larder(&["plan", "-json"]).json()
    }

    /// `apply -auto-approve`, which must succeed, and a second plan, which must be empty.
    #[track_caller]
    pub fn apply(&self) -> Run {
        let run = self.larder(&["apply", "-auto-approve"]).expect(0);
        self.assert_settled();
        run
    }

    /// A plan that changes nothing.
    #[track_caller]
    pub fn assert_settled(&self) {
        let run = self.larder(&["plan", "-json", "-detailed-exitcode"]).expect(0);
        let plan = run.json();
        assert_eq!(plan["steps"], Value::Array(Vec::new()), "{plan:#}");
        assert_eq!(plan["complete"], Value::Bool(true), "{plan:#}");
    }

    /// Runs a command on a host, past Larder.
    pub fn try_on(&self, host: &str, argv: &[&str]) -> Output {
        match &self.hosts {
            Hosts::Containers { lab, runtime } => {
                runtime.block_on(lab.exec(&HostName::from(host), argv)).unwrap_or_else(|problem| panic!("{problem}"))
            }
            Hosts::Machines(machines) => machines.run(host, argv),
        }
    }

    /// Runs a command on a host, which must succeed; gives what it printed.
    #[track_caller]
    pub fn on(&self, host: &str, argv: &[&str]) -> String {
        let output = self.try_on(host, argv);
        assert!(output.status.success(), "{argv:?} on {host}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a line of shell on a host, which must succeed.
    #[track_caller]
    pub fn sh(&self, host: &str, script: &str) -> String {
        self.on(host, &["sh", "-c", script])
    }

    /// Everything that Larder could leave behind: /etc with its contents, mounts, and type, owner, mode and attributes of what
    /// lies in the usual places.
    #[track_caller]
    pub fn snapshot(&self, host: &str) -> BTreeMap<String, String> {
        let ask = |name: &str, script: &str| (name.to_owned(), self.sh(host, script));
        [
            ask("etc", "cd /etc && find . -type f -exec sha256sum {} + | sort -k2"),
            ask("mounts", "cut -d' ' -f4- /proc/self/mountinfo | sed 's/ shared:[0-9]*//; s/ master:[0-9]*//' | sort"),
            ask("tree", "find /etc /srv /mnt /data /home /var/lib/larder /root -xdev -printf '%p %y %U:%G %m\\n' 2>/dev/null | sort"),
            ask("attributes", "lsattr -d /srv /srv/* /mnt /data 2>/dev/null | sort -k2; true"),
        ]
        .into()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A lab that cannot be taken down says so; the test's own failure matters more.
        if let Hosts::Containers { lab, runtime } = &self.hosts
            && let Err(problem) = runtime.block_on(lab.down())
        {
            eprintln!("{problem}");
        }
    }
}

/// All regular files below a directory of the workstation.
pub fn walk(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory").flatten();
    let files = entries.flat_map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => walk(&entry.path()),
        Ok(kind) if kind.is_file() => vec![entry.path()],
        _ => Vec::new(),
    });
    files.collect()
}

/// The change of one address in a plan.
#[track_caller]
pub fn change<'a>(plan: &'a Value, address: &str) -> &'a Value {
    let changes = plan["changes"].as_array().expect("changes");
    changes
        .iter()
        .find(|change| change["address"] == address)
        .unwrap_or_else(|| panic!("no change of {address} in {plan:#}"))
}

/// The actions of the steps at one address and host, in order.
pub fn actions(plan: &Value, address: &str, host: &str) -> Vec<String> {
    let steps = plan["steps"].as_array().expect("steps");
    let of = steps.iter().filter(|step| step["address"] == address && step["host"] == host);
    of.map(|step| step["action"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The codes of all hazards of a plan.
pub fn hazards(plan: &Value) -> Vec<String> {
    let all = plan["hazards"].as_array().expect("hazards");
    all.iter().map(|hazard| hazard["code"].as_str().unwrap_or_default().to_owned()).collect()
}

impl Site {
    /// Plans, carries the plan out, and holds the steps that were run against those that were planned; a second plan must be
    /// empty. Gives the plan.
    #[track_caller]
    pub fn apply_exactly(&self) -> Value {
        self.apply_exactly_with(&[])
    }

    /// The same with further options of `apply`, `-accept` for example.
    #[track_caller]
    pub fn apply_exactly_with(&self, options: &[&str]) -> Value {
        let plan = self.plan();
        let run = self.larder(&[&["apply", "-auto-approve", "-json"], options].concat()).expect(0);
        assert_eq!(executed(&run.out), planned(&plan), "{}\n{}", run.out, run.err);
        self.assert_settled();
        plan
    }

    /// A plan that must be refused, and an apply of it that must be refused too. Gives the plan.
    #[track_caller]
    pub fn refused(&self) -> Value {
        let plan = self.larder(&["plan", "-json"]).expect(6).json();
        self.larder(&["apply", "-auto-approve"]).expect(6);
        plan
    }
}

/// The ids of a plan's steps, sorted.
pub fn planned(plan: &Value) -> Vec<String> {
    let steps = plan["steps"].as_array().expect("steps");
    let mut ids: Vec<_> = steps.iter().map(|step| step["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort();
    ids
}

/// The ids of the steps that `apply -json` says were done, sorted.
#[track_caller]
pub fn executed(stream: &str) -> Vec<String> {
    let values = serde_json::Deserializer::from_str(stream).into_iter::<Value>();
    let values = values.map(|value| value.unwrap_or_else(|error| panic!("{error}:\n{stream}")));
    let ended = values.filter(|value| value["event"] == "step-ended");
    let mut ids: Vec<_> = ended
        .map(|event| {
            assert_eq!(event["result"], "done", "{event}");
            event["id"].as_str().expect("an id").to_owned()
        })
        .collect();
    ids.sort();
    ids
}

/// The hazard of an address with that code; there must be exactly one on the host.
#[track_caller]
pub fn hazard<'a>(plan: &'a Value, code: &str, address: &str) -> &'a Value {
    let all = plan["hazards"].as_array().expect("hazards");
    let found: Vec<_> = all.iter().filter(|one| one["code"] == code && one["address"] == address).collect();
    assert_eq!(found.len(), 1, "{code} at {address} in {all:#?}");
    found[0]
}

/// Holds a hazard against its code, the host, and words of its message and its cure.
#[track_caller]
pub fn assert_hazard(plan: &Value, code: &str, address: &str, host: &str, message: &[&str], cure: &str) {
    let hazard = hazard(plan, code, address);
    assert_eq!(hazard["host"], host, "{hazard:#}");
    for words in message {
        assert!(hazard["message"].as_str().expect("a message").contains(words), "no {words:?} in {hazard:#}");
    }
    assert!(hazard["cure"].as_str().expect("a cure").contains(cure), "no {cure:?} in {hazard:#}");
}

/// The lines that a plan adds to a file of a host and takes out of it, without the signs.
#[track_caller]
pub fn edits(plan: &Value, host: &str, path: &str) -> (Vec<String>, Vec<String>) {
    let files = plan["files"].as_array().expect("files");
    let mut of = files.iter().filter(|file| file["host"] == host && file["path"] == path);
    let Some(file) = of.next() else { return (Vec::new(), Vec::new()) };
    assert!(of.next().is_none(), "one diff a file");
    let diff = file["diff"].as_str().expect("a diff");
    let lines = |sign: char, header: &str| {
        let all = diff.lines().filter(|line| !line.starts_with(header));
        all.filter_map(|line| Some(line.strip_prefix(sign)?.to_owned())).collect()
    };
    (lines('+', "+++"), lines('-', "---"))
}
