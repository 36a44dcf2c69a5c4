//! Traces, shown: step by step in a terminal, as plain lines, as a page, as a moving picture.
//!
//! A [`Film`] is a trace prepared for showing: what stands at each position after each step, and how sure the model was.
//! [`screen`] draws one state of a [`player`] into a buffer and knows no terminal; [`play`] reads keys and keeps time.
//! [`page`] and [`picture`] are the same for a browser and for a GIF.

mod colours;
mod film;
mod layout;
mod page;
mod picture;
mod plain;
mod play;
mod player;
mod screen;

use std::io::{self, IsTerminal};

use anyhow::Result;
use crossover::error::Error;
use crossover::sample::Trace;
use ratatui::crossterm::terminal;

pub use film::Film;
pub use page::page;
pub use picture::gif;
use play::Ended;

/// Shows a trace: in a terminal as a player, which ends when its reader leaves it; elsewhere as lines, one step after
/// the other, or with `json` the steps as the file has them.
///
/// # Errors
/// When standard output takes no more, or a signal ended the player.
pub fn show(film: &Film, json: bool) -> Result<()> {
    match present(film, json)? {
        Some(Ended::Signal) => Err(Error::interrupted("the player was stopped").into()),
        _ => Ok(()),
    }
}

/// Shows the trace of a sample that was just written, as [`show`] does. Ctrl-C in the player ends the command, not this
/// sample alone.
///
/// # Errors
/// As [`show`], and when the reader asks to stop.
pub fn watch(trace: &Trace, json: bool) -> Result<()> {
    let name = format!("sample {}", trace.header.sampler.sample);
    match present(&Film::new(trace.clone(), name), json)? {
        Some(Ended::Interrupt | Ended::Signal) => {
            Err(Error::interrupted("the samples that follow were not written").into())
        }
        _ => Ok(()),
    }
}

fn present(film: &Film, json: bool) -> Result<Option<Ended>> {
    if !json && can_play() {
        return Ok(Some(play::play(film)?));
    }
    plain::print(film, json)?;
    Ok(None)
}

/// Whether somebody sits at a terminal that can show pictures and has room for one.
fn can_play() -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let has_room = matches!(terminal::size(), Ok((columns, rows)) if columns > 0 && rows > 0);
    !is_dumb && io::stdout().is_terminal() && io::stdin().is_terminal() && has_room
}
