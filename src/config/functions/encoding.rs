//! Functions that write values as text and read them back: JSON, YAML, CSV, Base64, URLs.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::Encoding;

use super::super::number::Number;
use super::super::types::Type;
use super::super::value::{Data, Fields, Value};
use super::{Fault, Function, Outcome, Parameter, Takes, function, takes, text, yaml};

const STR: &[Parameter] = &[takes("str", Takes::Text)];
const VAL: &[Parameter] = &[takes("val", Takes::Any).or_null()];

/// How deep decoded values may nest.
pub(super) const DEEPEST: usize = 128;

pub(super) const TABLE: &[Function] = &[
    function("base64decode", STR, Takes::Text, |_, arguments| {
        let bytes = base64(text(arguments, 0)).ok_or_else(|| Fault::call("this is not Base64"))?;
        let text = String::from_utf8(bytes).map_err(|_| Fault::call("what it encodes is no UTF-8 text"))?;
        Ok(text.into())
    }),
    function("base64encode", STR, Takes::Text, |_, arguments| Ok(STANDARD.encode(text(arguments, 0)).into())),
    function("base64gunzip", STR, Takes::Text, |_, arguments| {
        let bytes = base64(text(arguments, 0)).ok_or_else(|| Fault::call("this is not Base64"))?;
        let mut unpacked = Vec::new();
        let limit = super::LONGEST_TEXT as u64 + 1;
        flate2::read::GzDecoder::new(bytes.as_slice())
            .take(limit)
            .read_to_end(&mut unpacked)
            .map_err(|_| Fault::call("what it encodes is not gzip"))?;
        if unpacked.len() as u64 == limit {
            return Err(Fault::call("the text becomes too long"));
        }
        let text = String::from_utf8(unpacked).map_err(|_| Fault::call("what it encodes is no UTF-8 text"))?;
        Ok(text.into())
    }),
    function("base64gzip", STR, Takes::Text, |_, arguments| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let written = packed.write_all(text(arguments, 0).as_bytes()).and_then(|()| packed.finish());
        Ok(STANDARD.encode(written.map_err(|error| Fault::call(error.to_string()))?).into())
    }),
    function("csvdecode", STR, Takes::Any, |evaluator, arguments| {
        evaluator.owe_new(marks(text(arguments, 0), b",\n"))?;
        csv(text(arguments, 0))
    }),
    function("jsondecode", STR, Takes::Any, |evaluator, arguments| {
        evaluator.owe_new(marks(text(arguments, 0), b",[{"))?;
        let mut reader = Json { text: text(arguments, 0), at: 0 };
        let value = reader.value(0)?;
        reader.blank();
        match reader.at == reader.text.len() {
            true => Ok(value),
            false => Err(reader.wrong("something follows the value")),
        }
    }),
    function("jsonencode", VAL, Takes::Text, |_, arguments| {
        writable(arguments)?;
        Ok(json(&arguments[0]).map_or_else(|| Value::unknown_of(Type::Text), Value::from))
    }),
    function(
        "textdecodebase64",
        &[takes("source", Takes::Text), takes("encoding", Takes::Text)],
        Takes::Text,
        |_, arguments| {
            let bytes = base64(text(arguments, 0)).ok_or_else(|| Fault::argument(0, "this is not Base64"))?;
            let decoded = encoding(text(arguments, 1))?.decode(&bytes);
            decoded.map(Value::from).ok_or_else(|| Fault::argument(0, "the bytes are no text in this encoding"))
        },
    ),
    function(
        "textencodebase64",
        &[takes("string", Takes::Text), takes("encoding", Takes::Text)],
        Takes::Text,
        |_, arguments| {
            let bytes = encoding(text(arguments, 1))?.encode(text(arguments, 0));
            let missing = || Fault::argument(0, "a character does not exist in this encoding");
            Ok(STANDARD.encode(bytes.ok_or_else(missing)?).into())
        },
    ),
    function("urldecode", STR, Takes::Text, |_, arguments| urldecode(text(arguments, 0)).map(Value::from)),
    function("urlencode", STR, Takes::Text, |_, arguments| {
        let mut encoded = String::new();
        for byte in text(arguments, 0).bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte.into()),
                b' ' => encoded.push('+'),
                _ => encoded.push_str(&format!("%{byte:02X}")),
            }
        }
        Ok(encoded.into())
    }),
    function("yamldecode", STR, Takes::Any, |evaluator, arguments| {
        evaluator.owe_new(marks(text(arguments, 0), b",[{\n"))?;
        yaml::decode(text(arguments, 0))
    }),
    function("yamlencode", VAL, Takes::Text, |_, arguments| {
        writable(arguments)?;
        Ok(yaml::encode(&arguments[0]).map_or_else(|| Value::unknown_of(Type::Text), Value::from))
    }),
];

/// About how many values a text holds, by the characters that each of them needs.
fn marks(text: &str, marks: &[u8]) -> usize {
    text.bytes().filter(|byte| marks.contains(byte)).count()
}

fn writable(arguments: &[Value]) -> Result<(), Fault> {
    // Twice the length of texts; each part needs a character at least.
    if arguments.iter().any(|value| value.units(2 * super::LONGEST_TEXT + 1) > 2 * super::LONGEST_TEXT) {
        return Err(Fault::TooLong);
    }
    match arguments.iter().any(Value::has_infinite) {
        true => Err(Fault::call("an infinite number cannot be written")),
        false => Ok(()),
    }
}

/// The bytes of Base64, in which line ends and the last bits mean nothing.
fn base64(text: &str) -> Option<Vec<u8>> {
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
    );
    LENIENT.decode(text.replace(['\r', '\n'], "")).ok()
}

/// An encoding by its name at IANA. The library's names are those of web browsers, to which ASCII and Latin-1 are
/// something else, and which write no UTF-16.
enum Charset {
    Ascii,
    Latin1,
    /// Little-endian, or not; `None` where a mark at the beginning says so.
    Utf16(Option<bool>),
    Other(&'static Encoding),
}

fn encoding(name: &str) -> Result<Charset, Fault> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "us-ascii" | "us" | "iso646-us" | "ibm367" | "cp367" | "iso-ir-6" | "csascii" => Charset::Ascii,
        "iso-8859-1" | "iso_8859-1" | "latin1" | "l1" | "ibm819" | "cp819" | "iso-ir-100" | "csisolatin1" => {
            Charset::Latin1
        }
        "utf-16" | "csutf16" => Charset::Utf16(None),
        "utf-16le" | "csutf16le" => Charset::Utf16(Some(true)),
        "utf-16be" | "csutf16be" => Charset::Utf16(Some(false)),
        "csutf8" => Charset::Other(encoding_rs::UTF_8),
        // Web browsers know these, IANA does not.
        browsers if matches!(browsers, "utf8" | "ascii" | "unicode" | "ucs-2") || browsers.starts_with("x-") => {
            return Err(no_encoding());
        }
        // The library writes UTF-8 where it is asked for UTF-16 by another name, and nothing at all for some.
        other => match Encoding::for_label(other.as_bytes()) {
            Some(found) if found.output_encoding() == found => Charset::Other(found),
            _ => return Err(no_encoding()),
        },
    })
}

fn no_encoding() -> Fault {
    Fault::argument(1, "there is no encoding of this name; names are those of IANA, like `UTF-16LE`")
}

impl Charset {
    fn decode(&self, bytes: &[u8]) -> Option<String> {
        match self {
            Charset::Ascii => bytes.is_ascii().then(|| bytes.iter().copied().map(char::from).collect()),
            Charset::Latin1 => Some(bytes.iter().copied().map(char::from).collect()),
            Charset::Utf16(order) => {
                let (little, bytes) = match (order, bytes) {
                    (None, [0xff, 0xfe, rest @ ..]) => (true, rest),
                    (None, [0xfe, 0xff, rest @ ..]) => (false, rest),
                    _ => (order.unwrap_or(false), bytes),
                };
                let encoding = if little { encoding_rs::UTF_16LE } else { encoding_rs::UTF_16BE };
                Charset::Other(encoding).decode(bytes)
            }
            Charset::Other(encoding) => {
                let decoded = encoding.decode_without_bom_handling_and_without_replacement(bytes);
                decoded.map(|text| text.into_owned())
            }
        }
    }

    fn encode(&self, text: &str) -> Option<Vec<u8>> {
        match self {
            Charset::Ascii => text.is_ascii().then(|| text.as_bytes().to_vec()),
            Charset::Latin1 => text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect(),
            Charset::Utf16(Some(true)) => Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            Charset::Utf16(Some(false)) => Some(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            Charset::Utf16(None) => {
                Some([0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect())
            }
            Charset::Other(encoding) => {
                let (bytes, _, failed) = encoding.encode(text);
                (!failed).then(|| bytes.into_owned())
            }
        }
    }
}

fn urldecode(all: &str) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    let mut rest = all.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let value = high.zip(low).map(|(high, low)| (high * 16 + low) as u8);
                bytes.push(value.ok_or_else(|| Fault::call("two hexadecimal digits follow a `%`"))?);
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map_err(|_| Fault::call("what it encodes is no UTF-8 text"))
}

/// JSON as Terraform writes it, with all digits; `None` where a part is unknown.
pub(super) fn json(value: &Value) -> Option<String> {
    value.to_json_text().map(|text| escaped(&text))
}

/// JSON without the characters that HTML and JavaScript read as their own.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The text in quotes, with escapes for what cannot be printed.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A reader of JSON that keeps all digits of numbers.
struct Json<'a> {
    text: &'a str,
    at: usize,
}

impl Json<'_> {
    fn wrong(&self, why: &str) -> Fault {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        Fault::call(format!("this is not JSON: {why}, in line {line}"))
    }

    fn blank(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn takes(&mut self, what: &str) -> bool {
        self.blank();
        let found = self.text[self.at..].starts_with(what);
        if found {
            self.at += what.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        if depth > DEEPEST {
            return Err(self.wrong("it is nested too deeply"));
        }
        self.blank();
        match self.text[self.at..].chars().next() {
            Some('{') => {
                self.at += 1;
                let mut fields = Vec::new();
                if self.takes("}") {
                    return Ok(Value::object(Fields::default()));
                }
                loop {
                    self.blank();
                    let name = self.string()?;
                    if !self.takes(":") {
                        return Err(self.wrong("a `:` is missing"));
                    }
                    let value = self.value(depth + 1)?;
                    if let Some(name) = Value::text(&name).as_text() {
                        fields.push((name.clone(), value));
                    }
                    if self.takes("}") {
                        return Ok(Value::object(fields.into_iter().collect()));
                    }
                    if !self.takes(",") {
                        return Err(self.wrong("a `,` or `}` is missing"));
                    }
                }
            }
            Some('[') => {
                self.at += 1;
                let mut elements = Vec::new();
                if self.takes("]") {
                    return Ok(Value::tuple(elements));
                }
                loop {
                    elements.push(self.value(depth + 1)?);
                    if self.takes("]") {
                        return Ok(Value::tuple(elements));
                    }
                    if !self.takes(",") {
                        return Err(self.wrong("a `,` or `]` is missing"));
                    }
                }
            }
            Some('"') => self.string().map(Value::from),
            Some('-' | '0'..='9') => self.number(),
            _ if self.takes("null") => Ok(Value::null()),
            _ if self.takes("true") => Ok(true.into()),
            _ if self.takes("false") => Ok(false.into()),
            _ => Err(self.wrong("a value is missing")),
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        let rest = &self.text[self.at..];
        if !rest.starts_with('"') {
            return Err(self.wrong("a quoted text is missing"));
        }
        let mut escaped = false;
        let end = rest.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let end = end.ok_or_else(|| self.wrong("a text is not closed"))? + 2;
        let text = unescaped(&rest[1..end - 1]).ok_or_else(|| self.wrong("a text is not valid"))?;
        self.at += end;
        Ok(text)
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let digits = &rest[..end];
        let whole = digits.strip_prefix('-').unwrap_or(digits);
        let leading_zero = whole.len() > 1 && whole.starts_with('0') && whole.as_bytes()[1].is_ascii_digit();
        let bare_point = whole.starts_with('.') || whole.contains(".e") || whole.contains(".E") || whole.ends_with('.');
        match Number::parse(digits) {
            Some(number) if !leading_zero && !bare_point => {
                self.at += end;
                Ok(number?.into())
            }
            _ => Err(self.wrong("a number is not valid")),
        }
    }
}

/// The text of JSON between its quotes. Half of a pair of surrogates stands for a character that cannot be shown.
fn unescaped(quoted: &str) -> Option<String> {
    let mut text = String::with_capacity(quoted.len());
    let mut units: Vec<u16> = Vec::new();
    let mut rest = quoted;
    while let Some(c) = rest.chars().next() {
        let escape = if c == '\\' { Some(rest[1..].chars().next()?) } else { None };
        if escape == Some('u') {
            let digits = rest.get(2..6).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
            units.push(u16::from_str_radix(digits, 16).ok()?);
            rest = &rest[6..];
            continue;
        }
        text.push_str(&String::from_utf16_lossy(&units));
        units.clear();
        text.push(match escape {
            None if u32::from(c) < 0x20 => return None,
            None => c,
            Some(same @ ('"' | '\\' | '/')) => same,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(_) => return None,
        });
        rest = &rest[c.len_utf8() + escape.map_or(0, char::len_utf8)..];
    }
    text.push_str(&String::from_utf16_lossy(&units));
    Some(text)
}

/// CSV with a line of names, as RFC 4180 has it.
fn csv(all: &str) -> Outcome {
    let all = all.replace("\r\n", "\n");
    let mut rows = csv_rows(all.strip_suffix('\r').unwrap_or(&all))?.into_iter();
    let names = rows.next().ok_or_else(|| Fault::call("the line of names is missing"))?;
    let mut seen = std::collections::BTreeSet::new();
    for name in &names {
        if !seen.insert(name) {
            return Err(Fault::call("two columns have the same name"));
        }
    }
    let mut objects = Vec::new();
    for (index, row) in rows.enumerate() {
        if row.len() != names.len() {
            return Err(Fault::call(format!("row {} has {} fields instead of {}", index + 1, row.len(), names.len())));
        }
        let fields = names.iter().zip(row).map(|(name, field)| (name.as_str().into(), Value::from(field)));
        objects.push(Value::object(fields.collect()));
    }
    let ty = Type::object(names.iter().map(|name| (name.as_str().into(), Type::Text)));
    Ok(Value::list(ty, objects))
}

fn csv_rows(all: &str) -> Result<Vec<Vec<String>>, Fault> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut rest = all;
    while !rest.is_empty() {
        if row.is_empty() {
            // Empty lines mean nothing.
            if let Some(behind) = rest.strip_prefix('\n') {
                rest = behind;
                continue;
            }
        }
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let end = quoted.find('"').ok_or_else(|| Fault::call("a quoted field is not closed"))?;
                field.push_str(&quoted[..end]);
                quoted = &quoted[end + 1..];
                match quoted.strip_prefix('"') {
                    Some(behind) => {
                        field.push('"');
                        quoted = behind;
                    }
                    None => break,
                }
            }
            rest = quoted;
        } else {
            let end = rest.find([',', '\n']).unwrap_or(rest.len());
            let plain = &rest[..end];
            if plain.contains('"') {
                return Err(Fault::call("a quote stands inside of a field that is not quoted"));
            }
            field.push_str(plain);
            rest = &rest[end..];
        }
        row.push(field);
        if let Some(behind) = rest.strip_prefix(',') {
            rest = behind;
            if rest.is_empty() {
                row.push(String::new());
            }
        } else if let Some(behind) = rest.strip_prefix('\n') {
            rows.push(std::mem::take(&mut row));
            rest = behind;
        } else if !rest.is_empty() {
            return Err(Fault::call("something follows a quoted field"));
        }
    }
    if !row.is_empty() {
        rows.push(row);
    }
    Ok(rows)
}

/// The text of a value that is one, for YAML.
pub(super) fn plain(value: &Value) -> Option<String> {
    match &value.data {
        Data::Null(_) => Some("null".to_owned()),
        Data::Bool(value) => Some(value.to_string()),
        Data::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_that_would_be_written_as_another_has_no_name() {
        for name in [
            "ISO-10646-UCS-2",
            "csUnicode",
            "unicodeFEFF",
            "hz-gb-2312",
            "ISO-2022-KR",
            "replacement",
            "x-mac-roman",
            "",
        ] {
            assert!(encoding(name).is_err(), "{name}");
        }
        for (name, bytes) in
            [("utf-16le", &b"a\0"[..]), ("UTF-16", b"\xfe\xff\0a"), ("windows-1252", b"a"), ("UTF-8", b"a")]
        {
            assert_eq!(encoding(name).ok().and_then(|charset| charset.encode("a")).as_deref(), Some(bytes), "{name}");
        }
    }
}
