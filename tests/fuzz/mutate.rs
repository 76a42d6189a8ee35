//! Inputs for the bounded run: pieces of real configurations and hostile ones, changed byte by byte, word by word, put
//! together and nested. The same seed gives the same inputs.

#![allow(dead_code, reason = "each test binary uses its own part")]

/// A generator of numbers that gives the same each time.
#[derive(Debug)]
pub(crate) struct Numbers(pub u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        // xorshift64 (Marsaglia 2003)
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).expect("48 bits") % limit.max(1)
    }

    pub(crate) fn one<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Words that are at some edge of the language.
const WORDS: &[&str] = &[
    "0",
    "1",
    "-1",
    "0.1",
    "1e9",
    "1e-9",
    "1e131071",
    "1e-400",
    "9007199254740993",
    "18446744073709551616",
    "null",
    "true",
    "false",
    "\"\"",
    "\"\\u0000\"",
    "\"\\U0010FFFF\"",
    "\"é\"",
    "\"\u{202e}\"",
    "[]",
    "{}",
    "[*]",
    ".*",
    "...",
    "=>",
    "==",
    "?",
    ":",
    "${",
    "%{",
    "$${",
    "~}",
    "}",
    "{",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "<<EOT\n",
    "<<-EOT\n",
    "\nEOT\n",
    "#",
    "//",
    "/*",
    "*/",
    "\n",
    "\r\n",
    "\t",
    "\u{feff}",
    "for",
    "in",
    "if",
    "else",
    "endif",
    "endfor",
    "each.key",
    "each.value",
    "count.index",
    "self",
    "path.module",
    "var",
    "local",
    "module",
    "host",
    "host.hv1",
    "host.hv1.facts",
    "host.hv1.facts.users",
    "image",
    "count = 2\n",
    "for_each = ",
    "depends_on = ",
    "dynamic \"device\" {\n",
    "content {\n",
    "lifecycle {\n",
    "precondition {\n",
    "locals {\n",
    "variable \"x\" {\n",
    "output \"x\" {\n",
    "moved {\n",
    "removed {\n",
    "check \"x\" {\n",
    "module \"x\" {\n",
    "source = \"./\"\n",
];

/// What expressions and bodies can be wrapped in.
const NESTS: &[(&str, &str)] = &[
    ("(", ")"),
    ("[", "]"),
    ("{ a = ", " }"),
    ("[for x in ", " : x]"),
    ("{ for k, v in ", " : k => v... }"),
    ("\"${", "}\""),
    ("\"%{ if ", " }a%{ endif }\""),
    ("upper(", ")"),
    ("try(", ", null)"),
    ("tolist(", ")"),
    ("jsonencode(", ")"),
    ("flatten([", "])"),
    ("!", ""),
    ("-", ""),
    ("", "[0]"),
    ("", ".a"),
    ("", "[*].a"),
    ("true ? ", " : null"),
    ("<<EOT\n${", "}\nEOT\n"),
    ("{\n", "\n}"),
    ("locals {\n  x = ", "\n}\n"),
    ("output \"x\" {\n  value = ", "\n}\n"),
];

/// The text cut into words, numbers, blanks and signs.
fn tokens(text: &str) -> Vec<&str> {
    let kind = |c: char| match c {
        c if c.is_alphanumeric() || c == '_' => 0,
        ' ' => 1,
        _ => 2,
    };
    let mut tokens = Vec::new();
    let mut start = 0;
    let mut before = None;
    for (at, c) in text.char_indices() {
        if before.is_some_and(|before| before != kind(c) || before == 2) {
            tokens.push(&text[start..at]);
            start = at;
        }
        before = Some(kind(c));
    }
    tokens.push(&text[start..]);
    tokens
}

/// A new input of so many bytes at most, made of those that there are.
pub(crate) fn mutated(pool: &[Vec<u8>], numbers: &mut Numbers, longest: usize) -> Vec<u8> {
    let mut bytes = numbers.one::<Vec<u8>>(pool).clone();
    for _ in 0..=numbers.below(4) {
        bytes = match numbers.below(10) {
            0 => of_bytes(bytes, numbers),
            1 | 2 => spliced(bytes, &pool[numbers.below(pool.len())], numbers),
            3 => nested(&String::from_utf8_lossy(&bytes), numbers),
            _ => of_words(&String::from_utf8_lossy(&bytes), pool, numbers),
        };
    }
    bytes.truncate(longest);
    bytes
}

/// Some bytes changed, moved, or gone.
pub(crate) fn of_bytes(mut bytes: Vec<u8>, numbers: &mut Numbers) -> Vec<u8> {
    let at = numbers.below(bytes.len() + 1);
    let end = (at + numbers.below(40)).min(bytes.len());
    match numbers.below(6) {
        0 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
        1 => bytes.truncate(at),
        2 => bytes.insert(at, [0, 255, b'{', b'"', b'$', b'%', b'\n', b'9', b'-', 0xc3][numbers.below(10)]),
        3 => drop(bytes.drain(at..end)),
        4 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
        _ => bytes[at..end].reverse(),
    }
    bytes
}

fn of_words(text: &str, pool: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut words = tokens(text);
    let at = numbers.below(words.len());
    let end = (at + 1 + numbers.below(8)).min(words.len());
    let other = String::from_utf8_lossy(numbers.one::<Vec<u8>>(pool)).into_owned();
    let others = tokens(&other);
    match numbers.below(8) {
        0 => drop(words.drain(at..end)),
        1 => {
            let again: Vec<&str> = words[at..end].to_vec();
            let times = 1 + numbers.below(3);
            words.splice(at..at, std::iter::repeat_n(again, times).flatten());
        }
        2 => {
            let with = numbers.below(words.len());
            words.swap(at, with);
        }
        3 => words[at] = *numbers.one(WORDS),
        4 => words.insert(at, *numbers.one(WORDS)),
        5 => words[at] = *numbers.one(&others),
        _ => {
            let from = numbers.below(others.len());
            let to = (from + 1 + numbers.below(12)).min(others.len());
            words.splice(at..end, others[from..to].iter().copied());
        }
    }
    words.concat().into_bytes()
}

/// Whole lines of another input among those of this one.
fn spliced(bytes: Vec<u8>, other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let others: Vec<&[u8]> = other.split_inclusive(|byte| *byte == b'\n').collect();
    if others.is_empty() {
        return bytes;
    }
    let at = numbers.below(lines.len() + 1);
    let from = numbers.below(others.len());
    let to = (from + 1 + numbers.below(12)).min(others.len());
    [lines[..at].concat(), others[from..to].concat(), lines[at..].concat()].concat()
}

/// Some words of the text in many brackets.
fn nested(text: &str, numbers: &mut Numbers) -> Vec<u8> {
    let words = tokens(text);
    let at = numbers.below(words.len());
    let end = (at + 1 + numbers.below(6)).min(words.len());
    let (open, close) = *numbers.one(NESTS);
    let depth = *numbers.one(&[1, 1, 2, 3, 20, 70, 300]);
    [words[..at].concat(), open.repeat(depth), words[at..end].concat(), close.repeat(depth), words[end..].concat()]
        .concat()
        .into_bytes()
}
