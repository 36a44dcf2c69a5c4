//! The final table and verdicts, for standard output.

use std::path::Path;

use crossover::lab::{GridShare, Outcome, RaceResult, TrainResult};
use crossover::objective::Bound;
use crossover::train::RunConfig;
use crossover_report::numbers;
use crossover_report::theme::{self, racer};
use crossover_report::together::{Crossings, Races, Spread, Together, Trainings};
use crossover_report::verdict;

/// Columns that every terminal has.
const COLUMNS: usize = 80;

/// The result as plain text: a table, what is behind it, and where the report is.
pub fn summary(outcome: &Outcome, config: &RunConfig, report: Option<&Path>) -> String {
    let (table, words) = match outcome {
        Outcome::Race(result) => (race_table(result, config), race_words(result)),
        Outcome::Train(result) => (train_table(result, config), train_words(result)),
    };
    let report = report
        .map(|path| format!("\nReport: {}\n", path.display()))
        .unwrap_or_default();
    format!("{}\n{words}{report}", aligned(&table))
}

/// What several seeds came to, as plain text: a row for each, what they say together, and where the report is.
pub fn seeds_summary(together: &Together, config: &RunConfig, report: &Path) -> String {
    let (table, words) = match together {
        Together::Race(races) => (aligned(&races_table(races)), races_words(races)),
        Together::Train(trainings) => (
            aligned(&trainings_table(trainings, config)),
            trainings_words(trainings),
        ),
    };
    format!("{table}\n{words}\nReport: {}\n", report.display())
}

fn races_table(races: &Races) -> Vec<[String; 6]> {
    let second = format!(" {}", racer(races.second()).name.to_lowercase());
    let titles = ["", " AR", &second, " difference", "curve", "envelope"];
    let mut table = vec![titles.map(str::to_owned)];
    for run in &races.runs {
        let result = &run.result;
        let figure = |nats, se| signed(numbers::measured(nats, Some(se)));
        table.push([
            format!("Seed {}", run.seed),
            figure(result.ar_best_nats, result.ar_best_se),
            figure(result.masked_best_nats, result.masked_best_se),
            figure(result.difference, result.difference_se),
            epoch(result.curve_crossover_epoch),
            epoch(result.envelope_crossover_epoch),
        ]);
    }
    let figures = [races.ar, races.masked, races.difference];
    let of = races.runs.len();
    let [ar, masked, difference] = figures.map(mean);
    let (curve, envelope) = (crossed(&races.curve, of), crossed(&races.envelope, of));
    table.push([
        "Mean ± SE".to_owned(),
        ar,
        masked,
        difference,
        curve,
        envelope,
    ]);
    let [ar, masked, difference] = figures.map(deviation);
    let epochs = |crossings: &Crossings| {
        let deviation = crossings.epoch.and_then(|epoch| epoch.deviation);
        deviation.map_or_else(String::new, numbers::short)
    };
    let (curve, envelope) = (epochs(&races.curve), epochs(&races.envelope));
    table.push(["Spread".to_owned(), ar, masked, difference, curve, envelope]);
    let [ar, masked, difference] = [races.ar_window_se, races.masked_window_se, races.paired_se]
        .map(|se| signed(numbers::error(se)));
    let none = String::new;
    table.push([
        "SE within".to_owned(),
        ar,
        masked,
        difference,
        none(),
        none(),
    ]);
    table
}

fn trainings_table(trainings: &Trainings, config: &RunConfig) -> Vec<[String; 3]> {
    let titles = ["", " nats/token", "best checkpoint"];
    let mut table = vec![titles.map(str::to_owned)];
    for run in &trainings.runs {
        table.push([
            format!("Seed {}", run.seed),
            signed(numbers::measured(run.result.nats, Some(run.result.se))),
            place(run.result.best_step, config),
        ]);
    }
    table.push(["Mean ± SE".to_owned(), mean(trainings.nats), String::new()]);
    table.push([
        "Spread".to_owned(),
        deviation(trainings.nats),
        String::new(),
    ]);
    table
}

fn mean(spread: Spread) -> String {
    signed(numbers::measured(spread.mean, spread.se))
}

fn deviation(spread: Spread) -> String {
    signed(spread.deviation.map_or_else(String::new, numbers::error))
}

fn epoch(epoch: Option<f64>) -> String {
    epoch.map_or_else(|| "–".to_owned(), numbers::short)
}

/// A crossover's mean epoch, or how many seeds had one.
fn crossed(crossings: &Crossings, of: usize) -> String {
    match crossings.epoch {
        Some(epoch) => numbers::short(epoch.mean),
        None => format!("{} of {of}", crossings.count),
    }
}

const OVER_SEEDS: &str = "Nats/token on the test part. The mean's ± is its standard error over seeds, the spread their \
    standard deviation. A seed's own ± is a standard error over its test windows, paired for the difference; \"SE \
    within\" is its mean.";

fn races_words(races: &Races) -> String {
    let mut sentences = vec![
        format!("{OVER_SEEDS} Crossovers are epochs."),
        String::new(),
        verdict::seeds_headline(races),
        String::new(),
        format!("Curve crossover: {}", verdict::seeds_curve(races)),
        format!("Envelope crossover: {}", verdict::seeds_envelope(races)),
    ];
    let dual = races.dual.as_ref().map(verdict::seeds_dual);
    sentences.extend(dual.map(|words| format!("The dual model as AR: {words}")));
    sentences.push(format!("Regularised envelope: {}", verdict::REGULARISED));
    sentences.iter().map(|sentence| wrapped(sentence)).collect()
}

fn trainings_words(trainings: &Trainings) -> String {
    wrapped(OVER_SEEDS) + "\n" + &wrapped(&verdict::trainings_headline(trainings))
}

/// Columns padded to their widest cell.
pub fn aligned<Row: AsRef<[String]>>(table: &[Row]) -> String {
    let columns = table.iter().map(|row| row.as_ref().len()).max();
    let widths: Vec<usize> = (0..columns.unwrap_or(0))
        .map(|column| {
            let cells = table.iter().filter_map(|row| row.as_ref().get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    table
        .iter()
        .map(|row| {
            let line: String = row
                .as_ref()
                .iter()
                .zip(&widths)
                .map(|(cell, &width)| format!("{cell:width$}  "))
                .collect();
            format!("{}\n", line.trim_end())
        })
        .collect()
}

fn head() -> [String; 4] {
    ["", " nats/token", " bits/character", "best checkpoint"].map(str::to_owned)
}

/// A table row; `characters` is how many a token has.
fn row(name: &str, mean: f64, se: Option<f64>, characters: f64, at: String) -> [String; 4] {
    let scale = std::f64::consts::LN_2 * characters;
    let bits = if characters > 0.0 {
        numbers::measured(mean / scale, se.map(|se| se / scale))
    } else {
        String::new()
    };
    [
        name.to_owned(),
        signed(numbers::measured(mean, se)),
        signed(bits),
        at,
    ]
}

/// A column of figures lines up only where positive ones leave room for a sign.
fn signed(text: String) -> String {
    if text.starts_with('−') {
        text
    } else {
        format!(" {text}")
    }
}

fn race_table(result: &RaceResult, config: &RunConfig) -> Vec<[String; 4]> {
    let characters = result.characters_per_token;
    let none = String::new;
    let look = racer(result.second);
    let kind = match result.block_size {
        Some(1) => theme::kind(Bound::Exact),
        _ => theme::kind(Bound::Elbo),
    };
    let mut table = vec![
        head(),
        row(
            "AR, exact NLL",
            result.ar_best_nats,
            Some(result.ar_best_se),
            characters,
            place(result.ar_best_step, config),
        ),
        row(
            &format!("{}, {}", look.name, kind),
            result.masked_best_nats,
            Some(result.masked_best_se),
            characters,
            place(result.masked_best_step, config),
        ),
    ];
    if let Some(exact) = result.masked_left_to_right {
        let name = "  left to right, exact";
        table.push(row(name, exact.mean, Some(exact.se), characters, none()));
    }
    if let Some(tighter) = result.masked_k_order {
        let name = match result.orders {
            Some(orders) => format!("  bound of {orders} orders"),
            None => "  bound of orders".to_owned(),
        };
        table.push(row(
            &name,
            tighter.mean,
            Some(tighter.se),
            characters,
            none(),
        ));
    }
    table.push(row(
        "Difference, paired",
        result.difference,
        Some(result.difference_se),
        characters,
        none(),
    ));
    if let Some(dual) = result.dual_ar {
        let (nats, difference) = ((dual.nats, dual.se), (dual.difference, dual.difference_se));
        for (name, (mean, se)) in [(DUAL_AS_AR, nats), ("  difference, paired", difference)] {
            table.push(row(name, mean, Some(se), characters, none()));
        }
    }
    if let Some(floor) = result.floor_nats {
        table.push(row("Floor", floor, None, characters, none()));
    }
    table
}

/// A dual model's other likelihood.
const DUAL_AS_AR: &str = "Dual as AR, exact NLL";

fn train_table(result: &TrainResult, config: &RunConfig) -> Vec<[String; 4]> {
    let look = racer(result.objective);
    let characters = result.characters_per_token;
    let mut table = vec![
        head(),
        row(
            &format!("{}, {}", look.name, theme::kind(result.bound)),
            result.nats,
            Some(result.se),
            characters,
            place(result.best_step, config),
        ),
    ];
    if let Some(dual) = result.dual_ar {
        table.push(row(
            DUAL_AS_AR,
            dual.mean,
            Some(dual.se),
            characters,
            String::new(),
        ));
    }
    if let Some(floor) = result.floor_nats {
        table.push(row("Floor", floor, None, characters, String::new()));
    }
    table
}

fn race_words(result: &RaceResult) -> String {
    let mut sentences = vec![
        verdict::headline(result),
        String::new(),
        format!("Curve crossover: {}", verdict::curve(result)),
        format!("Envelope crossover: {}", verdict::envelope(result)),
    ];
    let dual = result.dual_ar.as_ref().map(verdict::dual);
    sentences.extend(dual.map(|words| format!("The dual model as AR: {words}")));
    sentences.push(format!("Regularised envelope: {}", verdict::REGULARISED));
    let sentences: String = sentences.iter().map(|sentence| wrapped(sentence)).collect();
    format!(
        "{}Measured on {} test windows; ± is one standard error over them.\n\n{sentences}",
        grids(result.grids.as_deref()),
        numbers::grouped(result.test_windows),
    )
}

/// A sentence in lines of at most [`COLUMNS`], broken between words.
fn wrapped(sentence: &str) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in sentence.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > COLUMNS {
            text.push_str("\n  ");
            column = 2;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text + "\n"
}

fn train_words(result: &TrainResult) -> String {
    format!(
        "{}Measured on {} test tokens, from one seed; ± is one standard error.\n",
        grids(result.grids.as_deref()),
        numbers::grouped(result.tokens)
    )
}

fn grids(shares: Option<&[GridShare]>) -> String {
    shares
        .unwrap_or_default()
        .iter()
        .map(|share| {
            format!(
                "{}: {} of {} grids keep every rule, {} are also new.\n",
                racer(share.objective).name,
                numbers::share(share.valid),
                numbers::grouped(share.samples),
                numbers::share(share.novel)
            )
        })
        .collect()
}

/// A step, with its epoch where the configuration is complete enough to tell.
fn place(step: u64, config: &RunConfig) -> String {
    let step_text = format!("step {}", numbers::grouped(step));
    match (config.corpus.length, config.corpus.unique) {
        (Some(length), Some(unique)) if unique > 0 => {
            let tokens = step as f64 * (config.train.batch * length) as f64;
            format!(
                "epoch {} ({step_text})",
                numbers::short(tokens / unique as f64)
            )
        }
        _ => step_text,
    }
}

#[cfg(test)]
mod tests {
    use crossover::lab::Estimate;
    use crossover::objective::{Bound, Objective};

    use super::*;
    use crossover_report::fixtures::{races, won};

    #[test]
    fn a_race_ends_with_a_table_and_three_verdicts() {
        let mut config = RunConfig::default();
        config.corpus.length = Some(25);
        config.corpus.unique = Some(25_000);
        let mut result = won();
        result.masked_left_to_right = Some(Estimate {
            mean: 0.556,
            se: 0.006,
        });
        let text = summary(
            &Outcome::Race(result),
            &config,
            Some(Path::new("runs/a/report.html")),
        );
        assert_eq!(
            text,
            "                         nats/token      bits/character  best checkpoint
AR, exact NLL            0.592 ± 0.004   0.854 ± 0.006   epoch 9.6 (step 240)
Diffusion, upper bound   0.551 ± 0.006   0.795 ± 0.009   epoch 100 (step 2,500)
  left to right, exact   0.556 ± 0.006   0.802 ± 0.009
Difference, paired      −0.041 ± 0.008  −0.059 ± 0.012
Floor                    0.480           0.692

Measured on 2,000 test windows; ± is one standard error over them.

Diffusion wins by 0.041 ± 0.008 nats/token (envelope, epoch 61; 5.1 paired SE,
  from one seed).

Curve crossover: epoch 23. From that evaluation on, diffusion's bound is below
  AR's NLL at equal tokens.
Envelope crossover: epoch 61. Diffusion's bound is below the best AR ever
  reached, as if AR had stopped in time; on the test part by 0.041 (5.1 paired
  SE).
Regularised envelope: not measured. A race tries one regularisation only;
  whether AR stays ahead with the best dropout, weight decay and input masking
  takes many races.

Report: runs/a/report.html
"
        );
    }

    #[test]
    fn several_seeds_end_with_a_row_each_and_what_they_say_together() {
        let races = Together::Race(Box::new(races(&[-0.041, -0.03, -0.012])));
        let report = Path::new("runs/a/report.html");
        let text = seeds_summary(&races, &RunConfig::default(), report);
        assert_eq!(
            text,
            "            AR              diffusion       difference     curve  envelope
Seed 1      0.592 ± 0.004   0.551 ± 0.006  −0.041 ± 0.008  23     61
Seed 2      0.592 ± 0.004   0.562 ± 0.006  −0.030 ± 0.008  23     61
Seed 3      0.592 ± 0.004   0.580 ± 0.006  −0.012 ± 0.008  23     61
Mean ± SE   0.592 ± 0.000   0.564 ± 0.008  −0.028 ± 0.008  23     61
Spread      0.000           0.015           0.015          0      0
SE within   0.004           0.006           0.008

Nats/token on the test part. The mean's ± is its standard error over seeds, the
  spread their standard deviation. A seed's own ± is a standard error over its
  test windows, paired for the difference; \"SE within\" is its mean. Crossovers
  are epochs.

Diffusion wins by 0.028 ± 0.008 nats/token (envelope, in each of 3 seeds, at
  epoch 61 on average; ± is over seeds, their spread 0.015, paired SE within one
  0.008).

Curve crossover: in each of 3 seeds, at epoch 23 ± 0 on average. From that
  evaluation on, diffusion's bound is below AR's NLL at equal tokens.
Envelope crossover: in each of 3 seeds, at epoch 61 ± 0 on average. Diffusion's
  bound is below the best AR ever reached, as if AR had stopped in time, each
  time by more than two paired SE on the test part.
Regularised envelope: not measured. A race tries one regularisation only;
  whether AR stays ahead with the best dropout, weight decay and input masking
  takes many races.

Report: runs/a/report.html
"
        );
    }

    #[test]
    fn one_model_ends_with_its_figure() {
        let share = Estimate {
            mean: 0.9,
            se: 0.02,
        };
        let result = TrainResult {
            objective: Objective::Autoregressive,
            nats: 0.6,
            se: 0.01,
            dual_ar: None,
            bound: Bound::Exact,
            tokens: 50_000,
            best_step: 50,
            floor_nats: None,
            grids: Some(vec![GridShare {
                objective: Objective::Autoregressive,
                samples: 200,
                valid: share,
                novel: share,
            }]),
            characters_per_token: 1.0,
            bytes_per_token: 1.0,
            peak_memory_bytes: None,
            wall_seconds: 12.0,
        };
        let text = summary(&Outcome::Train(result), &RunConfig::default(), None);
        assert!(
            text.contains("AR, exact NLL   0.600 ± 0.010   0.866 ± 0.014   step 50"),
            "{text}"
        );
        assert!(
            text.contains("AR: 90.0 ± 2.0 % of 200 grids keep every rule"),
            "{text}"
        );
    }
}
