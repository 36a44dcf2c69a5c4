//! A sweep of made-up runs: its findings, its laws and its page.

use crossover::lab::crossover::Evaluation;
use crossover::lab::{Event, Started, TrainResult};
use crossover::laws::critical;
use crossover::laws::fit::Repetition;
use crossover::objective::{Bound, Likelihood, Objective};
use crossover::train::RunConfig;
use serde_json::json;

use super::*;
use crate::fixtures::{answered, race, won};
use crate::history::History;

/// A run's files as text.
struct Files {
    config: RunConfig,
    history: History,
    outcome: Option<Outcome>,
    evaluations: Vec<Evaluation>,
}

fn lines<T: Serialize>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| serde_json::to_string(&item).expect("plain data") + "\n")
        .collect()
}

impl Files {
    fn read(&self) -> (Run, String) {
        let started = Event::Started(Box::new(Started {
            objectives: self.config.objectives.clone(),
            config: self.config.clone(),
            folder: "runs/test".to_owned(),
            step: 0,
            done: vec![0; 2],
            steps: 100,
            tokens_per_epoch: 25_000,
            parameters: 452_000,
            initial_hash: "abc".to_owned(),
            floor_nats: Some(0.4),
            vocab: vec!["1".to_owned()],
            grid_side: None,
            device: "cpu".to_owned(),
        }));
        let result = self
            .outcome
            .clone()
            .map(|outcome| Event::Result(Box::new(outcome)));
        let events = lines(std::iter::once(started).chain(result));
        let metrics = lines(self.history.curves().iter().flat_map(|curve| &curve.steps));
        let config = self.config.to_toml().expect("valid");
        let run = Run::parse("runs/test", config, &metrics, &events).expect("a run");
        (run, lines(&self.evaluations))
    }
}

fn evaluations(objective: Objective, losses: &[f64]) -> Vec<Evaluation> {
    let likelihood: Likelihood = objective.headline();
    losses
        .iter()
        .enumerate()
        .map(|(index, mean)| Evaluation {
            objective,
            likelihood,
            step: 25 * (index as u64 + 1),
            epoch: index as f64 + 1.0,
            nats: [-0.01, 0.0, 0.01].map(|offset| mean + offset).to_vec(),
        })
        .collect()
}

/// A race of these validation losses whose test losses are its lowest.
fn raced(config: &RunConfig, ar: &[f64], masked: &[f64]) -> Files {
    let lowest = |losses: &[f64]| losses.iter().copied().fold(f64::MAX, f64::min);
    let mut result = won();
    result.ar_best_nats = lowest(ar);
    result.masked_best_nats = lowest(masked);
    result.difference = result.masked_best_nats - result.ar_best_nats;
    Files {
        config: config.clone(),
        history: race(ar, masked),
        outcome: Some(Outcome::Race(result)),
        evaluations: [
            evaluations(Objective::Autoregressive, ar),
            evaluations(Objective::Masked, masked),
        ]
        .concat(),
    }
}

/// AR alone.
fn trained(config: &RunConfig, losses: &[f64]) -> Files {
    let nats = losses.iter().copied().fold(f64::MAX, f64::min);
    Files {
        config: RunConfig {
            objectives: vec![Objective::Autoregressive],
            ..config.clone()
        },
        history: race(losses, &[]),
        outcome: Some(Outcome::Train(TrainResult {
            objective: Objective::Autoregressive,
            nats,
            se: 0.004,
            bound: Bound::Exact,
            dual_ar: None,
            tokens: 50_000,
            best_step: 25,
            floor_nats: None,
            grids: None,
            characters_per_token: 1.0,
            bytes_per_token: 1.0,
            peak_memory_bytes: None,
            wall_seconds: 10.0,
        })),
        evaluations: evaluations(Objective::Autoregressive, losses),
    }
}

fn swept(axes: &[&str], runs: Vec<(Value, Option<&str>, u64, Option<Files>)>) -> Sweep {
    let record = Record {
        version: 1,
        name: "made-up".to_owned(),
        about: "What <is> asked".to_owned(),
        scale: "cpu".to_owned(),
        axes: axes.iter().map(|axis| (*axis).to_owned()).collect(),
        runs: runs
            .iter()
            .map(|(settings, label, seed, _)| {
                let settings = settings.as_object().expect("settings").clone();
                let values = settings
                    .iter()
                    .map(|(key, value)| format!("{}={}", view::short(key), view::shown(value)));
                let parts: Vec<String> = label
                    .iter()
                    .map(|l| (*l).to_owned())
                    .chain(values)
                    .collect();
                let point = parts.join(",");
                RecordedRun {
                    name: format!("{point},seed={seed}"),
                    point,
                    label: label.map(str::to_owned),
                    seed: *seed,
                    settings,
                    command: "race".to_owned(),
                }
            })
            .collect(),
    };
    let mut sweep = Sweep::new("runs/sweep", record);
    for (_, _, _, files) in &runs {
        let read = files.as_ref().map(Files::read);
        sweep.push(
            read.as_ref()
                .map(|(run, text)| (run.clone(), text.as_str())),
        );
    }
    sweep
}

/// One race and AR alone with two dropouts, of which one is far better.
fn fair(best_of_ar: f64) -> Sweep {
    let config = RunConfig::default();
    let with_dropout = |dropout: f64| {
        let mut config = config.clone();
        config.model.dropout = dropout;
        config
    };
    let runs = vec![
        (
            json!({}),
            Some("race"),
            1,
            Some(raced(&config, &[0.9, 0.6, 0.8], &[0.95, 0.7, 0.5])),
        ),
        (
            json!({"model.dropout": 0.2}),
            Some("AR"),
            1,
            Some(trained(&with_dropout(0.2), &[0.9, 0.7, best_of_ar])),
        ),
        (
            json!({"model.dropout": 0.4}),
            Some("AR"),
            1,
            Some(trained(&with_dropout(0.4), &[0.9, 0.8, 0.7])),
        ),
    ];
    swept(&["model.dropout"], runs)
}

#[test]
fn the_regularised_envelope_is_against_the_best_ar_of_all() {
    let findings = Findings::of(&fair(0.45));
    let [envelope] = &findings.envelopes[..] else {
        panic!("one group: {:?}", findings.envelopes)
    };
    assert_eq!(
        (envelope.tried, envelope.ar.point.as_str()),
        (3, "AR,dropout=0.2")
    );
    assert_eq!(envelope.second.point, "race");
    assert!((envelope.difference - 0.05).abs() < 1e-12);
    // Independent: 0.006 and 0.004.
    assert!((envelope.difference_se - 0.006_f64.hypot(0.004)).abs() < 1e-12);
    assert_eq!(envelope.epoch, None);
    assert!(
        envelope
            .sentence()
            .contains("AR stays ahead by 0.050 ± 0.007")
    );

    let findings = Findings::of(&fair(0.55));
    let envelope = &findings.envelopes[0];
    // Below 0.55 for the first time at the third evaluation, by the same amount in each window.
    assert_eq!(envelope.epoch, Some(3.0));
    assert!(
        envelope
            .sentence()
            .contains("is below by 0.050 ± 0.007 from epoch 3 on")
    );
    let fair = envelope.fair;
    assert!((fair.any - 0.55).abs() < 1e-12 && (fair.second - 0.5).abs() < 1e-12);
    assert_eq!(fair.tokens, Some(0.55));
}

#[test]
fn one_regularisation_is_no_envelope_and_other_data_no_kin() {
    let config = RunConfig::default();
    let mut other = RunConfig::default();
    other.corpus.unique = Some(500);
    let runs = vec![
        (
            json!({"corpus.unique": 25_000}),
            None,
            1,
            Some(raced(&config, &[0.9, 0.6], &[0.9, 0.5])),
        ),
        (
            json!({"corpus.unique": 500}),
            None,
            1,
            Some(raced(&other, &[0.9, 0.4], &[0.9, 0.5])),
        ),
    ];
    let sweep = swept(&["corpus.unique"], runs);
    assert!(Findings::of(&sweep).envelopes.is_empty());
}

#[test]
fn an_unfinished_sweep_says_so_and_seeds_make_a_point() {
    let config = RunConfig::default();
    let runs = vec![
        (
            json!({"model.dropout": 0.0}),
            None,
            1,
            Some(raced(&config, &[0.9, 0.6], &[0.9, 0.5])),
        ),
        (json!({"model.dropout": 0.1}), None, 1, None),
        (
            json!({"model.dropout": 0.0}),
            None,
            2,
            Some(raced(&config, &[0.9, 0.6], &[0.9, 0.4])),
        ),
        (json!({"model.dropout": 0.1}), None, 2, None),
    ];
    let sweep = swept(&["model.dropout"], runs);
    let findings = Findings::of(&sweep);
    assert_eq!(findings.points.len(), 2);
    assert_eq!(findings.points[0].seeds, [1, 2]);
    let (mean, se) = findings.points[0].difference().expect("two races");
    assert!((mean + 0.15).abs() < 1e-12 && (se.expect("over seeds") - 0.05).abs() < 1e-12);
    assert!(
        findings
            .headline()
            .starts_with("Unfinished, 2 of 4 runs are done. Diffusion")
    );
    let html = render(&sweep, &findings).html;
    assert!(html.contains("0 of 2") && !html.contains("NaN"));
    let line = findings.to_json("runs/sweep/report.html");
    assert_eq!((&line["finished"], &line["runs"]), (&json!(2), &json!(4)));
    assert!(line["points"][1]["result"].is_null());
}

/// Races on growing data whose crossovers follow the published law, and whose losses follow Muennighoff's form.
fn lawful() -> Sweep {
    let mut runs = Vec::new();
    for unique in [5_000_u64, 20_000, 80_000, 320_000] {
        let mut config = RunConfig::default();
        config.corpus.unique = Some(unique);
        let loss = |epochs: f64| {
            let seen = 1.0 - 10.0 * (-(epochs - 1.0) / 10.0_f64).exp_m1();
            0.5 + 20.0 / (unique as f64 * seen).powf(0.3)
        };
        let losses: Vec<f64> = (1..=30).map(|epoch| loss(f64::from(epoch))).collect();
        let mut files = raced(&config, &losses, &losses);
        // The fixtures' step costs 1e9 FLOPs; here each run crosses at its last evaluation, at the law's compute.
        let mut history = History::default();
        for step in files.history.curves().iter().flat_map(|curve| &curve.steps) {
            let mut step = step.clone();
            step.flops *= critical::compute(unique as f64) / 750e9;
            history.push(step);
        }
        files.history = history;
        if let Some(Outcome::Race(race)) = &mut files.outcome {
            race.envelope_crossover_epoch = Some(30.0);
        }
        runs.push((json!({"corpus.unique": unique}), None, 1, Some(files)));
    }
    swept(&["corpus.unique"], runs)
}

#[test]
fn laws_are_fitted_to_the_runs_and_drawn() {
    let sweep = lawful();
    let findings = Findings::of(&sweep);
    let law = findings.laws.critical.as_ref().expect("four crossovers");
    assert!((law.exponents[0].value - 2.174).abs() < 1e-6, "{law:?}");
    let repeats = findings
        .laws
        .data
        .iter()
        .find(|fitted| fitted.law.repetition == Repetition::Muennighoff)
        .expect("four budgets");
    let fitted = repeats.law.repeats.value;
    assert!((fitted / 10.0 - 1.0).abs() < 0.1, "{fitted}");
    // Nothing rose again.
    assert!(findings.laws.onset.is_none());
    // These runs cost what the published law says, 750,000 tokens for each of them; fitted or published, it has them at
    // the same pass over their unique tokens.
    assert_eq!(findings.laws.passings.len(), 4);
    for passing in &findings.laws.passings {
        assert_eq!(passing.epochs, [Some(30.0)]);
        let expected = 750_000.0 / passing.unique;
        assert!(
            (passing.published / expected - 1.0).abs() < 1e-9,
            "{passing:?}"
        );
        let fitted = passing.fitted.expect("there is a law").value;
        assert!((fitted / expected - 1.0).abs() < 1e-6, "{passing:?}");
    }

    let Page { html, figures } = render(&sweep, &findings);
    for said in [
        "What &lt;is&gt; asked",
        "<b>Extrapolations.</b>",
        "Critical compute",
        "U = 320k, fitted",
        "Best loss on the test part against unique",
        "Epoch of the crossovers against unique",
        "When diffusion passes AR's best",
        "N = 452k, published, extrapolated",
    ] {
        assert!(html.contains(said), "{said}");
    }
    for outside in ["http:", "https:", "src=", "@import", "<script", "<link"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(!html.contains("NaN") && !html.contains("inf,"));
    // No two parts of the page have the same name.
    let mut ids: Vec<&str> = html
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    for figure in &figures {
        assert!(!figure.csv.contains("NaN"), "{}", figure.name);
        let plain = |letter: char| letter.is_alphanumeric() || "-._=,".contains(letter);
        assert!(figure.name.chars().all(plain), "{}", figure.name);
    }
}

#[test]
fn a_point_that_some_seed_did_not_cross_at_has_no_epoch_to_draw() {
    let run = |unique: u64, seed: u64, crossed: Option<f64>| {
        let mut config = RunConfig::default();
        config.corpus.unique = Some(unique);
        let mut files = raced(&config, &[0.9, 0.6], &[0.9, 0.5]);
        if let Some(Outcome::Race(race)) = &mut files.outcome {
            race.envelope_crossover_epoch = crossed;
        }
        (json!({"corpus.unique": unique}), None, seed, Some(files))
    };
    let sweep = swept(
        &["corpus.unique"],
        vec![
            run(2_000, 1, Some(1.0)),
            run(4_000, 1, Some(2.0)),
            run(2_000, 2, Some(2.0)),
            run(4_000, 2, None),
        ],
    );
    let findings = Findings::of(&sweep);
    let [few, more] = &findings.laws.passings[..] else {
        panic!("two points: {:?}", findings.laws.passings);
    };
    let epoch = few.epoch().expect("both seeds crossed");
    assert_eq!((epoch.mean, epoch.se), (1.5, Some(0.5)));
    assert_eq!((more.epochs.len(), more.epoch()), (2, None));
    let Page { html, figures } = render(&sweep, &findings);
    assert!(html.contains("<td>1 of 2</td>"), "the table says how many");
    let figure = figures
        .iter()
        .find(|figure| figure.name == "epoch-of-the-envelope-crossover")
        .expect("drawn");
    let measured: Vec<&str> = figure
        .csv
        .lines()
        .filter(|line| line.starts_with("N = 452k,"))
        .collect();
    assert_eq!(measured, ["N = 452k,2000,1.5,0.5"]);
}

#[test]
fn a_point_tells_how_losses_went() {
    let config = RunConfig::default();
    let runs = [
        (1, [0.9, 0.6, 1.0], [0.9, 0.7, 0.5]),
        (2, [0.9, 0.8, 1.4], [0.9, 0.5, 0.7]),
    ];
    let runs = runs.map(|(seed, ar, masked)| {
        let files = raced(&config, &ar, &masked);
        (json!({"model.dropout": 0.0}), None, seed, Some(files))
    });
    let findings = Findings::of(&swept(&["model.dropout"], runs.into()));
    let [ar, masked] = &findings.points[0].courses[..] else {
        panic!("{:?}", findings.points[0].courses);
    };
    assert_eq!(ar.objective, Objective::Autoregressive);
    assert!((ar.best.mean - 0.7).abs() < 1e-12 && (ar.last.mean - 1.2).abs() < 1e-12);
    assert_eq!((ar.best_epoch.mean, masked.best_epoch.mean), (2.0, 2.5));
    let line = findings.to_json("report.html");
    let last = &line["points"][0]["courses"][1]["last"];
    // 0.5 and 0.7: their spread is 0.1 √2, over √2 seeds.
    assert!(
        (last["se"].as_f64().expect("two seeds") - 0.1).abs() < 1e-12,
        "{last}"
    );
    assert_eq!(line["headline"], findings.headline());
}

#[test]
fn losses_and_answers_of_an_axis_are_together_in_a_chart() {
    let runs = [(0.0, 0.4), (0.2, 0.6)].map(|(dropout, acc)| {
        let mut config = RunConfig::default();
        config.model.dropout = dropout;
        let mut files = raced(&config, &[0.9, 0.6, 0.8], &[0.9, 0.7, 0.5]);
        let asked = answered(&[(25, 0.3, 0.05), (50, acc, 0.05)]);
        let scores = asked.curves()[0].steps.iter().map(|at| &at.tasks);
        let mut history = files.history.clone();
        for (at, tasks) in history.clone().curves()[1].steps.iter().zip(scores) {
            let mut at = at.clone();
            at.tasks.clone_from(tasks);
            history.push(at);
        }
        history.push(crate::fixtures::line(Objective::Masked, 75, Some(0.5)));
        files.history = history;
        (json!({"model.dropout": dropout}), None, 1, Some(files))
    });
    let sweep = swept(&["model.dropout"], runs.into());
    let findings = Findings::of(&sweep);
    let right = &findings.points[1].courses[1].right;
    assert_eq!((right[0].0.as_str(), right[0].1.mean), ("tales", 0.6));
    let Page { html, figures } = render(&sweep, &findings);
    let csv = |name: &str| -> &str {
        let figure = figures.iter().find(|figure| figure.name == name);
        let figure = figure.unwrap_or_else(|| panic!("{name} of {figures:?}"));
        assert!(figure.svg.starts_with("<svg xmlns="), "{name}");
        &figure.csv
    };
    let losses = csv("loss-along-model.dropout");
    assert!(losses.contains("\"AR, dropout=0.2\",2,0.6,\n"), "{losses}");
    // The fixtures' race crosses at epochs 23 and 61: a mark for each value and crossover.
    assert_eq!(losses.matches(" crossover").count(), 4, "{losses}");
    let answers = csv("answers-along-model.dropout-tales");
    assert!(
        answers.contains("\"Diffusion, dropout=0.2\",2,0.6,\n"),
        "{answers}"
    );
    assert!(!answers.contains("AR, dropout"), "AR was asked nothing");
    let one = csv("answers-tales-dropout-0.2");
    assert_eq!(one.lines().last(), Some("Diffusion,2,0.6,0.05"));
    for said in [
        "Loss along the way, by dropout",
        "Right answers along the way, by dropout: tales",
        "dropout=0.2: right answers, tales",
    ] {
        assert!(html.contains(said), "{said}");
    }
    assert!(!html.contains("NaN"));
}

#[test]
fn a_sweep_of_nothing_is_a_page_too() {
    let sweep = swept(
        &["model.dropout"],
        vec![(json!({"model.dropout": 0.0}), None, 1, None)],
    );
    let findings = Findings::of(&sweep);
    let html = render(&sweep, &findings).html;
    assert!(html.contains("No result yet.") && html.contains("Nothing measured yet."));
}
