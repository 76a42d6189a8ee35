//! Where commands speak to people and machines: the one place that prints.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use crate::apply::journal;
use crate::apply::report::{Event, Recorded, Report};
use crate::cli::Global;
use crate::model::{Problems, escape};
use crate::plan::Plan;
use crate::state::LocalState;
use crate::state::file::beside;
use crate::view;
use crate::view::style::Style;

use super::Failure;
use super::workspace::now;

/// What we write to. Results go to standard output, everything else to standard error.
#[derive(Debug, Clone)]
pub(super) struct Terminal {
    out: Style,
    err: Style,
    is_json: bool,
    /// JSON comes as one object a line.
    is_stream: bool,
    is_tty: bool,
    /// Codes of which the run has said where more stands about them.
    explained: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Terminal {
    pub(super) fn new(global: &Global, is_json: bool, is_stream: bool) -> Self {
        let no_color = global.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let style = |is_tty: bool| if is_tty && !no_color { Style::Coloured } else { Style::Plain };
        let is_tty = std::io::stdout().is_terminal();
        Terminal {
            out: style(is_tty),
            err: style(std::io::stderr().is_terminal()),
            is_json,
            is_stream,
            is_tty,
            explained: Arc::default(),
        }
    }

    pub(super) fn is_json(&self) -> bool {
        self.is_json
    }

    pub(super) fn style(&self) -> Style {
        self.out
    }

    /// A line of the result.
    pub(super) fn say(&self, text: &str) {
        // A reader that has gone away is no failure of ours.
        let _ = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
    }

    /// A line of the result for somebody who waits for it; whether it was taken.
    pub(super) fn answer(&self, line: &str) -> bool {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
    }

    /// A text as it is, without a newline.
    pub(super) fn raw(&self, text: &str) {
        let _ = write!(std::io::stdout(), "{text}");
    }

    /// A text that somebody may use further, to the last byte; only on a screen, what a terminal would obey is made visible.
    ///
    /// # Errors
    /// Not all of it could be written. A reader that has gone away is none.
    pub(super) fn deliver(&self, text: &str) -> std::io::Result<()> {
        let text = if self.is_tty { escape(text) } else { text.to_owned() };
        let mut out = std::io::stdout();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }

    /// JSON: on one line where a stream of objects is printed.
    pub(super) fn json(&self, value: &serde_json::Value) {
        match self.is_stream {
            true => self.say(&value.to_string()),
            false => self.say(&format!("{value:#}")),
        }
    }

    /// A question, without a newline.
    pub(super) fn ask(&self, question: &str) {
        let _ = write!(std::io::stdout(), "\n{question}").and_then(|()| std::io::stdout().flush());
    }

    /// A line for people that is not part of the result.
    pub(super) fn hint(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// Errors: on standard output where JSON is wanted, for there somebody reads it.
    pub(super) fn problems(&self, problems: &Problems, sources: &BTreeMap<String, String>) {
        match self.is_json {
            true => self.json(&view::problems::json(problems)),
            false => self.warnings(problems, sources),
        }
    }

    pub(super) fn warnings(&self, problems: &Problems, sources: &BTreeMap<String, String>) {
        if problems.is_empty() {
            return;
        }
        self.hint(view::problems::render(problems, sources, self.err).trim_end());
        self.more(problems.iter().map(|problem| problem.code.as_str()));
    }

    /// Says where more stands about codes, of each once in a run.
    fn more<'a>(&self, codes: impl Iterator<Item = &'a str>) {
        let known: BTreeSet<_> = codes.filter_map(view::explain::find).map(|entry| entry.code.as_str()).collect();
        let Ok(mut explained) = self.explained.lock() else { return };
        let new: Vec<_> = known.into_iter().filter(|code| explained.insert(code)).collect();
        if let Some(hint) = view::explain::hint(&new) {
            self.hint(&format!("\n{hint}"));
        }
    }

    /// Says what an apply that was cut off left undecided.
    pub(super) fn interrupted(&self, state: &LocalState) -> Result<(), Failure> {
        let path = beside(&state.path, ".journal");
        let open = journal::unfinished(&journal::read(&path)?);
        if !open.is_empty() {
            self.hint(&format!(
                "An apply was cut off before it knew what became of: {}. The hosts are asked anew.",
                open.join(", ")
            ));
        }
        Ok(())
    }

    pub(super) fn plan(&self, plan: &Plan, elapsed: Option<Duration>, verbose: bool) {
        match self.is_json {
            true => self.json(&view::json::plan(plan)),
            false => {
                self.say(&view::plan::render(plan, &view::plan::Options { style: self.out, verbose, elapsed }));
                self.more(plan.blocking().map(|hazard| hazard.code.as_str()));
            }
        }
    }

    /// Shows events as they come, until there are no more.
    pub(super) fn watch(&self, mut events: UnboundedReceiver<Event>) -> JoinHandle<()> {
        let mut progress = view::progress::Progress::new(self.is_json, self.is_tty, self.err);
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                progress.show(&event, &now());
            }
        })
    }

    pub(super) fn report(&self, plan: &Plan, report: &Report) {
        // Where nothing ran and nothing is recorded the plan has said all; but who did not answer is for the last line.
        let says_all = report.unreachable.is_empty() && report.recorded == Recorded::default();
        if plan.steps.is_empty() && (self.is_json || says_all) {
            return;
        }
        match self.is_json {
            true => self.json(&view::report::json(report)),
            false => self.say(&view::report::render(report, self.out)),
        }
    }
}
