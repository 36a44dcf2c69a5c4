//! Tales: short stories from a grammar that knows the probability of each.
//!
//! A tale is one paragraph of plain English in which somebody loses something, trades for it, catches a thief, runs
//! errands or guesses a riddle. It remembers: names keep their pronouns, things their owners, animals their food and
//! their voice, places their prepositions, sums add up, and the end answers the beginning. Often a word is settled
//! long before it is said: something hooted in the dark, and three sentences later it is the owl. So there is spelling
//! to learn first, then grammar, then memory, and what comes later tells of what came before.
//!
//! Every choice is uniform and can be read off the finished tale, so the probability of a tale is the product of the
//! probabilities of its choices, and the entropy of the source is a sum over the grammar; both are exact. The grammar
//! is data (`grammar.txt`, read into a tree), and telling, reading and measuring are walks over the same tree.
//!
//! Changing the grammar, even the order of its lines, changes the tales of every seed, and with them every run that is
//! trained on tales.

mod grammar;
mod measure;
mod questions;
mod read;

use std::ops::Range;

use crate::error::{Error, Result};
use crate::random::Stream;
use grammar::{Grammar, Part};
use measure::Measure;
use read::Reader;

/// Characters that an error quotes of what comes before it.
const QUOTED: usize = 24;

/// The source of tales.
///
/// ```
/// use crossover::corpus::Tales;
/// use crossover::random::{Purpose, Stream};
///
/// let tales = Tales::new();
/// let story = tales.story(&mut Stream::new(1, Purpose::Source, 0, 0));
/// let surprise = -tales.log_probability(&story)?;
/// println!("{story} ({surprise:.1} nats; {:.1} are expected)", tales.entropy_nats());
/// # Ok::<(), crossover::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Tales {
    grammar: Grammar,
    measure: Measure,
    alphabet: Vec<char>,
}

impl Default for Tales {
    fn default() -> Self {
        Self::new()
    }
}

impl Tales {
    /// The tales of Crossover's own grammar.
    pub fn new() -> Self {
        Self::parse(include_str!("grammar.txt"))
            .expect("the grammar is part of the program, and tests read it")
    }

    /// The tales of another grammar.
    fn parse(text: &str) -> Result<Self> {
        let grammar = Grammar::parse(text)?;
        Ok(Self {
            measure: Measure::of(&grammar)?,
            alphabet: grammar.alphabet(),
            grammar,
        })
    }

    /// Draws a story: one paragraph without an end-of-text token. Independent of those drawn before.
    pub fn story(&self, stream: &mut Stream) -> String {
        self.told(stream).text
    }

    fn told<'a, 's>(&'a self, stream: &'s mut Stream) -> Teller<'a, 's> {
        let mut teller = Teller {
            grammar: &self.grammar,
            stream,
            drawn: vec![None; self.grammar.roles.len()],
            text: String::new(),
            remembered: Vec::new(),
        };
        teller.tell(&self.grammar.story);
        teller
    }

    /// Exact log-probability of a whole story, in nats.
    ///
    /// # Errors
    /// An input error when the text is no story: it has probability 0. The error says up to where some story begins so.
    pub fn log_probability(&self, story: &str) -> Result<f64> {
        let mut reader = Reader::new(&self.grammar, story);
        let probability = reader.probability();
        if probability > 0.0 {
            return Ok(libm::log(probability));
        }
        Err(not_understood(story, reader.understood))
    }

    /// Exact log-probability, in nats, that a window of the endless text is this one; negative infinity where it can't
    /// be any. `pieces` is what stands between the ends of stories: a window of n ends has n + 1 pieces, and the first
    /// and the last may be empty. The endless text is that of [`Tales::floor_nats_per_character`], each character and
    /// each end being a token, and a window may begin at any of them.
    ///
    /// With E the expected length of a story, a window begins at a given character of one with probability 1 / (E + 1).
    /// So a window without an end has the expected number of times that a story says it, over E + 1. In one with ends,
    /// the first piece ends a story, the last begins one, and those between are whole.
    pub fn window_log_probability(&self, pieces: &[&str]) -> f64 {
        let Some((first, others)) = pieces.split_first() else {
            return 0.0;
        };
        let occurrences = match (first.is_empty(), others) {
            (_, []) => Reader::of_beginning(&self.grammar, first).occurrences(),
            (true, _) => 1.0,
            (false, _) => Reader::new(&self.grammar, first).occurrences(),
        };
        let whole = |piece: &&str| libm::log(Reader::new(&self.grammar, piece).probability());
        let mut total = libm::log(occurrences / (self.mean_characters() + 1.0));
        if let Some((last, between)) = others.split_last() {
            total += between.iter().map(whole).sum::<f64>();
            total += libm::log(Reader::of_beginning(&self.grammar, last).probability());
        }
        total
    }

    /// Exact entropy of a story in nats: the expectation of `-log_probability`.
    pub fn entropy_nats(&self) -> f64 {
        self.measure.entropy
    }

    /// Exact expected number of characters in a story, without the end-of-text token.
    pub fn mean_characters(&self) -> f64 {
        self.measure.characters
    }

    /// Entropy rate in nats per token of endless independent stories, each followed by one end-of-text token, when a
    /// token is a character: `H / (E[characters] + 1)`.
    ///
    /// This is the expected loss of a perfect model that reads the stream from its beginning, and a lower bound for one
    /// that sees only a window: cut in the middle of a story, a window doesn't tell what was said before it. For the
    /// tokens of another tokenizer the entropy of a story is the same and the count of tokens another.
    pub fn floor_nats_per_character(&self) -> f64 {
        self.entropy_nats() / (self.mean_characters() + 1.0)
    }

    /// Every character that some story holds, in code-point order: fixed by the grammar, not by a sample.
    pub fn alphabet(&self) -> &[char] {
        &self.alphabet
    }
}

/// Writes one story.
struct Teller<'a, 's> {
    grammar: &'a Grammar,
    stream: &'s mut Stream,
    /// The row of each role, once it was mentioned.
    drawn: Vec<Option<usize>>,
    text: String,
    /// The mentions of words that were drawn before.
    remembered: Vec<Mention<'a>>,
}

/// A word in a story.
struct Mention<'a> {
    /// Bytes of the story.
    at: Range<usize>,
    /// What could be said there, for each row of the word's table.
    forms: &'a [String],
}

impl<'a> Teller<'a, '_> {
    fn tell(&mut self, parts: &'a [Part]) {
        for part in parts {
            match part {
                Part::Text(text) => self.text.push_str(text),
                Part::OneOf(arms) => {
                    let arm = self.stream.below(arms.len() as u64);
                    self.tell(&arms[arm as usize]);
                }
                Part::Word { role, forms, .. } => {
                    let start = self.text.len();
                    let earlier = self.drawn[*role];
                    let row = earlier.unwrap_or_else(|| self.draw(*role));
                    self.drawn[*role] = Some(row);
                    self.text.push_str(&forms[row]);
                    if earlier.is_some() {
                        let at = start..self.text.len();
                        self.remembered.push(Mention { at, forms });
                    }
                }
            }
        }
    }

    /// A row for a role, uniformly among those that play no role yet.
    fn draw(&mut self, role: usize) -> usize {
        let roles = &self.grammar.roles;
        let table = roles[role].table;
        let mut left: Vec<usize> = (0..self.grammar.tables[table].rows.len()).collect();
        let others = roles.iter().zip(&self.drawn);
        let taken: Vec<usize> = others
            .filter(|(other, _)| other.table == table)
            .filter_map(|(_, row)| *row)
            .collect();
        left.retain(|row| !taken.contains(row));
        left[self.stream.below(left.len() as u64) as usize]
    }
}

/// Says where a text stops being a tale.
fn not_understood(text: &str, understood: usize) -> Error {
    // The grammar's own text may share only the first byte of a longer character.
    let understood = (0..=understood).rev().find(|&at| text.is_char_boundary(at));
    let (before, after) = text.split_at(understood.unwrap_or(0));
    let known = before.chars().count();
    let quoted: String = before.chars().skip(known.saturating_sub(QUOTED)).collect();
    let ellipsis = if known > QUOTED { "…" } else { "" };
    let after_what = match known {
        0 => String::new(),
        _ => format!(", after `{ellipsis}{quoted}`,"),
    };
    Error::input(match after.chars().next() {
        Some(next) => {
            let number = known + 1;
            format!("the text is no tale: character {number}{after_what} can't be {next:?}")
        }
        None => format!(
            "the text is no tale: it ends too early{}",
            after_what.trim_end_matches(',')
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::random::Purpose;
    use std::collections::{BTreeMap, BTreeSet};

    fn stream(seed: u64) -> Stream {
        Stream::new(seed, Purpose::Source, 0, 0)
    }

    /// Everything a grammar can tell, with its probability; what can be told in two ways is there twice.
    fn all(grammar: &Grammar) -> Vec<(String, f64)> {
        struct Branch<'a> {
            /// In reverse.
            todo: Vec<&'a Part>,
            rows: Vec<Option<usize>>,
            text: String,
            probability: f64,
        }
        let mut told = Vec::new();
        let mut open = vec![Branch {
            todo: grammar.story.iter().rev().collect(),
            rows: vec![None; grammar.roles.len()],
            text: String::new(),
            probability: 1.0,
        }];
        while let Some(Branch {
            mut todo,
            rows,
            text,
            probability,
        }) = open.pop()
        {
            match todo.pop() {
                None => told.push((text, probability)),
                Some(Part::Text(more)) => open.push(Branch {
                    todo,
                    rows,
                    text: text + more,
                    probability,
                }),
                Some(Part::OneOf(arms)) => open.extend(arms.iter().map(|arm| Branch {
                    todo: todo.iter().copied().chain(arm.iter().rev()).collect(),
                    rows: rows.clone(),
                    text: text.clone(),
                    probability: probability / arms.len() as f64,
                })),
                Some(Part::Word { role, forms, .. }) => {
                    let table = grammar.roles[*role].table;
                    let taken = |row: &usize| {
                        let mut roles = grammar.roles.iter().zip(&rows);
                        roles.any(|(other, drawn)| other.table == table && *drawn == Some(*row))
                    };
                    let choices: Vec<usize> = match rows[*role] {
                        Some(row) => vec![row],
                        None => (0..forms.len()).filter(|row| !taken(row)).collect(),
                    };
                    for &row in &choices {
                        let mut rows = rows.clone();
                        rows[*role] = Some(row);
                        open.push(Branch {
                            todo: todo.clone(),
                            rows,
                            text: text.clone() + &forms[row],
                            probability: probability / choices.len() as f64,
                        });
                    }
                }
            }
        }
        told
    }

    /// The grammar with few words and most choices made, those left open by chance.
    fn thinned(mut grammar: Grammar, stream: &mut Stream) -> Grammar {
        let tables = grammar.tables.len();
        let mut kept = Vec::new();
        for table in 0..tables {
            let roles = grammar.roles.iter().filter(|role| role.table == table);
            let count = roles.count().max(1);
            let rows = &mut grammar.tables[table].rows;
            let first = stream.below((rows.len() - count + 1) as u64) as usize;
            kept.push(first..first + count);
            *rows = rows[kept[table].clone()].to_vec();
        }
        let of_role = |role: usize| kept[grammar.roles[role].table].clone();
        grammar.story = thinned_parts(&grammar.story, &of_role, stream);
        grammar
    }

    fn thinned_parts(
        parts: &[Part],
        kept: &dyn Fn(usize) -> Range<usize>,
        stream: &mut Stream,
    ) -> Vec<Part> {
        let thin = |part: &Part| match part {
            Part::Text(_) => part.clone(),
            Part::Word {
                role,
                column,
                forms,
            } => Part::Word {
                role: *role,
                column: *column,
                forms: forms[kept(*role)].to_vec(),
            },
            Part::OneOf(arms) => {
                let open = if stream.below(3) == 0 { 2 } else { 1 };
                let chosen = stream.choose(arms.len(), open);
                let arms = chosen
                    .into_iter()
                    .map(|arm| thinned_parts(&arms[arm], kept, stream));
                Part::OneOf(arms.collect())
            }
        };
        parts.iter().map(thin).collect()
    }

    #[test]
    fn a_seed_tells_the_same_tale_on_every_machine() {
        let story = Tales::new().story(&mut stream(GOLDEN_SEED));
        assert_eq!(
            story, GOLDEN,
            "a changed grammar changes every run on tales"
        );
    }

    const GOLDEN_SEED: u64 = 13;
    const GOLDEN: &str = "Of all his things, Walter loved his striped rattle best. It was a rainy evening, just right \
        to shake it, but where was it? \"Have you seen my rattle?\" Walter asked Anton. \"I lose everything behind the \
        bakery,\" said Anton. They found nothing behind the bakery, but a hen clucked, \"Something striped lies in the \
        barn.\" The hen was right. The rattle lay beside a bucket. Anton wanted to shake it too, so they took turns \
        until the rain stopped.";

    #[test]
    fn every_tale_can_be_read_in_exactly_one_way() {
        let tales = Tales::new();
        let mut stream = stream(2);
        for _ in 0..2_000 {
            let story = tales.story(&mut stream);
            let mut reader = Reader::new(&tales.grammar, &story);
            assert!(reader.probability() > 0.0, "{story}");
            assert_eq!(reader.derivations, 1, "{story}");
        }
    }

    /// A small grammar in which a beginning leaves much open: who it is about, and which of two they are.
    const SMALL: &str = "
words thing: name, colour
  cap, red
  cup, red
  cot, blue
roles a, b: thing
rule story:
  - {a.colour} {b}, {a}.
  - No, the {b.colour} {a} (or|and) {b}.
";

    #[test]
    fn a_window_is_as_likely_as_the_stories_make_it() {
        for grammar in [
            Grammar::parse(SMALL).unwrap(),
            thinned(Tales::new().grammar, &mut stream(5)),
        ] {
            let tales = Tales {
                measure: Measure::of(&grammar).unwrap(),
                alphabet: grammar.alphabet(),
                grammar,
            };
            let all = all(&tales.grammar);
            let per_character = 1.0 / (tales.mean_characters() + 1.0);
            let suffixes = |text: &'_ str, of: &dyn Fn(&str) -> bool| {
                let starts = text.char_indices().map(|(at, _)| &text[at..]);
                starts.filter(|suffix| of(suffix)).count() as f64
            };
            let expected = |of: &dyn Fn(&str) -> bool| {
                let stories = all.iter();
                stories
                    .map(|(text, probability)| probability * suffixes(text, of))
                    .sum::<f64>()
            };
            let begins = |piece: &str| {
                let stories = all.iter().filter(|(text, _)| text.starts_with(piece));
                stories.map(|(_, probability)| probability).sum::<f64>()
            };
            let (story, probability) = &all[all.len() / 2];
            for (length, at) in [(1, 0), (1, 3), (3, 1), (5, 4), (9, 2), (14, 0)] {
                let piece = &story[at..at + length];
                let near = |pieces: &[&str], probability: f64| {
                    let found = tales.window_log_probability(pieces).exp();
                    assert!(
                        (found / (probability * per_character) - 1.0).abs() < 1e-9,
                        "{pieces:?}: {found}"
                    );
                };
                near(&[piece], expected(&|suffix| suffix.starts_with(piece)));
                let end = &story[story.len() - length..];
                let ends = expected(&|suffix| suffix == end);
                near(&[end, ""], ends);
                near(&[end, &story[..length]], ends * begins(&story[..length]));
                near(
                    &["", story, &story[..length]],
                    probability * begins(&story[..length]),
                );
            }
            assert_eq!(tales.window_log_probability(&["?!", ""]), f64::NEG_INFINITY);
        }
    }

    #[test]
    fn the_windows_of_the_endless_text_are_all_there_are() {
        let tales = Tales::new();
        let mut stream = stream(6);
        let story = tales.story(&mut stream);
        for length in [0, 1, 7, 30, 64] {
            let before = &story[20..20 + length];
            let longer: f64 = tales
                .alphabet()
                .iter()
                .map(|character| format!("{before}{character}"))
                .map(|window| tales.window_log_probability(&[&window]).exp())
                .sum();
            let ended = tales.window_log_probability(&[before, ""]).exp();
            let all = match length {
                0 => 1.0,
                _ => tales.window_log_probability(&[before]).exp(),
            };
            assert!(
                ((longer + ended) / all - 1.0).abs() < 1e-9,
                "{before:?}: {longer} and {ended} of {all}"
            );
        }
    }

    #[test]
    fn entropy_and_length_are_those_of_many_tales() {
        let tales = Tales::new();
        let mut stream = stream(3);
        let count = 4_000;
        let (mut nats, mut characters) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let story = tales.story(&mut stream);
            nats.push(-tales.log_probability(&story).unwrap());
            characters.push(story.chars().count() as f64);
        }
        for (drawn, stated) in [
            (nats, tales.entropy_nats()),
            (characters, tales.mean_characters()),
        ] {
            let mean = drawn.iter().sum::<f64>() / f64::from(count);
            let squares = drawn
                .iter()
                .map(|value| (value - mean).powi(2))
                .sum::<f64>();
            let standard_error = squares.sqrt() / f64::from(count);
            assert!(
                (mean - stated).abs() < 3.0 * standard_error,
                "{mean} ± {standard_error}, stated {stated}"
            );
        }
    }

    #[test]
    fn a_grammar_with_few_choices_is_measured_as_enumeration_measures_it() {
        let mut told = 0;
        for seed in 0..20 {
            let grammar = thinned(Tales::new().grammar, &mut stream(seed));
            let measure = Measure::of(&grammar).unwrap();
            let all = all(&grammar);
            told += all.len();
            let total: f64 = all.iter().map(|(_, probability)| probability).sum();
            assert!((total - 1.0).abs() < 1e-12, "{total}");
            let entropy: f64 = all
                .iter()
                .map(|(_, probability)| -probability * probability.ln())
                .sum();
            assert!((measure.entropy - entropy).abs() < 1e-9);
            let length =
                |(text, probability): &(String, f64)| text.chars().count() as f64 * probability;
            assert!((measure.characters - all.iter().map(length).sum::<f64>()).abs() < 1e-9);
            for (text, probability) in all.iter().step_by(97) {
                let read = Reader::new(&grammar, text).probability();
                assert!((read / probability - 1.0).abs() < 1e-12, "{text}");
            }
            let distinct: BTreeSet<&str> = all.iter().map(|(text, _)| text.as_str()).collect();
            assert_eq!(distinct.len(), all.len(), "two ways to tell one tale");
        }
        assert!(told > 10_000, "{told}");
    }

    const PETS: &str = "
# Words that begin alike, forms that are shared, a role known by two forms together.
words pet: name, she, sound
  An, she, mew
  Ann, she, bark
  Bo, he, mew
roles pet, rival: pet
words mood: mood
  glad
  gladly
rule story:
  - <who> heard {rival}.
  - {Pet.she}, {pet.sound}! So {rival.she} said {pet.sound} (and {rival}|and {rival} too)(| [mood]).
rule who:
  - {pet}
  - {pet} ([mood]|so
    and so)
";

    #[test]
    fn probabilities_of_all_texts_sum_to_one_and_are_those_read() {
        let tales = Tales::parse(PETS).unwrap();
        let all = all(&tales.grammar);
        let texts: BTreeMap<&str, f64> =
            all.iter()
                .fold(BTreeMap::new(), |mut texts, (text, probability)| {
                    *texts.entry(text.as_str()).or_default() += probability;
                    texts
                });
        let mut total = 0.0;
        for (&text, probability) in &texts {
            let read = tales.log_probability(text).unwrap().exp();
            assert!((read - probability).abs() < 1e-15, "{text}");
            total += read;
        }
        assert_eq!((texts.len(), all.len()), (60, 60));
        assert!((total - 1.0).abs() < 1e-12);
        let entropy: f64 = texts
            .values()
            .map(|probability| -probability * probability.ln())
            .sum();
        assert!((tales.entropy_nats() - entropy).abs() < 1e-12);
        let characters: f64 = texts
            .iter()
            .map(|(text, probability)| text.len() as f64 * probability)
            .sum();
        assert!((tales.mean_characters() - characters).abs() < 1e-12);
    }

    #[test]
    fn a_text_that_can_be_told_in_two_ways_has_the_sum_of_both() {
        let tales = Tales::parse("rule story:\n - a(b|bc)\n - (ab|a)c\n").unwrap();
        let read = |text| tales.log_probability(text).unwrap().exp();
        assert!((read("ab") - 0.25).abs() < 1e-15);
        assert!((read("abc") - 0.5).abs() < 1e-15);
        assert!((read("ac") - 0.25).abs() < 1e-15);
    }

    #[test]
    fn a_tale_that_forgets_is_refused() {
        let tales = Tales::new();
        let told = tales.log_probability(GOLDEN).unwrap();
        for (said, instead) in FORGOTTEN {
            let changed = GOLDEN.replacen(said, instead, 1);
            assert_ne!(changed, GOLDEN, "{said}");
            let error = tales.log_probability(&changed).unwrap_err();
            assert_eq!(error.kind(), Kind::Input, "{changed}");
        }
        for (said, instead) in RETOLD {
            let changed = GOLDEN.replace(said, instead);
            assert_ne!(changed, GOLDEN, "{said}");
            let retold = tales.log_probability(&changed).unwrap();
            assert!((retold - told).abs() < 1e-12, "{changed}");
        }
    }

    /// One word that another one rules out.
    const FORGOTTEN: [(&str, &str); 16] = [
        ("Of all his things", "Of all her things"),
        ("Walter loved", "Wanda loved"),
        ("my rattle", "my lantern"),
        ("to shake it, but", "to swing it, but"),
        ("Walter asked", "Anton asked"),
        ("asked Anton", "asked Walter"),
        ("nothing behind the bakery", "nothing by the bakery"),
        ("nothing behind the bakery", "nothing behind the barn"),
        ("a hen", "an hen"),
        ("hen clucked", "hen barked"),
        ("Something striped", "Something spotted"),
        ("lies in the barn", "lies at the barn"),
        ("The hen was", "The cat was"),
        ("The rattle lay", "The whistle lay"),
        ("Anton wanted", "Ada wanted"),
        ("the rain stopped", "the snow melted"),
    ];

    /// Another choice wherever the first one was said: as probable as the tale itself.
    const RETOLD: [(&str, &str); 5] = [
        ("Anton", "Ada"),
        ("a bucket", "a basket"),
        ("striped", "spotted"),
        ("in the barn", "at the mill"),
        ("evening", "morning"),
    ];

    #[test]
    fn nobody_is_replaced_half_way() {
        let tales = Tales::new();
        let names: Vec<&str> = tales.grammar.tables[0]
            .rows
            .iter()
            .map(|row| row[0].as_str())
            .collect();
        let mut stream = stream(5);
        let mut replaced = 0;
        for _ in 0..300 {
            let story = tales.story(&mut stream);
            for &name in &names {
                let found: Vec<usize> = story.match_indices(name).map(|(at, _)| at).collect();
                let stranger = names[stream.below(names.len() as u64) as usize];
                if found.len() < 2 || story.contains(stranger) {
                    continue;
                }
                let at = found[stream.below(found.len() as u64) as usize];
                let changed = format!("{}{stranger}{}", &story[..at], &story[at + name.len()..]);
                assert!(tales.log_probability(&changed).is_err(), "{changed}");
                replaced += 1;
            }
        }
        assert!(replaced > 300);
    }

    #[test]
    fn an_error_says_how_far_a_text_was_understood() {
        let tales = Tales::new();
        let too_long = format!("{GOLDEN} And");
        let cases = [
            ("", "it ends too early"),
            ("Call me Ishmael.", "character 1 can't be 'C'"),
            (
                "Once a shy bear",
                "character 13, after `Once a shy b`, can't be 'e'",
            ),
            ("\"What a fine", "it ends too early, after `\"What a fine`"),
            (
                "\"What a fíne",
                "character 10, after `\"What a f`, can't be 'í'",
            ),
            (
                "Once a shy\ngirl",
                "character 11, after `Once a shy`, can't be '\\n'",
            ),
            (
                "\"Have you seen my kite?\" Mia asked Mia.",
                "character 37, after `…en my kite?\" Mia asked M`, can't be 'i'",
            ),
            (
                &too_long,
                "character 440, after `… until the rain stopped.`, can't be ' '",
            ),
        ];
        for (text, reason) in cases {
            let error = tales.log_probability(text).unwrap_err();
            assert_eq!(error.to_string(), format!("the text is no tale: {reason}"));
            assert_eq!(error.kind(), Kind::Input);
        }
    }

    #[test]
    fn the_alphabet_is_small_and_all_of_it_is_used() {
        let tales = Tales::new();
        let mut stream = stream(6);
        let told: String = (0..3_000).map(|_| tales.story(&mut stream)).collect();
        let used: BTreeSet<char> = told.chars().collect();
        assert_eq!(used.into_iter().collect::<String>(), ALPHABET);
        assert_eq!(tales.alphabet().iter().collect::<String>(), ALPHABET);
    }

    const ALPHABET: &str = " !\"',.?ABDFHILMNOSTWYabcdefghijklmnopqrstuvwxyz";

    #[test]
    fn tales_are_short_and_never_the_same() {
        let tales = Tales::new();
        let mut stream = stream(7);
        let stories: Vec<String> = (0..5_000).map(|_| tales.story(&mut stream)).collect();
        assert!(
            stories
                .iter()
                .all(|story| (200..600).contains(&story.len()))
        );
        let distinct: BTreeSet<&String> = stories.iter().collect();
        assert_eq!(distinct.len(), stories.len());
        let doubled = ["  ", " .", " ,", "..", "{", "<", "(", "["];
        for story in &stories {
            assert!(
                doubled.iter().all(|wrong| !story.contains(wrong)),
                "{story}"
            );
            assert!(story.ends_with(['.', '!', '"']), "{story}");
        }
    }
}
