//! `module` blocks: the instances of each, what goes into them as variables, and what comes out of them as outputs.

use std::sync::Arc;

use super::super::declare::{Declarations, unexpected};
use super::super::eval::Found;
use super::super::modules::ROOT;
use super::super::references::{Reference, references};
use super::super::syntax::Block as SyntaxBlock;
use super::super::value::{Data, Fields, Value};
use super::super::variables;
use super::{Addresses, DEEPEST, Instances, LARGEST, Own, World};
use crate::model::address::ModuleStep;
use crate::model::{Key, Place};

/// What a `module` block has beside the variables of the module.
pub(super) const META: &[&str] = &["source", "count", "for_each", "depends_on"];

/// How many calls around each other are named with a problem.
const MOST_CALLERS: usize = 8;

/// The most instances of all modules together.
const MOST_FRAMES: usize = 100_000;

/// The output that a reference to a module names, where it names exactly one of them: `module.x.OUT`, or
/// `module.x[key].OUT` of a block with instances. Others read the whole object.
pub(super) fn named_output<'r>(call: &SyntaxBlock, reference: &'r Reference<'_>) -> Option<&'r str> {
    let output = reference.attribute.as_deref()?;
    (has_instances(call) == reference.key.is_some()).then_some(output)
}

fn has_instances(call: &SyntaxBlock) -> bool {
    call.body.attribute("count").is_some() || call.body.attribute("for_each").is_some()
}

impl Instances {
    fn frames(&self) -> Vec<usize> {
        match self {
            Instances::Unknown => Vec::new(),
            Instances::One(frame) => vec![*frame],
            Instances::ByIndex(all) => all.clone(),
            Instances::ByKey(all) => all.values().copied().collect(),
        }
    }

    fn keyed(&self, key: &Key) -> Option<usize> {
        match (self, key) {
            (Instances::ByIndex(all), Key::Index(index)) => all.get(usize::try_from(*index).ok()?).copied(),
            (Instances::ByKey(all), Key::Text(text)) => all.get(text).copied(),
            _ => None,
        }
    }
}

/// All that a call of a module may hold.
fn inputs(declarations: &Declarations) -> Vec<&str> {
    META.iter().copied().chain(declarations.variables.keys().map(|name| name.as_ref())).collect()
}

impl World<'_> {
    /// Makes the instances of a module block.
    pub(super) fn expand_call(&mut self, frame: usize, name: &Arc<str>) {
        let here = self.frames[frame].module;
        let Some(block) = self.declarations(frame).calls.get(name) else { return };
        // Of a module that cannot be read, that is said where it is read.
        let Some(module) = self.modules[here].children.get(name).copied() else { return };
        self.check_call(block, module);
        let mut addresses = self.depends_on(frame, &block.body).unwrap_or_default();
        let keys = self.instances_of(frame, &block.body);
        for name in ["count", "for_each"] {
            if let Some(attribute) = block.body.attribute(name) {
                addresses.extend(self.dependencies(frame, &references(&attribute.value), &Own::default()));
            }
        }
        addresses.extend(self.frames[frame].depends_on.iter().cloned());
        let addresses: Addresses = Arc::new(addresses);
        let outer_sketch = self.frames[frame].is_sketch;
        let Ok(Some(keys)) = keys else {
            self.wants_facts |= keys.is_ok();
            let own =
                Own { each: Some((Value::unknown(), Value::unknown())), count: Some(Value::unknown()), this: None };
            let inner = self.called(frame, module, name, None, own, addresses);
            self.frames[inner].is_sketch = true;
            self.frames[frame].calls.insert(name.clone(), Instances::Unknown);
            return;
        };
        if self.frames.len() + keys.len() > MOST_FRAMES {
            let detail = format!("All `module` blocks together may have {MOST_FRAMES} instances.");
            self.report(block.header, "too-complex", "There are too many instances of modules", detail);
            return;
        }
        let keyed = keys.into_iter().map(|(key, own)| {
            let inner = self.called(frame, module, name, key.clone(), own, addresses.clone());
            self.frames[inner].is_sketch = outer_sketch;
            (key, inner)
        });
        let keyed: Vec<(Option<Key>, usize)> = keyed.collect();
        let by_index = block.body.attribute("count").is_some();
        let instances = match keyed.as_slice() {
            [(None, inner)] => Instances::One(*inner),
            _ if by_index => Instances::ByIndex(keyed.iter().map(|(_, inner)| *inner).collect()),
            _ => Instances::ByKey(
                keyed
                    .into_iter()
                    .filter_map(|(key, inner)| match key? {
                        Key::Text(text) => Some((text, inner)),
                        Key::Index(_) => None,
                    })
                    .collect(),
            ),
        };
        self.frames[frame].calls.insert(name.clone(), instances);
    }

    fn called(
        &mut self,
        parent: usize,
        module: usize,
        name: &Arc<str>,
        key: Option<Key>,
        own: Own,
        depends_on: Addresses,
    ) -> usize {
        let mut steps = self.frames[parent].steps.to_vec();
        steps.push(ModuleStep { name: name.clone(), key });
        let inner = self.frame(module, steps.into(), parent, own);
        self.frames[inner].depends_on = depends_on;
        inner
    }

    /// Reports what the block says and the module does not know.
    fn check_call(&mut self, block: &SyntaxBlock, module: usize) {
        let declared = &self.modules[module].declarations;
        if !declared.any_lost("variable") {
            let known = inputs(declared);
            let owner = format!("Module `{}`", block.labels.first().map_or("", |(name, _)| name));
            let problems = unexpected(self.sources, &block.body, &known, &[], &owner);
            self.problems.extend(problems);
        }
        if let (Some(count), Some(_)) = (block.body.attribute("count"), block.body.attribute("for_each")) {
            let detail = "A block has instances by number or by key. Remove one of the two.";
            self.report(count.name_span, "conflicting-attributes", "`count` and `for_each` exclude each other", detail);
        }
    }

    /// The value of a variable of a module: what the call gives, else the default.
    pub(super) fn variable(&mut self, frame: usize, name: &Arc<str>) {
        if self.frames[frame].module == ROOT {
            return;
        }
        let Some(declared) = self.declarations(frame).variables.get(name) else { return };
        let (parent, own) = (self.frames[frame].parent, self.frames[frame].own.clone());
        let Some(call) = self.frames[frame].steps.last() else { return };
        let Some(block) = self.declarations(parent).calls.get(&call.name) else { return };
        let given = block.body.attribute(name).filter(|_| !META.contains(&name.as_ref()));
        // What was not given because of another mistake is not missing.
        let is_missing = given.is_none() && block.body.lacks(name, &inputs(self.declarations(frame)));
        let value = self.with_evaluator(parent, own.clone(), |evaluator| {
            let input = match given {
                Some(attribute) => Some((evaluator.eval(&attribute.value).ok()?, &attribute.value)),
                None if is_missing => None,
                None => return None,
            };
            variables::input(evaluator, name, declared, input, block.header)
        });
        let dependencies = match given {
            Some(attribute) => self.dependencies(parent, &references(&attribute.value), &own),
            None => Default::default(),
        };
        let mut found = value.map_or(Found::Poisoned, Found::Value);
        if let (Found::Value(value), Some(given)) = (&found, given)
            && !value.fits(DEEPEST, LARGEST)
        {
            let detail = format!("A value may nest {DEEPEST} levels deep and have {LARGEST} parts.");
            self.report(given.value.span, "too-complex", "This value is too large", detail);
            found = Found::Poisoned;
        }
        self.frames[frame].variables.insert(name.clone(), (found, Arc::new(dependencies)));
    }

    /// Gives the problems from number `from` on, which were found in a frame, the places from which their module is called. Where
    /// the value of a variable plays a part, that is its argument.
    pub(super) fn name_callers(&mut self, frame: usize, from: usize) {
        let found = self.problems.len();
        for number in from..found {
            let mut frame = frame;
            while self.frames[frame].module != ROOT && self.problems[number].called_from.len() < MOST_CALLERS {
                let parent = self.frames[frame].parent;
                let Some(call) = self.frames[frame].steps.last() else { break };
                let Some(block) = self.declarations(parent).calls.get(&call.name) else { break };
                let problem = &self.problems[number];
                let mut arguments = problem.values.iter().filter_map(|(name, _)| {
                    let name = name.strip_prefix("var.")?.split(['.', '[']).next()?;
                    block.body.attribute(name).filter(|_| problem.called_from.is_empty())
                });
                let span =
                    arguments.next().map_or(block.header, |attribute| attribute.name_span.to(attribute.value.span));
                let is_there = |one: &Place| Some(&one.file) == self.place(span).as_ref().map(|place| &place.file);
                // What is wrong with an argument is shown where it stands.
                if !(problem.called_from.is_empty() && problem.place.as_ref().is_some_and(is_there)) {
                    let place = self.place(span);
                    self.problems[number].called_from.extend(place);
                }
                frame = parent;
            }
        }
    }

    /// The value of `module.NAME`: an object of outputs, or the instances with such objects.
    pub(super) fn call(&self, frame: usize, name: &str) -> Found {
        let whole = |inner: usize| -> Option<Value> {
            let mut fields = Vec::new();
            for output in self.declarations(inner).outputs.keys() {
                match self.frames[inner].outputs.get(output) {
                    Some((Found::Value(value), _)) => fields.push((output.clone(), value.clone())),
                    _ => return None,
                };
            }
            Some(Value::object(fields.into_iter().collect()))
        };
        let value = match self.frames[frame].calls.get(name) {
            None => None,
            Some(Instances::Unknown) => Some(Value::unknown()),
            Some(Instances::One(inner)) => whole(*inner),
            Some(Instances::ByIndex(all)) => {
                all.iter().map(|inner| whole(*inner)).collect::<Option<Vec<_>>>().map(Value::tuple)
            }
            Some(Instances::ByKey(all)) => all
                .iter()
                .map(|(key, inner)| Some((key.clone(), whole(*inner)?)))
                .collect::<Option<Fields>>()
                .map(Value::object),
        };
        value.map_or(Found::Poisoned, Found::Value)
    }

    /// The instances of a module block without what is in them, to tell whether a key is one of them. `None` for a block
    /// that has no instances.
    pub(super) fn call_keys(&self, frame: usize, name: &str) -> Option<Found> {
        Some(match self.frames[frame].calls.get(name) {
            None => Found::Poisoned,
            Some(Instances::One(_)) => return None,
            Some(Instances::Unknown) => Found::Value(Value::unknown()),
            Some(Instances::ByIndex(all)) => Found::Value(Value::tuple(all.iter().map(|_| Value::unknown()).collect())),
            Some(Instances::ByKey(all)) => {
                let fields = all.keys().map(|key| (key.clone(), Value::unknown())).collect();
                Found::Value(Value::object(fields))
            }
        })
    }

    /// The value of one output of one instance; `None` where this is no name of exactly one.
    pub(super) fn output(&self, frame: usize, call: &str, key: Option<&Value>, name: &str) -> Option<Found> {
        let inner = match (self.frames[frame].calls.get(call), key.map(|key| &key.data)) {
            (None, _) => return Some(Found::Poisoned),
            (Some(Instances::Unknown), _) => return Some(Found::Value(Value::unknown())),
            (Some(Instances::One(inner)), None) => *inner,
            (Some(instances), Some(Data::Number(number))) => instances.keyed(&Key::Index(number.to_u64()?))?,
            (Some(instances), Some(Data::Text(text))) => instances.keyed(&Key::Text(text.clone()))?,
            _ => return None,
        };
        if !self.declarations(inner).outputs.contains_key(name) {
            return Some(Found::Poisoned);
        }
        Some(self.frames[inner].outputs.get(name).map_or(Found::Poisoned, |(found, _)| found.clone()))
    }

    /// The outputs that a reference reads, with the frames that they are in.
    pub(super) fn outputs_of<'w>(
        &'w self,
        frame: usize,
        name: &str,
        reference: &Reference<'_>,
        own: &Own,
    ) -> Vec<(usize, &'w Arc<str>)> {
        let Some(block) = self.declarations(frame).calls.get(name) else { return Vec::new() };
        let named = named_output(block, reference);
        let key = reference.key.and_then(|key| self.key(frame, key, own));
        let Some(instances) = self.frames[frame].calls.get(name) else { return Vec::new() };
        let inner = match key.and_then(|key| instances.keyed(&key)) {
            Some(inner) => vec![inner],
            None => instances.frames(),
        };
        let outputs = |inner: usize| self.declarations(inner).outputs.keys();
        inner
            .into_iter()
            .flat_map(|inner| outputs(inner).map(move |output| (inner, output)))
            .filter(|(_, output)| named.is_none_or(|named| named == output.as_ref()))
            .collect()
    }

    /// All resources of the instances of a module, and of the modules in it.
    pub(super) fn resources_within(&self, frame: usize, call: &str, key: Option<&Key>) -> Option<Vec<Addresses>> {
        let instances = self.frames[frame].calls.get(call)?;
        let mut open = match key {
            None => instances.frames(),
            Some(key) => vec![instances.keyed(key)?],
        };
        let mut all = Vec::new();
        while let Some(frame) = open.pop() {
            all.extend(self.frames[frame].resources.iter().map(|(_, addresses)| addresses.clone()));
            open.extend(self.frames[frame].calls.values().flat_map(Instances::frames));
        }
        Some(all)
    }

    /// Whether anything in the instances of a module is in error.
    pub(super) fn is_poisoned_within(&self, frame: usize, call: &str) -> bool {
        let Some(instances) = self.frames[frame].calls.get(call) else { return true };
        instances.frames().into_iter().any(|inner| {
            self.frames[inner].resources.iter().any(|(found, _)| matches!(found, Found::Poisoned))
                || self.declarations(inner).calls.keys().any(|call| self.is_poisoned_within(inner, call))
        })
    }
}
