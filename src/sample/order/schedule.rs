//! How much is masked as time passes.

use serde::{Deserialize, Serialize};

/// The share of the free positions that is still masked after each step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Equally many positions a step: 1 - r after the share r of the steps.
    #[default]
    Linear,
    /// Few at first, while nothing is known, and many at the end: cos(π r / 2) (MaskGIT, arXiv 2202.04200).
    Cosine,
}

impl Schedule {
    /// The share that is masked after `step` of `steps`.
    pub(in crate::sample) fn masked(self, step: usize, steps: usize) -> f64 {
        if step == steps {
            return 0.0;
        }
        match self {
            Self::Linear => (steps - step) as f64 / steps as f64,
            Self::Cosine => libm::cos(std::f64::consts::FRAC_PI_2 * step as f64 / steps as f64),
        }
    }

    /// How many of `masked` positions step number `step`, counted from 1, commits, `free` having been masked at first.
    ///
    /// Linear: free/steps, the first free mod steps one more, as LLaDA has it. Cosine: what is above the schedule; one at
    /// least, and one is left for each later step.
    pub(in crate::sample) fn quota(
        self,
        step: usize,
        steps: usize,
        free: usize,
        masked: usize,
    ) -> usize {
        match self {
            Self::Linear => free / steps + usize::from(step <= free % steps),
            Self::Cosine => {
                let above =
                    masked.saturating_sub((free as f64 * self.masked(step, steps)) as usize);
                above.min(masked.saturating_sub(steps - step)).max(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many positions each step commits.
    fn quotas(schedule: Schedule, steps: usize, free: usize) -> Vec<usize> {
        let mut masked = free;
        (1..=steps)
            .map(|step| {
                let quota = schedule.quota(step, steps, free, masked);
                masked -= quota;
                quota
            })
            .collect()
    }

    #[test]
    fn quotas_share_out_all_positions_and_no_step_is_idle() {
        assert_eq!(quotas(Schedule::Linear, 4, 6), [2, 2, 1, 1]);
        assert_eq!(quotas(Schedule::Cosine, 4, 16), [2, 3, 5, 6]);
        for schedule in [Schedule::Linear, Schedule::Cosine] {
            for free in 1..20 {
                for steps in 1..=free {
                    let quotas = quotas(schedule, steps, free);
                    assert_eq!(quotas.iter().sum::<usize>(), free);
                    assert!(quotas.iter().all(|&quota| quota > 0), "{quotas:?}");
                }
            }
        }
    }

    #[test]
    fn schedules_fall_from_one_to_zero() {
        for schedule in [Schedule::Linear, Schedule::Cosine] {
            let shares: Vec<f64> = (0..=8).map(|step| schedule.masked(step, 8)).collect();
            assert_eq!((shares[0], shares[8]), (1.0, 0.0));
            assert!(shares.is_sorted_by(|a, b| a > b));
        }
        assert!((Schedule::Cosine.masked(1, 2) - 0.5_f64.sqrt()).abs() < 1e-12);
    }
}
