//! A mixture of experts' feed-forward (Shazeer et al. 2017, arXiv 1701.06538): `y = sum over e of gate_e * expert_e(x)`, each
//! expert a SwiGLU of its own. Rows whose gate is 0 are not computed: an expert's rows are gathered, go through its two products
//! together, and are added where they came from.
//!
//! Forward keeps gate and up of what was computed. Backward computes their product again; with `a` that product and
//! `u = dy · down`, `dgate_e = a · u`, and `gate_e * u` is what SwiGLU's gradient starts from, so the experts' outputs are needed
//! nowhere. A gate of 0 has gradient 0: who was not asked has nothing to say.

use super::matrix::{Matrix, MatrixMut, Put, multiply, product};
use super::simd::dot;
use super::swiglu;

/// Elements of the largest product that the `gemm` crate sums element by element. The others it sums all alike, but for those of
/// one row, and those of at most [`NARROW`] rows and columns that add up more than [`DEEP`] numbers.
const SMALL: usize = 16 * 16;
const NARROW: usize = 64;
const DEEP: usize = 512;

/// What is computed, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Experts<'a> {
    /// `[rows, hidden]`
    pub input: &'a [f32],
    /// `[rows, count]`, 0 where an expert is not asked.
    pub gates: &'a [f32],
    /// Each expert's gate, then its up, one expert behind the other: `[count * 2 * width, hidden]`
    pub gate_up: &'a [f32],
    /// `[count * hidden, width]`
    pub down: &'a [f32],
    /// Width of a row.
    pub hidden: usize,
    /// Experts.
    pub count: usize,
    /// Width inside an expert.
    pub width: usize,
}

/// Gradients of everything that goes in.
#[derive(Debug)]
pub struct Gradients {
    /// As the input.
    pub input: Vec<f32>,
    /// As the gates.
    pub gates: Vec<f32>,
    /// As the experts' first matrices.
    pub gate_up: Vec<f32>,
    /// As the experts' second matrices.
    pub down: Vec<f32>,
}

/// An expert's share of the work.
struct Asked<'a> {
    rows: Vec<usize>,
    gates: Vec<f32>,
    gate_up: &'a [f32],
    down: &'a [f32],
}

impl<'a> Experts<'a> {
    fn asked(&self, expert: usize) -> Asked<'a> {
        let gates = self.gates.iter().skip(expert).step_by(self.count);
        let asked = gates.copied().enumerate().filter(|(_, gate)| *gate != 0.0);
        let (rows, gates) = asked.unzip();
        let (first, second) = (2 * self.width * self.hidden, self.hidden * self.width);
        Asked {
            rows,
            gates,
            gate_up: &self.gate_up[expert * first..][..first],
            down: &self.down[expert * second..][..second],
        }
    }

    /// Some rows of a matrix that is as wide as the input.
    fn gathered(&self, matrix: &[f32], rows: &[usize]) -> Vec<f32> {
        let row = |row: &usize| &matrix[row * self.hidden..][..self.hidden];
        rows.iter().flat_map(row).copied().collect()
    }

    /// `rows · matrixᵀ`, both with rows of `inner` elements. Small products are summed in another order than large ones. So that no
    /// token's answer depends on which others ask the same expert, a few rows out of many are made as many as it takes.
    fn product(&self, mut rows: Vec<f32>, matrix: &[f32], inner: usize) -> Vec<f32> {
        let (count, columns) = (rows.len() / inner, matrix.len() / inner);
        let is_part = self.input.len() > self.hidden;
        let least = match columns {
            ..=NARROW if inner > DEEP => NARROW + 1,
            _ => 2,
        };
        let enough = least.max(SMALL / columns + 1);
        if is_part && count < enough {
            rows.resize(enough * inner, 0.0);
        }
        let matrix = Matrix::rows(matrix, inner).transposed();
        let mut output = product(Matrix::rows(&rows, inner), matrix);
        output.truncate(count * columns);
        output
    }

    /// Adds rows where they belong.
    fn scatter(&self, rows: &[usize], values: &[f32], onto: &mut [f32]) {
        for (row, values) in rows.iter().zip(values.chunks_exact(self.hidden)) {
            let sums = &mut onto[row * self.hidden..][..self.hidden];
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += value;
            }
        }
    }

    /// The output, `[rows, hidden]`, and gate and up of what was computed, expert after expert: `[asked, 2 * width]`.
    pub fn forward(&self) -> (Vec<f32>, Vec<f32>) {
        let mut output = vec![0.0; self.input.len()];
        let mut projected = Vec::new();
        for expert in 0..self.count {
            let asked = self.asked(expert);
            if asked.rows.is_empty() {
                continue;
            }
            let input = self.gathered(self.input, &asked.rows);
            let both = self.product(input, asked.gate_up, self.hidden);
            let mut mixed = Vec::new();
            swiglu::forward(&both, self.width, &mut mixed);
            let mut answers = self.product(mixed, asked.down, self.width);
            weigh(&mut answers, &asked.gates, self.hidden);
            self.scatter(&asked.rows, &answers, &mut output);
            projected.extend_from_slice(&both);
        }
        (output, projected)
    }

    /// What `gradient`, of the output, comes to; `projected` is what [`Self::forward`] kept.
    pub fn backward(&self, mut projected: &[f32], gradient: &[f32]) -> Gradients {
        let mut found = Gradients {
            input: vec![0.0; self.input.len()],
            gates: vec![0.0; self.gates.len()],
            gate_up: vec![0.0; self.gate_up.len()],
            down: vec![0.0; self.down.len()],
        };
        for expert in 0..self.count {
            let asked = self.asked(expert);
            if asked.rows.is_empty() {
                continue;
            }
            let (both, rest) = projected.split_at(asked.rows.len() * 2 * self.width);
            projected = rest;
            let mut mixed = Vec::new();
            swiglu::forward(both, self.width, &mut mixed);
            let mut due = self.gathered(gradient, &asked.rows);
            let mut to_mixed = product(
                Matrix::rows(&due, self.hidden),
                Matrix::rows(asked.down, self.width),
            );
            let pairs = (mixed.chunks_exact(self.width)).zip(to_mixed.chunks_exact(self.width));
            for (row, (mixed, to_mixed)) in asked.rows.iter().zip(pairs) {
                found.gates[row * self.count + expert] = dot(mixed, to_mixed);
            }
            weigh(&mut to_mixed, &asked.gates, self.width);
            weigh(&mut due, &asked.gates, self.hidden);
            let (first, second) = (asked.gate_up.len(), asked.down.len());
            multiply(
                MatrixMut::rows(&mut found.down[expert * second..][..second], self.width),
                Matrix::rows(&due, self.hidden).transposed(),
                Matrix::rows(&mixed, self.width),
                Put::Over,
            );
            let mut to_both = Vec::new();
            swiglu::backward(both, self.width, &to_mixed, &mut to_both);
            let input = self.gathered(self.input, &asked.rows);
            multiply(
                MatrixMut::rows(&mut found.gate_up[expert * first..][..first], self.hidden),
                Matrix::rows(&to_both, 2 * self.width).transposed(),
                Matrix::rows(&input, self.hidden),
                Put::Over,
            );
            let to_input = product(
                Matrix::rows(&to_both, 2 * self.width),
                Matrix::rows(asked.gate_up, self.hidden),
            );
            self.scatter(&asked.rows, &to_input, &mut found.input);
        }
        found
    }
}

/// Multiplies each row of `width` elements by its gate.
fn weigh(rows: &mut [f32], gates: &[f32], width: usize) {
    for (row, gate) in rows.chunks_exact_mut(width).zip(gates) {
        for value in row {
            *value *= gate;
        }
    }
}

/// 1 for the `count` largest of each row of `width` scores, 0 for the others; of equal ones the first is the larger.
pub fn largest(scores: &[f32], width: usize, count: usize) -> Vec<f32> {
    let mut chosen = vec![0.0; scores.len()];
    if count == 0 {
        return chosen;
    }
    let mut order = Vec::new();
    let rows = scores.chunks_exact(width);
    for (scores, chosen) in rows.zip(chosen.chunks_exact_mut(width)) {
        order.clear();
        order.extend(0..width);
        if count < width {
            order.select_nth_unstable_by(count - 1, |left: &usize, right: &usize| {
                let larger = scores[*right].total_cmp(&scores[*left]);
                larger.then(left.cmp(right))
            });
        }
        for index in order.iter().take(count) {
            chosen[*index] = 1.0;
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_scores_the_first_are_the_largest() {
        let scores = [0.1, 0.4, 0.4, 0.4, 0.2, 0.0, 0.3, 0.5, 0.0, 0.0];
        let chosen = largest(&scores, 5, 2);
        assert_eq!(chosen, [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(largest(&scores, 5, 5), [1.0; 10]);
        assert_eq!(largest(&scores, 5, 0), [0.0; 10]);
    }

    /// Experts that nobody asks, one that everybody asks, and a row that asks nobody.
    #[test]
    fn only_who_is_asked_answers_and_learns() {
        let (hidden, width, count, rows) = (2, 3, 3, 2);
        let number = |i: usize| ((i * 7 % 11) as f32 - 5.0) / 5.0;
        let [input, gate_up, down] = [
            rows * hidden,
            count * 2 * width * hidden,
            count * hidden * width,
        ]
        .map(|size| (0..size).map(number).collect::<Vec<f32>>());
        let gates = [0.5, 0.0, 0.0, 0.0, 0.0, 0.0];
        let experts = Experts {
            input: &input,
            gates: &gates,
            gate_up: &gate_up,
            down: &down,
            hidden,
            count,
            width,
        };
        let (output, projected) = experts.forward();
        assert_eq!(projected.len(), 2 * width);
        assert!(output[..hidden].iter().all(|value| *value != 0.0));
        assert_eq!(output[hidden..], [0.0, 0.0]);
        let gradients = experts.backward(&projected, &[1.0; 4]);
        assert_ne!(gradients.gates[0], 0.0);
        assert_eq!(gradients.gates[1..], [0.0; 5]);
        let asked = 2 * width * hidden;
        assert!(gradients.gate_up[..asked].iter().any(|value| *value != 0.0));
        assert!(gradients.gate_up[asked..].iter().all(|value| *value == 0.0));
        assert_eq!(gradients.input[hidden..], [0.0, 0.0]);
    }
}
