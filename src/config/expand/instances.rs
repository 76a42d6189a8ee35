//! A resource block becomes its instances: `count` and `for_each`, the attributes in the types of the schema, the
//! defaults of the kind, and the object that others read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::convert::{convert, with_article};
use super::super::declare::{Resource, address_of, unexpected};
use super::super::decode;
use super::super::eval::{Evaluator, Failed, Found, missing_name};
use super::super::source::Span;
use super::super::syntax::{Attribute as SyntaxAttribute, Block as SyntaxBlock, Body, Expr, Node as SyntaxNode};
use super::super::types::Type;
use super::super::value::{Data, Fields, Value};
use super::{Addresses, DEEPEST, LARGEST, META, Own, World};
use crate::kinds::host;
use crate::kinds::schema::{AttributeSchema, BlockSchema, Type as Wanted};
use crate::model::{Address, Attribute, Block, Datum, HostName, Key, Lifecycle, NestedBlock, Place, Problem};

/// The most instances of one block with `count`.
const MOST_INSTANCES: usize = 100_000;

/// The most dependencies of all instances together.
const MOST_DEPENDENCIES: usize = 1_000_000;

/// What the block of one instance says.
struct Decoded {
    attributes: BTreeMap<String, Attribute>,
    blocks: Vec<NestedBlock>,
    lifecycle: Lifecycle,
    /// The values of attributes that take anything, exactly.
    originals: BTreeMap<&'static str, Value>,
    /// Whether all of it is as the schema wants it. What is in error stands there as unknown.
    fits: bool,
}

/// The key of each instance and what it sees.
type Instances = Vec<(Option<Key>, Own)>;

impl World<'_> {
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
        let is_narrowed =
            |expr: &&Expr| given.is_some() && for_each.is_some_and(|for_each| std::ptr::eq(*expr, for_each));
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

    pub(super) fn resource(&mut self, number: usize) {
        let resource = &self.declarations.resources[number];
        let is_as_known = !self.check_block(resource);
        let instances = self.instances_of(resource);
        let depends_on = self.depends_on(&resource.block.body);
        let is_sound = is_as_known && depends_on.is_some();
        let block = Address::root(resource.kind.name(), &resource.name);
        let Ok(Some(instances)) = instances else {
            self.wants_facts |= instances.is_ok();
            let own = Own {
                each: Some((Value::unknown_of(Type::Text), Value::unknown())),
                count: Some(Value::unknown_of(Type::Number)),
                this: None,
            };
            // Whatever the instances will be, mistakes in the block are mistakes.
            if self.decoded(resource, &own).fits && is_sound && instances.is_ok() {
                self.resources[number] = (Found::Value(Value::unknown()), Addresses::default());
            }
            return;
        };
        let depends_on = depends_on.unwrap_or_default();
        let mut values: Vec<(Option<Key>, Value)> = Vec::with_capacity(instances.len());
        for (key, own) in &instances {
            let address = match key {
                Some(key) => block.clone().keyed(key.clone()),
                None => block.clone(),
            };
            let before = self.problems.len();
            let mut decoded = self.decoded(resource, own);
            decoded.fits &= is_sound;
            let value = self.instance(resource, decoded, &address, own, &depends_on);
            if key.is_some() {
                self.problems[before..].iter_mut().for_each(|problem| problem.instance = Some(address.to_string()));
            }
            // Without one of its instances the block has no value, and what refers to it is not judged.
            let Some(value) = value else { return };
            values.push((key.clone(), value));
        }
        let addresses = instances.iter().map(|(key, _)| match key {
            Some(key) => block.clone().keyed(key.clone()),
            None => block.clone(),
        });
        let addresses = Arc::new(addresses.collect());
        let value = self.block_value(resource, values);
        self.resources[number] = (Found::Value(value), addresses);
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
            let problem = Problem::error("conflicting-attributes", "`count` and `for_each` exclude each other", detail);
            problems.push(problem.at(self.place(count.name_span).as_ref()));
        }
        let found = !problems.is_empty();
        self.problems.append(&mut problems);
        found
    }

    /// The resources of `depends_on`; `None` if one of them is in error.
    pub(super) fn depends_on(&mut self, body: &Body) -> Option<BTreeSet<Address>> {
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
            let Ok(address) = address_of(self.sources, element) else {
                let detail = "Each element is a resource: `KIND.NAME`, or one instance: `KIND.NAME[\"key\"]`.";
                self.report(element.span, CODE, "This is not a resource", detail);
                fits = false;
                continue;
            };
            let number =
                self.declarations.by_name.get(address.kind.as_str()).and_then(|names| names.get(address.name.as_str()));
            let Some(number) = number else {
                fits = false;
                if self.declarations.is_lost(&address.kind, &address.name) {
                    continue;
                }
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
    fn instances_of(&mut self, resource: &Resource) -> Result<Option<Instances>, Failed> {
        let body = &resource.block.body;
        if let Some(attribute) = body.attribute("for_each") {
            let value = self.with_evaluator(Own::default(), |evaluator| evaluator.eval(&attribute.value));
            return self.for_each(attribute, value?);
        }
        if let Some(attribute) = body.attribute("count") {
            let value = self.with_evaluator(Own::default(), |evaluator| evaluator.eval(&attribute.value));
            return self.count(attribute, value?);
        }
        Ok(Some(vec![(None, Own::default())]))
    }

    fn not_known(&mut self, attribute: &SyntaxAttribute) -> Result<Option<Instances>, Failed> {
        if self.facts.is_none() {
            return Ok(None);
        }
        let detail = "Which instances there are must be known when planning. It depends on facts of a host that could \
                      not be asked.";
        self.report(attribute.value.span, "unknown-instances", format!("`{}` is not known", attribute.name), detail);
        Err(Failed::Reported)
    }

    fn for_each(&mut self, attribute: &SyntaxAttribute, value: Value) -> Result<Option<Instances>, Failed> {
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

    fn count(&mut self, attribute: &SyntaxAttribute, value: Value) -> Result<Option<Instances>, Failed> {
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

    /// The contents of the block for one instance, in the types of the schema.
    fn decoded(&mut self, resource: &Resource, own: &Own) -> Decoded {
        let schema = resource.kind.schema();
        let body = &resource.block.body;
        let mut originals = BTreeMap::new();
        let (attributes, blocks, mut fits) = self.with_evaluator(own.clone(), |evaluator| {
            let (attributes, mut fits) =
                attributes(evaluator, schema.attributes, body, resource.block.header, &mut originals);
            let mut blocks = Vec::new();
            for block in &body.blocks {
                let Some(nested) = schema.blocks.iter().find(|known| known.name == block.word.as_ref()) else {
                    continue;
                };
                let (nested, nested_fits) = nested_block(evaluator, nested, block);
                blocks.push(nested);
                fits &= nested_fits;
            }
            (attributes, blocks, fits)
        });
        let lifecycle = self.lifecycle(resource, own);
        fits &= lifecycle.is_some();
        Decoded { attributes, blocks, lifecycle: lifecycle.unwrap_or_default(), originals, fits }
    }

    /// One instance: its block goes to `blocks`, its object is returned. Of one that is in error as much as is certain.
    fn instance(
        &mut self,
        resource: &Resource,
        decoded: Decoded,
        address: &Address,
        own: &Own,
        depends_on: &BTreeSet<Address>,
    ) -> Option<Value> {
        let Decoded { attributes, blocks, lifecycle, originals, mut fits } = decoded;
        let body = &resource.block.body;
        let dependencies = self.instance_dependencies(resource, own, depends_on)?;
        let place = self.place(resource.block.header);
        let mut block =
            Block { address: address.clone(), attributes, blocks, depends_on: dependencies, lifecycle, place };
        let mut problems = match can_be_judged(resource) {
            true => resource.kind.complete(&mut block, &self.blocks),
            false => Vec::new(),
        };
        for problem in &mut problems {
            if problem.place.is_none() {
                problem.place = block.place.clone();
            }
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
                    .and_then(|(name, _)| body.attribute(name))
                    .map_or(resource.block.header, |attribute| attribute.value.span);
                let detail = "Hosts are evaluated before any of them is asked, so nothing in a `host` block can depend on \
                              facts.";
                self.report(span, "host-needs-facts", format!("`{address}` depends on facts of a host"), detail);
                fits = false;
            }
        }
        let value = match fits {
            true => self.object(resource, &block, &originals, &Value::null()),
            false => self.object(resource, &certain(resource, &block, &wrong), &originals, &Value::unknown()),
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
        self.blocks.insert(address.clone(), block);
        self.instances.insert(address.clone(), value.clone());
        if !fits || !self.postconditions(resource, own, &value) {
            self.in_error.insert(address.clone());
        }
        Some(value)
    }

    /// The object that others read. `absent` stands for a nested block that is not there.
    fn object(
        &self,
        resource: &Resource,
        block: &Block,
        originals: &BTreeMap<&'static str, Value>,
        absent: &Value,
    ) -> Value {
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
                false => objects.next().unwrap_or_else(|| absent.clone()),
            };
            fields.insert(Arc::from(nested.name), value);
        }
        if resource.kind.name() == host::NAME {
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
}

/// Whether the nested blocks are all that was meant to stand there: of others a kind would say what follows from that.
fn can_be_judged(resource: &Resource) -> bool {
    let schema = resource.kind.schema();
    let body = &resource.block.body;
    let is_known = |word: &str| word == "lifecycle" || schema.blocks.iter().any(|block| block.name == word);
    !body.has_gaps && body.blocks.iter().all(|block| is_known(&block.word) && !block.body.has_gaps)
}

/// Takes what a kind says of a sensitive value out of the problem.
fn conceal(problem: &mut Problem, block: &Block) {
    let nested = block.blocks.iter().flat_map(|nested| &nested.attributes);
    let mut attributes = block.attributes.iter().chain(nested);
    let Some((name, _)) = attributes
        .find(|(_, attribute)| attribute.sensitive && attribute.place.is_some() && attribute.place == problem.place)
    else {
        return;
    };
    problem.summary = format!("`{name}` cannot be this");
    problem.detail = "More cannot be said: the value is sensitive.".to_owned();
}

/// The block with nothing but what is certain, though something in it is wrong: the rest is unknown.
fn certain(resource: &Resource, block: &Block, wrong: &[Place]) -> Block {
    let unknown = |schema: &'static [AttributeSchema], attributes: &mut BTreeMap<String, Attribute>| {
        for known in schema {
            let attribute =
                attributes.entry(known.name.to_owned()).or_insert_with(|| Attribute::default_value(Datum::Unknown));
            if attribute.place.as_ref().is_some_and(|place| wrong.contains(place)) {
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

/// The attributes of a body in the types of the schema, and whether they fit. One that is in error, or was most likely meant
/// to be there, is unknown.
fn attributes(
    evaluator: &mut Evaluator<'_>,
    schema: &'static [AttributeSchema],
    body: &Body,
    header: Span,
    originals: &mut BTreeMap<&'static str, Value>,
) -> (BTreeMap<String, Attribute>, bool) {
    let mut attributes = BTreeMap::new();
    let mut fits = true;
    let names: Vec<&str> = schema.iter().map(|known| known.name).collect();
    for known in schema {
        let mut in_error = |place: Option<Place>| {
            let value = Datum::Unknown;
            attributes.insert(known.name.to_owned(), Attribute { value, place, sensitive: known.secret });
            fits = false;
        };
        let Some(written) = body.attribute(known.name) else {
            let is_missing = body.lacks(known.name, &names);
            if known.required && is_missing {
                missing(evaluator, known, header);
            }
            if known.required || !is_missing {
                in_error(None);
            }
            continue;
        };
        let place = evaluator.sources.place(written.value.span);
        let Ok(value) = evaluator.eval(&written.value) else {
            in_error(place);
            continue;
        };
        match decode::datum(known, &value) {
            Ok(Some(datum)) => {
                let sensitive = known.secret || value.is_sensitive_anywhere() && !is_reference(known.ty);
                attributes.insert(known.name.to_owned(), Attribute { value: datum, place, sensitive });
                if known.ty == Wanted::Any {
                    originals.insert(known.name, value);
                }
            }
            Ok(None) if known.required => {
                missing(evaluator, known, written.value.span);
                in_error(place);
            }
            Ok(None) => {}
            Err(unfit) => {
                let element = match (unfit.element, &written.value.bare().node) {
                    (Some(index), SyntaxNode::Tuple(elements)) => elements.get(index),
                    _ => None,
                };
                let detail = match (unfit.element, element) {
                    (Some(index), None) => format!("Element {index}: {}", unfit.detail),
                    _ => unfit.detail,
                };
                evaluator.fail(element.unwrap_or(&written.value), unfit.code, unfit.summary, detail);
                in_error(place);
            }
        }
    }
    (attributes, fits)
}

fn is_reference(ty: Wanted) -> bool {
    matches!(ty, Wanted::Resource(_) | Wanted::Resources(_))
}

fn missing(evaluator: &mut Evaluator<'_>, schema: &AttributeSchema, span: Span) {
    let summary = format!("`{}` is missing", schema.name);
    let problem = Problem::error("missing-attribute", summary, decode::missing(schema));
    evaluator.problems.push(problem.at(evaluator.sources.place(span).as_ref()));
}

fn nested_block(
    evaluator: &mut Evaluator<'_>,
    schema: &'static BlockSchema,
    block: &SyntaxBlock,
) -> (NestedBlock, bool) {
    let mut originals = BTreeMap::new();
    let (attributes, fits) = attributes(evaluator, schema.attributes, &block.body, block.header, &mut originals);
    let place = evaluator.sources.place(block.header);
    (NestedBlock { name: schema.name.to_owned(), attributes, blocks: Vec::new(), place }, fits)
}
