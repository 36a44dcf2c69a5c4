//! Where each position stands on the page.

use std::ops::Range;

use ratatui::text::Span;

use super::film::{Film, visible};

/// Rows of positions. Every position keeps its place and width in all states: those of its last token, so that a text
/// does not jump about while it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The positions of each row.
    pub rows: Vec<Range<usize>>,
    /// Columns of each position, at least 1.
    pub widths: Vec<usize>,
}

impl Layout {
    /// A text broken into rows of at most `columns`, at its line breaks and, where it can be, between words; a square
    /// in its own rows.
    pub fn new(film: &Film, columns: usize) -> Self {
        let columns = columns.max(1);
        if let Some(side) = film.side {
            return Self {
                rows: (0..side).map(|row| row * side..(row + 1) * side).collect(),
                widths: vec![3; film.length()],
            };
        }
        let texts: Vec<_> = film
            .tokens(film.last())
            .iter()
            .map(|&token| film.spelling(token))
            .collect();
        let widths: Vec<usize> = texts
            .iter()
            .map(|text| width(&visible(text)).clamp(1, columns))
            .collect();
        let (mut rows, mut start, mut used) = (Vec::new(), 0, 0);
        for (position, text) in texts.iter().enumerate() {
            if used + widths[position] > columns {
                // The word goes with it, if that leaves something in the row.
                let word = (start + 1..=position)
                    .rev()
                    .find(|&at| texts[at - 1].ends_with(' ') || texts[at].starts_with(' '));
                let end = word.unwrap_or(position);
                rows.push(start..end);
                start = end;
                used = widths[start..position].iter().sum();
            }
            used += widths[position];
            if text.ends_with('\n') {
                rows.push(start..position + 1);
                (start, used) = (position + 1, 0);
            }
        }
        if start < film.length() {
            rows.push(start..film.length());
        }
        Self { rows, widths }
    }
}

/// Columns that a text takes in a terminal.
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// A text in exactly so many columns: cut, or followed by blanks.
pub fn fitted(text: &str, columns: usize) -> String {
    if width(text) > columns {
        let room = columns.saturating_sub(1);
        let mut kept = String::new();
        for character in text.chars() {
            let next = format!("{kept}{character}");
            if width(&next) > room {
                break;
            }
            kept = next;
        }
        return fitted_end(kept + "…", columns);
    }
    fitted_end(text.to_owned(), columns)
}

fn fitted_end(mut text: String, columns: usize) -> String {
    let blanks = columns.saturating_sub(width(&text));
    text.extend(std::iter::repeat_n(' ', blanks));
    text
}

#[cfg(test)]
mod tests {
    use super::super::film::tests::{square, story};
    use super::*;

    #[test]
    fn text_breaks_between_words_and_at_its_own_line_breaks() {
        let film = story();
        let rows = |columns| Layout::new(&film, columns).rows;
        assert_eq!(rows(80), [0..17, 17..33]);
        assert_eq!(rows(12), [0..12, 12..17, 17..29, 29..33]);
        // Too narrow for words: nothing is lost.
        let narrow = rows(2);
        assert!(narrow.iter().all(|row| !row.is_empty() && row.len() <= 2));
        assert_eq!(narrow.iter().map(ExactSizeIterator::len).sum::<usize>(), 33);
    }

    #[test]
    fn squares_keep_their_rows() {
        assert_eq!(Layout::new(&square(), 80).rows, [0..3, 3..6, 6..9]);
    }

    #[test]
    fn tokens_fit_their_columns() {
        assert_eq!(fitted("abc", 5), "abc  ");
        assert_eq!(fitted("abc", 2), "a…");
        assert_eq!(fitted("一二", 3), "一…");
        assert_eq!(fitted("一", 1), "…");
    }
}
