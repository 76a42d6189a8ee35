//! The `lifecycle` block, and conditions wherever they stand: of resources, variables, outputs and checks.

use std::collections::BTreeSet;

use super::super::declare::{Resource, unexpected};
use super::super::eval::{missing_name, sentence};
use super::super::syntax::{Attribute as SyntaxAttribute, Block as SyntaxBlock, Expr, Node as SyntaxNode};
use super::super::types::Type;
use super::super::value::Value;
use super::contents::SENSITIVE;
use super::{Own, World};
use crate::model::hazard::Acceptance;
use crate::model::{HazardCode, Lifecycle, Problem};

impl World<'_> {
    /// The `lifecycle` block, with its preconditions checked. `None` if it is in error or a condition does not hold.
    pub(super) fn lifecycle(&mut self, frame: usize, resource: &Resource, own: &Own) -> Option<Lifecycle> {
        let mut lifecycle = Lifecycle::default();
        let Some(block) = resource.block.body.blocks("lifecycle").next() else { return Some(lifecycle) };
        const ATTRIBUTES: &[&str] = &["prevent_destroy", "ignore_changes", "accept"];
        const BLOCKS: &[&str] = &["precondition", "postcondition"];
        let problems = unexpected(self.sources, &block.body, ATTRIBUTES, BLOCKS, "`lifecycle`");
        let mut fits = problems.is_empty();
        self.problems.extend(problems);
        if let Some(attribute) = block.body.attribute("prevent_destroy") {
            let value = self.with_evaluator(frame, own.clone(), |evaluator| {
                evaluator.eval_as(&attribute.value, &Type::Bool, "wrong-type", "`prevent_destroy` cannot be this")
            });
            match value.map(|value| value.as_bool()) {
                Ok(Some(value)) => lifecycle.prevent_destroy = value,
                Ok(None) => {
                    let detail = "`true` or `false` is required, known before any host is asked.";
                    self.report(attribute.value.span, "wrong-type", "`prevent_destroy` cannot be this", detail);
                    fits = false;
                }
                Err(_) => fits = false,
            }
        }
        if let Some(attribute) = block.body.attribute("ignore_changes") {
            match self.ignored(resource, attribute) {
                Some(names) => lifecycle.ignore_changes = names,
                None => fits = false,
            }
        }
        if let Some(attribute) = block.body.attribute("accept") {
            match self.accepted(frame, attribute, own) {
                Some(codes) => lifecycle.accept = codes,
                None => fits = false,
            }
        }
        for condition in block.body.blocks("precondition") {
            fits &=
                self.condition(frame, condition, own, "precondition-failed", &resource_name(resource)) != Some(false);
        }
        fits.then_some(lifecycle)
    }

    fn ignored(&mut self, resource: &Resource, attribute: &SyntaxAttribute) -> Option<BTreeSet<String>> {
        const CODE: &str = "invalid-ignore-changes";
        let schema = resource.kind.schema();
        let known: Vec<&str> = schema.attributes.iter().map(|attribute| attribute.name).collect();
        if attribute.value.words().is_some_and(|words| words.len() == 1 && words[0].as_ref() == "all") {
            return Some(known.into_iter().map(str::to_owned).collect());
        }
        let SyntaxNode::Tuple(elements) = &attribute.value.node else {
            if attribute.value.is_broken() {
                return None;
            }
            let detail = "Write it like `ignore_changes = [mode]`.";
            self.report(attribute.value.span, CODE, "`ignore_changes` is not a list", detail);
            return None;
        };
        let mut names = BTreeSet::new();
        let mut fits = true;
        for element in elements {
            let name = match (element.words(), element.literal_text()) {
                (Some(words), _) if words.len() == 1 => words[0].to_string(),
                (_, Some(text)) => text.to_string(),
                _ => String::new(),
            };
            let is_block = schema.blocks.iter().any(|block| block.name == name);
            if known.contains(&name.as_str()) || is_block {
                names.insert(name);
                continue;
            }
            let detail = missing_name(&format!("`{}`", resource.kind.name()), "attribute", &name, &known);
            self.report(element.span, CODE, "This is no attribute of the resource", detail);
            fits = false;
        }
        fits.then_some(names)
    }

    fn accepted(&mut self, frame: usize, attribute: &SyntaxAttribute, own: &Own) -> Option<BTreeSet<HazardCode>> {
        const CODE: &str = "invalid-accept";
        let value = self
            .with_evaluator(frame, own.clone(), |evaluator| {
                let ty = Type::list(Type::Text);
                evaluator.eval_as(&attribute.value, &ty, CODE, "`accept` is a list of codes of hazards")
            })
            .ok()?;
        let mut codes = BTreeSet::new();
        let mut fits = true;
        let Some(elements) = value.elements().filter(|_| !value.has_unknown()) else {
            let detail = "What is accepted is written out; it cannot depend on facts.";
            self.report(attribute.value.span, CODE, "`accept` is not known", detail);
            return None;
        };
        if value.is_sensitive_anywhere() {
            let detail = "What is accepted is shown in every plan. Write it out.";
            self.report(attribute.value.span, SENSITIVE, "`accept` would show a sensitive value", detail);
            return None;
        }
        for element in elements.iter() {
            let text = element.as_text().map_or("", |text| text);
            let span = match &attribute.value.node {
                SyntaxNode::Tuple(exprs) => {
                    let same = |expr: &&Expr| expr.literal_text().is_some_and(|literal| literal.as_ref() == text);
                    exprs.iter().find(same).map_or(attribute.value.span, |expr| expr.span)
                }
                _ => attribute.value.span,
            };
            match HazardCode::parse(text) {
                Some(code) if code.acceptance() != Acceptance::Never => {
                    codes.insert(code);
                }
                Some(code) => {
                    let detail =
                        format!("{}. This hazard is never accepted: mend its cause.", sentence(code.meaning()));
                    self.report(span, CODE, format!("`{code}` cannot be accepted"), detail);
                    fits = false;
                }
                None => {
                    let known: Vec<&str> = HazardCode::all()
                        .filter(|code| code.acceptance() != Acceptance::Never)
                        .map(HazardCode::as_str)
                        .collect();
                    let detail = missing_name("Larder", "hazard", text, &known);
                    self.report(span, CODE, "This is not a code of a hazard", detail);
                    fits = false;
                }
            }
        }
        fits.then_some(codes)
    }

    pub(super) fn postconditions(&mut self, frame: usize, resource: &Resource, own: &Own, this: &Value) -> bool {
        let own = Own { this: Some(this.clone()), ..own.clone() };
        let mut holds = true;
        for lifecycle in resource.block.body.blocks("lifecycle") {
            for condition in lifecycle.body.blocks("postcondition") {
                holds &= self.condition(frame, condition, &own, "postcondition-failed", &resource_name(resource))
                    != Some(false);
            }
        }
        holds
    }

    /// Whether a condition holds; `None` while that is not known. A condition that does not hold, or that has no value, is
    /// reported.
    pub(super) fn condition(
        &mut self,
        frame: usize,
        block: &SyntaxBlock,
        own: &Own,
        code: &str,
        of: &str,
    ) -> Option<bool> {
        const ATTRIBUTES: &[&str] = &["condition", "error_message"];
        let problems = unexpected(self.sources, &block.body, ATTRIBUTES, &[], &format!("`{}`", block.word));
        let mut fits = problems.is_empty();
        self.problems.extend(problems);
        for name in ATTRIBUTES {
            if block.body.lacks(name, ATTRIBUTES) {
                let detail = format!("`{}` needs `condition` and `error_message`.", block.word);
                self.report(block.header, "missing-attribute", format!("`{name}` is missing"), detail);
                fits = false;
            }
        }
        let (Some(condition), Some(message)) =
            (block.body.attribute("condition"), block.body.attribute("error_message"))
        else {
            return Some(false);
        };
        let (holds, text, values) = self.with_evaluator(frame, own.clone(), |evaluator| {
            let holds =
                evaluator.eval_as(&condition.value, &Type::Bool, "invalid-condition", "This is not a condition");
            let text = match holds.as_ref().ok().and_then(Value::as_bool) {
                Some(false) => evaluator
                    .eval_as(&message.value, &Type::Text, "invalid-error-message", "This is not a message")
                    .ok(),
                _ => None,
            };
            let values = match text {
                Some(_) => evaluator.values_in(&condition.value),
                None => Vec::new(),
            };
            (holds, text, values)
        });
        let Ok(holds) = holds else { return Some(false) };
        if !fits {
            return Some(false);
        }
        if holds.is_unknown() {
            self.wants_facts = true;
            return None;
        }
        match holds.as_bool() {
            Some(true) => Some(true),
            Some(false) => {
                let detail = match text {
                    Some(text) if text.sensitive => {
                        "The message of this condition is sensitive and not shown.".to_owned()
                    }
                    Some(text) => {
                        text.as_text().map_or("The message is not known.".to_owned(), |text| text.to_string())
                    }
                    None => "The message of this condition has no value.".to_owned(),
                };
                let mut problem = match code {
                    "check-failed" => Problem::warning(code, format!("Check `{of}` failed"), detail),
                    "invalid-variable-value" => {
                        Problem::error(code, format!("This is no value for variable `{of}`"), detail)
                    }
                    _ => Problem::error(code, format!("A condition of `{of}` does not hold"), detail),
                };
                problem.values = values;
                let place = self.place(condition.value.span);
                self.problems.push(problem.at(place.as_ref()));
                Some(false)
            }
            None => {
                self.report(
                    condition.value.span,
                    "invalid-condition",
                    "The condition is null",
                    "It must be true or false.",
                );
                Some(false)
            }
        }
    }
}

fn resource_name(resource: &Resource) -> String {
    format!("{}.{}", resource.kind.name(), resource.name)
}
