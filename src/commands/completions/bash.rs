//! A line of bash up to the cursor: its words, and what readline would put in place of the last part of the last one.
//! Nothing of the line is expanded or run.

/// What stands before the cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Without their quotes; the last one is being typed, and may be empty.
    pub(super) words: Vec<String>,
    /// The quote that is open at the cursor.
    quote: Option<char>,
    /// So many bytes of the last word stay as they are: readline replaces only what is behind the last character that
    /// breaks words.
    kept: usize,
}

/// Reads the line. `wordbreaks` is bash's `COMP_WORDBREAKS`.
pub(super) fn read(line: &str, wordbreaks: &str) -> Line {
    let mut words = Vec::new();
    let (mut word, mut is_word) = (String::new(), false);
    let mut quote = None;
    // Where what readline replaces begins, and where it would begin without the quote that is open.
    let (mut kept, mut kept_before) = (0, 0);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (None, c) if c.is_ascii_whitespace() => {
                if is_word {
                    words.push(std::mem::take(&mut word));
                    (is_word, kept) = (false, 0);
                }
            }
            (None, '\'' | '"') => {
                (quote, is_word) = (Some(c), true);
                (kept_before, kept) = (kept, word.len());
            }
            (Some(open), c) if c == open => (quote, kept) = (None, kept_before),
            (None, '\\') => {
                word.extend(rest.next());
                is_word = true;
            }
            (Some('"'), '\\') if rest.peek().is_some_and(|next| "\"\\$`".contains(*next)) => word.extend(rest.next()),
            (_, c) => {
                let before = word.len();
                word.push(c);
                is_word = true;
                if quote.is_none() && wordbreaks.contains(c) {
                    // Readline leaves this one to its completion of host names.
                    kept = if c == '@' { before } else { word.len() };
                }
            }
        }
    }
    words.push(word);
    Line { words, quote, kept }
}

impl Line {
    /// What readline is to insert, so that bash reads the last word as `text`. `None` where what stays is not how the text
    /// begins, or a line could not hold it.
    pub(super) fn entry(&self, text: &str) -> Option<String> {
        let typed = self.words.last().map_or("", String::as_str);
        let (kept, rest) = (typed.get(..self.kept)?, text.get(self.kept..)?);
        if !text.starts_with(kept) || text.chars().any(char::is_control) {
            return None;
        }
        let mut entry = String::with_capacity(rest.len());
        for c in rest.chars() {
            match self.quote {
                Some('\'') if c == '\'' => entry.push_str("'\\''"),
                Some('"') if "\"\\$`".contains(c) => entry.extend(['\\', c]),
                None if !(c.is_alphanumeric() || "_-./,:=@%+".contains(c)) => entry.extend(['\\', c]),
                _ => entry.push(c),
            }
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BREAKS: &str = " \t\n\"'@><=;|&(:";

    #[test]
    fn words_are_read_as_bash_reads_them() {
        let table: &[(&str, &[&str], usize)] = &[
            ("larder ", &["larder", ""], 0),
            ("larder pl", &["larder", "pl"], 0),
            ("larder -chdir=a\\ b pl", &["larder", "-chdir=a b", "pl"], 0),
            ("larder -chdir=di", &["larder", "-chdir=di"], 7),
            ("larder -accept hides-data@ext", &["larder", "-accept", "hides-data@ext"], 10),
            ("larder state rm image.web[\\\"a", &["larder", "state", "rm", "image.web[\"a"], 0),
            ("larder state rm 'image.web[\"a", &["larder", "state", "rm", "image.web[\"a"], 0),
            ("larder -accept='x@y", &["larder", "-accept=x@y"], 8),
            ("larder -accept='x'@y", &["larder", "-accept=x@y"], 9),
            ("larder 'a b'c", &["larder", "a bc"], 0),
            ("larder \"a\\\"b\\c", &["larder", "a\"b\\c"], 0),
            ("larder ''", &["larder", ""], 0),
            ("larder é\\", &["larder", "é"], 0),
        ];
        for (line, words, kept) in table {
            let read = read(line, BREAKS);
            assert_eq!(
                (read.words.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), read.kept),
                (*words, *kept),
                "{line}"
            );
        }
    }

    #[test]
    fn entries_continue_what_was_typed() {
        let table = [
            ("x image.w", "image.web[\"a b\"]", Some("image.web\\[\\\"a\\ b\\\"\\]")),
            ("x 'image.w", "image.web[\"a b\"]", Some("image.web[\"a b\"]")),
            ("x \"image.w", "image.web[\"$a\"]", Some("image.web[\\\"\\$a\\\"]")),
            ("x '", "it's", Some("it'\\''s")),
            ("x -accept=", "-accept=hides-data@", Some("hides-data@")),
            ("x hides-data@ext", "hides-data@external_volume.a", Some("@external_volume.a")),
            ("x a@", "b@c", None),
            ("x ", "two\nlines", None),
        ];
        for (line, text, entry) in table {
            assert_eq!(read(line, BREAKS).entry(text).as_deref(), entry, "{line} {text}");
        }
    }

    proptest! {
        #[test]
        fn bash_reads_back_what_was_meant(
            text in "[ab=@:\\[\\]\"'\\\\$`!*?~ #&;|<>()é.-]{0,12}",
            cut in 0..12usize,
            quote in prop::option::of(prop_oneof![Just('\''), Just('"')]),
        ) {
            let raw = |text: &str| Line { words: vec![String::new()], quote, kept: 0 }.entry(text).expect("no control");
            let open = quote.map(String::from).unwrap_or_default();
            // As much of the text as was typed, in one of the ways to write it.
            let typed: String = text.chars().take(cut).collect();
            let line = read(&format!("larder {open}{}", raw(&typed)), BREAKS);
            prop_assert_eq!(line.words.last(), Some(&typed));
            // What readline leaves of the word, what it puts behind that, and the quote that it closes.
            let entry = line.entry(&text).expect("it begins so");
            let after = read(&format!("larder {open}{}{entry}{open}", raw(&typed[..line.kept])), BREAKS);
            prop_assert_eq!(after.words.last(), Some(&text), "{} -> {}", typed, entry);
            prop_assert_eq!(after.quote, None);
            prop_assert_eq!(after.words.len(), 2);
        }

        #[test]
        fn any_line_is_read(line in any::<String>(), text in any::<String>()) {
            let read = read(&line, BREAKS);
            prop_assert!(!read.words.is_empty());
            read.entry(&text);
        }
    }
}
