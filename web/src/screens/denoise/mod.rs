//! The Denoise screen: a theatre in which any trace plays, and a model writes new ones.
//!
//! - `settings`: how the model is asked to write. `writing`: what is asked of the lab, and its answers.
//! - `stage`: the cells. `playback`: transport, timeline and heat map. `inspector`: one position.
//! - `tabs`: branches. `compare`: another text beside it. `keys`: everything without a pointer.

mod compare;
mod inspector;
mod keys;
mod playback;
mod settings;
mod stage;
mod tabs;
#[cfg(test)]
mod tests;
mod writing;

use crossover::lab::{Event, RunSummary};
use crossover::sample::Trace;
use egui::{ComboBox, RichText, ScrollArea, Ui, vec2};

use compare::Compare;
use inspector::Wanted;
use keys::Pressed;
use settings::Settings;
use writing::Waiting;

use crate::hook::{self, Hook};
use crate::link::files::{self, Inbox};
use crate::screens::{Context, Screen};
use crate::state::Staged;
use crate::theatre::models::{self, Chosen};
use crate::theatre::{
    Colour, Corruption, Edits, Film, MASK, Onstage, Player, Source, Takes, spelled, token_of,
};
use crate::theme::Palette;
use crate::widgets::button::{primary, quiet, segment};
use crate::widgets::cell::is_drawable;
use crate::widgets::heat_map::HeatMap;

/// The trace that came with the app.
const RECORDED: &str = include_str!("../../../bundled/trace.jsonl");
/// Narrower than this, there is one column.
const NARROW: f32 = 720.0;
/// Tokens of a text, at most.
const LONGEST: usize = 256;
/// Width of the inspector beside the stage.
const INSPECTOR: f32 = 316.0;

/// The screen's own state.
pub struct Denoise {
    takes: Takes,
    /// Which take is shown.
    shown: usize,
    /// Tells what is shown from what was shown before: grows with every change of a film.
    generation: u64,
    player: Player,
    colour: Colour,
    drafts: bool,
    /// The text as text, and not as cells.
    plain: bool,
    selected: usize,
    edits: Edits,
    /// The token that is typed for the selected position.
    typed: Option<Typed>,
    corruption: Corrupting,
    settings: Settings,
    more: bool,
    model: Chosen,
    runs: Vec<RunSummary>,
    compare: Compare,
    waiting: Waiting,
    /// What a person should know: why something was not done.
    message: Option<String>,
    heat_map: HeatMap,
    in_cells: bool,
    /// The film and state that other screens were told of.
    published: Option<(u64, usize)>,
    files: Inbox,
    /// Where the recording starts; until it has been shown first.
    start: Option<Option<usize>>,
    /// The side of the square that a window of the present run is.
    side: Option<usize>,
    /// Whether the bundled model was let write by itself.
    opened: bool,
}

struct Typed {
    text: String,
    problem: Option<String>,
    is_new: bool,
}

/// Hiding a share of the finished text.
struct Corrupting {
    share: f64,
    order: Corruption,
    seed: u32,
    is_on: bool,
}

impl Default for Denoise {
    fn default() -> Self {
        Self::starting_at(None)
    }
}

impl Denoise {
    /// The theatre with the recorded trace; where the page played it already, it goes on at that step.
    pub fn starting_at(step: Option<usize>) -> Self {
        let mut theatre = Self {
            takes: Takes::default(),
            shown: 0,
            generation: 0,
            player: Player::new(0),
            colour: Colour::default(),
            drafts: true,
            plain: false,
            selected: 0,
            edits: Edits::default(),
            typed: None,
            corruption: Corrupting {
                share: 0.5,
                order: Corruption::new(0, 1),
                seed: 1,
                is_on: false,
            },
            settings: Settings::default(),
            more: false,
            model: Chosen::default(),
            runs: Vec::new(),
            compare: Compare::default(),
            waiting: Waiting::default(),
            message: None,
            heat_map: HeatMap::default(),
            in_cells: false,
            published: None,
            files: Inbox::default(),
            start: Some(step),
            side: None,
            opened: false,
        };
        if let Ok(trace) = Trace::from_json_lines(RECORDED, "the recorded trace") {
            let model = Some(models::BUNDLED.to_owned());
            theatre.present(trace, Source::Recorded, model);
        }
        theatre
    }

    /// Shows a trace in place of all that is shown, at its end.
    pub fn present(&mut self, trace: Trace, source: Source, model: Option<String>) {
        let index = self.takes.replace_all(trace, source, model);
        self.show_take(index, usize::MAX, false);
    }

    /// Opens a trace from a file.
    ///
    /// # Errors
    /// When it is none.
    pub fn open(&mut self, text: &str, name: &str) -> crossover::error::Result<()> {
        let trace = Trace::from_json_lines(text, name)?;
        self.present(trace, Source::File, None);
        self.start = None;
        Ok(())
    }

    /// The state that is shown.
    pub fn state(&self) -> usize {
        self.player.state()
    }

    /// The position that keys and the inspector mean.
    pub fn selected(&self) -> usize {
        self.selected
    }

    /// Goes to a state by hand.
    pub fn scrub(&mut self, state: usize) {
        self.player.go(state);
        self.start = None;
    }

    /// The film that is shown.
    pub fn film(&self) -> Option<&Film> {
        self.takes.get(self.shown).map(|take| &take.film)
    }

    /// What colours mean.
    pub fn colour(&self) -> Colour {
        self.colour
    }

    fn show_take(&mut self, index: usize, state: usize, play: bool) {
        let side = self.side;
        let Some(take) = self.takes.get_mut(index) else {
            return;
        };
        take.film.set_side(side);
        let (last, length) = (take.film.last(), take.film.length());
        self.shown = index;
        self.generation += 1;
        self.player.load(last, state, play);
        self.selected = self.selected.min(length.saturating_sub(1));
        self.edits.clear();
        self.typed = None;
        self.corruption.is_on = false;
        self.corruption.order = Corruption::new(length, u64::from(self.corruption.seed));
    }

    /// The path of the model that writes.
    fn model_path(&self) -> String {
        self.model.path(&self.runs)
    }

    fn obey(&mut self, pressed: Pressed, context: &mut Context<'_>) {
        self.start = None;
        match pressed {
            Pressed::Toggle => self.player.toggle(),
            Pressed::Step(by) => self.player.step(by),
            Pressed::First => self.player.go(0),
            Pressed::Last => self.player.go(usize::MAX),
            Pressed::Slower => self.player.change_speed(false),
            Pressed::Faster => self.player.change_speed(true),
            Pressed::Drafts => self.drafts = !self.drafts,
            Pressed::Colour => self.colour = self.colour.next(),
            Pressed::Pin => self.want(Wanted::Pin, context),
            Pressed::Edit => self.want(Wanted::Edit, context),
            Pressed::Mask => self.want(Wanted::Mask, context),
            Pressed::Branch => self.want(Wanted::Branch, context),
        }
    }

    fn want(&mut self, wanted: Wanted, context: &mut Context<'_>) {
        let Some(film) = self.film() else { return };
        let position = self.selected;
        let token = film
            .tokens(self.player.state())
            .get(position)
            .copied()
            .unwrap_or(MASK);
        // What is changed is a state that stands still.
        let state = self.player.state();
        self.player.go(state);
        match wanted {
            Wanted::Pin if token >= 0 => self.edits.toggle(position, token),
            Wanted::Pin => {
                self.message = Some("There is nothing to pin: this position is masked.".to_owned());
            }
            Wanted::Edit => {
                self.typed = Some(Typed {
                    text: String::new(),
                    problem: None,
                    is_new: true,
                });
            }
            Wanted::Take(token) => self.edits.set(position, token),
            Wanted::Mask => self.edits.toggle(position, MASK),
            Wanted::Branch => self.branch(context),
            Wanted::Clear => self.edits.clear(),
        }
    }

    fn type_token(&mut self) {
        let Some(vocab) = self
            .film()
            .and_then(|film| film.trace().header.vocab.clone())
        else {
            self.typed = None;
            self.message = Some("This trace has no vocabulary to type from.".to_owned());
            return;
        };
        let Some(typed) = &mut self.typed else { return };
        match token_of(&typed.text, &vocab) {
            Ok(token) => {
                self.edits.set(self.selected, token);
                self.typed = None;
            }
            Err(problem) => typed.problem = Some(problem),
        }
    }

    fn controls(&mut self, ui: &mut Ui, context: &mut Context<'_>, narrow: bool) {
        let palette = context.palette;
        let mut go = context.state.press_primary;
        match narrow {
            true => {
                ui.horizontal(|ui| {
                    let width = ui.available_width() - 60.0;
                    go |= self.settings.prompt_field(ui, width);
                });
                ui.horizontal(|ui| {
                    go |= self.denoise_button(ui, palette);
                    ui.toggle_value(&mut self.more, "Settings");
                });
                if self.more {
                    ui.horizontal(|ui| self.model_menu(ui));
                    ui.horizontal(|ui| self.settings.sampler_menu(ui));
                    self.settings.steps_field(ui, self.longest());
                    self.settings.more(ui, LONGEST);
                    self.chips(ui, palette);
                }
            }
            false => {
                ui.horizontal(|ui| {
                    let width = (ui.available_width() - 682.0).clamp(140.0, 480.0);
                    go |= self.settings.prompt_field(ui, width);
                    self.model_menu(ui);
                    self.settings.sampler_menu(ui);
                    self.settings.steps_field(ui, self.longest());
                    let more = match (self.more, self.settings.changes()) {
                        (_, 0) => "Settings".to_owned(),
                        (_, changes) => format!("Settings · {changes} changed"),
                    };
                    ui.toggle_value(&mut self.more, more);
                    go |= self.denoise_button(ui, palette);
                });
                if self.more {
                    ui.horizontal_wrapped(|ui| self.settings.more(ui, LONGEST));
                }
                self.chips(ui, palette);
            }
        }
        go &= !self.waiting.is_writing();
        if models::tokens_seen(&self.model_path(), &self.runs) == Some(0) {
            let note = "This model has seen 0 tokens: expect noise.";
            ui.label(RichText::new(note).color(palette.warning));
        }
        if go {
            self.denoise(context);
        }
        if let Some(message) = &self.message {
            let mut is_read = false;
            ui.horizontal_wrapped(|ui| {
                ui.label(RichText::new(message).color(palette.error));
                is_read = ui.small_button("OK").clicked();
            });
            if is_read {
                self.message = None;
            }
        }
    }

    /// Ideas that only change settings.
    fn chips(&mut self, ui: &mut Ui, palette: &Palette) {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            ui.label(RichText::new("Try this").small().color(palette.muted));
            if segment(ui, palette, false, "1 step or 64").clicked() {
                self.settings.fewest_or_many();
            }
            if segment(ui, palette, false, "Fill the middle").clicked()
                && let Some(take) = self.takes.get(self.shown)
            {
                self.settings.fill_the_middle(&take.film);
            }
        });
    }

    fn denoise_button(&self, ui: &mut Ui, palette: &Palette) -> bool {
        let is_busy = self.waiting.is_writing();
        let label = if is_busy { "Writing …" } else { "Denoise" };
        let response = primary(ui, palette, label, !is_busy).on_hover_text("Ctrl/Cmd+Enter");
        let key =
            ui.input_mut(|input| input.consume_key(egui::Modifiers::COMMAND, egui::Key::Enter));
        response.clicked() || key
    }

    fn longest(&self) -> usize {
        let film = self.film().map_or(64, Film::length);
        let run = models::run_of(&self.model_path(), &self.runs);
        let window = run.and_then(|run| run.config.corpus.length);
        window.unwrap_or(film).max(1)
    }

    fn model_menu(&mut self, ui: &mut Ui) {
        ui.label("Model");
        let path = self.model_path();
        let saved: Vec<String> = self
            .runs
            .iter()
            .flat_map(|run| &run.checkpoints)
            .filter(|path| models::is_diffusion(path))
            .cloned()
            .collect();
        let menu = ui.name_inputs("Model", |ui| {
            ComboBox::from_id_salt("model")
                .selected_text(self.model.name())
                .show_ui(ui, |ui| {
                    for chosen in [Chosen::Latest, Chosen::Best, Chosen::Bundled] {
                        let name = match chosen.path(&self.runs) {
                            _ if chosen == Chosen::Bundled => chosen.name(),
                            path if path == models::BUNDLED => {
                                format!("{} (no run yet: bundled)", chosen.name())
                            }
                            path => format!("{} ({})", chosen.name(), models::short(&path)),
                        };
                        ui.selectable_value(&mut self.model, chosen, name);
                    }
                    for path in saved {
                        let name = models::short(&path);
                        ui.selectable_value(&mut self.model, Chosen::Saved(path), name);
                    }
                })
                .response
        });
        menu.on_hover_text(path);
    }

    fn body(&mut self, ui: &mut Ui, context: &mut Context<'_>, narrow: bool) {
        let palette = context.palette;
        if narrow {
            self.stage(ui, palette, true);
            self.playback(ui, palette, true);
            self.inspected(ui, context);
            self.view_menus(ui, palette);
            self.corrupting(ui, context);
            return;
        }
        let left = ui.available_width() - INSPECTOR - 12.0;
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 12.0;
            ui.allocate_ui(vec2(left, 0.0), |ui| {
                ui.vertical(|ui| {
                    ui.set_width(left);
                    self.stage(ui, palette, false);
                    self.playback(ui, palette, false);
                    self.corrupting(ui, context);
                });
            });
            ui.allocate_ui(vec2(INSPECTOR, 0.0), |ui| {
                ui.vertical(|ui| {
                    ui.set_width(INSPECTOR);
                    self.inspected(ui, context);
                });
            });
        });
    }

    /// Opens the traces that were given, and lets a model write that somebody wants to watch.
    fn files_came(&mut self, context: &mut Context<'_>) {
        match context.state.staged.take() {
            Some(Staged::Trace(file)) => self.files.put(file),
            Some(Staged::Model(path)) => {
                self.model = Chosen::Saved(path);
                self.denoise(context);
            }
            None => {}
        }
        for file in self.files.take() {
            let opened = match &file.content {
                Ok(bytes) => self
                    .open(&String::from_utf8_lossy(bytes), &file.name)
                    .map_err(|error| error.to_string()),
                Err(problem) => Err(problem.clone()),
            };
            self.message = opened.err();
        }
    }

    /// Opening and saving traces.
    fn file_buttons(&mut self, ui: &mut Ui) {
        if quiet(ui, "Open trace").clicked() {
            files::open(ui.ctx(), &self.files, "A trace to play", &["jsonl"]);
        }
        if quiet(ui, "Save trace").clicked()
            && let Some(take) = self.takes.get(self.shown)
        {
            match take.own.to_json_lines() {
                Ok(lines) => {
                    let name = self.takes.file_name(self.shown);
                    files::save(ui.ctx(), &self.files, &name, lines.into_bytes());
                }
                Err(error) => self.message = Some(error.to_string()),
            }
        }
    }

    /// Tells other screens what is on stage, where that changed.
    fn publish(&mut self, ui: &Ui, context: &mut Context<'_>) {
        let now = (self.generation, self.player.state());
        if self.published == Some(now) {
            return;
        }
        self.published = Some(now);
        context.state.theatre = self.film().map(|film| {
            let tokens = film.tokens(now.1).to_vec();
            let spell = |token: &i64| match *token {
                MASK => "░".to_owned(),
                token => spelled(&film.token(token), |letter| is_drawable(ui.ctx(), letter)).text,
            };
            Onstage {
                texts: tokens.iter().map(spell).collect(),
                tokens,
            }
        });
    }

    fn inspected(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let Some(film) = self.film() else { return };
        let (state, position) = (self.player.state(), self.selected);
        let standing = self
            .edits
            .shown(position, film.standing(state, position, true));
        let edits = self.edits.len();
        let drawable = |letter: char| is_drawable(ui.ctx(), letter);
        let view = self.view(film, position, &standing, &drawable);
        let wanted = card(context.palette)
            .show(ui, |ui| {
                ui.set_width(ui.available_width());
                let shown = inspector::Shown {
                    film,
                    state,
                    position,
                    standing: &standing,
                    view: &view,
                    edits,
                };
                inspector::inspector(ui, &shown, context.palette)
            })
            .inner;
        if let Some(wanted) = wanted {
            self.want(wanted, context);
        }
    }

    fn corrupting(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let palette = context.palette;
        let mut denoise = false;
        card(palette).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal_wrapped(|ui| {
                ui.label(RichText::new("Corrupt").strong());
                let before = (self.corruption.share, self.corruption.seed);
                let slider = egui::Slider::new(&mut self.corruption.share, 0.0..=1.0)
                    .fixed_decimals(2)
                    .prefix("t ");
                ui.name_inputs("Share of the text to mask", |ui| ui.add(slider));
                ui.label("Seed");
                ui.name_inputs("Seed of the mask", |ui| {
                    ui.add(egui::DragValue::new(&mut self.corruption.seed).speed(0.2));
                });
                if before != (self.corruption.share, self.corruption.seed) {
                    let length = self.film().map_or(0, Film::length);
                    let seed = u64::from(self.corruption.seed);
                    self.corruption.order = Corruption::new(length, seed);
                    self.corruption.is_on = true;
                    self.player.go(usize::MAX);
                }
                ui.toggle_value(&mut self.corruption.is_on, "Show");
                denoise = ui.button("Denoise from here").clicked();
                let count = self.corruption.order.masked(self.corruption.share).len();
                let note = format!(
                    "{count} of {} tokens of the finished text",
                    self.film().map_or(0, Film::length)
                );
                ui.label(RichText::new(note).color(palette.muted));
            });
        });
        if denoise {
            self.denoise_corrupted(context);
        }
    }
}

/// A surface that groups what belongs together.
fn card(palette: &Palette) -> egui::Frame {
    crate::theme::style::card(palette)
}

impl Screen for Denoise {
    fn title(&self) -> &'static str {
        "Denoise"
    }

    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        self.ask_for_runs(context);
        if self.player.speed() != context.state.preferences.speed {
            self.player.set_speed(context.state.preferences.speed);
        }
        if let Some(step) = self.start.take() {
            // Nothing moves unasked where people want it so.
            let calm = context.state.reduced_motion || ui.style().animation_time == 0.0;
            let last = self.player.last();
            let from = if calm { last } else { step.unwrap_or(0) };
            self.player.load(last, from, !calm);
        }
        if context.state.keys_act {
            for pressed in keys::pressed(ui.ctx(), self.in_cells) {
                self.obey(pressed, context);
            }
        }
        if let Some(wait) = self.player.tick(ui.input(|input| input.time)) {
            ui.ctx().request_repaint_after_secs(wait as f32);
        }
        self.files_came(context);
        let narrow = context.state.narrow || ui.available_width() < NARROW;
        ScrollArea::vertical()
            .auto_shrink([false, false])
            .show(ui, |ui| {
                self.controls(ui, context, narrow);
                ui.add_space(4.0);
                self.tabs(ui, context.palette, narrow);
                self.body(ui, context, narrow);
            });
        self.ask_for_companion(context);
        self.publish(ui, context);
        context.state.preferences.speed = self.player.speed();
    }

    fn tick(&mut self, _ui: &egui::Context, context: &mut Context<'_>) {
        self.open_live(context);
    }

    fn on_event(&mut self, event: &Event, context: &mut Context<'_>) {
        match event {
            Event::Started(started) => self.side = started.grid_side,
            Event::Result(_) | Event::Stopped { .. } | Event::Checkpoint { .. } => {
                self.waiting.forget_runs();
            }
            Event::Answer {
                request, answer, ..
            } => self.answered(*request, answer),
            Event::Refused {
                request,
                message,
                hint,
            } => self.refused(*request, message, hint.as_deref()),
            _ => {}
        }
        let _ = context;
    }

    fn describe(&self, hook: &mut Hook) {
        let Some(take) = self.takes.get(self.shown) else {
            return;
        };
        let state = self.player.state();
        let cells = (0..take.film.length()).map(|position| {
            let standing = take.film.standing(state, position, self.drafts);
            let standing = self.edits.shown(position, standing);
            hook::Cell {
                state: standing.look.name().to_owned(),
                id: u32::try_from(standing.token).ok(),
                p: standing.confidence,
            }
        });
        hook.theatre = Some(hook::Theatre {
            source: take.source.badge().to_lowercase(),
            step: state,
            steps: take.film.last(),
            cells: cells.collect(),
        });
    }
}
