//! Problems for people, in the style of rustc, and for machines.

use std::collections::{BTreeMap, BTreeSet};

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use crate::model::{Place, Position, Problem, Severity, escape, escape_line};

use super::style::{Style, count};

/// Of one problem at many places, this many are shown with their source.
const SHOWN_PLACES: usize = 3;

/// The problems as text that ends with a line feed; nothing if there are none. `sources` are the texts of the
/// configuration files by the name that places call them.
pub fn render(problems: &[Problem], sources: &BTreeMap<String, String>, style: Style) -> String {
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Coloured => Renderer::styled(),
    };
    let distinct = distinct(problems);
    let mut text = String::new();
    for same in consolidated(&distinct) {
        text.push_str(&renderer.render(&[group(&same, sources)]));
        text.push_str("\n\n");
    }
    if distinct.len() > 1 {
        text.push_str(&tally(&distinct));
        text.push('\n');
    } else if text.ends_with("\n\n") {
        text.pop();
    }
    text
}

/// `{ "diagnostics": [...] }`, with every problem at its own place.
pub fn json(problems: &[Problem]) -> Value {
    json!({ "diagnostics": problems })
}

/// What `validate` says: the same with the verdict and how many there are, as users of `terraform validate` expect.
pub fn validation(problems: &[Problem]) -> Value {
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    json!({
        "format_version": "1.0",
        "valid": errors == 0,
        "error_count": errors,
        "warning_count": problems.len() - errors,
        "diagnostics": problems,
    })
}

fn tally(problems: &[&Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    match (errors, problems.len() - errors) {
        (errors, 0) => format!("{}.", count(errors, "error")),
        (0, warnings) => format!("{}.", count(warnings, "warning")),
        (errors, warnings) => format!("{}, {}.", count(errors, "error"), count(warnings, "warning")),
    }
}

/// The problems without those that repeat another one at the same place.
fn distinct(problems: &[Problem]) -> Vec<&Problem> {
    let mut seen = BTreeSet::new();
    problems.iter().filter(|problem| seen.insert((words(problem), &problem.place, &problem.values))).collect()
}

fn words(problem: &Problem) -> (Severity, &str, &str, &str) {
    (problem.severity, &problem.code, &problem.summary, &problem.detail)
}

/// Problems that say the same, together, in the order in which each was said first.
fn consolidated<'a>(problems: &[&'a Problem]) -> Vec<Vec<&'a Problem>> {
    let mut groups: Vec<Vec<&Problem>> = Vec::new();
    let mut known = BTreeMap::new();
    for problem in problems {
        let at = *known.entry(words(problem)).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.push(problem),
            None => groups.push(vec![problem]),
        }
    }
    groups
}

fn group<'a>(same: &[&Problem], sources: &BTreeMap<String, String>) -> Group<'a> {
    let Some(first) = same.first() else { return Group::with_level(Level::ERROR) };
    let level = match first.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(escape_line(&first.summary)).id(escape_line(&first.code));
    let mut group = Group::with_title(title);
    let placed: Vec<_> =
        same.iter().filter_map(|problem| problem.place.as_ref().map(|place| (*problem, place))).collect();
    let (shown, rest) = placed.split_at(placed.len().min(SHOWN_PLACES));
    let mut by_file: Vec<(&str, Vec<(&Problem, &Place)>)> = Vec::new();
    for (problem, place) in shown {
        match by_file.iter_mut().find(|(file, _)| *file == place.file) {
            Some((_, of_file)) => of_file.push((problem, place)),
            None => by_file.push((&place.file, vec![(problem, place)])),
        }
    }
    for (file, of_file) in by_file {
        group = group.elements(elements(file, &of_file, sources.get(file).map(String::as_str)));
    }
    if !rest.is_empty() {
        let mut places: Vec<_> = rest.iter().take(20).map(|(_, place)| located(place)).collect();
        if rest.len() > places.len() {
            places.push("...".to_owned());
        }
        let text = format!("and {}: {}", count(rest.len(), "more place"), places.join(", "));
        group = group.element(Level::NOTE.message(text));
    }
    let mut told = BTreeSet::new();
    for problem in same.iter().filter(|problem| label(problem).is_none()) {
        for (name, value) in &problem.values {
            let note = said(name, value);
            if told.insert(note.clone()) {
                group = group.element(Level::NOTE.message(note));
            }
        }
    }
    let callers: BTreeSet<_> = same.iter().flat_map(|problem| &problem.called_from).map(located).collect();
    if !callers.is_empty() {
        let mut shown: Vec<_> = callers.iter().take(SHOWN_PLACES).map(String::as_str).collect();
        if callers.len() > shown.len() {
            shown.push("...");
        }
        group = group.element(Level::NOTE.message(format!("the module is called at {}", shown.join(", "))));
    }
    if let Some(note) = instances(first) {
        group = group.element(Level::NOTE.message(note));
    }
    if !first.detail.is_empty() {
        group = group.element(Level::HELP.message(escape(&first.detail)));
    }
    group
}

/// Where a block has several instances: in which one it is.
fn instances(problem: &Problem) -> Option<String> {
    let instance = escape_line(problem.instance.as_ref()?);
    Some(match problem.more_instances {
        0 => format!("in {instance}"),
        more => format!("in {instance}, and the same in {}", count(more, "more instance")),
    })
}

/// `main.hcl:3:10`.
fn located(place: &Place) -> String {
    format!("{}:{}:{}", escape_line(&place.file), place.start.line, place.start.column)
}

/// `var.size is "10"`.
fn said(name: &str, value: &str) -> String {
    format!("{} is {}", escape_line(name), escape_line(value))
}

/// A single short value stands beside the underlined expression; others follow as notes.
fn label(problem: &Problem) -> Option<String> {
    match (problem.values.as_slice(), &problem.place) {
        ([(name, value)], Some(_)) => Some(said(name, value)).filter(|label| label.chars().count() <= 60),
        _ => None,
    }
}

/// The places of one file: the lines from the first to the last, underlined; where a place is not in the text, only
/// its name.
fn elements<'a>(file: &str, places: &[(&Problem, &Place)], source: Option<&str>) -> Vec<Element<'a>> {
    let lines: Vec<&str> = source.map(|text| text.split('\n').collect()).unwrap_or_default();
    let is_inside = |place: &Place| source.is_some() && (1..=lines.len()).contains(&place.start.line);
    let (inside, outside): (Vec<_>, Vec<_>) = places.iter().partition(|(_, place)| is_inside(place));
    let mut all = Vec::new();
    let first = inside.iter().map(|(_, place)| place.start.line).min();
    let last = inside.iter().map(|(_, place)| place.end.line.max(place.start.line)).max();
    if let (Some(first), Some(last)) = (first, last) {
        let excerpt = Excerpt::new(first, &lines[first - 1..last.min(lines.len())]);
        let annotations: Vec<_> = inside
            .iter()
            .map(|(problem, place)| {
                let (start, end) = (excerpt.offset(place.start), excerpt.offset(place.end));
                AnnotationKind::Primary.span(start..end.max(start)).label(label(problem))
            })
            .collect();
        let snippet = Snippet::source(excerpt.text).line_start(first).path(escape_line(file)).annotations(annotations);
        all.push(snippet.into());
    }
    for (_, place) in outside {
        let origin = Origin::path(escape_line(file)).line(place.start.line).char_column(place.start.column);
        all.push(origin.into());
    }
    all
}

/// Some lines of a file, with everything that a terminal would obey replaced, character for character.
struct Excerpt {
    text: String,
    first_line: usize,
    /// Where each line starts in `text`.
    starts: Vec<usize>,
}

impl Excerpt {
    fn new(first_line: usize, lines: &[&str]) -> Self {
        let mut text = String::new();
        let mut starts = Vec::new();
        for line in lines {
            starts.push(text.len());
            let line = line.strip_suffix('\r').unwrap_or(line);
            text.extend(
                line.chars().map(|c| if c == '\t' || is_harmless(c) { c } else { char::REPLACEMENT_CHARACTER }),
            );
            text.push('\n');
        }
        Excerpt { text, first_line, starts }
    }

    /// The position as an offset into the text; one behind the end of a line, or of all lines, is that end.
    fn offset(&self, position: Position) -> usize {
        let Some(index) = position.line.checked_sub(self.first_line) else { return 0 };
        let Some(start) = self.starts.get(index) else { return self.text.len().saturating_sub(1) };
        let line = self.text[*start..].split('\n').next().unwrap_or_default();
        start + line.char_indices().nth(position.column.saturating_sub(1)).map_or(line.len(), |(at, _)| at)
    }
}

fn is_harmless(c: char) -> bool {
    let mut buffer = [0; 4];
    let text: &str = c.encode_utf8(&mut buffer);
    c.is_ascii_graphic() || c == ' ' || escape_line(text) == text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(file: &str, start: (usize, usize), end: (usize, usize)) -> Place {
        let position = |(line, column)| Position { line, column };
        Place { file: file.to_owned(), start: position(start), end: position(end) }
    }

    fn sources(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn main_hcl() -> BTreeMap<String, String> {
        sources(&[(
            "main.hcl",
            "external_volume \"ssd\" {\n  storage = image_storage.main\n\ttmpfs {\n\t\tsize = var.size\n\t}\n}\n\nimage \"日本\" {\n  size = \"40GiX\" # 40?\n}\n",
        )])
    }

    #[test]
    fn an_error_shows_the_place_the_value_and_the_way_out() {
        let mut problem = Problem::error(
            "invalid-size",
            "`10X` has no unit that is known",
            "Write it like \"30GiB\", \"512MiB\" or a number of bytes.",
        )
        .at(Some(&place("main.hcl", (4, 10), (4, 18))));
        problem.values = vec![("var.size".into(), "\"10X\"".into())];
        insta::assert_snapshot!(render(&[problem], &main_hcl(), Style::Plain), @r#"
        error[invalid-size]: `10X` has no unit that is known
         --> main.hcl:4:10
          |
        4 |         size = var.size
          |                ^^^^^^^^ var.size is "10X"
          |
          = help: Write it like "30GiB", "512MiB" or a number of bytes.
        "#);
    }

    #[test]
    fn several_values_follow_as_notes_and_several_problems_are_counted() {
        let mut first = Problem::error("invalid-operand", "`+` needs numbers", "Convert it with tonumber().")
            .at(Some(&place("main.hcl", (9, 10), (9, 17))));
        first.values = vec![("var.a".into(), "\"ten\"".into()), ("local.b".into(), "(sensitive value)".into())];
        let second = Problem::warning("unused", "the local value `b` is never used", "");
        insta::assert_snapshot!(render(&[first, second], &main_hcl(), Style::Plain), @r#"
        error[invalid-operand]: `+` needs numbers
         --> main.hcl:9:10
          |
        9 |   size = "40GiX" # 40?
          |          ^^^^^^^
          |
          = note: var.a is "ten"
          = note: local.b is (sensitive value)
          = help: Convert it with tonumber().

        warning[unused]: the local value `b` is never used

        1 error, 1 warning.
        "#);
    }

    #[test]
    fn a_range_of_several_lines_is_bracketed() {
        let problem = Problem::error(
            "missing-source",
            "external_volume.ssd does not say where its bytes are",
            "Add one of directory, bind, tmpfs, device, nfs, cifs.",
        )
        .at(Some(&place("main.hcl", (1, 1), (6, 2))));
        insta::assert_snapshot!(render(&[problem], &main_hcl(), Style::Plain), @r#"
        error[missing-source]: external_volume.ssd does not say where its bytes are
         --> main.hcl:1:1
          |
        1 | / external_volume "ssd" {
        2 | |   storage = image_storage.main
        3 | |     tmpfs {
        4 | |         size = var.size
        5 | |     }
        6 | | }
          | |_^
          |
          = help: Add one of directory, bind, tmpfs, device, nfs, cifs.
        "#);
    }

    #[test]
    fn wide_characters_are_underlined_in_full() {
        let problem =
            Problem::error("invalid-name", "`日本` is no name", "").at(Some(&place("main.hcl", (8, 8), (8, 10))));
        insta::assert_snapshot!(render(&[problem], &main_hcl(), Style::Plain), @r#"
        error[invalid-name]: `日本` is no name
         --> main.hcl:8:8
          |
        8 | image "日本" {
          |        ^^^^
        "#);
    }

    #[test]
    fn one_problem_at_many_places_is_said_once() {
        let text = "host \"hv\" {\n  adress = \"10.0.0.1\"\n}\n".repeat(6);
        let at = |line| {
            Problem::error("unknown-attribute", "host has no attribute `adress`", "Did you mean `address`?")
                .at(Some(&place("hosts.hcl", (line, 3), (line, 9))))
        };
        let mut problems: Vec<_> = (0..6).map(|n| at(n * 3 + 2)).collect();
        problems.push(at(2));
        insta::assert_snapshot!(render(&problems, &sources(&[("hosts.hcl", &text)]), Style::Plain), @r#"
        error[unknown-attribute]: host has no attribute `adress`
         --> hosts.hcl:2:3
          |
        2 |   adress = "10.0.0.1"
          |   ^^^^^^
        ...
        5 |   adress = "10.0.0.1"
          |   ^^^^^^
        ...
        8 |   adress = "10.0.0.1"
          |   ^^^^^^
          |
          = note: and 3 more places: hosts.hcl:11:3, hosts.hcl:14:3, hosts.hcl:17:3
          = help: Did you mean `address`?

        6 errors.
        "#);
    }

    #[test]
    fn many_instances_with_one_problem_are_counted() {
        let problem = Problem::error("invalid-size", "This is not a size", "Write it like \"30GiB\".")
            .at(Some(&place("main.hcl", (4, 10), (4, 18))));
        let problem = Problem { instance: Some("image.web[\"a\"]".into()), more_instances: 41, ..problem };
        insta::assert_snapshot!(render(&[problem], &main_hcl(), Style::Plain), @r#"
        error[invalid-size]: This is not a size
         --> main.hcl:4:10
          |
        4 |         size = var.size
          |                ^^^^^^^^
          |
          = note: in image.web["a"], and the same in 41 more instances
          = help: Write it like "30GiB".
        "#);
    }

    #[test]
    fn a_place_outside_of_the_text_is_named() {
        let problem = |file, line| {
            Problem::error("x", format!("wrong in {file}"), "").at(Some(&place(file, (line, 7), (line, 9))))
        };
        let problems =
            [problem("gone.hcl", 3), problem("empty.hcl", 1), problem("short.hcl", 9), problem("short.hcl", 1)];
        let sources = sources(&[("empty.hcl", ""), ("short.hcl", "a = 1")]);
        insta::assert_snapshot!(render(&problems, &sources, Style::Plain), @r"
        error[x]: wrong in gone.hcl
        --> gone.hcl:3:7

        error[x]: wrong in empty.hcl
         --> empty.hcl:1:1
          |
        1 |
          | ^

        error[x]: wrong in short.hcl
         --> short.hcl:1:6
          |
        1 | a = 1
          |      ^
         ::: short.hcl:9:7

        4 errors.
        ");
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        let mut problem = Problem::error("x", "bad \x1b[31mname\nsecond", "why\nhow \u{202e}").at(Some(&place(
            "a\x1b.hcl",
            (1, 5),
            (1, 8),
        )));
        problem.values = vec![("var.x".into(), "\"\u{9b}31m\"".into())];
        let sources = sources(&[("a\x1b.hcl", "a = \x1b[3\u{9b}1m\u{202e}\r\n")]);
        let text = render(&[problem], &sources, Style::Plain);
        assert!(text.chars().all(|c| c == '\n' || is_harmless(c)), "{text:?}");
        insta::assert_snapshot!(text, @r#"
        error[x]: bad \x1b[31mname\nsecond
         --> a\x1b.hcl:1:5
          |
        1 | a = �[3�1m�
          |     ^^^ var.x is "\x9b31m"
          |
          = help: why
                  how \u{202e}
        "#);
    }

    #[test]
    fn a_line_of_a_megabyte_is_cut_to_what_matters() {
        let text = format!("a = \"{}\"", "x".repeat(1 << 20));
        let problem = Problem::error("x", "odd", "").at(Some(&place("f", (1, 500_000), (1, 500_010))));
        let shown = render(&[problem], &sources(&[("f", &text)]), Style::Plain);
        assert!(shown.lines().all(|line| line.chars().count() < 200), "{}", shown.len());
        assert!(shown.contains("^^^^^^^^^^"));
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let problem = Problem::error("invalid-size", "wrong", "Help.").at(Some(&place("main.hcl", (9, 10), (9, 17))));
        let coloured = render(std::slice::from_ref(&problem), &main_hcl(), Style::Coloured);
        assert!(coloured.contains("\x1b["));
        let plain = anstream::adapter::strip_str(&coloured).to_string();
        assert_eq!(plain, render(&[problem], &main_hcl(), Style::Plain));
    }

    #[test]
    fn machines_get_every_problem() {
        let problem = Problem::error("invalid-size", "wrong", "Help.").at(Some(&place("main.hcl", (9, 10), (9, 17))));
        insta::assert_json_snapshot!(json(&[problem, Problem::warning("w", "odd", "")]), @r#"
        {
          "diagnostics": [
            {
              "severity": "error",
              "code": "invalid-size",
              "summary": "wrong",
              "detail": "Help.",
              "range": {
                "file": "main.hcl",
                "start": {
                  "line": 9,
                  "column": 10
                },
                "end": {
                  "line": 9,
                  "column": 17
                }
              }
            },
            {
              "severity": "warning",
              "code": "w",
              "summary": "odd",
              "detail": ""
            }
          ]
        }
        "#);
        assert_eq!(render(&[], &BTreeMap::new(), Style::Plain), "");
    }

    proptest! {
        #[test]
        fn any_place_in_any_text_is_shown(
            text in "[a =\n\r\t\u{1b}日\u{301}\u{200d}é]{0,60}",
            ranges in prop::collection::vec((0..9usize, 0..20usize, 0..9usize, 0..20usize), 0..5),
        ) {
            let problems: Vec<_> = ranges
                .iter()
                .map(|(a, b, c, d)| Problem::error("x", "y", "z").at(Some(&place("f", (*a, *b), (*c, *d)))))
                .collect();
            let shown = render(&problems, &sources(&[("f", &text)]), Style::Plain);
            prop_assert!(shown.chars().all(|c| c == '\n' || is_harmless(c)));
        }
    }
}
