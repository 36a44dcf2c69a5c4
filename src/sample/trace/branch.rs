//! Going back into a trace: from one of its states, changed by hand, to a new beginning.

use super::{Edit, Trace};
use crate::error::{Error, Result};
use crate::sample::canvas::Cell;

/// A hidden position, among a trace's tokens.
const MASK: i64 = -1;

impl Trace {
    /// What stands at each position after step number `step`, 0 being before the first, once `edits` are made: `[length]`.
    ///
    /// A token set by hand counts as given and stays; one that is masked by hand is free, even in the prompt. What the model
    /// wrote stays written, but an order that takes tokens back may take it back.
    ///
    /// # Errors
    /// When there is no such step, an edit is outside the text, names no token or comes twice, or nothing is left to write.
    pub fn branch(&self, step: usize, edits: &[Edit]) -> Result<Vec<Cell>> {
        let header = &self.header;
        let state = match step.checked_sub(1) {
            None => None,
            Some(index) => Some(self.steps.get(index).ok_or_else(|| {
                Error::input(format!(
                    "there is no step {step}: the trace has {}",
                    self.steps.len()
                ))
                .with_hint(format!("give 0 (before the first) to {}", self.steps.len()))
            })?),
        };
        let mut cells: Vec<Cell> = (0..header.length)
            .map(|position| {
                let given = header.prompt[position];
                let written = state.map_or(MASK, |state| state.tokens[position]);
                match (u32::try_from(given), u32::try_from(written), state) {
                    (Ok(given), ..) => Cell::Given(given),
                    (Err(_), Ok(token), Some(state)) => {
                        Cell::Written(token, f64::from(state.confidence[position]))
                    }
                    _ => Cell::Free,
                }
            })
            .collect();
        let mut edited = vec![false; cells.len()];
        for edit in edits {
            let length = cells.len();
            let Some(cell) = cells.get_mut(edit.position) else {
                return Err(Error::input(format!(
                    "position {} is outside the text of {length}",
                    edit.position
                ))
                .with_hint(format!("positions are 0 to {}", length - 1)));
            };
            if std::mem::replace(&mut edited[edit.position], true) {
                return Err(
                    Error::input(format!("position {} is changed twice", edit.position))
                        .with_hint("give each position once"),
                );
            }
            *cell = match u32::try_from(edit.token) {
                Ok(token) => Cell::Given(token),
                Err(_) => Cell::Free,
            };
        }
        if !cells.contains(&Cell::Free) {
            return Err(Error::input(format!(
                "nothing is left to write after step {step}: every token stands"
            ))
            .with_hint("mask some positions, or start from an earlier step"));
        }
        Ok(cells)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::model::Visibility;
    use crate::sample::{Denoising, Footer, Step};

    /// A given 2, then a 0 and a 1 written one after the other.
    fn trace() -> Trace {
        let template = vec![Cell::Given(2), Cell::Free, Cell::Free];
        let step = |step, tokens: [i64; 3], confidence: [f32; 3]| Step {
            step,
            t: 0.0,
            tokens: tokens.to_vec(),
            committed: vec![],
            remasked: vec![],
            confidence: confidence.to_vec(),
            entropy: vec![0.0; 3],
            top: None,
            divergence: None,
        };
        Trace {
            header: Denoising::new(template, Visibility::Full, 0).header(0, None),
            steps: vec![
                step(1, [2, 0, -1], [1.0, 0.5, 0.0]),
                step(2, [2, 0, 1], [1.0, 0.5, 0.25]),
            ],
            footer: Footer {
                text: String::new(),
                steps: 2,
                model_calls: 2,
                flops: 0.0,
                seconds: 0.0,
            },
        }
    }

    fn edit(position: usize, token: i64) -> Edit {
        Edit { position, token }
    }

    #[test]
    fn a_state_is_taken_over_and_edits_are_given() {
        let trace = trace();
        assert_eq!(
            trace.branch(0, &[]).unwrap(),
            [Cell::Given(2), Cell::Free, Cell::Free]
        );
        assert_eq!(
            trace.branch(1, &[]).unwrap(),
            [Cell::Given(2), Cell::Written(0, 0.5), Cell::Free]
        );
        assert_eq!(
            trace.branch(2, &[edit(0, -1), edit(1, 1)]).unwrap(),
            [Cell::Free, Cell::Given(1), Cell::Written(1, 0.25)]
        );
    }

    #[test]
    fn what_can_t_be_continued_is_refused() {
        let error = |step, edits: &[Edit]| trace().branch(step, edits).unwrap_err().to_string();
        assert_eq!(error(3, &[]), "there is no step 3: the trace has 2");
        assert_eq!(
            error(1, &[edit(3, 0)]),
            "position 3 is outside the text of 3"
        );
        assert_eq!(
            error(1, &[edit(1, 0), edit(1, -1)]),
            "position 1 is changed twice"
        );
        assert_eq!(
            error(2, &[]),
            "nothing is left to write after step 2: every token stands"
        );
    }
}
