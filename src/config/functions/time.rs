//! Functions of points in time, which are written as RFC 3339 has them. None asks what time it is.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

use super::{Fault, Function, Takes, function, takes, text};

pub(super) const TABLE: &[Function] = &[
    function("formatdate", &[takes("format", Takes::Text), takes("time", Takes::Text)], Takes::Text, |_, arguments| {
        let moment = Moment::parse(text(arguments, 1)).ok_or_else(|| Fault::argument(1, NO_TIME))?;
        format(text(arguments, 0), &moment).map(Into::into).map_err(|why| Fault::argument(0, why))
    }),
    function(
        "timeadd",
        &[takes("timestamp", Takes::Text), takes("duration", Takes::Text)],
        Takes::Text,
        |_, arguments| {
            let moment = Moment::parse(text(arguments, 0)).ok_or_else(|| Fault::call(NO_TIME))?;
            let duration = duration(text(arguments, 1)).ok_or_else(|| {
                Fault::call("this is no duration; write it like `-1h30m`, with units h, m, s, ms, us and ns")
            })?;
            let range = || Fault::call("the time is out of range");
            let local = moment.local.checked_add(duration).map_err(|_| range())?;
            let moved = Moment { local, offset: moment.offset };
            if !(0..=9999).contains(&moved.local.year()) {
                return Err(range());
            }
            format("YYYY-MM-DD'T'hh:mm:ssZ", &moved).map(Into::into).map_err(Fault::call)
        },
    ),
    function(
        "timecmp",
        &[takes("timestamp_a", Takes::Text), takes("timestamp_b", Takes::Text)],
        Takes::Number,
        |_, arguments| {
            let at = |index| {
                let moment = Moment::parse(text(arguments, index));
                moment.map(|moment| moment.instant()).ok_or_else(|| Fault::argument(index, NO_TIME))
            };
            Ok(super::super::number::Number::from(at(0)?.cmp(&at(1)?) as i64).into())
        },
    ),
];

const NO_TIME: &str = "this is no time; write it like `2026-01-02T23:12:01Z`";

struct Moment {
    local: DateTime,
    offset: Offset,
}

impl Moment {
    /// Reads exactly what RFC 3339 allows, with capital letters.
    fn parse(text: &str) -> Option<Moment> {
        let digits = |from: usize, to: usize| {
            let part = text.get(from..to)?;
            part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<i32>().ok())?
        };
        let at = |index: usize| text.as_bytes().get(index).copied();
        if [at(4), at(7), at(10), at(13), at(16)] != [b'-', b'-', b'T', b':', b':'].map(Some) {
            return None;
        }
        let date = Date::new(digits(0, 4)? as i16, digits(5, 7)? as i8, digits(8, 10)? as i8).ok()?;
        let mut rest = text.get(19..)?;
        let mut nanoseconds = 0;
        if let Some(fraction) = rest.strip_prefix('.') {
            let end = fraction.find(|c: char| !c.is_ascii_digit())?;
            let padded = format!("{:0<9}", fraction.get(..end.min(9))?);
            if end == 0 {
                return None;
            }
            nanoseconds = padded.parse().ok()?;
            rest = &fraction[end..];
        }
        let time = Time::new(digits(11, 13)? as i8, digits(14, 16)? as i8, digits(17, 19)? as i8, nanoseconds).ok()?;
        Some(Moment { local: date.to_datetime(time), offset: offset(rest)? })
    }

    /// Nanoseconds since some beginning, the same for all.
    fn instant(&self) -> i128 {
        let since = self.local.duration_since(DateTime::ZERO).as_nanos();
        since - i128::from(self.offset.seconds()) * 1_000_000_000
    }
}

/// `Z`, or hours and minutes with a sign.
fn offset(text: &str) -> Option<Offset> {
    match text.as_bytes() {
        b"Z" => Some(Offset::UTC),
        [sign @ (b'+' | b'-'), a, b, b':', c, d] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()) => {
            let number = |a: &u8, b: &u8| i32::from(a - b'0') * 10 + i32::from(b - b'0');
            let (hours, minutes) = (number(a, b), number(c, d));
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = (hours * 60 + minutes) * 60;
            Offset::from_seconds(if *sign == b'-' { -seconds } else { seconds }).ok()
        }
        _ => None,
    }
}

/// A duration as Go writes it: numbers with units, one sign in front.
fn duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, behind) = rest.split_at(end);
        let unit_end = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_end);
        let nanoseconds: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || whole.len() > 18 || fraction.contains('.') {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let fraction = &fraction[..fraction.len().min(18)];
        let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
        total += whole * nanoseconds + part * nanoseconds / 10i128.pow(fraction.len() as u32);
        rest = behind;
    }
    // Go counts nanoseconds in 64 bits.
    let total = i64::try_from(total).ok()?;
    Some(SignedDuration::from_nanos(if negative { -total } else { total }))
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

fn format(format: &str, moment: &Moment) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            rest = quoted(&rest[1..], &mut out)?;
            continue;
        }
        let length = rest.chars().take_while(|c| *c == first).count();
        let token = &rest[..length * first.len_utf8()];
        rest = &rest[token.len()..];
        if !first.is_ascii_alphabetic() {
            out.push_str(token);
            continue;
        }
        out.push_str(&part(first, length, moment).ok_or_else(|| {
            format!("`{token}` means nothing; letters that stand for themselves are written in quotes: `'{token}'`")
        })?);
    }
    Ok(out)
}

/// Text up to the closing quote; two quotes are one.
fn quoted<'a>(rest: &'a str, out: &mut String) -> Result<&'a str, String> {
    let mut rest = rest;
    // A pair of quotes without anything inside is a quote.
    if let Some(behind) = rest.strip_prefix('\'') {
        out.push('\'');
        return Ok(behind);
    }
    loop {
        let end = rest.find('\'').ok_or("a quote is not closed")?;
        out.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(behind) => {
                out.push('\'');
                rest = behind;
            }
            None => return Ok(rest),
        }
    }
}

fn part(letter: char, length: usize, moment: &Moment) -> Option<String> {
    let local = moment.local;
    let month = MONTHS[usize::try_from(local.month() - 1).ok()?];
    let day = DAYS[usize::try_from(local.weekday().to_monday_zero_offset()).ok()?];
    let seconds = moment.offset.seconds();
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    let hour12 = match local.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let afternoon = local.hour() >= 12;
    Some(match (letter, length) {
        ('Y', 4) => format!("{:04}", local.year()),
        ('Y', 2) => format!("{:02}", local.year() % 100),
        ('M', 4) => month.to_owned(),
        ('M', 3) => month[..3].to_owned(),
        ('M', 2) => format!("{:02}", local.month()),
        ('M', 1) => local.month().to_string(),
        ('D', 2) => format!("{:02}", local.day()),
        ('D', 1) => local.day().to_string(),
        ('E', 4) => day.to_owned(),
        ('E', 3) => day[..3].to_owned(),
        ('h', 2) => format!("{:02}", local.hour()),
        ('h', 1) => local.hour().to_string(),
        ('H', 2) => format!("{hour12:02}"),
        ('H', 1) => hour12.to_string(),
        ('A', 2) => if afternoon { "PM" } else { "AM" }.to_owned(),
        ('a', 2) => if afternoon { "pm" } else { "am" }.to_owned(),
        ('m', 2) => format!("{:02}", local.minute()),
        ('m', 1) => local.minute().to_string(),
        ('s', 2) => format!("{:02}", local.second()),
        ('s', 1) => local.second().to_string(),
        ('Z', 1) if seconds == 0 => "Z".to_owned(),
        ('Z', 3) if seconds == 0 => "UTC".to_owned(),
        ('Z', 1 | 5) => format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60),
        ('Z', 3 | 4) => format!("{sign}{:02}{:02}", minutes / 60, minutes % 60),
        _ => return None,
    })
}

/// The text of a time as YAML writes it, in the form of RFC 3339; `None` for what is no time.
pub(super) fn of_yaml(text: &str) -> Option<String> {
    fn number<'t>(rest: &mut &'t str, longest: usize) -> Option<&'t str> {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, behind) = rest.split_at(end.min(longest));
        *rest = behind;
        (!digits.is_empty()).then_some(digits)
    }
    fn skip(rest: &mut &str, what: &[char]) -> Option<()> {
        *rest = rest.strip_prefix(what)?;
        Some(())
    }
    let mut rest = text;
    let year = number(&mut rest, 4).filter(|year| year.len() == 4)?.parse().ok()?;
    skip(&mut rest, &['-'])?;
    let month = number(&mut rest, 2)?.parse().ok()?;
    skip(&mut rest, &['-'])?;
    let day = number(&mut rest, 2)?.parse().ok()?;
    let date = Date::new(year, month, day).ok()?;
    let mut moment = Moment { local: date.to_datetime(Time::midnight()), offset: Offset::UTC };
    if !rest.is_empty() {
        let has_zone = rest.starts_with(['T', 't']);
        skip(&mut rest, &['T', 't', ' '])?;
        let hour = number(&mut rest, 2)?.parse().ok()?;
        skip(&mut rest, &[':'])?;
        let minute = number(&mut rest, 2)?.parse().ok()?;
        skip(&mut rest, &[':'])?;
        let second = number(&mut rest, 2)?.parse().ok()?;
        if let Some(behind) = rest.strip_prefix('.') {
            rest = behind;
            number(&mut rest, usize::MAX)?;
        }
        moment.local = date.to_datetime(Time::new(hour, minute, second, 0).ok()?);
        match has_zone {
            true => moment.offset = offset(rest)?,
            false if rest.is_empty() => {}
            false => return None,
        }
    }
    format("YYYY-MM-DD'T'hh:mm:ssZ", &moment).ok()
}
