//! What users of Terraform type out of habit and Larder does not have: what to do here instead. Nothing is run in its place.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// A word that means nothing here, and what to do instead.
#[derive(Debug, PartialEq, Eq)]
pub struct Habit {
    pub summary: String,
    pub cure: &'static str,
}

const COMMANDS: &[(&str, &str)] = &[
    ("taint", REMAKE),
    ("untaint", REMAKE),
    (
        "refresh",
        "Every plan asks the hosts. To let the state follow what was changed by hand: `larder apply -refresh-only`.",
    ),
    (
        "workspace",
        "One configuration has one state. For another one name it with `-state FILE`, or use a directory of its own and \
         `-chdir=DIR`; what differs between them goes into variables (`-var-file FILE`).",
    ),
    ("env", "One configuration has one state; for another one name it with `-state FILE`."),
    (
        "import",
        "What is on the hosts already is taken over by `larder apply` where it matches its block. To make sure of it, write \
         `import { to = KIND.NAME }`; there is no id. `larder discover HOST` writes the blocks of what it finds.",
    ),
    ("get", "`larder init` fetches the modules of the configuration; `larder init -upgrade` asks for them anew."),
    ("login", NO_SERVICE),
    ("logout", NO_SERVICE),
    ("cloud", NO_SERVICE),
    ("providers", "Larder has no providers: every kind is built in. docs/reference.md lists them."),
    ("metadata", "Larder has no providers: every kind is built in. docs/reference.md lists them."),
    ("modules", "`larder init` fetches modules; `.larder.lock.hcl` says which ones and at which commit."),
    (
        "test",
        "Try a configuration on throwaway hosts: `larder lab up`, then `larder -lab -state lab.json apply`. Conditions that \
         must hold stand in `check` blocks.",
    ),
    ("state pull", "The state is a file: read it, or print it with `larder show -json`."),
    ("state push", "The state is a file. To use another one, name it with `-state FILE`."),
    ("state replace-provider", "Larder has no providers: every kind is built in."),
];

const REMAKE: &str = "Larder never makes an object anew in place of another one, so nothing can be marked for it. To have an image made \
                      again, move its file away by hand and run `larder apply`.";
const NO_SERVICE: &str =
    "Larder speaks to no service: the state is a file (`-state FILE`), and hosts are reached by SSH with your keys.";
const ALWAYS_ASKED: &str = "Hosts are asked for every plan, because a plan is a proof; leave the option out. To plan only a part, use \
                            `-target ADDRESS` or `-exclude ADDRESS`.";
const NO_ID: &str = "Larder knows the lock by its file: `larder force-unlock` alone is enough.";
const OF_PLAN: &str = "`-out FILE` writes the plan to a file and `larder show FILE` reads one; `-target ADDRESS` plans a part of the \
                       configuration, and `-chdir DIR` works in another directory.";
const OF_DESTROY: &str = "`-target ADDRESS` takes a part of the configuration away; for a reviewed plan: `larder plan -destroy -out FILE`, \
                          `larder apply FILE`.";
const ALWAYS_LOCKED: &str =
    "Whatever writes the state locks it; leave the option out. To wait for the lock: `-lock-timeout 5m`.";
const LOCAL_STATE: &str = "The state is a file of this machine: `larder { state \"local\" { path = \"...\" } }`, or `-state FILE`. Nothing \
                           has to be initialized for it.";
const NO_COPY: &str = "The state is written in one step, and the one before stays beside it as a backup. Another one is named with \
                       `-state FILE`.";

/// The option, the command that it is about (empty for any), and the cure.
const OPTIONS: &[(&str, &str, &str)] = &[
    ("-refresh", "", ALWAYS_ASKED),
    ("-replace", "", REMAKE),
    ("-destroy", "apply", "`larder destroy` takes everything away; `larder plan -destroy` shows what that would be."),
    ("-lock", "", ALWAYS_LOCKED),
    ("-lock-timeout", "", "This command takes no lock that it could wait for; leave the option out."),
    ("-input", "", "This command asks nothing; leave the option out."),
    ("-backup", "", NO_COPY),
    ("-state-out", "", NO_COPY),
    ("-backend", "", LOCAL_STATE),
    ("-backend-config", "", LOCAL_STATE),
    ("-reconfigure", "", LOCAL_STATE),
    ("-migrate-state", "", LOCAL_STATE),
    ("-force-copy", "", LOCAL_STATE),
    ("-from-module", "init", "Copy the directory, or call it from a `module` block."),
    ("-get", "init", "`init` always fetches the modules that are missing; leave the option out."),
    ("-plugin-dir", "", "Larder has no plugins: every kind is built in. Leave the option out."),
    ("-lockfile", "", "`.larder.lock.hcl` is always obeyed; `larder init -upgrade` writes it anew."),
    ("-compact-warnings", "", "Warnings that say the same stand together already; leave the option out."),
    ("-generate-config-out", "", "`larder discover -out FILE HOST` writes a configuration of what lives on a host."),
    (
        "-force",
        "force-unlock",
        "No lock is taken from a process that lives. `larder force-unlock` clears what a dead one left.",
    ),
    ("-force", "", "Nothing is forced. To carry a plan out without a question: `-auto-approve`."),
    ("-dry-run", "", "`larder plan` shows what would change. A rename can be written as a `moved` block and planned."),
];

/// The habit behind what the command line library did not understand; `verb` is the command as far as it was.
pub fn habit(error: &clap::Error, verb: &str) -> Option<Habit> {
    let said = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = said(ContextKind::InvalidSubcommand)?;
            let whole = if verb == "state" { format!("state {word}") } else { word.to_owned() };
            let (_, cure) = COMMANDS.iter().find(|(name, _)| *name == whole)?;
            Some(Habit { summary: format!("Larder has no command `{whole}`"), cure })
        }
        ErrorKind::UnknownArgument => {
            let argument = said(ContextKind::InvalidArg)?;
            let Some(option) = argument.strip_prefix("--") else {
                let (summary, cure) = match verb {
                    "force-unlock" => ("`force-unlock` takes no id of a lock", NO_ID),
                    "plan" => ("`plan` reads no file and no address", OF_PLAN),
                    "destroy" => ("`destroy` reads no file and no address", OF_DESTROY),
                    _ => return None,
                };
                return Some(Habit { summary: summary.to_owned(), cure });
            };
            of_option(option.split('=').next().unwrap_or(option), verb)
        }
        // `-refresh=true` and `-lock=true` say what is so anyway.
        ErrorKind::InvalidValue => {
            let argument = said(ContextKind::InvalidArg)?;
            ["refresh", "lock"]
                .into_iter()
                .find(|option| argument.trim_start_matches('-').split(['=', '[', ' ']).next() == Some(option))
                .and_then(|option| of_option(option, verb))
        }
        _ => None,
    }
}

fn of_option(option: &str, verb: &str) -> Option<Habit> {
    let (_, _, cure) = OPTIONS
        .iter()
        .find(|(name, of, _)| name.strip_prefix('-') == Some(option) && (of.is_empty() || *of == verb))?;
    Some(Habit { summary: format!("Larder has no option `-{option}` here"), cure })
}

/// What a variable of the environment that Terraform obeys is called here.
pub fn of_environment(is_set: impl Fn(&str) -> bool) -> Option<&'static str> {
    (is_set("TF_LOG") && !is_set("LARDER_LOG"))
        .then_some("note: TF_LOG means nothing to Larder; LARDER_LOG=debug logs on standard error.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, verb, with_two_dashes};
    use clap::Parser;
    use std::ffi::OsString;

    fn of(line: &str) -> Option<Habit> {
        let arguments = with_two_dashes(line.split(' ').map(OsString::from));
        let error = Cli::try_parse_from(&arguments).err()?;
        habit(&error, &verb(&arguments))
    }

    #[test]
    fn habits_of_terraform_have_a_cure() {
        for (line, summary, cure) in [
            ("larder taint image.web", "command `taint`", "move its file away"),
            ("larder -chdir=x import image.web id", "command `import`", "import { to = KIND.NAME }"),
            ("larder -chdir x workspace new a", "command `workspace`", "-state FILE"),
            ("larder state pull", "command `state pull`", "show -json"),
            ("larder plan -refresh=false", "option `-refresh`", "-target"),
            ("larder apply -destroy", "option `-destroy`", "larder destroy"),
            ("larder apply -replace=image.web", "option `-replace`", "move its file away"),
            ("larder apply -lock=false", "option `-lock`", "-lock-timeout"),
            ("larder init -backend-config=x", "option `-backend-config`", "state \"local\""),
            ("larder status -lock-timeout=5s", "option `-lock-timeout`", "takes no lock"),
            ("larder force-unlock -force 1234", "option `-force`", "force-unlock"),
            ("larder force-unlock 1234", "no id of a lock", "force-unlock"),
            ("larder plan change.plan", "reads no file", "larder show FILE"),
            ("larder -chdir=x destroy image.web", "no address", "-target ADDRESS"),
        ] {
            let habit = of(line).unwrap_or_else(|| panic!("{line} has no hint"));
            assert!(habit.summary.contains(summary) && habit.cure.contains(cure), "{line}: {habit:?}");
        }
        for line in ["larder plna", "larder plan -no-such-option", "larder validate surplus", "larder plan -help"] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    #[test]
    fn what_means_nothing_here_and_harms_nobody_is_taken() {
        for line in [
            "larder plan -input=false -lock-timeout=5m",
            "larder plan -input=false -refresh=true -lock=true",
            "larder apply -refresh=true -input=false",
            "larder init -input=false",
        ] {
            let arguments = with_two_dashes(line.split(' ').map(OsString::from));
            if let Err(error) = Cli::try_parse_from(&arguments) {
                panic!("{line}: {error}");
            }
        }
    }
}
