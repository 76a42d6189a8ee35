//! `larder init`: writes a first configuration where there is none, one that plans as it stands, and never replaces a file.
//! Where there is one, fetches its modules.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::cli::Global;
use crate::config::{self, Inputs, LOCK_FILE};
use crate::install::{self, Installed};
use crate::kinds;
use crate::model::{Problem, escape_line};

use super::terminal::Terminal;
use super::workspace::directory;
use super::{Exit, Failure, Outcome};

/// A file of the scaffold.
struct Template {
    path: &'static str,
    mode: u32,
    text: &'static str,
}

/// The configuration itself comes last: an init that was cut off before it is finished by another one.
const SCAFFOLD: [Template; 5] = [
    Template { path: GITIGNORE, mode: 0o644, text: include_str!("init/gitignore") },
    Template { path: "README.md", mode: 0o644, text: include_str!("init/README.md") },
    Template { path: "ci/check", mode: 0o755, text: include_str!("init/check") },
    Template { path: "variables.hcl", mode: 0o644, text: include_str!("init/variables.hcl") },
    Template { path: "main.hcl", mode: 0o644, text: include_str!("init/main.hcl") },
];
const GITIGNORE: &str = ".gitignore";

pub(super) fn run(global: &Global, upgrade: bool, terminal: &Terminal) -> Outcome {
    let directory = directory(global);
    let loaded = config::load(&directory, &Inputs::default(), kinds::table());
    let is_empty = loaded.problems.iter().any(|problem| problem.code == config::NO_CONFIGURATION);
    match (is_empty, loaded.sources.is_empty() && loaded.configuration.is_none()) {
        (true, _) => scaffold(&directory, terminal),
        (false, true) => Err(Failure { exit: Exit::Error, problems: loaded.problems, sources: loaded.sources }),
        (false, false) => modules(&directory, upgrade, loaded.sources, terminal),
    }
}

/// Fetches what the configuration that is there names in other places.
fn modules(directory: &Path, upgrade: bool, sources: BTreeMap<String, String>, terminal: &Terminal) -> Outcome {
    let names: Vec<_> = sources.keys().map(|name| escape_line(name)).collect();
    let installed = install::install(directory, kinds::table(), upgrade).map_err(|problems| Failure {
        exit: Exit::Error,
        problems,
        sources,
    })?;
    if installed.is_empty() {
        terminal.say(&format!("There is a configuration already: {}. Nothing was written.", names.join(", ")));
    }
    let mut is_new = false;
    for (source, what) in &installed {
        let source = escape_line(&source.to_string());
        is_new |= matches!(what, Installed::Locked { .. } | Installed::Moved { .. });
        terminal.say(&match what {
            Installed::Unchanged => format!("{source} is there."),
            Installed::Fetched => format!("{source} was fetched, and is what {LOCK_FILE} says."),
            Installed::Locked { commit } => format!("{source} was fetched: commit {commit}."),
            Installed::Moved { from, to } => format!("{source} was fetched: commit {to} instead of {from}."),
        });
    }
    if is_new {
        terminal.say(&format!("{LOCK_FILE} says what was fetched: keep it in version control."));
    }
    Ok(Exit::Done)
}

fn scaffold(directory: &Path, terminal: &Terminal) -> Outcome {
    let (mut written, mut left) = (Vec::new(), Vec::new());
    for template in &SCAFFOLD {
        match write(directory, template).map_err(|error| unwritable(template, &error))? {
            true => written.push(template.path),
            false => left.push(template.path),
        }
    }
    terminal.say(&format!("Wrote {}.", written.join(", ")));
    if !left.is_empty() {
        terminal.say(&format!("Left as it was: {}.", left.join(", ")));
    }
    if left.contains(&GITIGNORE) {
        terminal
            .say("Let git ignore /state/, /.larder/, *.plan and *.auto.vars.hcl: they hold what is not for everybody.");
    }
    let sudo = if rustix::process::geteuid().is_root() { "" } else { "sudo " };
    terminal.say(&format!(
        "\nIt describes a directory on this machine, and nothing is changed before `larder apply`. Type next:\n\n    \
         larder validate\n    {sudo}larder plan"
    ));
    Ok(Exit::Done)
}

/// Writes the file unless something is there; whether it was written. A link that leads nowhere is something.
fn write(directory: &Path, template: &Template) -> std::io::Result<bool> {
    let path = directory.join(template.path);
    if let Some(parent) = path.parent().filter(|parent| *parent != directory) {
        match fs::create_dir(parent) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(template.mode).open(&path);
    match file {
        Ok(mut file) => {
            file.write_all(template.text.as_bytes())?;
            file.sync_all()?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn unwritable(template: &Template, error: &std::io::Error) -> Problem {
    let detail = format!("{error}. Make room for it or take another directory; what was written before it stays.");
    Problem::error("unwritable-file", format!("{} cannot be written", template.path), detail)
}
