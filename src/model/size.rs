//! A number of bytes, written with a unit: `40GiB`, `40G` (both 1024-based), `40GB` (1000-based), `512`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(pub u64);

const BINARY: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

impl fmt::Display for Size {
    /// The shortest exact text: `40GiB`, `1536MiB`, `1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let power = (self.0.trailing_zeros() / 10).min(6);
        match power {
            0 => write!(f, "{}", self.0),
            _ if self.0 == 0 => f.write_str("0"),
            _ => write!(f, "{}{}", self.0 >> (10 * power), BINARY[power as usize - 1]),
        }
    }
}

impl Size {
    /// A rounded text for people: `39.6 GiB`.
    pub fn rounded(self) -> String {
        let mut value = self.0 as f64;
        let mut unit = "B";
        for next in BINARY {
            if value < 1024.0 {
                break;
            }
            value /= 1024.0;
            unit = next;
        }
        match unit {
            "B" => format!("{value} B"),
            _ => format!("{value:.1} {unit}"),
        }
    }
}

/// Why a text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotASize {
    #[error("`{0}` is not a size; write it like `\"30GiB\"`, `\"512MiB\"` or a number of bytes")]
    Malformed(String),
    #[error("`{0}` is negative; a size is a number of bytes from 0")]
    Negative(String),
    #[error(
        "`{text}` has no unit that is known; use one of B, K, KiB, KB, M, MiB, MB, G, GiB, GB, T, TiB, TB, P, PiB, PB, E, EiB, EB"
    )]
    Unit { text: String },
    #[error("`{0}` is not a whole number of bytes")]
    Fraction(String),
    #[error("`{0}` is more than the largest size, 16EiB less one byte")]
    TooLarge(String),
}

impl FromStr for Size {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let trimmed = text.trim();
        if trimmed.starts_with('-') {
            return Err(NotASize::Negative(text.to_owned()));
        }
        let digits = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
        let (number, unit) = (&trimmed[..digits], trimmed[digits..].trim_start());
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || fraction.contains('.') || number.ends_with('.') {
            return Err(NotASize::Malformed(text.to_owned()));
        }
        let unit_bytes = unit_bytes(unit).ok_or_else(|| NotASize::Unit { text: text.to_owned() })?;
        exact_bytes(whole, fraction, unit_bytes, text).map(Size)
    }
}

/// The bytes of one unit. `g`, `G`, `gib` and `GIB` mean one thing to every tool; a lower-case b after a capital is a bit:
/// nobody knows whether `Gb` was to be `GB`, `GiB` or gigabits.
fn unit_bytes(unit: &str) -> Option<u128> {
    let is_of_bits =
        unit.len() == 2 && unit.ends_with('b') && unit.starts_with(|letter: char| letter.is_ascii_uppercase());
    if is_of_bits {
        return None;
    }
    let unit = unit.to_ascii_uppercase();
    let (letter, base) = match unit.as_str() {
        "" | "B" => return Some(1),
        _ if unit.len() == 1 => (unit.as_str(), 1024u128),
        _ => match (unit.strip_suffix("IB"), unit.strip_suffix('B')) {
            (Some(letter), _) => (letter, 1024),
            (None, Some(letter)) => (letter, 1000),
            (None, None) => return None,
        },
    };
    let power = ["K", "M", "G", "T", "P", "E"].iter().position(|known| *known == letter)?;
    Some(base.pow(power as u32 + 1))
}

/// `whole.fraction` units as bytes, without rounding.
fn exact_bytes(whole: &str, fraction: &str, unit: u128, text: &str) -> Result<u64, NotASize> {
    let too_large = || NotASize::TooLarge(text.to_owned());
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 18 {
        return Err(NotASize::Fraction(text.to_owned()));
    }
    let whole: u128 = whole.parse().map_err(|_| too_large())?;
    let scale = 10u128.pow(fraction.len() as u32);
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| too_large())? };
    let part = part.checked_mul(unit).ok_or_else(too_large)?;
    if !part.is_multiple_of(scale) {
        return Err(NotASize::Fraction(text.to_owned()));
    }
    let bytes = whole.checked_mul(unit).and_then(|bytes| bytes.checked_add(part / scale)).ok_or_else(too_large)?;
    u64::try_from(bytes).map_err(|_| too_large())
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_mean_what_people_mean() {
        let table = [
            ("512", 512),
            ("40GiB", 40 << 30),
            ("40G", 40 << 30),
            ("40 g", 40 << 30),
            ("40gib", 40 << 30),
            ("40GB", 40_000_000_000),
            ("40gb", 40_000_000_000),
            ("1.5GiB", 3 << 29),
            ("0", 0),
            ("0.5K", 512),
        ];
        for (text, bytes) in table {
            assert_eq!(text.parse::<Size>(), Ok(Size(bytes)), "{text}");
        }
        assert!(matches!("16384P".parse::<Size>(), Err(NotASize::TooLarge(_))));
    }

    #[test]
    fn what_is_no_size_says_why() {
        assert!(matches!("-1".parse::<Size>(), Err(NotASize::Negative(_))));
        for text in ["30GiX", "10Gb", "10Mb", "1.5 Tb", "1iB", "1Gbit"] {
            let error = text.parse::<Size>().expect_err(text);
            assert!(matches!(error, NotASize::Unit { .. }), "{text}");
            assert!(error.to_string().contains("G, GiB, GB"), "{text}: {error}");
        }
        assert!(matches!("ten".parse::<Size>(), Err(NotASize::Malformed(_))));
        assert!(matches!("1.1".parse::<Size>(), Err(NotASize::Fraction(_))));
        assert!(matches!("99999999999999999999999999999999999999999999".parse::<Size>(), Err(NotASize::TooLarge(_))));
    }

    proptest! {
        #[test]
        fn a_size_parses_back_to_itself(bytes in any::<u64>()) {
            prop_assert_eq!(Size(bytes).to_string().parse::<Size>(), Ok(Size(bytes)));
        }

        #[test]
        fn any_text_is_a_size_or_a_clear_error(text in any::<String>()) {
            let _ = text.parse::<Size>();
        }
    }
}
