//! What to train with some unique tokens and a budget, by published laws or by those fitted to one's own runs. Below ten
//! million tokens every number here is an extrapolation: a plan chooses pilots, it promises nothing.

use serde::Serialize;

use super::fit::PowerLaw;
use super::{critical, flops, onset};
use crate::model::ModelConfig;

/// Shapes that are considered: width, layers, heads.
const SHAPES: [[usize; 3]; 14] = [
    [32, 2, 2],
    [48, 3, 3],
    [64, 4, 4],
    [96, 4, 4],
    [128, 4, 4],
    [192, 6, 6],
    [256, 6, 8],
    [384, 8, 6],
    [512, 8, 8],
    [640, 10, 10],
    [768, 12, 12],
    [1_024, 16, 16],
    [1_536, 20, 24],
    [2_048, 24, 32],
];

/// Budgets this many times the critical compute are planned as clearly above it, and its inverse as clearly below: the law's
/// own spread, and what two decades of extrapolation add at least.
const CLEAR: f64 = 2.0;

/// How many repeats of data are worth something to an autoregressive model: R of Muennighoff et al. 2023, "Scaling
/// Data-Constrained Language Models", arXiv 2305.16264, section 6. So an epoch in 15 later ones still counts e⁻¹.
pub const AR_REPEATS: f64 = 15.4;

/// What there is.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    /// Unique training tokens.
    pub unique: f64,
    /// Training FLOPs of each model.
    pub flops: f64,
    /// Tokens in a window.
    pub length: usize,
    /// Token ids, MASK included.
    pub vocab_size: usize,
    /// One's own law of the critical compute, in the published one's place.
    pub critical: Option<&'a PowerLaw>,
    /// One's own law of the overfitting onset.
    pub onset: Option<&'a PowerLaw>,
}

/// What is worth training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Advice {
    /// Autoregressive: the budget is below the critical compute.
    Ar,
    /// Both, as a race: the budget is near it.
    Race,
    /// Masked diffusion: the budget is above it.
    Masked,
}

/// A shape with the whole budget spent on it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Width.
    pub hidden_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Parameters.
    pub parameters: u64,
    /// Passes over the unique tokens that the budget buys.
    pub epochs: f64,
    /// Epoch at which masked diffusion is predicted to overtake.
    pub crossover_epoch: f64,
    /// Epoch after which masked diffusion is predicted to overfit.
    pub onset_epoch: f64,
    /// Quokka's loss at the end, or at the onset if that comes first: it tells candidates apart, and is none to expect.
    pub relative_loss: f64,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Unique training tokens.
    pub unique: f64,
    /// Training FLOPs of each model.
    pub flops: f64,
    /// Predicted FLOPs at which masked diffusion overtakes.
    pub critical_flops: f64,
    /// The interval of that, where one's own runs gave the law.
    pub critical_interval: Option<(f64, f64)>,
    /// What is worth training.
    pub advice: Advice,
    /// The shape with the lowest predicted loss.
    pub best: Candidate,
    /// Every shape that passes over all data at least once, narrowest first.
    pub candidates: Vec<Candidate>,
}

/// The plan for some means; `None` where the budget doesn't pay for one epoch of the narrowest shape.
pub fn plan(means: &Means<'_>) -> Option<Plan> {
    let own = means.critical.map(|law| law.at(&[means.unique]));
    let critical_flops = own.map_or_else(|| critical::compute(means.unique), |own| own.value);
    let candidates: Vec<Candidate> = SHAPES
        .iter()
        .filter_map(|shape| candidate(means, *shape, critical_flops))
        .filter(|candidate| candidate.epochs >= 1.0)
        .collect();
    let best = candidates
        .iter()
        .min_by(|left, right| left.relative_loss.total_cmp(&right.relative_loss))?
        .clone();
    let ratio = means.flops / critical_flops;
    Some(Plan {
        unique: means.unique,
        flops: means.flops,
        critical_flops,
        critical_interval: own.map(|own| (own.low, own.high)),
        advice: match ratio {
            _ if ratio >= CLEAR => Advice::Masked,
            _ if ratio <= 1.0 / CLEAR => Advice::Ar,
            _ => Advice::Race,
        },
        best,
        candidates,
    })
}

fn candidate(
    means: &Means<'_>,
    [width, layers, heads]: [usize; 3],
    critical: f64,
) -> Option<Candidate> {
    let model = ModelConfig {
        hidden_size: width,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        ..ModelConfig::default()
    };
    let shape = model.resolve(means.vocab_size).ok()?;
    let per_epoch = flops::training_per_token(&shape, means.length) * means.unique;
    let parameters = shape.parameters() as f64;
    let epochs = means.flops / per_epoch;
    let onset_epoch = match means.onset {
        Some(law) => law.at(&[means.unique, parameters]).value,
        None => onset::epochs(means.unique, parameters),
    };
    Some(Candidate {
        hidden_size: width,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        parameters: shape.parameters(),
        epochs,
        crossover_epoch: critical / per_epoch,
        onset_epoch,
        relative_loss: onset::loss(means.unique, parameters, epochs.min(onset_epoch)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means(unique: f64, flops: f64) -> Means<'static> {
        Means {
            unique,
            flops,
            length: 64,
            vocab_size: 66,
            critical: None,
            onset: None,
        }
    }

    #[test]
    fn the_advice_turns_at_the_critical_compute() {
        let at = critical::compute(1e6);
        let advice = |share: f64| plan(&means(1e6, share * at)).map(|plan| plan.advice);
        assert_eq!(advice(0.3), Some(Advice::Ar));
        assert_eq!(advice(1.0), Some(Advice::Race));
        assert_eq!(advice(3.0), Some(Advice::Masked));
        // A budget that buys no epoch is no plan.
        assert_eq!(plan(&means(1e6, 1e9)), None);
    }

    #[test]
    fn the_budget_is_spent_and_the_crossover_is_where_the_law_says() {
        let plan = plan(&means(3e5, 4e14)).expect("enough");
        for candidate in &plan.candidates {
            let share = candidate.epochs / candidate.crossover_epoch;
            assert!((share / (4e14 / plan.critical_flops) - 1.0).abs() < 1e-12);
            assert!(candidate.epochs >= 1.0);
            assert!(candidate.relative_loss >= plan.best.relative_loss);
        }
        assert!(
            plan.candidates
                .windows(2)
                .all(|pair| pair[0].parameters < pair[1].parameters)
        );
    }

    /// Its table 4: with 10 million unique tokens and 6.1e17 FLOPs, 41 million parameters for 247 epochs.
    #[test]
    fn the_best_shape_is_near_quokka_s_optimum() {
        let plan = plan(&means(1e7, 6.1e17)).expect("enough");
        let parameters = plan.best.parameters as f64;
        assert!((2e7..8e7).contains(&parameters), "{parameters}");
        assert!(
            (100.0..500.0).contains(&plan.best.epochs),
            "{}",
            plan.best.epochs
        );
    }
}
