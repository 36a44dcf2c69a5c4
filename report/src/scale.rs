//! Ranges, ticks and thinned lines: what a chart needs before it draws.

use crate::history::History;

/// Part of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Range {
    /// Where a value lies: 0 at the lower end, 1 at the upper.
    pub fn share(self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// Round values in a range, about as many as asked: multiples of 1, 2 or 5 times a power of ten.
pub fn ticks(range: Range, about: usize) -> Vec<f64> {
    let rough = (range.high - range.low) / about.max(1) as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return vec![range.low];
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * power);
    multiples(range, step)
}

/// Round time spans in a range of seconds: whole seconds, minutes, hours or days.
pub fn time_ticks(range: Range, about: usize) -> Vec<f64> {
    const STEPS: [f64; 18] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0,
        7_200.0, 14_400.0, 21_600.0, 43_200.0, 86_400.0,
    ];
    let rough = (range.high - range.low) / about.max(1) as f64;
    match STEPS.into_iter().find(|step| *step >= rough * 0.999) {
        Some(step) if rough > 0.2 => multiples(range, step),
        _ => ticks(range, about),
    }
}

/// Powers of two between the ends of a range of base-two logarithms, as logarithms: each, or as few as are asked for.
pub fn doublings(range: Range, about: usize) -> Vec<f64> {
    let (first, last) = (range.low.ceil() as i64, range.high.floor() as i64);
    let apart = (last - first + 1).max(1) as usize;
    let every = apart.div_ceil(about.max(1));
    (first..=last)
        .step_by(every)
        .map(|power| power as f64)
        .collect()
}

/// Round values between the ends of a range of base-ten logarithms, as logarithms: powers of ten, with halves and fifths
/// of them where there are few.
pub fn magnitudes(range: Range, about: usize) -> Vec<f64> {
    let (first, last) = (range.low.floor() as i64, range.high.ceil() as i64);
    let within = |factors: &[f64]| -> Vec<f64> {
        (first..=last)
            .flat_map(|power| {
                factors
                    .iter()
                    .map(move |factor| power as f64 + factor.log10())
            })
            .filter(|mark| (range.low..=range.high).contains(mark))
            .collect()
    };
    let tens = within(&[1.0]);
    let every = tens.len().div_ceil(about.max(1)).max(1);
    if tens.len() >= 3 {
        return tens.into_iter().step_by(every).collect();
    }
    within(&[1.0, 2.0, 5.0])
}

/// The range of these values with a margin at both ends; `None` of no value.
pub fn spanned(values: impl Iterator<Item = f64>, margin: f64) -> Option<Range> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low > high {
        return None;
    }
    // Equal values still need a range to lie in.
    let spread = (high - low).max(1e-3);
    Some(Range {
        low: low - margin * spread,
        high: high + margin * spread,
    })
}

fn multiples(range: Range, step: f64) -> Vec<f64> {
    // A hair of tolerance keeps ends that are multiples but for rounding.
    let first = (range.low / step - 1e-6).ceil() as i64;
    let last = (range.high / step + 1e-6).floor() as i64;
    (first..=last).map(|index| index as f64 * step).collect()
}

/// Decimals that tell neighbouring ticks apart.
pub fn decimals(ticks: &[f64]) -> usize {
    match ticks {
        [first, second, ..] => (-(second - first).log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize,
        _ => 3,
    }
}

/// The losses worth looking at: all of the race between the floor and AR's best, and as much of the start and of a
/// blow-up as leaves that readable. What is cut off is for the chart's caption to say.
pub fn losses(history: &History, floor: Option<f64>) -> Range {
    let bests: Vec<f64> = history
        .curves()
        .iter()
        .filter_map(|curve| Some(curve.best()?.nats))
        .collect();
    if bests.is_empty() {
        return before_evaluation(history, floor);
    }
    let error = history
        .curves()
        .iter()
        .flat_map(|curve| curve.evaluations().filter_map(|evaluation| evaluation.se))
        .fold(0.0, f64::max);
    let low = bests.iter().copied().chain(floor).fold(f64::MAX, f64::min);
    let worst_best = bests.iter().copied().fold(f64::MIN, f64::max);
    let spread = (worst_best - low).max(3.0 * error).max(0.02);
    // After its best, a curve shows how far it overfits.
    let after = history
        .curves()
        .iter()
        .filter_map(|curve| {
            let best = curve.best()?.at.step;
            curve
                .evaluations()
                .filter(|evaluation| evaluation.at.step >= best)
                .map(|evaluation| evaluation.nats)
                .max_by(f64::total_cmp)
        })
        .fold(low, f64::max);
    let high = (after + 0.1 * spread).clamp(low + 2.5 * spread, low + 8.0 * spread);
    rounded(low - 0.15 * spread, high)
}

/// The range before anything was evaluated: all training losses.
fn before_evaluation(history: &History, floor: Option<f64>) -> Range {
    let trained = || {
        history
            .curves()
            .iter()
            .flat_map(|curve| curve.steps.iter().filter_map(|step| step.train_nats))
    };
    let low = trained().chain(floor).fold(f64::MAX, f64::min);
    let high = trained().fold(f64::MIN, f64::max);
    if low < high {
        rounded(low, high)
    } else {
        Range {
            low: 0.0,
            high: 1.0,
        }
    }
}

/// The range widened to half ticks, so that lines don't stick to its ends.
fn rounded(low: f64, high: f64) -> Range {
    let marks = ticks(Range { low, high }, 6);
    let half = match marks[..] {
        [first, second, ..] => (second - first) / 2.0,
        _ => return Range { low, high },
    };
    Range {
        low: ((low / half + 1e-6).floor() * half).max(0.0),
        high: (high / half - 1e-6).ceil() * half,
    }
}

/// At most `limit` points with the line's lowest and highest values kept: neighbours share a bucket, and each bucket
/// keeps its two extremes in their order.
pub fn thinned(points: &[(f64, f64)], limit: usize) -> Vec<(f64, f64)> {
    if points.len() <= limit || limit < 2 {
        return points.to_vec();
    }
    let bucket = points.len().div_ceil(limit / 2);
    points
        .chunks(bucket)
        .flat_map(|chunk| {
            let by_value = |&left: &usize, &right: &usize| chunk[left].1.total_cmp(&chunk[right].1);
            let lowest = (0..chunk.len()).min_by(by_value).unwrap_or(0);
            let highest = (0..chunk.len()).max_by(by_value).unwrap_or(0);
            let (first, second) = (lowest.min(highest), lowest.max(highest));
            std::iter::once(chunk[first]).chain((first != second).then(|| chunk[second]))
        })
        .collect()
}

/// Rising places moved so that neighbours are `gap` apart and all lie between `low` and `high`, where they fit.
pub fn apart(places: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut moved: Vec<f64> = places.to_vec();
    let mut limit = low;
    for place in &mut moved {
        *place = place.max(limit);
        limit = *place + gap;
    }
    let mut limit = high;
    for place in moved.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - gap;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::race;

    #[test]
    fn ticks_are_round() {
        let range = |low, high| Range { low, high };
        assert_eq!(
            ticks(range(0.0, 100.0), 5),
            [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
        );
        assert_eq!(ticks(range(0.0, 2.5e6), 5).len(), 6);
        let small = ticks(range(0.47, 0.93), 5);
        assert_eq!(small.len(), 5);
        assert_eq!(decimals(&small), 1);
        assert_eq!(decimals(&[0.5, 0.55]), 2);
        assert_eq!(time_ticks(range(0.0, 100.0), 6), [0.0, 30.0, 60.0, 90.0]);
        assert_eq!(time_ticks(range(0.0, 0.5), 5).len(), 6);
        assert_eq!(ticks(range(1.0, 1.0), 5), [1.0]);
    }

    #[test]
    fn the_loss_range_shows_a_mild_overfit_whole_and_cuts_a_blow_up() {
        let mild = losses(&race(&[1.6, 0.59, 1.1], &[1.6, 0.9, 0.55]), Some(0.4796));
        assert!(
            mild.low < 0.4796 && mild.high > 1.1 && mild.high < 1.6,
            "{mild:?}"
        );
        let wild = losses(&race(&[1.6, 0.59, 9.0], &[1.6, 0.9, 0.55]), Some(0.4796));
        assert!(wild.high < 2.0, "{wild:?}");
        let unmeasured = losses(&race(&[], &[]), None);
        assert_eq!(
            unmeasured,
            Range {
                low: 0.0,
                high: 1.0
            }
        );
    }

    #[test]
    fn thinning_keeps_the_extremes() {
        let points: Vec<(f64, f64)> = (0..10_000)
            .map(|index| {
                (
                    f64::from(index),
                    if index == 4_321 {
                        99.0
                    } else {
                        f64::from(index % 7)
                    },
                )
            })
            .collect();
        let few = thinned(&points, 1_000);
        assert!(few.len() <= 1_000);
        assert!(few.contains(&(4_321.0, 99.0)));
        assert!(few.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(thinned(&points[..10], 1_000).len(), 10);
    }

    #[test]
    fn logarithmic_ticks_are_round_too() {
        let range = |low, high| Range { low, high };
        assert_eq!(
            doublings(range(-0.1, 6.1), 8),
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        );
        assert_eq!(doublings(range(-0.1, 6.1), 4), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(magnitudes(range(5.9, 9.1), 8), [6.0, 7.0, 8.0, 9.0]);
        let few: Vec<f64> = magnitudes(range(5.9, 7.1), 8)
            .into_iter()
            .map(|mark| 10_f64.powf(mark).round())
            .collect();
        assert_eq!(few, [1e6, 2e6, 5e6, 1e7]);
    }

    #[test]
    fn labels_keep_their_distance_and_stay_inside() {
        assert_eq!(
            apart(&[10.0, 11.0, 50.0], 17.0, 0.0, 100.0),
            [10.0, 27.0, 50.0]
        );
        assert_eq!(apart(&[95.0, 99.0], 17.0, 0.0, 100.0), [83.0, 100.0]);
        assert_eq!(apart(&[-300.0], 17.0, 26.0, 100.0), [26.0]);
    }
}
