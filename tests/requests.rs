//! What can be asked of a lab beside runs, and while one is under way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::OnceLock;

use burn::tensor::Device;
use crossover::corpus::CorpusConfig;
use crossover::device::{DeviceChoice, Selected};
use crossover::lab::{Answer, Command, Event, Lab, Request, RunSummary, Template, Writing};
use crossover::ranks::Ranks;
use crossover::sample::{Edit, Trace};
use crossover::train::{Checkpoint, RunConfig};

/// A lab whose runs are in a folder of this test program's own.
fn lab() -> Lab {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        std::env::set_current_dir(folder.path()).unwrap();
        folder
    });
    Lab::open(Selected {
        device: Device::flex(),
        choice: DeviceChoice::Cpu,
        threads: 1,
        description: "cpu".to_owned(),
        ranks: Ranks::alone(),
    })
}

/// The answer, or why there is none.
fn ask(lab: &Lab, what: Request) -> Result<Answer, String> {
    lab.send(Command::Ask { request: 7, what });
    loop {
        match lab.events().recv_blocking().unwrap() {
            Event::Answer {
                request: 7,
                answer,
                last: true,
            } => return Ok(*answer),
            Event::Refused {
                request: 7,
                message,
                hint,
            } => return Err(format!("{message} / {}", hint.unwrap_or_default())),
            _ => {}
        }
    }
}

/// A race of seconds on tales.
fn config(steps: u64) -> RunConfig {
    let mut config = RunConfig::default();
    config.corpus.source = vec!["tales".to_owned()];
    config.corpus.length = Some(16);
    config.corpus.unique = Some(2_000);
    config.corpus.held_out = Some(400);
    config.model.hidden_size = 16;
    config.model.num_hidden_layers = 1;
    config.model.num_attention_heads = 2;
    config.train.batch = 8;
    config.train.steps = Some(steps);
    config.evaluate.every = Some(10);
    config.evaluate.windows = 8;
    config.evaluate.test_windows = 8;
    config.evaluate.samples = 2;
    config
}

fn start(lab: &Lab, folder: &str, steps: u64) {
    lab.send(Command::Start {
        config: Box::new(config(steps)),
        folder: folder.to_owned(),
        force: false,
    });
}

/// The events up to the first for which `is_last` holds.
fn until(lab: &Lab, mut is_last: impl FnMut(&Event) -> bool) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let event = lab.events().recv_blocking().unwrap();
        let done = is_last(&event);
        assert!(done || !event.ends_run(), "{event:?}");
        events.push(event);
        if done {
            return events;
        }
    }
}

fn finished(lab: &Lab, folder: &str) -> RunSummary {
    start(lab, folder, 10);
    until(lab, Event::ends_run);
    run(lab, folder).unwrap()
}

fn run(lab: &Lab, folder: &str) -> Option<RunSummary> {
    let Answer::Runs { runs } = ask(lab, Request::Runs).unwrap() else {
        panic!("a list of runs");
    };
    runs.into_iter().find(|run| run.run == folder)
}

fn step_of(event: &Event) -> Option<u64> {
    match event {
        Event::Metrics(metrics) => Some(metrics.step),
        _ => None,
    }
}

#[test]
fn a_held_run_answers_and_goes_on_with_the_next_step() {
    let lab = lab();
    start(&lab, "runs/held", 60);
    until(&lab, |event| step_of(event) >= Some(5));
    lab.send(Command::Pause);
    let before = until(&lab, |event| matches!(event, Event::Paused { .. }));
    let Some(Event::Paused { step: held }) = before.last() else {
        panic!("the run is held");
    };
    let known = run(&lab, "runs/held").unwrap();
    assert!(known.step >= *held && known.outcome.is_none());
    assert!(known.saved <= known.step);
    assert!(lab.events().try_recv().is_err(), "a held run does nothing");
    lab.send(Command::Continue);
    let after = until(&lab, |event| step_of(event) >= Some(held + 2));
    let first = after.iter().find_map(step_of).unwrap();
    assert!(first == held + 1 || first == *held, "{first} after {held}");
    let rest = until(&lab, Event::ends_run);
    assert!(matches!(rest.last(), Some(Event::Result(_))));

    // What was held is the same run.
    start(&lab, "runs/unheld", 60);
    until(&lab, Event::ends_run);
    assert_eq!(run(&lab, "runs/unheld").unwrap().saved, 60);
    let losses = |folder: &str| {
        let text = std::fs::read_to_string(Path::new(folder).join("metrics.jsonl")).unwrap();
        let lines = text.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            (
                line["step"].clone(),
                line["train_nats"].clone(),
                line["val_nats"].clone(),
            )
        });
        lines.collect::<Vec<_>>()
    };
    assert_eq!(losses("runs/held"), losses("runs/unheld"));
}

#[test]
fn a_stopped_lab_starts_again() {
    let lab = lab();
    start(&lab, "runs/stopped", 1_000);
    until(&lab, |event| step_of(event) >= Some(3));
    lab.send(Command::Stop);
    let events = until(&lab, Event::ends_run);
    assert!(matches!(events.last(), Some(Event::Stopped { .. })));
    let stopped = run(&lab, "runs/stopped").unwrap();
    // One of the two may have been a step behind.
    assert!(stopped.step >= 2 && stopped.step < 1_000);
    lab.send(Command::Resume {
        folder: "runs/stopped".to_owned(),
    });
    let events = until(&lab, |event| step_of(event).is_some());
    assert_eq!(step_of(events.last().unwrap()), Some(stopped.step + 1));
    lab.send(Command::Stop);
    until(&lab, Event::ends_run);
}

#[test]
fn a_second_run_has_to_wait() {
    let lab = lab();
    start(&lab, "runs/first", 1_000);
    until(&lab, |event| step_of(event).is_some());
    start(&lab, "runs/second", 10);
    let events = until(&lab, |event| matches!(event, Event::Notice { .. }));
    assert!(format!("{:?}", events.last()).contains("has to wait"));
    lab.send(Command::Stop);
    until(&lab, Event::ends_run);
    assert!(run(&lab, "runs/second").is_none());
}

#[test]
fn a_model_writes_and_a_branch_goes_on_from_there() {
    let lab = lab();
    let made = finished(&lab, "runs/writing");
    let masked = |path: &&String| path.ends_with("last-masked.safetensors");
    let model = made.checkpoints.iter().find(masked).unwrap().clone();
    let write = |template, seed| -> Result<_, String> {
        let writing = Writing {
            steps: Some(4),
            top: 2,
            seed,
            ..Writing::default()
        };
        let what = Request::Write {
            model: model.clone(),
            template,
            writing: Box::new(writing),
        };
        match ask(&lab, what)? {
            Answer::Written { trace } => Ok((Trace::from_json_lines(&trace, "a").unwrap(), trace)),
            other => panic!("a trace, not {other:?}"),
        }
    };
    let prompt = Template::Prompt {
        text: "The ".to_owned(),
        length: None,
    };
    let (parent, lines) = write(prompt, 1).unwrap();
    assert_eq!(parent.header.length, 16);
    assert!(parent.footer.text.starts_with("The "));
    assert_eq!(parent.steps.len(), 4);

    let branch = |step, edits| Template::Branch {
        trace: lines.clone(),
        name: "parent".to_owned(),
        step,
        edits,
    };
    let edit = Edit {
        position: 8,
        token: 3,
    };
    let (child, _) = write(branch(2, vec![edit]), 2).unwrap();
    assert_eq!(child.header.parent.as_ref().unwrap().step, 2);
    let taken = &parent.steps[1].tokens;
    for step in &child.steps {
        assert_eq!(step.tokens[8], 3);
        for (position, token) in taken.iter().enumerate() {
            assert!(position == 8 || *token < 0 || step.tokens[position] == *token);
        }
    }
    let refusal = write(branch(9, vec![]), 2).unwrap_err();
    assert!(refusal.contains("there is no step 9"), "{refusal}");
    let gaps = |text: &str| Template::Gaps {
        text: text.to_owned(),
    };
    assert!(
        write(gaps("A[MASK:4]b"), 1)
            .unwrap()
            .0
            .footer
            .text
            .ends_with('b')
    );
    let refusal = write(gaps("A[MASK:99]b"), 1).unwrap_err();
    assert!(
        refusal.contains("longer than the model's window of 16"),
        "{refusal}"
    );
    let tokens = Template::Tokens {
        tokens: vec![-1; 17],
    };
    assert!(write(tokens, 1).unwrap_err().contains("windows of 16"));
}

#[test]
fn a_packed_run_comes_back_whole() {
    let lab = lab();
    let made = finished(&lab, "runs/packed");
    let packed = |run: &str| {
        let what = Request::Archive {
            run: run.to_owned(),
        };
        match ask(&lab, what).unwrap() {
            Answer::File { name, content } => (name, content),
            other => panic!("a file, not {other:?}"),
        }
    };
    let (name, content) = packed("runs/packed");
    assert_eq!(name, "packed.zip");
    let import = |name: &str, content: &[u8]| -> Result<String, String> {
        let what = Request::Import {
            name: name.to_owned(),
            content: content.to_owned(),
        };
        match ask(&lab, what)? {
            Answer::Imported { run } => Ok(run),
            other => panic!("a run, not {other:?}"),
        }
    };
    let copy = import(&name, &content).unwrap();
    assert_eq!(copy, "runs/packed-2");
    let twin = run(&lab, &copy).unwrap();
    assert_eq!(
        (twin.outcome, twin.bytes, twin.config),
        (made.outcome, made.bytes, made.config)
    );

    let broken = import(&name, &content[..content.len() / 2]).unwrap_err();
    assert!(broken.contains("can't read `packed.zip`"), "{broken}");

    let checkpoint = &made.checkpoints[0];
    let bytes = std::fs::read(checkpoint).unwrap();
    let alone = import("mine.safetensors", &bytes).unwrap();
    assert_eq!(alone, "runs/mine");
    let adopted = run(&lab, &alone).unwrap();
    let [only] = adopted.checkpoints.as_slice() else {
        panic!("one checkpoint: {:?}", adopted.checkpoints);
    };
    let read = |path: &str| Checkpoint::from_bytes(&std::fs::read(path).unwrap(), path).unwrap();
    assert_eq!(read(only).weights.hash(), read(checkpoint).weights.hash());
    let cut = import("cut.safetensors", &bytes[..bytes.len() - 100]).unwrap_err();
    assert!(cut.contains("cut.safetensors"), "{cut}");
    assert!(!Path::new("runs/cut").exists());
}

#[test]
fn runs_are_renamed_and_removed() {
    let lab = lab();
    finished(&lab, "runs/named");
    let rename = |name: &str| {
        ask(
            &lab,
            Request::Rename {
                run: "runs/named".to_owned(),
                name: name.to_owned(),
            },
        )
    };
    assert!(rename("../elsewhere").is_err());
    assert_eq!(rename("better"), Ok(Answer::Done));
    assert!(run(&lab, "runs/named").is_none());
    assert!(run(&lab, "runs/better").is_some());
    let remove = Request::Remove {
        run: "runs/better".to_owned(),
    };
    assert_eq!(ask(&lab, remove.clone()), Ok(Answer::Done));
    assert!(!Path::new("runs/better").exists());
    assert!(ask(&lab, remove).is_err());
}

#[test]
fn a_kept_text_is_looked_at_before_anything_trains_on_it() {
    let lab = lab();
    let keep = |name: &str, content: &[u8]| -> Result<String, String> {
        let what = Request::Keep {
            name: name.to_owned(),
            content: content.to_owned(),
        };
        match ask(&lab, what)? {
            Answer::Kept { path } => Ok(path),
            other => panic!("a path, not {other:?}"),
        }
    };
    let text: String = (0..2_000)
        .map(|number| format!("line {number}\n"))
        .collect();
    let path = keep("mine.txt", text.as_bytes()).unwrap();
    let look = |path: &str| {
        let corpus = CorpusConfig {
            source: vec![path.to_owned()],
            ..CorpusConfig::default()
        };
        ask(&lab, Request::Preview { corpus, seed: 1 })
    };
    let Answer::Preview(preview) = look(&path).unwrap() else {
        panic!("a preview");
    };
    assert_eq!(preview.length, 64);
    assert!(preview.first.starts_with("line 0\nline 1\n"));
    assert_eq!(preview.held_out_first.chars().count(), 64);
    // Ten digits, the letters of `line`, space, newline, MASK.
    assert_eq!(preview.vocab_size, 10 + 4 + 2 + 1);
    assert!(keep("../mine.txt", b"text").is_err());
    let short = keep("short.txt", b"too short").unwrap();
    assert!(look(&short).is_err());
}

#[test]
fn a_plan_is_what_the_run_takes() {
    let lab = lab();
    let what = Request::Plan {
        config: Box::new(config(40)),
    };
    let Answer::Plan(plan) = ask(&lab, what).unwrap() else {
        panic!("a plan");
    };
    assert_eq!(plan.steps, 40);
    assert!(plan.seconds > 0.0 && plan.critical_epoch.is_some());
    start(&lab, "runs/planned", 40);
    let mut flops = [0.0; 2];
    for event in until(&lab, Event::ends_run) {
        if let Event::Metrics(metrics) = event {
            let of =
                usize::from(metrics.objective != crossover::objective::Objective::Autoregressive);
            flops[of] = metrics.flops;
        }
    }
    let taken: f64 = flops.iter().sum();
    assert!(
        (plan.flops / taken - 1.0).abs() < 1e-9,
        "{} {taken}",
        plan.flops
    );
}

#[test]
fn models_are_measured_in_parts_and_attention_is_read() {
    let lab = lab();
    let run = finished(&lab, "runs/measured");
    let best = |name: &str| {
        let found = run.checkpoints.iter().find(|path| path.contains(name));
        found.unwrap().clone()
    };
    let models = vec![best("best-ar"), best("best-masked")];
    let measure = |models: Vec<String>| Request::Measure {
        models,
        run: run.run.clone(),
        sequences: 20,
        draws: 1,
    };
    lab.send(Command::Ask {
        request: 9,
        what: measure(models.clone()),
    });
    let events = until(&lab, |event| {
        matches!(event, Event::Answer { last: true, .. })
    });
    let sequences: Vec<usize> = events
        .iter()
        .filter_map(|event| match event {
            Event::Answer { answer, .. } => match answer.as_ref() {
                Answer::Measured(measured) => Some(measured.sequences),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(sequences, [8, 16, 20]);
    let Answer::Measured(measured) = ask(&lab, measure(models.clone())).unwrap() else {
        panic!("a measurement");
    };
    let [ar, masked] = &measured.models[..] else {
        panic!("two models");
    };
    assert!(ar.by_mask_ratio.is_empty());
    assert_eq!(masked.by_mask_ratio.len(), 16);
    assert_eq!((ar.by_position.len(), masked.by_position.len()), (16, 16));
    assert!(ask(&lab, measure(Vec::new())).is_err());

    let attention = |model: &str, layer| Request::Attention {
        model: model.to_owned(),
        tokens: vec![0, 1, -1, 2],
        layer,
    };
    for (model, is_causal) in [(&models[0], true), (&models[1], false)] {
        let Answer::Attention(read) = ask(&lab, attention(model, 0)).unwrap() else {
            panic!("attention");
        };
        assert_eq!((read.layers, read.heads.len()), (1, 2));
        for head in &read.heads {
            assert_eq!(head[0][3] == 0.0, is_causal);
            assert!((head[3].iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
    assert!(ask(&lab, attention(&models[0], 1)).is_err());
}
