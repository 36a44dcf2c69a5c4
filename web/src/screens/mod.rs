//! The screens. Each shows a part of what is known and asks the lab for more.

mod denoise;
mod device;
mod inspect;
mod race;
mod runs;

use crossover::lab::Event;

use crate::hook::Hook;
use crate::link::Desk;
use crate::state::State;
use crate::theme::Palette;

pub use denoise::Denoise;
pub use device::Device;
pub use inspect::Inspect;
pub use race::Race;
pub use runs::Runs;

/// What a screen is given to show itself and to act.
pub struct Context<'a> {
    /// What is known.
    pub state: &'a mut State,
    /// Where commands and questions go.
    pub desk: &'a mut Desk,
    /// The colours in force.
    pub palette: &'a Palette,
}

/// One screen.
pub trait Screen {
    /// Its name on the tab.
    fn title(&self) -> &'static str;

    /// Shows it.
    fn ui(&mut self, ui: &mut egui::Ui, context: &mut Context<'_>);

    /// Called for every frame, shown or not.
    fn tick(&mut self, ui: &egui::Context, context: &mut Context<'_>) {
        let _ = (ui, context);
    }

    /// Takes note of an event, which [`State`] has folded in already.
    fn on_event(&mut self, event: &Event, context: &mut Context<'_>) {
        let _ = (event, context);
    }

    /// Says what it shows.
    fn describe(&self, hook: &mut Hook) {
        let _ = hook;
    }
}
