//! Variables: their types and defaults, and their values from the environment, files and the command line, in
//! Terraform's order: `LARDER_VAR_name`, `larder.vars.hcl`, `*.auto.vars.hcl` by name, then `-var` and `-var-file` as given.

mod foreign;
mod secrets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use foreign::not_read;
pub(super) use secrets::{is_secret, of_body as secrets_of_body, of_file as secrets_of_file, secrets};

use super::convert::convert;
use super::declare::{Declarations, unexpected};
use super::eval::{Evaluator, Failed, Found, Scope, missing_name};
use super::source::{self, Source, Sources, Span};
use super::syntax::{Block, Expr, Node};
use super::types::{Field, Type};
use super::value::Value;
use super::{parse, references};
use crate::model::{Problem, Problems};

/// A value that the user gives when calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VarSource {
    /// `-var`: `name=value`.
    Text(String),
    /// `-var-file`.
    File(PathBuf),
}

/// A value for a variable, before the variable's type is asked.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub name: Arc<str>,
    pub value: GivenValue,
    /// "`LARDER_VAR_x`", "`-var`", or the file.
    pub origin: String,
    /// A name that no variable has is an error here, not a warning.
    pub must_exist: bool,
}

#[derive(Debug, Clone)]
pub(super) enum GivenValue {
    /// Text of the environment or the command line.
    Text(String),
    /// Of a file, with the place of the name.
    Expr(Box<Expr>, Span),
}

/// All values that the user gives.
#[derive(Debug, Default)]
pub(super) struct AllGiven {
    /// In the order of precedence: the last one counts.
    pub values: Vec<Given>,
    /// Some could not be read, so none is missing.
    pub has_gaps: bool,
    /// All of the files that have something in them that could not be read.
    pub torn: Vec<Span>,
}

/// Reads all given values.
pub(super) fn given(
    directory: &Path,
    inputs: &super::Inputs,
    sources: &mut Sources,
    problems: &mut Problems,
) -> AllGiven {
    let mut all = AllGiven::default();
    for (name, text) in &inputs.environment {
        if let Some(name) = name.strip_prefix("LARDER_VAR_").filter(|name| !name.is_empty()) {
            all.values.push(Given {
                name: Arc::from(name),
                value: GivenValue::Text(text.clone()),
                origin: format!("`LARDER_VAR_{name}`"),
                must_exist: false,
            });
        }
    }
    // A directory that cannot be read is reported where its configuration is read.
    let names = super::modules::file_names(directory).unwrap_or_default();
    let main = names.iter().filter(|name| *name == "larder.vars.hcl");
    let automatic = names.iter().filter(|name| name.ends_with(".auto.vars.hcl"));
    for name in main.chain(automatic) {
        read_file(directory, &directory.join(name), name, source::read_file, sources, problems, &mut all);
    }
    for var in &inputs.vars {
        match var {
            VarSource::File(path) => {
                let name = path.display().to_string();
                read_file(directory, path, &name, source::read_named, sources, problems, &mut all);
            }
            VarSource::Text(text) => match text.split_once('=') {
                Some((name, value)) if !name.trim().is_empty() => all.values.push(Given {
                    name: Arc::from(name.trim()),
                    value: GivenValue::Text(value.to_owned()),
                    origin: "`-var`".to_owned(),
                    must_exist: true,
                }),
                _ => problems.push(Problem::error(
                    "invalid-option",
                    "`-var` is not given a name and a value",
                    "Write it like `-var name=value`.",
                )),
            },
        }
    }
    all
}

fn read_file(
    directory: &Path,
    path: &Path,
    name: &str,
    read: fn(&Path) -> std::io::Result<Vec<u8>>,
    sources: &mut Sources,
    problems: &mut Problems,
    all: &mut AllGiven,
) {
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let found = directory.join(path);
            let cure = match path.is_relative() && found != path && found.exists() {
                true => format!("Paths start from where larder was called: it is at {} from there", found.display()),
                false => "Check the path, what is there and its permissions".to_owned(),
            };
            problems.push(source::unreadable(name, &error, &cure));
            all.has_gaps = true;
            return;
        }
    };
    let (source, problem) = source::decode(name, bytes);
    let mut found: Problems = problem.into_iter().collect();
    let file = sources.add(source);
    let (body, unparsed) = parse::file(sources, file);
    found.extend(unparsed);
    let is_torn = body.has_gaps || !found.is_empty() || !body.blocks.is_empty();
    problems.extend(found);
    all.has_gaps |= body.has_gaps;
    all.torn.extend(is_torn.then(|| Span { file, start: 0, end: sources.text(file).len() as u32 }));
    for block in &body.blocks {
        let detail = "A file of values holds `name = value` only; variables are declared in another `*.hcl` file.";
        let problem = Problem::error("unexpected-block", "A block stands in a file of values", detail);
        problems.push(problem.at(sources.place(block.header).as_ref()));
    }
    for attribute in body.attributes {
        all.values.push(Given {
            name: attribute.name,
            value: GivenValue::Expr(Box::new(attribute.value), attribute.name_span),
            origin: name.to_owned(),
            must_exist: false,
        });
    }
}

/// A scope without any name: the values of variables are written out.
pub(super) struct NoNames<'a> {
    pub directory: &'a Path,
    pub environment: &'a BTreeMap<String, String>,
}

impl Scope for NoNames<'_> {
    fn whole(&self, _: &str) -> Found {
        Found::Missing
    }

    fn member(&self, _: &str, _: &str) -> Option<Found> {
        None
    }

    fn directory(&self) -> &Path {
        self.directory
    }

    fn environment(&self) -> &BTreeMap<String, String> {
        self.environment
    }
}

/// What a `variable` block says, less its validation.
struct Declared {
    /// Whether nothing is wrong with it. Its value is looked at in any case.
    fits: bool,
    ty: Type,
    default: Option<Value>,
    sensitive: bool,
    nullable: bool,
}

/// The value of each variable, or that it is in error.
pub(super) fn values(
    declarations: &Declarations,
    given: &AllGiven,
    sources: &Sources,
    scope: &dyn Scope,
    problems: &mut Problems,
) -> BTreeMap<Arc<str>, Found> {
    let mut values = BTreeMap::new();
    let mut last: BTreeMap<&str, &Given> = BTreeMap::new();
    for given in &given.values {
        if !declarations.variables.contains_key(&given.name) && !declarations.is_lost("variable", &given.name) {
            undeclared(declarations, given, sources, problems);
        }
        last.insert(&given.name, given);
    }
    for (name, block) in &declarations.variables {
        let mut evaluator = Evaluator::new(scope, sources);
        let value = one(&mut evaluator, name, block, last.get(name.as_ref()).copied(), given.has_gaps);
        problems.extend(evaluator.take_problems());
        values.insert(name.clone(), value.map_or(Found::Poisoned, Found::Value));
    }
    values
}

fn undeclared(declarations: &Declarations, given: &Given, sources: &Sources, problems: &mut Problems) {
    let known: Vec<&str> = declarations.variables.keys().map(|name| name.as_ref()).collect();
    let detail = missing_name("The configuration", "variable", &given.name, &known);
    let summary = format!("There is no variable `{}`", given.name);
    if given.must_exist {
        problems.push(Problem::error("undeclared-variable", summary, format!("{} names it. {detail}", given.origin)));
    } else if let GivenValue::Expr(expr, _) = &given.value {
        let problem = Problem::warning("undeclared-variable", summary, format!("The value is not used. {detail}"));
        problems.push(problem.at(sources.place(expr.span).as_ref()));
    }
}

fn one(
    evaluator: &mut Evaluator<'_>,
    name: &str,
    block: &Block,
    given: Option<&Given>,
    has_gaps: bool,
) -> Option<Value> {
    let declared = declared(evaluator, block)?;
    let (value, span) = match given {
        None => match declared.default {
            Some(default) => return declared.fits.then(|| default.marked(declared.sensitive)),
            None if has_gaps || block.body.has_gaps || !declared.fits => return None,
            None => {
                let detail = format!(
                    "Give it a `default`, or a value in `larder.vars.hcl`, with `-var {name}=...` or in the environment as \
                     `LARDER_VAR_{name}`."
                );
                report(evaluator, block.header, "missing-variable", format!("Variable `{name}` has no value"), detail);
                return None;
            }
        },
        Some(given) => (given_value(evaluator, name, &declared, given, block.header)?, span_of(given, block)),
    };
    let written = match given.map(|given| (&given.value, &given.origin)) {
        Some((GivenValue::Expr(expr, _), _)) => Written::At(expr),
        Some((GivenValue::Text(_), origin)) => Written::In(origin, span),
        None => Written::In("", span),
    };
    fitting(evaluator, name, declared, value, &written)
}

/// Where a value is written: an expression, or a text that stands in no file.
enum Written<'a> {
    At(&'a Expr),
    /// The origin as people know it, and the place of what asks for the value.
    In(&'a str, Span),
}

/// The value of a variable of a module: what the call gives, with its place, else the default.
pub(super) fn input(
    evaluator: &mut Evaluator<'_>,
    name: &str,
    block: &Block,
    given: Option<(Value, &Expr)>,
    call: Span,
) -> Option<Value> {
    // What is wrong with the declaration is said once, for the module.
    let declared = declared(evaluator, block)?;
    match (given, &declared.default) {
        (Some((value, expr)), _) => fitting(evaluator, name, declared, value, &Written::At(expr)),
        (None, Some(default)) => declared.fits.then(|| default.clone().marked(declared.sensitive)),
        (None, None) if !declared.fits || block.body.has_gaps => None,
        (None, None) => {
            let described = block.body.attribute("description").and_then(|attribute| attribute.value.literal_text());
            let what = described.map_or(String::new(), |text| format!(" It is: {text}"));
            let detail = format!("The module needs it: write `{name} = ...` into this block.{what}");
            report(evaluator, call, "missing-attribute", format!("`{name}` is missing"), detail);
            None
        }
    }
}

/// A value as the variable takes it: not null where it says so, and of its type.
fn fitting(
    evaluator: &mut Evaluator<'_>,
    name: &str,
    declared: Declared,
    value: Value,
    written: &Written<'_>,
) -> Option<Value> {
    let (origin, span) = match written {
        Written::At(expr) => ("", expr.span),
        Written::In(origin, span) => (*origin, *span),
    };
    let value = match (value.is_null() && !declared.nullable, &declared.default) {
        (true, Some(default)) => default.clone(),
        (true, None) if !declared.fits => return None,
        (true, None) => {
            let summary = format!("Variable `{name}` cannot be null");
            report(
                evaluator,
                span,
                "invalid-variable-value",
                summary,
                "It says `nullable = false` and has no default.".into(),
            );
            return None;
        }
        _ => value,
    };
    match convert(&value, &declared.ty) {
        Ok(value) => declared.fits.then(|| value.marked(declared.sensitive)),
        Err(misfit) => {
            let misfit = misfit.concealed(declared.sensitive || value.is_sensitive_anywhere());
            let said = misfit.sentences(&value.ty(), &declared.ty);
            let detail = if origin.is_empty() { said } else { format!("Given in {origin}. {said}") };
            let span = match written {
                Written::At(expr) => misfit.part(expr).span,
                Written::In(..) => span,
            };
            let summary = format!("This is no value for variable `{name}`");
            report(evaluator, span, "invalid-variable-value", summary, detail);
            None
        }
    }
}

fn span_of(given: &Given, block: &Block) -> Span {
    match &given.value {
        GivenValue::Expr(expr, _) => expr.span,
        GivenValue::Text(_) => block.header,
    }
}

fn report(evaluator: &mut Evaluator<'_>, span: Span, code: &str, summary: String, detail: String) {
    let problem = Problem::error(code, summary, detail).at(evaluator.sources.place(span).as_ref());
    evaluator.problems.push(problem);
}

fn given_value(
    evaluator: &mut Evaluator<'_>,
    name: &str,
    declared: &Declared,
    given: &Given,
    header: Span,
) -> Option<Value> {
    match &given.value {
        GivenValue::Expr(expr, _) => literal(evaluator, expr, "A file of values"),
        GivenValue::Text(text) if declared.ty.is_primitive() || declared.ty == Type::Any => Some(Value::text(text)),
        GivenValue::Text(text) => {
            let mut sources = Sources::default();
            let file = sources.add(Source::new(given.origin.trim_matches('`').to_owned(), text.clone()));
            let problems = match parse::expression(&sources, file) {
                Ok(expr) => {
                    let mut inner = evaluator.nested(evaluator.scope, &sources);
                    let value = literal(&mut inner, &expr, &given.origin);
                    if value.is_some() {
                        return value;
                    }
                    inner.take_problems()
                }
                Err(problems) => problems,
            };
            // The text stands in no file that could be shown, and may be a secret.
            let why = match problems.first().filter(|problem| !declared.sensitive && problem.code != "syntax") {
                Some(problem) => format!(" {}.", problem.summary),
                None => String::new(),
            };
            let detail = format!(
                "The text of {} is no value of type {}.{why} Write it as in a configuration: {}.",
                given.origin,
                declared.ty,
                as_text(name, &declared.ty, &given.origin)
            );
            let summary = format!("This is no value for variable `{name}`");
            report(evaluator, header, "invalid-variable-value", summary, detail);
            None
        }
    }
}

/// How a value of the type is given where its text was.
fn as_text(name: &str, ty: &Type, origin: &str) -> String {
    let example = match ty {
        Type::List(_) | Type::Set(_) | Type::Tuple(_) => r#"["a", "b"]"#,
        _ => r#"{ key = "value" }"#,
    };
    match origin {
        "`-var`" => format!("`-var '{name}={example}'`"),
        _ => format!("`LARDER_VAR_{name}='{example}'`"),
    }
}

/// Where the value of each variable comes from, as a sentence.
pub(super) fn origins(given: &AllGiven, sources: &Sources) -> BTreeMap<Arc<str>, String> {
    let said = |given: &Given| match &given.value {
        GivenValue::Text(_) => format!("The value is that of {}.", given.origin),
        GivenValue::Expr(expr, _) => {
            let line = sources.place(expr.span).map_or(String::new(), |place| format!(":{}", place.start.line));
            format!("The value is that of {}{line}.", given.origin)
        }
    };
    given.values.iter().map(|given| (given.name.clone(), said(given))).collect()
}

/// The value of an expression that may not name anything or call a function.
fn literal(evaluator: &mut Evaluator<'_>, expr: &Expr, owner: &str) -> Option<Value> {
    if let Some(reference) = references::references(expr).first() {
        let detail = format!("{owner} holds values only; they cannot refer to anything.");
        report(evaluator, reference.span, "not-a-constant", "A reference cannot stand here".into(), detail);
        return None;
    }
    if let Some(call) = first_call(expr) {
        let detail = format!("{owner} holds values only; they cannot call functions.");
        report(evaluator, call, "not-a-constant", "A function call cannot stand here".into(), detail);
        return None;
    }
    evaluator.eval(expr).ok()
}

fn first_call(expr: &Expr) -> Option<Span> {
    if matches!(expr.node, Node::Call(_)) {
        return Some(expr.span);
    }
    let mut found = None;
    super::eval::each_child(expr, &mut |child| found = found.or_else(|| first_call(child)));
    found
}

/// What a `variable` block may hold, besides blocks.
const ATTRIBUTES: &[&str] = &["type", "default", "description", "sensitive", "nullable"];

fn declared(evaluator: &mut Evaluator<'_>, block: &Block) -> Option<Declared> {
    let found = unexpected(evaluator.sources, &block.body, ATTRIBUTES, &["validation"], "`variable`");
    let mut fits = found.is_empty();
    evaluator.problems.extend(found);
    let mut flag = |name: &str, default: bool| match block.body.attribute(name) {
        None => default,
        Some(attribute) => match literal(evaluator, &attribute.value, "This block").map(|value| value.as_bool()) {
            Some(Some(value)) => value,
            None => {
                fits = false;
                default
            }
            Some(None) => {
                let detail = format!("`{name}` is `true` or `false`, written out.");
                report(evaluator, attribute.value.span, "wrong-type", "This is neither true nor false".into(), detail);
                fits = false;
                default
            }
        },
    };
    let (sensitive, nullable) = (flag("sensitive", false), flag("nullable", true));
    let ty = match block.body.attribute("type") {
        None => Some(Type::Any),
        Some(attribute) => type_constraint(evaluator, &attribute.value).ok(),
    };
    let default = match block.body.attribute("default") {
        None => None,
        Some(attribute) => {
            let value = literal(evaluator, &attribute.value, "A default");
            let (value, ty) = value.zip(ty.clone())?;
            match convert(&value, &ty) {
                Ok(value) => Some(value),
                Err(misfit) => {
                    let misfit = misfit.concealed(sensitive);
                    let detail = misfit.sentences(&value.ty(), &ty);
                    let summary = "The default does not fit the type".to_owned();
                    report(evaluator, misfit.part(&attribute.value).span, "invalid-default", summary, detail);
                    fits = false;
                    None
                }
            }
        }
    };
    Some(Declared { fits, ty: ty?, default, sensitive, nullable })
}

/// The type that an expression like `list(object({ name = string }))` means.
pub(super) fn type_constraint(evaluator: &mut Evaluator<'_>, expr: &Expr) -> Result<Type, Failed> {
    const CODE: &str = "invalid-type";
    const TYPES: &str =
        "Types are string, number, bool, any, list(...), set(...), map(...), tuple([...]) and object({...}).";
    match &expr.bare().node {
        Node::Broken => Err(Failed::Poisoned),
        Node::Variable(name) => match name.as_ref() {
            "string" => Ok(Type::Text),
            "number" => Ok(Type::Number),
            "bool" => Ok(Type::Bool),
            "any" => Ok(Type::Any),
            "list" => Ok(Type::list(Type::Any)),
            "map" => Ok(Type::map(Type::Any)),
            "set" => Ok(Type::set(Type::Any)),
            _ => Err(type_error(evaluator, expr, CODE, format!("There is no type `{name}`. {TYPES}"))),
        },
        Node::Literal(value) if value.as_text().is_some() => {
            Err(type_error(evaluator, expr, CODE, format!("A type is written without quotes. {TYPES}")))
        }
        Node::Call(call) => {
            let [argument] = call.arguments.as_slice() else {
                let detail = format!("`{}` takes one argument here. {TYPES}", call.name);
                return Err(type_error(evaluator, expr, CODE, detail));
            };
            match (call.name.as_ref(), &argument.node) {
                ("list", _) => Ok(Type::list(type_constraint(evaluator, argument)?)),
                ("set", _) => Ok(Type::set(type_constraint(evaluator, argument)?)),
                ("map", _) => Ok(Type::map(type_constraint(evaluator, argument)?)),
                ("tuple", Node::Tuple(elements)) => {
                    let elements: Vec<_> = elements.iter().map(|element| type_constraint(evaluator, element)).collect();
                    Ok(Type::tuple(elements.into_iter().collect::<Result<_, _>>()?))
                }
                ("object", Node::Object(items)) => {
                    let mut fields = BTreeMap::new();
                    let mut failed = None;
                    for (key, value) in items {
                        let Some(name) = key.literal_text() else {
                            failed =
                                Some(type_error(evaluator, key, CODE, "A name of an attribute is required.".into()));
                            continue;
                        };
                        match field(evaluator, value) {
                            Ok(field) => {
                                fields.insert(name.clone(), field);
                            }
                            Err(error) => failed = Some(error),
                        }
                    }
                    failed.map_or(Ok(Type::Object(Arc::new(fields))), Err)
                }
                ("optional", _) => {
                    let detail = "`optional` is for attributes of an `object({...})`.".to_owned();
                    Err(type_error(evaluator, expr, CODE, detail))
                }
                _ => Err(type_error(evaluator, expr, CODE, format!("`{}` is no type here. {TYPES}", call.name))),
            }
        }
        _ => Err(type_error(evaluator, expr, CODE, TYPES.to_owned())),
    }
}

fn type_error(evaluator: &mut Evaluator<'_>, expr: &Expr, code: &str, detail: String) -> Failed {
    report(evaluator, expr.span, code, "This is not a type".to_owned(), detail);
    Failed::Reported
}

/// The type of an attribute, which can be `optional(type, default)`.
fn field(evaluator: &mut Evaluator<'_>, expr: &Expr) -> Result<Field, Failed> {
    let Node::Call(call) = &expr.node else {
        return Ok(Field { ty: type_constraint(evaluator, expr)?, optional: None });
    };
    let (ty, default) = match (call.name.as_ref(), call.arguments.as_slice()) {
        ("optional", [ty]) => (ty, None),
        ("optional", [ty, default]) => (ty, Some(default)),
        _ => return Ok(Field { ty: type_constraint(evaluator, expr)?, optional: None }),
    };
    let ty = type_constraint(evaluator, ty)?;
    let optional = match default {
        None => Value::null_of(ty.plain()),
        Some(default) => {
            let value = literal(evaluator, default, "A default").ok_or(Failed::Reported)?;
            match convert(&value, &ty) {
                Ok(_) => value,
                Err(misfit) => {
                    let detail = misfit.sentences(&value.ty(), &ty);
                    let summary = "The default does not fit the type".to_owned();
                    report(evaluator, misfit.part(default).span, "invalid-default", summary, detail);
                    return Err(Failed::Reported);
                }
            }
        }
    };
    Ok(Field { ty, optional: Some(optional) })
}
