//! The report's tables.

use crossover::lab::{GridShare, Outcome, RaceResult, TrainResult};
use crossover::objective::Objective;

use super::theme::racer;
use super::{Run, escape};
use crate::numbers;

/// A table whose first column names its rows. All cells are plain text.
fn table(class: &str, caption: &str, head: &[&str], rows: &[Row]) -> String {
    let heads: String = head
        .iter()
        .map(|title| format!("<th scope=\"col\">{}</th>", escape(title)))
        .collect();
    let body: String = rows
        .iter()
        .map(|row| {
            let cells: String = row
                .cells
                .iter()
                .map(|cell| format!("<td>{}</td>", escape(cell)))
                .collect();
            let note = if row.note.is_empty() {
                String::new()
            } else {
                format!("<small>{}</small>", escape(&row.note))
            };
            let class = if row.main { " class=\"main\"" } else { "" };
            format!(
                "<tr{class}><th scope=\"row\">{}{note}</th>{cells}</tr>",
                escape(&row.name)
            )
        })
        .collect();
    let head = if head.is_empty() {
        String::new()
    } else {
        format!("<thead><tr>{heads}</tr></thead>")
    };
    let caption = if caption.is_empty() {
        String::new()
    } else {
        format!("<caption>{}</caption>", escape(caption))
    };
    format!(
        "<div class=\"scroll\"><table class=\"{class}\">{caption}{head}<tbody>{body}</tbody></table></div>\n"
    )
}

struct Row {
    name: String,
    /// What the name means, in a line below it.
    note: String,
    cells: Vec<String>,
    main: bool,
}

fn row(name: impl Into<String>, cells: Vec<String>) -> Row {
    Row {
        name: name.into(),
        note: String::new(),
        cells,
        main: false,
    }
}

impl Row {
    fn noted(mut self, note: &str) -> Self {
        note.clone_into(&mut self.note);
        self
    }
}

/// A table of names and values.
pub fn facts(caption: &str, facts: Vec<(&str, String)>) -> String {
    let rows: Vec<Row> = facts
        .into_iter()
        .map(|(name, value)| row(name, vec![value]))
        .collect();
    table("facts", caption, &[], &rows)
}

/// The run's figures: measured on the test part, or on validation while it is unfinished.
pub fn result(run: &Run) -> String {
    match &run.outcome {
        Some(Outcome::Race(result)) => raced(run, result),
        Some(Outcome::Train(result)) => trained(run, result),
        None => unfinished(run),
    }
}

/// The columns of measured losses: how far above the floor, where there is one.
fn measured(floor: Option<f64>) -> Vec<&'static str> {
    let mut head = vec![
        "On the test part",
        "nats/token",
        "bits/character",
        "bits/byte",
    ];
    head.extend(floor.map(|_| "above the floor"));
    head.push("best checkpoint");
    head
}

const FLOOR: &str = "the source's own entropy";

/// Turns nats per token into the row's cells.
struct Units {
    characters_per_token: f64,
    bytes_per_token: f64,
    floor: Option<f64>,
}

impl Units {
    fn row(&self, name: &str, kind: &str, mean: f64, se: Option<f64>, at: String) -> Row {
        let bits = |per_token: f64| {
            if per_token > 0.0 {
                let scale = std::f64::consts::LN_2 * per_token;
                numbers::measured(mean / scale, se.map(|se| se / scale))
            } else {
                "–".to_owned()
            }
        };
        let mut cells = vec![
            numbers::measured(mean, se),
            bits(self.characters_per_token),
            bits(self.bytes_per_token),
        ];
        cells.extend(self.floor.map(|floor| numbers::loss(mean - floor)));
        cells.push(at);
        row(name, cells).noted(kind)
    }
}

fn raced(run: &Run, result: &RaceResult) -> String {
    let units = Units {
        characters_per_token: result.characters_per_token,
        bytes_per_token: result.bytes_per_token,
        floor: result.floor_nats,
    };
    let none = || "–".to_owned();
    let mut rows = vec![
        units.row(
            "AR",
            "exact NLL",
            result.ar_best_nats,
            Some(result.ar_best_se),
            place(run, result.ar_best_step),
        ),
        units.row(
            "Diffusion",
            "upper bound",
            result.masked_best_nats,
            Some(result.masked_best_se),
            place(run, result.masked_best_step),
        ),
    ];
    let mut paired = units.row(
        "Difference",
        "diffusion − AR, paired",
        result.difference,
        Some(result.difference_se),
        none(),
    );
    paired.main = true;
    // A difference has no floor to stand above.
    if units.floor.is_some() {
        paired.cells[3] = none();
    }
    rows.push(paired);
    if let Some(exact) = result.masked_left_to_right {
        let kind = "exact NLL, as if it were AR";
        rows.push(units.row(
            "Diffusion, left to right",
            kind,
            exact.mean,
            Some(exact.se),
            none(),
        ));
    }
    if let Some(tighter) = result.masked_k_order {
        let kind = match result.orders {
            Some(orders) => format!("tighter bound, {orders} random orders"),
            None => "tighter bound, random orders".to_owned(),
        };
        rows.push(units.row(
            "Diffusion, several orders",
            &kind,
            tighter.mean,
            Some(tighter.se),
            none(),
        ));
    }
    if let Some(floor) = result.floor_nats {
        rows.push(units.row("Floor", FLOOR, floor, None, none()));
    }
    let caption = format!(
        "± is one standard error over {} test windows ({} tokens); the difference's is paired window by window.",
        numbers::grouped(result.test_windows),
        numbers::grouped(result.tokens)
    );
    table("figures", &caption, &measured(units.floor), &rows) + &grids(result.grids.as_deref())
}

fn trained(run: &Run, result: &TrainResult) -> String {
    let units = Units {
        characters_per_token: result.characters_per_token,
        bytes_per_token: result.bytes_per_token,
        floor: result.floor_nats,
    };
    let look = racer(result.objective);
    let mut rows = vec![units.row(
        look.name,
        look.kind,
        result.nats,
        Some(result.se),
        place(run, result.best_step),
    )];
    if let Some(floor) = result.floor_nats {
        rows.push(units.row("Floor", FLOOR, floor, None, "–".to_owned()));
    }
    let caption = format!(
        "± is one standard error over {} tokens of test windows.",
        numbers::grouped(result.tokens)
    );
    table("figures", &caption, &measured(units.floor), &rows) + &grids(result.grids.as_deref())
}

fn unfinished(run: &Run) -> String {
    let mut rows: Vec<Row> = run
        .history
        .curves()
        .iter()
        .filter_map(|curve| {
            let (best, last) = (curve.best()?, curve.last()?);
            let look = racer(curve.objective);
            Some(
                row(
                    look.name,
                    vec![
                        numbers::measured(best.nats, best.se),
                        place(run, best.at.step),
                        numbers::measured(last.nats, last.se),
                    ],
                )
                .noted(look.kind),
            )
        })
        .collect();
    if let Some(floor) = run.floor() {
        let none = || "–".to_owned();
        let cells = vec![numbers::loss(floor), none(), none()];
        rows.push(row("Floor", cells).noted(FLOOR));
    }
    table(
        "figures",
        "Measured on the validation part, in nats/token; ± is one standard error. The test part is measured at the end.",
        &["So far", "best", "best at", "newest"],
        &rows,
    )
}

fn grids(shares: Option<&[GridShare]>) -> String {
    let Some(shares) = shares.filter(|shares| !shares.is_empty()) else {
        return String::new();
    };
    let rows: Vec<Row> = shares
        .iter()
        .map(|share| {
            row(
                racer(share.objective).name,
                vec![
                    numbers::grouped(share.samples),
                    numbers::share(share.valid),
                    numbers::share(share.novel),
                ],
            )
        })
        .collect();
    let head = [
        "Grids written",
        "samples",
        "keep every rule",
        "and are not in the training data",
    ];
    format!(
        "<h3>What they write</h3>{}",
        table("figures", "", &head, &rows)
    )
}

/// A step with its epoch.
fn place(run: &Run, step: u64) -> String {
    match run.history.epoch(step) {
        Some(epoch) => format!(
            "epoch {} (step {})",
            numbers::short(epoch),
            numbers::grouped(step)
        ),
        None => format!("step {}", numbers::grouped(step)),
    }
}

/// Every evaluation: the chart for those who prefer numbers.
pub fn evaluations(run: &Run) -> String {
    let history = &run.history;
    let mut head = vec!["step", "epoch", "tokens", "FLOPs"];
    let names: Vec<String> = history
        .curves()
        .iter()
        .map(|curve| {
            let look = racer(curve.objective);
            format!("{}, {}", look.name, look.kind)
        })
        .collect();
    head.extend(names.iter().map(String::as_str));
    let rows: Vec<Row> = history
        .evaluated_steps()
        .into_iter()
        .map(|step| {
            let found: Vec<_> = history
                .curves()
                .iter()
                .map(|curve| {
                    curve
                        .evaluations()
                        .find(|evaluation| evaluation.at.step == step)
                })
                .collect();
            let mut cells = match found.iter().flatten().next() {
                Some(any) => vec![
                    numbers::short(any.at.epoch),
                    numbers::grouped(any.at.tokens),
                    numbers::flops(any.at.flops),
                ],
                None => vec![String::new(); 3],
            };
            cells.extend(found.iter().map(|evaluation| match evaluation {
                Some(evaluation) => numbers::measured(evaluation.nats, evaluation.se),
                None => "–".to_owned(),
            }));
            row(numbers::grouped(step), cells)
        })
        .collect();
    let caption = "Validation losses in nats/token, ± one standard error.";
    table("figures", caption, &head, &rows)
}

/// What was trained, on what and how.
pub fn configuration(run: &Run) -> String {
    let config = &run.config;
    let (corpus, model, train) = (&config.corpus, &config.model, &config.train);
    let auto = || "automatic".to_owned();
    let tokens = |count: Option<u64>| count.map_or_else(auto, numbers::grouped);
    let mut list = vec![
        ("corpus", corpus.source.join(", ")),
        (
            "tokenizer",
            corpus
                .tokenizer
                .clone()
                .unwrap_or_else(|| "the source's own symbols".to_owned()),
        ),
        ("unique training tokens", tokens(corpus.unique)),
        (
            "held out",
            match corpus.held_out {
                Some(count) => format!(
                    "{} for validation, as many for test",
                    numbers::grouped(count)
                ),
                None => auto(),
            },
        ),
        (
            "context",
            corpus
                .length
                .map_or_else(auto, |length| format!("{length} tokens")),
        ),
        (
            "passes",
            match train.steps {
                Some(steps) => format!("{} steps", numbers::grouped(steps)),
                None => format!("{} epochs", numbers::short(train.epochs)),
            },
        ),
        ("batch", format!("{} windows", train.batch)),
        (
            "model",
            format!(
                "{} layers, width {}, {} heads",
                model.num_hidden_layers, model.hidden_size, model.num_attention_heads
            ),
        ),
    ];
    if let Some(started) = &run.started {
        list.push((
            "parameters",
            format!(
                "{}, equal for every model",
                numbers::grouped(started.parameters)
            ),
        ));
    }
    list.extend([
        (
            "learning rate",
            format!(
                "{} ({}, final share {})",
                train.learning_rate,
                serial(&train.schedule),
                train.final_learning_rate_ratio
            ),
        ),
        ("weight decay", train.weight_decay.to_string()),
        ("dropout", model.dropout.to_string()),
        ("AR input mask", config.objective.input_mask.to_string()),
        ("diffusion estimator", serial(&config.objective.estimator)),
        ("seed", config.seed.to_string()),
        (
            "validation",
            format!(
                "{} windows, {} mask levels each",
                config.evaluate.windows, config.evaluate.levels
            ),
        ),
        (
            "test",
            format!(
                "up to {} windows, {} mask levels each",
                numbers::grouped(config.evaluate.test_windows as u64),
                config.evaluate.test_levels
            ),
        ),
    ]);
    facts("Configuration", list)
}

/// What produced the run, where and when.
pub fn provenance(run: &Run) -> String {
    let mut list = Vec::new();
    let known = |text: &str| {
        if text.is_empty() {
            "unknown".to_owned()
        } else {
            text.to_owned()
        }
    };
    if let Some(source) = &run.config.provenance {
        list.extend([
            ("crossover", known(&source.version)),
            ("commit", known(&source.commit)),
            ("lock file", known(&source.lock_hash)),
            ("device", known(&source.device)),
            ("processor", known(&source.processor)),
            ("threads", source.threads.to_string()),
            ("started", numbers::utc(source.started_unix)),
        ]);
    }
    let (wall, memory) = match &run.outcome {
        Some(Outcome::Race(result)) => (Some(result.wall_seconds), result.peak_memory_bytes),
        Some(Outcome::Train(result)) => (Some(result.wall_seconds), result.peak_memory_bytes),
        None => (None, None),
    };
    if let Some(seconds) = wall {
        list.push((
            "wall time",
            format!("{}, evaluation included", numbers::duration(seconds)),
        ));
    }
    for curve in run.history.curves() {
        if let Some(last) = curve.steps.last() {
            let name = match curve.objective {
                Objective::Autoregressive => "AR trained for",
                Objective::Masked | Objective::Block | Objective::Dual => "diffusion trained for",
            };
            list.push((
                name,
                format!(
                    "{}, {} FLOPs",
                    numbers::duration(last.seconds),
                    numbers::flops(last.flops)
                ),
            ));
        }
    }
    if let Some(bytes) = memory {
        list.push(("peak memory", numbers::memory(bytes)));
    }
    if let Some(started) = &run.started {
        list.push(("initial weights", started.initial_hash.clone()));
    }
    if let Some(hash) = &run.config.corpus.hash {
        list.push(("corpus SHA-256", hash.clone()));
    }
    list.push(("folder", run.folder.clone()));
    facts("Provenance", list)
}

/// The name a setting has in `config.toml`.
fn serial(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}
