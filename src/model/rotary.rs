//! Rotary positions (Su et al. 2021, arXiv 2104.09864) in the "rotate half" layout of Hugging Face's Qwen3: the pair of
//! coordinate i is i + head_dim/2.

use burn::tensor::{Device, Tensor, TensorData};

/// Cosines and sines of some positions' angles, `position * theta^(-2i / head_dim)`: each `[positions, head_dim / 2]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Angles {
    /// Cosines.
    pub cosine: Vec<f32>,
    /// Sines.
    pub sine: Vec<f32>,
}

impl Angles {
    /// Those of `positions`.
    pub fn new(positions: impl IntoIterator<Item = usize>, head_dim: usize, theta: f64) -> Self {
        let frequencies: Vec<f64> = (0..head_dim / 2)
            .map(|pair| libm::pow(theta, -2.0 * pair as f64 / head_dim as f64))
            .collect();
        let angles = positions.into_iter().flat_map(|position| {
            let of = move |frequency| position as f64 * frequency;
            frequencies.iter().copied().map(of).collect::<Vec<_>>()
        });
        let (cosine, sine) = angles
            .map(|angle| (libm::cos(angle) as f32, libm::sin(angle) as f32))
            .unzip();
        Self { cosine, sine }
    }
}

/// Cosines and signed sines on a device: each `[1, positions, 1, head_dim]`.
#[derive(Debug, Clone)]
pub struct Rotary {
    cosine: Tensor<4>,
    signed_sine: Tensor<4>,
}

impl Rotary {
    /// Puts angles on a device.
    pub fn new(angles: &Angles, head_dim: usize, device: &Device) -> Self {
        let half = head_dim / 2;
        let twice = |values: &[f32], sign: f32| -> Tensor<4> {
            let rows = values.chunks_exact(half);
            let values: Vec<f32> = rows
                .flat_map(|row| {
                    row.iter()
                        .map(move |value| sign * value)
                        .chain(row.iter().copied())
                })
                .collect();
            let shape = [1, values.len() / head_dim, 1, head_dim];
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        Self {
            cosine: twice(&angles.cosine, 1.0),
            signed_sine: twice(&angles.sine, -1.0),
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
