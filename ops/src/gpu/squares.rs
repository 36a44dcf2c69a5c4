//! Sums of squares, many beside each other: the first pass of a global norm, one kernel for each parameter where plain
//! operations launch four.

use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::{buffer, elementwise, own, written};

/// Adds the square of each element to one of the sums, to each in its turn; in place where nobody else holds them.
pub fn add(sums: CubeTensor, elements: CubeTensor) -> CubeTensor {
    let sums = own(sums);
    let [size, count] = [&sums, &elements].map(|tensor| tensor.meta.shape().num_elements());
    let client = elements.client.clone();
    let (cubes, units) = elementwise(&client, size);
    add_all::launch(
        &client,
        cubes,
        units,
        written(&sums),
        buffer(elements),
        size,
        count,
    );
    sums
}

/// A unit has a sum of its own; neighbours read beside each other.
#[cube(launch, create_dummy_kernel)]
fn add_all(sums: &mut [f32], elements: &[f32], size: usize, count: usize) {
    if ABSOLUTE_POS < size {
        let mut sum = sums[ABSOLUTE_POS];
        let mut place = ABSOLUTE_POS;
        while place < count {
            let element = elements[place];
            sum += element * element;
            place += size;
        }
        sums[ABSOLUTE_POS] = sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::source::cuda;

    #[test]
    fn becomes_cuda() {
        cuda!(add_all, 256, [s e], 4096, 1000);
    }
}
