//! A corpus of generated stories: three independent streams of [`Tales`], each story followed by end-of-text.

use std::collections::HashSet;

use super::{
    CorpusConfig, DEFAULT_LENGTH, Parts, Tales, Tokenizer, at_least_a_window, at_most_generated,
};
use crate::error::Result;
use crate::random::{Purpose, Stream};

const DEFAULT_UNIQUE: u64 = 50_000;
const DEFAULT_HELD_OUT: u64 = 50_000;

/// Stories that a vocabulary of merged characters is learned from: a stream of their own, so that it doesn't depend on
/// the budgets.
const VOCABULARY_STORIES: usize = 2_000;

/// Each part's stream, that of the vocabulary, and that of questions about tales.
const TRAIN: u64 = 0;
const VALIDATION: u64 = 1;
const TEST: u64 = 2;
const VOCABULARY: u64 = 3;
pub(super) const QUESTIONS: u64 = 4;

/// What is held out is drawn first, and none of its stories is drawn again.
pub(super) fn parts(config: &CorpusConfig, seed: u64) -> Result<Parts> {
    let tales = Tales::new();
    let length = config.length.unwrap_or(DEFAULT_LENGTH);
    let budget = |flag, asked: Option<u64>, default: u64| {
        at_least_a_window(flag, asked.unwrap_or(default.max(length as u64)), length)
    };
    let unique = budget("--unique", config.unique, DEFAULT_UNIQUE)?;
    let held_out = budget("--held-out", config.held_out, DEFAULT_HELD_OUT)?;
    at_most_generated(unique, held_out)?;

    let name = config.tokenizer_name();
    let stream = |part| Stream::new(seed, Purpose::Source, part, 0);
    let tokenizer = tokenizer(&tales, name, &mut stream(VOCABULARY))?;
    let mut drawn = Drawn::default();
    let mut draw =
        |part, tokens: u64| drawn.part(&tales, &tokenizer, &mut stream(part), tokens as usize);
    let test = draw(TEST, held_out)?;
    let validation = draw(VALIDATION, held_out)?;
    let train = draw(TRAIN, unique)?;
    let floor_nats = match name {
        "char" | "byte" => tales.floor_nats_per_character(),
        _ => tales.entropy_nats() * drawn.stories as f64 / drawn.tokens as f64,
    };
    Ok(Parts {
        tokenizer_name: Some(name.to_owned()),
        train: train.into(),
        validation,
        test,
        documents: Some(drawn.stories),
        floor_nats: Some(floor_nats),
        tales: Some(tales),
        ..Parts::of(tokenizer, length)
    })
}

/// Characters are the grammar's, drawn or not.
fn tokenizer(tales: &Tales, name: &str, stream: &mut Stream) -> Result<Tokenizer> {
    let tokenizer = match name {
        "char" => {
            let alphabet: String = tales.alphabet().iter().collect();
            Tokenizer::for_documents(name, [Ok(alphabet)])?
        }
        _ => {
            let stories = (0..VOCABULARY_STORIES).map(|_| Ok(tales.story(stream)));
            Tokenizer::for_documents(name, stories)?
        }
    };
    Ok(tokenizer.with_end_of_text())
}

/// What was drawn so far.
#[derive(Default)]
struct Drawn {
    /// Stories of the parts that are complete.
    earlier: HashSet<String>,
    stories: usize,
    /// Tokens of those stories, ends included and nothing cut.
    tokens: usize,
}

impl Drawn {
    fn part(
        &mut self,
        tales: &Tales,
        tokenizer: &Tokenizer,
        stream: &mut Stream,
        tokens: usize,
    ) -> Result<Vec<u32>> {
        let mut part = Vec::with_capacity(tokens);
        let mut own = HashSet::new();
        while part.len() < tokens {
            let story = tales.story(stream);
            if self.earlier.contains(&story) {
                continue;
            }
            let before = part.len();
            part.extend(tokenizer.encode(&story)?);
            part.extend(tokenizer.end_of_text());
            self.stories += 1;
            self.tokens += part.len() - before;
            own.insert(story);
        }
        part.truncate(tokens);
        self.earlier.extend(own);
        Ok(part)
    }
}
