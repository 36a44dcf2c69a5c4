//! The browser's lab: a program in a worker, with its own memory and its own GPU device.
//!
//! `start.js` loads it and calls `serve` with the port that messages come and go by: the worker's own, or one end of a
//! channel where the page runs it itself. The first order opens everything: `storage` brings back the files that were kept,
//! `adapter` picks the device, then the lab's commands and events pass through `serve`.

#[cfg(target_family = "wasm")]
mod adapter;
#[cfg(target_family = "wasm")]
mod database;
#[cfg(target_family = "wasm")]
mod serve;
#[cfg(target_family = "wasm")]
mod storage;
#[cfg(target_family = "wasm")]
mod waker;

/// Runs the constructors of static things, once. Where a program never does, the linker has it done at the beginning of every
/// call from outside: each timer, message and buffer of the GPU ran hundreds of them.
#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "the linker makes this function")]
fn construct() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: it is there in every program for wasm32, and nothing has run before.
    unsafe { __wasm_call_ctors() }
}

fn main() {
    #[cfg(target_family = "wasm")]
    construct();
}
