//! What the models wrote along the way, side by side.

use crossover::lab::SampleText;

use crate::numbers;
use crate::theme::racer;
use crate::{Run, escape};

/// Moments shown, the first and the last among them.
const MOMENTS: usize = 6;

/// The samples section's content; empty when the run has none.
pub fn samples(run: &Run) -> String {
    let mut steps: Vec<u64> = run.samples.iter().map(|sample| sample.step).collect();
    steps.dedup();
    let side = run.started.as_ref().and_then(|started| started.grid_side);
    let latin = run
        .config
        .corpus
        .source
        .iter()
        .all(|source| source.starts_with("grids:latin"));
    let moments: String = spread(&steps, MOMENTS)
        .into_iter()
        .map(|step| {
            let time = match run.history.epoch(step) {
                Some(epoch) => format!(
                    "epoch {} · step {}",
                    numbers::short(epoch),
                    numbers::grouped(step)
                ),
                None => format!("step {}", numbers::grouped(step)),
            };
            let written: String = run
                .samples
                .iter()
                .filter(|sample| sample.step == step)
                .map(|sample| one(sample, side, latin))
                .collect();
            format!(
                "<div class=\"moment\"><h3>{time}</h3><div class=\"pair\">{written}</div></div>\n"
            )
        })
        .collect();
    let class = if side.is_some() {
        "samples"
    } else {
        "samples text"
    };
    if moments.is_empty() {
        moments
    } else {
        format!("<div class=\"{class}\">{moments}</div>")
    }
}

/// At most `limit` of the items, evenly, with the first and the last.
fn spread(items: &[u64], limit: usize) -> Vec<u64> {
    if items.len() <= limit {
        return items.to_vec();
    }
    (0..limit)
        .map(|index| items[index * (items.len() - 1) / (limit - 1)])
        .collect()
}

fn one(sample: &SampleText, side: Option<usize>, latin: bool) -> String {
    let look = racer(sample.objective);
    let badge = match sample.valid {
        Some(true) => "<span class=\"badge ok\">✓ valid</span>",
        Some(false) => "<span class=\"badge no\">✗ invalid</span>",
        None => "",
    };
    let body = match side.and_then(|side| rows(&sample.text, side)) {
        Some(rows) => square(&rows, latin),
        None => format!("<p class=\"written\">{}</p>", escape(&sample.text)),
    };
    format!(
        "<div><div class=\"who\"><span class=\"{}\">{} {}</span>{badge}</div>{body}</div>",
        look.class, look.mark, look.name
    )
}

/// The rows of a grid; `None` when the text has not one symbol for each cell.
pub fn rows(text: &str, side: usize) -> Option<Vec<Vec<char>>> {
    let cells: Vec<char> = text.chars().filter(|cell| !cell.is_whitespace()).collect();
    (side > 0 && cells.len() == side * side)
        .then(|| cells.chunks(side).map(<[char]>::to_vec).collect())
}

fn square(rows: &[Vec<char>], latin: bool) -> String {
    let lines: String = rows
        .iter()
        .map(|row| {
            let cells: String = row
                .iter()
                .enumerate()
                .map(|(across, cell)| {
                    let in_row = row.iter().filter(|other| *other == cell).count();
                    let in_column = rows.iter().filter(|other| other[across] == *cell).count();
                    let class = if latin && (in_row > 1 || in_column > 1) {
                        " class=\"twice\""
                    } else {
                        ""
                    };
                    format!("<span{class}>{}</span>", escape(&cell.to_string()))
                })
                .collect();
            format!("<div>{cells}</div>")
        })
        .collect();
    format!("<div class=\"grid\">{lines}</div>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_spread_from_first_to_last() {
        let steps: Vec<u64> = (1..=25).map(|index| index * 100).collect();
        assert_eq!(spread(&steps, 6), [100, 500, 1_000, 1_500, 2_000, 2_500]);
        assert_eq!(spread(&steps[..2], 6), [100, 200]);
    }

    #[test]
    fn a_grid_shows_what_stands_twice() {
        let rows = rows("12\n22", 2).expect("four cells");
        let html = square(&rows, true);
        assert_eq!(html.matches("twice").count(), 3);
        assert!(!square(&rows, false).contains("twice"));
        assert_eq!(super::rows("123", 2), None);
    }
}
