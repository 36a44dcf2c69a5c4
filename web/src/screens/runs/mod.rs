//! The Runs screen: every run that is kept, side by side where asked.
//!
//! `table` lists them, `compare` lays curves of several over each other, `export` gives files away.

mod compare;
mod export;
mod table;

use std::collections::{BTreeSet, HashMap};

use crossover::lab::{Answer, Command, Event, Request, RunSummary};
use egui::{RichText, Ui};

use crate::link::files::{self, Given, Inbox};
use crate::screens::race::curves::Options;
use crate::screens::{Context, Screen};
use crate::settings::{Draft, share};
use crate::state::{Act, Notice, Route, Run, Staged};
use crate::theatre::is_trace;
use crate::widgets::button;
use crate::widgets::chart::View;

use export::{Kind, Parts};

/// Seconds in which a removed run can be had back.
const UNDO: f64 = 10.0;
/// Runs that are compared at most.
const MOST: usize = 6;

/// The screen's own state.
#[derive(Debug, Default)]
pub struct Runs {
    runs: Vec<RunSummary>,
    /// Whether the list was ever there.
    listed: bool,
    stale: bool,
    asked: Option<u64>,
    ticked: BTreeSet<String>,
    /// The run that is being renamed, and its new name so far.
    renamed: Option<(String, String)>,
    /// A run that goes unless somebody undoes it, and when.
    doomed: Option<(String, f64)>,
    /// Files that were asked for, and what they are for.
    reading: HashMap<u64, (String, Kind)>,
    /// Files of reports that are being made, by run.
    parts: HashMap<String, Parts>,
    /// Whether the curves are to be saved as a picture.
    picture: bool,
    /// Curves of runs, as far as they were read.
    curves: HashMap<String, Run>,
    options: Options,
    view: View,
    files: Inbox,
    /// Where a dialog wakes the app.
    context: Option<egui::Context>,
}

impl Runs {
    fn refresh(&mut self, context: &mut Context<'_>) {
        if (!self.listed || self.stale) && self.asked.is_none() {
            self.asked = Some(context.desk.ask(Request::Runs));
            self.stale = false;
        }
    }

    /// Runs that are not about to go.
    fn visible(&self) -> impl Iterator<Item = &RunSummary> {
        let doomed = self.doomed.as_ref().map(|(run, _)| run.as_str());
        self.runs
            .iter()
            .filter(move |run| Some(run.run.as_str()) != doomed)
    }

    fn one_ticked(&self) -> Option<&RunSummary> {
        let mut ticked = self.visible().filter(|run| self.ticked.contains(&run.run));
        ticked.next().filter(|_| self.ticked.len() == 1)
    }

    /// What can be done with what is ticked.
    fn toolbar(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let one = self.one_ticked().cloned();
        let read_only = context.state.storage.read_only;
        ui.horizontal_wrapped(|ui| {
            let unfinished = one
                .as_ref()
                .filter(|run| run.outcome.is_none() && run.step < run.steps);
            let resume = ui.add_enabled(
                unfinished.is_some() && !context.state.is_busy() && !read_only,
                egui::Button::new("Resume"),
            );
            if let Some(run) = unfinished.filter(|_| resume.clicked()) {
                context.desk.send(Command::Resume {
                    folder: run.run.clone(),
                });
                context.state.starting = Some("Reading the run".to_owned());
                context.state.route = Some(Route::Race);
            }
            ui.add_enabled_ui(one.is_some(), |ui| {
                if let Some(run) = &one {
                    self.export(ui, context, run);
                } else {
                    let _ = ui.button("Export…");
                }
            });
            if ui
                .add_enabled(!read_only, egui::Button::new("Import…"))
                .clicked()
            {
                files::open(
                    ui.ctx(),
                    &self.files,
                    "A run, a checkpoint or a trace",
                    &["zip", "safetensors", "jsonl"],
                );
            }
            let copy = ui.add_enabled(one.is_some(), egui::Button::new("Copy link"));
            let copy = copy.on_hover_text("Settings and seed only: never text or weights.");
            if let Some(run) = one.as_ref().filter(|_| copy.clicked()) {
                let draft = Draft::of_run(&run.config);
                ui.ctx()
                    .copy_text(share::write(&context.state.home, &draft));
                context.state.notice = Some(Notice::said("The link is on the clipboard."));
            }
            let rename = ui.add_enabled(one.is_some() && !read_only, egui::Button::new("Rename"));
            let delete = ui.add_enabled(one.is_some() && !read_only, egui::Button::new("Delete"));
            if let Some(run) = one {
                if rename.on_hover_text("F2").clicked() || context.state.key(ui, egui::Key::F2) {
                    self.renamed = Some((run.run.clone(), table::name_of(&run.run).to_owned()));
                }
                let key = context.state.key(ui, egui::Key::Delete);
                if delete
                    .on_hover_text("Delete: ten seconds to undo")
                    .clicked()
                    || key
                {
                    self.doom(ui, context, run.run);
                }
            }
        });
    }

    fn doom(&mut self, ui: &Ui, context: &mut Context<'_>, run: String) {
        self.remove_doomed(context);
        let name = table::name_of(&run).to_owned();
        self.ticked.remove(&run);
        self.doomed = Some((run, ui.input(|input| input.time) + UNDO));
        context.state.notice =
            Some(Notice::said(format!("{name} is deleted.")).offering("Undo", Act::Undo));
    }

    fn remove_doomed(&mut self, context: &mut Context<'_>) {
        if let Some((run, _)) = self.doomed.take() {
            self.runs.retain(|kept| kept.run != run);
            context.desk.ask(Request::Remove { run });
        }
    }

    /// Lets a run go once its ten seconds are over.
    fn watch_doomed(&mut self, ui: &egui::Context, context: &mut Context<'_>) {
        if context
            .state
            .acted
            .take_if(|act| *act == Act::Undo)
            .is_some()
        {
            self.doomed = None;
        }
        if let Some((_, when)) = &self.doomed {
            let left = when - ui.input(|input| input.time);
            if left <= 0.0 {
                self.remove_doomed(context);
                let about_it =
                    |notice: &Notice| notice.actions.iter().any(|(_, act)| *act == Act::Undo);
                context.state.notice.take_if(|notice| about_it(notice));
            } else {
                ui.request_repaint_after(std::time::Duration::from_secs_f64(left));
            }
        }
    }

    fn take_files(&mut self, context: &mut Context<'_>) {
        for file in self.files.take() {
            match file.content {
                Ok(content) if is_trace(&file.name, &content) => {
                    context.state.staged = Some(Staged::Trace(Given {
                        name: file.name,
                        content: Ok(content),
                    }));
                    context.state.route = Some(Route::Denoise);
                }
                Ok(content) => {
                    context.desk.import(file.name, content);
                }
                Err(why) => {
                    let words = format!("Can't read {}: {why}", file.name);
                    context.state.notice = Some(Notice::went_wrong(&words, None));
                }
            }
        }
    }

    fn empty(&self, ui: &mut Ui, context: &mut Context<'_>) {
        ui.vertical_centered(|ui| {
            ui.add_space(72.0);
            ui.label(RichText::new("No runs yet.").heading());
            ui.label(RichText::new("A race you train is kept here. Drop a .zip or .safetensors file to bring one in.").color(context.palette.muted));
            ui.add_space(8.0);
            if button::primary(ui, context.palette, "Train both", true).clicked() {
                context.state.route = Some(Route::Race);
            }
        });
    }
}

impl Screen for Runs {
    fn title(&self) -> &'static str {
        "Runs"
    }

    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        self.refresh(context);
        self.take_files(context);
        if self.visible().next().is_none() {
            match self.listed {
                true => self.empty(ui, context),
                false => {
                    ui.label(RichText::new("Looking for runs…").color(context.palette.muted));
                }
            }
            return;
        }
        if self.options.follow(&context.state.preferences) {
            self.view.reset = true;
        }
        self.toolbar(ui, context);
        ui.add_space(8.0);
        egui::ScrollArea::vertical()
            .auto_shrink(false)
            .show(ui, |ui| {
                self.table(ui, context);
                ui.add_space(16.0);
                self.compare(ui, context);
            });
        self.options.lead(&mut context.state.preferences);
    }

    fn tick(&mut self, ui: &egui::Context, context: &mut Context<'_>) {
        self.watch_doomed(ui, context);
    }

    fn on_event(&mut self, event: &Event, context: &mut Context<'_>) {
        match event {
            Event::Answer {
                request, answer, ..
            } => match answer.as_ref() {
                Answer::Runs { runs } => {
                    self.runs.clone_from(runs);
                    self.listed = true;
                    self.asked = None;
                    self.ticked
                        .retain(|ticked| runs.iter().any(|run| run.run == *ticked));
                }
                Answer::Imported { run } => {
                    context.state.notice =
                        Some(Notice::said(format!("Imported {}.", table::name_of(run))));
                    self.stale = true;
                }
                Answer::Done => self.stale = true,
                Answer::File { name, content } => {
                    self.file_is_there(*request, name, content, context);
                }
                Answer::Written { trace } => self.trace_is_there(*request, trace),
                _ => {}
            },
            Event::Refused {
                request,
                message,
                hint,
            } => {
                // What others asked for is told where nothing else is; who gave a file waits for an answer.
                let is_import = context.desk.was_import(*request);
                let matters = self
                    .file_is_missing(*request, context)
                    .unwrap_or(is_import || context.state.notice.is_none());
                if self.asked == Some(*request) {
                    self.asked = None;
                    self.listed = true;
                }
                if matters {
                    context.state.notice = Some(Notice::refused(message, hint.as_deref()));
                }
            }
            event if event.ends_run() || matches!(event, Event::Started(_)) => {
                self.stale = true;
                // What was read of the run is not all of it any more.
                self.curves.clear();
            }
            _ => {}
        }
    }
}
