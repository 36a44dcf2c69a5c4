//! Rotary positions (Su et al. 2021, arXiv 2104.09864) in the "rotate half" layout of Hugging Face's Qwen3: the pair of
//! coordinate i is i + head_dim/2.

use burn::tensor::{Device, Tensor, TensorData};

/// Cosines and signed sines of some positions: each `[1, positions, 1, head_dim]`.
#[derive(Debug, Clone)]
pub struct Rotary {
    cosine: Tensor<4>,
    signed_sine: Tensor<4>,
}

impl Rotary {
    /// Angles `position * theta^(-2i / head_dim)`.
    pub fn new(
        positions: impl IntoIterator<Item = usize>,
        head_dim: usize,
        theta: f64,
        device: &Device,
    ) -> Self {
        let frequencies: Vec<f64> = (0..head_dim / 2)
            .map(|pair| libm::pow(theta, -2.0 * pair as f64 / head_dim as f64))
            .collect();
        let (mut cosine, mut signed_sine) = (Vec::new(), Vec::new());
        for position in positions {
            let angles = frequencies
                .iter()
                .map(|frequency| position as f64 * frequency);
            for sign in [-1.0, 1.0] {
                cosine.extend(angles.clone().map(|angle| libm::cos(angle) as f32));
                signed_sine.extend(angles.clone().map(|angle| (sign * libm::sin(angle)) as f32));
            }
        }
        let shape = [1, cosine.len() / head_dim, 1, head_dim];
        Self {
            cosine: Tensor::from_data(TensorData::new(cosine, shape), device),
            signed_sine: Tensor::from_data(TensorData::new(signed_sine, shape), device),
        }
    }

    /// Turns each pair of coordinates by its position's angle: `[batch, length, heads, head_dim]` -> the same.
    ///
    /// With halves (a, b) this is (a cos - b sin, b cos + a sin); the swap is a flip of a two-long axis, which costs one
    /// copy where slicing and joining would cost three.
    pub fn apply(&self, input: Tensor<4>) -> Tensor<4> {
        let [batch, length, heads, head_dim] = input.dims();
        let swapped: Tensor<4> = input
            .clone()
            .reshape([batch, length, heads, 2, head_dim / 2])
            .flip([3])
            .reshape([batch, length, heads, head_dim]);
        input * self.cosine.clone() + swapped * self.signed_sine.clone()
    }
}
