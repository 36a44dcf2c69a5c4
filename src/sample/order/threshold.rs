//! Everything that is confident enough at once (Fast-dLLM, arXiv 2505.22618): all positions whose drawn token has at
//! least the probability `tau`, and always the surest one. How many steps that takes is up to the model.

use super::{Decision, Order, Score, StepView};

pub(super) struct Threshold {
    pub tau: f64,
}

impl Order for Threshold {
    fn decide(&self, view: &StepView<'_>) -> Decision {
        let confident = view
            .masked()
            .filter(|(_, drawn)| drawn.probability >= self.tau)
            .count();
        Decision::commit(view.surest(Score::Confidence, confident.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{drawn, view};
    use super::*;

    #[test]
    fn all_above_the_threshold_are_committed_and_one_at_least() {
        let candidates = [drawn(0.5), None, drawn(0.95), drawn(0.9)];
        let commit = |tau| Threshold { tau }.decide(&view(&candidates)).commit;
        assert_eq!(commit(0.9), [2, 3]);
        assert_eq!(commit(0.99), [2]);
        assert_eq!(commit(0.0), [2, 3, 0]);
    }
}
