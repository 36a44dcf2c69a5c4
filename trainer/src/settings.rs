//! From what was typed to what it means: the preset first, then the configuration file over it, then the flags.

use std::path::{Path, PathBuf};

use crossover::corpus::Order;
use crossover::error::{Error, Result, nearest};
use crossover::model::{ModelConfig, Routing};
use crossover::objective::Objective;
use crossover::platform;
use crossover::train::{MixedPrecision, RunConfig};
use crossover_report::numbers;
use serde::de::DeserializeOwned;

use crate::arguments::{CommonArguments, ModelArguments, RunArguments};
use crate::presets;

/// Runs in one folder: their report draws each.
const MOST_SEEDS: u64 = 1_000;

/// Puts a flag's value over a setting, where it was given.
fn overlay<T>(setting: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *setting = value;
    }
}

/// Reads a name that serde knows, with the nearest one as the hint when it doesn't.
///
/// # Errors
/// When there is none of that name.
pub fn named<T: DeserializeOwned>(flag: &str, value: &str, known: &[&str]) -> Result<T> {
    serde_json::from_value(serde_json::Value::from(value)).map_err(|_| {
        let error = Error::input(format!("`{flag}` can't be `{value}`"));
        match nearest(value, known.iter().copied()) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint(format!("one of {}", known.join(", "))),
        }
    })
}

/// An objective by its name.
///
/// # Errors
/// When there is none of that name.
pub fn objective(flag: &str, value: &str) -> Result<Objective> {
    named(flag, value, &Objective::ALL.map(Objective::name))
}

/// What to train in, by its name.
///
/// # Errors
/// When there is none of that name.
pub fn precision(value: &str) -> Result<MixedPrecision> {
    named("--precision", value, &MixedPrecision::NAMES)
}

/// The configuration of a run.
///
/// # Errors
/// When the preset, the file or a flag is not valid.
pub fn run_config(arguments: &RunArguments) -> Result<RunConfig> {
    let mut config = match (&arguments.preset, &arguments.config) {
        (None, None) => RunConfig::default(),
        (None, Some(path)) => read_config(path)?,
        (Some(name), file) => preset_config(name, file.as_deref(), arguments.corpus.is_some())?,
    };
    overlay(&mut config.seed, arguments.common.seed);
    let corpus = &mut config.corpus;
    if let Some(source) = &arguments.corpus {
        corpus.source.clone_from(source);
        // What a file said of another source's content doesn't hold for this one.
        corpus.hash = None;
        corpus.mixture.clear();
    }
    if let Some(weights) = &arguments.mixture {
        corpus.mixture.clone_from(weights);
    }
    if let Some(typed) = &arguments.extensions {
        corpus.extensions = extensions(typed);
    }
    if arguments.text_field.is_some() {
        corpus.text_field.clone_from(&arguments.text_field);
    }
    corpus.skip_unreadable |= arguments.skip_unreadable;
    if arguments.tokenizer.is_some() {
        corpus.tokenizer.clone_from(&arguments.tokenizer);
    }
    corpus.length = arguments.length.or(corpus.length);
    corpus.unique = arguments.unique.or(corpus.unique);
    corpus.held_out = arguments.held_out.or(corpus.held_out);
    overlay(&mut corpus.noise, arguments.noise);
    if let Some(name) = &arguments.order {
        corpus.order = named("--order", name, &Order::NAMES)?;
    }
    overlay_model(&mut config.model, &arguments.model)?;
    overlay(&mut config.model.dropout, arguments.dropout);
    let objective = &mut config.objective;
    overlay(&mut objective.input_mask, arguments.input_mask);
    overlay(&mut objective.random_length, arguments.random_length);
    objective.block_size = arguments.block_size.or(objective.block_size);
    overlay(&mut objective.dual_fraction, arguments.dual_fraction);
    if let Some(name) = &arguments.estimator {
        objective.estimator = named(
            "--estimator",
            name,
            &["exact-l", "1/t", "unweighted", "paper"],
        )?;
    }
    let train = &mut config.train;
    overlay(&mut train.batch, arguments.batch);
    train.micro_batch = arguments.micro_batch.or(train.micro_batch);
    if arguments.epochs.is_some() {
        // A file's steps would silence the flag.
        train.steps = None;
    }
    overlay(&mut train.epochs, arguments.epochs);
    train.steps = arguments.steps.or(train.steps);
    overlay(&mut train.learning_rate, arguments.lr);
    train.warmup_steps = arguments.warmup.or(train.warmup_steps);
    overlay(&mut train.weight_decay, arguments.weight_decay);
    train.ema_decay = arguments.ema.or(train.ema_decay);
    if let Some(name) = &arguments.schedule {
        train.schedule = named("--schedule", name, &["wsd", "cosine", "constant"])?;
    }
    if let Some(name) = &arguments.ops {
        train.ops = named("--ops", name, &["fused", "reference"])?;
    }
    if let Some(name) = &arguments.precision {
        train.precision = precision(name)?;
    }
    train.recompute |= arguments.recompute;
    overlay(&mut train.zero_stage, arguments.zero_stage);
    overlay(&mut train.keep_last, arguments.keep_last);
    train.keep_every = arguments.keep_every.or(train.keep_every);
    train.shard_checkpoints |= arguments.shard_checkpoints;
    config.evaluate.every = arguments.evaluate_every.or(config.evaluate.every);
    config.provenance = None;
    Ok(config)
}

/// File name extensions as the configuration has them: `.RS` is `rs`.
pub fn extensions(typed: &[String]) -> Vec<String> {
    let extension = |typed: &String| typed.trim().trim_start_matches('.').to_lowercase();
    typed.iter().map(extension).collect()
}

/// A preset with a configuration file over it: of the preset stays what the file doesn't name.
fn preset_config(name: &str, file: Option<&Path>, has_text: bool) -> Result<RunConfig> {
    let preset = presets::find(name, &[])?;
    let mut table = preset.table()?;
    let mut origin = format!("preset {name}");
    if let Some(path) = file {
        // By itself first, so that an error shows the file's own lines.
        read_config(path)?;
        let text = read_text(path)?;
        let differences: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            Error::input(format!("`{}` is no TOML", path.display())).with_source(error)
        })?;
        merge(&mut table, differences);
        origin = format!("{origin} with {}", path.display());
    }
    if !has_text && !presets::names_text(&table) {
        return Err(
            Error::input(format!("preset `{name}` has no text of its own"))
                .with_hint("name one of yours: `--corpus PATH`"),
        );
    }
    RunConfig::from_toml(&table.to_string(), &origin)
}

/// Puts one table's values over another's, key by key.
fn merge(under: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// Puts the shape flags over a model's configuration.
///
/// # Errors
/// When one names what there is not.
pub fn overlay_model(model: &mut ModelConfig, arguments: &ModelArguments) -> Result<()> {
    if arguments.hidden_size.is_some() || arguments.heads.is_some() {
        // These follow the width and the heads unless they are given too.
        model.intermediate_size = None;
        model.num_key_value_heads = None;
        model.head_dim = None;
        model.moe_intermediate_size = None;
    }
    if arguments.intermediate_size.is_some() || arguments.experts_per_token.is_some() {
        model.moe_intermediate_size = None;
    }
    overlay(&mut model.hidden_size, arguments.hidden_size);
    overlay(&mut model.num_hidden_layers, arguments.layers);
    overlay(&mut model.num_attention_heads, arguments.heads);
    model.intermediate_size = arguments.intermediate_size.or(model.intermediate_size);
    model.num_key_value_heads = arguments.key_value_heads.or(model.num_key_value_heads);
    model.tie_word_embeddings |= arguments.tied;
    model.num_experts = arguments.experts.or(model.num_experts);
    let per_token = arguments.experts_per_token;
    model.num_experts_per_tok = per_token.or(model.num_experts_per_tok);
    model.moe_intermediate_size = arguments.expert_size.or(model.moe_intermediate_size);
    let shared = arguments.shared_expert_size;
    model.shared_expert_intermediate_size = shared.or(model.shared_expert_intermediate_size);
    if let Some(name) = &arguments.routing {
        model.expert_routing = Some(named("--routing", name, &Routing::NAMES)?);
        // What was automatic of the other routing.
        model.norm_topk_prob = None;
        model.router_aux_loss_coef = None;
    }
    let balance = arguments.router_aux_loss;
    model.router_aux_loss_coef = balance.or(model.router_aux_loss_coef);
    model.router_z_loss_coef = arguments.router_z_loss.or(model.router_z_loss_coef);
    Ok(())
}

/// Reads a configuration file.
///
/// # Errors
/// When it can't be read or is not valid.
pub fn read_config(path: &Path) -> Result<RunConfig> {
    RunConfig::from_toml(&read_text(path)?, &path.display().to_string())
}

fn read_text(path: &Path) -> Result<String> {
    let name = path.display().to_string();
    String::from_utf8(platform::read_file(&name)?).map_err(|error| {
        Error::input(format!("`{name}` is no text"))
            .with_source(error)
            .with_hint("a configuration is a TOML file")
    })
}

/// Where a run goes that was given no place: `runs/<time>-<corpus>`, with a number behind it when that is taken.
pub fn default_folder(config: &RunConfig) -> PathBuf {
    let source = config.corpus.source.first().map_or("text", String::as_str);
    let name: String = Path::new(source.split_once(':').map_or(source, |(_, name)| name))
        .file_stem()
        .map_or_else(|| "text".into(), |stem| stem.to_string_lossy())
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '-' {
                c
            } else {
                '-'
            }
        })
        .take(40)
        .collect();
    let first = Path::new("runs").join(format!(
        "{}-{name}",
        numbers::file_stamp(platform::unix_seconds())
    ));
    std::iter::once(first.clone())
        .chain(
            (2..1_000)
                .map(|number| first.with_file_name(format!("{}-{number}", file_name(&first)))),
        )
        .find(|folder| !folder.exists())
        .unwrap_or(first)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// How many runs `--seeds` asks for; `None` for the single one that a run is without it.
///
/// # Errors
/// When it asks for none, or for more than anybody waits for.
pub fn seeds(arguments: &RunArguments) -> Result<Option<u64>> {
    match arguments.seeds {
        None | Some(1) => Ok(None),
        Some(count) => checked_seeds(count).map(Some),
    }
}

/// How many seeds, if there can be so many.
///
/// # Errors
/// As for [`seeds`].
pub fn checked_seeds(count: u64) -> Result<u64> {
    match count {
        0 => Err(Error::input("`--seeds` is 0").with_hint("give at least 1")),
        count if count > MOST_SEEDS => Err(Error::input(format!("`--seeds` is {count}"))
            .with_hint(format!("give at most {MOST_SEEDS}"))),
        count => Ok(count),
    }
}

/// The seed of a command.
pub fn seed(common: &CommonArguments) -> u64 {
    common.seed.unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_lie_over_the_configuration() {
        let arguments = RunArguments {
            epochs: Some(3.0),
            estimator: Some("1/t".to_owned()),
            ..RunArguments::default()
        };
        let config = run_config(&arguments).expect("valid flags");
        assert_eq!(config.train.epochs, 3.0);
        assert_eq!(
            config.objective.estimator,
            crossover::objective::masked::Estimator::InverseT
        );
        let wrong = RunArguments {
            schedule: Some("cosin".to_owned()),
            ..RunArguments::default()
        };
        let error = run_config(&wrong).expect_err("a misspelled schedule");
        assert_eq!(error.hint(), Some("did you mean `cosine`?"));
    }

    #[test]
    fn a_file_lies_over_a_preset_and_flags_over_both() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("mine.toml");
        std::fs::write(
            &file,
            "[corpus]\nlength = 32\n[train]\nbatch = 8\nepochs = 7.0\n",
        )
        .expect("writable");
        let mut arguments = RunArguments {
            preset: Some("shakespeare-like".to_owned()),
            config: Some(file),
            epochs: Some(3.0),
            ..RunArguments::default()
        };
        let error = run_config(&arguments).expect_err("no text");
        assert!(error.to_string().contains("`shakespeare-like`"), "{error}");
        arguments.corpus = Some(vec!["book.txt".to_owned()]);
        let config = run_config(&arguments).expect("valid");
        assert_eq!(config.corpus.source, ["book.txt"]);
        // From the preset, from the file, from a flag, and from the defaults.
        assert_eq!(config.corpus.unique, Some(10_000));
        assert_eq!(config.corpus.length, Some(32));
        assert_eq!((config.train.batch, config.train.epochs), (8, 3.0));
        assert_eq!(
            config.train.weight_decay,
            RunConfig::default().train.weight_decay
        );
    }
}
