//! Expressions to values, with HCL's meaning: all problems of an expression in one go, unknown and sensitive passed on.
//! It reads names through a [`Scope`] and changes nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::convert::{convert, is_kept, stays_as_it_is, unify, with_article};
use super::fields::Gathered;
use super::functions;
use super::number::{Number, Undefined};
use super::source::{Sources, Span};
use super::syntax::{Binary, Expr, For, Node, Part};
use super::types::Type;
use super::value::{Data, Value};
use crate::model::problem::did_you_mean;
use crate::model::{Problem, Problems};

/// The most steps of one expression, or of one block. A configuration can be any text, and three loops within each other
/// over a thousand elements must end with a sentence, not never.
pub(super) const MOST_STEPS: u64 = 10_000_000;
/// The longest text that an expression may build, in bytes.
pub(super) const LONGEST_TEXT: usize = 16 << 20;
/// What is made stays in memory, so that it is counted by its size: a part of a collection, and the bytes of a text that one
/// step stands for.
pub(super) const STEPS_OF_A_PART: usize = 2;
const BYTES_OF_A_STEP: usize = 16;
/// So many digits of the machine are reckoned with in the time of a step.
const BITS_OF_A_STEP: usize = 256;
/// So many parts of a value are looked at in the time of a step.
const UNITS_OF_A_STEP: usize = 32;
/// How deep expressions may nest, through templates in templates.
const DEEPEST: usize = 400;

/// In place of what there is, where that is a secret.
const HIDDEN: &str = "What there is is sensitive, so it is not listed here.";

/// Where names come from.
pub(super) trait Scope {
    /// The value of a name that stands alone: `var`, `each`, `host`.
    fn whole(&self, root: &str) -> Found;

    /// The value of `root.name`, without building the rest of `root`. `None` where `root` has no such members.
    fn member(&self, root: &str, name: &str) -> Option<Found>;

    /// The instances of a `module` block with `count` or `for_each`, each unknown: which there are, not what is in them.
    fn instances(&self, _call: &str) -> Option<Found> {
        None
    }

    /// `module.CALL.NAME`, or `module.CALL[key].NAME`, without building the other outputs.
    fn output(&self, _call: &str, _key: Option<&Value>, _name: &str) -> Option<Found> {
        None
    }

    /// The directory that relative paths of functions start from.
    fn directory(&self) -> &Path;

    /// The directory that relative paths of functions may not leave.
    fn border(&self) -> Option<&Path> {
        None
    }

    /// The variables of the process environment, for `env`.
    fn environment(&self) -> &BTreeMap<String, String>;
}

/// What became of a name.
#[derive(Debug, Clone)]
pub(super) enum Found {
    Value(Value),
    /// It is declared, but in error, which is reported already.
    Poisoned,
    Missing,
}

/// An expression has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// The reason is among the problems of the evaluator.
    Reported,
    /// Something that it refers to is in error.
    Poisoned,
}

pub(super) type Evaluated = Result<Value, Failed>;

pub(super) struct Evaluator<'a> {
    pub scope: &'a dyn Scope,
    pub sources: &'a Sources,
    pub problems: Problems,
    /// That it takes too many steps: kept apart, because the problems of what is only tried are dropped.
    exhausted: Option<Problem>,
    /// No step is left, and that was said elsewhere.
    pub is_exhausted: bool,
    names: Vec<(Arc<str>, Value)>,
    items: Vec<Value>,
    steps: u64,
    depth: usize,
    /// How many expressions came out unknown.
    unknowns: u64,
    /// Steps that the call has taken which is being evaluated.
    owed: usize,
    /// While the values for a message are gathered, nothing may gather values for a message.
    explaining: bool,
    /// What fails is only tried: nobody will read why.
    trying: bool,
}

impl std::fmt::Debug for Evaluator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evaluator").field("problems", &self.problems).finish_non_exhaustive()
    }
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(scope: &'a dyn Scope, sources: &'a Sources) -> Self {
        Evaluator {
            scope,
            sources,
            problems: Vec::new(),
            exhausted: None,
            is_exhausted: false,
            names: Vec::new(),
            items: Vec::new(),
            steps: 0,
            depth: 0,
            unknowns: 0,
            owed: 0,
            explaining: false,
            trying: false,
        }
    }

    /// Another evaluator whose steps count towards the same limit.
    pub(super) fn nested<'b>(&self, scope: &'b dyn Scope, sources: &'b Sources) -> Evaluator<'b> {
        Evaluator { steps: self.steps, depth: self.depth + 1, ..Evaluator::new(scope, sources) }
    }

    /// How many steps were taken.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Goes on counting from here.
    pub(super) fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// Whether it took too many steps, which is among the problems.
    pub(super) fn ran_out(&self) -> bool {
        self.exhausted.is_some()
    }

    /// Everything that was reported.
    pub(super) fn take_problems(&mut self) -> Problems {
        let mut problems = std::mem::take(&mut self.problems);
        problems.extend(self.exhausted.take());
        problems
    }

    /// Reports what is wrong at `expr`, with the values of the names in it.
    pub(super) fn fail(
        &mut self,
        expr: &Expr,
        code: &str,
        summary: impl Into<String>,
        detail: impl Into<String>,
    ) -> Failed {
        self.fail_at(expr.span, expr, code, summary, detail)
    }

    fn fail_at(
        &mut self,
        span: Span,
        expr: &Expr,
        code: &str,
        summary: impl Into<String>,
        detail: impl Into<String>,
    ) -> Failed {
        let mut problem = Problem::error(code, summary, detail).at(self.sources.place(span).as_ref());
        problem.values = self.values_in(expr);
        self.problems.push(problem);
        Failed::Reported
    }

    /// The names in an expression with their values, as people may see them.
    pub(super) fn values_in(&mut self, expr: &Expr) -> Vec<(String, String)> {
        if self.explaining || self.trying {
            return Vec::new();
        }
        self.explaining = true;
        let mut names = Vec::new();
        references(expr, &mut names);
        let (problems, depth) = (self.problems.len(), self.depth);
        let mut values: Vec<(String, String)> = Vec::new();
        for name in names.into_iter().take(8) {
            // Where a name has no value, what it is read from may have one.
            let mut at = Some(name);
            while let Some(name) = at {
                let text = self.sources.slice(name.span).to_owned();
                let value = self.eval(name);
                at = match &name.node {
                    Node::Attribute(inner, ..) | Node::Index(inner, _) if value.is_err() => Some(inner),
                    _ => None,
                };
                let Ok(value) = value else { continue };
                let shown = value.for_message();
                let says_something = !text.is_empty() && !text.contains('\n') && shown != text;
                if says_something && values.iter().all(|(known, _)| *known != text) {
                    values.push((text, shown));
                }
            }
        }
        self.problems.truncate(problems);
        self.depth = depth;
        self.explaining = false;
        values
    }

    /// Counts work, so that a hopeless expression ends. Nothing has a value from then on.
    pub(super) fn step(&mut self, expr: &Expr, count: usize) -> Result<(), Failed> {
        self.steps = self.steps.saturating_add(count as u64);
        if self.steps <= MOST_STEPS && !self.is_exhausted {
            return Ok(());
        }
        if self.exhausted.is_none() && !self.is_exhausted {
            let detail =
                format!("An evaluation may take {MOST_STEPS} steps. Loops within each other multiply: loop over less.");
            let problem = Problem::error("too-complex", "This takes too many steps", detail);
            self.exhausted = Some(problem.at(self.sources.place(expr.span).as_ref()));
        }
        Err(Failed::Poisoned)
    }

    /// Counts the work of looking through values.
    pub(super) fn look(&mut self, expr: &Expr, values: &[&Value]) -> Result<(), Failed> {
        let most = (MOST_STEPS as usize + 1) * UNITS_OF_A_STEP;
        let units: usize = values.iter().map(|value| value.units(most)).sum();
        self.step(expr, units / UNITS_OF_A_STEP)
    }

    /// Counts a text that is made.
    pub(super) fn make_text(&mut self, expr: &Expr, bytes: usize) -> Result<(), Failed> {
        self.step(expr, bytes / BYTES_OF_A_STEP)
    }

    /// Counts work of a call where the expression of the call is not known. Where too much comes together, the call must
    /// end, and what it makes of that is reported.
    pub(super) fn owe(&mut self, count: usize) -> Result<(), Failed> {
        self.owed = self.owed.saturating_add(count);
        match self.steps.saturating_add(self.owed as u64) <= MOST_STEPS {
            true => Ok(()),
            false => Err(Failed::Poisoned),
        }
    }

    /// The same for parts of collections that are going to be made.
    pub(super) fn owe_parts(&mut self, count: usize) -> Result<(), Failed> {
        self.owe(count.saturating_mul(STEPS_OF_A_PART))
    }

    /// The same for parts that have no value yet.
    pub(super) fn owe_new(&mut self, count: usize) -> Result<(), Failed> {
        self.owe(count.saturating_mul(2 * STEPS_OF_A_PART))
    }

    pub(super) fn owe_text(&mut self, bytes: usize) -> Result<(), Failed> {
        self.owe(bytes / BYTES_OF_A_STEP)
    }

    pub(super) fn take_owed(&mut self) -> usize {
        std::mem::take(&mut self.owed)
    }

    /// The value of an expression that may fail, for which no words are looked for then.
    pub(super) fn try_open(&mut self, expr: &Expr) -> (Evaluated, bool) {
        let before = self.problems.len();
        let was_trying = std::mem::replace(&mut self.trying, true);
        let found = self.eval_open(expr);
        self.trying = was_trying;
        self.problems.truncate(before);
        found
    }

    /// Nobody will read why something fails here.
    pub(super) fn is_trying(&self) -> bool {
        self.trying
    }

    /// Calls `work` where `name` is this value.
    pub(super) fn with_name<T>(&mut self, name: &Arc<str>, value: Value, work: impl FnOnce(&mut Self) -> T) -> T {
        self.names.push((name.clone(), value));
        let result = work(self);
        self.names.pop();
        result
    }

    /// Counts a value that is going to be converted while parts of it are unknown: they may not fit once they are known.
    pub(super) fn note_conversion(&mut self, value: &Value, to: &Type) {
        if !is_kept(value, to) && value.has_unknown_within() {
            self.unknowns += 1;
        }
    }

    /// The value of the expression, converted; the misfit is reported.
    pub(super) fn eval_as(&mut self, expr: &Expr, ty: &Type, code: &str, summary: &str) -> Evaluated {
        let value = self.eval(expr)?;
        convert(&value, ty).map_err(|misfit| {
            let given = with_article(&value.ty());
            self.fail(expr, code, summary, format!("It is {given}: {misfit}."))
        })
    }

    pub(super) fn eval(&mut self, expr: &Expr) -> Evaluated {
        self.step(expr, 1)?;
        self.depth += 1;
        if self.depth > DEEPEST {
            self.depth -= 1;
            return Err(self.fail(expr, "too-complex", "This is nested too deeply", "Name a part of it in `locals`."));
        }
        let value = self.eval_node(expr);
        self.depth -= 1;
        if let Ok(Value { data: Data::Unknown(_), .. }) = &value {
            self.unknowns += 1;
        }
        value
    }

    /// The value of an expression, and whether it may come to something else once more is known: to an error, or to a value
    /// of another type. Something in it was unknown, be it only to be looked at.
    pub(super) fn eval_open(&mut self, expr: &Expr) -> (Evaluated, bool) {
        let before = self.unknowns;
        let value = self.eval(expr);
        let value = match value {
            Ok(value) => self.look(expr, &[&value]).map(|()| value),
            failed => failed,
        };
        let is_open = self.unknowns > before || value.as_ref().is_ok_and(Value::has_unknown);
        (value, is_open)
    }

    fn eval_node(&mut self, expr: &Expr) -> Evaluated {
        match &expr.node {
            Node::Literal(value) => Ok(value.clone()),
            Node::Broken => Err(Failed::Poisoned),
            Node::Parentheses(inner) => self.eval(inner),
            Node::Variable(name) => match self.local(name) {
                Some(value) => Ok(value),
                None => {
                    let found = self.scope.whole(name);
                    self.found(expr, found)
                }
            },
            Node::Item => self.items.last().cloned().ok_or(Failed::Poisoned),
            Node::Attribute(object, name, name_span) => {
                if let Some(found) = self.member(object, name) {
                    return self.found(expr, found);
                }
                if let Some(found) = self.output(object, name)? {
                    return self.found(expr, found);
                }
                let object_value = self.eval(object)?;
                self.attribute(expr, *name_span, &object_value, name)
            }
            Node::Index(collection, key) => {
                if let Some(name) = key.literal_text()
                    && let Some(found) = self.member(collection, name)
                {
                    if let Node::Variable(root) = &collection.node
                        && matches!(root.as_ref(), "var" | "local" | "path" | "each" | "count")
                    {
                        let detail = format!("What `{root}` holds is read with a dot: `{root}.{name}`.");
                        return Err(self.fail(expr, "invalid-reference", "This is not a name", detail));
                    }
                    return self.found(expr, found);
                }
                let collection_value = self.eval(collection);
                let key_value = self.eval(key)?;
                let collection_value = collection_value?;
                self.index(expr, key, &collection_value, &key_value)
            }
            Node::Splat(source, each) => self.splat(expr, source, each),
            Node::Template(parts) => self.template(expr, parts),
            Node::Tuple(elements) => {
                self.step(expr, elements.len() * STEPS_OF_A_PART)?;
                let values: Vec<Evaluated> = elements.iter().map(|element| self.eval(element)).collect();
                Ok(Value::tuple(values.into_iter().collect::<Result<_, _>>()?))
            }
            Node::Object(items) => {
                self.step(expr, items.len() * STEPS_OF_A_PART)?;
                self.object(items)
            }
            Node::Call(call) => functions::call(self, expr, call),
            Node::Conditional(parts) => self.conditional(expr, parts),
            Node::Negate(inner) => {
                let number = self.operand(expr, inner, "-", &Type::Number)?;
                Ok(match &number.data {
                    Data::Number(value) => Value::from(value.negated()).marked(number.sensitive),
                    _ => number,
                })
            }
            Node::Not(inner) => {
                let value = self.operand(expr, inner, "!", &Type::Bool)?;
                Ok(match value.data {
                    Data::Bool(holds) => Value::from(!holds).marked(value.sensitive),
                    _ => value,
                })
            }
            Node::Binary(operator, sides) => self.binary(expr, *operator, &sides[0], &sides[1]),
            Node::For(expression) => self.for_expression(expr, expression),
        }
    }

    fn local(&self, name: &str) -> Option<Value> {
        self.names.iter().rev().find(|(known, _)| known.as_ref() == name).map(|(_, value)| value.clone())
    }

    fn member(&self, object: &Expr, name: &str) -> Option<Found> {
        match &object.node {
            Node::Variable(root) if self.names.iter().all(|(known, _)| known != root) => self.scope.member(root, name),
            _ => None,
        }
    }

    /// One output of a module, read without the others: they may need what is being evaluated.
    fn output(&mut self, object: &Expr, name: &str) -> Result<Option<Found>, Failed> {
        let (call, key) = match &object.node {
            Node::Index(call, key) => (call.as_ref(), Some(key.as_ref())),
            _ => (object, None),
        };
        let Node::Attribute(root, call, _) = &call.node else { return Ok(None) };
        match &root.node {
            Node::Variable(word) if word.as_ref() == "module" && self.local(word).is_none() => {}
            _ => return Ok(None),
        }
        let Some(key_expr) = key else { return Ok(self.scope.output(call, None, name)) };
        let key = self.eval(key_expr)?;
        let instances = match self.scope.instances(call) {
            Some(Found::Value(instances)) => instances,
            Some(_) => return Err(Failed::Poisoned),
            None => return Ok(None),
        };
        // Says what is wrong with a key that is none.
        let instance = self.index(object, key_expr, &instances, &key)?;
        let wanted = if matches!(instances.data, Data::Tuple(_)) { Type::Number } else { Type::Text };
        let key = convert(&key, &wanted).unwrap_or(key);
        Ok(match key.is_unknown() || instances.is_unknown() {
            true => Some(Found::Value(Value::unknown().marked(instance.sensitive))),
            false => self.scope.output(call, Some(&key), name).map(|found| match found {
                Found::Value(value) => Found::Value(value.marked(key.sensitive)),
                other => other,
            }),
        })
    }

    fn found(&mut self, expr: &Expr, found: Found) -> Evaluated {
        match found {
            Found::Value(value) => Ok(value),
            Found::Poisoned => Err(Failed::Poisoned),
            Found::Missing => Err(self.fail(
                expr,
                "invalid-reference",
                "Nothing has this name",
                "A name is `var.NAME`, `local.NAME`, `KIND.NAME`, `each.key`, `count.index`, `path.module`, or what a \
                 `for` or template variable is called.",
            )),
        }
    }

    fn attribute(&mut self, expr: &Expr, name_span: Span, object: &Value, name: &str) -> Evaluated {
        let marked = |value: Value| Ok(value.marked(object.sensitive));
        match &object.data {
            Data::Object(fields) => match fields.fields.get(name) {
                Some(value) => marked(value.clone()),
                None => {
                    let what = match &fields.identity {
                        Some(address) => format!("`{address}`"),
                        None => "This object".to_owned(),
                    };
                    let known = fields.fields.keys().map(|known| known.as_ref());
                    let detail = self.missing(object.sensitive, &what, "attribute", name, known);
                    Err(self.fail_at(
                        name_span,
                        expr,
                        "unsupported-attribute",
                        format!("There is no attribute `{name}`"),
                        detail,
                    ))
                }
            },
            Data::Map(_, fields) => match fields.get(name) {
                Some(value) => marked(value.clone()),
                None => {
                    let known = fields.keys().map(|known| known.as_ref());
                    let detail = self.missing(object.sensitive, "This map", "element", name, known);
                    Err(self.fail_at(
                        name_span,
                        expr,
                        "missing-map-element",
                        format!("There is no element `{name}`"),
                        detail,
                    ))
                }
            },
            Data::Null(_) => Err(self.fail(
                expr,
                "attempt-to-get-attribute-from-null-value",
                "This is null and has no attributes",
                format!("`{name}` cannot be read from null. Test for null first, or use `try`."),
            )),
            Data::Unknown(ty) => {
                let ty = match ty {
                    Type::Any | Type::Resource(_) | Type::AnyResource => Type::Any,
                    Type::Map(element) => (**element).clone(),
                    Type::Object(fields) if fields.contains_key(name) => fields[name].ty.clone(),
                    other => return Err(self.no_attributes(expr, name_span, name, &other.clone())),
                };
                marked(Value::unknown_of(ty))
            }
            _ => Err(self.no_attributes(expr, name_span, name, &object.ty())),
        }
    }

    /// What there is instead, if it is no secret and somebody will read it.
    fn missing<'n>(
        &self,
        is_secret: bool,
        owner: &str,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'n str>,
    ) -> String {
        match is_secret {
            true => HIDDEN.to_owned(),
            false if self.trying => String::new(),
            false => missing_name(owner, what, name, &known.collect::<Vec<_>>()),
        }
    }

    fn no_attributes(&mut self, expr: &Expr, span: Span, name: &str, ty: &Type) -> Failed {
        let advice = match ty {
            Type::List(_) | Type::Tuple(_) | Type::Set(_) => {
                format!(" Read it from each element with `[*].{name}`, or from one with an index.")
            }
            _ => String::new(),
        };
        let detail = format!("It is {}, which has no attributes.{advice}", with_article(ty));
        self.fail_at(span, expr, "unsupported-attribute", format!("There is no attribute `{name}`"), detail)
    }

    fn index(&mut self, expr: &Expr, key_expr: &Expr, collection: &Value, key: &Value) -> Evaluated {
        const CODE: &str = "invalid-index";
        let sensitive = collection.sensitive || key.sensitive;
        if collection.is_null() {
            return Err(self.fail(
                expr,
                "attempt-to-index-null-value",
                "This is null and has no elements",
                "Test for null first, or use `try`.",
            ));
        }
        if key.is_null() {
            return Err(self.fail_at(
                key_expr.span,
                expr,
                CODE,
                "The index is null",
                "An index is a number or a text.",
            ));
        }
        // The type of a long tuple is as long, so it is not asked for.
        let wanted = match &collection.data {
            Data::Unknown(Type::Any | Type::AnyResource) => Type::Any,
            Data::List(..) | Data::Tuple(_) | Data::Unknown(Type::List(_) | Type::Tuple(_)) => Type::Number,
            Data::Map(..) | Data::Object(_) => Type::Text,
            Data::Unknown(Type::Map(_) | Type::Object(_) | Type::Resource(_)) => Type::Text,
            other => {
                let detail = match other {
                    Data::Set(..) | Data::Unknown(Type::Set(_)) => {
                        "The elements of a set have no order. `tolist` gives them one.".to_owned()
                    }
                    _ => format!("It is {}, which has no elements.", with_article(&collection.ty())),
                };
                return Err(self.fail(expr, CODE, "This cannot be indexed", detail));
            }
        };
        let Ok(key) = convert(key, &wanted) else {
            let detail = format!("{} is required.", sentence(&with_article(&wanted)));
            return Err(self.fail_at(key_expr.span, expr, CODE, "This is not an index", detail));
        };
        if collection.is_unknown() || key.is_unknown() {
            let ty = match &collection.data {
                Data::List(element, _) | Data::Map(element, _) => element.clone(),
                Data::Unknown(Type::List(element) | Type::Map(element)) => (**element).clone(),
                _ => Type::Any,
            };
            return Ok(Value::unknown_of(ty).marked(sensitive));
        }
        let value = match &key.data {
            Data::Number(number) => {
                let elements = collection.elements().map(|elements| elements.as_slice()).unwrap_or_default();
                match number.to_u64().and_then(|index| elements.get(usize::try_from(index).ok()?)) {
                    Some(element) => element.clone(),
                    None => {
                        let detail = match elements.len() {
                            _ if sensitive => HIDDEN.to_owned(),
                            0 => "There are no elements.".to_owned(),
                            count => format!("There are {count} elements, from 0 to {}.", count - 1),
                        };
                        return Err(self.fail_at(key_expr.span, expr, CODE, "There is no such element", detail));
                    }
                }
            }
            Data::Text(name) => {
                let Some(fields) = collection.fields() else { return Err(Failed::Poisoned) };
                match fields.get(name) {
                    Some(value) => value.clone(),
                    None => {
                        let known = fields.keys().map(|known| known.as_ref());
                        let detail = self.missing(sensitive, "The collection", "element", name, known);
                        return Err(self.fail_at(key_expr.span, expr, CODE, "There is no such element", detail));
                    }
                }
            }
            _ => return Err(Failed::Poisoned),
        };
        Ok(value.marked(sensitive))
    }

    fn splat(&mut self, expr: &Expr, source_expr: &Expr, each: &Expr) -> Evaluated {
        let source = self.eval(source_expr)?;
        if source.is_null() {
            let is_sequence = matches!(source.ty(), Type::List(_) | Type::Set(_) | Type::Tuple(_));
            return match is_sequence {
                true => Err(self.fail(
                    expr,
                    "splat-of-null-value",
                    "This is null and has no elements",
                    "Test for null first, or use `try` or `coalescelist`.",
                )),
                false => Ok(Value::tuple(Vec::new())),
            };
        }
        if source.is_unknown() {
            return Ok(Value::unknown().marked(source.sensitive));
        }
        let Some(elements) = source.elements().cloned() else {
            let sensitive = source.sensitive;
            let value = self.with_item(each, source)?;
            return Ok(Value::tuple(vec![value]).marked(sensitive));
        };
        self.step(expr, elements.len() * STEPS_OF_A_PART)?;
        let values: Vec<Evaluated> = elements.iter().map(|element| self.with_item(each, element.clone())).collect();
        let values: Vec<Value> = values.into_iter().collect::<Result<_, _>>()?;
        let element_type = match &source.data {
            Data::Tuple(_) => None,
            Data::List(element, _) | Data::Set(element, _) if values.is_empty() => {
                Some(self.with_item(each, Value::unknown_of(element.clone()))?.ty())
            }
            _ => {
                let first = values[0].ty();
                values.iter().all(|value| value.ty() == first).then_some(first)
            }
        };
        Ok(match element_type {
            Some(ty) => Value::list(ty, values),
            None => Value::tuple(values),
        }
        .marked(source.sensitive))
    }

    fn with_item(&mut self, each: &Expr, item: Value) -> Evaluated {
        self.items.push(item);
        let value = self.eval(each);
        self.items.pop();
        value
    }

    fn object(&mut self, items: &[(Expr, Expr)]) -> Evaluated {
        let mut fields = Vec::with_capacity(items.len());
        let mut failed = None;
        let (mut sensitive, mut unknown) = (false, false);
        for (key_expr, value_expr) in items {
            let key = self.eval(key_expr);
            let value = self.eval(value_expr);
            let (key, value) = match (key, value) {
                (Ok(key), Ok(value)) => (key, value),
                (Err(error), _) | (_, Err(error)) => {
                    failed = Some(error);
                    continue;
                }
            };
            if key.is_null() {
                failed = Some(self.fail(key_expr, "null-value-as-key", "A key cannot be null", "A key is a text."));
                continue;
            }
            let Ok(key) = convert(&key, &Type::Text) else {
                let detail = format!("It is {}; a key is a text.", with_article(&key.ty()));
                failed = Some(self.fail(key_expr, "incorrect-key-type", "This is not a key", detail));
                continue;
            };
            sensitive |= key.sensitive;
            match key.as_text() {
                Some(name) => fields.push((name.clone(), value)),
                None => unknown = true,
            }
        }
        match failed {
            Some(failed) => Err(failed),
            None if unknown => Ok(Value::unknown().marked(sensitive)),
            None => Ok(Value::object(fields.into_iter().collect()).marked(sensitive)),
        }
    }

    fn conditional(&mut self, expr: &Expr, [condition, yes, no]: &[Expr; 3]) -> Evaluated {
        let given = self.eval(condition);
        // Both branches decide the type of the result, but only the chosen one may fail.
        let before = self.problems.len();
        let (yes_value, yes_is_open) = self.eval_open(yes);
        let yes_problems = self.problems.split_off(before);
        let (no_value, no_is_open) = self.eval_open(no);
        let no_problems = self.problems.split_off(before);
        // What is in error elsewhere is reported there; its type is not known, and may decide.
        if let (Err(Failed::Poisoned), _) | (_, Err(Failed::Poisoned)) = (&yes_value, &no_value) {
            return Err(Failed::Poisoned);
        }
        let typed = |value: &Evaluated| value.as_ref().cloned().unwrap_or_else(|_| Value::unknown());
        let ty = common_type(&typed(&yes_value), &typed(&no_value));
        if ty.is_none() && !yes_is_open && !no_is_open {
            let detail = format!(
                "The one is {}, the other {}; both must have one type.",
                with_article(&typed(&yes_value).ty()),
                with_article(&typed(&no_value).ty())
            );
            return Err(self.fail(
                expr,
                "inconsistent-conditional-result-types",
                "The two results have different types",
                detail,
            ));
        }
        let holds = self.as_condition(condition, &given?)?;
        if let Some(chosen) = holds.as_bool() {
            self.problems.extend(if chosen { yes_problems } else { no_problems });
            if let Err(failed) = if chosen { &yes_value } else { &no_value } {
                return Err(*failed);
            }
        }
        let (yes_value, no_value) = (typed(&yes_value), typed(&no_value));
        // Which branch is taken must not decide whether the result is sensitive.
        let sensitive = holds.sensitive || yes_value.sensitive || no_value.sensitive;
        let (yes_type, no_type) = (yes_value.ty(), no_value.ty());
        let (chosen, other_type, other_is_open) = match holds.as_bool() {
            Some(true) => (yes_value, no_type, no_is_open),
            Some(false) => (no_value, yes_type, yes_is_open),
            None if (yes_is_open || no_is_open) && yes_type != no_type => {
                return Ok(Value::unknown().marked(sensitive));
            }
            None => return Ok(Value::unknown_of(ty.unwrap_or(Type::Any).plain()).marked(sensitive)),
        };
        // The branch that is not taken decides the type too, as long as it is not in error.
        let is_settled = chosen.ty() == other_type && !other_type.has_any();
        let Some(ty) = ty.filter(|_| !other_is_open || is_settled || stays_as_it_is(&chosen)) else {
            return Ok(Value::unknown().marked(sensitive));
        };
        self.note_conversion(&chosen, &ty);
        match convert(&chosen, &ty) {
            Ok(value) => Ok(value.marked(sensitive)),
            Err(misfit) => Err(self.fail(
                expr,
                "inconsistent-conditional-result-types",
                "The two results have different types",
                format!("The chosen one does not become {}: {misfit}.", with_article(&ty)),
            )),
        }
    }

    /// A condition: a bool, not null, perhaps unknown.
    fn condition(&mut self, condition: &Expr) -> Evaluated {
        let value = self.eval(condition)?;
        self.as_condition(condition, &value)
    }

    fn as_condition(&mut self, condition: &Expr, value: &Value) -> Evaluated {
        if value.is_null() {
            return Err(self.fail(condition, "null-condition", "The condition is null", "It must be true or false."));
        }
        convert(value, &Type::Bool).map_err(|misfit| {
            let detail = format!("It is {}: {misfit}.", with_article(&value.ty()));
            self.fail(condition, "incorrect-condition-type", "The condition is neither true nor false", detail)
        })
    }

    /// An operand of the type, not null, perhaps unknown.
    fn operand(&mut self, expr: &Expr, operand: &Expr, sign: &str, ty: &Type) -> Evaluated {
        let value = self.eval(operand)?;
        let converted = convert(&value, ty).map_err(|misfit| {
            let detail = format!("It is {}: {misfit}.", with_article(&value.ty()));
            self.fail_at(operand.span, expr, "invalid-operand", format!("`{sign}` cannot take this"), detail)
        })?;
        match converted.is_null() {
            true => Err(self.fail_at(
                operand.span,
                expr,
                "operation-failed",
                format!("`{sign}` cannot take null"),
                format!("It takes {}s. Use `coalesce` or a condition where it can be null.", ty.words()),
            )),
            false => Ok(converted),
        }
    }

    fn binary(&mut self, expr: &Expr, operator: Binary, left: &Expr, right: &Expr) -> Evaluated {
        if matches!(operator, Binary::Equal | Binary::NotEqual) {
            let (left, right) = (self.eval(left), self.eval(right));
            let (left, right) = (left?, right?);
            self.look(expr, &[&left, &right])?;
            let sensitive = left.is_sensitive_anywhere() || right.is_sensitive_anywhere();
            return Ok(match equal(&left, &right) {
                None => Value::unknown_of(Type::Bool),
                Some(equal) => Value::from(equal == (operator == Binary::Equal)),
            }
            .marked(sensitive));
        }
        let ty = if matches!(operator, Binary::And | Binary::Or) { Type::Bool } else { Type::Number };
        let sign = operator.sign();
        let (left_value, right_value) = (self.operand(expr, left, sign, &ty), self.operand(expr, right, sign, &ty));
        let (left, right) = (left_value?, right_value?);
        let sensitive = left.sensitive || right.sensitive;
        let bits = |value: &Value| value.as_number().map_or(0, Number::bits);
        self.step(expr, (bits(&left) + bits(&right)) / BITS_OF_A_STEP)?;
        let value = match (&left.data, &right.data) {
            (Data::Bool(a), Data::Bool(b)) => Value::from(if operator == Binary::And { *a && *b } else { *a || *b }),
            (Data::Number(a), Data::Number(b)) => match arithmetic(operator, a, b) {
                Ok(value) => value,
                Err(undefined) => {
                    let summary = "This has no result";
                    return Err(self.fail(
                        expr,
                        "operation-failed",
                        summary,
                        format!("{}.", sentence(&undefined.to_string())),
                    ));
                }
            },
            _ => Value::unknown_of(match operator {
                Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual => Type::Bool,
                _ => ty,
            }),
        };
        Ok(value.marked(sensitive))
    }

    fn for_expression(&mut self, expr: &Expr, expression: &For) -> Evaluated {
        let collection = self.eval(&expression.collection)?;
        let Some(items) = self.items_of(&expression.collection, &collection)? else {
            return Ok(Value::unknown().marked(collection.sensitive));
        };
        let mut sensitive = collection.sensitive;
        let mut unknown = false;
        let mut failed = None;
        let mut elements = Vec::new();
        let mut fields = Gathered::new();
        let mut groups: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
        for (key, value) in items {
            self.step(expr, STEPS_OF_A_PART)?;
            let names = self.names.len();
            if let Some(name) = &expression.key_name {
                self.names.push((name.clone(), key));
            }
            self.names.push((expression.value_name.clone(), value));
            let result = self.for_element(expression, &mut sensitive);
            let duplicate = match result {
                Ok(ForElement::Skipped) => None,
                Ok(ForElement::Unknown) => {
                    unknown = true;
                    None
                }
                Ok(ForElement::Element(value)) => {
                    elements.push(value);
                    None
                }
                Ok(ForElement::Field(name, value)) if expression.groups => {
                    groups.entry(name).or_default().push(value);
                    None
                }
                Ok(ForElement::Field(name, value)) => fields.insert(name.clone(), value).map(|_| name),
                Err(error) => {
                    failed = Some(error);
                    None
                }
            };
            if let Some(name) = duplicate {
                let which = if sensitive { String::new() } else { format!("`{name}` ") };
                let key = expression.key.as_ref().unwrap_or(expr);
                failed = Some(self.fail(
                    key,
                    "duplicate-object-key",
                    "Two elements have the same key",
                    format!("The key {which}comes twice. Write `...` behind the value to collect values by key."),
                ));
            }
            self.names.truncate(names);
            if failed.is_some() {
                // The same mistake in the next element would be said again and again.
                break;
            }
        }
        if let Some(failed) = failed {
            return Err(failed);
        }
        if unknown {
            return Ok(Value::unknown().marked(sensitive));
        }
        Ok(match (&expression.key, expression.groups) {
            (None, _) => Value::tuple(elements),
            (Some(_), true) => {
                Value::object(groups.into_iter().map(|(name, values)| (name, Value::tuple(values))).collect())
            }
            (Some(_), false) => Value::object(fields.into()),
        }
        .marked(sensitive))
    }

    /// Keys and values that a loop goes through; `None` while they are unknown.
    fn items_of(&mut self, expr: &Expr, collection: &Value) -> Result<Option<Vec<(Value, Value)>>, Failed> {
        if collection.is_null() {
            let detail =
                "A loop needs a list, set, tuple, map or object. Use `coalesce` or a condition where it can be null.";
            return Err(self.fail(expr, "iteration-over-null-value", "A loop over null", detail));
        }
        Ok(Some(match &collection.data {
            Data::List(_, elements) | Data::Tuple(elements) => {
                elements.iter().enumerate().map(|(index, value)| (Value::count(index), value.clone())).collect()
            }
            Data::Set(_, elements) => elements.iter().map(|value| (value.clone(), value.clone())).collect(),
            Data::Map(..) | Data::Object(_) => {
                let fields = collection.fields().into_iter().flatten();
                fields.map(|(name, value)| (Data::Text(name.clone()).into(), value.clone())).collect()
            }
            Data::Unknown(ty) if !ty.is_primitive() => return Ok(None),
            _ => {
                let detail = format!(
                    "It is {}; a loop needs a list, set, tuple, map or object.",
                    with_article(&collection.ty())
                );
                return Err(self.fail(
                    expr,
                    "iteration-over-non-iterable-value",
                    "This has no elements to loop over",
                    detail,
                ));
            }
        }))
    }

    fn for_element(&mut self, expression: &For, sensitive: &mut bool) -> Result<ForElement, Failed> {
        if let Some(condition) = &expression.condition {
            let value = self.eval(condition)?;
            if value.is_null() {
                return Err(self.fail(
                    condition,
                    "condition-is-null",
                    "The condition is null",
                    "It must be true or false.",
                ));
            }
            let holds = convert(&value, &Type::Bool).map_err(|misfit| {
                let detail = format!("It is {}: {misfit}.", with_article(&value.ty()));
                self.fail(condition, "invalid-for-condition", "The condition is neither true nor false", detail)
            })?;
            *sensitive |= holds.sensitive;
            match holds.as_bool() {
                Some(true) => {}
                Some(false) => return Ok(ForElement::Skipped),
                None => return Ok(ForElement::Unknown),
            }
        }
        let Some(key_expr) = &expression.key else {
            return Ok(ForElement::Element(self.eval(&expression.value)?));
        };
        let key = self.eval(key_expr)?;
        let text = match key.is_null() {
            true => None,
            false => convert(&key, &Type::Text).ok(),
        };
        let Some(text) = text else {
            let detail = format!(
                "It is {}; a key is a text.",
                if key.is_null() { "null".into() } else { with_article(&key.ty()) }
            );
            return Err(self.fail(key_expr, "invalid-object-key", "This is not a key", detail));
        };
        *sensitive |= text.sensitive;
        let value = self.eval(&expression.value)?;
        Ok(match text.as_text() {
            Some(name) => ForElement::Field(name.clone(), value),
            None => ForElement::Unknown,
        })
    }

    fn template(&mut self, expr: &Expr, parts: &[Part]) -> Evaluated {
        let mut text = Some(String::new());
        let mut sensitive = false;
        self.parts(expr, parts, &mut text, &mut sensitive)?;
        Ok(match text {
            Some(text) => Value::from(text),
            None => Value::unknown_of(Type::Text),
        }
        .marked(sensitive))
    }

    /// Appends the parts to the text; `None` stands for a text that is not known.
    fn parts(
        &mut self,
        expr: &Expr,
        parts: &[Part],
        text: &mut Option<String>,
        sensitive: &mut bool,
    ) -> Result<(), Failed> {
        let mut failed = None;
        for part in parts {
            let result = match part {
                Part::Text(literal) => self.append(expr, literal, text),
                Part::Interpolation(inner) => self.interpolation(inner, text, sensitive),
                Part::If { condition, then, otherwise } => self.condition(condition).and_then(|holds| {
                    *sensitive |= holds.sensitive;
                    let (chosen, others) = match holds.as_bool() {
                        Some(true) => (Some(then), vec![otherwise]),
                        Some(false) => (Some(otherwise), vec![then]),
                        None => (None, vec![then, otherwise]),
                    };
                    // Which branch is taken must not decide whether the text is sensitive.
                    let before = self.problems.len();
                    for other in others {
                        let _ = self.parts(expr, other, &mut None, sensitive);
                    }
                    self.problems.truncate(before);
                    match chosen {
                        Some(chosen) => self.parts(expr, chosen, text, sensitive),
                        None => {
                            *text = None;
                            Ok(())
                        }
                    }
                }),
                Part::For { key_name, value_name, collection, body } => {
                    let names = (key_name.as_ref(), value_name);
                    self.for_directive(expr, names, collection, body, text, sensitive)
                }
            };
            if let Err(error) = result {
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn interpolation(&mut self, inner: &Expr, text: &mut Option<String>, sensitive: &mut bool) -> Result<(), Failed> {
        const CODE: &str = "invalid-template-interpolation-value";
        let value = self.eval(inner)?;
        if value.is_null() {
            return Err(self.fail(
                inner,
                CODE,
                "Null cannot stand in a text",
                "Use `coalesce` or a condition where it can be null.",
            ));
        }
        let Ok(converted) = convert(&value, &Type::Text) else {
            let detail = format!(
                "It is {}. Write one element of it, or make it a text with `join` or `jsonencode`.",
                with_article(&value.ty())
            );
            return Err(self.fail(inner, CODE, "This cannot stand in a text", detail));
        };
        *sensitive |= converted.sensitive;
        match converted.as_text() {
            None => {
                *text = None;
                Ok(())
            }
            Some(more) => self.append(inner, more, text),
        }
    }

    /// Adds to a text; `None` stands for one that is not known.
    fn append(&mut self, expr: &Expr, more: &str, text: &mut Option<String>) -> Result<(), Failed> {
        self.make_text(expr, more.len())?;
        let Some(text) = text else { return Ok(()) };
        if text.len() + more.len() > LONGEST_TEXT {
            return Err(self.too_long(expr));
        }
        text.push_str(more);
        Ok(())
    }

    pub(super) fn too_long(&mut self, expr: &Expr) -> Failed {
        self.fail(expr, "too-large", "The text becomes too long", "A text may have up to 16 MiB.")
    }

    fn for_directive(
        &mut self,
        expr: &Expr,
        (key_name, value_name): (Option<&Arc<str>>, &Arc<str>),
        collection: &Expr,
        body: &[Part],
        text: &mut Option<String>,
        sensitive: &mut bool,
    ) -> Result<(), Failed> {
        let value = self.eval(collection)?;
        *sensitive |= value.sensitive;
        let Some(items) = self.items_of(collection, &value)? else {
            *text = None;
            return Ok(());
        };
        for (key, value) in items {
            self.step(collection, 1)?;
            let names = self.names.len();
            if let Some(name) = key_name {
                self.names.push((name.clone(), key));
            }
            self.names.push((value_name.clone(), value));
            let result = self.parts(expr, body, text, sensitive);
            self.names.truncate(names);
            result?;
        }
        Ok(())
    }
}

/// The type of a conditional; `Any` while it depends on what is not known.
fn common_type(yes: &Value, no: &Value) -> Option<Type> {
    let untyped_null = |value: &Value| matches!(value.data, Data::Null(Type::Any));
    match (yes.ty(), no.ty()) {
        (_, no) if untyped_null(yes) => Some(no),
        (yes, _) if untyped_null(no) => Some(yes),
        (Type::Any, _) | (_, Type::Any) => Some(Type::Any),
        (yes, no) => unify(&[yes, no]),
    }
}

enum ForElement {
    Skipped,
    Unknown,
    Element(Value),
    Field(Arc<str>, Value),
}

/// Whether two values are equal; `None` while that is not known.
pub(super) fn equal(left: &Value, right: &Value) -> Option<bool> {
    if left.identity().is_some() && left.identity() == right.identity() {
        return Some(true);
    }
    let one_is_a_resource = left.identity().is_some() != right.identity().is_some();
    if left.has_unknown()
        || right.has_unknown()
        || one_is_a_resource && (left.has_unknown_within() || right.has_unknown_within())
    {
        return None;
    }
    Some(left.same(right))
}

fn arithmetic(operator: Binary, a: &Number, b: &Number) -> Result<Value, Undefined> {
    Ok(match operator {
        Binary::Add => a.add(b)?.into(),
        Binary::Subtract => a.sub(b)?.into(),
        Binary::Multiply => a.mul(b)?.into(),
        Binary::Divide => a.div(b)?.into(),
        Binary::Remainder => a.rem(b)?.into(),
        Binary::Less => (a < b).into(),
        Binary::LessOrEqual => (a <= b).into(),
        Binary::Greater => (a > b).into(),
        _ => (a >= b).into(),
    })
}

/// The longest names in an expression: `var.x`, `host.hv1.address`, `local.list[0]`.
fn references<'e>(expr: &'e Expr, names: &mut Vec<&'e Expr>) {
    if is_name(expr) {
        names.push(expr);
        return;
    }
    match &expr.node {
        Node::Template(parts) => references_of_parts(parts, names),
        // What stands in a loop has no value outside of it.
        Node::For(expression) => references(&expression.collection, names),
        Node::Splat(source, _) => references(source, names),
        _ => each_child(expr, &mut |child| references(child, names)),
    }
}

fn references_of_parts<'e>(parts: &'e [Part], names: &mut Vec<&'e Expr>) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Interpolation(inner) => references(inner, names),
            Part::If { condition, then, otherwise } => {
                references(condition, names);
                references_of_parts(then, names);
                references_of_parts(otherwise, names);
            }
            Part::For { collection, .. } => references(collection, names),
        }
    }
}

fn is_name(expr: &Expr) -> bool {
    match &expr.node {
        Node::Variable(_) => true,
        Node::Attribute(inner, ..) => is_name(inner),
        Node::Index(inner, key) => is_name(inner) && matches!(key.node, Node::Literal(_)),
        _ => false,
    }
}

/// Calls `visit` with each expression that stands directly in this one, those of templates too.
pub(super) fn each_child<'e>(expr: &'e Expr, visit: &mut dyn FnMut(&'e Expr)) {
    match &expr.node {
        Node::Literal(_) | Node::Variable(_) | Node::Item | Node::Broken => {}
        Node::Template(parts) => each_of_parts(parts, visit),
        Node::Tuple(elements) => elements.iter().for_each(visit),
        Node::Object(items) => {
            for (key, value) in items {
                visit(key);
                visit(value);
            }
        }
        Node::Attribute(inner, ..) | Node::Negate(inner) | Node::Not(inner) | Node::Parentheses(inner) => visit(inner),
        Node::Index(a, b) | Node::Splat(a, b) => {
            visit(a);
            visit(b);
        }
        Node::Call(call) => call.arguments.iter().for_each(visit),
        Node::Conditional(parts) => parts.iter().for_each(visit),
        Node::Binary(_, sides) => sides.iter().for_each(visit),
        Node::For(expression) => {
            visit(&expression.collection);
            expression.key.iter().for_each(&mut *visit);
            visit(&expression.value);
            expression.condition.iter().for_each(visit);
        }
    }
}

fn each_of_parts<'e>(parts: &'e [Part], visit: &mut dyn FnMut(&'e Expr)) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Interpolation(inner) => visit(inner),
            Part::If { condition, then, otherwise } => {
                visit(condition);
                each_of_parts(then, visit);
                each_of_parts(otherwise, visit);
            }
            Part::For { collection, body, .. } => {
                visit(collection);
                each_of_parts(body, visit);
            }
        }
    }
}

/// "X has no attribute `nmae`. Did you mean `name`?", or the names that there are.
pub(super) fn missing_name(owner: &str, what: &str, name: &str, known: &[&str]) -> String {
    // Among very many, some are always near.
    const MOST: usize = 2_000;
    if let Some(close) = did_you_mean(name, known.iter().copied().take(MOST)) {
        return format!("{owner} has no {what} `{name}`. Did you mean `{close}`?");
    }
    match known {
        [] => format!("{owner} has no {what}s at all."),
        [only] => format!("{owner} has no {what} `{name}`; there is only `{only}`."),
        _ => {
            let mut listed = known.iter().take(12).map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
            if known.len() > 12 {
                listed.push_str(", …");
            }
            format!("{owner} has no {what} `{name}`; there are {listed}.")
        }
    }
}

/// The same text with a capital at the beginning.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
