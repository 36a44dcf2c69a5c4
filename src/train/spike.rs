//! Loss spikes: training losses that leave the band in which the last ones lay.

use std::collections::VecDeque;

/// Losses that the band is made of.
const WINDOW: usize = 64;
/// Losses before there is a band.
const LEAST: usize = 32;
/// How far a loss may lie above the median, in standard deviations of a normal distribution.
const DEVIATIONS: f64 = 8.0;
/// The median absolute deviation of a normal distribution is its standard deviation over this.
const NORMAL: f64 = 1.4826;
/// The least standard deviation, as a share of the median: losses that hardly differ are no reason for an alarm.
const LEAST_DEVIATION: f64 = 0.01;

/// Where the last losses of a model lie.
#[derive(Debug, Clone, Default)]
pub struct SpikeWatch {
    recent: VecDeque<f64>,
    /// Whether the last loss lay above its band.
    outside: bool,
}

/// A loss above its band.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spike {
    /// The median of the losses before it; none where there are too few yet.
    pub median: Option<f64>,
    /// The upper end of their band.
    pub limit: Option<f64>,
}

impl SpikeWatch {
    /// Takes the next training loss. It is a spike when it is no finite number, or the first that lies above the median of the
    /// last 64 by more than eight of their standard deviations, as the median absolute deviation estimates them: a single
    /// wild loss moves neither. Those that follow while it stays up there are the same spike, and a loss that stays for
    /// 32 steps has become the usual one.
    pub fn take(&mut self, loss: f64) -> Option<Spike> {
        let band = self.band();
        let is_outside = !loss.is_finite() || band.is_some_and(|(_, limit)| loss > limit);
        let begins = is_outside && !self.outside;
        self.outside = is_outside;
        if loss.is_finite() {
            if self.recent.len() == WINDOW {
                self.recent.pop_front();
            }
            self.recent.push_back(loss);
        }
        begins.then(|| Spike {
            median: band.map(|(median, _)| median),
            limit: band.map(|(_, limit)| limit),
        })
    }

    /// The median, and what a loss may be at most.
    fn band(&self) -> Option<(f64, f64)> {
        if self.recent.len() < LEAST {
            return None;
        }
        let middle = median(self.recent.iter().copied());
        let absolute = median(self.recent.iter().map(|loss| (loss - middle).abs()));
        let deviation = (NORMAL * absolute).max(LEAST_DEVIATION * middle.abs());
        Some((middle, middle + DEVIATIONS * deviation))
    }
}

/// The upper median.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    /// A loss that falls from 4 to 2 and scatters by about 0.1.
    fn losses(count: usize) -> Vec<f64> {
        let mut stream = Stream::new(3, Purpose::Source, 0, 0);
        (0..count)
            .map(|step| 2.0 + 2.0 * (-(step as f64) / 200.0).exp() + 0.1 * stream.normal())
            .collect()
    }

    #[test]
    fn noise_and_a_falling_loss_are_no_spike() {
        let mut watch = SpikeWatch::default();
        assert!(
            losses(5_000)
                .into_iter()
                .all(|loss| watch.take(loss).is_none())
        );
        // Nor is a loss that hardly moves.
        let mut still = SpikeWatch::default();
        assert!((0..200).all(|step| still.take(1.0 + 1e-6 * f64::from(step % 3)).is_none()));
    }

    #[test]
    fn a_spike_is_told_once_and_again_after_it_is_over() {
        let mut watch = SpikeWatch::default();
        let mut told = Vec::new();
        for (step, mut loss) in losses(400).into_iter().enumerate() {
            if [100..104, 300..301]
                .iter()
                .any(|spike| spike.contains(&step))
            {
                loss += 3.0;
            }
            if let Some(spike) = watch.take(loss) {
                let (median, limit) = (spike.median.unwrap(), spike.limit.unwrap());
                assert!(median < limit && limit < loss, "{spike:?}");
                told.push(step);
            }
        }
        assert_eq!(told, [100, 300]);
    }

    #[test]
    fn a_loss_that_stays_up_becomes_the_usual_one() {
        let mut watch = SpikeWatch::default();
        for loss in losses(100) {
            watch.take(loss);
        }
        let told = (0..200).filter(|_| watch.take(9.0).is_some()).count();
        assert_eq!(told, 1);
        assert!(!watch.outside);
        assert!(watch.take(20.0).is_some());
    }

    #[test]
    fn what_is_no_number_is_a_spike_from_the_first_step_on() {
        let mut watch = SpikeWatch::default();
        assert_eq!(
            watch.take(f64::NAN),
            Some(Spike {
                median: None,
                limit: None
            })
        );
        assert!(watch.recent.is_empty());
    }
}
