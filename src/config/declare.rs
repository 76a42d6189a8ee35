//! What the blocks of all files declare, before any value is known: variables, locals, resources, outputs, checks,
//! settings. Two declarations of one name are a problem that shows both places.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::source::{Sources, Span};
use super::statements::{self, Statements};
use super::syntax::{Attribute, Block, Body, Expr, Node};
use super::variables;
use crate::kinds::Kind;
use crate::model::address::ModuleStep;
use crate::model::problem::did_you_mean;
use crate::model::{Address, Key, Problem, Problems};

/// All declarations of one module.
#[derive(Debug, Default)]
pub(super) struct Declarations {
    pub variables: BTreeMap<Arc<str>, Block>,
    pub locals: BTreeMap<Arc<str>, Attribute>,
    pub resources: Vec<Resource>,
    /// The number of a resource by kind and name.
    pub by_name: HashMap<Arc<str>, BTreeMap<Arc<str>, usize>>,
    pub outputs: BTreeMap<Arc<str>, Block>,
    pub checks: BTreeMap<Arc<str>, Block>,
    /// `module` blocks.
    pub calls: BTreeMap<Arc<str>, Block>,
    pub settings: Option<Block>,
    pub statements: Statements,
    /// What somebody meant to declare, as word and name: nothing is known of it, but it is not missing.
    pub lost: BTreeSet<(Arc<str>, Arc<str>)>,
    /// Something could not be read whose name is not known either.
    pub has_gaps: bool,
    /// What no excerpt may show, as far as the files themselves tell.
    pub secrets: Vec<Span>,
    pub problems: Problems,
}

impl Declarations {
    /// Whether something of this kind and name may have been meant to be declared.
    pub(super) fn is_lost(&self, word: &str, name: &str) -> bool {
        self.has_gaps || self.lost.contains(&(Arc::from(word), Arc::from(name)))
    }

    /// Whether something of this kind may have been meant to be declared.
    pub(super) fn any_lost(&self, word: &str) -> bool {
        self.has_gaps || self.lost.iter().any(|(lost, _)| lost.as_ref() == word)
    }
}

/// A resource block.
pub(super) struct Resource {
    pub kind: &'static dyn Kind,
    pub name: Arc<str>,
    pub block: Block,
    /// Another resource has the address already. This one is only looked at for its mistakes.
    pub is_repeated: bool,
}

impl std::fmt::Debug for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.kind.name(), self.name)
    }
}

/// Blocks that are no resources, with how many labels they have.
const WORDS: &[(&str, usize)] = &[
    ("check", 1),
    ("import", 0),
    ("larder", 0),
    ("locals", 0),
    ("module", 1),
    ("moved", 0),
    ("output", 1),
    ("removed", 0),
    ("variable", 1),
];

/// What the language describes and this version does not have: kinds, and blocks of volumes.
const NOT_YET: &[&str] = &["cifs", "gluster_volume", "nfs"];

/// Names that a variable cannot have, as in Terraform.
const RESERVED: &[&str] = &["source", "version", "providers", "count", "for_each", "lifecycle", "depends_on", "locals"];

/// Roots of references, which cannot be names of kinds.
pub(super) const ROOTS: &[&str] = &["var", "local", "each", "count", "path", "self", "module"];

/// Reads the declarations of all files.
pub(super) fn declare(sources: &Sources, bodies: Vec<Body>, kinds: &[&'static dyn Kind]) -> Declarations {
    let mut declarer = Declarer { sources, kinds, found: Declarations::default() };
    for body in bodies {
        declarer.found.secrets.extend(variables::secrets_of_body(sources, &body));
        declarer.body(body);
    }
    declarer.found
}

struct Declarer<'a> {
    sources: &'a Sources,
    kinds: &'a [&'static dyn Kind],
    found: Declarations,
}

impl Declarer<'_> {
    fn problem(&mut self, span: Span, code: &str, summary: impl Into<String>, detail: impl Into<String>) {
        let problem = Problem::error(code, summary, detail).at(self.sources.place(span).as_ref());
        self.found.problems.push(problem);
    }

    fn at(&self, span: Span) -> String {
        self.sources
            .place(span)
            .map_or(String::new(), |place| format!("{}:{}:{}", place.file, place.start.line, place.start.column))
    }

    fn body(&mut self, body: Body) {
        self.found.has_gaps |= body.has_gaps;
        for attribute in body.attributes.into_iter().filter(|attribute| !attribute.value.is_broken()) {
            let detail = format!(
                "A file holds blocks only. To give a variable its value, write this into a file `*.vars.hcl`; to name a \
                 value, write `locals {{ {} = ... }}`.",
                attribute.name
            );
            self.problem(
                attribute.name_span,
                "unexpected-attribute",
                "An attribute stands outside of any block",
                detail,
            );
        }
        for block in body.blocks {
            self.block(block);
        }
    }

    fn block(&mut self, block: Block) {
        let word = block.word.clone();
        if let Some(kind) = self.kinds.iter().copied().find(|kind| kind.name() == word.as_ref()) {
            if let Some(name) = self.label(&block, 1, "NAME") {
                self.resource(kind, name, block);
            }
            return;
        }
        if NOT_YET.contains(&word.as_ref()) {
            let detail = "This version does not have it. Leave the block out, and set that up by other means.";
            self.problem(block.header, "not-supported", format!("`{word}` is not supported yet"), detail);
            self.lose(&word, &block);
            return;
        }
        let Some((_, labels)) = WORDS.iter().find(|(known, _)| *known == word.as_ref()) else {
            let known = WORDS.iter().map(|(known, _)| *known).chain(self.kinds.iter().map(|kind| kind.name()));
            let detail = match word.as_ref() {
                "resource" => "In Larder the kind is the word of the block: `image \"web\" { ... }`.".to_owned(),
                "data" => {
                    "What a host says of itself is in `host.NAME.facts`, files are read with `file(...)`, and what a block \
                     has is read from the block: `image.web.size`."
                        .to_owned()
                }
                "provider" | "terraform" => "Larder has no providers; its settings are in `larder { ... }`.".to_owned(),
                _ => match did_you_mean(&word, known) {
                    Some(close) => {
                        self.lose(close, &block);
                        format!("There is no kind of block `{word}`. Did you mean `{close}`?")
                    }
                    None => format!("There is no kind of block `{word}`."),
                },
            };
            self.problem(block.header, "unknown-block", format!("`{word}` is not a kind of block"), detail);
            return;
        };
        let name = match labels {
            0 => {
                if self.label(&block, 0, "").is_none() {
                    return;
                }
                Arc::from("")
            }
            _ => match self.label(&block, 1, "NAME") {
                Some(name) => name,
                None => return,
            },
        };
        match word.as_ref() {
            "variable" if RESERVED.contains(&name.as_ref()) => {
                let detail = "A `module` block has a meaning of its own for this name, so nobody could give the value. Rename \
                              the variable.";
                self.problem(block.header, "invalid-name", format!("A variable cannot be called `{name}`"), detail);
            }
            "variable" => self.named(name, block, |found| &mut found.variables),
            "output" => self.named(name, block, |found| &mut found.outputs),
            "check" => self.named(name, block, |found| &mut found.checks),
            "module" => self.named(name, block, |found| &mut found.calls),
            "locals" => self.locals(block),
            "larder" => match &self.found.settings {
                None => self.found.settings = Some(block),
                Some(first) => {
                    let detail =
                        format!("The first `larder` block is at {}. Put both into one.", self.at(first.header));
                    self.problem(block.header, "duplicate-block", "There are two `larder` blocks", detail);
                }
            },
            "moved" | "removed" | "import" => {
                let problems = statements::read(self.sources, self.kinds, &block, &mut self.found.statements);
                self.found.problems.extend(problems);
            }
            _ => self.problem(
                block.header,
                "not-supported",
                format!("`{word}` blocks are not supported yet"),
                "Leave it out.",
            ),
        }
    }

    /// The label of the block; `None` where the labels are not as many as they should be, or no name.
    fn label(&mut self, block: &Block, wanted: usize, what: &str) -> Option<Arc<str>> {
        let word = &block.word;
        if block.labels.len() != wanted {
            let detail = match wanted {
                0 => format!("Write it without labels: `{word} {{ ... }}`."),
                _ => format!("Write it with one label: `{word} \"{what}\" {{ ... }}`."),
            };
            let summary = format!("`{word}` has {} here", count(block.labels.len(), "label"));
            self.problem(block.header, "wrong-labels", summary, detail);
            self.lose(word, block);
            return None;
        }
        let Some((name, span)) = block.labels.first() else { return Some(Arc::from("")) };
        if !is_name(name) {
            let detail = "A name begins with a letter or `_` and holds letters, digits, `_` and `-`.";
            self.problem(*span, "invalid-name", "This cannot be a name", detail);
            return None;
        }
        Some(name.clone())
    }

    /// Remembers the names that a block would have declared.
    fn lose(&mut self, word: &str, block: &Block) {
        let word: Arc<str> = Arc::from(word);
        let names = block.labels.iter().map(|(label, _)| label.clone());
        let lost = names.chain(block.body.attributes.iter().map(|attribute| attribute.name.clone()));
        self.found.lost.extend(lost.map(|name| (word.clone(), name)));
    }

    fn named(&mut self, name: Arc<str>, block: Block, table: fn(&mut Declarations) -> &mut BTreeMap<Arc<str>, Block>) {
        if let Some(first) = table(&mut self.found).get(&name).map(|first| first.header) {
            let detail = format!("The first is at {}. Rename or remove one of the two.", self.at(first));
            let summary = format!("{} `{name}` is declared twice", block.word);
            self.problem(block.header, "duplicate-address", summary, detail);
            return;
        }
        table(&mut self.found).insert(name, block);
    }

    fn resource(&mut self, kind: &'static dyn Kind, name: Arc<str>, block: Block) {
        let word: Arc<str> = Arc::from(kind.name());
        let number = self.found.resources.len();
        let first = self.found.by_name.get(&word).and_then(|names| names.get(&name)).copied();
        if let Some(first) = first {
            let at = self.at(self.found.resources[first].block.header);
            let detail = format!("The first is at {at}. Rename or remove one of the two.");
            self.problem(block.header, "duplicate-address", format!("`{word}.{name}` is declared twice"), detail);
        } else {
            self.found.by_name.entry(word).or_default().insert(name.clone(), number);
        }
        self.found.resources.push(Resource { kind, name, block, is_repeated: first.is_some() });
    }

    fn locals(&mut self, block: Block) {
        self.found.has_gaps |= block.body.has_gaps;
        for inner in &block.body.blocks {
            self.problem(inner.header, "unknown-block", "`locals` holds no blocks", "Write `name = value`.");
        }
        for attribute in block.body.attributes {
            if let Some(first) = self.found.locals.get(&attribute.name) {
                let detail = format!("The first is at {}. Rename or remove one of the two.", self.at(first.name_span));
                let summary = format!("`local.{}` is declared twice", attribute.name);
                self.problem(attribute.name_span, "duplicate-address", summary, detail);
                continue;
            }
            self.found.locals.insert(attribute.name.clone(), attribute);
        }
    }
}

/// The address that an expression spells; the error is a sentence.
pub(super) fn address_of(sources: &Sources, expr: &Expr) -> Result<Address, String> {
    spelled(expr).ok_or_else(|| {
        let text = sources.slice(expr.span);
        let text = if text.len() > 80 { "It" } else { text };
        format!("`{text}` is not an address; write it like `image.web`, `image.web[0]` or `image.web[\"key\"]`.")
    })
}

fn spelled(expr: &Expr) -> Option<Address> {
    let (inner, key) = match &expr.node {
        Node::Index(inner, key) => (inner.as_ref(), Some(literal_key(key)?)),
        _ => (expr, None),
    };
    let Node::Attribute(owner, name, _) = &inner.node else { return None };
    let (owner, kind) = match &owner.node {
        Node::Variable(kind) => (None, kind),
        Node::Attribute(owner, kind, _) => (Some(owner.as_ref()), kind),
        _ => return None,
    };
    if kind.as_ref() == "module" {
        return None;
    }
    let module = match owner {
        Some(owner) => module_steps(owner)?,
        None => Vec::new(),
    };
    Some(Address::new(module.into(), kind.clone(), name.clone(), key))
}

/// The modules that an expression spells, if it is nothing else: `module.NAME` or `module.NAME[key]`, one below the other.
pub(super) fn module_steps(expr: &Expr) -> Option<Vec<ModuleStep>> {
    let mut module = Vec::new();
    let mut owner = Some(expr);
    // From the innermost outwards.
    while let Some(at) = owner {
        let (at, key) = match &at.node {
            Node::Index(inner, key) => (inner.as_ref(), Some(literal_key(key)?)),
            _ => (at, None),
        };
        let Node::Attribute(before, name, _) = &at.node else { return None };
        module.push(ModuleStep { name: name.clone(), key });
        owner = match &before.node {
            Node::Variable(word) if word.as_ref() == "module" => None,
            Node::Attribute(before, word, _) if word.as_ref() == "module" => Some(before.as_ref()),
            _ => return None,
        };
    }
    module.reverse();
    Some(module)
}

pub(super) fn literal_key(key: &Expr) -> Option<Key> {
    let Node::Literal(value) = &key.node else { return None };
    match (value.as_text(), value.as_number()) {
        (Some(text), _) => Some(Key::Text(text.clone())),
        (_, Some(number)) => number.to_u64().map(Key::Index),
        _ => None,
    }
}

/// Problems for attributes and blocks of a body that `owner` does not know.
pub(super) fn unexpected(
    sources: &Sources,
    body: &Body,
    attributes: &[&str],
    blocks: &[&str],
    owner: &str,
) -> Problems {
    let mut problems = Vec::new();
    for attribute in &body.attributes {
        if attributes.contains(&attribute.name.as_ref()) || attribute.value.is_broken() {
            continue;
        }
        let name = &attribute.name;
        let detail = match blocks.contains(&name.as_ref()) {
            true => format!("`{name}` is a block: write `{name} {{ ... }}` without `=`."),
            false => super::eval::missing_name(owner, "attribute", name, attributes),
        };
        let problem = Problem::error("unknown-attribute", format!("There is no attribute `{name}`"), detail);
        problems.push(problem.at(sources.place(attribute.name_span).as_ref()));
    }
    for block in &body.blocks {
        if blocks.contains(&block.word.as_ref()) {
            continue;
        }
        let name = &block.word;
        let (code, summary, detail) = if name.as_ref() == "dynamic" {
            let detail = format!("{owner} has no blocks that could be repeated here.");
            ("invalid-dynamic", "There can be no `dynamic` block here".to_owned(), detail)
        } else if NOT_YET.contains(&name.as_ref()) {
            (
                "not-supported",
                format!("`{name}` is not supported yet"),
                format!("This version does not have it. {owner} may have: {}.", blocks.join(", ")),
            )
        } else if attributes.contains(&name.as_ref()) {
            (
                "unknown-block",
                format!("There is no block `{name}`"),
                format!("`{name}` is an attribute: write `{name} = ...`."),
            )
        } else {
            (
                "unknown-block",
                format!("There is no block `{name}`"),
                super::eval::missing_name(owner, "block", name, blocks),
            )
        };
        problems.push(Problem::error(code, summary, detail).at(sources.place(block.header).as_ref()));
    }
    problems
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

fn count(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}"),
        1 => format!("one {what}"),
        _ => format!("{count} {what}s"),
    }
}
