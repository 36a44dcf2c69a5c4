//! The operations' gradients in burn's graph. Each keeps its inputs, which the graph holds anyway, and computes the rest again.

use std::sync::Arc;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use super::dispatch::{Operations, Untracked};
use super::request::{Asked, Heads, Operands};

impl<B: Untracked, C: CheckpointStrategy> Operations for Autodiff<B, C> {
    fn project(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        operands: Operands,
    ) -> FloatTensor<Self> {
        let prepared = Linear
            .prepare::<C>([input.node(), weight.node()])
            .compute_bound();
        let (input, weight) = (input.into_primitive(), weight.into_primitive());
        match prepared.stateful() {
            OpsKind::Tracked(prepared) => {
                // Kept as they are multiplied: the way back multiplies them again.
                let [input, weight] = [input, weight].map(|matrix| B::operand(matrix, operands));
                let output = B::linear_output(input.clone(), weight.clone());
                prepared.finish((input, weight, operands), output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::project(input, weight, operands)),
        }
    }

    fn rms_norm(input: FloatTensor<Self>, scale: FloatTensor<Self>, eps: f32) -> FloatTensor<Self> {
        let prepared = RmsNorm
            .prepare::<C>([input.node(), scale.node()])
            .compute_bound();
        let (input, scale) = (input.into_primitive(), scale.into_primitive());
        match prepared.stateful() {
            OpsKind::Tracked(prepared) => {
                let output = B::rms_norm(input.clone(), scale.clone(), eps);
                prepared.finish((input, scale, eps), output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::rms_norm(input, scale, eps)),
        }
    }

    fn swiglu(input: FloatTensor<Self>) -> FloatTensor<Self> {
        let prepared = SwiGlu.prepare::<C>([input.node()]).compute_bound();
        let input = input.into_primitive();
        match prepared.stateful() {
            OpsKind::Tracked(prepared) => {
                let output = B::swiglu(input.clone());
                prepared.finish(input, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::swiglu(input)),
        }
    }

    fn attend(
        input: FloatTensor<Self>,
        query_scale: FloatTensor<Self>,
        key_scale: FloatTensor<Self>,
        heads: Arc<Heads>,
    ) -> FloatTensor<Self> {
        let nodes = [input.node(), query_scale.node(), key_scale.node()];
        let prepared = Attention.prepare::<C>(nodes).compute_bound();
        let input = input.into_primitive();
        let (query, key) = (query_scale.into_primitive(), key_scale.into_primitive());
        match prepared.stateful() {
            OpsKind::Tracked(prepared) => {
                let (output, logarithms) =
                    B::attention_forward(input.clone(), query.clone(), key.clone(), heads.clone());
                let state = Attended {
                    tensors: [input, query, key, output.clone(), logarithms],
                    heads,
                };
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::attend(input, query, key, heads)),
        }
    }

    fn cross_entropy_sum(
        hidden: FloatTensor<Self>,
        matrix: FloatTensor<Self>,
        asked: Arc<Asked>,
    ) -> FloatTensor<Self> {
        let prepared = CrossEntropy
            .prepare::<C>([hidden.node(), matrix.node()])
            .compute_bound();
        let (hidden, matrix) = (hidden.into_primitive(), matrix.into_primitive());
        match prepared.stateful() {
            OpsKind::Tracked(prepared) => {
                let sum = B::cross_entropy_differentiated(hidden, matrix, asked);
                prepared.finish((sum.hidden, sum.matrix), sum.loss)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::cross_entropy_sum(hidden, matrix, asked))
            }
        }
    }
}

#[derive(Debug)]
struct Linear;

impl<B: Untracked> Backward<B, 2> for Linear {
    type State = (FloatTensor<B>, FloatTensor<B>, Operands);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (input, weight, operands) = ops.state;
        let gradient = B::operand(gradient, operands);
        let [to_input, to_weight] = ops.parents;
        if let Some(node) = to_weight {
            let found = B::linear_weight(gradient.clone(), input);
            gradients.register::<B>(node.id, found);
        }
        if let Some(node) = to_input {
            gradients.register::<B>(node.id, B::linear_input(gradient, weight));
        }
    }
}

#[derive(Debug)]
struct RmsNorm;

impl<B: Untracked> Backward<B, 2> for RmsNorm {
    type State = (FloatTensor<B>, FloatTensor<B>, f32);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (input, scale, eps) = ops.state;
        let (input, scale) = B::rms_norm_backward(input, scale, eps, gradient);
        for (node, found) in ops.parents.into_iter().zip([input, scale]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, found);
            }
        }
    }
}

#[derive(Debug)]
struct SwiGlu;

impl<B: Untracked> Backward<B, 1> for SwiGlu {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            gradients.register::<B>(node.id, B::swiglu_backward(ops.state, gradient));
        }
    }
}

#[derive(Debug)]
struct Attention;

/// Input, both scales, output, and the logarithms of the sums.
#[derive(Debug, Clone)]
struct Attended<T> {
    tensors: [T; 5],
    heads: Arc<Heads>,
}

impl<B: Untracked> Backward<B, 3> for Attention {
    type State = Attended<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let Attended {
            tensors: [input, query, key, output, logarithms],
            heads,
        } = ops.state;
        let (input, query, key) =
            B::attention_backward(input, query, key, output, logarithms, gradient, heads);
        for (node, found) in ops.parents.into_iter().zip([input, query, key]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, found);
            }
        }
    }
}

#[derive(Debug)]
struct CrossEntropy;

impl<B: Untracked> Backward<B, 2> for CrossEntropy {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let above = gradients.consume::<B>(&ops.node);
        let (hidden, matrix) = ops.state;
        for (node, found) in ops.parents.into_iter().zip([hidden, matrix]) {
            if let Some(node) = node {
                let above = B::float_reshape(above.clone(), [1, 1].into());
                gradients.register::<B>(node.id, B::float_mul(found, above));
            }
        }
    }
}
