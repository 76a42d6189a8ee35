//! The steps of a plan in their order, each in the box of its host, with what must come before and the hazards. An arrow
//! leads from a step to what must have been done before it; the first steps stand on the left.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Hazard, HostName, Step, escape_line};
use crate::plan::{Action, Plan};

use super::super::plan::felt;
use super::{entities, label, line, quoted};

/// What a box of the picture says, line by line.
struct Node<'a> {
    id: String,
    looks: Looks,
    host: Option<&'a HostName>,
    lines: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looks {
    Step,
    /// A step that a hazard is about.
    Dangerous,
    /// A hazard that stops the apply.
    Blocking,
    /// A hazard that was accepted, or stops nothing.
    Minor,
    /// A placement that waits or is unknown, a host that did not answer.
    Undecided,
}

struct Picture<'a> {
    nodes: Vec<Node<'a>>,
    /// From a step to one that must come before it.
    after: Vec<(usize, usize)>,
    /// From a step to a hazard that is about it.
    about: Vec<(usize, usize)>,
}

/// The plan for Graphviz.
pub fn dot(plan: &Plan) -> String {
    let picture = picture(plan);
    let mut text = "digraph larder {\n  rankdir = RL\n  node [shape = box]\n".to_owned();
    let node = |node: &Node| {
        let looks = match node.looks {
            Looks::Step => "",
            Looks::Dangerous => ", color = red",
            Looks::Blocking => ", shape = octagon, color = red, penwidth = 2",
            Looks::Minor => ", shape = octagon, color = orange",
            Looks::Undecided => ", style = dashed",
        };
        format!("{} [label = {}{looks}]", quoted(&node.id), label(&node.lines))
    };
    for (number, (host, nodes)) in picture.by_host().into_iter().enumerate() {
        match host {
            None => nodes.iter().for_each(|one| line(&mut text, &[&node(one)])),
            Some(host) => {
                line(&mut text, &[&format!("subgraph cluster_{number} {{")]);
                line(&mut text, &["  label = ", &label(&[escape_line(host.as_str())])]);
                nodes.iter().for_each(|one| line(&mut text, &["  ", &node(one)]));
                line(&mut text, &["}"]);
            }
        }
    }
    let id = |at: usize| quoted(&picture.nodes[at].id);
    for (from, to) in &picture.after {
        line(&mut text, &[&id(*from), " -> ", &id(*to)]);
    }
    for (from, to) in &picture.about {
        line(&mut text, &[&id(*from), " -> ", &id(*to), " [dir = none, style = dashed, color = red]"]);
    }
    text + "}\n"
}

/// The plan for Mermaid.
pub fn mermaid(plan: &Plan) -> String {
    let picture = picture(plan);
    let numbers: BTreeMap<&str, usize> =
        picture.nodes.iter().enumerate().map(|(number, node)| (node.id.as_str(), number)).collect();
    let mut text = "flowchart RL\n".to_owned();
    let node = |node: &Node| {
        let words = node.lines.iter().map(|words| entities(words)).collect::<Vec<_>>().join("<br>");
        let (open, close) = match node.looks {
            Looks::Blocking | Looks::Minor => ("{{\"", "\"}}"),
            _ => ("[\"", "\"]"),
        };
        let class = match node.looks {
            Looks::Step => "",
            Looks::Dangerous => ":::dangerous",
            Looks::Blocking => ":::blocking",
            Looks::Minor => ":::minor",
            Looks::Undecided => ":::undecided",
        };
        format!("n{}{open}{words}{close}{class}", numbers.get(node.id.as_str()).copied().unwrap_or_default())
    };
    for (number, (host, nodes)) in picture.by_host().into_iter().enumerate() {
        match host {
            None => nodes.iter().for_each(|one| line(&mut text, &[&node(one)])),
            Some(host) => {
                line(&mut text, &[&format!("subgraph h{number} [\""), &entities(&escape_line(host.as_str())), "\"]"]);
                nodes.iter().for_each(|one| line(&mut text, &["  ", &node(one)]));
                line(&mut text, &["end"]);
            }
        }
    }
    picture.after.iter().for_each(|(from, to)| line(&mut text, &[&format!("n{from} --> n{to}")]));
    picture.about.iter().for_each(|(from, to)| line(&mut text, &[&format!("n{from} -.- n{to}")]));
    for (looks, class) in [
        (Looks::Dangerous, "dangerous stroke:#c00"),
        (Looks::Blocking, "blocking stroke:#c00,stroke-width:3px"),
        (Looks::Minor, "minor stroke:#e80"),
        (Looks::Undecided, "undecided stroke-dasharray:4"),
    ] {
        if picture.nodes.iter().any(|node| node.looks == looks) {
            line(&mut text, &["classDef ", class]);
        }
    }
    text
}

impl<'a> Picture<'a> {
    /// The nodes of each host; those of none first.
    fn by_host(&self) -> BTreeMap<Option<&'a HostName>, Vec<&Node<'a>>> {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for node in &self.nodes {
            all.entry(node.host).or_default().push(node);
        }
        all
    }
}

fn picture(plan: &Plan) -> Picture<'_> {
    let mut nodes: Vec<_> = plan.steps.iter().enumerate().map(|(at, one)| step(at + 1, one)).collect();
    let numbers: BTreeMap<&str, usize> =
        plan.steps.iter().enumerate().map(|(number, step)| (step.id.as_str(), number)).collect();
    let waits = |(at, step): (usize, &'_ Step)| {
        let known = step.after.iter().filter_map(|id| numbers.get(id.as_str()).copied());
        known.map(|before| (at, before)).collect::<Vec<_>>()
    };
    let after = plan.steps.iter().enumerate().flat_map(waits).collect();
    let mut about = Vec::new();
    for (number, hazard) in plan.hazards.iter().enumerate() {
        for (at, step) in plan.steps.iter().enumerate() {
            let is_here = hazard.host.as_ref().is_none_or(|host| *host == step.host);
            if is_here && step.address == hazard.address && step.hazards.contains(&hazard.code) {
                about.push((at, nodes.len()));
            }
        }
        nodes.push(self::hazard(number, hazard));
    }
    nodes.extend(undecided(plan));
    Picture { nodes, after, about }
}

fn step(number: usize, step: &Step) -> Node<'_> {
    let mut lines =
        vec![escape_line(&format!("step {number}: {} {}", step.action, step.address)), escape_line(&step.summary)];
    lines.extend(felt(step.impact).map(str::to_owned));
    if !step.hazards.is_empty() {
        let codes: Vec<_> = step.hazards.iter().map(|code| code.as_str()).collect();
        lines.push(format!("! {}", codes.join(", ")));
    }
    let looks = if step.hazards.is_empty() { Looks::Step } else { Looks::Dangerous };
    Node { id: escape_line(&step.id), looks, host: Some(&step.host), lines }
}

fn hazard(number: usize, hazard: &Hazard) -> Node<'_> {
    let (looks, word) = match (hazard.blocks(), hazard.accepted) {
        (true, _) => (Looks::Blocking, "!"),
        (false, true) => (Looks::Minor, "accepted:"),
        (false, false) => (Looks::Minor, "note:"),
    };
    let lines = vec![escape_line(&format!("{word} {} {}", hazard.code, hazard.address)), escape_line(&hazard.message)];
    Node { id: format!("hazard {}", number + 1), looks, host: hazard.host.as_ref(), lines }
}

/// What the plan leaves open: it is no smaller because somebody did not answer.
fn undecided(plan: &Plan) -> Vec<Node<'_>> {
    let silent: BTreeSet<_> = plan.unknown.iter().map(|unknown| &unknown.host).collect();
    let hosts = plan.unknown.iter().map(|unknown| Node {
        id: escape_line(&format!("host {}", unknown.host)),
        looks: Looks::Undecided,
        host: Some(&unknown.host),
        lines: vec!["did not answer".to_owned(), escape_line(&unknown.reason)],
    });
    let placements = plan.changes.iter().flat_map(|change| {
        let open = change.hosts.iter().filter(|(host, _)| !silent.contains(host));
        open.filter_map(|(host, action)| {
            let word = match action {
                Action::Later => "waits",
                Action::Unknown => "is not known",
                _ => return None,
            };
            let mut lines = vec![escape_line(&format!("{} {word}", change.address))];
            lines.extend(change.reasons.get(host).map(|reason| escape_line(reason)));
            let id = escape_line(&format!("{}@{host} {word}", change.address));
            Some(Node { id, looks: Looks::Undecided, host: Some(host), lines })
        })
    });
    hosts.chain(placements).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HazardCode, Impact};
    use crate::view::sample::{self, address, change};

    /// Two hosts, an order, hazards of each sort, somebody who does not answer, and names that attack both languages.
    fn plan() -> Plan {
        let mut plan = sample::first_apply();
        let nfs = plan.steps.iter_mut().find(|step| step.id == "external_volume.nfs@hv2/mount").expect("a step");
        nfs.hazards = vec![HazardCode::HidesData];
        nfs.impact = Impact::Remount;
        plan.steps.truncate(8);
        plan.hazards.push(Hazard {
            accepted: true,
            ..Hazard::new(
                HazardCode::NoAccess,
                &address("image.x[\"a\\\\\"]"),
                None,
                "</b>\"]; x -> y & &lt; \x1b[2J",
                "",
            )
        });
        let reason = "`connect\" timed <br> out";
        plan.unknown = vec![crate::plan::UnknownHost { host: sample::host("h\"]v3"), reason: reason.to_owned() }];
        plan.changes.push(change(
            "image.db",
            Action::Unknown,
            &[("hv1", Action::Unknown), ("h\"]v3", Action::Unknown)],
        ));
        plan
    }

    #[test]
    fn a_plan_is_drawn_for_graphviz() {
        insta::assert_snapshot!(dot(&plan()), @r##"
        digraph larder {
          rankdir = RL
          node [shape = box]
          "hazard 2" [label = "accepted: no-access image.x[\"a\\\\\"]\n</b>\"]; x -> y &amp; &amp;lt; \\x1b[2J", shape = octagon, color = orange]
          subgraph cluster_1 {
            label = "h\"]v3"
            "host h\"]v3" [label = "did not answer\n`connect\" timed <br> out", style = dashed]
          }
          subgraph cluster_2 {
            label = "hv1"
            "external_volume.local@hv1/chmod" [label = "step 1: chmod external_volume.local\nset the mode of /home/images to 0770"]
            "external_volume.nfs@hv1/mkdir" [label = "step 2: mkdir external_volume.nfs\nmake the directory /srv/nfs"]
            "external_volume.nfs@hv1/fstab" [label = "step 3: fstab external_volume.nfs\nadd the line of /srv/nfs to /etc/fstab"]
            "external_volume.nfs@hv1/mount" [label = "step 4: mount external_volume.nfs\nmount nfs 10.0.0.5:/export/images on /srv/nfs"]
            "external_volume.nfs@hv1/chown" [label = "step 5: chown external_volume.nfs\ngive /srv/nfs to libvirt-qemu:kvm"]
            "image.web[\"web1\"]@hv1 waits" [label = "image.web[\"web1\"] waits\n/srv/nfs is not mounted yet", style = dashed]
            "image.db@hv1 is not known" [label = "image.db is not known", style = dashed]
          }
          subgraph cluster_3 {
            label = "hv2"
            "external_volume.nfs@hv2/mkdir" [label = "step 6: mkdir external_volume.nfs\nmake the directory /srv/nfs"]
            "external_volume.nfs@hv2/fstab" [label = "step 7: fstab external_volume.nfs\nadd the line of /srv/nfs to /etc/fstab"]
            "external_volume.nfs@hv2/mount" [label = "step 8: mount external_volume.nfs\nmount nfs 10.0.0.5:/export/images on /srv/nfs\nguests: remount\n! hides-data", color = red]
            "hazard 1" [label = "! hides-data external_volume.nfs\n/srv/nfs on hv2 is not empty: mounting there would hide guest.qcow2, old", shape = octagon, color = red, penwidth = 2]
          }
          "external_volume.nfs@hv1/fstab" -> "external_volume.nfs@hv1/mkdir"
          "external_volume.nfs@hv1/mount" -> "external_volume.nfs@hv1/fstab"
          "external_volume.nfs@hv1/chown" -> "external_volume.nfs@hv1/mount"
          "external_volume.nfs@hv2/fstab" -> "external_volume.nfs@hv2/mkdir"
          "external_volume.nfs@hv2/mount" -> "external_volume.nfs@hv2/fstab"
          "external_volume.nfs@hv2/mount" -> "hazard 1" [dir = none, style = dashed, color = red]
        }
        "##);
    }

    #[test]
    fn a_plan_is_drawn_for_mermaid() {
        insta::assert_snapshot!(mermaid(&plan()), @r##"
        flowchart RL
          n9{{"accepted: no-access image.x#91;#34;a#92;#92;#34;#93;<br>#60;/b#62;#34;#93;#59; x -#62; y #38; #38;lt#59; #92;x1b#91;2J"}}:::minor
          subgraph h1 ["h#34;#93;v3"]
            n10["did not answer<br>#96;connect#34; timed #60;br#62; out"]:::undecided
          end
          subgraph h2 ["hv1"]
            n0["step 1: chmod external_volume.local<br>set the mode of /home/images to 0770"]
            n1["step 2: mkdir external_volume.nfs<br>make the directory /srv/nfs"]
            n2["step 3: fstab external_volume.nfs<br>add the line of /srv/nfs to /etc/fstab"]
            n3["step 4: mount external_volume.nfs<br>mount nfs 10.0.0.5:/export/images on /srv/nfs"]
            n4["step 5: chown external_volume.nfs<br>give /srv/nfs to libvirt-qemu:kvm"]
            n11["image.web#91;#34;web1#34;#93; waits<br>/srv/nfs is not mounted yet"]:::undecided
            n12["image.db is not known"]:::undecided
          end
          subgraph h3 ["hv2"]
            n5["step 6: mkdir external_volume.nfs<br>make the directory /srv/nfs"]
            n6["step 7: fstab external_volume.nfs<br>add the line of /srv/nfs to /etc/fstab"]
            n7["step 8: mount external_volume.nfs<br>mount nfs 10.0.0.5:/export/images on /srv/nfs<br>guests: remount<br>#33; hides-data"]:::dangerous
            n8{{"#33; hides-data external_volume.nfs<br>/srv/nfs on hv2 is not empty: mounting there would hide guest.qcow2#44; old"}}:::blocking
          end
          n2 --> n1
          n3 --> n2
          n4 --> n3
          n6 --> n5
          n7 --> n6
          n7 -.- n8
          classDef dangerous stroke:#c00
          classDef blocking stroke:#c00,stroke-width:3px
          classDef minor stroke:#e80
          classDef undecided stroke-dasharray:4
        "##);
    }

    #[test]
    fn a_plan_of_nothing_is_an_empty_graph() {
        assert_eq!(mermaid(&sample::empty()), "flowchart RL\n");
        assert_eq!(dot(&sample::empty()), "digraph larder {\n  rankdir = RL\n  node [shape = box]\n}\n");
    }
}
