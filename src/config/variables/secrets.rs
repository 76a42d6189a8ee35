//! Where secrets are written out in the files of a configuration, so that no excerpt shows them. In doubt, something is one.

use super::super::modules::{Module, ROOT};
use super::super::source::{Sources, Span};
use super::super::syntax::{Block, Body, Expr, Node};
use super::{AllGiven, GivenValue};

/// What is written out as the value of a sensitive variable: its default, what a call of its module gives, and what files of
/// values give it. So may be what they give a variable that is not declared, and whatever could not be read.
pub(in crate::config) fn secrets(modules: &[Module], given: &AllGiven) -> Vec<Span> {
    let mut spans = Vec::new();
    for module in modules {
        spans.extend(module.declarations.variables.values().filter_map(default));
        for (name, call) in &module.declarations.calls {
            let Some(called) = module.children.get(name).and_then(|number| modules.get(*number)) else { continue };
            let secret = called.declarations.variables.iter().filter(|(_, block)| is_secret(block));
            spans.extend(secret.filter_map(|(name, _)| call.body.attribute(name)).map(|argument| argument.value.span));
        }
    }
    let Some(root) = modules.get(ROOT).map(|root| &root.declarations) else { return spans };
    // What may be shown of a torn file.
    let mut shown = Vec::new();
    for given in &given.values {
        let GivenValue::Expr(expr, name) = &given.value else { continue };
        let declared = root.variables.get(&given.name);
        shown.extend(declared.map(|_| *name));
        match declared {
            Some(block) if !is_secret(block) => shown.push(expr.span),
            _ => spans.push(expr.span),
        }
    }
    shown.sort_by_key(|span| span.start);
    for torn in &given.torn {
        let mut rest = *torn;
        for span in shown.iter().filter(|span| span.file == torn.file) {
            spans.push(Span { end: span.start.max(rest.start), ..rest });
            rest.start = span.end.max(rest.start);
        }
        spans.push(rest);
    }
    spans
}

/// The same of one file, of which nothing is known but itself. A file of values shows none of them.
pub(in crate::config) fn of_file(sources: &Sources, file: u32, name: &str, body: &Body) -> Vec<Span> {
    // What comes through a pipe has no name that tells.
    let holds_values = name.ends_with(".vars.hcl") || !name.ends_with(".hcl") && !body.attributes.is_empty();
    if !holds_values {
        return body.blocks("variable").filter_map(default).collect();
    }
    let mut start = 0;
    let lines = sources.text(file).split_inclusive('\n').map(|line| {
        // Behind `name =`; all of a line that does not begin like that.
        let value = match line.split_once('=') {
            Some((name, _)) if name.trim().chars().all(|c| c.is_alphanumeric() || "_-".contains(c)) => name.len() + 1,
            _ => 0,
        };
        let span = Span { file, start: start + value as u32, end: start + line.len() as u32 };
        start += line.len() as u32;
        span
    });
    lines.collect()
}

fn default(block: &Block) -> Option<Span> {
    is_secret(block).then(|| block.body.attribute("default").map(|attribute| attribute.value.span))?
}

pub(in crate::config) fn is_secret(block: &Block) -> bool {
    let is_public = |expr: &Expr| matches!(&expr.node, Node::Literal(value) if value.as_bool() == Some(false));
    block.body.attribute("sensitive").is_some_and(|attribute| !is_public(&attribute.value))
}
