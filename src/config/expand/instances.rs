//! A resource block becomes its instances: `count` and `for_each`, what each depends on, the defaults of the kind, and the
//! value that others read.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::convert::{convert, with_article};
use super::super::declare::{Resource, address_of, literal_key, unexpected};
use super::super::eval::{Failed, Found, missing_name};
use super::super::syntax::{Attribute as SyntaxAttribute, Body, Expr, Node as SyntaxNode};
use super::super::types::Type;
use super::super::value::{Data, Value};
use super::contents::{AllSame, Contents, Decoded, has_common_lifecycle};
use super::{Addresses, DEEPEST, LARGEST, META, Own, World};
use crate::kinds::host;
use crate::kinds::schema::AttributeSchema;
use crate::model::address::ModuleStep;
use crate::model::block::AttributeMap;
use crate::model::{Address, Attribute, Block, Datum, Key, Lifecycle, Place, Problem};

/// The most instances of one block with `count`.
const MOST_INSTANCES: usize = 100_000;

/// The most dependencies of all instances together.
const MOST_DEPENDENCIES: usize = 1_000_000;

/// What the instances of a block have in common, and depend on.
struct Common {
    same: AllSame,
    /// If it is the same for each.
    lifecycle: Option<Lifecycle>,
    always: BTreeSet<Address>,
    /// Through `for_each`.
    for_each: BTreeSet<Address>,
}

/// The key of each instance and what it sees.
type Keyed = Vec<(Option<Key>, Own)>;

impl World<'_> {
    /// The instances of a resource block. `fits` if it has nothing that its kind does not know.
    pub(super) fn resource(&mut self, frame: usize, number: usize, contents: &Contents<'_>, fits: bool) {
        let resource = contents.resource;
        let instances = self.instances_of(frame, &resource.block.body);
        let depends_on = self.depends_on(frame, &resource.block.body);
        let is_sound = fits && depends_on.is_some();
        let block = self.address(frame, resource.kind.name(), &resource.name, None);
        let is_in_error = instances.is_err();
        let Some(instances) = instances.ok().flatten().filter(|_| !self.frames[frame].is_sketch) else {
            self.wants_facts |= !is_in_error;
            let own = Own {
                each: Some((Value::unknown_of(Type::Text), Value::unknown())),
                count: Some(Value::unknown_of(Type::Number)),
                this: None,
            };
            // Whatever the instances will be, mistakes in the block are mistakes.
            let decoded = self.decoded(frame, contents, &own, &AllSame::default());
            if self.lifecycle(frame, resource, &own).is_some() && decoded.fits && is_sound && !is_in_error {
                self.frames[frame].resources[number] = (Found::Value(Value::unknown()), Addresses::default());
            }
            return;
        };
        let common = self.common(frame, contents, depends_on.unwrap_or_default(), instances.len());
        let mut values: Vec<(Option<Key>, Value)> = Vec::with_capacity(instances.len());
        let mut addresses = Vec::with_capacity(instances.len());
        let is_one_of_many =
            |key: Option<&Key>, steps: &[ModuleStep]| key.is_some() || steps.iter().any(|step| step.key.is_some());
        for (key, own) in instances {
            let address = key.as_ref().map_or_else(|| block.clone(), |key| block.keyed(key.clone()));
            addresses.push(address.clone());
            let before = self.problems.len();
            let value = self.instance(frame, contents, &address, &own, &common, is_sound);
            if is_one_of_many(key.as_ref(), &self.frames[frame].steps) {
                self.problems[before..].iter_mut().for_each(|problem| problem.instance = Some(address.to_string()));
            }
            // Without one of its instances the block has no value, and what refers to it is not judged.
            let Some(value) = value else { return };
            values.push((key, value));
        }
        let value = self.block_value(resource, values);
        self.frames[frame].resources[number] = (Found::Value(value), Arc::new(addresses.into_iter().collect()));
    }

    /// What all instances of a block have in common.
    fn common(
        &mut self,
        frame: usize,
        contents: &Contents<'_>,
        depends_on: BTreeSet<Address>,
        instances: usize,
    ) -> Common {
        let own = Own::default();
        let same = match instances {
            0 | 1 => AllSame::default(),
            _ => self.with_evaluator(frame, own.clone(), |evaluator| contents.same(evaluator)),
        };
        let lifecycle = match instances > 1 && has_common_lifecycle(contents.resource) {
            true => {
                let before = self.problems.len();
                let lifecycle = self.lifecycle(frame, contents.resource, &own);
                let is_silent = self.problems.len() == before;
                // What is wrong with it is said of each instance.
                self.problems.truncate(before);
                lifecycle.filter(|_| is_silent)
            }
            false => None,
        };
        let mut always = self.dependencies(frame, &contents.reads.common, &own);
        always.extend(depends_on);
        always.extend(self.frames[frame].depends_on.iter().cloned());
        let for_each = self.dependencies(frame, &contents.reads.for_each, &own);
        Common { always, for_each, same, lifecycle }
    }

    /// All resources that an instance depends on. Where `for_each` gives each instance a resource, it depends on that one,
    /// else on all that `for_each` refers to.
    fn instance_dependencies(
        &mut self,
        frame: usize,
        contents: &Contents<'_>,
        own: &Own,
        common: &Common,
    ) -> Option<BTreeSet<Address>> {
        let mut dependencies = common.always.clone();
        match own.each.as_ref().and_then(|(_, value)| value.identity()) {
            Some(given) => drop(dependencies.insert(given.clone())),
            None => dependencies.extend(common.for_each.iter().cloned()),
        }
        dependencies.extend(self.dependencies(frame, &contents.reads.chosen, own));
        self.dependency_count += dependencies.len();
        if self.dependency_count > MOST_DEPENDENCIES {
            let block = &contents.resource.block;
            let span = block.body.attribute("for_each").map_or(block.header, |for_each| for_each.value.span);
            let detail = format!(
                "The instances of the configuration depend on each other in more than {MOST_DEPENDENCIES} ways. Give \
                 `for_each` the resources themselves as values, so that each instance depends on its own only."
            );
            self.report(span, "too-complex", "There are too many dependencies", detail);
            return None;
        }
        Some(dependencies)
    }

    /// The value of a block: one object, a tuple for `count`, a map for `for_each`.
    fn block_value(&self, resource: &Resource, values: Vec<(Option<Key>, Value)>) -> Value {
        let body = &resource.block.body;
        if body.attribute("for_each").is_some() {
            let fields = values.into_iter().filter_map(|(key, value)| match key {
                Some(Key::Text(text)) => Some((text, value)),
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
    pub(super) fn check_block(&mut self, resource: &Resource) -> bool {
        let schema = resource.kind.schema();
        let body = &resource.block.body;
        let owner = format!("`{}`", resource.kind.name());
        let attributes: Vec<&str> =
            schema.attributes.iter().map(|attribute| attribute.name).chain(META.iter().copied()).collect();
        let blocks: Vec<&str> = schema.blocks.iter().map(|block| block.name).chain(["lifecycle", "dynamic"]).collect();
        let mut problems = unexpected(self.sources, body, &attributes, &blocks, &owner);
        for block in &body.blocks {
            if block.word.as_ref() == "dynamic" {
                problems.extend(self.check_dynamic(block, schema.blocks, &owner));
                continue;
            }
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
            let problem = Problem::error("conflicting-attributes", "`count` and `for_each` exclude each other", detail);
            problems.push(problem.at(self.place(count.name_span).as_ref()));
        }
        let found = !problems.is_empty();
        self.problems.append(&mut problems);
        found
    }

    /// The resources of `depends_on`; `None` if one of them is in error.
    pub(super) fn depends_on(&mut self, frame: usize, body: &Body) -> Option<BTreeSet<Address>> {
        const CODE: &str = "invalid-depends-on";
        let Some(attribute) = body.attribute("depends_on") else { return Some(BTreeSet::new()) };
        let SyntaxNode::Tuple(elements) = &attribute.value.node else {
            if attribute.value.is_broken() {
                return None;
            }
            let detail = "Write it like `depends_on = [iscsi_target.array]`.";
            self.report(attribute.value.span, CODE, "`depends_on` is not a list", detail);
            return None;
        };
        let mut addresses = BTreeSet::new();
        let mut fits = true;
        for element in elements {
            if let Some((call, key)) = called_module(element) {
                match self.module_addresses(frame, element, &call, key.as_ref()) {
                    Some(all) => addresses.extend(all),
                    None => fits = false,
                }
                continue;
            }
            let Some(address) = address_of(self.sources, element).ok().filter(|address| address.module.is_empty())
            else {
                let detail = "Each element is a resource: `KIND.NAME`, one instance: `KIND.NAME[\"key\"]`, or a module: \
                              `module.NAME`.";
                self.report(element.span, CODE, "This is not a resource", detail);
                fits = false;
                continue;
            };
            let declarations = self.declarations(frame);
            let number = declarations.by_name.get(&address.kind).and_then(|names| names.get(&address.name));
            let Some(number) = number else {
                fits = false;
                if declarations.is_lost(&address.kind, &address.name) {
                    continue;
                }
                let known: Vec<String> = declarations
                    .resources
                    .iter()
                    .map(|resource| format!("{}.{}", resource.kind.name(), resource.name))
                    .collect();
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let detail = missing_name("The configuration", "resource", &address.block().to_string(), &known);
                let summary = format!("There is no resource `{}`", address.block());
                self.report(element.span, "reference-to-undeclared-resource", summary, detail);
                continue;
            };
            let address = address.within(&self.frames[frame].steps);
            let (found, of_block) = &self.frames[frame].resources[*number];
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

    /// All resources of a module that `depends_on` names.
    fn module_addresses(
        &mut self,
        frame: usize,
        element: &Expr,
        call: &str,
        key: Option<&Key>,
    ) -> Option<BTreeSet<Address>> {
        let declarations = self.declarations(frame);
        let calls = &declarations.calls;
        if !calls.contains_key(call) {
            if declarations.is_lost("module", call) {
                return None;
            }
            let known: Vec<&str> = calls.keys().map(|known| known.as_ref()).collect();
            let detail = missing_name("The configuration", "module", call, &known);
            let summary = format!("There is no module `{call}`");
            self.report(element.span, "reference-to-undeclared-module", summary, detail);
            return None;
        }
        if self.is_poisoned_within(frame, call) {
            return None;
        }
        let Some(all) = self.resources_within(frame, call, key) else {
            let detail = format!("`module.{call}` has no such instance.");
            self.report(element.span, "invalid-depends-on", "There is no such instance of the module", detail);
            return None;
        };
        Some(all.iter().flat_map(|addresses| addresses.iter().cloned()).collect())
    }

    /// The keys of the instances and what each sees; `Ok(None)` while they are not known.
    pub(super) fn instances_of(&mut self, frame: usize, body: &Body) -> Result<Option<Keyed>, Failed> {
        if let Some(attribute) = body.attribute("for_each") {
            let value = self.with_evaluator(frame, Own::default(), |evaluator| evaluator.eval(&attribute.value));
            return self.for_each(attribute, value?);
        }
        if let Some(attribute) = body.attribute("count") {
            let value = self.with_evaluator(frame, Own::default(), |evaluator| evaluator.eval(&attribute.value));
            return self.count(attribute, value?);
        }
        Ok(Some(vec![(None, Own::default())]))
    }

    fn not_known(&mut self, attribute: &SyntaxAttribute) -> Result<Option<Keyed>, Failed> {
        if self.facts.is_none() {
            return Ok(None);
        }
        let detail = "Which instances there are must be known when planning. It depends on facts of a host that could \
                      not be asked.";
        self.report(attribute.value.span, "unknown-instances", format!("`{}` is not known", attribute.name), detail);
        Err(Failed::Reported)
    }

    fn for_each(&mut self, attribute: &SyntaxAttribute, value: Value) -> Result<Option<Keyed>, Failed> {
        const CODE: &str = "invalid-for-each";
        let span = attribute.value.span;
        let keys_are_secret = match &value.data {
            Data::Set(..) => value.is_sensitive_anywhere(),
            _ => value.sensitive,
        };
        if keys_are_secret {
            let detail = "Keys are part of addresses, which are shown. Use keys that are no secret, or `nonsensitive`.";
            self.report(span, CODE, "The keys of `for_each` are sensitive", detail);
            return Err(Failed::Reported);
        }
        if value.is_null() {
            self.report(span, CODE, "`for_each` is null", "Give it a map or a set; `{}` and `[]` make no instance.");
            return Err(Failed::Reported);
        }
        let own = |key: &Arc<str>, value: &Value| {
            let each = (Data::Text(key.clone()).into(), value.clone());
            (Some(Key::Text(key.clone())), Own { each: Some(each), ..Own::default() })
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
                let keys: Option<Vec<_>> =
                    elements.iter().map(|element| element.as_text().map(|key| own(key, element))).collect();
                keys.map(Some).ok_or_else(|| {
                    let detail = "A set for `for_each` holds texts. For other elements make a map with \
                                  `{ for x in ... : x.name => x }`.";
                    self.report(span, CODE, "The elements are no texts", detail);
                    Failed::Reported
                })
            }
            _ => {
                let detail = match value.ty() {
                    Type::List(_) | Type::Tuple(_) => {
                        "It is a list. Make it a set with `toset(...)`, or a map with `{ for x in ... : x.name => x }`."
                            .to_owned()
                    }
                    other => format!("It is {}. A map or a set of texts is required.", with_article(&other)),
                };
                self.report(span, CODE, "`for_each` needs a map or a set of texts", detail);
                Err(Failed::Reported)
            }
        }
    }

    fn count(&mut self, attribute: &SyntaxAttribute, value: Value) -> Result<Option<Keyed>, Failed> {
        const CODE: &str = "invalid-count";
        let span = attribute.value.span;
        if value.sensitive {
            let detail = "The number of instances is shown. Use a number that is no secret, or `nonsensitive`.";
            self.report(span, CODE, "`count` is sensitive", detail);
            return Err(Failed::Reported);
        }
        if value.is_unknown() {
            return self.not_known(attribute);
        }
        let number = convert(&value, &Type::Number).ok();
        let count = number.and_then(|value| usize::try_from(value.as_number()?.to_u64()?).ok());
        let Some(count) = count.filter(|count| *count <= MOST_INSTANCES) else {
            let detail = format!("A whole number from 0 to {MOST_INSTANCES} is required.");
            self.report(span, CODE, "This cannot be a count", detail);
            return Err(Failed::Reported);
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

    /// The contents of the block for one instance.
    fn decoded(&mut self, frame: usize, contents: &Contents<'_>, own: &Own, same: &AllSame) -> Decoded {
        let modules = self.modules;
        let from = &modules[self.frames[frame].module].from_root;
        self.with_evaluator(frame, own.clone(), |evaluator| contents.decode(evaluator, same, from))
    }

    /// One instance: its block goes to `blocks`, its object is returned. Of one that is in error as much as is certain.
    fn instance(
        &mut self,
        frame: usize,
        contents: &Contents<'_>,
        address: &Address,
        own: &Own,
        common: &Common,
        is_sound: bool,
    ) -> Option<Value> {
        let resource = contents.resource;
        let decoded = self.decoded(frame, contents, own, &common.same);
        let lifecycle = match &common.lifecycle {
            Some(lifecycle) => Some(lifecycle.clone()),
            None => self.lifecycle(frame, resource, own),
        };
        let Decoded { attributes, blocks, originals, mut fits, has_all_blocks } = decoded;
        fits &= is_sound && lifecycle.is_some();
        let lifecycle = lifecycle.unwrap_or_default();
        let depends_on = self.instance_dependencies(frame, contents, own, common)?;
        let place = contents.place.clone();
        let mut block = Block { address: address.clone(), attributes, blocks, depends_on, lifecycle, place };
        let mut problems = match has_all_blocks {
            true => resource.kind.complete(&mut block, &self.blocks),
            false => Vec::new(),
        };
        for problem in &mut problems {
            problem.place = problem.place.take().or_else(|| block.place.as_deref().cloned());
            conceal(problem, &block);
        }
        fits &= !problems.iter().any(Problem::is_error);
        let wrong: Vec<Place> = problems.iter().filter_map(|problem| problem.place.clone()).collect();
        self.problems.append(&mut problems);
        if fits && block.has_unknown() {
            self.wants_facts = true;
            let needs_what_is_in_error = block.depends_on.iter().any(|needed| self.in_error.contains(needed));
            if resource.kind.name() == host::NAME && self.facts.is_none() && !needs_what_is_in_error {
                let unknown = block.attributes.iter().find(|(_, attribute)| attribute.value == Datum::Unknown);
                let span = unknown
                    .and_then(|(name, _)| resource.block.body.attribute(name))
                    .map_or(resource.block.header, |attribute| attribute.value.span);
                let detail = "Hosts are evaluated before any of them is asked, so nothing in a `host` block can depend on \
                              facts.";
                self.report(span, "host-needs-facts", format!("`{address}` depends on facts of a host"), detail);
                fits = false;
            }
        }
        let value = match fits {
            true => self.object(&contents.shape, &block, &originals, &Value::null()),
            false => {
                let certain = certain(resource, &block, &wrong);
                self.object(&contents.shape, &certain, &originals, &Value::unknown())
            }
        };
        if !value.fits(DEEPEST, LARGEST) {
            // What comes after it in a chain begins anew and would say the same.
            if !std::mem::replace(&mut self.is_too_deep, true) {
                let detail = format!("Resources may refer to each other {DEEPEST} levels deep.");
                self.report(resource.block.header, "too-complex", "This is nested too deeply", detail);
            }
            return None;
        }
        if resource.is_repeated {
            return Some(value);
        }
        let needs_error = block.depends_on.iter().any(|needed| self.near_error.contains(needed));
        self.blocks.insert(address.clone(), block);
        self.instances.insert(address.clone(), value.clone());
        let is_in_error = !fits || !self.postconditions(frame, resource, own, &value);
        if is_in_error {
            self.in_error.insert(address.clone());
        }
        if is_in_error || needs_error {
            self.near_error.insert(address.clone());
        }
        Some(value)
    }
}

/// Takes what a kind says of a sensitive value out of the problem.
fn conceal(problem: &mut Problem, block: &Block) {
    let nested = block.blocks.iter().flat_map(|nested| &nested.attributes);
    let is_meant =
        |attribute: &Attribute| attribute.place.is_some() && attribute.place.as_deref() == problem.place.as_ref();
    let mut secrets = block.attributes.iter().chain(nested).filter(|(_, attribute)| attribute.sensitive);
    let Some((name, _)) = secrets.find(|(_, attribute)| is_meant(attribute)) else { return };
    problem.summary = format!("`{name}` cannot be this");
    problem.detail = "More cannot be said: the value is sensitive.".to_owned();
}

/// The block with nothing but what is certain, though something in it is wrong: the rest is unknown.
fn certain(resource: &Resource, block: &Block, wrong: &[Place]) -> Block {
    let unknown = |schema: &'static [AttributeSchema], attributes: &mut AttributeMap| {
        for known in schema {
            let attribute =
                attributes.entry(known.name.into()).or_insert_with(|| Attribute::default_value(Datum::Unknown));
            if attribute.place.as_deref().is_some_and(|place| wrong.contains(place)) {
                attribute.value = Datum::Unknown;
            }
        }
    };
    let schema = resource.kind.schema();
    let mut block = block.clone();
    unknown(schema.attributes, &mut block.attributes);
    for nested in &mut block.blocks {
        let known = schema.blocks.iter().find(|known| known.name == nested.name);
        unknown(known.map_or(&[], |known| known.attributes), &mut nested.attributes);
    }
    block
}

/// The name and the key of `module.NAME` or `module.NAME[key]`.
fn called_module(expr: &Expr) -> Option<(Arc<str>, Option<Key>)> {
    let (inner, key) = match &expr.node {
        SyntaxNode::Index(inner, key) => (inner.as_ref(), Some(literal_key(key)?)),
        _ => (expr, None),
    };
    match (&inner.words()?[..], key) {
        ([word, name], key) if word.as_ref() == "module" => Some((name.clone(), key)),
        _ => None,
    }
}
