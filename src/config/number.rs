//! The numbers of the language: binary floating point of 512 bits, as HCL has them, so that integers stay exact and
//! `1.1 + 2.2` prints the digits that people know from Terraform.
//!
//! Numbers that are counted (a length, an index) carry 64 bits and those of `pow` and `log` 53 bits; an operation has
//! the larger precision of its operands. Nothing here overflows: what leaves the range is [`OutOfRange`].

use std::cmp::Ordering;
use std::fmt;

use dashu_int::ops::{BitTest, DivRem, UnsignedAbs};
use dashu_int::{IBig, Sign, UBig};

/// Bits of a number that was written down.
const WRITTEN: u32 = 512;
/// Bits of a number that was counted.
const COUNTED: u32 = 64;
/// Bits of a number that a function computed in hardware floating point; no number has fewer.
const HARDWARE: u32 = 53;
/// The largest magnitude of a binary exponent: about 39,000 decimal digits. A limit is needed because each number can
/// be printed.
const EXPONENT_LIMIT: i64 = 1 << 17;

/// Larger, or smaller without being zero, than any number of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the number has more than 39,000 digits, which is out of range")]
pub struct OutOfRange;

/// Why an operation has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undefined {
    #[error("the result is not a number")]
    NotANumber,
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
}

#[derive(Debug, Clone)]
enum Repr {
    /// Every whole number that fits: nearly all that a configuration counts with.
    Small(i64),
    /// `mantissa * 2^exponent`; the mantissa is odd.
    Finite { mantissa: IBig, exponent: i64 },
    /// What division by zero gives, with its sign.
    Infinite { negative: bool },
}

#[derive(Debug, Clone)]
pub struct Number {
    repr: Repr,
    precision: u32,
}

impl Number {
    pub fn zero() -> Self {
        Number::from(0i64)
    }

    fn small(value: i64, precision: u32) -> Self {
        Number { repr: Repr::Small(value), precision }
    }

    /// The whole number of a computation, if no precision could have rounded it.
    fn exact(value: Option<i64>, precision: u32) -> Option<Self> {
        let value = value.filter(|value| value.unsigned_abs() < 1 << HARDWARE)?;
        Some(Number::small(value, precision))
    }

    /// The mantissa, which is odd or zero, and the exponent.
    fn parts(&self) -> Option<(IBig, i64)> {
        match &self.repr {
            Repr::Small(0) => Some((IBig::ZERO, 0)),
            Repr::Small(value) => {
                let zeros = value.trailing_zeros();
                Some((IBig::from(value >> zeros), i64::from(zeros)))
            }
            Repr::Finite { mantissa, exponent } => Some((mantissa.clone(), *exponent)),
            Repr::Infinite { .. } => None,
        }
    }

    fn infinite(negative: bool, precision: u32) -> Self {
        Number { repr: Repr::Infinite { negative }, precision }
    }

    /// `mantissa * 2^exponent`, rounded to `precision` bits, half to even.
    fn rounded(mantissa: IBig, exponent: i64, precision: u32) -> Result<Self, OutOfRange> {
        if mantissa.is_zero() {
            return Ok(Number::small(0, precision));
        }
        let (sign, mut bits) = mantissa.into_parts();
        let mut exponent = exponent;
        let excess = bits.bit_len().saturating_sub(precision as usize);
        if excess > 0 {
            let (dropped, kept) = bits.split_bits(excess);
            let half = UBig::ONE << (excess - 1);
            let up = match dropped.cmp(&half) {
                Ordering::Greater => true,
                Ordering::Equal => kept.bit(0),
                Ordering::Less => false,
            };
            bits = if up { kept + UBig::ONE } else { kept };
            exponent += excess as i64;
        }
        let zeros = bits.trailing_zeros().unwrap_or(0);
        let bits = bits >> zeros;
        exponent += zeros as i64;
        let top = exponent + bits.bit_len() as i64;
        if top.abs() > EXPONENT_LIMIT || exponent < -EXPONENT_LIMIT {
            return Err(OutOfRange);
        }
        let mantissa = IBig::from_parts(sign, bits);
        if (0..i64::from(i64::BITS)).contains(&exponent)
            && let Ok(mantissa) = i64::try_from(&mantissa)
            && let Ok(value) = i64::try_from(i128::from(mantissa) << exponent)
        {
            return Ok(Number::small(value, precision));
        }
        Ok(Number { repr: Repr::Finite { mantissa, exponent }, precision })
    }

    /// The whole number, exactly, as if it had been written down.
    pub fn whole(value: IBig) -> Result<Self, OutOfRange> {
        let precision = WRITTEN.max(value.bit_len() as u32);
        Number::rounded(value, 0, precision)
    }

    /// The number of a computation in hardware floating point.
    pub fn from_f64(value: f64) -> Result<Self, Undefined> {
        if value.is_nan() {
            return Err(Undefined::NotANumber);
        }
        if value.is_infinite() {
            return Ok(Number::infinite(value < 0.0, HARDWARE));
        }
        let bits = value.to_bits();
        let fraction = bits & ((1 << 52) - 1);
        let exponent = ((bits >> 52) & 0x7ff) as i64;
        let (mantissa, exponent) = match exponent {
            0 => (fraction, -1074),
            _ => (fraction | 1 << 52, exponent - 1075),
        };
        let mantissa = IBig::from(mantissa);
        let mantissa = if value.is_sign_negative() { -mantissa } else { mantissa };
        Ok(Number::rounded(mantissa, exponent, HARDWARE)?)
    }

    /// Reads decimal notation: `-12`, `.5`, `5.`, `1.5e-3`, and `3p2` for 3 times 2 to the power of 2. `None` for what is
    /// not a number.
    pub fn parse(text: &str) -> Option<Result<Self, OutOfRange>> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if unsigned.eq_ignore_ascii_case("inf") {
            return Some(Ok(Number::infinite(negative, WRITTEN)));
        }
        let binary = unsigned.contains(['p', 'P']);
        let (digits, power) = match unsigned.find(if binary { ['p', 'P'] } else { ['e', 'E'] }) {
            Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
            None => (unsigned, None),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let power = match power {
            None => Some(0),
            Some(power) => {
                let unsigned = power.strip_prefix(['+', '-']).unwrap_or(power);
                if unsigned.is_empty() || !all_digits(unsigned) {
                    return None;
                }
                power.parse::<i64>().ok()
            }
        };
        if !binary {
            return Some(Number::from_decimal(negative, whole, fraction, power));
        }
        let doubled = |number: Number| match number.repr {
            Repr::Finite { mantissa, exponent } if !mantissa.is_zero() => {
                let power = power.filter(|power| power.abs() <= EXPONENT_LIMIT).ok_or(OutOfRange)?;
                Number::rounded(mantissa, exponent + power, WRITTEN)
            }
            _ => Ok(number),
        };
        Some(Number::from_decimal(negative, whole, fraction, Some(0)).and_then(doubled))
    }

    fn from_decimal(negative: bool, whole: &str, fraction: &str, power: Option<i64>) -> Result<Self, OutOfRange> {
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty()
            && power == Some(0)
            && let Ok(value) = whole.parse::<i64>()
        {
            return Ok(Number::small(if negative { -value } else { value }, WRITTEN));
        }
        if whole.len() + fraction.len() > EXPONENT_LIMIT as usize {
            return Err(OutOfRange);
        }
        let digits = format!("{whole}{fraction}");
        let mantissa = UBig::from_str_radix(&digits, 10).map_err(|_| OutOfRange)?;
        if mantissa.is_zero() {
            return Ok(Number::small(0, WRITTEN));
        }
        let power = power.ok_or(OutOfRange)?.checked_sub(fraction.len() as i64).ok_or(OutOfRange)?;
        if power.abs() > EXPONENT_LIMIT {
            return Err(OutOfRange);
        }
        let sign = if negative { Sign::Negative } else { Sign::Positive };
        let ten = UBig::from(10u8).pow(power.unsigned_abs() as usize);
        if power >= 0 {
            return Number::rounded(IBig::from_parts(sign, mantissa * ten), 0, WRITTEN);
        }
        Number::quotient(sign, mantissa, ten, 0, WRITTEN)
    }

    /// `numerator / denominator * 2^exponent`, rounded correctly.
    fn quotient(
        sign: Sign,
        numerator: UBig,
        denominator: UBig,
        exponent: i64,
        precision: u32,
    ) -> Result<Self, OutOfRange> {
        let shift =
            (precision as usize + 2 + denominator.bit_len()).saturating_sub(numerator.bit_len().saturating_sub(1));
        let (quotient, rest) = (numerator << shift).div_rem(denominator);
        // One more bit below stands for everything that was cut off, so that halves round right.
        let sticky = (quotient << 1) + UBig::from(u8::from(!rest.is_zero()));
        Number::rounded(IBig::from_parts(sign, sticky), exponent - shift as i64 - 1, precision)
    }

    /// How many digits the machine keeps of it.
    pub(super) fn bits(&self) -> usize {
        match &self.repr {
            Repr::Finite { mantissa, .. } => mantissa.bit_len(),
            Repr::Small(_) | Repr::Infinite { .. } => 64,
        }
    }

    pub fn is_infinite(&self) -> bool {
        matches!(self.repr, Repr::Infinite { .. })
    }

    pub fn is_zero(&self) -> bool {
        matches!(self.repr, Repr::Small(0))
    }

    pub fn is_negative(&self) -> bool {
        match &self.repr {
            Repr::Small(value) => *value < 0,
            Repr::Finite { mantissa, .. } => mantissa.sign() == Sign::Negative,
            Repr::Infinite { negative } => *negative,
        }
    }

    pub fn is_whole(&self) -> bool {
        match &self.repr {
            Repr::Small(_) => true,
            Repr::Finite { exponent, .. } => *exponent >= 0,
            Repr::Infinite { .. } => false,
        }
    }

    /// The exact whole number, if it is one.
    pub fn to_whole(&self) -> Option<IBig> {
        let (mantissa, exponent) = self.parts().filter(|(_, exponent)| *exponent >= 0)?;
        Some(mantissa << exponent as usize)
    }

    pub fn to_i64(&self) -> Option<i64> {
        match &self.repr {
            Repr::Small(value) => Some(*value),
            _ => None,
        }
    }

    pub fn to_u64(&self) -> Option<u64> {
        match &self.repr {
            Repr::Small(value) => u64::try_from(*value).ok(),
            // Without building a huge one to find out.
            Repr::Finite { exponent, .. } if (0..=64).contains(exponent) => u64::try_from(&self.to_whole()?).ok(),
            _ => None,
        }
    }

    /// The nearest hardware number.
    pub fn to_f64(&self) -> f64 {
        match &self.repr {
            Repr::Infinite { negative: true } => f64::NEG_INFINITY,
            Repr::Infinite { negative: false } => f64::INFINITY,
            Repr::Small(value) => *value as f64,
            Repr::Finite { mantissa, exponent } => {
                let narrow = Number::rounded(mantissa.clone(), *exponent, HARDWARE);
                match narrow.map(|number| number.repr) {
                    Ok(Repr::Small(value)) => value as f64,
                    Ok(Repr::Finite { mantissa, exponent }) => {
                        let mantissa = i64::try_from(&mantissa).unwrap_or_default() as f64;
                        let half = exponent.clamp(-2200, 2200) / 2;
                        let rest = exponent.clamp(-2200, 2200) - half;
                        mantissa * 2f64.powi(half as i32) * 2f64.powi(rest as i32)
                    }
                    _ => f64::NAN,
                }
            }
        }
    }

    pub fn negated(&self) -> Self {
        let repr = match &self.repr {
            Repr::Small(value) => match value.checked_neg() {
                Some(value) => Repr::Small(value),
                None => Repr::Finite { mantissa: IBig::ONE, exponent: 63 },
            },
            // What is too large by one for a positive number is not for a negative one.
            Repr::Finite { mantissa, exponent: 63 } if *mantissa == IBig::ONE => Repr::Small(i64::MIN),
            Repr::Finite { mantissa, exponent } => Repr::Finite { mantissa: -mantissa.clone(), exponent: *exponent },
            Repr::Infinite { negative } => Repr::Infinite { negative: !negative },
        };
        Number { repr, precision: self.precision }
    }

    pub fn abs(&self) -> Self {
        if self.is_negative() { self.negated() } else { self.clone() }
    }

    pub fn add(&self, other: &Self) -> Result<Self, Undefined> {
        let precision = self.precision.max(other.precision);
        if let (Repr::Small(a), Repr::Small(b)) = (&self.repr, &other.repr)
            && let Some(sum) = Number::exact(a.checked_add(*b), precision)
        {
            return Ok(sum);
        }
        if let (Some((a, x)), Some((b, y))) = (self.parts(), other.parts()) {
            let low = x.min(y);
            let sum = (a << (x - low) as usize) + (b << (y - low) as usize);
            return Ok(Number::rounded(sum, low, precision)?);
        }
        match (&self.repr, &other.repr) {
            (Repr::Infinite { negative: a }, Repr::Infinite { negative: b }) if a != b => Err(Undefined::NotANumber),
            (Repr::Infinite { negative }, _) | (_, Repr::Infinite { negative }) => {
                Ok(Number::infinite(*negative, precision))
            }
            _ => Err(Undefined::NotANumber),
        }
    }

    pub fn sub(&self, other: &Self) -> Result<Self, Undefined> {
        self.add(&other.negated())
    }

    pub fn mul(&self, other: &Self) -> Result<Self, Undefined> {
        let negative = self.is_negative() != other.is_negative();
        let precision = self.precision.max(other.precision);
        if let (Repr::Small(a), Repr::Small(b)) = (&self.repr, &other.repr)
            && let Some(product) = Number::exact(a.checked_mul(*b), precision)
        {
            return Ok(product);
        }
        match (self.parts(), other.parts()) {
            (Some((a, x)), Some((b, y))) => {
                let product = a * b;
                // A product keeps the bits it needs, up to those of a written number, as HCL does.
                let needed = (product.bit_len() as u32).min(WRITTEN);
                Ok(Number::rounded(product, x + y, precision.max(needed))?)
            }
            _ if self.is_zero() || other.is_zero() => Err(Undefined::NotANumber),
            _ => Ok(Number::infinite(negative, WRITTEN)),
        }
    }

    pub fn div(&self, other: &Self) -> Result<Self, Undefined> {
        let precision = self.precision.max(other.precision);
        let negative = self.is_negative() != other.is_negative();
        match (self.parts(), other.parts()) {
            (Some((a, x)), Some((b, y))) => {
                if b.is_zero() {
                    return match a.is_zero() {
                        true => Err(Undefined::NotANumber),
                        false => Ok(Number::infinite(negative, precision)),
                    };
                }
                if a.is_zero() {
                    return Ok(Number { precision, ..self.clone() });
                }
                let sign = if negative { Sign::Negative } else { Sign::Positive };
                Ok(Number::quotient(sign, a.unsigned_abs(), b.unsigned_abs(), x - y, precision)?)
            }
            (None, None) => Err(Undefined::NotANumber),
            (None, _) => Ok(Number::infinite(negative, precision)),
            _ => Ok(Number { precision, ..Number::zero() }),
        }
    }

    /// The rest of the division whose quotient was cut to a whole number; it has the sign of the dividend. The rest
    /// of a division by zero is the dividend.
    pub fn rem(&self, other: &Self) -> Result<Self, Undefined> {
        if self.is_infinite() || other.is_infinite() {
            return Err(Undefined::NotANumber);
        }
        if other.is_zero() {
            return Ok(self.clone());
        }
        // With 64 bits and more, the way below gives the same.
        let precision = self.precision.max(other.precision);
        if let (Repr::Small(a), Repr::Small(b)) = (&self.repr, &other.repr)
            && self.precision.min(other.precision) >= COUNTED
            && let Some(rest) = Number::exact(a.checked_rem(*b), precision)
        {
            return Ok(rest);
        }
        let cut = self.div(other)?.truncated();
        let cut = Number { precision: self.precision, ..cut };
        self.sub(&other.mul(&cut)?)
    }

    fn truncated(&self) -> Self {
        match &self.repr {
            Repr::Finite { mantissa, exponent } if *exponent < 0 => {
                let (sign, bits) = mantissa.clone().into_parts();
                let cut = IBig::from_parts(sign, bits >> exponent.unsigned_abs() as usize);
                Number::rounded(cut, 0, self.precision).unwrap_or_else(|_| Number::zero())
            }
            _ => self.clone(),
        }
    }

    pub fn floor(&self) -> Self {
        let cut = self.truncated();
        match self.is_negative() && cut != *self {
            true => cut.sub(&Number::from(1i64)).unwrap_or(cut),
            false => cut,
        }
    }

    pub fn ceil(&self) -> Self {
        self.negated().floor().negated()
    }

    /// -1, 0 or 1.
    pub fn signum(&self) -> i64 {
        match (self.is_negative(), self.is_zero()) {
            (true, _) => -1,
            (_, true) => 0,
            _ => 1,
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Number::small(value, COUNTED)
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        if let Ok(value) = i64::try_from(value) {
            return Number::small(value, COUNTED);
        }
        let zeros = value.trailing_zeros();
        let repr = Repr::Finite { mantissa: IBig::from(value >> zeros), exponent: i64::from(zeros) };
        Number { repr, precision: COUNTED }
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Number::from(value as u64)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |number: &Number| match number.repr {
            Repr::Infinite { negative: true } => -1,
            Repr::Infinite { negative: false } => 1,
            _ => 0,
        };
        if let (Repr::Small(a), Repr::Small(b)) = (&self.repr, &other.repr) {
            return a.cmp(b);
        }
        match (self.parts(), other.parts()) {
            (Some((a, x)), Some((b, y))) => {
                let low = x.min(y);
                (a << (x - low) as usize).cmp(&(b << (y - low) as usize))
            }
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

/// The decimal digits of a number without leading or trailing zeros, and where the point stands among them.
struct Decimal {
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    fn exact(mantissa: &UBig, exponent: i64) -> Self {
        let (whole, scale) = match exponent < 0 {
            true => (mantissa * UBig::from(5u8).pow(exponent.unsigned_abs() as usize), -exponent),
            false => (mantissa << exponent as usize, 0),
        };
        let mut digits: Vec<u8> = whole.to_string().into_bytes();
        let point = digits.len() as i64 - scale;
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        Decimal { digits, point }
    }

    fn at(&self, index: usize) -> u8 {
        self.digits.get(index).copied().unwrap_or(b'0')
    }

    fn cut(&mut self, length: usize) {
        self.digits.truncate(length);
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
        }
    }

    fn cut_upwards(&mut self, length: usize) {
        if length >= self.digits.len() {
            return;
        }
        let mut length = length;
        while length > 0 && self.digits[length - 1] == b'9' {
            length -= 1;
        }
        if length == 0 {
            self.digits = vec![b'1'];
            self.point += 1;
            return;
        }
        self.digits[length - 1] += 1;
        self.digits.truncate(length);
    }

    fn cut_to_nearest(&mut self, length: usize) {
        if length >= self.digits.len() {
            return;
        }
        let next = self.digits[length];
        let up = match next == b'5' && length + 1 == self.digits.len() {
            true => length > 0 && (self.digits[length - 1] - b'0') % 2 == 1,
            false => next >= b'5',
        };
        if up { self.cut_upwards(length) } else { self.cut(length) }
    }
}

/// The fewest digits that read back as the same number of the same precision.
fn shortest(mantissa: &UBig, exponent: i64, precision: u32) -> Decimal {
    let mut decimal = Decimal::exact(mantissa, exponent);
    let shift = (precision as usize + 1).saturating_sub(mantissa.bit_len());
    let middle = mantissa << shift;
    let exponent = exponent - shift as i64;
    let lower = Decimal::exact(&(&middle - UBig::ONE), exponent);
    let upper = Decimal::exact(&(&middle + UBig::ONE), exponent);
    // The borders read back as this number only when its last bit is even.
    let inclusive = !middle.bit(1);
    for index in 0..decimal.digits.len() {
        let (low, here, high) = (lower.at(index), decimal.at(index), upper.at(index));
        let down = low != here || inclusive && index + 1 == lower.digits.len();
        let up = here != high && (inclusive || here + 1 < high || index + 1 < upper.digits.len());
        match (down, up) {
            (true, true) => decimal.cut_to_nearest(index + 1),
            (true, false) => decimal.cut(index + 1),
            (false, true) => decimal.cut_upwards(index + 1),
            (false, false) => continue,
        }
        break;
    }
    decimal
}

impl fmt::Display for Number {
    /// Plain decimal notation, without exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((mantissa, exponent)) = self.magnitude() else {
            return f.write_str(if self.is_negative() { "-Inf" } else { "+Inf" });
        };
        // Of a whole number that has no more bits than its precision, no digit can be left out.
        if let Repr::Small(value) = &self.repr
            && u64::BITS - value.unsigned_abs().leading_zeros() <= self.precision
        {
            return write!(f, "{value}");
        }
        if self.is_negative() {
            f.write_str("-")?;
        }
        let decimal = shortest(&mantissa, exponent, self.precision);
        let text: String = decimal.digits.iter().map(|digit| char::from(*digit)).collect();
        if decimal.point <= 0 {
            return write!(f, "0.{}{text}", "0".repeat(decimal.point.unsigned_abs() as usize));
        }
        let point = decimal.point as usize;
        match text.len() <= point {
            true => write!(f, "{text}{}", "0".repeat(point - text.len())),
            false => write!(f, "{}.{}", &text[..point], &text[point..]),
        }
    }
}

/// Texts with a chosen number of digits, for `format`. They are of the number without its sign.
impl Number {
    fn magnitude(&self) -> Option<(UBig, i64)> {
        self.parts().map(|(mantissa, exponent)| (mantissa.unsigned_abs(), exponent))
    }

    /// `3.14`: that many digits behind the point.
    pub fn to_fixed(&self, places: usize) -> String {
        let Some((mantissa, exponent)) = self.magnitude() else { return "Inf".to_owned() };
        let mut decimal = Decimal::exact(&mantissa, exponent);
        let keep = decimal.point + places as i64;
        match keep < 0 {
            true => decimal = Decimal { digits: Vec::new(), point: 0 },
            false => decimal.cut_to_nearest(keep as usize),
        }
        let point = decimal.point.max(0) as usize;
        let whole: String = (0..point).map(|index| char::from(decimal.at(index))).collect();
        let behind = |index: usize| match decimal.point + index as i64 {
            at if at < 0 => '0',
            at => char::from(decimal.at(at as usize)),
        };
        let fraction: String = (0..places).map(behind).collect();
        let whole = if whole.is_empty() { "0".to_owned() } else { whole };
        if places == 0 { whole } else { format!("{whole}.{fraction}") }
    }

    /// `3.14e+00`: that many digits behind the point.
    pub fn to_scientific(&self, places: usize) -> String {
        let Some((mantissa, exponent)) = self.magnitude() else { return "Inf".to_owned() };
        let mut decimal = Decimal::exact(&mantissa, exponent);
        decimal.cut_to_nearest(places + 1);
        decimal.scientific(places)
    }

    /// The shortest digits, with an exponent for very large and very small numbers.
    pub fn to_general(&self) -> String {
        let Some((mantissa, exponent)) = self.magnitude() else { return self.to_string() };
        let sign = if self.is_negative() { "-" } else { "" };
        if mantissa.is_zero() {
            return "0".to_owned();
        }
        let decimal = shortest(&mantissa, exponent, self.precision);
        let plain = (-4..6).contains(&(decimal.point - 1));
        match plain {
            true => self.to_string(),
            false => format!("{sign}{}", decimal.scientific(decimal.digits.len() - 1)),
        }
    }

    /// As many digits in all, without zeros at the end.
    pub fn to_general_with(&self, digits: usize) -> String {
        let Some((mantissa, exponent)) = self.magnitude() else { return self.to_string() };
        let digits = digits.max(1);
        let mut decimal = Decimal::exact(&mantissa, exponent);
        decimal.cut_to_nearest(digits);
        let exponent = decimal.point - 1;
        if mantissa.is_zero() {
            return "0".to_owned();
        }
        match (-4..digits as i64).contains(&exponent) {
            true => {
                let places = (digits as i64 - 1 - exponent).max(0) as usize;
                let text = self.to_fixed(places);
                match text.contains('.') {
                    true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                    false => text,
                }
            }
            false => decimal.scientific(decimal.digits.len() - 1),
        }
    }
}

impl Decimal {
    fn scientific(&self, places: usize) -> String {
        let first = char::from(self.at(0));
        let fraction: String = (1..=places).map(|index| char::from(self.at(index))).collect();
        let exponent = if self.digits.is_empty() { 0 } else { self.point - 1 };
        let point = if places == 0 { "" } else { "." };
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{first}{point}{fraction}e{sign}{:02}", exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Number {
        Number::parse(text).expect("a number").expect("in range")
    }

    #[test]
    fn numbers_print_the_fewest_digits_that_read_back() {
        let long = "3.3000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000002";
        assert_eq!(number("1.1").add(&number("2.2")).expect("a sum").to_string(), long);
        assert_eq!(number("0.1").add(&number("0.2")).expect("a sum").to_string(), "0.3");
        // One digit less than would read back exactly: what HCL prints at a power of two.
        assert_eq!(Number::from_f64(2f64.powi(64)).expect("finite").to_string(), "18446744073709550000");
        for text in ["0", "-1.5", "9007199254740993", "0.0000001", "123456789012345678901234567890"] {
            assert_eq!(number(text).to_string(), text);
        }
    }

    #[test]
    fn division_by_zero_has_hcls_meaning() {
        assert_eq!(number("5").rem(&number("0")).expect("the dividend"), number("5"));
        assert!(number("1").div(&number("0")).expect("infinite").is_infinite());
        assert_eq!(number("0").div(&number("0")), Err(Undefined::NotANumber));
    }

    #[test]
    fn what_is_out_of_range_says_so() {
        for text in ["1e999999999", "1e-999999999", "1e99999999999999999999"] {
            assert_eq!(Number::parse(text), Some(Err(OutOfRange)), "{text}");
        }
        assert_eq!(number("0e99999999999"), Number::zero());
    }

    /// Large, small, and at the borders of what fits.
    fn whole() -> impl Strategy<Value = i64> {
        const BORDERS: &[i64] = &[i64::MIN, i64::MIN + 1, i64::MAX, 1 << 53, (1 << 53) + 1, -1, 0, 1];
        prop_oneof![any::<i64>(), -100..100i64, prop::sample::select(BORDERS)]
    }

    proptest! {
        #[test]
        fn whole_numbers_are_exact(a in whole(), b in whole()) {
            let (x, y) = (Number::from(a), number(&b.to_string()));
            prop_assert_eq!(x.add(&y).expect("a sum").to_string(), (i128::from(a) + i128::from(b)).to_string());
            prop_assert_eq!(x.mul(&y).expect("a product").to_string(), (i128::from(a) * i128::from(b)).to_string());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.negated().to_string(), (-i128::from(a)).to_string());
            prop_assert_eq!(y.negated().negated().to_i64(), Some(b));
            if b != 0 {
                prop_assert_eq!(x.rem(&y).expect("a rest").to_string(), (i128::from(a) % i128::from(b)).to_string());
            }
        }

        #[test]
        fn whole_numbers_print_the_digits_that_a_search_finds(whole in whole(), shift in 0..63u32) {
            for precision in [HARDWARE, COUNTED, WRITTEN] {
                let number = Number::rounded(IBig::from(whole >> shift), 0, precision).expect("in range");
                let Some((mantissa, exponent)) = number.magnitude().filter(|_| !number.is_zero()) else { continue };
                let decimal = shortest(&mantissa, exponent, precision);
                let digits: String = (0..decimal.point as usize).map(|index| char::from(decimal.at(index))).collect();
                prop_assert_eq!(number.abs().to_string(), digits);
            }
        }

        #[test]
        fn hardware_numbers_survive(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            let exact = Number::from_f64(value).expect("finite");
            prop_assert_eq!(exact.to_f64(), value);
            if value.to_bits() & ((1 << 52) - 1) != 0 {
                prop_assert_eq!(exact.to_string().parse::<f64>().expect("a number"), value);
            }
        }

        #[test]
        fn a_number_reads_back(text in "-?[0-9]{1,40}(\\.[0-9]{1,40})?(e-?[0-9]{1,3})?") {
            let read = number(&text);
            prop_assert_eq!(number(&read.to_string()), read);
        }

        #[test]
        fn any_text_is_a_number_or_not(text in any::<String>()) {
            let _ = Number::parse(&text);
        }
    }
}
