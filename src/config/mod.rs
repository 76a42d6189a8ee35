//! The configuration: HCL text to the resources that are wanted. Reads files of the workstation, never asks a host, and
//! changes nothing.
//!
//! The way of the data: `source` (bytes to text) -> `parse` (text to `syntax`) -> `declare` (what the blocks declare),
//! for each module that `modules` finds -> `expand` (evaluation in the order of references, with `eval`, `functions`,
//! `convert`; `decode` gives attributes their types) -> [`Desired`]. `format` stands beside it: text to the same text in the
//! canonical layout.

mod console;
mod convert;
mod declare;
mod decode;
mod eval;
mod expand;
mod fields;
mod format;
mod functions;
mod module_lock;
mod module_source;
mod modules;
mod number;
mod outline;
mod parse;
mod references;
mod seal;
mod settings;
mod source;
mod statements;
mod syntax;
mod types;
mod value;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::kinds::Kind;
use crate::model::problem::in_order;
use crate::model::{Blocks, HostName, Problem, Problems, Secrets};

pub use console::{Answer, Console, is_open};
pub use format::{Unformatted, format};
pub use functions::names as function_names;
pub use module_lock::{LOCK_FILE, Lock, Locked, checksum, is_commit, lock_text, package_directory, read_lock};
pub use module_source::GitSource;
pub use modules::{NO_CONFIGURATION, is_file_name};
pub use number::Number;
pub use settings::{Origin, Settings};
pub use statements::{Import, Removed, Statements};
pub use types::Type;
pub use value::{Data, Value};
pub use variables::VarSource;

use eval::Found;
use modules::{Module, ROOT};
use source::Sources;
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
    /// `None` if the directory cannot be read; if it is empty, one that declares nothing. What could not be read is among
    /// the problems, which are errors then.
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
    /// The root, then the modules that it calls.
    modules: Vec<Module>,
    given: AllGiven,
    environment: BTreeMap<String, String>,
    kinds: Vec<&'static str>,
    /// Something in it could not be read, which is reported already.
    is_torn: bool,
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
    /// About what the state has already.
    pub statements: Statements,
    /// The credentials that marks in the blocks stand for.
    pub secrets: Arc<Secrets>,
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
    load_with(directory, inputs, kinds, None)
}

/// The same, as if this text stood in a further file of the directory, under this name.
pub fn load_with(
    directory: &Path,
    inputs: &Inputs,
    kinds: &'static [&'static dyn Kind],
    further: Option<(&str, &str)>,
) -> Loaded {
    let mut sources = Sources::default();
    let mut problems = Vec::new();
    let modules = modules::load(directory, kinds, further, &mut sources, &mut problems);
    let Some(modules) = modules.map(|found| found.modules) else {
        return Loaded { configuration: None, sources: BTreeMap::new(), problems };
    };
    let given = variables::given(directory, inputs, &mut sources, &mut problems);
    problems.extend(variables::not_read(directory, inputs, &modules[ROOT].declarations, &sources));
    let by_name = sources.by_name(&variables::secrets(&modules, &given));
    let configuration = Configuration {
        directory: directory.to_path_buf(),
        sources,
        by_name: by_name.clone(),
        modules,
        given,
        environment: inputs.environment.clone(),
        kinds: kinds.iter().map(|kind| kind.name()).collect(),
        is_torn: problems.iter().any(Problem::is_error),
    };
    Loaded { configuration: Some(configuration), sources: by_name, problems }
}

/// The packages that the modules of a directory come from.
#[derive(Debug)]
pub struct Packages {
    /// As far as modules can be read: one that is not fetched yet may name more.
    pub wanted: Vec<GitSource>,
    /// Every module could be read, so there are no others.
    pub is_whole: bool,
}

/// Looks for the packages of a configuration.
///
/// # Errors
/// What cannot be read: a file with an error in it may name packages too.
pub fn packages(directory: &Path, kinds: &'static [&'static dyn Kind]) -> Result<Packages, Problems> {
    let mut problems = Problems::new();
    let found = modules::load(directory, kinds, None, &mut Sources::default(), &mut problems);
    match found {
        Some(found) if !problems.iter().any(Problem::is_error) => {
            let is_whole = found.modules.iter().all(|module| module.problems.is_empty());
            Ok(Packages { wanted: found.packages, is_whole })
        }
        _ => Err(problems),
    }
}

impl Configuration {
    /// The texts of all files by the name that places use.
    pub fn sources(&self) -> &BTreeMap<String, String> {
        &self.by_name
    }

    /// The kinds and names of all resource blocks of the root module, of those too that have no instance.
    pub fn names(&self) -> BTreeSet<(String, String)> {
        let blocks = self.modules[ROOT].declarations.resources.iter();
        blocks.map(|resource| (resource.kind.name().to_owned(), resource.name.to_string())).collect()
    }

    /// Whether the value of a variable of the root module may be shown.
    pub fn shows(&self, variable: &str) -> bool {
        let mut variables = self.modules[ROOT].declarations.variables.iter();
        variables.any(|(name, block)| name.to_string() == variable && !variables::is_secret(block))
    }

    /// What the configuration means. Without `facts` those of hosts are unknown; with them, only those of hosts that are
    /// missing from the map.
    pub fn evaluate(&self, facts: Option<&BTreeMap<HostName, serde_json::Value>>) -> Evaluated {
        let Evaluated { desired, in_error, mut problems } = self.world(facts).1;
        // Of what is in error nobody knows whether all of it is declared.
        match problems.iter().any(Problem::is_error) {
            true => {
                let declared = desired.blocks.iter().chain(&in_error);
                let declared = declared.map(|(address, block)| (address.clone(), block.clone())).collect();
                problems.extend(desired.statements.problems(&declared));
            }
            false => {
                problems.extend(desired.statements.problems(&desired.blocks));
                problems.extend(desired.statements.not_declared(&desired.blocks));
            }
        }
        Evaluated { desired, in_error, problems: in_order(problems) }
    }

    fn world<'a>(&'a self, facts: Option<&'a BTreeMap<HostName, serde_json::Value>>) -> (expand::World<'a>, Evaluated) {
        let root = &self.modules[ROOT].declarations;
        let mut problems: Problems = self
            .modules
            .iter()
            .flat_map(|module| module.declarations.problems.iter().chain(&module.problems))
            .cloned()
            .collect();
        let scope = variables::NoNames { directory: &self.directory, environment: &self.environment };
        let variables: BTreeMap<_, Found> = variables::values(root, &self.given, &self.sources, &scope, &mut problems);
        let mut world = expand::World::new(&self.modules, &self.sources, &self.environment, facts, variables);
        world.problems = problems;
        world.is_torn = self.is_torn;
        world.origins = variables::origins(&self.given, &self.sources);
        world.run(&self.kinds)
    }
}
