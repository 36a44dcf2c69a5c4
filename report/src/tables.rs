//! The report's tables.

use crossover::lab::{ExpertLoad, GridShare, Outcome, RaceResult, TrainResult};
use crossover::model::{Routing, Shape};
use crossover::objective::{Bound, Likelihood, Objective};
use crossover::train::RunConfig;

use crate::history::History;
use crate::numbers;
use crate::seeds::{Seeds, run_name};
use crate::theme::{self, Racer, line, racer};
use crate::together::{Races, Spread, Trainings};
use crate::{Run, escape};

/// A table whose first column names its rows. All cells are plain text.
pub(super) fn table(class: &str, caption: &str, head: &[&str], rows: &[Row]) -> String {
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
            let mut name = escape(&row.name);
            if let Some(link) = &row.link {
                name = format!("<a href=\"{}\">{name}</a>", escape(link));
            }
            format!("<tr{class}><th scope=\"row\">{name}{note}</th>{cells}</tr>")
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

pub(super) struct Row {
    name: String,
    /// Where the name leads.
    link: Option<String>,
    /// What the name means, in a line below it.
    note: String,
    cells: Vec<String>,
    main: bool,
}

pub(super) fn row(name: impl Into<String>, cells: Vec<String>) -> Row {
    Row {
        name: name.into(),
        link: None,
        note: String::new(),
        cells,
        main: false,
    }
}

impl Row {
    pub(super) fn noted(mut self, note: &str) -> Self {
        note.clone_into(&mut self.note);
        self
    }

    pub(super) fn linked(mut self, to: Option<String>) -> Self {
        self.link = to;
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

/// What the second model's loss is.
fn second_kind(result: &RaceResult) -> String {
    match result.block_size {
        Some(1) => format!("{}, blocks of 1 token", theme::kind(Bound::Exact)),
        Some(size) => format!("{}, blocks of {size} tokens", theme::kind(Bound::Elbo)),
        None => theme::kind(Bound::Elbo).to_owned(),
    }
}

/// A model's name where there is no article.
fn bare(look: &Racer) -> &'static str {
    look.spoken.strip_prefix("the ").unwrap_or(look.spoken)
}

/// What a dual model's other loss is.
const AS_TRAINED: &str = "exact NLL, as it was trained";

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
    let look = racer(result.second);
    let mut rows = vec![
        units.row(
            "AR",
            "exact NLL",
            result.ar_best_nats,
            Some(result.ar_best_se),
            place(run, result.ar_best_step),
        ),
        units.row(
            look.name,
            &second_kind(result),
            result.masked_best_nats,
            Some(result.masked_best_se),
            place(run, result.masked_best_step),
        ),
    ];
    let paired = |name: &str, who: &str, mean, se| {
        let note = format!("{who} − AR, paired");
        let mut row = units.row(name, &note, mean, Some(se), none());
        // A difference has no floor to stand above.
        if units.floor.is_some() {
            row.cells[3] = none();
        }
        row
    };
    let who = bare(look);
    let mut difference = paired("Difference", who, result.difference, result.difference_se);
    difference.main = true;
    rows.push(difference);
    if let Some(dual) = result.dual_ar {
        let name = line(Objective::Dual, Likelihood::Autoregressive).name;
        rows.push(units.row(name, AS_TRAINED, dual.nats, Some(dual.se), none()));
        let (mean, se) = (dual.difference, dual.difference_se);
        rows.push(paired("Difference as AR", "dual as AR", mean, se));
    }
    if let Some(exact) = result.masked_left_to_right {
        let kind = "exact NLL, a token at a time";
        rows.push(units.row(
            &format!("{}, left to right", look.name),
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
            &format!("{}, several orders", look.name),
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
        theme::kind(result.bound),
        result.nats,
        Some(result.se),
        place(run, result.best_step),
    )];
    if let Some(dual) = result.dual_ar {
        let name = line(Objective::Dual, Likelihood::Autoregressive).name;
        rows.push(units.row(name, AS_TRAINED, dual.mean, Some(dual.se), "–".to_owned()));
    }
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
            let look = curve.look();
            Some(
                row(
                    look.name,
                    vec![
                        numbers::measured(best.nats, best.se),
                        place(run, best.at.step),
                        numbers::measured(last.nats, last.se),
                    ],
                )
                .noted(curve.kind()),
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
    written_grids("", &rows)
}

fn written_grids(caption: &str, rows: &[Row]) -> String {
    let head = [
        "Grids written",
        "samples",
        "keep every rule",
        "and are not in the training data",
    ];
    format!(
        "<h3>What they write</h3>{}",
        table("figures", caption, &head, rows)
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

/// The figures of several seeds together.
pub fn races(races: &Races) -> String {
    let first = races.runs.first().map(|run| &run.result);
    let characters = first.map_or(0.0, |result| result.characters_per_token);
    let within = |se: Option<f64>| se.map_or_else(|| "–".to_owned(), numbers::error);
    let figure = |name: &str, kind: &str, spread: Spread, se: Option<f64>| {
        let scale = std::f64::consts::LN_2 * characters;
        let bits = if characters > 0.0 {
            numbers::measured(spread.mean / scale, spread.se.map(|se| se / scale))
        } else {
            "–".to_owned()
        };
        let cells = vec![
            numbers::measured(spread.mean, spread.se),
            spread
                .deviation
                .map_or_else(|| "–".to_owned(), numbers::error),
            within(se),
            bits,
        ];
        row(name, cells).noted(kind)
    };
    let look = racer(races.second());
    let kind = first.map(second_kind).unwrap_or_default();
    let mut rows = vec![
        figure("AR", "exact NLL", races.ar, Some(races.ar_window_se)),
        figure(look.name, &kind, races.masked, Some(races.masked_window_se)),
    ];
    let note = format!("{} − AR, paired", bare(look));
    let mut difference = figure("Difference", &note, races.difference, Some(races.paired_se));
    difference.main = true;
    rows.push(difference);
    if let Some(dual) = &races.dual {
        let name = line(Objective::Dual, Likelihood::Autoregressive).name;
        rows.push(figure(name, AS_TRAINED, dual.nats, Some(dual.window_se)));
        let (note, se) = ("dual as AR − AR, paired", dual.paired_se);
        rows.push(figure("Difference as AR", note, dual.difference, Some(se)));
    }
    let estimates = [
        (
            "left to right",
            "exact NLL, a token at a time",
            races.left_to_right,
        ),
        (
            "several orders",
            "tighter bound, random orders",
            races.k_order,
        ),
    ];
    for (name, kind, spread) in estimates {
        let name = format!("{}, {name}", look.name);
        rows.extend(spread.map(|(spread, se)| figure(&name, kind, spread, Some(se))));
    }
    if let Some(floor) = races.floor {
        let exact = Spread {
            mean: floor,
            deviation: None,
            se: None,
        };
        rows.push(figure("Floor", FLOOR, exact, None));
    }
    let head = [
        "On the test part",
        "mean ± SE over seeds",
        "spread over seeds",
        "SE within a seed",
        "bits/character",
    ];
    table("figures", OVER_SEEDS, &head, &rows)
}

const OVER_SEEDS: &str = "Nats/token. With n seeds: the spread is the standard deviation √(Σ(x − mean)² / (n − 1)), the \
    mean's standard error the spread over √n. The SE within a seed is over test windows, the difference's paired window \
    by window, and is given as its mean over seeds.";

/// How many of the grids that each seed's models wrote keep the rules.
pub fn grids_over_seeds(races: &Races) -> String {
    let shares = |run: &RaceResult| run.grids.clone().unwrap_or_default();
    let objectives: Vec<Objective> = races
        .runs
        .first()
        .map(|run| {
            shares(&run.result)
                .iter()
                .map(|share| share.objective)
                .collect()
        })
        .unwrap_or_default();
    let rows: Vec<Row> = objectives
        .into_iter()
        .map(|objective| {
            let found: Vec<GridShare> = races
                .runs
                .iter()
                .flat_map(|run| shares(&run.result))
                .filter(|share| share.objective == objective)
                .collect();
            let over = |pick: fn(&GridShare) -> f64| {
                let values: Vec<f64> = found.iter().map(|share| 100.0 * pick(share)).collect();
                match Spread::over(&values) {
                    Some(Spread {
                        mean, se: Some(se), ..
                    }) => format!("{mean:.1} ± {se:.1} %"),
                    Some(Spread { mean, .. }) => format!("{mean:.1} %"),
                    None => "–".to_owned(),
                }
            };
            let samples = found.iter().map(|share| share.samples).sum();
            row(
                racer(objective).name,
                vec![
                    numbers::grouped(samples),
                    over(|share| share.valid.mean),
                    over(|share| share.novel.mean),
                ],
            )
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    written_grids("Mean ± standard error over seeds.", &rows)
}

/// The figure of several seeds of one model.
pub fn trainings(trainings: &Trainings) -> String {
    let (name, kind) = trainings.runs.first().map_or(("", ""), |run| {
        (
            racer(run.result.objective).name,
            theme::kind(run.result.bound),
        )
    });
    let over_seeds = |name: &str, nats: Spread, within: f64| {
        let deviation = nats
            .deviation
            .map_or_else(|| "–".to_owned(), numbers::error);
        let mean = numbers::measured(nats.mean, nats.se);
        row(name, vec![mean, deviation, numbers::error(within)])
    };
    let mut rows = vec![over_seeds(name, trainings.nats, trainings.window_se).noted(kind)];
    if let Some((nats, within)) = trainings.dual_ar {
        let name = line(Objective::Dual, Likelihood::Autoregressive).name;
        rows.push(over_seeds(name, nats, within).noted(AS_TRAINED));
    }
    if let Some(floor) = trainings.floor {
        let none = || "–".to_owned();
        rows.push(row("Floor", vec![numbers::loss(floor), none(), none()]).noted(FLOOR));
    }
    let head = [
        "On the test part",
        "mean ± SE over seeds",
        "spread over seeds",
        "SE within a seed",
    ];
    table("figures", OVER_SEEDS, &head, &rows)
}

/// A row for each seed, finished or not, with a way to its own report.
pub fn each_seed(seeds: &Seeds) -> String {
    let is_race = seeds.config.objectives.len() > 1;
    let columns = if is_race { 5 } else { 2 };
    let epoch = |epoch: Option<f64>| epoch.map_or_else(|| "none".to_owned(), numbers::short);
    let rows: Vec<Row> = seeds
        .runs
        .iter()
        .map(|(seed, run)| {
            let mut cells = match run.as_ref().map(|run| (run, &run.outcome)) {
                Some((_, Some(Outcome::Race(result)))) => vec![
                    numbers::measured(result.ar_best_nats, Some(result.ar_best_se)),
                    numbers::measured(result.masked_best_nats, Some(result.masked_best_se)),
                    numbers::measured(result.difference, Some(result.difference_se)),
                    epoch(result.curve_crossover_epoch),
                    epoch(result.envelope_crossover_epoch),
                ],
                Some((run, Some(Outcome::Train(result)))) => vec![
                    numbers::measured(result.nats, Some(result.se)),
                    place(run, result.best_step),
                ],
                Some((run, None)) => {
                    vec![format!("at step {}", numbers::grouped(run.history.step()))]
                }
                None => vec!["not begun".to_owned()],
            };
            cells.resize(columns, String::new());
            let mut row = row(format!("Seed {seed}"), cells);
            let is_finished = run.as_ref().is_some_and(|run| run.outcome.is_some());
            row.link = is_finished.then(|| format!("{}/report.html", run_name(*seed)));
            row
        })
        .collect();
    let second = match seeds.config.objectives[..] {
        [_, second] => format!("{}, {}", bare(racer(second)), theme::kind(Bound::Elbo)),
        _ => String::new(),
    };
    let head: &[&str] = if is_race {
        &[
            "",
            "AR, exact NLL",
            second.as_str(),
            "difference, paired",
            "curve crossover",
            "envelope crossover",
        ]
    } else {
        &["", "nats/token", "best checkpoint"]
    };
    let caption = "Nats/token on the test part, ± one standard error over its windows; crossovers are epochs. Each name \
        leads to that seed's own report.";
    format!(
        "<h3>Each seed</h3>{}",
        table("figures", caption, head, &rows)
    )
}

/// Every evaluation: the chart for those who prefer numbers.
pub fn evaluations(history: &History) -> String {
    let mut head = vec!["step", "epoch", "tokens", "FLOPs"];
    let names: Vec<String> = history
        .curves()
        .iter()
        .map(|curve| {
            let look = curve.look();
            format!("{}, {}", look.name, curve.kind())
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

/// How evenly mixtures asked their experts: each evaluation, and the last one expert by expert.
pub fn experts(loads: &[ExpertLoad]) -> String {
    let name = |load: &ExpertLoad| line(load.objective, load.likelihood).name;
    let evaluations: Vec<Row> = loads
        .iter()
        .map(|load| {
            row(
                format!("{}, step {}", name(load), numbers::grouped(load.step)),
                vec![
                    format!("{:.2}", load.busiest),
                    format!("{:.3}", load.evenness),
                ],
            )
        })
        .collect();
    let of = |load: &ExpertLoad| (load.objective, load.likelihood);
    let is_last = |(index, load): &(usize, &ExpertLoad)| {
        loads[index + 1..].iter().all(|other| of(other) != of(load))
    };
    let last: String = loads
        .iter()
        .enumerate()
        .filter(is_last)
        .map(|(_, load)| shares(load, name(load)))
        .collect();
    let caption = "The busiest expert's share over the mean share (1 is even), and the entropy of the shares over that of \
        even ones (1 is even, 0 is one expert for everything), on validation windows.";
    format!(
        "{last}<details><summary>All evaluations as a table</summary>{}</details>",
        table(
            "figures",
            caption,
            &["", "busiest expert", "evenness"],
            &evaluations
        )
    )
}

/// Each layer's experts by their shares, busiest first.
fn shares(load: &ExpertLoad, name: &str) -> String {
    let percent = |share: &f64| format!("{:.1}", 100.0 * share);
    let rows: Vec<Row> = load
        .shares
        .iter()
        .enumerate()
        .map(|(layer, shares)| {
            let mut sorted = shares.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let list: Vec<String> = sorted.iter().map(percent).collect();
            row(format!("layer {layer}"), vec![list.join(" ")])
        })
        .collect();
    let caption = format!(
        "{name} after step {}: % of what tokens ask that each expert gets, busiest first. Busiest {:.2} times its share, \
         evenness {:.3}.",
        numbers::grouped(load.step),
        load.busiest,
        load.evenness
    );
    table("facts", &caption, &[], &rows)
}

/// A mixture's experts in a line; nothing for a dense model.
fn mixture(shape: Option<&Shape>) -> String {
    let Some(experts) = shape.and_then(|shape| shape.experts.as_ref()) else {
        return String::new();
    };
    let chooses = match experts.routing {
        Routing::TokenChoice => "tokens choose",
        Routing::ExpertChoice => "experts choose",
    };
    let shared = match experts.shared_intermediate_size {
        Some(width) => format!(", and one of width {width} for all"),
        None => String::new(),
    };
    format!(
        "{} of width {}, {} for a token{shared}; {chooses}",
        experts.count, experts.intermediate_size, experts.per_token
    )
}

/// What was trained, on what and how.
pub fn configuration(config: &RunConfig, parameters: Option<u64>, seeds: String) -> String {
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
    // Experts don't ask which vocabulary, and where it is open nothing is counted.
    let shape = model.resolve(model.vocab_size.unwrap_or(2)).ok();
    list.push(("experts", mixture(shape.as_ref())));
    if let Some(parameters) = parameters {
        let active = match shape {
            Some(shape) if shape.experts.is_some() && model.vocab_size.is_some() => format!(
                "; a token uses {}",
                numbers::grouped(shape.active_parameters())
            ),
            _ => String::new(),
        };
        list.push((
            "parameters",
            format!(
                "{}, equal for every model{active}",
                numbers::grouped(parameters)
            ),
        ));
    }
    let only = |objective, text: String| {
        if config.objectives.contains(&objective) {
            text
        } else {
            String::new()
        }
    };
    let size = config.objective.block_size;
    let blocks = only(
        Objective::Block,
        size.map_or_else(auto, |size| format!("{size} tokens")),
    );
    let share = numbers::short(100.0 * config.objective.dual_fraction);
    let dual = only(Objective::Dual, format!("{share} % left to right"));
    let average = train.ema_decay.map_or_else(String::new, |decay| {
        format!("decay {decay}: what is measured and kept")
    });
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
        ("blocks", blocks),
        ("dual batches", dual),
        ("averaged weights", average),
        ("seed", seeds),
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
    list.retain(|(_, value)| !value.is_empty());
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
    for objective in &run.config.objectives {
        let curve = run.history.curve(*objective);
        if let Some(last) = curve.and_then(|curve| curve.steps.last()) {
            list.push((
                racer(*objective).name,
                format!(
                    "trained for {}, {} FLOPs",
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
