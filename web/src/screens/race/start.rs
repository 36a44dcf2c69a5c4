//! The button that matters: starts, holds, stops, starts again.

use crossover::lab::{Command, Request};
use crossover::platform;
use crossover::train::RunConfig;
use egui::{ComboBox, RichText, Ui};

use super::Race;
use crate::numbers;
use crate::screens::Context;
use crate::settings::{CHAIN, CHAIN_FILE, Preset, Source};
use crate::state::{Phase, Run};
use crate::widgets::button;

impl Race {
    /// Preset, corpus, and the button.
    pub(super) fn head(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let width = (ui.available_width() - ui.spacing().item_spacing.x) / 2.0;
        ui.horizontal(|ui| {
            let preset = ComboBox::from_id_salt("preset")
                .selected_text(self.draft.preset.name())
                .width(width)
                .truncate()
                .show_ui(ui, |ui| {
                    for preset in Preset::ALL {
                        let choice =
                            ui.selectable_label(self.draft.preset == preset, preset.name());
                        if choice.on_hover_text(preset.promise()).clicked() {
                            self.draft.choose(preset);
                            self.chosen = true;
                        }
                    }
                });
            name(&preset.response, "Preset", self.draft.preset.name());
            let corpus = ComboBox::from_id_salt("corpus")
                .selected_text(self.draft.source.name())
                .width(width)
                .truncate()
                .show_ui(ui, |ui| {
                    for source in Source::ALL {
                        let choice =
                            ui.selectable_label(self.draft.source == source, source.name());
                        if choice.on_hover_text(source.explain()).clicked() {
                            self.draft.take_from(source);
                            self.chosen = true;
                        }
                    }
                });
            name(&corpus.response, "Corpus", self.draft.source.name());
        });
        let promise = RichText::new(match self.draft.preset {
            Preset::Custom => self.draft.source.explain(),
            _ if self.draft.is_changed() => "Changed from the preset. May not cross.",
            preset => preset.promise(),
        });
        ui.label(promise.small().color(context.palette.muted));
        self.buttons(ui, context);
        // Lines that come and go leave the settings below the same to egui: one that is typed into keeps the focus.
        ui.vertical(|ui| self.cost(ui, context));
    }

    fn buttons(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let pressed_by_key = context.state.press_primary;
        ui.horizontal_wrapped(|ui| {
            let phase = context
                .state
                .run
                .as_ref()
                .filter(|run| run.is_under_way())
                .map(|run| &run.phase);
            match phase.cloned() {
                None => {
                    let starting = context.state.starting.is_some();
                    let label = if starting {
                        "Starting…"
                    } else {
                        "Train both"
                    };
                    let ready = !starting && self.can_start() && !context.state.storage.read_only;
                    let button = button::primary(ui, context.palette, label, ready)
                        .on_hover_text("Ctrl/Cmd + Enter");
                    if button.clicked() || (pressed_by_key && ready) {
                        self.start(context);
                    }
                }
                Some(phase) => {
                    let (label, command) = match phase {
                        Phase::Paused => ("Continue", Command::Continue),
                        _ => ("Pause", Command::Pause),
                    };
                    let button =
                        button::primary(ui, context.palette, label, true).on_hover_text("K");
                    if button.clicked() || pressed_by_key || context.state.key(ui, egui::Key::K) {
                        context.desk.send(command);
                    }
                    if ui.button("Stop and keep").clicked() {
                        context.desk.send(Command::Stop);
                    }
                }
            }
            if let Some(run) = &context.state.run
                && self.is_changed(run)
                && run.is_under_way()
                && self.can_start()
                && self.restart.is_none()
                && ui.button("Restart with changes").clicked()
            {
                self.restart = self.draft.config();
                context.desk.send(Command::Stop);
            }
        });
    }

    /// Whether the settings are no longer those that this run began with.
    fn is_changed(&self, run: &Run) -> bool {
        self.launched.as_ref().is_some_and(|(folder, config)| {
            run.folder().ends_with(folder) && self.draft.config().as_ref() != Some(config)
        })
    }

    /// Starts what is set.
    pub(super) fn start(&mut self, context: &mut Context<'_>) {
        if let Some(config) = self.draft.config() {
            self.launch(config, context);
        }
    }

    pub(super) fn launch(&mut self, config: RunConfig, context: &mut Context<'_>) {
        let folder = format!(
            "runs/{}-{}",
            numbers::file_stamp(platform::unix_seconds()),
            short(self.draft.source)
        );
        context.state.notice = None;
        context.state.starting = Some("Preparing the text and compiling kernels".to_owned());
        self.launched = Some((folder.clone(), config.clone()));
        context.desk.send(Command::Start {
            config: Box::new(config),
            folder,
            force: false,
        });
        self.view.reset = true;
        self.sheet = false;
    }

    /// Has the lab keep the built-in chain, once.
    pub(super) fn keep_chain(&mut self, context: &mut Context<'_>) {
        if self.draft.source == Source::Markov
            && self.draft.chain.is_none()
            && self.asked.chain.is_none()
        {
            self.asked.chain = Some(context.desk.ask(Request::Keep {
                name: CHAIN_FILE.to_owned(),
                content: CHAIN.as_bytes().to_vec(),
            }));
        }
    }

    /// Keys of this screen.
    pub(super) fn shortcuts(&mut self, ui: &Ui, context: &Context<'_>) {
        let pressed = |key| context.state.key(ui, key);
        if pressed(egui::Key::X) {
            self.options.axis = self.options.axis.next();
            self.view.reset = true;
        }
        if pressed(egui::Key::Y) {
            let run = context.state.run.as_ref().or(self.example.as_ref());
            if let Some(run) = run {
                self.options.unit = self.options.unit.next(&run.scale);
                self.view.reset = true;
            }
        }
        if pressed(egui::Key::L) {
            self.options.log = !self.options.log;
            self.view.reset = true;
        }
        if pressed(egui::Key::Num0) {
            self.view.reset = true;
        }
    }
}

/// Says what a box of choices chooses.
fn name(response: &egui::Response, label: &str, value: &str) {
    response.widget_info(|| {
        let mut info = egui::WidgetInfo::labeled(egui::Role::ComboBox, true, label);
        info.current_text_value = Some(value.to_owned());
        info
    });
}

fn short(source: Source) -> &'static str {
    match source {
        Source::Grids => "latin-5",
        Source::Tales => "tales",
        Source::Markov => "markov",
        Source::Own => "text",
    }
}
