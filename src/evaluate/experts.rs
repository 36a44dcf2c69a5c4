//! How evenly the experts of a mixture are asked.

use crate::error::Result;
use crate::evaluate::windows_at_once;
use crate::model::{Decoder, Predictor};
use crate::objective::masked::Estimator;
use crate::objective::{Factorization, autoregressive, masked};
use crate::platform::yield_now;
use crate::random::{Purpose, Stream};

/// Each layer's experts by their shares of what all tokens ask: `[layers][experts]`, each layer's sum 1.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpertShares(pub Vec<Vec<f64>>);

impl ExpertShares {
    /// The share of the busiest expert of any layer, over the mean share: 1 where all are equally busy, their number where one
    /// does everything.
    pub fn busiest(&self) -> f64 {
        let of_layer =
            |shares: &Vec<f64>| shares.iter().copied().fold(0.0, f64::max) * shares.len() as f64;
        self.0.iter().map(of_layer).fold(0.0, f64::max)
    }

    /// The entropy of the shares over what even ones have, in the mean over layers: 1 where all are equally busy, 0 where one does
    /// everything.
    pub fn evenness(&self) -> f64 {
        let of_layer = |shares: &Vec<f64>| match shares.len() {
            1 => 1.0,
            count => {
                let asked = shares.iter().filter(|share| **share > 0.0);
                -asked.map(|share| share * share.ln()).sum::<f64>() / (count as f64).ln()
            }
        };
        self.0.iter().map(of_layer).sum::<f64>() / self.0.len().max(1) as f64
    }
}

/// How busy a model's experts are on some windows, asked as it is trained: with masks of all levels, where there are masks, the
/// same for every model and every checkpoint. `None` for a dense model.
///
/// # Errors
/// When the model fails.
pub async fn expert_shares(
    model: &Decoder,
    factorization: Factorization,
    windows: &[&[u32]],
    seed: u64,
) -> Result<Option<ExpertShares>> {
    let Some(experts) = &model.shape().experts else {
        return Ok(None);
    };
    let mut asked = vec![0.0; model.shape().num_hidden_layers * experts.count];
    let length = windows.first().map_or(1, |window| window.len());
    // Rank 2: other numbers than those of the bounds.
    let mut masks = Stream::new(seed, Purpose::Evaluation, 0, 2);
    let mut unmasked = Stream::new(seed, Purpose::InputMask, 0, 2);
    for windows in windows.chunks(windows_at_once(length)) {
        let (tokens, mask_id) = (windows.concat(), model.mask_id());
        let batch = match factorization {
            Factorization::LeftToRight => {
                autoregressive::batch(&tokens, length, mask_id, 0.0, &mut unmasked)
            }
            Factorization::Blocks { size } => {
                let estimator = Estimator::ExactL;
                masked::batch(&tokens, length, size, mask_id, estimator, 0.0, &mut masks)
            }
        };
        let counted = model.asked_experts(&batch.inputs, batch.length, batch.visibility);
        for (sum, count) in asked.iter_mut().zip(counted.await?) {
            *sum += f64::from(count);
        }
        yield_now().await;
    }
    let shares = asked.chunks_exact(experts.count).map(|layer| {
        let all: f64 = layer.iter().sum();
        layer.iter().map(|count| count / all.max(1.0)).collect()
    });
    Ok(Some(ExpertShares(shares.collect())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_shares_are_1_by_either_measure_and_one_busy_expert_shows() {
        let even = ExpertShares(vec![vec![0.25; 4]; 3]);
        assert_eq!((even.busiest(), even.evenness()), (1.0, 1.0));
        let mut uneven = even.clone();
        uneven.0[1] = vec![0.0, 1.0, 0.0, 0.0];
        assert_eq!(uneven.busiest(), 4.0);
        assert!((uneven.evenness() - 2.0 / 3.0).abs() < 1e-12);
        let alone = ExpertShares(vec![vec![1.0]]);
        assert_eq!((alone.busiest(), alone.evenness()), (1.0, 1.0));
    }
}
