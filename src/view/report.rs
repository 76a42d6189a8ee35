//! What an apply did: numbers per host, what went wrong with the host's own words, and what to type next.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::apply::report::{Asked, Outcome, Recorded, Report, StepReport};
use crate::model::{HostName, escape, escape_line};
use crate::plan::Plan;

use super::plan::elapsed;
use super::shell;
use super::style::{Ink, Style, aligned, count};

/// Of what a host wrote about a failure, the last lines and columns that are shown: the reason mostly stands at the end.
const SHOWN_LINES: usize = 12;
const SHOWN_COLUMNS: usize = 240;
/// Steps that did not start are listed up to this number.
const SHOWN_STEPS: usize = 20;

/// The words for an outcome, in the order of columns.
const OUTCOMES: [&str; 6] = ["done", "failed", "changed", "unknown", "not started", "rolled back"];

fn outcome(step: &StepReport) -> usize {
    match step.outcome {
        Outcome::Done => 0,
        Outcome::Failed { .. } => 1,
        Outcome::Changed { .. } => 2,
        Outcome::Unknown { .. } => 3,
        Outcome::NotStarted { .. } => 4,
        Outcome::RolledBack => 5,
    }
}

pub fn json(report: &Report) -> Value {
    let mut counts = [0usize; 6];
    report.steps.iter().for_each(|step| counts[outcome(step)] += 1);
    let key = |word: &str| word.replace(' ', "_");
    let summary: serde_json::Map<_, _> =
        OUTCOMES.iter().zip(counts).map(|(word, number)| (key(word), number.into())).collect();
    json!({
        "format_version": "1.0",
        "plan": report.plan,
        "successful": report.is_successful(),
        "interrupted": report.interrupted,
        "summary": summary,
        "steps": report.steps,
        "leftovers": report.leftovers,
        "unverified": report.unverified.iter().map(|(host, reason)| json!({ "host": host, "reason": reason })).collect::<Vec<_>>(),
        "unreachable": report.unreachable,
        "waiting": report.waiting,
        "recorded": report.recorded,
        "elapsed_ms": u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
        "next": next(report).map(|(why, command)| json!({ "why": why, "command": command })),
    })
}

pub fn render(report: &Report, style: Style) -> String {
    let sections = [
        failures(report, style),
        not_started(report),
        leftovers(report, style),
        hosts(report, style),
        closing(report, style),
    ];
    sections.iter().filter(|section| !section.is_empty()).map(String::as_str).collect::<Vec<_>>().join("\n")
}

/// Each step that did not go as planned, with the reason.
fn failures(report: &Report, style: Style) -> String {
    let mut text = String::new();
    let mut steps: Vec<_> = report.steps.iter().collect();
    steps.sort_by_key(|step| outcome(step));
    for step in steps {
        let (ink, word, words) = match &step.outcome {
            Outcome::Done | Outcome::NotStarted { .. } => continue,
            Outcome::Failed { message } => (Ink::Bad, "failed", message.clone()),
            Outcome::Changed { what, was, is } => {
                (Ink::Bad, "not run", format!("changed since the plan: {what}\nwas: {}\nis:  {}", one(was), one(is)))
            }
            Outcome::Unknown { why } => (Ink::Bad, "unknown", format!("nobody knows whether it ran: {why}")),
            Outcome::RolledBack => (Ink::Attention, "taken back", String::new()),
        };
        let head = style.paint(ink, &format!("{word}:"));
        text.push_str(&format!("{head} {}  {}\n", escape_line(&step.id), escape_line(&step.summary)));
        bounded(&words).iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    text
}

/// A value on one line.
fn one(value: &str) -> String {
    match value.trim_end_matches('\n') {
        "" => "(nothing)".to_owned(),
        value => value.replace('\n', "; "),
    }
}

/// The end of a text of unknown length and origin.
fn bounded(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let cut = lines.len().saturating_sub(SHOWN_LINES);
    let mut shown = Vec::new();
    if cut > 0 {
        shown.push(format!("... {} before", count(cut, "line")));
    }
    shown.extend(lines[cut..].iter().map(|line| match line.char_indices().nth(SHOWN_COLUMNS) {
        Some((end, _)) => format!("{}...", escape(&line[..end])),
        None => escape(line),
    }));
    shown
}

fn not_started(report: &Report) -> String {
    let mut groups: Vec<(&str, Vec<&StepReport>)> = Vec::new();
    for step in &report.steps {
        let Outcome::NotStarted { why } = &step.outcome else { continue };
        match groups.iter_mut().find(|(same, _)| same == why) {
            Some((_, steps)) => steps.push(step),
            None => groups.push((why, vec![step])),
        }
    }
    let mut text = String::new();
    for (why, steps) in groups {
        text.push_str(&format!("not started, {}:\n", escape_line(why)));
        for step in steps.iter().take(SHOWN_STEPS) {
            text.push_str(&format!("    {}  {}\n", escape_line(&step.id), escape_line(&step.summary)));
        }
        if steps.len() > SHOWN_STEPS {
            text.push_str(&format!("    and {}\n", count(steps.len() - SHOWN_STEPS, "more step")));
        }
    }
    text
}

fn leftovers(report: &Report, style: Style) -> String {
    let mut text = String::new();
    for left in &report.leftovers {
        let place = escape_line(&format!("{}@{}  {}", left.address, left.host, left.attribute));
        let head = style.paint(Ink::Bad, "still different:");
        let (have, want) = (escape_line(&left.have), escape_line(&left.want));
        text.push_str(&format!("{head} {place} is {have}, wanted {want}\n"));
    }
    for (host, why) in &report.unverified {
        let head = style.paint(Ink::Bad, "not verified:");
        text.push_str(&format!("{head} {}  {}\n", escape_line(host.as_str()), escape_line(why)));
    }
    text
}

/// A line for each host; columns only for what occurs.
fn hosts(report: &Report, style: Style) -> String {
    if report.steps.iter().all(|step| step.outcome == Outcome::Done) {
        return String::new();
    }
    let mut counts: BTreeMap<&HostName, [usize; 6]> = BTreeMap::new();
    report.steps.iter().for_each(|step| counts.entry(&step.host).or_default()[outcome(step)] += 1);
    let columns: Vec<usize> =
        (0..OUTCOMES.len()).filter(|column| counts.values().any(|row| row[*column] > 0)).collect();
    let head = ["host"].into_iter().chain(columns.iter().map(|column| OUTCOMES[*column])).map(str::to_owned).collect();
    let rows = counts.iter().map(|(host, row)| {
        let cells = columns.iter().map(|column| match row[*column] {
            0 => "-".to_owned(),
            number => style.paint(if *column == 0 { Ink::Good } else { Ink::Bad }, &number.to_string()),
        });
        [escape_line(host.as_str())].into_iter().chain(cells).collect()
    });
    let rows: Vec<Vec<String>> = [head].into_iter().chain(rows).collect();
    aligned(&rows).join("\n") + "\n"
}

fn closing(report: &Report, style: Style) -> String {
    let hosts: BTreeSet<_> = report.steps.iter().map(|step| &step.host).collect();
    let done = report.steps.iter().filter(|step| step.outcome == Outcome::Done).count();
    let all = count(report.steps.len(), "step");
    let line = match (report.is_successful(), report.steps.len()) {
        (true, 0) => match recorded(&report.recorded) {
            Some(what) => format!("Apply complete: nothing had to run on a host. The state has it: {what}."),
            None => "Apply complete: nothing had to run.".to_owned(),
        },
        (true, _) => {
            let time = elapsed(report.elapsed);
            format!("Apply complete: {all} on {} in {time}, verified.", count(hosts.len(), "host"))
        }
        (false, steps) if done == steps => format!("All {all} ran, but not everything is as wanted."),
        (false, _) => format!("Apply incomplete: {done} of {all} done."),
    };
    let ink = if report.is_successful() { Ink::Good } else { Ink::Bad };
    let mut text = format!("{}\n", style.paint(ink, &line));
    if report.interrupted {
        text.push_str("It was interrupted. Steps that ran are in the state, the journal has the rest.\n");
    }
    if let Some((why, command)) = next(report) {
        text.push_str(&format!("{why}\n  {command}\n"));
    }
    if !report.unreachable.is_empty() {
        let hosts: Vec<_> = report.unreachable.iter().map(|host| escape_line(host.as_str())).collect();
        let line = format!("Not answering, and left as they are: {}.", hosts.join(", "));
        text.push_str(&format!("{}\n", style.paint(Ink::Bad, &line)));
    }
    text
}

/// `1 resource moved, 2 outputs changed`.
fn recorded(what: &Recorded) -> Option<String> {
    let parts = [
        (what.moved, "resource", "moved"),
        (what.adopted, "resource", "adopted"),
        (what.forgotten, "resource", "forgotten"),
        (what.outputs, "output", "changed"),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(number, _, _)| *number > 0)
        .map(|(number, noun, verb)| format!("{} {verb}", count(number, noun)))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Why there is more to do, and the command that does it.
fn next(report: &Report) -> Option<(String, String)> {
    let any = |wanted: fn(&Outcome) -> bool| report.steps.iter().any(|step| wanted(&step.outcome));
    let (why, verb) = if any(|outcome| matches!(outcome, Outcome::Unknown { .. })) {
        ("Whether some steps ran is not known. A new plan asks the hosts:".to_owned(), Verb::Plan)
    } else if any(|outcome| matches!(outcome, Outcome::Changed { .. })) {
        ("Something is not as it was when the plan was made. Look at a new plan:".to_owned(), Verb::Plan)
    } else if any(|outcome| matches!(outcome, Outcome::Failed { .. } | Outcome::RolledBack)) {
        ("Mend what failed, then go on from what the hosts have now:".to_owned(), Verb::Apply)
    } else if any(|outcome| matches!(outcome, Outcome::NotStarted { .. })) {
        ("Go on from what the hosts have now:".to_owned(), Verb::Apply)
    } else if !report.is_successful() {
        (
            "Something else works against the configuration there, or could not be read. Look again:".to_owned(),
            Verb::Plan,
        )
    } else if report.waiting > 0 {
        let what = count(report.waiting, "placement");
        (format!("{what} had to wait for these steps and can be decided now:"), Verb::Apply)
    } else {
        return None;
    };
    let (why, verb) = match report.asked.of_file && verb == Verb::Apply {
        true => (format!("{} Make a new plan, with the same values of variables:", why.replace(':', ".")), Verb::Plan),
        false => (why, verb),
    };
    Some((why, command(&report.asked, verb)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Plan,
    Apply,
}

/// How a plan that was shown and not kept is carried out; nothing where there is nothing to carry out.
pub fn way_on(plan: &Plan, asked: &Asked) -> Option<String> {
    plan.has_changes().then(|| format!("Carry it out with: {}", command(asked, Verb::Apply)))
}

/// How a plan file is carried out from where the plan was asked for.
pub fn carry_out(asked: &Asked, file: &str) -> String {
    let global = asked.global.iter().map(String::as_str);
    let words: Vec<&str> = ["larder"].into_iter().chain(global).chain(["apply", file]).collect();
    shell::line(&words)
}

/// The command that goes on as this one was asked for.
fn command(asked: &Asked, verb: Verb) -> String {
    let verb: &[&str] = match (verb, asked.is_destroy) {
        (Verb::Plan, false) => &["plan"],
        (Verb::Plan, true) => &["plan", "-destroy"],
        (Verb::Apply, false) => &["apply"],
        (Verb::Apply, true) => &["destroy"],
    };
    let global = asked.global.iter().map(String::as_str);
    let options = asked.options.iter().map(String::as_str);
    let words: Vec<&str> = ["larder"].into_iter().chain(global).chain(verb.iter().copied()).chain(options).collect();
    shell::line(&words)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::apply::report::Leftover;
    use crate::view::sample::{self, address, host};

    fn report(outcomes: &[Outcome]) -> Report {
        let steps = sample::first_apply().steps;
        let step = |(step, outcome): (crate::model::Step, &Outcome)| StepReport {
            id: step.id,
            address: step.address,
            host: step.host,
            action: step.action,
            summary: step.summary,
            outcome: outcome.clone(),
        };
        Report {
            plan: "sha256:9b0e".into(),
            steps: steps.into_iter().zip(outcomes.iter().cycle()).map(step).collect(),
            elapsed: Duration::from_millis(2_340),
            ..Report::default()
        }
    }

    #[test]
    fn success_is_one_line() {
        insta::assert_snapshot!(render(&report(&[Outcome::Done]), Style::Plain), @r"Apply complete: 9 steps on 2 hosts in 2.3 s, verified.");
        let waiting = Report { waiting: 2, ..report(&[Outcome::Done]) };
        insta::assert_snapshot!(render(&waiting, Style::Plain), @r"
        Apply complete: 9 steps on 2 hosts in 2.3 s, verified.
        2 placements had to wait for these steps and can be decided now:
          larder apply
        ");
        insta::assert_snapshot!(render(&Report::default(), Style::Plain), @r"Apply complete: nothing had to run.");
        let silent = Report { unreachable: vec![host("hv2"), host("hv3")], ..report(&[Outcome::Done]) };
        insta::assert_snapshot!(render(&silent, Style::Plain), @r"
        Apply complete: 9 steps on 2 hosts in 2.3 s, verified.
        Not answering, and left as they are: hv2, hv3.
        ");
    }

    #[test]
    fn the_way_on_is_asked_for_as_this_one_was() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let failed = Outcome::Failed { message: "no".to_owned() };
        let mut report = report(&[failed]);
        report.asked = Asked {
            is_destroy: false,
            of_file: false,
            global: words(&["-chdir=my site"]),
            options: words(&["-target", "image.web[\"a\"]"]),
        };
        let next = |report: &Report| next(report).map(|(_, command)| command);
        assert_eq!(next(&report).as_deref(), Some("larder '-chdir=my site' apply -target 'image.web[\"a\"]'"));
        report.asked.of_file = true;
        assert_eq!(next(&report).as_deref(), Some("larder '-chdir=my site' plan -target 'image.web[\"a\"]'"));
        report.asked.of_file = false;
        report.asked.is_destroy = true;
        assert_eq!(next(&report).as_deref(), Some("larder '-chdir=my site' destroy -target 'image.web[\"a\"]'"));
    }

    #[test]
    fn what_is_recorded_without_a_step_is_told() {
        let recorded = Recorded { moved: 1, adopted: 0, forgotten: 2, outputs: 1 };
        let text = render(&Report { recorded, ..report(&[]) }, Style::default());
        assert_eq!(
            text,
            "Apply complete: nothing had to run on a host. The state has it: 1 resource moved, 2 resources forgotten, 1 output changed.\n"
        );
    }

    #[test]
    fn a_failure_is_told_with_the_words_of_the_host_and_the_way_on() {
        let failed =
            Outcome::Failed { message: "mount.nfs: \x1b[31mConnection refused\nfor 10.0.0.5:/export/images\n".into() };
        let waiting = Outcome::NotStarted { why: "an earlier step failed".into() };
        let outcomes = [
            Outcome::Done,
            Outcome::RolledBack,
            Outcome::RolledBack,
            failed,
            waiting,
            Outcome::Done,
            Outcome::Done,
            Outcome::Done,
            Outcome::Done,
        ];
        insta::assert_snapshot!(render(&report(&outcomes), Style::Plain), @r"
        failed: external_volume.nfs@hv1/mount  mount nfs 10.0.0.5:/export/images on /srv/nfs
            mount.nfs: \x1b[31mConnection refused
            for 10.0.0.5:/export/images
        taken back: external_volume.nfs@hv1/mkdir  make the directory /srv/nfs
        taken back: external_volume.nfs@hv1/fstab  add the line of /srv/nfs to /etc/fstab

        not started, an earlier step failed:
            external_volume.nfs@hv1/chown  give /srv/nfs to libvirt-qemu:kvm

        host  done  failed  not started  rolled back
        hv1   1     1       1            2
        hv2   4     -       -            -

        Apply incomplete: 5 of 9 steps done.
        Mend what failed, then go on from what the hosts have now:
          larder apply
        ");
    }

    #[test]
    fn what_nobody_knows_is_never_called_failed_or_done() {
        let outcomes = [
            Outcome::Unknown { why: "the connection was lost".into() },
            Outcome::Changed { what: "/srv/nfs".into(), was: "41ed 0 0 12\n".into(), is: String::new() },
            Outcome::NotStarted { why: "interrupted".into() },
        ];
        let mut report = report(&outcomes);
        report.steps.truncate(3);
        report.interrupted = true;
        report.unverified = vec![(host("hv1"), "no answer within 10 s".into())];
        insta::assert_snapshot!(render(&report, Style::Plain), @r"
        not run: external_volume.nfs@hv1/mkdir  make the directory /srv/nfs
            changed since the plan: /srv/nfs
            was: 41ed 0 0 12
            is:  (nothing)
        unknown: external_volume.local@hv1/chmod  set the mode of /home/images to 0770
            nobody knows whether it ran: the connection was lost

        not started, interrupted:
            external_volume.nfs@hv1/fstab  add the line of /srv/nfs to /etc/fstab

        not verified: hv1  no answer within 10 s

        host  changed  unknown  not started
        hv1   1        1        1

        Apply incomplete: 0 of 3 steps done.
        It was interrupted. Steps that ran are in the state, the journal has the rest.
        Whether some steps ran is not known. A new plan asks the hosts:
          larder plan
        ");
    }

    #[test]
    fn what_is_still_different_is_named() {
        let mut report = report(&[Outcome::Done]);
        report.leftovers = vec![Leftover {
            address: address("external_volume.local"),
            host: host("hv1"),
            attribute: "mode".into(),
            have: "0755".into(),
            want: "0770".into(),
        }];
        insta::assert_snapshot!(render(&report, Style::Plain), @r"
        still different: external_volume.local@hv1  mode is 0755, wanted 0770

        All 9 steps ran, but not everything is as wanted.
        Something else works against the configuration there, or could not be read. Look again:
          larder plan
        ");
    }

    #[test]
    fn what_a_host_wrote_is_bounded() {
        let message = (0..5_000).map(|n| format!("line {n} {}\n", "x".repeat(1_000))).collect::<String>();
        let report = report(&[Outcome::Failed { message }]);
        let text = render(&report, Style::Plain);
        assert!(text.contains("    ... 4988 lines before\n") && text.contains("line 4999"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() < 300));
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let report = report(&[Outcome::Done, Outcome::Failed { message: "x".into() }]);
        let coloured = render(&report, Style::Coloured);
        assert!(coloured.contains("\x1b["));
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), render(&report, Style::Plain));
    }

    #[test]
    fn machines_get_every_step() {
        let mut report = report(&[Outcome::Failed { message: "refused".into() }, Outcome::Done]);
        report.steps.truncate(2);
        insta::assert_json_snapshot!(json(&report), @r#"
        {
          "format_version": "1.0",
          "plan": "sha256:9b0e",
          "successful": false,
          "interrupted": false,
          "summary": {
            "done": 1,
            "failed": 1,
            "changed": 0,
            "unknown": 0,
            "not_started": 0,
            "rolled_back": 0
          },
          "steps": [
            {
              "id": "external_volume.local@hv1/chmod",
              "address": "external_volume.local",
              "host": "hv1",
              "action": "chmod",
              "summary": "set the mode of /home/images to 0770",
              "result": "failed",
              "message": "refused"
            },
            {
              "id": "external_volume.nfs@hv1/mkdir",
              "address": "external_volume.nfs",
              "host": "hv1",
              "action": "mkdir",
              "summary": "make the directory /srv/nfs",
              "result": "done"
            }
          ],
          "leftovers": [],
          "unverified": [],
          "unreachable": [],
          "waiting": 0,
          "recorded": {
            "moved": 0,
            "adopted": 0,
            "forgotten": 0,
            "outputs": 0
          },
          "elapsed_ms": 2340,
          "next": {
            "why": "Mend what failed, then go on from what the hosts have now:",
            "command": "larder apply"
          }
        }
        "#);
        let text = serde_json::to_string(&report).expect("JSON");
        assert_eq!(serde_json::from_str::<Report>(&text).expect("a report"), report);
    }
}
