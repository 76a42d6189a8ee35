//! Makes text of unknown origin harmless before it reaches a terminal, a report or a log.

use std::fmt::Write as _;

/// The text with everything made visible that a terminal would obey or that would change the order or the look of other
/// text: control characters (ESC and C1 too), line separators, bidirectional and zero-width characters, tags. Line feeds
/// and tabs are kept; for one line use [`escape_line`].
pub fn escape(text: &str) -> String {
    escaped(text, |c| c == '\n' || c == '\t')
}

/// The same, on one line.
pub fn escape_line(text: &str) -> String {
    escaped(text, |_| false)
}

fn escaped(text: &str, keep: fn(char) -> bool) -> String {
    // Most texts are names: nothing in them is looked at twice.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if keep(c) || !is_dangerous(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x100 => write!(out, "\\x{:02x}", c as u32).expect("a String takes any text"),
            c => write!(out, "\\u{{{:x}}}", c as u32).expect("a String takes any text"),
        }
    }
    out
}

fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        let table = [
            ("plain é 日本", "plain é 日本"),
            ("\x1b[31mred", "\\x1b[31mred"),
            ("\u{9b}31m", "\\x9b31m"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\rb\x07\x7f", "a\\rb\\x07\\x7f"),
            ("two\nlines\t.", "two\nlines\t."),
        ];
        for (text, shown) in table {
            assert_eq!(escape(text), shown);
        }
        assert_eq!(escape_line("two\nlines\t."), "two\\nlines\\t.");
    }

    proptest! {
        #[test]
        fn nothing_dangerous_is_left(text in any::<String>()) {
            prop_assert!(!escape_line(&text).chars().any(is_dangerous));
        }
    }
}
