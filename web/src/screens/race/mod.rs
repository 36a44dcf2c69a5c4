//! The Race screen.

use crate::screens::{Context, Screen};

/// The screen's own state.
#[derive(Debug, Default)]
pub struct Race {}

impl Screen for Race {
    fn title(&self) -> &'static str {
        "Race"
    }

    fn ui(&mut self, ui: &mut egui::Ui, context: &mut Context<'_>) {
        let _ = context;
        ui.heading(self.title());
    }
}
