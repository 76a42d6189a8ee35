//! Values of variables where Terraform would look for them and Larder does not: said, because nobody would miss them in a plan
//! that goes by a default.

use std::path::Path;

use super::super::Inputs;
use super::super::declare::Declarations;
use super::super::source::Sources;
use crate::model::{Problem, Problems};

const CODE: &str = "values-not-read";

/// Files and variables of the environment that are there and are not read.
pub(in crate::config) fn not_read(
    directory: &Path,
    inputs: &Inputs,
    declarations: &Declarations,
    sources: &Sources,
) -> Problems {
    let mut problems: Problems = files(directory)
        .into_iter()
        .map(|name| {
            let detail = if name.ends_with(".json") {
                "Values of variables are HCL here: write them into `larder.vars.hcl` or `*.auto.vars.hcl`.".to_owned()
            } else {
                let new = match name.strip_suffix(".auto.tfvars") {
                    Some(stem) => format!("{stem}.auto.vars.hcl"),
                    None => "larder.vars.hcl".to_owned(),
                };
                format!("The name that Larder reads is `{new}`: rename it, or name it with `-var-file {name}`.")
            };
            Problem::warning(CODE, format!("{name} is not read"), detail)
        })
        .collect();
    for (name, block) in &declarations.variables {
        let foreign = format!("TF_VAR_{name}");
        let own = format!("LARDER_VAR_{name}");
        if inputs.environment.contains_key(&foreign) && !inputs.environment.contains_key(&own) {
            let detail = format!("Set `{own}` for the value of this variable.");
            let problem = Problem::warning(CODE, format!("`{foreign}` in the environment is not read"), detail);
            problems.push(problem.at(sources.place(block.header).as_ref()));
        }
    }
    problems
}

/// What Terraform would read without being asked, in order.
fn files(directory: &Path) -> Vec<String> {
    // A directory that cannot be read is reported where its configuration is read.
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_read = |name: &String| {
        let name = name.strip_suffix(".json").unwrap_or(name);
        name == "terraform.tfvars" || name.ends_with(".auto.tfvars")
    };
    let mut names: Vec<_> = names.filter(is_read).collect();
    names.sort();
    names
}
