//! The order of evaluation: what is referred to comes first, and circles are reported.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use petgraph::graph::{DiGraph, NodeIndex};

use super::super::modules::ROOT;
use super::super::references::{Reference, in_body, references};
use super::super::source::Span;
use super::calls::named_output;
use super::{World, calls};
use crate::kinds::host;

/// What is evaluated as one thing, in all instances of its module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub module: usize,
    pub thing: Thing,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Thing {
    /// Before anything else of the module.
    Start,
    Variable(Arc<str>),
    Local(Arc<str>),
    Resource(usize),
    /// All resources of a kind.
    Kind(Arc<str>),
    Output(Arc<str>),
    /// The instances of a `module` block.
    Call(Arc<str>),
}

/// The graph as it grows.
struct Graph {
    graph: DiGraph<Node, ()>,
    indexes: HashMap<Node, NodeIndex>,
    spans: Vec<Span>,
}

impl Graph {
    fn add(&mut self, module: usize, thing: Thing, span: Span) -> NodeIndex {
        let node = Node { module, thing };
        let index = self.graph.add_node(node.clone());
        self.indexes.insert(node, index);
        self.spans.push(span);
        index
    }

    fn find(&self, module: usize, thing: Thing) -> Option<NodeIndex> {
        self.indexes.get(&Node { module, thing }).copied()
    }

    /// `first` comes before `then`; one that is not there has no order.
    fn edge(&mut self, first: Option<NodeIndex>, then: NodeIndex) {
        if let Some(first) = first {
            self.graph.add_edge(first, then, ());
        }
    }

    /// Each of `first`, which may hold one twice, comes before `then`.
    fn edges(&mut self, mut first: Vec<NodeIndex>, then: NodeIndex) {
        first.sort_unstable();
        first.dedup();
        first.into_iter().for_each(|first| self.edge(Some(first), then));
    }
}

const NOWHERE: Span = Span { file: u32::MAX, start: 0, end: 0 };

impl World<'_> {
    fn nodes(&self) -> Graph {
        let mut graph = Graph { graph: DiGraph::new(), indexes: HashMap::new(), spans: Vec::new() };
        for (module, found) in self.modules.iter().enumerate() {
            let declarations = &found.declarations;
            let start = graph.add(module, Thing::Start, NOWHERE);
            let mut inner = Vec::new();
            for (name, block) in &declarations.variables {
                inner.push(graph.add(module, Thing::Variable(name.clone()), block.header));
            }
            for (name, local) in &declarations.locals {
                inner.push(graph.add(module, Thing::Local(name.clone()), local.name_span));
            }
            for (number, resource) in declarations.resources.iter().enumerate() {
                inner.push(graph.add(module, Thing::Resource(number), resource.block.header));
            }
            for kind in declarations.by_name.keys().collect::<BTreeSet<_>>() {
                let index = graph.add(module, Thing::Kind(kind.clone()), NOWHERE);
                for number in declarations.by_name[kind].values() {
                    let resource = graph.find(module, Thing::Resource(*number));
                    graph.edge(resource, index);
                }
            }
            for (name, block) in &declarations.outputs {
                inner.push(graph.add(module, Thing::Output(name.clone()), block.header));
            }
            for (name, block) in &declarations.calls {
                inner.push(graph.add(module, Thing::Call(name.clone()), block.header));
            }
            inner.into_iter().for_each(|index| graph.edge(Some(start), index));
        }
        graph
    }

    /// What has to come before something that refers to this.
    fn needed(&self, graph: &Graph, module: usize, reference: &Reference<'_>) -> Vec<NodeIndex> {
        let here = &self.modules[module];
        let one = |thing| graph.find(module, thing).into_iter().collect();
        match (reference.root.as_ref(), &reference.member) {
            ("var", Some(name)) => one(Thing::Variable(name.clone())),
            ("local", Some(name)) => one(Thing::Local(name.clone())),
            ("module", Some(name)) => {
                let (Some(block), Some(child)) = (here.declarations.calls.get(name), here.children.get(name)) else {
                    return Vec::new();
                };
                let outputs = self.modules[*child].declarations.outputs.keys();
                let named = named_output(block, reference);
                let read = outputs.filter(|output| named.is_none_or(|named| named == output.as_ref()));
                let read = read.filter_map(|output| graph.find(*child, Thing::Output(output.clone())));
                graph.find(module, Thing::Call(name.clone())).into_iter().chain(read).collect()
            }
            (kind, Some(name)) => match here.declarations.by_name.get(kind).and_then(|names| names.get(name)) {
                Some(number) => one(Thing::Resource(*number)),
                None => Vec::new(),
            },
            (kind, None) => one(Thing::Kind(Arc::from(kind))),
        }
    }

    /// Everything in a module and in the modules below it.
    fn all_within(&self, graph: &Graph, module: usize) -> Vec<NodeIndex> {
        let mut open = vec![module];
        let mut all = Vec::new();
        while let Some(module) = open.pop() {
            let resources = 0..self.modules[module].declarations.resources.len();
            all.extend(resources.filter_map(|number| graph.find(module, Thing::Resource(number))));
            open.extend(self.modules[module].children.values());
        }
        all
    }

    fn graph(&self) -> Graph {
        let mut graph = self.nodes();
        for (module, found) in self.modules.iter().enumerate() {
            let declarations = &found.declarations;
            let mut readers: Vec<(Thing, Vec<Reference<'_>>)> = Vec::new();
            for (name, local) in &declarations.locals {
                readers.push((Thing::Local(name.clone()), references(&local.value)));
            }
            for (number, resource) in declarations.resources.iter().enumerate() {
                readers.push((Thing::Resource(number), in_body(&resource.block.body)));
            }
            for (name, block) in &declarations.outputs {
                readers.push((Thing::Output(name.clone()), in_body(&block.body)));
            }
            for (name, block) in &declarations.calls {
                // What goes in is needed by the variables of the module, not by the module.
                let own = block.body.attributes.iter().filter(|one| calls::META.contains(&one.name.as_ref()));
                readers.push((Thing::Call(name.clone()), own.flat_map(|one| references(&one.value)).collect()));
            }
            for (thing, references) in readers {
                let Some(then) = graph.find(module, thing.clone()) else { continue };
                let needed = references.iter().flat_map(|reference| self.needed(&graph, module, reference));
                // A resource that names itself is reported as such.
                let needed = needed.filter(|first| *first != then || !matches!(thing, Thing::Resource(_))).collect();
                graph.edges(needed, then);
            }
            let bodies = declarations.resources.iter().map(|resource| &resource.block.body).enumerate();
            let bodies = bodies.map(|(number, body)| (Thing::Resource(number), body));
            let outputs = declarations.outputs.iter().map(|(name, block)| (Thing::Output(name.clone()), &block.body));
            let calls = declarations.calls.iter().map(|(name, block)| (Thing::Call(name.clone()), &block.body));
            for (thing, body) in bodies.chain(outputs).chain(calls) {
                let Some(attribute) = body.attribute("depends_on") else { continue };
                let Some(then) = graph.find(module, thing) else { continue };
                for reference in references(&attribute.value) {
                    let Some(name) = reference.member.as_ref().filter(|_| reference.root.as_ref() == "module") else {
                        continue;
                    };
                    let Some(child) = found.children.get(name) else { continue };
                    let all = self.all_within(&graph, *child);
                    graph.edges(all, then);
                }
            }
            self.inputs(&mut graph, module);
        }
        graph
    }

    /// The calls of a module come before all that is in what they call, and what is given before the variables.
    fn inputs(&self, graph: &mut Graph, module: usize) {
        let found = &self.modules[module];
        for (name, block) in &found.declarations.calls {
            let Some(child) = found.children.get(name).copied() else { continue };
            let call = graph.find(module, Thing::Call(name.clone()));
            if let Some(start) = graph.find(child, Thing::Start) {
                graph.edge(call, start);
            }
            for variable in self.modules[child].declarations.variables.keys() {
                let Some(then) = graph.find(child, Thing::Variable(variable.clone())) else { continue };
                let given = block.body.attribute(variable).filter(|_| !calls::META.contains(&variable.as_ref()));
                let read = given.into_iter().flat_map(|given| references(&given.value));
                let needed = read.flat_map(|reference| self.needed(graph, module, &reference)).collect();
                graph.edges(needed, then);
            }
        }
    }

    /// Everything in an order in which what is referred to comes first. Cycles are reported; what their members get from each
    /// other has no value, which poisons what refers to it.
    pub(super) fn order(&mut self) -> Vec<Node> {
        let Graph { mut graph, spans, .. } = self.graph();
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
        let mut nodes = Vec::with_capacity(order.len());
        for index in order {
            // All resources of a kind are put together where somebody reads them so; hosts always, because their names
            // must differ.
            let is_read = match &graph[index].thing {
                Thing::Kind(kind) => kind.as_ref() == host::NAME || graph.neighbors(index).next().is_some(),
                _ => true,
            };
            if is_read {
                nodes.push(graph[index].clone());
            }
        }
        nodes
    }

    /// Names the members of the shortest cycle among these nodes, each with its place.
    fn report_cycle(&mut self, graph: &DiGraph<Node, ()>, members: &[NodeIndex], spans: &[Span]) {
        let within: HashSet<NodeIndex> = members.iter().copied().collect();
        let first = members
            .iter()
            .copied()
            .filter(|index| !matches!(graph[*index].thing, Thing::Kind(_) | Thing::Start))
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
        let name = |index: &NodeIndex| {
            let Node { module, thing } = &graph[*index];
            let found = &self.modules[*module];
            let path = if *module == ROOT { String::new() } else { format!("{}.", found.address) };
            match thing {
                Thing::Start => found.address.clone(),
                Thing::Variable(name) => format!("{path}var.{name}"),
                Thing::Local(name) => format!("{path}local.{name}"),
                Thing::Kind(kind) => format!("all of {path}{kind}"),
                Thing::Output(name) => format!("{path}output.{name}"),
                Thing::Call(name) => format!("{path}module.{name}"),
                Thing::Resource(number) => {
                    let resource = &found.declarations.resources[*number];
                    format!("{path}{}.{}", resource.kind.name(), resource.name)
                }
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
