//! Chance in the order itself (Dream, arXiv 2508.15487): the positions of a step are drawn without replacement in
//! proportion to exp(score / temperature), where [`Score`] says how sure the model is of each.
//!
//! At time t with n masked positions a step to s commits the whole part of n (1 - s/t); with more steps than positions
//! some commit nothing. Temperature 0 takes the surest, without chance.

use super::{Decision, Order, Score, StepView};

pub(super) struct Dream {
    pub score: Score,
    pub order_temperature: f64,
}

impl Order for Dream {
    fn decide(&self, view: &StepView<'_>) -> Decision {
        let masked = view.masked().count();
        // The product is a whole number up to rounding where steps divide the positions.
        let count = (masked as f64 * (1.0 - view.s / view.t) + 1e-9) as usize;
        if self.order_temperature == 0.0 {
            return Decision::commit(view.surest(self.score, count));
        }
        let peak = view
            .masked()
            .map(|(_, drawn)| self.score.of(drawn))
            .fold(f64::NEG_INFINITY, f64::max);
        // The first `count` arrivals of exponential clocks with these rates are a draw without replacement.
        Decision::commit(view.first_by(count, |position, drawn| {
            let rate = libm::exp((self.score.of(drawn) - peak) / self.order_temperature);
            -libm::log1p(-view.uniforms[position]) / rate
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{drawn, view};
    use super::*;
    use crate::random::{Purpose, Stream};

    #[test]
    fn positions_are_drawn_in_proportion_to_the_exponential_of_their_score() {
        let candidates = [drawn(0.1), drawn(0.6), None, drawn(0.3)];
        let dream = Dream {
            score: Score::Confidence,
            order_temperature: 0.5,
        };
        let weights = [0.1, 0.6, 0.3].map(|score: f64| (score / 0.5).exp());
        let expected = weights[0] / weights.iter().sum::<f64>();
        let mut stream = Stream::new(1, Purpose::Sampling, 0, 0);
        let draws = 20_000;
        let mut first = 0;
        for _ in 0..draws {
            let uniforms: Vec<f64> = (0..4).map(|_| stream.uniform()).collect();
            let view = StepView {
                t: 1.0,
                s: 0.6,
                uniforms: &uniforms,
                ..view(&candidates)
            };
            let commit = dream.decide(&view).commit;
            assert_eq!(commit.len(), 1);
            first += u32::from(commit == [0]);
        }
        let share = f64::from(first) / f64::from(draws);
        let deviation = (expected * (1.0 - expected) / f64::from(draws)).sqrt();
        assert!(
            (share - expected).abs() < 4.0 * deviation,
            "{share} for {expected}"
        );
    }

    #[test]
    fn without_temperature_the_surest_come_first_and_a_short_step_commits_nothing() {
        let candidates = [drawn(0.1), drawn(0.6), None, drawn(0.3)];
        let dream = Dream {
            score: Score::Confidence,
            order_temperature: 0.0,
        };
        let commit = |t, s| {
            dream
                .decide(&StepView {
                    t,
                    s,
                    ..view(&candidates)
                })
                .commit
        };
        assert_eq!(commit(0.75, 0.25), [1, 3]);
        assert_eq!(commit(1.0, 0.9), [0_usize; 0]);
    }
}
