//! Halves on the processor, which has no products of them: operands are rounded to halves, and multiplied in f32.
//!
//! The product of two numbers of 8 or of 11 significant bits has at most 22, so f32 holds it exactly, and what comes out is what
//! tensor cores give that multiply halves and add up in f32, up to the order of the sums.

use std::borrow::Cow;

use super::request::Operands;

/// Rounds to the nearest number that an operand can be, of two as near to the even one.
pub fn round(values: &mut [f32], operands: Operands) {
    match operands {
        Operands::F32 => {}
        Operands::Bf16 => round_each(values, nearest_bf16),
        Operands::F16 => round_each(values, nearest_f16),
    }
}

/// By whole numbers alone, so that a loop over it is vectorised, where the conversions of crate `half` are not.
fn nearest_bf16(value: f32) -> f32 {
    let bits = value.to_bits();
    let even = bits >> 16 & 1;
    let rounded = f32::from_bits(bits.wrapping_add(0x7fff + even) & 0xffff_0000);
    if value.is_nan() { value } else { rounded }
}

/// As [`nearest_bf16`].
fn nearest_f16(value: f32) -> f32 {
    /// The least normal f16, 2⁻¹⁴; those below it are multiples of 2⁻²⁴.
    const LEAST_NORMAL: f32 = 1.0 / 16_384.0;
    /// Where rounding reaches 2¹⁶, which f16 has no number for.
    const OVERFLOW: f32 = 65_520.0;
    let magnitude = value.abs();
    let bits = magnitude.to_bits();
    let even = bits >> 13 & 1;
    let normal = f32::from_bits(bits.wrapping_add(0xfff + even) & !0x1fff);
    // In [0.5, 1) f32 itself has steps of 2⁻²⁴.
    let subnormal = (magnitude + 0.5) - 0.5;
    let finite = if magnitude < LEAST_NORMAL {
        subnormal
    } else {
        normal
    };
    let rounded = if magnitude >= OVERFLOW {
        f32::INFINITY
    } else {
        finite
    };
    if value.is_nan() {
        value
    } else {
        rounded.copysign(value)
    }
}

fn round_each(values: &mut [f32], round: impl Fn(f32) -> f32) {
    for value in values {
        *value = round(*value);
    }
}

/// Values as products take them; the very same where they stay as they are.
pub fn rounded(values: &[f32], operands: Operands) -> Cow<'_, [f32]> {
    let mut rounded = Cow::Borrowed(values);
    if operands != Operands::F32 {
        round(rounded.to_mut(), operands);
    }
    rounded
}

#[cfg(test)]
mod tests {
    use burn::tensor::{bf16, f16};

    use super::*;

    #[test]
    fn rounding_is_that_of_the_types() {
        for near in 0..=u16::MAX {
            let exact = [
                f16::from_bits(near).to_f32(),
                bf16::from_bits(near).to_f32(),
            ];
            let steps = [0, 1, 0xfff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001];
            let beside = exact
                .iter()
                .flat_map(|value| steps.map(|step| value.to_bits().wrapping_add(step)));
            for bits in beside {
                let value = f32::from_bits(bits);
                for (found, expected) in [
                    (nearest_bf16(value), bf16::from_f32(value).to_f32()),
                    (nearest_f16(value), f16::from_f32(value).to_f32()),
                ] {
                    assert!(
                        found.to_bits() == expected.to_bits() || value.is_nan() && found.is_nan(),
                        "{value:e} became {found:e}, not {expected:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn operands_are_the_nearest_halves() {
        let values = [
            1.0,
            1.0 + 1.0 / 256.0,
            -1.003,
            65_519.0,
            65_520.0,
            1e-8,
            3e38,
        ];
        let as_bf16 = [1.0, 1.0, -1.0, 65_536.0, 65_536.0, 1.0011718e-8, 3.00406e38];
        let infinity = f32::INFINITY;
        let as_f16 = [
            1.0,
            1.0 + 1.0 / 256.0,
            -1.0029297,
            65_504.0,
            infinity,
            0.0,
            infinity,
        ];
        for (operands, expected) in [
            (Operands::F32, values),
            (Operands::Bf16, as_bf16),
            (Operands::F16, as_f16),
        ] {
            for (found, expected) in rounded(&values, operands).iter().zip(expected) {
                assert!(
                    *found == expected || (found / expected - 1.0).abs() < 1e-4,
                    "{operands:?}: {found}, not {expected}"
                );
            }
        }
        assert!(matches!(rounded(&values, Operands::F32), Cow::Borrowed(_)));
    }
}
