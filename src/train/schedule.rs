//! The learning rate over the run.

use crate::train::{Schedule, TrainConfig};

/// The learning rate of `step` (0-based) in a run of `steps`: linear warm-up from the first step's share to the highest
/// rate, then the schedule. `wsd` falls exponentially over its last part, as the paper's recipe does.
pub fn learning_rate(config: &TrainConfig, warmup_steps: u64, step: u64, steps: u64) -> f64 {
    let highest = config.learning_rate;
    if step < warmup_steps {
        return highest * (step + 1) as f64 / warmup_steps as f64;
    }
    let floor = config.final_learning_rate_ratio;
    let share = match config.schedule {
        Schedule::Constant => 1.0,
        Schedule::Cosine => {
            let progress = (step - warmup_steps) as f64 / (steps - warmup_steps).max(1) as f64;
            floor + (1.0 - floor) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress))
        }
        Schedule::Wsd => {
            let decay = (config.decay_fraction * steps as f64).max(1.0);
            let into_decay = (step as f64 - (steps as f64 - decay)) / decay;
            libm::pow(floor, into_decay.clamp(0.0, 1.0))
        }
    };
    highest * share
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(schedule: Schedule) -> TrainConfig {
        TrainConfig {
            learning_rate: 1e-3,
            schedule,
            ..TrainConfig::default()
        }
    }

    fn close(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-12, "{left} is not {right}");
    }

    #[test]
    fn warm_up_is_linear_and_reaches_the_highest_rate() {
        for schedule in [Schedule::Constant, Schedule::Cosine, Schedule::Wsd] {
            close(learning_rate(&config(schedule), 10, 0, 1000), 1e-4);
            close(learning_rate(&config(schedule), 10, 9, 1000), 1e-3);
            close(learning_rate(&config(schedule), 10, 10, 1000), 1e-3);
        }
    }

    #[test]
    fn cosine_is_halfway_at_half_time_and_wsd_stays_until_its_last_tenth() {
        let cosine = config(Schedule::Cosine);
        close(
            learning_rate(&cosine, 0, 500, 1000),
            1e-3 * (0.1 + 0.9 * 0.5),
        );
        let wsd = config(Schedule::Wsd);
        close(learning_rate(&wsd, 0, 900, 1000), 1e-3);
        close(learning_rate(&wsd, 0, 950, 1000), 1e-3 * 0.1_f64.powf(0.5));
    }

    #[test]
    fn no_schedule_leaves_its_bounds() {
        for schedule in [Schedule::Constant, Schedule::Cosine, Schedule::Wsd] {
            for step in 0..100 {
                let rate = learning_rate(&config(schedule), 1, step, 100);
                assert!(
                    (1e-4..=1e-3).contains(&rate),
                    "{schedule:?} at {step}: {rate}"
                );
            }
        }
    }
}
