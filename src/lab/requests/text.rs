//! A look at a text before anything trains on it.

use crate::corpus::{Corpus, CorpusConfig, near_duplicates};
use crate::error::Result;
use crate::lab::protocol::{Answer, Preview};

pub(super) fn preview(config: &CorpusConfig, seed: u64) -> Result<Answer> {
    let corpus = Corpus::load(config, seed)?;
    let length = corpus.length();
    let first = corpus.train.tokens.read(0..length);
    let held_out = corpus.validation.iter().next().unwrap_or_default();
    Ok(Answer::Preview(Preview {
        unique: corpus.train.tokens.len() as u64,
        held_out: corpus.validation.tokens.len() as u64,
        length,
        vocab_size: corpus.tokenizer.vocab_size(),
        documents: corpus.documents,
        near_duplicates: near_duplicates(config)?.map(|found| found.documents),
        first: corpus.tokenizer.decode(&first),
        held_out_first: corpus.tokenizer.decode(held_out),
        floor_nats: corpus.floor_nats,
        notices: corpus.notices,
    }))
}
