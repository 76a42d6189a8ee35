//! The resources and what they refer to, as a graph for Graphviz (DOT) and for Markdown (Mermaid). An arrow leads from a
//! resource to what it needs. Names never become syntax of either language.

mod steps;

use std::fmt::Write as _;

use foldhash::HashMap;

pub use steps::{dot as plan_dot, mermaid as plan_mermaid};

use crate::model::{Address, Blocks, escape_line};

/// What stands for each resource in the text.
type Nodes<'a> = HashMap<&'a Address, String>;

/// The graph for Graphviz.
pub fn dot(blocks: &Blocks) -> String {
    let nodes: Nodes = blocks.keys().map(|address| (address, quoted(&escape_line(&address.to_string())))).collect();
    let mut text = "digraph larder {\n  rankdir = LR\n  node [shape = box]\n".to_owned();
    for address in blocks.keys() {
        let id = &nodes[address];
        // A node is labelled with its name, in which Graphviz would read entities.
        match id.contains('&') {
            false => line(&mut text, &[id]),
            true => line(&mut text, &[id, " [label = ", &label(&[escape_line(&address.to_string())]), "]"]),
        }
    }
    for (from, to) in edges(blocks, &nodes) {
        line(&mut text, &[from, " -> ", to]);
    }
    text + "}\n"
}

/// The graph for Mermaid.
pub fn mermaid(blocks: &Blocks) -> String {
    let numbered = blocks.keys().enumerate();
    let nodes: Nodes = numbered.map(|(index, address)| (address, format!("n{index}"))).collect();
    let mut text = "flowchart LR\n".to_owned();
    for address in blocks.keys() {
        line(&mut text, &[&nodes[address], "[\"", &entities(&escape_line(&address.to_string())), "\"]"]);
    }
    for (from, to) in edges(blocks, &nodes) {
        line(&mut text, &[from, " --> ", to]);
    }
    text
}

/// The text as a name in DOT.
fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Lines as a label in DOT, in which `&` begins an entity.
fn label<S: AsRef<str>>(lines: &[S]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| escaped(&line.as_ref().replace('&', "&amp;"))).collect();
    format!("\"{}\"", lines.join("\\n"))
}

/// What a viewer of Mermaid draws as it comes: more is an error there, unless its configuration says otherwise.
const MOST_MERMAID_EDGES: usize = 500;
const LONGEST_MERMAID: usize = 50_000;

/// Why most viewers will not draw this graph, if so.
pub fn too_large_for_mermaid(text: &str) -> Option<String> {
    let edges = text.lines().filter(|line| line.contains(" --> ") || line.contains(" -.- ")).count();
    let length = text.chars().count();
    (edges > MOST_MERMAID_EDGES || length > LONGEST_MERMAID).then(|| {
        format!(
            "This graph has {edges} arrows and {length} characters. Viewers of Mermaid stop at {MOST_MERMAID_EDGES} and \
             {LONGEST_MERMAID} unless their maxEdges and maxTextSize say otherwise; Graphviz has no such limit: -format=dot"
        )
    })
}

fn line(text: &mut String, words: &[&str]) {
    text.push_str("  ");
    text.extend(words.iter().copied());
    text.push('\n');
}

/// From a resource to each that it needs, by their nodes; what is not in the configuration is left out.
fn edges<'a>(blocks: &'a Blocks, nodes: &'a Nodes) -> impl Iterator<Item = (&'a String, &'a String)> {
    blocks.iter().flat_map(move |(address, block)| {
        let from = &nodes[address];
        block.depends_on.iter().filter_map(move |address| Some((from, nodes.get(address)?)))
    })
}

/// Mermaid reads labels as HTML with entities of its own.
fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_alphanumeric() || " ._-/:".contains(c) => out.push(c),
            c => write!(out, "#{};", c as u32).expect("a String takes any text"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::sample::{address, block};

    fn blocks() -> Blocks {
        let mut web = block("image.web[\"a\\\"] --> x<b>;\"]", &[]);
        web.depends_on = [address("external_volume.nfs"), address("host.gone")].into();
        let mut nfs = block("external_volume.nfs", &[]);
        nfs.depends_on = [address("image_storage.main")].into();
        [web, nfs, block("image_storage.main", &[])].map(|block| (block.address.clone(), block)).into()
    }

    #[test]
    fn the_graph_is_written_for_graphviz() {
        insta::assert_snapshot!(dot(&blocks()), @r#"
        digraph larder {
          rankdir = LR
          node [shape = box]
          "external_volume.nfs"
          "image.web[\"a\\\"] --> x<b>;\"]"
          "image_storage.main"
          "external_volume.nfs" -> "image_storage.main"
          "image.web[\"a\\\"] --> x<b>;\"]" -> "external_volume.nfs"
        }
        "#);
    }

    #[test]
    fn an_entity_in_a_name_stays_what_it_is() {
        let odd = block("image.web[\"a&lt;b\"]", &[]);
        let text = dot(&[(odd.address.clone(), odd)].into());
        assert!(text.contains(r#"  "image.web[\"a&lt;b\"]" [label = "image.web[\"a&amp;lt;b\"]"]"#), "{text}");
    }

    #[test]
    fn a_graph_that_no_viewer_draws_is_said_to_be_one() {
        let small = mermaid(&blocks());
        assert_eq!(too_large_for_mermaid(&small), None);
        let edges = "  n0 --> n1\n".repeat(MOST_MERMAID_EDGES + 1);
        assert!(too_large_for_mermaid(&edges).is_some_and(|why| why.contains("501 arrows")));
        assert!(too_large_for_mermaid(&"x".repeat(LONGEST_MERMAID + 1)).is_some());
    }

    #[test]
    fn the_graph_is_written_for_mermaid() {
        insta::assert_snapshot!(mermaid(&blocks()), @r#"
        flowchart LR
          n0["external_volume.nfs"]
          n1["image.web#91;#34;a#92;#34;#93; --#62; x#60;b#62;#59;#34;#93;"]
          n2["image_storage.main"]
          n0 --> n2
          n1 --> n0
        "#);
    }
}
