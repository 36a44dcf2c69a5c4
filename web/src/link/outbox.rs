//! Keeps the traffic between worker and page down without losing what matters.

use crossover::lab::Event;
use crossover::objective::{Likelihood, Objective};

use super::Message;

/// Least seconds between two posts: 20 a second.
const INTERVAL: f64 = 0.05;
/// Bytes of JSON a second, on average.
const RATE: f64 = 64.0 * 1024.0;
/// Seconds of that rate which may be used at once after silence, and at most owed after a long answer.
const CREDIT: f64 = 2.0;

/// Messages that wait to be posted together. Of steps without an evaluation only the newest of each model's likelihood
/// goes out; everything else does, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: Vec<Message>,
    /// Whether something waits that may not be held back for the sake of the rate.
    urgent: bool,
    posted: Option<f64>,
    /// Up to when the bytes that went out are paid for.
    paid: f64,
}

impl Outbox {
    /// Adds a message.
    pub fn push(&mut self, message: Message) {
        match routine(&message) {
            Some(of) => self
                .waiting
                .retain(|earlier| routine(earlier).as_ref() != Some(&of)),
            None => self.urgent = true,
        }
        self.waiting.push(message);
    }

    /// In how many seconds the next post is due; `None` when there is nothing to post.
    pub fn due(&self, now: f64) -> Option<f64> {
        if self.waiting.is_empty() {
            return None;
        }
        let spaced = self.posted.map_or(now, |posted| posted + INTERVAL);
        let due = match self.urgent {
            true => spaced,
            false => spaced.max(self.paid),
        };
        Some((due - now).max(0.0))
    }

    /// What is to be posted now.
    pub fn take(&mut self) -> Vec<Message> {
        self.urgent = false;
        std::mem::take(&mut self.waiting)
    }

    /// Takes note of a post of so many bytes.
    pub fn posted(&mut self, bytes: usize, now: f64) {
        self.posted = Some(now);
        self.paid = (self.paid.max(now - CREDIT) + bytes as f64 / RATE).min(now + CREDIT);
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// What a message of no lasting worth is about; `None` for those that must arrive.
fn routine(message: &Message) -> Option<(Objective, Likelihood)> {
    match message {
        Message::Lab(Event::Metrics(metrics)) if metrics.val_nats.is_none() => {
            Some((metrics.objective, metrics.likelihood))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crossover::objective::Bound;
    use crossover::train::Metrics;

    use super::*;

    fn step(objective: Objective, step: u64, val_nats: Option<f64>) -> Message {
        Message::Lab(Event::Metrics(Metrics {
            objective,
            likelihood: match objective {
                Objective::Autoregressive => Likelihood::Autoregressive,
                _ => Likelihood::Masked,
            },
            step,
            epoch: 0.0,
            tokens: 0,
            flops: 0.0,
            seconds: 0.0,
            train_nats: Some(1.0),
            val_nats,
            val_se: None,
            bound: Bound::Exact,
            lr: 0.0,
            grad_norm: None,
            tokens_per_second: 0.0,
            loss_scale: None,
            skipped_steps: None,
            tasks: Vec::new(),
            communication_seconds: None,
        }))
    }

    #[test]
    fn of_plain_steps_only_the_newest_goes_out_and_the_rest_keeps_its_order() {
        let mut outbox = Outbox::default();
        let paused = Message::Lab(Event::Paused { step: 3 });
        for message in [
            step(Objective::Autoregressive, 1, None),
            step(Objective::Masked, 1, None),
            step(Objective::Autoregressive, 2, Some(0.5)),
            step(Objective::Masked, 2, None),
            paused.clone(),
            step(Objective::Autoregressive, 3, None),
        ] {
            outbox.push(message);
        }
        let expected = [
            step(Objective::Autoregressive, 2, Some(0.5)),
            step(Objective::Masked, 2, None),
            paused,
            step(Objective::Autoregressive, 3, None),
        ];
        assert_eq!(outbox.take(), expected);
        assert!(outbox.is_empty());
    }

    #[test]
    fn an_hour_of_steps_stays_within_the_rate() {
        let mut outbox = Outbox::default();
        let (mut now, mut posts, mut bytes) = (0.0, 0, 0);
        while now < 3600.0 {
            outbox.push(step(Objective::Autoregressive, (now * 1000.0) as u64, None));
            if outbox.due(now) == Some(0.0) {
                let size = 6000;
                outbox.take();
                outbox.posted(size, now);
                (posts, bytes) = (posts + 1, bytes + size);
            }
            now += 0.01;
        }
        assert!(posts <= 20 * 3600, "{posts} posts");
        assert!(bytes <= 64 * 1024 * 3603, "{bytes} bytes");
        assert!(bytes > 60 * 1024 * 3600, "the rate is used: {bytes} bytes");
    }

    #[test]
    fn a_long_answer_holds_up_steps_but_nothing_else() {
        let mut outbox = Outbox::default();
        outbox.posted(10_000_000, 100.0);
        outbox.push(step(Objective::Autoregressive, 1, None));
        assert!(outbox.due(100.1).is_some_and(|wait| wait > 1.0));
        assert!(outbox.due(102.1) == Some(0.0), "but not for long");
        outbox.push(Message::Lab(Event::Continued));
        assert!(outbox.due(100.1) == Some(0.0));
    }
}
