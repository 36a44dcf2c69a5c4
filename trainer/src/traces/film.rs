//! A trace prepared for showing.

use std::borrow::Cow;

use crossover::sample::{Step, Trace};
use crossover_report::numbers::counted;

/// No token is known: before the first step of a branch, where that step hides one.
const UNKNOWN: i64 = i64::MIN;

/// A trace, and what every view of it asks for. State 0 is what there was before the first step, state `s` what there
/// is after step `s`.
#[derive(Debug, Clone)]
pub struct Film {
    /// The trace.
    pub trace: Trace,
    /// What its reader calls it.
    pub name: String,
    /// The side of the square it fills, where its tokens are the numbers of a Latin square or sudoku.
    pub side: Option<usize>,
    before: Vec<i64>,
    greatest_entropy: f32,
}

/// What stands at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Look {
    /// A token of the prompt.
    Given,
    /// Nothing.
    Masked,
    /// Nothing, since this step.
    Remasked,
    /// A token, since this step.
    Fresh,
    /// A token, since an earlier step.
    Written,
}

/// By what a position is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Measure {
    /// The probability that the token had when it was written.
    #[default]
    Confidence,
    /// The entropy of the model's distribution then or, where masked, at its last look.
    Entropy,
}

impl Film {
    /// Prepares a trace.
    pub fn new(trace: Trace, name: impl Into<String>) -> Self {
        let (header, first) = (&trace.header, trace.steps.first());
        let before = match first.filter(|_| header.parent.is_some()) {
            None => header.prompt.clone(),
            Some(first) => {
                let mut tokens = first.tokens.clone();
                for &position in &first.committed {
                    tokens[position] = -1;
                }
                for &position in &first.remasked {
                    tokens[position] = UNKNOWN;
                }
                tokens
            }
        };
        let greatest_entropy = trace
            .steps
            .iter()
            .flat_map(|step| &step.entropy)
            .fold(0.0, |most: f32, entropy| most.max(*entropy));
        Self {
            side: side(&trace),
            before,
            greatest_entropy,
            name: name.into(),
            trace,
        }
    }

    /// How many positions there are.
    pub fn length(&self) -> usize {
        self.trace.header.length
    }

    /// The last state's number.
    pub fn last(&self) -> usize {
        self.trace.steps.len()
    }

    /// The tokens of a state: -1 where masked.
    pub fn tokens(&self, state: usize) -> &[i64] {
        match self.step(state) {
            Some(step) => &step.tokens,
            None => &self.before,
        }
    }

    /// Time left in a state.
    pub fn time(&self, state: usize) -> f64 {
        self.step(state).map_or(1.0, |step| step.t)
    }

    /// How far the predictions behind a state were off, where an approximate cache made them: ` · off 0.005 nats`.
    pub fn divergence(&self, state: usize) -> String {
        match self.step(state).and_then(|step| step.divergence) {
            Some(nats) => format!(" · off {nats:.3} nats"),
            None => String::new(),
        }
    }

    /// The step that led to a state; none for the first.
    pub fn step(&self, state: usize) -> Option<&Step> {
        self.trace.steps.get(state.checked_sub(1)?)
    }

    /// What stands at a position in a state.
    pub fn look(&self, state: usize, position: usize) -> Look {
        let step = self.step(state);
        let changed = |list: fn(&Step) -> &Vec<usize>| {
            step.is_some_and(|step| list(step).binary_search(&position).is_ok())
        };
        if self.trace.header.prompt[position] >= 0 {
            Look::Given
        } else if self.tokens(state)[position] == -1 {
            if changed(|step| &step.remasked) {
                Look::Remasked
            } else {
                Look::Masked
            }
        } else if changed(|step| &step.committed) {
            Look::Fresh
        } else {
            Look::Written
        }
    }

    /// How sure the model was at a position, from 0 to 1; `None` where it said nothing, or nothing is known.
    ///
    /// By entropy, 1 is an entropy of 0 and 0 the greatest one of the trace.
    pub fn certainty(&self, state: usize, position: usize, measure: Measure) -> Option<f32> {
        let step = self.step(state)?;
        let is_masked = step.tokens[position] == -1;
        match measure {
            Measure::Confidence if is_masked => None,
            Measure::Confidence => Some(step.confidence[position]),
            // Where nothing was predicted yet the entropy is 0, which no prediction of a masked position is.
            Measure::Entropy if is_masked && step.entropy[position] == 0.0 => None,
            Measure::Entropy if self.greatest_entropy == 0.0 => Some(1.0),
            Measure::Entropy => Some(1.0 - step.entropy[position] / self.greatest_entropy),
        }
    }

    /// The greatest entropy of the trace, nats.
    pub fn greatest_entropy(&self) -> f32 {
        self.greatest_entropy
    }

    /// A token as it is spelled; its number where the trace has no vocabulary.
    pub fn spelling(&self, token: i64) -> Cow<'_, str> {
        let known = self.trace.header.vocab.as_ref().and_then(|vocab| {
            let id = usize::try_from(token).ok()?;
            vocab.get(id)
        });
        match known {
            Some(text) => Cow::Borrowed(text),
            None if token < 0 => Cow::Borrowed("?"),
            None => Cow::Owned(format!("{token} ")),
        }
    }

    /// Numbers that stand twice in a row or column of a square: how many rows, how many columns. `None` for a text.
    pub fn clashes(&self, state: usize) -> Option<(usize, usize)> {
        let side = self.side?;
        let tokens = self.tokens(state);
        let is_broken = |line: &dyn Fn(usize) -> i64| {
            (0..side).any(|i| line(i) >= 0 && (0..i).any(|j| line(i) == line(j)))
        };
        let rows = (0..side).filter(|row| is_broken(&|column| tokens[row * side + column]));
        let columns = (0..side).filter(|column| is_broken(&|row| tokens[row * side + column]));
        Some((rows.count(), columns.count()))
    }

    /// The trace in a few words: what wrote it.
    pub fn title(&self) -> String {
        let header = &self.trace.header;
        let branch = match &header.parent {
            Some(parent) => format!(", from step {} of `{}`", parent.step, parent.trace),
            None => String::new(),
        };
        format!(
            "{}, {}{branch}, {}, {}",
            header.kind.name(),
            header.sampler.name,
            counted(header.length, "position"),
            counted(self.trace.footer.model_calls, "model call")
        )
    }
}

/// The side of a square of numbers: the vocabulary is 1 to n, and every position a cell.
fn side(trace: &Trace) -> Option<usize> {
    let vocab = trace.header.vocab.as_ref()?;
    let numbers = vocab.len().checked_sub(1)?;
    let counts = vocab[..numbers]
        .iter()
        .enumerate()
        .all(|(id, text)| *text == (id + 1).to_string());
    (counts && numbers > 1 && numbers.checked_mul(numbers) == Some(trace.header.length))
        .then_some(numbers)
}

/// Text without line breaks and without what a terminal would obey, every character of it visible but the blank.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push('⏎'),
            '\t' => shown.push('⇥'),
            control if control.is_control() => shown.push('·'),
            other => {
                // What only sits on another character would sit on the neighbour's.
                if shown.is_empty() && ratatui::text::Span::raw(other.to_string()).width() == 0 {
                    shown.push('◌');
                }
                shown.push(other);
            }
        }
    }
    shown
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A trace with every look: a prompt, tokens that come, go and come again, and a line break.
    pub fn story() -> Film {
        let lines = include_str!("../../../tests/data/story.jsonl");
        Film::new(
            Trace::from_json_lines(lines, "story.jsonl").unwrap(),
            "story.jsonl",
        )
    }

    /// A Latin square of three, completed.
    pub fn square() -> Film {
        let lines = include_str!("../../../tests/data/square.jsonl");
        Film::new(
            Trace::from_json_lines(lines, "square.jsonl").unwrap(),
            "square.jsonl",
        )
    }

    #[test]
    fn every_look_is_told_apart() {
        let film = story();
        let looks =
            |state| -> Vec<Look> { (0..4).map(|position| film.look(state, position)).collect() };
        use Look::{Fresh, Given, Masked, Remasked, Written};
        assert_eq!(looks(0), [Given, Masked, Masked, Masked]);
        assert_eq!(looks(1), [Given, Fresh, Masked, Masked]);
        assert_eq!(looks(2), [Given, Remasked, Fresh, Masked]);
        assert_eq!(looks(3), [Given, Masked, Written, Fresh]);
    }

    #[test]
    fn certainty_is_known_where_something_was_predicted() {
        let film = story();
        let at = |state, position, measure| film.certainty(state, position, measure);
        assert_eq!(at(0, 0, Measure::Confidence), None);
        assert_eq!(at(1, 0, Measure::Confidence), Some(1.0));
        assert_eq!(at(1, 1, Measure::Confidence), Some(0.25));
        assert_eq!(at(1, 2, Measure::Confidence), None);
        assert_eq!(at(1, 2, Measure::Entropy), Some(0.0));
        assert_eq!(at(1, 1, Measure::Entropy), Some(0.5));
    }

    #[test]
    fn squares_are_known_by_their_numbers() {
        assert_eq!(square().side, Some(3));
        assert_eq!(story().side, None);
        let mut film = square();
        assert_eq!(film.clashes(film.last()), Some((0, 0)));
        let last = film.trace.steps.last_mut().unwrap();
        last.tokens[8] = last.tokens[7];
        assert_eq!(film.clashes(film.last()), Some((1, 1)));
    }

    #[test]
    fn a_branch_begins_where_its_first_step_found_it() {
        let mut trace = story().trace;
        trace.header.parent = Some(crossover::sample::Parent {
            trace: "parent.jsonl".to_owned(),
            step: 1,
            edits: Vec::new(),
        });
        trace.steps.remove(0);
        let film = Film::new(trace, "branch.jsonl");
        assert_eq!(
            film.tokens(0)[..3],
            [film.trace.header.prompt[0], UNKNOWN, -1]
        );
        assert_eq!(film.spelling(UNKNOWN), "?");
    }

    #[test]
    fn nothing_invisible_is_left() {
        assert_eq!(visible("a\n\t\u{1b}[31m"), "a⏎⇥·[31m");
        assert_eq!(visible("\u{301}"), "◌\u{301}");
    }
}
