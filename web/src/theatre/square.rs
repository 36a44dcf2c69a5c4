//! Squares of numbers: which rows and columns break the rule that no number stands twice.

use crossover::sample::Trace;

/// The side of the square that a trace fills, where its tokens are the numbers 1 to n and its positions n by n cells.
pub fn side(trace: &Trace) -> Option<usize> {
    let vocab = trace.header.vocab.as_ref()?;
    let numbers = vocab.len().checked_sub(1)?;
    let counts = vocab[..numbers]
        .iter()
        .enumerate()
        .all(|(id, text)| *text == (id + 1).to_string());
    (counts && numbers > 1 && numbers.checked_mul(numbers) == Some(trace.header.length))
        .then_some(numbers)
}

/// Rows and columns of a square that have a number twice, from 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Broken {
    /// Rows.
    pub rows: Vec<usize>,
    /// Columns.
    pub columns: Vec<usize>,
}

impl Broken {
    /// Looks at the tokens of a square, negative where nothing stands: `[side * side]`.
    pub fn of(tokens: &[i64], side: usize) -> Self {
        let at = |row: usize, column: usize| tokens.get(row * side + column).copied().unwrap_or(-1);
        let twice = |line: &dyn Fn(usize) -> i64| {
            (0..side).any(|i| line(i) >= 0 && (0..i).any(|j| line(i) == line(j)))
        };
        Self {
            rows: (0..side)
                .filter(|&row| twice(&|column| at(row, column)))
                .collect(),
            columns: (0..side)
                .filter(|&column| twice(&|row| at(row, column)))
                .collect(),
        }
    }

    /// In a sentence, counting from 1.
    pub fn told(&self, complete: bool) -> String {
        let list = |name: &str, found: &[usize]| -> Option<String> {
            let numbers: Vec<String> = found.iter().map(|at| (at + 1).to_string()).collect();
            let plural = if found.len() == 1 { "" } else { "s" };
            (!found.is_empty()).then(|| format!("{name}{plural} {}", numbers.join(", ")))
        };
        let rows = list("row", &self.rows);
        let columns = list("column", &self.columns);
        match (rows, columns, complete) {
            (None, None, true) => "Every row and column has each number once.".to_owned(),
            (None, None, false) => "No number stands twice in a row or column so far.".to_owned(),
            (Some(rows), Some(columns), _) => format!("Broken: {rows} and {columns}."),
            (Some(one), None, _) | (None, Some(one), _) => format!("Broken: {one}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_a_number_twice_are_named() {
        let broken = Broken::of(&[0, 1, 0, -1, -1, 2, 1, 2, 0], 3);
        assert_eq!(
            (&broken.rows[..], &broken.columns[..]),
            (&[0][..], &[2][..])
        );
        assert_eq!(broken.told(false), "Broken: row 1 and column 3.");
        let fine = Broken::of(&[0, 1, 1, 0], 2);
        assert_eq!(fine, Broken::default());
        assert!(fine.told(true).starts_with("Every"));
    }
}
