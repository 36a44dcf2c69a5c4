//! Halves on the processor, which has no products of them: operands are rounded to halves, and multiplied in f32.
//!
//! The product of two numbers of 8 or of 11 significant bits has at most 22, so f32 holds it exactly, and what comes out is what
//! tensor cores give that multiply halves and add up in f32, up to the order of the sums.

use std::borrow::Cow;

use burn::tensor::{bf16, f16};

use super::request::Operands;

/// Rounds to the nearest number that an operand can be, of two as near to the even one.
pub fn round(values: &mut [f32], operands: Operands) {
    match operands {
        Operands::F32 => {}
        Operands::Bf16 => round_each(values, |value| bf16::from_f32(value).to_f32()),
        Operands::F16 => round_each(values, |value| f16::from_f32(value).to_f32()),
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
    use super::*;

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
