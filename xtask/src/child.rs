//! A program that is watched: how long it takes, and how much memory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// What a program left.
pub struct Watched {
    /// From its start to its end.
    pub seconds: f64,
    /// The largest memory of its own that was seen resident. Pages of files that it maps are not its own: the system takes them
    /// back when it needs them.
    pub peak_bytes: u64,
    /// The lines that it printed, which are JSON, with the seconds from its start to each.
    pub lines: Vec<(f64, Value)>,
}

impl Watched {
    /// The last line.
    pub fn result(&self) -> Result<&Value> {
        let last = self.lines.last().context("the program printed nothing")?;
        Ok(&last.1)
    }
}

/// Runs a program that prints lines of JSON to its end.
pub fn watched(command: &mut Command) -> Result<Watched> {
    let began = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("can't start {command:?}"))?;
    let out = child.stdout.take().context("its output is read")?;
    let reading = thread::spawn(move || {
        BufReader::new(out)
            .lines()
            .map(|line| {
                let line = line?;
                let seconds = began.elapsed().as_secs_f64();
                Ok((seconds, serde_json::from_str(&line)?))
            })
            .collect::<Result<Vec<_>>>()
    });
    let mut peak_bytes = 0;
    let status = loop {
        peak_bytes = resident(child.id()).unwrap_or(0).max(peak_bytes);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        sleep(LOOK);
    };
    let seconds = began.elapsed().as_secs_f64();
    ensure!(status.success(), "{command:?} failed: {status}");
    let lines = reading.join().ok().context("its output can't be read")??;
    Ok(Watched {
        seconds,
        peak_bytes,
        lines,
    })
}

/// What a process has in memory now but for pages of files, where the system tells.
fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kibibytes = |key| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some((kibibytes("RssAnon:")? + kibibytes("RssShmem:")?) * 1024)
}
