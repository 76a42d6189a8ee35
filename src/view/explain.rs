//! The long form of every code: what `docs/codes.md` says, in parts, for terminals and machines. The text is part of the
//! program; nothing is looked up elsewhere.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::model::HazardCode;
use crate::model::hazard::Acceptance;
use crate::model::problem::did_you_mean;

use super::style::{Ink, Style, pad, width};

/// The document, which people also read as it is.
pub const DOCUMENT: &str = include_str!("../../docs/codes.md");

/// Where lines of prose end.
const COLUMNS: usize = 100;

/// What the document says of one code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    pub code: String,
    /// One to three sentences, the first of which can stand alone.
    pub meaning: String,
    /// Why Larder refuses.
    pub why: String,
    pub examples: Vec<Example>,
    /// How to mend it.
    pub mend: String,
    /// Whether it can be accepted, and how; for hazards.
    pub accept: Option<String>,
}

/// A fenced block of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    pub sort: Sort,
    /// The file of the configuration that it stands for.
    pub file: String,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A configuration that has the problem.
    Error,
    /// The same configuration without it.
    Cured,
    /// What Larder prints.
    Output,
}

impl Entry {
    /// What stands in a list of all codes.
    pub fn in_short(&self) -> &str {
        let end = self.meaning.find(". ").map_or(self.meaning.len(), |at| at + 1);
        &self.meaning[..end]
    }

    pub fn acceptance(&self) -> Option<Acceptance> {
        HazardCode::parse(&self.code).map(HazardCode::acceptance)
    }

    pub fn json(&self) -> Value {
        let of = |sort| -> serde_json::Map<String, Value> {
            let examples = self.examples.iter().filter(|example| example.sort == sort);
            examples.map(|example| (example.file.clone(), example.text.clone().into())).collect()
        };
        let mut json = json!({ "code": self.code, "meaning": self.meaning, "why": self.why, "mend": self.mend });
        for (name, sort) in [("error", Sort::Error), ("cured", Sort::Cured)] {
            let files = of(sort);
            if !files.is_empty() {
                json[name] = files.into();
            }
        }
        if let Some(output) = self.examples.iter().find(|example| example.sort == Sort::Output) {
            json["output"] = output.text.clone().into();
        }
        if let Some(acceptance) = self.acceptance() {
            json["hazard"] = true.into();
            json["can_be_accepted"] = (acceptance == Acceptance::Possible).into();
            json["accept"] = self.accept.clone().into();
        }
        json
    }
}

/// Every code, in the order of the alphabet.
pub fn entries() -> &'static [Entry] {
    static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| read(DOCUMENT));
    &ENTRIES
}

pub fn find(code: &str) -> Option<&'static Entry> {
    entries().iter().find(|entry| entry.code == code)
}

/// The code that somebody most likely meant.
pub fn nearest(code: &str) -> Option<&'static str> {
    did_you_mean(code, entries().iter().map(|entry| entry.code.as_str()))
}

/// The sections of a document, each as far as it has the parts.
pub fn read(document: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut lines = document.lines();
    let mut paragraph = String::new();
    while let Some(line) = lines.next() {
        if let Some(code) = line.strip_prefix("## ") {
            finish(&mut paragraph, entries.last_mut());
            entries.push(Entry { code: code.trim().to_owned(), ..Entry::default() });
        } else if let Some(title) = line.strip_prefix("```") {
            finish(&mut paragraph, entries.last_mut());
            let text: String =
                lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            let mut words = title.split_whitespace().skip(1);
            let sort = match words.next() {
                Some("error") => Sort::Error,
                Some("cured") => Sort::Cured,
                _ => Sort::Output,
            };
            let file = words.next().unwrap_or("main.hcl").to_owned();
            if let Some(entry) = entries.last_mut() {
                entry.examples.push(Example { sort, file, text });
            }
        } else if line.trim().is_empty() {
            finish(&mut paragraph, entries.last_mut());
        } else {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line.trim());
        }
    }
    finish(&mut paragraph, entries.last_mut());
    entries
}

/// Gives a paragraph to the part of the entry that its first word names.
fn finish(paragraph: &mut String, entry: Option<&mut Entry>) {
    let text = std::mem::take(paragraph);
    let Some(entry) = entry.filter(|_| !text.is_empty()) else { return };
    match text.split_once(": ") {
        Some(("Why", rest)) => entry.why = rest.to_owned(),
        Some(("Mend", rest)) => entry.mend = rest.to_owned(),
        Some(("Accept", rest)) => entry.accept = Some(rest.to_owned()),
        _ if entry.meaning.is_empty() => entry.meaning = text,
        _ => {
            entry.meaning.push(' ');
            entry.meaning.push_str(&text);
        }
    }
}

/// One code with all that is said of it.
pub fn render(entry: &Entry, style: Style) -> String {
    let mut text = format!("{}\n", style.paint(Ink::Strong, &entry.code));
    text.push_str(&wrapped(&entry.meaning, "", style));
    text.push_str(&part("Why", &entry.why, style));
    for (sort, title) in [(Sort::Error, "Refused"), (Sort::Cured, "Mended"), (Sort::Output, "Output")] {
        for (number, example) in entry.examples.iter().filter(|example| example.sort == sort).enumerate() {
            text.push('\n');
            if number == 0 {
                text.push_str(&format!("{}\n", style.paint(Ink::Strong, &format!("{title}:"))));
            }
            if example.file != "main.hcl" {
                text.push_str(&format!("  {}\n", style.paint(Ink::Faint, &example.file)));
            }
            for line in example.text.lines() {
                text.push_str(format!("    {line}").trim_end());
                text.push('\n');
            }
        }
    }
    text.push_str(&part("Mend", &entry.mend, style));
    text.push_str(&entry.accept.as_deref().map_or(String::new(), |accept| part("Accept", accept, style)));
    text
}

/// Every code with what it means, in a line or two.
pub fn list(style: Style) -> String {
    let columns = entries().iter().map(|entry| width(&entry.code)).max().unwrap_or(0) + 2;
    let mut text = String::new();
    for entry in entries() {
        let lines = wrapped(entry.in_short(), &" ".repeat(columns), style);
        text.push_str(&style.paint(Ink::Strong, &pad(&entry.code, columns)));
        text.push_str(lines.trim_start());
    }
    text
}

fn part(title: &str, said: &str, style: Style) -> String {
    if said.is_empty() {
        return String::new();
    }
    let lines = wrapped(&format!("{title}: {said}"), "", Style::Plain);
    let rest = lines.strip_prefix(title).unwrap_or(&lines);
    format!("\n{}{}", style.paint(Ink::Strong, title), coloured(rest, style))
}

/// The text in lines that are not too long, each behind the margin. What stands between backticks is not parted.
fn wrapped(text: &str, margin: &str, style: Style) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in words(text) {
        if !line.is_empty() && width(margin) + width(&line) + 1 + width(word) > COLUMNS {
            lines.push_str(&format!("{margin}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push_str(&format!("{margin}{line}\n"));
    coloured(&lines, style)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.split(move |c| {
        is_code ^= c == '`';
        c == ' ' && !is_code
    })
}

/// The text with what stands between backticks in another colour.
fn coloured(text: &str, style: Style) -> String {
    let parts = text.split('`').enumerate().map(|(number, part)| match number % 2 {
        0 => part.to_owned(),
        _ => style.paint(Ink::Neutral, &format!("`{part}`")),
    });
    parts.collect()
}

/// The line below problems that says where more stands about codes like theirs; nothing if nothing more is known.
pub fn hint(codes: &[&str]) -> Option<String> {
    match codes {
        [] => None,
        [code] => Some(format!("For more: larder explain {code}")),
        several => Some(format!("For more: larder explain CODE ({})", several.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "# Codes\n\nOf no code.\n\n## a-code\n\nIt means `this and\nthat`. And more.\n\nWhy: because.\n\n```hcl error\nx = 1\n```\n\n```hcl error larder.vars.hcl\n## y\n```\n\n```hcl cured\nx = 2\n```\n\nMend: with care: so.\n\n## not-blank\n\nNo.\n\n```text\nout\n\nput\n```\n\nAccept: never.\n";

    #[test]
    fn a_document_is_read_section_by_section() {
        let entries = read(SAMPLE);
        assert_eq!(entries.iter().map(|entry| entry.code.as_str()).collect::<Vec<_>>(), ["a-code", "not-blank"]);
        let first = &entries[0];
        assert_eq!(
            (first.meaning.as_str(), first.in_short()),
            ("It means `this and that`. And more.", "It means `this and that`.")
        );
        assert_eq!((first.why.as_str(), first.mend.as_str()), ("because.", "with care: so."));
        let files: Vec<_> = first.examples.iter().map(|one| (one.sort, one.file.as_str(), one.text.as_str())).collect();
        assert_eq!(
            files,
            [
                (Sort::Error, "main.hcl", "x = 1\n"),
                (Sort::Error, "larder.vars.hcl", "## y\n"),
                (Sort::Cured, "main.hcl", "x = 2\n"),
            ]
        );
        assert_eq!(entries[1].examples[0].text, "out\n\nput\n");
        assert_eq!(entries[1].accept.as_deref(), Some("never."));
    }

    #[test]
    fn an_entry_is_shown_with_its_parts() {
        let entries = read(SAMPLE);
        insta::assert_snapshot!(render(&entries[0], Style::Plain), @r"
        a-code
        It means `this and that`. And more.

        Why: because.

        Refused:
            x = 1

          larder.vars.hcl
            ## y

        Mended:
            x = 2

        Mend: with care: so.
        ");
        let coloured = render(&entries[1], Style::Coloured);
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), render(&entries[1], Style::Plain));
        assert_eq!(entries[1].json()["can_be_accepted"], false);
    }

    #[test]
    fn lines_are_no_longer_than_a_terminal_is_wide() {
        let text = wrapped(&"some words and `code that is not parted` ".repeat(20), "  ", Style::Plain);
        assert!(text.lines().all(|line| width(line) <= COLUMNS), "{text}");
        assert!(text.lines().all(|line| line.matches('`').count() % 2 == 0), "{text}");
    }
}
