//! The memory allocator, told to keep what it has.
//!
//! A training step makes and drops the same large tensors again and again. An allocator that returns their pages to the
//! system has them cleared by the kernel on every step: that was 37% of a step at hidden size 256 (`docs/performance.md`).

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay` in the `mi_option_e` of the pinned version's `mimalloc.h`; the crate doesn't name it.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Never returns freed pages to the system while the program runs. Called before any thread runs.
#[expect(unsafe_code, reason = "the allocator's options are set through C")]
pub fn keep_pages() {
    // SAFETY: the option exists in the pinned version, takes any integer, and no other thread runs yet.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}
