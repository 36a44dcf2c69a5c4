//! A mixture of experts in the feed-forward layer's place (Shazeer et al. 2017, arXiv 1701.06538): a router asks a few of
//! several small feed-forward layers for each token, and adds up what they answer.
//!
//! With `p = softmax(x · routerᵀ)` over E experts, a token's gates are those of its k largest `p`, divided by their sum where
//! the configuration says so (Qwen3-MoE's `norm_topk_prob`), and 0 elsewhere. Where experts choose instead (Zhou et al. 2022,
//! arXiv 2202.09368), each takes the `ceil(L k / E)` tokens of a window that give it most; that looks at the whole window, so it
//! is for models that do so anyway. Nothing depends on which other windows are computed at the same time.
//!
//! Training adds two losses, [`Decided::loss`].

use std::cell::RefCell;

use burn::tensor::activation::{log_softmax, silu, softmax};
use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

use super::attention::Surroundings;
use super::config::Experts;
use super::feed_forward::FeedForward;
use super::operations::Ops;

/// Who chooses whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Routing {
    /// Each token chooses its experts, and knows of no other token.
    #[default]
    TokenChoice,
    /// Each expert chooses its tokens among all of a window.
    ExpertChoice,
}

impl Routing {
    /// The names in flags and files.
    pub const NAMES: [&str; 2] = ["token-choice", "expert-choice"];
}

/// A router and its experts.
#[derive(Debug, Clone)]
pub struct Mixture {
    /// `[experts, hidden_size]`
    pub router: Tensor<2>,
    /// Each expert's gate, then its up, one expert under the other: `[experts * 2 * width, hidden_size]`
    pub gate_up: Tensor<2>,
    /// One expert under the other: `[experts * hidden_size, width]`
    pub down: Tensor<2>,
    /// What every token asks beside them, with a gate of 1 (DeepSeekMoE, Dai et al. 2024, arXiv 2401.06066). Several shared
    /// experts are one of their common width.
    pub shared: Option<FeedForward>,
    /// How it chooses.
    pub experts: Experts,
}

/// What a router decided for the tokens of a pass.
#[derive(Debug, Clone)]
struct Decided {
    /// `[tokens, experts]`
    logits: Tensor<2>,
    /// `[tokens, experts]`; rows sum to 1.
    probabilities: Tensor<2>,
    /// 1 where a token asks an expert, else 0: `[tokens, experts]`, of no graph.
    chosen: Tensor<2>,
}

/// What all routers of a pass decide, for whoever asks.
#[derive(Debug, Default)]
pub struct Decisions(RefCell<Vec<Decided>>);

impl Decisions {
    /// The losses of all layers, summed over windows of `length` tokens; `None` where there is no router.
    pub fn loss(&self, experts: &Experts, length: usize) -> Option<Tensor<1>> {
        let decided = self.0.borrow();
        let losses = decided.iter().map(|layer| layer.loss(experts, length));
        losses.reduce(|sum, loss| sum + loss)
    }

    /// How many tokens asked each expert, layer by layer: `[experts]` each.
    pub fn asked(&self) -> Vec<Tensor<1>> {
        let decided = self.0.borrow();
        let asked = |layer: &Decided| {
            let [_, experts] = layer.chosen.dims();
            layer.chosen.clone().sum_dim(0).reshape([experts])
        };
        decided.iter().map(asked).collect()
    }
}

impl Decided {
    /// Two losses, weighted and summed over windows.
    ///
    /// The load-balancing loss of GShard (Lepikhin et al. 2020, arXiv 2006.16668) and Switch (Fedus et al. 2021, arXiv
    /// 2101.03961, equation 4) with a window as the group: `E sum over e of f_e P_e`, with `f_e` the share of a window's choices
    /// that fell on expert e, and `P_e` its mean probability there. It is 1 where both are even, and its gradient comes through
    /// `P` alone. And ST-MoE's z-loss (Zoph et al. 2022, arXiv 2202.08906, equation 5): the mean over tokens of
    /// `logsumexp(logits)²`.
    fn loss(&self, experts: &Experts, length: usize) -> Tensor<1> {
        let [tokens, count] = self.logits.dims();
        let windows = tokens / length;
        let by_window = |tensor: &Tensor<2>| tensor.clone().reshape([windows, length, count]);
        let choices = (length * experts.per_token) as f64;
        let shares = by_window(&self.chosen).sum_dim(1).div_scalar(choices);
        let means = by_window(&self.probabilities).mean_dim(1);
        let balance = (shares * means).sum();
        // Any column gives the logarithm of the sum.
        let column = |tensor: Tensor<2>| tensor.narrow(1, 0, 1);
        let logarithms = column(self.logits.clone()) - column(log_softmax(self.logits.clone(), 1));
        let z = logarithms.square().sum();
        balance.mul_scalar(experts.balance_weight * count as f64)
            + z.mul_scalar(experts.z_weight / length as f64)
    }
}

impl Mixture {
    /// Every parameter, in the order of the layout.
    pub fn parameters(&self) -> Vec<&Tensor<2>> {
        let mut list = vec![&self.router, &self.gate_up, &self.down];
        list.extend(self.shared.iter().flat_map(FeedForward::parameters));
        list
    }

    /// The same list, to be replaced by an update.
    pub fn parameters_mut(&mut self) -> Vec<&mut Tensor<2>> {
        let mut list = vec![&mut self.router, &mut self.gate_up, &mut self.down];
        let shared = self.shared.iter_mut();
        list.extend(shared.flat_map(FeedForward::parameters_mut));
        list
    }

    /// `[batch * length, hidden_size]` -> the same.
    pub fn forward(&self, input: Tensor<2>, around: &Surroundings<'_>) -> Tensor<2> {
        let logits = around.ops.linear(input.clone(), &self.router);
        let probabilities = softmax(logits.clone(), 1);
        let chosen = self.chosen(probabilities.clone().without_autodiff(), around);
        let mut gates = probabilities.clone() * chosen.clone();
        if self.experts.normalized {
            gates = gates.clone() / gates.sum_dim(1);
        }
        if let Some(decisions) = around.decisions {
            decisions.0.borrow_mut().push(Decided {
                logits,
                probabilities,
                chosen,
            });
        }
        let mut output = self.mixed(input.clone(), gates, around.ops.form);
        if let Some(shared) = &self.shared {
            output = output + shared.computed(input, around.ops);
        }
        around.dropout.apply(output)
    }

    /// 1 where a token asks an expert, else 0: `[tokens, experts]` -> the same.
    fn chosen(&self, probabilities: Tensor<2>, around: &Surroundings<'_>) -> Tensor<2> {
        let Experts {
            count, per_token, ..
        } = self.experts;
        match self.experts.routing {
            Routing::TokenChoice => largest(probabilities, per_token, around.ops.form),
            Routing::ExpertChoice => {
                let (windows, length) = (around.batch, around.length);
                let most = (length * per_token).div_ceil(count).min(length);
                let by_expert = probabilities
                    .reshape([windows, length, count])
                    .swap_dims(1, 2)
                    .reshape([windows * count, length]);
                largest(by_expert, most, around.ops.form)
                    .reshape([windows, count, length])
                    .swap_dims(1, 2)
                    .reshape([windows * length, count])
            }
        }
    }

    /// The sum of the experts' answers, each times its gate: `[tokens, hidden_size]` and `[tokens, experts]` ->
    /// `[tokens, hidden_size]`.
    fn mixed(&self, input: Tensor<2>, gates: Tensor<2>, ops: Ops) -> Tensor<2> {
        if ops == Ops::Fused && crossover_ops::is_processor(&input.device().inner()) {
            return crossover_ops::mix(input, gates, self.gate_up.clone(), self.down.clone());
        }
        // Every expert answers every token, and most answers count for nothing: which rows an expert gets would have to be read
        // back, and that waits for the device.
        let [tokens, hidden] = input.dims();
        let ([_, width], count) = (self.down.dims(), self.experts.count);
        let input = input
            .reshape([1, tokens, hidden])
            .expand([count, tokens, hidden]);
        let halves = self.gate_up.clone().reshape([count, 2, width, hidden]);
        let [gate, up] = [0, 1].map(|half| {
            let half = halves.clone().narrow(1, half, 1);
            half.reshape([count, width, hidden]).swap_dims(1, 2)
        });
        let answers = silu(input.clone().matmul(gate)) * input.matmul(up);
        let gates = gates.swap_dims(0, 1).reshape([count, tokens, 1]);
        let down = self.down.clone().reshape([count, hidden, width]);
        (answers * gates)
            .matmul(down.swap_dims(1, 2))
            .sum_dim(0)
            .reshape([tokens, hidden])
    }
}

/// 1 for the `count` largest of each row, 0 for the others; of equal ones the first is the larger. `[rows, width]` -> the same.
///
/// A composition counts for each score how many come before it, as sorting would have a browser's GPU read back.
fn largest(scores: Tensor<2>, count: usize, ops: Ops) -> Tensor<2> {
    if ops == Ops::Fused && crossover_ops::is_processor(&scores.device().inner()) {
        return crossover_ops::largest(scores, count);
    }
    let [rows, width] = scores.dims();
    let all = [rows, width, width];
    let own = scores.clone().reshape([rows, width, 1]).expand(all);
    let other = scores.reshape([rows, 1, width]).expand(all);
    let first = Tensor::<2, Bool>::triu_mask([width, width], 0, &own.device());
    let first = first.reshape([1, width, width]).expand(all);
    let before = other.clone().greater(own.clone());
    let before = before.bool_or(other.equal(own).bool_and(first));
    let rank = before.float().sum_dim(2).reshape([rows, width]);
    rank.lower_scalar(count as f32).float()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use pollster::block_on;

    use super::*;
    use crate::model::block::Mlp;
    use crate::model::{Decoder, Dropout, ModelConfig, Visibility, Weights};

    const LENGTH: usize = 6;

    /// What is in the module's first paragraph, number by number.
    fn plain(mixture: &Mixture, input: &[f32], hidden: usize) -> Vec<f64> {
        let values = |tensor: &Tensor<2>| -> Vec<f64> {
            let read = block_on(tensor.clone().into_data_async()).expect("read");
            read.iter::<f64>().collect()
        };
        let row = |matrix: &[f64], row: usize, x: &[f64]| -> f64 {
            let of_matrix = &matrix[row * x.len()..][..x.len()];
            of_matrix.iter().zip(x).map(|(a, b)| a * b).sum()
        };
        let swiglu = |gate_up: &[f64], down: &[f64], x: &[f64]| -> Vec<f64> {
            let width = gate_up.len() / hidden / 2;
            let inner: Vec<f64> = (0..width)
                .map(|i| {
                    let gate = row(gate_up, i, x);
                    gate / (1.0 + (-gate).exp()) * row(gate_up, width + i, x)
                })
                .collect();
            (0..hidden).map(|i| row(down, i, &inner)).collect()
        };
        let Experts {
            count, per_token, ..
        } = mixture.experts;
        let router = values(&mixture.router);
        let (gate_up, down) = (values(&mixture.gate_up), values(&mixture.down));
        let tokens: Vec<Vec<f64>> = input
            .chunks(hidden)
            .map(|token| token.iter().map(|x| f64::from(*x)).collect())
            .collect();
        let probabilities: Vec<Vec<f64>> = tokens
            .iter()
            .map(|x| {
                let powers: Vec<f64> = (0..count).map(|e| row(&router, e, x).exp()).collect();
                let sum: f64 = powers.iter().sum();
                powers.iter().map(|power| power / sum).collect()
            })
            .collect();
        let rank = |scores: &[f64], index: usize| {
            let larger = |other: &f64| *other > scores[index];
            scores.iter().filter(|other| larger(other)).count()
        };
        let mut output = Vec::new();
        for (token, x) in tokens.iter().enumerate() {
            let asked = |expert: usize| match mixture.experts.routing {
                Routing::TokenChoice => rank(&probabilities[token], expert) < per_token,
                Routing::ExpertChoice => {
                    let first = token / LENGTH * LENGTH;
                    let window: Vec<f64> = (first..first + LENGTH)
                        .map(|token| probabilities[token][expert])
                        .collect();
                    rank(&window, token - first) < (LENGTH * per_token).div_ceil(count)
                }
            };
            let gates: Vec<f64> = (0..count)
                .map(|expert| f64::from(u8::from(asked(expert))) * probabilities[token][expert])
                .collect();
            let divisor = match mixture.experts.normalized {
                true => gates.iter().sum(),
                false => 1.0,
            };
            let mut sums = match &mixture.shared {
                Some(shared) => swiglu(&values(&shared.gate_up), &values(&shared.down), x),
                None => vec![0.0; hidden],
            };
            let (first, second) = (gate_up.len() / count, down.len() / count);
            for (expert, gate) in gates.iter().enumerate() {
                let (gate_up, down) = (&gate_up[expert * first..], &down[expert * second..]);
                let answer = swiglu(&gate_up[..first], &down[..second], x);
                for (sum, value) in sums.iter_mut().zip(answer) {
                    *sum += gate / divisor * value;
                }
            }
            output.extend(sums);
        }
        output
    }

    #[test]
    fn a_mixture_is_its_formula_fused_and_composed() {
        for (routing, normalized, shared, count, per_token) in [
            (Routing::TokenChoice, true, None, 5, 2),
            (Routing::TokenChoice, false, Some(3), 4, 1),
            (Routing::TokenChoice, true, Some(5), 3, 3),
            (Routing::ExpertChoice, false, None, 4, 2),
            (Routing::ExpertChoice, false, Some(3), 5, 2),
        ] {
            let config = ModelConfig {
                hidden_size: 8,
                num_hidden_layers: 1,
                num_attention_heads: 2,
                num_experts: Some(count),
                num_experts_per_tok: Some(per_token),
                moe_intermediate_size: Some(7),
                shared_expert_intermediate_size: shared,
                norm_topk_prob: Some(normalized),
                expert_routing: Some(routing),
                ..ModelConfig::default()
            };
            let shape = config.resolve(6).expect("a sound shape");
            let weights = Weights::initial(&shape, 0.5, 2);
            let values: Vec<f32> = (0..3 * LENGTH * 8)
                .map(|i| ((i * 37 % 101) as f32 - 50.0) / 25.0)
                .collect();
            for ops in [Ops::Fused, Ops::Reference] {
                let decoder = Decoder::new(&config, &shape, &weights, &Device::flex());
                let decoder = decoder.expect("the weights fit").with_ops(ops);
                let tokens = [0; 3 * LENGTH];
                let around = decoder.surroundings(&tokens, LENGTH, Visibility::Full, &Dropout::Off);
                let Mlp::Mixture(mixture) = &decoder.blocks[0].mlp else {
                    panic!("a mixture was asked for");
                };
                let data = burn::tensor::TensorData::new(values.clone(), [3 * LENGTH, 8]);
                let input = Tensor::from_data(data, &Device::flex());
                let found = mixture.forward(input, &around);
                let found = block_on(found.into_data_async()).expect("read");
                let expected = plain(mixture, &values, 8);
                for (found, expected) in found.iter::<f64>().zip(expected) {
                    assert!(
                        (found - expected).abs() < 1e-5 * (1.0 + expected.abs()),
                        "{routing:?}, {ops:?}: {found} is not {expected}"
                    );
                }
            }
        }
    }
}
