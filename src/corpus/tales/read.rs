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
    /// Whether the tale may go on after the text.
    goes_on: bool,
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
            goes_on: false,
            fitting: vec![0; grammar.roles.len()],
            derivations: 0,
            understood: 0,
        }
    }

    /// Of a text that a tale may go on after.
    pub(super) fn of_beginning(grammar: &'a Grammar, text: &'a str) -> Self {
        Self {
            goes_on: true,
            ..Self::new(grammar, text)
        }
    }

    /// The probability that a tale is this text, or begins with it: the sum over all derivations.
    pub(super) fn probability(&mut self) -> f64 {
        let story = Rest {
            parts: &self.grammar.story,
            then: None,
        };
        self.read(&story, 0)
    }

    /// How many characters of a tale this text is expected to begin at: to end with it, or to go on.
    ///
    /// What was said before such a character is unknown. The words it drew then are as likely as words drawn now, so
    /// the reading begins with no memory.
    pub(super) fn occurrences(&mut self) -> f64 {
        let grammar = self.grammar;
        self.begin_in(&grammar.story, None, 1.0)
    }

    /// The occurrences that begin in these parts, which a tale reaches with this probability.
    fn begin_in(&mut self, parts: &[Part], then: Option<&Rest<'_>>, reached: f64) -> f64 {
        let mut sum = 0.0;
        for (index, part) in parts.iter().enumerate() {
            let after = Rest {
                parts: &parts[index + 1..],
                then,
            };
            match part {
                Part::Text(text) => {
                    for (skipped, _) in text.char_indices() {
                        if let Some(at) = self.says(&text[skipped..], 0) {
                            sum += reached * self.read(&after, at);
                        }
                    }
                }
                Part::OneOf(arms) => {
                    let reached = reached / arms.len() as f64;
                    for arm in arms {
                        sum += self.begin_in(arm, Some(&after), reached);
                    }
                }
                Part::Word { role, forms, .. } => {
                    let reached = reached / forms.len() as f64;
                    for (row, form) in forms.iter().enumerate() {
                        for (skipped, _) in form.char_indices() {
                            if let Some(at) = self.says(&form[skipped..], 0) {
                                self.fitting[*role] = 1 << row;
                                sum += reached * self.read(&after, at);
                            }
                        }
                    }
                    self.fitting[*role] = 0;
                }
            }
        }
        sum
    }

    /// Given what was read up to byte `at`, the probability that the rest of the tale makes the rest of the text.
    fn read(&mut self, rest: &Rest<'_>, at: usize) -> f64 {
        if self.goes_on && at == self.text.len() {
            return self.end(at);
        }
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

    /// Where the text goes on after these words, when it has them here. A text that a tale may go on after may end in
    /// the middle of them.
    fn says(&mut self, words: &str, at: usize) -> Option<usize> {
        let here = &self.text.as_bytes()[at..];
        let pairs = here.iter().zip(words.as_bytes());
        let common = pairs.take_while(|(here, word)| here == word).count();
        self.understood = self.understood.max(at + common);
        let whole = common == words.len() || self.goes_on && common == here.len();
        whole.then_some(at + common)
    }

    /// In how many ways the roles that were mentioned can have their words; 0 where the text goes on after the tale.
    ///
    /// After a whole tale there is one: the grammar's measure refuses any other grammar, and no row is left for two
    /// roles, since whichever became certain later could not be the earlier one. A part of a tale may say less.
    fn end(&mut self, at: usize) -> f64 {
        if at < self.text.len() {
            return 0.0;
        }
        self.derivations += 1;
        (0..self.grammar.tables.len())
            .map(|table| {
                let roles = self.grammar.roles.iter().zip(&self.fitting);
                let mentioned: Vec<u64> = roles
                    .filter(|(role, fitting)| role.table == table && **fitting != 0)
                    .map(|(_, fitting)| *fitting)
                    .collect();
                ways(&mentioned, 0)
            })
            .product()
    }
}

/// In how many ways roles can have rows that fit them, no two the same one and none that is taken.
fn ways(fitting: &[u64], taken: u64) -> f64 {
    let Some((first, others)) = fitting.split_first() else {
        return 1.0;
    };
    let mut open = first & !taken;
    let mut sum = 0.0;
    while open != 0 {
        let row = open & open.wrapping_neg();
        sum += ways(others, taken | row);
        open &= !row;
    }
    sum
}
