//! Names that mean nothing: references to what is not declared, or has no meaning where it stands.

use super::super::declare::ROOTS;
use super::super::eval::missing_name;
use super::super::references::{Reference, references};
use super::super::syntax::{Block as SyntaxBlock, Expr};
use super::super::value::Value;
use super::{META, Own, World};
use crate::model::problem::did_you_mean;
use crate::model::{Problem, Problems};

impl World<'_> {
    /// Reports references to nothing, and poisons whatever holds one.
    pub(super) fn check_names(&mut self, kinds: &[&'static str]) {
        let declarations = self.declarations;
        let mut found = Vec::new();
        for local in declarations.locals.values() {
            self.check_expr(&local.value, kinds, Own::default(), None, &mut found);
        }
        for (number, resource) in declarations.resources.iter().enumerate() {
            let body = &resource.block.body;
            let known = Value::unknown();
            let own = Own {
                each: body.attribute("for_each").map(|_| (known.clone(), known.clone())),
                count: body.attribute("count").map(|_| known.clone()),
                this: None,
            };
            for attribute in &body.attributes {
                // What makes the instances cannot depend on which instance it is.
                let own = if META.contains(&attribute.name.as_ref()) { Own::default() } else { own.clone() };
                if attribute.name.as_ref() != "depends_on" {
                    self.check_expr(&attribute.value, kinds, own, Some(number), &mut found);
                }
            }
            for block in &body.blocks {
                if block.word.as_ref() == "lifecycle" {
                    self.check_lifecycle(block, kinds, &own, number, &mut found);
                } else {
                    for expr in block.body.expressions() {
                        self.check_expr(expr, kinds, own.clone(), Some(number), &mut found);
                    }
                }
            }
        }
        let others = declarations.outputs.values().chain(declarations.checks.values()).chain(&declarations.settings);
        for block in others {
            for expr in block.body.expressions() {
                if block.body.attribute("depends_on").is_none_or(|attribute| !std::ptr::eq(&attribute.value, expr)) {
                    self.check_expr(expr, kinds, Own::default(), None, &mut found);
                }
            }
        }
        for variable in declarations.variables.values() {
            for validation in variable.body.blocks("validation") {
                for expr in validation.body.expressions() {
                    self.check_expr(expr, kinds, Own::default(), None, &mut found);
                }
            }
        }
        self.problems.append(&mut found);
    }

    fn check_lifecycle(
        &self,
        block: &SyntaxBlock,
        kinds: &[&'static str],
        own: &Own,
        number: usize,
        found: &mut Problems,
    ) {
        for attribute in &block.body.attributes {
            if attribute.name.as_ref() == "prevent_destroy" {
                self.check_expr(&attribute.value, kinds, Own::default(), Some(number), found);
            }
        }
        for condition in &block.body.blocks {
            let this = (condition.word.as_ref() == "postcondition").then(Value::unknown);
            let own = Own { this, ..own.clone() };
            for expr in condition.body.expressions() {
                self.check_expr(expr, kinds, own.clone(), Some(number), found);
            }
        }
    }

    fn check_expr(&self, expr: &Expr, kinds: &[&'static str], own: Own, within: Option<usize>, found: &mut Problems) {
        for reference in references(expr) {
            if let Some(problem) = self.reference(&reference, kinds, own.clone(), within) {
                found.push(problem.at(self.place(reference.span).as_ref()));
            }
        }
    }

    /// What is wrong with a reference, if anything.
    pub(super) fn reference(
        &self,
        reference: &Reference<'_>,
        kinds: &[&'static str],
        own: Own,
        within: Option<usize>,
    ) -> Option<Problem> {
        let root = reference.root.as_ref();
        let names = |names: Vec<&str>, what: &str, name: &str| missing_name("The configuration", what, name, &names);
        let wrong = |summary: &str, detail: &str| Some(Problem::error("invalid-reference", summary, detail));
        let word = match root {
            "var" => "variable",
            "local" => "locals",
            other => other,
        };
        if reference.member.as_ref().is_some_and(|name| self.declarations.is_lost(word, name)) {
            return None;
        }
        match (root, reference.member.as_deref()) {
            ("var", Some(name)) if !self.declarations.variables.contains_key(name) => {
                let known = self.declarations.variables.keys().map(|known| known.as_ref()).collect();
                let summary = format!("There is no variable `{name}`");
                let detail = names(known, "variable", name);
                Some(Problem::error("reference-to-undeclared-input-variable", summary, detail))
            }
            ("local", Some(name)) if !self.declarations.locals.contains_key(name) => {
                let known = self.declarations.locals.keys().map(|known| known.as_ref()).collect();
                let summary = format!("There is no local value `{name}`");
                let detail = names(known, "local value", name);
                Some(Problem::error("reference-to-undeclared-local-value", summary, detail))
            }
            ("var" | "local", Some(_)) => None,
            ("var" | "local", None) => {
                wrong(&format!("`{root}` cannot stand alone"), &format!("Name one of its values: `{root}.NAME`."))
            }
            ("each", _) if own.each.is_none() => {
                wrong("`each` has no meaning here", "Only a block with `for_each` has instances with a key and a value.")
            }
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
            ("path", Some(name)) if !self.path.contains_key(name) => {
                wrong("`path` has no such attribute", "There are `path.module`, `path.root` and `path.cwd`.")
            }
            ("each" | "count" | "self" | "path", _) => None,
            ("module", _) => Some(Problem::error(
                "not-supported",
                "Modules are not supported yet",
                "Write the blocks of the module here.",
            )),
            (kind, member) if kinds.contains(&kind) => {
                let known = self.declarations.by_name.get(kind);
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
                    Some(close) => format!("Nothing is called `{root}`. Did you mean `{close}`?"),
                    None => format!("Nothing is called `{root}`. A text is written in quotes: `\"{root}\"`."),
                };
                Some(Problem::error("invalid-reference", "Nothing has this name", detail))
            }
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
}
