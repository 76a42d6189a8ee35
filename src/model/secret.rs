//! Credentials. Blocks, plans, steps, questions and states hold a mark that names one; only [`Secrets`] knows the texts, and only
//! the transport puts a text in the place of its mark, at the last moment.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::address::Address;

/// What a mark begins and ends with. No text that people write holds it by accident.
const BEGIN: &str = "\u{1}secret ";
const END: char = '\u{1}';

/// No shorter text is taken for a credential where one is looked for: it would be found in anything.
const SHORTEST: usize = 4;

/// The credentials of a configuration, by the mark that stands for each.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, String>);

impl Secrets {
    /// Keeps a text, and gives what stands for it: `name` is the attribute of the resource, with its nested block.
    pub fn seal(&mut self, address: &Address, name: &str, text: &str) -> String {
        let mark = format!("{BEGIN}{address} {name}{END}");
        self.0.insert(mark.clone(), text.to_owned());
        mark
    }

    /// The text with each credential in the place of its mark.
    ///
    /// # Errors
    /// The name of a credential that is not known here.
    pub fn reveal<'a>(&self, text: &'a str) -> Result<Cow<'a, str>, String> {
        let mut revealed = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(BEGIN) {
            let Some(length) = rest[at + BEGIN.len()..].find(END) else { break };
            let end = at + BEGIN.len() + length;
            let mark = &rest[at..end + END.len_utf8()];
            let secret = self.0.get(mark).ok_or_else(|| rest[at + BEGIN.len()..end].to_owned())?;
            revealed.push_str(&rest[..at]);
            revealed.push_str(secret);
            rest = &rest[at + mark.len()..];
        }
        match revealed.is_empty() && rest.len() == text.len() {
            true => Ok(Cow::Borrowed(text)),
            false => Ok(Cow::Owned(revealed + rest)),
        }
    }

    /// The names of the credentials that a text has marks of and that are not known here.
    pub fn missing_in(&self, text: &str) -> Vec<String> {
        let marks = text.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END));
        let names = marks.map(|(name, _)| name.to_owned());
        names.filter(|name| !self.0.contains_key(&format!("{BEGIN}{name}{END}"))).collect()
    }

    /// The text without any credential that a program may have repeated in it.
    pub fn conceal(&self, text: String) -> String {
        let known = self.0.values().filter(|secret| secret.len() >= SHORTEST);
        known.fold(text, |text, secret| match text.contains(secret.as_str()) {
            true => text.replace(secret.as_str(), "(sensitive value)"),
            false => text,
        })
    }
}

/// What a mark stands for, in words: `external_volume.smb password`.
pub fn named(text: &str) -> Option<&str> {
    text.strip_prefix(BEGIN)?.strip_suffix(END)
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys().filter_map(|mark| named(mark))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Address {
        "external_volume.smb[\"a b\"]".parse().expect("an address")
    }

    #[test]
    fn a_mark_becomes_the_text_and_nothing_else_does() {
        let mut secrets = Secrets::default();
        let mark = secrets.seal(&address(), "cifs.password", "p,w\n é");
        assert_eq!(named(&mark), Some("external_volume.smb[\"a b\"] cifs.password"));
        let table = [
            (format!("a={mark}\nb={mark}"), "a=p,w\n é\nb=p,w\n é"),
            (mark.clone(), "p,w\n é"),
            ("plain \u{1}text\u{1}".to_owned(), "plain \u{1}text\u{1}"),
            (format!("{BEGIN}without an end"), "\u{1}secret without an end"),
            (String::new(), ""),
        ];
        for (text, revealed) in table {
            assert_eq!(secrets.reveal(&text).as_deref(), Ok(revealed));
        }
        assert_eq!(secrets.missing_in(&format!("a={mark}")), [""; 0]);
        assert_eq!(Secrets::default().missing_in(&format!("a={mark}")), ["external_volume.smb[\"a b\"] cifs.password"]);
        assert_eq!(Secrets::default().reveal(&mark), Err("external_volume.smb[\"a b\"] cifs.password".to_owned()));
        assert!(!format!("{secrets:?}").contains("p,w"));
    }

    #[test]
    fn what_a_program_repeats_is_concealed() {
        let mut secrets = Secrets::default();
        secrets.seal(&address(), "a", "hunter22");
        secrets.seal(&address(), "b", "x");
        assert_eq!(secrets.conceal("no hunter22 for x".to_owned()), "no (sensitive value) for x");
    }
}
