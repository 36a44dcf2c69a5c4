//! Written tokens may be taken back (ReMDM, Wang et al. 2025, arXiv 2503.00307).
//!
//! With α = 1 - t the share that is written, a step from t to s hides a written token with probability σ and reveals a
//! masked one with (α_s - (1 - σ) α_t)/(1 - α_t), so that the share written is α_s again. At most
//! σ_max = min(1, (1 - α_s)/α_t). With σ = 0 this is [`ancestral`](super::ancestral).

use super::{Decision, Order, Remasking, StepView};

/// While `loop` hides and reveals at a constant share written, times between these (the authors' `t_on`, `t_off`).
const LOOP: (f64, f64) = (0.55, 0.05);
/// That share (the authors' `alpha_on`).
const LOOP_WRITTEN: f64 = 0.9;

pub(super) struct Remdm {
    pub remasking: Remasking,
    pub eta: f64,
}

impl Order for Remdm {
    /// `loop` writes nine tenths by the first of its times, then stays, then finishes after the second.
    fn time(&self, t: f64) -> f64 {
        let (on, off) = LOOP;
        match self.remasking {
            Remasking::Loop if t > on => 1.0 - (1.0 - t) * LOOP_WRITTEN / (1.0 - on),
            Remasking::Loop => (t / off).min(1.0) * (1.0 - LOOP_WRITTEN),
            Remasking::Cap | Remasking::Rescale | Remasking::Confidence => t,
        }
    }

    fn decide(&self, view: &StepView<'_>) -> Decision {
        let (t, s) = (view.t, view.s);
        let largest = if t < 1.0 {
            (s / (1.0 - t)).min(1.0)
        } else {
            1.0
        };
        let sigma = match self.remasking {
            Remasking::Cap => self.eta.min(largest),
            Remasking::Rescale => self.eta * largest,
            // The share stays as it is only while it loops.
            Remasking::Loop if t == s => self.eta.min(largest),
            Remasking::Loop => 0.0,
            // Tokens that were unlikely when they were written are hidden first; no masked position makes up for it.
            Remasking::Confidence => 0.0,
        };
        let reveal = (t - s + sigma * (1.0 - t)) / t;
        let hide = match self.remasking {
            Remasking::Confidence => by_confidence(view.written, largest),
            _ => vec![sigma; view.written.len()],
        };
        let below = |position: &usize, chance: f64| view.uniforms[*position] < chance;
        Decision {
            commit: view
                .masked()
                .map(|(position, _)| position)
                .filter(|position| below(position, reveal))
                .collect(),
            remask: (0..view.written.len())
                .filter(|&position| view.written[position].is_some())
                .filter(|position| below(position, hide[*position]))
                .collect(),
            time: None,
        }
    }
}

/// σ_max, shared out by a softmax over the negative probabilities that tokens had when they were written: `[length]`.
fn by_confidence(written: &[Option<f64>], largest: f64) -> Vec<f64> {
    let weight = |confidence: &Option<f64>| confidence.map_or(0.0, |p| libm::exp(-p));
    let total: f64 = written.iter().map(weight).sum();
    written
        .iter()
        .map(|confidence| largest * weight(confidence) / total.max(f64::MIN_POSITIVE))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{drawn, view};
    use super::*;

    fn decide(remasking: Remasking, t: f64, s: f64) -> Decision {
        let candidates = [drawn(0.5), drawn(0.5), None, None];
        Remdm {
            remasking,
            eta: 0.2,
        }
        .decide(&StepView {
            t,
            s,
            written: &[None, None, Some(0.9), Some(0.1)],
            uniforms: &[0.24, 0.26, 0.11, 0.13],
            ..view(&candidates)
        })
    }

    #[test]
    fn written_tokens_are_hidden_with_sigma_and_masked_ones_make_up_for_it() {
        // Cap: σ = 0.2; revealed with (0.8 - 0.76 + 0.2 · 0.2)/0.8 = 0.1.
        let cap = decide(Remasking::Cap, 0.8, 0.76);
        assert_eq!((cap.commit, cap.remask), (vec![], vec![2, 3]));
        // Rescale: σ_max = 0.3/0.5, σ = 0.12; revealed with (0.2 + 0.12 · 0.5)/0.5 = 0.52.
        let rescaled = decide(Remasking::Rescale, 0.5, 0.3);
        assert_eq!((rescaled.commit, rescaled.remask), (vec![0, 1], vec![2]));
    }

    #[test]
    fn the_less_likely_token_is_taken_back_first() {
        // σ_max = 0.2/0.6 is shared out by e^-0.9 : e^-0.1, so 0.103 and 0.23.
        let decision = decide(Remasking::Confidence, 0.4, 0.2);
        assert_eq!(decision.remask, [3]);
    }

    #[test]
    fn looping_keeps_nine_tenths_written_between_its_times() {
        let order = Remdm {
            remasking: Remasking::Loop,
            eta: 0.2,
        };
        for (t, expected) in [
            (1.0, 1.0),
            (0.55, 0.1),
            (0.3, 0.1),
            (0.05, 0.1),
            (0.025, 0.05),
            (0.0, 0.0),
        ] {
            assert!((order.time(t) - expected).abs() < 1e-12, "{t}");
        }
        assert!(decide(Remasking::Loop, 0.5, 0.4).remask.is_empty());
        // σ_max = 0.1/0.9 is below η.
        assert_eq!(decide(Remasking::Loop, 0.1, 0.1).remask, [2]);
    }
}
