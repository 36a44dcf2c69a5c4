//! From a distribution to a token.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::random::Stream;

/// How a token is chosen from the model's distribution: temperature first, then the `top_k` likeliest, then the
/// nucleus of mass `top_p` among those (Holtzman et al. 2019, arXiv 1904.09751).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// Divides the logits; 0 takes the likeliest token without drawing.
    pub temperature: f64,
    /// Only the so many likeliest tokens stay in play.
    pub top_k: Option<usize>,
    /// Only the likeliest tokens stay in play, as few as reach this share of the probability.
    pub top_p: Option<f64>,
    /// How the draw itself is computed.
    #[serde(skip_serializing_if = "Precision::is_exact")]
    pub precision: Precision,
}

/// How a token is drawn from given weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// An exponential race from 64 random bits, see [`Stream::race`].
    #[default]
    Exact,
    /// The Gumbel trick in 32-bit floats, as much published code has it. Its noise is cut off above, so rare tokens come
    /// too seldom and texts look better than the model is (Zheng et al. 2024, arXiv 2409.02908). Here to show that.
    Fp32Gumbel,
}

impl Precision {
    /// Whether draws follow the weights.
    fn is_exact(&self) -> bool {
        *self == Self::Exact
    }

    /// An index in proportion to `weights`.
    fn draw(self, weights: &[f64], stream: &mut Stream) -> usize {
        match self {
            Self::Exact => stream.race(weights.iter().copied()),
            Self::Fp32Gumbel => fp32_gumbel(weights, stream),
        }
    }
}

/// `argmax_i p_i / (c - ln(u_i + c))`, c = 1e-10, all in 32 bits: MDLM's `_sample_categorical`.
fn fp32_gumbel(weights: &[f64], stream: &mut Stream) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, weight) in weights.iter().enumerate() {
        let score = *weight as f32 / gumbel_denominator(stream.bits());
        if score > best.1 {
            best = (index, score);
        }
    }
    best.0
}

/// A uniform number of 24 bits is never above 1 - 2^-24, so this is never below 6e-8, however rare the token.
fn gumbel_denominator(bits: u64) -> f32 {
    const TINY: f32 = 1e-10;
    let uniform = (bits >> 40) as f32 / (1_u32 << 24) as f32;
    TINY - libm::logf(uniform + TINY)
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: None,
            top_p: None,
            precision: Precision::Exact,
        }
    }
}

/// A chosen token, and what the model thought of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawn {
    /// Its id.
    pub token: u32,
    /// Its probability under the model's own softmax: before temperature, `top_k` and `top_p`.
    pub probability: f64,
    /// How far the likeliest token is ahead of the next under that softmax; 1 where there is only one.
    pub margin: f64,
    /// Entropy of that softmax, nats.
    pub entropy: f64,
}

impl Choice {
    /// Refuses settings that choose nothing.
    ///
    /// # Errors
    /// Names the setting and its value.
    pub fn check(&self) -> Result<()> {
        if !self.temperature.is_finite() || self.temperature < 0.0 {
            return Err(
                Error::input(format!("the temperature is `{}`", self.temperature))
                    .with_hint("use 0 for the likeliest token, 1 for the model's own distribution"),
            );
        }
        if self.top_k == Some(0) {
            return Err(
                Error::input("top-k is `0`, which leaves no token to choose")
                    .with_hint("use at least 1"),
            );
        }
        match self.top_p {
            Some(top_p) if !(top_p > 0.0 && top_p <= 1.0) => {
                Err(Error::input(format!("top-p is `{top_p}`"))
                    .with_hint("use a share above 0 and up to 1"))
            }
            _ => Ok(()),
        }
    }

    /// Chooses a token; `log_probabilities` are `[vocab_size - 1]`, MASK left out.
    ///
    /// At a temperature above 0 every id takes one random number, in play or not, so that how many are drawn does not
    /// depend on the model. `libm` makes the weights the same natively and in the browser.
    ///
    /// # Errors
    /// When the distribution is not one: NaN, or no finite entry.
    pub fn draw(&self, log_probabilities: &[f32], stream: &mut Stream) -> Result<Drawn> {
        let mut likeliest = 0;
        for (id, value) in log_probabilities.iter().enumerate() {
            if *value > log_probabilities[likeliest] {
                likeliest = id;
            }
        }
        let peak = log_probabilities
            .get(likeliest)
            .map_or(f64::NAN, |value| f64::from(*value));
        let shifted: Vec<f64> = log_probabilities
            .iter()
            .map(|value| f64::from(*value) - peak)
            .collect();
        let weights: Vec<f64> = shifted.iter().map(|value| libm::exp(*value)).collect();
        let total: f64 = weights.iter().sum();
        // The peak alone weighs 1.
        if !(total.is_finite() && total >= 1.0) {
            return Err(Error::work(
                "the model's distribution over tokens is not a number",
            ));
        }

        let token = if self.temperature == 0.0 {
            likeliest
        } else {
            let mut tempered: Vec<f64> = shifted
                .iter()
                .map(|value| libm::exp(value / self.temperature))
                .collect();
            self.filter(&mut tempered);
            self.precision.draw(&tempered, stream)
        };
        // p ln p is 0 where p is 0, but 0 times minus infinity is not.
        let surprise: f64 = weights
            .iter()
            .zip(&shifted)
            .filter(|(weight, _)| **weight > 0.0)
            .map(|(weight, shifted)| weight * shifted)
            .sum();
        let next = (0..weights.len())
            .filter(|&id| id != likeliest)
            .map(|id| weights[id])
            .fold(0.0, f64::max);
        Ok(Drawn {
            token: token as u32,
            probability: weights[token] / total,
            margin: (weights[likeliest] - next) / total,
            entropy: (libm::log(total) - surprise / total).max(0.0),
        })
    }

    /// Sets the weight of every id outside `top_k` and `top_p` to 0; among equals the lower id stays.
    fn filter(&self, weights: &mut [f64]) {
        if self.top_k.is_none() && self.top_p.is_none() {
            return;
        }
        let mut ids: Vec<usize> = (0..weights.len()).collect();
        ids.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
        let mut kept = self.top_k.map_or(ids.len(), |top_k| top_k.min(ids.len()));
        if let Some(top_p) = self.top_p {
            let total: f64 = ids[..kept].iter().map(|&id| weights[id]).sum();
            let mut mass = 0.0;
            let reached = ids[..kept].iter().position(|&id| {
                mass += weights[id];
                mass >= top_p * total
            });
            kept = reached.map_or(kept, |last| last + 1);
        }
        for &id in &ids[kept..] {
            weights[id] = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    const PROBABILITIES: [f64; 4] = [0.1, 0.5, 0.15, 0.25];

    fn logs() -> Vec<f32> {
        PROBABILITIES.iter().map(|p| p.ln() as f32).collect()
    }

    fn stream() -> Stream {
        Stream::new(0, Purpose::Sampling, 0, 0)
    }

    /// Which ids turn up in many draws, and how often.
    fn shares(choice: Choice) -> [f64; 4] {
        let (mut stream, draws) = (stream(), 20_000);
        let mut shares = [0.0; 4];
        for _ in 0..draws {
            let drawn = choice.draw(&logs(), &mut stream).unwrap();
            shares[drawn.token as usize] += 1.0 / f64::from(draws);
        }
        shares
    }

    fn assert_close(shares: [f64; 4], expected: [f64; 4]) {
        for (share, expected) in shares.into_iter().zip(expected) {
            let tolerance = 4.0 * (expected * (1.0 - expected) / 20_000.0).sqrt() + 1e-9;
            assert!(
                (share - expected).abs() < tolerance,
                "{share} where {expected} is expected"
            );
        }
    }

    #[test]
    fn tokens_come_in_proportion_to_tempered_probabilities() {
        assert_close(shares(Choice::default()), PROBABILITIES);
        let squares = PROBABILITIES.map(|p| p * p);
        let total: f64 = squares.iter().sum();
        let cold = Choice {
            temperature: 0.5,
            ..Choice::default()
        };
        assert_close(shares(cold), squares.map(|square| square / total));
    }

    #[test]
    fn top_k_and_top_p_keep_the_likeliest_and_nothing_else() {
        let two = [0.0, 2.0 / 3.0, 0.0, 1.0 / 3.0];
        assert_close(
            shares(Choice {
                top_k: Some(2),
                ..Choice::default()
            }),
            two,
        );
        assert_close(
            shares(Choice {
                top_p: Some(0.6),
                ..Choice::default()
            }),
            two,
        );
        // The nucleus is of what top-k left: 0.5 / 0.75 reaches 0.6 alone.
        let both = Choice {
            top_k: Some(2),
            top_p: Some(0.6),
            ..Choice::default()
        };
        assert_close(shares(both), [0.0, 1.0, 0.0, 0.0]);
        let everything = Choice {
            top_k: Some(99),
            top_p: Some(1.0),
            ..Choice::default()
        };
        assert_close(shares(everything), PROBABILITIES);
    }

    #[test]
    fn temperature_zero_takes_the_likeliest_and_draws_nothing() {
        let greedy = Choice {
            temperature: 0.0,
            ..Choice::default()
        };
        let mut used = stream();
        assert_eq!(greedy.draw(&logs(), &mut used).unwrap().token, 1);
        assert_eq!(used.bits(), stream().bits());
    }

    #[test]
    fn confidence_and_entropy_are_the_models_own_at_any_temperature() {
        let entropy: f64 = PROBABILITIES.iter().map(|p| -p * p.ln()).sum();
        for temperature in [0.0, 0.3, 5.0] {
            let choice = Choice {
                temperature,
                top_k: Some(3),
                ..Choice::default()
            };
            let drawn = choice.draw(&logs(), &mut stream()).unwrap();
            assert!((drawn.probability - PROBABILITIES[drawn.token as usize]).abs() < 1e-6);
            assert!((drawn.entropy - entropy).abs() < 1e-6);
            assert!((drawn.margin - 0.25).abs() < 1e-6);
        }
        let certain = [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY];
        let drawn = Choice::default().draw(&certain, &mut stream()).unwrap();
        assert_eq!(
            drawn,
            Drawn {
                token: 1,
                probability: 1.0,
                margin: 1.0,
                entropy: 0.0
            }
        );
    }

    #[test]
    fn thirty_two_bits_cut_off_the_end_that_lets_rare_tokens_win() {
        // A token of probability p beats one of probability near 1 when its number is below p times an exponential.
        let least = gumbel_denominator(u64::MAX);
        assert!(least > 5.9e-8, "{least}");
        let shares = |precision| {
            let choice = Choice {
                precision,
                ..Choice::default()
            };
            shares(choice)
        };
        assert_close(shares(Precision::Fp32Gumbel), PROBABILITIES);
        assert_close(shares(Precision::Exact), PROBABILITIES);
    }

    #[test]
    fn a_distribution_that_is_none_is_an_error() {
        for broken in [
            vec![],
            vec![0.0, f32::NAN],
            vec![f32::NAN, 0.0],
            vec![f32::NEG_INFINITY; 2],
        ] {
            for temperature in [0.0, 1.0] {
                let choice = Choice {
                    temperature,
                    ..Choice::default()
                };
                assert!(choice.draw(&broken, &mut stream()).is_err(), "{broken:?}");
            }
        }
    }

    #[test]
    fn settings_that_choose_nothing_are_refused() {
        let good = Choice::default();
        assert!(good.check().is_ok());
        for bad in [
            Choice {
                temperature: -0.1,
                ..good
            },
            Choice {
                temperature: f64::NAN,
                ..good
            },
            Choice {
                temperature: f64::INFINITY,
                ..good
            },
            Choice {
                top_k: Some(0),
                ..good
            },
            Choice {
                top_p: Some(0.0),
                ..good
            },
            Choice {
                top_p: Some(1.1),
                ..good
            },
            Choice {
                top_p: Some(f64::NAN),
                ..good
            },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
