//! The operations as functions of tensors: burn finds the backend, and whether gradients are wanted.

use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension};
use burn::tensor::{Device, Tensor};

use super::request::{Asked, Heads, Operands, Update};

/// The operations, for tensors of one backend.
#[backend_extension(Flex: cfg(feature = "cpu"), Cube: cfg(feature = "gpu"), Autodiff)]
pub trait Operations: Backend {
    /// `input · weightᵀ`: `[rows, in]` and `[out, in]` -> `[rows, out]`.
    fn project(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        operands: Operands,
    ) -> FloatTensor<Self>;

    /// Rows over the root of their mean square, times a scale: `[rows, width]` and `[1, width]` -> `[rows, width]`.
    fn rms_norm(input: FloatTensor<Self>, scale: FloatTensor<Self>, eps: f32) -> FloatTensor<Self>;

    /// `silu(gate) * up`, side by side in the input: `[rows, 2 * width]` -> `[rows, width]`.
    fn swiglu(input: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Attention over projected tokens: `[batch * length, projected]` and two scales `[1, head_dim]` ->
    /// `[batch * length, mixed]`.
    fn attend(
        input: FloatTensor<Self>,
        query_scale: FloatTensor<Self>,
        key_scale: FloatTensor<Self>,
        heads: Arc<Heads>,
    ) -> FloatTensor<Self>;

    /// The weighted sum of cross-entropies of a linear layer's outputs, nats: `[rows, width]` and `[classes or more, width]` ->
    /// `[1]`.
    fn cross_entropy_sum(
        hidden: FloatTensor<Self>,
        matrix: FloatTensor<Self>,
        asked: Arc<Asked>,
    ) -> FloatTensor<Self>;
}

/// A cross-entropy with its gradients.
#[derive(ExtensionType)]
pub struct Differentiated<B: Backend> {
    /// `[1]`
    pub loss: FloatTensor<B>,
    /// `[rows, width]`
    pub hidden: FloatTensor<B>,
    /// As the matrix.
    pub matrix: FloatTensor<B>,
}

/// A parameter and its moments.
#[derive(ExtensionType)]
pub struct Updated<B: Backend> {
    /// The parameter.
    pub value: FloatTensor<B>,
    /// First moment.
    pub first: FloatTensor<B>,
    /// Second moment.
    pub second: FloatTensor<B>,
}

/// The gradients, and what is never differentiated.
#[backend_extension(Flex: cfg(feature = "cpu"), Cube: cfg(feature = "gpu"))]
pub trait Untracked: Operations {
    /// Attention, and the logarithms of its sums that [`Self::attention_backward`] needs.
    fn attention_forward(
        input: FloatTensor<Self>,
        query_scale: FloatTensor<Self>,
        key_scale: FloatTensor<Self>,
        heads: Arc<Heads>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Gradients of the input and both scales.
    fn attention_backward(
        input: FloatTensor<Self>,
        query_scale: FloatTensor<Self>,
        key_scale: FloatTensor<Self>,
        output: FloatTensor<Self>,
        logarithms: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        heads: Arc<Heads>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// A matrix as products take it. The next three are given such.
    fn operand(matrix: FloatTensor<Self>, operands: Operands) -> FloatTensor<Self>;

    /// `input · weightᵀ`: `[rows, in]` and `[out, in]` -> `[rows, out]`.
    fn linear_output(input: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `gradient · weight`: `[rows, out]` and `[out, in]` -> `[rows, in]`.
    fn linear_input(gradient: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `gradientᵀ · input`: `[rows, out]` and `[rows, in]` -> `[out, in]`.
    fn linear_weight(gradient: FloatTensor<Self>, input: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Gradients of the input and the scale.
    fn rms_norm_backward(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        eps: f32,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The input's gradient.
    fn swiglu_backward(input: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The sum and its gradients.
    fn cross_entropy_differentiated(
        hidden: FloatTensor<Self>,
        matrix: FloatTensor<Self>,
        asked: Arc<Asked>,
    ) -> Differentiated<Self>;

    /// Cross-entropy of each row, nats: `[rows]`.
    fn cross_entropy_rows(
        hidden: FloatTensor<Self>,
        matrix: FloatTensor<Self>,
        classes: usize,
        targets: Vec<u32>,
    ) -> FloatTensor<Self>;

    /// Adds the square of each element to one of these sums, to each in its turn: `[sums]` and `[rows, width]` -> `[sums]`.
    fn add_squares(sums: FloatTensor<Self>, elements: FloatTensor<Self>) -> FloatTensor<Self>;

    /// One AdamW step of one parameter; `clip`, `[1, 1]`, scales the gradient.
    fn adamw(
        value: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        clip: FloatTensor<Self>,
        update: Update,
    ) -> Updated<Self>;
}

/// Whether a device's tensors can be given to the functions below.
pub fn runs_on(device: &Device) -> bool {
    use burn::backend::DispatchDevice;
    match device.clone().inner().as_dispatch() {
        #[cfg(feature = "cpu")]
        DispatchDevice::Flex(_) => true,
        #[cfg(feature = "gpu")]
        DispatchDevice::Cube(device) => crate::gpu::runs_on(device),
        _ => false,
    }
}

/// [`Operations::project`].
pub fn linear(input: Tensor<2>, weight: Tensor<2>, operands: Operands) -> Tensor<2> {
    let (input, weight) = (input.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(Dispatch::project(input, weight, operands))
}

/// [`Operations::rms_norm`].
pub fn rms_norm(input: Tensor<2>, scale: Tensor<2>, eps: f64) -> Tensor<2> {
    let (input, scale) = (input.into_dispatch(), scale.into_dispatch());
    Tensor::from_dispatch(Dispatch::rms_norm(input, scale, eps as f32))
}

/// [`Operations::swiglu`].
pub fn swiglu(input: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::swiglu(input.into_dispatch()))
}

/// [`Operations::attend`].
pub fn attention(
    input: Tensor<2>,
    query_scale: Tensor<2>,
    key_scale: Tensor<2>,
    heads: Arc<Heads>,
) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::attend(
        input.into_dispatch(),
        query_scale.into_dispatch(),
        key_scale.into_dispatch(),
        heads,
    ))
}

/// [`Operations::cross_entropy_sum`].
pub fn cross_entropy_sum(hidden: Tensor<2>, matrix: Tensor<2>, asked: Asked) -> Tensor<1> {
    let (hidden, matrix) = (hidden.into_dispatch(), matrix.into_dispatch());
    let asked = Arc::new(asked);
    Tensor::from_dispatch(Dispatch::cross_entropy_sum(hidden, matrix, asked))
}

/// [`Untracked::cross_entropy_rows`].
pub fn cross_entropy_rows(
    hidden: Tensor<2>,
    matrix: Tensor<2>,
    classes: usize,
    targets: Vec<u32>,
) -> Tensor<1> {
    let (hidden, matrix) = (hidden.into_dispatch(), matrix.into_dispatch());
    Tensor::from_dispatch(Dispatch::cross_entropy_rows(
        hidden, matrix, classes, targets,
    ))
}

/// The root of the sum of all tensors' squares: `[1, 1]`. No tensor of squares is made, and there is one pass over each of these.
pub fn global_norm(tensors: &[Tensor<2>], device: &Device) -> Tensor<2> {
    // Enough that a GPU has something to do with each, and that no sum of f32 grows long.
    const SUMS: usize = 4096;
    let sums: Tensor<1> = Tensor::zeros([SUMS], device);
    let sums = tensors.iter().cloned().fold(sums, |sums, tensor| {
        let sums = Dispatch::add_squares(sums.into_dispatch(), tensor.into_dispatch());
        Tensor::from_dispatch(sums)
    });
    sums.sum().sqrt().reshape([1, 1])
}

/// [`Untracked::adamw`]: gives the parameter and its moments as they are after the step.
pub fn adamw(
    value: Tensor<2>,
    gradient: Tensor<2>,
    [first, second]: [Tensor<2>; 2],
    clip: Tensor<2>,
    update: Update,
) -> (Tensor<2>, [Tensor<2>; 2]) {
    let updated = Dispatch::adamw(
        value.into_dispatch(),
        gradient.into_dispatch(),
        first.into_dispatch(),
        second.into_dispatch(),
        clip.into_dispatch(),
        update,
    );
    let moments = [updated.first, updated.second].map(Tensor::from_dispatch);
    (Tensor::from_dispatch(updated.value), moments)
}
