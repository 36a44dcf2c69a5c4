//! Markov chains: text whose every probability is known.
//!
//! A chain with transition matrix `T` starts from its stationary distribution `pi`, so a window looks the same
//! wherever it is cut, and its entropy is `H(pi) + (L - 1) h` with the entropy rate `h = sum_i pi_i H(T_i)`. The best
//! autoregressive model is [`MarkovChain::next`]; the best denoiser is [`MarkovChain::posterior`]; both reach the
//! entropy exactly, which is what makes a chain a test of losses and samplers.

use serde::Deserialize;

use super::{
    Alphabet, CorpusConfig, DEFAULT_LENGTH, Parts, Tokenizer, at_least_a_window, at_most_generated,
};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};

const DEFAULT_UNIQUE: u64 = 20_000;
const DEFAULT_HELD_OUT: u64 = 20_000;

/// How far a row written in decimals may be from summing to 1.
const ROW_TOLERANCE: f64 = 1e-6;

/// A `markov:` file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceFile {
    transition: Vec<Vec<f64>>,
    symbols: Option<String>,
}

/// A stationary Markov chain over a few symbols.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkovChain {
    transition: Vec<Vec<f64>>,
    stationary: Vec<f64>,
    symbols: Alphabet,
}

/// The three parts are independent streams of one chain, each stationary from its first token.
pub(super) fn parts(config: &CorpusConfig, file: &str, text: &[u8], seed: u64) -> Result<Parts> {
    let chain = MarkovChain::parse(file, text)?;
    let length = config.length.unwrap_or(DEFAULT_LENGTH);
    let budget = |asked: Option<u64>, default: u64| asked.unwrap_or(default.max(length as u64));
    let unique = budget(config.unique, DEFAULT_UNIQUE);
    let held_out = budget(config.held_out, DEFAULT_HELD_OUT);
    at_least_a_window("--unique", unique, length)?;
    at_least_a_window("--held-out", held_out, length)?;
    at_most_generated(unique, held_out)?;

    let stream = |part, tokens: u64| {
        chain.sample(
            &mut Stream::new(seed, Purpose::Source, part, 0),
            tokens as usize,
        )
    };
    let tokenizer = Tokenizer::symbols(chain.symbols.clone());
    Ok(Parts {
        train: stream(0, unique).into(),
        validation: stream(1, held_out),
        test: stream(2, held_out),
        floor_nats: Some(chain.window_entropy(length)),
        chain: Some(chain),
        ..Parts::of(tokenizer, length)
    })
}

impl MarkovChain {
    /// Reads a source file; `name` is what errors call it.
    ///
    /// # Errors
    /// When it is no TOML of this form, and everything that [`MarkovChain::new`] refuses.
    pub fn parse(name: &str, text: &[u8]) -> Result<Self> {
        let invalid = |reason: String| {
            Error::input(format!("`{name}` is no Markov source: {}", reason.trim_end())).with_hint(
                "it holds `transition = [[0.9, 0.1], [0.5, 0.5]]`, square, with rows that sum to 1, and optionally \
                 `symbols = \"ab\"`",
            )
        };
        let text = std::str::from_utf8(text).map_err(|error| invalid(error.to_string()))?;
        let file: SourceFile = toml::from_str(text).map_err(|error| invalid(error.to_string()))?;
        Self::new(file.transition, file.symbols.as_deref())
            .map_err(|error| invalid(error.to_string()))
    }

    /// The chain of a transition matrix, row `i` being the distribution after symbol `i`. Without `symbols`, they are
    /// `a`, `b`, `c` and further letters.
    ///
    /// # Errors
    /// When the matrix has fewer than two rows, is not square, has an entry outside [0, 1] or a row that doesn't sum to
    /// 1; when there are not as many distinct symbols as rows; when the stationary distribution is not unique.
    pub fn new(mut transition: Vec<Vec<f64>>, symbols: Option<&str>) -> Result<Self> {
        let states = transition.len();
        if states < 2 {
            return Err(Error::input(format!(
                "`transition` needs at least two rows, and has {states}"
            )));
        }
        for (number, row) in (1..).zip(&mut transition) {
            if row.len() != states {
                return Err(Error::input(format!(
                    "row {number} of `transition` has {} entries; with {states} rows it needs {states}",
                    row.len()
                )));
            }
            if let Some(entry) = row.iter().find(|entry| !(0.0..=1.0).contains(*entry)) {
                return Err(Error::input(format!(
                    "row {number} of `transition` has the entry {entry}, which is no probability"
                )));
            }
            let sum: f64 = row.iter().sum();
            if (sum - 1.0).abs() > ROW_TOLERANCE {
                return Err(Error::input(format!(
                    "row {number} of `transition` sums to {sum}, not to 1"
                )));
            }
            row.iter_mut().for_each(|entry| *entry /= sum);
        }
        let symbols = match symbols {
            Some(symbols) => Alphabet::new(symbols.chars())?,
            None => {
                let further = ('\u{C0}'..).filter(|character| character.is_alphabetic());
                let letters = ('a'..='z').chain('A'..='Z').chain(further);
                Alphabet::new(letters.take(states))?
            }
        };
        if symbols.symbols().len() != states {
            return Err(Error::input(format!(
                "`symbols` has {} characters; with {states} rows it needs {states}",
                symbols.symbols().len()
            )));
        }
        let stationary = stationary(&transition).ok_or_else(|| {
            Error::input(
                "its stationary distribution is not unique: the chain has parts that can't be left, and which one it \
                 ends in depends on where it starts",
            )
        })?;
        Ok(Self {
            transition,
            stationary,
            symbols,
        })
    }

    /// Number of symbols.
    pub fn states(&self) -> usize {
        self.transition.len()
    }

    /// The symbols in the order of the rows.
    pub fn symbols(&self) -> &[char] {
        self.symbols.symbols()
    }

    /// Row `i` is the distribution after symbol `i`; rows sum to 1 within rounding.
    pub fn transition(&self) -> &[Vec<f64>] {
        &self.transition
    }

    /// The distribution of every symbol of a window, taken alone.
    pub fn stationary(&self) -> &[f64] {
        &self.stationary
    }

    /// The distribution of the symbol after `previous`, or of a window's first.
    pub fn next(&self, previous: Option<usize>) -> &[f64] {
        match previous {
            Some(previous) => &self.transition[previous],
            None => &self.stationary,
        }
    }

    /// Entropy of a symbol given the one before it, in nats: the floor of endless text.
    pub fn entropy_rate(&self) -> f64 {
        let rows = self.stationary.iter().zip(&self.transition);
        rows.map(|(weight, row)| weight * entropy(row)).sum()
    }

    /// Entropy of a window in nats per token: the floor of a model that sees nothing outside of it.
    pub fn window_entropy(&self, length: usize) -> f64 {
        (entropy(&self.stationary) + (length as f64 - 1.0) * self.entropy_rate()) / length as f64
    }

    /// Draws a stationary text.
    pub fn sample(&self, stream: &mut Stream, tokens: usize) -> Vec<u32> {
        let mut previous = None;
        let draw = |_| {
            let symbol = stream.race(self.next(previous).iter().copied());
            previous = Some(symbol);
            symbol as u32
        };
        (0..tokens).map(draw).collect()
    }

    /// Log-probability of a window, negative infinity where it can't occur.
    ///
    /// # Panics
    /// If a token is no symbol.
    pub fn log_probability(&self, window: &[u32]) -> f64 {
        let mut previous = None;
        let mut total = 0.0;
        for &token in window {
            total += libm::log(self.next(previous)[token as usize]);
            previous = Some(token as usize);
        }
        total
    }

    /// The distribution of the symbol at every position given all observed ones: `[length][symbols]`, one-hot where
    /// observed.
    ///
    /// Forward-backward. By the Markov property a gap depends on the two observed symbols that enclose it alone. When
    /// these can't occur that far apart, there is no such distribution, and the gap's positions are uniform.
    ///
    /// # Panics
    /// If an observation is no symbol.
    pub fn posterior(&self, window: &[Option<usize>]) -> Vec<Vec<f64>> {
        let states = self.states();
        // First P(x_i | observed up to i); the later ones are multiplied in on the way back.
        let mut belief: Vec<Vec<f64>> = Vec::with_capacity(window.len());
        for &observed in window {
            let forward = match (observed, belief.last()) {
                (Some(symbol), _) => {
                    let mut certain = vec![0.0; states];
                    certain[symbol] = 1.0;
                    certain
                }
                (None, None) => self.stationary.clone(),
                (None, Some(before)) => {
                    let into = |to: usize| {
                        let ways = before.iter().zip(&self.transition);
                        ways.map(|(from, row)| from * row[to]).sum()
                    };
                    (0..states).map(into).collect()
                }
            };
            belief.push(forward);
        }
        // Proportional to P(observed after i | x_i).
        let mut later = vec![1.0; states];
        for (&observed, belief) in window.iter().zip(&mut belief).rev() {
            if let Some(symbol) = observed {
                later = self.transition.iter().map(|row| row[symbol]).collect();
                continue;
            }
            belief
                .iter_mut()
                .zip(&later)
                .for_each(|(belief, later)| *belief *= later);
            let total: f64 = belief.iter().sum();
            if total > 0.0 {
                belief.iter_mut().for_each(|belief| *belief /= total);
            } else {
                belief.fill(1.0 / states as f64);
            }
            let back = |row: &Vec<f64>| row.iter().zip(&later).map(|(to, later)| to * later).sum();
            later = self.transition.iter().map(back).collect();
            // Only ratios matter, and over a long gap the values themselves would underflow.
            let largest = later.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
            later.iter_mut().for_each(|later| *later /= largest);
        }
        belief
    }
}

/// `-sum p ln p`, through `libm` so that the floor is the same number in the browser.
fn entropy(distribution: &[f64]) -> f64 {
    let positive = distribution.iter().filter(|&&p| p > 0.0);
    // Taken from 0, so that certainty is 0 and not -0.
    0.0 - positive.map(|&p| p * libm::log(p)).sum::<f64>()
}

/// The solution of `pi T = pi`, `None` when it is not unique.
///
/// It is unique when some state can be reached from every state: then those reachable from it are the one part that
/// can't be left. Within that part, elimination after Grassmann, Taksar and Heyman (1985) subtracts nothing, so it
/// loses no digits, and it doesn't mind chains that are periodic.
fn stationary(transition: &[Vec<f64>]) -> Option<Vec<f64>> {
    let states = transition.len();
    let reached: Vec<Vec<bool>> = (0..states)
        .map(|from| reachable(transition, from))
        .collect();
    let home = (0..states).find(|&state| reached.iter().all(|from| from[state]))?;
    let stays: Vec<usize> = (0..states).filter(|&state| reached[home][state]).collect();

    let row = |&from: &usize| stays.iter().map(|&to| transition[from][to]).collect();
    let mut matrix: Vec<Vec<f64>> = stays.iter().map(row).collect();
    for last in (1..stays.len()).rev() {
        let (rest, eliminated) = matrix.split_at_mut(last);
        let eliminated = &eliminated[0][..last];
        let leaving: f64 = eliminated.iter().sum();
        for row in rest {
            row[last] /= leaving;
            let (entries, through) = row.split_at_mut(last);
            for (entry, onward) in entries.iter_mut().zip(eliminated) {
                *entry += through[0] * onward;
            }
        }
    }
    let mut weights = vec![1.0];
    for state in 1..stays.len() {
        let incoming = weights
            .iter()
            .zip(&matrix)
            .map(|(weight, row)| weight * row[state]);
        weights.push(incoming.sum::<f64>());
    }
    let total: f64 = weights.iter().sum();
    let mut stationary = vec![0.0; states];
    for (state, weight) in stays.into_iter().zip(weights) {
        stationary[state] = weight / total;
    }
    // Probabilities near the smallest f64 may underflow to a chain that can't be solved.
    stationary
        .iter()
        .all(|p| p.is_finite())
        .then_some(stationary)
}

/// Which states a chain that is in `from` may ever be in.
fn reachable(transition: &[Vec<f64>], from: usize) -> Vec<bool> {
    let mut reached = vec![false; transition.len()];
    reached[from] = true;
    let mut open = vec![from];
    while let Some(state) = open.pop() {
        for (to, &probability) in transition[state].iter().enumerate() {
            if probability > 0.0 && !reached[to] {
                reached[to] = true;
                open.push(to);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use proptest::prelude::*;

    fn rows<const N: usize>(transition: [[f64; N]; N]) -> Vec<Vec<f64>> {
        transition.iter().map(|row| row.to_vec()).collect()
    }

    fn chain<const N: usize>(transition: [[f64; N]; N]) -> MarkovChain {
        MarkovChain::new(rows(transition), None).unwrap()
    }

    /// The chain of the design document.
    fn example() -> MarkovChain {
        chain([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.25, 0.05, 0.7]])
    }

    /// Every window of the chain's symbols.
    fn windows(states: u32, length: usize) -> Vec<Vec<u32>> {
        (0..states.pow(length as u32))
            .map(|number| {
                (0..length as u32)
                    .map(|digit| number / states.pow(digit) % states)
                    .collect()
            })
            .collect()
    }

    fn fits(window: &[u32], observed: &[Option<usize>]) -> bool {
        let mut pairs = window.iter().zip(observed);
        pairs.all(|(&token, observed)| observed.is_none_or(|symbol| symbol == token as usize))
    }

    /// The posterior by its definition.
    fn enumerated(chain: &MarkovChain, observed: &[Option<usize>]) -> Option<Vec<Vec<f64>>> {
        let mut sums = vec![vec![0.0; chain.states()]; observed.len()];
        let mut total = 0.0;
        for window in windows(chain.states() as u32, observed.len()) {
            if fits(&window, observed) {
                let probability = chain.log_probability(&window).exp();
                total += probability;
                for (sums, token) in sums.iter_mut().zip(window) {
                    sums[token as usize] += probability;
                }
            }
        }
        sums.iter_mut().flatten().for_each(|sum| *sum /= total);
        (total > 0.0).then_some(sums)
    }

    fn assert_posterior_is_exact(chain: &MarkovChain) {
        for pattern in windows(chain.states() as u32 + 1, 4) {
            let hidden = chain.states() as u32;
            let observed: Vec<Option<usize>> = pattern
                .into_iter()
                .map(|token| (token != hidden).then_some(token as usize))
                .collect();
            let posterior = chain.posterior(&observed);
            for (position, distribution) in posterior.iter().enumerate() {
                assert!((distribution.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                if let Some(symbol) = observed[position] {
                    assert_eq!(distribution[symbol], 1.0);
                }
            }
            if let Some(expected) = enumerated(chain, &observed) {
                for (found, expected) in posterior.iter().flatten().zip(expected.iter().flatten()) {
                    assert!(
                        (found - expected).abs() < 1e-12,
                        "{observed:?}: {posterior:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_example_has_its_published_entropy() {
        let chain = example();
        assert!((chain.window_entropy(6) - 0.715_605).abs() < 1e-6);
        assert!((chain.window_entropy(1_000_000_000) - chain.entropy_rate()).abs() < 1e-8);
        let enumerated: f64 = windows(3, 6)
            .iter()
            .map(|window| chain.log_probability(window))
            .map(|log| -log * log.exp())
            .sum();
        assert!((enumerated / 6.0 - chain.window_entropy(6)).abs() < 1e-12);
    }

    #[test]
    fn the_posterior_is_that_of_enumeration() {
        assert_posterior_is_exact(&example());
        assert_posterior_is_exact(&chain([[0.0, 1.0, 0.0], [0.3, 0.0, 0.7], [0.5, 0.0, 0.5]]));
    }

    #[test]
    fn the_posterior_of_an_impossible_gap_is_uniform_and_of_a_long_one_finite() {
        let cycle = chain([[0.0, 1.0], [1.0, 0.0]]);
        let posterior = cycle.posterior(&[Some(0), None, Some(1), None, Some(1)]);
        assert_eq!(posterior[1], [0.5, 0.5], "no symbol is next to both");
        assert_eq!(posterior[3], [1.0, 0.0], "the other gap is untouched");
        let mut window = vec![None; 5_000];
        window[4_999] = Some(2);
        let posterior = example().posterior(&window);
        for (found, expected) in posterior[0].iter().zip(example().stationary()) {
            assert!((found - expected).abs() < 1e-9);
        }
        assert!(example().posterior(&[]).is_empty());
    }

    #[test]
    fn stationary_distributions_of_awkward_chains() {
        assert_eq!(chain([[0.0, 1.0], [1.0, 0.0]]).stationary(), [0.5, 0.5]);
        // The first state is left for ever; the other two alternate.
        let transient = chain([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]);
        assert_eq!(transient.stationary(), [0.0, 0.5, 0.5]);
        assert_eq!(transient.entropy_rate(), 0.0);
        let absorbing = chain([[1.0, 0.0], [1e-3, 1.0 - 1e-3]]);
        assert_eq!(absorbing.stationary(), [1.0, 0.0]);
        // Nearly decomposed: pi is in the ratio of the two tiny rates, to full precision.
        let slow = chain([[1.0 - 3e-14, 3e-14], [1e-14, 1.0 - 1e-14]]);
        assert!((slow.stationary()[0] - 0.25).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn stationary_distributions_stay(weights in prop::collection::vec(0.0_f64..1.0, 16)) {
            let transition: Vec<Vec<f64>> = weights
                .chunks(4)
                .map(|row| row.iter().map(|weight| (weight + 0.01) / (row.iter().sum::<f64>() + 0.04)).collect())
                .collect();
            let chain = MarkovChain::new(transition, None).unwrap();
            for state in 0..4 {
                let after: f64 = (0..4).map(|from| chain.stationary()[from] * chain.transition()[from][state]).sum();
                prop_assert!((after - chain.stationary()[state]).abs() < 1e-15);
            }
            prop_assert!(chain.entropy_rate() <= chain.window_entropy(8) + 1e-12);
            prop_assert!(chain.window_entropy(8) <= 4_f64.ln() + 1e-12);
        }
    }

    #[test]
    fn text_has_the_frequencies_of_the_chain() {
        let chain = example();
        let text = chain.sample(&mut Stream::new(1, Purpose::Source, 0, 0), 60_000);
        let mut pairs = [[0_f64; 3]; 3];
        for pair in text.windows(2) {
            pairs[pair[0] as usize][pair[1] as usize] += 1.0;
        }
        for (row, expected) in pairs.iter().zip(chain.transition()) {
            let visits: f64 = row.iter().sum();
            for (&count, &p) in row.iter().zip(expected) {
                assert!((count - visits * p).abs() < 5.0 * (visits * p * (1.0 - p)).sqrt());
            }
        }
        let nats = -chain.log_probability(&text) / text.len() as f64;
        assert!((nats - chain.entropy_rate()).abs() < 0.02);
    }

    #[test]
    fn parts_are_independent_and_a_larger_budget_extends_a_smaller() {
        let file = b"transition = [[0.5, 0.5], [0.5, 0.5]]\nsymbols = \"ba\"";
        let config = CorpusConfig::default();
        let parts = |unique| {
            let config = CorpusConfig {
                unique,
                ..config.clone()
            };
            parts(&config, "m.toml", file, 3).unwrap()
        };
        let (small, large) = (parts(Some(64)), parts(None));
        assert_eq!(large.train.len() as u64, DEFAULT_UNIQUE);
        assert_eq!(large.train.read(0..64), small.train.to_vec());
        assert_eq!(
            (&small.validation, &small.test),
            (&large.validation, &large.test)
        );
        assert_ne!(large.train.to_vec(), large.validation);
        assert_ne!(large.validation, large.test);
        assert_eq!(large.tokenizer.vocab(), ["b", "a", "[MASK]"]);
        assert!((large.floor_nats.unwrap() - 2_f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn default_symbols_are_letters() {
        let uniform = vec![vec![1.0 / 60.0; 60]; 60];
        let chain = MarkovChain::new(uniform, None).unwrap();
        assert_eq!(chain.symbols()[..3], ['a', 'b', 'c']);
        assert_eq!(chain.symbols()[51..53], ['Z', 'À']);
    }

    #[test]
    fn bad_files_say_what_is_wrong() {
        let cases = [
            ("", "transition"),
            ("transition = 3", "expected"),
            ("transition = [[1]]", "at least two rows"),
            (
                "transition = [[0.5, 0.5], [1]]",
                "row 2 of `transition` has 1 entries",
            ),
            (
                "transition = [[0.5, 0.4], [1, 0]]",
                "row 1 of `transition` sums to 0.9",
            ),
            ("transition = [[1.5, -0.5], [1, 0]]", "the entry 1.5"),
            ("transition = [[nan, 1.0], [1, 0]]", "the entry NaN"),
            (
                "transition = [[0, 1], [1, 0]]\nsymbols = \"abc\"",
                "`symbols` has 3",
            ),
            (
                "transition = [[0, 1], [1, 0]]\nsymbols = \"aa\"",
                "given twice",
            ),
            (
                "transition = [[0, 1], [1, 0]]\nsymbol = \"ab\"",
                "unknown field",
            ),
            ("transition = [[1, 0], [0, 1]]", "not unique"),
        ];
        for (file, reason) in cases {
            let error = MarkovChain::parse("m.toml", file.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), Kind::Input);
            assert!(error.to_string().starts_with("`m.toml`"), "{error}");
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(MarkovChain::parse("m.toml", b"\xFF").is_err());
        let rounded = "transition = [[0.3333333, 0.3333333, 0.3333333], [1, 0, 0], [1, 0, 0]]";
        let chain = MarkovChain::parse("m.toml", rounded.as_bytes()).unwrap();
        assert!((chain.transition()[0].iter().sum::<f64>() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn bad_budgets_are_refused() {
        let file = b"transition = [[0.5, 0.5], [0.5, 0.5]]";
        for (unique, held_out) in [
            (Some(63), None),
            (None, Some(0)),
            (Some(u64::MAX), None),
            (None, Some(u64::MAX)),
        ] {
            let config = CorpusConfig {
                unique,
                held_out,
                ..CorpusConfig::default()
            };
            assert_eq!(
                parts(&config, "m.toml", file, 1).err().unwrap().kind(),
                Kind::Input
            );
        }
    }
}
