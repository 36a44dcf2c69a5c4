//! The operations on every device that CubeCL reaches: kernels in Rust that it turns into the device's own language, WGSL for a
//! browser among them.
//!
//! Kernels keep to what WebGPU promises everywhere: 8 buffers, 16 KiB of workgroup memory, 256 units in a cube; no subgroups, no
//! half precision, no timestamps; and nothing is read back. Tensors are of `f32`, and lie in order; products alone, which are burn's,
//! take halves where a device has them.

mod adamw;
mod attention;
mod cross_entropy;
mod linear;
mod reduce;
mod rms_norm;
#[cfg(test)]
mod source;
mod squares;
mod swiglu;

pub use attention::Sent;

use std::sync::Arc;

use burn::backend::ops::FloatTensorOps;
use burn::tensor::Shape;
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeDevice};

use crate::dispatch::{Differentiated, Operations, Untracked, Updated};
use crate::request::{Asked, Heads, Operands, Update};

/// Whether a device is as large as the kernels need it. Opens the device.
pub fn runs_on(device: &CubeDevice) -> bool {
    let client = device.client();
    let hardware = &client.properties().hardware;
    hardware.max_bindings >= 7
        && hardware.max_shared_memory_size >= attention::WORKGROUP_MEMORY
        && hardware.max_units_per_cube >= reduce::UNITS as u32
}

/// The elements in order; a view that lies otherwise is copied.
fn ordered(tensor: CubeTensor) -> CubeTensor {
    into_contiguous(tensor)
}

/// A tensor as a kernel reads it.
fn buffer(tensor: CubeTensor) -> BufferArg {
    ordered(tensor).into_buffer_arg()
}

/// A tensor as a kernel writes it, in order already: of one that isn't, a copy would be written, and lost. On CUDA burn fills up
/// the rows of what it allocates, unless it is asked for something else.
fn written(tensor: &CubeTensor) -> BufferArg {
    assert!(
        tensor.is_contiguous(),
        "a kernel was to write into a copy: this is a bug in crossover"
    );
    tensor.clone().into_buffer_arg()
}

/// A tensor in order that nobody else holds.
fn own(tensor: CubeTensor) -> CubeTensor {
    let tensor = ordered(tensor);
    if tensor.can_mut() {
        return tensor;
    }
    // A row alone isn't filled up.
    let shape = tensor.meta.shape().clone();
    let row = CubeBackend::float_reshape(tensor, Shape::new([shape.num_elements()]));
    CubeBackend::float_reshape(row.copy(), shape)
}

/// A tensor beside another, to be written.
fn empty(beside: &CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    let (client, device) = (beside.client.clone(), beside.device.clone());
    empty_device_contiguous_dtype(client, device, shape.into(), beside.dtype)
}

/// How many cubes, and of how many units, do one thing to each element.
fn elementwise(client: &Client, elements: usize) -> (CubeCount, CubeDim) {
    let units = CubeDim::new(client, elements);
    let count = calculate_cube_count_elemwise(client, elements, units);
    (count, units)
}

impl Operations for CubeBackend {
    fn project(input: CubeTensor, weight: CubeTensor, operands: Operands) -> CubeTensor {
        let [input, weight] = [input, weight].map(|matrix| linear::operand(matrix, operands));
        linear::forward(input, weight)
    }

    fn rms_norm(input: CubeTensor, scale: CubeTensor, eps: f32) -> CubeTensor {
        rms_norm::forward(input, scale, eps)
    }

    fn swiglu(input: CubeTensor) -> CubeTensor {
        swiglu::forward(input)
    }

    fn attend(
        input: CubeTensor,
        query_scale: CubeTensor,
        key_scale: CubeTensor,
        heads: Arc<Heads>,
    ) -> CubeTensor {
        attention::forward(input, [query_scale, key_scale], &heads).0
    }

    fn cross_entropy_sum(hidden: CubeTensor, matrix: CubeTensor, asked: Arc<Asked>) -> CubeTensor {
        cross_entropy::sum(hidden, matrix, &asked).loss
    }
}

impl Untracked for CubeBackend {
    fn attention_forward(
        input: CubeTensor,
        query_scale: CubeTensor,
        key_scale: CubeTensor,
        heads: Arc<Heads>,
    ) -> (CubeTensor, CubeTensor) {
        attention::forward(input, [query_scale, key_scale], &heads)
    }

    fn attention_backward(
        input: CubeTensor,
        query_scale: CubeTensor,
        key_scale: CubeTensor,
        output: CubeTensor,
        logarithms: CubeTensor,
        gradient: CubeTensor,
        heads: Arc<Heads>,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        attention::backward(
            input,
            [query_scale, key_scale],
            [output, logarithms, gradient],
            &heads,
        )
    }

    fn operand(matrix: CubeTensor, operands: Operands) -> CubeTensor {
        linear::operand(matrix, operands)
    }

    fn linear_output(input: CubeTensor, weight: CubeTensor) -> CubeTensor {
        linear::forward(input, weight)
    }

    fn linear_input(gradient: CubeTensor, weight: CubeTensor) -> CubeTensor {
        linear::input_gradient(gradient, weight)
    }

    fn linear_weight(gradient: CubeTensor, input: CubeTensor) -> CubeTensor {
        linear::weight_gradient(gradient, input)
    }

    fn rms_norm_backward(
        input: CubeTensor,
        scale: CubeTensor,
        eps: f32,
        gradient: CubeTensor,
    ) -> (CubeTensor, CubeTensor) {
        rms_norm::backward(input, scale, eps, gradient)
    }

    fn swiglu_backward(input: CubeTensor, gradient: CubeTensor) -> CubeTensor {
        swiglu::backward(input, gradient)
    }

    fn cross_entropy_differentiated(
        hidden: CubeTensor,
        matrix: CubeTensor,
        asked: Arc<Asked>,
    ) -> Differentiated<Self> {
        cross_entropy::sum(hidden, matrix, &asked)
    }

    fn cross_entropy_rows(
        hidden: CubeTensor,
        matrix: CubeTensor,
        classes: usize,
        targets: Vec<u32>,
    ) -> CubeTensor {
        cross_entropy::rows(hidden, matrix, classes, targets)
    }

    fn add_squares(sums: CubeTensor, elements: CubeTensor) -> CubeTensor {
        squares::add(sums, elements)
    }

    fn adamw(
        value: CubeTensor,
        gradient: CubeTensor,
        first: CubeTensor,
        second: CubeTensor,
        clip: CubeTensor,
        update: Update,
    ) -> Updated<Self> {
        let moved = adamw::step([value, first, second], gradient, clip, update);
        let [value, first, second] = moved;
        Updated {
            value,
            first,
            second,
        }
    }
}
