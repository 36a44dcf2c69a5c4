//! The Denoise screen.

use crate::screens::{Context, Screen};

/// The screen's own state.
#[derive(Debug, Default)]
pub struct Denoise {}

impl Screen for Denoise {
    fn title(&self) -> &'static str {
        "Denoise"
    }

    fn ui(&mut self, ui: &mut egui::Ui, context: &mut Context<'_>) {
        let _ = context;
        ui.heading(self.title());
    }
}
