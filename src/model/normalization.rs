//! Root-mean-square normalization (Zhang & Sennrich 2019, arXiv 1910.07467).

use burn::tensor::Tensor;

/// Divides by the root of the mean square along the last dimension: `x / sqrt(mean(x²) + eps)`.
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
