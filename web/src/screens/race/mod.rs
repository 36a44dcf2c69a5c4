//! The Race screen: set up a race, watch it, know who is ahead.
//!
//! `panel` is the settings, `start` the button and what a run costs, `own_text` a text of one's own, `stage` the chart with
//! its verdict and samples, `curves` a run as a chart.

pub(super) mod curves;
mod own_text;
mod panel;
mod plan;
mod samples;
mod stage;
mod start;

use crossover::lab::{Answer, Event, Plan, Preview};
use crossover::train::RunConfig;

use crate::link::files::Inbox;
use crate::screens::{Context, Screen};
use crate::settings::{Draft, Preset, share};
use crate::state::{Notice, Run, recorded};
use crate::widgets::chart::View;

use own_text::Question;

/// The screen's own state.
#[derive(Debug)]
pub struct Race {
    draft: Draft,
    options: curves::Options,
    view: View,
    /// The run that is shown, faintly, while there is none.
    example: Option<Run>,
    files: Inbox,
    /// A text that is being pasted.
    pasted: Option<String>,
    /// A file that doesn't look like text.
    question: Option<Question>,
    preview: Option<Preview>,
    refused: Option<String>,
    plan: plan::Planned,
    asked: Asked,
    /// What to start once the run under way has stopped.
    restart: Option<RunConfig>,
    /// The folder and the settings of the run that was started last.
    launched: Option<(String, RunConfig)>,
    /// Whether a person chose a preset; until then the device does.
    chosen: bool,
    /// Whether the chart is to be saved as a picture.
    picture: bool,
    /// Whether the sheet of settings is open, on a phone.
    sheet: bool,
}

/// Questions that wait for their answers.
#[derive(Debug, Default)]
struct Asked {
    chain: Option<u64>,
    own: Option<u64>,
    preview: Option<u64>,
    plan: Option<u64>,
}

impl Default for Race {
    fn default() -> Self {
        Self {
            draft: Draft::default(),
            options: curves::Options::default(),
            view: View::default(),
            example: recorded::race(),
            files: Inbox::default(),
            pasted: None,
            question: None,
            preview: None,
            refused: None,
            plan: plan::Planned::default(),
            asked: Asked::default(),
            restart: None,
            launched: None,
            chosen: false,
            picture: false,
            sheet: false,
        }
    }
}

impl Race {
    /// Takes what a link asks for, and the preset that fits the device.
    fn prepare(&mut self, context: &mut Context<'_>) {
        if let Some(link) = context.state.link.take() {
            match share::read(&link) {
                Ok(draft) => {
                    if let Some(hash) = &draft.wanted {
                        let short: String = hash.chars().take(6).collect();
                        context.state.notice = Some(Notice::said(format!(
                            "Needs the text '{short}…'. Drop it here."
                        )));
                    }
                    self.draft = Draft {
                        chain: self.draft.chain.take(),
                        ..draft
                    };
                    self.chosen = true;
                }
                Err(why) => context.state.notice = Some(Notice::warning(why)),
            }
        }
        if std::mem::take(&mut context.state.texts_are_gone) {
            self.draft.chain = None;
            self.draft.own = None;
            self.asked.chain = None;
            self.preview = None;
        }
        if let Some(batch) = context.state.batch.take() {
            self.draft.edited.train.batch = batch;
            self.start(context);
        }
        if !self.chosen && context.state.device.is_some() {
            let fitting = match context.state.has_gpu() && !context.state.narrow {
                true => Preset::Quick,
                false => Preset::Markov,
            };
            self.draft.choose(fitting);
            self.chosen = true;
        }
        self.keep_chain(context);
    }

    fn answered(&mut self, request: u64, answer: &Answer, context: &mut Context<'_>) {
        match answer {
            Answer::Kept { path } if self.asked.chain == Some(request) => {
                self.draft.chain = Some(path.clone());
            }
            Answer::Kept { path } if self.asked.own == Some(request) => {
                self.own_is_kept(path, context)
            }
            Answer::Preview(preview) if self.asked.preview == Some(request) => {
                self.preview = Some(preview.clone());
                self.refused = None;
            }
            Answer::Plan(plan) if self.asked.plan == Some(request) => {
                self.plan_is_there(plan, context);
            }
            _ => {}
        }
    }

    fn plan_is_there(&mut self, plan: &Plan, context: &mut Context<'_>) {
        if let (Some(own), Some(hash)) = (&mut self.draft.own, &plan.config.corpus.hash) {
            own.hash.clone_from(hash);
            if let Some(wanted) = self.draft.wanted.take_if(|wanted| !wanted.is_empty())
                && wanted != *hash
            {
                let short: String = wanted.chars().take(6).collect();
                context.state.notice = Some(Notice::warning(format!(
                    "This is another text than the link's '{short}…'."
                )));
            }
        }
        self.plan.answered(plan.clone());
    }
}

impl Screen for Race {
    fn title(&self) -> &'static str {
        "Race"
    }

    fn ui(&mut self, ui: &mut egui::Ui, context: &mut Context<'_>) {
        self.prepare(context);
        if self.options.follow(&context.state.preferences) {
            self.view.reset = true;
        }
        self.take_files(context);
        self.plan_soon(ui, context);
        self.shortcuts(ui, context);
        if context.state.narrow {
            egui::ScrollArea::vertical().show(ui, |ui| {
                self.head(ui, context);
                ui.add_space(4.0);
                egui::CollapsingHeader::new("Settings")
                    .id_salt("sheet")
                    .open(Some(self.sheet))
                    .show(ui, |ui| self.panel(ui, context))
                    .header_response
                    .clicked()
                    .then(|| self.sheet = !self.sheet);
                self.stage(ui, context);
            });
        } else {
            egui::Panel::left("settings")
                .exact_size(304.0)
                .resizable(false)
                .show_separator_line(false)
                .frame(crate::theme::style::card(context.palette))
                .show(ui, |ui| {
                    self.head(ui, context);
                    ui.add_space(8.0);
                    egui::ScrollArea::vertical()
                        .auto_shrink(false)
                        .content_margin(egui::Margin::symmetric(2, 2))
                        .show(ui, |ui| self.panel(ui, context));
                });
            let frame = egui::Frame::new().inner_margin(egui::Margin {
                left: 20,
                ..egui::Margin::ZERO
            });
            egui::CentralPanel::default().frame(frame).show(ui, |ui| {
                egui::ScrollArea::vertical()
                    .auto_shrink(false)
                    .show(ui, |ui| self.stage(ui, context));
            });
        }
        self.ask_about_bytes(ui, context);
        self.options.lead(&mut context.state.preferences);
    }

    fn on_event(&mut self, event: &Event, context: &mut Context<'_>) {
        match event {
            Event::Answer {
                request, answer, ..
            } => self.answered(*request, answer, context),
            Event::Refused {
                request,
                message,
                hint,
            } => {
                let words = Notice::went_wrong(message, hint.as_deref()).text;
                let request = Some(*request);
                if request == self.asked.preview {
                    self.preview = None;
                    self.refused = Some(words);
                } else if request == self.asked.plan {
                    self.plan.refused(words);
                } else if request == self.asked.own || request == self.asked.chain {
                    context.state.notice = Some(Notice::went_wrong(message, hint.as_deref()));
                }
            }
            Event::Stopped { .. } => {
                if let Some(config) = self.restart.take() {
                    self.launch(config, context);
                }
            }
            Event::Failed { .. } => self.restart = None,
            _ => {}
        }
    }
}
