//! A model writes, and its trace is the answer.

use crate::device::Selected;
use crate::error::{Error, Result};
use crate::lab::load::{Loaded, load_checkpoint};
use crate::lab::protocol::{Answer, Template, Writing};
use crate::lab::template::templates;
use crate::lab::writing::{check_vocabulary, traced};
use crate::platform;
use crate::sample::{Cell, Parent, Trace};

pub(super) async fn write(
    model: &str,
    template: Template,
    writing: &Writing,
    device: &Selected,
) -> Result<Answer> {
    let loaded = load_checkpoint(model, device)?;
    let tokenizer = &loaded.checkpoint.tokenizer;
    let (cells, parent) = cells(template, &loaded)?;
    let way = traced(writing.way(&loaded, cells)?, writing.cache);
    let began = platform::now();
    let written = way.write(&loaded.model, 0..1).await?;
    let seconds = began.elapsed().as_secs_f64();
    let sample = written
        .into_iter()
        .next()
        .ok_or_else(|| Error::work("the model wrote nothing"))?;
    let text = tokenizer.decode(sample.text());
    let mut header = way.header(0, Some(tokenizer.vocab()));
    header.parent = parent;
    let trace = Trace::new(header, sample, text, seconds);
    Ok(Answer::Written {
        trace: trace.to_json_lines()?,
    })
}

/// What stands on the page, and the trace that it is taken from where it is a branch.
fn cells(template: Template, loaded: &Loaded) -> Result<(Vec<Cell>, Option<Parent>)> {
    let tokenizer = &loaded.checkpoint.tokenizer;
    let window = loaded.checkpoint.length;
    match template {
        Template::Prompt { text, length } => {
            let length = length.unwrap_or(window);
            let prompt = tokenizer.encode(&text)?;
            if prompt.len() >= length {
                return Err(Error::input(format!(
                    "the prompt has {} tokens and the text {length}: nothing is left to write",
                    prompt.len()
                ))
                .with_hint("shorten the prompt or raise the length"));
            }
            let mut cells: Vec<Cell> = prompt.into_iter().map(Cell::Given).collect();
            cells.resize(length, Cell::Free);
            Ok((fitting(cells, window)?, None))
        }
        Template::Gaps { text } => {
            let mut found = templates(&text, tokenizer, window)?;
            match found.len() {
                1 => Ok((found.remove(0), None)),
                several => Err(Error::input(format!(
                    "the gaps can have {several} combinations of lengths, and one is written here"
                ))
                .with_hint("give each gap one length, such as `[MASK:8]`")),
            }
        }
        Template::Tokens { tokens } => {
            let cells = tokens
                .iter()
                .map(|token| u32::try_from(*token).map_or(Cell::Free, Cell::Given));
            Ok((fitting(cells.collect(), window)?, None))
        }
        Template::Branch {
            trace,
            name,
            step,
            edits,
        } => {
            let parent = Trace::from_json_lines(&trace, &name)?;
            check_vocabulary(&parent, tokenizer, &name)?;
            let cells = parent.branch(step, &edits)?;
            Ok((
                fitting(cells, window)?,
                Some(Parent {
                    trace: name,
                    step,
                    edits,
                }),
            ))
        }
    }
}

fn fitting(cells: Vec<Cell>, window: usize) -> Result<Vec<Cell>> {
    match cells.len() <= window {
        true => Ok(cells),
        false => Err(Error::input(format!(
            "the text has {} tokens, and this model was trained on windows of {window}",
            cells.len()
        ))
        .with_hint(format!("use at most {window}"))),
    }
}
