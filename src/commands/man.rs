//! `larder man`: the manual pages, out of the same words that the help is made of.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use regex::Regex;

use crate::cli::{Cli, manual};
use crate::model::Problem;

use super::terminal::Terminal;
use super::{Exit, Failure, Outcome};

pub(super) fn run(directory: Option<&Path>, terminal: &Terminal) -> Outcome {
    let pages = pages();
    let Some(directory) = directory else {
        pages.iter().take(1).for_each(|page| terminal.raw(&page.text));
        return Ok(Exit::Done);
    };
    for page in &pages {
        let path = directory.join(&page.file);
        std::fs::write(&path, &page.text).map_err(|error| {
            let detail = format!("{error}. Name a directory that is there and can be written to.");
            Failure::from(Problem::error("unwritable-file", format!("{} cannot be written", path.display()), detail))
        })?;
    }
    terminal.say(&format!("Wrote {} pages to {}.", pages.len(), directory.display()));
    Ok(Exit::Done)
}

/// A manual page.
struct Page {
    file: String,
    text: String,
}

/// All pages; that of the program itself comes first.
fn pages() -> Vec<Page> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&command, "", &mut pages);
    pages
}

fn add(command: &Command, words: &str, pages: &mut Vec<Page>) {
    pages.push(page(command, words));
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        add(inner, format!("{words} {}", inner.get_name()).trim_start(), pages);
    }
}

fn page(command: &Command, words: &str) -> Page {
    let man = Man::new(command.clone());
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    // Without a date, so that the same source gives the same page.
    let mut text = format!(".TH {name} 1 \"\" \"larder {}\" Larder\n", env!("CARGO_PKG_VERSION")).into_bytes();
    // Writing to memory does not fail.
    let _ = man.render_name_section(&mut text);
    let _ = synopsis(command).to_writer(&mut text);
    let _ = man.render_description_section(&mut text);
    let _ = paragraphs(&command.get_after_help().map(ToString::to_string).unwrap_or_default()).to_writer(&mut text);
    let _ = man.render_options_section(&mut text);
    if command.get_subcommands().any(|inner| !inner.is_hide_set()) {
        let _ = man.render_subcommands_section(&mut text);
    }
    let mut rest = Roff::new();
    list(&mut rest, "EXIT STATUS", manual::EXIT_STATUS, bold);
    list(&mut rest, "ENVIRONMENT", manual::ENVIRONMENT, bold);
    list(&mut rest, "FILES", manual::FILES, italic);
    rest.control("SH", ["EXAMPLES"]);
    for (number, (why, typed)) in manual::examples(words).iter().enumerate() {
        if number > 0 {
            rest.control("PP", []);
        }
        rest.text([roman(*why)]);
        rest.control("PP", []).control("RS", ["4"]).control("nf", []);
        for line in typed.lines() {
            rest.text([bold(line)]);
        }
        rest.control("fi", []).control("RE", []);
    }
    rest.control("SH", ["SEE ALSO"]);
    rest.text([roman(see_also(words))]);
    let _ = rest.to_writer(&mut text);
    let text = String::from_utf8_lossy(&text);
    Page { file: man.get_filename(), text: finished(&text) }
}

/// How the command is typed, as its help says it.
fn synopsis(command: &Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    match usage.strip_prefix(name) {
        Some(rest) => roff.text([bold(name), roman(rest)]),
        None => roff.text([roman(usage)]),
    };
    roff
}

fn paragraphs(text: &str) -> Roff {
    let mut roff = Roff::new();
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        roff.control("PP", []);
        roff.text([roman(paragraph)]);
    }
    roff
}

fn list(roff: &mut Roff, title: &str, rows: &[(&str, &str)], font: fn(String) -> Inline) {
    roff.control("SH", [title]);
    for (name, meaning) in rows {
        roff.control("TP", []);
        roff.text([font((*name).to_owned())]);
        roff.text([roman(*meaning)]);
    }
}

fn see_also(words: &str) -> String {
    match words.rsplit_once(' ') {
        None if words.is_empty() => "ssh_config(5), fstab(5), qemu-img(1)".to_owned(),
        None => "larder(1)".to_owned(),
        Some((outer, _)) => format!("larder(1), larder-{}(1)", outer.replace(' ', "-")),
    }
}

/// The page with one dash before each option, code in bold, and no character that a typesetter takes for another one.
fn finished(text: &str) -> String {
    static DASHES: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(^|[^\w-]|\\f[BIR])\\-\\-([a-z])").expect("a pattern"));
    static CODE: LazyLock<Regex> = LazyLock::new(|| Regex::new("`([^`]+)`").expect("a pattern"));
    let mut out = String::with_capacity(text.len());
    let mut said = BTreeSet::new();
    for line in text.lines() {
        // Each section defines the same string anew.
        if line.contains(".ds Aq") && !said.insert(line) {
            continue;
        }
        let line = DASHES.replace_all(line, r"$1\-$2");
        let line = CODE.replace_all(&line, r"\fB$1\fR");
        out.push_str(&line.replace('~', r"\(ti").replace('^', r"\(ha"));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::with_two_dashes;
    use clap::Parser as _;

    fn commands(command: &Command, words: &str) -> Vec<String> {
        let inner = command.get_subcommands().filter(|inner| !inner.is_hide_set());
        let inner = inner.flat_map(|inner| commands(inner, format!("{words} {}", inner.get_name()).trim_start()));
        std::iter::once(words.to_owned()).chain(inner).collect()
    }

    #[test]
    fn every_command_has_an_example_and_every_example_is_understood() {
        for words in commands(&Cli::command(), "") {
            let examples = manual::examples(&words);
            assert!(!examples.is_empty(), "{words}");
            for line in examples.iter().flat_map(|(_, typed)| typed.lines()) {
                assert!(line.contains(&words), "{line} is an example of `{words}`");
                let typed = shlex::split(line).expect("words").into_iter().map(Into::into);
                if let Err(error) = Cli::try_parse_from(with_two_dashes(typed)) {
                    panic!("{line}: {error}");
                }
            }
        }
    }

    #[test]
    fn pages_have_their_sections_and_one_dash() {
        for page in pages() {
            let mut at = 0;
            for title in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES"] {
                let title = match title.contains(' ') {
                    true => format!(".SH \"{title}\"\n"),
                    false => format!(".SH {title}\n"),
                };
                let found = page.text[at..].find(&title);
                at += found.unwrap_or_else(|| panic!("{title} is missing or out of order in {}", page.file));
            }
            assert!(page.text.contains(r"\-chdir") && !page.text.contains(r"\-\-"), "{}", page.file);
            assert!(!page.text.contains('`'), "{}", page.text);
        }
    }
}
