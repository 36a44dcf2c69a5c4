//! Giving files away.

use crossover::lab::{Request, RunSummary};
use crossover::train::Metrics;
use egui::Ui;

use super::Runs;
use super::table::name_of;
use crate::link::files;
use crate::screens::Context;

/// What a file that was asked for is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// To be drawn.
    Curves,
    /// To be saved as it is.
    Save,
    /// To be saved as a table.
    Table,
}

impl Runs {
    /// The menu of what can be had of a run.
    pub(super) fn export(&mut self, ui: &mut Ui, context: &mut Context<'_>, run: &RunSummary) {
        ui.menu_button("Export…", |ui| {
            let mut asked = None;
            if ui.button("Run folder (.zip)").clicked() {
                asked = Some((
                    Request::Archive {
                        run: run.run.clone(),
                    },
                    Kind::Save,
                ));
            }
            for checkpoint in &run.checkpoints {
                if ui.button(name_of(checkpoint)).clicked() {
                    asked = Some((
                        Request::Read {
                            path: checkpoint.clone(),
                        },
                        Kind::Save,
                    ));
                }
            }
            if ui.button("Metrics (.csv)").clicked() {
                let path = format!("{}/metrics.jsonl", run.run);
                asked = Some((Request::Read { path }, Kind::Table));
            }
            if let Some((request, kind)) = asked {
                let request = context.desk.ask(request);
                self.reading.insert(request, (run.run.clone(), kind));
                self.context = Some(ui.ctx().clone());
                ui.close();
            }
        });
    }

    /// A file that was asked for is there.
    pub(super) fn file_is_there(&mut self, request: u64, name: &str, content: &[u8]) {
        let Some((run, kind)) = self.reading.remove(&request) else {
            return;
        };
        let (name, content) = match kind {
            Kind::Curves => return self.curves_are_there(&run, content),
            Kind::Save => (name.to_owned(), content.to_vec()),
            Kind::Table => (
                format!("{}.csv", name_of(&run)),
                table(content).into_bytes(),
            ),
        };
        if let Some(context) = &self.context {
            files::save(context, &self.files, &name, content);
        }
    }
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
    use super::table;

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
