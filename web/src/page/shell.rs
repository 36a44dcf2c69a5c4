//! The app as eframe drives it, with what the page wants to know of each picture.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crossover::platform::{self, Instant};
use crossover_web::app::App;
use crossover_web::hook::Hook;

use super::bridge;

/// Between two looks at what the page repeats.
const PAUSE: Duration = Duration::from_millis(250);

/// What has been drawn, whatever it was drawn on.
#[derive(Debug, Default)]
pub struct Drawn {
    frames: u64,
    /// Milliseconds.
    longest: f64,
}

/// The app and what has been drawn: they outlive a drawing context.
pub struct Kept {
    /// The app.
    pub app: App,
    /// Whether the next picture panics: for tests.
    pub panics: bool,
    drawn: Drawn,
    opened: Instant,
}

impl Kept {
    /// An app that has drawn nothing.
    pub fn new(app: App) -> Self {
        Self {
            app,
            drawn: Drawn::default(),
            opened: platform::now(),
            panics: false,
        }
    }

    /// What is on the screen.
    pub fn hook(&self) -> Hook {
        let mut hook = self.app.hook();
        hook.counters.frames = self.drawn.frames;
        hook.counters.longest = self.drawn.longest;
        hook
    }
}

/// The app on one drawing context.
pub struct Shell {
    kept: Rc<RefCell<Kept>>,
    frames: u64,
    looked: Option<Instant>,
    dark: Option<bool>,
}

impl Shell {
    /// Draws this app.
    pub fn new(kept: Rc<RefCell<Kept>>) -> Self {
        Self {
            kept,
            frames: 0,
            looked: None,
            dark: None,
        }
    }

    fn look(&mut self) {
        if self.looked.is_some_and(|looked| looked.elapsed() < PAUSE) {
            return;
        }
        self.looked = Some(platform::now());
        let mut kept = self.kept.borrow_mut();
        bridge::title(kept.app.title());
        let now = kept.opened.elapsed().as_secs_f64();
        if let Some(words) = kept.app.announcement(now) {
            bridge::say(&words);
        }
        let hook = kept.hook();
        let saved = hook.run.and_then(|run| run.saved);
        bridge::saved(saved.map(|step| step as f64));
    }
}

impl eframe::App for Shell {
    fn logic(&mut self, ctx: &egui::Context, frame: &mut eframe::Frame) {
        self.kept.borrow_mut().app.logic(ctx, frame);
        self.look();
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        if self.frames == 1 {
            bridge::shown();
        } else if self.frames == 0 {
            ui.ctx().request_repaint();
        }
        self.frames += 1;
        let dark = ui.visuals().dark_mode;
        if self.dark.replace(dark) != Some(dark) {
            bridge::theme(dark);
        }
        let mut kept = self.kept.borrow_mut();
        assert!(!kept.panics, "a test asked the page to panic");
        kept.drawn.frames += 1;
        let took = f64::from(frame.info().cpu_usage.unwrap_or_default()) * 1e3;
        kept.drawn.longest = kept.drawn.longest.max(took);
        kept.app.ui(ui, frame);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        self.kept.borrow_mut().app.save(storage);
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        self.kept.borrow().app.clear_color(visuals)
    }

    fn raw_input_hook(&mut self, ctx: &egui::Context, input: &mut egui::RawInput) {
        self.kept.borrow_mut().app.raw_input_hook(ctx, input);
    }
}
