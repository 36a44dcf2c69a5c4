//! One position, in figures.

use egui::{RichText, Ui, vec2};

use crate::theatre::{Film, Standing, bytes_of, spelled};
use crate::theme::Palette;
use crate::widgets::cell::{CellView, is_drawable, paint};
use crate::widgets::sparks::{share_bar, sparks};

/// What to say where no alternatives were kept.
const NO_ALTERNATIVES: &str =
    "This trace has no alternatives. Denoise again with 'Alternatives kept' above 0.";

/// What a person wants done with the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Keep its token.
    Pin,
    /// Type another one.
    Edit,
    /// Take one of the alternatives.
    Take(i64),
    /// Hide it.
    Mask,
    /// Start a branch from this state.
    Branch,
    /// Forget the changes.
    Clear,
}

/// A position of a state.
pub struct Shown<'a> {
    /// The film.
    pub film: &'a Film,
    /// The state.
    pub state: usize,
    /// The position.
    pub position: usize,
    /// What stands there, changes made.
    pub standing: &'a Standing,
    /// The same as it is drawn.
    pub view: &'a CellView,
    /// How many changes wait for a branch.
    pub edits: usize,
}

/// Shows a position of a state.
pub fn inspector(ui: &mut Ui, shown: &Shown<'_>, palette: &Palette) -> Option<Wanted> {
    let Shown {
        film,
        state,
        position,
        standing,
        view,
        edits,
    } = *shown;
    let mut wanted = None;
    let muted = |text: &str| RichText::new(text).color(palette.muted);
    let token = standing.token;
    ui.horizontal(|ui| {
        let (place, _) = ui.allocate_exact_size(vec2(48.0, 52.0), egui::Sense::hover());
        paint(ui.painter(), place, view, 26.0, palette);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.label(RichText::new(format!("Position {position}")).strong());
            ui.label(muted(&format!("step {state} of {}", film.last())).small());
            let told = standing.look.told();
            let line = match token >= 0 {
                true => format!("{told} · bytes {}", bytes_of(&film.token(token))),
                false => told.to_owned(),
            };
            ui.label(muted(&line).small());
        });
    });
    let before = standing.old.map(|old| spell(ui, &film.token(old)));
    egui::Grid::new("figures")
        .num_columns(2)
        .spacing([12.0, 4.0])
        .show(ui, |ui| {
            let mut row = |name: &str, value: String| {
                ui.label(muted(name));
                ui.label(value);
                ui.end_row();
            };
            if let Some(since) = standing.since {
                row("Committed at step", since.to_string());
            }
            if let Some(confidence) = standing.confidence.filter(|_| standing.since.is_some()) {
                row("Probability then", format!("{confidence:.3}"));
            }
            if let Some(entropy) = standing.entropy {
                row("Entropy", format!("{entropy:.3} nats"));
            }
            if let Some(before) = before {
                row("Before", before);
            }
        });
    ui.add_space(4.0);
    if !film.has_alternatives() {
        ui.label(muted(NO_ALTERNATIVES));
    } else {
        wanted = wanted.or(alternatives(ui, film, state, position, palette));
    }
    ui.add_space(6.0);
    ui.horizontal_wrapped(|ui| {
        let mut button = |name: &str, key: &str, what: Wanted, enabled: bool| {
            let pressed = ui
                .add_enabled(enabled, egui::Button::new(name))
                .on_hover_text(key)
                .clicked();
            if pressed {
                wanted = Some(what);
            }
        };
        button(
            "Pin",
            "Keep this token in a branch (P)",
            Wanted::Pin,
            token >= 0,
        );
        button("Edit", "Put another token here (E)", Wanted::Edit, true);
        button("Mask", "Free this position (Delete)", Wanted::Mask, true);
    });
    ui.horizontal_wrapped(|ui| {
        let changes = match edits {
            0 => String::new(),
            1 => " with 1 change".to_owned(),
            several => format!(" with {several} changes"),
        };
        let name = format!("Branch from here{changes}");
        if ui
            .button(name)
            .on_hover_text("Write on from this step (B)")
            .clicked()
        {
            wanted = Some(Wanted::Branch);
        }
        if edits > 0 && ui.button("Clear changes").clicked() {
            wanted = Some(Wanted::Clear);
        }
    });
    wanted
}

/// The likeliest tokens now, and through time.
fn alternatives(
    ui: &mut Ui,
    film: &Film,
    state: usize,
    position: usize,
    palette: &Palette,
) -> Option<Wanted> {
    let mut wanted = None;
    let now = film.top(state, position);
    if now.is_empty() {
        let note = "Nothing was predicted here yet.";
        ui.label(RichText::new(note).color(palette.muted));
        return None;
    }
    ui.label(
        RichText::new("Likeliest tokens, now and step by step")
            .small()
            .color(palette.muted),
    );
    egui::Grid::new("alternatives")
        .num_columns(4)
        .spacing([8.0, 4.0])
        .show(ui, |ui| {
            for &(id, share) in now {
                let token = film.token(i64::from(id));
                let shown = spell(ui, &token);
                let name = format!("Use “{shown}”");
                let button =
                    egui::Button::new(RichText::new(&shown).monospace()).min_size(vec2(30.0, 24.0));
                if ui.add(button).on_hover_text(name).clicked() {
                    wanted = Some(Wanted::Take(i64::from(id)));
                }
                ui.label(RichText::new(format!("{share:.3}")).monospace());
                share_bar(ui, share, 56.0, palette);
                let through: Vec<f32> = (1..=film.last())
                    .map(|state| {
                        let top = film.top(state, position).iter();
                        let mut found = top.filter(|(other, _)| *other == id);
                        found.next().map_or(0.0, |(_, share)| *share)
                    })
                    .collect();
                let size = vec2(ui.available_width().clamp(48.0, 120.0), 20.0);
                let name = format!("Probability of “{shown}” step by step, now {share:.3}");
                sparks(ui, &through, state.checked_sub(1), size, &name, palette);
                ui.end_row();
            }
        });
    wanted
}

fn spell(ui: &Ui, token: &str) -> String {
    spelled(token, |character| is_drawable(ui.ctx(), character)).text
}
