//! `larder lab`: throwaway container hosts for a configuration.

use std::path::Path;
use std::process::Stdio;

use crate::cli::{Global, LabCommand};
use crate::kinds::host;
use crate::lab::{Lab, LabHost, Runtime};
use crate::model::block::Attributes;
use crate::model::{HostName, Problem};

use super::terminal::Terminal;
use super::workspace::{directory, lab_directory};
use super::{Exit, Failure, Outcome, Workspace};

pub(super) async fn run(global: &Global, command: &LabCommand, terminal: &Terminal) -> Outcome {
    let lab = Lab::at(lab_directory(&directory(global)));
    match command {
        LabCommand::Up { variables, runtime } => {
            let workspace = Workspace::open(global, variables)?;
            let hosts: Vec<_> = workspace
                .desired
                .blocks
                .values()
                .filter(|block| block.address.is(host::NAME))
                .map(|block| LabHost {
                    name: host::name_of(&block.address),
                    user: block.text("user").map(str::to_owned),
                })
                .collect();
            if hosts.is_empty() {
                return Err(Problem::error(
                    "no-hosts",
                    "the configuration has no host",
                    "Add host blocks; the lab starts a container host for each.",
                )
                .into());
            }
            let runtime: Runtime = runtime.parse().map_err(|problem| Failure::new(Exit::Usage, problem))?;
            ignored(&directory(global).join(".larder"))?;
            for running in lab.up(&hosts, runtime).await? {
                terminal.say(&format!("{}  {}  up", running.name, running.address));
            }
            let left = lab.list().await?.into_iter().map(|one| one.name);
            let left: Vec<_> = left.filter(|name| !hosts.iter().any(|host| host.name == *name)).collect();
            if !left.is_empty() {
                let names = left.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                terminal.hint(&format!(
                    "Not in the configuration any more, and left as they are, for a plan may have to take away what is there: {names}. \
                     `larder lab down` removes all."
                ));
            }
            terminal.hint("Add -lab to any command to work with these hosts.");
        }
        LabCommand::Down => {
            lab.down().await?;
            terminal.say("The lab is down.");
        }
        LabCommand::List { .. } => {
            let all = lab.list().await?;
            if terminal.is_json() {
                let hosts = all.iter().map(|one| serde_json::json!({ "name": one.name, "address": one.address, "port": one.port, "runtime": one.runtime.to_string(), "up": one.is_up }));
                terminal.json(&serde_json::json!({ "hosts": hosts.collect::<Vec<_>>() }));
            } else {
                if all.is_empty() {
                    terminal.hint("There is no lab here: `larder lab up` starts a container host for each host block.");
                }
                for one in all {
                    terminal.say(&format!(
                        "{}  {}  {}  {}",
                        one.name,
                        one.address,
                        one.runtime,
                        if one.is_up { "up" } else { "down" }
                    ));
                }
            }
        }
        LabCommand::Ssh { host, command } => return ssh(&lab, host, command),
    }
    Ok(Exit::Done)
}

/// Keeps the lab, which holds a private key, out of version control.
fn ignored(own: &Path) -> Result<(), Problem> {
    let path = own.join(".gitignore");
    let written = std::fs::create_dir_all(own).and_then(|()| match path.try_exists()? {
        true => Ok(()),
        false => std::fs::write(&path, "*\n"),
    });
    written.map_err(|error| {
        Problem::error(
            "lab-file",
            format!("{} cannot be written: {error}", path.display()),
            "The lab keeps what it needs beside the configuration. Run where you may write.",
        )
    })
}

fn ssh(lab: &Lab, host: &str, command: &[String]) -> Outcome {
    if lab.connection(&HostName::from(host), None).is_none() {
        return Err(Problem::error(
            "lab-no-such-host",
            format!("the lab has no host {host:?}"),
            "`larder lab list` shows those that are up; `larder lab up` starts them.",
        )
        .into());
    }
    let failed = |error: &dyn std::fmt::Display| {
        Failure::from(Problem::error(
            "lab-command-failed",
            "ssh could not be started",
            format!("{error}. Install openssh-client."),
        ))
    };
    let status = std::process::Command::new("ssh")
        .arg("-F")
        .arg(lab.ssh_config())
        .arg("--")
        .arg(host)
        .args(command)
        .stdin(Stdio::inherit())
        .status()
        .map_err(|error| failed(&error))?;
    match status.code() {
        Some(0) => Ok(Exit::Done),
        code => std::process::exit(code.unwrap_or(1)),
    }
}
