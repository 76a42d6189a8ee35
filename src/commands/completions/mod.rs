//! `larder completions SHELL`: a script that asks `larder complete` for what could be typed next. Addresses come from the
//! configuration and the state; no host is asked, and no program is started.

mod bash;
mod candidates;

use std::ffi::OsString;

use super::terminal::Terminal;
use super::{Exit, Outcome};

/// Prints the script of a shell.
pub(super) fn script(shell: &str, terminal: &Terminal) -> Outcome {
    terminal.raw(match shell {
        "zsh" => include_str!("larder.zsh"),
        "fish" => include_str!("larder.fish"),
        "elvish" => include_str!("larder.elv"),
        "powershell" => include_str!("larder.ps1"),
        _ => include_str!("larder.bash"),
    });
    Ok(Exit::Done)
}

/// Prints what could stand in place of the last word: for bash what readline is to insert, else a line for each, with its
/// meaning behind a tab.
pub(super) fn complete(wordbreaks: Option<&str>, words: &[OsString], terminal: &Terminal) -> Outcome {
    let lines: Vec<String> = match (wordbreaks, words) {
        (Some(wordbreaks), [line]) => {
            let line = bash::read(&line.to_string_lossy(), wordbreaks);
            let words: Vec<OsString> = line.words.iter().map(Into::into).collect();
            let entries = candidates::of(&words).into_iter().filter_map(|candidate| line.entry(&candidate.text));
            entries.collect()
        }
        (Some(_), _) => Vec::new(),
        (None, words) => {
            let candidates = candidates::of(words).into_iter();
            candidates.map(|candidate| format!("{}\t{}", candidate.text, candidate.help)).collect()
        }
    };
    lines.iter().for_each(|line| terminal.say(line));
    Ok(Exit::Done)
}
