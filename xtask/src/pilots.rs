//! The pilots behind `docs/pilots.md`: races and trainings that find where diffusion wins. Hours in all; a pilot whose
//! result is in `docs/pilots` is not repeated, one that was interrupted goes on.

use std::fmt::Write as _;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use crate::{long::binary, root};

/// One run, or one over several seeds: `crossover` with these arguments.
struct Pilot {
    /// The table of `docs/pilots.md` it belongs to.
    table: &'static str,
    /// Its row there; also its folder's name.
    name: String,
    arguments: Vec<String>,
}

impl Pilot {
    /// Its run directory.
    fn place(&self) -> PathBuf {
        root()
            .join("runs/pilots")
            .join(self.table)
            .join(self.slug())
    }

    /// The file with its result, which is committed.
    fn kept(&self) -> PathBuf {
        let folder = root().join("docs/pilots").join(self.table);
        folder.join(format!("{}.json", self.slug()))
    }

    /// Its name as files have it.
    fn slug(&self) -> String {
        self.name.replace(", ", "-").replace(' ', "-")
    }
}

const LATIN_5: &str = "--corpus grids:latin-5";
const SMALL_LATIN_5: &str = "--corpus grids:latin-5 --unique 10000 --epochs 80 --evaluate-every 40";
const TALES: &str = "--preset tales";

/// Learning rate, weight decay and dropout, alike for both models, on one corpus and budget.
fn sweep(table: &'static str, common: &str) -> Vec<Pilot> {
    let mut pilots = Vec::new();
    for dropout in ["0", "0.1", "0.2", "0.4"] {
        for weight_decay in ["0.1", "1"] {
            for rate in ["3e-4", "1e-3", "3e-3"] {
                pilots.push(Pilot {
                    table,
                    name: format!("lr{rate}-wd{weight_decay}-do{dropout}"),
                    arguments: words(&format!(
                        "race {common} --lr {rate} --weight-decay {weight_decay} --dropout {dropout}"
                    )),
                });
            }
        }
    }
    pilots
}

fn row(table: &'static str, name: &str, arguments: &str) -> Pilot {
    Pilot {
        table,
        name: name.to_owned(),
        arguments: words(arguments),
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Every pilot, the quick and telling ones first.
fn pilots(data: &Data) -> Vec<Pilot> {
    let mut pilots = sweep("latin-5-sweep", SMALL_LATIN_5);
    let latin = "latin-5";
    pilots.extend([
        row(latin, "masked, plain", &format!("race {LATIN_5} --seeds 3")),
        row(
            latin,
            "both with dropout 0.1, 400 squares, 400 epochs",
            &format!(
                "race {LATIN_5} --unique 10000 --epochs 400 --evaluate-every 200 --dropout 0.1"
            ),
        ),
        row(
            latin,
            "AR, dropout 0.4",
            &format!("train --objective ar {LATIN_5} --dropout 0.4 --seeds 3"),
        ),
        row(
            latin,
            "block diffusion",
            &format!("race --second block {LATIN_5} --seeds 3"),
        ),
        row(
            latin,
            "dual",
            &format!("race --second dual {LATIN_5} --seeds 3"),
        ),
    ]);
    let tales = "tales";
    pilots.extend([
        row(tales, "masked, plain", &format!("race {TALES} --seeds 3")),
        row(
            tales,
            "AR, dropout 0.2",
            &format!("train --objective ar {TALES} --epochs 100 --dropout 0.2 --seeds 3"),
        ),
        row(
            tales,
            "AR, dropout 0.4",
            &format!("train --objective ar {TALES} --epochs 100 --dropout 0.4 --seeds 3"),
        ),
        row(
            tales,
            "masked, dropout 0.1",
            &format!(
                "train --objective masked {TALES} --evaluate-every 100 --dropout 0.1 --seeds 3"
            ),
        ),
        row(
            tales,
            "block diffusion, blocks of 8",
            &format!("train --objective block --block-size 8 {TALES} --epochs 150 --seeds 3"),
        ),
        row(
            tales,
            "dual",
            &format!("train --objective dual {TALES} --epochs 200 --evaluate-every 50 --seeds 3"),
        ),
    ]);
    // Tales of width 96 are the first row of their own table.
    for (name, arguments) in [
        (
            "Latin-5, width 48",
            format!("{SMALL_LATIN_5} --hidden-size 48 --seeds 3"),
        ),
        ("Latin-5, width 96", format!("{SMALL_LATIN_5} --seeds 3")),
        (
            "Latin-5, width 192",
            format!("{SMALL_LATIN_5} --hidden-size 192 --seeds 3"),
        ),
        (
            "tales, width 48",
            format!("{TALES} --hidden-size 48 --seeds 3"),
        ),
        (
            "tales, width 192",
            format!("{TALES} --hidden-size 192 --evaluate-every 98"),
        ),
    ] {
        pilots.push(row("sizes", name, &format!("race {arguments}")));
    }
    if let Some(text) = &data.shakespeare {
        let corpus = format!("--preset shakespeare-like --corpus {text}");
        pilots.extend([
            row(
                "text",
                "Tiny Shakespeare, characters",
                &format!("race {corpus}"),
            ),
            row(
                "text",
                "Tiny Shakespeare, BPE-1024",
                &format!("race {corpus} --tokenizer bpe:1024"),
            ),
        ]);
    }
    if let Some(folder) = &data.code {
        pilots.push(row(
            "text",
            "Rust code, BPE-1024",
            &format!("race --preset code --corpus {folder} --extensions rs"),
        ));
    }
    pilots.extend(sweep(
        "tales-sweep",
        &format!("{TALES} --held-out 10000 --epochs 60 --evaluate-every 49"),
    ));
    pilots
}

/// Real text, where this machine has it.
pub struct Data {
    /// `../shared/data/tinyshakespeare.txt`, or `$CROSSOVER_SHAKESPEARE`.
    pub shakespeare: Option<String>,
    /// The sources of serde, which cargo has downloaded to build this.
    pub code: Option<String>,
}

impl Data {
    pub fn find() -> Self {
        let shakespeare = std::env::var_os("CROSSOVER_SHAKESPEARE").map_or_else(
            || root().join("../shared/data/tinyshakespeare.txt"),
            PathBuf::from,
        );
        let home = std::env::var_os("CARGO_HOME").map_or_else(
            || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo"),
            PathBuf::from,
        );
        Self {
            shakespeare: shakespeare
                .exists()
                .then(|| shakespeare.display().to_string()),
            code: newest(&home.join("registry/src"), "serde_json-"),
        }
    }
}

/// The folder with this beginning of its name, in any of a registry's folders; the last in order where there are several.
fn newest(registries: &Path, beginning: &str) -> Option<String> {
    let mut found: Vec<PathBuf> = fs::read_dir(registries)
        .ok()?
        .flatten()
        .filter_map(|registry| fs::read_dir(registry.path()).ok())
        .flat_map(|crates| crates.flatten())
        .map(|folder| folder.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(beginning)
        })
        .collect();
    found.sort();
    found.pop().map(|path| path.display().to_string())
}

/// Runs what is not finished yet, one on each core, and prints the tables at the end.
pub fn run(only: Option<&str>) -> Result<()> {
    let pilots: Vec<Pilot> = pilots(&Data::find())
        .into_iter()
        .filter(|pilot| only.is_none_or(|table| table == pilot.table))
        .collect();
    ensure!(!pilots.is_empty(), "there is no table of that name");
    let binary = binary()?;
    let unfinished: Vec<&Pilot> = pilots
        .iter()
        .filter(|pilot| !pilot.kept().exists())
        .collect();
    let next = AtomicUsize::new(0);
    let one_after_another = || -> Result<()> {
        while let Some(pilot) = unfinished.get(next.fetch_add(1, Ordering::Relaxed)) {
            eprintln!("pilot {}: {}", pilot.table, pilot.name);
            let result = finish(&binary, pilot, &pilot.place())?;
            let kept = pilot.kept();
            fs::create_dir_all(kept.parent().context("a file is in a folder")?)?;
            fs::write(kept, result + "\n")?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(one_after_another)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err(anyhow!("a worker stopped")))
        })
    })?;
    print!("{}", tables(&pilots)?);
    Ok(())
}

/// Starts or continues one pilot and gives its result, a line of JSON. It has one thread: measuring does not gain by a
/// second one, so two runs of one thread finish before one run after another of two.
fn finish(binary: &Path, pilot: &Pilot, place: &Path) -> Result<String> {
    let mut command = Command::new(binary);
    if place.join("config.toml").exists() {
        command.arg(&pilot.arguments[0]).arg("--resume").arg(place);
    } else {
        command.args(&pilot.arguments).arg("--out").arg(place);
    }
    let output = command
        .args(["--device", "cpu", "--threads", "1", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "`crossover {}` failed",
        pilot.arguments.join(" ")
    );
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().context("a run prints a result")?;
    Ok(last.to_owned())
}

/// A Markdown table for each name, its columns as in `docs/pilots.md`. A sweep's rows say how they differ; others have
/// their command.
fn tables(pilots: &[Pilot]) -> Result<String> {
    let mut text = String::new();
    let mut current = "";
    for pilot in pilots {
        let is_sweep = pilot.table.ends_with("-sweep");
        if pilot.table != current {
            current = pilot.table;
            let (command, rule) = if is_sweep {
                ("", "")
            } else {
                (" command |", "---|")
            };
            let _ = write!(
                text,
                "\n### {current}\n\n| pilot | seeds | AR, exact NLL | diffusion, bound | left to right | difference | \
                 curve | envelope |{command}\n|---|---|---|---|---|---|---|---|{rule}\n"
            );
        }
        let kept = pilot.kept();
        let line =
            fs::read_to_string(&kept).with_context(|| format!("can't read {}", kept.display()))?;
        let result: Value = serde_json::from_str(&line)?;
        let _ = write!(text, "| {} | {} |", pilot.name, cells(&result).join(" | "));
        if !is_sweep {
            let _ = write!(text, " `crossover {}` |", pilot.arguments.join(" "));
        }
        text.push('\n');
    }
    Ok(text)
}

/// A mean with its standard error, by their names.
pub fn measured(value: &Value, mean: &str, se: &str) -> String {
    match value[mean].as_f64() {
        Some(mean) => {
            let text = format!("{mean:.3} ± {:.3}", value[se].as_f64().unwrap_or(0.0));
            text.replacen('-', "−", 1)
        }
        None => String::new(),
    }
}

/// Seeds, AR, diffusion, left to right, difference, curve and envelope of a result.
pub fn cells(result: &Value) -> [String; 7] {
    let of_one = |run: &Value, key: &str| match (run.get(key), run[key].as_f64()) {
        (_, Some(epoch)) => format!("{epoch:.0}"),
        (Some(_), None) => "no".to_owned(),
        (None, None) => String::new(),
    };
    // Of several seeds, one after the other.
    let epoch = |key: &str| match (result.get(key), result["runs"].as_array()) {
        (Some(_), Some(runs)) => {
            let epochs: Vec<String> = runs.iter().map(|run| of_one(run, key)).collect();
            epochs.join(", ")
        }
        _ => of_one(result, key),
    };
    let alone = measured(result, "nats", "se");
    let (ar, diffusion) = match result["objective"].as_str() {
        Some("ar") => (alone, String::new()),
        // It is both.
        Some("dual") => (measured(&result["dual_ar"], "mean", "se"), alone),
        Some(_) => (String::new(), alone),
        None => (
            measured(result, "ar_best_nats", "ar_best_se"),
            measured(result, "masked_best_nats", "masked_best_se"),
        ),
    };
    let seeds = result["runs"].as_array().map_or(1, Vec::len);
    [
        seeds.to_string(),
        ar,
        diffusion,
        measured(&result["masked_left_to_right"], "mean", "se"),
        measured(result, "difference", "difference_se"),
        epoch("curve_crossover_epoch"),
        epoch("envelope_crossover_epoch"),
    ]
}
