//! `/etc/ocfs2/cluster.conf` (o2cb(7)): the clusters of OCFS2 that a host knows, and their nodes. A text is compared by what it
//! says; what is not the cluster's own is kept byte by byte.

use std::ops::Range;

use crate::model::HostFacts;

use super::{Known, samba};

pub const PATH: &str = "/etc/ocfs2/cluster.conf";

/// One node, as each host of the cluster must know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    pub number: u8,
    /// The short host name of the machine.
    pub name: String,
    pub address: String,
    pub port: u16,
}

/// One cluster of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cluster {
    /// `local` or `global`.
    pub heartbeat: String,
    pub node_count: String,
    /// By number.
    pub nodes: Vec<Node>,
    /// Regions of a global heartbeat.
    pub regions: usize,
}

/// The file, cut into its stanzas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterConf {
    /// Empty where there is no file.
    pub text: String,
    stanzas: Vec<Stanza>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stanza {
    /// `cluster`, `node`, `heartbeat`.
    kind: String,
    /// In the text: from the header to the end of the last parameter.
    at: Range<usize>,
    parameters: Vec<(String, String)>,
}

impl Stanza {
    fn get(&self, name: &str) -> &str {
        let found = self.parameters.iter().rev().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The cluster that it is a part of.
    fn cluster(&self) -> &str {
        if self.kind == "cluster" { self.get("name") } else { self.get("cluster") }
    }
}

pub fn read(facts: &HostFacts) -> Known<ClusterConf> {
    let text = samba::read_file(facts, PATH)?.unwrap_or_default();
    ClusterConf::parse(text)
}

impl ClusterConf {
    /// # Errors
    /// The line that o2cb would not read either.
    pub fn parse(text: String) -> Known<Self> {
        let mut stanzas: Vec<Stanza> = Vec::new();
        let mut at = 0;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let (start, end) = (at, at + line.len());
            at = end;
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let is_indented = line.starts_with([' ', '\t']);
            if !is_indented && let Some(kind) = trimmed.strip_suffix(':') {
                stanzas.push(Stanza { kind: kind.trim().to_owned(), at: start..end, parameters: Vec::new() });
            } else if let (true, Some((key, value)), Some(stanza)) =
                (is_indented, trimmed.split_once('='), stanzas.last_mut())
            {
                stanza.parameters.push((key.trim().to_owned(), value.trim().to_owned()));
                stanza.at.end = end;
            } else {
                return Err(format!("line {} of {PATH} is no part of a stanza: {trimmed:?}", number + 1));
            }
        }
        Ok(ClusterConf { text, stanzas })
    }

    /// The names of all clusters, in the order of the file.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for stanza in self.stanzas.iter().filter(|stanza| !stanza.cluster().is_empty()) {
            if !names.contains(&stanza.cluster()) {
                names.push(stanza.cluster());
            }
        }
        names
    }

    /// What the file says of a cluster; `None` where it says nothing.
    ///
    /// # Errors
    /// A node of it makes no sense.
    pub fn cluster(&self, name: &str) -> Known<Option<Cluster>> {
        let mut own = self.stanzas.iter().filter(|stanza| stanza.cluster() == name).peekable();
        if own.peek().is_none() {
            return Ok(None);
        }
        let mut cluster = Cluster::default();
        for stanza in own {
            match stanza.kind.as_str() {
                "cluster" => {
                    cluster.heartbeat = stanza.get("heartbeat_mode").to_owned();
                    cluster.node_count = stanza.get("node_count").to_owned();
                }
                "heartbeat" => cluster.regions += 1,
                _ => {
                    let wrong = |what: &str| format!("a node of the cluster {name} in {PATH} has no {what}");
                    cluster.nodes.push(Node {
                        number: stanza.get("number").parse().map_err(|_| wrong("number"))?,
                        name: Some(stanza.get("name")).filter(|name| !name.is_empty()).ok_or(wrong("name"))?.to_owned(),
                        address: stanza.get("ip_address").to_owned(),
                        port: stanza.get("ip_port").parse().map_err(|_| wrong("port"))?,
                    });
                }
            }
        }
        cluster.nodes.sort();
        Ok(Some(cluster))
    }

    /// The text with these nodes as that cluster, or without it. Everything else stays as it is.
    pub fn with(&self, name: &str, nodes: Option<&[Node]>) -> String {
        let mut rest = String::new();
        let mut from = 0;
        for stanza in self.stanzas.iter().filter(|stanza| stanza.cluster() == name) {
            rest.push_str(&self.text[from..stanza.at.start]);
            from = stanza.at.end;
            // The empty line behind it goes with it.
            if self.text[from..].starts_with('\n') {
                from += 1;
            }
        }
        rest.push_str(&self.text[from..]);
        let Some(nodes) = nodes else {
            return if rest.trim().is_empty() { String::new() } else { rest };
        };
        if rest.trim().is_empty() {
            rest.clear();
        } else if !rest.ends_with('\n') {
            rest.push('\n');
        }
        if !rest.is_empty() && !rest.ends_with("\n\n") {
            rest.push('\n');
        }
        rest + &stanzas(name, nodes)
    }
}

/// A cluster as the tools write it: a tab before each parameter, an empty line behind each stanza.
fn stanzas(name: &str, nodes: &[Node]) -> String {
    let mut text = format!("cluster:\n\tname = {name}\n\theartbeat_mode = local\n\tnode_count = {}\n\n", nodes.len());
    for node in nodes {
        text.push_str(&format!(
            "node:\n\tcluster = {name}\n\tnumber = {}\n\tip_port = {}\n\tip_address = {}\n\tname = {}\n\n",
            node.number, node.port, node.address, node.name
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node(number: u8, name: &str) -> Node {
        Node { number, name: name.to_owned(), address: format!("10.99.0.1{}", number + 1), port: 7777 }
    }

    /// What `o2cb add-cluster` and `o2cb add-node` of ocfs2-tools 1.8.7 wrote.
    const OF_THE_TOOLS: &str = "cluster:\n\tname = labclu\n\theartbeat_mode = local\n\tnode_count = 2\n\nnode:\n\tcluster = labclu\n\tnumber = 0\n\tip_port = 7777\n\tip_address = 10.99.0.11\n\tname = hv1\n\nnode:\n\tcluster = labclu\n\tnumber = 1\n\tip_port = 7777\n\tip_address = 10.99.0.12\n\tname = hv2\n\n";
    /// The same as `o2cb list-cluster` has it.
    const LISTED: &str = "node:\n\tnumber = 0\n\tname = hv1\n\tip_address = 10.99.0.11\n\tip_port = 7777\n\tcluster = labclu\n\nnode:\n\tnumber = 1\n\tname = hv2\n\tip_address = 10.99.0.12\n\tip_port = 7777\n\tcluster = labclu\n\ncluster:\n\tnode_count = 2\n\theartbeat_mode = local\n\tname = labclu\n\n";

    fn parsed(text: &str) -> ClusterConf {
        ClusterConf::parse(text.to_owned()).expect("a file")
    }

    #[test]
    fn a_cluster_is_written_as_the_tools_write_it() {
        let nodes = [node(0, "hv1"), node(1, "hv2")];
        assert_eq!(parsed("").with("labclu", Some(&nodes)), OF_THE_TOOLS);
        for text in [OF_THE_TOOLS, LISTED] {
            let cluster = parsed(text).cluster("labclu").expect("nodes").expect("a cluster");
            assert_eq!((cluster.nodes.as_slice(), cluster.node_count.as_str()), (nodes.as_slice(), "2"));
            assert_eq!(parsed(text).with("labclu", Some(&nodes)), OF_THE_TOOLS);
            assert_eq!(parsed(text).with("labclu", None), "");
        }
        assert_eq!(parsed(OF_THE_TOOLS).cluster("other"), Ok(None));
    }

    #[test]
    fn other_clusters_stay_byte_by_byte() {
        let others = "# ours since 2009\ncluster:\n  name=old\n\n\nnode:\n\tcluster = old\n\tnumber = 3\n\tname = x\n\tip_port = 1";
        let with = parsed(others).with("labclu", Some(&[node(0, "hv1"), node(1, "hv2")]));
        assert_eq!(with, format!("{others}\n\n{OF_THE_TOOLS}"));
        assert_eq!(parsed(&with).with("labclu", None), format!("{others}\n\n"));
        assert_eq!(parsed(&with).names(), ["old", "labclu"]);
        // In the midst of others.
        let amid = format!("{LISTED}{others}");
        assert_eq!(parsed(&amid).with("labclu", None), others);
    }

    #[test]
    fn what_is_no_stanza_is_no_answer() {
        for text in ["name = x\n", "cluster:\nname = x\n", "\tname = x\n", "cluster\n"] {
            assert!(ClusterConf::parse(text.to_owned()).is_err(), "{text:?}");
        }
        let numberless = "node:\n\tcluster = c\n\tname = x\n\tip_port = 1\n";
        assert!(parsed(numberless).cluster("c").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer_or_unknown(text in any::<String>()) {
            let _ = ClusterConf::parse(text);
        }

        #[test]
        fn what_is_written_is_read_again_and_taken_out_again(
            numbers in proptest::collection::btree_set(0u8..=254, 0..8),
            around in proptest::collection::vec("(cluster|node):\n(\t[a-z]{1,5} = [a-z0-9]{0,5}\n){0,3}(\n|# x\n){0,2}", 0..4),
        ) {
            let text: String = around.concat();
            let nodes: Vec<_> = numbers.iter().map(|number| Node {
                number: *number, name: format!("hv{number}"), address: format!("10.0.0.{number}"), port: 7777,
            }).collect();
            let with = parsed(&text).with("Ours1", Some(&nodes));
            let found = parsed(&with).cluster("Ours1").expect("nodes").expect("a cluster");
            prop_assert_eq!(found.nodes, nodes);
            prop_assert!(with.starts_with(text.trim_end_matches('\n')) || text.trim().is_empty());
            let without = parsed(&with).with("Ours1", None);
            prop_assert_eq!(without.trim_end_matches('\n'), text.trim_end_matches('\n'));
        }
    }
}
