//! The operations on burn's processor backend.

use std::sync::Arc;

use burn::backend::{DType, Flex};
use burn::tensor::Shape;
use burn_flex::{FlexTensor, Layout};

use super::attention::{self, Scales};
use super::cross_entropy::{self, Asked as Layer};
use super::dispatch::{Differentiated, Operations, Untracked, Updated};
use super::matrix::{Matrix, product};
use super::request::{Asked, Heads, Operands, Update};
use super::{adamw, half, rms_norm, squares, swiglu};

/// The elements in order; a view that lies otherwise is copied. Taken whole, so that what nobody else holds can be written in
/// place.
pub(super) fn ordered(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

/// The elements in order and in memory of their own: a view of a part of something would be written at that thing's beginning.
pub(super) fn writable(view: FlexTensor) -> FlexTensor {
    let ordered = ordered(view);
    let elements = slice(&ordered);
    if size_of_val(elements) == ordered.bytes().len() {
        return ordered;
    }
    tensor(elements.to_vec(), ordered.layout().shape().clone())
}

/// The elements of an ordered tensor.
pub(super) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("an ordered tensor is a slice")
}

pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    let shape = shape.into();
    let bytes = burn::tensor::Bytes::from_elems(values);
    FlexTensor::new(bytes, Layout::contiguous(shape), DType::F32)
}

pub(super) fn columns(tensor: &FlexTensor) -> usize {
    tensor.layout().shape()[1]
}

impl Operations for Flex {
    fn project(input: FlexTensor, weight: FlexTensor, operands: Operands) -> FlexTensor {
        let [input, weight] = [input, weight].map(|matrix| Self::operand(matrix, operands));
        Self::linear_output(input, weight)
    }

    fn rms_norm(input: FlexTensor, scale: FlexTensor, eps: f32) -> FlexTensor {
        let (input, scale) = (ordered(input), ordered(scale));
        let mut output = Vec::new();
        rms_norm::forward(slice(&input), slice(&scale), eps, &mut output);
        tensor(output, input.layout().shape().clone())
    }

    fn swiglu(input: FlexTensor) -> FlexTensor {
        let input = ordered(input);
        let width = columns(&input) / 2;
        let mut output = Vec::new();
        swiglu::forward(slice(&input), width, &mut output);
        let rows = output.len() / width;
        tensor(output, [rows, width])
    }

    fn attend(
        input: FlexTensor,
        query_scale: FlexTensor,
        key_scale: FlexTensor,
        heads: Arc<Heads>,
    ) -> FlexTensor {
        Self::attention_forward(input, query_scale, key_scale, heads).0
    }

    fn cross_entropy_sum(hidden: FlexTensor, matrix: FlexTensor, asked: Arc<Asked>) -> FlexTensor {
        Self::cross_entropy_differentiated(hidden, matrix, asked).loss
    }
}

impl Untracked for Flex {
    fn attention_forward(
        input: FlexTensor,
        query_scale: FlexTensor,
        key_scale: FlexTensor,
        heads: Arc<Heads>,
    ) -> (FlexTensor, FlexTensor) {
        let (input, query, key) = (ordered(input), ordered(query_scale), ordered(key_scale));
        let scales = Scales {
            query: slice(&query),
            key: slice(&key),
        };
        let (output, logarithms) = attention::forward(slice(&input), scales, &heads);
        let rows = output.len() / heads.mixed();
        let count = logarithms.len();
        (
            tensor(output, [rows, heads.mixed()]),
            tensor(logarithms, [count]),
        )
    }

    fn attention_backward(
        input: FlexTensor,
        query_scale: FlexTensor,
        key_scale: FlexTensor,
        output: FlexTensor,
        logarithms: FlexTensor,
        gradient: FlexTensor,
        heads: Arc<Heads>,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (input, query, key) = (ordered(input), ordered(query_scale), ordered(key_scale));
        let gradient = ordered(gradient);
        let of = attention::Backward {
            input: slice(&input),
            scales: Scales {
                query: slice(&query),
                key: slice(&key),
            },
            output: slice(&output),
            logarithms: slice(&logarithms),
            gradient: slice(&gradient),
        };
        let gradients = attention::backward(of, &heads);
        let rows = gradients.input.len() / heads.projected();
        (
            tensor(gradients.input, [rows, heads.projected()]),
            tensor(gradients.query_scale, [1, heads.head_dim]),
            tensor(gradients.key_scale, [1, heads.head_dim]),
        )
    }

    fn operand(matrix: FlexTensor, operands: Operands) -> FlexTensor {
        if operands == Operands::F32 {
            return matrix;
        }
        let matrix = ordered(matrix);
        let rounded = half::rounded(slice(&matrix), operands).into_owned();
        tensor(rounded, matrix.layout().shape().clone())
    }

    fn linear_output(input: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let (input, weight) = (ordered(input), ordered(weight));
        let (input_width, outputs) = (columns(&input), weight.layout().shape()[0]);
        let rows = input.layout().shape()[0];
        let output = product(
            Matrix::rows(slice(&input), input_width),
            Matrix::rows(slice(&weight), input_width).transposed(),
        );
        tensor(output, [rows, outputs])
    }

    fn linear_input(gradient: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let (gradient, weight) = (ordered(gradient), ordered(weight));
        let (outputs, inputs) = (columns(&gradient), columns(&weight));
        let rows = gradient.layout().shape()[0];
        let output = product(
            Matrix::rows(slice(&gradient), outputs),
            Matrix::rows(slice(&weight), inputs),
        );
        tensor(output, [rows, inputs])
    }

    fn linear_weight(gradient: FlexTensor, input: FlexTensor) -> FlexTensor {
        let (gradient, input) = (ordered(gradient), ordered(input));
        let (outputs, inputs) = (columns(&gradient), columns(&input));
        let output = product(
            Matrix::rows(slice(&gradient), outputs).transposed(),
            Matrix::rows(slice(&input), inputs),
        );
        tensor(output, [outputs, inputs])
    }

    fn rms_norm_backward(
        input: FlexTensor,
        scale: FlexTensor,
        eps: f32,
        gradient: FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        let (input, scale, gradient) = (ordered(input), ordered(scale), ordered(gradient));
        let mut to_input = Vec::new();
        let mut to_scale = vec![0.0; slice(&scale).len()];
        rms_norm::backward(
            slice(&input),
            slice(&scale),
            eps,
            slice(&gradient),
            &mut to_input,
            &mut to_scale,
        );
        (
            tensor(to_input, input.layout().shape().clone()),
            tensor(to_scale, scale.layout().shape().clone()),
        )
    }

    fn swiglu_backward(input: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        let (input, gradient) = (ordered(input), ordered(gradient));
        let mut output = Vec::new();
        swiglu::backward(
            slice(&input),
            columns(&gradient),
            slice(&gradient),
            &mut output,
        );
        tensor(output, input.layout().shape().clone())
    }

    fn cross_entropy_differentiated(
        hidden: FlexTensor,
        matrix: FlexTensor,
        asked: Arc<Asked>,
    ) -> Differentiated<Self> {
        let (hidden, matrix) = (ordered(hidden), ordered(matrix));
        let width = columns(&hidden);
        let layer = Layer {
            hidden: slice(&hidden),
            matrix: &slice(&matrix)[..asked.classes * width],
            targets: &asked.targets,
            width,
        };
        let mut sum = cross_entropy::sum(layer, &asked.weights, asked.operands);
        // What is no class had no part in it.
        sum.matrix.resize(slice(&matrix).len(), 0.0);
        Differentiated {
            loss: tensor(vec![sum.loss], [1]),
            hidden: tensor(sum.hidden, hidden.layout().shape().clone()),
            matrix: tensor(sum.matrix, matrix.layout().shape().clone()),
        }
    }

    fn cross_entropy_rows(
        hidden: FlexTensor,
        matrix: FlexTensor,
        classes: usize,
        targets: Vec<u32>,
    ) -> FlexTensor {
        let (hidden, matrix) = (ordered(hidden), ordered(matrix));
        let width = columns(&hidden);
        let nats = cross_entropy::rows(Layer {
            hidden: slice(&hidden),
            matrix: &slice(&matrix)[..classes * width],
            targets: &targets,
            width,
        });
        let count = nats.len();
        tensor(nats, [count])
    }

    fn add_squares(sums: FlexTensor, elements: FlexTensor) -> FlexTensor {
        let (mut sums, elements) = (writable(sums), ordered(elements));
        squares::add(sums.storage_mut(), slice(&elements));
        sums
    }

    fn adamw(
        value: FlexTensor,
        gradient: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        clip: FlexTensor,
        update: Update,
    ) -> Updated<Self> {
        let gradient = ordered(gradient);
        let [mut value, mut first, mut second] = [value, first, second].map(writable);
        let clip = slice(&clip)[0];
        adamw::step(
            value.storage_mut(),
            slice(&gradient),
            first.storage_mut(),
            second.storage_mut(),
            clip,
            update,
        );
        Updated {
            value,
            first,
            second,
        }
    }
}
