//! The most confident first (MaskGIT, arXiv 2202.04200; "low-confidence remasking" in LLaDA, arXiv 2502.09992).
//!
//! Of n free positions each of S steps commits n/S, the first n mod S steps one more: those whose drawn token is most
//! probable under the model. Not a sampler of the model's distribution: it prefers likely text.

use super::{Decision, Order, StepView};

pub(super) struct LowConfidence;

impl Order for LowConfidence {
    fn decide(&self, view: &StepView<'_>) -> Decision {
        let extra = usize::from(view.step <= view.free % view.steps);
        let mut ranked: Vec<(usize, f64)> = view
            .candidates
            .iter()
            .enumerate()
            .filter_map(|(position, drawn)| Some((position, (*drawn)?.probability)))
            .collect();
        // The sort is stable: among equals the leftmost comes first.
        ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        ranked.truncate(view.free / view.steps + extra);
        Decision {
            commit: ranked.into_iter().map(|(position, _)| position).collect(),
            remask: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::draw::Drawn;

    #[test]
    fn the_most_probable_candidates_are_committed_first_and_ties_go_left() {
        let drawn = |probability| {
            Some(Drawn {
                token: 0,
                probability,
                entropy: 0.1,
            })
        };
        let candidates = [drawn(0.2), drawn(0.9), None, drawn(0.5), drawn(0.5)];
        let view = |step, steps| StepView {
            step,
            steps,
            free: 5,
            candidates: &candidates,
            uniforms: &[0.0; 5],
        };
        assert_eq!(LowConfidence.decide(&view(1, 5)).commit, [1]);
        assert_eq!(LowConfidence.decide(&view(1, 2)).commit, [1, 3, 4]);
        assert_eq!(LowConfidence.decide(&view(2, 2)).commit, [1, 3]);
    }
}
