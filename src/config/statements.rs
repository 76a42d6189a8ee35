//! What a configuration says about resources that the state has already: `moved`, `removed`, `import`. Reads the statements
//! and holds them against each other and against what is declared; what they come to is for the plan.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

use super::declare::{address_of, module_steps, unexpected};
use super::source::Sources;
use super::syntax::{Attribute, Block, Body, Expr};
use crate::kinds::Kind;
use crate::model::address::ModuleStep;
use crate::model::moved;
use crate::model::problem::did_you_mean;
use crate::model::{Address, Blocks, Moved, Place, Problem, Problems, Selector};
use crate::state::moves::in_a_circle;

/// All statements of a configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statements {
    pub moved: Vec<Moved>,
    pub removed: Vec<Removed>,
    pub imports: Vec<Import>,
}

/// `removed { from, destroy }`: the resource is no longer managed, and deleted if `destroy`.
#[derive(Debug, Clone, PartialEq)]
pub struct Removed {
    pub from: Selector,
    pub destroy: bool,
    pub place: Option<Place>,
}

/// `import { to }`: the resource exists already, and is to be taken over and not made.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    pub to: Selector,
    pub place: Option<Place>,
}

impl Statements {
    /// The same as they read from outside of the module that they were written in.
    pub fn within(&self, module: &[ModuleStep]) -> Self {
        Statements {
            moved: self.moved.iter().map(|one| one.within(module)).collect(),
            removed: self.removed.iter().map(|one| Removed { from: one.from.within(module), ..one.clone() }).collect(),
            imports: self.imports.iter().map(|one| Import { to: one.to.within(module), ..one.clone() }).collect(),
        }
    }

    /// Takes in those of another module.
    pub fn extend(&mut self, others: Statements) {
        self.moved.extend(others.moved);
        self.removed.extend(others.removed);
        self.imports.extend(others.imports);
    }

    /// What cannot be meant, whatever the state has: statements that contradict each other or what is declared.
    pub fn problems(&self, declared: &Blocks) -> Problems {
        let mut problems = self.contradictions();
        if problems.is_empty() {
            problems.extend(self.circles());
        }
        problems.extend(self.still_declared(declared));
        problems
    }

    /// Moves from or to one address, and those that do nothing.
    fn contradictions(&self) -> Problems {
        let mut problems = Problems::new();
        let mut from: BTreeMap<&Selector, &Moved> = BTreeMap::new();
        let mut to: BTreeMap<&Selector, &Moved> = BTreeMap::new();
        for one in &self.moved {
            let mut note = |code: &str, summary: String, detail: String| {
                problems.push(Problem::error(code, summary, detail).at(one.place.as_ref()));
            };
            if one.from == one.to {
                note(
                    "moved-to-itself",
                    format!("{} moves to where it is", one.from),
                    "That is the same as no statement. Remove it, or correct `to`.".to_owned(),
                );
                continue;
            }
            if let Some(first) = from.insert(&one.from, one).filter(|first| first.to != one.to) {
                note(
                    "moved-twice",
                    format!("{} cannot move to both {} and {}", one.from, first.to, one.to),
                    format!("The other statement is{}. Remove the one that is wrong.", at(first.place.as_ref())),
                );
            }
            if let Some(first) = to.insert(&one.to, one).filter(|first| first.from != one.from) {
                note(
                    "moved-twice",
                    format!("{} cannot come from both {} and {}", one.to, first.from, one.from),
                    format!("The other statement is{}. Remove the one that is wrong.", at(first.place.as_ref())),
                );
            }
        }
        problems
    }

    /// Moves that lead back to where they began. One problem for each circle.
    fn circles(&self) -> Problems {
        let mut graph = DiGraph::<&Moved, ()>::new();
        let nodes: Vec<_> = self.moved.iter().map(|one| graph.add_node(one)).collect();
        for (one, before) in self.moved.iter().zip(&nodes) {
            for (other, after) in self.moved.iter().zip(&nodes) {
                if one.to.overlaps(&other.from) {
                    graph.add_edge(*before, *after, ());
                }
            }
        }
        let circles = kosaraju_scc(&graph).into_iter().filter(|members| match members.as_slice() {
            [only] => graph.contains_edge(*only, *only),
            _ => true,
        });
        circles.filter_map(|members| Some(in_a_circle(graph[*members.iter().min()?]))).collect()
    }

    /// What is said to be gone from an address, and stands there.
    fn still_declared(&self, declared: &Blocks) -> Problems {
        let mut problems = Problems::new();
        let mut moving: BTreeMap<usize, &Address> = BTreeMap::new();
        for address in declared.keys() {
            if let Some((number, _)) = moved::about(&self.moved, address) {
                moving.entry(number).or_insert(address);
            }
        }
        let place = |address: &Address| at(declared.get(address).and_then(|block| block.place.as_deref()));
        for (number, address) in moving {
            let Some(one) = self.moved.get(number) else { continue };
            let new = one.forward(address).unwrap_or_else(|| address.clone());
            let summary = format!("{} is said to have moved, and {address} is still declared", one.from);
            let detail = format!("It is{}. Declare it as {new}, or remove the `moved` statement.", place(address));
            problems.push(Problem::error("moved-still-declared", summary, detail).at(one.place.as_ref()));
        }
        for one in &self.removed {
            let Some(address) = declared.keys().find(|address| one.from.selects(address)) else { continue };
            let summary = format!("{} is said to be removed, and {address} is still declared", one.from);
            let detail = format!("It is{}. Remove that block, or the `removed` statement.", place(address));
            problems.push(Problem::error("removed-still-declared", summary, detail).at(one.place.as_ref()));
        }
        problems
    }

    /// What is to be imported, and stands nowhere among all that is declared.
    pub fn not_declared(&self, declared: &Blocks) -> Problems {
        let mut problems = Problems::new();
        for one in &self.imports {
            if declared.keys().any(|address| one.to.selects(address)) {
                continue;
            }
            let known: BTreeSet<String> =
                declared.keys().flat_map(|address| [address.to_string(), address.block().to_string()]).collect();
            let near = did_you_mean(&one.to.to_string(), known.iter().map(String::as_str));
            let near = near.map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
            let summary = format!("{} is to be imported, and no block declares it", one.to);
            let detail = format!("Write its block: `import` says only that it exists already.{near}");
            problems.push(Problem::error("import-undeclared", summary, detail).at(one.place.as_ref()));
        }
        problems
    }
}

fn at(place: Option<&Place>) -> String {
    place.map_or_else(|| " in a plan".to_owned(), |place| format!(" at {}:{}", place.file, place.start.line))
}

/// Reads one statement, and says what is wrong with it.
pub(super) fn read(
    sources: &Sources,
    kinds: &[&'static dyn Kind],
    block: &Block,
    statements: &mut Statements,
) -> Problems {
    let mut reader = Reader { sources, kinds, problems: Problems::new() };
    let place = sources.place(block.header);
    match block.word.as_ref() {
        "moved" => {
            let known = &["from", "to"];
            reader.only(&block.body, known, &[], "`moved`");
            let (from, to) = (reader.end(block, "from", known), reader.end(block, "to", known));
            match from.zip(to).map(|(from, to)| Moved::new(from, to, place)) {
                Some(Ok(one)) => statements.moved.push(one),
                Some(Err(problem)) => reader.problems.push(problem),
                None => {}
            }
        }
        "removed" => {
            let known = &["from", "destroy"];
            reader.only(&block.body, known, &["lifecycle"], "`removed`");
            let destroy = reader.destroy(block);
            if let (Some(from), Some(destroy)) = (reader.end(block, "from", known), destroy) {
                statements.removed.push(Removed { from, destroy, place });
            }
        }
        _ => {
            let known = &["to", "id"];
            reader.only(&block.body, known, &[], "`import`");
            if let Some(id) = block.body.attribute("id") {
                let detail = "Larder finds an object by the paths that its block names, not by an id. Leave `id` out.";
                reader.problem(id, "not-supported", "`import` takes no `id`", detail);
            }
            if let Some(to) = reader.end(block, "to", known) {
                statements.imports.push(Import { to, place });
            }
        }
    }
    reader.problems
}

struct Reader<'a> {
    sources: &'a Sources,
    kinds: &'a [&'static dyn Kind],
    problems: Problems,
}

impl Reader<'_> {
    fn problem(&mut self, attribute: &Attribute, code: &str, summary: &str, detail: &str) {
        let place = self.sources.place(attribute.value.span);
        self.problems.push(Problem::error(code, summary, detail).at(place.as_ref()));
    }

    fn only(&mut self, body: &Body, attributes: &[&str], blocks: &[&str], owner: &str) {
        self.problems.extend(unexpected(self.sources, body, attributes, blocks, owner));
    }

    /// An attribute that names a resource, a block or a module, written like a reference.
    fn end(&mut self, block: &Block, name: &str, known: &[&str]) -> Option<Selector> {
        let Some(attribute) = block.body.attribute(name) else {
            if block.body.lacks(name, known) {
                let detail = format!("Add `{name} = KIND.NAME`.");
                let problem = Problem::error("missing-attribute", format!("`{name}` is missing"), detail);
                self.problems.push(problem.at(self.sources.place(block.header).as_ref()));
            }
            return None;
        };
        if attribute.value.is_broken() {
            return None;
        }
        match selector_of(self.sources, &attribute.value) {
            Ok(selector) => {
                let kind = selector.address().map(|address| address.kind.as_ref());
                let names = || self.kinds.iter().map(|kind| kind.name());
                if let Some(kind) = kind.filter(|kind| !names().any(|name| name == *kind)) {
                    let detail = match did_you_mean(kind, names()) {
                        Some(near) => format!("There is no kind of resource `{kind}`. Did you mean `{near}`?"),
                        None => format!("There is no kind of resource `{kind}`."),
                    };
                    self.problem(attribute, "invalid-address", "This names no kind of resource", &detail);
                    return None;
                }
                Some(selector)
            }
            Err(detail) => {
                self.problem(attribute, "invalid-address", "This is not an address", &detail);
                None
            }
        }
    }

    /// Whether a removal deletes: `destroy`, or Terraform's `lifecycle { destroy }`.
    fn destroy(&mut self, block: &Block) -> Option<bool> {
        let mut all: Vec<&Attribute> = block.body.attribute("destroy").into_iter().collect();
        for lifecycle in block.body.blocks("lifecycle") {
            self.only(&lifecycle.body, &["destroy"], &[], "`lifecycle` of a `removed`");
            all.extend(lifecycle.body.attribute("destroy"));
        }
        let mut said = None;
        for attribute in all {
            let value = match self.sources.slice(attribute.value.span) {
                "true" => true,
                "false" => false,
                _ if attribute.value.is_broken() => return None,
                _ => {
                    let detail = "`destroy` is `true` or `false`, written out: deleting data is never computed.";
                    self.problem(attribute, "wrong-type", "This is neither true nor false", detail);
                    return None;
                }
            };
            if said.is_some_and(|said| said != value) {
                let detail = "It says both that the object is deleted and that it is kept. Keep one of the two.";
                self.problem(attribute, "conflicting-attributes", "`destroy` is given twice", detail);
                return None;
            }
            said = Some(value);
        }
        Some(said.unwrap_or(false))
    }
}

/// What an expression names; the error is a sentence.
fn selector_of(sources: &Sources, expr: &Expr) -> Result<Selector, String> {
    match module_steps(expr) {
        Some(steps) => Ok(Selector::module(steps)),
        None => address_of(sources, expr).map(Selector::resource),
    }
}
