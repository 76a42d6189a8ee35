//! The declarations become resource instances: names are checked, everything is evaluated once in the order of its
//! references, and each instance becomes a block of the model and the object that others read.
//!
//! What is declared is evaluated once for each instance of its module: a [`Frame`] holds the names of one of them.

mod calls;
mod conditions;
mod contents;
mod dynamic;
mod instances;
mod names;
mod object;
mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use foldhash::HashMap;

use super::declare::{Declarations, unexpected};
use super::eval::{Evaluator, Found, MOST_STEPS, Scope};
use super::fields::Gathered;
use super::modules::{Module, ROOT};
use super::references::{Reference, in_body, references};
use super::source::{Sources, Span};
use super::syntax::{Body, Expr};
use super::types::Type;
use super::value::{Data, Fields, Value};
use super::{Desired, Evaluated, Output, Statements, seal, settings};
use crate::kinds;
use crate::model::address::ModuleStep;
use crate::model::problem::in_order;
use crate::model::{Address, Blocks, HostName, Key, Place, Problem, Problems};
use contents::Contents;
use order::{Node, Thing};

/// How deep values may nest, and objects of resources within each other.
const DEEPEST: usize = 200;

/// The most steps of a whole configuration: ten thousand instances take a few million.
const MOST_STEPS_OF_ALL: u64 = 50_000_000;

/// The most parts of one value.
const LARGEST: usize = 2_000_000;

const INFINITE: &str = "The value is an infinite number";
const BOUNDLESS: &str =
    "A division by zero makes it, or a function whose result is too large, such as `pow`. Use a condition.";

/// Attributes that every resource block takes.
const META: &[&str] = &["count", "for_each", "depends_on"];

type Addresses = Arc<BTreeSet<Address>>;

/// A value and the resources that it comes from.
type Known = (Found, Addresses);

/// What is known so far.
pub(super) struct World<'a> {
    modules: &'a [Module],
    sources: &'a Sources,
    environment: &'a BTreeMap<String, String>,
    facts: Option<&'a BTreeMap<HostName, serde_json::Value>>,
    /// Instances of modules; the first one is the root.
    frames: Vec<Frame>,
    /// The frames of each module.
    frames_of: Vec<Vec<usize>>,
    instances: HashMap<Address, Value>,
    pub blocks: Blocks,
    /// Those of `blocks` in which something is wrong: the rest of them is kept, so that nothing else is hidden by it.
    in_error: BTreeSet<Address>,
    /// These, and what needs them: what is unknown of it is not known for want of facts alone.
    near_error: BTreeSet<Address>,
    pub problems: Problems,
    /// Something could not be read, which is reported elsewhere.
    pub is_torn: bool,
    /// Where the values of the root's variables come from; those that are missing have their default.
    pub origins: BTreeMap<Arc<str>, String>,
    wants_facts: bool,
    dependency_count: usize,
    is_too_deep: bool,
    steps_left: u64,
    output_parts_left: usize,
    /// No step is left, and that was said.
    is_exhausted: bool,
}

/// The names of one instance of a module.
struct Frame {
    module: usize,
    /// The way to it from the root.
    steps: Arc<[ModuleStep]>,
    /// The frame that calls it, and which instance of the call it is.
    parent: usize,
    own: Own,
    /// What the call says that all of the module depends on, with what the calls around it say.
    depends_on: Addresses,
    /// How many instances there are is not known yet: it is evaluated to find mistakes only.
    is_sketch: bool,
    variables: BTreeMap<Arc<str>, Known>,
    locals: HashMap<Arc<str>, Known>,
    resources: Vec<Known>,
    kinds: HashMap<Arc<str>, Known>,
    outputs: BTreeMap<Arc<str>, Known>,
    calls: BTreeMap<Arc<str>, Instances>,
    path: Fields,
}

/// The instances of a module block, as frames.
enum Instances {
    /// The number is not known yet; the frame is a sketch.
    Unknown,
    One(usize),
    ByIndex(Vec<usize>),
    ByKey(BTreeMap<Arc<str>, usize>),
}

/// The names that one block sees beyond those of the module.
#[derive(Default, Clone)]
struct Own {
    each: Option<(Value, Value)>,
    count: Option<Value>,
    this: Option<Value>,
}

/// All names of a module and those of a block. A name that is missing here is reported already, where references are
/// checked.
struct Names<'w, 'a> {
    world: &'w World<'a>,
    frame: usize,
    own: Own,
}

impl Names<'_, '_> {
    fn frame(&self) -> &Frame {
        &self.world.frames[self.frame]
    }
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
            "path" => Found::Value(Value::object(self.frame().path.clone())),
            kind => self.frame().kinds.get(kind).map_or(Found::Poisoned, |(found, _)| found.clone()),
        }
    }

    fn member(&self, root: &str, name: &str) -> Option<Found> {
        let found = |known: Option<&Known>| Some(known.map_or(Found::Poisoned, |(found, _)| found.clone()));
        match (root, name) {
            ("var", _) => found(self.frame().variables.get(name)),
            ("local", _) => found(self.frame().locals.get(name)),
            ("each", "key") => self.own.each.as_ref().map(|(key, _)| Found::Value(key.clone())),
            ("each", "value") => self.own.each.as_ref().map(|(_, value)| Found::Value(value.clone())),
            ("count", "index") => self.own.count.clone().map(Found::Value),
            ("path", _) if self.frame().path.contains_key(name) => None,
            ("each" | "count" | "path", _) => Some(Found::Poisoned),
            ("self", _) => None,
            ("module", _) => Some(self.world.call(self.frame, name)),
            (kind, _) => {
                let number = self.world.declarations(self.frame).by_name.get(kind).and_then(|names| names.get(name));
                found(number.and_then(|number| self.frame().resources.get(*number)))
            }
        }
    }

    fn instances(&self, call: &str) -> Option<Found> {
        self.world.call_keys(self.frame, call)
    }

    fn output(&self, call: &str, key: Option<&Value>, name: &str) -> Option<Found> {
        self.world.output(self.frame, call, key, name)
    }

    fn directory(&self) -> &Path {
        &self.world.modules[self.frame().module].directory
    }

    fn border(&self) -> Option<&Path> {
        Some(&self.world.modules[self.frame().module].border)
    }

    fn environment(&self) -> &BTreeMap<String, String> {
        self.world.environment
    }
}

impl<'a> World<'a> {
    pub(super) fn new(
        modules: &'a [Module],
        sources: &'a Sources,
        environment: &'a BTreeMap<String, String>,
        facts: Option<&'a BTreeMap<HostName, serde_json::Value>>,
        variables: BTreeMap<Arc<str>, Found>,
    ) -> Self {
        let mut world = World {
            modules,
            sources,
            environment,
            facts,
            frames: Vec::new(),
            frames_of: modules.iter().map(|_| Vec::new()).collect(),
            instances: HashMap::default(),
            blocks: Blocks::new(),
            in_error: BTreeSet::new(),
            near_error: BTreeSet::new(),
            problems: Vec::new(),
            is_torn: false,
            origins: BTreeMap::new(),
            wants_facts: false,
            dependency_count: 0,
            is_too_deep: false,
            steps_left: MOST_STEPS_OF_ALL,
            output_parts_left: LARGEST,
            is_exhausted: false,
        };
        let root = world.frame(ROOT, Arc::default(), 0, Own::default());
        world.frames[root].variables =
            variables.into_iter().map(|(name, found)| (name, (found, Addresses::default()))).collect();
        world
    }

    /// A new instance of a module, of which nothing is known yet.
    fn frame(&mut self, module: usize, steps: Arc<[ModuleStep]>, parent: usize, own: Own) -> usize {
        let nothing = || (Found::Poisoned, Addresses::default());
        let declared = &self.modules[module];
        let frame = Frame {
            module,
            steps,
            parent,
            own,
            depends_on: Addresses::default(),
            is_sketch: false,
            variables: BTreeMap::new(),
            locals: HashMap::default(),
            resources: declared.declarations.resources.iter().map(|_| nothing()).collect(),
            kinds: HashMap::default(),
            outputs: BTreeMap::new(),
            calls: BTreeMap::new(),
            path: declared.path.clone(),
        };
        self.frames.push(frame);
        let number = self.frames.len() - 1;
        self.frames_of[module].push(number);
        number
    }

    /// What the module of a frame declares.
    fn declarations(&self, frame: usize) -> &'a Declarations {
        &self.modules[self.frames[frame].module].declarations
    }

    /// Evaluates everything.
    pub(super) fn run(mut self, kinds: &[&'static str]) -> (World<'a>, Evaluated) {
        for module in 0..self.modules.len() {
            self.check_names(module, kinds);
        }
        for node in self.order() {
            self.evaluate(&node, kinds);
        }
        let mut outputs = BTreeMap::new();
        let mut statements = Statements::default();
        for frame in 0..self.frames.len() {
            let before = self.problems.len();
            self.validate_variables(frame);
            self.checks(frame);
            self.name_callers(frame, before);
            let declarations = self.declarations(frame);
            if self.frames[frame].module != ROOT {
                let block = declarations.settings.as_ref();
                self.with_evaluator(frame, Own::default(), |evaluator| settings::read_version(evaluator, block));
            }
            let steps = &self.frames[frame].steps;
            if !self.frames[frame].is_sketch {
                statements.extend(declarations.statements.within(steps));
            }
        }
        for (name, block) in &self.modules[ROOT].declarations.outputs {
            outputs.extend(self.root_output(name, block).map(|output| (name.to_string(), output)));
        }
        let block = self.modules[ROOT].declarations.settings.as_ref();
        let settings = self.with_evaluator(ROOT, Own::default(), |evaluator| settings::read(evaluator, block));
        let mut blocks = std::mem::take(&mut self.blocks);
        let in_error: Blocks = self.in_error.iter().filter_map(|address| blocks.remove_entry(address)).collect();
        self.problems.extend(kinds::table().iter().flat_map(|kind| kind.contradictions(&blocks)));
        let secrets = Arc::new(seal::seal(&mut blocks));
        let desired = Desired { blocks, outputs, settings, statements, secrets, wants_facts: self.wants_facts };
        self.nothing_is_lost(&in_error);
        let problems = in_order(std::mem::take(&mut self.problems));
        (self, Evaluated { desired, in_error, problems })
    }

    /// What has no value has a reason that was said; else the rest would be taken for all that is declared.
    fn nothing_is_lost(&mut self, in_error: &Blocks) {
        if self.is_torn || self.problems.iter().any(Problem::is_error) {
            return;
        }
        let lost = (0..self.frames.len()).find_map(|frame| self.lost(frame));
        if let Some(lost) = lost.or_else(|| in_error.keys().next().map(Address::to_string)) {
            let detail = "This is a mistake in larder, not in the configuration: nothing is done with a part of it. Please \
                          report it with the configuration.";
            self.problems.push(Problem::error(
                "no-value",
                format!("`{lost}` has no value, and nothing says why"),
                detail,
            ));
        }
    }

    /// Something of the module that has no value.
    fn lost(&self, frame: usize) -> Option<String> {
        let (declared, here) = (self.declarations(frame), &self.frames[frame]);
        let is_lost = |known: Option<&Known>| !matches!(known, Some((Found::Value(_), _)));
        let variables = declared.variables.keys().filter(|name| is_lost(here.variables.get(*name)));
        let locals = declared.locals.keys().filter(|name| is_lost(here.locals.get(*name)));
        let outputs = declared.outputs.keys().filter(|name| is_lost(here.outputs.get(*name)));
        let calls = declared.calls.keys().filter(|name| !here.calls.contains_key(*name));
        let resources = declared.resources.iter().zip(&here.resources).filter(|(_, known)| is_lost(Some(*known)));
        variables
            .map(|name| format!("var.{name}"))
            .chain(locals.map(|name| format!("local.{name}")))
            .chain(calls.map(|name| format!("module.{name}")))
            .chain(resources.map(|(resource, _)| format!("{}.{}", resource.kind.name(), resource.name)))
            .chain(outputs.map(|name| format!("output.{name}")))
            .next()
    }

    fn evaluate(&mut self, node: &Node, kinds: &[&'static str]) {
        let module = node.module;
        if let Thing::Resource(number) = node.thing {
            let resource = &self.modules[module].declarations.resources[number];
            let fits = !self.check_block(resource);
            let contents = Contents::new(self.sources, resource);
            for frame in self.frames_of[module].clone() {
                let before = self.problems.len();
                self.resource(frame, number, &contents, fits);
                self.name_callers(frame, before);
            }
            return;
        }
        for frame in self.frames_of[module].clone() {
            let before = self.problems.len();
            match &node.thing {
                Thing::Variable(name) => self.variable(frame, name),
                Thing::Local(name) => self.local(frame, name),
                Thing::Kind(kind) => self.kind(frame, kind),
                Thing::Output(name) => self.module_output(frame, name),
                Thing::Call(name) => self.expand_call(frame, name),
                Thing::Start => {
                    let declared = self.declarations(frame);
                    let is_empty = |kind: &&&str| !declared.by_name.contains_key(**kind) && !declared.any_lost(kind);
                    for kind in kinds.iter().filter(is_empty) {
                        let none = Found::Value(Value::map(Type::Resource(Arc::from(*kind)), Fields::default()));
                        self.frames[frame].kinds.insert(Arc::from(*kind), (none, Addresses::default()));
                    }
                }
                Thing::Resource(_) => {}
            }
            self.name_callers(frame, before);
        }
    }

    /// Calls `work` with an evaluator that sees the names of the module, and keeps the problems.
    fn with_evaluator<T>(&mut self, frame: usize, own: Own, work: impl FnOnce(&mut Evaluator<'_>) -> T) -> T {
        let start = MOST_STEPS.saturating_sub(self.steps_left);
        let is_exhausted = self.is_exhausted;
        let (result, ran_out, mut problems, steps) = {
            let names = Names { world: self, frame, own };
            let mut evaluator = Evaluator::new(&names, self.sources);
            evaluator.set_steps(start);
            evaluator.is_exhausted = is_exhausted;
            let result = work(&mut evaluator);
            (result, evaluator.ran_out(), evaluator.take_problems(), evaluator.steps() - start)
        };
        self.steps_left = self.steps_left.saturating_sub(steps);
        // From then on nothing has a value, and why is said once.
        self.is_exhausted |= ran_out && self.steps_left == 0;
        self.problems.append(&mut problems);
        result
    }

    /// One expression in the scope of the root module, for the console.
    pub(super) fn expression(
        &mut self,
        expr: &Expr,
        sources: &Sources,
        kinds: &[&'static str],
    ) -> Result<Value, Problems> {
        let mut problems = Vec::new();
        for reference in references(expr) {
            if let Some(problem) = self.reference(ROOT, &reference, kinds, Own::default(), None) {
                problems.push(problem.at(sources.place(reference.span).as_ref()));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        for reference in references(expr).iter().filter(|reference| reference.member.is_none()) {
            // Nothing of the configuration may have asked for all resources of the kind.
            if kinds.contains(&reference.root.as_ref()) && !self.frames[ROOT].kinds.contains_key(&reference.root) {
                self.kind(ROOT, &reference.root);
            }
        }
        let names = Names { world: self, frame: ROOT, own: Own::default() };
        let mut evaluator = Evaluator::new(&names, sources);
        let in_error = || {
            let cure = "Mend the problems of the configuration first; `larder validate` shows them.";
            let place = sources.place(expr.span);
            vec![Problem::error("in-error", "What this refers to is in error", cure).at(place.as_ref())]
        };
        match evaluator.eval(expr) {
            Ok(value) if value.has_unknown_within() && self.is_near_error(expr) => Err(in_error()),
            Ok(value) => Ok(value),
            Err(_) => match evaluator.take_problems() {
                problems if problems.is_empty() => Err(in_error()),
                problems => Err(in_order(problems)),
            },
        }
    }

    /// Whether an expression of the root refers to something in error, be it through others.
    fn is_near_error(&self, expr: &Expr) -> bool {
        let needed = self.dependencies(ROOT, &references(expr), &Own::default());
        needed.iter().any(|address| self.near_error.contains(address))
    }

    fn place(&self, span: Span) -> Option<Place> {
        self.sources.place(span)
    }

    fn report(&mut self, span: Span, code: &str, summary: impl Into<String>, detail: impl Into<String>) {
        let problem = Problem::error(code, summary, detail).at(self.place(span).as_ref());
        self.problems.push(problem);
    }

    fn local(&mut self, frame: usize, name: &Arc<str>) {
        let Some(local) = self.declarations(frame).locals.get(name) else { return };
        let value = self.with_evaluator(frame, Own::default(), |evaluator| evaluator.eval(&local.value));
        let dependencies = Arc::new(self.dependencies(frame, &references(&local.value), &Own::default()));
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
            self.report(local.value.span, "operation-failed", INFINITE, BOUNDLESS);
            found = Found::Poisoned;
        }
        self.frames[frame].locals.insert(name.clone(), (found, dependencies));
    }

    /// All resources that are referred to, through local values, variables and outputs of modules too.
    fn dependencies(&self, frame: usize, references: &[Reference<'_>], own: &Own) -> BTreeSet<Address> {
        let mut addresses = BTreeSet::new();
        let add = |addresses: &mut BTreeSet<Address>, known: Option<&Known>| {
            addresses.extend(known.into_iter().flat_map(|(_, of_name)| of_name.iter().cloned()));
        };
        let here = &self.frames[frame];
        for reference in references {
            match (reference.root.as_ref(), reference.member.as_deref()) {
                ("var", Some(name)) => add(&mut addresses, here.variables.get(name)),
                ("local", Some(name)) => add(&mut addresses, here.locals.get(name)),
                ("module", Some(name)) => {
                    for (frame, output) in self.outputs_of(frame, name, reference, own) {
                        add(&mut addresses, self.frames[frame].outputs.get(output));
                    }
                }
                (kind, Some(name)) => {
                    let Some(number) = self.declarations(frame).by_name.get(kind).and_then(|names| names.get(name))
                    else {
                        continue;
                    };
                    let known = &here.resources[*number];
                    match reference.key.and_then(|key| self.key(frame, key, own)) {
                        Some(key) => {
                            let address = known.1.first().map(|instance| instance.keyed(key));
                            addresses.extend(address.and_then(|address| known.1.get(&address)).cloned());
                        }
                        None => add(&mut addresses, Some(known)),
                    }
                }
                (kind, None) => add(&mut addresses, here.kinds.get(kind)),
            }
        }
        addresses
    }

    /// The address of a resource instance of a frame.
    fn address(&self, frame: usize, kind: &str, name: &str, key: Option<Key>) -> Address {
        Address::new(self.frames[frame].steps.clone(), kind, name, key)
    }

    /// The key that an index means, where that can be told in this scope.
    fn key(&self, frame: usize, expr: &Expr, own: &Own) -> Option<Key> {
        let names = Names { world: self, frame, own: own.clone() };
        let mut evaluator = Evaluator::new(&names, self.sources);
        let value = evaluator.eval(expr).ok()?;
        match &value.data {
            Data::Text(text) => Some(Key::Text(text.clone())),
            Data::Number(number) => number.to_u64().map(Key::Index),
            _ => None,
        }
    }

    /// All resources of a kind by name, those of blocks with instances each under its own name.
    fn kind(&mut self, frame: usize, kind: &str) {
        let mut fields = Gathered::new();
        let mut addresses = BTreeSet::new();
        let mut clashes = Vec::new();
        let declarations = self.declarations(frame);
        let mut state = match declarations.any_lost(kind) {
            true => Found::Poisoned,
            false => Found::Value(Value::null()),
        };
        for number in declarations.by_name.get(kind).into_iter().flat_map(|names| names.values()) {
            let (found, of_block) = &self.frames[frame].resources[*number];
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
                        Arc::from(address.local().to_string().split_off(kind.len() + 1))
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
            let header = declarations.resources[number].block.header;
            self.report(header, "duplicate-host", format!("Two hosts are called `{name}`"), detail);
        }
        let ty = Type::Resource(Arc::from(kind));
        let found = match state {
            Found::Value(value) if value.is_null() => Found::Value(Value::map(ty, fields.into())),
            Found::Value(_) => Found::Value(Value::unknown_of(Type::map(ty))),
            other => other,
        };
        self.frames[frame].kinds.insert(Arc::from(kind), (found, Arc::new(addresses)));
    }

    fn validate_variables(&mut self, frame: usize) {
        for (name, block) in &self.declarations(frame).variables {
            if matches!(self.frames[frame].variables.get(name), Some((Found::Poisoned, _)) | None) {
                continue;
            }
            for validation in block.body.blocks("validation") {
                let before = self.problems.len();
                self.condition(frame, validation, &Own::default(), "invalid-variable-value", name);
                let origin = match self.frames[frame].module {
                    ROOT => self.origins.get(name).map_or("The value is its default.", String::as_str),
                    // Who calls the module is said with every problem in it.
                    _ => continue,
                };
                for problem in
                    self.problems[before..].iter_mut().filter(|problem| problem.code == "invalid-variable-value")
                {
                    problem.detail = format!("{} {origin}", problem.detail);
                }
            }
        }
    }

    /// The value of an output, sensitive if it says so; `None` if it is in error.
    fn output_value(&mut self, frame: usize, name: &str, block: &super::syntax::Block) -> Option<Value> {
        const ATTRIBUTES: &[&str] = &["value", "description", "sensitive", "depends_on"];
        let problems = unexpected(self.sources, &block.body, ATTRIBUTES, &["precondition"], "`output`");
        self.problems.extend(problems);
        let own = Own::default();
        for condition in block.body.blocks("precondition") {
            self.condition(frame, condition, &own, "precondition-failed", &format!("output.{name}"));
        }
        let Some(attribute) = block.body.attribute("value") else {
            if block.body.lacks("value", ATTRIBUTES) {
                self.report(block.header, "missing-attribute", "`value` is missing", "An output has a `value`.");
            }
            return None;
        };
        let (value, sensitive) = self.with_evaluator(frame, own, |evaluator| {
            let value = evaluator.eval(&attribute.value);
            let sensitive = block.body.attribute("sensitive").map(|attribute| {
                evaluator.eval_as(&attribute.value, &Type::Bool, "wrong-type", "`sensitive` cannot be this")
            });
            (value, sensitive)
        });
        // What is not known to be no secret is one.
        let sensitive = sensitive.is_some_and(|value| value.ok().and_then(|value| value.as_bool()) != Some(false));
        let value = value.ok()?;
        if !value.fits(DEEPEST, LARGEST) {
            let detail = format!("A value may nest {DEEPEST} levels deep and have {LARGEST} parts.");
            self.report(attribute.value.span, "too-complex", "This value is too large", detail);
            return None;
        }
        // Whoever calls a module may use what is sensitive in it; what the root puts out is shown.
        if self.frames[frame].module == ROOT && value.is_sensitive_anywhere() && !sensitive {
            let detail = "Its value comes from something sensitive. Say `sensitive = true`, or use `nonsensitive` where the \
                          value is no secret.";
            let summary = format!("Output `{name}` would show a sensitive value");
            self.report(attribute.value.span, "sensitive-output", summary, detail);
            return None;
        }
        Some(value.marked(sensitive))
    }

    /// An output as other blocks read it: those of modules, and of the root for its end.
    fn module_output(&mut self, frame: usize, name: &Arc<str>) {
        let Some(block) = self.declarations(frame).outputs.get(name) else { return };
        let value = self.output_value(frame, name, block);
        let depends_on = self.depends_on(frame, &block.body);
        let read = references_of(&block.body);
        let mut dependencies = self.dependencies(frame, &read, &Own::default());
        let found = match (value, depends_on) {
            (Some(value), Some(depends_on)) => {
                dependencies.extend(depends_on);
                Found::Value(value)
            }
            _ => Found::Poisoned,
        };
        self.frames[frame].outputs.insert(name.clone(), (found, Arc::new(dependencies)));
    }

    /// An output of the root as the state and people get it.
    fn root_output(&mut self, name: &Arc<str>, block: &super::syntax::Block) -> Option<Output> {
        let Some((Found::Value(value), _)) = self.frames[ROOT].outputs.get(name).cloned() else { return None };
        let description = block.body.attribute("description").and_then(|attribute| {
            let summary = "`description` cannot be this";
            let text = self.with_evaluator(ROOT, Own::default(), |evaluator| {
                evaluator.eval_as(&attribute.value, &Type::Text, "wrong-type", summary).ok()
            })?;
            if text.sensitive {
                let summary = "`description` would show a sensitive value";
                let detail = "A description is shown. Say it without the value.";
                self.report(attribute.value.span, contents::SENSITIVE, summary, detail);
                return None;
            }
            Some(text)
        });
        let span = block.body.attribute("value").map_or(block.header, |attribute| attribute.value.span);
        if value.has_infinite() {
            self.report(span, "operation-failed", INFINITE, BOUNDLESS);
            return None;
        }
        let Some(left) = value.parts_left(DEEPEST, self.output_parts_left) else {
            let detail =
                format!("All outputs together may have {LARGEST} parts: they are shown and kept in the state.");
            self.report(span, "too-complex", "The outputs become too large", detail);
            return None;
        };
        self.output_parts_left = left;
        let json = value.to_json();
        if json.is_none() {
            self.wants_facts = true;
        }
        Some(Output {
            value: json,
            ty: value.ty().to_string(),
            sensitive: value.is_sensitive_anywhere(),
            description: description.and_then(|text| text.as_text().map(|text| text.to_string())),
        })
    }

    fn checks(&mut self, frame: usize) {
        for (name, block) in &self.declarations(frame).checks {
            let problems = unexpected(self.sources, &block.body, &[], &["assert"], "`check`");
            self.problems.extend(problems);
            if block.body.blocks("assert").next().is_none() && !block.body.has_gaps {
                let detail = "Write `assert { condition = ..., error_message = ... }` into it, each on its own line.";
                self.report(block.header, "missing-block", format!("Check `{name}` asserts nothing"), detail);
            }
            for assert in block.body.blocks("assert") {
                self.condition(frame, assert, &Own::default(), "check-failed", name);
            }
        }
    }
}

/// What a body refers to, less `depends_on`, which names resources rather than values.
fn references_of(body: &Body) -> Vec<Reference<'_>> {
    let named = body.attribute("depends_on").map(|attribute| attribute.value.span);
    let within = |span: Span| {
        named.is_some_and(|named| named.file == span.file && named.start <= span.start && span.end <= named.end)
    };
    in_body(body).into_iter().filter(|reference| !within(reference.span)).collect()
}
