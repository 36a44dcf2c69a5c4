//! The most confident first (MaskGIT, arXiv 2202.04200; "low-confidence remasking" in LLaDA, arXiv 2502.09992).
//!
//! A step commits its quota of positions: those whose drawn token is most probable under the model. Not a sampler of the
//! model's distribution: it prefers likely text.

use super::{Decision, Order, Score, StepView};

pub(super) struct LowConfidence;

impl Order for LowConfidence {
    fn decide(&self, view: &StepView<'_>) -> Decision {
        Decision::commit(view.surest(Score::Confidence, view.quota))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{drawn, view};
    use super::*;

    #[test]
    fn the_most_probable_candidates_are_committed_first_and_ties_go_left() {
        let candidates = [drawn(0.2), drawn(0.9), None, drawn(0.5), drawn(0.5)];
        let commit = |quota| {
            LowConfidence
                .decide(&StepView {
                    quota,
                    ..view(&candidates)
                })
                .commit
        };
        assert_eq!(commit(1), [1]);
        assert_eq!(commit(2), [1, 3]);
        assert_eq!(commit(3), [1, 3, 4]);
    }
}
