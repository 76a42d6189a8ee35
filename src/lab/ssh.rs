//! What `ssh` needs to reach the hosts of a lab: one key pair, known hosts, and a configuration that asks nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::run::file_problem;
use super::{HostRecord, Lab, Record};
use crate::model::Problem;

/// Makes a key pair without passphrase at `path` and `path.pub`, unless it is there.
pub(super) fn make_key(lab: &Lab, path: &Path, comment: &str) -> Result<(), Problem> {
    // The public half is written last, so its presence says that both are whole.
    if path.with_extension("pub").exists() {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(file_problem("remove", path, &error));
        }
        _ => {}
    }
    let words = ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"].map(AsRef::as_ref);
    lab.run("ssh-keygen", words.into_iter().chain([path.as_os_str()])).map(drop)
}

/// The text of a key file.
pub(super) fn read_key(path: &Path) -> Result<String, Problem> {
    fs::read_to_string(path).map_err(|error| file_problem("read", path, &error))
}

/// Writes `ssh_config` and `known_hosts` for all hosts of the record.
pub(super) fn write_config(dir: &Path, record: &Record) -> Result<(), Problem> {
    let mut known_hosts = String::new();
    for host in &record.hosts {
        let key = read_key(&super::host_dir(dir, host).join("host_key.pub"))?;
        let key: Vec<_> = key.split_whitespace().take(2).collect();
        let names = match host.port {
            Some(port) => format!("[{}]:{port}", host.address),
            None => host.address.clone(),
        };
        known_hosts.push_str(&format!("{names} {}\n", key.join(" ")));
    }
    write(&dir.join("known_hosts"), &known_hosts)?;
    write(&dir.join("ssh_config"), &config(dir, &record.hosts))
}

fn config(dir: &Path, hosts: &[HostRecord]) -> String {
    let mut text = String::from("# Hosts of a Larder lab; rewritten by every `larder lab up`.\n");
    for host in hosts {
        text.push_str(&format!("\nHost {}\n  HostName {}\n", aliases(host), host.address));
        if let Some(port) = host.port {
            text.push_str(&format!("  Port {port}\n"));
        }
        text.push_str(&format!("  User {}\n", host.user.as_deref().unwrap_or("root")));
        text.push_str(&format!("  IdentityFile {}\n", quoted(&dir.join("id_ed25519"))));
        text.push_str(&format!("  UserKnownHostsFile {}\n", quoted(&dir.join("known_hosts"))));
        text.push_str(
            "  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  IdentitiesOnly yes\n  IdentityAgent none\n  LogLevel ERROR\n",
        );
    }
    text
}

/// The host's label and, where it differs and a pattern can say it, the name of its block.
fn aliases(host: &HostRecord) -> String {
    let name = host.name.as_str();
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || "-_.[]".contains(c));
    match name != host.label && is_plain {
        true => format!("{} {name}", host.label),
        false => host.label.clone(),
    }
}

/// A path as ssh_config reads it: in quotes, percent signs doubled. `Lab` refuses directories that cannot be written so.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

fn write(path: &Path, text: &str) -> Result<(), Problem> {
    fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o644)))
        .map_err(|error| file_problem("write", path, &error))
}
