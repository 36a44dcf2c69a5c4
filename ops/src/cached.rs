//! Attention over what was read before, as a function of tensors: burn finds the backend. Never differentiated.

use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, ExtensionType, Flex, backend_extension};
use burn::tensor::{Device, Tensor};
use burn_flex::FlexTensor;

use super::attention::Scales;
use super::flex::{ordered, slice, tensor, writable};
use super::request::Reading;

/// What a read gives.
#[derive(ExtensionType)]
pub struct Attended<B: Backend> {
    /// `[rows * positions, mixed]`
    pub mixed: FloatTensor<B>,
    /// `[windows, keys, length, head_dim]`
    pub keys: FloatTensor<B>,
    /// `[windows, keys, length, head_dim]`
    pub values: FloatTensor<B>,
}

/// The operation, for tensors of one backend.
#[backend_extension(Flex)]
pub trait Cached: Backend {
    /// Attention of the positions that are read, `[rows * positions, projected]`, over those they see; their keys and values
    /// take their places among what is kept, `[windows, keys, length, head_dim]` each.
    fn attend_cached(
        input: FloatTensor<Self>,
        query_scale: FloatTensor<Self>,
        key_scale: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        reading: Arc<Reading>,
    ) -> Attended<Self>;
}

impl Cached for Flex {
    fn attend_cached(
        input: FlexTensor,
        query_scale: FlexTensor,
        key_scale: FlexTensor,
        keys: FlexTensor,
        values: FlexTensor,
        reading: Arc<Reading>,
    ) -> Attended<Self> {
        let (input, query, key) = (ordered(input), ordered(query_scale), ordered(key_scale));
        let (mut keys, mut values) = (writable(keys), writable(values));
        let scales = Scales {
            query: slice(&query),
            key: slice(&key),
        };
        let kept = [keys.storage_mut(), values.storage_mut()];
        let mixed = super::read::forward(slice(&input), scales, kept, &reading);
        let rows = mixed.len() / reading.mixed();
        Attended {
            mixed: tensor(mixed, [rows, reading.mixed()]),
            keys,
            values,
        }
    }
}

/// Whether a device, without autodiff, is the processor: [`read`] and a mixture's operations take its tensors, and threads can
/// share work there.
pub fn is_processor(device: &Device) -> bool {
    use burn::backend::DispatchDevice;
    matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}

/// [`Cached::attend_cached`] with the scales of queries and keys, and the keys and values that are kept; gives those as they
/// are then.
pub fn read(
    input: Tensor<2>,
    [query_scale, key_scale]: [Tensor<2>; 2],
    [keys, values]: [Tensor<4>; 2],
    reading: Arc<Reading>,
) -> (Tensor<2>, [Tensor<4>; 2]) {
    let attended = Dispatch::attend_cached(
        input.into_dispatch(),
        query_scale.into_dispatch(),
        key_scale.into_dispatch(),
        keys.into_dispatch(),
        values.into_dispatch(),
        reading,
    );
    let kept = [attended.keys, attended.values].map(Tensor::from_dispatch);
    (Tensor::from_dispatch(attended.mixed), kept)
}
