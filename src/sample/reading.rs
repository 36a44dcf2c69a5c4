//! How a sampling loop asks its model about pages that change a little from step to step: everything anew each time, or
//! only what a cache does not hold.
//!
//! An exact cache is for models whose positions don't see what is behind them (causal, or block after block): what is
//! written and finished never changes again. Where everybody sees everybody, a new token changes the keys and values of
//! all, so each cache of such a model keeps something out of date. Which, is how the approximations differ; how far the
//! answer is off, each can measure itself.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, nearest};
use crate::laws::flops::ReadCost;
use crate::model::{Cache, Predictor, Read, Visibility};

/// What is kept from one reading to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Caching {
    /// Nothing: each reading is a forward pass over the whole window.
    #[default]
    None,
    /// Whatever no later token can change.
    Exact,
    /// What is before the block; the block and all behind it are read each time (Fast-dLLM, Wu et al. 2025,
    /// arXiv 2505.22618).
    Prefix {
        /// All is read at a block's start, and at every so manieth reading of a block.
        refresh: Option<usize>,
    },
    /// Everything but the block (the dual cache of Fast-dLLM).
    Dual {
        /// All is read at a block's start, and at every so manieth reading of a block.
        refresh: Option<usize>,
    },
    /// Every token that was written before the last reading: masked positions are read each time, and a new token once
    /// more (dKV-Cache's delayed caching, Ma et al. 2025, arXiv 2505.15781).
    Dkv {
        /// All is read at the start, and at every so manieth reading.
        refresh: Option<usize>,
    },
}

impl Caching {
    /// The names in flags and files.
    pub const NAMES: [&str; 5] = ["none", "exact", "prefix", "dual", "dkv"];
    /// Readings from one of everything to the next with [`Caching::Dkv`], where nothing else is said: its authors use 4
    /// to 16.
    pub const DKV_REFRESH: usize = 8;

    /// What suits a model without changing what it writes.
    pub fn suiting(visibility: Visibility) -> Self {
        match visibility {
            Visibility::Full => Self::None,
            _ => Self::Exact,
        }
    }

    /// The cache of a name, as flags give it, reading everything at every so manieth reading.
    ///
    /// # Errors
    /// When there is none of that name, or it needs no refreshing.
    pub fn named(name: &str, refresh: Option<usize>) -> Result<Self> {
        let caching = match name {
            "none" => Self::None,
            "exact" => Self::Exact,
            "prefix" => Self::Prefix { refresh },
            "dual" => Self::Dual { refresh },
            "dkv" => Self::Dkv {
                refresh: refresh.or(Some(Self::DKV_REFRESH)),
            },
            _ => {
                let hint = match nearest(name, Self::NAMES) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => format!(
                        "the caches are {}",
                        Self::NAMES.map(|known| format!("`{known}`")).join(", ")
                    ),
                };
                return Err(Error::input(format!("there is no cache `{name}`")).with_hint(hint));
            }
        };
        if refresh.is_some() && caching.refresh().is_none() {
            return Err(
                Error::input(format!("the cache `{name}` has nothing to refresh"))
                    .with_hint("`prefix`, `dual` and `dkv` do"),
            );
        }
        Ok(caching)
    }

    /// The name in flags and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Exact => "exact",
            Self::Prefix { .. } => "prefix",
            Self::Dual { .. } => "dual",
            Self::Dkv { .. } => "dkv",
        }
    }

    /// Whether answers may differ from a reading of everything.
    pub fn is_approximate(self) -> bool {
        !matches!(self, Self::None | Self::Exact)
    }

    fn refresh(self) -> Option<usize> {
        match self {
            Self::None | Self::Exact => None,
            Self::Prefix { refresh } | Self::Dual { refresh } | Self::Dkv { refresh } => refresh,
        }
    }

    /// Refuses what makes no sense for a model that sees so.
    ///
    /// # Errors
    /// When the cache is for another kind of model, or is to be refreshed every 0 readings.
    pub fn check(self, visibility: Visibility) -> Result<()> {
        let whole = visibility == Visibility::Full;
        if self == Self::Exact && whole {
            return Err(Error::input(
                "the cache `exact` is for models that write left to right or block after block: in this one every token \
                 changes what is known of all others",
            )
            .with_hint("`prefix`, `dual` and `dkv` approximate it, `none` reads everything each time"));
        }
        if self.is_approximate() && !whole {
            return Err(Error::input(format!(
                "the cache `{self}` approximates models that see the whole window, and this one does not"
            ))
            .with_hint("`exact` fits it, and changes nothing in what is written; so does `none`"));
        }
        if self.refresh() == Some(0) {
            return Err(Error::input(format!(
                "the cache `{self}` can't be refreshed every 0 steps"
            ))
            .with_hint("give at least 1, which reads everything at every step"));
        }
        Ok(())
    }
}

impl fmt::Display for Caching {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What is asked about one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// Number of the page.
    pub page: usize,
    /// What the model reads: `[length]`.
    pub tokens: Vec<u32>,
    /// The positions asked about, ascending: at least one, all of the block.
    pub asked: Vec<usize>,
}

/// What the model says about one page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// Log-probabilities of every id but MASK: `[asked * (vocab_size - 1)]`.
    pub logs: Vec<f32>,
    /// Floating-point operations that it took.
    pub flops: f64,
    /// What reading everything says, for an approximation that is to be measured.
    pub exact: Option<Vec<f32>>,
}

/// A model, and what is remembered of some pages of one length.
pub(super) struct Reader<'a, P> {
    model: &'a P,
    caching: Caching,
    visibility: Visibility,
    cost: ReadCost,
    measures: bool,
    cache: Cache,
    since: Vec<Since>,
}

/// What happened since a page was last read as a whole.
#[derive(Debug, Clone, Default)]
struct Since {
    /// Where the block began that was asked about then; `None` before the first reading.
    block: Option<usize>,
    /// Readings, that one included.
    readings: usize,
}

impl<'a, P: Predictor> Reader<'a, P> {
    /// A reader of so many pages of `length` tokens, none of which it has seen.
    pub fn new(
        model: &'a P,
        caching: Caching,
        visibility: Visibility,
        cost: ReadCost,
        [pages, length]: [usize; 2],
    ) -> Self {
        Self {
            model,
            caching,
            visibility,
            cost,
            measures: false,
            cache: model.cache(pages, length),
            since: vec![Since::default(); pages],
        }
    }

    /// The same reader, which also reads everything, so that an approximation can be measured. That reading is not counted.
    pub fn measuring(mut self, measures: bool) -> Self {
        self.measures = measures;
        self
    }

    /// Asks about positions of the block that is being written. Pages come in ascending order; answers come in the same
    /// order, and do not depend on what other pages are asked about with them.
    ///
    /// # Errors
    /// When the model fails.
    pub async fn read(
        &mut self,
        questions: &[Question],
        block: &Range<usize>,
    ) -> Result<Vec<Answer>> {
        if self.caching == Caching::None {
            let flops = self.cost.forward(self.cache.length());
            let answer = |logs| Answer {
                logs,
                flops,
                exact: None,
            };
            return Ok(self
                .whole(questions)
                .await?
                .into_iter()
                .map(answer)
                .collect());
        }
        let mut answers = self.cached(questions, block).await?;
        if self.measures {
            for (answer, exact) in answers.iter_mut().zip(self.whole(questions).await?) {
                answer.exact = Some(exact);
            }
        }
        Ok(answers)
    }

    /// Log-probabilities by a forward pass over everything.
    async fn whole(&self, questions: &[Question]) -> Result<Vec<Vec<f32>>> {
        let inputs: Vec<u32> = questions
            .iter()
            .flat_map(|question| &question.tokens)
            .copied()
            .collect();
        let (length, ids) = (self.cache.length(), self.model.vocab_size() - 1);
        let logs = self
            .model
            .log_probabilities(&inputs, length, self.visibility)
            .await?;
        let everywhere: Vec<usize> = (0..length).collect();
        Ok(questions
            .iter()
            .zip(logs.chunks_exact(length * ids))
            .map(|(question, logs)| pick(logs, &everywhere, &question.asked, ids))
            .collect())
    }

    /// Reads what the cache does not hold. Pages of which the same positions are due go together.
    async fn cached(
        &mut self,
        questions: &[Question],
        block: &Range<usize>,
    ) -> Result<Vec<Answer>> {
        let ids = self.model.vocab_size() - 1;
        let mut groups: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
        for (index, question) in questions.iter().enumerate() {
            let due = self.due(question, block);
            match groups.iter_mut().find(|(positions, _)| *positions == due) {
                Some((_, together)) => together.push(index),
                None => groups.push((due, vec![index])),
            }
        }
        let mut answers = vec![None; questions.len()];
        for (positions, together) in groups {
            let rows: Vec<usize> = together
                .iter()
                .map(|&index| questions[index].page)
                .collect();
            let tokens: Vec<u32> = together
                .iter()
                .flat_map(|&index| positions.iter().map(move |&at| questions[index].tokens[at]))
                .collect();
            let within = positions.partition_point(|&position| position < block.start)
                ..positions.partition_point(|&position| position < block.end);
            let answered = &positions[within.clone()];
            let read = Read {
                rows: &rows,
                positions: &positions,
                tokens: &tokens,
                answers: within,
                visibility: self.visibility,
            };
            let logs = self.model.read(&mut self.cache, &read).await?;
            let seen = self.end(&positions);
            let flops = self.cost.read(positions.len(), seen, answered.len());
            let pages = logs.chunks_exact(answered.len() * ids);
            for (index, logs) in together.into_iter().zip(pages) {
                answers[index] = Some(Answer {
                    logs: pick(logs, answered, &questions[index].asked, ids),
                    flops,
                    exact: None,
                });
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// One behind the last position that any of these sees.
    fn end(&self, positions: &[usize]) -> usize {
        let ends = positions
            .iter()
            .map(|&position| self.visibility.end(position, self.cache.length()));
        ends.fold(0, usize::max)
    }

    /// Which positions of a page must be read, ascending; those asked about are among them.
    fn due(&mut self, question: &Question, block: &Range<usize>) -> Vec<usize> {
        let (tokens, length) = (&question.tokens, question.tokens.len());
        let seen = self.cache.seen(question.page);
        let changed = |position: usize| seen[position] != Some(tokens[position]);
        if self.caching == Caching::Exact {
            // What sees a changed position, itself or through others, is not before the first that sees it.
            let first = (0..block.start).find(|&position| changed(position));
            let first = self.visibility.first_reader(first.unwrap_or(block.start));
            return (first..self.visibility.end(block.end - 1, length)).collect();
        }
        let since = &mut self.since[question.page];
        let begins = match self.caching {
            Caching::Dkv { .. } => since.block.is_none(),
            _ => since.block != Some(block.start),
        };
        let refresh = self.caching.refresh();
        if begins || refresh.is_some_and(|refresh| since.readings >= refresh) {
            *since = Since {
                block: Some(block.start),
                readings: 1,
            };
            return (0..length).collect();
        }
        since.readings += 1;
        let due = |position: &usize| match self.caching {
            Caching::None | Caching::Exact => true,
            Caching::Prefix { .. } => *position >= block.start,
            Caching::Dual { .. } => block.contains(position),
            Caching::Dkv { .. } => tokens[*position] == self.model.mask_id() || changed(*position),
        };
        (0..length).filter(due).collect()
    }
}

/// The rows of `asked` among the rows of `positions`; both ascend.
fn pick(logs: &[f32], positions: &[usize], asked: &[usize], ids: usize) -> Vec<f32> {
    positions
        .iter()
        .zip(logs.chunks_exact(ids))
        .filter(|(position, _)| asked.binary_search(position).is_ok())
        .flat_map(|(_, row)| row)
        .copied()
        .collect()
}

/// Mean over rows of the Kullback-Leibler divergence of the second distribution from the first, nats. Rows are logarithms
/// of `ids` weights that need not sum to 1.
pub(super) fn divergence(exact: &[f32], other: &[f32], ids: usize) -> f64 {
    let total = |row: &[f32]| {
        let peak = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let weights = row.iter().map(|&log| libm::exp(f64::from(log) - peak));
        peak + libm::log(weights.sum())
    };
    let rows = exact.chunks_exact(ids).zip(other.chunks_exact(ids));
    let sum: f64 = rows
        .map(|(exact, other)| {
            let totals = [total(exact), total(other)];
            let terms = exact.iter().zip(other).map(|(&exact, &other)| {
                let [exact, other] = [f64::from(exact) - totals[0], f64::from(other) - totals[1]];
                // What can't happen adds nothing, also where the other says the same.
                if exact == f64::NEG_INFINITY {
                    0.0
                } else {
                    libm::exp(exact) * (exact - other)
                }
            });
            terms.sum::<f64>()
        })
        .sum();
    // Rounding can put a divergence of nothing below 0.
    (sum / (exact.len() / ids) as f64).max(0.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use burn::tensor::Device;
    use pollster::block_on;

    use super::*;
    use crate::model::{Decoder, ModelConfig, Weights};
    use crate::random::{Purpose, Stream};

    const VOCAB: usize = 7;
    const MASK: u32 = 6;
    const LENGTH: usize = 11;

    fn decoder() -> (Decoder, ReadCost) {
        let config = ModelConfig {
            hidden_size: 16,
            num_hidden_layers: 3,
            num_attention_heads: 4,
            num_key_value_heads: Some(2),
            // Larger than in training, so that what is out of date shows.
            initializer_range: 0.4,
            ..ModelConfig::default()
        };
        let shape = config.resolve(VOCAB).unwrap();
        let weights = Weights::initial(&shape, config.initializer_range, 5);
        let decoder = Decoder::new(&config, &shape, &weights, &Device::flex()).unwrap();
        (decoder, ReadCost::of(&shape))
    }

    fn reader<'a>(model: &'a Decoder, cost: ReadCost, caching: Caching) -> Reader<'a, Decoder> {
        let visibility = match caching {
            Caching::Exact => Visibility::Blocks { size: 4 },
            _ => Visibility::Full,
        };
        Reader::new(model, caching, visibility, cost, [3, LENGTH]).measuring(true)
    }

    /// One state of the pages after the other: blocks of 4, in each of which every step writes one token a page, at a
    /// random place; page 1 pauses now and then.
    fn states() -> Vec<(Range<usize>, Vec<Vec<u32>>)> {
        let mut stream = Stream::new(1, Purpose::Sampling, 0, 0);
        let mut pages = vec![vec![MASK; LENGTH]; 3];
        pages.iter_mut().for_each(|page| page[2] = 1);
        let mut states = Vec::new();
        for block in [0..4, 4..8, 8..11] {
            for step in 0.. {
                states.push((block.clone(), pages.clone()));
                for (number, page) in pages.iter_mut().enumerate() {
                    let masked: Vec<usize> = block.clone().filter(|&at| page[at] == MASK).collect();
                    if masked.is_empty() || (number == 1 && step == 1) {
                        continue;
                    }
                    let at = masked[stream.below(masked.len() as u64) as usize];
                    page[at] = stream.below(6) as u32;
                }
                if pages
                    .iter()
                    .all(|page| page[block.clone()].iter().all(|&id| id != MASK))
                {
                    break;
                }
            }
        }
        states
    }

    fn questions(pages: &[Vec<u32>], block: &Range<usize>) -> Vec<Question> {
        let question = |(page, tokens): (usize, &Vec<u32>)| Question {
            page,
            tokens: tokens.clone(),
            asked: block.clone().filter(|&at| tokens[at] == MASK).collect(),
        };
        let questions = pages.iter().enumerate().map(question);
        questions
            .filter(|question| !question.asked.is_empty())
            .collect()
    }

    /// The answers of one kind of cache to every state, and those of no cache.
    fn both(caching: Caching) -> Vec<(Answer, Answer)> {
        let (model, cost) = decoder();
        let mut cached = reader(&model, cost, caching);
        let mut plain = Reader {
            caching: Caching::None,
            ..reader(&model, cost, caching)
        };
        states()
            .iter()
            .flat_map(|(block, pages)| {
                let questions = questions(pages, block);
                let left = block_on(cached.read(&questions, block)).unwrap();
                let right = block_on(plain.read(&questions, block)).unwrap();
                assert_eq!(left.len(), questions.len());
                left.into_iter().zip(right).collect::<Vec<_>>()
            })
            .collect()
    }

    fn largest_gap(answers: &[(Answer, Answer)]) -> f32 {
        answers
            .iter()
            .flat_map(|(left, right)| {
                assert_eq!(left.logs.len(), right.logs.len());
                left.logs
                    .iter()
                    .zip(&right.logs)
                    .map(|(a, b)| (a - b).abs())
            })
            .fold(0.0, f32::max)
    }

    fn flops(answers: &[(Answer, Answer)]) -> [f64; 2] {
        let sum = |pick: fn(&(Answer, Answer)) -> f64| answers.iter().map(pick).sum();
        [sum(|both| both.0.flops), sum(|both| both.1.flops)]
    }

    #[test]
    fn an_exact_cache_answers_what_reading_everything_answers() {
        let answers = both(Caching::Exact);
        assert!(largest_gap(&answers) < 1e-5, "{}", largest_gap(&answers));
        // What it is measured against is what the plain reader says.
        assert!(
            answers
                .iter()
                .all(|both| both.0.exact.as_ref() == Some(&both.1.logs))
        );
        let [cached, plain] = flops(&answers);
        assert!(cached < 0.6 * plain, "{cached} of {plain}");
    }

    #[test]
    fn approximate_caches_are_off_by_what_they_say_and_by_nothing_when_always_refreshed() {
        for name in ["prefix", "dual", "dkv"] {
            let never = both(match Caching::named(name, None).unwrap() {
                Caching::Dkv { .. } => Caching::Dkv { refresh: None },
                caching => caching,
            });
            assert!(
                largest_gap(&never) > 1e-3,
                "{name}: {}",
                largest_gap(&never)
            );
            let worst = |answers: &[(Answer, Answer)]| {
                let each = answers.iter().map(|(answer, plain)| {
                    assert_eq!(answer.exact.as_ref(), Some(&plain.logs), "{name}");
                    divergence(&plain.logs, &answer.logs, VOCAB - 1)
                });
                each.fold(0.0, f64::max)
            };
            assert!(worst(&never) > 1e-4, "{name}: {}", worst(&never));
            let [cached, plain] = flops(&never);
            assert!(cached < 0.9 * plain, "{name}: {cached} of {plain}");

            let always = both(Caching::named(name, Some(1)).unwrap());
            assert!(worst(&always) <= 1e-6, "{name}: {}", worst(&always));
            assert!(largest_gap(&always) < 1e-5, "{name}");
        }
    }

    #[test]
    fn divergence_is_the_mean_of_the_rows_divergences() {
        let logs = |weights: &[f32]| weights.iter().map(|weight| weight.ln()).collect::<Vec<_>>();
        let exact = logs(&[0.5, 0.5, 0.0, 0.2, 0.3, 0.5]);
        let other = logs(&[1.0, 3.0, 0.0, 0.2, 0.3, 0.5]);
        let first = 0.5 * 2.0_f64.ln() + 0.5 * (2.0 / 3.0_f64).ln();
        assert!((divergence(&exact, &other, 3) - first / 2.0).abs() < 1e-6);
        assert!(divergence(&other, &other, 3).abs() < 1e-12);
    }

    #[test]
    fn a_page_is_read_as_it_would_be_alone() {
        let (model, cost) = decoder();
        for caching in [
            Caching::Exact,
            Caching::Prefix { refresh: Some(3) },
            Caching::Dual { refresh: None },
            Caching::Dkv { refresh: Some(4) },
        ] {
            let mut together = reader(&model, cost, caching);
            let mut alone = reader(&model, cost, caching);
            for (block, pages) in &states() {
                let questions = questions(pages, block);
                let answers = block_on(together.read(&questions, block)).unwrap();
                for (question, answer) in questions.iter().zip(answers) {
                    let single =
                        block_on(alone.read(std::slice::from_ref(question), block)).unwrap();
                    assert_eq!(single[0].flops, answer.flops, "{caching}");
                    let gap = largest_gap(&[(answer, single[0].clone())]);
                    assert!(gap < 1e-5, "{caching}: {gap}");
                }
            }
        }
    }

    #[test]
    fn each_cache_reads_what_its_name_says() {
        let (model, cost) = decoder();
        // The blocks asked about, and the position that is written after each reading.
        let script = [(0..4, 1), (0..4, 3), (0..4, 2), (4..8, 5), (4..8, 4)];
        let read = |caching: Caching| -> Vec<Vec<usize>> {
            let mut page = vec![vec![MASK; LENGTH]];
            page[0][0] = 3;
            let mut reader = reader(&model, cost, caching);
            let mut log = Vec::new();
            for (block, written) in script.clone() {
                let before = reader.since.clone();
                let questions = questions(&page, &block);
                log.push(reader.due(&questions[0], &block));
                reader.since = before;
                block_on(reader.read(&questions, &block)).unwrap();
                page[0][written] = 0;
            }
            log
        };
        let span = |range: Range<usize>| range.collect::<Vec<usize>>();
        let all = || span(0..LENGTH);
        assert_eq!(
            read(Caching::Exact),
            [span(0..4), span(0..4), span(0..4), span(0..8), span(4..8)]
        );
        assert_eq!(
            read(Caching::Prefix { refresh: None }),
            [all(), all(), all(), all(), span(4..LENGTH)]
        );
        assert_eq!(
            read(Caching::Dual { refresh: Some(2) }),
            [all(), span(0..4), all(), all(), span(4..8)]
        );
        assert_eq!(
            read(Caching::Dkv { refresh: Some(4) }),
            [
                all(),
                span(1..LENGTH),
                [span(2..3), span(3..LENGTH)].concat(),
                [vec![2], span(4..LENGTH)].concat(),
                all()
            ]
        );
    }

    #[test]
    fn caches_are_refused_where_they_don_t_fit() {
        let blocks = Visibility::Blocks { size: 2 };
        for (caching, visibility, said) in [
            (
                Caching::Exact,
                Visibility::Full,
                "`exact` is for models that write",
            ),
            (
                Caching::Prefix { refresh: None },
                Visibility::Causal,
                "`prefix` approximates",
            ),
            (
                Caching::Dual { refresh: None },
                blocks,
                "`dual` approximates",
            ),
            (
                Caching::Dkv { refresh: Some(0) },
                Visibility::Full,
                "every 0 steps",
            ),
        ] {
            let error = caching.check(visibility).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
            assert!(error.hint().is_some());
        }
        for visibility in [Visibility::Causal, blocks, Visibility::Full] {
            assert!(Caching::suiting(visibility).check(visibility).is_ok());
        }
        assert!(Caching::named("exact", Some(2)).is_err());
        let error = Caching::named("dule", None).unwrap_err();
        assert_eq!(error.hint(), Some("did you mean `dual`?"));
        for name in Caching::NAMES {
            assert_eq!(Caching::named(name, None).unwrap().to_string(), name);
        }
    }
}
