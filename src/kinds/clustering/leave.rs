//! Hosts that leave a cluster: what keeps them in it, and what they give back.

use super::member::{is_reached, write};
use super::*;
use crate::kinds::verdict::{Difference, Draft, Remedy};
use crate::model::Command;

/// A host that was in the cluster when it was applied last and is not to be any more.
pub(super) struct Leaver {
    pub(super) host: HostName,
    pub(super) node: String,
    pub(super) number: Option<u8>,
}

pub(super) fn leavers(block: &Block, scene: &Scene, hosts: &[HostName], name: &str) -> Vec<Leaver> {
    let is_same = scene.previous(&block.address).is_some_and(|previous| previous.text("name") == Some(name));
    let remembered = scene.memory.get(&block.address).filter(|_| is_same);
    let gone = remembered.into_iter().flat_map(|memory| &memory.hosts).filter(|(host, _)| !hosts.contains(host));
    let leaver = |(host, facts): (&HostName, &BTreeMap<String, String>)| Leaver {
        host: host.clone(),
        node: facts.get("node").cloned().unwrap_or_default(),
        number: facts.get("number").and_then(|number| number.parse().ok()),
    };
    gone.map(leaver).collect()
}

/// What a host has mounted that this plan leaves mounted. The kernel beats for each device that is mounted: where there are more of
/// these regions than devices in the list of mounts, something is mounted out of sight.
fn kept(scene: &Scene, host: &HostName, said: &Said, cluster: &str) -> Vec<String> {
    let watched = scene.watched(host);
    let goes = |target: &str| watched.iter().any(|one| one == target) && !scene.stays(target, host);
    let mut all: Vec<String> = said.mounts().filter(|target| !goes(target)).map(str::to_owned).collect();
    let mounts = said.ground.mounts.0.iter().filter(|mount| mount.fstype == "ocfs2");
    let devices: BTreeSet<_> = mounts.map(|mount| &mount.device).collect();
    let regions = said.o2cb.online.get(cluster).map_or(&[][..], |online| &online.regions);
    if regions.len() > devices.len() {
        all.push(format!(
            "something out of sight (the kernel has the heartbeat regions {}, and the mounts that it shows are on {} devices)",
            regions.join(", "),
            devices.len()
        ));
    }
    all
}

/// Leavers that have something of the cluster mounted which stays: the others must not forget them.
pub(super) fn still_mounted(block: &Block, scene: &Scene, leavers: &[Leaver]) -> Vec<Hazard> {
    let name = block.text("name").unwrap_or_default();
    let found = leavers.iter().filter(|leaver| is_reached(scene, &leaver.host)).filter_map(|leaver| {
        let said = Said::read(scene, &leaver.host, name).ok()?;
        in_use(&block.address, &leaver.host, name, &kept(scene, &leaver.host, &said, name))
    });
    found.collect()
}

fn in_use(address: &Address, host: &HostName, name: &str, kept: &[String]) -> Option<Hazard> {
    (!kept.is_empty()).then(|| {
        hazard(
            HazardCode::InUse,
            address,
            host,
            format!("{host} cannot leave the cluster {name}: it has {} mounted", kept.join(" and ")),
            "Take the host out of the storages of these volumes too, or unmount them there, then plan again.",
        )
    })
}

/// What takes the cluster away from a host: its stanzas, and that it comes online at boot. The service and what is of other clusters
/// stay.
///
/// # Errors
/// Why it is not known how the host stands.
pub(in crate::kinds) fn unmake(block: &Block, scene: &Scene, host: &HostName) -> Result<Verdict, String> {
    let wanted = Wanted::of(block).ok_or("the block is incomplete")?;
    let name = wanted.name.as_str();
    let said = Said::read(scene, host, name)?;
    let mut verdict = Verdict::default();
    let is_online = said.o2cb.online.contains_key(name);
    if let Some(hazard) = in_use(&block.address, host, name, &kept(scene, host, &said, name)).filter(|_| is_online) {
        verdict.standing = Standing::Present;
        verdict.hazards.push(hazard);
        return Ok(verdict);
    }
    if is_online {
        verdict.standing = Standing::Present;
        let draft = Draft::new(
            "unregister",
            format!("let the kernel forget the cluster {name}, of which nothing is mounted any more"),
            Command::new(["unregister_o2cb", name]),
        )
        .guarded([o2cb::nothing_mounted(name)])
        .undone_by(Command::new(["start_o2cb", name]))
        .needing_all_members();
        verdict.differences.push(Difference::new("cluster", "online", "offline", Remedy::Run(vec![draft])));
    }
    let path = &said.o2cb.settings;
    let before = said.settings.as_deref().unwrap_or_default();
    let is_ours = o2cb::setting(before, "O2CB_ENABLED") == Some("true")
        && o2cb::setting(before, "O2CB_BOOTCLUSTER") == Some(name);
    if is_ours {
        verdict.standing = Standing::Present;
        let after = o2cb::with_settings(before, &[("O2CB_ENABLED", "false".to_owned())]);
        let summary = format!("let the host not bring {name} online at boot any more ({path})");
        let draft = write("cluster-boot", summary, path, before, &after);
        verdict.differences.push(Difference::new("at boot", name, "no cluster", Remedy::Run(vec![draft])));
    }
    if let Some(cluster) = &said.cluster {
        verdict.standing = Standing::Present;
        let summary = format!("take the cluster {name} out of {}", cluster_conf::PATH);
        let after = said.conf.with(name, None);
        let draft = write("cluster-conf", summary, cluster_conf::PATH, &said.conf.text, &after);
        verdict.differences.push(Difference::new("nodes", shown(&cluster.nodes), "absent", Remedy::Run(vec![draft])));
    }
    Ok(verdict)
}
