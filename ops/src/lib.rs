//! Fused operations: what training spends its time in, as one pass forward and one back instead of a dozen.
//!
//! Each is a function of tensors with a hand-written gradient. [`dispatch`] names them to burn, `autodiff` puts their gradients
//! into its graph, and `flex` calls kernels of plain slices on the processor: `rms_norm`, `swiglu`, `attention`,
//! `cross_entropy`, `adamw`, above `matrix` and `simd`. `gpu` has kernels of the same names for every device that CubeCL
//! reaches. The same formulas as compositions of burn's own operations are in the library (`src/model`), for dropout and to
//! localise a fault with `--ops reference`; its tests hold one against the other.
//!
//! Products of linear layers, the output layer's among them, multiply what [`Operands`] says: f32, or halves (`half`, and `gpu`
//! where there are tensor cores). Everything else is f32.
//!
//! [`cached`] is attention over what was read before (`read`), on the processor alone: nothing is trained with it. [`mixture`] is a
//! mixture of experts (`experts`), on the processor alone too: other devices compose it.
//!
//! A package of its own, since these loops alone must be compiled at full speed where all else is compiled quickly (tests) or
//! small (the page).

#[cfg(feature = "cpu")]
mod adamw;
#[cfg(feature = "cpu")]
mod attention;
#[cfg(any(feature = "cpu", feature = "gpu"))]
mod autodiff;
#[cfg_attr(not(feature = "cpu"), path = "cached_absent.rs")]
mod cached;
#[cfg(feature = "cpu")]
mod cross_entropy;
#[cfg_attr(not(any(feature = "cpu", feature = "gpu")), path = "absent.rs")]
mod dispatch;
#[cfg(feature = "cpu")]
mod experts;
#[cfg(feature = "cpu")]
mod flex;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(feature = "cpu")]
mod half;
#[cfg(feature = "cpu")]
mod matrix;
#[cfg_attr(not(feature = "cpu"), path = "mixture_absent.rs")]
mod mixture;
mod parallel;
#[cfg(feature = "cpu")]
mod read;
mod request;
#[cfg(feature = "cpu")]
mod rms_norm;
#[cfg(feature = "cpu")]
mod simd;
#[cfg(feature = "cpu")]
mod squares;
#[cfg(feature = "cpu")]
mod swiglu;
#[cfg(feature = "cpu")]
mod vector;

pub use cached::{is_processor, read};
pub use dispatch::{
    adamw, attention, cross_entropy_rows, cross_entropy_sum, global_norm, linear, rms_norm,
    runs_on, swiglu,
};
pub use mixture::{largest, mix};
pub use parallel::{among_workers, in_parallel, shares, workers};
pub use request::{Asked, Heads, Kept, Operands, Positions, Reading, Update};
