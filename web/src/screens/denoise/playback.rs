//! Transport, timeline and heat map: three views of one playhead.

use egui::{ComboBox, Rangef, RichText, Slider, Ui};

use super::{Denoise, card};
use crate::theatre::SPEEDS;
use crate::theme::Palette;
use crate::widgets::heat_map::HeatMapView;
use crate::widgets::icons::{Icon, icon_button};

impl Denoise {
    pub(super) fn playback(&mut self, ui: &mut Ui, palette: &Palette, narrow: bool) {
        card(palette).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal(|ui| {
                self.buttons(ui);
                if !narrow {
                    self.speeds(ui);
                    self.told(ui, palette);
                }
            });
            if narrow {
                ui.horizontal(|ui| self.speeds(ui));
                ui.horizontal_wrapped(|ui| self.told(ui, palette));
            }
            let span = self.timeline(ui, palette);
            self.map(ui, span, palette, narrow);
        });
    }

    fn buttons(&mut self, ui: &mut Ui) {
        let player = &mut self.player;
        if icon_button(ui, Icon::First, "First step", "Home").clicked() {
            player.go(0);
        }
        if icon_button(ui, Icon::Back, "Step back", ",").clicked() {
            player.step(-1);
        }
        let (icon, name) = match player.is_playing() {
            true => (Icon::Pause, "Pause"),
            false => (Icon::Play, "Play"),
        };
        if icon_button(ui, icon, name, "Space").clicked() {
            player.toggle();
        }
        if icon_button(ui, Icon::Next, "Step on", ".").clicked() {
            player.step(1);
        }
        if icon_button(ui, Icon::Last, "Last step", "End").clicked() {
            player.go(usize::MAX);
        }
    }

    fn speeds(&mut self, ui: &mut Ui) {
        let player = &mut self.player;
        ui.label("Speed");
        let mut speed = player.speed();
        let menu = ui.name_inputs("Speed", |ui| {
            ComboBox::from_id_salt("speed")
                .width(72.0)
                .selected_text(format!("{speed} steps/s"))
                .show_ui(ui, |ui| {
                    for choice in SPEEDS {
                        ui.selectable_value(&mut speed, choice, format!("{choice} steps/s"));
                    }
                })
                .response
        });
        menu.on_hover_text("- and +");
        if speed != player.speed() {
            player.set_speed(speed);
        }
    }

    fn told(&self, ui: &mut Ui, palette: &Palette) {
        let (state, last) = (self.player.state(), self.player.last());
        ui.label(RichText::new(format!("step {state} of {last}")).strong());
        if let Some(film) = self.film() {
            let masked = film
                .tokens(state)
                .iter()
                .filter(|&&token| token < 0)
                .count();
            let line = format!("t {:.3} · {masked} masked", film.time(state));
            ui.label(RichText::new(line).color(palette.muted));
            let divergence = film.step(state).and_then(|step| step.divergence);
            if let Some(nats) = divergence {
                let line = format!("· KL(exact ‖ cached) {nats:.2e}");
                ui.label(RichText::new(line).color(palette.muted));
            }
        }
    }

    /// The slider; says where its first and last state are.
    fn timeline(&mut self, ui: &mut Ui, palette: &Palette) -> Rangef {
        ui.scope(|ui| self.slider(ui, palette)).inner
    }

    fn slider(&mut self, ui: &mut Ui, palette: &Palette) -> Rangef {
        let last = self.player.last();
        let mut state = self.player.state();
        let room = ui.available_width();
        ui.spacing_mut().slider_width = room;
        let visuals = ui.visuals_mut();
        visuals.widgets.inactive.bg_fill = palette.hairline();
        visuals.selection.bg_fill = palette.masked;
        let slider = Slider::new(&mut state, 0..=last).show_value(false);
        let response =
            ui.add_enabled_ui(last > 0, |ui| ui.name_inputs("Step", |ui| ui.add(slider)));
        let response = response.inner;
        if response.changed() {
            self.player.go(state);
        }
        // As egui draws its handle.
        let radius = response.rect.height() / 2.5;
        response.rect.x_range().shrink(radius)
    }

    fn map(&mut self, ui: &mut Ui, span: Rangef, palette: &Palette, narrow: bool) {
        let Some(take) = self.takes.get(self.shown) else {
            return;
        };
        let rows = take.film.length() as f32;
        let most = if narrow { 160.0 } else { 190.0 };
        let view = HeatMapView {
            film: &take.film,
            generation: self.generation,
            colour: self.colour,
            state: self.player.state(),
            selected: self.selected,
            span,
            height: (rows * 3.0).clamp(60.0, most),
        };
        let shown = self.heat_map.show(ui, &view, palette);
        if let Some(state) = shown.state {
            self.player.go(state);
        }
        if let Some(position) = shown.position {
            self.selected = position;
        }
        shown
            .response
            .on_hover_text("Steps from left to right, positions from top to bottom: drag to scrub");
    }
}
