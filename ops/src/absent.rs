//! The operations where no backend was built in that has them: [`runs_on`] says so, and nobody calls the others.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::request::{Asked, Heads, Operands, Update};

const ABSENT: &str = "nothing is fused without a backend";

/// Whether a device's tensors can be given to the functions below.
pub fn runs_on(_: &Device) -> bool {
    false
}

/// A linear layer.
pub fn linear(_: Tensor<2>, _: Tensor<2>, _: Operands) -> Tensor<2> {
    unreachable!("{ABSENT}")
}

/// RMSNorm.
pub fn rms_norm(_: Tensor<2>, _: Tensor<2>, _: f64) -> Tensor<2> {
    unreachable!("{ABSENT}")
}

/// SwiGLU's gate.
pub fn swiglu(_: Tensor<2>) -> Tensor<2> {
    unreachable!("{ABSENT}")
}

/// Attention.
pub fn attention(_: Tensor<2>, _: Tensor<2>, _: Tensor<2>, _: Arc<Heads>) -> Tensor<2> {
    unreachable!("{ABSENT}")
}

/// A weighted sum of cross-entropies.
pub fn cross_entropy_sum(_: Tensor<2>, _: Tensor<2>, _: Asked) -> Tensor<1> {
    unreachable!("{ABSENT}")
}

/// Cross-entropies.
pub fn cross_entropy_rows(_: Tensor<2>, _: Tensor<2>, _: usize, _: Vec<u32>) -> Tensor<1> {
    unreachable!("{ABSENT}")
}

/// A root of a sum of squares.
pub fn global_norm(_: &[Tensor<2>], _: &Device) -> Tensor<2> {
    unreachable!("{ABSENT}")
}

/// An optimizer's step.
pub fn adamw(
    _: Tensor<2>,
    _: Tensor<2>,
    _: [Tensor<2>; 2],
    _: Tensor<2>,
    _: Update,
) -> (Tensor<2>, [Tensor<2>; 2]) {
    unreachable!("{ABSENT}")
}
