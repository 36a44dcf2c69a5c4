//! Equally many positions a step, whichever chance takes (LLaDA's `random`, arXiv 2502.09992).
//!
//! Unlike [`ancestral`](super::ancestral), the number of positions a step commits is fixed, and only which they are is
//! random.

use super::{Decision, Order, StepView};

pub(super) struct Random;

impl Order for Random {
    fn decide(&self, view: &StepView<'_>) -> Decision {
        Decision::commit(view.first_by(view.quota, |position, _| view.uniforms[position]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{drawn, view};
    use super::*;

    #[test]
    fn the_uniforms_alone_decide() {
        let candidates = [drawn(0.9), drawn(0.1), None, drawn(0.5)];
        let view = StepView {
            quota: 2,
            uniforms: &[0.7, 0.2, 0.0, 0.4],
            ..view(&candidates)
        };
        assert_eq!(Random.decide(&view).commit, [1, 3]);
    }
}
