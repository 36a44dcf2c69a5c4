//! What a source whose probabilities are known says of text that a model wrote.

use super::{Corpus, MarkovChain, Tales, Tokenizer};

/// A stretch of a window whose true probability can be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Its tokens.
    pub tokens: usize,
    /// `-ln` of its probability, in nats; `None` where the source can't write it.
    pub nats: Option<f64>,
}

impl Corpus {
    /// Judges a window by its source. Nothing is judged where the source is unknown, or a grid, whose probability says
    /// no more than whether it is valid.
    ///
    /// - A Markov chain judges the window as a whole, as [`MarkovChain::log_probability`] does.
    /// - So do tales where tokens are characters or bytes: [`Tales::window_log_probability`]. A window begins anywhere.
    /// - Where tokens are merged, a window doesn't tell where its first token began, so tales judge the whole stories
    ///   in it, those between two ends; there may be none or several. A story that is not cut as the tokenizer cuts it
    ///   can't occur.
    pub fn judge(&self, window: &[u32]) -> Vec<Judged> {
        match (&self.chain, &self.tales) {
            (Some(chain), _) => vec![by_chain(chain, window)],
            (_, Some(tales)) => by_tales(tales, &self.tokenizer, window),
            _ => Vec::new(),
        }
    }

    /// Whether [`Corpus::judge`] can judge anything.
    pub fn can_judge(&self) -> bool {
        self.chain.is_some() || self.tales.is_some()
    }
}

fn by_chain(chain: &MarkovChain, window: &[u32]) -> Judged {
    Judged {
        tokens: window.len(),
        nats: possible(chain.log_probability(window)),
    }
}

fn by_tales(tales: &Tales, tokenizer: &Tokenizer, window: &[u32]) -> Vec<Judged> {
    let pieces: Vec<&[u32]> = window
        .split(|&token| Some(token) == tokenizer.end_of_text())
        .collect();
    if tokenizer.bpe().is_none() {
        let texts: Vec<String> = pieces.iter().map(|piece| tokenizer.decode(piece)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        return vec![Judged {
            tokens: window.len(),
            nats: possible(tales.window_log_probability(&texts)),
        }];
    }
    let whole = match pieces.as_slice() {
        [_, whole @ .., _] => whole,
        _ => &[],
    };
    whole
        .iter()
        .map(|piece| {
            let text = tokenizer.decode(piece);
            let cut_so = tokenizer.encode(&text).is_ok_and(|ids| ids == *piece);
            let log = tales.log_probability(&text).ok();
            Judged {
                // The end belongs to the story.
                tokens: piece.len() + 1,
                nats: log.filter(|_| cut_so).map(|log| -log),
            }
        })
        .collect()
}

/// Nats of a log-probability; none where it is negative infinity.
fn possible(log_probability: f64) -> Option<f64> {
    log_probability.is_finite().then_some(-log_probability)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::CorpusConfig;

    fn corpus(source: &str, tokenizer: Option<&str>, text: &str) -> Corpus {
        let config = CorpusConfig {
            source: vec![source.to_owned()],
            tokenizer: tokenizer.map(str::to_owned),
            length: Some(32),
            unique: Some(1_000),
            held_out: Some(20_000),
            ..CorpusConfig::default()
        };
        Corpus::from_text(&config, text.as_bytes(), 1).unwrap()
    }

    #[test]
    fn a_chain_judges_windows_and_refuses_what_it_can_t_write() {
        let corpus = corpus(
            "markov:chain",
            None,
            "transition = [[0.5, 0.5, 0.0], [0.25, 0.5, 0.25], [0.5, 0.0, 0.5]]",
        );
        let chain = corpus.chain.as_ref().unwrap();
        let nats = -(chain.stationary()[0] * 0.5 * 0.25).ln();
        let [judged] = corpus.judge(&[0, 1, 2])[..] else {
            panic!("a window is judged as a whole")
        };
        assert_eq!(judged.tokens, 3);
        assert!((judged.nats.unwrap() - nats).abs() < 1e-12);
        assert_eq!(corpus.judge(&[0, 2])[0].nats, None);
    }

    #[test]
    fn tales_judge_every_window_of_their_own() {
        for tokenizer in ["char", "byte"] {
            let corpus = corpus("tales", Some(tokenizer), "");
            let mut nats = Vec::new();
            for window in corpus.test.iter() {
                let [judged] = corpus.judge(window)[..] else {
                    panic!("a window is judged as a whole")
                };
                nats.push(judged.nats.unwrap() / judged.tokens as f64);
            }
            let mean = nats.iter().sum::<f64>() / nats.len() as f64;
            let floor = corpus.floor_nats.unwrap();
            assert!(
                mean > floor && mean < 5.0 * floor,
                "a window doesn't tell what was said before it: {mean}, {floor}"
            );
            // Two tokens the other way round.
            let mut wrong = corpus.test.window(3).to_vec();
            let at = (0..30).find(|&at| wrong[at] != wrong[at + 1]).unwrap();
            wrong.swap(at, at + 1);
            assert_eq!(corpus.judge(&wrong)[0].nats, None);
        }
    }

    #[test]
    fn merged_tokens_are_judged_story_by_story() {
        let corpus = corpus("tales", Some("bpe:300"), "");
        let end = corpus.tokenizer.end_of_text().unwrap();
        let text = &corpus.test.tokens;
        let ends: Vec<usize> = (0..text.len()).filter(|&at| text[at] == end).collect();
        let window = &text[..ends[3] + 5];
        let judged = corpus.judge(window);
        assert_eq!(judged.len(), 3);
        let tales = corpus.tales.as_ref().unwrap();
        for (number, judged) in judged.iter().enumerate() {
            let story = &text[ends[number] + 1..ends[number + 1]];
            assert_eq!(judged.tokens, story.len() + 1);
            let log = tales.log_probability(&corpus.tokenizer.decode(story));
            assert_eq!(judged.nats, Some(-log.unwrap()));
        }
        assert!(corpus.judge(&text[ends[0] + 1..ends[1] + 1]).is_empty());
        // The same text in other pieces.
        let story = corpus.tokenizer.decode(&text[ends[0] + 1..ends[1]]);
        let bytes = story.bytes().map(u32::from);
        let letters: Vec<u32> = [end].into_iter().chain(bytes).chain([end]).collect();
        assert_eq!(corpus.judge(&letters)[0].nats, None);
    }

    #[test]
    fn grids_are_not_judged() {
        let config = CorpusConfig::default();
        let corpus = Corpus::from_text(&config, b"", 1).unwrap();
        assert!(!corpus.can_judge());
        assert!(corpus.judge(corpus.test.window(0)).is_empty());
    }
}
