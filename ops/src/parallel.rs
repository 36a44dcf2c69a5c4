//! Parts of a batch beside each other, where there are threads.

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
        _ => parts.into_par_iter().map(task).collect(),
    }
}

/// Runs a task on each part; results come in the order of the parts.
#[cfg(not(feature = "threads"))]
pub fn in_parallel<Part, Output>(parts: Vec<Part>, task: impl Fn(Part) -> Output) -> Vec<Output> {
    parts.into_iter().map(task).collect()
}
