//! The machine underneath: clock, files, threads and tasks, the same functions natively and in a browser.
//!
//! Every `cfg(target_…)` of the library is in this folder. [`Folder`] is where a run keeps its files: a directory
//! natively; in the browser all files are in memory, and the worker that owns it sees to it that they last.

#[cfg_attr(target_family = "wasm", path = "wasm.rs")]
#[cfg_attr(not(target_family = "wasm"), path = "native.rs")]
mod system;
#[cfg(not(target_family = "wasm"))]
mod table;

pub use crossover_ops::{among_workers, in_parallel, shares, workers};
#[cfg(not(target_family = "wasm"))]
pub use system::bring_file;
pub use system::{
    Beside, FileBytes, FileWriter, Folder, Listing, SourceFile, TOKENS_AT_ONCE, TURN_FLOPS,
    WARM_UP, folder_files, folders, host, is_folder, list_files, make_folder, memory_bytes,
    peak_memory_bytes, processor, read_file, remove_file, remove_folder, rename_folder, spawn,
    table_texts, threads, unpack_zstd, write_file,
};
#[cfg(target_family = "wasm")]
pub use system::{restore_file, schedule_by, take_changes};
pub use web_time::Instant;

use std::future::poll_fn;
use std::task::Poll;

/// The present moment, to measure from.
#[allow(
    clippy::disallowed_methods,
    reason = "natively this is the standard clock, which is banned for its panic in a browser"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970, UTC.
#[allow(
    clippy::disallowed_methods,
    reason = "natively this is the standard clock, which is banned for its panic in a browser"
)]
pub fn unix_seconds() -> u64 {
    web_time::SystemTime::now()
        .duration_since(web_time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

/// Lets others run before going on: the browser's event loop, or nobody natively.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        system::wake_soon(context.waker().clone());
        Poll::Pending
    })
    .await;
}
