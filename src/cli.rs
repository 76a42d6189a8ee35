//! The words of the command line. Options are written as Terraform's users know them, with one dash or two. No behaviour.

mod dashes;
mod habits;
pub mod manual;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Arg, ArgAction, Args, FromArgMatches, Parser, Subcommand, ValueHint};

use crate::config::VarSource;

pub use dashes::with_one_dash;
pub use habits::{Habit, habit, of_environment};

/// Plan and apply for virtualization storage.
#[derive(Debug, Parser)]
#[command(
    name = "larder",
    version = version(),
    propagate_version = true,
    disable_help_flag = true,
    disable_version_flag = true,
    disable_help_subcommand = false,
    max_term_width = 100
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// The version and the platform, as `version` prints them.
pub fn version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!("{}\non {}", env!("CARGO_PKG_VERSION"), platform()));
    &TEXT
}

/// What this program was built for, in the words of Terraform's users: `linux_amd64`.
pub fn platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    };
    format!("{}_{architecture}", std::env::consts::OS)
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Work in this directory instead of the current one
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub chdir: Option<PathBuf>,
    /// Connect to the container hosts of `larder lab up` instead of the real addresses
    #[arg(long, global = true)]
    pub lab: bool,
    /// No colours (also with NO_COLOR set, and when output is piped)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// The state file, instead of the one that the configuration names
    #[arg(long, global = true, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Print help
    #[arg(long, short_alias = 'h', global = true, action = ArgAction::Help)]
    help: Option<bool>,
    /// Print the version
    #[arg(long, short_aliases = ['V', 'v'], global = true, action = ArgAction::Version)]
    version: Option<bool>,
}

/// Values of variables, in the order in which `-var` and `-var-file` stand: the last one counts.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    pub given: Vec<VarSource>,
}

impl Args for Variables {
    fn augment_args(command: clap::Command) -> clap::Command {
        let var = Arg::new("var")
            .long("var")
            .value_name("NAME=VALUE")
            .help("The value of a variable; may stand several times")
            .action(ArgAction::Append);
        let file = Arg::new("var_file")
            .long("var-file")
            .value_name("FILE")
            .help("A file with values of variables; may stand several times")
            .value_hint(ValueHint::FilePath)
            .value_parser(clap::value_parser!(PathBuf))
            .action(ArgAction::Append);
        command.arg(var).arg(file)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Variables {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let places = |name| matches.indices_of(name).into_iter().flatten();
        let texts = matches.get_many::<String>("var").into_iter().flatten().cloned().map(VarSource::Text);
        let files = matches.get_many::<PathBuf>("var_file").into_iter().flatten().cloned().map(VarSource::File);
        let mut given: Vec<_> = places("var").zip(texts).chain(places("var_file").zip(files)).collect();
        given.sort_by_key(|(place, _)| *place);
        Ok(Variables { given: given.into_iter().map(|(_, source)| source).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[derive(Debug, Clone, Args, Default)]
pub struct Planning {
    #[command(flatten)]
    pub variables: Variables,
    /// How many hosts work at the same time [default: what the configuration says, else 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub parallelism: Option<u16>,
    /// Accept a hazard at a resource; may stand several times
    #[arg(long, value_name = "CODE@ADDRESS", action = ArgAction::Append)]
    pub accept: Vec<String>,
    /// Plan only this resource, block or module, and what it needs; may stand several times
    #[arg(long, value_name = "ADDRESS", action = ArgAction::Append, conflicts_with = "exclude")]
    pub target: Vec<String>,
    /// Leave out this resource, block or module, and what depends on it; may stand several times
    #[arg(long, value_name = "ADDRESS", action = ArgAction::Append)]
    pub exclude: Vec<String>,
    /// Change nothing on hosts; only let the state follow them
    #[arg(long)]
    pub refresh_only: bool,
    /// Show each step with its exact command, guards and inverse
    #[arg(long)]
    pub verbose: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub taken: Taken,
}

#[derive(Debug, Clone, Args)]
pub struct Locking {
    /// How long to wait for the lock of the state
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub lock_timeout: std::time::Duration,
}

#[derive(Debug, Clone, Args)]
pub struct Approval {
    /// Do not ask before changing anything
    #[arg(long)]
    pub auto_approve: bool,
    /// Whether to ask for approval on the terminal
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = ArgAction::Set)]
    pub input: bool,
}

#[derive(Debug, Clone, Args)]
pub struct Formatting {
    /// Files, directories, or `-` for standard input to standard output [default: the working directory]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Write nothing; exit with 2 if a file is not in the canonical layout
    #[arg(long)]
    pub check: bool,
    /// Show what changes
    #[arg(long)]
    pub diff: bool,
    /// Also the directories below, but not hidden ones
    #[arg(long)]
    pub recursive: bool,
    /// Whether to print the names of files that change
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = ArgAction::Set)]
    pub list: bool,
    /// Whether to write the files
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = ArgAction::Set)]
    pub write: bool,
}

/// What `help console` says.
const CONSOLE: &str = "\
No host is asked, so what depends on facts of hosts is unknown.

On a terminal, `exit` or Ctrl-D leaves and Ctrl-C takes back the line; what was typed is remembered in memory only. Otherwise one \
expression a line is read from standard input; open brackets and heredocs go on in the next line. An expression that is wrong \
does not end the run, but makes its exit code 1.

With -json, each line is an expression, or a JSON string that holds one. A line that is a JSON string is always read as one: \
send \"\\\"a\\\"\" for the text a. Each is answered by one line: {\"value\", \"type\"}, with \"sensitive\" or \"unknown\" where that \
hides the value or parts of it, or {\"error\", \"diagnostics\"}.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first configuration into an empty directory; fetch the modules of one that is there
    Init {
        /// Ask for each revision of a module again, whatever the lock file says
        #[arg(long)]
        upgrade: bool,
        #[command(flatten)]
        unasked: Unasked,
    },
    /// Check the configuration without asking any host
    Validate {
        #[command(flatten)]
        variables: Variables,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Rewrite configuration files in the canonical layout
    Fmt(Formatting),
    /// Show what would change; write nothing to any host
    Plan {
        #[command(flatten)]
        planning: Planning,
        /// Write the plan to a file that `apply` takes
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Exit with 2 when there are changes
        #[arg(long)]
        detailed_exitcode: bool,
        /// Plan to take everything away
        #[arg(long)]
        destroy: bool,
        #[command(flatten)]
        unasked: Unasked,
        /// A plan takes no lock, so there is nothing to wait for.
        #[arg(long, hide = true, value_parser = duration)]
        lock_timeout: Option<std::time::Duration>,
    },
    /// Make it so: plan, ask, carry out, verify
    Apply {
        #[command(flatten)]
        planning: Planning,
        #[command(flatten)]
        locking: Locking,
        #[command(flatten)]
        approval: Approval,
        /// A plan file: it is carried out as it was reviewed
        #[arg(value_name = "PLAN")]
        plan: Option<PathBuf>,
    },
    /// Unmount and forget everything; images stay, and mount points that Larder made are removed if they are empty
    Destroy {
        #[command(flatten)]
        planning: Planning,
        #[command(flatten)]
        locking: Locking,
        #[command(flatten)]
        approval: Approval,
    },
    /// Show a plan file, or the state
    Show {
        /// A plan file; without it, the state
        #[arg(value_name = "PLAN")]
        plan: Option<PathBuf>,
        /// Show each step with its exact command, guards and inverse
        #[arg(long)]
        verbose: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a configuration of what lives on hosts; read them only
    Discover {
        /// The name of a host block, or `[user@]address[:port]` or `local` for a host that has none yet
        #[arg(value_name = "HOST", required = true)]
        hosts: Vec<String>,
        /// Write it to this file, which must not exist, instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// A directory that shall be a volume although nothing is mounted there; may stand several times
        #[arg(long, value_name = "DIR", action = ArgAction::Append)]
        path: Vec<String>,
        #[command(flatten)]
        variables: Variables,
    },
    /// Show the volumes, images and hosts as they are now
    Status {
        #[command(flatten)]
        variables: Variables,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Look at the state
    #[command(subcommand)]
    State(StateCommand),
    /// Print output values, as the last apply left them
    Output {
        /// Only this one
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Print a text as it is, without quotes
        #[arg(long)]
        raw: bool,
    },
    /// Say what the code of an error, a warning or a hazard means, and how to mend it
    Explain {
        /// The code as it stands in the message; without it, all codes are listed
        code: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a graph of the resources, or of the steps of a plan
    Graph {
        #[command(flatten)]
        variables: Variables,
        /// The language of the graph
        #[arg(long, value_name = "FORMAT", default_value = "dot", value_parser = ["dot", "mermaid"])]
        format: String,
        /// What to draw: `plan` asks the hosts, as the command of that name does [default: resources; with -plan: plan]
        #[arg(long = "type", value_name = "TYPE", value_parser = ["resources", "plan"])]
        kind: Option<String>,
        /// Draw what is in this plan file; asks no host
        #[arg(long, value_name = "FILE", conflicts_with_all = ["var", "var_file", "destroy", "target", "exclude"])]
        plan: Option<PathBuf>,
        /// With -type=plan: the plan to take everything away
        #[arg(long)]
        destroy: bool,
        /// With -type=plan: only this resource, block or module, and what it needs; may stand several times
        #[arg(long, value_name = "ADDRESS", action = ArgAction::Append, conflicts_with = "exclude")]
        target: Vec<String>,
        /// With -type=plan: without this resource, block or module, and what depends on it; may stand several times
        #[arg(long, value_name = "ADDRESS", action = ArgAction::Append)]
        exclude: Vec<String>,
    },
    /// Evaluate expressions with the names of the configuration
    #[command(after_help = CONSOLE)]
    Console {
        #[command(flatten)]
        variables: Variables,
        /// Print an object of JSON for each line that is read
        #[arg(long)]
        json: bool,
    },
    /// Start, list, enter and stop throwaway container hosts
    #[command(subcommand)]
    Lab(LabCommand),
    /// Say who holds the lock of the state; if nobody does, clear what a dead holder left. Never takes it from a living one
    ForceUnlock,
    /// Print a script that completes commands, options, addresses and names in a shell
    Completions {
        #[arg(value_parser = ["bash", "zsh", "fish", "elvish", "powershell"])]
        shell: String,
    },
    /// What could be typed next, for the scripts of `completions`
    #[command(hide = true)]
    Complete {
        /// The words are one line of bash, with these characters between words
        #[arg(long, value_name = "WORDBREAKS", allow_hyphen_values = true)]
        bash: Option<String>,
        #[arg(last = true)]
        words: Vec<OsString>,
    },
    /// Write the manual pages into a directory
    Man {
        /// The directory, which must be there; without it, larder(1) is printed
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: Option<PathBuf>,
    },
    /// Print the version
    Version {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List the resources in the state
    List {
        /// Only addresses that begin with this
        prefix: Option<String>,
    },
    /// Show what the state remembers of a resource
    Show {
        /// KIND.NAME, as `state list` has it
        address: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a resource, a block or a module another address; hosts are left as they are until the next apply
    Mv {
        #[arg(value_name = "FROM")]
        from: String,
        #[arg(value_name = "TO")]
        to: String,
        #[command(flatten)]
        locking: Locking,
    },
    /// Forget resources; hosts are left as they are
    Rm {
        /// KIND.NAME, as `state list` has it
        #[arg(required = true, value_name = "ADDRESS")]
        addresses: Vec<String>,
        #[command(flatten)]
        locking: Locking,
    },
}

#[derive(Debug, Subcommand)]
pub enum LabCommand {
    /// Start a container host for each host of the configuration
    Up {
        #[command(flatten)]
        variables: Variables,
        /// What to start them with
        #[arg(long, default_value = "auto", value_parser = ["auto", "docker", "podman", "namespace"])]
        runtime: String,
    },
    /// Stop them and remove everything of them
    Down,
    /// List them
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Open a shell on one, or run a command there, as ssh does
    Ssh {
        /// Its name in the configuration
        host: String,
        /// As with ssh, the words are joined with spaces and read by the shell of the host: quote what it must not split
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

/// `10s`, `5m`, `1h`, `500ms`.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("`{text}` is no duration; write it like 30s or 5m");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).map(std::time::Duration::from_millis).ok_or_else(wrong)
}

/// What users of Terraform write and what is so here without it: taken, and not shown.
#[derive(Debug, Clone, Args, Default)]
pub struct Taken {
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = ["true"])]
    refresh: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = ["true"])]
    lock: Option<String>,
}

/// The same for commands that ask nothing.
#[derive(Debug, Clone, Args, Default)]
pub struct Unasked {
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    input: Option<bool>,
}

/// The command among the arguments, as far as one can be told; of options only the global ones may stand before it.
pub fn verb(arguments: &[OsString]) -> String {
    let mut words = arguments.iter().skip(1).map(|argument| argument.to_string_lossy());
    while let Some(word) = words.next() {
        match word.as_ref() {
            "--chdir" | "--state" => drop(words.next()),
            option if option.starts_with('-') => {}
            verb => return verb.to_owned(),
        }
    }
    String::new()
}

/// `larder -help plan` as `larder help plan`.
fn with_help_first(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_help = arguments.get(1).is_some_and(|first| first == "--help" || first == "-h");
    let names_one = arguments.get(2).is_some_and(|second| !second.to_string_lossy().starts_with('-'));
    if is_help && names_one {
        arguments[1] = OsString::from("help");
    }
    arguments
}

/// The arguments with `-option` written as `--option`, as far as the first `--`; what follows `lab ssh HOST` is left alone.
pub fn with_two_dashes(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut all = Vec::new();
    let mut is_over = false;
    let mut words = Vec::new();
    for argument in arguments {
        let Some(text) = argument.to_str().filter(|_| !is_over) else {
            all.push(argument);
            continue;
        };
        is_over = text == "--";
        if !text.starts_with('-') {
            words.push(text.to_owned());
            // The program, `lab`, `ssh`, the host: the rest belongs to the remote command.
            is_over |= words.len() == 4 && words[1..3] == ["lab", "ssh"];
        }
        let mut letters = text.chars().skip(1);
        let is_long =
            text.starts_with('-') && letters.next().is_some_and(char::is_alphabetic) && letters.next().is_some();
        all.push(if is_long { OsString::from(format!("-{text}")) } else { argument });
    }
    with_help_first(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn rewritten(line: &str) -> String {
        let words = with_two_dashes(line.split(' ').map(OsString::from));
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn values_of_variables_keep_their_order() {
        let line = "larder validate --var a=1 --var-file x --var a=2 --var-file y";
        let cli = Cli::try_parse_from(line.split(' ')).expect("a command line");
        let Command::Validate { variables, .. } = cli.command else { panic!("another command") };
        let text = |text: &str| VarSource::Text(text.to_owned());
        let file = |path: &str| VarSource::File(PathBuf::from(path));
        assert_eq!(variables.given, [text("a=1"), file("x"), text("a=2"), file("y")]);
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        let table = [
            ("larder -chdir=x plan -out p", "larder --chdir=x plan --out p"),
            ("larder plan --json -h", "larder plan --json -h"),
            ("larder lab ssh hv1 ls -la", "larder lab ssh hv1 ls -la"),
            ("larder -chdir=x lab ssh hv1 -- ls -la", "larder --chdir=x lab ssh hv1 -- ls -la"),
            ("larder plan -var a=-b", "larder plan --var a=-b"),
            ("larder -help plan", "larder help plan"),
            ("larder --help state mv", "larder help state mv"),
            ("larder -help -no-color", "larder --help --no-color"),
        ];
        for (typed, meant) in table {
            assert_eq!(rewritten(typed), meant);
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("5m"), Ok(std::time::Duration::from_secs(300)));
        assert!(duration("5").is_err());
        assert!(duration("99999999999999999999h").is_err());
    }
}
