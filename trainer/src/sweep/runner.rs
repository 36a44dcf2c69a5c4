//! Runs as processes of this same program, several at once: one that dies takes none of the others with it.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// How often somebody's wish to stop is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// A process to run.
#[derive(Debug)]
pub struct Job {
    /// The arguments of this program.
    pub arguments: Vec<String>,
    /// Where its standard error goes.
    pub log: PathBuf,
}

/// What is told of a job.
#[derive(Debug)]
pub enum Told {
    /// It has begun.
    Began,
    /// A line of its standard output.
    Line(String),
    /// It has ended.
    Ended(ExitStatus),
}

/// Runs all jobs, `at_once` of them at a time and in their order, and tells what becomes of each by its index. When
/// `is_stopped` says so nothing more begins, what runs is asked to stop, and this waits until it has.
///
/// # Errors
/// When a process can't be started, and what `tell` returns; what runs is then ended.
pub fn run(
    jobs: &[Job],
    at_once: usize,
    is_stopped: impl Fn() -> bool,
    mut tell: impl FnMut(usize, Told) -> Result<()>,
) -> Result<()> {
    let mut waiting: VecDeque<usize> = (0..jobs.len()).collect();
    let mut running: Vec<Running> = Vec::new();
    let (sender, lines) = mpsc::channel();
    let mut was_asked = false;
    loop {
        if is_stopped() && !was_asked {
            was_asked = true;
            waiting.clear();
            running.iter_mut().for_each(Running::ask_to_stop);
        }
        while running.len() < at_once.max(1)
            && let Some(index) = waiting.pop_front()
        {
            running.push(Running::start(index, &jobs[index], &sender)?);
            tell(index, Told::Began)?;
        }
        if running.is_empty() {
            return Ok(());
        }
        match lines.recv_timeout(LOOK) {
            Ok((index, Some(line))) => tell(index, Told::Line(line))?,
            Ok((index, None)) => {
                if let Some(place) = running.iter().position(|running| running.index == index) {
                    let status = running.swap_remove(place).end()?;
                    tell(index, Told::Ended(status))?;
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}

struct Running {
    index: usize,
    child: Child,
}

impl Running {
    fn start(index: usize, job: &Job, sender: &Sender<(usize, Option<String>)>) -> Result<Self> {
        let program = std::env::current_exe().context("can't find this program's file")?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&job.log)
            .with_context(|| format!("can't write `{}`", job.log.display()))?;
        let mut child = Command::new(program)
            .args(&job.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("can't start a run")?;
        let output = child.stdout.take();
        let sender = sender.clone();
        thread::spawn(move || {
            // Nobody listens any more once the sweep has failed; the run is ended then.
            let lines = output
                .into_iter()
                .flat_map(|output| BufReader::new(output).lines());
            for line in lines.map_while(Result::ok) {
                let _ = sender.send((index, Some(line)));
            }
            let _ = sender.send((index, None));
        });
        Ok(Self { index, child })
    }

    /// As Ctrl-C does, so that it saves its state. In a terminal Ctrl-C has reached it already, and twice does no harm.
    fn ask_to_stop(&mut self) {
        let asked = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .stderr(Stdio::null())
            .status();
        if cfg!(unix) && !asked.is_ok_and(|status| status.success()) {
            // A run that is killed goes on from its last evaluation.
            let _ = self.child.kill();
        }
    }

    fn end(mut self) -> Result<ExitStatus> {
        self.child.wait().context("can't wait for a run")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Of one that has ended nothing is left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
