//! Expressions one after the other, with the names of a configuration that is evaluated once. Nothing here prints, and
//! nothing that an expression does changes what a later one sees.

use std::collections::BTreeMap;

use super::modules::ROOT;
use super::source::{Source, Sources};
use super::syntax::{Expr, Node};
use super::value::Value;
use super::{Configuration, expand, functions, outline, parse};
use crate::model::{HostName, Problem, Problems};

/// Evaluates expressions.
pub struct Console<'a> {
    configuration: &'a Configuration,
    world: expand::World<'a>,
    /// There are files or parts of files that could not be read, so that nobody knows what else they declare.
    is_part: bool,
}

/// What an expression came to.
#[derive(Debug)]
pub struct Answer {
    pub value: Value,
    /// It was asked for a type, and the value is its text.
    pub is_type: bool,
}

impl std::fmt::Debug for Console<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

impl Configuration {
    /// A console with the names of this configuration, and what is wrong with the configuration: an expression that refers
    /// to something in error is `in-error`.
    pub fn console<'a>(&'a self, facts: Option<&'a BTreeMap<HostName, serde_json::Value>>) -> (Console<'a>, Problems) {
        let (world, evaluated) = self.world(facts);
        (Console { configuration: self, world, is_part: false }, evaluated.problems)
    }

    /// The names of the variables that are declared.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.modules[ROOT].declarations.variables.keys().map(|name| name.as_ref())
    }

    /// The value of a single expression.
    ///
    /// # Errors
    /// See [`Console::evaluate`].
    pub fn expression(
        &self,
        text: &str,
        facts: Option<&BTreeMap<HostName, serde_json::Value>>,
    ) -> Result<Value, Problems> {
        self.console(facts).0.evaluate(text).map(|answer| answer.value)
    }
}

/// The most bytes of one expression.
const LONGEST: usize = parse::LONGEST_FILE;

impl Console<'_> {
    /// The same console for a configuration that could be read only in part: a name that is not declared is `in-error` then.
    pub fn of_part(self) -> Self {
        Console { is_part: true, ..self }
    }

    /// The value of one expression.
    ///
    /// # Errors
    /// What is wrong with the expression; its places are in a file called `console`.
    pub fn evaluate(&mut self, text: &str) -> Result<Answer, Problems> {
        if text.len() > LONGEST {
            let detail = format!("An expression may have up to {} MiB.", LONGEST >> 20);
            return Err(vec![Problem::error("too-large", "This expression is too large", detail)]);
        }
        let mut sources = Sources::default();
        let file = sources.add(Source::new("console".to_owned(), text.replace("\r\n", "\n")));
        let expr = parse::expression(&sources, file)?;
        let value = self.world.expression(&expr, &sources, &self.configuration.kinds);
        let value = value.map_err(|problems| match self.is_part {
            true => problems.into_iter().map(perhaps_declared).collect(),
            false => problems,
        })?;
        Ok(Answer { value, is_type: asks_for_type(&expr) })
    }

    /// The names that could stand where `typed` stands, whole and in order: functions and roots, or after a dot what is
    /// there.
    pub fn names(&mut self, typed: &str) -> Vec<String> {
        let declared = &self.configuration.modules[ROOT].declarations;
        let members: Vec<String> = match typed.rsplit_once('.') {
            None => {
                let kinds = declared.by_name.keys().map(|kind| kind.to_string());
                let roots = ["local", "module", "path", "var"].map(str::to_owned);
                let mut names = functions_like(typed);
                names.extend(kinds.chain(roots).filter(|name| name.starts_with(typed)));
                names.sort();
                return names;
            }
            Some(("var", _)) => declared.variables.keys().map(|name| name.to_string()).collect(),
            Some(("local", _)) => declared.locals.keys().map(|name| name.to_string()).collect(),
            Some(("module", _)) => declared.calls.keys().map(|name| name.to_string()).collect(),
            Some((kind, _)) if declared.by_name.contains_key(kind) => {
                declared.by_name[kind].keys().map(|name| name.to_string()).collect()
            }
            Some((object, _)) if is_traversal(object) => match self.evaluate(object) {
                Ok(answer) if !answer.value.sensitive => {
                    answer.value.fields().into_iter().flatten().map(|(name, _)| name.to_string()).collect()
                }
                _ => Vec::new(),
            },
            Some(_) => Vec::new(),
        };
        let owner = typed.rsplit_once('.').map_or("", |(owner, _)| owner);
        let names = members.into_iter().filter(|name| is_word(name)).map(|name| format!("{owner}.{name}"));
        names.filter(|name| name.starts_with(typed)).collect()
    }
}

/// A name that is not declared in what could be read.
fn perhaps_declared(problem: Problem) -> Problem {
    match problem.code.starts_with("reference-to-undeclared-") {
        false => problem,
        true => Problem::error(
            "in-error",
            format!("{}, as far as the configuration can be read", problem.summary),
            "Mend the problems of its files first; `larder validate` shows them.",
        )
        .at(problem.place.as_ref()),
    }
}

/// Whether the text has a bracket, a heredoc or a comment that further lines could close.
pub fn is_open(text: &str) -> bool {
    outline::outline(text).unclosed.is_some_and(|unclosed| unclosed.goes_on)
}

fn asks_for_type(expr: &Expr) -> bool {
    matches!(&expr.bare().node, Node::Call(call) if call.name.as_ref() == "type")
}

fn functions_like(typed: &str) -> Vec<String> {
    functions::names().into_iter().filter(|name| name.starts_with(typed)).map(|name| format!("{name}(")).collect()
}

fn is_traversal(text: &str) -> bool {
    text.split('.').all(is_word)
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_open_as_long_as_more_lines_could_close_it() {
        for text in ["(", "[1,", "{ a = 1", "upper(\n", "<<EOT\nx", "/* x", "\"${", "[for x in [", "{ a = <<-E\n  E2"] {
            assert!(is_open(text), "{text}");
        }
        for text in
            ["", "1 +", "\"x", "(1)", ")", "[}", "<<EOT\nx\nEOT", "{ a = \"(\" }", "# (", "upper(\"x\n", "\"$${\""]
        {
            assert!(!is_open(text), "{text}");
        }
    }
}
