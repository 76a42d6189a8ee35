//! The modules of a configuration: the root, and what `module` blocks call, each read from its directory. What comes from
//! elsewhere was fetched before; nothing here fetches anything.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::declare::{self, Declarations};
use super::eval::sentence;
use super::module_lock::{self, LOCK_FILE, Lock};
use super::module_source::{self, GitSource, ModuleSource};
use super::parse;
use super::source::{self, Source, Sources, Span};
use super::syntax::{Block, Body};
use super::value::{Fields, Value};
use crate::kinds::Kind;
use crate::model::{Problem, Problems};

/// The number of the root module.
pub(super) const ROOT: usize = 0;

/// The code of the problem that a directory holds no configuration.
pub const NO_CONFIGURATION: &str = "no-configuration";

/// How deep modules may call modules.
const DEEPEST: usize = 32;

/// The most `module` blocks, those of called modules counted at each call.
const MOST: usize = 10_000;

/// A module as it is written: once for each `module` block that calls it.
pub(super) struct Module {
    /// `module.a.module.b`, without keys; empty for the root.
    pub address: String,
    pub directory: PathBuf,
    /// The same, from the root; empty for the root.
    pub from_root: String,
    /// What relative paths of functions may not leave: the directory of the whole configuration, or of the whole package
    /// that the module was fetched with.
    pub border: PathBuf,
    /// What `path` means in it.
    pub path: Fields,
    pub declarations: Arc<Declarations>,
    /// The modules that its `module` blocks call; those that cannot be read are missing, and among the problems.
    pub children: BTreeMap<Arc<str>, usize>,
    pub problems: Problems,
    /// It is of a package, which was fetched.
    pub is_fetched: bool,
}

/// Reads the root and everything that it calls; `further` is the name and the text of one more file of the root. `None` if the
/// directory of the root cannot be read.
pub(super) fn load(
    directory: &Path,
    kinds: &'static [&'static dyn Kind],
    further: Option<(&str, &str)>,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Option<Modules> {
    let names = match file_names(directory) {
        Ok(names) => names,
        Err(error) => {
            let summary = format!("The directory {} cannot be read", directory.display());
            let detail = format!("{}. Name another one with `-chdir`.", sentence(&error.to_string()));
            problems.push(Problem::error("unreadable-directory", summary, detail));
            return None;
        }
    };
    if further.is_none() && !names.iter().any(|name| is_configuration(name)) {
        let summary = format!("There is no configuration in {}", directory.display());
        let unread = if has_foreign(directory) { " Files `*.tf` are not read." } else { "" };
        let detail = format!(
            "A configuration is one or more files `*.hcl`.{unread} Let `larder init` write a first one here, or name another \
             directory with `-chdir`."
        );
        problems.push(Problem::error(NO_CONFIGURATION, summary, detail));
    }
    let mut loader = Loader {
        root: directory,
        kinds,
        sources,
        problems,
        read: BTreeMap::new(),
        modules: Vec::new(),
        packages: BTreeMap::new(),
        lock: None,
    };
    let declarations = loader.declarations(directory, "", further);
    let (directory, border) = (directory.to_path_buf(), directory.to_path_buf());
    let root = FoundModule { directory: directory.clone(), border, shown: String::new() };
    loader.add(String::new(), root, declarations);
    loader.children(ROOT, &mut vec![canonical(&directory)]);
    Some(Modules { modules: loader.modules, packages: loader.packages.into_keys().collect() })
}

/// What was read.
pub(super) struct Modules {
    pub modules: Vec<Module>,
    /// The packages that `module` blocks name, whether they are there or not.
    pub packages: Vec<GitSource>,
}

/// Whether a file of this name in a directory is read. Hidden files and what editors leave behind are not.
pub fn is_file_name(name: &str) -> bool {
    name.ends_with(".hcl") && !name.starts_with(['.', '#'])
}

/// The names of the `.hcl` files of a directory, in order.
pub(super) fn file_names(directory: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if is_file_name(&name) && !entry.path().is_dir() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a directory holds a configuration of Terraform.
fn has_foreign(directory: &Path) -> bool {
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| Path::new(&name).extension().is_some_and(|extension| extension == "tf"))
}

/// Whether a file holds configuration, rather than values of variables or tests.
fn is_configuration(name: &str) -> bool {
    !name.ends_with(".vars.hcl") && !name.ends_with(".test.hcl")
}

/// The way to a directory from the top without links, as far as it is there.
fn canonical(directory: &Path) -> PathBuf {
    if let Ok(found) = directory.canonicalize() {
        return found;
    }
    let whole = std::path::absolute(directory).unwrap_or_else(|_| directory.to_path_buf());
    match (whole.parent(), whole.file_name()) {
        (Some(parent), Some(name)) => canonical(parent).join(name),
        _ => whole,
    }
}

struct Loader<'a> {
    root: &'a Path,
    kinds: &'static [&'static dyn Kind],
    sources: &'a mut Sources,
    problems: &'a mut Problems,
    /// By directory: what is called twice is read once.
    read: BTreeMap<PathBuf, Arc<Declarations>>,
    modules: Vec<Module>,
    /// What is known of each package: its directory, or what is wrong with it.
    packages: BTreeMap<GitSource, Result<PathBuf, (&'static str, String, String)>>,
    /// What the lock file says, once somebody asked.
    lock: Option<Lock>,
}

impl Loader<'_> {
    fn add(&mut self, address: String, found: FoundModule, declarations: Arc<Declarations>) -> usize {
        let FoundModule { directory, border, shown } = found;
        let here = self.root.canonicalize().unwrap_or_else(|_| self.root.to_path_buf());
        // Relative paths of functions start from the module, so that is what these are relative to.
        let up = match self.modules.is_empty() {
            true => ".".to_owned(),
            false => relative(&canonical(&directory), &here).unwrap_or_else(|| here.to_string_lossy().into_owned()),
        };
        let path = Fields::from([
            (Arc::from("module"), Value::text(".")),
            (Arc::from("root"), Value::text(&up)),
            (Arc::from("cwd"), Value::text(&here.to_string_lossy())),
        ]);
        let packages = canonical(&self.root.join(module_lock::PACKAGES));
        let is_fetched = canonical(&border).starts_with(packages);
        self.modules.push(Module {
            address,
            directory,
            from_root: shown,
            border,
            path,
            declarations,
            children: BTreeMap::new(),
            problems: Vec::new(),
            is_fetched,
        });
        self.modules.len() - 1
    }

    /// What the files of a directory declare. `shown` is the directory as people see it, with a slash at its end.
    fn declarations(&mut self, directory: &Path, shown: &str, further: Option<(&str, &str)>) -> Arc<Declarations> {
        let key = canonical(directory);
        if let Some(known) = self.read.get(&key) {
            return known.clone();
        }
        let mut bodies = Vec::new();
        // What cannot be listed was reported before.
        for name in file_names(directory).unwrap_or_default().into_iter().filter(|name| is_configuration(name)) {
            let shown = format!("{shown}{name}");
            let bytes = match source::read_file(&directory.join(&name)) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.problems.push(source::unreadable(&shown, &error, "Check what it is, and its permissions"));
                    bodies.push(Body { has_gaps: true, ..Body::default() });
                    continue;
                }
            };
            let (source, problem) = source::decode(&shown, bytes);
            self.problems.extend(problem);
            let file = self.sources.add(source);
            let (body, mut found) = parse::file(self.sources, file);
            self.problems.append(&mut found);
            bodies.push(body);
        }
        if let Some((name, text)) = further {
            let file = self.sources.add(Source::new(name.to_owned(), text.to_owned()));
            let (body, mut found) = parse::file(self.sources, file);
            self.problems.append(&mut found);
            bodies.push(body);
        }
        let declarations = Arc::new(declare::declare(self.sources, bodies, self.kinds));
        self.read.insert(key, declarations.clone());
        declarations
    }

    /// Reads what a module calls. `way` are the directories that led here.
    fn children(&mut self, module: usize, way: &mut Vec<PathBuf>) {
        let declarations = self.modules[module].declarations.clone();
        for (name, block) in &declarations.calls {
            let Some(found) = self.find(module, block, way) else { continue };
            if self.modules.len() >= MOST {
                let detail = format!("A configuration may have {MOST} `module` blocks.");
                self.report(module, block.header, "too-complex", "There are too many modules", detail);
                return;
            }
            let declarations = self.declarations(&found.directory, &found.shown, None);
            let parent = &self.modules[module].address;
            let address = match parent.is_empty() {
                true => format!("module.{name}"),
                false => format!("{parent}.module.{name}"),
            };
            way.push(canonical(&found.directory));
            let child = self.add(address, found, declarations);
            self.modules[module].children.insert(name.clone(), child);
            self.children(child, way);
            way.pop();
        }
    }

    fn report(&mut self, module: usize, span: Span, code: &str, summary: impl Into<String>, detail: impl Into<String>) {
        let problem = Problem::error(code, summary, detail).at(self.sources.place(span).as_ref());
        self.modules[module].problems.push(problem);
    }

    /// Where the module of a block is.
    fn find(&mut self, module: usize, block: &Block, way: &[PathBuf]) -> Option<FoundModule> {
        let Some(attribute) = block.body.attribute("source").filter(|attribute| !attribute.value.is_broken()) else {
            if !block.body.lacks("source", &["source"]) {
                return None;
            }
            let detail = "Name the directory of the module: `source = \"./modules/pool\"`.";
            self.report(module, block.header, "missing-attribute", "`source` is missing", detail);
            return None;
        };
        let span = attribute.value.span;
        let Some(text) = attribute.value.literal_text().cloned() else {
            let detail =
                "Which files there are to read must be known before anything is evaluated: write the text out.";
            self.report(module, span, "invalid-module-source", "`source` is not a plain text", detail);
            return None;
        };
        let source = match module_source::parse(&text) {
            Ok(source) => source,
            Err(detail) => {
                self.report(module, span, "invalid-module-source", "This is no source of a module", detail);
                return None;
            }
        };
        let (directory, border) = match source {
            ModuleSource::Local(path) => {
                let from = &self.modules[module];
                let directory = clean(&from.directory.join(path));
                match canonical(&directory).starts_with(canonical(&from.border)) {
                    true => (directory, from.border.clone()),
                    false if from.is_fetched => {
                        let detail = "It leads out of the package that this module came with. Name it as a git source.";
                        self.report(module, span, "invalid-module-source", "This is no source of a module", detail);
                        return None;
                    }
                    // A module beside the configuration is its own border.
                    false => (directory.clone(), directory),
                }
            }
            ModuleSource::Git(git, directory) => match self.package(&git) {
                Ok(package) if !canonical(&package.join(&directory)).starts_with(canonical(&package)) => {
                    let detail = format!("`{directory}` leads out of the package, through a link.");
                    self.report(module, span, "invalid-module-source", "This is no source of a module", detail);
                    return None;
                }
                Ok(package) => (package.join(directory), package),
                Err((code, summary, detail)) => {
                    self.report(module, span, code, summary, detail);
                    return None;
                }
            },
        };
        let shown = relative(&canonical(self.root), &canonical(&directory));
        let shown = shown.unwrap_or_else(|| directory.to_string_lossy().into_owned());
        match file_names(&directory) {
            Ok(names) if names.iter().any(|name| is_configuration(name)) => {}
            Ok(_) => {
                let detail = format!("{shown} holds no files `*.hcl`.");
                self.report(module, span, "no-configuration", "There is no module in this directory", detail);
                return None;
            }
            Err(error) => {
                let detail = match error.kind() {
                    std::io::ErrorKind::NotFound => {
                        format!("There is no directory {shown}. `source` starts from the directory of this file.")
                    }
                    _ => format!("{shown}: {error}. Check its permissions."),
                };
                self.report(module, span, "unreadable-directory", "The directory of the module cannot be read", detail);
                return None;
            }
        }
        if way.contains(&canonical(&directory)) {
            let detail = format!("{shown} is what this block is in, or calls what it is in. Break the circle.");
            self.report(module, span, "cycle", "This module calls itself", detail);
            return None;
        }
        if way.len() > DEEPEST {
            let detail = format!("Modules may call modules {DEEPEST} levels deep.");
            self.report(module, span, "too-complex", "Modules are nested too deeply", detail);
            return None;
        }
        Some(FoundModule { directory, border, shown: format!("{shown}/") })
    }

    /// The directory of a package, if it holds what the lock file says; else the code, the summary and the cure.
    fn package(&mut self, source: &GitSource) -> Result<PathBuf, (&'static str, String, String)> {
        if let Some(known) = self.packages.get(source) {
            return known.clone();
        }
        let lock = match &self.lock {
            Some(lock) => lock,
            None => match module_lock::read_lock(self.root) {
                Ok(lock) => self.lock.insert(lock),
                Err(mut found) => {
                    self.problems.append(&mut found);
                    self.lock.insert(Lock::new())
                }
            },
        };
        let directory = module_lock::package_directory(self.root, source);
        let found = match lock.get(&source.to_string()) {
            Some(locked) if directory.is_dir() => match module_lock::checksum(&directory) {
                Ok(checksum) if checksum == locked.checksum => Ok(directory),
                other => {
                    let why = other.map_or_else(|why| why, |_| "some of them were changed".to_owned());
                    let detail = format!(
                        "The files in {} are not those that {LOCK_FILE} names: {why}. Remove that directory and run \
                         `larder init`, which fetches them again.",
                        directory.display()
                    );
                    Err(("module-changed", format!("{source} is not what it was"), detail))
                }
            },
            _ => {
                let detail = "Run `larder init`: it fetches what is missing and writes down what it was.".to_owned();
                Err(("module-not-installed", format!("{source} is not fetched yet"), detail))
            }
        };
        self.packages.insert(source.clone(), found.clone());
        found
    }
}

struct FoundModule {
    directory: PathBuf,
    border: PathBuf,
    shown: String,
}

/// A path without `.` and with `..` taken back, where there is something to take back.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::Normal(_))) => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    match clean.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => clean,
    }
}

/// The way from one absolute directory to another, which are free of links.
fn relative(from: &Path, to: &Path) -> Option<String> {
    let mut from = from.components().peekable();
    let mut to = to.components().peekable();
    while let (Some(a), Some(b)) = (from.peek(), to.peek()) {
        if a != b {
            break;
        }
        from.next();
        to.next();
    }
    let up = from.map(|_| "..".to_owned());
    let down: Option<Vec<String>> = to.map(|part| part.as_os_str().to_str().map(str::to_owned)).collect();
    let parts: Vec<String> = up.chain(down?).collect();
    Some(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}
