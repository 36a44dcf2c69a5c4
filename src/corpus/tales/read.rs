//! Reading a tale: which choices it was made by, and how probable those are.

use super::grammar::{Grammar, Part};

/// What is still to be read: these parts, then others.
struct Rest<'a> {
    parts: &'a [Part],
    then: Option<&'a Rest<'a>>,
}

/// Walks a grammar along a text.
pub(super) struct Reader<'a> {
    grammar: &'a Grammar,
    text: &'a str,
    /// For each role the rows that fit all mentions so far, a bit each; 0 before the first mention.
    fitting: Vec<u64>,
    /// Ways in which the grammar makes exactly this text.
    pub(super) derivations: u64,
    /// Bytes at the beginning of the text that some derivation explains.
    pub(super) understood: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(grammar: &'a Grammar, text: &'a str) -> Self {
        Self {
            grammar,
            text,
            fitting: vec![0; grammar.roles.len()],
            derivations: 0,
            understood: 0,
        }
    }

    /// The probability that the grammar makes this text: the sum over all derivations.
    pub(super) fn probability(&mut self) -> f64 {
        let story = Rest {
            parts: &self.grammar.story,
            then: None,
        };
        self.read(&story, 0)
    }

    /// Given what was read up to byte `at`, the probability that the rest of the tale makes the rest of the text.
    fn read(&mut self, rest: &Rest<'_>, at: usize) -> f64 {
        let Some((part, after)) = rest.parts.split_first() else {
            return match rest.then {
                Some(then) => self.read(then, at),
                None => self.end(at),
            };
        };
        let after = Rest {
            parts: after,
            then: rest.then,
        };
        match part {
            Part::Text(text) => match self.says(text, at) {
                Some(at) => self.read(&after, at),
                None => 0.0,
            },
            Part::OneOf(arms) => {
                let mut sum = 0.0;
                for arm in arms {
                    let then = Some(&after);
                    sum += self.read(&Rest { parts: arm, then }, at);
                }
                sum / arms.len() as f64
            }
            Part::Word { role, forms, .. } => self.read_word(*role, forms, &after, at),
        }
    }

    /// One reading for each form that the text goes on with; usually there is one.
    fn read_word(&mut self, role: usize, forms: &[String], after: &Rest<'_>, at: usize) -> f64 {
        let before = self.fitting[role];
        let (certain, drawn) = self.others(role);
        let first_mention = before == 0;
        let candidates = match first_mention {
            true => u64::MAX >> (64 - forms.len()),
            false => before,
        } & !certain;
        let mut open = candidates;
        let mut sum = 0.0;
        while open != 0 {
            let form = &forms[open.trailing_zeros() as usize];
            let same = (0..forms.len()).filter(|&row| forms[row] == *form);
            let same = same.fold(0, |rows, row| rows | 1 << row);
            if let Some(at) = self.says(form, at) {
                self.fitting[role] = candidates & same;
                sum += self.read(after, at);
            }
            open &= !same;
        }
        self.fitting[role] = before;
        match first_mention {
            true => sum / (forms.len() - drawn) as f64,
            false => sum,
        }
    }

    /// The rows of this role's table that certainly play another role, and how many other roles were drawn from it.
    fn others(&self, role: usize) -> (u64, usize) {
        let table = self.grammar.roles[role].table;
        let roles = self.grammar.roles.iter().zip(&self.fitting).enumerate();
        let mut certain = 0;
        let mut drawn = 0;
        for (index, (other, fitting)) in roles {
            if index != role && other.table == table && *fitting != 0 {
                drawn += 1;
                if fitting.is_power_of_two() {
                    certain |= fitting;
                }
            }
        }
        (certain, drawn)
    }

    /// Where the text goes on after these words, when it has them here.
    fn says(&mut self, words: &str, at: usize) -> Option<usize> {
        let here = &self.text.as_bytes()[at..];
        let pairs = here.iter().zip(words.as_bytes());
        let common = pairs.take_while(|(here, word)| here == word).count();
        self.understood = self.understood.max(at + common);
        (common == words.len()).then_some(at + common)
    }

    /// Whether the text ends where the tale does: 1 or 0.
    ///
    /// By now one row is left for each role that was mentioned: the grammar's measure refuses any other grammar. And
    /// no row is left for two roles, since whichever became certain later could not be the earlier one.
    fn end(&mut self, at: usize) -> f64 {
        if at < self.text.len() {
            return 0.0;
        }
        self.derivations += 1;
        1.0
    }
}
