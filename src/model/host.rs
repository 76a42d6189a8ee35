//! A host: its name in the configuration, how it is reached, and what reaching it gave.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The name of a `host` block (with its key where it has one), by which everything speaks of the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostName(pub String);

impl HostName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for HostName {
    fn from(name: &str) -> Self {
        HostName(name.to_owned())
    }
}

/// How the machine is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// By SSH; what is not given here comes from the user's ssh_config.
    Ssh(Ssh),
    /// This machine, without SSH.
    Local,
}

/// The words of an SSH connection. Paths are those of the workstation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ssh {
    /// Host name, IP address or alias in ssh_config.
    pub address: String,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub identity_file: Option<String>,
    pub ssh_config: Option<String>,
    pub known_hosts: Option<String>,
    pub jump: Option<String>,
}

/// Everything that is needed to open a session on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    pub reach: Reach,
    /// Run the remote shell through `sudo -n`.
    #[serde(rename = "sudo")]
    pub becomes_root: bool,
    pub connect_timeout: Duration,
}
