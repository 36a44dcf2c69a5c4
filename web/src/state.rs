//! What the app knows, folded from the lab's events. Nothing here draws.

use crossover::lab::Event;

/// Everything that is known.
#[derive(Debug, Default)]
pub struct State {
    /// The text in the theatre.
    pub theatre: Option<crate::theatre::Onstage>,
}

impl State {
    /// Takes note of an event.
    pub fn fold(&mut self, event: &Event) {
        let _ = event;
    }
}
