//! The Runs screen.

use crate::screens::{Context, Screen};

/// The screen's own state.
#[derive(Debug, Default)]
pub struct Runs {}

impl Screen for Runs {
    fn title(&self) -> &'static str {
        "Runs"
    }

    fn ui(&mut self, ui: &mut egui::Ui, context: &mut Context<'_>) {
        let _ = context;
        ui.heading(self.title());
    }
}
