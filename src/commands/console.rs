//! `larder console`: evaluates expressions with the names of the configuration, on a terminal, from a pipe, or as a service
//! that answers each line with one of JSON. Asks no host, and keeps what was typed in memory only.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Read};

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use crate::cli::{Global, Variables};
use crate::config::{self, Console};
use crate::kinds;
use crate::model::{Problem, Problems, Severity};
use crate::view;

use super::terminal::Terminal;
use super::workspace::{directory, inputs};
use super::{Exit, Failure, Outcome};

const HELP: &str = "\
Type an expression to see its value: var.NAME, local.NAME, KIND.NAME, or any function.
An expression goes on in the next line while a bracket is open. `exit` or Ctrl-D leaves.";

pub(super) fn run(global: &Global, variables: &Variables, terminal: &Terminal) -> Outcome {
    let directory = directory(global);
    let loaded = config::load(&directory, &inputs(variables), kinds::table());
    // Functions are of use where there is no configuration.
    let problems: Problems =
        loaded.problems.into_iter().filter(|problem| problem.code != config::NO_CONFIGURATION).collect();
    // What is wrong with the command line or the directory stands in no file.
    if problems.iter().any(|problem| problem.is_error() && problem.place.is_none()) {
        return Err(Failure { exit: Exit::Error, problems, sources: loaded.sources });
    }
    let Some(configuration) = &loaded.configuration else {
        return Err(Failure { exit: Exit::Error, problems, sources: loaded.sources });
    };
    let (console, found) = configuration.console(None);
    let console = if problems.iter().any(Problem::is_error) { console.of_part() } else { console };
    let warnings = problems.into_iter().chain(found);
    let warnings = warnings.map(|problem| Problem { severity: Severity::Warning, ..problem }).collect();
    terminal.warnings(&warnings, &loaded.sources);
    match (terminal.is_json(), std::io::stdin().is_terminal()) {
        (true, _) => answer(console, terminal),
        (false, false) => piped(console, terminal),
        (false, true) => interactive(console, terminal),
    }
}

/// One line of JSON for each line that is read; blank lines have no answer.
fn answer(mut console: Console, terminal: &Terminal) -> Outcome {
    let mut exit = Exit::Done;
    let mut input = std::io::stdin().lock();
    while let Some(line) = read_line(&mut input)? {
        let answer = line.and_then(|line| match line.trim().is_empty() {
            true => Ok(None),
            false => {
                let answer = match serde_json::from_str::<String>(line.trim()) {
                    Ok(within) => console.evaluate(&within).map_err(of_string)?,
                    Err(_) => console.evaluate(&line)?,
                };
                view::console::json(&answer.value).map(Some).map_err(|problem| vec![problem])
            }
        });
        let line = match answer {
            Ok(None) => continue,
            Ok(Some(line)) => line,
            Err(problems) => {
                exit = Exit::Error;
                view::console::error(&problems)
            }
        };
        if !terminal.answer(&line) {
            break;
        }
    }
    Ok(exit)
}

/// Problems of an expression that came as a JSON string; whoever meant a text learns what became of its quotes.
fn of_string(mut problems: Problems) -> Problems {
    if let Some(problem) = problems.first_mut() {
        problem.detail.push_str(" The line is a JSON string, so what it holds was taken for the expression.");
    }
    problems
}

fn piped(mut console: Console, terminal: &Terminal) -> Outcome {
    let mut exit = Exit::Done;
    let mut input = std::io::stdin().lock();
    let mut text = String::new();
    loop {
        let line = read_line(&mut input)?;
        let is_last = line.is_none();
        match line {
            None => {}
            Some(Ok(line)) => text.push_str(&line),
            Some(Err(problems)) => {
                terminal.problems(&problems, &BTreeMap::new());
                exit = Exit::Error;
                text.clear();
                continue;
            }
        }
        if !is_last && text.len() <= LONGEST && config::is_open(&text) {
            continue;
        }
        match said(&mut console, &text, terminal) {
            Said::Value(shown) => {
                if !terminal.answer(&shown) {
                    break;
                }
            }
            Said::Wrong => exit = Exit::Error,
            Said::Nothing => {}
            Said::Goodbye => break,
        }
        text.clear();
        if is_last {
            break;
        }
    }
    Ok(exit)
}

/// What an input comes to. Problems have been shown already.
enum Said {
    Value(String),
    Wrong,
    Nothing,
    Goodbye,
}

fn said(console: &mut Console, text: &str, terminal: &Terminal) -> Said {
    match text.trim() {
        "" => Said::Nothing,
        "exit" | "quit" => Said::Goodbye,
        "help" => Said::Value(HELP.to_owned()),
        _ => match console.evaluate(text) {
            Ok(answer) => Said::Value(view::console::text(&answer)),
            Err(problems) => {
                terminal.problems(&problems, &BTreeMap::from([("console".to_owned(), text.to_owned())]));
                Said::Wrong
            }
        },
    }
}

/// The most bytes of a line, so that an endless one ends in a sentence.
const LONGEST: usize = 16 << 20;

/// The next line with its end, or what is wrong with it; `None` at the end of the input.
fn read_line(input: &mut impl BufRead) -> Result<Option<Result<String, Problems>>, Failure> {
    let mut bytes = Vec::new();
    let unreadable = |error: std::io::Error| {
        let detail = format!("{error}. Give it expressions, one a line.");
        Failure::from(Problem::error("unreadable-input", "standard input cannot be read", detail))
    };
    let read = input.by_ref().take(LONGEST as u64).read_until(b'\n', &mut bytes).map_err(unreadable)?;
    if read == 0 {
        return Ok(None);
    }
    if read == LONGEST && !bytes.ends_with(b"\n") {
        // The rest of the line belongs to nothing.
        loop {
            let buffer = input.fill_buf().map_err(unreadable)?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (used, is_over) = (end.map_or(buffer.len(), |at| at + 1), end.is_some() || buffer.is_empty());
            input.consume(used);
            if is_over {
                break;
            }
        }
        let detail = format!("A line may have up to {} MiB.", LONGEST >> 20);
        return Ok(Some(Err(vec![Problem::error("too-large", "This line is too long", detail)])));
    }
    Ok(Some(String::from_utf8(bytes).map_err(|_| {
        let detail = "Expressions are UTF-8. In a terminal, look at the locale; iconv(1) converts files.";
        vec![Problem::error("invalid-character", "This line is not UTF-8 text", detail)]
    })))
}

fn interactive(console: Console, terminal: &Terminal) -> Outcome {
    let failed = |error: ReadlineError| {
        let detail = format!("{error}. Pipe expressions to it instead.");
        Failure::from(Problem::error("unreadable-input", "the terminal cannot be read", detail))
    };
    let config = Config::builder().auto_add_history(true).completion_type(CompletionType::List).build();
    let history = MemHistory::with_config(&config);
    let mut editor: Editor<Typing, MemHistory> = Editor::with_history(config, history).map_err(failed)?;
    editor.set_helper(Some(Typing { console: RefCell::new(console) }));
    loop {
        let text = match editor.readline("> ") {
            Ok(text) => text,
            Err(ReadlineError::Eof) => break,
            Err(ReadlineError::Interrupted) => continue,
            Err(error) => return Err(failed(error)),
        };
        let Some(typing) = editor.helper() else { break };
        match said(&mut typing.console.borrow_mut(), &text, terminal) {
            Said::Value(shown) => terminal.say(&shown),
            Said::Wrong | Said::Nothing => {}
            Said::Goodbye => break,
        }
    }
    Ok(Exit::Done)
}

/// What helps while typing: names, and lines that go on as long as a bracket is open.
struct Typing<'a> {
    console: RefCell<Console<'a>>,
}

impl Helper for Typing<'_> {}
impl Highlighter for Typing<'_> {}
impl Hinter for Typing<'_> {
    type Hint = String;
}

impl Validator for Typing<'_> {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        Ok(match config::is_open(context.input()) {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Valid(None),
        })
    }
}

impl Completer for Typing<'_> {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..at).unwrap_or(line);
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let start =
            typed.rfind(|c| !is_name(c)).map_or(0, |at| at + typed[at..].chars().next().map_or(1, char::len_utf8));
        Ok((start, self.console.borrow_mut().names(&typed[start..])))
    }
}
