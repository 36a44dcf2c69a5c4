//! The reverse diffusion process in steps (MDLM, arXiv 2406.07524).
//!
//! Going from time t to s with t - s = 1/S, a masked position is revealed with probability (t - s)/t, independently of
//! what the model says there; a written one stays. The law of the samples is the model's own as S grows, and the
//! product of the marginals at S = 1.

use super::{Decision, Order, StepView};

pub(super) struct Ancestral;

impl Order for Ancestral {
    fn decide(&self, view: &StepView<'_>) -> Decision {
        // With t = (S - step + 1)/S and s = t - 1/S, (t - s)/t is one over the number of steps left.
        let reveal = 1.0 / (view.steps - view.step + 1) as f64;
        let commit = (0..view.candidates.len())
            .filter(|&position| {
                view.candidates[position].is_some() && view.uniforms[position] < reveal
            })
            .collect();
        Decision {
            commit,
            remask: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::draw::Drawn;

    #[test]
    fn masked_positions_are_revealed_where_the_uniform_is_below_the_share_of_steps_left() {
        let drawn = Some(Drawn {
            token: 0,
            probability: 0.5,
            entropy: 0.1,
        });
        let candidates = [drawn, None, drawn, drawn];
        let view = |step| StepView {
            step,
            steps: 4,
            free: 3,
            candidates: &candidates,
            uniforms: &[0.24, 0.0, 0.26, 0.99],
        };
        let commit = |step| Ancestral.decide(&view(step)).commit;
        assert_eq!(commit(1), [0]);
        assert_eq!(commit(2), [0, 2]);
        assert_eq!(commit(4), [0, 2, 3]);
    }
}
