//! What an apply tells while it runs: spinners on a terminal, lines elsewhere, or a JSON object on each line. The one part
//! of the view that writes; it asks no time (spinners count their own).

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::apply::report::{Event, Outcome};
use crate::model::{HostName, Size, StepId, escape_line};

use super::plan::elapsed;
use super::style::{Ink, Style, count};

pub const FORMAT_VERSION: &str = "1.0";

/// A step that takes less is shown without its time.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// Progress in one of its three forms.
pub enum Progress {
    Json(Box<dyn Write + Send>),
    Lines(Lines<Box<dyn Write + Send>>),
    Spinners(Spinners),
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Progress::Json(_) => "Progress::Json",
            Progress::Lines(_) => "Progress::Lines",
            Progress::Spinners(_) => "Progress::Spinners",
        })
    }
}

impl Progress {
    /// JSON goes to standard output, where programs read; all else to standard error, beside the result.
    pub fn new(is_json: bool, is_tty: bool, style: Style) -> Self {
        let target = ProgressDrawTarget::stderr();
        match (is_json, is_tty && !target.is_hidden()) {
            (true, _) => Progress::Json(Box::new(io::stdout())),
            // A hidden target would swallow what has ended too.
            (false, false) => Progress::Lines(Lines::new(Box::new(io::stderr()), style)),
            (false, true) => Progress::Spinners(Spinners::new(target, style)),
        }
    }

    /// Shows one event; `at` is its time, RFC 3339. A reader that has gone away does not stop an apply.
    pub fn show(&mut self, event: &Event, at: &str) {
        let _ = match self {
            Progress::Json(out) => writeln!(out, "{}", json_line(event, at)).and_then(|()| out.flush()),
            Progress::Lines(lines) => lines.show(event),
            Progress::Spinners(spinners) => spinners.show(event),
        };
    }
}

/// One event as one line of JSON, without a line feed. `at` is the time of the event, RFC 3339.
pub fn json_line(event: &Event, at: &str) -> String {
    let mut line = json!({ "format_version": FORMAT_VERSION, "at": at });
    if let (Value::Object(line), Ok(Value::Object(event))) = (&mut line, serde_json::to_value(event)) {
        line.extend(event);
    }
    line.to_string()
}

/// The steps that are running, by which an end finds its beginning.
type Running<T> = BTreeMap<StepId, (HostName, String, T)>;

/// One line for each step that has ended, and for long ones on the way.
#[derive(Debug)]
pub struct Lines<W> {
    out: W,
    style: Style,
    running: Running<u64>,
}

impl<W: Write> Lines<W> {
    pub fn new(out: W, style: Style) -> Self {
        Lines { out, style, running: Running::new() }
    }

    pub fn show(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::StepStarted { id, host, summary } => {
                self.running.insert(id.clone(), (host.clone(), summary.clone(), 0));
            }
            Event::StepProgress { id, bytes, of } => {
                let Some((host, summary, told)) = self.running.get_mut(id) else { return Ok(()) };
                // A line for each tenth.
                let tenth = bytes.saturating_mul(10).checked_div(*of).unwrap_or(0).min(10);
                if tenth > *told {
                    *told = tenth;
                    let of = Size(*of).rounded();
                    writeln!(self.out, "{}  {} … {} % of {of}", safe(host), escape_line(summary), tenth * 10)?;
                }
            }
            Event::StepEnded { id, outcome, elapsed } => {
                let line = match self.running.remove(id) {
                    Some((host, summary, _)) => ended(&host, &summary, outcome, *elapsed, self.style),
                    None => format!("{} … {}", escape_line(id), result(outcome, *elapsed, self.style)),
                };
                writeln!(self.out, "{line}")?;
            }
            other => {
                if let Some(line) = remark(other) {
                    writeln!(self.out, "{line}")?;
                }
            }
        }
        self.out.flush()
    }
}

/// Spinners with the elapsed time for what runs, above them a line for what has ended.
#[derive(Debug)]
pub struct Spinners {
    all: MultiProgress,
    style: Style,
    running: Running<ProgressBar>,
}

impl Spinners {
    pub fn new(target: ProgressDrawTarget, style: Style) -> Self {
        Spinners { all: MultiProgress::with_draw_target(target), style, running: Running::new() }
    }

    pub fn show(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::StepStarted { id, host, summary } => {
                let bar = self.all.add(ProgressBar::new_spinner().with_style(spinner()));
                bar.set_message(format!("{}  {}", safe(host), escape_line(summary)));
                bar.enable_steady_tick(Duration::from_millis(120));
                self.running.insert(id.clone(), (host.clone(), summary.clone(), bar));
                Ok(())
            }
            Event::StepProgress { id, bytes, of } => {
                if let Some((_, _, bar)) = self.running.get(id) {
                    if bar.length() != Some(*of) {
                        bar.set_length(*of);
                        bar.set_style(transfer());
                    }
                    bar.set_position(*bytes);
                }
                Ok(())
            }
            Event::StepEnded { id, outcome, elapsed } => {
                let Some((host, summary, bar)) = self.running.remove(id) else { return Ok(()) };
                bar.finish_and_clear();
                self.all.remove(&bar);
                self.all.println(ended(&host, &summary, outcome, *elapsed, self.style))
            }
            Event::Ended { .. } => {
                std::mem::take(&mut self.running).into_values().for_each(|(_, _, bar)| bar.finish_and_clear());
                self.all.clear()
            }
            other => remark(other).map_or(Ok(()), |line| self.all.println(line)),
        }
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}").expect("the template is well formed")
}

fn transfer() -> ProgressStyle {
    ProgressStyle::with_template(
        "{spinner} {wide_msg} {binary_bytes}/{binary_total_bytes} at {binary_bytes_per_sec}, {elapsed}, {eta} to go",
    )
    .expect("the template is well formed")
}

fn safe(host: &HostName) -> String {
    escape_line(host.as_str())
}

/// `hv1  mount /srv/nfs … done (12.3 s)`.
fn ended(host: &HostName, summary: &str, outcome: &Outcome, elapsed: Duration, style: Style) -> String {
    format!("{}  {} … {}", safe(host), escape_line(summary), result(outcome, elapsed, style))
}

fn result(outcome: &Outcome, time: Duration, style: Style) -> String {
    let (ink, words) = match outcome {
        Outcome::Done => (Ink::Good, "done".to_owned()),
        // The report has all of it; here the end, where the reason mostly stands.
        Outcome::Failed { message } => {
            let last = message.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            (Ink::Bad, format!("failed: {}", clipped(last)))
        }
        Outcome::Changed { what, .. } => (Ink::Bad, format!("not run: changed since the plan: {}", clipped(what))),
        Outcome::Unknown { why } => (Ink::Bad, format!("unknown: {}", clipped(why))),
        Outcome::NotStarted { why } => (Ink::Attention, format!("not started: {}", clipped(why))),
        Outcome::RolledBack => (Ink::Attention, "taken back".to_owned()),
    };
    let words = style.paint(ink, &words);
    match time >= WORTH_TELLING {
        true => format!("{words} ({})", elapsed(time)),
        false => words,
    }
}

fn clipped(text: &str) -> String {
    let text = escape_line(text.trim());
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The line of an event that is no step's.
fn remark(event: &Event) -> Option<String> {
    match event {
        Event::Started { steps: 0, .. } => None,
        Event::Started { steps, hosts, .. } => {
            Some(format!("{} on {}.", count(*steps, "step"), count(hosts.len(), "host")))
        }
        Event::Note { text } => Some(escape_line(text)),
        Event::Verifying { .. }
        | Event::Ended { .. }
        | Event::StepStarted { .. }
        | Event::StepProgress { .. }
        | Event::StepEnded { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<Event> {
        let started = |id: &str, host: &str, summary: &str| Event::StepStarted {
            id: id.to_owned(),
            host: host.into(),
            summary: summary.to_owned(),
        };
        let ended = |id: &str, outcome, millis| Event::StepEnded {
            id: id.to_owned(),
            outcome,
            elapsed: Duration::from_millis(millis),
        };
        vec![
            Event::Started { plan: "sha256:9b0e".into(), steps: 5, hosts: vec!["hv1".into(), "hv2".into()] },
            started("a", "hv1", "mount nfs 10.0.0.5:/export on /srv/nfs"),
            started("b", "hv2", "upload debian.qcow2"),
            Event::StepProgress { id: "b".into(), bytes: 1, of: 1000 },
            Event::StepProgress { id: "b".into(), bytes: 510, of: 1000 },
            Event::StepProgress { id: "b".into(), bytes: 520, of: 1000 },
            ended("a", Outcome::Done, 20),
            started("c", "hv1", "set the mode of /srv/nfs to 0770"),
            ended("c", Outcome::Failed { message: "first\nchmod: \x1b[1mRead-only file system\n\n".into() }, 30),
            Event::StepProgress { id: "b".into(), bytes: 1000, of: 1000 },
            ended("b", Outcome::Done, 75_000),
            ended("d", Outcome::Unknown { why: "the connection was lost".into() }, 3_000),
            Event::StepProgress { id: "none".into(), bytes: 0, of: 0 },
            Event::Note { text: "waiting for\nthe lock".into() },
            Event::Verifying { host: "hv1".into() },
            Event::Ended { successful: false },
        ]
    }

    #[test]
    fn without_a_terminal_each_step_is_a_line() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, Style::Plain);
        events().iter().for_each(|event| lines.show(event).expect("written"));
        insta::assert_snapshot!(String::from_utf8(out).expect("text"), @r"
        5 steps on 2 hosts.
        hv2  upload debian.qcow2 … 50 % of 1000 B
        hv1  mount nfs 10.0.0.5:/export on /srv/nfs … done
        hv1  set the mode of /srv/nfs to 0770 … failed: chmod: \x1b[1mRead-only file system
        hv2  upload debian.qcow2 … 100 % of 1000 B
        hv2  upload debian.qcow2 … done (1 min 15 s)
        d … unknown: the connection was lost (3.0 s)
        waiting for\nthe lock
        ");
    }

    #[test]
    fn machines_get_an_object_for_each_event() {
        let lines: Vec<_> = events().iter().map(|event| json_line(event, "2026-11-22T15:00:00Z")).collect();
        assert!(lines.iter().all(|line| !line.contains('\n')));
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"started","plan":"sha256:9b0e","steps":5,"hosts":["hv1","hv2"]}
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"step-started","id":"a","host":"hv1","summary":"mount nfs 10.0.0.5:/export on /srv/nfs"}
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"step-started","id":"b","host":"hv2","summary":"upload debian.qcow2"}
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"step-progress","id":"b","bytes":1,"of":1000}
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"step-progress","id":"b","bytes":510,"of":1000}
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"step-progress","id":"b","bytes":520,"of":1000}
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"step-ended","id":"a","result":"done","elapsed_ms":20}
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"step-started","id":"c","host":"hv1","summary":"set the mode of /srv/nfs to 0770"}
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"step-ended","id":"c","result":"failed","message":"first\nchmod: \u001b[1mRead-only file system\n\n","elapsed_ms":30}
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"step-progress","id":"b","bytes":1000,"of":1000}
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"step-ended","id":"b","result":"done","elapsed_ms":75000}
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"step-ended","id":"d","result":"unknown","why":"the connection was lost","elapsed_ms":3000}
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"step-progress","id":"none","bytes":0,"of":0}
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"note","text":"waiting for\nthe lock"}
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"verifying","host":"hv1"}
        {"format_version":"1.0","at":"2026-11-22T15:00:00Z","event":"ended","successful":false}
        "#);
    }

    #[test]
    fn the_form_follows_the_reader() {
        assert!(matches!(Progress::new(true, true, Style::Plain), Progress::Json(_)));
        assert!(matches!(Progress::new(false, false, Style::Plain), Progress::Lines(_)));
        let shared = Shared::default();
        let mut progress = Progress::Json(Box::new(shared.clone()));
        events().iter().for_each(|event| progress.show(event, "2026-11-22T15:00:00Z"));
        let text = shared.0.lock().expect("one thread at a time").clone();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), events().len());
    }

    /// A writer whose text can be read afterwards.
    #[derive(Debug, Clone, Default)]
    struct Shared(std::sync::Arc<std::sync::Mutex<String>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("one thread at a time").push_str(&String::from_utf8_lossy(bytes));
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A terminal that remembers what was written to it.
    #[derive(Debug, Clone, Default)]
    struct Screen(std::sync::Arc<std::sync::Mutex<String>>);

    impl indicatif::TermLike for Screen {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)?;
            self.write_str("\n")
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().expect("one thread at a time").push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn on_a_terminal_what_has_ended_stays_as_a_line() {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let mut spinners = Spinners::new(target, Style::Plain);
        events().iter().for_each(|event| spinners.show(event).expect("drawn"));
        assert!(spinners.running.is_empty());
        let text = screen.0.lock().expect("one thread at a time").clone();
        for line in [
            "hv1  mount nfs 10.0.0.5:/export on /srv/nfs … done",
            "hv2  upload debian.qcow2 … done (1 min 15 s)",
            "hv1  set the mode of /srv/nfs to 0770 … failed: chmod: \\x1b[1mRead-only file system",
        ] {
            assert!(text.contains(line), "{line} is not in {text:?}");
        }
    }
}
