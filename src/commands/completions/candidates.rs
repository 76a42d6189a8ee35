//! What could stand in place of the last word of a command line.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Arg, Command, CommandFactory as _};
use clap_complete::engine::{self, ArgValueCandidates, ArgValueCompleter, CompletionCandidate};

use crate::cli::{Cli, Variables, with_two_dashes};
use crate::config::{self, Configuration, VarSource};
use crate::kinds::{self, host};
use crate::model::hazard::Acceptance;
use crate::model::{Address, HazardCode};
use crate::state::{LocalState, State};
use crate::view::explain;

use super::super::workspace::inputs;

/// Something that could be typed, and what it means.
pub(super) struct Candidate {
    pub(super) text: String,
    pub(super) help: String,
}

/// All candidates; the first word is the program, the last one is being typed.
pub(super) fn of(words: &[OsString]) -> Vec<Candidate> {
    let Some((last, before)) = words.split_last().filter(|(_, before)| !before.is_empty()) else { return Vec::new() };
    let last = last.to_string_lossy();
    // Whether an option could stand here: not behind `--`, and not in the command of `lab ssh`.
    let probe = with_two_dashes(before.iter().cloned().chain([OsString::from("-option")]));
    let takes_options = probe.last().is_some_and(|word| word == "--option");
    let mut arguments = with_two_dashes(before.iter().cloned());
    let has_one_dash = takes_options && last.starts_with('-') && !last.starts_with("--");
    arguments.push(if has_one_dash { format!("-{last}").into() } else { OsString::from(last.as_ref()) });

    // What is being typed counts for nothing yet.
    let known = Arc::new(Known::from(&arguments[..arguments.len() - 1]));
    let mut command = with_values(Cli::command(), "", &known);
    let index = arguments.len() - 1;
    let directory = std::env::current_dir().ok();
    let found = engine::complete(&mut command, arguments, index, directory.as_deref()).unwrap_or_default();
    let candidates = found.into_iter().map(|candidate| {
        let text = candidate.get_value().to_string_lossy().into_owned();
        // As the documentation writes options, unless somebody has begun otherwise.
        let text = match text.strip_prefix("--") {
            Some(name) if !last.starts_with("--") && !name.is_empty() => format!("-{name}"),
            _ => text,
        };
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        Candidate { text, help: help.lines().next().unwrap_or_default().replace('\t', " ") }
    });
    // All options would bury what else there is, and are one dash away.
    candidates
        .filter(|candidate| !candidate.text.chars().any(char::is_control))
        .filter(|candidate| !last.is_empty() || !candidate.text.starts_with('-'))
        .collect()
}

/// The command with what is known of the values of its arguments, by how these are called in the help.
fn with_values(command: Command, path: &str, known: &Arc<Known>) -> Command {
    let command = command.mut_args(|arg| with_value(arg, path, known));
    command.mut_subcommands(|inner| {
        let path = format!("{path} {}", inner.get_name());
        with_values(inner, path.trim_start(), known)
    })
}

fn with_value(arg: Arg, path: &str, known: &Arc<Known>) -> Arg {
    let called = match arg.get_value_names() {
        Some([name, ..]) => name.to_string(),
        _ => arg.get_id().as_str().to_uppercase(),
    };
    let known = known.clone();
    let list = match (called.as_str(), path) {
        ("ADDRESS" | "PREFIX", path) if path.starts_with("state ") => Known::recorded,
        ("FROM", "state mv") => Known::recorded_selectors,
        ("ADDRESS", _) | ("TO", "state mv") => Known::selectors,
        ("CODE", "explain") => Known::codes,
        ("NAME", "output") => Known::outputs,
        ("NAME=VALUE", _) => Known::variables,
        ("HOST", _) => Known::hosts,
        ("CODE@ADDRESS", _) => {
            return arg.add(ArgValueCompleter::new(move |typed: &OsStr| accepted(&known, &typed.to_string_lossy())));
        }
        _ => return arg,
    };
    arg.add(ArgValueCandidates::new(move || list(&known).into_iter().map(CompletionCandidate::new).collect()))
}

/// An instance, its block, and each module that it is in, with and without the last key.
fn selectors(address: &Address) -> BTreeSet<String> {
    let mut all = BTreeSet::from([address.to_string(), address.block().to_string()]);
    let mut module = String::new();
    for step in address.module.iter() {
        if !module.is_empty() {
            module.push('.');
        }
        all.insert(format!("{module}module.{}", step.name));
        module.push_str(&step.to_string());
        all.insert(module.clone());
    }
    all
}

/// First the hazards that can be accepted, then where.
fn accepted(known: &Known, typed: &str) -> Vec<CompletionCandidate> {
    match typed.split_once('@') {
        None => HazardCode::all()
            .filter(|code| code.acceptance() == Acceptance::Possible && code.as_str().starts_with(typed))
            .map(|code| CompletionCandidate::new(format!("{code}@")).help(Some(code.meaning().into())))
            .collect(),
        Some((code, _)) => {
            let all = known.addresses().into_iter().map(|address| format!("{code}@{address}"));
            all.filter(|text| text.starts_with(typed)).map(CompletionCandidate::new).collect()
        }
    }
}

/// Where names come from: the configuration and the state that the command would work with. Each is read when it is asked
/// for, and what cannot be read has no names.
struct Known {
    directory: PathBuf,
    state: Option<PathBuf>,
    variables: Variables,
}

impl From<&[OsString]> for Known {
    /// From the options on the command line, with two dashes.
    fn from(arguments: &[OsString]) -> Self {
        let mut known = Known { directory: ".".into(), state: None, variables: Variables::default() };
        let mut rest = arguments.iter().map(|argument| argument.to_string_lossy());
        while let Some(argument) = rest.next().filter(|argument| argument != "--") {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument.into_owned(), None),
            };
            if !["--chdir", "--state", "--var", "--var-file"].contains(&name.as_str()) {
                continue;
            }
            let Some(value) = value.or_else(|| rest.next().map(String::from)) else { break };
            match name.as_str() {
                "--chdir" => known.directory = value.into(),
                "--state" => known.state = Some(value.into()),
                "--var" => known.variables.given.push(VarSource::Text(value)),
                _ => known.variables.given.push(VarSource::File(value.into())),
            }
        }
        known
    }
}

impl Known {
    fn configuration(&self) -> Option<Configuration> {
        config::load(&self.directory, &inputs(&self.variables), kinds::table()).configuration
    }

    /// The configuration if it can be evaluated without starting a program: a key of the keyboard must not ask for a
    /// password.
    fn evaluated(&self) -> Option<config::Desired> {
        let configuration = self.configuration()?;
        let is_quiet = configuration.sources().values().all(|text| !text.contains("secret_command"));
        is_quiet.then(|| configuration.evaluate(None).desired)
    }

    fn stored(&self, desired: Option<&config::Desired>) -> State {
        let path = self.state.clone().unwrap_or_else(|| {
            let settings = desired.map(|desired| desired.settings.clone()).unwrap_or_default();
            self.directory.join(settings.state_path)
        });
        LocalState::new(path).read().unwrap_or_default()
    }

    /// The addresses in the state.
    fn recorded(&self) -> BTreeSet<String> {
        self.stored(self.evaluated().as_ref()).resources.keys().map(Address::to_string).collect()
    }

    /// The addresses in the configuration and in the state.
    fn addresses(&self) -> BTreeSet<String> {
        let desired = self.evaluated();
        let state = self.stored(desired.as_ref());
        let wanted = desired.iter().flat_map(|desired| desired.blocks.keys());
        wanted.chain(state.resources.keys()).map(Address::to_string).collect()
    }

    /// The addresses of the state, with those of blocks and modules that hold several of them.
    fn recorded_selectors(&self) -> BTreeSet<String> {
        let state = self.stored(self.evaluated().as_ref());
        state.resources.keys().flat_map(selectors).collect()
    }

    fn selectors(&self) -> BTreeSet<String> {
        let desired = self.evaluated();
        let state = self.stored(desired.as_ref());
        let wanted = desired.iter().flat_map(|desired| desired.blocks.keys());
        wanted.chain(state.resources.keys()).flat_map(selectors).collect()
    }

    fn codes(&self) -> BTreeSet<String> {
        explain::entries().iter().map(|entry| entry.code.clone()).collect()
    }

    fn outputs(&self) -> BTreeSet<String> {
        self.stored(self.evaluated().as_ref()).outputs.into_keys().collect()
    }

    fn hosts(&self) -> BTreeSet<String> {
        let desired = self.evaluated();
        let blocks = desired.iter().flat_map(|desired| desired.blocks.keys());
        blocks
            .filter(|address| &*address.kind == host::NAME)
            .map(|address| host::name_of(address).to_string())
            .collect()
    }

    fn variables(&self) -> BTreeSet<String> {
        let configuration = self.configuration();
        configuration.iter().flat_map(Configuration::variables).map(|name| format!("{name}=")).collect()
    }
}
