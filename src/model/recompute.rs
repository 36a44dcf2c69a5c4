//! Gradients by block: only the blocks' inputs are kept, and each block is computed once more when its gradient is due (Chen
//! et al. 2016, arXiv 1604.06174, with a segment for each block). A third more work; of what training holds for its gradients
//! one block's share is left, and `[batch * length, hidden_size]` for each of the others.

use burn::tensor::{Gradients, Tensor};

use crate::model::attention::Surroundings;
use crate::model::mixture::Decisions;
use crate::model::{Decoder, Dropout, Visibility};

/// A loss and its gradients.
#[derive(Debug)]
pub struct Differentiated {
    /// `[1]`
    pub loss: Tensor<1>,
    /// Of each parameter, in the order of [`Decoder::parameters`].
    pub gradients: Vec<Tensor<2>>,
}

/// The gradients of a tracked decoder's parameters, as far as they are known.
struct Sums {
    tracked: Decoder,
    sums: Vec<Option<Tensor<2>>>,
}

impl Sums {
    fn new(tracked: Decoder) -> Self {
        let sums = vec![None; tracked.parameters().len()];
        Self { tracked, sums }
    }

    /// Adds what a part of the pass gives.
    fn take(&mut self, gradients: &mut Gradients) {
        let parameters = self.tracked.parameters().into_iter();
        for (parameter, sum) in parameters.zip(&mut self.sums) {
            if let Some(gradient) = parameter.grad_remove(gradients) {
                *sum = Some(match sum.take() {
                    Some(sum) => sum + gradient,
                    None => gradient,
                });
            }
        }
    }

    fn finish(self) -> Vec<Tensor<2>> {
        let parameters = self.tracked.parameters();
        let sums = self.sums.into_iter().zip(parameters);
        sums.map(|(sum, parameter)| sum.unwrap_or_else(|| nothing(parameter)))
            .collect()
    }
}

/// A tensor that gradients are asked of, and that knows nothing of what came before.
fn leaf(tensor: Tensor<2>) -> Tensor<2> {
    tensor.autodiff().require_grad()
}

/// Zeros: the gradient of what a loss doesn't reach.
fn nothing(tensor: &Tensor<2>) -> Tensor<2> {
    tensor.clone().without_autodiff().zeros_like()
}

/// Takes a tensor's gradient out of a backward pass: 0 where the loss does not reach it.
pub fn gradient_of(tensor: &Tensor<2>, gradients: &mut Gradients) -> Tensor<2> {
    tensor
        .grad_remove(gradients)
        .unwrap_or_else(|| nothing(tensor))
}

/// A scalar whose gradient carries `due`, the gradient of `output`, to what that was computed from.
fn carrying(output: Tensor<2>, due: Tensor<2>) -> Tensor<1> {
    (output * due).sum()
}

impl Decoder {
    /// [`Decoder::cross_entropy_sum`] with the gradients of all parameters, which are those of a pass that keeps everything. What
    /// the routers of [`Decoder::training_losses`] cost counts in the gradients, times `router_weight`.
    #[expect(clippy::too_many_arguments, reason = "a batch, and how it is computed")]
    pub fn differentiated_by_block(
        &self,
        inputs: &[u32],
        targets: &[u32],
        weights: Vec<f32>,
        length: usize,
        visibility: Visibility,
        dropout: &Dropout,
        router_weight: f64,
    ) -> Differentiated {
        let around = self.surroundings(inputs, length, visibility, dropout);
        let mut stream = self.embed(inputs);
        let mut kept = Vec::new();
        for (number, block) in self.blocks.iter().enumerate() {
            kept.push((stream.clone(), dropout.clone()));
            dropout.begin(number, self.device());
            stream = block.forward(stream, &around, None);
        }

        let mut sums = Sums::new(self.tracked());
        let start = leaf(stream);
        let hidden = (sums.tracked).answered(start.clone(), around.length, 0..length);
        let loss = sums.tracked.entropy_sum(hidden, targets, weights);
        let mut gradients = loss.backward();
        sums.take(&mut gradients);
        let mut due = gradient_of(&start, &mut gradients);
        for (number, (input, dropout)) in kept.into_iter().enumerate().rev() {
            dropout.begin(number, self.device());
            let decisions = Decisions::default();
            let around = Surroundings {
                dropout: &dropout,
                decisions: self.charged().map(|_| &decisions),
                ..around.clone()
            };
            let start = leaf(input);
            let output = sums.tracked.blocks[number].forward(start.clone(), &around, None);
            let mut carrying = carrying(output, due);
            if let Some(loss) = self.router_loss(&decisions, around.length) {
                carrying = carrying + loss.mul_scalar(router_weight);
            }
            gradients = carrying.backward();
            sums.take(&mut gradients);
            due = gradient_of(&start, &mut gradients);
        }
        sums.take(&mut carrying(sums.tracked.embed(inputs), due).backward());
        Differentiated {
            loss: loss.without_autodiff(),
            gradients: sums.finish(),
        }
    }
}
