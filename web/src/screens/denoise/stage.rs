//! The stage: the text that plays, as cells or as text.

use egui::{FontId, Key, Popup, PopupCloseBehavior, RichText, TextEdit, Ui};

use super::{Denoise, card};
use crate::theatre::{Film, Look, MASK, Source, Standing, spelled};
use crate::theme::Palette;
use crate::widgets::cell::{CellView, font, is_drawable};
use crate::widgets::cells::Cells;
use crate::widgets::legend::legend;

impl Denoise {
    pub(super) fn stage(&mut self, ui: &mut Ui, palette: &Palette, narrow: bool) {
        let (generation, state) = (self.generation, self.player.state());
        card(palette).show(ui, |ui| {
            ui.set_width(ui.available_width());
            self.headline(ui, palette);
            ui.add_space(4.0);
            match self.plain {
                true => self.as_text(ui),
                false => self.as_cells(ui, palette, narrow),
            }
            let Some(take) = self.takes.get(self.shown) else {
                return;
            };
            if let Some(broken) = take.film.broken(state) {
                let complete = !take.film.tokens(state).contains(&MASK);
                let is_fine = broken.rows.is_empty() && broken.columns.is_empty();
                let color = match (is_fine, complete) {
                    (true, true) => palette.ok,
                    (true, false) => palette.muted,
                    (false, _) => palette.error,
                };
                ui.label(RichText::new(broken.told(complete)).color(color));
            }
            ui.add_space(2.0);
            if !self.plain {
                legend(ui, &take.film, self.colour, palette);
            }
            self.compare.ui(ui, generation, take, state, palette);
        });
    }

    fn headline(&self, ui: &mut Ui, palette: &Palette) {
        let Some(take) = self.takes.get(self.shown) else {
            return;
        };
        ui.horizontal_wrapped(|ui| {
            let color = match take.source {
                Source::Live => palette.ok,
                Source::Recorded | Source::File => palette.muted,
            };
            egui::Frame::new()
                .stroke((1.0, color))
                .corner_radius(8.0)
                .inner_margin(egui::Margin::symmetric(8, 1))
                .show(ui, |ui| {
                    ui.label(
                        RichText::new(take.source.badge())
                            .small()
                            .strong()
                            .color(color),
                    );
                });
            ui.label(RichText::new(take.film.title()).color(palette.muted));
        });
    }

    fn as_text(&self, ui: &mut Ui) {
        let text = match self.film() {
            Some(film) => film.text(self.player.state()),
            None => String::new(),
        };
        // Read-only: a text that can't be changed, and can be selected and copied.
        let mut shown = text.as_str();
        ui.name_inputs("Text", |ui| {
            ui.add(
                TextEdit::multiline(&mut shown)
                    .desired_width(f32::INFINITY)
                    .desired_rows(6)
                    .font(FontId::monospace(15.0)),
            );
        });
    }

    fn as_cells(&mut self, ui: &mut Ui, palette: &Palette, narrow: bool) {
        let views = self.views(ui);
        let Some(film) = self.film() else { return };
        let broken = film.broken(self.player.state());
        let name = format!("Step {} of {}", self.player.state(), film.last());
        let shown = Cells {
            cells: &views,
            side: film.side(),
            broken: broken.as_ref(),
            selected: self.selected,
            height: if narrow { 420.0 } else { 260.0 },
            touch: narrow,
            name: &name,
        }
        .show(ui, palette);
        if shown.selected != self.selected {
            self.typed = None;
        }
        self.selected = shown.selected;
        self.in_cells = shown.has_focus;
        if let Some(response) = shown.response {
            self.typing(ui, &response, palette);
        }
    }

    /// Where a token is typed.
    fn typing(&mut self, ui: &Ui, cell: &egui::Response, palette: &Palette) {
        let Some(typed) = &mut self.typed else { return };
        let mut wants = None;
        let is_new = std::mem::take(&mut typed.is_new);
        let shown = Popup::from_response(cell)
            .id(cell.id.with("typing"))
            .open(true)
            .close_behavior(PopupCloseBehavior::IgnoreClicks)
            .show(|ui| {
                ui.set_width(190.0);
                ui.label("One token (·, \\n or #id too)");
                let field = TextEdit::singleline(&mut typed.text)
                    .desired_width(170.0)
                    .font(font(15.0));
                let response = ui.name_inputs("Token", |ui| ui.add(field));
                if is_new {
                    response.request_focus();
                }
                let enter = ui.input(|input| input.key_pressed(Key::Enter));
                if let Some(problem) = &typed.problem {
                    ui.label(RichText::new(problem).color(palette.error));
                }
                ui.horizontal(|ui| {
                    let set = ui.button("Set").clicked();
                    if set || enter && (response.lost_focus() || response.has_focus()) {
                        wants = Some(true);
                    } else if ui.button("Cancel").clicked() {
                        wants = Some(false);
                    }
                });
            });
        let escaped = ui.input(|input| input.key_pressed(Key::Escape));
        match wants.or((escaped || shown.is_none()).then_some(false)) {
            Some(true) => {
                self.type_token();
                match &mut self.typed {
                    Some(typed) => typed.is_new = true,
                    None => cell.request_focus(),
                }
            }
            Some(false) => {
                self.typed = None;
                cell.request_focus();
            }
            None => {}
        }
    }

    fn views(&self, ui: &Ui) -> Vec<CellView> {
        let Some(film) = self.film() else {
            return Vec::new();
        };
        let state = self.player.state();
        let context = ui.ctx();
        let drawable = |character: char| is_drawable(context, character);
        let hidden = self.corruption.is_on.then(|| {
            let order = &self.corruption.order;
            order.corrupted(film.tokens(film.last()), self.corruption.share)
        });
        let last = film.tokens(film.last());
        (0..film.length())
            .map(|position| {
                let mut standing = film.standing(state, position, self.drafts);
                standing = self.edits.shown(position, standing);
                if let Some(hidden) = &hidden {
                    standing = corrupted(standing, last[position], hidden[position]);
                }
                self.view(film, position, &standing, &drawable)
            })
            .collect()
    }

    pub(super) fn view(
        &self,
        film: &Film,
        position: usize,
        standing: &Standing,
        drawable: &impl Fn(char) -> bool,
    ) -> CellView {
        let spell = |token: i64| spelled(&film.token(token), drawable);
        let end = spell(film.tokens(film.last())[position]);
        let now = match (standing.look, standing.guess) {
            (Look::Draft, Some((guess, _))) => Some(spell(i64::from(guess))),
            _ if standing.token >= 0 => Some(spell(standing.token)),
            _ => None,
        };
        let told = standing.look.told();
        let label = match (&now, standing.confidence) {
            (Some(now), Some(sure)) if standing.since.is_some() => {
                format!(
                    "position {position}: {}, {told}, probability {sure:.2}",
                    now.text
                )
            }
            (Some(now), _) => format!("position {position}: {}, {told}", now.text),
            (None, _) => format!("position {position}: {told}"),
        };
        let state = self.player.state();
        let is_edited = self.edits.get(position).is_some();
        CellView {
            look: standing.look,
            is_name: now.as_ref().is_some_and(|now| now.is_name),
            text: now.map_or_else(String::new, |now| now.text),
            old: standing.old.map(|old| spell(old).text),
            is_new: standing.since == Some(state) && state > 0,
            is_pinned: standing.look == Look::Pinned || is_edited && standing.token >= 0,
            is_other: self.takes.differs(self.shown, state, position),
            share: film.share(self.colour, standing),
            room: end.text,
            breaks: end.breaks,
            label,
        }
    }
}

/// What a position of the finished text looks like once a share is hidden.
fn corrupted(standing: Standing, token: i64, hidden: i64) -> Standing {
    let look = if hidden == MASK {
        Look::Mask
    } else {
        Look::Committed
    };
    Standing {
        look,
        token: if hidden == MASK { MASK } else { token },
        old: None,
        guess: None,
        ..standing
    }
}
