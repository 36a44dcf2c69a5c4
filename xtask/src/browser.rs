//! The tests in `tests/browser`: the built playground, served by the real program, in a real browser.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::{command, root, step, target, tool};

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
    if command("node", &["--version"]).output().is_err() {
        eprintln!("    skipping the browser: no `node`");
        return Ok(());
    }
    let driver = match tool(PLAYWRIGHT) {
        Ok(driver) => driver,
        Err(error) => {
            eprintln!("    skipping the browser: npm has no `{PLAYWRIGHT}` for us: {error:#}");
            return Ok(());
        }
    };
    let Some(chromium) = chromium() else {
        eprintln!("    skipping the browser: no Chromium (`apt-get install chromium`)");
        return Ok(());
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
    let mut run = command(
        "node",
        &["--test", "--test-concurrency=1", "--test-reporter=spec"],
    );
    run.args(tests)
        .env("CROSSOVER", target()?.join("debug/crossover"))
        .env("PLAYWRIGHT", driver)
        .env("CHROMIUM", chromium)
        .env("SCREENSHOTS", screenshots);
    step(run)
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
