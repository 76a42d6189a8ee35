//! The declarations become resource instances: names are checked, everything is evaluated once in the order of its
//! references, and each instance becomes a block of the model and the object that others read.

mod conditions;
mod instances;
mod names;
mod order;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::declare::{Declarations, Resource, unexpected};
use super::eval::{Evaluator, Failed, Found, MOST_STEPS, Scope};
use super::references::references;
use super::source::{Sources, Span};
use super::syntax::Expr;
use super::types::Type;
use super::value::{Data, Fields, Value};
use super::{Desired, Evaluated, Output, settings};
use crate::model::problem::in_order;
use crate::model::{Address, Blocks, HostName, Key, Place, Problem, Problems};
use order::Node;

/// How deep values may nest, and objects of resources within each other.
const DEEPEST: usize = 200;

/// The most steps of a whole configuration: ten thousand instances take a few million.
const MOST_STEPS_OF_ALL: u64 = 50_000_000;

/// The most parts of one value.
const LARGEST: usize = 2_000_000;

const INFINITE: &str = "The value is an infinite number";
const DIVIDED: &str = "A division by zero makes it. Use a condition where the divisor can be 0.";

/// Attributes that every resource block takes.
const META: &[&str] = &["count", "for_each", "depends_on"];

type Addresses = Arc<BTreeSet<Address>>;

/// What is known so far.
pub(super) struct World<'a> {
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
    /// Those of `blocks` in which something is wrong: the rest of them is kept, so that nothing else is hidden by it.
    in_error: BTreeSet<Address>,
    pub problems: Problems,
    wants_facts: bool,
    dependency_count: usize,
    is_too_deep: bool,
    steps_left: u64,
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
                Some(
                    number
                        .and_then(|number| self.world.resources.get(*number))
                        .map_or(Found::Poisoned, |(found, _)| found.clone()),
                )
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

impl<'a> World<'a> {
    pub(super) fn new(
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
            in_error: BTreeSet::new(),
            problems: Vec::new(),
            wants_facts: false,
            dependency_count: 0,
            is_too_deep: false,
            steps_left: MOST_STEPS_OF_ALL,
        }
    }

    /// Evaluates everything.
    pub(super) fn run(mut self, kinds: &[&'static str]) -> (World<'a>, Evaluated) {
        self.check_names(kinds);
        let declarations = self.declarations;
        let is_empty = |kind: &&&str| !declarations.by_name.contains_key(**kind) && !declarations.any_lost(kind);
        for kind in kinds.iter().filter(is_empty) {
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
        let settings = self
            .with_evaluator(Own::default(), |evaluator| settings::read(evaluator, self.declarations.settings.as_ref()));
        let outputs = self.outputs();
        self.checks();
        let (in_error, blocks) =
            std::mem::take(&mut self.blocks).into_iter().partition(|(address, _)| self.in_error.contains(address));
        let desired = Desired {
            blocks,
            outputs,
            settings,
            moved: self.declarations.moved.clone(),
            removed: self.declarations.removed.clone(),
            wants_facts: self.wants_facts,
        };
        let problems = in_order(std::mem::take(&mut self.problems));
        (self, Evaluated { desired, in_error, problems })
    }

    /// Calls `work` with an evaluator that sees the names of the module, and keeps the problems.
    fn with_evaluator<T>(&mut self, own: Own, work: impl FnOnce(&mut Evaluator<'_>) -> T) -> T {
        let start = MOST_STEPS.saturating_sub(self.steps_left);
        // When nothing is left, that is said once.
        let start = if self.steps_left == 0 { start + 1 } else { start };
        let (result, mut problems, steps) = {
            let names = Names { world: self, own };
            let mut evaluator = Evaluator::new(&names, self.sources);
            evaluator.set_steps(start);
            let result = work(&mut evaluator);
            (result, std::mem::take(&mut evaluator.problems), evaluator.steps() - start)
        };
        self.steps_left = self.steps_left.saturating_sub(steps);
        self.problems.append(&mut problems);
        result
    }

    /// One expression in the scope of the module, for the console.
    pub(super) fn expression(
        &mut self,
        expr: &Expr,
        sources: &Sources,
        kinds: &[&'static str],
    ) -> Result<Value, Problems> {
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
            Err(Failed::Reported) => Err(in_order(std::mem::take(&mut evaluator.problems))),
            Err(Failed::Poisoned) if !evaluator.problems.is_empty() => {
                Err(in_order(std::mem::take(&mut evaluator.problems)))
            }
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

    /// The expressions of a resource, `depends_on` too.
    fn expressions_of(resource: &Resource) -> Vec<&Expr> {
        resource.block.body.expressions()
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
        if let Found::Value(value) = &found
            && value.has_infinite()
        {
            self.report(local.value.span, "operation-failed", INFINITE, DIVIDED);
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
        let mut clashes = Vec::new();
        let mut state = match self.declarations.any_lost(kind) {
            true => Found::Poisoned,
            false => Found::Value(Value::null()),
        };
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
                    true => {
                        clashes.push((*number, name));
                        Arc::from(address.to_string().split_off(kind.len() + 1))
                    }
                    false => name,
                };
                fields.insert(name, value.clone());
            }
            addresses.extend(of_block.iter().cloned());
        }
        // Everything speaks of a host by its name alone.
        for (number, name) in clashes.into_iter().filter(|_| kind == crate::kinds::host::NAME) {
            let detail =
                format!("An instance of a block is named NAME-KEY; another host is called `{name}` too. Rename one.");
            let header = self.declarations.resources[number].block.header;
            self.report(header, "duplicate-host", format!("Two hosts are called `{name}`"), detail);
        }
        let ty = Type::Resource(Arc::from(kind));
        let found = match state {
            Found::Value(value) if value.is_null() => Found::Value(Value::map(ty, fields)),
            Found::Value(_) => Found::Value(Value::unknown_of(Type::map(ty))),
            other => other,
        };
        self.kinds.insert(Arc::from(kind), (found, Arc::new(addresses)));
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
        const ATTRIBUTES: &[&str] = &["value", "description", "sensitive", "depends_on"];
        let mut outputs = BTreeMap::new();
        for (name, block) in &self.declarations.outputs {
            let problems = unexpected(self.sources, &block.body, ATTRIBUTES, &["precondition"], "`output`");
            self.problems.extend(problems);
            self.depends_on(&block.body);
            for condition in block.body.blocks("precondition") {
                self.condition(condition, &Own::default(), "precondition-failed", &format!("output.{name}"));
            }
            let Some(attribute) = block.body.attribute("value") else {
                if block.body.lacks("value", ATTRIBUTES) {
                    self.report(block.header, "missing-attribute", "`value` is missing", "An output has a `value`.");
                }
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
            if value.has_infinite() {
                self.report(attribute.value.span, "operation-failed", INFINITE, DIVIDED);
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
            if block.body.blocks("assert").next().is_none() && !block.body.has_gaps {
                let detail = "Write `assert { condition = ..., error_message = ... }` into it, each on its own line.";
                self.report(block.header, "missing-block", format!("Check `{name}` asserts nothing"), detail);
            }
            for assert in block.body.blocks("assert") {
                self.condition(assert, &Own::default(), "check-failed", name);
            }
        }
    }
}
