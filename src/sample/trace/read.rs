//! Reading a trace, and holding it to everything its format promises.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::error::{Error, Result};
use crate::objective::Objective;
use crate::sample::trace::{Footer, Header, Step, Trace};

/// A hidden position, among tokens.
const MASK: i64 = -1;

/// What to do about a file that ends too early.
const AGAIN: &str = "copy it whole, or write it again with `sample --trace`";
/// What to do about a file that contradicts itself.
const CONTRADICTS: &str = "the file was changed, or its writer breaks the format (docs/formats.md); write it again with `sample --trace`";

impl Trace {
    /// Reads the JSON lines of one trace and checks them all; `name` is how errors call the file.
    ///
    /// Fields that this version does not know are passed over.
    ///
    /// # Errors
    /// When the text is no trace, is cut off, is of a newer version, or breaks a promise of the format. Every error
    /// names the file and the line.
    pub fn from_json_lines(text: &str, name: &str) -> Result<Self> {
        let lines: Vec<&str> = text.trim_end().lines().collect();
        let Some((first, rest)) = lines.split_first().filter(|(first, _)| !first.is_empty()) else {
            return Err(Error::input(format!("`{name}` is empty")).with_hint(AGAIN));
        };
        let header = header(first, name)?;
        let Some((last, middle)) = rest.split_last() else {
            return Err(Error::input(format!("`{name}` ends after its header")).with_hint(AGAIN));
        };
        let steps = middle
            .iter()
            .enumerate()
            .map(|(index, line)| step(line, name, index + 2))
            .collect::<Result<Vec<Step>>>()?;
        let footer = footer(last, name, lines.len())?;
        let trace = Self {
            header,
            steps,
            footer,
        };
        trace.check(name)?;
        Ok(trace)
    }

    /// Checks that the lines agree with each other and with the format, which types alone can't say.
    ///
    /// # Errors
    /// Names the first line (counted from 1, the header) that breaks a promise, and how.
    pub fn check(&self, name: &str) -> Result<()> {
        let broken = |line: usize, what: String| {
            Error::input(format!("`{name}`, line {line}: {what}")).with_hint(CONTRADICTS)
        };
        let tokens = self.header.check().map_err(|what| broken(1, what))?;
        // What came before a branch's first step stands in its parent, whose edits are in force already.
        let mut before = match self.header.parent {
            None => Some(self.header.prompt.as_slice()),
            Some(_) => None,
        };
        let mut confidence: Option<&[f32]> = None;
        for (index, step) in self.steps.iter().enumerate() {
            let broken = |what| broken(index + 2, what);
            if step.step != index + 1 {
                return Err(broken(format!(
                    "it is step {}, and step {} is due",
                    step.step,
                    index + 1
                )));
            }
            step.check_alone(&self.header, tokens).map_err(broken)?;
            match before {
                Some(before) => step.check_after(before).map_err(broken)?,
                None => step.check_first().map_err(broken)?,
            }
            if let Some(confidence) = confidence {
                step.check_kept(confidence).map_err(broken)?;
            }
            before = Some(&step.tokens);
            confidence = Some(&step.confidence);
        }
        let end = before.unwrap_or(&self.header.prompt);
        if let Some(position) = end.iter().position(|&token| token == MASK) {
            let what = format!("position {position} is still masked after the last step");
            return Err(broken(self.steps.len() + 1, what));
        }
        let counted = self.steps.len();
        self.footer
            .check(counted)
            .map_err(|what| broken(counted + 2, what))
    }
}

impl Header {
    /// Checks the header by itself; gives how many ids are tokens, where that is known.
    fn check(&self) -> Result<Option<usize>, String> {
        if self.kind == Objective::Dual {
            return Err("`dual` is no kind of writing: `ar`, `masked` or `block`".to_owned());
        }
        if self.length == 0 {
            return Err("its `length` is 0".to_owned());
        }
        let tokens = match &self.vocab {
            Some(vocab) if vocab.last().is_none_or(|last| last != "[MASK]") => {
                return Err("the last entry of `vocab` is not `[MASK]`".to_owned());
            }
            Some(vocab) => Some(vocab.len() - 1),
            None => None,
        };
        check_tokens("prompt", &self.prompt, self.length, tokens)?;
        if let Some(parent) = &self.parent {
            for edit in &parent.edits {
                if edit.position >= self.length {
                    return Err(format!(
                        "an edit is at position {}, and the last one is {}",
                        edit.position,
                        self.length - 1
                    ));
                }
                check_token("an edit", edit.token, tokens)?;
            }
        }
        Ok(tokens)
    }
}

impl Step {
    /// Checks what can be said of a step without its neighbours.
    fn check_alone(&self, header: &Header, tokens: Option<usize>) -> Result<(), String> {
        let length = header.length;
        check_tokens("tokens", &self.tokens, length, tokens)?;
        check_length("confidence", self.confidence.len(), length)?;
        check_length("entropy", self.entropy.len(), length)?;
        if !(0.0..=1.0).contains(&self.t) {
            return Err(format!("`t` is {}, not from 0 to 1", self.t));
        }
        for (position, &given) in header.prompt.iter().enumerate() {
            let (token, confidence) = (self.tokens[position], self.confidence[position]);
            if given != MASK && token != given {
                return Err(format!(
                    "position {position} was given as {given} and is {token}: given tokens stay"
                ));
            }
            if !(0.0..=1.0).contains(&confidence) {
                return Err(format!(
                    "the confidence at position {position} is {confidence}, not from 0 to 1"
                ));
            }
            if given != MASK && confidence != 1.0 {
                return Err(format!(
                    "the confidence at position {position} is {confidence}: given tokens have 1"
                ));
            }
            if token == MASK && confidence != 0.0 {
                return Err(format!(
                    "the confidence at position {position} is {confidence}: masked positions have 0"
                ));
            }
            let entropy = self.entropy[position];
            if !(entropy >= 0.0 && entropy.is_finite()) {
                return Err(format!(
                    "the entropy at position {position} is {entropy}, not a number from 0 up"
                ));
            }
        }
        if let Some(top) = &self.top {
            check_length("top", top.len(), length)?;
            for (position, pairs) in top.iter().enumerate() {
                for &(id, probability) in pairs {
                    check_token(
                        &format!("`top` of position {position}"),
                        i64::from(id),
                        tokens,
                    )?;
                    if !(0.0..=1.0).contains(&probability) {
                        return Err(format!(
                            "`top` of position {position} has the probability {probability}, not from 0 to 1"
                        ));
                    }
                }
            }
        }
        if let Some(nats) = self.divergence.filter(|nats| *nats < 0.0) {
            return Err(format!("`divergence` is {nats}, and it is never negative"));
        }
        check_positions("committed", &self.committed, length)?;
        check_positions("remasked", &self.remasked, length)
    }

    /// Checks a step against the tokens before it.
    fn check_after(&self, before: &[i64]) -> Result<(), String> {
        let (mut committed, mut remasked) = (Vec::new(), Vec::new());
        for (position, (&old, &new)) in before.iter().zip(&self.tokens).enumerate() {
            match (old, new) {
                (MASK, MASK) => {}
                (MASK, _) => committed.push(position),
                (_, MASK) => remasked.push(position),
                (old, new) if old != new => {
                    return Err(format!(
                        "position {position} changes from {old} to {new} without being masked between"
                    ));
                }
                _ => {}
            }
        }
        check_named("committed", &self.committed, &committed)?;
        check_named("remasked", &self.remasked, &remasked)
    }

    /// Checks the first step of a branch, whose tokens before it are not known.
    fn check_first(&self) -> Result<(), String> {
        if let Some(&position) = self.committed.iter().find(|&&i| self.tokens[i] == MASK) {
            return Err(format!("position {position} is committed and masked"));
        }
        match self.remasked.iter().find(|&&i| self.tokens[i] != MASK) {
            Some(position) => Err(format!("position {position} is remasked and has a token")),
            None => Ok(()),
        }
    }

    /// Checks that tokens which stayed kept the confidence of the step before.
    fn check_kept(&self, before: &[f32]) -> Result<(), String> {
        let mut written = self.committed.iter().peekable();
        for (position, (old, new)) in before.iter().zip(&self.confidence).enumerate() {
            let is_new = written.next_if_eq(&&position).is_some();
            if !is_new && self.tokens[position] != MASK && old != new {
                return Err(format!(
                    "the confidence at position {position} changes from {old} to {new}, and its token stays"
                ));
            }
        }
        Ok(())
    }
}

impl Footer {
    fn check(&self, counted: usize) -> Result<(), String> {
        if self.steps != counted {
            return Err(format!(
                "the footer counts {} steps, and {counted} are there",
                self.steps
            ));
        }
        for (field, value) in [("flops", self.flops), ("seconds", self.seconds)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(format!("`{field}` is {value}, not a number from 0 up"));
            }
        }
        Ok(())
    }
}

fn check_length(field: &str, found: usize, length: usize) -> Result<(), String> {
    if found == length {
        Ok(())
    } else {
        Err(format!(
            "`{field}` has {found} entries for {length} positions"
        ))
    }
}

fn check_tokens(
    field: &str,
    ids: &[i64],
    length: usize,
    tokens: Option<usize>,
) -> Result<(), String> {
    check_length(field, ids.len(), length)?;
    let place = |position| format!("`{field}` of position {position}");
    ids.iter()
        .enumerate()
        .try_for_each(|(position, &id)| match id {
            MASK => Ok(()),
            _ => check_token(&place(position), id, tokens),
        })
}

/// Checks one id, -1 for MASK; `tokens` is how many ids are tokens.
fn check_token(place: &str, id: i64, tokens: Option<usize>) -> Result<(), String> {
    // Ids are `u32` wherever they are used.
    let known = tokens.map_or(i64::from(u32::MAX), |tokens| {
        i64::try_from(tokens).unwrap_or(i64::MAX)
    });
    if id == MASK || (0..known).contains(&id) {
        return Ok(());
    }
    Err(match tokens {
        Some(tokens) => {
            format!("{place} is the id {id}, and the vocabulary has {tokens} tokens")
        }
        None => format!("{place} is {id}, which is no id"),
    })
}

fn check_positions(field: &str, positions: &[usize], length: usize) -> Result<(), String> {
    if let Some(position) = positions.iter().find(|&&position| position >= length) {
        return Err(format!(
            "`{field}` names position {position}, and the last one is {}",
            length - 1
        ));
    }
    match positions.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(format!(
            "`{field}` names position {} before {}: they are ascending, each once",
            pair[0], pair[1]
        )),
        None => Ok(()),
    }
}

/// Checks a list of positions against the ones that did change; both ascending.
fn check_named(field: &str, named: &[usize], changed: &[usize]) -> Result<(), String> {
    if let Some(position) = named.iter().find(|i| changed.binary_search(i).is_err()) {
        return Err(format!(
            "`{field}` names position {position}, which the step before contradicts"
        ));
    }
    match changed.iter().find(|i| named.binary_search(i).is_err()) {
        Some(position) => Err(format!(
            "`{field}` leaves out position {position}, which changed"
        )),
        None => Ok(()),
    }
}

fn header(line: &str, name: &str) -> Result<Header> {
    /// What every version's header has.
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }

    let Version { version } = serde_json::from_str(line).map_err(|error| {
        if error.classify() == Category::Eof {
            cut(name, 1)
        } else {
            Error::input(format!("`{name}` is no trace: {}", reason(&error, 1)))
                .with_hint("give a file that `sample --trace` wrote")
        }
    })?;
    if version > Header::VERSION {
        return Err(Error::input(format!(
            "`{name}` was written by a newer Crossover: it has version {version} of the format, and this one reads {}",
            Header::VERSION
        ))
        .with_hint("use the newer program, or write it again with this one"));
    }
    if version < Header::VERSION {
        return Err(Error::input(format!(
            "`{name}`, line 1: there is no version {version} of the format"
        ))
        .with_hint(CONTRADICTS));
    }
    parse(line, name, 1)
}

fn step(line: &str, name: &str, number: usize) -> Result<Step> {
    match parse(line, name, number) {
        Err(_) if serde_json::from_str::<Footer>(line).is_ok() => Err(Error::input(format!(
            "`{name}`, line {number}: the footer stands here, and more follows"
        ))
        .with_hint("a file holds one trace, and its footer is the last line")),
        other => other,
    }
}

fn footer(line: &str, name: &str, number: usize) -> Result<Footer> {
    match parse(line, name, number) {
        Err(_) if serde_json::from_str::<Step>(line).is_ok() => Err(Error::input(format!(
            "`{name}` has no footer: it ends after line {number}, a step"
        ))
        .with_hint(AGAIN)),
        other => other,
    }
}

fn parse<T: DeserializeOwned>(line: &str, name: &str, number: usize) -> Result<T> {
    serde_json::from_str(line).map_err(|error| match error.classify() {
        Category::Eof => cut(name, number),
        _ => Error::input(format!("`{name}`, {}", reason(&error, number))).with_hint(CONTRADICTS),
    })
}

fn cut(name: &str, number: usize) -> Error {
    Error::input(format!(
        "`{name}` is cut off in the middle of line {number}"
    ))
    .with_hint(AGAIN)
}

/// The parser's words, with the line of the file in place of the line it was given, which is always 1.
fn reason(error: &serde_json::Error, number: usize) -> String {
    let text = error.to_string();
    let what = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(what, _)| what);
    format!("line {number}, column {}: {what}", error.column())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::error::Kind;
    use crate::sample::trace::{Edit, Parent, Settings};
    use crate::sample::{Caching, Choice, Parameters, Schedule};

    /// Four positions, the first one given; the second step hides again what the first one wrote.
    fn remasking() -> Trace {
        let step = |step, tokens: [i64; 4], committed: &[usize], remasked: &[usize], sure| Step {
            step,
            t: 1.0 - step as f64 / 4.0,
            tokens: tokens.to_vec(),
            committed: committed.to_vec(),
            remasked: remasked.to_vec(),
            confidence: Vec::from(sure),
            entropy: vec![0.0, 0.5, 0.25, 1.0],
            top: None,
            divergence: None,
        };
        Trace {
            header: Header {
                version: Header::VERSION,
                kind: Objective::Masked,
                length: 4,
                vocab: Some(["a", "b", "c", "[MASK]"].map(str::to_owned).to_vec()),
                prompt: vec![2, -1, -1, -1],
                parent: None,
                sampler: Settings {
                    name: "remdm".to_owned(),
                    steps: 4,
                    sample: 0,
                    choice: Choice::default(),
                    parameters: Parameters::default(),
                    schedule: Schedule::Linear,
                    block_size: None,
                    cfg: 0.0,
                    cache: Caching::None,
                },
                seed: 1,
            },
            steps: vec![
                step(1, [2, 0, -1, 1], &[1, 3], &[], [1.0, 0.25, 0.0, 0.5]),
                step(2, [2, -1, 1, 1], &[2], &[1], [1.0, 0.0, 0.75, 0.5]),
                step(3, [2, -1, 1, 1], &[], &[], [1.0, 0.0, 0.75, 0.5]),
                step(4, [2, 2, 1, 1], &[1], &[], [1.0, 0.5, 0.75, 0.5]),
            ],
            footer: Footer {
                text: "ccbb".to_owned(),
                steps: 4,
                model_calls: 3,
                flops: 12.0,
                seconds: 0.5,
            },
        }
    }

    fn read(text: &str) -> Result<Trace> {
        Trace::from_json_lines(text, "t.jsonl")
    }

    #[test]
    fn what_was_written_is_read() {
        let trace = remasking();
        let lines = trace.to_json_lines().unwrap();
        assert_eq!(read(&lines).unwrap(), trace);
        // An editor may end the file otherwise.
        assert_eq!(read(lines.trim_end()).unwrap(), trace);
        let windows = lines.replace('\n', "\r\n") + "\r\n";
        assert_eq!(read(&windows).unwrap(), trace);
    }

    #[test]
    fn unknown_fields_are_passed_over() {
        let lines = remasking().to_json_lines().unwrap();
        let more = lines
            .replace(r#""top":null"#, r#""top":null,"heat":0.125"#)
            .replace(r#""seed":1"#, r#""seed":1,"note":"kept""#);
        assert_ne!(lines, more);
        assert!(read(&more).is_ok());
    }

    #[test]
    fn a_branch_begins_where_its_parent_stood() {
        let mut trace = remasking();
        trace.header.parent = Some(Parent {
            trace: "parent.jsonl".to_owned(),
            step: 2,
            edits: vec![Edit {
                position: 3,
                token: -1,
            }],
        });
        // Position 1 had a token before the first step, which hides it; position 3 had one that stays.
        trace.steps.remove(0);
        for (index, step) in trace.steps.iter_mut().enumerate() {
            step.step = index + 1;
        }
        trace.footer.steps = 3;
        let lines = trace.to_json_lines().unwrap();
        assert_eq!(read(&lines).unwrap(), trace);
        let orphan = Trace {
            header: Header {
                parent: None,
                ..trace.header.clone()
            },
            ..trace.clone()
        };
        assert!(orphan.check("t.jsonl").is_err());
        trace.steps[0].committed = vec![1, 2];
        let error = trace.check("t.jsonl").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`t.jsonl`, line 2: position 1 is committed and masked"
        );
    }

    /// Every promise of the format, broken; the line and the words that must be named.
    #[test]
    fn a_broken_promise_is_named_with_its_line() {
        type Break = fn(&mut Trace);
        let cases: [(Break, usize, &str); 33] = [
            (|t| t.header.kind = Objective::Dual, 1, "`dual`"),
            (|t| t.header.length = 0, 1, "`length`"),
            (|t| t.header.length = usize::MAX, 1, "`prompt` has 4"),
            (|t| t.header.prompt[0] = 3, 1, "id 3"),
            (|t| t.header.prompt[0] = -2, 1, "id -2"),
            (
                |t| {
                    t.header.vocab = None;
                    t.header.prompt[0] = i64::MAX;
                },
                1,
                "no id",
            ),
            (|t| t.header.vocab = Some(Vec::new()), 1, "[MASK]"),
            (
                |t| {
                    t.header.vocab.as_mut().unwrap().pop();
                },
                1,
                "[MASK]",
            ),
            (|t| t.steps[1].step = 3, 3, "step 3"),
            (|t| t.steps[0].step = 0, 2, "step 0"),
            (
                |t| {
                    t.steps.remove(1);
                },
                3,
                "step 2 is due",
            ),
            (|t| t.steps[0].t = 1.5, 2, "`t`"),
            (|t| t.steps[0].tokens[1] = 3, 2, "id 3"),
            (|t| t.steps[0].tokens.truncate(3), 2, "`tokens` has 3"),
            (|t| t.steps[2].confidence.clear(), 4, "`confidence` has 0"),
            (|t| t.steps[2].entropy.push(0.0), 4, "`entropy` has 5"),
            (|t| t.steps[2].entropy[1] = -0.5, 4, "entropy"),
            (|t| t.steps[2].divergence = Some(-0.5), 4, "`divergence`"),
            (|t| t.steps[0].tokens[0] = 1, 2, "given"),
            (|t| t.steps[0].tokens[0] = -1, 2, "given"),
            (|t| t.steps[0].confidence[0] = 0.5, 2, "given tokens have 1"),
            (|t| t.steps[0].confidence[1] = 1.5, 2, "from 0 to 1"),
            (|t| t.steps[0].confidence[2] = 0.5, 2, "masked positions"),
            (|t| t.steps[2].confidence[3] = 0.25, 4, "its token stays"),
            (
                |t| t.steps[2].tokens[3] = 0,
                4,
                "changes from 1 to 0 without",
            ),
            (
                |t| t.steps[0].committed = vec![1],
                2,
                "leaves out position 3",
            ),
            (
                |t| t.steps[2].committed = vec![3],
                4,
                "`committed` names position 3",
            ),
            (|t| t.steps[1].remasked.clear(), 3, "leaves out position 1"),
            (
                |t| t.steps[2].remasked = vec![1],
                4,
                "`remasked` names position 1",
            ),
            (|t| t.steps[0].committed = vec![3, 1], 2, "ascending"),
            (|t| t.steps[0].committed = vec![1, 9], 2, "position 9"),
            (|t| t.footer.steps = 5, 6, "counts 5 steps, and 4"),
            (|t| t.footer.seconds = -1.0, 6, "`seconds`"),
        ];
        for (damage, line, mentioned) in cases {
            let mut trace = remasking();
            damage(&mut trace);
            let told = read(&trace.to_json_lines().unwrap()).unwrap_err();
            let message = told.to_string();
            assert!(
                message.starts_with(&format!("`t.jsonl`, line {line}: ")),
                "{message}"
            );
            assert!(message.contains(mentioned), "no `{mentioned}` in {message}");
            assert_eq!(told.kind(), Kind::Input);
            assert!(told.hint().is_some());
        }
    }

    #[test]
    fn alternatives_are_checked() {
        let mut trace = remasking();
        trace.steps[0].top = Some(vec![vec![(0, 0.5), (1, 0.25)]; 4]);
        let lines = trace.to_json_lines().unwrap();
        assert_eq!(read(&lines).unwrap(), trace);
        for (from, to, mentioned) in [
            ("[0,0.5]", "[3,0.5]", "id 3"),
            ("[0,0.5]", "[0,1.5]", "1.5"),
            ("[[[0,0.5],[1,0.25]],", "[", "`top` has 3"),
        ] {
            let message = read(&lines.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(message.contains(mentioned), "{message}");
        }
    }

    #[test]
    fn a_mask_may_not_be_left() {
        let mut trace = remasking();
        trace.steps.pop();
        trace.footer.steps = 3;
        let message = trace.check("t.jsonl").unwrap_err().to_string();
        assert_eq!(
            message,
            "`t.jsonl`, line 4: position 1 is still masked after the last step"
        );
        trace.steps.clear();
        trace.footer.steps = 0;
        assert!(trace.check("t.jsonl").is_err());
        trace.header.prompt = vec![0; 4];
        assert!(trace.check("t.jsonl").is_ok());
    }

    #[test]
    fn written_lines_satisfy_the_schema() {
        let schema: Value =
            serde_json::from_str(include_str!("../../../docs/trace.schema.json")).unwrap();
        let mut branch = remasking();
        branch.header.parent = Some(Parent {
            trace: "parent.jsonl".to_owned(),
            step: 2,
            edits: vec![Edit {
                position: 1,
                token: -1,
            }],
        });
        branch.header.vocab = None;
        branch.steps[0].top = Some(vec![vec![(0, 0.5)], vec![], vec![], vec![]]);
        branch.steps[0].divergence = Some(0.125);
        for trace in [remasking(), branch] {
            let text = trace.to_json_lines().unwrap();
            let lines: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            for (number, line) in lines.iter().enumerate() {
                let kind = match number {
                    0 => "header",
                    _ if number + 1 == lines.len() => "footer",
                    _ => "step",
                };
                assert_eq!(mismatch(&schema["$defs"][kind], line, kind), None);
                assert!(mismatch(&schema["$defs"][kind], &json!([]), kind).is_some());
                // Whatever the format promises, the schema says the type of, and asks for unless it may be absent.
                for (field, value) in line.as_object().unwrap() {
                    let mut less = line.clone();
                    less.as_object_mut().unwrap().remove(field);
                    assert!(
                        field == "divergence"
                            || mismatch(&schema["$defs"][kind], &less, kind).is_some(),
                        "{field}"
                    );
                    let mut wrong = line.clone();
                    wrong[field] = json!({"not": [value]});
                    let told = mismatch(&schema["$defs"][kind], &wrong, kind);
                    assert!(told.is_some(), "{kind} takes anything as its {field}");
                }
            }
        }
    }

    /// Where and how a value breaks a schema of the few keywords that ours uses.
    fn mismatch(schema: &Value, value: &Value, place: &str) -> Option<String> {
        for (keyword, wanted) in schema.as_object().unwrap() {
            let broken = match keyword.as_str() {
                "title" | "description" => None,
                "type" => {
                    let names = match wanted {
                        Value::Array(names) => names.clone(),
                        name => vec![name.clone()],
                    };
                    let fits = names.iter().any(|name| match name.as_str().unwrap() {
                        "null" => value.is_null(),
                        "integer" => value.is_i64() || value.is_u64(),
                        "number" => value.is_number(),
                        "string" => value.is_string(),
                        "array" => value.is_array(),
                        "object" => value.is_object(),
                        other => panic!("no type {other}"),
                    });
                    (!fits).then(|| format!("{place}: {value} is no {wanted}"))
                }
                "const" => (value != wanted).then(|| format!("{place}: {value} is not {wanted}")),
                "enum" => (!wanted.as_array().unwrap().contains(value))
                    .then(|| format!("{place}: {value} is not in {wanted}")),
                "minimum" => (value.is_number() && value.as_f64() < wanted.as_f64())
                    .then(|| format!("{place}: {value} is below {wanted}")),
                "maximum" => (value.is_number() && value.as_f64() > wanted.as_f64())
                    .then(|| format!("{place}: {value} is above {wanted}")),
                "minItems" => value
                    .as_array()
                    .filter(|items| (items.len() as u64) < wanted.as_u64().unwrap())
                    .map(|_| format!("{place} has fewer items than {wanted}")),
                "maxItems" => value
                    .as_array()
                    .filter(|items| (items.len() as u64) > wanted.as_u64().unwrap())
                    .map(|_| format!("{place} has more items than {wanted}")),
                "required" => wanted
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|field| value.is_object() && value.get(field.as_str().unwrap()).is_none())
                    .map(|field| format!("{place} has no {field}")),
                "properties" => wanted
                    .as_object()
                    .unwrap()
                    .iter()
                    .find_map(|(field, schema)| {
                        mismatch(schema, value.get(field)?, &format!("{place}.{field}"))
                    }),
                "items" => value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .find_map(|item| mismatch(wanted, item, &format!("{place}[]"))),
                other => panic!("this test knows no keyword `{other}`"),
            };
            if broken.is_some() {
                return broken;
            }
        }
        None
    }

    #[test]
    fn files_that_are_no_whole_trace_say_what_they_are() {
        let whole = remasking().to_json_lines().unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        let cases = [
            (String::new(), "`t.jsonl` is empty"),
            (" \n\n".to_owned(), "`t.jsonl` is empty"),
            (
                "hello".to_owned(),
                "`t.jsonl` is no trace: line 1, column 1: expected value",
            ),
            (
                "{}".to_owned(),
                "`t.jsonl` is no trace: line 1, column 2: missing field `version`",
            ),
            (
                r#"{"version":7,"format":"unheard of"}"#.to_owned(),
                "`t.jsonl` was written by a newer Crossover: it has version 7 of the format, and this one reads 1",
            ),
            (
                r#"{"version":0}"#.to_owned(),
                "`t.jsonl`, line 1: there is no version 0 of the format",
            ),
            (
                lines[0][..30].to_owned(),
                "`t.jsonl` is cut off in the middle of line 1",
            ),
            (lines[0].to_owned(), "`t.jsonl` ends after its header"),
            (
                lines[..3].join("\n"),
                "`t.jsonl` has no footer: it ends after line 3, a step",
            ),
            (
                whole[..whole.len() - 9].to_owned(),
                "`t.jsonl` is cut off in the middle of line 6",
            ),
            (
                lines[..3].join("\n") + &lines[3][..40],
                "`t.jsonl`, line 3, column 141: missing field `text`",
            ),
            (
                lines[..3].join("\n") + "\n" + &lines[3][..40],
                "`t.jsonl` is cut off in the middle of line 4",
            ),
            (
                whole.repeat(2),
                "`t.jsonl`, line 6: the footer stands here, and more follows",
            ),
            (
                whole.replace(r#""step":2"#, r#""step":"two""#),
                "`t.jsonl`, line 3, column 13: invalid type: string \"two\", expected usize",
            ),
        ];
        for (text, expected) in cases {
            let error = read(&text).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(error.hint().is_some(), "{expected}");
        }
    }

    /// What one position does in one step: stay, be written, be hidden; with which token and confidence.
    type Move = (u8, u32, u16);

    /// Any trace that keeps every promise. Its `f64` are short: serde_json reads such to the last bit, others to the
    /// last but one.
    fn traces() -> impl Strategy<Value = Trace> {
        let shape = (1_usize..6, 1_usize..6, 1_u32..4);
        shape.prop_flat_map(|(length, steps, ids)| {
            let template = vec(prop::option::weighted(0.3, 0..ids), length);
            let moves = vec(vec((0..3_u8, 0..ids, any::<u16>()), length), steps);
            let rest = (any::<bool>(), any::<bool>(), any::<u64>(), any::<String>());
            (template, moves, rest).prop_map(move |(template, moves, (named, top, seed, text))| {
                let mut trace = played(&template, &moves);
                trace.header.seed = seed;
                trace.header.vocab = named.then(|| {
                    let names = (0..ids).map(|id| format!("{text}{id}"));
                    names.chain(["[MASK]".to_owned()]).collect()
                });
                if top {
                    for step in &mut trace.steps {
                        step.top = Some(vec![vec![(0, step.confidence[0])]; length]);
                    }
                }
                trace.footer.text = text;
                trace
            })
        })
    }

    /// The trace of these moves; the last step writes whatever is left.
    fn played(template: &[Option<u32>], moves: &[Vec<Move>]) -> Trace {
        let prompt: Vec<i64> = template
            .iter()
            .map(|token| token.map_or(MASK, i64::from))
            .collect();
        let given = |position: usize| prompt[position] != MASK;
        let mut tokens = prompt.clone();
        let mut confidence: Vec<f32> = (0..prompt.len())
            .map(|position| f32::from(u8::from(given(position))))
            .collect();
        let mut steps = Vec::new();
        for (index, step) in moves.iter().enumerate() {
            let is_last = index + 1 == moves.len();
            let (mut committed, mut remasked) = (Vec::new(), Vec::new());
            for (position, &(what, id, sure)) in step.iter().enumerate() {
                let is_masked = tokens[position] == MASK;
                if is_masked && (what == 1 || is_last) {
                    tokens[position] = i64::from(id);
                    confidence[position] = f32::from(sure) / f32::from(u16::MAX);
                    committed.push(position);
                } else if what == 2 && !(is_masked || is_last || given(position)) {
                    tokens[position] = MASK;
                    confidence[position] = 0.0;
                    remasked.push(position);
                }
            }
            steps.push(Step {
                step: index + 1,
                t: 1.0 - (index + 1) as f64 / 8.0,
                tokens: tokens.clone(),
                committed,
                remasked,
                entropy: confidence.iter().map(|sure| 2.0 * (1.0 - sure)).collect(),
                confidence: confidence.clone(),
                top: None,
                divergence: None,
            });
        }
        let mut trace = remasking();
        trace.header.length = prompt.len();
        trace.header.prompt = prompt;
        trace.footer.steps = steps.len();
        trace.steps = steps;
        trace
    }

    /// One change to a file: what is there is overwritten, left out, repeated, or cut off.
    type Change = (u8, prop::sample::Index, Vec<u8>);

    fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
        for (what, at, with) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            let end = (at + with.len()).min(bytes.len());
            match what {
                0 => drop(bytes.splice(at..end, with.iter().copied())),
                1 => drop(bytes.drain(at..end)),
                2 => drop(bytes.splice(at..at, with.iter().copied())),
                3 => bytes.extend_from_within(at..end),
                _ => bytes.truncate(at),
            }
        }
        bytes
    }

    /// Bytes a file of numbers may be damaged with so that it still reads.
    fn damage() -> impl Strategy<Value = Vec<u8>> {
        let telling = prop::sample::select(b"0123456789-.,eE[]{}\":\n tnul".to_vec());
        vec(prop_oneof![4 => telling, 1 => any::<u8>()], 0..5)
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(trace in traces()) {
            let lines = trace.to_json_lines().unwrap();
            prop_assert_eq!(read(&lines).unwrap(), trace);
        }

        #[test]
        fn no_damage_makes_the_reader_panic(
            trace in traces(),
            changes in vec((0..5_u8, any::<prop::sample::Index>(), damage()), 1..4),
        ) {
            let bytes = changed(trace.to_json_lines().unwrap().into_bytes(), &changes);
            if let Ok(read) = read(&String::from_utf8_lossy(&bytes)) {
                read.check("again").unwrap();
            }
        }
    }
}
