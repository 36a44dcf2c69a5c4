//! A trace as plain lines, where nobody can press keys.

use anyhow::Result;

use super::film::{Film, Look};
use crate::commands::{print_json, print_text};

/// What stands where nothing is written.
const MASKED: &str = "░";

/// Prints every state, or with `json` every step as the file has it.
///
/// # Errors
/// When standard output takes no more.
pub fn print(film: &Film, json: bool) -> Result<()> {
    if json {
        return film.trace.steps.iter().try_for_each(print_json);
    }
    print_text(&format!("{}: {}\n", film.name, film.title()))?;
    (0..=film.last()).try_for_each(|state| print_text(&lines(film, state)))
}

/// A state: what changed, then the text.
fn lines(film: &Film, state: usize) -> String {
    let mut text = format!(
        "\nstep {state} of {}, t {:.3}{}",
        film.last(),
        film.time(state),
        film.divergence(state)
    );
    if let Some(step) = film.step(state) {
        text.push_str(&format!(", {} written", step.committed.len()));
        if !step.remasked.is_empty() {
            text.push_str(&format!(", {} hidden again", step.remasked.len()));
        }
    }
    text.push('\n');
    for (position, &token) in film.tokens(state).iter().enumerate() {
        let is_masked = matches!(film.look(state, position), Look::Masked | Look::Remasked);
        if is_masked {
            text.push_str(MASKED);
        } else {
            text.extend(film.spelling(token).chars().map(printable));
        }
        if let Some(side) = film.side {
            let ends_row = (position + 1) % side == 0;
            text.push(if ends_row { '\n' } else { ' ' });
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Line breaks and tabs are the text's own; what a terminal would obey is not.
fn printable(character: char) -> char {
    match character {
        '\n' | '\t' => character,
        control if control.is_control() => '·',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::film::tests::{square, story};
    use super::*;

    #[test]
    fn a_state_is_a_line_about_it_and_its_text() {
        insta::assert_snapshot!(lines(&story(), 2).trim(), @"
        step 2 of 6, t 0.667, 6 written, 1 hidden again
        O░c░ u░░░ a░░░░░
        ░░░░e ░░░ ░░░ox░
        ");
        insta::assert_snapshot!(lines(&square(), 1).trim(), @"
        step 1 of 3, t 0.667, 2 written
        1 2 ░
        ░ 3 ░
        ░ ░ 2
        ");
    }

    #[test]
    fn an_approximate_cache_says_how_far_it_was_off() {
        let mut film = story();
        film.trace.steps[1].divergence = Some(0.0123);
        let line = lines(&film, 2);
        assert!(
            line.contains("t 0.667 · off 0.012 nats, 6 written"),
            "{line}"
        );
    }

    #[test]
    fn nothing_a_terminal_would_obey_is_printed() {
        let mut film = story();
        for text in film.trace.header.vocab.iter_mut().flatten() {
            *text = "\x1b[31m".to_owned();
        }
        assert!(!lines(&film, film.last()).contains('\x1b'));
    }
}
