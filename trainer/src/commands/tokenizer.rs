//! `corpus tokenizer`: train one, look inside, or see which suits a text.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use crossover::corpus::{CorpusConfig, Survey, Tokenizer};
use crossover::error::Error;
use crossover::platform;
use crossover_report::numbers;
use serde::Serialize;

use crate::arguments::{
    CompareTokenizersArguments, FolderArguments, InspectTokenizerArguments, TokenizerCommand,
    TrainTokenizerArguments,
};
use crate::commands::corpus::files_of;
use crate::commands::{check_place, print_json, print_text};

/// What is compared unless somebody names others.
const COMPARED: [&str; 4] = ["byte", "char", "bpe:512", "bpe:1024"];

/// How many of the longest tokens, and of the first and last merges, are shown.
const SHOWN: usize = 10;

/// How many tokens of a text are shown.
const SHOWN_TOKENS: usize = 60;

/// A token's empirical frequency is counted in this share of the bytes, and measured on the rest.
const COUNTED_SHARE: f64 = 0.9;

/// Runs one of the tokenizer commands.
pub fn run(command: &TokenizerCommand) -> Result<()> {
    match command {
        TokenizerCommand::Train(arguments) => train(arguments),
        TokenizerCommand::Inspect(arguments) => inspect(arguments),
        TokenizerCommand::Compare(arguments) => compare(arguments),
    }
}

/// Looks through the source's files, for a vocabulary of this name.
fn survey(
    source: &[String],
    folders: &FolderArguments,
    tokenizer: &str,
) -> Result<Survey<'static>, Error> {
    let survey = Survey::of_files(&CorpusConfig {
        tokenizer: Some(tokenizer.to_owned()),
        ..files_of(source, folders)
    })?;
    for notice in survey.notices() {
        eprintln!("note: {}", notice.escape_debug());
    }
    Ok(survey)
}

#[derive(Serialize)]
struct Trained {
    event: &'static str,
    file: String,
    ids: u32,
    merges: usize,
    documents: usize,
    bytes: u64,
    seconds: f64,
}

fn train(arguments: &TrainTokenizerArguments) -> Result<()> {
    let name = &arguments.tokenizer;
    let path = &arguments.out;
    if !name.starts_with("bpe:") {
        return Err(
            Error::input(format!("`--tokenizer {name}` can't be trained"))
                .with_hint("only `bpe:N` can: `--tokenizer bpe:1024`")
                .into(),
        );
    }
    if path.extension().is_none_or(|extension| extension != "json") {
        return Err(
            Error::input(format!("`--out {}` doesn't end in `.json`", path.display()))
                .with_hint("`--tokenizer` knows a file by that ending")
                .into(),
        );
    }
    if path.exists() && !arguments.force {
        return Err(
            Error::input(format!("`{}` is already there", path.display()))
                .with_hint("replace it with `--force`, or choose another `--out`")
                .into(),
        );
    }
    check_place(path)?;
    let survey = survey(&arguments.source, &arguments.folders, name)?;
    let began = platform::now();
    let tokenizer = survey.tokenizer(name)?;
    let seconds = began.elapsed().as_secs_f64();
    let bpe = tokenizer.bpe().context("`bpe:N` makes a BPE tokenizer")?;
    write(path, &bpe.to_file()?)?;
    let trained = Trained {
        event: "result",
        file: path.display().to_string(),
        ids: bpe.ids(),
        merges: bpe.merges().len(),
        documents: survey.documents,
        bytes: survey.bytes,
        seconds,
    };
    let asked = name.strip_prefix("bpe:").and_then(|ids| ids.parse().ok());
    if asked.is_some_and(|asked: u32| trained.ids < asked) {
        eprintln!(
            "only {} ids: no other pair of neighbours occurs twice in a word",
            numbers::grouped(trained.ids.into())
        );
    }
    if arguments.common.json {
        return print_json(&trained);
    }
    print_text(&format!(
        "{}: {} ids, {} merges, learnt from {} bytes in {}\n",
        trained.file,
        numbers::grouped(trained.ids.into()),
        numbers::grouped(trained.merges as u64),
        numbers::grouped(trained.bytes),
        numbers::duration(trained.seconds),
    ))
}

/// Writes a file as a whole: renamed into place, so that nobody reads half of it.
fn write(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension("json.partial");
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .with_context(|| format!("can't write `{}`", path.display()))
}

#[derive(Serialize)]
struct Inspected {
    event: &'static str,
    tokenizer: String,
    vocab_size: usize,
    mask_id: u32,
    longest: Vec<ShownToken>,
    merges: usize,
    first_merges: Vec<[String; 2]>,
    last_merges: Vec<[String; 2]>,
    text: Option<Cut>,
}

#[derive(Serialize)]
struct ShownToken {
    id: u32,
    token: String,
    bytes: usize,
}

#[derive(Serialize)]
struct Cut {
    file: String,
    bytes: usize,
    tokens: usize,
    bytes_per_token: f64,
    first: Vec<String>,
}

fn inspect(arguments: &InspectTokenizerArguments) -> Result<()> {
    let name = &arguments.tokenizer;
    let path = arguments
        .text
        .as_ref()
        .map(|path| path.display().to_string());
    if path.is_none() && (name == "char" || name.starts_with("bpe:")) {
        return Err(
            Error::input(format!("`{name}` takes its vocabulary from a text"))
                .with_hint("give one with `--text FILE`")
                .into(),
        );
    }
    let text = path.as_deref().map(platform::read_file).transpose()?;
    let tokenizer = Tokenizer::for_documents(name, text.iter().map(Ok))?;
    let text = match (path, text) {
        (Some(path), Some(text)) => Some(cut(&tokenizer, path, &text)?),
        _ => None,
    };
    let mut longest: Vec<ShownToken> = (0..tokenizer.text_ids())
        .map(|id| ShownToken {
            id,
            token: tokenizer.symbol(id),
            bytes: tokenizer.measure(&[id]).1,
        })
        .collect();
    longest.sort_by_key(|token| std::cmp::Reverse(token.bytes));
    longest.truncate(SHOWN);
    let merges: Vec<[String; 2]> = match tokenizer.bpe() {
        Some(bpe) => bpe
            .merges()
            .iter()
            .map(|&(left, right)| [left, right].map(|id| tokenizer.symbol(id)))
            .collect(),
        None => Vec::new(),
    };
    let inspected = Inspected {
        event: "result",
        tokenizer: name.clone(),
        vocab_size: tokenizer.vocab_size(),
        mask_id: tokenizer.mask_id(),
        longest,
        merges: merges.len(),
        first_merges: merges.iter().take(SHOWN).cloned().collect(),
        // Those that the first ones don't show already.
        last_merges: merges[merges
            .len()
            .saturating_sub(SHOWN)
            .max(SHOWN.min(merges.len()))..]
            .to_vec(),
        text,
    };
    if arguments.common.json {
        return print_json(&inspected);
    }
    print_text(&inspected_text(&inspected))
}

/// The beginning of a text in tokens, and how many it has.
fn cut(tokenizer: &Tokenizer, file: String, bytes: &[u8]) -> Result<Cut, Error> {
    let ids = tokenizer
        .encode_bytes(bytes)
        .map_err(|error| error.about(&format!("`{file}`")))?;
    Ok(Cut {
        file,
        bytes: bytes.len(),
        tokens: ids.len(),
        bytes_per_token: bytes.len() as f64 / ids.len().max(1) as f64,
        first: ids
            .iter()
            .take(SHOWN_TOKENS)
            .map(|&id| tokenizer.symbol(id))
            .collect(),
    })
}

fn inspected_text(inspected: &Inspected) -> String {
    let quoted = |token: &String| format!("`{}`", token.escape_debug());
    let pairs = |merges: &[[String; 2]]| {
        let pairs: Vec<String> = merges
            .iter()
            .map(|[left, right]| format!("{} + {}", quoted(left), quoted(right)))
            .collect();
        pairs.join(", ")
    };
    let longest: Vec<String> = inspected
        .longest
        .iter()
        .map(|token| quoted(&token.token))
        .collect();
    let mut text = format!(
        "vocabulary      {} ids, MASK included\n\
         longest tokens  {}\n",
        numbers::grouped(inspected.vocab_size as u64),
        longest.join(", "),
    );
    if inspected.merges > 0 {
        text += &format!(
            "merges          {}\nfirst merges    {}\n",
            numbers::grouped(inspected.merges as u64),
            pairs(&inspected.first_merges),
        );
        if !inspected.last_merges.is_empty() {
            text += &format!("last merges     {}\n", pairs(&inspected.last_merges));
        }
    }
    if let Some(cut) = &inspected.text {
        let first: Vec<String> = cut
            .first
            .iter()
            .map(|token| token.escape_debug().to_string())
            .collect();
        let more = if cut.tokens > cut.first.len() {
            "|…"
        } else {
            ""
        };
        text += &format!(
            "text            {} bytes, {} tokens, {:.3} bytes/token\n\
             begins          {}{more}\n",
            numbers::grouped(cut.bytes as u64),
            numbers::grouped(cut.tokens as u64),
            cut.bytes_per_token,
            first.join("|"),
        );
    }
    text
}

#[derive(Serialize)]
struct Compared {
    event: &'static str,
    tokenizer: String,
    vocab_size: usize,
    documents: usize,
    bytes: u64,
    tokens: usize,
    tokens_per_byte: f64,
    bytes_per_token: f64,
    unigram_bits_per_byte: Option<f64>,
    vocabulary_seconds: f64,
    encoding_seconds: f64,
}

fn compare(arguments: &CompareTokenizersArguments) -> Result<()> {
    let names = match &arguments.tokenizer {
        Some(names) => names.clone(),
        None => COMPARED.map(str::to_owned).to_vec(),
    };
    // `char` reads less than the others do, and all are to read the same.
    let pickiest = names.iter().find(|name| *name == "char").or(names.first());
    let pickiest = pickiest.map_or("byte", String::as_str);
    let survey = survey(&arguments.source, &arguments.folders, pickiest)?;
    let mut compared = Vec::new();
    for name in names {
        let row = measured(name, &survey)?;
        if arguments.common.json {
            print_json(&row)?;
        }
        compared.push(row);
    }
    if arguments.common.json {
        return Ok(());
    }
    print_text(&compared_text(&compared, survey.bytes))
}

fn measured(name: String, survey: &Survey<'_>) -> Result<Compared, Error> {
    let began = platform::now();
    let tokenizer = survey.tokenizer(&name)?;
    let vocabulary_seconds = began.elapsed().as_secs_f64();
    let mut unigrams = Unigrams::new(tokenizer.text_ids(), survey.bytes);
    let mut tokens = 0;
    let mut encoding_seconds = 0.0;
    for text in survey.texts() {
        let text = text?;
        let began = platform::now();
        let ids = tokenizer.encode_one_piece(&text)?;
        encoding_seconds += began.elapsed().as_secs_f64();
        tokens += ids.len();
        unigrams.add(&ids, &tokenizer);
    }
    let bytes = survey.bytes;
    Ok(Compared {
        event: "tokenizer",
        tokenizer: name,
        vocab_size: tokenizer.vocab_size(),
        documents: survey.documents,
        bytes,
        tokens,
        tokens_per_byte: tokens as f64 / bytes as f64,
        bytes_per_token: bytes as f64 / tokens as f64,
        unigram_bits_per_byte: unigrams.bits_per_byte(),
        vocabulary_seconds,
        encoding_seconds,
    })
}

/// A model that knows only how often each token occurs: the same yardstick for every tokenizer, without training.
struct Unigrams {
    /// Tokens that begin before this byte are counted, later ones are measured.
    counted_bytes: u64,
    bytes: u64,
    counted: Vec<u64>,
    measured: Vec<u64>,
    measured_bytes: u64,
}

impl Unigrams {
    fn new(ids: u32, bytes: u64) -> Self {
        Self {
            counted_bytes: (bytes as f64 * COUNTED_SHARE) as u64,
            bytes: 0,
            counted: vec![0; ids as usize],
            measured: vec![0; ids as usize],
            measured_bytes: 0,
        }
    }

    fn add(&mut self, ids: &[u32], tokenizer: &Tokenizer) {
        for &id in ids {
            let bytes = tokenizer.measure(&[id]).1 as u64;
            if self.bytes < self.counted_bytes {
                self.counted[id as usize] += 1;
            } else {
                self.measured[id as usize] += 1;
                self.measured_bytes += bytes;
            }
            self.bytes += bytes;
        }
    }

    /// What the measured tokens cost in bits, each as likely as it was among the counted ones with one more of each;
    /// `None` when nothing was left to measure.
    fn bits_per_byte(&self) -> Option<f64> {
        let all: u64 = self.counted.iter().sum::<u64>() + self.counted.len() as u64;
        let bits: f64 = self
            .counted
            .iter()
            .zip(&self.measured)
            .filter(|(_, times)| **times > 0)
            .map(|(counted, times)| {
                let probability = (counted + 1) as f64 / all as f64;
                -probability.log2() * *times as f64
            })
            .sum();
        (self.measured_bytes > 0).then(|| bits / self.measured_bytes as f64)
    }
}

fn compared_text(compared: &[Compared], bytes: u64) -> String {
    let widest = compared
        .iter()
        .map(|row| row.tokenizer.chars().count())
        .max();
    let width = widest.unwrap_or(0).max("tokenizer".len());
    let mut text = format!(
        "{:width$}  {:>9}  {:>12}  {:>11}  {:>11}  {:>17}  {:>10}  {:>9}\n",
        "tokenizer",
        "ids",
        "tokens",
        "tokens/byte",
        "bytes/token",
        "unigram bits/byte",
        "vocabulary",
        "encoding",
    );
    let seconds = |seconds: f64| format!("{seconds:.2} s");
    for row in compared {
        let bits = row.unigram_bits_per_byte;
        text += &format!(
            "{:width$}  {:>9}  {:>12}  {:>11.3}  {:>11.3}  {:>17}  {:>10}  {:>9}\n",
            row.tokenizer,
            numbers::grouped(row.vocab_size as u64),
            numbers::grouped(row.tokens as u64),
            row.tokens_per_byte,
            row.bytes_per_token,
            bits.map_or("unknown".to_owned(), |bits| format!("{bits:.3}")),
            seconds(row.vocabulary_seconds),
            seconds(row.encoding_seconds),
        );
    }
    text + &format!(
        "\n{} bytes; ids include MASK. Unigram bits/byte is what the last tenth costs a model that knows only how often \
         each\ntoken occurs before it, with one more of each. Vocabularies are made from the whole text.\n",
        numbers::grouped(bytes)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unigrams_cost_what_their_frequencies_say() {
        let tokenizer = Tokenizer::for_documents("char", [Ok("aabbb")]).expect("characters");
        let mut unigrams = Unigrams::new(2, 10);
        // Nine bytes are counted (a: 6, b: 3), one is measured, over two documents.
        unigrams.add(&[0, 0, 0, 1, 1], &tokenizer);
        unigrams.add(&[0, 0, 0, 1, 1], &tokenizer);
        let bits = unigrams.bits_per_byte().expect("one byte is measured");
        assert!((bits - (11.0_f64 / 4.0).log2()).abs() < 1e-12, "{bits}");
        assert_eq!(Unigrams::new(2, 10).bits_per_byte(), None);
    }

    #[test]
    fn a_character_of_several_bytes_is_counted_where_it_begins() {
        let tokenizer = Tokenizer::for_documents("char", [Ok("aé")]).expect("characters");
        let mut unigrams = Unigrams::new(2, 10);
        unigrams.add(&[0, 0, 0, 0, 0, 0, 0, 0, 1], &tokenizer);
        assert_eq!((unigrams.counted[1], unigrams.measured[1]), (1, 0));
    }
}
