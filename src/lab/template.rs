//! Texts with gaps: `"To be[MASK:8]not to be"`.

use crate::corpus::Tokenizer;
use crate::error::{Error, Result};
use crate::sample::Cell;

/// Templates that the gaps of unknown length may lead to, at most.
const MOST: usize = 256;

/// Every template that a text with gaps stands for, all within `longest` tokens: `[MASK:8]` is a gap of eight tokens,
/// `[MASK:2-8]` one of two to eight.
///
/// # Errors
/// When a gap makes no sense or is too long, or the text has characters that the model does not know.
pub fn templates(text: &str, tokenizer: &Tokenizer, longest: usize) -> Result<Vec<Vec<Cell>>> {
    let mut templates = vec![Vec::new()];
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => {
                let given = tokenizer.encode(text)?;
                for template in &mut templates {
                    template.extend(given.iter().copied().map(Cell::Given));
                }
            }
            Piece::Gap { least, most } => {
                if least > longest {
                    return Err(Error::input(format!(
                        "a gap of {least} tokens is longer than the model's window of {longest}"
                    ))
                    .with_hint("shorten the gap"));
                }
                if templates.len() * (most - least + 1) > MOST {
                    return Err(Error::input(format!(
                        "the gaps can have more than {MOST} combinations of lengths"
                    ))
                    .with_hint("narrow their ranges"));
                }
                templates = templates
                    .iter()
                    .flat_map(|template| {
                        (least..=most).map(|count| {
                            let gap = std::iter::repeat_n(Cell::Free, count);
                            template.iter().copied().chain(gap).collect()
                        })
                    })
                    .collect();
            }
        }
    }
    let shortest = templates.iter().map(Vec::len).min().unwrap_or(0);
    templates.retain(|template| template.len() <= longest);
    if templates.is_empty() {
        return Err(Error::input(format!(
            "the template has {shortest} tokens, and this model was trained on windows of {longest}"
        ))
        .with_hint("shorten the text or its gaps"));
    }
    Ok(templates)
}

enum Piece<'a> {
    Text(&'a str),
    Gap { least: usize, most: usize },
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>> {
    const OPEN: &str = "[MASK:";
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(OPEN) {
        pieces.push(Piece::Text(before));
        let (gap, after) = behind
            .split_once(']')
            .and_then(|(gap, after)| Some((range(gap)?, after)))
            .ok_or_else(|| {
                Error::input(format!("`{OPEN}` is not followed by a number and `]`")).with_hint(
                    "write `[MASK:8]` for a gap of eight tokens, `[MASK:2-8]` for one of two to eight",
                )
            })?;
        pieces.push(gap);
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

fn range(text: &str) -> Option<Piece<'_>> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let (least, most) = (least.parse().ok()?, most.parse().ok()?);
    (0 < least && least <= most).then_some(Piece::Gap { least, most })
}
