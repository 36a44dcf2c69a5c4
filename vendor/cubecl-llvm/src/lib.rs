//! What `cubecl-cuda` 0.11.3 names of `cubecl-llvm`, and no more.
//!
//! The original brings LLVM along, and its build downloads that. `cubecl-cuda` with its feature `cpp` writes CUDA C++ for NVRTC
//! and never calls what is here; it only has to compile against it. Where the feature is off, every kernel is refused with a
//! sentence that says what to do.

use std::convert::Infallible;
use std::ffi::c_char;
use std::fmt;

use cubecl_core::ir::nvidia::SmArch;
use cubecl_environment::backtrace::BackTrace;
use cubecl_runtime::compiler::{CompilationError, Compiler};
use cubecl_runtime::kernel::{BufferIOAttr, KernelDefinition};

use nvptx::ptx_version::PtxVersion;

const ABSENT: &str = "this build has no LLVM: enable `cuda-cpp` of `cubecl`, which compiles CUDA kernels by NVRTC";

/// The part for NVIDIA's GPUs.
pub mod nvptx {
    /// Versions of PTX.
    pub mod ptx_version {
        use std::fmt;

        /// A version of PTX; there is none without LLVM.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct PtxVersion(pub u32);

        impl PtxVersion {
            /// The newest that a driver loads: unknown here.
            pub fn for_driver(_driver: i32) -> Option<Self> {
                None
            }
        }

        impl fmt::Display for PtxVersion {
            fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(to)
            }
        }
    }
}

/// What the targets share.
pub mod shared {
    /// What a target can't do.
    pub mod lowered_features {
        use cubecl_core::ir::DeviceProperties;

        /// A GPU to compile for.
        #[derive(Clone, Copy, Debug)]
        pub enum GpuTarget {
            /// NVIDIA's.
            Nvptx,
        }

        /// Called where LLVM was chosen, which can't work here.
        pub fn restrict_features(_properties: &mut DeviceProperties, _target: GpuTarget) {
            panic!("{}", crate::ABSENT);
        }
    }
}

/// What to compile for.
#[derive(Clone, Copy, Debug, Default)]
pub enum LlvmTarget {
    /// Processors.
    #[default]
    Cpu,
    /// NVIDIA's GPUs.
    Nvptx,
}

/// How to compile.
#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    /// A processor's.
    pub arch: Option<Infallible>,
    /// An NVIDIA GPU's.
    pub sm_arch: Option<SmArch>,
    /// The newest version that the driver loads.
    pub ptx_version: Option<PtxVersion>,
    /// Whether parameters lie in constant memory.
    pub grid_constants: bool,
    /// An AMD GPU's.
    pub amd_arch: Option<Infallible>,
}

/// A kernel in PTX.
#[derive(Clone, Debug)]
pub struct NvptxModule {
    /// The text, ended by a zero.
    pub ptx: Vec<c_char>,
    /// The kernel's name.
    pub entrypoint: String,
    /// The text before its translation.
    pub ir: String,
    /// Bytes.
    pub shared_memory_size: usize,
    /// What the kernel does with each buffer.
    pub io: Vec<BufferIOAttr>,
}

/// What compiling gives.
#[derive(Clone)]
pub enum PlironArtifact {
    /// For a processor.
    Jit(Infallible),
    /// For an NVIDIA GPU.
    NvptxCode(NvptxModule),
}

impl fmt::Display for PlironArtifact {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jit(never) => match *never {},
            Self::NvptxCode(module) => module.ir.fmt(to),
        }
    }
}

/// The compiler that isn't here.
#[derive(Clone, Debug, Default)]
pub struct PlironCompiler {
    /// What it would compile for.
    pub target: LlvmTarget,
}

impl Compiler for PlironCompiler {
    type Representation = PlironArtifact;
    type CompilationOptions = PlironOptions;

    fn compile(
        &mut self,
        _kernel: KernelDefinition,
        _options: &PlironOptions,
    ) -> Result<PlironArtifact, CompilationError> {
        Err(CompilationError::Generic {
            reason: ABSENT.to_owned(),
            backtrace: BackTrace::capture(),
        })
    }

    fn extension(&self) -> &'static str {
        "ll"
    }

    fn lang_tag(&self) -> &'static str {
        "llvm"
    }
}
