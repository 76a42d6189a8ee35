//! The configuration: HCL text to the resources that are wanted. Reads files of the workstation, never asks a host, and
//! changes nothing.
//!
//! The way of the data: `source` (bytes to text) -> `parse` (text to `syntax`) -> `declare` (what the blocks declare) ->
//! `expand` (evaluation in the order of references, with `eval`, `functions`, `convert`; `decode` gives attributes their
//! types) -> [`Desired`].

mod convert;
mod declare;
mod decode;
mod eval;
mod expand;
mod functions;
mod number;
mod outline;
mod parse;
mod references;
mod settings;
mod source;
mod syntax;
mod types;
mod value;
mod variables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::kinds::Kind;
use crate::model::{Blocks, HostName, Problem, Problems};

pub use declare::{Moved, Removed};
pub use functions::names as function_names;
pub use number::Number;
pub use settings::Settings;
pub use types::Type;
pub use value::{Data, Value};
pub use variables::VarSource;

use declare::Declarations;
use eval::{Found, sentence};
use source::{Source, Sources};
use syntax::Body;
use variables::AllGiven;

/// What a configuration is read with.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// `-var` and `-var-file`, in the order given.
    pub vars: Vec<VarSource>,
    /// The whole environment of the process, for `LARDER_VAR_name` and `env`.
    pub environment: BTreeMap<String, String>,
}

/// What reading a directory gave.
#[derive(Debug)]
pub struct Loaded {
    /// `None` if there is none. What could not be read of it is among the problems, which are errors then.
    pub configuration: Option<Configuration>,
    /// The texts of all files by the name that places use, also of those with errors. Values of sensitive variables are
    /// made unreadable in them.
    pub sources: BTreeMap<String, String>,
    pub problems: Problems,
}

/// The parsed files of a directory.
pub struct Configuration {
    directory: PathBuf,
    sources: Sources,
    by_name: BTreeMap<String, String>,
    declarations: Declarations,
    given: AllGiven,
    environment: BTreeMap<String, String>,
    kinds: Vec<&'static str>,
}

impl std::fmt::Debug for Configuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Configuration").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// What a configuration means.
#[derive(Debug)]
pub struct Evaluated {
    pub desired: Desired,
    /// Instances with something wrong in them; that is unknown in their blocks.
    pub in_error: Blocks,
    /// Errors and warnings, in the order of the text.
    pub problems: Problems,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// All instances that are not in error, hosts too.
    pub blocks: Blocks,
    pub outputs: BTreeMap<String, Output>,
    pub settings: Settings,
    pub moved: Vec<Moved>,
    pub removed: Vec<Removed>,
    /// Something depends on facts of hosts that are not known yet: evaluate again with them.
    pub wants_facts: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// `None` while it is unknown.
    pub value: Option<serde_json::Value>,
    /// As it would be written in a configuration.
    pub ty: String,
    pub sensitive: bool,
    pub description: Option<String>,
}

/// Reads the `*.hcl` files of a directory, and the values of variables.
pub fn load(directory: &Path, inputs: &Inputs, kinds: &'static [&'static dyn Kind]) -> Loaded {
    let mut sources = Sources::default();
    let mut problems = Vec::new();
    let names = match file_names(directory) {
        Ok(names) => names,
        Err(error) => {
            let summary = format!("The directory {} cannot be read", directory.display());
            let detail = format!("{}. Name another one with `-chdir`.", sentence(&error.to_string()));
            problems.push(Problem::error("unreadable-directory", summary, detail));
            return Loaded { configuration: None, sources: BTreeMap::new(), problems };
        }
    };
    let main: Vec<&String> =
        names.iter().filter(|name| !name.ends_with(".vars.hcl") && !name.ends_with(".test.hcl")).collect();
    if main.is_empty() {
        let summary = format!("There is no configuration in {}", directory.display());
        let detail = "A configuration is one or more files `*.hcl`. Write one here, or name another directory with \
                      `-chdir`.";
        problems.push(Problem::error("no-configuration", summary, detail));
        return Loaded { configuration: None, sources: BTreeMap::new(), problems };
    }
    let mut bodies = Vec::new();
    for name in main {
        let bytes = match std::fs::read(directory.join(name)) {
            Ok(bytes) => bytes,
            Err(error) => {
                let detail = format!("{}. Check its permissions.", sentence(&error.to_string()));
                problems.push(Problem::error("unreadable-file", format!("{name} cannot be read"), detail));
                bodies.push(Body { has_gaps: true, ..Body::default() });
                continue;
            }
        };
        let (source, problem) = source::decode(name, bytes);
        problems.extend(problem);
        let file = sources.add(source);
        let (body, mut found) = parse::file(&sources, file);
        problems.append(&mut found);
        bodies.push(body);
    }
    let given = variables::given(directory, &names, inputs, &mut sources, &mut problems);
    let declarations = declare::declare(&sources, bodies, kinds);
    let by_name = sources.by_name(&variables::secrets(&declarations, &given));
    let configuration = Configuration {
        directory: directory.to_path_buf(),
        sources,
        by_name: by_name.clone(),
        declarations,
        given,
        environment: inputs.environment.clone(),
        kinds: kinds.iter().map(|kind| kind.name()).collect(),
    };
    Loaded { configuration: Some(configuration), sources: by_name, problems }
}

/// The names of the `.hcl` files of a directory, in order. Hidden files and what editors leave behind are no
/// configuration.
fn file_names(directory: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.ends_with(".hcl") && !name.starts_with(['.', '#']) && !entry.path().is_dir() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

impl Configuration {
    /// The texts of all files by the name that places use.
    pub fn sources(&self) -> &BTreeMap<String, String> {
        &self.by_name
    }

    /// What the configuration means. Without `facts` those of hosts are unknown; with them, only those of hosts that are
    /// missing from the map.
    pub fn evaluate(&self, facts: Option<&BTreeMap<HostName, serde_json::Value>>) -> Evaluated {
        self.world(facts).1
    }

    /// The value of one expression, with the names of the configuration.
    ///
    /// # Errors
    /// What is wrong with the expression; its places are in a file called `console`.
    pub fn expression(
        &self,
        text: &str,
        facts: Option<&BTreeMap<HostName, serde_json::Value>>,
    ) -> Result<Value, Problems> {
        let mut sources = Sources::default();
        let file = sources.add(Source::new("console".to_owned(), text.replace("\r\n", "\n")));
        let expr = parse::expression(&sources, file)?;
        let (mut world, _) = self.world(facts);
        world.expression(&expr, &sources, &self.kinds)
    }

    fn world<'a>(&'a self, facts: Option<&'a BTreeMap<HostName, serde_json::Value>>) -> (expand::World<'a>, Evaluated) {
        let mut problems = self.declarations.problems.clone();
        let scope = variables::NoNames { directory: &self.directory, environment: &self.environment };
        let variables: BTreeMap<_, Found> =
            variables::values(&self.declarations, &self.given, &self.sources, &scope, &mut problems);
        let mut world =
            expand::World::new(&self.declarations, &self.sources, &self.directory, &self.environment, facts, variables);
        world.problems = problems;
        world.run(&self.kinds)
    }
}
