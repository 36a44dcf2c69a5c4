//! The sweeps behind `docs/findings.md`: trained, kept as `docs/findings/NAME.json`, and put into the page's tables. What is
//! said about the tables is written by people; nothing here changes it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::pilots::{Data, cells, measured};
use crate::{command, long, root, step};

/// Every sweep that comes with the program, in the order of the page.
const SWEEPS: [&str; 15] = [
    "unique-data",
    "onset",
    "data-quality",
    "model-size",
    "sparsity",
    "ar-input-mask",
    "ar-dropout",
    "long-repetition",
    "code",
    "loss-formulation",
    "fair-ar",
    "fair-ar-grids",
    "fair-ar-text",
    "dual",
    "order",
];

/// Seeds of every point.
const SEEDS: &str = "3";

const PAGE: &str = "docs/findings.md";
const BEGINS: &str = "<!-- table: ";
const ENDS: &str = "<!-- end of table -->";
const UNTRAINED: &str = "Not trained yet.\n";

/// What is kept of each run's result: enough to see every seed.
const OF_A_RUN: [&str; 14] = [
    "seed",
    "objective",
    "second",
    "ar_best_nats",
    "ar_best_se",
    "masked_best_nats",
    "masked_best_se",
    "difference",
    "difference_se",
    "curve_crossover_epoch",
    "envelope_crossover_epoch",
    "nats",
    "se",
    "dual_ar",
];

/// Trains the named sweeps, or all, and goes on with what was interrupted; with `--from DIR` before the names, reads the
/// results in `DIR/NAME` instead. Then refreshes the page and prints the tables.
pub fn run(arguments: &[&str]) -> Result<()> {
    let (from, names) = match arguments {
        ["--from", folder, names @ ..] => (Some(Path::new(*folder)), names),
        names => (None, names),
    };
    for name in names {
        ensure!(
            SWEEPS.contains(name),
            "there is no sweep `{name}`: one of {}",
            SWEEPS.join(", ")
        );
    }
    let chosen: Vec<&str> = SWEEPS
        .into_iter()
        .filter(|name| names.is_empty() || names.contains(name))
        .collect();
    match from {
        Some(folder) => {
            for name in &chosen {
                keep(name, &folder.join(name))?;
            }
        }
        None => {
            let (binary, data) = (long::binary()?, Data::find());
            for name in &chosen {
                let folder = root().join("runs/findings").join(name);
                train(&binary, name, &folder, &data)?;
                keep(name, &folder)?;
            }
        }
    }
    let page = root().join(PAGE);
    let text = fs::read_to_string(&page).with_context(|| format!("can't read {PAGE}"))?;
    fs::write(&page, refreshed(&text, table)?)?;
    for name in chosen {
        println!("### {name}\n\n{}", table(name)?);
    }
    Ok(())
}

/// Trains what is not finished of a sweep.
fn train(binary: &Path, name: &str, folder: &Path, data: &Data) -> Result<()> {
    let mut sweep = command(&binary.display().to_string(), &["sweep", name]);
    sweep.args(["--seeds", SEEDS, "--device", "cpu", "--out"]);
    sweep.arg(folder);
    let text = match name {
        "code" => Some(&data.code),
        "fair-ar-text" => Some(&data.shakespeare),
        _ => None,
    };
    match text {
        None => {}
        Some(Some(text)) => {
            sweep.arg("--corpus").arg(text);
        }
        Some(None) => {
            eprintln!("{name}: left out, as this machine has no such text");
            return Ok(());
        }
    }
    step(sweep)
}

/// The file with a sweep's results, which is committed.
fn kept(name: &str) -> PathBuf {
    root().join("docs/findings").join(format!("{name}.json"))
}

/// Keeps what matters of a sweep's results; where there are none, what is kept stays.
fn keep(name: &str, folder: &Path) -> Result<()> {
    let results = folder.join("results.json");
    if !results.exists() {
        if folder.join("sweep.json").exists() {
            bail!(
                "{} has no results.json: `crossover report {0}` writes it",
                folder.display()
            );
        }
        eprintln!("{name}: not trained in {}", folder.display());
        return Ok(());
    }
    let text = fs::read_to_string(&results)?;
    let results: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", results.display()))?;
    ensure!(
        results["sweep"] == name,
        "{} holds the sweep {}",
        folder.display(),
        results["sweep"]
    );
    let path = kept(name);
    fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
    fs::write(
        path,
        serde_json::to_string_pretty(&reduced(&results))? + "\n",
    )?;
    Ok(())
}

/// Results without what every run has to itself.
fn reduced(results: &Value) -> Value {
    let mut kept = results.clone();
    if let Some(all) = kept.as_object_mut() {
        for key in ["event", "report"] {
            all.shift_remove(key);
        }
    }
    let points = kept["points"].as_array_mut();
    let runs = points.into_iter().flatten().filter_map(|point| {
        let runs = point.get_mut("result")?.get_mut("runs")?;
        runs.as_array_mut()
    });
    for run in runs.flatten() {
        let all = OF_A_RUN.into_iter().filter_map(|key| {
            let value = run.get(key)?;
            Some((key.to_owned(), value.clone()))
        });
        *run = Value::Object(all.collect::<Map<_, _>>());
    }
    kept
}

/// A page with every table between its marks made anew.
fn refreshed(page: &str, table: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut pieces = page.split(BEGINS);
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece
            .split_once(" -->")
            .context("a mark of a table has no end")?;
        let (_, after) = rest
            .split_once(ENDS)
            .with_context(|| format!("the table of {name} has no end: `{ENDS}`"))?;
        let _ = write!(
            text,
            "{BEGINS}{name} -->\n\n{}\n{ENDS}{after}",
            table(name)?
        );
    }
    Ok(text)
}

/// The tables of a sweep from what is kept of it.
fn table(name: &str) -> Result<String> {
    ensure!(SWEEPS.contains(&name), "there is no sweep `{name}`");
    let path = kept(name);
    if !path.exists() {
        return Ok(UNTRAINED.to_owned());
    }
    let text = fs::read_to_string(&path)?;
    let kept =
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
    Ok(told(&kept))
}

/// Results as Markdown.
fn told(kept: &Value) -> String {
    let mut text = String::new();
    let (runs, finished) = (&kept["runs"], &kept["finished"]);
    if runs != finished {
        let _ = write!(text, "{finished} of {runs} runs are trained.\n\n");
    }
    text += &rows(
        &[
            "point",
            "seeds",
            "AR, exact NLL",
            "diffusion, bound",
            "left to right",
            "difference",
            "curve",
            "envelope",
            "AR's best at epoch",
            "AR at the end",
            "diffusion's best at epoch",
            "diffusion at the end",
        ],
        list(&kept["points"]).map(point),
    );
    text += &rows(
        &[
            "regularised envelope",
            "AR models",
            "AR's best",
            "diffusion's best",
            "difference",
            "below from epoch",
        ],
        list(&kept["regularised_envelopes"]).map(envelope),
    );
    let passings = list(&kept["laws"]["passings"]).filter(|passing| {
        let crossed = |epoch: &Value| !epoch.is_null();
        list(&passing["epochs"]).any(crossed)
    });
    text += &rows(
        &[
            "envelope crossover",
            "at epochs",
            "fitted law",
            "published law",
        ],
        passings.map(passing),
    );
    text += &laws(&kept["laws"]);
    text
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A table without the columns that have nothing in them; nothing of no row.
fn rows<const WIDTH: usize>(
    head: &[&str; WIDTH],
    rows: impl Iterator<Item = [String; WIDTH]>,
) -> String {
    let rows: Vec<[String; WIDTH]> = rows.collect();
    let used: Vec<usize> = (0..WIDTH)
        .filter(|column| rows.iter().any(|row| !row[*column].is_empty()))
        .collect();
    if used.is_empty() {
        return String::new();
    }
    let line = |cells: &dyn Fn(usize) -> String| {
        let cells: Vec<String> = used.iter().map(|column| cells(*column)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(&|column| head[column].to_owned());
    text += &format!("|{}\n", "---|".repeat(used.len()));
    for row in &rows {
        text += &line(&|column| row[column].clone());
    }
    text + "\n"
}

/// A point's figures; those of one seed have their errors over windows, as a run by itself has.
fn point(point: &Value) -> [String; 12] {
    let name = point["point"].as_str().unwrap_or_default().to_owned();
    let result = &point["result"];
    let planned = list(&point["seeds"]).count();
    if result.is_null() {
        let mut cells = std::array::from_fn(|_| String::new());
        cells[0] = name;
        cells[1] = format!("0 of {planned}");
        return cells;
    }
    let runs: Vec<&Value> = list(&result["runs"]).collect();
    let shown = match runs[..] {
        [only] => only,
        _ => result,
    };
    let [_, ar, second, left_to_right, difference, curve, envelope] = cells(shown);
    let seeds = match runs.len() == planned {
        true => planned.to_string(),
        false => format!("{} of {planned}", runs.len()),
    };
    let course = |is_ar: bool, key: &str, decimals: usize| {
        let of = list(&point["courses"]).find(|course| (course["likelihood"] == "ar") == is_ar);
        let of = of.map(|course| &course[key]);
        of.and_then(|of| of["mean"].as_f64())
            .map_or_else(String::new, |mean| format!("{mean:.decimals$}"))
    };
    [
        name,
        seeds,
        ar,
        second,
        left_to_right,
        difference,
        curve,
        envelope,
        course(true, "best_epoch", 0),
        course(true, "last", 3),
        course(false, "best_epoch", 0),
        course(false, "last", 3),
    ]
}

/// Diffusion against the best AR of all that were tried.
fn envelope(envelope: &Value) -> [String; 6] {
    let seed = format!("seed {}", envelope["seed"]);
    let among = envelope["among"].as_str().unwrap_or_default();
    let best = |of: &Value| {
        let point = of["point"].as_str().unwrap_or_default();
        format!("{} (`{point}`)", measured(&of["test"], "mean", "se"))
    };
    [
        match among.is_empty() {
            true => seed,
            false => format!("{among}, {seed}"),
        },
        envelope["tried"].to_string(),
        best(&envelope["ar"]),
        best(&envelope["second"]),
        measured(envelope, "difference", "difference_se"),
        envelope["epoch"]
            .as_f64()
            .map_or_else(|| "no".to_owned(), |epoch| format!("{epoch:.0}")),
    ]
}

/// When a point crossed, and when laws have it.
fn passing(passing: &Value) -> [String; 4] {
    let epochs: Vec<String> = list(&passing["epochs"])
        .map(|epoch| epoch.as_f64().map_or_else(|| "no".to_owned(), short))
        .collect();
    let name = passing["point"].as_str().unwrap_or_default().to_owned();
    [
        name,
        epochs.join(", "),
        interval(&passing["fitted"]),
        passing["published"]
            .as_f64()
            .map_or_else(String::new, short),
    ]
}

/// Which laws could be fitted, a line for each.
fn laws(laws: &Value) -> String {
    let mut text = String::new();
    if let Some(law) = laws.get("critical").filter(|law| !law.is_null()) {
        let _ = writeln!(
            text,
            "- Critical compute: {} · U^{} FLOPs, from {} crossovers (published: 2.12e15 (U / 10⁶)^2.174).",
            interval(&law["factor"]),
            interval(&law["exponents"][0]),
            law["points"]
        );
    }
    if let Some(law) = laws.get("onset").filter(|law| !law.is_null()) {
        let _ = writeln!(
            text,
            "- Overfitting onset of masked diffusion: epoch {} · U^{} · N^{}, from {} runs (published: 27 · 254.35 U^0.39 \
             N^−0.55).",
            interval(&law["factor"]),
            interval(&law["exponents"][0]),
            interval(&law["exponents"][1]),
            law["points"]
        );
    }
    for data in list(&laws["data"]) {
        let form = data["law"]["repetition"].as_str().unwrap_or_default();
        let _ = writeln!(
            text,
            "- Loss by unique data and repeats, {}, {form}'s form: repeats {}, exponent {}, residual {:.3} nats/token.",
            data["objective"].as_str().unwrap_or_default(),
            interval(&data["law"]["repeats"]),
            interval(&data["law"]["exponent"]),
            data["law"]["residual"].as_f64().unwrap_or(f64::NAN)
        );
    }
    match text.is_empty() {
        true => text,
        false => text + "\n",
    }
}

/// A fitted number with its interval of 90 %.
fn interval(fitted: &Value) -> String {
    let of = |key: &str| fitted[key].as_f64();
    match (of("value"), of("low"), of("high")) {
        (Some(value), Some(low), Some(high)) if low < high => {
            format!("{} [{}, {}]", short(value), short(low), short(high))
        }
        (Some(value), ..) => short(value),
        _ => String::new(),
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 1e5 || (size < 1e-3 && size > 0.0) => return format!("{value:.2e}"),
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => return format!("{value:.0}"),
    };
    let text = format!("{value:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn race(seed: u64, ar: f64, masked: f64, envelope: Value) -> Value {
        json!({
            "seed": seed, "second": "masked", "ar_best_nats": ar, "ar_best_se": 0.01, "masked_best_nats": masked,
            "masked_best_se": 0.02, "difference": masked - ar, "difference_se": 0.005, "curve_crossover_epoch": 3.0,
            "envelope_crossover_epoch": envelope, "wall_seconds": 9.0,
        })
    }

    /// A sweep of which one point has two seeds, one has one, and one has none yet.
    fn results() -> Value {
        let two = json!({
            "ar_best_nats": 0.7, "ar_best_se": 0.1, "masked_best_nats": 0.6, "masked_best_se": 0.0, "difference": -0.1,
            "difference_se": 0.1, "curve_crossover_epoch": 3.0, "envelope_crossover_epoch": null,
            "runs": [race(1, 0.8, 0.6, json!(7.0)), race(2, 0.6, 0.6, Value::Null)],
        });
        let one = json!({
            "ar_best_nats": 0.8, "ar_best_se": null, "masked_best_nats": 0.5, "masked_best_se": null,
            "runs": [race(1, 0.8, 0.5, json!(4.0))],
        });
        let course = |objective: &str| json!({"objective": objective, "likelihood": objective, "best": {"mean": 0.7}, "best_epoch": {"mean": 5.4}, "last": {"mean": 0.9}});
        json!({
            "event": "result", "sweep": "onset", "scale": "cpu", "commits": ["abc"], "runs": 6, "finished": 3,
            "headline": "Unfinished.", "report": "runs/report.html",
            "points": [
                {"point": "unique=1", "seeds": [1, 2], "result": two, "courses": [course("ar"), course("masked")]},
                {"point": "unique=2", "seeds": [1, 2], "result": one, "courses": []},
                {"point": "unique=3", "seeds": [1, 2], "result": null, "courses": []},
            ],
            "regularised_envelopes": [{
                "seed": 1, "among": "", "tried": 3, "difference": 0.05, "difference_se": 0.02, "epoch": null,
                "ar": {"point": "AR,dropout=0.4", "test": {"mean": 0.5, "se": 0.01}},
                "second": {"point": "race", "test": {"mean": 0.55, "se": 0.02}},
            }],
            "laws": {
                "critical": null,
                "data": [],
                "passings": [
                    {"point": "unique=1", "epochs": [7.0, null], "published": 0.25, "fitted": null},
                    {"point": "unique=3", "epochs": [null], "published": 1.0, "fitted": null},
                ],
            },
        })
    }

    #[test]
    fn a_table_has_means_over_seeds_one_seed_s_own_errors_and_what_is_missing() {
        let text = told(&reduced(&results()));
        let expected = "3 of 6 runs are trained.\n\n\
            | point | seeds | AR, exact NLL | diffusion, bound | difference | curve | envelope | AR's best at epoch | \
            AR at the end | diffusion's best at epoch | diffusion at the end |\n\
            |---|---|---|---|---|---|---|---|---|---|---|\n\
            | unique=1 | 2 | 0.700 ± 0.100 | 0.600 ± 0.000 | −0.100 ± 0.100 | 3, 3 | 7, no | 5 | 0.900 | 5 | 0.900 |\n\
            | unique=2 | 1 of 2 | 0.800 ± 0.010 | 0.500 ± 0.020 | −0.300 ± 0.005 | 3 | 4 |  |  |  |  |\n\
            | unique=3 | 0 of 2 |  |  |  |  |  |  |  |  |  |\n\n\
            | regularised envelope | AR models | AR's best | diffusion's best | difference | below from epoch |\n\
            |---|---|---|---|---|---|\n\
            | seed 1 | 3 | 0.500 ± 0.010 (`AR,dropout=0.4`) | 0.550 ± 0.020 (`race`) | 0.050 ± 0.020 | no |\n\n\
            | envelope crossover | at epochs | published law |\n|---|---|---|\n| unique=1 | 7, no | 0.25 |\n\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_kept_is_small() {
        let kept = reduced(&results());
        assert!(kept.get("report").is_none());
        let run = &kept["points"][0]["result"]["runs"][0];
        assert_eq!(run["difference_se"], 0.005);
        assert!(run.get("wall_seconds").is_none());
    }

    #[test]
    fn only_what_is_between_marks_changes() {
        let page = "Before.\n\n<!-- table: onset -->\nold\n<!-- end of table -->\n\nAfter.\n";
        let new = |name: &str| Ok(format!("| {name} |\n"));
        let once = refreshed(page, new).unwrap();
        assert_eq!(
            once,
            "Before.\n\n<!-- table: onset -->\n\n| onset |\n\n<!-- end of table -->\n\nAfter.\n"
        );
        assert_eq!(refreshed(&once, new).unwrap(), once);
        let open = refreshed("<!-- table: onset -->\n| x |\n", new).unwrap_err();
        assert!(open.to_string().contains("the table of onset has no end"));
    }

    #[test]
    fn every_sweep_has_its_table_and_the_page_says_what_is_kept() {
        let text = fs::read_to_string(root().join(PAGE)).unwrap();
        let mut files: Vec<String> = fs::read_dir(root().join("trainer/sweeps"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .collect();
        files.sort();
        let mut known = SWEEPS.map(str::to_owned);
        known.sort();
        assert_eq!(files, known);
        for name in SWEEPS {
            assert_eq!(
                text.matches(&format!("{BEGINS}{name} -->")).count(),
                1,
                "{name}"
            );
        }
        assert!(
            refreshed(&text, table).unwrap() == text,
            "`cargo xtask long findings --from DIR` refreshes {PAGE}"
        );
    }
}
