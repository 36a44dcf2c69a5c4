//! One position a step, uniformly chosen: the reverse process watched only when something happens (Zheng et al. 2024,
//! arXiv 2409.02908). The samples' law is that of [`ancestral`](super::ancestral) with infinitely many steps.
//!
//! Each of n masked positions is revealed at a time of its own, uniform on [0, t]; the process runs backwards, so the
//! largest comes first. It has the law of t u^(1/n), and every position is equally likely to have it.

use super::{Decision, Order, StepView};

pub(super) struct FirstHitting;

impl Order for FirstHitting {
    fn decide(&self, view: &StepView<'_>) -> Decision {
        let first = view
            .masked()
            .map(|(position, _)| position)
            .max_by(|&a, &b| view.uniforms[a].total_cmp(&view.uniforms[b]));
        Decision {
            time: first.map(|position| view.t * view.uniforms[position]),
            ..Decision::commit(first.into_iter().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{drawn, view};
    use super::*;

    #[test]
    fn the_position_whose_time_comes_first_is_revealed_at_that_time() {
        let candidates = [drawn(0.9), None, drawn(0.1), drawn(0.5)];
        let decision = FirstHitting.decide(&StepView {
            t: 0.5,
            uniforms: &[0.2, 0.9, 0.8, 0.4],
            ..view(&candidates)
        });
        assert_eq!(decision.commit, [2]);
        assert_eq!(decision.time, Some(0.4));
    }
}
