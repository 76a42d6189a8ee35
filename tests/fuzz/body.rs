//! What is done with one input, by the fuzzer and by the bounded run of the tests: it is read as a configuration,
//! evaluated without facts and with them, formatted, and everything that is wrong with it is shown in each form. Any bytes are a
//! configuration or a list of problems that help; whatever else happens is a mistake of Larder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use larder::config::{self, Evaluated, Inputs};
use larder::kinds::ask::system::{self, System};
use larder::model::{Address, HostName, Problem};
use larder::view::Style;
use larder::{kinds, plan, view};

/// The largest input: larger ones say nothing new and take the time of many small ones.
pub(crate) const LONGEST: usize = 64 << 10;

/// What became of an input, as far as that tells inputs apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Fate {
    pub codes: BTreeSet<String>,
    pub blocks: usize,
    pub outputs: usize,
}

/// Whether an input can be tried: one that would start programs of this machine is not.
pub(crate) fn is_harmless(bytes: &[u8]) -> bool {
    bytes.len() <= LONGEST && !bytes.windows(b"secret_command".len()).any(|word| word == b"secret_command")
}

/// Reads, evaluates and shows the bytes as `main.hcl` of the directory, which holds nothing else.
///
/// # Panics
/// Where Larder made a mistake.
pub(crate) fn survive(bytes: &[u8], directory: &Path) -> Fate {
    std::fs::write(directory.join("main.hcl"), bytes).expect("the directory can be written");
    let loaded = config::load(directory, &Inputs::default(), kinds::table());
    check_problems(&loaded.problems, &loaded.sources);
    check_format(bytes, &loaded.problems);
    let mut fate = Fate { codes: codes(&loaded.problems), ..Fate::default() };
    let Some(configuration) = loaded.configuration else { return fate };
    let unknown = configuration.evaluate(None);
    check_problems(&unknown.problems, &loaded.sources);
    fate.codes.extend(codes(&unknown.problems));
    fate.blocks = unknown.desired.blocks.len().min(8);
    fate.outputs = unknown.desired.outputs.len().min(8);
    check_desired(&unknown, &loaded.sources);
    if unknown.desired.wants_facts {
        let hosts = unknown.desired.blocks.keys().filter(|address| address.is(kinds::host::NAME));
        let said = |address: &Address| (HostName::from(address.default_name().as_str()), facts());
        let facts = hosts.map(said).collect();
        let known = configuration.evaluate(Some(&facts));
        check_problems(&known.problems, &loaded.sources);
        fate.codes.extend(codes(&known.problems).into_iter().map(|code| format!("{code} with facts")));
        check_desired(&known, &loaded.sources);
    }
    // The same text as one expression, as a console would read it.
    if let Ok(text) = std::str::from_utf8(bytes)
        && text.len() <= 1024
        && let Err(problems) = configuration.expression(text, None)
    {
        check_problems(&problems, &BTreeMap::from([("console".to_owned(), text.replace("\r\n", "\n"))]));
    }
    fate
}

/// Formats the bytes; what comes out stays as it is.
///
/// # Panics
/// Where Larder made a mistake.
pub(crate) fn survive_layout(bytes: &[u8]) -> Result<(), config::Unformatted> {
    let text = config::format("main.hcl", bytes.to_vec())?;
    let again = config::format("main.hcl", text.clone().into_bytes());
    assert_eq!(again.ok().as_ref(), Some(&text), "formatted once more, it is another text");
    Ok(())
}

/// What can be read can be formatted; for anything else the reason is given.
fn check_format(bytes: &[u8], problems: &[Problem]) {
    if let Err(unformatted) = survive_layout(bytes) {
        check_problems(&unformatted.problems, &BTreeMap::from([("main.hcl".to_owned(), unformatted.source)]));
        assert!(!problems.is_empty(), "it can be read, but not formatted: {:?}", unformatted.problems);
    }
}

fn codes(problems: &[Problem]) -> BTreeSet<String> {
    problems.iter().map(|problem| problem.code.clone()).collect()
}

/// What a configuration can read of a host that answered.
fn facts() -> serde_json::Value {
    system::as_facts(&System {
        hostname: "hv1".to_owned(),
        kernel: "6.1.0".to_owned(),
        users: BTreeMap::from([("root".to_owned(), 0), ("libvirt-qemu".to_owned(), 64055)]),
        ..System::default()
    })
}

fn check_desired(evaluated: &Evaluated, sources: &BTreeMap<String, String>) {
    if evaluated.problems.iter().any(Problem::is_error) {
        return;
    }
    check_problems(&plan::conflicts(&evaluated.desired.blocks), sources);
    let (dot, mermaid) = (view::graph::dot(&evaluated.desired.blocks), view::graph::mermaid(&evaluated.desired.blocks));
    assert!(!dot.is_empty() && !mermaid.is_empty());
}

/// Each problem says what is wrong, where, and how to mend it, and can be shown.
fn check_problems(problems: &[Problem], sources: &BTreeMap<String, String>) {
    for problem in problems {
        let is_kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(!problem.code.is_empty() && problem.code.chars().all(is_kebab), "no code: {problem:?}");
        assert!(!problem.summary.trim().is_empty(), "no summary: {problem:?}");
        assert!(!problem.detail.trim().is_empty(), "no detail: {problem:?}");
        let place = problem.place.as_ref().unwrap_or_else(|| panic!("no place: {problem:?}"));
        let text = sources.get(&place.file).unwrap_or_else(|| panic!("in no file: {problem:?}"));
        assert!(place.start <= place.end, "it ends before it begins: {problem:?}");
        let lines: Vec<&str> = text.split('\n').collect();
        for position in [place.start, place.end] {
            let line = position.line.checked_sub(1).and_then(|line| lines.get(line));
            let line = line.unwrap_or_else(|| panic!("outside of the file: {problem:?}"));
            assert!((1..=line.chars().count() + 1).contains(&position.column), "outside of the line: {problem:?}");
        }
    }
    let json = view::problems::json(problems);
    let diagnostics = json["diagnostics"].as_array().expect("a list");
    assert_eq!(diagnostics.len(), problems.len());
    for (diagnostic, problem) in diagnostics.iter().zip(problems) {
        let read: Problem = serde_json::from_value(diagnostic.clone()).expect("a problem");
        assert_eq!(read, *problem, "JSON says something else");
    }
    for style in [Style::Plain, Style::Coloured] {
        let text = view::problems::render(problems, sources, style);
        assert_eq!(text.is_empty(), problems.is_empty());
        for problem in problems {
            assert!(text.contains(&problem.code), "{} is not shown: {text}", problem.code);
        }
        let obeyed = |c: char| c.is_control() && c != '\n' && c != '\t' && !(c == '\u{1b}' && style == Style::Coloured);
        assert!(!text.contains(obeyed), "a terminal would obey this: {text:?}");
    }
}
