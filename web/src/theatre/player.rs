//! Which state is shown, and what time makes of it.

/// Steps in a second that can be chosen.
pub const SPEEDS: [u32; 6] = [1, 2, 4, 8, 16, 32];
/// The one that is chosen first.
const FIRST: usize = 3;

/// A place in a film of states 0 to `last`.
#[derive(Debug, Clone, PartialEq)]
pub struct Player {
    state: usize,
    last: usize,
    playing: bool,
    speed: usize,
    /// When the next state's turn comes; unknown until the first look at the clock.
    due: Option<f64>,
}

impl Player {
    /// At the end, still.
    pub fn new(last: usize) -> Self {
        Self {
            state: last,
            last,
            playing: false,
            speed: FIRST,
            due: None,
        }
    }

    /// The state that is shown.
    pub fn state(&self) -> usize {
        self.state
    }

    /// The last state.
    pub fn last(&self) -> usize {
        self.last
    }

    /// Whether time moves it.
    pub fn is_playing(&self) -> bool {
        self.playing
    }

    /// Steps in a second.
    pub fn speed(&self) -> u32 {
        SPEEDS[self.speed]
    }

    /// Chooses among [`SPEEDS`].
    pub fn set_speed(&mut self, steps_per_second: u32) {
        if let Some(index) = SPEEDS.iter().position(|&speed| speed == steps_per_second) {
            self.speed = index;
            self.due = None;
        }
    }

    /// A speed further up or down.
    pub fn change_speed(&mut self, up: bool) {
        self.speed = match up {
            true => (self.speed + 1).min(SPEEDS.len() - 1),
            false => self.speed.saturating_sub(1),
        };
        self.due = None;
    }

    /// Moves through another film, from a state on; `playing` is a wish that the last state can't fulfil.
    pub fn load(&mut self, last: usize, state: usize, playing: bool) {
        self.last = last;
        self.state = state.min(last);
        self.playing = playing && self.state < last;
        self.due = None;
    }

    /// Goes to a state by hand, which ends the play.
    pub fn go(&mut self, state: usize) {
        self.playing = false;
        self.state = state.min(self.last);
    }

    /// The same by so many states, down or up.
    pub fn step(&mut self, by: isize) {
        self.go(self.state.saturating_add_signed(by));
    }

    /// Plays or holds; plays again from the start at the end.
    pub fn toggle(&mut self) {
        if !self.playing && self.state == self.last {
            self.state = 0;
        }
        self.playing = !self.playing && self.last > 0;
        self.due = None;
    }

    /// Looks at the clock, in seconds: shows the next state where its turn has come. Never leaves one out, however late it
    /// is. Gives the seconds until the next one's turn; none where nothing moves.
    pub fn tick(&mut self, now: f64) -> Option<f64> {
        if !self.playing {
            return None;
        }
        let pause = 1.0 / f64::from(self.speed());
        let due = *self.due.get_or_insert(now + pause);
        if now < due {
            return Some(due - now);
        }
        self.state += 1;
        self.playing = self.state < self.last;
        // Late by more than a pause: the clock starts anew, or states would hurry after it.
        let next = if now - due < pause { due } else { now } + pause;
        self.due = self.playing.then_some(next);
        self.playing.then(|| (next - now).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_every_state_once_however_late_and_stays_at_the_last() {
        let mut player = Player::new(3);
        player.toggle();
        let mut shown = vec![player.state()];
        for now in [0.0, 10.0, 20.0, 30.0, 40.0] {
            player.tick(now);
            shown.push(player.state());
        }
        assert_eq!(shown, [0, 0, 1, 2, 3, 3]);
        assert_eq!(player.tick(50.0), None);
    }

    #[test]
    fn it_keeps_its_speed() {
        let mut player = Player::new(100);
        player.set_speed(8);
        player.toggle();
        for frame in 0..=61 {
            player.tick(f64::from(frame) / 60.0);
        }
        assert_eq!(player.state(), 8);
        for _ in 0..9 {
            player.change_speed(true);
        }
        assert_eq!(player.speed(), 32);
        for _ in 0..9 {
            player.change_speed(false);
        }
        assert_eq!(player.speed(), 1);
    }

    #[test]
    fn a_step_by_hand_ends_the_play_and_stays_inside() {
        let mut player = Player::new(30);
        player.toggle();
        player.step(10);
        assert!(player.state() == 10 && !player.is_playing());
        player.step(-20);
        assert_eq!(player.state(), 0);
        player.step(99);
        assert_eq!(player.state(), 30);
        let mut empty = Player::new(0);
        empty.toggle();
        assert!(!empty.is_playing());
    }
}
