//! How the model is asked to write: the controls of the command line's flags.

use crossover::lab::{Template, Writing};
use crossover::sample::{Caching, Choice, Parameters, Sampler};
use egui::{ComboBox, DragValue, Key, Response, TextEdit, Ui};

use crate::theatre::Film;
use crate::widgets::explain;

/// What can be set. Zero is automatic where it says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// A beginning, or a text with gaps such as `To be[MASK:8]not`.
    pub prompt: String,
    /// The order in which positions are written.
    pub sampler: &'static str,
    /// Denoising steps.
    pub steps: usize,
    /// Tokens in all; 0: the model's window.
    pub length: usize,
    /// Tokens in a block; 0: as the model was trained.
    pub block: usize,
    /// Divides the logits.
    pub temperature: f64,
    /// Share of the probability that stays in play.
    pub top_p: f64,
    /// Weight of classifier-free guidance.
    pub guidance: f64,
    /// Of `threshold`.
    pub tau: f64,
    /// Of `entropy-bounded`.
    pub gamma: f64,
    /// Of `remdm`.
    pub eta: f64,
    /// Of the random numbers.
    pub seed: u32,
    /// Likeliest tokens that the trace keeps.
    pub alternatives: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prompt: String::new(),
            sampler: Sampler::Ancestral.name(),
            steps: 32,
            length: 0,
            block: 0,
            temperature: 1.0,
            top_p: 1.0,
            guidance: 0.0,
            tau: 0.9,
            gamma: 0.1,
            eta: 0.02,
            seed: 1,
            alternatives: 5,
        }
    }
}

/// Steps that can be chosen for any text; a shorter one takes as many as it has tokens.
const MANY: usize = 64;

/// The samplers' names in flags and in menus.
pub const SAMPLERS: [(&str, &str); 10] = [
    ("ancestral", "Ancestral"),
    ("first-hitting", "First-hitting"),
    ("low-confidence", "Low-confidence"),
    ("random", "Random"),
    ("margin", "Margin"),
    ("entropy", "Entropy"),
    ("threshold", "Threshold"),
    ("entropy-bounded", "Entropy-bounded"),
    ("dream", "Dream"),
    ("remdm", "ReMDM"),
];

/// A sampler's name in menus.
pub fn sampler_title(name: &str) -> &'static str {
    let found = SAMPLERS.iter().find(|(flag, _)| *flag == name);
    found.map_or("Autoregressive", |(_, title)| title)
}

impl Settings {
    /// What is sent to the lab.
    pub fn writing(&self) -> Writing {
        self.with_sampler(self.sampler)
    }

    /// The same with another sampler.
    pub fn with_sampler(&self, name: &str) -> Writing {
        let only = |is_used: bool, value: f64| is_used.then_some(value);
        let chooses = Sampler::new(name, &Parameters::default())
            .is_ok_and(|sampler| sampler.chooses_its_steps());
        Writing {
            sampler: Some(name.to_owned()),
            parameters: Parameters {
                tau: only(name == "threshold", self.tau),
                gamma: only(name == "entropy-bounded", self.gamma),
                eta: only(name == "remdm", self.eta),
                ..Parameters::default()
            },
            steps: (!chooses).then_some(self.steps),
            block_size: (self.block > 0).then_some(self.block),
            choice: Choice {
                temperature: self.temperature,
                top_p: (self.top_p < 1.0).then_some(self.top_p),
                ..Choice::default()
            },
            guidance: (self.guidance > 0.0).then_some(self.guidance),
            top: self.alternatives,
            seed: u64::from(self.seed),
            ..Writing::default()
        }
    }

    /// The same for a model that writes left to right.
    pub fn left_to_right(&self) -> Writing {
        Writing {
            choice: self.writing().choice,
            seed: u64::from(self.seed),
            ..Writing::default()
        }
    }

    /// The same with an approximate cache.
    pub fn cached(&self, cache: Caching) -> Writing {
        Writing {
            cache: Some(cache),
            ..self.writing()
        }
    }

    /// What stands on the page.
    pub fn template(&self) -> Template {
        match self.has_gaps() {
            true => Template::Gaps {
                text: self.prompt.clone(),
            },
            false => Template::Prompt {
                text: self.prompt.clone(),
                length: (self.length > 0).then_some(self.length),
            },
        }
    }

    /// Whether the prompt has gaps.
    pub fn has_gaps(&self) -> bool {
        self.prompt.contains("[MASK:")
    }

    /// The prompt's field. Says whether `Enter` was pressed in it.
    pub fn prompt_field(&mut self, ui: &mut Ui, width: f32) -> bool {
        let field = TextEdit::singleline(&mut self.prompt)
            .desired_width(width)
            .align(egui::Align2::LEFT_CENTER)
            .hint_text("Prompt, or a text with [MASK:8] gaps");
        let response = ui.name_inputs("Prompt", |ui| ui.add(field));
        explain::mark(ui, "a gap", explain::text::GAP);
        response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter))
    }

    /// The samplers' menu.
    pub fn sampler_menu(&mut self, ui: &mut Ui) {
        sampler_menu(ui, "Sampler", &mut self.sampler);
    }

    /// How many steps, where that can be chosen.
    pub fn steps_field(&mut self, ui: &mut Ui, longest: usize) {
        let chooses = self.writing().steps.is_none();
        let default = Self::default().steps;
        ui.add_enabled_ui(!chooses, |ui| {
            figure(ui, "Steps", |ui| {
                let drag = DragValue::new(&mut self.steps)
                    .range(1..=longest.max(MANY))
                    .speed(0.2);
                restore(ui.add(drag), &mut self.steps, default)
            });
        })
        .response
        .on_disabled_hover_text("This sampler takes as many steps as it finds right.");
    }

    /// Everything else.
    pub fn more(&mut self, ui: &mut Ui, context: usize) {
        let own = Self::default();
        let automatic = |name: &'static str| {
            move |value: f64, _: std::ops::RangeInclusive<usize>| match value {
                0.0 => name.to_owned(),
                value => format!("{value:.0}"),
            }
        };
        ui.scope(|ui| {
            figure(ui, "Length", |ui| {
                let drag = DragValue::new(&mut self.length)
                    .range(0..=context)
                    .speed(0.2)
                    .custom_formatter(automatic("Context"));
                restore(ui.add(drag), &mut self.length, own.length)
            });
            figure(ui, "Block", |ui| {
                let drag = DragValue::new(&mut self.block)
                    .range(0..=context)
                    .speed(0.2)
                    .custom_formatter(automatic("Length"));
                restore(ui.add(drag), &mut self.block, own.block)
            });
            decimal(
                ui,
                "Temperature",
                &mut self.temperature,
                0.0..=2.0,
                own.temperature,
            );
            decimal(ui, "Top-p", &mut self.top_p, 0.1..=1.0, own.top_p);
            decimal(ui, "Guidance", &mut self.guidance, 0.0..=4.0, own.guidance);
            match self.sampler {
                "threshold" => decimal(ui, "τ", &mut self.tau, 0.5..=1.0, own.tau),
                "entropy-bounded" => decimal(ui, "γ", &mut self.gamma, 0.0..=2.0, own.gamma),
                "remdm" => decimal(ui, "η", &mut self.eta, 0.0..=0.2, own.eta),
                _ => {}
            }
            figure(ui, "Seed", |ui| {
                let drag = DragValue::new(&mut self.seed).speed(0.2);
                restore(ui.add(drag), &mut self.seed, own.seed)
            });
            figure(ui, "Alternatives kept", |ui| {
                let drag = DragValue::new(&mut self.alternatives)
                    .range(0..=16)
                    .speed(0.1);
                restore(ui.add(drag), &mut self.alternatives, own.alternatives)
            });
        });
    }

    /// One step, which is the cheapest, or 64: one after the other.
    pub fn fewest_or_many(&mut self) {
        self.steps = if self.steps == 1 { MANY } else { 1 };
    }

    /// Asks for the middle third of a text anew.
    pub fn fill_the_middle(&mut self, film: &Film) {
        let tokens = film.tokens(film.last());
        let third = tokens.len() / 3;
        let text = |tokens: &[i64]| -> String {
            let known = tokens.iter().filter(|&&token| token >= 0);
            known.map(|&token| film.token(token)).collect()
        };
        let (before, rest) = tokens.split_at(third);
        let (gap, after) = rest.split_at(rest.len() - third);
        self.prompt = format!("{}[MASK:{}]{}", text(before), gap.len(), text(after));
    }

    /// How many settings are not the default ones.
    pub fn changes(&self) -> usize {
        let own = Self::default();
        let changed = [
            self.length != own.length,
            self.block != own.block,
            self.temperature != own.temperature,
            self.top_p != own.top_p,
            self.guidance != own.guidance,
            self.seed != own.seed,
            self.alternatives != own.alternatives,
        ];
        changed.into_iter().filter(|changed| *changed).count()
    }
}

/// A menu of samplers.
pub fn sampler_menu(ui: &mut Ui, name: &str, sampler: &mut &'static str) {
    ui.label(name);
    ui.name_inputs(name, |ui| {
        ComboBox::from_id_salt(name)
            .selected_text(sampler_title(sampler))
            .show_ui(ui, |ui| {
                for (flag, title) in SAMPLERS {
                    ui.selectable_value(sampler, flag, title);
                }
            });
    });
}

/// A named figure in a row of such.
fn figure(ui: &mut Ui, name: &str, field: impl FnOnce(&mut Ui) -> bool) {
    ui.horizontal(|ui| {
        ui.label(name);
        let changed = ui.name_inputs(name, field);
        if changed {
            ui.label("•")
                .on_hover_text("Not the default; Backspace restores it.");
        }
    });
}

fn decimal(
    ui: &mut Ui,
    name: &str,
    value: &mut f64,
    range: std::ops::RangeInclusive<f64>,
    default: f64,
) {
    figure(ui, name, |ui| {
        let speed = (range.end() - range.start()) / 200.0;
        let drag = DragValue::new(value)
            .range(range)
            .speed(speed)
            .max_decimals(3);
        restore(ui.add(drag), value, default)
    });
}

/// Backspace on a figure that has the focus, and is not being typed, restores it. Says whether it is another than the
/// default.
fn restore<T: PartialEq + Copy>(response: Response, value: &mut T, default: T) -> bool {
    let context = &response.ctx;
    if response.has_focus()
        && !context.text_edit_focused()
        && context.input(|input| input.key_pressed(Key::Backspace))
    {
        *value = default;
    }
    *value != default
}
