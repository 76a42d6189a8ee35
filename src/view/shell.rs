//! Commands as a person would type them.

use std::fmt::Write as _;

use crate::model::{Command, escape_line};

/// The words as one line that a shell reads back as the same words. What a terminal would obey is written in `$'...'`,
/// which bash, zsh and ksh understand.
pub(super) fn line<S: AsRef<str>>(words: &[S]) -> String {
    let drawn = |word: &str| if word == Command::DRAWN { "RANDOM".to_owned() } else { quoted(word) };
    words.iter().map(|word| drawn(word.as_ref())).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    if escape_line(word) == word {
        // Only a NUL cannot be quoted, and that is escaped below.
        return shlex::try_quote(word).map_or_else(|_| word.to_owned(), |quoted| quoted.into_owned());
    }
    let mut text = String::from("$'");
    let mut buffer = [0; 4];
    for c in word.chars() {
        let one: &str = c.encode_utf8(&mut buffer);
        match c {
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\'' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            _ if escape_line(one) == one => text.push(c),
            // Three octal digits end by themselves; hexadecimal ones would swallow a digit that follows.
            _ => one.bytes().for_each(|byte| write!(text, "\\{byte:03o}").expect("a String takes any text")),
        }
    }
    text.push('\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_read_them_otherwise() {
        let table: &[(&[&str], &str)] = &[
            (&["mount", "-o", "rw,noatime", "--", "/dev/sdb", "/srv/nfs"], "mount -o rw,noatime -- /dev/sdb /srv/nfs"),
            (&["chown", "--", "a b", "it's"], "chown -- 'a b' \"it's\""),
            (&["x", "", "$(reboot)"], "x '' '$(reboot)'"),
            (&["canary_write", Command::DRAWN], "canary_write RANDOM"),
            (&["two\nlines", "\x1b[31m1", "'\u{202e}"], "$'two\\nlines' $'\\033[31m1' $'\\'\\342\\200\\256'"),
        ];
        for (words, expected) in table {
            assert_eq!(line(words), *expected);
        }
    }

    #[test]
    fn a_real_shell_reads_the_same_words() {
        for word in ["it's", "a\nb\tc\\", "\x1b7", "\u{202e}é日", "$'x'", "`id`", "-n", "!x", "*"] {
            let script = format!("printf %s {}", quoted(word));
            let Ok(output) = std::process::Command::new("bash").args(["-c", &script]).output() else { return };
            assert_eq!(String::from_utf8_lossy(&output.stdout), word, "{script}");
        }
    }

    proptest! {
        #[test]
        fn a_command_is_one_harmless_line(words in prop::collection::vec(any::<String>(), 0..4)) {
            let text = line(&words);
            prop_assert_eq!(escape_line(&text), text);
        }
    }
}
