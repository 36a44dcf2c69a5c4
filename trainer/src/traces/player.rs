//! What the player shows now, and what a key or the passing of time makes of it. Knows no terminal.

use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::film::Measure;

/// Steps in a second that can be chosen.
const SPEEDS: [u32; 6] = [1, 2, 4, 8, 16, 32];

/// Which picture is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// The state of one step: a text, or a square.
    #[default]
    Text,
    /// All positions at all steps.
    HeatMap,
}

/// What the reader wants beyond another picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To leave.
    Quit,
    /// To stop the command.
    Interrupt,
}

/// The player's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Player {
    /// The state that is shown, up to `last`.
    pub state: usize,
    /// The last state.
    pub last: usize,
    /// Whether time moves it.
    pub playing: bool,
    /// Which picture.
    pub view: View,
    /// What colours mean.
    pub measure: Measure,
    /// The first row of a text that does not fit, where the reader chose one.
    pub scrolled: Option<usize>,
    speed: usize,
}

impl Player {
    /// At the beginning, and moving.
    pub fn new(last: usize) -> Self {
        Self {
            state: 0,
            last,
            playing: last > 0,
            view: View::default(),
            measure: Measure::default(),
            scrolled: None,
            speed: 3,
        }
    }

    /// Steps in a second.
    pub fn speed(&self) -> u32 {
        SPEEDS[self.speed]
    }

    /// How long one state is shown.
    pub fn pause(&self) -> Duration {
        Duration::from_secs(1) / self.speed()
    }

    /// The next state's turn has come.
    pub fn tick(&mut self) {
        if self.playing {
            self.go(self.state + 1);
            self.playing = self.state < self.last;
        }
    }

    /// Obeys a key; `first_row` is the row of text on top now.
    pub fn press(&mut self, key: KeyEvent, first_row: usize) -> Option<Wish> {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return (key.code == KeyCode::Char('c')).then_some(Wish::Interrupt);
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Some(Wish::Quit),
            KeyCode::Char(' ') => {
                if !self.playing && self.state == self.last {
                    self.go(0);
                }
                self.playing = !self.playing && self.last > 0;
            }
            KeyCode::Right => self.jump(self.state.saturating_add(1)),
            KeyCode::Left => self.jump(self.state.saturating_sub(1)),
            KeyCode::PageDown => self.jump(self.state.saturating_add(10)),
            KeyCode::PageUp => self.jump(self.state.saturating_sub(10)),
            KeyCode::Home => self.jump(0),
            KeyCode::End => self.jump(self.last),
            KeyCode::Up => self.scrolled = Some(first_row.saturating_sub(1)),
            KeyCode::Down => self.scrolled = Some(first_row + 1),
            KeyCode::Char('+' | '=') => self.speed = (self.speed + 1).min(SPEEDS.len() - 1),
            KeyCode::Char('-' | '_') => self.speed = self.speed.saturating_sub(1),
            KeyCode::Char('h') => {
                self.view = match self.view {
                    View::Text => View::HeatMap,
                    View::HeatMap => View::Text,
                };
            }
            KeyCode::Char('e') => {
                self.measure = match self.measure {
                    Measure::Confidence => Measure::Entropy,
                    Measure::Entropy => Measure::Confidence,
                };
            }
            _ => {}
        }
        None
    }

    /// A step by hand ends the play.
    fn jump(&mut self, state: usize) {
        self.playing = false;
        self.go(state);
    }

    fn go(&mut self, state: usize) {
        self.state = state.min(self.last);
        self.scrolled = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(player: &mut Player, keys: &[KeyCode]) {
        for key in keys {
            assert_eq!(player.press((*key).into(), 0), None);
        }
    }

    #[test]
    fn it_plays_every_state_once_and_stays_at_the_last() {
        let mut player = Player::new(3);
        let states: Vec<usize> = (0..6)
            .map(|_| {
                player.tick();
                player.state
            })
            .collect();
        assert_eq!(states, [1, 2, 3, 3, 3, 3]);
        assert!(!player.playing);
        pressed(&mut player, &[KeyCode::Char(' ')]);
        assert!(player.playing && player.state == 0);
    }

    #[test]
    fn arrows_step_and_end_the_play() {
        let mut player = Player::new(30);
        pressed(&mut player, &[KeyCode::Right, KeyCode::Right]);
        assert!(player.state == 2 && !player.playing);
        player.tick();
        assert_eq!(player.state, 2);
        pressed(&mut player, &[KeyCode::Left, KeyCode::Left, KeyCode::Left]);
        assert_eq!(player.state, 0);
        pressed(&mut player, &[KeyCode::End, KeyCode::Right]);
        assert_eq!(player.state, 30);
        pressed(&mut player, &[KeyCode::PageUp]);
        assert_eq!(player.state, 20);
        pressed(&mut player, &[KeyCode::Home]);
        assert_eq!(player.state, 0);
    }

    #[test]
    fn speed_has_ends() {
        let mut player = Player::new(1);
        pressed(&mut player, &[KeyCode::Char('+'); 9]);
        assert_eq!(player.speed(), 32);
        pressed(&mut player, &[KeyCode::Char('-'); 9]);
        assert_eq!(player.pause(), Duration::from_secs(1));
    }

    #[test]
    fn there_are_three_ways_out() {
        let mut player = Player::new(1);
        let quit = [KeyCode::Char('q'), KeyCode::Esc];
        for key in quit {
            assert_eq!(player.press(key.into(), 0), Some(Wish::Quit));
        }
        let stop = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(player.press(stop, 0), Some(Wish::Interrupt));
        let mut empty = Player::new(0);
        pressed(&mut empty, &[KeyCode::Char(' '), KeyCode::Right]);
        assert!(empty.state == 0 && !empty.playing);
    }
}
