//! The frame around the screens: tabs, badge, the one-line bar, keys.

mod announce;
mod bar;
mod describe;
mod keys;
#[cfg(test)]
mod tests;

use crossover::lab::{Answer, Event, Request};

use crate::link::files::{self, Given, Inbox, Notes};
use crate::link::{Action, Desk, Supervisor, Then};
use crate::numbers;
use crate::screens::{Context, Denoise, Device, Inspect, Race, Runs, Screen};
use crate::state::{Grade, Phase, Preferences, Route, Run, Staged, State, Wish};
use crate::theatre;
use crate::theme::{Motion, Palette, style};

use announce::Announcer;

/// What a run does with one of its records.
type Remember = fn(&mut Run, &[u8]);

/// The app.
pub struct App {
    /// The way to the lab; tests have none.
    link: Option<Supervisor>,
    desk: Desk,
    files: Inbox,
    state: State,
    screens: Vec<Box<dyn Screen>>,
    shown: usize,
    keys_listed: bool,
    title: String,
    /// Where preferences are kept; tests keep none.
    notes: Notes,
    /// The preferences that are kept.
    kept: Preferences,
    /// The questions for the records of a run that was heard of in its middle, and what is to be done with them.
    records: Vec<(u64, Remember)>,
    announcer: Announcer,
}

/// Where screens are in the row of tabs.
const RACE: usize = 0;
const DENOISE: usize = 1;
const RUNS: usize = 3;
const DEVICE: usize = 4;

impl App {
    /// Opens the app and its lab.
    pub fn new(context: &egui::Context) -> Self {
        let mut app = Self::without_lab().keeping(Notes::own());
        let repaint = context.clone();
        let wake = move || repaint.request_repaint();
        app.link = Some(Supervisor::open(app.kept.compute, wake));
        app
    }

    /// The app with nothing behind it: what it shows is what it is told.
    pub fn without_lab() -> Self {
        Self {
            link: None,
            desk: Desk::default(),
            files: Inbox::default(),
            state: State::default(),
            screens: vec![
                Box::<Race>::default(),
                Box::<Denoise>::default(),
                Box::<Inspect>::default(),
                Box::<Runs>::default(),
                Box::<Device>::default(),
            ],
            shown: RACE,
            keys_listed: false,
            title: String::new(),
            notes: Notes::default(),
            kept: Preferences::default(),
            records: Vec::new(),
            announcer: Announcer::default(),
        }
    }

    /// The same with the preferences that are kept there, and will be.
    pub fn keeping(mut self, notes: Notes) -> Self {
        let text = notes.read(Preferences::NAME).unwrap_or_default();
        self.kept = Preferences::read(&text);
        self.state.preferences = self.kept;
        self.notes = notes;
        self
    }

    /// The same with the recorded text at the step to which the page has played it.
    pub fn recorded_at(mut self, step: Option<usize>) -> Self {
        self.screens[DENOISE] = Box::new(Denoise::starting_at(step));
        self
    }

    /// The same with the settings of a link, such as the page's address; what it copies leads to the same page. It starts
    /// nothing.
    pub fn with_link(mut self, link: &str) -> Self {
        let (home, settings) = link.split_once('#').unwrap_or((link, ""));
        home.clone_into(&mut self.state.home);
        if !settings.is_empty() {
            self.state.link = Some(settings.to_owned());
        }
        self
    }

    /// What screens asked of the lab that has not been sent.
    pub fn desk_mut(&mut self) -> &mut Desk {
        &mut self.desk
    }

    /// What is known: for tests, which also change it.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// Takes note of an event, as if the lab had told it.
    pub fn hear(&mut self, event: &Event, palette: &Palette) {
        self.state.fold(event);
        self.complete(event);
        let mut context = Context {
            state: &mut self.state,
            desk: &mut self.desk,
            palette,
        };
        for screen in &mut self.screens {
            screen.on_event(event, &mut context);
        }
    }

    /// Asks for what a run that goes on measured before it was heard of, and takes the answer.
    fn complete(&mut self, event: &Event) {
        let Some(run) = &mut self.state.run else {
            return;
        };
        match event {
            Event::Started(_) if run.is_partial => {
                let records: [(&str, Remember); 2] = [
                    ("metrics.jsonl", Run::remember),
                    ("events.jsonl", Run::remember_samples),
                ];
                let folder = run.folder();
                let ask = |(file, then)| {
                    let path = format!("{folder}/{file}");
                    (self.desk.ask(Request::Read { path }), then)
                };
                self.records = records.map(ask).into();
            }
            Event::Started(_) => self.records.clear(),
            Event::Answer {
                request, answer, ..
            } => {
                let place = self.records.iter().position(|(asked, _)| asked == request);
                if let (Some(index), Answer::File { content, .. }) = (place, answer.as_ref()) {
                    let (_, then) = self.records.swap_remove(index);
                    then(run, content);
                }
            }
            _ => {}
        }
    }

    /// What came from the lab since the last time.
    fn listen(&mut self, context: &egui::Context, palette: &Palette) {
        let Some(link) = &mut self.link else {
            return;
        };
        let events = link.poll(context.input(|input| input.time));
        self.state.device = link.device().cloned();
        self.state.storage = link.storage().clone();
        self.state.loading = link.loading();
        self.state.told = link.notices().last().cloned();
        self.state.memory = link.counters().memory;
        for event in &events {
            self.hear(event, palette);
        }
    }

    /// What was wished for that only the way to the lab can do.
    fn carry_out(&mut self) {
        let wishes = std::mem::take(&mut self.state.wishes);
        let Some(link) = &mut self.link else {
            return;
        };
        for wish in wishes {
            match wish {
                Wish::Compute(compute) => link.choose(compute),
                Wish::KeepData => link.keep_data(),
                Wish::Dismiss(notice) => link.dismiss(notice),
                Wish::Act(notice, action) => {
                    if link.act(notice, action) == Then::Yours {
                        match action {
                            Action::Export | Action::FreeSpace => {
                                self.state.route = Some(Route::Runs)
                            }
                            Action::SmallerBatch(batch) => self.state.batch = Some(batch),
                            _ => self.state.route = Some(Route::Device),
                        }
                    }
                }
            }
        }
        for command in self.desk.take() {
            link.send(command);
        }
    }

    fn go(&mut self) {
        self.shown = match self.state.route.take() {
            Some(Route::Race) => RACE,
            Some(Route::Denoise) => DENOISE,
            Some(Route::Runs) => RUNS,
            Some(Route::Device) => DEVICE,
            None => self.shown,
        };
    }

    /// The window's title: the run's progress first, so that a hidden tab tells it.
    fn entitle(&mut self, context: &egui::Context) {
        let title = match &self.state.run {
            Some(run) if run.is_under_way() => {
                format!("{:.0} % · Crossover", 100.0 * run.share())
            }
            _ => "Crossover".to_owned(),
        };
        if title != self.title {
            context.send_viewport_cmd(egui::ViewportCommand::Title(title.clone()));
            self.title = title;
        }
    }

    /// What the window is called now.
    pub fn title(&self) -> &str {
        &self.title
    }

    fn tabs(&mut self, ui: &mut egui::Ui, palette: &Palette, width: Option<f32>) {
        for (index, screen) in self.screens.iter().enumerate() {
            let chosen = self.shown == index;
            let text = egui::RichText::new(screen.title()).color(match chosen {
                true => palette.text,
                false => palette.muted,
            });
            let button = egui::Button::new(text)
                .frame_when_inactive(false)
                .min_size(egui::vec2(
                    width.unwrap_or(0.0),
                    ui.spacing().interact_size.y,
                ));
            let response = ui.add(button).on_hover_text(format!("Key {}", index + 1));
            response.widget_info(|| {
                egui::WidgetInfo::selected(egui::Role::Tab, true, chosen, screen.title())
            });
            if chosen {
                let line = response.rect.x_range();
                let stroke = egui::Stroke::new(2.0, palette.masked);
                ui.painter()
                    .hline(line.shrink(8.0), response.rect.bottom() - 1.0, stroke);
            }
            if response.clicked() {
                self.shown = index;
            }
        }
    }

    fn top(&mut self, ui: &mut egui::Ui, palette: &Palette, narrow: bool) {
        let frame = egui::Frame::new()
            .fill(palette.background)
            .inner_margin(egui::Margin::symmetric(16, 8));
        egui::Panel::top("top")
            .frame(frame)
            .show_separator_line(false)
            .show(ui, |ui| {
                ui.horizontal(|ui| {
                    let name = egui::RichText::new("Crossover")
                        .heading()
                        .color(palette.text);
                    ui.label(name);
                    if !narrow {
                        ui.add_space(16.0);
                        self.tabs(ui, palette, None);
                    }
                    ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                        let keys = ui.add(egui::Button::new("?").frame_when_inactive(false));
                        keys.widget_info(|| {
                            egui::WidgetInfo::labeled(egui::Role::Button, true, "List the keys")
                        });
                        if keys.clicked() {
                            self.keys_listed = !self.keys_listed;
                        }
                        if bar::badge(ui, palette, &self.state) {
                            self.shown = DEVICE;
                        }
                    });
                });
            });
    }

    /// The share of its steps that a run has done, as a thin line under everything else on top.
    fn progress(&self, ui: &mut egui::Ui, palette: &Palette) {
        let share = match &self.state.run {
            Some(run) if run.is_under_way() => run.share(),
            _ => 0.0,
        };
        let frame = egui::Frame::new().fill(palette.hairline());
        egui::Panel::top("progress")
            .exact_size(2.0)
            .frame(frame)
            .show_separator_line(false)
            .show(ui, |ui| {
                let (rect, response) = ui.allocate_exact_size(
                    egui::vec2(ui.available_width(), 2.0),
                    egui::Sense::hover(),
                );
                let done = rect.with_max_x(rect.left() + rect.width() * share);
                ui.painter().rect_filled(done, 0.0, palette.masked);
                let words = format!("{:.0} % of the run", 100.0 * share);
                response.widget_info(|| {
                    egui::WidgetInfo::labeled(egui::Role::ProgressIndicator, true, &words)
                });
            });
    }

    /// Shows everything.
    pub fn show(&mut self, ui: &mut egui::Ui) {
        let context = ui.ctx().clone();
        let narrow = ui.available_width() < style::NARROW;
        // A finger was here, or the window is a phone's.
        let touch = narrow || context.input(|input| input.any_touches());
        self.state.reduced_motion = self.state.preferences.motion == Motion::Reduced
            || (self.state.preferences.motion == Motion::System
                && self.state.system_reduces_motion);
        style::apply(
            &context,
            self.state.preferences.tone,
            self.state.preferences.text,
            self.state.reduced_motion,
            touch,
        );
        let palette = Palette::of(ui.visuals().dark_mode);
        self.state.narrow = narrow;
        self.listen(&context, palette);
        self.keys(&context);
        self.go();
        self.top(ui, palette, narrow);
        self.progress(ui, palette);
        if narrow {
            let frame = egui::Frame::new()
                .fill(palette.panel)
                .inner_margin(egui::Margin::symmetric(4, 4));
            egui::Panel::bottom("tabs").frame(frame).show(ui, |ui| {
                ui.horizontal(|ui| {
                    ui.spacing_mut().item_spacing.x = 0.0;
                    ui.spacing_mut().button_padding.x = 4.0;
                    let each = ui.available_width() / self.screens.len() as f32;
                    self.tabs(ui, palette, Some(each));
                });
            });
        }
        bar::show(ui, palette, &mut self.state);
        let margin = if narrow { 12 } else { 16 };
        let frame = egui::Frame::new()
            .fill(palette.background)
            .inner_margin(margin);
        egui::CentralPanel::default().frame(frame).show(ui, |ui| {
            let mut given = Context {
                state: &mut self.state,
                desk: &mut self.desk,
                palette,
            };
            self.screens[self.shown].ui(ui, &mut given);
        });
        let mut given = Context {
            state: &mut self.state,
            desk: &mut self.desk,
            palette,
        };
        for screen in &mut self.screens {
            screen.tick(&context, &mut given);
        }
        self.take_dropped(&context);
        self.state.press_primary = false;
        self.list_keys(&context, palette);
        style::focus_ring(ui, palette);
        self.entitle(&context);
        self.carry_out();
        self.keep_preferences();
        if self.state.is_busy() {
            // Somebody has to look whether the lab still answers.
            context.request_repaint_after(std::time::Duration::from_secs(1));
        }
    }

    /// Keeps what a person chose, where that changed.
    fn keep_preferences(&mut self) {
        let now = self.state.preferences;
        if now != self.kept {
            self.notes
                .write(Preferences::NAME, now.written().as_deref());
            self.kept = now;
        }
    }

    /// What was dropped, wherever that was: a run or a checkpoint comes in, a trace plays, anything else is a text.
    fn take_dropped(&mut self, context: &egui::Context) {
        let dropped = context.input_mut(|input| std::mem::take(&mut input.raw.dropped_files));
        if !dropped.is_empty() {
            files::take_dropped(context, &self.files, &dropped);
        }
        for file in self.files.take() {
            let is_run = [".zip", ".safetensors"]
                .iter()
                .any(|end| file.name.ends_with(end));
            match file.content {
                Ok(content) if is_run => {
                    self.desk.import(file.name, content);
                }
                Ok(content) if theatre::is_trace(&file.name, &content) => {
                    self.state.staged = Some(Staged::Trace(Given {
                        name: file.name,
                        content: Ok(content),
                    }));
                    self.state.route = Some(Route::Denoise);
                }
                content => {
                    self.state.given.push(Given { content, ..file });
                    self.state.route = Some(Route::Race);
                }
            }
            context.request_repaint();
        }
    }

    /// What is to be told now to those who can't see the screen: the bar, or how things stand. `now` is in seconds of a clock
    /// that only goes forward; to be called a few times a second.
    pub fn announcement(&mut self, now: f64) -> Option<String> {
        let status = self.status();
        let line = bar::line(&self.state);
        let bar = line
            .as_ref()
            .map(|line| (line.text, line.grade == Grade::Error));
        self.announcer.look(now, &status, bar)
    }

    /// What goes on, in one line.
    pub fn status(&self) -> String {
        let Some(run) = &self.state.run else {
            return String::new();
        };
        let place = format!(
            "step {} of {}, epoch {}",
            numbers::grouped(run.step),
            numbers::grouped(run.started.steps),
            numbers::epoch(run.epoch())
        );
        match &run.phase {
            Phase::Training => format!("Training: {place}"),
            Phase::Paused => format!("Paused at {place}"),
            Phase::Working(doing) => crate::state::notice::first_upper(doing),
            Phase::Finished(_) => {
                let (unit, scale) = (crate::state::units::Unit::Nats, &run.scale);
                run.verdict().say(unit, scale)
            }
            Phase::Stopped => format!("Stopped at {place}"),
            Phase::Failed { message, .. } => crate::state::notice::first_upper(message),
        }
    }
}

impl eframe::App for App {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        self.show(ui);
    }

    fn logic(&mut self, context: &egui::Context, _frame: &mut eframe::Frame) {
        // A hidden tab goes on listening, so that nothing piles up and its title tells how far the run is.
        let palette = Palette::of(context.theme() == egui::Theme::Dark);
        self.listen(context, palette);
        self.carry_out();
        self.entitle(context);
    }
}
