//! What every target shares: a reader of files may neither panic nor ask for memory beyond what its file can fill.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that one allocation may have; nothing is refused outside [`bounded`].
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

struct Bounded;

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

// What the system's allocator is asked for and gives is passed on as it is.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LIMIT.load(Ordering::Relaxed) {
            LIMIT.store(usize::MAX, Ordering::Relaxed);
            eprintln!("{} bytes in one allocation", layout.size());
            std::process::abort();
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }
}

/// Reads a file of so many bytes, whose largest allocation may have 64 times as many and 16 MiB. What a tokenizer's automata
/// and a parser's tables need is within that; a length that a file merely states is not.
pub fn bounded<T>(bytes: usize, read: impl FnOnce() -> T) {
    LIMIT.store((16 << 20) + 64 * bytes, Ordering::Relaxed);
    let _ = read();
    LIMIT.store(usize::MAX, Ordering::Relaxed);
}
