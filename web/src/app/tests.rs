//! The app as people meet it: by pointer, by keys, by what a screen reader is told.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use crossover::lab::{Command, Event, Plan, Request};
use crossover::objective::Objective;
use egui::{Key, Modifiers, vec2};
use egui_kittest::kittest::{NodeT, Queryable};
use egui_kittest::{Harness, Node};

use super::App;
use crate::link::files::Notes;
use crate::state::units::Axis;
use crate::state::{Preferences, recorded};
use crate::theme::{Motion, Palette, Tone};

type Shown = Harness<'static, App>;

/// What the field that guards the reset is labelled by.
const RESET: &str = "To remove every run and text, type reset:";

/// What the lab told of the recorded race.
fn recorded_events() -> Vec<Event> {
    include_str!("../../recorded/race.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn device() -> crate::link::DeviceInfo {
    crate::link::DeviceInfo {
        badge: "GPU: Reference adapter".to_owned(),
        description: "wgpu on a reference adapter".to_owned(),
        gpu: true,
        details: vec![("Backend".to_owned(), "WebGPU".to_owned())],
        ..Default::default()
    }
}

fn app() -> App {
    let mut app = App::without_lab();
    app.state_mut().device = Some(device());
    app.state_mut().preferences.motion = Motion::Reduced;
    app
}

fn shown(app: App, size: egui::Vec2) -> Shown {
    let mut harness = Harness::builder()
        .with_size(size)
        .with_max_steps(16)
        .allow_missing_glyphs()
        .build_ui_state(|ui, app: &mut App| app.show(ui), app);
    harness.run_steps(6);
    harness
}

fn desktop(app: App) -> Shown {
    shown(app, vec2(1280.0, 800.0))
}

/// The recorded race as if it had just run here, up to an event.
fn raced(mut app: App, keep: impl Fn(&Event) -> bool) -> App {
    for mut event in recorded_events().into_iter().filter(keep) {
        if let Event::Started(started) = &mut event {
            started.folder = "runs/mine".to_owned();
        }
        app.hear(&event, Palette::LIGHT);
    }
    app
}

fn halfway(event: &Event) -> bool {
    match event {
        Event::Metrics(metrics) => metrics.step <= 1_300,
        Event::Sample(sample) => sample.step <= 1_300,
        Event::Result(_) => false,
        _ => true,
    }
}

fn named<'a>(harness: &'a Shown, role: egui::Role, label: &'a str) -> Node<'a> {
    harness.get_by_role_and_label(role, label)
}

fn sent(harness: &mut Shown) -> Vec<Command> {
    harness.state_mut().desk_mut().take()
}

fn has_text(harness: &Shown, text: &str) -> bool {
    harness.query_all_by_label_contains(text).next().is_some()
}

#[derive(Debug)]
struct Dropped {
    path: std::path::PathBuf,
    content: Vec<u8>,
}

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &std::path::Path {
        &self.path
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Ok(self.content.clone())
    }
}

fn drop_file(harness: &mut Shown, name: &str, content: Vec<u8>) {
    let path = name.into();
    let file = std::sync::Arc::new(Dropped { path, content });
    harness.input_mut().dropped_files.push(file);
    harness.run_steps(3);
}

#[test]
fn the_main_key_starts_the_default_race_and_nothing_starts_by_itself() {
    let mut harness = desktop(app());
    let starts = |commands: &[Command]| {
        commands
            .iter()
            .filter(|command| matches!(command, Command::Start { .. }))
            .count()
    };
    assert_eq!(starts(&sent(&mut harness)), 0);
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    harness.run_steps(3);
    let commands = sent(&mut harness);
    assert_eq!(starts(&commands), 1, "{commands:?}");
    let config = commands.iter().find_map(|command| match command {
        Command::Start { config, .. } => Some(config.as_ref().clone()),
        _ => None,
    });
    assert_eq!(config, Some(crossover::train::RunConfig::default()));
}

#[test]
fn a_link_fills_settings_and_starts_nothing() {
    let app = app().with_link("https://example.org/play/#v=1&corpus=tales&epochs=7&dropout=0.3");
    let mut harness = desktop(app);
    harness.run_steps(4);
    assert!(
        sent(&mut harness)
            .iter()
            .all(|command| !matches!(command, Command::Start { .. }))
    );
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    harness.run_steps(3);
    let started = sent(&mut harness)
        .into_iter()
        .find_map(|command| match command {
            Command::Start { config, .. } => Some(config),
            _ => None,
        });
    let config = started.unwrap();
    assert_eq!(config.corpus.source, ["tales"]);
    assert_eq!(config.train.epochs, 7.0);
    assert_eq!(config.model.dropout, 0.3);
}

/// What was chosen is there again when the app is opened anew, and forgotten by a reset.
#[test]
fn choices_survive_closing_until_everything_is_reset() {
    let folder = tempfile::tempdir().unwrap();
    let opened = || {
        let app = App::without_lab().keeping(Notes::in_folder(folder.path()));
        let mut harness = desktop(app);
        harness.key_press(Key::Num5);
        harness.state_mut().state_mut().device = Some(device());
        harness.run_steps(3);
        harness
    };
    let mut harness = opened();
    for choice in ["Dark", "Reduced", "Processor"] {
        named(&harness, egui::Role::Button, choice).click();
        harness.run_steps(2);
    }
    harness.key_press(Key::Num1);
    harness.run_steps(2);
    harness.key_press(Key::X);
    harness.run_steps(2);
    let chosen = Preferences {
        tone: Tone::Dark,
        motion: Motion::Reduced,
        compute: crate::link::Compute::Processor,
        axis: Axis::Epochs,
        ..Preferences::default()
    };
    assert_eq!(harness.state_mut().state_mut().preferences, chosen);
    drop(harness);

    let mut harness = opened();
    assert_eq!(harness.state_mut().state_mut().preferences, chosen);
    harness
        .get_by_role_and_label(egui::Role::TextInput, RESET)
        .focus();
    harness.run_steps(2);
    harness.event(egui::Event::Text("reset".to_owned()));
    harness.run_steps(2);
    named(&harness, egui::Role::Button, "Reset everything").click();
    harness.run_steps(3);
    assert_eq!(
        harness.state_mut().state_mut().preferences,
        Preferences::default()
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    // The newest question is the reset's: the Runs screen may have asked before.
    let asked = sent(&mut harness).into_iter().rev();
    let mut asked = asked.filter_map(|command| match command {
        Command::Ask {
            request,
            what: Request::Runs,
        } => Some(request),
        _ => None,
    });
    let answer = Event::Answer {
        request: asked.next().unwrap(),
        answer: Box::new(crossover::lab::Answer::Runs { runs: Vec::new() }),
        last: true,
    };
    harness.state_mut().hear(&answer, Palette::LIGHT);
    let removed = sent(&mut harness).into_iter().any(|command| {
        matches!(command, Command::Ask { what: Request::Remove { run }, .. } if run == "runs/texts")
    });
    assert!(removed);
}

/// A note that another program wrote, or half of one, is as good as none.
#[test]
fn damaged_choices_are_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let notes = || Notes::in_folder(folder.path());
    notes().write(Preferences::NAME, Some("{\"tone\":\"da"));
    let mut app = App::without_lab().keeping(notes());
    assert_eq!(app.state_mut().preferences, Preferences::default());
}

/// A page that was loaded again hears of a run in its middle: the curve begins at the beginning nonetheless.
#[test]
fn a_run_that_goes_on_shows_its_whole_curve() {
    let evaluations = |harness: &Shown| -> Vec<usize> {
        let series = harness.state().hook().series;
        series.iter().map(|series| series.points.len()).collect()
    };
    let whole = evaluations(&desktop(raced(app(), halfway)));
    let mut harness = desktop(app());
    sent(&mut harness);
    let events: Vec<Event> = recorded_events().into_iter().filter(halfway).collect();
    for mut event in events.clone() {
        match &mut event {
            Event::Started(started) => {
                started.folder = "runs/mine".to_owned();
                (started.step, started.done) = (1_000, vec![1_000, 1_000]);
            }
            Event::Metrics(metrics) if metrics.step <= 1_000 => continue,
            _ => {}
        }
        harness.state_mut().hear(&event, Palette::LIGHT);
    }
    assert!(evaluations(&harness)[0] < whole[0] / 2);
    let asked: Vec<(u64, String)> = sent(&mut harness)
        .into_iter()
        .filter_map(|command| match command {
            Command::Ask {
                request,
                what: Request::Read { path },
            } => Some((request, path)),
            _ => None,
        })
        .collect();
    let files: Vec<&str> = asked.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(files, ["runs/mine/metrics.jsonl", "runs/mine/events.jsonl"]);
    let metrics: String = events
        .iter()
        .filter_map(|event| match event {
            Event::Metrics(metrics) => Some(serde_json::to_string(metrics).unwrap() + "\n"),
            _ => None,
        })
        .collect();
    for ((request, path), content) in asked.into_iter().zip([metrics, String::new()]) {
        let answer = Event::Answer {
            request,
            answer: Box::new(crossover::lab::Answer::File {
                name: path,
                content: content.into_bytes(),
            }),
            last: true,
        };
        harness.state_mut().hear(&answer, Palette::LIGHT);
    }
    assert_eq!(evaluations(&harness), whole);
}

/// Who gave a file is told that it can't be read, whatever else is being said.
#[test]
fn a_refused_file_is_told_beside_other_news() {
    let mut harness = desktop(app());
    let news = crate::state::Notice::said("Everything is reset.");
    harness.state_mut().state_mut().notice = Some(news);
    sent(&mut harness);
    drop_file(&mut harness, "cut.safetensors", vec![1, 2, 3]);
    let request = sent(&mut harness)
        .into_iter()
        .find_map(|command| match command {
            Command::Ask {
                request,
                what: Request::Import { .. },
            } => Some(request),
            _ => None,
        });
    let refused = Event::Refused {
        request: request.unwrap(),
        message: "can't read `cut.safetensors`: 3 bytes are no header".to_owned(),
        hint: None,
    };
    harness.state_mut().hear(&refused, Palette::LIGHT);
    harness.run_steps(3);
    assert!(has_text(
        &harness,
        "Can't read cut.safetensors: 3 bytes are no header."
    ));
}

/// Files may be dropped anywhere: what they are decides where they go.
#[test]
fn dropped_files_find_their_screen() {
    let trace = crate::theatre::tests::square().to_json_lines().unwrap();
    let kinds = |commands: Vec<Command>| -> Vec<String> {
        let asked = commands.into_iter().filter_map(|command| match command {
            Command::Ask {
                what: Request::Import { name, .. },
                ..
            } => Some(format!("import {name}")),
            Command::Ask {
                what: Request::Keep { name, .. },
                ..
            } if name != crate::settings::CHAIN_FILE => Some(format!("keep {name}")),
            _ => None,
        });
        asked.collect()
    };
    for key in [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5] {
        let mut harness = desktop(app());
        harness.key_press(key);
        harness.run_steps(3);
        sent(&mut harness);
        drop_file(&mut harness, "square.jsonl", trace.clone().into_bytes());
        let hook = harness.state().hook();
        assert_eq!(hook.screen, "Denoise");
        let theatre = hook.theatre.unwrap();
        assert_eq!((theatre.source.as_str(), theatre.cells.len()), ("file", 9));

        harness.key_press(key);
        harness.run_steps(3);
        let half = &trace.as_bytes()[..trace.len() / 2];
        drop_file(&mut harness, "half.jsonl", half.to_vec());
        assert_eq!(harness.state().hook().screen, "Denoise");
        assert!(has_text(&harness, "half.jsonl"));
        assert_eq!(harness.state().hook().theatre.unwrap().cells.len(), 9);

        harness.key_press(key);
        harness.run_steps(3);
        drop_file(&mut harness, "run.zip", b"PK".to_vec());
        let lines = "{\"text\":\"not a trace\"}\n".repeat(400);
        drop_file(&mut harness, "corpus.jsonl", lines.into_bytes());
        assert_eq!(harness.state().hook().screen, "Race");
        let asked = kinds(sent(&mut harness));
        assert_eq!(asked, ["import run.zip", "keep corpus.jsonl"]);
    }
}

fn given_up() -> crate::link::Notice {
    use crate::link::Action;

    crate::link::Notice {
        id: 1,
        severity: crate::link::Severity::Error,
        text: "GPU failed three times. Run saved at 1,200.".to_owned(),
        more: Some("device lost".to_owned()),
        actions: vec![Action::UseProcessor, Action::Export],
        run: None,
    }
}

/// A phone shows the whole text, and what can be done about it.
#[test]
fn the_bar_has_room_on_a_phone() {
    let mut app = app();
    app.state_mut().told = Some(given_up());
    let harness = shown(app, vec2(360.0, 740.0));
    let text = named(
        &harness,
        egui::Role::Status,
        "GPU failed three times. Run saved at 1,200.",
    );
    for button in ["Use processor", "Export", "Details"] {
        let button = named(&harness, egui::Role::Button, button).rect();
        assert!(button.top() >= text.rect().bottom() - 1.0, "{button:?}");
        assert!(button.right() <= 360.0 && button.height() >= 44.0);
    }
    assert!(text.rect().height() > 30.0, "it wraps: {:?}", text.rect());
}

/// In the app's words, with the checkpoint that is kept: the command line's are for a terminal.
#[test]
fn a_loss_that_is_no_number_is_told_in_place() {
    let mut app = raced(app(), halfway);
    let newest = recorded_events()
        .into_iter()
        .filter(halfway)
        .filter_map(|event| match event {
            Event::Metrics(metrics) if metrics.objective == Objective::Masked => Some(metrics),
            _ => None,
        })
        .next_back();
    let broken = crossover::train::Metrics {
        step: 1_310,
        train_nats: None,
        val_nats: None,
        ..newest.unwrap()
    };
    app.hear(&Event::Metrics(broken), Palette::LIGHT);
    let failed = Event::Failed {
        message: "the masked model's loss became NaN or infinite at step 1310; …".to_owned(),
        hint: Some("start again with a lower learning rate (`--lr`)".to_owned()),
        input: false,
    };
    app.hear(&failed, Palette::LIGHT);
    let told = "Loss became NaN at step 1,310. Kept the best checkpoint (step 1,260). \
        Try a lower learning rate.";
    let harness = desktop(app);
    // In the bar, and over the chart.
    assert!(
        harness
            .query_by_role_and_label(egui::Role::Status, told)
            .is_some()
    );
    assert!(harness.query_all_by_label(told).count() > 1);
}

/// What the bar says has a name and is told, an error even if something else happens before its turn.
#[test]
fn the_bar_is_told_and_found_by_its_text() {
    let mut harness = desktop(raced(app(), halfway));
    let tell = |now: f64, harness: &mut Shown| harness.state_mut().announcement(now);
    let status = tell(0.0, &mut harness).unwrap();
    assert!(status.starts_with("Training: step 1,276 of"), "{status}");
    let lost = "GPU failed three times. Run saved at 1,200.";
    harness.state_mut().state_mut().told = Some(given_up());
    harness.run_steps(2);
    let said = named(&harness, egui::Role::Status, lost);
    assert_eq!(said.accesskit_node().live(), egui::accesskit::Live::Polite);
    assert_eq!(tell(1.0, &mut harness), None);
    let copied = crate::state::Notice::said("The link is on the clipboard.");
    harness.state_mut().state_mut().notice = Some(copied);
    assert_eq!(tell(2.0, &mut harness), None);
    assert_eq!(tell(5.0, &mut harness).as_deref(), Some(lost));
    let told = tell(10.0, &mut harness);
    assert_eq!(told.as_deref(), Some("The link is on the clipboard."));
    assert_eq!(tell(20.0, &mut harness), None);
}

#[test]
fn a_run_under_way_can_be_held_and_stopped_by_key_and_button() {
    let mut harness = desktop(raced(app(), halfway));
    sent(&mut harness);
    harness.key_press(Key::K);
    harness.run_steps(2);
    assert_eq!(sent(&mut harness), [Command::Pause]);
    harness
        .state_mut()
        .hear(&Event::Paused { step: 1_300 }, Palette::LIGHT);
    harness.run_steps(2);
    named(&harness, egui::Role::Button, "Continue").click();
    harness.run_steps(2);
    assert_eq!(sent(&mut harness), [Command::Continue]);
    named(&harness, egui::Role::Button, "Stop and keep").click();
    harness.run_steps(2);
    assert_eq!(sent(&mut harness), [Command::Stop]);
}

#[test]
fn keys_walk_through_the_screens_and_the_list_of_keys_closes() {
    let mut harness = desktop(app());
    assert!(
        harness
            .query_by_role_and_label(egui::Role::Tab, "Race")
            .is_some()
    );
    for (key, screen) in [
        (Key::Num5, "Device"),
        (Key::Num4, "Runs"),
        (Key::Num1, "Race"),
    ] {
        harness.key_press(key);
        harness.run_steps(3);
        assert_eq!(harness.state().hook().screen, screen);
    }
    harness.event(egui::Event::Text("?".to_owned()));
    harness.run_steps(3);
    assert!(has_text(&harness, "Press the main button"));
    harness.key_press(Key::Escape);
    harness.run_steps(3);
    assert!(!has_text(&harness, "Press the main button"));
    harness.state_mut().state_mut().preferences.single_keys = false;
    harness.run_steps(2);
    harness.key_press(Key::Num5);
    harness.run_steps(2);
    assert_eq!(harness.state().hook().screen, "Race");
}

/// Acceptance 8.
#[test]
fn the_verdict_says_so_far_until_the_end() {
    let harness = desktop(raced(app(), halfway));
    assert!(has_text(&harness, "so far"));
    let harness = desktop(raced(app(), |_| true));
    assert!(has_text(
        &harness,
        "Diffusion wins by 0.054 ± 0.003 nats/token (envelope, epoch 68)."
    ));
    assert!(!has_text(&harness, "so far"));
}

/// Acceptance 10: the built-in chain at a context of six tokens.
#[test]
fn the_floor_of_the_reference_chain_is_drawn() {
    let path = std::env::temp_dir().join(crate::settings::CHAIN_FILE);
    std::fs::write(&path, crate::settings::CHAIN).unwrap();
    let corpus = crossover::corpus::CorpusConfig {
        source: vec![format!("markov:{}", path.display())],
        length: Some(6),
        ..Default::default()
    };
    let floor = crossover::corpus::Corpus::load(&corpus, 1)
        .unwrap()
        .floor_nats
        .unwrap();
    assert!((floor - 0.716).abs() <= 0.001, "{floor}");
    let mut events = recorded_events();
    let Event::Started(started) = &mut events[0] else {
        panic!("a race begins");
    };
    started.floor_nats = Some(floor);
    let mut app = app();
    for event in events {
        app.hear(&event, Palette::LIGHT);
    }
    assert!(has_text(&desktop(app), "Floor 0.716"));
}

/// Acceptance 11 and 12 by keys: what the chart is told by follows.
#[test]
fn axes_and_units_change_by_key() {
    let mut harness = desktop(raced(app(), |_| true));
    let chart = |harness: &Shown| {
        let node = harness
            .query_all_by_label_contains("Loss: ")
            .next()
            .unwrap();
        node.accesskit_node().label().unwrap()
    };
    assert!(chart(&harness).contains("tokens"), "{}", chart(&harness));
    harness.key_press(Key::X);
    harness.run_steps(3);
    assert!(chart(&harness).contains("epoch 100"), "{}", chart(&harness));
    let before = chart(&harness);
    harness.key_press(Key::Y);
    harness.run_steps(3);
    assert_ne!(chart(&harness), before);
    assert!(has_text(&harness, "bits/char"));
}

#[test]
fn the_focused_chart_reads_its_values_by_arrow_keys() {
    let mut harness = desktop(raced(app(), |_| true));
    let words = |harness: &Shown| {
        let node = harness
            .query_all_by_label_contains("Loss: ")
            .next()
            .unwrap();
        node.accesskit_node().label().unwrap()
    };
    harness
        .query_all_by_label_contains("Loss: ")
        .next()
        .unwrap()
        .focus();
    harness.run_steps(3);
    harness.key_press(Key::ArrowLeft);
    harness.run_steps(2);
    let last = words(&harness);
    harness.key_press(Key::ArrowLeft);
    harness.run_steps(2);
    assert_ne!(words(&harness), last);
    assert!(
        words(&harness).contains("AR 1.") || words(&harness).contains("AR 0."),
        "{}",
        words(&harness)
    );
}

/// A slider that has the focus goes back to its default.
#[test]
fn backspace_restores_a_default() {
    let mut harness = desktop(app());
    let slider = |harness: &Shown| {
        let node = harness.get_by_role_and_label(egui::Role::Slider, "Epochs");
        node.accesskit_node().numeric_value()
    };
    let before = slider(&harness);
    harness
        .get_by_role_and_label(egui::Role::Slider, "Epochs")
        .focus();
    harness.run_steps(3);
    harness.key_press(Key::ArrowRight);
    harness.run_steps(3);
    assert_ne!(slider(&harness), before);
    harness.key_press(Key::Backspace);
    harness.run_steps(3);
    assert_eq!(slider(&harness), before);
}

#[test]
fn a_picture_is_asked_about_and_cancel_changes_nothing() {
    let mut harness = desktop(app());
    sent(&mut harness);
    let picture = [b"\x89PNG\r\n\x1a\n\0\0".as_slice(), &[7; 9_000]].concat();
    drop_file(&mut harness, "photo.png", picture);
    assert!(has_text(
        &harness,
        "photo.png doesn't look like text. Train on raw bytes?"
    ));
    named(&harness, egui::Role::Button, "Cancel").click();
    harness.run_steps(4);
    assert!(!has_text(&harness, "photo.png"));
    let kept = sent(&mut harness).into_iter().any(|command| {
        matches!(
            command,
            Command::Ask {
                what: Request::Keep { .. },
                ..
            }
        )
    });
    assert!(!kept);
}

/// What comes in above a setting doesn't take its focus away.
#[test]
fn a_plan_is_asked_for_once_the_settings_rest() {
    let mut harness = desktop(app());
    harness.run_steps(8);
    let asked: Vec<u64> = sent(&mut harness)
        .into_iter()
        .filter_map(|command| match command {
            Command::Ask {
                request,
                what: Request::Plan { .. },
            } => Some(request),
            _ => None,
        })
        .collect();
    assert_eq!(asked.len(), 1);
    let plan = Plan {
        config: Default::default(),
        steps: 2_500,
        tokens_per_epoch: 25_000,
        parameters: 445_824,
        flops: 2.7e13,
        seconds: 100.0,
        memory_bytes: 64_000_000,
        critical_epoch: Some(23.0),
    };
    let answer = Event::Answer {
        request: asked[0],
        answer: Box::new(crossover::lab::Answer::Plan(plan)),
        last: true,
    };
    harness
        .get_all_by_role_and_label(egui::Role::Slider, "Width")
        .next()
        .unwrap()
        .focus();
    harness.run_steps(2);
    let focused = harness.ctx.memory(|memory| memory.focused());
    assert!(focused.is_some());
    harness.state_mut().hear(&answer, Palette::LIGHT);
    harness.run_steps(3);
    assert!(has_text(&harness, "≈ 1 m 40 s · 2.7e13 FLOPs · 61 MiB"));
    assert!(has_text(
        &harness,
        "near epoch 23 (extrapolated, ×3 either way)"
    ));
    let news = crate::state::Notice::said("Everything is reset.");
    harness.state_mut().state_mut().notice = Some(news);
    harness.run_steps(3);
    assert!(has_text(&harness, "Everything is reset."));
    assert_eq!(harness.ctx.memory(|memory| memory.focused()), focused);
}

/// A model that can't fit is known before it starts, with what would fit.
#[test]
fn a_model_too_big_is_not_started() {
    let app =
        app().with_link("#v=1&corpus=tales&width=384&layers=8&context=256&batch=128&heads=192");
    let mut harness = desktop(app);
    harness.run_steps(6);
    if !has_text(&harness, "Needs about") {
        // A machine with that much memory.
        return;
    }
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    harness.run_steps(3);
    assert!(
        sent(&mut harness)
            .iter()
            .all(|command| !matches!(command, Command::Start { .. }))
    );
}

/// Pictures for people to look at: `PICTURES=folder cargo test --workspace --lib pictures`.
#[test]
fn pictures() {
    let Some(folder) = std::env::var_os("PICTURES") else {
        return;
    };
    let folder = std::path::PathBuf::from(folder);
    std::fs::create_dir_all(&folder).unwrap();
    assert!(recorded::race().is_some());
    let sizes = [("wide", vec2(1280.0, 800.0)), ("phone", vec2(390.0, 844.0))];
    for (size_name, size) in sizes {
        for (tone_name, tone) in [("light", Tone::Light), ("dark", Tone::Dark)] {
            let scenes = [
                "empty", "halfway", "finished", "log", "runs", "device", "block", "own", "keys",
                "focus", "failed", "lost",
            ];
            for scene in scenes {
                let mut app = app();
                app.state_mut().preferences.tone = tone;
                app.state_mut().storage.used = Some(61e6);
                app = match scene {
                    "halfway" | "failed" | "focus" | "lost" => raced(app, halfway),
                    "finished" | "log" | "runs" | "device" => raced(app, |_| true),
                    "block" => raced_as_block(app),
                    _ => app,
                };
                if scene == "halfway" {
                    app.state_mut().notice = Some(crate::state::Notice::warning(
                        "GPU lost at step 1,240. Resumed from 1,200 (try 1 of 3).",
                    ));
                }
                if scene == "lost" {
                    app.state_mut().told = Some(given_up());
                }
                app.shown = match scene {
                    "runs" => 3,
                    "device" => 4,
                    _ => 0,
                };
                let mut harness = shown(app, size);
                match scene {
                    "runs" => tick_runs(&mut harness),
                    "own" => drop_text(&mut harness),
                    "log" => harness.key_press(Key::L),
                    "keys" => harness.event(egui::Event::Text("?".to_owned())),
                    "focus" => {
                        harness
                            .query_all_by_label_contains("Loss: ")
                            .next()
                            .unwrap()
                            .focus();
                        harness.run_steps(2);
                        for _ in 0..9 {
                            harness.key_press(Key::ArrowLeft);
                            harness.run_steps(1);
                        }
                    }
                    "failed" => {
                        let failed = Event::Failed {
                            message:
                                "Loss became NaN at step 310. Kept the best checkpoint (step 300)"
                                    .to_owned(),
                            hint: Some("Try a lower learning rate".to_owned()),
                            input: false,
                        };
                        harness.state_mut().hear(&failed, Palette::LIGHT);
                    }
                    _ => {}
                }
                harness.run_steps(4);
                let picture = harness.render().unwrap();
                picture
                    .save(folder.join(format!("{scene}-{size_name}-{tone_name}.png")))
                    .unwrap();
            }
        }
    }
}

/// A text of one's own, kept and looked at.
fn drop_text(harness: &mut Shown) {
    let text = "It was a bright cold day in April.\n".repeat(900);
    drop_file(harness, "a-novel.txt", text.into_bytes());
    let answer =
        |harness: &mut Shown, wanted: fn(&Request) -> bool, answer: crossover::lab::Answer| {
            // The newest: a built-in chain may have been kept before.
            let mut request = sent(harness)
                .into_iter()
                .filter_map(|command| match command {
                    Command::Ask { request, what } if wanted(&what) => Some(request),
                    _ => None,
                });
            let request = request.next_back();
            let event = Event::Answer {
                request: request.unwrap(),
                answer: Box::new(answer),
                last: true,
            };
            harness.state_mut().hear(&event, Palette::LIGHT);
            harness.run_steps(2);
        };
    let kept = crossover::lab::Answer::Kept {
        path: "runs/texts/a-novel.txt".to_owned(),
    };
    answer(harness, |what| matches!(what, Request::Keep { .. }), kept);
    let preview = crossover::lab::Preview {
        unique: 20_000,
        held_out: 3_150,
        length: 64,
        vocab_size: 19,
        documents: None,
        near_duplicates: Some(3),
        first: "It was a bright cold day in April.\nIt was a bright cold day in ".to_owned(),
        held_out_first: "April.\nIt was a bright cold day in April.\nIt was a bright cold "
            .to_owned(),
        floor_nats: None,
        notices: Vec::new(),
    };
    let preview = crossover::lab::Answer::Preview(preview);
    answer(
        harness,
        |what| matches!(what, Request::Preview { .. }),
        preview,
    );
}

/// A text is kept, looked at, and trains under its path; nothing else is told of it.
#[test]
fn a_dropped_text_is_kept_looked_at_and_trained_on() {
    let mut harness = desktop(app());
    sent(&mut harness);
    drop_text(&mut harness);
    assert!(has_text(
        &harness,
        "20k unique tokens · 3.1k held out · vocabulary 19 · 3 near-duplicates"
    ));
    assert!(has_text(&harness, "Your text stays on this device."));
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    harness.run_steps(3);
    let source = sent(&mut harness)
        .into_iter()
        .find_map(|command| match command {
            Command::Start { config, .. } => Some(config.corpus.source),
            _ => None,
        });
    assert_eq!(source, Some(vec!["runs/texts/a-novel.txt".to_owned()]));
}

fn raced_as_block(app: App) -> App {
    let mut app = app;
    for mut event in recorded_events() {
        match &mut event {
            Event::Metrics(metrics) if metrics.objective == Objective::Masked => {
                metrics.objective = Objective::Block;
                metrics.likelihood = crossover::objective::Likelihood::Block;
            }
            Event::Started(started) => {
                started.objectives[1] = Objective::Block;
                started.folder = "runs/block".to_owned();
            }
            Event::Result(_) => continue,
            _ => {}
        }
        app.hear(&event, Palette::LIGHT);
    }
    app
}

/// Two kept runs, both ticked.
fn tick_runs(harness: &mut Shown) {
    let events = recorded_events();
    let (Event::Started(started), Event::Result(outcome)) = (&events[0], events.last().unwrap())
    else {
        panic!("a race begins and ends");
    };
    let summary = |name: &str, dropout: f64| {
        let mut config = started.config.clone();
        config.model.dropout = dropout;
        crossover::lab::RunSummary {
            run: format!("runs/{name}"),
            config,
            parameters: started.parameters,
            steps: 2_500,
            step: 2_500,
            saved: 2_500,
            outcome: Some(outcome.as_ref().clone()),
            checkpoints: Vec::new(),
            bytes: 24_000_000,
        }
    };
    let asked = |harness: &mut Shown, wanted: fn(&Request) -> bool| -> Vec<u64> {
        sent(harness)
            .into_iter()
            .filter_map(|command| match command {
                Command::Ask { request, what } if wanted(&what) => Some(request),
                _ => None,
            })
            .collect()
    };
    for request in asked(harness, |what| matches!(what, Request::Runs)) {
        let answer = crossover::lab::Answer::Runs {
            runs: vec![
                summary("20261124-001834-latin-5", 0.0),
                summary("with-dropout", 0.3),
            ],
        };
        let event = Event::Answer {
            request,
            answer: Box::new(answer),
            last: true,
        };
        harness.state_mut().hear(&event, Palette::LIGHT);
    }
    harness.run_steps(3);
    for name in ["20261124-001834-latin-5", "with-dropout"] {
        named(harness, egui::Role::CheckBox, name).click();
        harness.run_steps(2);
    }
    let lines: Vec<String> = events
        .iter()
        .filter_map(|event| match event {
            Event::Metrics(metrics) => serde_json::to_string(metrics).ok(),
            _ => None,
        })
        .collect();
    for request in asked(harness, |what| matches!(what, Request::Read { .. })) {
        let event = Event::Answer {
            request,
            answer: Box::new(crossover::lab::Answer::File {
                name: "metrics.jsonl".to_owned(),
                content: lines.join("\n").into_bytes(),
            }),
            last: true,
        };
        harness.state_mut().hear(&event, Palette::LIGHT);
    }
}

#[test]
fn restart_with_changes_appears_when_settings_differ() {
    let mut harness = desktop(app());
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    harness.run_steps(3);
    let folder = sent(&mut harness)
        .into_iter()
        .find_map(|command| match command {
            Command::Start { folder, .. } => Some(folder),
            _ => None,
        });
    let folder = folder.unwrap();
    for mut event in recorded_events().into_iter().filter(halfway) {
        if let Event::Started(started) = &mut event {
            started.folder.clone_from(&folder);
        }
        harness.state_mut().hear(&event, Palette::LIGHT);
    }
    harness.run_steps(3);
    let again = |harness: &Shown| {
        harness
            .query_by_role_and_label(egui::Role::Button, "Restart with changes")
            .is_some()
    };
    assert!(!again(&harness));
    named(&harness, egui::Role::Button, "Give AR dropout 0.3").click();
    harness.run_steps(3);
    assert!(again(&harness));
    named(&harness, egui::Role::Button, "Restart with changes").click();
    harness.run_steps(3);
    assert_eq!(sent(&mut harness), [Command::Stop]);
    let stopped = Event::Stopped {
        step: 1_300,
        folder,
    };
    harness.state_mut().hear(&stopped, Palette::LIGHT);
    harness.run_steps(3);
    let dropout = sent(&mut harness)
        .into_iter()
        .find_map(|command| match command {
            Command::Start { config, .. } => Some(config.model.dropout),
            _ => None,
        });
    assert_eq!(dropout, Some(0.3));
}

/// Two runs are compared by ticking them; a removed one can be had back for ten seconds.
#[test]
fn runs_are_compared_renamed_and_removed_with_an_undo() {
    let mut harness = desktop(app());
    harness.key_press(Key::Num4);
    harness.run_steps(3);
    tick_runs(&mut harness);
    harness.run_steps(3);
    assert!(has_text(&harness, "model.dropout"));
    assert!(has_text(&harness, "Losses compared: "));
    named(&harness, egui::Role::CheckBox, "20261124-001834-latin-5").click();
    harness.run_steps(2);
    sent(&mut harness);

    harness.key_press(Key::F2);
    harness.run_steps(3);
    harness.event(egui::Event::Text("-too".to_owned()));
    harness.run_steps(2);
    harness.key_press(Key::Enter);
    harness.run_steps(2);
    let renamed = sent(&mut harness).into_iter().any(|command| {
        matches!(command, Command::Ask { what: Request::Rename { run, .. }, .. } if run == "runs/with-dropout")
    });
    assert!(renamed);

    let removed = |commands: &[Command]| {
        commands.iter().any(|command| {
            matches!(
                command,
                Command::Ask {
                    what: Request::Remove { .. },
                    ..
                }
            )
        })
    };
    harness.key_press(Key::Delete);
    harness.run_steps(3);
    assert!(has_text(&harness, "with-dropout is deleted."));
    named(&harness, egui::Role::Button, "Undo").click();
    harness.run_steps(60);
    assert!(!removed(&sent(&mut harness)));
    assert!(has_text(&harness, "with-dropout"));
    named(&harness, egui::Role::CheckBox, "with-dropout").click();
    harness.run_steps(3);
    harness.key_press(Key::Delete);
    harness.run_steps(8);
    assert!(!removed(&sent(&mut harness)));
    // Ten seconds, a quarter of one each frame; another screen is no excuse.
    harness.key_press(Key::Num5);
    harness.run_steps(44);
    assert!(removed(&sent(&mut harness)));
}

/// A checkpoint that was imported has no record: that is asked for once, and nobody is bothered.
#[test]
fn a_run_without_a_record_has_no_curves() {
    let mut harness = desktop(app());
    harness.key_press(Key::Num4);
    harness.run_steps(3);
    let asked = |harness: &mut Shown| -> Vec<(u64, Request)> {
        let commands = sent(harness).into_iter();
        commands
            .filter_map(|command| match command {
                Command::Ask { request, what } => Some((request, what)),
                _ => None,
            })
            .collect()
    };
    let imported = crossover::lab::RunSummary {
        run: "runs/imported".to_owned(),
        config: Default::default(),
        parameters: 1,
        steps: 10,
        step: 0,
        saved: 0,
        outcome: None,
        checkpoints: Vec::new(),
        bytes: 1,
    };
    for (request, what) in asked(&mut harness) {
        if what == Request::Runs {
            let runs = vec![imported.clone()];
            let answer = Event::Answer {
                request,
                answer: Box::new(crossover::lab::Answer::Runs { runs }),
                last: true,
            };
            harness.state_mut().hear(&answer, Palette::LIGHT);
        }
    }
    harness.run_steps(3);
    named(&harness, egui::Role::CheckBox, "imported").click();
    harness.run_steps(3);
    let reads: Vec<u64> = asked(&mut harness)
        .into_iter()
        .filter(|(_, what)| matches!(what, Request::Read { .. }))
        .map(|(request, _)| request)
        .collect();
    let refused = Event::Refused {
        request: reads[0],
        message: "can't read `runs/imported/metrics.jsonl`".to_owned(),
        hint: None,
    };
    harness.state_mut().hear(&refused, Palette::LIGHT);
    harness.run_steps(3);
    assert!(asked(&mut harness).is_empty());
    assert_eq!(harness.state_mut().state_mut().notice, None);

    // What can be had of a run.
    named(&harness, egui::Role::Button, "Export…").click();
    harness.run_steps(3);
    for item in ["Run folder (.zip)", "Report (.html)", "Metrics (.csv)"] {
        assert!(
            harness
                .query_by_role_and_label(egui::Role::Button, item)
                .is_some()
        );
    }
    named(&harness, egui::Role::Button, "Report (.html)").click();
    harness.run_steps(3);
    let files: Vec<Request> = asked(&mut harness)
        .into_iter()
        .map(|(_, what)| what)
        .collect();
    let expected = ["config.toml", "metrics.jsonl", "events.jsonl"].map(|file| Request::Read {
        path: format!("runs/imported/{file}"),
    });
    assert_eq!(files, expected);
}

/// What Tab reaches can be seen and has a name: the harness refuses widgets without one.
#[test]
fn every_screen_has_names_for_its_controls() {
    for key in [Key::Num1, Key::Num4, Key::Num5] {
        let mut harness = desktop(raced(app(), |_| true));
        harness.key_press(key);
        harness.run_steps(4);
        harness.check_accessibility();
        for _ in 0..6 {
            harness.key_press(Key::Tab);
            harness.run_steps(1);
        }
        assert!(harness.ctx.memory(|memory| memory.focused()).is_some());
    }
}
