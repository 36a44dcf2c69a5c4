//! `corpus`: make text, or see how a run would cut one.

use anyhow::Result;
use crossover::corpus::{Corpus, CorpusConfig, Grid, MarkovChain};
use crossover::error::Error;
use crossover::platform;
use crossover::random::{Purpose, Stream};
use serde::Serialize;

use crate::arguments::{CorpusCommand, GridsArguments, MarkovArguments, StatsArguments};
use crate::commands::{print_json, print_text, tokenizer};
use crate::{numbers, settings};

/// Runs one of the corpus commands.
pub fn run(command: &CorpusCommand) -> Result<()> {
    match command {
        CorpusCommand::Stats(arguments) => stats(arguments),
        CorpusCommand::Markov(arguments) => markov(arguments),
        CorpusCommand::Grids(arguments) => grids(arguments),
        CorpusCommand::Tokenizer(arguments) => tokenizer::run(&arguments.command),
    }
}

#[derive(Serialize)]
struct Stats {
    event: &'static str,
    source: Vec<String>,
    vocab_size: usize,
    length: usize,
    unique_tokens: u64,
    windows_per_epoch: usize,
    validation_tokens: usize,
    test_tokens: usize,
    characters_per_token: f64,
    bytes_per_token: f64,
    floor_nats: Option<f64>,
    first: String,
    sha256: Option<String>,
}

fn stats(arguments: &StatsArguments) -> Result<()> {
    let defaults = CorpusConfig::default();
    let config = CorpusConfig {
        source: arguments.source.clone(),
        tokenizer: arguments.tokenizer.clone().unwrap_or(defaults.tokenizer),
        length: arguments.length,
        unique: arguments.unique,
        held_out: arguments.held_out,
        hash: None,
    };
    let corpus = Corpus::load(&config, settings::seed(&arguments.common))?;
    let tokens = &corpus.train.tokens;
    let (characters, bytes) = corpus.tokenizer.measure(tokens);
    let stats = Stats {
        event: "result",
        source: corpus.config.source.clone(),
        vocab_size: corpus.tokenizer.vocab_size(),
        length: corpus.length(),
        unique_tokens: tokens.len() as u64,
        windows_per_epoch: corpus.train.windows_per_epoch(),
        validation_tokens: corpus.validation.tokens.len(),
        test_tokens: corpus.test.tokens.len(),
        characters_per_token: characters as f64 / tokens.len() as f64,
        bytes_per_token: bytes as f64 / tokens.len() as f64,
        floor_nats: corpus.floor_nats,
        first: corpus.tokenizer.decode(&tokens[..corpus.length()]),
        sha256: corpus.config.hash.clone(),
    };
    if arguments.common.json {
        return print_json(&stats);
    }
    let floor = match stats.floor_nats {
        Some(floor) => format!("{} nats/token", numbers::loss(floor)),
        None => "unknown".to_owned(),
    };
    print_text(&format!(
        "vocabulary      {} ids, MASK included\n\
         window          {} tokens\n\
         training        {} unique tokens, {} windows an epoch\n\
         validation      {} tokens\n\
         test            {} tokens\n\
         bytes/token     {:.3}\n\
         floor           {floor}\n\
         first window    {}\n",
        numbers::grouped(stats.vocab_size as u64),
        stats.length,
        numbers::grouped(stats.unique_tokens),
        numbers::grouped(stats.windows_per_epoch as u64),
        numbers::grouped(stats.validation_tokens as u64),
        numbers::grouped(stats.test_tokens as u64),
        stats.bytes_per_token,
        stats.first.escape_debug(),
    ))
}

#[derive(Serialize)]
struct Markov {
    event: &'static str,
    text: String,
    entropy_rate: f64,
    window_entropy: f64,
    length: usize,
}

fn markov(arguments: &MarkovArguments) -> Result<()> {
    if arguments.length == 0 {
        return Err(Error::input("`--length` is 0")
            .with_hint("give at least 1")
            .into());
    }
    let path = arguments.file.display().to_string();
    let bytes = platform::read_file(&path)?;
    let chain = MarkovChain::parse(&path, &bytes)?;
    let mut stream = Stream::new(settings::seed(&arguments.common), Purpose::Source, 0, 0);
    let ids = chain.sample(&mut stream, arguments.tokens);
    let text = ids.iter().map(|id| chain.symbols()[*id as usize]).collect();
    let drawn = Markov {
        event: "result",
        text,
        entropy_rate: chain.entropy_rate(),
        window_entropy: chain.window_entropy(arguments.length),
        length: arguments.length,
    };
    if arguments.common.json {
        return print_json(&drawn);
    }
    eprintln!(
        "entropy rate {:.6} nats/token; {:.6} in windows of {}",
        drawn.entropy_rate, drawn.window_entropy, drawn.length
    );
    print_text(&format!("{}\n", drawn.text))
}

#[derive(Serialize)]
struct DrawnGrid {
    event: &'static str,
    grid: String,
}

fn grids(arguments: &GridsArguments) -> Result<()> {
    let grid = Grid::new(&arguments.name)?;
    let mut stream = Stream::new(settings::seed(&arguments.common), Purpose::Source, 0, 0);
    for _ in 0..arguments.count {
        let cells = grid.unrank(stream.below(grid.count()));
        let text: String = cells
            .iter()
            .map(|cell| char::from(b'1' + *cell as u8))
            .collect();
        if arguments.common.json {
            print_json(&DrawnGrid {
                event: "grid",
                grid: text,
            })?;
        } else {
            print_text(&format!("{text}\n"))?;
        }
    }
    Ok(())
}
