//! `larder discover`: writes a configuration of what lives on hosts, and proves that its plan changes nothing. Writes to no host.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::apply::Sessions;
use crate::cli::{Global, Variables};
use crate::config::{self, Configuration, Statements, VarSource};
use crate::discover::{self, Settled, is_settled, settle};
use crate::kinds::ask::{fstab, open_files};
use crate::kinds::found::{self, Findings, LeftOut, Managed, Names, Regard, Survey, target};
use crate::kinds::{Kind, host};
use crate::model::{
    Address, Block, Blocks, Connection, Facts, HostFacts, HostName, Problem, Problems, Question, escape_line,
};
use crate::plan::{self, Plan, Request};
use crate::probe;
use crate::state::{State, without_secrets};
use crate::view::discovery::{Discovery, counted, parts};
use crate::view::hcl;

use super::look::{ask, close, host_facts};
use super::terminal::Terminal;
use super::{Exit, Failure, Outcome, Workspace};

pub(super) struct Wanted<'a> {
    pub(super) hosts: &'a [String],
    pub(super) out: Option<&'a Path>,
    pub(super) paths: &'a [String],
    pub(super) variables: &'a Variables,
}

/// The name of the text while it is in no file.
const UNNAMED: &str = "(found)";

pub(super) async fn run(global: &Global, wanted: &Wanted<'_>, terminal: &Terminal) -> Outcome {
    let started = Instant::now();
    if let Some(path) = wanted.out.filter(|path| path.symlink_metadata().is_ok()) {
        return Err(exists(path).into());
    }
    let paths = wanted.paths.iter().map(|path| directory(path)).collect::<Result<Vec<_>, _>>().map_err(usage)?;
    let name = wanted.out.and_then(Path::file_name).map_or(UNNAMED.into(), |name| name.to_string_lossy()).into_owned();
    // With an empty text more, a directory without a configuration is one with an empty configuration.
    let workspace = Workspace::open_with(global, wanted.variables, Some((&name, "")))?;
    terminal.warnings(&workspace.warnings, &workspace.sources());
    let targets = targets(wanted.hosts, &workspace).map_err(usage)?;
    let mut run = Run { global, wanted, name, workspace, targets, facts: Facts::default(), sessions: Sessions::new() };
    let outcome = run.look(&paths).await;
    close(std::mem::take(&mut run.sessions)).await;
    let found = outcome?;
    run.tell(found, started.elapsed(), terminal)
}

fn usage(problem: Problem) -> Failure {
    Failure::new(Exit::Usage, problem)
}

fn exists(path: &Path) -> Problem {
    Problem::error(
        "file-exists",
        format!("{} exists already", path.display()),
        "Nothing is overwritten. Name another file, or move that one away.",
    )
}

/// A directory of `-path`, without doubled and trailing slashes.
fn directory(path: &str) -> Result<String, Problem> {
    let is_plain = path.starts_with('/')
        && !path.chars().any(char::is_control)
        && !path.split('/').any(|step| step == ".." || step == ".");
    match is_plain {
        true => Ok(fstab::normalised(path)),
        false => Err(Problem::error(
            "invalid-option",
            format!("`-path {}` names no directory of a host", escape_line(path)),
            "A path on a host is absolute and holds no `.`, `..` or control characters.",
        )),
    }
}

/// A host to look at.
struct Target {
    name: HostName,
    /// As others refer to it.
    address: Address,
    /// Its block, where the configuration has none.
    new: Option<Block>,
}

/// What the words of the command line name.
fn targets(words: &[String], workspace: &Workspace) -> Result<Vec<Target>, Problem> {
    let taken = workspace.configuration.as_ref().map(Configuration::names).unwrap_or_default();
    let mut names = Names::taken(taken.into_iter().filter(|(kind, _)| kind == host::NAME).map(|(_, name)| name));
    let mut targets: Vec<Target> = Vec::new();
    for word in words {
        let mut target = target(word, &workspace.desired.blocks)?;
        let is_same = |other: &Target| match (&other.new, &target.new) {
            (Some(other), Some(new)) => other.attributes == new.attributes,
            _ => other.name == target.name,
        };
        if targets.iter().any(is_same) {
            continue;
        }
        if let Some(block) = &mut target.new {
            block.address = Address::root(host::NAME, &names.give(&[block.address.name.to_string()]));
            (target.name, target.address) = (host::name_of(&block.address), block.address.clone());
        }
        targets.push(target);
    }
    Ok(targets)
}

/// What one word names: a host of the configuration by its name, or by how it is reached; else one that has no block yet.
fn target(word: &str, blocks: &Blocks) -> Result<Target, Problem> {
    let of = |block: &Block, new: Option<Block>| {
        let (name, address) = (host::name_of(&block.address), block.address.clone());
        Target { name, address, new }
    };
    let mut known = blocks.values().filter(|block| *block.address.kind == *host::NAME);
    if let Some(block) = known.clone().find(|block| host::name_of(&block.address).as_str() == word) {
        return match block.address.module.is_empty() {
            true => Ok(of(block, None)),
            false => {
                Err(no_host(word, "Its block is in a module, where others cannot refer to it: run this in the module."))
            }
        };
    }
    let forms = "It is neither the name of a host block nor [user@]address[:port] nor `local`.";
    let block = target::host_block(word).ok_or_else(|| no_host(word, forms))?;
    let mut completed = block.clone();
    if let Some(problem) = host::Host.complete(&mut completed, blocks).into_iter().find(Problem::is_error) {
        return Err(no_host(word, &format!("{}: {}", problem.summary, problem.detail)));
    }
    let reach = host::connection(&completed).reach;
    let same = known.find(|known| known.address.module.is_empty() && host::connection(known).reach == reach);
    Ok(same.map_or_else(|| of(&block, Some(block.clone())), |block| of(block, None)))
}

fn no_host(word: &str, why: &str) -> Problem {
    Problem::error("invalid-option", format!("`{}` is no host", escape_line(word)), why.to_owned())
}

/// What a run has and learns.
struct Run<'a> {
    global: &'a Global,
    wanted: &'a Wanted<'a>,
    name: String,
    workspace: Workspace,
    targets: Vec<Target>,
    facts: Facts,
    sessions: Sessions,
}

/// What came of it.
struct Found {
    findings: Findings,
    text: String,
    /// The plan of it, where one could be made.
    plan: Option<Plan>,
}

/// The configuration with what was found in it.
struct ReadBack {
    blocks: Blocks,
    /// Blocks that are refused, or that come back as something else than was meant, and why.
    unfit: BTreeMap<Address, String>,
}

impl Run<'_> {
    /// Asks the hosts what is mounted, then what lies there, then all that a plan of it needs. What cannot be adopted is left out
    /// and looked past, until the rest can be.
    async fn look(&mut self, paths: &[String]) -> Result<Found, Failure> {
        self.ask_first().await;
        let blocks = self.configured()?;
        let names = self.workspace.configuration.iter().flat_map(|configuration| {
            let variables = configuration.variables().map(|name| ("variable".to_owned(), name.to_owned()));
            configuration.names().into_iter().chain(variables)
        });
        let managed = Managed::of(&blocks, names);
        let hosts: Vec<_> = self.targets.iter().map(|target| (target.name.clone(), target.address.clone())).collect();
        let survey = Survey::of(&hosts, &self.facts, &managed, paths);
        probe::ask_more(survey.questions(), &mut self.facts, &mut self.sessions).await;
        let mut excluded: Vec<LeftOut> = Vec::new();
        loop {
            let mut findings = survey.findings(&self.facts, &excluded);
            findings.note_unknown(&blocks, &hosts);
            let (found, without) = self.settled(findings).await?;
            let is_new = |one: &LeftOut| !excluded.iter().any(|other| other.host == one.host && other.what == one.what);
            let new: Vec<LeftOut> = without.into_iter().filter(is_new).collect();
            if new.is_empty() {
                return Ok(found);
            }
            excluded.extend(new);
        }
    }

    async fn ask_first(&mut self) {
        let mut questions: BTreeMap<HostName, (Connection, Vec<Question>)> = BTreeMap::new();
        for target in &self.targets {
            let block = target.new.as_ref().or_else(|| self.workspace.desired.blocks.get(&target.address));
            if let Some(block) = block {
                let mut completed = block.clone();
                // What is wrong with it was said when the words were read.
                let _ = host::Host.complete(&mut completed, &self.workspace.desired.blocks);
                questions.insert(target.name.clone(), (host::connection(&completed), found::questions()));
            }
        }
        (self.facts, self.sessions) = ask(&self.workspace, questions).await;
    }

    /// What the configuration wants, with the facts that it may depend on.
    fn configured(&self) -> Result<Blocks, Failure> {
        match (&self.workspace.configuration, self.workspace.desired.wants_facts) {
            (Some(configuration), true) => {
                let evaluated = configuration.evaluate(Some(&host_facts(&self.facts)));
                match evaluated.problems.iter().any(Problem::is_error) {
                    true => Err(self.workspace.failure(Exit::Error, evaluated.problems)),
                    false => Ok(evaluated.desired.blocks),
                }
            }
            _ => Ok(self.workspace.desired.blocks.clone()),
        }
    }

    /// Writes what was found, reads it back, and plans it, until the plan leaves everything as it is. Also gives what must be left
    /// out for that.
    async fn settled(&mut self, mut findings: Findings) -> Result<(Found, Vec<LeftOut>), Failure> {
        loop {
            let (text, owners) = self.text(&findings);
            let ReadBack { blocks, unfit } = self.read_back(&text, &owners, &findings)?;
            if !unfit.is_empty() {
                let without = unfit.iter().flat_map(|(address, why)| findings.left_out(address, why)).collect();
                return Ok((Found { findings, text, plan: None }, without));
            }
            let wanted = closure(&blocks, &findings);
            self.ask_for_plan(&wanted).await?;
            let plan = self.plan(&wanted)?;
            let without = match settle(&mut findings, &plan, &self.facts) {
                Settled::Mended => continue,
                Settled::Done => Vec::new(),
                Settled::Without(without) => without,
            };
            return Ok((Found { findings, text, plan: Some(plan) }, without));
        }
    }

    /// Asks what a plan needs and nobody asked yet.
    async fn ask_for_plan(&mut self, wanted: &Blocks) -> Result<(), Failure> {
        let mut questions = BTreeMap::new();
        // An empty state and no statements: nothing moves that could not.
        let wanted = plan::questions(wanted, &State::default(), &Statements::default(), &Request::default())
            .map_err(|problems| self.workspace.failure(Exit::Error, problems))?;
        for (host, (_, all)) in wanted {
            let facts = self.facts.host(&host);
            let new: Vec<Question> =
                all.into_iter().filter(|question| !open_files::is_covered(facts, question)).collect();
            questions.insert(host, new);
        }
        probe::ask_more(questions, &mut self.facts, &mut self.sessions).await;
        Ok(())
    }

    /// Hosts that did not answer, or not to the end, and why.
    fn silent(&self) -> Vec<(HostName, String)> {
        let silent = self.facts.hosts.iter().filter_map(|(host, facts)| match facts {
            HostFacts::Unreachable(why) => Some((host.clone(), why.clone())),
            HostFacts::Reached(_) => None,
        });
        silent.collect()
    }

    /// The text of the file, and which block stands on which lines.
    fn text(&self, findings: &Findings) -> (String, Vec<(Range<usize>, Address)>) {
        let silent = self.silent();
        let is_silent = |target: &&Target| silent.iter().any(|(host, _)| *host == target.name);
        let hosts: Vec<Block> =
            self.targets.iter().filter(|target| !is_silent(target)).filter_map(|target| target.new.clone()).collect();
        let parts = parts(&Discovery { words: self.wanted.hosts, hosts: &hosts, findings, silent: &silent });
        let (text, lines) = hcl::write(&parts);
        let owner = |part: &hcl::Part| part.block.as_ref().map(|block| block.address.clone());
        let owners = lines.into_iter().zip(&parts).filter_map(|(lines, part)| Some((lines, owner(part)?))).collect();
        (text, owners)
    }

    fn read_back(
        &self,
        text: &str,
        owners: &[(Range<usize>, Address)],
        findings: &Findings,
    ) -> Result<ReadBack, Failure> {
        // What nobody knows has to be something while the text is read.
        let mut variables = self.wanted.variables.clone();
        let unknown = findings.blocks.iter().filter_map(|finding| finding.variable.as_ref());
        variables.given.extend(unknown.map(|name| VarSource::Text(format!("{name}=unknown"))));
        let opened = Workspace::open_with(self.global, &variables, Some((&self.name, text)));
        let (mut problems, blocks) = match opened.as_ref().map(|workspace| &workspace.configuration) {
            Err(failure) => (failure.problems.clone(), Blocks::new()),
            Ok(None) => (Problems::new(), Blocks::new()),
            Ok(Some(configuration)) => {
                let evaluated = configuration.evaluate(Some(&host_facts(&self.facts)));
                (evaluated.problems, evaluated.desired.blocks)
            }
        };
        // And then it is nothing: no host is asked about it.
        let blocks: Blocks = blocks.into_iter().map(|(address, block)| (address, without_secrets(block))).collect();
        problems.extend(plan::conflicts(&blocks));
        problems.retain(Problem::is_error);
        let mut unfit = BTreeMap::new();
        for problem in &problems {
            let place = problem.place.as_ref().filter(|place| place.file == self.name);
            let owner = place.and_then(|place| owners.iter().find(|(lines, _)| lines.contains(&place.start.line)));
            match owner.filter(|(_, address)| findings.blocks.iter().any(|one| one.block.address == *address)) {
                Some((_, address)) => unfit.insert(address.clone(), format!("{}: {}", problem.summary, problem.detail)),
                None => {
                    let sources = self.workspace.sources().into_iter().chain([(self.name.clone(), text.to_owned())]);
                    return Err(Failure { exit: Exit::Error, problems, sources: sources.collect() });
                }
            };
        }
        for meant in findings.blocks.iter().map(|finding| &finding.block) {
            let why = match blocks.get(&meant.address) {
                Some(read) if discover::says(read, meant) => continue,
                Some(_) => "it would mean something else in a configuration",
                None if unfit.is_empty() => "a configuration does not take it",
                None => continue, // it builds on one that is refused
            };
            unfit.insert(meant.address.clone(), why.to_owned());
        }
        Ok(ReadBack { blocks, unfit })
    }

    /// The plan of these blocks, as if nothing were managed yet.
    fn plan(&self, blocks: &Blocks) -> Result<Plan, Failure> {
        let settings = &self.workspace.desired.settings;
        let input = plan::Input {
            desired: blocks,
            outputs: BTreeMap::new(),
            facts: &self.facts,
            statements: &Statements::default(),
            state: &State::default(),
            request: &Request::default(),
            parallelism: settings.parallelism,
            max_hosts_at_once: settings.max_hosts_at_once,
            state_path: &settings.state_path,
            lab: self.workspace.lab.is_some(),
        };
        plan::plan(&input).map_err(|problems| self.workspace.failure(Exit::Error, problems))
    }

    /// Writes the text, and says what came of it.
    fn tell(&self, found: Found, elapsed: Duration, terminal: &Terminal) -> Outcome {
        let Found { findings, text, plan } = found;
        let silent = self.silent();
        let mut problems: Problems = silent.iter().map(|(host, why)| no_answer(host, why)).collect();
        let doubts = findings.left_out.iter().filter(|one| one.regard == Regard::Doubt);
        problems.extend(doubts.map(|one| {
            Problem::error(
                "discovery-incomplete",
                format!("not known on {}: {}", one.host, escape_line(&one.what)),
                format!("{}. Look there yourself; the file has a remark in its place.", escape_line(&one.why)),
            )
        }));
        if silent.len() == self.targets.len() {
            return Err(Failure { exit: Exit::Unreachable, problems, sources: BTreeMap::new() });
        }
        let is_proven = plan.as_ref().is_some_and(|plan| is_settled(&findings, plan));
        if !is_proven {
            problems.push(Problem::error(
                "not-proven",
                "that the plan of this changes nothing could not be shown",
                "A host may have changed meanwhile. Run it again, or look at `larder plan` before you apply.",
            ));
        }
        match self.wanted.out {
            None => terminal.raw(&text),
            Some(path) => write(path, &text)?,
        }
        terminal.hint(&self.summary(&findings, elapsed, silent.len()));
        if is_proven && !findings.blocks.is_empty() {
            let count = findings.blocks.len();
            terminal.hint(&format!(
                "The plan of this is empty: {} adopted, no step on any host.",
                counted(count, "resource")
            ));
        }
        if let Some(path) = wanted_elsewhere(self.wanted.out, &self.workspace.directory) {
            terminal.hint(&format!(
                "{} is not read here: a configuration is the *.hcl files of its directory.",
                path.display()
            ));
        }
        if !problems.is_empty() {
            terminal.problems(&problems, &BTreeMap::new());
        }
        Ok(match (silent.is_empty(), problems.is_empty()) {
            (false, _) => Exit::Unreachable,
            (true, false) => Exit::Error,
            (true, true) => Exit::Done,
        })
    }

    fn summary(&self, findings: &Findings, elapsed: Duration, silent: usize) -> String {
        let trips: BTreeSet<u32> = self.facts.round_trips.values().copied().collect();
        let each = match (trips.first(), trips.last()) {
            (Some(least), Some(most)) if least == most => format!("{} each", counted(*most as usize, "round trip")),
            (_, Some(most)) => format!("at most {} each", counted(*most as usize, "round trip")),
            _ => "no answer".to_owned(),
        };
        let answered = self.targets.len() - silent;
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for one in &findings.blocks {
            *kinds.entry(&*one.block.address.kind).or_default() += 1;
        }
        let found: Vec<_> = kinds.into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let found = if found.is_empty() { "nothing to describe".to_owned() } else { found.join(", ") };
        let managed = match findings.managed.len() {
            0 => String::new(),
            count => format!(" {} of the configuration skipped.", counted(count, "resource")),
        };
        format!("Asked {} in {:.1} s, {each}: {found}.{managed}", counted(answered, "host"), elapsed.as_secs_f64())
    }
}

fn no_answer(host: &HostName, why: &str) -> Problem {
    Problem::error(
        "host-unreachable",
        format!("{host} did not answer, so nothing is known of it"),
        format!("{}. Run the command again when it answers.", escape_line(why).trim_end_matches('.')),
    )
}

/// A file that `larder` would not read as part of the configuration.
fn wanted_elsewhere<'a>(out: Option<&'a Path>, directory: &Path) -> Option<&'a Path> {
    let path = out?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let is_read = config::is_file_name(&name)
        && !name.ends_with(".vars.hcl")
        && !name.ends_with(".test.hcl")
        && matches!((parent.canonicalize(), directory.canonicalize()), (Ok(a), Ok(b)) if a == b);
    (!is_read).then_some(path)
}

/// The blocks that were found, and all that they build on.
fn closure(all: &Blocks, findings: &Findings) -> Blocks {
    let mut open: Vec<Address> = findings.blocks.iter().map(|finding| finding.block.address.clone()).collect();
    let mut wanted = Blocks::new();
    while let Some(address) = open.pop() {
        let Some(block) = all.get(&address).filter(|_| !wanted.contains_key(&address)) else { continue };
        open.extend(block.depends_on.iter().cloned());
        wanted.insert(address, block.clone());
    }
    wanted
}

/// Writes a file that does not exist yet.
fn write(path: &Path, text: &str) -> Result<(), Problem> {
    let mut options = std::fs::OpenOptions::new();
    let written = options.write(true).create_new(true).open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(path),
        _ => Problem::error(
            "unwritable-file",
            format!("{} cannot be written: {error}", path.display()),
            "Name a file where you may write, with room for it.",
        ),
    })
}
