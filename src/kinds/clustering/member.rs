//! One host of a cluster: its files, its service, and what its kernel knows.

use super::*;
use crate::kinds::ask::samba;
use crate::kinds::verdict::{Difference, Draft, Edit, Remedy};
use crate::model::{Command, Guard, HostFacts};

/// Everything that is known of one host, and what it is to be.
pub(super) struct Look<'a> {
    pub(super) address: &'a Address,
    pub(super) host: &'a HostName,
    pub(super) wanted: &'a Wanted,
    /// All nodes, by number.
    pub(super) nodes: &'a [Node],
    pub(super) said: &'a Said,
    pub(super) leavers: &'a [leave::Leaver],
}

impl Look<'_> {
    pub(super) fn hazard(&self, code: HazardCode, message: String, cure: impl Into<String>) -> Hazard {
        hazard(code, self.address, self.host, message, cure)
    }

    fn name(&self) -> &str {
        &self.wanted.name
    }

    pub(super) fn judge(&self, is_any_online: bool) -> Verdict {
        let mut verdict = Verdict::default();
        let online = self.said.online(self.name());
        if self.said.cluster.is_some() || online.is_some() {
            verdict.standing = Standing::Present;
        }
        self.observe(&mut verdict);
        verdict.hazards.extend(self.obstacles());
        if !verdict.hazards.is_empty() {
            return verdict;
        }
        verdict.hazards.extend(self.findings());
        self.judge_settings(&mut verdict);
        self.judge_service(&mut verdict);
        // Behind what the kernel has taken over, nothing can fail that would take the file back.
        self.judge_conf(&mut verdict);
        match online {
            Some(online) => self.judge_kernel(&mut verdict, online),
            None => self.start(&mut verdict),
        }
        // Those that are online are told of a newcomer before it comes.
        if online.is_none() && is_any_online {
            verdict.drafts_mut().for_each(|draft| draft.stage = 1);
        }
        verdict
    }

    fn observe(&self, verdict: &mut Verdict) {
        let own = self.nodes.iter().find(|node| node.name == self.said.short);
        if let Some(node) = own {
            verdict.memory.insert("node".to_owned(), node.name.clone());
            verdict.memory.insert("number".to_owned(), node.number.to_string());
        }
        if let Some(cluster) = &self.said.cluster {
            verdict.observed.insert("nodes".to_owned(), shown(&cluster.nodes));
        }
        let state = if self.said.online(self.name()).is_some() { "online" } else { "offline" };
        verdict.observed.insert("cluster".to_owned(), state.to_owned());
    }

    /// What must be mended by hand before anything is done here.
    fn obstacles(&self) -> Vec<Hazard> {
        let mut all = Vec::new();
        let (host, name, o2cb) = (self.host, self.name(), &self.said.o2cb);
        let mut refuse = |code, message: String, cure: String| all.push(self.hazard(code, message, cure));
        if self.said.ground.system.uid != 0 {
            refuse(
                HazardCode::Unsupported,
                format!("Larder is not root on {host}"),
                "Log in as root, or set become = \"sudo\" in the host block.".to_owned(),
            );
        }
        if !o2cb.programs.contains("o2cb") || !o2cb.programs.contains("mount.ocfs2") {
            refuse(HazardCode::Unsupported, format!("{host} has no o2cb"), format!("Install {} there.", O2cb::PACKAGE));
        }
        if !["ocfs2", "ocfs2_stack_o2cb"].iter().all(|module| o2cb.modules.contains(*module)) {
            refuse(
                HazardCode::Unsupported,
                format!("the kernel of {host} ({}) has no OCFS2", self.said.ground.system.kernel),
                "Boot a kernel with the modules ocfs2 and ocfs2_stack_o2cb: Debian's cloud kernel has none, Ubuntu has them in linux-modules-extra.".to_owned(),
            );
        }
        if o2cb.unit != "loaded" {
            let what =
                if o2cb.unit.is_empty() { "no systemd runs there".to_owned() } else { format!("it is {}", o2cb.unit) };
            refuse(
                HazardCode::Unsupported,
                format!("nothing starts the cluster on {host} at boot: of o2cb.service {what}"),
                format!("Install {} there, or unmask the unit (`systemctl unmask o2cb`).", O2cb::PACKAGE),
            );
        }
        if let Some(other) = o2cb.online.keys().find(|other| *other != name) {
            refuse(
                HazardCode::Foreign,
                format!("the cluster {other} is online on {host}, and a host is in one cluster only"),
                format!(
                    "If that is the cluster that you mean, set name = \"{other}\". Else unmount what is of it, take it offline (`/etc/init.d/o2cb offline {other}`), and plan again."
                ),
            );
        } else if let Some(other) = self.other_at_boot() {
            refuse(
                HazardCode::Foreign,
                format!("{host} brings the cluster {other} online at boot ({})", o2cb.settings),
                format!(
                    "If that is the cluster that you mean, set name = \"{other}\". Else set O2CB_ENABLED=false there."
                ),
            );
        }
        let own = self.nodes.iter().find(|node| node.name == self.said.short);
        if let Some(node) = own.filter(|node| !o2cb.addresses.is_empty() && !o2cb.addresses.contains(&node.address)) {
            refuse(
                HazardCode::Unsupported,
                format!("{host} does not have the address {}", node.address),
                format!(
                    "It has {}. Write the one that the other nodes reach into `addresses`.",
                    o2cb.addresses.iter().filter(|one| *one != "127.0.0.1").cloned().collect::<Vec<_>>().join(", ")
                ),
            );
        }
        let is_global = self.said.cluster.as_ref().is_some_and(|one| one.heartbeat == "global" || one.regions > 0);
        if is_global {
            refuse(
                HazardCode::Unsupported,
                format!("the cluster {name} on {host} has a global heartbeat, which Larder does not manage"),
                "Use another cluster, or change its mode while it is offline everywhere (`o2cb heartbeat-mode`)."
                    .to_owned(),
            );
        }
        let of_file = self.said.cluster.iter().flat_map(|cluster| &cluster.nodes);
        let of_kernel = self.said.online(name).into_iter().flat_map(|online| &online.nodes);
        let is_known = |node: &Node| {
            self.nodes.iter().any(|one| one.name == node.name) || self.leavers.iter().any(|one| one.node == node.name)
        };
        if let Some(node) = of_file.chain(of_kernel).find(|node| !is_known(node)) {
            refuse(
                HazardCode::Foreign,
                format!(
                    "{host} knows {} ({}) as a node of {name}, and the configuration does not",
                    node.name, node.address
                ),
                format!(
                    "Add its host to `nodes`. If it is gone for good, take it out on each node: `o2cb remove-node {name} {}`, then `o2cb register-cluster {name}`.",
                    node.name
                ),
            );
        }
        all
    }

    /// The cluster that the service brings online at boot, if that is another one that exists, or another stack.
    fn other_at_boot(&self) -> Option<String> {
        let text = self.said.settings.as_deref()?;
        let get = |name: &str| o2cb::setting(text, name).unwrap_or_default();
        if get("O2CB_ENABLED") != "true" {
            return None;
        }
        if !matches!(get("O2CB_STACK"), "" | "o2cb") {
            return Some(format!("of the stack {}", get("O2CB_STACK")));
        }
        let other = get("O2CB_BOOTCLUSTER");
        (other != self.name() && self.said.conf.names().contains(&other)).then(|| other.to_owned())
    }

    fn judge_conf(&self, verdict: &mut Verdict) {
        let have = self.said.cluster.as_ref();
        let (before, after) = (&self.said.conf.text, self.conf_after());
        if *before == after {
            return;
        }
        let summary = match have {
            None => format!(
                "write the cluster {} with its {} nodes into {}",
                self.name(),
                self.nodes.len(),
                cluster_conf::PATH
            ),
            Some(_) => format!("change the nodes of {} in {}", self.name(), cluster_conf::PATH),
        };
        let draft = self.write("cluster-conf", summary, cluster_conf::PATH, before, &after).rolling_back();
        verdict.differences.push(Difference::new(
            "nodes",
            have.map_or_else(|| "absent".to_owned(), |have| shown(&have.nodes)),
            shown(self.nodes),
            Remedy::Run(vec![draft]),
        ));
    }

    /// The text of cluster.conf when the plan has run.
    fn conf_after(&self) -> String {
        let is_same = self.said.cluster.as_ref().is_some_and(|have| {
            have.nodes == self.nodes && have.heartbeat == "local" && have.node_count == self.nodes.len().to_string()
        });
        match is_same {
            true => self.said.conf.text.clone(),
            false => self.said.conf.with(self.name(), Some(self.nodes)),
        }
    }

    /// Holds while cluster.conf says what was planned: the kernel is given whatever it says.
    fn conf_guard(&self) -> Guard {
        samba::unchanged(cluster_conf::PATH, Some(&self.conf_after()))
    }

    /// Replaces a file of the cluster stack as a whole.
    pub(super) fn write(&self, action: &'static str, summary: String, path: &str, before: &str, after: &str) -> Draft {
        write(action, summary, path, before, after)
    }

    /// What the kernel knows of a cluster that is online. It takes nodes in and lets them go; what a node or the cluster is, it
    /// changes only while it is offline (o2cb(7)).
    fn judge_kernel(&self, verdict: &mut Verdict, online: &Online) {
        let mut fixed = Vec::new();
        for node in self.nodes {
            let Some(have) = online.nodes.iter().find(|one| one.name == node.name) else { continue };
            if have.number != node.number {
                fixed.push(format!("{} is node {}, not {}", node.name, have.number, node.number));
            }
            if (&have.address, have.port) != (&node.address, node.port) {
                fixed.push(format!(
                    "{} is at {}:{}, not {}:{}",
                    node.name, have.address, have.port, node.address, node.port
                ));
            }
        }
        for (value, word, wanted) in self.wanted.values() {
            if let Some(have) = online.values.get(value).filter(|have| **have != wanted.to_string()) {
                fixed.push(format!("{word} is {have}, not {wanted}"));
            }
        }
        if let Some(mode) = online.values.get("heartbeat/mode").filter(|mode| *mode != "local") {
            fixed.push(format!("the heartbeat is {mode}, not local"));
        }
        if !fixed.is_empty() {
            let mounted: Vec<_> = self.said.mounts().collect();
            let first =
                if mounted.is_empty() { String::new() } else { format!("unmount {}, then ", mounted.join(" and ")) };
            let hazard = self.hazard(
                HazardCode::NeedsOffline,
                format!("the kernel of {} runs the cluster {} otherwise: {}", self.host, self.name(), fixed.join("; ")),
                format!("The kernel does not change that while the cluster is online, and nodes that disagree fence each other. Write what is in force, or stop the guests and on every node {first}`systemctl stop o2cb`; then apply."),
            );
            verdict.differences.push(Difference::new(
                "in the kernel",
                shown(&online.nodes),
                shown(self.nodes),
                Remedy::Never(hazard),
            ));
            return;
        }
        if online.nodes != self.nodes {
            let newcomers: Vec<_> =
                self.nodes.iter().filter(|node| !online.nodes.contains(node)).map(|node| node.name.as_str()).collect();
            let gone: Vec<_> =
                online.nodes.iter().filter(|node| !self.nodes.contains(node)).map(|node| node.name.as_str()).collect();
            let what = [("take in ", newcomers), ("let go ", gone)].into_iter().filter(|(_, names)| !names.is_empty());
            let what =
                what.map(|(verb, names)| format!("{verb}{}", names.join(", "))).collect::<Vec<_>>().join(" and ");
            let draft = Draft::new(
                "register",
                format!("let the kernel {what} as told by {}, while {} stays online", cluster_conf::PATH, self.name()),
                Command::new(["register_o2cb", self.name()]),
            )
            .guarded([self.conf_guard()])
            .without_inverse("it follows the file: the next plan mends it")
            .needing_all_members();
            verdict.differences.push(Difference::new(
                "in the kernel",
                shown(&online.nodes),
                shown(self.nodes),
                Remedy::Run(vec![draft]),
            ));
        }
    }

    fn judge_settings(&self, verdict: &mut Verdict) {
        let path = &self.said.o2cb.settings;
        let before = self.said.settings.as_deref().unwrap_or_default();
        let wanted: Vec<_> =
            self.wanted.settings().into_iter().filter(|(name, value)| !is_default(before, name, value)).collect();
        let after = o2cb::with_settings(before, &wanted);
        if after == before {
            verdict.observed.insert("at boot".to_owned(), self.name().to_owned());
            return;
        }
        let changed: Vec<_> =
            wanted.iter().filter(|(name, value)| o2cb::setting(before, name) != Some(value)).collect();
        let have =
            changed.iter().map(|(name, _)| format!("{name}={}", o2cb::setting(before, name).unwrap_or_default()));
        let want = changed.iter().map(|(name, value)| format!("{name}={value}"));
        let summary = format!("let the host bring {} online at boot ({path})", self.name());
        let draft = self.write("cluster-boot", summary, path, before, &after).rolling_back();
        verdict.differences.push(Difference::new(
            "at boot",
            have.collect::<Vec<_>>().join(", "),
            want.collect::<Vec<_>>().join(", "),
            Remedy::Run(vec![draft]),
        ));
    }

    fn judge_service(&self, verdict: &mut Verdict) {
        if self.said.o2cb.enabled != "enabled" {
            let draft = Draft::new("enable", "let o2cb start at boot", Command::new(["enable_o2cb"]))
                .without_inverse("others may rely on it by then");
            verdict.differences.push(Difference::new(
                "o2cb.service",
                &self.said.o2cb.enabled,
                "enabled",
                Remedy::Run(vec![draft]),
            ));
        }
    }

    fn start(&self, verdict: &mut Verdict) {
        let draft = Draft::new(
            "start",
            format!("bring the cluster {} online", self.name()),
            Command::new(["start_o2cb", self.name()]),
        )
        .guarded([self.conf_guard()])
        .without_inverse("a cluster that came online is left online")
        .needing_all_members();
        verdict.differences.push(Difference::new("cluster", "offline", "online", Remedy::Run(vec![draft])));
    }
}

/// Whether a setting that the file does not have is as wanted without it (the script of the service has the defaults).
fn is_default(text: &str, name: &str, value: &str) -> bool {
    let default = match name {
        "O2CB_STACK" => "o2cb",
        "O2CB_HEARTBEAT_THRESHOLD" => "31",
        "O2CB_IDLE_TIMEOUT_MS" => "30000",
        "O2CB_KEEPALIVE_DELAY_MS" | "O2CB_RECONNECT_DELAY_MS" => "2000",
        _ => return false,
    };
    o2cb::setting(text, name).is_none_or(str::is_empty) && value == default
}

/// The step that replaces a file of the cluster stack; no text is no file.
pub(super) fn write(action: &'static str, summary: String, path: &str, before: &str, after: &str) -> Draft {
    let command = |old: &str, new: &str| Command::new(["write_o2cb_file", path, old]).with_stdin(new);
    let unchanged = samba::unchanged(path, Some(before).filter(|text| !text.is_empty()));
    Draft::new(action, summary, command(before, after))
        .guarded([unchanged])
        .undone_by(command(after, before))
        .editing(Edit::Whole { path: path.to_owned(), before: before.to_owned(), after: after.to_owned() })
        .needing_all_members()
}

/// Whether a host answers.
pub(super) fn is_reached(scene: &Scene, host: &HostName) -> bool {
    matches!(scene.host(host), HostFacts::Reached(_))
}
