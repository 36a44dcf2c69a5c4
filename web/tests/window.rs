//! The native window, on a display that exists only in memory: it opens, draws, and trains when asked.
//!
//! Needs `Xvfb` and `xdotool` (Debian packages `xvfb` and `xdotool`). Without them it says so and passes, unless
//! `CROSSOVER_TEST_WINDOW` says that they are there.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test of the native app may wait"
)]

use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DISPLAY: &str = ":87";

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_there(program: &str) -> bool {
    let tried = Command::new("which")
        .arg(program)
        .stdout(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

/// Presses keys in the app's window, which no window manager has given the keyboard.
fn press(keys: &str) {
    let chain = [
        "search",
        "--onlyvisible",
        "--name",
        "Crossover",
        "windowfocus",
        "key",
        keys,
    ];
    let pressed = Command::new("xdotool")
        .env("DISPLAY", DISPLAY)
        .args(chain)
        .status();
    assert!(pressed.unwrap().success());
}

/// Waits for something, up to a minute and a half: software draws slowly on a busy machine.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(90), "{what} in 90 s");
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// Pixels of the display: Xvfb keeps them in an XWD file, whose header gives its own size and the count of colours.
fn pixels(folder: &Path) -> Vec<u8> {
    let file = std::fs::read(folder.join("Xvfb_screen0")).unwrap_or_default();
    let number = |index: usize| {
        let bytes = file.get(4 * index..4 * index + 4)?;
        bytes.try_into().ok().map(u32::from_be_bytes)
    };
    match (number(0), number(19)) {
        (Some(header), Some(colours)) => file[(header + 12 * colours) as usize..].to_vec(),
        _ => Vec::new(),
    }
}

fn shades(folder: &Path) -> usize {
    let pixels = pixels(folder);
    let found: HashSet<&[u8]> = pixels.chunks_exact(4).collect();
    found.len()
}

/// Steps on record, of every run.
fn steps(folder: &Path) -> usize {
    let Ok(runs) = std::fs::read_dir(folder.join("runs")) else {
        return 0;
    };
    runs.flatten()
        .filter_map(|run| std::fs::read_to_string(run.path().join("metrics.jsonl")).ok())
        .map(|text| text.lines().count())
        .sum()
}

#[test]
fn the_window_opens_and_trains_when_asked() {
    if !is_there("Xvfb") || !is_there("xdotool") {
        let promised = std::env::var_os("CROSSOVER_TEST_WINDOW").is_some();
        assert!(!promised, "Xvfb or xdotool is missing");
        eprintln!("skipped: Xvfb or xdotool is missing (apt-get install xvfb xdotool)");
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("window");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let screen = [
        "-screen",
        "0",
        "1280x800x24",
        "-fbdir",
        folder.to_str().unwrap(),
    ];
    let display = Command::new("Xvfb")
        .arg(DISPLAY)
        .args(screen)
        .stderr(Stdio::null())
        .spawn();
    let _display = Running(display.unwrap());
    wait_for("a display", || !pixels(&folder).is_empty());
    let app = Command::new(env!("CARGO_BIN_EXE_crossover-app"))
        .current_dir(&folder)
        .env("DISPLAY", DISPLAY)
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .env("XDG_CONFIG_HOME", folder.join("settings"))
        .env_remove("WAYLAND_DISPLAY")
        .spawn();
    let _app = Running(app.unwrap());
    wait_for("a picture", || shades(&folder) > 50);
    // A processor's default is the Markov floor, whose source is kept before anything else.
    wait_for("the chain", || {
        folder.join("runs/texts/reference-chain.toml").exists()
    });
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(steps(&folder), 0, "nothing trains unasked");
    press("ctrl+Return");
    wait_for("a run", || steps(&folder) > 20);
    std::thread::sleep(Duration::from_secs(2));
    assert!(shades(&folder) > 50);
    // For people to look at.
    std::fs::copy(folder.join("Xvfb_screen0"), folder.join("trained.xwd")).unwrap();
}
