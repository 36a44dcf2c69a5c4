//! Attention over what was read before, where the processor's backend was not built in: nobody calls [`read`].

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::request::Reading;

/// Whether a device, without autodiff, is the processor: [`read`] and a mixture's operations take its tensors, and threads can
/// share work there.
pub fn is_processor(_: &Device) -> bool {
    false
}

/// Attention with a cache.
pub fn read(
    _: Tensor<2>,
    _: [Tensor<2>; 2],
    _: [Tensor<4>; 2],
    _: Arc<Reading>,
) -> (Tensor<2>, [Tensor<4>; 2]) {
    unreachable!("nothing is cached without the processor's backend")
}
