//! Colour and alignment of text for a terminal. Whether there is colour at all (a terminal, `NO_COLOR`, `-no-color`) is
//! the caller's decision.

use anstyle::{AnsiColor, Effects};
use unicode_width::UnicodeWidthStr as _;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    #[default]
    Plain,
    Coloured,
}

/// What a colour says. The text says it too: no meaning is carried by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Something comes into being, or went well.
    Good,
    /// Something is changed, or wants attention.
    Attention,
    /// Something is taken away, refused or failed.
    Bad,
    /// Something is taken over as it is.
    Neutral,
    Strong,
    Faint,
}

impl Style {
    pub fn paint(self, ink: Ink, text: &str) -> String {
        if self == Style::Plain || text.is_empty() {
            return text.to_owned();
        }
        let style = match ink {
            Ink::Good => AnsiColor::Green.on_default(),
            Ink::Attention => AnsiColor::Yellow.on_default(),
            Ink::Bad => AnsiColor::Red.on_default(),
            Ink::Neutral => AnsiColor::Cyan.on_default(),
            Ink::Strong => anstyle::Style::new().effects(Effects::BOLD),
            Ink::Faint => anstyle::Style::new().effects(Effects::DIMMED),
        };
        format!("{style}{text}{style:#}")
    }
}

/// Columns of a terminal that the text takes: wide characters take two, colours none.
pub(super) fn width(text: &str) -> usize {
    anstream::adapter::strip_str(text).map(|part| part.width()).sum()
}

/// The text with blanks up to that many columns.
pub(super) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// `1 step`, `2 steps`.
pub(super) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// Rows with their columns one below the other, two blanks between them; none behind the last one.
pub(super) fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max())
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, columns)| pad(cell, columns.unwrap_or(0)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
