//! Parts of a batch beside each other, where there are threads.

use std::ops::Range;

/// How many parts can be computed at the same time: the threads of the pool, or one.
pub fn workers() -> usize {
    #[cfg(feature = "threads")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "threads"))]
    1
}

/// Cuts a range into at most `count` shares whose sizes differ by one at most; none of nothing.
pub fn shares(range: Range<usize>, count: usize) -> Vec<Range<usize>> {
    let (start, total) = (range.start, range.len());
    let count = count.max(1).min(total);
    (0..count)
        .map(|share| start + share * total / count..start + (share + 1) * total / count)
        .collect()
}

/// Runs a task on each part; results come in the order of the parts.
#[cfg(feature = "threads")]
pub fn in_parallel<Part: Send, Output: Send>(
    parts: Vec<Part>,
    task: impl Fn(Part) -> Output + Sync + Send,
) -> Vec<Output> {
    use rayon::iter::{IntoParallelIterator, ParallelIterator};
    match parts.len() {
        // Handing one part to another thread would only add the time to wake it.
        0 | 1 => parts.into_iter().map(task).collect(),
        // So would a pool of one thread.
        _ if workers() == 1 => parts.into_iter().map(task).collect(),
        _ => parts.into_par_iter().map(task).collect(),
    }
}

/// Runs a task of many short parts among the pool's threads: its [`in_parallel`] then wakes the others only, where a thread
/// from outside would be put to sleep and woken for each.
#[cfg(feature = "threads")]
pub fn among_workers<Output: Send>(task: impl FnOnce() -> Output + Send) -> Output {
    match workers() {
        1 => task(),
        _ => rayon::scope(|_| task()),
    }
}

/// Runs a task.
#[cfg(not(feature = "threads"))]
pub fn among_workers<Output>(task: impl FnOnce() -> Output) -> Output {
    task()
}

/// Runs a task on each part; results come in the order of the parts.
#[cfg(not(feature = "threads"))]
pub fn in_parallel<Part, Output>(parts: Vec<Part>, task: impl Fn(Part) -> Output) -> Vec<Output> {
    parts.into_iter().map(task).collect()
}
