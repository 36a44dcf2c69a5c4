//! How a decoder computes: by fused operations where the device has them, or by compositions of burn's own, which are the
//! reference that the fused ones are held against.

use burn::tensor::{Device, Tensor, activation::silu};
use crossover_ops::Operands;
use serde::{Deserialize, Serialize};

/// Fused operations or compositions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ops {
    /// Hand-written, where the device has them.
    #[default]
    Fused,
    /// Compositions everywhere: slower, to localise a fault.
    Reference,
}

impl Ops {
    /// What this comes to on a device.
    pub fn on(self, device: &Device) -> Self {
        match self {
            Self::Fused if crossover_ops::runs_on(device) => Self::Fused,
            _ => Self::Reference,
        }
    }
}

/// How the operations of a pass are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arithmetic {
    /// Fused or composed.
    pub form: Ops,
    /// What linear layers multiply; fused ones alone multiply halves.
    pub operands: Operands,
}

impl Arithmetic {
    /// `input · weightᵀ`: `[rows, in]` and `[out, in]` -> `[rows, out]`.
    pub fn linear(self, input: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
        match self.form {
            Ops::Fused => crossover_ops::linear(input, weight.clone(), self.operands),
            Ops::Reference => input.matmul(weight.clone().transpose()),
        }
    }

    /// [`rms_normalize`], times a scale: `[rows, width]` and `[1, width]` -> `[rows, width]`.
    pub fn rms_norm(self, input: Tensor<2>, scale: &Tensor<2>, eps: f64) -> Tensor<2> {
        match self.form {
            Ops::Fused => crossover_ops::rms_norm(input, scale.clone(), eps),
            Ops::Reference => rms_normalize(input, eps) * scale.clone(),
        }
    }

    /// `silu(gate(x)) * up(x)`, both of one matrix: `[rows, in]` and `[2 * width, in]` -> `[rows, width]`.
    pub fn swiglu(self, input: Tensor<2>, gate_up: &Tensor<2>) -> Tensor<2> {
        match self.form {
            Ops::Fused => crossover_ops::swiglu(self.linear(input, gate_up)),
            Ops::Reference => {
                let width = gate_up.dims()[0] / 2;
                // The matrix is cut, not what comes of it: the gradient of a cut is as large as the whole.
                let [gate, up] = [0, width].map(|row| gate_up.clone().narrow(0, row, width));
                silu(self.linear(input.clone(), &gate)) * self.linear(input, &up)
            }
        }
    }
}

/// Root-mean-square normalization (Zhang & Sennrich 2019, arXiv 1910.07467): divides by the root of the mean square along the
/// last dimension, `x / sqrt(mean(x²) + eps)`.
///
/// `[.., width]` -> the same shape. The learned scale is the caller's: attention folds more into it.
pub fn rms_normalize<const D: usize>(input: Tensor<D>, eps: f64) -> Tensor<D> {
    let scale = input
        .clone()
        .square()
        .mean_dim(D - 1)
        .add_scalar(eps)
        .sqrt()
        .recip();
    input * scale
}
