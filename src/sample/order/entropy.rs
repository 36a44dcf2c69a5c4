//! The best known first: by the entropy of the model's distribution at the position (`entropy` in Dream, arXiv
//! 2508.15487).

use super::{Decision, Order, Score, StepView};

pub(super) struct Entropy;

impl Order for Entropy {
    fn decide(&self, view: &StepView<'_>) -> Decision {
        Decision::commit(view.surest(Score::Entropy, view.quota))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{uncertain, view};
    use super::*;

    #[test]
    fn positions_with_the_lowest_entropy_come_first() {
        let candidates = [uncertain(1.2), uncertain(0.1), None, uncertain(0.6)];
        let view = StepView {
            quota: 2,
            ..view(&candidates)
        };
        assert_eq!(Entropy.decide(&view).commit, [1, 3]);
    }
}
