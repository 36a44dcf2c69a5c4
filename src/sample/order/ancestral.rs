//! The reverse diffusion process in steps (MDLM, arXiv 2406.07524).
//!
//! Going from time t to s, a masked position is revealed with probability (t - s)/t, independently of what the model says
//! there; a written one stays. The law of the samples is the model's own as the steps grow, and the product of the
//! marginals with one.

use super::{Decision, Order, StepView};

pub(super) struct Ancestral;

impl Order for Ancestral {
    fn decide(&self, view: &StepView<'_>) -> Decision {
        let reveal = (view.t - view.s) / view.t;
        Decision::commit(
            view.masked()
                .map(|(position, _)| position)
                .filter(|&position| view.uniforms[position] < reveal)
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{drawn, view};
    use super::*;

    #[test]
    fn masked_positions_are_revealed_where_the_uniform_is_below_the_share_of_time_that_passes() {
        let candidates = [drawn(0.5), None, drawn(0.5), drawn(0.5)];
        let commit = |t, s| {
            let view = StepView {
                t,
                s,
                uniforms: &[0.24, 0.0, 0.26, 0.99],
                ..view(&candidates)
            };
            Ancestral.decide(&view).commit
        };
        assert_eq!(commit(1.0, 0.75), [0]);
        assert_eq!(commit(0.5, 0.25), [0, 2]);
        assert_eq!(commit(0.25, 0.0), [0, 2, 3]);
    }
}
