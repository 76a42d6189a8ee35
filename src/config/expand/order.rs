//! The order of evaluation: what is referred to comes first, and circles are reported.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use petgraph::graph::{DiGraph, NodeIndex};

use super::super::references::references;
use super::super::source::Span;
use super::super::syntax::Expr;
use super::World;

/// What is evaluated as one thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Node {
    Local(Arc<str>),
    Resource(usize),
    /// All resources of a kind.
    Kind(Arc<str>),
}

impl World<'_> {
    /// Everything in an order in which what is referred to comes first. Cycles are reported; what their members get from each
    /// other has no value, which poisons what refers to it.
    pub(super) fn order(&mut self) -> Vec<Node> {
        let declarations = self.declarations;
        let mut graph: DiGraph<Node, ()> = DiGraph::new();
        let mut indexes: HashMap<Node, NodeIndex> = HashMap::new();
        let mut spans: Vec<Span> = Vec::new();
        for (name, local) in &declarations.locals {
            indexes.insert(Node::Local(name.clone()), graph.add_node(Node::Local(name.clone())));
            spans.push(local.name_span);
        }
        for (number, resource) in declarations.resources.iter().enumerate() {
            indexes.insert(Node::Resource(number), graph.add_node(Node::Resource(number)));
            spans.push(resource.block.header);
        }
        for kind in declarations.by_name.keys().collect::<BTreeSet<_>>() {
            let node = Node::Kind(kind.clone());
            let index = graph.add_node(node.clone());
            indexes.insert(node, index);
            spans.push(Span { file: u32::MAX, ..Span::default() });
            for number in declarations.by_name[kind].values() {
                graph.update_edge(indexes[&Node::Resource(*number)], index, ());
            }
        }
        let mut edges: Vec<(Node, Vec<&Expr>)> = Vec::new();
        for (name, local) in &declarations.locals {
            edges.push((Node::Local(name.clone()), vec![&local.value]));
        }
        for (number, resource) in declarations.resources.iter().enumerate() {
            edges.push((Node::Resource(number), Self::expressions_of(resource)));
        }
        for (node, expressions) in edges {
            let to = indexes[&node];
            for reference in expressions.into_iter().flat_map(references) {
                let target = match (reference.root.as_ref(), &reference.member) {
                    ("local", Some(name)) => Node::Local(name.clone()),
                    (kind, Some(name)) => match declarations.by_name.get(kind).and_then(|names| names.get(name)) {
                        Some(number) => Node::Resource(*number),
                        None => continue,
                    },
                    (kind, None) => Node::Kind(Arc::from(kind)),
                };
                // A resource that names itself is reported as such.
                if let Some(from) = indexes.get(&target)
                    && !(target == node && matches!(node, Node::Resource(_)))
                {
                    graph.update_edge(*from, to, ());
                }
            }
        }
        let mut in_cycle: HashSet<NodeIndex> = HashSet::new();
        if petgraph::algo::toposort(&graph, None).is_err() {
            for members in petgraph::algo::kosaraju_scc(&graph) {
                let alone = members.len() == 1;
                if alone && !graph.contains_edge(members[0], members[0]) {
                    continue;
                }
                self.report_cycle(&graph, &members, &spans);
                in_cycle.extend(members);
            }
            graph.retain_edges(|graph, edge| {
                graph.edge_endpoints(edge).is_none_or(|(a, b)| !(in_cycle.contains(&a) && in_cycle.contains(&b)))
            });
        }
        let order = petgraph::algo::toposort(&graph, None).unwrap_or_default();
        order.into_iter().map(|index| graph[index].clone()).collect()
    }

    /// Names the members of the shortest cycle among these nodes, each with its place.
    fn report_cycle(&mut self, graph: &DiGraph<Node, ()>, members: &[NodeIndex], spans: &[Span]) {
        let within: HashSet<NodeIndex> = members.iter().copied().collect();
        let first = members
            .iter()
            .copied()
            .filter(|index| !matches!(graph[*index], Node::Kind(_)))
            .min_by_key(|index| (spans[index.index()].file, spans[index.index()].start))
            .unwrap_or(members[0]);
        // Breadth first from the first member back to itself.
        let mut came_from: HashMap<NodeIndex, NodeIndex> = HashMap::new();
        let mut queue = std::collections::VecDeque::from([first]);
        let mut last = None;
        'search: while let Some(index) = queue.pop_front() {
            let mut next: Vec<NodeIndex> = graph
                .neighbors_directed(index, petgraph::Direction::Incoming)
                .filter(|next| within.contains(next))
                .collect();
            next.sort();
            for next in next {
                if next == first {
                    last = Some(index);
                    break 'search;
                }
                if let std::collections::hash_map::Entry::Vacant(entry) = came_from.entry(next) {
                    entry.insert(index);
                    queue.push_back(next);
                }
            }
        }
        let mut cycle = Vec::new();
        let mut at = last;
        while let Some(index) = at {
            cycle.push(index);
            at = came_from.get(&index).copied();
        }
        if cycle.last() != Some(&first) {
            cycle.push(first);
        }
        cycle.reverse();
        let name = |index: &NodeIndex| match &graph[*index] {
            Node::Local(name) => format!("local.{name}"),
            Node::Kind(kind) => format!("all of {kind}"),
            Node::Resource(number) => {
                let resource = &self.declarations.resources[*number];
                format!("{}.{}", resource.kind.name(), resource.name)
            }
        };
        let with_place = |index: &NodeIndex| match self.place(spans[index.index()]) {
            Some(place) => format!("{} ({}:{}:{})", name(index), place.file, place.start.line, place.start.column),
            None => name(index),
        };
        let mut row: Vec<String> = cycle.iter().map(with_place).collect();
        row.push(name(&first));
        let detail = format!(
            "Each needs the next one first: {}. Break the circle: write one of the values out, or name what several use \
             in a local value of its own.",
            row.join(" -> ")
        );
        self.report(spans[first.index()], "cycle", "These refer to each other in a circle", detail);
    }
}
