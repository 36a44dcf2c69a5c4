//! What kernels become for CUDA: C++ that NVRTC compiles on the machine that has the GPU. Writing it needs none.

use std::sync::Arc;

use burn_cubecl::cubecl::ir::{
    DeviceIdentity, DeviceProperties, HardwareProperties, MemoryDeviceProperties, TargetProperties,
};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::profile::TimingMethod;
use burn_cubecl::cubecl::server::Handle;
use burn_cubecl::cubecl::{self, Compiler, CubeKernel, define_kernel};
use cubecl_common::device::{DeviceId, ServiceId};
use cubecl_cpp::cuda::arch::CudaArchitecture;
use cubecl_cpp::cuda::mma::CudaCmmaCompiler;
use cubecl_cpp::register_supported_types;
use cubecl_cpp::shared::{CompilationOptions, CppCompiler, register_wmma_features};
use cubecl_cpp::target::Cuda;
use cubecl_environment::stream::StreamId;

/// A buffer that is nowhere: a kernel's source doesn't depend on where its buffers are.
pub fn buffer() -> BufferArg {
    struct Nobody;
    let service = ServiceId::of::<Nobody>(DeviceId::new(0, 0));
    let handle = Handle::new(service, StreamId::current(), 4096);
    // No kernel that is made of it is launched, so nothing is read or written.
    #[allow(unsafe_code)]
    unsafe {
        BufferArg::from_raw_parts(handle, 1024)
    }
}

/// The limits of an H100 (compute capability 9.0: NVIDIA, "CUDA C++ Programming Guide", technical specifications).
pub fn properties() -> Arc<DeviceProperties> {
    let hardware = HardwareProperties {
        load_width: 128,
        vector_register_count: None,
        plane_size_min: 32,
        plane_size_max: 32,
        max_bindings: 1024,
        max_shared_memory_size: 227 * 1024,
        max_cube_count: (i32::MAX as u32, 65535, 65535),
        max_units_per_cube: 1024,
        max_cube_dim: (1024, 1024, 64),
        num_streaming_multiprocessors: Some(132),
        num_cpu_cores: None,
        last_level_cache_size: None,
        num_tensor_cores: Some(4),
        min_tensor_cores_dim: Some(8),
        max_vector_size: VectorSize::MAX,
        cube_mma_reserved_shared_memory: 0,
    };
    let identity = DeviceIdentity {
        name: "H100".to_owned(),
        fingerprint: "ptx_sm90".to_owned(),
        physical: None,
    };
    let memory = MemoryDeviceProperties::new(1 << 34, 256);
    let mut properties = DeviceProperties::new(
        Default::default(),
        memory,
        hardware,
        TimingMethod::Device,
        identity,
    );
    register_supported_types(&mut properties);
    let architecture = CudaArchitecture {
        version: 90,
        tensor_cores: true,
    };
    let tiles = CudaCmmaCompiler::Cpp.supported_cmma_combinations(&architecture);
    register_wmma_features(tiles, &mut properties);
    Arc::new(properties)
}

pub fn target() -> Arc<TargetProperties> {
    Arc::new(TargetProperties::default())
}

/// The C++ of a kernel.
#[track_caller]
pub fn written(kernel: &impl CubeKernel) -> String {
    let definition = define_kernel(kernel).expect("a kernel that expands");
    let options = CompilationOptions {
        warp_size: 32,
        ..Default::default()
    };
    let compiled = CppCompiler::<Cuda>::default().compile(definition, &options);
    let source = compiled.expect("a kernel that can be C++").to_string();
    assert!(source.contains("__global__ void"), "{source}");
    source
}

/// A kernel as its launch makes it, with as many buffers as it has, in C++.
macro_rules! cuda {
    ($kernel:ident, $units:expr, $buffers:tt $(, $rest:expr)* $(,)?) => {
        $crate::gpu::source::cuda!(@ $kernel, $units, $buffers; $($rest),*)
    };
    (@ $kernel:ident, $units:expr, [$($buffer:tt)*]; $($rest:expr),*) => {
        $crate::gpu::source::written(&$kernel::create_dummy_kernel(
            $crate::gpu::source::properties(),
            $crate::gpu::source::target(),
            CubeCount::new_1d(1),
            CubeDim::new_1d($units as u32),
            $($crate::gpu::source::cuda!(% $buffer),)*
            $($rest),*
        ))
    };
    (% $buffer:tt) => { $crate::gpu::source::buffer() };
}
pub(crate) use cuda;

mod tests {
    use burn::tensor::bf16;

    use super::*;

    /// One product of tensor cores: 16 x 16 x 16 in bf16, added up in f32.
    #[cube(launch, create_dummy_kernel)]
    fn tile(left: &[bf16], right: &[bf16], product: &mut [f32]) {
        let left = cmma::Matrix::<bf16>::from_slice(
            cmma::MatrixIdent::A,
            16usize,
            16usize,
            16usize,
            cmma::MatrixLayout::RowMajor,
            left,
            16,
        );
        let right = cmma::Matrix::<bf16>::from_slice(
            cmma::MatrixIdent::B,
            16usize,
            16usize,
            16usize,
            cmma::MatrixLayout::ColMajor,
            right,
            16,
        );
        let sums = cmma::Matrix::<f32>::from_value(
            cmma::MatrixIdent::Accumulator,
            16usize,
            16usize,
            16usize,
            cmma::MatrixLayout::Undefined,
            0.0,
        );
        cmma::execute(&left, &right, &sums, &sums);
        cmma::store(product, &sums, 16, cmma::MatrixLayout::RowMajor);
    }

    #[test]
    fn bf16_goes_through_tensor_cores() {
        let source = cuda!(tile, 32, [a b c]);
        for part in ["__nv_bfloat16", "wmma", "mma_sync"] {
            assert!(source.contains(part), "no `{part}` in\n{source}");
        }
    }
}
