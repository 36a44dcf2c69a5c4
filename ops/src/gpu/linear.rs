//! Linear layers by burn's own products. They take views, so nothing is transposed in memory, and the weight's gradient comes
//! out as the weight lies, which the optimizer reads in order.

use burn::backend::ops::FloatTensorOps;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

fn transposed(tensor: CubeTensor) -> CubeTensor {
    CubeBackend::float_swap_dims(tensor, 0, 1)
}

/// `input · weightᵀ`: `[rows, in]` and `[out, in]` -> `[rows, out]`.
pub fn forward(input: CubeTensor, weight: CubeTensor) -> CubeTensor {
    CubeBackend::float_matmul(input, transposed(weight))
}

/// `gradient · weight`: `[rows, out]` and `[out, in]` -> `[rows, in]`.
pub fn input_gradient(gradient: CubeTensor, weight: CubeTensor) -> CubeTensor {
    CubeBackend::float_matmul(gradient, weight)
}

/// `gradientᵀ · input`: `[rows, out]` and `[rows, in]` -> `[out, in]`.
pub fn weight_gradient(gradient: CubeTensor, input: CubeTensor) -> CubeTensor {
    CubeBackend::float_matmul(transposed(gradient), input)
}
