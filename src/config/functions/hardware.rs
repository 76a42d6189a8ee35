//! Logarithms and powers in hardware floating point, to the last digit those that people know from Terraform: a correctly
//! rounded logarithm would make `ceil(log(n, 2))` another number. Nothing here fails; what has no value is not a number.

/// The natural logarithm, by the series of fdlibm.
#[allow(clippy::excessive_precision)] // the digits are those of the source
pub(super) fn ln(value: f64) -> f64 {
    const LN2_HIGH: f64 = 6.931_471_803_691_238_164_9e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_700_02e-10;
    const EVEN: [f64; 4] = [
        6.666_666_666_666_735_13e-1,
        2.857_142_874_366_239_149e-1,
        1.818_357_216_161_805_012e-1,
        1.479_819_860_511_658_591e-1,
    ];
    const ODD: [f64; 3] = [3.999_999_999_940_941_908e-1, 2.222_219_843_214_978_396e-1, 1.531_383_769_920_937_332e-1];
    if value == 0.0 {
        return f64::NEG_INFINITY;
    }
    if value.is_nan() || value < 0.0 {
        return f64::NAN;
    }
    if value.is_infinite() {
        return value;
    }
    let (mut fraction, mut exponent) = split(value);
    if fraction < std::f64::consts::FRAC_1_SQRT_2 {
        fraction *= 2.0;
        exponent -= 1;
    }
    let (f, k) = (fraction - 1.0, exponent as f64);
    let s = f / (2.0 + f);
    let (s2, s4) = (s * s, (s * s) * (s * s));
    let series = |coefficients: &[f64]| coefficients.iter().rev().fold(0.0, |sum, c| c + s4 * sum);
    let rest = s2 * series(&EVEN) + s4 * series(&ODD);
    let half = 0.5 * f * f;
    k * LN2_HIGH - ((half - (s * (half + rest) + k * LN2_LOW)) - f)
}

/// The exponential function: a sixteenth of the argument, the series of Taylor, and four squarings.
fn exp(value: f64) -> f64 {
    const LN2_HIGH: f64 = 0.693_147_180_559_662_956_511_601_805_686_950_683_593_75;
    const LN2_LOW: f64 = 0.282_352_905_630_315_771_225_884_481_750_134_360_255_254_120_68e-12;
    if !(-745.2..=709.78).contains(&value) {
        return value.exp();
    }
    let exponent = (value * std::f64::consts::LOG2_E).round_ties_even();
    let x = (-exponent).mul_add(LN2_LOW, (-exponent).mul_add(LN2_HIGH, value)) * 0.0625;
    let series = [40320.0, 5040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0];
    let sum = series[1..].iter().fold(1.0 / series[0], |sum: f64, factorial| sum.mul_add(x, 1.0 / factorial));
    // This is e^x - 1; each squaring of 1 + y is y * (y + 2), plus 1.
    let mut y = x * sum;
    for _ in 0..3 {
        y *= y + 2.0;
    }
    joined(y.mul_add(y + 2.0, 1.0), exponent as i64)
}

/// A power: the whole part of the exponent by squaring, rounded at each step, so that `pow(10, 100)` has digits that tell.
pub(super) fn power(base: f64, exponent: f64) -> f64 {
    let whole = exponent.abs().trunc();
    if base == 0.0 || !base.is_finite() || !exponent.is_finite() || whole >= 9.0e18 || exponent.abs() == 0.5 {
        return match exponent {
            0.5 => base.sqrt(),
            -0.5 => 1.0 / base.sqrt(),
            _ => base.powf(exponent),
        };
    }
    let fraction = exponent.abs() - whole;
    if fraction != 0.0 && base < 0.0 {
        return f64::NAN;
    }
    // A fraction above a half is reached from the next whole number.
    let (whole, fraction) = if fraction > 0.5 { (whole + 1.0, fraction - 1.0) } else { (whole, fraction) };
    let mut result = if fraction == 0.0 { 1.0 } else { exp(fraction * ln(base)) };
    let mut result_exponent = 0i64;
    let (mut square, mut square_exponent) = split(base);
    let mut left = whole as u64;
    while left != 0 {
        if square_exponent.abs() > 1 << 12 {
            result_exponent += square_exponent;
            break;
        }
        if left & 1 == 1 {
            result *= square;
            result_exponent += square_exponent;
        }
        square *= square;
        square_exponent *= 2;
        if square < 0.5 {
            square += square;
            square_exponent -= 1;
        }
        left >>= 1;
    }
    match exponent < 0.0 {
        true => joined(1.0 / result, -result_exponent),
        false => joined(result, result_exponent),
    }
}

/// A fraction from 0.5 to 1 and the exponent of 2, for a finite number that is not zero.
fn split(value: f64) -> (f64, i64) {
    let (scaled, shift) = if value.abs() < f64::MIN_POSITIVE { (value * 2f64.powi(64), 64) } else { (value, 0) };
    let bits = scaled.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1022;
    (f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52), exponent - shift)
}

/// The number that [`split`] takes apart.
fn joined(fraction: f64, exponent: i64) -> f64 {
    if fraction == 0.0 || !fraction.is_finite() {
        return fraction;
    }
    let (fraction, more) = split(fraction);
    match exponent + more {
        exponent if exponent > 1024 => f64::INFINITY * fraction,
        exponent if exponent < -1074 => 0.0,
        // In two steps, because the powers of two at the ends of the range are no numbers of their own.
        exponent => fraction * 2f64.powi((exponent / 2) as i32) * 2f64.powi((exponent - exponent / 2) as i32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digit_is_terraforms() {
        assert_eq!(power(10.0, 100.0), 1.000_000_000_000_000_2e100);
        assert_eq!(power(2.0, 1.5), 2.828_427_124_746_19);
        assert_eq!(ln(2.0) / ln(3.0), 0.630_929_753_571_457_5);
        assert_eq!(power(2.0, -1074.0), f64::from_bits(1));
        assert_eq!(power(2.0, 2000.0), f64::INFINITY);
        assert!(power(-8.0, 1.0 / 3.0).is_nan());
    }

    #[test]
    fn a_number_survives_being_split() {
        for value in [1.0, -0.75, 5e-324, f64::MIN_POSITIVE, f64::MAX, 3.0e10] {
            let (fraction, exponent) = split(value);
            assert!((0.5..1.0).contains(&fraction.abs()), "{value}");
            assert_eq!(joined(fraction, exponent), value);
        }
    }
}
