//! The theatre, used without a lab.

use std::path::PathBuf;

use crossover::lab::{Answer, Command, Event, Request, Template};
use egui::{Key, Modifiers, Theme, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};

use super::*;
use crate::link::Desk;
use crate::link::files::Given;
use crate::state::State;
use crate::theatre::Look;
use crate::theatre::tests::{square, story, trace_of};
use crate::theme::Tone;
use crate::widgets::cell::paint;
use crate::widgets::legend::sample;

/// The screen with what it is given.
struct House {
    theatre: Denoise,
    state: State,
    desk: Desk,
}

impl House {
    fn new(trace: Trace) -> Self {
        let mut theatre = Denoise::default();
        theatre.present(trace, Source::Live, None);
        theatre.start = None;
        theatre.compare.kind = compare::Kind::Off;
        Self {
            theatre,
            state: awake(),
            desk: Desk::default(),
        }
    }

    fn hear(&mut self, event: &Event) {
        let mut context = Context {
            state: &mut self.state,
            desk: &mut self.desk,
            palette: Palette::LIGHT,
        };
        self.theatre.on_event(event, &mut context);
    }

    fn tick(&mut self) {
        let mut context = Context {
            state: &mut self.state,
            desk: &mut self.desk,
            palette: Palette::LIGHT,
        };
        self.theatre.tick(&egui::Context::default(), &mut context);
    }

    /// The texts that were asked for.
    fn asked(&mut self) -> Vec<(u64, Template)> {
        let commands = self.desk.take().into_iter();
        commands
            .filter_map(|command| match command {
                Command::Ask {
                    request,
                    what: Request::Write { template, .. },
                } => Some((request, template)),
                _ => None,
            })
            .collect()
    }
}

fn awake() -> State {
    State {
        keys_act: true,
        ..State::default()
    }
}

fn played<'a>(house: House, size: [f32; 2], theme: Theme) -> Harness<'a, House> {
    Harness::builder()
        .with_size(vec2(size[0], size[1]))
        .with_theme(theme)
        .with_max_steps(40)
        .build_ui_state(
            |ui, house: &mut House| {
                crate::theme::style::apply(ui.ctx(), tone(ui), 100.0, true, false);
                let palette = Palette::of(ui.visuals().dark_mode);
                let frame = egui::Frame::new()
                    .fill(palette.background)
                    .inner_margin(12.0);
                egui::CentralPanel::default().frame(frame).show(ui, |ui| {
                    let mut context = Context {
                        state: &mut house.state,
                        desk: &mut house.desk,
                        palette,
                    };
                    house.theatre.ui(ui, &mut context);
                });
            },
            house,
        )
}

fn tone(ui: &Ui) -> Tone {
    match ui.visuals().dark_mode {
        true => Tone::Dark,
        false => Tone::Light,
    }
}

fn of(trace: Trace) -> Harness<'static, House> {
    let mut harness = played(House::new(trace), [1280.0, 800.0], Theme::Light);
    harness.run();
    harness
}

fn press(harness: &mut Harness<'_, House>, key: Key) {
    harness.key_press(key);
    harness.run_steps(3);
}

fn shown(harness: &Harness<'_, House>) -> Vec<(String, Option<u32>)> {
    let mut hook = Hook::default();
    harness.state().theatre.describe(&mut hook);
    let cells = hook.theatre.unwrap().cells.into_iter();
    cells.map(|cell| (cell.state, cell.id)).collect()
}

fn save(harness: &mut Harness<'_, House>, name: &str) {
    let mut folder: PathBuf = std::env::current_exe().unwrap();
    folder.pop();
    folder.pop();
    let folder = folder.join("pictures");
    std::fs::create_dir_all(&folder).unwrap();
    let image = harness.render().unwrap();
    image.save(folder.join(format!("{name}.png"))).unwrap();
}

/// Acceptance 24.
#[test]
fn scrubbing_to_a_step_shows_that_line_of_the_trace() {
    let trace = story();
    let mut harness = of(trace.clone());
    press(&mut harness, Key::Home);
    for step in &trace.steps {
        press(&mut harness, Key::Period);
        let state = harness.state().theatre.state();
        assert_eq!(state, step.step);
        let ids: Vec<Option<u32>> = shown(&harness).into_iter().map(|(_, id)| id).collect();
        let line: Vec<Option<u32>> = step
            .tokens
            .iter()
            .map(|&token| u32::try_from(token).ok())
            .collect();
        assert_eq!(ids, line);
        for (position, &token) in step.tokens.iter().enumerate() {
            let prefix = format!("position {position}: ");
            let mut cells =
                harness.query_all(egui_kittest::kittest::By::new().label_contains(prefix.as_str()));
            let label = cells.next().unwrap().accesskit_node().label().unwrap();
            let is_masked = label.contains("masked") || label.contains("draft");
            assert_eq!(is_masked, token == MASK, "{label}");
        }
    }
    harness.state_mut().theatre.scrub(0);
    press(&mut harness, Key::End);
    let film = harness.state().theatre.film().unwrap();
    assert_eq!(
        film.text(harness.state().theatre.state()),
        trace.footer.text
    );
}

/// Acceptance 24, by the slider.
#[test]
fn the_timeline_is_the_same_playhead() {
    let mut harness = of(story());
    harness.get_by_label("Step").focus();
    harness.run();
    press(&mut harness, Key::ArrowLeft);
    assert_eq!(harness.state().theatre.state(), 4);
    assert!(harness.query_all_by_label("step 4 of 5").count() > 0);
}

/// Acceptance 25.
#[test]
fn every_key_works_without_a_pointer() {
    let moves: Vec<Vec<(usize, i64)>> = (0..25).map(|at| vec![(at, (at % 2) as i64)]).collect();
    let moves: Vec<&[(usize, i64)]> = moves.iter().map(Vec::as_slice).collect();
    let mut harness = of(trace_of(&["a", "b"], &[MASK; 25], &moves));
    let state = |harness: &Harness<'_, House>| harness.state().theatre.state();
    press(&mut harness, Key::Home);
    assert_eq!(state(&harness), 0);
    press(&mut harness, Key::PageDown);
    assert_eq!(state(&harness), 10);
    press(&mut harness, Key::PageUp);
    press(&mut harness, Key::Period);
    press(&mut harness, Key::Period);
    press(&mut harness, Key::Comma);
    assert_eq!(state(&harness), 1);
    press(&mut harness, Key::Space);
    assert!(harness.state().theatre.player.is_playing());
    press(&mut harness, Key::Space);
    assert!(!harness.state().theatre.player.is_playing());
    press(&mut harness, Key::Plus);
    assert_eq!(harness.state().theatre.player.speed(), 16);
    press(&mut harness, Key::Minus);
    assert_eq!(harness.state().theatre.player.speed(), 8);
    press(&mut harness, Key::D);
    assert!(!harness.state().theatre.drafts);
    press(&mut harness, Key::C);
    assert_eq!(harness.state().theatre.colour(), Colour::Confidence);
    press(&mut harness, Key::End);
    assert_eq!(state(&harness), 25);

    harness
        .get(egui_kittest::kittest::By::new().label_contains("position 0:"))
        .focus();
    harness.run();
    press(&mut harness, Key::ArrowRight);
    press(&mut harness, Key::ArrowRight);
    press(&mut harness, Key::ArrowLeft);
    assert_eq!(harness.state().theatre.selected(), 1);
    press(&mut harness, Key::P);
    assert_eq!(harness.state().theatre.edits.get(1), Some(1));
    press(&mut harness, Key::ArrowRight);
    press(&mut harness, Key::Delete);
    assert_eq!(harness.state().theatre.edits.get(2), Some(MASK));
    press(&mut harness, Key::ArrowRight);
    press(&mut harness, Key::E);
    harness.run();
    harness.event(egui::Event::Text("b".to_owned()));
    harness.run();
    press(&mut harness, Key::Enter);
    harness.run();
    assert_eq!(harness.state().theatre.edits.get(3), Some(1));
    assert_eq!(shown(&harness)[2].0, "remasked");
    harness.state_mut().asked();
    press(&mut harness, Key::B);
    let asked = harness.state_mut().asked();
    let [(_, Template::Branch { step, edits, .. })] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert_eq!((*step, edits.len()), (25, 3), "{edits:?}");
}

/// Acceptance 26.
#[test]
fn the_inspector_says_what_the_trace_does() {
    let trace = story();
    let mut harness = of(trace.clone());
    for (state, position) in [(2, 4), (4, 3), (5, 7)] {
        harness.state_mut().theatre.scrub(state);
        harness.state_mut().theatre.selected = position;
        harness.run();
        let top = &trace.steps[state - 1].top.as_ref().unwrap()[position];
        for (_, share) in top {
            assert!(
                harness.query_all_by_label(&format!("{share:.3}")).count() > 0,
                "step {state}, position {position}: {share:.3}"
            );
        }
        let entropy = trace.steps[state - 1].entropy[position];
        assert!(
            harness
                .query_by_label(&format!("{entropy:.3} nats"))
                .is_some()
        );
    }
    let mut bare = trace;
    for step in &mut bare.steps {
        step.top = None;
    }
    let harness = of(bare);
    let note = "This trace has no alternatives. Denoise again with 'Alternatives kept' above 0.";
    assert!(harness.query_by_label(note).is_some());
}

/// Acceptance 23.
#[test]
fn looks_differ_without_colours() {
    const SIDE: f32 = 40.0;
    for theme in [Theme::Light, Theme::Dark] {
        let mut harness = Harness::builder()
            .with_size(vec2(SIDE * Look::ALL.len() as f32, SIDE))
            .with_theme(theme)
            .build_ui(move |ui| {
                let palette = Palette::of(theme == Theme::Dark);
                let whole = ui.ctx().content_rect();
                ui.painter().rect_filled(whole, 0.0, palette.panel);
                for (index, look) in Look::ALL.into_iter().enumerate() {
                    let corner = egui::pos2(index as f32 * SIDE, 0.0);
                    let place = egui::Rect::from_min_size(corner, vec2(SIDE, SIDE)).shrink(4.0);
                    paint(ui.painter(), place, &sample(look), 18.0, palette);
                }
            });
        harness.run();
        let image = harness.render().unwrap();
        let side = SIDE as u32;
        let grey = |index: u32| -> Vec<f32> {
            (0..side * side)
                .map(|at| {
                    let pixel = image.get_pixel(index * side + at % side, at / side);
                    let [r, g, b, _] = pixel.0.map(f32::from);
                    0.2126 * r + 0.7152 * g + 0.0722 * b
                })
                .collect()
        };
        let looks: Vec<Vec<f32>> = (0..Look::ALL.len() as u32).map(grey).collect();
        for (a, one) in looks.iter().enumerate() {
            for (b, other) in looks.iter().enumerate().take(a) {
                let pixels = one.iter().zip(other);
                let clear = pixels
                    .filter(|(one, other)| (*one - *other).abs() > 40.0)
                    .count();
                assert!(
                    clear > 40,
                    "{:?} and {:?} differ in {clear} pixels",
                    Look::ALL[a],
                    Look::ALL[b]
                );
            }
        }
    }
}

/// Acceptance 29, as it is shown.
#[test]
fn corruption_hides_more_and_more() {
    let mut harness = of(story());
    let masked = |harness: &mut Harness<'_, House>, share: f64| -> Vec<usize> {
        harness.state_mut().theatre.corruption.is_on = true;
        harness.state_mut().theatre.corruption.share = share;
        harness.run();
        let cells = (0..8).filter(|position| {
            let prefix = format!("position {position}: masked");
            harness
                .query_all(egui_kittest::kittest::By::new().label(prefix.as_str()))
                .count()
                > 0
        });
        cells.collect()
    };
    assert!(masked(&mut harness, 0.0).is_empty());
    let mut before = Vec::new();
    for share in [0.2, 0.5, 0.8] {
        let now = masked(&mut harness, share);
        assert!(before.iter().all(|position| now.contains(position)));
        assert!(now.len() > before.len());
        before = now;
    }
    assert_eq!(masked(&mut harness, 1.0).len(), 8);
}

#[test]
fn nothing_is_drawn_while_nothing_moves() {
    let mut harness = played(House::new(story()), [1280.0, 800.0], Theme::Light);
    // Fails where it is never done.
    harness.run();
    press(&mut harness, Key::Home);
    press(&mut harness, Key::Space);
    // Five states at eight steps a second, at four frames a second and more: none is left out, the last one stays.
    for _ in 0..200 {
        harness.step();
    }
    assert_eq!(harness.state().theatre.state(), 5);
    harness.run();
}

#[test]
fn the_recording_gives_way_to_what_the_bundled_model_writes_unless_it_was_touched() {
    let written = |request: u64| Event::Answer {
        request,
        answer: Box::new(Answer::Written {
            trace: story().to_json_lines().unwrap(),
        }),
        last: true,
    };
    let source = |house: &House| {
        let mut hook = Hook::default();
        house.theatre.describe(&mut hook);
        hook.theatre.unwrap().source
    };
    for touched in [false, true] {
        let mut house = House::new(story());
        house.theatre = Denoise::default();
        house.tick();
        assert_eq!(house.asked(), [], "there is no lab yet");
        house.state.device = Some(crate::link::DeviceInfo::default());
        house.tick();
        let asked = house.asked();
        let [(request, Template::Prompt { .. })] = asked.as_slice() else {
            panic!("one text: {asked:?}");
        };
        house.tick();
        assert_eq!(house.asked(), [], "once is enough");
        assert_eq!(source(&house), "recorded");
        if touched {
            house.theatre.edits.toggle(0, MASK);
        }
        house.hear(&written(*request));
        assert_eq!(source(&house), if touched { "recorded" } else { "live" });
    }
}

#[test]
fn a_text_is_asked_for_and_played() {
    let mut harness = of(story());
    harness.state_mut().asked();
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    harness.run_steps(3);
    let asked = harness.state_mut().asked();
    let [(request, Template::Prompt { .. })] = &asked[..] else {
        panic!("{asked:?}");
    };
    let trace = square().to_json_lines().unwrap();
    harness.state_mut().hear(&Event::Answer {
        request: *request,
        answer: Box::new(Answer::Written { trace }),
        last: true,
    });
    assert_eq!(harness.state().theatre.state(), 0);
    assert!(harness.state().theatre.player.is_playing());
    for _ in 0..200 {
        harness.step();
    }
    assert_eq!(harness.state().theatre.state(), 3);
    assert!(harness.query_by_label_contains("Broken").is_some());
    harness.state_mut().hear(&Event::Refused {
        request: 99,
        message: "of somebody else".to_owned(),
        hint: None,
    });
    assert_eq!(harness.state().theatre.message, None);
}

/// The ideas change settings and ask for nothing.
#[test]
fn ideas_only_change_settings() {
    let mut harness = of(story());
    harness.state_mut().asked();
    let text = story().footer.text;
    for steps in [1, 64, 1] {
        harness.get_by_label("1 step or 64").click();
        harness.run();
        assert_eq!(harness.state().theatre.settings.steps, steps);
    }
    harness.get_by_label("Fill the middle").click();
    harness.run();
    let prompt = harness.state().theatre.settings.prompt.clone();
    let (before, after) = prompt.split_once("[MASK:4]").unwrap();
    assert!(
        text.starts_with(before) && text.ends_with(after),
        "{prompt}"
    );
    assert!(harness.state_mut().asked().is_empty());
    harness.get_by_label("What is a gap?").click();
    harness.run();
    let told = "A fixed number of cells: this model cannot insert more.";
    assert!(harness.query_by_label(told).is_some());
}

#[test]
fn a_branch_without_changes_repeats_its_parent() {
    let mut trace = story();
    trace.header.sampler.name = "ancestral".to_owned();
    let mut harness = of(trace.clone());
    harness.state_mut().theatre.scrub(3);
    press(&mut harness, Key::B);
    assert_eq!(harness.state().theatre.takes.list().len(), 2);
    assert!(harness.query_by_label("Branch 1 @3").is_some());
    press(&mut harness, Key::End);
    let film = harness.state().theatre.film().unwrap();
    assert_eq!(film.tokens(5), trace.steps[4].tokens);
    harness.get_by_label("Close Branch 1 @3").click();
    harness.run();
    assert_eq!(harness.state().theatre.takes.list().len(), 1);
}

#[test]
fn people_who_want_no_motion_see_the_end() {
    let house = House {
        theatre: Denoise::starting_at(Some(7)),
        state: awake(),
        desk: Desk::default(),
    };
    let mut harness = played(house, [1280.0, 800.0], Theme::Light);
    harness.run();
    let theatre = &harness.state().theatre;
    assert_eq!(theatre.state(), theatre.player.last());
    assert!(theatre.player.last() > 7 && !theatre.player.is_playing());
}

/// Acceptance 30, as far as a theatre without a lab goes.
#[test]
fn ar_stands_beside_with_both_costs() {
    let mut harness = of(story());
    harness.state_mut().theatre.model = Chosen::Bundled;
    harness.state_mut().theatre.compare.kind = compare::Kind::Ar;
    harness.state_mut().asked();
    harness.run();
    let asked = harness.state_mut().asked();
    let [(request, Template::Tokens { tokens })] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert_eq!(*tokens, story().header.prompt);
    let mut other = story();
    other.footer.model_calls = 8;
    harness.state_mut().hear(&Event::Answer {
        request: *request,
        answer: Box::new(Answer::Written {
            trace: other.to_json_lines().unwrap(),
        }),
        last: true,
    });
    harness.run();
    assert!(harness.query_by_label("AR").is_some());
    let costs = harness.get_by_label_contains("Above: 5 model calls");
    let costs = costs.accesskit_node().value().unwrap_or_default();
    assert!(costs.contains("AR: 8 model calls"), "{costs}");
    // It is asked for once.
    harness.run();
    assert!(harness.state_mut().asked().is_empty());
}

#[test]
fn a_file_that_is_no_trace_changes_nothing() {
    let mut harness = of(story());
    let before = harness.state().theatre.film().cloned();
    harness.state().theatre.files.put(Given {
        name: "x.jsonl".to_owned(),
        content: Ok(b"{}".to_vec()),
    });
    harness.run();
    assert_eq!(harness.state().theatre.film().cloned(), before);
    assert!(harness.query_by_label_contains("x.jsonl").is_some());
    let trace = square().to_json_lines().unwrap();
    harness.state().theatre.files.put(Given {
        name: "square.jsonl".to_owned(),
        content: Ok(trace.into_bytes()),
    });
    harness.run();
    assert_eq!(harness.state().theatre.film().unwrap().length(), 9);
    assert!(harness.query_by_label("File").is_some());
}

/// For people to look at.
#[test]
fn pictures() {
    for (theme, tone) in [(Theme::Light, "light"), (Theme::Dark, "dark")] {
        for (width, height) in [(1280.0, 800.0), (390.0, 844.0)] {
            let house = House {
                theatre: Denoise::default(),
                state: awake(),
                desk: Desk::default(),
            };
            let mut harness = played(house, [width, height], theme);
            harness.run();
            harness.state_mut().theatre.scrub(13);
            harness.state_mut().theatre.selected = 22;
            harness.run();
            save(&mut harness, &format!("denoise-{tone}-{width}"));
            if width > 400.0 {
                harness.state_mut().theatre.colour = Colour::Confidence;
                harness.state_mut().theatre.more = true;
                harness.run();
                save(&mut harness, &format!("denoise-{tone}-confidence"));
            }
            let mut harness = played(House::new(square()), [width, height], theme);
            harness.run();
            save(&mut harness, &format!("square-{tone}-{width}"));
            let mut harness = played(House::new(story()), [width, height], theme);
            harness.run();
            harness.state_mut().theatre.scrub(4);
            harness.run();
            save(&mut harness, &format!("story-{tone}-{width}"));
        }
    }
}
