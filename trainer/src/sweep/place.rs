//! The folder of a sweep: `sweep.json` says which runs belong together, `configs/` has each run's configuration as it was
//! asked for, and every run is an ordinary run directory beside them.

use std::fs;
use std::path::{Path, PathBuf};

use crossover::error::{Error, Result};
use crossover::platform::Folder;
use crossover_report::sweep::Record;

/// The file that says that a folder holds a sweep.
pub const MARK: &str = "sweep.json";
/// The version of [`MARK`] that this program writes and reads.
pub const VERSION: u32 = 1;

/// What a folder says of its sweep; `None` when it holds none.
///
/// # Errors
/// When its `sweep.json` can't be read or is another version's.
pub fn read(folder: &Path) -> Result<Option<Record>> {
    let path = folder.join(MARK);
    if !path.exists() {
        return Ok(None);
    }
    let refused = |what: &str| {
        Error::input(format!("`{}` {what}", path.display()))
            .with_hint("each folder in there is a run of its own: report those")
    };
    let text =
        fs::read_to_string(&path).map_err(|error| refused("can't be read").with_source(error))?;
    let record: Record =
        serde_json::from_str(&text).map_err(|error| refused("is damaged").with_source(error))?;
    if record.version != VERSION {
        return Err(refused(&format!(
            "has version {}, and this program knows {VERSION}",
            record.version
        )));
    }
    Ok(Some(record))
}

/// Where a run's configuration is, in the folder of its sweep.
pub fn config_file(run: &str) -> String {
    format!("configs/{run}.toml")
}

/// Makes the folder of a sweep, or goes on with the one that is there: runs that both have must be the same, and new ones may
/// come. `configs` has each run's configuration as text.
///
/// # Errors
/// When the folder holds something else, another sweep, or the same with other settings; when it is in use.
pub fn open(folder: &Path, record: &Record, configs: &[String]) -> Result<Folder> {
    let name = folder.display().to_string();
    let known = read(folder)?;
    if let Some(known) = &known {
        let refused = |what: String| {
            Error::input(what).with_hint("write the changed sweep elsewhere: `-o DIR`")
        };
        if (&known.name, &known.scale) != (&record.name, &record.scale) {
            return Err(refused(format!(
                "`{name}` holds the sweep `{}` at scale `{}`",
                known.name, known.scale
            )));
        }
        for (run, config) in record.runs.iter().zip(configs) {
            let path = folder.join(config_file(&run.name));
            let differs = fs::read_to_string(path).is_ok_and(|before| before != *config);
            if differs {
                return Err(refused(format!(
                    "`{name}` has a run `{}` with other settings than the file gives it now",
                    run.name
                )));
            }
        }
        let wanted = |name: &str| record.runs.iter().any(|run| run.name == name);
        if let Some(gone) = known.runs.iter().find(|run| !wanted(&run.name)) {
            return Err(refused(format!(
                "`{name}` has a run `{}` that the file doesn't ask for any more",
                gone.name
            )));
        }
    }
    let place = match known {
        Some(_) => Folder::open(&name)?,
        None => Folder::create(&name, false)?,
    };
    for (run, config) in record.runs.iter().zip(configs) {
        place.write(&config_file(&run.name), [config.as_bytes()])?;
    }
    let text = serde_json::to_string_pretty(record)
        .map_err(|error| Error::work(format!("can't write `{MARK}`")).with_source(error))?;
    place.write(MARK, [(text + "\n").as_bytes()])?;
    Ok(place)
}

/// Whether a run has come to its result.
pub fn is_finished(run: &Path) -> bool {
    let events = fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
    let last = events.lines().last().unwrap_or_default();
    let event: Option<serde_json::Value> = serde_json::from_str(last).ok();
    event.is_some_and(|event| event["event"] == "result")
}

/// Whether a run has done a step, so that there is something to go on from.
pub fn has_begun(run: &Path) -> bool {
    run.join("metrics.jsonl").exists()
}

/// Where a sweep goes that was given no place: the same each time, so that the same command goes on with it.
pub fn default_folder(name: &str, scale: &str) -> PathBuf {
    Path::new("runs").join(format!("sweep-{name}-{scale}"))
}
