//! The library that reads the command line writes options with two dashes; people see them with one, as Larder's
//! documentation has them.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Codes of colour, which stand around the names of options on a terminal.
const COLOURS: &str = r"(?:\x1b\[[0-9;]*m)*";

/// The text of the library with `-option` for `--option`, its lists of options moved to the left where room for short
/// names would be.
pub fn with_one_dash(text: &str) -> String {
    static OPTION: LazyLock<Regex> = LazyLock::new(|| pattern(&format!("^ {{6}}({COLOURS})--")));
    static MENTION: LazyLock<Regex> = LazyLock::new(|| pattern(&format!(r#"(^|[\s'"`\[(|<])({COLOURS})--([a-z])"#)));
    let mut out = String::with_capacity(text.len());
    let mut within = false;
    for line in text.split_inclusive('\n') {
        let line = match OPTION.captures(line) {
            Some(found) => {
                within = true;
                line.replacen(&found[0], &format!("  {}-", &found[1]), 1)
            }
            // Further lines of a description stand below its first one.
            None if within && line.starts_with("          ") => line[5..].to_owned(),
            None => {
                within = false;
                line.to_owned()
            }
        };
        out.push_str(
            &MENTION.replace_all(&line, |found: &Captures| format!("{}{}-{}", &found[1], &found[2], &found[3])),
        );
    }
    out
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_shown_with_one_dash_in_their_columns() {
        let table = [
            (
                "Options:\n      --out <FILE>   Write it\n                     there\n      --json         Print\n\nEnd:\n          x\n",
                "Options:\n  -out <FILE>   Write it\n                there\n  -json         Print\n\nEnd:\n          x\n",
            ),
            ("      \x1b[1m--out\x1b[0m <FILE>  x\n", "  \x1b[1m-out\x1b[0m <FILE>  x\n"),
            ("error: unexpected argument '--x' found", "error: unexpected argument '-x' found"),
            ("use '\x1b[33m-- --x\x1b[0m'", "use '\x1b[33m-- -x\x1b[0m'"),
            ("try '\x1b[1m--help\x1b[0m'.", "try '\x1b[1m-help\x1b[0m'."),
            ("a--b --, --- [--x]", "a--b --, --- [-x]"),
        ];
        for (text, shown) in table {
            assert_eq!(with_one_dash(text), shown);
        }
    }
}
