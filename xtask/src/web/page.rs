//! The first page: its style and script inside, and the recorded text, so that it needs nothing else to show something.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::replaced;

/// The first page, which loads these files.
pub fn index(sources: &Path, files: &Value) -> Result<String> {
    let source = |name: &str| {
        let path = sources.join("static").join(name);
        fs::read_to_string(&path).with_context(|| format!("can't read `{}`", path.display()))
    };
    let style = plain(&source("style.css")?);
    let script = plain(&source("first.js")?);
    let trace = fs::read_to_string(sources.join("bundled/trace.jsonl"))
        .context("the recorded text, `web/bundled/trace.jsonl`")?;
    let recording = Recording::read(&trace).context("`web/bundled/trace.jsonl`")?;
    // Only this script runs, and what it loads from here: nothing that a text or a file brings.
    let policy = format!(
        "default-src 'none'; script-src 'self' 'sha256-{}' 'wasm-unsafe-eval'; style-src 'sha256-{}'; \
         worker-src 'self'; connect-src 'self'; img-src 'self' blob: data:; manifest-src 'self'; base-uri 'none'; \
         form-action 'none'",
        digest(&script),
        digest(&style)
    );
    replaced(
        &source("index.html")?,
        &[
            ("{{policy}}", &policy),
            ("{{style}}", &style),
            ("{{script}}", &script),
            ("{{columns}}", &recording.columns.to_string()),
            ("{{cells}}", &recording.cells()),
            ("{{trace}}", &json_inside(&recording.data)?),
            ("{{files}}", &json_inside(files)?),
        ],
    )
}

/// A style or script without comment lines and indentation.
fn plain(source: &str) -> String {
    let lines = source.lines().map(str::trim);
    let kept: Vec<&str> = lines
        .filter(|line| !line.is_empty() && !line.starts_with("//") && !line.starts_with("/*"))
        .collect();
    kept.join("\n")
}

/// What a policy names a script by.
fn digest(text: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(text))
}

/// JSON that no HTML parser takes for an end of its element.
fn json_inside(value: &Value) -> Result<String> {
    Ok(serde_json::to_string(value)?.replace('<', "\\u003c"))
}

/// The recorded text: what is written when.
struct Recording {
    columns: usize,
    /// The finished text, cell by cell.
    text: Vec<String>,
    /// What the script plays.
    data: Value,
}

impl Recording {
    fn read(trace: &str) -> Result<Self> {
        let mut lines = trace.lines();
        let header: Value = serde_json::from_str(lines.next().context("it is empty")?)?;
        let vocab = header["vocab"]
            .as_array()
            .context("its header has no `vocab`")?;
        let spelled = |id: i64| {
            let token = usize::try_from(id).ok().and_then(|id| vocab.get(id));
            token.and_then(Value::as_str).map(visible)
        };
        let ids = |value: &Value| -> Result<Vec<i64>> {
            let ids = value.as_array().context("a line has no tokens")?;
            Ok(ids.iter().map(|id| id.as_i64().unwrap_or(-1)).collect())
        };
        let prompt = ids(&header["prompt"])?;
        let mut now = prompt.clone();
        let mut steps = Vec::new();
        for line in lines {
            let line: Value = serde_json::from_str(line)?;
            if line["step"].is_null() {
                continue;
            }
            let next = ids(&line["tokens"])?;
            ensure!(
                next.len() == now.len(),
                "a step has another number of tokens"
            );
            // Pairs of a position and what stands there from now on; nothing where it is hidden again.
            let mut changes = Vec::new();
            for (position, (before, after)) in now.iter().zip(&next).enumerate() {
                if before != after {
                    changes.push(json!([position, spelled(*after)]));
                }
            }
            steps.push(Value::Array(changes));
            now = next;
        }
        let text = now
            .iter()
            .map(|id| spelled(*id).context("the text is not finished"));
        let text: Vec<String> = text.collect::<Result<_>>()?;
        let prompt: Vec<Option<String>> = prompt.iter().map(|id| spelled(*id)).collect();
        Ok(Self {
            columns: columns(&text),
            data: json!({ "prompt": prompt, "steps": steps }),
            text,
        })
    }

    fn cells(&self) -> String {
        let escaped = |text: &str| {
            text.replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
        };
        let cells = self
            .text
            .iter()
            .map(|text| format!("<i>{}</i>", escaped(text)));
        cells.collect()
    }
}

/// A token as a cell shows it.
fn visible(token: &str) -> String {
    token.replace(' ', "·").replace('\n', "⏎")
}

/// How many cells stand in a row on a wide screen: a square for a small square of cells, few where tokens are words.
fn columns(text: &[String]) -> usize {
    let widest = text.iter().map(|token| token.chars().count()).max();
    match text.len().isqrt() {
        side if side * side == text.len() && side < 8 => side,
        _ if widest > Some(3) => 8,
        _ => 16,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const TRACE: &str = r#"{"version":1,"vocab":["<"," ","[MASK]"],"prompt":[0,-1]}
{"step":1,"tokens":[0,0]}
{"step":2,"tokens":[0,-1]}
{"step":3,"tokens":[0,1]}
{"text":"< "}"#;

    #[test]
    fn a_recording_has_what_each_step_changes() {
        let recording = Recording::read(TRACE).unwrap();
        assert_eq!(
            recording.data,
            json!({ "prompt": ["<", null], "steps": [[[1, "<"]], [[1, null]], [[1, "·"]]] })
        );
        assert_eq!(recording.cells(), "<i>&lt;</i><i>·</i>");
    }

    #[test]
    fn words_have_wide_cells_and_a_small_square_is_one() {
        let cells = |token: &str, length| columns(&vec![token.to_owned(); length]);
        assert_eq!(cells("a", 64), 16);
        assert_eq!(cells("·upon", 64), 8);
        assert_eq!(cells("1", 25), 5);
    }

    #[test]
    fn no_text_ends_its_element() {
        let text = json_inside(&json!(["</script>"])).unwrap();
        assert!(!text.contains('<'));
    }

    #[test]
    fn a_text_that_isn_t_finished_is_refused() {
        let cut = TRACE.lines().take(3).collect::<Vec<_>>().join("\n");
        assert!(Recording::read(&cut).is_err());
    }
}
