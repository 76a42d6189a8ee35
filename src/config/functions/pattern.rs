//! Regular expressions in the syntax of RE2, as Terraform takes them: read here, checked, and written anew for the engine,
//! whose own syntax differs in what `\w`, `\b`, `a**` or `[[a]]` mean.

use regex::{Captures, Regex};

/// The most repetitions, also of repetitions within each other.
const MOST_REPETITIONS: u32 = 1000;
/// A class that no character is in.
const NOTHING: &str = r"[^\x{0}-\x{10FFFF}]";

/// A regular expression and the names of its groups, in order.
#[derive(Debug)]
pub(super) struct Pattern {
    pub regex: Regex,
    pub names: Vec<Option<String>>,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Pattern, String> {
        let mut reader = Reader {
            text,
            at: 0,
            flags: Flags::default(),
            open: vec![Level::default()],
            names: Vec::new(),
            after_repetition: false,
        };
        while let Some(c) = reader.next() {
            reader.item(c)?;
        }
        if reader.open.len() > 1 {
            return Err("a `(` is not closed".to_owned());
        }
        let whole = reader.open.pop().unwrap_or_default().written();
        let regex = Regex::new(&whole).map_err(|_| "it is too large".to_owned())?;
        Ok(Pattern { regex, names: reader.names })
    }

    /// Adds the replacement of one match: `$1` and `${name}` stand for what a group matched, `$$` for `$`.
    pub(super) fn expand(&self, captures: &Captures<'_>, replacement: &str, out: &mut String) {
        self.each_piece(captures, replacement, &mut |piece| out.push_str(piece));
    }

    /// How many bytes [`Pattern::expand`] would write: a short replacement may name a long group many times.
    pub(super) fn expanded_length(&self, captures: &Captures<'_>, replacement: &str) -> usize {
        let mut length = 0_usize;
        self.each_piece(captures, replacement, &mut |piece| length = length.saturating_add(piece.len()));
        length
    }

    fn each_piece(&self, captures: &Captures<'_>, replacement: &str, piece: &mut dyn FnMut(&str)) {
        let mut rest = replacement;
        while let Some(at) = rest.find('$') {
            piece(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(behind) = rest.strip_prefix('$') {
                piece("$");
                rest = behind;
                continue;
            }
            let (inner, braced) = rest.strip_prefix('{').map_or((rest, false), |inner| (inner, true));
            let end = inner.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(inner.len());
            let (name, behind) = inner.split_at(end);
            let behind = if braced { behind.strip_prefix('}') } else { Some(behind) };
            match behind {
                Some(behind) if !name.is_empty() => {
                    piece(self.group(captures, name));
                    rest = behind;
                }
                _ => piece("$"),
            }
        }
        piece(rest);
    }

    fn group<'t>(&self, captures: &Captures<'t>, name: &str) -> &'t str {
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
        if is_number {
            let found = name.parse().ok().and_then(|index: usize| captures.get(index));
            return found.map_or("", |found| found.as_str());
        }
        let named = self.names.iter().enumerate().filter(|(_, known)| known.as_deref() == Some(name));
        named.filter_map(|(index, _)| captures.get(index + 1)).next().map_or("", |found| found.as_str())
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    fold: bool,
    lines: bool,
    dot_is_all: bool,
    lazy: bool,
}

/// What a repetition applies to, written for the engine, with the repetitions that are within it.
struct Atom {
    text: String,
    repetitions: u32,
}

/// A group that is not closed yet, or the whole pattern.
#[derive(Default)]
struct Level {
    captures: bool,
    /// The flags from before the group.
    outer: Flags,
    alternatives: Vec<String>,
    atoms: Vec<Atom>,
    repetitions: u32,
}

impl Level {
    fn next_alternative(&mut self) {
        let most = self.atoms.iter().map(|atom| atom.repetitions).max().unwrap_or(1);
        self.repetitions = self.repetitions.max(most);
        self.alternatives.push(self.atoms.drain(..).map(|atom| atom.text).collect());
    }

    fn written(mut self) -> String {
        self.next_alternative();
        self.alternatives.join("|")
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    flags: Flags,
    open: Vec<Level>,
    names: Vec<Option<String>>,
    after_repetition: bool,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn takes(&mut self, what: &str) -> bool {
        let found = self.rest().starts_with(what);
        if found {
            self.at += what.len();
        }
        found
    }

    fn level(&mut self) -> &mut Level {
        if self.open.is_empty() {
            self.open.push(Level::default());
        }
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    fn push(&mut self, text: impl Into<String>) {
        self.level().atoms.push(Atom { text: text.into(), repetitions: 1 });
    }

    /// Something that letters are in, in the case that the flags ask for.
    fn push_folded(&mut self, text: &str) {
        let text = if self.flags.fold { format!("(?i:{text})") } else { text.to_owned() };
        self.push(text);
    }

    fn literal(&mut self, c: char) {
        let escaped = regex::escape(c.encode_utf8(&mut [0; 4]));
        self.push_folded(&escaped);
    }

    fn item(&mut self, c: char) -> Result<(), String> {
        let after_repetition = std::mem::take(&mut self.after_repetition);
        match c {
            '(' if self.takes("?") => self.group_with_flags()?,
            '(' => self.open_group(Some(None)),
            '|' => self.level().next_alternative(),
            ')' => self.close_group()?,
            '^' => self.push(if self.flags.lines { "(?m:^)" } else { r"\A" }),
            '$' => self.push(if self.flags.lines { "(?m:$)" } else { r"\z" }),
            '.' => self.push(if self.flags.dot_is_all { "(?s:.)" } else { "(?-s:.)" }),
            '[' => {
                let class = self.class()?;
                self.push_folded(&class);
            }
            '*' => self.repeat("*", 1, after_repetition)?,
            '+' => self.repeat("+", 1, after_repetition)?,
            '?' => self.repeat("?", 1, after_repetition)?,
            '{' => match self.range()? {
                None => self.literal('{'),
                Some((written, times)) => self.repeat(&written, times, after_repetition)?,
            },
            '\\' => self.escape()?,
            other => self.literal(other),
        }
        Ok(())
    }

    fn open_group(&mut self, captures: Option<Option<String>>) {
        let level = Level { captures: captures.is_some(), outer: self.flags, ..Level::default() };
        self.names.extend(captures);
        self.open.push(level);
    }

    fn close_group(&mut self) -> Result<(), String> {
        if self.open.len() < 2 {
            return Err("a `)` closes nothing".to_owned());
        }
        let Some(mut level) = self.open.pop() else { return Ok(()) };
        self.flags = level.outer;
        let captures = level.captures;
        level.next_alternative();
        let repetitions = level.repetitions;
        let inner = level.alternatives.join("|");
        let text = if captures { format!("({inner})") } else { format!("(?:{inner})") };
        self.level().atoms.push(Atom { text, repetitions });
        Ok(())
    }

    /// What stands behind `(?`.
    fn group_with_flags(&mut self) -> Result<(), String> {
        if self.takes("P<") || self.takes("<") {
            let name = self.rest().split_once('>').map(|(name, _)| name.to_owned()).unwrap_or_default();
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err("the name of a group is not valid".to_owned());
            }
            self.at += name.len() + 1;
            self.open_group(Some(Some(name)));
            return Ok(());
        }
        let mut flags = self.flags;
        let (mut sets, mut seen) = (true, true);
        loop {
            match self.next() {
                Some('i') => flags.fold = sets,
                Some('m') => flags.lines = sets,
                Some('s') => flags.dot_is_all = sets,
                Some('U') => flags.lazy = sets,
                Some('-') if sets => {
                    (sets, seen) = (false, false);
                    continue;
                }
                Some(end @ (':' | ')')) if seen => {
                    if end == ':' {
                        self.open_group(None);
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => return Err("what stands behind `(?` is not supported".to_owned()),
            }
            seen = true;
        }
    }

    /// `2}`, `2,}` or `2,3}`, written for the engine, and how often it repeats at most; `None` where it is just text.
    fn range(&mut self) -> Result<Option<(String, u32)>, String> {
        let Some((inner, _)) = self.rest().split_once('}') else { return Ok(None) };
        let (least, most) = inner.split_once(',').map_or((inner, None), |(least, most)| (least, Some(most)));
        let is_number = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && (text == "0" || !text.starts_with('0'))
        };
        if !is_number(least) || most.is_some_and(|most| !most.is_empty() && !is_number(most)) {
            return Ok(None);
        }
        let written = format!("{{{inner}}}");
        self.at += inner.len() + 1;
        let number = |text: &str| text.parse().ok().filter(|number| *number <= MOST_REPETITIONS);
        let too_many = || format!("a repetition is from 0 to {MOST_REPETITIONS} times");
        let least = number(least).ok_or_else(too_many)?;
        let most = match most {
            None => least,
            Some("") => return Ok(Some((written, least))),
            Some(most) => number(most).filter(|most| *most >= least).ok_or_else(too_many)?,
        };
        Ok(Some((written, most)))
    }

    fn repeat(&mut self, written: &str, times: u32, after_repetition: bool) -> Result<(), String> {
        let lazy = self.takes("?") != self.flags.lazy;
        if after_repetition {
            return Err("a repetition repeats a repetition".to_owned());
        }
        let Some(atom) = self.level().atoms.pop() else {
            return Err(format!("`{written}` repeats nothing"));
        };
        let repetitions = if times == 0 { 1 } else { atom.repetitions.saturating_mul(times) };
        if times >= 2 && repetitions > MOST_REPETITIONS {
            return Err(format!("repetitions within each other are up to {MOST_REPETITIONS} times"));
        }
        let text = format!("(?:{}){written}{}", atom.text, if lazy { "?" } else { "" });
        self.level().atoms.push(Atom { text, repetitions });
        self.after_repetition = true;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        if self.takes("Q") {
            let rest = self.rest();
            let (quoted, length) = match rest.split_once(r"\E") {
                Some((quoted, _)) => (quoted.to_owned(), quoted.len() + 2),
                None => (rest.to_owned(), rest.len()),
            };
            self.at += length;
            quoted.chars().for_each(|c| self.literal(c));
            return Ok(());
        }
        for (letter, written) in [("A", r"\A"), ("z", r"\z"), ("b", r"(?-u:\b)"), ("B", r"(?-u:\B)")] {
            if self.takes(letter) {
                self.push(written);
                return Ok(());
            }
        }
        if let Some(class) = self.class_escape()? {
            self.push_folded(&format!("[{class}]"));
            return Ok(());
        }
        let c = self.escaped_character()?;
        self.literal(c);
        Ok(())
    }

    /// `\d`, `\pL` and their like, as an item of a class.
    fn class_escape(&mut self) -> Result<Option<String>, String> {
        let ascii = [("d", "0-9"), ("s", r"\t\n\x0C\r\x20"), ("w", "0-9A-Za-z_")];
        for (letter, ranges) in ascii {
            if self.takes(letter) {
                return Ok(Some(ranges.to_owned()));
            }
            if self.takes(&letter.to_uppercase()) {
                return Ok(Some(format!("[^{ranges}]")));
            }
        }
        let negated = match (self.takes("p"), self.rest().starts_with('P')) {
            (true, _) => false,
            (_, true) => {
                self.at += 1;
                true
            }
            _ => return Ok(None),
        };
        let unknown = || "there is no such class of characters".to_owned();
        let name = match self.next().ok_or_else(unknown)? {
            '{' => {
                let name = self.rest().split_once('}').map(|(name, _)| name.to_owned()).ok_or_else(unknown)?;
                self.at += name.len() + 1;
                name
            }
            letter => letter.to_string(),
        };
        let (name, negated) = match name.strip_prefix('^') {
            Some(name) => (name, !negated),
            None => (name.as_str(), negated),
        };
        let class = match name {
            "Any" => r"\x{0}-\x{10FFFF}".to_owned(),
            "Cs" => NOTHING.to_owned(),
            // What is not assigned is no category.
            "C" => r"\p{Cc}\p{Cf}\p{Co}".to_owned(),
            _ if CATEGORIES.contains(&name) => format!(r"\p{{gc={name}}}"),
            _ if SCRIPTS.contains(&name) => format!(r"\p{{sc={name}}}"),
            _ => return Err(unknown()),
        };
        Ok(Some(if negated { format!("[^{class}]") } else { class }))
    }

    /// The character that stands behind a backslash.
    fn escaped_character(&mut self) -> Result<char, String> {
        let wrong = || "an escape sequence is not valid".to_owned();
        let octal = |c: char| c.to_digit(8);
        let value = match self.next().ok_or_else(wrong)? {
            'a' => 7,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            'x' if self.takes("{") => {
                let digits = self.rest().split_once('}').map(|(digits, _)| digits.to_owned()).ok_or_else(wrong)?;
                self.at += digits.len() + 1;
                let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                let digits = digits.trim_start_matches('0');
                if !is_number || digits.len() > 6 {
                    return Err(wrong());
                }
                u32::from_str_radix(digits, 16).unwrap_or(0)
            }
            'x' => {
                let (high, low) = (self.next(), self.next());
                let digit = |c: Option<char>| c.and_then(|c| c.to_digit(16)).ok_or_else(wrong);
                digit(high)? * 16 + digit(low)?
            }
            // A digit alone would refer back to a group.
            c @ '1'..='7' if !self.rest().starts_with(|c| octal(c).is_some()) => {
                return Err(format!("`\\{c}` is not supported"));
            }
            c @ '0'..='7' => {
                let mut value = octal(c).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.rest().chars().next().and_then(octal) else { break };
                    value = value * 8 + digit;
                    self.at += 1;
                }
                value
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => c.into(),
            _ => return Err(wrong()),
        };
        char::from_u32(value).ok_or_else(wrong)
    }

    /// A class, behind its `[`.
    fn class(&mut self) -> Result<String, String> {
        let mut class = String::from(if self.takes("^") { "[^" } else { "[" });
        let mut is_first = true;
        while is_first || !self.rest().starts_with(']') {
            is_first = false;
            if let Some(inner) = self.rest().strip_prefix("[:")
                && let Some((name, _)) = inner.split_once(":]")
            {
                if !ASCII_CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
                    return Err(format!("there is no class `[:{name}:]`"));
                }
                class.push_str(&format!("[:{name}:]"));
                self.at += name.len() + 4;
                continue;
            }
            let from = match self.takes("\\") {
                true => match self.class_escape()? {
                    Some(item) => {
                        class.push_str(&item);
                        continue;
                    }
                    None => self.escaped_character()?,
                },
                false => self.class_character()?,
            };
            let is_range = self.rest().starts_with('-') && !self.rest().starts_with("-]") && self.rest() != "-";
            if !is_range {
                class.push_str(&format!(r"\x{{{:X}}}", u32::from(from)));
                continue;
            }
            self.at += 1;
            let to = if self.takes("\\") { self.escaped_character()? } else { self.class_character()? };
            if to < from {
                return Err("a range of characters runs backwards".to_owned());
            }
            class.push_str(&format!(r"\x{{{:X}}}-\x{{{:X}}}", u32::from(from), u32::from(to)));
        }
        self.at += 1;
        class.push(']');
        Ok(class)
    }

    fn class_character(&mut self) -> Result<char, String> {
        self.next().ok_or_else(|| "a `[` is not closed".to_owned())
    }
}

const ASCII_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

const CATEGORIES: [&str; 36] = [
    "Cc", "Cf", "Co", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No", "P", "Pc", "Pd",
    "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs", "Cs", "C",
];

#[rustfmt::skip]
const SCRIPTS: &[&str] = &[
    "Adlam", "Ahom", "Anatolian_Hieroglyphs", "Arabic", "Armenian", "Avestan", "Balinese", "Bamum", "Bassa_Vah",
    "Batak", "Bengali", "Bhaiksuki", "Bopomofo", "Brahmi", "Braille", "Buginese", "Buhid", "Canadian_Aboriginal",
    "Carian", "Caucasian_Albanian", "Chakma", "Cham", "Cherokee", "Chorasmian", "Common", "Coptic", "Cuneiform",
    "Cypriot", "Cypro_Minoan", "Cyrillic", "Deseret", "Devanagari", "Dives_Akuru", "Dogra", "Duployan",
    "Egyptian_Hieroglyphs", "Elbasan", "Elymaic", "Ethiopic", "Georgian", "Glagolitic", "Gothic", "Grantha", "Greek",
    "Gujarati", "Gunjala_Gondi", "Gurmukhi", "Han", "Hangul", "Hanifi_Rohingya", "Hanunoo", "Hatran", "Hebrew",
    "Hiragana", "Imperial_Aramaic", "Inherited", "Inscriptional_Pahlavi", "Inscriptional_Parthian", "Javanese",
    "Kaithi", "Kannada", "Katakana", "Kawi", "Kayah_Li", "Kharoshthi", "Khitan_Small_Script", "Khmer", "Khojki",
    "Khudawadi", "Lao", "Latin", "Lepcha", "Limbu", "Linear_A", "Linear_B", "Lisu", "Lycian", "Lydian", "Mahajani",
    "Makasar", "Malayalam", "Mandaic", "Manichaean", "Marchen", "Masaram_Gondi", "Medefaidrin", "Meetei_Mayek",
    "Mende_Kikakui", "Meroitic_Cursive", "Meroitic_Hieroglyphs", "Miao", "Modi", "Mongolian", "Mro", "Multani",
    "Myanmar", "Nabataean", "Nag_Mundari", "Nandinagari", "New_Tai_Lue", "Newa", "Nko", "Nushu",
    "Nyiakeng_Puachue_Hmong", "Ogham", "Ol_Chiki", "Old_Hungarian", "Old_Italic", "Old_North_Arabian", "Old_Permic",
    "Old_Persian", "Old_Sogdian", "Old_South_Arabian", "Old_Turkic", "Old_Uyghur", "Oriya", "Osage", "Osmanya",
    "Pahawh_Hmong", "Palmyrene", "Pau_Cin_Hau", "Phags_Pa", "Phoenician", "Psalter_Pahlavi", "Rejang", "Runic",
    "Samaritan", "Saurashtra", "Sharada", "Shavian", "Siddham", "SignWriting", "Sinhala", "Sogdian", "Sora_Sompeng",
    "Soyombo", "Sundanese", "Syloti_Nagri", "Syriac", "Tagalog", "Tagbanwa", "Tai_Le", "Tai_Tham", "Tai_Viet",
    "Takri", "Tamil", "Tangsa", "Tangut", "Telugu", "Thaana", "Thai", "Tibetan", "Tifinagh", "Tirhuta", "Toto",
    "Ugaritic", "Vai", "Vithkuqi", "Wancho", "Warang_Citi", "Yezidi", "Yi", "Zanabazar_Square",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_the_meaning_of_re2() {
        for (pattern, text, found) in [
            (r"\w+", "é a_1", Some("a_1")),
            (r"\bé", "é", None),
            (r"[[a]]", "[]", Some("[]")),
            (r"[a&&b]+", "x&&b", Some("&&b")),
            (r"\Qa.b\E+", "a.bb", Some("a.bb")),
            (r"a(?i)*B", "aaab", Some("aaab")),
            (r"(?U)a+", "aaa", Some("a")),
            (r"x{,2}", "x{,2}", Some("x{,2}")),
            (r"\101\x{42}", "AB", Some("AB")),
            (r"(?i)k", "\u{212a}", Some("\u{212a}")),
            (r"\p{Greek}\PL", "α1", Some("α1")),
            (r"\s", "\u{b}\u{a0}", None),
        ] {
            let pattern = Pattern::parse(pattern).expect(pattern);
            assert_eq!(pattern.regex.find(text).map(|found| found.as_str()), found, "{pattern:?} {text}");
        }
    }

    #[test]
    fn the_length_of_a_replacement_is_known_before_it_is_made() {
        let pattern = Pattern::parse("(?P<x>b+)(c)?").expect("a pattern");
        for with in ["", "é", "$0$0", "${x}-$x", "$2$3$$", "$ $x_", "${x", "$"] {
            let captures = pattern.regex.captures("abbd").expect("a match");
            let mut made = String::new();
            pattern.expand(&captures, with, &mut made);
            assert_eq!(pattern.expanded_length(&captures, with), made.len(), "{with}");
        }
    }

    #[test]
    fn what_re2_has_not_is_refused() {
        for pattern in [
            "a**",
            "a++",
            "*",
            "(|*)",
            "a{1001}",
            "(a{100}){11}",
            "a{2,1}",
            r"\1",
            r"\Z",
            r"\u0041",
            "(?=a)",
            "(?x)a",
            "(?i-)a",
            "(",
            ")",
            "[a",
            "[z-a]",
            "[[:foo:]]",
            r"\p{Letter}",
            r"\p{greek}",
            "(?P<a b>c)",
            r"[\b]",
            "\\",
            r"\C",
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_pattern_or_not(text in r"[a-c(){}\[\]|*+?^$.\\0-9,:PQEpdwb<>=!i-]{0,24}") {
            let _ = Pattern::parse(&text);
        }
    }
}
