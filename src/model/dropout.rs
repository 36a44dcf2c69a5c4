//! Dropout (Srivastava et al. 2014): zeroes each element with some probability and scales the others up.

use std::cell::RefCell;

use burn::tensor::{Device, Distribution, Tensor, TensorData};
use crossover_ops::Kept;

use crate::random::Stream;

/// What a forward pass drops.
#[derive(Debug, Clone)]
pub enum Dropout {
    /// Nothing: evaluation, and training without it.
    Off,
    /// Masks drawn here and carried to the device. On the processor that costs less than its own generator, which is one
    /// for the whole process: two threads would take each other's numbers.
    Host {
        /// Probability of dropping an element.
        rate: f64,
        /// Where each sequence's masks come from: the first dimension goes through the sequences in order, so a mask
        /// does not depend on which others are computed with it.
        streams: RefCell<Vec<Stream>>,
    },
    /// Masks drawn by the device, whose generator is seeded anew for each block.
    Device {
        /// Probability of dropping an element.
        rate: f64,
        /// Of the pass.
        seed: u64,
    },
}

impl Dropout {
    /// A block begins. A device's masks depend on which, and on nothing that was drawn before, so that the block can be computed
    /// once more; the others are computed once more with a copy from before.
    pub fn begin(&self, block: usize, device: &Device) {
        if let Self::Device { seed, .. } = self {
            device.seed(seed.wrapping_add(block as u64));
        }
    }

    /// The masks that were drawn here, for fused operations: of `count` elements of each sequence. None where nothing is dropped,
    /// or where the device draws.
    pub fn drawn(&self, count: usize) -> Option<Kept> {
        let Self::Host { rate, streams } = self else {
            return None;
        };
        Some(Kept {
            mask: mask(*rate, count, &mut streams.borrow_mut()),
            scale: (1.0 / (1.0 - rate)) as f32,
        })
    }

    /// Any shape -> the same.
    pub fn apply<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let (rate, kept) = match self {
            Self::Off => return input,
            Self::Host { rate, streams } => {
                let mut streams = streams.borrow_mut();
                let count = input.shape().num_elements() / streams.len();
                let mask = mask(*rate, count, &mut streams);
                let values: Vec<f32> = mask.into_iter().map(f32::from).collect();
                (
                    *rate,
                    Tensor::from_data(TensorData::new(values, input.shape()), &input.device()),
                )
            }
            Self::Device { rate, .. } => (
                *rate,
                Tensor::random(
                    input.shape(),
                    Distribution::Bernoulli(1.0 - rate),
                    &input.device(),
                ),
            ),
        };
        input * kept.mul_scalar(1.0 / (1.0 - rate))
    }
}

/// 1 where an element is kept, 0 where it is dropped: of `count` elements from each stream.
fn mask(rate: f64, count: usize, streams: &mut [Stream]) -> Vec<u8> {
    let kept = |stream| kept(rate, count, stream);
    streams.iter_mut().flat_map(kept).map(u8::from).collect()
}

/// Whether an element is kept. 16 random bits decide each: a rate is exact to 1/65536.
fn kept(rate: f64, count: usize, stream: &mut Stream) -> impl Iterator<Item = bool> {
    let dropped = (rate * 65_536.0) as u16;
    let mut bytes = vec![0; 2 * count];
    stream.fill_bytes(&mut bytes);
    (0..count).map(move |index| {
        let bits = u16::from_le_bytes([bytes[2 * index], bytes[2 * index + 1]]);
        bits >= dropped
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    #[test]
    fn the_share_that_is_dropped_is_the_rate() {
        let count = 100_000;
        let mut stream = Stream::new(1, Purpose::Dropout, 0, 0);
        let kept = kept(0.3, count, &mut stream).filter(|kept| *kept).count() as f32;
        let deviation = (count as f32 * 0.3 * 0.7).sqrt();
        assert!((kept - 0.7 * count as f32).abs() < 4.0 * deviation);
    }
}
