//! The Inspect screen, used without a lab.

use crossover::lab::{Attention, Command};
use crossover::objective::Objective;
use crossover::train::RunConfig;
use egui::Theme;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::figures::measured;
use super::*;
use crate::link::Desk;
use crate::state::State;
use crate::theatre::Onstage;
use crate::theme::Tone;

struct House {
    screen: Inspect,
    state: State,
    desk: Desk,
}

impl House {
    fn hear(&mut self, event: &Event) {
        let mut context = Context {
            state: &mut self.state,
            desk: &mut self.desk,
            palette: Palette::LIGHT,
        };
        self.screen.on_event(event, &mut context);
    }

    fn answer(&mut self, request: u64, answer: Answer, last: bool) {
        self.hear(&Event::Answer {
            request,
            answer: Box::new(answer),
            last,
        });
    }

    fn asked(&mut self) -> Vec<(u64, Request)> {
        let commands = self.desk.take().into_iter();
        commands
            .filter_map(|command| match command {
                Command::Ask { request, what } => Some((request, what)),
                _ => None,
            })
            .collect()
    }
}

const AR: &str = "runs/grids/checkpoints/best-ar.safetensors";
const MASKED: &str = "runs/grids/checkpoints/best-masked.safetensors";

fn run() -> RunSummary {
    RunSummary {
        run: "runs/grids".to_owned(),
        config: RunConfig::default(),
        parameters: 1,
        steps: 10,
        step: 10,
        saved: 10,
        outcome: None,
        checkpoints: vec![AR.to_owned(), MASKED.to_owned()],
        bytes: 1,
    }
}

fn harness(theme: Theme, size: [f32; 2]) -> Harness<'static, House> {
    let house = House {
        screen: Inspect::default(),
        state: State {
            keys_act: true,
            ..State::default()
        },
        desk: Desk::default(),
    };
    Harness::builder()
        .with_size(vec2(size[0], size[1]))
        .with_theme(theme)
        .with_max_steps(40)
        .build_ui_state(
            move |ui, house: &mut House| {
                let tone = match theme {
                    Theme::Dark => Tone::Dark,
                    Theme::Light => Tone::Light,
                };
                crate::theme::style::apply(ui.ctx(), tone, 100.0, true, false);
                let palette = Palette::of(theme == Theme::Dark);
                let frame = egui::Frame::new()
                    .fill(palette.background)
                    .inner_margin(12.0);
                egui::CentralPanel::default().frame(frame).show(ui, |ui| {
                    let mut context = Context {
                        state: &mut house.state,
                        desk: &mut house.desk,
                        palette,
                    };
                    house.screen.ui(ui, &mut context);
                });
            },
            house,
        )
}

/// With a run, and a question under way.
fn measuring(theme: Theme, size: [f32; 2]) -> (Harness<'static, House>, u64) {
    let mut harness = harness(theme, size);
    harness.run();
    harness.state_mut().screen.sequences = 64;
    let asked = harness.state_mut().asked();
    let [(listing, Request::Runs)] = asked[..] else {
        panic!("{asked:?}");
    };
    let runs = Answer::Runs { runs: vec![run()] };
    harness.state_mut().answer(listing, runs, true);
    harness.run();
    harness.get_by_label("Measure").click();
    harness.run();
    let asked = harness.state_mut().asked();
    let [(request, Request::Measure { models, run, .. })] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert_eq!((models.len(), run.as_str()), (2, "runs/grids"));
    (harness, *request)
}

fn answer(sequences: usize) -> Answer {
    Answer::Measured(Measured {
        sequences,
        models: vec![
            measured(AR, Objective::Autoregressive),
            measured(MASKED, Objective::Masked),
        ],
    })
}

#[test]
fn without_runs_it_says_so() {
    let mut harness = harness(Theme::Light, [1280.0, 800.0]);
    harness.run();
    let asked = harness.state_mut().asked();
    harness
        .state_mut()
        .answer(asked[0].0, Answer::Runs { runs: Vec::new() }, true);
    harness.run();
    let empty = "Train or open a model to measure it.";
    assert!(harness.query_by_label(empty).is_some());
}

#[test]
fn parts_are_shown_with_their_n() {
    let (mut harness, request) = measuring(Theme::Light, [1280.0, 800.0]);
    harness.state_mut().answer(request, answer(8), false);
    harness.run();
    let partial = "Measuring: n = 8 of 64 sequences";
    assert!(harness.query_by_label(partial).is_some());
    harness.state_mut().answer(request, answer(64), true);
    harness.run();
    assert!(harness.query_by_label("n = 64 sequences").is_some());
    assert!(harness.state().screen.pace.is_some());
}

#[test]
fn t_shows_every_chart_as_a_table() {
    let (mut harness, request) = measuring(Theme::Light, [1280.0, 800.0]);
    harness.state_mut().answer(request, answer(64), true);
    harness.run();
    assert_eq!(harness.query_all_by_label("± SE").count(), 0);
    harness.key_press(Key::T);
    harness.run();
    // One head for each line: one of mask ratios, two of positions, two of calibration.
    assert_eq!(harness.query_all_by_label("± SE").count(), 5);
    harness.key_press(Key::T);
    harness.run();
    assert_eq!(harness.query_all_by_label("± SE").count(), 0);
}

#[test]
fn what_can_t_be_measured_is_said_verbatim() {
    let (mut harness, request) = measuring(Theme::Light, [1280.0, 800.0]);
    harness.state_mut().hear(&Event::Refused {
        request,
        message: "Too few held-out sequences (3).".to_owned(),
        hint: None,
    });
    harness.run();
    let told = "Too few held-out sequences (3).";
    assert!(harness.query_by_label(told).is_some());
}

fn with_attention(harness: &mut Harness<'static, House>) {
    let texts: Vec<String> = "Once upon a time".chars().map(String::from).collect();
    let length = texts.len();
    harness.state_mut().state.theatre = Some(Onstage {
        tokens: vec![0; length],
        texts,
    });
    harness.run();
    harness.state_mut().asked();
    harness
        .get_by_label_contains("Read layer 0")
        .click_accesskit();
    harness.run();
    let asked = harness.state_mut().asked();
    let [(request, Request::Attention { .. })] = asked[..] else {
        panic!("{asked:?}");
    };
    let head = (0..length).map(|query| {
        let near = |key: usize| (-((query as f32 - key as f32) / 3.0).powi(2)).exp();
        let seen = (0..length).map(|key| if key <= query { near(key) } else { 0.0 });
        let sum: f32 = seen.clone().sum();
        seen.map(|weight| weight / sum).collect()
    });
    let attention = Attention {
        layers: 4,
        heads: vec![head.collect(); 4],
    };
    harness
        .state_mut()
        .answer(request, Answer::Attention(attention), true);
    harness.run();
}

#[test]
fn attention_waits_for_a_pause() {
    let (mut harness, _) = measuring(Theme::Light, [1280.0, 800.0]);
    with_attention(&mut harness);
    assert!(harness.query_by_label_contains("looks at").is_some());
    harness.state_mut().screen.is_running = true;
    harness.run();
    let note = "Pause the run to read attention.";
    assert!(harness.query_by_label(note).is_some());
    harness.state_mut().hear(&Event::Paused { step: 3 });
    harness.run();
    assert!(harness.query_by_label(note).is_none());
}

/// For people to look at.
#[test]
fn pictures() {
    for (theme, tone) in [(Theme::Light, "light"), (Theme::Dark, "dark")] {
        for (width, height) in [(1280.0, 800.0), (390.0, 844.0)] {
            let (mut harness, request) = measuring(theme, [width, height]);
            harness.state_mut().answer(request, answer(64), true);
            harness.run();
            with_attention(&mut harness);
            let mut folder = std::env::current_exe().unwrap();
            folder.pop();
            folder.pop();
            let folder = folder.join("pictures");
            std::fs::create_dir_all(&folder).unwrap();
            let image = harness.render().unwrap();
            image
                .save(folder.join(format!("inspect-{tone}-{width}.png")))
                .unwrap();
        }
    }
}
