//! Where words begin and end: neighbours are merged inside words only.

use serde_json::Value;
use tokenizers::SplitDelimiterBehavior;
use tokenizers::pre_tokenizers::split::Split;
use tokenizers::utils::SysRegex;

use crate::error::{Error, Result};

/// GPT-2's words: English contractions, letters, digits or other signs with the space before them, and white space.
const GPT_2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Cuts text into words; every byte of the text is in one of them.
#[derive(Debug)]
pub(super) struct WordFinder(Vec<Step>);

/// Cuts each part that the step before has left.
#[derive(Debug)]
enum Step {
    /// Around what the expression matches.
    Around(SysRegex),
    /// Around each digit.
    Digits,
    /// Around each run of digits.
    Numbers,
}

impl WordFinder {
    /// The words of GPT-2.
    ///
    /// # Errors
    /// Never: its expression is valid.
    pub(super) fn gpt_2() -> Result<Self> {
        Ok(Self(vec![Step::Around(expression(GPT_2)?)]))
    }

    /// The words of a `tokenizer.json`'s pre-tokenizer, which must end in bytes.
    ///
    /// # Errors
    /// With the reason alone, when it isn't one of those whose words we find as the library does.
    pub(super) fn from_value(pre_tokenizer: &Value) -> Result<Self> {
        let alone = std::slice::from_ref(pre_tokenizer);
        let parts = match pre_tokenizer["pretokenizers"].as_array() {
            Some(parts) if pre_tokenizer["type"] == "Sequence" => parts,
            _ => alone,
        };
        let in_bytes = |part: &Value| part["type"] == "ByteLevel";
        let Some((bytes, before)) = parts.split_last().filter(|(last, _)| in_bytes(last)) else {
            return Err(Error::input(
                "it doesn't work on bytes (its pre-tokenizer doesn't end in `ByteLevel`)",
            ));
        };
        let mut steps = before
            .iter()
            .map(Step::from_value)
            .collect::<Result<Vec<_>>>()?;
        // Files from before there was a choice have the expression.
        if bytes["use_regex"] != false {
            steps.push(Step::Around(expression(GPT_2)?));
        }
        Ok(Self(steps))
    }

    /// The words of a text, in order.
    pub(super) fn words<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let mut words: Vec<_> = Some(text)
            .filter(|text| !text.is_empty())
            .into_iter()
            .collect();
        for step in &self.0 {
            let mut parts = Vec::with_capacity(words.len());
            for word in words {
                step.cut(word, &mut parts);
            }
            words = parts;
        }
        words
    }
}

impl Step {
    fn from_value(part: &Value) -> Result<Self> {
        match part["type"].as_str() {
            Some("Digits") if part["individual_digits"] == true => Ok(Self::Digits),
            Some("Digits") => Ok(Self::Numbers),
            Some("Split") => {
                let split: Split = serde_json::from_value(part.clone()).map_err(|error| {
                    Error::input("its `Split` pre-tokenizer can't be read").with_source(error)
                })?;
                match split.behavior {
                    SplitDelimiterBehavior::Isolated => Ok(Self::Around(split.regex)),
                    // What the expression doesn't match is to be dropped: nothing, or we keep it.
                    SplitDelimiterBehavior::Removed if split.invert => {
                        Ok(Self::Around(split.regex))
                    }
                    other => Err(Error::input(format!(
                        "its `Split` pre-tokenizer is `{other}`, not `Isolated`"
                    ))),
                }
            }
            other => Err(Error::input(format!(
                "its pre-tokenizer `{}` is none of `ByteLevel`, `Split` and `Digits`",
                other.unwrap_or("null")
            ))),
        }
    }

    fn cut<'t>(&self, text: &'t str, parts: &mut Vec<&'t str>) {
        match self {
            Self::Around(expression) => {
                let mut end = 0;
                for (from, to) in expression.find_iter(text) {
                    parts.extend(
                        [&text[end..from], &text[from..to]]
                            .iter()
                            .filter(|part| !part.is_empty()),
                    );
                    end = to;
                }
                parts.extend(Some(&text[end..]).filter(|rest| !rest.is_empty()));
            }
            Self::Digits => parts.extend(
                text.split_inclusive(char::is_numeric)
                    .flat_map(|part| {
                        let digit = part.chars().next_back().filter(|last| last.is_numeric());
                        let (before, digit) =
                            part.split_at(part.len() - digit.map_or(0, char::len_utf8));
                        [before, digit]
                    })
                    .filter(|part| !part.is_empty()),
            ),
            Self::Numbers => parts.extend(runs(text)),
        }
    }
}

/// The text, cut wherever digits begin or end.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let numeric = rest.chars().next()?.is_numeric();
        let end = rest
            .find(|character: char| character.is_numeric() != numeric)
            .unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        rest = behind;
        Some(run)
    })
}

fn expression(pattern: &str) -> Result<SysRegex> {
    SysRegex::new(pattern).map_err(|error| {
        Error::work("an expression that finds words is not valid").with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn gpt_2_finds_these_words() {
        let words = WordFinder::gpt_2().unwrap();
        assert_eq!(
            words.words("It's 1 été,\n\n  x= 42"),
            ["It", "'s", " 1", " été", ",", "\n\n ", " x", "=", " 42"]
        );
        assert!(words.words("").is_empty());
    }

    #[test]
    fn each_step_cuts_what_the_one_before_has_left() {
        let words = |steps: Value, text: &'static str| {
            let in_bytes = json!({"type": "ByteLevel", "use_regex": false});
            let mut parts = steps.as_array().unwrap().clone();
            parts.push(in_bytes);
            let sequence = json!({"type": "Sequence", "pretokenizers": parts});
            WordFinder::from_value(&sequence).unwrap().words(text)
        };
        let each = json!({"type": "Digits", "individual_digits": true});
        let runs = json!({"type": "Digits", "individual_digits": false});
        let split = json!({
            "type": "Split", "pattern": {"String": "a1"}, "behavior": "Isolated", "invert": false
        });
        assert_eq!(words(json!([]), "ab 12"), ["ab 12"]);
        assert_eq!(
            words(json!([each]), "ab12x٣٤"),
            ["ab", "1", "2", "x", "٣", "٤"]
        );
        assert_eq!(words(json!([runs]), "ab12x٣٤"), ["ab", "12", "x", "٣٤"]);
        assert_eq!(words(json!([split]), "xa12"), ["x", "a1", "2"]);
        assert_eq!(words(json!([split, each]), "xa12"), ["x", "a", "1", "2"]);
    }
}
