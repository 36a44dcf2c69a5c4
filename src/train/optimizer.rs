//! AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) with decay on matrices alone, and gradients cut to a global norm.
//!
//! burn's own optimizer keeps its state under random parameter ids and reads it synchronously, and its clipping is per
//! tensor; a run that resumes exactly, also in a browser, needs neither. Nothing here reads from the device.

use std::ops::Add;

use burn::tensor::{Gradients, Tensor};
use crossover_ops::Update;

use crate::error::{Error, Result};
use crate::model::recompute::gradient_of;
use crate::model::{Decoder, Ops, Shape, Weights};
use crate::train::TrainConfig;
use crate::train::shard::{Piece, pieces_of};

/// The moments of every parameter that it moves, in the order of [`Decoder::parameters`].
#[derive(Debug, Clone)]
pub struct AdamW {
    first: Vec<Tensor<2>>,
    second: Vec<Tensor<2>>,
}

/// Gradients of every parameter, in the order of [`Decoder::parameters`].
#[derive(Debug)]
pub struct GradientList(Vec<Tensor<2>>);

impl GradientList {
    /// Gradients that are in the right order already.
    pub fn new(gradients: Vec<Tensor<2>>) -> Self {
        Self(gradients)
    }

    /// Gradients of a loss that no parameter changes.
    pub fn zeros(decoder: &Decoder) -> Self {
        let parameters = decoder.parameters().into_iter();
        Self(parameters.map(Tensor::zeros_like).collect())
    }

    /// Takes a tracked decoder's gradients out of a backward pass. A parameter the loss does not reach has gradient 0.
    pub fn take(decoder: &Decoder, gradients: &mut Gradients) -> Self {
        Self(
            decoder
                .parameters()
                .into_iter()
                .map(|parameter| gradient_of(parameter, gradients))
                .collect(),
        )
    }

    /// The gradients of a loss, from those of so many times it.
    pub fn divided(self, scale: f64) -> Self {
        let gradients = self.0.into_iter();
        Self(
            gradients
                .map(|gradient| gradient.div_scalar(scale))
                .collect(),
        )
    }

    /// The gradients, in their order.
    pub fn into_tensors(self) -> Vec<Tensor<2>> {
        self.0
    }

    /// The root of the sum of all squares: `[1, 1]`.
    pub fn global_norm(&self, ops: Ops) -> Tensor<2> {
        // A model has parameters.
        let device = self.0[0].device();
        if ops.on(&device) == Ops::Fused {
            return crossover_ops::global_norm(&self.0, &device);
        }
        let squares = self
            .0
            .iter()
            .map(|gradient| gradient.clone().square().sum().reshape([1, 1]))
            .collect();
        Tensor::cat(squares, 0).sum().sqrt().reshape([1, 1])
    }
}

impl Add for GradientList {
    type Output = Self;

    /// Gradients of two parts of a batch.
    fn add(self, other: Self) -> Self {
        let pairs = self.0.into_iter().zip(other.0);
        Self(pairs.map(|(left, right)| left + right).collect())
    }
}

impl AdamW {
    /// Moments of zero.
    pub fn new<'a>(parameters: impl IntoIterator<Item = &'a Tensor<2>>) -> Self {
        let zeros: Vec<Tensor<2>> = parameters.into_iter().map(Tensor::zeros_like).collect();
        Self {
            first: zeros.clone(),
            second: zeros,
        }
    }

    /// Moments read back from a checkpoint: all, or those of some pieces.
    ///
    /// # Errors
    /// When one is missing or shaped otherwise.
    pub fn from_weights(
        config: &crate::model::ModelConfig,
        shape: &Shape,
        decoder: &Decoder,
        [first, second]: [&Weights; 2],
        pieces: Option<&[Piece]>,
    ) -> Result<Self> {
        // A decoder built from moments instead of weights has them in the right order.
        let moments = |weights: &Weights| -> Result<Vec<Tensor<2>>> {
            let shaped =
                Decoder::new(config, shape, weights, decoder.device()).map_err(|error| {
                    Error::input("the checkpoint's optimizer state is damaged").with_source(error)
                })?;
            let whole = shaped.parameters();
            Ok(match pieces {
                Some(pieces) => pieces_of(pieces, &whole),
                None => whole.into_iter().cloned().collect(),
            })
        };
        Ok(Self {
            first: moments(first)?,
            second: moments(second)?,
        })
    }

    /// First and second moments, in the order of the parameters.
    pub fn moments(&self) -> (&[Tensor<2>], &[Tensor<2>]) {
        (&self.first, &self.second)
    }

    /// Moves parameters, each with whether it decays. `step` counts from 1; `norm` is the gradients' global norm, `[1, 1]`,
    /// and stays on the device.
    pub fn update<'a>(
        &mut self,
        parameters: impl Iterator<Item = (&'a mut Tensor<2>, bool)>,
        gradients: GradientList,
        norm: Tensor<2>,
        config: &TrainConfig,
        learning_rate: f64,
        step: u64,
    ) {
        let (beta1, beta2) = (config.adam_beta1, config.adam_beta2);
        let step_size = learning_rate / (1.0 - beta1.powf(step as f64));
        let second_correction = 1.0 / (1.0 - beta2.powf(step as f64)).sqrt();
        let ops = config.ops.on(&norm.device());
        let clip = norm
            .add_scalar(1e-6)
            .recip()
            .mul_scalar(config.max_grad_norm)
            .clamp_max(1.0);
        let moments = self.first.iter_mut().zip(&mut self.second);
        for (((parameter, decays), gradient), (first, second)) in
            parameters.zip(gradients.0).zip(moments)
        {
            let decay = if decays { config.weight_decay } else { 0.0 };
            let kept = 1.0 - learning_rate * decay;
            if ops == Ops::Fused {
                let update = Update {
                    beta1: beta1 as f32,
                    beta2: beta2 as f32,
                    step_size: step_size as f32,
                    second_correction: second_correction as f32,
                    epsilon: config.adam_epsilon as f32,
                    kept: kept as f32,
                };
                // Taken out, so that nobody else holds them and they are written in place.
                let out = |tensor: &mut Tensor<2>| {
                    let nothing = Tensor::empty([1, 1], &tensor.device());
                    std::mem::replace(tensor, nothing)
                };
                let before = [out(first), out(second)];
                let (value, after) =
                    crossover_ops::adamw(out(parameter), gradient, before, clip.clone(), update);
                *parameter = value;
                [*first, *second] = after;
                continue;
            }
            let gradient = gradient * clip.clone();
            *first = first.clone().mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1);
            *second = second.clone().mul_scalar(beta2) + gradient.square().mul_scalar(1.0 - beta2);
            let root = second
                .clone()
                .sqrt()
                .mul_scalar(second_correction)
                .add_scalar(config.adam_epsilon);
            let decayed = parameter.clone().mul_scalar(kept);
            *parameter = decayed - (first.clone() / root).mul_scalar(step_size);
        }
    }
}
