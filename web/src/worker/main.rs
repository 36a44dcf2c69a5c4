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

fn main() {}
