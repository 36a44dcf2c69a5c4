//! `corpus`: make text, or see how a run would cut one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use anyhow::Result;
use crossover::corpus::{
    CODE_EXTENSIONS, Corpus, CorpusConfig, DOCUMENT_END, Grid, MOST_COMPARED, MarkovChain, NEAR,
    NearDuplicates, NearPair, Survey, TOKENS_PER_SHARD, Tales, near_duplicates, write_shards,
};
use crossover::error::Error;
use crossover::platform;
use crossover::random::{Purpose, Stream};
use crossover_report::numbers;
use serde::Serialize;

use crate::arguments::{
    CorpusCommand, FilesArguments, FolderArguments, GridsArguments, MarkovArguments,
    ReadingArguments, StatsArguments, TalesArguments,
};
use crate::commands::{print_json, print_text, tokenizer};
use crate::settings;

/// Runs one of the corpus commands.
pub fn run(command: &CorpusCommand) -> Result<()> {
    match command {
        CorpusCommand::Stats(arguments) => stats(arguments),
        CorpusCommand::Files(arguments) => files(arguments, &[]),
        CorpusCommand::Code(arguments) => files(arguments, &CODE_EXTENSIONS),
        CorpusCommand::Tales(arguments) => tales(arguments),
        CorpusCommand::Markov(arguments) => markov(arguments),
        CorpusCommand::Grids(arguments) => grids(arguments),
        CorpusCommand::Tokenizer(arguments) => tokenizer::run(&arguments.command),
    }
}

/// The part of a configuration that says which text.
fn config(source: &[String], reading: &ReadingArguments) -> CorpusConfig {
    CorpusConfig {
        tokenizer: reading.tokenizer.clone(),
        ..files_of(source, &reading.folders)
    }
}

/// The part of a configuration that says which files.
pub(super) fn files_of(source: &[String], folders: &FolderArguments) -> CorpusConfig {
    CorpusConfig {
        source: source.to_vec(),
        extensions: settings::extensions(folders.extensions.as_deref().unwrap_or_default()),
        text_field: folders.text_field.clone(),
        skip_unreadable: folders.skip_unreadable,
        ..CorpusConfig::default()
    }
}

#[derive(Serialize)]
struct Near {
    compared: usize,
    documents: usize,
    groups: usize,
    examples: Vec<Pair>,
}

#[derive(Serialize)]
struct Pair {
    similarity: f64,
    first: String,
    second: String,
}

impl From<NearDuplicates> for Near {
    fn from(found: NearDuplicates) -> Self {
        let pair = |pair: NearPair| Pair {
            similarity: pair.similarity,
            first: pair.first,
            second: pair.second,
        };
        Self {
            compared: found.compared,
            documents: found.documents,
            groups: found.groups,
            examples: found.examples.into_iter().map(pair).collect(),
        }
    }
}

impl Near {
    /// Lines of a table.
    fn text(&self) -> String {
        let first = match self.compared {
            MOST_COMPARED => ", of the first",
            _ => " of",
        };
        let mut text = format!(
            "near-duplicates {}{first} {} documents, in {} groups (estimated Jaccard similarity {NEAR} or more)\n",
            numbers::grouped(self.documents as u64),
            numbers::grouped(self.compared as u64),
            numbers::grouped(self.groups as u64),
        );
        for pair in &self.examples {
            let (first, second) = (pair.first.escape_debug(), pair.second.escape_debug());
            text += &format!(
                "                {:.2}  {first} ~ {second}\n",
                pair.similarity
            );
        }
        text
    }
}

#[derive(Serialize)]
struct Stats {
    event: &'static str,
    source: Vec<String>,
    tokenizer: Option<String>,
    vocab_size: usize,
    end_of_text: Option<u32>,
    documents: Option<usize>,
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
    notices: Vec<String>,
    near_duplicates: Option<Near>,
}

fn stats(arguments: &StatsArguments) -> Result<()> {
    let config = CorpusConfig {
        length: arguments.length,
        unique: arguments.unique,
        held_out: arguments.held_out,
        ..config(&arguments.source, &arguments.reading)
    };
    let corpus = Corpus::load(&config, settings::seed(&arguments.common))?;
    let near = match corpus.documents {
        Some(2..) => near_duplicates(&config)?,
        _ => None,
    };
    let (tokens, count) = (&corpus.train.tokens, corpus.train.tokens.len());
    // Enough for a mean; shards may hold more than memory.
    let sample = tokens.read(0..count.min(SAMPLE_TOKENS));
    let (characters, bytes) = corpus.tokenizer.measure(&sample);
    let stats = Stats {
        event: "result",
        source: corpus.config.source.clone(),
        tokenizer: corpus.config.tokenizer.clone(),
        vocab_size: corpus.tokenizer.vocab_size(),
        end_of_text: corpus.tokenizer.end_of_text(),
        documents: corpus.documents,
        length: corpus.length(),
        unique_tokens: count as u64,
        windows_per_epoch: corpus.train.windows_per_epoch(),
        validation_tokens: corpus.validation.tokens.len(),
        test_tokens: corpus.test.tokens.len(),
        characters_per_token: characters as f64 / sample.len() as f64,
        bytes_per_token: bytes as f64 / sample.len() as f64,
        floor_nats: corpus.floor_nats,
        first: corpus.tokenizer.decode(&tokens.read(0..corpus.length())),
        sha256: corpus.config.hash.clone(),
        notices: corpus.notices.clone(),
        near_duplicates: near.map(Near::from),
    };
    if arguments.common.json {
        return print_json(&stats);
    }
    let floor = match stats.floor_nats {
        Some(floor) => format!("{} nats/token", numbers::loss(floor)),
        None => "unknown".to_owned(),
    };
    let documents = match stats.documents {
        Some(documents) => numbers::grouped(documents as u64),
        None => "none: the source is generated token by token".to_owned(),
    };
    let end_of_text = match stats.end_of_text {
        Some(_) => ", end-of-text",
        None => "",
    };
    let mut text = format!(
        "documents       {documents}\n\
         vocabulary      {} ids{end_of_text} and MASK included\n\
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
    );
    if let Some(near) = &stats.near_duplicates {
        text += &near.text();
    }
    for notice in &stats.notices {
        text += &format!("note            {}\n", notice.escape_debug());
    }
    print_text(&text)
}

/// Training tokens that are measured for characters and bytes a token.
const SAMPLE_TOKENS: usize = 1 << 22;

#[derive(Serialize)]
struct Files {
    event: &'static str,
    files: usize,
    documents: usize,
    bytes: u64,
    tokens: BTreeMap<String, u64>,
    extensions: Vec<Extension>,
    binaries: usize,
    empty: usize,
    copies: usize,
    unreadable: Vec<Skipped>,
    sha256: String,
    near_duplicates: Near,
}

#[derive(Serialize)]
struct Extension {
    extension: String,
    files: usize,
    bytes: u64,
}

#[derive(Serialize)]
struct Skipped {
    file: String,
    reason: String,
}

#[derive(Serialize)]
struct Shards {
    event: &'static str,
    folder: String,
    tokens: u64,
    documents: u64,
    shards: u64,
    /// Of those, what an interrupted command had finished.
    kept: usize,
    token_bytes: u64,
    tokenizer: String,
    vocab_size: u64,
    sha256: String,
    notices: Vec<String>,
}

fn files(arguments: &FilesArguments, extensions: &[&str]) -> Result<()> {
    let mut config = config(&arguments.paths, &arguments.reading);
    if arguments.reading.folders.extensions.is_none() {
        config.extensions = extensions.iter().map(|&name| name.to_owned()).collect();
    }
    match &arguments.out {
        Some(folder) => shard(arguments, &config, &folder.display().to_string()),
        None => inspect(arguments, config),
    }
}

/// Bytes between two lines of progress.
const TOLD_BYTES: u64 = 100_000_000;

fn shard(arguments: &FilesArguments, config: &CorpusConfig, folder: &str) -> Result<()> {
    let shard_tokens = arguments.shard_tokens.unwrap_or(TOKENS_PER_SHARD);
    let mut told = 0;
    let index = write_shards(config, folder, shard_tokens, |bytes, of| {
        if bytes - told >= TOLD_BYTES {
            told = bytes;
            eprintln!("{} of {} MB tokenized", bytes / 1_000_000, of / 1_000_000);
        }
    })?;
    let shards = Shards {
        event: "result",
        folder: folder.to_owned(),
        tokens: index.tokens,
        documents: index.documents,
        shards: index.shards,
        kept: index.kept,
        token_bytes: index.token_bytes,
        tokenizer: index.tokenizer_name,
        vocab_size: index.vocab_size,
        sha256: index.hash,
        notices: index.notices,
    };
    if arguments.common.json {
        return print_json(&shards);
    }
    let mut text = format!(
        "{} tokens of {} documents in `{folder}`: {} shards, {} bytes a token, {} ids ({})\n",
        numbers::grouped(shards.tokens),
        numbers::grouped(shards.documents),
        numbers::grouped(shards.shards),
        shards.token_bytes,
        numbers::grouped(shards.vocab_size),
        shards.tokenizer,
    );
    if shards.kept > 0 {
        let kept = numbers::counted(shards.kept, "shard");
        text += &format!("{kept} of an interrupted command checked and kept\n");
    }
    for notice in &shards.notices {
        text += &format!("note: {}\n", notice.escape_debug());
    }
    print_text(&text)
}

fn inspect(arguments: &FilesArguments, config: CorpusConfig) -> Result<()> {
    // A look is there to show what can't be read, too.
    let survey = Survey::of_files(&CorpusConfig {
        skip_unreadable: true,
        ..config
    })?;
    let mut tokens = BTreeMap::new();
    let asked = arguments.reading.tokenizer.as_deref();
    for tokenizer in ["byte", "char"].into_iter().chain(asked) {
        tokens.insert(tokenizer.to_owned(), survey.tokens(tokenizer)?);
    }
    let mut extensions: Vec<Extension> = survey
        .extensions
        .iter()
        .map(|(extension, (files, bytes))| Extension {
            extension: extension.clone(),
            files: *files,
            bytes: *bytes,
        })
        .collect();
    extensions.sort_by_key(|extension| Reverse(extension.bytes));
    let unreadable = survey.unreadable.iter().map(|file| Skipped {
        file: file.name.clone(),
        reason: file.reason.clone(),
    });
    let files = Files {
        event: "result",
        files: survey.files,
        documents: survey.documents,
        bytes: survey.bytes,
        tokens,
        extensions,
        binaries: survey.binaries,
        empty: survey.empty,
        copies: survey.copies,
        unreadable: unreadable.collect(),
        sha256: survey.hash.clone(),
        near_duplicates: survey.near_duplicates()?.into(),
    };
    if arguments.common.json {
        return print_json(&files);
    }
    let tokens: Vec<String> = files
        .tokens
        .iter()
        .map(|(name, tokens)| format!("{} ({name})", numbers::grouped(*tokens)))
        .collect();
    let mut text = format!(
        "files           {} read, {} binary and {} empty left out, {} unreadable\n\
         documents       {}, {} copies of them dropped\n\
         bytes           {}\n\
         tokens          {}\n",
        numbers::grouped(files.files as u64),
        numbers::grouped(files.binaries as u64),
        numbers::grouped(files.empty as u64),
        numbers::grouped(files.unreadable.len() as u64),
        numbers::grouped(files.documents as u64),
        numbers::grouped(files.copies as u64),
        numbers::grouped(files.bytes),
        tokens.join(", "),
    );
    let mut label = "extensions";
    for extension in &files.extensions {
        let name = match extension.extension.as_str() {
            "" => "(none)".to_owned(),
            name => name.escape_debug().to_string(),
        };
        text += &format!(
            "{label:<15} {name:<10} {:>9} files {:>15} bytes\n",
            numbers::grouped(extension.files as u64),
            numbers::grouped(extension.bytes)
        );
        label = "";
    }
    let mut label = "unreadable";
    for skipped in &files.unreadable {
        let (file, reason) = (skipped.file.escape_debug(), skipped.reason.escape_debug());
        text += &format!("{label:<15} {file}: {reason}\n");
        label = "";
    }
    print_text(&(text + &files.near_duplicates.text()))
}

#[derive(Serialize)]
struct Story {
    event: &'static str,
    text: String,
}

#[derive(Serialize)]
struct Entropy {
    event: &'static str,
    stories: usize,
    entropy_nats: f64,
    mean_characters: f64,
    floor_nats: f64,
}

fn tales(arguments: &TalesArguments) -> Result<()> {
    let tales = Tales::new();
    let mut stream = Stream::new(settings::seed(&arguments.common), Purpose::Source, 0, 0);
    for _ in 0..arguments.count {
        let text = tales.story(&mut stream);
        if arguments.common.json {
            print_json(&Story {
                event: "story",
                text,
            })?;
        } else {
            print_text(&format!("{text}\n{DOCUMENT_END}\n"))?;
        }
    }
    let entropy = Entropy {
        event: "result",
        stories: arguments.count,
        entropy_nats: tales.entropy_nats(),
        mean_characters: tales.mean_characters(),
        floor_nats: tales.floor_nats_per_character(),
    };
    if arguments.common.json {
        return print_json(&entropy);
    }
    eprintln!(
        "entropy {:.6} nats a story, {:.3} characters on average: {:.6} nats/token with its end",
        entropy.entropy_nats, entropy.mean_characters, entropy.floor_nats
    );
    Ok(())
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
