//! `host`: a machine, reached by SSH or the machine itself. It does nothing on the hosts; it gives facts.
//!
//! ```hcl
//! host "hv1" {
//!   address = "10.0.0.11"
//!   labels  = { rack = "a" }
//! }
//! ```

use std::time::Duration;

use crate::model::block::Attributes;
use crate::model::host::Ssh;
use crate::model::{Address, Block, Blocks, Connection, Datum, HostName, Problem, Problems, Reach};

use super::Kind;
use super::schema::{AttributeSchema as A, Schema, Type};

#[derive(Debug)]
pub struct Host;

/// The word of the configuration, for those who evaluate hosts before anything else.
pub const NAME: &str = "host";

static SCHEMA: Schema = Schema {
    doc: "A machine that is reached by SSH, or this machine.",
    attributes: &[
        A::optional(
            "address",
            Type::Text,
            "Host name, IP address or alias in ssh_config; not with connection = \"local\".",
        ),
        A::optional("connection", Type::Text, "How it is reached; default \"ssh\".").one_of(&["ssh", "local"]),
        A::optional("port", Type::Integer, "TCP port of sshd; default: what ssh_config says, else 22."),
        A::optional("user", Type::Text, "User to log in as; default: what ssh_config says."),
        A::optional("identity_file", Type::File, "Private key, relative to the module; default: ssh's own."),
        A::optional("ssh_config", Type::File, "Used instead of ~/.ssh/config."),
        A::optional(
            "known_hosts",
            Type::File,
            "Used instead of ~/.ssh/known_hosts. An unknown or changed host key is always refused.",
        ),
        A::optional("jump", Type::Text, "Jump host, USER@HOST:PORT."),
        A::optional("become", Type::Text, "Run the remote shell through `sudo -n`.").one_of(&["sudo"]),
        A::optional("connect_timeout", Type::Duration, "How long to wait for a connection; default \"10s\"."),
        A::optional("labels", Type::Any, "Anything by which the configuration wants to choose hosts."),
    ],
    blocks: &[],
};

impl Kind for Host {
    fn name(&self) -> &'static str {
        NAME
    }

    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn complete(&self, block: &mut Block, _all: &Blocks) -> Problems {
        let mut problems = Problems::new();
        block.default_to("connection", Datum::text("ssh"));
        block.default_to("connect_timeout", Datum::Duration(10_000));
        let is_local = block.text("connection") == Some("local");
        match (block.attributes.contains_key("address"), is_local) {
            (false, false) if !block.is_unknown("connection") => problems.push(
                Problem::error(
                    "missing-attribute",
                    format!("{} has no address", block.address),
                    "Add `address = \"10.0.0.11\"`, or `connection = \"local\"` for this machine.",
                )
                .at(block.place.as_deref()),
            ),
            (true, true) => problems.push(
                Problem::error(
                    "conflicting-attributes",
                    format!("{} has an address and is local", block.address),
                    "Remove one of `address` and `connection = \"local\"`.",
                )
                .at(block.place_of("address")),
            ),
            _ => {}
        }
        // ssh would read a leading dash as an option, and a newline would end a line of its configuration.
        for name in ["address", "user", "jump", "identity_file", "ssh_config", "known_hosts"] {
            let Some(text) = block.text(name) else { continue };
            if text.is_empty()
                || text.starts_with('-')
                || text.chars().any(|c| {
                    c.is_control()
                        || (c.is_whitespace()
                            && name != "identity_file"
                            && !name.contains("config")
                            && !name.contains("known"))
                })
            {
                problems.push(
                    Problem::error(
                        "invalid-value",
                        format!("{text:?} is no {name}"),
                        "It is empty, begins with a dash, or holds white space or a control character.",
                    )
                    .at(block.place_of(name)),
                );
            }
        }
        if let Some(port) = block.integer("port").filter(|port| !(1..=65535).contains(port)) {
            problems.push(
                Problem::error(
                    "invalid-value",
                    format!("{port} is no TCP port"),
                    "A port is a number from 1 to 65535.",
                )
                .at(block.place_of("port")),
            );
        }
        problems
    }

    fn hosts(&self, _block: &Block, _all: &Blocks) -> Vec<HostName> {
        Vec::new()
    }
}

/// A host that stands twice in `hosts`.
pub(super) fn named_twice(block: &Block) -> Option<Problem> {
    let hosts = block.resources("hosts");
    let (_, twice) = hosts.iter().enumerate().find(|(at, one)| hosts[..*at].contains(one))?;
    let problem = Problem::error("duplicate-host", format!("{twice} is a member twice"), "Name each host once.");
    Some(problem.at(block.place_of("hosts")))
}

/// The name by which everything speaks of a host.
pub fn name_of(address: &Address) -> HostName {
    let own = address.default_name();
    match address.module.is_empty() {
        true => HostName(own),
        false => HostName(address.module.iter().map(|step| format!("{}.", step.name)).collect::<String>() + &own),
    }
}

/// How a host block says that the machine is reached.
pub fn connection(block: &Block) -> Connection {
    let text = |name: &str| block.text(name).map(str::to_owned);
    let reach = match block.text("connection") {
        Some("local") => Reach::Local,
        _ => Reach::Ssh(Ssh {
            address: text("address").unwrap_or_default(),
            port: block.integer("port").and_then(|port| u16::try_from(port).ok()),
            user: text("user"),
            identity_file: text("identity_file"),
            ssh_config: text("ssh_config"),
            known_hosts: text("known_hosts"),
            jump: text("jump"),
        }),
    };
    Connection {
        reach,
        becomes_root: block.text("become") == Some("sudo"),
        connect_timeout: Duration::from_millis(block.duration("connect_timeout").unwrap_or(10_000)),
    }
}
