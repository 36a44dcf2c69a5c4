//! What is told to those who can't see the screen: at most one message in five seconds, the newest; an error waits for its
//! turn and is never left out.

use std::collections::VecDeque;

/// Seconds between two messages.
const SILENCE: f64 = 5.0;

/// Decides what is told, and when.
#[derive(Debug, Default)]
pub struct Announcer {
    errors: VecDeque<String>,
    news: Option<String>,
    /// What the bar said last.
    bar: Option<String>,
    /// What was told last of how things stand.
    status: String,
    told: Option<f64>,
}

impl Announcer {
    /// Looks at how things stand and at the one-line bar, with whether that tells of an error. Gives what is to be told now,
    /// in seconds of a clock that only goes forward.
    pub fn look(&mut self, now: f64, status: &str, bar: Option<(&str, bool)>) -> Option<String> {
        let text = bar.map(|(text, _)| text.to_owned());
        if text != self.bar {
            self.bar.clone_from(&text);
            match (bar, text) {
                (Some((_, true)), Some(text)) => self.errors.push_back(text),
                (_, news) => self.news = news,
            }
        }
        if self.told.is_some_and(|told| now - told < SILENCE) {
            return None;
        }
        let news = self.errors.pop_front().or_else(|| self.news.take());
        let words = match news {
            Some(news) => news,
            None if status != self.status => {
                status.clone_into(&mut self.status);
                self.status.clone()
            }
            None => return None,
        };
        self.told = Some(now);
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_in_five_seconds_and_the_newest_of_them() {
        let mut announcer = Announcer::default();
        let mut told = Vec::new();
        for tenth in 0..300 {
            let now = f64::from(tenth) / 10.0;
            let status = format!("step {tenth}");
            told.extend(
                announcer
                    .look(now, &status, None)
                    .map(|words| (tenth, words)),
            );
        }
        let steps = [0, 50, 100, 150, 200, 250];
        let expected = steps.map(|tenth| (tenth, format!("step {tenth}")));
        assert_eq!(told, expected);
        assert_eq!(announcer.look(90.0, "step 250", None), None);
    }

    #[test]
    fn the_bar_comes_before_how_things_stand() {
        let mut announcer = Announcer::default();
        assert_eq!(announcer.look(0.0, "a", None).as_deref(), Some("a"));
        assert_eq!(announcer.look(1.0, "b", Some(("Imported x.", false))), None);
        assert_eq!(announcer.look(2.0, "c", Some(("Imported y.", false))), None);
        let told = announcer.look(5.0, "d", Some(("Imported y.", false)));
        assert_eq!(told.as_deref(), Some("Imported y."));
        let told = announcer.look(10.0, "e", Some(("Imported y.", false)));
        assert_eq!(told.as_deref(), Some("e"));
        // What is gone before its turn is no news any more.
        assert_eq!(announcer.look(11.0, "e", Some(("Copied.", false))), None);
        assert_eq!(announcer.look(15.0, "e", None), None);
    }

    #[test]
    fn errors_wait_for_their_turn() {
        let mut announcer = Announcer::default();
        announcer.look(0.0, "training", None);
        announcer.look(1.0, "training", Some(("GPU lost.", true)));
        announcer.look(2.0, "training", Some(("Storage full.", true)));
        announcer.look(3.0, "paused", Some(("Copied.", false)));
        announcer.look(4.0, "paused", None);
        let mut told = Vec::new();
        for second in 5..40 {
            told.extend(announcer.look(f64::from(second), "paused", None));
        }
        assert_eq!(told, ["GPU lost.", "Storage full.", "paused"]);
    }

    #[test]
    fn an_error_that_happens_again_is_told_again() {
        let mut announcer = Announcer::default();
        let error = Some(("GPU lost.", true));
        assert!(announcer.look(0.0, "", error).is_some());
        assert_eq!(announcer.look(9.0, "", error), None);
        assert_eq!(announcer.look(10.0, "", None), None);
        assert!(announcer.look(11.0, "", error).is_some());
    }
}
