//! The resources and what they refer to, as a graph for Graphviz (DOT) and for Markdown (Mermaid). An arrow leads from a
//! resource to what it needs.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::model::{Address, Blocks, escape_line};

/// The graph for Graphviz.
pub fn dot(blocks: &Blocks) -> String {
    let quoted = |address: &Address| {
        let text = escape_line(&address.to_string());
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    };
    let nodes: HashMap<&Address, String> = blocks.keys().map(|address| (address, quoted(address))).collect();
    let mut text = "digraph larder {\n  rankdir = LR\n  node [shape = box]\n".to_owned();
    for address in blocks.keys() {
        line(&mut text, &[&nodes[address]]);
    }
    for (from, to) in edges(blocks, &nodes) {
        line(&mut text, &[from, " -> ", to]);
    }
    text + "}\n"
}

/// The graph for Mermaid.
pub fn mermaid(blocks: &Blocks) -> String {
    let numbered = blocks.keys().enumerate();
    let nodes: HashMap<&Address, String> = numbered.map(|(index, address)| (address, format!("n{index}"))).collect();
    let mut text = "flowchart LR\n".to_owned();
    for address in blocks.keys() {
        line(&mut text, &[&nodes[address], "[\"", &entities(&escape_line(&address.to_string())), "\"]"]);
    }
    for (from, to) in edges(blocks, &nodes) {
        line(&mut text, &[from, " --> ", to]);
    }
    text
}

fn line(text: &mut String, words: &[&str]) {
    text.push_str("  ");
    text.extend(words.iter().copied());
    text.push('\n');
}

/// From a resource to each that it needs, by their nodes; what is not in the configuration is left out.
fn edges<'a>(
    blocks: &'a Blocks,
    nodes: &'a HashMap<&Address, String>,
) -> impl Iterator<Item = (&'a String, &'a String)> {
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
