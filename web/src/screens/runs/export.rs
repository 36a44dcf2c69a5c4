//! Giving files away.

use std::collections::BTreeMap;

use crossover::error::Result;
use crossover::lab::{Request, RunSummary, Template, Writing};
use crossover::train::Metrics;
use egui::Ui;

use super::Runs;
use super::table::name_of;
use crate::link::files;
use crate::screens::Context;
use crate::state::Notice;

/// What a file that was asked for is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// To be drawn.
    Curves,
    /// To be saved as it is.
    Save,
    /// To be saved as a table.
    Table,
    /// One of the files that a report is made of.
    Report(Part),
    /// A text that a model writes, to be saved with all its steps under this name.
    Trace(String),
}

/// What a report is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The configuration. Without it there is no run.
    Config,
    /// The losses; a run that only was imported has none.
    Metrics,
    /// Everything else that happened.
    Events,
}

impl Part {
    const ALL: [Self; 3] = [Self::Config, Self::Metrics, Self::Events];

    fn file(self) -> &'static str {
        match self {
            Self::Config => "config.toml",
            Self::Metrics => "metrics.jsonl",
            Self::Events => "events.jsonl",
        }
    }
}

/// The files of a report, as far as they are there.
pub type Parts = BTreeMap<Part, Vec<u8>>;

/// Likeliest tokens of each position that a trace keeps, as the theatre's own texts have them.
const ALTERNATIVES: usize = 5;

impl Runs {
    /// The menu of what can be had of a run.
    pub(super) fn export(&mut self, ui: &mut Ui, context: &mut Context<'_>, run: &RunSummary) {
        ui.menu_button("Export…", |ui| {
            let file = |name: &str| Request::Read {
                path: format!("{}/{name}", run.run),
            };
            let mut asked = Vec::new();
            if ui.button("Run folder (.zip)").clicked() {
                let run = run.run.clone();
                asked.push((Request::Archive { run }, Kind::Save));
            }
            if ui.button("Report (.html)").clicked() {
                asked.extend(Part::ALL.map(|part| (file(part.file()), Kind::Report(part))));
            }
            if ui.button("Metrics (.csv)").clicked() {
                asked.push((file(Part::Metrics.file()), Kind::Table));
            }
            let are_there = self
                .curves
                .get(&run.run)
                .is_some_and(|run| !run.series.is_empty());
            let picture = ui.add_enabled(are_there, egui::Button::new("Curves (.png)"));
            if picture.clicked() {
                self.picture = true;
                ui.close();
            }
            for checkpoint in &run.checkpoints {
                if ui.button(name_of(checkpoint)).clicked() {
                    let path = checkpoint.clone();
                    asked.push((Request::Read { path }, Kind::Save));
                }
            }
            for (model, name) in writers(&run.checkpoints) {
                let trace = ui.button(format!("Trace by {name} (.jsonl)"));
                let trace =
                    trace.on_hover_text("This model writes a text, and all its steps are saved");
                if trace.clicked() {
                    let name = format!("{}-{name}.jsonl", name_of(&run.run));
                    asked.push((a_text_by(model), Kind::Trace(name)));
                }
            }
            if !asked.is_empty() {
                self.context = Some(ui.ctx().clone());
                ui.close();
            }
            for (request, kind) in asked {
                let request = context.desk.ask(request);
                self.reading.insert(request, (run.run.clone(), kind));
            }
        });
    }

    /// A file that was asked for is there.
    pub(super) fn file_is_there(
        &mut self,
        request: u64,
        name: &str,
        content: &[u8],
        context: &mut Context<'_>,
    ) {
        let Some((run, kind)) = self.reading.remove(&request) else {
            return;
        };
        match kind {
            Kind::Curves => self.curves_are_there(&run, content),
            Kind::Save => self.save(name, content.to_vec()),
            Kind::Table => self.save(
                &format!("{}.csv", name_of(&run)),
                table(content).into_bytes(),
            ),
            Kind::Report(part) => self.part_is_there(&run, part, content.to_vec(), context),
            Kind::Trace(_) => {}
        }
    }

    /// A text that was asked for is written.
    pub(super) fn trace_is_there(&mut self, request: u64, trace: &str) {
        if let Some((_, Kind::Trace(name))) = self.reading.get(&request) {
            let name = name.clone();
            self.reading.remove(&request);
            self.save(&name, trace.as_bytes().to_vec());
        }
    }

    /// What was asked for can't be had. Says whether a person should know, where it was asked for here.
    pub(super) fn file_is_missing(
        &mut self,
        request: u64,
        context: &mut Context<'_>,
    ) -> Option<bool> {
        match self.reading.remove(&request)? {
            (run, Kind::Report(Part::Config)) => {
                self.parts.remove(&run);
                Some(true)
            }
            // Of a run that has not begun, or a checkpoint that was imported.
            (run, Kind::Report(part)) => {
                self.part_is_there(&run, part, Vec::new(), context);
                Some(false)
            }
            // A checkpoint that was imported has no curves: it is not asked again.
            (run, Kind::Curves) => {
                self.curves_are_there(&run, &[]);
                Some(false)
            }
            _ => Some(true),
        }
    }

    fn part_is_there(
        &mut self,
        run: &str,
        part: Part,
        content: Vec<u8>,
        context: &mut Context<'_>,
    ) {
        let parts = self.parts.entry(run.to_owned()).or_default();
        parts.insert(part, content);
        if parts.len() < Part::ALL.len() {
            return;
        }
        let parts = self.parts.remove(run).unwrap_or_default();
        match report(run, &parts) {
            Ok(page) => self.save(&format!("{}.html", name_of(run)), page.into_bytes()),
            Err(error) => {
                let told = Notice::went_wrong(&error.to_string(), error.hint());
                context.state.notice = Some(told);
            }
        }
    }

    fn save(&self, name: &str, content: Vec<u8>) {
        if let Some(context) = &self.context {
            files::save(context, &self.files, name, content);
        }
    }
}

/// The models of a run that can write a text, each with a name: the best state where it is kept, else the last.
fn writers(checkpoints: &[String]) -> Vec<(&str, &str)> {
    let has_best = |path: &str| {
        let best = stem(path).replacen("last-", "best-", 1);
        checkpoints.iter().any(|other| stem(other) == best)
    };
    checkpoints
        .iter()
        .map(String::as_str)
        .filter(|path| stem(path).starts_with("best-") || !has_best(path))
        .map(|path| (path, stem(path)))
        .collect()
}

/// What a checkpoint is called in its run.
fn stem(path: &str) -> &str {
    name_of(path).trim_end_matches(".safetensors")
}

/// Has a model write a text from nothing.
fn a_text_by(model: &str) -> Request {
    Request::Write {
        model: model.to_owned(),
        template: Template::Prompt {
            text: String::new(),
            length: None,
        },
        writing: Box::new(Writing {
            top: ALTERNATIVES,
            seed: 1,
            ..Writing::default()
        }),
    }
}

/// The report of a run: the page that `crossover report` writes of the same files.
fn report(run: &str, parts: &Parts) -> Result<String> {
    let text = |part| {
        let content = parts.get(&part).map_or(&[][..], Vec::as_slice);
        String::from_utf8_lossy(content).into_owned()
    };
    let run = crossover_report::Run::parse(
        run,
        text(Part::Config),
        &text(Part::Metrics),
        &text(Part::Events),
    )?;
    Ok(crossover_report::render(&run))
}

/// A record as a table, a line for each step and model.
fn table(record: &[u8]) -> String {
    let mut text = "objective,likelihood,step,epoch,tokens,flops,seconds,train_nats,val_nats,val_se,bound,lr,grad_norm,tokens_per_second\n".to_owned();
    let known = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for line in String::from_utf8_lossy(record).lines() {
        let Ok(metrics) = serde_json::from_str::<Metrics>(line) else {
            continue;
        };
        let bound = serde_json::to_value(metrics.bound).ok();
        let cells = [
            metrics.objective.name().to_owned(),
            metrics.likelihood.name().to_owned(),
            metrics.step.to_string(),
            metrics.epoch.to_string(),
            metrics.tokens.to_string(),
            metrics.flops.to_string(),
            metrics.seconds.to_string(),
            known(metrics.train_nats),
            known(metrics.val_nats),
            known(metrics.val_se),
            bound
                .and_then(|bound| bound.as_str().map(str::to_owned))
                .unwrap_or_default(),
            metrics.lr.to_string(),
            known(metrics.grad_norm),
            metrics.tokens_per_second.to_string(),
        ];
        text += &cells.join(",");
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use crossover::lab::Event;

    use super::*;

    #[test]
    fn the_report_is_the_command_lines() {
        let events: Vec<Event> = include_str!("../../../recorded/race.jsonl")
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let lines = |wanted: fn(&&Event) -> bool| -> Vec<u8> {
            let lines = events.iter().filter(wanted).map(|event| match event {
                Event::Metrics(metrics) => serde_json::to_string(metrics).unwrap(),
                event => serde_json::to_string(event).unwrap(),
            });
            lines
                .map(|line| line + "\n")
                .collect::<String>()
                .into_bytes()
        };
        let config = match &events[0] {
            Event::Started(started) => started.config.to_toml().unwrap(),
            other => panic!("a race begins: {other:?}"),
        };
        let mut parts = Parts::from([
            (Part::Config, config.into_bytes()),
            (
                Part::Metrics,
                lines(|event| matches!(event, Event::Metrics(_))),
            ),
            (
                Part::Events,
                lines(|event| !matches!(event, Event::Metrics(_))),
            ),
        ]);
        let page = report("runs/mine", &parts).unwrap();
        assert!(
            page.contains("Diffusion wins by 0.054 ± 0.003"),
            "{page:.2000}"
        );
        assert!(page.contains("crossover race --config runs/mine/config.toml"));
        assert!(!page.contains("<script") && !page.contains("could not be read"));
        // A checkpoint that was imported has nothing but its configuration.
        parts.retain(|part, _| *part == Part::Config);
        assert!(
            report("runs/mine", &parts)
                .unwrap()
                .contains("Nothing measured yet.")
        );
        parts.insert(Part::Config, b"[corpus".to_vec());
        assert!(report("runs/mine", &parts).is_err());
    }

    #[test]
    fn of_each_model_the_best_state_writes() {
        let paths = ["best-ar", "last-ar", "last-masked"];
        let paths = paths.map(|name| format!("runs/mine/checkpoints/{name}.safetensors"));
        let names: Vec<&str> = writers(&paths).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["best-ar", "last-masked"]);
    }

    #[test]
    fn a_record_becomes_a_table_and_what_was_not_measured_stays_empty() {
        let line = r#"{"objective":"ar","likelihood":"ar","step":3,"epoch":0.5,"tokens":300,"flops":1e6,"seconds":0.25,"train_nats":1.5,"val_nats":null,"val_se":null,"bound":"exact","lr":0.001,"grad_norm":0.7,"tokens_per_second":1200.0}"#;
        let text = table(line.as_bytes());
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(
            rows[1],
            "ar,ar,3,0.5,300,1000000,0.25,1.5,,,exact,0.001,0.7,1200"
        );
        assert_eq!(rows[0].split(',').count(), rows[1].split(',').count());
    }
}
