//! The Inspect screen.

use crate::screens::{Context, Screen};

/// The screen's own state.
#[derive(Debug, Default)]
pub struct Inspect {}

impl Screen for Inspect {
    fn title(&self) -> &'static str {
        "Inspect"
    }

    fn ui(&mut self, ui: &mut egui::Ui, context: &mut Context<'_>) {
        let _ = context;
        ui.heading(self.title());
    }
}
