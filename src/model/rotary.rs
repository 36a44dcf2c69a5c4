//! Rotary positions (Su et al. 2021, arXiv 2104.09864) in the "rotate half" layout of Hugging Face's Qwen3: the pair of
//! coordinate i is i + head_dim/2.

use burn::tensor::{Device, Tensor, TensorData};

/// Cosines and signed sines for positions 0..length, once for each copy: each `[1, copies * length, 1, head_dim]`.
#[derive(Debug, Clone)]
pub struct Rotary {
    cosine: Tensor<4>,
    signed_sine: Tensor<4>,
}

impl Rotary {
    /// Angles `position * theta^(-2i / head_dim)`.
    pub fn new(length: usize, copies: usize, head_dim: usize, theta: f64, device: &Device) -> Self {
        let half = head_dim / 2;
        let mut cosine = Vec::with_capacity(copies * length * head_dim);
        let mut signed_sine = Vec::with_capacity(copies * length * head_dim);
        for position in (0..copies).flat_map(|_| 0..length) {
            for coordinate in 0..head_dim {
                let pair = coordinate % half;
                let angle =
                    position as f64 * libm::pow(theta, -2.0 * pair as f64 / head_dim as f64);
                cosine.push(libm::cos(angle) as f32);
                let sign = if coordinate < half { -1.0 } else { 1.0 };
                signed_sine.push((sign * libm::sin(angle)) as f32);
            }
        }
        let shape = [1, copies * length, 1, head_dim];
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
