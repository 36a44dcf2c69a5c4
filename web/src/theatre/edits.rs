//! What a person changed in a state, before a branch starts from it.

use std::collections::BTreeMap;

use crossover::sample::Edit;

use super::film::{Look, MASK, Standing};

/// Changes by position: a token that stays, or [`MASK`] for a position that is free.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edits(BTreeMap<usize, i64>);

impl Edits {
    /// Sets a position; setting it to the same again takes the change back.
    pub fn toggle(&mut self, position: usize, token: i64) {
        if self.0.get(&position) == Some(&token) {
            self.0.remove(&position);
        } else {
            self.0.insert(position, token);
        }
    }

    /// Sets a position.
    pub fn set(&mut self, position: usize, token: i64) {
        self.0.insert(position, token);
    }

    /// Takes all changes back.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The change of a position.
    pub fn get(&self, position: usize) -> Option<i64> {
        self.0.get(&position).copied()
    }

    /// As traces have them, ascending.
    pub fn list(&self) -> Vec<Edit> {
        let edits = self.0.iter();
        edits
            .map(|(&position, &token)| Edit { position, token })
            .collect()
    }

    /// These, and those of `below` that they don't replace.
    pub fn over(&self, below: &[Edit]) -> Self {
        let mut all: BTreeMap<usize, i64> = below
            .iter()
            .map(|edit| (edit.position, edit.token))
            .collect();
        all.extend(&self.0);
        Self(all)
    }

    /// Tokens with the changes made.
    pub fn applied(&self, tokens: &[i64]) -> Vec<i64> {
        let mut changed = tokens.to_vec();
        for (&position, &token) in &self.0 {
            if let Some(place) = changed.get_mut(position) {
                *place = token;
            }
        }
        changed
    }

    /// What a position looks like once it is changed.
    pub fn shown(&self, position: usize, standing: Standing) -> Standing {
        let Some(token) = self.get(position) else {
            return standing;
        };
        let had = (standing.token >= 0).then_some(standing.token);
        let look = match token {
            MASK if had.is_some() => Look::Remasked,
            MASK => Look::Mask,
            same if had == Some(same) => Look::Pinned,
            _ if had.is_some() => Look::Changed,
            _ => Look::Pinned,
        };
        Standing {
            look,
            token,
            old: had.filter(|&had| had != token),
            guess: standing.guess.filter(|_| token == MASK),
            confidence: None,
            entropy: None,
            since: None,
        }
    }
}

/// The id of a token that a person typed: by its text, `·` and `⏎` standing for the blank and the line break, or as `#17`.
///
/// # Errors
/// What to say when there is none.
pub fn token_of(typed: &str, vocab: &[String]) -> Result<i64, String> {
    let tokens = &vocab[..vocab.len().saturating_sub(1)];
    let plain = typed
        .replace('·', " ")
        .replace(['⏎', '↵'], "\n")
        .replace("\\n", "\n");
    let by_text = |wanted: &str| tokens.iter().position(|token| token == wanted);
    let byte = || by_text(&format!("<0x{}>", typed.to_uppercase()));
    let by_number = || {
        let id: usize = typed.strip_prefix('#')?.parse().ok()?;
        (id < tokens.len()).then_some(id)
    };
    let found = by_text(typed)
        .or_else(|| by_text(&plain))
        .or_else(byte)
        .or_else(by_number);
    match found {
        Some(id) => Ok(id as i64),
        None if typed.is_empty() => Err("Type one token.".to_owned()),
        None => Err(format!("This model has no token “{typed}”.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_by_what_people_type() {
        let vocab: Vec<String> = ["\n", " ", "a", "<0xE4>", "[MASK]"]
            .map(String::from)
            .into();
        assert_eq!(token_of("a", &vocab), Ok(2));
        assert_eq!(token_of(" ", &vocab), Ok(1));
        assert_eq!(token_of("·", &vocab), Ok(1));
        assert_eq!(token_of("⏎", &vocab), Ok(0));
        assert_eq!(token_of("\\n", &vocab), Ok(0));
        assert_eq!(token_of("e4", &vocab), Ok(3));
        assert_eq!(token_of("#2", &vocab), Ok(2));
        assert!(token_of("[MASK]", &vocab).is_err());
        assert!(token_of("#4", &vocab).is_err());
        assert!(token_of("", &vocab).is_err());
    }

    #[test]
    fn later_changes_replace_earlier_ones() {
        let mut edits = Edits::default();
        edits.set(1, 5);
        edits.set(2, MASK);
        edits.toggle(2, MASK);
        assert_eq!(edits.applied(&[7, 7, 7]), [7, 5, 7]);
        let below = [
            Edit {
                position: 1,
                token: 3,
            },
            Edit {
                position: 0,
                token: 4,
            },
        ];
        assert_eq!(edits.over(&below).applied(&[7, 7, 7]), [4, 5, 7]);
    }
}
