//! Linear layers by burn's own products. They take views, so nothing is transposed in memory, and the weight's gradient comes
//! out as the weight lies, which the optimizer reads in order.
//!
//! Halves are multiplied by tensor cores where there are such. Sums are f32, and come out so: burn's own product of halves would
//! round them to halves again.

use burn::backend::DType;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

use crate::request::Operands;

/// A matrix as products take it.
pub fn operand(matrix: CubeTensor, operands: Operands) -> CubeTensor {
    match operands.half() {
        None => matrix,
        Some(half) => CubeBackend::float_cast(matrix, half),
    }
}

fn transposed(tensor: CubeTensor) -> CubeTensor {
    CubeBackend::float_swap_dims(tensor, 0, 1)
}

/// In order, as kernels read it: on CUDA burn would fill up its rows, and a copy be made of every one.
fn product(left: CubeTensor, right: CubeTensor) -> CubeTensor {
    let [rows, _] = left.meta.shape().dims();
    let [_, columns] = right.meta.shape().dims();
    let output = empty_device_contiguous_dtype(
        left.client.clone(),
        left.device.clone(),
        Shape::new([rows, columns]),
        DType::F32,
    );
    matmul(
        left,
        right,
        Some(output),
        MatmulStrategy::default(),
        DType::F32,
    )
    .expect("every device has a product of two matrices")
}

/// `input · weightᵀ`: `[rows, in]` and `[out, in]` -> `[rows, out]`.
pub fn forward(input: CubeTensor, weight: CubeTensor) -> CubeTensor {
    product(input, transposed(weight))
}

/// `gradient · weight`: `[rows, out]` and `[out, in]` -> `[rows, in]`.
pub fn input_gradient(gradient: CubeTensor, weight: CubeTensor) -> CubeTensor {
    product(gradient, weight)
}

/// `gradientᵀ · input`: `[rows, out]` and `[rows, in]` -> `[out, in]`.
pub fn weight_gradient(gradient: CubeTensor, input: CubeTensor) -> CubeTensor {
    product(transposed(gradient), input)
}
