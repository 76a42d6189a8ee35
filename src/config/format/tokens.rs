//! The tokens of a configuration file, comments among them: every byte but blanks between tokens belongs to one. Made for
//! text that the parser has accepted; it does not say what is wrong with other text.

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Name,
    Number,
    /// The quotes around a text.
    QuoteOpen,
    QuoteClose,
    /// What is literal between quotes, with its escapes.
    Text,
    /// From `<<` up to the delimiter at its end, with everything in between.
    Heredoc,
    /// `#` or `//` up to the end of the line, without blanks at its end.
    LineComment,
    BlockComment,
    /// `\n` or `\r\n`.
    NewLine,
    Open(Bracket),
    Close(Bracket),
    Dot,
    /// `::` between the parts of the name of a function.
    Scope,
    Comma,
    /// `...`
    Ellipsis,
    /// `=` of an attribute or of an item of an object.
    Equals,
    /// `=>`
    Arrow,
    /// Subtraction, or the sign of what follows.
    Minus,
    Not,
    /// All others: arithmetic, comparison, `&&`, `||`, `?` and `:`.
    Operator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bracket {
    Round,
    Square,
    Curly,
    /// `${` or `%{`, with `~` or without.
    Template,
}

impl Token<'_> {
    /// How many brackets are open behind it, compared with before.
    pub(super) fn nesting(&self) -> isize {
        match self.kind {
            Kind::Open(_) => 1,
            Kind::Close(_) => -1,
            _ => 0,
        }
    }
}

/// The tokens of a whole file. `None` for text that is no configuration.
pub(super) fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    lexer.code(false)?;
    Some(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push(&mut self, kind: Kind, length: usize) -> Option<()> {
        let text = self.rest().get(..length)?;
        self.tokens.push(Token { kind, text });
        self.at += length;
        Some(())
    }

    /// Everything outside of texts: up to the end of the file, or of the template sequence that we are in.
    fn code(&mut self, is_template: bool) -> Option<()> {
        let mut open = 0usize;
        loop {
            let rest = self.rest();
            let Some(first) = rest.chars().next() else { return (!is_template && open == 0).then_some(()) };
            match first {
                ' ' | '\t' => self.at += 1,
                '\r' if !rest.starts_with("\r\n") => self.at += 1,
                '\r' => self.push(Kind::NewLine, 2)?,
                '\n' => self.push(Kind::NewLine, 1)?,
                '#' => self.line_comment()?,
                '/' if rest.starts_with("//") => self.line_comment()?,
                '/' if rest.starts_with("/*") => self.push(Kind::BlockComment, rest.find("*/")? + 2)?,
                '"' => self.quoted()?,
                '<' if is_heredoc(rest) => self.heredoc()?,
                '0'..='9' => self.push(Kind::Number, self.number())?,
                '~' | '}' if is_template && open == 0 => {
                    let length = if first == '~' { 2 } else { 1 };
                    rest.get(..length)?.ends_with('}').then_some(())?;
                    return self.push(Kind::Close(Bracket::Template), length);
                }
                '{' | '[' | '(' => {
                    open += 1;
                    self.push(Kind::Open(bracket(first)), 1)?;
                }
                '}' | ']' | ')' => {
                    open = open.checked_sub(1)?;
                    self.push(Kind::Close(bracket(first)), 1)?;
                }
                first if starts_name(first) => {
                    let length = rest.find(|c: char| !is_in_name(c)).unwrap_or(rest.len());
                    self.push(Kind::Name, length)?;
                }
                _ => self.operator()?,
            }
        }
    }

    fn operator(&mut self) -> Option<()> {
        let rest = self.rest();
        let (length, kind) = if rest.starts_with("...") {
            (3, Kind::Ellipsis)
        } else if rest.starts_with("=>") {
            (2, Kind::Arrow)
        } else if rest.starts_with("::") {
            (2, Kind::Scope)
        } else if ["==", "!=", "<=", ">=", "&&", "||"].iter().any(|both| rest.starts_with(both)) {
            (2, Kind::Operator)
        } else {
            let kind = match rest.chars().next()? {
                '.' => Kind::Dot,
                ',' => Kind::Comma,
                '=' => Kind::Equals,
                '-' => Kind::Minus,
                '!' => Kind::Not,
                '+' | '*' | '/' | '%' | '<' | '>' | '?' | ':' => Kind::Operator,
                _ => return None,
            };
            (1, kind)
        };
        self.push(kind, length)
    }

    fn line_comment(&mut self) -> Option<()> {
        let line = self.rest().split('\n').next()?;
        self.push(Kind::LineComment, line.trim_end_matches([' ', '\t', '\r']).len())
    }

    /// How many bytes the number has that begins here. Behind a dot, `0.1` is two indexes.
    fn number(&self) -> usize {
        let bytes = self.rest().as_bytes();
        let digits = |from: usize| from + bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut end = digits(0);
        if self.tokens.last().is_some_and(|last| last.kind == Kind::Dot) {
            return end;
        }
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1);
        }
        if let Some(b'e' | b'E') = bytes.get(end) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
                end = digits(end + 1 + sign);
            }
        }
        end
    }

    fn quoted(&mut self) -> Option<()> {
        self.push(Kind::QuoteOpen, 1)?;
        loop {
            let rest = self.rest();
            let literal = literal_length(rest, |rest| match rest.as_bytes()[0] {
                b'"' | b'\n' => Literal::Ends,
                b'\\' => Literal::Escape(2),
                _ => Literal::Goes,
            })?;
            if literal > 0 {
                self.push(Kind::Text, literal)?;
            }
            match self.rest().as_bytes().first()? {
                b'"' => return self.push(Kind::QuoteClose, 1),
                b'\n' => return None,
                _ => self.sequence()?,
            }
        }
    }

    /// `${ ... }` or `%{ ... }`.
    fn sequence(&mut self) -> Option<()> {
        let length = if self.rest()[2..].starts_with('~') { 3 } else { 2 };
        self.push(Kind::Open(Bracket::Template), length)?;
        self.code(true)
    }

    /// One token, whatever stands in it. Sequences are looked at only to find its end: a line in one of them that reads
    /// like the delimiter ends nothing.
    fn heredoc(&mut self) -> Option<()> {
        let start = self.at;
        let known = self.tokens.len();
        let (intro, _) = self.rest().split_once('\n')?;
        let intro = intro.strip_suffix('\r').unwrap_or(intro);
        let delimiter = intro.trim_start_matches(['<', '-']);
        self.at += intro.len();
        loop {
            // At a line end, or behind a sequence.
            let line = self.rest().trim_start_matches('\r').strip_prefix('\n');
            if let Some(line) = line {
                let blank = line.len() - line.trim_start_matches([' ', '\t']).len();
                let whole = line[blank..].split('\n').next().unwrap_or_default();
                if whole.trim_end() == delimiter {
                    self.at = self.text.len() - line.len() + blank + delimiter.len();
                    break;
                }
                self.at = self.text.len() - line.len();
            }
            let literal = literal_length(self.rest(), |rest| match rest.as_bytes()[0] {
                b'\n' => Literal::Ends,
                b'\r' if rest.starts_with("\r\n") => Literal::Ends,
                _ => Literal::Goes,
            })?;
            self.at += literal;
            if self.rest().starts_with(['$', '%']) {
                self.sequence()?;
            }
        }
        self.tokens.truncate(known);
        self.tokens.push(Token { kind: Kind::Heredoc, text: &self.text[start..self.at] });
        Some(())
    }
}

enum Literal {
    Goes,
    /// So many bytes have no meaning of their own.
    Escape(usize),
    Ends,
}

/// How many bytes are literal: up to a template sequence, or to where `what` says that it ends. `None` if the text is over.
fn literal_length(text: &str, what: impl Fn(&str) -> Literal) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let first = rest.chars().next()?;
        match what(rest) {
            Literal::Ends => return Some(at),
            Literal::Escape(length) => at += length,
            Literal::Goes if rest.starts_with("$${") || rest.starts_with("%%{") => at += 3,
            Literal::Goes if rest.starts_with("${") || rest.starts_with("%{") => return Some(at),
            Literal::Goes => at += first.len_utf8(),
        }
    }
}

fn is_heredoc(rest: &str) -> bool {
    rest.strip_prefix("<<").is_some_and(|rest| rest.strip_prefix('-').unwrap_or(rest).starts_with(starts_name))
}

fn bracket(character: char) -> Bracket {
    match character {
        '(' | ')' => Bracket::Round,
        '[' | ']' => Bracket::Square,
        _ => Bracket::Curly,
    }
}

/// The parser has said which characters outside of ASCII may stand in names.
fn starts_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-' || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The tokens, with a bar between them.
    fn split(text: &str) -> String {
        let all = tokens(text).unwrap_or_else(|| panic!("{text:?} has no tokens"));
        all.iter().map(|token| token.text).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn a_text_is_cut_where_meaning_changes() {
        for (text, wanted) in [
            ("a = 1", "a|=|1"),
            ("a-b=x--1 - -1.5e+3", "a-b|=|x--1|-|-|1.5e+3"),
            ("x.0.1 [*] .*", "x|.|0|.|1|[|*|]|.|*"),
            ("a==b!=c<=d>=e&&f||!g=>h", "a|==|b|!=|c|<=|d|>=|e|&&|f||||!|g|=>|h"),
            ("p::f(x...)?a:b", "p|::|f|(|x|...|)|?|a|:|b"),
            ("\"a\\\"$${x}$b${ y }\"", "\"|a\\\"$${x}$b|${|y|}|\""),
            ("\"$$${x}%%%{y}\"", "\"|$$${x}%%%{y}|\""),
            ("\"${~ { a = \"}\" } ~}\"", "\"|${~|{|a|=|\"|}|\"|}|~}|\""),
            ("a # b  \r\n// c\n/* d\n */ e", "a|# b|\r\n|// c|\n|/* d\n */|e"),
            ("é=\"日本\"", "é|=|\"|日本|\""),
            ("a\r=\t1\r\n", "a|=|1|\r\n"),
        ] {
            assert_eq!(split(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_heredoc_is_one_token_up_to_its_delimiter() {
        for (text, heredoc) in [
            ("<<E\nE\n", "<<E\nE"),
            ("<<E\nx\nE\n", "<<E\nx\nE"),
            ("<<-E\n  x E\n  EE\n\tE\ny", "<<-E\n  x E\n  EE\n\tE"),
            ("<<E\r\nx\r\nE\r\n", "<<E\r\nx\r\nE"),
            ("f(<<E\n${f(\nE\n)}\n$${\nE)\nE\n)", "<<E\n${f(\nE\n)}\n$${\nE)\nE"),
            ("<<E\n${<<E\nx\nE\n}\nE\n", "<<E\n${<<E\nx\nE\n}\nE"),
            ("<<E\n%{ if x ~}\n\"\n%{ endif }\nE", "<<E\n%{ if x ~}\n\"\n%{ endif }\nE"),
            ("<<E\n\\${x}\\\nE\n", "<<E\n\\${x}\\\nE"),
        ] {
            let all = tokens(text).unwrap_or_else(|| panic!("{text:?} has no tokens"));
            let found = all.iter().find(|token| token.kind == Kind::Heredoc).map(|token| token.text);
            assert_eq!(found, Some(heredoc), "{text}");
        }
    }

    #[test]
    fn what_is_not_closed_has_no_tokens() {
        for text in ["\"", "\"${", "\"${x\"", "(", "]", "/*", "<<E\nx", "\"\n\"", "a = 'b'", "\"${x~ }\""] {
            assert_eq!(tokens(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn only_blanks_are_in_no_token(text in "[a-c1\"${}%\\[\\]()<EOT\r\n /*#=.,:!?~é-]{0,60}") {
            if let Some(all) = tokens(&text) {
                let kept: String = all.iter().map(|token| token.text).collect();
                let visible = |text: &str| text.replace([' ', '\t', '\r'], "");
                prop_assert_eq!(visible(&kept), visible(&text));
            }
        }
    }
}
