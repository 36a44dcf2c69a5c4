//! Questions about tales: which word comes next, where the tale has settled that already.
//!
//! A tale is told, and stopped before a word that it remembers: a name, a pronoun, a place, what an animal eats, how a sum
//! adds up. The wrong answers are the same form of other words of the same table, each with what follows it, and none
//! of them is possible: no tale at all contains what is left of the context with such an answer behind it. The right
//! one is. So whoever knows the grammar and remembers the context answers every question, and everybody else guesses.

use super::{Mention, Tales, Teller};
use crate::corpus::stories::QUESTIONS;
use crate::corpus::{MultipleChoice, Task};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};

/// Answers of a question, at most; a pronoun has two.
const ANSWERS: usize = 4;

/// The shortest text that questions can be asked of: fewer characters hardly settle anything.
const SHORTEST: usize = 32;

impl Tales {
    /// Multiple-choice questions about `count` tales, one each, of at most `length` characters with any of the answers.
    /// The same seed and length make the same questions; the first of many are the few. Longer texts settle words longer
    /// before they are said.
    ///
    /// The tales come from a stream of their own, and tales are so many (`e^43`) that none of them was trained on.
    ///
    /// # Errors
    /// When `length` is below 32.
    pub fn questions(&self, seed: u64, count: usize, length: usize) -> Result<Task> {
        if length < SHORTEST {
            return Err(
                Error::input(format!("tales can't be asked about in {length} characters"))
                    .with_hint(format!(
                        "use a model whose windows have at least {SHORTEST} tokens"
                    )),
            );
        }
        let question = |number: usize| {
            let mut stream = Stream::new(seed, Purpose::Source, QUESTIONS, number as u64);
            loop {
                if let Some(question) = self.question(&mut stream, length, number) {
                    return question;
                }
            }
        };
        Ok(Task::Choices((1..=count).map(question).collect()))
    }

    /// A question about one tale, where it settles any word.
    fn question(
        &self,
        stream: &mut Stream,
        length: usize,
        number: usize,
    ) -> Option<MultipleChoice> {
        let Teller {
            text: story,
            remembered: mentions,
            ..
        } = self.told(stream);
        let order = stream.permutation(mentions.len());
        order.into_iter().find_map(|index| {
            let mention = &mentions[index];
            let (context, choices) = self.posed(&story, mention, stream, length)?;
            // The right answer comes first so far.
            let places = stream.permutation(choices.len());
            Some(MultipleChoice {
                line: number,
                context,
                delimiter: "",
                label: places.iter().position(|&place| place == 0)?,
                choices: places.iter().map(|&place| choices[place].clone()).collect(),
            })
        })
    }

    /// What stands before a mention, and the answers, the right one first; `None` where nothing settles the word or some
    /// other is as possible.
    fn posed(
        &self,
        story: &str,
        mention: &Mention<'_>,
        stream: &mut Stream,
        length: usize,
    ) -> Option<(String, Vec<String>)> {
        let said = &story[mention.at.clone()];
        // One character more: `a` is no beginning of `an`.
        let next = story[mention.at.end..].chars().next()?;
        let mut others: Vec<&String> = Vec::new();
        for index in stream.permutation(mention.forms.len()) {
            let form = &mention.forms[index];
            if form != said && !others.contains(&form) {
                others.push(form);
            }
        }
        // Of like length: a sum of log-probabilities prefers short answers. The sort is stable.
        others.sort_by_key(|form| form.len().abs_diff(said.len()));
        let longest = others
            .iter()
            .take(ANSWERS - 1)
            .map(|form| form.len())
            .max()?;
        let room = length.saturating_sub(longest.max(said.len()) + next.len_utf8());
        // The grammar is ASCII, and so is every cut.
        let context = &story[mention.at.start.saturating_sub(room)..mention.at.start];
        let possible = |answer: &String| {
            let log = self.window_log_probability(&[&format!("{context}{answer}")]);
            log > f64::NEG_INFINITY
        };
        let mut choices = vec![format!("{said}{next}")];
        let wrong = others.into_iter().take(ANSWERS - 1);
        choices.extend(wrong.map(|form| format!("{form}{next}")));
        let settled = choices.iter().skip(1).all(|wrong| !possible(wrong));
        settled.then(|| (context.to_owned(), choices))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn questions(seed: u64, count: usize, length: usize) -> Vec<MultipleChoice> {
        match Tales::new().questions(seed, count, length).unwrap() {
            Task::Choices(questions) => questions,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_right_answer_is_the_only_possible_one() {
        let tales = Tales::new();
        for length in [48, 160] {
            for question in questions(3, 40, length) {
                assert!((2..=ANSWERS).contains(&question.choices.len()));
                for (index, choice) in question.choices.iter().enumerate() {
                    let text = question.context.clone() + choice;
                    assert!(text.len() <= length && text.is_ascii());
                    let log = tales.window_log_probability(&[&text]);
                    assert_eq!(log.is_finite(), index == question.label, "{question:?}");
                }
            }
        }
    }

    #[test]
    fn a_seed_asks_the_same_questions_and_no_place_is_right_more_often() {
        let asked = questions(1, 200, 64);
        assert_eq!(asked[..20], questions(1, 20, 64)[..]);
        assert_ne!(asked[..20], questions(2, 20, 64)[..]);
        let contexts: BTreeSet<&String> = asked.iter().map(|question| &question.context).collect();
        assert!(contexts.len() > 195);
        let four = asked.iter().filter(|question| question.choices.len() == 4);
        let labels: Vec<usize> = four.map(|question| question.label).collect();
        assert!(labels.len() > 100, "most questions have four answers");
        for place in 0..4 {
            let share = labels.iter().filter(|&&label| label == place).count() as f64;
            let expected = labels.len() as f64 / 4.0;
            assert!((share - expected).abs() < 4.0 * (expected * 0.75).sqrt());
        }
    }

    #[test]
    fn nothing_is_asked_about_a_tale_that_was_trained_on() {
        let tales = Tales::new();
        let seed = 5;
        let mut training = Stream::new(seed, Purpose::Source, 0, 0);
        let told: String = (0..3_000)
            .map(|_| tales.story(&mut training) + "\n")
            .collect();
        for question in questions(seed, 50, 256) {
            let whole = question.context.clone() + &question.choices[question.label];
            if whole.len() > 150 {
                assert!(!told.contains(&whole), "{whole}");
            }
        }
    }

    #[test]
    fn windows_that_are_too_short_to_settle_anything_are_refused() {
        let error = Tales::new().questions(1, 5, 31).unwrap_err();
        assert_eq!(
            error.to_string(),
            "tales can't be asked about in 31 characters"
        );
    }
}
