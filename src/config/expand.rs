//! The declarations become resource instances: names are checked, everything is evaluated once in the order of its
//! references, and each instance becomes a block of the model and the object that others read.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use petgraph::graph::{DiGraph, NodeIndex};

use super::convert::{convert, with_article};
use super::declare::{Declarations, ROOTS, Resource, address_of, unexpected};
use super::decode;
use super::eval::{Evaluator, Failed, Found, Scope, missing_name, sentence};
use super::number::Number;
use super::references::{Reference, references};
use super::source::{Sources, Span};
use super::syntax::{Attribute as SyntaxAttribute, Block as SyntaxBlock, Body, Expr, Node as SyntaxNode};
use super::types::Type;
use super::value::{Data, Fields, Value};
use super::{Desired, Evaluated, Output, settings, variables};
use crate::kinds::schema::{AttributeSchema, BlockSchema, Type as Wanted};
use crate::model::hazard::Acceptance;
use crate::model::problem::did_you_mean;
use crate::model::{
    Address, Attribute, Block, Blocks, Datum, HazardCode, HostName, Key, Lifecycle, NestedBlock, Place, Problem, Problems,
};

/// The most instances of one block with `count`.
const MOST_INSTANCES: usize = 100_000;

/// The most dependencies of all instances together.
const MOST_DEPENDENCIES: usize = 1_000_000;

/// How deep values may nest, and objects of resources within each other.
const DEEPEST: usize = 200;

/// The most parts of one value.
const LARGEST: usize = 2_000_000;

/// Attributes that every resource block takes.
const META: &[&str] = &["count", "for_each", "depends_on"];

type Addresses = Arc<BTreeSet<Address>>;

/// What is known so far.
pub struct World<'a> {
    declarations: &'a Declarations,
    sources: &'a Sources,
    directory: &'a Path,
    environment: &'a BTreeMap<String, String>,
    facts: Option<&'a BTreeMap<HostName, serde_json::Value>>,
    pub variables: BTreeMap<Arc<str>, Found>,
    locals: HashMap<Arc<str>, (Found, Addresses)>,
    resources: Vec<(Found, Addresses)>,
    kinds: HashMap<Arc<str>, (Found, Addresses)>,
    instances: HashMap<Address, Value>,
    path: Fields,
    pub blocks: Blocks,
    pub problems: Problems,
    wants_facts: bool,
    dependency_count: usize,
}

/// The names that one block sees beyond those of the module.
#[derive(Default, Clone)]
struct Own {
    each: Option<(Value, Value)>,
    count: Option<Value>,
    this: Option<Value>,
}

/// All names of the module and those of a block. A name that is missing here is reported already, where references are
/// checked.
struct Names<'w, 'a> {
    world: &'w World<'a>,
    own: Own,
}

impl Scope for Names<'_, '_> {
    fn whole(&self, root: &str) -> Found {
        match root {
            "each" => match &self.own.each {
                Some((key, value)) => Found::Value(Value::object(Fields::from([
                    (Arc::from("key"), key.clone()),
                    (Arc::from("value"), value.clone()),
                ]))),
                None => Found::Poisoned,
            },
            "count" => match &self.own.count {
                Some(index) => Found::Value(Value::object(Fields::from([(Arc::from("index"), index.clone())]))),
                None => Found::Poisoned,
            },
            "self" => self.own.this.clone().map_or(Found::Poisoned, Found::Value),
            "path" => Found::Value(Value::object(self.world.path.clone())),
            kind => self.world.kinds.get(kind).map_or(Found::Poisoned, |(found, _)| found.clone()),
        }
    }

    fn member(&self, root: &str, name: &str) -> Option<Found> {
        match (root, name) {
            ("var", _) => Some(self.world.variables.get(name).cloned().unwrap_or(Found::Poisoned)),
            ("local", _) => Some(self.world.locals.get(name).map_or(Found::Poisoned, |(found, _)| found.clone())),
            ("each", "key") => self.own.each.as_ref().map(|(key, _)| Found::Value(key.clone())),
            ("each", "value") => self.own.each.as_ref().map(|(_, value)| Found::Value(value.clone())),
            ("count", "index") => self.own.count.clone().map(Found::Value),
            ("each" | "count" | "self" | "path", _) => None,
            (kind, _) => {
                let number = self.world.declarations.by_name.get(kind).and_then(|names| names.get(name));
                Some(number.and_then(|number| self.world.resources.get(*number)).map_or(Found::Poisoned, |(found, _)| found.clone()))
            }
        }
    }

    fn directory(&self) -> &Path {
        self.world.directory
    }

    fn environment(&self) -> &BTreeMap<String, String> {
        self.world.environment
    }
}

/// What is evaluated as one thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Node {
    Local(Arc<str>),
    Resource(usize),
    /// All resources of a kind.
    Kind(Arc<str>),
}

impl<'a> World<'a> {
    pub fn new(
        declarations: &'a Declarations,
        sources: &'a Sources,
        directory: &'a Path,
        environment: &'a BTreeMap<String, String>,
        facts: Option<&'a BTreeMap<HostName, serde_json::Value>>,
        variables: BTreeMap<Arc<str>, Found>,
    ) -> Self {
        let nothing = || (Found::Poisoned, Addresses::default());
        let here = directory.canonicalize().unwrap_or_else(|_| directory.to_path_buf());
        let path = Fields::from([
            (Arc::from("module"), Value::text(".")),
            (Arc::from("root"), Value::text(".")),
            (Arc::from("cwd"), Value::text(&here.to_string_lossy())),
        ]);
        World {
            declarations,
            sources,
            directory,
            environment,
            facts,
            variables,
            locals: HashMap::new(),
            resources: declarations.resources.iter().map(|_| nothing()).collect(),
            kinds: HashMap::new(),
            instances: HashMap::new(),
            path,
            blocks: Blocks::new(),
            problems: Vec::new(),
            wants_facts: false,
            dependency_count: 0,
        }
    }

    /// Evaluates everything.
    pub fn run(mut self, kinds: &[&'static str]) -> (World<'a>, Evaluated) {
        self.check_names(kinds);
        for kind in kinds.iter().filter(|kind| !self.declarations.by_name.contains_key(**kind)) {
            let none = Found::Value(Value::map(Type::Resource(Arc::from(*kind)), Fields::new()));
            self.kinds.insert(Arc::from(*kind), (none, Addresses::default()));
        }
        for node in self.order() {
            match node {
                Node::Local(name) => self.local(&name),
                Node::Resource(number) => self.resource(number),
                Node::Kind(kind) => self.kind(&kind),
            }
        }
        self.validate_variables();
        let settings = self.with_evaluator(Own::default(), |evaluator| {
            settings::read(evaluator, self.declarations.settings.as_ref())
        });
        let outputs = self.outputs();
        self.checks();
        let desired = Desired {
            blocks: std::mem::take(&mut self.blocks),
            outputs,
            settings,
            moved: self.declarations.moved.clone(),
            removed: self.declarations.removed.clone(),
            wants_facts: self.wants_facts,
        };
        let problems = tidy(std::mem::take(&mut self.problems));
        (self, Evaluated { desired, problems })
    }

    /// Calls `work` with an evaluator that sees the names of the module, and keeps the problems.
    fn with_evaluator<T>(&mut self, own: Own, work: impl FnOnce(&mut Evaluator<'_>) -> T) -> T {
        let (result, mut problems) = {
            let names = Names { world: self, own };
            let mut evaluator = Evaluator::new(&names, self.sources);
            let result = work(&mut evaluator);
            (result, std::mem::take(&mut evaluator.problems))
        };
        self.problems.append(&mut problems);
        result
    }

    /// One expression in the scope of the module, for the console.
    pub fn expression(&mut self, expr: &Expr, sources: &Sources, kinds: &[&'static str]) -> Result<Value, Problems> {
        let mut problems = Vec::new();
        for reference in references(expr) {
            if let Some(problem) = self.reference(&reference, kinds, Own::default(), None) {
                problems.push(problem.at(sources.place(reference.span).as_ref()));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let names = Names { world: self, own: Own::default() };
        let mut evaluator = Evaluator::new(&names, sources);
        match evaluator.eval(expr) {
            Ok(value) => Ok(value),
            Err(Failed::Reported) => Err(tidy(std::mem::take(&mut evaluator.problems))),
            Err(Failed::Poisoned) if !evaluator.problems.is_empty() => Err(tidy(std::mem::take(&mut evaluator.problems))),
            Err(Failed::Poisoned) => Err(vec![Problem::error(
                "in-error",
                "What this refers to is in error",
                "Mend the problems of the configuration first; `larder validate` shows them.",
            )]),
        }
    }

    fn place(&self, span: Span) -> Option<Place> {
        self.sources.place(span)
    }

    fn report(&mut self, span: Span, code: &str, summary: impl Into<String>, detail: impl Into<String>) {
        let problem = Problem::error(code, summary, detail).at(self.place(span).as_ref());
        self.problems.push(problem);
    }

    /// Reports references to nothing, and poisons whatever holds one.
    fn check_names(&mut self, kinds: &[&'static str]) {
        let declarations = self.declarations;
        let mut found = Vec::new();
        for local in declarations.locals.values() {
            self.check_expr(&local.value, kinds, Own::default(), None, &mut found);
        }
        for (number, resource) in declarations.resources.iter().enumerate() {
            let body = &resource.block.body;
            let known = Value::unknown();
            let own = Own {
                each: body.attribute("for_each").map(|_| (known.clone(), known.clone())),
                count: body.attribute("count").map(|_| known.clone()),
                this: None,
            };
            for attribute in &body.attributes {
                // What makes the instances cannot depend on which instance it is.
                let own = if META.contains(&attribute.name.as_ref()) { Own::default() } else { own.clone() };
                if attribute.name.as_ref() != "depends_on" {
                    self.check_expr(&attribute.value, kinds, own, Some(number), &mut found);
                }
            }
            for block in &body.blocks {
                if block.word.as_ref() == "lifecycle" {
                    self.check_lifecycle(block, kinds, &own, number, &mut found);
                } else {
                    for expr in block.body.expressions() {
                        self.check_expr(expr, kinds, own.clone(), Some(number), &mut found);
                    }
                }
            }
        }
        let others = declarations.outputs.values().chain(declarations.checks.values()).chain(&declarations.settings);
        for block in others {
            for expr in block.body.expressions() {
                if block.body.attribute("depends_on").is_none_or(|attribute| !std::ptr::eq(&attribute.value, expr)) {
                    self.check_expr(expr, kinds, Own::default(), None, &mut found);
                }
            }
        }
        for variable in declarations.variables.values() {
            for validation in variable.body.blocks("validation") {
                for expr in validation.body.expressions() {
                    self.check_expr(expr, kinds, Own::default(), None, &mut found);
                }
            }
        }
        self.problems.append(&mut found);
    }

    fn check_lifecycle(
        &self,
        block: &SyntaxBlock,
        kinds: &[&'static str],
        own: &Own,
        number: usize,
        found: &mut Problems,
    ) {
        for attribute in &block.body.attributes {
            if attribute.name.as_ref() == "prevent_destroy" {
                self.check_expr(&attribute.value, kinds, Own::default(), Some(number), found);
            }
        }
        for condition in &block.body.blocks {
            let this = (condition.word.as_ref() == "postcondition").then(Value::unknown);
            let own = Own { this, ..own.clone() };
            for expr in condition.body.expressions() {
                self.check_expr(expr, kinds, own.clone(), Some(number), found);
            }
        }
    }

    fn check_expr(
        &self,
        expr: &Expr,
        kinds: &[&'static str],
        own: Own,
        within: Option<usize>,
        found: &mut Problems,
    ) {
        for reference in references(expr) {
            if let Some(problem) = self.reference(&reference, kinds, own.clone(), within) {
                found.push(problem.at(self.place(reference.span).as_ref()));
            }
        }
    }

    /// What is wrong with a reference, if anything.
    fn reference(
        &self,
        reference: &Reference<'_>,
        kinds: &[&'static str],
        own: Own,
        within: Option<usize>,
    ) -> Option<Problem> {
        let root = reference.root.as_ref();
        let names = |names: Vec<&str>, what: &str, name: &str| missing_name("The configuration", what, name, &names);
        let wrong = |summary: &str, detail: &str| Some(Problem::error("invalid-reference", summary, detail));
        match (root, reference.member.as_deref()) {
            ("var", Some(name)) if !self.declarations.variables.contains_key(name) => {
                let known = self.declarations.variables.keys().map(|known| known.as_ref()).collect();
                let summary = format!("There is no variable `{name}`");
                let detail = names(known, "variable", name);
                Some(Problem::error("reference-to-undeclared-input-variable", summary, detail))
            }
            ("local", Some(name)) if !self.declarations.locals.contains_key(name) => {
                let known = self.declarations.locals.keys().map(|known| known.as_ref()).collect();
                let summary = format!("There is no local value `{name}`");
                let detail = names(known, "local value", name);
                Some(Problem::error("reference-to-undeclared-local-value", summary, detail))
            }
            ("var" | "local", Some(_)) => None,
            ("var" | "local", None) => {
                wrong(&format!("`{root}` cannot stand alone"), &format!("Name one of its values: `{root}.NAME`."))
            }
            ("each", _) if own.each.is_none() => {
                wrong("`each` has no meaning here", "It is the instance of a block with `for_each`.")
            }
            ("each", Some(name)) if !["key", "value"].contains(&name) => {
                wrong("`each` has no such attribute", "There are `each.key` and `each.value`.")
            }
            ("count", _) if own.count.is_none() => {
                wrong("`count` has no meaning here", "It is the instance of a block with `count`.")
            }
            ("count", Some(name)) if name != "index" => wrong("`count` has no such attribute", "There is `count.index`."),
            ("self", _) if own.this.is_none() => {
                wrong("`self` has no meaning here", "It is the resource itself in its `postcondition`.")
            }
            ("path", Some(name)) if !self.path.contains_key(name) => {
                wrong("`path` has no such attribute", "There are `path.module`, `path.root` and `path.cwd`.")
            }
            ("each" | "count" | "self" | "path", _) => None,
            ("module", _) => {
                Some(Problem::error("not-supported", "Modules are not supported yet", "Write the blocks of the module here."))
            }
            (kind, member) if kinds.contains(&kind) => {
                let known = self.declarations.by_name.get(kind);
                let Some(name) = member else {
                    return None;
                };
                match known.and_then(|known| known.get(name)) {
                    None => {
                        let known = known.into_iter().flat_map(|known| known.keys()).map(|name| name.as_ref()).collect();
                        let summary = format!("There is no resource `{kind}.{name}`");
                        let detail = names(known, kind, name);
                        Some(Problem::error("reference-to-undeclared-resource", summary, detail))
                    }
                    Some(number) if Some(*number) == within => {
                        let detail = "A value cannot be computed from itself. Name what both use in `locals`.";
                        let summary = format!("`{kind}.{name}` refers to itself");
                        Some(Problem::error("self-reference", summary, detail))
                    }
                    Some(_) => None,
                }
            }
            (_, None) => {
                let known = ROOTS.iter().chain(kinds).copied();
                let detail = match did_you_mean(root, known) {
                    Some(close) => format!("Nothing is called `{root}`. Did you mean `{close}`?"),
                    None => format!("Nothing is called `{root}`. A text is written in quotes: `\"{root}\"`."),
                };
                Some(Problem::error("invalid-reference", "Nothing has this name", detail))
            }
            (_, Some(_)) => {
                let detail = match did_you_mean(root, ROOTS.iter().chain(kinds).copied()) {
                    Some(close) => format!("There is no kind of resource `{root}`. Did you mean `{close}`?"),
                    None => format!("There is no kind of resource `{root}`."),
                };
                let summary = format!("`{root}` is no kind of resource");
                Some(Problem::error("reference-to-undeclared-resource", summary, detail))
            }
        }
    }

    /// The expressions of a resource, `depends_on` too.
    fn expressions_of(resource: &Resource) -> Vec<&Expr> {
        resource.block.body.expressions()
    }

    /// Everything in an order in which what is referred to comes first. Members of cycles are reported and left out,
    /// which poisons what refers to them.
    fn order(&mut self) -> Vec<Node> {
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
        let mut nodes = Vec::with_capacity(order.len());
        for index in order {
            match (in_cycle.contains(&index), &graph[index]) {
                (false, node) => nodes.push(node.clone()),
                (true, Node::Local(name)) => {
                    self.locals.insert(name.clone(), (Found::Poisoned, Addresses::default()));
                }
                (true, Node::Kind(kind)) => {
                    self.kinds.insert(kind.clone(), (Found::Poisoned, Addresses::default()));
                }
                (true, Node::Resource(_)) => {}
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
            .filter(|index| !matches!(graph[*index], Node::Kind(_)))
            .min_by_key(|index| (spans[index.index()].file, spans[index.index()].start))
            .unwrap_or(members[0]);
        // Breadth first from the first member back to itself.
        let mut came_from: HashMap<NodeIndex, NodeIndex> = HashMap::new();
        let mut queue = std::collections::VecDeque::from([first]);
        let mut last = None;
        'search: while let Some(index) = queue.pop_front() {
            let mut next: Vec<NodeIndex> =
                graph.neighbors_directed(index, petgraph::Direction::Incoming).filter(|next| within.contains(next)).collect();
            next.sort();
            for next in next {
                if next == first {
                    last = Some(index);
                    break 'search;
                }
                if !came_from.contains_key(&next) {
                    came_from.insert(next, index);
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

    fn local(&mut self, name: &Arc<str>) {
        let Some(local) = self.declarations.locals.get(name) else { return };
        let value = self.with_evaluator(Own::default(), |evaluator| evaluator.eval(&local.value));
        let dependencies = Arc::new(self.dependencies([&local.value], &Own::default()));
        let mut found = value.map_or(Found::Poisoned, Found::Value);
        // Values grow from one local value to the next beyond what any expression could write.
        if let Found::Value(value) = &found
            && !value.fits(DEEPEST, LARGEST)
        {
            let detail = format!("A value may nest {DEEPEST} levels deep and have {LARGEST} parts.");
            self.report(local.value.span, "too-complex", "This value is too large", detail);
            found = Found::Poisoned;
        }
        self.locals.insert(name.clone(), (found, dependencies));
    }

    /// All resources that the expressions refer to, through local values too.
    fn dependencies<'e>(&self, expressions: impl IntoIterator<Item = &'e Expr>, own: &Own) -> BTreeSet<Address> {
        let mut addresses = BTreeSet::new();
        for reference in expressions.into_iter().flat_map(references) {
            match (reference.root.as_ref(), reference.member.as_deref()) {
                ("local", Some(name)) => {
                    if let Some((_, of_local)) = self.locals.get(name) {
                        addresses.extend(of_local.iter().cloned());
                    }
                }
                (kind, Some(name)) => {
                    let Some(number) = self.declarations.by_name.get(kind).and_then(|names| names.get(name)) else {
                        continue;
                    };
                    let of_block = &self.resources[*number].1;
                    match reference.key.and_then(|key| self.key(key, own)) {
                        Some(key) => {
                            let address = Address::root(kind, name).keyed(key);
                            if of_block.contains(&address) {
                                addresses.insert(address);
                            }
                        }
                        None => addresses.extend(of_block.iter().cloned()),
                    }
                }
                (kind, None) => {
                    if let Some((_, of_kind)) = self.kinds.get(kind) {
                        addresses.extend(of_kind.iter().cloned());
                    }
                }
            }
        }
        addresses
    }

    /// All resources that an instance depends on. Where `for_each` gives each instance a resource, it depends on that one,
    /// else on all that `for_each` refers to.
    fn instance_dependencies(
        &mut self,
        resource: &Resource,
        own: &Own,
        depends_on: &BTreeSet<Address>,
    ) -> Option<BTreeSet<Address>> {
        let body = &resource.block.body;
        let given = own.each.as_ref().and_then(|(_, value)| value.identity());
        let for_each = body.attribute("for_each").map(|attribute| &attribute.value);
        let is_narrowed = |expr: &&Expr| given.is_some() && for_each.is_some_and(|for_each| std::ptr::eq(*expr, for_each));
        let expressions = Self::expressions_of(resource).into_iter().filter(|expr| !is_narrowed(expr));
        let mut dependencies = self.dependencies(expressions, own);
        dependencies.extend(given.map(|address| address.as_ref().clone()));
        dependencies.extend(depends_on.iter().cloned());
        self.dependency_count += dependencies.len();
        if self.dependency_count > MOST_DEPENDENCIES {
            let span = for_each.map_or(resource.block.header, |for_each| for_each.span);
            let detail = format!(
                "The instances of the configuration depend on each other in more than {MOST_DEPENDENCIES} ways. Give                  `for_each` the resources themselves as values, so that each instance depends on its own only."
            );
            self.report(span, "too-complex", "There are too many dependencies", detail);
            return None;
        }
        Some(dependencies)
    }

    /// The key that an index means, where that can be told in this scope.
    fn key(&self, expr: &Expr, own: &Own) -> Option<Key> {
        let names = Names { world: self, own: own.clone() };
        let mut evaluator = Evaluator::new(&names, self.sources);
        let value = evaluator.eval(expr).ok()?;
        match &value.data {
            Data::Text(text) => Some(Key::Text(text.to_string())),
            Data::Number(number) => number.to_u64().map(Key::Index),
            _ => None,
        }
    }

    /// All resources of a kind by name, those of blocks with instances each under its own name.
    fn kind(&mut self, kind: &str) {
        let mut fields = Fields::new();
        let mut addresses = BTreeSet::new();
        let mut state = Found::Value(Value::null());
        for number in self.declarations.by_name.get(kind).into_iter().flat_map(|names| names.values()) {
            let (found, of_block) = &self.resources[*number];
            match found {
                Found::Value(value) if value.is_unknown() => {
                    if !matches!(state, Found::Poisoned) {
                        state = Found::Value(Value::unknown());
                    }
                }
                Found::Value(_) => {}
                _ => state = Found::Poisoned,
            }
            for address in of_block.iter() {
                let Some(value) = self.instances.get(address) else { continue };
                let name: Arc<str> = Arc::from(address.default_name());
                let name = match fields.contains_key(&name) {
                    // Another block is called like this instance.
                    true => Arc::from(address.to_string().split_off(kind.len() + 1)),
                    false => name,
                };
                fields.insert(name, value.clone());
            }
            addresses.extend(of_block.iter().cloned());
        }
        let ty = Type::Resource(Arc::from(kind));
        let found = match state {
            Found::Value(value) if value.is_null() => Found::Value(Value::map(ty, fields)),
            Found::Value(_) => Found::Value(Value::unknown_of(Type::map(ty))),
            other => other,
        };
        self.kinds.insert(Arc::from(kind), (found, Arc::new(addresses)));
    }

    fn resource(&mut self, number: usize) {
        let resource = &self.declarations.resources[number];
        let before = self.error_count();
        let static_problems = self.check_block(resource);
        let instances = self.instances_of(resource);
        let depends_on = self.depends_on(&resource.block.body);
        let poisoned_dependency = depends_on.is_none();
        let Ok(instances) = instances else { return };
        let block = Address::root(resource.kind.name(), &resource.name);
        let Some(instances) = instances else {
            self.wants_facts = true;
            self.resources[number] = (Found::Value(Value::unknown()), Addresses::default());
            return;
        };
        let depends_on = depends_on.unwrap_or_default();
        let mut values: Vec<(Option<Key>, Value)> = Vec::with_capacity(instances.len());
        let mut failed = static_problems || poisoned_dependency;
        for (key, own) in &instances {
            let address = match key {
                Some(key) => block.clone().keyed(key.clone()),
                None => block.clone(),
            };
            match self.instance(resource, address, own, &depends_on) {
                Some(value) => values.push((key.clone(), value)),
                None => failed = true,
            }
        }
        if failed || self.error_count() > before {
            return;
        }
        let addresses = instances.iter().map(|(key, _)| match key {
            Some(key) => block.clone().keyed(key.clone()),
            None => block.clone(),
        });
        let addresses = Arc::new(addresses.collect());
        let value = self.block_value(resource, values);
        self.resources[number] = (Found::Value(value), addresses);
    }

    fn error_count(&self) -> usize {
        self.problems.iter().filter(|problem| problem.is_error()).count()
    }

    /// The value of a block: one object, a tuple for `count`, a map for `for_each`.
    fn block_value(&self, resource: &Resource, values: Vec<(Option<Key>, Value)>) -> Value {
        let body = &resource.block.body;
        if body.attribute("for_each").is_some() {
            let fields = values.into_iter().filter_map(|(key, value)| match key {
                Some(Key::Text(text)) => Some((Arc::from(text), value)),
                _ => None,
            });
            return Value::map(Type::Resource(Arc::from(resource.kind.name())), fields.collect());
        }
        if body.attribute("count").is_some() {
            let ty = Type::Resource(Arc::from(resource.kind.name()));
            return Value::list(ty, values.into_iter().map(|(_, value)| value).collect());
        }
        values.into_iter().next().map_or_else(Value::null, |(_, value)| value)
    }

    /// Reports what the schema does not know; true if there is anything.
    fn check_block(&mut self, resource: &Resource) -> bool {
        let schema = resource.kind.schema();
        let body = &resource.block.body;
        let owner = format!("`{}`", resource.kind.name());
        let attributes: Vec<&str> =
            schema.attributes.iter().map(|attribute| attribute.name).chain(META.iter().copied()).collect();
        let blocks: Vec<&str> = schema.blocks.iter().map(|block| block.name).chain(["lifecycle"]).collect();
        let mut problems = unexpected(self.sources, body, &attributes, &blocks, &owner);
        for block in &body.blocks {
            if let Some(nested) = schema.blocks.iter().find(|known| known.name == block.word.as_ref()) {
                let known: Vec<&str> = nested.attributes.iter().map(|attribute| attribute.name).collect();
                problems.extend(unexpected(self.sources, &block.body, &known, &[], &format!("`{}`", nested.name)));
                if let Some((_, span)) = block.labels.first() {
                    let detail = format!("Write `{} {{ ... }}`.", nested.name);
                    let problem = Problem::error("wrong-labels", format!("`{}` has no label", nested.name), detail);
                    problems.push(problem.at(self.place(*span).as_ref()));
                }
            }
            let may_repeat = schema.blocks.iter().any(|known| known.many && known.name == block.word.as_ref());
            let first = body.blocks(&block.word).next();
            if let Some(first) = first
                && !may_repeat
                && !std::ptr::eq(first, block)
            {
                let at = self.place(first.header).map_or(String::new(), |place| format!("line {}", place.start.line));
                let detail = format!("The first is in {at}. Put both into one, or remove one.");
                let summary = format!("There are two `{}` blocks", block.word);
                let problem = Problem::error("duplicate-block", summary, detail);
                problems.push(problem.at(self.place(block.header).as_ref()));
            }
        }
        if let (Some(count), Some(_)) = (body.attribute("count"), body.attribute("for_each")) {
            let detail = "A block has instances by number or by key. Remove one of the two.";
            let problem = Problem::error("invalid-count", "`count` and `for_each` exclude each other", detail);
            problems.push(problem.at(self.place(count.name_span).as_ref()));
        }
        let found = !problems.is_empty();
        self.problems.append(&mut problems);
        found
    }

    /// The resources of `depends_on`; `None` if one of them is in error.
    fn depends_on(&mut self, body: &Body) -> Option<BTreeSet<Address>> {
        const CODE: &str = "invalid-depends-on";
        let Some(attribute) = body.attribute("depends_on") else { return Some(BTreeSet::new()) };
        let SyntaxNode::Tuple(elements) = &attribute.value.node else {
            let detail = "Write it like `depends_on = [iscsi_target.array]`.";
            self.report(attribute.value.span, CODE, "`depends_on` is not a list", detail);
            return None;
        };
        let mut addresses = BTreeSet::new();
        let mut fits = true;
        for element in elements {
            let Ok(address) = address_of(self.sources, element) else {
                let detail = "Each element is a resource: `KIND.NAME`, or one instance: `KIND.NAME[\"key\"]`.";
                self.report(element.span, CODE, "This is not a resource", detail);
                fits = false;
                continue;
            };
            let number =
                self.declarations.by_name.get(address.kind.as_str()).and_then(|names| names.get(address.name.as_str()));
            let Some(number) = number else {
                let known: Vec<String> = self
                    .declarations
                    .resources
                    .iter()
                    .map(|resource| format!("{}.{}", resource.kind.name(), resource.name))
                    .collect();
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let detail = missing_name("The configuration", "resource", &address.block().to_string(), &known);
                let summary = format!("There is no resource `{}`", address.block());
                self.report(element.span, "reference-to-undeclared-resource", summary, detail);
                fits = false;
                continue;
            };
            let (found, of_block) = &self.resources[*number];
            if matches!(found, Found::Poisoned) {
                fits = false;
            }
            match address.key {
                Some(_) if of_block.contains(&address) => {
                    addresses.insert(address);
                }
                Some(_) if !of_block.is_empty() => {
                    let detail = format!("`{}` has no such instance.", address.block());
                    self.report(element.span, CODE, format!("There is no `{address}`"), detail);
                    fits = false;
                }
                _ => addresses.extend(of_block.iter().cloned()),
            }
        }
        fits.then_some(addresses)
    }

    /// The keys of the instances and what each sees; `Ok(None)` while they are not known.
    fn instances_of(&mut self, resource: &Resource) -> Result<Option<Vec<(Option<Key>, Own)>>, ()> {
        let body = &resource.block.body;
        if let Some(attribute) = body.attribute("for_each") {
            let value = self.with_evaluator(Own::default(), |evaluator| evaluator.eval(&attribute.value));
            return self.for_each(attribute, value.map_err(drop)?);
        }
        if let Some(attribute) = body.attribute("count") {
            let value = self.with_evaluator(Own::default(), |evaluator| evaluator.eval(&attribute.value));
            return self.count(attribute, value.map_err(drop)?);
        }
        Ok(Some(vec![(None, Own::default())]))
    }

    fn not_known(&mut self, attribute: &SyntaxAttribute) -> Result<Option<Vec<(Option<Key>, Own)>>, ()> {
        if self.facts.is_none() {
            return Ok(None);
        }
        let detail = "Which instances there are must be known when planning. It depends on facts of a host that could \
                      not be asked.";
        self.report(attribute.value.span, "unknown-instances", format!("`{}` is not known", attribute.name), detail);
        Err(())
    }

    fn for_each(
        &mut self,
        attribute: &SyntaxAttribute,
        value: Value,
    ) -> Result<Option<Vec<(Option<Key>, Own)>>, ()> {
        const CODE: &str = "invalid-for-each";
        let span = attribute.value.span;
        let keys_are_secret = match &value.data {
            Data::Set(..) => value.is_sensitive_anywhere(),
            _ => value.sensitive,
        };
        if keys_are_secret {
            let detail = "Keys are part of addresses, which are shown. Use keys that are no secret, or `nonsensitive`.";
            self.report(span, CODE, "The keys of `for_each` are sensitive", detail);
            return Err(());
        }
        if value.is_null() {
            self.report(span, CODE, "`for_each` is null", "Give it a map or a set; `{}` and `[]` make no instance.");
            return Err(());
        }
        let own = |key: &Arc<str>, value: &Value| {
            let each = (Data::Text(key.clone()).into(), value.clone());
            (Some(Key::Text(key.to_string())), Own { each: Some(each), ..Own::default() })
        };
        match &value.data {
            Data::Unknown(_) => self.not_known(attribute),
            Data::Map(_, fields) => Ok(Some(fields.iter().map(|(key, value)| own(key, value)).collect())),
            Data::Object(object) if object.identity.is_none() => {
                Ok(Some(object.fields.iter().map(|(key, value)| own(key, value)).collect()))
            }
            Data::Set(_, elements) => {
                if elements.iter().any(Value::is_unknown) {
                    return self.not_known(attribute);
                }
                let keys: Option<Vec<_>> = elements.iter().map(|element| element.as_text().map(|key| own(key, element))).collect();
                keys.map(Some).ok_or_else(|| {
                    let detail = "A set for `for_each` holds texts. For other elements make a map with \
                                  `{ for x in ... : x.name => x }`.";
                    self.report(span, CODE, "The elements are no texts", detail);
                })
            }
            _ => {
                let detail = match value.ty() {
                    Type::List(_) | Type::Tuple(_) => {
                        "It is a list. Make it a set with `toset(...)`, or a map with `{ for x in ... : x.name => x }`.".to_owned()
                    }
                    other => format!("It is {}. A map or a set of texts is required.", with_article(&other)),
                };
                self.report(span, CODE, "`for_each` needs a map or a set of texts", detail);
                Err(())
            }
        }
    }

    fn count(&mut self, attribute: &SyntaxAttribute, value: Value) -> Result<Option<Vec<(Option<Key>, Own)>>, ()> {
        const CODE: &str = "invalid-count";
        let span = attribute.value.span;
        if value.sensitive {
            let detail = "The number of instances is shown. Use a number that is no secret, or `nonsensitive`.";
            self.report(span, CODE, "`count` is sensitive", detail);
            return Err(());
        }
        if value.is_unknown() {
            return self.not_known(attribute);
        }
        let number = convert(&value, &Type::Number).ok();
        let count = number.and_then(|value| usize::try_from(value.as_number()?.to_u64()?).ok());
        let Some(count) = count.filter(|count| *count <= MOST_INSTANCES) else {
            let detail = format!("A whole number from 0 to {MOST_INSTANCES} is required.");
            self.report(span, CODE, "This cannot be a count", detail);
            return Err(());
        };
        Ok(Some(
            (0..count)
                .map(|index| {
                    let own = Own { count: Some(Value::count(index)), ..Own::default() };
                    (Some(Key::Index(index as u64)), own)
                })
                .collect(),
        ))
    }

    /// One instance: its block goes to `blocks`, its object is returned. `None` if it is in error.
    fn instance(
        &mut self,
        resource: &Resource,
        address: Address,
        own: &Own,
        depends_on: &BTreeSet<Address>,
    ) -> Option<Value> {
        let schema = resource.kind.schema();
        let body = &resource.block.body;
        let mut originals = BTreeMap::new();
        let mut fits = true;
        let decoded = self.with_evaluator(own.clone(), |evaluator| {
            let attributes = attributes(evaluator, schema.attributes, body, resource.block.header, &mut originals);
            fits &= attributes.is_some();
            let mut blocks = Vec::new();
            for block in &body.blocks {
                let Some(nested) = schema.blocks.iter().find(|known| known.name == block.word.as_ref()) else { continue };
                match nested_block(evaluator, nested, block) {
                    Some(block) => blocks.push(block),
                    None => fits = false,
                }
            }
            (attributes.unwrap_or_default(), blocks)
        });
        let (attributes, blocks) = decoded;
        let lifecycle = self.lifecycle(resource, own);
        let (Some(lifecycle), true) = (lifecycle, fits) else { return None };
        let dependencies = self.instance_dependencies(resource, own, depends_on)?;
        let place = self.place(resource.block.header);
        let mut block =
            Block { address: address.clone(), attributes, blocks, depends_on: dependencies, lifecycle, place };
        let mut problems = resource.kind.complete(&mut block, &self.blocks);
        for problem in &mut problems {
            if problem.place.is_none() {
                problem.place = block.place.clone();
            }
        }
        let failed = problems.iter().any(Problem::is_error);
        self.problems.append(&mut problems);
        if failed {
            return None;
        }
        if block.has_unknown() {
            self.wants_facts = true;
            if resource.kind.name() == "host" && self.facts.is_none() {
                let unknown = block.attributes.iter().find(|(_, attribute)| attribute.value == Datum::Unknown);
                let span = unknown
                    .and_then(|(name, _)| body.attribute(name))
                    .map_or(resource.block.header, |attribute| attribute.value.span);
                let detail = "Hosts are evaluated before any of them is asked, so nothing in a `host` block can depend on \
                              facts.";
                self.report(span, "host-needs-facts", format!("`{address}` depends on facts of a host"), detail);
                return None;
            }
        }
        let value = self.object(resource, &block, &originals);
        if !value.fits(DEEPEST, LARGEST) {
            let detail = format!("Resources may refer to each other {DEEPEST} levels deep.");
            self.report(resource.block.header, "too-complex", "This is nested too deeply", detail);
            return None;
        }
        self.blocks.insert(address.clone(), block);
        self.instances.insert(address, value.clone());
        self.postconditions(resource, own, &value).then_some(value)
    }

    /// The object that others read.
    fn object(&self, resource: &Resource, block: &Block, originals: &BTreeMap<&'static str, Value>) -> Value {
        let schema = resource.kind.schema();
        let mut fields = self.fields(schema.attributes, &block.attributes, originals);
        let nothing = BTreeMap::new();
        for nested in schema.blocks {
            let mut objects = block
                .blocks
                .iter()
                .filter(|block| block.name == nested.name)
                .map(|block| Value::object(self.fields(nested.attributes, &block.attributes, &nothing)));
            let value = match nested.many {
                true => Value::tuple(objects.collect()),
                false => objects.next().unwrap_or_else(Value::null),
            };
            fields.insert(Arc::from(nested.name), value);
        }
        if resource.kind.name() == "host" {
            let name = block.address.default_name();
            let facts = match self.facts.and_then(|facts| facts.get(&HostName(name.clone()))) {
                Some(facts) => Value::from_json(facts),
                None => Value::unknown(),
            };
            fields.insert(Arc::from("name"), Value::text(&name));
            fields.insert(Arc::from("facts"), facts);
        }
        Value::resource(Arc::new(block.address.clone()), fields)
    }

    fn fields(
        &self,
        schema: &'static [AttributeSchema],
        attributes: &BTreeMap<String, Attribute>,
        originals: &BTreeMap<&'static str, Value>,
    ) -> Fields {
        let resource = |address: &Address| self.instances.get(address).cloned().unwrap_or_else(Value::unknown);
        let mut fields = Fields::new();
        for known in schema {
            let attribute = attributes.get(known.name);
            let value = match (known.ty, originals.get(known.name)) {
                // JSON would round what the configuration says exactly.
                (Wanted::Any, Some(original)) => original.clone(),
                _ => decode::value(known.ty, attribute.map(|attribute| &attribute.value), &resource),
            };
            let sensitive = attribute.is_some_and(|attribute| attribute.sensitive);
            fields.insert(Arc::from(known.name), value.marked(sensitive));
        }
        fields
    }

    /// The `lifecycle` block, with its preconditions checked. `None` if it is in error or a condition does not hold.
    fn lifecycle(&mut self, resource: &Resource, own: &Own) -> Option<Lifecycle> {
        let mut lifecycle = Lifecycle::default();
        let Some(block) = resource.block.body.blocks("lifecycle").next() else { return Some(lifecycle) };
        const ATTRIBUTES: &[&str] = &["prevent_destroy", "ignore_changes", "accept"];
        const BLOCKS: &[&str] = &["precondition", "postcondition"];
        let problems = unexpected(self.sources, &block.body, ATTRIBUTES, BLOCKS, "`lifecycle`");
        let mut fits = problems.is_empty();
        self.problems.extend(problems);
        if let Some(attribute) = block.body.attribute("prevent_destroy") {
            let value = self.with_evaluator(own.clone(), |evaluator| {
                evaluator.eval_as(&attribute.value, &Type::Bool, "wrong-type", "`prevent_destroy` cannot be this")
            });
            match value.map(|value| value.as_bool()) {
                Ok(Some(value)) => lifecycle.prevent_destroy = value,
                Ok(None) => {
                    let detail = "`true` or `false` is required, known before any host is asked.";
                    self.report(attribute.value.span, "wrong-type", "`prevent_destroy` cannot be this", detail);
                    fits = false;
                }
                Err(_) => fits = false,
            }
        }
        if let Some(attribute) = block.body.attribute("ignore_changes") {
            match self.ignored(resource, attribute) {
                Some(names) => lifecycle.ignore_changes = names,
                None => fits = false,
            }
        }
        if let Some(attribute) = block.body.attribute("accept") {
            match self.accepted(attribute, own) {
                Some(codes) => lifecycle.accept = codes,
                None => fits = false,
            }
        }
        for condition in block.body.blocks("precondition") {
            fits &= self.condition(condition, own, "precondition-failed", &resource_name(resource)) != Some(false);
        }
        fits.then_some(lifecycle)
    }

    fn ignored(&mut self, resource: &Resource, attribute: &SyntaxAttribute) -> Option<BTreeSet<String>> {
        const CODE: &str = "invalid-ignore-changes";
        let schema = resource.kind.schema();
        let known: Vec<&str> = schema.attributes.iter().map(|attribute| attribute.name).collect();
        if attribute.value.words().is_some_and(|words| words.len() == 1 && words[0].as_ref() == "all") {
            return Some(known.into_iter().map(str::to_owned).collect());
        }
        let SyntaxNode::Tuple(elements) = &attribute.value.node else {
            let detail = "Write it like `ignore_changes = [mode]`.";
            self.report(attribute.value.span, CODE, "`ignore_changes` is not a list", detail);
            return None;
        };
        let mut names = BTreeSet::new();
        let mut fits = true;
        for element in elements {
            let name = match (element.words(), element.literal_text()) {
                (Some(words), _) if words.len() == 1 => words[0].to_string(),
                (_, Some(text)) => text.to_string(),
                _ => String::new(),
            };
            let is_block = schema.blocks.iter().any(|block| block.name == name);
            if known.contains(&name.as_str()) || is_block {
                names.insert(name);
                continue;
            }
            let detail = missing_name(&format!("`{}`", resource.kind.name()), "attribute", &name, &known);
            self.report(element.span, CODE, "This is no attribute of the resource", detail);
            fits = false;
        }
        fits.then_some(names)
    }

    fn accepted(&mut self, attribute: &SyntaxAttribute, own: &Own) -> Option<BTreeSet<HazardCode>> {
        const CODE: &str = "invalid-accept";
        let value = self
            .with_evaluator(own.clone(), |evaluator| {
                let ty = Type::list(Type::Text);
                evaluator.eval_as(&attribute.value, &ty, CODE, "`accept` is a list of codes of hazards")
            })
            .ok()?;
        let mut codes = BTreeSet::new();
        let mut fits = true;
        let Some(elements) = value.elements().filter(|_| !value.has_unknown()) else {
            let detail = "What is accepted is written out; it cannot depend on facts.";
            self.report(attribute.value.span, CODE, "`accept` is not known", detail);
            return None;
        };
        for element in elements.iter() {
            let text = element.as_text().map_or("", |text| text);
            let span = match &attribute.value.node {
                SyntaxNode::Tuple(exprs) => {
                    let same = |expr: &&Expr| expr.literal_text().is_some_and(|literal| literal.as_ref() == text);
                    exprs.iter().find(same).map_or(attribute.value.span, |expr| expr.span)
                }
                _ => attribute.value.span,
            };
            match HazardCode::parse(text) {
                Some(code) if code.acceptance() != Acceptance::Never => {
                    codes.insert(code);
                }
                Some(code) => {
                    let detail = format!("{}. This hazard is never accepted: mend its cause.", sentence(code.meaning()));
                    self.report(span, CODE, format!("`{code}` cannot be accepted"), detail);
                    fits = false;
                }
                None => {
                    let known: Vec<&str> = HazardCode::all()
                        .filter(|code| code.acceptance() != Acceptance::Never)
                        .map(HazardCode::as_str)
                        .collect();
                    let detail = missing_name("Larder", "hazard", text, &known);
                    self.report(span, CODE, "This is not a code of a hazard", detail);
                    fits = false;
                }
            }
        }
        fits.then_some(codes)
    }

    fn postconditions(&mut self, resource: &Resource, own: &Own, this: &Value) -> bool {
        let own = Own { this: Some(this.clone()), ..own.clone() };
        let mut holds = true;
        for lifecycle in resource.block.body.blocks("lifecycle") {
            for condition in lifecycle.body.blocks("postcondition") {
                holds &= self.condition(condition, &own, "postcondition-failed", &resource_name(resource)) != Some(false);
            }
        }
        holds
    }

    /// Whether a condition holds; `None` while that is not known. A condition that does not hold, or that has no value, is
    /// reported.
    fn condition(&mut self, block: &SyntaxBlock, own: &Own, code: &str, of: &str) -> Option<bool> {
        let problems =
            unexpected(self.sources, &block.body, &["condition", "error_message"], &[], &format!("`{}`", block.word));
        let mut fits = problems.is_empty();
        self.problems.extend(problems);
        for name in ["condition", "error_message"] {
            if block.body.attribute(name).is_none() {
                let detail = format!("`{}` needs `condition` and `error_message`.", block.word);
                self.report(block.header, "missing-attribute", format!("`{name}` is missing"), detail);
                fits = false;
            }
        }
        let (Some(condition), Some(message)) =
            (block.body.attribute("condition"), block.body.attribute("error_message"))
        else {
            return Some(false);
        };
        let (holds, text, values) = self.with_evaluator(own.clone(), |evaluator| {
            let holds = evaluator.eval_as(&condition.value, &Type::Bool, "invalid-condition", "This is not a condition");
            let text = match holds.as_ref().ok().and_then(Value::as_bool) {
                Some(false) => {
                    evaluator.eval_as(&message.value, &Type::Text, "invalid-error-message", "This is not a message").ok()
                }
                _ => None,
            };
            let values = match text {
                Some(_) => evaluator.values_in(&condition.value),
                None => Vec::new(),
            };
            (holds, text, values)
        });
        let Ok(holds) = holds else { return Some(false) };
        if !fits {
            return Some(false);
        }
        if holds.is_unknown() {
            self.wants_facts = true;
            return None;
        }
        match holds.as_bool() {
            Some(true) => Some(true),
            Some(false) => {
                let detail = match text {
                    Some(text) if text.sensitive => "The message of this condition is sensitive and not shown.".to_owned(),
                    Some(text) => text.as_text().map_or("The message is not known.".to_owned(), |text| text.to_string()),
                    None => "The message of this condition has no value.".to_owned(),
                };
                let mut problem = match code {
                    "check-failed" => Problem::warning(code, format!("Check `{of}` failed"), detail),
                    "invalid-variable-value" => {
                        Problem::error(code, format!("This is no value for variable `{of}`"), detail)
                    }
                    _ => Problem::error(code, format!("A condition of `{of}` does not hold"), detail),
                };
                problem.values = values;
                let place = self.place(condition.value.span);
                self.problems.push(problem.at(place.as_ref()));
                Some(false)
            }
            None => {
                self.report(
                    condition.value.span,
                    "invalid-condition",
                    "The condition is null",
                    "It must be true or false.",
                );
                Some(false)
            }
        }
    }

    fn validate_variables(&mut self) {
        for (name, block) in &self.declarations.variables {
            if matches!(self.variables.get(name), Some(Found::Poisoned) | None) {
                continue;
            }
            for validation in block.body.blocks("validation") {
                self.condition(validation, &Own::default(), "invalid-variable-value", name);
            }
        }
    }

    fn outputs(&mut self) -> BTreeMap<String, Output> {
        const ATTRIBUTES: &[&str] = &["value", "description", "sensitive", "depends_on", "ephemeral"];
        let mut outputs = BTreeMap::new();
        for (name, block) in &self.declarations.outputs {
            let problems = unexpected(self.sources, &block.body, ATTRIBUTES, &["precondition"], "`output`");
            self.problems.extend(problems);
            self.depends_on(&block.body);
            for condition in block.body.blocks("precondition") {
                self.condition(condition, &Own::default(), "precondition-failed", &format!("output.{name}"));
            }
            let Some(attribute) = block.body.attribute("value") else {
                self.report(block.header, "missing-attribute", "`value` is missing", "An output has a `value`.");
                continue;
            };
            let (value, sensitive, description) = self.with_evaluator(Own::default(), |evaluator| {
                let value = evaluator.eval(&attribute.value);
                let sensitive = block.body.attribute("sensitive").map(|attribute| {
                    evaluator.eval_as(&attribute.value, &Type::Bool, "wrong-type", "`sensitive` cannot be this")
                });
                let description = block.body.attribute("description").and_then(|attribute| {
                    let summary = "`description` cannot be this";
                    evaluator.eval_as(&attribute.value, &Type::Text, "wrong-type", summary).ok()
                });
                (value, sensitive, description)
            });
            let sensitive = sensitive.and_then(Result::ok).and_then(|value| value.as_bool()).unwrap_or(false);
            let Ok(value) = value else { continue };
            if value.is_sensitive_anywhere() && !sensitive {
                let detail = "Its value comes from something sensitive. Say `sensitive = true`, or use `nonsensitive` where \
                              the value is no secret.";
                let summary = format!("Output `{name}` would show a sensitive value");
                self.report(attribute.value.span, "sensitive-output", summary, detail);
                continue;
            }
            let json = value.to_json();
            if json.is_none() {
                self.wants_facts = true;
            }
            let output = Output {
                value: json,
                ty: value.ty().to_string(),
                sensitive,
                description: description.and_then(|text| text.as_text().map(|text| text.to_string())),
            };
            outputs.insert(name.to_string(), output);
        }
        outputs
    }

    fn checks(&mut self) {
        for (name, block) in &self.declarations.checks {
            let problems = unexpected(self.sources, &block.body, &[], &["assert"], "`check`");
            self.problems.extend(problems);
            if block.body.blocks("assert").next().is_none() {
                let detail = "Write `assert { condition = ..., error_message = ... }` into it, each on its own line.";
                self.report(block.header, "missing-block", format!("Check `{name}` asserts nothing"), detail);
            }
            for assert in block.body.blocks("assert") {
                self.condition(assert, &Own::default(), "check-failed", name);
            }
        }
    }

    /// Whether a name of a variable is sensitive, for tests of what messages may show.
    pub fn is_secret(&self, variable: &str) -> bool {
        variables::is_secret(self.variables.get(variable))
    }
}

fn resource_name(resource: &Resource) -> String {
    format!("{}.{}", resource.kind.name(), resource.name)
}

/// The attributes of a body in the types of the schema; `None` if one is in error.
fn attributes(
    evaluator: &mut Evaluator<'_>,
    schema: &'static [AttributeSchema],
    body: &Body,
    header: Span,
    originals: &mut BTreeMap<&'static str, Value>,
) -> Option<BTreeMap<String, Attribute>> {
    let mut attributes = BTreeMap::new();
    let mut fits = true;
    for known in schema {
        let Some(written) = body.attribute(known.name) else {
            if known.required {
                missing(evaluator, known, header);
                fits = false;
            }
            continue;
        };
        let Ok(value) = evaluator.eval(&written.value) else {
            fits = false;
            continue;
        };
        match decode::datum(known, &value) {
            Ok(Some(datum)) => {
                let sensitive = known.secret || value.is_sensitive_anywhere() && !is_reference(known.ty);
                let place = evaluator.sources.place(written.value.span);
                attributes.insert(known.name.to_owned(), Attribute { value: datum, place, sensitive });
                if known.ty == Wanted::Any {
                    originals.insert(known.name, value);
                }
            }
            Ok(None) if known.required => {
                missing(evaluator, known, written.value.span);
                fits = false;
            }
            Ok(None) => {}
            Err(unfit) => {
                evaluator.fail(&written.value, unfit.code, unfit.summary, unfit.detail);
                fits = false;
            }
        }
    }
    fits.then_some(attributes)
}

fn is_reference(ty: Wanted) -> bool {
    matches!(ty, Wanted::Resource(_) | Wanted::Resources(_))
}

fn missing(evaluator: &mut Evaluator<'_>, schema: &AttributeSchema, span: Span) {
    let problem = Problem::error("missing-attribute", format!("`{}` is missing", schema.name), schema.doc);
    evaluator.problems.push(problem.at(evaluator.sources.place(span).as_ref()));
}

fn nested_block(evaluator: &mut Evaluator<'_>, schema: &'static BlockSchema, block: &SyntaxBlock) -> Option<NestedBlock> {
    let mut originals = BTreeMap::new();
    let attributes = attributes(evaluator, schema.attributes, &block.body, block.header, &mut originals)?;
    let place = evaluator.sources.place(block.header);
    Some(NestedBlock { name: schema.name.to_owned(), attributes, blocks: Vec::new(), place })
}

/// Problems in the order of the text, each once: instances of one block repeat what is wrong with it.
pub fn tidy(mut problems: Problems) -> Problems {
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    let mut seen = HashSet::new();
    problems.retain(|problem| match &problem.place {
        Some(place) => seen.insert((problem.code.clone(), format!("{place:?}"))),
        None => true,
    });
    problems
}

/// Numbers of the model as values.
impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Value::from(Number::from(count))
    }
}
