//! A real race that ships with the app: what the Race screen shows, faintly, before there is a run of one's own.

use crossover::lab::Event;

use super::run::Run;

/// What the lab told of the default race, thinned (`web/recorded/README.md`).
const RACE: &str = include_str!("../../recorded/race.jsonl");

/// The recorded race.
pub fn race() -> Option<Run> {
    let mut run = None;
    for line in RACE.lines() {
        let event: Event = serde_json::from_str(line).ok()?;
        match (&event, &mut run) {
            (Event::Started(started), None) => run = Some(Run::new(started.as_ref().clone())),
            (event, Some(run)) => Run::fold(run, event),
            _ => {}
        }
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::units::Unit;

    #[test]
    fn the_recorded_race_tells_what_it_ended_with() {
        let run = race().unwrap();
        assert_eq!(run.series.len(), 2);
        for series in &run.series {
            assert_eq!(series.validation.len(), 40);
            assert!(series.train.len() > 90);
        }
        assert!(run.verdict().wins());
        assert_eq!(
            run.verdict().say(Unit::Nats, &run.scale),
            "Diffusion wins by 0.054 ± 0.003 nats/token (envelope, epoch 68)."
        );
        assert_eq!(run.crossovers().curve, Some(32.76));
    }
}
