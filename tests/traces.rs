//! What `crossover trace` and `sample --watch` promise: every trace that `sample` writes is sound, can be shown anywhere,
//! and a damaged one is refused with its line. Every test runs the real program, on the processor, at toy sizes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use program::{Ran, crossover, json_lines};

/// A race of two tiny models on 20 Latin squares, run once, and a trace of each: only to be read.
static WRITTEN: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("traces");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let race = "race --device cpu --threads 2 --hidden-size 16 --layers 1 --heads 2 --batch 4 --steps 6 --unique 500 \
                --held-out 250 --seed 3 --out run";
    run(&folder, race).ended(0);
    for (model, flags) in [
        ("ar", "--prompt 12"),
        ("masked", "--infill 12[MASK:23] --steps 8 --samples 2"),
    ] {
        let sample = format!(
            "sample --device cpu --checkpoint run/checkpoints/best-{model}.safetensors --trace {model}.jsonl {flags}"
        );
        run(&folder, &sample).ended(0);
    }
    folder
});

/// The traces, in a folder of the test's own.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ar.jsonl", "masked.jsonl", "masked.jsonl.2"] {
        fs::copy(WRITTEN.join(name), folder.path().join(name)).unwrap();
    }
    let data = Path::new("../tests/data");
    for name in ["story.jsonl", "square.jsonl"] {
        fs::copy(data.join(name), folder.path().join(name)).unwrap();
    }
    folder
}

fn run(folder: &Path, words: &str) -> Ran {
    crossover(folder, words.split(' '))
}

/// A copy of a trace with something replaced, which must be there.
fn damaged(folder: &Path, name: &str, change: impl Fn(&str) -> String) {
    let sound = fs::read_to_string(folder.join("masked.jsonl")).unwrap();
    let changed = change(&sound);
    assert_ne!(changed, sound, "{name}");
    fs::write(folder.join(name), changed).unwrap();
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in [
        "trace",
        "trace check",
        "trace play",
        "trace html",
        "trace gif",
        "trace branch",
    ] {
        let ran = run(Path::new("."), &format!("{command} --help")).ended(0);
        assert!(ran.out.contains("Example: crossover trace"), "{command}");
    }
}

#[test]
fn what_sample_wrote_is_sound() {
    let folder = folder();
    let ran = run(
        folder.path(),
        "trace check ar.jsonl masked.jsonl masked.jsonl.2",
    )
    .ended(0);
    assert_eq!(
        ran.out,
        "ok   `ar.jsonl`: ar, autoregressive, 25 positions, 23 steps, 23 model calls\n\
         ok   `masked.jsonl`: masked, ancestral, 25 positions, 8 steps, 8 model calls\n\
         ok   `masked.jsonl.2`: masked, ancestral, 25 positions, 8 steps, 8 model calls\n"
    );
    assert_eq!(ran.err, "");
    let lines = run(folder.path(), "trace check ar.jsonl --json")
        .ended(0)
        .lines();
    assert_eq!(
        lines,
        [json!({
            "event": "trace", "file": "ar.jsonl", "ok": true, "kind": "ar", "sampler": "autoregressive",
            "length": 25, "steps": 23, "model_calls": 23
        })]
    );
}

#[test]
fn every_sampler_leaves_a_sound_trace() {
    let folder = folder();
    let checkpoint = WRITTEN.join("run/checkpoints/best-masked.safetensors");
    let samplers = "ancestral first-hitting low-confidence random margin entropy threshold entropy-bounded dream remdm";
    let mut files = String::new();
    for sampler in samplers.split(' ') {
        let sample = format!(
            "sample --device cpu --checkpoint {} --sampler {sampler} --trace-top 2 --trace {sampler}.jsonl",
            checkpoint.display()
        );
        run(folder.path(), &sample).ended(0);
        files.push_str(&format!(" {sampler}.jsonl"));
    }
    let ran = run(folder.path(), &format!("trace check{files}")).ended(0);
    assert_eq!(ran.out.lines().count(), 10);
    run(folder.path(), &format!("trace html{files} --out all.html")).ended(0);
}

#[test]
fn every_file_is_checked_and_a_bad_one_ends_with_2() {
    let folder = folder();
    let path = folder.path();
    damaged(path, "cut.jsonl", |text| text[..text.len() - 9].to_owned());
    damaged(path, "newer.jsonl", |text| {
        text.replace("\"version\":1", "\"version\":2")
    });
    damaged(path, "swapped.jsonl", |text| {
        text.replace("\"step\":4", "\"step\":5")
    });
    fs::write(path.join("bytes.jsonl"), [0xff, 0xfe, 0x00]).unwrap();
    fs::write(path.join("empty.jsonl"), "").unwrap();

    let bad = "cut.jsonl newer.jsonl swapped.jsonl bytes.jsonl empty.jsonl missing.jsonl .";
    let ran = run(path, &format!("trace check {bad} ar.jsonl")).ended(2);
    let told: Vec<&str> = ran.out.lines().collect();
    assert_eq!(
        told[..5],
        [
            "bad  `cut.jsonl` is cut off in the middle of line 10",
            "bad  `newer.jsonl` was written by a newer Crossover: it has version 2 of the format, and this one reads 1",
            "bad  `swapped.jsonl`, line 5: it is step 5, and step 4 is due",
            "bad  `bytes.jsonl` is no trace: it is no text: invalid utf-8 sequence of 1 bytes from index 0",
            "bad  `empty.jsonl` is empty",
        ]
    );
    assert!(told[5].starts_with("bad  can't read `missing.jsonl`"));
    assert!(told[6].starts_with("bad  can't read `.`"));
    assert!(told[7].starts_with("ok   `ar.jsonl`"));
    assert_eq!(
        ran.err,
        "error: 7 of 8 traces are not sound\nhint: the lines above say what is wrong with each\n"
    );

    let ran = run(path, "trace check cut.jsonl --json").ended(2);
    let lines = ran.lines();
    assert_eq!(lines[0]["ok"], false);
    assert_eq!(
        lines[0]["error"],
        "`cut.jsonl` is cut off in the middle of line 10"
    );
    assert!(
        ran.err
            .starts_with("error: the trace is not sound\nhint: copy it whole")
    );
}

#[test]
fn piped_a_trace_is_plain_text_step_by_step() {
    let folder = folder();
    let ran = run(folder.path(), "trace play square.jsonl").ended(0);
    insta::assert_snapshot!(ran.out, @"
    square.jsonl: masked, low-confidence, 9 positions, 3 model calls

    step 0 of 3, t 1.000
    1 ░ ░
    ░ 3 ░
    ░ ░ ░

    step 1 of 3, t 0.667, 2 written
    1 2 ░
    ░ 3 ░
    ░ ░ 2

    step 2 of 3, t 0.333, 3 written
    1 2 3
    2 3 ░
    3 ░ 2

    step 3 of 3, t 0.000, 2 written
    1 2 3
    2 3 1
    3 1 2
    ");
    assert_eq!(ran.err, "");
    let ran = run(folder.path(), "trace play story.jsonl").ended(0);
    assert!(!ran.out.contains('\x1b'));
    assert_eq!(ran.out.matches("\nstep ").count(), 7);
    assert!(ran.out.ends_with("\nOnce upon a time\nthere ran a fox.\n"));
}

#[test]
fn as_json_a_trace_is_its_steps() {
    let folder = folder();
    let ran = run(folder.path(), "trace play masked.jsonl --json").ended(0);
    let file = fs::read_to_string(folder.path().join("masked.jsonl")).unwrap();
    let steps: Vec<&str> = file.lines().collect();
    let printed: Vec<&str> = ran.out.lines().collect();
    assert_eq!(printed, steps[1..steps.len() - 1]);
}

#[test]
fn a_sample_can_be_watched_while_nobody_sits_at_a_terminal() {
    let folder = folder();
    let checkpoint = WRITTEN.join("run/checkpoints/best-masked.safetensors");
    let sample = format!(
        "sample --device cpu --checkpoint {} --steps 3 --samples 2 --watch",
        checkpoint.display()
    );
    let ran = run(folder.path(), &sample).ended(0);
    for expected in [
        "sample 0: masked, ancestral, 25 positions",
        "step 3 of 3",
        "---\n",
        "sample 1: ",
    ] {
        assert!(
            ran.out.contains(expected),
            "no `{expected}` in\n{}",
            ran.out
        );
    }
    let lines = run(folder.path(), &format!("{sample} --json"))
        .ended(0)
        .lines();
    let told: Vec<bool> = lines.iter().map(|line| line["event"] == "sample").collect();
    let one = [true, false, false, false];
    assert_eq!(told, [one, one].concat());
    assert_eq!(lines[3]["step"], 3);
}

/// The player in a terminal of its own, which `script` makes: a key leaves it, and the terminal is as before.
#[cfg(target_os = "linux")]
#[test]
fn in_a_terminal_a_trace_is_played_and_the_terminal_put_back() {
    use std::io::Write;
    use std::process::{Command, Stdio};

    let folder = folder();
    let played = |keys: &[u8], size: &str, colour: &str| {
        let mut child = Command::new("script")
            .args([
                "-qec",
                &format!("stty {size}; {} trace play story.jsonl", program::CROSSOVER),
            ])
            .arg("/dev/null")
            .current_dir(folder.path())
            .env("TERM", "xterm-256color")
            .env("NO_COLOR", colour)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(keys).unwrap();
        Ran::of(child.wait_with_output().unwrap()).ended(0).out
    };
    let screen = played(b"\x1b[Fheq", "rows 24 cols 80", "");
    let (_, inside) = screen.split_once("\x1b[?1049h").unwrap();
    let (drawn, after) = inside.split_once("\x1b[?1049l").unwrap();
    assert!(drawn.contains("remdm"), "{drawn}");
    assert!(drawn.contains("48;5;"), "confidence has colours: {drawn}");
    assert!(drawn.ends_with("\x1b[?25h"), "the cursor is back: {drawn}");
    assert_eq!(after.trim(), "");
    let screen = played(b"\x1b[Fq", "rows 24 cols 40", "1");
    assert!(
        screen.contains("remdm") && !screen.contains("8;5;"),
        "{screen}"
    );
    // A terminal that says it has no size gets lines.
    let lines = played(b"", "rows 0 cols 0", "");
    assert!(
        !lines.contains('\x1b') && lines.contains("step 6 of 6"),
        "{lines}"
    );
}

/// Everything in a folder, by name.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn pages_and_pictures_lie_beside_their_traces_and_replace_older_ones() {
    let folder = folder();
    let path = folder.path();
    for (command, written) in [
        ("trace html story.jsonl", "story.html"),
        ("trace html masked.jsonl.2", "masked.2.html"),
        (
            "trace html ar.jsonl masked.jsonl --out both.html",
            "both.html",
        ),
        ("trace gif story.jsonl", "story.gif"),
        (
            "trace gif square.jsonl --scale 1 --out small.gif",
            "small.gif",
        ),
    ] {
        fs::write(path.join(written), "old").unwrap();
        let ran = run(path, command).ended(0);
        assert_eq!(ran.out, format!("{written}\n"));
        let bytes = fs::read(path.join(written)).unwrap();
        let start: &[u8] = if written.ends_with("gif") {
            b"GIF89a"
        } else {
            b"<!doctype html>"
        };
        assert!(bytes.starts_with(start), "{command}");
        let ran = run(path, &format!("{command} --json")).ended(0);
        assert_eq!(ran.result(), json!({"event": "written", "file": written}));
        assert_eq!(fs::read(path.join(written)).unwrap(), bytes, "{command}");
    }
    let page = fs::read_to_string(path.join("both.html")).unwrap();
    assert!(page.contains("ar.jsonl") && page.contains("masked.jsonl"));
    assert!(names(path).iter().all(|name| !name.ends_with(".new")));
}

#[test]
fn what_can_t_be_shown_is_refused_before_anything_is_written() {
    let folder = folder();
    let path = folder.path();
    damaged(path, "cut.jsonl", |text| text[..text.len() - 9].to_owned());
    let before = names(path);
    for (command, mentioned) in [
        ("trace play cut.jsonl", "`cut.jsonl` is cut off"),
        ("trace play missing.jsonl", "`missing.jsonl`"),
        ("trace html story.jsonl cut.jsonl", "`cut.jsonl` is cut off"),
        ("trace gif cut.jsonl", "`cut.jsonl` is cut off"),
        ("trace html story.jsonl --out .", "`.` is a folder"),
        ("trace gif story.jsonl --out none/x.gif", "no folder `none`"),
        (
            "trace gif story.jsonl --out story.jsonl",
            "`story.jsonl` is the trace",
        ),
        ("trace gif story.jsonl --scale 16", "too large"),
    ] {
        let ran = run(path, command).ended(2);
        assert!(ran.err.contains(mentioned), "{command}: {}", ran.err);
        assert!(ran.err.contains("\nhint: "), "{command}: {}", ran.err);
        assert_eq!(ran.out, "", "{command}");
    }
    run(path, "trace gif story.jsonl --scale 0").ended(2);
    assert_eq!(names(path), before);
}

/// `trace branch masked.jsonl` with the checkpoint that wrote it.
fn branch(folder: &Path, model: &str, flags: &str) -> Ran {
    let checkpoint = WRITTEN.join(format!("run/checkpoints/best-{model}.safetensors"));
    let words = format!(
        "trace branch {model}.jsonl --device cpu --checkpoint {} {flags}",
        checkpoint.display()
    );
    run(folder, &words)
}

fn header(folder: &Path, name: &str) -> Value {
    let trace = fs::read_to_string(folder.join(name)).unwrap();
    json_lines(&trace)[0].clone()
}

#[test]
fn a_branch_keeps_the_state_and_the_edits_and_names_its_parent() {
    let folder = folder();
    let folder = folder.path();
    let parent = fs::read_to_string(folder.join("masked.jsonl")).unwrap();
    let state = json_lines(&parent)[3]["tokens"].clone();
    let flags =
        "--step 3 --set 4=5 --set 5=#0 --mask 0 --mask 7-9 --sampler entropy --seed 9 --json";
    let result = branch(folder, "masked", flags).ended(0).result();
    assert_eq!(
        (&result["event"], &result["trace"]),
        (&json!("branch"), &json!("masked.branch.jsonl"))
    );
    run(folder, "trace check masked.branch.jsonl").ended(0);
    let header = header(folder, "masked.branch.jsonl");
    let edits = [(0, -1), (4, 4), (5, 0), (7, -1), (8, -1), (9, -1)];
    let edits = edits.map(|(position, token)| json!({"position": position, "token": token}));
    assert_eq!(
        header["parent"],
        json!({"trace": "masked.jsonl", "step": 3, "edits": edits})
    );
    assert_eq!(
        (&header["sampler"]["name"], &header["seed"]),
        (&json!("entropy"), &json!(9))
    );
    // Of "12" only the second is given now, and the two that were set.
    assert_eq!(header["prompt"][0], -1);
    let given = [1, 4, 5].map(|position| header["prompt"][position].clone());
    assert_eq!(given, [json!(1), json!(4), json!(0)]);
    let branch = fs::read_to_string(folder.join("masked.branch.jsonl")).unwrap();
    let lines = json_lines(&branch);
    let last = &lines[lines.len() - 2]["tokens"];
    for position in (10..25).filter(|&position| state[position] != -1) {
        assert_eq!(last[position], state[position], "what was written stays");
    }
    assert_eq!((&last[4], &last[5]), (&json!(4), &json!(0)));
}

#[test]
fn a_branch_of_a_text_written_left_to_right_goes_on_behind_its_prompt() {
    let folder = folder();
    let ran = branch(
        folder.path(),
        "ar",
        "--step 3 --set 4=1 --out other.jsonl --seed 4",
    );
    assert!(ran.ended(0).out.starts_with("12"));
    run(folder.path(), "trace check other.jsonl").ended(0);
    let ran = branch(folder.path(), "ar", "--step 9 --mask 4").ended(2);
    assert_eq!(
        ran.err,
        "error: position 4 is free and position 5 is not: this model writes left to right\n\
         hint: mask everything from there on, such as `--mask 4-24`\n"
    );
}

#[test]
fn a_branch_that_makes_no_sense_is_refused_and_writes_nothing() {
    let folder = folder();
    for (flags, error) in [
        ("--step 9", "there is no step 9: the trace has 8"),
        ("--step 3 --set 4", "`--set 4` is not POSITION=TOKEN"),
        ("--step 3 --set 4=x", "there is no token `x`"),
        ("--step 3 --set 4=#5", "there is no token `#5`"),
        (
            "--step 3 --set 25=1",
            "position 25 is outside the text of 25",
        ),
        ("--step 3 --mask a", "`--mask a` is no position"),
        ("--step 3 --mask 5-4", "`--mask 5-4` is no position"),
        ("--step 3 --set 4=1 --mask 4", "position 4 is changed twice"),
        (
            "--step 8",
            "nothing is left to write after step 8: every token stands",
        ),
        ("--step 3 --steps 0", "`0` steps write nothing"),
        (
            "--step 3 --out masked.jsonl",
            "`masked.jsonl` is the trace that is read",
        ),
    ] {
        let ran = branch(folder.path(), "masked", flags).ended(2);
        let first = ran.err.lines().next().unwrap_or_default();
        assert_eq!(first, format!("error: {error}"), "{flags}");
    }
    let checkpoint = WRITTEN.join("run/checkpoints/best-masked.safetensors");
    let words = format!(
        "trace branch story.jsonl --step 1 --checkpoint {}",
        checkpoint.display()
    );
    let ran = run(folder.path(), &words).ended(2);
    assert!(
        ran.err
            .contains("`story.jsonl` was written with other tokens"),
        "{}",
        ran.err
    );
    let names = names(folder.path());
    assert!(
        names.iter().all(|name| !name.contains("branch")),
        "{names:?}"
    );
}
