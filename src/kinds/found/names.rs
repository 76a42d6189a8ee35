//! Names of blocks out of paths and file names that a host told: words of the language, each given once.

use std::collections::BTreeSet;

/// The longest word that is made of a text.
const LONGEST: usize = 48;

/// The names of one kind that are taken.
#[derive(Debug, Clone, Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    pub fn taken(names: impl IntoIterator<Item = String>) -> Self {
        Names(names.into_iter().collect())
    }

    /// The first of the words that is free, else the last with a number behind it; it is taken from now on.
    pub fn give(&mut self, words: &[String]) -> String {
        let last = words.last().map_or("x", String::as_str);
        let numbered = (2..).map(|number: u32| format!("{last}_{number}"));
        let free = words.iter().cloned().chain(numbered).find(|word| !self.0.contains(word)).unwrap_or_default();
        self.0.insert(free.clone());
        free
    }
}

/// A text as a word of the language: ASCII letters, digits, `_` and `-`, beginning with a letter. `otherwise` goes before what
/// begins with none, and stands for what has nothing that could stay.
pub fn word(text: &str, otherwise: &str) -> String {
    let mut word = String::new();
    for c in text.chars() {
        match c {
            c if c.is_ascii_alphanumeric() || c == '-' => word.push(c),
            _ if !word.ends_with('_') => word.push('_'),
            _ => {}
        }
    }
    let mut word = word.trim_matches(['_', '-']).to_owned();
    word.truncate(LONGEST);
    let word = word.trim_end_matches(['_', '-']);
    match word.chars().next() {
        None => otherwise.to_owned(),
        Some(first) if first.is_ascii_alphabetic() => word.to_owned(),
        Some(_) => format!("{otherwise}_{word}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_keep_what_the_language_can_have() {
        let table = [
            ("images", "images"),
            ("my images", "my_images"),
            ("web-1", "web-1"),
            ("10.0.0.11", "x_10_0_0_11"),
            ("${file(\"/etc/shadow\")}", "file_etc_shadow"),
            ("日本", "x"),
            ("", "x"),
            ("--a--", "a"),
            ("a\n\"b", "a_b"),
        ];
        for (text, expected) in table {
            assert_eq!(word(text, "x"), expected, "{text:?}");
        }
    }

    #[test]
    fn a_name_is_given_once() {
        let mut names = Names::taken(["a".to_owned()]);
        let words = ["a".to_owned(), "a_hv1".to_owned()];
        assert_eq!([(); 3].map(|()| names.give(&words)), ["a_hv1", "a_hv1_2", "a_hv1_3"]);
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_word(text in any::<String>()) {
            let word = word(&text, "x");
            prop_assert!(word.starts_with(|c: char| c.is_ascii_alphabetic()));
            prop_assert!(word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'));
            prop_assert!(word.len() <= LONGEST + 2);
        }
    }
}
