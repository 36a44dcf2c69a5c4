//! Round places on an axis.

use egui_plot::{GridInput, GridMark};

/// Points between two lines of a grid that are too close: what [`GridInput::base_step_size`] stands for.
pub const CLOSE: f32 = 8.0;
/// Points between two names that stand above each other.
pub const ABOVE: f32 = 34.0;
/// Points between two names that stand beside each other.
pub const BESIDE: f32 = 82.0;

/// How far so many points are on an axis.
pub fn length(input: &GridInput, points: f32) -> f64 {
    input.base_step_size * f64::from(points / CLOSE)
}

/// Seconds that people count time in.
const SPANS: [f64; 17] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0,
    14_400.0, 43_200.0, 86_400.0,
];

/// Multiples of the first round number that keeps them so far apart, between two bounds.
pub fn marks(bounds: (f64, f64), apart: f64) -> Vec<GridMark> {
    multiples(bounds, round(apart))
}

/// The same on an axis of seconds.
pub fn spans(bounds: (f64, f64), apart: f64) -> Vec<GridMark> {
    let span = SPANS.into_iter().find(|span| *span >= apart);
    let step = span.filter(|_| apart > 0.5);
    multiples(bounds, step.unwrap_or_else(|| round(apart)))
}

/// The same on an axis of powers of ten, whose bounds are exponents: 1, 2 and 5 of each power, or whole powers.
pub fn powers(bounds: (f64, f64), apart: f64) -> Vec<GridMark> {
    // The least of the distances from 1 to 2, from 2 to 5 and from 5 to 10.
    if apart > 2.0_f64.log10() {
        return multiples(bounds, round(apart.max(1.0)));
    }
    let factors = [1.0_f64, 2.0, 5.0].map(f64::log10);
    let of = |mark: GridMark| factors.map(|factor| mark.value + factor);
    // The power below the lower bound may have some above it.
    multiples((bounds.0 - 1.0, bounds.1), 1.0)
        .into_iter()
        .flat_map(of)
        .filter(|value| (bounds.0..=bounds.1).contains(value))
        .map(|value| GridMark {
            value,
            step_size: 1.0,
        })
        .collect()
}

/// The first of 1, 2, 5, 10, … that is not less.
fn round(least: f64) -> f64 {
    let power = 10.0_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|factor| factor * power);
    let step = steps.into_iter().find(|step| *step >= least);
    step.unwrap_or(10.0 * power)
}

fn multiples((from, to): (f64, f64), step: f64) -> Vec<GridMark> {
    if !(step.is_finite() && step > 0.0 && (to - from).is_finite()) {
        return Vec::new();
    }
    let (first, last) = ((from / step).ceil() as i64, (to / step).floor() as i64);
    let mark = |index: i64| GridMark {
        value: index as f64 * step,
        step_size: step,
    };
    (first..=last).map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(marks: Vec<GridMark>) -> Vec<f64> {
        marks.into_iter().map(|mark| mark.value).collect()
    }

    #[test]
    fn places_are_round_and_far_enough_apart() {
        assert_eq!(values(marks((-2e4, 1.28e6), 353e3)), [0.0, 5e5, 1e6]);
        let losses = values(marks((0.42, 1.41), 0.145));
        assert_eq!(losses.len(), 5);
        assert!((losses[0] - 0.6).abs() < 1e-12);
        assert_eq!(values(marks((0.0, 10.0), 5.0)), [0.0, 5.0, 10.0]);
        assert!(marks((0.0, 10.0), f64::NAN).is_empty());
        assert!(marks((0.0, 10.0), 0.0).is_empty());
    }

    #[test]
    fn powers_of_ten_have_their_twos_and_fives() {
        let places = |bounds, apart| -> Vec<f64> {
            let exponents = values(powers(bounds, apart)).into_iter();
            exponents
                .map(|exponent| 10.0_f64.powf(exponent).round())
                .collect()
        };
        assert_eq!(places((1.4, 2.8), 0.2), [50.0, 100.0, 200.0, 500.0]);
        assert_eq!(places((1.4, 3.2), 0.5), [100.0, 1_000.0]);
        assert_eq!(places((0.0, 6.0), 1.5), [1.0, 100.0, 10_000.0, 1_000_000.0]);
    }

    #[test]
    fn time_is_counted_in_minutes_and_hours() {
        assert_eq!(values(spans((0.0, 130.0), 33.0)), [0.0, 60.0, 120.0]);
        assert_eq!(values(spans((0.0, 9e3), 2_500.0)), [0.0, 3_600.0, 7_200.0]);
        assert_eq!(values(spans((0.0, 0.5), 0.15)), [0.0, 0.2, 0.4]);
        assert_eq!(values(spans((0.0, 3e5), 1e5)), [0.0, 1e5, 2e5, 3e5]);
    }
}
