//! The least ambiguous first: by how far the likeliest token is ahead of the next (Kim et al. 2025, arXiv 2502.06768;
//! `topk_margin` in Dream).

use super::{Decision, Order, Score, StepView};

pub(super) struct Margin;

impl Order for Margin {
    fn decide(&self, view: &StepView<'_>) -> Decision {
        Decision::commit(view.surest(Score::Margin, view.quota))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::view;
    use super::*;
    use crate::sample::draw::Drawn;

    #[test]
    fn the_lead_counts_and_not_the_drawn_token() {
        let drawn = |probability, margin| {
            Some(Drawn {
                token: 0,
                probability,
                margin,
                entropy: 0.0,
            })
        };
        let candidates = [drawn(0.45, 0.01), drawn(0.1, 0.5), drawn(0.4, 0.2)];
        let view = StepView {
            quota: 2,
            ..view(&candidates)
        };
        assert_eq!(Margin.decide(&view).commit, [1, 2]);
    }
}
