//! Where secrets are written out in the files of a configuration, so that no excerpt shows them. In doubt, something is one.

use super::super::modules::{Module, ROOT};
use super::super::source::{Sources, Span};
use super::super::syntax::{Attribute, Block, Body, Expr, Node};
use super::{ATTRIBUTES, AllGiven, GivenValue};
use crate::model::problem::did_you_mean;

/// What a `module` block says to Larder itself.
const META: &[&str] = &["source", "version", "providers", "count", "for_each", "depends_on"];

/// What is written out as the value of a sensitive variable: in its block, in a call of its module, and in files of values. So may
/// be what they give a variable that is not declared, and whatever could not be read.
pub(in crate::config) fn secrets(sources: &Sources, modules: &[Module], given: &AllGiven) -> Vec<Span> {
    let mut spans = Vec::new();
    for module in modules {
        spans.extend_from_slice(&module.declarations.secrets);
        for (name, call) in &module.declarations.calls {
            let called = module.children.get(name).and_then(|number| modules.get(*number));
            let is_shown = |name: &str| {
                META.contains(&name)
                    || called.is_some_and(|called| {
                        let declared = &called.declarations;
                        let has_secrets = || declared.variables.values().any(|block| may_be_secret(sources, block));
                        match declared.variables.get(name) {
                            Some(block) => !may_be_secret(sources, block),
                            // It may be misspelt.
                            None => !declared.any_lost("variable") && !has_secrets(),
                        }
                    })
            };
            let hidden = call.body.attributes.iter().filter(|argument| !is_shown(&argument.name));
            spans.extend(hidden.map(|argument| argument.value.span));
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
            Some(block) if !may_be_secret(sources, block) => shown.push(expr.span),
            _ => spans.push(expr.span),
        }
    }
    for torn in &given.torn {
        spans.extend(all_but(*torn, &mut shown));
    }
    spans
}

/// What a file gives away by itself: in blocks of variables that are sensitive or may be, and in calls of modules that could not
/// be read whole.
pub(in crate::config) fn of_body(sources: &Sources, body: &Body) -> Vec<Span> {
    let mut spans = Vec::new();
    collect(sources, body, u32::MAX, &mut spans);
    spans
}

/// The same of a file of which nothing is known but itself. A file of values shows none of them.
pub(in crate::config) fn of_file(sources: &Sources, file: u32, name: &str, body: &Body) -> Vec<Span> {
    // What comes through a pipe has no name that tells.
    let is_piped = !name.ends_with(".hcl");
    let holds_values =
        name.ends_with(".vars.hcl") || is_piped && (body.blocks.is_empty() || !body.attributes.is_empty());
    if !holds_values {
        return of_body(sources, body);
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

/// What blocks of a body give away. `end` is where they end at the latest.
fn collect(sources: &Sources, body: &Body, end: u32, spans: &mut Vec<Span>) {
    for (number, block) in body.blocks.iter().enumerate() {
        let next =
            body.blocks[number + 1..].iter().map(|next| next.header.start).find(|next| *next > block.header.start);
        // Where a torn block ends is a guess.
        let latest = next.unwrap_or(end);
        let whole = Span {
            start: block.header.end,
            end: if is_torn(&block.body) { latest } else { block.end },
            ..block.header
        };
        let is_meant = |word: &str| block.word.as_ref() == word || did_you_mean(&block.word, [word]).is_some();
        if is_meant("variable") && may_be_secret(sources, block) {
            let mut shown = names(&block.body, ATTRIBUTES);
            shown.extend(block.body.attributes.iter().filter(|said| is_harmless(said)).map(|said| said.value.span));
            spans.extend(all_but(whole, &mut shown));
        } else if is_meant("module") && is_torn(&block.body) {
            let mut shown = names(&block.body, META);
            let source = block.body.attribute("source").filter(|source| !source.value.is_broken());
            shown.extend(source.map(|source| source.value.span));
            spans.extend(all_but(whole, &mut shown));
        } else {
            for said in &block.body.attributes {
                let mut texts = Vec::new();
                written_out(&said.value, &mut texts);
                // An option of a mount may hold one too.
                let is_one = |span: &Span| is_credential(&said.name) || is_option(sources.slice(*span));
                spans.extend(texts.into_iter().filter(is_one));
            }
            collect(sources, &block.body, latest, spans);
        }
    }
}

/// Whether an attribute of any block is a credential by its name, or was perhaps meant to be.
fn is_credential(name: &str) -> bool {
    const NAMES: [&str; 5] = ["password", "passphrase", "secret", "token", "credentials"];
    NAMES.iter().any(|one| name.contains(one)) || did_you_mean(name, NAMES).is_some()
}

/// Whether a text gives a password as mount options do.
fn is_option(text: &str) -> bool {
    ["password", "pass", "passwd", "password2"].iter().any(|key| text.contains(&format!("{key}=")))
}

/// The texts of an expression that may end up in its value. What tells where the value comes from (a name, the argument of a call) is
/// no secret.
fn written_out(expr: &Expr, spans: &mut Vec<Span>) {
    match &expr.node {
        Node::Literal(_) | Node::Template(_) | Node::Broken => spans.push(expr.span),
        Node::Tuple(all) => all.iter().for_each(|one| written_out(one, spans)),
        Node::Object(fields) => fields.iter().for_each(|(_, value)| written_out(value, spans)),
        Node::Conditional(parts) => parts.iter().for_each(|one| written_out(one, spans)),
        Node::Binary(_, sides) => sides.iter().for_each(|one| written_out(one, spans)),
        Node::Negate(one) | Node::Not(one) | Node::Parentheses(one) => written_out(one, spans),
        Node::For(every) => written_out(&every.value, spans),
        Node::Call(call) if !SOURCES.contains(&call.name.as_ref()) => {
            call.arguments.iter().for_each(|one| written_out(one, spans));
        }
        Node::Attribute(of, ..) | Node::Index(of, _) | Node::Splat(of, _) => written_out(of, spans),
        Node::Variable(_) | Node::Item | Node::Call(_) => {}
    }
}

/// Functions whose arguments tell where a secret is.
const SOURCES: [&str; 5] = ["env", "secret_file", "secret_command", "file", "templatefile"];

/// The words of a body that tell what is meant. In a torn one, only those that are known: any other may be part of a text.
fn names(body: &Body, known: &[&str]) -> Vec<Span> {
    let is_shown = |attribute: &&Attribute| !is_torn(body) || known.contains(&attribute.name.as_ref());
    let until_value = |said: &Attribute| Span { end: said.value.span.start, ..said.name_span };
    body.attributes.iter().filter(is_shown).map(until_value).collect()
}

/// A range without these parts.
fn all_but(whole: Span, shown: &mut [Span]) -> Vec<Span> {
    shown.sort_by_key(|span| span.start);
    let mut rest = whole;
    let mut spans = Vec::new();
    for span in shown.iter().filter(|span| span.file == whole.file) {
        spans.push(Span { end: span.start.max(rest.start), ..rest });
        rest.start = span.end.max(rest.start);
    }
    spans.push(rest);
    spans
}

/// Whether an attribute of a variable says nothing of its value.
fn is_harmless(attribute: &Attribute) -> bool {
    match attribute.name.as_ref() {
        "type" | "description" => !attribute.value.is_broken(),
        "sensitive" => matches!(&attribute.value.node, Node::Literal(value) if value.as_bool().is_some()),
        _ => false,
    }
}

/// Whether something in it could not be read.
fn is_torn(body: &Body) -> bool {
    body.has_gaps
        || body.attributes.iter().any(|attribute| attribute.value.is_broken())
        || body.blocks.iter().any(|block| is_torn(&block.body))
}

/// Whether a variable is sensitive, or was perhaps meant to be.
fn may_be_secret(sources: &Sources, block: &Block) -> bool {
    let public = block.body.attribute("sensitive").is_some_and(|attribute| is_public(&attribute.value));
    let text = sources.slice(Span { end: block.end, ..block.header });
    is_torn(&block.body)
        || text.matches("sensitive").count() > usize::from(public)
        || !public && !block.body.lacks("sensitive", ATTRIBUTES)
}

fn is_public(expr: &Expr) -> bool {
    matches!(&expr.node, Node::Literal(value) if value.as_bool() == Some(false))
}

pub(in crate::config) fn is_secret(block: &Block) -> bool {
    block.body.attribute("sensitive").is_some_and(|attribute| !is_public(&attribute.value))
}
