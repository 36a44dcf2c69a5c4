//! Exact averages over all tales of a grammar.
//!
//! When a tale can be made in one way only, its entropy is that of the choices made: by the chain rule, the expected
//! sum of their entropies. Every choice is uniform, so a choice among `n` adds `ln n` nats wherever it is reached. `n`
//! is known to the grammar, save for a role's word, where it is lower by the words drawn from the same table before.
//! Characters are simpler still: whatever else was drawn, a role's word is uniform over its table. So all that has to
//! be followed through the grammar is the distribution of what was mentioned.

use std::collections::BTreeMap;

use super::grammar::{Grammar, Part};
use crate::error::{Error, Result};

/// The columns said of each role so far, a bit each: none before its word is drawn, all once it is certain.
type Said = Vec<u32>;

const CERTAIN: u32 = u32::MAX;

/// Expectations of a tale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measure {
    /// Entropy of the choices in nats.
    pub(super) entropy: f64,
    /// Characters.
    pub(super) characters: f64,
}

impl Measure {
    /// Measures a grammar.
    ///
    /// # Errors
    /// When a tale may mention a word without making clear which one it is: such a choice could not be read back.
    pub(super) fn of(grammar: &Grammar) -> Result<Self> {
        let mut measure = Self {
            entropy: 0.0,
            characters: 0.0,
        };
        let nothing = BTreeMap::from([(vec![0; grammar.roles.len()], 1.0)]);
        let ends = measure.walk(grammar, &grammar.story, nothing);
        for said in ends.keys() {
            let unclear = |columns: &u32| *columns != 0 && *columns != CERTAIN;
            if let Some(role) = said.iter().position(unclear) {
                let name = &grammar.roles[role].name;
                return Err(Error::input(format!(
                    "a tale may end without saying which word the role `{name}` has"
                )));
            }
        }
        Ok(measure)
    }

    /// Adds what these parts are expected to add, and returns what has been said after them.
    fn walk(
        &mut self,
        grammar: &Grammar,
        parts: &[Part],
        mut states: BTreeMap<Said, f64>,
    ) -> BTreeMap<Said, f64> {
        let reached: f64 = states.values().sum();
        for part in parts {
            match part {
                Part::Text(text) => self.characters += reached * text.chars().count() as f64,
                Part::Word {
                    role,
                    column,
                    forms,
                } => {
                    let characters: usize = forms.iter().map(|form| form.chars().count()).sum();
                    self.characters += reached * characters as f64 / forms.len() as f64;
                    let table = &grammar.tables[grammar.roles[*role].table];
                    let mut after = BTreeMap::new();
                    for (mut said, probability) in states {
                        if said[*role] == 0 {
                            let left = words_left(grammar, *role, &said);
                            self.entropy += probability * libm::log(left as f64);
                        }
                        if said[*role] != CERTAIN {
                            said[*role] |= 1 << column;
                            if table.distinguishes(said[*role]) {
                                said[*role] = CERTAIN;
                            }
                        }
                        *after.entry(said).or_insert(0.0) += probability;
                    }
                    states = after;
                }
                Part::OneOf(arms) => {
                    let share = 1.0 / arms.len() as f64;
                    self.entropy += reached * libm::log(arms.len() as f64);
                    states
                        .values_mut()
                        .for_each(|probability| *probability *= share);
                    let mut after = BTreeMap::new();
                    for arm in arms {
                        for (said, probability) in self.walk(grammar, arm, states.clone()) {
                            *after.entry(said).or_insert(0.0) += probability;
                        }
                    }
                    states = after;
                }
            }
        }
        states
    }
}

/// Words in a role's table that play no role yet.
fn words_left(grammar: &Grammar, role: usize, said: &Said) -> usize {
    let table = grammar.roles[role].table;
    let roles = grammar.roles.iter().zip(said);
    let taken = roles.filter(|(other, columns)| other.table == table && **columns != 0);
    grammar.tables[table].rows.len() - taken.count()
}
