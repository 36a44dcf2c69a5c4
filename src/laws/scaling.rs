//! How long a training step takes on many ranks, predicted: each computes its share of the batch, then gradients are added
//! up, as far as possible while the backward pass still computes. Nothing here is measured; the shares of a rank's peak and
//! of its link that are reached go in.

use serde::{Deserialize, Serialize};

use super::collectives::{Algorithm, Interconnect};
use super::{flops, memory};
use crate::model::Shape;

/// Bytes of gradients that are sent at once, as PyTorch's DistributedDataParallel does by default (Li et al. 2020, "PyTorch
/// Distributed: Experiences on Accelerating Data Parallel Training", section 3.2.3).
const BUCKET_BYTES: f64 = 25e6;

/// How numbers are stored and multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Everything in 32 bits.
    F32,
    /// Weights, activations and gradients in 16 bits; a copy of the weights and both moments in 32.
    Bf16,
}

impl Precision {
    /// Bytes of a weight, a gradient or an activation.
    fn bytes(self) -> f64 {
        match self {
            Self::F32 => 4.0,
            Self::Bf16 => 2.0,
        }
    }

    /// Bytes that the optimizer keeps of a parameter: both moments, and in 16 bits the weight itself.
    fn optimizer_bytes(self) -> f64 {
        match self {
            Self::F32 => 8.0,
            Self::Bf16 => 12.0,
        }
    }
}

/// What trains, and on what.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The model.
    pub shape: Shape,
    /// Tokens in a window.
    pub length: usize,
    /// Windows that a rank computes at once, at most; gradients of several such are added up before they are sent.
    pub micro_batch: Option<usize>,
    /// FLOPs a second that one rank reaches alone: its peak times the share of it that is assumed.
    pub flops_per_second: f64,
    /// FLOPs a second that a rank could reach.
    pub peak: f64,
    /// How numbers are stored.
    pub precision: Precision,
    /// Whether blocks are computed twice to save memory.
    pub recompute: bool,
    /// Whether the optimizer's state is shared out among ranks (ZeRO, stage 1).
    pub zero1: bool,
    /// Whether gradients are sent while the backward pass computes.
    pub overlap: bool,
    /// What connects the ranks.
    pub interconnect: Interconnect,
}

/// A step on some number of ranks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Processes, one for each GPU.
    pub ranks: usize,
    /// Nodes that they fill.
    pub nodes: usize,
    /// Windows in the step, over all ranks.
    pub batch: usize,
    /// Seconds of the whole step.
    pub step_seconds: f64,
    /// Seconds in which the rank with the most windows computes.
    pub compute_seconds: f64,
    /// Seconds of sending and adding up.
    pub communication_seconds: f64,
    /// Seconds of those in which nothing computes.
    pub exposed_seconds: f64,
    /// How gradients are added up between nodes.
    pub algorithm: Algorithm,
    /// Model FLOPs over what all ranks could compute in that time (Chowdhery et al. 2022, "PaLM", appendix B): blocks that are
    /// computed twice count once.
    pub mfu: f64,
    /// Tokens a second, over all ranks.
    pub tokens_per_second: f64,
    /// Bytes on each rank: weights, gradients, optimizer, activations.
    pub memory_bytes: f64,
    /// The same with the optimizer's state shared out.
    pub memory_bytes_zero1: f64,
}

impl Plan {
    /// A step of `batch` windows on `ranks` ranks; where they can't all have as many windows, the step is as slow as the rank
    /// that has most.
    ///
    /// Gradients are sent in buckets as the backward pass makes them, so all but the last bucket may hide behind it, the
    /// backward pass of the last micro-batch, that is: only then gradients are whole. With ZeRO-1 gradients are scattered as
    /// they are added up, and the new weights are gathered once the optimizer is done: as much traffic as an all-reduce
    /// (Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", section 7.1), of which
    /// only the first half hides.
    pub fn step(&self, ranks: usize, batch: usize) -> Step {
        let most = batch.div_ceil(ranks.max(1));
        let micro_batch = self.micro_batch.unwrap_or(most).clamp(1, most.max(1));
        let tokens = most as f64 * self.length as f64;
        let useful = flops::training_per_token(&self.shape, self.length) * tokens;
        // Of a training step's three parts the forward pass is one, and what is computed twice is that part again.
        let again = if self.recompute { useful / 3.0 } else { 0.0 };
        let compute_seconds = (useful + again) / self.flops_per_second;
        let backward = (useful * 2.0 / 3.0 + again) / self.flops_per_second;
        let last_backward = backward * micro_batch as f64 / most.max(1) as f64;

        let parameters = self.shape.parameters() as f64;
        let bytes = parameters * self.precision.bytes();
        let buckets = (bytes / BUCKET_BYTES).ceil().max(1.0);
        let bucket = bytes / buckets;
        let network = &self.interconnect;
        let (all_reduce, algorithm) = network.all_reduce(ranks, bucket);
        let (sum, gather) = match self.zero1 {
            false => (all_reduce, 0.0),
            true => {
                let gather = network.reduce_scatter(ranks, bytes);
                (network.reduce_scatter(ranks, bucket), gather)
            }
        };
        let sums = sum * buckets;
        let exposed_sums = match self.overlap {
            true => (sums - last_backward * (1.0 - 1.0 / buckets)).max(sum),
            false => sums,
        };
        let exposed_seconds = exposed_sums + gather;
        let step_seconds = compute_seconds + exposed_seconds;

        let all_tokens = batch as f64 * self.length as f64;
        let model = flops::training_per_token(&self.shape, self.length) * all_tokens;
        let activations =
            memory::activation_bytes(&self.shape, micro_batch, self.length, self.recompute);
        // Counted in 32 bits.
        let activations = activations as f64 * self.precision.bytes() / 4.0;
        let memory =
            |optimizer: f64| parameters * (2.0 * self.precision.bytes() + optimizer) + activations;
        let optimizer = self.precision.optimizer_bytes();
        Step {
            ranks,
            nodes: network.nodes(ranks),
            batch,
            step_seconds,
            compute_seconds,
            communication_seconds: sums + gather,
            exposed_seconds,
            algorithm: if self.zero1 {
                Algorithm::Ring
            } else {
                algorithm
            },
            mfu: model / (step_seconds * self.peak * ranks as f64),
            tokens_per_second: all_tokens / step_seconds,
            memory_bytes: memory(optimizer),
            memory_bytes_zero1: memory(optimizer / ranks as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::collectives::Link;
    use super::*;
    use crate::model::ModelConfig;
    use proptest::prelude::*;

    fn plan(bandwidth: f64) -> Plan {
        let shape = ModelConfig {
            hidden_size: 1_792,
            intermediate_size: Some(4_736),
            num_hidden_layers: 26,
            num_attention_heads: 14,
            tie_word_embeddings: true,
            ..ModelConfig::default()
        }
        .resolve(50_269)
        .expect("a sound shape");
        let link = Link {
            bandwidth,
            latency: 1e-5,
        };
        Plan {
            shape,
            length: 2_048,
            micro_batch: None,
            flops_per_second: 400e12,
            peak: 1_000e12,
            precision: Precision::Bf16,
            recompute: false,
            zero1: false,
            overlap: true,
            interconnect: Interconnect {
                inside: link,
                between: Some(link),
                ranks_per_node: 8,
            },
        }
    }

    #[test]
    fn one_rank_reaches_what_was_assumed_of_it() {
        let step = plan(1e11).step(1, 256);
        assert!((step.mfu - 0.4).abs() < 1e-12, "{}", step.mfu);
        assert_eq!(step.communication_seconds, 0.0);
        // 256 x 2,048 tokens of 7.67 GFLOPs at 400 TFLOP/s.
        assert!((step.step_seconds / 10.05 - 1.0).abs() < 0.01);
        // Recomputing costs a third more time, and its FLOPs are no use.
        let twice = Plan {
            recompute: true,
            ..plan(1e11)
        };
        assert!((twice.step(1, 256).mfu - 0.3).abs() < 1e-12);
    }

    #[test]
    fn a_network_without_limits_scales_perfectly_and_a_slow_one_is_all_that_counts() {
        let fast = Plan {
            interconnect: Interconnect {
                inside: Link {
                    bandwidth: f64::INFINITY,
                    latency: 0.0,
                },
                between: None,
                ranks_per_node: 1,
            },
            ..plan(1.0)
        };
        assert!((fast.step(64, 256).mfu - 0.4).abs() < 1e-12);
        let slow = plan(1e8).step(16, 256);
        assert!(slow.exposed_seconds > 0.9 * slow.step_seconds);
        // Either of two nodes has to send its whole gradient, 2 bytes of 1.08e9 parameters and more.
        assert!(slow.communication_seconds > 2.0 * 1.08e9 / 1e8);
    }

    #[test]
    fn windows_that_can_t_be_shared_out_evenly_keep_the_others_waiting() {
        let plan = plan(1e12);
        let (even, uneven) = (plan.step(8, 256), plan.step(7, 256));
        // 37 windows, where 32 are enough.
        assert!((uneven.compute_seconds / even.compute_seconds - 37.0 / 32.0).abs() < 1e-12);
    }

    /// 16 bytes a parameter without, and 4 + 12/8 with ZeRO-1 on 8 ranks: figure 1 of its paper.
    #[test]
    fn zero_shares_the_optimizer_s_memory() {
        let plan = plan(1e11);
        let step = plan.step(8, 256);
        let saved = step.memory_bytes - step.memory_bytes_zero1;
        let parameters = plan.shape.parameters() as f64;
        assert!((saved / (parameters * 12.0 * 7.0 / 8.0) - 1.0).abs() < 1e-12);
        let state = step.memory_bytes
            - memory::activation_bytes(&plan.shape, 32, 2_048, false) as f64 / 2.0;
        assert!((state / (16.0 * parameters) - 1.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn no_step_beats_its_parts(ranks in 1_usize..1_200, exponent in 6.0_f64..13.0, zero1: bool, recompute: bool, micro in 1_usize..64) {
            let overlapping = Plan { zero1, recompute, micro_batch: Some(micro), ..plan(10_f64.powf(exponent)) };
            let sequential = Plan { overlap: false, ..overlapping.clone() };
            let (step, sum) = (overlapping.step(ranks, 2_048), sequential.step(ranks, 2_048));
            prop_assert!(step.step_seconds <= sum.step_seconds * (1.0 + 1e-12));
            prop_assert!(step.step_seconds >= step.compute_seconds);
            prop_assert!(step.step_seconds >= step.communication_seconds * 0.999 - step.compute_seconds);
            prop_assert!(step.exposed_seconds <= step.communication_seconds * (1.0 + 1e-12));
            prop_assert!(step.mfu > 0.0 && step.mfu <= 0.4 + 1e-12);
            prop_assert!(step.memory_bytes_zero1 <= step.memory_bytes);
        }
    }
}
