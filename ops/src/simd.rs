//! Loops that compilers turn into vector instructions: a sum in sixteen lanes, and an exponential without a table.
//!
//! Nothing here is written for one processor. What calls these is compiled several times by `multiversion`, once for each
//! width of vectors, and picks at run time; in a browser the one version has `simd128`.

use std::f32::consts::LOG2_E;

/// Partial sums that run beside each other: the widest vectors hold sixteen f32.
pub const LANES: usize = 16;

/// Asks for the memory some elements ahead of these, which are about to be read in order. It need not be there.
#[inline(always)]
pub fn prefetch<const N: usize>(elements: &[f32; N], ahead: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // A line of cache holds 16 f32.
        for start in (0..N).step_by(16) {
            let place = elements.as_ptr().wrapping_add(start + ahead);
            // An address that can't be read is no error: nothing is read.
            #[allow(unsafe_code)]
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(place.cast());
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (elements, ahead);
}

/// `e^x`, within 2 units in the last place from -87 to 88, and as there outside; a NaN stays one.
///
/// Cephes' `expf`: `x = n ln 2 + r`, a polynomial of `r`, and `n` put into the exponent's bits. Rounding to `n` is an
/// addition that pushes the fraction out of the mantissa, which every vector unit can do.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // 1.5 * 2^23.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first of few bits: n times it is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut polynomial = 1.987_569_1e-4;
    for coefficient in [
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        polynomial = polynomial * r + coefficient;
    }
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    (polynomial * r * r + r + 1.0) * power
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The sum of products of two equally long slices.
#[inline(always)]
pub fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (wide_left, wide_right) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let rest: f32 = (wide_left.remainder().iter())
        .zip(wide_right.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in wide_left.zip(wide_right) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// The sum of products of three equally long slices.
#[inline(always)]
pub fn dot_of_three(first: &[f32], second: &[f32], third: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let wide = (first.chunks_exact(LANES))
        .zip(second.chunks_exact(LANES))
        .zip(third.chunks_exact(LANES));
    for ((a, b), c) in wide {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane] * c[lane];
        }
    }
    let done = first.len() / LANES * LANES;
    let rest = first[done..]
        .iter()
        .zip(&second[done..])
        .zip(&third[done..]);
    lanes.iter().sum::<f32>() + rest.map(|((a, b), c)| a * b * c).sum::<f32>()
}

/// The largest element; -infinity of none.
#[inline(always)]
pub fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let wide = values.chunks_exact(LANES);
    let rest = wide.remainder().iter().copied();
    for chunk in wide.clone() {
        for lane in 0..LANES {
            lanes[lane] = if chunk[lane] > lanes[lane] {
                chunk[lane]
            } else {
                lanes[lane]
            };
        }
    }
    lanes
        .into_iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, f32::max)
}

/// Replaces each by its exponential after `shift` is taken away; gives their sum.
#[inline(always)]
pub fn exp_shifted(values: &mut [f32], shift: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let mut wide = values.chunks_exact_mut(LANES);
    for chunk in &mut wide {
        for lane in 0..LANES {
            chunk[lane] = exp(chunk[lane] - shift);
            lanes[lane] += chunk[lane];
        }
    }
    let mut rest = 0.0;
    for value in wide.into_remainder() {
        *value = exp(*value - shift);
        rest += *value;
    }
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_two_units_in_the_last_place() {
        for step in -8_700..8_800 {
            let x = step as f32 / 100.0 + 0.003;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "e^{x}: {error:e}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(-1e9) < 2e-38);
        assert!(exp(1e9).is_finite());
    }

    #[test]
    fn sums_and_maxima_are_those_of_plain_loops() {
        for length in [0, 1, 15, 16, 17, 40, 133] {
            let left: Vec<f32> = (0..length)
                .map(|i| ((i * 37 % 19) as f32 - 9.0) / 4.0)
                .collect();
            let right: Vec<f32> = left.iter().rev().copied().collect();
            let plain: f32 = left.iter().zip(&right).map(|(a, b)| a * b).sum();
            assert!((dot(&left, &right) - plain).abs() <= 1e-5 * plain.abs().max(1.0));
            let ones = vec![1.0; length];
            assert_eq!(dot_of_three(&ones, &right, &left), dot(&left, &right));
            assert_eq!(
                largest(&left),
                left.iter().copied().fold(f32::NEG_INFINITY, f32::max)
            );
            let mut powers = left.clone();
            let sum = exp_shifted(&mut powers, 1.0);
            let exact: f32 = left.iter().map(|x| (x - 1.0).exp()).sum();
            assert!((sum - exact).abs() <= 1e-5 * exact.max(1.0));
        }
    }
}
