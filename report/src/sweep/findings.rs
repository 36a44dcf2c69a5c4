//! What follows from a sweep's runs.

use crossover::lab::Outcome;
use crossover::objective::{Likelihood, Objective};
use serde_json::{Map, Value, json};

use super::envelope::{Envelope, envelopes};
use super::laws::Laws;
use super::{RecordedRun, Sweep, Swept};
use crate::history::{Curve, History};
use crate::numbers;
use crate::theme::racer;
use crate::together::{Races, Spread, Together, Trainings};
use crate::verdict;

/// What a sweep's finished runs say.
#[derive(Debug)]
pub struct Findings {
    /// Every point, in the record's order.
    pub points: Vec<PointFound>,
    /// Where several regularisations were tried on the same data and model: diffusion against the best of them.
    pub envelopes: Vec<Envelope>,
    /// Published laws, fitted.
    pub laws: Laws,
    name: String,
    scale: String,
    /// The commits that trained the runs.
    commits: Vec<String>,
    runs: usize,
    finished: usize,
}

/// The runs of one point.
#[derive(Debug)]
pub struct PointFound {
    /// Its name.
    pub name: String,
    /// The name that the file gives it.
    pub label: Option<String>,
    /// Its value on each axis.
    pub settings: Map<String, Value>,
    /// Its seeds.
    pub seeds: Vec<u64>,
    /// Indices of its runs in the record.
    pub runs: Vec<usize>,
    /// What its finished runs say; none while there is none.
    pub together: Option<Together>,
    /// How its finished runs' validation losses went, one for each likelihood of each model.
    pub courses: Vec<Course>,
}

/// How validation losses of one model went, over the finished seeds of a point.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// Whose.
    pub objective: Objective,
    /// By which likelihood.
    pub likelihood: Likelihood,
    /// The lowest, nats per token.
    pub best: Spread,
    /// The epoch of that.
    pub best_epoch: Spread,
    /// After the last step, nats per token.
    pub last: Spread,
    /// Of each task, the share of right answers after the last step.
    pub right: Vec<(String, Spread)>,
}

/// The courses that all of these runs have.
fn courses(finished: &[&History]) -> Vec<Course> {
    let Some(first) = finished.first() else {
        return Vec::new();
    };
    let tasks = first.tasks();
    let course = |own: &Curve| {
        let over = |of: fn(&Curve) -> Option<f64>| {
            let each = finished
                .iter()
                .map(|history| of(history.line(own.objective, own.likelihood)?));
            Spread::over_all(each)
        };
        let right = |task: &&str| {
            let each = finished.iter().map(|history| {
                let curve = history.line(own.objective, own.likelihood)?;
                curve.scores(task).last().map(|(_, score)| score.acc)
            });
            Some(((*task).to_owned(), Spread::over_all(each)?))
        };
        Some(Course {
            objective: own.objective,
            likelihood: own.likelihood,
            best: over(|curve| Some(curve.best()?.nats))?,
            best_epoch: over(|curve| Some(curve.best()?.at.epoch))?,
            last: over(|curve| Some(curve.last()?.nats))?,
            right: tasks.iter().filter_map(right).collect(),
        })
    };
    first.curves().iter().filter_map(course).collect()
}

impl Course {
    fn to_json(&self) -> Value {
        let right = self.right.iter();
        let right: Map<String, Value> = right
            .map(|(task, share)| (task.clone(), share.to_json()))
            .collect();
        json!({
            "objective": self.objective,
            "likelihood": self.likelihood,
            "best": self.best.to_json(),
            "best_epoch": self.best_epoch.to_json(),
            "last": self.last.to_json(),
            "right_answers": right,
        })
    }
}

/// A loss with its standard error.
pub(super) type Loss = (f64, Option<f64>);

/// The mean over seeds with its standard error over them, or of one seed with that over windows.
fn loss(spread: &Spread, within: f64) -> Loss {
    (spread.mean, spread.se.or(Some(within)))
}

impl PointFound {
    /// AR's test NLL.
    pub(super) fn ar(&self) -> Option<Loss> {
        match self.together.as_ref()? {
            Together::Race(races) => Some(loss(&races.ar, races.ar_window_se)),
            Together::Train(trained) if objective(trained) == Some(Objective::Autoregressive) => {
                Some(loss(&trained.nats, trained.window_se))
            }
            Together::Train(_) => None,
        }
    }

    /// The second model's test bound.
    pub(super) fn second(&self) -> Option<(Objective, Loss)> {
        match self.together.as_ref()? {
            Together::Race(races) => {
                Some((races.second(), loss(&races.masked, races.masked_window_se)))
            }
            Together::Train(trained) => objective(trained)
                .filter(|objective| *objective != Objective::Autoregressive)
                .map(|objective| (objective, loss(&trained.nats, trained.window_se))),
        }
    }

    /// The race's figures.
    pub(super) fn races(&self) -> Option<&Races> {
        match self.together.as_ref()? {
            Together::Race(races) => Some(races),
            Together::Train(_) => None,
        }
    }

    /// The exact NLL of a race's second model, or of a dual one alone, when it writes left to right.
    pub(super) fn left_to_right(&self) -> Option<Loss> {
        let (spread, within) = match self.together.as_ref()? {
            Together::Race(races) => races.left_to_right.as_ref()?,
            Together::Train(trained) => trained.dual_ar.as_ref()?,
        };
        Some(loss(spread, *within))
    }

    /// The second model's bound of several orders.
    pub(super) fn k_order(&self) -> Option<Loss> {
        let (spread, within) = self.races()?.k_order.as_ref()?;
        Some(loss(spread, *within))
    }

    /// The second model's bound minus AR's NLL.
    pub(super) fn difference(&self) -> Option<Loss> {
        let races = self.races()?;
        Some(loss(&races.difference, races.paired_se))
    }
}

fn objective(trained: &Trainings) -> Option<Objective> {
    trained.runs.first().map(|run| run.result.objective)
}

/// The columns of [`Findings::rows`].
pub(super) const HEAD: [&str; 8] = [
    "",
    "seeds",
    "AR, exact NLL",
    "second model",
    "left to right",
    "difference",
    "curve",
    "envelope",
];

impl Findings {
    /// What these runs say.
    pub fn of(sweep: &Sweep) -> Self {
        let mut points: Vec<PointFound> = Vec::new();
        for (index, (run, _)) in sweep.each().enumerate() {
            let place = points.iter().position(|point| point.name == run.point);
            let place = place.unwrap_or_else(|| {
                points.push(point(run));
                points.len() - 1
            });
            points[place].seeds.push(run.seed);
            points[place].runs.push(index);
        }
        let outcome = |index: usize| {
            let outcome = sweep.runs.get(index)?.as_ref().and_then(Swept::outcome)?;
            Some((sweep.record.runs[index].seed, outcome.clone()))
        };
        for point in &mut points {
            let finished: Vec<(u64, Outcome)> = point
                .runs
                .iter()
                .filter_map(|index| outcome(*index))
                .collect();
            point.together = Together::of(finished).ok().flatten();
            let histories: Vec<&History> = point
                .runs
                .iter()
                .filter_map(|index| sweep.runs.get(*index)?.as_ref())
                .filter(|swept| swept.outcome().is_some())
                .map(|swept| &swept.run.history)
                .collect();
            point.courses = courses(&histories);
        }
        let mut commits: Vec<String> = sweep
            .runs
            .iter()
            .flatten()
            .filter_map(|swept| Some(swept.run.config.provenance.as_ref()?.commit.clone()))
            .collect();
        commits.sort_unstable();
        commits.dedup();
        Self {
            commits,
            scale: sweep.record.scale.clone(),
            envelopes: envelopes(sweep),
            laws: Laws::fit(sweep),
            points,
            name: sweep.record.name.clone(),
            runs: sweep.record.runs.len(),
            finished: sweep
                .each()
                .filter(|(_, run)| run.is_some_and(|run| run.outcome().is_some()))
                .count(),
        }
    }

    /// Whether every run has a result.
    pub fn is_finished(&self) -> bool {
        self.finished == self.runs
    }

    /// All points as a table's cells, under [`HEAD`].
    pub(super) fn rows(&self) -> Vec<[String; 8]> {
        let shown = |loss: Option<Loss>| {
            loss.map_or_else(String::new, |(mean, se)| numbers::measured(mean, se))
        };
        let epochs = |of: fn(&Races) -> &crate::together::Crossings, races: &Races| {
            let crossings = of(races);
            match (&crossings.epoch, crossings.count) {
                (Some(epoch), _) => numbers::short(epoch.mean),
                (None, 0) => "no".to_owned(),
                (None, count) => format!("{count} of {}", crossings.of),
            }
        };
        self.points
            .iter()
            .map(|point| {
                let done = point
                    .together
                    .as_ref()
                    .map_or(0, |together| match together {
                        Together::Race(races) => races.runs.len(),
                        Together::Train(trained) => trained.runs.len(),
                    });
                let seeds = match done == point.seeds.len() {
                    true => done.to_string(),
                    false => format!("{done} of {}", point.seeds.len()),
                };
                let second = point
                    .second()
                    .map_or_else(String::new, |(objective, loss)| {
                        let shown = shown(Some(loss));
                        match objective {
                            Objective::Masked => shown,
                            other => format!("{shown} ({})", other.name()),
                        }
                    });
                let races = point.races();
                [
                    point.name.clone(),
                    seeds,
                    shown(point.ar()),
                    second,
                    shown(point.left_to_right()),
                    shown(point.difference()),
                    races.map_or_else(String::new, |races| epochs(|races| &races.curve, races)),
                    races.map_or_else(String::new, |races| epochs(|races| &races.envelope, races)),
                ]
            })
            .collect()
    }

    /// What was found, in a sentence.
    pub fn headline(&self) -> String {
        let raced: Vec<(&PointFound, Loss)> = self
            .points
            .iter()
            .filter_map(|point| Some((point, point.difference()?)))
            .collect();
        let below = raced
            .iter()
            .filter(|(_, (mean, se))| verdict::is_clear(*mean, *se))
            .count();
        let unfinished = match self.is_finished() {
            true => String::new(),
            false => format!(
                "Unfinished, {} of {} are done. ",
                self.finished,
                numbers::counted(self.runs, "run")
            ),
        };
        let Some(second) = raced
            .iter()
            .find_map(|(point, _)| Some(point.races()?.second()))
        else {
            return match self.finished {
                0 => "No result yet.".to_owned(),
                _ => format!(
                    "{unfinished}{}",
                    numbers::counted(self.finished, "training")
                ),
            };
        };
        let nearest = raced
            .iter()
            .min_by(|left, right| left.1.0.total_cmp(&right.1.0))
            .map_or_else(String::new, |(point, (mean, se))| {
                let size = numbers::measured(mean.abs(), *se);
                match (verdict::is_clear(*mean, *se), *mean < 0.0) {
                    (true, _) => format!(", by {size} nats/token at most ({})", point.name),
                    (false, true) => format!(", at most {size} nats/token below ({})", point.name),
                    (false, false) => format!(", at best {size} nats/token above ({})", point.name),
                }
            });
        let envelopes = match self.envelopes.len() {
            0 => String::new(),
            all => {
                let crossed = self
                    .envelopes
                    .iter()
                    .filter(|envelope| envelope.epoch.is_some());
                format!(
                    " Against the best AR of all that were tried it crosses in {} of {}.",
                    crossed.count(),
                    numbers::counted(all, "comparison")
                )
            }
        };
        format!(
            "{unfinished}{} is clearly below AR's best at {below} of {}{nearest}.{envelopes}",
            racer(second).subject,
            numbers::counted(raced.len(), "point"),
        )
    }

    /// Everything in a terminal's columns, without the headline's marks.
    pub fn table(&self) -> Vec<Vec<String>> {
        let head = HEAD.map(str::to_owned).to_vec();
        let rows = self.rows().into_iter().map(|row| row.to_vec());
        std::iter::once(head).chain(rows).collect()
    }

    /// Everything as JSON: `results.json`, and the last line of `sweep --json`.
    pub fn to_json(&self, report: &str) -> Value {
        let points: Vec<Value> = self
            .points
            .iter()
            .map(|point| {
                json!({
                    "point": point.name,
                    "settings": point.settings,
                    "seeds": point.seeds,
                    "result": point.together.as_ref().map(Together::to_json),
                    "courses": point.courses.iter().map(Course::to_json).collect::<Vec<_>>(),
                })
            })
            .collect();
        json!({
            "event": "result",
            "sweep": self.name,
            "scale": self.scale,
            "commits": self.commits,
            "runs": self.runs,
            "finished": self.finished,
            "headline": self.headline(),
            "points": points,
            "regularised_envelopes": self.envelopes,
            "laws": self.laws,
            "report": report,
        })
    }
}

fn point(run: &RecordedRun) -> PointFound {
    PointFound {
        name: run.point.clone(),
        label: run.label.clone(),
        settings: run.settings.clone(),
        seeds: Vec::new(),
        runs: Vec::new(),
        together: None,
        courses: Vec::new(),
    }
}
