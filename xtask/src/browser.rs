//! The tests in `tests/browser`: the built playground, served by the real program, in a real browser.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{command, root, step, target, test, tool};

/// What drives the browser. It brings none of its own.
const PLAYWRIGHT: &str = "playwright-core@1.65.1";

/// What a browser may be called.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Runs every test, where a browser and what drives it can be had. The page and `crossover` are built already.
pub fn run() -> Result<()> {
    let node = match node() {
        Ok(node) => node,
        Err(error) => {
            eprintln!("    skipping the browser: {error:#}");
            return Ok(());
        }
    };
    let mut tests = Vec::new();
    for entry in fs::read_dir(root().join("tests/browser"))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.mjs") {
            tests.push(path);
        }
    }
    tests.sort();
    ensure!(!tests.is_empty(), "there are no tests of the browser");
    let screenshots = target()?.join("screenshots");
    eprintln!("    pictures of every screen: {}", screenshots.display());
    let mut run = node;
    run.args(["--test", "--test-concurrency=1", "--test-reporter=spec"])
        .args(tests)
        .env("SCREENSHOTS", screenshots);
    step(run)
}

/// Prints how the page does while it trains for these minutes.
pub fn measure(minutes: &str) -> Result<()> {
    let build = [
        "test",
        "--locked",
        "--workspace",
        test::features(),
        "--no-run",
    ];
    step(command("cargo", &build))?;
    let mut measure = node()?;
    measure
        .arg(root().join("tests/browser/measure.mjs"))
        .env("MINUTES", minutes);
    step(measure)
}

/// `node`, told where the program, the browser and what drives it are.
fn node() -> Result<Command> {
    let is_there = command("node", &["--version"]).output().is_ok();
    ensure!(is_there, "no `node`");
    let driver = tool(PLAYWRIGHT).with_context(|| format!("npm has no `{PLAYWRIGHT}` for us"))?;
    let chromium = chromium().context("no Chromium (`apt-get install chromium`)")?;
    let mut node = command("node", &[]);
    node.env("CROSSOVER", target()?.join("debug/crossover"))
        .env("PLAYWRIGHT", driver)
        .env("CHROMIUM", chromium);
    Ok(node)
}

/// A Chromium: this machine's, or Debian's once it is installed.
fn chromium() -> Option<PathBuf> {
    let present = || {
        let folders = std::env::var_os("PATH")?;
        let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
        let mut names = BROWSERS.iter();
        names.find_map(|name| {
            let mut places = folders.iter().map(|folder| folder.join(name));
            places.find(|place| place.is_file())
        })
    };
    present().or_else(|| {
        let install = [
            "install",
            "-y",
            "-qq",
            "--no-install-recommends",
            "chromium",
        ];
        let installed = step(command("apt-get", &["update", "-qq"]))
            .and_then(|()| step(command("apt-get", &install)));
        if let Err(error) = installed {
            eprintln!("    {error:#}");
        }
        present()
    })
}
