//! Permission bits of a file or directory, with one canonical text: `0770`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The twelve permission bits of chmod(1): set-id and sticky bits, then user, group and others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mode(u16);

impl Mode {
    /// The mode with these bits, if there are no others than the twelve of chmod(1).
    pub fn new(bits: u16) -> Option<Self> {
        (bits <= 0o7777).then_some(Mode(bits))
    }

    pub fn bits(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// Why a text is not a mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a mode; write the permission bits as octal digits, like `\"0770\"`")]
pub struct NotAMode(pub String);

impl FromStr for Mode {
    type Err = NotAMode;

    /// Octal digits, with or without leading zeros: `770`, `0770` and `00770` are one mode.
    fn from_str(text: &str) -> Result<Self, NotAMode> {
        let wrong = || NotAMode(text.to_owned());
        if text.len() < 3 || text.len() > 6 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        u16::from_str_radix(text, 8).ok().and_then(Mode::new).ok_or_else(wrong)
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_has_one_text() {
        for (text, canonical) in
            [("770", "0770"), ("0770", "0770"), ("00770", "0770"), ("2775", "2775"), ("000", "0000")]
        {
            assert_eq!(text.parse::<Mode>().expect(text).to_string(), canonical);
        }
    }

    #[test]
    fn what_is_not_octal_is_refused() {
        for text in ["", "7", "77", "0888", "rwx", "-770", "+770", "77777", "0o770", "7 7 0", "770 "] {
            assert!(text.parse::<Mode>().is_err(), "{text}");
        }
    }
}
