//! A mixture of experts, as functions of tensors: burn finds the backend, and whether gradients are wanted. On the processor
//! alone.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, ExtensionType, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use super::experts::{self, Experts};
use super::flex::{columns, ordered, slice, tensor};

/// The operation, for tensors of one backend.
#[backend_extension(Flex, Autodiff)]
pub trait Mixed: Backend {
    /// The sum of the experts' answers, each times its gate: `[rows, hidden]`, gates `[rows, experts]`, and the experts' matrices
    /// under each other, `[experts * 2 * width, hidden]` and `[experts * hidden, width]` -> `[rows, hidden]`.
    fn mix(
        input: FloatTensor<Self>,
        gates: FloatTensor<Self>,
        gate_up: FloatTensor<Self>,
        down: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// Gradients of what [`Mixed::mix`] takes.
#[derive(ExtensionType)]
pub struct ToMixed<B: Backend> {
    /// As the input.
    pub input: FloatTensor<B>,
    /// As the gates.
    pub gates: FloatTensor<B>,
    /// As the first matrices.
    pub gate_up: FloatTensor<B>,
    /// As the second matrices.
    pub down: FloatTensor<B>,
}

/// The gradients, and what is never differentiated.
#[backend_extension(Flex)]
pub trait UntrackedMixed: Mixed {
    /// 1 for the `count` largest of each row, 0 for the others; of equal ones the first is the larger.
    fn largest(scores: FloatTensor<Self>, count: usize) -> FloatTensor<Self>;

    /// [`Mixed::mix`], and what [`Self::mix_backward`] needs.
    fn mix_forward(
        input: FloatTensor<Self>,
        gates: FloatTensor<Self>,
        gate_up: FloatTensor<Self>,
        down: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Gradients of everything.
    fn mix_backward(
        input: FloatTensor<Self>,
        gates: FloatTensor<Self>,
        gate_up: FloatTensor<Self>,
        down: FloatTensor<Self>,
        projected: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> ToMixed<Self>;
}

fn experts<'a>(
    input: &'a FlexTensor,
    gates: &'a FlexTensor,
    gate_up: &'a FlexTensor,
    down: &'a FlexTensor,
) -> Experts<'a> {
    Experts {
        input: slice(input),
        gates: slice(gates),
        gate_up: slice(gate_up),
        down: slice(down),
        hidden: columns(input),
        count: columns(gates),
        width: columns(down),
    }
}

impl Mixed for Flex {
    fn mix(
        input: FlexTensor,
        gates: FlexTensor,
        gate_up: FlexTensor,
        down: FlexTensor,
    ) -> FlexTensor {
        Self::mix_forward(input, gates, gate_up, down).0
    }
}

impl UntrackedMixed for Flex {
    fn largest(scores: FlexTensor, count: usize) -> FlexTensor {
        let scores = ordered(scores);
        let chosen = experts::largest(slice(&scores), columns(&scores), count);
        tensor(chosen, scores.layout().shape().clone())
    }

    fn mix_forward(
        input: FlexTensor,
        gates: FlexTensor,
        gate_up: FlexTensor,
        down: FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        let (input, gates) = (ordered(input), ordered(gates));
        let (gate_up, down) = (ordered(gate_up), ordered(down));
        let (output, mut projected) = experts(&input, &gates, &gate_up, &down).forward();
        let width = 2 * columns(&down);
        if projected.is_empty() {
            // A tensor has a row at least.
            projected.resize(width, 0.0);
        }
        let rows = projected.len() / width;
        let output = tensor(output, input.layout().shape().clone());
        (output, tensor(projected, [rows, width]))
    }

    fn mix_backward(
        input: FlexTensor,
        gates: FlexTensor,
        gate_up: FlexTensor,
        down: FlexTensor,
        projected: FlexTensor,
        gradient: FlexTensor,
    ) -> ToMixed<Self> {
        let (input, gates) = (ordered(input), ordered(gates));
        let (gate_up, down) = (ordered(gate_up), ordered(down));
        let gradient = ordered(gradient);
        let found =
            experts(&input, &gates, &gate_up, &down).backward(slice(&projected), slice(&gradient));
        let like = |values, of: &FlexTensor| tensor(values, of.layout().shape().clone());
        ToMixed {
            input: like(found.input, &input),
            gates: like(found.gates, &gates),
            gate_up: like(found.gate_up, &gate_up),
            down: like(found.down, &down),
        }
    }
}

impl<B: UntrackedMixed, C: CheckpointStrategy> Mixed for Autodiff<B, C> {
    fn mix(
        input: FloatTensor<Self>,
        gates: FloatTensor<Self>,
        gate_up: FloatTensor<Self>,
        down: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [input.node(), gates.node(), gate_up.node(), down.node()];
        let prepared = Mix.prepare::<C>(nodes).compute_bound();
        let (input, gates) = (input.into_primitive(), gates.into_primitive());
        let (gate_up, down) = (gate_up.into_primitive(), down.into_primitive());
        match prepared.stateful() {
            OpsKind::Tracked(prepared) => {
                let (output, projected) =
                    B::mix_forward(input.clone(), gates.clone(), gate_up.clone(), down.clone());
                prepared.finish([input, gates, gate_up, down, projected], output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::mix(input, gates, gate_up, down)),
        }
    }
}

#[derive(Debug)]
struct Mix;

impl<B: UntrackedMixed> Backward<B, 4> for Mix {
    /// What went in, and what forward kept.
    type State = [FloatTensor<B>; 5];

    fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [input, gates, gate_up, down, projected] = ops.state;
        let found = B::mix_backward(input, gates, gate_up, down, projected, gradient);
        let found = [found.input, found.gates, found.gate_up, found.down];
        for (node, found) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, found);
            }
        }
    }
}

/// [`Mixed::mix`].
pub fn mix(input: Tensor<2>, gates: Tensor<2>, gate_up: Tensor<2>, down: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::mix(
        input.into_dispatch(),
        gates.into_dispatch(),
        gate_up.into_dispatch(),
        down.into_dispatch(),
    ))
}

/// [`UntrackedMixed::largest`]; the scores are of no graph.
pub fn largest(scores: Tensor<2>, count: usize) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::largest(scores.into_dispatch(), count))
}
