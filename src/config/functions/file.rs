//! Functions of files and paths of the workstation. Relative paths start from the directory of the
//! module and do not lead out of the configuration.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use rustix::fs::OFlags;

use super::super::eval::{Evaluator, Failed, Found, Scope};
use super::super::source::{Source, Sources};
use super::super::types::Type;
use super::super::value::{Fields, Value};
use super::super::{parse, references};
use super::{Fault, Function, Outcome, Parameter, Takes, function, takes, text};
use crate::model::Problem;

const PATH: &[Parameter] = &[takes("path", Takes::Text)];

/// The largest file, in bytes.
const LARGEST: u64 = 16 << 20;

pub(super) const TABLE: &[Function] = &[
    function("abspath", PATH, Takes::Text, |evaluator, arguments| {
        let path = resolve(evaluator, text(arguments, 0))?;
        let path = match path.is_absolute() {
            true => path,
            false => std::path::absolute(&path).map_err(|error| Fault::call(error.to_string()))?,
        };
        Ok(Value::from(clean(&path.to_string_lossy())))
    }),
    function("basename", PATH, Takes::Text, |_, arguments| Ok(basename(text(arguments, 0)).into())),
    function("dirname", PATH, Takes::Text, |_, arguments| Ok(dirname(text(arguments, 0)).into())),
    function("file", PATH, Takes::Text, |evaluator, arguments| {
        read_text(evaluator, text(arguments, 0)).map(Value::from)
    }),
    function("filebase64", PATH, Takes::Text, |evaluator, arguments| {
        let bytes = read(evaluator, text(arguments, 0))?;
        Ok(base64::engine::general_purpose::STANDARD.encode(bytes).into())
    }),
    function("fileexists", PATH, Takes::Bool, |evaluator, arguments| {
        let path = resolve(evaluator, text(arguments, 0))?;
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => Ok(true.into()),
            Ok(_) => Err(Fault::call("there is something, but it is no regular file")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false.into()),
            // What cannot be looked at is not absent.
            Err(error) => Err(Fault::call(format!("it cannot be told: {error}"))),
        }
    }),
    function(
        "fileset",
        &[takes("path", Takes::Text), takes("pattern", Takes::Text)],
        Takes::TextSet,
        |evaluator, arguments| fileset(evaluator, text(arguments, 0), text(arguments, 1)),
    ),
    function("pathexpand", PATH, Takes::Text, |evaluator, arguments| {
        let path = text(arguments, 0);
        match path.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Ok(format!("{}{rest}", home(evaluator)?).into()),
            _ => Ok(path.into()),
        }
    }),
    function(
        "templatefile",
        &[takes("path", Takes::Text), takes("vars", Takes::Any)],
        Takes::Any,
        |evaluator, arguments| {
            let path = text(arguments, 0);
            let content = read_text(evaluator, path)?;
            render(evaluator, path, &content, &arguments[1])
        },
    ),
];

fn home(evaluator: &Evaluator<'_>) -> Result<String, Fault> {
    let home = evaluator.scope.environment().get("HOME").filter(|home| !home.is_empty()).cloned();
    home.ok_or_else(|| Fault::call("the environment has no HOME"))
}

fn resolve(evaluator: &Evaluator<'_>, path: &str) -> Result<PathBuf, Fault> {
    if path.contains('\0') {
        return Err(Fault::argument(0, "a path cannot hold a zero byte"));
    }
    if let Some(rest) = path.strip_prefix("~/") {
        return Ok(Path::new(&home(evaluator)?).join(rest));
    }
    if is_inside(evaluator, path) {
        return Ok(evaluator.scope.directory().join(path));
    }
    let why =
        format!("`{path}` leads out of the directory of the configuration; whoever means that writes an absolute path");
    Err(Fault::argument(0, why))
}

/// Whether a path is absolute, or stays in the directory of the configuration.
pub(in crate::config) fn is_inside(evaluator: &Evaluator<'_>, path: &str) -> bool {
    let full = evaluator.scope.directory().join(path);
    Path::new(path).is_absolute() || evaluator.scope.border().is_none_or(|border| is_within(&full, border))
}

/// Whether a path is below a directory as both are written.
fn is_within(path: &Path, directory: &Path) -> bool {
    let written = |path: &Path| std::path::absolute(path).map(|path| super::super::modules::clean(&path));
    matches!((written(path), written(directory)), (Ok(path), Ok(directory)) if path.starts_with(&directory))
}

/// The bytes of a regular file.
pub(super) fn read(evaluator: &mut Evaluator<'_>, path: &str) -> Result<Vec<u8>, Fault> {
    let cannot = |why: String| Fault::argument(0, format!("`{path}` cannot be read: {why}"));
    let full = resolve(evaluator, path)?;
    let found = std::fs::metadata(&full).map_err(|error| cannot(error.to_string()))?;
    if !found.is_file() {
        return Err(cannot("it is no regular file".to_owned()));
    }
    if found.len() > LARGEST {
        return Err(cannot("it is larger than 16 MiB".to_owned()));
    }
    // Files of /proc and /sys say that they are empty; some have no end, and some wait until there is something.
    let mut bytes = Vec::new();
    let opened = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(&full);
    let read = opened.and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    read.map_err(|error| cannot(error.to_string()))?;
    evaluator.owe_text(bytes.len())?;
    match bytes.len() as u64 > LARGEST {
        true => Err(cannot("it is larger than 16 MiB".to_owned())),
        false => Ok(bytes),
    }
}

pub(super) fn read_text(evaluator: &mut Evaluator<'_>, path: &str) -> Result<String, Fault> {
    let bytes = read(evaluator, path)?;
    let no_text = |_| Fault::argument(0, format!("`{path}` is no UTF-8 text; `filebase64` reads any bytes"));
    String::from_utf8(bytes).map_err(no_text)
}

/// The names that a template sees: only those that it is given.
struct Given<'a> {
    fields: &'a Fields,
    outer: &'a dyn Scope,
}

impl Scope for Given<'_> {
    fn whole(&self, root: &str) -> Found {
        self.fields.get(root).cloned().map_or(Found::Missing, Found::Value)
    }

    fn member(&self, _: &str, _: &str) -> Option<Found> {
        None
    }

    fn directory(&self) -> &Path {
        self.outer.directory()
    }

    fn border(&self) -> Option<&Path> {
        self.outer.border()
    }

    fn environment(&self) -> &BTreeMap<String, String> {
        self.outer.environment()
    }
}

/// The value of a text that is a template.
pub(super) fn render(evaluator: &mut Evaluator<'_>, name: &str, content: &str, vars: &Value) -> Outcome {
    let Some(fields) = vars.fields() else {
        return Err(Fault::argument(1, "a map or object is required"));
    };
    let said = |problems: Vec<Problem>| {
        let text: Vec<String> = problems
            .iter()
            .map(|problem| match &problem.place {
                Some(place) => {
                    format!("{}:{}: {}. {}", place.start.line, place.start.column, problem.summary, problem.detail)
                }
                None => format!("{}. {}", problem.summary, problem.detail),
            })
            .collect();
        text.join(" ").trim_end_matches('.').to_owned()
    };
    let mut sources = Sources::default();
    let file = sources.add(Source::new(name.to_owned(), content.replace("\r\n", "\n")));
    let expr = parse::template(&sources, file).map_err(|problems| Fault::argument(0, said(problems)))?;
    for reference in references::references(&expr) {
        if !fields.contains_key(&reference.root) {
            let known: Vec<&str> = fields.keys().map(|name| name.as_ref()).collect();
            let why = super::super::eval::missing_name("The second argument", "variable", &reference.root, &known);
            return Err(Fault::argument(1, why.trim_end_matches('.')));
        }
    }
    let outer = evaluator.scope;
    let scope = Given { fields, outer };
    let mut inner = evaluator.nested(&scope, &sources);
    let value = inner.eval(&expr);
    let problems = std::mem::take(&mut inner.problems);
    let steps = inner.steps();
    evaluator.set_steps(steps);
    match value {
        Ok(value) => super::convert(&value, &Type::Any).map_err(|misfit| Fault::call(misfit.to_string())),
        Err(Failed::Poisoned) if problems.is_empty() => Err(Fault::Failed(Failed::Poisoned)),
        Err(_) => Err(Fault::call(said(problems))),
    }
}

/// The path without `.`, `..` and doubled slashes, as Go's `path.Clean` makes it.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => match steps.last() {
                Some(&last) if last != ".." => {
                    steps.pop();
                }
                _ if rooted => {}
                _ => steps.push(".."),
            },
            other => steps.push(other),
        }
    }
    let joined = steps.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

fn basename(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match (path.is_empty(), trimmed.is_empty()) {
        (true, _) => ".",
        (false, true) => "/",
        (false, false) => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

fn dirname(path: &str) -> String {
    match path.rfind('/') {
        Some(at) => clean(&path[..=at]),
        None => ".".to_owned(),
    }
}

/// The regular files below a directory whose path matches the pattern: `*`, `?`, `[a-z]`, `{a,b}`, and `**` for any
/// directories.
fn fileset(evaluator: &mut Evaluator<'_>, path: &str, pattern: &str) -> Outcome {
    const MOST: usize = 100_000;
    let root = resolve(evaluator, path)?;
    let expression = glob(pattern).ok_or_else(|| Fault::argument(1, "this is no pattern of paths"))?;
    let mut found = Vec::new();
    let mut seen = 0;
    // To look at an entry takes as long as some steps.
    const STEPS: usize = 8;
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if directory == root => {
                return Err(Fault::call(format!("`{path}` cannot be read: {error}")));
            }
            Err(error) => {
                return Err(Fault::call(format!("`{}` cannot be read: {error}", directory.display())));
            }
        };
        for entry in entries {
            let entry = entry.map_err(|error| Fault::call(error.to_string()))?;
            seen += 1;
            evaluator.owe(STEPS)?;
            if seen > MOST {
                return Err(Fault::call(format!("there are more than {MOST} files")));
            }
            let path = entry.path();
            let kind = entry.file_type().map_err(|error| Fault::call(error.to_string()))?;
            if kind.is_dir() {
                open.push(path.clone());
            }
            let is_file = kind.is_file() || kind.is_symlink() && path.is_file();
            let relative = path.strip_prefix(&root).ok().and_then(Path::to_str);
            if let (true, Some(relative)) = (is_file, relative)
                && expression.is_match(relative)
            {
                found.push(Value::text(relative));
            }
        }
    }
    Ok(Value::set(Type::Text, found))
}

/// A pattern of paths as a regular expression.
fn glob(pattern: &str) -> Option<regex::Regex> {
    let pattern = clean(pattern);
    if Path::new(&pattern).components().any(|step| step == Component::ParentDir) {
        return None;
    }
    let mut expression = String::from("^");
    let mut chars = pattern.chars().peekable();
    let mut braces = 0;
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                match chars.peek() {
                    Some('/') => {
                        chars.next();
                        expression.push_str("(?:.*/)?");
                    }
                    _ => expression.push_str(".*"),
                }
            }
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            '{' => {
                braces += 1;
                expression.push_str("(?:");
            }
            '}' if braces > 0 => {
                braces -= 1;
                expression.push(')');
            }
            ',' if braces > 0 => expression.push('|'),
            '[' => {
                expression.push('[');
                if let Some('^' | '!') = chars.peek() {
                    chars.next();
                    expression.push('^');
                }
                loop {
                    match chars.next()? {
                        ']' => break,
                        '\\' => expression.push_str(&regex::escape(&chars.next()?.to_string())),
                        '-' => expression.push('-'),
                        other => expression.push_str(&regex::escape(&other.to_string())),
                    }
                }
                expression.push(']');
            }
            '\\' => expression.push_str(&regex::escape(&chars.next()?.to_string())),
            other => expression.push_str(&regex::escape(&other.to_string())),
        }
    }
    expression.push('$');
    regex::Regex::new(&expression).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_paths() {
        for (pattern, path, matches) in [
            ("*.hcl", "a.hcl", true),
            ("*.hcl", "b/a.hcl", false),
            ("**/*.hcl", "b/c/a.hcl", true),
            ("**/*.hcl", "a.hcl", true),
            ("**", "b/a", true),
            ("{a,b}/?.txt", "b/x.txt", true),
            ("[!a]b", "ab", false),
            ("[a-c]b", "bb", true),
            ("a.b", "axb", false),
        ] {
            assert_eq!(glob(pattern).expect("a pattern").is_match(path), matches, "{pattern} {path}");
        }
        assert!(glob("../*").is_none());
        assert!(glob("[a").is_none());
    }
}
