//! The frame around the screens.

use std::time::Duration;

use crossover::lab::Event;

use crate::hook::Hook;
use crate::link::{Compute, Desk, Supervisor};
use crate::screens::{Context, Denoise, Device, Inspect, Race, Runs, Screen};
use crate::state::State;
use crate::theme::Palette;

/// The app.
pub struct App {
    supervisor: Supervisor,
    desk: Desk,
    state: State,
    screens: Vec<Box<dyn Screen>>,
    shown: usize,
}

impl App {
    /// Opens the app and its lab.
    pub fn new(context: &egui::Context) -> Self {
        let repaint = context.clone();
        Self {
            supervisor: Supervisor::open(Compute::Auto, move || repaint.request_repaint()),
            desk: Desk::default(),
            state: State::default(),
            screens: vec![
                Box::<Race>::default(),
                Box::<Denoise>::default(),
                Box::<Inspect>::default(),
                Box::<Runs>::default(),
                Box::<Device>::default(),
            ],
            shown: 0,
        }
    }

    /// What is on the screen.
    pub fn hook(&self) -> Hook {
        let mut hook = Hook {
            screen: self.screens[self.shown].title().to_owned(),
            ..Hook::default()
        };
        for screen in &self.screens {
            screen.describe(&mut hook);
        }
        hook
    }

    fn hear(&mut self, event: &Event, palette: &Palette) {
        self.state.fold(event);
        let mut context = Context {
            state: &mut self.state,
            desk: &mut self.desk,
            palette,
        };
        for screen in &mut self.screens {
            screen.on_event(event, &mut context);
        }
    }
}

impl eframe::App for App {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let palette = Palette::of(ui.visuals().dark_mode);
        let now = ui.input(|input| input.time);
        for event in self.supervisor.poll(now) {
            self.hear(&event, palette);
        }
        // A worker that fell silent is noticed only by looking.
        ui.ctx().request_repaint_after(Duration::from_secs(1));
        egui::CentralPanel::default().show(ui, |ui| {
            if let Some(notice) = self.supervisor.notices().last().cloned() {
                ui.horizontal(|ui| {
                    ui.label(&notice.text);
                    for action in &notice.actions {
                        if ui.button(action.label()).clicked() {
                            self.supervisor.act(notice.id, *action);
                        }
                    }
                });
            }
            ui.horizontal(|ui| {
                for (index, screen) in self.screens.iter().enumerate() {
                    ui.selectable_value(&mut self.shown, index, screen.title());
                }
            });
            let mut context = Context {
                state: &mut self.state,
                desk: &mut self.desk,
                palette,
            };
            self.screens[self.shown].ui(ui, &mut context);
        });
        for command in self.desk.take() {
            self.supervisor.send(command);
        }
    }
}
