//! The Device screen.

use crate::screens::{Context, Screen};

/// The screen's own state.
#[derive(Debug, Default)]
pub struct Device {}

impl Screen for Device {
    fn title(&self) -> &'static str {
        "Device"
    }

    fn ui(&mut self, ui: &mut egui::Ui, context: &mut Context<'_>) {
        let _ = context;
        ui.heading(self.title());
    }
}
