//! The player in a terminal: keys, time, and a terminal that is always put back as it was.

use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::film::Film;
use super::player::{Player, Wish};
use super::screen;
use crate::terminal::Palette;

/// The longest wait for a key: a signal is noticed this soon.
const BREATH: Duration = Duration::from_millis(100);
/// The exit code of an interrupted command.
const INTERRUPTED: i32 = 130;

/// How a player ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The reader left.
    Quit,
    /// The reader pressed Ctrl-C.
    Interrupt,
    /// The process was asked to end.
    Signal,
}

/// Whether a player has the terminal, and whether a signal has come for it.
static IS_OPEN: AtomicBool = AtomicBool::new(false);
static IS_TOLD: AtomicBool = AtomicBool::new(false);

/// Plays until the reader leaves.
///
/// # Errors
/// When the terminal can't be used. It is put back as it was in any case.
pub fn play(film: &Film) -> io::Result<Ended> {
    heed_signals();
    let mut screen = Screen::open()?;
    let palette = Palette::detect();
    let mut player = Player::new(film.last());
    let mut since = Instant::now();
    loop {
        if IS_TOLD.swap(false, Ordering::SeqCst) {
            return Ok(Ended::Signal);
        }
        let mut first_row = 0;
        screen.terminal.draw(|frame| {
            let area = frame.area();
            first_row = screen::render(film, &player, palette, area, frame.buffer_mut());
        })?;
        let due = if player.playing {
            player.pause().saturating_sub(since.elapsed())
        } else {
            BREATH
        };
        if event::poll(due.min(BREATH))? {
            if let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
            {
                let was_playing = player.playing;
                match player.press(key, first_row) {
                    Some(Wish::Quit) => return Ok(Ended::Quit),
                    Some(Wish::Interrupt) => return Ok(Ended::Interrupt),
                    None => {}
                }
                if player.playing && !was_playing {
                    since = Instant::now();
                }
            }
        } else if player.playing && since.elapsed() >= player.pause() {
            player.tick();
            since = Instant::now();
        }
    }
}

/// The terminal while the player has it: keys unread by anyone else, on a screen of its own. Dropping gives it back;
/// a panic does so before it says anything, by ratatui's hook.
struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    fn open() -> io::Result<Self> {
        IS_OPEN.store(true, Ordering::SeqCst);
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                put_back();
                Err(error)
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.terminal.show_cursor();
        put_back();
    }
}

fn put_back() {
    // A terminal that is gone takes nothing back.
    let _ = ratatui::try_restore();
    IS_OPEN.store(false, Ordering::SeqCst);
}

/// Lets a signal end the player in order; when none is open, it ends the process as it did before.
fn heed_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Where a handler can't be had, a signal leaves the terminal as it is; the player still works.
        let _ = ctrlc::set_handler(|| {
            if IS_OPEN.load(Ordering::SeqCst) {
                IS_TOLD.store(true, Ordering::SeqCst);
            } else {
                std::process::exit(INTERRUPTED);
            }
        });
    });
}
