//! As many positions as may be written independently (Ben-Hamu et al. 2025, arXiv 2505.24857).
//!
//! Positions are sorted by entropy H, and the largest k is committed for which the sum of the k entropies without the
//! largest stays below `gamma` nats: that sum bounds what drawing them independently of each other can cost. One is
//! always committed. How many steps that takes is up to the model.

use super::{Decision, Order, Score, StepView};

pub(super) struct EntropyBounded {
    pub gamma: f64,
}

impl Order for EntropyBounded {
    fn decide(&self, view: &StepView<'_>) -> Decision {
        let mut ranked = view.surest(Score::Entropy, usize::MAX);
        // In ascending order the newest entropy is the largest: the bound is the sum of those before it.
        let mut bound = 0.0;
        let mut count = 0;
        for &position in &ranked {
            if bound > self.gamma {
                break;
            }
            count += 1;
            bound += view.candidates[position].map_or(0.0, |drawn| drawn.entropy);
        }
        ranked.truncate(count);
        Decision::commit(ranked)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{uncertain, view};
    use super::*;

    #[test]
    fn the_sum_of_all_entropies_but_the_largest_stays_within_gamma() {
        let candidates = [
            uncertain(0.3),
            uncertain(0.05),
            None,
            uncertain(0.04),
            uncertain(2.0),
        ];
        let commit = |gamma| EntropyBounded { gamma }.decide(&view(&candidates)).commit;
        assert_eq!(commit(0.0), [3]);
        assert_eq!(commit(0.041), [3, 1]);
        assert_eq!(commit(0.1), [3, 1, 0]);
        assert_eq!(commit(0.4), [3, 1, 0, 4]);
    }
}
