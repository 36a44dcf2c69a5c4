//! Two texts side by side: which state of the one belongs to a state of the other.

use super::film::Film;

/// By what two texts are aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alignment {
    /// Equally many forward passes.
    #[default]
    ModelCalls,
    /// Equally many seconds.
    Seconds,
    /// Equally large shares of each, so that both come to their ends together.
    Share,
}

/// What a text cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Forward passes.
    pub calls: f64,
    /// Seconds.
    pub seconds: f64,
    /// Floating-point operations.
    pub flops: f64,
}

impl Cost {
    /// Of the whole text.
    pub fn of(film: &Film) -> Self {
        let footer = &film.trace().footer;
        Self {
            calls: footer.model_calls as f64,
            seconds: footer.seconds,
            flops: footer.flops,
        }
    }

    fn by(self, alignment: Alignment) -> f64 {
        match alignment {
            Alignment::ModelCalls => self.calls,
            Alignment::Seconds => self.seconds,
            Alignment::Share => 1.0,
        }
    }
}

impl Alignment {
    /// The state of `other` once it has cost as much as `film` has in `state`; a text's steps are taken to cost the same. The
    /// last state of the one that ends first is held.
    pub fn state(self, film: &Film, state: usize, other: &Film) -> usize {
        let (own, theirs) = (Cost::of(film).by(self), Cost::of(other).by(self));
        if state >= film.last() && own >= theirs {
            return other.last();
        }
        let spent = own * state as f64 / film.last().max(1) as f64;
        let share = if theirs > 0.0 { spent / theirs } else { 1.0 };
        // A little more than exact: a share that is a whole state in real numbers is one here.
        ((share * other.last() as f64 + 1e-9) as usize).min(other.last())
    }
}

/// Positions at which two texts end differently.
pub fn differing(a: &Film, b: &Film) -> usize {
    let (a, b) = (a.tokens(a.last()), b.tokens(b.last()));
    let same = a.iter().zip(b).filter(|(a, b)| a == b).count();
    a.len().max(b.len()) - same
}
