//! Cross-entropy of a linear layer's outputs, without keeping them: `loss = sum over rows of weight * (logsumexp(h Wᵀ) - (h Wᵀ)[target])`.
//!
//! Rows are taken some hundred at a time, so that logits of a whole batch never exist; a row without weight, as half of a
//! masked model's are, is left out before the product. The gradients of such a sum need nothing that comes
//! later, so they are computed while the logits are there: `dlogits = weight * (softmax - onehot)`, `dh = dlogits W`,
//! `dW = dlogitsᵀ h`.

use multiversion::multiversion;

use super::half;
use super::matrix::{Matrix, MatrixMut, Put, multiply};
use super::request::Operands;
use super::simd::{exp_shifted, largest};

/// Elements of a chunk's logits: a chunk stays in the second-level cache.
const CHUNK: usize = 1 << 16;

/// A linear layer and the rows that it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// `[rows, width]`
    pub hidden: &'a [f32],
    /// `[classes, width]`
    pub matrix: &'a [f32],
    /// `[rows]`
    pub targets: &'a [u32],
    /// Columns of `hidden` and `matrix`.
    pub width: usize,
}

impl Asked<'_> {
    fn classes(&self) -> usize {
        self.matrix.len() / self.width
    }

    fn chunk(&self) -> usize {
        (CHUNK / self.classes()).clamp(1, 256)
    }
}

/// A weighted sum of cross-entropies, and its gradients.
#[derive(Debug, Clone, PartialEq)]
pub struct Sum {
    /// Nats.
    pub loss: f32,
    /// `[rows, width]`
    pub hidden: Vec<f32>,
    /// `[classes, width]`
    pub matrix: Vec<f32>,
}

/// Cross-entropy of each row, nats: `[rows]`.
pub fn rows(asked: Asked<'_>) -> Vec<f32> {
    let (classes, width) = (asked.classes(), asked.width);
    let mut logits = vec![0.0; asked.chunk() * classes];
    let mut nats = Vec::with_capacity(asked.targets.len());
    let chunks = asked.hidden.chunks(asked.chunk() * width);
    for (hidden, targets) in chunks.zip(asked.targets.chunks(asked.chunk())) {
        let logits = &mut logits[..targets.len() * classes];
        multiply(
            MatrixMut::rows(logits, classes),
            Matrix::rows(hidden, width),
            Matrix::rows(asked.matrix, width).transposed(),
            Put::Over,
        );
        nats_of(logits, targets, &mut nats);
    }
    nats
}

/// The weighted sum and its gradients; `weights` are `[rows]`.
pub fn sum(asked: Asked<'_>, weights: &[f32], operands: Operands) -> Sum {
    let (classes, width) = (asked.classes(), asked.width);
    let matrix = &half::rounded(asked.matrix, operands);
    let counted: Vec<usize> = (0..weights.len())
        .filter(|row| weights[*row] != 0.0)
        .collect();
    let mut sum = Sum {
        loss: 0.0,
        hidden: vec![0.0; asked.hidden.len()],
        matrix: vec![0.0; asked.matrix.len()],
    };
    let most = asked.chunk().min(counted.len());
    let mut logits = vec![0.0; most * classes];
    let mut gathered = vec![0.0; most * width];
    let mut back = vec![0.0; most * width];
    // In double precision, as thousands of rows are added.
    let mut loss = 0.0;
    for chunk in counted.chunks(asked.chunk()) {
        let logits = &mut logits[..chunk.len() * classes];
        let gathered = &mut gathered[..chunk.len() * width];
        let back = &mut back[..chunk.len() * width];
        for (row, to) in chunk.iter().zip(gathered.chunks_exact_mut(width)) {
            to.copy_from_slice(&asked.hidden[row * width..(row + 1) * width]);
        }
        half::round(gathered, operands);
        multiply(
            MatrixMut::rows(logits, classes),
            Matrix::rows(gathered, width),
            Matrix::rows(matrix, width).transposed(),
            Put::Over,
        );
        let rows = chunk.iter().map(|row| (asked.targets[*row], weights[*row]));
        let rows: Vec<(u32, f32)> = rows.collect();
        loss += into_gradient(logits, classes, &rows);
        half::round(logits, operands);
        multiply(
            MatrixMut::rows(back, width),
            Matrix::rows(logits, classes),
            Matrix::rows(matrix, width),
            Put::Over,
        );
        multiply(
            MatrixMut::rows(&mut sum.matrix, width),
            Matrix::rows(logits, classes).transposed(),
            Matrix::rows(gathered, width),
            Put::Onto,
        );
        for (row, from) in chunk.iter().zip(back.chunks_exact(width)) {
            sum.hidden[row * width..(row + 1) * width].copy_from_slice(from);
        }
    }
    sum.loss = loss as f32;
    sum
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn nats_of(logits: &mut [f32], targets: &[u32], nats: &mut Vec<f32>) {
    let classes = logits.len() / targets.len();
    for (row, target) in logits.chunks_exact_mut(classes).zip(targets) {
        let chosen = row[*target as usize];
        let most = largest(row);
        nats.push(exp_shifted(row, most).ln() + most - chosen);
    }
}

/// Replaces logits by the gradient of the weighted sum; gives that sum.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn into_gradient(logits: &mut [f32], classes: usize, rows: &[(u32, f32)]) -> f64 {
    let mut loss = 0.0;
    for (row, (target, weight)) in logits.chunks_exact_mut(classes).zip(rows) {
        let chosen = row[*target as usize];
        let most = largest(row);
        let total = exp_shifted(row, most);
        let nats = total.ln() + most - chosen;
        loss += f64::from(nats) * f64::from(*weight);
        let share = weight / total;
        for value in row.iter_mut() {
            *value *= share;
        }
        row[*target as usize] -= weight;
    }
    loss
}
