//! The number and the name of each node. A number that a node has anywhere stays: to the others it is the node.

use super::*;

/// The nodes that are wanted, and what speaks against them.
///
/// # Errors
/// A host of which nothing is known: not even by what name the others know it.
pub(super) fn nodes(
    block: &Block,
    scene: &Scene,
    wanted: &Wanted,
    said: &BTreeMap<HostName, Result<Said, String>>,
    leavers: &[leave::Leaver],
) -> Result<(Vec<Node>, Vec<Hazard>), String> {
    let mut hazards = Vec::new();
    let mut names: BTreeMap<&HostName, String> = BTreeMap::new();
    for (host, one) in said {
        let name = match one {
            Ok(one) => one.short.clone(),
            Err(why) => {
                let known = scene.remembered(&block.address, host, "node");
                known.ok_or_else(|| format!("{host} is not known ({why}), so neither is the cluster"))?.to_owned()
            }
        };
        if let Some((other, _)) = names.iter().find(|(_, known)| **known == name) {
            hazards.push(hazard(
                HazardCode::Unsupported,
                &block.address,
                host,
                format!("{other} and {host} are both called {name}: a node is known by the name of its machine"),
                "Give each machine a host name of its own (`hostnamectl set-hostname`).",
            ));
        }
        if name.is_empty()
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            || name.len() > 63
        {
            hazards.push(hazard(
                HazardCode::Unsupported,
                &block.address,
                host,
                format!("{name:?}, the name of {host}, cannot be the name of a node"),
                "Give the machine a host name of letters, digits and hyphens.",
            ));
        }
        names.insert(host, name);
    }
    let files = said.iter().filter_map(|(host, one)| Some((host, one.as_ref().ok()?)));
    let mut seen: Vec<(String, &Node)> = Vec::new();
    for (host, one) in files {
        seen.extend(
            one.cluster.iter().flat_map(|cluster| &cluster.nodes).map(|node| (format!("{host}'s cluster.conf"), node)),
        );
        seen.extend(
            one.online(&wanted.name)
                .iter()
                .flat_map(|online| &online.nodes)
                .map(|node| (format!("the kernel of {host}"), node)),
        );
    }
    let mut taken: BTreeSet<u8> = seen.iter().map(|(_, node)| node.number).collect();
    taken.extend(leavers.iter().filter_map(|leaver| leaver.number));
    taken.extend(wanted.numbers.values());
    let mut numbers: BTreeMap<&HostName, u8> = BTreeMap::new();
    for (host, name) in &names {
        let own: Vec<_> =
            seen.iter().filter(|(_, node)| node.name == *name).map(|(where_, node)| (where_, node.number)).collect();
        let remembered = scene.remembered(&block.address, host, "number").and_then(|text| text.parse::<u8>().ok());
        if let Some(number) = wanted.numbers.get(*host) {
            numbers.insert(host, *number);
            continue;
        }
        if let Some(((here, one), (there, two))) = own.first().zip(own.iter().find(|(_, number)| *number != own[0].1)) {
            hazards.push(hazard(
                HazardCode::Unsupported,
                &block.address,
                host,
                format!("{name} has the number {one} in {here} and {two} in {there}"),
                format!("Say which is true: node_numbers = {{ {host} = {one} }}."),
            ));
        }
        if let Some(number) = own.first().map(|(_, number)| *number).or(remembered) {
            taken.insert(number);
            numbers.insert(host, number);
        }
    }
    for host in names.keys() {
        if !numbers.contains_key(host) {
            let free = (0..=254).find(|number| !taken.contains(number)).ok_or("no number is free for another node")?;
            taken.insert(free);
            numbers.insert(host, free);
        }
    }
    let mut of: BTreeMap<u8, &HostName> = BTreeMap::new();
    for (host, number) in &numbers {
        if let Some(other) = of.insert(*number, host) {
            hazards.push(hazard(
                HazardCode::Unsupported,
                &block.address,
                host,
                format!("{other} and {host} would both be node {number}"),
                "One of them has the number already: write node_numbers for both.",
            ));
        }
    }
    let node = |(host, name): (&&HostName, &String)| Node {
        number: numbers[*host],
        name: name.clone(),
        address: wanted.addresses.get(*host).cloned().unwrap_or_default(),
        port: wanted.port,
    };
    let mut nodes: Vec<_> = names.iter().map(node).collect();
    nodes.sort();
    Ok((nodes, hazards))
}
