//! What answers to questions promise: likelihoods that full enumeration finds too, choices that follow from them, and
//! questions about tales that who knows the grammar can answer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod table;

use std::ops::Range;

use burn::tensor::Device;
use crossover::corpus::{Alphabet, Gap, MultipleChoice, Tales, Task, Tokenizer};
use crossover::error::{Kind, Result};
use crossover::evaluate::{Answer, AnswerNats, answer_nats};
use crossover::lab::tasks::{Answered, Examiner, Filled, Preference, Score};
use crossover::model::{Decoder, ModelConfig, Predictor, Visibility, Weights};
use crossover::objective::{Bound, Factorization};
use pollster::block_on;

use table::*;

const LEFT_TO_RIGHT: Factorization = Factorization::LeftToRight;

fn answer(tokens: &[u32], range: Range<usize>) -> Answer {
    Answer {
        tokens: tokens.to_vec(),
        range,
        number: 0,
    }
}

fn scored<P: Predictor>(
    model: &P,
    factorization: Factorization,
    answer: &Answer,
    samples: usize,
    seed: u64,
) -> AnswerNats {
    let one = std::slice::from_ref(answer);
    block_on(answer_nats(model, factorization, one, samples, seed)).unwrap()[0]
}

/// The bound of some positions in nats, everything behind `end` hidden and everything else given: `m / l` times the
/// masked sum, l uniform on 1..=m.
fn bound(table: &Table, x: &[u32], part: Range<usize>, end: usize) -> f64 {
    let m = part.len();
    let hidden_behind = (end..x.len()).fold(0, |mask, position| mask | 1 << position);
    (1..1_usize << m)
        .map(|inside| {
            let mask = inside << part.start;
            let sum: f64 = bits(mask, x.len())
                .map(|position| table.cross_entropy(x, mask | hidden_behind, position))
                .sum();
            let l = inside.count_ones() as usize;
            sum * m as f64 / l as f64 / (m as f64 * binomial(m, l))
        })
        .sum()
}

#[test]
fn left_to_right_an_answer_has_the_sum_of_its_tokens() {
    let table = Table::random(5, 2);
    let x = [0, 2, 1, 1, 0];
    for (start, end) in [(0, 5), (2, 5), (4, 5), (1, 3)] {
        let expected: f64 = (start..end)
            .map(|position| {
                let later = (position..5).fold(0, |mask, later| mask | 1 << later);
                table.cross_entropy(&x, later, position)
            })
            .sum();
        let found = scored(&table, LEFT_TO_RIGHT, &answer(&x, start..end), 2, 0);
        assert_near(found.nats, expected, 1e-12);
        assert_eq!(found.se, 0.0);
    }
}

#[test]
fn a_decoder_s_answers_are_its_own_log_probabilities_whoever_is_asked_beside_them() {
    let config = ModelConfig {
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        initializer_range: 0.3,
        ..ModelConfig::default()
    };
    let shape = config.resolve(6).unwrap();
    let weights = Weights::initial(&shape, config.initializer_range, 3);
    let decoder = Decoder::new(&config, &shape, &weights, &Device::flex()).unwrap();
    let answers = [
        answer(&[0, 1, 2, 3, 4, 0, 1], 5..7),
        answer(&[4, 4], 0..2),
        answer(&[3, 1, 2, 0, 4, 2, 1], 2..7),
        answer(&[2], 0..1),
    ];
    let together = block_on(answer_nats(&decoder, LEFT_TO_RIGHT, &answers, 2, 0)).unwrap();
    for (answer, found) in answers.iter().zip(together) {
        let (length, range) = (answer.tokens.len(), answer.range.clone());
        let inputs = [&[5], &answer.tokens[..length - 1]].concat();
        let logs = decoder.log_probabilities(&inputs, length, Visibility::Causal);
        let logs = block_on(logs).unwrap();
        let expected: f64 = range
            .map(|at| -f64::from(logs[at * 5 + answer.tokens[at] as usize]))
            .sum();
        assert_near(found.nats, expected, 1e-5);
        for factorization in [LEFT_TO_RIGHT, Factorization::Blocks { size: 3 }] {
            let alone = scored(&decoder, factorization, answer, 8, 0);
            let beside = block_on(answer_nats(&decoder, factorization, &answers, 8, 0));
            let place = answers.iter().position(|other| other == answer).unwrap();
            assert_near(beside.unwrap()[place].nats, alone.nats, 1e-5);
        }
    }
}

#[test]
fn with_as_many_samples_as_masks_the_bound_of_an_answer_is_exact() {
    let table = Table::random(5, 3);
    let masked = Factorization::Blocks { size: 5 };
    for x in [[0, 2, 1, 1, 0], [2, 2, 0, 1, 1]] {
        for (start, end) in [(0, 5), (2, 5), (4, 5), (1, 3)] {
            let exact = bound(&table, &x, start..end, 5);
            let masks = (1 << (end - start)) - 1;
            let found = scored(&table, masked, &answer(&x, start..end), masks.max(2), 0);
            assert_near(found.nats, exact, 1e-12);
            assert_eq!(found.se, 0.0);
        }
        assert_near(table.bound(&x), bound(&table, &x, 0..5, 5), 1e-12);
    }
}

#[test]
fn an_answer_in_several_blocks_has_the_sum_of_their_bounds() {
    let x = [0, 2, 1, 1, 0];
    let table = Table::random(5, 4);
    let blocks = Factorization::Blocks { size: 2 };
    // Blocks 0..2, 2..4 and 4..5: the text ends inside the last.
    for (range, parts) in [
        (3..5, vec![(3..4, 4), (4..5, 5)]),
        (1..4, vec![(1..2, 2), (2..4, 4)]),
        (0..5, vec![(0..2, 2), (2..4, 4), (4..5, 5)]),
        (2..3, vec![(2..3, 4)]),
    ] {
        let exact: f64 = parts
            .into_iter()
            .map(|(part, end)| bound(&table, &x, part, end))
            .sum();
        let found = scored(&table, blocks, &answer(&x, range), 3, 0);
        assert_near(found.nats, exact, 1e-12);
        assert_eq!(found.se, 0.0);
    }
    let wide = Factorization::Blocks { size: 3 };
    let exact = bound(&table, &x, 1..3, 3) + bound(&table, &x, 3..5, 5);
    let draws = (0..400).map(|seed| scored(&table, wide, &answer(&x, 1..5), 2, seed).nats);
    assert_mean(&draws.collect::<Vec<f64>>(), exact);
}

#[test]
fn fewer_samples_are_unbiased_and_know_their_error() {
    let table = Table::random(5, 5);
    let x = [1, 0, 2, 2, 1];
    let exact = bound(&table, &x, 1..5, 5);
    let masked = Factorization::Blocks { size: 5 };
    for samples in [2, 6, 14] {
        let draws: Vec<AnswerNats> = (0..600)
            .map(|seed| scored(&table, masked, &answer(&x, 1..5), samples, seed))
            .collect();
        let nats: Vec<f64> = draws.iter().map(|draw| draw.nats).collect();
        assert_mean(&nats, exact);
        let squares: f64 = nats.iter().map(|nats| (nats - exact).powi(2)).sum();
        let actual = (squares / nats.len() as f64).sqrt();
        let told: f64 = draws.iter().map(|draw| draw.se.powi(2)).sum();
        let told = (told / nats.len() as f64).sqrt();
        assert!(
            (0.8..1.6).contains(&(told / actual)),
            "{samples} samples are off by {actual} and say {told}"
        );
        if samples > 2 {
            let near = draws
                .iter()
                .filter(|draw| (draw.nats - exact).abs() < 3.0 * draw.se);
            assert!(near.count() > 570);
        }
    }
}

#[test]
fn answers_that_can_t_be_scored_are_refused() {
    let table = Table::random(3, 1);
    let told = |answer: Answer, samples| {
        let error =
            block_on(answer_nats(&table, LEFT_TO_RIGHT, &[answer], samples, 0)).unwrap_err();
        assert_eq!(error.kind(), Kind::Input);
        error.to_string()
    };
    let x = [0, 1, 2];
    assert!(told(answer(&x, 1..2), 1).contains("samples is 1"));
    assert!(told(answer(&x, 1..1), 2).contains("1..1 is no part"));
    assert!(told(answer(&x, 1..4), 2).contains("1..4 is no part of a text of 3 tokens"));
    assert!(told(answer(&[0, MASK, 1], 1..2), 2).contains("can't predict"));
}

/// After `a` comes `b`, then `c`, then `a`, mostly; what stands behind a position it doesn't use, and behind nothing it
/// knows nothing. It reads no more than its window.
struct Cycle {
    length: usize,
}

const MOSTLY: f64 = 0.8;

impl Cycle {
    fn row(before: Option<u32>) -> [f64; TOKENS] {
        match before {
            Some(before) if before < MASK => {
                let mut row = [0.1; TOKENS];
                row[(before as usize + 1) % TOKENS] = MOSTLY;
                row
            }
            _ => [1.0 / TOKENS as f64; TOKENS],
        }
    }

    fn rows(&self, inputs: &[u32], length: usize, visibility: Visibility) -> Vec<[f64; TOKENS]> {
        assert!(length <= self.length, "{length} tokens were read at once");
        let texts = inputs.chunks_exact(visibility.copies() * length);
        texts
            .flat_map(|text| {
                (0..length).map(move |at| {
                    Self::row(match visibility {
                        Visibility::Causal => Some(text[at]),
                        Visibility::GapsAndWhole { size } if at % size == 0 => {
                            at.checked_sub(1).map(|before| text[length + before])
                        }
                        _ => at.checked_sub(1).map(|before| text[before]),
                    })
                })
            })
            .collect()
    }
}

impl Predictor for Cycle {
    fn vocab_size(&self) -> usize {
        TOKENS + 1
    }

    async fn nats(
        &self,
        inputs: &[u32],
        targets: &[u32],
        length: usize,
        visibility: Visibility,
    ) -> Result<Vec<f64>> {
        let rows = self.rows(inputs, length, visibility);
        let pairs = rows.iter().zip(targets);
        Ok(pairs
            .map(|(row, &target)| -row[target as usize].ln())
            .collect())
    }

    async fn log_probabilities(
        &self,
        inputs: &[u32],
        length: usize,
        visibility: Visibility,
    ) -> Result<Vec<f32>> {
        let rows = self.rows(inputs, length, visibility);
        Ok(rows.iter().flatten().map(|p| p.ln() as f32).collect())
    }
}

fn letters() -> Tokenizer {
    Tokenizer::symbols(Alphabet::new("abc".chars()).unwrap())
}

fn choice(context: &str, choices: &[&str], label: usize) -> MultipleChoice {
    MultipleChoice {
        line: 7,
        context: context.to_owned(),
        delimiter: "",
        choices: choices.iter().map(|choice| (*choice).to_owned()).collect(),
        label,
    }
}

fn gap(prefix: &str, middle: &str, suffix: &str) -> Gap {
    Gap {
        line: 3,
        prefix: prefix.to_owned(),
        middle: middle.to_owned(),
        suffix: suffix.to_owned(),
    }
}

fn examined(
    task: &Task,
    factorization: Factorization,
    length: usize,
) -> Result<(Vec<Answered>, Score)> {
    let model = Cycle { length };
    let tokenizer = letters();
    let examiner = Examiner {
        model: &model,
        tokenizer: &tokenizer,
        factorization,
        length,
        samples: 15,
        seed: 1,
    };
    let mut answered = Vec::new();
    let score = block_on(examiner.examine(task, |one| answered.push(one.clone())))?;
    Ok((answered, score))
}

fn preference(answered: &Answered) -> &Preference {
    match answered {
        Answered::Choice(preference) => preference,
        Answered::Gap(_) => panic!("a choice was asked for"),
    }
}

fn filled(answered: &Answered) -> &Filled {
    match answered {
        Answered::Gap(filled) => filled,
        Answered::Choice(_) => panic!("a gap was to be filled"),
    }
}

#[test]
fn the_likeliest_answer_is_chosen_by_sum_and_by_length() {
    let task = Task::Choices(vec![
        choice("abcab", &["a", "c"], 1),
        // Improbable but short against probable and long.
        choice("a", &["bcabcabcabca", "a"], 0),
        choice("b", &["a", "c", "b", "b"], 0),
    ]);
    let (answered, score) = examined(&task, LEFT_TO_RIGHT, 13).unwrap();
    let first = preference(&answered[0]);
    assert_eq!((first.line, first.label, first.chosen), (7, 1, 1));
    assert_near(first.choices[1].nats, -MOSTLY.ln(), 1e-12);
    assert_near(first.choices[1].probability, 8.0 / 9.0, 1e-12);
    assert_near(first.choices[0].probability, 1.0 / 9.0, 1e-12);
    let second = preference(&answered[1]);
    assert_eq!(
        [second.chosen, second.chosen_norm, second.chosen_bytes],
        [1, 0, 0]
    );
    assert_eq!(second.choices[0].tokens, 12);
    assert_eq!(preference(&answered[2]).chosen, 1);
    assert_eq!((score.questions, score.cut, score.tokens), (3, 0, 14));
    assert_near(score.acc.mean, 1.0 / 3.0, 1e-12);
    assert_near(score.acc_norm.unwrap().mean, 2.0 / 3.0, 1e-12);
    assert_near(score.acc_bytes.unwrap().mean, 2.0 / 3.0, 1e-12);
    assert!(score.acc.se > 0.0 && score.se.unwrap() > 0.0);
    assert_near(score.chance.unwrap(), (0.5 + 0.5 + 0.25) / 3.0, 1e-12);
    let right = -13.0 * MOSTLY.ln() - 0.1_f64.ln();
    assert_near(score.nats, right / 14.0, 1e-12);
    assert_eq!(score.bound, Bound::Exact);
}

#[test]
fn a_masked_model_sees_the_question_while_it_is_asked_for_the_answer() {
    let task = Task::Choices(vec![choice("abcab", &["ca", "ab"], 0)]);
    for size in [2, 7] {
        let (answered, score) = examined(&task, Factorization::Blocks { size }, 7).unwrap();
        let first = preference(&answered[0]);
        // `c` always stands behind a given `b`. `a` stands behind `c`, which is masked half of the time where both are in one
        // block: of the three masks, {a} weighs 1/2 and {c, a} 1/2.
        let expected = match size {
            2 => -2.0 * MOSTLY.ln(),
            _ => -MOSTLY.ln() * 1.5 + 3.0_f64.ln() * 0.5,
        };
        assert_near(first.choices[0].nats, expected, 1e-12);
        assert_eq!(first.choices[0].se, 0.0);
        assert_eq!(first.chosen, 0);
        assert_eq!(score.bound, Bound::Elbo);
        assert_eq!(score.se, None, "one question has no spread");
    }
}

#[test]
fn what_doesn_t_fit_the_window_is_cut_at_the_left_alike_for_every_answer() {
    let task = Task::Choices(vec![
        choice("abcabcabcabc", &["abc", "b"], 0),
        choice("c", &["abc", "b"], 0),
    ]);
    let (answered, score) = examined(&task, LEFT_TO_RIGHT, 4).unwrap();
    assert!(preference(&answered[0]).cut && !preference(&answered[1]).cut);
    assert_eq!(score.cut, 1);
    let nats = |at: usize| preference(&answered[at]).choices[0].nats;
    assert_eq!(nats(0), nats(1), "the last `c` was kept");
    // Gaps keep both sides, and more of one where the other is short.
    let masked = Factorization::Blocks { size: 5 };
    let gaps = Task::Infilling(vec![
        gap("abcabc", "a", "bcabca"),
        gap("abcabc", "a", "b"),
        gap("c", "a", "bcabca"),
    ]);
    let (answered, score) = examined(&gaps, masked, 5).unwrap();
    assert_eq!(score.cut, 3);
    assert!(
        answered
            .iter()
            .all(|one| filled(one).cut && filled(one).right)
    );
    // With room for nothing else, nothing is known of it.
    let (answered, _) = examined(&gaps, Factorization::Blocks { size: 1 }, 1).unwrap();
    assert_near(filled(&answered[0]).answer.nats, 3.0_f64.ln(), 1e-12);
}

#[test]
fn gaps_are_filled_at_the_model_s_best() {
    let gaps = vec![gap("ab", "cab", "c"), gap("ab", "cc", "c")];
    for (task, factorization) in [
        (
            Task::Infilling(gaps.clone()),
            Factorization::Blocks { size: 8 },
        ),
        (
            Task::Cloze(vec![gap("ab", "cab", ""), gap("ab", "cc", "")]),
            LEFT_TO_RIGHT,
        ),
        (
            Task::Cloze(vec![gap("ab", "cab", ""), gap("ab", "cc", "")]),
            Factorization::Blocks { size: 2 },
        ),
    ] {
        let (answered, score) = examined(&task, factorization, 8).unwrap();
        let [first, second] = [filled(&answered[0]), filled(&answered[1])];
        assert_eq!((first.written.as_str(), first.right), ("cab", true));
        assert_eq!((second.written.as_str(), second.right), ("ca", false));
        assert_eq!(score.acc.mean, 0.5);
        assert_eq!((score.acc_norm, score.chance), (None, None));
        assert_eq!((score.questions, score.tokens), (2, 5));
        if factorization == LEFT_TO_RIGHT {
            assert_near(first.answer.nats, -3.0 * MOSTLY.ln(), 1e-12);
            assert_near(first.answer.probability, MOSTLY.powi(3), 1e-12);
        }
    }
}

#[test]
fn questions_that_can_t_be_put_are_refused_with_their_line() {
    let masked = Factorization::Blocks { size: 4 };
    let told = |task: Task, factorization| {
        let error = examined(&task, factorization, 4).unwrap_err();
        assert_eq!(error.kind(), Kind::Input);
        error.to_string()
    };
    let long = Task::Choices(vec![choice("", &["abcab", "b"], 0)]);
    assert_eq!(
        told(long, masked),
        "line 7: an answer has 5 tokens, and the model's window 4"
    );
    let foreign = Task::Choices(vec![
        choice("a", &["b", "c"], 0),
        choice("ab", &["x", "c"], 0),
    ]);
    assert!(
        told(foreign, masked).starts_with("line 7: character 3 of the text, `x`"),
        "the answer stands behind its context"
    );
    let between = || Task::Infilling(vec![gap("a", "b", "c")]);
    assert!(told(between(), LEFT_TO_RIGHT).starts_with("the model reads left to right"));
    let blocks = Factorization::Blocks { size: 2 };
    assert!(told(between(), blocks).starts_with("the model reads block after block"));
}

/// Who knows the grammar by heart, and sees a window that may begin anywhere in the endless text.
struct Grammarian {
    tales: Tales,
    tokenizer: Tokenizer,
}

impl Predictor for Grammarian {
    fn vocab_size(&self) -> usize {
        self.tokenizer.vocab_size()
    }

    async fn nats(
        &self,
        _inputs: &[u32],
        targets: &[u32],
        length: usize,
        visibility: Visibility,
    ) -> Result<Vec<f64>> {
        assert_eq!(visibility, Visibility::Causal);
        let texts = targets.chunks_exact(length);
        Ok(texts
            .flat_map(|text| {
                let text = self.tokenizer.decode(text);
                let log = |end: usize| self.tales.window_log_probability(&[&text[..end]]);
                // Answers are short and last: what comes before need not be asked.
                let asked = length.saturating_sub(16);
                let logs: Vec<f64> = (asked..=length).map(log).collect();
                let nats = logs.windows(2).map(|pair| (pair[0] - pair[1]).min(99.0));
                let nats: Vec<f64> = nats
                    .map(|nats| if nats.is_nan() { 99.0 } else { nats })
                    .collect();
                [vec![0.0; asked], nats].concat()
            })
            .collect())
    }

    async fn log_probabilities(
        &self,
        _inputs: &[u32],
        _length: usize,
        _visibility: Visibility,
    ) -> Result<Vec<f32>> {
        unreachable!("choices need no distributions")
    }
}

/// Every token is as likely as any other.
struct Ignorant {
    vocab_size: usize,
}

impl Predictor for Ignorant {
    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    async fn nats(
        &self,
        _inputs: &[u32],
        targets: &[u32],
        _length: usize,
        _visibility: Visibility,
    ) -> Result<Vec<f64>> {
        Ok(vec![((self.vocab_size - 1) as f64).ln(); targets.len()])
    }

    async fn log_probabilities(
        &self,
        _inputs: &[u32],
        _length: usize,
        _visibility: Visibility,
    ) -> Result<Vec<f32>> {
        unreachable!("choices need no distributions")
    }
}

#[test]
fn who_knows_the_grammar_answers_every_question_about_tales_and_the_ignorant_guess() {
    let (seed, length) = (4, 56);
    let tales = Tales::new();
    let alphabet: String = tales.alphabet().iter().collect();
    let tokenizer = Tokenizer::for_documents("char", [Ok(alphabet)]).unwrap();
    let examine = |model: &dyn Fn(&Task) -> Result<Score>, count| {
        model(&tales.questions(seed, count, length).unwrap()).unwrap()
    };
    let grammarian = Grammarian {
        tales: Tales::new(),
        tokenizer: tokenizer.clone(),
    };
    let ignorant = Ignorant {
        vocab_size: tokenizer.vocab_size(),
    };
    fn put<P: Predictor>(model: &P, tokenizer: &Tokenizer, task: &Task) -> Result<Score> {
        let examiner = Examiner {
            model,
            tokenizer,
            factorization: LEFT_TO_RIGHT,
            length: 56,
            samples: 2,
            seed: 0,
        };
        block_on(examiner.examine(task, |_| ()))
    }
    let perfect = examine(&|task| put(&grammarian, &tokenizer, task), 12);
    assert_eq!((perfect.acc.mean, perfect.cut), (1.0, 0));
    assert_eq!(perfect.acc_norm.unwrap().mean, 1.0);
    assert!(perfect.nats < 0.5, "a settled word surprises little");
    let guessed = examine(&|task| put(&ignorant, &tokenizer, task), 120);
    let chance = guessed.chance.unwrap();
    assert!((0.25..0.5).contains(&chance));
    // It prefers the shortest answers, which are right no more often than others.
    for acc in [guessed.acc, guessed.acc_norm.unwrap()] {
        assert_near(acc.mean, chance, 4.0 * acc.se);
    }
}
