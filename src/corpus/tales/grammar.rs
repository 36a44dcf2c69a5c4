//! The grammar of tales as data: what can be said, and which words a tale remembers.
//!
//! A grammar is written as text (`grammar.txt` explains the notation by using it), and becomes a tree of three kinds
//! of [`Part`]. Telling, reading and measuring are three walks over that tree, so they can't disagree about what a
//! tale is.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};

/// Rows a table may have: a reader keeps those still possible as the bits of a word.
const MOST_ROWS: usize = 64;

/// Something a tale says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    /// Always the same.
    Text(String),
    /// A form of the word that plays a role. The first mention in a tale draws the word, uniformly from those of its
    /// table that play no other role; later mentions remember it.
    Word {
        /// Index of the role.
        role: usize,
        /// Index of the column.
        column: usize,
        /// What is said, for each row of the table.
        forms: Vec<String>,
    },
    /// One of these, uniformly.
    OneOf(Vec<Vec<Part>>),
}

/// Words of one kind: rows are words, columns their forms.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    name: String,
    columns: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    /// Whether any two words differ in at least one of these columns (a bit each).
    pub(super) fn distinguishes(&self, columns: u32) -> bool {
        let said: Vec<usize> = (0..self.columns.len())
            .filter(|column| columns >> column & 1 == 1)
            .collect();
        let rows = self.rows.iter();
        let forms = rows.map(|row| said.iter().map(|&column| &row[column]).collect());
        forms.collect::<BTreeSet<Vec<&String>>>().len() == self.rows.len()
    }
}

/// Someone or something that a tale remembers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Role {
    pub(super) name: String,
    /// Index of the table that its word comes from.
    pub(super) table: usize,
}

/// A grammar that was checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grammar {
    pub(super) tables: Vec<Table>,
    pub(super) roles: Vec<Role>,
    /// A whole tale, all rules put in place.
    pub(super) story: Vec<Part>,
}

/// The alternatives of a rule as they were written, each with the number of its line.
type Rules<'a> = BTreeMap<&'a str, Vec<(usize, String)>>;

impl Grammar {
    /// Reads a grammar.
    ///
    /// # Errors
    /// Names the line that is malformed, mentions what was not introduced, or is never used.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut grammar = Self {
            tables: Vec::new(),
            roles: Vec::new(),
            story: Vec::new(),
        };
        let mut rules = Rules::new();
        let mut section = Section::None;
        for (number, line) in (1..).zip(text.lines()) {
            let entry = line.trim();
            if entry.is_empty() || entry.starts_with('#') {
                continue;
            }
            let told = if line.starts_with(' ') {
                grammar.entry(&section, &mut rules, number, entry)
            } else {
                grammar.heading(entry).map(|begun| section = begun)
            };
            told.map_err(|reason| malformed(number, &reason))?;
        }
        for table in &grammar.tables {
            let columns = (1 << table.columns.len()) - 1;
            let reason = match table.rows.len() {
                0 => "is empty",
                rows if rows > MOST_ROWS => "has more than 64 rows",
                _ if !table.distinguishes(columns) => "has a row twice",
                _ => continue,
            };
            return Err(Error::input(format!("the table `{}` {reason}", table.name)));
        }

        let mut used = BTreeSet::new();
        let story = grammar.rule("story", &rules, &mut Vec::new(), &mut used);
        grammar.story = story.map_err(|(number, reason)| match number {
            0 => Error::input(format!("the grammar is empty: {reason}")),
            _ => malformed(number, &reason),
        })?;
        match rules.keys().find(|name| !used.contains(*name)) {
            Some(name) => Err(Error::input(format!("the rule `{name}` is never used"))),
            None => Ok(grammar),
        }
    }

    /// A line that begins something.
    fn heading<'a>(&mut self, line: &'a str) -> Result<Section<'a>, String> {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (names, after) = rest
            .split_once(':')
            .ok_or("a heading has a colon after its name")?;
        match kind {
            "words" => {
                self.tables.push(Table {
                    name: names.to_owned(),
                    columns: listed(after),
                    rows: Vec::new(),
                });
                Ok(Section::Words)
            }
            "roles" => {
                let table = self.table(after.trim())?;
                let new = listed(names).into_iter().map(|name| Role { name, table });
                self.roles.extend(new);
                let playing = self.roles.iter().filter(|role| role.table == table);
                if playing.count() > self.tables[table].rows.len() {
                    return Err(format!("`{}` has too few rows", self.tables[table].name));
                }
                Ok(Section::None)
            }
            "rule" => Ok(Section::Rule(names)),
            _ => Err(format!("`{kind}` begins nothing")),
        }
    }

    /// An indented line.
    fn entry<'a>(
        &mut self,
        section: &Section<'a>,
        rules: &mut Rules<'a>,
        number: usize,
        line: &str,
    ) -> Result<(), String> {
        match (section, self.tables.last_mut()) {
            (Section::Words, Some(table)) => {
                let row = listed(line);
                if row.len() != table.columns.len() {
                    let columns = table.columns.len();
                    return Err(format!(
                        "the number of entries in this row should be {columns}"
                    ));
                }
                table.rows.push(row);
            }
            (Section::Rule(name), _) => {
                let alternatives = rules.entry(name).or_default();
                match (line.strip_prefix("- "), alternatives.last_mut()) {
                    (Some(begun), _) => alternatives.push((number, begun.to_owned())),
                    (None, Some((_, open))) => {
                        open.push(' ');
                        open.push_str(line);
                    }
                    (None, None) => return Err("an alternative begins with `- `".to_owned()),
                }
            }
            _ => return Err("an indented line belongs to `words` or to a `rule`".to_owned()),
        }
        Ok(())
    }

    fn table(&self, name: &str) -> Result<usize, String> {
        let found = self.tables.iter().position(|table| table.name == name);
        found.ok_or_else(|| format!("there is no table `{name}`"))
    }

    /// The parts of a rule, with the rules that it uses in their places.
    fn rule<'a>(
        &self,
        name: &'a str,
        rules: &'a Rules<'_>,
        within: &mut Vec<&'a str>,
        used: &mut BTreeSet<&'a str>,
    ) -> Result<Vec<Part>, (usize, String)> {
        let Some(alternatives) = rules.get(name) else {
            return Err((0, format!("there is no rule `{name}`")));
        };
        if within.contains(&name) {
            return Err((alternatives[0].0, format!("the rule `{name}` uses itself")));
        }
        used.insert(name);
        within.push(name);
        let mut arms = Vec::new();
        for (number, source) in alternatives {
            let (arm, rest) = self
                .parts(source, rules, within, used)
                .map_err(|(inner, reason)| (if inner > 0 { inner } else { *number }, reason))?;
            if !rest.is_empty() {
                return Err((*number, format!("unexpected `{rest}`")));
            }
            arms.push(arm);
        }
        within.pop();
        Ok(one_of(arms))
    }

    /// The parts up to the end, or up to the `|` or `)` that ends them; what is left begins with it.
    fn parts<'a>(
        &self,
        mut source: &'a str,
        rules: &'a Rules<'_>,
        within: &mut Vec<&'a str>,
        used: &mut BTreeSet<&'a str>,
    ) -> Result<(Vec<Part>, &'a str), (usize, String)> {
        let mut parts = Vec::new();
        loop {
            let special = source.find(['{', '[', '<', '(', '|', ')']);
            let (text, rest) = source.split_at(special.unwrap_or(source.len()));
            if !text.is_empty() {
                parts.push(Part::Text(text.to_owned()));
            }
            let Some(sign) = rest.chars().next() else {
                return Ok((parts, rest));
            };
            let enclosed = |end: char| {
                let found = rest[1..].split_once(end);
                found.ok_or_else(|| (0, format!("`{sign}` needs its `{end}`")))
            };
            source = match sign {
                '{' => {
                    let (name, rest) = enclosed('}')?;
                    parts.push(self.word(name).map_err(|reason| (0, reason))?);
                    rest
                }
                '[' => {
                    let (name, rest) = enclosed(']')?;
                    let table = self.table(name).map_err(|reason| (0, reason))?;
                    if !self.tables[table].distinguishes(1) {
                        return Err((0, format!("two rows of `{name}` begin alike")));
                    }
                    let rows = &self.tables[table].rows;
                    let arms = rows.iter().map(|row| vec![Part::Text(row[0].clone())]);
                    parts.extend(one_of(arms.collect()));
                    rest
                }
                '<' => {
                    let (name, rest) = enclosed('>')?;
                    parts.extend(self.rule(name, rules, within, used)?);
                    rest
                }
                '(' => {
                    let mut arms = Vec::new();
                    let mut open = rest;
                    while !open.starts_with(')') {
                        let (arm, after) = self.parts(&open[1..], rules, within, used)?;
                        if after.is_empty() {
                            return Err((0, "`(` needs its `)`".to_owned()));
                        }
                        arms.push(arm);
                        open = after;
                    }
                    parts.extend(one_of(arms));
                    &open[1..]
                }
                _ => return Ok((parts, rest)),
            };
        }
    }

    /// `role`, `role.column`; the last name with a capital for a form that begins a sentence.
    fn word(&self, name: &str) -> Result<Part, String> {
        let lowered = name.to_lowercase();
        let (role, form) = lowered.split_once('.').unwrap_or((&lowered, ""));
        let role = self.roles.iter().position(|known| known.name == role);
        let role = role.ok_or_else(|| format!("there is no role in `{{{name}}}`"))?;
        let table = &self.tables[self.roles[role].table];
        let column = match form {
            "" => Some(0),
            form => table.columns.iter().position(|column| column == form),
        };
        let column = column.ok_or_else(|| format!("`{}` has no column `{form}`", table.name))?;
        let capital = name != lowered;
        let form = |row: &Vec<String>| match row[column].chars().next() {
            Some(first) if capital => {
                first.to_uppercase().collect::<String>() + &row[column][first.len_utf8()..]
            }
            _ => row[column].clone(),
        };
        Ok(Part::Word {
            role,
            column,
            forms: table.rows.iter().map(form).collect(),
        })
    }

    /// Every character that some tale holds, in code-point order.
    pub(super) fn alphabet(&self) -> Vec<char> {
        fn collect(parts: &[Part], found: &mut BTreeSet<char>) {
            for part in parts {
                match part {
                    Part::Text(text) => found.extend(text.chars()),
                    Part::Word { forms, .. } => {
                        found.extend(forms.iter().flat_map(|form| form.chars()))
                    }
                    Part::OneOf(arms) => arms.iter().for_each(|arm| collect(arm, found)),
                }
            }
        }
        let mut found = BTreeSet::new();
        collect(&self.story, &mut found);
        found.into_iter().collect()
    }
}

/// What the indented lines that follow belong to.
enum Section<'a> {
    None,
    Words,
    Rule(&'a str),
}

fn malformed(number: usize, reason: &str) -> Error {
    Error::input(format!("line {number} of the grammar: {reason}"))
}

fn listed(text: &str) -> Vec<String> {
    text.split(',').map(|name| name.trim().to_owned()).collect()
}

/// A choice that there is only when there are two arms.
fn one_of(mut arms: Vec<Vec<Part>>) -> Vec<Part> {
    match arms.len() {
        1 => arms.remove(0),
        _ => vec![Part::OneOf(arms)],
    }
}

#[cfg(test)]
mod tests {
    use super::super::measure::Measure;
    use super::*;

    #[test]
    fn a_malformed_grammar_says_where() {
        let words = "words pet: name, she\n An, she\n Bo, he\nroles pet: pet\n";
        let cases = [
            ("", "the grammar is empty: there is no rule `story`"),
            (
                "rule a:\n - b\n",
                "the grammar is empty: there is no rule `story`",
            ),
            (
                "rule story\n",
                "line 1 of the grammar: a heading has a colon after its name",
            ),
            (
                "verse story:\n",
                "line 1 of the grammar: `verse` begins nothing",
            ),
            (
                " - a\n",
                "line 1 of the grammar: an indented line belongs to `words` or to a `rule`",
            ),
            (
                "rule story:\n a\n",
                "line 2 of the grammar: an alternative begins with `- `",
            ),
            (
                "rule story:\n - (a|b\n",
                "line 2 of the grammar: `(` needs its `)`",
            ),
            (
                "rule story:\n - {a\n",
                "line 2 of the grammar: `{` needs its `}`",
            ),
            (
                "rule story:\n - a)\n",
                "line 2 of the grammar: unexpected `)`",
            ),
            (
                "rule story:\n - <b>\n",
                "line 2 of the grammar: there is no rule `b`",
            ),
            (
                "rule story:\n - [b]\n",
                "line 2 of the grammar: there is no table `b`",
            ),
            (
                "rule story:\n - {b}\n",
                "line 2 of the grammar: there is no role in `{b}`",
            ),
            (
                "rule story:\n - <b>\nrule b:\n - <story>\n",
                "line 2 of the grammar: the rule `story` uses itself",
            ),
            (
                "rule story:\n - a\nrule b:\n - c\n",
                "the rule `b` is never used",
            ),
            (
                "words a: a\n b, c\n",
                "line 2 of the grammar: the number of entries in this row should be 1",
            ),
            ("words a: a\nrule story:\n - b\n", "the table `a` is empty"),
            (
                "words a: a\n b\n b\nrule story:\n - b\n",
                "the table `a` has a row twice",
            ),
            (
                "words a: a\n b\nroles c, d: a\n",
                "line 3 of the grammar: `a` has too few rows",
            ),
            (
                "words a: a, b\n b, c\n b, d\nrule story:\n - [a]\n",
                "line 5 of the grammar: two rows of `a` begin alike",
            ),
            (
                &format!("{words}rule story:\n - {{pet.tail}}\n"),
                "line 6 of the grammar: `pet` has no column `tail`",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(
                Grammar::parse(text).unwrap_err().to_string(),
                message,
                "{text}"
            );
        }
    }

    #[test]
    fn a_word_that_is_drawn_must_become_certain() {
        let measure = |rows: &str, said: &str| {
            let words = format!("words pet: name, she\n{rows}roles pet: pet\n");
            let text = format!("{words}rule story:\n - {said}\n");
            Measure::of(&Grammar::parse(&text).unwrap())
        };
        assert!(measure(" An, she\n Bo, he\n", "{pet.she}").is_ok());
        assert!(measure(" An, she\n Bo, she\n", "{pet.she} and {pet}").is_ok());
        assert_eq!(
            measure(" An, she\n Bo, she\n", "{pet.she}(| and {pet})")
                .unwrap_err()
                .to_string(),
            "a tale may end without saying which word the role `pet` has"
        );
    }
}
