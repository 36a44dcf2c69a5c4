//! A page with a run's newest figures, for whoever asks from this machine, in Prometheus' text exposition format (0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crossover::error::{Error, Result};
use crossover::lab::Event;
use tiny_http::{Header, Response, Server};

use super::{figures, task_figures};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves `/metrics` on 127.0.0.1 as long as the program runs.
#[derive(Debug)]
pub struct Endpoint {
    url: String,
    newest: Arc<Mutex<Newest>>,
}

/// What the page says.
#[derive(Debug, Default)]
struct Newest {
    /// Steps of the whole run.
    steps: Option<u64>,
    /// By name and labels.
    figures: BTreeMap<(String, String), f64>,
}

impl Endpoint {
    /// Listens on a port of this machine; 0 takes any free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn open(port: u16) -> Result<Self> {
        let server = Server::http(("127.0.0.1", port)).map_err(|error| {
            Error::work(format!("can't listen on port {port}"))
                .with_source(error)
                .with_hint(
                    "another program may: give another `--metrics-port`, or 0 for any free one",
                )
        })?;
        let newest = Arc::new(Mutex::new(Newest::default()));
        let url = format!("http://{}/metrics", server.server_addr());
        let shown = Arc::clone(&newest);
        thread::spawn(move || {
            for request in server.incoming_requests() {
                // A reader that went away has no use for an answer.
                let _ = match request.url() {
                    "/metrics" => {
                        let page = locked(&shown).page();
                        let kind = Header::from_bytes("Content-Type", CONTENT_TYPE);
                        let answer = Response::from_string(page);
                        request.respond(match kind {
                            Ok(kind) => answer.with_header(kind),
                            Err(()) => answer,
                        })
                    }
                    _ => request.respond(
                        Response::from_string("the figures are at /metrics\n")
                            .with_status_code(404),
                    ),
                };
            }
        });
        Ok(Self { url, newest })
    }

    /// Where the page is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Takes the next event.
    pub fn on_event(&self, event: &Event) {
        locked(&self.newest).take(event);
    }
}

fn locked(newest: &Mutex<Newest>) -> MutexGuard<'_, Newest> {
    newest.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Newest {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Started(started) => {
                *self = Self {
                    steps: Some(started.steps),
                    ..Self::default()
                };
            }
            Event::Metrics(metrics) => {
                let labels = format!(
                    "objective=\"{}\",likelihood=\"{}\"",
                    metrics.objective.name(),
                    metrics.likelihood.name()
                );
                for (name, value) in figures(metrics) {
                    self.figures.insert((name, labels.clone()), value);
                }
                for (task, name, value) in task_figures(metrics) {
                    let labels = format!("{labels},task=\"{}\"", escaped(task));
                    self.figures.insert((format!("task_{name}"), labels), value);
                }
            }
            Event::Spike(spike) => {
                let labels = format!(
                    "objective=\"{}\",likelihood=\"{}\"",
                    spike.objective.name(),
                    spike.likelihood.name()
                );
                let count = self.figures.entry(("loss_spikes_total".to_owned(), labels));
                *count.or_default() += 1.0;
            }
            Event::Straggler(late) => {
                let labels = format!(
                    "objective=\"{}\",rank=\"{}\"",
                    late.objective.name(),
                    late.rank
                );
                let count = self.figures.entry(("stragglers_total".to_owned(), labels));
                *count.or_default() += 1.0;
            }
            _ => {}
        }
    }

    /// Figures of one name stand together behind their type. Counters are what only grows in a run.
    fn page(&self) -> String {
        let mut page = String::new();
        if let Some(steps) = self.steps {
            page +=
                &format!("# TYPE crossover_steps_planned gauge\ncrossover_steps_planned {steps}\n");
        }
        let mut before = "";
        for ((name, labels), value) in &self.figures {
            if name != before {
                let kind = match name.as_str() {
                    "loss_spikes_total" | "stragglers_total" => "counter",
                    _ => "gauge",
                };
                // Writing to a string can't fail.
                let _ = writeln!(page, "# TYPE crossover_{name} {kind}");
                before = name;
            }
            let _ = writeln!(page, "crossover_{name}{{{labels}}} {value}");
        }
        page
    }
}

/// A label's value: a task is named by its file, so it may hold anything.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossover::lab::{LossSpike, Straggler};
    use crossover::objective::{Likelihood, Objective};
    use crossover_report::fixtures::{line, score};

    #[test]
    fn spikes_and_stragglers_are_counted_by_whose_they_are() {
        let mut newest = Newest::default();
        let spike = |step| LossSpike {
            objective: Objective::Masked,
            likelihood: Likelihood::Masked,
            step,
            nats: None,
            median: Some(1.0),
            limit: Some(2.0),
        };
        let late = |rank| Straggler {
            objective: Objective::Masked,
            step: 20,
            rank,
            host: "a".to_owned(),
            seconds: 9.0,
            median: 3.0,
        };
        for step in 1..4 {
            newest.take(&Event::Spike(spike(step)));
        }
        for rank in [2, 0, 2] {
            newest.take(&Event::Straggler(late(rank)));
        }
        let page = newest.page();
        for expected in [
            "# TYPE crossover_loss_spikes_total counter\n",
            "crossover_loss_spikes_total{objective=\"masked\",likelihood=\"masked\"} 3\n",
            "# TYPE crossover_stragglers_total counter\n",
            "crossover_stragglers_total{objective=\"masked\",rank=\"0\"} 1\n",
            "crossover_stragglers_total{objective=\"masked\",rank=\"2\"} 2\n",
        ] {
            assert!(page.contains(expected), "{page}");
        }
    }

    #[test]
    fn the_page_has_the_newest_figures_of_each_model() {
        let mut newest = Newest::default();
        for step in 1..4 {
            for objective in [Objective::Autoregressive, Objective::Masked] {
                newest.take(&Event::Metrics(line(objective, step, Some(0.5))));
            }
        }
        let mut examined = line(Objective::Masked, 3, None);
        examined.tasks = ["tales", "a \"b\""]
            .map(|task| score(task, 0.75, 0.04))
            .to_vec();
        newest.take(&Event::Metrics(examined));
        let page = newest.page();
        for expected in [
            "# TYPE crossover_task_acc gauge\n",
            "crossover_task_acc{objective=\"masked\",likelihood=\"masked\",task=\"tales\"} 0.75\n",
            "crossover_task_acc{objective=\"masked\",likelihood=\"masked\",task=\"a \\\"b\\\"\"} 0.75\n",
            "# TYPE crossover_train_nats gauge\n",
            "crossover_train_nats{objective=\"ar\",likelihood=\"ar\"} 1\n",
            "crossover_step{objective=\"masked\",likelihood=\"masked\"} 3\n",
            "crossover_val_nats{objective=\"ar\",likelihood=\"ar\"} 0.5\n",
        ] {
            assert!(page.contains(expected), "{page}");
        }
        assert_eq!(page.matches("# TYPE crossover_step gauge").count(), 1);
        // Every line is a comment or a name with labels and a number.
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (_, value) = line.rsplit_once(' ').expect("a value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}
