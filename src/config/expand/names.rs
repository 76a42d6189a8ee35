//! Names that mean nothing: references to what is not declared, or has no meaning where it stands.

use super::super::declare::ROOTS;
use super::super::eval::missing_name;
use super::super::references::{Reference, in_block, in_body, references};
use super::super::source::Span;
use super::super::syntax::Body;
use super::super::value::Value;
use super::calls::{self, named_output};
use super::{META, Own, World};
use crate::model::Problem;
use crate::model::problem::did_you_mean;

/// The single words that attributes hold which nobody knows: that there is no such attribute is reported, and says it all.
fn lone_words_of_unknown(body: &Body, known: &[&str]) -> Vec<Span> {
    let unknown = body.attributes.iter().filter(|attribute| !known.contains(&attribute.name.as_ref()));
    let words = unknown.filter(|attribute| attribute.value.words().is_some_and(|words| words.len() == 1));
    words.map(|attribute| attribute.value.span).collect()
}

impl World<'_> {
    /// Reports references to nothing, and poisons whatever holds one.
    pub(super) fn check_names(&mut self, module: usize, kinds: &[&'static str]) {
        let declarations = &self.modules[module].declarations;
        let mut found = Vec::new();
        let nothing = Own::default;
        let mut check = |references: Vec<Reference<'_>>, own: &Own, within: Option<usize>| {
            for reference in references {
                if let Some(problem) = self.reference(module, &reference, kinds, own.clone(), within) {
                    found.push(problem.at(self.place(reference.span).as_ref()));
                }
            }
        };
        for local in declarations.locals.values() {
            check(references(&local.value), &nothing(), None);
        }
        for (number, resource) in declarations.resources.iter().enumerate() {
            let body = &resource.block.body;
            let own = instance_names(body);
            let schema = resource.kind.schema();
            let known: Vec<&str> = schema.attributes.iter().map(|one| one.name).chain(META.iter().copied()).collect();
            let surplus = lone_words_of_unknown(body, &known);
            let values = body.attributes.iter().filter(|attribute| attribute.name.as_ref() != "depends_on");
            for attribute in values.filter(|attribute| !surplus.contains(&attribute.value.span)) {
                // What makes the instances cannot depend on which instance it is.
                let is_meta = META.contains(&attribute.name.as_ref());
                let own = if is_meta { nothing() } else { own.clone() };
                check(references(&attribute.value), &own, Some(number));
            }
            for block in &body.blocks {
                if block.word.as_ref() != "lifecycle" {
                    let nested = schema.blocks.iter().find(|nested| nested.name == block.word.as_ref());
                    let surplus = nested.map_or_else(Vec::new, |nested| {
                        lone_words_of_unknown(
                            &block.body,
                            &nested.attributes.iter().map(|one| one.name).collect::<Vec<_>>(),
                        )
                    });
                    let all = in_block(block).into_iter().filter(|reference| !surplus.contains(&reference.span));
                    check(all.collect(), &own, Some(number));
                    continue;
                }
                let fixed = block.body.attributes.iter().filter(|one| one.name.as_ref() == "prevent_destroy");
                fixed.for_each(|one| check(references(&one.value), &nothing(), Some(number)));
                for condition in &block.body.blocks {
                    let this = (condition.word.as_ref() == "postcondition").then(Value::unknown);
                    check(in_block(condition), &Own { this, ..own.clone() }, Some(number));
                }
            }
        }
        for call in declarations.calls.values() {
            let own = instance_names(&call.body);
            for attribute in &call.body.attributes {
                let own = if calls::META.contains(&attribute.name.as_ref()) { nothing() } else { own.clone() };
                if !["depends_on", "source"].contains(&attribute.name.as_ref()) {
                    check(references(&attribute.value), &own, None);
                }
            }
        }
        for block in declarations.outputs.values() {
            let values = block.body.attributes.iter().filter(|attribute| attribute.name.as_ref() != "depends_on");
            values.for_each(|attribute| check(references(&attribute.value), &nothing(), None));
            block.body.blocks.iter().for_each(|block| check(in_block(block), &nothing(), None));
        }
        for block in declarations.checks.values().chain(&declarations.settings) {
            check(in_body(&block.body), &nothing(), None);
        }
        for variable in declarations.variables.values() {
            for validation in variable.body.blocks("validation") {
                check(in_body(&validation.body), &nothing(), None);
            }
        }
        self.problems.append(&mut found);
    }

    /// What is wrong with a reference, if anything.
    pub(super) fn reference(
        &self,
        module: usize,
        reference: &Reference<'_>,
        kinds: &[&'static str],
        own: Own,
        within: Option<usize>,
    ) -> Option<Problem> {
        let declarations = &self.modules[module].declarations;
        let root = reference.root.as_ref();
        let names = |names: Vec<&str>, what: &str, name: &str| missing_name("The configuration", what, name, &names);
        let wrong = |summary: &str, detail: &str| Some(Problem::error("invalid-reference", summary, detail));
        let word = match root {
            "var" => "variable",
            "local" => "locals",
            other => other,
        };
        if reference.member.as_ref().is_some_and(|name| declarations.is_lost(word, name)) {
            return None;
        }
        match (root, reference.member.as_deref()) {
            ("var", Some(name)) if !declarations.variables.contains_key(name) => {
                let known = declarations.variables.keys().map(|known| known.as_ref()).collect();
                let summary = format!("There is no variable `{name}`");
                let detail = names(known, "variable", name);
                Some(Problem::error("reference-to-undeclared-input-variable", summary, detail))
            }
            ("local", Some(name)) if !declarations.locals.contains_key(name) => {
                let known = declarations.locals.keys().map(|known| known.as_ref()).collect();
                let summary = format!("There is no local value `{name}`");
                let detail = names(known, "local value", name);
                Some(Problem::error("reference-to-undeclared-local-value", summary, detail))
            }
            ("var" | "local", Some(_)) => None,
            ("var" | "local", None) => {
                wrong(&format!("`{root}` cannot stand alone"), &format!("Name one of its values: `{root}.NAME`."))
            }
            ("each", _) if own.each.is_none() => wrong(
                "`each` has no meaning here",
                "Only a block with `for_each` has instances with a key and a value.",
            ),
            ("each", Some(name)) if !["key", "value"].contains(&name) => {
                wrong("`each` has no such attribute", "There are `each.key` and `each.value`.")
            }
            ("count", _) if own.count.is_none() => {
                wrong("`count` has no meaning here", "Only a block with `count` has instances with an index.")
            }
            ("count", Some(name)) if name != "index" => {
                wrong("`count` has no such attribute", "There is `count.index`.")
            }
            ("self", _) if own.this.is_none() => {
                wrong("`self` has no meaning here", "Only a `postcondition` can speak of its own resource like that.")
            }
            ("path", Some(name)) if !self.modules[module].path.contains_key(name) => {
                wrong("`path` has no such attribute", "There are `path.module`, `path.root` and `path.cwd`.")
            }
            ("each" | "count" | "self" | "path", _) => None,
            ("module", None) => wrong("`module` cannot stand alone", "Name one: `module.NAME.OUTPUT`."),
            ("module", Some(name)) => self.module_reference(module, reference, name),
            (kind, member) if kinds.contains(&kind) => {
                let known = declarations.by_name.get(kind);
                let name = member?;
                match known.and_then(|known| known.get(name)) {
                    None => {
                        let known =
                            known.into_iter().flat_map(|known| known.keys()).map(|name| name.as_ref()).collect();
                        let summary = format!("There is no resource `{kind}.{name}`");
                        let detail = names(known, kind, name);
                        Some(Problem::error("reference-to-undeclared-resource", summary, detail))
                    }
                    Some(number) if Some(*number) == within => {
                        let detail = "A value cannot be computed from itself. Name what both use in `locals`.";
                        let summary = format!("`{kind}.{name}` refers to itself");
                        Some(Problem::error("self-reference", summary, detail))
                    }
                    Some(_) => None,
                }
            }
            (_, None) => {
                let known = ROOTS.iter().chain(kinds).copied();
                let detail = match did_you_mean(root, known) {
                    Some(close) => {
                        format!(
                            "Nothing is called `{root}`. Did you mean `{close}`? A text is written in quotes: `\"{root}\"`."
                        )
                    }
                    None => format!("Nothing is called `{root}`. A text is written in quotes: `\"{root}\"`."),
                };
                Some(Problem::error("invalid-reference", "Nothing has this name", detail))
            }
            (_, Some(name)) if declarations.is_lost(root, name) => None,
            ("terraform", Some(_)) => wrong(
                "`terraform` has no meaning here",
                "There are no workspaces; give what differs as a variable, with `-var-file FILE`.",
            ),
            (_, Some(_)) => {
                let detail = match did_you_mean(root, ROOTS.iter().chain(kinds).copied()) {
                    Some(close) => format!("There is no kind of resource `{root}`. Did you mean `{close}`?"),
                    None => format!("There is no kind of resource `{root}`."),
                };
                let summary = format!("`{root}` is no kind of resource");
                Some(Problem::error("reference-to-undeclared-resource", summary, detail))
            }
        }
    }

    /// What is wrong with `module.NAME...`, if anything.
    fn module_reference(&self, module: usize, reference: &Reference<'_>, name: &str) -> Option<Problem> {
        let here = &self.modules[module];
        let Some(call) = here.declarations.calls.get(name) else {
            let known: Vec<&str> = here.declarations.calls.keys().map(|known| known.as_ref()).collect();
            let detail = missing_name("The configuration", "module", name, &known);
            let summary = format!("There is no module `{name}`");
            return Some(Problem::error("reference-to-undeclared-module", summary, detail));
        };
        let output = named_output(call, reference)?;
        let child = &self.modules[*here.children.get(name)?];
        if child.declarations.outputs.contains_key(output) || child.declarations.is_lost("output", output) {
            return None;
        }
        let known: Vec<&str> = child.declarations.outputs.keys().map(|known| known.as_ref()).collect();
        let detail = missing_name(&format!("Module `{name}`"), "output", output, &known);
        Some(Problem::error("unsupported-attribute", format!("There is no output `{output}`"), detail))
    }
}

/// `each` and `count`, where the block has them.
fn instance_names(body: &Body) -> Own {
    let known = Value::unknown();
    Own {
        each: body.attribute("for_each").map(|_| (known.clone(), known.clone())),
        count: body.attribute("count").map(|_| known.clone()),
        this: None,
    }
}
